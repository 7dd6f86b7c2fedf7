//! How long a line of the client is, and how long it may be.
//!
//! A line longer than the buffer a server reads lines with is several lines there, and what stands
//! behind the buffer's end runs as a command. So the profiles' limits lie below every server's
//! buffer, and the bytes are counted one by one: where the stream is cut makes no difference.
//! Counted is what stands before the line end, CR LF or LF. A CR that ends no line counts.
//!
//! Apart from those limits stands what RFC 5321 allows, and what the offered extensions add. A
//! flat 512 would refuse legal mail: each extension that adds parameters to MAIL or RCPT adds to
//! the length too.

use serde::{Deserialize, Serialize};

use super::extension::Offers;
use super::settings::Settings;
use super::value::LineLimit;
use crate::smtp::Verb;

/// Which limit a line has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum LineKind {
    /// A command that is none of the others, or not yet known.
    #[default]
    Other,
    Mail,
    Rcpt,
    Auth,
    /// The client's line in an AUTH exchange.
    Response,
}

impl LineKind {
    /// The lowest of the standard's limits.
    pub(super) const SHORTEST: u32 = PLAIN;

    /// The kind of a line with this verb.
    pub(super) const fn of(verb: Option<Verb>) -> Self {
        match verb {
            Some(Verb::Mail) => Self::Mail,
            Some(Verb::Rcpt) => Self::Rcpt,
            Some(Verb::Auth) => Self::Auth,
            _ => Self::Other,
        }
    }

    /// The profile's limit.
    pub(super) fn limit(self, settings: &Settings) -> LineLimit {
        match self {
            Self::Other => settings.line_max,
            Self::Mail | Self::Rcpt => settings.envelope_line_max,
            Self::Auth => settings.auth_line_max,
            Self::Response => settings.auth_response_max,
        }
    }

    /// The standard's limit, where these extensions are offered.
    pub(super) fn standard(self, offers: Offers) -> LineLimit {
        let (mail, rcpt) = offers.added();
        LineLimit::from(match self {
            Self::Auth | Self::Response => AUTH,
            Self::Mail => PLAIN + mail,
            Self::Rcpt => PLAIN + rcpt,
            Self::Other => PLAIN,
        })
    }
}

/// The bytes of the line under way, its end not counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct LineLength {
    /// Up to one more than the highest limit there is.
    count: u16,
    /// The last byte is a CR, which counts as soon as something else than LF follows.
    has_cr: bool,
}

impl LineLength {
    /// The bytes so far.
    pub(super) fn count(self) -> u32 {
        u32::from(self.count)
    }

    /// More of the line. A LF can only be the last byte.
    pub(super) fn add(&mut self, run: &[u8]) {
        let text = run.strip_suffix(b"\n").unwrap_or(run);
        let Some((&last, before)) = text.split_last() else { return };
        let before = u16::try_from(before.len()).unwrap_or(u16::MAX);
        let had_cr = std::mem::replace(&mut self.has_cr, last == b'\r');
        let more = before.saturating_add(had_cr.into()).saturating_add((!self.has_cr).into());
        self.count = self.count.saturating_add(more);
    }
}

/// RFC 5321 4.5.3.1.4, without the CRLF.
const PLAIN: u32 = 510;

/// RFC 4954 4.
const AUTH: u32 = 12_288;
