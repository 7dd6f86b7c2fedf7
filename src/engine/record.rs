//! What happened, as data: the entries of the event log.
//!
//! The engine fills [`Record`]s; how they are written (text, json, syslog) is the business of the
//! `event` module. Logged bytes are cut to [`LOGGED_BYTES_MAX`]; the streams themselves never are.

use crate::flow::{Direction, Endpoint};
use crate::guard::{Excess, Rule};
use crate::patch::Id;
use crate::smtp::Fault;
use crate::speaker::PerSpeaker;
use crate::tcp::Violation;
use crate::time::Instant;
use crate::tls::{self, Volume};

use super::{Message, Reason};

/// Bytes of a line or an edit that an entry keeps: RFC 5321 4.5.3.1.4 allows a command line 512.
pub const LOGGED_BYTES_MAX: usize = 512;

/// One entry of the event log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// When the packet that caused it was handled.
    pub at: Instant,
    /// Number of the flow, counted from 1; an engine that goes on from an image counts on.
    pub flow: u64,
    /// The end that opened the flow.
    pub originator: Endpoint,
    /// The other end.
    pub responder: Endpoint,
    /// What happened.
    pub what: What,
    /// What a PIX or an ASA had as a message for it, where the flow has theirs.
    pub message: Option<Message>,
}

/// What an entry reports. Offsets count the bytes of one direction's stream from 0; lines come
/// without their line end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum What {
    /// The handshake was completed.
    Opened,
    /// The server's greeting, one entry a line, as the server sent it.
    Banner {
        /// Offset of the line in the reply stream.
        offset: u64,
        /// The line, or its beginning.
        line: Vec<u8>,
        /// Bytes of the whole line.
        length: u64,
    },
    /// A line of the client, as the client sent it.
    Command {
        /// Offset of the line in the original stream.
        offset: u64,
        /// The line, or its beginning.
        line: Vec<u8>,
        /// Bytes of the whole line.
        length: u64,
    },
    /// A line of the server's reply, as the server sent it.
    Reply {
        /// Offset of the line in the reply stream.
        offset: u64,
        /// The line, or its beginning.
        line: Vec<u8>,
        /// Bytes of the whole line.
        length: u64,
    },
    /// A message begins: the server has asked for it, or the client has sent its first BDAT.
    DataBegin {
        /// Offset of the first byte in the original stream.
        offset: u64,
    },
    /// The message is there whole: its CRLF.CRLF was read, or its last chunk.
    DataEnd {
        /// Offset behind its last byte in the original stream.
        offset: u64,
        /// Bytes of the message, its terminator among them, or octets of all its chunks.
        length: u64,
    },
    /// A rule changed bytes (or, in monitor mode, would have).
    Edited {
        /// Whose bytes.
        direction: Direction,
        /// Offset of the first byte of the run in that direction's stream.
        offset: u64,
        /// Which rule.
        rule: Rule,
        /// The patches that saw in it what they are for.
        patches: Vec<Id>,
        /// The bytes that came.
        before: Vec<u8>,
        /// The bytes that leave.
        after: Vec<u8>,
        /// Bytes of the whole run, of which `before` and `after` may be the beginning.
        length: u64,
    },
    /// A packet was dropped (or, in monitor mode, would have been).
    Dropped {
        /// Who had sent it.
        direction: Direction,
        /// Offset of its first byte in that direction's stream.
        offset: u64,
        /// Payload bytes it carried.
        length: u64,
        /// Why.
        reason: Reason,
    },
    /// The tail of a packet was cut off; TCP will repeat it.
    Cut {
        /// Who had sent it.
        direction: Direction,
        /// Offset of the first byte cut off.
        offset: u64,
        /// Bytes cut off.
        length: u64,
        /// Why.
        reason: Reason,
    },
    /// Bytes were acknowledged that never came by, so their capture lacks them: what is said of
    /// this flow from here on is uncertain. Only a replay says so.
    Missed {
        /// Whose bytes.
        direction: Direction,
        /// How many.
        length: u64,
    },
    /// Both ends were sent a RST.
    Reset {
        /// Why.
        reason: Reason,
    },
    /// The dialogue broke its own rules.
    Alarm {
        /// Whose bytes showed it.
        direction: Direction,
        /// Where in that direction's stream.
        offset: u64,
        /// What was wrong.
        fault: Fault,
    },
    /// A limit was passed.
    Exceeded {
        /// Whose bytes showed it.
        direction: Direction,
        /// Where in that direction's stream.
        offset: u64,
        /// Which, and by how much.
        excess: Excess,
    },
    /// Two copies of the same bytes differ, where nothing was changed here: somebody forges
    /// packets, or a TCP is broken.
    Contradiction {
        /// Whose bytes.
        direction: Direction,
        /// Where in that direction's stream the segment with the second copy begins to differ, or
        /// before that.
        offset: u64,
    },
    /// Edits of a line, or of a message, beyond those that its entries show.
    Unshown {
        /// Whose bytes.
        direction: Direction,
        /// Offset of the first of them in that direction's stream.
        offset: u64,
        /// The rule by which the first of them was made.
        rule: Rule,
        /// Bytes of the runs that they changed.
        bytes: u64,
    },
    /// Entries of this flow that were left out here, because it had too many.
    LeftOut {
        /// How many.
        entries: u64,
    },
    /// TLS, as far as it is seen.
    Tls(TlsEvent),
    /// Something worth knowing that changes nothing.
    Noticed {
        /// Who showed it.
        direction: Direction,
        /// What.
        notice: Notice,
    },
    /// The flow ended, by FINs, a RST or time.
    Closed,
}

