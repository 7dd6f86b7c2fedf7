//! Captures built byte by byte, read and written back; a second reader as witness.

#![expect(clippy::cast_possible_truncation, reason = "lengths of a few bytes, random low bits")]

use super::*;

const FRAME: &[u8] = b"some frame";

fn words(order: Order, words: &[u32]) -> Vec<u8> {
    words.iter().flat_map(|word| order.bytes(*word)).collect()
}

fn shorts(order: Order, a: u16, b: u16) -> Vec<u8> {
    match order {
        Order::Little => [a.to_le_bytes(), b.to_le_bytes()].concat(),
        Order::Big => [a.to_be_bytes(), b.to_be_bytes()].concat(),
    }
}

fn classic(order: Order, magic: u32) -> Vec<u8> {
    let length = FRAME.len() as u32;
    [
        words(order, &[magic]),
        shorts(order, 2, 4),
        words(order, &[0, 0, 65_535, 0x3000_0001]),
        words(order, &[981_565_280, 123_456, length, 60]),
        FRAME.to_vec(),
        words(order, &[981_565_281, 7, 0, 0]),
    ]
    .concat()
}

fn block(order: Order, kind: u32, body: &[u8]) -> Vec<u8> {
    let padded = body.len().next_multiple_of(4);
    let length = words(order, &[padded as u32 + 12]);
    let mut block = [&words(order, &[kind]), &length, body].concat();
    block.resize(padded + 8, 0);
    [block, length].concat()
}

fn option(order: Order, code: u16, value: &[u8]) -> Vec<u8> {
    let mut option = [&shorts(order, code, value.len() as u16), value].concat();
    option.resize(option.len().next_multiple_of(4), 0);
    option
}

fn section(order: Order) -> Vec<u8> {
    let body = [words(order, &[0x1a2b_3c4d]), shorts(order, 1, 0), vec![0xff; 8]].concat();
    block(order, ng::SECTION_HEADER, &body)
}

fn interface(order: Order, link: u16, options: &[u8]) -> Vec<u8> {
    block(order, 1, &[&shorts(order, link, 0), &words(order, &[0])[..], options].concat())
}

fn enhanced(order: Order, kind: u32, source: &[u8], ticks: [u32; 2], options: &[u8]) -> Vec<u8> {
    let lengths = words(order, &[ticks[0], ticks[1], FRAME.len() as u32, 60]);
    block(order, kind, &[source, &lengths, FRAME, &[0; 2], options].concat())
}

/// Two sections; three interfaces with clocks of their own; every kind of packet block.
fn ng(order: Order) -> Vec<u8> {
    let end = option(order, 0, b"");
    let offset = match order {
        Order::Little => 1_000_i64.to_le_bytes(),
        Order::Big => 1_000_i64.to_be_bytes(),
    };
    let nanos = [option(order, 9, &[9]), option(order, 14, &offset), end.clone()].concat();
    let binary = [option(order, 9, &[0x80 | 10]), end.clone()].concat();
    let marks = [option(order, 3, b"\x01hash"), option(order, 1, b"note"), end].concat();
    let zone = option(order, 10, &[0; 4]);
    [
        section(order),
        interface(order, 1, &zone),
        interface(order, 101, &nanos),
        block(order, 0x0bad, b"unknown"),
        enhanced(order, 6, &words(order, &[0]), [0, 5_000_000], b""),
        enhanced(order, 6, &words(order, &[1]), [2, 0], &marks),
        enhanced(order, 2, &shorts(order, 1, 77), [0, 3_000_000], b""),
        block(order, 3, &[&words(order, &[10])[..], FRAME].concat()),
        section(order),
        interface(order, 276, &binary),
        enhanced(order, 6, &words(order, &[0]), [0, 2_048], b""),
    ]
    .concat()
}

/// Reads a capture to its end: what was handed out, and (link, micros, frame, original length).
type Summary = (LinkType, Option<u64>, Vec<u8>, u32);

