//! BDAT: what is counted, when, and what no server would count alike.

#![allow(clippy::wildcard_enum_match_arm, reason = "a test names what it looks for")]

use super::*;

const ENVELOPE: &str = "MAIL FROM:<a>\r\nRCPT TO:<b>\r\n";

/// A dialogue with a server that offers CHUNKING.
fn offered() -> Talk {
    let mut talk = Talk::greeted();
    talk.client("EHLO a\r\n");
    assert_eq!(talk.server("250-mx\r\n250-SIZE 5\r\n250 chunking\r\n"), None);
    talk
}

/// The same, with a recipient.
fn with_recipient() -> Talk {
    let mut talk = offered();
    talk.client(ENVELOPE);
    assert_eq!(talk.server("250 ok\r\n250 ok\r\n"), None);
    talk
}

fn chunk(left: u32) -> Expect {
    Expect::Chunk { left }
}

#[test]
fn chunks_are_counted_and_not_read() {
    let mut talk = with_recipient();
    let start = talk.at;
    let mut chunks = Vec::new();
    for input in ["BDAT 6\r\nVRFY\r\n", "BDAT 0\r\n", "bdat 5 last\r\n\r\n.\r\n", "NOOP\r\n"] {
        let events = talk.client(input).into_iter();
        chunks.extend(events.filter_map(|(event, bytes)| (event == Event::Chunk).then_some(bytes)));
        assert_eq!(talk.server("250 ok\r\n"), None);
    }
    assert_eq!(chunks, [b"VRFY\r\n".to_vec(), b"\r\n.\r\n".to_vec()]);
    assert_eq!(talk.expect(), Expect::Command);
    let begin = Change::ChunksBegin { at: at(start + 8), octets: 6 };
    let end = Change::ChunksEnd { at: at(start + 40), octets: 11, chunks: 3 };
    assert_eq!(talk.changes(), [begin, end]);
    assert!(talk.dialogue.is_idle());
}

#[test]
fn a_message_in_chunks_is_told_however_it_ends() {
    for (text, told) in [
        ("BDAT 2 LAST\r\nab", vec![(true, 2, 0), (false, 2, 1)]),
        ("BDAT 0 LAST\r\n", vec![(false, 0, 1)]),
        ("BDAT 2\r\nabBDAT 0 LAST\r\n", vec![(true, 2, 0), (false, 2, 2)]),
        ("BDAT 0\r\nBDAT 1 LAST\r\nx", vec![(true, 0, 0), (false, 1, 2)]),
        ("BDAT 2\r\nabRSET\r\n", vec![(true, 2, 0)]),
        ("BDAT 2 LAST\r\na", vec![(true, 2, 0)]),
    ] {
        let mut talk = with_recipient();
        let second =
            text.get(1..).and_then(|text| text.find("BDAT")).map_or(text.len(), |at| at + 1);
        let (first, second) = text.split_at(second);
        talk.client(first);
        if !second.is_empty() {
            talk.server("250 ok\r\n");
            talk.client(second);
        }
        let found: Vec<_> = talk
            .changes()
            .into_iter()
            .map(|change| match change {
                Change::ChunksBegin { octets, .. } => (true, u64::from(octets), 0),
                Change::ChunksEnd { octets, chunks, .. } => (false, octets, chunks),
                other => panic!("{other:?}"),
            })
            .collect();
        assert_eq!(found, told, "{text:?}");
    }
    let mut talk = with_recipient();
    talk.client(format!("BDAT 2\r\nabRSET\r\n{ENVELOPE}"));
    talk.server("250 a\r\n250 b\r\n250 c\r\n250 d\r\n");
    talk.client("BDAT 1 LAST\r\nx");
    let Some(Change::ChunksEnd { octets, chunks, .. }) = talk.changes().pop() else { panic!() };
    assert_eq!((octets, chunks), (1, 1), "what was reset is not counted");
}

#[test]
fn doubtful_chunk_sizes_are_stray() {
    for size in ["", "x", "-1", "+5", "5x", "5 LASTX", "5 FIRST", "99999999999", "5\tLAST", "5 LA"]
    {
        let mut talk = with_recipient();
        let events = talk.client(format!("BDAT {size}\r\n"));
        let is_stray = events.iter().any(|(event, _)| *event == Event::CommandStray);
        assert_eq!(is_stray, !size.is_empty() && size != "5 LA", "{size}");
        assert!(!events.iter().any(|(event, _)| *event == Event::Chunk), "{size}");
        assert_eq!(talk.expect(), Expect::Command, "{size}");
    }
}

#[test]
fn a_size_that_servers_count_differently_is_fatal() {
    for (size, is_fatal) in [
        ("5", false),
        ("5 LAST", false),
        ("x", false),
        ("-1", false),
        ("+5", false),
        ("2147483647", false),
        ("02147483647 LAST", true),
        ("00 LAST", true),
        ("2147483648", true),
        (" 5 LAST", false),
        ("5 last", false),
        ("5x", true),
        ("5 ", true),
        ("5  LAST", true),
        ("5 LAST ", true),
        ("5 LA", true),
        ("5 LASTX", true),
        ("5 LAST LAST", true),
        ("5\tLAST", true),
        ("5\rX", true),
        ("5\0", true),
        ("99999999999", true),
    ] {
        for piece in [1, 99] {
            let mut talk = with_recipient();
            let line = format!("BDAT {size}\r\n");
            let fault = line.as_bytes().chunks(piece).find_map(|part| {
                talk.read(Speaker::Client, part, 0).iter().find_map(|(step, _)| step.fault)
            });
            assert_eq!(fault, is_fatal.then_some(Fault::DoubtfulChunk), "{size:?}");
        }
    }
}

