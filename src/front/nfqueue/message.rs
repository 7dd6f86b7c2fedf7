//! The messages of the queue's netlink protocol that we send, one behind another in a buffer.
//!
//! Layout: `linux/netfilter/nfnetlink_queue.h`. Numbers of netlink itself are in the machine's byte
//! order, those of the queue in the network's.

use std::io;
use std::os::fd::BorrowedFd;

use rustix::net::{RecvFlags, SendFlags};

use super::packet::{self, ATTRIBUTE_MARK, ATTRIBUTE_PAYLOAD, Incoming, SUBSYSTEM_QUEUE};

/// What a queue is told before its first packet.
#[derive(Clone, Copy, Debug)]
pub(super) struct Setup {
    /// Packets the kernel keeps.
    pub(super) length: u32,
    /// Whether super-packets come whole.
    pub(super) gso: bool,
}

/// What is to become of packets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    /// They are dropped.
    Drop,
    /// They go on.
    Accept,
}

/// Binds a queue and configures it in the same message. It copies no packet yet, and therefore
/// none can be lost between this and [`show_packets`]. A queue that is full drops packets, whatever
/// is configured: what passed by a running filter could not be told from an attack, by the filter
/// least of all.
pub(super) fn bind(socket: BorrowedFd<'_>, number: u16, setup: Setup) -> io::Result<()> {
    let mut buffer = Vec::new();
    let mut message = Message::begin(&mut buffer, Kind::Config, FLAG_REQUEST | FLAG_ACK, 0, number);
    message.attribute(CONFIG_COMMAND, &[COMMAND_BIND, 0, 0, 0]);
    message.setup(setup);
    message.end(0);
    send(socket, &buffer)?;
    acknowledgement(socket)
}

/// Has packets delivered, whole. A refusal is read where packets are.
pub(super) fn show_packets(socket: BorrowedFd<'_>, number: u16) -> io::Result<()> {
    let mut buffer = Vec::new();
    let mut message = Message::begin(&mut buffer, Kind::Config, FLAG_REQUEST, 0, number);
    message.whole_packets();
    message.end(0);
    send(socket, &buffer)
}

/// Configures a queue that is bound to this socket already. Packets may lie in the socket, so a
/// refusal is read where they are.
pub(super) fn configure(socket: BorrowedFd<'_>, number: u16, setup: Setup) -> io::Result<()> {
    let mut buffer = Vec::new();
    let mut message = Message::begin(&mut buffer, Kind::Config, FLAG_REQUEST, 0, number);
    message.whole_packets();
    message.setup(setup);
    message.end(0);
    send(socket, &buffer)
}

/// Wakes up whoever waits at this socket: asks for nothing, and the kernel says that it was done.
pub(super) fn wake(socket: BorrowedFd<'_>) -> io::Result<()> {
    let mut buffer = Vec::new();
    Message::begin(&mut buffer, Kind::Nothing, FLAG_REQUEST | FLAG_ACK, 0, 0).end(0);
    send(socket, &buffer)
}

/// Writes the answer for every packet up to this number. The sequence number comes back with the
/// kernel's complaint, if it has one.
pub(super) fn answer_through(
    buffer: &mut Vec<u8>,
    number: u16,
    packet: u32,
    fate: Fate,
    sequence: u32,
) {
    let mut message = Message::begin(buffer, Kind::VerdictBatch, FLAG_REQUEST, sequence, number);
    message.verdict(fate, packet);
    message.end(0);
}

/// Writes the answer for one packet, up to where its new bytes begin: those, and the padding behind
/// them, are the caller's to add.
pub(super) fn answer(
    buffer: &mut Vec<u8>,
    number: u16,
    packet: u32,
    (fate, mark): (Fate, Option<u32>),
    bytes: Option<&[u8]>,
) {
    let mut message = Message::begin(buffer, Kind::Verdict, FLAG_REQUEST, 0, number);
    message.verdict(fate, packet);
    if let Some(mark) = mark {
        message.attribute(ATTRIBUTE_MARK, &mark.to_be_bytes());
    }
    let Some(bytes) = bytes else { return message.end(0) };
    message.head(ATTRIBUTE_PAYLOAD, bytes.len());
    message.end(bytes.len() + padding(bytes).len());
}

/// What has to stand behind these bytes where they end an attribute.
pub(super) const fn padding(bytes: &[u8]) -> &'static [u8] {
    match bytes.len() % 4 {
        0 => &[],
        1 => &[0; 3],
        2 => &[0; 2],
        _ => &[0; 1],
    }
}

/// Sends messages to the kernel; all of them, or none. A socket that was never connected to
/// anybody talks to the kernel.
pub(super) fn send(socket: BorrowedFd<'_>, messages: &[u8]) -> io::Result<()> {
    rustix::net::send(socket, messages, SendFlags::empty())?;
    Ok(())
}

fn acknowledgement(socket: BorrowedFd<'_>) -> io::Result<()> {
    let mut buffer = [0; 512];
    let (_, length) = rustix::net::recv(socket, &mut buffer, RecvFlags::empty())?;
    match packet::parse(buffer.get(..length).unwrap_or(&buffer)) {
        Incoming::Acknowledged => Ok(()),
        Incoming::Refused { code, .. } => Err(io::Error::from_raw_os_error(code)),
        Incoming::Packet(_) | Incoming::Overrun | Incoming::Cut | Incoming::Other => {
            Err(io::Error::other("the kernel's answer is not an acknowledgement"))
        }
    }
}

