//! The conversation, without a socket: what was received goes in, what to do next comes out.
//!
//! Never more than one command is under way, never one that could become mail, and each is sent
//! once at most. Whatever a server says or does not say, a conversation ends: commands, lines and
//! bytes are bounded here, time is the caller's.
//!
//! ```text
//!   greeting ─ EHLO ─ (HELO) ─ goodmorning ─ (NOOP ─ hi) ─ HELP ─ (STARTTLS) ─ N,O,O,P ─ QUIT
//! ```

use super::keywords;
use super::reply::{Reply, code};

/// What can be sent; nothing else ever is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Command {
    /// Who we are; does ESMTP get through?
    Ehlo,
    /// The same, where EHLO showed no extensions.
    Helo,
    /// The article's invalid command.
    Invalid,
    /// What an invalid command that was answered OK may have become.
    Noop,
    /// An invalid command too short to become NOOP.
    Short,
    /// A verb beside the seven, and one letter away from one of them.
    Help,
    /// Where EHLO showed extensions, but not this one.
    StartTls,
    /// NOOP, each letter in a packet of its own, as a telnet client in character mode sends it.
    CutNoop,
    /// The end.
    Quit,
}

impl Command {
    /// Its first word.
    #[must_use]
    pub(super) const fn word(self) -> &'static str {
        match self {
            Self::Ehlo => "EHLO",
            Self::Helo => "HELO",
            Self::Invalid => "goodmorning",
            Self::Noop | Self::CutNoop => "NOOP",
            Self::Short => "hi",
            Self::Help => "HELP",
            Self::StartTls => "STARTTLS",
            Self::Quit => "QUIT",
        }
    }

    /// The packets to send, for a client that calls itself `name`.
    #[must_use]
    pub(super) fn pieces(self, name: &str) -> Vec<Vec<u8>> {
        let word = self.word();
        match self {
            Self::Ehlo | Self::Helo => vec![format!("{word} {name}\r\n").into_bytes()],
            Self::CutNoop => {
                let letters = word.bytes().map(|letter| vec![letter]);
                letters.chain([b"\r\n".to_vec()]).collect()
            }
            Self::Invalid | Self::Noop | Self::Short | Self::Help | Self::StartTls | Self::Quit => {
                vec![format!("{word}\r\n").into_bytes()]
            }
        }
    }
}

/// What the caller has to do next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// Send this.
    Send(Command),
    /// Receive more, until the time for a reply is over.
    Receive,
    /// Receive more, but only for a moment: nothing may come.
    Settle,
    /// Close the connection.
    Close,
}

/// How the conversation ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ending {
    /// As planned.
    Done,
    /// The server closed the connection, or said (421) that it does.
    HungUp,
    /// The server said nothing for too long.
    Silent,
    /// The server said more than is read.
    TooMuch,
}

/// Everything that was said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Transcript {
    /// The greeting; empty if none came.
    pub(super) greeting: Reply,
    /// Each command and its answer, in order; empty if none came.
    pub(super) exchanges: Vec<(Command, Reply)>,
    /// How it ended.
    pub(super) ending: Ending,
}

impl Transcript {
    /// The answer to a command, if it was sent and answered.
    #[must_use]
    pub(super) fn reply(&self, command: Command) -> Option<&Reply> {
        let (_, reply) = self.exchanges.iter().find(|(sent, _)| *sent == command)?;
        reply.code().map(|_| reply)
    }
}

/// The conversation under way.
#[derive(Debug)]
pub(super) struct Dialogue {
    said: Transcript,
    /// The line that is coming in; the rest of an overlong one is not kept.
    line: Vec<u8>,
    bytes: usize,
    is_over: bool,
    is_awaiting: bool,
}

impl Default for Dialogue {
    fn default() -> Self {
        Self::new()
    }
}

impl Dialogue {
    /// A connection has just been opened.
    #[must_use]
    pub(super) const fn new() -> Self {
        let greeting = Reply { lines: Vec::new() };
        let said = Transcript { greeting, exchanges: Vec::new(), ending: Ending::Done };
        Self { said, line: Vec::new(), bytes: 0, is_over: false, is_awaiting: true }
    }

    /// What to do next. A command it names is under way from here on.
    pub(super) fn next(&mut self) -> Next {
        if self.is_over {
            return Next::Close;
        }
        if self.is_awaiting {
            let is_greeting = self.said.exchanges.is_empty();
            let is_endless = is_greeting && has_masked_code(&self.said.greeting);
            return if is_endless { Next::Settle } else { Next::Receive };
        }
        let Some(command) = self.following() else {
            self.is_over = true;
            return Next::Close;
        };
        self.said.exchanges.push((command, Reply::default()));
        self.line.clear();
        self.is_awaiting = true;
        Next::Send(command)
    }

