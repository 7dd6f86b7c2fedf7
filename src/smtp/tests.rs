//! What each byte of a dialogue is, which replies move it on, and which faults it has.

use super::expect::{Cue, Expect};
use super::*;

mod chunks;
mod mail_data;
mod matching;
mod outlook;
mod prefix;
mod replies;
mod secrets;
mod spans;
mod tls;
mod whole;

/// A dialogue, and how far the client has spoken.
struct Talk {
    dialogue: Dialogue,
    at: u64,
    steps: Vec<(Step, Vec<u8>)>,
}

impl Talk {
    fn new() -> Self {
        Self::beginning(DataBegins::OnReply)
    }

    fn beginning(data_begins: DataBegins) -> Self {
        Self { dialogue: Dialogue::new(data_begins), at: 0, steps: Vec::new() }
    }

    /// Greeted.
    fn greeted() -> Self {
        let mut talk = Self::new();
        assert_eq!(talk.server("220 hi\r\n"), None);
        talk
    }

    /// Brought to message data.
    fn in_data() -> Self {
        let mut talk = Self::greeted();
        talk.client("DATA\r\n");
        assert_eq!(talk.server("354 go\r\n"), None);
        assert_eq!(talk.expect(), Expect::Data(MailData::Line));
        talk
    }

    fn expect(&self) -> Expect {
        self.dialogue.expect()
    }

    fn read(&mut self, from: Speaker, mut input: &[u8], covers: u64) -> Vec<(Step, Vec<u8>)> {
        let mut steps = Vec::new();
        while !input.is_empty() {
            let standing = Standing { at: Offset::new(self.at), covers: Offset::new(covers) };
            let step = self.dialogue.read(from, input, standing);
            let (run, rest) = input.split_at(step.used);
            if from == Speaker::Client {
                self.at += step.used as u64;
            }
            steps.push((step, run.to_vec()));
            if step.event == Event::Wait {
                break;
            }
            input = rest;
        }
        self.steps.extend(steps.iter().cloned());
        steps
    }

    /// The client says this; adjacent runs of the same event are joined.
    fn client(&mut self, text: impl AsRef<[u8]>) -> Vec<(Event, Vec<u8>)> {
        let mut events: Vec<(Event, Vec<u8>)> = Vec::new();
        for (step, run) in self.read(Speaker::Client, text.as_ref(), 0) {
            match events.last_mut() {
                Some((event, bytes)) if *event == step.event => bytes.extend_from_slice(&run),
                _ => events.push((step.event, run)),
            }
        }
        events
    }

    /// The first fault in what the client says.
    fn client_fault(&mut self, text: &str) -> Option<Fault> {
        self.read(Speaker::Client, text.as_bytes(), 0).iter().find_map(|(step, _)| step.fault)
    }

    /// The server says this, having received all that the client said: the first fault.
    fn server(&mut self, text: &str) -> Option<Fault> {
        self.server_covering(self.at, text)
    }

    /// The same, having received so much.
    fn server_covering(&mut self, covers: u64, text: &str) -> Option<Fault> {
        let steps = self.read(Speaker::Server, text.as_bytes(), covers);
        steps.iter().find_map(|(step, _)| step.fault)
    }

    /// What has begun and ended so far.
    fn changes(&self) -> Vec<Change> {
        self.steps.iter().filter_map(|(step, _)| step.change).collect()
    }
}

fn at(offset: u64) -> Offset {
    Offset::new(offset)
}

/// The tables in the head of the machine's file: per row the state, and per column what comes next.
fn documented() -> Vec<Vec<String>> {
    let rows = include_str!("expect.rs").lines().filter_map(|line| line.strip_prefix("//! | "));
    rows.map(|row| row.trim_end_matches('|').split('|').map(|c| c.trim().to_owned()).collect())
        .collect()
}

fn name(expect: Expect) -> String {
    let full = format!("{expect:?}");
    full.split([' ', '(', '{']).next().unwrap().to_owned()
}

