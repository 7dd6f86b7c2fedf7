//! Every command of every profile, and what becomes of greetings and of answers to EHLO: tables
//! made by running them, checked in as documentation.

use crate::support::esmtp::Esmtp;
use crate::support::golden::{code, compare, markdown};
use crate::support::rig::{settings, settings_with};
use crate::support::session::Session;
use mailguard::guard::Profile;

/// Every verb, and what else was said to mail servers.
const LINES: [&str; 23] = [
    "AUTH PLAIN AGEAYgBj",
    "BDAT 0 LAST",
    "DATA",
    "EHLO client.example",
    "ETRN example.com",
    "EXPN staff",
    "HELO client.example",
    "HELP",
    "MAIL FROM:<a@example.com>",
    "NOOP",
    "QUIT",
    "RCPT TO:<b@example.com>",
    "RSET",
    "SAML FROM:<a@example.com>",
    "SEND FROM:<a@example.com>",
    "SOML FROM:<a@example.com>",
    "STARTTLS",
    "TURN",
    "VRFY root",
    "goodmorning",
    "WIZ",
    "XEXCH50 1079 2",
    "X-LINK2STATE FIRST CHUNK={1}",
];

/// What the server receives for a line that comes in these pieces, and what the client hears.
fn exchange(profile: &str, pieces: &[&[u8]]) -> (String, String) {
    let mut session = Session::greeted(settings(profile), Esmtp::new("220 mx.example\r\n"));
    session.say("EHLO client.example\r\n");
    let before = session.server_got().len();
    let heard = session.say_pieces(pieces);
    assert_eq!(session.rig.resets, 0);
    let got = session.server_got()[before..].to_owned();
    assert_eq!(got.matches("\r\n").count(), 1, "one line in, one line out");
    (got.trim_end_matches("\r\n").to_owned(), heard)
}

/// The server's view, and the code of its answer.
fn cell((got, heard): (String, String)) -> String {
    format!("{} → {}", code(&got), &heard[..3])
}

fn row(profile: &str, line: &str) -> Vec<String> {
    let whole = format!("{line}\r\n");
    let lower = whole.to_ascii_lowercase();
    let characters: Vec<&[u8]> = whole.as_bytes().chunks(1).collect();
    let (got, heard) = exchange(profile, &[whole.as_bytes()]);
    let last = heard.trim_end_matches("\r\n").lines().last().unwrap().to_owned();
    vec![
        code(line),
        code(&got),
        code(&last),
        cell(exchange(profile, &[lower.as_bytes()])),
        cell(exchange(profile, &[&whole.as_bytes()[..2], &whole.as_bytes()[2..]])),
        cell(exchange(profile, &characters)),
    ]
}

#[test]
fn every_command_of_every_profile() {
    let mut text = String::from(
        "# Every command of every profile\n\n\
         What a server receives, and the last line a client gets, for each line sent behind an\n\
         `EHLO`; then the same in lower case, cut behind its second byte, and one byte a packet, \
         as\na telnet client in character mode sends it. The server answers what it does not \
         know with\n500 and the line. `␠` is a space at the end of a line. \
         Made by `tests/core/profiles.rs`.\n",
    );
    let head = [
        "client sends",
        "server receives",
        "client gets",
        "in lower case",
        "in two packets",
        "byte by byte",
    ];
    for profile in Profile::names() {
        let rows: Vec<_> = LINES.iter().map(|line| row(profile, line)).collect();
        text += &format!("\n## {profile}\n\n{}", markdown(&head, &rows));
    }
    compare("commands.md", &text);
}

/// Greetings: of one line, of two, one that refuses, and those of the article and its like.
const GREETINGS: [&str; 7] = [
    "220 mx20.example ESMTP Postfix",
    "220-mx20.example ESMTP\r\n220 no advertising by mail",
    "554 mx20.example no service",
    "220",
    "220 mail2.nwtraders.msft Microsoft ESMTP Mail Service",
    "220 mailgates0.nwtraders.msft.c ESMTP Server (Microsoft Exchange Internet Mail Service \
     5.5.2653.13) ready",
    "220 mx.example ESMTP Sendmail 8.10.1/8.10.1; Sat, 20 Jan 2001 09:45:13 -0400",
];

/// Answers to EHLO; the settings that decide about them stand beside.
const OFFERS: [(&str, &[(&str, &str)]); 5] = [
    ("esmtp", &[]),
    ("esmtp", &[("starttls", "strip")]),
    ("esmtp", &[("ehlo_keywords", "SIZE,8BITMIME")]),
    ("asa", &[]),
    ("asa", &[("starttls", "allow")]),
];

const OFFER: &str = "250-mx.example greets client.example\r\n250-PIPELINING\r\n\
    250-SIZE 14680064\r\n250-STARTTLS\r\n250-AUTH=LOGIN\r\n250-AUTH PLAIN LOGIN\r\n\
    250-CHUNKING\r\n250-SMTPUTF8\r\n250-XCLIENT NAME ADDR\r\n250-X-EXPS GSSAPI NTLM\r\n\
    250-DELIVERBY\r\n250 HELP\r\n";

fn block(text: &str) -> String {
    format!("\n```\n{}\n```\n", text.trim_end().replace("\r\n", "\n"))
}

#[test]
fn every_greeting_and_offer() {
    let mut text = String::from(
        "# Greetings and answers to EHLO\n\nWhat the client reads. \
         Made by `tests/core/profiles.rs`.\n",
    );
    for greeting in GREETINGS {
        text += "\n## Greeting\n";
        text += &block(greeting);
        for profile in Profile::names() {
            let server = Esmtp::new(&format!("{greeting}\r\n"));
            let session = Session::greeted(settings(profile), server);
            text += &format!("\n{profile}:\n{}", block(&session.client_got()));
        }
    }
    text += "\n## Answer to EHLO\n";
    text += &block(OFFER);
    for (profile, changes) in OFFERS {
        let settings = settings_with(profile, changes);
        let mut name = profile.to_owned();
        for (key, value) in changes {
            name += &format!(", {key} = {value}");
        }
        let mut server = Esmtp::new("220 mx.example\r\n");
        server.ehlo = OFFER;
        let heard = Session::greeted(settings, server).say("EHLO client.example\r\n");
        assert_eq!(heard.len(), OFFER.len());
        text += &format!("\n{name}:\n{}", block(&heard));
    }
    compare("replies.md", &text);
}
