//! What the server has offered, as far as the client's lines depend on it: how long MAIL and RCPT
//! may be, and which parameters they may have.

use serde::{Deserialize, Serialize};

use crate::smtp::{Spelling, longest};

/// Extensions of the last answer to EHLO that passed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Offers(u32);

impl Offers {
    /// The server has offered this keyword.
    pub(super) fn add(&mut self, keyword: &[u8]) {
        let index = EXTENSIONS.iter().position(|extension| extension.0.as_bytes() == keyword);
        match index {
            Some(index) => self.0 |= 1 << index,
            // What nobody knows may permit a parameter of its own name (XVERP).
            None if !SILENT.iter().any(|known| known.as_bytes() == keyword) => self.0 |= OTHER,
            None => {}
        }
    }

    /// Whether addresses may be in UTF-8.
    pub(super) fn has_utf8(self) -> bool {
        self.permits().contains(SMTPUTF8)
    }

    /// How much longer than RFC 5321 wants it MAIL may be, and RCPT.
    pub(super) fn added(self) -> (u32, u32) {
        self.offered().fold((0, 0), |(mail, rcpt), &(_, more_mail, more_rcpt, _)| {
            (mail + more_mail, rcpt + more_rcpt)
        })
    }

    /// The parameters that MAIL and RCPT may have.
    pub(super) fn permits(self) -> Parameters {
        let own = self.offered().fold(0, |all, &(.., parameters)| all | parameters);
        Parameters(own | (self.0 & OTHER))
    }

    fn offered(self) -> impl Iterator<Item = &'static Extension> {
        EXTENSIONS.iter().enumerate().filter(move |(at, _)| self.0 & (1 << at) != 0).map(|(_, e)| e)
    }
}

/// A set of parameters of MAIL and RCPT.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Parameters(u32);

impl Parameters {
    /// Every one there is.
    pub(super) const ALL: Self = Self(u32::MAX);

    /// This one alone.
    pub(super) const fn of(index: u32) -> Self {
        Self(1 << index)
    }

    /// The set that these bits stand for.
    pub(super) const fn of_bits(bits: u32) -> Self {
        Self(bits)
    }

    /// One bit for each.
    pub(super) const fn bits(self) -> u32 {
        self.0
    }

    /// The first of them; none has so high a number.
    pub(super) const fn index(self) -> u32 {
        self.0.trailing_zeros()
    }

    /// Whether it has this one.
    pub(super) const fn contains(self, index: u32) -> bool {
        self.0 & (1 << index) != 0
    }

    /// Whether it has one of these, or any that is not known here.
    pub(super) const fn meets(self, other: Self) -> bool {
        self.0 & (other.0 | OTHER) != 0
    }

    /// Those of them whose name has this letter there.
    pub(super) fn with_letter(self, at: u8, letter: u8) -> Self {
        Self(SPELLING.with_letter(self.0, at, letter))
    }

    /// Those of them whose name is so long.
    pub(super) fn of_length(self, length: u8) -> Self {
        Self(SPELLING.of_length(self.0, length))
    }
}

static SPELLING: Spelling<{ longest(&NAMES) }> = Spelling::of(&NAMES);

