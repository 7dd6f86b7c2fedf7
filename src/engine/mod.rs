//! The join: one packet in, one verdict out.
//!
//! [`Engine::handle`] is the table of contents: parse, sort out, handshake or flow or orphan,
//! answer. Each stage is a function in a module of its own; all state of a flow is in its
//! `Conversation`. Nothing here reads a clock, and equal inputs give equal outputs.

mod conversation;
mod early;
mod handshake;
mod journal;
mod orphan;
mod policy;
mod reading;
mod reason;
mod record;
mod segment;
mod settings;
mod stats;

pub use reason::Reason;
pub use record::{LOGGED_BYTES_MAX, Record, What};
pub use settings::{Exception, Limits, Settings, Treatment, UnknownFlow};
pub use stats::Stats;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use parking_lot::{Mutex, RwLock};

use crate::flow::{Endpoint, FlowKey, FlowTable, HandshakeTable};
use crate::tcp::Spares;
use crate::time::Instant;
use crate::wire::{Editor, Malformed, Packet, Parsed};
use conversation::Conversation;
use policy::Policies;

/// Flows looked at for expiry on each packet: more than one, so that expiry keeps up with any rate
/// at which packets can open flows.
const LOOKS_PER_PACKET: usize = 4;

/// Flows looked at for expiry by [`Engine::expire`].
const LOOKS_PER_SECOND: usize = 10_000;

/// A packet as the front received it. The engine never changes these bytes: what leaves instead,
/// if anything, is in [`Effects::rewritten`].
#[derive(Clone, Copy, Debug)]
pub struct Arrival<'a> {
    /// The IP packet, from its first header byte.
    pub bytes: &'a [u8],
    /// Whether the TCP checksum field can be verified.
    pub checksum: Checksum,
    /// Whether this is a GSO super-packet, which the kernel will cut on the way out.
    pub is_super_packet: bool,
    /// Whether the front got only a part of the packet (it can then be neither read nor edited).
    pub is_truncated: bool,
    /// Interfaces and link address; 0 where the front knows none.
    pub path: Path,
}

/// State of a packet's TCP checksum.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Checksum {
    /// Filled in by the sender: verify it.
    Complete,
    /// Left to the network card (`NFQA_SKB_CSUMNOTREADY`): holds at most the pseudo-header's sum.
    Unfinished,
}

/// The way a packet takes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Path {
    /// Index of the interface it came in by (0: none or unknown).
    pub ingress: u32,
    /// Index of the interface it will go out by (0: none or unknown).
    pub egress: u32,
    /// Link-layer address of who sent it to us, as a number (0: unknown).
    pub link: u64,
}

/// The final fate of one packet.
#[must_use]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Let it go on as it came.
    Accept,
    /// Let [`Effects::rewritten`] go on in its place.
    Rewrite,
    /// Let nothing go on.
    Drop(Reason),
}

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

/// Everything [`Engine::handle`] answers besides the verdict. Reused from packet to packet.
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
    /// What this packet counted.
    counted: Stats,
    /// Nothing is to be changed.
    is_monitored: bool,
}

impl Effects {
    /// Empties everything, keeping the memory.
    pub fn clear(&mut self) {
        self.rewritten.clear();
        self.resets.clear();
        self.records.clear();
        self.handling = Handling::Unchanged;
        self.withheld = None;
        self.ended.clear();
        self.counted = Stats::default();
        self.is_monitored = false;
    }
}

/// The filter itself: shared by all queue threads.
#[derive(Debug)]
pub struct Engine {
    limits: Limits,
    policies: RwLock<Policies>,
    flows: FlowTable<Conversation>,
    handshakes: HandshakeTable,
    store_bytes: AtomicUsize,
    spares: Arc<Spares>,
    stats: Mutex<Stats>,
}

/// One packet on its way through the stages.
struct Turn<'t> {
    now: Instant,
    arrival: &'t Arrival<'t>,
    packet: &'t Packet<'t>,
    policies: &'t Policies,
    source: Endpoint,
    destination: Endpoint,
    key: FlowKey,
}

