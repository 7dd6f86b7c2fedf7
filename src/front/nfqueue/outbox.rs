//! Answers that wait to be sent together.

use std::io::{self, IoSlice};
use std::os::fd::BorrowedFd;

use rustix::net::{SendAncillaryBuffer, SendFlags};

use super::backend::Unsent;
use super::message;

/// Messages written one behind another, and how many packets they answer for.
#[derive(Debug, Default)]
pub(super) struct Outbox {
    bytes: Vec<u8>,
    packets: u64,
    /// The highest number among them.
    through: u32,
}

impl Outbox {
    /// Where to write a message that answers for so many packets, up to this number.
    pub(super) const fn message(&mut self, packets: u64, through: u32) -> &mut Vec<u8> {
        self.packets += packets;
        self.through = through;
        &mut self.bytes
    }

    /// Whether what waits should be sent now.
    pub(super) const fn is_full(&self) -> bool {
        self.packets >= PACKETS_MAX || self.bytes.len() >= BYTES_MAX
    }

    /// Ends the last message with these bytes: few are copied, many are sent with all that waits
    /// from where they are.
    pub(super) fn append(&mut self, socket: BorrowedFd<'_>, bytes: &[u8]) -> Result<(), Unsent> {
        let padding = message::padding(bytes);
        if bytes.len() > COPIED_MAX {
            return self.send(socket, &[bytes, padding]);
        }
        self.bytes.extend(bytes);
        self.bytes.extend(padding);
        Ok(())
    }

    /// Sends what waits.
    pub(super) fn flush(&mut self, socket: BorrowedFd<'_>) -> Result<(), Unsent> {
        if self.bytes.is_empty() { Ok(()) } else { self.send(socket, &[&[], &[]]) }
    }

    fn send(&mut self, socket: BorrowedFd<'_>, [rest, padding]: &[&[u8]; 2]) -> Result<(), Unsent> {
        let parts = [IoSlice::new(&self.bytes), IoSlice::new(rest), IoSlice::new(padding)];
        let sent = send_uninterrupted(socket, &parts);
        let unsent = Unsent { packets: self.packets, through: self.through };
        self.bytes.clear();
        self.packets = 0;
        sent.map_err(|_| unsent)
    }
}

fn send_uninterrupted(socket: BorrowedFd<'_>, parts: &[IoSlice<'_>]) -> io::Result<()> {
    let mut control = SendAncillaryBuffer::default();
    rustix::io::retry_on_intr(|| {
        rustix::net::sendmsg(socket, parts, &mut control, SendFlags::empty())
    })?;
    Ok(())
}

/// Packets answered together: as many as are let through by one answer, for the same reason.
const PACKETS_MAX: u64 = 16;

/// A quarter of what a socket takes in one piece by default, so that a super-packet fits behind it.
const BYTES_MAX: usize = 48 << 10;

/// Up to here a copy is cheaper than a system call.
const COPIED_MAX: usize = 4 << 10;
