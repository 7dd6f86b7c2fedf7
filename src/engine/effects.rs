//! What the engine answers for one packet, besides the verdict.

use super::stats::Counted;
use super::{Reason, Record, Verdict, What};
use crate::flow::FlowKey;
use crate::tcp::Spares;
use crate::wire::{Reset, Seq, build_reset};

/// What becomes of the kernel's mark on a packet's connection, whatever the verdict. The mark has
/// the connection bypass the queue, but for its SYN and SYN/ACK.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Handling {
    /// It stays as it is.
    #[default]
    Unchanged,
    /// It is set: the rest of the connection needs no filter.
    HandedOver,
    /// It is cleared: whatever the kernel remembers of these ends, this is a new connection.
    TakenBack,
}

/// What of a packet's payload was held back; its sender repeats it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Withheld {
    /// Payload bytes that went on before it.
    pub passed: usize,
    /// Why.
    pub reason: Reason,
}

/// Everything [`super::Engine::handle`] answers besides the verdict. Reused from packet to packet;
/// each thread that handles packets has its own.
#[derive(Debug, Default)]
pub struct Effects {
    /// The packet that leaves under [`Verdict::Rewrite`], lengths and checksums complete.
    pub rewritten: Vec<u8>,
    /// RSTs to send: complete IP packets, each addressed to the end it resets.
    pub resets: Vec<Vec<u8>>,
    /// Entries for the event log, in order.
    pub records: Vec<Record>,
    /// The connection's mark.
    pub handling: Handling,
    /// The part of the payload that did not go on under [`Verdict::Rewrite`].
    pub withheld: Option<Withheld>,
    /// Flows of which nothing more can come.
    pub ended: Vec<FlowKey>,
    /// Bytes that the capture lacks and that were passed over.
    pub missed: u64,
    /// What a run of bytes brings to an end; empty between runs.
    pub(super) told: Vec<What>,
    /// What this packet counted.
    pub(super) counted: Counted,
    /// Memory that flows gave back.
    pub(super) spares: Spares,
    /// The ACK that the packet is to leave with, where its own could open another connection.
    pub(super) harmless_ack: Option<Seq>,
    /// Nobody reads [`Self::records`].
    is_unheard: bool,
    /// Which worker's counters it counts in.
    pub(super) worker: usize,
}

impl Effects {
    /// Those of one worker among several, counted from 0, and whether somebody reads the records.
    #[must_use]
    pub fn of_worker(worker: usize, is_heard: bool) -> Self {
        Self { worker, is_unheard: !is_heard, ..Self::default() }
    }

    /// Whether somebody reads the records: otherwise none is worth making.
    pub(super) const fn is_heard(&self) -> bool {
        !self.is_unheard
    }

    /// Empties everything, keeping the memory.
    pub fn clear(&mut self) {
        self.rewritten.clear();
        if !self.resets.is_empty() {
            self.resets.clear();
        }
        if !self.records.is_empty() {
            self.records.clear();
        }
        self.handling = Handling::Unchanged;
        self.withheld = None;
        self.harmless_ack = None;
        self.ended.clear();
        self.missed = 0;
    }

    pub(super) fn inject(&mut self, reset: &Reset) {
        self.resets.extend(build_reset(reset));
    }

    /// Counts what became of the packet.
    pub(super) fn count(&mut self, verdict: Verdict) {
        let counted = &mut self.counted;
        counted.packets += 1;
        counted.bytes_missed += self.missed;
        match verdict {
            Verdict::Accept => counted.accepted += 1,
            Verdict::Rewrite => counted.rewritten += 1,
            Verdict::Drop(reason) => *counted.drops.entry(reason).or_default() += 1,
        }
        if let Some(Withheld { reason, .. }) = self.withheld {
            *counted.withheld.entry(reason).or_default() += 1;
        }
    }
}
