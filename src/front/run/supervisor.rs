//! The main thread of a running filter: once a second it lets silent flows expire and says what
//! the other threads and the kernel counted; it waits for signals in between, and reads the
//! configuration anew when asked to.

use std::collections::BTreeMap;
use std::sync::mpsc::{Receiver, sync_channel};
use std::thread;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::counters::{COUNTERS, Told};
use super::reign::QUEUE_THREAD;
use super::reload::reload;
use super::running::Running;
use super::signals::Signals;
use super::succession::{Door, Successor};
use super::worker::Shared;
use super::{Reread, Start};
use crate::engine::{Effects, Reason};
use crate::front::nfqueue::listing::{self, Entry};
use crate::time::Instant;

/// Why the threads of the queues are to end.
pub(super) enum Wish {
    /// The program is to end.
    End,
    /// Another process is to go on.
    HandOver(Successor),
}

/// Watches over the threads of the queues.
pub(super) struct Supervisor<'a> {
    running: &'a Running<'a>,
    reread: &'a Reread<'a>,
    shared: &'a Shared<'a>,
    signals: &'a Signals,
    panics: &'a Receiver<String>,
    told: Told,
    drops: BTreeMap<Reason, u64>,
    ticks: u64,
    kernel_drops: KernelDrops,
    is_listing_readable: bool,
}

impl<'a> Supervisor<'a> {
    pub(super) fn new(
        running: &'a Running<'a>,
        reread: &'a Reread<'a>,
        shared: &'a Shared<'a>,
        signals: &'a Signals,
        panics: &'a Receiver<String>,
        start: Start,
    ) -> Self {
        Self {
            running,
            reread,
            shared,
            signals,
            panics,
            told: Told::of(shared),
            drops: shared.engine.stats().drops,
            ticks: 0,
            kernel_drops: match start {
                Start::Fresh => KernelDrops::default(),
                // The queues keep their counters, and who had them has told those.
                Start::TakeOver => KernelDrops { told: listing::read().ok() },
            },
            is_listing_readable: true,
        }
    }

    /// Returns when the threads of the queues are to end. `attend` is called once a second.
    pub(super) fn watch(
        &mut self,
        door: &Door,
        effects: &mut Effects,
        mut attend: impl FnMut(),
    ) -> Wish {
        let mut due = Instant::default();
        while !self.signals.is_asked_to_end() {
            let now = self.shared.clock.now();
            // Not each time that somebody knocks at the door.
            if now >= due {
                due = Instant::from_micros(now.micros().saturating_add(TICK_MICROS));
                attend();
                self.shared.expire(effects);
                self.tell();
            }
            let wait = Duration::from_micros(due.micros().saturating_sub(now.micros()));
            let wait = Timespec::try_from(wait).ok();
            let signal = self.signals.readiness();
            let ready = [Some(signal), door.readiness()].into_iter().flatten();
            let ready = ready.map(|one| PollFd::from_borrowed_fd(one, PollFlags::IN));
            let mut ready: Vec<_> = ready.collect();
            // An error is an interruption, and the loop looks at everything anyway.
            let _ = poll(&mut ready, wait.as_ref());
            self.signals.rearm();
            if let Some(successor) = door.answer() {
                self.tell();
                return Wish::HandOver(successor);
            }
            if self.signals.is_asked_to_reload() {
                log::info!("reading the configuration and opening the event log anew");
                // The log is told how it went.
                let _ = reload(self.running, self.reread, self.shared);
            }
            if self.signals.is_asked_to_reopen() {
                log::info!("opening the event log anew");
                self.shared.events.reopen();
            }
        }
        self.tell();
        Wish::End
    }

    fn tell(&mut self) {
        for panic in self.panics.try_iter() {
            log::error!("{panic}; the packet could not be judged");
        }
        for line in self.told.news(self.shared) {
            log::warn!("{line}");
        }
        self.tell_drops();
        self.tell_kernel_drops();
    }

    /// Says for which reasons packets are dropped: a new one at once, the known ones now and then.
    fn tell_drops(&mut self) {
        self.ticks += 1;
        let is_time = self.ticks.is_multiple_of(TICKS_BETWEEN_DROPS);
        let dropped = self.running.dropped();
        for (reason, count) in self.shared.engine.stats().drops {
            let told = self.drops.entry(reason).or_default();
            if count > *told && (*told == 0 || is_time) {
                log::info!("{dropped} {} packets: {reason}", count - *told);
                *told = count;
            }
        }
    }