/// What is seen of TLS.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TlsEvent {
    /// It began.
    Begin {
        /// What the client offers, where it is watched; where it is not, the flow is opaque now.
        offer: Option<Box<tls::ClientOffer>>,
    },
    /// The server has chosen among what the client offered.
    Agreed {
        /// What.
        hello: Box<tls::ServerHello>,
    },
    /// It came to nothing.
    Failed {
        /// Who ended it, where that was said.
        by: Option<Direction>,
        /// The description of the alert, where it was in clear.
        alert: Option<u8>,
        /// Behind what.
        stage: TlsStage,
    },
    /// The flow under it ended.
    End {
        /// How much each side has sent in records.
        volume: PerSpeaker<Volume>,
        /// Whether a stream ended inside a record.
        is_truncated: bool,
    },
    /// It broke its own rules.
    Alarm {
        /// Whose bytes showed it.
        direction: Direction,
        /// Where in that direction's stream.
        offset: u64,
        /// What was wrong.
        fault: tls::Fault,
    },
    /// A hello said what a rule is about.
    Rule {
        /// Which.
        rule: Rule,
    },
}

impl TlsEvent {
    /// The word of the log for it.
    const fn name(&self) -> &'static str {
        match self {
            Self::Begin { .. } => "tls-begin",
            Self::Agreed { .. } => "tls-agreed",
            Self::Failed { .. } => "tls-failed",
            Self::End { .. } => "tls-end",
            Self::Alarm { .. } => "alarm",
            Self::Rule { .. } => "tls-rule",
        }
    }
}

/// How far the beginning of TLS has come: what was the last to be seen of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TlsStage {
    /// The 220 to STARTTLS.
    StartTls,
    /// The client's hello.
    ClientHello,
    /// The server's.
    ServerHello,
}

impl TlsStage {
    /// The word used in logs.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::StartTls => "starttls",
            Self::ClientHello => "client-hello",
            Self::ServerHello => "server-hello",
        }
    }
}

/// What is worth knowing of a flow, once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Notice {
    /// The name that the client asks for is not one of `tls_names`.
    ForeignName,
    /// A capture lacks bytes of TLS: what follows is not read.
    LostPlace,
    /// A server that used to offer STARTTLS does not.
    OfferGone,
    /// The keyword STARTTLS may be one of those that somebody else has masked.
    OfferMasked,
    /// A credential in clear.
    PlainAuth,
    /// Mail in clear, although TLS was offered.
    PlainMail,
    /// Keys are negotiated anew under keys: whatever is said there cannot be judged.
    Renegotiation,
}

impl Notice {
    /// The word used in logs.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::ForeignName => "foreign-name",
            Self::LostPlace => "lost-place",
            Self::OfferGone => "offer-gone",
            Self::OfferMasked => "offer-masked",
            Self::PlainAuth => "plain-auth",
            Self::PlainMail => "plain-mail",
            Self::Renegotiation => "renegotiation",
        }
    }
}

impl What {
    /// The word of the log for entries that are missing.
    pub const LEFT_OUT: &'static str = "left-out";

