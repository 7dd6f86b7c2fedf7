//! The bytes between the receiver's ACK and the end of what was judged.
//!
//! ```text
//!   blocks  [ forgotten | kept ....... ] [ kept ........ ] [ kept ... ]
//!                       ^ head                                        ^ end
//!   offset              acknowledged                                  judged
//! ```
//! What is appended at once stands in one block, so that it can be judged in place. Blocks of bulk
//! data are reused: memory fresh from the system costs more than the copy into it.

use std::collections::VecDeque;
use std::sync::Arc;

use parking_lot::Mutex;

/// Size of a block of bulk data: the payload of any packet fits.
const BLOCK: usize = 64 << 10;

/// Size of a flow's first block: most commands and replies fit.
const BLOCK_MIN: usize = 64;

/// Spare blocks at most: 16 MiB, what a few bulk flows have in flight.
const SPARES_MAX: usize = 256;

/// Blocks of bulk data that no store needs just now.
#[derive(Debug, Default)]
pub struct Spares(Mutex<Vec<Vec<u8>>>);

impl Spares {
    fn take(&self) -> Vec<u8> {
        self.0.lock().pop().unwrap_or_else(|| Vec::with_capacity(BLOCK))
    }

    fn give(&self, mut block: Vec<u8>) {
        let mut spares = self.0.lock();
        if spares.len() < SPARES_MAX {
            block.clear();
            spares.push(block);
        }
    }
}

/// A queue of bytes: appended at the end, forgotten at the front. Most flows are idle most of the
/// time, so an empty one is next to nothing.
#[derive(Debug, Default)]
pub struct Store {
    kept: Option<Box<Kept>>,
    spares: Arc<Spares>,
}

#[derive(Debug, Default)]
struct Kept {
    blocks: VecDeque<Vec<u8>>,
    /// Bytes of the first block that are forgotten.
    head: usize,
    /// Bytes that are not; never 0 for long.
    length: usize,
}

impl Store {
    /// An empty store that takes and leaves its blocks here.
    #[must_use]
    pub fn sharing(spares: &Arc<Spares>) -> Self {
        Self { kept: None, spares: Arc::clone(spares) }
    }

    /// Bytes kept.
    #[must_use]
    pub const fn len(&self) -> usize {
        match &self.kept {
            Some(kept) => kept.length,
            None => 0,
        }
    }

    /// Whether none is kept.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The kept bytes from the `skip`th on, block by block.
    pub fn pieces(&self, skip: usize) -> impl Iterator<Item = &[u8]> {
        let head = self.kept.as_ref().map_or(0, |kept| kept.head);
        let mut skip = skip.saturating_add(head);
        self.kept.iter().flat_map(|kept| &kept.blocks).filter_map(move |block| {
            let piece = block.get(skip..);
            skip = skip.saturating_sub(block.len());
            piece.filter(|piece| !piece.is_empty())
        })
    }

    /// The last `count` bytes: they must have been appended at once.
    #[must_use]
    pub fn last(&self, count: usize) -> &[u8] {
        let Some(block) = self.kept.as_ref().and_then(|kept| kept.blocks.back()) else {
            return &[];
        };
        block.get(block.len().saturating_sub(count)..).unwrap_or_default()
    }

    /// The same, for judging.
    pub fn last_mut(&mut self, count: usize) -> &mut [u8] {
        let Some(block) = self.kept.as_mut().and_then(|kept| kept.blocks.back_mut()) else {
            return &mut [];
        };
        let start = block.len().saturating_sub(count);
        block.get_mut(start..).unwrap_or_default()
    }

    /// Adds bytes at the end.
    pub fn append(&mut self, bytes: &[u8]) {
        if bytes.is_empty() {
            return;
        }
        let kept = self.kept.get_or_insert_default();
        let has_room = |block: &&mut Vec<u8>| block.capacity() - block.len() >= bytes.len();
        if let Some(block) = kept.blocks.back_mut().filter(has_room) {
            block.extend_from_slice(bytes);
        } else {
            // Small stores stay small; each block holds as much as all before it.
            let size = bytes.len().max(kept.length).max(BLOCK_MIN);
            let mut block =
                if size > BLOCK / 2 { self.spares.take() } else { Vec::with_capacity(size) };
            block.extend_from_slice(bytes);
            kept.blocks.push_back(block);
        }
        kept.length += bytes.len();
    }

    /// Takes the last `count` bytes back: they must have been appended at once.
    pub fn take_back(&mut self, count: usize) -> Vec<u8> {
        let Some(kept) = &mut self.kept else { return Vec::new() };
        let Some(block) = kept.blocks.back_mut() else { return Vec::new() };
        let taken = block.split_off(block.len().saturating_sub(count));
        kept.length -= taken.len();
        if kept.length == 0 {
            self.forget(0);
        }
        taken
    }

    /// Forgets the oldest `count` bytes.
    pub fn forget(&mut self, count: usize) {
        let Some(kept) = &mut self.kept else { return };
        let count = count.min(kept.length);
        kept.length -= count;
        kept.head += count;
        while let Some(first) = kept.blocks.front()
            && (kept.head >= first.len() || kept.length == 0)
        {
            kept.head = kept.head.saturating_sub(first.len());
            if let Some(block) = kept.blocks.pop_front()
                && block.capacity() >= BLOCK
            {
                self.spares.give(block);
            }
        }
        if kept.length == 0 {
            self.kept = None;
        }
    }
}
