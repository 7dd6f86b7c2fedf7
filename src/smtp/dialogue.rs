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
use super::reply::{Part, ReplyLine};
use super::{Answers, Event, Fault, LineEnd, Speaker, Verb};

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
}

/// A dialogue between one client and one server.
#[derive(Debug)]
pub struct Dialogue {
    data_begins: DataBegins,
    expect: Expect,
    line: CommandLine,
    reply: ReplyLine,
    /// What the server has yet to answer, oldest first.
    outstanding: Outstanding,
    /// Whether the server's last answer to EHLO offered CHUNKING.
    offers_chunking: bool,
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

    /// Bytes of the client were missed (a capture has a gap): what follows is no line we know.
    pub fn lose_place(&mut self, from: Speaker) {
        match from {
            Speaker::Client if matches!(self.expect, Expect::Data(_)) => {
                self.expect = Expect::Data(Body::Middle);
            }
            Speaker::Client => self.line = CommandLine::stray(),
            Speaker::Server => self.reply = ReplyLine::default(),
        }
    }

    fn read_client(&mut self, input: &[u8]) -> Step {
        let mut fault = None;
        let is_crowded = self.is_crowded();
        let (used, event) = match &mut self.expect {
            Expect::Command if is_crowded => (0, Event::Wait),
            Expect::Command => {
                let (used, event) = self.line.read(input, self.offers_chunking);
                if matches!(event, Event::CommandEnd { .. }) {
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
        Step { used, event, fault }
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

    fn read_server(&mut self, input: &[u8]) -> Step {
        if matches!(self.expect, Expect::Opaque { .. }) {
            return Step { used: input.len(), event: Event::Opaque, fault: None };
        }
        let answers = self.answers();
        let (used, part) = self.reply.read(input);
        let (event, fault) = match part {
            Part::Code => (Event::ReplyCode(answers), None),
            Part::Text => (Event::ReplyText(answers), None),
            Part::End(line) => (Event::ReplyEnd { answers, line }, self.end_reply(line)),
        };
        Step { used, event, fault }
    }

    fn answers(&self) -> Answers {
        self.outstanding.oldest().unwrap_or(Answers::Nothing)
    }

    /// A reply line has ended; the last line of a reply moves the dialogue on.
    fn end_reply(&mut self, line: LineEnd) -> Option<Fault> {
        let Some(code) = line.code else { return Some(Fault::MalformedReply) };
        if code == 250 && self.answers() == Answers::Verb(Verb::Ehlo) {
            self.offers_chunking |= line.keyword.as_bytes() == b"CHUNKING";
        }
        if !line.is_last {
            return None;
        }
        if self.data_begins == DataBegins::OnCommand && code == 354 {
            self.outstanding.pop();
            return None;
        }
        if matches!(self.expect, Expect::Data(_)) && self.data_begins == DataBegins::OnReply {
            // The server is not reading data any more, at a place we cannot know: from here on
            // nothing passes unread, and the line under way is no command.
            self.expect = Expect::Command;
            self.line = CommandLine::stray();
            return Some(Fault::ReplyInsideData);
        }
        match code {
            354 => self.begin_data(),
            334 if self.skip_to(Verb::Auth) => {
                self.expect = Expect::AuthLine;
                None
            }
            _ => self.end_command(code),
        }
    }

    fn begin_data(&mut self) -> Option<Fault> {
        let owed = self.outstanding.len();
        let is_asked = self.skip_to(Verb::Data);
        let is_next = is_asked && self.outstanding.len() == owed;
        let is_behind_a_line = self.line.is_at_start();
        self.outstanding.clear();
        self.expect = Expect::Data(if is_behind_a_line { Body::Line } else { Body::Middle });
        self.line = CommandLine::new();
        match (is_asked, is_next) {
            (true, true) => None,
            (true, false) => Some(Fault::SkippedReply),
            (false, _) => Some(Fault::UnexpectedReply),
        }
    }

    /// Drops what stands before the oldest command with this verb; false if there is none.
    fn skip_to(&mut self, verb: Verb) -> bool {
        self.outstanding.skip_to(Answers::Verb(verb))
    }

    /// An ordinary final reply answers the oldest command.
    fn end_command(&mut self, code: u16) -> Option<Fault> {
        let mut fault = None;
        // RFC 5321 4.2.3: 221 answers QUIT alone, so it is a place to fall into step again.
        if code == 221 && self.answers() != Answers::Verb(Verb::Quit) && self.skip_to(Verb::Quit) {
            fault = Some(Fault::SkippedReply);
        }
        match self.outstanding.pop() {
            // RFC 5321 3.8: 421 may come at any time.
            None if code == 421 => {}
            None => fault = Some(Fault::UnexpectedReply),
            Some(Answers::Verb(Verb::StartTls)) if code == 220 => {
                self.expect = Expect::Opaque { has_begun: false };
            }
            Some(Answers::Verb(Verb::Data | Verb::StartTls | Verb::Auth))
                if matches!(self.expect, Expect::Wait | Expect::AuthLine) =>
            {
                self.expect = Expect::Command;
            }
            Some(_) => {}
        }
        fault
    }
}
