//! What leaves of arguments: the specification's cases, each at every cut, with CR LF and with a
//! bare LF, behind NOOP and before RSET.

mod grammar;

use super::{Envelope, Finding, Rules};
use crate::guard::extension::Parameters;
use crate::guard::tests::{Talk, changed};
use crate::guard::{Rule, Ruling, Settings};
use crate::smtp::Speaker::{Client, Server};
use crate::smtp::Verb;

/// Lenient and strict, with SMTPUTF8 and all parameters offered.
fn settings(envelope: &str, more: &[(&str, &str)]) -> Settings {
    let mut settings = changed("esmtp", &[("envelope", envelope), ("order", "off")]);
    for (key, value) in [("parameters", "any"), ("local_part_max", "256"), ("path_max", "512")] {
        settings.set(key, value).unwrap();
    }
    settings.set("verbs", "AUTH,EHLO,ETRN,EXPN,HELO,HELP,MAIL,NOOP,RCPT,RSET,VRFY").unwrap();
    for (key, value) in more {
        settings.set(key, value).unwrap();
    }
    settings
}

/// A talk behind an answer to EHLO that offers these.
fn talk(settings: &Settings, offers: &[&str]) -> Talk {
    let mut talk = Talk::new(settings);
    talk.say(Server, b"220 a\r\n", 99);
    talk.say(Client, b"EHLO a\r\n", 99);
    let offers: String = offers.iter().map(|keyword| format!("250-{keyword}\r\n")).collect();
    talk.say(Server, format!("250-a\r\n{offers}250 SIZE\r\n").as_bytes(), 999);
    talk.rulings.clear();
    talk
}

/// What leaves of a line: the same for every cut, and nothing else changes.
fn leaves(settings: &Settings, offers: &[&str], line: &[u8]) -> Vec<u8> {
    let mut found: Option<Vec<u8>> = None;
    for end in ["\r\n", "\n"] {
        // Nothing passes behind AUTH before its answer.
        let behind: &[u8] =
            if line.to_ascii_uppercase().starts_with(b"AUTH") { b"" } else { b"RSET\r\n" };
        let text = [b"NOOP\r\n", line, end.as_bytes(), behind].concat();
        for size in 1..=text.len() {
            let mut talk = talk(settings, offers);
            let left = talk.speak(Client, &text, size);
            assert_eq!(left.len(), text.len(), "{:?}", String::from_utf8_lossy(line));
            assert!(left.starts_with(b"NOOP\r\n"));
            assert!(left.ends_with(&[end.as_bytes(), behind].concat()));
            let inner = left[6..6 + line.len()].to_vec();
            let before = found.get_or_insert_with(|| inner.clone());
            assert_eq!(*before, inner, "{} in packets of {size}", String::from_utf8_lossy(line));
            let refusals =
                talk.rulings.iter().filter(|ruling| matches!(ruling, Ruling::Refuse(_))).count();
            assert!(refusals <= 1, "one event a line");
        }
    }
    found.unwrap_or_default()
}

