//! The network around the engine, with an engine that answers as it is told.

use std::cell::RefCell;
use std::collections::VecDeque;

use etherparse::PacketBuilder;

use crate::engine::{Arrival, Effects, Reason, Record, Verdict, What, Withheld};
use crate::flow::{Direction, Endpoint, FlowKey};
use crate::front::capture::{Entry, Reader};
use crate::tcp::Violation;
use crate::time::Instant;
use crate::wire::Checksum;

use super::gateway::{Gateway, Judge};
use super::{Bystander, Checksums, Fate, Step};

/// What the scripted engine answers to the next packet.
#[derive(Clone)]
enum Answer {
    Accept,
    /// The packet goes on with this many bytes; the rest is to be repeated.
    Cut(usize),
    /// The flow ends with this packet.
    Close,
    Drop,
    /// The packet is dropped because others are missing before it.
    Early,
    /// The packet itself comes back as if it were a reset.
    Reset(Vec<u8>),
}

#[derive(Default)]
struct Script {
    answers: RefCell<VecDeque<Answer>>,
    seen: RefCell<Vec<(u64, bool)>>,
    bytes: RefCell<Vec<Vec<u8>>>,
    expired: RefCell<Vec<u64>>,
}

impl Judge for Script {
    fn handle(&self, now: Instant, arrival: &Arrival<'_>, effects: &mut Effects) -> Verdict {
        effects.clear();
        assert_eq!(arrival.checksum, Checksum::Complete);
        self.seen.borrow_mut().push((now.micros(), arrival.is_truncated));
        self.bytes.borrow_mut().push(arrival.bytes.to_vec());
        let mut reason = Reason::AwaitingReply;
        let (direction, offset, length) = (Direction::Original, 0, 1);
        let answer = self.answers.borrow_mut().pop_front().unwrap_or(Answer::Accept);
        if matches!(answer, Answer::Early) {
            reason = Violation::OutOfOrder.into();
        }
        match answer {
            Answer::Accept => Verdict::Accept,
            Answer::Cut(length) => {
                effects.rewritten = arrival.bytes[..length].to_vec();
                effects.withheld = Some(Withheld { passed: length - 40, reason });
                let length = length as u64;
                effects.records.push(record(What::Cut { direction, offset, length, reason }));
                Verdict::Rewrite
            }
            Answer::Close => {
                let Record { originator, responder, .. } = record(What::Closed);
                effects.ended.push(FlowKey::of(originator, responder));
                Verdict::Accept
            }
            Answer::Drop | Answer::Early => {
                effects.records.push(record(What::Dropped { direction, offset, length, reason }));
                Verdict::Drop(reason)
            }
            Answer::Reset(packet) => {
                effects.resets.push(packet);
                Verdict::Accept
            }
        }
    }

    fn expire(&self, now: Instant, effects: &mut Effects) {
        effects.clear();
        self.expired.borrow_mut().push(now.micros());
    }
}

const A: [u8; 4] = [10, 0, 0, 1];
const B: [u8; 4] = [10, 0, 0, 2];

fn record(what: What) -> Record {
    Record {
        at: Instant::default(),
        flow: 1,
        originator: Endpoint { address: A.into(), port: 40_000 },
        responder: Endpoint { address: B.into(), port: 25 },
        what,
        message: None,
    }
}

fn packet(from: [u8; 4], to: [u8; 4], ports: [u16; 2], payload: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    let builder = PacketBuilder::ethernet2([1; 6], [2; 6]).ipv4(from, to, 64);
    builder.tcp(ports[0], ports[1], 1, 1).write(&mut bytes, payload).unwrap();
    bytes
}

fn client(payload: &[u8]) -> Vec<u8> {
    packet(A, B, [40_000, 25], payload)
}

fn server(payload: &[u8]) -> Vec<u8> {
    packet(B, A, [25, 40_000], payload)
}

fn record_bytes(second: u32, frame: &[u8], original: usize) -> Vec<u8> {
    let length = u32::try_from(frame.len()).unwrap().to_le_bytes();
    let original = u32::try_from(original).unwrap().to_le_bytes();
    [&second.to_le_bytes()[..], &[0; 4], &length, &original, frame].concat()
}

fn capture(records: &[Vec<u8>]) -> Vec<u8> {
    let header =
        [0xd4, 0xc3, 0xb2, 0xa1, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 4, 0, 1, 0, 0, 0];
    [&header[..], &records.concat()].concat()
}

