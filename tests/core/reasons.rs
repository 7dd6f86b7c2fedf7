//! Every reason to drop a packet, and every rule that changes bytes, brought about once.

use mailguard::engine::{
    Arrival, Effects, Engine, Exception, Limits, Reason, Settings, Treatment, UnknownFlow, Verdict,
    What, Withheld,
};
use mailguard::flow::Direction::{Original as C, Reply as S};
use mailguard::guard::Rule;
use mailguard::offset::Offset;
use mailguard::smtp::{DataBegins, Dialogue, Fault, Speaker, Standing};
use mailguard::tcp::Violation;
use mailguard::time::Instant;

use crate::bounds::ATTACKER;
use crate::support::crowd::Crowd;
use crate::support::packet::{ACK, FIN, RST, SYN, arrival};
use crate::support::rig::{Rig, settings, settings_with};

const ISN: [u32; 2] = [1_000, 5_000];

fn open() -> Rig {
    Rig::established(settings("mailguard"), ISN)
}

/// A flow that has come to message data; returns the offset of its first byte.
fn in_data() -> (Rig, u64) {
    in_data_of(settings("mailguard"))
}

fn in_data_of(settings: Settings) -> (Rig, u64) {
    let mut rig = Rig::established(settings, ISN);
    let _ = (rig.send(S, 0, b"220 a\r\n"), rig.send(C, 0, b"DATA\r\n"));
    let _ = rig.send(S, 7, b"354 go\r\n");
    (rig, 6)
}

fn dropped(verdict: Verdict, reason: impl Into<Reason>) {
    assert_eq!(verdict, Verdict::Drop(reason.into()));
}

/// The header goes on, the payload does not.
fn held_back(rig: &Rig, verdict: Verdict, reason: impl Into<Reason>) {
    assert_eq!(verdict, Verdict::Rewrite);
    let reason = reason.into();
    assert_eq!(rig.effects.withheld, Some(Withheld { passed: 0, reason }));
    assert_eq!(rig.last_left.len(), 40, "no payload has left");
}

#[test]
fn what_tcp_cannot_say_is_dropped_by_its_name() {
    let mut rig = open();
    dropped(rig.packet(C, 1_001, 5_002, ACK, &[], b""), Violation::AckOfUnsent);
    let reason = Violation::AckOfUnsent.into();
    let told = What::Dropped { direction: C, offset: 0, length: 0, reason };
    assert!(rig.has_told(|what| *what == told));
    // The same again is told once a second, and counted.
    dropped(rig.packet(C, 1_001, 5_002, ACK, &[], b"x"), Violation::AckOfUnsent);
    let stats = rig.engine.stats();
    assert_eq!((stats.entries_left_out, stats.drops[&reason], stats.packets), (1, 2, 5));
    dropped(rig.packet(C, 1_001, 5_001_u32.wrapping_sub(65_000), ACK, &[], b""), Violation::OldAck);
    let verdict = rig.send(C, 5, b"late");
    held_back(&rig, verdict, Violation::OutOfOrder);
    let verdict = rig.send(C, 64_242, b"far");
    held_back(&rig, verdict, Violation::BeyondWindow);
    let withheld = rig.engine.stats().withheld;
    assert_eq!(withheld.values().copied().collect::<Vec<_>>(), [1, 1]);
    dropped(rig.packet(S, 5_001, 900, SYN, &[], b""), Violation::ServerSyn);
    dropped(rig.packet(S, 1 << 30, 900, SYN | ACK, &[], b""), Violation::Handshake);
    dropped(rig.packet(C, 1, 5_001, RST, &[], b""), Violation::StrayReset);
    let _ = rig.send_with(C, 0, b"QUIT\r\n", ACK | FIN);
    let verdict = rig.send(C, 6, b"more");
    held_back(&rig, verdict, Violation::BeyondFin);

    let mut rig = open();
    let _ = (rig.send(C, 0, b"NOOP\r\n"), rig.ack(S, 0));
    // One packet goes on bare, for the ACK that it draws; of many there may be too many.
    assert_eq!(rig.send(C, 0, b"NOOP\r\n"), Verdict::Rewrite);
    rig.is_super_packet = true;
    dropped(rig.send(C, 0, b"NOOP\r\n"), Violation::Repeated);
}

