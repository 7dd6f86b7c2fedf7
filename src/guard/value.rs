//! What a setting's value can be: one of a few words, a list of words, or a number within bounds.
//!
//! A [`Value`] reads and prints itself in the configuration's words. It does not know its setting:
//! who asks adds the name to what is said about a wrong one.

use super::Rule;
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
    /// Bytes with nothing between them.
    Bytes,
}

/// A type that a setting may have.
pub(super) trait Value: Sized {
    /// How it is written.
    const KIND: Kind;

    /// The highest it can be, of a limit.
    const HIGHEST: Option<u32> = None;

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

    /// Both together.
    #[must_use]
    pub const fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Those in this one alone.
    #[must_use]
    pub const fn without(self, other: Self) -> Self {
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
pub struct Limit<const HIGHEST: u32> {
    count: u32,
    /// What goes beyond is only logged.
    is_logged: bool,
}

/// A limit on bytes of a line. At most [`LINE_BYTES_HIGHEST`].
pub(super) type LineLimit = Limit<LINE_BYTES_HIGHEST>;

/// A limit on bytes of a message. At most [`BYTES_HIGHEST`].
pub(super) type ByteLimit = Limit<BYTES_HIGHEST>;

/// A limit on lines, answers or messages of a connection. At most [`COUNT_HIGHEST`].
pub(super) type CountLimit = Limit<COUNT_HIGHEST>;

/// A limit that was passed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Excess {
    /// The rule that sets it.
    pub rule: Rule,
    /// What was counted.
    pub count: u32,
    /// The limit.
    pub limit: u32,
    /// Whether the flow ends here.
    pub is_end: bool,
}

impl Excess {
    /// The one that ends the flow, or the first.
    pub(super) fn graver(one: Option<Self>, other: Option<Self>) -> Option<Self> {
        if other.is_some_and(|excess| excess.is_end) && !one.is_some_and(|excess| excess.is_end) {
            return other;
        }
        one.or(other)
    }
}

impl<const HIGHEST: u32> Limit<HIGHEST> {
    /// What goes beyond this number is logged.
    pub(super) const fn logged(count: u32) -> Self {
        Self { count, is_logged: true }
    }

    /// Whether a count that was `before` and is `after` has just gone beyond it.
    #[must_use]
    pub const fn is_passed(self, before: u32, after: u32) -> bool {
        self.is_set() && before <= self.count && after > self.count
    }

    /// How much may be added to a count before it goes beyond.
    pub(super) const fn room(self, before: u32) -> u32 {
        if self.is_set() && before <= self.count { self.count - before } else { u32::MAX }
    }

    /// What there is to say of such a count, if it has.
    pub(super) fn excess(self, rule: Rule, (before, after): (u32, u32)) -> Option<Excess> {
        let excess = Excess { rule, count: after, limit: self.count, is_end: !self.is_logged };
        self.is_passed(before, after).then_some(excess)
    }

    /// What there is to say of one more than so many, however many there have been.
    pub(super) fn excess_of_next(self, rule: Rule, count: u16) -> Option<Excess> {
        let count = u32::from(count);
        // What only logs has said so where it was passed.
        let before = if self.is_logged { count } else { count.min(self.count) };
        self.excess(rule, (before, count + 1))
    }

    /// The number; 0 sets no limit.
    pub(super) const fn count(self) -> u32 {
        self.count
    }

    /// Whether what goes beyond it is only logged.
    pub(super) const fn is_logged(self) -> bool {
        self.is_logged
    }

    /// Whether there is a limit.
    #[must_use]
    pub const fn is_set(self) -> bool {
        self.count != 0
    }
}

impl<const HIGHEST: u32> From<u32> for Limit<HIGHEST> {
    /// The limit, or the highest there may be.
    fn from(count: u32) -> Self {
        Self { count: count.min(HIGHEST), is_logged: false }
    }
}

impl<const HIGHEST: u32> Value for Limit<HIGHEST> {
    const KIND: Kind = Kind::Number;

