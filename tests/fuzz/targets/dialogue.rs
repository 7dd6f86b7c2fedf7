//! Dialogue and guard together: what leaves depends on the bytes and on whose turn it was, never
//! on how a turn was cut; and no server reads a refused verb in it. Settings that decide by the
//! packet promise neither: with those nothing changes length, and nothing panics.
//!
//! Input: one byte of settings, then turns: 0xFE begins one of the client, 0xFF one of the server.
//! Client bytes that have to wait are offered again behind each turn of the server.

use mailguard::guard::{
    Draft, EhloFilter, Excess, Guard, Profile, Rule, Ruling, Run, Settings, Unit, Watch,
};
use mailguard::offset::Offset;
use mailguard::smtp::{Dialogue, Event, Expect, Fault, MailData, Speaker, Standing, Word};

use super::input::Input;

const CLIENT: u8 = 0xfe;
const SERVER: u8 = 0xff;

pub fn run(data: &[u8]) {
    let mut input = Input::new(data);
    let choice = input.byte();
    let turns = turns(input.rest());
    let settings = settings(choice);
    let whole = Talk::play(&settings, &turns, |length| length);
    let is_by_stream = settings.unit == Unit::Stream && settings.ehlo != EhloFilter::Letters;
    for size in [1, 2, 3, 7] {
        let cut = Talk::play(&settings, &turns, |length| length.min(size));
        if is_by_stream {
            whole.compare(&cut, size);
        }
    }
    if choice & (PROFILE | WIDE | ON_DATA) == 0 {
        Server::default().read(&whole.heard);
    }
}

fn turns(bytes: &[u8]) -> Vec<(Speaker, Vec<u8>)> {
    let mut turns = vec![(Speaker::Client, Vec::new())];
    for &byte in bytes {
        match byte {
            CLIENT => turns.push((Speaker::Client, Vec::new())),
            SERVER => turns.push((Speaker::Server, Vec::new())),
            _ => turns.last_mut().expect("the first").1.push(byte),
        }
    }
    turns
}

/// Number of the profile.
const PROFILE: u8 = 7;
/// More verbs pass.
const WIDE: u8 = 8;
/// What looks like an end of data is neutralised.
const NEUTRALISE: u8 = 16;
/// Decided by the stream.
const STREAM: u8 = 32;
/// Long lines end the flow.
const RESET: u8 = 64;
/// Data begins on the command.
const ON_DATA: u8 = 128;

fn settings(choice: u8) -> Settings {
    let mut settings = Settings::preset(Profile::ALL[usize::from(choice & PROFILE)]);
    for (bit, key, value) in [
        (WIDE, "verbs", "HELO EHLO MAIL RCPT DATA RSET NOOP QUIT STARTTLS AUTH BDAT"),
        (WIDE, "starttls", "allow"),
        (NEUTRALISE, "lookalikes", "neutralise"),
        (STREAM, "unit", "stream"),
        (RESET, "long_lines", "reset"),
        (ON_DATA, "data_begins", "on-data"),
    ] {
        if choice & bit != 0 {
            settings.set(key, value).expect("a setting");
        }
    }
    settings
}

/// A byte that left, and what it was part of.
type Heard = (Speaker, u8, Event);

struct Talk {
    dialogue: Dialogue,
    guard: Guard,
    watch: Watch,
    /// What the client has said and nobody has read.
    waiting: Vec<u8>,
    heard: Vec<Heard>,
    /// Each with the number of bytes before its run.
    faults: Vec<(usize, Fault)>,
    /// The flow was reset.
    is_over: bool,
}

impl Talk {
    /// Plays the turns, offering so many of the bytes that are there at a time.
    fn play(
        settings: &Settings,
        turns: &[(Speaker, Vec<u8>)],
        piece: impl Fn(usize) -> usize,
    ) -> Self {
        let mut talk = Self {
            dialogue: Guard::new(settings.clone()).dialogue(),
            guard: Guard::new(settings.clone()),
            watch: Watch::default(),
            waiting: Vec::new(),
            heard: Vec::new(),
            faults: Vec::new(),
            is_over: false,
        };
        for (speaker, bytes) in turns {
            if *speaker == Speaker::Server {
                let left = talk.say(Speaker::Server, bytes, &piece);
                assert!(left.is_empty() || talk.is_over, "a server never waits");
            } else {
                talk.waiting.extend_from_slice(bytes);
            }
            let waiting = std::mem::take(&mut talk.waiting);
            talk.waiting = talk.say(Speaker::Client, &waiting, &piece);
            if talk.is_over {
                break;
            }
        }
        talk
    }

