//! TCP's part in a replay: packets that were dropped and that their sender would send again.
//!
//! The engine leaves to the network what may not pass yet (law 3), but a capture repeats nothing.
//! So a replay keeps such a packet, whole, and offers it again behind each later packet that moves
//! something of its flow, until it is let through or the flow ends. Nor does the other end
//! acknowledge meanwhile what did not reach it, although in the capture it did: what it
//! acknowledges is lowered. This is a model of the network and no part of the engine: a live queue
//! has the ends themselves. Bounded; what does not fit is not repeated.

use std::borrow::Cow;
use std::collections::HashMap;
use std::ops::Range;

use etherparse::TcpSlice;
use smoltcp::wire::TcpSeqNumber;

use crate::engine::{Effects, Reason, Verdict};
use crate::flow::{Endpoint, FlowKey};
use crate::front::capture::{LinkType, Shape};
use crate::wire::{Packet, Seq};

/// Packets kept for one flow: a sender's whole window in full segments, 256 x 1448 bytes, is more
/// than any sends before it waits for an answer to a command.
const PACKETS_PER_FLOW_MAX: usize = 256;
/// Bytes of their frames, as many as that is with every header: in a capture made before
/// segmentation one packet holds as much as 45, and all of them may be judged again behind any.
const BYTES_PER_FLOW_MAX: usize = 512 << 10;
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
    /// Its record, but for the frame; none once another section of the capture has begun.
    pub shape: Option<Shape>,
    /// Its segment, if that could be read.
    pub segment: Option<Segment>,
    /// Bytes of it, as an IP packet, that were let through: 0 if it was dropped, else it was cut.
    pub passed: usize,
}

impl Kept {
    /// Who sent it, and the first sequence number of it that has not arrived.
    fn lacking(&self) -> Option<(Endpoint, TcpSeqNumber)> {
        let segment = self.segment.as_ref()?;
        let arrived = self.passed.saturating_sub(segment.payload);
        Some((segment.source, segment.sequence + arrived))
    }
}

/// What a TCP header says about a packet's place in the flow.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Segment {
    /// Who sent it.
    pub source: Endpoint,
    /// The number of its first byte, or of its SYN.
    pub sequence: TcpSeqNumber,
    /// What it acknowledges.
    pub acknowledged: Option<TcpSeqNumber>,
    /// Whether it opens a connection, or answers such a one.
    pub is_syn: bool,
    /// Whether it ends its direction.
    pub is_fin: bool,
    /// Whether it breaks the connection off.
    pub is_rst: bool,
    /// Bytes of payload.
    pub length: usize,
    /// Offset of the TCP header in the IP packet.
    header: usize,
    /// Offset of the payload in the IP packet.
    payload: usize,
    is_unfinished: bool,
}

impl Segment {
    /// Reads the segment that ends an IP packet, its checksum complete or left to a network card.
    #[must_use]
    pub fn of(
        source: Endpoint,
        packet: &[u8],
        segment: &[u8],
        is_unfinished: bool,
    ) -> Option<Self> {
        let tcp = TcpSlice::from_slice(segment).ok()?;
        let number = |number: u32| TcpSeqNumber(number.cast_signed());
        let header = packet.len().checked_sub(segment.len())?;
        Some(Self {
            source,
            sequence: number(tcp.sequence_number()),
            acknowledged: tcp.ack().then(|| number(tcp.acknowledgment_number())),
            is_syn: tcp.syn(),
            is_fin: tcp.fin(),
            is_rst: tcp.rst(),
            length: tcp.payload().len(),
            header,
            payload: header.checked_add(tcp.header_len())?,
            is_unfinished,
        })
    }

