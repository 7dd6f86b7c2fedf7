//! L, and C13: the daemon stopped, killed, starved of buffers or memory, told something else.
//! Nothing passes unread, and what TCP can repeat arrives.

use std::fs;
use std::thread::{self, JoinHandle};

use rustix::process::Signal;

use super::{Case, EVIL, Peer, Stand, V4, matrix};
use crate::lab::{
    Because, End, Family, Filter, Message, Outcome, PATIENCE, Pace, Session, ensure, now,
    wait_until, wrong,
};

pub(crate) const CASES: &[Case] = &[
    Case { id: "C13", name: "mid-stream after kill -9", run: midstream, families: V4 },
    Case { id: "L05", name: "kill -9 under load", run: killed, families: V4 },
    Case { id: "L09", name: "no memory left", run: exhausted, families: V4 },
    Case { id: "L10", name: "a RST behind what passes", run: reset_in_turn, families: V4 },
];

/// Those that want a short queue and a small socket buffer.
pub(crate) const STARVED: &[Case] = &[
    Case { id: "L04", name: "stopped for 2 s, queue overflows", run: stopped, families: V4 },
    Case { id: "L07", name: "tiny socket buffer", run: tiny, families: V4 },
];

/// What makes [`STARVED`] starve.
pub(crate) const STARVATION: [&str; 4] =
    ["--set", "queue.length=16", "--set", "queue.socket_buffer=4096"];

/// The daemon's configuration, where it is to change.
const CONFIGURATION: &str = "/run/lab/mailguard.toml";

/// Those that want a daemon with a configuration file.
pub(crate) const RELOADED: &[Case] =
    &[Case { id: "L06", name: "reload under load", run: reloaded, families: V4 }];

/// Plays [`RELOADED`].
pub(crate) fn reloading() -> Outcome<String> {
    fs::write(CONFIGURATION, MASKING)?;
    matrix(Filter::with(&["--config", CONFIGURATION]), RELOADED)
}

const MASKING: &str = "profile = \"mailguard\"\n";
const SHOWING: &str = "profile = \"mailguard\"\nsettings.banner = \"pass\"\n";
const WRONG: &str = "profile = \"mailguard\"\nsettings.banner = \"sometimes\"\n";

/// What a client said on a connection, all of it, once its message is acknowledged.
pub(crate) fn delivery(name: &str, size: usize) -> Outcome<Vec<u8>> {
    let line = b"a line of a message as good as any\r\n";
    let message = Message::new(name, &line.repeat(size / line.len()));
    let mut session = Session::greeted(Family::V4.server(), PATIENCE)?;
    session.deliver(Pace::Whole, &message).because(name)?;
    session.quit()?;
    let head = format!(
        "HELO mail.domain1.com\r\nMAIL FROM:<sender@domain1.com>\r\n\
         RCPT TO:<{name}@domain2.com>\r\nDATA\r\n"
    );
    Ok([head.as_bytes(), &message.wire(), b"QUIT\r\n"].concat())
}

/// Deliveries that run beside the test.
pub(crate) struct Load(Vec<JoinHandle<Outcome<Vec<u8>>>>);

impl Load {
    pub(crate) fn start(name: &'static str, count: usize, size: usize) -> Self {
        let one = |number: usize| {
            thread::spawn(move || delivery(&format!("{name}{number}"), size + number))
        };
        Self((0..count).map(one).collect())
    }

    /// Insists that every one ended well and that the server has read the very bytes.
    pub(crate) fn finish(self, stand: &Stand) -> Outcome<usize> {
        let mut sent = Vec::new();
        for worker in self.0 {
            sent.push(worker.join().unwrap_or_else(|_| wrong("a sender panicked"))?);
        }
        let received = stand.received();
        for said in &sent {
            let copies = received.iter().filter(|read| *read == said).count();
            ensure(copies == 1, || format!("{copies} copies of a message"))?;
        }
        Ok(sent.len())
    }

    /// How many have ended by now.
    fn finished(&self) -> usize {
        self.0.iter().filter(|worker| worker.is_finished()).count()
    }

    /// Waits for their ends, whatever those are; how many were good.
    fn end(self) -> usize {
        self.0.into_iter().filter_map(|worker| worker.join().ok()?.ok()).count()
    }
}

