//! Virtual patches: known holes of mail servers, as data, and the machine that looks for them.
//!
//! A [`Patch`] is a file: what it closes, in which products, and what shows an attack in a line of
//! the client. All texts that are looked for in one kind of argument are one automaton, so that a
//! byte costs one step of it however many patches there are. What the machine remembers of the line
//! under way is a [`Line`], a few bytes that survive any cut. Nothing here is a regular expression,
//! on purpose: no pattern can cost more than another.
//!
//! Pure: no packets, no time, no policy but whether a patch is off, logs or acts ([`Plan`]).

mod automaton;
mod builtin;
mod by_byte;
mod catalogue;
mod file;
mod header;
mod keyword;
mod line;
mod machine;
mod path;
mod plan;
mod product;
mod sieve;
mod zone;

pub use by_byte::ByByte;
pub use catalogue::{Catalogue, Id};
pub use file::Fault;
pub use header::{Field, Header, Marks, Met};
pub use keyword::Keyword;
pub use line::{Cure, Line};
pub use plan::{Act, Plan, Strike};
pub use product::{Bound, Named, Product, Release};
pub use zone::Zone;

use std::fmt;

use serde::{Deserialize, Serialize};

/// What is done about a patch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum State {
    /// Nothing.
    Off,
    /// What it would act on is logged and counted.
    Log,
    /// It acts.
    On,
}

impl State {
    /// Every state.
    pub const ALL: [Self; 3] = [Self::Off, Self::Log, Self::On];

    /// The word in configuration and listings.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Off => "off",
            Self::Log => "log",
            Self::On => "on",
        }
    }

    /// The state of this name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.name() == name)
    }
}

/// What a rule does about what it found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Deed {
    /// It is logged.
    Log,
    /// Its last byte becomes X, and the line lives.
    Blank,
    /// The rest of the line becomes what every server refuses.
    Refuse,
    /// The flow ends.
    Reset,
}

impl Deed {
    /// Every deed, the weakest first.
    pub const ALL: [Self; 4] = [Self::Log, Self::Blank, Self::Refuse, Self::Reset];

    /// The word in a patch's file.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Log => "log",
            Self::Blank => "blank",
            Self::Refuse => "refuse",
            Self::Reset => "reset",
        }
    }

    /// What was done, as the counters call it.
    #[must_use]
    pub const fn done(self) -> &'static str {
        match self {
            Self::Log => "logged",
            Self::Blank => "blanked",
            Self::Refuse => "refused",
            Self::Reset => "reset",
        }
    }

    /// The deed of this name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|deed| deed.name() == name)
    }
}

/// Where a patch sees what it is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// Always.
    Always,
    /// Only in clear text: behind STARTTLS nothing is seen.
    ClearText,
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Always => "always",
            Self::ClearText => "cleartext",
        })
    }
}

/// How well it is known what shows an attack.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Grade {
    /// From the vendor's text.
    Vendor,
    /// From the CVE record, or another's rule.
    Record,
    /// From memory.
    Memory,
}

impl Grade {
    /// Every grade, the surest first.
    const ALL: [Self; 3] = [Self::Vendor, Self::Record, Self::Memory];

    /// The letter of files.
    const fn letter(self) -> &'static str {
        match self {
            Self::Vendor => "V",
            Self::Record => "C",
            Self::Memory => "M",
        }
    }
}

/// What a patch closes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Closes {
    /// The hole itself.
    Fault,
    /// The published way to it.
    PublishedForm,
}

impl Closes {
    /// Both.
    const ALL: [Self; 2] = [Self::Fault, Self::PublishedForm];

    /// The words of files.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Fault => "the fault",
            Self::PublishedForm => "the published form",
        }
    }
}

/// One known hole, or several alike, and how it is kept closed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Patch {
    /// Its CVE number, or a name.
    pub id: Id,
    /// What it is, in one line.
    pub title: String,
    /// What it is in.
    pub products: Vec<Product>,
    /// Where it is told of.
    pub references: Vec<String>,
    /// How well it is known what shows it.
    pub grade: Grade,
    /// Where it is seen.
    pub scope: Scope,
    /// Whether the hole itself is closed, or the published way to it.
    pub closes: Closes,
    /// What is left open, and what else to know.
    pub note: String,
    /// What is done about it where nothing else is said.
    pub default: State,
    /// What shows it.
    pub rules: Vec<PatchRule>,
    /// Lines that it must act on, and neighbours that must pass.
    pub tests: Vec<PatchTest>,
}

impl Patch {
    /// Whether another setting of the filter keeps it closed: its rules only name what that does.
    #[must_use]
    pub fn only_names(&self) -> bool {
        self.rules.iter().all(|rule| matches!(rule.sign, Sign::Cause(_)))
    }
}

/// What shows an attack, and what is done then.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PatchRule {
    /// Where in a line.
    pub zones: Vec<Zone>,
    /// What has to stand there.
    pub sign: Sign,
    /// Only where the zone begins.
    pub is_first: bool,
    /// Only inside, or only outside, of a quoted string.
    pub quoted: Option<bool>,
    /// Only behind this byte in the same zone.
    pub behind: Option<u8>,
    /// Only from the n-th time on in one field of a header; 0 and 1 are every time.
    pub nth: u8,
    /// What is done.
    pub deed: Deed,
}

/// What has to stand in a zone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Sign {
    /// One of these texts, in any case of letters. Bytes are texts of one byte.
    Texts(Vec<Vec<u8>>),
    /// More than so many bytes.
    Over(u16),
    /// A path without a local part, or with one that comes to nothing.
    EmptyLocalPart,
    /// A quoted string that the line's end leaves open.
    OpenQuote,
    /// Base64 of a length that no base64 has: at the line's end, one short of a multiple of 4.
    Base64Length,
    /// What the filter rules by itself, under this name.
    Cause(String),
}

/// A line that a patch has to act on, or a neighbour that has to pass unchanged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PatchTest {
    /// Settings that it wants otherwise than they are, each `name=value`.
    pub settings: Vec<String>,
    /// What is said before it: each with who says it, `C: ` or `S: `.
    pub before: Vec<String>,
    /// The client's lines, or, where it is the server's turn, the server's.
    pub said: Vec<Vec<u8>>,
    /// Whether the server says it.
    pub is_reply: bool,
    /// What arrives of it.
    pub arrives: Arrives,
}

impl PatchTest {
    /// What is said before it: whether the client says it, and what.
    pub fn talk(&self) -> impl Iterator<Item = (bool, Vec<u8>)> {
        self.before.iter().filter_map(|line| {
            let (is_client, said) = file::speaker(line)?;
            Some((is_client, file::unescaped(said)))
        })
    }
}

/// What arrives of a test's lines.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Arrives {
    /// All of it, as it was said; the patch has nothing to say.
    Unchanged,
    /// All of it, as it was said; the patch logs it.
    Logged,
    /// These lines in its place.
    Changed(Vec<Vec<u8>>),
    /// Not its end: the flow is reset.
    Reset,
}

#[cfg(test)]
mod tests;