#[test]
fn a_size_is_one_run() {
    let mut talk = with_recipient();
    let line = b"BDAT 2147483647 LAST\r\n";
    assert_eq!(talk.read(Speaker::Client, line, 0).len(), 4 + 1 + 1 + 2);
    assert_eq!(talk.expect(), chunk(2_147_483_647));
}

#[test]
fn a_chunk_that_may_not_pass_is_fatal_where_octets_follow() {
    let plain = "250-mx\r\n250 SIZE\r\n";
    for (hello, reply) in [("", ""), ("EHLO a\r\n", plain), ("HELO a\r\n", "250 mx\r\n")] {
        for piece in 1..=10 {
            let mut talk = Talk::greeted();
            talk.client(hello);
            talk.server(reply);
            talk.client(ENVELOPE);
            talk.server("250 ok\r\n250 ok\r\n");
            let mut fault = None;
            for part in b"BDAT  05 LAST\r\n".chunks(piece) {
                let steps = talk.read(Speaker::Client, part, 0);
                assert!(steps.iter().all(|(step, _)| !matches!(step.event, Event::CommandGap(_))));
                fault = fault.or_else(|| steps.iter().find_map(|(step, _)| step.fault));
            }
            assert_eq!(fault, Some(Fault::BarredChunk), "{hello:?} in pieces of {piece}");
        }
    }
    assert!(Fault::BarredChunk.is_fatal());
    // Without digits no octets follow.
    for line in
        ["BDAT 0 LAST\r\n", "BDAT\r\n", "BDAT \r\n", "BDAT x5\r\n", "BDAT +5\r\n", "BDATA 5\r\n"]
    {
        let mut talk = Talk::greeted();
        assert_eq!(talk.client_fault(line), None, "{line:?}");
        assert_eq!(talk.expect(), Expect::Command, "{line:?}");
    }
}

/// Octets follow a BDAT that the guard masks, too, whatever the server has offered.
#[test]
fn a_masked_chunk_is_fatal_unless_all_are_lines() {
    for (line, fault) in [
        ("BDAT 5\r\n", Some(Fault::BarredChunk)),
        ("bdat  01 LAST\r\n", Some(Fault::BarredChunk)),
        ("BDAT\t5\r\n", Some(Fault::BarredChunk)),
        ("BDAT 0 LAST\r\n", None),
        ("BDAT\r\n", None),
        ("BDAT x5\r\n", None),
        ("BDATA 5\r\n", None),
        ("BDA 5\r\n", None),
    ] {
        for piece in [1, 99] {
            for as_lines in [false, true] {
                let mut talk = with_recipient();
                if as_lines {
                    talk.dialogue = talk.dialogue.with_masked_chunks(MaskedChunk::Lines);
                }
                talk.client(&line[..1]);
                talk.dialogue.refuse(false);
                let parts = line.as_bytes()[1..].chunks(piece);
                let found: Vec<_> =
                    parts.flat_map(|part| talk.read(Speaker::Client, part, 0)).collect();
                let found = found.iter().find_map(|(step, _)| step.fault);
                assert_eq!(found, fault.filter(|_| !as_lines), "{line:?} in pieces of {piece}");
            }
        }
    }
}

#[test]
fn a_chunk_wants_a_recipient() {
    let barred = Err(Some(Fault::BarredChunk));
    let refused = Ok(Expect::RefusedChunk { left: 5 });
    for (before, replies, expected) in [
        ("", "", refused),
        ("MAIL x\r\n", "250 ok\r\n", refused),
        ("MAIL x\r\nRCPT y\r\n", "250 ok\r\n550 no\r\n", refused),
        ("MAIL x\r\nRCPT y\r\n", "550 no\r\n503 no\r\n", refused),
        // It mixes up its answers.
        ("MAIL x\r\nRCPT y\r\n", "550 no\r\n250 ok\r\n", barred),
        ("MAIL x\r\nRCPT y\r\n", "250 ok\r\n250 ok\r\n", Ok(chunk(5))),
        ("MAIL x\r\nRCPT y\r\nRCPT z\r\n", "250 ok\r\n250 ok\r\n550 no\r\n", Ok(chunk(5))),
        ("MAIL x\r\nRCPT y\r\nRSET\r\n", "250 ok\r\n250 ok\r\n250 ok\r\n", refused),
        // Who refuses it may have ended the transaction all the same.
        ("MAIL x\r\nRCPT y\r\nMAIL x\r\n", "250 ok\r\n250 ok\r\n503 no\r\n", barred),
        (
            "MAIL x\r\nRCPT y\r\nEHLO a\r\n",
            "250 ok\r\n250 ok\r\n250-mx\r\n250 CHUNKING\r\n",
            refused,
        ),
        ("MAIL x\r\nRCPT y\r\nSOML x\r\n", "250 ok\r\n250 ok\r\n250 ok\r\n", refused),
    ] {
        let mut talk = offered();
        talk.client(before);
        assert_eq!(talk.server(replies), None, "{before:?} {replies:?}");
        let fault = talk.client_fault("BDAT 5\r\n");
        let found = if fault.is_none() { Ok(talk.expect()) } else { Err(fault) };
        assert_eq!(found, expected, "{before:?} {replies:?}");
    }
    let barred = Some(Fault::BarredChunk);
    // A refusal too many: the success before it may have been the one too many.
    let mut talk = with_recipient();
    assert_eq!(talk.server("550 no\r\n"), Some(Fault::UnexpectedReply));
    assert_eq!(talk.client_fault("BDAT 5\r\n"), barred);
    let mut talk = with_recipient();
    assert_eq!(talk.server("250 ok\r\n"), Some(Fault::UnexpectedReply));
    assert_eq!(talk.client_fault("BDAT 5\r\n"), None);
    // A message is taken with its recipients.
    let mut talk = with_recipient();
    talk.client("DATA\r\n");
    talk.server("354 go\r\n");
    talk.client(".\r\n");
    talk.server("250 ok\r\n");
    assert_eq!(talk.client_fault("BDAT 5\r\n"), None);
    assert_eq!(talk.expect(), Expect::RefusedChunk { left: 5 });
}

