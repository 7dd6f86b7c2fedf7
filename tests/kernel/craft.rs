//! Packets as no honest TCP builds them.
//!
//! Starts from an honest packet; a case changes what it likes and seals it again, or does not.

use std::net::{IpAddr, SocketAddr};

use smoltcp::wire::{Ipv4Packet, TcpPacket};

use crate::support::packet::tcp_packet;

/// A packet of a client, changed by `change` (which gets the whole packet and where TCP starts in
/// it) and sealed afterwards.
pub(crate) fn craft(
    ends: (SocketAddr, SocketAddr),
    numbers: (u32, u32),
    flags: u8,
    options: &[u8],
    payload: &[u8],
    change: impl FnOnce(&mut Vec<u8>, usize),
) -> Vec<u8> {
    let (seq, ack) = numbers;
    let mut packet = tcp_packet(ends.0, ends.1, seq, ack, flags, options, payload);
    let start = tcp_start(&packet);
    packet[start + 8..start + 12].copy_from_slice(&ack.to_be_bytes());
    packet[start + 13] = flags;
    change(&mut packet, start);
    reseal(&mut packet);
    packet
}

/// Where TCP starts in a packet without IPv6 extension headers.
pub(crate) fn tcp_start(packet: &[u8]) -> usize {
    if packet[0] >> 4 == 4 { usize::from(packet[0] & 15) * 4 } else { 40 }
}

/// Makes lengths and checksums right.
pub(crate) fn reseal(packet: &mut [u8]) {
    let start = tcp_start(packet);
    let length = packet.len();
    let (source, destination) = ends_of(packet);
    if source.is_ipv4() {
        let mut ip = Ipv4Packet::new_unchecked(&mut *packet);
        ip.set_total_len(length as u16);
        ip.fill_checksum();
    } else {
        packet[4..6].copy_from_slice(&((length - 40) as u16).to_be_bytes());
    }
    let mut tcp = TcpPacket::new_unchecked(&mut packet[start..]);
    tcp.fill_checksum(&source.into(), &destination.into());
}

/// Makes the IPv4 header's length and checksum right and leaves TCP alone.
pub(crate) fn reseal_ip(packet: &mut [u8]) {
    let length = packet.len();
    let mut ip = Ipv4Packet::new_unchecked(packet);
    ip.set_total_len(length as u16);
    ip.fill_checksum();
}

fn ends_of(packet: &[u8]) -> (IpAddr, IpAddr) {
    let v4 = |at: usize| <[u8; 4]>::try_from(&packet[at..at + 4]).map(IpAddr::from);
    let v6 = |at: usize| <[u8; 16]>::try_from(&packet[at..at + 16]).map(IpAddr::from);
    let ends = if packet[0] >> 4 == 4 { (v4(12), v4(16)) } else { (v6(8), v6(24)) };
    match ends {
        (Ok(source), Ok(destination)) => (source, destination),
        _ => unreachable!("slices of the right length"),
    }
}

/// Cuts an IPv4 packet without options into fragments of so many bytes (a multiple of 8).
pub(crate) fn fragments(packet: &[u8], size: usize, id: u16) -> Vec<Vec<u8>> {
    let (header, body) = packet.split_at(20);
    let count = body.len().div_ceil(size);
    let fragment = |(index, piece): (usize, &[u8])| {
        let mut fragment = [header, piece].concat();
        let more = if index + 1 < count { 0x2000 } else { 0 };
        fragment[4..6].copy_from_slice(&id.to_be_bytes());
        fragment[6..8].copy_from_slice(&((index * size / 8) as u16 | more).to_be_bytes());
        reseal_ip(&mut fragment);
        fragment
    };
    body.chunks(size).enumerate().map(fragment).collect()
}

/// One IPv6 fragment: these bytes of a packet's payload, at this place.
pub(crate) fn fragment6(packet: &[u8], range: std::ops::Range<usize>, id: u32) -> Vec<u8> {
    let body = &packet[40..];
    let more = u16::from(range.end < body.len());
    let mut header = vec![packet[6], 0];
    header.extend_from_slice(&(range.start as u16 | more).to_be_bytes());
    header.extend_from_slice(&id.to_be_bytes());
    insert6(&[&packet[..40], &body[range]].concat(), 44, &header)
}

/// Puts an extension header (whose first byte names what follows) before all that there are.
pub(crate) fn insert6(packet: &[u8], kind: u8, header: &[u8]) -> Vec<u8> {
    let mut header = header.to_vec();
    header[0] = packet[6];
    let mut out = [&packet[..40], &header, &packet[40..]].concat();
    out[6] = kind;
    let length = (out.len() - 40) as u16;
    out[4..6].copy_from_slice(&length.to_be_bytes());
    out
}
