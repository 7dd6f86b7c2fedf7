//! Records in whatever segments: cut, swapped, repeated, contradicted, ahead of a gap, ended.

use mailguard::engine::{
    Arrival, Effects, Gaps, Notice, Reason, Settings, TlsEvent, TlsStage, Verdict, What, Withheld,
};
use mailguard::flow::Direction::{Original as C, Reply as S};
use mailguard::tcp::Violation;
use mailguard::time::Instant;
use mailguard::tls::Fault;

use super::{answered, ask, begun, behind, esmtp, failures, noticed, play, say, told};
use crate::support::packet::{ACK, arrival};
use crate::support::random::{Random, environment};
use crate::support::rig::{Rig, settings};
use crate::support::tls::{client_hello, large_hello, record, server_name, session};

#[test]
fn a_hello_of_two_segments_passes_in_either_order() {
    let hello = large_hello();
    assert!(hello.len() > 1_448);
    for cut in [1, 4, 5, 6, 9, 1_448] {
        for is_swapped in [false, true] {
            let mut rig = esmtp(&[]);
            let at = rig.original.received;
            let mut parts = [(at, &hello[..cut]), (at + cut as u64, &hello[cut..])];
            if is_swapped {
                parts.reverse();
            }
            for (at, part) in parts {
                assert_eq!(rig.send(C, at, part), Verdict::Accept, "{cut} {is_swapped}");
            }
            assert!(rig.original.bytes().ends_with(&hello), "{cut} {is_swapped}");
            let is_begun = |what: &What| {
                let What::Tls(TlsEvent::Begin { offer: Some(offer) }) = what else { return false };
                offer.key_shares == [0x11ec, 0x1d]
            };
            assert!(rig.has_told(is_begun), "{cut} {is_swapped}");
            assert_eq!(rig.engine.stats().tls_large_hellos, 1);
        }
    }
}

#[test]
fn what_is_kept_has_one_value() {
    // Another name in a copy of a hello: it leaves as the first did.
    let hello = client_hello(&[(0, &server_name(b"mx.example"))]);
    let other = client_hello(&[(0, &server_name(b"ex.example"))]);
    let mut rig = esmtp(&[]);
    rig.is_lost_behind = true;
    let at = rig.original.received;
    assert_eq!(rig.send(C, at, &hello), Verdict::Accept);
    assert_eq!(rig.send(C, at, &other), Verdict::Rewrite);
    assert!(rig.last_left.ends_with(&hello));
    assert!(rig.has_told(|what| matches!(what, What::Contradiction { .. })));
    // A header, whole or in part.
    let mut rig = esmtp(&[]);
    play(&mut rig, "tls13", 4, usize::MAX);
    rig.is_lost_behind = true;
    let at = rig.original.received;
    let data = record(23, 100, b"");
    assert_eq!(rig.send(C, at, &data[..3]), Verdict::Accept);
    let short = [&[20, 3, 3, 0, 100][..], &data[5..]].concat();
    assert_eq!(rig.send(C, at, &short), Verdict::Rewrite, "three restored, two judged");
    assert_eq!(rig.send(C, at, &record(23, 10, b"")), Verdict::Rewrite);
    assert!(rig.last_left.ends_with(&[23, 3, 3, 0, 100, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]));
}

#[test]
fn segments_behind_a_missing_header_pass_at_once() {
    let stream: Vec<u8> = (0..6).flat_map(|_| record(23, 1_443, b"")).collect();
    let mut rig = esmtp(&[]);
    play(&mut rig, "tls13", 4, usize::MAX);
    let at = rig.original.received;
    for segment in (1..6).rev() {
        let part = &stream[segment * 1_448..(segment + 1) * 1_448];
        assert_eq!(rig.send(C, at + segment as u64 * 1_448, part), Verdict::Accept, "{segment}");
    }
    assert!(rig.engine.stats().store_bytes_now > 5 * 1_448);
    assert_eq!(rig.send(C, at, &stream[..1_448]), Verdict::Accept);
    assert_eq!(rig.original.received, at + 6 * 1_448);
    let end = rig.reply.received;
    let _ = rig.ack(S, end);
    assert_eq!(rig.engine.stats().store_bytes_now, 0);
    // Text where a header proves to stand: what would join it does not leave.
    let mut rig = esmtp(&[]);
    play(&mut rig, "tls13", 4, usize::MAX);
    let at = rig.original.received;
    assert_eq!(rig.send(C, at + 105, b"EHLO x\r\n"), Verdict::Accept);
    let verdict = rig.send(C, at, &record(23, 100, b""));
    assert_eq!(verdict, Verdict::Drop(Reason::Tls(Fault::TextAfterTls)));
    assert_eq!(rig.original.received, at, "the server reads none of it");
}

