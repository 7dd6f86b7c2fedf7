//! Each limit: the last that is permitted, and the first beyond.

use crate::guard::tests::{Talk, changed};
use crate::guard::{Rule, Ruling};
use crate::smtp::Speaker::{Client, Server};

/// A line that is counted, what answers it, and what stands before each of them.
struct Case {
    key: &'static str,
    rule: Rule,
    before: &'static str,
    line: &'static str,
    answer: &'static str,
}

const CASES: [Case; 7] = [
    Case {
        key: "refused_lines_max",
        rule: Rule::RefusedLines,
        before: "",
        line: "TURN\r\n",
        answer: "500 no\r\n",
    },
    Case {
        key: "empty_lines_max",
        rule: Rule::EmptyLines,
        before: "",
        line: "\r\n",
        answer: "500 no\r\n",
    },
    Case {
        key: "idle_commands_max",
        rule: Rule::IdleCommands,
        before: "",
        line: "NOOP\r\n",
        answer: "250 ok\r\n",
    },
    Case {
        key: "failed_auth_max",
        rule: Rule::FailedAuth,
        before: "",
        line: "AUTH PLAIN x\r\n",
        answer: "535 no\r\n",
    },
    Case {
        key: "rejected_recipients_max",
        rule: Rule::RejectedRecipients,
        before: "",
        line: "RCPT TO:<a@b>\r\n",
        answer: "550 no\r\n",
    },
    Case {
        key: "chunks_small_max",
        rule: Rule::SmallChunks,
        before: "",
        line: "BDAT 0\r\n",
        answer: "250 ok\r\n",
    },
    Case {
        key: "messages_max",
        rule: Rule::Messages,
        before: "MAIL FROM:<a@b>\r\n",
        line: "DATA\r\n",
        answer: "354 go\r\n",
    },
];

/// A talk in which chunks may come.
fn talk(case: &Case, limit: &str) -> Talk {
    let none = ("idle_commands_max", "0");
    let mut talk = Talk::new(&changed("esmtp", &[none, (case.key, limit)]));
    talk.say(Server, b"220 a\r\n", 99);
    if case.rule == Rule::SmallChunks {
        talk.say(Client, b"EHLO a\r\n", 99);
        talk.say(Server, b"250-a\r\n250 CHUNKING\r\n", 99);
        talk.say(Client, b"MAIL FROM:<a@b>\r\nRCPT TO:<a@b>\r\n", 99);
        talk.say(Server, b"250 ok\r\n250 ok\r\n", 99);
    }
    talk
}

/// Says the line so often; whether the last of it has left.
fn play(case: &Case, talk: &mut Talk, times: usize, size: usize) {
    for _ in 0..times {
        if !case.before.is_empty() {
            talk.say(Client, case.before.as_bytes(), size);
            talk.say(Server, b"250 ok\r\n", 99);
        }
        talk.say(Client, case.line.as_bytes(), size);
        talk.say(Server, case.answer.as_bytes(), size);
        if case.rule == Rule::Messages {
            talk.say(Client, b"x\r\n.\r\n", size);
            talk.say(Server, b"250 ok\r\n", 99);
        }
    }
}

#[test]
fn the_last_permitted_passes_and_the_first_beyond_ends_the_flow() {
    for case in &CASES {
        for size in [1, 3, 99] {
            let mut permitted = talk(case, "4");
            play(case, &mut permitted, 4, size);
            assert_eq!(permitted.ended(), None, "{}", case.key);
            let mut beyond = talk(case, "4");
            play(case, &mut beyond, 5, size);
            assert_eq!(beyond.ended(), Some(case.rule), "{}", case.key);
            let Some(Ruling::Exceed(excess)) = beyond.rulings.last() else { panic!() };
            assert_eq!((excess.count, excess.limit), (5, 4), "{}", case.key);
        }
    }
}

#[test]
fn what_is_only_logged_goes_on_and_0_sets_no_limit() {
    for case in &CASES {
        for (limit, told) in [("4 log", true), ("0", false)] {
            let mut talk = talk(case, limit);
            play(case, &mut talk, 9, 3);
            assert_eq!(talk.ended(), None, "{}", case.key);
            let is_told = |ruling: &Ruling| {
                let Ruling::Exceed(excess) = ruling else { return false };
                excess.rule == case.rule && !excess.is_end
            };
            assert_eq!(talk.rulings.iter().any(is_told), told, "{}", case.key);
        }
    }
}

#[test]
fn a_message_begins_some_counts_anew() {
    let limits = [("idle_commands_max", "2"), ("empty_lines_max", "2")];
    let settings = changed("esmtp", &limits);
    let mut talk = Talk::new(&settings);
    for _ in 0..3 {
        talk.say(Client, b"NOOP\r\nRSET\r\nDATA\r\n", 4);
        talk.say(Server, b"220 a\r\n250 ok\r\n250 ok\r\n354 go\r\n", 99);
        talk.say(Client, b"x\r\n.\r\n", 4);
        talk.say(Server, b"250 ok\r\n", 99);
    }
    assert_eq!(talk.ended(), None);
    talk.say(Client, b"\r\n\r\nMAIL FROM:<a@b>\r\n\r\n\n", 4);
    assert_eq!(talk.ended(), None);
    talk.say(Client, b"\n", 4);
    assert_eq!(talk.ended(), Some(Rule::EmptyLines));
}

