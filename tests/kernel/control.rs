//! D: flags, numbers and options within a flow. What the server might take, the filter reads; what
//! the filter cannot be sure of does not leave, or leaves blank.

use super::{BOTH, Case, EVIL, Peer, Stand, V4, reseal};
use crate::lab::{Because, End, Outcome, ensure};
use crate::support::packet::{ACK, FIN, PSH, RST, URG};

pub(crate) const CASES: &[Case] = &[
    Case { id: "D01", name: "urgent in a verb", run: urgent, families: BOTH },
    Case { id: "D02", name: "RST in window", run: near_reset, families: BOTH },
    Case { id: "D03", name: "RST exact", run: exact_reset, families: BOTH },
    Case { id: "D04", name: "RST with bad sum, TTL 1, MD5", run: void_reset, families: V4 },
    Case { id: "D05", name: "RST with data", run: reset_with_data, families: V4 },
    Case { id: "D06", name: "FIN, then data", run: data_behind_fin, families: BOTH },
    Case { id: "D07", name: "FIN of the future", run: future_fin, families: V4 },
    Case { id: "D08", name: "FIN with a wrong number", run: wrong_fin, families: V4 },
    Case { id: "D09", name: "no ACK flag", run: no_ack, families: BOTH },
    Case { id: "D10", name: "ACK out of range", run: strange_ack, families: V4 },
    Case { id: "D11", name: "old timestamp", run: old_timestamp, families: BOTH },
    Case { id: "D12", name: "missing timestamp", run: no_timestamp, families: V4 },
    Case { id: "D13", name: "bad checksum", run: bad_checksum, families: BOTH },
    Case { id: "D14", name: "data offset games", run: data_offset, families: BOTH },
    Case { id: "D15", name: "malformed options", run: malformed, families: V4 },
    Case { id: "D16", name: "MD5 and AO on data", run: signatures, families: V4 },
    Case { id: "D17", name: "reserved bits, ECN, no PSH", run: reserved, families: BOTH },
    Case { id: "D18", name: "keep-alives with garbage", run: keep_alive, families: BOTH },
    Case { id: "D19", name: "simultaneous close", run: both_close, families: V4 },
    Case { id: "D20", name: "half close", run: half_close, families: BOTH },
];

/// Sends one strange segment at the start of the stream, for each of the ways; whatever became of
/// it, the same place said again otherwise is one value, and what follows is filtered.
fn one_value(stand: &mut Stand, ways: &[(&str, Way)]) -> Outcome<String> {
    for (name, way) in ways {
        let mut peer = stand.connected()?;
        let packet = way(&peer);
        stand.tun.send(&packet);
        stand.wait(&mut peer, 3);
        let truth: &[u8] = b"EXPN\r\nVRFY root\r\nQUIT\r\n";
        let lie: &[u8] = b"NOOP\r\nVRFY root\r\nQUIT\r\n";
        stand.deliver(&mut peer, truth).because(name)?;
        stand.settle_as_one_of(&mut peer, &[truth, lie]).because(name)?;
    }
    Ok(format!("{} ways, one value", ways.len()))
}

type Way = fn(&Peer) -> Vec<u8>;

fn urgent(stand: &mut Stand) -> Outcome<String> {
    for pointer in [2_u16, 3, 0, 100] {
        let mut peer = stand.connected()?;
        let stream: &[u8] = b"MAXIL FROM:<a@b>\r\nNOOP\r\n";
        let packet = peer.changed(0, stream, |packet, tcp| {
            packet[tcp + 13] |= URG;
            packet[tcp + 18..tcp + 20].copy_from_slice(&pointer.to_be_bytes());
        });
        stand.tun.send(&packet);
        stand.finish(&mut peer, stream).because(format!("pointer {pointer}"))?;
    }
    Ok("the server saw every byte, masked".to_owned())
}

