//! What is said of TLS, what the rules on hellos forbid, and mail in clear where TLS was offered.

use std::ops::ControlFlow;

use mailguard::engine::{
    Effects, Exception, Handling, Notice, Reason, Settings, TlsEvent, TlsStage, Treatment, Verdict,
    What,
};
use mailguard::flow::Direction::{Original as C, Reply as S};
use mailguard::guard::Rule;
use mailguard::time::Instant;

use super::{asked, begun, esmtp, noticed, play, say, told};
use crate::support::packet::{ACK, RST};
use crate::support::rig::{Rig, settings, settings_with};
use crate::support::tls::{RENEGOTIATED, SESSIONS, client_hello, record, server_name, session};

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
                assert!(!rig.has_told(|what| matches!(what, What::Tls(TlsEvent::Begin { .. }))));
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
    // All that is told and counted is the session's, however many hellos it takes.
    for name in ["tls13", "tls13-retried"] {
        let mut rig = esmtp(&[("tls_names", "mail.example")]);
        play(&mut rig, name, usize::MAX, usize::MAX);
        assert_eq!(noticed(&rig), [Notice::ForeignName], "{name}");
        let is_begin = |event: &TlsEvent| matches!(event, TlsEvent::Begin { .. });
        assert_eq!(told(&rig).iter().filter(|event| is_begin(event)).count(), 1, "{name}");
        let stats = rig.engine.stats();
        let counted = [stats.tls_begun, stats.tls_names_present, stats.tls_names_foreign];
        assert_eq!(counted, [1; 3], "{name}");
        let heard = ["tls_fingerprint", "tls_name"]
            .map(|family| stats.tls.iter().filter(move |(heard, _)| heard.family() == family));
        assert_eq!(heard.map(|heard| heard.map(|(_, count)| count).sum::<u64>()), [1; 2]);
    }
    // What is refused has not begun, however large it is.
    let mut rig = esmtp(&[]);
    let large = client_hello(&[(0, &server_name(b"a\\")), (21, &[0; 2_000])]);
    assert_eq!(say(&mut rig, C, &large), Verdict::Drop(Reason::Rule(Rule::Sni)));
    let stats = rig.engine.stats();
    assert_eq!([stats.tls_begun, stats.tls_large_hellos, stats.tls_names_odd], [0, 0, 1]);
    // Names of all kinds are counted.
    for (hello, counts) in [
        (client_hello(&[]), [0, 1, 0]),
        (client_hello(&[(0, &server_name(b"127.0.0.1"))]), [1, 0, 0]),
        (odd.clone(), [0, 0, 1]),
    ] {
        let mut rig = esmtp(&[]);
        let _ = say(&mut rig, C, &hello);
        let stats = rig.engine.stats();
        let counted = [stats.tls_names_present, stats.tls_names_absent, stats.tls_names_odd];
        assert_eq!(counted, counts);
    }
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
    assert!(!rig.has_told(|what| matches!(what, What::Tls(TlsEvent::Failed { .. }))));
    let _ = say(&mut rig, S, b"\x15\x03\x03\0\x02\x02\x28");
    let failed =
        What::Tls(TlsEvent::Failed { by: Some(S), alert: Some(40), stage: TlsStage::ClientHello });
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
    let failed =
        What::Tls(TlsEvent::Failed { by: None, alert: None, stage: TlsStage::ServerHello });
    assert!(rig.has_told(|what| *what == failed));
    assert_eq!(rig.engine.stats().tls_failed, 1);
}

#[test]
fn an_offer_that_goes_away_is_told_and_may_be_refused() {
    // The last number of the server's address, and what it offers.
    let offers = [
        (2, "STARTTLS", None),
        (2, "SIZE", Some(Notice::OfferGone)),
        (2, "SIZE", None),
        (2, "XXXXXXXA", Some(Notice::OfferMasked)),
        (3, "XXXXXXXX", Some(Notice::OfferMasked)),
        (4, "XXX", None),
        (5, "XXXXXXXab", None),
    ];
    for (cure, is_reset) in [("log", false), ("enforce", true)] {
        let mut rig = Rig::new(settings_with("esmtp", &[("tls_downgrade", cure)]), [7, 9]);
        for (number, (server, offer, notice)) in offers.into_iter().enumerate() {
            rig.renew([7 + 1_000_000 * number as u32, 9]);
            rig.client.set_port(40_000 + number as u16);
            rig.server.set_ip([198, 51, 100, server].into());
            rig.shake_hands();
            rig.records.clear();
            let _ = say(&mut rig, S, b"220 mx ESMTP\r\n");
            let _ = say(&mut rig, C, b"EHLO a\r\n");
            let verdict = say(&mut rig, S, format!("250-mx\r\n250 {offer}\r\n").as_bytes());
            assert_eq!(noticed(&rig), Vec::from_iter(notice), "{cure} {offer}: once a day");
            // Whether it was told today or not.
            let is_refused = verdict == Verdict::Drop(Reason::Rule(Rule::Downgrade));
            let is_wrong = notice.is_some() || (server, offer) == (2, "SIZE");
            assert_eq!(is_refused, is_reset && is_wrong, "{cure} {offer}");
        }
        let stats = rig.engine.stats();
        let counted = (stats.starttls_offered, stats.starttls_not_offered, stats.alarms);
        assert_eq!(counted, (1, 6, 3), "{cure}");
    }
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
    for (line, told) in
        [("MAIL FROM:<a@b>", 1), ("RSET", 1), ("MAIL FROM:<a@b>", 1), ("AUTH PLAIN", 2)]
    {
        let _ = say(&mut rig, C, format!("{line}\r\n").as_bytes());
        assert_eq!(noticed(&rig).len(), told, "{line}");
        let _ = say(&mut rig, S, b"250 ok\r\n");
    }
    assert_eq!(noticed(&rig), [Notice::PlainMail, Notice::PlainAuth]);
    assert_eq!(rig.engine.stats().mail_in_clear_unused_offer, 2);
}