/// Replays records a second apart; each one's step.
fn replay(answers: Vec<Answer>, records: &[Vec<u8>]) -> (Gateway<Script>, Vec<Step>) {
    replay_with(answers, records, Checksums::Verify)
}

fn replay_with(
    answers: Vec<Answer>,
    records: &[Vec<u8>],
    checksums: Checksums,
) -> (Gateway<Script>, Vec<Step>) {
    let script = Script { answers: RefCell::new(answers.into()), ..Script::default() };
    let mut gateway = Gateway::new(script, vec![25], checksums, false);
    let bytes = capture(records);
    let mut reader = Reader::new(&bytes[..]);
    let mut steps = Vec::new();
    while let Some(entry) = reader.read().unwrap() {
        let Entry::Packet(packet) = entry else { continue };
        let mut step = Step::default();
        gateway.receive(&packet, &mut step);
        steps.push(step);
    }
    (gateway, steps)
}

fn seconds(frames: &[Vec<u8>]) -> Vec<Vec<u8>> {
    let numbered = (1..).zip(frames);
    numbered.map(|(second, frame)| record_bytes(second, frame, frame.len())).collect()
}

#[test]
fn a_dropped_packet_is_repeated_behind_the_next_that_arrives() {
    let frames = [client(b"early"), client(b"also"), server(b"reply"), server(b"more")];
    let answers = vec![Answer::Drop, Answer::Drop, Answer::Accept];
    let (gateway, steps) = replay(answers, &seconds(&frames));
    assert!(steps[0].written.is_empty() && steps[1].written.is_empty());
    let at_three = |frame: &[u8]| record_bytes(3, frame, frame.len());
    let written = [at_three(&frames[2]), at_three(&frames[0]), at_three(&frames[1])].concat();
    assert_eq!(steps[2].written, written);
    let fates = [
        (3, Fate::Judged(Verdict::Accept)),
        (1, Fate::Repeated(Verdict::Accept)),
        (2, Fate::Repeated(Verdict::Accept)),
    ];
    assert_eq!(steps[2].fates, fates);
    assert_eq!(steps[3].fates.len(), 1);
    let summary = gateway.summary();
    assert_eq!((summary.repeated, summary.stalled), (2, 0));
    assert_eq!((summary.accepted, summary.drops.values().sum::<u64>()), (2, 2));
}

#[test]
fn what_gets_through_may_let_others_through() {
    let frames = [client(b"third"), client(b"second"), client(b"first")];
    let answers = vec![
        Answer::Drop,
        Answer::Drop,
        Answer::Accept,
        // The third is offered before the second and again behind it.
        Answer::Drop,
        Answer::Accept,
        Answer::Accept,
    ];
    let (gateway, steps) = replay(answers, &seconds(&frames));
    let numbers: Vec<u64> = steps[2].fates.iter().map(|(number, _)| *number).collect();
    assert_eq!(numbers, [3, 2, 1]);
    assert!(steps[2].records.is_empty(), "a repetition in vain is not logged");
    assert_eq!(gateway.summary().stalled, 0);
}

/// A segment that is one of many in a row, by its number.
fn segment(number: u32) -> Vec<u8> {
    let builder = PacketBuilder::ethernet2([1; 6], [2; 6]).ipv4(A, B, 64);
    let mut bytes = Vec::new();
    builder.tcp(40_000, 25, 1 + 4 * number, 1).ack(1).write(&mut bytes, b"body").unwrap();
    bytes
}

/// A bare ACK of the server's.
fn ack(number: u32, window: u16) -> Vec<u8> {
    let builder = PacketBuilder::ethernet2([1; 6], [2; 6]).ipv4(B, A, 64);
    let mut bytes = Vec::new();
    builder.tcp(25, 40_000, 1, window).ack(number).write(&mut bytes, b"").unwrap();
    bytes
}

