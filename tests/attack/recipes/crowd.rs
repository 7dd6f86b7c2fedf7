//! Many connections from one address: while they fill what they can, others deliver.

use std::net::{IpAddr, SocketAddr};
use std::thread;
use std::time::Duration;

use super::ether::Ether;
use super::hold::deliveries;
use super::puppet::Puppet;
use super::standin::StandIn;
use super::table::{Seen, Table};
use super::talk::Talk;
use super::trial::Before;
use super::trust;
use crate::lab::{Family, Network, Outcome, Side, ensure, now, run};
use crate::support::packet::{ACK, PSH, RST, SYN, tcp_packet};

/// What becomes of each connection of the crowd.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// It stays open and silent.
    Idle,
    /// The server has closed, the client has not.
    HalfClosed,
    /// It was handed to the kernel behind STARTTLS, and is over.
    Offloaded,
}

/// Recipe 16.
pub(crate) fn full_table() -> Outcome<String> {
    let _network = Network::build()?;
    let _server = StandIn::start(Family::V4.server())?;
    trust::prepare()?;
    let words = ["address", "add", "192.0.2.3/24", "dev", "c0"];
    run(&mut Side::Client.command("ip", &words), Duration::from_secs(10))?;
    let mut table = Table::new(&Before::ALL.map(Before::name));
    for &before in Before::some() {
        for (kind, name) in KINDS {
            let _guard = before.start(&format!("[limits]\nflows_max = {FLOWS_MAX}\n"))?;
            let crowd = gather(kind, before);
            let (count, start) = (crowd.len(), now());
            ensure(count > FLOWS_MAX, || format!("{name}: only {count} were let in"))?;
            let delivered = deliveries(SocketAddr::new(OTHERS, 0), 3, "Subject: x\r\n\r\nx");
            let millis = start.elapsed().as_millis();
            let told = format!("{delivered}/3 beside {count}, {millis} ms");
            let seen = Seen::new(delivered < 3, told);
            table.enter(("16", name), "stand-in", before.name(), seen);
        }
    }
    table.judged()
}

/// Opens the crowd, as far as it is let in.
fn gather(kind: Kind, before: Before) -> Vec<Option<Talk>> {
    let mut crowd = Vec::new();
    for number in 0..CROWD {
        // Ports of those that vanish without a word, but not those of the last crowd.
        let place = Before::ALL.iter().position(|known| *known == before).unwrap_or(0) as u16;
        let port = if kind == Kind::HalfClosed { trust::PORTS + place * CROWD + number } else { 0 };
        let client = SocketAddr::new(IpAddr::from([192, 0, 2, 2]), port);
        let opened = Talk::open_within(client, Family::V4.server(), ENTRY_TIME_MAX);
        let Ok(mut talk) = opened else { break };
        if talk.heard.is_empty() {
            break;
        }
        match kind {
            Kind::Idle => crowd.push(Some(talk)),
            Kind::HalfClosed => {
                talk.ask("QUIT");
                talk.hear(1);
                talk.vanish();
                crowd.push(None);
            }
            Kind::Offloaded => {
                talk.ask("EHLO mail.domain1.com");
                if talk.ask("STARTTLS").starts_with("220") {
                    talk.say(b"\x16\x03\x01\x00\x04\x01\x00\x00\x00");
                }
                crowd.push(None);
            }
        }
    }
    crowd
}

/// Recipe 20.
pub(crate) fn handshakes() -> Outcome<String> {
    let _network = Network::build()?;
    let _server = StandIn::start(Family::V4.server())?;
    let mut wire = Ether::open()?;
    let mut table = Table::new(&Before::ALL.map(Before::name));
    for (place, &before) in (0..).zip(Before::some()) {
        let guard = before.start(FEW_HANDSHAKES)?;
        let seen = evicted(&mut wire, 21_000 + TRIES * place, TRIES);
        let name = "a handshake evicted by a flood is reset";
        table.enter(("20", name), "stand-in", before.name(), seen);
        drop(guard);
        // Behind a flood none is answered.
        let _guard = before.start(&format!("[limits]\norphan_resets_per_second = {RESETS}\n"))?;
        let seen = orphans(&mut wire)?;
        table.enter_alive(("20", "packets of no flow draw RSTs"), "stand-in", before.name(), seen);
    }
    table.judged()
}

