//! What leaves of a client's lines, and what ends the flow, whatever the cut.

use super::*;
use crate::guard::tests::{Talk, changed, check, leaves, profile};
use crate::smtp::Speaker::{Client, Server};

#[test]
fn only_the_seven_verbs_pass_whatever_the_cut() {
    check(
        &profile("mailguard"),
        Client,
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
            ("BDAT 0 LAST\r\nVRFY\n", "XXXXXXXXXXX\r\nXXXX\n"),
            ("NOOP\rA\r\rB\rC\r\r\n", "NOOP\rX\r\rX\rX\r\r\n"),
            ("NOOP x\0\rA\rB\r\n", "NOOP xX\rX\rX\r\n"),
            ("\x16\x03\x01\r\n", "XXX\r\n"),
        ],
    );
}

#[test]
fn what_stands_behind_a_cr_is_masked_in_every_way_of_refusing() {
    for (refusal, line, expected) in [
        ("x", "VRFY\rA\rB\r\n", "XXXX\rX\rX\r\n"),
        ("x", "VRFY\rAB\rCD\r\n", "XXXX\rXX\rXX\r\n"),
        ("noop", "VRFY\rA\rB\r\n", "NOOP\r \r \r\n"),
        ("noop", "VRFY\rAB\rC\rD\r\n", "NOOP\r  \r \r \r\n"),
        ("x-word", "VRFY\rA B\rC\r\n", "XXXX\rXXX\rX\r\n"),
    ] {
        let settings = changed("mailguard", &[("refusal", refusal)]);
        check(&settings, Client, &[(line, expected)]);
    }
    // Behind a masked word the rest passes as it came, and nothing else is said of it.
    let mut talk = Talk::new(&changed("mailguard", &[("refusal", "x-word")]));
    assert_eq!(talk.say(Client, b"EXPN", 99), "XXXX");
    talk.rulings.clear();
    assert_eq!(talk.say(Client, b" staff", 99), " staff");
    assert_eq!(talk.rulings, [Ruling::Pass, Ruling::Pass]);
}

/// Where the grammar is only logged, a bare address is as little an address with X behind it.
#[test]
fn a_stray_byte_is_cured_where_the_grammar_is_enforced() {
    for (envelope, line, expected) in [
        ("lenient", "RCPT TO:a@d\0x\r\n", "RCPT TO:a@d<<\r\n"),
        ("log", "RCPT TO:a@d\0x\r\n", "RCPT TO:a@dXX\r\n"),
        ("off", "VRFY\ra\0b\r\n", "VRFY\rXXX\r\n"),
        ("off", "VRFY a\0b\r\n", "VRFY aXX\r\n"),
        ("lenient", "NOOP a\0b\r\n", "NOOP aXX\r\n"),
    ] {
        check(&changed("esmtp", &[("envelope", envelope)]), Client, &[(line, expected)]);
    }
}

#[test]
fn by_packet_own_verbs_and_what_stands_behind_a_cr_pass() {
    let verbs = ("verbs", "HELO,EHLO,MAIL,RCPT,NOOP,BDAT,XOWN");
    let with = changed("asa", &[verbs]);
    let tls = changed("asa", &[verbs, ("require_tls", "required")]);
    for (settings, line, expected) in [
        (&profile("asa"), "NOOP a\rVRFY b\r\n", "NOOP a\rVRFY b\r\n"),
        (&with, "NOOP a\r\n", "NOOP a\r\n"),
        (&with, "XOWN a b\r\n", "XOWN a b\r\n"),
        (&with, "XOWNS a b\r\n", "XXXXX a b\r\n"),
        (&tls, "XOWN a b\r\n", "XXXX a b\r\n"),
        (&tls, "NOOP a\r\n", "NOOP a\r\n"),
        (&profile("asa"), "XOWN a b\r\n", "XXXX a b\r\n"),
    ] {
        assert_eq!(leaves(settings, Client, line.as_bytes(), 99), expected, "{line:?}");
    }
}

