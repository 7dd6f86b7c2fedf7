//! What the filter costs on a lossy path: goodput of a large message with packets lost on one side
//! of the gateway, as a ratio to plain forwarding over the same losses.
//!
//! A relay between two TUN devices delays every packet and loses some, by a seeded pattern that
//! counts the packets of each connection: the first connection through the filter loses the same
//! ones as the first past it (to another port, which the rules leave alone), and so on.
//! `cargo bench --bench loss -- [MEGABYTES [PAIRS]] [control=bbr] [over=tls]`; with the last the
//! message goes through TLS, which the filter follows to its end.

use std::env;
use std::net::{IpAddr, SocketAddr};
use std::process::ExitCode;
use std::thread;
use std::time::Duration;

#[path = "../lab/mod.rs"]
mod lab;
mod relay;
mod sink;
mod tls;

use lab::{
    Because, Filter, Guard, Message, Network, Outcome, Pace, Session, Side, ensure, now, run,
    sealed, serve_if_asked, settle, wrong,
};
use relay::Relay;

#[expect(clippy::print_stderr, reason = "this is a program's report")]
fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    if let Some(code) = serve_if_asked(&arguments) {
        return code;
    }
    let numbers: Vec<usize> = arguments.iter().filter_map(|word| word.parse().ok()).collect();
    let megabytes = numbers.first().copied().unwrap_or(50);
    let pairs = numbers.get(1).copied().unwrap_or(3);
    let control = arguments.iter().find(|word| word.starts_with(CONTROL));
    let control = control.map_or("control=cubic", String::as_str);
    let inside = arguments.iter().find_map(|word| word.strip_prefix(INSIDE));
    let done = match inside {
        Some(name) => settle().and_then(|()| {
            let side = if name == "client" { Side::Client } else { Side::Server };
            let control = control.strip_prefix(CONTROL).unwrap_or(control);
            let is_tls = arguments.iter().any(|word| word == OVER_TLS);
            let line = [b"x".repeat(62), b"\r\n".to_vec()].concat();
            let wire =
                Message::new("loss", &line.repeat(megabytes * 1_000_000 / line.len())).wire();
            measure(&Test { side, megabytes, pairs, control, is_tls, wire })
        }),
        None => ["client", "server"].iter().try_for_each(|side| {
            let (side_word, megabytes, pairs) =
                (format!("{INSIDE}{side}"), megabytes.to_string(), pairs.to_string());
            let is_tls = arguments.iter().find(|word| *word == OVER_TLS);
            let mut words = vec![&*side_word, &megabytes, &pairs, control];
            words.extend(is_tls.map(String::as_str));
            let status = sealed(&words, Duration::from_secs(900))?;
            ensure(status.success(), || format!("losses on the {side}'s side"))
        }),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("{failure}");
            ExitCode::FAILURE
        }
    }
}

/// What is measured.
struct Test<'a> {
    /// Where packets are lost.
    side: Side,
    megabytes: usize,
    pairs: usize,
    control: &'a str,
    is_tls: bool,
    /// The message in clear, as it stands on the wire.
    wire: Vec<u8>,
}

