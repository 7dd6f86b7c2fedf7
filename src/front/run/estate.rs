//! What a run begins with and what it leaves: the sockets of its queues, and the image of all it
//! knows.
//!
//! A service manager keeps both from one process to the next, or the process before hands them over
//! itself. The image is in a file in memory that is emptied as soon as it has been read: whoever
//! dies leaves none, and nobody begins with what was true long ago. Whoever ends before it may
//! serve puts it back, and the diary with it.
//!
//! Who serves holds the lock of the image's file as long as it lives, also where both have been
//! handed over. Nobody has that file but the manager and its filters, so no stranger can hold it.

use std::collections::BTreeMap;
use std::fs::File;
use std::hash::{BuildHasher, RandomState};
use std::io::{self, Read, Seek, Write};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::thread;

use rustix::fs::{FlockOperation, MemfdFlags, flock, memfd_create};
use rustix::io::Errno;
use rustix::process::Pid;
use rustix::time::{ClockId, clock_gettime};

use super::clock::Clock;
use super::diary::{self, Table};
use super::manager::{self, Kept, Manager};
use super::probation::{Docket, Probation};
use super::succession::{Handed, Predecessor};
use crate::config::{Config, Fail};
use crate::engine::{Effects, Engine, Image, Unreadable};
use crate::front::FrontError;
use crate::front::nfqueue::OpenQueue;

/// What was left to us.
#[derive(Debug, Default)]
pub(super) struct Estate {
    queues: BTreeMap<u16, OwnedFd>,
    image: Borrowed,
    /// What the diary of a process says that left no image.
    diary: Borrowed,
    predecessor: Option<Predecessor>,
}

/// What a file holds or held, which goes back there unless it is kept.
#[derive(Debug, Default)]
struct Borrowed {
    bytes: Vec<u8>,
    /// None: it is ours.
    file: Option<File>,
}

/// What we shall leave.
#[derive(Debug)]
pub(super) struct Legacy {
    manager: Manager,
    image: Left,
    diary: Left,
    /// Queues that the manager keeps, and would keep shut while no filter can start.
    opened_by_failure: Vec<u16>,
}

/// A file in memory for the next process.
#[derive(Debug)]
struct Left {
    file: File,
    /// Whether the manager has it already.
    is_kept: bool,
}

impl Estate {
    /// What the manager kept, and where the next estate is to be left.
    pub(super) fn of_manager(config: &Config) -> Result<(Self, Legacy), FrontError> {
        let mut estate = Self::default();
        let mut legacy = Legacy::new()?;
        for (name, kept) in manager::kept() {
            match kept {
                Kept::File(file) if name == IMAGE => legacy.image = Left { file, is_kept: true },
                Kept::File(file) if name == DIARY => legacy.diary = Left { file, is_kept: true },
                Kept::Socket(socket) => match queue_named(&name) {
                    Some(number) => drop(estate.queues.insert(number, socket)),
                    None => legacy.manager.release(&name),
                },
                Kept::File(_) => legacy.manager.release(&name),
            }
        }
        legacy.claim(config.queue.first)?;
        estate.image = legacy.borrow_image().unwrap_or_else(|error| {
            log::warn!("cannot read what the process before has left: {error}");
            Borrowed::default()
        });
        estate.diary = Borrowed::read(&mut legacy.diary.file).unwrap_or_else(|error| {
            log::warn!("cannot read the diary of the process before: {error}");
            Borrowed::default()
        });
        if config.queue.fail == Fail::Open {
            // Where this start fails mail goes on unread, and nobody knows these flows any more.
            let configured = config.queue_numbers();
            legacy.opened_by_failure = estate.queues.keys().copied().chain(configured).collect();
            estate.image.keep();
            estate.diary.keep();
        }
        Ok((estate, legacy))
    }

    /// What the filter that runs hands over.
    pub(super) fn of_predecessor(config: &Config) -> Result<(Self, Legacy), FrontError> {
        // While a predecessor serves, what a manager has kept is that one's.
        drop(manager::kept());
        let (predecessor, Handed { image, queues }) = Predecessor::ask(config)?;
        let mut legacy = Legacy::new()?;
        legacy.image.file = image;
        let failed = |error| FrontError::io("cannot read the image handed over", error);
        let mut image = legacy.borrow_image().map_err(failed)?;
        // The predecessor goes on with its flows, if it goes on.
        image.keep();
        let queues = queues.into_iter().collect();
        let (diary, predecessor) = (Borrowed::default(), Some(predecessor));
        Ok((Self { queues, image, diary, predecessor }, legacy))
    }

