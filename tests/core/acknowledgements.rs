//! ACKs of a third party: whoever guesses one number of a connection has guessed nothing.
//!
//! A receiver looks at no ACK of a segment that is none of its window (RFC 9293 3.10.7.4), and
//! neither does the filter: what the other end never got is not forgotten, and not blanked.

use mailguard::engine::{Reason, Verdict, What};
use mailguard::flow::Direction::{Original as C, Reply as S};
use mailguard::tcp::Violation;

use crate::support::packet::ACK;
use crate::support::rig::{Rig, settings, settings_with};
use crate::support::tls::{record, session};

const ISN: [u32; 2] = [1_000, 5_000];
const UNSENT: Verdict = Verdict::Drop(Reason::Violation(Violation::AckOfUnsent));

/// How far beside the number that comes next a forger's is: none of these lies in the window.
const BESIDE: [u32; 4] = [1 << 30, 1 << 31, 70_000, 0_u32.wrapping_sub(1)];

/// A bare ACK in the server's name, of so many bytes of the client's, `beside` its next number.
fn forge(rig: &mut Rig, beside: u32, acknowledged: u64) -> Verdict {
    let (seq, _) = rig.numbers(S, rig.reply.received);
    let ack = ISN[0].wrapping_add(1 + acknowledged as u32);
    rig.packet(S, seq.wrapping_add(beside), ack, ACK, &[], b"")
}

fn play(rig: &mut Rig, lines: &[(mailguard::flow::Direction, &[u8])]) {
    for &(from, line) in lines {
        assert!(matches!(rig.send_next(from, line), Verdict::Accept | Verdict::Rewrite));
    }
}

#[test]
fn what_a_forger_acknowledges_comes_again_as_it_was() {
    for beside in BESIDE {
        // In front of what the server has, in the middle of what was lost, and behind it.
        for acknowledged in [3, 40, 80] {
            let mut rig = Rig::established(settings("mailguard"), ISN);
            play(&mut rig, &[(S, b"220 a\r\n"), (C, b"DATA\r\n"), (S, b"354 go\r\n")]);
            let (at, text) = (rig.original.received, b"Subject: a line of text\r\n".repeat(4));
            rig.is_lost_behind = true;
            assert_eq!(rig.send(C, at, &text), Verdict::Accept);
            rig.is_lost_behind = false;
            assert_ne!(forge(&mut rig, beside, at + acknowledged), Verdict::Rewrite);
            assert_eq!(rig.send(C, at, &text), Verdict::Accept, "{beside} {acknowledged}");
            assert_eq!(rig.original.received, at + text.len() as u64);
            assert!(rig.original.bytes().ends_with(&text), "{beside} {acknowledged}");
        }
    }
}

/// The same number in the window is the server's own, as far as anybody can tell.
#[test]
fn what_lies_in_the_window_is_believed() {
    for beside in [0, 1, 60_000] {
        let mut rig = Rig::established(settings("mailguard"), ISN);
        play(&mut rig, &[(S, b"220 a\r\n"), (C, b"NOOP\r\n")]);
        assert_eq!(forge(&mut rig, beside, 6), Verdict::Accept);
        assert_eq!(
            rig.send(C, 0, b"NOOP\r\n"),
            Verdict::Rewrite,
            "{beside}: it has been forgotten"
        );
    }
}

