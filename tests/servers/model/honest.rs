//! An honest client: says what a mail program says, pipelined or not, and believes what it reads.

use std::collections::VecDeque;

use super::choice::Choice;
use super::replies::{Replies, Reply};
use super::text;
use super::tls::Recital;

/// What a reply is waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Asked {
    Greeting,
    Ehlo,
    Helo,
    Auth,
    StartTls,
    Mail,
    Rcpt,
    Data,
    Message,
    Chunk { is_last: bool },
    Rset,
    Quit,
}

/// What a part of what the client says is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    Command(&'static str),
    /// A line of an AUTH exchange.
    Secret,
    /// Message data, its end included.
    Text,
    Octets,
    Tls,
}

/// One message, and what became of it.
#[derive(Debug)]
pub struct Message {
    pub text: Vec<u8>,
    pub by_chunks: bool,
    recipients: usize,
    /// Where the text is cut into chunks.
    cuts: Vec<usize>,
    /// The server has said that it took it.
    pub is_taken: bool,
}

/// How the client goes about it.
#[derive(Clone, Copy, Debug)]
pub struct Manner {
    pub pipelines: bool,
    /// Speaks before the greeting, from what it remembers of the server (Exim's PIPE_CONNECT).
    pub is_hasty: bool,
    pub uses_chunks: bool,
    pub uses_auth: bool,
    pub uses_tls: bool,
    /// Says EHLO a second time.
    pub greets_twice: bool,
    pub uses_helo: bool,
    /// Passes over lines that begin with no code (Postfix); otherwise they are refusals.
    pub ignores_noise: bool,
}

/// The client.
pub struct Honest {
    pub manner: Manner,
    pub messages: Vec<Message>,
    /// All it has said.
    pub said: Vec<u8>,
    /// Where each part of that begins.
    pub parts: Vec<(usize, Part)>,
    /// All went as it should: 221 came at last.
    pub is_content: bool,
    pub is_closing: bool,
    asked: VecDeque<Asked>,
    replies: Replies,
    offers: Offers,
    /// The message under way, how many of its recipients were asked for and taken, and how many
    /// of its chunks were said.
    current: usize,
    asked_for: usize,
    taken: usize,
    chunks: usize,
    /// A chunk of it was refused.
    is_refused: bool,
    has_greeted_twice: bool,
    wants_quit: bool,
    tls: Option<Recital>,
}

/// What the server has offered, as far as it matters.
#[derive(Clone, Copy, Default)]
struct Offers {
    pipelining: bool,
    chunking: bool,
    auth: bool,
    starttls: bool,
}

impl Manner {
    fn choose(choice: &mut Choice<'_>) -> Self {
        Self {
            pipelines: choice.one_in(2),
            is_hasty: choice.one_in(8),
            uses_chunks: choice.one_in(2),
            uses_auth: choice.one_in(6),
            uses_tls: choice.one_in(10),
            greets_twice: choice.one_in(8),
            uses_helo: choice.one_in(6),
            ignores_noise: choice.one_in(2),
        }
    }
}

impl Message {
    fn choose(choice: &mut Choice<'_>) -> Self {
        let text = text::message(choice);
        let mut cuts = Vec::new();
        for _ in 0..choice.below(3) {
            cuts.push(choice.below(text.len()));
        }
        cuts.push(text.len());
        cuts.sort_unstable();
        cuts.dedup();
        // A chunk of nothing is sent as the last alone, if at all.
        cuts.retain(|&cut| cut > 0);
        let recipients = 1 + choice.below(3);
        Self { text, by_chunks: false, recipients, cuts, is_taken: false }
    }
}

impl Honest {
    /// Whether a message of it was sent in chunks.
    pub fn has_sent_chunks(&self) -> bool {
        self.messages.iter().any(|message| message.by_chunks)
    }

    pub fn choose(choice: &mut Choice<'_>) -> Self {
        let manner = Manner::choose(choice);
        let messages = (0..1 + choice.below(3)).map(|_| Message::choose(choice)).collect();
        let mut client = Self {
            manner,
            messages,
            said: Vec::new(),
            parts: Vec::new(),
            is_content: false,
            is_closing: false,
            asked: VecDeque::from([Asked::Greeting]),
            replies: Replies::default(),
            offers: Offers::default(),
            current: 0,
            asked_for: 0,
            taken: 0,
            chunks: 0,
            is_refused: false,
            has_greeted_twice: false,
            wants_quit: false,
            tls: None,
        };
        if manner.is_hasty {
            client.offers = Offers { pipelining: true, chunking: true, ..Offers::default() };
            client.manner.pipelines = true;
            client.command("EHLO", "EHLO client.example", Asked::Ehlo);
            client.begin_message();
            client.offers = Offers::default();
        }
        client
    }