/// One client in the middle of a command, one in the middle of its message.
fn two_midway(stand: &mut Stand) -> Outcome<[Peer; 2]> {
    let mut commanding = stand.connected()?;
    stand.deliver(&mut commanding, b"HELO c\r\nVR")?;
    let mut writing = stand.connected()?;
    stand.deliver(&mut writing, b"HELO c\r\nMAIL FROM:<a@b>\r\nRCPT TO:<r@d>\r\nDATA\r\n")?;
    stand.until("354", &mut writing, |peer| peer.heard.ends_with(b"354 go on\r\n"))?;
    let begun = b"HELO c\r\nMAIL FROM:<a@b>\r\nRCPT TO:<r@d>\r\nDATA\r\nhel";
    stand.deliver(&mut writing, begun)?;
    Ok([commanding, writing])
}

/// What these clients say next leaves no byte behind the filter, and both ends are told.
fn are_cut_off(stand: &mut Stand, peers: [Peer; 2]) -> Outcome {
    for mut peer in peers {
        let before = stand.read_by_server(&peer);
        let next = peer.acknowledged;
        stand.send(&peer, next, b"FY root\r\nlo\r\n.\r\nVRFY root\r\n");
        stand.until("RST", &mut peer, |peer| peer.reset.is_some())?;
        let visit = stand.until_ended(&mut peer)?;
        ensure(visit.received == before, || visit.received.escape_ascii().to_string())?;
        ensure(visit.end == Some(End::Broken), || format!("the server's end: {:?}", visit.end))?;
    }
    Ok(())
}

fn midstream(stand: &mut Stand) -> Outcome<String> {
    let peers = two_midway(stand)?;
    stand.guard.kill()?;
    let mut nobody = stand.peer();
    let before: Vec<usize> = peers.iter().map(|peer| stand.wire.of(peer.local).count()).collect();
    for peer in &peers {
        stand.send(peer, peer.acknowledged, b"FY root\r\n");
    }
    stand.wait(&mut nobody, 50);
    let after: Vec<usize> = peers.iter().map(|peer| stand.wire.of(peer.local).count()).collect();
    ensure(before == after, || "a packet passed while no filter ran".to_owned())?;
    stand.guard.restart()?;
    are_cut_off(stand, peers)?;
    let mut fresh = stand.connected()?;
    stand.finish(&mut fresh, EVIL)?;
    Ok("nothing passed, both ends reset, in a command and in a message".to_owned())
}

/// Deliveries of which the server has read a part.
fn under_way(stand: &mut Stand, name: &'static str, count: usize) -> Outcome<Load> {
    let begun = |stand: &Stand| stand.received().iter().filter(|read| read.len() > 100_000).count();
    let before = begun(stand);
    let load = Load::start(name, count, 50_000_000);
    wait_until("a load", PATIENCE, || {
        stand.look();
        Ok((begun(stand) == before + count).then_some(()))
    })?;
    Ok(load)
}

/// After the daemon's end: a new one is there at once, nothing went on unseen, and mail, named so,
/// passes.
fn comes_back(
    stand: &mut Stand,
    load: Load,
    peers: [Peer; 2],
    name: &'static str,
) -> Outcome<String> {
    // What memory freed by others served to the end was seen to the end.
    let seen = load.finished();
    let start = now();
    stand.guard.restart()?;
    let mut fresh = stand.connected()?;
    let millis = start.elapsed().as_millis();
    are_cut_off(stand, peers)?;
    stand.finish(&mut fresh, EVIL)?;
    let survivors = load.end();
    ensure(survivors <= seen, || format!("{survivors} deliveries, {seen} of them seen"))?;
    let after = Load::start(name, 4, 300_000).finish(stand)?;
    let cut_off = 4 - survivors;
    Ok(format!("back after {millis} ms; {cut_off} deliveries cut off, {after} after it"))
}

fn killed(stand: &mut Stand) -> Outcome<String> {
    let peers = two_midway(stand)?;
    let load = under_way(stand, "killed", 4)?;
    stand.guard.kill()?;
    comes_back(stand, load, peers, "revived")
}

/// An allocation that fails ends the program at once, and its queue is closed.
fn exhausted(stand: &mut Stand) -> Outcome<String> {
    let peers = two_midway(stand)?;
    let load = under_way(stand, "exhausted", 4)?;
    stand.guard.starve(64)?;
    // What it has may do for what it does: more is asked of it.
    let more = Load::start("more", 8, 50_000_000);
    let status = stand.guard.end()?;
    ensure(status.code().is_none(), || format!("it ended: {status}"))?;
    let said = comes_back(stand, load, peers, "fed")?;
    drop(more);
    Ok(format!("{status}, {said}"))
}

