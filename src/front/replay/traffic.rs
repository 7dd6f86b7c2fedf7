//! Which packets of a capture a gateway would have queued: the part that iptables plays.
//!
//! Reads ports and, for captures made on the sending machine, the state of the checksums;
//! nothing else. Of fragments only the first holds ports; the kernel joins them before the queue,
//! and here the engine refuses the first one, without which the others are worth nothing.

use std::net::IpAddr;

use etherparse::{
    IpNumber, Ipv4HeaderSlice, Ipv6ExtensionSlice, LaxIpPayloadSlice, LaxNetSlice, LaxSlicedPacket,
    checksum,
};

use super::repeat::Segment;
use crate::flow::{Endpoint, FlowKey};

/// Offset of the checksum in a TCP header.
const TCP_CHECKSUM: usize = 16;
/// Offset of the checksum in an IPv4 header.
const IPV4_CHECKSUM: usize = 10;

/// What an IP packet is to a filter of mail.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Traffic {
    /// TCP from or to a mail port.
    Mail(Mail),
    /// Perhaps mail: it claims to be TCP or cannot be read that far. The engine shall say.
    Unreadable,
    /// Nothing that would have been queued.
    Other,
}

/// What the network has to know of a packet of mail.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Mail {
    /// Its flow.
    pub(super) key: FlowKey,
    /// Its segment, if that can be read.
    pub(super) segment: Option<Segment>,
    /// Whether one of its checksums was left to a network card.
    pub(super) is_unfinished: bool,
}

impl Traffic {
    /// Sorts an IP packet; a whole one has all its bytes.
    pub(super) fn of(packet: &[u8], ports: &[u16], is_whole: bool) -> Self {
        let Ok(sliced) = LaxSlicedPacket::from_ip(packet) else { return Self::Unreadable };
        let Some(payload) = sliced.ip_payload() else { return Self::Unreadable };
        if payload.ip_number != IpNumber::TCP {
            return Self::Other;
        }
        let Some((source, destination, is_later)) = sliced.net.as_ref().and_then(addresses) else {
            return Self::Unreadable;
        };
        if is_later {
            return Self::Other;
        }
        let [a, b, c, d, ..] = *payload.payload else { return Self::Unreadable };
        let from = Endpoint { address: source, port: u16::from_be_bytes([a, b]) };
        let to = Endpoint { address: destination, port: u16::from_be_bytes([c, d]) };
        if !ports.contains(&from.port) && !ports.contains(&to.port) {
            return Self::Other;
        }
        let is_partial = is_whole && is_unfinished(source, destination, payload);
        let segment = Segment::of(from, packet, payload.payload, is_partial);
        let is_unfinished = is_partial || finish_header(packet).is_some();
        Self::Mail(Mail { key: FlowKey::of(from, to), segment, is_unfinished })
    }
}

/// Source, destination, and whether this is a fragment other than the first. Only for a packet
/// whose extension headers lead to TCP: etherparse 0.21 reads beyond those that are cut short.
fn addresses(net: &LaxNetSlice<'_>) -> Option<(IpAddr, IpAddr, bool)> {
    match net {
        LaxNetSlice::Ipv4(slice) => {
            let header = slice.header();
            let is_later = header.fragments_offset().value() != 0;
            Some((header.source_addr().into(), header.destination_addr().into(), is_later))
        }
        LaxNetSlice::Ipv6(slice) => {
            let header = slice.header();
            let is_later = slice.extensions().clone().into_iter().any(|extension| {
                matches!(extension, Ipv6ExtensionSlice::Fragment(fragment)
                    if fragment.fragment_offset().value() != 0)
            });
            Some((header.source_addr().into(), header.destination_addr().into(), is_later))
        }
        LaxNetSlice::Arp(_) => None,
    }
}

/// Whether the checksum field holds the folded sum of the pseudo-header, which is what a sender
/// leaves to a card that will add the rest, or nothing, which is what some loopbacks leave; and
/// not by chance the right checksum as well.
fn is_unfinished(source: IpAddr, destination: IpAddr, payload: &LaxIpPayloadSlice<'_>) -> bool {
    let segment = payload.payload;
    let (Some(&[high, low]), Ok(length)) =
        (segment.get(TCP_CHECKSUM..).and_then(<[u8]>::first_chunk), u32::try_from(segment.len()))
    else {
        return false;
    };
    let sum = checksum::Sum16BitWords::new();
    let sum = match (source, destination) {
        (IpAddr::V4(a), IpAddr::V4(b)) => sum.add_slice(&a.octets()).add_slice(&b.octets()),
        (IpAddr::V6(a), IpAddr::V6(b)) => sum.add_slice(&a.octets()).add_slice(&b.octets()),
        (IpAddr::V4(_), IpAddr::V6(_)) | (IpAddr::V6(_), IpAddr::V4(_)) => return false,
    };
    let pseudo = sum
        .add_slice(&length.to_be_bytes())
        .add_slice(&u16::from(payload.ip_number.0).to_be_bytes());
    let field = u16::from_ne_bytes([high, low]);
    (field == 0 || field == !pseudo.ones_complement())
        && pseudo.add_slice(segment).ones_complement() != 0
}

/// An IPv4 packet with its header's checksum filled in, if that was left empty.
pub(super) fn finish_header(packet: &[u8]) -> Option<Vec<u8>> {
    let header = Ipv4HeaderSlice::from_slice(packet).ok()?;
    let checksum = header.to_header().calc_header_checksum();
    if header.header_checksum() != 0 || checksum == 0 {
        return None;
    }
    let mut packet = packet.to_vec();
    *packet.get_mut(IPV4_CHECKSUM..)?.first_chunk_mut()? = checksum.to_be_bytes();
    Some(packet)
}
