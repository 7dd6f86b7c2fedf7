//! The engine between two ends: a network before it and one behind it, on both sides.
//!
//! Whatever leaves is checked here, packet by packet: right lengths and checksums, one value for
//! each position of a stream, nothing after a reset, every packet one verdict.

use std::collections::VecDeque;
use std::net::SocketAddr;

use mailguard::engine::{Arrival, Effects, Engine, Handling, Path, Settings, Stats, Verdict};
use mailguard::time::Instant;
use mailguard::wire::Checksum;

use super::choice::Choice;
use super::end::{CLIENT, End, SERVER, Segment};
use super::trace::Trace;
use super::weather::Weather;
use crate::support::oracle;
use crate::support::packet::{ACK, FIN, PSH, SYN, tcp_packet};

/// Bytes of payload that a packet carries at most without being a super-packet.
pub const MSS: usize = 1_460;

/// The MSS option of both SYNs.
const MSS_OPTION: [u8; 4] = [2, 4, 5, 180];

/// IP header and TCP header without options.
const HEADERS: usize = 40;

/// Both networks, the engine and the ends.
pub struct Wire {
    pub engine: Engine,
    pub ends: [End; 2],
    /// What the client contradicts itself with, position by position; empty if it does not.
    pub other_text: Vec<u8>,
    pub weather: Weather,
    /// The flow was reset.
    pub is_reset: bool,
    /// The rest of the connection bypasses the filter.
    pub is_handed_over: bool,
    /// The value each position left with, 256 where none has.
    pub left: [Vec<u16>; 2],
    /// Where each stream is TLS, whose bytes may leave twice with other values: its ends tell.
    pub tls_from: [u64; 2],
    /// Where in the server's stream a reply ends that it matters to have read.
    pub watched: Option<u64>,
    /// How much of the client's stream had left when that reply did.
    pub crossed: Option<u64>,
    pub trace: Trace,
    /// How far each end has said that it has read.
    claimed: [u64; 2],
    before: VecDeque<Segment>,
    behind: VecDeque<Segment>,
    effects: Effects,
    counted: Stats,
    isn: [u32; 2],
    micros: u64,
}

impl Wire {
    /// A connection whose handshake is done.
    pub fn new(settings: Settings, weather: Weather, isn: [u32; 2], trace: Trace) -> Self {
        let mut wire = Self {
            engine: Engine::new(settings, 1),
            ends: [End::default(), End::default()],
            other_text: Vec::new(),
            weather,
            is_reset: false,
            is_handed_over: false,
            left: [Vec::new(), Vec::new()],
            tls_from: [u64::MAX; 2],
            watched: None,
            crossed: None,
            trace,
            claimed: [0; 2],
            before: VecDeque::new(),
            behind: VecDeque::new(),
            effects: Effects::default(),
            counted: Stats::default(),
            isn,
            micros: 1_000_000_000,
        };
        wire.shake_hands();
        wire
    }

    fn shake_hands(&mut self) {
        let [c, s] = self.isn;
        for (from, seq, ack, flags) in [
            (CLIENT, c, 0, SYN),
            (SERVER, s, c.wrapping_add(1), SYN | ACK),
            (CLIENT, c.wrapping_add(1), s.wrapping_add(1), ACK),
        ] {
            let options: &[u8] = if flags & SYN != 0 { &MSS_OPTION } else { &[] };
            let packet = packet(from, seq, ack, flags, options, &[]);
            assert_eq!(self.handle(from, &packet, false), Verdict::Accept, "the handshake passes");
        }
    }

    /// Puts a segment on its way.
    pub fn send(&mut self, from: usize, choice: &mut Choice<'_>) {
        let longest = self.ends[from].said.len();
        let size = self.weather.segment_size(longest, choice);
        let mut segment = self.ends[from].send(from, size);
        if from == CLIENT && !self.other_text.is_empty() {
            if choice.one_in(4) {
                let start = segment.offset as usize;
                let range = start..start + segment.payload.len();
                segment.payload = self.other_text[range].to_vec();
            }
            if choice.one_in(32) {
                segment.ack += choice.below(2_000) as u64;
            }
        }
        self.post(segment, choice);
    }

    /// Puts a bare ACK on its way.
    pub fn send_ack(&mut self, from: usize, choice: &mut Choice<'_>) {
        let segment = self.ends[from].send_ack(from);
        self.post(segment, choice);
    }

    fn post(&mut self, segment: Segment, choice: &mut Choice<'_>) {
        for _ in 0..self.weather.copies(choice) {
            self.before.push_back(segment.clone());
        }
    }

    pub fn is_empty(&self) -> bool {
        self.before.is_empty() && self.behind.is_empty()
    }

    /// One packet reaches the filter.
    pub fn filter_one(&mut self, choice: &mut Choice<'_>) {
        let Some(segment) = self.weather.take(&mut self.before, choice) else { return };
        if let Some(left) = self.judge(&segment) {
            for _ in 0..self.weather.copies(choice) {
                self.behind.push_back(left.clone());
            }
        }
    }