#[test]
fn names_and_values_are_taken_in_runs_as_byte_by_byte() {
    for envelope in ["lenient", "strict"] {
        let settings = settings(envelope, &[]);
        let rules = Rules {
            is_strict: envelope == "strict",
            has_utf8: true,
            permitted: Parameters::ALL,
            refused: &settings.sender_refuse,
            mechanisms: &settings.auth_mechanisms,
        };
        for (verb, byte) in [Verb::Helo, Verb::Ehlo, Verb::Noop, Verb::Vrfy, Verb::Mail]
            .into_iter()
            .flat_map(|verb| (0..=u8::MAX).map(move |byte| (Some(verb), byte)))
        {
            for text in [vec![byte], vec![b'a', byte], [&[b'z'; 70][..], &[byte]].concat()] {
                let (mut bytewise, mut runs) = (Envelope::of(verb), Envelope::of(verb));
                let findings = text.iter().map(|byte| bytewise.push(*byte, verb, &rules));
                let findings: Vec<Finding> = findings.collect();
                let taken = runs.skip_plain(&text);
                assert!(findings[..taken].iter().all(|finding| *finding == Finding::Take));
                text[taken..].iter().for_each(|byte| _ = runs.push(*byte, verb, &rules));
                assert_eq!(runs, bytewise, "{verb:?} {byte}");
            }
        }
        // In a value, wherever it is taken up again.
        for key in ["SIZE=", "BODY=8", "AUTH=", "ENVID=a+4", "ORCPT=+", "RET=", "BY=1", "FOO=", ""]
        {
            let key = format!("FROM:<a@b> {key}");
            for byte in 0..=u8::MAX {
                let text = [&b"a1"[..], &[byte], &b"zZ9".repeat(30), &[byte], b"+41=b", &[byte]];
                let text = text.concat();
                let begun = key.bytes().fold(Envelope::of(Some(Verb::Mail)), |mut all, byte| {
                    assert_eq!(all.push(byte, Some(Verb::Mail), &rules), Finding::Take, "{key}");
                    all
                });
                let (mut bytewise, mut runs, mut at) = (begun, begun, 0);
                while at < text.len() {
                    let taken = runs.skip_plain(&text[at..]);
                    for &byte in &text[at..at + taken] {
                        assert_eq!(bytewise.push(byte, Some(Verb::Mail), &rules), Finding::Take);
                    }
                    assert_eq!(runs, bytewise, "{key} {byte}");
                    at += taken;
                    if let Some(&byte) = text.get(at) {
                        let findings = [&mut runs, &mut bytewise]
                            .map(|one| one.push(byte, Some(Verb::Mail), &rules));
                        assert_eq!(findings[0], findings[1]);
                    }
                    at += 1;
                }
            }
        }
    }
}

fn check(envelope: &str, offers: &[&str], cases: &[(&[u8], &[u8])]) {
    for (line, expected) in cases {
        let left = leaves(&settings(envelope, &[]), offers, line);
        let shown = String::from_utf8_lossy(&left).into_owned();
        assert_eq!(left, *expected, "{envelope}: {:?} -> {shown:?}", String::from_utf8_lossy(line));
    }
}

/// These pass as they came.
fn pass(envelope: &str, offers: &[&str], lines: &[&str]) {
    for line in lines {
        check(envelope, offers, &[(line.as_bytes(), line.as_bytes())]);
    }
}

/// What no level may touch.
const GOOD: [&str; 22] = [
    "mAiL fRoM:<A@B.EXAMPLE> siZe=10 bODY=8bitMIME",
    "MAIL FROM:<>",
    "RCPT TO:<PostMaster>",
    "MAIL FROM:<SRS0=mL/e=5P=x.example=u+t@y.example>",
    "MAIL FROM:<prvs=1234abcdef=o'neil@x.example>",
    "MAIL FROM:<b-9_u=d.example_2021#30#24@x.example>",
    "MAIL FROM:<SystemMailbox{1f05a927-3be2-4fb9-aa03-b59fe3b56f4c}@x.example>",
    "MAIL FROM:<machine$@x.example>",
    "RCPT TO:</G=A/S=B/O=C/PRMD=D/C=US/@x.example>",
    "RCPT TO:<\"a b\"@d.example>",
    "RCPT TO:<\"a\\\"b\\\\c\"@d.example>",
    "RCPT TO:<a@[IPv6:2001:db8::1]>",
    "RCPT TO:<a@[192.0.2.1]>",
    "RCPT TO:<u%a.example@d.example>",
    "RCPT TO:<a!b@d.example>",
    "RCPT TO:<a@d.example> ORCPT=rfc822;a+2Bb@d.example",
    "MAIL FROM:<a@b.example> AUTH=<>",
    "MAIL FROM:<a@b.example> RET=HDRS ENVID=q+3Dz SIZE=12345678901234567890",
    "EHLO a-1.example",
    "HELO [192.0.2.1]",
    "EHLO [IPV6:2001:db8::1]",
    "HELO",
];

