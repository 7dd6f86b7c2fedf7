//! The symptoms that Microsoft's article 295725 lists, as the README's table tells them: under each
//! configuration named as a cause the symptom shows, under each named as a cure it does not. What
//! stands in the table between backticks is what is configured here.

use mailguard::config::{Config, Source};

use crate::support::esmtp::Esmtp;
use crate::support::session::Session;

const README: &str = include_str!("../../README.md");

/// The heading of the table.
const HEADING: &str = "### From Microsoft's article\n";

/// Eight-bit text, as an attachment that nobody encoded.
const ATTACHMENT: &[u8] = b"Subject: x\r\n\r\n\xff\x00PK\x03\x04 f\xfcr\r\n";

/// A session that shows a symptom, or not.
type Play = fn(&mut Session) -> bool;

/// The symptoms, each behind a word that its row of the table holds.
const SYMPTOMS: [(&str, Play); 7] = [
    ("again and again", is_not_taken),
    ("X-LINK2STATE", is_link_state_lost),
    ("0x800CCC79", is_outlook_denied),
    ("550 5.7.1", is_exchange_denied),
    ("attachments", is_attachment_lost),
    ("554 5.6.1", is_body_type_unsupported),
    ("telnet", is_typing_in_vain),
];

/// An Exchange server of the time, for its own domain and for those it knows.
fn exchange() -> Esmtp {
    let mut server = Esmtp::new("220 mx.example Microsoft ESMTP MAIL Service ready\r\n");
    server.ehlo = "250-mx.example\r\n250-SIZE\r\n250-PIPELINING\r\n250-DSN\r\n250-8BITMIME\r\n\
        250-BINARYMIME\r\n250-CHUNKING\r\n250-X-LINK2STATE\r\n250-XEXCH50\r\n\
        250-AUTH NTLM LOGIN\r\n250 OK\r\n";
    server.auth = &["334 VXNlcm5hbWU6\r\n", "334 UGFzc3dvcmQ6\r\n", "235 ok\r\n"];
    server.denies_relaying = true;
    server
}

/// Greets as a client of today: HELO only where EHLO is not understood. Returns what is offered.
fn greet(session: &mut Session) -> String {
    let offer = session.say("EHLO a.example\r\n");
    if !offer.starts_with("250") {
        assert!(session.say("HELO a.example\r\n").starts_with("250"));
    }
    offer
}

/// A message whose end is cut, repeated until the client gives up: will it have to come again?
fn is_not_taken(session: &mut Session) -> bool {
    greet(session);
    for line in ["MAIL FROM:<a@b.example>\r\n", "RCPT TO:<c@mx.example>\r\n", "DATA\r\n"] {
        session.say(line);
    }
    session.say("Subject: x\r\n\r\ntext\r\n.");
    session.say("\r\n");
    session.server.messages.is_empty()
}

/// Two servers tell each other the state of their links.
fn is_link_state_lost(session: &mut Session) -> bool {
    greet(session);
    session.say("X-LINK2STATE LAST CHUNK={00000014} MULTI (1) ({00000001} DONE_RESPONSE)\r\n");
    !session.has_run(&["X-LINK2STATE"])
}

/// A client sends to somebody elsewhere, with the first mechanism of its own that is offered.
fn is_denied(session: &mut Session, mechanism: &str, answers: &[&str]) -> bool {
    let offer = greet(session);
    let is_offered =
        |line: &str| line.contains("AUTH") && line.split([' ', '=']).any(|word| word == mechanism);
    if offer.lines().any(is_offered) {
        session.say(&format!("AUTH {mechanism}\r\n"));
        for answer in answers {
            session.say(answer);
        }
    }
    session.say("MAIL FROM:<a@mx.example>\r\n");
    session.say("RCPT TO:<c@elsewhere.example>\r\n").starts_with("550 5.7.1")
}

fn is_outlook_denied(session: &mut Session) -> bool {
    is_denied(session, "LOGIN", &["dXNlcg==\r\n", "c2VjcmV0\r\n"])
}

fn is_exchange_denied(session: &mut Session) -> bool {
    let messages = ["TlRMTVNTUAABAAAAl4II4gAAAAA=\r\n", "TlRMTVNTUAADAAAAGAAYAH4AAAA=\r\n"];
    is_denied(session, "NTLM", &messages)
}

/// A client sends what it has in octets where it may, and without what it cannot send elsewhere.
fn is_attachment_lost(session: &mut Session) -> bool {
    let offer = greet(session);
    if offer.contains("BINARYMIME") && offer.contains("CHUNKING") {
        session.say("MAIL FROM:<a@b.example> BODY=BINARYMIME\r\n");
        session.say("RCPT TO:<c@mx.example>\r\n");
        let chunk = format!("BDAT {} LAST\r\n", ATTACHMENT.len());
        session.say_pieces(&[chunk.as_bytes(), ATTACHMENT]);
    }
    session.server.messages != [ATTACHMENT]
}

/// A client sends eight bits where it may, and elsewhere tells its user 554 5.6.1.
fn is_body_type_unsupported(session: &mut Session) -> bool {
    if greet(session).contains("8BITMIME") {
        session.say("MAIL FROM:<a@b.example> BODY=8BITMIME\r\n");
        session.say("RCPT TO:<c@mx.example>\r\n");
        session.say("DATA\r\n");
        session.say_pieces(&[ATTACHMENT, b".\r\n"]);
    }
    session.server.messages != [[ATTACHMENT, b".\r\n"].concat()]
}

/// Somebody types, a character a packet.
fn is_typing_in_vain(session: &mut Session) -> bool {
    let characters: Vec<&[u8]> = b"HELO a.example\r\n".chunks(1).collect();
    !session.say_pieces(&characters).starts_with("250")
}

/// What stands between backticks in a cell.
fn configurations(cell: &str) -> impl Iterator<Item = &str> {
    cell.split('`').skip(1).step_by(2)
}

/// A session under a configuration, from its greeting on.
fn session(configuration: &str) -> Session {
    let text = if configuration.starts_with("profile") {
        configuration.to_owned()
    } else {
        format!("profile = \"esmtp\"\n{configuration}")
    };
    let config = Config::build(Some(Source { name: "README.md", text: &text }), &[])
        .unwrap_or_else(|error| panic!("{error}"));
    Session::greeted(config.engine, exchange())
}

#[test]
fn each_comes_from_its_cause_and_goes_with_its_cure() {
    let (_, behind) = README.split_once(HEADING).expect("the table");
    let table = behind.lines().skip_while(|line| !line.starts_with('|')).skip(2);
    let rows: Vec<Vec<&str>> = table
        .take_while(|line| line.starts_with('|'))
        .map(|line| line.trim_matches('|').split(" | ").collect())
        .collect();
    assert_eq!(rows.len(), SYMPTOMS.len(), "each row of the table is played, each play has a row");
    for (word, shows) in SYMPTOMS {
        let row = rows.iter().find(|row| row[0].contains(word)).expect(word);
        for (cell, is_cause) in [(row[1], true), (row[2], false)] {
            assert!(configurations(cell).next().is_some(), "{word}: nothing to configure");
            for configuration in configurations(cell) {
                let mut session = session(configuration);
                assert_eq!(shows(&mut session), is_cause, "{word} under {configuration}");
            }
        }
    }
}
