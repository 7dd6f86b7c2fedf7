//! One direction's bytes, against a model that keeps every byte for ever.
//!
//! Input: the initial sequence number (4 bytes), then operations: data (offset, bytes, how many of
//! them may pass), ACK, FIN, a gap that nobody will fill. Offsets are counted from the first
//! offset not judged yet.

use std::collections::BTreeMap;
use std::sync::Arc;

use mailguard::offset::Offset;
use mailguard::tcp::{Memory, Place, Spares, Stream, Violation, Window};
use mailguard::wire::{Checksum, Editor, Packet, Parsed, Seq};

use super::input::Input;
use crate::support::packet::{ACK, tcp_packet};

/// What the receiver offers, at first and with every ACK.
const WINDOW: u16 = 60_000;

/// Runs behind gaps that the stream has to remember.
const RUNS_MIN: usize = 16;

pub fn run(data: &[u8]) {
    let mut input = Input::new(data);
    let mut pair = Pair::new(input.word());
    while !input.is_empty() {
        let operation = input.byte();
        let delta = i64::from(input.byte().cast_signed());
        match operation & 7 {
            0..=3 => {
                let count = input.number();
                let bytes = input.bytes(count & 63).to_vec();
                pair.data(delta, &bytes, operation >> 3);
            }
            4 | 5 => pair.acknowledge(delta),
            6 => pair.finish(delta),
            _ => pair.skip(delta),
        }
        pair.compare();
    }
}

/// The stream, and all that a naive observer remembers of it.
struct Pair {
    stream: Stream,
    memory: Arc<Memory>,
    spares: Spares,
    base: u32,
    /// The value of every judged byte.
    values: Vec<u8>,
    acknowledged: usize,
    /// Bytes let through ahead of a gap, by offset.
    early: BTreeMap<usize, u8>,
    fin: Option<usize>,
    is_finished: bool,
}

impl Pair {
    fn new(isn: u32) -> Self {
        let memory = Arc::default();
        Self {
            stream: Stream::new(Seq(isn), Window::new(WINDOW, 0), &memory),
            memory,
            spares: Spares::default(),
            base: isn.wrapping_add(1),
            values: Vec::new(),
            acknowledged: 0,
            early: BTreeMap::new(),
            fin: None,
            is_finished: false,
        }
    }

    fn at(&self, delta: i64) -> (i64, Seq) {
        let offset = self.values.len() as i64 + delta;
        (offset, Seq(self.base.wrapping_add(offset as u32)))
    }

    fn data(&mut self, delta: i64, payload: &[u8], pass: u8) {
        let (start, seq) = self.at(delta);
        assert_eq!(self.stream.offset(seq), u64::try_from(start).ok().map(Offset::new));
        let room = self.fin.map_or(i64::MAX, |fin| (fin as i64 - start).max(0));
        let length = payload.len().min(usize::try_from(room).unwrap());
        assert_eq!(self.stream.before_fin(seq, payload.len()), length);
        if length == 0 {
            return;
        }
        let within = |offset: usize| (offset as i64 - start).clamp(0, length as i64) as usize;
        match self.stream.place(seq, length) {
            Place::Below => assert!(start + length as i64 <= self.acknowledged as i64),
            Place::Beyond { distance } => {
                assert_eq!(distance as i64, delta);
                self.send_early(distance, payload);
            }
            Place::At { stale, known } => {
                assert_eq!(stale, within(self.acknowledged));
                assert_eq!(known, within(self.values.len()));
                let fresh = &payload[known..length];
                let judged = usize::from(pass) % (fresh.len() + 1);
                if self.judge(fresh, fresh.len() - judged) {
                    self.leave(start, seq, payload, length - judged);
                }
            }
        }
    }

    /// Fresh bytes, of which the first `pass` may pass; an `e` among them becomes an `X`. False if
    /// it has left as an `e` before: such a flow is reset.
    fn judge(&mut self, fresh: &[u8], pass: usize) -> bool {
        let end = self.values.len();
        let is_contradicted = self.stream.append(fresh, &mut self.spares);
        let known = |index: usize| self.early.get(&(end + index)).copied();
        let mut expected: Vec<u8> =
            fresh.iter().enumerate().map(|(index, &byte)| known(index).unwrap_or(byte)).collect();
        assert_eq!(is_contradicted, expected != fresh);
        let tail = self.stream.tail(Offset::new(end as u64));
        assert_eq!(tail, expected);
        let mut has_contradicted = false;
        for index in 0..pass {
            if tail[index] == b'e' {
                (tail[index], expected[index]) = (b'X', b'X');
                has_contradicted |= known(index).is_some();
            }
        }
        let passed = Offset::new((end + pass) as u64);
        assert_eq!(self.stream.agrees_with_early(passed), !has_contradicted);
        assert_eq!(self.stream.judged(), Offset::new(end as u64));
        self.stream.commit(passed, &mut self.spares);
        self.values.extend_from_slice(&expected[..pass]);
        self.join();
        !has_contradicted
    }

    /// Early bytes that follow without a gap have become judged ones.
    fn join(&mut self) {
        let before = self.values.len();
        self.early.retain(|&offset, _| offset >= before);
        while let Some(byte) = self.early.remove(&self.values.len()) {
            self.values.push(byte);
        }
        let mut joined = 0;
        while let more @ 1.. = self.stream.append_early(&mut self.spares) {
            joined += more;
            self.stream.commit(self.stream.appended(), &mut self.spares);
        }
        assert_eq!(joined, self.values.len() - before);
    }

