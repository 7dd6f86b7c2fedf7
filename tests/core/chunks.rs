//! BDAT (RFC 3030): octets are counted exactly where the server counts them, and are lines where
//! it reads lines.

use mailguard::engine::What;
use mailguard::guard::Rule;

use crate::support::esmtp::{Esmtp, Mode};
use crate::support::rig::{settings, settings_with};
use crate::support::session::{Session, lossy};

const GREETING: &str = "220 mx.example ESMTP\r\n";

const ENVELOPE: &str = "MAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\n";

/// An `esmtp` session behind its EHLO, which offers CHUNKING, with a recipient.
fn offered() -> Session {
    let mut session = Session::greeted(settings("esmtp"), Esmtp::new(GREETING));
    session.say("EHLO a\r\n");
    session.say(ENVELOPE);
    session
}

/// Every octet there is, and what would end or begin something anywhere else.
fn octets(count: usize) -> Vec<u8> {
    let all: Vec<u8> = (0..=255).chain(*b"\r\n.\r\nEXPN a\r\nBDAT 9\r\n").collect();
    all.into_iter().cycle().take(count).collect()
}

#[test]
fn chunks_of_any_size_pass_whole() {
    let mut session = offered();
    let mut message = Vec::new();
    for size in [1, 5, 4_096, 65_536] {
        let chunk = octets(size);
        let mut text = format!("BDAT {size}\r\n").into_bytes();
        text.extend_from_slice(&chunk);
        assert_eq!(session.say_pieces(&text.chunks(1_460).collect::<Vec<_>>()), "250 taken\r\n");
        message.extend(chunk);
    }
    assert_eq!(
        session.say("BDAT 3 LAST\r\nendEXPN a\r\n"),
        "250 taken\r\n500 unrecognized: EXXXXX\r\n"
    );
    message.extend_from_slice(b"end");
    assert_eq!(session.server.messages, [message]);
    assert!(session.alarms().is_empty());
}

#[test]
fn a_chunk_may_be_cut_anywhere() {
    let text = b"BDAT 10\r\nx\r\n.\r\nQU\r\nbdat 4 last\r\n\0\r\n.EXPN a\r\nNOOP\r\n";
    let expected = "BDAT 10\r\nx\r\n.\r\nQU\r\nbdat 4 LAST\r\n\0\r\n.EXXXXX\r\nNOOP\r\n";
    for first in 1..text.len() {
        for second in first..text.len() {
            let mut session = offered();
            session.say_pieces(&[&text[..first], &text[first..second], &text[second..]]);
            assert_eq!(
                &session.server_got()["EHLO a\r\n".len() + ENVELOPE.len()..],
                expected,
                "{first} {second}"
            );
            assert_eq!(session.server.messages, [b"x\r\n.\r\nQU\r\n\0\r\n.".to_vec()]);
        }
    }
}

/// SubEthaSMTP refuses a LAST in small letters, and reads the octets as lines.
#[test]
fn last_leaves_in_capitals_however_it_came() {
    for last in ["LAST", "last", "lAsT"] {
        let mut session = offered();
        session.say(&format!("BDAT 6 {last}\r\nEXPN\r\n"));
        assert!(session.server_got().ends_with("BDAT 6 LAST\r\nEXPN\r\n"), "{last}");
        let is_told = |what: &What| matches!(what, What::Edited { rule: Rule::LastChunk, .. });
        let told = session.rig.records.iter().filter(|record| is_told(&record.what)).count();
        assert_eq!(told, usize::from(last != "LAST"), "{last}");
    }
}

#[test]
fn octets_of_a_refused_chunk_are_counted_too() {
    let mut refusing = Esmtp::new(GREETING);
    refusing.bdat = "452 no room\r\n";
    let mut session = Session::greeted(settings("esmtp"), refusing);
    session.say("EHLO a\r\n");
    session.say(ENVELOPE);
    let heard = session.say("BDAT 8 LAST\r\nEXPN a\r\nEXPN b\r\n");
    assert_eq!(heard, "452 no room\r\n500 unrecognized: EXXXXX\r\n");
    assert!(!session.has_run(&["EXPN"]));
}

