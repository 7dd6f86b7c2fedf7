//! One direction of a flow: from sequence numbers to offsets, first copy wins, judged bytes kept
//! until acknowledged.
//!
//! ```text
//!   0 ....... acknowledged ....... judged ...... appended ....... early runs ....... fin
//!   forgotten |  kept: every copy  |  being      |  next: to be   |  let through ahead
//!             |  is made equal     |  judged     |  appended      |  of a gap
//! ```
//! `acknowledged` is SND.UNA and `judged` SND.NXT of RFC 9293, as seen from the middle. Invariant:
//! what has left towards the receiver lies below `judged` or in an early run. In a stream that is
//! read, `judged` moves only by [`Stream::commit`] (and over what a capture lacks), so bytes whose
//! judgement did not come to an end never count as judged.

mod framed;
mod state;

use std::num::NonZeroU64;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::sparse::Sparse;
use super::{Early, Memory, Spares, Store, Violation, Window};
use crate::offset::Offset;
use crate::wire::{Editor, Seq};

pub use state::StreamState;

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
    /// SND.UNA: the receiver's cumulative ACK, never beyond what was judged.
    acknowledged: Offset,
    /// SND.NXT: the first offset not judged.
    judged: Offset,
    /// What the receiver is ready to take.
    window: Window,
    /// Bytes from `acknowledged` on, those under judgement at the end.
    store: Store,
    /// What few streams have; costs one pointer in all others.
    aside: Option<Box<Aside>>,
    /// One more than where the FIN stands, once one was let through.
    behind_fin: Option<NonZeroU64>,
    is_fin_acknowledged: bool,
    manner: Manner,
}

/// How bytes pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
enum Manner {
    /// All are judged and kept.
    Judged,
    /// Those that decide where others stand are (TLS records, whose payload decides nothing).
    Framed,
    /// None are.
    Opaque,
}

/// What few streams have.
#[derive(Debug)]
struct Aside {
    /// Bytes ahead of a gap.
    early: Early,
    framed: Option<Framed>,
}

/// What a framed stream has besides.
#[derive(Debug)]
struct Framed {
    /// The bytes that are kept behind the store.
    kept: Sparse,
    /// How far any have left.
    left: Offset,
}

impl Stream {
    /// A stream whose SYN had this sequence number.
    #[must_use]
    pub fn new(isn: Seq, window: Window, memory: &Arc<Memory>) -> Self {
        Self {
            base: isn.after(1),
            acknowledged: Offset::ZERO,
            judged: Offset::ZERO,
            window,
            store: Store::new(memory),
            aside: None,
            behind_fin: None,
            is_fin_acknowledged: false,
            manner: Manner::Judged,
        }
    }

    /// The first offset not judged yet.
    #[must_use]
    pub const fn judged(&self) -> Offset {
        self.judged
    }

    /// The receiver's cumulative ACK.
    #[must_use]
    pub const fn acknowledged(&self) -> Offset {
        self.acknowledged
    }

    /// Whether this number lies no more than `reach` bytes below the ACK, or beyond what has left.
    #[must_use]
    pub fn is_near(&self, seq: Seq, reach: u32) -> bool {
        self.is_between(seq, reach, whole(self.left()).saturating_add(reach.into()))
    }

    /// Whether this number lies no more than `below` bytes below the ACK, and not beyond the
    /// window.
    #[must_use]
    pub fn may_begin_at(&self, seq: Seq, below: u32) -> bool {
        self.is_between(seq, below, whole(self.window.end()))
    }

    /// Whether it lies no more than `below` bytes below the ACK, and not beyond `end`.
    fn is_between(&self, seq: Seq, below: u32, end: i64) -> bool {
        (whole(self.acknowledged) - i64::from(below)..=end).contains(&self.start(seq))
    }

    /// Bytes of memory this direction occupies.
    #[must_use]
    pub fn held(&self) -> usize {
        let aside = self.aside.as_ref().map_or(0, |aside| aside.held());
        self.store.held() + aside
    }

    /// Whether the FIN was let through and acknowledged.
    #[must_use]
    pub const fn is_finished(&self) -> bool {
        self.is_fin_acknowledged
    }

    /// Where the FIN stands.
    #[must_use]
    pub fn fin(&self) -> Option<Offset> {
        self.behind_fin.map(|behind| Offset::new(behind.get() - 1))
    }

