//! A message's header as it comes, field by field, and what rules look for in the fields' values.
//!
//! A value is read unfolded: the line end before a blank is none of it. Most lines of a header hold
//! nothing that a rule could mind, and cost one vectorised search: of each text that is looked for
//! one byte is known that few values have ([`Fields`]), and only near such a byte, or where a cut
//! may hide one, is the automaton run. A line of few bytes, of which an attack has thousands, is
//! looked at once, byte by byte ([`Marks`]).

mod needles;

use serde::{Deserialize, Serialize};

use super::Deed;
use super::catalogue::Catalogue;
use super::plan::Strike;
use crate::smtp::is_wsp;
use needles::TEXT_MAX;

pub(super) use needles::Fields;
pub use needles::Marks;

/// Fields that rules tell apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Field {
    /// RFC 5322 3.6.3.
    Bcc,
    /// RFC 5322 3.6.3.
    Cc,
    /// RFC 2045 5.
    ContentType,
    /// RFC 6376 3.5.
    DkimSignature,
    /// RFC 5322 3.6.2.
    From,
    /// RFC 5322 3.6.4.
    MessageId,
    /// RFC 5322 3.6.2.
    ReplyTo,
    /// RFC 5322 3.6.2.
    Sender,
    /// RFC 5322 3.6.5.
    Subject,
    /// RFC 5322 3.6.3.
    To,
    /// RFC 5322 3.6.6.
    ResentMessageId,
}

impl Field {
    /// All of them, by their numbers.
    pub(super) const ALL: [Self; 11] = [
        Self::Bcc,
        Self::Cc,
        Self::ContentType,
        Self::DkimSignature,
        Self::From,
        Self::MessageId,
        Self::ReplyTo,
        Self::Sender,
        Self::Subject,
        Self::To,
        Self::ResentMessageId,
    ];

    /// Its name, in lower case.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Bcc => "bcc",
            Self::Cc => "cc",
            Self::ContentType => "content-type",
            Self::DkimSignature => "dkim-signature",
            Self::From => "from",
            Self::MessageId => "message-id",
            Self::ReplyTo => "reply-to",
            Self::Sender => "sender",
            Self::Subject => "subject",
            Self::To => "to",
            Self::ResentMessageId => "resent-message-id",
        }
    }

    /// The field of this name.
    pub(super) fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|field| field.name() == name)
    }

    /// The field whose line begins here, if it is one of these, and the bytes of its name and
    /// colon: where the name is whole. The old grammar has blanks before the colon (RFC 5322 4.5).
    fn at_start(line: &[u8]) -> Option<(u16, usize)> {
        let (near, far) = line.split_at(line.len().min(NEAR));
        let colon = near.iter().position(|&byte| byte == b':');
        let colon = colon.or_else(|| Some(near.len() + memchr::memchr(b':', far)?))?;
        let (name, _) = line.split_at_checked(colon)?;
        Some((Self::called(name), colon + 1))
    }

    /// The field of this name, in any case and with blanks.
    fn called(name: &[u8]) -> u16 {
        let like = name.first().map_or(0, |first| Self::beginning_with(*first));
        let is_it = |field: &Self| {
            let letters = name.iter().filter(|byte| !is_wsp(**byte));
            letters.map(u8::to_ascii_lowercase).eq(field.name().bytes())
        };
        Self::filter(like, is_it)
    }

    /// Of these the one whose name has so many letters.
    fn of_length(open: u16, length: u8) -> u16 {
        Self::filter(open, |field| field.name().len() == usize::from(length))
    }

    /// Those of a set, one bit each, whose name has this letter there.
    fn with_letter(open: u16, at: u8, letter: u8) -> u16 {
        let letter = letter.to_ascii_lowercase();
        let is_it = |field: &Self| field.name().as_bytes().get(usize::from(at)) == Some(&letter);
        Self::filter(open, is_it)
    }

    /// Those whose name begins so.
    const fn beginning_with(letter: u8) -> u16 {
        match letter.to_ascii_lowercase() {
            b'b' => Self::Bcc.bit(),
            b'c' => Self::Cc.bit() | Self::ContentType.bit(),
            b'd' => Self::DkimSignature.bit(),
            b'f' => Self::From.bit(),
            b'm' => Self::MessageId.bit(),
            b'r' => Self::ReplyTo.bit() | Self::ResentMessageId.bit(),
            b's' => Self::Sender.bit() | Self::Subject.bit(),
            b't' => Self::To.bit(),
            _ => 0,
        }
    }

    const fn bit(self) -> u16 {
        1 << self as u16
    }

    fn filter(open: u16, is_kept: impl Fn(&Self) -> bool) -> u16 {
        let (mut rest, mut kept) = (open, 0);
        while rest != 0 {
            let bit = rest & rest.wrapping_neg();
            rest ^= bit;
            let field = usize::try_from(bit.trailing_zeros()).ok().and_then(|at| Self::ALL.get(at));
            if field.is_some_and(&is_kept) {
                kept |= bit;
            }
        }
        kept
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    /// A line begins, which may go on with the field before it.
    Start,
    /// In a field's name.
    Name,
    /// In its value.
    Value,
}

