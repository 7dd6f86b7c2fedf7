//! TCP's part in a replay: packets that were dropped and that their sender would send again.
//!
//! The engine leaves to the network what may not pass yet (law 3), but a capture repeats nothing.
//! So a replay keeps such a packet, whole, and offers it again behind each later packet of its
//! flow until it is let through or the flow ends. This is a model of the network and no part of
//! the engine: a live queue has the senders themselves. Bounded; what does not fit is not repeated.

use std::collections::HashMap;
use std::ops::Range;

use crate::engine::{Checksum, Effects, Reason, Verdict, What};
use crate::flow::FlowKey;

use super::pcap::{LinkType, Shape};

/// Packets kept for one flow: a sender's whole window in full segments, 256 x 1448 bytes, is more
/// than any sends before it waits for an answer to a command.
const PACKETS_PER_FLOW_MAX: usize = 256;
/// Bytes kept in all.
const BYTES_MAX: usize = 64 << 20;

/// A packet that waits to be sent again.
#[derive(Clone, Debug)]
pub struct Kept {
    /// Its number in the capture.
    pub number: u64,
    /// The captured frame.
    pub frame: Vec<u8>,
    /// Where in the frame the IP packet is.
    pub range: Range<usize>,
    /// The frame's link type.
    pub link: LinkType,
    /// Its record, but for the frame.
    pub shape: Shape,
    /// Whether its checksum can be verified.
    pub checksum: Checksum,
    /// Bytes of it, as an IP packet, that were let through: 0 if it was dropped, else it was cut.
    pub passed: usize,
}

/// All packets that wait, by flow, each flow's in the order of the capture.
#[derive(Debug, Default)]
pub struct Repeats {
    flows: HashMap<FlowKey, Vec<Kept>>,
    bytes: usize,
}

impl Repeats {
    /// Keeps a packet, if there is room.
    pub fn keep(&mut self, key: FlowKey, packet: Kept) {
        let bytes = self.bytes.saturating_add(packet.frame.len());
        let flow = self.flows.entry(key).or_default();
        if bytes <= BYTES_MAX && flow.len() < PACKETS_PER_FLOW_MAX {
            self.bytes = bytes;
            flow.push(packet);
        }
    }

    /// Takes out what waits for a flow.
    pub fn take(&mut self, key: &FlowKey) -> Vec<Kept> {
        let packets = self.flows.remove(key).unwrap_or_default();
        for packet in &packets {
            self.bytes = self.bytes.saturating_sub(packet.frame.len());
        }
        packets
    }

    /// Forgets everything: what is kept cannot be written into a new section of a capture.
    pub fn clear(&mut self) {
        *self = Self::default();
    }
}

/// What the network makes of a verdict.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sequel {
    /// The packet arrived, whole.
    Arrived,
    /// A part of it arrived, of this many bytes as an IP packet; its sender repeats it.
    Cut(usize),
    /// It did not arrive; its sender repeats it.
    Lost,
    /// It did not arrive, and repeating it would not help.
    Refused,
}

impl Sequel {
    /// What follows from a verdict and its effects.
    #[must_use]
    pub fn of(verdict: Verdict, effects: &Effects) -> Self {
        match verdict {
            Verdict::Accept | Verdict::Offload => Self::Arrived,
            Verdict::Rewrite if effects.records.iter().any(|record| is_cut(&record.what)) => {
                Self::Cut(effects.rewritten.len())
            }
            Verdict::Rewrite => Self::Arrived,
            Verdict::Drop(reason) if is_repeated_by_tcp(reason) => Self::Lost,
            Verdict::Drop(_) => Self::Refused,
        }
    }
}

fn is_cut(what: &What) -> bool {
    matches!(what, What::Cut { reason, .. } if is_repeated_by_tcp(*reason))
}

/// Whether a packet dropped for this reason may be let through when it is sent again later.
fn is_repeated_by_tcp(reason: Reason) -> bool {
    matches!(reason.name(), "out-of-order" | "awaiting-reply" | "store-full" | "too-many-gaps")
}
