//! The engine between two scripted TCP ends, without a kernel: each end sends what its script
//! allows, repeats what is not acknowledged, and takes what leaves as a naive receiver would.
//!
//! The rig checks on every packet that lengths and checksums are right and that every stream
//! position leaves with one value only.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use mailguard::engine::{
    Arrival, Checksum, Effects, Engine, Path, Record, Settings, UnknownFlow, Verdict,
};
use mailguard::flow::Direction;
use mailguard::guard;
use mailguard::time::Instant;
use mailguard::wire::{Packet, Parsed};

use super::packet::{ACK, FIN, PSH, SYN, tcp_packet};

/// Settings of a profile with nothing else changed.
pub fn settings(profile: &str) -> Settings {
    Settings {
        ports: vec![25],
        monitor: false,
        unknown_flow: UnknownFlow::Reset,
        guard: guard::Settings::profile(profile).expect("a known profile"),
        exceptions: Vec::new(),
        limits: mailguard::engine::Limits::default(),
    }
}

/// One end's view of one direction.
#[derive(Default)]
pub struct Side {
    /// Every byte that left towards the receiver, by offset.
    pub wire: BTreeMap<u64, u8>,
    /// How many of them are there without a gap: the receiver's ACK.
    pub received: u64,
    /// Whether a FIN has left.
    pub is_finished: bool,
}

impl Side {
    /// The stream as the receiver's application reads it.
    pub fn bytes(&self) -> Vec<u8> {
        self.wire.range(..self.received).map(|(_, &byte)| byte).collect()
    }
}

/// An engine, one flow, and what left of it.
pub struct Rig {
    pub engine: Engine,
    pub effects: Effects,
    pub records: Vec<Record>,
    pub resets: usize,
    pub original: Side,
    pub reply: Side,
    pub client: SocketAddr,
    pub server: SocketAddr,
    pub isn: [u32; 2],
    pub micros: u64,
    pub is_super_packet: bool,
}

impl Rig {
    /// A flow whose handshake is done.
    pub fn established(settings: Settings, isn: [u32; 2]) -> Self {
        let mut rig = Self::new(settings, isn);
        let options = [2, 4, 5, 180];
        let [c, s] = isn;
        for (direction, seq, ack, flags) in [
            (Direction::Original, c, 0, SYN),
            (Direction::Reply, s, c.wrapping_add(1), SYN | ACK),
            (Direction::Original, c.wrapping_add(1), s.wrapping_add(1), ACK),
        ] {
            let options: &[u8] = if flags & SYN != 0 { &options } else { &[] };
            let verdict = rig.packet(direction, seq, ack, flags, options, &[]);
            assert_eq!(verdict, Verdict::Accept);
        }
        rig
    }

    /// An engine that has seen nothing.
    pub fn new(settings: Settings, isn: [u32; 2]) -> Self {
        Self {
            engine: Engine::new(settings, 1),
            effects: Effects::default(),
            records: Vec::new(),
            resets: 0,
            original: Side::default(),
            reply: Side::default(),
            client: "192.0.2.1:40000".parse().unwrap(),
            server: "198.51.100.2:25".parse().unwrap(),
            isn,
            micros: 1_000_000_000,
            is_super_packet: false,
        }
    }

    pub fn side(&mut self, direction: Direction) -> &mut Side {
        match direction {
            Direction::Original => &mut self.original,
            Direction::Reply => &mut self.reply,
        }
    }

    /// Sends payload at an offset, acknowledging what the sender has received.
    pub fn send(&mut self, direction: Direction, offset: u64, payload: &[u8]) -> Verdict {
        self.send_with(direction, offset, payload, ACK | PSH)
    }

    /// The same with a FIN.
    pub fn send_fin(&mut self, direction: Direction, offset: u64, payload: &[u8]) -> Verdict {
        self.send_with(direction, offset, payload, ACK | FIN)
    }

    pub fn send_with(
        &mut self,
        direction: Direction,
        offset: u64,
        payload: &[u8],
        flags: u8,
    ) -> Verdict {
        let other = self.side(direction.other());
        let ack = other.received + u64::from(other.is_finished);
        let (from, to) = match direction {
            Direction::Original => (self.isn[0], self.isn[1]),
            Direction::Reply => (self.isn[1], self.isn[0]),
        };
        let seq = from.wrapping_add(1).wrapping_add(offset as u32);
        let ack = to.wrapping_add(1).wrapping_add(ack as u32);
        self.packet(direction, seq, ack, flags, &[], payload)
    }

    /// A bare ACK of everything received.
    pub fn ack(&mut self, direction: Direction, offset: u64) -> Verdict {
        self.send_with(direction, offset, &[], ACK)
    }