    /// Reads what has come, and answers.
    pub fn hear(&mut self, bytes: &[u8]) {
        if let Some(tls) = &mut self.tls {
            let flight = tls.hear(bytes);
            return self.say(Part::Tls, &flight);
        }
        for reply in self.replies.read(bytes, !self.manner.ignores_noise) {
            self.on_reply(&reply);
            self.quit_if_due();
        }
    }

    /// Nothing has come for a long time.
    pub fn on_silence(&mut self) {
        let is_stuck = self.asked.contains(&Asked::Quit) || self.asked.contains(&Asked::Message);
        if self.is_tls() || is_stuck {
            self.is_closing = true;
        } else {
            self.asked.clear();
            self.wants_quit = true;
            self.quit_if_due();
        }
    }

    /// Whether it has begun TLS.
    pub const fn is_tls(&self) -> bool {
        self.tls.is_some()
    }

    fn say(&mut self, part: Part, bytes: &[u8]) {
        self.parts.push((self.said.len(), part));
        self.said.extend_from_slice(bytes);
    }

    fn command(&mut self, verb: &'static str, line: &str, asked: Asked) {
        self.say(Part::Command(verb), line.as_bytes());
        self.said.extend_from_slice(b"\r\n");
        self.asked.push_back(asked);
    }

    /// QUIT may stand behind everything but what changes the meaning of what follows.
    fn quit_if_due(&mut self) {
        let is_due = self.asked.iter().all(|asked| matches!(asked, Asked::Mail | Asked::Rcpt));
        if self.wants_quit && is_due && !self.is_closing {
            self.command("QUIT", "QUIT", Asked::Quit);
        }
    }

    fn on_reply(&mut self, reply: &Reply) {
        if reply.code == Some(421) {
            self.is_closing = true;
            return;
        }
        let Some(asked) = self.asked.pop_front() else { return };
        let is_good = reply.is_good();
        match asked {
            Asked::Greeting if !is_good => self.wants_quit = true,
            Asked::Greeting if self.manner.is_hasty => {}
            Asked::Greeting if self.manner.uses_helo => {
                self.command("HELO", "HELO client.example", Asked::Helo);
            }
            Asked::Greeting => self.command("EHLO", "EHLO client.example", Asked::Ehlo),
            Asked::Ehlo => self.on_offers(reply),
            Asked::Helo if is_good => self.begin_message(),
            Asked::Helo => self.wants_quit = true,
            Asked::Auth if reply.code == Some(334) => {
                self.say(Part::Secret, b"c2VjcmV0\r\n");
                self.asked.push_back(Asked::Auth);
            }
            Asked::Auth => self.begin_message(),
            Asked::StartTls if reply.code == Some(220) => {
                let mut tls = Recital::client(self.said.len());
                let hello = tls.hear(b"");
                self.say(Part::Tls, &hello);
                self.tls = Some(tls);
            }
            Asked::StartTls => self.begin_message(),
            Asked::Mail if self.pipelines() => {}
            Asked::Mail if is_good => self.ask_recipient(),
            Asked::Mail => self.give_up(),
            Asked::Rcpt => self.on_recipient(is_good),
            Asked::Data if reply.code == Some(354) => self.say_text(),
            Asked::Data => self.give_up(),
            Asked::Message => {
                self.messages[self.current].is_taken = is_good && !self.is_refused;
                self.next_message();
            }
            Asked::Chunk { is_last } => self.on_chunk(is_good, is_last),
            Asked::Rset => self.next_message(),
            Asked::Quit => {
                self.is_content = reply.code == Some(221);
                self.is_closing = true;
            }
        }
    }

