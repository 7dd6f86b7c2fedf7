//! One kernel queue: receive a packet, answer it, count what went wrong.
//!
//! Invariant: every packet received is answered exactly once; one that is forgotten, whatever the
//! cause, is dropped, and an answer the kernel did not take is followed by one that drops the
//! packet. What may pass as it came is answered together with its neighbours, before anything else
//! is answered and before the queue is found empty.

use std::sync::atomic::{AtomicU64, Ordering};
use std::{io, mem};

use rustix::io::Errno;

use super::backend::{Answer, Backend, Unsent};
use super::ledger::Ledger;
use super::message::Fate;
use super::packet::Head;
use crate::engine::{Arrival, Path};
use crate::wire::{Checksum, Packet, Parsed};

/// A queue we serve.
pub(in crate::front) struct KernelQueue<'c> {
    number: u16,
    backend: Box<dyn Backend>,
    ledger: Ledger,
    faults: &'c Faults,
    /// Whether the kernel checks of a super-packet where its sender wants the checksum written.
    trusts_super_packets: bool,
    /// For a packet with its checksum.
    finished: Vec<u8>,
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

/// What came of looking for a packet.
pub(in crate::front) enum Received<'q, 'c> {
    /// A packet, to be answered.
    Packet(Held<'q, 'c>),
    /// Nothing is there; all answers have been given.
    Nothing,
    /// A fault, counted; go on.
    Counted,
    /// A fault that will not pass.
    Broken(io::Error),
}

impl<'c> KernelQueue<'c> {
    pub(super) fn new(
        number: u16,
        backend: Box<dyn Backend>,
        faults: &'c Faults,
        trusts_super_packets: bool,
    ) -> Self {
        let (ledger, finished) = (Ledger::default(), Vec::new());
        Self { number, backend, ledger, faults, trusts_super_packets, finished }
    }

    /// The queue's number.
    pub(in crate::front) const fn number(&self) -> u16 {
        self.number
    }

    /// The next packet, without waiting.
    pub(in crate::front) fn receive(&mut self) -> Received<'_, 'c> {
        match self.backend.receive() {
            Ok(Some(head)) => {
                if let Some(unseen) = self.ledger.receive(head.id) {
                    self.settle();
                    self.release_unseen(unseen);
                }
                Received::Packet(Held { queue: self, head, is_answered: false })
            }
            Ok(None) => {
                self.finish();
                if let Some(stuck) = self.ledger.retry() {
                    self.release_unseen(stuck);
                    self.flush();
                }
                Received::Nothing
            }
            Err(error) => {
                self.finish();
                self.classify(error).map_or_else(Received::Broken, |()| Received::Counted)
            }
        }
    }

    /// Waits until there may be a packet, or something else to look at.
    pub(in crate::front) fn wait(&mut self) -> io::Result<()> {
        self.backend.wait().or_else(|error| self.classify(error))
    }

    /// From here on only packets that have been read are received, and [`Received::Nothing`] behind
    /// them: the rest is left to whoever serves the queue next.
    pub(in crate::front) fn read_no_more(&mut self) {
        self.backend.read_no_more();
    }

    /// Counts a fault, unless it is one that will not pass.
    fn classify(&self, error: io::Error) -> io::Result<()> {
        let counter = match Errno::from_io_error(&error) {
            Some(Errno::INTR) => return Ok(()),
            // Not EINVAL: a packet whose answer was refused so would still be in the queue.
            Some(Errno::NOENT) => &self.faults.late,
            Some(Errno::NOBUFS) => &self.faults.overruns,
            // The gap in the numbers will show.
            Some(Errno::NOSPC) => &self.faults.undelivered,
            _ => return Err(error),
        };
        counter.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }

    /// Tells the kernel of everything that was decided.
    pub(in crate::front) fn finish(&mut self) {
        self.settle();
        self.flush();
    }

    /// Lets all go that may pass.
    fn settle(&mut self) {
        if let Some(accepted) = self.ledger.settle() {
            let told = self.backend.accept_through(accepted);
            self.check(told);
        }
    }

    fn flush(&mut self) {
        let told = self.backend.flush();
        self.check(told);
    }

    /// An answer that did not arrive leaves packets in the kernel that nobody will ask about.
    fn check(&mut self, told: Result<(), Unsent>) {
        if let Err(Unsent { packets, through }) = told {
            self.faults.unanswered.fetch_add(packets, Ordering::Relaxed);
            self.release(through, false);
        }
    }

