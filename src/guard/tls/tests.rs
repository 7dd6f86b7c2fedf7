//! Names and versions, one by one.

use super::*;
use crate::guard::Settings;

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
