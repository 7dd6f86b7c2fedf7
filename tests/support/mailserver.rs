//! A small SMTP server: reads bytes as liberally as the most liberal server measured, answers by
//! its knobs, and remembers which commands it ran.
//!
//! Lines end at LF; blanks, quotes and control characters before a word are skipped; only the
//! first letters count. `is_lenient` adds Postfix's former ends of data.

use std::collections::VecDeque;

/// What the server does with its next byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mode {
    Command,
    Data,
    Auth,
}

/// The server.
#[derive(Clone)]
pub struct MailServer {
    /// All it has to say, from the greeting on.
    pub said: Vec<u8>,
    /// The first word of each line it ran as a command, in upper case.
    pub commands: Vec<String>,
    /// Every message it took, terminator included.
    pub messages: Vec<Vec<u8>>,
    /// Replies to come for DATA, before the ordinary one.
    pub data_replies: VecDeque<&'static str>,
    /// The reply to most commands.
    pub ok_reply: &'static str,
    /// The reply to AUTH, STARTTLS and BDAT.
    pub extension_reply: &'static str,
    /// Takes `LF.LF` and its like for the end of data, as Postfix did by default.
    pub is_lenient: bool,
    mode: Mode,
    line: Vec<u8>,
    message: Vec<u8>,
    last_line_was_bare: bool,
}

impl MailServer {
    pub fn new(banner: &str) -> Self {
        Self {
            said: banner.as_bytes().to_vec(),
            commands: Vec::new(),
            messages: Vec::new(),
            data_replies: VecDeque::new(),
            ok_reply: "250 ok\r\n",
            extension_reply: "502 no\r\n",
            is_lenient: false,
            mode: Mode::Command,
            line: Vec::new(),
            message: Vec::new(),
            last_line_was_bare: false,
        }
    }

    /// Reads what has come.
    pub fn hear(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            self.line.push(byte);
            if byte == b'\n' {
                let line = std::mem::take(&mut self.line);
                match self.mode {
                    Mode::Command => self.run(&line),
                    Mode::Data => self.take(&line),
                    Mode::Auth => {
                        self.mode = Mode::Command;
                        self.say("235 ok\r\n");
                    }
                }
            }
        }
    }

    fn say(&mut self, reply: &str) {
        self.said.extend_from_slice(reply.as_bytes());
    }

    fn run(&mut self, line: &[u8]) {
        let is_skipped = |b: &u8| b.is_ascii_whitespace() || *b < 33 || *b == b'"';
        let start = line.iter().position(|b| !is_skipped(b)).unwrap_or(line.len());
        let word = line[start..].iter().take_while(|b| b.is_ascii_alphabetic());
        let word: String = word.map(|&b| char::from(b.to_ascii_uppercase())).collect();
        let reply = match word.as_bytes() {
            [b'D', b'A', b'T', b'A', ..] => self.data_replies.pop_front().unwrap_or("354 go\r\n"),
            b"QUIT" => "221 bye\r\n",
            b"HELO" | b"EHLO" => "250-mx\r\n250 PIPELINING\r\n",
            b"MAIL" | b"RCPT" | b"RSET" | b"NOOP" | b"VRFY" | b"EXPN" => self.ok_reply,
            b"AUTH" | b"STARTTLS" | b"BDAT" => self.extension_reply,
            _ => "500 what?\r\n",
        };
        self.commands.push(word);
        if reply.starts_with("354") {
            self.mode = Mode::Data;
            self.last_line_was_bare = false;
        } else if reply.starts_with("334") {
            self.mode = Mode::Auth;
        }
        self.say(reply);
    }

    fn take(&mut self, line: &[u8]) {
        self.message.extend_from_slice(line);
        let is_bare = !line.ends_with(b"\r\n");
        let is_end = if self.is_lenient {
            let text: Vec<u8> = line.iter().copied().filter(|b| !b"\r\n\0".contains(b)).collect();
            text == b"."
        } else {
            line == b".\r\n" && !self.last_line_was_bare
        };
        self.last_line_was_bare = is_bare;
        if is_end {
            self.messages.push(std::mem::take(&mut self.message));
            self.mode = Mode::Command;
            self.say("250 queued\r\n");
        }
    }
}
