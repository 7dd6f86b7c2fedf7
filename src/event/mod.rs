//! What happened, written down: the forms of the event log.
//! To be written.

use crate::engine::Record;

/// The forms an event log can have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// One line of text an event.
    Text,
    /// One JSON object a line.
    Json,
}

/// In which zone times are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Zone {
    /// The machine's own.
    Local,
    /// Universal time.
    Utc,
}

/// Appends one entry to `out`.
pub fn write(record: &Record, format: Format, zone: Zone, out: &mut Vec<u8>) {
    let _ = (format, zone);
    out.extend_from_slice(format!("{record:?}\n").as_bytes());
}
