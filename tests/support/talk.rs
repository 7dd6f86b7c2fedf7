//! A client with a text, a server with its knobs, and the engine between them.
//!
//! Whatever schedule a test plays, [`Talk::end`] then gives both a fair network and holds the
//! result against the uncut stream: what the server read is what an uncut run of the same text
//! gives (or, where the client contradicted itself, of what it had in the packets that passed),
//! nobody stalls, no refused command ran, and all memory is given back.

use std::ops::Range;

use mailguard::engine::{Effects, Settings, Verdict};
use mailguard::flow::Direction::{Original as C, Reply as S};
use mailguard::smtp::Verb;
use mailguard::time::Instant;

use super::mailserver::MailServer;
use super::rig::{Rig, settings};

/// Bytes of a segment on the fair network.
const SEGMENT: usize = 1_460;

/// Rounds without progress after which nobody will move any more.
const PATIENCE: usize = 3;

/// How a talk may end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// All of the text arrives, as an uncut run of it would.
    Whole,
    /// Some of it arrives, as an uncut run of it would.
    Prefix,
    /// All positions arrive; the client has sent several values for some.
    Conflict,
    /// The flow was reset.
    Reset,
}

/// One connection under test.
pub struct Talk {
    pub rig: Rig,
    pub server: MailServer,
    /// What the client has to say.
    pub text: Vec<u8>,
    /// The server's stream is cut here, and sent last to first.
    pub reply_cuts: Vec<usize>,
    fresh_server: MailServer,
    settings: Settings,
    heard: usize,
}

impl Talk {
    /// A flow whose handshake is done.
    pub fn new(text: &[u8]) -> Self {
        Self::with(text, settings("mailguard"), MailServer::new("220 mx2 ESMTP\r\n"), [7, 9])
    }

    pub fn with(text: &[u8], settings: Settings, server: MailServer, isn: [u32; 2]) -> Self {
        let mut talk = Self::unopened(text, settings, server, isn);
        talk.rig.shake_hands();
        talk
    }

    /// The same before its first SYN.
    pub fn unopened(text: &[u8], settings: Settings, server: MailServer, isn: [u32; 2]) -> Self {
        Self {
            rig: Rig::new(settings.clone(), isn),
            server: server.clone(),
            text: text.to_vec(),
            reply_cuts: Vec::new(),
            fresh_server: server,
            settings,
            heard: 0,
        }
    }

    /// The client sends any bytes at an offset.
    pub fn send(&mut self, offset: u64, payload: &[u8]) -> Verdict {
        self.rig.send(C, offset, payload)
    }

    /// The client sends a part of its text.
    pub fn send_text(&mut self, part: Range<usize>) -> Verdict {
        let payload = self.text[part.clone()].to_vec();
        self.rig.send(C, part.start as u64, &payload)
    }

    /// What the server's application has read.
    pub fn server_read(&self) -> String {
        self.rig.original.bytes().escape_ascii().to_string()
    }

    /// The server reads what has come.
    pub fn hear(&mut self) {
        let bytes = self.rig.original.bytes();
        self.server.hear(&bytes[self.heard..]);
        self.heard = bytes.len();
    }

    /// The server reads, answers, and both acknowledge.
    pub fn answer(&mut self) {
        self.hear();
        let start = self.rig.reply.received as usize;
        let said = self.server.said.clone();
        let mut cuts: Vec<usize> = self
            .reply_cuts
            .iter()
            .copied()
            .filter(|&cut| cut > start && cut < said.len())
            .collect();
        if cuts.is_empty() {
            cuts = (start..said.len()).step_by(SEGMENT).skip(1).collect();
        } else {
            cuts.reverse();
        }
        let mut edges = vec![start, said.len()];
        edges.extend(&cuts);
        edges.sort_unstable();
        let parts: Vec<_> = edges.windows(2).map(|edge| edge[0]..edge[1]).collect();
        let is_reversed = !self.reply_cuts.is_empty();
        for index in 0..parts.len() {
            let part = &parts[if is_reversed { parts.len() - 1 - index } else { index }];
            if !part.is_empty() {
                let _ = self.rig.send(S, part.start as u64, &said[part.clone()]);
            }
        }
        self.acknowledge();
    }

