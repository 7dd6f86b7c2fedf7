//! What is read in one step: it is what the same bytes are in several.

#![allow(clippy::wildcard_enum_match_arm, reason = "a test names what it looks for")]

use super::*;

#[test]
fn an_ordinary_line_is_seen_whole() {
    for (text, verb, has_gap, length, used) in [
        ("NOOP\r\nQUIT\r\n", Verb::Noop, false, 4, 6),
        ("noop\n", Verb::Noop, false, 4, 5),
        ("Noop \r\n", Verb::Noop, true, 5, 7),
        ("MAIL FROM:<a@b>\tX=1\r\n", Verb::Mail, true, 19, 21),
        ("STARTTLS\r\n", Verb::StartTls, false, 8, 10),
    ] {
        let mut talk = Talk::greeted();
        for is_pipelined in [false, true] {
            let line = talk.dialogue.whole_line(text.as_bytes()).unwrap();
            assert_eq!((line.verb, line.has_gap), (verb, has_gap), "{text:?}");
            assert_eq!((line.length, line.used()), (length, used), "{text:?}");
            assert_eq!(line.is_pipelined, is_pipelined, "{text:?}");
            talk.client("RSET\r\n");
        }
    }
}

#[test]
fn a_line_with_anything_odd_is_not() {
    for text in [
        "NOOP",
        "NOOP\r",
        "NOOPE\r\n",
        "NOO\r\n",
        "NOOP\tx\r\n",
        "NOOP\0\r\n",
        "NOOP\r\r\n",
        "NOOP a\rb\r\n",
        "NOOP a\0b\r\n",
        "STARTTLSX\r\n",
        "STARTTLSXY\r\n",
        " NOOP\r\n",
        "\r\n",
        "XCLIENT a\r\n",
        "AUTH PLAIN x\r\n",
        "BDAT 5\r\n",
    ] {
        assert!(Talk::greeted().dialogue.whole_line(text.as_bytes()).is_none(), "{text:?}");
    }
    // Nor one that is no command, may be a secret, or has to wait.
    let noop = b"NOOP\r\n";
    for (client, is_whole) in
        [("", true), ("N", false), ("DATA\r\n", false), ("AUTHx\r\n", false), ("LOGIN\r\n", false)]
    {
        let mut talk = Talk::greeted();
        talk.client(client);
        assert_eq!(talk.dialogue.whole_line(noop).is_some(), is_whole, "{client:?}");
    }
    for (lines, is_whole) in [(23, true), (24, false)] {
        let mut talk = Talk::greeted();
        talk.client("NOOP\r\n".repeat(lines));
        assert_eq!(talk.dialogue.whole_line(noop).is_some(), is_whole, "{lines}");
    }
    assert!(Dialogue::new(DataBegins::OnReply).with_prefix().whole_line(noop).is_none());
}

#[test]
fn a_reply_line_with_a_code_is_seen_whole() {
    for (text, is_last, length, used) in [
        ("250 ok\r\n250 x\r\n", true, 6, 8),
        ("250 ok\n", true, 6, 7),
        ("250-ok\r\n", false, 6, 8),
        ("250-\r\n", false, 4, 6),
        ("250 \r\n", true, 4, 6),
        ("250\r\n", true, 3, 5),
    ] {
        let mut talk = Talk::greeted();
        talk.client("NOOP\r\n");
        let standing = Standing { at: at(0), covers: at(6) };
        let line = talk.dialogue.whole_reply(text.as_bytes(), standing).unwrap();
        assert_eq!((line.reply.code, line.reply.is_last), (Some(250), is_last), "{text:?}");
        assert_eq!(line.reply.answers, Answers::Verb(Verb::Noop), "{text:?}");
        assert_eq!((line.length, line.used), (length, used), "{text:?}");
        assert_eq!(line.is_bare(), length == 3, "{text:?}");
    }
    let standing = Standing::default();
    for text in ["", "250", "250 ok\r", "25 ok\r\n", "2x0 ok\r\n", "2505\r\n", "250_\r\n", "\n"] {
        assert!(Talk::new().dialogue.whole_reply(text.as_bytes(), standing).is_none(), "{text:?}");
    }
    // Nor the rest of one, nor what is TLS.
    let mut talk = Talk::new();
    talk.server("250");
    assert!(talk.dialogue.whole_reply(b"250 ok\r\n", standing).is_none());
    let mut talk = Talk::greeted();
    talk.client("STARTTLS\r\n");
    talk.server("220 go\r\n");
    assert!(talk.dialogue.whole_reply(b"250 ok\r\n", standing).is_none());
}