/// Exim sends the first chunk with its recipients: what the server refuses is no message for it.
#[test]
fn a_chunk_behind_refused_recipients_leaves_as_one_line_that_is_none() {
    let mut talk = offered();
    talk.client(ENVELOPE);
    talk.client("BDAT");
    talk.server("250 ok\r\n550 no\r\n");
    assert_eq!(talk.client_fault(" 5 LAST\r\n"), None);
    assert_eq!(talk.client("a\r\nb\r"), [(Event::RefusedChunk, b"a\r\nb\r".to_vec())]);
    assert_eq!(talk.expect(), Expect::Unproved);
    assert_eq!(talk.client("QUIT\r\n")[0], (Event::CommandStray, b"QUIT".to_vec()));
    assert_eq!(talk.expect(), Expect::Wait);
    assert_eq!(talk.server("503 no\r\n500 what?\r\n"), None);
    assert_eq!(talk.expect(), Expect::Command);
    // Another has to wait until it begins anew.
    assert_eq!(talk.client_fault("BDAT 5\r\n"), Some(Fault::BarredChunk));
    // It is refused before it has come whole, or taken: that is no message of anybody's.
    for (early, late, fault) in [
        ("503 no\r\n", "500 what?\r\n", None),
        ("", "250 taken\r\n500 what?\r\n", Some(Fault::UnexpectedReply)),
    ] {
        let mut talk = offered();
        talk.client(ENVELOPE);
        talk.server("250 ok\r\n550 no\r\n");
        talk.client("BDAT 5 LAST\r\n12");
        assert_eq!(talk.server(early), None);
        talk.client("345QUIT\r\n");
        assert_eq!(talk.server(late), fault);
        assert_eq!(talk.expect(), Expect::Command);
    }
    // Behind an answer too many nobody knows whether there is no recipient.
    for replies in ["250 ok\r\n550 no\r\n250 ok\r\n", "550 no\r\n503 no\r\n250 ok\r\n"] {
        let mut talk = offered();
        talk.client(ENVELOPE);
        assert_eq!(talk.server(replies), Some(Fault::UnexpectedReply));
        assert_eq!(talk.client_fault("BDAT 5\r\n"), Some(Fault::BarredChunk), "{replies:?}");
    }
}

/// Postfix does so behind XCLIENT.
#[test]
fn who_greets_again_offers_nothing_any_more() {
    for (lines, reply, fault) in [
        ("XCLIENT a\r\n", "220 hi\r\n", Some(Fault::BarredChunk)),
        ("XCLIENT a\r\n", "250 ok\r\n", None),
        ("\r\n", "250 what\r\n", None),
    ] {
        let mut talk = Talk::new();
        talk.dialogue = Dialogue::new(DataBegins::OnReply).with_own_verbs();
        talk.server("220 hi\r\n");
        talk.client("EHLO a\r\n");
        talk.server("250-mx\r\n250 CHUNKING\r\n");
        talk.client(ENVELOPE);
        talk.server("250 ok\r\n250 ok\r\n");
        talk.client(lines);
        assert_eq!(talk.server(reply), None, "{lines:?}");
        assert_eq!(talk.client_fault("BDAT 5\r\n"), fault, "{lines:?} {reply:?}");
    }
}

#[test]
fn a_chunk_is_lost_only_where_it_is_refused_before_its_end() {
    for (short, reply, expect) in [
        (0, "250 ok\r\n", Expect::Command),
        (0, "550 no\r\n", Expect::Command),
        (1, "250 ok\r\n", Expect::Command),
        (1, "550 no\r\n", Expect::Unproved),
        (9, "550 no\r\n", Expect::Unproved),
    ] {
        let mut talk = with_recipient();
        talk.client("BDAT 2\r\nab");
        talk.server_covering(talk.at - short, reply);
        assert_eq!(talk.expect(), expect, "{short} {reply:?}");
    }
    // Nor by a refusal of nothing from who had received all.
    let mut talk = with_recipient();
    talk.client("BDAT 2\r\nab");
    talk.server("250 ok\r\n");
    talk.server("550 no\r\n");
    assert_eq!(talk.expect(), Expect::Command);
    let mut talk = Talk::greeted();
    talk.server_covering(0, "550 no\r\n");
    assert_eq!(talk.expect(), Expect::Command);
}