    fn send_early(&mut self, distance: usize, payload: &[u8]) {
        let start = self.values.len() + distance;
        let mut expected = self.early.clone();
        for (offset, &byte) in (start..).zip(payload) {
            expected.entry(offset).or_insert(byte);
        }
        let bytes: Vec<u8> = (start..start + payload.len()).map(|at| expected[&at]).collect();
        let overlaid = self.stream.overlay(distance, payload);
        assert_eq!(overlaid.as_deref(), (bytes != payload).then_some(&bytes[..]));
        let starts = expected.keys().filter(|&&at| at == 0 || !expected.contains_key(&(at - 1)));
        match self.stream.admit_early(distance, &bytes) {
            Ok(()) => self.early = expected,
            Err(violation) => {
                assert_eq!(violation, Violation::TooManyGaps);
                assert!(starts.count() > RUNS_MIN, "there was room");
            }
        }
    }

    /// A packet with the first `keep` bytes of a payload leaves: each has its one value.
    fn leave(&self, start: i64, seq: Seq, payload: &[u8], keep: usize) {
        let ends = ["192.0.2.1:4000".parse().unwrap(), "192.0.2.2:25".parse().unwrap()];
        let bytes = tcp_packet(ends[0], ends[1], seq.0, 0, ACK, &[], payload);
        let Ok(Parsed::Tcp(packet)) = Packet::parse(&bytes) else { panic!("unreadable") };
        let mut out = Vec::new();
        let mut editor = Editor::new(&packet, &mut out);
        self.stream.restore(seq, keep, &mut editor);
        editor.cut(keep);
        let left = if editor.finish() { &out } else { &bytes };
        let Ok(Parsed::Tcp(left)) = Packet::parse(left) else { panic!("unreadable: {left:x?}") };
        assert_eq!(left.verify(Checksum::Complete), Ok(()));
        assert_eq!(left.payload().len(), keep);
        for (offset, &byte) in (start..).zip(left.payload()) {
            let value = usize::try_from(offset).ok().filter(|&at| at >= self.acknowledged);
            assert_eq!(byte, value.map_or(b'X', |at| self.values[at]), "offset {offset}");
        }
    }

    fn acknowledge(&mut self, delta: i64) {
        let (offset, ack) = self.at(delta);
        let judged = self.values.len();
        let end = judged + usize::from(self.fin == Some(judged));
        let outcome = self.stream.acknowledge(ack, WINDOW, &mut self.spares);
        let Ok(offset) = usize::try_from(offset) else {
            return assert_eq!(outcome, Ok(()));
        };
        if offset > end {
            return assert_eq!(outcome, Err(Violation::AckOfUnsent));
        }
        assert_eq!(outcome, Ok(()));
        self.is_finished |= offset > judged;
        self.acknowledged = self.acknowledged.max(offset.min(judged));
    }

    fn finish(&mut self, delta: i64) {
        let (offset, seq) = self.at(delta);
        let offset = usize::try_from(offset).ok();
        let is_right = offset.is_some() && offset == self.fin.or(Some(self.values.len()));
        assert_eq!(self.stream.admit_fin(seq), is_right);
        if is_right {
            self.fin = offset;
        }
    }

    fn skip(&mut self, delta: i64) {
        let (_, ack) = self.at(delta);
        let judged = self.values.len();
        let gap = self.early.keys().next().map_or(usize::MAX, |first| first - judged);
        // Nothing stands behind the FIN.
        let room = self.fin.map_or(usize::MAX, |fin| fin - judged);
        let missed = usize::try_from(delta).unwrap_or(0).min(gap).min(room);
        assert_eq!(
            self.stream.skip_gap(ack, &mut self.spares),
            (missed > 0).then_some(missed as u64)
        );
        if missed > 0 {
            self.values.resize(judged + missed, 0);
            self.acknowledged = self.values.len();
            self.join();
        }
    }

    fn compare(&self) {
        let judged = self.values.len();
        assert_eq!(self.stream.judged(), Offset::new(judged as u64));
        assert_eq!(self.stream.acknowledged(), Offset::new(self.acknowledged as u64));
        let kept = &self.values[self.acknowledged..];
        if !kept.is_empty() {
            let (start, seq) = self.at(-(kept.len() as i64));
            self.leave(start, seq, &vec![0; kept.len()], kept.len());
        }
        assert_eq!(self.stream.has_early(), !self.early.is_empty());
        assert_eq!(self.stream.fin(), self.fin.map(|fin| Offset::new(fin as u64)));
        assert_eq!(self.stream.is_finished(), self.is_finished);
        let present = judged - self.acknowledged + self.early.len();
        assert!(self.stream.held() >= present, "what is held is counted");
        assert!(self.memory.held() <= self.stream.held(), "and nothing else");
        let first = self.acknowledged + usize::from(self.is_finished);
        let last = judged + usize::from(self.fin.is_some());
        let ends = [first, last].map(|offset| self.base.wrapping_add(offset as u32));
        assert!(self.stream.reset_seqs().all(|seq| ends.contains(&seq.0)));
    }
}