/// What real senders do and RFC 5321 does not know: no level below strict may break it.
const HABITS: [(&str, &str); 16] = [
    // Airlines, games, Outlook 365.
    ("MAIL FROM: <a@b.example>", "MAIL FROM:<<<<<<<<<<<<<<"),
    ("RCPT TO:  <a@b.example>", "RCPT TO:<<<<<<<<<<<<<<<"),
    // Scripts and devices.
    ("RCPT TO:a@d.example", "RCPT TO:<<<<<<<<<<<"),
    ("MAIL FROM:a@d.example SIZE=10", "MAIL FROM:<<<<<<<<<<<<<<<<<<<"),
    // Printers and cron.
    ("RCPT TO:<root>", "RCPT TO:<rootX"),
    ("MAIL FROM:<root>", "MAIL FROM:<rootX"),
    // Japanese mobile carriers.
    ("RCPT TO:<a..b.@d.example>", "RCPT TO:<a.XXXXXXXXXXXXXX"),
    ("RCPT TO:<.a@d.example>", "RCPT TO:<XXXXXXXXXXXXX"),
    ("RCPT TO:<a.@d.example>", "RCPT TO:<a.XXXXXXXXXXX"),
    ("RCPT TO:<a@d_e.example>", "RCPT TO:<a@dXXXXXXXXXXX"),
    ("RCPT TO:<a@d.example.>", "RCPT TO:<a@d.example.X"),
    ("MAIL FROM:<a@b.example>  SIZE=10 ", "MAIL FROM:<a@b.example> XXXXXXXXX"),
    // Unencoded in the original recipient.
    (
        "RCPT TO:<a@d.example> ORCPT=rfc822;b=c@d.example",
        "RCPT TO:<a@d.example> ORCPT=rfc822;b XXXXXXXXXXX",
    ),
    ("RCPT TO:<@x.example,@y.example:a@d.example>", "RCPT TO:<XXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXX"),
    ("EHLO my_pc", "EHLO myXpc"),
    // Windows Mail.
    ("AUTH PLAIN  AGEAYg==", "AUTH PLAIN  AGEAYg=="),
];

#[test]
fn what_is_in_order_passes_at_every_level() {
    for envelope in ["off", "log", "lenient", "strict"] {
        pass(envelope, &["DSN", "AUTH", "8BITMIME"], &GOOD);
    }
}

#[test]
fn what_real_senders_do_passes_below_strict() {
    for (line, strict) in HABITS {
        for envelope in ["off", "log", "lenient"] {
            pass(envelope, &[], &[line]);
        }
        check("strict", &[], &[(line.as_bytes(), strict.as_bytes())]);
    }
    let long = format!("MAIL FROM:<{}@b.example>", "x".repeat(200));
    pass("lenient", &[], &[&long]);
}

/// However far off the path stands, it would stand where some server's buffer ends.
#[test]
fn few_blanks_stand_before_a_path() {
    let lenient = settings("lenient", &[]);
    for (verb, path) in [("MAIL FROM:", "<a@b>"), ("RCPT TO:", "<a@b>"), ("VRFY ", "a")] {
        for blank in [" ", "\t"] {
            let line = |count: usize| format!("{verb}{}{path}\r\n", blank.repeat(count));
            let taken = leaves(&lenient, &[], line(64).as_bytes());
            assert_eq!(taken, line(64).replace('\t', " ").as_bytes(), "{verb}");
            let refused = leaves(&lenient, &[], line(65).as_bytes());
            assert!(!refused.ends_with(format!("{path}\r\n").as_bytes()), "{verb}");
        }
    }
    for (between, behind) in [(33, 33), (1, 65)] {
        let (between, behind) = (" ".repeat(between), " ".repeat(behind));
        for line in [
            format!("MAIL{between}FROM:{behind}<a@b>\r\n"),
            format!("MAIL FROM:<a@b>{between}SIZE=1{behind} SIZE=1\r\n"),
        ] {
            let left = leaves(&lenient, &["SIZE"], line.as_bytes());
            let passes = between.len() == 33 && line.contains("SIZE");
            assert_eq!(left == line.as_bytes(), passes, "{line:?}");
        }
    }
}

#[test]
fn a_tab_behind_the_path_becomes_a_space() {
    check(
        "lenient",
        &[],
        &[
            (b"MAIL FROM:<a@b.example>\tSIZE=10", b"MAIL FROM:<a@b.example> SIZE=10"),
            (b"MAIL FROM:\t<a@b.example>", b"MAIL FROM: <a@b.example>"),
            (b"MAIL FROM:a@b.example\tSIZE=10", b"MAIL FROM:a@b.example SIZE=10"),
        ],
    );
    check(
        "strict",
        &[],
        &[(b"MAIL FROM:<a@b.example>\tSIZE=10", b"MAIL FROM:<a@b.example> XXXXXXX")],
    );
}

