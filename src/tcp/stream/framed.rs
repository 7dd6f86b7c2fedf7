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

use super::{Aside, Manner, Sparse, Stream};
use crate::offset::Offset;
use crate::wire::Seq;

impl Stream {
    /// From here on some bytes are kept, and others skipped.
    pub fn frame(&mut self) {
        self.manner = Manner::Framed;
        let sparse = Sparse::new(Arc::clone(self.store.memory()));
        self.aside = Some(Box::new(Aside::Framed(sparse, self.judged)));
    }

    /// Whether it is framed.
    #[must_use]
    pub const fn is_framed(&self) -> bool {
        matches!(self.manner, Manner::Framed)
    }

    /// The next bytes decide something: they have this value, for ever.
    pub fn keep(&mut self, bytes: &[u8]) {
        if let Some(Aside::Framed(sparse, _)) = self.aside.as_deref_mut() {
            sparse.keep(self.judged, bytes);
        }
        self.judged = self.judged.after(bytes.len() as u64);
        self.forget(self.acknowledged);
    }

    /// So many bytes behind them decide nothing.
    pub fn skip(&mut self, count: u64) {
        self.judged = self.judged.after(count);
    }

    /// A payload of so many bytes goes on.
    pub fn leave(&mut self, seq: Seq, length: usize) {
        let end = self.offset(seq).unwrap_or_default().after(length as u64);
        if let Some(Aside::Framed(_, left)) = self.aside.as_deref_mut() {
            *left = (*left).max(end);
        }
    }

    /// The bytes that were let through ahead of the gap and stand at [`Self::judged`] now, to be
    /// read. What lies below is forgotten.
    pub fn take_early(&mut self) -> Option<Vec<u8>> {
        let early = self.early.as_mut()?;
        let block = early.take(self.judged);
        if early.is_empty() {
            self.early = None;
        }
        block.map(|block| block.as_bytes().to_vec())
    }

    /// Whether a copy of bytes says something else than those that are kept of them.
    #[must_use]
    pub fn differs_from_kept(&self, seq: Seq, copy: &[u8]) -> bool {
        self.framed_within(seq, copy.len())
            .any(|(at, kept)| copy.get(at..).is_none_or(|copy| !copy.starts_with(kept)))
    }

    pub(super) fn sparse(&self) -> Option<&Sparse> {
        match self.aside.as_deref() {
            Some(Aside::Framed(sparse, _)) => Some(sparse),
            Some(Aside::Edited(..)) | None => None,
        }
    }

    /// What is kept of a payload: its places in there, and the bytes.
    pub(super) fn framed_within(
        &self,
        seq: Seq,
        length: usize,
    ) -> impl Iterator<Item = (usize, &[u8])> {
        let start = self.judged.value().checked_add_signed(self.distance(seq)).map(Offset::new);
        let start = start.filter(|_| self.sparse().is_some()).unwrap_or_default();
        let end = start.after(length as u64);
        let kept = self.sparse().map(|sparse| sparse.within(start.max(self.acknowledged), end));
        kept.into_iter()
            .flatten()
            .map(move |(at, bytes)| (usize::try_from(at.since(start)).unwrap_or(usize::MAX), bytes))
    }

    /// Whether a framed stream may end here: inside what a header announced, too.
    pub(super) fn may_end_at(&self, offset: Offset) -> bool {
        match self.aside.as_deref() {
            Some(Aside::Framed(_, left)) => {
                self.is_framed() && (*left..=self.judged).contains(&offset)
            }
            Some(Aside::Edited(..)) | None => false,
        }
    }
}
