//! The SMTP dialogue; depends on no other module of ours.

use std::fmt;

/// How the dialogue broke its own rules.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Fault {
    /// A reply that answers no command.
    UnexpectedReply,
}

impl Fault {
    /// The word used in logs.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::UnexpectedReply => "unexpected-reply",
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