#[test]
fn acknowledgements_and_ends_lie_inside_records() {
    let open = || {
        let mut rig = esmtp(&[]);
        play(&mut rig, "tls13", 4, usize::MAX);
        let (at, back) = (rig.original.received, rig.reply.received);
        assert_eq!(rig.send(C, at, &record(23, 1_000, b"")[..500]), Verdict::Accept);
        (rig, at, back)
    };
    let (mut rig, at, back) = open();
    let (seq, _) = rig.numbers(S, back);
    let ack = |offset: u64| 8_u32.wrapping_add(offset as u32);
    // What the header has announced and has not left is none, either.
    for end in [501, 1_005, 1_006] {
        let beyond = rig.packet(S, seq, ack(at + end), ACK, &[], b"");
        assert_eq!(beyond, Verdict::Drop(Violation::AckOfUnsent.into()), "{end}");
    }
    assert_eq!(rig.packet(S, seq, ack(at + 400), ACK, &[], b""), Verdict::Accept);
    // A FIN inside a record.
    let (mut rig, at, back) = open();
    assert_eq!(rig.send_fin(C, at + 500, b"end"), Verdict::Accept);
    assert!(rig.original.is_finished);
    assert_eq!(rig.send_fin(S, back, b""), Verdict::Accept);
    let end = rig.original.received + 1;
    let _ = (rig.ack(C, end), rig.ack(S, back + 1));
    assert!(
        rig.has_told(|what| matches!(what, What::Tls(TlsEvent::End { is_truncated: true, .. })))
    );
    assert!(rig.has_told(|what| *what == What::Closed));
    assert_eq!(rig.engine.stats().tls_agreed_1_3, 1);
    assert_eq!(rig.send(C, at + 503, b"more"), Verdict::Rewrite);
    let reason = Violation::BeyondFin.into();
    assert_eq!(rig.effects.withheld, Some(Withheld { passed: 0, reason }));
    // An exact RST inside a record ends the flow, though its sender has announced more.
    let (mut rig, at, _) = open();
    let (seq, ack) = rig.numbers(C, at + 500);
    assert_eq!(rig.packet(C, seq, ack, 4 | ACK, &[], b""), Verdict::Accept);
    assert!(rig.has_told(|what| *what == What::Closed));
}

/// The next of all orders of some numbers, each at its time.
fn next_order(order: &mut [usize]) -> bool {
    let Some(place) = (1..order.len()).rev().find(|&place| order[place - 1] < order[place]) else {
        return false;
    };
    let other = (place..order.len()).rev().find(|&other| order[other] > order[place - 1]).unwrap();
    order.swap(place - 1, other);
    order[place..].reverse();
    true
}

#[test]
fn six_segments_with_a_header_in_each_arrive_in_any_order() {
    let stream: Vec<u8> = (0..6).flat_map(|_| record(23, 95, b"")).collect();
    // Each segment but the last ends inside the header of the next.
    let edges = [0, 103, 203, 303, 403, 503, 600];
    let start = behind("tls13", 4).original.received;
    let mut rounds = 0;
    let mut order = [0, 1, 2, 3, 4, 5];
    // The numbers wrap inside a header, in the first round.
    let isn = 0_u32.wrapping_sub(start as u32 + 103);
    let mut rig = answered(ask(Rig::established(settings("esmtp"), [isn, 9])));
    play(&mut rig, "tls13", 4, usize::MAX);
    assert_eq!(rig.original.received, start);
    loop {
        let at = rig.original.received;
        for segment in order {
            let (from, to) = (edges[segment], edges[segment + 1]);
            let verdict = rig.send(C, at + from as u64, &stream[from..to]);
            assert_eq!(verdict, Verdict::Accept, "{order:?}");
        }
        assert_eq!(rig.original.received, at + 600, "{order:?}");
        let back = rig.reply.received;
        let _ = rig.ack(S, back);
        assert_eq!(rig.engine.stats().store_bytes_now, 0, "{order:?}");
        rounds += 1;
        if !next_order(&mut order) {
            break;
        }
    }
    assert_eq!(rounds, 720);
}