    /// The server said something.
    pub(super) fn received(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            self.bytes += 1;
            if self.bytes > BYTES_MAX {
                return self.end(Ending::TooMuch);
            }
            if !self.is_awaiting || self.is_over {
                continue;
            }
            if byte == b'\n' {
                self.take_line();
            } else if self.line.len() < LINE_MAX {
                self.line.push(byte);
            }
        }
    }

    /// The time for a reply is over.
    pub(super) fn silent(&mut self) {
        let is_greeting = self.said.exchanges.is_empty();
        if is_greeting && has_masked_code(&self.said.greeting) {
            self.is_awaiting = false;
        } else {
            self.end(Ending::Silent);
        }
    }

    /// The connection is gone.
    pub(super) fn closed(&mut self) {
        self.end(Ending::HungUp);
    }

    /// No time is left for anything more.
    pub(super) fn stop(&mut self) {
        self.end(Ending::Silent);
    }

    /// What was said.
    #[must_use]
    pub(super) fn into_transcript(self) -> Transcript {
        self.said
    }

    fn end(&mut self, ending: Ending) {
        if !self.is_over {
            self.is_over = true;
            let is_done = matches!(self.said.exchanges.last(), Some((Command::Quit, _)));
            self.said.ending = if is_done { Ending::Done } else { ending };
        }
    }

    fn reply(&mut self) -> &mut Reply {
        match self.said.exchanges.last_mut() {
            Some((_, reply)) => reply,
            None => &mut self.said.greeting,
        }
    }

    fn take_line(&mut self) {
        let mut line = std::mem::take(&mut self.line);
        while line.last() == Some(&b'\r') {
            line.pop();
        }
        let is_greeting = self.said.exchanges.is_empty();
        let reply = self.reply();
        reply.lines.push(line);
        let is_whole = reply.is_whole();
        let is_closing = is_whole && reply.code() == Some(421);
        let is_too_much = reply.lines.len() >= LINES_MAX;
        let is_stranger = is_greeting && !is_whole && is_foreign(reply);
        if is_closing {
            self.end(Ending::HungUp);
        } else if is_stranger {
            self.end(Ending::Done);
        } else if is_whole {
            self.is_awaiting = false;
        } else if is_too_much {
            self.end(Ending::TooMuch);
        }
    }

    fn following(&self) -> Option<Command> {
        let Some((last, reply)) = self.said.exchanges.last() else {
            let is_welcome = self.said.greeting.is_ok();
            return Some(if is_welcome { Command::Ehlo } else { Command::Quit });
        };
        match last {
            Command::Ehlo if reply.is_ok() && reply.lines.len() > 1 => Some(Command::Invalid),
            Command::Ehlo => Some(Command::Helo),
            Command::Helo => Some(Command::Invalid),
            Command::Invalid if reply.is_ok() => Some(Command::Noop),
            Command::Noop => Some(Command::Short),
            Command::Invalid | Command::Short => Some(Command::Help),
            Command::Help if self.is_tls_missing() => Some(Command::StartTls),
            // Plain text has no place in what would begin now.
            Command::StartTls if reply.is_ok() => None,
            Command::Help | Command::StartTls => Some(Command::CutNoop),
            Command::CutNoop => Some(Command::Quit),
            Command::Quit => None,
        }
    }

    fn is_tls_missing(&self) -> bool {
        let ehlo = self.said.reply(Command::Ehlo);
        ehlo.is_some_and(|reply| {
            reply.is_ok() && reply.lines.len() > 1 && !keywords::has(reply, "STARTTLS")
        })
    }
}

/// Whether a later line of a greeting lost its code: then no client ever sees its end.
fn has_masked_code(greeting: &Reply) -> bool {
    greeting.lines.iter().skip(1).any(|line| line.first() == Some(&b'*'))
}

/// Whether a greeting can be no SMTP server's: it begins with neither a code nor a mask.
fn is_foreign(greeting: &Reply) -> bool {
    let first = greeting.lines.first().map_or(&[][..], Vec::as_slice);
    code(first).is_none()
}

/// Bytes of a line that are kept: as many as Postfix keeps (`line_length_limit`).
const LINE_MAX: usize = 2048;

/// Lines of a reply: the longest lists of extensions have some thirty.
const LINES_MAX: usize = 128;

/// Bytes read in all: thirty times what a talkative server says.
const BYTES_MAX: usize = 64 * 1024;