    fn tell_kernel_drops(&mut self) {
        match listing::read() {
            Ok(entries) => {
                let queue = self.running.config().queue;
                let served = queue.first..=queue.last;
                let entries = entries.into_iter().filter(|entry| served.contains(&entry.number));
                self.kernel_drops.news(entries.collect()).iter().for_each(|line| {
                    log::warn!("{line}");
                });
            }
            Err(error) => {
                if std::mem::replace(&mut self.is_listing_readable, false) {
                    log::warn!("what the kernel drops is not known: {}: {error}", listing::PATH);
                }
            }
        }
    }
}

/// What was told of the packets that the kernel drops; none before the first time.
#[derive(Default)]
struct KernelDrops {
    told: Option<Vec<Entry>>,
}

impl KernelDrops {
    /// A line for each queue and reason for which there are more.
    fn news(&mut self, now: Vec<Entry>) -> Vec<String> {
        let mut lines = Vec::new();
        // A manager may have kept a queue from before, also while nobody read it.
        let since = if self.told.is_none() { " since it was opened" } else { "" };
        let told = self.told.take().unwrap_or_default();
        for entry in &now {
            let number = entry.number;
            let before = told.iter().find(|before| before.number == number);
            let before = before.copied().unwrap_or_default();
            for (count, what) in [
                (entry.queue_dropped.saturating_sub(before.queue_dropped), "queue"),
                (entry.user_dropped.saturating_sub(before.user_dropped), "socket buffer"),
            ] {
                if count > 0 {
                    let dropped = format!("the kernel dropped {count} packets");
                    lines.push(format!("queue {number}: {dropped}{since}, the {what} was full"));
                }
            }
        }
        self.told = Some(now);
        lines
    }
}

/// Says in a few lines what the run came to.
pub(super) fn summarise(shared: &Shared<'_>, running: &Running<'_>) {
    let stats = shared.engine.stats();
    for counter in stats.counters().iter().filter(|counter| counter.value > 0) {
        log::info!("{}: {} ({})", counter.name, counter.value, counter.help);
    }
    for (reason, count) in &stats.drops {
        log::info!("{} {count}: {reason}", running.dropped());
    }
    for (reason, count) in &stats.withheld {
        log::info!("{} {count}: {reason}", running.held_back());
    }
    for counter in COUNTERS {
        let value = (counter.value)(shared);
        if value > 0 {
            log::info!("{}: {value} {}", counter.name, counter.help);
        }
    }
}

/// Has what panicking queue threads say brought to the supervisor, which may wait for a terminal
/// or a pipe; other threads' goes where it always went.
pub(super) fn catch_panics() -> Receiver<String> {
    let (sender, receiver) = sync_channel(PANICS_MAX);
    let usual = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        let current = thread::current();
        if current.name().is_some_and(|name| name.starts_with(QUEUE_THREAD)) {
            let _ = sender.try_send(panic.to_string().replace('\n', " "));
        } else {
            usual(panic);
        }
    }));
    receiver
}

/// How often silent flows are looked for.
const TICK_MICROS: u64 = 1_000_000;

/// Drops are the daily bread of a filter: a line a minute for each reason is enough.
const TICKS_BETWEEN_DROPS: u64 = 60;

/// Panics told in one tick; all are counted.
const PANICS_MAX: usize = 16;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn drops_of_the_kernel_are_told_once() {
        let entry = |number, queue_dropped, user_dropped| Entry {
            number,
            queue_dropped,
            user_dropped,
            ..Entry::default()
        };
        let mut drops = KernelDrops { told: Some(vec![entry(0, 7, 7)]) };
        assert_eq!(drops.news(vec![entry(0, 7, 7)]), [""; 0]);
        let kept = KernelDrops::default().news(vec![entry(0, 7, 0)]);
        let since = "queue 0: the kernel dropped 7 packets since it was opened, the queue was full";
        assert_eq!(kept, [since]);
        let full = "queue 0: the kernel dropped 2 packets, the queue was full";
        let unread = "queue 1: the kernel dropped 3 packets, the socket buffer was full";
        let now = vec![entry(0, 9, 7), entry(1, 0, 3)];
        assert_eq!(drops.news(now.clone()), [full, unread]);
        assert_eq!(drops.news(now), [""; 0]);
    }
}
