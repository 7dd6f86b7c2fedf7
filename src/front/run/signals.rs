//! SIGTERM, SIGINT, SIGHUP and SIGUSR1 as flags, and a socket that becomes readable when one
//! arrives.
//!
//! A second SIGTERM or SIGINT ends the program at once: the first one waits for the event log.

use std::io::{self, Read, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM, SIGUSR1};
use signal_hook::{flag, low_level};

use crate::front::FrontError;

/// The signals that concern us.
#[derive(Debug)]
pub(super) struct Signals {
    is_asked_to_end: Arc<AtomicBool>,
    is_asked_to_reload: Arc<AtomicBool>,
    is_asked_to_reopen: Arc<AtomicBool>,
    reader: UnixStream,
    writer: UnixStream,
}

impl Signals {
    /// Takes over the signals.
    pub(super) fn catch() -> Result<Self, FrontError> {
        register().map_err(|error| FrontError::io("cannot catch signals", error))
    }

    /// What to poll for signals.
    pub(super) fn readiness(&self) -> BorrowedFd<'_> {
        self.reader.as_fd()
    }

    /// Forgets that the socket was readable.
    pub(super) fn rearm(&self) {
        let mut bytes = [0; 64];
        while matches!((&self.reader).read(&mut bytes), Ok(count) if count > 0) {}
    }

    /// Whether the program was asked to end, or one of its threads did.
    pub(super) fn is_asked_to_end(&self) -> bool {
        self.is_asked_to_end.load(Ordering::Relaxed)
    }

    /// Whether the configuration is to be read and the log opened anew; true once for each time.
    pub(super) fn is_asked_to_reload(&self) -> bool {
        self.is_asked_to_reload.swap(false, Ordering::Relaxed)
    }

    /// Whether the log is to be opened anew, and nothing else; true once for each time.
    pub(super) fn is_asked_to_reopen(&self) -> bool {
        self.is_asked_to_reopen.swap(false, Ordering::Relaxed)
    }

    /// Asks the program to end when dropped.
    pub(super) const fn wake_when_dropped(&self) -> Ending<'_> {
        Ending(self)
    }
}

/// Asks the program to end when dropped.
#[derive(Debug)]
pub(super) struct Ending<'a>(&'a Signals);

impl Ending<'_> {
    /// Takes it back.
    pub(super) const fn forget(self) {
        std::mem::forget(self);
    }
}

impl Drop for Ending<'_> {
    fn drop(&mut self) {
        self.0.is_asked_to_end.store(true, Ordering::Relaxed);
        // A full socket is readable already.
        let _ = (&self.0.writer).write(&[0]);
    }
}

fn register() -> io::Result<Signals> {
    let (reader, writer) = UnixStream::pair()?;
    reader.set_nonblocking(true)?;
    writer.set_nonblocking(true)?;
    let is_asked_to_end = Arc::new(AtomicBool::new(false));
    let is_asked_to_reload = Arc::new(AtomicBool::new(false));
    let is_asked_to_reopen = Arc::new(AtomicBool::new(false));
    // Actions run in the order of registration: the flag is set before the socket wakes anyone.
    for signal in [SIGTERM, SIGINT] {
        flag::register_conditional_shutdown(signal, INTERRUPTED, Arc::clone(&is_asked_to_end))?;
        flag::register(signal, Arc::clone(&is_asked_to_end))?;
        low_level::pipe::register(signal, writer.try_clone()?)?;
    }
    for (signal, flag) in [(SIGHUP, &is_asked_to_reload), (SIGUSR1, &is_asked_to_reopen)] {
        flag::register(signal, Arc::clone(flag))?;
        low_level::pipe::register(signal, writer.try_clone()?)?;
    }
    Ok(Signals { is_asked_to_end, is_asked_to_reload, is_asked_to_reopen, reader, writer })
}

/// Exit code when the second signal cuts the ending short.
const INTERRUPTED: i32 = 2;