    /// The word of the log for it.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Opened => "opened",
            Self::Banner { .. } => "banner",
            Self::Command { .. } => "command",
            Self::Reply { .. } => "reply",
            Self::DataBegin { .. } => "data-begin",
            Self::DataEnd { .. } => "data-end",
            Self::Edited { .. } => "edited",
            Self::Dropped { .. } => "dropped",
            Self::Cut { .. } => "cut",
            Self::Missed { .. } => "missed",
            Self::Reset { .. } => "reset",
            Self::Alarm { .. } | Self::Contradiction { .. } => "alarm",
            Self::Exceeded { .. } => "exceeded",
            Self::Unshown { .. } => "unshown",
            Self::LeftOut { .. } => Self::LEFT_OUT,
            Self::Tls(event) => event.name(),
            Self::Noticed { notice, .. } => notice.name(),
            Self::Closed => "closed",
        }
    }

    /// The word for what brought it about: a rule, a reason, a fault or what was noticed.
    #[must_use]
    pub const fn cause(&self) -> Option<&'static str> {
        Some(match self {
            Self::Edited { rule, .. }
            | Self::Unshown { rule, .. }
            | Self::Exceeded { excess: Excess { rule, .. }, .. }
            | Self::Tls(TlsEvent::Rule { rule }) => rule.name(),
            Self::Dropped { reason, .. } | Self::Cut { reason, .. } | Self::Reset { reason } => {
                reason.name()
            }
            Self::Alarm { fault, .. } => fault.name(),
            Self::Contradiction { .. } => Violation::Contradiction.name(),
            Self::Tls(TlsEvent::Alarm { fault, .. }) => fault.name(),
            Self::Noticed { notice, .. } => notice.name(),
            Self::Opened
            | Self::Banner { .. }
            | Self::Command { .. }
            | Self::Reply { .. }
            | Self::DataBegin { .. }
            | Self::DataEnd { .. }
            | Self::Missed { .. }
            | Self::LeftOut { .. }
            | Self::Tls(
                TlsEvent::Begin { .. }
                | TlsEvent::Agreed { .. }
                | TlsEvent::Failed { .. }
                | TlsEvent::End { .. },
            )
            | Self::Closed => return None,
        })
    }

    pub(super) const fn banner(offset: u64, line: Vec<u8>, length: u64) -> Self {
        Self::Banner { offset, line, length }
    }

    pub(super) const fn command(offset: u64, line: Vec<u8>, length: u64) -> Self {
        Self::Command { offset, line, length }
    }

    pub(super) const fn reply(offset: u64, line: Vec<u8>, length: u64) -> Self {
        Self::Reply { offset, line, length }
    }

    /// Logged bytes it carries, as they are written at the most.
    pub(super) fn carried(&self) -> usize {
        match self {
            Self::Banner { line, .. } | Self::Command { line, .. } | Self::Reply { line, .. } => {
                written(line)
            }
            Self::Tls(TlsEvent::Begin { offer }) => {
                offer.as_ref().map_or(0, |offer| offer.length())
            }
            Self::Edited { before, after, patches, .. } => {
                let names: usize = patches.iter().map(|id| id.len()).sum();
                written(before) + written(after) + names
            }
            Self::Opened
            | Self::DataBegin { .. }
            | Self::DataEnd { .. }
            | Self::Dropped { .. }
            | Self::Cut { .. }
            | Self::Reset { .. }
            | Self::Alarm { .. }
            | Self::Contradiction { .. }
            | Self::Exceeded { .. }
            | Self::LeftOut { .. }
            | Self::Unshown { .. }
            | Self::Missed { .. }
            | Self::Tls(_)
            | Self::Noticed { .. }
            | Self::Closed => 0,
        }
    }
}

/// How many bytes a log may take for these: JSON writes an escape as `\\x01`.
pub(super) fn written(bytes: &[u8]) -> usize {
    let is_plain = |byte: &u8| matches!(byte, b' ' | b'!' | b'#'..=b'[' | b']'..=b'~');
    bytes.len() + 4 * bytes.iter().filter(|byte| !is_plain(byte)).count()
}

#[cfg(test)]
mod tests {
    use super::Notice;

    #[test]
    fn each_notice_has_its_word() {
        let words = [
            Notice::ForeignName,
            Notice::LostPlace,
            Notice::OfferGone,
            Notice::OfferMasked,
            Notice::PlainAuth,
            Notice::PlainMail,
            Notice::Renegotiation,
        ]
        .map(|notice| (notice.name(), format!("{notice:?}")));
        // The variant's name, its words parted by hyphens.
        for (word, name) in words {
            let letters: String = word.split('-').collect();
            assert_eq!(letters, name.to_lowercase());
            let capitals = name.chars().filter(char::is_ascii_uppercase).count();
            assert_eq!(word.split('-').count(), capitals, "{word}");
        }
    }
}