/// A window full of segments waits for one that is missing, and bare ACKs arrive. The first one
/// has all judged again, and of the others those that say something new.
#[test]
fn what_waits_is_judged_again_only_behind_what_moves_something() {
    let mut frames: Vec<_> = (1..=250).map(segment).collect();
    let mut answers = vec![Answer::Early; 250];
    let mut judged = 250;
    for (number, window, again) in [
        (1, 9, 250),
        (1, 9, 0),
        (1, 10, 250),
        (1, 9, 0),
        (1, 10, 0),
        (2, 5, 250),
        (1, 10, 0),
        (2, 5, 0),
    ] {
        for _ in 0..100 {
            frames.push(ack(number, window));
        }
        answers.push(Answer::Accept);
        answers.extend(vec![Answer::Early; again]);
        answers.extend(vec![Answer::Accept; 99]);
        judged += 100 + again;
    }
    // A segment that came before is no more; then what was missing comes.
    frames.extend([server(b"more"), server(b"more"), segment(0)]);
    answers.push(Answer::Accept);
    answers.extend(vec![Answer::Early; 250]);
    answers.extend([Answer::Accept, Answer::Accept]);
    judged += 1 + 250 + 1 + 1 + 250;
    let (gateway, steps) = replay(answers, &seconds(&frames));
    assert_eq!(gateway.judge().seen.borrow().len(), judged);
    assert_eq!(steps.last().unwrap().fates.len(), 1 + 250);
    assert_eq!((gateway.summary().repeated, gateway.summary().stalled), (250, 0));
}

/// Packets as they are captured before segmentation: no more of their bytes wait than of others'.
#[test]
fn what_waits_is_bounded_in_bytes_too() {
    let mut frames = vec![client(&[b'x'; 65_000]); 100];
    frames.extend([ack(1, 9), server(b"more")]);
    let waiting = (512 << 10) / frames[0].len();
    let mut answers = vec![Answer::Early; 100];
    answers.push(Answer::Accept);
    answers.extend(vec![Answer::Early; waiting]);
    let (gateway, steps) = replay(answers, &seconds(&frames));
    assert_eq!(gateway.judge().seen.borrow().len(), 100 + 1 + waiting + 1 + waiting);
    assert_eq!(steps.last().unwrap().fates.len(), 1 + waiting);
    let stalled = 100 - waiting as u64;
    assert_eq!((gateway.summary().repeated, gateway.summary().stalled), (waiting as u64, stalled));
}

/// A window full of segments waits for a reply, and packets arrive meanwhile: each has the first of
/// them judged again, and none of those behind it.
#[test]
fn what_waits_behind_a_packet_that_awaits_a_reply_is_not_judged_again() {
    let mut frames: Vec<_> = (0..255).map(segment).collect();
    // The first one is there twice.
    frames.insert(9, segment(0));
    frames.extend((1..=100).map(|window| ack(1, window)));
    // Only the first of them was refused because of the reply; the others stood behind it.
    let mut answers = vec![Answer::Drop];
    answers.extend(vec![Answer::Early; 255]);
    for _ in 0..100 {
        answers.extend([Answer::Accept, Answer::Drop]);
    }
    // At last everything gets through, in one pass.
    frames.push(server(b"354"));
    let (gateway, steps) = replay(answers, &seconds(&frames));
    let seen = gateway.judge().seen.borrow().len();
    assert_eq!(seen, 256 + 100 * 2 + 1 + 256);
    assert_eq!(steps.last().unwrap().fates.len(), 1 + 256);
    assert_eq!((gateway.summary().repeated, gateway.summary().stalled), (256, 0));
}

/// The engine lets text through ahead of a gap.
#[test]
fn what_may_pass_ahead_of_a_gap_is_judged_again() {
    // The second of the row is missing, and what follows it waits for no reply.
    let frames = [segment(0), segment(2), segment(3), server(b""), server(b"354")];
    let answers = vec![
        Answer::Drop,
        Answer::Early,
        Answer::Early,
        // Nothing has changed yet: the bytes behind the gap are asked all the same.
        Answer::Accept,
        Answer::Drop,
        Answer::Early,
        Answer::Early,
        // Then they are text, but for the first of them.
        Answer::Accept,
        Answer::Accept,
        Answer::Early,
        Answer::Accept,
        Answer::Early,
    ];
    let (gateway, steps) = replay(answers, &seconds(&frames));
    assert_eq!(gateway.judge().seen.borrow().len(), 12);
    let numbers: Vec<u64> = steps[4].fates.iter().map(|(number, _)| *number).collect();
    assert_eq!(numbers, [5, 1, 3]);
    assert_eq!((gateway.summary().repeated, gateway.summary().stalled), (2, 1));
}

