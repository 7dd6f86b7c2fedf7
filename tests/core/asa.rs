//! What the syslog has of an ASA: each row of its default map at the last byte that passes and at
//! the first beyond, what it writes besides, and that nobody else writes any of it.

use crate::support::esmtp::Esmtp;
use crate::support::golden::compare;
use crate::support::rig::{handing_over, settings_with};
use crate::support::session::Session;
use mailguard::config::{Config, Source};
use mailguard::engine::Settings;
use mailguard::event::{Format, Zone, write};
use mailguard::guard::Profile;
use mailguard::patch::Catalogue;
use mailguard::pix::{Options, import};

/// One connection: what it is about, settings that are changed, and what the client says.
struct Case {
    about: &'static str,
    changes: &'static [(&'static str, &'static str)],
    said: Vec<String>,
}

/// What came of it.
struct Outcome {
    is_reset: bool,
    /// Lines of the syslog, without their date.
    messages: Vec<String>,
    got: String,
    heard: String,
}

impl Case {
    fn of(about: &'static str, said: &[&str]) -> Self {
        Self::with(about, &[], said)
    }

    fn with(
        about: &'static str,
        changes: &'static [(&'static str, &'static str)],
        said: &[&str],
    ) -> Self {
        Self { about, changes, said: said.iter().map(|&piece| piece.to_owned()).collect() }
    }

    /// Under this profile; `size`: message data comes in segments of so many bytes.
    fn play(&self, profile: &str, size: usize) -> Outcome {
        self.play_under(settings_with(profile, self.changes), size)
    }

    fn play_under(&self, settings: Settings, size: usize) -> Outcome {
        let server = Esmtp::new("220 mx20.example ESMTP Postfix\r\n");
        let mut session = Session::greeted(settings, server);
        for piece in &self.said {
            let is_line = piece.ends_with("\r\n") && !piece.ends_with("\r\n.\r\n");
            let size = if is_line { usize::MAX } else { size };
            let pieces: Vec<&[u8]> = piece.as_bytes().chunks(size).collect();
            session.say_pieces(&pieces);
        }
        let mut log = Vec::new();
        for record in &session.rig.records {
            write(record, Format::Syslog, Zone::Undated, &mut log);
        }
        let log = String::from_utf8(log).unwrap();
        Outcome {
            is_reset: session.rig.resets > 0,
            messages: log.lines().map(str::to_owned).collect(),
            got: session.server_got(),
            heard: session.client_got(),
        }
    }
}

impl Outcome {
    fn of_asa(&self) -> Vec<&String> {
        self.messages.iter().filter(|message| message.starts_with("%ASA")).collect()
    }
}

/// A command of so many bytes, its line end not counted.
fn long(start: &str, length: usize) -> String {
    format!("{start}{}\r\n", "x".repeat(length - start.len()))
}

fn recipients(count: usize) -> String {
    "RCPT TO:<b@example.com>\r\n".repeat(count)
}

/// A sender whose path has so many bytes.
fn sender(length: usize) -> String {
    format!("MAIL FROM:<{}@example.com>\r\n", "x".repeat(length - 12))
}

const MAIL: &str = "MAIL FROM:<a@example.com>\r\n";
const RCPT: &str = "RCPT TO:<b@example.com>\r\n";
const DATA: &str = "DATA\r\n";

fn message(text: &str) -> [&str; 4] {
    [MAIL, RCPT, DATA, text]
}

