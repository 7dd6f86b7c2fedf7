//! What we want: the profile's settings, and what they do about each run of bytes that `smtp` read.
//!
//! Pure: no packets, no time. An edit is a draft of the run's own length, so nothing here can
//! change a length; whether the edit is applied is the engine's business (monitor mode does not).

mod judge;
mod limit;
mod profile;
mod reply;
mod settings;

pub use judge::{Draft, Guard, Ruling, Watch};
pub use settings::{
    AddressScan, Banner, EhloFilter, LongLines, Lookalikes, Refusal, Settings, SplitAction,
    SplitScope, SplitTerminator, StartTls, Unit, VerbSet,
};

use std::fmt;

/// Which rule changed bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Rule {
    /// A character that defines no address in MAIL or RCPT (Cisco's message 108002).
    Address,
    /// The greeting's text was masked.
    Banner,
    /// A TAB behind the verb became a space.
    CommandGap,
    /// A keyword in the answer to EHLO that is not listed.
    EhloKeyword,
    /// A command line longer than the offered extensions allow.
    LongLine,
    /// Something that only looks like the end of the message (SMTP smuggling).
    Lookalike,
    /// What no server may take for a command: bytes behind a bare CR or a NUL in a line, a BDAT
    /// that may not pass, text behind a final reply, octets that the server refused.
    StrayBytes,
    /// A line whose verb is not permitted.
    Verb,
}

impl Rule {
    /// The word used in logs.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Address => "address",
            Self::Banner => "banner",
            Self::CommandGap => "command-gap",
            Self::EhloKeyword => "ehlo-keyword",
            Self::LongLine => "long-line",
            Self::Lookalike => "lookalike",
            Self::StrayBytes => "stray-bytes",
            Self::Verb => "verb",
        }
    }
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests;
