//! What the kernel sends through a queue's socket, read where it lies.

use crate::wire::Checksum;
use std::ops::Range;

/// One message of the kernel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Incoming {
    /// A packet that waits for an answer.
    Packet(Head),
    /// Something asked for was done.
    Acknowledged,
    /// Something asked for was not done.
    Refused {
        /// The sequence number it was asked for with.
        sequence: u32,
        /// The kernel's error number.
        code: i32,
    },
    /// The kernel had messages and no room for them.
    Overrun,
    /// The message is shorter than it says, or no packet number can be found in it.
    Cut,
    /// Nothing of this queue's.
    Other,
}

/// What is said of a packet, besides its bytes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Head {
    /// Its number in the queue.
    pub(super) id: u32,
    /// Where in the message its bytes are.
    pub(super) bytes: Range<usize>,
    /// How many bytes it has.
    pub(super) length: usize,
    /// Its mark.
    pub(super) mark: u32,
    /// Index of the interface it came in by; 0: none.
    pub(super) ingress: u32,
    /// Index of the interface it is to leave by; 0: none.
    pub(super) egress: u32,
    /// The sender's link-layer address as a number; 0: none.
    pub(super) link: u64,
    /// Whether its sender has left its checksum to the network card.
    pub(super) checksum: Checksum,
    /// Whether it is to be segmented yet.
    pub(super) is_super_packet: bool,
}

/// Reads one datagram. The queue puts one message into each; whatever else should stand behind it
/// is not read, and a packet among it would show as a gap in the numbers.
pub(super) fn parse(datagram: &[u8]) -> Incoming {
    let (Some(length), Some(kind)) = (native_u32(datagram, 0), native_u16(datagram, 4)) else {
        return Incoming::Cut;
    };
    let message = usize::try_from(length).ok().and_then(|length| datagram.get(..length));
    match (kind, message) {
        (_, None) => Incoming::Cut,
        (KIND_PACKET, Some(message)) => head(message).map_or(Incoming::Cut, Incoming::Packet),
        (KIND_ERROR, Some(message)) => refusal(message).unwrap_or(Incoming::Cut),
        (KIND_OVERRUN, Some(_)) => Incoming::Overrun,
        (_, Some(_)) => Incoming::Other,
    }
}

/// The kernel says which request it speaks of by repeating the head of it.
fn refusal(message: &[u8]) -> Option<Incoming> {
    let code = native_u32(message, HEADER_BYTES)?.cast_signed();
    let sequence = native_u32(message, HEADER_BYTES + 4 + 8)?;
    let refused = Incoming::Refused { sequence, code: code.saturating_neg() };
    Some(if code == 0 { Incoming::Acknowledged } else { refused })
}

fn head(message: &[u8]) -> Option<Head> {
    let mut head = Head::default();
    let (mut has_id, mut whole) = (false, None);
    let mut at = HEADER_BYTES + FAMILY_BYTES;
    while let (Some(length), Some(kind)) = (native_u16(message, at), native_u16(message, at + 2)) {
        let length = usize::from(length);
        let value = at + 4..at + length;
        let bytes = message.get(value.clone())?;
        match kind & KIND_BITS {
            ATTRIBUTE_HEADER => {
                head.id = network_u32(bytes)?;
                has_id = true;
            }
            ATTRIBUTE_MARK => head.mark = network_u32(bytes)?,
            ATTRIBUTE_INGRESS => head.ingress = network_u32(bytes)?,
            ATTRIBUTE_EGRESS => head.egress = network_u32(bytes)?,
            ATTRIBUTE_LINK => head.link = link(bytes),
            ATTRIBUTE_PAYLOAD => head.bytes = value,
            ATTRIBUTE_LENGTH => whole = usize::try_from(network_u32(bytes)?).ok(),
            ATTRIBUTE_INFO => {
                // A third flag says that nobody verified the checksums; the engine does anyway.
                let flags = network_u32(bytes)?;
                if flags & INFO_UNFINISHED != 0 {
                    head.checksum = Checksum::Unfinished;
                }
                head.is_super_packet = flags & INFO_SUPER_PACKET != 0;
            }
            _ => {}
        }
        at += length.next_multiple_of(4);
    }
    head.length = whole.unwrap_or_else(|| head.bytes.len());
    has_id.then_some(head)
}

/// The address stands in eight bytes, behind the number of those that count.
fn link(bytes: &[u8]) -> u64 {
    let count = bytes.first_chunk().map_or(0, |&count| u16::from_be_bytes(count));
    let address = bytes.get(4..).unwrap_or_default();
    number(address.get(..count.into()).unwrap_or(address))
}

/// A link-layer address as a number.
pub(super) fn number(address: &[u8]) -> u64 {
    address.iter().fold(0, |number, &byte| number << 8 | u64::from(byte))
}

fn native_u16(bytes: &[u8], at: usize) -> Option<u16> {
    bytes.get(at..)?.first_chunk().map(|&chunk| u16::from_ne_bytes(chunk))
}

fn native_u32(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..)?.first_chunk().map(|&chunk| u32::from_ne_bytes(chunk))
}

