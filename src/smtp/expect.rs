//! What the client's next byte is part of, and what moves that on: the machine of the dialogue.
//!
//! By what the client sends (`=`: nothing changes):
//!
//! | expects      | line | asks | chunk | octets out | auth line | end of data |
//! |--------------|------|------|-------|------------|-----------|-------------|
//! | Command      | =    | Wait | Chunk | =          | =         | =           |
//! | Wait         | =    | =    | =     | =          | =         | =           |
//! | Data         | =    | =    | =     | =          | =         | Command     |
//! | Disowned     | =    | =    | =     | =          | =         | Command     |
//! | Oversize     | =    | =    | =     | =          | =         | Command     |
//! | Chunk        | =    | =    | =     | Command    | =         | =           |
//! | RefusedChunk | =    | =    | =     | Unproved   | =         | =           |
//! | Unproved     | Wait | Wait | Wait  | =          | =         | =           |
//! | AuthLine     | =    | =    | =     | =          | Wait      | =           |
//! | Tls          | =    | =    | =     | =          | =         | =           |
//!
//! By what the server says:
//!
//! | expects      | 354  | 334      | 220 | answered | no code | chunk refused | final in data |
//! |--------------|------|----------|-----|----------|---------|---------------|---------------|
//! | Command      | Data | AuthLine | Tls | =        | =       | Unproved      | =             |
//! | Wait         | Data | AuthLine | Tls | Command  | Command | =             | =             |
//! | Data         | =    | =        | =   | =        | =       | =             | Disowned      |
//! | Disowned     | =    | =        | =   | =        | =       | =             | =             |
//! | Oversize     | =    | =        | =   | =        | =       | =             | Disowned      |
//! | Chunk        | =    | =        | =   | =        | =       | RefusedChunk  | =             |
//! | RefusedChunk | =    | =        | =   | =        | =       | =             | =             |
//! | Unproved     | =    | =        | =   | =        | =       | =             | =             |
//! | AuthLine     | =    | =        | =   | Command  | Command | =             | =             |
//! | Tls          | =    | =        | =   | =        | =       | =             | =             |
//!
//! Only the server's reply leaves `Wait`, so a client alone never talks us out of reading commands
//! (CVE-2000-1022; [`super::DataBegins::OnCommand`] brings that fault back). 354, 334 and 220 come
//! here only where they answer the DATA, AUTH or STARTTLS that was sent last. `Data` becomes
//! `Oversize` where a message is larger than the server has said it takes.

use serde::{Deserialize, Serialize};

use super::{MailData, TlsStart};

/// What message data begins on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum DataBegins {
    /// The server's 354.
    OnReply,
    /// The client's DATA, whatever the server answers: CVE-2000-1022 (Cisco's CSCdr91002 and
    /// CSCds30699, again CSCdu47003).
    OnCommand,
}

/// What the client's next byte is part of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Expect {
    /// A command line.
    Command,
    /// Nothing yet: the reply to the last line decides.
    Wait,
    /// Message data.
    Data(MailData),
    /// Message data behind a final reply: whether the server still reads it as data or as commands
    /// already, nobody knows.
    Disowned(MailData),
    /// A BDAT chunk.
    Chunk {
        /// Octets of it yet to come.
        left: u32,
    },
    /// A chunk that the server refused and may be reading as commands.
    RefusedChunk {
        /// Octets of it yet to come.
        left: u32,
    },
    /// The first line behind such a chunk: a command only once another was answered.
    Unproved,
    /// A line of an AUTH exchange.
    AuthLine,
    /// TLS.
    Tls(TlsStart),
    /// Message data beyond what the server has said it takes: not answered yet, and nobody knows
    /// how it is read.
    Oversize(MailData),
}

/// What moves the dialogue on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Cue {
    /// A line was sent that others may follow at once.
    Line,
    /// A line was sent whose answer decides what follows.
    Asks,
    /// A BDAT was sent, with so many octets behind it.
    Chunk(u32),
    /// The octets of a chunk have come.
    OctetsOut,
    /// A line of an AUTH exchange was sent.
    AuthLine,
    /// The end of message data was sent.
    EndOfData,
    /// 354 to DATA.
    Go354,
    /// 334 to AUTH.
    Go334,
    /// 220 to STARTTLS.
    Go220,
    /// Another reply, and nothing is outstanding.
    Answered,
    /// A line without a code where the last line's answer was due.
    NoCode,
    /// A BDAT was refused by a server that has no recipient.
    ChunkRefused,
    /// A final reply in message data.
    FinalInData,
    /// A message is larger than the server takes.
    TooLarge,
}

impl Expect {
    /// What the next byte is part of behind this; `same` stands for the `=` of the tables.
    pub(super) const fn next(self, cue: Cue) -> Self {
        match (self, cue) {
            // The client's half.
            (Self::Command, Cue::Asks) => Self::Wait,
            (Self::Command, Cue::Chunk(left)) if left > 0 => Self::Chunk { left },
            (Self::Unproved, Cue::Line | Cue::Asks | Cue::Chunk(_)) => Self::Wait,
            (Self::Chunk { .. }, Cue::OctetsOut) => Self::Command,
            (Self::RefusedChunk { .. }, Cue::OctetsOut) => Self::Unproved,
            (Self::AuthLine, Cue::AuthLine) => Self::Wait,
            (Self::Data(_) | Self::Disowned(_) | Self::Oversize(_), Cue::EndOfData) => {
                Self::Command
            }
            // The server's half. Behind a line without a code a late 354, 334 or 220 still counts.
            (Self::Command | Self::Wait, Cue::Go354) => Self::Data(MailData::Line),
            (Self::Command | Self::Wait, Cue::Go334) => Self::AuthLine,
            (Self::Command | Self::Wait, Cue::Go220) => Self::Tls(TlsStart::NONE),
            (Self::Wait | Self::AuthLine, Cue::Answered | Cue::NoCode) => Self::Command,
            (Self::Chunk { left }, Cue::ChunkRefused) => Self::RefusedChunk { left },
            (Self::Command, Cue::ChunkRefused) => Self::Unproved,
            (Self::Data(data) | Self::Oversize(data), Cue::FinalInData) => Self::Disowned(data),
            (Self::Data(data), Cue::TooLarge) => Self::Oversize(data),
            (same, _) => same,
        }
    }

    /// Whether it is part of a message: its text, or octets of a chunk.
    #[must_use]
    pub const fn is_message(self) -> bool {
        match self {
            Self::Data(_)
            | Self::Disowned(_)
            | Self::Oversize(_)
            | Self::Chunk { .. }
            | Self::RefusedChunk { .. } => true,
            Self::Command | Self::Wait | Self::Unproved | Self::AuthLine | Self::Tls(_) => false,
        }
    }
}
