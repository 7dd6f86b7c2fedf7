//! The counters: one table, walked by all who print, log or export them.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::Mutex;

use super::Reason;
use crate::guard::Rule;
use crate::patch::{Deed, Id};

/// One counter as others are shown it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Counter {
    /// Its name, as in `Stats`.
    pub name: &'static str,
    /// What it counts, in one sentence without a stop.
    pub help: &'static str,
    /// Its value.
    pub value: u64,
}

/// Declares the counters once: the fields, their help, and what has to go through all of them.
macro_rules! counters {
    ($(#[doc = $help:literal] $name:ident,)+) => {
        /// Counters since the start, and two figures of the present.
        #[derive(Clone, Debug, Default, PartialEq, Eq)]
        pub struct Stats {
            $(#[doc = $help] pub $name: u64,)+
            /// Packets dropped, by reason; those that monitoring let pass as well.
            pub drops: BTreeMap<Reason, u64>,
            /// Packets whose payload, or the rest of it, was held back, by reason.
            pub withheld: BTreeMap<Reason, u64>,
            /// Lines refused, noted or ending their flow, and limits passed, by rule.
            pub rules: BTreeMap<Rule, u64>,
            /// What patches did, by patch and deed.
            pub patches: BTreeMap<(Id, Deed), u64>,
            /// Flows open or remembered now.
            pub flows_now: u64,
            /// Bytes held now until their receivers acknowledge them.
            pub store_bytes_now: u64,
        }

        impl Stats {
            /// The counters in their order; drops and what was withheld stand beside them.
            #[must_use]
            pub fn counters(&self) -> Vec<Counter> {
                vec![$(Counter {
                    name: stringify!($name),
                    help: $help.trim_ascii(),
                    value: self.$name,
                },)+]
            }
        }

        /// The counters of one worker, shared with those who read them.
        #[derive(Debug, Default)]
        pub(super) struct Tally {
            $($name: AtomicU64,)+
            reasons: Mutex<Reasons>,
        }

        impl Tally {
            /// Adds what one packet counted, and empties it.
            pub(super) fn take(&self, counted: &mut Stats) {
                $(if counted.$name > 0 {
                    self.$name.fetch_add(std::mem::take(&mut counted.$name), Ordering::Relaxed);
                })+
                let is_empty = counted.drops.is_empty()
                    && counted.withheld.is_empty()
                    && counted.rules.values().all(|&count| count == 0)
                    && counted.patches.is_empty();
                if !is_empty {
                    let mut reasons = self.reasons.lock();
                    add(&mut reasons.patches, &counted.patches);
                    counted.patches.clear();
                    add(&mut reasons.drops, &counted.drops);
                    add(&mut reasons.withheld, &counted.withheld);
                    add(&mut reasons.rules, &counted.rules);
                    // Their places stay, so that another refused line asks for no memory.
                    counted.rules.values_mut().for_each(|count| *count = 0);
                    counted.drops.clear();
                    counted.withheld.clear();
                }
            }

            /// Adds its counters to a sum.
            pub(super) fn sum(&self, stats: &mut Stats) {
                $(stats.$name += self.$name.load(Ordering::Relaxed);)+
                let reasons = self.reasons.lock();
                add(&mut stats.drops, &reasons.drops);
                add(&mut stats.withheld, &reasons.withheld);
                add(&mut stats.rules, &reasons.rules);
                add(&mut stats.patches, &reasons.patches);
            }
        }
    };
}

counters! {
    /// Packets handled
    packets,
    /// Packets that went on as they came
    accepted,
    /// Packets that went on with other bytes, or with less payload
    rewritten,
    /// Flows opened
    flows,
    /// Flows forgotten to make room for others
    flows_evicted,
    /// Command lines let through
    commands_passed,
    /// Command lines refused
    commands_refused,
    /// Bytes replaced, in both directions
    bytes_masked,
    /// Messages whose end was read
    messages,
    /// RSTs sent
    resets,
    /// RSTs not sent because too many were due for packets of no flow
    resets_spared,
    /// Things that must not happen: faults of the dialogue, contradicting copies
    alarms,
    /// Entries of the event log left out because one flow had too many
    entries_left_out,
    /// Handshake records that had to make room for others
    handshakes_evicted,
    /// Bytes that a capture lacks, passed over
    bytes_missed,
}

#[derive(Debug, Default)]
struct Reasons {
    drops: BTreeMap<Reason, u64>,
    withheld: BTreeMap<Reason, u64>,
    rules: BTreeMap<Rule, u64>,
    patches: BTreeMap<(Id, Deed), u64>,
}

fn add<K: Clone + Ord>(sum: &mut BTreeMap<K, u64>, more: &BTreeMap<K, u64>) {
    for (cause, count) in more.iter().filter(|(_, count)| **count > 0) {
        *sum.entry(cause.clone()).or_default() += count;
    }
}
