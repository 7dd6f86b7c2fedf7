//! What one record of a capture led to.

use crate::engine::{Record, Verdict};
use crate::flow::{Endpoint, FlowKey};

/// What one record led to. Reused from record to record.
#[derive(Debug, Default)]
pub struct Step {
    /// The bytes that this record leaves in the capture of what went on.
    pub written: Vec<u8>,
    /// The fate of the record's packet, if it holds one, then those of packets sent again.
    pub fates: Vec<(u64, Fate)>,
    /// Which bytes of which streams went on.
    pub left: Vec<Left>,
    /// Resets originated, as IP packets.
    pub resets: Vec<Vec<u8>>,
    /// Entries of the event log.
    pub records: Vec<Record>,
}

/// A segment that went on, whatever its bytes became.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Left {
    /// Between whom.
    pub key: FlowKey,
    /// Who sent it.
    pub source: Endpoint,
    /// The number of its first byte, or of its SYN.
    pub sequence: u32,
    /// What it acknowledges.
    pub acknowledged: Option<u32>,
    /// Whether it opens a connection, or answers such a one.
    pub is_syn: bool,
    /// Bytes of payload that went on.
    pub length: usize,
}

/// What became of a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It is none of ours and went on.
    Passed(Bystander),
    /// The engine judged it.
    Judged(Verdict),
    /// It went on, and its connection was handed back to the kernel.
    HandedOver,
    /// It was sent again and judged again, or a reply of it came behind the others.
    Repeated(Verdict),
}

/// Why a packet was none of ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bystander {
    /// The frame holds no IP packet.
    NotIp,
    /// Another protocol or port.
    NotSmtp,
    /// A fragment that names no ports.
    Fragment,
}