    /// Two ways of cutting the same turns.
    fn compare(&self, cut: &Self, size: usize) {
        assert_eq!(cut.is_over, self.is_over, "in pieces of {size}");
        if self.is_over {
            // The segment that ends a flow is dropped whole, and small ones left before it.
            let common = self.heard.len().min(cut.heard.len());
            assert_eq!(cut.heard[..common], self.heard[..common], "in pieces of {size}");
            return;
        }
        assert_eq!(cut.heard, self.heard, "in pieces of {size}");
        assert_eq!(cut.faults, self.faults, "in pieces of {size}");
        assert_eq!(cut.dialogue.expect(), self.dialogue.expect(), "in pieces of {size}");
        assert_eq!(cut.waiting, self.waiting, "in pieces of {size}");
    }

    /// Reads as much as can be read; returns what has to wait.
    fn say(&mut self, from: Speaker, bytes: &[u8], piece: &impl Fn(usize) -> usize) -> Vec<u8> {
        let mut rest = bytes;
        let (mut draft, mut is_first) = (Draft::default(), true);
        while !rest.is_empty() {
            // Asked of all that is there, so that the cut decides nothing.
            if from == Speaker::Client && self.dialogue.holds(rest) {
                break;
            }
            let offered = &rest[..piece(rest.len())];
            // Whoever speaks has received all that has left of the other side.
            let said = |by| self.heard.iter().filter(|(speaker, ..)| *speaker == by).count();
            let other = if from == Speaker::Client { Speaker::Server } else { Speaker::Client };
            let standing = Standing {
                at: Offset::new(said(from) as u64),
                covers: Offset::new(said(other) as u64),
            };
            let is_disowned =
                matches!(self.dialogue.expect(), Expect::Disowned(_) | Expect::Oversize(_));
            let step = self.dialogue.read(from, offered, standing);
            if step.event == Event::Wait {
                assert_eq!(step.used, 0);
                break;
            }
            assert!((1..=offered.len()).contains(&step.used), "{step:?}");
            let (run, behind) = rest.split_at(step.used);
            let told =
                Run { event: step.event, bytes: run, rest: offered, is_first, plain: step.plain };
            let ruling = self.guard.judge(&mut self.watch, told, &mut draft);
            if let Some(fault) = step.fault {
                self.faults.push((self.heard.len(), fault));
                self.is_over |= fault.is_fatal();
            }
            let leaves = match ruling {
                Ruling::Pass | Ruling::Note(_) | Ruling::Exceed(_) | Ruling::Reset(_) => {
                    // The engine asks the guard how far a message may be read, and ends it there.
                    let is_size = |excess: Excess| excess.rule == Rule::MessageBytes;
                    let is_beyond = matches!(ruling, Ruling::Exceed(excess) if is_size(excess));
                    self.is_over |= ruling.ends_flow() && !is_beyond;
                    run
                }
                Ruling::Edit(rule) | Ruling::Refuse(rule) => {
                    assert_eq!(draft.as_bytes().len(), run.len(), "nothing changes length");
                    assert!(rule != Rule::Banner || from == Speaker::Server);
                    draft.as_bytes()
                }
            };
            if self.is_over {
                break;
            }
            is_first = step.used == offered.len();
            for (index, &byte) in leaves.iter().enumerate() {
                // The run with the end of the data is text but for its last byte.
                let is_text = step.event == Event::DataEnd && index + 1 < run.len();
                let event = match (is_text, is_disowned) {
                    // CRs stay, and are of the run before or behind them.
                    (false, _) if byte == b'\r' && step.event == Event::AuthStray => {
                        Event::AuthLine
                    }
                    (false, _) => step.event,
                    (true, false) => Event::Data,
                    (true, true) => Event::Disowned(MailData::Middle),
                };
                self.heard.push((from, byte, kind(event)));
            }
            if matches!(ruling, Ruling::Refuse(_)) {
                self.dialogue.refuse(self.watch.is_path_masked());
            }
            if let Expect::Tls(start) = self.dialogue.expect() {
                assert!(!start.has_begun() || step.event == Event::Opaque);
            }
            rest = behind;
        }
        rest.to_vec()
    }
}

