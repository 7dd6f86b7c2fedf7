//! What each byte of a dialogue is, which replies move it on, and which faults it has.

use super::body::Run;
use super::*;

mod chunks;

/// Reads everything; adjacent runs of the same event are joined, verbs are refused by `refuse`.
fn read(dialogue: &mut Dialogue, from: Speaker, mut input: &[u8]) -> Vec<(Event, Vec<u8>)> {
    let mut events: Vec<(Event, Vec<u8>)> = Vec::new();
    while !input.is_empty() {
        let step = dialogue.read(from, input);
        let (run, rest) = input.split_at(step.used);
        match events.last_mut() {
            Some((event, bytes)) if *event == step.event => bytes.extend_from_slice(run),
            _ => events.push((step.event, run.to_vec())),
        }
        if step.event == Event::Wait {
            break;
        }
        input = rest;
    }
    events
}

fn fault_of(dialogue: &mut Dialogue, reply: &[u8]) -> Option<Fault> {
    let mut fault = None;
    let mut at = 0;
    while at < reply.len() {
        let step = dialogue.read(Speaker::Server, &reply[at..]);
        fault = fault.or(step.fault);
        at += step.used;
    }
    fault
}

fn dialogue() -> Dialogue {
    Dialogue::new(DataBegins::OnReply)
}

/// A dialogue brought to message data.
fn in_data() -> Dialogue {
    let mut dialogue = dialogue();
    read(&mut dialogue, Speaker::Server, b"220 hi\r\n");
    read(&mut dialogue, Speaker::Client, b"DATA\r\n");
    read(&mut dialogue, Speaker::Server, b"354 go\r\n");
    assert_eq!(dialogue.expect(), Expect::Data(Body::Line));
    dialogue
}

#[test]
fn the_body_table_is_the_documented_one() {
    let mut table = String::new();
    for state in Body::ALL {
        table += &format!("{state:?}:");
        for byte in [b'\r', b'\n', b'.', 0, b'x'] {
            let mut next = state;
            let cell = match next.read(&[byte]).1 {
                Run::Text => format!("{next:?}"),
                Run::Lookalike => "lookalike".into(),
                Run::End => "END".into(),
            };
            table += &format!(" {cell}");
        }
        table += "\n";
    }
    assert_eq!(
        table,
        "Middle: Cr Bare Middle Middle Middle\n\
         Cr: Cr Line lookalike Middle Middle\n\
         Line: Cr Bare Dot lookalike Middle\n\
         Bare: Cr Bare lookalike lookalike Middle\n\
         Dot: DotCr lookalike Middle lookalike Middle\n\
         DotCr: lookalike END Middle lookalike Middle\n"
    );
}

/// The body machine one byte at a time, without blocks: what `Body::read` must equal.
fn read_bytewise(mut state: Body, input: &[u8]) -> (Vec<usize>, Option<usize>, Body) {
    let mut lookalikes = Vec::new();
    for (at, &byte) in input.iter().enumerate() {
        match state.read(&[byte]).1 {
            Run::Text => {}
            Run::Lookalike => lookalikes.push(at),
            Run::End => return (lookalikes, Some(at + 1), state),
        }
    }
    (lookalikes, None, state)
}

fn read_in_runs(mut state: Body, input: &[u8]) -> (Vec<usize>, Option<usize>, Body) {
    let mut lookalikes = Vec::new();
    let mut at = 0;
    while at < input.len() {
        let (used, run) = state.read(&input[at..]);
        match run {
            Run::Text => {}
            Run::Lookalike => lookalikes.push(at),
            Run::End => return (lookalikes, Some(at + used), state),
        }
        at += used;
    }
    (lookalikes, None, state)
}

#[test]
fn long_runs_read_like_single_bytes() {
    let mut state = 1_u64;
    let mut random = move |below: u64| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state % below
    };
    for case in 0..2_000 {
        let special = 1 + random(200);
        let bytes: Vec<u8> = (0..random(1_500))
            .flat_map(|_| match random(special + 4) {
                0 => b"\r\n".to_vec(),
                1 => vec![b"\r\n.\0"[usize::try_from(random(4)).unwrap()]],
                2 => b"\r\n.".to_vec(),
                3 if case % 3 == 0 => b"\r\n.\r\n".to_vec(),
                _ => vec![b'x'],
            })
            .collect();
        for start in Body::ALL {
            assert_eq!(read_in_runs(start, &bytes), read_bytewise(start, &bytes), "case {case}");
        }
        let text = Body::ALL.iter().all(|&start| {
            let (lookalikes, end, _) = read_bytewise(start, &bytes);
            lookalikes.is_empty() && end.is_none()
        });
        assert_eq!(Body::is_text_after_anything(&bytes), text, "case {case}");
    }
}

