//! Reading, refusing, editing and building packets.

use super::*;
use std::net::SocketAddr;

fn segment(v6: bool, options: &[u8], payload: &[u8]) -> Vec<u8> {
    let builder = if v6 {
        let mut a = [0; 16];
        a[15] = 1;
        etherparse::PacketBuilder::ipv6(a, [2; 16], 64)
    } else {
        etherparse::PacketBuilder::ipv4([192, 0, 2, 1], [198, 51, 100, 2], 64)
    };
    let builder = builder.tcp(40_000, 25, 1_000, 500).ack(2_000).psh();
    let builder = builder.options_raw(options).unwrap();
    let mut out = Vec::new();
    builder.write(&mut out, payload).unwrap();
    out
}

fn tcp(bytes: &[u8]) -> Packet<'_> {
    match Packet::parse(bytes) {
        Ok(Parsed::Tcp(packet)) => packet,
        other => panic!("not TCP: {other:?}"),
    }
}

#[test]
fn reads_what_was_written() {
    for v6 in [false, true] {
        let mut bytes = segment(v6, &[1, 1, 1, 1], b"NOOP\r\n");
        let length = bytes.len();
        bytes.extend_from_slice(b"trailer");
        let packet = tcp(&bytes);
        assert_eq!(packet.bytes().len(), length);
        assert_eq!(packet.payload(), b"NOOP\r\n");
        assert_eq!(packet.options(), [1, 1, 1, 1]);
        assert_eq!((packet.seq, packet.ack), (Seq(1_000), Seq(2_000)));
        assert_eq!(packet.window, 500);
        assert_eq!(packet.verify(Checksum::Complete), Ok(()));
    }
}

#[test]
fn every_prefix_is_refused_or_read_and_never_panics() {
    for v6 in [false, true] {
        let bytes = segment(v6, &[2, 4, 5, 180], b"MAIL FROM:<a@b>\r\n");
        for length in 0..bytes.len() {
            assert!(Packet::parse(&bytes[..length]).is_err(), "{length}");
        }
    }
}

#[test]
fn a_plain_packet_reads_as_any_packet_does() {
    let mut plain = 0;
    let mut compare = |bytes: &[u8]| {
        if let Some(packet) = Packet::parse_plain(bytes) {
            plain += 1;
            let same = Packet::parse_any(bytes);
            assert_eq!(
                format!("{:?}", Ok::<_, Malformed>(Parsed::Tcp(packet))),
                format!("{same:?}")
            );
        }
    };
    for v6 in [false, true] {
        for options in [&[][..], &[1, 1, 8, 10, 0, 0, 0, 1, 0, 0, 0, 2]] {
            let bytes = [segment(v6, options, b"NOOP\r\n"), b"trailer".to_vec()].concat();
            (0..bytes.len()).for_each(|length| compare(&bytes[..length]));
            for at in 0..bytes.len() {
                for value in 0..=255 {
                    let mut bytes = bytes.clone();
                    bytes[at] = value;
                    compare(&bytes);
                    // A packet that is no longer than its headers, or shorter.
                    compare(&bytes[..bytes.len() - 13]);
                }
            }
        }
    }
    assert!(plain > 50_000, "{plain}");
}

#[test]
fn a_flipped_bit_fails_a_checksum() {
    let good = segment(false, &[], b"NOOP\r\n");
    for bit in 0..good.len() * 8 {
        let mut bytes = good.clone();
        bytes[bit / 8] ^= 1 << (bit % 8);
        if let Ok(Parsed::Tcp(packet)) = Packet::parse(&bytes) {
            assert!(packet.verify(Checksum::Complete).is_err(), "bit {bit}");
        }
    }
}

#[test]
fn fragments_are_refused() {
    let mut bytes = segment(false, &[], b"NOOP\r\n");
    for field in [[0x20, 0], [0, 3], [3, 0], [3, 3]] {
        bytes[6..8].copy_from_slice(&field);
        assert!(matches!(Packet::parse(&bytes), Err(Malformed::Fragment)), "{field:?}");
    }
}

#[test]
fn flags_that_no_tcp_sends_are_refused() {
    for (flags, is_sane) in [
        (0x00_u8, false),
        (0x01, false),
        (0x03, false),
        (0x06, false),
        (0x08, false),
        (0x02, true),
        (0x12, true),
        (0x04, true),
        (0x10, true),
        (0x11, true),
        (0x3f, false),
    ] {
        let mut bytes = segment(false, &[], b"");
        bytes[33] = flags;
        let packet = tcp(&bytes);
        assert_eq!(packet.verify(Checksum::Unfinished).is_ok(), is_sane, "{flags:#x}");
    }
}

