//! STARTTLS and what follows it: recorded sessions in every cut and order, and what neither side
//! may say there. A fault costs the flow, and the segment that shows it does not leave.

use mailguard::engine::{Handling, Notice, Reason, Settings, Verdict, What};
use mailguard::flow::Direction::{self, Original as C, Reply as S};
use mailguard::guard::Rule;
use mailguard::tcp::Violation;
use mailguard::tls::Fault;

use crate::support::packet::ACK;
use crate::support::random::Random;
use crate::support::rig::{Rig, settings, settings_with};
use crate::support::tls::{
    RENEGOTIATED, SESSIONS, client_hello, large_hello, record, server_name, session,
};

/// A flow that has come to the 220 of STARTTLS.
fn begun(settings: Settings) -> Rig {
    let mut rig = Rig::established(settings, [7, 0xffff_ff00]);
    for (from, line) in [
        (S, &b"220 mx ESMTP\r\n"[..]),
        (C, b"EHLO a\r\n"),
        (S, b"250-mx\r\n250 STARTTLS\r\n"),
        (C, b"STARTTLS\r\n"),
        (S, b"220 go\r\n"),
    ] {
        let _ = say(&mut rig, from, line);
    }
    rig
}

fn esmtp(changes: &[(&str, &str)]) -> Rig {
    begun(settings_with("esmtp", changes))
}

/// One segment in order, and the other end's ACK.
fn say(rig: &mut Rig, from: Direction, bytes: &[u8]) -> Verdict {
    let at = rig.side(from).received;
    let verdict = rig.send(from, at, bytes);
    let at = rig.side(from.other()).received;
    let _ = rig.ack(from.other(), at);
    verdict
}

/// The flights of a session up to some number of them, cut into pieces.
fn play(rig: &mut Rig, name: &str, flights: usize, piece: usize) {
    for (from, flight) in session(name).into_iter().take(flights) {
        for part in flight.chunks(piece) {
            assert_eq!(say(rig, from, part), Verdict::Accept, "{name}");
        }
    }
}

fn told(rig: &Rig) -> Vec<What> {
    let is_tls = |what: &What| format!("{what:?}").starts_with("Tls");
    rig.records.iter().map(|record| record.what.clone()).filter(is_tls).collect()
}

fn was_reset_for(rig: &Rig, reason: impl Into<Reason>) -> bool {
    let reason = reason.into();
    rig.resets > 0 && rig.has_told(|what| *what == What::Reset { reason })
}

fn noticed(rig: &Rig) -> Vec<Notice> {
    let notice =
        |what: &What| if let What::Noticed { notice, .. } = what { Some(*notice) } else { None };
    rig.records.iter().filter_map(|record| notice(&record.what)).collect()
}

#[test]
fn every_session_passes_in_every_cut_and_says_the_same() {
    let mut runs = 0;
    for (name, _) in SESSIONS {
        let mut whole = begun(settings("esmtp"));
        play(&mut whole, name, usize::MAX, usize::MAX);
        let longest = session(name).iter().map(|(_, flight)| flight.len()).max().unwrap();
        assert!(whole.has_told(|what| matches!(what, What::TlsAgreed { .. })), "{name}");
        for cut in 1..longest {
            let mut rig = begun(settings("esmtp"));
            for (from, flight) in session(name) {
                let (one, other) = flight.split_at(cut.min(flight.len()));
                for part in [one, other].into_iter().filter(|part| !part.is_empty()) {
                    assert_eq!(say(&mut rig, from, part), Verdict::Accept, "{name} at {cut}");
                }
            }
            assert_eq!(told(&rig), told(&whole), "{name} at {cut}");
            runs += 1;
        }
        let mut single = begun(settings("esmtp"));
        play(&mut single, name, usize::MAX, 1);
        for rig in [&single, &whole] {
            assert_eq!((told(rig), rig.resets), (told(&whole), 0), "{name}");
            assert_eq!(rig.engine.stats().store_bytes_now, 0, "{name}: memory is given back");
        }
    }
    println!("{runs} cuts of {} sessions", SESSIONS.len());
}

