//! Bytes let through ahead of a gap: which, and with what value.
//!
//! They were message data as far as anyone could tell; when the gap closes they are judged, and
//! until the receiver acknowledges them every other copy is made equal to them.

use smoltcp::storage::Assembler;

/// The runs behind the gap, at most 16 of them (the assembler's size, set in Cargo.toml).
#[derive(Debug)]
pub struct Early {
    /// Values from the first missing offset on; what lies in gaps is meaningless.
    bytes: Vec<u8>,
    /// Which of `bytes` are there.
    ranges: Assembler,
}

impl Default for Early {
    fn default() -> Self {
        Self { bytes: Vec::new(), ranges: Assembler::new() }
    }
}

impl Early {
    /// Bytes of memory in use.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Whether nothing is there.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.ranges.is_empty()
    }

    /// Bytes missing before the first run.
    #[must_use]
    pub fn gap(&self) -> usize {
        self.ranges.iter_data().next().map_or(usize::MAX, |(start, _)| start)
    }

    /// Makes `bytes`, which lie `distance` behind the first missing offset, equal to what was let
    /// through before at the same offsets.
    pub fn overlay(&self, distance: usize, bytes: &mut [u8]) {
        for (start, end) in self.ranges.iter_data() {
            let from = start.max(distance);
            let to = end.min(distance.saturating_add(bytes.len()));
            if from < to
                && let (Some(known), Some(target)) =
                    (self.bytes.get(from..to), bytes.get_mut(from - distance..to - distance))
            {
                target.copy_from_slice(known);
            }
        }
    }

    /// Remembers bytes that are let through; false if there are too many runs already.
    #[must_use]
    pub fn add(&mut self, distance: usize, bytes: &[u8]) -> bool {
        let end = distance.saturating_add(bytes.len());
        if self.ranges.add(distance, bytes.len()).is_err() {
            return false;
        }
        if self.bytes.len() < end {
            self.bytes.resize(end, 0);
        }
        if let Some(target) = self.bytes.get_mut(distance..end) {
            target.copy_from_slice(bytes);
        }
        true
    }

    /// Whether these bytes, the first of those that were missing, have the value that was let
    /// through wherever one was.
    #[must_use]
    pub fn agrees_with(&self, filled: &[u8]) -> bool {
        self.ranges.iter_data().all(|(start, end)| {
            let end = end.min(filled.len());
            start >= end || filled.get(start..end) == self.bytes.get(start..end)
        })
    }

    /// The first `filled` missing bytes are there now. Returns the bytes that follow them without
    /// a gap; what is left is counted from behind those.
    pub fn fill(&mut self, filled: usize) -> Vec<u8> {
        let joined = self.ranges.add_then_remove_front(0, filled).unwrap_or(filled);
        let joined = joined.min(self.bytes.len()).max(filled.min(self.bytes.len()));
        let mut joined: Vec<u8> = self.bytes.drain(..joined).collect();
        joined.drain(..filled.min(joined.len()));
        joined
    }
}
