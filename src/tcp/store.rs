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

/// A queue of bytes: appended at the end, forgotten at the front.
#[derive(Debug, Default)]
pub struct Store {
    blocks: VecDeque<Vec<u8>>,
    /// Bytes of the first block that are forgotten.
    head: usize,
    /// Bytes kept.
    length: usize,
    spares: Arc<Spares>,
}

impl Store {
    /// An empty store that takes and leaves its blocks here.
    #[must_use]
    pub fn sharing(spares: &Arc<Spares>) -> Self {
        Self { spares: Arc::clone(spares), ..Self::default() }
    }

    /// Bytes kept.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.length
    }

    /// Whether none is kept.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.length == 0
    }

    /// The kept bytes from the `skip`th on, block by block.
    pub fn pieces(&self, skip: usize) -> impl Iterator<Item = &[u8]> {
        let mut skip = skip.saturating_add(self.head);
        self.blocks.iter().filter_map(move |block| {
            let piece = block.get(skip..);
            skip = skip.saturating_sub(block.len());
            piece.filter(|piece| !piece.is_empty())
        })
    }

    /// The last `count` bytes: they must have been appended at once.
    #[must_use]
    pub fn last(&self, count: usize) -> &[u8] {
        let Some(block) = self.blocks.back() else { return &[] };
        block.get(block.len().saturating_sub(count)..).unwrap_or_default()
    }

    /// The same, for judging.
    pub fn last_mut(&mut self, count: usize) -> &mut [u8] {
        let Some(block) = self.blocks.back_mut() else { return &mut [] };
        let start = block.len().saturating_sub(count);
        block.get_mut(start..).unwrap_or_default()
    }

    /// Adds bytes at the end.
    pub fn append(&mut self, bytes: &[u8]) {
        let has_room = |block: &&mut Vec<u8>| block.capacity() - block.len() >= bytes.len();
        if let Some(block) = self.blocks.back_mut().filter(has_room) {
            block.extend_from_slice(bytes);
        } else {
            // Small stores stay small; each block holds as much as all before it.
            let size = bytes.len().max(self.length).max(BLOCK_MIN);
            let mut block =
                if size > BLOCK / 2 { self.spares.take() } else { Vec::with_capacity(size) };
            block.extend_from_slice(bytes);
            self.blocks.push_back(block);
        }
        self.length += bytes.len();
    }

    /// Takes the last `count` bytes back: they must have been appended at once.
    pub fn take_back(&mut self, count: usize) -> Vec<u8> {
        let Some(block) = self.blocks.back_mut() else { return Vec::new() };
        let taken = block.split_off(block.len().saturating_sub(count));
        self.length -= taken.len();
        taken
    }

    /// Forgets the oldest `count` bytes.
    pub fn forget(&mut self, count: usize) {
        let count = count.min(self.length);
        self.length -= count;
        self.head += count;
        while let Some(first) = self.blocks.front()
            && (self.head >= first.len() || self.length == 0)
        {
            self.head = self.head.saturating_sub(first.len());
            if let Some(block) = self.blocks.pop_front()
                && block.capacity() >= BLOCK
            {
                self.spares.give(block);
            }
        }
        if self.is_empty() {
            self.head = 0;
            self.blocks.shrink_to_fit();
        }
    }
}