    /// The same for packets that may not even be there.
    fn release_unseen(&mut self, packet: u32) {
        self.release(packet, true);
    }

    /// Drops every packet up to this one that the kernel still holds.
    fn release(&mut self, packet: u32, is_suspicion: bool) {
        let dropped = self.backend.drop_through(packet, is_suspicion);
        if dropped.and_then(|()| self.backend.flush()).is_err() {
            self.ledger.suspect();
        }
    }
}

/// A packet the kernel holds until it is answered; dropped if it never is.
pub(in crate::front) struct Held<'q, 'c> {
    queue: &'q mut KernelQueue<'c>,
    head: Head,
    is_answered: bool,
}

impl Held<'_, '_> {
    /// The packet as the engine wants it.
    pub(in crate::front) fn arrival(&self) -> Arrival<'_> {
        let head = &self.head;
        let bytes = self.queue.backend.bytes();
        let is_truncated = bytes.len() < head.length;
        if is_truncated {
            self.queue.faults.truncated.fetch_add(1, Ordering::Relaxed);
        }
        Arrival {
            bytes,
            checksum: head.checksum,
            is_super_packet: head.is_super_packet,
            is_truncated,
            path: path(head),
        }
    }

    /// The number of the queue it waits in.
    pub(in crate::front) const fn queue_number(&self) -> u16 {
        self.queue.number()
    }

    /// Lets the packet go on as it came, or with its mark changed and nothing else.
    ///
    /// A checksum that its sender has left to a network card is filled in first: the kernel would
    /// write it where the sender said, which may be into what was judged.
    pub(in crate::front) fn accept(mut self, marking: Option<Marking>) {
        let Head { checksum, is_super_packet, .. } = self.head;
        let is_trusted = is_super_packet && self.queue.trusts_super_packets;
        if checksum == Checksum::Unfinished && !is_trusted {
            let mut finished = mem::take(&mut self.queue.finished);
            let parsed = Packet::parse(self.queue.backend.bytes());
            if let Ok(Parsed::Tcp(packet)) = parsed {
                packet.fill_checksum(&mut finished);
                self.replace(&finished, marking);
                self.queue.finished = finished;
                return;
            }
        }
        if marking.is_some() || !self.queue.ledger.accept() {
            return self.answer(Fate::Accept, marking, None);
        }
        self.is_answered = true;
        if self.queue.ledger.is_full() {
            self.queue.finish();
        }
    }

    /// Lets these bytes go on instead.
    pub(in crate::front) fn rewrite(mut self, bytes: &[u8], marking: Option<Marking>) {
        self.replace(bytes, marking);
    }

    fn replace(&mut self, bytes: &[u8], marking: Option<Marking>) {
        if bytes.len() > ANSWER_BYTES_MAX {
            self.queue.faults.oversized.fetch_add(1, Ordering::Relaxed);
        } else {
            self.answer(Fate::Accept, marking, Some(bytes));
        }
    }

    fn answer(&mut self, fate: Fate, marking: Option<Marking>, bytes: Option<&[u8]>) {
        self.is_answered = true;
        self.queue.settle();
        let mark = marking.map(|Marking { set, clear }| self.head.mark & !clear | set);
        let answer = Answer { packet: self.head.id, fate, mark, bytes };
        let told = self.queue.backend.answer(answer);
        self.queue.check(told);
    }
}

impl Drop for Held<'_, '_> {
    fn drop(&mut self) {
        if !self.is_answered {
            self.answer(Fate::Drop, None, None);
        }
    }
}

/// What the machine sends to itself comes in by the interface it goes out by; a hook names only one
/// of the two, and both directions would seem to come from the same end.
const fn path(head: &Head) -> Path {
    let &Head { ingress, egress, link, .. } = head;
    if ingress == LOOPBACK || egress == LOOPBACK {
        return Path { ingress: LOOPBACK, egress: LOOPBACK, link: 0 };
    }
    Path { ingress, egress, link }
}

/// Index of the loopback interface in every network namespace (`LOOPBACK_IFINDEX`).
const LOOPBACK: u32 = 1;

/// A netlink attribute counts its bytes, four of its own among them, in 16 bits.
const ANSWER_BYTES_MAX: usize = 65_531;
