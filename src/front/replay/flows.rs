//! What a capture shows of each flow of mail, judged or not: whether its handshake is there, which
//! bytes it lacks, and how much was found behind such a gap.
//!
//! A receiver that acknowledges what no packet carries has got it all the same: the capture lacks
//! it. How the judging goes on behind it is the engine's business.

use std::collections::HashMap;

use smoltcp::wire::TcpSeqNumber;

use super::repeat::Segment;
use crate::engine::{Effects, Handling, Record, TlsEvent, What};
use crate::flow::{Direction, Endpoint, FlowKey};
use crate::time::Instant;

use super::sent::Sent;
use super::summary::{Gap, Summary};
use super::traffic::Mail;

/// Flows that are followed: some 40 MiB of memory. Of others nothing is known to be missing.
const FLOWS_MAX: usize = 1 << 17;

/// All flows of mail in a capture, in order of appearance.
#[derive(Debug, Default)]
pub(super) struct Flows {
    flows: Vec<Flow>,
    /// The last flow between each two ends.
    last: HashMap<FlowKey, usize>,
}

#[derive(Debug)]
struct Flow {
    client: Endpoint,
    server: Endpoint,
    /// The number of the SYN.
    syn: Option<TcpSeqNumber>,
    has_answer: bool,
    /// Packets with no handshake before them, or behind one that opened nothing.
    headless: u64,
    by_client: Sent,
    by_server: Sent,
    /// Whether a packet of it could not be read: a handshake may be worth nothing for it.
    is_unreadable: bool,
    /// Its number in the engine, once it is open.
    id: Option<u64>,
    /// Whether the engine had to skip bytes of it.
    has_gap: bool,
    /// What was found behind those.
    uncertain: u64,
}

impl Flows {
    /// A packet of mail passes. Returns the number that it may acknowledge at the most, if that is
    /// less than it does: a bare ACK of bytes that did not pass yet may only have been recorded
    /// ahead of them. Were they lost, what follows will show it.
    pub(super) fn note(&mut self, mail: &Mail, ports: &[u16]) -> Option<TcpSeqNumber> {
        let segment = mail.segment.as_ref()?;
        let is_opening = segment.is_syn && segment.acknowledged.is_none();
        let is_new =
            self.find(&mail.key).is_none_or(|flow| is_opening && flow.is_other(segment.sequence));
        if is_new {
            if self.flows.len() >= FLOWS_MAX {
                return None;
            }
            let is_client = is_opening || ports.contains(&mail.destination.port);
            self.last.insert(mail.key, self.flows.len());
            self.flows.push(if is_client {
                Flow::new(segment.source, mail.destination)
            } else {
                Flow::new(mail.destination, segment.source)
            });
        }
        self.find(&mail.key)?.note(segment, is_opening)
    }

    /// The engine has judged a packet of mail, which it could read or not, and answered this. Where
    /// it had to skip bytes of the other direction for it, the log gets a mark.
    pub(super) fn judged(
        &mut self,
        key: &FlowKey,
        (segment, is_readable): (Option<&Segment>, bool),
        now: Instant,
        effects: &mut Effects,
    ) {
        let Some(flow) = self.find(key) else { return };
        let records = &mut effects.records;
        let opened = records.iter().position(|record| record.what == What::Opened);
        if let Some(record) = opened.and_then(|at| records.get(at)) {
            flow.id = Some(record.flow);
        }
        flow.is_unreadable |= !is_readable;
        let Some(id) = flow.id else {
            // Of what cannot be read another remark tells; or nobody wanted it judged.
            let is_ours = !flow.is_unreadable && effects.handling != Handling::HandedOver;
            let says_something = segment.is_some_and(Segment::is_data);
            flow.headless += u64::from(is_ours && says_something && flow.is_begun());
            return;
        };
        if effects.missed > 0 {
            let is_client = segment.is_some_and(|segment| segment.source == flow.client);
            let direction = if is_client { Direction::Reply } else { Direction::Original };
            let what = What::Missed { direction, length: effects.missed };
            let (originator, responder) = (flow.client, flow.server);
            let mark = Record { at: now, flow: id, originator, responder, what, message: None };
            // Before all that is said of this packet, but that it opens the flow.
            records.insert(opened.map_or(0, |at| at.saturating_add(1)), mark);
            flow.has_gap = true;
        }
        if flow.has_gap {
            let own = records.iter().filter(|record| record.flow == id);
            flow.uncertain += own.map(|record| findings(&record.what)).sum::<u64>();
        }
    }

