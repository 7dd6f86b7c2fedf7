//! The engine: any sequence of packets gets its verdicts, and what leaves is valid TCP in which
//! every position has one value (the rig checks that on each packet).
//!
//! Input: one byte of settings, two initial sequence numbers, then operations of a flow whose
//! handshake is done. Raw packets go to a second engine, in which anything may happen.

use mailguard::engine::{Arrival, Effects, Engine, Path, Settings, Stats, UnknownFlow, Verdict};
use mailguard::flow::Direction;
use mailguard::guard;
use mailguard::time::Instant;
use mailguard::wire::{Checksum, Packet, Parsed};

use super::input::Input;
use crate::support::packet::{ACK, FIN, PSH, RST, SYN, URG, arrival};
use crate::support::rig::{Rig, settings};

/// Operations of one input: enough for a whole dialogue, few enough to be quick.
const OPERATIONS_MAX: usize = 256;

/// What ends often say; other bytes come from the input.
const PHRASES: [&str; 16] = [
    "220 a\r\n",
    "250 ok\r\n",
    "354 go\r\n",
    "500 no\r\n",
    "250-x\r\n250 y\r\n",
    "HELO a\r\n",
    "MAIL FROM:<a>\r\n",
    "DATA\r\n",
    "DATA\r\na\r\n.\r\n",
    "EHLO a\r\n",
    "text text text\r\n",
    "\r\n.\r\n",
    ".\r\nVRFY a\r\n",
    "\n.\n",
    "QUIT\r\n",
    "221 bye\r\n",
];

pub fn run(data: &[u8]) {
    let mut input = Input::new(data);
    let settings = chosen(input.byte());
    let limits = settings.limits;
    let mut rig = Rig::established(settings.clone(), [input.word(), input.word()]);
    let mut strays = Strays::new(settings);
    for _ in 0..OPERATIONS_MAX {
        if input.is_empty() {
            break;
        }
        operate(&mut rig, &mut strays, &mut input);
        for stats in [rig.engine.stats(), strays.engine.stats()] {
            assert!(stats.flows_now <= limits.flows_max as u64);
            // The last that there was room for may have got a block with room for more.
            assert!(stats.store_bytes_now < limits.store_bytes_max as u64 + 2_048);
        }
    }
    for stats in [rig.engine.stats(), strays.engine.stats()] {
        let dropped: u64 = stats.drops.values().sum();
        assert_eq!(stats.packets, stats.accepted + stats.rewritten + dropped, "{stats:?}");
    }
}

fn chosen(choice: u8) -> Settings {
    let mut settings = settings(guard::Profile::names()[usize::from(choice & 7)]);
    // No TLS: what is opaque may leave with two values, for its ends to tell apart.
    settings.guard.set("starttls", "strip").unwrap();
    for (bit, key, value) in [
        (8, "split_action", "reset"),
        (16, "split_terminator", "bug"),
        (32, "verbs", "HELO EHLO MAIL RCPT DATA QUIT AUTH BDAT"),
    ] {
        if choice & bit != 0 {
            settings.guard.set(key, value).unwrap();
        }
    }
    if choice & 64 != 0 {
        settings.unknown_flow = UnknownFlow::Drop;
    }
    if choice & 128 != 0 {
        settings.limits.bytes_per_flow_max = 100;
        settings.limits.store_bytes_max = 200;
    }
    settings
}

