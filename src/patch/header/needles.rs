//! Of which bytes a value has to have some before any rule can mind it.

use super::Field;
use crate::patch::Sign;
use crate::patch::by_byte::ByByte;
use crate::patch::catalogue::Compiled;
use crate::patch::zone::{Zone, ZoneSet};

/// For each field, and last for all others, what its value has that a rule could mind.
#[derive(Clone, Debug)]
pub(in crate::patch) struct Fields {
    needles: [Needles; Field::ALL.len() + 1],
    marks: Box<ByByte<Marks>>,
}

/// Bytes of which a value without any holds nothing that a rule minds.
#[derive(Clone, Copy, Debug)]
pub(super) struct Needles {
    pub(super) zones: ZoneSet,
    /// None: any byte may be one. The same byte may stand here twice.
    bytes: Option<[u8; 3]>,
    /// Whether any rule minds this value.
    pub(super) is_minded: bool,
    /// Bytes that a text has at most before its needle.
    pub(super) before: u8,
}

/// What some bytes of a header may be, a bit each: for each field whether there is a needle among
/// them, and 16 bits higher whether there is one that a text begins with; in between, a colon, a
/// CR and a NUL.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Marks(u32);

/// Bytes of headers that are no needles if there is another one, the commonest first.
const COMMON: &[u8] = b" -.=:;,/<>@_()\"+[]";

/// Longest text there is.
pub(super) const TEXT_MAX: u8 = 64;

/// Bytes of a line that are looked at one by one in any case, and those behind them where its end
/// is among them: searching with vectors costs more than it saves there.
const NEAR: usize = 8;
const FAR: usize = 32;

impl Marks {
    const NONE: Self = Self(0);
    const COLON: Self = Self(1 << 13);
    const CR: Self = Self(1 << 14);
    const NUL: Self = Self(1 << 15);

    #[inline]
    const fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    #[inline]
    const fn meet(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }

    /// Of a needle for this field; none of those known is all others.
    const fn needle(open: u16) -> Self {
        Self(if open == 0 { 1 << Field::ALL.len() } else { open as u32 })
    }

    const fn first(open: u16) -> Self {
        Self(Self::needle(open).0 << 16)
    }

    /// Whether there may be a CR among the bytes.
    #[must_use]
    pub const fn have_cr(self) -> bool {
        self.meet(Self::CR)
    }

    /// Whether there may be a NUL among the bytes.
    #[must_use]
    pub const fn have_nul(self) -> bool {
        self.meet(Self::NUL)
    }

    pub(super) const fn have_colon(self) -> bool {
        self.meet(Self::COLON)
    }

    /// Whether in a value of this field any of the bytes may be of a text.
    pub(super) const fn may_concern(self, open: u16) -> bool {
        self.meet(Self::needle(open).with(Self::first(open)))
    }

    /// Whether in a value of this field a text may begin among the bytes.
    pub(super) const fn may_begin(self, open: u16) -> bool {
        self.meet(Self::first(open))
    }
}

impl ByByte<Marks> {
    /// What bytes are while no rule looks for any.
    pub const PLAIN: &Self = &Self::plain();

    #[expect(clippy::indexing_slicing, reason = "a constant: it would not be compiled")]
    const fn plain() -> Self {
        let mut marks = [Marks::NONE; 256];
        marks[b':' as usize] = Marks::COLON;
        marks[b'\r' as usize] = Marks::CR;
        marks[0] = Marks::NUL;
        Self::new(marks)
    }

    /// Where the first line ends, if it is short and whole, and what its bytes may be.
    #[must_use]
    #[inline]
    pub fn short_line(&self, bytes: &[u8]) -> Option<(usize, Marks)> {
        let mut marks = Marks::NONE;
        for (end, &byte) in bytes.iter().take(NEAR).enumerate() {
            marks = marks.with(self.of(byte));
            if byte == b'\n' {
                return Some((end, marks));
            }
        }
        let (end, more) = self.end_among(bytes.get(NEAR..)?)?;
        Some((NEAR + end, marks.with(more)))
    }