#[test]
fn text_for_tls_resets_both_ends_and_does_not_arrive() {
    let hello = session("tls13").remove(0).1;
    for (from, bytes, fault) in [
        (S, &b"250-evil\r\n"[..], Fault::NotTls),
        (S, b"250-AUT", Fault::NotTls),
        (S, b"220 go\r\n", Fault::NotTls),
        (S, b"\x16\x03\x03", Fault::ServerFirst),
        (C, b"RSET\r\n", Fault::NotTls),
        (C, b"QUIT\r\n", Fault::NotTls),
        (C, b"STARTTLS\r\n", Fault::NotTls),
        (C, b"\x16RSET\r\nMAIL FROM:<a>\r\n", Fault::RecordVersion),
        (C, b"\x16\x03\x01\0\x06RSET\r\n", Fault::NoHello),
        (C, b"\x80\x2e\x01\x03\x01", Fault::Sslv2Hello),
        (C, b"\x16\x03\x01\x40\0\x01\xff\xff\xff", Fault::HelloTooLong),
    ] {
        let mut rig = esmtp(&[]);
        let before = rig.side(from).bytes();
        let verdict = say(&mut rig, from, bytes);
        assert_eq!(verdict, Verdict::Drop(Reason::Tls(fault)), "{bytes:x?}");
        assert!(was_reset_for(&rig, fault), "{bytes:x?}");
        assert_eq!(rig.side(from).bytes(), before, "none of it arrives");
        assert!(!rig.has_told(|what| matches!(what, What::TlsBegin { .. })));
        // One byte after the other: what could still be TLS has left.
        let mut rig = esmtp(&[]);
        let mut verdict = Verdict::Accept;
        for byte in bytes.chunks(1) {
            verdict = say(&mut rig, from, byte);
            if verdict != Verdict::Accept {
                break;
            }
        }
        assert_eq!(verdict, Verdict::Drop(Reason::Tls(fault)), "{bytes:x?}");
        // Logged only, it goes on unread.
        let mut rig = esmtp(&[("tls_framing", "log")]);
        assert_eq!(say(&mut rig, from, bytes), Verdict::Accept, "{bytes:x?}");
        assert!(rig.has_told(|what| matches!(what, What::TlsAlarm { .. })));
        assert_eq!(say(&mut rig, from, b"anything"), Verdict::Accept);
        assert_eq!(rig.effects.handling, Handling::HandedOver);
    }
    for (name, flights, from, bytes, fault) in [
        ("tls13", 3, C, &b"\n"[..], Fault::TextAfterTls),
        ("tls13", 4, C, b"EHLO x\r\n", Fault::TextAfterTls),
        ("tls13", 4, S, b"421 bye\r\n", Fault::TextAfterTls),
        ("tls12", 4, C, b"NOOP\r\n", Fault::TextAfterTls),
        ("tls13", 1, C, b"QUIT\r\n", Fault::NotTls),
        ("tls13", 1, C, &hello, Fault::RecordType),
        ("tls12", 2, C, b"\x14\x03\x03\0\x01\x01", Fault::EarlyCcs),
    ] {
        let mut rig = esmtp(&[]);
        play(&mut rig, name, flights, usize::MAX);
        let verdict = say(&mut rig, from, bytes);
        assert_eq!(verdict, Verdict::Drop(Reason::Tls(fault)), "{name} {flights} {bytes:x?}");
    }
}

#[test]
fn text_in_the_segment_of_the_220_never_reaches_the_client() {
    for behind in [&b"250-evil\r\n"[..], b"250-AUT", b"220 go\r\n", b"\x16\x03"] {
        let mut rig = Rig::established(settings("esmtp"), [7, 9]);
        let _ = say(&mut rig, S, b"220 mx ESMTP\r\n");
        let _ = say(&mut rig, C, b"STARTTLS\r\n");
        let verdict = say(&mut rig, S, &[b"220 go\r\n", behind].concat());
        assert!(matches!(verdict, Verdict::Drop(Reason::Tls(_))), "{behind:?}: {verdict:?}");
        assert_eq!(rig.reply.bytes(), b"220 mx ESMTP\r\n", "{behind:?}");
    }
}

