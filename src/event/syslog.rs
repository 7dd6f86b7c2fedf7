//! The syslog format, dated as with `logging timestamp` of PIX and ASA.
//!
//! What those had a message for is written under their number and in their words, so that whoever
//! counts by numbers counts the same things; everything else under a name of our own.
//!
//! | entry | message |
//! |---|---|
//! | an address in MAIL or RCPT was changed | `%ASA-2-108002`, with the bytes that came |
//! | the same where it is only reported | `%ASA-6-108005` |
//! | TLS begins | `%ASA-6-108007` |
//! | any other edit, a drop, a reset, an alarm | `%MAILGUARD-4-name`, the rule's or reason's name |
//! | what TLS may not be, how it failed, what is worth knowing | the same, by its name |
//! | entries left out | `%MAILGUARD-4-left-out` |
//!
//! Not written, as those did not: connections, lines and data that pass, a masked greeting and
//! masked keywords of an answer to EHLO, and what TCP sends again by itself. 108003, 108004, 108006
//! and 507003 speak of rules that are not here. The end that opened the flow is called outside, the
//! other inside.

use crate::engine::{Record, TlsEvent, What};
use crate::flow::{Direction, Endpoint};
use crate::guard::Rule;
use crate::tcp::Violation;
use crate::time::Instant;

use super::{Zone, clipped, escaped, named, zoned};

/// Appends one line, or nothing.
pub(super) fn write(record: &Record, zone: Zone, out: &mut Vec<u8>) {
    if let Some(message) = describe(record) {
        append(record.at, &message, zone, out);
    }
}

/// Appends a line about entries that are missing.
pub(super) fn write_left_out(at: Instant, entries: u64, zone: Zone, out: &mut Vec<u8>) {
    append(at, &ours("left-out", &format!("{entries} entries are not in this log")), zone, out);
}

fn append(at: Instant, message: &str, zone: Zone, out: &mut Vec<u8>) {
    if zone != Zone::Undated {
        let date = zoned(at, zone).strftime("%b %d %Y %H:%M:%S");
        out.extend_from_slice(format!("{date}: ").as_bytes());
    }
    out.extend_from_slice(format!("%{message}\n").as_bytes());
}

/// Origin, severity, number or name, and text.
fn describe(record: &Record) -> Option<String> {
    Some(match &record.what {
        What::Edited { rule: Rule::Banner | Rule::EhloKeyword, .. } => return None,
        What::Edited { direction, rule: Rule::Address, before, after, .. } if before == after => {
            let (from, to) = ends(record, *direction);
            format!(
                "ASA-6-108005: ESMTP Parameter: Received ESMTP Request from {from} to {to}; \
                 special-character: Special character in mail address"
            )
        }
        What::Edited { rule: Rule::Address, before, .. } => format!(
            "ASA-2-108002: SMTP replaced string: out {} in {} data: {}",
            record.originator.address,
            record.responder.address,
            escaped(before)
        ),
        What::Edited { direction, rule, patches, before, after, length, .. } => {
            let did = if before == after { "saw" } else { "changed" };
            let names = named("", patches);
            let what =
                format!("{did} \"{}\"{names}", clipped(before, *length).replace('"', "\\\""));
            told(record, *direction, rule.name(), &what)
        }
        What::Dropped { reason, .. } if reason.is_repeated_by_tcp() => return None,
        What::Dropped { direction, length, reason, .. } => {
            told(record, *direction, reason.name(), &format!("dropped {length} bytes"))
        }
        What::Reset { reason } => {
            told(record, Direction::Original, reason.name(), "reset the connection")
        }
        What::Alarm { direction, fault, .. } => told(record, *direction, fault.name(), "saw bytes"),
        What::Tls(event) => return describe_tls(record, event),
        What::Noticed { direction, notice } => told(record, *direction, notice.name(), "saw"),
        What::Contradiction { direction, .. } => {
            told(record, *direction, Violation::Contradiction.name(), "saw two versions of bytes")
        }
        What::Exceeded { direction, excess, .. } => {
            let what = format!("counted {} where {} is the limit", excess.count, excess.limit);
            told(record, *direction, excess.rule.name(), &what)
        }
        What::Unshown { direction, bytes, .. } => {
            let what = format!("left out the edits of {bytes} bytes");
            told(record, *direction, "left-out", &what)
        }
        What::LeftOut { entries } => {
            let what = format!("left out {entries} entries of the connection");
            told(record, Direction::Original, "left-out", &what)
        }
        What::Opened
        | What::Banner { .. }
        | What::Command { .. }
        | What::Reply { .. }
        | What::DataBegin { .. }
        | What::DataEnd { .. }
        | What::Cut { .. }
        | What::Missed { .. }
        | What::Closed => return None,
    })
}

fn describe_tls(record: &Record, event: &TlsEvent) -> Option<String> {
    Some(match event {
        TlsEvent::Begin { .. } => {
            let (client, server) = ends(record, Direction::Original);
            format!(
                "ASA-6-108007: TLS started on ESMTP session between client {client} and server \
                 {server}"
            )
        }
        TlsEvent::Alarm { direction, fault, .. } => {
            told(record, *direction, fault.name(), "saw bytes")
        }
        TlsEvent::Rule { rule } => told(record, Direction::Original, rule.name(), "saw a hello"),
        TlsEvent::Failed { .. } => told(record, Direction::Original, "tls-failed", "saw TLS fail"),
        TlsEvent::Agreed { .. } | TlsEvent::End { .. } => return None,
    })
}

fn told(record: &Record, direction: Direction, name: &str, what: &str) -> String {
    let (from, to) = ends(record, direction);
    ours(name, &format!("{what} from {from} to {to}"))
}

/// A message that neither PIX nor ASA had.
fn ours(name: &str, text: &str) -> String {
    format!("MAILGUARD-4-{name}: {text}")
}

/// Who sends in this direction, and who receives.
fn ends(record: &Record, direction: Direction) -> (String, String) {
    let client = place("outside", record.originator);
    let server = place("inside", record.responder);
    match direction {
        Direction::Original => (client, server),
        Direction::Reply => (server, client),
    }
}

/// An end behind its interface, as the original wrote it.
fn place(interface: &str, end: Endpoint) -> String {
    format!("{interface}:{}/{}", end.address, end.port)
}
