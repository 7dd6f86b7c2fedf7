//! Clients that are named may say whom they speak for; nobody else may.

use crate::support::esmtp::Esmtp;
use crate::support::rig::{Rig, settings, settings_with};
use crate::support::session::Session;
use mailguard::engine::{Exception, Settings, Treatment, Verdict, What};
use mailguard::flow::Direction::{Original as C, Reply as S};
use mailguard::guard::Settings as Guard;

const HEADER: &str = "PROXY TCP4 203.0.113.7 198.51.100.2 51234 25\r\n";

/// Settings in which this client may send the header.
fn named(client: &str) -> Settings {
    let mut guard = Guard::profile("esmtp").unwrap();
    guard.set("proxy_protocol", "pass").unwrap();
    let client = Some(client.parse().unwrap());
    let exception = Exception { client, server: None, treatment: Treatment::Enforce(guard) };
    Settings { exceptions: vec![exception], ..settings("esmtp") }
}

/// A server that reads the header by itself, which the model does not: what it would be told.
fn said(client: &str, pieces: &[&[u8]]) -> Session {
    let mut session = Session::silent(named(client), Esmtp::new(""));
    session.queue(pieces);
    session.repeat();
    session
}

#[test]
fn the_header_of_a_named_client_passes_whatever_the_cut() {
    for size in 1..=HEADER.len() {
        let pieces: Vec<&[u8]> = HEADER.as_bytes().chunks(size).collect();
        let session = said("192.0.2.0/24", &pieces);
        assert_eq!(session.server_got(), HEADER);
        assert!(session.alarms().is_empty());
        let is_told = |what: &What| {
            let What::Command { line, .. } = what else { return false };
            line == HEADER.trim_end().as_bytes()
        };
        assert!(session.rig.records.iter().any(|record| is_told(&record.what)));
    }
}

#[test]
fn from_anybody_else_it_is_a_line_like_any_other() {
    let session = said("192.0.2.128/25", &[HEADER.as_bytes()]);
    let masked = format!("{}\r\n", "X".repeat(HEADER.len() - 2));
    assert_eq!(session.server_got(), masked);
}

#[test]
fn a_broken_header_ends_the_flow() {
    let session = said("192.0.2.0/24", &[b"PROXY TCP4\nEXPN root\r\n"]);
    let is_reset =
        |what: &What| matches!(what, What::Reset { reason } if reason.name() == "broken-prefix");
    assert!(session.rig.records.iter().any(|record| is_reset(&record.what)));
    assert!(!session.server_got().contains("EXPN"));
}

/// Where monitoring it goes on, and begins a line for a server that knows no such header.
#[test]
fn a_broken_header_is_told_with_the_line_that_it_begins() {
    let guarded = settings_with("esmtp", &[("proxy_protocol", "pass")]);
    let mut rig = Rig::established(Settings { monitor: true, ..guarded }, [1, 2]);
    assert_eq!(rig.send(C, 0, b"PROXY TCP4\tNOOP\r\nRSET\r\n"), Verdict::Accept);
    let line = |what: &What| {
        let What::Command { line, .. } = what else { return None };
        Some(String::from_utf8_lossy(line).into_owned())
    };
    let lines: Vec<_> = rig.records.iter().filter_map(|record| line(&record.what)).collect();
    assert_eq!(lines, ["PROXY TCP4\tNOOP", "RSET"]);
}

/// A server that knows the header greets behind it, and refuses what it likes of what follows; one
/// that does not has refused the header before a client that waits says more.
#[test]
fn a_refusal_is_the_headers_unless_a_command_was_said_to_the_greeting() {
    let play = |lines: &[(_, &[u8])]| {
        let mut rig = Rig::established(named("192.0.2.0/24"), [1, 2]);
        for &(from, line) in lines {
            let _ = rig.send_next(from, line);
        }
        rig.has_told(
            |what| matches!(what, What::Reset { reason } if reason.name() == "broken-prefix"),
        )
    };
    let (header, hello, greeting) = (HEADER.as_bytes(), b"EHLO a\r\n", b"220 a\r\n");
    for code in ["500", "502", "504", "530", "550"] {
        let no = format!("{code} no\r\n");
        let no = no.as_bytes();
        assert!(!play(&[(C, header), (S, greeting), (C, hello), (S, no), (C, b"HELO a\r\n")]));
        assert!(play(&[(C, header), (S, greeting), (S, no)]), "nothing was said but the header");
        assert!(play(&[(S, greeting), (C, header), (S, no)]));
        // Who does not wait leaves it open what is refused.
        assert!(play(&[(C, header), (C, hello), (S, greeting), (S, no)]));
        assert!(play(&[(S, greeting), (C, header), (C, hello), (S, no)]));
    }
}