    /// The sequence number of an offset.
    #[must_use]
    pub const fn seq(&self, offset: Offset) -> Seq {
        self.base.after((offset.value() & 0xffff_ffff) as u32)
    }

    /// How far a sequence number lies behind what comes next; negative before it.
    const fn distance(&self, seq: Seq) -> i64 {
        seq.distance_from(self.seq(self.judged))
    }

    /// Where a sequence number lies, by offset; negative before the stream's first byte.
    fn start(&self, seq: Seq) -> i64 {
        whole(self.judged).saturating_add(self.distance(seq))
    }

    /// The offset of a sequence number, by the shorter way from what comes next; none for numbers
    /// before the stream's first byte.
    #[must_use]
    pub fn offset(&self, seq: Seq) -> Option<Offset> {
        self.judged.value().checked_add_signed(self.distance(seq)).map(Offset::new)
    }

    /// The sequence numbers a RST to the receiver may have to carry: its next expected byte is one
    /// of these, or between them where its ACK is still on the way.
    pub fn reset_seqs(&self) -> impl Iterator<Item = Seq> + use<> {
        let end = self.left().after(u64::from(self.behind_fin.is_some()));
        let first = self.seq(self.acknowledged.after(u64::from(self.is_fin_acknowledged)));
        let last = self.seq(end);
        std::iter::once(first).chain((last != first).then_some(last))
    }

    /// Behind the last byte that may have left. What a header has announced has not, yet.
    fn left(&self) -> Offset {
        match self.framed() {
            Some(framed) if self.is_framed() => {
                self.fin().unwrap_or_default().max(framed.left).max(self.acknowledged)
            }
            Some(_) | None => self.judged,
        }
    }

    /// Whether the receiver looks at more of a segment with this number and so many bytes than the
    /// number (RFC 9293 3.10.7.4). What it has received is at least what it has acknowledged, and
    /// its sender knows no more of the window than is known here.
    #[must_use]
    pub fn is_acceptable(&self, seq: Seq, length: usize) -> bool {
        let (start, next) = (self.start(seq), whole(self.acknowledged));
        let is_old = if length == 0 {
            start < next
        } else {
            start.saturating_add_unsigned(length as u64) <= next
        };
        !is_old && start <= whole(self.window.end())
    }

    /// Whether an ACK covers bytes that never left towards the receiver.
    #[must_use]
    pub fn is_unsent(&self, ack: Seq) -> bool {
        self.is_beyond(ack, self.left())
    }

    /// Whether an ACK covers more than all below this offset, and the FIN if that stands there.
    fn is_beyond(&self, ack: Seq, end: Offset) -> bool {
        let fin = u64::from(self.fin() == Some(end));
        self.offset(ack).is_some_and(|offset| offset > end.after(fin))
    }

    /// Whether no receiver could send this ACK.
    ///
    /// # Errors
    /// [`Violation::AckOfUnsent`] if it covers bytes that were neither judged nor announced,
    /// [`Violation::OldAck`] if no receiver could still send it (RFC 5961 5.2).
    pub fn check_ack(&self, ack: Seq) -> Result<(), Violation> {
        let oldest = i64::try_from(self.judged.since(self.acknowledged)).unwrap_or(i64::MAX);
        let oldest = oldest.saturating_add(i64::from(self.window.largest()));
        if self.distance(ack) < oldest.saturating_neg() {
            return Err(Violation::OldAck);
        }
        if self.is_beyond(ack, self.judged) && !self.is_opaque() {
            return Err(Violation::AckOfUnsent);
        }
        Ok(())
    }

    /// Takes the receiver's cumulative ACK and window.
    ///
    /// # Errors
    /// As [`Self::check_ack`]. Nothing is taken then.
    pub fn acknowledge(
        &mut self,
        ack: Seq,
        window: u16,
        spares: &mut Spares,
    ) -> Result<(), Violation> {
        self.check_ack(ack)?;
        // Before the stream's first byte nothing was offered.
        let Some(offset) = self.offset(ack) else { return Ok(()) };
        self.window.offer(offset, window);
        if self.is_opaque() {
            self.judged = self.judged.max(offset);
            self.forget(offset, spares);
            return Ok(());
        }
        // A framed stream may end before what its last header announced.
        self.is_fin_acknowledged |= self.fin().is_some_and(|fin| offset > fin);
        let end = self.fin().map_or(self.judged, |fin| fin.min(self.judged));
        self.forget(offset.min(end), spares);
        Ok(())
    }

