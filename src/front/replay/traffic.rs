//! Which packets of a capture a gateway would have queued: the part that iptables plays.
//!
//! Reads addresses and the TCP header, nothing else. Of fragments only the first holds ports; the
//! kernel joins them before the queue, and here the engine refuses the first one, without which the
//! others are worth nothing.

use std::net::IpAddr;

use etherparse::{IpNumber, Ipv6ExtensionSlice, LaxNetSlice, LaxSlicedPacket, TcpSlice};

use super::repeat::Segment;
use crate::flow::{Endpoint, FlowKey};

use super::offload::{self, Sums};

/// What an IP packet is to a filter of mail.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Traffic<'a> {
    /// TCP from or to a mail port.
    Mail(Mail),
    /// Perhaps mail: it claims to be TCP or cannot be read that far. The engine shall say.
    Unreadable,
    /// TCP between other ports.
    Foreign(Foreign<'a>),
    /// Nothing that could be queued.
    Other,
}

/// A segment between ports that are not those of mail.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Foreign<'a> {
    /// Who sent it.
    pub(super) source: Endpoint,
    /// Who was to get it.
    pub(super) destination: Endpoint,
    /// What it carries.
    pub(super) payload: &'a [u8],
}

/// What the network has to know of a packet of mail.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Mail {
    /// Its flow.
    pub(super) key: FlowKey,
    /// Who was to get it.
    pub(super) destination: Endpoint,
    /// Its segment, if that can be read.
    pub(super) segment: Option<Segment>,
    /// The state of its checksums.
    pub(super) sums: Sums,
}

impl<'a> Traffic<'a> {
    /// Sorts an IP packet; a whole one has all its bytes.
    pub(super) fn of(packet: &'a [u8], ports: &[u16], is_whole: bool) -> Self {
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
            let payload = TcpSlice::from_slice(payload.payload).map(|tcp| tcp.payload());
            let payload = payload.unwrap_or_default();
            return Self::Foreign(Foreign { source: from, destination: to, payload });
        }
        let (sums, is_unfinished) =
            if is_whole { offload::sums(packet) } else { (Sums::Right, false) };
        let segment = Segment::of(from, packet, payload.payload, is_unfinished);
        Self::Mail(Mail { key: FlowKey::of(from, to), destination: to, segment, sums })
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
