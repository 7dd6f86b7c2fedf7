//! The syslog format, dated as with `logging timestamp` of PIX and ASA.
//!
//! Where a flow follows a PIX or an ASA, what those had a message for is written under their number
//! and in their words, so that whoever counts by numbers counts the same things; everything else
//! under a name of our own.
//!
//! | entry | message |
//! |---|---|
//! | characters of an address became spaces | `%PIX-2-108002`, `%ASA-2-108002` |
//! | a patch has ended the flow for a pattern in an address | `%ASA-2-108003` |
//! | a row of an ASA's map has ended the flow | `%ASA-4-108004`, then `%ASA-4-507003` |
//! | a row of it has masked a keyword, and logs | `%ASA-4-108004` |
//! | a row of it, or a special character in an address, that only logs | `%ASA-6-108005` |
//! | a message is larger than its MAIL has said | `%ASA-7-108006` |
//! | TLS begins, and that is to be logged | `%ASA-6-108007` |
//! | TLS begins elsewhere | `%MAILGUARD-6-tls-begin` |
//! | any other edit, a drop, a reset, an alarm | `%MAILGUARD-4-name`, the rule's or reason's name |
//! | what TLS may not be, how it failed, what is worth knowing | the same, by its name |
//! | entries left out | `%MAILGUARD-4-left-out` |
//!
//! Not written, as those did not: connections, lines and data that pass, a masked greeting and
//! masked keywords of an answer to EHLO, and what TCP sends again by itself. The end that opened
//! the flow is called outside, the other inside.

use jiff::Zoned;

use crate::engine::{Message, Record, TlsEvent, What};
use crate::flow::{Direction, Endpoint};
use crate::guard::{Action, Row, Rule};

use super::severity::{WARNING, severity};
use super::{clipped, escaped, named};

/// Appends one line, or nothing.
pub(super) fn write(record: &Record, date: &str, out: &mut Vec<u8>) {
    let theirs = record.message.and_then(|message| known(record, message));
    if let Some(message) = theirs.or_else(|| describe(record)) {
        append(&message, date, out);
    }
}

/// Appends a line about entries that are missing.
pub(super) fn write_left_out(entries: u64, date: &str, out: &mut Vec<u8>) {
    let text = format!("{entries} entries are not in this log");
    append(&ours(WARNING, What::LEFT_OUT, &text), date, out);
}

fn append(message: &str, date: &str, out: &mut Vec<u8>) {
    out.extend_from_slice(format!("{date}%{message}\n").as_bytes());
}

/// What a line begins with.
pub(super) fn date(at: &Zoned) -> String {
    at.strftime("%b %d %Y %H:%M:%S: ").to_string()
}

/// The message of a PIX or an ASA: origin, severity, number and text.
fn known(record: &Record, message: Message) -> Option<String> {
    let severity = severity(record);
    let (from, to) = ends(record, Direction::Original);
    Some(match (message, &record.what) {
        (Message::Replaced { is_asa }, What::Edited { before, after, .. }) => {
            let maker = if is_asa { "ASA" } else { "PIX" };
            let (from, to) = (record.originator.address, record.responder.address);
            let replaced = replaced(before, after);
            let data = escaped(before);
            format!(
                "{maker}-{severity}-108002: SMTP replaced {replaced}: out {from} in {to} data: \
                 {data}"
            )
        }
        (Message::MaliciousAddress, What::Edited { before, length, .. }) => format!(
            "ASA-{severity}-108003: Terminating ESMTP connection; malicious pattern detected in \
             the mail address from {from} to {to}. Mail Address:{}",
            address(&clipped(before, *length))
        ),
        (Message::Met(row), what) => format!("ASA-{severity}-{}", met(record, row, what)),
        (Message::SpecialCharacter, _) => format!(
            "ASA-{severity}-108005: ESMTP Parameter: Received ESMTP Request from {from} to {to}; \
             special-character: Special character in mail address"
        ),
        (Message::LargerThanDeclared, What::Exceeded { excess, .. }) => format!(
            "ASA-{severity}-108006: Detected ESMTP size violation from {from} to {to}; declared \
             size is: {}, actual size is {}",
            excess.limit, excess.count
        ),
        (Message::TlsStarted, _) => format!(
            "ASA-{severity}-108007: TLS started on ESMTP session between client {from} and \
             server {to}"
        ),
        (Message::Terminated { row, .. }, _) => {
            let reason = if row.action == Action::Reset {
                "inspector reset unconditionally"
            } else {
                "inspector disconnected, dropped packet"
            };
            format!(
                "ASA-{severity}-507003: tcp flow from {from} to {to} terminated by inspection \
                 engine, reason - {reason}."
            )
        }
        _ => return None,
    })
}

