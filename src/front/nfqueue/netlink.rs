//! The two queue messages the nfq crate cannot send, and a handle on its socket to send them by.
//!
//! One message that configures a whole queue before its first packet can come, and one that answers
//! for every packet up to a number. Layout: `linux/netfilter/nfnetlink_queue.h`.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd};

use rustix::net::netlink::SocketAddrNetlink;
use rustix::net::{AddressFamily, RecvFlags, SendFlags, netlink, sockopt};
use rustix::process::{PidfdFlags, PidfdGetfdFlags, getpid, pidfd_getfd, pidfd_open};

/// Opens a queue socket and a second handle on it, which nfq 0.2.5 does not give out.
///
/// The kernel hands out the lowest free number, so the one just freed is the one the socket gets,
/// as long as no other thread opens anything: to be called before threads start.
pub(super) fn open() -> io::Result<(nfq::Queue, OwnedFd)> {
    let myself = pidfd_open(getpid(), PidfdFlags::empty())?;
    let slot = myself.try_clone()?;
    let number = slot.as_raw_fd();
    drop(slot);
    let queue = nfq::Queue::open()?;
    let socket = pidfd_getfd(&myself, number, PidfdGetfdFlags::empty())?;
    let is_ours = sockopt::socket_domain(&socket)? == AddressFamily::NETLINK
        && sockopt::socket_protocol(&socket)? == Some(netlink::NETFILTER);
    if !is_ours {
        return Err(io::Error::other("the queue's socket is not where it was expected"));
    }
    Ok((queue, socket))
}

/// What a queue is told before its first packet.
#[derive(Clone, Copy, Debug)]
pub(super) struct Setup {
    /// Packets the kernel keeps.
    pub(super) length: u32,
    /// Whether super-packets come whole.
    pub(super) gso: bool,
}

/// Binds a queue and configures it in the same message. It copies no packet yet, and therefore
/// none can be lost between this and the call that sets how much of a packet is copied. A queue
/// that is full drops packets, whatever is configured: what passed by a running filter could not be
/// told from an attack, by the filter least of all.
pub(super) fn bind(socket: BorrowedFd<'_>, number: u16, setup: Setup) -> io::Result<()> {
    let flags = if setup.gso { FLAG_GSO } else { 0 };
    let mut message = Message::new(MESSAGE_CONFIG, FLAG_REQUEST | FLAG_ACK, number);
    message.attribute(CONFIG_COMMAND, &[COMMAND_BIND, 0, 0, 0]);
    message.attribute(CONFIG_LENGTH_MAX, &setup.length.to_be_bytes());
    message.attribute(CONFIG_MASK, &FLAG_GSO.to_be_bytes());
    message.attribute(CONFIG_FLAGS, &flags.to_be_bytes());
    message.send(socket)?;
    acknowledgement(socket)
}

/// Drops every packet of a queue up to this packet number. Where there is none, the kernel says so
/// with ENOENT to the next reader of the socket.
pub(super) fn drop_through(socket: BorrowedFd<'_>, number: u16, packet: u32) -> io::Result<()> {
    answer_through(socket, number, packet, VERDICT_DROP)
}

/// Lets every packet of a queue up to this packet number go on as it came.
pub(super) fn accept_through(socket: BorrowedFd<'_>, number: u16, packet: u32) -> io::Result<()> {
    answer_through(socket, number, packet, VERDICT_ACCEPT)
}

fn answer_through(
    socket: BorrowedFd<'_>,
    number: u16,
    packet: u32,
    verdict: u32,
) -> io::Result<()> {
    let mut message = Message::new(MESSAGE_VERDICT_BATCH, FLAG_REQUEST, number);
    let [a, b, c, d] = verdict.to_be_bytes();
    let [e, f, g, h] = packet.to_be_bytes();
    message.attribute(ATTRIBUTE_VERDICT, &[a, b, c, d, e, f, g, h]);
    message.send(socket)
}