/// What is remembered of the header under way. Idle flows pay for each byte of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Header {
    /// Fields that the name can still become, or in a value the one whose value it is, or none; and
    /// the place, in the bits above all fields.
    bits: u16,
    /// The automaton's state.
    state: u16,
    /// Letters of the name so far; in a value the bytes yet to be read whatever they are, since a
    /// text may have begun.
    count: u8,
    /// How often a text was found in this value of which only the n-th counts.
    times: u8,
}

/// Most names have no more bytes: a vectorised search costs more than it saves there.
const NEAR: usize = 16;

const IN_NAME: u16 = 1 << 14;
const IN_VALUE: u16 = 1 << 15;

impl Header {
    const fn place(self) -> Place {
        match (self.bits & IN_NAME, self.bits & IN_VALUE) {
            (0, 0) => Place::Start,
            (_, 0) => Place::Name,
            (_, _) => Place::Value,
        }
    }

    const fn open(self) -> u16 {
        self.bits & !(IN_NAME | IN_VALUE)
    }

    /// What comes is read by another catalogue: a text that has begun is forgotten, and the place
    /// is not.
    pub const fn change_catalogue(&mut self) {
        (self.state, self.times) = (0, 0);
    }

    /// The line has ended.
    pub fn end_line(&mut self) {
        if self.place() == Place::Name {
            // To sendmail and Exim its colon may follow behind a fold.
            (self.bits, self.count) = (Field::of_length(self.open(), self.count), 0);
        }
        self.bits = self.open();
    }

    /// Takes the first bytes of what comes that are no value of a field: how many they are.
    fn take_name(&mut self, bytes: &[u8]) -> usize {
        let Some(&first) = bytes.first() else { return 0 };
        let is_start = self.place() == Place::Start;
        if is_start {
            if is_wsp(first) {
                self.bits |= IN_VALUE;
                return 0;
            }
            if let Some((field, used)) = Field::at_start(bytes) {
                *self = Self { bits: IN_VALUE | field, ..Self::default() };
                return used;
            }
            *self = Self { bits: IN_NAME, ..Self::default() };
            if first != b':' {
                (self.bits, self.count) = (IN_NAME | Field::beginning_with(first), 1);
            }
        }
        let start = usize::from(self.count == 1 && is_start);
        for (used, &byte) in bytes.iter().enumerate().skip(start) {
            if self.open() == 0 {
                let rest = bytes.get(used..).unwrap_or_default();
                let Some(colon) = memchr::memchr(b':', rest) else { return bytes.len() };
                (self.bits, self.count) = (IN_VALUE, 0);
                return used + colon + 1;
            }
            if byte == b':' {
                let field = Field::of_length(self.open(), self.count);
                (self.bits, self.count) = (IN_VALUE | field, 0);
                return used + 1;
            }
            // The old grammar has blanks before the colon (RFC 5322 4.5).
            if !is_wsp(byte) {
                self.bits = IN_NAME | Field::with_letter(self.open(), self.count, byte);
                self.count = self.count.saturating_add(1);
            }
        }
        bytes.len()
    }