#[test]
fn much_behind_a_missing_header_passes_or_comes_again() {
    let stream: Vec<u8> = (0..41).flat_map(|_| record(23, 1_443, b"")).collect();
    let part = |segment: usize| &stream[segment * 1_448..(segment + 1) * 1_448];
    // Thirty segments at once; text where a header proves to stand refuses what would join it.
    for text in [&b""[..], b"EHLO x\r\n"] {
        let mut rig = behind("tls13", 4);
        let at = rig.original.received;
        for segment in 1..=30 {
            let mut bytes = part(segment).to_vec();
            if segment == 10 {
                bytes[..text.len()].copy_from_slice(text);
            }
            assert_eq!(rig.send(C, at + segment as u64 * 1_448, &bytes), Verdict::Accept);
        }
        let verdict = rig.send(C, at, part(0));
        if text.is_empty() {
            assert_eq!((verdict, rig.original.received), (Verdict::Accept, at + 31 * 1_448));
            let back = rig.reply.received;
            let _ = rig.ack(S, back);
            assert_eq!(rig.engine.stats().store_bytes_now, 0);
        } else {
            assert_eq!(verdict, Verdict::Drop(Reason::Tls(Fault::TextAfterTls)));
            assert_eq!(rig.original.received, at, "the server reads none of it");
        }
    }
    // Too many gaps, or no room: what is refused is repeated by TCP, and arrives.
    let mut small = settings("esmtp");
    small.limits.bytes_per_flow_max = 32 << 10;
    for (limited, order, refusal) in [
        (settings("esmtp"), (1..41).step_by(2).chain((2..41).step_by(2)), Violation::TooManyGaps),
        (small, (1..41).step_by(1).chain((2..2).step_by(2)), Violation::StoreFull),
    ] {
        let mut rig = begun(limited);
        play(&mut rig, "tls13", 4, usize::MAX);
        let at = rig.original.received;
        let mut again = Vec::new();
        for segment in order {
            let verdict = rig.send(C, at + segment as u64 * 1_448, part(segment));
            if let Some(reason) = rig.refusal(verdict) {
                assert_eq!(reason, refusal.into(), "{segment}");
                again.push(segment);
            }
        }
        assert!(!again.is_empty(), "{refusal:?}");
        for segment in [0].into_iter().chain(again) {
            assert_eq!(rig.send(C, at + segment as u64 * 1_448, part(segment)), Verdict::Accept);
            let back = rig.reply.received;
            let _ = rig.ack(S, back);
        }
        assert_eq!(rig.original.received, at + 41 * 1_448, "{refusal:?}");
        assert_eq!(rig.engine.stats().store_bytes_now, 0);
    }
}

#[test]
fn a_super_packet_is_judged_as_a_whole() {
    let large = |kind| record(kind, 16_045, b"");
    for (third, is_tls) in [(23, true), (24, false)] {
        let mut rig = behind("tls13", 4);
        rig.is_super_packet = true;
        let at = rig.original.received;
        let packet = [large(23), large(23), large(third), large(23)].concat();
        assert_eq!(packet.len(), 64_200, "what the window takes");
        let verdict = rig.send(C, at, &packet);
        if is_tls {
            assert_eq!((verdict, rig.resets), (Verdict::Accept, 0));
        } else {
            assert_eq!(verdict, Verdict::Drop(Reason::Tls(Fault::RecordType)));
            assert_eq!((rig.original.received, rig.resets > 0), (at, true), "no part of it");
        }
    }
}

