//! E: the IP layer. The kernel reassembles before the queue, so a fragment here is refused; what
//! cannot be read to its end is never passed blind.

use mailguard::engine::{Reason, Verdict};
use mailguard::flow::Direction::Original as C;
use mailguard::wire::Malformed;

use super::{Case, EVIL, Suite, case, pieces};
use crate::support::packet::{ACK, fill_checksums, fragments};
use crate::support::talk::{End, Talk};

const FRAGMENT: Verdict = Verdict::Drop(Reason::Malformed(Malformed::Fragment));

pub const CASES: &[Case] = &[
    case("E01", "fragments of 24 bytes", |suite| {
        let mut talk = suite.talk(EVIL);
        for part in pieces(EVIL.len(), 40) {
            let all = fragments(&segment(&mut talk, part.start, &EVIL[part.clone()]), 24);
            for fragment in all.iter().filter(|_| all.len() > 1) {
                assert_eq!(talk.rig.raw(C, fragment), FRAGMENT);
            }
            let _ = talk.send_text(part);
        }
        talk.end(End::Whole);
    }),
    case("E02", "fragments reversed, duplicated", |suite| {
        let mut talk = suite.talk(EVIL);
        let all = fragments(&segment(&mut talk, 0, EVIL), 8);
        for fragment in all.iter().rev().chain(&all).chain(&all) {
            assert_eq!(talk.rig.raw(C, fragment), FRAGMENT);
        }
        talk.end(End::Whole);
    }),
    case("E03", "overlapping fragments with other data", |suite| {
        let mut talk = suite.talk(EVIL);
        let first = fragments(&segment(&mut talk, 0, EVIL), 48);
        let second = fragments(&segment(&mut talk, 0, &EVIL.to_ascii_lowercase()), 40);
        for fragment in [&first[0], &second[1], &first[1]] {
            assert_eq!(talk.rig.raw(C, fragment), FRAGMENT);
        }
        talk.end(End::Whole);
    }),
    case("E04", "bytes behind the IP length", |suite| {
        let mut talk = suite.talk(b"NOOP\r\nHELO a\r\n");
        let mut packet = segment(&mut talk, 0, b"NOOP\r\n");
        packet.extend_from_slice(b"VRFY root\r\n");
        talk.rig.refused_words = &[];
        let _ = talk.rig.raw(C, &packet);
        assert_eq!(talk.server_read(), "NOOP\\r\\n");
        talk.end(End::Whole);
    }),
    case("E05", "TTL that dies on the way", |suite| {
        let mut talk = suite.talk(b"NOOP\r\n");
        let mut packet = segment(&mut talk, 0, b"NOOP\r\n");
        packet[8] = 1;
        fill_checksums(&mut packet, 20);
        talk.rig.is_lost_behind = true;
        let _ = talk.rig.raw(C, &packet);
        talk.rig.is_lost_behind = false;
        let _ = talk.send(0, b"VRFY r");
        assert_eq!(talk.server_read(), "NOOP\\r\\n");
        talk.end(End::Whole);
    }),
    case("E06", "IPv6 extension headers", extension_headers),
    case("E07", "IPv6 fragments overlapping", |suite| {
        let mut talk = talk_v6(suite);
        for (offset, more) in [(0, 1), (0, 0), (16, 1), (24, 0)] {
            let header = [6, 0, 0, offset | more, 0, 0, 0, 9];
            let packet = with_headers(&segment(&mut talk, 0, EVIL), 44, &header);
            let is_atomic = offset | more == 0;
            assert_eq!(talk.rig.raw(C, &packet) == FRAGMENT, !is_atomic, "{offset} {more}");
        }
        talk.end(End::Whole);
    }),
    case("E08", "IPv4 options", |suite| {
        let mut talk = suite.talk(EVIL);
        let lists: [&[u8]; 3] =
            [&[1, 1, 1, 0], &[7, 7, 4, 0, 0, 0, 0, 0], &[131, 7, 8, 1, 2, 3, 4, 0]];
        for (list, part) in lists.iter().zip(pieces(EVIL.len(), 10)) {
            let packet = segment(&mut talk, part.start, &EVIL[part]);
            let mut packet = [&packet[..20], list, &packet[20..]].concat();
            packet[0] = 0x45 + (list.len() / 4) as u8;
            let length = packet.len() as u16;
            packet[2..4].copy_from_slice(&length.to_be_bytes());
            fill_checksums(&mut packet, 20 + list.len());
            let _ = talk.rig.raw(C, &packet);
        }
        assert_eq!(talk.rig.original.received, 30, "read and passed on");
        talk.end(End::Whole);
    }),
];

/// Chains that a host walks are read; all others are refused.
fn extension_headers(suite: &Suite) {
    let mut talk = talk_v6(suite);
    let padding = [0, 0, 1, 4, 0, 0, 0, 0];
    let chain = |kinds: &[u8]| {
        let mut headers = Vec::new();
        for (index, _) in kinds.iter().enumerate() {
            let mut header = padding;
            header[0] = kinds.get(index + 1).copied().unwrap_or(6);
            headers.extend_from_slice(&header);
        }
        (kinds[0], headers)
    };
    let mut sent = 0;
    for kinds in [&[0][..], &[60], &[0, 60], &[0, 60, 43, 60]] {
        let (first, headers) = chain(kinds);
        let packet =
            with_headers(&segment(&mut talk, sent, &EVIL[sent..sent + 7]), first, &headers);
        let verdict = talk.rig.raw(C, &packet);
        let moved = talk.rig.original.received as usize > sent;
        assert_eq!(moved, !matches!(verdict, Verdict::Drop(_)), "{kinds:?}");
        sent = talk.rig.original.received as usize;
    }
    assert!(sent >= 7, "some chain is walked");
    for kinds in [&[60; 40][..], &[135], &[139], &[140], &[253], &[51, 0]] {
        let (first, headers) = chain(kinds);
        let packet =
            with_headers(&segment(&mut talk, sent, &EVIL[sent..sent + 7]), first, &headers);
        let verdict = talk.rig.raw(C, &packet);
        let moved = talk.rig.original.received as usize > sent;
        assert!(matches!(verdict, Verdict::Drop(_)) || moved, "{kinds:?} passed blind");
        sent = talk.rig.original.received as usize;
    }
    talk.end(End::Whole);
}

fn talk_v6(suite: &Suite) -> Talk {
    let mut talk = suite.unopened(EVIL);
    talk.rig.client = "[2001:db8::1]:40000".parse().unwrap();
    talk.rig.server = "[2001:db8::2]:25".parse().unwrap();
    talk.rig.shake_hands();
    talk
}

fn with_headers(packet: &[u8], first: u8, headers: &[u8]) -> Vec<u8> {
    let mut bytes = [&packet[..40], headers, &packet[40..]].concat();
    bytes[6] = first;
    let length = (bytes.len() - 40) as u16;
    bytes[4..6].copy_from_slice(&length.to_be_bytes());
    bytes
}

fn segment(talk: &mut Talk, offset: usize, payload: &[u8]) -> Vec<u8> {
    let (seq, ack) = talk.rig.numbers(C, offset as u64);
    talk.rig.build(C, seq, ack, ACK, &[], payload)
}
