//! What the filter did on the kernel's queue is what `mailguard replay` does with a capture of what
//! it was given: the same packets leave in the same order, byte for byte, but for the hop limit.
//!
//! With `RECORD=1` in the environment the captures, one a behaviour, are kept in `pcaps/` with the
//! settings they were made under; `make bless` then takes down their verdicts.

use std::env;
use std::fs;
use std::io;
use std::path::Path;
use std::thread;
use std::time::Duration;

use pcap_parser::{Linktype, parse_pcap};
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

use crate::lab::{
    Attempt, Because, Capture, Family, Filter, Guard, Message, Outcome, PATIENCE, Pace, Root,
    Session, Site, Tap, ensure, mailguard, run, swaks, wrong,
};

/// One behaviour: the name of its capture, the settings, what the client does.
struct Behaviour {
    name: &'static str,
    settings: &'static [&'static str],
    /// Whether the filter drops or cuts something. A replay then repeats it at once, as the sender
    /// of a capture made without a filter had no reason to; so other packets leave.
    has_drops: bool,
    act: fn() -> Outcome,
}

/// Plays every behaviour before a live filter and compares with the replay.
pub(crate) fn agreement() -> Outcome<String> {
    stay_on_one_processor()?;
    let mut site = Site::open(Filter::None)?;
    site.network.set_offloads(false)?;
    let mut alike = 0;
    for behaviour in &BEHAVIOURS {
        let packets = compared(&mut site, behaviour).because(behaviour.name)?;
        alike += if behaviour.has_drops { 0 } else { packets };
    }
    Ok(format!("{} behaviours, {alike} packets left alike", BEHAVIOURS.len()))
}

/// Where packets of several processors meet, a capture's order need not be the queue's. What we
/// start from here on inherits this.
fn stay_on_one_processor() -> Outcome {
    let ours = sched_getaffinity(None).map_err(io::Error::from)?;
    let first = (0..CpuSet::MAX_CPU).find(|number| ours.is_set(*number)).because("a processor")?;
    let mut one = CpuSet::new();
    one.set(first);
    Ok(sched_setaffinity(None, &one).map_err(io::Error::from)?)
}

fn compared(site: &mut Site, behaviour: &Behaviour) -> Outcome<usize> {
    let arguments: Vec<&str> =
        behaviour.settings.iter().flat_map(|setting| ["--set", setting]).collect();
    site.change_filter(Filter::with(&arguments))?;
    let (input, output) = (Capture::start(Tap::Input)?, Capture::start(Tap::Output)?);
    (behaviour.act)()?;
    if behaviour.has_drops {
        // What is dropped is repeated for minutes.
        thread::sleep(SETTLING);
    } else {
        site.network.all_closed()?;
    }
    let (input, output) = (input.stop()?, output.stop()?);
    site.guard = Guard::start(Filter::None)?;
    let replayed = input.with_extension("replayed");
    let mut replay = mailguard()?;
    replay.arg("replay").arg(&input).arg("--write").arg(&replayed).args(&arguments);
    run(&mut replay, PATIENCE)?;
    let (live, said) = (packets(&output)?, packets(&replayed)?);
    ensure(live.len() > 6, || format!("only {} packets", live.len()))?;
    if !behaviour.has_drops {
        for (number, (live, said)) in live.iter().zip(&said).enumerate() {
            ensure(live == said, || {
                format!("packet {number} left as\n{live:02x?}, replayed\n{said:02x?}")
            })?;
        }
        ensure(live.len() == said.len(), || {
            format!("{} left, {} replayed", live.len(), said.len())
        })?;
    }
    if env::var_os("RECORD").is_some() {
        keep(behaviour, &input)?;
    }
    Ok(live.len())
}

fn keep(behaviour: &Behaviour, capture: &Path) -> Outcome {
    let place = Path::new(env!("CARGO_MANIFEST_DIR")).join("pcaps").join(behaviour.name);
    fs::copy(capture, place.with_extension("pcap")).because(place.display())?;
    if !behaviour.settings.is_empty() {
        let lines: String = behaviour.settings.iter().map(|set| format!("set {set}\n")).collect();
        fs::write(place.with_extension("settings"), lines)?;
    }
    Ok(())
}

/// The IP packets of a cooked capture, without what a gateway changes in each: the hop limit, and
/// with it IPv4's header checksum.
fn packets(file: &Path) -> Outcome<Vec<Vec<u8>>> {
    let bytes = fs::read(file)?;
    let Ok(([], capture)) = parse_pcap(&bytes) else {
        return wrong(format!("{}: cut short, or no capture", file.display()));
    };
    // The version of the cooked header, by its registered number.
    let header = if capture.header.network == Linktype(276) { 20 } else { 16 };
    let mut packets = Vec::new();
    for record in &capture.blocks {
        let mut packet = record.data.get(header..).unwrap_or_default().to_vec();
        let is_v4 = packet.first().is_some_and(|first| first >> 4 == 4);
        let changed: &[usize] = if is_v4 { &[8, 10, 11] } else { &[7] };
        for at in changed {
            if let Some(octet) = packet.get_mut(*at) {
                *octet = 0;
            }
        }
        packets.push(packet);
    }
    Ok(packets)
}