fn read(bytes: &[u8]) -> Result<(Vec<u8>, Vec<Summary>, bool), Fault> {
    let (mut carried, mut packets) = (Vec::new(), Vec::new());
    let mut reader = Reader::new(bytes);
    while let Some(entry) = reader.read()? {
        match entry {
            Entry::Other(bytes) | Entry::Section(bytes) => carried.extend_from_slice(bytes),
            Entry::Packet(packet) => {
                carried.extend_from_slice(packet.record);
                let frame = packet.frame.to_vec();
                packets.push((packet.link, packet.micros, frame, packet.original_length));
            }
        }
    }
    Ok((carried, packets, reader.is_cut()))
}

const ORDERS: [Order; 2] = [Order::Little, Order::Big];

#[test]
fn classic_files_of_both_orders_and_resolutions_are_read() {
    for order in ORDERS {
        for (magic, fraction) in [(0xa1b2_c3d4, 123_456), (0xa1b2_3c4d, 123)] {
            let bytes = classic(order, magic);
            let (carried, packets, is_cut) = read(&bytes).unwrap();
            assert_eq!(carried, bytes);
            assert!(!is_cut);
            let micros = Some(981_565_280_000_000 + fraction);
            assert_eq!(packets[0], (1, micros, FRAME.to_vec(), 60));
            assert_eq!(packets[1].2, b"");
            assert_eq!(packets.len(), 2);
        }
    }
}

#[test]
fn every_kind_of_block_is_read_or_carried_over() {
    for order in ORDERS {
        let bytes = ng(order);
        let (carried, packets, is_cut) = read(&bytes).unwrap();
        assert_eq!(carried, bytes);
        assert!(!is_cut);
        let frame = || FRAME.to_vec();
        assert_eq!(
            packets,
            [
                (1, Some(5_000_000), frame(), 60),
                (101, Some(1_000_000_000 + (2 << 32) / 1_000), frame(), 60),
                (101, Some(1_000_000_000 + 3_000), frame(), 60),
                (1, None, frame(), 10),
                (276, Some(2_000_000), frame(), 60),
            ]
        );
    }
}

#[test]
fn a_stated_section_length_is_read_as_it_stands_and_can_be_made_void() {
    for order in ORDERS {
        let mut bytes = section(order);
        bytes[16..24].fill(0);
        assert_eq!(read(&bytes).unwrap().0, bytes);
        let mut written = b"before".to_vec();
        write_section(&bytes, &mut written);
        assert_eq!(written, [&b"before"[..], &section(order)].concat());
    }
}

#[test]
fn another_frame_keeps_time_interface_and_options_but_not_the_hash() {
    for order in ORDERS {
        let bytes = ng(order);
        let mut reader = Reader::new(&bytes[..]);
        let mut written = Vec::new();
        while let Some(entry) = reader.read().unwrap() {
            match entry {
                Entry::Other(bytes) | Entry::Section(bytes) => written.extend_from_slice(bytes),
                Entry::Packet(packet) => packet.write_with(b"short", &mut written),
            }
        }
        let after = read(&written).unwrap().1;
        for (before, after) in read(&bytes).unwrap().1.into_iter().zip(after) {
            assert_eq!(after, (before.0, before.1, b"short".to_vec(), before.3 - 5));
        }
        assert!(written.windows(4).any(|window| window == b"note"));
        assert!(!written.windows(4).any(|window| window == b"hash"));
    }
}

#[test]
fn a_shape_takes_the_time_of_another_clock() {
    let bytes = ng(Order::Little);
    let mut reader = Reader::new(&bytes[..]);
    let (mut shapes, mut written) = (Vec::new(), Vec::new());
    while let Some(entry) = reader.read().unwrap() {
        match entry {
            Entry::Section(_) if !shapes.is_empty() => break,
            Entry::Other(bytes) | Entry::Section(bytes) => written.extend_from_slice(bytes),
            Entry::Packet(packet) => shapes.push((packet.shape, packet.micros)),
        }
    }
    let late = 2_000_000_005;
    let mut expected = Vec::new();
    for (shape, _) in &shapes {
        for (other, micros) in &shapes {
            let micros = micros.unwrap_or(late);
            shape.at(*other, micros).write(FRAME, 10, &[], &mut written);
            expected.push(micros);
        }
    }
    for (packet, micros) in read(&written).unwrap().1.into_iter().zip(expected) {
        // The second interface begins to count at 1000 seconds.
        let first = if packet.0 == 101 { 1_000_000_000 } else { 0 };
        assert!(packet.1.is_none_or(|at| at == micros.max(first)), "{packet:?} at {micros}");
    }
}

