//! What we want: the profile's settings and what they do about what `smtp` saw.

use std::fmt;

/// The settings of a profile, each of which can be set alone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// What to do with the split terminator (CSCds90792).
    pub split_terminator: SplitTerminator,
}

/// Whether CRLF.CRLF cut across segments passes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SplitTerminator {
    /// Any cut passes.
    Fixed,
    /// The segment that completes a cut terminator is rejected each time it is sent.
    Bug,
}

impl Settings {
    /// The preset of a named profile.
    #[must_use]
    pub fn profile(name: &str) -> Option<Self> {
        (name == "mailguard").then_some(Self { split_terminator: SplitTerminator::Fixed })
    }

    /// Sets one setting by its name; the error says what was expected.
    ///
    /// # Errors
    /// An unknown key, or a value the key does not take.
    pub fn set(&mut self, key: &str, value: &str) -> Result<(), String> {
        match (key, value) {
            ("split_terminator", "fixed") => self.split_terminator = SplitTerminator::Fixed,
            ("split_terminator", "bug") => self.split_terminator = SplitTerminator::Bug,
            ("split_terminator", _) => {
                return Err(format!("{key}: `{value}`: expected fixed or bug"));
            }
            _ => return Err(format!("unknown setting `{key}`")),
        }
        Ok(())
    }
}

/// Which rule changed bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Rule {
    /// The greeting's text was masked.
    Banner,
    /// A line whose verb is not permitted.
    Verb,
}

impl Rule {
    /// The word used in logs.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Banner => "banner",
            Self::Verb => "verb",
        }
    }
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
