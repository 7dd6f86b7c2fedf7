//! A client that says what a test tells it, a server, and the engine between them.

use mailguard::engine::{Settings, Verdict, What};
use mailguard::flow::Direction::{Original as C, Reply as S};

use super::esmtp::Esmtp;
use super::packet::{ACK, FIN, PSH};
use super::rig::Rig;

/// Rounds without progress after which nobody will move any more.
const PATIENCE: usize = 2;

/// The server's replies in, its stream out; with more replies it only gets longer.
pub type Mangle = dyn Fn(&[Vec<u8>]) -> Vec<u8>;

/// One connection.
pub struct Session {
    pub rig: Rig,
    pub server: Esmtp,
    /// All the client has said.
    pub text: Vec<u8>,
    /// Where its segments begin and end.
    pub edges: Vec<usize>,
    /// The server's stream is cut behind each of these offsets.
    pub reply_cuts: Vec<usize>,
    /// Changes what the server says before it leaves.
    pub mangle: Box<Mangle>,
    /// The client repeats itself behind every segment of the server.
    pub is_eager: bool,
    /// Whether the last segment carries a FIN.
    pub is_last: bool,
    /// Every verdict so far.
    pub verdicts: Vec<Verdict>,
    heard: usize,
}

impl Session {
    /// A connection whose greeting has been read.
    pub fn greeted(settings: Settings, server: Esmtp) -> Self {
        let mut session = Self::silent(settings, server);
        session.settle();
        session
    }

    /// A connection on which nothing was said.
    pub fn silent(settings: Settings, server: Esmtp) -> Self {
        Self {
            rig: Rig::established(settings, [7, 9]),
            server,
            text: Vec::new(),
            edges: vec![0],
            reply_cuts: Vec::new(),
            mangle: Box::new(|replies| replies.concat()),
            is_eager: false,
            is_last: false,
            verdicts: Vec::new(),
            heard: 0,
        }
    }

    /// The client adds segments to what it has to say.
    pub fn queue(&mut self, pieces: &[&[u8]]) {
        for piece in pieces {
            self.text.extend_from_slice(piece);
            self.edges.push(self.text.len());
        }
    }

    /// One segment, and everything that comes of it. Returns what the client hears.
    pub fn say(&mut self, piece: &str) -> String {
        self.say_pieces(&[piece.as_bytes()])
    }

    /// Some segments, and everything that comes of them.
    pub fn say_pieces(&mut self, pieces: &[&[u8]]) -> String {
        let before = self.rig.reply.bytes().len();
        self.queue(pieces);
        self.settle();
        lossy(&self.rig.reply.bytes()[before..])
    }

    /// Both repeat what is not acknowledged until nothing moves.
    pub fn settle(&mut self) {
        let mut idle = 0;
        while idle < PATIENCE {
            let before = (self.rig.original.received, self.rig.reply.received);
            self.answer();
            self.repeat();
            self.answer();
            let after = (self.rig.original.received, self.rig.reply.received);
            idle = if before == after { idle + 1 } else { 0 };
        }
    }

    /// The client sends every segment that is not acknowledged.
    pub fn repeat(&mut self) {
        for index in 1..self.edges.len() {
            let (start, end) = (self.edges[index - 1], self.edges[index]);
            let received = self.rig.original.received as usize;
            if end > received {
                let start = start.max(received.min(end));
                self.send(start, end);
            }
        }
    }

    /// The client sends a part of what it has to say.
    pub fn send(&mut self, start: usize, end: usize) {
        let has_fin = self.is_last && end == self.text.len();
        let flags = ACK | if has_fin { FIN } else { PSH };
        let piece = self.text[start..end].to_vec();
        let verdict = self.rig.send_with(C, start as u64, &piece, flags);
        self.verdicts.push(verdict);
    }

    /// The server reads, answers, and both acknowledge.
    pub fn answer(&mut self) {
        let bytes = self.rig.original.bytes();
        self.server.hear(&bytes[self.heard..]);
        self.heard = bytes.len();
        let said = (self.mangle)(&self.server.replies);
        let mut start = self.rig.reply.received as usize;
        let cuts = self.reply_cuts.clone();
        for end in cuts.into_iter().chain([said.len()]).filter(|&end| end <= said.len()) {
            if end > start {
                let verdict = self.rig.send(S, start as u64, &said[start..end]);
                self.verdicts.push(verdict);
                start = end;
                if self.is_eager {
                    self.repeat();
                }
            }
        }
        let _ = self.rig.ack(C, self.rig.original.received);
        let _ = self.rig.ack(S, self.rig.reply.received);
    }

    /// The server ends its stream.
    pub fn hang_up(&mut self) {
        self.answer();
        let end = self.rig.reply.received;
        let verdict = self.rig.send_fin(S, end, b"");
        self.verdicts.push(verdict);
        self.settle();
    }

    /// What the server has read.
    pub fn server_got(&self) -> String {
        lossy(&self.rig.original.bytes())
    }

    /// What the client has read.
    pub fn client_got(&self) -> String {
        lossy(&self.rig.reply.bytes())
    }

    /// Whether the server ran a line that begins with one of these words.
    pub fn has_run(&self, words: &[&str]) -> bool {
        self.server.commands.iter().any(|line| {
            let word = line.split(' ').next().unwrap_or_default();
            words.iter().any(|known| known.eq_ignore_ascii_case(word))
        })
    }

    /// The faults alarms were raised for.
    pub fn alarms(&self) -> Vec<&'static str> {
        let fault = |what: &What| {
            if let What::Alarm { fault, .. } = what { Some(fault.name()) } else { None }
        };
        self.rig.records.iter().filter_map(|record| fault(&record.what)).collect()
    }
}

/// Bytes as text.
pub fn lossy(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