#[test]
fn a_hello_behind_starttls_waits_and_then_passes() {
    let mut rig = Rig::established(settings("esmtp"), [7, 9]);
    let _ = say(&mut rig, S, b"220 mx ESMTP\r\n");
    let hello = session("tls13").remove(0).1;
    let both = [b"STARTTLS\r\n", &hello[..]].concat();
    assert_eq!(say(&mut rig, C, &both), Verdict::Rewrite, "cut behind the line");
    assert_eq!(rig.original.bytes(), b"STARTTLS\r\n");
    let _ = say(&mut rig, S, b"220 go\r\n");
    assert_eq!(say(&mut rig, C, &hello), Verdict::Accept);
    assert!(rig.original.bytes().ends_with(&hello));
    // Commands in its place wait as long, and are refused then.
    let mut rig = Rig::established(settings("esmtp"), [7, 9]);
    let _ = say(&mut rig, S, b"220 mx ESMTP\r\n");
    let _ = say(&mut rig, C, b"STARTTLS\r\nRSET\r\n");
    let _ = say(&mut rig, S, b"220 go\r\n");
    assert_eq!(say(&mut rig, C, b"RSET\r\n"), Verdict::Drop(Reason::Tls(Fault::NotTls)));
    // A refusal leaves commands.
    let mut rig = Rig::established(settings("esmtp"), [7, 9]);
    let _ = say(&mut rig, S, b"220 mx ESMTP\r\n");
    let _ = say(&mut rig, C, b"STARTTLS\r\n");
    let _ = say(&mut rig, S, b"454 not now\r\n");
    assert_eq!(say(&mut rig, C, b"NOOP\r\n"), Verdict::Accept);
    assert_eq!(rig.engine.stats().starttls_refused, 1);
}

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
                let What::TlsBegin { hello: Some(hello) } = what else { return false };
                hello.key_shares == [0x11ec, 0x1d]
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
    let beyond = rig.packet(S, seq, ack(at + 1_006), ACK, &[], b"");
    assert_eq!(beyond, Verdict::Drop(Violation::AckOfUnsent.into()));
    assert_eq!(rig.packet(S, seq, ack(at + 400), ACK, &[], b""), Verdict::Accept);
    // A FIN inside a record.
    let (mut rig, at, back) = open();
    assert_eq!(rig.send_fin(C, at + 500, b"end"), Verdict::Accept);
    assert!(rig.original.is_finished);
    assert_eq!(rig.send_fin(S, back, b""), Verdict::Accept);
    let end = rig.original.received + 1;
    let _ = (rig.ack(C, end), rig.ack(S, back + 1));
    assert!(rig.has_told(|what| matches!(what, What::TlsEnd { is_truncated: true, .. })));
    assert!(rig.has_told(|what| *what == What::Closed));
    assert_eq!(rig.engine.stats().tls_agreed_1_3, 1);
    let verdict = rig.send(C, at + 503, b"more");
    assert_eq!(verdict, Verdict::Drop(Violation::BeyondFin.into()));
    // An exact RST inside a record ends the flow, though its sender has announced more.
    let (mut rig, at, _) = open();
    let (seq, ack) = rig.numbers(C, at + 500);
    assert_eq!(rig.packet(C, seq, ack, 4 | ACK, &[], b""), Verdict::Accept);
    assert!(rig.has_told(|what| *what == What::Closed));
}

#[test]
fn only_the_handshake_is_watched_where_that_is_asked() {
    for (name, _) in SESSIONS {
        let mut rig = esmtp(&[("tls_watch", "handshake")]);
        let flights = session(name);
        let mut handed = None;
        for (number, (from, flight)) in flights.iter().enumerate() {
            assert_eq!(say(&mut rig, *from, flight), Verdict::Accept, "{name}");
            if handed.is_none() && rig.engine.stats().tls_handed_over == 1 {
                handed = Some(number);
            }
        }
        let hellos = if name.ends_with("retried") { 4 } else { 2 };
        assert!(handed.is_some_and(|number| number >= hellos), "{name}: {handed:?}");
        assert_eq!(rig.effects.handling, Handling::HandedOver, "{name}");
        assert_eq!(rig.engine.stats().tls_agreed, 1, "{name}");
        let mut rig = esmtp(&[]);
        play(&mut rig, name, usize::MAX, usize::MAX);
        assert_eq!(rig.effects.handling, Handling::Unchanged, "{name}: all is watched");
    }
}

