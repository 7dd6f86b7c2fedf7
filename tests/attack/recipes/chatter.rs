//! What an attacker can make the filter write. One flow may say much at once (a thousand recipients
//! and their answers), but no more than that, and dropped packets are told of once a second.

use std::thread;
use std::time::Duration;

use super::ether::Ether;
use super::standin::{Manner, StandIn};
use super::table::{Seen, Table};
use super::talk::Talk;
use super::trial::Before;
use crate::is_full;
use crate::lab::{Family, Guard, Network, Outcome};
use crate::support::packet::{ACK, PSH, tcp_packet};

/// Recipe 17.
pub(crate) fn flooded_log() -> Outcome<String> {
    let _network = Network::build()?;
    let server = StandIn::start(Family::V4.server())?;
    let mut wire = Ether::open()?;
    let mut table = Table::new(&Before::ALL.map(Before::name));
    for &before in Before::some().iter().skip(1) {
        let guard = before.start("")?;
        let seen = written(&guard, AT_ONCE, || line_feeds(&server))?;
        table.enter(("17", "a server that says line feeds"), "stand-in", before.name(), seen);
        let seen = written(&guard, AT_ONCE, || empty_lines(&server))?;
        table.enter(("17", "empty command lines"), "stand-in", before.name(), seen);
        let seen = written(&guard, FEW, || dropped(&server, &mut wire))?;
        table.enter(("17", "packets that are dropped"), "stand-in", before.name(), seen);
    }
    table.judged()
}

/// Does it, which answers with the bytes it has sent, and weighs what was written: no more than
/// `bytes_max`.
fn written(
    guard: &Guard,
    bytes_max: usize,
    attack: impl FnOnce() -> Outcome<usize>,
) -> Outcome<Seen> {
    let before = guard.events().len();
    let sent = attack()?;
    thread::sleep(SETTLING);
    let written = guard.events().len() - before;
    let told = format!("{} KiB for {} KiB", written >> 10, sent >> 10);
    Ok(Seen::new(written > bytes_max, told))
}

/// Bytes of an attack. Unlimited, the smallest of them would be told of in several times more than
/// [`AT_ONCE`].
fn size() -> usize {
    if is_full() { 1 << 21 } else { 1 << 19 }
}

fn line_feeds(server: &StandIn) -> Outcome<usize> {
    server.behave(Manner::LineFeeds(size()));
    let mut talk = Talk::open(Family::V4.server())?;
    talk.ask("HELO mail.domain1.com");
    let heard = talk.hear(size());
    Ok(heard.max(size()))
}

fn empty_lines(server: &StandIn) -> Outcome<usize> {
    server.behave(Manner::Good);
    let mut talk = Talk::open(Family::V4.server())?;
    talk.ask("HELO mail.domain1.com");
    for _ in 0..size() / 2 / LINES {
        talk.say("\r\n".repeat(LINES));
        talk.hear(LINES);
    }
    Ok(size())
}

/// Packets far from what a flow expects.
fn dropped(server: &StandIn, wire: &mut Ether) -> Outcome<usize> {
    server.behave(Manner::Good);
    let mut talk = Talk::open(Family::V4.server())?;
    talk.ask("HELO mail.domain1.com");
    let local = talk.local()?;
    let mut sent = 0;
    for number in 0..size() / 44 {
        let seq = (number as u32).wrapping_mul(0x9e37_79b9);
        let packet = tcp_packet(local, Family::V4.server(), seq, seq, ACK | PSH, &[], b"NOOP");
        sent += packet.len();
        wire.send(&packet);
        if number % 32 == 31 {
            while wire.receive().is_some() {}
            thread::sleep(Duration::from_micros(300));
        }
    }
    talk.ask("NOOP");
    Ok(sent)
}

/// What one flow may say at once, and in some seconds of attack, as text.
const AT_ONCE: usize = 1 << 20;

/// For a few entries in each second.
const FEW: usize = 1 << 13;

/// Lines that are answered before more are said.
const LINES: usize = 1024;

/// The event log is gathered for some milliseconds before it is written.
const SETTLING: Duration = Duration::from_millis(700);
