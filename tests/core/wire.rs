//! Packets at their edges: each header field read where it stands, each edit in its place and
//! nowhere else, each limit at, below and above its value.

use std::net::SocketAddr;

use mailguard::wire::{
    Checksum, Editor, Flags, Malformed, Packet, Parsed, Reset, Seq, build_reset,
    maximum_segment_size, restrict_options,
};

use crate::support::packet::{ACK, FIN, PSH, RST, SYN, URG, patched, tcp_packet};

const TEXT: &[u8] = b"VRFY root\r\n";

/// Two ends of each family.
fn families() -> [[SocketAddr; 2]; 2] {
    let ends = |a: &str, b: &str| [a.parse().unwrap(), b.parse().unwrap()];
    [ends("192.0.2.1:4000", "198.51.100.2:25"), ends("[2001:db8::1]:4000", "[2001:db8::2]:25")]
}

/// A packet of each family.
fn packets(flags: u8, options: &[u8], text: &[u8]) -> [Vec<u8>; 2] {
    families().map(|[from, to]| tcp_packet(from, to, 1_000, 2_000, flags, options, text))
}

fn tcp(bytes: &[u8]) -> Packet<'_> {
    match Packet::parse(bytes) {
        Ok(Parsed::Tcp(packet)) => packet,
        other => panic!("not TCP: {other:?}"),
    }
}

/// What an edit makes of a packet; none if it leaves it alone.
fn edited(bytes: &[u8], edit: impl FnOnce(&mut Editor<'_, '_>)) -> Option<Vec<u8>> {
    let packet = tcp(bytes);
    // What a buffer held before does not matter.
    let mut out = vec![7; 3];
    let mut editor = Editor::new(&packet, &mut out);
    edit(&mut editor);
    let is_changed = editor.finish();
    assert_eq!(is_changed, !out.is_empty());
    is_changed.then_some(out)
}

#[test]
fn every_field_is_read_where_it_stands() {
    for [source, destination] in families() {
        for flags in [SYN, ACK, ACK | FIN, RST, RST | ACK, SYN | ACK, ACK | PSH] {
            let bytes = tcp_packet(source, destination, 0xa1b2_c3d4, 7, flags, &[3, 3, 7, 0], TEXT);
            let longer = [&bytes, &b"trailer"[..]].concat();
            let packet = tcp(&longer);
            assert_eq!((packet.source, packet.source_port), (source.ip(), 4_000));
            assert_eq!((packet.destination, packet.destination_port), (destination.ip(), 25));
            let has = |flag: u8| flags & flag != 0;
            assert_eq!(packet.seq, Seq(0xa1b2_c3d4));
            assert_eq!(packet.ack, Seq(if has(ACK) { 7 } else { 0 }));
            let expected = Flags { fin: has(FIN), syn: has(SYN), rst: has(RST), ack: has(ACK) };
            assert_eq!(packet.flags, expected);
            assert_eq!(packet.bytes(), bytes);
            assert_eq!((packet.options(), packet.payload()), (&[3, 3, 7, 0][..], TEXT));
        }
    }
    assert_eq!(Seq(0xa1b2_c3d4).to_string(), "2712847316");
    assert_eq!(Seq(7).after(5), Seq(12));
}

#[test]
fn urgent_is_what_has_the_flag_or_a_pointer() {
    for bytes in packets(ACK, &[], TEXT) {
        assert!(!tcp(&bytes).is_urgent);
        assert!(tcp(&patched(&bytes, |tcp| tcp[19] = 1)).is_urgent);
    }
    for bytes in packets(ACK | URG, &[], TEXT) {
        let out = edited(&bytes, |editor| editor.clear_urgent()).unwrap();
        assert!(!tcp(&out).is_urgent);
    }
    for bytes in packets(ACK | URG, &[], TEXT).map(|bytes| patched(&bytes, |tcp| tcp[19] = 1)) {
        let out = edited(&bytes, |editor| editor.clear_urgent()).unwrap();
        assert_eq!(tcp(&out).verify(Checksum::Complete), Ok(()));
        assert!(!tcp(&out).is_urgent);
        assert_eq!(tcp(&out).payload(), TEXT);
    }
}

