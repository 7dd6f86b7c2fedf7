//! The event log of a running filter: a bounded channel and the thread that writes from it.
//!
//! Whoever handles packets only ever tries to hand a record over; what does not fit, or cannot be
//! written, is counted. Nothing here makes a packet wait for a disk or a reader, and nothing makes
//! the end of the program wait for long.

use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::thread;
use std::time::{Duration, Instant};

use super::bound::Bound;
use super::clock::{Clock, Dates};
use super::target::{Target, Unwritten};
use crate::config::Log;
use crate::engine::Record;
use crate::event::{Scribe, Zone};
use crate::flow::Keyed;
use crate::front::FrontError;
use crate::front::control::Backlog;

/// The end of the channel that takes records.
#[derive(Debug)]
pub(super) struct Events {
    /// None where no log is wanted.
    sender: Option<SyncSender<Entry>>,
    shared: Arc<Shared>,
}

/// What both ends of the channel know.
#[derive(Debug, Default)]
struct Shared {
    is_reopening: AtomicBool,
    is_ending: AtomicBool,
    /// Records the channel took.
    taken: AtomicU64,
    /// Those of which it is known what became of them.
    settled: AtomicU64,
    lost: AtomicU64,
    left_out: AtomicU64,
    /// Whether the last write failed.
    is_failing: AtomicBool,
    /// Whether it could not be opened anew when that was asked for last.
    is_outdated: AtomicBool,
    /// What was written last.
    backlog: Backlog,
}

/// The end of the channel that writes them.
#[derive(Debug)]
pub(super) struct Writer {
    receiver: Receiver<Entry>,
    shared: Arc<Shared>,
    target: Target,
    scribe: Scribe,
    start: Instant,
    /// Which dates entries have; none: those of their own clock.
    dates: Option<Dates>,
    bound: Bound,
    /// Entries left out that the log does not know of yet, and when the last of them was made.
    unsaid: Option<(u64, crate::time::Instant)>,
    /// When entries left out were last spoken of.
    said: Duration,
    /// What is to be written at once.
    text: Vec<u8>,
    /// How many records that is.
    records: u64,
}

/// Tells when the writer has written everything.
#[derive(Debug)]
pub(super) struct Finished(Receiver<()>);

#[derive(Debug)]
enum Entry {
    Record(Record),
    /// Wakes the writer up, nothing else.
    Wake,
}

impl Events {
    /// A channel to a log, and its writer, which wants to be started.
    pub(super) fn open(log: &Log) -> Result<(Self, Option<Writer>), FrontError> {
        let Some(destination) = log.destination() else {
            return Ok((Self { sender: None, shared: Arc::default() }, None));
        };
        let target = Target::find(destination, log.format)?;
        let (sender, receiver) = sync_channel(PENDING_MAX);
        let events = Self { sender: Some(sender), shared: Arc::default() };
        #[expect(clippy::disallowed_methods, reason = "this front owns the clock")]
        let writer = Writer {
            receiver,
            shared: Arc::clone(&events.shared),
            target,
            scribe: Scribe::new(log.format, Zone::Local),
            start: Instant::now(),
            dates: None,
            bound: Bound::new(log.bytes_per_second, Keyed::new(RandomState::new().hash_one(0))),
            unsaid: None,
            said: Duration::ZERO,
            text: Vec::new(),
            records: 0,
        };
        Ok((events, Some(writer)))
    }

    /// Whether anybody reads what is pushed.
    pub(super) const fn are_heard(&self) -> bool {
        self.sender.is_some()
    }