/// The event without what depends on where a run ends.
#[allow(clippy::wildcard_enum_match_arm, reason = "the rest says the same of each byte")]
fn kind(event: Event) -> Event {
    match event {
        Event::CommandWord(_) => Event::CommandWord(Word::default()),
        // What stands between two false ends that are close is text.
        Event::Data | Event::DataLookalike(_) => Event::DataLookalike(MailData::Middle),
        Event::Disowned(_) => Event::Disowned(MailData::Middle),
        // Behind a stray byte CRs and what they divide are one run.
        Event::CommandCr => Event::CommandStray,
        Event::ReplyKeyword(mut reply) => {
            reply.keyword = Default::default();
            Event::ReplyKeyword(reply)
        }
        other => other,
    }
}

/// A server that knows every verb, and reads what it gets by the letter of RFC 5321.
#[derive(Default)]
struct Server {
    /// The client's line, or its message, as far as it has come.
    line: Vec<u8>,
    reply: Vec<u8>,
    is_data: bool,
    /// It has got text of the message under way.
    has_text: bool,
    /// Whether it had when the reply under way began.
    had_text: Option<bool>,
    /// The reply under way has had a line.
    is_later_line: bool,
    /// The line began as message data: it is no command.
    is_stray: bool,
    /// The client's last command was DATA.
    is_asked_for_data: bool,
}

impl Server {
    const REFUSED: [&'static str; 12] = [
        "AUTH", "BDAT", "EHLO", "ETRN", "EXPN", "HELP", "SAML", "SEND", "SOML", "STARTTLS", "TURN",
        "VRFY",
    ];

    fn read(mut self, heard: &[Heard]) {
        for &(speaker, byte, _) in heard {
            match speaker {
                Speaker::Client if self.is_data => self.read_data(byte),
                Speaker::Client => self.read_line(byte),
                Speaker::Server => self.write_reply(byte),
            }
        }
    }

    fn read_line(&mut self, byte: u8) {
        if byte != b'\n' {
            return self.line.push(byte);
        }
        let line = std::mem::take(&mut self.line);
        if !std::mem::take(&mut self.is_stray) {
            let text = String::from_utf8_lossy(&line).trim_start().to_ascii_uppercase();
            let word = text.split(|c: char| !c.is_ascii_alphabetic()).next().unwrap_or_default();
            assert!(!Self::REFUSED.contains(&word), "the server reads {text:?}");
            // Some servers read its first letters alone.
            self.is_asked_for_data = word.starts_with("DATA");
        }
    }

    fn read_data(&mut self, byte: u8) {
        self.has_text = true;
        self.line.push(byte);
        let line = &self.line;
        if line.ends_with(b"\r\n.\r\n") {
            self.line.clear();
            self.is_data = false;
            return;
        }
        let ends = |end: &[u8]| line.ends_with(end);
        let is_false = ends(b"\n.\n") || ends(b"\n\n.\r\n") || ends(b"\r\n.\r\r");
        assert!(!is_false, "a false end: {line:?}");
        // Who ends lines at a bare CR has had his end at the CRLF.CR before it.
        let before = &line[..line.len().saturating_sub(3)];
        let is_bare = (ends(b"\r.\r") || ends(b"\r.\n")) && !before.ends_with(b"\n.");
        assert!(!is_bare, "a false end: {line:?}");
    }

    fn write_reply(&mut self, byte: u8) {
        let had_text = *self.had_text.get_or_insert(self.has_text);
        if byte != b'\n' {
            return self.reply.push(byte);
        }
        let reply = std::mem::take(&mut self.reply);
        let code = reply.get(..3).filter(|code| code.iter().all(u8::is_ascii_digit));
        let behind = reply.get(3).copied();
        // Whoever says `354Go` when asked reads data, and many a client sends it.
        let is_go = self.is_asked_for_data
            && code == Some(b"354")
            && !behind.is_some_and(|byte| byte.is_ascii_digit());
        let code = code.filter(|_| is_go || matches!(behind, None | Some(b' ' | b'\r' | b'-')));
        self.is_later_line = code.map_or(self.is_later_line, |_| behind == Some(b'-'));
        if !self.is_later_line {
            self.had_text = None;
        }
        let Some(code) = code.filter(|_| behind != Some(b'-')) else { return };
        if self.is_data {
            // It goes on reading data behind another 354, or behind a success for an earlier line.
            let is_success = code[0] == b'2' && code != b"221";
            if code != b"354" && (had_text || !is_success) {
                (self.is_data, self.is_stray) = (false, true);
                self.line.clear();
            }
        } else if code == b"354" {
            (self.is_data, self.has_text) = (true, false);
            // Behind a whole line, data begins at the start of one.
            let is_new = self.line.is_empty() && !self.is_stray;
            self.is_stray = false;
            self.line = if is_new { b"\r\n".to_vec() } else { b"x".to_vec() };
        }
    }
}
