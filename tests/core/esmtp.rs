//! Today's SMTP through `esmtp` and `asa`: offers, pipelining, TLS, AUTH, chunks, parameters,
//! limits, private verbs, exceptions.

use crate::support::esmtp::{Esmtp, Mode};
use crate::support::packet::SYN;
use crate::support::rig::{Rig, settings, settings_with};
use crate::support::session::Session;
use mailguard::engine::{Exception, Handling, TlsEvent, Treatment, Verdict, What};
use mailguard::flow::Direction::{Original as C, Reply as S};
use mailguard::guard::Settings as Guard;

fn server() -> Esmtp {
    Esmtp::new("220 mx.example ESMTP\r\n")
}

/// An `esmtp` session behind its EHLO.
fn esmtp(changes: &[(&str, &str)], server: Esmtp) -> Session {
    let mut session = Session::greeted(settings_with("esmtp", changes), server);
    session.say("EHLO a.example\r\n");
    session
}

fn has_logged(session: &Session, is: impl Fn(&What) -> bool) -> bool {
    session.rig.records.iter().any(|record| is(&record.what))
}

fn is_reset_for(session: &Session, name: &str) -> bool {
    session.rig.resets > 0
        && has_logged(
            session,
            |what| matches!(what, What::Reset { reason } if reason.name() == name),
        )
}

#[test]
fn offers_are_filtered_whatever_the_cut() {
    let offer = server().ehlo;
    let filtered = offer.replace("XCLIENT NAME", "XXXXXXX XXXX");
    let start = "220 mx.example ESMTP\r\n".len();
    for first in 0..offer.len() {
        for second in first..offer.len() {
            let mut session = Session::greeted(settings("esmtp"), server());
            session.reply_cuts = vec![start + first, start + second];
            assert_eq!(session.say("EHLO a\r\n"), filtered, "cut at {first}, {second}");
        }
    }
}

#[test]
fn mechanisms_that_are_not_listed_are_not_offered_whatever_the_cut() {
    let mut offering = server();
    offering.ehlo = "250-mx.example\r\n250-AUTH PLAIN NTLM XLOGIN  LOGIN PLAIN-OLD PLA\r\n\
        250-AUTH=NTLM LOGIN\r\n250-AUTHX NTLM\r\n250 SIZE NTLM\r\n";
    let offer = offering.ehlo;
    // What has left may be the beginning of a listed name; the rest makes it nobody's.
    let filtered = offer
        .replace("PLAIN NTLM XLOGIN", "PLAIN XXXX XXXXXX")
        .replace("PLAIN-OLD", "PLAINXXXX")
        .replace("AUTH=NTLM", "AUTH=XXXX");
    let start = "220 mx.example ESMTP\r\n".len();
    for (ehlo, hidden) in [("pass", "AUTHX NTLM"), ("allow-list", "AUTHX XXXX")] {
        let listed = [("auth_mechanisms", "PLAIN,LOGIN"), ("ehlo", ehlo)];
        let filtered = filtered.replace("AUTHX NTLM", hidden);
        for first in 0..offer.len() {
            for second in (first..offer.len()).step_by(5) {
                let mut session =
                    Session::greeted(settings_with("esmtp", &listed), offering.clone());
                session.reply_cuts = vec![start + first, start + second];
                assert_eq!(session.say("EHLO a\r\n"), filtered, "cut at {first}, {second}");
            }
        }
    }
    // Where AUTH itself is not held to the list, nothing else is told to clients.
    for changes in [[("auth_mechanisms", "any")], [("envelope", "log")]] {
        let mut settings =
            settings_with("esmtp", &[("ehlo", "pass"), ("auth_mechanisms", "PLAIN")]);
        for (key, value) in changes {
            settings.guard.set(key, value).unwrap();
        }
        let mut session = Session::greeted(settings, offering.clone());
        assert_eq!(session.say("EHLO a\r\n"), offer);
    }
}

#[test]
fn letters_come_out_where_lines_come_whole() {
    let start = "220 mx.example ESMTP\r\n".len();
    let ends = server().ehlo.match_indices('\n').map(|(at, _)| start + at + 1);
    for cuts in [Vec::new(), ends.collect()] {
        let mut session = Session::greeted(settings("asa"), server());
        session.reply_cuts = cuts;
        assert_eq!(
            session.say("EHLO a\r\n"),
            "250-mx.example\r\n250-PIPELINING\r\n250-SIZE 1000000\r\n250-XXXXXXXA\r\n\
             250-AUTH PLAIN LOGIN\r\n250-XXXXXXXB\r\n250-XXXXXXC XXXX\r\n250 XXXD\r\n"
        );
    }
}