#[test]
fn an_offence_in_a_path_leaves_nothing_that_a_server_takes() {
    let cases: [(&[u8], &[u8]); 17] = [
        (b"RCPT TO:<>", b"RCPT TO:<X"),
        (b"RCPT TO:<\"\"@d.example>", b"RCPT TO:<\"XXXXXXXXXXXX"),
        (b"RCPT TO:<\"a\"b@d.example>", b"RCPT TO:<\"a\"XXXXXXXXXXXX"),
        (b"RCPT TO:<\"a@d.example>", b"RCPT TO:<\"a@d.example>"),
        (b"RCPT TO:<a\x07b@d.example>", b"RCPT TO:<aXXXXXXXXXXXXX"),
        (b"RCPT TO:<a\x7fb@d.example>", b"RCPT TO:<aXXXXXXXXXXXXX"),
        (b"MAIL FROM:<a;b@x.example>", b"MAIL FROM:<aXXXXXXXXXXXXX"),
        (b"RCPT TO:<(c)a@d.example>", b"RCPT TO:<XXXXXXXXXXXXXXX"),
        (b"RCPT TO:<A <a@d.example>>", b"RCPT TO:<AXXXXXXXXXXXXXXX"),
        (b"RCPT TO:<<a@d.example>>", b"RCPT TO:<XXXXXXXXXXXXXX"),
        (b"RCPT TO:<a@b@d.example>", b"RCPT TO:<a@bXXXXXXXXXXX"),
        (b"RCPT TO:<a@d.example>x NOTIFY=NEVER", b"RCPT TO:<a@d.example> XXXXXXXXXXXXX"),
        (b"RCPT FROM:<a@d.example>", b"RCPT XXXXXXXXXXXXXXXXXX"),
        (b"RCPT TO :<a@d.example>", b"RCPT TOXXXXXXXXXXXXXXX"),
        (b"RCPT TO:<@d.example>", b"RCPT TO:<@d.exampleX"),
        (b"RCPT TO:a;b", b"RCPT TO:a<<"),
        (b"MAIL FROM:<;x;>", b"MAIL FROM:<XXXX"),
    ];
    check("lenient", &[], &cases);
    check("strict", &[], &[(b"RCPT TO:<a@[192.0.2.1;id]>", b"RCPT TO:<a@[192.0.2.1XXXXX")]);
}

/// To Exim the words of a recipient without brackets are one address, and X is a word.
#[test]
fn a_refused_word_behind_a_bare_address_makes_no_address_of_it() {
    let cases: [(&[u8], &[u8]); 10] = [
        (b"RCPT TO:Joe \0x", b"RCPT TO:Joe <<"),
        (b"RCPT TO:<Joe\0x", b"RCPT TO:<JoeXX"),
        (b"RCPT TO:Joe $ <a@d.example>", b"RCPT TO:Joe <<<<<<<<<<<<<<<"),
        (b"RCPT TO:ab c;d <a@d.example>", b"RCPT TO:ab c<<<<<<<<<<<<<<<<"),
        (b"RCPT TO:a|b(c <a@d.example>", b"RCPT TO:a|b<<<<<<<<<<<<<<<<"),
        (b"RCPT TO:a|b (c <a@d.example>", b"RCPT TO:a|b <<<<<<<<<<<<<<<<"),
        (b"RCPT TO:ab SIZE=;x", b"RCPT TO:ab SIZE= <"),
        (b"RCPT TO:ab NOTIFY=a\x01bc", b"RCPT TO:ab NOTIFY=a <<"),
        (b"MAIL FROM:a@b.example BODY=8x", b"MAIL FROM:a@b.example BODY=8 "),
        (b"RCPT TO:a@d.example x;y", b"RCPT TO:a@d.example x<<"),
    ];
    check("lenient", &[], &cases);
    let offered = settings("lenient", &[("parameters", "offered")]);
    assert_eq!(leaves(&offered, &[], b"RCPT TO:ab FOO=1"), b"RCPT TO:ab <<<<<");
}

