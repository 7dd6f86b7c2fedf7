//! The service manager's side: what it is told (`sd_notify(3)`), and what it keeps for the next
//! start (`sd_listen_fds(3)`).
//!
//! Nothing here is needed for filtering: where no manager listens, nothing is said, and what cannot
//! be told is told to the log.

use std::env;
use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, IoSlice};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd, RawFd};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};

use listenfd::ListenFd;
use rustix::net::{SendAncillaryBuffer, SendAncillaryMessage, SendFlags, sendmsg};

/// The manager, if there is one.
#[derive(Debug)]
pub(super) struct Manager {
    socket: Option<UnixDatagram>,
    has_watchdog: bool,
}

/// A descriptor that the manager has kept, by its name.
#[derive(Debug)]
pub(super) enum Kept {
    /// A queue's socket.
    Socket(OwnedFd),
    /// A file in memory.
    File(File),
}

impl Manager {
    /// The manager that started us.
    pub(super) fn find() -> Self {
        let address = env::var_os("NOTIFY_SOCKET");
        let socket = address.and_then(|address| match connect(&address) {
            Ok(socket) => Some(socket),
            Err(error) => {
                log::warn!("cannot speak to the service manager: {error}");
                None
            }
        });
        Self { socket, has_watchdog: env::var_os("WATCHDOG_USEC").is_some() }
    }

    /// Whether there is one.
    pub(super) const fn is_there(&self) -> bool {
        self.socket.is_some()
    }

    /// Whether it wants to hear that all is well, and acts if it does not.
    pub(super) fn has_watchdog(&self) -> bool {
        self.is_there() && self.has_watchdog
    }

    /// Says something.
    pub(super) fn tell(&self, text: &str) {
        self.send(text, None);
    }

    /// Has it keep a descriptor for the next start, watched by nobody: it drops one that polls as
    /// an error otherwise.
    pub(super) fn keep(&self, name: &str, descriptor: BorrowedFd<'_>) {
        self.send(&format!("FDSTORE=1\nFDNAME={name}\nFDPOLL=0"), Some(descriptor));
    }

    /// Has it keep a descriptor no longer.
    pub(super) fn release(&self, name: &str) {
        self.tell(&format!("FDSTOREREMOVE=1\nFDNAME={name}"));
    }

    fn send(&self, text: &str, descriptor: Option<BorrowedFd<'_>>) {
        let Some(socket) = &self.socket else { return };
        let descriptors = descriptor.as_slice();
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
        let mut ancillary = SendAncillaryBuffer::new(&mut space);
        if !descriptors.is_empty() {
            ancillary.push(SendAncillaryMessage::ScmRights(descriptors));
        }
        let text = [IoSlice::new(text.as_bytes())];
        let sent = sendmsg(socket.as_fd(), &text, &mut ancillary, SendFlags::NOSIGNAL);
        if let Err(error) = sent {
            log::warn!("the service manager does not listen: {error}");
        }
    }
}

/// What the manager kept for us, by name. To be asked for once, before anything is opened.
pub(super) fn kept() -> Vec<(String, Kept)> {
    let names = env::var("LISTEN_FDNAMES").unwrap_or_default();
    let mut passed = ListenFd::from_env();
    let mut all = Vec::new();
    for (index, name) in names.split(':').enumerate().take(passed.len()) {
        match take(&mut passed, index) {
            Ok(Some(kept)) => all.push((name.to_owned(), kept)),
            Ok(None) => {}
            Err(error) => log::warn!("cannot use the descriptor {name} that was kept: {error}"),
        }
    }
    all
}

fn take(passed: &mut ListenFd, index: usize) -> io::Result<Option<Kept>> {
    for kind in [rustix::net::SocketType::DGRAM, rustix::net::SocketType::RAW] {
        let kind = i32::try_from(kind.as_raw()).unwrap_or_default();
        let socket = passed.take_custom(index, NETLINK, kind, "netlink socket");
        if let Ok(Some(socket)) = socket {
            return Ok(Some(Kept::Socket(socket)));
        }
    }
    // A file has no safe way from its number to its owner but its name.
    let Some(number) = passed.take_raw_fd(index)? else { return Ok(None) };
    Ok(Some(Kept::File(reopened(number)?)))
}

/// The same file, opened anew: for whoever goes by what is open, another one.
pub(super) fn reopened(number: RawFd) -> io::Result<File> {
    File::options().read(true).write(true).open(format!("/proc/self/fd/{number}"))
}

fn connect(address: &OsStr) -> io::Result<UnixDatagram> {
    let socket = UnixDatagram::unbound()?;
    let address = match address.as_bytes().strip_prefix(b"@") {
        Some(name) => SocketAddr::from_abstract_name(name)?,
        None => SocketAddr::from_pathname(address)?,
    };
    socket.connect_addr(&address)?;
    socket.set_nonblocking(true)?;
    Ok(socket)
}

/// `AF_NETLINK`.
const NETLINK: i32 = 16;