#[test]
fn a_cut_packet_is_repeated_whole_until_all_of_it_passes() {
    let frames = [client(b"DATA\r\nbody"), server(b"ack"), server(b"354 ."), server(b"later")];
    let answers =
        vec![Answer::Cut(46), Answer::Accept, Answer::Cut(46), Answer::Accept, Answer::Accept];
    let (gateway, steps) = replay(answers, &seconds(&frames));
    assert_eq!(steps[0].written, record_bytes(1, &frames[0][..60], 60));
    assert_eq!(steps[0].records.len(), 1);
    assert_eq!(steps[1].written, record_bytes(2, &frames[1], frames[1].len()));
    assert!(steps[1].records.is_empty());
    assert_eq!(steps[2].fates[1], (1, Fate::Repeated(Verdict::Accept)));
    assert!(steps[2].written.ends_with(&record_bytes(3, &frames[0], frames[0].len())));
    assert_eq!(steps[3].fates.len(), 1);
    assert_eq!((gateway.summary().repeated, gateway.summary().stalled), (1, 0));
}

#[test]
fn nothing_is_acknowledged_that_did_not_arrive() {
    let segment = |from, to, ports: [u16; 2], seq, ack, payload: &[u8]| {
        let builder = PacketBuilder::ethernet2([1; 6], [2; 6]).ipv4(from, to, 64);
        let mut bytes = Vec::new();
        let tcp = builder.tcp(ports[0], ports[1], seq, 1).ack(ack);
        tcp.write(&mut bytes, payload).unwrap();
        bytes
    };
    let first = u32::MAX - 2;
    let early = segment(A, B, [40_000, 25], first, 1, b"DATA\r\nbody");
    let reply = |ack| segment(B, A, [25, 40_000], 1, ack, b"354\r\n");
    // All ten bytes are acknowledged, of which the last four did not arrive.
    let frames = [early, reply(first.wrapping_add(10)), reply(first.wrapping_add(10))];
    let answers = vec![Answer::Cut(46), Answer::Accept, Answer::Accept];
    let (_, steps) = replay(answers.clone(), &seconds(&frames));
    let lowered = reply(first.wrapping_add(6));
    assert!(steps[1].written.starts_with(&record_bytes(2, &lowered, lowered.len())));
    assert_eq!(steps[2].written, record_bytes(3, &frames[2], frames[2].len()));
    // A checksum that was left to a card covers no field and stays as it is.
    let mut unfinished = frames.clone();
    let sum: u16 = 0x0a00 + 2 + 0x0a00 + 1 + 6 + 25;
    unfinished[1][14 + 36..][..2].copy_from_slice(&sum.to_be_bytes());
    let mut expected = lowered.clone();
    expected[14 + 36..][..2].copy_from_slice(&sum.to_be_bytes());
    let (_, steps) = replay_with(answers.clone(), &seconds(&unfinished), Checksums::Ignore);
    assert!(steps[1].written.starts_with(&record_bytes(2, &expected, expected.len())));
    // One that was wrong stays wrong by as much.
    let mut wrong = frames;
    wrong[1][14 + 36] ^= 0x40;
    let mut expected = lowered;
    expected[14 + 36] ^= 0x40;
    let (_, steps) = replay(answers, &seconds(&wrong));
    assert!(steps[1].written.starts_with(&record_bytes(2, &expected, expected.len())));
}

#[test]
fn nothing_is_repeated_into_another_flow_or_behind_the_end() {
    let other = packet(A, B, [40_001, 25], b"other");
    let frames = [client(b"early"), other, server(b"fin"), server(b"late")];
    let answers = vec![Answer::Drop, Answer::Accept, Answer::Close];
    let (gateway, steps) = replay(answers, &seconds(&frames));
    assert!(steps[1..].iter().all(|step| step.fates.len() == 1));
    assert_eq!((gateway.summary().repeated, gateway.summary().stalled), (0, 1));
}

#[test]
fn a_reset_is_framed_like_its_cause_and_dated_like_it() {
    let back = server(b"")[14..].to_vec();
    let frames = [client(b"x")];
    let (_, steps) = replay(vec![Answer::Reset(back.clone())], &seconds(&frames));
    let frame = [&[1; 6][..], &[2; 6], &[8, 0], &back].concat();
    let written =
        [record_bytes(1, &frames[0], frames[0].len()), record_bytes(1, &frame, frame.len())];
    assert_eq!(steps[0].written, written.concat());
    assert_eq!(steps[0].resets, [back]);
}

