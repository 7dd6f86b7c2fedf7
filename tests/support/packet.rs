//! Whole IP packets from a few numbers.

use std::net::{IpAddr, SocketAddr};

use etherparse::PacketBuilder;
use mailguard::engine::{Arrival, Path};
use mailguard::wire::Checksum;

/// A packet on its way, with a checksum that nobody looks at, between interfaces without a number.
pub fn arrival(bytes: &[u8]) -> Arrival<'_> {
    Arrival {
        bytes,
        checksum: Checksum::Unfinished,
        is_super_packet: false,
        is_truncated: false,
        path: Path::default(),
    }
}

/// TCP flag bits.
pub const FIN: u8 = 1;
/// See [`FIN`].
pub const SYN: u8 = 2;
/// See [`FIN`].
pub const RST: u8 = 4;
/// See [`FIN`].
pub const PSH: u8 = 8;
/// See [`FIN`].
pub const ACK: u8 = 16;
/// See [`FIN`].
pub const URG: u8 = 32;

/// A packet with valid lengths and checksums; URG points behind the first byte.
pub fn tcp_packet(
    source: SocketAddr,
    destination: SocketAddr,
    seq: u32,
    ack: u32,
    flags: u8,
    options: &[u8],
    payload: &[u8],
) -> Vec<u8> {
    let builder = match (source.ip(), destination.ip()) {
        (IpAddr::V4(a), IpAddr::V4(b)) => PacketBuilder::ipv4(a.octets(), b.octets(), 64),
        (IpAddr::V6(a), IpAddr::V6(b)) => PacketBuilder::ipv6(a.octets(), b.octets(), 64),
        _ => panic!("two address families"),
    };
    let mut builder = builder.tcp(source.port(), destination.port(), seq, 64_240);
    if flags & FIN != 0 {
        builder = builder.fin();
    }
    if flags & SYN != 0 {
        builder = builder.syn();
    }
    if flags & RST != 0 {
        builder = builder.rst();
    }
    if flags & PSH != 0 {
        builder = builder.psh();
    }
    if flags & ACK != 0 {
        builder = builder.ack(ack);
    }
    if flags & URG != 0 {
        builder = builder.urg(1);
    }
    let builder = builder.options_raw(options).expect("at most 40 bytes of options");
    let mut bytes = Vec::with_capacity(builder.size(payload.len()));
    builder.write(&mut bytes, payload).expect("writing to memory");
    bytes
}

/// The packet with something in its TCP part changed, checksum filled in again.
pub fn patched(packet: &[u8], change: impl FnOnce(&mut [u8])) -> Vec<u8> {
    let mut bytes = packet.to_vec();
    let start = if bytes[0] >> 4 == 4 { usize::from(bytes[0] & 15) * 4 } else { 40 };
    change(&mut bytes[start..]);
    fill_checksums(&mut bytes, start);
    bytes
}

/// Fills in the checksums of a packet whose TCP header starts there.
pub fn fill_checksums(bytes: &mut [u8], start: usize) {
    use smoltcp::wire::{IpAddress, Ipv4Packet, Ipv6Packet, TcpPacket};
    let (source, destination): (IpAddress, IpAddress) = if bytes[0] >> 4 == 4 {
        let mut ip = Ipv4Packet::new_unchecked(&mut bytes[..]);
        ip.fill_checksum();
        (ip.src_addr().into(), ip.dst_addr().into())
    } else {
        let ip = Ipv6Packet::new_unchecked(&bytes[..]);
        (ip.src_addr().into(), ip.dst_addr().into())
    };
    TcpPacket::new_unchecked(&mut bytes[start..]).fill_checksum(&source, &destination);
}

/// An IPv4 packet as fragments of this many payload bytes (a multiple of 8).
pub fn fragments(packet: &[u8], size: usize) -> Vec<Vec<u8>> {
    let payload = &packet[20..];
    let count = payload.len().div_ceil(size);
    let fragment = |index: usize| {
        let part = &payload[index * size..payload.len().min((index + 1) * size)];
        let mut bytes = [&packet[..20], part].concat();
        let length = u16::try_from(bytes.len()).unwrap();
        bytes[2..4].copy_from_slice(&length.to_be_bytes());
        let more = if index + 1 < count { 0x2000 } else { 0 };
        let offset = u16::try_from(index * size / 8).unwrap() | more;
        bytes[6..8].copy_from_slice(&offset.to_be_bytes());
        smoltcp::wire::Ipv4Packet::new_unchecked(&mut bytes[..]).fill_checksum();
        bytes
    };
    (0..count).map(fragment).collect()
}
