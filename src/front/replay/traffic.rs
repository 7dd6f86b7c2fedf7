//! Which packets of a capture a gateway would have queued: the part that iptables plays.
//!
//! Reads addresses and the TCP header, nothing else. Of fragments only the first holds ports; the
//! kernel joins them before the queue, and here the engine refuses the first one, without which the
//! others are worth nothing.

use std::net::IpAddr;

use etherparse::{IpNumber, Ipv6ExtensionSlice, LaxNetSlice, LaxSlicedPacket, TcpSlice};

use super::repeat::Segment;
use crate::flow::{Endpoint, FlowKey};
use crate::wire::{Checksum, Packet, Parsed};

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
    /// A fragment of TCP other than the first: it names no ports.
    Fragment,
    /// A packet in a packet, of this IP protocol.
    Tunnel(u8),
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
    /// Whether it is the first of several fragments.
    pub(super) is_fragment: bool,
}

/// IP protocols that carry IP packets: IPv4, IPv6 and GRE.
const TUNNELS: [IpNumber; 3] = [IpNumber::IPV4, IpNumber::IPV6, IpNumber::GRE];

impl<'a> Traffic<'a> {
    /// Sorts an IP packet; a whole one has all its bytes.
    pub(super) fn of(packet: &'a [u8], ports: &[u16], is_whole: bool) -> Self {
        let plain = if is_whole { Mail::plain(packet, ports) } else { None };
        plain.map_or_else(|| Self::of_any(packet, ports, is_whole), Self::Mail)
    }

    /// The same for any packet at all.
    fn of_any(packet: &'a [u8], ports: &[u16], is_whole: bool) -> Self {
        let Ok(sliced) = LaxSlicedPacket::from_ip(packet) else { return Self::Unreadable };
        let Some(payload) = sliced.ip_payload() else { return Self::Unreadable };
        if TUNNELS.contains(&payload.ip_number) {
            return Self::Tunnel(payload.ip_number.0);
        }
        if payload.ip_number != IpNumber::TCP {
            return Self::Other;
        }
        let Some((source, destination, is_later)) = sliced.net.as_ref().and_then(addresses) else {
            return Self::Unreadable;
        };
        if is_later {
            return Self::Fragment;
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
        let (key, is_fragment) = (FlowKey::of(from, to), payload.fragmented);
        Self::Mail(Mail { key, destination: to, segment, sums, is_fragment })
    }
}

impl Mail {
    /// A segment of mail of which nothing is wrong, which most are.
    fn plain(packet: &[u8], ports: &[u16]) -> Option<Self> {
        let Ok(Parsed::Tcp(tcp)) = Packet::parse(packet) else { return None };
        let (from, to) = (tcp.source_port, tcp.destination_port);
        let is_mail = ports.contains(&from) || ports.contains(&to);
        let is_right = tcp.bytes().len() == packet.len() && tcp.verify(Checksum::Complete).is_ok();
        if !is_mail || !is_right {
            return None;
        }
        let segment = Segment::read(&tcp);
        let destination = Endpoint { address: tcp.destination, port: to };
        let key = FlowKey::of(segment.source, destination);
        let segment = Some(segment);
        Some(Self { key, destination, segment, sums: Sums::Right, is_fragment: false })
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

#[cfg(test)]
mod tests {
    use etherparse::PacketBuilder;

    use super::*;

    /// On every change of one byte, and on every end that is missing.
    #[test]
    fn what_is_plain_is_read_as_any_packet_is() {
        let build = |builder: etherparse::PacketBuilderStep<etherparse::IpHeaders>, syn: bool| {
            let tcp = builder.tcp(40_000, 25, 7, 1_000);
            let tcp = if syn { tcp.syn() } else { tcp.ack(9) };
            let mut packet = Vec::new();
            tcp.write(&mut packet, b"NOOP\r\n").unwrap();
            packet
        };
        let (four, six) = ([[192, 0, 2, 1], [198, 51, 100, 2]], [[1; 16], [2; 16]]);
        let mut plain = 0;
        for packet in [
            build(PacketBuilder::ipv4(four[0], four[1], 64), false),
            build(PacketBuilder::ipv4(four[0], four[1], 64), true),
            build(PacketBuilder::ipv6(six[0], six[1], 64), false),
        ] {
            let changes = (0..packet.len()).flat_map(|at| (0..=255).map(move |byte| (at, byte)));
            for (at, byte) in changes {
                let mut packet = packet.clone();
                packet[at] = byte;
                let any = Traffic::of_any(&packet, &[25], true);
                assert_eq!(Traffic::of(&packet, &[25], true), any, "{at}: {byte}");
                plain += usize::from(Mail::plain(&packet, &[25]).is_some());
            }
            for end in 0..packet.len() {
                let (cut, longer) = (&packet[..end], [&packet[..], &packet[..end]].concat());
                for bytes in [cut, &longer] {
                    let any = Traffic::of_any(bytes, &[25], true);
                    assert_eq!(Traffic::of(bytes, &[25], true), any, "{} bytes", bytes.len());
                }
            }
            assert!(Mail::plain(&packet, &[2525]).is_none());
        }
        assert!(plain > 100, "what was not changed is plain");
    }
}
