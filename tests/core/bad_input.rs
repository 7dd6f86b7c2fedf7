//! Bad input: whatever comes off the wire or out of a file, nothing panics and nothing grows.
//!
//! Prefixes and 100,000 seeded mutations of sample captures go through the packet parser, the
//! engine and the replay. `ROUNDS` and `SEED` in the environment choose others; a failing round
//! prints both, and `SEED=.. ROUNDS=1` plays it alone.

use std::fs;
use std::path::{Path, PathBuf};
use std::thread;

use mailguard::engine::{Arrival, Effects, Engine, Settings, Verdict};
use mailguard::front::capture::link;
use mailguard::front::capture::{Entry, Reader};
use mailguard::front::replay::{Checksums, Session, Step};
use mailguard::guard;
use mailguard::time::Instant;
use mailguard::wire::{
    Checksum, Malformed, Packet, Parsed, maximum_segment_size, restrict_options,
};

use crate::support::again::alone;
use crate::support::capture::{Layout, PLAIN, dialogue};
use crate::support::packet::{ACK, FIN, RST, SYN, arrival, tcp_packet};
use crate::support::random::{Random, environment};
use crate::support::rig::settings as profile;

/// Mutations of all samples together.
const ROUNDS: u64 = 100_000;
/// Samples taken of those that others recorded, and packets taken of each sample: enough for a
/// dialogue, few enough to play it often.
const RECORDED_MAX: usize = 8;
/// Rounds behind each of which one of theirs is mutated, too.
const RECORDED_EVERY: usize = 8;
const PACKETS_MAX: usize = 24;
const CAPTURE_BYTES_MAX: usize = 4_000;
/// What the process may hold at any time. It holds a few samples and a few flows.
const RESIDENT_KIB_MAX: u64 = 128 << 10;

/// A sample: its packets, and the capture they came in.
struct Sample {
    name: String,
    capture: Vec<u8>,
    packets: Vec<Vec<u8>>,
}

impl Sample {
    fn new(name: impl Into<String>, capture: Vec<u8>) -> Self {
        let mut packets = Vec::new();
        let mut reader = Reader::new(&capture[..]);
        while let Ok(Some(entry)) = reader.read() {
            let Entry::Packet(packet) = entry else { continue };
            if let Some(located) = link::locate(packet.link, packet.frame) {
                packets.push(packet.frame[located.range].to_vec());
            }
        }
        packets.truncate(PACKETS_MAX);
        Self { name: name.into(), capture, packets }
    }
}

/// Captures below a folder, in order; none if there is no folder.
fn captures(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(folder) else { return Vec::new() };
    let mut paths: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    let is_capture = |path: &PathBuf| path.extension().is_some_and(|end| end == "pcap");
    let below = |path: PathBuf| if path.is_dir() { captures(&path) } else { vec![path] };
    paths.into_iter().flat_map(below).filter(is_capture).collect()
}

/// The project's captures, and captures built in both formats and families: the same everywhere.
fn samples() -> Vec<Sample> {
    let home = Path::new(env!("CARGO_MANIFEST_DIR"));
    let v4 = dialogue("192.0.2.1:40000", "198.51.100.25:25");
    let v6 = dialogue("[2001:db8::1]:40000", "[2001:db8::25]:25");
    let ng = Layout { is_ng: true, ..PLAIN };
    let mut samples = vec![
        Sample::new("built, IPv4", PLAIN.capture(&v4)),
        Sample::new("built, IPv6", PLAIN.capture(&v6)),
        Sample::new("built, both, pcapng", ng.capture(&[v4, v6].concat())),
    ];
    samples.extend(small_captures(&home.join("pcaps")));
    samples
}

/// A few that others recorded, where they are at hand.
fn recorded() -> Vec<Sample> {
    let place = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/pcaps");
    small_captures(&place).take(RECORDED_MAX).collect()
}

fn small_captures(folder: &Path) -> impl Iterator<Item = Sample> {
    let small = |path: &PathBuf| fs::metadata(path).unwrap().len() < 20_000;
    let sample = |path: PathBuf| Sample::new(path.display().to_string(), fs::read(&path).unwrap());
    captures(folder).into_iter().filter(small).map(sample)
}

/// Says how to repeat the round that is under way, should it panic.
struct Replayable<'a> {
    seed: u64,
    sample: &'a str,
}

