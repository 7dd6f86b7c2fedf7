//! Two real TCP stacks (smoltcp) with the engine between them, over a wire that loses, delays,
//! repeats and reorders on both sides of it, on a virtual clock.
//!
//! The bytes that arrive are those of an uncut run, nobody stalls, each packet gets one verdict,
//! and every counter of flows and memory returns to its start. `SEED=17` plays one seed again,
//! `SEEDS=1000` tries more.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use crate::support::endpoint::Endpoint;
use crate::support::mailserver::MailServer;
use crate::support::random::{Random, environment};
use crate::support::rig::{Rig, settings};
use crate::support::shift::shifted;
use crate::support::talk::Talk;
use mailguard::flow::Direction::{self, Original as C, Reply as S};
use mailguard::wire::{Packet, Parsed};
use smoltcp::time::Instant;

/// Seeds tried unless `SEEDS` says otherwise.
const SEEDS: u64 = 60;

/// Virtual time after which somebody has stalled: the retransmission timer's bound (a minute) many
/// times over.
const MICROS_MAX: u64 = 3 * 3_600 * 1_000_000;

/// Where a packet is going.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Leg {
    ToFilter,
    ToEnd,
}

struct Simulation {
    random: Random,
    now: u64,
    client: Endpoint,
    server: Endpoint,
    rig: Rig,
    /// Packets on their way, by time and order of sending.
    wire: BTreeMap<(u64, u64), (Leg, Direction, Vec<u8>)>,
    sent: u64,
    judged: u64,
    /// Of 1,000 packets on each leg.
    loss: usize,
    duplicates: usize,
    jitter: usize,
    /// Added to each end's numbers, so that they begin where we want.
    shifts: [u32; 2],
    targets: [u32; 2],
}

impl Simulation {
    fn new(seed: u64) -> Self {
        let mut random = Random::new(seed);
        let (client, server): (SocketAddr, SocketAddr) = if seed.is_multiple_of(2) {
            ("10.9.0.1:40000".parse().unwrap(), "10.9.0.2:25".parse().unwrap())
        } else {
            ("[fd00::1]:40000".parse().unwrap(), "[fd00::2]:25".parse().unwrap())
        };
        let near_wrap = |random: &mut Random| match random.below(3) {
            0 => 0_u32.wrapping_sub(random.below(60_000) as u32),
            1 => (1 << 31) - random.below(60_000) as u32,
            _ => random.below(1 << 31) as u32,
        };
        let targets = [near_wrap(&mut random), near_wrap(&mut random)];
        let mut rig = Rig::new(settings("mailguard"), targets);
        (rig.client, rig.server) = (client, server);
        let buffer = [2_000, 20_000, 200_000][random.below(3)];
        let mut sender = Endpoint::new(client.ip(), seed, buffer);
        let mut receiver = Endpoint::new(server.ip(), seed ^ 0xffff, buffer);
        receiver.listen(25);
        sender.connect(server, client.port());
        let (loss, duplicates) = (random.below(80), random.below(50));
        let jitter = [100, 10_000, 60_000][random.below(3)];
        Self {
            random,
            now: 1_000_000,
            client: sender,
            server: receiver,
            rig,
            wire: BTreeMap::new(),
            sent: 0,
            judged: 0,
            loss,
            duplicates,
            jitter,
            shifts: [0; 2],
            targets,
        }
    }

    /// One leg of the way: lost, or there once or twice, later.
    fn carry(&mut self, leg: Leg, direction: Direction, packet: &[u8]) {
        let copies = 1 + usize::from(self.random.below(1_000) < self.duplicates);
        for _ in 0..copies {
            if self.random.below(1_000) >= self.loss {
                let at = self.now + 2_000 + self.random.below(self.jitter) as u64;
                self.sent += 1;
                self.wire.insert((at, self.sent), (leg, direction, packet.to_vec()));
            }
        }
    }

    /// A packet has come to the filter.
    fn judge(&mut self, direction: Direction, packet: &[u8]) {
        let who = usize::from(direction == S);
        let Ok(Parsed::Tcp(parsed)) = Packet::parse(packet) else { panic!("unreadable") };
        if parsed.flags.syn && self.shifts[who] == 0 {
            self.shifts[who] = self.targets[who].wrapping_sub(parsed.seq.0);
        }
        let (own, other) = (self.shifts[who], self.shifts[1 - who]);
        let packet = shifted(packet, own, other);
        self.rig.last_left.clear();
        self.rig.micros = self.now;
        self.judged += 1;
        let _ = self.rig.raw(direction, &packet);
        let left = std::mem::take(&mut self.rig.last_left);
        if !left.is_empty() {
            let left = shifted(&left, own.wrapping_neg(), other.wrapping_neg());
            self.carry(Leg::ToEnd, direction, &left);
        }
        assert_eq!(self.rig.resets, 0, "nothing is reset");
        assert_eq!(self.rig.engine.stats().packets, self.judged, "one verdict for each packet");
    }