    /// The same of the bytes behind those.
    #[inline(never)]
    fn end_among(&self, bytes: &[u8]) -> Option<(usize, Marks)> {
        let (block, _) = bytes.split_first_chunk::<FAR>().unwrap_or((&[b'\n'; FAR], &[]));
        if has_no_lf(block) {
            return None;
        }
        let end = bytes.iter().take(FAR).position(|&byte| byte == b'\n')?;
        Some((end, self.of_all(bytes.get(..end)?)))
    }

    fn of_all(&self, bytes: &[u8]) -> Marks {
        bytes.iter().fold(Marks::NONE, |all, byte| all.with(self.of(*byte)))
    }

    fn add(&mut self, byte: u8, more: Marks) {
        self.of_mut(byte).into_iter().for_each(|marks| *marks = marks.with(more));
    }
}

/// By itself: among other code the compiler may make no vectors of it.
#[inline(never)]
fn has_no_lf(block: &[u8; FAR]) -> bool {
    block.iter().fold(true, |has_none, &byte| has_none & (byte != b'\n'))
}

impl Fields {
    /// What the rules that are not off look for; none if they look for nothing.
    pub(in crate::patch) fn new<'r>(
        rules: impl Iterator<Item = &'r Compiled> + Clone,
    ) -> Option<Self> {
        let mut all = [Needles::none(Zone::Header(None).bit()); Field::ALL.len() + 1];
        let mut marks = Box::new(ByByte::PLAIN.clone());
        for (needles, field) in all.iter_mut().zip(Field::ALL) {
            needles.zones = needles.zones.with(Zone::Header(Some(field)).bit());
        }
        let opens = Field::ALL.into_iter().map(Field::bit).chain([0]);
        for (needles, open) in all.iter_mut().zip(opens) {
            let zones = needles.zones;
            let here = rules.clone().filter(|rule| rule.zones.meets(zones));
            for rule in here {
                if let Sign::Texts(texts) = &rule.sign {
                    for text in texts {
                        needles.add(text);
                        for first in text.iter().take(1) {
                            marks.add(first.to_ascii_lowercase(), Marks::first(open));
                            marks.add(first.to_ascii_uppercase(), Marks::first(open));
                        }
                    }
                }
            }
            for byte in (0..=u8::MAX).filter(|byte| needles.is_one(*byte)) {
                marks.add(byte, Marks::needle(open));
            }
        }
        all.iter().any(|needles| needles.is_minded).then_some(Self { needles: all, marks })
    }

    pub(super) fn of(&self, open: u16) -> Option<&Needles> {
        let known = usize::try_from(open.trailing_zeros()).unwrap_or(usize::MAX);
        self.needles.get(known.min(Field::ALL.len()))
    }

    /// What each byte may be.
    pub(in crate::patch) const fn by_byte(&self) -> &ByByte<Marks> {
        &self.marks
    }

    pub(super) fn marks(&self, bytes: &[u8]) -> Marks {
        self.marks.of_all(bytes)
    }

    /// Whether a value of this field holds a needle.
    pub(super) fn have_needle(&self, open: u16, value: &[u8]) -> bool {
        match self.of(open) {
            Some(needles) if value.len() > NEAR => needles.are_in(value),
            _ => self.marks(value).meet(Marks::needle(open)),
        }
    }
}

impl Needles {
    const fn none(zones: ZoneSet) -> Self {
        Self { zones, bytes: Some([0; 3]), is_minded: false, before: 0 }
    }

    fn add(&mut self, text: &[u8]) {
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

    /// Whether a byte is a needle.
    fn is_one(&self, byte: u8) -> bool {
        self.is_minded && self.bytes.is_none_or(|bytes| bytes.contains(&byte))
    }

    fn are_in(&self, bytes: &[u8]) -> bool {
        let Some([one, two, three]) = self.bytes else { return true };
        memchr::memchr3(one, two, three, bytes).is_some()
    }
}
