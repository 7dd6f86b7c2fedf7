//! Replies that came in one segment, apart from each other.
//!
//! A server answers in one segment what it has received together. Of that the filter may have kept
//! something back, and the server would have said the first reply alone: behind it its client's
//! next lines come, and then their replies.

use std::borrow::Cow;
use std::ops::Range;

use super::offload;
use super::repeat::Segment;
use super::traffic::{Mail, Traffic};
use crate::front::capture::link;

/// A frame of mail, or the one that a part of its replies would have come in.
#[derive(Debug)]
pub(super) struct Part<'a> {
    pub(super) frame: Cow<'a, [u8]>,
    /// Where the IP packet stands in it.
    pub(super) range: Range<usize>,
    pub(super) mail: Option<Mail>,
}

impl Part<'_> {
    /// Makes it the first of its replies, and returns those behind, if there are any. A client says
    /// none.
    pub(super) fn split(&mut self, ports: &[u16]) -> Option<Self> {
        let segment = self.mail.as_ref()?.segment.as_ref()?;
        let segment = ports.contains(&segment.source.port).then_some(segment)?;
        let packet = self.frame.get(self.range.clone())?;
        let payload = packet.get(segment.payload()..)?;
        let end = end_of_reply(payload).filter(|end| *end < payload.len())?;
        let first = self.with(&cut(packet, segment, 0..end)?, ports)?;
        let behind = self.with(&cut(packet, segment, end..payload.len())?, ports)?;
        *self = first;
        Some(behind)
    }

    /// A frame like this one, with another packet in it.
    fn with<'b>(&self, packet: &[u8], ports: &[u16]) -> Option<Part<'b>> {
        let Traffic::Mail(mail) = Traffic::of(packet, ports, true) else { return None };
        let mut frame = Vec::with_capacity(self.frame.len());
        link::replace(&self.frame, &self.range, packet, &mut frame);
        let range = self.range.start..self.range.start + packet.len();
        Some(Part { frame: Cow::Owned(frame), range, mail: Some(mail) })
    }
}

/// Where the first reply ends: behind a line whose code no hyphen follows (RFC 5321 4.2), or behind
/// the rest of a line that began in another segment.
fn end_of_reply(text: &[u8]) -> Option<usize> {
    let mut end = 0;
    for line in text.split_inclusive(|byte| *byte == b'\n') {
        let is_rest = end == 0;
        end += line.len();
        let coded = line.split_first_chunk::<3>();
        let coded = coded.filter(|(code, _)| code.iter().all(u8::is_ascii_digit));
        if coded.map_or(is_rest, |(_, rest)| !rest.starts_with(b"-")) {
            return Some(end);
        }
    }
    None
}

/// An IP packet with a part of its payload.
fn cut(packet: &[u8], segment: &Segment, part: Range<usize>) -> Option<Vec<u8>> {
    let (headers, payload) = packet.split_at_checked(segment.payload())?;
    let mut cut = [headers, payload.get(part.clone())?].concat();
    offload::put_length(&mut cut)?;
    let number = segment.sequence + part.start;
    *cut.get_mut(segment.header() + SEQUENCE..)?.first_chunk_mut()? = number.0.to_be_bytes();
    if part.end < payload.len() {
        *cut.get_mut(segment.header() + FLAGS)? &= !FIN;
    }
    let whole = 0..cut.len();
    Some(offload::mend(&cut, &whole).unwrap_or(cut))
}

/// Offsets of the number and the flags in a TCP header.
const SEQUENCE: usize = 4;
const FLAGS: usize = 13;
const FIN: u8 = 1;

#[cfg(test)]
mod tests {
    use etherparse::PacketBuilder;

    use super::*;
    use crate::front::replay::offload::Sums;

    #[test]
    fn a_reply_ends_behind_a_code_without_a_hyphen() {
        for (text, end) in [
            ("250 a\r\n250 b\r\n", Some(7)),
            ("250-a\r\n250-b\r\n250 c\r\n354 d\r\n", Some(21)),
            ("250\n221 b", Some(4)),
            ("250-a\r\n250-b\r\n", None),
            ("54 go\r\n250 a\r\n", Some(7)),
            ("\n250 a\r\n", Some(1)),
            ("250-a\r\nb\r\n250 c\r\n", Some(17)),
            ("", None),
        ] {
            assert_eq!(end_of_reply(text.as_bytes()), end, "{text}");
        }
    }

    #[test]
    fn parts_are_segments_that_are_whole_and_right() {
        let text = b"250 q\r\n250-a\r\n250 b\r\n221 bye\r\n";
        let mut v4 = Vec::new();
        let builder = PacketBuilder::ipv4([192, 0, 2, 1], [198, 51, 100, 2], 64);
        builder.tcp(25, 40_000, u32::MAX, 9).ack(7).fin().write(&mut v4, text).unwrap();
        let mut v6 = Vec::new();
        let builder = PacketBuilder::ipv6([1; 16], [2; 16], 64);
        builder.tcp(25, 40_000, u32::MAX, 9).ack(7).fin().write(&mut v6, text).unwrap();
        for packet in [v4, v6] {
            let frame = [b"link", &packet[..], b"pad"].concat();
            let range = 4..4 + packet.len();
            let Traffic::Mail(mail) = Traffic::of(&packet, &[25], true) else { panic!() };
            let mut part = Part { frame: Cow::Owned(frame), range, mail: Some(mail) };
            let mut said = Vec::new();
            loop {
                let behind = part.split(&[25]);
                let mail = part.mail.take().unwrap();
                let segment = mail.segment.unwrap();
                assert_eq!(mail.sums, Sums::Right);
                let bytes = &part.frame[part.range.clone()];
                assert!(part.frame.starts_with(b"link") && part.frame.ends_with(b"pad"));
                let number = segment.sequence.0.cast_unsigned();
                let text = String::from_utf8_lossy(&bytes[segment.payload()..]).into_owned();
                said.push((number, segment.is_fin, text));
                let Some(next) = behind else { break };
                part = next;
            }
            let expected = [
                (u32::MAX, false, "250 q\r\n"),
                (6, false, "250-a\r\n250 b\r\n"),
                (20, true, "221 bye\r\n"),
            ];
            let expected = expected.map(|(at, is_fin, text)| (at, is_fin, text.to_owned()));
            assert_eq!(said, expected);
        }
    }
}
