//! What the front counts, in one table: the log, the summary and whoever else wants numbers walk
//! it.

use std::sync::atomic::{AtomicU64, Ordering};

use super::worker::Shared;

/// One number that only grows.
pub(super) struct Counter {
    /// What it is called where names have no spaces.
    pub(super) name: &'static str,
    /// What it counts: said behind the number.
    pub(super) help: &'static str,
    /// Whether its growth is a fault, and told while the filter runs.
    is_fault: bool,
    /// What it is now.
    pub(super) value: fn(&Shared<'_>) -> u64,
}

/// All of them.
pub(super) const COUNTERS: &[Counter] = &[
    count("resets_sent", "RSTs were sent", |shared| shared.injector.sent()),
    fault("resets_unsent", "RSTs could not be sent", |shared| shared.injector.failures()),
    fault("answers_late", "answers came too late, their packets were gone", |shared| {
        load(&shared.faults.late)
    }),
    fault(
        "answers_refused",
        "answers were refused by the kernel, their packets dropped",
        |shared| load(&shared.faults.unanswered),
    ),
    fault("overruns", "times the kernel lost packets for want of buffer", |shared| {
        load(&shared.faults.overruns)
    }),
    fault("packets_undelivered", "packets were too long to be delivered, and dropped", |shared| {
        load(&shared.faults.undelivered)
    }),
    fault(
        "packets_truncated",
        "packets were longer than the queue can show, and dropped; set queue.gso = false",
        |shared| load(&shared.faults.truncated),
    ),
    fault("packets_oversized", "packets were too long to be rewritten, and dropped", |shared| {
        load(&shared.faults.oversized)
    }),
    fault("panics", "packets were dropped because judging them panicked", |shared| {
        load(&shared.panics)
    }),
    fault("packets_blocked", "packets were dropped unread, of connections that killed", |shared| {
        load(&shared.blocked)
    }),
    fault("events_lost", "events were not written", |shared| shared.events.lost()),
    fault("events_left_out", "events were left out, see log.bytes_per_second", |shared| {
        shared.events.left_out()
    }),
];

const fn count(name: &'static str, help: &'static str, value: fn(&Shared<'_>) -> u64) -> Counter {
    Counter { name, help, is_fault: false, value }
}

const fn fault(name: &'static str, help: &'static str, value: fn(&Shared<'_>) -> u64) -> Counter {
    Counter { name, help, is_fault: true, value }
}

fn load(counter: &AtomicU64) -> u64 {
    counter.load(Ordering::Relaxed)
}

/// What was told of the counters so far.
#[derive(Debug, Default)]
pub(super) struct Told([u64; COUNTERS.len()]);

impl Told {
    /// Faults that are new since this was last asked, one line a kind.
    pub(super) fn news(&mut self, shared: &Shared<'_>) -> Vec<String> {
        let mut lines = Vec::new();
        for (counter, told) in COUNTERS.iter().zip(&mut self.0).filter(|(one, _)| one.is_fault) {
            let value = (counter.value)(shared);
            let grown = value.saturating_sub(std::mem::replace(told, value));
            if grown > 0 {
                lines.push(format!("{grown} {}", counter.help));
            }
        }
        lines
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_counter_has_a_name_of_its_own() {
        let names: BTreeSet<_> = COUNTERS.iter().map(|counter| counter.name).collect();
        assert_eq!(names.len(), COUNTERS.len());
        let is_plain = |name: &&str| name.bytes().all(|b| b.is_ascii_lowercase() || b == b'_');
        assert!(names.iter().all(is_plain), "{names:?}");
    }
}
