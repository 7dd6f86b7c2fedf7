//! Which line a reply answers: by what its sender had received, by order, and by its code.

use super::super::outstanding::{Due, Outstanding, Pairing};
use super::*;

#[test]
fn a_reply_answers_only_what_its_sender_had_received() {
    // Each line with its end; a reply that covers less answers the connection or nothing.
    let mut talk = Talk::greeted();
    talk.client("NOOP\r\nRSET\r\n");
    for (covers, fault) in [
        (0, Some(Fault::UnexpectedReply)),
        (5, Some(Fault::UnexpectedReply)),
        (6, None),
        (11, Some(Fault::UnexpectedReply)),
        (12, None),
        (12, Some(Fault::UnexpectedReply)),
    ] {
        assert_eq!(talk.server_covering(covers, "250 ok\r\n"), fault, "{covers}");
    }
    assert!(talk.dialogue.is_idle());
}

#[test]
fn the_ack_of_a_replys_first_byte_counts() {
    let mut talk = Talk::greeted();
    talk.client("DATA\r\n");
    assert_eq!(talk.server_covering(0, "4"), None);
    assert_eq!(talk.server_covering(6, "50 no\r\n"), Some(Fault::UnexpectedReply));
    assert_eq!(talk.expect(), Expect::Wait);
    assert_eq!(talk.server_covering(6, "3"), None);
    assert_eq!(talk.server_covering(0, "54-go\r\n"), None);
    assert_eq!(talk.server_covering(0, "354 on\r\n"), None);
    assert_eq!(talk.expect(), Expect::Data(MailData::Line));
}

#[test]
fn what_opens_something_must_be_covered() {
    for (line, reply, fault) in [
        ("DATA\r\n", "354 go\r\n", Fault::UnaskedData),
        ("STARTTLS\r\n", "220 go\r\n", Fault::UnexpectedReply),
        ("AUTH LOGIN\r\n", "334 go\r\n", Fault::UnexpectedReply),
    ] {
        let mut talk = Talk::greeted();
        talk.client(line);
        let short = line.len() as u64 - 1;
        assert_eq!(talk.server_covering(short, reply), Some(fault), "{line:?}");
        assert_eq!(talk.expect(), Expect::Wait, "{line:?}");
        // Who had received nothing can have meant nobody, pipelined or not.
        let mut talk = Talk::greeted();
        talk.client(format!("NOOP\r\n{line}"));
        assert_eq!(talk.server_covering(6, reply), Some(fault), "{line:?}");
        assert_eq!(talk.expect(), Expect::Wait, "{line:?}");
    }
}

/// A refusal that was said in the middle of the text and comes behind its end: where the server has
/// no other word for the message, what is pipelined behind it is answered in its order.
#[test]
fn a_late_refusal_of_the_text_may_have_answered_its_message() {
    let mut talk = Talk::in_data();
    let start = talk.at;
    talk.client("text\r\n.\r\nMAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\nDATA\r\n");
    assert_eq!(talk.server_covering(start + 3, "552 no\r\n"), Some(Fault::UnexpectedReply));
    for reply in ["250 sender\r\n", "550 recipient\r\n", "503 whom to?\r\n"] {
        assert_eq!(talk.expect(), Expect::Wait, "{reply:?}");
        assert_eq!(talk.server(reply), None, "{reply:?}");
    }
    assert_eq!(talk.expect(), Expect::Command);
}

/// Only a refusal, of the text, and of that text which it heard some of.
#[test]
fn what_refuses_no_text_has_not_answered_its_message() {
    for (heard, reply) in [(3, "250 early\r\n"), (3, "421 busy\r\n"), (0, "552 no\r\n")] {
        let mut talk = Talk::in_data();
        let start = talk.at;
        talk.client("text\r\n.\r\nMAIL FROM:<a@b>\r\n");
        talk.server_covering(start + heard, reply);
        talk.server("250 taken\r\n");
        assert_eq!(talk.server("250 sender\r\n"), None, "{reply:?}");
        assert!(talk.dialogue.is_idle(), "{reply:?}");
    }
    // A line whose half was heard is answered in its turn.
    let mut talk = Talk::greeted();
    talk.client("NOOP\r\nRSET\r\n");
    assert_eq!(talk.server_covering(3, "500 what\r\n"), Some(Fault::UnexpectedReply));
    assert_eq!(talk.server("250 ok\r\n250 ok\r\n"), None);
    assert!(talk.dialogue.is_idle());
}