#[test]
fn addresses_beyond_ascii_have_to_be_offered_and_well_formed() {
    check("lenient", &[], &[(b"RCPT TO:<r\xc3\xa9@d.example>", b"RCPT TO:<rXXXXXXXXXXXXX")]);
    let offers = &["SMTPUTF8"];
    let cases: [(&[u8], &[u8]); 5] = [
        (b"RCPT TO:<r\xc3\xa9@d.example>", b"RCPT TO:<r\xc3\xa9@d.example>"),
        (
            b"RCPT TO:<\"r\xc3\xa9 x\"@\xf0\x9f\x98\x80.example>",
            b"RCPT TO:<\"r\xc3\xa9 x\"@\xf0\x9f\x98\x80.example>",
        ),
        (b"RCPT TO:<a\xc0\xa9b@d.example>", b"RCPT TO:<aXXXXXXXXXXXXXX"),
        (b"RCPT TO:<a\xe2\x82/etc@d.example>", b"RCPT TO:<a\xe2\x82XXXXXXXXXXXXXXX"),
        (b"RCPT TO:<a\xed\xa0\x80@d.example>", b"RCPT TO:<a\xedXXXXXXXXXXXXX"),
    ];
    check("lenient", offers, &cases);
    // Strictly, the sender has to have asked for it.
    let strict = settings("strict", &[]);
    for (mail, rcpt) in [
        ("MAIL FROM:<a@b> SMTPUTF8\r\n", "RCPT TO:<\u{e9}@b>\r\n"),
        ("MAIL FROM:<a@b>\r\n", "RCPT TO:<XXXXX\r\n"),
        ("MAIL FROM:<a@b> SMTPUTF8=1\r\n", "RCPT TO:<\u{e9}@b>\r\n"),
    ] {
        let mut talk = talk(&strict, offers);
        talk.say(Client, mail.as_bytes(), 5);
        assert_eq!(talk.say(Client, "RCPT TO:<\u{e9}@b>\r\n".as_bytes(), 3), rcpt, "{mail}");
    }
    // What the next answer to EHLO does not offer is not offered any more.
    let mut talk = talk(&settings("lenient", &[]), offers);
    talk.say(Client, b"EHLO a\r\n", 99);
    talk.say(Server, b"250 a\r\n", 99);
    assert_eq!(talk.say(Client, "MAIL FROM:<\u{e9}@b>\r\n".as_bytes(), 3), "MAIL FROM:<XXXXX\r\n");
}

#[test]
fn values_of_parameters_are_read() {
    let cases: [(&str, &str); 10] = [
        ("SIZE=-1", "SIZE= X"),
        ("BODY=8BITMINE", "BODY=8BITMIXX"),
        ("BODY=BINARYMIME", "BODY=BINARYMIME"),
        ("ENVID=q+Zz", "ENVID=q+ X"),
        ("AUTH=x+0Ay", "AUTH=x+0 X"),
        ("AUTH=x+0A", "AUTH=x+0 "),
        ("AUTH=x+2By", "AUTH=x+2By"),
        ("AUTH=x+7Fy", "AUTH=x+7 X"),
        ("SIZE=123456789012345678901", "SIZE=12345678901234567890 "),
        ("X\"=", "XXX"),
    ];
    for (before, after) in cases {
        let line = |parameter: &str| format!("MAIL FROM:<a@b.example> {parameter}").into_bytes();
        check("lenient", &[], &[(&line(before), &line(after))]);
    }
}

