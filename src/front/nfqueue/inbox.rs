//! What a socket holds, several datagrams a system call.

use std::array;
use std::io::{self, IoSliceMut};
use std::os::fd::{AsRawFd, BorrowedFd};

use nix::sys::socket::{MsgFlags, MultiHeaders, NetlinkAddr, recvmmsg};

/// Datagrams read and not yet looked at.
pub(super) struct Inbox {
    headers: MultiHeaders<NetlinkAddr>,
    /// One slot for each datagram.
    slots: Vec<u8>,
    lengths: [Length; READ_AT_ONCE_MAX],
    /// How many the last call brought, and which of them is next.
    count: usize,
    next: usize,
    /// How many the next call asks for.
    asked: usize,
    /// Whether the last call brought all that it asked for.
    may_hold_more: bool,
}

/// What is to be read of a slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Length {
    Whole(usize),
    /// The datagram was longer than its slot.
    Cut,
    /// Not from the kernel.
    Foreign,
}

impl Inbox {
    pub(super) fn new() -> Self {
        Self {
            headers: MultiHeaders::preallocate(READ_AT_ONCE_MAX, None),
            slots: vec![0; READ_AT_ONCE_MAX * SLOT_BYTES],
            lengths: [Length::Cut; READ_AT_ONCE_MAX],
            count: 0,
            next: 0,
            asked: ASKED_MIN,
            may_hold_more: false,
        }
    }

    /// Waits for a datagram, and takes what more there is.
    pub(super) fn wait(&mut self, socket: BorrowedFd<'_>) -> io::Result<()> {
        self.fill(socket, MsgFlags::MSG_WAITFORONE)
    }

    /// Takes what there is, where the last call left something; false: nothing.
    pub(super) fn refill(&mut self, socket: BorrowedFd<'_>) -> io::Result<bool> {
        if !self.may_hold_more {
            return Ok(false);
        }
        match self.fill(socket, MsgFlags::MSG_DONTWAIT) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(false),
            done => done.map(|()| true),
        }
    }

    /// Leaves the rest in the socket.
    pub(super) const fn close(&mut self) {
        self.may_hold_more = false;
    }

    /// At most twice as many as came last, and of long ones few, so that they are still in the
    /// processor's cache when they are judged.
    fn fill(&mut self, socket: BorrowedFd<'_>, flags: MsgFlags) -> io::Result<()> {
        (self.count, self.next, self.may_hold_more) = (0, 0, false);
        let mut slots = self.slots.chunks_exact_mut(SLOT_BYTES);
        let mut vectors: [_; READ_AT_ONCE_MAX] =
            array::from_fn(|_| [IoSliceMut::new(slots.next().unwrap_or_default())]);
        let received = recvmmsg(
            socket.as_raw_fd(),
            &mut self.headers,
            vectors.iter_mut().take(self.asked),
            flags,
            None,
        )?;
        let mut bytes = 0;
        for (length, message) in self.lengths.iter_mut().zip(received) {
            self.count += 1;
            bytes += message.bytes;
            *length = if message.address.is_none_or(|address| address.pid() != 0) {
                Length::Foreign
            } else if message.flags.contains(MsgFlags::MSG_TRUNC) {
                Length::Cut
            } else {
                Length::Whole(message.bytes)
            };
        }
        self.may_hold_more = self.count == self.asked;
        self.asked = asked_after(self.count, bytes);
        Ok(())
    }

    /// The slot of the next datagram of the kernel's.
    pub(super) fn advance(&mut self) -> Option<usize> {
        while self.next < self.count {
            let slot = self.next;
            self.next += 1;
            if self.lengths.get(slot) != Some(&Length::Foreign) {
                return Some(slot);
            }
        }
        None
    }

    /// A slot's datagram; empty where it was longer than the slot.
    pub(super) fn datagram(&self, slot: usize) -> &[u8] {
        let Some(&Length::Whole(length)) = self.lengths.get(slot) else { return &[] };
        let start = slot * SLOT_BYTES;
        self.slots.get(start..start + length).unwrap_or_default()
    }
}

/// How many to ask for after so many came, of so many bytes together.
fn asked_after(count: usize, bytes: usize) -> usize {
    let fitting = BYTES_MAX * count / bytes.max(1);
    (2 * count).max(ASKED_MIN).min(fitting).clamp(1, READ_AT_ONCE_MAX)
}

/// Two super-packets and the acknowledgements that answer them.
const ASKED_MIN: usize = 4;

/// Packets that may have been read and not yet judged: enough to save most of the system calls, and
/// few enough to answer the first of them in good time.
const READ_AT_ONCE_MAX: usize = 32;

/// The longest packet that the queue shows, and what is said of it.
const SLOT_BYTES: usize = (64 << 10) + 4_096;

/// A good half of a processor's own cache, and two super-packets.
const BYTES_MAX: usize = 160 << 10;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn twice_as_many_are_asked_for_and_few_long_ones() {
        for (count, bytes, asked) in [
            (1, 60, 4),
            (4, 240, 8),
            (32, 2_000, 32),
            (32, 48_000, 32),
            (4, 4 * 65_600, 2),
            (1, 65_600, 2),
            (8, 4 * 65_600, 4),
        ] {
            assert_eq!(asked_after(count, bytes), asked, "{count} of {bytes}");
        }
    }
}