    /// Hands records over; never waits.
    pub(super) fn push(&self, records: impl Iterator<Item = Record>) {
        let Some(sender) = &self.sender else { return };
        for record in records {
            let is_taken = sender.try_send(Entry::Record(record)).is_ok();
            let counter = if is_taken { &self.shared.taken } else { &self.shared.lost };
            counter.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Waits until what was pushed is written, if that does not take long.
    pub(super) fn settle(&self) {
        self.wake();
        for _ in 0..SETTLING_LOOKS {
            let settled = self.shared.settled.load(Ordering::Relaxed);
            if settled >= self.shared.taken.load(Ordering::Relaxed) {
                return;
            }
            thread::sleep(SETTLING);
        }
    }

    /// Asks the writer to open its file anew, for whoever rotates it.
    pub(super) fn reopen(&self) {
        self.shared.is_reopening.store(true, Ordering::Relaxed);
        self.wake();
    }

    /// Tells the writer that nothing more will come, and waits until it has written everything;
    /// not for long, since a reader that takes nothing must not keep the program from its end.
    pub(super) fn end(&self, finished: &Finished) {
        self.shared.is_ending.store(true, Ordering::SeqCst);
        self.wake();
        if finished.0.recv_timeout(END_WAIT) == Err(RecvTimeoutError::Timeout) {
            log::warn!("the event log takes nothing: what waits for it is given up");
        }
        let taken = self.shared.taken.load(Ordering::Relaxed);
        let unsettled = taken.saturating_sub(self.shared.settled.load(Ordering::Relaxed));
        self.shared.lost.fetch_add(unsettled, Ordering::Relaxed);
    }

    fn wake(&self) {
        if let Some(sender) = &self.sender {
            // A full channel has its writer awake.
            let _ = sender.try_send(Entry::Wake);
        }
    }

    /// What was written last.
    pub(super) fn backlog(&self) -> &Backlog {
        &self.shared.backlog
    }

    /// Records that were not written.
    pub(super) fn lost(&self) -> u64 {
        self.shared.lost.load(Ordering::Relaxed)
    }

    /// Records left out because the log would have grown too fast.
    pub(super) fn left_out(&self) -> u64 {
        self.shared.left_out.load(Ordering::Relaxed)
    }

    /// What is wrong with the log now.
    pub(super) fn trouble(&self) -> Option<&'static str> {
        if self.shared.is_failing.load(Ordering::Relaxed) {
            Some("it cannot be written, and entries are lost")
        } else if self.shared.is_outdated.load(Ordering::Relaxed) {
            Some("it could not be opened anew, and the old one is written to")
        } else {
            None
        }
    }
}

impl Writer {
    /// Has entries dated by the wall clock, whatever the clock shows that they were made by.
    pub(super) fn dated(self, clock: Clock) -> Self {
        Self { dates: Some(Dates::new(clock)), ..self }
    }

    /// Writes from a thread of its own, which may be left behind when the program ends.
    pub(super) fn start(self) -> Result<Finished, FrontError> {
        let (sender, receiver) = sync_channel(1);
        let work = move || {
            self.write_all();
            drop(sender);
        };
        thread::Builder::new()
            .name("events".to_owned())
            .spawn(work)
            .map_err(|error| FrontError::io("cannot start a thread", error))?;
        Ok(Finished(receiver))
    }

    fn write_all(mut self) {
        loop {
            let patience = if self.unsaid.is_some() { SAYING } else { Duration::MAX };
            let first = match self.receiver.recv_timeout(patience) {
                // Whoever sends to a channel that nobody waits at need not wake anybody.
                Ok(first) => {
                    thread::sleep(GATHERING);
                    Some(first)
                }
                Err(RecvTimeoutError::Timeout) => None,
                Err(RecvTimeoutError::Disconnected) => return,
            };
            self.look_at_clocks();
            self.write_while_there_is(first);
            let is_ending = self.shared.is_ending.load(Ordering::SeqCst);
            if is_ending {
                // Nothing is sent after it is set; what came just before may be there.
                self.write_while_there_is(self.receiver.try_recv().ok());
            }
            self.say_what_is_left_out(is_ending);
            self.flush();
            if is_ending {
                return;
            }
        }
    }

    fn write_while_there_is(&mut self, mut next: Option<Entry>) {
        while let Some(entry) = next {
            if let Entry::Record(mut record) = entry {
                record.at = self.dates.map_or(record.at, |dates| dates.of(record.at));
                self.write(&record);
            }
            next = self.receiver.try_recv().ok();
        }
    }

