//! What leaves of each line, banner and address, whatever the cut.

use super::*;
use crate::offset::Offset;
use crate::smtp::{DataBegins, Dialogue, Event, Speaker, Standing};

/// Whoever speaks has received all that the other side said.
const HEARD: Standing = Standing { at: Offset::ZERO, covers: Offset::new(u64::MAX) };

/// What leaves when the guard has its way with a stream cut into pieces of this size.
fn leaves(settings: &Settings, from: Speaker, input: &[u8], piece: usize) -> String {
    let guard = Guard::new(settings.clone());
    let (mut dialogue, mut watch, mut draft) =
        (Dialogue::new(DataBegins::OnReply), Watch::default(), Draft::default());
    let mut out = Vec::new();
    for mut piece in input.chunks(piece) {
        let mut is_part_start = true;
        while !piece.is_empty() {
            if is_part_start && guard.is_by_packet() && from == Speaker::Client {
                guard.begin_part(&mut watch, piece);
            }
            let step = dialogue.read(from, piece, HEARD);
            assert_ne!(step.event, Event::Wait);
            let (run, rest) = piece.split_at(step.used);
            let ruling = guard.judge(&mut watch, step.event, run, &mut draft);
            if matches!(ruling, Ruling::Refuse(_)) {
                dialogue.refuse();
            }
            match ruling {
                Ruling::Pass | Ruling::Note(_) | Ruling::Reset(_) => out.extend_from_slice(run),
                Ruling::Edit(_) | Ruling::Refuse(_) => out.extend_from_slice(draft.as_bytes()),
            }
            is_part_start = matches!(step.event, Event::CommandEnd { .. });
            piece = rest;
        }
    }
    String::from_utf8(out).unwrap()
}

fn mailguard() -> Settings {
    Settings::profile("mailguard").unwrap()
}

fn check(from: Speaker, cases: &[(&str, &str)]) {
    for (input, output) in cases {
        for piece in 1..=input.len() {
            let left = leaves(&mailguard(), from, input.as_bytes(), piece);
            assert_eq!(left, *output, "{input:?} in pieces of {piece}");
        }
    }
}

#[test]
fn only_the_seven_verbs_pass_whatever_the_cut() {
    check(
        Speaker::Client,
        &[
            ("HELO a\r\n", "HELO a\r\n"),
            ("mail from:<a@b>\r\n", "mail from:<a@b>\r\n"),
            ("rCpT to:<a@b>\r\nRSET\r\nNOOP\r\n", "rCpT to:<a@b>\r\nRSET\r\nNOOP\r\n"),
            ("QUIT\r\n", "QUIT\r\n"),
            ("EHLO a\r\n", "XXXXXX\r\n"),
            ("HELP\r\n", "HELX\r\n"),
            ("HELP x y\r\n", "HELXXXXX\r\n"),
            ("VRFY root\r\n", "XXXXXXXXX\r\n"),
            ("goodmorning\r\n", "XXXXXXXXXXX\r\n"),
            ("RSETT\r\n", "RSETX\r\n"),
            ("HEL\r\n", "HEL\r\n"),
            ("HEL x\r\n", "HELXX\r\n"),
            (" NOOP\r\n", "XXXXX\r\n"),
            ("\tNOOP\r\n", "XXXXX\r\n"),
            ("\"NOOP\"\r\n", "XXXXXX\r\n"),
            ("\0NOOP\r\n", "XXXXX\r\n"),
            ("NOOP\x0bx\r\n", "NOOPXX\r\n"),
            ("MAIL\tFROM:<a@b>\r\n", "MAIL FROM:<a@b>\r\n"),
            ("MAIL  FROM:<a@b>\r\n", "MAIL  FROM:<a@b>\r\n"),
            ("\r\n", "\r\n"),
            ("NOOP\r\r\nVRFY\r\n", "NOOP\r\r\nXXXX\r\n"),
            ("NOOP\nVRFY root\n", "NOOP\nXXXXXXXXX\n"),
            ("NOOP\rVRFY root\r\n", "NOOP\rXXXXXXXXX\r\n"),
            ("NOOP x\0VRFY\r\n", "NOOP xXXXXX\r\n"),
            ("VRFY\rNOOP\r\nNOOP\r\n", "XXXX\rXXXX\r\nNOOP\r\n"),
            ("STARTTLS\r\n", "XXXXXXXX\r\n"),
            ("BDAT 5 LAST\r\nVRFY\n", "XXXXXXXXXXX\r\nXXXX\n"),
            ("\x16\x03\x01\r\n", "XXX\r\n"),
        ],
    );
}