#[test]
fn any_clock_counts_there_and_back() {
    for resolution in 0..=255 {
        for offset in [0, -5, i64::MIN, i64::MAX] {
            let clock = ng::tests_clock(resolution, offset);
            for ticks in [0, 1, 981_565_280_123_456, u64::MAX] {
                let micros = clock.micros(ticks);
                let _ = clock.ticks(micros);
            }
        }
    }
    let clock = ng::tests_clock(9, 0);
    assert_eq!(clock.ticks(clock.micros(1_234_567_000)), 1_234_567_000);
}

#[test]
fn a_file_cut_in_a_record_ends_before_it() {
    for bytes in [classic(Order::Big, 0xa1b2_c3d4), ng(Order::Little)] {
        let whole = read(&bytes).unwrap().1;
        for length in 28..bytes.len() {
            let (carried, packets, is_cut) = read(&bytes[..length]).unwrap();
            assert!(bytes.starts_with(&carried));
            assert!(whole.starts_with(&packets));
            assert_eq!(is_cut, carried.len() < length);
        }
    }
}

#[test]
fn what_is_no_capture_is_said_with_its_place() {
    let message = |bytes: &[u8]| read(bytes).unwrap_err().to_string();
    assert_eq!(message(b""), "byte 0: expected a pcap or pcapng header, found an empty file");
    assert_eq!(
        message(b"From: a@b"),
        "byte 0: expected the magic number of a pcap or pcapng file, found [46, 72, 6f, 6d]"
    );
    assert_eq!(
        message(&classic(Order::Little, 0xa1b2_c3d4)[..20]),
        "byte 0: expected a whole pcap or pcapng header, found a shorter file"
    );
    let mut bytes = classic(Order::Little, 0xa1b2_c3d4);
    bytes[24 + 8..24 + 12].fill(0xff);
    assert_eq!(
        message(&bytes),
        "byte 24: expected a record of at most 16777216 bytes, found a length of 4294967295"
    );
    let mut bytes = ng(Order::Little);
    bytes[28 + 4] = 21;
    assert!(message(&bytes).starts_with("byte 28: expected a block length from 12"));
    let stray = [section(Order::Big), enhanced(Order::Big, 6, &[0; 4], [0, 0], b"")].concat();
    assert_eq!(message(&stray), "byte 28: expected a packet of an interface described before it");
}

#[test]
fn a_length_that_lies_allocates_nothing() {
    let mut bytes = classic(Order::Little, 0xa1b2_c3d4);
    bytes[24 + 8..24 + 12].copy_from_slice(&(RECORD_BYTES_MAX as u32).to_le_bytes());
    let mut reader = Reader::new(&bytes[..]);
    while reader.read().unwrap().is_some() {}
    assert!(reader.is_cut());
    assert!(reader.window.capacity() < 1 << 20);
}

/// xorshift64*: enough randomness for mutations, and the same everywhere.
fn random(state: &mut u64) -> usize {
    *state ^= *state >> 12;
    *state ^= *state << 25;
    *state ^= *state >> 27;
    (state.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) as usize
}

/// What pcap-parser reads in the record of a packet.
#[derive(Debug, PartialEq)]
struct Witnessed {
    /// With the padding, if the captured length is not stated.
    frame: Vec<u8>,
    original_length: u32,
    time: [u32; 2],
    interface: u32,
    /// Codes and padded values.
    options: Vec<(u16, Vec<u8>)>,
}

