//! A framed stream: some of its bytes say where others stand and are kept, the rest is skipped.
//!
//! ```text
//!   judged: the first offset whose place in the framing is not known
//!
//!   ... [kept] skipped .......... [kept] skipped ..................|
//!                            ^ left: no byte beyond has             ^ judged
//! ```
//! `judged` may lie beyond what has come: a header announces what follows it. So an ACK, a FIN and
//! a gap below it are ordinary, and only what is kept has one value for ever.

use std::sync::Arc;

use super::{Aside, Early, Framed, Manner, Memory, Spares, Sparse, Stream};
use crate::offset::Offset;
use crate::wire::Seq;

impl Aside {
    pub(super) fn new(memory: &Arc<Memory>) -> Self {
        Self { early: Early::new(memory), framed: None }
    }

    /// Bytes of memory it occupies.
    pub(super) fn held(&self) -> usize {
        self.early.held() + self.framed.as_ref().map_or(0, |framed| framed.kept.held())
    }
}

impl Stream {
    /// From here on some bytes are kept, and others skipped.
    pub fn frame(&mut self) {
        self.manner = Manner::Framed;
        let kept = Sparse::new(Arc::clone(self.store.memory()));
        let memory = self.store.memory();
        let aside = self.aside.get_or_insert_with(|| Box::new(Aside::new(memory)));
        aside.framed = Some(Framed { kept, left: self.judged });
    }

    /// Whether it is framed.
    #[must_use]
    pub const fn is_framed(&self) -> bool {
        matches!(self.manner, Manner::Framed)
    }

    pub(super) fn early(&self) -> Option<&Early> {
        self.aside.as_ref().map(|aside| &aside.early).filter(|early| !early.is_empty())
    }

    pub(super) fn framed(&self) -> Option<&Framed> {
        self.aside.as_ref().and_then(|aside| aside.framed.as_ref())
    }

    fn framed_mut(&mut self) -> Option<&mut Framed> {
        self.aside.as_mut().and_then(|aside| aside.framed.as_mut())
    }

    /// Gives back the room of what is not there any more.
    pub(super) fn drop_aside(&mut self) {
        if self.aside.as_ref().is_some_and(|aside| aside.framed.is_none() && aside.early.is_empty())
        {
            self.aside = None;
        }
    }

    /// The next bytes decide something: they have this value, for ever.
    pub fn keep(&mut self, bytes: &[u8]) {
        let judged = self.judged;
        if let Some(framed) = self.framed_mut() {
            framed.kept.keep(judged, bytes);
        }
        self.judged = judged.after(bytes.len() as u64);
    }

    /// The same for a few bytes again and again, with so many behind each that decide nothing.
    #[inline]
    pub fn keep_each<const COUNT: usize>(
        &mut self,
        pieces: impl Iterator<Item = ([u8; COUNT], u16)>,
    ) {
        let judged = self.judged;
        if let Some(framed) = self.framed_mut() {
            self.judged = framed.kept.keep_each(judged, pieces);
        }
    }

    /// So many bytes behind them decide nothing.
    pub fn skip(&mut self, count: u64) {
        self.judged = self.judged.after(count);
    }

    /// A payload of so many bytes goes on.
    pub fn leave(&mut self, seq: Seq, length: usize) {
        let end = self.offset(seq).unwrap_or_default().after(length as u64);
        if let Some(framed) = self.framed_mut() {
            framed.left = framed.left.max(end);
        }
    }

    /// The bytes that were let through ahead of the gap and stand at [`Self::judged`] now, to be
    /// read. What lies below is forgotten.
    pub fn take_early(&mut self) -> Option<Vec<u8>> {
        let block = self.aside.as_mut()?.early.take(self.judged);
        self.drop_aside();
        block
    }

    /// Appends some of the bytes that were let through ahead of the gap and stand at
    /// [`Self::judged`], so many at most, and says how many; 0 if there are none. They are to be
    /// judged and then settled: until then they are remembered ahead as well, so what has to wait
    /// longer needs not be put back.
    pub fn append_waiting(&mut self, most: usize, spares: &mut Spares) -> usize {
        self.store.take_back(self.judged, spares);
        let Some(aside) = &self.aside else { return 0 };
        let bytes = aside.early.peek(self.judged, most);
        self.store.append(self.judged, bytes, spares);
        bytes.len()
    }

    /// Commits what was appended so up to an offset, and forgets what of it was remembered ahead.
    pub fn settle(&mut self, end: Offset, spares: &mut Spares) {
        self.commit(end, spares);
        if let Some(aside) = &mut self.aside {
            aside.early.forget(self.judged);
        }
        self.drop_aside();
    }

    /// Whether a copy of bytes says something else than those that are kept of them.
    #[must_use]
    pub fn differs_from_kept(&self, seq: Seq, copy: &[u8]) -> bool {
        self.framed_within(seq, copy.len())
            .any(|(at, kept)| copy.get(at..).is_none_or(|copy| !copy.starts_with(kept)))
    }

    /// What is kept of a payload: its places in there, and the bytes.
    pub(super) fn framed_within(
        &self,
        seq: Seq,
        length: usize,
    ) -> impl Iterator<Item = (usize, &[u8])> {
        let start = self.offset(seq).unwrap_or_default();
        let (from, end) = (start.max(self.acknowledged), start.after(length as u64));
        let kept = self.framed().map(|framed| framed.kept.within(from, end));
        kept.into_iter()
            .flatten()
            .map(move |(at, bytes)| (usize::try_from(at.since(start)).unwrap_or(usize::MAX), bytes))
    }

    /// Whether a framed stream may end here: inside what a header announced, too.
    pub(super) fn may_end_at(&self, offset: Offset) -> bool {
        let left = self.framed().map(|framed| framed.left);
        left.is_some_and(|left| self.is_framed() && (left..=self.judged).contains(&offset))
    }
}