    const HIGHEST: Option<u32> = Some(HIGHEST);

    fn parse(text: &str) -> Result<Self, &str> {
        let mut words = words_of(text);
        let count = words.next().and_then(|word| word.parse().ok());
        let count = count.filter(|&count| count <= HIGHEST).ok_or(text)?;
        let is_logged = match words.next() {
            None | Some("reset") => false,
            Some("log") => true,
            Some(_) => return Err(text),
        };
        if words.next().is_some() { Err(text) } else { Ok(Self { count, is_logged }) }
    }

    fn print(&self) -> String {
        match self.is_logged {
            true => format!("{} log", self.count),
            false => self.count.to_string(),
        }
    }

    fn expected() -> String {
        format!("a whole number from 0 (no limit) to {HIGHEST}, with `log` behind it or `reset`")
    }
}

/// Mechanisms of AUTH; an empty list stands for any.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Mechanisms(Vec<String>);

impl Mechanisms {
    /// Whether it stands for any.
    #[must_use]
    pub fn is_any(&self) -> bool {
        self.0.is_empty()
    }

    /// Those of a set of them, one bit each, that have this letter there.
    pub(super) fn with_letter(&self, open: u32, at: u8, letter: u8) -> u32 {
        let is_it = |name: &String| {
            name.as_bytes().get(usize::from(at)) == Some(&letter.to_ascii_uppercase())
        };
        if self.0.is_empty() { u32::MAX } else { self.filter(open, is_it) }
    }

    /// Those of them whose name is so long.
    pub(super) fn of_length(&self, open: u32, length: u8) -> u32 {
        let is_it = |name: &String| name.len() == usize::from(length);
        if self.0.is_empty() { u32::MAX } else { self.filter(open, is_it) }
    }

    fn filter(&self, open: u32, is_kept: impl Fn(&String) -> bool) -> u32 {
        let names = self.0.iter().enumerate().filter(|(at, _)| open & (1 << at) != 0);
        names.filter(|(_, name)| is_kept(name)).fold(0, |all, (at, _)| all | 1 << at)
    }
}

impl Value for Mechanisms {
    const KIND: Kind = Kind::List;

    fn parse(text: &str) -> Result<Self, &str> {
        let is_name = |word: &&str| {
            let is_letter = |byte: u8| byte.is_ascii_alphanumeric() || b"-_".contains(&byte);
            word.len() <= MECHANISM_BYTES_MAX && word.bytes().all(is_letter)
        };
        match words_of(text).find(|word| !is_name(word)) {
            Some(wrong) => Err(wrong),
            None if text == "any" => Ok(Self::default()),
            None if !(1..=MECHANISMS_MAX).contains(&words_of(text).count()) => Err(text),
            None => Ok(Self(words_of(text).map(str::to_ascii_uppercase).collect())),
        }
    }

    fn print(&self) -> String {
        if self.0.is_empty() { "any".to_owned() } else { self.0.join(",") }
    }

    fn expected() -> String {
        "any, or names of mechanisms such as PLAIN".to_owned()
    }
}

/// Bytes that are refused in a place.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Bytes(String);

impl Bytes {
    /// Whether there is none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether this is one of them.
    pub(super) fn contains(&self, byte: u8) -> bool {
        self.0.as_bytes().contains(&byte)
    }
}

impl From<&str> for Bytes {
    fn from(bytes: &str) -> Self {
        Self(bytes.to_owned())
    }
}

impl Value for Bytes {
    const KIND: Kind = Kind::Bytes;

    fn parse(text: &str) -> Result<Self, &str> {
        // A quote and a backslash have their own rules in an address.
        let is_one = |byte: u8| byte.is_ascii_punctuation() && !b"\"\\<>@".contains(&byte);
        if text.bytes().all(is_one) { Ok(Self(text.to_owned())) } else { Err(text) }
    }

    fn print(&self) -> String {
        self.0.clone()
    }