#[test]
fn time_never_goes_back_and_expires_once_a_second() {
    let frame = client(b"x");
    let at = |second| record_bytes(second, &frame, frame.len());
    let (gateway, _) = replay(Vec::new(), &[at(5), at(5), at(3), at(9), at(8), at(10)]);
    let times: Vec<u64> = gateway.judge().seen.borrow().iter().map(|seen| seen.0).collect();
    assert_eq!(times, [5, 5, 5, 9, 9, 10].map(|second| second * 1_000_000));
    assert_eq!(*gateway.judge().expired.borrow(), [5, 9, 10].map(|second| second * 1_000_000));
}

#[test]
fn what_no_gateway_queues_passes_unread() {
    let arp = [&[0xff; 12][..], &[8, 6], &[0; 28]].concat();
    let mut udp = Vec::new();
    let builder = PacketBuilder::ethernet2([1; 6], [2; 6]).ipv4(A, B, 64);
    builder.udp(25, 25).write(&mut udp, b"x").unwrap();
    let mut fragment = client(b"x");
    fragment[14 + 7] = 8;
    // The first byte behind the IP header is none of TCP, whatever it looks like.
    let mut tunnel = client(b"x");
    tunnel[14 + 9] = 47;
    let frames = [arp, udp, packet(A, B, [40_000, 80], b"x"), tunnel, fragment];
    let (gateway, steps) = replay(Vec::new(), &seconds(&frames));
    assert!(gateway.judge().seen.borrow().is_empty());
    let fates: Vec<Fate> = steps.iter().map(|step| step.fates[0].1).collect();
    let (no_ip, no_smtp) = (Fate::Passed(Bystander::NotIp), Fate::Passed(Bystander::NotSmtp));
    let no_port = Fate::Passed(Bystander::Fragment);
    assert_eq!(fates, [no_ip, no_smtp, no_smtp, no_smtp, no_port]);
    let written: Vec<u8> = steps.iter().flat_map(|step| step.written.clone()).collect();
    assert_eq!(written, seconds(&frames).concat());
    let summary = gateway.summary();
    assert_eq!((summary.not_ip, summary.not_smtp, summary.fragments), (1, 3, 1));
}

#[test]
fn frames_that_cannot_be_opened_are_told_of() {
    let sealed = |kind: [u8; 2]| [&[0xff; 12][..], &kind, &client(b"x")[14..]].concat();
    let frames = [sealed([0x88, 0xe5]), sealed([0x88, 0xe5]), sealed([0x89, 0x4f])];
    let (gateway, _) = replay(Vec::new(), &seconds(&frames));
    let summary = gateway.summary();
    assert_eq!(summary.not_ip, 3);
    let said = "EtherTypes not known here: 0x88e5, 0x894f; their packets passed unread";
    assert_eq!(summary.remarks(), [said]);
}

/// A pseudowire begins with the address of a card, which may look like the version of IP.
#[test]
fn a_pseudowire_passes_and_is_told_of() {
    let below = |bytes: &[u8]| [&[1; 12][..], &[0x88, 0x47, 0, 1, 0x11, 64], bytes].concat();
    let mut inner = client(b"x");
    inner[..6].copy_from_slice(&[0x44, 0xd9, 0xe7, 0, 0, 1]);
    let mut other = client(b"x");
    other[..6].copy_from_slice(&[0x60, 0xf2, 0x62, 0, 0, 1]);
    let records = seconds(&[below(&inner), below(&other), below(&client(b"x")[14..])]);
    let (gateway, steps) = replay(Vec::new(), &records);
    let written: Vec<u8> = steps.iter().flat_map(|step| step.written.clone()).collect();
    assert_eq!(written, records.concat());
    let summary = gateway.summary();
    assert_eq!((summary.mail, summary.not_ip), (1, 2));
    let said = "EtherTypes not known here: 0x8847; their packets passed unread";
    assert!(summary.remarks().iter().any(|remark| remark == said), "{:?}", summary.remarks());
}

