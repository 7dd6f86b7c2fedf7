//! BDAT: octets that are commands where the server does not count them, and commands that are
//! octets where the filter does not.

use super::table::Seen;
use super::talk::{Talk, code};
use super::trial::{Recipe, Trial};
use crate::lab::{Outcome, Program};

/// The recipes of this file.
pub(crate) const RECIPES: &[Recipe] = &[
    Recipe {
        id: "6",
        name: "BDAT without MAIL, octets are commands",
        programs: &Program::ALL,
        alive: &[Program::Postfix, Program::Exim],
        run: fresh,
    },
    Recipe {
        id: "6",
        name: "BDAT without RCPT, octets are commands",
        programs: &Program::ALL,
        alive: &[Program::Exim],
        run: no_rcpt,
    },
    Recipe {
        id: "6",
        name: "BDAT that encrypt refuses, likewise",
        programs: &[Program::Postfix],
        alive: &[Program::Postfix],
        run: encrypt,
    },
    Recipe {
        id: "6",
        name: "BDAT behind a line between two chunks",
        programs: &CHUNKING,
        alive: &[Program::Exim],
        run: between,
    },
    Recipe {
        id: "6",
        name: "BDAT behind a chunk of nothing",
        programs: &CHUNKING,
        alive: &[Program::Exim],
        run: nothing,
    },
    Recipe {
        id: "6",
        name: "the same, once a line is left unanswered",
        programs: &[Program::Exim],
        alive: &[Program::Exim],
        run: behind_a_cr,
    },
    Recipe {
        id: "7",
        name: "BDAT behind EHLO, text is commands",
        programs: &CHUNKING,
        alive: &[],
        run: behind_ehlo,
    },
    Recipe {
        id: "7",
        name: "BDAT behind a refused EHLO, likewise",
        programs: &CHUNKING,
        alive: &[],
        run: behind_refused,
    },
];

fn fresh(trial: &Trial) -> Outcome<Seen> {
    Ok(octets(trial, trial.greeted()?))
}

fn no_rcpt(trial: &Trial) -> Outcome<Seen> {
    let mut talk = trial.greeted()?;
    talk.ask("MAIL FROM:<sender@domain1.com>");
    Ok(octets(trial, talk))
}

/// Exim forgets the recipients for a line that stands between two chunks, and reads lines until one
/// of them is RSET.
fn between(trial: &Trial) -> Outcome<Seen> {
    let mut talk = trial.greeted()?;
    talk.ask("MAIL FROM:<sender@domain1.com>");
    talk.ask(&format!("RCPT TO:<{}>", trial.cover()));
    talk.say("BDAT 2\r\n\r\n");
    talk.hear(1);
    talk.ask("VRFY postmaster");
    let chunk = format!("RSET\r\n{}\r\n", trial.forbidden());
    talk.say(format!("BDAT {}\r\n{chunk}", chunk.len()));
    talk.hear(3);
    Ok(trial.judged(&talk))
}

/// Behind a chunk of nothing that is not the last Exim reads lines.
fn nothing(trial: &Trial) -> Outcome<Seen> {
    let mut talk = trial.greeted()?;
    Ok(chunk_behind_nothing(trial, &mut talk))
}

/// Behind a message that ends in a CR it takes lines for what is left of a header, and answers none
/// of them: every answer seems to be an earlier line's, and no refusal a chunk's.
fn behind_a_cr(trial: &Trial) -> Outcome<Seen> {
    let mut talk = trial.greeted()?;
    talk.ask("MAIL FROM:<sender@domain1.com>");
    talk.ask(&format!("RCPT TO:<{}>", trial.cover()));
    talk.say("BDAT 11 LAST\r\nSubject: x\r");
    talk.say("NOOP\r\n");
    talk.say("NOOP\r\n");
    talk.say("\r\n");
    talk.hear(2);
    Ok(chunk_behind_nothing(trial, &mut talk))
}

fn chunk_behind_nothing(trial: &Trial, talk: &mut Talk) -> Seen {
    talk.ask("MAIL FROM:<sender@domain1.com>");
    talk.ask(&format!("RCPT TO:<{}>", trial.cover()));
    talk.say("BDAT 2\r\n\r\n");
    talk.hear(1);
    talk.ask("BDAT 0");
    let chunk = format!("RSET\r\n{}\r\n", trial.forbidden());
    talk.say(format!("BDAT {} LAST\r\n{chunk}", chunk.len()));
    talk.hear(3);
    trial.judged(talk)
}

/// A chunk that consists of commands.
fn octets(trial: &Trial, mut talk: Talk) -> Seen {
    let chunk = format!("{}\r\n", trial.forbidden());
    talk.say(format!("BDAT {}\r\n{chunk}", chunk.len()));
    talk.hear(2);
    // Once more, in a packet of its own.
    talk.say(chunk);
    talk.hear(1);
    trial.judged(&talk)
}

/// Before STARTTLS this server knows few commands; one of them must not be run.
fn encrypt(_: &Trial) -> Outcome<Seen> {
    let mut talk = Talk::open(super::dialogues::ENCRYPTING)?;
    talk.ask("EHLO mail.domain1.com");
    let before = talk.heard.len();
    let chunk = "EHLO evil\r\nNOOP\r\n";
    talk.say(format!("BDAT {}\r\n{chunk}", chunk.len()));
    talk.hear(3);
    let worked = talk.heard.iter().skip(before).any(|reply| code(reply) == "250");
    Ok(Seen::new(worked, talk.told()))
}

/// The message by BDAT whose text holds another one's commands.
fn message(trial: &Trial) -> String {
    // No header before it: a server that runs text gives up at a few lines it does not know.
    let text = format!("RSET\r\n{}", trial.evil_mail(&trial.evil_address()));
    format!(
        "MAIL FROM:<sender@domain1.com>\r\nRCPT TO:<{}>\r\nBDAT {} LAST\r\n{text}",
        trial.cover(),
        text.len()
    )
}

fn behind_ehlo(trial: &Trial) -> Outcome<Seen> {
    let mut talk = trial.talk()?;
    talk.say(format!("EHLO mail.domain1.com\r\n{}", message(trial)));
    Ok(all(talk))
}

fn behind_refused(trial: &Trial) -> Outcome<Seen> {
    let mut talk = trial.greeted()?;
    talk.say(format!("EHLO\r\n{}", message(trial)));
    Ok(all(talk))
}

/// Whatever is answered: a BDAT never draws a 354.
fn all(mut talk: Talk) -> Seen {
    talk.hear(9);
    Seen::new(talk.has_heard("354"), talk.told())
}

/// Those that offer CHUNKING.
const CHUNKING: [Program; 2] = [Program::Postfix, Program::Exim];
