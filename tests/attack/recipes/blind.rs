//! Blind injection: somebody who knows addresses and ports, but no number, sends packets over the
//! whole range of sequence numbers while an honest client sends a message.

use std::net::SocketAddr;
use std::time::Duration;

use super::ether::Ether;
use super::table::{Seen, Table};
use super::talk::Talk;
use super::trial::Before;
use crate::lab::{Family, Message, Network, Outcome, Postfix, Random};
use crate::support::packet::{ACK, PSH, tcp_packet};

/// When the packets come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// While commands are awaited.
    Command,
    /// In the middle of the mail data.
    Data,
}

/// What became of the messages of one phase.
#[derive(Clone, Copy, Default)]
struct Harm {
    changed: usize,
    broken: usize,
}

/// Messages under fire, without the filter and with it.
pub(crate) fn injection() -> Outcome<String> {
    let _network = Network::build()?;
    let postfix = Postfix::start()?;
    let mut wire = Ether::open()?;
    let (mut table, mut random) = (Table::new(&Before::ALL.map(Before::name)), Random::new(13));
    let (mut bare, mut stored) = ([Harm::default(); 2], 0);
    for &before in Before::some() {
        let _guard = before.start("")?;
        for (bare, phase) in bare.iter_mut().zip([Phase::Data, Phase::Command]) {
            let (mut sent, mut harm) = (Vec::new(), Harm::default());
            for number in 0..MESSAGES {
                let name = format!("{}{phase:?}{number}", before.name()).to_lowercase();
                let body = b"a line of an honest message, as good as any other\r\n".repeat(60_000);
                let message = Message::new(&name, &body);
                match under_fire(&mut wire, &message, phase, &mut random)? {
                    true => sent.push(message),
                    false => harm.broken += 1,
                }
            }
            stored += sent.len();
            postfix.await_stored(stored, STORING_TIME_MAX)?;
            let tally = postfix.tally(&sent, STORING_TIME_MAX)?;
            harm.changed = tally.changed + tally.lost;
            if before == Before::Nothing {
                *bare = harm;
            }
            let worked = harm.changed > bare.changed || harm.broken > bare.broken;
            let told = format!("{} changed, {} broken", harm.changed, harm.broken);
            let name = match phase {
                Phase::Command => "2,048 blind packets before DATA",
                Phase::Data => "2,048 blind packets in mail data",
            };
            table.enter(("13", name), "Postfix", before.name(), Seen::new(worked, told));
        }
    }
    table.judged()
}

/// Sends a message and is shot at meanwhile; whether the server took it.
fn under_fire(
    wire: &mut Ether,
    message: &Message,
    phase: Phase,
    random: &mut Random,
) -> Outcome<bool> {
    let server = Family::V4.server();
    let mut talk = Talk::open(server)?;
    let local = talk.local()?;
    talk.ask("HELO mail.domain1.com");
    talk.ask("MAIL FROM:<sender@domain1.com>");
    talk.ask(&format!("RCPT TO:<{}@domain2.com>", message.recipient));
    if phase == Phase::Command {
        shoot(wire, (local, server), random);
    }
    talk.ask("DATA");
    let text = message.wire();
    let (head, rest) = text.split_at(BEGUN);
    talk.say(head);
    if phase == Phase::Data {
        shoot(wire, (local, server), random);
    }
    talk.say(rest);
    talk.set_patience(STORING_TIME_MAX);
    talk.hear(1);
    let is_taken = talk.last().starts_with("250 2.0.0 Ok: queued");
    talk.ask("QUIT");
    Ok(is_taken)
}

/// One packet in each two MiB of the range, with any ACK.
fn shoot(wire: &mut Ether, (client, server): (SocketAddr, SocketAddr), random: &mut Random) {
    let phase = random.below(1 << 21) as u32;
    for number in 0..PACKETS {
        let (seq, ack) = ((number << 21).wrapping_add(phase), random.below(1 << 32) as u32);
        let text = b"EVIL".repeat(250);
        wire.send(&tcp_packet(client, server, seq, ack, ACK | PSH, &[], &text));
        if number % 32 == 31 {
            while wire.receive().is_some() {}
            std::thread::sleep(Duration::from_micros(300));
        }
    }
}

const MESSAGES: usize = 3;
const PACKETS: u32 = 2048;

/// Octets of a message that have left when the first packet comes.
const BEGUN: usize = 200_000;

const STORING_TIME_MAX: Duration = Duration::from_secs(15);
