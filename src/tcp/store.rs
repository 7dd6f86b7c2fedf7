//! The bytes between the receiver's ACK and the end of what was appended.
//!
//! ```text
//!   pieces   [ forgotten | kept ....... ] [ kept ........ ] [ kept ... ]
//!                        ^ start                                       ^ end
//! ```
//! What is appended at once stands in one piece, so that it can be judged in place. Pieces are
//! found by offset, so no operation takes longer because more is kept.

use std::collections::VecDeque;
use std::sync::Arc;

use super::Memory;
use super::memory::{BLOCK, Spares};
use crate::offset::Offset;

/// A queue of bytes: appended at the end, forgotten at the front. Most flows are idle most of the
/// time, so an empty one is next to nothing.
#[derive(Debug)]
pub struct Store {
    kept: Option<Box<Kept>>,
    memory: Arc<Memory>,
}

/// What a store keeps.
#[derive(Debug, Default)]
pub(super) struct Kept {
    pieces: VecDeque<Piece>,
    /// The first offset that is not forgotten.
    start: Offset,
    /// Bytes of memory in all pieces.
    held: usize,
    /// From the first to behind the last edited byte; the same twice where none was.
    edited: (Offset, Offset),
}

#[derive(Debug)]
struct Piece {
    start: Offset,
    bytes: Vec<u8>,
}

impl Piece {
    const fn end(&self) -> Offset {
        self.start.after(self.bytes.len() as u64)
    }

    /// Its bytes from an offset on.
    fn from(&self, offset: Offset) -> &[u8] {
        let skip = usize::try_from(offset.since(self.start)).unwrap_or(usize::MAX);
        self.bytes.get(skip..).unwrap_or_default()
    }

    /// Whether so many bytes more need no other memory.
    const fn has_room(&self, count: usize) -> bool {
        self.bytes.capacity() - self.bytes.len() >= count
    }
}

impl Kept {
    /// Places in its list, taken or kept in reserve.
    pub(super) fn places(&self) -> usize {
        self.pieces.capacity()
    }

    /// Empty, and the next bytes stand here.
    pub(super) fn begin(&mut self, start: Offset) {
        self.pieces.clear();
        (self.start, self.held, self.edited) = (start, 0, (start, start));
    }

    fn end(&self) -> Offset {
        self.pieces.back().map_or(self.start, Piece::end)
    }

    fn push(&mut self, start: Offset, bytes: Vec<u8>, memory: &Memory) {
        self.held += bytes.capacity();
        memory.take(bytes.capacity());
        self.pieces.push_back(Piece { start, bytes });
    }

    /// A piece is out of the list.
    fn let_go(&mut self, piece: Piece, memory: &Memory, spares: &mut Spares) {
        self.held = self.held.saturating_sub(piece.bytes.capacity());
        memory.give_back(piece.bytes.capacity());
        spares.take_block(piece.bytes);
    }
}

impl Store {
    /// An empty store with this memory.
    #[must_use]
    pub fn new(memory: &Arc<Memory>) -> Self {
        Self { kept: None, memory: Arc::clone(memory) }
    }

    /// Where its memory is accounted.
    #[must_use]
    pub const fn memory(&self) -> &Arc<Memory> {
        &self.memory
    }

    /// Bytes of memory it occupies.
    #[must_use]
    pub fn held(&self) -> usize {
        self.kept.as_ref().map_or(0, |kept| kept.held)
    }

    /// The first byte that is kept; `empty` if none is.
    #[must_use]
    pub fn start(&self, empty: Offset) -> Offset {
        self.kept.as_ref().map_or(empty, |kept| kept.start)
    }

    /// Behind the last byte; `empty` if none is kept.
    #[must_use]
    pub fn end(&self, empty: Offset) -> Offset {
        self.kept.as_ref().map_or(empty, |kept| kept.end())
    }

    /// The kept bytes from an offset on, piece by piece.
    pub fn from(&self, offset: Offset) -> impl Iterator<Item = &[u8]> {
        self.kept.iter().flat_map(move |kept| {
            let offset = offset.max(kept.start);
            let first = kept.pieces.partition_point(|piece| piece.end() <= offset);
            kept.pieces.range(first..).map(move |piece| piece.from(offset))
        })
    }

    /// The kept bytes before an offset, piece by piece.
    pub fn before(&self, offset: Offset) -> impl Iterator<Item = &[u8]> {
        let mut left = usize::try_from(offset.since(self.start(offset))).unwrap_or(usize::MAX);
        self.from(Offset::ZERO).filter_map(move |piece| {
            let piece = piece.get(..piece.len().min(left))?;
            left -= piece.len();
            (!piece.is_empty()).then_some(piece)
        })
    }