    /// The same of a packet that was read already, whose checksum is right.
    #[must_use]
    pub fn read(packet: &Packet<'_>) -> Self {
        let number = |number: Seq| TcpSeqNumber(number.0.cast_signed());
        let (flags, length) = (packet.flags, packet.payload().len());
        Self {
            source: Endpoint { address: packet.source, port: packet.source_port },
            sequence: number(packet.seq),
            acknowledged: flags.ack.then(|| number(packet.ack)),
            is_syn: flags.syn,
            is_fin: flags.fin,
            is_rst: flags.rst,
            length,
            header: packet.tcp_start(),
            payload: packet.bytes().len() - length,
            is_unfinished: false,
        }
    }

    /// The number behind all that it carries.
    #[must_use]
    pub fn end(&self) -> TcpSeqNumber {
        self.sequence + self.length + usize::from(self.is_syn) + usize::from(self.is_fin)
    }

    /// Where in the IP packet its header stands.
    pub(super) const fn header(&self) -> usize {
        self.header
    }

    /// Where in the IP packet its payload stands.
    pub(super) const fn payload(&self) -> usize {
        self.payload
    }

    /// How far its sender is with it, as an IP packet that the engine read.
    fn mark(&self, packet: &[u8]) -> Mark {
        let header = packet.get(self.header..).unwrap_or_default();
        let acknowledged = header.get(ACKNOWLEDGEMENT..).and_then(<[u8]>::first_chunk::<4>);
        let window = header.get(WINDOW..).and_then(<[u8]>::first_chunk::<2>);
        let acknowledged = acknowledged.map(|bytes| TcpSeqNumber(i32::from_be_bytes(*bytes)));
        Mark {
            source: self.source,
            run: (self.sequence, self.end()),
            acknowledged: self.acknowledged.and(acknowledged),
            window: window.map_or(0, |bytes| u16::from_be_bytes(*bytes)),
        }
    }

    /// Whether it carries a part of its sender's stream, and does no more than that.
    pub(super) const fn is_data(&self) -> bool {
        (self.length > 0 || self.is_fin) && !self.is_syn && !self.is_rst
    }

    /// A frame of this segment, acknowledging no more than this.
    #[must_use]
    pub fn lowered(&self, frame: &[u8], packet_start: usize, to: TcpSeqNumber) -> Vec<u8> {
        let mut frame = frame.to_vec();
        let header = frame.get_mut(packet_start.saturating_add(self.header)..);
        lower(header.unwrap_or_default(), to, self.is_unfinished);
        frame
    }
}

/// Where the ends' streams stand still while what waits is offered again: as long as bytes wait for
/// a reply, those that adjoin them do too. Bytes behind a gap may pass ahead of it for what they
/// are, and each of them is asked.
#[derive(Debug, Default)]
pub struct Stuck(Vec<Standstill>);

/// Bytes that wait for a reply.
#[derive(Debug)]
struct Standstill {
    source: Endpoint,
    sequence: TcpSeqNumber,
    length: usize,
    /// The first number that did not arrive.
    lacking: TcpSeqNumber,
    /// The number behind all that is known to wait from there on.
    end: TcpSeqNumber,
}

impl Stuck {
    /// A packet does not get through, or no more of it, for this reason.
    pub fn note(&mut self, kept: &Kept, reason: Reason) {
        let (Some(segment), Some((source, lacking))) = (&kept.segment, kept.lacking()) else {
            return;
        };
        let Segment { sequence, length, .. } = *segment;
        if segment.is_data() && reason == Reason::AwaitingReply {
            self.0.push(Standstill { source, sequence, length, lacking, end: segment.end() });
        }
    }

    /// Whether a packet has no more to hope for than one that stands still: its bytes adjoin that
    /// one's or others that do, or they are the same ones.
    #[must_use]
    pub fn holds(&mut self, kept: &Kept) -> bool {
        let Some(segment) = kept.segment.as_ref().filter(|segment| segment.is_data()) else {
            return false;
        };
        let mut standstills = self.0.iter_mut().filter(|one| one.source == segment.source);
        standstills.any(|one| {
            let is_same = one.sequence == segment.sequence && one.length == segment.length;
            let is_behind = segment.sequence > one.lacking && segment.sequence <= one.end;
            if is_behind {
                one.end = one.end.max(segment.end());
            }
            is_same || is_behind
        })
    }

