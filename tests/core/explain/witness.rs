//! The streams of a capture, as a reader has them that knows nothing of the program.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};

use pcap_parser::{Block, PcapBlockOwned};

pub(super) const SYN: u8 = 2;
pub(super) const RST: u8 = 4;
pub(super) const ACK: u8 = 16;

/// One TCP segment of a capture.
#[derive(Clone, Debug)]
pub(super) struct Segment {
    pub(super) source: SocketAddr,
    pub(super) destination: SocketAddr,
    pub(super) seq: u32,
    pub(super) ack: u32,
    pub(super) flags: u8,
    pub(super) payload: Vec<u8>,
}

/// All segments of a capture that a receiver would take.
#[derive(Debug, Default)]
pub(super) struct Witness {
    pub(super) segments: Vec<Segment>,
}

/// Which bytes the copies of each place of a stream have.
pub(super) type Stream = BTreeMap<u32, BTreeSet<u8>>;

impl Witness {
    /// Reads a capture; wrong checksums count where they are said to.
    pub(super) fn read(capture: &[u8], is_mended: bool) -> Self {
        let mut witness = Self::default();
        let Ok(mut reader) = pcap_parser::create_reader(capture.len() + (64 << 10), capture) else {
            return witness;
        };
        let mut links = Vec::new();
        loop {
            match reader.next() {
                Ok((used, block)) => {
                    let frame = frame(&block, &mut links);
                    let packet = frame.and_then(|(link, frame)| packet(link, frame));
                    let segment = packet.and_then(|packet| segment(packet, is_mended));
                    witness.segments.extend(segment);
                    reader.consume(used);
                }
                Err(_) => return witness,
            }
        }
    }

    /// Where the streams of connections between these two begin.
    pub(super) fn begins(&self, client: SocketAddr, server: SocketAddr) -> Vec<[u32; 2]> {
        let answers = self.segments.iter().filter(|segment| {
            segment.flags & (SYN | ACK) == SYN | ACK
                && (segment.source, segment.destination) == (server, client)
        });
        let mut found: Vec<_> =
            answers.map(|answer| [answer.ack, answer.seq.wrapping_add(1)]).collect();
        found.dedup();
        found
    }

    /// The segments from one end to another.
    pub(super) fn between(
        &self,
        from: SocketAddr,
        to: SocketAddr,
    ) -> impl Iterator<Item = &Segment> {
        let is_so = move |one: &&Segment| (one.source, one.destination) == (from, to);
        self.segments.iter().filter(is_so)
    }

    /// A stream that begins with this number.
    pub(super) fn stream(&self, from: SocketAddr, to: SocketAddr, base: u32) -> Stream {
        let mut stream = Stream::new();
        for segment in self.between(from, to).filter(|segment| segment.flags & (SYN | RST) == 0) {
            let offset = segment.seq.wrapping_sub(base);
            // Of another connection, or before the stream.
            if offset > 1 << 30 {
                continue;
            }
            for (place, byte) in (offset..).zip(&segment.payload) {
                stream.entry(place).or_default().insert(*byte);
            }
        }
        stream
    }
}

/// The frame in a block, and its link type.
fn frame<'a>(block: &PcapBlockOwned<'a>, links: &mut Vec<i32>) -> Option<(i32, &'a [u8])> {
    match block {
        PcapBlockOwned::LegacyHeader(header) => {
            links.push(header.network.0);
            None
        }
        PcapBlockOwned::Legacy(record) => Some((links[0], record.data)),
        PcapBlockOwned::NG(Block::SectionHeader(_)) => {
            links.clear();
            None
        }
        PcapBlockOwned::NG(Block::InterfaceDescription(interface)) => {
            links.push(interface.linktype.0);
            None
        }
        PcapBlockOwned::NG(Block::EnhancedPacket(record)) => {
            let link = *links.get(record.if_id as usize)?;
            Some((link, record.data.get(..record.caplen as usize)?))
        }
        PcapBlockOwned::NG(_) => None,
    }
}

/// The IP packet in a frame.
fn packet(link: i32, frame: &[u8]) -> Option<&[u8]> {
    match link {
        1 => {
            let mut at = 12;
            while matches!(frame.get(at..at + 2)?, [0x81, 0x00] | [0x88, 0xa8] | [0x91, 0x00]) {
                at += 4;
            }
            let is_ip = matches!(frame.get(at..at + 2)?, [0x08, 0x00] | [0x86, 0xdd]);
            is_ip.then(|| &frame[at + 2..])
        }
        0 | 108 => frame.get(4..),
        12 | 14 | 101 | 228 | 229 => Some(frame),
        113 => frame.get(16..),
        276 => frame.get(20..),
        _ => None,
    }
}

fn segment(packet: &[u8], is_mended: bool) -> Option<Segment> {
    let word = |at: usize| Some(u16::from_be_bytes([*packet.get(at)?, *packet.get(at + 1)?]));
    let is_v4 = packet.first()? >> 4 == 4;
    let (header, total, protocol) = if is_v4 {
        (usize::from(packet[0] & 15) * 4, usize::from(word(2)?), *packet.get(9)?)
    } else {
        (40, 40 + usize::from(word(4)?), *packet.get(6)?)
    };
    // A fragment or an extension header is nothing that is judged.
    if protocol != 6 || (is_v4 && word(6)? & 0x3fff != 0) {
        return None;
    }
    let is_stated = total > header;
    let end = if is_stated { total } else { packet.len() };
    let tcp = packet.get(header..end)?;
    let (from, to) = if is_v4 {
        let address = |at| Some(IpAddr::from(<[u8; 4]>::try_from(packet.get(at..at + 4)?).ok()?));
        (address(12)?, address(16)?)
    } else {
        let address = |at| Some(IpAddr::from(<[u8; 16]>::try_from(packet.get(at..at + 16)?).ok()?));
        (address(8)?, address(24)?)
    };
    let addresses = if is_v4 { &packet[12..20] } else { &packet[8..40] };
    let length = u32::try_from(tcp.len()).ok()?.to_be_bytes();
    let sum = sum(&[addresses, &[0, 6], &length, tcp]);
    let is_right = sum == 0xffff && (!is_v4 || self::sum(&[&packet[..header]]) == 0xffff);
    if !is_mended && !is_right {
        return None;
    }
    let long = |at: usize| Some(u32::from_be_bytes(tcp.get(at..at + 4)?.try_into().ok()?));
    let port = |at: usize| Some(u16::from_be_bytes([*tcp.get(at)?, *tcp.get(at + 1)?]));
    Some(Segment {
        source: SocketAddr::new(from, port(0)?),
        destination: SocketAddr::new(to, port(2)?),
        seq: long(4)?,
        ack: long(8)?,
        flags: *tcp.get(13)?,
        payload: tcp.get(usize::from(*tcp.get(12)? >> 4) * 4..)?.to_vec(),
    })
}

/// The Internet checksum's sum over pieces of even length but the last.
fn sum(pieces: &[&[u8]]) -> u32 {
    let mut sum = 0_u32;
    for piece in pieces {
        for pair in piece.chunks(2) {
            let low = pair.get(1).copied().unwrap_or(0);
            sum += u32::from(u16::from_be_bytes([pair[0], low]));
            sum = (sum & 0xffff) + (sum >> 16);
        }
    }
    sum
}