#[test]
fn a_pipeline_passes_in_one_segment() {
    for profile in ["esmtp", "asa"] {
        let mut session = Session::greeted(settings(profile), server());
        session.say("EHLO a\r\n");
        let group = "MAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\nRCPT TO:<e@f>\r\nDATA\r\n";
        assert_eq!(session.say(group), "250 ok\r\n250 ok\r\n250 ok\r\n354 go\r\n", "{profile}");
        let heard = session.say("Hi\r\nEXPN x\r\n.\r\nQUIT\r\n");
        assert_eq!(heard, "250 queued\r\n221 bye\r\n", "{profile}");
        assert_eq!(session.server.messages, [b"Hi\r\nEXPN x\r\n.\r\n"], "{profile}");
        assert!(session.alarms().is_empty());
    }
}

#[test]
fn tls_is_opaque_behind_the_220_and_goes_back_to_the_kernel() {
    let unwatched = settings_with("esmtp", &[("tls_watch", "off")]);
    for settings in [unwatched, settings_with("asa", &[("starttls", "allow")])] {
        let mut session = Session::greeted(settings, server());
        session.say("EHLO a\r\n");
        assert_eq!(session.say("STARTTLS\r\n"), "220 go\r\n");
        assert!(!has_logged(&session, |what| *what == What::Tls(TlsEvent::Begin { offer: None })));
        session.say_pieces(&[b"\x16\x03\x01", b"EXPN root\r\n"]);
        assert!(has_logged(&session, |what| *what == What::Tls(TlsEvent::Begin { offer: None })));
        assert_eq!(session.server.tls, b"\x16\x03\x01EXPN root\r\n");
        let at = session.rig.reply.received;
        let answer = session.rig.send(S, at, b"\x16\x03\x03\0\x05hello");
        assert_eq!(answer, Verdict::Accept);
        for direction in [C, S] {
            let at = session.rig.side(direction).received;
            let verdict = session.rig.send(direction, at, b"\x17\x03\x03\0\x05EHLO ");
            assert_eq!(verdict, Verdict::Accept, "{direction:?}");
            assert_eq!(session.rig.effects.handling, Handling::HandedOver, "{direction:?}");
        }
        assert_eq!(session.rig.resets, 0);
    }
}

#[test]
fn plaintext_of_the_server_behind_starttls_resets_both_ends() {
    for (starttls, hello) in [("220 go\r\n250 evil\r\n", &b""[..]), ("220 go\r\n", b"\x16\x03\x01")]
    {
        let mut evil = server();
        evil.starttls = starttls;
        let mut session = esmtp(&[], evil);
        session.say("STARTTLS\r\n");
        session.say_pieces(&[hello]);
        let at = session.rig.reply.received;
        let _ = session.rig.send(S, at, b"250-mx\r\n");
        assert!(is_reset_for(&session, "not-tls"), "{starttls:?}");
        assert!(!session.client_got().contains("evil"), "{starttls:?}");
        assert!(!session.client_got().ends_with("250-mx\r\n"), "{starttls:?}");
    }
}

#[test]
fn plaintext_behind_starttls_resets_both_ends() {
    for pieces in [
        &[&b"STARTTLS\r\nMAIL FROM:<a>\r\n"[..]][..],
        &[b"STARTTLS\r\n", b"MAIL FROM:<a>\r\n"],
        &[b"STARTTLS\r", b"\nM", b"AIL FROM:<a>\r\n"],
    ] {
        let mut session = esmtp(&[], server());
        session.queue(pieces);
        session.repeat();
        assert_eq!(session.rig.resets, 0, "nothing is decided before the 220");
        session.settle();
        assert!(is_reset_for(&session, "not-tls"), "{pieces:?}");
        assert_eq!(session.server.tls, b"", "none of it arrives");
    }
}

#[test]
fn a_refused_starttls_goes_on_in_plain_text() {
    let mut refusing = server();
    refusing.starttls = "454 not now\r\n";
    let mut session = esmtp(&[], refusing);
    assert_eq!(session.say("STARTTLS\r\n"), "454 not now\r\n");
    assert_eq!(session.say("EXPN a\r\n"), "500 unrecognized: EXXXXX\r\n");
    assert_eq!(session.say("NOOP\r\n"), "250 ok\r\n");
}

