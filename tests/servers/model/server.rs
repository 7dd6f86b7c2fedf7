//! A mail server as a pure machine: bytes in, replies out, and a record of what it ran and stored.
//!
//! ```text
//!            DATA           an end its variant takes
//!   Command ──────► Data ─────────────────────────────► Command
//!            AUTH           as many lines as the mechanism has
//!   Command ──────► Auth ─────────────────────────────► Command
//!            BDAT n         n octets
//!   Command ──────► Chunk ────────────────────────────► Command
//!            STARTTLS
//!   Command ──────► Tls
//! ```
//! How it reads is its [`Variant`]; what the verbs do is in `verbs`.

use std::ops::Range;

use super::tls::Recital;
use super::variant::{Breach, ENDS, Greeting, Lead, Nul, On, Overflow, Variant, Word};
use super::verbs::{self, VERBS};

/// What the next byte is part of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    Command,
    Data,
    /// Lines of an AUTH exchange that are yet to come.
    Auth(u8),
    Chunk {
        left: usize,
        is_last: bool,
        is_taken: bool,
    },
    Tls,
    Closed,
}

/// A line that was run as a command.
#[derive(Clone, Debug)]
pub struct Ran {
    /// The offset of its first byte in the client's stream.
    pub at: u64,
    pub verb: &'static str,
    pub line: Vec<u8>,
}

/// The transaction under way.
#[derive(Clone, Copy, Debug, Default)]
pub struct Transaction {
    pub has_hello: bool,
    pub has_mail: bool,
    /// Recipients asked for, and those taken.
    pub asked: usize,
    pub taken: usize,
    /// All are lines up to RSET.
    pub is_lost: bool,
}

/// The server.
pub struct Server {
    pub variant: Variant,
    pub mode: Mode,
    pub transaction: Transaction,
    /// All it has to say.
    pub said: Vec<u8>,
    /// Where in that the answers to EHLO are.
    pub offers: Vec<Range<usize>>,
    /// Where the greeting ends.
    pub greeting_end: usize,
    pub ran: Vec<Ran>,
    /// Where the lines are that came while no recipient was taken.
    pub hopeless: Vec<u64>,
    /// Every message it took, its end included (BDAT has none).
    pub stored: Vec<Vec<u8>>,
    /// Where it hung up on a word of HTTP.
    pub guarded_at: Option<u64>,
    /// Where the breach was, in what it has said, and in the reply to what.
    pub breached_at: Option<usize>,
    pub breached_verb: String,
    pub message: Vec<u8>,
    /// Bytes read.
    read: u64,
    line: Vec<u8>,
    line_at: u64,
    /// What came last, as the search for the end of data sees it.
    tail: Vec<u8>,
    data_read: usize,
    /// The rest of a line is not read, nor is a LF behind a CR that ended one.
    is_skipping: bool,
    is_after_cr: bool,
    /// The message under way was answered before its end.
    is_answered: bool,
    replies: usize,
    held_reply: Option<String>,
    tls: Recital,
}

impl Server {
    /// A server that has greeted.
    pub fn new(variant: Variant) -> Self {
        let mut server = Self {
            mode: Mode::Command,
            transaction: Transaction::default(),
            said: Vec::new(),
            offers: Vec::new(),
            greeting_end: 0,
            ran: Vec::new(),
            hopeless: Vec::new(),
            stored: Vec::new(),
            guarded_at: None,
            breached_at: None,
            breached_verb: String::new(),
            message: Vec::new(),
            read: 0,
            line: Vec::new(),
            line_at: 0,
            tail: Vec::new(),
            data_read: 0,
            is_skipping: false,
            is_after_cr: false,
            is_answered: false,
            replies: 0,
            held_reply: None,
            tls: Recital::server(),
            variant,
        };
        let greeting = match server.variant.greeting {
            Greeting::One => "220 mx.example ESMTP 2.0 ready\r\n",
            Greeting::Lines => "220-mx.example ESMTP\r\n220-no spam\r\n220 please\r\n",
            Greeting::Twice => "220 mx.example ESMTP\r\n220 mx.example ESMTP again\r\n",
            Greeting::Refusal => "554-mx.example\r\n554 no mail here: https://example/why\r\n",
        };
        server.said.extend_from_slice(greeting.as_bytes());
        server.greeting_end = server.said.len();
        server
    }