#[test]
fn what_is_no_whole_tcp_segment_is_told_apart() {
    let [v4, v6] = packets(ACK, &[], TEXT);
    let changed = |bytes: &[u8], at: usize, value: u8| {
        let mut bytes = bytes.to_vec();
        bytes[at] = value;
        bytes
    };
    let (udp, mobility) = (17, 135);
    for other in [changed(&v4, 9, udp), changed(&v4, 9, mobility), changed(&v6, 6, udp)] {
        assert!(matches!(Packet::parse(&other), Ok(Parsed::NotTcp)), "{other:x?}");
    }
    // A fragment of something else is none of our business.
    let fragment = changed(&changed(&v4, 9, udp), 6, 0x20);
    assert!(matches!(Packet::parse(&fragment), Ok(Parsed::NotTcp)));
    let walk = changed(&v6, 6, mobility);
    assert!(matches!(Packet::parse(&walk), Err(Malformed::ExtensionHeader)));
}

#[test]
fn a_checksum_counts_where_it_is_complete() {
    for bytes in packets(ACK, &[], TEXT) {
        let mut wrong = bytes.clone();
        *wrong.last_mut().unwrap() ^= 1;
        assert_eq!(tcp(&bytes).verify(Checksum::Complete), Ok(()));
        assert_eq!(tcp(&wrong).verify(Checksum::Complete), Err(Malformed::TcpChecksum));
        assert_eq!(tcp(&wrong).verify(Checksum::Unfinished), Ok(()));
    }
    let [mut v4, _] = packets(ACK, &[], TEXT);
    v4[8] ^= 1;
    assert_eq!(tcp(&v4).verify(Checksum::Unfinished), Err(Malformed::IpChecksum));
}

/// Left to the network card, the field holds a part of it or anything else.
#[test]
fn a_checksum_that_is_missing_is_filled_in() {
    for bytes in packets(ACK, &[], TEXT) {
        let field = bytes.len() - TEXT.len() - 4;
        let mut partial = bytes.clone();
        partial[field..field + 2].copy_from_slice(b"ab");
        let mut filled = b"of another packet".to_vec();
        tcp(&partial).fill_checksum(&mut filled);
        assert_eq!(filled, bytes);
    }
}

#[test]
fn every_fault_has_its_word() {
    let words = [
        (Malformed::Truncated, "truncated"),
        (Malformed::IpHeader, "ip-header"),
        (Malformed::IpChecksum, "ip-checksum"),
        (Malformed::Fragment, "fragment"),
        (Malformed::ExtensionHeader, "extension-header"),
        (Malformed::TcpHeader, "tcp-header"),
        (Malformed::TcpChecksum, "tcp-checksum"),
        (Malformed::TcpFlags, "tcp-flags"),
    ];
    assert!(words.iter().all(|(fault, word)| fault.name() == *word));
}

#[test]
fn an_edit_changes_its_place_and_nothing_else() {
    for bytes in packets(ACK | PSH | FIN, &[1, 1, 1, 1], TEXT) {
        let start = bytes.len() - TEXT.len();
        for at in 0..TEXT.len() {
            let out = edited(&bytes, |editor| editor.overwrite(at, b"?")).unwrap();
            assert_eq!(tcp(&out).verify(Checksum::Complete), Ok(()));
            assert_eq!(out.len(), bytes.len());
            let payload = [&TEXT[..at], b"?", &TEXT[at + 1..]].concat();
            assert_eq!(tcp(&out).payload(), payload);
            assert_eq!(edited(&bytes, |editor| editor.overwrite(at, &TEXT[at..])), None);
        }
        // An edit is compared with what an earlier one has made.
        let out = edited(&bytes, |editor| {
            editor.overwrite(0, b"XXXX");
            editor.overwrite(0, b"VRFY");
        });
        assert_eq!(out.unwrap(), bytes);
        for length in 1..=TEXT.len() {
            let out = edited(&bytes, |editor| editor.blank_payload(length)).unwrap();
            let payload = [&b"X".repeat(length), &TEXT[length..]].concat();
            assert_eq!(
                (tcp(&out).payload(), tcp(&out).verify(Checksum::Complete)),
                (&payload[..], Ok(()))
            );
        }
        assert_eq!(edited(&bytes, |editor| editor.blank_payload(0)), None);
        let out = edited(&bytes, |editor| editor.clear_fin()).unwrap();
        assert_eq!(tcp(&out).flags, Flags { ack: true, ..Flags::default() });
        assert_eq!((&out[start..], out.len()), (TEXT, bytes.len()));
        assert_eq!(tcp(&out).verify(Checksum::Complete), Ok(()));
    }
    for bytes in packets(ACK, &[], TEXT) {
        assert_eq!(edited(&bytes, |editor| editor.clear_fin()), None);
        assert_eq!(edited(&bytes, |editor| editor.clear_urgent()), None);
        assert_eq!(edited(&bytes, |editor| editor.restrict_options()), None);
    }
}

