//! `mailguard run`: the live front. Opens everything while there is one thread, gives each queue a
//! thread of its own, and supervises them until a signal or a failure ends the run.
//!
//! The threads of the queues never write to a log: what they have to say they count, and the
//! supervisor says it. Once everything is open, what is not needed any more is given up.

mod bound;
mod clock;
mod counters;
mod daemon;
mod diary;
mod estate;
mod events;
mod inject;
mod manager;
mod metrics;
mod probation;
mod reign;
mod reload;
mod running;
mod sandbox;
mod show;
mod signals;
mod steer;
mod succession;
mod supervisor;
mod target;
mod worker;

use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64};
use std::thread;

use self::estate::Estate;
use self::events::Events;
use self::inject::Injector;
use self::reign::{Reign, join, spawn};
use self::running::{Reloads, Running};
use self::signals::Signals;
use self::steer::Steering;
use self::succession::Door;
use self::supervisor::Supervisor;
use self::worker::{Marks, Shared};
use crate::config::{Config, Override, Words};
use crate::engine::Effects;
use crate::front::FrontError;
use crate::front::nfqueue::{Faults, OpenQueue};

/// Filters until SIGTERM or SIGINT, or until another process takes over. On SIGHUP the
/// configuration is read once more.
///
/// # Errors
/// Something could not be opened, or a queue failed for good.
pub fn run(
    config: &Config,
    start: Start,
    Origin { reread, file, had_file, overrides }: Origin<'_>,
) -> Result<(), FrontError> {
    let signals = Signals::catch()?;
    let faults = Faults::default();
    let (mut estate, mut legacy) = match start {
        Start::Fresh => Estate::of_manager(config)?,
        Start::TakeOver => Estate::of_predecessor(config)?,
    };
    let (events, writer) = Events::open(&config.log)?;
    // Before any thread is there: finding the sockets among the open files needs that nobody else
    // opens any.
    let queues = estate.open_queues(config, &legacy)?;
    let injector = Injector::open(config.rules.mark)?;
    let mut effects = Effects::of_worker(queues.len(), events.are_heard());
    let (engine, clock, probation) = estate.engine(config, &legacy, &mut effects)?;
    let shared = Shared {
        engine: &engine,
        clock,
        started: clock.now(),
        reloads: Reloads::default(),
        injector,
        events: &events,
        marks: Marks::new(&config.rules),
        faults: &faults,
        has_netlink: AtomicBool::new(false),
        panics: AtomicU64::new(0),
        probation,
        blocked: AtomicU64::new(0),
        deadly: worker::deadly(),
        asked: AtomicU32::new(0),
    };
    let panics = supervisor::catch_panics();
    let running = Running::new(&engine, config.clone());
    let supervisor = Supervisor::new(&running, reread, &shared, &signals, &panics, start);
    // Ahead of what cannot be taken back.
    let predecessor = estate.predecessor();
    let (mut server, waker) = steer::open(config, predecessor)?;
    estate.accept(&mut legacy)?;
    server.take_place();
    let door = Door::open(config, predecessor);
    sandbox::enter(config, file);
    shared.deliver(&mut effects);
    shared.reset_blocked(&mut effects);
    let worker = queues.len() + 1;
    let steering =
        Steering { shared: &shared, running: &running, reread, file, had_file, overrides, worker };
    announce(config, &queues);
    let written = writer.map(|writer| writer.dated(clock).start()).transpose()?;
    let reign = Reign { shared: &shared, signals: &signals, config };
    let ended = thread::scope(|scope| -> Result<bool, FrontError> {
        let serving = || {
            steering.serve(&server);
            Ok(())
        };
        let control = spawn(scope, "control".to_owned(), serving)?;
        let ended = reign.until_the_end(supervisor, &mut legacy, door, queues, effects);
        drop(waker);
        Ok(join(control).and(ended)?)
    });
    if matches!(ended, Ok(true)) {
        server.leave_place();
    }
    if let Some(written) = written {
        events.end(&written);
    }
    supervisor::summarise(&shared, &running);
    ended.map(drop)
}

/// How a run begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Start {
    /// By itself, or with what a service manager has kept.
    Fresh,
    /// By taking over from the process that runs.
    TakeOver,
}

/// Where the configuration comes from.
#[derive(Clone, Copy)]
pub struct Origin<'a> {
    /// How it is read once more.
    pub reread: &'a Reread<'a>,
    /// The file, if there may be one.
    pub file: Option<&'a Path>,
    /// Whether it was there at any time.
    pub had_file: &'a AtomicBool,
    /// What the command line lays over it.
    pub overrides: &'a [Override],
}

/// How the configuration is read once more.
pub type Reread<'a> = dyn Fn() -> Result<Config, FrontError> + Sync + 'a;

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
            settings.fail.word(),
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
    reload::announce_monitoring(config);
}