/// What passed while the rules were gone neither end says again: both are told, at the numbers they
/// state themselves.
#[test]
fn who_was_let_past_the_filter_is_reset() {
    for (beside, unseen, seconds, is_reset) in
        [(0, 5, 3, true), (0, 5, 2, false), (0, 65 << 20, 3, false), (1 << 30, 5, 3, false)]
    {
        let mut rig = Rig::established(settings("mailguard"), ISN);
        play(&mut rig, &[(S, b"220 a\r\n"), (C, b"NOOP\r\n")]);
        for _ in 0..=seconds {
            assert!(matches!(forge(&mut rig, beside, 6 + unseen), Verdict::Drop(_)));
            rig.micros += 1_000_000;
        }
        assert_eq!(rig.resets > 0, is_reset, "{beside} {unseen} {seconds}");
        if is_reset {
            let before = rig.resets;
            let _ = rig.send(C, 6 + unseen, b"RSET\r\n");
            assert_eq!(rig.resets, before + 1, "the other end learns it with its next segment");
        }
    }
    // What comes again proves nothing.
    let mut rig = Rig::established(settings("mailguard"), ISN);
    play(&mut rig, &[(S, b"220 a\r\n"), (C, b"NOOP\r\n")]);
    for _ in 0..4 {
        assert!(matches!(forge(&mut rig, 0, 50), Verdict::Drop(_)));
        let _ = rig.send(C, 0, b"NOOP\r\n");
        rig.micros += 1_000_000;
    }
    assert!(rig.resets > 0);
    // What comes anew shows that nothing is lost.
    let mut rig = Rig::established(settings("mailguard"), ISN);
    play(&mut rig, &[(S, b"220 a\r\n")]);
    for _ in 0..5 {
        assert_eq!(forge(&mut rig, 0, 50), UNSENT);
        play(&mut rig, &[(C, b"NOOP\r\n"), (S, b"250 ok\r\n")]);
        rig.micros += 2_000_000;
    }
    assert_eq!(rig.resets, 0);
}

/// Where routes have moved, what an end says never comes by its interface again.
#[test]
fn whose_way_has_changed_is_reset() {
    let offers = b"250 ok\r\n";
    for (beside, acknowledged, said, seconds, is_reset) in [
        (0, 0, &offers[..], 3, true),
        (0, 0, offers, 2, false),
        (1, 0, offers, 3, false),
        (0, 1, offers, 3, false),
        (0, 1 << 31, offers, 3, false),
        (0, 0, b"", 3, false),
    ] {
        let mut rig = Rig::established(settings("mailguard"), ISN);
        play(&mut rig, &[(S, b"220 a\r\n"), (C, b"NOOP\r\n")]);
        let (seq, ack) = rig.numbers(S, 7);
        let other = rig.build(S, seq + beside, ack.wrapping_add(acknowledged), ACK, &[], said);
        for _ in 0..=seconds {
            let verdict = rig.raw_from(C, S, &other);
            assert_eq!(verdict, Verdict::Drop(Reason::WrongInterface));
            rig.micros += 1_000_000;
        }
        assert_eq!(rig.resets > 0, is_reset, "{beside} {acknowledged} {said:?} {seconds}");
        if is_reset {
            assert!(rig.resets >= 2, "both ends");
            let (before, told) = (rig.resets, rig.records.len());
            assert_eq!(rig.raw_from(C, S, &other), Verdict::Drop(Reason::FlowReset));
            assert_eq!(rig.send(C, 6, b"RSET\r\n"), Verdict::Drop(Reason::FlowReset));
            assert_eq!(rig.resets, before + 2, "each that speaks on is told once more");
            let again = rig.records.iter().skip(told);
            assert_eq!(again.filter(|one| matches!(one.what, What::Reset { .. })).count(), 0);
        } else {
            assert_eq!(rig.send(C, 6, b"RSET\r\n"), Verdict::Accept);
        }
    }
    // What comes by the old way shows that it is one still.
    let mut rig = Rig::established(settings("mailguard"), ISN);
    play(&mut rig, &[(S, b"220 a\r\n")]);
    for _ in 0..5 {
        let (seq, ack) = rig.numbers(S, rig.reply.received);
        let other = rig.build(S, seq, ack, ACK, &[], offers);
        assert_eq!(rig.raw_from(C, S, &other), Verdict::Drop(Reason::WrongInterface));
        play(&mut rig, &[(C, b"NOOP\r\n"), (S, b"250 ok\r\n")]);
        rig.micros += 2_000_000;
    }
    assert_eq!(rig.resets, 0);
}

