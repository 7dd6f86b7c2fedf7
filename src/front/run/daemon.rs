//! The event log where a daemon of this machine keeps it: datagrams to a Unix socket.
//!
//! Each names the socket's path anew, so a daemon that was restarted is found again, and so that no
//! connection has to be made from within the sandbox. A daemon that takes nothing is waited for a
//! moment, by the log's own thread; what it has not taken then is lost, and counted.

use std::io::{self, ErrorKind};
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::io::Errno;

use super::target::Unwritten;
use crate::engine::Record;
use crate::event::{Daemon, Datagram, Format, Zone};
use crate::time::Instant;

/// A daemon, and what it is to be sent at once.
#[derive(Debug)]
pub(super) struct Mailbox {
    socket: UnixDatagram,
    path: PathBuf,
    form: Datagram,
    pending: Vec<u8>,
    /// Where each datagram ends in it.
    ends: Vec<usize>,
}

impl Mailbox {
    /// Finds the daemon.
    pub(super) fn open(daemon: Daemon, path: &Path, format: Format) -> io::Result<Self> {
        // Somebody has to be there at the start; whether later is seen each time.
        UnixDatagram::unbound()?.connect(path)?;
        let socket = UnixDatagram::unbound()?;
        socket.set_write_timeout(Some(PATIENCE))?;
        let sender = std::process::id();
        let form = Datagram { daemon, format, zone: Zone::Local, sender };
        Ok(Self { socket, path: path.to_owned(), form, pending: Vec::new(), ends: Vec::new() })
    }

    /// Takes an entry.
    pub(super) fn take(&mut self, record: &Record) {
        self.form.write(record, &mut self.pending);
        self.seal();
    }

    /// Takes the entry that others are missing.
    pub(super) fn take_left_out(&mut self, at: Instant, entries: u64) {
        self.form.write_left_out(at, entries, &mut self.pending);
        self.seal();
    }

    fn seal(&mut self) {
        if self.pending.len() > self.ends.last().copied().unwrap_or(0) {
            self.ends.push(self.pending.len());
        }
    }

    /// Sends all of them.
    pub(super) fn send(&mut self) -> Result<(), Unwritten> {
        let (mut start, mut entries, mut failure) = (0, 0, None);
        for &end in &self.ends {
            let datagram = self.pending.get(start..end).unwrap_or_default();
            start = end;
            // Whoever did not take one in time does not take the next either.
            let is_deaf = failure.as_ref().is_some_and(|error| !is_of_one(error));
            let sent = if is_deaf { Ok(false) } else { self.post(datagram).map(|()| true) };
            match sent {
                Ok(true) => {}
                Ok(false) => entries += 1,
                Err(error) => {
                    entries += 1;
                    failure = Some(error);
                }
            }
        }
        self.pending.clear();
        self.ends.clear();
        match failure {
            None => Ok(()),
            Some(error) => Err(Unwritten { entries: Some(entries), error }),
        }
    }

    fn post(&self, datagram: &[u8]) -> io::Result<()> {
        loop {
            match self.socket.send_to(datagram, &self.path) {
                Ok(_) => return Ok(()),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    let what = format!("{} takes nothing", self.path.display());
                    return Err(io::Error::new(ErrorKind::TimedOut, what));
                }
                Err(error) => return Err(error),
            }
        }
    }
}

/// Whether a failure says nothing about other datagrams.
fn is_of_one(error: &io::Error) -> bool {
    Errno::from_io_error(error) == Some(Errno::MSGSIZE)
}

/// How long a daemon is waited for that takes nothing.
const PATIENCE: Duration = Duration::from_millis(250);
