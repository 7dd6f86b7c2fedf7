//! Two connections between the same ends, of which one may be forged: a SYN is anybody's, and what
//! stands before a server may answer each (SYNPROXY of Linux). Only who completes a handshake ends
//! the flow that was there, and until then no text of that flow opens the other.

use mailguard::engine::{Effects, Handling, Reason, Settings, Verdict};
use mailguard::flow::Direction::{Original as C, Reply as S};
use mailguard::tcp::Violation;
use mailguard::time::Instant;

use crate::support::packet::{ACK, FIN, PSH, RST, SYN};
use crate::support::rig::{Rig, handing_over, settings, settings_with};
use crate::support::tls::{record, session};

const ISN: [u32; 2] = [1_000, 5_000];
const RIVAL: [u32; 2] = [3_000_000_000, 500_000_000];
const HANDSHAKE: Verdict = Verdict::Drop(Reason::Violation(Violation::Handshake));
const SECOND: u64 = 1_000_000;

/// A SYN of the client's address that something answers.
fn answer(rig: &mut Rig, [isn, answer]: [u32; 2]) -> Verdict {
    assert_eq!(rig.packet(C, isn, 0, SYN, &[], b""), Verdict::Accept);
    rig.packet(S, answer, isn.wrapping_add(1), SYN | ACK, &[], b"")
}

fn play(rig: &mut Rig, lines: &[(mailguard::flow::Direction, &[u8])]) {
    for &(from, line) in lines {
        let verdict = rig.send_next(from, line);
        assert!(!matches!(verdict, Verdict::Drop(_)), "{verdict:?} for {}", line.escape_ascii());
    }
}

/// A flow in the middle of a message.
fn in_data() -> Rig {
    let mut rig = Rig::established(settings("mailguard"), ISN);
    play(&mut rig, &[(S, b"220 a\r\n"), (C, b"MAIL FROM:<a@b>\r\n"), (S, b"250 ok\r\n")]);
    play(&mut rig, &[(C, b"RCPT TO:<a@b>\r\n"), (S, b"250 ok\r\n"), (C, b"DATA\r\n")]);
    play(&mut rig, &[(S, b"354 go\r\n"), (C, b"Subject: a\r\n")]);
    rig
}

fn flows(rig: &Rig) -> u64 {
    rig.engine.stats().flows_now
}

#[test]
fn an_answer_that_nobody_completes_ends_no_flow() {
    let run = || {
        let mut rig = in_data();
        assert_eq!(answer(&mut rig, RIVAL), Verdict::Accept);
        assert_eq!(rig.effects.handling, Handling::TakenBack);
        // The client's TCP answers with what it has (RFC 5961 4).
        let at = rig.original.received;
        assert_eq!(rig.ack(C, at), Verdict::Accept);
        assert_eq!(rig.ack(S, rig.reply.received), Verdict::Accept);
        play(&mut rig, &[(C, b"text\r\n.\r\n"), (S, b"250 taken\r\n"), (C, b"QUIT\r\n")]);
        rig.micros += 200 * SECOND;
        play(&mut rig, &[(S, b"221 bye\r\n")]);
        assert_eq!((rig.resets, flows(&rig)), (0, 1));
    };
    run();
    handing_over(run);
}

#[test]
fn who_completes_it_opens_another_flow() {
    let run = || {
        let mut rig = in_data();
        assert_eq!(answer(&mut rig, RIVAL), Verdict::Accept);
        let at = rig.original.received;
        assert_eq!(rig.ack(C, at), Verdict::Accept, "late, from the old one");
        rig.renew(RIVAL);
        assert_eq!(rig.packet(C, RIVAL[0] + 1, RIVAL[1] + 1, ACK, &[], b""), Verdict::Accept);
        play(&mut rig, &[(S, b"220 b\r\n"), (C, b"VRFY root\r\n")]);
        assert_eq!(rig.original.bytes(), b"XXXXXXXXX\r\n", "no text, but a command");
        assert_eq!((rig.resets, flows(&rig), rig.engine.stats().flows), (0, 1, 2));
    };
    run();
    handing_over(run);
}