    /// Something got through, behind which more may.
    pub fn clear(&mut self) {
        self.0.clear();
    }
}

/// How far an end was when a packet of it arrived.
#[derive(Debug)]
struct Mark {
    source: Endpoint,
    /// The numbers that it carried last, up to the one behind them.
    run: (TcpSeqNumber, TcpSeqNumber),
    /// The most that it acknowledged.
    acknowledged: Option<TcpSeqNumber>,
    /// The widest window that it offered with that.
    window: u16,
}

/// What waits for one flow.
#[derive(Debug, Default)]
struct Waiting {
    /// In the order of the capture.
    packets: Vec<Kept>,
    /// Bytes of their frames.
    bytes: usize,
    /// Of each end, since something waits.
    marks: Vec<Mark>,
}

impl Waiting {
    /// A packet arrived: whether its end got further with it. The bare ACK that a receiver sends a
    /// second time, and the segment that a sender does, let nothing through that waits.
    fn has_moved(&mut self, new: Mark) -> bool {
        let Some(last) = self.marks.iter_mut().find(|mark| mark.source == new.source) else {
            self.marks.push(new);
            return true;
        };
        let is_other_run = new.run.0 != new.run.1 && new.run != last.run;
        let is_further = new.acknowledged > last.acknowledged;
        let is_wider = new.acknowledged == last.acknowledged && new.window > last.window;
        if is_other_run {
            last.run = new.run;
        }
        if is_further || is_wider {
            (last.acknowledged, last.window) = (new.acknowledged, new.window);
        }
        is_other_run || is_further || is_wider
    }
}

/// All packets that wait, by flow.
#[derive(Debug, Default)]
pub struct Repeats {
    flows: HashMap<FlowKey, Waiting>,
    bytes: usize,
}

impl Repeats {
    /// Keeps a packet, if there is room.
    pub fn keep(&mut self, key: FlowKey, packet: Kept) {
        let length = packet.frame.len();
        let flow = self.flows.entry(key).or_default();
        let (all, own) = (self.bytes.saturating_add(length), flow.bytes.saturating_add(length));
        let has_room = all <= BYTES_MAX && own <= BYTES_PER_FLOW_MAX;
        if has_room && flow.packets.len() < PACKETS_PER_FLOW_MAX {
            (self.bytes, flow.bytes) = (all, own);
            flow.packets.push(packet);
        }
    }

    /// Takes out what waits for a flow and may get through behind a packet that arrived: all of it,
    /// or nothing. Given is that packet's segment, and the IP packet that the engine read.
    pub fn take_behind(&mut self, key: &FlowKey, segment: &Segment, packet: &[u8]) -> Vec<Kept> {
        // Where nothing waits for anybody, nobody is looked for.
        if self.flows.is_empty() {
            return Vec::new();
        }
        let Some(waiting) = self.flows.get_mut(key) else { return Vec::new() };
        if !waiting.has_moved(segment.mark(packet)) {
            return Vec::new();
        }
        self.bytes = self.bytes.saturating_sub(std::mem::take(&mut waiting.bytes));
        std::mem::take(&mut waiting.packets)
    }

    /// Forgets a flow, once it waits for nothing.
    pub fn settle(&mut self, key: &FlowKey) {
        if self.flows.get(key).is_some_and(|waiting| waiting.packets.is_empty()) {
            self.flows.remove(key);
        }
    }

    /// Forgets a flow that ended.
    pub fn end(&mut self, key: &FlowKey) {
        if let Some(waiting) = self.flows.remove(key) {
            self.bytes = self.bytes.saturating_sub(waiting.bytes);
        }
    }

