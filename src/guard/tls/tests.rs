//! Names and versions, one by one.

use super::*;
use crate::guard::Settings;
use crate::guard::tests::{Talk, changed};
use crate::smtp::Speaker::{Client, Server};

fn guard(changes: &[(&str, &str)]) -> Guard {
    let mut settings = Settings::profile("esmtp").unwrap();
    for (key, value) in changes {
        settings.set(key, value).unwrap();
    }
    Guard::new(settings)
}

fn hello(version: u16, server_name: ServerName) -> ClientHello {
    ClientHello { legacy_version: Version(version), server_name, ..ClientHello::default() }
}

#[test]
fn names_match_whole_or_behind_their_first_label() {
    let guard = guard(&[("tls_names", "mx.example *.mail.example,")]);
    let is_foreign =
        |name: &str| guard.is_foreign_name(&hello(0x0303, ServerName::Host(name.to_owned())));
    for known in ["mx.example", "MX.Example.", "a.mail.example"] {
        assert!(!is_foreign(known), "{known}");
    }
    for foreign in ["mail.example", "a.b.mail.example", "mx.example.org", "x"] {
        assert!(is_foreign(foreign), "{foreign}");
    }
    assert!(!guard.is_foreign_name(&hello(0x0303, ServerName::Absent)));
    let mut settings = Settings::profile("esmtp").unwrap();
    assert!(settings.set("tls_names", "a b/c").is_err());
}

#[test]
fn a_version_below_the_minimum_ends_the_flow() {
    for (minimum, version, ruling) in [
        ("off", 0x0300, TlsRuling::Pass),
        ("1.0", 0x0300, TlsRuling::Reset(Rule::TlsMinimum)),
        ("1.0", 0x0301, TlsRuling::Pass),
        ("1.2", 0x0302, TlsRuling::Reset(Rule::TlsMinimum)),
        ("1.3", 0x0303, TlsRuling::Reset(Rule::TlsMinimum)),
        ("1.3", 0x0304, TlsRuling::Pass),
    ] {
        let guard = guard(&[("tls_minimum", minimum)]);
        let offered = hello(version, ServerName::Absent);
        assert_eq!(guard.judge_client_hello(&offered), ruling, "{minimum} {version:#x}");
        let chosen = ServerHello { version: Version(version), ..ServerHello::default() };
        assert_eq!(guard.judge_server_hello(&chosen), ruling, "{minimum} {version:#x}");
    }
}

#[test]
fn an_odd_name_is_ruled_on_as_told() {
    for (value, ruling) in [
        ("off", TlsRuling::Pass),
        ("log", TlsRuling::Note(Rule::Sni)),
        ("enforce", TlsRuling::Reset(Rule::Sni)),
    ] {
        let guard = guard(&[("tls_sni", value)]);
        assert_eq!(guard.judge_client_hello(&hello(0x0303, ServerName::Odd)), ruling);
    }
}

#[test]
fn what_is_said_in_clear_is_told_of() {
    for (watch, tells) in [("off", false), ("handshake", true)] {
        let settings = changed("esmtp", &[("tls_watch", watch)]);
        let guard = Guard::new(settings.clone());
        let mut talk = Talk::new(&settings);
        talk.say(Server, b"220 a\r\n", 99);
        talk.say(Client, b"EHLO a\r\n", 99);
        talk.say(Server, b"250-a\r\n250 STARTTLS\r\n", 99);
        assert_eq!((talk.watch.offer(), talk.watch.take_plain(&guard)), (Offer::Made, None));
        for is_first in [true, false] {
            talk.say(Client, b"AUTH PLAIN x\r\n", 99);
            let told = (tells && is_first).then_some(Plain::Auth);
            assert_eq!(talk.watch.take_plain(&guard), told, "{watch}");
            assert_eq!(talk.watch.offer(), Offer::Made);
            talk.say(Server, b"535 no\r\n", 99);
        }
        for is_first in [true, false] {
            talk.say(Client, b"MAIL FROM:<a@b>\r\n", 99);
            let mail = Plain::Mail { is_offered: true, is_first };
            assert_eq!(talk.watch.take_plain(&guard), Some(mail));
            assert_eq!(talk.watch.take_plain(&guard), None);
            talk.say(Server, b"550 no\r\n", 99);
        }
        // The last answer to EHLO decides, and it alone.
        for (offer, expected) in [
            ("250-a\r\n250 XXXXXXXA\r\n", Offer::Masked),
            ("250-a\r\n250 DSN\r\n", Offer::Missing),
            ("250-a\r\n250 XXA\r\n", Offer::Missing),
            ("250-a\r\n250 STARTTLS\r\n", Offer::Made),
            ("250-a\r\n250 XXXX\r\n", Offer::Masked),
        ] {
            talk.say(Client, b"EHLO a\r\n", 99);
            talk.say(Server, offer.as_bytes(), 99);
            assert_eq!(talk.watch.offer(), expected, "{offer:?}");
        }
    }
}