#[test]
fn what_was_received_ends_where_the_ack_points() {
    let mut queue = Outstanding::default();
    for end in [5, 9] {
        queue.push(Due::new(Answers::Verb(Verb::Noop), at(end)));
    }
    for (covers, beyond) in [(0, Some(5)), (4, Some(5)), (5, Some(9)), (8, Some(9)), (9, None)] {
        let found = queue.first_beyond(at(covers)).map(|due| due.end);
        assert_eq!(found, beyond.map(at), "{covers}");
    }
}

#[test]
fn an_unasked_354_is_fatal() {
    for (client, replies) in [
        ("", ""),
        ("NOO", ""),
        ("NOOP\r\n", ""),
        ("NOOP\r\n", "250 ok\r\n"),
        ("DATA\r\n", "550 no\r\n"),
        ("AUTH LOGIN\r\n", ""),
        ("AUTH LOGIN\r\n", "334 \r\n"),
        ("STARTTLS\r\n", ""),
    ] {
        let mut talk = Talk::greeted();
        talk.client(client);
        talk.server(replies);
        let before = talk.expect();
        let fault = talk.server("354 go\r\n");
        assert_eq!(fault, Some(Fault::UnaskedData), "{client:?} {replies:?}");
        assert!(fault.unwrap().is_fatal());
        assert_eq!(talk.expect(), before);
    }
    // In message data it opens nothing that is not open.
    let mut talk = Talk::in_data();
    assert_eq!(talk.server("354 go\r\n"), Some(Fault::UnexpectedReply));
    assert_eq!(talk.expect(), Expect::Data(MailData::Line));
    talk.client("x\r\n.\r\n");
    assert_eq!(talk.server("354 go\r\n"), Some(Fault::UnaskedData));
}

#[test]
fn no_success_answers_data_but_a_354() {
    let mut talk = Talk::greeted();
    talk.client("RCPT x\r\nDATA\r\n");
    assert_eq!(talk.server("250 a\r\n250 a\r\n"), Some(Fault::UnexpectedReply));
    assert_eq!(talk.expect(), Expect::Command);
    assert_eq!(talk.server("354 go\r\n"), None);
    assert_eq!(talk.expect(), Expect::Data(MailData::Line));
}

#[test]
fn the_reply_is_awaited_through_a_pipeline() {
    let mut talk = Talk::new();
    talk.client("MAIL x\r\nRCPT y\r\nRCPT z\r\nDATA\r\n");
    for reply in ["220-hi\r\n220 hi\r\n", "250 a\r\n", "250-b\r\n250 b\r\n", "550 c\r\n"] {
        assert_eq!(talk.server(reply), None);
        assert_eq!(talk.expect(), Expect::Wait);
    }
    assert_eq!(talk.server("354 d\r\n"), None);
    assert_eq!(talk.expect(), Expect::Data(MailData::Line));
    talk.client(".\r\nQUIT\r\n");
    assert_eq!(talk.expect(), Expect::Command);
    assert_eq!(talk.server("250 e\r\n221 f\r\n"), None);
    assert!(talk.dialogue.is_idle());
    assert_eq!(talk.server("250 g\r\n"), Some(Fault::UnexpectedReply));
    assert_eq!(talk.server("421 h\r\n"), None);
}

