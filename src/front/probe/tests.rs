//! The probe without a socket: scripted servers behind each generation, and servers that say
//! nothing, too much or nonsense.

#![allow(clippy::wildcard_enum_match_arm, reason = "a script names what differs")]

use super::dialogue::{Command, Dialogue, Ending, Next, Transcript};
use super::keywords;
use super::reply::{Echo, Reply};
use super::report;
use super::starttls::StartTls;
use super::verdict::{Presence, Verdict, Weight};
use crate::guard::Profile::{self, *};

/// What is answered to a command: by the server and the filter before it, together.
type Answer = dyn Fn(Command) -> &'static str;

/// Plays a conversation; an empty answer is silence, a lone `.` closes the connection.
fn play(greeting: &str, answer: &Answer) -> Transcript {
    let mut dialogue = Dialogue::new();
    let mut waiting = greeting;
    for _ in 0..1000 {
        match dialogue.next() {
            Next::Close => return dialogue.into_transcript(),
            Next::Send(command) => waiting = answer(command),
            Next::Receive | Next::Settle => match std::mem::take(&mut waiting) {
                "" => dialogue.silent(),
                "." => dialogue.closed(),
                answer => dialogue.received(answer.as_bytes()),
            },
        }
    }
    panic!("the conversation does not end");
}

fn judge(greeting: &str, answer: &Answer) -> (Transcript, Verdict) {
    let said = play(greeting, answer);
    let verdict = Verdict::of(&said);
    (said, verdict)
}

fn reply(text: &str) -> Reply {
    let lines = text.split("\r\n").filter(|line| !line.is_empty());
    Reply { lines: lines.map(|line| line.as_bytes().to_vec()).collect() }
}

const POSTFIX: &str = "250-mail.example.com\r\n250-PIPELINING\r\n250-SIZE 10240000\r\n\
     250-ETRN\r\n250-STARTTLS\r\n250-ENHANCEDSTATUSCODES\r\n250-8BITMIME\r\n250 CHUNKING\r\n";
const REFUSED: &str = "502 5.5.2 Error: command not recognized\r\n";
const OK: &str = "250 2.0.0 Ok\r\n";
const BYE: &str = "221 2.0.0 Bye\r\n";

/// A Postfix, reached directly.
fn postfix(command: Command) -> &'static str {
    match command {
        Command::Ehlo => POSTFIX,
        Command::Helo => "250 mail.example.com\r\n",
        Command::Invalid | Command::Short | Command::Help => REFUSED,
        Command::Noop | Command::CutNoop => OK,
        Command::StartTls => "220 2.0.0 Ready to start TLS\r\n",
        Command::Quit => BYE,
    }
}

/// The same behind what turns all but the seven into NOOP, packet by packet.
fn noop_by_packet(command: Command) -> &'static str {
    match command {
        Command::Ehlo | Command::Invalid | Command::Help | Command::StartTls => OK,
        Command::CutNoop => REFUSED,
        Command::Helo | Command::Noop | Command::Short | Command::Quit => postfix(command),
    }
}

/// The same behind what turns all but the seven into X, packet by packet.
fn x_by_packet(command: Command) -> &'static str {
    match command {
        Command::Ehlo | Command::CutNoop | Command::StartTls => REFUSED,
        _ => postfix(command),
    }
}

/// The same behind our default profile.
fn x_by_stream(command: Command) -> &'static str {
    if command == Command::Ehlo { REFUSED } else { postfix(command) }
}

/// A server that repeats what it refuses, behind PIX 6.3.
fn echoing_pix(command: Command) -> &'static str {
    match command {
        Command::Ehlo => "500 5.5.1 Command unrecognized: \"XXXXXXXXXXXXXXXX\"\r\n",
        Command::Invalid => "500 5.5.1 Command unrecognized: \"XXXXXXXXXXX\"\r\n",
        Command::Help => "500 5.5.1 Command unrecognized: \"XXXX\"\r\n",
        Command::CutNoop => "500 5.5.1 Command unrecognized: \"XXXX\"\r\n",
        _ => postfix(command),
    }
}

fn echoing_mailguard(command: Command) -> &'static str {
    match command {
        Command::Help => "500 5.5.1 Command unrecognized: \"HELX\"\r\n",
        Command::CutNoop => OK,
        _ => echoing_pix(command),
    }
}

fn asa(command: Command) -> &'static str {
    match command {
        Command::Ehlo => "250-mail.example.com\r\n250-PIPELINING\r\n250-XXXXXXXA\r\n250 XXXB\r\n",
        Command::StartTls => "500 unrecognized command\r\n",
        Command::Invalid | Command::CutNoop => "500 unrecognized command\r\n",
        Command::Help => "214 ask the postmaster\r\n",
        _ => postfix(command),
    }
}

