//! What the filter costs: messages of 1 MiB through the gateway with Mailguard, over each of its
//! back ends, beside a queue loop that accepts everything and plain forwarding.
//!
//! They take many short turns in one lab, so that a busy machine slows all alike; what counts
//! is the ratio within a round. Source and sink are our own and do nothing but move bytes: any real
//! mail program, and even Postfix's smtp-source and smtp-sink, is so much slower than a queue that
//! all would look alike. Packets of a flow come in on one processor, as cards deliver them: a
//! message's end that overtakes the rest of it is dropped and costs the sender's timer, 200 ms.
//! `cargo bench --bench throughput -- [ROUNDS [MESSAGES [OCTETS]]]`

use std::env;
use std::io::{IsTerminal, Write, stdout};
use std::process::ExitCode;
use std::thread;
use std::time::Duration;

#[path = "../lab/mod.rs"]
mod lab;
mod sink;

use lab::{
    Because, Family, Filter, Guard, Message, Network, Outcome, Pace, Session, ensure, now, sealed,
    serve_if_asked, settle, wrong,
};

#[expect(clippy::print_stderr, reason = "this is a program's report")]
fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    if let Some(code) = serve_if_asked(&arguments) {
        return code;
    }
    let numbers: Vec<usize> = arguments.iter().filter_map(|word| word.parse().ok()).collect();
    let number = |index, usual| numbers.get(index).copied().unwrap_or(usual);
    let (rounds, messages, octets) = (number(0, 31), number(1, 1000), number(2, 1 << 20));
    let done = if arguments.iter().any(|word| word == INSIDE) {
        settle().and_then(|()| measure(rounds, messages, octets))
    } else {
        let words = [INSIDE, &rounds.to_string(), &messages.to_string(), &octets.to_string()];
        sealed(&words, Duration::from_secs(600)).map(|status| status.success())
    };
    match done {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(failure) => {
            eprintln!("{failure}");
            ExitCode::FAILURE
        }
    }
}

#[expect(clippy::print_stdout, reason = "this is a program's report")]
fn measure(rounds: usize, messages: usize, octets: usize) -> Outcome<bool> {
    Network::build()?.steer_flows()?;
    sink::open(Family::V4.server())?;
    println!(
        "{messages} messages of {octets} octets, {SESSIONS} at a time, IPv4, {rounds} rounds in \
         turn"
    );
    let mut speeds: [Vec<f64>; 4] = Default::default();
    for round in 0..rounds {
        for turn in 0..FILTERS.len() {
            // Each goes first in its turn.
            let which = (round + turn) % FILTERS.len();
            let (Some((name, filter)), Some(speeds)) = (FILTERS.get(which), speeds.get_mut(which))
            else {
                continue;
            };
            progress(&format!("round {} of {rounds}: {name}", round + 1));
            speeds.push(one_run(*filter, messages, octets).because(name)?);
        }
    }
    progress("");
    println!("{:<18} {:>14} {:>18}", "", "messages/s", "lowest - highest");
    for ((name, _), all) in FILTERS.iter().zip(&speeds) {
        let (low, middle, high) = spread(all);
        println!("{name:<18} {middle:>14.0} {low:>10.0} - {high:.0}");
    }
    let [plain, accepting, guarded, by_netlink] = &speeds;
    report_ratio("mailguard to accept-all", guarded, accepting);
    report_ratio("mailguard to plain forwarding", guarded, plain);
    report_ratio("mailguard over netlink to accept-all", by_netlink, accepting);
    Ok(true)
}

/// The ratio within each round, whose two halves ran side by side in time.
#[expect(clippy::print_stdout, reason = "this is a program's report")]
fn report_ratio(name: &str, guarded: &[f64], other: &[f64]) {
    let ratios: Vec<f64> = guarded.iter().zip(other).map(|(ours, theirs)| ours / theirs).collect();
    let (low, middle, high) = spread(&ratios);
    println!("{name:<33} {middle:.2} (lowest {low:.2}, highest {high:.2})");
}

/// Messages a second of one run.
fn one_run(filter: Filter<'_>, messages: usize, octets: usize) -> Outcome<f64> {
    let _guard = Guard::start(filter)?;
    let line = [b"x".repeat(62), b"\r\n".to_vec()].concat();
    let wire = Message::new("bench", &line.repeat(octets / line.len())).wire();
    let connections = (messages / MESSAGES_PER_CONNECTION / SESSIONS).max(1);
    let start = now();
    thread::scope(|scope| {
        let send = || (0..connections).try_for_each(|_| deliver(&wire));
        let senders: Vec<_> = (0..SESSIONS).map(|_| scope.spawn(send)).collect();
        senders.into_iter().try_for_each(|sender| match sender.join() {
            Ok(sent) => sent,
            Err(_) => wrong("a sender panicked"),
        })
    })?;
    let sent = connections * SESSIONS * MESSAGES_PER_CONNECTION;
    Ok(sent as f64 / start.elapsed().as_secs_f64())
}

/// One connection's share.
fn deliver(wire: &[u8]) -> Outcome {
    let mut session = Session::greeted(Family::V4.server(), Duration::from_secs(20))?;
    for _ in 0..MESSAGES_PER_CONNECTION {
        session.begin(Pace::Whole, "bench")?;
        session.send(wire)?;
        let reply = session.reply()?;
        ensure(reply.code == 250, || reply.to_string())?;
    }
    session.quit()
}

/// Lowest, median, highest.
fn spread(values: &[f64]) -> (f64, f64, f64) {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let at = |index: usize| sorted.get(index).copied().unwrap_or(f64::NAN);
    (at(0), at(sorted.len() / 2), at(sorted.len().saturating_sub(1)))
}

#[expect(clippy::print_stdout, reason = "this is a program's report")]
fn progress(text: &str) {
    if stdout().is_terminal() {
        print!("\r\x1b[K{text}");
        // A terminal that has gone away is no reason to stop measuring.
        let _ = stdout().flush();
    }
}

const FILTERS: [(&str, Filter<'_>); 4] = [
    ("plain forwarding", Filter::None),
    ("accept-all queue", Filter::AcceptAll),
    ("mailguard", Filter::DEFAULT),
    ("mailguard over netlink", Filter::NETLINK),
];

const INSIDE: &str = "--inside";

/// As a busy relay does it; one each would run out of port numbers before the end.
const MESSAGES_PER_CONNECTION: usize = 10;

/// Enough to keep two processors busy, few enough to resemble a site's relay.
const SESSIONS: usize = 4;