#[test]
fn addresses_lose_what_defines_no_address() {
    check(
        Speaker::Client,
        &[
            ("MAIL FROM:<|/bin/sh>\r\n", "MAIL FROM:< /bin/sh>\r\n"),
            ("RCPT TO:<a@b> <c@d>\r\n", "RCPT TO:<a@b> <c@d>\r\n"),
            ("RCPT TO:<<a@b>>\r\n", "RCPT TO:< a@b> \r\n"),
            ("RCPT TO:a@b>\r\n", "RCPT TO:a@b \r\n"),
            ("MAIL FROM:<a@b> AUTH=<>\r\n", "MAIL FROM:<a@b> AUTH=<>\r\n"),
            ("MAIL FROM:<a\r\nRCPT TO:<b>\r\n", "MAIL FROM:<a\r\nRCPT TO:<b>\r\n"),
            ("HELO |>\r\n", "HELO |>\r\n"),
        ],
    );
}

#[test]
fn the_banner_follows_the_rule_of_pix_5_1() {
    check(
        Speaker::Server,
        &[
            ("220 mail2.nwtraders.msft\r\n", "220 ****2***************\r\n"),
            ("220 a 0 b 20 2 c\r\n", "220 **0 **20 2**\r\n"),
            ("220  x\r\n", "220 **\r\n"),
            ("220-a\r\n220 b\r\n", "220-*\r\n220 *\r\n"),
            ("220\r\n", "220\r\n"),
            ("554 no\r\n250 mail\r\n", "554 no\r\n250 mail\r\n"),
            ("hello 220\r\n", "******220\r\n"),
            (
                "220 Sendmail 8.10.1; Sat, 20 Jan 2001 09:45:13 -0400\r\n",
                "220 ************0*********20 ****200**0*********0*00\r\n",
            ),
        ],
    );
}

#[test]
fn the_articles_banner_comes_out_to_the_letter() {
    let host = "mailgates0.nwtraders.msft.c";
    assert_eq!(host.as_bytes()[9], b'0');
    let before = format!(
        "220 {host} ESMTP Server (Microsoft Exchange Internet Mail Service 5.5.2653.13) ready\r\n"
    );
    let after = format!("220 *********0{}2*************\r\n", "*".repeat(77));
    assert_eq!(leaves(&mailguard(), Speaker::Server, before.as_bytes(), 7), after);
}

#[test]
fn a_split_terminator_is_rejected_in_its_scope() {
    let mut settings = mailguard();
    assert_eq!(Guard::new(settings.clone()).judge_terminator(2, 5), None);
    settings.split_terminator = SplitTerminator::Bug;
    let guard = Guard::new(settings.clone());
    assert_eq!(guard.judge_terminator(4, 5), Some(SplitAction::Drop));
    assert_eq!(guard.judge_terminator(5, 5), None);
    assert_eq!(guard.judge_terminator(3, 3), None);
    assert_eq!(guard.judge_terminator(2, 3), Some(SplitAction::Drop));
    settings.split_scope = SplitScope::DotCrlf;
    settings.split_action = SplitAction::Reset;
    let guard = Guard::new(settings);
    assert_eq!(guard.judge_terminator(2, 5), Some(SplitAction::Reset));
    assert_eq!(guard.judge_terminator(3, 5), None);
    assert_eq!(guard.judge_terminator(2, 3), Some(SplitAction::Reset));
}

