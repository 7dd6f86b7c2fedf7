//! A server of today: EHLO with any offer, AUTH, BDAT with exact counting, STARTTLS; answers an
//! unknown line with 500 and the line. It is the truth of a test: what it ran as a command, and
//! what it took as a message.

/// What the server does with its next byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    Command,
    Data,
    Auth,
    Chunk { left: usize, is_last: bool },
    Tls,
}

/// The server.
#[derive(Clone)]
pub struct Esmtp {
    /// All it has to say, reply by reply.
    pub replies: Vec<Vec<u8>>,
    /// Every line it ran as a command, without its line end.
    pub commands: Vec<String>,
    /// Every message it took, terminator included (BDAT has none).
    pub messages: Vec<Vec<u8>>,
    /// Lines of AUTH exchanges.
    pub secrets: Vec<String>,
    /// What came behind STARTTLS.
    pub tls: Vec<u8>,
    pub mode: Mode,
    /// The answer to EHLO.
    pub ehlo: &'static str,
    pub starttls: &'static str,
    /// The answers of an AUTH exchange, in their order.
    pub auth: &'static [&'static str],
    /// The answer to BDAT; the octets are taken whatever it is.
    pub bdat: &'static str,
    /// DATA needs a recipient.
    pub is_strict: bool,
    /// A recipient elsewhere is for those alone who have said who they are.
    pub denies_relaying: bool,
    is_known: bool,
    has_recipient: bool,
    auth_step: usize,
    line: Vec<u8>,
    message: Vec<u8>,
}

impl Esmtp {
    pub fn new(banner: &str) -> Self {
        Self {
            replies: vec![banner.as_bytes().to_vec()],
            commands: Vec::new(),
            messages: Vec::new(),
            secrets: Vec::new(),
            tls: Vec::new(),
            mode: Mode::Command,
            ehlo: "250-mx.example\r\n250-PIPELINING\r\n250-SIZE 1000000\r\n250-STARTTLS\r\n\
                   250-AUTH PLAIN LOGIN\r\n250-CHUNKING\r\n250-XCLIENT NAME\r\n250 HELP\r\n",
            starttls: "220 go\r\n",
            auth: &["235 ok\r\n"],
            bdat: "250 taken\r\n",
            is_strict: false,
            denies_relaying: false,
            is_known: false,
            has_recipient: false,
            auth_step: 0,
            line: Vec::new(),
            message: Vec::new(),
        }
    }

    /// Everything it has said.
    pub fn said(&self) -> Vec<u8> {
        self.replies.concat()
    }

    /// Reads what has come.
    pub fn hear(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            match self.mode {
                Mode::Tls => {
                    self.tls.push(byte);
                    continue;
                }
                Mode::Chunk { left, is_last } => {
                    self.take_octet(byte, left - 1, is_last);
                    continue;
                }
                Mode::Command | Mode::Data | Mode::Auth => self.line.push(byte),
            }
            if byte == b'\n' {
                let line = std::mem::take(&mut self.line);
                match self.mode {
                    Mode::Data => self.take(&line),
                    Mode::Auth => {
                        self.secrets.push(shown(&line));
                        let is_cancelled = line == b"*\r\n";
                        self.step_auth(is_cancelled);
                    }
                    Mode::Command | Mode::Chunk { .. } | Mode::Tls => self.run(&shown(&line)),
                }
            }
        }
    }

    fn say(&mut self, reply: &str) {
        self.replies.push(reply.as_bytes().to_vec());
    }

    fn run(&mut self, line: &str) {
        let word = line.split([' ', '\t']).next().unwrap_or_default().to_ascii_uppercase();
        self.commands.push(line.to_owned());
        match word.as_str() {
            "EHLO" => self.say(self.ehlo),
            "HELO" => self.say("250 mx.example\r\n"),
            "RCPT" if self.denies_relaying && !self.is_known && !line.contains("@mx.example") => {
                self.say("550 5.7.1 Unable to relay\r\n");
            }
            "RCPT" => {
                self.has_recipient = true;
                self.say("250 ok\r\n");
            }
            "MAIL" | "RSET" | "NOOP" | "SEND" | "SOML" | "SAML" | "ETRN" => self.say("250 ok\r\n"),
            "VRFY" | "EXPN" => self.say("252 perhaps\r\n"),
            "HELP" => self.say("214 no help\r\n"),
            "TURN" => self.say("502 no\r\n"),
            "QUIT" => self.say("221 bye\r\n"),
            "DATA" if self.is_strict && !self.has_recipient => self.say("503 no recipient\r\n"),
            "DATA" => {
                self.mode = Mode::Data;
                self.say("354 go\r\n");
            }
            "STARTTLS" => {
                if self.starttls.starts_with("220") {
                    self.mode = Mode::Tls;
                }
                self.say(self.starttls);
            }
            "AUTH" => {
                self.auth_step = 0;
                self.step_auth(false);
            }
            "BDAT" => self.begin_chunk(line),
            _ => self.say(&format!("500 unrecognized: {line}\r\n")),
        }
    }

    fn step_auth(&mut self, is_cancelled: bool) {
        let reply = if is_cancelled { "501 cancelled\r\n" } else { self.auth[self.auth_step] };
        self.auth_step += 1;
        self.mode = if reply.starts_with("334") { Mode::Auth } else { Mode::Command };
        self.is_known |= reply.starts_with("235");
        self.say(reply);
    }

    /// As Exim reads it: the digits count, whatever follows them.
    fn begin_chunk(&mut self, line: &str) {
        let argument = line.get(5..).unwrap_or_default().trim_start();
        let digits =
            argument.len() - argument.trim_start_matches(|c: char| c.is_ascii_digit()).len();
        let Ok(left) = argument[..digits].parse() else {
            return self.say("501 size?\r\n");
        };
        let is_last = argument[digits..].trim().eq_ignore_ascii_case("LAST");
        if left == 0 {
            self.end_chunk(is_last);
        } else {
            self.mode = Mode::Chunk { left, is_last };
        }
    }

    fn take_octet(&mut self, byte: u8, left: usize, is_last: bool) {
        self.message.push(byte);
        self.mode = Mode::Chunk { left, is_last };
        if left == 0 {
            self.end_chunk(is_last);
        }
    }

    fn end_chunk(&mut self, is_last: bool) {
        self.mode = Mode::Command;
        if is_last && self.bdat.starts_with('2') {
            self.messages.push(std::mem::take(&mut self.message));
        }
        self.say(self.bdat);
    }

    fn take(&mut self, line: &[u8]) {
        self.message.extend_from_slice(line);
        if line == b".\r\n" && (self.message.len() == 3 || self.message.ends_with(b"\r\n.\r\n")) {
            self.messages.push(std::mem::take(&mut self.message));
            self.mode = Mode::Command;
            self.has_recipient = false;
            self.say("250 queued\r\n");
        }
    }
}

fn shown(line: &[u8]) -> String {
    String::from_utf8_lossy(line).trim_end_matches(['\r', '\n']).to_owned()
}
