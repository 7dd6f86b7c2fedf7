//! From the first packet to the last: the threads of the queues, those who watch over them, and how
//! it ends.
//!
//! When another process is to go on, the threads stop, everything that was read is answered, and
//! packets wait in the kernel. If the other does not take them, the threads begin again.
//!
//! Who ends by a failure leaves as much as who was asked to. Only a panic leaves what a death does,
//! the diary alone: who follows may die of the same, and looks out for that.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;

use super::estate::Legacy;
use super::manager::Manager;
use super::signals::Signals;
use super::succession::{Door, Successor};
use super::supervisor::{Supervisor, Wish};
use super::worker::{END, Shared};
use crate::config::{Backend, Config};
use crate::engine::Effects;
use crate::front::FrontError;
use crate::front::nfqueue::{OpenQueue, Waker};

/// What all of it needs.
pub(super) struct Reign<'a> {
    pub(super) shared: &'a Shared<'a>,
    pub(super) signals: &'a Signals,
    pub(super) config: &'a Config,
}

impl Reign<'_> {
    /// Serves the queues until the end, and leaves what is known. Whether another process goes on.
    pub(super) fn until_the_end(
        &self,
        supervisor: Supervisor<'_>,
        legacy: &mut Legacy,
        door: Door,
        queues: Vec<OpenQueue>,
        effects: Effects,
    ) -> Result<bool, Failure> {
        let ended = self.serve_on(supervisor, legacy, door, queues, effects);
        if !matches!(ended, Ok(true)) {
            legacy.manager().tell("STOPPING=1");
        }
        match ended {
            Ok(true) => legacy.erase_diary(),
            Ok(false) | Err(Failure::Error(_)) => {
                legacy.leave(self.shared.engine, &self.shared.clock);
            }
            Err(Failure::Panic(_)) => {}
        }
        ended
    }

    /// Serves the queues, also when nobody has taken over.
    fn serve_on(
        &self,
        mut supervisor: Supervisor<'_>,
        legacy: &mut Legacy,
        mut door: Door,
        mut queues: Vec<OpenQueue>,
        mut effects: Effects,
    ) -> Result<bool, Failure> {
        loop {
            let sockets = queues.iter().map(|queue| Ok((queue.number(), queue.duplicate()?)));
            let sockets = sockets.collect::<Result<Vec<_>, FrontError>>()?;
            let manager = legacy.manager();
            let wish = self.serve(queues, |health| {
                manager.tell("READY=1");
                log::info!("ready");
                supervisor.watch(&door, &mut effects, || health.tell(manager))
            })?;
            let Wish::HandOver(successor) = wish else { return Ok(false) };
            match self.hand_over(successor, legacy, &mut door, &sockets) {
                Ok(()) => {
                    log::info!("another process goes on");
                    return Ok(true);
                }
                Err(error) => {
                    // By what it says the one after us would begin with what was true now.
                    legacy.erase_image();
                    log::warn!("going on, since nobody has taken over: {error}");
                }
            }
            let settings = &self.config.queue;
            let again = sockets.into_iter();
            let again = again.map(|(number, socket)| OpenQueue::adopt(number, settings, socket));
            queues = again.collect::<Result<_, _>>()?;
        }
    }

    fn hand_over(
        &self,
        mut successor: Successor,
        legacy: &mut Legacy,
        door: &mut Door,
        sockets: &[(u16, OwnedFd)],
    ) -> io::Result<()> {
        // Its entries are to stand behind ours.
        self.shared.events.settle();
        legacy.write_image(self.shared.engine, &self.shared.clock)?;
        successor.receive(legacy.image().as_fd(), sockets)?;
        successor.go()?;
        door.leave_place();
        Ok(())
    }

    /// Serves the queues as long as `watch` takes.
    fn serve(
        &self,
        queues: Vec<OpenQueue>,
        watch: impl FnOnce(&Health<'_>) -> Wish,
    ) -> Result<Wish, Failure> {
        let shared = self.shared;
        let wakers = queues.iter().map(OpenQueue::waker).collect::<Result<Vec<_>, _>>()?;
        let answers: Vec<_> = queues.iter().map(|_| AtomicU32::new(0)).collect();
        shared.asked.store(0, Ordering::Release);
        let has_netlink = queues.iter().any(|queue| queue.backend() == Backend::Netlink);
        shared.has_netlink.store(has_netlink, Ordering::Relaxed);
        let health = Health { asked: &shared.asked, answers: &answers, wakers: &wakers };
        thread::scope(|scope| {
            let threads = queues.into_iter().zip(&answers).enumerate();
            let started = threads.map(|(worker, (queue, answer))| {
                let name = format!("{QUEUE_THREAD}{}", queue.number());
                let effects = Effects::of_worker(worker, shared.events.are_heard());
                spawn(scope, name, move || self.serve_queue(queue, effects, answer))
            });
            let started: Vec<_> = started.collect();
            let all_started = started.iter().all(Result::is_ok);
            let mut wish = Ok(if all_started { watch(&health) } else { Wish::End });
            shared.asked.store(END, Ordering::Release);
            wakers.iter().for_each(Waker::wake);
            for thread in started {
                if let Err(error) = thread.map_err(Failure::Error).and_then(join) {
                    wish = wish.and(Err(error));
                }
            }
            wish
        })
    }

    fn serve_queue(
        &self,
        queue: OpenQueue,
        mut effects: Effects,
        answer: &AtomicU32,
    ) -> Result<(), FrontError> {
        // However this thread ends, the supervisor learns of it.
        let ending = self.signals.wake_when_dropped();
        let mut queue = queue.serve(self.shared.faults);
        self.shared.serve(&mut queue, &mut effects, answer)?;
        // It was asked to.
        ending.forget();
        Ok(())
    }
}

