//! Reading an IP packet: where TCP stands in it and what its header says.
//!
//! Nearly all packets have a header without anything unusual in it, which is read by its places;
//! whatever else comes is read by etherparse, which would say the same of those. Bytes beyond the
//! IP length are not part of the packet. Fragments are refused: the kernel
//! reassembles before the queue (conntrack), so one that arrives here is an evasion or a fault.

use std::net::{IpAddr, Ipv4Addr};

use etherparse::{IpNumber, IpSlice, TcpSlice};
use serde::{Deserialize, Serialize};

use super::{Seq, checksum};

/// What kind of packet the bytes are.
#[derive(Clone, Copy, Debug)]
pub enum Parsed<'a> {
    /// A whole TCP segment in one IP packet.
    Tcp(Packet<'a>),
    /// An IP packet with something else in it.
    NotTcp,
}

/// State of a packet's TCP checksum.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Checksum {
    /// Filled in by the sender: verify it.
    #[default]
    Complete,
    /// Left to the network card (`NFQA_SKB_CSUMNOTREADY`): holds at most the pseudo-header's sum.
    Unfinished,
}

/// Why bytes could not be read as a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Malformed {
    /// The front got only a part of the packet.
    Truncated,
    /// No valid IP header, or it claims more bytes than there are.
    IpHeader,
    /// The IPv4 header checksum is wrong.
    IpChecksum,
    /// One fragment of a packet.
    Fragment,
    /// An IPv6 extension header that no TCP stack here walks.
    ExtensionHeader,
    /// No valid TCP header: shorter than 20 bytes, or a data offset outside the segment.
    TcpHeader,
    /// The TCP checksum is wrong.
    TcpChecksum,
    /// Flags that no TCP sends together: none, SYN with FIN or RST, FIN without ACK.
    TcpFlags,
}

impl Malformed {
    /// The word used in logs and counters.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Truncated => "truncated",
            Self::IpHeader => "ip-header",
            Self::IpChecksum => "ip-checksum",
            Self::Fragment => "fragment",
            Self::ExtensionHeader => "extension-header",
            Self::TcpHeader => "tcp-header",
            Self::TcpChecksum => "tcp-checksum",
            Self::TcpFlags => "tcp-flags",
        }
    }
}

/// The control bits we act on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Flags {
    /// No more data from the sender.
    pub fin: bool,
    /// Synchronise sequence numbers.
    pub syn: bool,
    /// Reset the connection.
    pub rst: bool,
    /// The acknowledgment field is significant.
    pub ack: bool,
}

/// One TCP segment in one IP packet, read but not yet trusted.
#[derive(Clone, Copy, Debug)]
pub struct Packet<'a> {
    /// The IP packet, cut to its own length.
    bytes: &'a [u8],
    /// Bytes before the TCP header.
    tcp_start: usize,
    /// Bytes before the payload.
    payload_start: usize,
    /// Sender's address.
    pub source: IpAddr,
    /// Receiver's address.
    pub destination: IpAddr,
    /// Sender's port.
    pub source_port: u16,
    /// Receiver's port.
    pub destination_port: u16,
    /// Sequence number of the first payload byte (of the SYN, if there is one).
    pub seq: Seq,
    /// Acknowledgment number; meaningless without the ACK flag.
    pub ack: Seq,
    /// The window field: bytes the sender will take, not yet scaled (RFC 7323 2.2).
    pub window: u16,
    /// Control bits.
    pub flags: Flags,
    /// Whether the urgent flag or pointer is set.
    pub is_urgent: bool,
}

