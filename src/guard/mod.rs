//! What we want: the profile's settings, and what they do about each run of bytes that `smtp` read.
//!
//! Pure: no packets, no time. An edit is a draft of the run's own length, so nothing here can
//! change a length; whether the edit is applied is the engine's business (monitor mode does not).

mod address;
mod choice;
mod judge;
mod limit;
mod line;
mod mask;
mod patches;
mod profile;
mod reply;
mod settings;
mod speech;
mod tls;
mod value;
mod whole;

pub use choice::{
    AddressScan, Banner, Cure, EhloFilter, HttpWords, LongLines, Lookalikes, Refusal, SplitAction,
    SplitScope, SplitTerminator, StartTls, TlsMinimum, TlsWatch, Unit,
};
pub use judge::{Guard, Ruling, Run, Watch};
pub use mask::Draft;
pub use patches::Patches;
pub use settings::{Setting, Settings};
pub use tls::{Names, Offer, Plain, TlsRuling};
pub use value::{Kind, Limit, VerbSet};

use std::fmt;

use serde::{Deserialize, Serialize};

/// Which rule changed bytes, or ended a flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Rule {
    /// A character that defines no address in MAIL or RCPT (Cisco's message 108002).
    Address,
    /// AUTH in clear, where it is for TLS.
    AuthRequiresTls,
    /// The greeting's text was masked.
    Banner,
    /// A TAB behind the verb became a space.
    CommandGap,
    /// A server that used to offer STARTTLS does not, or its keyword was masked by somebody.
    Downgrade,
    /// A keyword in the answer to EHLO that is not listed.
    EhloKeyword,
    /// A line of the client that is too long: for RFC 5321 and the offered extensions where it is
    /// only logged, for the profile where it ends the flow.
    LongLine,
    /// Something that only looks like the end of the message (SMTP smuggling).
    Lookalike,
    /// The client speaks another protocol.
    OtherProtocol,
    /// A patch for a known hole.
    Patch,
    /// More recipients of one message than the profile allows.
    Recipients,
    /// A verb in clear, where it is for TLS.
    RequireTls,
    /// A sender's address longer than the profile allows.
    Sender,
    /// A name in a ClientHello that is none (CVE-2019-15846), or a hello that cannot be seen.
    Sni,
    /// What no server may take for a command: bytes behind a bare CR or a NUL in a line, a BDAT
    /// that may not pass, text behind a final reply, octets that the server refused.
    StrayBytes,
    /// A version of TLS below the lowest that may be agreed on.
    TlsMinimum,
    /// A line whose verb is not permitted.
    Verb,
}

impl Rule {
    /// The word used in logs.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Address => "address",
            Self::AuthRequiresTls => "auth-requires-tls",
            Self::Banner => "banner",
            Self::CommandGap => "command-gap",
            Self::Downgrade => "downgrade",
            Self::EhloKeyword => "ehlo-keyword",
            Self::LongLine => "long-line",
            Self::Lookalike => "lookalike",
            Self::OtherProtocol => "other-protocol",
            Self::Patch => "patch",
            Self::Recipients => "recipients",
            Self::RequireTls => "require-tls",
            Self::Sender => "sender",
            Self::Sni => "sni",
            Self::StrayBytes => "stray-bytes",
            Self::TlsMinimum => "tls-minimum",
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