fn near_reset(stand: &mut Stand) -> Outcome<String> {
    let mut peer = stand.connected()?;
    for ahead in [1, 2, 10, 100, 1000] {
        stand.tun.send(&peer.flagged(ahead, &[], RST | ACK));
        stand.tun.send(&peer.flagged(ahead, &[], RST));
    }
    stand.finish(&mut peer, EVIL)
}

fn exact_reset(stand: &mut Stand) -> Outcome<String> {
    let mut peer = stand.connected()?;
    stand.tun.send(&peer.flagged(0, &[], RST));
    stand.wait(&mut peer, 20);
    let end = stand.visits(&peer).pop().and_then(|visit| visit.end);
    ensure(end == Some(End::Broken), || format!("the server's connection: {end:?}"))?;
    stand.send(&peer, 0, EVIL);
    stand.wait(&mut peer, 20);
    ensure(stand.read_by_server(&peer).is_empty(), || "read after a RST".to_owned())?;
    Ok("the server was reset, nothing was read".to_owned())
}

fn void_reset(stand: &mut Stand) -> Outcome<String> {
    let mut peer = stand.connected()?;
    let mut bad = peer.flagged(0, &[], RST);
    bad[36] ^= 0xff;
    let mut short = peer.flagged(0, &[], RST);
    short[8] = 1;
    reseal(&mut short);
    let signed = peer.raw((peer.seq(0), 0), RST, &signature(19, 18), &[]);
    stand.tun.send(&bad);
    stand.tun.send(&short);
    stand.wait(&mut peer, 5);
    stand.deliver(&mut peer, &EVIL[..30])?;
    // Blanked of its signature this one is a RST like any other: the server is gone, or it is
    // not, but nothing unfiltered is read.
    stand.tun.send(&signed);
    stand.wait(&mut peer, 5);
    stand.send(&peer, 30, &EVIL[30..]);
    stand.wait(&mut peer, 10);
    let read = stand.read_by_server(&peer);
    let expected = super::canonical(EVIL);
    ensure(expected.starts_with(&read), || read.escape_ascii().to_string())?;
    Ok("filtered".to_owned())
}

fn reset_with_data(stand: &mut Stand) -> Outcome<String> {
    let mut peer = stand.connected()?;
    stand.tun.send(&peer.flagged(0, b"VRFY root\r\n", RST | ACK | PSH));
    stand.wait(&mut peer, 10);
    let left = stand.wire.stream(peer.local);
    let payload = stand.wire.of(peer.local).map(|seen| seen.payload.len()).sum::<usize>();
    ensure(left.is_empty() && payload == 0, || format!("{payload} bytes left"))?;
    Ok("no payload left".to_owned())
}

fn data_behind_fin(stand: &mut Stand) -> Outcome<String> {
    let mut peer = stand.connected()?;
    stand.tun.send(&peer.flagged(0, b"NOOP\r\n", ACK | PSH | FIN));
    stand.send(&peer, 6, b"VRFY root\r\n");
    stand.send(&peer, 7, b"VRFY root\r\n");
    stand.send(&peer, 3, b"P\r\nVRFY root\r\n");
    stand.wait(&mut peer, 20);
    let left = stand.wire.stream(peer.local);
    ensure(left == b"NOOP\r\n", || format!("left: {}", left.escape_ascii()))?;
    let visit = stand.visits(&peer).pop().because("no connection")?;
    ensure(visit.received == b"NOOP\r\n", || visit.received.escape_ascii().to_string())?;
    Ok("nothing behind the FIN".to_owned())
}

fn future_fin(stand: &mut Stand) -> Outcome<String> {
    let mut peer = stand.connected()?;
    stand.tun.send(&peer.flagged(100, &[], ACK | FIN));
    stand.tun.send(&peer.flagged(90, b"VRFY root.", ACK | FIN));
    stand.finish(&mut peer, EVIL)
}

fn wrong_fin(stand: &mut Stand) -> Outcome<String> {
    let mut peer = stand.connected()?;
    stand.deliver(&mut peer, &EVIL[..8])?;
    stand.tun.send(&peer.flagged(8 + 70_000, &[], ACK | FIN));
    stand.tun.send(&peer.flagged(3, &[], ACK | FIN));
    stand.wait(&mut peer, 5);
    stand.finish(&mut peer, EVIL)
}

