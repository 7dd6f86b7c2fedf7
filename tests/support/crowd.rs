//! Many flows of many clients through one engine, without anybody's real TCP: whoever plays an end
//! says what it sends and what it acknowledges.

use std::net::SocketAddr;

use mailguard::engine::{Arrival, Effects, Engine, Path, Record, Settings, Verdict};
use mailguard::flow::Direction;
use mailguard::flow::Direction::{Original as C, Reply as S};
use mailguard::time::Instant;

use super::packet::{ACK, FIN, PSH, SYN, arrival, tcp_packet};

/// The other end of all flows.
const SERVER: &str = "198.51.100.2:25";

/// Bytes an end may have in flight: a window of 64,240 and this shift.
const SCALE: u8 = 9;

/// The engine, and the time.
pub struct Crowd {
    pub engine: Engine,
    pub effects: Effects,
    pub records: Vec<Record>,
    pub micros: u64,
    /// The interfaces by which the clients' packets leave, and the server's come.
    pub way_out: u32,
    pub way_back: u32,
    /// RSTs that the last packet drew.
    pub resets: usize,
    /// The most RSTs that one packet drew.
    pub resets_max: usize,
    /// The most memory that was held behind a packet.
    pub held_max: u64,
}

/// One flow: its ends, and how far each has sent what has arrived.
#[derive(Clone)]
pub struct Line {
    pub client: SocketAddr,
    pub received: [u64; 2],
}

impl Line {
    pub fn new(client: &str, port: u16) -> Self {
        Self { client: SocketAddr::new(client.parse().unwrap(), port), received: [0; 2] }
    }
}

impl Crowd {
    pub fn new(settings: Settings) -> Self {
        Self {
            engine: Engine::new(settings, 1),
            effects: Effects::default(),
            records: Vec::new(),
            micros: 1_000_000_000,
            way_out: 2,
            way_back: 2,
            resets: 0,
            resets_max: 0,
            held_max: 0,
        }
    }

    /// Bytes held now.
    pub fn held(&self) -> u64 {
        self.engine.stats().store_bytes_now
    }

    /// A flow whose handshake is done.
    pub fn open(&mut self, client: &str, port: u16) -> Line {
        let line = Line::new(client, port);
        for step in 0..3 {
            assert!(self.shake(&line, step), "step {step} of a handshake");
        }
        line
    }

    /// One packet of a handshake. Whether it passes.
    pub fn shake(&mut self, line: &Line, step: usize) -> bool {
        let (from, seq, ack, flags) =
            [(C, 99, 0, SYN), (S, 999, 100, SYN | ACK), (C, 100, 1_000, ACK)][step];
        let options: &[u8] = if flags & SYN != 0 { &[3, 3, SCALE, 1] } else { &[] };
        !matches!(self.packet(line, from, [seq, ack], flags, options, &[]), Verdict::Drop(_))
    }

    /// Sends bytes at an offset. How many of them pass; none where the packet is dropped.
    pub fn send(
        &mut self,
        line: &mut Line,
        from: Direction,
        at: u64,
        data: &[u8],
    ) -> Option<usize> {
        self.send_with(line, from, at, data, ACK | PSH)
    }

    /// The same with a FIN.
    pub fn send_fin(&mut self, line: &mut Line, from: Direction) -> Option<usize> {
        let passed = self.send_with(line, from, line.received[index(from)], &[], ACK | FIN);
        line.received[index(from)] += u64::from(passed.is_some());
        passed
    }

    fn send_with(
        &mut self,
        line: &mut Line,
        from: Direction,
        at: u64,
        data: &[u8],
        flags: u8,
    ) -> Option<usize> {
        let ack = start(from.other()) + line.received[index(from.other())] as u32;
        let numbers = [start(from) + at as u32, ack];
        let passed = match self.packet(line, from, numbers, flags, &[], data) {
            Verdict::Drop(_) => return None,
            Verdict::Accept | Verdict::Rewrite => {
                self.effects.withheld.map_or(data.len(), |withheld| withheld.passed)
            }
        };
        let received = &mut line.received[index(from)];
        if at <= *received {
            *received = (*received).max(at + passed as u64);
        }
        Some(passed)
    }

    /// Sends the next bytes and has them acknowledged; whether all of them pass.
    pub fn say(&mut self, line: &mut Line, from: Direction, data: &[u8]) -> bool {
        let is_whole = self.send(line, from, line.received[index(from)], data) == Some(data.len());
        self.send_with(line, from.other(), line.received[index(from.other())], &[], ACK);
        is_whole
    }

    /// From the greeting to the 354.
    pub fn begin_data(&mut self, line: &mut Line) -> bool {
        BEGIN.iter().all(|(from, text)| self.say(line, *from, text))
    }

    /// Any packet at all.
    pub fn packet(
        &mut self,
        line: &Line,
        from: Direction,
        [seq, ack]: [u32; 2],
        flags: u8,
        options: &[u8],
        data: &[u8],
    ) -> Verdict {
        let path = match from {
            C => Path { ingress: 1, egress: self.way_out, link: 0 },
            S => Path { ingress: self.way_back, egress: 1, link: 0 },
        };
        let ends = [line.client, SERVER.parse().unwrap()];
        let (source, destination) = (ends[index(from)], ends[index(from.other())]);
        let bytes = tcp_packet(source, destination, seq, ack, flags, options, data);
        self.arrive(path, &bytes)
    }

    /// Any bytes at all, by any way.
    pub fn arrive(&mut self, path: Path, bytes: &[u8]) -> Verdict {
        let arrival = Arrival { path, ..arrival(bytes) };
        let now = Instant::from_micros(self.micros);
        let verdict = self.engine.handle(now, &arrival, &mut self.effects);
        self.records.append(&mut self.effects.records);
        self.resets = self.effects.resets.len();
        self.resets_max = self.resets_max.max(self.resets);
        self.held_max = self.held_max.max(self.held());
        verdict
    }

    /// Everybody is silent for so long.
    pub fn wait(&mut self, seconds: u64) {
        self.micros += seconds * 1_000_000;
        self.engine.expire(Instant::from_micros(self.micros), &mut self.effects);
        self.records.append(&mut self.effects.records);
    }
}

/// What is said before message data.
pub const BEGIN: [(Direction, &[u8]); 9] = [
    (S, b"220 mail.example.org\r\n"),
    (C, b"HELO client\r\n"),
    (S, b"250 mail.example.org\r\n"),
    (C, b"MAIL FROM:<a@example.net>\r\n"),
    (S, b"250 ok\r\n"),
    (C, b"RCPT TO:<b@example.org>\r\n"),
    (S, b"250 ok\r\n"),
    (C, b"DATA\r\n"),
    (S, b"354 go\r\n"),
];

pub const fn index(direction: Direction) -> usize {
    match direction {
        C => 0,
        S => 1,
    }
}

/// The sequence number of an end's first byte.
const fn start(direction: Direction) -> u32 {
    match direction {
        C => 100,
        S => 1_000,
    }
}
