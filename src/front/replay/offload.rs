//! What a capture has otherwise than the wire: lengths and checksums that the recording machine
//! left to its network card, and checksums that nobody mended after addresses were rewritten.
//!
//! Reads nothing but headers, and changes nothing but these fields.

use std::net::IpAddr;
use std::ops::Range;

use etherparse::{IpNumber, Ipv4HeaderSlice, LaxNetSlice, LaxSlicedPacket, TcpSlice, checksum};

use super::repeat::adjust;

/// What a replay makes of the checksums of mail.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Checksums {
    /// Verify them as a receiver would: a packet with a wrong one is dropped
    #[default]
    Verify,
    /// Judge as if they were right, and write right ones
    Mend,
    /// Judge as if they were right; a packet that passes unchanged keeps what it has
    Ignore,
}

/// The state of a packet's checksums, IPv4 and TCP together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Sums {
    /// Right, or no matter for us: a fragment, or a packet that is not whole.
    #[default]
    Right,
    /// Left to a network card: empty, or the sum of the pseudo-header.
    Unfinished,
    /// Anything else.
    Wrong,
}

/// Offsets in an IPv4 header.
const IPV4_LENGTH: usize = 2;
const IPV4_CHECKSUM: usize = 10;
/// Offsets in an IPv6 header, and its length.
const IPV6_LENGTH: usize = 4;
const IPV6_NEXT_HEADER: usize = 6;
const IPV6_HEADER_BYTES: usize = 40;
/// A Hop-by-Hop Options header, where a jumbogram states its length (RFC 2675 2).
const HOP_BY_HOP: u8 = 0;
/// Offset of the checksum in a TCP header.
const TCP_CHECKSUM: usize = 16;

/// A frame whose IP packet states no length, with the length it has; `None` where that fits into
/// no length field, or a jumbogram says it elsewhere. An IPv4 checksum is corrected by the
/// difference, so that a wrong one stays wrong.
pub(super) fn state_length(frame: &[u8], range: &Range<usize>) -> Option<Vec<u8>> {
    let mut frame = frame.to_vec();
    let packet = frame.get_mut(range.clone())?;
    if !is_v4(packet)? && *packet.get(IPV6_NEXT_HEADER)? == HOP_BY_HOP {
        return None;
    }
    let length = put_length(packet)?;
    if is_v4(packet)? {
        let sum = field(packet, IPV4_CHECKSUM)?;
        // One that was left empty has to be seen as such.
        if *sum != [0, 0] {
            *sum = adjust(*sum, &[0xffff, length]);
        }
    }
    Some(frame)
}

/// Writes the length that an IP packet has where it states one, and returns that; none where it
/// fits into no length field.
pub(super) fn put_length(packet: &mut [u8]) -> Option<u16> {
    let (at, before) =
        if is_v4(packet)? { (IPV4_LENGTH, 0) } else { (IPV6_LENGTH, IPV6_HEADER_BYTES) };
    let length = u16::try_from(packet.len().checked_sub(before)?).ok()?;
    *field(packet, at)? = length.to_be_bytes();
    Some(length)
}

fn is_v4(packet: &[u8]) -> Option<bool> {
    Some(packet.first()? >> 4 == 4)
}

fn field(bytes: &mut [u8], at: usize) -> Option<&mut [u8; 2]> {
    bytes.get_mut(at..)?.first_chunk_mut()
}

/// A whole TCP segment in one IP packet, as far as checksums go.
struct Segment<'a> {
    /// Offset of the TCP header in the IP packet.
    start: usize,
    bytes: &'a [u8],
    /// The sum of the pseudo-header.
    pseudo: checksum::Sum16BitWords,
}

