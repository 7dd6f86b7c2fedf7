//! A message's header as it comes, field by field, and what rules look for in the fields' values.
//!
//! A value is read unfolded: the line end before a blank is none of it. Most lines of a header hold
//! nothing that a rule could mind, and cost one vectorised search: of each text that is looked for
//! one byte is known that few values have ([`Needles`]), and only near such a byte, or where a cut
//! may hide one, is the automaton run.

use serde::{Deserialize, Serialize};

use super::catalogue::{Catalogue, Compiled};
use super::plan::Strike;
use super::zone::{Zone, ZoneSet};
use super::{Deed, Sign};

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
}

impl Field {
    /// All of them, by their numbers.
    pub(super) const ALL: [Self; 10] = [
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
        }
    }

    /// The field of this name.
    pub(super) fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|field| field.name() == name)
    }

    /// The field whose line begins here, if it is one of these, and the bytes of its name and
    /// colon: where the name is whole, and has no blanks.
    fn at_start(line: &[u8]) -> Option<(u16, usize)> {
        let colon = memchr::memchr(b':', line)?;
        let (name, _) = line.split_at_checked(colon)?;
        let like = name.first().map_or(0, |first| Self::beginning_with(*first));
        if like != 0 && memchr::memchr2(b' ', b'\t', name).is_some() {
            return None;
        }
        let is_it = |field: &Self| field.name().as_bytes().eq_ignore_ascii_case(name);
        Some((Self::filter(like, is_it), colon + 1))
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
            b'r' => Self::ReplyTo.bit(),
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

const IN_NAME: u16 = 1 << 14;
const IN_VALUE: u16 = 1 << 15;

/// For each field, and last for all others, what its value has that a rule could mind.
#[derive(Clone, Debug)]
pub(super) struct Fields([Needles; Field::ALL.len() + 1]);

/// Bytes of which a value without any holds nothing that a rule minds.
#[derive(Clone, Copy, Debug)]
struct Needles {
    zones: ZoneSet,
    /// None: any byte may be one. The same byte may stand here twice.
    bytes: Option<[u8; 3]>,
    /// Whether any rule minds this value.
    is_minded: bool,
    /// Bytes that a text has at most before its needle.
    before: u8,
    /// With what the texts begin, a bit for each byte.
    firsts: [u64; 4],
}

/// Bytes of headers that are no needles if there is another one, the commonest first.
const COMMON: &[u8] = b" -.=:;,/<>@_()\"+[]";

/// Longest text there is.
const TEXT_MAX: u8 = 64;

impl Fields {
    /// What the rules that are not off look for; none if they look for nothing.
    pub(super) fn new<'r>(rules: impl Iterator<Item = &'r Compiled> + Clone) -> Option<Self> {
        let mut all = [Needles::none(Zone::Header(None).bit()); Field::ALL.len() + 1];
        for (needles, field) in all.iter_mut().zip(Field::ALL) {
            needles.zones = needles.zones.with(Zone::Header(Some(field)).bit());
        }
        for needles in &mut all {
            let zones = needles.zones;
            let here = rules.clone().filter(|rule| rule.zones.meets(zones));
            for rule in here {
                if let Sign::Texts(texts) = &rule.sign {
                    texts.iter().for_each(|text| needles.add(text));
                }
            }
        }
        all.iter().any(|needles| needles.is_minded).then_some(Self(all))
    }

    fn of(&self, header: &Header) -> Option<&Needles> {
        let known = usize::try_from(header.open().trailing_zeros()).unwrap_or(usize::MAX);
        self.0.get(known.min(Field::ALL.len()))
    }
}

impl Needles {
    const fn none(zones: ZoneSet) -> Self {
        Self { zones, bytes: Some([0; 3]), is_minded: false, before: 0, firsts: [0; 4] }
    }

