//! The classic format: one header, then records of seconds, fraction, two lengths and the frame.

use std::io::Read;

use super::window::Window;
use super::{Entry, Fault, LinkType, Order, Packet, RECORD_BYTES_MAX, Record, Shape, stated};

/// Magic, version, zone, accuracy, snap length, link type.
pub(super) const HEADER_BYTES: usize = 24;
/// Seconds, fraction, captured length, original length.
const RECORD_HEADER_BYTES: usize = 16;

const MAGIC_MICROS: u32 = 0xa1b2_c3d4;
const MAGIC_NANOS: u32 = 0xa1b2_3c4d;

/// What a file's header says about its records.
#[derive(Debug)]
pub(super) struct Header {
    order: Order,
    is_nanos: bool,
    link: LinkType,
}

impl Header {
    /// Reads the header without taking it; nothing if the file is shorter.
    pub(super) fn read<R: Read>(window: &mut Window<R>) -> Result<Option<Self>, Fault> {
        let is_whole = window.fill(HEADER_BYTES)?;
        let header = window.peek();
        let kind = |order: Order| match order.word(header, 0) {
            Some(MAGIC_MICROS) => Some((order, false)),
            Some(MAGIC_NANOS) => Some((order, true)),
            Some(_) | None => None,
        };
        let Some((order, is_nanos)) = kind(Order::Little).or_else(|| kind(Order::Big)) else {
            return Err(window.expected(format!(
                "the magic number of a pcap or pcapng file, found {:02x?}",
                header.get(..4).unwrap_or(header)
            )));
        };
        if !is_whole {
            return Ok(None);
        }
        // The upper half of the field says whether frames end in a checksum.
        let link = order.word(header, 20).map(|word| (word & 0xffff) as LinkType);
        Ok(link.map(|link| Self { order, is_nanos, link }))
    }

    /// The next record; nothing if the file ends inside it.
    pub(super) fn next<'a, R: Read>(
        &self,
        window: &'a mut Window<R>,
    ) -> Result<Option<Entry<'a>>, Fault> {
        if !window.fill(RECORD_HEADER_BYTES)? {
            return Ok(None);
        }
        let Some(fields) = self.fields(window.peek()) else { return Ok(None) };
        if fields.captured > RECORD_BYTES_MAX {
            return Err(window.expected(format!(
                "a record of at most {RECORD_BYTES_MAX} bytes, found a length of {}",
                fields.captured
            )));
        }
        let length = RECORD_HEADER_BYTES.saturating_add(fields.captured);
        if !window.fill(length)? {
            return Ok(None);
        }
        let record = window.take(length);
        let frame = record.get(RECORD_HEADER_BYTES..).unwrap_or_default();
        Ok(Some(Entry::Packet(Packet {
            record,
            frame,
            original_length: fields.original,
            link: self.link,
            micros: Some(fields.micros),
            shape: Shape(Record::Classic(Stamp { order: self.order, time: fields.time })),
            options: &[],
        })))
    }

    fn fields(&self, record: &[u8]) -> Option<Fields> {
        let seconds = u64::from(self.order.word(record, 0)?);
        let fraction = u64::from(self.order.word(record, 4)?);
        let micros = if self.is_nanos { fraction / 1_000 } else { fraction };
        Some(Fields {
            time: *record.first_chunk()?,
            micros: seconds.saturating_mul(1_000_000).saturating_add(micros),
            captured: usize::try_from(self.order.word(record, 8)?).ok()?,
            original: self.order.word(record, 12)?,
        })
    }
}

struct Fields {
    time: [u8; 8],
    micros: u64,
    captured: usize,
    original: u32,
}

/// A record's time as the file writes it, and the byte order of its lengths.
#[derive(Clone, Copy, Debug)]
pub(super) struct Stamp {
    order: Order,
    time: [u8; 8],
}

impl Stamp {
    pub(super) fn write(self, frame: &[u8], original_length: u32, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.time);
        out.extend_from_slice(&self.order.bytes(stated(frame.len())));
        out.extend_from_slice(&self.order.bytes(original_length));
        out.extend_from_slice(frame);
    }
}