fn no_ack(stand: &mut Stand) -> Outcome<String> {
    one_value(
        stand,
        &[
            ("PSH alone", |p| p.flagged(0, b"NOOP\r\n", PSH)),
            ("no flag", |p| p.flagged(0, b"NOOP\r\n", 0)),
        ],
    )
}

fn strange_ack(stand: &mut Stand) -> Outcome<String> {
    fn with(peer: &Peer, delta: u32) -> Vec<u8> {
        let numbers = (peer.seq(0), peer.expects().wrapping_add(delta));
        peer.raw(numbers, ACK | PSH, &[], b"NOOP\r\n")
    }
    one_value(
        stand,
        &[
            ("+1000", |peer| with(peer, 1000)),
            ("-1000", |peer| with(peer, 0_u32.wrapping_sub(1000))),
            ("2^31", |peer| with(peer, 1 << 31)),
        ],
    )
}

/// The timestamps option, padded.
fn stamp(value: u32) -> Vec<u8> {
    [&[1, 1, 8, 10][..], &value.to_be_bytes(), &[0; 4]].concat()
}

fn stamped(stand: &mut Stand) -> Outcome<Peer> {
    let mut peer = stand.peer();
    peer.syn_options = [&[2, 4, 5, 180][..], &stamp(100_000)].concat();
    peer.options = stamp(100_001);
    stand.connect(peer)
}

fn old_timestamp(stand: &mut Stand) -> Outcome<String> {
    let mut peer = stamped(stand)?;
    let numbers = (peer.seq(0), peer.expects());
    stand.tun.send(&peer.raw(numbers, ACK | PSH, &stamp(99_000), b"NOOP\r\n"));
    stand.wait(&mut peer, 5);
    ensure(stand.read_by_server(&peer).is_empty(), || "the server took it".to_owned())?;
    stand.deliver(&mut peer, b"EXPN\r\n")?;
    stand.finish(&mut peer, b"NOOP\r\nVRFY root\r\nQUIT\r\n")
}

fn no_timestamp(stand: &mut Stand) -> Outcome<String> {
    let mut peer = stamped(stand)?;
    peer.options = Vec::new();
    stand.finish(&mut peer, EVIL)
}

fn bad_checksum(stand: &mut Stand) -> Outcome<String> {
    let mut peer = stand.connected()?;
    let mut bad = peer.segment(0, b"NOOP\r\n");
    let at = super::tcp_start(&bad) + 16;
    bad[at] ^= 0x5a;
    stand.tun.send(&bad);
    stand.finish(&mut peer, b"EXPN\r\nVRFY root\r\nQUIT\r\n")
}

fn data_offset(stand: &mut Stand) -> Outcome<String> {
    fn with(peer: &Peer, words: u8, text: &[u8]) -> Vec<u8> {
        peer.changed(0, text, |packet, tcp| packet[tcp + 12] = words << 4)
    }
    one_value(
        stand,
        &[
            ("4 words", |peer| with(peer, 4, b"NOOP\r\n")),
            ("15 words", |peer| with(peer, 15, b"NOOP\r\n")),
            // Twenty bytes of a line become options, and what follows them the line.
            ("10 words", |peer| with(peer, 10, b"AAAAAAAAAAAAAAAAAAAANOOP\r\n")),
            ("6 words", |peer| with(peer, 6, b"NOOPNOOP\r\n")),
        ],
    )
}

fn malformed(stand: &mut Stand) -> Outcome<String> {
    fn with(peer: &Peer, options: &[u8]) -> Vec<u8> {
        peer.raw((peer.seq(0), peer.expects()), ACK | PSH, options, b"NOOP\r\n")
    }
    one_value(
        stand,
        &[
            ("length 0", |peer| with(peer, &[77, 0, 1, 1])),
            ("length 1", |peer| with(peer, &[77, 1, 1, 1])),
            ("overrun", |peer| with(peer, &[77, 40, 1, 1])),
            ("junk", |peer| with(peer, &[0xa5; 40])),
            ("behind the end", |peer| with(peer, &[0, 30, 4, 4])),
        ],
    )
}