fn acknowledgement(socket: BorrowedFd<'_>) -> io::Result<()> {
    let mut buffer = [0; 512];
    let (_, length) = rustix::net::recv(socket, &mut buffer, RecvFlags::empty())?;
    let answer = buffer.get(..length).unwrap_or(&buffer);
    let kind = answer.get(4..6).and_then(|bytes| bytes.try_into().ok()).map(u16::from_ne_bytes);
    let code = answer.get(16..20).and_then(|bytes| bytes.try_into().ok()).map(i32::from_ne_bytes);
    match (kind, code) {
        (Some(MESSAGE_ERROR), Some(0)) => Ok(()),
        (Some(MESSAGE_ERROR), Some(code)) => {
            Err(io::Error::from_raw_os_error(code.saturating_neg()))
        }
        _ => Err(io::Error::other("the kernel's answer is not an acknowledgement")),
    }
}

/// A netlink message under construction.
struct Message(Vec<u8>);

impl Message {
    fn new(kind: u16, flags: u16, queue: u16) -> Self {
        let mut bytes = vec![0; 4];
        bytes.extend((SUBSYSTEM_QUEUE << 8 | kind).to_ne_bytes());
        bytes.extend(flags.to_ne_bytes());
        // Sequence number and port id: nobody reads them. Then the family and version, both 0.
        bytes.extend([0; 10]);
        bytes.extend(queue.to_be_bytes());
        Self(bytes)
    }

    fn attribute(&mut self, kind: u16, value: &[u8]) {
        debug_assert!(value.len().is_multiple_of(4), "attributes need no padding");
        let length = u16::try_from(4 + value.len()).unwrap_or(u16::MAX);
        self.0.extend(length.to_ne_bytes());
        self.0.extend(kind.to_ne_bytes());
        self.0.extend(value);
    }

    fn send(mut self, socket: BorrowedFd<'_>) -> io::Result<()> {
        let length = u32::try_from(self.0.len()).unwrap_or(u32::MAX).to_ne_bytes();
        for (to, from) in self.0.iter_mut().zip(length) {
            *to = from;
        }
        let kernel = SocketAddrNetlink::new(0, 0);
        rustix::net::sendto(socket, &self.0, SendFlags::empty(), &kernel)?;
        Ok(())
    }
}

const SUBSYSTEM_QUEUE: u16 = 3;
const MESSAGE_ERROR: u16 = 2;
const MESSAGE_CONFIG: u16 = 2;
const MESSAGE_VERDICT_BATCH: u16 = 3;
const FLAG_REQUEST: u16 = 1;
const FLAG_ACK: u16 = 4;
const ATTRIBUTE_VERDICT: u16 = 2;
const VERDICT_DROP: u32 = 0;
const VERDICT_ACCEPT: u32 = 1;
const CONFIG_COMMAND: u16 = 1;
const CONFIG_LENGTH_MAX: u16 = 3;
const CONFIG_MASK: u16 = 4;
const CONFIG_FLAGS: u16 = 5;
const COMMAND_BIND: u8 = 1;
const FLAG_GSO: u32 = 4;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_laid_out_as_the_kernel_reads_it() {
        let mut message = Message::new(MESSAGE_VERDICT_BATCH, FLAG_REQUEST, 0x0102);
        message.attribute(ATTRIBUTE_VERDICT, &[0, 0, 0, 0, 1, 2, 3, 4]);
        let [kind_low, kind_high] = 0x0303_u16.to_ne_bytes();
        let expected = [
            &[0, 0, 0, 0, kind_low, kind_high][..],
            &1_u16.to_ne_bytes(),
            &[0; 8],
            &[0, 0, 1, 2],
            &12_u16.to_ne_bytes(),
            &2_u16.to_ne_bytes(),
            &[0, 0, 0, 0, 1, 2, 3, 4],
        ]
        .concat();
        assert_eq!(message.0, expected);
    }
}