/// Exim says one for each recipient where a client asks for it.
#[test]
fn no_chunk_passes_once_a_message_has_several_replies() {
    for (reply, passes) in [("250 ok\r\n", true), ("353 one by one\r\n", false)] {
        let mut talk = with_recipient();
        talk.client("DATA\r\n");
        talk.server("354 go\r\n");
        talk.client(".\r\n");
        talk.server(reply);
        talk.client(ENVELOPE);
        talk.server("250 ok\r\n250 ok\r\n");
        let fault = talk.client_fault("BDAT 2\r\n");
        assert_eq!(fault, (!passes).then_some(Fault::BarredChunk), "{reply:?}");
    }
}

/// Some servers that refuse a chunk read the octets of the next as lines.
#[test]
fn octets_wait_for_the_answer_to_the_chunk_before() {
    for (reply, event, expect) in [
        ("250 ok\r\n", Event::Chunk, Expect::Command),
        ("554 no\r\n", Event::RefusedChunk, Expect::Unproved),
    ] {
        for octets in [1, 300] {
            let mut talk = with_recipient();
            talk.client(format!("BDAT 3\r\nxyzBDAT {octets}\r\n"));
            assert!(talk.dialogue.holds_octets());
            let text = "y".repeat(octets as usize);
            assert_eq!(talk.expect(), chunk(octets));
            talk.server_covering(talk.at, reply);
            assert_eq!(talk.client(&text), [(event, text.clone().into_bytes())], "{reply:?}");
            assert_eq!(talk.expect(), expect);
        }
    }
}

/// The same behind a line that the refusal comes into.
#[test]
fn a_chunk_whose_line_a_refusal_comes_into_is_none() {
    let line = "BDAT 12 LAST\r\n";
    for cut in 5..line.len() {
        let mut talk = with_recipient();
        let (first, rest) = line.split_at(cut);
        talk.client(format!("BDAT 3\r\nxyz{first}"));
        talk.server_covering(talk.at, "550 no\r\n");
        assert_eq!(talk.client_fault(rest), Some(Fault::RefusedChunk), "{first:?}");
        let octets = b"VRFY root\r\n!";
        assert_eq!(talk.client(octets), [(Event::RefusedChunk, octets.to_vec())], "{first:?}");
        assert_eq!(talk.expect(), Expect::Unproved);
    }
}

/// A server that mixes up its answers has not accepted the recipient that it seems to have.
#[test]
fn nobody_has_a_recipient_without_a_sender() {
    const BARRED: Result<Event, Fault> = Err(Fault::BarredChunk);
    for (sender, recipient, expected) in [
        ("250 ok\r\n", "250 ok\r\n", Ok(Event::Chunk)),
        ("250 ok\r\n", "550 no\r\n", Ok(Event::RefusedChunk)),
        ("550 no\r\n", "503 no\r\n", Ok(Event::RefusedChunk)),
        ("550 no\r\n", "250 ok\r\n", BARRED),
        ("451 later\r\n", "250 ok\r\n", BARRED),
    ] {
        // The message before, reset, taken or refused, leaves no sender.
        for before in [
            &[("RSET\r\n", "250 ok\r\n")][..],
            &[("BDAT 2 LAST\r\nab", "250 ok\r\n")],
            &[("DATA\r\n", "354 go\r\n"), (".\r\n", "250 ok\r\n")],
            &[("DATA\r\n", "354 go\r\n"), (".\r\n", "550 no\r\n")],
            &[("EHLO b\r\n", "250-mx\r\n250 CHUNKING\r\n")],
        ] {
            let mut talk = with_recipient();
            for (line, reply) in before {
                talk.client(line);
                talk.server(reply);
            }
            talk.client(ENVELOPE);
            talk.server(sender);
            talk.server(recipient);
            let steps = talk.read(Speaker::Client, b"BDAT 2\r\nab", 0);
            let fault = steps.iter().find_map(|(step, _)| step.fault);
            let found = fault.map_or_else(|| Ok(steps.last().unwrap().0.event), Err);
            assert_eq!(found, expected, "{before:?} {sender:?} {recipient:?}");
        }
    }
    // Whose next sender is accepted has begun anew.
    let mut talk = with_recipient();
    talk.client("RSET\r\n");
    talk.server("250 ok\r\n");
    talk.client(ENVELOPE);
    talk.server("550 no\r\n250 ok\r\n");
    talk.client(ENVELOPE);
    talk.server("250 ok\r\n250 ok\r\n");
    assert_eq!(talk.client_fault("BDAT 2\r\nab"), None);
    // One that is refused within a transaction leaves that as it is (503, RFC 5321 4.1.4).
    let mut talk = with_recipient();
    talk.client(ENVELOPE);
    talk.server("503 nested\r\n250 ok\r\n");
    assert_eq!(talk.client_fault("BDAT 2\r\nab"), None);
}

#[test]
fn each_message_in_chunks_has_its_own_end() {
    let mut talk = with_recipient();
    for messages in 1..=3 {
        talk.client("BDAT 2 LAST\r\nab");
        talk.server("250 ok\r\n");
        let ends = talk.changes().into_iter().filter(|c| matches!(c, Change::ChunksEnd { .. }));
        assert_eq!(ends.count(), messages);
        talk.client(ENVELOPE);
        talk.server("250 ok\r\n250 ok\r\n");
    }
}

