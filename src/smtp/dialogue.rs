//! Both sides together: what the client's next byte will be read as, and what the server's next
//! reply answers.
//!
//! ```text
//!            DATA            354                 CRLF.CRLF
//!   Command ──────► Wait ──────────► Data ─────────────────────► Command
//!            STARTTLS        220
//!   Command ──────► Wait ──────────► Opaque
//!            AUTH            334              one line
//!   Command ──────► Wait ──────────► AuthLine ────────► Wait
//!                    └─ any other final reply ─► Command
//!            BDAT n          n octets
//!   Command ──────► Chunk ─────────► Command
//! ```
//! Only the server's reply leaves `Wait`, so a client alone never talks us out of reading commands
//! (CVE-2000-1022; [`DataBegins::OnCommand`] brings that fault back). Any 354 begins data, whatever
//! we think it answers: the server decides.

use super::body::{Body, Run};
use super::line::CommandLine;
use super::outstanding::Outstanding;
use super::reply::ReplyLine;
use super::{Answers, Event, Fault, Speaker, Verb};

/// Commands that may be unanswered at once before the client has to wait. RFC 5321 4.5.3.1.8 asks
/// for 100 recipients, RFC 2920 sets no limit on a group; each costs two bytes.
const OUTSTANDING_MAX: usize = 1_024;

/// First byte of a TLS handshake record (RFC 8446 5.1).
const TLS_HANDSHAKE: u8 = 22;

/// What the client's next byte is part of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expect {
    /// A command line.
    Command,
    /// Nothing yet: the reply to the last command decides.
    Wait,
    /// Message data.
    Data(Body),
    /// A BDAT chunk.
    Chunk {
        /// Octets of it yet to come.
        left: u32,
    },
    /// A line of an AUTH exchange.
    AuthLine,
    /// TLS.
    Opaque {
        /// Whether its first byte has come.
        has_begun: bool,
    },
}

/// What has come behind the last DATA that was answered, if it was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refused {
    /// It was not.
    No,
    /// Nothing.
    Data,
    /// Bytes that were read as commands.
    DataAndMore,
}

/// What message data begins on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DataBegins {
    /// The server's 354.
    OnReply,
    /// The client's DATA, whatever the server answers: CVE-2000-1022 (Cisco's CSCdr91002 and
    /// CSCds30699, again CSCdu47003).
    OnCommand,
}

/// One run of bytes that was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Step {
    /// How many bytes it has; 0 only for [`Event::Wait`].
    pub used: usize,
    /// What they are.
    pub event: Event,
    /// What is wrong about them, if anything.
    pub fault: Option<Fault>,
    /// Whether they may be a credential.
    pub is_secret: bool,
}

/// A dialogue between one client and one server.
#[derive(Debug)]
pub struct Dialogue {
    pub(super) data_begins: DataBegins,
    pub(super) expect: Expect,
    pub(super) line: CommandLine,
    pub(super) reply: ReplyLine,
    /// What the server has yet to answer, oldest first.
    pub(super) outstanding: Outstanding,
    pub(super) refused: Refused,
    /// What the reply under way answers, from its first byte on: a command that leaves while an
    /// unasked reply is coming is not what that reply answers.
    pub(super) answering: Option<Answers>,
    /// Whether the reply under way has had a line.
    pub(super) is_later_line: bool,
    /// The server's last final reply was 421: it is about to end the connection.
    pub(super) is_leaving: bool,
    /// Whether the server's answer to the last HELO or EHLO offered CHUNKING.
    pub(super) offers_chunking: bool,
}

impl Dialogue {
    /// A connection just opened: the server's greeting is outstanding.
    #[must_use]
    pub fn new(data_begins: DataBegins) -> Self {
        let mut outstanding = Outstanding::default();
        outstanding.push(Answers::Connection);
        Self {
            data_begins,
            expect: Expect::Command,
            line: CommandLine::new(),
            reply: ReplyLine::default(),
            outstanding,
            refused: Refused::No,
            answering: None,
            is_later_line: false,
            is_leaving: false,
            offers_chunking: false,
        }
    }

    /// What the client's next byte is part of.
    #[must_use]
    pub const fn expect(&self) -> Expect {
        self.expect
    }