#[test]
fn the_machines_tables_are_the_documented_ones() {
    let states = [
        Expect::Command,
        Expect::Wait,
        Expect::Data(MailData::Dot),
        Expect::Disowned(MailData::Dot),
        Expect::Oversize(MailData::Dot),
        Expect::Chunk { left: 7 },
        Expect::RefusedChunk { left: 7 },
        Expect::Unproved,
        Expect::AuthLine,
        Expect::Tls(TlsStart::default()),
    ];
    let client =
        [Cue::Line, Cue::Asks, Cue::Chunk(7), Cue::OctetsOut, Cue::AuthLine, Cue::EndOfData];
    let server = [
        Cue::Go354,
        Cue::Go334,
        Cue::Go220,
        Cue::Answered,
        Cue::NoCode,
        Cue::ChunkRefused,
        Cue::FinalInData,
    ];
    let table = |cues: &[Cue]| -> Vec<Vec<String>> {
        let cell = |state: Expect, cue| {
            let next = state.next(cue);
            if next == state { "=".to_owned() } else { name(next) }
        };
        let row = |state: Expect| {
            std::iter::once(name(state)).chain(cues.iter().map(|&c| cell(state, c))).collect()
        };
        states.into_iter().map(row).collect()
    };
    let documented = documented();
    let (first, second) = documented.split_at(documented.len() / 2);
    assert_eq!(first[1..], table(&client));
    assert_eq!(second[1..], table(&server));
    assert_eq!(Expect::Command.next(Cue::Chunk(0)), Expect::Command);
    // What the client and the server have agreed on is kept.
    let data = Expect::Data(MailData::Dot).next(Cue::FinalInData);
    assert_eq!(data, Expect::Disowned(MailData::Dot));
    let data = Expect::Data(MailData::Dot).next(Cue::TooLarge);
    assert_eq!(data, Expect::Oversize(MailData::Dot));
    let chunk = Expect::Chunk { left: 7 }.next(Cue::ChunkRefused);
    assert_eq!(chunk, Expect::RefusedChunk { left: 7 });
}

fn word(text: &str) -> Word {
    let mut word = Word::default();
    text.bytes().for_each(|byte| word.push(byte));
    word
}

#[test]
fn a_command_line_is_read_in_its_parts() {
    let events = Talk::new().client("Rs x\rVRFY\r\r\n\n");
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
            (Event::CommandEnd { is_bare: false, verb: None }, b"\n".to_vec()),
            (Event::CommandEnd { is_bare: true, verb: None }, b"\n".to_vec()),
        ]
    );
    let events = Talk::new().client("NOOP\rx\n");
    assert_eq!(
        events.last().unwrap().0,
        Event::CommandEnd { is_bare: true, verb: Some(Verb::Noop) }
    );
}

#[test]
fn what_no_byte_decides_is_one_run() {
    let long = "a".repeat(5_000);
    for (line, steps) in [
        (format!("{long}\r\n"), 9 + 3),
        (format!("NOOP {long}\r\n"), 4 + 1 + 3),
        (format!("NOOP\0{}\r\n", "\0".repeat(5_000)), 4 + 3),
        (format!("NOOP{}\n", "\r".repeat(5_000)), 4 + 2),
        (format!("NOOP{}\r\n", "\rx".repeat(5_000)), 4 + 1 + 3),
        (format!("NOOP \0{}\r\n", "\rx".repeat(5_000)), 4 + 1 + 3),
    ] {
        let mut talk = Talk::new();
        let read = talk.read(Speaker::Client, line.as_bytes(), 0);
        assert_eq!(read.len(), steps, "{}", &line[..9]);
    }
    // Once the line is refused, its word is one run however short.
    let mut talk = Talk::new();
    talk.client("g");
    talk.dialogue.refuse(false);
    assert_eq!(talk.client("oodmorni").len(), 1);
    let reply = format!("250-{long} {long}\r\n");
    assert_eq!(talk.read(Speaker::Server, reply.as_bytes(), 0).len(), 5);
}

#[test]
fn only_a_354_begins_data() {
    for code in ["450", "503", "554", "421", "350"] {
        let mut talk = Talk::greeted();
        talk.client("DATA\r\n");
        assert_eq!(talk.expect(), Expect::Wait);
        assert_eq!(talk.client("x"), [(Event::Wait, vec![])]);
        talk.server(&format!("{code} no\r\n"));
        assert_eq!(talk.expect(), Expect::Command, "{code}");
        assert!(talk.changes().is_empty());
    }
    Talk::in_data();
}

#[test]
fn a_message_is_told_with_its_bounds() {
    let mut talk = Talk::in_data();
    talk.client("x\r\n.\r\nNOOP\r\n");
    let begin = Change::DataBegins { at: at(6) };
    assert_eq!(talk.changes(), [begin, Change::DataEnds { at: at(12), length: 6 }]);
    let mut empty = Talk::in_data();
    empty.client(".\r\n");
    assert_eq!(empty.changes()[1], Change::DataEnds { at: at(9), length: 3 });
}

