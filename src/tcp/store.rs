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
use super::memory::{BLOCK, Block};
use crate::offset::Offset;

/// Size of a flow's first block: most commands and replies fit.
const BLOCK_MIN: usize = 64;

/// A queue of bytes: appended at the end, forgotten at the front. Most flows are idle most of the
/// time, so an empty one is next to nothing.
#[derive(Debug)]
pub struct Store {
    kept: Option<Box<Kept>>,
    memory: Arc<Memory>,
}

#[derive(Debug)]
struct Kept {
    pieces: VecDeque<Piece>,
    /// The first offset that is not forgotten.
    start: Offset,
    /// Bytes of memory in all pieces.
    held: usize,
}

#[derive(Debug)]
struct Piece {
    start: Offset,
    block: Block,
}

impl Piece {
    const fn end(&self) -> Offset {
        self.start.after(self.block.len() as u64)
    }

    /// Its bytes from an offset on.
    fn from(&self, offset: Offset) -> &[u8] {
        let skip = usize::try_from(offset.since(self.start)).unwrap_or(usize::MAX);
        self.block.as_bytes().get(skip..).unwrap_or_default()
    }
}

impl Kept {
    fn end(&self) -> Offset {
        self.pieces.back().map_or(self.start, Piece::end)
    }
}

impl Store {
    /// An empty store with this memory.
    #[must_use]
    pub fn new(memory: &Arc<Memory>) -> Self {
        Self { kept: None, memory: Arc::clone(memory) }
    }

    /// Where its memory comes from.
    #[must_use]
    pub const fn memory(&self) -> &Arc<Memory> {
        &self.memory
    }

    /// Bytes of memory it occupies.
    #[must_use]
    pub fn held(&self) -> usize {
        self.kept.as_ref().map_or(0, |kept| kept.held)
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
        piece.block.as_mut_bytes().get_mut(skip..).unwrap_or_default()
    }

    /// Adds bytes at the end, which is `at`.
    pub fn append(&mut self, at: Offset, bytes: &[u8]) {
        if bytes.is_empty() {
            return;
        }
        let memory = &self.memory;
        let kept = self.kept.get_or_insert_with(|| Kept::new(at));
        if let Some(last) = kept.pieces.back_mut().filter(|piece| piece.block.has_room(bytes.len()))
        {
            last.block.append(bytes);
            return;
        }
        // Small stores stay small; each block holds as much as all before it.
        let kept_bytes = usize::try_from(at.since(kept.start)).unwrap_or(usize::MAX);
        let size = bytes.len().max(kept_bytes.min(BLOCK)).max(BLOCK_MIN);
        let mut block = memory.block(size);
        block.append(bytes);
        kept.push(at, block);
    }

    /// Adds a block at the end, which is `at`.
    pub(super) fn append_block(&mut self, at: Offset, block: Block) {
        if block.len() > 0 {
            self.kept.get_or_insert_with(|| Kept::new(at)).push(at, block);
        }
    }

    /// Forgets everything from an offset on, which was appended at once.
    pub fn take_back(&mut self, offset: Offset) {
        let Some(kept) = &mut self.kept else { return };
        if let Some(last) = kept.pieces.back_mut() {
            let left = usize::try_from(offset.since(last.start)).unwrap_or(usize::MAX);
            last.block.truncate(left);
            if left == 0 {
                kept.held = kept.held.saturating_sub(last.block.held());
                kept.pieces.pop_back();
            }
        }
        if kept.end() <= kept.start {
            self.kept = None;
        }
    }

    /// Forgets everything before an offset.
    pub fn forget(&mut self, offset: Offset) {
        let Some(kept) = &mut self.kept else { return };
        kept.start = kept.start.max(offset);
        while let Some(first) = kept.pieces.front()
            && first.end() <= kept.start
        {
            kept.held = kept.held.saturating_sub(first.block.held());
            kept.pieces.pop_front();
        }
        if kept.pieces.is_empty() {
            self.kept = None;
        }
    }
}

impl Kept {
    fn new(start: Offset) -> Box<Self> {
        Box::new(Self { pieces: VecDeque::new(), start, held: 0 })
    }

    fn push(&mut self, start: Offset, block: Block) {
        self.held += block.held();
        self.pieces.push_back(Piece { start, block });
    }
}