#[test]
fn settings_say_what_they_expect() {
    let mut settings = mailguard();
    for (key, value, message) in [
        ("split_terminator", "maybe", "split_terminator = `maybe`: expected fixed or bug"),
        ("verbs", "HELO,FOO", "verbs: `FOO`: expected verbs out of AUTH"),
        ("verbs", "", "verbs: expected at least one verb"),
        ("colour", "red", "unknown setting `colour`: expected one of verbs"),
    ] {
        let error = settings.set(key, value).unwrap_err();
        assert!(error.starts_with(message), "{error}");
    }
    assert_eq!(settings, mailguard());
    settings.set("verbs", "helo, EHLO quit").unwrap();
    assert_eq!(leaves(&settings, Speaker::Client, b"EHLO a\r\nMAIL\r\n", 3), "EHLO a\r\nXXXX\r\n");
}

fn profile(name: &str) -> Settings {
    Settings::profile(name).unwrap()
}

#[test]
fn every_profile_masks_the_banner_in_its_own_way() {
    let banner = "220 mx20.example ESMTP Postfix\r\n";
    for (name, masked) in [
        ("mailguard", "220 **20**********************\r\n"),
        ("esmtp", "220 mx20.example ESMTP........\r\n"),
        ("pix-4.1", "220 SMTP/cmap ready___________\r\n"),
        ("pix-4.4", "220 **************************\r\n"),
        ("pix-5.1", "220 **20**********************\r\n"),
        ("pix-5.2.4", "220 **20**********************\r\n"),
        ("pix-6.3", "220 **20**********************\r\n"),
        ("asa", "220 **************************\r\n"),
    ] {
        for piece in 1..banner.len() {
            let left = leaves(&profile(name), Speaker::Server, banner.as_bytes(), piece);
            assert_eq!(left, masked, "{name} in pieces of {piece}");
        }
    }
}

#[test]
fn a_refusal_says_why_in_the_greeting_and_to_ehlo() {
    let refusal = "554-mx.example nemesis\r\n554-no\r\n554 see http://example\r\n";
    let offers = "250-mx\r\n250-SIZE 9\r\n250-XFOO\r\n550 5.7.1 not welcome here\r\n";
    for name in Settings::PROFILES {
        for piece in [1, 2, 7, 99] {
            let left = leaves(&profile(name), Speaker::Server, refusal.as_bytes(), piece);
            assert_eq!(left, refusal, "{name} in pieces of {piece}");
        }
        let left = offer(&profile(name), offers, 99);
        assert!(left.ends_with("\r\n550 5.7.1 not welcome here\r\n"), "{name}: {left:?}");
        assert_eq!(left.contains("XFOO"), !["esmtp", "asa"].contains(name), "{name}: {left:?}");
        let refused = "550-mx\r\n550-SIZE says no\r\n550 XFOO\r\n";
        assert_eq!(offer(&profile(name), refused, 3), refused, "{name}");
    }
    // A line greets by its own code.
    let mixed = b"220-mx one\r\n554 two\r\n";
    assert_eq!(leaves(&profile("esmtp"), Speaker::Server, mixed, 5), "220-mx ESM\r\n554 two\r\n");
}

#[test]
fn ok_alone_in_the_last_line_is_no_keyword() {
    for (line, esmtp) in [
        ("250 OK", "250 OK"),
        ("250 Ok", "250 Ok"),
        ("250-OK", "250-XX"),
        ("250 OKAY", "250 OKXX"),
        ("250 OK go", "250 OK XX"),
        ("250 OK=go", "250 OKXXX"),
        ("250 O", "250 O"),
    ] {
        let reply = format!("250-mx\r\n{line}\r\n");
        for piece in 1..=reply.len() {
            let left = offer(&profile("esmtp"), &reply, piece);
            assert_eq!(left, format!("250-mx\r\n{esmtp}\r\n"), "in pieces of {piece}");
        }
    }
    assert_eq!(offer(&profile("asa"), "250-mx\r\n250 OK\r\n", 99), "250-mx\r\n250 OK\r\n");
    assert_eq!(offer(&profile("asa"), "250-mx\r\n250-OK\r\n", 99), "250-mx\r\n250-XA\r\n");
}

#[test]
fn offers_that_answer_nothing_are_filtered_all_the_same() {
    let (own, stray) = ("250-mx\r\n250 SIZE\r\n", "250-mx\r\n250-XCLIENT\r\n250 SIZE\r\n");
    let left = offer(&profile("esmtp"), &format!("{own}{stray}"), 4);
    assert_eq!(left, format!("{own}250-mx\r\n250-XXXXXXX\r\n250 SIZE\r\n"));
}

