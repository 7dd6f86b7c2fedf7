//! The text format: the protocol log of Microsoft's article 295725.
//!
//! `2/7/01 5:01:21 PM : <<< HELO mail.domain1.com`: what the client said stands behind `<<<`, what
//! the server said behind `>>>`. What that log has no words for stands in the same frame behind
//! `***`; quoted bytes there have their quotes escaped as well.

use std::fmt::Write;
use std::net::IpAddr;

use jiff::Zoned;

use crate::engine::{Record, TlsEvent, What};
use crate::flow::Direction;
use crate::speaker::Speaker;
use crate::tcp::Violation;
use crate::tls::Volume;

use super::tls::{alert_word, group, offered, suite};
use super::{clip, clipped, named, side};

/// Appends one line.
pub(super) fn write(record: &Record, date: &str, out: &mut Vec<u8>) {
    let mut line = String::with_capacity(128);
    line.push_str(date);
    describe(record, &mut line);
    line.push('\n');
    out.extend_from_slice(line.as_bytes());
}

/// Appends a line about entries that are missing.
pub(super) fn write_left_out(entries: u64, date: &str, out: &mut Vec<u8>) {
    let line = format!("{date}*** {} left out\n", counted(entries, "entry", "entries"));
    out.extend_from_slice(line.as_bytes());
}

/// What a line begins with.
pub(super) fn date(at: &Zoned) -> String {
    let (half, hour) = if at.hour() < 12 { ("AM", at.hour()) } else { ("PM", at.hour() - 12) };
    let hour = if hour == 0 { 12 } else { hour };
    let year = at.year().rem_euclid(100);
    let (month, day, minute, second) = (at.month(), at.day(), at.minute(), at.second());
    format!("{month}/{day}/{year:02} {hour}:{minute:02}:{second:02} {half} : ")
}

fn describe(record: &Record, line: &mut String) {
    let client = record.originator.address;
    // Writing to a String cannot fail.
    let _ = match &record.what {
        What::Opened => write!(line, "A connection was accepted from {client}"),
        What::Command { line: said, length, .. } => {
            line.push_str("<<< ");
            clip(said, *length, line);
            Ok(())
        }
        What::Banner { line: said, length, .. } | What::Reply { line: said, length, .. } => {
            line.push_str(">>> ");
            clip(said, *length, line);
            Ok(())
        }
        What::DataBegin { offset } => {
            place(Direction::Original, *offset, line).and_then(|()| line.write_str("data begins"))
        }
        What::DataEnd { offset, length } => place(Direction::Original, *offset, line)
            .and_then(|()| write!(line, "data ends, {}", bytes(*length))),
        What::Edited { direction, offset, rule, patches, before, after, length } => {
            let (before, after) = (quote(before, *length), quote(after, *length));
            let rule = named(rule.name(), patches);
            place(*direction, *offset, line)
                .and_then(|()| write!(line, "{rule}: \"{before}\" -> \"{after}\""))
        }
        What::Dropped { direction, offset, length, reason } => place(*direction, *offset, line)
            .and_then(|()| write!(line, "dropped {}: {}", bytes(*length), reason.name())),
        What::Cut { direction, offset, length, reason } => place(*direction, *offset, line)
            .and_then(|()| write!(line, "cut {}: {}", bytes(*length), reason.name())),
        What::Missed { direction, length } => write!(
            line,
            "*** {}: {} not seen, what follows is uncertain",
            side(*direction),
            bytes(*length)
        ),
        What::Reset { reason } => {
            write!(line, "*** The connection from {client} was reset: {}", reason.name())
        }
        What::Alarm { direction, offset, fault } => {
            place(*direction, *offset, line).and_then(|()| write!(line, "alarm: {}", fault.name()))
        }
        What::Contradiction { direction, offset } => place(*direction, *offset, line)
            .and_then(|()| write!(line, "alarm: {}", Violation::Contradiction.name())),
        What::Exceeded { excess, .. } => write!(
            line,
            "*** The connection from {client} has passed a limit: {}, {} of {}",
            excess.rule.name(),
            excess.count,
            excess.limit
        ),
        What::Unshown { direction, offset, rule, bytes: count } => place(*direction, *offset, line)
            .and_then(|()| {
                write!(line, "{}: edits of {} are not shown", rule.name(), bytes(*count))
            }),
        What::LeftOut { entries } => {
            let entries = counted(*entries, "entry", "entries");
            write!(line, "*** {entries} of the connection from {client} left out")
        }
        What::Tls(event) => describe_tls(event, client, line),
        What::Noticed { notice, .. } => {
            let (notice, server) = (notice.name(), record.responder);
            write!(line, "*** {notice} on the connection from {client} to {server}")
        }
        What::Closed => write!(line, "*** The connection from {client} was closed"),
    };
}

fn describe_tls(event: &TlsEvent, client: IpAddr, line: &mut String) -> std::fmt::Result {
    match event {
        TlsEvent::Begin { offer: None } => {
            write!(line, "*** TLS begins on the connection from {client}")
        }
        TlsEvent::Begin { offer: Some(offer) } => {
            write!(line, "*** TLS begins on the connection from {client}:{}", offered(offer))
        }
        TlsEvent::Agreed { hello } => write!(
            line,
            "*** TLS is agreed on: {} {}{}",
            hello.version,
            suite(hello.cipher_suite),
            hello.group.map(|value| format!(" {}", group(value))).unwrap_or_default()
        ),
        TlsEvent::Failed { by, alert, stage } => write!(
            line,
            "*** TLS failed on the connection from {client} behind {}{}{}",
            stage.name(),
            by.map(|by| format!(", by the {}", side(by))).unwrap_or_default(),
            alert.map(|value| format!(": {}", alert_word(value))).unwrap_or_default()
        ),
        TlsEvent::End { volume, is_truncated } => write!(
            line,
            "*** TLS ends: client {}, server {}{}",
            in_records(volume[Speaker::Client]),
            in_records(volume[Speaker::Server]),
            if *is_truncated { ", truncated" } else { "" }
        ),
        TlsEvent::Alarm { direction, offset, fault } => {
            place(*direction, *offset, line).and_then(|()| write!(line, "alarm: {}", fault.name()))
        }
        TlsEvent::Rule { rule } => {
            write!(line, "*** The connection from {client} offends {}", rule.name())
        }
    }
}

fn place(direction: Direction, offset: u64, line: &mut String) -> std::fmt::Result {
    write!(line, "*** {} offset {offset}: ", side(direction))
}

/// `1 byte`, `7 bytes`.
pub(crate) fn bytes(length: u64) -> String {
    counted(length, "byte", "bytes")
}

fn in_records(volume: Volume) -> String {
    format!("{} in {}", bytes(volume.bytes), counted(volume.records, "record", "records"))
}

fn counted(number: u64, one: &str, many: &str) -> String {
    format!("{number} {}", if number == 1 { one } else { many })
}

/// [`clipped`] bytes that may stand in quotation marks.
pub(crate) fn quote(bytes: &[u8], length: u64) -> String {
    clipped(bytes, length).replace('"', "\\\"")
}