/// What comes anew shows it under TLS as well.
#[test]
fn fresh_records_show_that_nothing_is_lost() {
    let mut rig = Rig::established(settings("esmtp"), ISN);
    play(&mut rig, &[(S, b"220 a\r\n"), (C, b"EHLO a\r\n"), (S, b"250-a\r\n250 STARTTLS\r\n")]);
    play(&mut rig, &[(C, b"STARTTLS\r\n"), (S, b"220 go\r\n")]);
    for (from, said) in session("tls13").into_iter().take(4) {
        play(&mut rig, &[(from, &said)]);
    }
    let at = rig.original.received;
    for count in 0..5 {
        assert_eq!(forge(&mut rig, 0, at + 5_000), UNSENT);
        let said = record(23, 40, &[count; 40]);
        play(&mut rig, &[(C, &said), (S, &said)]);
        rig.micros += 2_000_000;
    }
    assert_eq!(rig.resets, 0);
    for _ in 0..4 {
        let _ = forge(&mut rig, 0, at + 5_000);
        rig.micros += 1_000_000;
    }
    assert!(rig.resets > 0, "nothing else has come");
}

/// A minute is no shorter than it is: what was heard in another proves nothing.
#[test]
fn acknowledgements_of_other_minutes_prove_nothing() {
    let mut rig = Rig::established(settings("mailguard"), ISN);
    play(&mut rig, &[(S, b"220 a\r\n"), (C, b"NOOP\r\n")]);
    for _ in 0..6 {
        assert_eq!(forge(&mut rig, 0, 50), UNSENT);
        rig.micros += 65_999_000;
    }
    assert_eq!(rig.resets, 0);
}

/// A record announces what has not left, and no ACK covers that.
#[test]
fn what_a_header_of_tls_announces_is_not_there_to_be_acknowledged() {
    let mut rig = Rig::established(settings("esmtp"), ISN);
    play(&mut rig, &[(S, b"220 a\r\n"), (C, b"EHLO a\r\n"), (S, b"250-a\r\n250 STARTTLS\r\n")]);
    play(&mut rig, &[(C, b"STARTTLS\r\n"), (S, b"220 go\r\n")]);
    for (from, said) in session("tls13").into_iter().take(4) {
        play(&mut rig, &[(from, &said)]);
    }
    let (at, whole) = (rig.original.received, record(23, 16_000, b""));
    assert_eq!(rig.send(C, at, &whole[..1_400]), Verdict::Accept);
    for beside in [0, 1 << 30] {
        assert_eq!(forge(&mut rig, beside, at + 2_000), UNSENT, "{beside}");
    }
    assert_eq!(rig.send(C, at + 1_400, &whole[1_400..2_800]), Verdict::Accept);
    assert_eq!(forge(&mut rig, 0, at + 2_800), Verdict::Accept, "what has left is another thing");
}

/// While one side has not shown yet that it speaks TLS, all of both still comes by.
#[test]
fn nothing_unsent_is_acknowledged_while_one_side_is_read() {
    for beside in BESIDE.into_iter().chain([0]) {
        let mut rig = Rig::established(settings_with("esmtp", &[("tls_watch", "off")]), ISN);
        play(&mut rig, &[(S, b"220 a\r\n"), (C, b"EHLO a\r\n"), (S, b"250-a\r\n250 STARTTLS\r\n")]);
        play(&mut rig, &[(C, b"STARTTLS\r\n"), (S, b"220 go\r\n")]);
        let (at, hello) = (rig.original.received, session("tls13")[0].1.clone());
        assert_eq!(rig.send(C, at, &hello[..100]), Verdict::Accept);
        assert_eq!(forge(&mut rig, beside, at + 2_000), UNSENT, "{beside}");
        assert_eq!(rig.send(C, at + 100, &hello[100..]), Verdict::Accept, "{beside}");
        assert!(rig.original.bytes().ends_with(&hello));
    }
}

/// A keep-alive may carry a byte (RFC 9293 3.8.4), behind a FIN too: bare, it draws its ACK.
#[test]
fn a_keep_alive_behind_a_fin_goes_on_bare() {
    let mut rig = Rig::established(settings("mailguard"), ISN);
    play(&mut rig, &[(S, b"220 a\r\n")]);
    assert_eq!(rig.send_fin(C, 0, b"QUIT\r\n"), Verdict::Accept);
    let _ = rig.ack(S, rig.reply.received);
    assert_eq!(rig.send(C, 6, b"x"), Verdict::Rewrite);
    assert_eq!(rig.last_left.len(), 40);
}
