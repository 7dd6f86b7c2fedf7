//! The SMTP dialogue: one state machine over both directions.
//!
//! Bytes go in as they come off the two streams, in order; what each run of them is comes out. The
//! machine knows no packets and no policy, and depends on no other module of ours. What the guard
//! does to a line matters to it in one way only: [`Dialogue::refuse`] says that the server will
//! not read the verb the client wrote.

mod body;
mod chunk;
mod command;
mod dialogue;
mod line;
mod outstanding;
mod pairing;
mod reply;

pub use body::Body;
pub use command::{Verb, Word};
pub use dialogue::{DataBegins, Dialogue, Expect, Step};
pub use reply::LineEnd;

use std::fmt;

/// Who speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Speaker {
    /// The end that opened the connection.
    Client,
    /// The other end.
    Server,
}

/// What one run of bytes is. Runs end where their meaning changes, and where the input ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// One more byte of a line's first word (the word includes it).
    CommandWord(Word),
    /// The space or tab behind that word.
    CommandGap(Word),
    /// More of the line, behind the gap.
    CommandArgument(Word),
    /// What follows a bare CR or a NUL in a line.
    CommandStray,
    /// A CR in a line.
    CommandCr,
    /// The LF of a line.
    CommandEnd {
        /// No CR stood before it.
        is_bare: bool,
    },
    /// Message data.
    Data,
    /// One byte of message data that makes something look like the end of the message.
    DataLookalike,
    /// Message data up to and including its end.
    DataEnd,
    /// Octets of a BDAT chunk, which are neither lines nor scanned for an end (RFC 3030 2).
    Chunk,
    /// A line of an AUTH exchange.
    AuthLine,
    /// One of the three digits of a reply line, or the separator behind them.
    ReplyCode(Answers),
    /// More of a reply line (the CR included).
    ReplyText(Answers),
    /// The LF of a reply line.
    ReplyEnd {
        /// What the line answers.
        answers: Answers,
        /// What it said.
        line: LineEnd,
    },
    /// Bytes that are not SMTP any more (TLS).
    Opaque,
    /// Nothing can be read: these bytes have to wait for the server's reply.
    Wait,
}

/// What a reply answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Answers {
    /// The connection itself: this is the greeting.
    Connection,
    /// A command with this verb, as the server read it.
    Verb(Verb),
    /// A line that has no verb the server could know.
    Other,
    /// The end of message data.
    Message,
    /// Nothing that was asked.
    Nothing,
}

/// How the dialogue broke its own rules.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Fault {
    /// A reply that answers nothing.
    UnexpectedReply,
    /// A reply line that begins with no code.
    MalformedReply,
    /// A final reply before the end of the message data.
    ReplyInsideData,
    /// Replies skipped: a code that belongs to a later command came first.
    SkippedReply,
    /// The server ended the connection with replies outstanding, and without a 421.
    EndedEarly,
    /// A 354 behind a refusal of DATA, when text behind it was read as commands already.
    LateData,
    /// Plain text where TLS has to begin.
    PlaintextForTls,
    /// A BDAT whose octets servers would count differently.
    DoubtfulChunk,
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
            | Self::EndedEarly => false,
            Self::LateData | Self::PlaintextForTls | Self::DoubtfulChunk => true,
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
            Self::LateData => "late-data",
            Self::PlaintextForTls => "plaintext-for-tls",
            Self::DoubtfulChunk => "doubtful-chunk",
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
