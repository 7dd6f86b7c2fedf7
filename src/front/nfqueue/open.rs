//! A queue that is bound and configured, or taken over, and not yet served.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::{fs, io};

use rustix::io::Errno;
use rustix::net::sockopt;

use super::backend::Backend;
use super::message::Setup;
use super::netlink::Netlink;
use super::nfq::Nfq;
use super::queue::{Faults, KernelQueue};
use super::{listing, message, netlink, nfq};
use crate::config;
use crate::front::FrontError;

/// A queue of ours, for one thread to serve.
pub(in crate::front) struct OpenQueue {
    number: u16,
    socket: OwnedFd,
    /// Where the nfq crate is to serve it.
    nfq: Option<::nfq::Queue>,
}

/// Ends a thread's waiting for packets.
#[derive(Debug)]
pub(in crate::front) struct Waker(OwnedFd);

impl Waker {
    /// Ends it. Where the kernel refuses that, it has packets for the thread, or answers none.
    pub(in crate::front) fn wake(&self) {
        if let Err(error) = message::wake(self.0.as_fd()) {
            log::warn!("cannot wake the thread of a queue: {error}");
        }
    }
}

impl OpenQueue {
    /// Opens and binds a queue. To be called before threads start.
    pub(in crate::front) fn open(
        number: u16,
        settings: &config::Queue,
    ) -> Result<Self, FrontError> {
        let opened = match settings.backend {
            config::Backend::Netlink => netlink::open().map(|socket| (None, socket)),
            config::Backend::Nfq => nfq::open().map(|(queue, socket)| (Some(queue), socket)),
        };
        let (nfq, socket) = opened.map_err(|error| {
            FrontError::io("cannot open a netfilter queue socket (needs Linux 5.6)", error)
        })?;
        enlarge_buffer(socket.as_fd(), settings.socket_buffer);
        let mut queue = Self { number, socket, nfq };
        queue.bind(settings).map_err(|error| refusal(number, error))?;
        Ok(queue)
    }

    /// Takes over a queue that another process bound, with the packets that wait in it. Those which
    /// that process read and did not answer are dropped as soon as the first of the others comes:
    /// its number tells.
    pub(in crate::front) fn adopt(
        number: u16,
        settings: &config::Queue,
        socket: OwnedFd,
    ) -> Result<Self, FrontError> {
        let failed =
            |error| FrontError::io(format!("cannot take over the socket of queue {number}"), error);
        let port = netlink::port(&socket).map_err(failed)?;
        // Where the listing may not be read, the kernel itself refuses what is not ours.
        let is_ours =
            listing::of(number).map_or(true, |entry| entry.is_some_and(|entry| entry.port == port));
        if !is_ours {
            let sentence = format!("queue {number} is not served by the socket handed over");
            return Err(FrontError::new(sentence));
        }
        enlarge_buffer(socket.as_fd(), settings.socket_buffer);
        message::configure(socket.as_fd(), number, setup(settings)).map_err(failed)?;
        Ok(Self { number, socket, nfq: None })
    }

    fn bind(&mut self, settings: &config::Queue) -> io::Result<()> {
        message::bind(self.socket.as_fd(), self.number, setup(settings))?;
        match &mut self.nfq {
            // While nfq waits for that acknowledgement it throws away packets that came before it;
            // the gap in the numbers will show.
            Some(queue) => queue.set_copy_range(self.number, u16::MAX),
            None => message::show_packets(self.socket.as_fd(), self.number),
        }
    }

    /// The queue's number.
    pub(in crate::front) const fn number(&self) -> u16 {
        self.number
    }

    /// What talks to the kernel for it.
    pub(in crate::front) const fn backend(&self) -> config::Backend {
        match self.nfq {
            Some(_) => config::Backend::Nfq,
            None => config::Backend::Netlink,
        }
    }

    /// Bytes the kernel lets this queue's socket hold.
    pub(in crate::front) fn buffer_bytes(&self) -> usize {
        sockopt::socket_recv_buffer_size(&self.socket).unwrap_or(0)
    }

    /// Its socket.
    pub(in crate::front) fn socket(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }

    /// Another handle on its socket, for whoever is to serve it next.
    pub(in crate::front) fn duplicate(&self) -> Result<OwnedFd, FrontError> {
        let socket = self.socket.try_clone();
        socket.map_err(|error| FrontError::io("cannot duplicate a socket", error))
    }

    /// What ends the waiting of the thread that serves it.
    pub(in crate::front) fn waker(&self) -> Result<Waker, FrontError> {
        self.duplicate().map(Waker)
    }

    /// Begins to serve it, on the thread that does.
    pub(in crate::front) fn serve(self, faults: &Faults) -> KernelQueue<'_> {
        let Self { number, socket, nfq } = self;
        let backend: Box<dyn Backend> = match nfq {
            Some(queue) => Box::new(Nfq::new(number, queue, socket)),
            None => Box::new(Netlink::new(number, socket)),
        };
        KernelQueue::new(number, backend, faults, trusts_super_packets())
    }
}

/// Whether the kernel takes no super-packet from a neighbour that wants its checksum elsewhere than
/// in the TCP header (commit 89add40066f9). Release 6.11 has that, and many older ones.
fn trusts_super_packets() -> bool {
    let release = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let mut numbers = release.split('.').map(|number| number.parse::<u32>().unwrap_or(0));
    (numbers.next(), numbers.next()) >= (Some(6), Some(11))
}

const fn setup(settings: &config::Queue) -> Setup {
    Setup { length: settings.length, gso: settings.gso }
}

fn enlarge_buffer(socket: BorrowedFd<'_>, bytes: usize) {
    // Only the first needs CAP_NET_ADMIN in the initial user namespace; the second is bounded by
    // net.core.rmem_max. What came of it is logged by the caller.
    if sockopt::set_socket_recv_buffer_size_force(socket, bytes).is_err() {
        let _ = sockopt::set_socket_recv_buffer_size(socket, bytes);
    }
}

fn refusal(number: u16, error: io::Error) -> FrontError {
    let is_owned = format!("queue {number} is owned by another process");
    match (Errno::from_io_error(&error), listing::of(number)) {
        (Some(Errno::PERM | Errno::BUSY), Ok(Some(owner))) => {
            FrontError::new(format!("{is_owned} (netlink port id {})", owner.port))
        }
        (Some(Errno::PERM), Ok(None)) => {
            let context = format!("cannot bind queue {number} (needs root or CAP_NET_ADMIN)");
            FrontError::io(context, error)
        }
        (Some(Errno::PERM), Err(_)) => {
            FrontError::io(format!("{is_owned}, or CAP_NET_ADMIN is missing"), error)
        }
        _ => FrontError::io(format!("cannot bind queue {number}"), error),
    }
}