/// A server that ends lines at a CR would run what follows it.
#[test]
fn what_stands_behind_a_bare_cr_in_an_exchange_is_masked() {
    for (line, by_stream) in [
        ("AGEAYg==\r\n", "AGEAYg==\r\n"),
        ("AGEA\rEXPN a\r\n", "AGEA\rXXXXXX\r\n"),
        ("AGEA\r\rEXPN\rb\r\n", "AGEA\r\rXXXX\rX\r\n"),
        ("\rEXPN a\n", "\rXXXXXX\n"),
        ("AGEA\r\r\n", "AGEA\r\r\n"),
        ("*\n", "*\n"),
    ] {
        for piece in 1..=line.len() {
            for (name, expected) in [("esmtp", by_stream), ("asa", line)] {
                let mut talk = Talk::new(&profile(name));
                talk.say(Server, b"220 hi\r\n", 99);
                talk.say(Client, b"AUTH LOGIN\r\n", 99);
                talk.say(Server, b"334 go\r\n", 99);
                let left = talk.say(Client, line.as_bytes(), piece);
                assert_eq!(left, expected, "{name}: {line:?} in pieces of {piece}");
                // What follows is a command again, once it was answered.
                talk.say(Server, b"235 ok\r\n", 99);
                assert_eq!(talk.say(Client, b"NOOP\r\n", 99), "NOOP\r\n", "{name}: {line:?}");
            }
        }
    }
    // Where the server gives up in the middle of a line, the rest of it is no command.
    let mut talk = Talk::new(&profile("esmtp"));
    talk.say(Server, b"220 hi\r\n", 99);
    talk.say(Client, b"AUTH LOGIN\r\n", 99);
    talk.say(Server, b"334 go\r\n", 99);
    assert_eq!(talk.say(Client, b"EX", 99), "EX");
    talk.say(Server, b"454 no\r\n", 99);
    assert_eq!(talk.say(Client, b"PN a\r\nNOOP\r\n", 99), "XXXX\r\nNOOP\r\n");
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
        assert_eq!(leaves(&profile("pix-5.1"), Client, input.as_bytes(), 99), output);
    }
}

#[test]
fn by_packet_a_character_at_a_time_is_refused() {
    for name in ["pix-4.1", "pix-5.1", "pix-6.3", "asa"] {
        let left = leaves(&profile(name), Client, b"NOOP\r\n", 1);
        assert_eq!(left, "XXXX\r\n", "{name}");
    }
    for (name, input, size, output) in [
        ("pix-6.3", "HELO a.b\r\n", 6, "HELO aXX\r\n"),
        ("pix-6.3", "VRFY root\r\n", 7, "XXXX roXX\r\n"),
        ("pix-6.3", "VRFY root\r\n", 4, "XXXX XXXX\r\n"),
        ("asa", "EXPN root x\r\n", 4, "XXXX XXXX x\r\n"),
        ("asa", "HELO  root x\r\n", 4, "HELO  XXXX x\r\n"),
        ("pix-6.3", "MAIL \r\n", 4, "MAILX\r\n"),
        ("pix-5.1", "goodmorning\r\n", 7, "NOOP   NOOP\r\n"),
        ("pix-5.1", "VRFY root a\r\n", 5, "NOOP NOOP X\r\n"),
    ] {
        let left = leaves(&profile(name), Client, input.as_bytes(), size);
        assert_eq!(left, output, "{name}: {input:?} in packets of {size}");
    }
}

#[test]
fn by_the_stream_a_line_becomes_noop_where_none_of_it_has_left() {
    let mut settings = profile("mailguard");
    settings.set("refusal", "noop").unwrap();
    let (input, output) =
        ("VRFY root\r\nWIZ\r\nHELP\r\nNOOP\r\n", "NOOP     \r\nNOO\r\nHELX\r\nNOOP\r\n");
    for piece in 1..=input.len() {
        assert_eq!(leaves(&settings, Client, input.as_bytes(), piece), output, "{piece}");
    }
}

