//! `kill -9` in every phase of a session: which flows are kept, which are reset, and that no mail
//! is lost, doubled or changed.
//!
//! One session stands in each phase, others deliver mail as fast as they can, and the filter is
//! killed under a service manager and started again. Whoever is reset tries again, as every sender
//! does. `make life` does so ten times and prints the table.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::process::{ChildStdout, Stdio};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{Sender, channel};
use std::thread;

use crate::lab::{
    Because, Family, Filter, Guard, Message, Network, Outcome, PATIENCE, Pace, Postfix, Random,
    Session, Side, ensure, run, wait_until, wrong,
};

/// Where a session stands when the filter dies.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Phase {
    Idle,
    /// A command of which half has been sent.
    Command,
    /// A command that is sent while there is no filter.
    Queued,
    /// A message of which half has been sent, and acknowledged.
    Data,
    /// A chunk, likewise.
    Chunk,
    /// A message of which much has been sent that is not acknowledged.
    Unacked,
    /// A large message under way.
    Bulk,
    /// A message that was sent, and waits for the server's 250.
    Final,
    /// Behind STARTTLS.
    Tls,
    /// Whatever a sender does at that instant.
    Load,
}

/// What became of a flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    Kept,
    Reset,
}

/// The fates of a phase's flows.
#[derive(Clone, Copy, Debug, Default)]
struct Row {
    kept: usize,
    reset: usize,
}

type Table = BTreeMap<Phase, Row>;

/// Kills it with a session in each phase, and judges what is left.
pub(crate) fn in_each_phase() -> Outcome<String> {
    let network = Network::build()?;
    let postfix = Postfix::start_with(SLOW_AND_TLS)?;
    let rounds = if std::env::var("LIFE").as_deref() == Ok("full") { 10 } else { 1 };
    let (mut table, mut sent) = (Table::new(), Vec::new());
    for round in 0..rounds {
        let mut guard = Guard::start_managed(ESMTP)?;
        let (fates, messages) = round_of(round, &mut guard).because(guard.log())?;
        for (phase, fate) in fates {
            let row = table.entry(phase).or_default();
            match fate {
                Fate::Kept => row.kept += 1,
                Fate::Reset => row.reset += 1,
            }
        }
        sent.extend(messages);
    }
    let tally = postfix.tally(&sent, PATIENCE)?;
    let resets: usize = table.values().map(|row| row.reset).sum();
    let (lost, changed) = (tally.lost, tally.changed + tally.invented);
    ensure(lost == 0 && changed == 0, || format!("{tally:?}\n{}", postfix.log_end()))?;
    // A sender that is reset cannot know whether its message was taken.
    ensure(tally.duplicated <= resets, || format!("{resets} resets, and {tally:?}"))?;
    for (phase, row) in table.iter().filter(|(phase, _)| !MAY_BE_RESET.contains(phase)) {
        // What a diary has no room for cannot be told from a stranger.
        let is_right = if *phase == Phase::Unacked { row.kept == 0 } else { row.reset == 0 };
        ensure(is_right, || format!("{phase:?}: {row:?}"))?;
    }
    let kernel = network.contented()?;
    let rows = table.iter().map(|(phase, row)| {
        format!("    {:10} {:3} kept {:3} reset   0 broken", told(*phase), row.kept, row.reset)
    });
    let rows = rows.collect::<Vec<_>>().join("\n");
    Ok(format!(
        "killed {rounds} times, with a flow in each phase and {SENDERS} under load\n{rows}\n    \
         {} messages: {lost} lost, {} doubled, {changed} changed; {kernel}",
        sent.len(),
        tally.duplicated,
    ))
}

type Played = (Vec<(Phase, Fate)>, Vec<Message>);

