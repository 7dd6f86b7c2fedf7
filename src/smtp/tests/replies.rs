//! How reply lines are read, and what replies do in the middle of something.

#![allow(clippy::wildcard_enum_match_arm, reason = "a test names what it looks for")]

use super::*;

/// The runs of what the server says, cut into pieces of this size.
fn parts(text: &str, piece: usize) -> Vec<(&'static str, String)> {
    let mut talk = Talk::new();
    let mut parts: Vec<(&str, String)> = Vec::new();
    for piece in text.as_bytes().chunks(piece) {
        for (step, run) in talk.read(Speaker::Server, piece, 0) {
            let part = match step.event {
                Event::ReplyCode(_) => "code",
                Event::ReplySeparator(_) => "separator",
                Event::ReplyKeyword(_) => "keyword",
                Event::ReplyText(_) => "text",
                Event::ReplyEnd(_) => "end",
                other => panic!("{other:?}"),
            };
            let run = String::from_utf8(run).unwrap();
            match parts.last_mut() {
                Some((last, bytes)) if *last == part && part != "end" => *bytes += &run,
                _ => parts.push((part, run)),
            }
        }
    }
    parts
}

#[test]
fn reply_lines_are_read_in_their_parts() {
    for (line, expected) in [
        ("250 ok\r\n", "code=250 separator=_ keyword=ok text=R end=N"),
        ("250-AUTH=PLAIN X\r\n", "code=250 separator=- keyword=AUTH text==PLAIN_XR end=N"),
        ("250-SIZE 9\r\n", "code=250 separator=- keyword=SIZE text=_9R end=N"),
        ("250- x\r\n", "code=250 separator=- text=_xR end=N"),
        ("250\r\n", "code=250 text=R end=N"),
        ("250 \r\n", "code=250 separator=_ text=R end=N"),
        ("250\n", "code=250 end=N"),
        ("250 x\n", "code=250 separator=_ keyword=x end=N"),
        ("25 ok\r\n", "code=25 text=_okR end=N"),
        ("2505 ok\r\n", "code=250 text=5_okR end=N"),
        ("ok\r\n", "text=okR end=N"),
        ("\n", "end=N"),
    ] {
        for piece in 1..=line.len() {
            let shown: Vec<_> = parts(line, piece)
                .iter()
                .map(|(part, run)| {
                    format!(
                        "{part}={}",
                        run.replace(' ', "_").replace('\r', "R").replace('\n', "N")
                    )
                })
                .collect();
            assert_eq!(shown.join(" "), expected, "{line:?} in pieces of {piece}");
        }
    }
}

#[test]
fn a_lines_end_says_what_the_line_said() {
    for (line, code, is_last, keyword) in [
        ("250 ok\r\n", Some(250), true, "OK"),
        ("250-Size=9\r\n", Some(250), false, "SIZE"),
        ("250\r\n", Some(250), true, ""),
        ("250-\r\n", Some(250), false, ""),
        ("25 ok\r\n", None, true, ""),
        ("2505 ok\r\n", None, true, ""),
        ("\r\n", None, true, ""),
        ("250 AVERYLONGKEYWORDOFTWENTY4\r\n", Some(250), true, ""),
        ("250 AVERYLONGKEYWORDOFTWENTY\r\n", Some(250), true, "AVERYLONGKEYWORDOFTWENTY"),
    ] {
        let mut talk = Talk::new();
        let steps = talk.read(Speaker::Server, line.as_bytes(), 0);
        let Some((Step { event: Event::ReplyEnd(end), .. }, _)) = steps.last() else {
            panic!("{line:?}: {steps:?}")
        };
        assert_eq!((end.code, end.is_last), (code, is_last), "{line:?}");
        assert_eq!(end.keyword.as_bytes(), keyword.as_bytes(), "{line:?}");
        assert_eq!(end.keyword.is_too_long(), line.contains("TWENTY4"), "{line:?}");
    }
}