impl<'a> Segment<'a> {
    fn of(packet: &'a [u8]) -> Option<Self> {
        let sliced = LaxSlicedPacket::from_ip(packet).ok()?;
        let payload = sliced.ip_payload()?;
        if payload.fragmented || payload.incomplete || payload.ip_number != IpNumber::TCP {
            return None;
        }
        let bytes = payload.payload;
        TcpSlice::from_slice(bytes).ok()?;
        let (source, destination): (IpAddr, IpAddr) = match sliced.net.as_ref()? {
            LaxNetSlice::Ipv4(ip) => {
                (ip.header().source_addr().into(), ip.header().destination_addr().into())
            }
            LaxNetSlice::Ipv6(ip) => {
                (ip.header().source_addr().into(), ip.header().destination_addr().into())
            }
            LaxNetSlice::Arp(_) => return None,
        };
        let start = packet.len().checked_sub(bytes.len())?;
        Some(Self { start, bytes, pseudo: pseudo_sum(source, destination, bytes.len())? })
    }

    fn sum(&self) -> Option<[u8; 2]> {
        self.bytes.get(TCP_CHECKSUM..)?.first_chunk().copied()
    }

    fn is_right(&self) -> bool {
        self.pseudo.clone().add_slice(self.bytes).ones_complement() == 0
    }

    /// Whether the checksum is what a sender leaves to a card that will add the rest, or nothing,
    /// which is what some loopbacks leave. By chance it may be the right one as well.
    fn is_partial(&self) -> bool {
        let Some(field) = self.sum().map(u16::from_ne_bytes) else { return false };
        field == 0 || field == !self.pseudo.ones_complement()
    }
}

fn pseudo_sum(
    source: IpAddr,
    destination: IpAddr,
    length: usize,
) -> Option<checksum::Sum16BitWords> {
    let sum = checksum::Sum16BitWords::new();
    let sum = match (source, destination) {
        (IpAddr::V4(a), IpAddr::V4(b)) => sum.add_slice(&a.octets()).add_slice(&b.octets()),
        (IpAddr::V6(a), IpAddr::V6(b)) => sum.add_slice(&a.octets()).add_slice(&b.octets()),
        (IpAddr::V4(_), IpAddr::V6(_)) | (IpAddr::V6(_), IpAddr::V4(_)) => return None,
    };
    let sum = sum.add_slice(&u32::try_from(length).ok()?.to_be_bytes());
    Some(sum.add_slice(&u16::from(IpNumber::TCP.0).to_be_bytes()))
}

/// The checksum that an IPv4 header should have, if it has another.
fn header_sum(packet: &[u8]) -> Option<u16> {
    let header = Ipv4HeaderSlice::from_slice(packet).ok()?;
    let right = header.to_header().calc_header_checksum();
    (header.header_checksum() != right).then_some(right)
}

/// The state of a packet's checksums, and whether that of TCP was left to a network card.
pub(super) fn sums(packet: &[u8]) -> (Sums, bool) {
    let Some(segment) = Segment::of(packet) else { return (Sums::Right, false) };
    let is_right = segment.is_right();
    let is_unfinished = !is_right && segment.is_partial();
    let is_header_right = header_sum(packet).is_none();
    let is_header_empty = packet.get(IPV4_CHECKSUM..).is_some_and(|sum| sum.starts_with(&[0, 0]));
    let sums = if is_header_right && is_right {
        Sums::Right
    } else if (is_header_right || is_header_empty) && (is_right || is_unfinished) {
        Sums::Unfinished
    } else {
        Sums::Wrong
    };
    (sums, is_unfinished)
}

/// A frame with right checksums in its IP packet, if it has others.
pub(super) fn mend(frame: &[u8], range: &Range<usize>) -> Option<Vec<u8>> {
    let packet = frame.get(range.clone())?;
    let segment = Segment::of(packet)?;
    let header = header_sum(packet);
    let is_right = segment.is_right();
    if is_right && header.is_none() {
        return None;
    }
    let mut mended = frame.to_vec();
    let packet = mended.get_mut(range.clone())?;
    if let Some(sum) = header {
        *field(packet, IPV4_CHECKSUM)? = sum.to_be_bytes();
    }
    if !is_right {
        let (at, pseudo) = (segment.start.checked_add(TCP_CHECKSUM)?, segment.pseudo.clone());
        *field(packet, at)? = [0, 0];
        let sum = pseudo.add_slice(packet.get(segment.start..)?).ones_complement();
        // The sum of words in this machine's order is in this machine's order.
        *field(packet, at)? = sum.to_ne_bytes();
    }
    Some(mended)
}