/// Tells the running daemon something else, and waits until it has said so much in all.
fn reload(stand: &Stand, text: &str, answer: &str, times: usize) -> Outcome {
    fs::write(CONFIGURATION, text)?;
    stand.guard.signal(Signal::HUP)?;
    wait_until(answer, PATIENCE, || {
        Ok((stand.guard.log().matches(answer).count() == times).then_some(()))
    })
}

fn reloaded(stand: &mut Stand) -> Outcome<String> {
    let load = Load::start("reloaded", 4, 50_000_000);
    let [mut commanding, mut writing] = two_midway(stand)?;
    for round in 1..=RELOADS {
        reload(stand, SHOWING, "new connections: profile", 2 * round - 1)?;
        reload(stand, WRONG, "the old configuration stays in force", round)?;
        let mut shown = stand.connected()?;
        ensure(!shown.heard.contains(&b'*'), || "still the old banner".to_owned())?;
        reload(stand, MASKING, "new connections: profile", 2 * round)?;
        let mut masked = stand.connected()?;
        ensure(masked.heard.contains(&b'*'), || "still the new banner".to_owned())?;
        stand.finish(&mut shown, EVIL)?;
        stand.finish(&mut masked, EVIL)?;
    }
    stand.finish(&mut commanding, b"HELO c\r\nVRFY root\r\nQUIT\r\n")?;
    let message = b"HELO c\r\nMAIL FROM:<a@b>\r\nRCPT TO:<r@d>\r\nDATA\r\nhello\r\n.\r\nQUIT\r\n";
    stand.finish(&mut writing, message)?;
    let count = load.finish(stand)?;
    Ok(format!("{} reloads, {count} deliveries, every flow went on", 3 * RELOADS))
}

const RELOADS: usize = 5;

fn stop(stand: &Stand) -> Outcome {
    stand.guard.signal(Signal::STOP)?;
    // The kernel stops its threads one by one.
    wait_until("the daemon stands still", PATIENCE, || Ok(stand.guard.is_stopped()?.then_some(())))
}

/// Of packets that are read together one is accepted and the last ends the flow. Where the filter's
/// thread moves to another processor in between, the RST may come first all the same.
fn reset_in_turn(stand: &mut Stand) -> Outcome<String> {
    let said = b"HELO c\r\nNOOP\r\n";
    for turn in 1..=TURNS {
        let mut peer = stand.connected()?;
        stand.deliver(&mut peer, &said[..8])?;
        stop(stand)?;
        stand.send(&peer, 8, &said[8..]);
        for (index, piece) in [b'a'; 8_000].chunks(1_000).enumerate() {
            stand.send(&peer, (said.len() + index * 1_000) as u64, piece);
        }
        stand.guard.signal(Signal::CONT)?;
        let visit = stand.until_ended(&mut peer)?;
        ensure(visit.end == Some(End::Broken), || format!("the server's end: {:?}", visit.end))?;
        if visit.received.starts_with(said) {
            return Ok(format!("the server has read what passed, at turn {turn}"));
        }
    }
    wrong(format!("{TURNS} times the RST came before what had passed"))
}

const TURNS: usize = 6;

fn stopped(stand: &mut Stand) -> Outcome<String> {
    let load = Load::start("stopped", 2, 1_000_000);
    let mut peer = stand.connected()?;
    stop(stand)?;
    for _ in 0..20 {
        for at in (0..EVIL.len()).step_by(7) {
            stand.send(&peer, at as u64, &EVIL[at..(at + 7).min(EVIL.len())]);
        }
        stand.wait(&mut peer, 100);
    }
    let leaked = stand.wire.stream(peer.local);
    stand.guard.signal(Signal::CONT)?;
    ensure(leaked.is_empty(), || format!("left meanwhile: {}", leaked.escape_ascii()))?;
    stand.finish(&mut peer, EVIL)?;
    let count = load.finish(stand)?;
    Ok(format!("nothing passed meanwhile, {count} deliveries went on"))
}

fn tiny(stand: &mut Stand) -> Outcome<String> {
    let load = Load::start("tiny", 2, 1_000_000);
    for _ in 0..5 {
        let mut peer = stand.connected()?;
        stand.finish(&mut peer, EVIL)?;
    }
    let count = load.finish(stand)?;
    Ok(format!("{count} deliveries and 5 attacks, loss only"))
}
