//! What each side may say next: two tables, one a side.
//!
//! Rows are where a side stands, columns the content types (20 change_cipher_spec, 21 alert,
//! 22 handshake, 23 application_data). Alerts close or not by what they say, see [`Next::Alert`].
//!
//! | client               | 20   | 21    | 22       | 23        |
//! |----------------------|------|-------|----------|-----------|
//! | Start                | -    | -     | message  | -         |
//! | Hello (under way)    | -    | alert | message  | -         |
//! | Said                 | stay | alert | message¹ | stay²     |
//! | Clear (to 1.2)       | Sealed³ | alert | stay  | -         |
//! | Clear13              | stay | alert | -        | Sealed    |
//! | Sealed, 1.3          | -    | close | -        | stay      |
//! | Sealed, to 1.2       | stay⁴| shut  | finished | stay      |
//! | Closed               | after-close | stay | after-close | after-close |
//! | Shut                 | after-close | after-close | after-close | after-close |
//!
//! | server               | 20   | 21    | 22       | 23        |
//! |----------------------|------|-------|----------|-----------|
//! | Start                | -    | alert | message  | -         |
//! | Hello (under way)    | -    | alert | message  | -         |
//! | Retried              | stay | alert | message  | -         |
//! | Clear                | Sealed | alert | stay   | -         |
//! | Sealed, 1.3          | stay | close | -        | stay      |
//! | Sealed, to 1.2       | stay⁴| shut  | finished | stay      |
//! | Closed, Shut         | as the client's |
//!
//! ¹ only behind a HelloRetryRequest. ² only where early_data was offered. ³ only where keys can
//! be there. ⁴ only behind a second handshake message.
//!
//! Behind an alert under keys stands nothing, not even another: whoever leaves TLS at the first may
//! read what looks like a second in clear (CVE-2026-45185), and nobody needs it.

use serde::{Deserialize, Serialize};

use super::record::ContentType::{self, Alert, ApplicationData, ChangeCipherSpec, Handshake};
use super::record::Lengths;
use super::{Fault, Speaker, Version};

/// Where a side stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum State {
    /// Nothing was said.
    #[default]
    Start,
    /// Its hello is under way.
    Hello,
    /// The client's hello is said, the server's is not.
    Said,
    /// The server has asked for another hello.
    Retried,
    /// The hellos are said, in a version up to 1.2; no keys yet.
    Clear,
    /// The same in 1.3: what the client says next is sealed.
    Clear13,
    /// Under keys.
    Sealed,
    /// An alert in clear has closed it.
    Closed,
    /// An alert under keys has: nothing may follow.
    Shut,
}

/// What the tables ask about.
#[derive(Clone, Copy, Debug)]
pub(super) struct Question {
    pub(super) side: Speaker,
    pub(super) state: State,
    /// What was agreed on, if anything was yet.
    pub(super) version: Option<Version>,
    /// The server has asked for another hello, and the client has not said it.
    pub(super) is_retried: bool,
    /// The client has offered early data.
    pub(super) offers_early_data: bool,
    /// Keys can be there: a handshake message since the ServerHello, or the server's own
    /// ChangeCipherSpec.
    pub(super) may_have_keys: bool,
    /// Handshake records under keys so far.
    pub(super) sealed_handshakes: u8,
}

impl Question {
    /// Whether the payload of such a record decides something, so that its bytes are kept.
    pub(super) const fn keeps_payload(self, kind: ContentType) -> bool {
        match (self.state, kind) {
            (State::Start | State::Hello | State::Said | State::Retried, kind) => {
                !matches!(kind, ApplicationData)
            }
            (State::Clear, Handshake) => matches!(self.side, Speaker::Client),
            // One that closes and one that does not are told apart by what they say.
            (State::Clear | State::Clear13, Alert) => true,
            _ => false,
        }
    }

    /// Whether TLS 1.3 was agreed on.
    const fn is_13(self) -> bool {
        matches!(self.version, Some(version) if version.is_13())
    }

