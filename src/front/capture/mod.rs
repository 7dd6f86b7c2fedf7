//! Capture files: records in, records out, every byte that is not ours to change kept.
//!
//! Reads pcap (microseconds and nanoseconds, both byte orders) and pcapng (sections, interfaces
//! with their own link types and clocks, enhanced, simple and obsolete packet blocks). A record is
//! handed out together with its bytes in the file, so that what did not change is written back as
//! it stood; blocks that hold no packet are carried over unread. Memory is bounded by
//! [`RECORD_BYTES_MAX`], whatever a file claims. What is inside a frame is [`link`]'s business.
//!
//! Own code, with pcap-parser as the tests' second reader, because that crate's readers take a
//! damaged block for the end of the file, subtract beyond zero on a short one and hold twelve times
//! its size, and its parsers of single blocks would replace no more than the reading of fields.

mod classic;
pub mod link;
mod ng;
#[cfg(test)]
mod tests;
mod window;

use std::fmt;
use std::io::{self, Read};

use window::Window;

pub use ng::write_section;

/// The longest record read: 64 times the largest IP packet and far above libpcap's largest snap
/// length for networks (262144), so that a longer one is a damaged length field.
pub const RECORD_BYTES_MAX: usize = 16 << 20;

/// Link types by their registered numbers (tcpdump.org/linktypes.html).
pub type LinkType = u16;

/// Reads a capture record by record.
#[derive(Debug)]
pub struct Reader<R> {
    window: Window<R>,
    form: Form,
    is_cut: bool,
}

/// Which of the two file formats, and what its records depend on.
#[derive(Debug)]
enum Form {
    Unknown,
    Classic(classic::Header),
    Ng(ng::Section),
}

/// One piece of a capture file, in file order.
#[derive(Debug)]
pub enum Entry<'a> {
    /// A packet.
    Packet(Packet<'a>),
    /// The file's header, or a block that holds no packet: its bytes, to be carried over.
    Other(&'a [u8]),
    /// A new pcapng section begins: what was known of interfaces is void. Its bytes as above; where
    /// packets may be missing from it, [`write_section`] carries them over.
    Section(&'a [u8]),
}

/// A packet as recorded.
#[derive(Debug)]
pub struct Packet<'a> {
    /// The whole record as it stands in the file.
    pub record: &'a [u8],
    /// The captured bytes, from the first byte of the link header.
    pub frame: &'a [u8],
    /// Bytes the packet had before the capture cut it.
    pub original_length: u32,
    /// The link type of the interface that recorded it.
    pub link: LinkType,
    /// Microseconds since the Unix epoch; a simple packet block has no time.
    pub micros: Option<u64>,
    /// How to write another frame like it.
    pub shape: Shape,
    /// Packet options (pcapng), as they stand in the file.
    options: &'a [u8],
}

impl Packet<'_> {
    /// Appends this record with another frame in the place of its own.
    pub fn write_with(&self, frame: &[u8], out: &mut Vec<u8>) {
        let length = self.frame.len().abs_diff(frame.len());
        let length = u32::try_from(length).unwrap_or(u32::MAX);
        let original = if frame.len() < self.frame.len() {
            self.original_length.saturating_sub(length)
        } else {
            self.original_length.saturating_add(length)
        };
        self.shape.write(frame, original, self.options, out);
    }
}

/// Everything of a record but its frame: enough to write another packet like it.
#[derive(Clone, Copy, Debug)]
pub struct Shape(Record);

#[derive(Clone, Copy, Debug)]
enum Record {
    Classic(classic::Stamp),
    Ng(ng::Stamp),
}

impl Shape {
    /// This shape with the time of another record of the same section; `micros` is that time for
    /// the case that the two interfaces count in different units.
    #[must_use]
    pub fn at(self, other: Self, micros: u64) -> Self {
        match (self.0, other.0) {
            (Record::Ng(this), Record::Ng(that)) => Self(Record::Ng(this.at(that, micros))),
            (Record::Classic(_), Record::Classic(_)) => other,
            // One file holds one format.
            (Record::Classic(_), Record::Ng(_)) | (Record::Ng(_), Record::Classic(_)) => self,
        }
    }

