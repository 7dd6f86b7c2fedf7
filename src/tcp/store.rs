//! The bytes between the receiver's ACK and the end of what was judged, in one piece.
//!
//! ```text
//!   bytes   [ forgotten | kept ............. ]
//!                       ^ head               ^ len
//!   offset              acknowledged         judged
//! ```

/// Memory an empty store may keep; a larger one is given back, so that an idle flow costs nothing.
const IDLE_BYTES_MAX: usize = 4_096;

/// A queue of bytes whose content is one slice: appended at the end, forgotten at the front.
#[derive(Debug, Default)]
pub struct Store {
    bytes: Vec<u8>,
    head: usize,
}

impl Store {
    /// Bytes kept.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.bytes.len() - self.head
    }

    /// Whether none is kept.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// What is kept, oldest first.
    #[must_use]
    pub fn as_slice(&self) -> &[u8] {
        self.bytes.get(self.head..).unwrap_or_default()
    }

    /// The same, for judging.
    pub fn as_mut_slice(&mut self) -> &mut [u8] {
        self.bytes.get_mut(self.head..).unwrap_or_default()
    }

    /// Adds bytes at the end.
    pub fn append(&mut self, bytes: &[u8]) {
        // Moving what is kept to the front costs no more than what was forgotten since.
        if self.head > self.len() {
            self.bytes.drain(..self.head);
            self.head = 0;
        }
        self.bytes.extend_from_slice(bytes);
    }

    /// Takes bytes back from the end, so that `length` remain.
    pub fn truncate(&mut self, length: usize) {
        self.bytes.truncate(self.head.saturating_add(length));
    }

    /// Forgets the oldest `count` bytes.
    pub fn forget(&mut self, count: usize) {
        self.head = self.head.saturating_add(count).min(self.bytes.len());
        if self.is_empty() {
            self.head = 0;
            self.bytes.clear();
            if self.bytes.capacity() > IDLE_BYTES_MAX {
                self.bytes = Vec::new();
            }
        }
    }
}
