//! What one client's bytes cost everybody else: connections that make the filter keep all it can,
//! and a byte far ahead that makes every other one dear.

use std::fs;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use super::ether::{Ether, ROUTER};
use super::puppet::Puppet;
use super::standin::StandIn;
use super::table::{Seen, Table};
use super::talk::Talk;
use super::trial::Before;
use crate::is_full;
use crate::lab::{Because, Family, Network, Outcome, PATIENCE, Side, ensure, now, run};

/// Recipes 14 and 15.
pub(crate) fn held_bytes() -> Outcome<String> {
    let _network = Network::build()?;
    for (side, link) in
        [(Side::Client, "c0"), (Side::Gateway, "gc"), (Side::Gateway, "gs"), (Side::Server, "s0")]
    {
        let words = ["link", "set", link, "mtu", "9000"];
        run(&mut side.command("ip", &words), Duration::from_secs(10))?;
    }
    let _server = StandIn::start(Family::V4.server())?;
    let mut wire = Ether::open()?;
    let mut table = Table::new(&Before::ALL.map(Before::name));
    let (limits, count) = if is_full() { ("", 34) } else { (SMALL_STORE, 3) };
    for (place, &before) in (0..).zip(Before::some()) {
        let _guard = before.start(limits)?;
        let seen = dear_bytes(&mut wire, before, 20_000 + place * 1000)?;
        table.enter(("15", "a byte far ahead, then one by one"), "stand-in", before.name(), seen);
        let seen = hoard(&mut wire, count, 20_500 + place * 1000)?;
        let name = "connections that make us keep bytes";
        table.enter(("14", name), "stand-in", before.name(), seen);
    }
    table.judged()
}

/// A crafted client whose server awaits the text of a message.
fn in_data(wire: &mut Ether, port: u16) -> Outcome<Puppet> {
    let address: IpAddr = ROUTER.parse().ok().because(ROUTER)?;
    let mut puppet = Puppet::new(SocketAddr::new(address, port), Family::V4.server());
    puppet.connect(wire)?;
    for line in ["HELO c", "MAIL FROM:<a@b>", "RCPT TO:<c@d>"] {
        puppet.ask(wire, line);
    }
    let answer = puppet.ask(wire, "DATA");
    ensure(answer.starts_with("354"), || format!("DATA: {answer}"))?;
    Ok(puppet)
}

/// The server misses the first segment of each message, so nothing behind it is acknowledged.
fn hoard(wire: &mut Ether, count: u16, first_port: u16) -> Outcome<Seen> {
    for number in 0..count {
        let mut puppet = match in_data(wire, first_port + number) {
            Ok(puppet) => puppet,
            // A filter may well have had enough of this client.
            Err(_) if number > 0 => break,
            Err(failure) => return Err(failure),
        };
        let text = vec![b'x'; SEGMENT as usize];
        let base = puppet.sent;
        wire.send(&puppet.segment(base, &text, true));
        for place in 1..HOARD / SEGMENT {
            wire.send(&puppet.segment(base + place * SEGMENT, &text, false));
            if place % 16 == 0 {
                puppet.drain(wire);
            }
        }
        puppet.sent = base + HOARD;
    }
    let delivered = delivered(192, 3);
    Ok(Seen::new(delivered < 3, format!("{delivered} of 3 delivered")))
}

/// How many of so many honest messages arrive.
pub(crate) fn delivered(lines: usize, count: usize) -> usize {
    let text = format!("Subject: honest\r\n\r\n{}", "an honest line\r\n".repeat(lines));
    let client = SocketAddr::new(IpAddr::from([192, 0, 2, 2]), 0);
    deliveries(client, count, text.trim_end())
}

/// The same from this address, side by side. Each is tried again, as mail programs do: a server
/// that answers a flood with SYN cookies keeps nothing of a handshake whose third packet was lost.
pub(crate) fn deliveries(client: SocketAddr, count: usize, text: &str) -> usize {
    let one = || {
        let talk = Talk::open_within(client, Family::V4.server(), STEP_TIME_MAX);
        talk.is_ok_and(|mut talk| {
            talk.set_patience(STEP_TIME_MAX);
            talk.delivers(text)
        })
    };
    let start = now();
    let until_it_is_taken = || {
        let mut is_taken = one();
        while !is_taken && start.elapsed() < PATIENCE {
            is_taken = one();
        }
        is_taken
    };
    std::thread::scope(|scope| {
        let working: Vec<_> = (0..count).map(|_| scope.spawn(until_it_is_taken)).collect();
        working.into_iter().filter_map(|one| one.join().ok()).filter(|is_good| *is_good).count()
    })
}

/// What the filter's processor time for a packet is with a byte far ahead, and without.
fn dear_bytes(wire: &mut Ether, before: Before, port: u16) -> Outcome<Seen> {
    if before == Before::Nothing {
        return Ok(Seen::new(false, "no filter"));
    }
    let mut puppet = in_data(wire, port)?;
    let near = one_by_one(wire, &mut puppet)?;
    let mut puppet = in_data(wire, port + 1)?;
    for ahead in [puppet.window.saturating_sub(2)].into_iter().chain(FAR) {
        wire.send(&puppet.segment(puppet.sent + ahead, b"x", false));
    }
    puppet.pump(wire, Duration::from_millis(50), |_| false);
    let far = one_by_one(wire, &mut puppet)?;
    let told = format!("{} us, {} us", near.as_micros(), far.as_micros());
    Ok(Seen::new(far > near * DEAR + Duration::from_micros(10), told))
}

/// Sends bytes in packets of their own; the filter's processor time for each.
fn one_by_one(wire: &mut Ether, puppet: &mut Puppet) -> Outcome<Duration> {
    let before = processor_time()?;
    for _ in 0..BYTES / BURST {
        for _ in 0..BURST {
            wire.send(&puppet.segment(puppet.sent, b"x", false));
            puppet.sent += 1;
        }
        puppet.pump(wire, Duration::from_millis(300), |puppet| puppet.acknowledged >= puppet.sent);
        // What was lost on the way counts as little as what was not.
        puppet.acknowledged = puppet.sent;
    }
    Ok((processor_time()? - before) / BYTES)
}

/// The processor time of all threads of the only filter there is.
fn processor_time() -> Outcome<Duration> {
    for entry in fs::read_dir("/proc")? {
        let place = entry?.path();
        let name = fs::read_to_string(place.join("comm")).unwrap_or_default();
        if name.trim_end() != "mailguard" {
            continue;
        }
        let mut nanoseconds = 0;
        for task in fs::read_dir(place.join("task"))? {
            let text = fs::read_to_string(task?.path().join("schedstat"))?;
            nanoseconds += text.split(' ').next().and_then(|word| word.parse().ok()).unwrap_or(0);
        }
        return Ok(Duration::from_nanos(nanoseconds));
    }
    Err(crate::lab::Failure::Wrong("no filter runs".to_owned()))
}

const SMALL_STORE: &str = "[limits]\nstore_bytes_max = 16777216\n";

/// Octets a connection makes the filter keep: the most it may by default.
const HOARD: u32 = 8 << 20;
const SEGMENT: u32 = 8_192;

/// Up to just within what a flow may keep.
const FAR: [u32; 4] = [1 << 20, 4 << 20, 7 << 20, (8 << 20) - 65_536];

/// Bytes in packets of their own, and how many leave together.
const BYTES: u32 = 1000;
const BURST: u32 = 20;

/// How much more a packet may cost: measured with other load beside it.
const DEAR: u32 = 3;

/// For each step of an honest client, before it tries again.
const STEP_TIME_MAX: Duration = Duration::from_secs(3);
