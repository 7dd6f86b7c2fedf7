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
        Self { zero_micros: wall_micros(), start: std::time::Instant::now() }
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

/// Which date a time of the clock has. The wall clock may be set, as by the first word of a time
/// server: then dates follow, and nothing else does.
#[derive(Clone, Copy, Debug)]
pub(super) struct Dates {
    clock: Clock,
    /// Microseconds that the wall clock is ahead.
    ahead: i64,
}

impl Dates {
    /// Dates by the wall clock as it is.
    pub(super) fn new(clock: Clock) -> Self {
        let mut dates = Self { clock, ahead: 0 };
        dates.look();
        dates
    }

    /// Looks whether the wall clock was set since.
    pub(super) fn look(&mut self) {
        self.follow(wall_micros());
    }

    fn follow(&mut self, wall_micros: u64) {
        let ahead = wall_micros.cast_signed().wrapping_sub(self.clock.now().micros().cast_signed());
        if ahead.abs_diff(self.ahead) > STEP_MICROS {
            self.ahead = ahead;
        }
    }

    /// The date of this time.
    pub(super) const fn of(&self, at: Instant) -> Instant {
        Instant::from_micros(at.micros().saturating_add_signed(self.ahead))
    }
}

/// What is less is no step: two clocks are never read at once, and one of them may be slewed. So
/// dates go on as evenly as the clock itself.
const STEP_MICROS: u64 = 100_000;

#[expect(clippy::disallowed_methods, reason = "this front owns the clock")]
fn wall_micros() -> u64 {
    let wall = std::time::SystemTime::now();
    micros(wall.duration_since(std::time::UNIX_EPOCH).unwrap_or_default())
}

fn micros(duration: std::time::Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_follow_steps_and_nothing_less() {
        let clock = Clock::going_on(Instant::from_seconds(1_000), 0);
        let mut dates = Dates { clock, ahead: 0 };
        let at = Instant::from_seconds(1_000);
        dates.follow(clock.now().micros() + 50_000);
        assert_eq!(dates.of(at), at);
        dates.follow(clock.now().micros() + 86_400_000_000);
        assert_eq!(dates.of(at).seconds().abs_diff(87_400), 0);
        // Before the epoch there is no date.
        dates.follow(0);
        assert_eq!(dates.of(Instant::from_seconds(1)), Instant::from_micros(0));
    }
}
