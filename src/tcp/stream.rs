//! One direction of a flow: from sequence numbers to offsets, first copy wins, judged bytes kept
//! until acknowledged.
//!
//! ```text
//!   0 ....... acknowledged ....... judged ....... early runs ....... fin
//!   forgotten |  kept: every copy  |  next: to be |  let through ahead
//!             |  is made equal     |  judged      |  of a gap
//! ```
//! Invariant: what has left towards the receiver lies below `judged` or in an early run.

use std::num::NonZeroU64;
use std::sync::Arc;

use super::{Early, Spares, Store, Violation};
use crate::wire::{Editor, Seq};

/// Where a segment's payload lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// Nothing in it lies above the receiver's ACK.
    Below,
    /// It starts behind a gap of this many bytes.
    Beyond {
        /// Bytes missing before it.
        distance: usize,
    },
    /// It touches what comes next: `[0, stale)` was acknowledged, `[stale, known)` was judged
    /// before, the rest is fresh.
    At {
        /// Payload bytes below the receiver's ACK.
        stale: usize,
        /// Payload bytes below the first fresh one.
        known: usize,
    },
}

/// One direction's bytes.
#[derive(Debug)]
pub struct Stream {
    /// Sequence number of offset 0.
    base: Seq,
    /// The receiver's cumulative ACK, never beyond what was judged.
    acknowledged: u64,
    /// Bytes from `acknowledged` on.
    store: Store,
    early: Option<Box<Early>>,
    /// One more than where the FIN stands, once one was let through.
    behind_fin: Option<NonZeroU64>,
    is_fin_acknowledged: bool,
    /// Offsets pass by unread and unkept (TLS).
    is_opaque: bool,
}

impl Stream {
    /// A stream whose SYN had this sequence number.
    #[must_use]
    pub fn new(isn: Seq) -> Self {
        Self::sharing(isn, &Arc::default())
    }

    /// The same, with memory that streams share.
    #[must_use]
    pub fn sharing(isn: Seq, spares: &Arc<Spares>) -> Self {
        Self {
            base: isn.after(1),
            acknowledged: 0,
            store: Store::sharing(spares),
            early: None,
            behind_fin: None,
            is_fin_acknowledged: false,
            is_opaque: false,
        }
    }

    /// The first offset not judged yet.
    #[must_use]
    pub const fn judged(&self) -> u64 {
        self.acknowledged + self.store.len() as u64
    }

    /// The receiver's cumulative ACK.
    #[must_use]
    pub const fn acknowledged(&self) -> u64 {
        self.acknowledged
    }

    /// Bytes of memory this direction keeps.
    #[must_use]
    pub fn kept(&self) -> usize {
        self.store.len() + self.early.as_ref().map_or(0, |early| early.len())
    }

    /// Whether the FIN was let through and acknowledged.
    #[must_use]
    pub const fn is_finished(&self) -> bool {
        self.is_fin_acknowledged
    }

    /// Where the FIN stands.
    #[must_use]
    pub fn fin(&self) -> Option<u64> {
        self.behind_fin.map(|behind| behind.get() - 1)
    }

    /// The sequence number of an offset.
    #[must_use]
    pub const fn seq(&self, offset: u64) -> Seq {
        self.base.after((offset & 0xffff_ffff) as u32)
    }

    /// The offset of a sequence number, by the shorter way from what comes next; negative for
    /// numbers before the stream's first byte.
    #[must_use]
    pub const fn offset(&self, seq: Seq) -> i64 {
        let judged = self.judged();
        judged.cast_signed().saturating_add(seq.distance_from(self.seq(judged)))
    }

    /// The sequence numbers a RST to the receiver may have to carry: its next expected byte is one
    /// of these, or between them where its ACK is still on the way.
    pub fn reset_seqs(&self) -> impl Iterator<Item = Seq> + use<> {
        let end = self.judged() + u64::from(self.behind_fin.is_some());
        let first = self.seq(self.acknowledged + u64::from(self.is_fin_acknowledged));
        let last = self.seq(end);
        std::iter::once(first).chain((last != first).then_some(last))
    }