    /// Opens the queues, those that were left to us as they are.
    pub(super) fn open_queues(
        &mut self,
        config: &Config,
        legacy: &Legacy,
    ) -> Result<Vec<OpenQueue>, FrontError> {
        let queues = config.queue_numbers().map(|number| {
            let queue = match self.queues.remove(&number) {
                Some(socket) => self.adopt(number, config, legacy, socket),
                None => OpenQueue::open(number, &config.queue),
            }?;
            legacy.manager.keep(&queue_name(number), queue.socket());
            Ok(queue)
        });
        let queues = queues.collect::<Result<Vec<_>, _>>();
        // What is not configured any more is given up, with the packets that wait in it.
        self.queues.keys().for_each(|number| legacy.manager.release(&queue_name(*number)));
        self.queues.clear();
        queues
    }

    fn adopt(
        &self,
        number: u16,
        config: &Config,
        legacy: &Legacy,
        socket: OwnedFd,
    ) -> Result<OpenQueue, FrontError> {
        let adopted = OpenQueue::adopt(number, &config.queue, socket);
        match adopted {
            // A manager may keep what is worth nothing any more; a predecessor serves its queues.
            Err(error) if self.predecessor.is_none() => {
                log::warn!("{error}; opening it anew");
                legacy.manager.release(&queue_name(number));
                OpenQueue::open(number, &config.queue)
            }
            adopted => adopted,
        }
    }

    /// The engine and its clock: those of the image or else of the diary, where one was left; and
    /// what is to be watched after a death.
    pub(super) fn engine(
        &self,
        config: &Config,
        legacy: &Legacy,
        effects: &mut Effects,
    ) -> Result<(Engine, Clock, Probation), FrontError> {
        let now = monotonic_micros();
        let failed = |error| FrontError::io("cannot begin a diary", error);
        let (mut recovered, mut died) = (Vec::new(), 0);
        let mut docket = Docket::kept(&self.diary.bytes, now);
        let mut image = Image::open(&self.image.bytes);
        let has_left_image = image.is_ok();
        // Who wrote an image in another format did not die, and its diary is in that format too.
        let is_foreign = matches!(image, Err(Unreadable::Format(_)));
        if image.is_err() && !is_foreign && !self.diary.bytes.is_empty() {
            docket = Docket::read(&self.diary.bytes, now);
            (recovered, died) = (diary::recover(&self.diary.bytes, now, &docket), now);
            diary::record_death(&legacy.diary.file, died, &docket).map_err(failed)?;
            image = Image::open(&recovered);
        }
        let is_nothing_left = self.image.bytes.is_empty() && recovered.is_empty();
        if let (Err(error), false) = (&image, is_nothing_left) {
            log::warn!("the flows of the process before are unknown, its image: {error}");
        }
        let (mut engine, clock) = match image {
            Err(_) => {
                let seed = RandomState::new().hash_one(0);
                (Engine::new(config.engine.clone(), seed), Clock::start())
            }
            Ok(image) => restored(config, &image, now, effects),
        };
        if !has_left_image {
            engine.begin_behind_others(clock.now());
        }
        let mut notes = None;
        if legacy.manager.is_there() {
            let file = legacy.diary.file.try_clone().map_err(failed)?;
            let table = Table::begin(file, died, &docket).map_err(failed)?;
            engine.keep_diary(Box::new(table), clock.now(), now);
            if died != 0 {
                notes = Some(legacy.diary.file.try_clone().map_err(failed)?);
            }
        }
        let probation = docket.probation(notes, clock.now());
        Ok((engine, clock, probation))
    }

    /// The process of the filter that runs.
    pub(super) fn predecessor(&self) -> Option<Pid> {
        self.predecessor.as_ref().map(Predecessor::process)
    }

    /// All is ready: may we serve?
    pub(super) fn accept(mut self, legacy: &mut Legacy) -> Result<(), FrontError> {
        self.predecessor.map_or(Ok(()), Predecessor::take_leave)?;
        self.image.keep();
        self.diary.keep();
        legacy.entrust();
        Ok(())
    }
}

impl Borrowed {
    /// What a file holds.
    fn read(file: &mut File) -> io::Result<Self> {
        let mut bytes = Vec::new();
        file.rewind()?;
        file.read_to_end(&mut bytes)?;
        Ok(Self { bytes, file: Some(file.try_clone()?) })
    }

    /// It is ours.
    fn keep(&mut self) {
        self.file = None;
    }
}

impl Drop for Borrowed {
    fn drop(&mut self) {
        // What is read in a panic may be its cause.
        let file = self.file.as_mut().filter(|_| !thread::panicking());
        let put_back = file.map(|file| {
            file.set_len(0)?;
            file.rewind()?;
            file.write_all(&self.bytes)
        });
        if let Some(Err(error)) = put_back {
            log::warn!("the next process will not know the flows: {error}");
        }
    }
}