#[test]
fn what_has_no_room_is_dropped_by_its_name() {
    let mut small = settings("mailguard");
    small.limits.bytes_per_flow_max = 8;
    let mut rig = Rig::established(small, ISN);
    let verdict = rig.send(C, 0, b"NOOP\r\nNOOP\r\n");
    held_back(&rig, verdict, Violation::StoreFull);

    let (mut rig, start) = in_data();
    for run in 0..16 {
        assert_eq!(rig.send(C, start + 10 + 2 * run, b"x"), Verdict::Accept, "{run}");
    }
    let verdict = rig.send(C, start + 100, b"x");
    held_back(&rig, verdict, Violation::TooManyGaps);

    let mut none = settings("mailguard");
    none.limits.flows_max = 1;
    let mut rig = Rig::established(none, ISN);
    rig.client.set_port(40_001);
    rig.shake_hands();
    let is_displaced = |what: &What| *what == What::Reset { reason: Reason::FlowsFull };
    assert!(rig.records.iter().any(|record| record.flow == 1 && is_displaced(&record.what)));
}

#[test]
fn what_the_dialogue_forbids_is_dropped_by_its_name() {
    let mut rig = open();
    let _ = rig.send(C, 0, b"DATA\r\n");
    let verdict = rig.send(C, 6, b"too early");
    held_back(&rig, verdict, Reason::AwaitingReply);

    let mut bug = settings("mailguard");
    bug.guard.set("split_terminator", "bug").unwrap();
    let mut rig = Rig::established(bug, ISN);
    let _ = (rig.send(S, 0, b"220 a\r\n"), rig.send(C, 0, b"DATA\r\n"));
    let _ = (rig.send(S, 7, b"354 go\r\n"), rig.send(C, 6, b"text\r\n."));
    dropped(rig.send(C, 13, b"\r\n"), Reason::SplitTerminator);

    // A server ends no message, whatever it says.
    let mut bug = settings("mailguard");
    bug.guard.set("split_terminator", "bug").unwrap();
    let (mut rig, start) = in_data_of(bug);
    let _ = rig.send(C, start, b"text\r\n.");
    let verdict = rig.send(S, 15, b"\r\n");
    assert!(!matches!(verdict, Verdict::Drop(_)), "{verdict:?}");

    // Text ahead of a gap was no text once the gap is filled.
    for filler in [&b".\r\nQ"[..], b".\r\nQUI"] {
        let (mut rig, start) = in_data();
        assert_eq!(rig.send(C, start + filler.len() as u64, b"E\r\n"), Verdict::Accept);
        dropped(rig.send(C, start, filler), Reason::EarlyBytes);
        dropped(rig.send(C, start, b".\r\n"), Reason::FlowReset);
        assert!(rig.resets > 0);
    }
}

#[test]
fn two_versions_of_a_message_are_refused_by_their_name() {
    let (mut rig, start) = in_data();
    let _ = rig.send(C, start, b"Pay 10 to A\r\n");
    dropped(rig.send(C, start, b"Pay 99 to B\r\n"), Violation::Contradiction);
    dropped(rig.send(C, start, b"Pay 10 to A\r\n"), Reason::FlowReset);

    // A keep-alive repeats a number with any byte; a byte that others follow has to be the same.
    let (mut rig, start) = in_data();
    rig.is_lost_behind = true;
    let _ = rig.send(C, start, b"Pay 10");
    assert_eq!(rig.send(C, start + 5, b"9"), Verdict::Rewrite, "as it was");
    assert_eq!(rig.send(C, start + 5, b"0 to A\r\n"), Verdict::Accept);
    dropped(rig.send(C, start + 12, b"?B"), Violation::Contradiction);

    // In commands the first version stands.
    let mut rig = open();
    let _ = rig.send(C, 0, b"NOOP\r\n");
    assert_eq!(rig.send(C, 0, b"RSET\r\n"), Verdict::Rewrite);
    assert!(rig.has_told(|what| matches!(what, What::Contradiction { .. })));
    assert_eq!((rig.resets, rig.engine.stats().alarms), (0, 1));
}