    /// Takes the receiver's cumulative ACK.
    ///
    /// # Errors
    /// [`Violation::AckOfUnsent`] if it covers bytes that never left towards the receiver.
    pub fn acknowledge(&mut self, ack: Seq) -> Result<(), Violation> {
        let judged = self.judged();
        let offset = self.offset(ack);
        let fin = u64::from(self.fin() == Some(judged));
        let Ok(offset) = u64::try_from(offset) else { return Ok(()) };
        if self.is_opaque && offset > judged {
            self.acknowledged = offset;
            return Ok(());
        }
        if offset > judged + fin {
            return Err(Violation::AckOfUnsent);
        }
        self.is_fin_acknowledged |= fin == 1 && offset == judged + 1;
        let forgotten = offset.min(judged).saturating_sub(self.acknowledged);
        self.acknowledged += forgotten;
        self.store.forget(usize::try_from(forgotten).unwrap_or(usize::MAX));
        Ok(())
    }

    /// Where a payload lies (which is not empty).
    #[must_use]
    pub fn place(&self, seq: Seq, length: usize) -> Place {
        let start = self.offset(seq);
        let end = start.saturating_add_unsigned(length as u64);
        let clamp = |bytes: i64| usize::try_from(bytes.max(0)).unwrap_or(usize::MAX).min(length);
        let judged = self.judged().cast_signed();
        let acknowledged = self.acknowledged.cast_signed();
        if start > judged {
            Place::Beyond { distance: usize::try_from(start - judged).unwrap_or(usize::MAX) }
        } else if end <= acknowledged {
            Place::Below
        } else {
            Place::At { stale: clamp(acknowledged - start), known: clamp(judged - start) }
        }
    }

    /// How many of `length` payload bytes from `seq` on lie below the FIN, if it has a place yet.
    #[must_use]
    pub fn before_fin(&self, seq: Seq, length: usize) -> usize {
        let Some(fin) = self.fin() else { return length };
        let room = fin.cast_signed().saturating_sub(self.offset(seq));
        usize::try_from(room.max(0)).unwrap_or(usize::MAX).min(length)
    }

    /// Decides about a FIN that stands at `seq`: it passes where it passed before, or, the first
    /// time, where the judged bytes end.
    pub fn admit_fin(&mut self, seq: Seq) -> bool {
        let Ok(offset) = u64::try_from(self.offset(seq)) else { return false };
        match self.fin() {
            Some(fin) => fin == offset,
            None if offset == self.judged() => {
                self.behind_fin = NonZeroU64::new(offset.saturating_add(1));
                true
            }
            None => false,
        }
    }

    /// Appends bytes at [`Self::judged`]; they must be judged in place (through [`Self::tail`])
    /// before anything else is asked of the stream.
    pub fn append(&mut self, bytes: &[u8]) {
        self.store.append(bytes);
        if let Some(early) = &self.early {
            early.overlay(0, self.store.last_mut(bytes.len()));
        }
    }

    /// The kept bytes from this offset on, all of them appended at once.
    pub fn tail(&mut self, offset: u64) -> &mut [u8] {
        self.store.last_mut(self.behind(offset))
    }

    /// Takes back everything from this offset on (appended at once): it may not pass yet. Returns
    /// it.
    pub fn take_back(&mut self, offset: u64) -> Vec<u8> {
        self.store.take_back(self.behind(offset))
    }

    /// How many bytes are kept from this offset on.
    fn behind(&self, offset: u64) -> usize {
        usize::try_from(self.judged().saturating_sub(offset)).unwrap_or(usize::MAX)
    }

    /// Whether bytes were let through ahead of a gap.
    #[must_use]
    pub const fn has_early(&self) -> bool {
        self.early.is_some()
    }