    /// The bytes from an offset on: they must have been appended at once.
    #[must_use]
    pub fn last(&self, offset: Offset) -> &[u8] {
        let last = self.kept.as_ref().and_then(|kept| kept.pieces.back());
        last.map_or(&[], |piece| piece.from(offset))
    }

    /// The same, for judging.
    pub fn last_mut(&mut self, offset: Offset) -> &mut [u8] {
        let last = self.kept.as_mut().and_then(|kept| kept.pieces.back_mut());
        let Some(piece) = last else { return &mut [] };
        let skip = usize::try_from(offset.since(piece.start)).unwrap_or(usize::MAX);
        piece.bytes.get_mut(skip..).unwrap_or_default()
    }

    /// Notes that bytes from `from` to `to` are kept otherwise than they came.
    pub(super) fn note_edit(&mut self, from: Offset, to: Offset) {
        if let Some(kept) = &mut self.kept {
            let (first, last) = kept.edited;
            let is_first = first == last;
            kept.edited = if is_first { (from, to) } else { (first.min(from), last.max(to)) };
        }
    }

    /// From the first to behind the last edited byte that is kept: only there may a copy that its
    /// sender repeats differ from what is kept.
    pub(super) fn edited(&self) -> (Offset, Offset) {
        self.kept.as_ref().map_or_else(Default::default, |kept| kept.edited)
    }

    /// Adds bytes at the end, which is `at`.
    pub fn append(&mut self, at: Offset, bytes: &[u8], spares: &mut Spares) {
        if bytes.is_empty() {
            return;
        }
        let kept = self.kept.get_or_insert_with(|| spares.list(at));
        if let Some(last) = kept.pieces.back_mut().filter(|piece| piece.has_room(bytes.len())) {
            last.bytes.extend_from_slice(bytes);
            return;
        }
        // Small stores stay small; each block holds as much as all before it.
        let kept_bytes = usize::try_from(at.since(kept.start)).unwrap_or(usize::MAX);
        let mut block = spares.block(bytes.len().max(kept_bytes.min(BLOCK)));
        block.extend_from_slice(bytes);
        kept.push(at, block, &self.memory);
    }

    /// Adds a block at the end, which is `at`. As a piece of its own it costs a place in the list
    /// and an allocation, which nobody counts: so a small one is copied behind what is there.
    pub(super) fn append_block(&mut self, at: Offset, block: Vec<u8>, spares: &mut Spares) {
        if block.len() < BLOCK_MIN {
            return self.append(at, &block, spares);
        }
        let kept = self.kept.get_or_insert_with(|| spares.list(at));
        kept.push(at, block, &self.memory);
    }

    /// Forgets everything from an offset on, which was appended at once.
    #[inline]
    pub fn take_back(&mut self, offset: Offset, spares: &mut Spares) {
        if self.kept.as_ref().is_some_and(|kept| kept.end() > offset) {
            self.take_last_back(offset, spares);
        }
    }

    fn take_last_back(&mut self, offset: Offset, spares: &mut Spares) {
        let Some(kept) = &mut self.kept else { return };
        if let Some(last) = kept.pieces.back_mut() {
            let left = usize::try_from(offset.since(last.start)).unwrap_or(usize::MAX);
            last.bytes.truncate(left);
            if left == 0
                && let Some(last) = kept.pieces.pop_back()
            {
                kept.let_go(last, &self.memory, spares);
            }
        }
        if kept.end() <= kept.start {
            self.clear(spares);
        }
    }

    /// Forgets everything before an offset.
    #[inline]
    pub fn forget(&mut self, offset: Offset, spares: &mut Spares) {
        if self.kept.as_ref().is_some_and(|kept| kept.start < offset) {
            self.forget_first(offset, spares);
        }
    }

    fn forget_first(&mut self, start: Offset, spares: &mut Spares) {
        let Some(kept) = &mut self.kept else { return };
        kept.start = start;
        while let Some(first) = kept.pieces.pop_front_if(|first| first.end() <= start) {
            kept.let_go(first, &self.memory, spares);
        }
        if kept.pieces.is_empty() {
            self.clear(spares);
        }
    }

    /// Forgets everything.
    fn clear(&mut self, spares: &mut Spares) {
        if let Some(mut kept) = self.kept.take() {
            while let Some(piece) = kept.pieces.pop_back() {
                kept.let_go(piece, &self.memory, spares);
            }
            spares.take_list(kept);
        }
    }
}

/// Bytes of the smallest block that is kept as it is.
const BLOCK_MIN: usize = 2 << 10;

impl Drop for Store {
    fn drop(&mut self) {
        self.memory.give_back(self.held());
    }
}
