//! The adversarial TCP suite: one row for each known way to show a filter another stream, by its
//! id.
//!
//! What must hold for every packet and at the end of every talk is asserted by `support::rig` and
//! `support::talk`; a row adds its schedule and, where there is one, its own expectation. A row
//! that fails does not hide the others of its family. `CASE=J12` in the environment runs the rows
//! whose id starts so; `-- --nocapture` shows them.

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
use crate::support::quiet::failure;
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

/// Runs the rows of a family.
fn play(rows: &[Case]) {
    let wanted = std::env::var("CASE").unwrap_or_default();
    let mut failed = Vec::new();
    for case in rows.iter().filter(|case| case.id.starts_with(&wanted)) {
        let run = match case.run {
            Run::Here(run) => run,
            Run::Elsewhere(place) => {
                println!("{:<4} --    {:<44} {place}", case.id, case.name);
                continue;
            }
        };
        if let Some(said) = failure(|| run(&Suite::DEFAULT)) {
            failed.push(format!("{:<4} FAIL  {}\n{said}", case.id, case.name));
        } else {
            println!("{:<4} ok    {}", case.id, case.name);
        }
    }
    assert!(failed.is_empty(), "{}", failed.join("\n"));
}

#[test]
fn segmentation() {
    play(segmentation::CASES);
}

#[test]
fn conflicts() {
    play(conflicts::CASES);
}

#[test]
fn handshake() {
    play(handshake::CASES);
}

#[test]
fn control() {
    play(control::CASES);
}

#[test]
fn ip() {
    play(ip::CASES);
}

#[test]
fn editing() {
    play(editing::CASES);
}

#[test]
fn time() {
    play(time::CASES);
}

#[test]
fn client() {
    play(client::CASES);
}

#[test]
fn server() {
    play(server::CASES);
}

#[test]
fn resources() {
    play(resources::CASES);
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
