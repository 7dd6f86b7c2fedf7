//! Whole IP packets from a few numbers.

use std::net::{IpAddr, SocketAddr};

use etherparse::PacketBuilder;

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
