//! Dots with which Exim's file begins a block, wherever packets are cut.

use super::{Spool, Stage};
use crate::guard::tests::{Talk, changed};
use crate::guard::{Rule, Ruling};
use crate::smtp::Speaker::{Client, Server};

const EXIM: &[u8] = b"354 Enter message, ending with \".\" on a line by itself\r\n";

const HEADER: &str = "From: a@b\r\nReceived: by c\r\n\tfor <d>\r\nSubject: x\r\n\r\n";

/// How a message fares that goes to who says 354 so: the rule that ends it, if one does.
fn end(go: &[u8], message: &[u8], piece: usize) -> Option<Rule> {
    let mut talk = Talk::new(&changed("esmtp", &[]));
    talk.say(Server, b"220 a\r\n", 99);
    talk.say(Client, b"EHLO a\r\n", 99);
    talk.say(Server, b"250-a\r\n250 SIZE 99999999\r\n", 99);
    talk.say(Client, b"MAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\n", 99);
    talk.say(Server, b"250 ok\r\n250 ok\r\n", 99);
    talk.say(Client, b"DATA\r\n", 99);
    talk.say(Server, go, piece);
    talk.rulings.clear();
    talk.say(Client, message, piece);
    let reset = |ruling: &Ruling| if let Ruling::Reset(rule) = ruling { Some(*rule) } else { None };
    talk.rulings.iter().find_map(reset)
}

/// So many octets of lines, as Exim stores them: CRLF is one.
fn lines(octets: usize) -> String {
    let whole = "text of a line of fifty octets, with its end, so!\r\n".repeat(octets / 50);
    whole + &"b".repeat(octets % 50)
}

#[test]
fn a_dot_that_begins_a_block_of_exims_file_makes_commands_of_what_follows() {
    for (base, blocks) in [(19, 1), (26, 1), (19, 3), (26, 40)] {
        let before = blocks * 4_096 - base;
        for (octets, is_there) in [(before, false), (before + 1, true), (before + 2, false)] {
            for (behind, is_command) in [
                ("MAIL FROM:<a@b>", true),
                ("rcpt to:<a@b>", true),
                ("expn a", true),
                ("AUTH PLAIN x", true),
                ("STARTTLS", true),
                ("one\r\ntwo\r\nVRFY a", true),
                (&format!("{}VRFY a", "NOOP\r\n".repeat(31)), true),
                (&format!("{}VRFY a", "NOOP\r\n".repeat(32)), false),
                ("Author: a\r\nMail from me\r\n mail from:<a@b>\r\nEXPN", false),
            ] {
                let text = format!("{HEADER}{}.\r\n{behind}\r\n.\r\n", lines(octets));
                let expected = (is_there && is_command).then_some(Rule::Lookalike);
                for piece in [1, 7, 1_448, 99_999] {
                    let found = end(EXIM, text.as_bytes(), piece);
                    assert_eq!(found, expected, "{base} {octets} {behind:?} by {piece}");
                }
                let other = b"354 End data with <CR><LF>.<CR><LF>\r\n";
                assert_eq!(end(other, text.as_bytes(), 1_448), None);
            }
        }
    }
}

#[test]
fn where_the_place_is_not_known_every_dot_counts() {
    let dotted = "a\r\nb.\r\nMAIL FROM:<a@b>\r\n";
    for (head, is_odd) in [
        (HEADER.to_owned(), false),
        ("\r\n".to_owned(), false),
        ("A: b\r\n c\r\n\td\r\nE : f\r\n\r\n".to_owned(), false),
        ("From: a\r\nno field\r\n\r\n".to_owned(), true),
        ("From a@b 10:20\r\nFrom: a\r\n\r\n".to_owned(), true),
        ("From: a\r\n\r\na lone\rCR\r\n".to_owned(), true),
        ("From: a\r\n\r\na lone\nLF\r\n".to_owned(), true),
        ("From: a\nTo: b\r\n\r\n".to_owned(), true),
    ] {
        for piece in [1, 5, 999] {
            let text = format!("{head}{dotted}.\r\n");
            let expected = is_odd.then_some(Rule::Lookalike);
            assert_eq!(end(EXIM, text.as_bytes(), piece), expected, "{head:?} by {piece}");
        }
    }
}

#[test]
fn runs_are_passed_as_byte_by_byte() {
    let text = format!("{}..\r\n..\r\n.\r\na\r\n", lines(150)).repeat(40);
    for start in [0, 1, 52, 4_070] {
        let body = Spool { stage: Stage::Body, ..Spool::default() };
        let (mut runs, mut steps) = (body, body);
        let bytes = &text.as_bytes()[start..];
        let found = runs.read(bytes);
        let stepped = bytes.iter().any(|&byte| steps.step(byte));
        assert_eq!((runs, found), (steps, stepped), "{start}");
    }
}
