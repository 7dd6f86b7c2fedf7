//! Every reason to drop a packet, and every rule that changes bytes, brought about once.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test stops where it is wrong")]

mod support;

use mailguard::engine::{Reason, UnknownFlow, Verdict, What};
use mailguard::flow::Direction::{Original as C, Reply as S};
use mailguard::guard::Rule;
use mailguard::offset::Offset;
use mailguard::smtp::{DataBegins, Dialogue, Fault, Speaker, Standing};
use mailguard::tcp::Violation;

use support::packet::{ACK, FIN, RST, SYN};
use support::rig::{Rig, settings};

const ISN: [u32; 2] = [1_000, 5_000];

fn open() -> Rig {
    Rig::established(settings("mailguard"), ISN)
}

/// A flow that has come to message data; returns the offset of its first byte.
fn in_data() -> (Rig, u64) {
    let mut rig = open();
    let _ = (rig.send(S, 0, b"220 a\r\n"), rig.send(C, 0, b"DATA\r\n"));
    let _ = rig.send(S, 7, b"354 go\r\n");
    (rig, 6)
}

fn dropped(verdict: Verdict, reason: impl Into<Reason>) {
    assert_eq!(verdict, Verdict::Drop(reason.into()));
}

#[test]
fn what_tcp_cannot_say_is_dropped_by_its_name() {
    let mut rig = open();
    dropped(rig.packet(C, 1_001, 5_002, ACK, &[], b""), Violation::AckOfUnsent);
    dropped(rig.send(C, 5, b"late"), Violation::OutOfOrder);
    dropped(rig.packet(S, 5_001, 900, SYN, &[], b""), Violation::ServerSyn);
    dropped(rig.packet(S, 9_000, 900, SYN | ACK, &[], b""), Violation::Handshake);
    dropped(rig.packet(C, 1, 5_001, RST, &[], b""), Violation::StrayReset);
    let _ = rig.send_with(C, 0, b"QUIT\r\n", ACK | FIN);
    dropped(rig.send(C, 6, b"more"), Violation::BeyondFin);

    let mut rig = open();
    let _ = (rig.send(C, 0, b"NOOP\r\n"), rig.ack(S, 0));
    rig.is_super_packet = true;
    dropped(rig.send(C, 0, b"NOOP\r\n"), Violation::Repeated);
}

#[test]
fn what_has_no_room_is_dropped_by_its_name() {
    let mut small = settings("mailguard");
    small.limits.bytes_per_flow_max = 8;
    let mut rig = Rig::established(small, ISN);
    dropped(rig.send(C, 0, b"NOOP\r\nNOOP\r\n"), Violation::StoreFull);

    let (mut rig, start) = in_data();
    for run in 0..16 {
        assert_eq!(rig.send(C, start + 10 + 2 * run, b"x"), Verdict::Accept, "{run}");
    }
    dropped(rig.send(C, start + 100, b"x"), Violation::TooManyGaps);

    let mut none = settings("mailguard");
    none.limits.flows_max = 1;
    let mut rig = Rig::established(none, ISN);
    rig.client.set_port(40_001);
    dropped(rig.packet(C, 1_000, 0, SYN, &[], b""), Reason::FlowsFull);
}

#[test]
fn what_the_dialogue_forbids_is_dropped_by_its_name() {
    let mut rig = open();
    let _ = rig.send(C, 0, b"DATA\r\n");
    dropped(rig.send(C, 6, b"too early"), Reason::AwaitingReply);

    let mut bug = settings("mailguard");
    bug.guard.set("split_terminator", "bug").unwrap();
    let mut rig = Rig::established(bug, ISN);
    let _ = (rig.send(S, 0, b"220 a\r\n"), rig.send(C, 0, b"DATA\r\n"));
    let _ = (rig.send(S, 7, b"354 go\r\n"), rig.send(C, 6, b"text\r\n."));
    dropped(rig.send(C, 13, b"\r\n"), Reason::SplitTerminator);

    // Text ahead of a gap was no text once the gap is filled, whether or not the filler holds it.
    for filler in [&b".\r\nVR"[..], b".\r\nVRFY a\r\n"] {
        let (mut rig, start) = in_data();
        assert_eq!(rig.send(C, start + 5, b"FY a\r\n"), Verdict::Accept);
        dropped(rig.send(C, start, filler), Reason::EarlyBytes);
        dropped(rig.send(C, start, b".\r\n"), Reason::FlowReset);
        assert!(rig.resets > 0);
    }
}