#[test]
fn a_crowd_of_unanswered_commands_waits() {
    // The greeting is unanswered, too.
    for (line, most) in [("NOOP\r\n", 23), ("RCPT\r\n", 1_023)] {
        let mut talk = Talk::new();
        let events = talk.client(line.repeat(2_000));
        assert_eq!(events.last().map(|(event, _)| *event), Some(Event::Wait));
        let is_end = |(event, _): &&(Event, Vec<u8>)| matches!(event, Event::CommandEnd { .. });
        assert_eq!(events.iter().filter(is_end).count(), most, "{line:?}");
        talk.server("220 hi\r\n");
        assert_ne!(talk.client(&line[..1])[0].0, Event::Wait);
    }
}

#[test]
fn the_old_fault_begins_data_on_the_command() {
    for reply in ["503 no\r\n", "354 go\r\n", "354 go\r\n250 eh\r\n"] {
        let mut talk = Talk::beginning(DataBegins::OnCommand);
        talk.server("220 hi\r\n");
        talk.client("DATA\r\n");
        assert_eq!(talk.expect(), Expect::Data(MailData::Line));
        let fault = reply.contains("eh").then_some(Fault::UnexpectedReply);
        assert_eq!(talk.server(reply), fault);
        let events = talk.client("VRFY root\r\n.\r\n");
        assert_eq!(events, [(Event::DataEnd, b"VRFY root\r\n.\r\n".to_vec())]);
        assert_eq!(talk.expect(), Expect::Command);
        assert_eq!(talk.changes().len(), 2);
    }
}

#[test]
fn a_refused_data_still_waits_if_its_letters_left() {
    let mut talk = Talk::greeted();
    talk.client("DATAF");
    talk.dialogue.refuse(false);
    talk.client("OO\r\n");
    assert_eq!(talk.expect(), Expect::Wait);
    talk.server("500 no\r\n");
    talk.client("D");
    talk.dialogue.refuse(false);
    talk.client("ATA\r\n");
    assert_eq!(talk.expect(), Expect::Command);
}

/// By the packet each part of a line is refused for itself.
#[test]
fn a_path_that_is_masked_twice_is_masked() {
    let mut talk = Talk::greeted();
    for part in ["RCPT TO:<a", "b", "c"] {
        talk.client(part);
        talk.dialogue.refuse(part != "RCPT TO:<a");
    }
    talk.client("d>\r\n");
    talk.server("250 ok\r\n");
    let Some((Step { event: Event::ReplyEnd(reply), .. }, _)) = talk.steps.last() else { panic!() };
    assert_eq!(reply.answers, Answers::MaskedPath(Verb::Rcpt));
}

#[test]
fn who_leaves_first_and_with_what_words_decides() {
    use Speaker::{Client, Server};
    let early = Some(Fault::EndedEarly);
    for (client, server, by_server) in [
        ("", "", early),
        ("", "220 hi\r\n", None),
        ("", "554 no\r\n", None),
        ("NOOP\r\n", "220 hi\r\n", early),
        ("NOOP\r\n", "220 hi\r\n250 ok\r\n", None),
        ("NOOP\r\n", "220 hi\r\n421 bye\r\n", None),
        ("GET / HTTP/1.1\r\nHost: x\r\n\r\n", "220 hi\r\n221 bye\r\n", None),
        ("NOOP\r\nNOOP\r\n", "220 hi\r\n451 bye\r\n", None),
        ("NOOP\r\nNOOP\r\n", "220 hi\r\n521 bye\r\n", None),
        ("NOOP\r\nNOOP\r\n", "220 hi\r\n500 eh\r\n", early),
        ("DATA\r\n", "220 hi\r\n", early),
        ("DATA\r\n", "220 hi\r\n354 go\r\n", early),
        ("DATA\r\n", "220 hi\r\n354 go\r\n421 bye\r\n", None),
        ("DATA\r\n", "220 hi\r\n354 go\r\n250 ok\r\n", early),
        ("STARTTLS\r\n", "220 hi\r\n220 go\r\n", None),
    ] {
        let mut talk = Talk::new();
        talk.client(client);
        talk.server(server);
        assert_eq!(talk.dialogue.end(Server), by_server, "{client:?} {server:?}");
        assert_eq!(talk.dialogue.end(Client), None, "{client:?} {server:?}");
    }
}
