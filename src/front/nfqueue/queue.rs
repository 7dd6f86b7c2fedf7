//! One kernel queue behind a seam: receive a packet, answer it, count what went wrong.
//!
//! The only module that knows the nfq crate. Invariant: every packet received is answered exactly
//! once; one that is forgotten, whatever the cause, is dropped, and an answer the kernel did not
//! take is followed by one that drops the packet. What may pass as it came is answered together
//! with its neighbours, before anything else is answered and before the queue is found empty.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::atomic::{AtomicU64, Ordering};

use rustix::io::Errno;
use rustix::net::sockopt;

use super::ledger::Ledger;
use super::{listing, netlink};
use crate::config;
use crate::engine::{Arrival, Checksum, Path};
use crate::front::FrontError;

/// A queue we serve.
pub(in crate::front) struct KernelQueue<'c> {
    number: u16,
    inner: nfq::Queue,
    socket: OwnedFd,
    ledger: Ledger,
    /// Answers given on suspicion, of which the kernel may complain.
    suspicions: u32,
    faults: &'c Faults,
}

/// What went wrong between the kernel and us, all queues together.
#[derive(Debug, Default)]
pub(in crate::front) struct Faults {
    /// Answers to packets the kernel no longer had (an interface went down).
    pub(in crate::front) late: AtomicU64,
    /// Times the kernel said that it lost packets for want of buffer.
    pub(in crate::front) overruns: AtomicU64,
    /// Packets too long to be delivered.
    pub(in crate::front) undelivered: AtomicU64,
    /// Packets of which the kernel can show no more than a part.
    pub(in crate::front) truncated: AtomicU64,
    /// Answers the kernel did not take.
    pub(in crate::front) unanswered: AtomicU64,
    /// Packets dropped because their new bytes exceed what one answer can carry.
    pub(in crate::front) oversized: AtomicU64,
}

/// What is changed about the mark of a packet that goes on; other bits stay as they were.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::front) struct Marking {
    /// Bits to set.
    pub(in crate::front) set: u32,
    /// Bits to clear.
    pub(in crate::front) clear: u32,
}

impl Marking {
    fn put_on(self, message: &mut nfq::Message) {
        message.set_nfmark(message.get_nfmark() & !self.clear | self.set);
    }
}

/// What came of waiting for a packet.
pub(in crate::front) enum Received<'q, 'c> {
    /// A packet, to be answered.
    Packet(Held<'q, 'c>),
    /// Nothing is there.
    Nothing,
    /// A fault, counted; go on.
    Counted,
    /// A fault that will not pass.
    Broken(io::Error),
}

impl<'c> KernelQueue<'c> {
    /// Opens and binds a queue. To be called before threads start.
    pub(in crate::front) fn open(
        number: u16,
        settings: &config::Queue,
        faults: &'c Faults,
    ) -> Result<Self, FrontError> {
        let (inner, socket) = netlink::open().map_err(|error| {
            FrontError::io("cannot open a netfilter queue socket (needs Linux 5.6)", error)
        })?;
        let ledger = Ledger::default();
        let mut queue = Self { number, inner, socket, ledger, suspicions: 0, faults };
        queue.enlarge_buffer(settings.socket_buffer);
        queue.bind(settings).map_err(|error| refusal(number, error))?;
        queue.inner.set_nonblocking(true);
        Ok(queue)
    }

    fn enlarge_buffer(&self, bytes: usize) {
        // Only the first needs CAP_NET_ADMIN in the initial user namespace; the second is bounded
        // by net.core.rmem_max. What came of it is logged by the caller.
        if sockopt::set_socket_recv_buffer_size_force(&self.socket, bytes).is_err() {
            let _ = sockopt::set_socket_recv_buffer_size(&self.socket, bytes);
        }
    }

    fn bind(&mut self, settings: &config::Queue) -> io::Result<()> {
        let setup = netlink::Setup { length: settings.length, gso: settings.gso };
        netlink::bind(self.socket.as_fd(), self.number, setup)?;
        // While nfq waits for that acknowledgement it throws away packets that came before it; the
        // gap in the numbers will show.
        self.inner.set_copy_range(self.number, u16::MAX)
    }

    /// The queue's number.
    pub(in crate::front) const fn number(&self) -> u16 {
        self.number
    }

    /// Bytes the kernel lets this queue's socket hold.
    pub(in crate::front) fn buffer_bytes(&self) -> usize {
        sockopt::socket_recv_buffer_size(&self.socket).unwrap_or(0)
    }

    /// What to poll for packets.
    pub(in crate::front) fn readiness(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }

    /// The next packet, without waiting.
    pub(in crate::front) fn receive(&mut self) -> Received<'_, 'c> {
        match self.inner.recv() {
            Ok(message) => {
                if let Some(unseen) = self.ledger.receive(message.get_packet_id()) {
                    self.settle();
                    self.release_unseen(unseen);
                }
                Received::Packet(Held { queue: self, message: Some(message) })
            }
            Err(error) => {
                self.settle();
                self.classify(error)
            }
        }
    }