/// A keyword, what it adds to the length of MAIL and of RCPT, and the parameters it permits.
type Extension = (&'static str, u32, u32, u32);

/// Parameters by their place in [`NAMES`].
pub(super) const SIZE: u32 = place_of("SIZE");
pub(super) const BODY: u32 = place_of("BODY");
pub(super) const SMTPUTF8: u32 = place_of("SMTPUTF8");
pub(super) const AUTH: u32 = place_of("AUTH");
pub(super) const ENVID: u32 = place_of("ENVID");
pub(super) const ORCPT: u32 = place_of("ORCPT");

#[expect(clippy::indexing_slicing, reason = "a name that is none does not compile")]
const fn place_of(name: &str) -> u32 {
    let mut place = 0;
    while !is_same(NAMES[place as usize].as_bytes(), name.as_bytes()) {
        place += 1;
    }
    place
}

const fn is_same(mut one: &[u8], mut other: &[u8]) -> bool {
    while let ([a, one_rest @ ..], [b, other_rest @ ..]) = (one, other) {
        if *a != *b {
            return false;
        }
        (one, other) = (one_rest, other_rest);
    }
    one.is_empty() && other.is_empty()
}

/// A bit for each of these parameters.
const fn bits_of(mut names: &[&str]) -> u32 {
    let mut bits = 0;
    while let [name, rest @ ..] = names {
        bits |= 1 << place_of(name);
        names = rest;
    }
    bits
}

/// A keyword nobody is to be offered, and the parameter that it permits (draft-hall-prdr): behind a
/// message the server says 353 and one reply for each recipient before the one to the message, and
/// each of them would seem to answer a command that comes later.
pub(super) const MANY_REPLIES: &str = "PRDR";

/// Parameters that have a rule or an extension of their own.
const NAMES: [&str; 19] = [
    "SIZE",
    "BODY",
    "SMTPUTF8",
    "AUTH",
    "ENVID",
    "ORCPT",
    "RET",
    "NOTIFY",
    "BY",
    "HOLDFOR",
    "HOLDUNTIL",
    "MT-PRIORITY",
    "REQUIRETLS",
    "SUBMITTER",
    "MTRK",
    "CONPERM",
    "RRVS",
    "SOLICIT",
    "TRANSID",
];

/// The extensions that matter here. What they add to lines: RFC 1870 3, RFC 6152 3, RFC 6531 3.4,
/// RFC 4954 3, RFC 3461 4, RFC 2852 4.
const EXTENSIONS: [Extension; 16] = [
    ("SIZE", 26, 0, bits_of(&["SIZE"])),
    ("8BITMIME", 17, 0, bits_of(&["BODY"])),
    ("BINARYMIME", 0, 0, bits_of(&["BODY"])),
    ("SMTPUTF8", 10, 0, bits_of(&["SMTPUTF8"])),
    ("AUTH", 500, 0, bits_of(&["AUTH"])),
    ("DSN", 107, 500, bits_of(&["ENVID", "ORCPT", "RET", "NOTIFY"])),
    ("DELIVERBY", 17, 0, bits_of(&["BY"])),
    ("FUTURERELEASE", 0, 0, bits_of(&["HOLDFOR", "HOLDUNTIL"])),
    ("MT-PRIORITY", 0, 0, bits_of(&["MT-PRIORITY"])),
    ("REQUIRETLS", 0, 0, bits_of(&["REQUIRETLS"])),
    ("SUBMITTER", 0, 0, bits_of(&["SUBMITTER"])),
    ("MTRK", 0, 0, bits_of(&["MTRK"])),
    ("CONPERM", 0, 0, bits_of(&["CONPERM"])),
    ("RRVS", 0, 0, bits_of(&["RRVS"])),
    ("NO-SOLICITING", 0, 0, bits_of(&["SOLICIT"])),
    ("CHECKPOINT", 0, 0, bits_of(&["TRANSID"])),
];

/// Keywords that permit no parameter.
const SILENT: [&str; 11] = [
    "ATRN",
    "CHUNKING",
    "ENHANCEDSTATUSCODES",
    "ETRN",
    "EXPN",
    "HELP",
    "LIMITS",
    "PIPELINING",
    "STARTTLS",
    "TURN",
    "VRFY",
];

/// Some keyword was offered that is not known here.
const OTHER: u32 = 1 << 31;

#[cfg(test)]
mod tests {
    use super::*;

    /// The parameter of this name alone.
    fn named(name: &str) -> Parameters {
        let letters = name.bytes().zip(0..);
        let open = letters.fold(Parameters::ALL, |open, (byte, at)| open.with_letter(at, byte));
        open.of_length(u8::try_from(name.len()).unwrap())
    }

    fn offers(keywords: &[&str]) -> Offers {
        let mut offers = Offers::default();
        keywords.iter().for_each(|keyword| offers.add(keyword.as_bytes()));
        offers
    }

    /// What the standards let each of them add to MAIL and RCPT.
    #[test]
    fn each_extension_adds_what_its_standard_says() {
        let known: [(&str, (u32, u32), &[&str]); 18] = [
            ("SIZE", (26, 0), &["SIZE"]),
            ("8BITMIME", (17, 0), &["BODY"]),
            ("BINARYMIME", (0, 0), &["BODY"]),
            ("SMTPUTF8", (10, 0), &["SMTPUTF8"]),
            ("AUTH", (500, 0), &["AUTH"]),
            ("DSN", (107, 500), &["ENVID", "ORCPT", "RET", "NOTIFY"]),
            ("DELIVERBY", (17, 0), &["BY"]),
            ("FUTURERELEASE", (0, 0), &["HOLDFOR", "HOLDUNTIL"]),
            ("MT-PRIORITY", (0, 0), &["MT-PRIORITY"]),
            ("REQUIRETLS", (0, 0), &["REQUIRETLS"]),
            ("SUBMITTER", (0, 0), &["SUBMITTER"]),
            ("MTRK", (0, 0), &["MTRK"]),
            ("CONPERM", (0, 0), &["CONPERM"]),
            ("RRVS", (0, 0), &["RRVS"]),
            ("NO-SOLICITING", (0, 0), &["SOLICIT"]),
            ("CHECKPOINT", (0, 0), &["TRANSID"]),
            ("PIPELINING", (0, 0), &[]),
            ("CHUNKING", (0, 0), &[]),
        ];
        for (keyword, added, parameters) in known {
            let offers = offers(&[keyword]);
            assert_eq!(offers.added(), added, "{keyword}");
            assert_eq!(offers.has_utf8(), keyword == "SMTPUTF8", "{keyword}");
            for name in NAMES {
                let is_permitted = offers.permits().meets(named(name));
                assert_eq!(is_permitted, parameters.contains(&name), "{keyword} {name}");
            }
            assert!(!offers.permits().meets(named("XFOO")), "{keyword}");
        }
        let all = offers(&known.map(|(keyword, ..)| keyword));
        assert_eq!(all.added(), (677, 500));
        assert!(NAMES.iter().all(|name| all.permits().meets(named(name))));
        // Nobody knows what an unknown one permits.
        let other = offers(&["XVERP"]);
        assert!(other.permits().meets(named("XVERP")) && !other.permits().contains(SIZE));
        assert_eq!(other.added(), (0, 0));
    }
}