/// That a row of the map was met: number and text.
#[expect(clippy::wildcard_enum_match_arm, reason = "only limits have a number")]
fn met(record: &Record, row: Row, what: &What) -> String {
    let (number, did) = match row.action {
        Action::DropConnection => (108_004, "Dropped connection for"),
        Action::Log => (108_005, "Received"),
        Action::Mask => (108_004, "Masked header flags for"),
        Action::Reset => (108_004, "Reset connection for"),
    };
    // Masked are words of the server's.
    let (kind, direction) = match row.action {
        Action::Mask => ("Response", Direction::Reply),
        Action::DropConnection | Action::Log | Action::Reset => ("Request", Direction::Original),
    };
    let (from, to) = ends(record, direction);
    let Row { class, condition, .. } = row;
    let count = match what {
        What::Exceeded { excess, .. } => format!(" gt {}", excess.limit),
        _ => String::new(),
    };
    format!(
        "{number}: ESMTP Classification: {did} ESMTP {kind} from {from} to {to}; matched Class \
         {class}: {condition}{count}"
    )
}

/// An argument of MAIL or RCPT without its first word.
fn address(argument: &str) -> &str {
    match argument.split_once(':') {
        Some((word, rest)) if matches!(word.to_ascii_uppercase().as_str(), "FROM" | "TO") => rest,
        Some(_) | None => argument,
    }
}

/// The characters that became spaces, as far as they are shown.
fn replaced(before: &[u8], after: &[u8]) -> String {
    let pairs = before.iter().zip(after).filter(|(before, after)| before != after);
    let characters: Vec<u8> = pairs.map(|(&before, _)| before).collect();
    if characters.is_empty() { "string".to_owned() } else { escaped(&characters) }
}

/// Origin, severity, name and text of a message of our own.
fn describe(record: &Record) -> Option<String> {
    Some(match &record.what {
        What::Edited { rule: Rule::Banner | Rule::EhloKeyword, .. } => return None,
        What::Edited { direction, patches, before, after, length, .. } => {
            let did = if before == after { "saw" } else { "changed" };
            let names = named("", patches);
            let what =
                format!("{did} \"{}\"{names}", clipped(before, *length).replace('"', "\\\""));
            told(record, *direction, &what)
        }
        What::Dropped { reason, .. } if reason.is_repeated_by_tcp() => return None,
        What::Dropped { direction, length, .. } => {
            told(record, *direction, &format!("dropped {length} bytes"))
        }
        What::Reset { .. } => told(record, Direction::Original, "reset the connection"),
        What::Alarm { direction, .. } => told(record, *direction, "saw bytes"),
        What::Tls(event) => return describe_tls(record, event),
        What::Noticed { direction, .. } => told(record, *direction, "saw"),
        What::Contradiction { direction, .. } => {
            told(record, *direction, "saw two versions of bytes")
        }
        What::Exceeded { excess, .. } => {
            // Whoever's bytes show it, what is limited is what a client does.
            let what = format!("counted {} where {} is the limit", excess.count, excess.limit);
            told(record, Direction::Original, &what)
        }
        What::Unshown { direction, bytes, .. } => {
            let what = format!("left out the edits of {bytes} bytes");
            told(record, *direction, &what)
        }
        What::LeftOut { entries } => {
            let what = format!("left out {entries} entries of the connection");
            told(record, Direction::Original, &what)
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
        TlsEvent::Begin { .. } => told(record, Direction::Original, "saw TLS begin"),
        TlsEvent::Alarm { direction, .. } => told(record, *direction, "saw bytes"),
        TlsEvent::Rule { .. } => told(record, Direction::Original, "saw a hello"),
        TlsEvent::Failed { .. } => told(record, Direction::Original, "saw TLS fail"),
        TlsEvent::Agreed { .. } | TlsEvent::End { .. } => return None,
    })
}

fn told(record: &Record, direction: Direction, what: &str) -> String {
    let name = record.what.cause().unwrap_or_else(|| record.what.name());
    let (from, to) = ends(record, direction);
    ours(severity(record), name, &format!("{what} from {from} to {to}"))
}

/// A message that neither PIX nor ASA had.
fn ours(severity: u8, name: &str, text: &str) -> String {
    format!("MAILGUARD-{severity}-{name}: {text}")
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
