//! L01 and its kin: a flood of SYNs from everywhere, a hundred thousand dialogues that go nowhere,
//! and what each costs the daemon's memory, while real mail passes.
//!
//! Both ends of the crafted connections are ours: their servers are a second TUN device, so that
//! no kernel's sockets stand in the way of the numbers.

use std::env;
use std::net::{IpAddr, SocketAddr};
use std::ops::Range;
use std::time::Duration;

use super::faults::Load;
use super::{Peer, Stand, on_a_stand};
use crate::lab::{Filter, Outcome, Side, Tun, ensure, now};
use crate::support::packet::{ACK, PSH, SYN, tcp_packet};
use crate::support::segment::Segment;

/// How much of everything.
#[derive(Clone, Copy)]
struct Scale {
    /// SYNs from random sources.
    syns: u32,
    /// Handshakes completed and half a command line said.
    halves: u32,
    /// Real deliveries meanwhile.
    deliveries: usize,
}

/// What fits into every run of the tests.
const SMALL: Scale = Scale { syns: 100_000, halves: 10_000, deliveries: 20 };

/// What the program must withstand.
const FULL: Scale = Scale { syns: 1_000_000, halves: 100_000, deliveries: 50 };

/// `FLOOD=full` asks for all of it.
fn scale() -> Scale {
    if env::var("FLOOD").as_deref() == Ok("full") { FULL } else { SMALL }
}

/// What an established flow costs while it is silent.
pub(crate) fn idle() -> Outcome<String> {
    on_a_stand(Filter::with(&ROOM), |stand| {
        let mut servers = open_servers()?;
        let count = scale().halves;
        let warm = open_all(stand, &mut servers, 0..WARM, b"NOOP\r\n")?;
        let before = stand.guard.resident()?;
        let opened = open_all(stand, &mut servers, WARM..count, b"NOOP\r\n")?;
        ensure(warm + opened == count, || format!("only {opened} connections opened"))?;
        let after = stand.guard.resident()?;
        let octets = (after - before) * 1024 / u64::from(opened);
        ensure(octets <= OCTETS_MAX, || format!("{octets} octets for each idle flow"))?;
        Ok(format!("{opened} flows: {before} kB before, {after} kB after, {octets} octets each"))
    })
}

/// The flood, and what it cost.
pub(crate) fn flood() -> Outcome<String> {
    let scale = scale();
    on_a_stand(Filter::with(&ROOM), move |stand| {
        let mut servers = open_servers()?;
        let mut old = stand.connected()?;
        let load = Load::start("flood", scale.deliveries, 200_000);
        let start = now();
        let warm = open_all(stand, &mut servers, 0..WARM, b"HEL")?;
        let before = stand.guard.resident()?;
        let opened = open_all(stand, &mut servers, WARM..scale.halves, b"HEL")?;
        ensure(warm + opened == scale.halves, || format!("only {opened} dialogues opened"))?;
        let idle = stand.guard.resident()?;
        let halfway = start.elapsed();
        let rest = Load::start("syns", scale.deliveries, 200_000);
        let dropped = syns(stand, &mut servers, scale.syns);
        let flooded = stand.guard.resident()?;
        let seconds = start.elapsed() - halfway;
        let delivered = load.finish(stand)? + rest.finish(stand)?;
        // A connection that stood before the flood is filtered as ever.
        stand.finish(&mut old, super::EVIL)?;
        stand.guard.stop()?;
        let log = stand.guard.log();
        ensure(!log.contains("panicked"), || log.clone())?;
        let octets = (idle - before) * 1024 / u64::from(opened);
        ensure(octets <= OCTETS_MAX, || format!("{octets} octets for each idle flow"))?;
        let grown = flooded.saturating_sub(idle);
        ensure(grown <= FLOOD_KILOBYTES_MAX, || format!("the flood cost {grown} kB"))?;
        Ok(format!(
            "{opened} half dialogues in {:.1} s: {before} kB before, {idle} kB after, {octets} \
             octets each\n{} SYNs in {:.1} s ({dropped} lost on the way): {grown} kB more\n\
             {delivered} deliveries finished meanwhile, and the old connection is still filtered",
            halfway.as_secs_f32(),
            scale.syns,
            seconds.as_secs_f32()
        ))
    })
}

fn open_servers() -> Outcome<Tun> {
    Tun::open(Side::Gateway, "t1", &["198.18.0.1/24"])
}

/// The crafted server that the crafted clients talk to.
fn server() -> SocketAddr {
    SocketAddr::new(IpAddr::from([198, 18, 0, 7]), 25)
}