#[test]
fn a_chunk_that_was_not_offered_is_lines() {
    let mut plain = Esmtp::new(GREETING);
    plain.ehlo = "250-mx\r\n250 SIZE\r\n";
    let settings_of = ["esmtp", "asa", "mailguard"].map(settings);
    // Deciding by the packet, with BDAT permitted: no more.
    let packet = settings_with("esmtp", &[("unit", "packet")]);
    for (index, settings) in settings_of.into_iter().chain([packet]).enumerate() {
        let mut session = Session::greeted(settings, plain.clone());
        session.say("EHLO a\r\n");
        session.say("BDAT 8 LAST\r\nEXPN a\r\nEXPN b\r\n");
        assert_eq!(session.server.mode, Mode::Command, "{index}");
        assert!(!session.has_run(&["EXPN", "BDAT"]), "{index}: {:?}", session.server.commands);
    }
}

/// Servers offer CHUNKING in one answer and take BDAT at any time: what counts is what they count.
#[test]
fn only_the_last_hello_offers() {
    let hidden = settings_with("esmtp", &[("ehlo_keywords", "SIZE")]);
    for (settings, hellos, is_counted) in [
        (settings("esmtp"), &["EHLO a\r\n"][..], true),
        (settings("esmtp"), &[], false),
        (settings("esmtp"), &["HELO a\r\n"], false),
        (settings("esmtp"), &["EHLO a\r\n", "HELO a\r\n"], false),
        (settings("esmtp"), &["EHLO a\r\nHELO a\r\n"], false),
        (settings("esmtp"), &["HELO a\r\nEHLO a\r\n"], true),
        (settings("esmtp"), &["EHLO a\r\n", "RSET\r\n"], true),
        // Masked in the answer, but this server counts all the same.
        (hidden, &["EHLO a\r\n"], true),
    ] {
        let mut session = Session::greeted(settings, Esmtp::new(GREETING));
        for hello in hellos {
            session.say(hello);
        }
        session.say(ENVELOPE);
        session.say("BDAT 8 LAST\r\nEXPN a\r\nNOOP\r\n");
        let messages = session.server.messages.len();
        assert_eq!(messages, usize::from(is_counted), "{hellos:?}");
        assert!(!session.has_run(&["EXPN"]), "{hellos:?}");
        assert_eq!(session.has_run(&["NOOP"]), is_counted, "{hellos:?}");
        assert_eq!(session.rig.resets == 0, is_counted, "octets follow: {hellos:?}");
    }
    // The line that asks and the chunk come together: the chunk waits for the answer.
    let mut session = Session::greeted(settings("esmtp"), Esmtp::new(GREETING));
    session.say(&format!("EHLO a\r\n{ENVELOPE}BDAT 8 LAST\r\nEXPN a\r\nNOOP\r\n"));
    assert_eq!(session.server.messages, [b"EXPN a\r\n"]);
    assert!(session.has_run(&["NOOP"]) && session.alarms().is_empty());
}

#[test]
fn a_refused_ehlo_takes_no_offer_back() {
    let mut session = offered();
    session.server.ehlo = "503 twice\r\n";
    session.say("RSET\r\n");
    session.say("EHLO a\r\n");
    session.say("MAIL FROM:<a@b>\r\n");
    session.say("RCPT TO:<c@d>\r\n");
    session.say("BDAT 8 LAST\r\nEXPN a\r\nNOOP\r\n");
    assert_eq!(session.server.messages, [b"EXPN a\r\n"]);
    assert!(session.has_run(&["NOOP"]) && session.alarms().is_empty());
}

