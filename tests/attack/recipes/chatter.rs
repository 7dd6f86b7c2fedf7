//! What an attacker can make the filter write. One flow may say much at once (a thousand recipients
//! and their answers), but no more than that, and dropped packets are told of once a second.

use std::thread;
use std::time::Duration;

use super::ether::Ether;
use super::standin::{Manner, StandIn};
use super::table::{Seen, Table};
use super::talk::Talk;
use super::trial::Before;
use crate::lab::{Because, Family, Guard, Network, Outcome, PATIENCE, ensure, now, wait_until};
use crate::support::packet::{ACK, PSH, tcp_packet};

/// Recipe 17.
pub(crate) fn flooded_log() -> Outcome<String> {
    let _network = Network::build()?;
    let server = StandIn::start(Family::V4.server())?;
    let mut wire = Ether::open()?;
    let (mailguard, esmtp) = (Before::Mailguard.name(), Before::Esmtp.name());
    let mut table = Table::new(&[UNLIMITED, mailguard, esmtp]);
    for &before in Before::some().iter().skip(1) {
        for (name, line) in REPEATED {
            let guard = before.start(&[TOLERANT, NO_LIMITS].concat())?;
            let seen = written(&guard, AT_ONCE, || repeated(&server, line))?;
            table.enter_alive(("17", name), "stand-in", UNLIMITED, seen);
            drop(guard);
            let guard = before.start(TOLERANT)?;
            let seen = written(&guard, AT_ONCE, || repeated(&server, line))?;
            table.enter(("17", name), "stand-in", before.name(), seen);
        }
        let guard = before.start("")?;
        let seen = written(&guard, FEW, || endless_reply(&server))?;
        table.enter(("17", "a reply of very many lines"), "stand-in", before.name(), seen);
        let seen = written(&guard, FEW, || dropped(&guard, &server, &mut wire))?;
        table.enter(("17", "packets that are dropped"), "stand-in", before.name(), seen);
    }
    table.judged()
}

/// Does it, which answers with the bytes that were exchanged, and weighs what was written of it: no
/// more than `bytes_max`, and a flow's share of the seconds that it took.
fn written(
    guard: &Guard,
    bytes_max: usize,
    attack: impl FnOnce() -> Outcome<usize>,
) -> Outcome<Seen> {
    let (before, start) = (guard.events().len(), now());
    let sent = attack()?;
    let seconds = start.elapsed().as_secs() as usize + 1;
    // What is written behind it comes behind it in the log.
    wait_until("the end of the attack in the log", PATIENCE, || {
        Talk::open(Family::V4.server())?.ask(&format!("HELO {MARKER}"));
        Ok(guard.events().contains(MARKER).then_some(()))
    })?;
    let events = guard.events();
    let of_attack = events.get(before..).because("a log that grows")?;
    let written = of_attack.find(MARKER).unwrap_or(of_attack.len());
    ensure(written > 0, || "nothing was written".to_owned())?;
    let told = format!("{} KiB for {} KiB", written >> 10, sent >> 10);
    Ok(Seen::new(written > bytes_max + seconds * EACH_SECOND, told))
}

/// The answer to one command has very many lines: it ends the connection.
fn endless_reply(server: &StandIn) -> Outcome<usize> {
    server.behave(Manner::LongReply(LINES));
    let mut talk = Talk::open(Family::V4.server())?;
    server.behave(Manner::Good);
    talk.set_patience(PATIENCE);
    talk.ask("HELO mail.domain1.com");
    ensure(talk.is_over, || "the reply has come to an end".to_owned())?;
    Ok(talk.said)
}

/// A line that is answered, very many times.
fn repeated(server: &StandIn, line: &str) -> Outcome<usize> {
    server.behave(Manner::Good);
    let mut talk = Talk::open(Family::V4.server())?;
    talk.set_patience(PATIENCE);
    talk.ask("HELO mail.domain1.com");
    for _ in 0..LINES / TOGETHER {
        talk.say(line.repeat(TOGETHER));
        let heard = talk.hear(TOGETHER);
        ensure(heard == TOGETHER, || format!("{heard} of {TOGETHER} lines are answered"))?;
    }
    Ok(talk.said + talk.heard.iter().map(String::len).sum::<usize>())
}

/// Packets far from what a flow expects.
fn dropped(guard: &Guard, server: &StandIn, wire: &mut Ether) -> Outcome<usize> {
    server.behave(Manner::Good);
    let mut talk = Talk::open(Family::V4.server())?;
    talk.ask("HELO mail.domain1.com");
    let local = talk.local()?;
    let before = guard.dropped("")?;
    let mut sent = 0;
    for number in 0..PACKETS {
        let seq = number.wrapping_mul(0x9e37_79b9);
        let packet = tcp_packet(local, Family::V4.server(), seq, seq, ACK | PSH, &[], b"NOOP");
        sent += packet.len();
        wire.send(&packet);
        if number % 32 == 31 {
            while wire.receive().is_some() {}
            thread::sleep(Duration::from_micros(300));
        }
    }
    talk.ask("NOOP");
    let count = guard.dropped("")? - before;
    ensure(count > u64::from(PACKETS / 2), || format!("{count} of {PACKETS} were dropped"))?;
    Ok(sent)
}

/// Lines of which each is told.
const REPEATED: [(&str, &str); 2] =
    [("empty command lines", "\r\n"), ("lines that are refused", "WHAT\r\n")];

/// The column of the filter that leaves nothing out.
const UNLIMITED: &str = "unlimited";

/// Nothing of an attack ends its connection early.
const TOLERANT: &str = "[settings]\nempty_lines_max = 0\nrefused_lines_max = 0\n";

const NO_LIMITS: &str = "\
[limits]
log_burst_bytes = 4294967295
[log]
bytes_per_second = 4294967295
";

/// What one flow may say at once, as text, and what it may add each second.
const AT_ONCE: usize = 1 << 20;
const EACH_SECOND: usize = 1 << 16;

/// For a few entries in each second.
const FEW: usize = 1 << 13;

/// Lines of an attack: an entry each, so that more than [`AT_ONCE`] is written of them.
const LINES: usize = 48 << 10;

/// Lines that are answered before more are said.
const TOGETHER: usize = 16;

/// Packets that are dropped.
const PACKETS: u32 = 12_000;

/// What a later client calls itself.
const MARKER: &str = "behind-the-attack.example";