impl<'a> Packet<'a> {
    /// Reads an IP packet from its first header byte.
    ///
    /// # Errors
    /// What is wrong with it. Checksums are a matter of [`Self::verify`].
    #[inline]
    pub fn parse(bytes: &'a [u8]) -> Result<Parsed<'a>, Malformed> {
        match Self::parse_plain(bytes) {
            Some(packet) => Ok(Parsed::Tcp(packet)),
            None => Self::parse_any(bytes),
        }
    }

    /// A packet of which nothing is unusual: an IPv4 header without options, or an IPv6 header with
    /// TCP right behind it, and all of it there.
    #[inline]
    pub(super) fn parse_plain(bytes: &'a [u8]) -> Option<Self> {
        let (tcp_start, length, source, destination) = match *bytes.first_chunk()? {
            [0x45, _, a, b, _, _, c, d, _, TCP, _, _, s1, s2, s3, s4, d1, d2, d3, d4] => {
                // All bits of this field but "may not be fragmented", and the one without a use.
                let is_fragment = c & 0x3f | d != 0;
                let length = u16::from_be_bytes([a, b]);
                let source = Ipv4Addr::new(s1, s2, s3, s4);
                let destination = Ipv4Addr::new(d1, d2, d3, d4);
                let length = (!is_fragment).then_some(length)?;
                (20, length.into(), source.into(), destination.into())
            }
            // A length of 0, a jumbogram's, leaves no TCP header.
            [0x60..0x70, _, _, _, a, b, TCP, ..] => {
                let (source, rest) = bytes.get(8..)?.split_first_chunk::<16>()?;
                let destination = rest.first_chunk::<16>()?;
                let length = 40 + usize::from(u16::from_be_bytes([a, b]));
                (40, length, IpAddr::from(*source), IpAddr::from(*destination))
            }
            _ => return None,
        };
        let bytes = bytes.get(..length)?;
        let tcp = bytes.get(tcp_start..)?;
        let &[p1, p2, q1, q2, s1, s2, s3, s4, a1, a2, a3, a4, offset, bits, w1, w2, _, _, u1, u2] =
            tcp.first_chunk()?;
        let header = usize::from(offset >> 4) * 4;
        if header < 20 || header > tcp.len() {
            return None;
        }
        let has = |bit: u8| bits & bit != 0;
        Some(Self {
            bytes,
            tcp_start,
            payload_start: tcp_start + header,
            source,
            destination,
            source_port: u16::from_be_bytes([p1, p2]),
            destination_port: u16::from_be_bytes([q1, q2]),
            seq: Seq(u32::from_be_bytes([s1, s2, s3, s4])),
            ack: Seq(u32::from_be_bytes([a1, a2, a3, a4])),
            window: u16::from_be_bytes([w1, w2]),
            flags: Flags { fin: has(1), syn: has(2), rst: has(4), ack: has(16) },
            is_urgent: has(32) || [u1, u2] != [0; 2],
        })
    }

    /// Any packet at all.
    pub(super) fn parse_any(bytes: &'a [u8]) -> Result<Parsed<'a>, Malformed> {
        let ip = IpSlice::from_slice(bytes).map_err(|_| Malformed::IpHeader)?;
        let payload = ip.payload();
        if payload.fragmented && payload.ip_number == IpNumber::TCP {
            return Err(Malformed::Fragment);
        }
        if payload.ip_number != IpNumber::TCP {
            return if ip.ipv6().is_some() && payload.ip_number.is_ipv6_ext_header_value() {
                Err(Malformed::ExtensionHeader)
            } else {
                Ok(Parsed::NotTcp)
            };
        }
        let tcp = TcpSlice::from_slice(payload.payload).map_err(|_| Malformed::TcpHeader)?;
        let tcp_start = (payload.payload.as_ptr() as usize) - (bytes.as_ptr() as usize);
        let length = tcp_start + payload.payload.len();
        let bytes = bytes.get(..length).ok_or(Malformed::IpHeader)?;
        Ok(Parsed::Tcp(Self {
            bytes,
            tcp_start,
            payload_start: length - tcp.payload().len(),
            source: ip.source_addr(),
            destination: ip.destination_addr(),
            source_port: tcp.source_port(),
            destination_port: tcp.destination_port(),
            seq: Seq(tcp.sequence_number()),
            ack: Seq(tcp.acknowledgment_number()),
            window: tcp.window_size(),
            flags: Flags { fin: tcp.fin(), syn: tcp.syn(), rst: tcp.rst(), ack: tcp.ack() },
            is_urgent: tcp.urg() || tcp.urgent_pointer() != 0,
        }))
    }

    /// Checks the checksums and that the flags are some that TCP sends together.
    ///
    /// # Errors
    /// The first thing that is wrong.
    pub fn verify(&self, checksum: Checksum) -> Result<(), Malformed> {
        if self.source.is_ipv4() && !checksum::is_right(self.ip_header()) {
            return Err(Malformed::IpChecksum);
        }
        if checksum == Checksum::Complete {
            let tcp = self.bytes.get(self.tcp_start..).unwrap_or_default();
            if !checksum::is_tcp_right(self.addresses(), tcp) {
                return Err(Malformed::TcpChecksum);
            }
        }
        let Flags { fin, syn, rst, ack } = self.flags;
        let is_sane = if syn { !fin && !rst } else { rst || ack };
        if is_sane { Ok(()) } else { Err(Malformed::TcpFlags) }
    }

    /// The header of IPv4, with its options.
    fn ip_header(&self) -> &'a [u8] {
        let words = self.bytes.first().map_or(0, |first| first & 0xf);
        self.bytes.get(..usize::from(words) * 4).unwrap_or_default()
    }

    /// The same packet with its checksum filled in, which its sender has left to the network card:
    /// the kernel would write that wherever the sender said, behind our back.
    pub fn fill_checksum(&self, out: &mut Vec<u8>) {
        out.clear();
        out.extend_from_slice(self.bytes);
        if let Some(segment) = out.get_mut(self.tcp_start..) {
            checksum::fill_tcp(self.addresses(), segment);
        }
    }

    /// Both addresses, as they stand in the header.
    pub(super) fn addresses(&self) -> &'a [u8] {
        let place = if self.source.is_ipv4() { 12..20 } else { 8..40 };
        self.bytes.get(place).unwrap_or_default()
    }

    /// The IP packet without anything that followed it.
    #[must_use]
    pub const fn bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// The TCP options, as they came.
    #[must_use]
    pub fn options(&self) -> &'a [u8] {
        self.bytes.get(self.options_start()..self.payload_start).unwrap_or_default()
    }

    /// The data.
    #[must_use]
    pub fn payload(&self) -> &'a [u8] {
        self.bytes.get(self.payload_start..).unwrap_or_default()
    }

    /// The number behind the data, which a FIN has.
    #[must_use]
    pub fn seq_end(&self) -> Seq {
        self.seq.after(u32::try_from(self.payload().len()).unwrap_or(u32::MAX))
    }

    /// Where the TCP header begins.
    #[must_use]
    pub const fn tcp_start(&self) -> usize {
        self.tcp_start
    }

    pub(super) const fn options_start(&self) -> usize {
        self.tcp_start + 20
    }

    pub(super) const fn payload_start(&self) -> usize {
        self.payload_start
    }
}

/// The number of TCP among what IP carries.
const TCP: u8 = 6;
