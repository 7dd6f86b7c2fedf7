//! A life without loss: the filter is restarted, replaced and killed while mail is under way.
//!
//! `make life` does so each second in the middle of 1,000 deliveries.

use std::fs::{self, File};
use std::hash::Hasher;
use std::io::{Read, Seek};
use std::net::TcpListener;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use mailguard::engine::{FORMAT, FORMAT_MIN};
use siphasher::sip128::{Hasher128, SipHasher13};

use crate::lab::{
    Because, Family, Filter, Guard, Message, Outcome, PATIENCE, Pace, Random, Session, Side, Site,
    ensure, run, wrong,
};

/// SIGTERM and a new start, under a service manager that keeps queues and image.
pub(crate) fn restarts() -> Outcome<String> {
    let mut restarts = 0;
    amid_deliveries(Guard::start_managed, |guard| {
        guard.stop()?;
        guard.restart()?;
        restarts += 1;
        guard.manager()?.await_said("READY=1", restarts + 1, PATIENCE)?;
        let log = guard.log();
        ensure(log.contains("going on with"), || log.clone())
    })
}

/// `run --take-over`, without any service manager. The control socket goes with the queue: whoever
/// asks there next is answered by the successor, which knows the flows.
pub(crate) fn take_overs() -> Outcome<String> {
    amid_deliveries(Guard::start, |guard| {
        let before = fs::metadata(CONTROL).because(CONTROL)?.ino();
        let mut old = Session::greeted(Family::V4.server(), PATIENCE)?;
        guard.take_over()?;
        let after = fs::metadata(CONTROL).because("the successor's socket")?.ino();
        ensure(after != before, || "the old socket stands there".to_owned())?;
        let flows = guard.ctl(&["--json", "flows"])?;
        let client = format!(":{}\",", old.port()?);
        ensure(flows.contains(&client), || format!("no flow of {client} in {flows}"))?;
        old.expect(Pace::Whole, "VRFY root", 500)?;
        old.quit()
    })
}

/// A start that fails takes nothing from who runs, nor from who starts next: the control socket,
/// the queue and the flows are left where they are.
pub(crate) fn failed_starts() -> Outcome<String> {
    let Site { network, postfix, guard: _ } = Site::open(Filter::None)?;
    let mut guard = Guard::start_managed(Filter::DEFAULT)?;
    let message = Message::new("after-all", b"1\r\n");
    let mut old = Session::greeted(Family::V4.server(), PATIENCE)?;
    let socket = fs::metadata(CONTROL).because(CONTROL)?.ino();
    let said = guard.refused(&[])?;
    let why = "queue 0 is served by another filter: expected none, or --take-over";
    ensure(said.contains(why), || said.clone())?;
    let taken = Side::Gateway.within(|| Ok(TcpListener::bind("127.0.0.1:9625")?))?;
    let unlucky = ["--set", "metrics.listen=127.0.0.1:9625"];
    let taking_over = [&unlucky[..], &["--take-over"]].concat();
    let said = guard.refused(&taking_over)?;
    ensure(said.contains("cannot listen at 127.0.0.1:9625"), || said.clone())?;
    ensure(fs::metadata(CONTROL)?.ino() == socket, || "another socket stands there".to_owned())?;
    guard.ctl(&["status"])?;
    old.expect(Pace::Whole, "VRFY root", 500)?;
    guard.stop()?;
    let said = guard.refused(&unlucky)?;
    ensure(said.contains("going on with 1 flows"), || said.clone())?;
    drop(taken);
    guard.restart()?;
    let log = guard.log();
    ensure(log.contains("going on with 1 flows"), || log.clone())?;
    old.expect(Pace::Whole, "VRFY root", 500)?;
    old.deliver(Pace::Whole, &message)?;
    old.quit()?;
    let figures = Site { network, postfix, guard }.finish(&[message])?;
    Ok(format!("3 starts failed, nothing was lost; {figures}"))
}

