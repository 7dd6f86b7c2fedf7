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
    Recipe {
        id: "sz",
        name: "a header that goes on behind LF LF",
        programs: &[Program::Exim],
        alive: &[Program::Exim],
        run: folded,
    },
    Recipe {
        id: "sz",
        name: "blanks that are counted and taken out again",
        programs: &[Program::Exim],
        alive: &[Program::Exim],
        run: blanks,
    },
    Recipe {
        id: "sz",
        name: "the same before a lone CR",
        programs: &[Program::Exim],
        alive: &[Program::Exim],
        run: blanks_and_cr,
    },
    Recipe {
        id: "sz",
        name: "dots that are text behind a fold",
        programs: &[Program::Exim],
        alive: &[Program::Exim],
        run: folded_dots,
    },
    Recipe {
        id: "sz",
        name: "dots that are dropped behind a lone LF",
        programs: &[Program::Exim],
        alive: &[Program::Exim],
        run: dots,
    },
];

/// Exim counts CRLF as one.
fn message(trial: &Trial) -> Outcome<Seen> {
    beyond_limit(trial, 0, "Subject: x\r\n\r\n", "Subject: x\n\n".len())
}

/// It counts a bare CR in a header as two, and has enough at 1 MiB.
fn header(trial: &Trial) -> Outcome<Seen> {
    let crs = 500_000;
    let text = "x".repeat((1 << 20) - "A: ".len() - 2 * crs);
    beyond(trial, 0, &format!("A: {}{text}", "\r".repeat(crs)))
}

/// Behind a line that ended in CRLF a lone LF is a fold: it counts as two, and ends no header.
fn folded(trial: &Trial) -> Outcome<Seen> {
    let head = "A: b\r\nC: d\n\n";
    let fold = format!("{}\r\n ", "x".repeat(70));
    let counted = "A: b\nC: d\n \n ".len();
    let folds = ((1 << 20) - counted) / fold.len() - 1;
    let rest = "x".repeat((1 << 20) - counted - folds * (fold.len() - 1));
    beyond(trial, 0, &format!("{head}{}{rest}", fold.repeat(folds)))
}

/// A continuation of blanks alone is taken out of the count.
fn blanks(trial: &Trial) -> Outcome<Seen> {
    let head = format!("A: b\r\n{}\r\nC: d\r\n\r\n", " ".repeat(900));
    beyond_limit(trial, 1, &head, "A: b\nC: d\n\n".len())
}

/// A lone CR makes a line of blanks of what stands behind it, and that goes with those before it.
fn blanks_and_cr(trial: &Trial) -> Outcome<Seen> {
    let head = format!("A: b\r\nC: d\r{}\r\r\nE: f\r\n\r\n", " ".repeat(900));
    beyond_limit(trial, 3, &head, "A: b\nC: d\nE: f\n\n".len())
}

/// A dot behind a fold is text.
fn folded_dots(trial: &Trial) -> Outcome<Seen> {
    let (head, fold) = ("A: b\r\nC: d", "\n.x");
    let folds = 255_000;
    let counted = "A: b\nC: d".len() + folds * "\n .x".len();
    let rest = "x".repeat((1 << 20) - counted);
    beyond(trial, 0, &format!("{head}{}{rest}", fold.repeat(folds)))
}

/// Where the first line ended in a lone LF, each LF begins a line, whose dot is no text.
fn dots(trial: &Trial) -> Outcome<Seen> {
    let lines = "\n.a".repeat(900);
    beyond_limit(trial, 2, &format!("A: b\n\r\n{lines}"), "A: b\n\n".len() + 2 * 900)
}

/// Text behind this, up to what the server takes: of what stands here it counts so much. Each way
/// has ports of its own.
fn beyond_limit(trial: &Trial, way: u16, head: &str, counted: usize) -> Outcome<Seen> {
    let (limit, port) = Program::SMALL_LIMIT;
    let text = "a".repeat(limit + 1 - counted);
    beyond(trial, port + 3 * way + trial.before as u16, &format!("{head}{text}"))
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