#[test]
fn a_stripped_starttls_is_neither_offered_nor_taken() {
    let mut session = Session::greeted(settings_with("esmtp", &[("starttls", "strip")]), server());
    assert!(session.say("EHLO a\r\n").contains("250-SXXXXXXX\r\n"));
    assert_eq!(session.say("STARTTLS\r\n"), "500 unrecognized: SXXXXXXX\r\n");
    assert_eq!(session.server.mode, Mode::Command);
}

#[test]
fn tls_answers_only_the_220_of_its_own_command() {
    // Sent before the greeting, whose 220 opens nothing.
    let mut session = Session::silent(settings("esmtp"), server());
    session.queue(&[b"STARTTLS\r\n", b"EXPN a\r\n"]);
    session.repeat();
    session.settle();
    assert!(is_reset_for(&session, "not-tls"));
    assert!(!session.has_run(&["EXPN"]));
}

#[test]
fn auth_exchanges_pass_unread_and_unlogged() {
    let long = format!("{}\r\n", "A".repeat(12_280));
    let mut login = server();
    login.auth = &["334 VXNlcm5hbWU6\r\n", "334 UGFzc3dvcmQ6\r\n", "235 ok\r\n"];
    let mut session = esmtp(&[], login);
    assert_eq!(session.say("AUTH LOGIN\r\n"), "334 VXNlcm5hbWU6\r\n");
    assert_eq!(session.say("EXPN\r\n"), "334 UGFzc3dvcmQ6\r\n");
    assert_eq!(session.say(&long), "235 ok\r\n");
    assert_eq!(session.server.secrets, ["EXPN", long.trim_end()]);
    assert_eq!(session.say("EXPN a\r\n"), "500 unrecognized: EXXXXX\r\n");
    assert!(!has_logged(&session, |what| format!("{what:?}").contains("AAAA")));
    let initial = format!("AUTH PLAIN {}", "B".repeat(12_200));
    session.server.auth = &["535 no\r\n"];
    assert_eq!(session.say_pieces(&[initial.as_bytes(), b"BB\r\n"]), "535 no\r\n");
    assert!(!has_logged(&session, |what| matches!(what, What::Edited { .. })
        && format!("{what:?}").contains("66, 66")));
    assert_eq!(session.rig.resets, 0);
}

#[test]
fn auth_is_cancelled_and_refused() {
    for (replies, line) in
        [(&["334 go\r\n", "235 ok\r\n"][..], "*\r\n"), (&["334 go\r\n", "535 no\r\n"], "eA==\r\n")]
    {
        let mut challenging = server();
        challenging.auth = replies;
        let mut session = esmtp(&[], challenging);
        assert_eq!(session.say("AUTH GSSAPI\r\n"), "334 go\r\n");
        assert!(session.say(line).starts_with('5'));
        assert_eq!(session.say("EXPN a\r\n"), "500 unrecognized: EXXXXX\r\n");
    }
    let mut refusing = server();
    refusing.auth = &["504 no such mechanism\r\n"];
    let mut session = esmtp(&[], refusing);
    // The response comes early: it waits, and is a command line when AUTH was refused.
    let heard = session.say("AUTH X\r\nEXPN root\r\nNOOP\r\n");
    assert_eq!(heard, "504 no such mechanism\r\n500 unrecognized: EXXXXXXXX\r\n250 ok\r\n");
}

#[test]
fn auth_lines_are_held_to_their_limit() {
    let mut login = server();
    login.auth = &["334 go\r\n", "235 ok\r\n"];
    for (length, is_long) in [(12_280, false), (12_281, true), (20_000, true)] {
        let line = format!("{}\r\n", "A".repeat(length));
        let mut session = esmtp(&[], login.clone());
        session.say("AUTH PLAIN\r\n");
        session.say_pieces(&line.as_bytes().chunks(1_000).collect::<Vec<_>>());
        assert_eq!(is_reset_for(&session, "long-line"), is_long, "{length}");
        let is_secret = |what: &What| format!("{what:?}").contains("65, 65, 65");
        assert!(!has_logged(&session, is_secret), "no secret");
        assert!(session.server.secrets.len() == usize::from(!is_long));
    }
}

