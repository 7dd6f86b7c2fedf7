//! The back end over the nfq crate: a packet and an answer a system call.
//!
//! What that crate cannot send, a queue's configuration before its first packet and the answer for
//! many packets, goes through a second handle on its socket.

use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};

use ::nfq::{Message, Queue, Verdict};
use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;
use rustix::net::{AddressFamily, netlink, sockopt};
use rustix::process::{PidfdFlags, PidfdGetfdFlags, getpid, pidfd_getfd, pidfd_open};

use super::backend::{Answer, Backend, Unsent};
use super::ledger::Accepted;
use super::message::{self, Fate};
use super::packet::{self, Head};
use crate::wire::Checksum;

/// Opens a queue socket and a second handle on it, which nfq 0.2.5 does not give out.
///
/// The kernel hands out the lowest free number, so the one just freed is the one the socket gets,
/// as long as no other thread opens anything: to be called before threads start.
pub(super) fn open() -> io::Result<(Queue, OwnedFd)> {
    let myself = pidfd_open(getpid(), PidfdFlags::empty())?;
    let slot = myself.try_clone()?;
    let number = slot.as_raw_fd();
    drop(slot);
    let queue = Queue::open()?;
    let socket = pidfd_getfd(&myself, number, PidfdGetfdFlags::empty())?;
    let is_ours = sockopt::socket_domain(&socket)? == AddressFamily::NETLINK
        && sockopt::socket_protocol(&socket)? == Some(netlink::NETFILTER);
    if !is_ours {
        return Err(io::Error::other("the queue's socket is not where it was expected"));
    }
    Ok((queue, socket))
}

/// A queue served with the nfq crate.
pub(super) struct Nfq {
    number: u16,
    queue: Queue,
    socket: OwnedFd,
    message: Option<Message>,
    /// Answers given on suspicion, of which the kernel may complain.
    suspicions: u32,
    reads_no_more: bool,
    buffer: Vec<u8>,
}

impl Nfq {
    pub(super) fn new(number: u16, mut queue: Queue, socket: OwnedFd) -> Self {
        queue.set_nonblocking(true);
        let (suspicions, reads_no_more, buffer) = (0, false, Vec::new());
        Self { number, queue, socket, message: None, suspicions, reads_no_more, buffer }
    }

    fn answer_through(&mut self, packet: u32, fate: Fate) -> io::Result<()> {
        self.buffer.clear();
        message::answer_through(&mut self.buffer, self.number, packet, fate, 0);
        message::send(self.socket.as_fd(), &self.buffer)
    }
}

impl Backend for Nfq {
    fn receive(&mut self) -> io::Result<Option<Head>> {
        // While it is there, the crate does not use its buffer again.
        self.message = None;
        if self.reads_no_more {
            return Ok(None);
        }
        loop {
            let error = match self.queue.recv() {
                Ok(message) => return Ok(Some(head(self.message.insert(message)))),
                Err(error) => error,
            };
            match Errno::from_io_error(&error) {
                Some(Errno::AGAIN) => {
                    // Complaints come at once: all of them have been read.
                    self.suspicions = 0;
                    return Ok(None);
                }
                Some(Errno::NOENT) if self.suspicions > 0 => self.suspicions -= 1,
                _ => return Err(error),
            }
        }
    }

    fn bytes(&self) -> &[u8] {
        self.message.as_ref().map(Message::get_payload).unwrap_or_default()
    }

    fn answer(&mut self, answer: Answer<'_>) -> Result<(), Unsent> {
        let Some(mut message) = self.message.take() else { return Ok(()) };
        message.set_verdict(match answer.fate {
            Fate::Drop => Verdict::Drop,
            Fate::Accept => Verdict::Accept,
        });
        if let Some(mark) = answer.mark {
            message.set_nfmark(mark);
        }
        if let Some(bytes) = answer.bytes {
            message.set_payload(bytes);
        }
        let unsent = Unsent { packets: 1, through: answer.packet };
        self.queue.verdict(message).map_err(|_| unsent)
    }

    fn accept_through(&mut self, accepted: Accepted) -> Result<(), Unsent> {
        let Accepted { through, count } = accepted;
        let unsent = Unsent { packets: count.into(), through };
        self.answer_through(through, Fate::Accept).map_err(|_| unsent)
    }

    fn drop_through(&mut self, packet: u32, is_suspicion: bool) -> Result<(), Unsent> {
        self.suspicions += u32::from(is_suspicion);
        let unsent = Unsent { packets: 0, through: packet };
        self.answer_through(packet, Fate::Drop).map_err(|_| unsent)
    }

    fn flush(&mut self) -> Result<(), Unsent> {
        Ok(())
    }

    fn wait(&mut self) -> io::Result<()> {
        poll(&mut [PollFd::new(&self.socket, PollFlags::IN)], None)?;
        Ok(())
    }

    fn read_no_more(&mut self) {
        self.reads_no_more = true;
    }
}

fn head(message: &Message) -> Head {
    let is_complete = message.is_checksum_ready();
    let checksum = if is_complete { Checksum::Complete } else { Checksum::Unfinished };
    Head {
        id: message.get_packet_id(),
        bytes: 0..message.get_payload().len(),
        length: message.get_original_len(),
        mark: message.get_nfmark(),
        ingress: message.get_indev(),
        egress: message.get_outdev(),
        link: packet::number(message.get_hw_addr().unwrap_or_default()),
        checksum,
        is_super_packet: message.is_seg_offloaded(),
    }
}