    fn expected() -> String {
        "punctuation such as $`|, but no quote, backslash, bracket < > or @".to_owned()
    }
}

/// The words of a list.
pub(super) fn words_of(text: &str) -> impl Iterator<Item = &str> {
    text.split([',', ' ']).filter(|word| !word.is_empty())
}

/// One byte less than the largest buffer for lines that any server is known to have (OpenSMTPD's).
const LINE_BYTES_HIGHEST: u32 = 65_534;

/// Bytes of a message are counted in 32 bits.
const BYTES_HIGHEST: u32 = u32::MAX - 1;

/// Counts stand in 16 bits.
const COUNT_HIGHEST: u32 = 65_534;

/// One bit stands for each.
const MECHANISMS_MAX: usize = 16;

/// RFC 4422 3.1: a mechanism's name has at most 20 letters.
const MECHANISM_BYTES_MAX: usize = 20;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_graver_of_two_is_told_of() {
        let excess = |count, is_end| Some(Excess { rule: Rule::LongLine, count, limit: 0, is_end });
        for (one, other, expected) in [
            (None, None, None),
            (excess(1, false), None, excess(1, false)),
            (None, excess(2, false), excess(2, false)),
            (None, excess(2, true), excess(2, true)),
            (excess(1, false), excess(2, false), excess(1, false)),
            (excess(1, false), excess(2, true), excess(2, true)),
            (excess(1, true), excess(2, false), excess(1, true)),
            (excess(1, true), excess(2, true), excess(1, true)),
        ] {
            assert_eq!(Excess::graver(one, other), expected, "{one:?} {other:?}");
        }
    }

    #[test]
    fn sets_of_verbs_are_sets() {
        let all = |set: VerbSet| -> Vec<Verb> {
            Verb::ALL.into_iter().filter(|verb| set.contains(*verb)).collect()
        };
        let (one, other) = (VerbSet::of(&[Verb::Auth, Verb::Mail]), VerbSet::of(&[Verb::Mail]));
        assert_eq!(all(one), [Verb::Auth, Verb::Mail]);
        let auth = VerbSet::of(&[Verb::Auth]);
        assert_eq!(one.with(other), one);
        assert_eq!(other.with(auth), one);
        assert_eq!(one.without(other), auth);
        assert_eq!(one.without(auth), other);
        assert_eq!(other.without(auth), other);
        assert_eq!(all(VerbSet::of(&Verb::ALL)), Verb::ALL);
    }

    #[test]
    fn a_limit_is_as_high_as_may_be_and_no_higher() {
        let last = ByteLimit::parse("4294967294 log").unwrap();
        assert!(last.is_set() && last.is_logged() && last.count() == 4_294_967_294);
        assert_eq!(ByteLimit::parse("4294967295"), Err("4294967295"));
        assert!(!CountLimit::parse("1").unwrap().is_logged());
        assert!(CountLimit::parse("65535").is_err() && CountLimit::parse("65534").is_ok());
    }

    #[test]
    fn a_mechanism_is_found_letter_by_letter() {
        let mechanisms = Mechanisms::parse("PLAIN,LOGIN,PLUM").unwrap();
        let open = |word: &str| {
            let letters = word.bytes().zip(0..);
            letters.fold(u32::MAX, |open, (byte, at)| mechanisms.with_letter(open, at, byte))
        };
        for (word, expected) in [("P", 5), ("pl", 5), ("PLA", 1), ("L", 2), ("LL", 0), ("PO", 0)] {
            assert_eq!(open(word), expected, "{word}");
        }
        assert_eq!(mechanisms.of_length(open("PLUM"), 4), 4);
        assert_eq!(mechanisms.of_length(open("PLAI"), 4), 0);
    }

    #[test]
    fn bytes_are_those_that_were_said() {
        assert!(Bytes::default().is_empty());
        let bytes = Bytes::from("$|");
        assert!(!bytes.is_empty() && bytes.contains(b'|') && !bytes.contains(b'a'));
    }
}