#[test]
fn the_code_is_known_before_the_first_byte_of_text() {
    let mut talk = Talk::new();
    talk.client("EHLO a\r\n");
    talk.server("220 hi\r\n");
    for (step, run) in talk.read(Speaker::Server, b"250-mx 1\r\n250 x\r\n", 8) {
        match step.event {
            Event::ReplyKeyword(reply) | Event::ReplyText(reply) | Event::ReplyEnd(reply) => {
                assert_eq!(reply.code, Some(250));
                assert_eq!(reply.answers, Answers::Verb(Verb::Ehlo));
                assert_eq!(reply.is_later_line, reply.is_last, "{run:?}");
            }
            _ => {}
        }
    }
}

#[test]
fn a_line_without_a_code_takes_no_place() {
    for odd in ["* hello\r\n", "OK\r\n", "2500 x\r\n", "\r\n"] {
        let mut talk = Talk::greeted();
        talk.client("EHLO a\r\nNOOP\r\n");
        assert_eq!(talk.server(odd), Some(Fault::MalformedReply));
        assert_eq!(talk.server(&format!("250-mx\r\n{odd}250 x\r\n")), Some(Fault::MalformedReply));
        assert_eq!(talk.server("250 ok\r\n"), None, "{odd:?}");
        assert!(talk.dialogue.is_idle(), "{odd:?}");
    }
}

/// What follows the code is no space: servers of one's own making say such things, and most clients
/// look at no more than the three digits.
#[test]
fn a_354_with_anything_behind_it_grants_data() {
    for (reply, is_granted) in [
        ("354Go ahead\r\n", true),
        ("354\tGo\r\n", true),
        ("354:\r\n", true),
        ("354\r\n", true),
        ("3540 go\r\n", false),
        ("35 4 go\r\n", false),
        ("250Go\r\n", false),
    ] {
        for piece in 1..=reply.len() {
            let mut talk = Talk::greeted();
            talk.client("DATA\r\n");
            let pieces = reply.as_bytes().chunks(piece).map(|part| str::from_utf8(part).unwrap());
            let faults: Vec<_> = pieces.filter_map(|part| talk.server(part)).collect();
            assert_eq!(faults.is_empty(), is_granted, "{reply:?} in pieces of {piece}");
            let is_data = matches!(talk.expect(), Expect::Data(_));
            assert_eq!(is_data, is_granted, "{reply:?} in pieces of {piece}");
        }
    }
    // Where nobody has asked for that, it is no reply.
    let mut talk = Talk::greeted();
    talk.client("NOOP\r\n");
    assert_eq!(talk.server("354Go ahead\r\n"), Some(Fault::MalformedReply));
}

#[test]
fn a_line_without_a_code_frees_who_waits() {
    for line in ["DATA\r\n", "STARTTLS\r\n", "AUTH LOGIN\r\n"] {
        for (odd, is_free) in [("4.7.0 no\r\n", true), ("Error: x\r\n", true), ("\r\n", false)] {
            let mut talk = Talk::greeted();
            talk.client(line);
            let short = line.len() as u64 - 1;
            assert_eq!(talk.server_covering(short, odd), Some(Fault::MalformedReply));
            assert_eq!(talk.expect(), Expect::Wait, "not yet received: {line:?} {odd:?}");
            assert_eq!(talk.server(odd), Some(Fault::MalformedReply));
            assert_eq!(talk.expect() == Expect::Command, is_free, "{line:?} {odd:?}");
            if is_free {
                // The answer to the next line is not taken for the missing one.
                talk.client("RSET\r\n");
                assert_eq!(talk.server("250 ok\r\n"), None);
                assert!(talk.dialogue.is_idle());
            }
        }
    }
    // Behind a 334 too, where the next line would not be judged.
    let mut talk = Talk::greeted();
    talk.client("AUTH LOGIN\r\n");
    talk.server("334 a\r\nError: no\r\n");
    assert_eq!(talk.expect(), Expect::Command);
}