/// However often the filter is started, its manager keeps what the first start gave it.
pub(crate) fn ten_starts() -> Outcome<String> {
    let Site { network, postfix, guard: _ } = Site::open(Filter::None)?;
    let mut guard = Guard::start_managed(Filter::DEFAULT)?;
    for start in 1..10 {
        if start % 2 == 0 { guard.kill() } else { guard.stop() }?;
        guard.restart()?;
        guard.manager()?.await_said("READY=1", start + 1, PATIENCE)?;
    }
    guard.manager()?.await_names(&KEPT, PATIENCE)?;
    // Of a queue that is kept the kernel says that it is there, and lets nothing pass. What went on
    // without a filter no filter knows.
    let mut old = Session::greeted(Family::V4.server(), PATIENCE)?;
    guard.stop()?;
    guard.refused(&["--set", "queue.fail=open", "--set", "log.events=/nonexistent/events"])?;
    guard.manager()?.await_names(&["flows", "image"], PATIENCE)?;
    guard.restart()?;
    guard.manager()?.await_said("READY=1", 11, PATIENCE)?;
    let log = guard.log();
    ensure(!log.contains("going on with 1 flows"), || log.clone())?;
    ensure(old.command(Pace::Whole, "NOOP").is_err(), || "it went on".to_owned())?;
    let message = Message::new("after-ten", b"1\r\n");
    let mut session = Session::greeted(Family::V4.server(), PATIENCE)?;
    session.deliver(Pace::Whole, &message)?;
    session.quit()?;
    let figures = Site { network, postfix, guard }.finish(&[message])?;
    Ok(format!("{} descriptors kept after 10 starts; {figures}", KEPT.len()))
}

/// `--take-over` by hand of what a manager has kept: as long as the successor lives the manager
/// starts nobody beside it, and who is started then knows nothing of what was long ago.
pub(crate) fn lent() -> Outcome<String> {
    let Site { network, postfix, guard: _ } = Site::open(Filter::None)?;
    let mut guard = Guard::start_managed(Filter::DEFAULT)?;
    guard.manager()?.await_said("READY=1", 1, PATIENCE)?;
    let mut old = Session::greeted(Family::V4.server(), PATIENCE)?;
    guard.take_over()?;
    let said = guard.refused(&[])?;
    ensure(said.contains("queue 0 is served by another filter"), || said.clone())?;
    old.expect(Pace::Whole, "VRFY root", 500)?;
    guard.kill()?;
    guard.restart()?;
    guard.manager()?.await_said("READY=1", 2, PATIENCE)?;
    let orphan = old.command(Pace::Whole, "NOOP");
    let is_reset = orphan.as_ref().is_err_and(|failure| failure.to_string().contains("reset"));
    ensure(is_reset, || format!("a flow that nobody knows: {orphan:?}, not reset"))?;
    let message = Message::new("after-all", b"1\r\n");
    let mut session = Session::greeted(Family::V4.server(), PATIENCE)?;
    session.deliver(Pace::Whole, &message)?;
    session.quit()?;
    let figures = Site { network, postfix, guard }.finish(&[message])?;
    Ok(format!("nobody beside the successor, and then a new beginning; {figures}"))
}

/// `kill -9` under a service manager: queue and flows live on. Nothing passes, what comes waits,
/// and the next process goes on. Killed again within a minute it may be a flow that kills: all are
/// unknown then, and reset.
pub(crate) fn killed() -> Outcome<String> {
    let Site { network, postfix, guard: _ } = Site::open(Filter::None)?;
    let mut guard = Guard::start_managed(Filter::DEFAULT)?;
    guard.manager()?.await_said("WATCHDOG=1", 2, PATIENCE)?;
    let server = Family::V4.server();
    let (first, second) = (Message::new("first", b"1\r\n"), Message::new("second", b"2\r\n"));
    let mut old = Session::greeted(server, PATIENCE)?;
    old.deliver(Pace::Whole, &first)?;
    guard.kill()?;
    let refused = Session::open(server, DEAD);
    ensure(refused.is_err(), || "killed, and yet a connection passed".to_owned())?;
    let queues = run(&mut Side::Gateway.command("cat", &[LISTING]), PATIENCE)?;
    let waiting = queues.split_whitespace().nth(2).and_then(|count| count.parse().ok());
    ensure(waiting.is_some_and(|count: u32| count > 0), || format!("queues: {queues}"))?;
    guard.restart()?;
    old.expect(Pace::Whole, "NOOP", 250)?;
    let refused = old.command(Pace::Whole, "VRFY root")?;
    ensure(refused.code == 500, || refused.to_string())?;
    guard.kill()?;
    guard.restart()?;
    let orphan = old.command(Pace::Whole, "NOOP");
    let is_reset = orphan.as_ref().is_err_and(|failure| failure.to_string().contains("reset"));
    ensure(is_reset, || format!("a flow that nobody knows: {orphan:?}, not reset"))?;
    let mut session = Session::greeted(server, PATIENCE)?;
    session.deliver(Pace::Whole, &second)?;
    session.quit()?;
    let kept = guard.manager()?.names();
    ensure(kept == KEPT, || format!("kept: {kept:?}"))?;
    let figures = Site { network, postfix, guard }.finish(&[first, second])?;
    Ok(format!("queue kept with what waited, flow kept, reset after the second death; {figures}"))
}

