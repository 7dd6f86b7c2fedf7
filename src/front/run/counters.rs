//! What the front counts, in one table: the log, the summary and whoever else wants numbers walk
//! it.

use std::sync::atomic::{AtomicU64, Ordering};

use super::worker::Shared;
use crate::engine::{Reason, Stats};

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
    fault("panics", "times judging a packet panicked", |shared| {
        panics(load(&shared.panics), &shared.engine.stats())
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

/// Those that the engine contained, which it counts as drops, and those that it did not.
fn panics(uncontained: u64, stats: &Stats) -> u64 {
    uncontained + stats.drops.get(&Reason::OwnFault).copied().unwrap_or(0)
}

fn load(counter: &AtomicU64) -> u64 {
    counter.load(Ordering::Relaxed)
}

/// What was told of the counters so far.
#[derive(Debug)]
pub(super) struct Told([u64; COUNTERS.len()]);

impl Told {
    /// What whoever was before us has counted was told then.
    pub(super) fn of(shared: &Shared<'_>) -> Self {
        let mut told = [0; COUNTERS.len()];
        COUNTERS.iter().zip(&mut told).for_each(|(one, told)| *told = (one.value)(shared));
        Self(told)
    }

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
    fn a_fault_that_the_engine_contained_is_one_of_ours() {
        let drops = [(Reason::OwnFault, 2), (Reason::UnknownFlow, 7)].into();
        assert_eq!(panics(1, &Stats { drops, ..Stats::default() }), 3);
        assert_eq!(panics(1, &Stats::default()), 1);
    }

    #[test]
    fn every_counter_has_a_name_of_its_own() {
        let names: BTreeSet<_> = COUNTERS.iter().map(|counter| counter.name).collect();
        assert_eq!(names.len(), COUNTERS.len());
        let is_plain = |name: &&str| name.bytes().all(|b| b.is_ascii_lowercase() || b == b'_');
        assert!(names.iter().all(is_plain), "{names:?}");
    }
}