fn operate(rig: &mut Rig, strays: &mut Strays, input: &mut Input<'_>) {
    let operation = input.byte();
    let direction = if operation & 128 == 0 { Direction::Original } else { Direction::Reply };
    match operation & 15 {
        0..=5 => {
            let flags = if operation & 16 == 0 { ACK | PSH } else { ACK | URG };
            let flags = if operation & 32 == 0 { flags } else { flags | FIN };
            let phrase = PHRASES[usize::from(operation & 7) * 2 + usize::from(operation >> 6 & 1)];
            let offset = next(rig, direction);
            let _ = rig.send_with(direction, offset, phrase.as_bytes(), flags);
        }
        6..=8 => {
            let offset = near(rig, direction, input.byte());
            let count = input.number();
            let bytes = input.bytes(count & 63);
            let flags = if operation & 16 == 0 { ACK } else { ACK | FIN };
            let _ = rig.send_with(direction, offset, bytes, flags);
        }
        9 => {
            let offset = near(rig, direction, input.byte());
            let phrase = PHRASES[input.number() & 15];
            let _ = rig.send(direction, offset, phrase.as_bytes());
        }
        10 => {
            let offset = next(rig, direction);
            let _ = rig.ack(direction, offset);
        }
        11 => {
            let offset = near(rig, direction, input.byte());
            let _ = rig.send_with(direction, offset, &[], RST | ACK);
        }
        12 => {
            let isn = rig.isn[0];
            let count = input.number();
            let data = input.bytes(count & 15).to_vec();
            let _ = rig.packet(Direction::Original, isn, 0, SYN, &[2, 4, 5, 180], &data);
        }
        13 => rig.micros += 1_000_000 << (input.byte() & 15),
        14 => {
            let length = input.number();
            let options = input.bytes(length & 40).to_vec();
            let options = &options[..options.len() & !3];
            let [from, to] = match direction {
                Direction::Original => rig.isn,
                Direction::Reply => [rig.isn[1], rig.isn[0]],
            };
            let seq = from.wrapping_add(1).wrapping_add(next(rig, direction) as u32);
            let ack = to.wrapping_add(1).wrapping_add(input.word() & 0x1ff);
            let _ = rig.packet(direction, seq, ack, ACK, options, b"");
        }
        _ => {
            let length = usize::from(input.byte());
            strays.receive(input.bytes(length), direction, input.byte());
        }
    }
}

/// The offset of the next new byte.
fn next(rig: &mut Rig, direction: Direction) -> u64 {
    rig.side(direction).received
}

/// An offset up to 128 bytes from there.
fn near(rig: &mut Rig, direction: Direction, delta: u8) -> u64 {
    next(rig, direction).saturating_add_signed(i64::from(delta.cast_signed()))
}

/// An engine that gets anything.
struct Strays {
    engine: Engine,
    effects: Effects,
    seconds: u64,
}

impl Strays {
    fn new(settings: Settings) -> Self {
        Self { engine: Engine::new(settings, 1), effects: Effects::default(), seconds: 1 }
    }

    fn receive(&mut self, bytes: &[u8], direction: Direction, seconds: u8) {
        let mut bytes = bytes.to_vec();
        complete(&mut bytes);
        self.seconds += u64::from(seconds >> 4);
        let path = match direction {
            Direction::Original => Path { ingress: 1, egress: 2, link: 0 },
            Direction::Reply => Path { ingress: 2, egress: 1, link: 0 },
        };
        let arrival = Arrival { is_super_packet: seconds & 1 != 0, path, ..arrival(&bytes) };
        let before = self.engine.stats();
        let now = Instant::from_seconds(self.seconds);
        let verdict = self.engine.handle(now, &arrival, &mut self.effects);
        self.check(&bytes, verdict, &before);
    }

    fn check(&self, bytes: &[u8], verdict: Verdict, before: &Stats) {
        let Effects { rewritten, resets, .. } = &self.effects;
        if verdict == Verdict::Rewrite {
            assert!(rewritten.len() <= bytes.len());
            assert!(matches!(Packet::parse(rewritten), Ok(Parsed::Tcp(_))), "{rewritten:x?}");
        }
        for reset in resets {
            let Ok(Parsed::Tcp(packet)) = Packet::parse(reset) else { panic!("no TCP") };
            assert_eq!((packet.verify(Checksum::Complete), packet.flags.rst), (Ok(()), true));
        }
        let stats = self.engine.stats();
        assert_eq!(stats.packets, before.packets + 1);
        assert_eq!(stats.resets, before.resets + resets.len() as u64);
    }
}

/// Fills in what a fuzzer cannot guess: the IPv4 header's length and checksum.
fn complete(bytes: &mut [u8]) {
    let total = (bytes.len() as u16).to_be_bytes();
    let Some(&first) = bytes.first().filter(|first| *first >> 4 == 4) else { return };
    let length = usize::from(first & 15) * 4;
    if length < 20 || bytes.len() < length {
        return;
    }
    bytes[2..4].copy_from_slice(&total);
    bytes[10..12].fill(0);
    let words = bytes[..length].chunks(2).map(|pair| u32::from(pair[0]) << 8 | u32::from(pair[1]));
    let sum: u32 = words.sum();
    let folded = (sum & 0xffff) + (sum >> 16);
    let folded = (folded & 0xffff) + (folded >> 16);
    bytes[10..12].copy_from_slice(&(!(folded as u16)).to_be_bytes());
}