/// A packet that kills, each time it is sent again: when it has killed thrice its flow is reset and
/// nothing of it is judged any more. Everybody else goes on, also who was there before.
pub(crate) fn deadly_packet() -> Outcome<String> {
    let Site { network, postfix, guard: _ } = Site::open(Filter::None)?;
    let mut guard = Guard::start_deadly(Filter::DEFAULT, DEADLY)?;
    let server = Family::V4.server();
    let (first, second) = (Message::new("first", b"1\r\n"), Message::new("second", b"2\r\n"));
    let mut bystander = Session::greeted(server, PATIENCE)?;
    bystander.deliver(Pace::Whole, &first)?;
    let mut killer = Session::greeted(server, PATIENCE)?;
    killer.send(format!("NOOP {DEADLY}\r\n").as_bytes())?;
    for death in 1..=3 {
        let status = guard.end().because(format!("no death {death}"))?;
        ensure(!status.success(), || format!("death {death}: {status}"))?;
        guard.restart()?;
    }
    let answer = killer.reply();
    let is_reset = answer.as_ref().is_err_and(|failure| failure.to_string().contains("reset"));
    ensure(is_reset, || format!("who killed three times: {answer:?}\n{}", guard.log()))?;
    let log = guard.log();
    ensure(log.contains("the filter died twice over connection"), || log.clone())?;
    let refused = bystander.command(Pace::Whole, "VRFY root")?;
    ensure(refused.code == 500, || refused.to_string())?;
    bystander.deliver(Pace::Whole, &second)?;
    bystander.quit()?;
    let figures = Site { network, postfix, guard }.finish(&[first, second])?;
    Ok(format!("3 deaths, then its flow is reset; who was beside it was kept; {figures}"))
}

/// A queue that cannot be read any more ends the filter, and its manager starts it again: whoever
/// was there goes on.
pub(crate) fn failed_queue() -> Outcome<String> {
    let Site { network, postfix, guard: _ } = Site::open(Filter::None)?;
    let mut guard = Guard::start_deadly(Filter::DEFAULT, DEADLY)?;
    let server = Family::V4.server();
    let message = Message::new("first", b"1\r\n");
    let mut bystander = Session::greeted(server, PATIENCE)?;
    let mut other = Session::greeted(server, PATIENCE)?;
    other.send(format!("NOOP {DEADLY}?\r\n").as_bytes())?;
    let status = guard.end().because("no end")?;
    // What was not judged does not come again.
    other.abort()?;
    ensure(!status.success(), || status.to_string())?;
    let log = guard.log();
    ensure(log.contains("cannot receive from queue 0: a test asks for this"), || log.clone())?;
    guard.restart()?;
    let refused = bystander.command(Pace::Whole, "VRFY root")?;
    ensure(refused.code == 500, || refused.to_string())?;
    bystander.deliver(Pace::Whole, &message)?;
    bystander.quit()?;
    let log = guard.log();
    ensure(log.contains("going on with 2 flows"), || log.clone())?;
    let figures = Site { network, postfix, guard }.finish(&[message])?;
    Ok(format!("ended by an error, and every flow was kept; {figures}"))
}

/// A version whose image is in a format that the next one does not know, an older or a newer one:
/// that is said in one line, its connections are reset, and mail goes on.
pub(crate) fn other_formats() -> Outcome<String> {
    let Site { network, postfix, guard: _ } = Site::open(Filter::None)?;
    let mut guard = Guard::start_managed(Filter::DEFAULT)?;
    let mut sent = Vec::new();
    for (started, format) in [FORMAT_MIN - 1, FORMAT + 1].into_iter().enumerate() {
        let mut old = Session::greeted(Family::V4.server(), PATIENCE)?;
        guard.stop()?;
        write_as(&guard.manager()?.file("image")?, format)?;
        guard.restart()?;
        guard.manager()?.await_said("READY=1", started + 2, PATIENCE)?;
        let answer = old.command(Pace::Whole, "NOOP");
        let is_reset = answer.as_ref().is_err_and(|failure| failure.to_string().contains("reset"));
        ensure(is_reset, || format!("a flow that nobody knows: {answer:?}, not reset"))?;
        let mut session = Session::greeted(Family::V4.server(), PATIENCE)?;
        session.expect(Pace::Whole, "VRFY root", 500)?;
        let message = Message::new(&format!("format-{format}"), b"1\r\n");
        session.deliver(Pace::Whole, &message)?;
        session.quit()?;
        sent.push(message);
        let log = guard.log();
        let warnings: Vec<_> = log.lines().filter(|line| line.contains("WARN")).collect();
        let why = format!("its image: its format is {format}, expected {FORMAT_MIN} to {FORMAT}");
        ensure(matches!(warnings[..], [one] if one.ends_with(&why)), || {
            format!("not in one line: {log}")
        })?;
    }
    let figures = Site { network, postfix, guard }.finish(&sent)?;
    Ok(format!("an older and a newer image are refused, mail goes on; {figures}"))
}