    fn on_offers(&mut self, reply: &Reply) {
        if reply.is_good() {
            let offers = |word: &str| reply.keywords.iter().any(|keyword| keyword == word);
            self.offers = Offers {
                pipelining: offers("PIPELINING"),
                chunking: offers("CHUNKING"),
                auth: offers("AUTH"),
                starttls: offers("STARTTLS"),
            };
        }
        if self.manner.is_hasty {
            return;
        }
        if !reply.is_good() && !self.has_greeted_twice {
            self.command("HELO", "HELO client.example", Asked::Helo);
        } else if self.manner.greets_twice && !self.has_greeted_twice {
            self.has_greeted_twice = true;
            self.command("EHLO", "EHLO client.example", Asked::Ehlo);
        } else if self.manner.uses_tls && self.offers.starttls {
            self.command("STARTTLS", "STARTTLS", Asked::StartTls);
        } else if self.manner.uses_auth && self.offers.auth {
            let line = if self.manner.pipelines { "AUTH PLAIN AGEAYg==" } else { "AUTH LOGIN" };
            self.command("AUTH", line, Asked::Auth);
        } else {
            self.begin_message();
        }
    }

    const fn pipelines(&self) -> bool {
        self.manner.pipelines && (self.offers.pipelining || self.is_first_of_hasty())
    }

    /// The message that was said before anything was heard.
    const fn is_first_of_hasty(&self) -> bool {
        self.manner.is_hasty && self.current == 0
    }

    fn begin_message(&mut self) {
        if self.wants_quit {
            return;
        }
        (self.asked_for, self.taken, self.chunks, self.is_refused) = (0, 0, 0, false);
        let by_chunks = self.manner.uses_chunks && self.offers.chunking;
        self.messages[self.current].by_chunks = by_chunks;
        self.command("MAIL", "MAIL FROM:<a@client.example>", Asked::Mail);
        if !self.pipelines() {
            return;
        }
        while self.asked_for < self.messages[self.current].recipients {
            self.ask_recipient();
        }
        self.send_data();
    }

    fn ask_recipient(&mut self) {
        self.asked_for += 1;
        let line = format!("RCPT TO:<user{}@mx.example>", self.asked_for);
        self.command("RCPT", &line, Asked::Rcpt);
    }

    fn on_recipient(&mut self, is_good: bool) {
        self.taken += usize::from(is_good);
        if self.pipelines() {
            return;
        }
        if self.asked_for < self.messages[self.current].recipients {
            self.ask_recipient();
        } else if self.taken > 0 {
            self.send_data();
        } else {
            self.give_up();
        }
    }

    fn send_data(&mut self) {
        let message = &self.messages[self.current];
        if !message.by_chunks {
            return self.command("DATA", "DATA", Asked::Data);
        }
        let chunks = message.cuts.len();
        while self.chunks < chunks {
            self.say_chunk();
            if !self.pipelines() {
                return;
            }
        }
    }

    fn say_chunk(&mut self) {
        let message = &self.messages[self.current];
        let start = self.chunks.checked_sub(1).map_or(0, |before| message.cuts[before]);
        let octets = message.text[start..message.cuts[self.chunks]].to_vec();
        self.chunks += 1;
        let is_last = self.chunks == message.cuts.len();
        let last = if is_last { " LAST" } else { "" };
        self.command("BDAT", &format!("BDAT {}{last}", octets.len()), Asked::Chunk { is_last });
        self.say(Part::Octets, &octets);
    }

    fn on_chunk(&mut self, is_good: bool, is_last: bool) {
        self.is_refused |= !is_good;
        if is_last {
            self.messages[self.current].is_taken = !self.is_refused;
            self.next_message();
        } else if !self.pipelines() {
            if is_good {
                self.say_chunk();
            } else {
                self.give_up();
            }
        }
    }

    /// The server has said 354. Without a recipient there is nothing to say (RFC 2920 3.1).
    fn say_text(&mut self) {
        self.is_refused = self.taken == 0 || self.wants_quit;
        if !self.is_refused {
            let text = self.messages[self.current].text.clone();
            self.say(Part::Text, &text);
        } else {
            self.say(Part::Text, b"");
        }
        self.said.extend_from_slice(b".\r\n");
        self.asked.push_back(Asked::Message);
    }

    fn give_up(&mut self) {
        if !self.wants_quit {
            self.command("RSET", "RSET", Asked::Rset);
        }
    }

    fn next_message(&mut self) {
        self.current += 1;
        if self.current < self.messages.len() {
            self.begin_message();
        } else {
            self.current -= 1;
            self.wants_quit = true;
        }
    }
}