#[test]
fn envelopes_keep_their_parameters_and_their_bytes() {
    // The patch refuses 8-bit before it can see SMTPUTF8 behind it.
    let mut offering = server();
    offering.ehlo = "250-mx.example\r\n250-SMTPUTF8\r\n250 SIZE\r\n";
    let mut session = esmtp(&[("patches", "preset,postfix-20260812=off")], offering);
    for line in [
        "MAIL FROM:<a@b> SIZE=1000 BODY=8BITMIME RET=HDRS ENVID=x AUTH=<>\r\n",
        "MAIL FROM:<π@δ.example> SMTPUTF8\r\n",
        "RCPT TO:<ö@b> NOTIFY=SUCCESS,FAILURE ORCPT=rfc822;c+40d\r\n",
        "HELP\r\n",
        "VRFY π SMTPUTF8\r\n",
        "ETRN @example.com\r\n",
        "HELO a\r\n",
    ] {
        let before = session.server_got().len();
        assert!(session.say(line).starts_with('2'), "{line}");
        assert_eq!(&session.server_got()[before..], line);
    }
    session.say("DATA\r\n");
    session.say("8-bit: äöü\r\n\r\n\u{1F4E7}\r\n.\r\n");
    assert_eq!(session.server.messages, ["8-bit: äöü\r\n\r\n\u{1F4E7}\r\n.\r\n".as_bytes()]);
    assert!(session.alarms().is_empty());
}

#[test]
fn verbs_are_a_matter_of_policy() {
    let verbs = "HELO,EHLO,MAIL,RCPT,DATA,RSET,NOOP,QUIT,EXPN";
    let mut session = esmtp(&[("verbs", verbs)], server());
    assert_eq!(session.say("EXPN staff\r\n"), "252 perhaps\r\n");
    assert_eq!(session.say("VRFY root\r\n"), "500 unrecognized: XXXXXXXXX\r\n");
    assert_eq!(session.say("ETRN a\r\n"), "500 unrecognized: EXXXXX\r\n");
    assert_eq!(session.say("HELP\r\n"), "500 unrecognized: HELX\r\n");
    assert_eq!(session.say("AUTH PLAIN x\r\n"), "500 unrecognized: XXXXXXXXXXXX\r\n");
}

#[test]
fn line_limits_follow_the_offers() {
    let is_note = |what: &What| {
        let What::Exceeded { excess, .. } = what else { return false };
        excess.rule.name() == "long-line"
    };
    let free =
        [("envelope", "off"), ("local_part_max", "0"), ("path_max", "0"), ("patches", "off")];
    // The offers of this server: SIZE adds 26, AUTH 500 to MAIL (guard::extension).
    for (verb, room) in [("NOOP ", 510), ("MAIL FROM:", 510 + 26 + 500), ("RCPT TO:", 510)] {
        for (length, is_long) in [(room, false), (room + 1, true)] {
            let line = format!("{verb}{}\r\n", "x".repeat(length - verb.len()));
            let mut session = esmtp(&free, server());
            session.say(&line);
            assert_eq!(has_logged(&session, is_note), is_long, "{verb} {length}");
            let reset = [&free[..], &[("long_lines", "reset")]].concat();
            let mut session = esmtp(&reset, server());
            session.say(&line);
            assert_eq!(is_reset_for(&session, "long-line"), is_long, "{verb} {length}");
        }
    }
}

#[test]
fn no_line_is_two_lines_to_a_server() {
    // Exim takes 16,384 bytes for a line, and what follows for the next.
    for (profile, begin) in [
        ("mailguard", "NOOP "),
        ("esmtp", "NOOP "),
        ("mailguard", "EXPN "),
        ("esmtp", "MAIL FROM:<"),
        ("esmtp", "AUTH PLAIN "),
        ("asa", "NOOP "),
    ] {
        for piece in [1, 1_460, 99_999] {
            let line = format!("{begin}{}EXPN root\r\n", "a".repeat(16_384 - begin.len()));
            let free = [("local_part_max", "0"), ("path_max", "0")];
            let mut session = Session::greeted(settings_with(profile, &free), server());
            session.say_pieces(&line.as_bytes().chunks(piece).collect::<Vec<_>>());
            // A path is too long for some server before its line is.
            let is_reset = ["long-line", "patch"].map(|reason| is_reset_for(&session, reason));
            assert!(is_reset.contains(&true), "{profile} {begin} {piece}");
            assert!(session.server_got().len() <= 12_280, "{profile} {begin} {piece}");
            assert!(!session.has_run(&["EXPN"]));
        }
    }
}