/// Makes of an image what a version would have written whose format this is.
fn write_as(image: &File, format: u32) -> Outcome {
    let mut bytes = Vec::new();
    // Whoever wrote it stands at its end, and shares the place with us.
    let mut file = image;
    file.rewind()?;
    file.read_to_end(&mut bytes)?;
    let magic = bytes.get(..FORMAT_AT).because("no image")?;
    let content = bytes.get(FORMAT_AT + 4..bytes.len() - TAIL).because("too short an image")?;
    let hashed = [magic, &format.to_le_bytes(), content].concat();
    let mut hasher = SipHasher13::new();
    hasher.write(&hashed);
    let hash = hasher.finish128().as_bytes();
    Ok(image.write_all_at(&[&hashed[..], &hash, b"COMPLETE"].concat(), 0)?)
}

/// Where an image says its format, and how long its hash and its last word are.
const FORMAT_AT: usize = 16;
const TAIL: usize = 24;

/// Does something to the filter each second while mail is delivered: each message is taken at its
/// first try and stored as it was sent, and no refused command is answered as a permitted one.
fn amid_deliveries(
    start: fn(Filter<'_>) -> Outcome<Guard>,
    mut change: impl FnMut(&mut Guard) -> Outcome,
) -> Outcome<String> {
    let Site { network, postfix, guard: _ } = Site::open(Filter::None)?;
    let mut guard = start(Filter::DEFAULT)?;
    let (deliveries_min, changes_min) = if is_full() { (1_000, 10) } else { (1, 4) };
    let (is_over, deliveries) = (AtomicBool::new(false), AtomicUsize::new(0));
    let mut changes = 0;
    let sent = thread::scope(|scope| {
        let send = |worker| deliver_until(worker, &is_over, &deliveries);
        let senders: Vec<_> =
            (0..SENDERS).map(|worker| scope.spawn(move || send(worker))).collect();
        let mut changed = Ok(());
        while changed.is_ok()
            && (changes < changes_min || deliveries.load(Ordering::Relaxed) < deliveries_min)
            && !senders.iter().any(|sender| sender.is_finished())
        {
            thread::sleep(INTERVAL);
            changed = change(&mut guard);
            changes += 1;
        }
        is_over.store(true, Ordering::Relaxed);
        let mut sent = Vec::new();
        for sender in senders {
            match sender.join() {
                Ok(messages) => sent.extend(messages.because(guard.log())?),
                Err(_) => return wrong("a sender panicked"),
            }
        }
        changed.map(|()| sent)
    })?;
    let figures = Site { network, postfix, guard }.finish(&sent)?;
    Ok(format!("{changes} times amid {} deliveries, 0 broken; {figures}", sent.len()))
}

fn deliver_until(
    worker: usize,
    is_over: &AtomicBool,
    deliveries: &AtomicUsize,
) -> Outcome<Vec<Message>> {
    let mut random = Random::new(worker as u64 + 1);
    let family = if worker.is_multiple_of(2) { Family::V4 } else { Family::V6 };
    let mut sent = Vec::new();
    for connection in 0.. {
        if is_over.load(Ordering::Relaxed) {
            break;
        }
        let mut session = Session::greeted(family.server(), PATIENCE)?;
        for number in 0..MESSAGES_PER_CONNECTION {
            session.expect(Pace::Whole, "VRFY root", 500)?;
            let bound = if random.below(4) == 0 { 400_000 } else { 3_000 };
            let size = random.below(bound);
            let name = format!("w{worker}c{connection}n{number}");
            let message = Message::mixed(&name, size, &mut random);
            let pace = if size < 2_000 { Pace::Pieces(7) } else { Pace::Whole };
            session.deliver(pace, &message).because(&name)?;
            deliveries.fetch_add(1, Ordering::Relaxed);
            sent.push(message);
        }
        session.quit()?;
    }
    Ok(sent)
}

fn is_full() -> bool {
    std::env::var("LIFE").as_deref() == Ok("full")
}

/// What a manager keeps of a filter with one queue.
const KEPT: [&str; 3] = ["flows", "image", "queue-0"];

/// Text of a packet that kills.
const DEADLY: &str = "die-of-this";

/// Connections at a time.
const SENDERS: usize = 6;

const MESSAGES_PER_CONNECTION: usize = 3;

/// From one change to the next.
const INTERVAL: Duration = Duration::from_secs(1);

/// How long a connection is tried that nobody may answer.
const DEAD: Duration = Duration::from_secs(1);

/// The usual control socket.
const CONTROL: &str = "/run/mailguard/control";

/// The kernel's queues.
const LISTING: &str = "/proc/net/netfilter/nfnetlink_queue";