/// A reply that answers nothing answers no command that leaves before its last line.
#[test]
fn a_whole_line_goes_on_with_the_reply_under_way() {
    let mut talk = Talk::greeted();
    talk.server("421-closing\r\n");
    talk.client("NOOP\r\n");
    let standing = Standing { at: at(0), covers: at(talk.at) };
    let line = talk.dialogue.whole_reply(b"421 now\r\n", standing).unwrap();
    assert_eq!((line.reply.answers, line.reply.is_later_line), (Answers::Nothing, true));
    let mut talk = Talk::greeted();
    talk.client("NOOP\r\n");
    talk.server("250-o\r\n");
    let line = talk.dialogue.whole_reply(b"250 k\r\n", Standing::default()).unwrap();
    assert_eq!(line.reply.answers, Answers::Verb(Verb::Noop));
}

/// What a line led to.
#[derive(Debug, PartialEq, Eq)]
struct Outcome {
    used: usize,
    end: Option<Event>,
    change: Option<Change>,
    fault: Option<Fault>,
}

/// What one line says, read by its runs: but for the keyword, which only an offer has in whole.
fn by_runs(dialogue: &mut Dialogue, from: Speaker, line: &[u8], standing: Standing) -> Outcome {
    let mut outcome = Outcome { used: 0, end: None, change: None, fault: None };
    while outcome.used < line.len() {
        let at = standing.at.after(outcome.used as u64);
        let step = dialogue.read(from, &line[outcome.used..], Standing { at, ..standing });
        if step.event == Event::Wait {
            break;
        }
        outcome.used += step.used;
        outcome.end = Some(without_keyword(step.event));
        outcome.change = outcome.change.or(step.change);
        outcome.fault = outcome.fault.or(step.fault);
    }
    outcome
}

fn without_keyword(event: Event) -> Event {
    match event {
        Event::ReplyEnd(reply) => Event::ReplyEnd(Reply { keyword: Keyword::default(), ..reply }),
        other => other,
    }
}

/// The same in one step, if that can be, and whether it could.
fn whole(
    dialogue: &mut Dialogue,
    from: Speaker,
    line: &[u8],
    standing: Standing,
) -> (Outcome, bool) {
    let step = match from {
        Speaker::Client => {
            let whole = dialogue.whole_line(line);
            whole.map(|line| dialogue.take_line(&line, standing.at))
        }
        Speaker::Server => {
            let whole = dialogue.whole_reply(line, standing);
            whole.map(|line| dialogue.take_reply(&line, standing))
        }
    };
    let Some(Step { used, event, change, fault, .. }) = step else {
        return (by_runs(dialogue, from, line, standing), false);
    };
    (Outcome { used, end: Some(without_keyword(event)), change, fault }, true)
}

/// What a client says.
const CLIENT: [&str; 21] = [
    "EHLO a\r\n",
    "HELO a\r\n",
    "MAIL FROM:<a>\r\n",
    "RCPT TO:<b>\r\n",
    "RCPT TO:<c>\n",
    "DATA\r\n",
    "DATA\r\n",
    "data x\r\n",
    "text\r\n.\r\n",
    "RSET\r\n",
    "NOOP \r\n",
    "QUIT\r\n",
    "QUIT now\r\n",
    "STARTTLS\r\n",
    "AUTH PLAIN\r\n",
    "AGEAYg==\r\n",
    "XCLIENT a\r\n",
    "\r\n",
    "BDAT 2\r\nab",
    "BDAT 0 LAST\r\n",
    "VRFY a\rb\r\n",
];