fn esmtp(command: Command) -> &'static str {
    match command {
        Command::Ehlo => {
            "250-mail.example.com\r\n250-PIPELINING\r\n250-XXXXXXX\r\n250 STARTTLS\r\n"
        }
        _ => postfix(command),
    }
}

const RULE_51: &str = "220 *********0*******20 ****200**0***\r\n";
const STARS: &str = "220 ****************************\r\n";
const CMAP: &str = "220 SMTP/cmap ready________________\r\n";
const TEXT: &str = "220 mail.example.com ESMTP Postfix\r\n";

#[test]
fn every_generation_is_told() {
    let noop: &Answer = &noop_by_packet;
    let cases: &[(&str, &Answer, &[Profile], StartTls, bool)] = &[
        (CMAP, noop, &[Pix41], StartTls::OutOfReach, false),
        (STARS, noop, &[Pix44, Pix51, Pix524], StartTls::OutOfReach, true),
        (RULE_51, noop, &[Pix51, Pix524], StartTls::OutOfReach, true),
        (RULE_51, &x_by_packet, &[Pix63], StartTls::OutOfReach, true),
        (RULE_51, &echoing_pix, &[Pix63], StartTls::OutOfReach, true),
        (RULE_51, &x_by_stream, &[Mailguard], StartTls::OutOfReach, true),
        (RULE_51, &echoing_mailguard, &[Mailguard], StartTls::OutOfReach, true),
        (STARS, &asa, &[Asa], StartTls::PerhapsTakenAway, true),
        (TEXT, &asa, &[Asa], StartTls::PerhapsTakenAway, false),
        ("220 mail.example.com ESMTP........\r\n", &esmtp, &[Esmtp], StartTls::Offered, false),
    ];
    for (greeting, answer, candidates, starttls, postfix_notices) in cases {
        let (_, verdict) = judge(greeting, answer);
        assert_eq!(verdict.presence, Presence::Found, "{greeting}");
        assert_eq!(verdict.candidates, *candidates, "{greeting} {:#?}", verdict.findings);
        assert_eq!(verdict.starttls, *starttls, "{greeting}");
        assert_eq!(verdict.postfix_notices, *postfix_notices, "{greeting}");
    }
}

#[test]
fn a_server_without_a_filter_is_let_be() {
    for greeting in [TEXT, "220 \r\n", "220-mail.example.com\r\n220 ** Welcome **\r\n"] {
        let (said, verdict) = judge(greeting, &postfix);
        assert_eq!(verdict.presence, Presence::NotFound, "{greeting} {:#?}", verdict.findings);
        assert_eq!(verdict.starttls, StartTls::Offered);
        assert_eq!(said.ending, Ending::Done);
        assert!(verdict.masked.is_empty());
    }
    let (_, verdict) = judge("220 mail.example.com ESMTP\r\n", &postfix);
    assert_eq!((verdict.presence, &verdict.candidates[..]), (Presence::NotFound, &[Esmtp][..]));
    let (_, verdict) = judge(TEXT, &postfix);
    assert!(verdict.candidates.is_empty());
}

#[test]
fn nothing_but_the_plan_is_sent_and_never_mail() {
    let (said, _) = judge(TEXT, &noop_by_packet);
    let sent: Vec<_> = said.exchanges.iter().map(|(command, _)| *command).collect();
    use Command::*;
    assert_eq!(sent, [Ehlo, Helo, Invalid, Noop, Short, Help, CutNoop, Quit]);
    let (said, _) = judge(TEXT, &postfix);
    let sent: Vec<_> = said.exchanges.iter().map(|(command, _)| *command).collect();
    assert_eq!(sent, [Ehlo, Invalid, Help, CutNoop, Quit]);
    let (said, _) = judge(TEXT, &asa);
    let sent: Vec<_> = said.exchanges.iter().map(|(command, _)| *command).collect();
    assert_eq!(sent, [Ehlo, Invalid, Help, StartTls, CutNoop, Quit]);
    assert_eq!(CutNoop.pieces("x"), [&b"N"[..], b"O", b"O", b"P", b"\r\n"]);
    assert_eq!(Ehlo.pieces("[192.0.2.1]"), [b"EHLO [192.0.2.1]\r\n"]);
}

#[test]
fn a_hidden_starttls_that_works_ends_the_conversation() {
    let hidden = |command| match command {
        Command::Ehlo => "250-mail.example.com\r\n250-SXXXXXXX\r\n250 SIZE\r\n",
        _ => postfix(command),
    };
    let (said, verdict) = judge(TEXT, &hidden);
    assert_eq!(verdict.starttls, StartTls::TakenAway);
    assert_eq!(said.exchanges.last().unwrap().0, Command::StartTls);
    assert_eq!(verdict.masked, ["EHLO keyword SXXXXXXX (SMTPUTF8 or STARTTLS)"]);
}