    /// Reads what has come.
    pub fn hear(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            let at = self.read;
            self.read += 1;
            // The second half of a CRLF whose CR has ended a line.
            if std::mem::take(&mut self.is_after_cr) && byte == b'\n' {
                continue;
            }
            match self.mode {
                _ if self.is_skipping => {
                    if byte == b'\n' {
                        self.end_long_line();
                    }
                }
                Mode::Command | Mode::Auth(_) => self.read_line(byte, at),
                Mode::Data => self.read_data(byte),
                Mode::Chunk { left, is_last, is_taken } => {
                    self.message.push(byte);
                    self.mode = Mode::Chunk { left: left - 1, is_last, is_taken };
                    if left == 1 {
                        verbs::end_chunk(self, is_last, is_taken);
                    }
                }
                Mode::Tls => {
                    let flight = self.tls.hear(&[byte]);
                    self.said.extend_from_slice(&flight);
                }
                Mode::Closed => {}
            }
        }
    }

    /// The next bytes are thrown away.
    pub const fn forget(&mut self, count: usize) {
        self.read += count as u64;
    }

    /// Bytes read so far.
    pub const fn read(&self) -> u64 {
        self.read
    }

    fn read_line(&mut self, byte: u8, at: u64) {
        if self.line.is_empty() {
            self.line_at = at;
        }
        if byte == b'\n' || (byte == b'\r' && self.variant.cr_ends) {
            self.is_after_cr = byte == b'\r';
            return self.run_line();
        }
        self.line.push(byte);
        if self.line.len() < self.line_max() {
            return;
        }
        match self.variant.overflow {
            Overflow::Split => self.run_line(),
            Overflow::Head | Overflow::Skip => self.is_skipping = true,
            Overflow::Close => {
                self.say("", "500 5.5.2 line too long\r\n");
                self.mode = Mode::Closed;
            }
        }
    }

    /// Who throws away the rest of a line answers at its end.
    fn end_long_line(&mut self) {
        self.is_skipping = false;
        if self.variant.overflow == Overflow::Head {
            return self.run_line();
        }
        self.line.clear();
        self.say("", "500 5.5.2 line too long\r\n");
    }

    fn line_max(&self) -> usize {
        let is_auth = self.mode != Mode::Command
            || self.line.get(..4).is_some_and(|word| word.eq_ignore_ascii_case(b"AUTH"));
        if is_auth { self.variant.auth_line_max } else { self.variant.line_max }
    }

    fn run_line(&mut self) {
        if self.transaction.taken == 0 {
            self.hopeless.push(self.line_at);
        }
        let mut line = std::mem::take(&mut self.line);
        let text = line.iter().rposition(|&byte| byte != b'\r').map_or(0, |last| last + 1);
        let is_odd = text + 1 < line.len() || line[..text].contains(&b'\r');
        line.truncate(text);
        match self.variant.nul {
            Nul::Kept => {}
            Nul::Dropped => line.retain(|&byte| byte != 0),
            Nul::Cuts => line.truncate(line.iter().position(|&b| b == 0).unwrap_or(line.len())),
        }
        if let Mode::Auth(left) = self.mode {
            return verbs::step_auth(self, &line, left);
        }
        if is_odd && self.variant.refuses_cr {
            return self.say("", "500 5.5.2 a CR?\r\n");
        }
        if line.is_empty() {
            if self.variant.answers_empty {
                self.say("", "500 5.5.2 empty line\r\n");
            }
            return;
        }
        let start = match self.variant.lead {
            Lead::Nothing => 0,
            Lead::Blanks => line.iter().take_while(|byte| b" \t".contains(byte)).count(),
            Lead::NoLetters => line.iter().take_while(|byte| !byte.is_ascii_alphabetic()).count(),
        };
        let text = &line[start..];
        let end = match self.variant.word {
            Word::Whole => text.iter().position(|byte| b" \t".contains(byte)),
            Word::Letters | Word::Leading => text.iter().position(|b| !b.is_ascii_alphabetic()),
        };
        let word = text[..end.unwrap_or(text.len())].to_ascii_uppercase();
        if self.variant.has_http_guard && [&b"GET"[..], b"POST", b"CONNECT"].contains(&&word[..]) {
            self.guarded_at = Some(self.line_at);
            self.mode = Mode::Closed;
            return self.said.extend_from_slice(b"221 2.7.0 I can break rules, too\r\n");
        }
        let is_leading = self.variant.word == Word::Leading;
        let known = VERBS.iter().copied().find(|verb| {
            word == verb.as_bytes() || (is_leading && word.starts_with(verb.as_bytes()))
        });
        let arguments = text[end.unwrap_or(text.len())..].to_vec();
        let Some(verb) = known.filter(|verb| verbs::is_known(&self.variant, verb)) else {
            return self.say("", "500 5.5.2 unrecognized\r\n");
        };
        self.ran.push(Ran { at: self.line_at, verb, line });
        verbs::run(self, verb, &arguments);
    }

    /// Message data begins.
    pub fn begin_data(&mut self) {
        self.mode = Mode::Data;
        self.message.clear();
        self.tail = b"\r\n".to_vec();
        (self.data_read, self.is_answered) = (0, false);
    }

    fn read_data(&mut self, byte: u8) {
        self.message.push(byte);
        self.data_read += 1;
        if byte != 0 || !self.variant.drops_data_nul {
            self.tail.push(byte);
        }
        if self.tail.len() > 64 {
            self.tail.drain(..56);
        }
        let is_breach = matches!(self.variant.breach, Breach::InsideData | Breach::DropsData)
            && self.variant.breach_on == On::Data(self.data_read)
            && self.breached_at.is_none();
        if is_breach {
            self.breached_at = Some(self.said.len());
            self.said.extend_from_slice(b"552 5.3.4 message too big\r\n");
            self.is_answered = true;
            if self.variant.breach == Breach::DropsData {
                self.mode = Mode::Command;
                return;
            }
        }
        if matches!(byte, b'\r' | b'\n') && self.is_data_end() {
            self.mode = Mode::Command;
            self.end_message();
        }
    }

    fn is_data_end(&self) -> bool {
        let is_taken = |(bit, end): (usize, &&[u8])| {
            self.variant.ends & (1 << bit) != 0 && self.tail.ends_with(end)
        };
        self.tail.ends_with(b"\r\n.\r\n") || ENDS.iter().enumerate().any(is_taken)
    }

    /// A whole message is there.
    pub fn end_message(&mut self) {
        let message = std::mem::take(&mut self.message);
        self.transaction = Transaction { has_hello: true, ..Transaction::default() };
        if !std::mem::take(&mut self.is_answered) {
            self.stored.push(message);
            self.say("message", "250 2.0.0 queued\r\n");
        }
    }

    /// Says a reply, or breaks the protocol here.
    pub fn say(&mut self, verb: &str, reply: &str) {
        let index = self.replies;
        self.replies += 1;
        let held = self.held_reply.take();
        if !self.is_breach(verb, index) {
            self.said.extend_from_slice(reply.as_bytes());
            self.said.extend_from_slice(held.unwrap_or_default().as_bytes());
            return;
        }
        self.breached_at = Some(self.said.len());
        verb.clone_into(&mut self.breached_verb);
        let text = match self.variant.breach {
            Breach::Doubled => format!("{reply}{reply}"),
            Breach::Missing | Breach::Vanishes => String::new(),
            Breach::WithoutCode => "Error: command not implemented\r\n".to_owned(),
            Breach::Unasked => format!("250 2.0.0 unasked\r\n{reply}"),
            Breach::Noise => format!("4.7.0 this line has no code\r\n{reply}"),
            Breach::Leaves => "421 4.3.2 shutting down\r\n".to_owned(),
            Breach::Swapped => {
                self.held_reply = Some(reply.to_owned());
                String::new()
            }
            Breach::None | Breach::InsideData | Breach::DropsData | Breach::Forgets => {
                reply.to_owned()
            }
        };
        self.said.extend_from_slice(text.as_bytes());
        if matches!(self.variant.breach, Breach::Leaves | Breach::Vanishes) {
            self.mode = Mode::Closed;
        }
    }

    /// Whether the command refuses in words without a code, and does nothing.
    pub fn refuses_without_code(&self, verb: &str) -> bool {
        self.variant.breach == Breach::WithoutCode && self.is_breach(verb, self.replies)
    }

    fn is_breach(&self, verb: &str, index: usize) -> bool {
        let is_here = match self.variant.breach_on {
            On::Reply(number) => number == index,
            On::Verb(name) => name == verb,
            On::Data(_) => false,
        };
        self.variant.breach != Breach::None && is_here && self.breached_at.is_none()
    }
}
