//! From what was said to findings: one function for each part of the conversation.

use super::banner::{Banner, Codes, Form};
use super::dialogue::{Command, Transcript};
use super::generation::Generations;
use super::keywords;
use super::reply::{Echo, Reply};
use super::verdict::{Finding, Weight};
use crate::guard::Profile;

/// What was found.
#[derive(Debug, Default)]
pub(super) struct Seen {
    pub(super) findings: Vec<Finding>,
    pub(super) masked: Vec<String>,
}

impl Seen {
    fn add(&mut self, topic: &'static str, weight: Weight, fits: Generations, sentence: &str) {
        self.findings.push(Finding { topic, weight, fits, sentence: sentence.to_owned() });
    }

    fn mask(&mut self, what: impl Into<String>) {
        let what = what.into();
        if !self.masked.contains(&what) {
            self.masked.push(what);
        }
    }
}

/// Everything a conversation shows, in its order.
pub(super) fn all(said: &Transcript) -> Seen {
    let mut seen = Seen::default();
    greeting(said, &mut seen);
    ehlo(said, &mut seen);
    extensions(said, &mut seen);
    invalid(said, &mut seen);
    help(said, &mut seen);
    starttls(said, &mut seen);
    cut_noop(said, &mut seen);
    seen
}

/// Whether the reply is the one to an invalid command that was answered OK.
pub(super) fn is_noop(said: &Transcript, reply: &Reply) -> bool {
    said.reply(Command::Invalid).is_some_and(|invalid| invalid.is_ok() && invalid == reply)
}

/// Whether the server refused this as it refused the invalid command.
fn is_refused_alike(said: &Transcript, reply: &Reply) -> bool {
    reply.is_refusal() && said.reply(Command::Invalid).and_then(Reply::code) == reply.code()
}

/// A server that answers OK to anything, even to what could not become NOOP.
pub(super) fn is_accepting_all(said: &Transcript) -> bool {
    said.reply(Command::Short).is_some_and(Reply::is_ok)
}

fn greeting(said: &Transcript, seen: &mut Seen) {
    if said.greeting.lines.is_empty() {
        return;
    }
    let banner = Banner::of(&said.greeting);
    let stars = Generations::RULE_51.or(Generations::of(&[Profile::Pix44, Profile::Asa]));
    let (weight, fits, sentence) = match banner.form {
        Form::Cmap => {
            (Weight::Sign, Generations::of(&[Profile::Pix41]), "SMTP/cmap ready and underscores")
        }
        Form::Domain => {
            (Weight::Sign, Generations::of(&[Profile::Esmtp]), "a domain, ESMTP and dots")
        }
        Form::Rule51 => {
            (Weight::Sign, Generations::RULE_51, "stars, but for 2, 0 and a space behind a 0")
        }
        Form::Stars => (Weight::Sign, stars, "nothing but stars"),
        Form::UnknownStars => {
            (Weight::Sign, Generations::ALL, "stars, 2, 0 and spaces, by no rule known here")
        }
        Form::Empty => (Weight::Neutral, Generations::ALL, "has no text"),
        Form::Bare => (Weight::Neutral, Generations::ESMTP, "a domain, little else"),
        // An ASA masks it unless told not to.
        Form::Plain => (Weight::Neutral, Generations::of(&[Profile::Asa]), "not masked"),
    };
    seen.add("banner", weight, fits, sentence);
    if weight == Weight::Sign {
        seen.mask("banner");
    }
    let pix44 = Generations::of(&[Profile::Pix44]);
    let real_51 = Generations::RULE_51.and(Generations::STREAM.complement());
    match banner.codes {
        Codes::Single => {}
        Codes::Kept if weight == Weight::Sign => {
            seen.add("banner lines", Weight::Neutral, pix44.complement(), "later codes are kept");
        }
        Codes::Kept => {}
        Codes::SeparatorMasked => {
            seen.add("banner lines", Weight::Sign, real_51, "the - behind a later code is masked");
        }
        Codes::Masked => {
            let sentence = "later codes are masked too: clients wait for the end for ever";
            seen.add("banner lines", Weight::Sign, pix44, sentence);
        }
    }
}

fn ehlo(said: &Transcript, seen: &mut Seen) {
    let topic = "EHLO";
    let Some(reply) = said.reply(Command::Ehlo) else { return };
    let seven = Generations::ESMTP.complement();
    let refusing = seven.and(Generations::X);
    match reply.echo(Command::Ehlo.word()) {
        Some(Echo::Masked { .. }) if reply.is_refusal() => {
            seen.add(topic, Weight::Sign, refusing, "the server repeats it as X");
            seen.mask("EHLO");
        }
        _ if is_noop(said, reply) && !is_accepting_all(said) => {
            seen.add(
                topic,
                Weight::Sign,
                Generations::NOOP,
                "answered OK, like an invalid command",
            );
            seen.mask("EHLO");
        }
        _ if is_noop(said, reply) => {
            seen.add(topic, Weight::Hint, Generations::NOOP, "answered OK, as anything is");
        }
        _ if reply.is_ok() => {
            seen.add(topic, Weight::Neutral, Generations::ESMTP, "gets through");
        }
        _ if is_refused_alike(said, reply)
            && said.reply(Command::Helo).is_some_and(Reply::is_ok) =>
        {
            let sentence = "refused like an invalid command, while HELO is not";
            seen.add(topic, Weight::Hint, refusing, sentence);
        }
        _ => seen.add(topic, Weight::Neutral, Generations::ALL, "refused"),
    }
}