#[test]
fn octets_that_were_missed_are_counted() {
    for (missed, left) in [(3, chunk(2)), (5, Expect::Command), (9, Expect::Command)] {
        let mut talk = with_recipient();
        talk.client("BDAT 6\r\na");
        let end = at(talk.at + missed);
        talk.dialogue.lose_place(Speaker::Client, missed, end);
        assert_eq!(talk.expect(), left, "{missed}");
    }
}

#[test]
fn a_chunk_waits_for_its_recipient_and_for_what_may_end_the_transaction() {
    let (ok, no) = ("250 ok\r\n", "550 no\r\n");
    let barred = Some(Fault::BarredChunk);
    for (before, replies, fault) in [
        (ENVELOPE, &[ok, ok][..], None),
        (ENVELOPE, &[ok, no], None),
        ("MAIL x\r\nRCPT y\r\nRCPT z\r\n", &[ok, no, ok], None),
        ("MAIL x\r\nRCPT y\r\nRSET\r\n", &[ok, ok, ok], None),
        ("MAIL x\r\nRCPT y\r\nMAIL z\r\n", &[ok, ok, no], barred),
        ("MAIL x\r\n", &[ok], None),
    ] {
        let mut talk = offered();
        talk.client(before);
        talk.client("BDAT");
        for reply in replies {
            assert_eq!(talk.client(" 5\r\n"), [(Event::Wait, vec![])], "{before:?} {reply:?}");
            talk.server(reply);
        }
        assert_eq!(talk.client_fault(" 5\r\n"), fault, "{before:?}");
    }
    // Behind the last chunk, or the end of data, is no recipient until there is a new one.
    let mut talk = with_recipient();
    talk.client("BDAT 1 LAST\r\nx");
    assert!(talk.dialogue.holds(b"BDAT 5"));
    talk.server("250 taken\r\n");
    assert_eq!(talk.client_fault("BDAT 5\r\n"), None);
    assert_eq!(talk.expect(), Expect::RefusedChunk { left: 5 });
    let mut talk = with_recipient();
    assert_eq!(talk.client_fault("BDAT 1\r\nxBDAT 1\r\nxBDAT 1 LAST\r\nx"), None);
    // One accepted is enough, but the others have to be answered, and so has any other line: where
    // one is left out, every answer seems to be an earlier line's.
    for (line, fault) in [("RCPT z", None), ("NOOP", barred), ("HELP", barred), ("XYZ", barred)] {
        let mut talk = offered();
        talk.client(format!("MAIL x\r\nRCPT y\r\n{line}\r\nBDAT"));
        talk.server("250 ok\r\n250 ok\r\n");
        assert_eq!(talk.client(" 5\r\n"), [(Event::Wait, vec![])], "{line}");
        talk.server("550 no\r\n");
        assert_eq!(talk.client_fault(" 5\r\n"), fault, "{line}");
        assert_eq!(talk.expect() == chunk(5), fault.is_none(), "{line}");
    }
}

#[test]
fn behind_a_refused_chunk_there_is_none_before_the_server_begins_anew() {
    for chunk in ["BDAT 2\r\nab", "BDAT 2 LAST\r\nab"] {
        let mut talk = with_recipient();
        talk.client(chunk);
        talk.server("503 no\r\n");
        let mut other = with_recipient();
        other.client(chunk);
        other.server("503 no\r\n");
        assert_eq!(talk.client_fault("BDAT 2\r\nab"), Some(Fault::BarredChunk), "{chunk:?}");
        other.client(format!("RSET\r\n{ENVELOPE}"));
        other.server("250 ok\r\n250 ok\r\n250 ok\r\n");
        assert_eq!(other.client_fault("BDAT 2\r\nab"), None, "{chunk:?}");
    }
}

/// Exim reads lines behind a chunk of nothing, and behind a message that ends in a CR it reads its
/// next byte in the command that comes.
#[test]
fn chunks_behind_which_exim_counts_no_octets_are_fatal() {
    let doubtful = Some(Fault::DoubtfulChunk);
    for (chunks, fault) in [
        (&["BDAT 0\r\n"][..], doubtful),
        (&["BDAT 0 \r\n"], doubtful),
        (&["BDAT 000\n"], doubtful),
        (&["BDAT 0 LAST\r\n"], None),
        (&["BDAT 3\r\nab\r"], None),
        (&["BDAT 3\r\nab\r", "BDAT 1\r\n\n"], None),
        (&["BDAT 3\r\nab\r", "BDAT 0 LAST\r\n"], doubtful),
        (&["BDAT 3 LAST\r\nab\r"], doubtful),
        (&["BDAT 3 LAST\r\na\r\r"], doubtful),
        (&["BDAT 3 LAST\r\na\r\n"], None),
        (&["BDAT 3\r\nab\r", "BDAT 1 LAST\r\n\n"], None),
    ] {
        for piece in 1..9 {
            let mut talk = with_recipient();
            let mut found = None;
            for chunk in chunks {
                let pieces = chunk.as_bytes().chunks(piece);
                let faults =
                    pieces.map(|piece| talk.client_fault(std::str::from_utf8(piece).unwrap()));
                found = faults.fold(found, |found, fault| found.or(fault));
            }
            assert_eq!(found, fault, "{chunks:?} in pieces of {piece}");
        }
    }
    // What the last message ended in is forgotten.
    let mut talk = with_recipient();
    talk.client("BDAT 1\r\n\rRSET\r\nMAIL x\r\nRCPT y\r\n");
    talk.server("250 ok\r\n250 ok\r\n250 ok\r\n250 ok\r\n");
    assert_eq!(talk.client_fault("BDAT 0 LAST\r\n"), None);
}

