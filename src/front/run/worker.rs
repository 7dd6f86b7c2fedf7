//! The loop of one queue's thread: receive, judge, answer, hand on what else came of it.
//!
//! Nothing here waits for anything but the next packet. A panic that the engine did not contain
//! costs the packet that met it, and no more.

use std::os::fd::AsFd;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;

use super::clock::Clock;
use super::events::Events;
use super::inject::Injector;
use crate::config::Rules;
use crate::engine::{Effects, Engine, Handling, Verdict};
use crate::front::FrontError;
use crate::front::nfqueue::{Faults, Held, KernelQueue, Marking, Received};

/// What all queue threads share.
#[derive(Debug)]
pub(super) struct Shared<'a> {
    /// The filter.
    pub(super) engine: &'a Engine,
    /// What dates packets.
    pub(super) clock: Clock,
    /// What sends RSTs.
    pub(super) injector: Injector,
    /// Where records go.
    pub(super) events: &'a Events,
    /// The marks by which the packet filter's rules know what we decided.
    pub(super) marks: Marks,
    /// What went wrong with the kernel.
    pub(super) faults: &'a Faults,
    /// Packets dropped because judging them panicked.
    pub(super) panics: AtomicU64,
    /// Whether it is time to end.
    pub(super) is_ending: AtomicBool,
}

/// Mark bits that the packet filter's rules know.
#[derive(Clone, Copy, Debug)]
pub(super) struct Marks {
    /// A packet says what becomes of its connection's mark.
    said: u32,
    /// The connection needs no filter.
    offload: u32,
}

impl Marks {
    pub(super) const fn new(rules: &Rules) -> Self {
        Self { said: rules.mark, offload: rules.offload_mark }
    }

    /// What a packet has to carry. Without the first bit the rules leave the connection alone, so
    /// the second can be taken back as well as given.
    const fn of(self, handling: Handling) -> Option<Marking> {
        let Self { said, offload } = self;
        match handling {
            Handling::Unchanged => None,
            Handling::HandedOver => Some(Marking { set: said | offload, clear: 0 }),
            Handling::TakenBack => Some(Marking { set: said, clear: offload }),
        }
    }
}

impl Shared<'_> {
    /// Serves a queue until the end; `wake` is readable or hung up when that comes.
    pub(super) fn serve(
        &self,
        queue: &mut KernelQueue<'_>,
        wake: &impl AsFd,
    ) -> Result<(), FrontError> {
        let mut effects = Effects::default();
        while !self.is_ending.load(Ordering::Relaxed) {
            let number = queue.number();
            let is_idle = match queue.receive() {
                Received::Packet(held) => {
                    self.judge(held, &mut effects);
                    false
                }
                Received::Counted => false,
                Received::Nothing => true,
                Received::Broken(error) => {
                    return Err(FrontError::io(
                        format!("cannot receive from queue {number}"),
                        error,
                    ));
                }
            };
            if is_idle {
                wait_for_either(&queue.readiness(), wake)?;
            }
        }
        queue.settle();
        Ok(())
    }

    fn judge(&self, held: Held<'_, '_>, effects: &mut Effects) {
        let Some(arrival) = held.arrival() else { return };
        let now = self.clock.now();
        // The engine's locks do not poison, and its effects are thrown away below.
        let judged = catch_unwind(AssertUnwindSafe(|| self.engine.handle(now, &arrival, effects)));
        let Ok(verdict) = judged else {
            *effects = Effects::default();
            self.panics.fetch_add(1, Ordering::Relaxed);
            return;
        };
        let marking = self.marks.of(effects.handling);
        match verdict {
            Verdict::Accept => held.accept(marking),
            Verdict::Rewrite => held.rewrite(std::mem::take(&mut effects.rewritten), marking),
            Verdict::Drop(_) => drop(held),
        }
        self.deliver(effects);
    }

    /// Forgets silent flows. A panic here must not end the filter either.
    pub(super) fn expire(&self, effects: &mut Effects) {
        let now = self.clock.now();
        if catch_unwind(AssertUnwindSafe(|| self.engine.expire(now, effects))).is_err() {
            *effects = Effects::default();
            self.panics.fetch_add(1, Ordering::Relaxed);
        }
        self.deliver(effects);
    }

    fn deliver(&self, effects: &mut Effects) {
        for packet in effects.resets.drain(..) {
            self.injector.send(&packet);
        }
        self.events.push(effects.records.drain(..));
    }
}

fn wait_for_either(one: &impl AsFd, other: &impl AsFd) -> Result<(), FrontError> {
    let mut both = [PollFd::new(one, PollFlags::IN), PollFd::new(other, PollFlags::IN)];
    match poll(&mut both, None) {
        Ok(_) | Err(Errno::INTR) => Ok(()),
        Err(error) => Err(FrontError::io("cannot wait for packets", error)),
    }
}
