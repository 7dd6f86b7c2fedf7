//! What a setting's value can be: one of a few words, a list of words, or a number within bounds.
//!
//! A [`Value`] reads and prints itself in the configuration's words. It does not know its setting:
//! who asks adds the name to what is said about a wrong one.

use crate::smtp::{Verb, Word};

/// How a value is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// One word out of a few.
    Word,
    /// Words with commas between.
    List,
    /// A whole number.
    Number,
}

/// A type that a setting may have.
pub(super) trait Value: Sized {
    /// How it is written.
    const KIND: Kind;

    /// Reads it; the error is the part of the text that is wrong.
    fn parse(text: &str) -> Result<Self, &str>;

    /// Writes it as it is read.
    fn print(&self) -> String;

    /// What may be written, to stand behind "expected".
    fn expected() -> String;
}

/// A set of verbs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct VerbSet(u32);

impl VerbSet {
    /// The set of these verbs.
    #[must_use]
    pub const fn of(verbs: &[Verb]) -> Self {
        let mut bits = 0;
        let mut rest = verbs;
        while let [verb, tail @ ..] = rest {
            bits |= 1 << (*verb as u32);
            rest = tail;
        }
        Self(bits)
    }

    /// This set and these verbs.
    #[must_use]
    pub const fn with(self, verbs: &[Verb]) -> Self {
        Self(self.0 | Self::of(verbs).0)
    }

    /// This set without the verb.
    #[must_use]
    pub const fn without(self, verb: Verb) -> Self {
        Self(self.0 & !(1 << (verb as u32)))
    }

    /// What is in both sets.
    #[must_use]
    pub const fn and(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    /// What is in this set alone.
    #[must_use]
    pub const fn minus(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    /// Whether the verb is in it.
    #[must_use]
    pub const fn contains(self, verb: Verb) -> bool {
        self.0 & (1 << (verb as u32)) != 0
    }

    /// Whether the word can still become one of them.
    #[must_use]
    pub fn has_prefix(self, word: &Word) -> bool {
        word.openings().any(|verb| self.contains(verb))
    }
}

impl Value for VerbSet {
    const KIND: Kind = Kind::List;

    fn parse(text: &str) -> Result<Self, &str> {
        let mut verbs = Self::default();
        for name in words_of(text) {
            verbs = verbs.with(&[Verb::of(name).ok_or(name)?]);
        }
        if verbs == Self::default() { Err(text) } else { Ok(verbs) }
    }

    fn print(&self) -> String {
        let verbs = Verb::ALL.into_iter().filter(|&verb| self.contains(verb));
        verbs.map(Verb::name).collect::<Vec<_>>().join(",")
    }

    fn expected() -> String {
        format!("one or more of {}", Verb::ALL.map(Verb::name).join(", "))
    }
}

/// Keywords of the answer to EHLO, in upper case.
impl Value for Vec<String> {
    const KIND: Kind = Kind::List;

    fn parse(text: &str) -> Result<Self, &str> {
        let is_keyword = |word: &&str| word.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
        match words_of(text).find(|word| !is_keyword(word)) {
            Some(wrong) => Err(wrong),
            None => Ok(words_of(text).map(str::to_ascii_uppercase).collect()),
        }
    }

    fn print(&self) -> String {
        self.join(",")
    }

    fn expected() -> String {
        "words of letters, digits and hyphens".to_owned()
    }
}

/// What is counted may come to this number and no further; 0 sets no limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limit<const HIGHEST: u32>(u32);

/// A limit on bytes of a line. At most [`LINE_BYTES_HIGHEST`].
pub(super) type LineLimit = Limit<LINE_BYTES_HIGHEST>;

impl<const HIGHEST: u32> Limit<HIGHEST> {
    /// Whether a count that was `before` and is `after` has just gone beyond it.
    #[must_use]
    pub const fn is_passed(self, before: u32, after: u32) -> bool {
        self.is_set() && before <= self.0 && after > self.0
    }

    /// Whether there is a limit.
    #[must_use]
    pub const fn is_set(self) -> bool {
        self.0 != 0
    }
}

impl<const HIGHEST: u32> From<u32> for Limit<HIGHEST> {
    /// The limit, or the highest there may be.
    fn from(count: u32) -> Self {
        Self(count.min(HIGHEST))
    }
}

impl<const HIGHEST: u32> Value for Limit<HIGHEST> {
    const KIND: Kind = Kind::Number;

    fn parse(text: &str) -> Result<Self, &str> {
        match text.parse() {
            Ok(count) if count <= HIGHEST => Ok(Self(count)),
            Ok(_) | Err(_) => Err(text),
        }
    }

    fn print(&self) -> String {
        self.0.to_string()
    }

    fn expected() -> String {
        format!("a whole number from 0 (no limit) to {HIGHEST}")
    }
}

fn words_of(text: &str) -> impl Iterator<Item = &str> {
    text.split([',', ' ']).filter(|word| !word.is_empty())
}

/// One byte less than the largest buffer for lines that any server is known to have (OpenSMTPD's).
const LINE_BYTES_HIGHEST: u32 = 65_534;