#[test]
fn payload_has_no_value_of_its_own() {
    let mut rig = behind("tls13", 4);
    rig.is_lost_behind = true;
    let at = rig.original.received;
    assert_eq!(rig.send(C, at, &record(23, 100, b"one")), Verdict::Accept);
    // The rig holds every byte to one value, so this copy goes to the engine itself.
    let (seq, ack) = rig.numbers(C, at);
    let copy = rig.build(C, seq, ack, ACK, &[], &record(23, 100, b"another"));
    let now = Instant::from_micros(rig.micros);
    let arrival = Arrival { path: rig.seen.last().unwrap().path, ..arrival(&copy) };
    let mut effects = Effects::default();
    assert_eq!(rig.engine.handle(now, &arrival, &mut effects), Verdict::Accept, "as it came");
    assert!(effects.records.is_empty() && effects.resets.is_empty());
}

#[test]
fn a_side_that_has_closed_may_still_be_answered() {
    let mut rig = behind("tls12", 4);
    let at = rig.original.received;
    assert_eq!(rig.send_fin(C, at, &record(21, 26, b"")), Verdict::Accept);
    for _ in 0..20 {
        assert_eq!(say(&mut rig, S, &record(23, 1_000, b"")), Verdict::Accept);
    }
    let at = rig.reply.received;
    assert_eq!(rig.send_fin(S, at, &record(21, 26, b"")), Verdict::Accept);
    let end = rig.original.received + 1;
    let _ = (rig.ack(C, end), rig.ack(S, at + 32));
    let ended = told(&rig).pop();
    assert!(matches!(ended, Some(TlsEvent::End { is_truncated: false, .. })), "{ended:?}");
    // A fatal alert in clear, a second one, and the end: TLS has failed, once.
    let mut rig = behind("tls13", 1);
    let fatal = record(21, 2, b"\x02\x28");
    assert_eq!(say(&mut rig, S, &fatal), Verdict::Accept);
    let at = rig.reply.received;
    assert_eq!(rig.send_fin(S, at, &fatal), Verdict::Accept);
    let at = rig.original.received;
    assert_eq!(rig.send_fin(C, at, b""), Verdict::Accept);
    assert_eq!((failures(&rig).len(), rig.resets), (1, 0));
}

#[test]
fn an_end_anywhere_is_told_for_what_it_is() {
    // A FIN behind so many bytes of a record.
    for (length, is_cut) in [(3, true), (5, true), (50, true), (105, false)] {
        let mut rig = behind("tls13", 4);
        let at = rig.original.received;
        let data = record(23, 100, b"");
        assert_eq!(rig.send_fin(C, at, &data[..length]), Verdict::Accept, "{length}");
        let back = rig.reply.received;
        assert_eq!(rig.send_fin(S, back, b""), Verdict::Accept);
        let _ = (rig.ack(C, at + length as u64 + 1), rig.ack(S, back + 1));
        let ended = told(&rig).pop();
        let is_right = |event: &TlsEvent| {
            let TlsEvent::End { is_truncated, .. } = event else { return false };
            *is_truncated == is_cut
        };
        assert!(ended.as_ref().is_some_and(is_right), "{length}: {ended:?}");
        assert_eq!(rig.engine.stats().tls_truncated, u64::from(is_cut), "{length}");
    }
    // An exact RST, after so many bytes of the client's hello or so many flights.
    for (bytes, flights, stage) in [
        (0, 0, None),
        (20, 0, Some(TlsStage::StartTls)),
        (0, 1, Some(TlsStage::ClientHello)),
        (0, 2, Some(TlsStage::ServerHello)),
    ] {
        let mut rig = behind("tls12", flights);
        if bytes > 0 {
            let _ = say(&mut rig, C, &session("tls12")[0].1[..bytes]);
        }
        let at = rig.original.received;
        let (seq, ack) = rig.numbers(C, at);
        assert_eq!(rig.packet(C, seq, ack, 4 | ACK, &[], b""), Verdict::Accept, "{stage:?}");
        assert!(rig.has_told(|what| *what == What::Closed), "{stage:?}");
        let failed = stage.map(|stage| TlsEvent::Failed { by: None, alert: None, stage });
        assert_eq!(failures(&rig), failed.into_iter().collect::<Vec<_>>());
    }
}