/// A sender that a server refuses for now has done nothing wrong.
#[test]
fn a_refusal_for_now_is_no_refusal_of_a_recipient() {
    let mut talk = Talk::new(&changed("esmtp", &[("rejected_recipients_max", "2")]));
    talk.say(Server, b"220 a\r\n", 99);
    for _ in 0..9 {
        talk.say(Client, b"RCPT TO:<a@b>\r\n", 99);
        talk.say(Server, b"450 later\r\n", 99);
    }
    assert_eq!(talk.ended(), None);
}

#[test]
fn a_chunk_of_64_octets_is_not_small() {
    for (chunk, ends) in [("BDAT 64\r\n", false), ("BDAT 63\r\n", true), ("BDAT 9\r\n", true)] {
        let octets = chunk[5..chunk.len() - 2].parse().unwrap();
        let mut talk = talk(&CASES[5], "1");
        for _ in 0..3 {
            talk.say(Client, chunk.as_bytes(), 99);
            talk.say(Client, "x".repeat(octets).as_bytes(), 99);
            talk.say(Server, b"250 ok\r\n", 99);
        }
        assert_eq!(talk.ended(), ends.then_some(Rule::SmallChunks), "{chunk:?}");
    }
}

#[test]
fn a_transaction_that_begins_has_no_chunks_yet() {
    for (answer, ends) in [("250 ok\r\n", false), ("503 nested\r\n", true)] {
        let mut talk = talk(&CASES[5], "2");
        for answer in ["250 ok\r\n", answer] {
            talk.say(Client, b"RSET\r\n", 99);
            talk.say(Server, b"500 what\r\n", 99);
            talk.say(Client, b"MAIL FROM:<a@b>\r\n", 99);
            talk.say(Server, answer.as_bytes(), 99);
            talk.say(Client, b"RCPT TO:<a@b>\r\n", 99);
            talk.say(Server, b"250 ok\r\n", 99);
            for _ in 0..2 {
                talk.say(Client, b"BDAT 0\r\n", 99);
                talk.say(Server, b"250 ok\r\n", 99);
            }
        }
        assert_eq!(talk.ended(), ends.then_some(Rule::SmallChunks), "{answer:?}");
    }
}

#[test]
fn a_message_in_chunks_ends_with_its_last() {
    for (chunk, expected) in [
        ("BDAT 1 LAST\r\nx", Some(Rule::Messages)),
        ("BDAT 1\r\nx", None),
        ("BDAT  1\r\nx", None),
        ("BDAT 1 \r\nx", None),
    ] {
        let mut talk = Talk::new(&changed("esmtp", &[("messages_max", "1")]));
        talk.say(Server, b"220 a\r\n", 99);
        talk.say(Client, b"EHLO a\r\n", 99);
        talk.say(Server, b"250-a\r\n250 CHUNKING\r\n", 99);
        for _ in 0..2 {
            talk.say(Client, b"MAIL FROM:<a@b>\r\nRCPT TO:<a@b>\r\n", 99);
            talk.say(Server, b"250 ok\r\n250 ok\r\n", 99);
            talk.say(Client, chunk.as_bytes(), 99);
            talk.say(Server, b"250 ok\r\n", 99);
        }
        assert_eq!(talk.ended(), expected, "{chunk:?}");
    }
}

/// A line that is refused here is answered all the same, and one that is no command costs the
/// server as much as one that is refused.
#[test]
fn no_line_leads_past_a_limit() {
    for (limit, before, last, rule) in [
        ("failed_auth_max", "AUTHX\r\n", "AUTH PLAIN x\r\n", Rule::FailedAuth),
        ("failed_auth_max", "AUTH PLAIN \0\r\n", "AUTH PLAIN x\r\n", Rule::FailedAuth),
        ("refused_lines_max", "M\r\n", "HEL\r\n", Rule::RefusedLines),
        ("refused_lines_max", "\r\r\n", "\r\r\n", Rule::RefusedLines),
    ] {
        let mut talk = Talk::new(&changed("esmtp", &[(limit, "2"), ("parameters", "any")]));
        talk.say(Server, b"220 a\r\n", 99);
        talk.say(Client, b"EHLO a\r\n", 99);
        talk.say(Server, b"250-a\r\n250 AUTH PLAIN\r\n", 99);
        for line in [last, last, before, last] {
            talk.say(Client, line.as_bytes(), 99);
            talk.say(Server, b"535 no\r\n", 99);
        }
        assert_eq!(talk.ended(), Some(rule), "{before:?}");
    }
    // An empty line behind what is none either goes on with the row.
    let mut talk = Talk::new(&changed("esmtp", &[("empty_lines_max", "2")]));
    talk.say(Server, b"220 a\r\n", 99);
    for line in ["\r\n", "\r\n", "\r\r\n", "\r\n"] {
        talk.say(Client, line.as_bytes(), 99);
        talk.say(Server, b"500 no\r\n", 99);
    }
    assert_eq!(talk.ended(), Some(Rule::EmptyLines));
}

/// What nobody takes is no message, and ends no row of commands that bring none on its way.
#[test]
fn a_last_chunk_counts_where_it_was_taken() {
    for (answer, is_ended) in [("250 ok\r\n", false), ("503 no\r\n", true)] {
        let mut talk = Talk::new(&changed("esmtp", &[("idle_commands_max", "2")]));
        talk.begin(b"250-a\r\n250 CHUNKING\r\n");
        talk.say(Client, b"NOOP\r\n", 99);
        talk.say(Server, b"250 ok\r\n", 99);
        talk.say(Client, b"BDAT 0 LAST\r\n", 99);
        talk.say(Server, answer.as_bytes(), 99);
        talk.say(Client, b"NOOP\r\n", 99);
        assert_eq!(talk.ended().is_some(), is_ended, "{answer}");
    }
}