#[test]
fn a_command_line_is_read_in_its_parts() {
    let word = |text: &str| {
        let mut word = Word::default();
        text.bytes().for_each(|byte| word.push(byte));
        word
    };
    let mut dialogue = dialogue();
    let events = read(&mut dialogue, Speaker::Client, b"Rs x\rVRFY\r\r\n\n");
    assert_eq!(
        events,
        [
            (Event::CommandWord(word("R")), b"R".to_vec()),
            (Event::CommandWord(word("RS")), b"s".to_vec()),
            (Event::CommandGap(word("RS")), b" ".to_vec()),
            (Event::CommandArgument(word("RS")), b"x".to_vec()),
            (Event::CommandCr, b"\r".to_vec()),
            (Event::CommandStray, b"VRFY".to_vec()),
            (Event::CommandCr, b"\r\r".to_vec()),
            (Event::CommandEnd { is_bare: false }, b"\n".to_vec()),
            (Event::CommandEnd { is_bare: true }, b"\n".to_vec()),
        ]
    );
}

#[test]
fn only_a_354_begins_data() {
    for code in ["450", "503", "554", "421", "350"] {
        let mut dialogue = dialogue();
        read(&mut dialogue, Speaker::Server, b"220 hi\r\n");
        read(&mut dialogue, Speaker::Client, b"DATA\r\n");
        assert_eq!(dialogue.expect(), Expect::Wait);
        assert_eq!(read(&mut dialogue, Speaker::Client, b"x"), [(Event::Wait, vec![])]);
        read(&mut dialogue, Speaker::Server, format!("{code} no\r\n").as_bytes());
        assert_eq!(dialogue.expect(), Expect::Command, "{code}");
    }
    in_data();
}

#[test]
fn no_success_answers_data_but_a_354() {
    let mut dialogue = dialogue();
    read(&mut dialogue, Speaker::Server, b"220 hi\r\n");
    read(&mut dialogue, Speaker::Client, b"RCPT x\r\nDATA\r\n");
    assert_eq!(fault_of(&mut dialogue, b"250 a\r\n250 a\r\n"), Some(Fault::UnexpectedReply));
    assert_eq!(dialogue.expect(), Expect::Wait);
    assert_eq!(fault_of(&mut dialogue, b"354 go\r\n"), None);
    assert_eq!(dialogue.expect(), Expect::Data(Body::Line));
    assert_eq!(fault_of(&mut dialogue, b"354 go\r\n"), Some(Fault::UnexpectedReply));
    assert_eq!(dialogue.expect(), Expect::Data(Body::Line));
}

#[test]
fn the_reply_is_awaited_through_a_pipeline() {
    let mut dialogue = dialogue();
    read(&mut dialogue, Speaker::Client, b"MAIL x\r\nRCPT y\r\nRCPT z\r\nDATA\r\n");
    for reply in ["220-hi\r\n220 hi\r\n", "250 a\r\n", "250-b\r\n250 b\r\n", "550 c\r\n"] {
        assert_eq!(fault_of(&mut dialogue, reply.as_bytes()), None);
        assert_eq!(dialogue.expect(), Expect::Wait);
    }
    assert_eq!(fault_of(&mut dialogue, b"354 d\r\n"), None);
    assert_eq!(dialogue.expect(), Expect::Data(Body::Line));
    read(&mut dialogue, Speaker::Client, b".\r\nQUIT\r\n");
    assert_eq!(dialogue.expect(), Expect::Command);
    assert_eq!(fault_of(&mut dialogue, b"250 e\r\n221 f\r\n"), None);
    assert!(dialogue.is_idle());
    assert_eq!(fault_of(&mut dialogue, b"250 g\r\n"), Some(Fault::UnexpectedReply));
    assert_eq!(fault_of(&mut dialogue, b"421 h\r\n"), None);
}

#[test]
fn missing_replies_are_skipped_at_strong_codes() {
    let mut dialogue = dialogue();
    read(&mut dialogue, Speaker::Client, b"MAIL x\r\nRCPT y\r\nDATA\r\n");
    assert_eq!(fault_of(&mut dialogue, b"220 a\r\n354 d\r\n"), Some(Fault::SkippedReply));
    assert_eq!(dialogue.expect(), Expect::Data(Body::Line));
}

#[test]
fn a_354_out_of_the_blue_begins_data_with_an_alarm() {
    let mut dialogue = dialogue();
    read(&mut dialogue, Speaker::Server, b"220 hi\r\n");
    read(&mut dialogue, Speaker::Client, b"NOO");
    assert_eq!(fault_of(&mut dialogue, b"354 d\r\n"), Some(Fault::UnexpectedReply));
    assert_eq!(dialogue.expect(), Expect::Data(Body::Middle));
}