#[test]
fn another_protocol_ends_the_flow_before_its_lines_arrive() {
    let request = "POST / HTTP/1.1\r\nHost: mx.example\r\n\r\n";
    let mail = "HELO a\r\nMAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\nDATA\r\n";
    for profile in ["mailguard", "esmtp"] {
        let text = format!("{request}{mail}");
        for piece in 1..text.len() {
            let mut session = Session::greeted(settings(profile), server());
            session.say_pieces(&text.as_bytes().chunks(piece).collect::<Vec<_>>());
            assert!(is_reset_for(&session, "other-protocol"), "{profile}, {piece} bytes a packet");
            assert!("XXXX".starts_with(&session.server_got()), "{}", session.server_got());
            assert!(session.alarms().is_empty());
        }
    }
}

#[test]
fn a_message_has_so_many_recipients_and_the_next_one_too() {
    let mut session = Session::greeted(settings("asa"), server());
    session.say("EHLO a\r\n");
    for _ in 0..2 {
        session.say("MAIL FROM:<a@b>\r\n");
        session.say(&"RCPT TO:<c@d>\r\n".repeat(100));
        session.say("DATA\r\n");
        session.say("x\r\n.\r\n");
        assert_eq!(session.rig.resets, 0);
    }
    session.say("MAIL FROM:<a@b>\r\n");
    session.say(&"RCPT TO:<c@d>\r\n".repeat(101));
    assert!(is_reset_for(&session, "recipients"));
}

#[test]
fn private_verbs_are_refused_without_losing_the_stream() {
    for profile in ["mailguard", "esmtp", "asa", "pix-6.3"] {
        let mut session = Session::greeted(settings(profile), server());
        session.say("HELO a\r\n");
        let lines = "XEXCH50 1079 2\r\nX-LINK2STATE LAST CHUNK={0000}\r\nNOOP\r\n";
        let heard = session.say(lines);
        let codes: Vec<_> = heard.lines().map(|line| &line[..3]).collect();
        assert_eq!(codes, ["500", "500", "250"], "{profile}");
        session.say("DATA\r\n");
        session.say("x\r\n.\r\n");
        assert_eq!(session.server.messages, [b"x\r\n.\r\n"], "{profile}");
        assert!(session.alarms().is_empty());
    }
}

#[test]
fn the_first_exception_that_fits_decides() {
    let guard = |name| Guard::profile(name).unwrap();
    let mut verbs = guard("esmtp");
    verbs.set("verbs", "HELO,EHLO,EXPN").unwrap();
    let cases: [(Option<&str>, Option<&str>, Treatment, &str); 6] = [
        (Some("192.0.2.0/24"), None, Treatment::Enforce(guard("esmtp")), "EHLO a\r\nEXXXXX\r\n"),
        (None, Some("198.51.100.2"), Treatment::Enforce(verbs), "EHLO a\r\nEXPN a\r\n"),
        (Some("192.0.2.1"), None, Treatment::Monitor(guard("mailguard")), "EHLO a\r\nEXPN a\r\n"),
        (None, Some("198.51.100.0/24"), Treatment::HandsOff, "EHLO a\r\nEXPN a\r\n"),
        (Some("198.51.100.2"), None, Treatment::HandsOff, "XXXXXX\r\nXXXXXX\r\n"),
        (Some("192.0.2.1"), Some("192.0.2.1"), Treatment::HandsOff, "XXXXXX\r\nXXXXXX\r\n"),
    ];
    for (client, server_at, treatment, got) in cases {
        let mut settings = settings("mailguard");
        let is_hands_off = treatment == Treatment::HandsOff && !got.starts_with('X');
        settings.exceptions.push(Exception {
            client: client.map(|network| network.parse().unwrap()),
            server: server_at.map(|network| network.parse().unwrap()),
            treatment,
        });
        if is_hands_off {
            let mut rig = Rig::new(settings, [7, 9]);
            let syn = rig.packet(C, 7, 0, SYN, &[], &[]);
            assert_eq!(syn, Verdict::Accept);
            assert_eq!(rig.effects.handling, Handling::HandedOver);
            continue;
        }
        let mut session = Session::greeted(settings, server());
        session.say("EHLO a\r\nEXPN a\r\n");
        assert_eq!(session.server_got(), got, "{client:?} {server_at:?}");
        let is_judged = has_logged(&session, |what| matches!(what, What::Edited { .. }));
        assert!(is_judged, "monitored lines are logged");
    }
}