impl Drop for Replayable<'_> {
    fn drop(&mut self) {
        if thread::panicking() {
            eprintln!("failed: SEED={} ROUNDS=1, sample `{}`", self.seed, self.sample);
        }
    }
}

/// Reads everything that can be read of some bytes.
fn parse(bytes: &[u8]) {
    if let Ok(Parsed::Tcp(packet)) = Packet::parse(bytes) {
        let _ = (packet.verify(Checksum::Complete), packet.verify(Checksum::Unfinished));
        let mut options = packet.options().to_vec();
        let _ = maximum_segment_size(&options);
        let _ = restrict_options(&mut options, packet.flags.syn);
        assert!(packet.payload().len() <= bytes.len());
    }
}

/// An engine that gets IP packets, checked after each.
struct Gateway {
    engine: Engine,
    effects: Effects,
    store_bytes_max: u64,
    flows_max: u64,
    seconds: u64,
}

impl Gateway {
    fn new(mut settings: Settings) -> Self {
        // Small tables, so that their limits are met.
        settings.limits.flows_max = 64;
        settings.limits.handshakes_max = 64;
        settings.limits.bytes_per_flow_max = 64 << 10;
        settings.limits.store_bytes_max = 256 << 10;
        Self {
            store_bytes_max: settings.limits.store_bytes_max as u64,
            flows_max: settings.limits.flows_max as u64,
            engine: Engine::new(settings, 1),
            effects: Effects::default(),
            seconds: 1,
        }
    }

    fn receive(&mut self, bytes: &[u8], is_super_packet: bool) {
        self.seconds += 1;
        // A checksum that nobody looks at: a changed byte is not just a wrong one.
        let arrival = Arrival { is_super_packet, ..arrival(bytes) };
        let now = Instant::from_seconds(self.seconds);
        if self.engine.handle(now, &arrival, &mut self.effects) == Verdict::Rewrite {
            let left = &self.effects.rewritten;
            assert!(left.len() <= bytes.len(), "a packet has grown");
            let Ok(Parsed::Tcp(packet)) = Packet::parse(left) else { panic!("{left:x?}") };
            assert_eq!(packet.verify(Checksum::Complete), Ok(()), "what leaves is valid");
        }
    }

    fn check(&self) {
        let stats = self.engine.stats();
        assert!(stats.store_bytes_now <= self.store_bytes_max, "{stats:?}");
        assert!(stats.flows_now <= self.flows_max, "{stats:?}");
    }
}

/// Replays a capture to its end or its fault.
fn replay(capture: &[u8], settings: Settings) {
    let mut session = Session::new(capture, settings, Checksums::Mend);
    let mut step = Step::default();
    while let Ok(true) = session.step(&mut step) {}
    let _ = session.summary().to_string();
}

/// A capture of some packets, in the raw layout that holds both families.
fn raw(packets: &[Vec<u8>]) -> Vec<u8> {
    Layout { link: 101, header_v4: &[], header_v6: &[], ..PLAIN }.capture(packets)
}

fn settings_of(seed: u64) -> Settings {
    let names = guard::Profile::names();
    profile(names[usize::try_from(seed).unwrap() % names.len()])
}

/// One round: two packets of a sample are changed and all of them given to an engine; or a byte of
/// their capture too, and that replayed.
fn play(sample: &Sample, seed: u64) {
    let _replayable = Replayable { seed, sample: &sample.name };
    let mut random = Random(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
    let mut packets = sample.packets.clone();
    for _ in 0..2 {
        let at = random.below(packets.len());
        random.mutate(&mut packets[at]);
        match random.below(8) {
            0 => {
                let length = 1 + random.below(packets[at].len());
                packets[at].truncate(length);
            }
            1 => packets.swap(at, 0),
            2 => packets.push(packets[at].clone()),
            _ => {}
        }
        parse(&packets[at]);
    }
    match random.below(4) {
        0 | 1 => {
            let mut gateway = Gateway::new(settings_of(seed));
            for packet in &packets {
                gateway.receive(packet, random.below(4) == 0);
            }
            gateway.check();
        }
        2 => {
            let mut capture = raw(&packets);
            random.mutate(&mut capture);
            replay(&capture, settings_of(seed));
        }
        _ => {
            let mut capture = sample.capture.clone();
            capture.truncate(CAPTURE_BYTES_MAX);
            random.mutate(&mut capture);
            replay(&capture, settings_of(seed));
        }
    }
}

/// The most memory this process has held, where the system says so.
fn resident_kib() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.and_then(|line| line.split_whitespace().next()?.parse().ok()).unwrap_or(0)
}