    pub fn acknowledge(&mut self) {
        for (direction, length) in [(C, self.text.len()), (S, self.server.said.len())] {
            let offset = self.rig.side(direction).received.min(length as u64);
            let _ = self.rig.ack(direction, offset);
        }
    }

    /// Sends these parts of the text in this order, again and again, until nothing moves.
    pub fn play(&mut self, parts: &[Range<usize>]) {
        self.until_idle(|talk| {
            for part in parts {
                if part.end as u64 > talk.rig.original.received {
                    let _ = talk.send_text(part.clone());
                }
            }
        });
    }

    /// A fair network: everything not acknowledged is repeated in order, until nothing moves.
    pub fn finish(&mut self) {
        self.until_idle(|talk| {
            let start = talk.rig.original.received as usize;
            for from in (start..talk.text.len()).step_by(SEGMENT) {
                let _ = talk.send_text(from..talk.text.len().min(from + SEGMENT));
            }
        });
    }

    fn until_idle(&mut self, mut client: impl FnMut(&mut Self)) {
        let mut idle = 0;
        while idle < PATIENCE {
            let before = (self.rig.original.received, self.rig.reply.received);
            client(self);
            self.answer();
            let after = (self.rig.original.received, self.rig.reply.received);
            idle = if before == after { idle + 1 } else { 0 };
        }
    }

    /// What an uncut run of a text gives both ends.
    pub fn uncut(&self, text: &[u8]) -> [Vec<u8>; 2] {
        let server = self.fresh_server.clone();
        let mut talk = Self::with(text, self.settings.clone(), server, [1, 1]);
        talk.finish();
        [talk.rig.original.bytes(), talk.rig.reply.bytes()]
    }

    /// Plays on over a fair network and holds everything that must be true against the result.
    pub fn end(mut self, end: End) {
        self.rig.is_lost_behind = false;
        if end != End::Reset {
            self.finish();
            assert_eq!(self.rig.resets, 0, "nothing was reset");
        }
        self.hear();
        let read = self.rig.original.bytes();
        let [server_gets, client_gets] = match end {
            End::Whole | End::Prefix => self.uncut(&self.text),
            End::Conflict | End::Reset => self.uncut(self.rig.original.judged()),
        };
        let shown = |bytes: &[u8]| bytes.escape_ascii().to_string();
        match end {
            End::Whole | End::Conflict => {
                assert_eq!(shown(&read), shown(&server_gets), "the server reads the judged stream");
                assert_eq!(read.len(), self.text.len(), "everything arrives");
                let heard = self.rig.reply.bytes();
                assert_eq!(
                    shown(&heard),
                    shown(&client_gets),
                    "the client reads the judged stream"
                );
            }
            End::Prefix | End::Reset => {
                assert!(server_gets.starts_with(&read), "{} read", shown(&read));
            }
        }
        self.check_commands();
        self.check_memory();
    }

    fn check_commands(&self) {
        let permitted = &self.settings.guard.verbs;
        for command in &self.server.commands {
            let verb = Verb::ALL.into_iter().find(|verb| command.starts_with(verb.name()));
            assert!(verb.is_none_or(|verb| permitted.contains(verb)), "the server ran {command}");
        }
    }

    /// After a day of silence nothing is left.
    pub fn check_memory(&self) {
        let mut effects = Effects::default();
        let day = 86_400 * 1_000_000;
        self.rig.engine.expire(Instant::from_micros(self.rig.micros + day), &mut effects);
        let stats = self.rig.engine.stats();
        assert_eq!((stats.flows_now, stats.store_bytes_now), (0, 0), "all memory is given back");
    }
}