    /// One packet reaches its end.
    pub fn deliver_one(&mut self, choice: &mut Choice<'_>) {
        if let Some(segment) = self.weather.take(&mut self.behind, choice) {
            self.ends[1 - segment.from].receive(segment);
        }
    }

    /// The retransmission timers run out.
    pub fn rewind(&mut self) {
        self.micros += 1_000_000;
        self.ends.iter_mut().for_each(End::rewind);
    }

    fn judge(&mut self, segment: &Segment) -> Option<Segment> {
        if self.is_handed_over {
            return Some(segment.clone());
        }
        let from = segment.from;
        self.claimed[from] = segment.ack.max(self.claimed[from]);
        let flags = if segment.has_fin { ACK | FIN } else { ACK | PSH };
        let seq = self.isn[from].wrapping_add(1).wrapping_add(segment.offset as u32);
        let ack = self.isn[1 - from].wrapping_add(1).wrapping_add(segment.ack as u32);
        let came = packet(from, seq, ack, flags, &[], &segment.payload);
        let verdict = self.handle(from, &came, segment.payload.len() > MSS);
        let was_reset = self.is_reset;
        self.is_reset |= !self.effects.resets.is_empty();
        let effects = std::mem::take(&mut self.effects);
        let left = match verdict {
            Verdict::Accept => Some(&came),
            Verdict::Rewrite => {
                oracle::check_packet(&came, &effects.rewritten);
                Some(&effects.rewritten)
            }
            Verdict::Drop(_) => None,
        };
        let left = left.map(|packet| Segment {
            payload: packet[HEADERS..].to_vec(),
            has_fin: packet[33] & FIN != 0,
            ..segment.clone()
        });
        self.trace.packet(segment, verdict, left.as_ref(), &effects.resets);
        self.is_handed_over |= effects.handling == Handling::HandedOver;
        self.effects = effects;
        if let Some(segment) = &left {
            assert!(!was_reset, "nothing leaves a flow that was reset");
            self.leave(segment);
        }
        left
    }

    /// Each position has one value, but that what its receiver has already, or claims to have, may
    /// be X.
    fn leave(&mut self, segment: &Segment) {
        let read = self.claimed[1 - segment.from];
        let left = &mut self.left[segment.from];
        let end = segment.offset as usize + segment.payload.len();
        if left.len() < end {
            left.resize(end, 256);
        }
        for (offset, &byte) in (segment.offset..).zip(&segment.payload) {
            let value = &mut left[offset as usize];
            if *value == 256 {
                *value = u16::from(byte);
            }
            let is_free = offset >= self.tls_from[segment.from];
            let is_blank = offset < read && byte == b'X';
            assert!(
                is_free || is_blank || *value == u16::from(byte),
                "offset {offset} left with two values"
            );
        }
        let has_left =
            |at: u64| self.left[SERVER].get(..at as usize).is_some_and(|left| !left.contains(&256));
        if self.crossed.is_none() && self.watched.is_some_and(has_left) {
            self.crossed = Some(self.left[CLIENT].len() as u64);
        }
    }

    fn handle(&mut self, from: usize, bytes: &[u8], is_super_packet: bool) -> Verdict {
        self.micros += 100;
        let path = match from {
            CLIENT => Path { ingress: 1, egress: 2, link: 0 },
            _ => Path { ingress: 2, egress: 1, link: 0 },
        };
        let checksum = Checksum::Complete;
        let arrival = Arrival { bytes, checksum, is_super_packet, is_truncated: false, path };
        let now = Instant::from_micros(self.micros);
        let verdict = self.engine.handle(now, &arrival, &mut self.effects);
        self.counted.packets += 1;
        self.counted.resets += self.effects.resets.len() as u64;
        match verdict {
            Verdict::Accept => self.counted.accepted += 1,
            Verdict::Rewrite => self.counted.rewritten += 1,
            Verdict::Drop(reason) => *self.counted.drops.entry(reason).or_default() += 1,
        }
        verdict
    }

    /// The counters say what was seen, and when all is over nothing is kept.
    pub fn settle(&mut self) {
        let stats = self.engine.stats();
        let seen = |s: &Stats| (s.packets, s.accepted, s.rewritten, s.resets, s.drops.clone());
        assert_eq!(seen(&stats), seen(&self.counted), "the counters say what was seen");
        for _ in 0..3 {
            self.micros += 3_600_000_000;
            self.engine.expire(Instant::from_micros(self.micros), &mut self.effects);
        }
        let stats = self.engine.stats();
        assert_eq!((stats.flows_now, stats.store_bytes_now), (0, 0), "nothing is kept");
    }
}

fn packet(from: usize, seq: u32, ack: u32, flags: u8, options: &[u8], payload: &[u8]) -> Vec<u8> {
    let client = SocketAddr::from(([192, 0, 2, 1], 40_000));
    let server = SocketAddr::from(([198, 51, 100, 2], 25));
    let [source, destination] = if from == CLIENT { [client, server] } else { [server, client] };
    tcp_packet(source, destination, seq, ack, flags, options, payload)
}