/// What a server says.
const SERVER: [&str; 20] = [
    "220 hi\r\n",
    "220-hi\r\n",
    "250 ok\r\n",
    "250 ok\r\n",
    "250 ok\n",
    "250\r\n",
    "250-mx\r\n",
    "250-CHUNKING\r\n",
    "250 chunking\r\n",
    "250-\r\n",
    "354 go\r\n",
    "354 go\r\n",
    "334 x\r\n",
    "221 bye\r\n",
    "421 busy\r\n",
    "451 no\r\n",
    "550 no\r\n",
    "500-no\r\n",
    "500\r\n",
    "eh\r\n",
];

#[test]
fn a_line_taken_whole_leads_to_the_same() {
    let mut state = 5_u32;
    let mut random = move |below: usize| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 12) as usize % below
    };
    let mut taken = [0, 0];
    for case in 0..2_000 {
        let new = || match case % 3 {
            0 => Dialogue::new(DataBegins::OnReply),
            1 => Dialogue::new(DataBegins::OnReply).with_own_verbs(),
            _ => Dialogue::new(DataBegins::OnCommand),
        };
        let (mut runs, mut lines) = (new(), new());
        let mut said = 0;
        let mut script = Vec::new();
        for _ in 0..24 {
            let from = if random(2) == 0 { Speaker::Client } else { Speaker::Server };
            let text = match from {
                Speaker::Client => CLIENT[random(CLIENT.len())],
                Speaker::Server => SERVER[random(SERVER.len())],
            };
            script.push(text);
            let unheard = if random(8) == 0 { random(9) as u64 } else { 0 };
            let standing = Standing { at: at(said), covers: at(said - said.min(unheard)) };
            let expected = by_runs(&mut runs, from, text.as_bytes(), standing);
            let (found, is_whole) = whole(&mut lines, from, text.as_bytes(), standing);
            assert_eq!(found, expected, "{script:?}");
            let image = |dialogue| postcard::to_allocvec(dialogue).unwrap();
            assert_eq!(image(&lines), image(&runs), "{script:?}");
            taken[usize::from(from == Speaker::Server)] += usize::from(is_whole);
            if from == Speaker::Client {
                said += found.used as u64;
            }
            if found.fault.is_some_and(Fault::is_fatal) || found.used < text.len() {
                break;
            }
        }
    }
    assert!(taken.iter().all(|&lines| lines > 1_000), "{taken:?}");
}

#[test]
fn message_data_is_swept_as_it_is_read() {
    let text = b"a\n.\nVRFY\r\n.\r\nQUIT\r\n";
    let fillers = Fillers { lookalike: Some(b'#'), disowned: b'X' };
    for (is_disowned, leaves) in [(false, "a\n.#VRFY\r\n.\r\n"), (true, "XXXXXXXX\r\n.\r\n")] {
        let (mut runs, mut sweep) = (Talk::in_data(), Talk::in_data());
        for talk in [&mut runs, &mut sweep] {
            if is_disowned {
                talk.dialogue.disown();
            }
        }
        let end = leaves.len();
        runs.client(&text[..end]);
        let mut bytes = text.to_vec();
        let (step, swept) = sweep.dialogue.sweep(&mut bytes, at(sweep.at), fillers).unwrap();
        assert_eq!((step.used, swept.used, step.event), (end, end, Event::DataEnd));
        assert_eq!(step.change, runs.changes().last().copied());
        assert_eq!((swept.is_end, &bytes[..end]), (true, leaves.as_bytes()));
        assert_eq!(&bytes[end..], b"QUIT\r\n");
        assert_eq!(sweep.expect(), Expect::Command);
        // Commands are none.
        assert!(sweep.dialogue.sweep(&mut bytes, at(0), fillers).is_none());
    }
}

#[test]
fn whole_replies_babble_like_those_read_by_runs() {
    let is_babble = |text: &str| {
        let mut talk = Talk::greeted();
        (0..60).any(|_| {
            let standing = Standing { at: at(talk.at), covers: at(talk.at) };
            let line = talk.dialogue.whole_reply(text.as_bytes(), standing).unwrap();
            talk.dialogue.take_reply(&line, standing).fault == Some(Fault::Babble)
        })
    };
    assert!(is_babble("250-a\r\n"));
    assert!(!is_babble("250-PIPELINING\r\n"));
}
