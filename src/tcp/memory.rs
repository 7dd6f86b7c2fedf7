//! Memory for bytes in flight: what is held in all, how much may be, and blocks to use again.
//!
//! Who holds blocks says so to [`Memory`], by their capacity and what they cost beside: what is
//! accounted is what is held. What one packet's ACK sets free the next packet needs, so each worker
//! keeps [`Spares`] of its own, last in, first out: an allocator costs more than the copy into a
//! block, and what was used last is still in the processor's cache.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::store::Kept;
use crate::offset::Offset;

/// Size of a block of bulk data: the payload of any packet fits.
pub(super) const BLOCK: usize = 64 << 10;

/// Sizes of blocks: most lines fit into the first or the second, the payload of a packet on
/// Ethernet into the third.
const SIZES: [usize; 5] = [64, 256, 2 << 10, 16 << 10, BLOCK];

/// Spare blocks of each size at most. Of the largest 16 MiB, what a few bulk flows have in flight;
/// of all others together less than 4 MiB. They are held on top of [`Memory::held`].
const SPARES_MAX: [usize; SIZES.len()] = [1_024, 1_024, 512, 128, 256];

/// Spare lists of blocks at most.
const LISTS_MAX: usize = 1_024;

/// Places of a spare list at most: 4 MiB of the largest blocks.
const PLACES_MAX: usize = 64;

/// What all streams of an engine hold.
#[derive(Debug)]
pub struct Memory {
    bytes_max: usize,
    held: AtomicUsize,
}

impl Default for Memory {
    fn default() -> Self {
        Self::new(usize::MAX)
    }
}

impl Memory {
    /// Memory of which at most this many bytes are to be held.
    #[must_use]
    pub const fn new(bytes_max: usize) -> Self {
        Self { bytes_max, held: AtomicUsize::new(0) }
    }

    /// Bytes held now, spare blocks not counted.
    #[must_use]
    pub fn held(&self) -> usize {
        self.held.load(Ordering::Relaxed)
    }

    /// Bytes that may be held.
    #[must_use]
    pub const fn bytes_max(&self) -> usize {
        self.bytes_max
    }

    /// Whether so many bytes more may be held. Threads that ask at once may together go over the
    /// limit by what each asked for.
    #[must_use]
    pub fn has_room(&self, bytes: usize) -> bool {
        self.held().saturating_add(bytes) <= self.bytes_max
    }

    /// What an owner of memory holds has changed.
    pub(super) fn exchange(&self, before: usize, after: usize) {
        self.take(after.saturating_sub(before));
        self.give_back(before.saturating_sub(after));
    }

    /// So many bytes more are held.
    pub(super) fn take(&self, bytes: usize) {
        if bytes > 0 {
            self.held.fetch_add(bytes, Ordering::Relaxed);
        }
    }

    /// So many bytes are held no more.
    pub(super) fn give_back(&self, bytes: usize) {
        if bytes > 0 {
            self.held.fetch_sub(bytes, Ordering::Relaxed);
        }
    }
}

/// Memory that one worker has used and will use again.
#[derive(Debug, Default)]
pub struct Spares {
    blocks: [Vec<Vec<u8>>; SIZES.len()],
    #[expect(clippy::vec_box, reason = "the box is what is used again")]
    lists: Vec<Box<Kept>>,
}

impl Spares {
    /// An empty block with room for this many bytes.
    pub(super) fn block(&mut self, size: usize) -> Vec<u8> {
        let kind = SIZES.iter().zip(&mut self.blocks).find(|(room, _)| size <= **room);
        let Some((&room, spare)) = kind else { return Vec::with_capacity(size) };
        spare.pop().unwrap_or_else(|| Vec::with_capacity(room))
    }

    /// A block is needed no more.
    pub(super) fn take_block(&mut self, mut block: Vec<u8>) {
        let kinds = SIZES.iter().zip(SPARES_MAX).zip(&mut self.blocks);
        let kind = kinds.into_iter().find(|((room, _), _)| block.capacity() == **room);
        if let Some(((_, most), spare)) = kind
            && spare.len() < most
        {
            block.clear();
            spare.push(block);
        }
    }

    /// A list of blocks without any, for bytes that begin here.
    pub(super) fn list(&mut self, start: Offset) -> Box<Kept> {
        let mut list = self.lists.pop().unwrap_or_default();
        list.begin(start);
        list
    }

    /// A list is needed no more.
    pub(super) fn take_list(&mut self, list: Box<Kept>) {
        if self.lists.len() < LISTS_MAX && list.places() <= PLACES_MAX {
            self.lists.push(list);
        }
    }
}

/// Memory that somebody else has, counted as held until this is dropped.
#[derive(Debug)]
pub struct Reserved {
    bytes: usize,
    memory: Arc<Memory>,
}

impl Reserved {
    /// None yet.
    #[must_use]
    pub fn new(memory: &Arc<Memory>) -> Self {
        Self { bytes: 0, memory: Arc::clone(memory) }
    }

    /// Bytes it stands for.
    #[must_use]
    pub const fn held(&self) -> usize {
        self.bytes
    }

    /// It is so many bytes now.
    pub fn set(&mut self, bytes: usize) {
        self.memory.exchange(self.bytes, bytes);
        self.bytes = bytes;
    }
}

impl Drop for Reserved {
    fn drop(&mut self) {
        self.memory.exchange(self.bytes, 0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A short line costs little, and a payload on Ethernet no more than its size rounded up.
    #[test]
    fn a_block_is_the_smallest_that_holds_the_bytes() {
        for (bytes, expected) in
            [(1, 64), (64, 64), (65, 256), (1_448, 2_048), (9_000, 16_384), (65_535, 65_536)]
        {
            assert_eq!(Spares::default().block(bytes).capacity(), expected, "{bytes} bytes");
        }
    }

    #[test]
    fn spares_are_bounded() {
        let mut spares = Spares::default();
        for (size, most) in SIZES.into_iter().zip(SPARES_MAX) {
            (0..=most).for_each(|_| spares.take_block(Vec::with_capacity(size)));
        }
        (0..=LISTS_MAX).for_each(|_| spares.take_list(Box::default()));
        assert_eq!(spares.blocks.each_ref().map(Vec::len), SPARES_MAX);
        assert_eq!(spares.lists.len(), LISTS_MAX);
    }
}