/// Reads a record of the file that begins with `first`.
fn witness(first: u8, record: &[u8]) -> Witnessed {
    let (frame, original_length, time, interface, options) = match first {
        0xa1 | 0x4d | 0xd4 => {
            let is_big = first == 0xa1;
            let parse = if is_big {
                pcap_parser::parse_pcap_frame_be
            } else {
                pcap_parser::parse_pcap_frame
            };
            let (rest, found) = parse(record).unwrap();
            assert!(rest.is_empty());
            (found.data, found.origlen, [found.ts_sec, found.ts_usec], 0, Vec::new())
        }
        _ => {
            // It does not know the obsolete block, whose layout is the enhanced one's.
            let record = record.iter().enumerate();
            let record = record.map(|(at, byte)| if at < 4 && *byte == 2 { 6 } else { *byte });
            return witness_block(&record.collect::<Vec<_>>());
        }
    };
    Witnessed { frame: frame.to_vec(), original_length, time, interface, options }
}

fn witness_block(record: &[u8]) -> Witnessed {
    use pcap_parser::{Block, parse_block_be, parse_block_le};
    let parse = if record[0] == 0 { parse_block_be } else { parse_block_le };
    let (rest, block) = parse(record).unwrap();
    assert!(rest.is_empty());
    if let Block::EnhancedPacket(found) = block {
        let options = found.options.iter().map(|option| (option.code.0, option.value.to_vec()));
        return Witnessed {
            frame: found.data[..found.caplen as usize].to_vec(),
            original_length: found.origlen,
            time: [found.ts_high, found.ts_low],
            interface: found.if_id,
            options: options.take_while(|(code, _)| *code != 0).collect(),
        };
    }
    let Block::SimplePacket(found) = block else { panic!("{block:?} is no packet") };
    let (frame, original_length) = (found.data.to_vec(), found.origlen);
    Witnessed { frame, original_length, time: [0; 2], interface: 0, options: Vec::new() }
}

/// Has every packet of a file, as read and as written with another frame, read by another reader;
/// how many there were.
fn cross_examine(bytes: &[u8]) -> usize {
    let (mut reader, mut count) = (Reader::new(bytes), 0);
    while let Ok(Some(entry)) = reader.read() {
        let Entry::Packet(packet) = entry else { continue };
        count += 1;
        let mut found = witness(bytes[0], packet.record);
        assert_eq!(found.original_length, packet.original_length);
        match packet.micros {
            Some(_) => assert_eq!(found.frame, packet.frame),
            None => assert!(found.frame.starts_with(packet.frame)),
        }
        let other = b"padded to a multiple of four";
        let mut written = Vec::new();
        packet.write_with(other, &mut written);
        let longer = other.len() as i64 - packet.frame.len() as i64;
        let original = i64::from(packet.original_length) + longer;
        found.original_length = original.clamp(0, u32::MAX.into()) as u32;
        found.frame = other.to_vec();
        found.options.retain(|(code, _)| *code != 3);
        assert_eq!(witness(bytes[0], &written), found);
    }
    count
}

#[test]
fn another_reader_agrees() {
    for order in ORDERS {
        assert_eq!(cross_examine(&classic(order, 0xa1b2_c3d4)), 2);
        assert_eq!(cross_examine(&ng(order)), 5);
    }
}

#[test]
fn mutated_files_never_panic_and_another_reader_agrees() {
    let samples = [
        classic(Order::Little, 0xa1b2_c3d4),
        classic(Order::Big, 0xa1b2_3c4d),
        ng(Order::Little),
        ng(Order::Big),
    ];
    let rounds = std::env::var("ROUNDS").map_or(40_000, |rounds| rounds.parse().unwrap());
    let mut state = std::env::var("SEED").map_or(0x5eed, |seed| seed.parse().unwrap());
    let mut count = 0;
    for round in 0..rounds {
        let mut bytes = samples[round % samples.len()].clone();
        for _ in 0..=random(&mut state) % 4 {
            let at = random(&mut state) % bytes.len();
            bytes[at] = match random(&mut state) % 3 {
                0 => 0xff,
                1 => bytes[at] ^ (1 << (random(&mut state) % 8)),
                _ => random(&mut state) as u8,
            };
        }
        let _ = read(&bytes);
        count += cross_examine(&bytes);
    }
    assert!(count > rounds);
}