/// A client that no other is; all of 10.0.0.0/8 lies behind the clients' device.
fn client(number: u32) -> SocketAddr {
    let [_, a, b, c] = (number / 4).to_be_bytes();
    SocketAddr::new(IpAddr::from([10, a, b, c]), 10_000 + (number % 4) as u16)
}

/// Opens these connections and says the same on each; how many stood.
fn open_all(
    stand: &mut Stand,
    servers: &mut Tun,
    numbers: Range<u32>,
    text: &[u8],
) -> Outcome<u32> {
    stand.route_to_crafted("10.0.0.0/8")?;
    let mut opened = 0;
    for first in numbers.clone().step_by(BATCH) {
        let batch: Vec<u32> = (first..(first + BATCH as u32).min(numbers.end)).collect();
        opened += open(stand, servers, &batch, text);
    }
    Ok(opened)
}

/// Each step of the handshake for all of a batch, repeated for those that a full queue swallowed.
fn open(stand: &mut Stand, servers: &mut Tun, batch: &[u32], text: &[u8]) -> u32 {
    let isn = |number: u32| number.wrapping_mul(2_654_435_761);
    let mut waiting = batch.to_vec();
    for _ in 0..TRIES {
        for &number in &waiting {
            let syn = tcp_packet(client(number), server(), isn(number), 0, SYN, &MSS, &[]);
            stand.tun.send(&syn);
        }
        let asked = collect(servers, waiting.len(), |seen| seen.has(SYN));
        for seen in &asked {
            let ack = seen.seq.wrapping_add(1);
            let answer = tcp_packet(server(), seen.source, !seen.seq, ack, SYN | ACK, &MSS, &[]);
            servers.send(&answer);
        }
        let answered = collect(&mut stand.tun, asked.len(), |seen| seen.has(SYN));
        for seen in &answered {
            let (seq, ack) = (seen.ack, seen.seq.wrapping_add(1));
            let ends = (seen.destination, server());
            stand.tun.send(&tcp_packet(ends.0, ends.1, seq, ack, ACK | PSH, &[], text));
        }
        let opened = collect(servers, answered.len(), |seen| !seen.payload.is_empty());
        for seen in &opened {
            let ack = seen.seq.wrapping_add(text.len() as u32);
            let said = tcp_packet(server(), seen.source, seen.ack, ack, ACK, &[], &[]);
            servers.send(&said);
        }
        collect(&mut stand.tun, opened.len(), |seen| seen.flags == ACK);
        waiting.retain(|&number| !opened.iter().any(|seen| seen.source == client(number)));
        if waiting.is_empty() {
            break;
        }
    }
    (batch.len() - waiting.len()) as u32
}

/// Takes so many packets of a kind, or those that come before it grows quiet.
fn collect(device: &mut Tun, count: usize, is_wanted: impl Fn(&Segment) -> bool) -> Vec<Segment> {
    device.collect(count, |bytes| Segment::read(bytes).filter(&is_wanted))
}

/// So many SYNs that nobody will ever complete; how many did not come through.
fn syns(stand: &mut Stand, servers: &mut Tun, count: u32) -> u32 {
    let mut nobody: Peer = stand.peer();
    let mut through = 0;
    for number in 0..count {
        let mixed = number.wrapping_mul(0x9e37_79b9).rotate_left(7);
        let [a, b, c, _] = mixed.to_be_bytes();
        let source = SocketAddr::new(IpAddr::from([10, a, b, c]), 20_000 + number as u16 % 40_000);
        stand.tun.send(&tcp_packet(source, server(), mixed, 0, SYN, &MSS, &[]));
        if number % 64 == 63 {
            stand.drain(&mut nobody);
            // Somewhat below what the queue carries, so that the flood is the filter's to bear.
            std::thread::sleep(Duration::from_micros(500));
            while servers.receive().is_some() {
                through += 1;
            }
        }
    }
    through += collect(servers, usize::MAX, |_| true).len() as u32;
    count - through.min(count)
}

/// More flows than are opened here.
const ROOM: [&str; 2] = ["--set", "limits.flows_max=150000"];

const MSS: [u8; 4] = [2, 4, 5, 180];

/// Connections opened at once.
const BATCH: usize = 250;

/// So many are there before any is weighed: what all of them need together is there by then, and
/// what the deliveries beside them need, however long a busy machine takes for those.
const WARM: u32 = 1_000;

const TRIES: usize = 10;

/// An idle established flow may cost this much, with half a line in its journal.
const OCTETS_MAX: u64 = 1_280;

/// The table of handshakes is of fixed size: 65,536 records of 64 octets, and room to spare.
const FLOOD_KILOBYTES_MAX: u64 = 16_384;