#[test]
fn a_cut_keeps_what_it_says_without_psh_and_fin() {
    for bytes in packets(ACK | PSH | FIN, &[1, 1, 1, 1], TEXT) {
        for keep in 0..TEXT.len() {
            let out = edited(&bytes, |editor| editor.cut(keep)).unwrap();
            let packet = tcp(&out);
            assert_eq!(
                (packet.payload(), packet.verify(Checksum::Complete)),
                (&TEXT[..keep], Ok(()))
            );
            // The header says how long the packet is now, not only its buffer.
            assert_eq!(packet.bytes().len(), bytes.len() - TEXT.len() + keep);
            assert_eq!(packet.options(), [1, 1, 1, 1]);
            let flags = out[out.len() - keep - 4 - 20 + 13];
            assert_eq!(flags, ACK);
        }
        for keep in [TEXT.len(), TEXT.len() + 1] {
            assert_eq!(edited(&bytes, |editor| editor.cut(keep)), None);
        }
    }
}

#[test]
fn options_of_a_packet_are_restricted_by_its_syn() {
    // A segment size is a SYN's to state, selective ACKs are everybody else's.
    let options = [2, 4, 5, 180, 5, 10, 0, 0, 0, 1, 0, 0, 0, 2, 1, 1];
    for bytes in packets(SYN, &options, b"") {
        let out = edited(&bytes, |editor| editor.restrict_options()).unwrap();
        let expected = [&options[..4], &[1; 12]].concat();
        assert_eq!(
            (tcp(&out).options(), tcp(&out).verify(Checksum::Complete)),
            (&expected[..], Ok(()))
        );
    }
    for bytes in packets(ACK, &options, TEXT) {
        let out = edited(&bytes, |editor| editor.restrict_options()).unwrap();
        let expected = [&[1; 4], &options[4..]].concat();
        assert_eq!((tcp(&out).options(), tcp(&out).payload()), (&expected[..], TEXT));
    }
}

/// An option of this kind and length.
fn option(kind: u8, length: u8) -> Vec<u8> {
    let zeros = usize::from(length).saturating_sub(2);
    [&[kind, length], vec![0; zeros].as_slice()].concat()
}

#[test]
fn an_option_passes_in_its_own_length_and_place_only() {
    let lengths = |kind: u8, is_syn: bool| -> Vec<u8> {
        let passes = |length: &u8| {
            let mut bytes = option(kind, *length);
            !restrict_options(&mut bytes, is_syn)
        };
        (2..=42).filter(passes).collect()
    };
    let (size, scale, permitted, blocks, stamps) = (2, 3, 4, 5, 8);
    for (kind, in_syn, elsewhere) in [
        (size, &[4][..], &[][..]),
        (scale, &[3], &[]),
        (permitted, &[2], &[]),
        (blocks, &[], &[10, 18, 26, 34]),
        (stamps, &[10], &[10]),
        (6, &[], &[]),
        (19, &[], &[]),
        (30, &[], &[]),
        (34, &[], &[]),
        (255, &[], &[]),
    ] {
        assert_eq!(lengths(kind, true), in_syn, "{kind}");
        assert_eq!(lengths(kind, false), elsewhere, "{kind}");
    }
}