#[test]
fn a_final_reply_inside_data_ends_it_with_an_alarm() {
    let mut dialogue = in_data();
    read(&mut dialogue, Speaker::Client, b"text\r\nVR");
    assert_eq!(fault_of(&mut dialogue, b"552 too big\r\n"), Some(Fault::ReplyInsideData));
    assert_eq!(dialogue.expect(), Expect::Command);
    assert!(dialogue.is_refused());
}

#[test]
fn a_refused_data_still_waits_if_its_letters_left() {
    let mut dialogue = dialogue();
    read(&mut dialogue, Speaker::Server, b"220 hi\r\n");
    read(&mut dialogue, Speaker::Client, b"DATAF");
    dialogue.refuse();
    read(&mut dialogue, Speaker::Client, b"OO\r\n");
    assert_eq!(dialogue.expect(), Expect::Wait);
    read(&mut dialogue, Speaker::Server, b"500 no\r\n");
    read(&mut dialogue, Speaker::Client, b"D");
    dialogue.refuse();
    read(&mut dialogue, Speaker::Client, b"ATA\r\n");
    assert_eq!(dialogue.expect(), Expect::Command);
}

#[test]
fn tls_begins_on_the_220_and_with_a_handshake() {
    for (reply, first, fault) in
        [("220 go", 22, None), ("220 go", b'E', Some(Fault::PlaintextForTls))]
    {
        let mut dialogue = dialogue();
        read(&mut dialogue, Speaker::Server, b"220 hi\r\n");
        read(&mut dialogue, Speaker::Client, b"STARTTLS\r\n");
        assert_eq!(dialogue.expect(), Expect::Wait);
        assert_eq!(fault_of(&mut dialogue, format!("{reply}\r\n").as_bytes()), None);
        let step = dialogue.read(Speaker::Client, &[first, 3, 1]);
        assert_eq!((step.event, step.fault), (Event::Opaque, fault));
        assert_eq!(dialogue.read(Speaker::Client, &[0]).fault, None);
    }
    let mut dialogue = dialogue();
    read(&mut dialogue, Speaker::Server, b"220 hi\r\n");
    read(&mut dialogue, Speaker::Client, b"STARTTLS\r\n");
    read(&mut dialogue, Speaker::Server, b"454 no\r\n");
    assert_eq!(dialogue.expect(), Expect::Command);
}

#[test]
fn auth_lines_are_no_commands_until_the_final_reply() {
    let mut dialogue = dialogue();
    read(&mut dialogue, Speaker::Server, b"220 hi\r\n");
    read(&mut dialogue, Speaker::Client, b"AUTH LOGIN\r\n");
    for _ in 0..2 {
        read(&mut dialogue, Speaker::Server, b"334 xx\r\n");
        assert_eq!(dialogue.expect(), Expect::AuthLine);
        let events = read(&mut dialogue, Speaker::Client, b"VRFY\r\nVRFY\r\n");
        assert_eq!(events, [(Event::AuthLine, b"VRFY\r\n".to_vec()), (Event::Wait, vec![])]);
    }
    read(&mut dialogue, Speaker::Server, b"235 ok\r\n");
    assert_eq!(dialogue.expect(), Expect::Command);
}

#[test]
fn reply_lines_are_read_in_their_parts() {
    let cases: [(&[u8], Option<u16>, bool, usize); 9] = [
        (b"250 ok\r\n", Some(250), true, 4),
        (b"250-ok\r\n", Some(250), false, 4),
        (b"250\r\n", Some(250), true, 3),
        (b"250 \r\n", Some(250), true, 4),
        (b"250-\r\n", Some(250), false, 4),
        (b"250\n", Some(250), true, 3),
        (b"25 ok\r\n", None, true, 2),
        (b"2505 ok\r\n", None, true, 3),
        (b"\r\n", None, true, 0),
    ];
    for (line, code, is_last, code_bytes) in cases {
        let events = read(&mut dialogue(), Speaker::Server, line);
        let answers = Answers::Connection;
        let Some((Event::ReplyEnd { line: end, .. }, _)) = events.last() else {
            panic!("{line:?}: {events:?}")
        };
        assert_eq!((end.code, end.is_last), (code, is_last), "{line:?}");
        let read_as_code: usize = events
            .iter()
            .filter(|(event, _)| *event == Event::ReplyCode(answers))
            .map(|(_, bytes)| bytes.len())
            .sum();
        assert_eq!(read_as_code, code_bytes, "{line:?}");
    }
}