/// One death, and what became of each flow.
fn round_of(round: usize, guard: &mut Guard) -> Outcome<Played> {
    let (is_over, delivered) = (AtomicBool::new(false), AtomicUsize::new(0));
    let (begun, beginnings) = channel();
    thread::scope(|scope| {
        let load = |worker| deliver_until((round, worker), &is_over, &delivered);
        let senders: Vec<_> =
            (0..SENDERS).map(|worker| scope.spawn(move || load(worker))).collect();
        let bulk = scope.spawn(move || bulk(round, &begun));
        let played = die_and_go_on(round, guard, &delivered, || {
            beginnings.recv_timeout(PATIENCE).ok().because("no bulk has begun")
        });
        is_over.store(true, Ordering::Relaxed);
        let (mut fates, mut messages) = (Vec::new(), Vec::new());
        for thread in senders.into_iter().chain([bulk]) {
            let Ok(played) = thread.join() else { return wrong("a sender panicked") };
            let (more, sent) = played?;
            fates.extend(more);
            messages.extend(sent);
        }
        let (more, sent) = played?;
        fates.extend(more);
        messages.extend(sent);
        Ok((fates, messages))
    })
}

fn die_and_go_on(
    round: usize,
    guard: &mut Guard,
    delivered: &AtomicUsize,
    await_bulk: impl FnOnce() -> Outcome,
) -> Outcome<Played> {
    let mut sessions = Vec::new();
    for phase in STANDING {
        let message =
            Message::new(&name(round, phase), &b"half of it is on its way\r\n".repeat(24));
        let mut session = greeted()?;
        stand(phase, &mut session, &message).because(told(phase))?;
        sessions.push((phase, session, message));
    }
    let mut tls = Tls::start(&name(round, Phase::Tls))?;
    await_bulk()?;
    let before = delivered.load(Ordering::Relaxed);
    wait_until("the senders deliver", PATIENCE, || {
        Ok((delivered.load(Ordering::Relaxed) > before + SENDERS).then_some(()))
    })?;
    guard.kill()?;
    for (phase, session, _) in &mut sessions {
        match phase {
            Phase::Queued => session.send(b"NOOP\r\n")?,
            Phase::Unacked => lose("-D", session.port()?)?,
            Phase::Idle
            | Phase::Command
            | Phase::Data
            | Phase::Chunk
            | Phase::Bulk
            | Phase::Final
            | Phase::Tls
            | Phase::Load => {}
        }
    }
    guard.restart()?;
    let (mut fates, mut messages) = (Vec::new(), Vec::new());
    for (phase, mut session, message) in sessions {
        let fate = fate_of(go_on(phase, &mut session, &message)).because(told(phase))?;
        if fate == Fate::Reset {
            greeted()?.deliver(Pace::Whole, &message)?;
        }
        fates.push((phase, fate));
        messages.push(message);
    }
    messages.push(tls.go_on()?);
    fates.push((Phase::Tls, Fate::Kept));
    Ok((fates, messages))
}

/// Brings a session into a phase.
fn stand(phase: Phase, session: &mut Session, message: &Message) -> Outcome {
    let wire = message.wire();
    match phase {
        Phase::Command => session.send_cut(&[b"NOO", b""]),
        Phase::Data => {
            session.begin(Pace::Whole, &message.recipient)?;
            session.send_cut(&[wire.get(..HALF).unwrap_or_default(), b""])
        }
        Phase::Final => {
            session.begin(Pace::Whole, &message.recipient)?;
            session.send_cut(&[&wire, b""])
        }
        Phase::Chunk => {
            session.expect(Pace::Whole, "MAIL FROM:<sender@domain1.com>", 250)?;
            let recipient = format!("RCPT TO:<{}@domain2.com>", message.recipient);
            session.expect(Pace::Whole, &recipient, 250)?;
            let mut chunk = format!("BDAT {} LAST\r\n", message.content.len()).into_bytes();
            chunk.extend_from_slice(message.content.get(..HALF).unwrap_or_default());
            session.send_cut(&[&chunk, b""])
        }
        Phase::Unacked => {
            session.begin(Pace::Whole, &message.recipient)?;
            let port = session.port()?;
            lose("-I", port)?;
            session.send(&message.content.repeat(8))?;
            wait_until("something is lost", PATIENCE, || Ok(is_lost(port)?.then_some(())))
        }
        Phase::Idle | Phase::Queued | Phase::Bulk | Phase::Tls | Phase::Load => Ok(()),
    }
}

