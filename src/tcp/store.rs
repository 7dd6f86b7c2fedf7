//! The bytes between the receiver's ACK and the end of what was judged, in one piece.
//!
//! ```text
//!   bytes   [ forgotten | kept ............. ]
//!                       ^ head               ^ len
//!   offset              acknowledged         judged
//! ```

use parking_lot::Mutex;

/// Memory an empty store keeps for itself; more goes to the spares, so that an idle flow costs next
/// to nothing.
const IDLE_BYTES_MAX: usize = 512;

/// Largest buffer among the spares: what a bulk flow has in flight on a path of 20 ms at 100 Mbit/s.
const SPARE_BYTES_MAX: usize = 256 << 10;

/// Spare buffers at most, for 16 MiB in all.
const SPARES_MAX: usize = 64;

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

    /// Memory in use beyond what an idle store keeps, if nothing is kept.
    pub fn take_spare(&mut self) -> Option<Vec<u8>> {
        let is_spare = self.is_empty() && self.bytes.capacity() > IDLE_BYTES_MAX;
        is_spare.then(|| std::mem::take(&mut self.bytes))
    }

    /// Makes room for bytes to come, out of the spares if there are many.
    pub fn reserve(&mut self, count: usize, spares: &Spares) {
        if count > IDLE_BYTES_MAX && self.bytes.capacity() <= IDLE_BYTES_MAX && self.is_empty() {
            self.bytes = spares.take();
        }
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
        }
    }
}

/// Buffers that no store needs just now: bulk data comes and goes with every packet, and memory
/// fresh from the system costs more than the copy into it.
#[derive(Debug, Default)]
pub struct Spares(Mutex<Vec<Vec<u8>>>);

impl Spares {
    /// A buffer, empty; a used one if there is one.
    #[must_use]
    pub fn take(&self) -> Vec<u8> {
        self.0.lock().pop().unwrap_or_default()
    }

    /// Keeps a buffer for later, or frees it.
    pub fn give(&self, buffer: Vec<u8>) {
        let mut spares = self.0.lock();
        if buffer.capacity() <= SPARE_BYTES_MAX && spares.len() < SPARES_MAX {
            spares.push(buffer);
        }
    }
}
