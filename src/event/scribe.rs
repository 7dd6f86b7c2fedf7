//! Entries written one behind the other: those of the same second have their date in common.

use jiff::Zoned;

use super::{Format, Zone, date, json, syslog, text, zoned};
use crate::engine::Record;
use crate::time::Instant;

/// Writes entries in one format.
#[derive(Clone, Debug)]
pub struct Scribe {
    format: Format,
    zone: Zone,
    /// The second of the last entry, and its date.
    second: Option<i64>,
    date: String,
}

impl Scribe {
    /// It has written nothing yet.
    #[must_use]
    pub const fn new(format: Format, zone: Zone) -> Self {
        Self { format, zone, second: None, date: String::new() }
    }

    /// Appends one entry to `out`, line end included; nothing if the format has no words for it.
    pub fn write(&mut self, record: &Record, out: &mut Vec<u8>) {
        self.look_at(record.at);
        match self.format {
            Format::Text => text::write(record, &self.date, out),
            Format::Json => json::write(record, &self.date, out),
            Format::Syslog => syslog::write(record, &self.date, out),
        }
    }

    /// Appends the entry that so many others are missing here; `at` dates the last of them.
    pub fn write_left_out(&mut self, at: Instant, entries: u64, out: &mut Vec<u8>) {
        self.look_at(at);
        match self.format {
            Format::Text => text::write_left_out(entries, &self.date, out),
            Format::Json => json::write_left_out(entries, &self.date, out),
            Format::Syslog => syslog::write_left_out(entries, &self.date, out),
        }
    }

    fn look_at(&mut self, at: Instant) {
        let at = date(at);
        let of_second: fn(&Zoned) -> String = match self.format {
            Format::Text => text::date,
            Format::Json => json::date,
            Format::Syslog => syslog::date,
        };
        let zone = if self.format == Format::Json { Zone::Utc } else { self.zone };
        if zone != Zone::Undated && self.second != Some(at.as_second()) {
            self.second = Some(at.as_second());
            self.date = of_second(&zoned(at, zone));
        }
        if self.format == Format::Json {
            json::date_within(&mut self.date, at.subsec_microsecond());
        }
    }
}
