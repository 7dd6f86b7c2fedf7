//! Command words: the verbs SMTP knows, and the first word of a line as it grows byte by byte.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::{Spelling, longest};

/// The verbs of RFC 5321 and its extensions (and of RFC 821, which Mailguard was made for).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Verb {
    /// RFC 4954.
    Auth,
    /// RFC 3030.
    Bdat,
    /// RFC 5321 4.1.1.4.
    Data,
    /// RFC 5321 4.1.1.1.
    Ehlo,
    /// RFC 1985.
    Etrn,
    /// RFC 5321 4.1.1.7.
    Expn,
    /// RFC 5321 4.1.1.1.
    Helo,
    /// RFC 5321 4.1.1.8.
    Help,
    /// RFC 5321 4.1.1.2.
    Mail,
    /// RFC 5321 4.1.1.9.
    Noop,
    /// RFC 5321 4.1.1.10.
    Quit,
    /// RFC 5321 4.1.1.3.
    Rcpt,
    /// RFC 5321 4.1.1.5.
    Rset,
    /// RFC 821 3.4.
    Saml,
    /// RFC 821 3.4.
    Send,
    /// RFC 821 3.4.
    Soml,
    /// RFC 3207.
    StartTls,
    /// RFC 821 3.8.
    Turn,
    /// RFC 5321 4.1.1.6.
    Vrfy,
}

impl Verb {
    /// Every verb, in order.
    pub const ALL: [Self; 19] = [
        Self::Auth,
        Self::Bdat,
        Self::Data,
        Self::Ehlo,
        Self::Etrn,
        Self::Expn,
        Self::Helo,
        Self::Help,
        Self::Mail,
        Self::Noop,
        Self::Quit,
        Self::Rcpt,
        Self::Rset,
        Self::Saml,
        Self::Send,
        Self::Soml,
        Self::StartTls,
        Self::Turn,
        Self::Vrfy,
    ];

    /// The word as it stands on the wire, in upper case.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Auth => "AUTH",
            Self::Bdat => "BDAT",
            Self::Data => "DATA",
            Self::Ehlo => "EHLO",
            Self::Etrn => "ETRN",
            Self::Expn => "EXPN",
            Self::Helo => "HELO",
            Self::Help => "HELP",
            Self::Mail => "MAIL",
            Self::Noop => "NOOP",
            Self::Quit => "QUIT",
            Self::Rcpt => "RCPT",
            Self::Rset => "RSET",
            Self::Saml => "SAML",
            Self::Send => "SEND",
            Self::Soml => "SOML",
            Self::StartTls => "STARTTLS",
            Self::Turn => "TURN",
            Self::Vrfy => "VRFY",
        }
    }

    /// Whether its line begins a mail transaction (RFC 5321 4.1.1.2, RFC 821 3.4).
    #[must_use]
    pub const fn begins_transaction(self) -> bool {
        matches!(self, Self::Mail | Self::Saml | Self::Send | Self::Soml)
    }

    /// Its letters as one number, the first of them highest.
    const fn letters(self) -> u64 {
        let mut letters = 0;
        let mut rest = self.name().as_bytes();
        while let [letter, tail @ ..] = rest {
            letters = letters << 8 | *letter as u64;
            rest = tail;
        }
        letters << (8 * (8 - self.name().len()))
    }

    /// The verb of this name, in any case.
    #[must_use]
    pub fn of(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|verb| verb.name().eq_ignore_ascii_case(name))
    }
}

