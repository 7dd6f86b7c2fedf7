//! The main thread of a running filter: once a second it lets silent flows expire and says what
//! the other threads and the kernel counted; it waits for signals in between, and reads the
//! configuration anew when asked to.

use std::cell::Cell;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, sync_channel};
use std::thread;

use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::Reread;
use super::signals::Signals;
use super::worker::Shared;
use crate::config::Config;
use crate::engine::Effects;
use crate::front::nfqueue::listing::{self, Entry};

/// Watches over the threads of the queues.
pub(super) struct Supervisor<'a> {
    /// What was configured at the start.
    config: &'a Config,
    reread: &'a Reread<'a>,
    shared: &'a Shared<'a>,
    signals: &'a Signals,
    panics: &'a Receiver<String>,
    counters: Vec<Counter<'a>>,
    dropped: Vec<Entry>,
}

/// A counter that is news when it grows.
struct Counter<'a> {
    what: &'static str,
    value: Box<dyn Fn() -> u64 + 'a>,
    told: Cell<u64>,
}

impl<'a> Supervisor<'a> {
    pub(super) fn new(
        config: &'a Config,
        reread: &'a Reread<'a>,
        shared: &'a Shared<'a>,
        signals: &'a Signals,
        panics: &'a Receiver<String>,
    ) -> Self {
        let counters = counters(shared);
        Self { config, reread, shared, signals, panics, counters, dropped: Vec::new() }
    }

    /// Returns when the program is to end.
    pub(super) fn watch(mut self) {
        let mut effects = Effects::default();
        while !self.signals.is_asked_to_end() {
            let readiness = self.signals.readiness();
            let mut signal = [PollFd::new(&readiness, PollFlags::IN)];
            // An error is an interruption, and the loop looks at everything anyway.
            let _ = poll(&mut signal, Some(&TICK));
            self.signals.rearm();
            if self.signals.is_asked_to_reload() {
                log::info!("reading the configuration and opening the event log anew");
                self.shared.events.reopen();
                self.reload();
            }
            self.shared.expire(&mut effects);
            self.tell();
        }
        self.tell();
    }

    /// Takes what a running filter can take of the configuration: all of it, or none.
    fn reload(&self) {
        let new = match (self.reread)() {
            Ok(new) => new,
            Err(error) => return log::error!("the old configuration stays in force: {error}"),
        };
        let old = self.config;
        let fixed = [
            ("ports", old.engine.ports != new.engine.ports),
            ("[limits]", old.engine.limits != new.engine.limits),
            ("[queue]", old.queue != new.queue),
            ("[rules]", old.rules != new.rules),
            ("[log]", old.log != new.log),
        ];
        for (what, _) in fixed.iter().filter(|(_, is_changed)| *is_changed) {
            log::warn!("{what} was changed: that takes effect at the next start");
        }
        self.shared.engine.reload(&new.engine);
        log::info!("new connections: profile {}", new.profile);
        super::announce_monitoring(&new);
    }

    fn tell(&mut self) {
        for panic in self.panics.try_iter() {
            log::error!("{panic}; the packet was dropped");
        }
        for counter in &self.counters {
            let value = (counter.value)();
            let grown = value.saturating_sub(counter.told.replace(value));
            if grown > 0 {
                log::warn!("{grown} {}", counter.what);
            }
        }
        self.tell_kernel_drops();
    }

    fn tell_kernel_drops(&mut self) {
        let Ok(entries) = listing::read() else { return };
        let served = self.config.queue.first..=self.config.queue.last;
        let now: Vec<Entry> =
            entries.into_iter().filter(|entry| served.contains(&entry.number)).collect();
        for entry in &now {
            let number = entry.number;
            let before = self.dropped.iter().find(|before| before.number == number);
            let before = before.copied().unwrap_or_default();
            let full = entry.queue_dropped.saturating_sub(before.queue_dropped);
            let unread = entry.user_dropped.saturating_sub(before.user_dropped);
            if full > 0 {
                log::warn!("queue {number}: the kernel dropped {full} packets, the queue was full");
            }
            if unread > 0 {
                log::warn!(
                    "queue {number}: the kernel dropped {unread} packets, the socket buffer was \
                     full"
                );
            }
        }
        self.dropped = now;
    }
}

fn counters<'a>(shared: &'a Shared<'a>) -> Vec<Counter<'a>> {
    let atomic = |what, counter: &'a AtomicU64| {
        let value: Box<dyn Fn() -> u64 + 'a> = Box::new(|| counter.load(Ordering::Relaxed));
        Counter { what, value, told: Cell::new(0) }
    };
    let call = |what, value: Box<dyn Fn() -> u64 + 'a>| Counter { what, value, told: Cell::new(0) };
    let faults = shared.faults;
    vec![
        atomic("answers came too late, their packets were gone", &faults.late),
        atomic("times the kernel lost packets for want of buffer", &faults.overruns),
        atomic("packets were too long to be delivered, and dropped", &faults.undelivered),
        atomic(
            "packets were longer than the queue can show, and dropped; set queue.gso = false",
            &faults.truncated,
        ),
        atomic("answers were refused by the kernel, their packets dropped", &faults.unanswered),
        atomic("packets were too long to be rewritten, and dropped", &faults.oversized),
        atomic("packets were dropped because judging them panicked", &shared.panics),
        call("events were not written", Box::new(|| shared.events.lost())),
        call("RSTs could not be sent", Box::new(|| shared.injector.failures())),
    ]
}

/// Says in a few lines what the run came to.
pub(super) fn summarise(shared: &Shared<'_>) {
    let stats = shared.engine.stats();
    log::info!(
        "{} packets: {} accepted, {} rewritten, {} dropped",
        stats.packets,
        stats.accepted,
        stats.rewritten,
        stats.drops.values().sum::<u64>()
    );
    log::info!(
        "{} flows, {} messages, {} commands passed, {} refused, {} bytes masked, {} resets, {} \
         alarms",
        stats.flows,
        stats.messages,
        stats.commands_passed,
        stats.commands_refused,
        stats.bytes_masked,
        stats.resets,
        stats.alarms
    );
    for (reason, count) in &stats.drops {
        log::info!("dropped {count}: {reason}");
    }
}

/// Has what panicking queue threads say brought to the supervisor, which may wait for a terminal
/// or a pipe; other threads' goes where it always went.
pub(super) fn catch_panics() -> Receiver<String> {
    let (sender, receiver) = sync_channel(PANICS_MAX);
    let usual = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        let current = thread::current();
        if current.name().is_some_and(|name| name.starts_with(super::QUEUE_THREAD)) {
            let _ = sender.try_send(panic.to_string().replace('\n', " "));
        } else {
            usual(panic);
        }
    }));
    receiver
}

/// How often silent flows are looked for.
const TICK: Timespec = Timespec { tv_sec: 1, tv_nsec: 0 };

/// Panics told in one tick; all are counted.
const PANICS_MAX: usize = 16;