#[test]
fn strong_codes_fall_into_step_again() {
    let tls = Expect::Tls(TlsStart::default());
    let skipped = Some(Fault::SkippedReply);
    for (lines, replies, expect, fault) in [
        ("NOOP\r\nSTARTTLS\r\n", "250 a\r\n220 go\r\n", tls, None),
        ("NOOP\r\nAUTH PLAIN\r\n", "250 a\r\n334\r\n", Expect::AuthLine, None),
        ("NOOP\r\nQUIT\r\n", "221 bye\r\n", Expect::Command, skipped),
        ("MAIL x\r\nDATA\r\n", "354 go\r\n", Expect::Data(MailData::Line), skipped),
        // Who says so may mean another line, and reads what comes next as commands.
        ("NOOP\r\nSTARTTLS\r\n", "220 go\r\n", Expect::Wait, Some(Fault::PlaintextForTls)),
        ("NOOP\r\nAUTH PLAIN\r\n", "334 \r\n", Expect::Wait, Some(Fault::DoubtfulExchange)),
    ] {
        let mut talk = Talk::greeted();
        talk.client(lines);
        assert_eq!(talk.server(replies), fault, "{lines:?} {replies:?}");
        let is_fatal = fault.is_some_and(Fault::is_fatal);
        assert!(is_fatal || talk.expect() == expect, "{lines:?} {replies:?}");
    }
}

#[test]
fn what_answers_an_own_verb_answers_nothing_behind_it() {
    for (line, reply, fault) in [
        ("STARTTLS\r\n", "220 again\r\n", None),
        ("AUTH PLAIN\r\n", "334 what\r\n", Some(Fault::UnexpectedReply)),
        ("DATA\r\n", "354 what\r\n", Some(Fault::UnaskedData)),
    ] {
        let mut talk = Talk::new();
        talk.dialogue = Dialogue::new(DataBegins::OnReply).with_own_verbs();
        talk.server("220 hi\r\n");
        talk.client("XCLIENT NAME=a\r\n");
        talk.client(line);
        assert_eq!(talk.server(reply), fault, "{line:?}");
        assert_eq!(talk.expect(), Expect::Wait, "{line:?}");
        if fault.is_none() {
            assert_eq!(talk.server("502 no\r\n"), None);
            assert_eq!(talk.expect(), Expect::Command);
        }
    }
}

#[test]
fn a_second_greeting_answers_nothing() {
    for client in ["EHLO a\r\n", "NOOP\r\n", "MAIL x\r\nRCPT y\r\n", "what\r\n"] {
        let mut talk = Talk::greeted();
        talk.client(client);
        assert_eq!(talk.server("220-hi\r\n220 again\r\n"), Some(Fault::UnexpectedReply));
        for _ in client.matches('\n') {
            assert_eq!(talk.server("250 ok\r\n"), None, "{client:?}");
        }
        assert!(talk.dialogue.is_idle(), "{client:?}");
    }
}

#[test]
fn without_a_greeting_the_first_command_is_answered_all_the_same() {
    let mut talk = Talk::new();
    talk.client("EHLO a\r\n");
    assert_eq!(talk.server("250-mx\r\n250 CHUNKING\r\n"), Some(Fault::SkippedReply));
    assert!(talk.dialogue.is_idle());
    let mut talk = Talk::new();
    assert_eq!(talk.server("250 ok\r\n"), Some(Fault::UnexpectedReply));
    assert_eq!(talk.server("220 hi\r\n"), None);
}

#[test]
fn an_unasked_reply_answers_no_command_that_leaves_meanwhile() {
    let mut talk = Talk::greeted();
    talk.server("421-clo");
    talk.client("DATA\r\n");
    assert_eq!(talk.server("sing\r\n421 now\r\n"), None);
    assert_eq!(talk.expect(), Expect::Wait);
    assert_eq!(talk.server("450 what\r\n"), None);
    assert_eq!(talk.expect(), Expect::Command);
    assert_eq!(talk.server("334 what\r\n"), Some(Fault::UnexpectedReply));
}

#[test]
fn words_of_leaving_are_an_alarm_only_if_the_server_stays() {
    for code in ["221", "451", "521", "554"] {
        let mut talk = Talk::greeted();
        assert_eq!(talk.server(&format!("{code} bye\r\n")), None, "{code}");
        assert_eq!(talk.dialogue.end(Speaker::Server), None);
        talk.client("NOOP\r\n");
        assert_eq!(talk.server("250 ok\r\n"), Some(Fault::UnexpectedReply), "{code}");
        assert!(talk.dialogue.is_idle());
        assert_eq!(talk.server("250 ok\r\n"), Some(Fault::UnexpectedReply));
    }
}