impl fmt::Display for Verb {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The letters of every verb, in order: a word is looked for several times a line, and comparing
/// numbers costs a tenth of comparing text.
#[expect(clippy::indexing_slicing, reason = "a constant that is wrong does not compile")]
const LETTERS: [u64; Verb::ALL.len()] = {
    let mut letters = [0; Verb::ALL.len()];
    let mut at = 0;
    while at < letters.len() {
        letters[at] = Verb::ALL[at].letters();
        at += 1;
    }
    letters
};

/// Words that a credential follows: RFC 4954's, Exchange's, and those of other protocols and of
/// early drafts that clients have been seen to try.
const CREDENTIAL_WORDS: [&str; 8] =
    ["AUTH", "LOGIN", "PASS", "PROXY-AUT", "USER", "X-AUTH", "X-EXPS", "XAUTH"];

static CREDENTIAL_SPELLING: Spelling<{ longest(&CREDENTIAL_WORDS) }> =
    Spelling::of(&CREDENTIAL_WORDS);

/// Which words of an authentication a word may be: a bit each, all before its first letter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct CredentialWords(u8);

impl CredentialWords {
    pub(super) const ALL: Self = Self(u8::MAX);
    pub(super) const NONE: Self = Self(0);

    /// Those that go on with this byte behind so many others, and whether one of them is whole.
    pub(super) fn read(&mut self, length: u8, byte: u8) -> bool {
        let open = CREDENTIAL_SPELLING.with_letter(self.0.into(), length, byte);
        self.0 = u8::try_from(open).unwrap_or_default();
        CREDENTIAL_SPELLING.of_length(open, length.saturating_add(1)) != 0
    }

    /// Whether each of the words has one of these letters, and some nothing before it.
    pub(super) const fn need(byte: u8) -> bool {
        let letter = byte | 0x20;
        (letter == b'g') | (letter == b'p') | (letter == b'u')
    }
}

/// Whether these are the letters of AUTH in another order, all but one of them, one more, or
/// another in place of one.
fn is_mistyped_auth(word: &[u8]) -> bool {
    let auth = *b"AUTH";
    let known = auth.iter().filter(|letter| word.contains(letter)).count();
    let same = word.iter().zip(auth).filter(|(letter, known)| *letter == known).count();
    let is_inserted =
        |at: usize| word.iter().enumerate().filter(|(i, _)| *i != at).map(|(_, b)| *b).eq(auth);
    match word.len() {
        3 => known == 3,
        4 => known == 4 || same == 3,
        5 => (0..5).any(is_inserted),
        _ => false,
    }
}

/// Whether this is a tag as IMAP has before each command, LOGIN among them: `a1`, `.`.
fn is_tag(word: &[u8]) -> bool {
    let letters = word.iter().take_while(|byte| byte.is_ascii_alphabetic()).count();
    let behind = word.get(letters..).unwrap_or_default();
    let is_numbered = !behind.is_empty() && behind.iter().all(u8::is_ascii_digit);
    word == b"." || (letters <= 1 && is_numbered)
}

/// Longest word kept: one byte more than the longest verb, so that a longer word equals none.
const WORD_BYTES_MAX: usize = 9;

/// The first word of a line, in upper case, as far as it has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Word {
    bytes: [u8; WORD_BYTES_MAX],
    length: u8,
}

impl Word {
    /// Bytes it keeps.
    pub const ROOM: usize = WORD_BYTES_MAX;

    /// The word of these bytes.
    pub(super) fn of(bytes: &[u8]) -> Self {
        let mut word = Self::default();
        bytes.iter().take(Self::ROOM).for_each(|&byte| word.push(byte));
        word
    }

    /// How many bytes it has, of those it keeps.
    pub(super) const fn length(&self) -> u8 {
        self.length
    }

    /// Its first bytes.
    pub(super) fn cut(mut self, length: u8) -> Self {
        let kept = self.length.min(length);
        self.bytes.iter_mut().skip(usize::from(kept)).for_each(|byte| *byte = 0);
        self.length = kept;
        self
    }

    /// Whether it is longer than any verb: more bytes change nothing.
    pub(super) const fn is_full(&self) -> bool {
        self.length as usize == WORD_BYTES_MAX
    }

    /// Adds a byte; what is longer than any verb is cut there.
    pub fn push(&mut self, byte: u8) {
        if let Some(place) = self.bytes.get_mut(usize::from(self.length)) {
            *place = byte.to_ascii_uppercase();
            self.length += 1;
        }
    }