fn extensions(said: &Transcript, seen: &mut Seen) {
    let Some(reply) = said.reply(Command::Ehlo).filter(|reply| reply.is_ok()) else { return };
    let masked = keywords::masked(reply);
    if masked.is_empty() {
        return;
    }
    let topic = "EHLO keywords";
    if masked.iter().all(|one| one.is_lettered) {
        let asa = Generations::of(&[Profile::Asa]);
        seen.add(topic, Weight::Sign, asa, "masked, with letters that count them");
    } else if masked.iter().any(|one| one.is_lettered) {
        seen.add(topic, Weight::Sign, Generations::ESMTP, "masked, some with letters");
    } else {
        let esmtp = Generations::of(&[Profile::Esmtp]);
        seen.add(topic, Weight::Sign, esmtp, "masked by X");
    }
    for one in masked {
        let mut what = format!("EHLO keyword {}", String::from_utf8_lossy(one.shown));
        let meanings = one.meanings(reply);
        if !meanings.is_empty() {
            what = format!("{what} ({})", meanings.join(" or "));
        }
        seen.mask(what);
    }
}

fn invalid(said: &Transcript, seen: &mut Seen) {
    let topic = "invalid command";
    let Some(reply) = said.reply(Command::Invalid) else { return };
    if reply.is_ok() {
        match said.reply(Command::Short) {
            Some(short) if !short.is_ok() => {
                let sentence = "answered OK; one too short to become NOOP is not";
                seen.add(topic, Weight::Sign, Generations::NOOP, sentence);
                seen.mask("unknown commands");
            }
            Some(_) => {
                let sentence = "answered OK, whatever it is: the article's sign, and a mail sink's";
                seen.add(topic, Weight::Hint, Generations::NOOP, sentence);
            }
            None => seen.add(topic, Weight::Hint, Generations::NOOP, "answered OK"),
        }
        return;
    }
    match reply.echo(Command::Invalid.word()) {
        Some(Echo::Masked { .. }) => {
            seen.add(topic, Weight::Sign, Generations::X, "the server repeats it as X");
            seen.mask("unknown commands");
        }
        Some(Echo::Intact) => {
            let sentence = "the server repeats it as it was sent";
            seen.add(topic, Weight::Neutral, Generations::of(&[]), sentence);
        }
        None => {
            seen.add(topic, Weight::Neutral, Generations::X, "refused, not repeated");
        }
    }
}

fn help(said: &Transcript, seen: &mut Seen) {
    let topic = "HELP";
    let Some(reply) = said.reply(Command::Help) else { return };
    match reply.echo(Command::Help.word()) {
        Some(Echo::Masked { kept }) => {
            let (generation, sentence) = if kept == 0 {
                (Profile::Pix63, "the server repeats it as X")
            } else {
                (Profile::Mailguard, "the server repeats it as HELX: decided byte by byte")
            };
            seen.add(topic, Weight::Sign, Generations::of(&[generation]), sentence);
            seen.mask("HELP");
        }
        _ if is_noop(said, reply) => {
            seen.add(topic, Weight::Neutral, Generations::NOOP, "answered like an invalid command");
        }
        _ if is_refused_alike(said, reply) => {
            let sentence = "refused like an invalid command; the server may not know it";
            seen.add(topic, Weight::Neutral, Generations::ALL, sentence);
        }
        _ => seen.add(topic, Weight::Neutral, Generations::ESMTP, "gets through"),
    }
}

fn starttls(said: &Transcript, seen: &mut Seen) {
    let topic = "STARTTLS";
    let Some(reply) = said.reply(Command::StartTls) else { return };
    match reply.echo(Command::StartTls.word()) {
        Some(Echo::Masked { .. }) => {
            seen.add(topic, Weight::Sign, Generations::ESMTP, "the server repeats it as X");
            seen.mask("STARTTLS");
        }
        _ if super::starttls::is_known(said) => {
            let sentence = "not offered, and accepted all the same";
            seen.add(topic, Weight::Hint, Generations::ALL, sentence);
        }
        _ => {}
    }
}

fn cut_noop(said: &Transcript, seen: &mut Seen) {
    let topic = "NOOP cut in five";
    let by_packet = Generations::STREAM.complement();
    let was_sent = said.exchanges.iter().any(|(command, _)| *command == Command::CutNoop);
    let Some(reply) = said.reply(Command::CutNoop) else {
        if was_sent {
            seen.add(topic, Weight::Hint, by_packet, "never answered");
        }
        return;
    };
    let is_masked = matches!(reply.echo(Command::CutNoop.word()), Some(Echo::Masked { .. }));
    let is_unlike_invalid = said.reply(Command::Invalid).is_some_and(Reply::is_ok);
    if reply.is_ok() && is_accepting_all(said) {
        seen.add(topic, Weight::Neutral, Generations::ALL, "answered OK, as anything is");
    } else if reply.is_ok() {
        let sentence = "answered OK: packets are not judged by themselves";
        seen.add(topic, Weight::Neutral, Generations::STREAM, sentence);
    } else if is_masked || is_refused_alike(said, reply) || is_unlike_invalid {
        let sentence = "refused: each packet was judged by itself";
        seen.add(topic, Weight::Sign, by_packet, sentence);
        seen.mask("commands cut across packets");
    } else {
        seen.add(topic, Weight::Neutral, Generations::ALL, "refused in words of its own");
    }
}