/// Their clients take them for answers.
#[test]
fn a_code_that_answers_nothing_frees_who_waits() {
    for (line, odd) in [
        ("DATA\r\n", "250 ok\r\n"),
        ("DATA\r\n", "220 go\r\n"),
        ("DATA\r\n", "334 go\r\n"),
        ("DATA\r\n", "250-checking\r\n550 no\r\n"),
        ("STARTTLS\r\n", "334 go\r\n"),
        ("AUTH LOGIN\r\n", "220 go\r\n"),
        ("AUTH LOGIN\r\n", "334 a\r\n220 go\r\n"),
    ] {
        let mut talk = Talk::greeted();
        talk.client(line);
        let short = line.len() as u64 - 1;
        assert_eq!(talk.server_covering(short, odd), Some(Fault::UnexpectedReply), "{line:?}");
        assert_eq!(talk.expect(), Expect::Wait, "not yet received: {line:?} {odd:?}");
        assert_eq!(talk.server(odd), Some(Fault::UnexpectedReply), "{line:?} {odd:?}");
        assert_eq!(talk.expect(), Expect::Command, "{line:?} {odd:?}");
        talk.client("RSET\r\n");
        assert_eq!(talk.server("250 ok\r\n"), None, "{line:?} {odd:?}");
        assert!(talk.dialogue.is_idle(), "{line:?} {odd:?}");
    }
    for (late, fault) in [("", None), ("RSET\r\n", Some(Fault::LateData))] {
        let mut talk = Talk::greeted();
        talk.client("DATA\r\n");
        talk.server("250 ok\r\n");
        talk.client(late);
        assert_eq!(talk.server("354 go\r\n"), fault, "{late:?}");
    }
}

#[test]
fn who_was_told_to_quit_may_leave_without_a_word() {
    for (lines, fault) in [
        ("QUIT\r\n", None),
        ("NOOP\r\n", Some(Fault::EndedEarly)),
        ("NOOP\r\nQUIT\r\n", Some(Fault::EndedEarly)),
    ] {
        let mut talk = Talk::greeted();
        talk.client(lines);
        assert_eq!(talk.dialogue.end(Speaker::Server), fault, "{lines:?}");
    }
}

/// Whoever is on a list of blocked addresses hears why, once.
#[test]
fn a_server_may_leave_behind_a_refusal_for_good() {
    for (replies, fault) in [
        ("550 5.7.1 blocked\r\n", None),
        ("554 no\r\n", None),
        ("450 later\r\n", Some(Fault::EndedEarly)),
        ("550 no\r\n250 ok\r\n", Some(Fault::EndedEarly)),
    ] {
        let mut talk = Talk::greeted();
        talk.client("MAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\nNOOP\r\n");
        talk.server(replies);
        assert_eq!(talk.dialogue.end(Speaker::Server), fault, "{replies:?}");
    }
}

#[test]
fn a_line_without_a_code_may_have_answered_what_stood_alone() {
    for (lines, replies) in
        [("NOOP\r\n", "250 next\r\n"), ("EHLO a\r\nNOOP\r\n", "250 ok\r\n250 ok\r\n250 next\r\n")]
    {
        let mut talk = Talk::greeted();
        talk.client(lines);
        assert_eq!(talk.server("odd\r\n"), Some(Fault::MalformedReply));
        talk.client("RSET\r\n");
        assert_eq!(talk.server(replies), None, "{lines:?}");
        assert!(talk.dialogue.is_idle(), "{lines:?}");
    }
}

#[test]
fn a_line_without_a_code_lets_nobody_go_who_does_not_wait() {
    let mut talk = Talk::greeted();
    talk.client("DATA\r\n");
    talk.server("odd\r\n");
    talk.client("RS");
    talk.server("odd again\r\n");
    let events = talk.client("ET\r\n");
    assert_eq!(events[0], (Event::CommandWord(word("RSE")), b"E".to_vec()));
}

