//! The loop of one queue's thread: receive, judge, answer, hand on what else came of it.
//!
//! Nothing here waits for anything but the next packet. A panic that the engine did not contain
//! costs the packet that met it, and no more.

use std::io;
use std::ops::ControlFlow;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};

use super::clock::Clock;
use super::events::Events;
use super::inject::Injector;
use super::probation::Probation;
use super::running::Reloads;
use crate::config::{Backend, Rules};
use crate::engine::{Effects, Engine, Handling, Verdict};
use crate::front::FrontError;
use crate::front::nfqueue::{Faults, Held, KernelQueue, Marking, Received};
use crate::time::Instant;

/// What all queue threads share.
#[derive(Debug)]
pub(super) struct Shared<'a> {
    /// The filter.
    pub(super) engine: &'a Engine,
    /// What dates packets.
    pub(super) clock: Clock,
    /// When it was started.
    pub(super) started: Instant,
    /// How often the configuration was read anew.
    pub(super) reloads: Reloads,
    /// What sends RSTs.
    pub(super) injector: Injector,
    /// Where records go.
    pub(super) events: &'a Events,
    /// The marks by which the packet filter's rules know what we decided.
    pub(super) marks: Marks,
    /// What went wrong with the kernel.
    pub(super) faults: &'a Faults,
    /// Whether a queue is served by our own messages, as each is that was taken over.
    pub(super) has_netlink: AtomicBool,
    /// How often judging a packet panicked and the engine did not contain it.
    pub(super) panics: AtomicU64,
    /// What is watched after a death.
    pub(super) probation: Probation,
    /// Packets dropped because their connection has killed.
    pub(super) blocked: AtomicU64,
    /// Text of a packet that kills, where a test wants one: none in a release.
    pub(super) deadly: Option<String>,
    /// Counts how often the threads of the queues were asked whether they are alive; [`END`]: it is
    /// time to end.
    pub(super) asked: AtomicU32,
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
    /// Serves a queue until the end; whoever says that it has come wakes this up.
    pub(super) fn serve(
        &self,
        queue: &mut KernelQueue<'_>,
        effects: &mut Effects,
        alive: &AtomicU32,
    ) -> Result<(), FrontError> {
        let number = queue.number();
        let failed = |error| FrontError::io(format!("cannot receive from queue {number}"), error);
        let act = |act| match act {
            Act::Take => self.take(queue, effects),
            Act::Wait => queue.wait().map(|()| true),
        };
        until_the_end(&self.asked, alive, act).map_err(failed)?;
        // What has been read is judged yet: nobody will be asked about it again.
        queue.read_no_more();
        while self.take(queue, effects).map_err(failed)? {}
        queue.finish();
        Ok(())
    }

    /// Takes a packet, if one is at hand; false: nothing is.
    fn take(&self, queue: &mut KernelQueue<'_>, effects: &mut Effects) -> io::Result<bool> {
        match queue.receive() {
            Received::Packet(held) => self.judge(held, effects)?,
            Received::Counted => {}
            Received::Nothing => return Ok(false),
            Received::Broken(error) => return Err(error),
        }
        // What was accepted before a RST is to come before it, or is lost to whom it reaches.
        if !effects.resets.is_empty() {
            queue.finish();
        }
        self.deliver(effects);
        Ok(true)
    }

    /// Answers a packet; what else came of it is in the effects.
    fn judge(&self, held: Held<'_, '_>, effects: &mut Effects) -> io::Result<()> {
        let now = self.clock.now();
        let arrival = held.arrival();
        let thread = self.probation.is_on(now).then(|| held.queue_number());
        if thread.is_some_and(|thread| !self.probation.admit(thread, arrival.bytes, now)) {
            self.blocked.fetch_add(1, Ordering::Relaxed);
            return Ok(());
        }
        self.die_of(arrival.bytes)?;
        // The engine's locks do not poison, and what it left in the effects is thrown away.
        let judged = catch_unwind(AssertUnwindSafe(|| self.engine.handle(now, &arrival, effects)));
        if let Some(thread) = thread {
            self.probation.dismiss(thread, now);
        }
        let Ok(verdict) = judged else {
            self.count_panic(effects);
            return Ok(());
        };
        let marking = self.marks.of(effects.handling);
        match verdict {
            Verdict::Accept => held.accept(marking),
            Verdict::Rewrite => held.rewrite(&effects.rewritten, marking),
            Verdict::Drop(_) => drop(held),
        }
        Ok(())
    }

    /// Dies as of a fault that nothing contains, of a packet that a test has named; where the text
    /// is a question, as of a queue that cannot be read any more.
    fn die_of(&self, packet: &[u8]) -> io::Result<()> {
        let Some(text) = self.deadly.as_deref().map(str::as_bytes) else { return Ok(()) };
        let place = packet.windows(text.len()).position(|window| window == text);
        match place.map(|place| packet.get(place + text.len())) {
            None => Ok(()),
            Some(Some(b'?')) => Err(io::Error::other("a test asks for this")),
            Some(_) => std::process::abort(),
        }
    }

    /// Resets flows that a process before us was judging at two deaths.
    pub(super) fn reset_blocked(&self, effects: &mut Effects) {
        let now = self.clock.now();
        let mut blocked = Vec::new();
        self.engine.flows(now, |seen| {
            if self.probation.blocks(seen.client, seen.server) {
                blocked.push(seen);
            }
            ControlFlow::Continue(())
        });
        for seen in blocked {
            log::error!(
                "the filter died twice over connection {} of {} with {}: it is reset, and nothing \
                 of it is judged any more",
                seen.id,
                seen.client,
                seen.server
            );
            self.engine.kill(seen.id, now, effects);
            self.deliver(effects);
        }
    }

    /// Forgets silent flows. A panic here must not end the filter either.
    pub(super) fn expire(&self, effects: &mut Effects) {
        let now = self.clock.now();
        match catch_unwind(AssertUnwindSafe(|| self.engine.expire(now, effects))) {
            Ok(()) => self.deliver(effects),
            Err(_) => self.count_panic(effects),
        }
    }

    /// What talks to the kernel, whatever the configuration says.
    pub(super) fn backend(&self) -> Backend {
        if self.has_netlink.load(Ordering::Relaxed) { Backend::Netlink } else { Backend::Nfq }
    }

    fn count_panic(&self, effects: &mut Effects) {
        effects.clear();
        self.panics.fetch_add(1, Ordering::Relaxed);
    }

    /// Hands on what came of a packet.
    pub(super) fn deliver(&self, effects: &mut Effects) {
        for packet in effects.resets.drain(..) {
            self.injector.send(&packet);
        }
        self.events.push(effects.records.drain(..));
    }
}

