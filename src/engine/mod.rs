//! The join: one packet in, one verdict out.

mod reason;
mod record;

pub use reason::Reason;
pub use record::{LOGGED_BYTES_MAX, Record, What};

use crate::guard;
use crate::time::Instant;

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
    /// Interface indexes; 0 where the front knows none.
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

/// The interfaces a packet travels between (kernel indexes, 0: none or unknown).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Path {
    /// Where it came in.
    pub ingress: u32,
    /// Where it will go out.
    pub egress: u32,
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
    /// Let it go on, and mark its connection so that the rest bypasses the queue.
    Offload,
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
}

impl Effects {
    /// Empties everything, keeping the memory.
    pub fn clear(&mut self) {
        self.rewritten.clear();
        self.resets.clear();
        self.records.clear();
    }
}

/// Everything the engine can be told. Built by `config`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// TCP ports of SMTP servers.
    pub ports: Vec<u16>,
    /// Judge and log, change nothing.
    pub monitor: bool,
    /// What to do with a flow whose beginning was not seen.
    pub unknown_flow: UnknownFlow,
    /// What the profile asks for.
    pub guard: guard::Settings,
    /// Bounds on memory and time.
    pub limits: Limits,
}

/// What becomes of the packets of a flow whose handshake was not seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UnknownFlow {
    /// Both ends get a RST.
    Reset,
    /// Silence.
    Drop,
    /// They pass unread.
    Pass,
}

/// Bounds on memory and time. Each is one number, reachable from the configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Established flows at once.
    pub flows_max: usize,
    /// Records of handshakes under way (each at most 64 bytes; evicted at random).
    pub handshakes_max: usize,
    /// Unacknowledged bytes kept for one direction of one flow.
    pub bytes_per_flow_max: usize,
    /// Unacknowledged bytes kept in all.
    pub store_bytes_max: usize,
    /// Seconds an incomplete handshake is remembered.
    pub handshake_seconds: u64,
    /// Seconds an established flow may be silent.
    pub idle_seconds: u64,
    /// Seconds a closed flow is remembered.
    pub closed_seconds: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            flows_max: 100_000,
            handshakes_max: 65_536,
            // The largest receive window Linux opens by default (tcp_rmem[2]) is 6 MiB.
            bytes_per_flow_max: 8 << 20,
            store_bytes_max: 256 << 20,
            handshake_seconds: 30,
            // RFC 5321 4.5.3.2.6: a client waits 10 minutes for the reply to the end of data.
            idle_seconds: 1_200,
            closed_seconds: 30,
        }
    }
}

/// The filter itself: shared by all queue threads.
#[derive(Debug)]
pub struct Engine {
    settings: Settings,
}

impl Engine {
    /// An engine; `seed` keys its hashes and its random evictions (fronts that face the network
    /// pass a random one, replays a fixed one).
    #[must_use]
    pub fn new(settings: Settings, seed: u64) -> Self {
        let _ = seed;
        Self { settings }
    }

    /// One verdict for each packet, at once.
    pub fn handle(&self, _now: Instant, _arrival: &Arrival<'_>, effects: &mut Effects) -> Verdict {
        effects.clear();
        let _ = &self.settings;
        Verdict::Accept
    }

    /// Forgets what has been silent for too long; `handle` does a bounded part of this on each
    /// packet, a front calls this about once a second.
    pub fn expire(&self, _now: Instant, effects: &mut Effects) {
        effects.clear();
    }

    /// A copy of the counters.
    #[must_use]
    pub fn stats(&self) -> Stats {
        Stats::default()
    }
}

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
    /// Packets dropped, by reason, only the reasons that occurred, in [`Reason`] order.
    pub drops: Vec<(Reason, u64)>,
}
