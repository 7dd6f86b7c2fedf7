//! Bytes let through ahead of a gap: which, and with what value.
//!
//! They were mail data as far as anyone could tell; when the gap closes they are judged, and until
//! the receiver acknowledges them every other copy is made equal to them.
//!
//! ```text
//!   edge ┄┄┄ gap ┄┄┄ [ chunk ][ chunk ] ┄┄ gap ┄┄ [ chunk ]
//!                    └───── a run ────┘           └ a run ┘
//! ```
//! Bytes are kept where they came, in chunks that are never merged: a packet costs time by the
//! bytes it carries and the chunks it touches, whatever else is kept and however far away.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::Memory;
use super::memory::BLOCK;
use crate::offset::Offset;

/// Separate runs behind gaps that are followed. A sender that lost more packets than this in one
/// window repeats the rest.
const RUNS_MAX: usize = 16;

/// Memory of a chunk beside its bytes: its place in the tree, and what an allocator adds.
const CHUNK_OVERHEAD: usize = 96;

/// A chunk takes no more bytes than this: it is appended to the store as one piece.
const CHUNK_MAX: usize = BLOCK;

/// The runs behind the gap.
#[derive(Debug)]
pub struct Early {
    chunks: BTreeMap<Offset, Vec<u8>>,
    runs: usize,
    held: usize,
    memory: Arc<Memory>,
}

impl Early {
    /// No runs yet.
    #[must_use]
    pub fn new(memory: &Arc<Memory>) -> Self {
        Self { chunks: BTreeMap::new(), runs: 0, held: 0, memory: Arc::clone(memory) }
    }

    /// Bytes of memory in use.
    #[must_use]
    pub const fn held(&self) -> usize {
        self.held
    }