#[test]
fn a_session_of_pppoe_is_judged_and_keeps_its_length_right() {
    let behind = |frame: &[u8]| {
        let length = u8::try_from(frame.len() - 12).unwrap();
        [&frame[..12], &[0x88, 0x64, 0x11, 0, 0, 1, 0, length, 0, 0x21], &frame[14..]].concat()
    };
    let frame = client(b"DATA\r\nbody");
    let (gateway, steps) = replay(vec![Answer::Cut(46)], &seconds(&[behind(&frame)]));
    assert_eq!(gateway.judge().bytes.borrow()[0], frame[14..]);
    let cut = behind(&frame[..60]);
    assert_eq!(steps[0].written, record_bytes(1, &cut, cut.len()));
}

#[test]
fn what_claims_to_be_tcp_is_for_the_engine_to_refuse() {
    let mut short = client(b"");
    short.truncate(14 + 22);
    short[14 + 3] = 22;
    let mut odd = client(b"");
    odd[14] = 0x42;
    let (gateway, _) = replay(Vec::new(), &seconds(&[short, odd]));
    assert_eq!(gateway.judge().seen.borrow().len(), 2);
}

#[test]
fn checksums_are_verified_mended_or_ignored() {
    let good = client(b"payload");
    let mut unfinished = good.clone();
    // 10.0.0.1 + 10.0.0.2 + TCP + 27 bytes, folded.
    let sum: u16 = 0x0a00 + 1 + 0x0a00 + 2 + 6 + 27;
    unfinished[14 + 20 + 16..][..2].copy_from_slice(&sum.to_be_bytes());
    let mut empty = good.clone();
    empty[14 + 20 + 16..][..2].fill(0);
    // Of the IP header alone.
    let mut blank = good.clone();
    blank[14 + 10..][..2].fill(0);
    let mut bad = good.clone();
    bad[14 + 20 + 16] ^= 1;
    bad[14 + 10] ^= 1;
    let frames = [good.clone(), unfinished, empty, blank, bad];
    let records = seconds(&frames);
    let mended = seconds(&[0; 5].map(|_| good.clone()));
    for (checksums, reads_right, written) in [
        (Checksums::Verify, false, &records),
        (Checksums::Mend, true, &mended),
        (Checksums::Ignore, true, &records),
    ] {
        let (gateway, steps) = replay_with(Vec::new(), &records, checksums);
        for (read, frame) in gateway.judge().bytes.borrow().iter().zip(&frames) {
            let frame = if reads_right { &good } else { frame };
            assert_eq!(read[..], frame[14..], "{checksums:?}");
        }
        let out: Vec<_> = steps.into_iter().map(|step| step.written).collect();
        assert_eq!(&out, written, "{checksums:?}");
        let summary = gateway.summary();
        assert_eq!((summary.mail, summary.wrong_sums, summary.unfinished), (5, 4, 3));
    }
}

#[test]
fn a_packet_without_a_length_has_that_of_its_frame() {
    let good = client(b"payload");
    let mut long = good.clone();
    // An IPv4 header that is right without its length, and one that was left to the card.
    long[14 + 2..][..2].fill(0);
    let sum = u16::from_be_bytes([good[24], good[25]]) + 47;
    long[24..26].copy_from_slice(&sum.to_be_bytes());
    let mut blank = long.clone();
    blank[24..26].fill(0);
    let (gateway, steps) = replay(Vec::new(), &seconds(&[long, blank]));
    assert_eq!(gateway.judge().bytes.borrow()[0], good[14..]);
    assert_eq!(steps[0].written, record_bytes(1, &good, good.len()));
    assert_eq!(steps[1].written[16 + 14..][..4], good[14..18]);
    assert_eq!((gateway.summary().wrong_sums, gateway.summary().unfinished), (1, 1));
}

#[test]
fn a_packet_is_truncated_if_bytes_of_it_are_missing() {
    let frame = client(b"payload");
    let cut = &frame[..frame.len() - 1];
    let records = [
        record_bytes(1, cut, frame.len()),
        // Only padding is missing.
        record_bytes(2, &frame, frame.len() + 6),
        // The packet itself claims more than there ever was.
        record_bytes(3, cut, cut.len()),
    ];
    let (gateway, _) = replay(Vec::new(), &records);
    let seen: Vec<bool> = gateway.judge().seen.borrow().iter().map(|seen| seen.1).collect();
    assert_eq!(seen, [true, false, false]);
    assert_eq!(gateway.summary().truncated, 1);
}
