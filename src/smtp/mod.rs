//! The SMTP dialogue: one state machine over both directions.
//!
//! Bytes go in as they come off the two streams, in order, with the place they have there; what
//! each run of them is comes out. The machine knows no packets and no policy, and of our modules
//! only a position in a stream and who speaks. What the guard does to a line matters to it in one
//! way only: [`Dialogue::refuse`] says that the server will not read the verb the client wrote.

mod chunk;
mod command;
mod dialogue;
mod expect;
mod line;
mod mail_data;
mod outstanding;
mod prefix;
mod reply;
mod secret;
mod span;
mod spelling;
mod sweep;
mod tls;
mod transaction;

pub use command::{Verb, Word};
pub use dialogue::{Dialogue, Fillers, WholeLine, WholeReply};
pub use expect::{DataBegins, Expect};
pub use line::MaskedChunk;
pub use mail_data::{FalseEnds, MailData};
pub use reply::{Keyword, Reply};
pub use sweep::{Plain, Swept};
pub use tls::TlsStart;

pub(crate) use reply::{is_permanent, is_success};
pub(crate) use span::{is_blank, is_gap, is_of_name, is_wsp, mask, rspan, span};
pub(crate) use spelling::{Spelling, longest};
pub(crate) use transaction::is_odd_grant;

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::offset::Offset;
pub use crate::speaker::Speaker;

/// Where bytes stand in the two streams.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Standing {
    /// The first of them, in the stream of who says them.
    pub at: Offset,
    /// How far in the other stream their sender had received when it sent them: the ACK of their
    /// segment. Asked of the server's bytes alone.
    pub covers: Offset,
}

/// One run of bytes that was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Step {
    /// How many bytes it has; 0 only for [`Event::Wait`].
    pub used: usize,
    /// What they are.
    pub event: Event,
    /// What begins or ends behind them.
    pub change: Option<Change>,
    /// What is wrong about them, if anything.
    pub fault: Option<Fault>,
    /// Whether they may be a credential, as they came and as they leave: no log may hold them.
    pub is_secret: bool,
    /// Of [`Event::Data`]: what is known to be plain text of it.
    pub plain: Plain,
}

impl Step {
    /// What comes may not be read before more was answered.
    pub const WAIT: Self = Self::of(0, Event::Wait);

    /// A run of which there is nothing more to say.
    const fn of(used: usize, event: Event) -> Self {
        Self { used, event, change: None, fault: None, is_secret: false, plain: Plain::NONE }
    }
}

/// What one run of bytes is. Runs end where their meaning changes, and where the input ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// More of a line's first word (the word includes it). One byte, as long as a verb can come of
    /// it and the line is not refused.
    CommandWord(Word),
    /// The space or tab behind that word.
    CommandGap(Word),
    /// More of the line, behind the gap.
    CommandArgument(Word),
    /// What no server may read: behind a bare CR or a NUL in a line, a BDAT that may not pass, a
    /// line that may be none for the server. CRs in it stay.
    CommandStray,
    /// CRs in a line.
    CommandCr,
    /// The LF of a line.
    CommandEnd {
        /// No CR stood before it.
        is_bare: bool,
        /// The verb that the server answers, if it reads one: of a refused line, too, if that still
        /// begins with its letters.
        verb: Option<Verb>,
    },
    /// Message data.
    Data,
    /// Message data with bytes that make something look like the end of the message: the first one
    /// of the run is one, and so is the last. What stands before the run shows which they are.
    DataLookalike(MailData),
    /// Message data up to and including its end.
    DataEnd,
    /// Octets of a BDAT chunk, which are neither lines nor scanned for an end (RFC 3030 2).
    Chunk,
    /// Octets of a chunk that the server may be reading as commands: they leave masked.
    RefusedChunk,
    /// Message data that the server may be reading as commands: it leaves masked, but for line ends
    /// and what may be its end. What stands before the run shows which they are.
    Disowned(MailData),
    /// More of a line in an AUTH exchange.
    AuthLine,
    /// What stands behind a bare CR in such a line.
    AuthStray,
    /// Some of the three digits of a reply line.
    ReplyCode(Reply),
    /// The space or `-` behind them.
    ReplySeparator(Reply),
    /// More of the first word of its text.
    ReplyKeyword(Reply),
    /// More of a reply line (the CR included).
    ReplyText(Reply),
    /// The LF of a reply line.
    ReplyEnd(Reply),
    /// More of a header of the PROXY protocol, before anything of SMTP.
    Prefix {
        /// Whether it ends here.
        is_end: bool,
    },
    /// Bytes that are not SMTP any more (TLS).
    Opaque,
    /// Nothing can be read: these bytes have to wait for the server's reply.
    Wait,
}