    fn find(&mut self, key: &FlowKey) -> Option<&mut Flow> {
        self.last.get(key).and_then(|&index| self.flows.get_mut(index))
    }

    /// Adds to the counters what the capture lacks.
    pub(super) fn sum_up(&self, summary: &mut Summary) {
        for flow in &self.flows {
            summary.headless_flows += u64::from(flow.headless > 0);
            summary.headless_packets += flow.headless;
            summary.skipped_flows += u64::from(flow.has_gap);
            summary.uncertain += flow.uncertain;
            let overtaken = flow.by_client.overtaken() + flow.by_server.overtaken();
            summary.overtaken_bytes += overtaken;
            summary.overtaken_flows += u64::from(overtaken > 0);
            let bytes = flow.by_client.lacking() + flow.by_server.lacking();
            if bytes > 0 {
                summary.gaps.push(Gap { client: flow.client, server: flow.server, bytes });
            }
        }
    }
}

impl Flow {
    fn new(client: Endpoint, server: Endpoint) -> Self {
        Self {
            client,
            server,
            syn: None,
            has_answer: false,
            headless: 0,
            by_client: Sent::default(),
            by_server: Sent::default(),
            is_unreadable: false,
            id: None,
            has_gap: false,
            uncertain: 0,
        }
    }

    /// Whether a SYN with this number opens another connection than this one.
    fn is_other(&self, number: TcpSeqNumber) -> bool {
        self.syn != Some(number)
    }

    /// Whether SYN and SYN/ACK have passed.
    const fn is_begun(&self) -> bool {
        self.syn.is_some() && self.has_answer
    }

    fn note(&mut self, segment: &Segment, is_opening: bool) -> Option<TcpSeqNumber> {
        if is_opening {
            self.syn = Some(segment.sequence);
        }
        self.has_answer |= segment.is_syn && !is_opening;
        if segment.is_rst {
            return None;
        }
        self.headless += u64::from(!segment.is_syn && !self.is_begun());
        let (own, peer) = if segment.source == self.client {
            (&mut self.by_client, &mut self.by_server)
        } else {
            (&mut self.by_server, &mut self.by_client)
        };
        own.add(segment.sequence, segment.end());
        let is_bare = segment.length == 0 && !segment.is_syn && !segment.is_fin;
        peer.acknowledge(segment.acknowledged?, is_bare)
    }
}

/// How much in an entry is the engine's opinion and not what the ends said. Of edits that are not
/// shown nobody knows the number; what is left out may be any.
const fn findings(what: &What) -> u64 {
    match what {
        What::Edited { .. }
        | What::Unshown { .. }
        | What::Dropped { .. }
        | What::Cut { .. }
        | What::Reset { .. }
        | What::Alarm { .. }
        | What::Tls(TlsEvent::Alarm { .. } | TlsEvent::Rule { .. })
        | What::Exceeded { .. }
        | What::Contradiction { .. } => 1,
        What::LeftOut { entries } => *entries,
        What::Opened
        | What::Banner { .. }
        | What::Command { .. }
        | What::Reply { .. }
        | What::DataBegin { .. }
        | What::DataEnd { .. }
        | What::Missed { .. }
        | What::Tls(
            TlsEvent::Begin { .. }
            | TlsEvent::Agreed { .. }
            | TlsEvent::Failed { .. }
            | TlsEvent::End { .. },
        )
        | What::Noticed { .. }
        | What::Closed => 0,
    }
}