    /// How much may be written since, and which date it has.
    fn look_at_clocks(&mut self) {
        self.bound.refill(self.start.elapsed());
        if let Some(dates) = &mut self.dates {
            dates.look();
        }
    }

    fn write(&mut self, record: &Record) {
        let start = self.text.len();
        self.scribe.write(record, &mut self.text);
        if self.text.len() == start {
            // This form has no words for it, so nothing of it is lost or left out.
            self.shared.settled.fetch_add(1, Ordering::Relaxed);
            return;
        }
        if !self.bound.take(record.originator.address, self.text.len() - start) {
            self.text.truncate(start);
            self.shared.left_out.fetch_add(1, Ordering::Relaxed);
            self.shared.settled.fetch_add(1, Ordering::Relaxed);
            let before = self.unsaid.map_or(0, |(count, _)| count);
            self.unsaid = Some((before + 1, record.at));
            if (before + 1).is_multiple_of(LEFT_OUT_LOOK) {
                // More may be coming for as long as anybody likes.
                self.look_up();
            }
            return;
        }
        self.records += 1;
        self.target.take(record);
        if self.text.len() >= WRITE_BYTES {
            self.look_up();
        }
    }

    /// Writes what was gathered, and sees what time it is.
    fn look_up(&mut self) {
        self.flush();
        self.look_at_clocks();
        self.say_what_is_left_out(false);
    }

    /// A line about entries left out, once a second.
    fn say_what_is_left_out(&mut self, is_ending: bool) {
        let now = self.start.elapsed();
        if !is_ending && now.saturating_sub(self.said) < SAYING {
            return;
        }
        if let Some((count, at)) = self.unsaid.take() {
            self.said = now;
            self.scribe.write_left_out(at, count, &mut self.text);
            self.target.take_left_out(at, count);
        }
    }

    fn flush(&mut self) {
        self.shared.backlog.add(&self.text);
        match self.target.write(&self.text) {
            Ok(()) if self.text.is_empty() => {}
            Ok(()) => {
                if self.shared.is_failing.swap(false, Ordering::Relaxed) {
                    log::info!("events are written again");
                }
            }
            Err(Unwritten { entries, error }) => {
                let lost = entries.unwrap_or(self.records);
                self.shared.lost.fetch_add(lost, Ordering::Relaxed);
                if !self.shared.is_failing.swap(true, Ordering::Relaxed) {
                    log::warn!("cannot write events: {error}");
                }
            }
        }
        self.shared.settled.fetch_add(self.records, Ordering::Relaxed);
        self.text.clear();
        self.records = 0;
        if self.shared.is_reopening.swap(false, Ordering::Relaxed) {
            self.reopen();
        }
    }

    fn reopen(&mut self) {
        let Some(reopened) = self.target.reopened() else { return };
        self.shared.is_outdated.store(reopened.is_err(), Ordering::Relaxed);
        match reopened {
            Ok(target) => self.target = target,
            Err(error) => {
                log::warn!("cannot open the event log anew, writing to the old one: {error}");
            }
        }
    }
}

/// Records that may wait for the writer: at most 36 MiB, if all are of the longest.
const PENDING_MAX: usize = 16_384;

/// How long the first record of a batch waits for others. Longer saves little; at this, the channel
/// takes three million a second.
const GATHERING: Duration = Duration::from_millis(5);

/// Bytes gathered for one write.
const WRITE_BYTES: usize = 64 << 10;

/// Entries left out, a millisecond's work or two, before it is seen what time it is.
const LEFT_OUT_LOOK: u64 = 1_024;

/// How often at most the log speaks of entries left out.
const SAYING: Duration = Duration::from_secs(1);

/// How often, and after how much time each, it is looked whether everything is written while
/// packets wait.
const SETTLING_LOOKS: usize = 200;
const SETTLING: Duration = Duration::from_millis(1);

/// How long the end of the program waits for the log: a reader that is alive takes all that can
/// wait in this time, and a service manager's patience is longer by far.
const END_WAIT: Duration = Duration::from_secs(2);

#[cfg(test)]
mod tests;