#[test]
fn where_tls_is_required_mail_goes_inside_it_alone() {
    let required = settings_with("esmtp", &[("require_tls", "required")]);
    let greeted = |settings: Settings| {
        let mut rig = Rig::established(settings, [7, 9]);
        for (from, line) in [
            (S, &b"220 mx\r\n"[..]),
            (C, b"EHLO a\r\n"),
            (S, b"250-mx\r\n250-CHUNKING\r\n250 STARTTLS\r\n"),
        ] {
            let _ = say(&mut rig, from, line);
        }
        rig
    };
    let mut rig = greeted(required.clone());
    for (line, masked) in [
        ("MAIL FROM:<a@b>\r\n", "XXXXXXXXXXXXXXX\r\n"),
        ("RCPT TO:<c@d>\r\n", "RXXXXXXXXXXXX\r\n"),
        ("DATA\r\n", "XXXX\r\n"),
    ] {
        let before = rig.original.bytes().len();
        assert_eq!(say(&mut rig, C, line.as_bytes()), Verdict::Rewrite, "{line}");
        assert_eq!(rig.original.bytes()[before..], *masked.as_bytes(), "{line}");
        let _ = say(&mut rig, S, b"500 what\r\n");
    }
    // Octets would follow.
    let _ = say(&mut rig, C, b"BDAT 10\r\n");
    assert!(rig.resets > 0);
    // Inside TLS nobody asks what it is.
    let mut rig = greeted(required.clone());
    let _ = say(&mut rig, C, b"STARTTLS\r\n");
    let _ = say(&mut rig, S, b"220 go\r\n");
    play(&mut rig, "tls13", usize::MAX, usize::MAX);
    assert_eq!(rig.resets, 0);
    // A client that has its own settings.
    let treatment = Treatment::Enforce(settings("esmtp").guard);
    let exceptions = vec![Exception { client: None, server: None, treatment }];
    let mut rig = greeted(Settings { exceptions, ..required });
    assert_eq!(say(&mut rig, C, b"MAIL FROM:<a@b>\r\n"), Verdict::Accept);
}

#[test]
fn a_fault_is_counted_and_so_is_the_patch_that_it_belongs_to() {
    // Behind its hello a client injects no command.
    for (flights, patches) in [(0, 1), (1, 0)] {
        let mut rig = esmtp(&[("patches", "off,CVE-2011-0411=on")]);
        play(&mut rig, "tls13", flights, usize::MAX);
        let _ = say(&mut rig, C, b"RSET\r\n");
        let stats = rig.engine.stats();
        assert_eq!((stats.alarms, stats.tls_faults), (1, 1), "{flights}");
        assert_eq!(stats.patches.values().sum::<u64>(), patches, "{flights}");
    }
}

/// Everything else that was said of a flow is forgotten before that it was reset.
#[test]
fn a_flow_that_was_reset_under_tls_is_remembered_as_any_other() {
    let mut rig = esmtp(&[]);
    let _ = say(&mut rig, C, b"RSET\r\n");
    rig.micros += 20_000_000;
    rig.engine.expire(Instant::from_micros(rig.micros), &mut Effects::default());
    assert_eq!(say(&mut rig, C, b"NOOP\r\n"), Verdict::Drop(Reason::FlowReset));
    // One that nobody reads is forgotten sooner.
    let mut rig = esmtp(&[("tls_framing", "log")]);
    let _ = say(&mut rig, C, b"RSET\r\n");
    assert_eq!(rig.effects.handling, Handling::HandedOver);
    for (seconds, flows) in [(4, 1), (2, 0)] {
        rig.micros += seconds * 1_000_000;
        rig.engine.expire(Instant::from_micros(rig.micros), &mut Effects::default());
        assert_eq!(rig.engine.stats().flows_now, flows);
    }
}