#[test]
fn each_auth_line_is_answered_anew() {
    let mut talk = Talk::greeted();
    talk.client("AUTH LOGIN\r\n");
    talk.server("334 a\r\n");
    talk.client("dXNlcg==\r\n");
    // Its sender has not got the line: this is no answer to it.
    assert_eq!(talk.server_covering(12, "235 ok\r\n"), Some(Fault::UnexpectedReply));
    assert_eq!(talk.expect(), Expect::Wait);
    assert_eq!(talk.server("235 ok\r\n"), None);
    assert_eq!(talk.expect(), Expect::Command);
}

/// The queue and its rules, written down once more in the plainest way.
#[derive(Default)]
struct Model(Vec<Due>);

impl Model {
    fn pair(&mut self, code: u16, covers: Offset) -> Pairing {
        let due: Vec<_> = self.0.iter().take_while(|due| due.end <= covers).collect();
        let covered: Vec<_> = due.iter().map(|due| due.answers).collect();
        let first = |wanted: Answers| covered.iter().position(|&a| a == wanted);
        let verb = |verb| first(Answers::Verb(verb));
        let own_or = |known| verb(known).into_iter().chain(first(Answers::Own)).min();
        let fits = |a: Answers| {
            let success = (200..300).contains(&code) && code != 221;
            let is_farewell = [221, 421, 451, 521, 554].contains(&code);
            !(success && [Answers::Connection, Answers::Verb(Verb::Data)].contains(&a))
                && (is_farewell || a != Answers::Verb(Verb::Quit))
        };
        let fresh = due.iter().position(|due| !due.is_excused && fits(due.answers));
        let ordinary = fresh.or_else(|| covered.iter().position(|&a| fits(a)));
        let place = match code {
            354 => own_or(Verb::Data),
            334 => own_or(Verb::Auth).or_else(|| first(Answers::Other).filter(|&place| place == 0)),
            220 if first(Answers::Connection) == Some(0) => Some(0),
            220 => own_or(Verb::StartTls),
            221 => verb(Verb::Quit).or(ordinary),
            _ => ordinary,
        };
        let answers = place.map_or(Answers::Nothing, |place| covered[place]);
        let has_skipped = self.0.drain(..place.unwrap_or(0)).any(|due| !due.is_excused);
        Pairing { answers, has_skipped }
    }
}

#[test]
fn outstanding_replies_are_a_queue() {
    let verbs = [
        Verb::Data,
        Verb::Mail,
        Verb::Quit,
        Verb::Auth,
        Verb::StartTls,
        Verb::Rcpt,
        Verb::Bdat,
        Verb::Ehlo,
    ];
    let kinds: Vec<_> = verbs
        .map(Answers::Verb)
        .into_iter()
        .chain([Answers::Other, Answers::Own, Answers::Connection, Answers::Message])
        .collect();
    let codes = [220, 221, 250, 334, 354, 421, 550];
    let (mut queue, mut model) = (Outstanding::default(), Model::default());
    let mut state = 7_u32;
    let mut random = move |below: usize| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 12) as usize % below
    };
    let mut end = 0;
    for _ in 0..40_000 {
        match random(16) {
            // Long queues as well as short ones.
            0 if random(8) == 0 => {
                queue.clear();
                model.0.clear();
            }
            0 => {
                let newest = [queue.newest_mut(), model.0.last_mut()];
                newest.into_iter().flatten().for_each(|due| due.is_excused = true);
            }
            1..8 => {
                end += 1 + random(9) as u64;
                let answers = kinds[random(kinds.len())];
                let is_last_chunk = answers == Answers::Verb(Verb::Bdat);
                let due = Due { is_last_chunk, ..Due::new(answers, at(end)) };
                queue.push(due);
                model.0.push(due);
            }
            8..12 => {
                let oldest = (!model.0.is_empty()).then(|| model.0.remove(0));
                assert_eq!(queue.pop(), oldest);
            }
            _ => {
                let (code, covers) =
                    (codes[random(codes.len())], at(end - end.min(random(200) as u64)));
                assert_eq!(queue.pair(code, covers), model.pair(code, covers), "{code}");
            }
        }
        assert_eq!((queue.len(), queue.oldest()), (model.0.len(), model.0.first().copied()));
        let is_chunk = |due: &Due| due.answers == Answers::Verb(Verb::Bdat) && !due.is_last_chunk;
        assert_eq!(queue.has_more_than_chunks(), !model.0.iter().all(is_chunk));
    }
}

