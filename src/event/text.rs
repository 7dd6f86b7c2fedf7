//! The text format: the protocol log of Microsoft's article 295725.
//!
//! `2/7/01 5:01:21 PM : <<< HELO mail.domain1.com`: what the client said stands behind `<<<`, what
//! the server said behind `>>>`. What that log has no words for stands in the same frame behind
//! `***`; quoted bytes there have their quotes escaped as well.

use std::fmt::Write;

use crate::engine::{Record, What};
use crate::flow::Direction;

use super::{Zone, escaped, side, zoned};

/// Appends one line.
pub(super) fn write(record: &Record, zone: Zone, out: &mut Vec<u8>) {
    let at = zoned(record.at, zone);
    let mut line = String::with_capacity(128);
    let (half, hour) = if at.hour() < 12 { ("AM", at.hour()) } else { ("PM", at.hour() - 12) };
    let hour = if hour == 0 { 12 } else { hour };
    let year = at.year().rem_euclid(100);
    // Writing to a String cannot fail.
    let _ = write!(
        line,
        "{}/{}/{year:02} {hour}:{:02}:{:02} {half} : ",
        at.month(),
        at.day(),
        at.minute(),
        at.second()
    );
    describe(record, &mut line);
    line.push('\n');
    out.extend_from_slice(line.as_bytes());
}

fn describe(record: &Record, line: &mut String) {
    let client = record.originator.address;
    // Writing to a String cannot fail.
    let _ = match &record.what {
        What::Opened => write!(line, "A connection was accepted from {client}"),
        What::Command { line: said, .. } => write!(line, "<<< {}", escaped(said)),
        What::Banner { line: said, .. } | What::Reply { line: said, .. } => {
            write!(line, ">>> {}", escaped(said))
        }
        What::DataBegin { offset } => {
            place(Direction::Original, *offset, line).and_then(|()| line.write_str("data begins"))
        }
        What::DataEnd { offset, length } => place(Direction::Original, *offset, line)
            .and_then(|()| write!(line, "data ends, {}", bytes(*length))),
        What::Edited { direction, offset, rule, before, after } => place(*direction, *offset, line)
            .and_then(|()| {
                write!(line, "{}: \"{}\" -> \"{}\"", rule.name(), quote(before), quote(after))
            }),
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
        What::TlsBegin => write!(line, "*** TLS begins on the connection from {client}"),
        What::Closed => write!(line, "*** The connection from {client} was closed"),
    };
}

fn place(direction: Direction, offset: u64, line: &mut String) -> std::fmt::Result {
    write!(line, "*** {} offset {offset}: ", side(direction))
}

fn bytes(length: u64) -> String {
    format!("{length} byte{}", if length == 1 { "" } else { "s" })
}

fn quote(bytes: &[u8]) -> String {
    escaped(bytes).replace('"', "\\\"")
}