#[test]
fn a_capture_with_a_hole_in_it_loses_its_place() {
    let mut rig = begun(Settings { gaps: Gaps::Skip, ..settings("esmtp") });
    play(&mut rig, "tls13", 4, usize::MAX);
    let (at, back) = (rig.original.received, rig.reply.received);
    let (seq, _) = rig.numbers(S, back);
    // The server acknowledges what nobody has seen, and data follows it.
    let ack = 8_u32.wrapping_add(at as u32 + 700);
    assert_eq!(rig.packet(S, seq, ack, ACK, &[], &record(23, 20, b"")), Verdict::Accept);
    assert_eq!(rig.send(C, at + 700, b"whatever this is\r\n"), Verdict::Accept);
    assert_eq!((noticed(&rig), rig.resets), (vec![Notice::LostPlace], 0));
}

#[test]
fn tiny_records_cost_what_is_bounded() {
    // As many as a window holds, of the smallest there can be.
    let stream: Vec<u8> = (0..4_588).flat_map(|_| record(23, 9, b"")).collect();
    let mut rig = behind("tls13", 4);
    rig.is_lost_behind = true;
    rig.is_super_packet = true;
    let at = rig.original.received;
    for _ in 0..200 {
        assert_eq!(rig.send(C, at, &stream), Verdict::Accept);
        assert!(rig.engine.stats().store_bytes_now <= 3 * stream.len() as u64);
    }
    // With less room they wait for those before them, and arrive.
    let mut small = settings("esmtp");
    small.limits.bytes_per_flow_max = 64 << 10;
    let mut rig = begun(small);
    play(&mut rig, "tls13", 4, usize::MAX);
    rig.is_lost_behind = true;
    let at = rig.original.received;
    let mut has_waited = false;
    for (index, part) in stream.chunks(1_400).enumerate() {
        let verdict = rig.send(C, at + index as u64 * 1_400, part);
        if rig.refusal(verdict) == Some(Violation::StoreFull.into()) && !has_waited {
            // What was known of a segment goes on all the same.
            let from = index * 1_400 - 700;
            let _ = rig.send(C, at + from as u64, &stream[from..from + 1_400]);
            assert_eq!(rig.effects.withheld.map(|withheld| withheld.passed), Some(700));
            has_waited = true;
        }
        assert!(rig.engine.stats().store_bytes_now <= 3 * (64 << 10));
    }
    assert!(has_waited);
    rig.is_lost_behind = false;
    for part in stream.chunks(1_400) {
        let at = rig.original.received;
        assert_eq!(rig.send(C, at, part), Verdict::Accept);
        let back = rig.reply.received;
        let _ = rig.ack(S, back);
    }
    assert_eq!(rig.original.received, at + stream.len() as u64);
    assert_eq!(rig.engine.stats().store_bytes_now, 0);
}

/// Headers of a stream of records, as whoever gets it reads them.
fn headers(mut stream: &[u8]) -> Vec<[u8; 5]> {
    let mut headers = Vec::new();
    while let Some(header) = stream.first_chunk::<5>() {
        headers.push(*header);
        let length = 5 + usize::from(u16::from_be_bytes([header[3], header[4]]));
        stream = &stream[length.min(stream.len())..];
    }
    headers
}

#[test]
fn records_arrive_whole_over_any_schedule_and_their_headers_are_those_judged() {
    let seeds = environment("SEEDS", 300);
    for seed in 0..seeds {
        let mut random = Random::new(seed);
        let mut stream = Vec::new();
        for _ in 0..random.below(12) + 3 {
            let length = [9, 14, 100, 1_200, 1_443, 4_000][random.below(6)];
            stream.extend(record(23, length, b""));
        }
        let mut rig = esmtp(&[]);
        play(&mut rig, "tls13", 4, usize::MAX);
        let start = rig.original.received;
        let mut edges = vec![0, stream.len()];
        edges.extend((0..20).map(|_| random.below(stream.len())));
        edges.sort_unstable();
        let mut segments: Vec<_> = edges.windows(2).filter(|e| e[0] < e[1]).collect();
        for round in 0..50 {
            for place in (1..segments.len()).rev() {
                segments.swap(place, random.below(place + 1));
            }
            for edge in &segments {
                let (from, to) = (edge[0], edge[1]);
                if start + to as u64 <= rig.original.received {
                    continue;
                }
                rig.is_lost_behind = round < 40 && random.below(3) == 0;
                let mut part = stream[from..to].to_vec();
                // A copy that lies about a header, once that has left.
                if rig.original.left(start + from as u64).is_some() && part.starts_with(&[23, 3]) {
                    part[0] = 20;
                }
                let _ = rig.send(C, start + from as u64, &part);
                if random.below(2) == 0 {
                    let back = rig.reply.received;
                    let _ = rig.ack(S, back);
                }
            }
        }
        assert_eq!(rig.resets, 0, "seed {seed}");
        let got = rig.original.bytes()[start as usize..].to_vec();
        assert_eq!(got.len(), stream.len(), "seed {seed}: all arrives");
        assert_eq!(headers(&got), headers(&stream), "seed {seed}");
        let back = rig.reply.received;
        let _ = rig.ack(S, back);
        assert_eq!(rig.engine.stats().store_bytes_now, 0, "seed {seed}");
    }
}

