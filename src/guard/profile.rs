//! The profiles: every generation of Mailguard, and what a server of today wants. What each one
//! presets stands with the settings; the longer values stand here.
//!
//! What each release of the original did is known with different certainty. Chosen where no source
//! decides: the releases from 4.1 to 5.2.4 answer OK by way of NOOP, those from 6.3 on 500 by way
//! of X; all bytes of a refused first word become X there, digits and hyphens too; ASA's masked
//! keywords lose their parameters too; its 27th masked keyword begins the alphabet again. Each of
//! these is a setting of its own.

use super::VerbSet;
use crate::smtp::Verb;

/// A generation of Mailguard, or a profile of this program that is like none of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Profile {
    /// This program's default.
    Mailguard,
    /// This program's profile for the servers of today.
    Esmtp,
    /// PIX 4.0 to 4.2.
    Pix41,
    /// PIX 4.4.
    Pix44,
    /// PIX 5.1 to 5.2(3).
    Pix51,
    /// PIX 5.2(4) to 6.0.
    Pix524,
    /// PIX 6.1 to 6.3.
    Pix63,
    /// PIX 7, ASA and what followed.
    Asa,
}

impl Profile {
    /// All of them, in order.
    pub const ALL: [Self; 8] = [
        Self::Mailguard,
        Self::Esmtp,
        Self::Pix41,
        Self::Pix44,
        Self::Pix51,
        Self::Pix524,
        Self::Pix63,
        Self::Asa,
    ];

    /// The name that the configuration uses.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Mailguard => "mailguard",
            Self::Esmtp => "esmtp",
            Self::Pix41 => "pix-4.1",
            Self::Pix44 => "pix-4.4",
            Self::Pix51 => "pix-5.1",
            Self::Pix524 => "pix-5.2.4",
            Self::Pix63 => "pix-6.3",
            Self::Asa => "asa",
        }
    }

    /// The names of all of them, in order.
    #[must_use]
    pub fn names() -> [&'static str; Self::ALL.len()] {
        Self::ALL.map(Self::name)
    }

    /// The profile of this name.
    pub(super) fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|profile| profile.name() == name)
    }
}

/// Keywords as a setting holds them.
pub(super) fn owned(keywords: &[&str]) -> Vec<String> {
    keywords.iter().map(|&keyword| keyword.to_owned()).collect()
}

/// RFC 821 4.5.1's minimum, all that Mailguard ever let through: "the seven".
pub(super) const SEVEN: VerbSet = VerbSet::of(&[
    Verb::Helo,
    Verb::Mail,
    Verb::Rcpt,
    Verb::Data,
    Verb::Rset,
    Verb::Noop,
    Verb::Quit,
]);

/// What `inspect esmtp` lets through, and STARTTLS: the setting `starttls`, which strips it in an
/// ASA's default map, decides alone.
pub(super) const SIXTEEN: VerbSet = SEVEN.with(VerbSet::of(&[
    Verb::Auth,
    Verb::Ehlo,
    Verb::Etrn,
    Verb::Help,
    Verb::Saml,
    Verb::Send,
    Verb::Soml,
    Verb::StartTls,
    Verb::Vrfy,
]));

/// The sixteen, and what a server of today offers besides.
pub(super) const ESMTP: VerbSet = SIXTEEN.with(VerbSet::of(&[Verb::Bdat]));

/// Keywords seen unmasked behind an ASA; STARTTLS among them where `allow-tls` is set.
pub(super) const ASA_KEYWORDS: [&str; 10] = [
    "8BITMIME",
    "AUTH",
    "CHECKPOINT",
    "DSN",
    "ENHANCEDSTATUSCODES",
    "ETRN",
    "PIPELINING",
    "SIZE",
    "STARTTLS",
    "VRFY",
];

/// Extensions whose commands and replies are understood here, or need no understanding.
pub(super) const ESMTP_KEYWORDS: [&str; 16] = [
    "8BITMIME",
    "AUTH",
    "BINARYMIME",
    "CHUNKING",
    "DELIVERBY",
    "DSN",
    "ENHANCEDSTATUSCODES",
    "ETRN",
    "HELP",
    "LIMITS",
    "PIPELINING",
    "REQUIRETLS",
    "SIZE",
    "SMTPUTF8",
    "STARTTLS",
    "VRFY",
];