/// Has the gateway lose what comes from this port, behind the filter; or no more.
fn lose(change: &str, port: u16) -> Outcome {
    let port = port.to_string();
    let rule = ["-w", "-t", "mangle", change, "POSTROUTING", "-p", "tcp", "--dport", "25"];
    let mut command = Side::Gateway.command("iptables", &rule);
    run(command.args(["--sport", &port, "-j", "DROP"]), PATIENCE).map(drop)
}

fn is_lost(port: u16) -> Outcome<bool> {
    let list = ["-w", "-t", "mangle", "-vnxL", "POSTROUTING"];
    let rules = run(&mut Side::Gateway.command("iptables", &list), PATIENCE)?;
    let rule = rules.lines().find(|line| line.contains(&format!("spt:{port} "))).because(&rules)?;
    Ok(!rule.trim_start().starts_with("0 "))
}

/// What a session does next, and that it is still judged.
fn go_on(phase: Phase, session: &mut Session, message: &Message) -> Outcome {
    let wire = message.wire();
    let is_delivered = match phase {
        Phase::Command => {
            session.expect(Pace::Whole, "P", 250)?;
            false
        }
        Phase::Queued => {
            answered(session, 250)?;
            false
        }
        Phase::Data => {
            session.send(wire.get(HALF..).unwrap_or_default())?;
            answered(session, 250)?;
            true
        }
        Phase::Chunk => {
            session.send(message.content.get(HALF..).unwrap_or_default())?;
            answered(session, 250)?;
            true
        }
        Phase::Final | Phase::Unacked => {
            answered(session, 250)?;
            true
        }
        Phase::Idle | Phase::Bulk | Phase::Tls | Phase::Load => false,
    };
    if !is_delivered {
        session.deliver(Pace::Whole, message)?;
    }
    // Postfix says 502 to an EXPN that it gets to see.
    session.expect(Pace::Whole, "EXPN x", 500)?;
    session.expect(Pace::Whole, "NOOP", 250)?;
    Ok(())
}

fn answered(session: &mut Session, code: u16) -> Outcome {
    let reply = session.reply()?;
    ensure(reply.code == code, || format!("{reply}, not {code}"))
}

/// A flow is kept or reset; anything else is broken, and an error.
fn fate_of(played: Outcome) -> Outcome<Fate> {
    match played {
        Ok(()) => Ok(Fate::Kept),
        Err(failure) if failure.to_string().contains("reset") => Ok(Fate::Reset),
        Err(failure) => Err(failure),
    }
}

fn bulk(round: usize, begun: &Sender<()>) -> Outcome<Played> {
    let message =
        Message::new(&name(round, Phase::Bulk), &b"all work and no play\r\n".repeat(BULK));
    let mut session = greeted()?;
    session.begin(Pace::Whole, &message.recipient)?;
    let wire = message.wire();
    let played = wire.chunks(64 << 10).enumerate().try_for_each(|(number, piece)| {
        if number == 4 {
            // Nobody hears it where the death came first.
            let _ = begun.send(());
        }
        session.send(piece)
    });
    let fate = fate_of(played.and_then(|()| answered(&mut session, 250)))?;
    if fate == Fate::Reset {
        greeted()?.deliver(Pace::Whole, &message)?;
    }
    Ok((vec![(Phase::Bulk, fate)], vec![message]))
}

fn deliver_until(
    (round, worker): (usize, usize),
    is_over: &AtomicBool,
    delivered: &AtomicUsize,
) -> Outcome<Played> {
    let mut random = Random::new((round * SENDERS + worker) as u64 + 1);
    let (mut session, mut fate, mut sent) = (greeted()?, Fate::Kept, Vec::new());
    for number in 0.. {
        if is_over.load(Ordering::Relaxed) {
            break;
        }
        let bound = if random.below(4) == 0 { 100_000 } else { 3_000 };
        let name = format!("r{round}w{worker}n{number}");
        let message = Message::mixed(&name, random.below(bound), &mut random);
        if fate_of(session.deliver(Pace::Whole, &message))? == Fate::Reset {
            fate = Fate::Reset;
            session = greeted()?;
            session.deliver(Pace::Whole, &message)?;
        }
        delivered.fetch_add(1, Ordering::Relaxed);
        sent.push(message);
    }
    Ok((vec![(Phase::Load, fate)], sent))
}