/// Two copies of a header that differ are told, but for the one byte of a keep-alive.
#[test]
fn a_copy_of_a_header_is_compared() {
    let data = record(23, 100, b"");
    for (sent, at, copy, is_told) in [
        (105, 0, &[20][..], false),
        (105, 0, &data[..1], false),
        (105, 0, &data[..], false),
        (105, 0, &[20, 3, 3], true),
        (105, 4, &[99, 0], true),
        (1, 0, &[20, 3, 3], true),
        (3, 0, &data[..4], false),
        (3, 2, &[4], false),
        (3, 2, &[4, 0], true),
    ] {
        let mut rig = behind("tls13", 4);
        rig.is_lost_behind = true;
        let start = rig.original.received;
        assert_eq!(rig.send(C, start, &data[..sent]), Verdict::Accept);
        let _ = rig.send(C, start + at, copy);
        let was_told = rig.has_told(|what| matches!(what, What::Contradiction { .. }));
        assert_eq!(was_told, is_told, "{sent} bytes, {copy:?} at {at}");
    }
    // And with what was let through ahead of a gap.
    for (header, is_told) in [(&[23, 3, 3][..], false), (&[20, 3, 3], true)] {
        let mut rig = behind("tls13", 4);
        rig.is_lost_behind = true;
        let start = rig.original.received;
        assert_eq!(rig.send(C, start + 105, &record(23, 20, b"")), Verdict::Accept);
        let _ = rig.send(C, start, &[&data[..], header].concat());
        let told = rig.records.iter().filter(|r| matches!(r.what, What::Contradiction { .. }));
        assert_eq!((told.count(), rig.resets), (usize::from(is_told), 0), "{header:?}");
    }
}

/// A segment passes that could keep more than a flow may hold, and what is kept stays bounded.
#[test]
fn half_of_what_a_flow_may_hold_is_room_for_any_segment() {
    let mut small = settings("esmtp");
    small.limits.bytes_per_flow_max = 4_000;
    let mut rig = begun(small.clone());
    play(&mut rig, "tls13", 4, usize::MAX);
    let at = rig.original.received;
    assert_eq!(rig.send(C, at, &record(23, 2_995, b"")), Verdict::Accept);
    let tiny = record(23, 9, b"").repeat(100);
    for is_monitored in [false, true] {
        let mut rig = begun(Settings { monitor: is_monitored, ..small.clone() });
        play(&mut rig, "tls13", 4, usize::MAX);
        rig.is_lost_behind = true;
        let at = rig.original.received;
        let mut sent = 0;
        while rig.engine.stats().store_bytes_now <= 2_000 {
            assert_eq!(rig.send(C, at + sent, &tiny[..700]), Verdict::Accept);
            sent += 700;
        }
        assert!(rig.engine.stats().store_bytes_now < 3_000);
        // There is no room; where monitoring it goes on, and is read all the same.
        let text = [&record(23, 700, b"")[..], b"EHLO x\r\n"].concat();
        let verdict = rig.send(C, at + sent, &text);
        let is_fault = |event: &TlsEvent| matches!(event, TlsEvent::Alarm { .. });
        let is_told = told(&rig).iter().any(is_fault);
        if is_monitored {
            assert_eq!((verdict, is_told), (Verdict::Accept, true));
        } else {
            assert_eq!(rig.refusal(verdict), Some(Violation::StoreFull.into()));
            assert!(!is_told);
        }
    }
}