/// A server that keeps no state looks at the difference of both numbers, or at the ACK.
#[test]
fn no_text_of_the_old_flow_opens_the_new_one() {
    for (beside, is_free) in
        [(0, false), (3, false), (-3, false), (10, false), (11, true), (-4, true), (1_000, true)]
    {
        let mut rig = in_data();
        let (seq, ack) = rig.numbers(C, rig.original.received);
        let theirs = (ack - 101).wrapping_add_signed(-beside);
        assert_eq!(answer(&mut rig, [seq - 101, theirs]), Verdict::Accept);
        let verdict = rig.send_next(C, b"RSET\r\n");
        let expected = if is_free { Verdict::Accept } else { HANDSHAKE };
        assert_eq!(verdict, expected, "{beside}");
        // With as much more text its numbers are others.
        let further = rig.original.received + 500;
        assert_eq!(rig.send(C, further, b"DATA\r\n"), Verdict::Accept, "{beside}");
        assert_eq!(rig.resets, 0);
    }
    // A server that has kept it takes what lies in its window.
    let mut rig = in_data();
    let (seq, ack) = rig.numbers(C, rig.original.received);
    assert_eq!(answer(&mut rig, [seq - 900, ack - 1]), Verdict::Accept);
    assert_eq!(rig.send_next(C, b"RSET\r\n"), HANDSHAKE);
    // Of an earlier answer as well, for as long as it may be good for.
    for (seconds, expected) in [(60, HANDSHAKE), (129, Verdict::Accept)] {
        let mut rig = in_data();
        let (seq, ack) = rig.numbers(C, rig.original.received);
        assert_eq!(answer(&mut rig, [seq - 101, ack - 101]), Verdict::Accept);
        assert_eq!(answer(&mut rig, RIVAL), Verdict::Accept);
        rig.micros += seconds * SECOND;
        assert_eq!(rig.send_next(C, b"RSET\r\n"), expected, "{seconds}");
    }
}

/// It does not say anything before its third packet has come.
#[test]
fn nothing_of_the_new_server_is_taken_for_the_old_ones() {
    let mut rig = in_data();
    let (seq, ack) = rig.numbers(S, rig.reply.received);
    // Numbers that the old flow would believe.
    assert_eq!(answer(&mut rig, [ack - 5, seq + 9]), Verdict::Accept);
    for (flags, payload, verdict) in [
        (ACK, &b""[..], Verdict::Accept),
        (ACK | PSH, b"250 x\r\n", HANDSHAKE),
        (ACK | FIN, b"", HANDSHAKE),
    ] {
        assert_eq!(rig.packet(S, seq + 10, ack - 4, flags, &[], payload), verdict, "{flags}");
    }
    let forged = rig.build(S, seq + 10, ack - 4, ACK, &[], b"");
    assert_eq!(rig.raw_from(C, S, &forged), Verdict::Drop(Reason::WrongInterface));
    assert_eq!(rig.send_next(S, b"250 y\r\n"), Verdict::Accept, "the old one's");
}

#[test]
fn a_client_that_knows_nothing_of_it_takes_it_back() {
    let mut rig = in_data();
    assert_eq!(answer(&mut rig, RIVAL), Verdict::Accept);
    let reset = rig.build(C, RIVAL[0] + 1, 0, RST, &[], b"");
    assert!(matches!(rig.raw_from(S, C, &reset), Verdict::Drop(_)), "by who is not the client");
    assert_eq!(rig.raw(C, &reset), Verdict::Accept);
    assert!(matches!(rig.raw(C, &reset), Verdict::Drop(_)), "it was one");
    let third = rig.build(C, RIVAL[0] + 1, RIVAL[1] + 1, ACK, &[], b"");
    assert!(matches!(rig.raw(C, &third), Verdict::Drop(_)));
    play(&mut rig, &[(C, b"text\r\n.\r\n"), (S, b"250 taken\r\n")]);
    // Where it is the old flow's as well, that has ended.
    let mut rig = in_data();
    let (seq, _) = rig.numbers(C, rig.original.received);
    assert_eq!(answer(&mut rig, [seq - 1, 9]), Verdict::Accept);
    assert_eq!(rig.packet(C, seq, 0, RST, &[], b""), Verdict::Accept);
    assert_eq!(rig.send_next(C, b"text\r\n"), Verdict::Drop(Reason::FlowReset));
}

/// The server's refusal ends both: it would ask back if it knew the old one.
#[test]
fn a_server_that_takes_it_back_is_heard() {
    let mut rig = in_data();
    assert_eq!(answer(&mut rig, RIVAL), Verdict::Accept);
    let (seq, _) = rig.numbers(S, rig.reply.received);
    assert_eq!(rig.packet(S, seq, RIVAL[0] + 1, RST | ACK, &[], b""), Verdict::Accept);
    assert_eq!(rig.send_next(C, b"text\r\n"), Verdict::Drop(Reason::FlowReset));
}