impl Legacy {
    /// Nothing yet.
    fn new() -> Result<Self, FrontError> {
        let (image, diary) = (Left::new(IMAGE)?, Left::new(DIARY)?);
        Ok(Self { manager: Manager::find(), image, diary, opened_by_failure: Vec::new() })
    }

    /// Makes sure that no other filter serves these queues: what a manager has kept may have gone
    /// to it by a take-over, and two would read one socket.
    fn claim(&self, queue: u16) -> Result<(), FrontError> {
        match flock(&self.image.file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => Ok(()),
            Err(Errno::WOULDBLOCK) => {
                let sentence = format!("queue {queue} is served by another filter: expected none");
                Err(FrontError::new(sentence + ", or --take-over"))
            }
            Err(error) => Err(FrontError::io("cannot lock a file in memory", error)),
        }
    }

    /// Has the manager keep what it does not have yet. It knows its own again by what is open, so
    /// what came from it, opened anew here, would be another one at each start. And what it is
    /// given is opened anew, since what it holds stays locked.
    fn entrust(&mut self) {
        self.opened_by_failure.clear();
        if !self.manager.is_there() {
            return;
        }
        for (name, left) in [(IMAGE, &self.image), (DIARY, &self.diary)] {
            if left.is_kept {
                continue;
            }
            match manager::reopened(left.file.as_raw_fd()) {
                Ok(file) => {
                    // A predecessor may have left one of this name.
                    self.manager.release(name);
                    self.manager.keep(name, file.as_fd());
                }
                Err(error) => log::warn!("the next process will not know the flows: {error}"),
            }
        }
    }

    /// The manager.
    pub(super) const fn manager(&self) -> &Manager {
        &self.manager
    }

    /// Writes the image of an engine that handles nothing any more.
    pub(super) fn write_image(&mut self, engine: &Engine, clock: &Clock) -> io::Result<()> {
        let image = engine.image(clock.now(), monotonic_micros());
        self.image.file.set_len(0)?;
        self.image.file.rewind()?;
        self.image.file.write_all(&image)
    }

    /// Leaves the image to a manager, if there is one.
    pub(super) fn leave(&mut self, engine: &Engine, clock: &Clock) {
        if !self.manager.is_there() {
            return;
        }
        if let Err(error) = self.write_image(engine, clock) {
            log::warn!("the next process will not know the flows: {error}");
            // A part of an image is none, but need not be there.
            self.erase_image();
        }
    }

    /// Leaves no image.
    pub(super) fn erase_image(&self) {
        let _ = self.image.file.set_len(0);
    }

    /// Leaves no diary: what it says will be long ago when somebody reads it.
    pub(super) fn erase_diary(&self) {
        let _ = self.diary.file.set_len(0);
    }

    /// Where the image is.
    pub(super) fn image(&self) -> &File {
        &self.image.file
    }

    /// What the file holds, which is in nobody's hands from here on but the borrower's.
    fn borrow_image(&mut self) -> io::Result<Borrowed> {
        let read = Borrowed::read(&mut self.image.file);
        self.image.file.set_len(0)?;
        read
    }
}

fn restored(
    config: &Config,
    image: &Image<'_>,
    now: u64,
    effects: &mut Effects,
) -> (Engine, Clock) {
    let clock = Clock::going_on(image.now(), now.saturating_sub(image.clock()));
    let settings = config.engine.clone();
    let (engine, restored) = Engine::restored(settings, image, clock.now(), effects);
    log::info!(
        "going on with {} flows and {} handshakes of mailguard {}; {} records unreadable",
        restored.flows,
        restored.handshakes,
        image.program(),
        restored.undecodable,
    );
    (engine, clock)
}

impl Drop for Legacy {
    fn drop(&mut self) {
        for number in &self.opened_by_failure {
            self.manager.release(&queue_name(*number));
        }
        if !self.opened_by_failure.is_empty() {
            self.erase_image();
            self.erase_diary();
        }
    }
}

impl Left {
    fn new(name: &str) -> Result<Self, FrontError> {
        let created = memfd_create(name, MemfdFlags::CLOEXEC).map_err(io::Error::from);
        let failed = |error| FrontError::io("cannot create a file in memory", error);
        created.map(|file| Self { file: file.into(), is_kept: false }).map_err(failed)
    }
}

fn queue_name(number: u16) -> String {
    format!("queue-{number}")
}

fn queue_named(name: &str) -> Option<u16> {
    name.strip_prefix("queue-")?.parse().ok()
}

/// Time that passes alike for all processes.
fn monotonic_micros() -> u64 {
    let time = clock_gettime(ClockId::Monotonic);
    let seconds = u64::try_from(time.tv_sec).unwrap_or(0);
    seconds * 1_000_000 + u64::try_from(time.tv_nsec).unwrap_or(0) / 1_000
}

const IMAGE: &str = "image";
const DIARY: &str = "flows";
