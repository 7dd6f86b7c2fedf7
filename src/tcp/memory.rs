//! Memory for bytes in flight: what is held in all, how much may be, and blocks in reserve.
//!
//! A [`Block`] counts itself from the moment it has room until it is dropped, by its capacity and
//! what it costs its owner beside: what is accounted is what is held, whoever drops it and wherever
//! a judgement stopped half-way. Blocks of bulk data are reused, last in, first out: memory fresh
//! from the system costs more than the copy into it, and what was used last is still in the
//! processor's cache.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use parking_lot::Mutex;

/// Size of a block of bulk data: the payload of any packet fits.
pub(super) const BLOCK: usize = 64 << 10;

/// Blocks in reserve at most: 16 MiB, what a few bulk flows have in flight. They are held on top of
/// [`Memory::held`].
const RESERVE_MAX: usize = 256;

/// What all streams of an engine hold.
#[derive(Debug)]
pub struct Memory {
    bytes_max: usize,
    held: AtomicUsize,
    reserve: Mutex<Vec<Vec<u8>>>,
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
        Self { bytes_max, held: AtomicUsize::new(0), reserve: Mutex::new(Vec::new()) }
    }

    /// Bytes held now, blocks in reserve not counted.
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

    /// What an owner of memory holds beside blocks has changed.
    pub(super) fn exchange(&self, before: usize, after: usize) {
        match after.checked_sub(before) {
            Some(0) => {}
            Some(more) => {
                self.held.fetch_add(more, Ordering::Relaxed);
            }
            None => {
                self.held.fetch_sub(before - after, Ordering::Relaxed);
            }
        }
    }

    /// An empty block with room for this many bytes.
    pub(super) fn block(self: &Arc<Self>, size: usize) -> Block {
        self.block_with(size, 0)
    }

    /// The same, which costs its owner so many bytes more: they count as held with it.
    pub(super) fn block_with(self: &Arc<Self>, size: usize, overhead: usize) -> Block {
        let is_bulk = size > BLOCK / 2 && size <= BLOCK;
        let reused = if is_bulk { self.reserve.lock().pop() } else { None };
        let size = if is_bulk { BLOCK } else { size };
        let bytes = reused.unwrap_or_else(|| Vec::with_capacity(size));
        self.held.fetch_add(bytes.capacity() + overhead, Ordering::Relaxed);
        Block { bytes, overhead, memory: Arc::clone(self) }
    }
}

/// Bytes that are counted as held.
#[derive(Debug)]
pub(super) struct Block {
    bytes: Vec<u8>,
    overhead: usize,
    memory: Arc<Memory>,
}

impl Block {
    pub(super) fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    pub(super) fn as_mut_bytes(&mut self) -> &mut [u8] {
        &mut self.bytes
    }

    pub(super) const fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Bytes it counts as.
    pub(super) const fn held(&self) -> usize {
        self.bytes.capacity() + self.overhead
    }

    /// Whether this many bytes more need no other memory.
    pub(super) const fn has_room(&self, count: usize) -> bool {
        self.bytes.capacity() - self.bytes.len() >= count
    }

    /// Adds bytes at the end, taking more memory if there is no room.
    pub(super) fn append(&mut self, bytes: &[u8]) {
        let before = self.held();
        self.bytes.extend_from_slice(bytes);
        self.memory.held.fetch_add(self.held() - before, Ordering::Relaxed);
    }

    /// A block of what follows the first `skip` bytes.
    pub(super) fn split_off(&self, skip: usize) -> Self {
        let rest = self.bytes.get(skip..).unwrap_or_default();
        let mut block = self.memory.block(rest.len());
        block.append(rest);
        block
    }

    /// Keeps the first `count` bytes.
    pub(super) fn truncate(&mut self, count: usize) {
        self.bytes.truncate(count);
    }
}

impl Drop for Block {
    fn drop(&mut self) {
        let mut bytes = std::mem::take(&mut self.bytes);
        self.memory.held.fetch_sub(bytes.capacity() + self.overhead, Ordering::Relaxed);
        if bytes.capacity() == BLOCK {
            bytes.clear();
            let mut reserve = self.memory.reserve.lock();
            if reserve.len() < RESERVE_MAX {
                reserve.push(bytes);
            }
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