    /// Which lengths a record of this type may have here. Before the versions are known, data can
    /// only be that of TLS 1.3, which may come early.
    pub(super) const fn lengths(self, kind: ContentType) -> Lengths {
        let is_sealed_old = matches!(self.state, State::Sealed) && !self.is_13();
        match kind {
            ChangeCipherSpec | Alert | Handshake if is_sealed_old => Lengths::SealedOld,
            ChangeCipherSpec => Lengths::Exactly(1),
            Alert => Lengths::Exactly(2),
            Handshake => Lengths::Clear,
            ApplicationData if self.version.is_some() && !self.is_13() => Lengths::SealedOld,
            ApplicationData => Lengths::Sealed,
        }
    }
}

/// What a record means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// Its side stands where it stood.
    Stay,
    /// Part of a hello, or what ought to be one.
    Message,
    /// An alert in clear: a fatal one closes its side, a warning does not.
    Alert,
    /// An alert that closes whatever it says.
    Close,
    /// One under keys, which cannot be read: the last record of its side.
    Shut,
    /// This side is under keys now.
    Seal,
    /// A handshake message under keys: the first is Finished, others are a renegotiation.
    Finished,
}

/// The two tables.
pub(super) const fn next(asked: Question, kind: ContentType) -> Result<Next, Fault> {
    match asked.side {
        Speaker::Client => next_of_client(asked, kind),
        Speaker::Server => next_of_server(asked, kind),
    }
}

const fn next_of_client(asked: Question, kind: ContentType) -> Result<Next, Fault> {
    match (asked.state, kind) {
        (State::Start, Handshake) => Ok(Next::Message),
        (State::Start, _) => Err(Fault::NoHello),
        (State::Hello, Handshake) => Ok(Next::Message),
        (State::Hello | State::Said | State::Clear | State::Clear13, Alert) => Ok(Next::Alert),
        (State::Clear13, ChangeCipherSpec) => Ok(Next::Stay),
        // Where RFC 8446 D.4 has one; else it is CVE-2014-0224's, before there are any keys.
        (State::Said, ChangeCipherSpec) if asked.is_retried || asked.offers_early_data => {
            Ok(Next::Stay)
        }
        (State::Said, ChangeCipherSpec) => Err(Fault::EarlyCcs),
        (State::Said, Handshake) if asked.is_retried => Ok(Next::Message),
        (State::Said, ApplicationData) if asked.offers_early_data => Ok(Next::Stay),
        (State::Clear, ChangeCipherSpec) if asked.may_have_keys => Ok(Next::Seal),
        (State::Clear, ChangeCipherSpec) => Err(Fault::EarlyCcs),
        (State::Clear, Handshake) => Ok(Next::Stay),
        (State::Clear13, ApplicationData) => Ok(Next::Seal),
        _ => next_of_either(asked, kind),
    }
}

const fn next_of_server(asked: Question, kind: ContentType) -> Result<Next, Fault> {
    match (asked.state, kind) {
        (State::Start | State::Hello | State::Retried, Handshake) => Ok(Next::Message),
        (State::Start | State::Hello | State::Retried | State::Clear, Alert) => Ok(Next::Alert),
        (State::Start, _) => Err(Fault::NoHello),
        (State::Retried, ChangeCipherSpec) => Ok(Next::Stay),
        (State::Clear, ChangeCipherSpec) => Ok(Next::Seal),
        (State::Clear, Handshake) => Ok(Next::Stay),
        // A server of TLS 1.3 says one for the sake of middleboxes (RFC 8446 D.4).
        (State::Sealed, ChangeCipherSpec) if asked.is_13() => Ok(Next::Stay),
        _ => next_of_either(asked, kind),
    }
}

const fn next_of_either(asked: Question, kind: ContentType) -> Result<Next, Fault> {
    match (asked.state, kind) {
        (State::Sealed, Alert) if asked.is_13() => Ok(Next::Close),
        (State::Sealed, Alert) => Ok(Next::Shut),
        (State::Sealed, ApplicationData) => Ok(Next::Stay),
        (State::Sealed, Handshake) if !asked.is_13() => Ok(Next::Finished),
        (State::Sealed, ChangeCipherSpec) if !asked.is_13() && asked.sealed_handshakes > 1 => {
            Ok(Next::Stay)
        }
        (State::Closed, Alert) => Ok(Next::Stay),
        (State::Closed | State::Shut, _) => Err(Fault::AfterClose),
        _ => Err(Fault::RecordType),
    }
}
