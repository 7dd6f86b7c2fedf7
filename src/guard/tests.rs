use super::*;
use crate::smtp::{DataBegins, Dialogue, Event, Speaker};

/// What leaves when the guard has its way with a stream cut into pieces of this size.
fn leaves(settings: &Settings, from: Speaker, input: &[u8], piece: usize) -> String {
    let guard = Guard::new(settings.clone());
    let (mut dialogue, mut watch, mut draft) =
        (Dialogue::new(DataBegins::OnReply), Watch::default(), Draft::default());
    let mut out = Vec::new();
    for mut piece in input.chunks(piece) {
        while !piece.is_empty() {
            let step = dialogue.read(from, piece);
            assert_ne!(step.event, Event::Wait);
            let (run, rest) = piece.split_at(step.used);
            let ruling = guard.judge(&mut watch, step.event, run, &mut draft);
            if matches!(ruling, Ruling::Refuse(_)) {
                dialogue.refuse();
            }
            match ruling {
                Ruling::Pass | Ruling::Note(_) => out.extend_from_slice(run),
                Ruling::Edit(_) | Ruling::Refuse(_) => out.extend_from_slice(draft.as_bytes()),
            }
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
            ("554 no\r\n250 mail\r\n", "554 **\r\n250 mail\r\n"),
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
    assert_eq!(Guard::new(settings.clone()).judge_terminator(2), None);
    settings.split_terminator = SplitTerminator::Bug;
    let guard = Guard::new(settings.clone());
    assert_eq!(guard.judge_terminator(4), Some(SplitAction::Drop));
    assert_eq!(guard.judge_terminator(5), None);
    settings.split_scope = SplitScope::DotCrlf;
    settings.split_action = SplitAction::Reset;
    let guard = Guard::new(settings);
    assert_eq!(guard.judge_terminator(2), Some(SplitAction::Reset));
    assert_eq!(guard.judge_terminator(3), None);
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