    /// A frame of a flow as its sender would have sent it: acknowledging no more than arrived. A
    /// SYN acknowledges nothing of what is kept: with another number it is of a new connection.
    #[must_use]
    pub fn acknowledge<'a>(
        &self,
        key: &FlowKey,
        segment: &Segment,
        frame: &'a [u8],
        packet_start: usize,
    ) -> Cow<'a, [u8]> {
        match self.lacking_for(key, segment) {
            Some(first) => Cow::Owned(segment.lowered(frame, packet_start, first)),
            None => Cow::Borrowed(frame),
        }
    }

    /// The first number that has not arrived of what a segment acknowledges.
    pub(super) fn lacking_for(&self, key: &FlowKey, segment: &Segment) -> Option<TcpSeqNumber> {
        let acknowledged = segment.acknowledged.filter(|_| !segment.is_syn)?;
        let kept = self.flows.get(key).into_iter().flat_map(|waiting| &waiting.packets);
        let lacking = kept.filter_map(Kept::lacking);
        let others = lacking.filter(|(source, _)| *source != segment.source);
        let first = others.map(|(_, number)| number).reduce(TcpSeqNumber::min);
        first.filter(|first| *first < acknowledged)
    }

    /// A new section of the capture begins, in which no record of an older one may stand.
    pub fn begin_section(&mut self) {
        let kept = self.flows.values_mut().flat_map(|waiting| &mut waiting.packets);
        kept.for_each(|kept| kept.shape = None);
    }
}

/// Offsets of the acknowledgement, of the window and of the checksum in a TCP header.
const ACKNOWLEDGEMENT: usize = 8;
const WINDOW: usize = 14;
const CHECKSUM: usize = 16;

/// Writes another acknowledgement. The checksum is corrected by the difference (RFC 1624), so that
/// a wrong one stays wrong. One left to a network card does not cover the field and stays.
fn lower(header: &mut [u8], number: TcpSeqNumber, is_unfinished: bool) {
    let Some((before, after)) = header.split_at_mut_checked(CHECKSUM) else { return };
    let field = before.get_mut(ACKNOWLEDGEMENT..).and_then(<[u8]>::first_chunk_mut::<4>);
    let (Some(field), Some(checksum)) = (field, after.first_chunk_mut::<2>()) else { return };
    let new = number.0.to_be_bytes();
    let words = |[a, b, c, d]: [u8; 4]| [u16::from_be_bytes([a, b]), u16::from_be_bytes([c, d])];
    let ([a, b], [c, d]) = (words(*field), words(new));
    *field = new;
    if !is_unfinished {
        *checksum = adjust(*checksum, &[!a, !b, c, d]);
    }
}

/// A checksum after words were replaced (RFC 1624 3); given are the complements of the old ones,
/// and the new ones.
pub(super) fn adjust(sum: [u8; 2], words: &[u16]) -> [u8; 2] {
    let sum = u32::from(!u16::from_be_bytes(sum));
    let mut sum = words.iter().fold(sum, |sum, word| sum + u32::from(*word));
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    let [_, _, high, low] = (!sum).to_be_bytes();
    [high, low]
}

/// What the network makes of a verdict.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sequel {
    /// The packet arrived, whole.
    Arrived,
    /// A part of it arrived, of this many bytes as an IP packet; its sender repeats it.
    Cut(usize, Reason),
    /// It did not arrive; its sender repeats it.
    Lost(Reason),
    /// It did not arrive, and repeating it would not help.
    Refused,
}

impl Sequel {
    /// What follows from a verdict and its effects.
    #[must_use]
    pub fn of(verdict: Verdict, effects: &Effects) -> Self {
        match verdict {
            Verdict::Accept => Self::Arrived,
            Verdict::Rewrite => effects.withheld.map_or(Self::Arrived, |withheld| {
                Self::Cut(effects.rewritten.len(), withheld.reason)
            }),
            Verdict::Drop(reason) if reason.is_repeated_by_tcp() => Self::Lost(reason),
            Verdict::Drop(_) => Self::Refused,
        }
    }
}