/// What a thread of a queue does at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Act {
    /// Takes a packet; false: none is at hand.
    Take,
    /// Waits for one, or to be woken.
    Wait,
}

/// Acts until it is time to end, and answers what is asked meanwhile.
fn until_the_end(
    asked: &AtomicU32,
    alive: &AtomicU32,
    mut act: impl FnMut(Act) -> io::Result<bool>,
) -> io::Result<()> {
    let mut heard = 0;
    loop {
        let now = asked.load(Ordering::Acquire);
        if now == END {
            return Ok(());
        }
        if now != heard {
            heard = now;
            alive.store(now, Ordering::Relaxed);
        }
        // What wakes us lies in the socket: a take that read it has left nothing to wake us again.
        if !act(Act::Take)? && asked.load(Ordering::Acquire) == now {
            act(Act::Wait)?;
        }
    }
}

/// In builds for debugging alone: text of a packet that is to kill, as a test asks for.
pub(super) fn deadly() -> Option<String> {
    std::env::var("MAILGUARD_DIES_OF").ok().filter(|_| cfg!(debug_assertions))
}

/// Asked so, threads of queues end.
pub(super) const END: u32 = u32::MAX;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_is_asked_while_nothing_is_at_hand_does_not_wait() {
        let (asked, alive) = (AtomicU32::new(0), AtomicU32::new(0));
        let mut acts = Vec::new();
        let mut questions = [1, 1, 2, END].into_iter();
        let acted = until_the_end(&asked, &alive, |act| {
            acts.push(act);
            match act {
                // It reads what was to wake it.
                Act::Take => asked.store(questions.next().unwrap(), Ordering::Release),
                Act::Wait => {}
            }
            Ok(act == Act::Wait)
        });
        acted.unwrap();
        assert_eq!(acts, [Act::Take, Act::Take, Act::Wait, Act::Take, Act::Take]);
        assert_eq!(alive.load(Ordering::Relaxed), 2);
    }
}