/// Each row of the default map: what it still takes, and what it does not.
fn rows() -> Vec<Case> {
    let line = |length| format!("Subject: a\r\n\r\n{}\r\n.\r\n", "x".repeat(length));
    let two = format!("Subject: a\r\n\r\n{0}\r\n{0}\r\n.\r\n", "x".repeat(999));
    let header = |length| format!("{}\r\nb\r\n.\r\n", long("References: ", length));
    let folded = format!("Subject: a\r\n{}\r\nb\r\n.\r\n", long(" ", 500).repeat(4));
    let second = header(999);
    let file =
        format!("Content-Type: application/x; name={}.exe\r\n\r\nb\r\n.\r\n", "x".repeat(300));
    vec![
        Case::of("Class 1: a command of 512 bytes", &[&long("NOOP ", 512)]),
        Case::of("Class 1: a command of 513 bytes", &[&long("NOOP ", 513)]),
        Case::of("Class 1: a RCPT of 513 bytes", &[MAIL, &long("RCPT TO:<b@example.com> N=", 513)]),
        Case::of("Class 1: an AUTH of 513 bytes", &["EHLO a\r\n", &long("AUTH PLAIN ", 513)]),
        Case::of("Class 2: 100 recipients", &[MAIL, &recipients(100)]),
        Case::of("Class 2: 101 recipients", &[MAIL, &recipients(101)]),
        Case::of(
            "Class 2: 60 recipients, RSET, 60 recipients",
            &[MAIL, &recipients(60), "RSET\r\n", MAIL, &recipients(60)],
        ),
        Case::of("Class 3: a line of 998 bytes in a body", &message(&line(998))),
        Case::of("Class 3: a line of 999 bytes in a body", &message(&line(999))),
        Case::of("Class 3: two lines of 999 bytes in a body", &message(&two)),
        Case::of("Class 4: a line of 998 bytes in a header", &message(&header(998))),
        Case::of("Class 4: a line of 999 bytes in a header", &message(&header(999))),
        Case::of("Class 4: a field of 2000 bytes, folded at 500", &message(&folded)),
        Case::of(
            "Class 4: a line of 999 bytes in the header of a second message",
            &[&message(&line(9))[..], &message(&second)].concat(),
        ),
        Case::of("Class 5: a sender of 320 bytes", &[&sender(320)]),
        Case::of("Class 5: a sender of 321 bytes", &[&sender(321)]),
        Case::of("Class 6, which is not looked for: a file name of 304 bytes", &message(&file)),
        Case::of("Class 7, which does not log: keywords that are masked", &["EHLO a\r\n"]),
    ]
}

/// The parameters, and what else an ASA tells of.
fn parameters() -> Vec<Case> {
    let tls: &[&str] = &["EHLO a\r\n", "STARTTLS\r\n", "\x16\x03\x01"];
    let sized = ["MAIL FROM:<a@example.com> SIZE=8\r\n", RCPT, DATA];
    let odd: &[&str] = &[MAIL, "RCPT TO:<b|`x`@example.com>>\r\n"];
    vec![
        Case::of("mask-banner, which does not log", &[]),
        Case::of("no mail-relay: any recipient", &[MAIL, "RCPT TO:<@b:c%d!e@elsewhere>\r\n"]),
        Case::of("no special-character: any character", odd),
        Case::with("special-character action log", &[("address_scan", "log")], odd),
        Case::with(
            "special-character action log, and none in the path",
            &[("address_scan", "log")],
            &["MAIL FROM:<a>b@example.com> X=a|`\r\n"],
        ),
        Case::with(
            "special-character action log, and a back quote",
            &[("address_scan", "log")],
            &["MAIL FROM:<a`b@example.com>\r\n"],
        ),
        Case::with(
            "special-character action log, and a NUL",
            &[("address_scan", "log")],
            &[MAIL, "RCPT TO:<a\0b@example.com>\r\n"],
        ),
        Case::with("characters that become spaces", &[("address_scan", "replace")], odd),
        Case::with("characters that are refused", &[("address_scan", "refuse")], odd),
        Case::of("no allow-tls", &tls[..2]),
        Case::with("allow-tls", &[("starttls", "allow")], tls),
        Case::with("allow-tls action log", &[("starttls", "allow log")], tls),
        Case::with(
            "allow-tls action log, and no TLS behind it",
            &[("starttls", "allow log")],
            &["EHLO a\r\n", "STARTTLS\r\n", "EXPN root\r\n"],
        ),
        Case::of(
            "a message of as many bytes as declared",
            &[&sized[..], &["..\r\nabc\r\n.\r\n"]].concat(),
        ),
        Case::of(
            "a message of more bytes than declared",
            &[&sized[..], &["..\r\nabcd\r\n.\r\n"]].concat(),
        ),
    ]
}

