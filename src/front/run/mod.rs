//! `mailguard run`: the live front. Opens everything while there is one thread, gives each queue a
//! thread of its own, and supervises them until a signal or a failure ends the run.
//!
//! The threads of the queues never write to a log: what they have to say they count, and the
//! supervisor says it. Dropping privileges is not done here.

mod bound;
mod clock;
mod counters;
mod events;
mod inject;
mod running;
mod signals;
mod supervisor;
mod target;
mod worker;

use std::hash::{BuildHasher, RandomState};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;

use self::clock::Clock;
use self::events::{Events, Writer};
use self::inject::Injector;
use self::running::Running;
use self::signals::Signals;
use self::supervisor::Supervisor;
use self::worker::{Marks, Shared};
use crate::config::Config;
use crate::engine::{Effects, Engine};
use crate::front::FrontError;
use crate::front::nfqueue::{Faults, OpenQueue, Waker};

/// Filters until SIGTERM or SIGINT. On SIGHUP the configuration is read once more.
///
/// # Errors
/// Something could not be opened, or a queue failed for good.
pub fn run(config: &Config, reread: &Reread<'_>) -> Result<(), FrontError> {
    let signals = Signals::catch()?;
    let faults = Faults::default();
    let (events, writer) = Events::open(&config.log)?;
    // Before any thread is there: finding the sockets among the open files needs that nobody else
    // opens any.
    let queues = config
        .queue_numbers()
        .map(|number| OpenQueue::open(number, &config.queue))
        .collect::<Result<Vec<_>, _>>()?;
    let engine = Engine::new(config.engine.clone(), RandomState::new().hash_one(0));
    let shared = Shared {
        engine: &engine,
        clock: Clock::start(),
        injector: Injector::open(config.rules.mark)?,
        events: &events,
        marks: Marks::new(&config.rules),
        faults: &faults,
        panics: AtomicU64::new(0),
        is_ending: AtomicBool::new(false),
    };
    let panics = supervisor::catch_panics();
    let running = Running::new(&engine, config.clone());
    let supervisor = Supervisor::new(&running, reread, &shared, &signals, &panics);
    announce(config, &queues);
    let written = writer.map(Writer::start).transpose()?;
    let ended = serve(supervisor, &signals, &shared, queues);
    if let Some(written) = written {
        events.end(&written);
    }
    supervisor::summarise(&shared);
    ended
}

/// How the configuration is read once more.
pub type Reread<'a> = dyn Fn() -> Result<Config, FrontError> + 'a;

fn serve(
    supervisor: Supervisor<'_>,
    signals: &Signals,
    shared: &Shared<'_>,
    queues: Vec<OpenQueue>,
) -> Result<(), FrontError> {
    let wakers = queues.iter().map(OpenQueue::waker).collect::<Result<Vec<_>, _>>()?;
    let effects = |worker| Effects::of_worker(worker, shared.events.are_heard());
    // The engine works on this thread, too.
    let mut own_effects = effects(queues.len());
    thread::scope(|scope| {
        let started = queues.into_iter().enumerate().map(|(worker, queue)| {
            let name = format!("{QUEUE_THREAD}{}", queue.number());
            spawn(scope, name, move || serve_queue(queue, shared, effects(worker), signals))
        });
        let started: Vec<_> = started.collect();
        let all_started = started.iter().all(Result::is_ok);
        if all_started {
            log::info!("ready");
            supervisor.watch(&mut own_effects);
        }
        shared.is_ending.store(true, Ordering::Release);
        wakers.iter().for_each(Waker::wake);
        let mut ended = Ok(());
        for thread in started {
            let joined = thread.and_then(join);
            ended = ended.and(joined);
        }
        ended
    })
}

fn serve_queue(
    queue: OpenQueue,
    shared: &Shared<'_>,
    mut effects: Effects,
    signals: &Signals,
) -> Result<(), FrontError> {
    // However this thread ends, the supervisor learns of it.
    let _ending = signals.wake_when_dropped();
    shared.serve(&mut queue.serve(shared.faults), &mut effects)
}

type Handle<'s> = thread::ScopedJoinHandle<'s, Result<(), FrontError>>;

fn spawn<'s, 'e>(
    scope: &'s thread::Scope<'s, 'e>,
    name: String,
    work: impl FnOnce() -> Result<(), FrontError> + Send + 's,
) -> Result<Handle<'s>, FrontError> {
    thread::Builder::new()
        .name(name)
        .spawn_scoped(scope, work)
        .map_err(|error| FrontError::io("cannot start a thread", error))
}

fn join(thread: Handle<'_>) -> Result<(), FrontError> {
    let name = thread.thread().name().unwrap_or_default().to_owned();
    thread.join().unwrap_or_else(|_| Err(FrontError::new(format!("thread {name} panicked"))))
}

fn announce(config: &Config, queues: &[OpenQueue]) {
    let settings = &config.queue;
    for queue in queues {
        log::info!(
            "filtering queue {}: profile {}, {} packets, socket buffer {} bytes, whole packets, \
             GSO {}, fail {}",
            queue.number(),
            config.profile,
            settings.length,
            queue.buffer_bytes(),
            if settings.gso { "on" } else { "off" },
            match settings.fail {
                crate::config::Fail::Closed => "closed",
                crate::config::Fail::Open => "open",
            },
        );
        if queue.buffer_bytes() < settings.socket_buffer {
            log::warn!(
                "queue {}: the kernel gave a smaller buffer than the {} bytes asked for; raise \
                 net.core.rmem_max",
                queue.number(),
                settings.socket_buffer
            );
        }
    }
    announce_monitoring(config);
}

fn announce_monitoring(config: &Config) {
    if config.engine.monitor {
        log::warn!("monitoring only: every packet passes unchanged");
    }
}

/// How the names of the queues' threads begin.
const QUEUE_THREAD: &str = "queue-";