    /// Reads a line that has come whole, without its end, and then its end. `marks`: what its bytes
    /// may be, where that is known.
    #[inline]
    pub(super) fn read_line(
        &mut self,
        machine: (&Catalogue, &Fields),
        (line, marks): (&[u8], Option<Marks>),
        strike_of: impl Fn(u16) -> Option<Strike>,
        strikes: &mut Vec<Strike>,
    ) -> Option<Met> {
        let &first = line.first()?;
        let may_concern = |open| marks.is_none_or(|marks| marks.may_concern(open));
        let mut start = 0;
        if !is_wsp(first) {
            *self = Self::default();
            // Without a colon there is no value; and most names are none of ours.
            let has_colon = marks.is_none_or(Marks::have_colon);
            if Field::beginning_with(first) == 0 && !(has_colon && may_concern(0)) {
                return None;
            }
            let Some((field, used)) = Field::at_start(line).filter(|_| has_colon) else {
                self.bits = Field::called(line);
                return None;
            };
            (self.bits, start) = (field, used);
        }
        if self.state == 0 && self.count == 0 && !may_concern(self.open()) {
            return None;
        }
        let met = self.read_value(machine, (line, start), strike_of, strikes);
        self.end_line();
        met
    }

    /// Reads more of a line, without its end, up to and with the first byte at which the flow ends:
    /// where a rule was met last, if one was. `strike_of` says which rules are not off.
    pub(super) fn read(
        &mut self,
        machine: (&Catalogue, &Fields),
        bytes: &[u8],
        strike_of: impl Fn(u16) -> Option<Strike>,
        strikes: &mut Vec<Strike>,
    ) -> Option<Met> {
        let start = if self.place() == Place::Value { 0 } else { self.take_name(bytes) };
        if self.place() != Place::Value {
            return None;
        }
        self.read_value(machine, (bytes, start), strike_of, strikes)
    }

    /// Reads more of a value, which begins at `start`.
    fn read_value(
        &mut self,
        (catalogue, fields): (&Catalogue, &Fields),
        (bytes, start): (&[u8], usize),
        strike_of: impl Fn(u16) -> Option<Strike>,
        strikes: &mut Vec<Strike>,
    ) -> Option<Met> {
        let value = bytes.get(start..).unwrap_or_default();
        let needles = fields.of(self.open())?;
        if !needles.is_minded || value.is_empty() {
            return None;
        }
        let has_needle = fields.have_needle(self.open(), value);
        let length = u8::try_from(value.len()).unwrap_or(u8::MAX);
        let is_close = has_needle || self.count > 0;
        self.count = if has_needle { TEXT_MAX } else { self.count.saturating_sub(length) };
        let skipped = if is_close { 0 } else { value.len().saturating_sub(needles.before.into()) };
        if skipped > 0 {
            self.state = 0;
        }
        let is_idle = !is_close && self.state == 0;
        let tail = value.get(skipped..).unwrap_or_default();
        if is_idle && !fields.marks(tail).may_begin(self.open()) {
            return None;
        }
        let mut last = None;
        for (index, &byte) in tail.iter().enumerate() {
            let mut strongest = None;
            self.state = catalogue.step_text(self.state, byte, needles.zones, |number, rule| {
                let Some(strike) = strike_of(number) else { return };
                if rule.nth > 1 {
                    self.times = self.times.saturating_add(1);
                }
                // Said once: at the n-th.
                if rule.nth <= 1 || self.times == rule.nth {
                    strongest = strongest.max(Some(strike.deed));
                    strikes.push(strike);
                }
            });
            if let Some(deed) = strongest {
                let at = start + skipped + index + 1;
                let met = Met { at, is_end: deed > Deed::Log };
                last = Some(met);
                if met.is_end {
                    break;
                }
            }
        }
        last
    }
}

/// A rule was met in a header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Met {
    /// How many bytes had come by then.
    pub at: usize,
    /// Whether the flow ends there.
    pub is_end: bool,
}

#[cfg(test)]
mod tests;