/// What begins or ends with a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// Message data begins.
    DataBegins {
        /// The client's offset of its first byte.
        at: Offset,
    },
    /// Message data has ended.
    DataEnds {
        /// The client's offset behind its end.
        at: Offset,
        /// Its bytes, the end included.
        length: u64,
    },
    /// A message begins that comes in chunks: this BDAT is its first.
    ChunksBegin {
        /// The client's offset behind the line.
        at: Offset,
        /// Octets of the first chunk.
        octets: u32,
    },
    /// The chunk that was announced as the last has come whole. Where it is the first too, and has
    /// no octets, the message begins here.
    ChunksEnd {
        /// The client's offset behind it.
        at: Offset,
        /// Octets of all its chunks.
        octets: u64,
        /// How many chunks.
        chunks: u32,
    },
    /// TLS begins: the client's first bytes behind the 220 are a TLS record's.
    TlsBegins,
    /// The server's first bytes are, too: nothing of the flow is plain text any more.
    TlsAnswered,
}

/// What a reply answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Answers {
    /// The connection itself: this is the greeting.
    Connection,
    /// A command with this verb, as the server read it.
    Verb(Verb),
    /// A command with a verb of the site's own.
    Own,
    /// A line that has no verb the server could know.
    Other,
    /// The end of message data.
    Message,
    /// Nothing that was asked.
    Nothing,
    /// A command with this verb whose path the guard has masked: every server should refuse it.
    MaskedPath(Verb),
}

impl Answers {
    /// The verb that the server read.
    #[must_use]
    pub const fn verb(self) -> Option<Verb> {
        match self {
            Self::Verb(verb) | Self::MaskedPath(verb) => Some(verb),
            Self::Connection | Self::Own | Self::Other | Self::Message | Self::Nothing => None,
        }
    }
}

/// How the dialogue broke its own rules.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Fault {
    /// A reply that answers nothing.
    UnexpectedReply,
    /// A reply line that begins with no code.
    MalformedReply,
    /// A final reply before the end of the message data.
    ReplyInsideData,
    /// Replies skipped: a code that belongs to a later command came first.
    SkippedReply,
    /// The server ended the connection with replies outstanding, and without a word.
    EndedEarly,
    /// A server that does not swallow a chunk it refused: its octets may have run as commands.
    RefusedChunk,
    /// A 354 behind text that was read as commands already.
    LateData,
    /// A 354 that nobody asked for.
    UnaskedData,
    /// Plain text where TLS has to begin, or a 220 out of turn.
    PlaintextForTls,
    /// A BDAT whose octets servers would count differently.
    DoubtfulChunk,
    /// A BDAT that may not pass: octets follow that are no commands.
    BarredChunk,
    /// What began like a header of the PROXY protocol is none, or the server refuses it.
    BrokenPrefix,
    /// A 334 out of turn, or to a line with a bare CR: the server may have read two, and answered
    /// both.
    DoubtfulExchange,
    /// Line after line of the server that answers nothing.
    Babble,
}

impl Fault {
    /// Whether no way of reading on would be the server's.
    #[must_use]
    pub const fn is_fatal(self) -> bool {
        match self {
            Self::UnexpectedReply
            | Self::MalformedReply
            | Self::ReplyInsideData
            | Self::SkippedReply
            | Self::EndedEarly
            | Self::RefusedChunk => false,
            Self::LateData
            | Self::UnaskedData
            | Self::PlaintextForTls
            | Self::DoubtfulChunk
            | Self::BarredChunk
            | Self::BrokenPrefix
            | Self::DoubtfulExchange
            | Self::Babble => true,
        }
    }

    /// The word used in logs.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::UnexpectedReply => "unexpected-reply",
            Self::MalformedReply => "malformed-reply",
            Self::ReplyInsideData => "reply-inside-data",
            Self::SkippedReply => "skipped-reply",
            Self::EndedEarly => "ended-early",
            Self::RefusedChunk => "refused-chunk",
            Self::LateData => "late-data",
            Self::UnaskedData => "unasked-data",
            Self::PlaintextForTls => "plaintext-for-tls",
            Self::DoubtfulChunk => "doubtful-chunk",
            Self::BarredChunk => "barred-chunk",
            Self::BrokenPrefix => "broken-prefix",
            Self::DoubtfulExchange => "doubtful-exchange",
            Self::Babble => "babble",
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests;
