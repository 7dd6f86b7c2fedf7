//! The parameters of MAIL and RCPT that a rule can look at by name.

use serde::{Deserialize, Serialize};

/// Parameters of MAIL and RCPT that rules tell apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Keyword {
    /// RFC 4954 5.
    Auth,
    /// RFC 6152, RFC 3030.
    Body,
    /// RFC 3461 4.4.
    Envid,
    /// RFC 3461 4.1.
    Notify,
    /// RFC 3461 4.2.
    Orcpt,
    /// RFC 3461 4.3.
    Ret,
    /// RFC 1870.
    Size,
}

impl Keyword {
    /// Every parameter.
    pub(super) const ALL: [Self; Self::COUNT as usize] =
        [Self::Auth, Self::Body, Self::Envid, Self::Notify, Self::Orcpt, Self::Ret, Self::Size];

    /// How many there are.
    pub(super) const COUNT: u32 = 7;

    /// The word.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Auth => "AUTH",
            Self::Body => "BODY",
            Self::Envid => "ENVID",
            Self::Notify => "NOTIFY",
            Self::Orcpt => "ORCPT",
            Self::Ret => "RET",
            Self::Size => "SIZE",
        }
    }

    /// The one whose name begins so.
    fn beginning_with(letter: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|keyword| keyword.name().as_bytes().first() == Some(&letter))
    }

    pub(super) fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|keyword| keyword.name() == name)
    }
}

/// What has come of a keyword, in one byte: its letters so far, and behind them, in the upper half,
/// the number of the one that begins so in [`Keyword::ALL`]. No two begin with the same letter.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Spelt(u8);

impl Spelt {
    /// The letters of one that is none of ours.
    const OTHER: u8 = 0xF;

    /// The next letter.
    pub(super) fn add(&mut self, letter: u8) {
        let (count, letter) = (self.0 & 0xF, letter.to_ascii_uppercase());
        let begun = if count == 0 { Keyword::beginning_with(letter) } else { self.begun() };
        let is_next = |keyword: &Keyword| {
            let known = keyword.name().as_bytes().get(usize::from(count));
            count < Self::OTHER && known == Some(&letter)
        };
        let next = begun.filter(is_next);
        self.0 = next.map_or(Self::OTHER, |keyword| ((keyword as u8) << 4) | (count + 1));
    }

    /// The one that begins so; any, if none does.
    fn begun(self) -> Option<Keyword> {
        Keyword::ALL.get(usize::from(self.0 >> 4)).copied()
    }

    /// The keyword, if it is whole.
    pub(super) fn keyword(self) -> Option<Keyword> {
        self.begun().filter(|keyword| keyword.name().len() == usize::from(self.0 & 0xF))
    }
}