    /// Whether bytes pass unread.
    #[must_use]
    pub const fn is_opaque(&self) -> bool {
        self.is_opaque
    }

    /// Whether the last `filled` judged bytes have kept the value of those among them that were let
    /// through ahead of the gap. To be asked before [`Self::join_early`].
    #[must_use]
    pub fn agrees_with_early(&self, filled: usize) -> bool {
        let filled = self.store.last(filled);
        self.early.as_ref().is_none_or(|early| early.agrees_with(filled))
    }

    /// The first `filled` bytes after the old end were judged: appends the early bytes that follow
    /// them without a gap and returns how many those are, now to be judged.
    pub fn join_early(&mut self, filled: usize) -> usize {
        let Some(early) = &mut self.early else { return 0 };
        let joined = early.fill(filled);
        if early.is_empty() {
            self.early = None;
        }
        self.store.append(&joined);
        joined.len()
    }

    /// The bytes that would leave for a payload `distance` behind the gap: those let through
    /// before keep their value.
    #[must_use]
    pub fn preview(&self, distance: usize, payload: &[u8]) -> Vec<u8> {
        let mut bytes = payload.to_vec();
        if let Some(early) = &self.early {
            early.overlay(distance, &mut bytes);
        }
        bytes
    }

    /// Lets bytes through ahead of a gap.
    ///
    /// # Errors
    /// [`Violation::TooManyGaps`]: nothing was remembered, so nothing may leave.
    pub fn admit_early(&mut self, distance: usize, bytes: &[u8]) -> Result<(), Violation> {
        let early = self.early.get_or_insert_default();
        if early.add(distance, bytes) { Ok(()) } else { Err(Violation::TooManyGaps) }
    }

    /// Makes every byte of the payload that is about to leave equal to its one value: what the
    /// receiver has acknowledged is blanked, what is kept is restored.
    pub fn restore(&self, seq: Seq, length: usize, editor: &mut Editor<'_, '_>) {
        if self.is_opaque {
            return;
        }
        let stale = match self.place(seq, length) {
            Place::Below => length,
            Place::At { stale, .. } => stale,
            Place::Beyond { .. } => return,
        };
        editor.blank_payload(stale);
        let start = self.offset(seq).saturating_add_unsigned(stale as u64);
        let skip = start.saturating_sub_unsigned(self.acknowledged);
        let skip = usize::try_from(skip.max(0)).unwrap_or(usize::MAX);
        let mut at = stale;
        for piece in self.store.pieces(skip) {
            let piece = piece.get(..length - at).unwrap_or(piece);
            editor.overwrite(at, piece);
            at += piece.len();
        }
    }

    /// From here on bytes pass unread (TLS has begun).
    pub fn make_opaque(&mut self) {
        self.is_opaque = true;
        self.early = None;
    }

    /// Notes that an opaque payload passed: only its end matters.
    pub fn pass_opaque(&mut self, seq: Seq, length: usize) {
        let end = self.offset(seq).saturating_add_unsigned(length as u64);
        if let Ok(end) = u64::try_from(end)
            && end > self.judged()
        {
            self.store.forget(usize::MAX);
            self.acknowledged = end;
        }
    }

    /// The receiver has acknowledged what we never saw (nothing is dropped in monitor mode, and a
    /// capture may have holes): passes over the first gap, as far as this ACK covers it, and
    /// returns its length. `None` where nothing is missing.
    pub fn skip_gap(&mut self, ack: Seq) -> Option<usize> {
        let judged = self.judged();
        let covered = u64::try_from(self.offset(ack)).ok()?.checked_sub(judged)?;
        let covered = usize::try_from(covered).unwrap_or(usize::MAX);
        let gap = self.early.as_ref().map_or(usize::MAX, |early| early.gap());
        let missed = covered.min(gap);
        if missed == 0 {
            return None;
        }
        self.store.forget(usize::MAX);
        self.acknowledged = judged.saturating_add(missed as u64);
        Some(missed)
    }
}
