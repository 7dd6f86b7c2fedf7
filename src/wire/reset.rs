//! The only packet Mailguard originates: a RST, built from nothing but addresses and numbers.

use std::net::{IpAddr, SocketAddr};

use etherparse::PacketBuilder;

use super::Seq;

/// Hops a RST may make; the value every current TCP stack starts with.
const HOP_LIMIT: u8 = 64;

/// What a RST says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reset {
    /// In whose name.
    pub source: SocketAddr,
    /// To whom.
    pub destination: SocketAddr,
    /// The next byte the receiver expects; any other number is only challenged (RFC 5961 3.2).
    pub seq: Seq,
    /// What the named sender has received.
    pub ack: Seq,
}

/// The packet: IP and TCP header, checksums complete. `None` if the addresses are of different
/// families, which no flow has.
#[must_use]
pub fn build_reset(reset: &Reset) -> Option<Vec<u8>> {
    let builder = match (reset.source.ip(), reset.destination.ip()) {
        (IpAddr::V4(source), IpAddr::V4(destination)) => {
            PacketBuilder::ipv4(source.octets(), destination.octets(), HOP_LIMIT)
        }
        (IpAddr::V6(source), IpAddr::V6(destination)) => {
            PacketBuilder::ipv6(source.octets(), destination.octets(), HOP_LIMIT)
        }
        _ => return None,
    };
    let builder = builder
        .tcp(reset.source.port(), reset.destination.port(), reset.seq.0, 0)
        .rst()
        .ack(reset.ack.0);
    let mut bytes = Vec::with_capacity(builder.size(0));
    builder.write(&mut bytes, &[]).ok()?;
    Some(bytes)
}