#[test]
fn the_earlier_offer_holds_until_the_answer_to_ehlo() {
    let new = "250-mx\r\n250 CHUNKING\r\n";
    for (hello, reply, passes) in [
        ("EHLO a\r\n", "503 twice\r\n", true),
        ("EHLO a\r\n", "250-mx\r\n550 no\r\n", true),
        ("EHLO a\r\n", "421 no\r\n", true),
        ("HELO a\r\n", "501 no\r\n", true),
        ("EHLO a\r\n", new, true),
        ("EHLO a\r\n", "250-CHUNKING\r\n250 SIZE\r\n", false),
        ("EHLO a\r\n", "250 CHUNKING\r\n", false),
        ("HELO a\r\n", "250 mx\r\n", false),
        ("HELO a\r\n", new, false),
    ] {
        let mut talk = offered();
        talk.client(hello);
        assert_eq!(talk.server(reply), None);
        talk.client(ENVELOPE);
        talk.server("250 ok\r\n250 ok\r\n");
        let fault = talk.client_fault("BDAT 5\r\n");
        assert_eq!(fault, (!passes).then_some(Fault::BarredChunk), "{hello:?} {reply:?}");
    }
}

#[test]
fn a_chunk_waits_for_the_answer_to_ehlo() {
    for (before, hellos) in [("", "EHLO a\r\n"), ("EHLO a\r\n", "EHLO a\r\n"), ("", "HELO a\r\n")] {
        let mut talk = Talk::greeted();
        if !before.is_empty() {
            talk.client(before);
            talk.server("250-mx\r\n250 CHUNKING\r\n");
        }
        talk.client(format!("{hellos}{ENVELOPE}BDAT"));
        assert_eq!(talk.client(" 5\r\n"), [(Event::Wait, vec![])], "{hellos:?}");
        talk.server("250-mx\r\n");
        assert_eq!(talk.client(" 5\r\n"), [(Event::Wait, vec![])], "{hellos:?}");
        talk.server("250 CHUNKING\r\n250 ok\r\n250 ok\r\n");
        let fault = talk.client_fault(" 5\r\n");
        assert_eq!(fault, hellos.starts_with('H').then_some(Fault::BarredChunk), "{hellos:?}");
    }
    // Without a BDAT nothing waits.
    let mut talk = Talk::greeted();
    let events = talk.client(format!("EHLO a\r\n{ENVELOPE}BDATA\r\nBDAT\r\nNOOP\r\n"));
    assert!(events.iter().all(|(event, _)| *event != Event::Wait));
}

#[test]
fn behind_a_chunk_that_nobody_swallows_nothing_is_a_command() {
    // Refused by who had not received the octets: the place is unknown.
    let mut talk = with_recipient();
    let behind = talk.at + "BDAT 4 LAST\r\n".len() as u64;
    talk.client("BDAT 4 LAST\r\nVRFY");
    assert_eq!(talk.server_covering(behind + 3, "503 no\r\n"), Some(Fault::RefusedChunk));
    assert_eq!(talk.expect(), Expect::Unproved);
    let events = talk.client("RSET x\r\nNOOP\r\n");
    assert_eq!(events[0], (Event::CommandStray, b"RSET x".to_vec()));
    assert_eq!(events.last(), Some(&(Event::Wait, vec![])));
    talk.server("500 what\r\n");
    assert_eq!(talk.expect(), Expect::Command);
    assert_eq!(talk.client("N")[0].0, Event::CommandWord(word("N")));
    // In the middle of the octets, which leave masked too.
    let mut talk = with_recipient();
    talk.client("BDAT 9 LAST\r\nVRFY");
    assert_eq!(talk.server("503 no\r\n"), Some(Fault::RefusedChunk));
    let events = talk.client("\r\nabcNOOP\r\n");
    assert_eq!(events[0], (Event::RefusedChunk, b"\r\nabc".to_vec()));
    assert_eq!(events[1], (Event::CommandStray, b"NOOP".to_vec()));
    assert_eq!(talk.expect(), Expect::Wait);
    // In the middle of a line: the rest of it is none.
    let mut talk = with_recipient();
    let behind = talk.at + "BDAT 1 LAST\r\n".len() as u64;
    talk.client("BDAT 1 LAST\r\nxRS");
    talk.server_covering(behind, "503 no\r\n");
    assert_eq!(talk.client("ET\r\n")[0], (Event::CommandStray, b"ET".to_vec()));
    // A refusal too many is the chunk's, or its recipient's; who leaves is no alarm.
    let mut talk = with_recipient();
    let before = talk.at;
    talk.client("BDAT 9\r\nVRFY");
    assert_eq!(talk.server_covering(before, "550 no\r\n"), Some(Fault::UnexpectedReply));
    assert_eq!(talk.expect(), Expect::RefusedChunk { left: 5 });
    let mut talk = with_recipient();
    talk.client("BDAT 9\r\nVRFY");
    assert_eq!(talk.server("421 bye\r\n"), None);
    assert_eq!(talk.expect(), Expect::RefusedChunk { left: 5 });
}

