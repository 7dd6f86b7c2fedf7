//! A handshake as its table keeps it: 64 bytes, one line of the processor's cache.
//!
//! ```text
//!   addresses  32   IPv4 ones mapped into IPv6, so a flag says which they are
//!   ports       4   isn 4, answer 4, seconds 4
//!   way         8   ingress, egress | interface, client's and server's link hash
//!   sizes       6   MSS, windows of SYN and SYN/ACK
//!   bits        2   0..4 and 4..8 window scales, the rest flags
//! ```

use std::net::{IpAddr, Ipv6Addr};

use super::{Endpoint, FlowKey, Handshake, PerDirection, Way};
use crate::wire::Seq;

/// Stands for a window scale that was not offered; the largest that can be is 14.
const NO_SCALE: u16 = 15;
const SCALE_BITS: u32 = 4;

const IS_LOW_V4: u16 = 1 << 8;
const IS_HIGH_V4: u16 = 1 << 9;
const IS_ANSWERED: u16 = 1 << 10;
const LOW_IS_ORIGINATOR: u16 = 1 << 11;
const IS_ONE_ARMED: u16 = 1 << 12;

/// One record.
#[derive(Clone, Copy, Debug)]
pub(super) struct Packed {
    addresses: [[u8; 16]; 2],
    ports: [u16; 2],
    isn: u32,
    answer: u32,
    seconds: u32,
    way: [u32; 2],
    segment_size: u16,
    windows: [u16; 2],
    bits: u16,
}

const _: () = assert!(size_of::<Packed>() <= 64, "a handshake record fits in 64 bytes");

impl Packed {
    pub(super) fn of(handshake: &Handshake) -> Self {
        let FlowKey { low, high } = handshake.key;
        let (way, is_one_armed) = match handshake.way {
            Way::Through { ingress, egress } => ([ingress, egress], false),
            Way::OneArmed { interface, client_link, server_link } => {
                let links = u32::from(client_link) << 16 | u32::from(server_link);
                ([interface, links], true)
            }
        };
        let flags = [
            (low.address.is_ipv4(), IS_LOW_V4),
            (high.address.is_ipv4(), IS_HIGH_V4),
            (handshake.is_answered, IS_ANSWERED),
            (handshake.is_originator_low, LOW_IS_ORIGINATOR),
            (is_one_armed, IS_ONE_ARMED),
        ];
        let flags: u16 = flags.map(|(is_set, bit)| if is_set { bit } else { 0 }).iter().sum();
        let scales = handshake.offered_scales;
        Self {
            addresses: [mapped(low.address), mapped(high.address)],
            ports: [low.port, high.port],
            isn: handshake.isn.0,
            answer: handshake.answer.0,
            seconds: handshake.seconds,
            way,
            segment_size: handshake.segment_size,
            windows: [handshake.windows.original, handshake.windows.reply],
            bits: flags + (scale_bits(scales.reply) << SCALE_BITS) + scale_bits(scales.original),
        }
    }

    pub(super) fn unpack(&self) -> Handshake {
        let [first, second] = self.way;
        let [syn_window, answer_window] = self.windows;
        let way = if self.has(IS_ONE_ARMED) {
            let [a, b, c, d] = second.to_be_bytes();
            let (client_link, server_link) =
                (u16::from_be_bytes([a, b]), u16::from_be_bytes([c, d]));
            Way::OneArmed { interface: first, client_link, server_link }
        } else {
            Way::Through { ingress: first, egress: second }
        };
        Handshake {
            key: self.key(),
            isn: Seq(self.isn),
            answer: Seq(self.answer),
            seconds: self.seconds,
            way,
            segment_size: self.segment_size,
            windows: PerDirection::new(syn_window, answer_window),
            offered_scales: PerDirection::new(
                scale_of(self.bits),
                scale_of(self.bits >> SCALE_BITS),
            ),
            is_answered: self.has(IS_ANSWERED),
            is_originator_low: self.has(LOW_IS_ORIGINATOR),
        }
    }

    /// When it was last written, whole seconds.
    pub(super) const fn seconds(&self) -> u32 {
        self.seconds
    }

    /// Sequence number of the SYN.
    pub(super) const fn isn(&self) -> Seq {
        Seq(self.isn)
    }

    /// Whether the server has answered.
    pub(super) const fn is_answered(&self) -> bool {
        self.has(IS_ANSWERED)
    }

    pub(super) fn is_of(&self, key: &FlowKey) -> bool {
        self.ports == [key.low.port, key.high.port] && self.key() == *key
    }

    fn key(&self) -> FlowKey {
        let [low, high] = self.addresses;
        let [low_port, high_port] = self.ports;
        FlowKey {
            low: Endpoint { address: unmapped(low, self.has(IS_LOW_V4)), port: low_port },
            high: Endpoint { address: unmapped(high, self.has(IS_HIGH_V4)), port: high_port },
        }
    }

    const fn has(&self, bit: u16) -> bool {
        self.bits & bit != 0
    }
}

/// An address in 16 bytes.
pub(super) const fn mapped(address: IpAddr) -> [u8; 16] {
    match address {
        IpAddr::V4(address) => address.to_ipv6_mapped().octets(),
        IpAddr::V6(address) => address.octets(),
    }
}

fn unmapped(bytes: [u8; 16], is_v4: bool) -> IpAddr {
    let address = Ipv6Addr::from(bytes);
    let mapped = is_v4.then(|| address.to_ipv4_mapped()).flatten();
    mapped.map_or(IpAddr::V6(address), IpAddr::V4)
}

fn scale_bits(scale: Option<u8>) -> u16 {
    scale.map_or(NO_SCALE, |bits| u16::from(bits).min(NO_SCALE - 1))
}

fn scale_of(bits: u16) -> Option<u8> {
    let scale = bits & NO_SCALE;
    u8::try_from(scale).ok().filter(|_| scale != NO_SCALE)
}