#[test]
fn a_second_banner_line_loses_its_code_in_4_4_alone() {
    let banner = b"220-a\r\n220 b\r\n";
    for (name, masked) in [
        ("pix-4.1", "220-S\r\n220 S\r\n"),
        ("pix-4.4", "220-*\r\n*****\r\n"),
        ("pix-5.1", "220-*\r\n220 *\r\n"),
        ("asa", "220-*\r\n220 *\r\n"),
        ("esmtp", "220-a\r\n220 E\r\n"),
    ] {
        assert_eq!(leaves(&profile(name), Speaker::Server, banner, 99), masked, "{name}");
    }
}

#[test]
fn old_releases_answer_by_way_of_noop() {
    for (input, output) in [
        ("goodmorning\r\n", "NOOP       \r\n"),
        ("EHLO a\r\n", "NOOP  \r\n"),
        ("WIZ\r\n", "XXX\r\n"),
        ("helo a\r\nhelp\r\n", "helo a\r\nNOOP\r\n"),
        ("MAIL FROM:<a|b>\r\n", "MAIL FROM:<a b>\r\n"),
    ] {
        assert_eq!(leaves(&profile("pix-5.1"), Speaker::Client, input.as_bytes(), 99), output);
    }
}

#[test]
fn by_packet_a_character_at_a_time_is_refused() {
    for name in ["pix-4.1", "pix-5.1", "pix-6.3", "asa"] {
        let left = leaves(&profile(name), Speaker::Client, b"NOOP\r\n", 1);
        assert_eq!(left, "XXXX\r\n", "{name}");
    }
    let left = leaves(&profile("pix-6.3"), Speaker::Client, b"HELO a.b\r\n", 6);
    assert_eq!(left, "HELO aXX\r\n");
}

/// What leaves of an answer to EHLO.
fn offer(settings: &Settings, reply: &str, piece: usize) -> String {
    let guard = Guard::new(settings.clone());
    let (mut dialogue, mut watch, mut draft) =
        (Dialogue::new(DataBegins::OnReply), Watch::default(), Draft::default());
    for (from, text) in [(Speaker::Server, "220 a\r\n"), (Speaker::Client, "EHLO a\r\n")] {
        let mut rest = text.as_bytes();
        while !rest.is_empty() {
            let step = dialogue.read(from, rest, HEARD);
            let (run, behind) = rest.split_at(step.used);
            let _ = guard.judge(&mut watch, step.event, run, &mut draft);
            rest = behind;
        }
    }
    let mut out = Vec::new();
    for mut piece in reply.as_bytes().chunks(piece) {
        while !piece.is_empty() {
            let step = dialogue.read(Speaker::Server, piece, HEARD);
            let (run, behind) = piece.split_at(step.used);
            match guard.judge(&mut watch, step.event, run, &mut draft) {
                Ruling::Edit(rule) => {
                    assert_eq!(rule, Rule::EhloKeyword);
                    out.extend_from_slice(draft.as_bytes());
                }
                Ruling::Pass => out.extend_from_slice(run),
                other @ (Ruling::Note(_) | Ruling::Refuse(_) | Ruling::Reset(_)) => {
                    panic!("{other:?}")
                }
            }
            piece = behind;
        }
    }
    String::from_utf8(out).unwrap()
}

#[test]
fn ehlo_keywords_are_filtered_byte_by_byte() {
    let reply = "250-mx XCLIENT\r\n250-SIZE 100\r\n250-XCLIENT NAME ADDR\r\n250-AUTH=LOGIN\r\n\
                 250-sizes\r\n250-StartTLS\r\n250-\r\n250 HELP\r\n";
    let masked = "250-mx XCLIENT\r\n250-SIZE 100\r\n250-XXXXXXX XXXX XXXX\r\n250-AUTH=LOGIN\r\n\
                  250-sizeX\r\n250-StartTLS\r\n250-\r\n250 HELP\r\n";
    for piece in 1..reply.len() {
        assert_eq!(offer(&profile("esmtp"), reply, piece), masked, "in pieces of {piece}");
    }
    let mut stripped = profile("esmtp");
    stripped.set("starttls", "strip").unwrap();
    let reply = "250-mx\r\n250-STARTTLS\r\n250 SIZE\r\n";
    assert_eq!(offer(&stripped, reply, 5), "250-mx\r\n250-SXXXXXXX\r\n250 SIZE\r\n");
}