#[test]
fn what_comes_late_still_counts_if_nothing_was_said_meanwhile() {
    let tls = Expect::Tls(TlsStart::default());
    for (line, reply, expect, late) in [
        ("DATA\r\n", "354 go\r\n", Expect::Data(MailData::Line), Fault::LateData),
        ("STARTTLS\r\n", "220 go\r\n", tls, Fault::PlaintextForTls),
        ("AUTH LOGIN\r\n", "334 go\r\n", Expect::AuthLine, Fault::UnexpectedReply),
    ] {
        let mut talk = Talk::greeted();
        talk.client(line);
        talk.server("odd line\r\n");
        assert_eq!(talk.server(reply), None, "{line:?}");
        assert_eq!(talk.expect(), expect, "{line:?}");
        for said in ["R", "RSET\r\n"] {
            let mut talk = Talk::greeted();
            talk.client(line);
            talk.server("odd line\r\n");
            talk.client(said);
            assert_eq!(talk.server(reply), Some(late), "{line:?} {said:?}");
            assert_eq!(talk.expect(), Expect::Command, "{line:?} {said:?}");
        }
        let mut talk = Talk::greeted();
        talk.client(line);
        assert_eq!(talk.server("odd line\r\n450 no\r\n"), Some(Fault::MalformedReply));
        assert!(talk.dialogue.is_idle(), "{line:?}");
    }
}

#[test]
fn a_final_reply_inside_data_disowns_the_rest() {
    let mut talk = Talk::in_data();
    talk.client("text\r\nVR");
    assert_eq!(talk.server("552 too big\r\n"), Some(Fault::ReplyInsideData));
    let events = talk.client("FY\r\nRSET\r\n.\r\nNOOP\r\n");
    let events: Vec<_> = events.iter().map(|(event, run)| (*event, run.as_slice())).collect();
    assert_eq!(
        events[..3],
        [
            (Event::Disowned(MailData::Middle), b"FY\r\nRSET".as_slice()),
            (Event::DataEnd, b"\r\n.\r\n"),
            (Event::CommandWord(word("N")), b"N"),
        ]
    );
    assert!(matches!(talk.changes()[1], Change::DataEnds { .. }));
    // Its end was answered by that, unless nothing else can be.
    for (line, reply) in [("MAIL x\r\n", "250 ok\r\n"), ("", "250 ok\r\n")] {
        let mut talk = Talk::in_data();
        assert_eq!(talk.server("552 too big\r\n"), Some(Fault::ReplyInsideData));
        talk.client(format!("x\r\n.\r\n{line}"));
        assert_eq!(talk.server(reply), None);
        assert!(talk.dialogue.is_idle(), "{line:?}");
    }
    // Lines of masked text may be answered one by one: told once is enough.
    let mut talk = Talk::in_data();
    assert_eq!(talk.server("552 too big\r\n"), Some(Fault::ReplyInsideData));
    talk.client("a\r\nb\r\n");
    assert_eq!(talk.server("500 a\r\n500 b\r\n"), None);
}

#[test]
fn a_server_that_leaves_in_data_is_no_alarm_until_it_stays() {
    for code in ["421", "451", "554", "221", "521"] {
        let mut talk = Talk::in_data();
        assert_eq!(talk.server(&format!("{code} bye\r\n")), None);
        assert!(matches!(talk.expect(), Expect::Disowned(_)));
        assert_eq!(talk.dialogue.end(Speaker::Server), None);
        talk.client("x\r\n.\r\n");
        assert_eq!(talk.server("250 ok\r\n"), Some(Fault::ReplyInsideData), "{code}");
    }
}