#[test]
fn parameters_have_to_be_offered_where_that_is_asked() {
    let offered = settings("lenient", &[("parameters", "offered")]);
    let line = |parameter: &str| format!("MAIL FROM:<a@b.example> {parameter}").into_bytes();
    for (offers, before, after) in [
        (&["PIPELINING"][..], "AUTH=<>", "XXXXXXX"),
        (&[], "SIZX=1", "SIZXXX"),
        (&[], "SIZ=1", "SIZXX"),
        (&[], "SIZEX=1", "SIZEXXX"),
        (&[], "SIZE=1", "SIZE=1"),
        (&["DSN"], "RET=HDRS ENVID=x", "RET=HDRS ENVID=x"),
        (&["SMTPUTF8"], "SMTPUTF8", "SMTPUTF8"),
        (&["SMTPUTF8"], "SMTPUTF8 BODY=7BIT", "SMTPUTF8 XXXXXXXXX"),
        (&["AUTH=LOGIN"], "AUTH=<>", "AUTH=<>"),
    ] {
        let left = leaves(&offered, offers, &line(before));
        assert_eq!(String::from_utf8_lossy(&left), String::from_utf8_lossy(&line(after)));
    }
    // A keyword that only the site knows permits a parameter of its own.
    let mut own = offered.clone();
    own.set("ehlo_keywords", "SIZE,XVERP").unwrap();
    assert_eq!(leaves(&own, &["XVERP"], &line("XVERP=+-")), line("XVERP=+-"));
    assert_eq!(leaves(&offered, &["XVERP"], &line("XVERP=+-")), line("XXXXXXXX"));
    // Logged alone, one of a line is told of.
    let log = settings("lenient", &[("parameters", "log")]);
    let mut talk = talk(&log, &[]);
    let text = [&line("XOORG=a XFOO=b")[..], b"\r\n"].concat();
    assert_eq!(talk.speak(Client, &text, 4), text);
    let notes = talk.rulings.iter().filter(|ruling| **ruling == Ruling::Note(Rule::Parameter));
    assert_eq!(notes.count(), 1);
}

#[test]
fn other_arguments_have_their_grammar() {
    let cases: [(&[u8], &[u8]); 14] = [
        (b"EHLO a;b$(c).example", b"EHLO aXbXXcX.example"),
        (b"EHLO \xcf\xca-1", b"EHLO XX-1"),
        (b"NOOP \"x;y", b"NOOP XxXy"),
        (b"NOOP service", b"NOOP service"),
        (b"VRFY a;b", b"VRFY a<<"),
        (b"VRFY a@b.example SMTPUTF8", b"VRFY a@b.example SMTPUTF8"),
        (b"EXPN a SIZE", b"EXPN a S<<<"),
        (b"ETRN a'b", b"ETRN aXX"),
        (b"ETRN @a.d", b"ETRN @a.d"),
        (b"ETRN #q_1", b"ETRN #q_1"),
        (b"HELP MAIL", b"HELP MAIL"),
        (b"HELP x y", b"HELP xXX"),
        (b"AUTH PL;AIN x", b"AUTH PLXXXXXX"),
        (b"AUTH SCRAM-SHA-256 biws", b"AUTH SCRAM-SHA-256 biws"),
    ];
    check("lenient", &["SMTPUTF8"], &cases);
    check("strict", &[], &[(b"EHLO my pc", b"EHLO myXpc")]);
    let listed = settings("lenient", &[("auth_mechanisms", "PLAIN,LOGIN")]);
    for (before, after) in [
        ("AUTH PLAIN AGEAYg==", "AUTH PLAIN AGEAYg=="),
        ("auth login", "auth login"),
        ("AUTH NTLM x", "AUTH XXXXXX"),
        ("AUTH PLAINX x", "AUTH PLAINXXX"),
        ("AUTH PLAI x", "AUTH PLAIXX"),
    ] {
        assert_eq!(leaves(&listed, &[], before.as_bytes()), after.as_bytes(), "{before}");
    }
}

#[test]
fn bytes_may_be_refused_in_local_parts() {
    let settings = settings("lenient", &[("recipient_refuse", "$`|"), ("sender_refuse", "%")]);
    for (before, after) in [
        ("RCPT TO:<a|b@d>", "RCPT TO:<aXXXXX"),
        ("RCPT TO:<\"a|b\"@d>", "RCPT TO:<\"aXXXXXX"),
        ("RCPT TO:$a@d", "RCPT TO:<<<<"),
        ("MAIL FROM:<a|b@d>", "MAIL FROM:<a|b@d>"),
        ("MAIL FROM:<a%b@d>", "MAIL FROM:<aXXXXX"),
    ] {
        assert_eq!(leaves(&settings, &[], before.as_bytes()), after.as_bytes(), "{before}");
    }
}