    /// Goes on to the next moment at which something happens.
    fn step(&mut self) {
        let now = Instant::from_micros(self.now as i64);
        for (direction, packets) in [(C, self.client.poll(now)), (S, self.server.poll(now))] {
            for packet in packets {
                self.carry(Leg::ToFilter, direction, &packet);
            }
        }
        let timers = [self.client.poll_at(now), self.server.poll_at(now)];
        let timers = timers.into_iter().flatten().map(|at| at.total_micros() as u64);
        let packet = self.wire.first_key_value().map(|(&(at, _), _)| at);
        let next = timers.chain(packet).min().unwrap_or(self.now);
        // Stacks may ask to be polled at once, for as long as they like.
        self.now = next.max(self.now + 1_000);
        while let Some(entry) = self.wire.first_entry()
            && entry.key().0 <= self.now
        {
            let (leg, direction, packet) = entry.remove();
            match (leg, direction) {
                (Leg::ToFilter, _) => self.judge(direction, &packet),
                (Leg::ToEnd, C) => self.server.receive(packet),
                (Leg::ToEnd, S) => self.client.receive(packet),
            }
        }
    }
}

/// What the client says, each part once the server has given one more final reply.
fn script(random: &mut Random) -> Vec<Vec<u8>> {
    let mut parts: Vec<Vec<u8>> = vec![Vec::new(), b"EHLO client.example\r\n".to_vec()];
    parts.push(b"HELO client.example\r\n".to_vec());
    for _ in 0..=random.below(3) {
        if random.below(2) == 0 {
            parts.push(b"VRFY root\r\n".to_vec());
        }
        parts.push(b"MAIL FROM:<a@b>\r\n".to_vec());
        parts.push(b"RCPT TO:<c@d>\r\n".to_vec());
        parts.push(b"DATA\r\n".to_vec());
        let mut body = Vec::new();
        let lines = [0, 3, 100, 4_000][random.below(4)];
        // What could be part of a false end waits for the gap before it to close: on a wire that
        // reorders most packets that means one segment for each timeout.
        let kinds = if lines > 100 { 4 } else { 5 };
        for _ in 0..lines {
            let line: &[u8] = [
                &b"An ordinary line of text, as most of them are.\r\n"[..],
                b"..stuffed\r\n",
                b"\r\n",
                b"VRFY root\r\n",
                b"bare\nline\n.\nends \xc3\xa9\r\n",
            ][random.below(kinds)];
            body.extend_from_slice(line);
        }
        body.extend_from_slice(b".\r\n");
        parts.push(body);
    }
    parts.push(b"QUIT\r\n".to_vec());
    parts
}

/// Final replies among these bytes.
fn replies(read: &[u8]) -> usize {
    let lines = read.split_inclusive(|&byte| byte == b'\n').filter(|line| line.ends_with(b"\n"));
    lines.filter(|line| line.get(3) != Some(&b'-')).count()
}

fn run(seed: u64) -> u64 {
    let mut simulation = Simulation::new(seed);
    let parts = script(&mut simulation.random);
    let text = parts.concat();
    let fresh = MailServer::new("220-mx 2002\r\n220 mx2 ESMTP\r\n");
    let mut server = fresh.clone();
    let (mut said, mut heard, mut spoken) = (0, 0, 0);
    while !(simulation.client.is_closed() && simulation.server.is_closed()) {
        assert!(simulation.now < MICROS_MAX, "SEED={seed}: stalled");
        simulation.step();
        server.hear(&simulation.server.read[heard..]);
        heard = simulation.server.read.len();
        simulation.server.say(&server.said[said..]);
        said = server.said.len();
        let due = replies(&simulation.client.read).min(parts.len() - 1);
        while spoken < due {
            spoken += 1;
            simulation.client.say(&parts[spoken]);
        }
        if server.said.ends_with(b"221 bye\r\n") {
            simulation.server.close();
        }
        if simulation.client.read.ends_with(b"221 bye\r\n") {
            simulation.client.close();
        }
    }
    let reference = Talk::with(&text, settings("mailguard"), fresh, [1, 1]);
    let [server_gets, client_gets] = reference.uncut(&text);
    assert!(simulation.server.read == server_gets, "SEED={seed}: the server's bytes");
    assert!(simulation.client.read == client_gets, "SEED={seed}: the client's bytes");
    let mut talk = reference;
    talk.rig = simulation.rig;
    assert_eq!(talk.rig.engine.stats().flows, 1, "SEED={seed}");
    talk.check_memory();
    simulation.judged
}

#[test]
fn mail_arrives_through_the_filter_over_any_wire() {
    if let Ok(seed) = std::env::var("SEED") {
        let seed = seed.parse().unwrap();
        println!("SEED={seed}: {} packets", run(seed));
        return;
    }
    let seeds = environment("SEEDS", SEEDS);
    let packets: u64 = (0..seeds)
        .map(|seed| {
            std::panic::catch_unwind(|| run(seed)).unwrap_or_else(|_| panic!("SEED={seed}"))
        })
        .sum();
    println!("simulation: {seeds} seeds, {packets} packets, 0 stalls, 0 differences");
}
