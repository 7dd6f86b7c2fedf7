//! The time of a replay: that of the packets of mail, but it never goes back.

use crate::time::Instant;

use super::summary::Summary;

/// The time, and how often that of a packet was an earlier one.
#[derive(Debug, Default)]
pub(super) struct Clock {
    now: Instant,
    /// Packets that are dated later than they were recorded, by a second or more.
    late: u64,
    /// By how many seconds at the most.
    seconds_late: u64,
}

/// Recorders with several queues disagree by less.
const LATE_MICROS_MIN: u64 = 1_000_000;

impl Clock {
    pub(super) const fn now(&self) -> Instant {
        self.now
    }

    /// A packet was recorded at this time, if its record has one; true if it begins a new second.
    pub(super) fn advance(&mut self, micros: Option<u64>) -> bool {
        let late = micros.map_or(0, |micros| self.now.micros().saturating_sub(micros));
        if late >= LATE_MICROS_MIN {
            self.late += 1;
            self.seconds_late = self.seconds_late.max(late / 1_000_000);
        }
        let at = Instant::from_micros(micros.unwrap_or(0)).max(self.now);
        let is_new_second = at.seconds() > self.now.seconds();
        self.now = at;
        is_new_second
    }

    /// Adds to the counters what was dated falsely.
    pub(super) const fn sum_up(&self, summary: &mut Summary) {
        (summary.late, summary.seconds_late) = (self.late, self.seconds_late);
    }
}