#[test]
fn an_unproved_line_is_no_chunk_either() {
    let mut talk = with_recipient();
    talk.client("BDAT 2\r\nx");
    talk.server("503 no\r\n");
    talk.client("y");
    assert_eq!(talk.client_fault("BDAT 5 LAST\r\n"), Some(Fault::BarredChunk));
}

#[test]
fn a_refusal_by_who_has_all_octets_changes_nothing() {
    let mut talk = with_recipient();
    talk.client("BDAT 2\r\nab");
    assert_eq!(talk.server("552 too big\r\n"), None);
    assert_eq!(talk.expect(), Expect::Command);
    talk.client("BDAT 2 LAST\r\nab");
    assert_eq!(talk.server("550 spam\r\n"), None);
    assert_eq!(talk.expect(), Expect::Command);
    talk.client("RSET\r\n");
    assert_eq!(talk.server("250 ok\r\n"), None);
}

#[test]
fn lines_pipelined_behind_a_refused_chunk_are_proved_by_their_answers() {
    let mut talk = with_recipient();
    talk.client("BDAT 3\r\nxyzBDAT 1\r\n");
    assert_eq!(talk.server_covering(talk.at, "503 no\r\n"), Some(Fault::RefusedChunk));
    talk.client("yNOOP\r\n");
    assert_eq!(talk.server("503 no\r\n250 e\r\n"), None);
    assert_eq!(talk.expect(), Expect::Command);
    assert!(talk.dialogue.is_idle());
}

/// E-MailRelay answers MAIL and NOOP behind a last chunk before that, and each answer would seem to
/// be an earlier line's.
#[test]
fn behind_a_last_chunk_only_a_verb_alone_passes_before_the_answer() {
    for chunks in ["BDAT 5 LAST\r\n12345", "BDAT 5\r\n12345BDAT 0 LAST\r\n"] {
        let mut talk = with_recipient();
        talk.client(chunks);
        assert!(talk.dialogue.holds(b"MAIL FROM:<a@b>\r\n"), "{chunks:?}");
        assert!(!talk.dialogue.holds(b"NOOP\r\n"), "{chunks:?}");
        talk.client("NOOP\r\n");
        talk.server("250 ok\r\n");
        assert!(talk.dialogue.holds(b"MAIL FROM:<a@b>\r\n"), "{chunks:?}");
        talk.server("250 ok\r\n250 ok\r\n");
        assert!(!talk.dialogue.holds(b"MAIL FROM:<a@b>\r\n"), "{chunks:?}");
    }
}

/// What has begun as such a verb has left, and the rest of its line comes with another segment.
#[test]
fn a_verb_that_was_cut_has_no_argument_before_the_answer_either() {
    for line in ["NOOP a\r\n", "RSET a\r\n", "QUIT a\r\n"] {
        for cut in 1..=4 {
            let mut talk = with_recipient();
            talk.client("BDAT 5 LAST\r\n12345");
            let (head, tail) = line.split_at(cut);
            // RCPT begins like RSET.
            assert_eq!(talk.dialogue.holds(head.as_bytes()), head == "R", "{head}");
            if head != "R" {
                talk.client(head);
                let events = talk.client(tail);
                let is_argument = |(event, _): &(Event, _)| {
                    matches!(event, Event::CommandGap(_) | Event::CommandArgument(_))
                };
                assert!(!events.iter().any(is_argument), "{head}: {events:?}");
            }
        }
    }
}

/// Exim forgets the recipients for whatever stands between two chunks but NOOP, waits for RSET, and
/// reads the octets of the next as lines.
#[test]
fn what_stands_between_chunks_ends_the_message() {
    for (line, is_barred) in [
        ("NOOP", false),
        ("NOOP a", false),
        ("VRFY a", true),
        ("HELP", true),
        ("XYZ", true),
        ("NOOPS", true),
        ("", true),
        ("RCPT TO:<c>", true),
        ("RSET", true),
        ("RSET a", true),
        ("EHLO a", true),
        ("STARTTLS", true),
        ("MAIL FROM:<a>", true),
    ] {
        let mut talk = with_recipient();
        talk.client("BDAT 2\r\nab");
        assert_eq!(talk.server("250 ok\r\n"), None);
        talk.client(format!("{line}\r\n"));
        let reply = if is_barred { "503 only BDAT permissible\r\n" } else { "250 ok\r\n" };
        assert_eq!(talk.server(reply), None, "{line:?}");
        let fault = is_barred.then_some(Fault::BarredChunk);
        assert_eq!(talk.client_fault("BDAT 2\r\nab"), fault, "{line:?}");
    }
    // A line that leaves masked is one as well, whatever letters of it had left.
    let mut talk = with_recipient();
    talk.client("BDAT 2\r\nabNOOP");
    talk.dialogue.refuse(false);
    talk.client("X\r\n");
    talk.server("250 ok\r\n500 no\r\n");
    assert_eq!(talk.client_fault("BDAT 2\r\n"), Some(Fault::BarredChunk));
}

#[test]
fn the_server_begins_anew_behind_a_broken_message() {
    for (again, is_barred) in [
        ("250 reset\r\n250 sender\r\n250 recipient\r\n", false),
        ("250 reset\r\n250 sender\r\n550 recipient\r\n", false),
        ("503 no\r\n503 no\r\n503 no\r\n", true),
    ] {
        let mut talk = with_recipient();
        talk.client("BDAT 2\r\nabVRFY a\r\n");
        assert_eq!(talk.server("250 ok\r\n503 no\r\n"), None);
        talk.client(format!("RSET\r\n{ENVELOPE}"));
        assert_eq!(talk.server(again), None);
        let fault = is_barred.then_some(Fault::BarredChunk);
        assert_eq!(talk.client_fault("BDAT 2\r\nab"), fault, "{again:?}");
    }
}