    /// Whether nothing is there.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.chunks.is_empty()
    }

    /// Where the first run begins.
    #[must_use]
    pub fn start(&self) -> Option<Offset> {
        self.chunks.first_key_value().map(|(&start, _)| start)
    }

    /// The parts of `[at, at + length)` that were let through before, as ranges of it with their
    /// bytes.
    fn known(&self, at: Offset, length: usize) -> impl Iterator<Item = (usize, &[u8])> {
        let end = at.after(length as u64);
        let before = self.chunks.range(..at).next_back();
        before.into_iter().chain(self.chunks.range(at..end)).filter_map(move |(&start, block)| {
            let skip = usize::try_from(at.since(start)).unwrap_or(usize::MAX);
            let place = usize::try_from(start.since(at)).unwrap_or(usize::MAX);
            let bytes = block.get(skip..)?;
            let bytes = bytes.get(..length.saturating_sub(place)).unwrap_or(bytes);
            (!bytes.is_empty()).then_some((place, bytes))
        })
    }

    /// How many of so many bytes from an offset on were let through before.
    #[must_use]
    pub fn seen(&self, at: Offset, length: usize) -> usize {
        self.known(at, length).map(|(_, bytes)| bytes.len()).sum()
    }

    /// Makes `bytes`, which begin at `at`, equal to what was let through before at the same
    /// offsets. True if a byte had to change: two copies contradict each other.
    pub fn overlay(&self, at: Offset, bytes: &mut [u8]) -> bool {
        let mut is_contradicted = false;
        for (place, known) in self.known(at, bytes.len()) {
            if let Some(target) = bytes.get_mut(place..place + known.len()) {
                is_contradicted |= target != known;
                target.copy_from_slice(known);
            }
        }
        is_contradicted
    }

    /// Whether these bytes, which begin at `at`, have the value that was let through wherever one
    /// was.
    #[must_use]
    pub fn agrees_with(&self, at: Offset, bytes: &[u8]) -> bool {
        self.known(at, bytes.len())
            .all(|(place, known)| bytes.get(place..place + known.len()) == Some(known))
    }

    /// These bytes, which begin at `at`, with the value that was let through wherever one was; none
    /// if they have it already.
    pub(super) fn instead_of(&self, at: Offset, bytes: &[u8]) -> Option<Vec<u8>> {
        if self.agrees_with(at, bytes) {
            return None;
        }
        let mut settled = bytes.to_vec();
        self.overlay(at, &mut settled);
        Some(settled)
    }

    /// Remembers bytes that are let through, those among them that were before left as they are;
    /// false, and nothing remembered, if there are too many runs already.
    #[must_use]
    pub fn add(&mut self, at: Offset, bytes: &[u8]) -> bool {
        let mut fresh = Vec::new();
        let mut from = 0;
        for (place, known) in self.known(at, bytes.len()) {
            fresh.push(from..place);
            from = place + known.len();
        }
        fresh.push(from..bytes.len());
        fresh.retain(|range| !range.is_empty());
        // Only a part that touches no other chunk begins a run, and then it is all there is.
        let touches = |range: &std::ops::Range<usize>| {
            let (start, end) = (at.after(range.start as u64), at.after(range.end as u64));
            (self.ends_at(start), self.chunks.contains_key(&end))
        };
        let begun = fresh.iter().filter(|range| touches(range) == (false, false)).count();
        let closed = fresh.iter().filter(|range| touches(range) == (true, true)).count();
        if self.runs + begun > RUNS_MAX + closed {
            return false;
        }
        self.runs = (self.runs + begun).saturating_sub(closed);
        for range in fresh {
            let start = at.after(range.start as u64);
            self.insert(start, bytes.get(range).unwrap_or_default());
        }
        true
    }

    /// Every chunk, in order.
    pub(super) fn chunks(&self) -> impl Iterator<Item = (Offset, &[u8])> {
        self.chunks.iter().map(|(&start, block)| (start, block.as_slice()))
    }

    /// Puts a chunk behind all others, as it was put before.
    pub(super) fn put_chunk(&mut self, start: Offset, bytes: &[u8]) {
        self.runs += usize::from(!self.ends_at(start));
        self.begin_chunk(start, bytes);
    }

    /// Whether a chunk ends just before this offset.
    fn ends_at(&self, offset: Offset) -> bool {
        let before = self.chunks.range(..offset).next_back();
        before.is_some_and(|(start, block)| start.after(block.len() as u64) == offset)
    }

    fn insert(&mut self, start: Offset, bytes: &[u8]) {
        let before = self.chunks.range_mut(..start).next_back();
        if let Some((&first, block)) = before
            && first.after(block.len() as u64) == start
            && block.len() + bytes.len() <= CHUNK_MAX
        {
            let before = block.capacity();
            block.extend_from_slice(bytes);
            let grown = block.capacity() - before;
            self.held += grown;
            self.memory.take(grown);
            return;
        }
        self.begin_chunk(start, bytes);
    }

    fn begin_chunk(&mut self, start: Offset, bytes: &[u8]) {
        let mut block = Vec::with_capacity(size_of(bytes.len()));
        block.extend_from_slice(bytes);
        self.held += cost(&block);
        self.memory.take(cost(&block));
        self.chunks.insert(start, block);
    }

    /// Everything below `edge` is known otherwise now: forgets it. Then takes the chunk that stands
    /// at `edge`, if there is one.
    pub(super) fn take(&mut self, edge: Offset) -> Option<Vec<u8>> {
        while let Some(first) = self.chunks.first_entry()
            && *first.key() <= edge
        {
            let (start, block) = first.remove_entry();
            let end = start.after(block.len() as u64);
            self.let_go(end, &block);
            if start == edge {
                return Some(block);
            }
            if end > edge {
                // The filler ended inside this chunk: what follows it stands on its own.
                let skip = usize::try_from(edge.since(start)).unwrap_or(usize::MAX);
                return Some(block.get(skip..).unwrap_or_default().to_vec());
            }
        }
        None
    }

    /// The bytes that stand at `edge`, at most so many and of one chunk: to be read, while they are
    /// remembered here.
    pub(super) fn peek(&self, edge: Offset, most: usize) -> &[u8] {
        let first = self.known(edge, most).next().filter(|(place, _)| *place == 0);
        first.map_or(&[], |(_, bytes)| bytes)
    }

    /// Everything below `edge` is known otherwise now: forgets each chunk of which nothing is left.
    pub(super) fn forget(&mut self, edge: Offset) {
        while let Some(first) = self.chunks.first_entry()
            && let end = first.key().after(first.get().len() as u64)
            && end <= edge
        {
            let block = first.remove();
            self.let_go(end, &block);
        }
    }

    /// A chunk that ends here is out of the tree.
    fn let_go(&mut self, end: Offset, block: &Vec<u8>) {
        self.held = self.held.saturating_sub(cost(block));
        self.memory.give_back(cost(block));
        if !self.chunks.contains_key(&end) {
            self.runs = self.runs.saturating_sub(1);
        }
    }
}

impl Drop for Early {
    fn drop(&mut self) {
        self.memory.give_back(self.held);
    }
}

/// What a chunk counts as.
const fn cost(block: &Vec<u8>) -> usize {
    block.capacity() + CHUNK_OVERHEAD
}

/// Room for a chunk of so many bytes: one that is more than half a block is likely to grow.
const fn size_of(bytes: usize) -> usize {
    if bytes > BLOCK / 2 && bytes < BLOCK { BLOCK } else { bytes }
}