fn network_u32(bytes: &[u8]) -> Option<u32> {
    bytes.first_chunk().map(|&chunk| u32::from_be_bytes(chunk))
}

/// `nlmsghdr`: length, kind, flags, sequence number, port id.
const HEADER_BYTES: usize = 16;

/// `nfgenmsg`: family, version, the queue's number.
const FAMILY_BYTES: usize = 4;

/// The queue among netfilter's parts: the upper byte of the kind of its messages.
pub(super) const SUBSYSTEM_QUEUE: u16 = 3;

const KIND_ERROR: u16 = 2;
const KIND_OVERRUN: u16 = 4;
const KIND_PACKET: u16 = SUBSYSTEM_QUEUE << 8;

/// The two bits above them say how an attribute is written.
const KIND_BITS: u16 = 0x3fff;

const ATTRIBUTE_HEADER: u16 = 1;
/// The mark of a packet, as it came or as it is to go on.
pub(super) const ATTRIBUTE_MARK: u16 = 3;
const ATTRIBUTE_INGRESS: u16 = 5;
const ATTRIBUTE_EGRESS: u16 = 6;
const ATTRIBUTE_LINK: u16 = 9;
/// The packet itself.
pub(super) const ATTRIBUTE_PAYLOAD: u16 = 10;
const ATTRIBUTE_LENGTH: u16 = 13;
const ATTRIBUTE_INFO: u16 = 14;
const INFO_UNFINISHED: u32 = 1;
const INFO_SUPER_PACKET: u32 = 2;

#[cfg(test)]
mod tests {
    use super::*;

    fn message(kind: u16, body: &[u8]) -> Vec<u8> {
        let length = u32::try_from(16 + body.len()).unwrap().to_ne_bytes();
        [&length[..], &kind.to_ne_bytes(), &[0; 10], body].concat()
    }

    fn attribute(kind: u16, value: &[u8]) -> Vec<u8> {
        let length = u16::try_from(4 + value.len()).unwrap().to_ne_bytes();
        let mut bytes = [&length[..], &kind.to_ne_bytes(), value].concat();
        bytes.resize(bytes.len().next_multiple_of(4), 0);
        bytes
    }

    fn packet() -> Vec<u8> {
        let parts = [
            vec![0, 0, 0, 7],
            attribute(1, &[0, 0, 1, 2, 8, 0, 3]),
            attribute(5, &[0, 0, 0, 4]),
            attribute(6, &[0, 0, 0, 5]),
            attribute(3, &[1, 0, 0, 0]),
            attribute(9, &[0, 6, 0, 0, 2, 0, 0, 0, 0, 9, 0xff, 0xff]),
            attribute(13, &[0, 1, 0, 0]),
            attribute(14 | 0x8000, &[0, 0, 0, 7]),
            attribute(99, b"later"),
            attribute(10, b"bytes"),
        ];
        message(KIND_PACKET, &parts.concat())
    }

    #[test]
    fn a_packet_is_read_where_it_lies() {
        let datagram = packet();
        let Incoming::Packet(head) = parse(&datagram) else { panic!("{:?}", parse(&datagram)) };
        assert_eq!(&datagram[head.bytes.clone()], b"bytes");
        let expected = Head {
            id: 0x0102,
            bytes: head.bytes.clone(),
            length: 65_536,
            mark: 0x0100_0000,
            ingress: 4,
            egress: 5,
            link: 0x0200_0000_0009,
            checksum: Checksum::Unfinished,
            is_super_packet: true,
        };
        assert_eq!(head, expected);
    }

    #[test]
    fn what_is_cut_anywhere_is_no_packet() {
        let datagram = packet();
        for length in 0..datagram.len() {
            assert_eq!(parse(&datagram[..length]), Incoming::Cut, "{length}");
        }
        // Cut by its own account: never a panic, and no bytes that are not there.
        for length in 0..datagram.len() {
            let mut cut = datagram.clone();
            cut[..4].copy_from_slice(&u32::try_from(length).unwrap().to_ne_bytes());
            if let Incoming::Packet(head) = parse(&cut) {
                assert!(head.bytes.end <= length, "{length}");
            }
        }
        // An attribute shorter than its own head would never end.
        assert_eq!(parse(&message(KIND_PACKET, &[0; 8])), Incoming::Cut);
        assert_eq!(parse(&message(KIND_PACKET, &[0; 4])), Incoming::Cut, "no number");
    }

    #[test]
    fn the_kernel_says_what_became_of_a_request() {
        let error = |code: i32| {
            let request = message(0x0303, &[]);
            let mut body = [&code.to_ne_bytes()[..], &request].concat();
            body[12..16].copy_from_slice(&77_u32.to_ne_bytes());
            parse(&message(KIND_ERROR, &body))
        };
        assert_eq!(error(0), Incoming::Acknowledged);
        assert_eq!(error(-2), Incoming::Refused { sequence: 77, code: 2 });
        assert_eq!(parse(&message(KIND_OVERRUN, &[0; 4])), Incoming::Overrun);
        assert_eq!(parse(&message(3, &[0; 4])), Incoming::Other);
        assert_eq!(parse(&message(KIND_ERROR, &[0; 4])), Incoming::Cut);
    }
}
