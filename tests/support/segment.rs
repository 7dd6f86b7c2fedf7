//! What can be read off a packet that came: its TCP segment, field by field.

use std::net::SocketAddr;

use etherparse::{IpSlice, TcpSlice};
use smoltcp::wire::{IpAddress, Ipv4Packet, TcpPacket};

/// A segment that came.
#[derive(Clone, Debug)]
pub struct Segment {
    pub source: SocketAddr,
    pub destination: SocketAddr,
    pub seq: u32,
    pub ack: u32,
    /// FIN, SYN, RST, PSH, ACK, URG, ECE, CWR from the lowest bit on.
    pub flags: u8,
    pub window: u16,
    pub options: Vec<u8>,
    pub payload: Vec<u8>,
    /// Whether IP and TCP checksums are right.
    pub is_sound: bool,
    /// The whole packet's length.
    pub length: usize,
}

impl Segment {
    /// Reads an IP packet with TCP in it.
    pub fn read(bytes: &[u8]) -> Option<Self> {
        let ip = IpSlice::from_slice(bytes).ok()?;
        let payload = ip.payload();
        if payload.fragmented || payload.ip_number != etherparse::IpNumber::TCP {
            return None;
        }
        let tcp = TcpSlice::from_slice(payload.payload).ok()?;
        let (source, destination): (IpAddress, IpAddress) =
            (ip.source_addr().into(), ip.destination_addr().into());
        let is_tcp_sound =
            TcpPacket::new_unchecked(payload.payload).verify_checksum(&source, &destination);
        let is_ip_sound =
            !ip.source_addr().is_ipv4() || Ipv4Packet::new_unchecked(bytes).verify_checksum();
        Some(Self {
            source: SocketAddr::new(ip.source_addr(), tcp.source_port()),
            destination: SocketAddr::new(ip.destination_addr(), tcp.destination_port()),
            seq: tcp.sequence_number(),
            ack: tcp.acknowledgment_number(),
            flags: payload.payload[13],
            window: tcp.window_size(),
            options: tcp.options().to_vec(),
            payload: tcp.payload().to_vec(),
            is_sound: is_tcp_sound && is_ip_sound,
            length: bytes.len(),
        })
    }

    pub fn has(&self, flag: u8) -> bool {
        self.flags & flag != 0
    }
}
