//! Everything the engine can be told. Built by `config`, or by a test.

use crate::flow::Network;
use crate::guard;

/// Everything the engine can be told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// TCP ports of SMTP servers.
    pub ports: Vec<u16>,
    /// Judge and log, change nothing.
    pub monitor: bool,
    /// What to do with a flow whose beginning was not seen.
    pub unknown_flow: UnknownFlow,
    /// What to do where bytes are acknowledged that never came by.
    pub gaps: Gaps,
    /// What the profile asks for.
    pub guard: guard::Settings,
    /// Flows that are treated otherwise; the first that matches a flow counts.
    pub exceptions: Vec<Exception>,
    /// Bounds on memory and time.
    pub limits: Limits,
}

/// Flows that are treated otherwise than the rest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exception {
    /// Where their clients are; none: anywhere.
    pub client: Option<Network>,
    /// Where their servers are; none: anywhere.
    pub server: Option<Network>,
    /// What is done with them.
    pub treatment: Treatment,
}

/// What is done with a flow.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Treatment {
    /// It passes unread.
    HandsOff,
    /// It is judged by these settings, and logged but not changed.
    Monitor(guard::Settings),
    /// It is judged by these settings.
    Enforce(guard::Settings),
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

/// What becomes of an acknowledgment of bytes that never came by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Gaps {
    /// It is refused: on the wire, nobody can have received what was not let through.
    Refuse,
    /// It is believed: a capture may lack what both ends have seen, a handshake's third packet
    /// among it.
    Skip,
}

/// Bounds on memory and time. Each is one number, reachable from the configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Established flows at once; beyond it, whoever has the most makes room.
    pub flows_max: usize,
    /// Records of handshakes under way (each at most 64 bytes; the oldest makes room).
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
    /// Packets of no flow that are answered with RSTs (three at most) in one second.
    pub orphan_resets_per_second: u32,
    /// What one flow may put into the event log at once: bytes that its entries show, and 128 for
    /// each entry.
    pub log_burst_bytes: u32,
    /// What it may add in each second.
    pub log_flow_bytes_per_second: u32,
}