#[test]
fn a_list_is_read_as_every_stack_reads_it() {
    let cases: [(bool, &[u8], &[u8]); 12] = [
        // What ends it ends it, and what follows is nothing.
        (true, &[1, 0, 0, 0], &[1, 0, 0, 0]),
        (true, &[0, 2, 4, 5, 180], &[0, 0, 0, 0, 0]),
        (true, &[6, 2, 0, 0], &[1, 1, 0, 0]),
        // An option that fits to the last byte, one that does not, one without a length.
        (true, &[1, 3, 3, 7], &[1, 3, 3, 7]),
        (true, &[1, 1, 3, 3], &[1, 1, 1, 1]),
        (true, &[1, 1, 1, 3], &[1, 1, 1, 1]),
        (true, &[3, 1, 3, 3, 7], &[1, 1, 1, 1, 1]),
        // The second of a kind is blanked, of another kind is not.
        (true, &[4, 2, 4, 2], &[4, 2, 1, 1]),
        (true, &[4, 2, 3, 3, 7, 4, 2], &[4, 2, 3, 3, 7, 1, 1]),
        (true, &[15, 2, 4, 2], &[1, 1, 4, 2]),
        (true, &[0x82, 2, 2, 4, 5, 180], &[1, 1, 2, 4, 5, 180]),
        (true, &[1, 1, 1, 1], &[1, 1, 1, 1]),
    ];
    for (is_syn, before, after) in cases {
        let mut options = before.to_vec();
        assert_eq!(restrict_options(&mut options, is_syn), before != after, "{before:?}");
        assert_eq!(options, after, "{before:?}");
    }
}

#[test]
fn a_segment_size_is_read_and_bounded() {
    for (asked, granted) in [(0, 0), (536, 536), (64_999, 64_999), (65_000, 65_000)]
        .into_iter()
        .chain([(65_001, 65_000), (65_535, 65_000)])
    {
        let [high, low] = u16::to_be_bytes(asked);
        let mut options = [1, 2, 4, high, low];
        assert_eq!(maximum_segment_size(&options), Some(granted));
        assert_eq!(restrict_options(&mut options, true), asked != granted);
        assert_eq!(options[3..], u16::to_be_bytes(granted));
    }
    let cases: [(&[u8], Option<u16>); 8] = [
        (&[], None),
        (&[4, 2, 3, 3, 7, 2, 4, 5, 180], Some(1_460)),
        (&[8, 10, 0, 0, 0, 0, 0, 0, 0, 0, 2, 4, 5, 180], Some(1_460)),
        (&[0, 2, 2, 4, 5, 180], None),
        (&[3, 1, 2, 4, 5, 180], None),
        (&[3, 9, 2, 4, 5, 180], None),
        (&[2, 4, 5], None),
        (&[4, 2], None),
    ];
    for (options, size) in cases {
        assert_eq!(maximum_segment_size(options), size, "{options:?}");
    }
}

#[test]
fn a_reset_has_the_ends_and_numbers_it_was_given() {
    let [v4, v6] = families();
    let reset = |[source, destination]: [SocketAddr; 2]| {
        build_reset(&Reset { source, destination, seq: Seq(7), ack: Seq(9) })
    };
    for ends in [v4, v6] {
        let bytes = reset(ends).unwrap();
        let packet = tcp(&bytes);
        assert_eq!((packet.source, packet.source_port), (ends[0].ip(), ends[0].port()));
        assert_eq!((packet.destination, packet.destination_port), (ends[1].ip(), ends[1].port()));
        assert_eq!((packet.seq, packet.ack, packet.payload()), (Seq(7), Seq(9), &b""[..]));
        assert_eq!(packet.flags, Flags { rst: true, ack: true, ..Flags::default() });
        assert_eq!(packet.verify(Checksum::Complete), Ok(()));
    }
    assert_eq!(reset([v4[0], v6[1]]), None);
    assert_eq!(reset([v6[0], v4[1]]), None);
}