    /// Whether a message is under way or a reply is due.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        self.outstanding.is_empty() && self.expect == Expect::Command && self.line.is_at_start()
    }

    /// The server has ended the connection: what is wrong about that, if anything.
    #[must_use]
    pub fn end(&self) -> Option<Fault> {
        let is_between = match self.expect {
            Expect::Command => self.outstanding.is_empty(),
            Expect::Opaque { .. } => true,
            Expect::Wait | Expect::Data(_) | Expect::Chunk { .. } | Expect::AuthLine => false,
        };
        (!is_between && !self.is_leaving).then_some(Fault::EndedEarly)
    }

    /// Reads one run of bytes. The input is not empty; what is not used has to be read again.
    pub fn read(&mut self, from: Speaker, input: &[u8]) -> Step {
        match from {
            Speaker::Client => self.read_client(input),
            Speaker::Server => self.read_server(input),
        }
    }

    /// From the byte just read on, the server gets the client's line masked.
    pub fn refuse(&mut self) {
        self.line.refuse();
    }

    /// Whether the client's line under way is refused.
    #[must_use]
    pub const fn is_refused(&self) -> bool {
        self.line.is_refused()
    }

    /// If the client's next bytes are message data that ends among them: how many there are up to
    /// and including the end.
    #[must_use]
    pub fn find_data_end(&self, input: &[u8]) -> Option<usize> {
        let Expect::Data(mut body) = self.expect else { return None };
        let mut at = 0;
        while let Some(rest) = input.get(at..).filter(|rest| !rest.is_empty()) {
            let (used, run) = body.read(rest);
            at += used;
            if run == Run::End {
                return Some(at);
            }
        }
        None
    }

    /// Bytes were missed (a capture has a gap): what follows begins a line, since most packets do.
    pub fn lose_place(&mut self, from: Speaker) {
        match from {
            Speaker::Client if matches!(self.expect, Expect::Data(_)) => {
                self.expect = Expect::Data(Body::Middle);
            }
            Speaker::Client => self.line = CommandLine::new(),
            Speaker::Server => {
                self.reply = ReplyLine::default();
                self.answering = None;
                self.is_later_line = false;
            }
        }
    }

    fn read_client(&mut self, input: &[u8]) -> Step {
        let mut fault = None;
        let is_crowded = self.is_crowded();
        let (used, event) = match &mut self.expect {
            Expect::Command if is_crowded => (0, Event::Wait),
            Expect::Command => {
                if self.refused == Refused::Data {
                    self.refused = Refused::DataAndMore;
                }
                let (used, event) = self.line.read(input, self.offers_chunking);
                if matches!(event, Event::CommandEnd { .. }) {
                    fault = self.line.is_doubtful().then_some(Fault::DoubtfulChunk);
                    self.end_line();
                }
                (used, event)
            }
            Expect::Wait => (0, Event::Wait),
            Expect::Data(body) => {
                let (used, run) = body.read(input);
                (used, self.end_data(run))
            }
            Expect::Chunk { left } => {
                let used = usize::try_from(*left).unwrap_or(usize::MAX).min(input.len());
                *left = left.saturating_sub(u32::try_from(used).unwrap_or(u32::MAX));
                if *left == 0 {
                    self.expect = Expect::Command;
                }
                (used, Event::Chunk)
            }
            Expect::AuthLine => {
                let end = memchr::memchr(b'\n', input);
                if end.is_some() {
                    self.expect = Expect::Wait;
                }
                (end.map_or(input.len(), |at| at + 1), Event::AuthLine)
            }
            Expect::Opaque { has_begun } => {
                let is_tls = *has_begun || input.first() == Some(&TLS_HANDSHAKE);
                *has_begun = true;
                fault = (!is_tls).then_some(Fault::PlaintextForTls);
                (input.len(), Event::Opaque)
            }
        };
        let is_secret = event == Event::AuthLine
            || matches!(event, Event::CommandArgument(word) if word.verb() == Some(Verb::Auth));
        Step { used, event, fault, is_secret }
    }

    fn is_crowded(&self) -> bool {
        self.outstanding.len() >= OUTSTANDING_MAX && self.line.is_at_start()
    }

    /// A line has left: the server owes a reply, and some verbs make the client wait for it.
    fn end_line(&mut self) {
        let line = std::mem::replace(&mut self.line, CommandLine::new());
        let verb = line.word_sent().leading_verb();
        self.outstanding.push(verb.map_or(Answers::Other, Answers::Verb));
        match verb {
            Some(Verb::Data) if self.data_begins == DataBegins::OnCommand => {
                self.expect = Expect::Data(Body::Line);
            }
            Some(Verb::Data | Verb::StartTls | Verb::Auth) => self.expect = Expect::Wait,
            Some(Verb::Bdat) => {
                if let Some(left) = line.chunk().filter(|&left| left > 0) {
                    self.expect = Expect::Chunk { left };
                }
            }
            Some(Verb::Ehlo | Verb::Helo) => self.offers_chunking = false,
            _ => {}
        }
    }

    fn end_data(&mut self, run: Run) -> Event {
        match run {
            Run::Text => Event::Data,
            Run::Lookalike => Event::DataLookalike,
            Run::End => {
                self.expect = Expect::Command;
                self.line = CommandLine::new();
                self.outstanding.push(Answers::Message);
                Event::DataEnd
            }
        }
    }
}