    /// Whether an ACK covers bytes that never came by.
    #[must_use]
    pub fn lacks(&self, ack: Seq) -> bool {
        let end = self.offset(ack).unwrap_or_default();
        let end = self.fin().map_or(end, |fin| end.min(fin));
        let unjudged = usize::try_from(end.since(self.judged)).unwrap_or(usize::MAX);
        unjudged > self.early().map_or(0, |early| early.seen(self.judged, unjudged))
    }

    /// The first offset that a receiver does not offer to take which says this.
    #[must_use]
    pub fn offered(&self, ack: Seq, window: u16) -> Offset {
        self.offset(ack).unwrap_or_default().after(self.window.size(window).into())
    }

    /// Whether a receiver that keeps to the window it offered can acknowledge so much.
    #[must_use]
    pub fn is_offered(&self, ack: Seq) -> bool {
        self.offset(ack).is_some_and(|offset| offset <= self.window.end())
    }

    /// Takes an ACK of bytes that went on before they were judged, as far as they are by now.
    pub fn acknowledge_early(&mut self, ack: Seq, window: u16, spares: &mut Spares) {
        let Some(offset) = self.offset(ack) else { return };
        self.window.offer(offset, window);
        self.is_fin_acknowledged |= self.fin().is_some_and(|fin| offset > fin);
        self.forget(offset.min(self.judged), spares);
    }

    fn forget(&mut self, acknowledged: Offset, spares: &mut Spares) {
        self.acknowledged = self.acknowledged.max(acknowledged);
        self.store.forget(self.acknowledged, spares);
        if let Some(framed) = self.aside.as_mut().and_then(|aside| aside.framed.as_mut()) {
            framed.kept.forget(self.acknowledged);
        }
    }

    /// Where a payload lies (which is not empty).
    #[must_use]
    pub fn place(&self, seq: Seq, length: usize) -> Place {
        let start = self.distance(seq);
        let end = start.saturating_add_unsigned(length as u64);
        let clamp = |bytes: i64| usize::try_from(bytes.max(0)).unwrap_or(usize::MAX).min(length);
        let kept = i64::try_from(self.judged.since(self.acknowledged)).unwrap_or(i64::MAX);
        if start > 0 {
            Place::Beyond { distance: usize::try_from(start).unwrap_or(usize::MAX) }
        } else if end <= -kept {
            Place::Below
        } else {
            Place::At { stale: clamp(-kept - start), known: clamp(-start) }
        }
    }

    /// The first byte of a payload that may be kept, by its offset and by its place in there. What
    /// is kept begins at the receiver's ACK, or behind it where a flow goes on although all was
    /// discarded. A payload may begin before the stream does: a keep-alive repeats the byte before
    /// the next one.
    fn first_kept(&self, seq: Seq, length: usize) -> (Offset, usize) {
        let first = self.store.start(self.judged).max(self.acknowledged);
        let at = self.offset(seq).unwrap_or(Offset::ZERO).max(first);
        (at, self.before(first, seq, length))
    }

    /// How many of `length` payload bytes from `seq` on lie before this offset.
    fn before(&self, end: Offset, seq: Seq, length: usize) -> usize {
        let room = whole(end).saturating_sub(self.start(seq));
        usize::try_from(room.max(0)).unwrap_or(usize::MAX).min(length)
    }

    /// How many of `length` payload bytes from `seq` on lie below the FIN, if it has a place yet.
    #[must_use]
    pub fn before_fin(&self, seq: Seq, length: usize) -> usize {
        self.fin().map_or(length, |fin| self.before(fin, seq, length))
    }

    /// How many of `length` payload bytes from `seq` on the receiver is ready to take.
    #[must_use]
    pub fn within_window(&self, seq: Seq, length: usize) -> usize {
        self.before(self.window.end(), seq, length)
    }

    /// Whether everything up to the FIN was judged.
    #[must_use]
    pub fn has_ended(&self) -> bool {
        self.fin().is_some_and(|fin| fin <= self.judged)
    }

    /// Notes that a FIN went on to its receiver, though what stands before it was not judged.
    pub fn note_fin(&mut self, seq: Seq) {
        let is_offered = self.within_window(seq, 1) == 1;
        if let Some(offset) = self.offset(seq).filter(|&at| is_offered && at >= self.judged) {
            let behind = NonZeroU64::new(offset.value().saturating_add(1));
            self.behind_fin = self.behind_fin.or(behind);
        }
    }