fn signature(kind: u8, length: u8) -> Vec<u8> {
    let mut option = vec![0x5a; usize::from(length)];
    option[0] = kind;
    option[1] = length;
    option.resize(usize::from(length).next_multiple_of(4), 1);
    option
}

fn signatures(stand: &mut Stand) -> Outcome<String> {
    fn with(peer: &Peer, kind: u8, length: u8) -> Vec<u8> {
        let numbers = (peer.seq(0), peer.expects());
        peer.raw(numbers, ACK | PSH, &signature(kind, length), b"NOOP\r\n")
    }
    one_value(stand, &[("MD5", |peer| with(peer, 19, 18)), ("AO", |peer| with(peer, 29, 16))])
}

fn reserved(stand: &mut Stand) -> Outcome<String> {
    let mut peer = stand.connected()?;
    let line = &EVIL[..19];
    let packet = peer.changed(0, line, |packet, tcp| {
        packet[tcp + 12] |= 0x0e;
        packet[tcp + 13] = ACK | 0xc0;
        let class = if packet[0] >> 4 == 4 { &mut packet[1] } else { &mut packet[0] };
        *class |= if tcp == 20 { 3 } else { 0 };
    });
    stand.tun.send(&packet);
    stand.until("ACK", &mut peer, |peer| peer.acknowledged == 19)?;
    let kept = stand.wire.of(peer.local).any(|seen| seen.flags & 0xc0 == 0xc0);
    ensure(kept, || "the ECN bits were not kept".to_owned())?;
    stand.finish(&mut peer, EVIL)
}

fn keep_alive(stand: &mut Stand) -> Outcome<String> {
    let mut peer = stand.connected()?;
    let mut sent = 0;
    for line in EVIL.split_inclusive(|&octet| octet == b'\n') {
        sent += line.len();
        stand.deliver(&mut peer, &EVIL[..sent])?;
        for garbage in [&b"Z"[..], b"", b"\n"] {
            stand.send(&peer, sent as u64 - 1, garbage);
        }
    }
    stand.finish(&mut peer, EVIL)
}

fn both_close(stand: &mut Stand) -> Outcome<String> {
    let mut peer = stand.connected()?;
    let stream: &[u8] = b"VRFY root\r\nQUIT close\r\n";
    stand.deliver(&mut peer, &stream[..11])?;
    // The FIN runs ahead of the last data.
    stand.tun.send(&peer.flagged(stream.len() as u64, &[], ACK | FIN));
    stand.deliver(&mut peer, stream)?;
    stand.until("FIN", &mut peer, |peer| peer.has_heard_fin)?;
    let end = stream.len() as u64;
    stand.tun.send(&peer.flagged(end, &[], ACK | FIN));
    stand.until("ACK of FIN", &mut peer, |peer| peer.acknowledged > end)?;
    let read = stand.read_by_server(&peer);
    ensure(read == super::canonical(stream), || read.escape_ascii().to_string())?;
    Ok("all data and both FINs came".to_owned())
}

fn half_close(stand: &mut Stand) -> Outcome<String> {
    let mut peer = stand.connected()?;
    let stream: &[u8] = b"NOOP\r\nQUIT 150\r\n";
    stand.tun.send(&peer.flagged(0, stream, ACK | PSH | FIN));
    let is_last = |peer: &Peer| peer.heard.ends_with(b"221 bye\r\n") && peer.has_heard_fin;
    stand.until("221 and FIN", &mut peer, is_last)?;
    let end = stand.visits(&peer).pop().and_then(|visit| visit.end);
    ensure(end == Some(End::Finished), || format!("{end:?}"))?;
    Ok("221 came 150 ms behind the client's FIN".to_owned())
}