#[test]
fn asa_letters_masked_keywords() {
    let reply = "250-mx\r\n250-PIPELINING\r\n250-DELIVERBY\r\n250-STARTTLS\r\n\
                 250-X-EXPS GSSAPI\r\n250 HELP\r\n";
    let masked = "250-mx\r\n250-PIPELINING\r\n250-XXXXXXXXA\r\n250-XXXXXXXB\r\n\
                  250-XXXXXC XXXXXX\r\n250 XXXD\r\n";
    assert_eq!(offer(&profile("asa"), reply, 999), masked);
}

#[test]
fn long_lines_are_noted_once_and_offers_lengthen_them() {
    let guard = Guard::new(profile("esmtp"));
    let mut rulings = Vec::new();
    let (mut dialogue, mut watch, mut draft) =
        (Dialogue::new(DataBegins::OnReply), Watch::default(), Draft::default());
    let line = format!("NOOP {}\r\n", "x".repeat(600));
    for piece in line.as_bytes().chunks(100) {
        let mut rest = piece;
        while !rest.is_empty() {
            let step = dialogue.read(Speaker::Client, rest, HEARD);
            let (run, behind) = rest.split_at(step.used);
            rulings.push(guard.judge(&mut watch, step.event, run, &mut draft));
            rest = behind;
        }
    }
    let noted = rulings.iter().filter(|ruling| **ruling == Ruling::Note(Rule::LongLine)).count();
    assert_eq!(noted, 1);
    assert!(rulings.iter().all(|r| matches!(r, Ruling::Pass | Ruling::Note(_))));
}

#[test]
fn every_setting_reads_back_what_it_prints() {
    for name in Settings::PROFILES {
        let preset = profile(name);
        let mut copy = mailguard();
        for (key, word) in preset.words() {
            assert!(!word.is_empty() || key == "ehlo_keywords", "{name}: {key}");
            copy.set(key, &word).unwrap();
        }
        assert_eq!(copy, preset, "{name}");
    }
    assert!(Settings::profile("pix-9").is_none());
}

#[test]
fn a_long_line_is_still_edited() {
    let mut settings = mailguard();
    settings.set("long_lines", "log").unwrap();
    let line = |stray| format!("MAIL FROM:<{}{stray}{}>\r\n", "x".repeat(300), "x".repeat(300));
    for piece in [1, 7, 600, 999] {
        let left = leaves(&settings, Speaker::Client, line('|').as_bytes(), piece);
        assert_eq!(left, line(' '), "in pieces of {piece}");
    }
}

#[test]
fn by_the_stream_a_line_becomes_noop_where_none_of_it_has_left() {
    let mut settings = mailguard();
    settings.set("refusal", "noop").unwrap();
    let (input, output) =
        ("VRFY root\r\nWIZ\r\nHELP\r\nNOOP\r\n", "NOOP     \r\nNOO\r\nHELX\r\nNOOP\r\n");
    for piece in 1..=input.len() {
        assert_eq!(leaves(&settings, Speaker::Client, input.as_bytes(), piece), output, "{piece}");
    }
}

#[test]
fn an_asa_lets_tls_begin_where_it_is_allowed() {
    let mut asa = profile("asa");
    let (reply, line) = ("250-mx\r\n250 STARTTLS\r\n", b"STARTTLS\r\n");
    assert_eq!(offer(&asa, reply, 99), "250-mx\r\n250 XXXXXXXA\r\n");
    assert_eq!(leaves(&asa, Speaker::Client, line, 99), "XXXXXXXX\r\n");
    asa.set("starttls", "allow").unwrap();
    assert_eq!(offer(&asa, reply, 99), reply);
    assert_eq!(leaves(&asa, Speaker::Client, line, 99), "STARTTLS\r\n");
}