impl Engine {
    /// An engine; `seed` keys its hashes and its random evictions (fronts that face the network
    /// pass a random one, replays a fixed one).
    #[must_use]
    pub fn new(settings: Settings, seed: u64) -> Self {
        let limits = settings.limits;
        Self {
            policies: RwLock::new(Policies::new(&settings)),
            flows: FlowTable::new(limits.flows_max),
            handshakes: HandshakeTable::new(limits.handshakes_max, limits.handshake_seconds, seed),
            store_bytes: AtomicUsize::new(0),
            spares: Arc::default(),
            stats: Mutex::default(),
            limits,
        }
    }

    /// Tells the engine anew what its settings are. Flows that were begun keep those they began
    /// with, also on a port that is no longer mail's; packets of no flow follow the new ones.
    /// Limits stay what they were.
    pub fn reload(&self, settings: &Settings) {
        let policies = Policies::new(settings);
        // Nobody has to wait until the old ones are gone.
        let old = std::mem::replace(&mut *self.policies.write(), policies);
        drop(old);
    }

    /// One verdict for each packet, at once.
    pub fn handle(&self, now: Instant, arrival: &Arrival<'_>, effects: &mut Effects) -> Verdict {
        effects.clear();
        let policies = self.policies.read();
        effects.is_monitored = policies.monitor;
        self.expire_some(now, LOOKS_PER_PACKET, effects);
        let verdict = self.judge(now, arrival, &policies, effects);
        let mut stats = self.stats.lock();
        stats.count(verdict);
        stats.add(&effects.counted);
        if effects.is_monitored {
            effects.resets.clear();
            effects.withheld = None;
            return Verdict::Accept;
        }
        verdict
    }

    /// Forgets what has been silent for too long; `handle` does a bounded part of this on each
    /// packet, a front calls this about once a second.
    pub fn expire(&self, now: Instant, effects: &mut Effects) {
        effects.clear();
        self.expire_some(now, LOOKS_PER_SECOND, effects);
    }

    /// A copy of the counters.
    #[must_use]
    pub fn stats(&self) -> Stats {
        let mut stats = self.stats.lock().clone();
        stats.flows_now = self.flows.len() as u64;
        stats.store_bytes_now = self.store_bytes.load(Ordering::Relaxed) as u64;
        stats
    }

    fn judge(
        &self,
        now: Instant,
        arrival: &Arrival<'_>,
        policies: &Policies,
        effects: &mut Effects,
    ) -> Verdict {
        if arrival.is_truncated {
            return Verdict::Drop(Malformed::Truncated.into());
        }
        let packet = match Packet::parse(arrival.bytes) {
            Ok(Parsed::Tcp(packet)) => packet,
            Ok(Parsed::NotTcp) => return Verdict::Accept,
            Err(malformed) => return Verdict::Drop(malformed.into()),
        };
        let source = Endpoint { address: packet.source, port: packet.source_port };
        let destination = Endpoint { address: packet.destination, port: packet.destination_port };
        let key = FlowKey::of(source, destination);
        let turn = Turn { now, arrival, packet: &packet, policies, source, destination, key };
        if self.is_foreign(&turn, effects) {
            return Verdict::Accept;
        }
        if let Err(malformed) = packet.verify(arrival.checksum == Checksum::Complete) {
            return Verdict::Drop(malformed.into());
        }
        if self.is_hands_off(&turn) {
            effects.handling = Handling::HandedOver;
            return Verdict::Accept;
        }
        if packet.flags.syn {
            return self.handle_syn(&turn, effects);
        }
        if let Some(conversation) = self.flows.find(&key) {
            return self.handle_segment(&turn, &mut conversation.lock(), effects);
        }
        self.handle_orphan(&turn, effects)
    }

    fn expire_some(&self, now: Instant, looks_max: usize, effects: &mut Effects) {
        let limits = &self.limits;
        self.flows.expire(
            now.seconds(),
            looks_max,
            |conversation| conversation.deadline(limits),
            |conversation| {
                self.account(conversation.kept(), 0);
                conversation.close(now, effects);
            },
        );
    }

    /// A conversation that kept `before` bytes keeps `after` now.
    fn account(&self, before: usize, after: usize) {
        if after >= before {
            self.store_bytes.fetch_add(after - before, Ordering::Relaxed);
        } else {
            self.store_bytes.fetch_sub(before - after, Ordering::Relaxed);
        }
    }
}

/// The verdict for a packet that goes on, edited or not.
fn go_on(editor: Editor<'_, '_>) -> Verdict {
    if editor.finish() { Verdict::Rewrite } else { Verdict::Accept }
}