    /// Decides about a FIN that stands at `seq`: it passes where it passed before, or, the first
    /// time, where the judged bytes end.
    pub fn admit_fin(&mut self, seq: Seq) -> bool {
        let Some(offset) = self.offset(seq) else { return false };
        match self.fin() {
            Some(fin) => fin == offset,
            None if offset == self.judged || self.may_end_at(offset) => {
                self.behind_fin = NonZeroU64::new(offset.value().saturating_add(1));
                true
            }
            None => false,
        }
    }

    /// Appends bytes at [`Self::judged`]; they are to be judged in place (through [`Self::tail`])
    /// and then committed, or taken back. True if they contradict bytes let through ahead of the
    /// gap, which keep their value.
    pub fn append(&mut self, bytes: &[u8], spares: &mut Spares) -> bool {
        // What a judgement that never ended left behind is nobody's.
        self.store.take_back(self.judged, spares);
        self.store.append(self.judged, bytes, spares);
        let judged = self.judged;
        let aside = self.aside.as_ref();
        aside.is_some_and(|aside| aside.early.overlay(judged, self.store.last_mut(judged)))
    }

    /// The appended bytes from this offset on.
    pub fn tail(&mut self, offset: Offset) -> &mut [u8] {
        self.store.last_mut(offset.max(self.judged))
    }

    /// Behind the last appended byte.
    #[must_use]
    pub fn appended(&self) -> Offset {
        self.store.end(self.judged).max(self.judged)
    }

    /// Everything appended below this offset was ruled on: it counts as judged, for ever. The rest
    /// may not pass yet and is forgotten.
    pub fn commit(&mut self, end: Offset, spares: &mut Spares) {
        self.store.take_back(end, spares);
        self.judged = self.judged.max(end);
        // Acknowledged bytes may have been skipped over with what was committed.
        self.store.forget(self.acknowledged, spares);
    }

    /// The kept bytes from an offset on, piece by piece.
    pub fn kept_from(&self, offset: Offset) -> impl Iterator<Item = &[u8]> {
        self.store.from(offset)
    }

    /// Notes that bytes from `from` to `to` leave otherwise than they came.
    pub fn note_edit(&mut self, from: Offset, to: Offset) {
        self.store.note_edit(from, to);
    }

    /// Whether a copy of bytes that were judged before says something else, where we changed
    /// nothing: no TCP repeats itself so.
    #[must_use]
    pub fn is_contradicted_by(&self, seq: Seq, known: &[u8]) -> bool {
        let (mut at, skipped) = self.first_kept(seq, known.len());
        let mut rest = known.get(skipped..).unwrap_or_default();
        for kept in self.kept_from(at) {
            let length = kept.len().min(rest.len());
            let (Some(kept), Some(copy)) = (kept.get(..length), rest.get(..length)) else { break };
            if kept != copy && self.differs_outside_edits(at, kept, copy) {
                return true;
            }
            rest = rest.get(length..).unwrap_or_default();
            at = at.after(length as u64);
        }
        false
    }

    fn differs_outside_edits(&self, at: Offset, kept: &[u8], copy: &[u8]) -> bool {
        let (from, to) = self.store.edited();
        kept.iter().zip(copy).enumerate().any(|(index, (kept, copy))| {
            let offset = at.after(index as u64);
            kept != copy && !(from <= offset && offset < to)
        })
    }

    /// Whether bytes were let through ahead of a gap.
    #[must_use]
    pub fn has_early(&self) -> bool {
        match &self.aside {
            Some(aside) => !aside.early.is_empty(),
            None => false,
        }
    }

    /// Bytes of memory that those ahead of a gap occupy.
    #[must_use]
    pub fn held_early(&self) -> usize {
        self.early().map_or(0, Early::held)
    }

    /// Whether all of so many bytes behind the gap were let through before.
    #[must_use]
    pub fn has_early_at(&self, distance: usize, length: usize) -> bool {
        let at = self.judged.after(distance as u64);
        self.early().map_or(0, |early| early.seen(at, length)) == length
    }

    /// Whether bytes pass unread.
    #[must_use]
    pub const fn is_opaque(&self) -> bool {
        matches!(self.manner, Manner::Opaque)
    }