#[test]
fn a_success_said_before_any_text_was_received_ends_no_data() {
    for (reply, text, is_data) in [
        ("250 late\r\n", "", true),
        ("250-late\r\n250 x\r\n", "", true),
        ("250 taken\r\n", "x", false),
        ("550 no\r\n", "", false),
        ("221 bye\r\n", "", false),
    ] {
        let mut talk = Talk::in_data();
        talk.client(text);
        let fault = talk.server(reply);
        assert_eq!(matches!(talk.expect(), Expect::Data(_)), is_data, "{reply:?} {text:?}");
        assert_eq!(fault == Some(Fault::UnexpectedReply), is_data, "{reply:?} {text:?}");
    }
}

#[test]
fn a_354_that_skips_lines_behind_a_refused_data_is_too_late() {
    for (between, fault) in [("", Fault::LateData), ("500 what\r\n", Fault::SkippedReply)] {
        let mut talk = Talk::greeted();
        talk.client("DATA\r\n");
        talk.server("451 astray\r\n");
        talk.client("Subject: x\r\nhi\r\nDATA\r\n");
        talk.server(between);
        assert_eq!(talk.server("354 go\r\n"), Some(fault), "{between:?}");
    }
}

/// With which of so many lines like this the server babbles.
fn babbles(talk: &mut Talk, line: &str, lines: usize) -> Option<usize> {
    (1..=lines).find(|_| talk.server(line) == Some(Fault::Babble))
}

#[test]
fn a_server_that_answers_nothing_any_more_babbles() {
    for (line, after) in [
        ("what\r\n", Some(49)),
        ("\n", Some(49)),
        ("250 ok\r\n", Some(49)),
        ("421 busy\r\n", Some(49)),
        ("250-a\r\n", Some(49)),
        ("250-12345678\r\n", Some(49)),
        ("250-PIPELINING\r\n", None),
        ("250-a line of a reply that goes on and on\r\n", None),
    ] {
        assert_eq!(babbles(&mut Talk::greeted(), line, 1_000), after, "{line:?}");
    }
}

#[test]
fn whoever_answers_in_between_does_not_babble() {
    let mut talk = Talk::greeted();
    for _ in 0..20 {
        talk.client("NOOP\r\n");
        let before = babbles(&mut talk, "what\r\n", 48);
        assert_eq!((before, talk.server("250 at last\r\n")), (None, None));
    }
    // Each line of the text may be one that the server took for a command.
    let mut talk = Talk::in_data();
    talk.client("text\r\n");
    assert_eq!(talk.server("552 Too much\r\n"), Some(Fault::ReplyInsideData));
    assert_eq!(babbles(&mut talk, "500 what?\r\n", 1_000), None);
    assert_eq!(babbles(&mut talk, "what?\r\n", 1_000), Some(49));
    assert_eq!(babbles(&mut talk, "what?\r\n", 1_000), None, "it is said once");
}

/// Courier and Python's smtpd end a line at CRLF alone: what stands behind a LF is a part of it.
#[test]
fn what_follows_a_line_that_ends_in_a_bare_lf_waits_for_its_answer() {
    for line in ["NOOP a\n", "MAIL FROM:<a@b>\n", "XXXX\n", " NOOP\n"] {
        let mut talk = Talk::greeted();
        talk.client(line);
        assert_eq!(talk.expect(), Expect::Wait, "{line:?}");
        let whole = talk.dialogue.whole_line(b"RSET\r\n").is_some();
        assert!(!whole && talk.client("RSET\r\n").last().unwrap().0 == Event::Wait, "{line:?}");
        talk.server("250 ok\r\n");
        assert_eq!(talk.expect(), Expect::Command, "{line:?}");
    }
    // Behind an empty line nothing is a verb for who reads on, and some servers pass over it.
    let mut talk = Talk::greeted();
    talk.client("\n");
    assert_eq!(talk.expect(), Expect::Command);
    // The originals wait for nothing.
    let mut dialogue = Dialogue::new(DataBegins::OnReply).with_masked_chunks(MaskedChunk::Lines);
    let line = dialogue.whole_line(b"NOOP\n").unwrap();
    dialogue.take_line(&line, Offset::ZERO);
    assert!(dialogue.whole_line(b"NOOP\n").is_some());
}
