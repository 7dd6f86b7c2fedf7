//! Sends mail for a while, from the client's host to the sink on the server's.
//!
//! Each sender talks to an address of the server's own, so that several queues, which are chosen by
//! the pair of addresses, all have their share.

use std::net::{IpAddr, SocketAddr};
use std::thread;
use std::time::Duration;

use crate::lab::{
    Because, Message, Outcome, PATIENCE, Pace, Session, Side, ensure, now, run, wrong,
};

/// How mail is sent.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Load {
    /// Senders, each with one mail at a time.
    pub(crate) senders: u8,
    /// Octets of a mail's text.
    pub(crate) octets: usize,
    /// Mails on one connection.
    pub(crate) mails_per_connection: usize,
}

/// What was sent.
#[derive(Debug, Default)]
pub(crate) struct Sent {
    pub(crate) seconds: f64,
    pub(crate) octets: usize,
    /// How long each mail took in microseconds, its connection included where it has one of its
    /// own.
    pub(crate) micros: Vec<f64>,
}

/// Gives the server an address for each sender, and the gateway time for many connections.
pub(crate) fn prepare() -> Outcome {
    for sender in 0..SENDERS_MAX {
        let address = format!("{}/24", address_for(sender));
        let words = ["address", "add", &address, "dev", "s0"];
        run(&mut Side::Server.command("ip", &words), PATIENCE)?;
    }
    Side::Client.set("ipv4/ip_local_port_range", "10000 65000")?;
    // Connections that are over need no place in the kernel's table, which has room for 262,144.
    Side::Gateway.set("netfilter/nf_conntrack_tcp_timeout_time_wait", "5")
}

/// Sends so for so long.
pub(crate) fn send(load: Load, time: Duration) -> Outcome<Sent> {
    let line = [b"x".repeat(62), b"\r\n".to_vec()].concat();
    let wire = Message::new("bench", &line.repeat(load.octets / line.len())).wire();
    let start = now();
    let sent = thread::scope(|scope| {
        let wire = &wire;
        let work = |number| move || one_sender(load, address_for(number), wire, time);
        let senders: Vec<_> = (0..load.senders).map(|number| scope.spawn(work(number))).collect();
        let mut micros = Vec::new();
        for sender in senders {
            match sender.join() {
                Ok(sent) => micros.extend(sent?),
                Err(_) => return wrong("a sender panicked"),
            }
        }
        Ok(micros)
    })?;
    let octets = sent.len() * wire.len();
    Ok(Sent { seconds: start.elapsed().as_secs_f64(), octets, micros: sent })
}

/// What each mail of one sender took.
fn one_sender(load: Load, server: IpAddr, wire: &[u8], time: Duration) -> Outcome<Vec<f64>> {
    Side::Client.enter()?;
    let (start, mut micros) = (now(), Vec::new());
    while start.elapsed() < time {
        let mut opened = now();
        let mut session = Session::connect_here(SocketAddr::new(server, 25), REPLY_TIME_MAX)?;
        ensure(session.reply()?.code == 220, || "a banner".to_owned())?;
        session.expect(Pace::Whole, "HELO mail.domain1.com", 250)?;
        for _ in 0..load.mails_per_connection {
            if load.mails_per_connection > 1 {
                opened = now();
            }
            session.begin(Pace::Whole, "bench")?;
            session.send(wire)?;
            let reply = session.reply().because("end of data")?;
            ensure(reply.code == 250, || reply.to_string())?;
            micros.push(opened.elapsed().as_secs_f64() * 1e6);
            if start.elapsed() >= time {
                break;
            }
        }
        session.quit()?;
    }
    Ok(micros)
}

fn address_for(sender: u8) -> IpAddr {
    IpAddr::from([198, 51, 100, 10 + sender])
}

const SENDERS_MAX: u8 = 10;

/// Far above what a busy machine and a few repetitions of TCP's take.
const REPLY_TIME_MAX: Duration = Duration::from_secs(15);
