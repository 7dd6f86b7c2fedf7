//! A stream as an image of it: written from where its bytes are kept, read into a state that needs
//! memory to become a stream again.
//!
//! What was appended and not judged is nobody's, so it is left out.

use std::num::NonZeroU64;
use std::sync::Arc;

use serde::ser::SerializeSeq;
use serde::{Deserialize, Serialize, Serializer};
use serde_bytes::{ByteBuf, Bytes};

use super::{
    Aside, Early, Framed, Manner, Memory, Offset, Seq, Spares, Sparse, Store, Stream, Window,
};

/// What an image holds of a stream, in the order of [`StreamState`].
#[derive(Serialize)]
struct Shape<'s> {
    base: Seq,
    acknowledged: Offset,
    judged: Offset,
    window: Window,
    kept_from: Offset,
    kept: Kept<'s>,
    early: Chunks<'s>,
    edited: (Offset, Offset),
    behind_fin: Option<NonZeroU64>,
    is_fin_acknowledged: bool,
    manner: Manner,
    framed: Option<FramedShape<'s>>,
}

/// A stream that was read from an image.
#[derive(Debug, Deserialize)]
pub struct StreamState {
    base: Seq,
    acknowledged: Offset,
    judged: Offset,
    window: Window,
    kept_from: Offset,
    kept: Vec<ByteBuf>,
    early: Vec<(Offset, ByteBuf)>,
    edited: (Offset, Offset),
    behind_fin: Option<NonZeroU64>,
    is_fin_acknowledged: bool,
    manner: Manner,
    framed: Option<FramedState>,
}

/// What an image holds of a framed stream besides, in the order of [`FramedState`].
#[derive(Serialize)]
struct FramedShape<'s> {
    kept: Runs<'s>,
    left: Offset,
}

#[derive(Debug, Deserialize)]
struct FramedState {
    kept: Vec<(Offset, ByteBuf)>,
    left: Offset,
}

struct Runs<'s>(&'s Sparse);

struct Kept<'s>(&'s Stream);

struct Chunks<'s>(Option<&'s Early>);

impl Serialize for Stream {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        Shape {
            base: self.base,
            acknowledged: self.acknowledged,
            judged: self.judged,
            window: self.window,
            kept_from: self.store.start(self.judged),
            kept: Kept(self),
            early: Chunks(self.early()),
            edited: self.store.edited(),
            behind_fin: self.behind_fin,
            is_fin_acknowledged: self.is_fin_acknowledged,
            manner: self.manner,
            framed: self
                .framed()
                .map(|framed| FramedShape { kept: Runs(&framed.kept), left: framed.left }),
        }
        .serialize(serializer)
    }
}

impl Serialize for Kept<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Self(stream) = self;
        let pieces = || stream.store.before(stream.judged);
        let mut list = serializer.serialize_seq(Some(pieces().count()))?;
        pieces().try_for_each(|piece| list.serialize_element(Bytes::new(piece)))?;
        list.end()
    }
}

impl Serialize for Chunks<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let chunks = || self.0.into_iter().flat_map(Early::chunks);
        let mut list = serializer.serialize_seq(Some(chunks().count()))?;
        chunks().try_for_each(|(at, bytes)| list.serialize_element(&(at, Bytes::new(bytes))))?;
        list.end()
    }
}

impl Serialize for Runs<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Self(kept) = self;
        let mut list = serializer.serialize_seq(Some(kept.all().count()))?;
        kept.all().try_for_each(|(at, bytes)| list.serialize_element(&(at, Bytes::new(bytes))))?;
        list.end()
    }
}

impl FramedState {
    fn restore(self, memory: &Arc<Memory>) -> Framed {
        let mut kept = Sparse::new(Arc::clone(memory));
        self.kept.iter().for_each(|(at, bytes)| kept.keep(*at, bytes));
        Framed { kept, left: self.left }
    }
}

impl StreamState {
    /// The stream, with this memory.
    #[must_use]
    pub fn restore(self, memory: &Arc<Memory>) -> Stream {
        let (mut store, mut spares) = (Store::new(memory), Spares::default());
        let mut at = self.kept_from;
        for piece in &self.kept {
            store.append(at, piece, &mut spares);
            at = at.after(piece.len() as u64);
        }
        let (from, to) = self.edited;
        store.note_edit(from, to);
        let mut early = Early::new(memory);
        self.early.iter().for_each(|(at, bytes)| early.put_chunk(*at, bytes));
        let framed = self.framed.map(|framed| framed.restore(memory));
        let has_aside = framed.is_some() || !early.is_empty();
        Stream {
            base: self.base,
            acknowledged: self.acknowledged,
            judged: self.judged,
            window: self.window,
            store,
            aside: has_aside.then(|| Box::new(Aside { early, framed })),
            behind_fin: self.behind_fin,
            is_fin_acknowledged: self.is_fin_acknowledged,
            manner: self.manner,
        }
    }
}
