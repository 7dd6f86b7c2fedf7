//! The rows, by family, and what they share.

#![allow(unreachable_pub, reason = "a module of a test program")]

mod client;
mod conflicts;
mod control;
mod editing;
mod handshake;
mod ip;
mod resources;
mod segmentation;
mod server;
mod time;

use std::ops::Range;

use mailguard::engine::Settings;

use crate::support::mailserver::MailServer;
use crate::support::rig::{settings, settings_with};
use crate::support::talk::Talk;

/// One row.
pub struct Case {
    /// As the list of cases calls it.
    pub id: &'static str,
    pub name: &'static str,
    pub run: Run,
}

/// Where a row is shown.
pub enum Run {
    Here(fn(&Suite)),
    /// Not in process; says where.
    Elsewhere(&'static str),
}

const fn case(id: &'static str, name: &'static str, run: fn(&Suite)) -> Case {
    Case { id, name, run: Run::Here(run) }
}

const fn elsewhere(id: &'static str, name: &'static str, place: &'static str) -> Case {
    Case { id, name, run: Run::Elsewhere(place) }
}

/// All rows in order of their ids.
pub fn cases() -> impl Iterator<Item = Case> {
    let families = [
        segmentation::CASES,
        conflicts::CASES,
        handshake::CASES,
        control::CASES,
        ip::CASES,
        editing::CASES,
        time::CASES,
        client::CASES,
        server::CASES,
        resources::CASES,
    ];
    families.into_iter().flatten().map(|case| Case {
        id: case.id,
        name: case.name,
        run: match case.run {
            Run::Here(run) => Run::Here(run),
            Run::Elsewhere(place) => Run::Elsewhere(place),
        },
    })
}

/// What the rows run against.
pub struct Suite {
    profile: &'static str,
}

pub const BANNER: &str = "220 mx2 ESMTP\r\n";

/// A dialogue with a message, all of it said without waiting.
pub const STD: &[u8] = b"EHLO c\r\nMAIL FROM:<a@b>\r\nRCPT TO:<r@d>\r\nDATA\r\n\
    Subject: x\r\n\r\nx\r\n.\r\nQUIT\r\n";

/// The same with a refused command.
pub const EVIL: &[u8] = b"EHLO c\r\nVRFY root\r\nMAIL FROM:<a@b>\r\nRCPT TO:<r@d>\r\nDATA\r\n\
    Subject: x\r\n\r\nx\r\n.\r\nQUIT\r\n";

/// Words that stand nowhere in what the server may see of these dialogues.
pub const REFUSED: &[&str] = &["VRFY", "EXPN", "EHLO", "ETRN", "TURN"];

impl Suite {
    pub const DEFAULT: Self = Self { profile: "mailguard" };

    pub fn settings(&self) -> Settings {
        settings(self.profile)
    }

    /// The same with these guard settings changed.
    pub fn settings_with(&self, changes: &[(&str, &str)]) -> Settings {
        settings_with(self.profile, changes)
    }

    /// A talk with its handshake done.
    pub fn talk(&self, text: &[u8]) -> Talk {
        self.talk_to(MailServer::new(BANNER), text)
    }

    /// The same with a server of one's own.
    pub fn talk_to(&self, server: MailServer, text: &[u8]) -> Talk {
        let mut talk = Talk::with(text, self.settings(), server, [7, 9]);
        talk.rig.refused_words = REFUSED;
        talk
    }

    /// The same before its first SYN.
    pub fn unopened(&self, text: &[u8]) -> Talk {
        let mut talk =
            Talk::unopened(text, self.settings(), MailServer::new(BANNER), [1_000, 5_000]);
        talk.rig.refused_words = REFUSED;
        talk
    }

    /// A talk in the middle of message data; also the offset of the next byte.
    pub fn in_data(&self, rest: &[u8]) -> (Talk, usize) {
        let head = b"MAIL FROM:<a@b>\r\nRCPT TO:<r@d>\r\nDATA\r\nS: x\r\n";
        let text = [head.as_slice(), rest].concat();
        let mut talk = self.talk(&text);
        for _ in 0..2 {
            let _ = talk.send_text(0..head.len());
            talk.answer();
        }
        assert_eq!(talk.rig.original.received, head.len() as u64);
        (talk, head.len())
    }
}

/// The parts of a text of this length between these cuts.
pub fn parts(length: usize, cuts: &[usize]) -> Vec<Range<usize>> {
    let edges = [&[0], cuts, &[length]].concat();
    edges.windows(2).map(|edge| edge[0]..edge[1]).filter(|part| !part.is_empty()).collect()
}

/// Parts of this size.
pub fn pieces(length: usize, size: usize) -> Vec<Range<usize>> {
    (0..length).step_by(size).map(|start| start..length.min(start + size)).collect()
}