#[test]
fn in_pix_6_3_and_asa_the_first_word_alone_becomes_x() {
    for name in ["pix-6.3", "asa"] {
        for (input, output) in [
            ("XYZ TO:<a@b>\r\nNOOP\r\n", "XXX TO:<a@b>\r\nNOOP\r\n"),
            ("EXPN staff\r\nTURN\r\n", "XXXX staff\r\nXXXX\r\n"),
            ("X-LINK2STATE FIRST\r\n", "XXXXXXXXXXXX FIRST\r\n"),
            ("goodmorning\tall\r\n", "XXXXXXXXXXX\tall\r\n"),
            (" VRFY root\r\n", " XXXX root\r\n"),
            ("NOOP\r\n \t EXPN  root\r\n", "NOOP\r\n \t XXXX  root\r\n"),
            (" NOOP\r\n", " XXXX\r\n"),
            // Nothing is read behind what a server may drop.
            ("  \r\n \0EXPN root\r\n", "XX\r\nXXXXXXXXXXX\r\n"),
            ("  \rEXPN root\r\n", "XX\rXXXXXXXXX\r\n"),
            ("EXPN\rVRFY\r\n", "XXXX\rXXXX\r\n"),
        ] {
            assert_eq!(leaves(&profile(name), Client, input.as_bytes(), 99), output, "{name}");
        }
    }
}

#[test]
fn by_the_stream_no_verb_stands_behind_a_masked_word() {
    check(
        &changed("mailguard", &[("refusal", "x-word")]),
        Client,
        &[
            ("VRFY root\r\n", "XXXX root\r\n"),
            ("HELP NOOP\r\n", "HELX NOOP\r\n"),
            ("HEL x\r\n", "HEL x\r\n"),
            (" VRFY root\r\n", "XXXXXXXXXX\r\n"),
            ("\tVRFY\r\n", "XXXXX\r\n"),
            ("\0VRFY x\r\n", "XXXXXXX\r\n"),
            ("EXPN a\rVRFY b\r\nNOOP\r\n", "XXXX a\rXXXXXX\r\nNOOP\r\n"),
            ("EXPN a\0VRFY b\r\n", "XXXX aXXXXXXX\r\n"),
            ("MAIL FROM:<a>\0x y\r\n", "MAIL FROM:<a>XXXX\r\n"),
        ],
    );
}

#[test]
fn by_default_an_address_stays_as_it_is() {
    for name in ["mailguard", "esmtp", "asa"] {
        for line in ["MAIL FROM:<|/bin/sh>\r\n", "RCPT TO:<<a@b>>\r\n", "RCPT TO:<a|b@d>\r\n"] {
            assert_eq!(leaves(&profile(name), Client, line.as_bytes(), 99), line, "{name}");
        }
    }
}

