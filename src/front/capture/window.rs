//! The part of a file that is in memory: from the current record on, no more than it needs.

use std::io::{self, Read};

use super::Fault;

/// Bytes asked of the system at once: enough to make the calls rare.
const CHUNK_BYTES: usize = 256 << 10;

#[derive(Debug)]
pub(super) struct Window<R> {
    source: R,
    bytes: Vec<u8>,
    /// Where the current record begins in `bytes`.
    start: usize,
    /// Bytes of the current record that were handed out.
    taken: usize,
    /// Where the current record begins in the file.
    offset: u64,
}

impl<R> Window<R> {
    pub(super) const fn new(source: R) -> Self {
        Self { source, bytes: Vec::new(), start: 0, taken: 0, offset: 0 }
    }

    pub(super) const fn offset(&self) -> u64 {
        self.offset
    }

    #[cfg(test)]
    pub(super) const fn capacity(&self) -> usize {
        self.bytes.capacity()
    }

    /// What is in memory, from the current record on.
    pub(super) fn peek(&self) -> &[u8] {
        self.bytes.get(self.start..).unwrap_or_default()
    }

    /// The first bytes of the current record (all of them if there are fewer), which are then done.
    pub(super) fn take(&mut self, length: usize) -> &[u8] {
        self.taken = length.min(self.peek().len());
        self.peek().get(..self.taken).unwrap_or_default()
    }

    /// Goes on to the record behind what was taken.
    pub(super) fn advance(&mut self) {
        self.start = self.start.saturating_add(self.taken);
        self.offset = self.offset.saturating_add(self.taken as u64);
        self.taken = 0;
    }

    /// A fault of the current record.
    pub(super) fn expected(&self, expected: impl Into<String>) -> Fault {
        Fault::Unexpected { offset: self.offset, expected: expected.into() }
    }
}

impl<R: Read> Window<R> {
    /// Makes the record's first `wanted` bytes available; false if the file ends before.
    pub(super) fn fill(&mut self, wanted: usize) -> io::Result<bool> {
        let have = self.peek().len();
        if have >= wanted {
            return Ok(true);
        }
        self.bytes.drain(..self.start.min(self.bytes.len()));
        self.start = 0;
        // Bytes are allocated as they arrive, never because a length field claims them.
        let missing = wanted.saturating_sub(have).max(CHUNK_BYTES) as u64;
        self.source.by_ref().take(missing).read_to_end(&mut self.bytes)?;
        Ok(self.bytes.len() >= wanted)
    }
}
