//! The event log's writers: records in, lines out.
//!
//! Text is the protocol log of Microsoft's article 295725; json is one object a line; syslog are
//! the messages of PIX and ASA. Any of them may travel in datagrams. All escape logged bytes the
//! same way ([`escape`]), so that no sender can forge a line or drive a terminal. Nothing here
//! opens, rotates or buffers anything: a front owns where the lines go.

mod datagram;
mod escape;
mod json;
mod syslog;
mod text;
mod tls;

pub use datagram::{Daemon, Datagram};
pub use escape::escape;
pub(crate) use text::{bytes, quote};

use jiff::tz::TimeZone;

use crate::engine::Record;
use crate::flow::Direction;
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
    match format {
        Format::Text => text::write(record, zone, out),
        Format::Json => json::write(record, out),
        Format::Syslog => syslog::write(record, zone, out),
    }
}

/// Appends the entry that so many others are missing here; `at` dates the last of them.
pub fn write_left_out(at: Instant, entries: u64, format: Format, zone: Zone, out: &mut Vec<u8>) {
    match format {
        Format::Text => text::write_left_out(at, entries, zone, out),
        Format::Json => json::write_left_out(at, entries, out),
        Format::Syslog => syslog::write_left_out(at, entries, zone, out),
    }
}

/// The SMTP role of the side that sends in this direction.
pub(crate) const fn side(direction: Direction) -> &'static str {
    match direction {
        Direction::Original => "client",
        Direction::Reply => "server",
    }
}

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
    let mut text = escaped(bytes);
    if length > bytes.len() as u64 {
        text.push_str(&format!("\\...[{length} bytes]"));
    }
    text
}

/// The date of an instant; what no calendar reaches (a capture may claim any time) is its last day.
fn date(at: Instant) -> jiff::Timestamp {
    i64::try_from(at.micros())
        .ok()
        .and_then(|micros| jiff::Timestamp::from_microsecond(micros).ok())
        .unwrap_or(jiff::Timestamp::MAX)
}

fn zoned(at: Instant, zone: Zone) -> jiff::Zoned {
    date(at).to_zoned(match zone {
        Zone::Utc | Zone::Undated => TimeZone::UTC,
        Zone::Local => TimeZone::system(),
    })
}

#[cfg(test)]
mod tests;
