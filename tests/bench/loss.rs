//! What the filter costs on a lossy path: goodput of a large message with packets lost on one side
//! of the gateway, as a ratio to plain forwarding over the same losses.
//!
//! A relay between two TUN devices delays every packet and loses some, by a seeded pattern that
//! counts the packets of each connection: the first connection through the filter loses the same
//! ones as the first past it (to another port, which the rules leave alone), and so on.
//! `cargo bench --bench loss -- [MEGABYTES [PAIRS]] [control=bbr]`

use std::env;
use std::net::{IpAddr, SocketAddr};
use std::process::ExitCode;
use std::thread;
use std::time::Duration;

#[path = "../lab/mod.rs"]
mod lab;
mod relay;
mod sink;

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
            measure(side, megabytes, pairs, control)
        }),
        None => ["client", "server"].iter().try_for_each(|side| {
            let (side_word, megabytes, pairs) =
                (format!("{INSIDE}{side}"), megabytes.to_string(), pairs.to_string());
            let words = [&side_word, &megabytes, &pairs, control];
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

#[expect(clippy::print_stdout, reason = "this is a program's report")]
fn measure(side: Side, megabytes: usize, pairs: usize, control: &str) -> Outcome {
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
    ports.iter().try_for_each(|&port| sink::open(port))?;
    let mut guard = Guard::start(Filter::DEFAULT)?;
    let line = [b"x".repeat(62), b"\r\n".to_vec()].concat();
    let wire = Message::new("loss", &line.repeat(megabytes * 1_000_000 / line.len())).wire();
    println!(
        "{megabytes} MB, {pairs} pairs, {control}, 200 Mbit/s, losses both ways on the {}'s side, \
         round trip {} ms",
        side.name(),
        2 * DELAY.as_millis()
    );
    for loss in LOSSES {
        relay.lose(loss);
        let [filtered, plain] = both(ports, control, &wire, pairs, loss).because(guard.log())?;
        let speed = |seconds: f64| (pairs * wire.len()) as f64 / 1e6 / seconds;
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
fn both(
    ports: [SocketAddr; 2],
    control: &str,
    wire: &[u8],
    pairs: usize,
    loss: u32,
) -> Outcome<[f64; 2]> {
    if loss >= SIDE_BY_SIDE {
        // Losses leave the processors idle, so both may run at once, in the same weather.
        return thread::scope(|scope| {
            let runs =
                ports.map(|port| scope.spawn(move || deliveries(port, control, wire, pairs)));
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
            *seconds += deliveries(port, control, wire, pairs)? / f64::from(ROUNDS);
        }
    }
    Ok(seconds)
}

fn deliveries(port: SocketAddr, control: &str, wire: &[u8], pairs: usize) -> Outcome<f64> {
    thread::scope(|scope| {
        let senders: Vec<_> =
            (0..pairs).map(|_| scope.spawn(|| delivery(port, control, wire))).collect();
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