fn deliver(family: Family, pace: Pace) -> Outcome {
    let mut session = Session::greeted(family.server(), PATIENCE)?;
    session.deliver(pace, &Message::new("golden", b"One line.\r\n.Two lines.\r\n"))?;
    session.quit()
}

fn fall_back() -> Outcome {
    let message = Message::new("golden", b"From swaks.\r\n");
    swaks(&Root::mount("swaks")?, Family::V4.server(), &message).map(drop)
}

fn pipeline() -> Outcome {
    let mut session = Session::greeted(Family::V4.server(), PATIENCE)?;
    session.send(b"MAIL FROM:<a@domain1.com>\r\nRCPT TO:<golden@domain2.com>\r\nDATA\r\n")?;
    for code in [250, 250, 354] {
        let reply = session.reply()?;
        ensure(reply.code == code, || reply.to_string())?;
    }
    session.send(&[&b"Subject: x\r\n\r\nx\r\n.\r\n"[..], b"RSET\r\nNOOP\r\nQUIT\r\n"].concat())?;
    for code in [250, 250, 250, 221] {
        let reply = session.reply()?;
        ensure(reply.code == code, || reply.to_string())?;
    }
    Ok(())
}

/// Text right behind DATA, before its reply: what may pass does, TCP repeats the rest.
fn impatient() -> Outcome {
    let mut session = Session::greeted(Family::V4.server(), PATIENCE)?;
    session.expect(Pace::Whole, "MAIL FROM:<a@domain1.com>", 250)?;
    session.expect(Pace::Whole, "RCPT TO:<golden@domain2.com>", 250)?;
    session.send(b"DATA\r\nSubject: x\r\n\r\nx\r\n.\r\n")?;
    for code in [354, 250] {
        let reply = session.reply()?;
        ensure(reply.code == code, || reply.to_string())?;
    }
    session.quit()
}

fn refused() -> Outcome {
    let (mut session, _) = Session::open(Family::V4.server(), PATIENCE)?;
    for line in ["goodmorning", "VRFY root", "EXPN all", "HELP", "STARTTLS"] {
        let reply = session.command(Pace::Pieces(3), line)?;
        ensure(reply.code >= 500, || reply.to_string())?;
    }
    session.quit()
}

/// Speaks before it is spoken to.
fn early() -> Outcome {
    let mut session = Session::connect(Family::V4.server(), PATIENCE)?;
    session.send(b"HELO mail.domain1.com\r\nVRFY root\r\n")?;
    for _ in 0..3 {
        session.reply()?;
    }
    session.quit()
}

fn cut_terminator(patience: Duration, expected: &Attempt) -> Outcome {
    let message = Message::new("golden", b"body\r\n");
    let attempt = Attempt::cut(Family::V4.server(), &message, &[b"\r\n.", b"\r\n"], patience)?;
    ensure(attempt == *expected, || format!("{attempt:?}"))
}

fn smuggle() -> Outcome {
    let mut session = Session::greeted(Family::V4.server(), PATIENCE)?;
    session.begin(Pace::Whole, "golden")?;
    let hidden = b"MAIL FROM:<s@domain1.com>\r\nRCPT TO:<s@domain2.com>\r\nDATA\r\nx\r\n.\r\n";
    session.send(&[b"Subject: cover\r\n\r\ncover\n.\n", &hidden[..]].concat())?;
    let reply = session.reply()?;
    ensure(reply.code == 250, || reply.to_string())?;
    session.quit()
}

const BEHAVIOURS: [Behaviour; 11] = [
    behaviour("delivery", || deliver(Family::V4, Pace::Whole)),
    behaviour("delivery-ipv6", || deliver(Family::V6, Pace::Whole)),
    behaviour("delivery-bytewise", || deliver(Family::V4, Pace::Pieces(1))),
    behaviour("helo-fallback", fall_back),
    behaviour("pipelining", pipeline),
    behaviour("refused-commands", refused),
    behaviour("early-talker", early),
    behaviour("smuggling", smuggle),
    behaviour("split-fixed", || cut_terminator(PATIENCE, &Attempt::Answered(250))),
    Behaviour {
        settings: &["split_terminator=bug"],
        has_drops: true,
        ..behaviour("split-bug", || cut_terminator(STARVATION, &Attempt::Starved))
    },
    Behaviour { has_drops: true, ..behaviour("text-behind-data", impatient) },
];

const fn behaviour(name: &'static str, act: fn() -> Outcome) -> Behaviour {
    Behaviour { name, settings: &[], has_drops: false, act }
}

const SETTLING: Duration = Duration::from_millis(300);

/// Several of TCP's own repetitions fall into this time.
const STARVATION: Duration = Duration::from_millis(1500);
