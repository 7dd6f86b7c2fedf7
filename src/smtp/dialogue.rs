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

use std::collections::VecDeque;

use super::body::{Body, Run};
use super::line::CommandLine;
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
        left: u64,
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
    outstanding: VecDeque<Answers>,
    /// What the reply under way answers, from its first byte on: a command that leaves while an
    /// unasked reply is coming is not what that reply answers.
    answering: Option<Answers>,
    /// Whether the reply under way has had a line.
    is_later_line: bool,
    /// The server's last final reply was 421: it is about to end the connection.
    is_leaving: bool,
    /// Whether the server's answer to the last HELO or EHLO offered CHUNKING.
    offers_chunking: bool,
}

impl Dialogue {
    /// A connection just opened: the server's greeting is outstanding.
    #[must_use]
    pub fn new(data_begins: DataBegins) -> Self {
        Self {
            data_begins,
            expect: Expect::Command,
            line: CommandLine::new(),
            reply: ReplyLine::default(),
            outstanding: VecDeque::from([Answers::Connection]),
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

    /// Bytes of the client were missed (a capture has a gap): what follows is no line we know.
    pub fn lose_place(&mut self, from: Speaker) {
        match from {
            Speaker::Client if matches!(self.expect, Expect::Data(_)) => {
                self.expect = Expect::Data(Body::Middle);
            }
            Speaker::Client => self.line = CommandLine::stray(),
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
                *left -= used as u64;
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
        self.outstanding.push_back(verb.map_or(Answers::Other, Answers::Verb));
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
                self.outstanding.push_back(Answers::Message);
                Event::DataEnd
            }
        }
    }

    fn read_server(&mut self, input: &[u8]) -> Step {
        if matches!(self.expect, Expect::Opaque { .. }) {
            return Step { used: input.len(), event: Event::Opaque, fault: None };
        }
        let next = self.next_answered();
        let answers = *self.answering.get_or_insert(next);
        let (used, part) = self.reply.read(input);
        let (event, fault) = match part {
            Part::Code => (Event::ReplyCode(answers), None),
            Part::Text => (Event::ReplyText(answers), None),
            Part::End(line) => {
                let fault = self.end_reply_line(line, answers);
                (Event::ReplyEnd { answers, line }, fault)
            }
        };
        Step { used, event, fault }
    }

    fn next_answered(&self) -> Answers {
        self.outstanding.front().copied().unwrap_or(Answers::Nothing)
    }

    /// A reply line has ended; the last line of a reply moves the dialogue on.
    fn end_reply_line(&mut self, line: LineEnd, answers: Answers) -> Option<Fault> {
        let Some(code) = line.code else {
            // Clients pass over such a line (Postfix does), so it takes no reply's place.
            self.answering = None;
            return Some(Fault::MalformedReply);
        };
        let is_offer = self.is_later_line && answers == Answers::Verb(Verb::Ehlo) && code == 250;
        if is_offer && line.keyword.as_bytes() == b"CHUNKING" && !self.has_later_hello() {
            self.offers_chunking = true;
        }
        self.is_later_line = !line.is_last;
        if !line.is_last {
            return None;
        }
        self.answering = None;
        self.is_leaving = code == 421;
        self.end_reply(code, answers)
    }

    /// Whether another HELO or EHLO was sent behind the one being answered.
    fn has_later_hello(&self) -> bool {
        let is_hello = |answers: &Answers| {
            matches!(answers, Answers::Verb(Verb::Helo) | Answers::Verb(Verb::Ehlo))
        };
        self.outstanding.iter().skip(1).any(is_hello)
    }

    fn end_reply(&mut self, code: u16, answers: Answers) -> Option<Fault> {
        if self.data_begins == DataBegins::OnCommand && code == 354 {
            self.outstanding.pop_front();
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
            334 => self.begin_auth_line(),
            _ => self.end_command(code, answers),
        }
    }

    fn begin_auth_line(&mut self) -> Option<Fault> {
        let owed = self.outstanding.len();
        if !self.skip_to(Verb::Auth) {
            // It asks for a line that is no command, but of nobody: what comes is still judged.
            self.outstanding.pop_front();
            return Some(Fault::UnexpectedReply);
        }
        self.expect = Expect::AuthLine;
        (self.outstanding.len() < owed).then_some(Fault::SkippedReply)
    }

    fn begin_data(&mut self) -> Option<Fault> {
        let owed = self.outstanding.len();
        let is_asked = self.skip_to(Verb::Data);
        let is_next = is_asked && self.outstanding.len() == owed;
        let is_behind_a_line = self.line.is_at_start();
        self.outstanding = VecDeque::new();
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
        let place = self.outstanding.iter().position(|&answers| answers == Answers::Verb(verb));
        if let Some(place) = place {
            self.outstanding.drain(..place);
        }
        place.is_some()
    }

    /// An ordinary final reply answers the oldest command.
    fn end_command(&mut self, code: u16, answers: Answers) -> Option<Fault> {
        if answers == Answers::Nothing {
            // RFC 5321 3.8: 421 may come at any time.
            return (code != 421).then_some(Fault::UnexpectedReply);
        }
        // Codes that answer one verb alone are places to fall into step again (RFC 5321 4.2.3,
        // RFC 3207 4); 220 is the greeting's too.
        let strong = match code {
            220 if answers != Answers::Connection => Some(Verb::StartTls),
            221 => Some(Verb::Quit),
            _ => None,
        };
        let is_astray = |verb| answers != Answers::Verb(verb) && self.skip_to(verb);
        let fault = strong.is_some_and(is_astray).then_some(Fault::SkippedReply);
        let answered = self.outstanding.pop_front();
        if self.outstanding.is_empty() {
            // Nothing is asked of most flows at most times: the memory goes to those that ask.
            self.outstanding = VecDeque::new();
        }
        match answered {
            Some(Answers::Verb(Verb::StartTls)) if code == 220 => {
                self.expect = Expect::Opaque { has_begun: false };
            }
            Some(Answers::Verb(Verb::Data | Verb::StartTls | Verb::Auth))
                if matches!(self.expect, Expect::Wait | Expect::AuthLine) =>
            {
                self.expect = Expect::Command;
            }
            Some(_) | None => {}
        }
        fault
    }
}