#[test]
fn a_chunk_without_a_recipient_is_one_line_that_is_none() {
    let mut session = Session::greeted(settings("esmtp"), Esmtp::new(GREETING));
    session.say("EHLO a\r\n");
    session.say("BDAT 8 LAST\r\nEXPN a\r\nNOOP\r\n");
    assert_eq!(session.alarms(), ["unexpected-reply"], "this server takes it all the same");
    assert_eq!(session.rig.resets, 0);
    assert!(session.server_got().ends_with("BDAT 8 LAST\r\nXXXXXXXXXXXX\r\n"));
}

#[test]
fn sizes_that_servers_read_differently_reset() {
    for size in [
        "5x",
        "5 ",
        "5 LA",
        "5  LAST",
        "5 LAST ",
        "5 LASTX",
        "5\tLAST",
        "5\rX",
        "99999999999",
        "5 LAST 6",
    ] {
        for cut in 0..6 {
            let mut session = offered();
            let text = format!("BDAT {size}\r\nNOOP EXPN a\r\n");
            let (head, tail) = text.as_bytes().split_at(cut);
            session.say_pieces(&[head, tail]);
            assert!(session.rig.resets > 0, "{size:?}");
            assert_eq!(session.alarms(), ["doubtful-chunk"], "{size:?}");
            assert!(!session.has_run(&["EXPN"]) && session.server.messages.is_empty(), "{size:?}");
        }
    }
    for size in ["x", "-1", "+5", "\t5", " 5", " 5 LAST"] {
        let mut session = offered();
        let heard = session.say(&format!("BDAT {size}\r\nEXPN a\r\n"));
        assert!(heard.starts_with("50") && !session.has_run(&["EXPN"]), "{size:?}: {heard}");
        assert_eq!(session.rig.resets, 0, "{size:?}");
    }
}

#[test]
fn tls_behind_a_chunk_begins_at_its_end() {
    let mut session = offered();
    let heard = session.say("BDAT 12 LAST\r\nSTARTTLS\r\nabSTARTTLS\r\n");
    assert_eq!(heard, "250 taken\r\n220 go\r\n");
    assert_eq!(session.server.messages, [b"STARTTLS\r\nab"]);
    session.say_pieces(&[b"\x16\x03\x01\0\x40\x01"]);
    assert_eq!(lossy(&session.server.tls), "\x16\x03\x01\0\x40\x01");
    let mut session = offered();
    session.say("BDAT 2 LAST\r\nabSTARTTLS\r\nEXPN a\r\n");
    assert!(session.rig.resets > 0 && session.server.tls.is_empty());
}

#[test]
fn what_lies_inside_a_chunk_passes_ahead_of_a_gap() {
    let chunk = octets(60);
    let text = [b"BDAT 60\r\n", chunk.as_slice(), b"EXPN a\r\n"].concat();
    let mut session = offered();
    let start = session.text.len();
    session.queue(&[&text[..9], &text[9..29], &text[29..49], &text[49..69], &text[69..]]);
    let edges: Vec<usize> = session.edges.iter().copied().filter(|&edge| edge >= start).collect();
    session.send(edges[0], edges[1]);
    for (part, is_early) in [(2, true), (3, true), (4, false)] {
        session.verdicts.clear();
        session.send(edges[part], edges[part + 1]);
        let has_passed = session.rig.refusal(session.verdicts[0]).is_none();
        assert_eq!(has_passed, is_early, "part {part}");
    }
    // One that crosses the chunk's end waits.
    session.verdicts.clear();
    session.send(edges[3], edges[5]);
    assert!(session.rig.refusal(session.verdicts[0]).is_some());
    session.settle();
    assert_eq!(session.server.mode, Mode::Command);
    assert!(session.server_got().ends_with("EXXXXX\r\n"));
    assert_eq!(session.rig.original.bytes()[start + 9..start + 69], chunk);
    assert_eq!(session.rig.resets, 0);
}
