//! The back end over the kernel's own messages: several packets and several answers a system call,
//! packets read where they lie, on a socket that another process may have opened.

use std::io;
use std::os::fd::{AsFd, OwnedFd};

use netlink_sys::protocols::NETLINK_NETFILTER;
use netlink_sys::{Socket, SocketAddr};
use rustix::io::Errno;
use rustix::net::netlink::SocketAddrNetlink;
use rustix::net::{AddressFamily, getsockname, netlink, sockopt};

use super::backend::{Answer, Backend, Unsent};
use super::inbox::Inbox;
use super::ledger::Accepted;
use super::message::{self, Fate};
use super::outbox::Outbox;
use super::packet::{self, Head, Incoming};

/// Opens a queue socket.
pub(super) fn open() -> io::Result<OwnedFd> {
    let mut socket = Socket::new(NETLINK_NETFILTER)?;
    socket.bind(&SocketAddr::new(0, 0))?;
    // What was lost for want of buffer the kernel's listing tells, in numbers. To be told here also
    // means to be sent nothing more until everything has been read.
    socket.set_no_enobufs(true)?;
    // A complaint repeats the answer's head, and not the packet in it.
    socket.set_cap_ack(true)?;
    socket.as_fd().try_clone_to_owned()
}

/// The port id by which the kernel knows a queue socket; an error, if it is none.
pub(super) fn port(socket: &OwnedFd) -> io::Result<u32> {
    let is_queue_socket = sockopt::socket_domain(socket)? == AddressFamily::NETLINK
        && sockopt::socket_protocol(socket)? == Some(netlink::NETFILTER);
    if !is_queue_socket {
        return Err(io::Error::other("not a netfilter socket"));
    }
    Ok(SocketAddrNetlink::try_from(getsockname(socket)?)?.pid())
}

/// A queue served by our own messages.
pub(super) struct Netlink {
    number: u16,
    socket: OwnedFd,
    inbox: Inbox,
    outbox: Outbox,
    /// Where the packet last received lies.
    slot: usize,
    head: Head,
}

impl Netlink {
    pub(super) fn new(number: u16, socket: OwnedFd) -> Self {
        let (inbox, outbox) = (Inbox::new(), Outbox::default());
        Self { number, socket, inbox, outbox, slot: 0, head: Head::default() }
    }

    fn flush_if_full(&mut self) -> Result<(), Unsent> {
        if self.outbox.is_full() { self.flush() } else { Ok(()) }
    }
}

impl Backend for Netlink {
    fn receive(&mut self) -> io::Result<Option<Head>> {
        loop {
            // Answers wait while there is more to read: the more go together, the fewer calls.
            let Some(slot) = self.inbox.advance() else {
                if self.inbox.refill(self.socket.as_fd())? {
                    continue;
                }
                return Ok(None);
            };
            let errno = match packet::parse(self.inbox.datagram(slot)) {
                Incoming::Packet(head) => {
                    (self.slot, self.head) = (slot, head);
                    return Ok(Some(self.head.clone()));
                }
                Incoming::Acknowledged | Incoming::Other => continue,
                Incoming::Refused { sequence: ON_SUSPICION, code } if is_nothing_there(code) => {
                    continue;
                }
                Incoming::Refused { code, .. } => return Err(io::Error::from_raw_os_error(code)),
                Incoming::Overrun => Errno::NOBUFS,
                Incoming::Cut => Errno::NOSPC,
            };
            return Err(errno.into());
        }
    }

    fn bytes(&self) -> &[u8] {
        self.inbox.datagram(self.slot).get(self.head.bytes.clone()).unwrap_or_default()
    }

    fn answer(&mut self, answer: Answer<'_>) -> Result<(), Unsent> {
        let Answer { packet, fate, mark, bytes } = answer;
        let buffer = self.outbox.message(1, packet);
        message::answer(buffer, self.number, packet, (fate, mark), bytes);
        if let Some(bytes) = bytes {
            self.outbox.append(self.socket.as_fd(), bytes)?;
        }
        self.flush_if_full()
    }

    fn accept_through(&mut self, accepted: Accepted) -> Result<(), Unsent> {
        let Accepted { through, count } = accepted;
        let buffer = self.outbox.message(count.into(), through);
        message::answer_through(buffer, self.number, through, Fate::Accept, 0);
        self.flush_if_full()
    }

    fn drop_through(&mut self, packet: u32, is_suspicion: bool) -> Result<(), Unsent> {
        let buffer = self.outbox.message(0, packet);
        let sequence = if is_suspicion { ON_SUSPICION } else { 0 };
        message::answer_through(buffer, self.number, packet, Fate::Drop, sequence);
        Ok(())
    }

    fn flush(&mut self) -> Result<(), Unsent> {
        self.outbox.flush(self.socket.as_fd())
    }

    fn wait(&mut self) -> io::Result<()> {
        self.inbox.wait(self.socket.as_fd())
    }

    fn read_no_more(&mut self) {
        self.inbox.close();
    }
}

fn is_nothing_there(code: i32) -> bool {
    code == Errno::NOENT.raw_os_error()
}

/// The sequence number of an answer for packets that may not be there.
const ON_SUSPICION: u32 = 1;