    /// Appends a record of this shape.
    pub fn write(self, frame: &[u8], original_length: u32, options: &[u8], out: &mut Vec<u8>) {
        match self.0 {
            Record::Classic(stamp) => stamp.write(frame, original_length, out),
            Record::Ng(stamp) => stamp.write(frame, original_length, options, out),
        }
    }
}

impl<R: Read> Reader<R> {
    /// A reader at the start of a file.
    pub const fn new(source: R) -> Self {
        Self { window: Window::new(source), form: Form::Unknown, is_cut: false }
    }

    /// The next piece, or nothing at the end. A file that ends inside a record (its recorder was
    /// killed) ends before that record, and [`is_cut`](Self::is_cut) says so from then on.
    ///
    /// # Errors
    /// The file cannot be read, or is no capture, or a record contradicts itself.
    pub fn read(&mut self) -> Result<Option<Entry<'_>>, Fault> {
        self.window.advance();
        if self.is_cut || !self.window.fill(1)? {
            if matches!(self.form, Form::Unknown) {
                return Err(self.window.expected("a pcap or pcapng header, found an empty file"));
            }
            return Ok(None);
        }
        if matches!(self.form, Form::Unknown) {
            self.form = open(&mut self.window)?;
            if matches!(self.form, Form::Classic(_)) {
                return Ok(Some(Entry::Other(self.window.take(classic::HEADER_BYTES))));
            }
        }
        let entry = match &mut self.form {
            Form::Unknown => None,
            Form::Classic(header) => header.next(&mut self.window)?,
            Form::Ng(section) => section.next(&mut self.window)?,
        };
        self.is_cut = entry.is_none();
        Ok(entry)
    }

    /// Whether the file ended inside a record.
    #[must_use]
    pub const fn is_cut(&self) -> bool {
        self.is_cut
    }

    /// Byte offset in the file of the piece handed out last.
    #[must_use]
    pub const fn offset(&self) -> u64 {
        self.window.offset()
    }
}

/// Tells the format by the file's first bytes; a header that is cut is no capture yet.
fn open<R: Read>(window: &mut Window<R>) -> Result<Form, Fault> {
    window.fill(4)?;
    let is_ng = window.peek().first_chunk() == Some(&ng::SECTION_HEADER.to_be_bytes());
    let form = if is_ng {
        window.fill(ng::SECTION_BYTES_MIN)?.then(|| Form::Ng(ng::Section::default()))
    } else {
        classic::Header::read(window)?.map(Form::Classic)
    };
    form.ok_or_else(|| window.expected("a whole pcap or pcapng header, found a shorter file"))
}

/// Why a capture cannot be read on.
#[derive(Debug)]
pub enum Fault {
    /// The system refused to read.
    Io(io::Error),
    /// The file is not what it should be.
    Unexpected {
        /// Byte offset of the record concerned.
        offset: u64,
        /// What should stand there, and what does.
        expected: String,
    },
}

impl From<io::Error> for Fault {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Io(error) => write!(f, "{error}"),
            Self::Unexpected { offset, expected } => {
                write!(f, "byte {offset}: expected {expected}")
            }
        }
    }
}

/// Byte order of a file's own fields.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Order {
    #[default]
    Little,
    Big,
}

impl Order {
    /// The 16-bit field at an offset.
    fn short(self, bytes: &[u8], at: usize) -> Option<u16> {
        let field = *bytes.get(at..)?.first_chunk()?;
        Some(match self {
            Self::Little => u16::from_le_bytes(field),
            Self::Big => u16::from_be_bytes(field),
        })
    }

    /// The 32-bit field at an offset.
    fn word(self, bytes: &[u8], at: usize) -> Option<u32> {
        let field = *bytes.get(at..)?.first_chunk()?;
        Some(match self {
            Self::Little => u32::from_le_bytes(field),
            Self::Big => u32::from_be_bytes(field),
        })
    }

    fn bytes(self, word: u32) -> [u8; 4] {
        match self {
            Self::Little => word.to_le_bytes(),
            Self::Big => word.to_be_bytes(),
        }
    }
}

/// A length as files state it; no frame of ours comes near the bound.
fn stated(length: usize) -> u32 {
    u32::try_from(length).unwrap_or(u32::MAX)
}
