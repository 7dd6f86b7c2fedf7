//! The event log's writers: records in, lines out.
//!
//! Text is the protocol log of Microsoft's article 295725; json is one object a line; syslog are
//! the messages of PIX and ASA. Any of them may travel in datagrams. All escape logged bytes the
//! same way ([`escape`]), so that no sender can forge a line or drive a terminal. Nothing here
//! opens, rotates or buffers anything: a front owns where the lines go.

mod datagram;
mod escape;
mod json;
mod scribe;
mod severity;
mod syslog;
mod text;
mod tls;

pub use datagram::{Daemon, Datagram};
pub use escape::escape;
pub use scribe::Scribe;
pub(crate) use text::{bytes, quote};

use std::net::IpAddr;

use itoa::Buffer;
use jiff::tz::TimeZone;

use crate::engine::Record;
use crate::flow::{Direction, Endpoint};
use crate::patch::Id;
use crate::time::Instant;

/// How entries are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Format {
    /// The article's protocol log.
    #[default]
    Text,
    /// One json object a line.
    Json,
    /// The messages of PIX and ASA; entries for which they had none are not written.
    Syslog,
}

/// Which clock dates an entry (json is always in UTC).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Zone {
    /// Coordinated universal time.
    Utc,
    /// The machine's own zone.
    Local,
    /// None: whoever takes the entry dates it.
    Undated,
}

/// Appends one entry to `out`, line end included; nothing if the format has no words for it.
pub fn write(record: &Record, format: Format, zone: Zone, out: &mut Vec<u8>) {
    Scribe::new(format, zone).write(record, out);
}

/// Appends the entry that so many others are missing here; `at` dates the last of them.
pub fn write_left_out(at: Instant, entries: u64, format: Format, zone: Zone, out: &mut Vec<u8>) {
    Scribe::new(format, zone).write_left_out(at, entries, out);
}

/// The SMTP role of the side that sends in this direction.
pub(crate) const fn side(direction: Direction) -> &'static str {
    direction.speaker().name()
}

/// An end, the commonest kind of them without the formatter, which takes ten times as long.
fn shown(end: Endpoint) -> String {
    let IpAddr::V4(address) = end.address else { return end.to_string() };
    let (mut text, mut digits) = (String::with_capacity(END_BYTES_MAX), Buffer::new());
    for (octet, mark) in address.octets().into_iter().zip([".", ".", ".", ":"]) {
        text.push_str(digits.format(octet));
        text.push_str(mark);
    }
    text.push_str(digits.format(end.port));
    text
}

/// Of an IPv4 address with a port.
const END_BYTES_MAX: usize = 21;

/// A rule, and the patches that it acted for.
fn named(rule: &str, patches: &[Id]) -> String {
    patches.iter().fold(rule.to_owned(), |all, id| format!("{all} {id}"))
}

fn escaped(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len());
    escape(bytes, &mut text);
    text
}

/// Logged bytes, and a mark where they were cut that no bytes can imitate: a backslash of theirs is
/// escaped.
fn clipped(bytes: &[u8], length: u64) -> String {
    let mut text = String::with_capacity(bytes.len());
    clip(bytes, length, &mut text);
    text
}

/// Appends the same.
fn clip(bytes: &[u8], length: u64, out: &mut String) {
    escape(bytes, out);
    if length > bytes.len() as u64 {
        out.push_str(&format!("\\...[{length} bytes]"));
    }
}

/// The date of an instant; what no calendar reaches (a capture may claim any time) is its last day.
fn date(at: Instant) -> jiff::Timestamp {
    i64::try_from(at.micros())
        .ok()
        .and_then(|micros| jiff::Timestamp::from_microsecond(micros).ok())
        .unwrap_or(jiff::Timestamp::MAX)
}

fn zoned(at: jiff::Timestamp, zone: Zone) -> jiff::Zoned {
    at.to_zoned(match zone {
        Zone::Utc | Zone::Undated => TimeZone::UTC,
        Zone::Local => TimeZone::system(),
    })
}

#[cfg(test)]
mod tests;