    fn classify(&mut self, error: io::Error) -> Received<'_, 'c> {
        let counter = match Errno::from_io_error(&error) {
            Some(Errno::AGAIN) => {
                // Complaints come at once: all of them have been read.
                self.suspicions = 0;
                if let Some(stuck) = self.ledger.retry() {
                    self.release_unseen(stuck);
                }
                return Received::Nothing;
            }
            Some(Errno::INTR) => return Received::Nothing,
            Some(Errno::NOENT) if self.suspicions > 0 => {
                self.suspicions -= 1;
                return Received::Counted;
            }
            // Not EINVAL: a packet whose answer was refused so would still be in the queue.
            Some(Errno::NOENT) => &self.faults.late,
            Some(Errno::NOBUFS) => &self.faults.overruns,
            // The gap in the numbers will show.
            Some(Errno::NOSPC) => &self.faults.undelivered,
            _ => return Received::Broken(error),
        };
        counter.fetch_add(1, Ordering::Relaxed);
        Received::Counted
    }

    /// Tells the kernel of all packets that may pass.
    pub(in crate::front) fn settle(&mut self) {
        let Some(accepted) = self.ledger.settle() else { return };
        let told = netlink::accept_through(self.socket.as_fd(), self.number, accepted.through);
        if told.is_err() {
            self.faults.unanswered.fetch_add(accepted.count.into(), Ordering::Relaxed);
            self.release(accepted.through);
        }
    }

    /// Sends an answer. One that fails leaves a packet in the kernel that nobody will ask about.
    fn answer(&mut self, message: nfq::Message) {
        self.settle();
        let packet = message.get_packet_id();
        if self.inner.verdict(message).is_err() {
            self.faults.unanswered.fetch_add(1, Ordering::Relaxed);
            self.release(packet);
        }
    }

    /// The same for packets that may not even be there.
    fn release_unseen(&mut self, packet: u32) {
        self.suspicions += 1;
        self.release(packet);
    }

    /// Drops every packet up to this one that the kernel still holds.
    fn release(&mut self, packet: u32) {
        if netlink::drop_through(self.socket.as_fd(), self.number, packet).is_err() {
            self.ledger.suspect();
        }
    }
}

/// A packet the kernel holds until it is answered; dropped if it never is.
pub(in crate::front) struct Held<'q, 'c> {
    queue: &'q mut KernelQueue<'c>,
    message: Option<nfq::Message>,
}

impl Held<'_, '_> {
    /// The packet as the engine wants it.
    pub(in crate::front) fn arrival(&self) -> Option<Arrival<'_>> {
        let message = self.message.as_ref()?;
        let bytes = message.get_payload();
        let is_truncated = bytes.len() < message.get_original_len();
        if is_truncated {
            self.queue.faults.truncated.fetch_add(1, Ordering::Relaxed);
        }
        Some(Arrival {
            bytes,
            checksum: if message.is_checksum_ready() {
                Checksum::Complete
            } else {
                Checksum::Unfinished
            },
            is_super_packet: message.is_seg_offloaded(),
            is_truncated,
            path: path(message.get_indev(), message.get_outdev(), link_of(message)),
        })
    }

    /// Lets the packet go on as it came, or with its mark changed and nothing else.
    pub(in crate::front) fn accept(mut self, marking: Option<Marking>) {
        if let Some(marking) = marking {
            return self.answer(|message| {
                marking.put_on(message);
                message.set_verdict(nfq::Verdict::Accept);
            });
        }
        if !self.queue.ledger.accept() {
            return self.answer(|message| message.set_verdict(nfq::Verdict::Accept));
        }
        self.message = None;
        if self.queue.ledger.is_full() {
            self.queue.settle();
        }
    }

    /// Lets these bytes go on instead.
    pub(in crate::front) fn rewrite(mut self, bytes: Vec<u8>, marking: Option<Marking>) {
        if bytes.len() > ANSWER_BYTES_MAX {
            self.queue.faults.oversized.fetch_add(1, Ordering::Relaxed);
            return;
        }
        self.answer(|message| {
            if let Some(marking) = marking {
                marking.put_on(message);
            }
            message.set_payload(bytes);
            message.set_verdict(nfq::Verdict::Accept);
        });
    }

    fn answer(&mut self, fill: impl FnOnce(&mut nfq::Message)) {
        if let Some(mut message) = self.message.take() {
            fill(&mut message);
            self.queue.answer(message);
        }
    }
}

impl Drop for Held<'_, '_> {
    fn drop(&mut self) {
        self.answer(|message| message.set_verdict(nfq::Verdict::Drop));
    }
}

/// What the machine sends to itself comes in by the interface it goes out by; a hook names only one
/// of the two, and both directions would seem to come from the same end.
const fn path(ingress: u32, egress: u32, link: u64) -> Path {
    if ingress == LOOPBACK || egress == LOOPBACK {
        return Path { ingress: LOOPBACK, egress: LOOPBACK, link: 0 };
    }
    Path { ingress, egress, link }
}

/// The sender's link-layer address as a number; 0 where the kernel names none.
fn link_of(message: &nfq::Message) -> u64 {
    let bytes = message.get_hw_addr().unwrap_or_default();
    bytes.iter().fold(0, |number, &byte| number << 8 | u64::from(byte))
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

/// Index of the loopback interface in every network namespace (`LOOPBACK_IFINDEX`).
const LOOPBACK: u32 = 1;

/// A netlink attribute counts its bytes, four of its own among them, in 16 bits.
const ANSWER_BYTES_MAX: usize = 65_531;