/// One that is answered again and again is one; of others a few.
#[test]
fn no_more_answers_pass_than_are_remembered() {
    let mut rig = in_data();
    for number in 0..4 {
        for _ in 0..2 {
            assert_eq!(answer(&mut rig, [7_000_000 * number, 9 + number]), Verdict::Accept);
        }
    }
    assert_eq!(answer(&mut rig, [77, 3_000_000_000]), HANDSHAKE);
    // Of a cookie's number the difference to the SYN's is what counts.
    assert_eq!(answer(&mut rig, [7_000_100, 112]), Verdict::Accept);
    play(&mut rig, &[(C, b"text\r\n.\r\n"), (S, b"250 taken\r\n")]);
    rig.micros += 129 * SECOND;
    assert_eq!(answer(&mut rig, [77, 3_000_000_000]), Verdict::Accept);
    assert_eq!((rig.resets, flows(&rig)), (0, 1));
}

/// A SYN/ACK come again brings a record back also where the old flow is still there.
#[test]
fn a_record_that_had_to_make_room_is_recalled_beside_the_old_flow() {
    let mut rig = in_data();
    assert_eq!(answer(&mut rig, RIVAL), Verdict::Accept);
    for seq in 0..3_000 {
        let port = 10_000 + seq as u16;
        rig.client.set_port(port);
        let _ = rig.packet(C, seq, 0, SYN, &[], b"");
    }
    rig.client.set_port(40_000);
    let third = rig.build(C, RIVAL[0] + 1, RIVAL[1] + 1, ACK, &[], b"");
    assert!(matches!(rig.raw(C, &third), Verdict::Drop(_)), "nobody knows it");
    assert_eq!(rig.packet(S, RIVAL[1], RIVAL[0] + 1, SYN | ACK, &[], b""), Verdict::Accept);
    rig.renew(RIVAL);
    assert_eq!(rig.raw(C, &third), Verdict::Accept);
    assert_eq!(rig.engine.stats().flows, 2);
}

/// The kernel would let the third packet pass as well.
#[test]
fn no_flow_is_handed_over_while_another_may_open() {
    for watch in ["handshake", "off"] {
        let mut rig = Rig::established(settings_with("esmtp", &[("tls_watch", watch)]), ISN);
        play(&mut rig, &[(S, b"220 a\r\n"), (C, b"EHLO a\r\n")]);
        play(&mut rig, &[(S, b"250-a\r\n250 STARTTLS\r\n"), (C, b"STARTTLS\r\n")]);
        play(&mut rig, &[(S, b"220 go\r\n")]);
        assert_eq!(answer(&mut rig, RIVAL), Verdict::Accept);
        let hands_over = |rig: &mut Rig, from| {
            play(rig, &[(from, &record(23, 40, &[7; 40]))]);
            rig.effects.handling == Handling::HandedOver
        };
        for (from, said) in session("tls13") {
            play(&mut rig, &[(from, &said)]);
            assert_eq!(rig.effects.handling, Handling::Unchanged, "{watch}");
        }
        // What the kernel does not let pass of its own is not forgotten as if it did.
        for _ in 0..4 {
            rig.micros += 20 * SECOND;
            rig.engine.expire(Instant::from_micros(rig.micros), &mut Effects::default());
            assert!(!hands_over(&mut rig, C) && !hands_over(&mut rig, S), "{watch}");
        }
        rig.micros += 129 * SECOND;
        let both = [C, S, C, S].map(|from| hands_over(&mut rig, from));
        assert!(both[3], "{watch} {both:?}");
        assert_eq!((rig.resets, flows(&rig)), (0, 1));
    }
}

/// An end that has said its last word has no more to lose.
#[test]
fn a_flow_that_is_over_ends_with_the_answer() {
    let mut rig = in_data();
    let at = rig.reply.received;
    assert_eq!(rig.send_fin(S, at, b"421 bye\r\n"), Verdict::Accept);
    assert_eq!(answer(&mut rig, RIVAL), Verdict::Accept);
    assert_eq!((rig.effects.ended.len(), flows(&rig)), (1, 0));
    // Where nothing is enforced it is the same.
    let mut rig = Rig::established(Settings { monitor: true, ..settings("mailguard") }, ISN);
    assert_eq!(answer(&mut rig, RIVAL), Verdict::Accept);
    assert_eq!(flows(&rig), 1);
    assert_eq!(rig.packet(C, RIVAL[0] + 1, RIVAL[1] + 1, ACK, &[], b""), Verdict::Accept);
    assert_eq!((flows(&rig), rig.engine.stats().flows), (1, 2));
}