/// Exim has ended the transaction before it says that it cannot begin TLS.
#[test]
fn a_refused_starttls_has_ended_the_transaction() {
    let mut talk = with_recipient();
    talk.client("STARTTLS\r\n");
    assert_eq!(talk.server("454 not now\r\n"), None);
    assert_eq!(talk.client_fault("BDAT 2\r\nab"), Some(Fault::BarredChunk));
}

/// Exim and OpenSMTPD answer `QUIT x` with a refusal and go on: the replies behind it keep their
/// lines.
#[test]
fn a_quit_that_says_more_is_answered_like_any_line() {
    let mut talk = offered();
    talk.client("QUIT x\r\nMAIL FROM:<a>\r\nRCPT TO:<b>\r\nNOOP\r\n");
    assert_eq!(talk.server("501 what?\r\n250 ok\r\n550 no\r\n250 ok\r\n"), None);
    assert_eq!(talk.client("BDAT 2\r\nab").last().unwrap().0, Event::RefusedChunk);
    let mut talk = offered();
    talk.client("QUIT x\r\n");
    assert_eq!(talk.server("221 bye\r\n"), None);
}

/// A server that ends lines at CRLF alone reads on, and one that refuses a line for one CR more
/// reads lines behind it (Dovecot): neither counts octets from there.
#[test]
fn a_chunk_behind_an_odd_line_end_is_doubtful() {
    for chunk in ["BDAT 5", "BDAT 5 LAST", "bdat 5 last"] {
        for end in ["\n", "\r\r\n", "\r\r\r\n"] {
            let line = [chunk, end].concat();
            for cut in 0..line.len() {
                let mut talk = with_recipient();
                let (one, other) = line.split_at(cut);
                let faults = [one, other].map(|part| talk.client_fault(part));
                assert_eq!(faults, [None, Some(Fault::DoubtfulChunk)], "{line:?} cut at {cut}");
            }
        }
    }
}

/// E-MailRelay refuses DATA behind BODY=BINARYMIME, and then every BDAT, whose octets are lines.
#[test]
fn behind_a_line_refused_between_sender_and_message_no_chunk_passes() {
    for (line, reply, may_pass) in [
        ("DATA\r\n", "503 no\r\n", false),
        ("DATA x\r\n", "501 no\r\n", false),
        ("DATA\r\n", "no\r\n", false),
        ("HELP\r\n", "502 no\r\n", false),
        ("XXXX\r\n", "500 no\r\n", false),
        ("NOOP\r\n", "500 no\r\n", false),
        ("VRFY x\r\n", "252 perhaps\r\n", true),
        ("RCPT TO:<e@f>\r\n", "550 no\r\n", true),
    ] {
        let mut talk = with_recipient();
        talk.client(line);
        talk.server(reply);
        talk.client("NOOP\r\n");
        talk.server("250 ok\r\n");
        let barred = (!may_pass).then_some(Fault::BarredChunk);
        assert_eq!(talk.client_fault("BDAT 5\r\nEXPN\n"), barred, "{line:?} {reply:?}");
        // Another recipient changes nothing, and another message does.
        let mut talk = with_recipient();
        talk.client(line);
        talk.server(reply);
        talk.client("RCPT TO:<g@h>\r\n");
        talk.server("250 ok\r\n");
        assert_eq!(talk.client_fault("BDAT 5\r\nEXPN\n"), barred, "{line:?} {reply:?}");
        let mut talk = with_recipient();
        talk.client(line);
        talk.server(reply);
        talk.client("RSET\r\n");
        talk.server("250 ok\r\n");
        talk.client(ENVELOPE);
        talk.server("250 ok\r\n250 ok\r\n");
        assert_eq!(talk.client_fault("BDAT 5\r\nEXPN\n"), None, "{line:?} {reply:?}");
    }
}

/// What may be all that the server says of a message ends it, before its end or behind it.
#[test]
fn behind_a_message_without_an_answer_no_chunk_passes() {
    let chunk: &[&str] = &["C:BDAT 2 LAST\r\nab"];
    let data: &[&str] = &["C:DATA\r\n", "S:354 go\r\n", "C:text\r\n"];
    for (message, odd) in [
        (chunk, &["S:220 x\r\n"][..]),
        (chunk, &["S:wait\r\n"]),
        (data, &["C:.\r\n", "S:220 x\r\n"]),
        (data, &["C:.\r\n", "S:wait\r\n"]),
        (data, &["S:552 too large\r\n", "C:.\r\n"]),
    ] {
        let mut talk = with_recipient();
        for said in message.iter().chain(odd).chain(&["C:NOOP\r\n", "S:250 ok\r\n"]) {
            match said.split_at(2) {
                ("C:", text) => drop(talk.client(text)),
                (_, text) => drop(talk.server(text)),
            }
        }
        let events = talk.client("BDAT 5\r\nEXPN\n");
        assert!(events.contains(&(Event::RefusedChunk, b"EXPN\n".to_vec())), "{message:?} {odd:?}");
    }
}