#[test]
fn the_largest_holder_loses_what_it_holds_by_its_name() {
    let mut small = settings("mailguard");
    small.limits.store_bytes_max = 50_000;
    let mut rig = Rig::established(small, ISN);
    let _ = (rig.send(S, 0, b"220 a\r\n"), rig.send(C, 0, b"DATA\r\n"));
    let _ = rig.send(S, 7, b"354 go\r\n");
    rig.is_lost_behind = true;
    let _ = rig.send(C, 6, &[b'x'; 40_000]);
    let verdict = rig.send(C, 40_006, &[b'x'; 4_000]);
    assert_eq!(rig.refusal(verdict), Some(Violation::StoreFull.into()), "a block is taken");
    dropped(rig.send(C, 40_006, &[b'x'; 4_000]), Reason::FlowReset);
    assert!(rig.has_told(|what| *what == What::Reset { reason: Reason::StorePressure }));
    assert_eq!(rig.engine.stats().store_bytes_now, 0);
}

#[test]
fn a_fault_of_our_own_costs_the_flow_and_lets_nothing_pass() {
    let (mut rig, _) = in_data();
    rig.engine = Engine::new(settings("mailguard"), 1).inspected_by(|run| {
        assert!(!run.contains(&b'd'), "the fault");
    });
    rig.renew(ISN);
    rig.client.set_port(40_009);
    rig.shake_hands();
    let _ = rig.send(S, 0, b"220 a\r\n");
    let line = b"MAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\nRSET\r\n";
    dropped(rig.send(C, 0, line), Reason::OwnFault);
    assert!(rig.resets > 1, "both ends are told");
    assert!(rig.has_told(|what| *what == What::Reset { reason: Reason::OwnFault }));
    // Nothing of the packet has passed, and nothing of its repetition does.
    for piece in [&line[..], b"MAIL FROM:<a@b>\r\n"] {
        dropped(rig.send(C, 0, piece), Reason::FlowReset);
    }
    assert_eq!(rig.original.bytes(), b"");
    let stats = rig.engine.stats();
    assert_eq!((stats.store_bytes_now, stats.drops[&Reason::OwnFault]), (0, 1));
    // Other flows go on.
    rig.renew(ISN);
    rig.client.set_port(40_010);
    rig.shake_hands();
    assert_eq!(rig.send(C, 0, b"NOOP\r\n"), Verdict::Accept);
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
    let mut scanning = settings("mailguard");
    scanning.guard.set("address_scan", "refuse").unwrap();
    let (mut rig, start) = in_data_of(scanning);
    let _ = rig.send(C, start, b"a\n.\n\r\n.\r\n");
    let _ = rig.send(S, 15, b"250 ok\r\n");
    let next = start + 9;
    let _ = rig.send(C, next, b"MAIL\tFROM:<a|a>\r\nVRFY\r\nNOOP\rx\r\n");
    let _ = rig.send(S, 23, b"no code\r\n");
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
fn every_rule_that_ends_a_flow_says_its_name() {
    for (rule, setting, line) in [
        (Rule::LongLine, ("line_max", "8"), "NOOP a b\tc\r\n"),
        (Rule::OtherProtocol, ("http_words", "reset"), "POST / HTTP/1.1\r\n"),
        (Rule::Recipients, ("recipients_max", "1"), "RCPT TO:<a>\r\nRCPT TO:<b>\r\n"),
        (Rule::Sender, ("sender_max", "2"), "MAIL FROM:<abc>\r\n"),
    ] {
        for profile in ["mailguard", "pix-6.3"] {
            let mut settings = settings(profile);
            settings.guard.set(setting.0, setting.1).unwrap();
            let mut rig = Rig::established(settings, ISN);
            dropped(rig.send(C, 0, line.as_bytes()), Reason::Rule(rule));
            dropped(rig.send(C, 0, b"QUIT\r\n"), Reason::FlowReset);
            assert!(rig.resets > 0, "{rule}");
            assert_eq!(rig.engine.stats().rules[&rule], 1, "{rule}");
            let is_told = |what: &What| *what == What::Reset { reason: Reason::Rule(rule) };
            assert!(rig.records.iter().any(|record| is_told(&record.what)), "{rule}");
        }
    }
}

#[test]
fn a_server_that_leaves_while_it_owes_a_reply_leaves_early() {
    let mut rig = open();
    let _ = (rig.send(C, 0, b"NOOP\r\n"), rig.send_fin(S, 0, b""));
    let is_told = |what: &What| matches!(what, What::Alarm { fault: Fault::EndedEarly, .. });
    assert!(rig.has_told(is_told));
    assert_eq!(rig.engine.stats().alarms, 1);
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

/// What was judged before needs no room, and nobody has to make any for it: were it refused, its
/// receiver could never acknowledge it, and nothing would be given back.
#[test]
fn what_was_judged_before_passes_where_there_is_no_room() {
    let of_flow: fn(&mut Limits) = |limits| limits.bytes_per_flow_max = 20_000;
    let of_all: fn(&mut Limits) = |limits| limits.store_bytes_max = 20_000;
    for limit in [of_flow, of_all] {
        let mut settings = settings("mailguard");
        limit(&mut settings.limits);
        let (mut rig, start) = in_data_of(settings);
        rig.is_lost_behind = true;
        let text = [b'x'; 1_440];
        let mut next = start;
        while rig.engine.stats().store_bytes_now <= 20_000 {
            assert_eq!(rig.send(C, next, &text), Verdict::Accept, "{next}");
            next += 1_440;
        }
        for again in (start..next).step_by(1_440) {
            assert_eq!(rig.send(C, again, &text), Verdict::Accept, "{again} of {next}");
        }
        // Of what is partly fresh the known part goes on.
        let verdict = rig.send(C, next - 440, &text);
        assert_eq!(verdict, Verdict::Rewrite);
        let reason = Violation::StoreFull.into();
        assert_eq!(rig.effects.withheld, Some(Withheld { passed: 440, reason }));
        assert_eq!(rig.last_left.len(), 40 + 440);
        assert_eq!(rig.resets, 0);
    }
}

/// Bytes ahead of a gap have half of what a flow, and all flows together, may hold.
#[test]
fn what_is_ahead_of_a_gap_has_half_of_the_room() {
    let early = |limit: &dyn Fn(&mut Limits), length: usize| {
        let mut settings = settings("mailguard");
        limit(&mut settings.limits);
        let (mut rig, start) = in_data_of(settings);
        let _ = rig.ack(C, start);
        let before = rig.engine.stats().store_bytes_now;
        let verdict = rig.send(C, start + 10, &vec![b'x'; length]);
        let refusal = rig.refusal(verdict);
        // What was remembered needs no more room when it is repeated.
        let again = rig.send(C, start + 10, &vec![b'x'; length]);
        assert_eq!(rig.refusal(again), refusal);
        (refusal, before)
    };
    let full = Some(Violation::StoreFull.into());
    let of_flow = |limits: &mut Limits| limits.bytes_per_flow_max = 2_000;
    assert_eq!(early(&of_flow, 1_000).0, None);
    assert_eq!(early(&of_flow, 1_001).0, full);
    let (_, before) = early(&|_| (), 1_000);
    let half = usize::try_from(before).unwrap() + 1_000;
    assert_eq!(early(&|limits| limits.store_bytes_max = 2 * half, 1_000).0, None);
    assert_eq!(early(&|limits| limits.store_bytes_max = 2 * half - 1, 1_000).0, full);
}

#[test]
fn what_is_ahead_of_a_gap_and_beyond_the_window_is_cut_there() {
    let (mut rig, start) = in_data();
    let edge = start + 64_241;
    let verdict = rig.send(C, edge - 10, b"0123456789beyond");
    assert_eq!(verdict, Verdict::Rewrite);
    let reason = Violation::BeyondWindow.into();
    assert_eq!(rig.effects.withheld, Some(Withheld { passed: 10, reason }));
    assert!(rig.last_left.ends_with(b"0123456789") && rig.last_left.len() == 50);
    assert_eq!(rig.send(C, edge - 20, b"0123456789"), Verdict::Accept, "and no further");
}

/// The mode of what cannot be told whose it is: the strictest that it may fall under.
#[test]
fn what_nobody_can_read_is_under_the_strictest_mode() {
    let guard = || settings("mailguard").guard;
    let client = Some("192.0.2.0/24".parse().unwrap());
    let [monitor, enforce] = [Treatment::Monitor(guard()), Treatment::Enforce(guard())];
    for (monitored, exceptions, is_enforced) in [
        (false, vec![], true),
        (true, vec![], false),
        (false, vec![(None, None, &monitor)], false),
        (false, vec![(client, None, &monitor)], true),
        (false, vec![(None, client, &monitor)], true),
        (false, vec![(None, None, &enforce)], true),
        (false, vec![(None, None, &monitor), (None, None, &enforce)], false),
        (false, vec![(client, None, &enforce), (None, None, &monitor)], true),
        (false, vec![(client, None, &Treatment::HandsOff), (None, None, &monitor)], false),
    ] {
        let exception = |(client, server, treatment): (_, _, &Treatment)| Exception {
            client,
            server,
            treatment: treatment.clone(),
        };
        let exceptions: Vec<_> = exceptions.into_iter().map(exception).collect();
        let about = format!("{monitored} {exceptions:?}");
        let settings = Settings { monitor: monitored, exceptions, ..settings("mailguard") };
        let cut = Arrival { is_truncated: true, ..arrival(&[0x45, 0, 0]) };
        let verdict = Engine::new(settings, 1).handle(
            Instant::from_seconds(1),
            &cut,
            &mut Effects::default(),
        );
        assert_eq!(verdict != Verdict::Accept, is_enforced, "{about}");
    }
}

/// What an edit shows of a credential is what it became, and nothing of what it was.
#[test]
fn no_edit_shows_a_credential() {
    let secret = b"dXNlcm5hb\0WUgb2YgbWluZQ==\r\n";
    for size in [1, 4, secret.len()] {
        let mut rig = Rig::established(settings("esmtp"), ISN);
        let _ = (rig.send(S, 0, b"220 a\r\n"), rig.send(C, 0, b"AUTH LOGIN\r\n"));
        let _ = rig.send(S, 7, b"334 VXNlcm5hbWU6\r\n");
        for piece in secret.chunks(size) {
            let at = rig.original.received;
            let _ = rig.send(C, at, piece);
        }
        let mut edits = 0;
        for record in &rig.records {
            if let What::Edited { direction: C, before, after, .. } = &record.what {
                edits += 1;
                assert!(before.iter().all(|byte| b"*\r".contains(byte)), "{before:?}");
                assert!(after.iter().all(|byte| b"*X\r".contains(byte)), "{after:?}");
            }
        }
        assert!(edits > 0, "{size}");
    }
}

/// Where a message proves larger than its server takes the rest is masked: of that none is told.
#[test]
fn what_is_counted_of_a_message_is_told_when_it_is_one_no_more() {
    let part = b"some text that is long enough to part them\n.\n";
    for (count, expected) in [(1, (1, vec![])), (20, (16, vec![4]))] {
        let mut crowd = Crowd::new(settings("esmtp"));
        let mut line = crowd.open(ATTACKER, 1);
        for (from, said) in [
            (S, &b"220 mx\r\n"[..]),
            (C, b"EHLO a\r\n"),
            (S, b"250-mx\r\n250 SIZE 65536\r\n"),
            (C, b"MAIL FROM:<a@b>\r\nRCPT TO:<a@b>\r\n"),
            (S, b"250 ok\r\n250 ok\r\n"),
            (C, b"DATA\r\n"),
            (S, b"354 go\r\n"),
            (C, &[b"S: x\r\n\r\n", &part.repeat(count)[..]].concat()),
        ] {
            assert!(crowd.say(&mut line, from, said));
        }
        for _ in 0..80 {
            assert!(crowd.say(&mut line, C, &b"text\r\n".repeat(200)));
        }
        let (mut shown, mut unshown) = (0, Vec::new());
        for record in &crowd.records {
            if let What::Edited { direction: C, .. } = &record.what {
                shown += 1;
            } else if let What::Unshown { bytes, .. } = &record.what {
                unshown.push(*bytes);
            }
        }
        assert_eq!((shown, unshown), expected, "{count}");
        let masked = crowd.engine.stats().bytes_masked;
        assert!(masked > 10_000, "the rest was masked");
        // How much that was is told when it has ended.
        crowd.records.clear();
        assert!(crowd.say(&mut line, C, b".\r\n"));
        let rest = crowd.records.iter().find_map(|record| {
            if let What::Unshown { bytes, .. } = &record.what { Some(*bytes) } else { None }
        });
        assert_eq!(rest, Some(masked - count as u64), "a dot was masked of each false end");
    }
}

/// A limit that only logs hides no patch that only logs, met in the same segment.
#[test]
fn a_limit_and_a_patch_of_one_run_are_both_told() {
    let mut rig = Rig::established(settings_with("esmtp", &[("header_fields_max", "2 log")]), ISN);
    for (from, line) in [
        (S, &b"220 a\r\n"[..]),
        (C, b"HELO a\r\n"),
        (S, b"250 a\r\n"),
        (C, b"MAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\nDATA\r\n"),
        (S, b"250 ok\r\n250 ok\r\n354 go\r\n"),
        (C, b"a: b\r\nb: c\r\nc: d\r\nX: ${jndi:ldap://x}\r\n"),
    ] {
        let _ = rig.send_next(from, line);
    }
    assert!(rig.has_told(
        |what| matches!(what, What::Exceeded { excess, .. } if excess.rule == Rule::HeaderFields)
    ));
    let is_named = |what: &What| {
        let What::Edited { patches, .. } = what else { return false };
        patches.iter().any(|id| **id == *"CVE-2021-44228")
    };
    assert!(rig.has_told(is_named), "{:?}", rig.records);
}

/// The rest of it leaves, and is not shown so: behind any 334 a line may be a credential.
#[test]
fn an_edit_within_a_credential_shows_the_edited_byte_alone() {
    let mut rig = Rig::established(settings("mailguard"), ISN);
    for (from, line) in [
        (S, &b"220 a\r\n"[..]),
        (C, b"NOOP\r\n"),
        (S, b"334 go on\r\n"),
        (C, b"HELO dXNlcm5h;mU\r\n"),
    ] {
        let _ = rig.send_next(from, line);
    }
    assert!(rig.original.bytes().ends_with(b"HELO dXNlcm5hXmU\r\n"));
    let edit = |what: &What| {
        let What::Edited { direction: C, before, after, .. } = what else { return None };
        Some((before.clone(), after.clone()))
    };
    let edits: Vec<_> = rig.records.iter().filter_map(|record| edit(&record.what)).collect();
    assert_eq!(edits, [(b"***********".to_vec(), b"********X**".to_vec())]);
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
        (Speaker::Client, "MAIL a\r\nRCPT a\r\n"),
        (Speaker::Server, "250 ok\r\n250 ok\r\n"),
        (Speaker::Client, "BDAT 9\r\nabc"),
        (Speaker::Server, "503 no\r\n"),
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

#[test]
fn what_is_masked_of_a_refused_chunk_is_told_once() {
    let mut rig = Rig::established(settings("esmtp"), ISN);
    let said: [(_, &[u8]); 9] = [
        (S, b"220 a\r\n"),
        (C, b"EHLO a\r\n"),
        (S, b"250-a\r\n250 CHUNKING\r\n"),
        (C, b"MAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\n"),
        (S, b"250 ok\r\n250 ok\r\n"),
        (C, b"BDAT 9\r\nabc"),
        (S, b"503 no\r\n"),
        (C, b"defghiRSET\r\n"),
        (S, b"500 what\r\n"),
    ];
    for (from, text) in said {
        let _ = rig.send_next(from, text);
    }
    assert!(rig.original.bytes().ends_with(b"abcXXXXXXXXXX\r\n"));
    assert!(rig.has_told(|what| matches!(what, What::Alarm { .. })));
    assert!(rig.has_told(|what| matches!(what, What::Unshown { bytes: 6, .. })));
}

/// What is only noted in a run that a patch masks counts as well.
#[test]
fn a_note_beside_an_edit_is_counted() {
    let settings = settings_with("esmtp", &[("envelope", "lenient"), ("parameters", "log")]);
    let mut rig = Rig::established(settings, ISN);
    let said: [(_, &[u8]); 4] = [
        (S, b"220 a\r\n"),
        (C, b"EHLO a\r\n"),
        (S, b"250 a\r\n"),
        (C, b"MAIL FROM:<a@b> XFOO=1 AUTH=a+0Ab\r\n"),
    ];
    for (from, text) in said {
        let _ = rig.send_next(from, text);
    }
    let rules = rig.engine.stats().rules;
    assert_eq!([Rule::Parameter, Rule::Patch].map(|rule| rules.get(&rule)), [Some(&1); 2]);
}