    fn add(&mut self, text: &[u8]) {
        for first in text.iter().take(1) {
            for byte in [first.to_ascii_lowercase(), first.to_ascii_uppercase()] {
                let words = self.firsts.iter_mut().skip(usize::from(byte / 64));
                words.take(1).for_each(|word| *word |= 1 << (byte % 64));
            }
        }
        let rareness = |byte: u8| {
            let common = COMMON.iter().position(|known| *known == byte);
            let rare = if byte.is_ascii_alphanumeric() { 0 } else { COMMON.len() };
            common.unwrap_or(rare)
        };
        let best = text.iter().map(|byte| rareness(*byte)).max().unwrap_or(0);
        let found = text.iter().enumerate().find(|(_, byte)| rareness(**byte) == best);
        let Some((at, &needle)) = found.filter(|_| best > 0) else {
            // Letters alone: in any case of theirs they are everywhere.
            (self.bytes, self.is_minded) = (None, true);
            return;
        };
        self.before = self.before.max(u8::try_from(at).unwrap_or(TEXT_MAX));
        if let Some(bytes) = self.bytes.as_mut() {
            if !self.is_minded {
                *bytes = [needle; 3];
            } else if !bytes.contains(&needle) {
                // A place that still holds the first once more is free.
                let [first, rest @ ..] = bytes;
                match rest.iter_mut().find(|byte| **byte == *first) {
                    Some(free) => *free = needle,
                    None => self.bytes = None,
                }
            }
        }
        self.is_minded = true;
    }

    /// Whether a text may begin in these bytes.
    fn may_begin_in(&self, bytes: &[u8]) -> bool {
        let is_first = |byte: &u8| {
            let word = self.firsts.get(usize::from(byte / 64));
            word.is_some_and(|word| word >> (byte % 64) & 1 == 1)
        };
        bytes.iter().any(is_first)
    }

    fn are_in(&self, bytes: &[u8]) -> bool {
        let Some([one, two, three]) = self.bytes else { return true };
        memchr::memchr3(one, two, three, bytes).is_some()
    }
}

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
            // It had no colon: what follows belongs to no field either.
            (self.bits, self.count) = (0, 0);
        }
        self.bits = self.open();
    }

    /// Takes the first bytes of what comes that are no value of a field: how many they are.
    fn take_name(&mut self, bytes: &[u8]) -> usize {
        let Some(&first) = bytes.first() else { return 0 };
        let is_start = self.place() == Place::Start;
        if is_start {
            if matches!(first, b' ' | b'\t') {
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
                let length = usize::from(self.count);
                let field = Field::filter(self.open(), |field| field.name().len() == length);
                (self.bits, self.count) = (IN_VALUE | field, 0);
                return used + 1;
            }
            // The old grammar has blanks before the colon (RFC 5322 4.5).
            if !matches!(byte, b' ' | b'\t') {
                self.bits = IN_NAME | Field::with_letter(self.open(), self.count, byte);
                self.count = self.count.saturating_add(1);
            }
        }
        bytes.len()
    }

    /// Reads more of a line, without its end, up to and with the first byte at which the flow ends:
    /// where a rule was met last, if one was. `strike_of` says which rules are not off.
    pub(super) fn read(
        &mut self,
        (catalogue, fields): (&Catalogue, &Fields),
        bytes: &[u8],
        strike_of: impl Fn(u16) -> Option<Strike>,
        strikes: &mut Vec<Strike>,
    ) -> Option<Met> {
        let start = if self.place() == Place::Value { 0 } else { self.take_name(bytes) };
        let value = bytes.get(start..).unwrap_or_default();
        let needles = fields.of(self)?;
        if !needles.is_minded || value.is_empty() || self.place() != Place::Value {
            return None;
        }
        let has_needle = needles.are_in(value);
        let length = u8::try_from(value.len()).unwrap_or(u8::MAX);
        let is_close = has_needle || self.count > 0;
        self.count = if has_needle { TEXT_MAX } else { self.count.saturating_sub(length) };
        let skipped = if is_close { 0 } else { value.len().saturating_sub(needles.before.into()) };
        if skipped > 0 {
            self.state = 0;
        }
        let is_idle = !is_close && self.state == 0;
        if is_idle && !needles.may_begin_in(value.get(skipped..).unwrap_or_default()) {
            return None;
        }
        let mut last = None;
        for (index, &byte) in value.iter().enumerate().skip(skipped) {
            let mut strongest = None;
            self.state = catalogue.step_text(self.state, byte, |number, rule| {
                let here = strike_of(number).filter(|_| rule.zones.meets(needles.zones));
                let Some(strike) = here else { return };
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
                let met = Met { at: start + index + 1, is_end: deed > Deed::Log };
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