/// Other maps, and what is our own whatever is followed.
fn ours() -> Vec<Case> {
    let header = format!("{}\r\nb\r\n.\r\n", long("References: ", 999));
    vec![
        Case::of("a verb that is refused", &["EXPN root\r\n"]),
        Case::with(
            "a limit that is in no map",
            &[("refused_lines_max", "1")],
            &["EXPN\r\nEXPN\r\n"],
        ),
        Case::with(
            "the standard's own limit on lines",
            &[("long_lines", "log")],
            &[&long("NOOP ", 511)],
        ),
        Case::with(
            "with the severity of today's guide",
            &[("syslog_names", "asa-guide")],
            &[&sender(321)],
        ),
        Case::with(
            "a map whose second row says reset log",
            &[("asa_map", "-,header-line-length=reset")],
            &message(&header),
        ),
        Case::with(
            "a map whose fifth row says mask log",
            &[("asa_map", "-,-,-,-,ehlo-reply-parameter-others")],
            &["EHLO a\r\n"],
        ),
        Case::with("a map in which the row does not log", &[("asa_map", "-")], &message(&header)),
        Case::with("our own names", &[("syslog_names", "own")], &message(&header)),
    ]
}

fn shown(cases: &[Case]) -> String {
    let mut text = String::new();
    for case in cases {
        let outcome = case.play("asa", usize::MAX);
        text.push_str(&format!("\n### {}\n\n", case.about));
        for (name, value) in case.changes {
            text.push_str(&format!("`{name} = \"{value}\"`, "));
        }
        text.push_str(if outcome.is_reset { "reset" } else { "passes" });
        if outcome.messages.is_empty() {
            text.push_str(", nothing is written\n");
        } else {
            text.push_str(&format!("\n\n```\n{}\n```\n", outcome.messages.join("\n")));
        }
    }
    text
}

#[test]
fn the_rows_of_the_default_map_and_what_is_written_of_them() {
    let text = format!(
        "# The syslog of the profile asa\n\n\
         What becomes of a connection, and all that `--format syslog` has of it. Made by\n\
         `tests/core/asa.rs`.\n\n## Rows of the default map\n{}\n## Parameters, and what else an \
         ASA tells of\n{}\n## Our own\n{}",
        shown(&rows()),
        shown(&parameters()),
        shown(&ours())
    );
    compare("asa.md", &text);
}

/// What ends a connection never reaches the server, and what passes does so as it came.
#[test]
fn a_row_is_decided_at_its_byte() {
    for case in rows() {
        let (whole, bytes) = (case.play("asa", usize::MAX), case.play("asa", 1));
        assert_eq!(whole.of_asa(), bytes.of_asa(), "{}", case.about);
        assert_eq!(whole.is_reset, bytes.is_reset, "{}", case.about);
        let said = case.said.concat();
        let last = case.said.last().unwrap();
        if whole.is_reset {
            assert_eq!(whole.got, said[..said.len() - last.len()], "{}", case.about);
            assert!(said.starts_with(&bytes.got) && bytes.got.len() < said.len());
            assert!(!bytes.got.ends_with("\r\n.\r\n") || case.about.contains("second"));
        } else {
            assert_eq!((&whole.got, &bytes.got), (&said, &said), "{}", case.about);
        }
    }
    let masked = Case::of("", &["EHLO a\r\n"]).play("asa", usize::MAX);
    assert!(masked.heard.starts_with("220 **************************\r\n"));
    assert!(masked.heard.contains("250-XXXXXXXA\r\n") && masked.messages.is_empty());
    let stripped = Case::of("", &["STARTTLS\r\n"]).play("asa", usize::MAX);
    assert_eq!(stripped.got, "XXXXXXXX\r\n");
}

/// Whoever takes over at any packet writes the same messages, and counts on.
#[test]
fn a_successor_writes_the_same() {
    let cases = || parameters().into_iter().chain(ours());
    let told = || cases().map(|case| case.play("asa", 1).messages).collect::<Vec<_>>();
    let alone = told();
    let mut handed = Vec::new();
    handing_over(|| handed = told());
    assert_eq!(alone, handed);
    assert!(alone.concat().iter().any(|message| message.starts_with("%ASA-7-108006")));
}

