//! What the client speaks: SMTP, or something that only happens to reach an SMTP server.
//!
//! Whoever can make a browser, or anything else that speaks HTTP, open a connection to port 25 can
//! have mail in what it sends. Servers hang up on the first word of such a request: Postfix on
//! GET, POST, CONNECT and on whatever looks like the header of a message, sendmail on USER too.
//! Masked, those words would not warn them, so the flow has to end here.
//!
//! What begins as no text at all (a TLS hello) is masked like any other line, since each server
//! refuses it; but if MAIL follows it, it was no mistake: a mail can be written into such a hello,
//! and Postfix would have hung up.

use serde::{Deserialize, Serialize};

use crate::smtp::{Spelling, Verb, is_gap, longest, span};

/// What the client's lines have shown it to speak.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Speech {
    /// None of them had a verb.
    #[default]
    Unknown,
    /// The first did not begin with text.
    Binary,
    /// One had a verb.
    Smtp,
}

impl Speech {
    /// More of a line, and the verb it begins with as far as that is known. Says whether the line
    /// shows that the client speaks another protocol.
    pub(super) fn hear(&mut self, word: &mut FirstWord, verb: Option<Verb>, run: &[u8]) -> bool {
        let mut rest = run;
        while let Some((&byte, behind)) = word.news(rest).split_first() {
            rest = behind;
            let is_space = is_gap(byte);
            let is_foreign = match word.place {
                Place::Inside if is_space => self.is_foreign_word(*word, verb),
                Place::Inside if byte == b':' && *self == Self::Unknown => true,
                // Spaces before the word are no news.
                Place::Before | Place::Inside | Place::Behind => {
                    if word.place == Place::Before
                        && *self == Self::Unknown
                        && !byte.is_ascii_graphic()
                    {
                        *self = Self::Binary;
                    }
                    word.push(byte);
                    continue;
                }
            };
            word.place = Place::Behind;
            return is_foreign;
        }
        false
    }

    fn is_foreign_word(&mut self, word: FirstWord, verb: Option<Verb>) -> bool {
        let is_foreign = match self {
            Self::Unknown => word.is_foreign(true),
            Self::Binary => word.is_foreign(false) || verb == Some(Verb::Mail),
            Self::Smtp => word.is_foreign(false),
        };
        if *self == Self::Unknown && verb.is_some() {
            *self = Self::Smtp;
        }
        is_foreign
    }
}

/// The first word of a line, whatever spaces stand before it: so servers read it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct FirstWord {
    /// Bit n: it is not word n of [`WORDS`]. Less to keep for each flow than its letters.
    excluded: u16,
    /// Letters so far, up to [`LENGTH_MAX`].
    length: u8,
    place: Place,
}

impl FirstWord {
    /// The run without the bytes at its front that change nothing any more.
    fn news(self, run: &[u8]) -> &[u8] {
        // What is longer than any word is none of them.
        let is_no_word = self.place == Place::Inside && self.length == LENGTH_MAX;
        let first = match self.place {
            Place::Behind => None,
            Place::Inside if is_no_word => Some(span(run, |byte| !(is_gap(byte) | (byte == b':')))),
            Place::Before => Some(span(run, is_gap)),
            Place::Inside => Some(0),
        };
        first.and_then(|first| run.get(first..)).unwrap_or_default()
    }

    fn push(&mut self, byte: u8) {
        self.place = Place::Inside;
        if self.length == LENGTH_MAX {
            return;
        }
        let open = SPELLING.with_letter(self.open(), self.length, byte);
        self.excluded = ALL & !u16::try_from(open).unwrap_or_default();
        self.length += 1;
    }

    /// Whether it is, whole, a word that ends the flow.
    fn is_foreign(self, is_first: bool) -> bool {
        let whole = SPELLING.of_length(self.open(), self.length);
        let rest = if is_first { whole } else { whole >> AT_FIRST };
        rest != 0
    }

    /// A bit for each word that it may be.
    fn open(self) -> u32 {
        (ALL & !self.excluded).into()
    }
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
enum Place {
    #[default]
    Before,
    Inside,
    Behind,
}

/// What sendmail takes for another protocol where no verb came before it, and the methods of HTTP
/// (RFC 9110 9, RFC 5789, RFC 4918 9.1). None is a verb of SMTP.
const WORDS: [&str; 11] = [
    "USER", "CONNECT", "DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PROPFIND", "PUT",
    "TRACE",
];

static SPELLING: Spelling<{ longest(&WORDS) }> = Spelling::of(&WORDS);

/// A bit for each of them.
const ALL: u16 = (1 << WORDS.len()) - 1;

/// So many of those count only before the first verb.
const AT_FIRST: u32 = 1;

/// One letter more than the longest of them has.
const LENGTH_MAX: u8 = 9;