/// A slow client's handshake stands when the flood comes; others deliver meanwhile.
///
/// The server itself forgets a handshake that its client leaves open for some seconds while many
/// do. On a busy machine a flood may take as long, and is tried again.
fn evicted(wire: &mut Ether, port: u16, tries: u16) -> Seen {
    let start = now();
    let seen = evicted_once(wire, port);
    let is_judged = tries <= 1 || start.elapsed() < FORGOTTEN;
    if is_judged { seen } else { evicted(wire, port + 1, tries - 1) }
}

/// How often at most, each from a port of its own.
const TRIES: u16 = 5;

/// When a server with many half-open connections may drop one (`reqsk_timer_handler`): at the
/// second repetition of its SYN/ACK, behind 1 s and 2 s more.
const FORGOTTEN: Duration = Duration::from_secs(3);

fn evicted_once(wire: &mut Ether, port: u16) -> Seen {
    let client = SocketAddr::new(IpAddr::from([192, 0, 2, 77]), port);
    let mut puppet = Puppet::new(client, Family::V4.server());
    wire.send(&puppet.syn());
    puppet.pump(wire, Duration::from_secs(1), Puppet::is_answered);
    let text = "Subject: x\r\n\r\nx";
    let honest = SocketAddr::new(IpAddr::from([192, 0, 2, 2]), 0);
    let delivered = thread::scope(|scope| {
        let delivering = scope.spawn(|| deliveries(honest, 3, text));
        flood(wire, &mut puppet);
        delivering.join().unwrap_or(0)
    });
    let before = puppet.heard.len();
    puppet.say(wire, b"HELO c\r\n");
    puppet.hear(wire, before, Duration::from_millis(500));
    let end = if puppet.is_reset { "reset" } else { "not reset" };
    let told = format!("{end}, {delivered} of 3");
    Seen::new(puppet.is_reset || delivered < 3, told)
}

/// SYNs from everywhere, at a pace that the queue can take.
fn flood(wire: &mut Ether, puppet: &mut Puppet) {
    for number in 0..SYNS {
        let mixed = number.wrapping_mul(0x9e37_79b9);
        let [_, a, b, c] = mixed.to_be_bytes();
        let source = SocketAddr::new(IpAddr::from([10, a, b, c]), 1024 + (mixed % 60_000) as u16);
        let mss = [2, 4, 5, 180];
        wire.send(&tcp_packet(source, Family::V4.server(), mixed, 0, SYN, &mss, &[]));
        if number % 32 == 31 {
            puppet.drain(wire);
            thread::sleep(Duration::from_micros(500));
        }
    }
}

/// Packets with text that belong to no flow, from everywhere: RSTs that come back for them.
fn orphans(wire: &mut Ether) -> Outcome<Seen> {
    while wire.receive().is_some() {}
    let (mut resets, start) = (0, now());
    let mut count = |wire: &mut Ether, limit: Duration| {
        let start = now();
        while start.elapsed() < limit {
            match wire.receive() {
                Some(segment) => resets += u32::from(segment.has(RST)),
                None => thread::sleep(Duration::from_micros(200)),
            }
        }
    };
    for number in 0..ORPHANS {
        let [_, _, a, b] = number.to_be_bytes();
        let source = SocketAddr::new(IpAddr::from([10, 200, a, b]), 5000);
        wire.send(&tcp_packet(source, Family::V4.server(), number, 7, ACK | PSH, &[], b"x\r\n"));
        if number % 16 == 15 {
            count(wire, Duration::from_millis(1));
        }
    }
    count(wire, Duration::from_millis(500));
    ensure(resets > 0, || "no orphan was answered".to_owned())?;
    let seconds = start.elapsed().as_secs() as u32 + 2;
    // A server by itself answers each (RFC 9293 3.10.7.1).
    Ok(Seen::new(resets > RESETS * seconds, format!("{resets} for {ORPHANS}")))
}

const KINDS: [(Kind, &str); 3] = [
    (Kind::Offloaded, "a crowd of ended TLS connections"),
    (Kind::HalfClosed, "a crowd of half-closed connections"),
    (Kind::Idle, "a crowd of idle connections"),
];

/// What a small table has room for.
const FLOWS_MAX: usize = 200;

const FEW_HANDSHAKES: &str = "[limits]\nhandshakes_max = 256\n";

/// Orphans that the filter answers in a second.
const RESETS: u32 = 20;

/// More than the table has room for.
const CROWD: u16 = 300;

const SYNS: u32 = 5_000;
const ORPHANS: u32 = 1_000;

/// Who is not of the crowd.
const OTHERS: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 3));

/// For one of the crowd to be let in.
const ENTRY_TIME_MAX: Duration = Duration::from_millis(1500);