#[expect(clippy::print_stdout, reason = "this is a program's report")]
fn measure(test: &Test<'_>) -> Outcome {
    let Test { side, megabytes, pairs, control, is_tls, .. } = *test;
    let _network = Network::build()?;
    let relay = Relay::start(side, DELAY)?;
    // The hosts' other ways stay as they are; what leads to the other end goes by the relay.
    let (server, far) = match side {
        Side::Server => (relay::HOST, "192.0.2.0/24"),
        Side::Client | Side::Gateway => (IpAddr::from([198, 51, 100, 2]), "198.51.100.0/24"),
    };
    let words = ["route", "replace", far, "dev", "far"];
    run(&mut side.command("ip", &words), Duration::from_secs(10))?;
    let ports = [FILTERED, PLAIN].map(|port| SocketAddr::new(server, port));
    let _server = if is_tls { Some(tls::open(&ports)?) } else { None };
    if !is_tls {
        ports.iter().try_for_each(|&port| sink::open(port))?;
    }
    let filter = if is_tls { Filter::with(&["--profile", "esmtp"]) } else { Filter::DEFAULT };
    let mut guard = Guard::start(filter)?;
    println!(
        "{megabytes} MB{}, {pairs} pairs, {control}, 200 Mbit/s, losses both ways on the {}'s \
         side, round trip {} ms",
        if is_tls { " through TLS" } else { "" },
        side.name(),
        2 * DELAY.as_millis()
    );
    for loss in LOSSES {
        relay.lose(loss);
        let [filtered, plain] = both(test, ports, loss).because(guard.log())?;
        let speed = |seconds: f64| (pairs * megabytes) as f64 / seconds;
        println!(
            "{:>5} %: {:>7.2} MB/s filtered, {:>7.2} MB/s plain, ratio {:.2}",
            f64::from(loss) / 10.0,
            speed(filtered),
            speed(plain),
            plain / filtered
        );
    }
    guard.stop()?;
    guard.log().lines().filter(|line| line.contains("dropped")).for_each(|line| println!("{line}"));
    Ok(())
}

/// Seconds that all deliveries took together, through the filter and past it.
fn both(test: &Test<'_>, ports: [SocketAddr; 2], loss: u32) -> Outcome<[f64; 2]> {
    if loss >= SIDE_BY_SIDE {
        // Losses leave the processors idle, so both may run at once, in the same weather.
        return thread::scope(|scope| {
            let runs = ports.map(|port| scope.spawn(move || deliveries(test, port)));
            let [filtered, plain] = runs.map(|run| match run.join() {
                Ok(seconds) => seconds,
                Err(_) => wrong("a sender panicked"),
            });
            Ok([filtered?, plain?])
        });
    }
    let mut seconds = [0.0; 2];
    for _ in 0..ROUNDS {
        for (seconds, port) in seconds.iter_mut().zip(ports) {
            *seconds += deliveries(test, port)? / f64::from(ROUNDS);
        }
    }
    Ok(seconds)
}

fn deliveries(test: &Test<'_>, port: SocketAddr) -> Outcome<f64> {
    thread::scope(|scope| {
        let deliver = || {
            if test.is_tls {
                tls::delivery(port, test.control, test.megabytes)
            } else {
                delivery(port, test.control, &test.wire)
            }
        };
        let senders: Vec<_> = (0..test.pairs).map(|_| scope.spawn(deliver)).collect();
        senders.into_iter().try_fold(0.0, |sum, sender| match sender.join() {
            Ok(seconds) => Ok(sum + seconds?),
            Err(_) => wrong("a sender panicked"),
        })
    })
}

/// Seconds from the 354 to the reply to the end of data.
fn delivery(port: SocketAddr, control: &str, wire: &[u8]) -> Outcome<f64> {
    let (mut session, _) = Session::open(port, PATIENCE)?;
    session.set_congestion_control(control)?;
    session.expect(Pace::Whole, "HELO mail.domain1.com", 250)?;
    session.begin(Pace::Whole, "loss")?;
    let start = now();
    session.send(wire)?;
    let reply = session.reply()?;
    ensure(reply.code == 250, || reply.to_string())?;
    Ok(start.elapsed().as_secs_f64())
}

const INSIDE: &str = "--inside=";
const CONTROL: &str = "control=";
const OVER_TLS: &str = "over=tls";

const FILTERED: u16 = 25;
const PLAIN: u16 = 2525;

/// One way.
const DELAY: Duration = Duration::from_millis(5);

/// Packets lost in a thousand.
const LOSSES: [u32; 4] = [0, 1, 10, 30];

/// How often each is measured where the processors set the pace.
const ROUNDS: u32 = 2;

/// From here on it is the losses that set it.
const SIDE_BY_SIDE: u32 = 10;

const PATIENCE: Duration = Duration::from_secs(300);