#[test]
fn a_crowd_of_unanswered_commands_waits() {
    let mut dialogue = dialogue();
    let flood = b"NOOP\r\n".repeat(2_000);
    let events = read(&mut dialogue, Speaker::Client, &flood);
    assert_eq!(events.last().map(|(event, _)| *event), Some(Event::Wait));
    assert!(events.len() > 1_000);
    read(&mut dialogue, Speaker::Server, b"220 hi\r\n");
    assert_ne!(dialogue.read(Speaker::Client, b"N").event, Event::Wait);
}

#[test]
fn the_old_fault_begins_data_on_the_command() {
    let mut dialogue = Dialogue::new(DataBegins::OnCommand);
    read(&mut dialogue, Speaker::Server, b"220 hi\r\n");
    read(&mut dialogue, Speaker::Client, b"DATA\r\n");
    assert_eq!(dialogue.expect(), Expect::Data(Body::Line));
    assert_eq!(fault_of(&mut dialogue, b"503 no\r\n"), None);
    let events = read(&mut dialogue, Speaker::Client, b"VRFY root\r\n.\r\n");
    assert_eq!(events, [(Event::DataEnd, b"VRFY root\r\n.\r\n".to_vec())]);
    assert_eq!(dialogue.expect(), Expect::Command);
}

#[test]
fn outstanding_replies_are_a_queue() {
    let kinds = [Verb::Data, Verb::Mail, Verb::Quit].map(Answers::Verb);
    let (mut queue, mut model) = (outstanding::Outstanding::default(), Vec::new());
    let mut state = 7_u32;
    for _ in 0..10_000 {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        let kind = kinds[(state >> 20) as usize % 3];
        match state >> 28 {
            0 => {
                queue.clear();
                model.clear();
            }
            1..8 => {
                queue.push(kind);
                model.push(kind);
            }
            8..13 => {
                let oldest = (!model.is_empty()).then(|| model.remove(0));
                assert_eq!(queue.pop(), oldest);
            }
            _ => {
                let place = model.iter().position(|&other| other == kind);
                assert_eq!(queue.skip_to(kind), place.is_some());
                model.drain(..place.unwrap_or(0));
            }
        }
        assert_eq!((queue.len(), queue.oldest()), (model.len(), model.first().copied()));
        assert_eq!(queue.is_empty(), model.is_empty());
    }
}

#[test]
fn strong_codes_fall_into_step_again() {
    for (lines, replies, expect, fault) in [
        ("NOOP\r\nSTARTTLS\r\n", "220 go\r\n", Expect::Opaque { has_begun: false }, true),
        ("NOOP\r\nSTARTTLS\r\n", "250 a\r\n220 go\r\n", Expect::Opaque { has_begun: false }, false),
        ("NOOP\r\nAUTH PLAIN\r\n", "334 \r\n", Expect::AuthLine, true),
        ("NOOP\r\nAUTH PLAIN\r\n", "250 a\r\n334\r\n", Expect::AuthLine, false),
        ("NOOP\r\nQUIT\r\n", "221 bye\r\n", Expect::Command, true),
    ] {
        let mut dialogue = dialogue();
        read(&mut dialogue, Speaker::Server, b"220 hi\r\n");
        read(&mut dialogue, Speaker::Client, lines.as_bytes());
        let found = fault_of(&mut dialogue, replies.as_bytes());
        assert_eq!(found, fault.then_some(Fault::SkippedReply), "{lines:?} {replies:?}");
        assert_eq!(dialogue.expect(), expect, "{lines:?} {replies:?}");
    }
}

#[test]
fn an_unasked_reply_answers_no_command_that_leaves_meanwhile() {
    let mut dialogue = dialogue();
    read(&mut dialogue, Speaker::Server, b"220 hi\r\n421-clo");
    read(&mut dialogue, Speaker::Client, b"DATA\r\n");
    assert_eq!(fault_of(&mut dialogue, b"sing\r\n421 now\r\n"), None);
    assert_eq!(dialogue.expect(), Expect::Wait);
    assert_eq!(fault_of(&mut dialogue, b"450 what\r\n"), None);
    assert_eq!(dialogue.expect(), Expect::Command);
    assert_eq!(fault_of(&mut dialogue, b"334 what\r\n"), Some(Fault::UnexpectedReply));
}

#[test]
fn a_354_behind_a_refusal_is_too_late_for_bytes_read_as_commands() {
    for (more, fault) in [("", Fault::UnexpectedReply), ("text\r\n", Fault::LateData)] {
        let mut dialogue = dialogue();
        read(&mut dialogue, Speaker::Server, b"220 hi\r\n");
        read(&mut dialogue, Speaker::Client, b"DATA\r\n");
        assert_eq!(fault_of(&mut dialogue, b"451 astray\r\n"), None);
        read(&mut dialogue, Speaker::Client, more.as_bytes());
        assert_eq!(fault_of(&mut dialogue, b"354 go\r\n"), Some(fault), "{more:?}");
    }
}