    /// Any packet at all.
    pub fn packet(
        &mut self,
        direction: Direction,
        seq: u32,
        ack: u32,
        flags: u8,
        options: &[u8],
        payload: &[u8],
    ) -> Verdict {
        let (source, destination) = match direction {
            Direction::Original => (self.client, self.server),
            Direction::Reply => (self.server, self.client),
        };
        let bytes = tcp_packet(source, destination, seq, ack, flags, options, payload);
        self.raw(direction, &bytes)
    }

    /// Any bytes at all, as sent by one end.
    pub fn raw(&mut self, direction: Direction, bytes: &[u8]) -> Verdict {
        self.micros += 1_000;
        let path = match direction {
            Direction::Original => Path { ingress: 1, egress: 2 },
            Direction::Reply => Path { ingress: 2, egress: 1 },
        };
        let arrival = Arrival {
            bytes,
            checksum: Checksum::Complete,
            is_super_packet: self.is_super_packet,
            is_truncated: false,
            path,
        };
        let now = Instant::from_micros(self.micros);
        let mut effects = std::mem::take(&mut self.effects);
        let verdict = self.engine.handle(now, &arrival, &mut effects);
        self.records.append(&mut effects.records);
        self.resets += effects.resets.len();
        match verdict {
            Verdict::Accept | Verdict::Offload => self.leave(direction, bytes),
            Verdict::Rewrite => self.leave(direction, &effects.rewritten),
            Verdict::Drop(_) => {}
        }
        self.effects = effects;
        verdict
    }

    fn leave(&mut self, direction: Direction, bytes: &[u8]) {
        let Ok(Parsed::Tcp(packet)) = Packet::parse(bytes) else { panic!("unreadable: {bytes:?}") };
        assert_eq!(packet.verify(true), Ok(()), "what leaves is valid");
        if packet.flags.syn || packet.flags.rst {
            assert!(packet.payload().is_empty(), "SYN and RST carry no data on");
            return;
        }
        let isn = match direction {
            Direction::Original => self.isn[0],
            Direction::Reply => self.isn[1],
        };
        let side = self.side(direction);
        let base = isn.wrapping_add(1);
        let expected = side.received;
        let start =
            i64::from(packet.seq.0.wrapping_sub(base.wrapping_add(expected as u32)).cast_signed())
                + expected as i64;
        for (index, &byte) in packet.payload().iter().enumerate() {
            let Ok(offset) = u64::try_from(start + index as i64) else { continue };
            // Below its own ACK a receiver reads nothing.
            if offset >= side.received {
                let first = *side.wire.entry(offset).or_insert(byte);
                assert_eq!(first, byte, "offset {offset} of {direction:?} left with two values");
            }
        }
        while side.wire.contains_key(&side.received) {
            side.received += 1;
        }
        let end = start + packet.payload().len() as i64;
        if packet.flags.fin && end == side.received as i64 {
            side.is_finished = true;
        }
    }
}

/// What one end says, and when: each piece once that many bytes of the other end have come.
pub type Script = Vec<(u64, Vec<u8>)>;

/// A dialogue written down as turns becomes two scripts.
pub fn scripts(turns: &[(Direction, &str)]) -> [Script; 2] {
    let mut said = [0_u64; 2];
    let mut scripts: [Script; 2] = [Vec::new(), Vec::new()];
    for (direction, text) in turns {
        let who = usize::from(*direction == Direction::Reply);
        scripts[who].push((said[1 - who], text.as_bytes().to_vec()));
        said[who] += text.len() as u64;
    }
    scripts
}

/// What of a script may be said, given what has been heard.
pub fn available(script: &Script, heard: u64) -> Vec<u8> {
    script
        .iter()
        .take_while(|(after, _)| *after <= heard)
        .flat_map(|(_, text)| text.clone())
        .collect()
}

/// Plays both scripts with each stream cut at the given offsets until nobody has anything left to
/// say, or for `rounds_max` rounds without progress.
pub fn play(rig: &mut Rig, scripts: &[Script; 2], cuts: [&[u64]; 2]) {
    let mut idle = 0;
    while idle < 3 {
        let before = (rig.original.received, rig.reply.received);
        for (who, direction) in Direction::BOTH.into_iter().enumerate() {
            let heard = rig.side(direction.other()).received;
            let text = available(&scripts[who], heard);
            let mut start = rig.side(direction).received;
            let edges = cuts[who].iter().copied().chain([text.len() as u64]);
            for edge in edges.filter(|&edge| edge <= text.len() as u64) {
                if edge > start {
                    let _ = rig.send(direction, start, &text[start as usize..edge as usize]);
                    start = edge;
                }
            }
            let said = rig.side(direction.other()).received;
            let _ = (said, rig.ack(direction, start));
        }
        idle = if before == (rig.original.received, rig.reply.received) { idle + 1 } else { 0 };
    }
}
