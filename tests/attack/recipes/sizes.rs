//! What is larger than the server takes: Exim drops the rest of it with a reader that starts anew
//! as if a line began, so a dot in mid-line ends the message there.

use super::table::Seen;
use super::trial::{Recipe, Trial};
use crate::lab::{Outcome, Program};

/// What the configuration says of the server, which offers nothing to HELO.
pub(crate) const LIMIT: &str = "[settings]\nsize_assumed = 51200\n";

/// The recipes of this file.
pub(crate) const RECIPES: &[Recipe] = &[
    Recipe {
        id: "sz",
        name: "a dot behind the largest message",
        programs: &[Program::Exim],
        alive: &[Program::Exim],
        run: message,
    },
    Recipe {
        id: "sz",
        name: "a dot behind the largest header",
        programs: &[Program::Exim],
        alive: &[Program::Exim],
        run: header,
    },
];

/// Exim counts CRLF as one.
fn message(trial: &Trial) -> Outcome<Seen> {
    let head = "Subject: x\r\n\r\n";
    let (limit, port) = Program::SMALL_LIMIT;
    let text = "a".repeat(limit + 1 - (head.len() - 2));
    beyond(trial, port + trial.before as u16, &format!("{head}{text}"))
}

/// It counts a bare CR in a header as two, and has enough at 1 MiB.
fn header(trial: &Trial) -> Outcome<Seen> {
    let crs = 500_000;
    let text = "x".repeat((1 << 20) - "A: ".len() - 2 * crs);
    beyond(trial, 0, &format!("A: {}{text}", "\r".repeat(crs)))
}

/// So much and no more is read as a message.
fn beyond(trial: &Trial, port: u16, largest: &str) -> Outcome<Seen> {
    let mut talk = trial.talk_from(port)?;
    talk.ask(trial.hello());
    talk.ask("MAIL FROM:<sender@domain1.com>");
    talk.ask(&format!("RCPT TO:<{}>", trial.cover()));
    talk.ask("DATA");
    talk.say(format!("{largest}.\r\n{}\r\n", trial.forbidden()));
    talk.hear(2);
    Ok(trial.judged(&talk))
}