fn greeted() -> Outcome<Session> {
    let (mut session, _) = Session::open(Family::V4.server(), PATIENCE)?;
    session.expect(Pace::Whole, "EHLO mail.domain1.com", 250)?;
    Ok(session)
}

/// A client that has said STARTTLS, and waits to be told to go on.
struct Tls {
    client: std::process::Child,
    said: BufReader<ChildStdout>,
    message: Message,
}

impl Tls {
    fn start(recipient: &str) -> Outcome<Self> {
        let message = Message::new(recipient, b"secret\r\n");
        let address = Family::V4.server().ip().to_string();
        let mut command = Side::Client.command("python3", &["-c", OVER_TLS, &address, recipient]);
        let command = command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut client = command.spawn()?;
        let mut said = BufReader::new(client.stdout.take().because("its output")?);
        let mut line = String::new();
        said.read_line(&mut line)?;
        ensure(line == "encrypted\n", || format!("TLS: {line}"))?;
        Ok(Self { client, said, message })
    }

    fn go_on(&mut self) -> Outcome<Message> {
        let mut input = self.client.stdin.take().because("its input")?;
        input.write_all(&self.message.content)?;
        drop(input);
        let mut said = String::new();
        self.said.read_to_string(&mut said)?;
        ensure(self.client.wait()?.success(), || format!("over TLS: {said}"))?;
        Ok(self.message.clone())
    }
}

fn name(round: usize, phase: Phase) -> String {
    // The server takes its time about one of them.
    let slow = if phase == Phase::Final { "slow-" } else { "" };
    format!("{slow}r{round}-{phase:?}").to_lowercase()
}

const fn told(phase: Phase) -> &'static str {
    match phase {
        Phase::Idle => "idle",
        Phase::Command => "command",
        Phase::Queued => "no filter",
        Phase::Data => "DATA",
        Phase::Chunk => "BDAT",
        Phase::Unacked => "unacked",
        Phase::Bulk => "bulk",
        Phase::Final => "250 due",
        Phase::Tls => "TLS",
        Phase::Load => "load",
    }
}

/// Those in which a session waits for the filter's death.
const STANDING: [Phase; 7] = [
    Phase::Idle,
    Phase::Command,
    Phase::Queued,
    Phase::Data,
    Phase::Chunk,
    Phase::Final,
    Phase::Unacked,
];

/// Those that may have more bytes unacknowledged than a diary takes.
const MAY_BE_RESET: [Phase; 2] = [Phase::Bulk, Phase::Load];

/// Sessions that deliver all the time.
const SENDERS: usize = 4;

/// Bytes of a message that are sent before the death.
const HALF: usize = 300;

/// Lines of a message that takes longer than a death: 44 MB.
const BULK: usize = 2_000_000;

const ESMTP: Filter<'_> = Filter::Mailguard { queue: "0", arguments: &["--profile", "esmtp"] };

/// Some mail takes its time between its last dot and its 250.
const SLOW_AND_TLS: &str = "\
smtpd_end_of_data_restrictions = check_recipient_access regexp:{ {/^slow-/ sleep 3} }
smtpd_tls_security_level = may
smtpd_tls_cert_file = /etc/mail.pem
smtpd_tls_key_file = /etc/mail.key";

const OVER_TLS: &str = "\
import smtplib, ssl, sys
host, recipient = sys.argv[1:]
context = ssl.create_default_context()
context.check_hostname = False
context.verify_mode = ssl.CERT_NONE
with smtplib.SMTP(host, 25, 'mail.domain1.com', timeout=30) as client:
    client.starttls(context=context)
    client.noop()
    print('encrypted', flush=True)
    text = sys.stdin.buffer.read()
    client.sendmail('sender@domain1.com', [recipient + '@domain2.com'], text)
";