#[test]
fn what_comes_from_nowhere_is_dropped_by_its_name() {
    let mut silent = settings("mailguard");
    silent.unknown_flow = UnknownFlow::Drop;
    let mut rig = Rig::new(silent, ISN);
    dropped(rig.send(C, 0, b"NOOP\r\n"), Reason::UnknownFlow);

    let mut rig = open();
    std::mem::swap(&mut rig.client, &mut rig.server);
    dropped(rig.packet(C, 5_001, 1_001, ACK, &[], b""), Reason::WrongInterface);
}

#[test]
fn every_rule_says_its_name_where_it_edits() {
    let (mut rig, start) = in_data();
    let _ = rig.send(C, start, b"a\n.\n\r\n.\r\n");
    let next = start + 9;
    let _ = rig.send(C, next, b"MAIL\tFROM:<|a>\r\nVRFY\r\nNOOP\rx\r\n");
    let _ = rig.send(S, 15, b"no code\r\n");
    let whats: Vec<&What> = rig.records.iter().map(|record| &record.what).collect();
    let has_rule = |wanted: Rule| {
        whats.iter().any(|what| matches!(what, What::Edited { rule, .. } if *rule == wanted))
    };
    for rule in [
        Rule::Address,
        Rule::Banner,
        Rule::CommandGap,
        Rule::Lookalike,
        Rule::StrayBytes,
        Rule::Verb,
    ] {
        assert!(has_rule(rule), "{rule}: {whats:#?}");
    }
    let is_malformed =
        |what: &&What| matches!(what, What::Alarm { fault: Fault::MalformedReply, .. });
    assert!(whats.iter().any(is_malformed), "{whats:#?}");
}

#[test]
fn a_server_that_leaves_while_it_owes_a_reply_leaves_early() {
    let mut dialogue = Dialogue::new(DataBegins::OnReply);
    assert_eq!(dialogue.end(Speaker::Server), Some(Fault::EndedEarly));
    assert_eq!(dialogue.end(Speaker::Client), None);
    let mut greeting = &b"220 a\r\n"[..];
    while !greeting.is_empty() {
        let standing = Standing { at: Offset::ZERO, covers: Offset::ZERO };
        greeting = &greeting[dialogue.read(Speaker::Server, greeting, standing).used..];
    }
    assert_eq!(dialogue.end(Speaker::Server), None);
}

/// The faults that no case of other suites names by its variant.
#[test]
fn a_354_too_late_and_a_chunk_nobody_swallows_say_their_names() {
    let mut dialogue = Dialogue::new(DataBegins::OnReply);
    let mut said = 0;
    let mut faults = Vec::new();
    for (from, text) in [
        (Speaker::Server, "220 a\r\n"),
        (Speaker::Client, "DATA\r\n"),
        (Speaker::Server, "no code\r\n"),
        (Speaker::Client, "NOOP\r\n"),
        (Speaker::Server, "354 go\r\n"),
        (Speaker::Server, "250 ok\r\n"),
        (Speaker::Client, "EHLO a\r\n"),
        (Speaker::Server, "250-a\r\n250 CHUNKING\r\n"),
        (Speaker::Client, "RCPT a\r\nBDAT 9\r\nabc"),
        (Speaker::Server, "530 no\r\n530 no\r\n"),
    ] {
        let mut rest = text.as_bytes();
        while !rest.is_empty() {
            let (at, covers) = (Offset::new(said), Offset::new(said));
            let step = dialogue.read(from, rest, Standing { at, covers });
            said += if from == Speaker::Client { step.used as u64 } else { 0 };
            faults.extend(step.fault);
            rest = &rest[step.used..];
        }
    }
    assert_eq!(faults, [Fault::MalformedReply, Fault::LateData, Fault::RefusedChunk]);
}