/// Of a keyword that is masked only where one is.
#[test]
fn a_starttls_that_is_not_offered_is_said_to_be_taken_away_only_from_behind_a_mask() {
    const HELLO: &str = "250-mail.example.com\r\n250 SIZE\r\n";
    const REFUSAL: &str = "554 5.7.1 not you\r\n";
    let told = |answer: &Answer| {
        let (said, verdict) = judge(TEXT, answer);
        let found = verdict.findings.iter().any(|one| one.topic == "STARTTLS");
        (verdict.starttls, verdict.starttls.sentence(&said), found)
    };
    let unlisted = |command| if command == Command::Ehlo { HELLO } else { postfix(command) };
    let sentence = "not offered, and accepted all the same".to_owned();
    assert_eq!(told(&unlisted), (StartTls::Unlisted, sentence, true));
    let sentence = "not offered, and nothing it could have become".to_owned();
    for ok in [OK, "220 2.0.0 Ok\r\n"] {
        let sink = move |command| if command == Command::Ehlo { HELLO } else { ok };
        assert_eq!(told(&sink), (StartTls::NotOffered, sentence.clone(), false));
    }
    let turned_to_noop = |command| match command {
        Command::Ehlo => HELLO,
        _ => noop_by_packet(command),
    };
    assert_eq!(told(&turned_to_noop), (StartTls::NotOffered, sentence, false));
    let refused = "not known: EHLO was refused".to_owned();
    for answer in ["421 4.3.2 busy\r\n", REFUSAL] {
        let refusing = move |_| answer;
        assert_eq!(told(&refusing), (StartTls::Refused, refused.clone(), false));
    }
    let knows_helo = |command| if command == Command::Ehlo { REFUSAL } else { postfix(command) };
    assert_eq!(told(&knows_helo).0, StartTls::OutOfReach);
}

#[test]
fn an_endless_greeting_is_waited_for_only_a_moment() {
    let mut dialogue = Dialogue::new();
    dialogue.received(b"220-****\r\n");
    assert_eq!(dialogue.next(), Next::Receive);
    dialogue.received(b"****\r\n");
    assert_eq!(dialogue.next(), Next::Settle);
    dialogue.silent();
    assert_eq!(dialogue.next(), Next::Send(Command::Ehlo));
    let (_, verdict) = judge("220-****\r\n****\r\n", &noop_by_packet);
    assert_eq!((verdict.presence, &verdict.candidates[..]), (Presence::Found, &[Pix44][..]));
}

#[test]
fn masked_keywords_are_told_from_names() {
    let answer = reply(
        "250-x\r\n250-XXXXXXXA\r\n250-AUTH=LOGIN\r\n250-XEXCH50\r\n250-XXXB 12\r\n\
         250-SMTPXXXX\r\n250-XXX\r\n250-XX\r\n250 X\r\n",
    );
    let masked = keywords::masked(&answer);
    let shown: Vec<_> = masked.iter().map(|one| (one.shown, one.kept, one.is_lettered)).collect();
    assert_eq!(
        shown,
        [
            (&b"XXXXXXXA"[..], 0, true),
            (b"XXXB", 0, true),
            (b"SMTPXXXX", 4, false),
            (b"XXX", 0, false)
        ]
    );
    assert_eq!(masked[0].meanings(&answer), ["8BITMIME", "CHUNKING", "SMTPUTF8", "STARTTLS"]);
    assert_eq!(masked[2].meanings(&answer), ["SMTPUTF8"]);
    assert!(keywords::has(&answer, "auth"));
}

#[test]
fn as_many_masks_as_names_leave_no_doubt() {
    let all = |command| match command {
        Command::Ehlo => {
            "250-x\r\n250-8BITMIME\r\n250-XXXXXXXA\r\n250-XXXXXXXB\r\n250 XXXXXXXC\r\n"
        }
        _ => asa(command),
    };
    assert_eq!(judge(STARS, &all).1.starttls, StartTls::TakenAway);
    let none = |command| match command {
        Command::Ehlo => "250-x\r\n250-8BITMIME\r\n250 XXXA\r\n",
        _ => asa(command),
    };
    assert_eq!(judge(STARS, &none).1.starttls, StartTls::NotOffered);
}

#[test]
fn echoes_are_read() {
    for (word, text, expected) in [
        ("goodmorning", "500 what is GOODMORNING?", Some(Echo::Intact)),
        ("goodmorning", "500 \"XXXXXXXXXXX\"", Some(Echo::Masked { kept: 0 })),
        ("EHLO", "500 'XXXXXXXXXXX'", Some(Echo::Masked { kept: 0 })),
        ("HELP", "500 HELX unknown, try HELP", Some(Echo::Masked { kept: 3 })),
        ("HELP", "500 XXX", None),
        ("STARTTLS", "502 5.5.1 not implemented", None),
    ] {
        assert_eq!(reply(text).echo(word), expected, "{text}");
    }
}