#[test]
fn options_are_whitelisted() {
    let cases: [(bool, &[u8], &[u8]); 10] = [
        (true, &[2, 4, 5, 180, 4, 2, 1, 1], &[2, 4, 5, 180, 4, 2, 1, 1]),
        (true, &[30, 4, 0, 0, 3, 3, 7, 1], &[1, 1, 1, 1, 3, 3, 7, 1]),
        (true, &[34, 4, 9, 9, 0, 0, 0, 0], &[1, 1, 1, 1, 0, 0, 0, 0]),
        (true, &[2, 4, 5, 180, 2, 4, 1, 1], &[2, 4, 5, 180, 1, 1, 1, 1]),
        (false, &[4, 2, 1, 1], &[1, 1, 1, 1]),
        (false, &[8, 0, 1, 1], &[1, 1, 1, 1]),
        (false, &[8, 1, 1, 1], &[1, 1, 1, 1]),
        (false, &[1, 1, 8, 10], &[1, 1, 1, 1]),
        (false, &[1, 0, 19, 9], &[1, 0, 0, 0]),
        (false, &[5, 3, 1, 1], &[1, 1, 1, 1]),
    ];
    for (is_syn, before, after) in cases {
        let mut options = before.to_vec();
        assert_eq!(restrict_options(&mut options, is_syn), before != after, "{before:?}");
        assert_eq!(options, after, "{before:?}");
    }
    assert_eq!(maximum_segment_size(&[1, 4, 2, 2, 4, 5, 180]), Some(1_460));
    let mut options = [1, 2, 4, 255, 215];
    assert_eq!(maximum_segment_size(&options), Some(65_000));
    assert!(restrict_options(&mut options, true), "loopback's");
    assert_eq!(options, [1, 2, 4, 253, 232]);
    assert!(!restrict_options(&mut options, true));
    assert_eq!(maximum_segment_size(&[1, 4, 2, 8]), None);
}

#[test]
fn a_window_scale_is_read_and_bounded() {
    let cases: [(&[u8], Option<u8>); 10] = [
        (&[3, 3, 0], Some(0)),
        (&[2, 4, 5, 180, 1, 3, 3, 7], Some(7)),
        (&[3, 3, 14], Some(14)),
        (&[3, 3, 255], Some(14)),
        (&[2, 4, 5, 180, 4, 2], None),
        (&[0, 3, 3, 7], None),
        (&[3, 3], None),
        (&[3, 2, 1], None),
        (&[8, 1, 3, 3, 7], None),
        (&[], None),
    ];
    for (options, expected) in cases {
        assert_eq!(window_scale(options), expected, "{options:?}");
    }
}

/// A number read from an option that does not leave would be one its receiver never heard.
#[test]
fn what_is_read_of_options_is_what_leaves() {
    let mut state = 1_u32;
    let mut random = move || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        state.to_be_bytes()[1]
    };
    let mut read = 0;
    for _ in 0..100_000 {
        // Small numbers: kinds and lengths that meet.
        let mut options: Vec<u8> = (0..random() % 12).map(|_| random() % 6).collect();
        let before = (maximum_segment_size(&options), window_scale(&options));
        restrict_options(&mut options, true);
        assert_eq!((maximum_segment_size(&options), window_scale(&options)), before, "{options:?}");
        read += u32::from(before.0.is_some() && before.1.is_some());
    }
    assert!(read > 20, "{read}");
}

#[test]
fn an_untouched_packet_is_not_copied() {
    let bytes = segment(false, &[], b"NOOP\r\n");
    let packet = tcp(&bytes);
    let mut out = Vec::new();
    let mut editor = Editor::new(&packet, &mut out);
    editor.clear_urgent();
    editor.restrict_options();
    editor.overwrite(2, b"OP");
    editor.cut(6);
    assert!(!editor.finish());
    assert!(out.is_empty());
}

#[test]
fn edits_keep_checksums_right() {
    for v6 in [false, true] {
        let mut bytes = segment(v6, &[30, 4, 1, 1], b"VRFY root\r\n");
        let at = bytes.len() - 11 - 4 - 20 + 13;
        bytes[at] |= 0x21;
        let packet = tcp(&bytes);
        let mut out = Vec::new();
        let mut editor = Editor::new(&packet, &mut out);
        editor.clear_urgent();
        editor.restrict_options();
        editor.overwrite(0, b"XXXX");
        editor.cut(6);
        assert!(editor.finish());
        let edited = tcp(&out);
        assert_eq!(edited.verify(Checksum::Complete), Ok(()));
        assert_eq!(edited.payload(), b"XXXX r");
        assert_eq!(edited.options(), [1, 1, 1, 1]);
        assert!(!edited.is_urgent && !edited.flags.fin);
    }
}

#[test]
fn a_reset_is_a_valid_packet() {
    for (a, b) in [("192.0.2.1:25", "198.51.100.2:4000"), ("[2001:db8::1]:25", "[2001:db8::2]:1")] {
        let (source, destination): (SocketAddr, SocketAddr) =
            (a.parse().unwrap(), b.parse().unwrap());
        let bytes = build_reset(&Reset { source, destination, seq: Seq(7), ack: Seq(9) }).unwrap();
        let packet = tcp(&bytes);
        assert_eq!(packet.verify(Checksum::Complete), Ok(()));
        assert!(packet.flags.rst && packet.flags.ack);
        assert_eq!((packet.seq, packet.ack), (Seq(7), Seq(9)));
    }
}

#[test]
fn distances_wrap() {
    assert_eq!(Seq(2).distance_from(Seq(u32::MAX)), 3);
    assert_eq!(Seq(u32::MAX).distance_from(Seq(2)), -3);
    assert_eq!(Seq(u32::MAX).after(2), Seq(1));
}