#[test]
fn hellos_that_rules_forbid_do_not_arrive_whole() {
    let odd = client_hello(&[(0, &server_name(b"a\\"))]);
    let old = &session("tls11")[0].1;
    for (changes, hello, rule) in [
        (&[][..], &odd, Some(Rule::Sni)),
        (&[("tls_sni", "log")], &odd, None),
        (&[("tls_minimum", "1.2")], old, Some(Rule::TlsMinimum)),
        (&[("tls_minimum", "1.1")], old, None),
    ] {
        let mut rig = esmtp(changes);
        let before = rig.original.received;
        let (head, last) = hello.split_at(hello.len() - 1);
        assert_eq!(say(&mut rig, C, head), Verdict::Accept, "{changes:?}");
        let verdict = say(&mut rig, C, last);
        match rule {
            Some(rule) => {
                assert_eq!(verdict, Verdict::Drop(Reason::Rule(rule)), "{changes:?}");
                assert_eq!(rig.original.received, before + head.len() as u64);
                assert!(!rig.has_told(|what| matches!(what, What::TlsBegin { .. })));
            }
            None => assert_eq!(verdict, Verdict::Accept, "{changes:?}"),
        }
    }
    // A server that chooses too old a version.
    let mut rig = esmtp(&[("tls_minimum", "1.3")]);
    let offers = client_hello(&[(43, b"\x04\x03\x04\x03\x03")]);
    assert_eq!(say(&mut rig, C, &offers), Verdict::Accept);
    let choice = &session("tls12")[1].1;
    assert_eq!(say(&mut rig, S, choice), Verdict::Drop(Reason::Rule(Rule::TlsMinimum)));
    // Behind a HelloRetryRequest the second hello is judged too.
    let mut rig = esmtp(&[]);
    play(&mut rig, "tls13-retried", 2, usize::MAX);
    assert_eq!(say(&mut rig, C, &odd), Verdict::Drop(Reason::Rule(Rule::Sni)));
    let mut rig = esmtp(&[("tls_names", "mail.example")]);
    play(&mut rig, "tls13", 1, usize::MAX);
    assert_eq!(noticed(&rig), [Notice::ForeignName]);
}

#[test]
fn a_second_handshake_is_refused_where_its_name_cannot_be_judged() {
    // The client's sealed hello, or the server's request for it where that comes first.
    let flights = session(RENEGOTIATED.0);
    let mut rig = esmtp(&[]);
    play(&mut rig, RENEGOTIATED.0, 4, usize::MAX);
    assert_eq!(say(&mut rig, C, &flights[4].1), Verdict::Drop(Reason::Rule(Rule::Sni)));
    for cure in ["log", "off"] {
        let mut rig = esmtp(&[("tls_sni", cure)]);
        play(&mut rig, RENEGOTIATED.0, usize::MAX, usize::MAX);
        assert_eq!((rig.resets, rig.engine.stats().tls_renegotiations), (0, 2), "{cure}");
        assert_eq!(noticed(&rig), [Notice::Renegotiation; 2], "{cure}");
    }
}

#[test]
fn failures_are_told_with_their_alert() {
    let mut rig = esmtp(&[]);
    play(&mut rig, "tls13", 1, usize::MAX);
    let _ = say(&mut rig, S, b"\x15\x03\x03\0\x02\x01\x70");
    assert!(!rig.has_told(|what| matches!(what, What::TlsFailed { .. })));
    let _ = say(&mut rig, S, b"\x15\x03\x03\0\x02\x02\x28");
    let failed = What::TlsFailed { by: Some(S), alert: Some(40), stage: "client-hello" };
    assert!(rig.has_told(|what| *what == failed));
    let stats = rig.engine.stats();
    let heard: Vec<_> = stats.tls.keys().map(|heard| (heard.family(), heard.label())).collect();
    let expected = [
        ("tls_fingerprint", "t13d041000_16476d049b0b_78f1d400d464"),
        ("tls_name", "mx.example"),
        ("tls_alert_server", "handshake_failure"),
        ("tls_alert_server", "unrecognized_name"),
        ("tls_failed_client", "192.0.2.1"),
        ("tls_failed_server", "198.51.100.2"),
    ];
    assert_eq!(heard, expected.map(|(family, label)| (family, label.to_owned())));
    // A client that goes after its hello.
    let mut rig = esmtp(&[]);
    play(&mut rig, "tls13", 2, usize::MAX);
    let at = rig.original.received;
    let (seq, ack) = rig.numbers(C, at);
    let _ = rig.packet(C, seq, ack, 4 | ACK, &[], b"");
    let failed = What::TlsFailed { by: None, alert: None, stage: "server-hello" };
    assert!(rig.has_told(|what| *what == failed));
    assert_eq!(rig.engine.stats().tls_failed, 1);
}