/// A message under construction at the end of a buffer.
struct Message<'b> {
    buffer: &'b mut Vec<u8>,
    start: usize,
}

#[derive(Clone, Copy)]
#[repr(u16)]
enum Kind {
    /// `NLMSG_NOOP`.
    Nothing = 1,
    Verdict = SUBSYSTEM_QUEUE << 8 | 1,
    Config = SUBSYSTEM_QUEUE << 8 | 2,
    VerdictBatch = SUBSYSTEM_QUEUE << 8 | 3,
}

impl<'b> Message<'b> {
    fn begin(buffer: &'b mut Vec<u8>, kind: Kind, flags: u16, sequence: u32, queue: u16) -> Self {
        let start = buffer.len();
        buffer.extend([0; 4]);
        buffer.extend((kind as u16).to_ne_bytes());
        buffer.extend(flags.to_ne_bytes());
        buffer.extend(sequence.to_ne_bytes());
        // The port id, which the kernel knows; then the family and version, both 0.
        buffer.extend([0; 6]);
        buffer.extend(queue.to_be_bytes());
        Self { buffer, start }
    }

    fn attribute(&mut self, kind: u16, value: &[u8]) {
        debug_assert!(value.len().is_multiple_of(4), "attributes need no padding");
        self.head(kind, value.len());
        self.buffer.extend(value);
    }

    fn head(&mut self, kind: u16, length: usize) {
        let length = u16::try_from(4 + length).unwrap_or(u16::MAX);
        self.buffer.extend(length.to_ne_bytes());
        self.buffer.extend(kind.to_ne_bytes());
    }

    fn verdict(&mut self, fate: Fate, packet: u32) {
        let [a, b, c, d] = (fate as u32).to_be_bytes();
        let [e, f, g, h] = packet.to_be_bytes();
        self.attribute(ATTRIBUTE_VERDICT, &[a, b, c, d, e, f, g, h]);
    }

    fn setup(&mut self, setup: Setup) {
        let flags = if setup.gso { CONFIG_GSO } else { 0 };
        self.attribute(CONFIG_LENGTH_MAX, &setup.length.to_be_bytes());
        self.attribute(CONFIG_MASK, &CONFIG_GSO.to_be_bytes());
        self.attribute(CONFIG_FLAGS, &flags.to_be_bytes());
    }

    fn whole_packets(&mut self) {
        let [a, b, c, d] = u32::from(u16::MAX).to_be_bytes();
        // The structure has five bytes, and netlink pads it.
        self.head(CONFIG_PARAMETERS, 5);
        self.buffer.extend([a, b, c, d, COPY_PACKET, 0, 0, 0]);
    }

    /// Ends the message; so many bytes of it follow from elsewhere.
    fn end(self, elsewhere: usize) {
        let length = self.buffer.len() - self.start + elsewhere;
        let length = u32::try_from(length).unwrap_or(u32::MAX).to_ne_bytes();
        for (to, from) in self.buffer.iter_mut().skip(self.start).zip(length) {
            *to = from;
        }
    }
}

const FLAG_REQUEST: u16 = 1;
const FLAG_ACK: u16 = 4;
const ATTRIBUTE_VERDICT: u16 = 2;
const CONFIG_COMMAND: u16 = 1;
const CONFIG_PARAMETERS: u16 = 2;
const CONFIG_LENGTH_MAX: u16 = 3;
const CONFIG_MASK: u16 = 4;
const CONFIG_FLAGS: u16 = 5;
const COMMAND_BIND: u8 = 1;
const COPY_PACKET: u8 = 2;
const CONFIG_GSO: u32 = 4;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_laid_out_as_the_kernel_reads_them() {
        let mut buffer = Vec::new();
        answer_through(&mut buffer, 0x0102, 0x0102_0304, Fate::Drop, 0x0506_0708);
        let first = [
            &32_u32.to_ne_bytes()[..],
            &0x0303_u16.to_ne_bytes(),
            &1_u16.to_ne_bytes(),
            &0x0506_0708_u32.to_ne_bytes(),
            &[0; 4],
            &[0, 0, 1, 2],
            &12_u16.to_ne_bytes(),
            &2_u16.to_ne_bytes(),
            &[0, 0, 0, 0, 1, 2, 3, 4],
        ]
        .concat();
        assert_eq!(buffer, first);
        // The one behind it: its new bytes and their padding are counted, and sent from elsewhere.
        answer(&mut buffer, 7, 9, (Fate::Accept, Some(0x0a0b_0c0d)), Some(b"12345"));
        let second = [
            &52_u32.to_ne_bytes()[..],
            &0x0301_u16.to_ne_bytes(),
            &1_u16.to_ne_bytes(),
            &[0; 8],
            &[0, 0, 0, 7],
            &12_u16.to_ne_bytes(),
            &2_u16.to_ne_bytes(),
            &[0, 0, 0, 1, 0, 0, 0, 9],
            &8_u16.to_ne_bytes(),
            &3_u16.to_ne_bytes(),
            &[0x0a, 0x0b, 0x0c, 0x0d],
            &9_u16.to_ne_bytes(),
            &10_u16.to_ne_bytes(),
        ]
        .concat();
        assert_eq!(buffer, [first, second].concat());
        assert_eq!(padding(b"12345").len(), 3);
        assert_eq!(padding(b"1234").len(), 0);
    }
}