#[test]
fn a_sink_that_accepts_anything_is_only_suspected() {
    let sink = |command| if command == Command::Quit { BYE } else { OK };
    let (_, verdict) = judge(TEXT, &sink);
    assert_eq!(verdict.presence, Presence::Suspected);
    let (_, verdict) = judge(CMAP, &sink);
    assert_eq!((verdict.presence, &verdict.candidates[..]), (Presence::Found, &[Pix41][..]));
}

#[test]
fn a_server_that_knows_only_helo_is_only_suspected() {
    let (_, verdict) = judge(TEXT, &x_by_stream);
    assert_eq!(verdict.presence, Presence::Suspected);
    let weights: Vec<_> = verdict.findings.iter().map(|one| one.weight).collect();
    assert!(!weights.contains(&Weight::Sign));
}

#[test]
fn an_imitation_is_found_but_is_no_generation() {
    let (_, verdict) = judge("220 ****2***\r\n", &postfix);
    assert_eq!((verdict.presence, verdict.candidates.len()), (Presence::Found, 0));
    assert!(verdict.limits.iter().any(|limit| limit.contains("smtp-sink")));
}

#[test]
fn conversations_that_stop_early_are_judged_by_what_was_said() {
    let after_ehlo = |command| if command == Command::Ehlo { POSTFIX } else { "." };
    let (said, verdict) = judge(TEXT, &after_ehlo);
    assert_eq!((said.ending, verdict.presence), (Ending::HungUp, Presence::Unknown));
    let (_, verdict) = judge(RULE_51, &after_ehlo);
    assert_eq!(verdict.presence, Presence::Found);
    for (greeting, ending, code) in [
        ("", Ending::Silent, None),
        (".", Ending::HungUp, None),
        ("421 too busy\r\n", Ending::HungUp, Some(421)),
        ("554 no mail here\r\n", Ending::Done, Some(554)),
        ("SSH-2.0-OpenSSH_9.2\r\n", Ending::Done, None),
        ("\x00\x01\x02\n", Ending::Done, None),
        ("220-first\r\n", Ending::Silent, Some(220)),
    ] {
        let (said, verdict) = judge(greeting, &postfix);
        assert_eq!((said.ending, said.greeting.code()), (ending, code), "{greeting}");
        assert_eq!(verdict.presence, Presence::Unknown, "{greeting}");
        assert_eq!(verdict.starttls, StartTls::Unknown);
    }
    let silent_noop = |command| if command == Command::CutNoop { "" } else { postfix(command) };
    assert_eq!(judge(TEXT, &silent_noop).1.presence, Presence::Suspected);
}

#[test]
fn floods_end() {
    let mut dialogue = Dialogue::new();
    let long = "x".repeat(60_000);
    dialogue.received(format!("220 {long}\r\n").as_bytes());
    assert_eq!(dialogue.next(), Next::Send(Command::Ehlo));
    dialogue.received(long.as_bytes());
    assert_eq!(dialogue.next(), Next::Close);
    let said = dialogue.into_transcript();
    assert_eq!((said.ending, said.greeting.lines[0].len()), (Ending::TooMuch, 2048));
    let many = "220-x\r\n".repeat(1000);
    let said = play(&many, &|_| "");
    assert_eq!((said.ending, said.greeting.lines.len()), (Ending::TooMuch, 128));
}

#[test]
fn any_bytes_in_any_pieces_end_and_are_judged() {
    let texts = [TEXT, RULE_51, POSTFIX, "250\r\n", "\r\n", "2", "220-*\r\n*\r\n", "250-XXA\r\n"];
    for first in texts {
        for second in texts {
            let (said, verdict) = judge(first, &|_| second);
            let mut whole = Dialogue::new();
            let mut pieces = Dialogue::new();
            whole.received(first.as_bytes());
            first.bytes().for_each(|byte| pieces.received(&[byte]));
            assert_eq!(whole.next(), pieces.next());
            assert!(said.exchanges.len() <= 9);
            assert!(!report::text("x", &said, &verdict).is_empty());
        }
    }
}

#[test]
fn reports_escape_what_the_server_said() {
    let (said, verdict) = judge("220 \x1b[2Jhi\x07\r\n", &postfix);
    for report in [report::text("x", &said, &verdict), report::json("x", &said, &verdict)] {
        assert!(!report.contains(['\x1b', '\x07']), "{report}");
    }
}