#[test]
fn mail_and_credentials_in_clear_are_told_once() {
    let greeted = |offer: &[u8]| {
        let mut rig = Rig::established(settings("esmtp"), [7, 9]);
        let _ = say(&mut rig, S, b"220 mx ESMTP\r\n");
        let _ = say(&mut rig, C, b"EHLO a\r\n");
        let _ = say(&mut rig, S, offer);
        rig
    };
    let offer = b"250-mx\r\n250-STARTTLS\r\n250-AUTH=LOGIN\r\n250 AUTH PLAIN\r\n";
    let mut rig = greeted(offer);
    for line in ["MAIL FROM:<a@b>\r\n", "RSET\r\n", "MAIL FROM:<a@b>\r\n", "AUTH PLAIN\r\n"] {
        let _ = say(&mut rig, C, line.as_bytes());
        let _ = say(&mut rig, S, b"250 ok\r\n");
    }
    assert_eq!(noticed(&rig), [Notice::PlainMail, Notice::PlainAuth]);
    assert_eq!(rig.engine.stats().mail_in_clear_unused_offer, 2);
}

#[test]
fn an_offer_that_goes_away_is_told_and_may_be_refused() {
    let offers: [&[u8]; 3] = [b"250 STARTTLS\r\n", b"250 SIZE\r\n", b"250 XXXXXXXA\r\n"];
    for (cure, is_reset) in [("log", false), ("enforce", true)] {
        let mut rig = Rig::established(settings_with("esmtp", &[("tls_downgrade", cure)]), [7, 9]);
        for (number, offer) in offers.into_iter().enumerate() {
            if number > 0 {
                rig.renew([7 + 1_000_000 * number as u32, 9]);
                rig.client.set_port(40_000 + number as u16);
                rig.shake_hands();
            }
            let _ = say(&mut rig, S, b"220 mx ESMTP\r\n");
            let _ = say(&mut rig, C, b"EHLO a\r\n");
            let verdict = say(&mut rig, S, &[b"250-mx\r\n", offer].concat());
            let is_refused = verdict == Verdict::Drop(Reason::Rule(Rule::Downgrade));
            assert_eq!(is_refused, is_reset && number > 0, "{cure} {number}");
        }
        assert_eq!(noticed(&rig), [Notice::OfferGone, Notice::OfferMasked], "{cure}");
    }
}

#[test]
fn tiny_records_cost_what_is_bounded() {
    let stream: Vec<u8> = (0..1_024).flat_map(|_| record(23, 9, b"")).collect();
    let mut small = settings("esmtp");
    small.limits.bytes_per_flow_max = 64 << 10;
    let mut rig = begun(small);
    play(&mut rig, "tls13", 4, usize::MAX);
    rig.is_lost_behind = true;
    let at = rig.original.received;
    for (index, part) in stream.chunks(1_400).cycle().take(100).enumerate() {
        let at = at + (index % stream.len().div_ceil(1_400)) as u64 * 1_400;
        let _ = rig.send(C, at, part);
        assert!(rig.engine.stats().store_bytes_now <= 3 * (64 << 10));
    }
    // Acknowledged, all is given back.
    rig.is_lost_behind = false;
    for part in stream.chunks(1_400) {
        let at = rig.original.received;
        let _ = rig.send(C, at, part);
        let back = rig.reply.received;
        let _ = rig.ack(S, back);
    }
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
    let seeds = std::env::var("SEEDS").ok().and_then(|n| n.parse().ok()).unwrap_or(300);
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