#[test]
fn where_it_is_only_logged_nothing_changes() {
    let settings = changed("esmtp", &[("envelope", "log"), ("order", "log")]);
    for line in ["RCPT TO:<a;b@d>", "EHLO a;b", "MAIL FROM:<a@b>\tSIZE=-1", "RCPT FROM:<a>"] {
        let mut talk = talk(&settings, &[]);
        let text = format!("{line}\r\n");
        assert_eq!(talk.say(Client, text.as_bytes(), 3), text);
        let is_note = |ruling: &&Ruling| **ruling == Ruling::Note(Rule::Envelope);
        assert_eq!(talk.rulings.iter().filter(is_note).count(), 1, "{line}");
    }
}

#[test]
fn paths_and_local_parts_have_their_lengths() {
    for (length, rest, rule) in [
        (256, "@d.example", None),
        (257, "@d.example", Some(Rule::LocalPart)),
        (200, &*format!("@{}", "d".repeat(311)), None),
        (200, &*format!("@{}", "d".repeat(312)), Some(Rule::PathLength)),
    ] {
        for envelope in ["off", "log", "lenient", "strict"] {
            for size in [1, 100, 999] {
                let mut talk = talk(&settings(envelope, &[]), &[]);
                let line = format!("MAIL FROM:<{}{rest}>\r\n", "a".repeat(length));
                let left = talk.say(Client, line.as_bytes(), size);
                assert_eq!(talk.ended(), rule, "{envelope} {length} {size}");
                assert!(left == line || rule.is_some());
                if let Some(Ruling::Exceed(excess)) = talk.rulings.last()
                    && rule.is_some()
                {
                    assert_eq!(excess.count, excess.limit + 1);
                }
            }
        }
    }
}

/// Random lines: any cut, the same bytes; the length kept; nothing behind a refused byte but what
/// no server takes; and strictly no byte more passes than leniently.
#[test]
fn a_path_that_is_masked_is_as_long_as_it_was() {
    for (masked, length, ends) in [
        ("<;", 512, false),
        ("<;", 513, true),
        ("<\0", 513, true),
        ("<a@b;", 520, true),
        ("<a@b> ;", 520, false),
        (";", 513, true),
    ] {
        for verb in ["MAIL FROM:", "RCPT TO:"] {
            let line = format!("{verb}{masked}{}\r\n", "a".repeat(length - 1));
            for size in [1, 7, 100, 9_999] {
                let mut talk = talk(&settings("lenient", &[("local_part_max", "0")]), &[]);
                talk.say(Client, line.as_bytes(), size);
                let expected = ends.then_some(Rule::PathLength);
                assert_eq!(talk.ended(), expected, "{verb}{masked} {length} by {size}");
            }
        }
    }
}

#[test]
fn random_lines_leave_alike_whatever_the_cut() {
    const ALPHABET: &[u8] = b"a.\"\\<>@:[] \t;${('=+\xc3\xa9ab@<>";
    let levels = ["lenient", "strict"].map(|envelope| settings(envelope, &[]));
    let mut state = 7_u64;
    let mut next = |below: usize| {
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(state >> 33).unwrap() % below
    };
    for _ in 0..2_000 {
        let mut line = [&b"RCPT TO:<"[..], b"MAIL FROM:<", b"RCPT TO:", b"VRFY "][next(4)].to_vec();
        for _ in 0..next(16) {
            line.push(ALPHABET[next(ALPHABET.len())]);
        }
        let text = [&line[..], b"\r\nRSET\r\n"].concat();
        let mut refused_at = [usize::MAX; 2];
        for (settings, refused_at) in levels.iter().zip(&mut refused_at) {
            let whole = talk(settings, &["SMTPUTF8"]).speak(Client, &text, 999);
            assert_eq!(whole.len(), text.len());
            for size in [1, 2, 3, 7] {
                assert_eq!(talk(settings, &["SMTPUTF8"]).speak(Client, &text, size), whole);
            }
            let mut one = talk(settings, &["SMTPUTF8"]);
            let mut at = 0;
            for byte in &line {
                let left = one.speak(Client, &[*byte], 1);
                at += left.len();
                if matches!(one.rulings.last(), Some(Ruling::Refuse(_))) {
                    *refused_at = at - 1;
                    let rest = &whole[at..line.len()];
                    assert!(rest.iter().all(|byte| b"X<".contains(byte)), "{rest:?}");
                    break;
                }
            }
        }
        assert!(refused_at[1] <= refused_at[0], "{}", String::from_utf8_lossy(&line));
    }
}