/// A flow whose client has said all of its handshake, and has lost the server's hello, which begins
/// at this offset.
fn with_a_hello_lost(hello: &[u8], finished: &[u8], is_monitored: bool) -> (Rig, u64) {
    let watching = settings_with("esmtp", &[("tls_watch", "handshake")]);
    let mut rig = begun(Settings { monitor: is_monitored, ..watching });
    play(&mut rig, "tls13", 1, usize::MAX);
    rig.is_lost_behind = true;
    let back = rig.reply.received;
    assert_eq!(rig.send(S, back, hello), Verdict::Accept);
    rig.is_lost_behind = false;
    let at = rig.original.received;
    assert_eq!(rig.send(C, at, finished), Verdict::Accept);
    (rig, back)
}

/// Until the client has received the server's hello, the server may have to say it again.
#[test]
fn a_flow_is_handed_over_once_both_hellos_have_arrived_and_nothing_is_missing() {
    let flights = session("tls13");
    let (hello, finished) = (&flights[1].1, &flights[2].1);
    let (mut rig, back) = with_a_hello_lost(hello, finished, false);
    assert_eq!(rig.engine.stats().tls_handed_over, 0, "it was lost behind the filter");
    assert_eq!(rig.send(S, back, hello), Verdict::Accept);
    let at = rig.original.received;
    assert_eq!(rig.send(C, at, &record(23, 20, b"")), Verdict::Accept);
    assert_eq!(rig.engine.stats().tls_handed_over, 1);
    // What stands behind a gap may be no TLS.
    let mut rig = esmtp(&[("tls_watch", "handshake")]);
    play(&mut rig, "tls13", 2, usize::MAX);
    let at = rig.original.received;
    let end = at + finished.len() as u64;
    assert_eq!(rig.send(C, end + 25, &record(23, 20, b"")), Verdict::Accept);
    assert_eq!(rig.send(C, at, finished), Verdict::Accept);
    assert_eq!(rig.engine.stats().tls_handed_over, 0, "a gap");
    assert_eq!(rig.send(C, end, &record(23, 20, b"")), Verdict::Accept);
    assert_eq!(rig.engine.stats().tls_handed_over, 1);
}

/// A RST that its receiver ignores is the end of the flow as far as is known, and where monitoring
/// it then goes on.
#[test]
fn what_a_reset_has_counted_is_not_counted_again() {
    let flights = session("tls13");
    let (hello, finished) = (&flights[1].1, &flights[2].1);
    let (mut rig, back) = with_a_hello_lost(hello, finished, true);
    let at = rig.original.received;
    let (seq, ack) = rig.numbers(C, at);
    assert_eq!(rig.packet(C, seq, ack, RST, &[], &[]), Verdict::Accept);
    assert!(rig.has_told(|what| *what == What::Closed));
    let agreed = |rig: &Rig| {
        let stats = rig.engine.stats();
        (stats.tls_handed_over, stats.tls_agreed, stats.tls_agreed_1_3)
    };
    assert_eq!(agreed(&rig), (0, 1, 1));
    assert_eq!(rig.send(S, back, hello), Verdict::Accept);
    let at = rig.original.received;
    assert_eq!(rig.send(C, at, &record(23, 20, b"")), Verdict::Accept);
    assert_eq!(agreed(&rig), (1, 1, 1));
}

/// What is kept of both streams, and of a hello that has not come whole.
#[test]
fn what_a_flow_holds_is_what_is_held_for_it() {
    let mut rig = asked(settings("esmtp"));
    rig.is_lost_behind = true;
    let back = rig.reply.received;
    assert_eq!(rig.send(S, back, b"220 go\r\n"), Verdict::Accept);
    let hello = &session("tls13")[0].1;
    let at = rig.original.received;
    let mut before = 0;
    for part in [0..30, 30..90, 90..200] {
        assert_eq!(rig.send(C, at + part.start as u64, &hello[part.clone()]), Verdict::Accept);
        let mut held = 0;
        rig.engine.flows(Instant::from_micros(rig.micros), |seen| {
            held = seen.held;
            ControlFlow::Continue(())
        });
        assert!(held > before, "{held} behind {part:?}");
        assert_eq!(rig.engine.stats().store_bytes_now, held as u64, "{part:?}");
        before = held;
    }
}

#[test]
fn the_greeting_is_told_as_one_whatever_its_code() {
    let greetings = [&b"220 mx\r\n"[..], b"554 go away\r\n"];
    for (greeting, size) in greetings.into_iter().flat_map(|line| [(line, 1), (line, 100)]) {
        let mut rig = Rig::established(settings("esmtp"), [7, 9]);
        for (from, line) in [(S, greeting), (C, b"NOOP\r\n"), (S, b"250 ok\r\n")] {
            for piece in line.chunks(size) {
                let _ = say(&mut rig, from, piece);
            }
        }
        let is_banner = |what: &What| matches!(what, What::Banner { .. });
        let is_reply = |what: &What| matches!(what, What::Reply { .. });
        let count = |is_it: &dyn Fn(&What) -> bool| {
            rig.records.iter().filter(|record| is_it(&record.what)).count()
        };
        assert_eq!((count(&is_banner), count(&is_reply)), (1, 1), "{greeting:?} {size}");
    }
}