/// A server that ends lines at a CR has answered twice, and may await a command by now.
#[test]
fn a_334_to_a_line_with_a_bare_cr_is_doubtful() {
    let reply = "334 go\r\n";
    for (line, is_doubtful) in [
        ("AUTH LOGIN\r\n", false),
        ("AUTH LOGIN\n", false),
        ("AUTH LOGIN\r\r\n", true),
        ("AUTH LOGIN\rx\r\n", true),
        ("AUTH\rx\r\n", true),
    ] {
        let mut talk = Talk::greeted();
        talk.client(line);
        let fault = is_doubtful.then_some(Fault::DoubtfulExchange);
        assert_eq!(talk.server(reply), fault, "{line:?}");
    }
    for (line, is_doubtful) in [
        ("AGEA\r\n", false),
        ("AGEA\n", false),
        ("\r\r\n", true),
        ("AGEA\r\r\n", true),
        ("AGEA\r\0\n", true),
        ("AGEA\rx\r\n", true),
    ] {
        for cut in 0..line.len() {
            let mut talk = Talk::greeted();
            talk.client("AUTH LOGIN\r\n");
            assert_eq!(talk.server(reply), None);
            let (head, tail) = line.split_at(cut);
            talk.client(head);
            talk.client(tail);
            let fault = is_doubtful.then_some(Fault::DoubtfulExchange);
            assert_eq!(talk.server(reply), fault, "{line:?} cut at {cut}");
        }
    }
}

/// To a server a QUIT that is more than that is none: what refuses it is no other line's.
#[test]
fn what_only_begins_with_quit_is_refused_as_any_line() {
    for line in ["QUITX\r\n", "QUIT\x0b\r\n", "QUIT now\r\n", "QUIT\r\r\n"] {
        let mut talk = Talk::greeted();
        for (at, byte) in line.bytes().enumerate() {
            talk.client([byte]);
            if at == 4 && byte != b' ' && byte != b'\r' {
                talk.dialogue.refuse(false);
            }
        }
        talk.client("NOOP\r\nRCPT TO:<a@b>\r\n");
        assert_eq!(talk.server("500 what?\r\n"), None, "{line:?}");
        assert_eq!(talk.server("250 ok\r\n"), None, "{line:?}");
        assert!(talk.dialogue.is_owed(), "{line:?}: RCPT is not answered yet");
        assert_eq!(talk.server("550 no\r\n"), None, "{line:?}");
        assert!(talk.dialogue.is_idle(), "{line:?}");
    }
}

/// The refusal of a message that is too large is that message's, whatever is pipelined behind it.
#[test]
fn what_refuses_a_message_that_is_too_large_answers_it() {
    let mut talk = Talk::in_data();
    talk.client("text\r\n");
    talk.dialogue.disown();
    talk.client("more\r\n.\r\nRSET\r\n");
    assert_eq!(talk.server("552 too large\r\n"), None);
    assert_eq!(talk.server("250 ok\r\n"), None);
    assert!(talk.dialogue.is_idle());
    // Said in the middle of it, it may have been the only answer there is.
    let mut talk = Talk::in_data();
    talk.client("text\r\n");
    talk.dialogue.disown();
    assert_eq!(talk.server("552 too large\r\n"), None);
    assert!(matches!(talk.expect(), Expect::Disowned(_)));
    talk.client("more\r\n.\r\nRSET\r\n");
    assert_eq!(talk.server("250 reset\r\n"), None);
    assert!(talk.dialogue.is_idle());
}
