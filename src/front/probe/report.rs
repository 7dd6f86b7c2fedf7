//! A verdict for people, and for programs.
//!
//! What the server said is escaped as in the event log, so that no server can drive a terminal or
//! forge a line. The keys of the json form are always there and always in the same order.

use std::fmt::Write;

use serde::Serialize;

use super::dialogue::{Command, Transcript};
use super::generation::description;
use super::reply::Reply;
use super::verdict::{Finding, Presence, Verdict, Weight};
use crate::event;

/// The report for people.
#[must_use]
pub(super) fn text(server: &str, said: &Transcript, verdict: &Verdict) -> String {
    let mut out = String::new();
    // Writing to a string cannot fail.
    let _ = writeln!(out, "{server}: {}", headline(verdict));
    candidates(verdict, &mut out);
    section(&mut out, "Findings (!: only a filter does that; ?: few servers do)");
    for one in &verdict.findings {
        let _ = writeln!(out, "  {} {:16} {}", mark(one.weight), one.topic, one.sentence);
    }
    if !verdict.masked.is_empty() {
        section(&mut out, "Masked");
        for what in &verdict.masked {
            let _ = writeln!(out, "  {}", escaped(what.as_bytes()));
        }
    }
    section(&mut out, "For senders");
    let _ = writeln!(out, "  STARTTLS: {}", verdict.starttls.sentence(said));
    let _ = writeln!(out, "  Postfix: {}", postfix(verdict));
    if !verdict.limits.is_empty() {
        section(&mut out, "What this does not tell");
        for limit in &verdict.limits {
            let _ = writeln!(out, "  {limit}");
        }
    }
    section(&mut out, "Conversation");
    for line in &said.greeting.lines {
        let _ = writeln!(out, "  S: {}", escaped(line));
    }
    for (command, reply) in &said.exchanges {
        let _ = writeln!(out, "  C: {}", shown(*command));
        for line in &reply.lines {
            let _ = writeln!(out, "  S: {}", escaped(line));
        }
    }
    out
}

/// The report for programs: one json object on one line.
#[must_use]
pub(super) fn json(server: &str, said: &Transcript, verdict: &Verdict) -> String {
    let report = Report {
        server,
        verdict: presence(verdict.presence),
        candidates: verdict
            .candidates
            .iter()
            .map(|one| Candidate {
                profile: one.name(),
                description: description(*one),
                evidence: verdict.evidence(*one).map(|finding| finding.topic).collect(),
            })
            .collect(),
        findings: verdict.findings.iter().map(Found::of).collect(),
        masked: verdict.masked.iter().map(|what| escaped(what.as_bytes())).collect(),
        starttls: Tls { state: verdict.starttls, description: verdict.starttls.sentence(said) },
        postfix_notices: verdict.postfix_notices,
        limits: &verdict.limits,
        greeting: lines(&said.greeting),
        conversation: said
            .exchanges
            .iter()
            .map(|(command, reply)| Exchange { command: shown(*command), reply: lines(reply) })
            .collect(),
    };
    // Strings and lists into memory: this cannot fail.
    let mut line = serde_json::to_string(&report).unwrap_or_default();
    line.push('\n');
    line
}

#[derive(Serialize)]
struct Report<'a> {
    server: &'a str,
    verdict: &'static str,
    candidates: Vec<Candidate>,
    findings: Vec<Found<'a>>,
    masked: Vec<String>,
    starttls: Tls,
    postfix_notices: bool,
    limits: &'a [&'static str],
    greeting: Vec<String>,
    conversation: Vec<Exchange>,
}

#[derive(Serialize)]
struct Candidate {
    profile: &'static str,
    description: &'static str,
    evidence: Vec<&'static str>,
}

#[derive(Serialize)]
struct Found<'a> {
    topic: &'static str,
    weight: &'static str,
    description: &'a str,
    fits: Vec<&'static str>,
}

impl<'a> Found<'a> {
    fn of(finding: &'a Finding) -> Self {
        let weight = match finding.weight {
            Weight::Neutral => "neutral",
            Weight::Hint => "hint",
            Weight::Sign => "sign",
        };
        Self {
            topic: finding.topic,
            weight,
            description: &finding.sentence,
            fits: finding.fits.iter().map(|one| one.name()).collect(),
        }
    }
}

#[derive(Serialize)]
struct Tls {
    state: super::starttls::StartTls,
    description: String,
}

#[derive(Serialize)]
struct Exchange {
    command: String,
    reply: Vec<String>,
}

fn headline(verdict: &Verdict) -> &'static str {
    match verdict.presence {
        Presence::Found => "a Mailguard is in the path",
        Presence::Suspected => "a Mailguard may be in the path",
        Presence::NotFound => "no Mailguard found",
        Presence::Unknown => "nothing can be told",
    }
}

const fn presence(presence: Presence) -> &'static str {
    match presence {
        Presence::Found => "found",
        Presence::Suspected => "suspected",
        Presence::NotFound => "not-found",
        Presence::Unknown => "unknown",
    }
}

fn candidates(verdict: &Verdict, out: &mut String) {
    match (verdict.presence, verdict.candidates.len()) {
        (Presence::Unknown, _) | (Presence::NotFound, 0) => return,
        (Presence::NotFound, _) => section(out, "Could be there, unseen"),
        (Presence::Found | Presence::Suspected, 0) => {
            section(out, "Generation");
            out.push_str("  none that is known\n");
        }
        (Presence::Found | Presence::Suspected, 1) => section(out, "Generation"),
        (Presence::Found | Presence::Suspected, _) => {
            section(out, "Generation: one of these, which cannot be told apart from here");
        }
    }
    for one in &verdict.candidates {
        let evidence: Vec<_> = verdict.evidence(*one).map(|finding| finding.topic).collect();
        let _ = writeln!(out, "  {:10} {}", one.name(), description(*one));
        if !evidence.is_empty() {
            let _ = writeln!(out, "  {:10} fits: {}", "", evidence.join(", "));
        }
    }
}

fn postfix(verdict: &Verdict) -> &'static str {
    if verdict.postfix_notices {
        "takes it for a PIX: logs \"enabling PIX workarounds\", uses HELO, so no STARTTLS, SIZE, \
         8BITMIME or DSN"
    } else {
        "does not take it for a PIX"
    }
}

const fn mark(weight: Weight) -> char {
    match weight {
        Weight::Neutral => ' ',
        Weight::Hint => '?',
        Weight::Sign => '!',
    }
}

fn section(out: &mut String, title: &str) {
    let _ = writeln!(out, "\n{title}");
}

fn shown(command: Command) -> String {
    match command {
        Command::Ehlo | Command::Helo => format!("{} ...", command.word()),
        Command::CutNoop => "N|O|O|P|".to_owned(),
        Command::Invalid
        | Command::Noop
        | Command::Short
        | Command::Help
        | Command::StartTls
        | Command::Quit => command.word().to_owned(),
    }
}

fn lines(reply: &Reply) -> Vec<String> {
    reply.lines.iter().map(|line| escaped(line)).collect()
}

fn escaped(bytes: &[u8]) -> String {
    let mut out = String::with_capacity(bytes.len());
    event::escape(bytes, &mut out);
    out
}
