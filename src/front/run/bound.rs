//! How many bytes a second the event log may grow by, so that whoever can make the filter speak
//! cannot fill a disk.
//!
//! A bucket that holds a second's worth. Time is the caller's.

use std::time::Duration;

/// The bound, and what of it is left.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bound {
    bytes_per_second: u64,
    left: u64,
    /// Until when what flows in was counted.
    counted: Duration,
}

impl Bound {
    /// A full bucket.
    pub(super) const fn new(bytes_per_second: u64) -> Self {
        Self { bytes_per_second, left: bytes_per_second, counted: Duration::ZERO }
    }

    /// So much time has passed since the beginning.
    pub(super) fn refill(&mut self, elapsed: Duration) {
        let micros = elapsed.saturating_sub(self.counted).as_micros();
        let fresh = u128::from(self.bytes_per_second) * micros / 1_000_000;
        // Time too short for a byte is counted with the time that follows.
        if fresh > 0 {
            self.counted = elapsed;
            let fresh = u64::try_from(fresh).unwrap_or(u64::MAX);
            self.left = self.left.saturating_add(fresh).min(self.bytes_per_second);
        }
    }

    /// Takes so many bytes, all of them or none.
    pub(super) fn take(&mut self, bytes: usize) -> bool {
        let left = self.left.checked_sub(bytes as u64);
        self.left = left.unwrap_or(self.left);
        left.is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_holds_so_many_bytes_and_no_more() {
        let mut bound = Bound::new(1_000);
        assert!(bound.take(600) && !bound.take(600) && bound.take(400) && !bound.take(1));
        bound.refill(Duration::from_micros(999));
        assert!(!bound.take(1));
        bound.refill(Duration::from_millis(100));
        assert!(bound.take(100) && !bound.take(1));
        bound.refill(Duration::from_secs(100));
        assert!(bound.take(1_000) && !bound.take(1));
    }
}
