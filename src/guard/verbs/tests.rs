//! Who may do what: verbs of the site's own, names in HELO, mail and AUTH in clear text.

use crate::guard::tests::{Talk, changed, check, leaves};
use crate::guard::{Rule, Ruling, Settings};
use crate::smtp::Speaker::{Client, Server};

fn with_verbs(verbs: &str) -> Settings {
    changed("esmtp", &[("verbs", verbs), ("banner", "domain")])
}

#[test]
fn a_verb_of_the_sites_own_passes_and_no_other() {
    check(
        &with_verbs("EHLO,MAIL,NOOP,XCLIENT,X-EXPS"),
        Client,
        &[
            ("XCLIENT ADDR=192.0.2.1 NAME=[X]\r\n", "XCLIENT ADDR=192.0.2.1 NAME=[X]\r\n"),
            ("xclient\r\n", "xclient\r\n"),
            ("XCLIENTS a\r\n", "XCLIENTXXX\r\n"),
            ("XCLI a\r\n", "XCLIXX\r\n"),
            ("XFORWARD a\r\n", "XXXXXXXXXX\r\n"),
            ("X-LINK2STATE a\r\n", "X-XXXXXXXXXXXX\r\n"),
            (" XCLIENT a\r\n", "XXXXXXXXXX\r\n"),
            ("RSET\r\n", "XXXX\r\n"),
        ],
    );
    // Nobody has it who was not given it.
    check(&with_verbs("EHLO,MAIL,NOOP"), Client, &[("XCLIENT a\r\n", "XXXXXXXXX\r\n")]);
    let mut secured = with_verbs("EHLO,MAIL,NOOP,XCLIENT");
    secured.set("require_tls", "required").unwrap();
    check(&secured, Client, &[("XCLIENT a\r\n", "XXXXXXXXX\r\n"), ("NOOP\r\n", "NOOP\r\n")]);
    for (line, rule) in [("XCLIENT a\r\n", Rule::TlsRequired), ("YES\r\n", Rule::Verb)] {
        let mut talk = Talk::new(&secured);
        talk.say(Client, line.as_bytes(), 99);
        assert!(talk.rulings.contains(&Ruling::Refuse(rule)), "{line:?}");
    }
}

#[test]
fn a_verb_of_the_sites_own_is_answered_like_any_other() {
    let mut talk = Talk::new(&with_verbs("EHLO,MAIL,NOOP,RCPT,XFORWARD,XCLIENT"));
    talk.say(Server, b"220 mx Postfix\r\n", 99);
    let group = "XFORWARD NAME=a\r\nMAIL FROM:<a@b>\r\n";
    assert_eq!(talk.say(Client, group.as_bytes(), 7), group);
    assert_eq!(talk.say(Server, b"250 ok\r\n250 ok\r\n", 99), "250 ok\r\n250 ok\r\n");
    // A server that greets again begins anew, and is masked again.
    talk.say(Client, b"XCLIENT NAME=a\r\n", 99);
    assert_eq!(talk.say(Server, b"220 mx Postfix\r\n", 3), "220 mx ESMTP..\r\n");
    assert_eq!(talk.say(Client, b"NOOP\r\n", 99), "NOOP\r\n");
    assert_eq!(talk.say(Server, b"250 ok\r\n", 99), "250 ok\r\n");
}

#[test]
fn some_words_are_no_verb_of_a_site() {
    let mut settings = Settings::profile("esmtp").unwrap();
    for name in ["DATAX", "MAILER", "XXXX", "GET", "POST", "ABC", "TOOLONGER", "X_Y_Z", "1ABC"] {
        assert_eq!(settings.set("verbs", &format!("HELO,{name}")), Err(name));
    }
    settings.set("verbs", "HELO,xclient").unwrap();
    assert!(settings.words().contains(&("verbs", "HELO,XCLIENT".to_owned())));
}

#[test]
fn a_refused_name_ends_the_flow_before_its_line_ends() {
    let settings = changed("esmtp", &[("hello_refuse", "localhost,*.dynamic.example")]);
    for (line, is_refused) in [
        ("EHLO localhost\r\n", true),
        ("HELO LOCALHOST\n", true),
        ("EHLO  localhost \r\n", true),
        ("EHLO localhost\x0b\r\n", true),
        ("EHLO \x0blocalhost\x0c\r\n", true),
        ("EHLO  \tlocalhost\r\n", true),
        ("EHLO a.dynamic.example\r\n", true),
        ("EHLO localhost.example\r\n", false),
        ("EHLO a.example\r\n", false),
        ("NOOP localhost\r\n", false),
        ("EHLO\r\n", false),
    ] {
        for size in 1..=line.len() {
            let mut talk = Talk::new(&settings);
            let left = talk.say(Client, line.as_bytes(), size);
            assert_eq!(talk.ended(), is_refused.then_some(Rule::HelloName), "{line:?} {size}");
            assert_eq!(left == line, !is_refused);
            assert_eq!(left.contains(['\r', '\n']), !is_refused, "the server never reads the line");
        }
    }
}

#[test]
fn mail_in_clear_text_is_refused_where_tls_is_required() {
    let settings = changed("esmtp", &[("require_tls", "required")]);
    for (input, output) in [
        ("MAIL FROM:<a@b>\r\n", "XXXXXXXXXXXXXXX\r\n"),
        ("SOML FROM:<a@b>\r\n", "SXXXXXXXXXXXXXX\r\n"),
        ("RCPT TO:<a@b>\r\nDATA\r\n", "RXXXXXXXXXXXX\r\nXXXX\r\n"),
        ("QUIT\r\n", "QUIT\r\n"),
        ("AUTH PLAIN x\r\nVRFY a\r\n", "XXXXXXXXXXXX\r\nXXXXXX\r\n"),
        (
            "EHLO a\r\nHELO a\r\nNOOP\r\nRSET\r\nSTARTTLS\r\n",
            "EHLO a\r\nHELO a\r\nNOOP\r\nRSET\r\nSTARTTLS\r\n",
        ),
    ] {
        for size in 1..=input.len() {
            assert_eq!(leaves(&settings, Client, input.as_bytes(), size), output);
        }
    }
    let mut talk = Talk::new(&settings);
    talk.say(Client, b"MAIL FROM:<a@b>\r\n", 4);
    assert!(talk.rulings.contains(&Ruling::Refuse(Rule::TlsRequired)));
}

#[test]
fn auth_in_clear_text_is_neither_offered_nor_passed_where_tls_is_required() {
    for (ehlo, masked) in [("allow-list", "250-XXXX XXXXX\r\n"), ("pass", "250-AUTX XXXXX\r\n")] {
        let settings = changed("esmtp", &[("auth_requires_tls", "required"), ("ehlo", ehlo)]);
        let reply = "250-mx\r\n250-AUTH PLAIN\r\n250 SIZE\r\n";
        for size in 1..=reply.len() {
            let mut talk = Talk::new(&settings);
            talk.say(Server, b"220 a\r\n", 99);
            talk.say(Client, b"EHLO a\r\n", 99);
            let left = talk.say(Server, reply.as_bytes(), size);
            assert_eq!(left, format!("250-mx\r\n{masked}250 SIZE\r\n"), "{ehlo} {size}");
            assert_eq!(talk.say(Client, b"AUTH PLAIN x\r\n", size), "XXXXXXXXXXXX\r\n");
            assert!(talk.rulings.contains(&Ruling::Refuse(Rule::TlsRequired)));
        }
    }
}
