//! The clock of a running filter.

use crate::time::Instant;

/// Microseconds of the Unix epoch that never run backwards: the wall clock at the start, and the
/// monotonic clock from there.
#[derive(Clone, Copy, Debug)]
pub(super) struct Clock {
    zero_micros: u64,
    start: std::time::Instant,
}

impl Clock {
    /// A clock that starts now.
    #[expect(clippy::disallowed_methods, reason = "this front owns the clock")]
    pub(super) fn start() -> Self {
        let wall = std::time::SystemTime::now();
        let since = wall.duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
        Self { zero_micros: micros(since), start: std::time::Instant::now() }
    }

    /// A clock that showed this so many microseconds ago.
    #[expect(clippy::disallowed_methods, reason = "this front owns the clock")]
    pub(super) fn going_on(then: Instant, elapsed_micros: u64) -> Self {
        let zero_micros = then.micros().saturating_add(elapsed_micros);
        Self { zero_micros, start: std::time::Instant::now() }
    }

    /// What it shows.
    pub(super) fn now(&self) -> Instant {
        Instant::from_micros(self.zero_micros.saturating_add(micros(self.start.elapsed())))
    }
}

fn micros(duration: std::time::Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}