/// Alone in its process: another test's memory would be measured too.
#[test]
fn no_mutation_panics_and_memory_stays_bounded() {
    alone(|| {
        let (samples, recorded) = (samples(), recorded());
        let (seed, rounds) = (environment("SEED", 1), environment("ROUNDS", ROUNDS));
        let workers = thread::available_parallelism().map_or(1, usize::from) as u64;
        thread::scope(|scope| {
            for worker in 0..workers {
                let (samples, recorded) = (&samples, &recorded);
                scope.spawn(move || {
                    for round in (worker..rounds).step_by(usize::try_from(workers).unwrap()) {
                        let seed = seed + round;
                        let number = usize::try_from(seed).unwrap();
                        play(&samples[number % samples.len()], seed);
                        // Theirs come on top: a seed means the same where they are not.
                        if number.is_multiple_of(RECORDED_EVERY) && !recorded.is_empty() {
                            play(&recorded[number / RECORDED_EVERY % recorded.len()], seed);
                        }
                    }
                });
            }
        });
        let (samples, resident) = (samples.len(), resident_kib());
        println!(
            "bad input: {samples} samples, {rounds} mutations from SEED={seed}, panics 0, \
         {resident} KiB at most"
        );
        assert!(resident < RESIDENT_KIB_MAX, "{resident} KiB");
    });
}

#[test]
fn no_prefix_panics() {
    let (mut packets, mut captures) = (0, 0);
    for sample in samples().into_iter().chain(recorded()) {
        let _replayable = Replayable { seed: 0, sample: &sample.name };
        let mut gateway = Gateway::new(profile("mailguard"));
        for packet in &sample.packets {
            for length in 0..=packet.len() {
                parse(&packet[..length]);
                gateway.receive(&packet[..length], false);
                packets += 1;
            }
            gateway.check();
        }
        // Each replay takes as long as its capture: behind the first headers, not at every byte.
        let all = sample.capture.len();
        for length in (0..all.min(500)).chain((500..all).step_by(7)) {
            replay(&sample.capture[..length], profile("mailguard"));
            captures += 1;
        }
    }
    println!("bad input: {packets} prefixes of packets, {captures} of captures, panics 0");
}

#[test]
fn every_way_to_be_malformed_has_its_name() {
    let ends = ["192.0.2.1:4000".parse().unwrap(), "192.0.2.2:25".parse().unwrap()];
    let v6 = ["[2001:db8::1]:4000".parse().unwrap(), "[2001:db8::2]:25".parse().unwrap()];
    let packet = |flags| tcp_packet(ends[0], ends[1], 1, 1, flags, &[], b"HELO a\r\n");
    let edited = |at: usize, value: u8| {
        let mut bytes = packet(ACK);
        bytes[at] = value;
        bytes
    };
    let mut walk = tcp_packet(v6[0], v6[1], 1, 1, ACK, &[], b"");
    // Mobility (RFC 6275), which no server's stack walks.
    walk[6] = 135;
    let cases = [
        (packet(ACK)[..19].to_vec(), Malformed::IpHeader),
        (edited(8, 63), Malformed::IpChecksum),
        (edited(6, 0x20), Malformed::Fragment),
        (walk, Malformed::ExtensionHeader),
        (edited(32, 0x40), Malformed::TcpHeader),
        (edited(40, b'X'), Malformed::TcpChecksum),
        (packet(SYN | FIN), Malformed::TcpFlags),
        (packet(SYN | RST), Malformed::TcpFlags),
    ];
    for (bytes, expected) in cases {
        let arrival = Arrival { checksum: Checksum::Complete, ..arrival(&bytes) };
        let engine = Engine::new(profile("mailguard"), 1);
        let judge = |arrival: &Arrival<'_>| {
            engine.handle(Instant::from_seconds(1), arrival, &mut Effects::default())
        };
        assert_eq!(judge(&arrival), Verdict::Drop(expected.into()), "{bytes:x?}");
        let truncated = Arrival { is_truncated: true, ..arrival };
        assert_eq!(judge(&truncated), Verdict::Drop(Malformed::Truncated.into()));
    }
}