    /// Whether the appended bytes up to `end` have kept the value of those among them that were let
    /// through ahead of the gap. To be asked before they are committed.
    #[must_use]
    pub fn agrees_with_early(&self, end: Offset) -> bool {
        let appended = self.store.last(self.judged);
        let length = usize::try_from(end.since(self.judged)).unwrap_or(usize::MAX);
        let appended = appended.get(..length).unwrap_or(appended);
        self.early().is_none_or(|early| early.agrees_with(self.judged, appended))
    }

    /// Appends the early bytes that stand at [`Self::judged`], now to be judged, and says how many
    /// that is; 0 if there are none.
    pub fn append_early(&mut self, spares: &mut Spares) -> usize {
        let Some(block) = self.take_early() else { return 0 };
        let length = block.len();
        self.store.append_block(self.judged, block, spares);
        length
    }

    /// What leaves in place of a payload `distance` behind the gap, where it contradicts what of it
    /// was let through before.
    #[must_use]
    pub fn overlay(&self, distance: usize, payload: &[u8]) -> Option<Vec<u8>> {
        self.early()?.instead_of(self.judged.after(distance as u64), payload)
    }

    /// Lets bytes through ahead of a gap, once [`Self::overlay`] was asked for what leaves.
    ///
    /// # Errors
    /// [`Violation::TooManyGaps`]: nothing was remembered, so nothing may leave.
    pub fn admit_early(&mut self, distance: usize, bytes: &[u8]) -> Result<(), Violation> {
        let at = self.judged.after(distance as u64);
        let memory = self.store.memory();
        let aside = self.aside.get_or_insert_with(|| Box::new(Aside::new(memory)));
        if aside.early.add(at, bytes) { Ok(()) } else { Err(Violation::TooManyGaps) }
    }

    /// Makes every byte of the payload that is about to leave equal to its one value: what the
    /// receiver has acknowledged is blanked, what is kept is restored.
    pub fn restore(&self, seq: Seq, length: usize, editor: &mut Editor<'_, '_>) {
        let stale = match self.place(seq, length) {
            Place::Below => length,
            Place::At { stale, .. } => stale,
            Place::Beyond { .. } => return,
        };
        editor.blank_payload(stale);
        let (first, mut at) = self.first_kept(seq, length);
        for piece in self.kept_from(first) {
            let Some(piece) = piece.get(..piece.len().min(length - at)) else { break };
            if piece.is_empty() {
                break;
            }
            editor.overwrite(at, piece);
            at += piece.len();
        }
        for (at, kept) in self.framed_within(seq, length) {
            editor.overwrite(at, kept);
        }
    }

    /// From here on bytes pass unread (TLS has begun).
    pub fn make_opaque(&mut self) {
        if let Some(framed) = self.framed() {
            // What was announced and has not left is not known to be there.
            self.judged = self.acknowledged.max(framed.left);
        }
        self.manner = Manner::Opaque;
        if let Some(aside) = &mut self.aside {
            aside.early = Early::new(self.store.memory());
        }
        self.drop_aside();
    }

    /// Forgets the bytes themselves: nothing of this stream will pass any more.
    pub fn discard(&mut self) {
        self.store = Store::new(self.store.memory());
        self.aside = None;
    }

    /// Notes that an opaque payload passed: only its end matters. What was judged before is kept:
    /// its copies may still come.
    pub fn pass_opaque(&mut self, seq: Seq, length: usize) {
        let end = self.offset(seq.after(u32::try_from(length).unwrap_or(u32::MAX)));
        self.judged = self.judged.max(end.unwrap_or_default());
    }

    /// The receiver has acknowledged what we never saw (nothing is dropped in monitor mode, and a
    /// capture may have holes): passes over the first gap, as far as this ACK covers it, and
    /// returns its length. `None` where nothing is missing.
    pub fn skip_gap(&mut self, ack: Seq, spares: &mut Spares) -> Option<u64> {
        let covered = u64::try_from(self.distance(ack)).ok()?;
        let covered = self.fin().map_or(covered, |fin| covered.min(fin.since(self.judged)));
        let first = self.early().and_then(|early| early.start());
        let gap = first.map_or(u64::MAX, |first| first.since(self.judged));
        let missed = covered.min(gap);
        if missed == 0 {
            return None;
        }
        self.judged = self.judged.after(missed);
        self.forget(self.judged, spares);
        Some(missed)
    }
}

/// An offset as a number that others can be below.
fn whole(offset: Offset) -> i64 {
    i64::try_from(offset.value()).unwrap_or(i64::MAX)
}