#[test]
fn old_releases_put_a_space_for_what_defines_no_address() {
    check(
        &changed("pix-5.1", &[("unit", "stream")]),
        Client,
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
fn a_refused_address_is_an_address_nowhere() {
    let cases = [
        ("MAIL FROM:<|/bin/sh>\r\n", "MAIL FROM:<XXXXXXXXX\r\n"),
        ("RCPT TO:<a|b@d> NOTIFY=NEVER\r\n", "RCPT TO:<aXXXXXXXXXXXXXXXXXX\r\n"),
        ("RCPT TO:<\"a|b\"@d>\r\n", "RCPT TO:<\"aXXXXXX\r\n"),
        ("RCPT TO:<<a@b>>\r\n", "RCPT TO:<XXXXXX\r\n"),
        ("RCPT TO:a|b@d\r\n", "RCPT TO:a<<<<\r\n"),
        ("RCPT TO:a@b>\r\n", "RCPT TO:a@b<\r\n"),
        ("RCPT TO:|a\r\n", "RCPT TO:<<\r\n"),
        ("RCPT |TO:<a@b>\r\n", "RCPT XXXXXXXXX\r\n"),
        ("MAIL FROM:<a@b>>x SIZE=1\r\n", "MAIL FROM:<a@b> XXXXXXXX\r\n"),
        ("MAIL FROM:<a@b> AUTH=a|b\r\n", "MAIL FROM:<a@b> AUTH=a X\r\n"),
        ("MAIL FROM:<a@b> AUTH=<>\r\nRSET\r\n", "MAIL FROM:<a@b> AUTH=<>\r\nRSET\r\n"),
        ("RCPT TO:<a|b\rx\0y\r\nNOOP\r\n", "RCPT TO:<aXX\rXXX\r\nNOOP\r\n"),
        ("NOOP |\r\n", "NOOP |\r\n"),
    ];
    check(&changed("mailguard", &[("address_scan", "refuse")]), Client, &cases);
    // By the packet too a cure that has begun goes on.
    let settings = changed("asa", &[("address_scan", "refuse")]);
    let left = leaves(&settings, Client, b"RCPT TO:<ab|c@d>\r\n", 14);
    assert_eq!(left, "RCPT TO:<abXXXXX\r\n");
}

/// By which rule bytes in packets of this size end a flow.
fn ended(settings: &Settings, input: &str, size: usize) -> Option<Rule> {
    let mut talk = Talk::new(settings);
    talk.say(Client, input.as_bytes(), size);
    talk.ended()
}

#[test]
fn a_word_of_another_protocol_ends_the_flow() {
    let http = [
        "GET / HTTP/1.1\r\n",
        "POST / HTTP/1.1\r\n",
        "put\t/x HTTP/1.0\r\n",
        "HEAD / HTTP/1.1\r\n",
        "OPTIONS * HTTP/1.1\r\n",
        "CONNECT a:25 HTTP/1.1\r\n",
        "PROPFIND / HTTP/1.1\r\n",
        "DELETE / HTTP/1.1\r\n",
        "PATCH / HTTP/1.1\r\n",
        "TRACE / HTTP/1.1\r\n",
        "  POST /\r\n",
        "GET\r\n",
        "GET\n",
    ];
    let at_first = ["USER anonymous\r\n", "Host: a\r\n", "Content-Type:text/plain\r\n", "x:\r\n"];
    for settings in
        [profile("mailguard"), profile("esmtp"), changed("asa", &[("http_words", "reset")])]
    {
        for line in http.into_iter().chain(at_first) {
            for size in 1..=line.len() {
                for before in ["", "\r\n", "hello\r\n"] {
                    let input = format!("{before}{line}MAIL FROM:<a@b>\r\n");
                    let mut talk = Talk::new(&settings);
                    let left = talk.say(Client, input.as_bytes(), size);
                    assert_eq!(talk.ended(), Some(Rule::OtherProtocol), "{input:?} {size}");
                    assert!(!left.contains("MAIL") && !left.contains(line.trim()), "{left:?}");
                }
                let behind = format!("HELO a\r\n{line}");
                let rule = http.contains(&line).then_some(Rule::OtherProtocol);
                assert_eq!(ended(&settings, &behind, size), rule, "{behind:?} {size}");
            }
        }
    }
    for line in ["GETX /\r\n", "HELP POST\r\n", "NOOP GET \r\n", "POS T\r\n", ":x\r\n", "PUTS\r\n"]
    {
        assert_eq!(ended(&profile("mailguard"), line, 99), None, "{line:?}");
    }
    for name in ["pix-4.1", "pix-5.1", "pix-6.3", "asa"] {
        assert_eq!(ended(&profile(name), "GET / HTTP/1.1\r\nHost: a\r\n", 99), None, "{name}");
    }
}

#[test]
fn mail_behind_a_tls_hello_ends_the_flow() {
    for hello in ["\x16\x03\x01\0:x\n", "\u{ff}\r\n", "\x01abc\r\n"] {
        for size in 1..=hello.len() {
            let settings = profile("mailguard");
            assert_eq!(ended(&settings, hello, size), None, "{hello:?}");
            assert_eq!(ended(&settings, &format!("{hello}abc\r\nUSER: x\r\n"), size), None);
            assert_eq!(ended(&settings, &format!("{hello}HELO a\r\nRSET\r\n"), size), None);
            for before in ["", "HELO a\r\n"] {
                let mail = format!("{hello}{before}MAIL FROM:<a@b>\r\n");
                assert_eq!(ended(&settings, &mail, size), Some(Rule::OtherProtocol), "{mail:?}");
            }
        }
    }
    // What is no text further behind is none either, but no other protocol.
    for line in ["ab\x01c\r\n", "ab \x01c\r\n"] {
        assert_eq!(ended(&profile("mailguard"), &format!("{line}MAIL FROM:<a@b>\r\n"), 99), None);
    }
    // Behind a verb it is a slip of one line.
    assert_eq!(ended(&profile("mailguard"), "HELO a\r\n\x16\x03\r\nNOOP\r\n", 99), None);
}

/// A line of so many bytes, its end not counted.
fn line(begin: &str, length: usize) -> String {
    format!("{begin}{}\r\n", "x".repeat(length - begin.len()))
}

#[test]
fn a_line_longer_than_its_limit_ends_the_flow() {
    for (name, begin, max) in [
        ("mailguard", "NOOP ", 1_000),
        ("mailguard", "HELO ", 1_000),
        ("mailguard", "MAIL FROM:<", 2_000),
        ("mailguard", "rcpt TO:<", 2_000),
        ("mailguard", "EXPN ", 1_000),
        ("mailguard", "AUTH PLAIN ", 1_000),
        ("mailguard", "\0", 1_000),
        ("mailguard", "", 1_000),
        ("esmtp", "VRFY ", 1_000),
        ("esmtp", "MAIL FROM:<", 2_000),
        ("esmtp", "MAIL FROM:<>\0", 2_000),
        ("esmtp", "AUTH PLAIN ", 12_280),
        ("esmtp", "AUTH PLAIN\rx", 12_280),
        ("asa", "NOOP ", 512),
        ("asa", "RCPT TO:<", 512),
        ("asa", "AUTH PLAIN ", 512),
        ("asa", "EXPN ", 512),
    ] {
        let settings = profile(name);
        for size in [1, 7, 512, 99_999] {
            let fits = line(begin, max);
            assert_eq!(ended(&settings, &fits, size), None, "{name} {begin:?} {size}");
            for (what, long) in [
                ("a byte more", line(begin, max + 1)),
                ("a CR more", fits.replace("\r\n", "\r\r\n")),
                ("no CR", line(begin, max + 1).replace("\r\n", "\n")),
                ("far more", line(begin, 40_000)),
            ] {
                let rule = ended(&settings, &format!("{long}NOOP\r\n"), size);
                assert_eq!(rule, Some(Rule::LongLine), "{name} {begin:?} {size}: {what}");
            }
        }
    }
}

#[test]
fn no_byte_beyond_a_limit_leaves() {
    for begin in ["NOOP ", "EXPN "] {
        for size in [1, 3, 999, 1_001] {
            let mut talk = Talk::new(&profile("esmtp"));
            let left = talk.say(Client, line(begin, 16_384).as_bytes(), size);
            assert!(left.len() <= 1_000, "{begin} {size}: {}", left.len());
        }
    }
}

#[test]
fn old_releases_and_a_limit_of_0_take_lines_of_any_length() {
    let unlimited =
        changed("esmtp", &[("line_max", "0"), ("envelope_line_max", "0"), ("auth_line_max", "0")]);
    let mut all = vec![unlimited];
    all.extend(["pix-4.1", "pix-4.4", "pix-5.1", "pix-5.2.4", "pix-6.3"].map(profile));
    for settings in all {
        for begin in ["NOOP ", "MAIL FROM:<", "AUTH PLAIN ", "EXPN "] {
            assert_eq!(ended(&settings, &line(begin, 70_000), 1_460), None, "{begin}");
        }
    }
}

#[test]
fn lines_of_an_auth_exchange_have_their_own_limit() {
    for (name, length, rule) in
        [("esmtp", 12_280, None), ("esmtp", 12_281, Some(Rule::LongLine)), ("asa", 70_000, None)]
    {
        for size in [1, 100, 99_999] {
            let mut talk = Talk::new(&profile(name));
            talk.say(Server, b"220 a\r\n", 99);
            talk.say(Client, b"AUTH LOGIN\r\n", 99);
            talk.say(Server, b"334 a\r\n", 99);
            talk.say(Client, line("", length).as_bytes(), size);
            assert_eq!(talk.ended(), rule, "{name} {length} {size}");
        }
    }
}

#[test]
fn long_lines_are_noted_once_and_still_edited() {
    let noted = |talk: &Talk| {
        let is_note =
            |ruling: &&Ruling| matches!(ruling, Ruling::Exceed(e) if e.rule == Rule::LongLine);
        talk.rulings.iter().filter(is_note).count()
    };
    let mut talk = Talk::new(&profile("esmtp"));
    let long = line("NOOP ", 605);
    assert_eq!(talk.say(Client, long.as_bytes(), 100), long);
    assert_eq!(noted(&talk), 1);
    let settings = changed("mailguard", &[("long_lines", "log"), ("address_scan", "replace")]);
    let long = |stray| format!("MAIL FROM:<{}{stray}{}>\r\n", "x".repeat(300), "x".repeat(300));
    for size in [1, 7, 600, 999] {
        let left = leaves(&settings, Client, long('|').as_bytes(), size);
        assert_eq!(left, long(' '), "in packets of {size}");
    }
}

#[test]
fn recipients_of_one_message_are_counted() {
    let group = |count: usize| "RCPT TO:<a@b>\r\n".repeat(count);
    let settings = profile("asa");
    for (input, rule) in [
        (format!("MAIL FROM:<>\r\n{}", group(100)), None),
        (format!("MAIL FROM:<>\r\n{}", group(101)), Some(Rule::Recipients)),
        (format!("{}RSET\r\n{}", group(60), group(60)), None),
        // Whether these begin anew is the server's to say.
        (format!("{}EHLO a\r\n{}", group(50), group(50)), None),
        (format!("{}RSET x\r\n{}", group(60), group(60)), Some(Rule::Recipients)),
        (format!("{}MAIL FROM:<>\r\n{}", group(60), group(60)), Some(Rule::Recipients)),
        (format!("{}NOOP\r\n{}", group(60), group(60)), Some(Rule::Recipients)),
        (format!("{}RSETT\r\n{}", group(60), group(60)), Some(Rule::Recipients)),
        (format!("{}RCPTX TO:<a>\r\n", group(100)), None),
        (format!("{}RCPT\r\n", group(100)), None),
    ] {
        for size in [1_460, 99_999] {
            assert_eq!(ended(&settings, &input, size), rule, "{input:?}");
        }
    }
    let settings = changed("mailguard", &[("recipients_max", "2")]);
    for size in 1..50 {
        assert_eq!(ended(&settings, &group(3), size), Some(Rule::Recipients));
        assert_eq!(
            ended(&settings, &format!("{}EHLO a\r\n{}", group(2), group(1)), size),
            Some(Rule::Recipients),
            "a masked EHLO begins nothing anew"
        );
    }
}

#[test]
fn recipients_that_are_only_counted_are_told_of_once() {
    let mut talk = Talk::new(&changed("esmtp", &[("recipients_max", "1 log")]));
    talk.say(Client, "RCPT TO:<a@b>\r\n".repeat(3).as_bytes(), 99);
    let is_told = |ruling: &&Ruling| {
        matches!(ruling, Ruling::Exceed(Excess { rule: Rule::Recipients, is_end: false, .. }))
    };
    assert_eq!(talk.rulings.iter().filter(is_told).count(), 1);
    assert_eq!(talk.ended(), None);
}

#[test]
fn only_what_the_server_accepts_begins_a_new_count_of_recipients() {
    let settings = changed("esmtp", &[("recipients_max", "3")]);
    let recipients = "RCPT TO:<a@b>\r\n".repeat(3);
    let answers = "250 ok\r\n".repeat(3);
    for (line, answer, is_anew) in [
        ("RSET\r\n", "250 ok\r\n", true),
        ("RSET x\r\n", "501 no\r\n", false),
        ("RSET x\r\n", "250 ok\r\n", true),
        ("MAIL FROM:<a@b>\r\n", "503 nested\r\n", false),
        ("MAIL FROM:<a@b>\r\n", "250 ok\r\n", true),
        ("HELO\r\n", "501 no\r\n", false),
        ("EHLO a\r\n", "250 ok\r\n", true),
    ] {
        // Those that were sent together with the line are of the new transaction.
        for first in [0, 1, 3] {
            let mut talk = Talk::new(&settings);
            let (early, late) = recipients.split_at(first * recipients.len() / 3);
            talk.say(Server, b"220 a\r\n", 99);
            talk.say(Client, recipients.as_bytes(), 99);
            talk.say(Server, answers.as_bytes(), 99);
            talk.say(Client, line.as_bytes(), 5);
            if first == 0 || is_anew {
                talk.say(Server, answer.as_bytes(), 99);
            }
            talk.say(Client, early.as_bytes(), 99);
            talk.say(Client, late.as_bytes(), 99);
            let expected = if is_anew { None } else { Some(Rule::Recipients) };
            assert_eq!(talk.ended(), expected, "{line:?}, {answer:?}, {first} at once");
            talk.say(Client, b"RCPT TO:<a@b>\r\n", 99);
            assert_eq!(talk.ended(), Some(Rule::Recipients), "{line:?}, {answer:?}");
        }
    }
    // Sent before the answer.
    let mut talk = Talk::new(&settings);
    talk.say(Server, b"220 a\r\n", 99);
    talk.say(Client, b"RCPT TO:<a@b>\r\nRCPT TO:<a@b>\r\n", 99);
    talk.say(Client, b"MAIL FROM:<a@b>\r\nRCPT TO:<a@b>\r\n", 99);
    talk.say(Server, "250 ok\r\n".repeat(4).as_bytes(), 99);
    talk.say(Client, b"RCPT TO:<a@b>\r\nRCPT TO:<a@b>\r\n", 99);
    assert_eq!(talk.ended(), None);
    talk.say(Client, b"RCPT TO:<a@b>\r\n", 99);
    assert_eq!(talk.ended(), Some(Rule::Recipients));
}

#[test]
fn a_senders_address_has_a_limit() {
    let settings = changed("mailguard", &[("sender_max", "10")]);
    for (line, rule) in [
        ("MAIL FROM:<123456@890>\r\n", None),
        ("MAIL FROM:<123456@8901>\r\n", Some(Rule::Sender)),
        ("MAIL FROM:<123456@890> SIZE=1000000000\r\n", None),
        ("MAIL FROM:<\"3>56\"@90>\r\n", None),
        ("MAIL FROM:<\"3>5\\\"7\"@0>\r\n", None),
        ("MAIL FROM:<\"3>56\"@9012>\r\n", Some(Rule::Sender)),
        ("MAIL FROM: 123456@890 SIZE=1000\r\n", None),
        ("MAIL FROM: 123456@8901\r\n", Some(Rule::Sender)),
        ("RCPT TO:<123456@8901>\r\n", None),
        ("MAIL FROM:<>\r\n", None),
    ] {
        for size in 1..=line.len() {
            assert_eq!(ended(&settings, line, size), rule, "{line:?} {size}");
        }
    }
    let asa = profile("asa");
    let sender = |length| format!("MAIL FROM:<{}>\r\n", "x".repeat(length));
    assert_eq!(ended(&asa, &sender(320), 99_999), None);
    assert_eq!(ended(&asa, &sender(321), 99_999), Some(Rule::Sender));
}

#[test]
fn the_first_byte_that_a_judge_refuses_decides_whatever_the_cut() {
    let lenient = ("envelope", "lenient");
    let scan = ("address_scan", "refuse");
    for (changes, line, expected, rule) in [
        (&[scan][..], "RCPT TO:<a;b|c@d>", "RCPT TO:<aXXXXXXX", None),
        (&[scan], "RCPT TO:<a|b;c@d>", "RCPT TO:<aXXXXXXX", None),
        (&[scan], "MAIL FROM:<a@b>\tXA=;|b", "MAIL FROM:<a@b> XA=; X", None),
        (&[scan], "MAIL FROM:<a@b>|;", "MAIL FROM:<a@b> X", None),
        (&[scan, ("path_max", "5")], "RCPT TO:<a|bcdef>", "RCPT TO:<aXXXX", Some(Rule::PathLength)),
        (&[scan, ("path_max", "5")], "RCPT TO:<a|bcd", "RCPT TO:<aXXXX", None),
        (&[("sender_max", "4")], "MAIL FROM:<a;bcdefgh>", "MAIL FROM:<aXXXXXXXXX", None),
        (&[("sender_max", "4")], "MAIL FROM:<abcde;>", "MAIL FROM:<abcd", Some(Rule::Sender)),
        // What is only logged ends nothing, and hides nothing that comes behind it.
        (&[scan, ("sender_max", "3 log")], "MAIL FROM:<abcde|f>", "MAIL FROM:<abcdeXXX", None),
        (&[("sender_max", "3 log")], "MAIL FROM:<abcde;f>", "MAIL FROM:<abcdeXXX", None),
        (&[("local_part_max", "3 log")], "RCPT TO:<abcde;f>", "RCPT TO:<abcdeXXX", None),
        (&[("path_max", "3 log")], "RCPT TO:<a@bcde;f>", "RCPT TO:<a@bcdeXXX", None),
        // What is told of a byte keeps no other from being changed.
        (&[("address_scan", "replace")], "MAIL FROM:<a|b@c>", "MAIL FROM:<a b@c>", None),
        (
            &[("address_scan", "replace"), ("sender_max", "3 log")],
            "MAIL FROM:<a|cde>",
            "MAIL FROM:<a cde>",
            None,
        ),
        (&[("path_max", "3 log")], "RCPT TO:\t<a@bcde>", "RCPT TO: <a@bcde>", None),
        (
            &[("local_part_max", "3 log"), ("path_max", "3")],
            "RCPT TO:<abcde>",
            "RCPT TO:<abc",
            Some(Rule::PathLength),
        ),
        (
            &[("local_part_max", "3"), ("path_max", "3 log")],
            "RCPT TO:<abcde>",
            "RCPT TO:<abc",
            Some(Rule::LocalPart),
        ),
        (
            &[("address_scan", "log"), ("sender_max", "3")],
            "RCPT TO:<abcde|f>",
            "RCPT TO:<abcde|f>",
            None,
        ),
    ] {
        let any = ("parameters", "any");
        let settings = changed("esmtp", &[&[lenient, any][..], changes].concat());
        for size in 1..=line.len() + 2 {
            let mut talk = Talk::new(&settings);
            let left = talk.say(Client, &format!("{line}\r\n").into_bytes(), size);
            assert_eq!(talk.ended(), rule, "{changes:?} {line:?} by {size}");
            let is_refusal = |ruling: &Ruling| matches!(ruling, Ruling::Refuse(_));
            let is_refused = rule.is_none() && expected.contains("X");
            assert!(rule.is_some() || talk.rulings.iter().any(is_refusal) == is_refused);
            let is_log = |ruling: &Ruling| matches!(ruling, Ruling::Exceed(_));
            let is_logged = changes.iter().any(|(_, value)| value.ends_with(" log"));
            assert!(size > 1 || rule.is_some() || talk.rulings.iter().any(is_log) == is_logged);
            if rule.is_none() {
                assert_eq!(left, format!("{expected}\r\n"), "{changes:?} {line:?} by {size}");
            } else {
                assert!(expected.starts_with(&left), "{changes:?} {line:?} by {size}: {left:?}");
            }
        }
    }
}

#[test]
fn a_limit_that_is_only_logged_keeps_no_other_from_ending_the_flow() {
    let settings = changed("esmtp", &[("line_max", "8 log"), ("long_lines", "reset")]);
    let long = format!("NOOP {}\r\n", "x".repeat(600));
    let counted = changed("esmtp", &[("recipients_max", "1 log"), ("envelope_line_max", "4")]);
    for size in [1, 7, 9_999] {
        assert_eq!(ended(&settings, &long, size), Some(Rule::LongLine), "by {size}");
        assert_eq!(ended(&counted, "RCPT\r\nRCPT a\r\n", size), Some(Rule::LongLine), "{size}");
    }
}
