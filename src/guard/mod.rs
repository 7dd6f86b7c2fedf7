//! What we want: the profile's settings, and what they do about each run of bytes that `smtp` read.
//!
//! Pure: no packets, no time. An edit is a draft of the run's own length, so nothing here can
//! change a length; whether the edit is applied is the engine's business (monitor mode does not).

mod address;
mod argument;
mod before;
mod choice;
mod declared;
mod envelope;
mod extension;
mod judge;
mod limit;
mod line;
mod map;
mod mask;
mod message;
mod order;
mod part;
mod patches;
mod pattern;
mod profile;
mod reading;
mod reply;
mod settings;
mod size;
mod speech;
mod tally;
mod tls;
mod utf8;
mod value;
mod verbs;
mod whole;

pub use before::WatchBefore;
pub use choice::{
    AddressScan, Banner, BareLastLine, Cure, EhloFilter, EnvelopeRules, HttpWords, LongLines,
    Lookalikes, ParameterRules, ProxyProtocol, Refusal, SplitAction, SplitScope, SplitTerminator,
    StartTls, SyslogNames, Tls, TlsMinimum, TlsWatch, Unit,
};
pub use judge::{Guard, Mode, Ruling, Run, Watch};
pub use map::{Action, PolicyMap, Row};
pub use mask::Draft;
pub(crate) use mask::MASK;
pub use patches::Patches;
pub use pattern::Patterns;
pub use profile::Profile;
pub use settings::{Setting, Settings};
pub use tls::{Names, Offer, Plain, TlsRuling};
pub use value::{Bytes, Excess, Kind, Limit, Mechanisms, VerbSet};
pub use verbs::Verbs;

use std::fmt;

use serde::{Deserialize, Serialize};

/// Which rule changed bytes, or ended a flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Rule {
    /// A character that defines no address in MAIL or RCPT (Cisco's message 108002).
    Address,
    /// AUTH behind a successful one, or inside a transaction.
    AuthAgain,
    /// The greeting's text was masked.
    Banner,
    /// Bytes of a message's body.
    BodyBytes,
    /// Bytes of a line of it.
    BodyLine,
    /// The last line of a reply of several has nothing but its code.
    BareLastLine,
    /// A TAB behind the verb became a space.
    CommandGap,
    /// DATA in a transaction that has begun with BDAT.
    DataAfterBdat,
    /// DATA or BDAT outside of a transaction.
    DataWithoutMail,
    /// DATA without a recipient that was accepted, or may be.
    DataWithoutRcpt,
    /// A message larger than the SIZE of its MAIL.
    DeclaredSize,
    /// A server that used to offer STARTTLS does not, or its keyword was masked by somebody.
    Downgrade,
    /// A keyword in the answer to EHLO that is not listed.
    EhloKeyword,
    /// Empty lines in a row.
    EmptyLines,
    /// An argument that is not as the grammar of its verb wants it.
    Envelope,
    /// Authentications that failed.
    FailedAuth,
    /// Bytes of a message's header.
    HeaderBytes,
    /// Fields of it.
    HeaderFields,
    /// Bytes of a line of it.
    HeaderLine,
    /// A name in HELO or EHLO that is refused.
    HelloName,
    /// Commands that bring no message on its way.
    IdleCommands,
    /// A local part that is too long.
    LocalPart,
    /// A line of the client that is too long: for RFC 5321 and the offered extensions where it is
    /// only logged, for the profile where it ends the flow.
    LongLine,
    /// Something that only looks like the end of the message (SMTP smuggling).
    Lookalike,
    /// MAIL inside a transaction.
    MailTwice,
    /// The server has accepted a MAIL or RCPT whose path is masked.
    MaskedPath,
    /// Bytes of a message: more than the server takes.
    MessageBytes,
    /// Messages in a connection.
    Messages,
    /// The client speaks another protocol.
    OtherProtocol,
    /// A parameter of MAIL or RCPT that the server has not offered.
    Parameter,
    /// A patch for a known hole.
    Patch,
    /// A path that is too long.
    PathLength,
    /// RCPT outside of a transaction.
    RcptWithoutMail,
    /// More recipients of one message than the profile allows.
    Recipients,
    /// Lines that were refused here.
    RefusedLines,
    /// Recipients that the server has refused for good.
    RejectedRecipients,
    /// A sender's address longer than the profile allows.
    Sender,
    /// A name in a ClientHello that is none (CVE-2019-15846), or a hello that cannot be seen.
    Sni,
    /// Small chunks of one message.
    SmallChunks,
    /// What no server may take for a command: bytes behind a bare CR or a NUL in a line, a BDAT
    /// that may not pass, text behind a final reply, octets that the server refused.
    StrayBytes,
    /// A version of TLS below the lowest that may be agreed on.
    TlsMinimum,
    /// Mail or an authentication in clear text, where TLS has to come first.
    TlsRequired,
    /// A line whose verb is not permitted.
    Verb,
    /// Small letters in a BDAT's LAST became capitals.
    LastChunk,
}

impl Rule {
    /// Those that are a limit on what a client does.
    pub const LIMITS: [Self; 18] = [
        Self::BodyBytes,
        Self::BodyLine,
        Self::EmptyLines,
        Self::FailedAuth,
        Self::HeaderBytes,
        Self::HeaderFields,
        Self::HeaderLine,
        Self::IdleCommands,
        Self::LocalPart,
        Self::LongLine,
        Self::MessageBytes,
        Self::Messages,
        Self::PathLength,
        Self::Recipients,
        Self::RefusedLines,
        Self::RejectedRecipients,
        Self::Sender,
        Self::SmallChunks,
    ];

    /// The word used in logs.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Address => "address",
            Self::AuthAgain => "auth-again",
            Self::Banner => "banner",
            Self::BodyBytes => "body-bytes",
            Self::BodyLine => "body-line",
            Self::BareLastLine => "bare-last-line",
            Self::CommandGap => "command-gap",
            Self::DataAfterBdat => "data-after-bdat",
            Self::DataWithoutMail => "data-without-mail",
            Self::DataWithoutRcpt => "data-without-rcpt",
            Self::DeclaredSize => "declared-size",
            Self::Downgrade => "downgrade",
            Self::EhloKeyword => "ehlo-keyword",
            Self::EmptyLines => "empty-lines",
            Self::Envelope => "envelope",
            Self::FailedAuth => "failed-auth",
            Self::HeaderBytes => "header-bytes",
            Self::HeaderFields => "header-fields",
            Self::HeaderLine => "header-line",
            Self::HelloName => "hello-name",
            Self::IdleCommands => "idle-commands",
            Self::LastChunk => "last-chunk",
            Self::LocalPart => "local-part",
            Self::LongLine => "long-line",
            Self::Lookalike => "lookalike",
            Self::MailTwice => "mail-twice",
            Self::MaskedPath => "masked-path",
            Self::MessageBytes => "message-bytes",
            Self::Messages => "messages",
            Self::OtherProtocol => "other-protocol",
            Self::Parameter => "parameter",
            Self::Patch => "patch",
            Self::PathLength => "path",
            Self::RcptWithoutMail => "rcpt-without-mail",
            Self::Recipients => "recipients",
            Self::RefusedLines => "refused-lines",
            Self::RejectedRecipients => "rejected-recipients",
            Self::Sender => "sender",
            Self::Sni => "sni",
            Self::SmallChunks => "small-chunks",
            Self::StrayBytes => "stray-bytes",
            Self::TlsMinimum => "tls-minimum",
            Self::TlsRequired => "tls-required",
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