    /// The bytes so far.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        self.bytes.get(..usize::from(self.length)).unwrap_or_default()
    }

    /// Whether nothing has come yet.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.length == 0
    }

    /// Its first eight bytes as one number, the first of them highest.
    const fn letters(&self) -> u64 {
        let [a, b, c, d, e, f, g, h, _] = self.bytes;
        u64::from_be_bytes([a, b, c, d, e, f, g, h])
    }

    /// The verb it spells, whole.
    #[must_use]
    pub fn verb(&self) -> Option<Verb> {
        let (letters, length) = (self.letters(), usize::from(self.length));
        let mut known = Verb::ALL.into_iter().zip(LETTERS);
        let is_this =
            |(verb, known): &(Verb, u64)| *known == letters && verb.name().len() == length;
        known.find(is_this).map(|(verb, _)| verb)
    }

    /// The verbs it can still become.
    pub fn openings(&self) -> impl Iterator<Item = Verb> + use<> {
        let (letters, length) = (self.letters(), usize::from(self.length));
        let rest = u64::MAX.checked_shr(8 * u32::from(self.length)).unwrap_or(0);
        let known = Verb::ALL.into_iter().zip(LETTERS);
        let open = known.filter(move |(_, known)| (known ^ letters) & !rest == 0);
        // A NUL that was written looks like a letter that is not there.
        open.map(|(verb, _)| verb).filter(move |verb| length <= verb.name().len())
    }

    /// Whether a credential may stand behind it: a word of an authentication, or none at all (some
    /// servers pass over blanks before a verb).
    #[must_use]
    pub fn asks_for_credential(&self) -> bool {
        match self.verb() {
            Some(verb) => verb == Verb::Auth,
            None => self.may_be_of_authentication(),
        }
    }

    /// The same of any word.
    pub(super) fn may_be_of_authentication(&self) -> bool {
        let word = self.as_bytes();
        let letters = word.iter().position(u8::is_ascii_alphanumeric).unwrap_or(0);
        let spelt = word.get(letters..).unwrap_or_default();
        let is_begun = CREDENTIAL_WORDS.iter().any(|known| spelt.starts_with(known.as_bytes()));
        word.is_empty() || is_begun || is_mistyped_auth(spelt) || is_tag(word)
    }

    /// Whether it is a word of an authentication with more behind it, which may be the credential.
    #[must_use]
    pub fn may_hold_credential(&self) -> bool {
        let word = self.as_bytes();
        let is_longer =
            |known: &&str| word.len() > known.len() && word.starts_with(known.as_bytes());
        CREDENTIAL_WORDS.iter().any(is_longer)
    }

    /// Whether it can still become such a word.
    #[must_use]
    pub fn may_ask_for_credential(&self) -> bool {
        let word = self.as_bytes();
        self.asks_for_credential()
            || CREDENTIAL_WORDS.iter().any(|known| known.as_bytes().starts_with(word))
    }

    /// What decides whether a log may show its next byte: it may hold a credential, and no verb can
    /// come of it any more.
    pub(super) fn secrecy(&self) -> (bool, bool) {
        (self.may_hold_credential(), self.openings().next().is_none())
    }

    /// The verb whose letters it begins with: what a server that compares only those letters reads.
    #[must_use]
    pub fn leading_verb(&self) -> Option<Verb> {
        let letters = self.letters();
        let mut known = Verb::ALL.into_iter().zip(LETTERS);
        let is_begun = |(verb, known): &(Verb, u64)| {
            (known ^ letters).leading_zeros() as usize >= 8 * verb.name().len()
        };
        known.find(is_begun).map(|(verb, _)| verb)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_word_of_an_authentication_has_a_letter_that_is_searched_for() {
        let has_needed = |word: &&str| word.bytes().any(CredentialWords::need);
        assert!(CREDENTIAL_WORDS.iter().all(has_needed));
    }
}