/// A saved configuration is imported, and its messages have the numbers that they had.
#[test]
fn an_imported_map_keeps_its_numbers() {
    let map = include_str!("../golden/pix/asa-map.cfg");
    let settings = || {
        let imported = import(map, Options::default()).settings;
        let source = Source { name: "imported", text: &imported };
        Config::build(Some(source), &[]).unwrap().with_patches(&[]).unwrap().engine
    };
    let header = format!("{}\r\nb\r\n.\r\n", long("References: ", 999));
    let body = format!("Subject: a\r\n\r\n{}\r\n.\r\n", "x".repeat(999));
    for (case, told) in [
        (
            Case::of("", &[&long("NOOP ", 513)]),
            &["Dropped connection for", "matched Class 2: cmd line length gt 512"][..],
        ),
        (
            Case::of("", &message(&header)),
            &["Reset connection for", "matched Class 7: header line length gt 998"],
        ),
        (Case::of("", &message(&body)), &["Received", "matched Class 6: body line length gt 998"]),
        // Masked in the answer to EHLO, with a letter each.
        (
            Case::of("", &["EHLO a\r\n"]),
            &["Masked header flags for ESMTP Response", "matched Class 5: ehlo-reply-parameter"],
        ),
    ] {
        let outcome = case.play_under(settings(), usize::MAX);
        let first = outcome.of_asa()[0];
        assert!(told.iter().all(|words| first.contains(words)), "{told:?}: {first}");
    }
    // This row does not log, so nothing of an ASA's is written of it.
    let silent = Case::of("", &[MAIL, &recipients(51)]).play_under(settings(), usize::MAX);
    assert!(silent.is_reset && silent.of_asa().is_empty());
}

/// A patch of the site's own that ends the flow for a pattern in an address is what 108003 tells
/// of; one that refuses the line, or looks elsewhere too, is not.
#[test]
fn a_malicious_pattern_in_an_address_is_told_by_an_asas_message() {
    let rcpt = Case::of("", &[MAIL, "RCPT TO:<a`id`@example.com>\r\n"]);
    let told = |profile: &str, zone: &str, deed: &str, state: &str| {
        let text = format!(
            "id = \"own\"\ntitle = \"a\"\nproducts = []\nreferences = [\"a\"]\ngrade = \"M\"\n\
             scope = \"cleartext\"\ncloses = \"the fault\"\nnote = \"\"\ndefault = \"on\"\n\n\
             [[rule]]\nzone = [{zone}]\ntext = '`'\ndo = '{deed}'\n\n\
             [[test]]\nclient = 'RCPT TO:<a`b@c>'\nreset = true\n\n[[test]]\nclient = 'NOOP'\n"
        );
        let mut settings = settings_with(profile, &[("patches", &format!("off,own={state}"))]);
        settings.guard.patches.catalogue = Catalogue::with(&[("own".to_owned(), text)]).unwrap();
        let outcome = rcpt.play_under(settings, usize::MAX);
        assert_eq!(outcome.is_reset, deed == "reset" && state == "on");
        outcome.messages.into_iter().find(|message| message.contains("-108003: "))
    };
    assert_eq!(
        told("asa", "\"mail.path\", \"rcpt.local\"", "reset", "on").unwrap(),
        "%ASA-2-108003: Terminating ESMTP connection; malicious pattern detected in the mail \
         address from outside:192.0.2.1/40000 to inside:198.51.100.2/25. Mail \
         Address:<a`id`@example.com>"
    );
    for (profile, zone, deed, state) in [
        ("asa", "\"rcpt.path\"", "refuse", "on"),
        ("asa", "\"rcpt.path\"", "reset", "log"),
        ("asa", "\"rcpt.path\", \"command\"", "reset", "on"),
        ("esmtp", "\"rcpt.path\"", "reset", "on"),
        ("pix-6.3", "\"rcpt.path\"", "reset", "on"),
    ] {
        assert_eq!(told(profile, zone, deed, state), None, "{profile} {zone} {deed} {state}");
    }
}

#[test]
fn nobody_else_writes_an_asas_messages() {
    let cases = || rows().into_iter().chain(parameters());
    for profile in Profile::names().into_iter().filter(|name| *name != "asa") {
        let mut spaces = 0;
        for case in cases() {
            let messages = case.play(profile, usize::MAX).messages;
            let pixs = "%PIX-2-108002: SMTP replaced |>: out 192.0.2.1 in ";
            for message in messages {
                let is_pixs = profile.starts_with("pix") && message.starts_with(pixs);
                let is_own = message.starts_with("%MAILGUARD-");
                assert!(is_pixs || is_own, "{profile}: {}: {message}", case.about);
                spaces += usize::from(is_pixs);
            }
        }
        assert_eq!(spaces > 0, profile.starts_with("pix"), "{profile}");
    }
}