/// Whether the threads of the queues still take packets.
struct Health<'a> {
    /// How often they were asked.
    asked: &'a AtomicU32,
    /// The question that each has answered last.
    answers: &'a [AtomicU32],
    wakers: &'a [Waker],
}

impl Health<'_> {
    /// Tells a manager that wants to know, if all have answered, and asks anew.
    fn tell(&self, manager: &Manager) {
        if !manager.has_watchdog() {
            return;
        }
        let asked = self.asked.load(Ordering::Relaxed);
        let is_alive = self.answers.iter().all(|one| one.load(Ordering::Relaxed) == asked);
        if is_alive {
            manager.tell("WATCHDOG=1");
            self.asked.store((asked + 1) % END, Ordering::Release);
        }
        // Also who has not answered yet: the kernel may have had no room for what was to wake it.
        self.wakers.iter().for_each(Waker::wake);
    }
}

type Handle<'s> = thread::ScopedJoinHandle<'s, Result<(), FrontError>>;

pub(super) fn spawn<'s, 'e>(
    scope: &'s thread::Scope<'s, 'e>,
    name: String,
    work: impl FnOnce() -> Result<(), FrontError> + Send + 's,
) -> Result<Handle<'s>, FrontError> {
    thread::Builder::new()
        .name(name)
        .spawn_scoped(scope, work)
        .map_err(|error| FrontError::io("cannot start a thread", error))
}

pub(super) fn join(thread: Handle<'_>) -> Result<(), Failure> {
    let name = thread.thread().name().unwrap_or_default().to_owned();
    match thread.join() {
        Ok(ended) => ended.map_err(Failure::Error),
        Err(_) => Err(Failure::Panic(FrontError::new(format!("thread {name} panicked")))),
    }
}

/// What ends a run that nobody ended.
#[derive(Debug)]
pub(super) enum Failure {
    /// Something could not be done.
    Error(FrontError),
    /// A thread panicked.
    Panic(FrontError),
}

impl From<FrontError> for Failure {
    fn from(error: FrontError) -> Self {
        Self::Error(error)
    }
}

impl From<Failure> for FrontError {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Error(error) | Failure::Panic(error) => error,
        }
    }
}

/// How the names of the queues' threads begin.
pub(super) const QUEUE_THREAD: &str = "queue-";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_is_told_from_an_error() {
        thread::scope(|scope| {
            let ended = |work: fn() -> Result<(), FrontError>| {
                join(spawn(scope, "a".to_owned(), work).unwrap())
            };
            assert!(matches!(ended(|| Ok(())), Ok(())));
            assert!(matches!(ended(|| Err(FrontError::new("no"))), Err(Failure::Error(_))));
            let Err(Failure::Panic(error)) = ended(|| panic!("a test asks for this")) else {
                panic!("no panic")
            };
            assert_eq!(error.to_string(), "thread a panicked");
        });
    }
}
