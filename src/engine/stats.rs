//! The counters: one number per kind of event and per reason, since the start.

use std::collections::BTreeMap;

use super::{Reason, Verdict};

/// Counters since the start.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// Packets handled.
    pub packets: u64,
    /// Packets that went on as they came.
    pub accepted: u64,
    /// Packets that went on with other bytes or cut short.
    pub rewritten: u64,
    /// Flows opened.
    pub flows: u64,
    /// Flows open or remembered now.
    pub flows_now: u64,
    /// Bytes kept now until their receivers acknowledge them.
    pub store_bytes_now: u64,
    /// Command lines let through.
    pub commands_passed: u64,
    /// Command lines refused.
    pub commands_refused: u64,
    /// Bytes replaced, both directions.
    pub bytes_masked: u64,
    /// Messages whose end was read.
    pub messages: u64,
    /// RSTs originated.
    pub resets: u64,
    /// Dialogue faults.
    pub alarms: u64,
    /// Handshake records that had to make room for others.
    pub handshakes_evicted: u64,
    /// Packets dropped, by reason; in monitor mode those that would have been.
    pub drops: BTreeMap<Reason, u64>,
}

impl Stats {
    pub(super) fn count(&mut self, verdict: Verdict) {
        self.packets += 1;
        match verdict {
            Verdict::Accept => self.accepted += 1,
            Verdict::Rewrite => self.rewritten += 1,
            Verdict::Drop(reason) => *self.drops.entry(reason).or_default() += 1,
        }
    }

    /// Adds what one packet counted.
    pub(super) fn add(&mut self, other: &Self) {
        self.flows += other.flows;
        self.commands_passed += other.commands_passed;
        self.commands_refused += other.commands_refused;
        self.bytes_masked += other.bytes_masked;
        self.messages += other.messages;
        self.resets += other.resets;
        self.alarms += other.alarms;
        self.handshakes_evicted += other.handshakes_evicted;
    }
}
