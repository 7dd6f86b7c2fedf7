//! Replies out of step: whatever the server says or leaves out, no command passes as text, no
//! text is taken for a command where the server reads text, and an alarm tells of it.

use mailguard::engine::What;
use mailguard::flow::Direction::{Original as C, Reply as S};

use crate::support::esmtp::{Esmtp, Mode};
use crate::support::golden::{compare, markdown};
use crate::support::packet::{ACK, PSH};
use crate::support::rig::settings;
use crate::support::session::{Mangle, Session};

const BODY: &str = "Subject: x\r\n\r\nEXPN staff\r\nDATA\r\nQUIT\r\n.\r\n";
const LINES: [&str; 4] = ["EHLO a\r\n", "MAIL FROM:<a@b>\r\n", "RCPT TO:<c@d>\r\n", "DATA\r\n"];

/// Replies of a dialogue without faults, the greeting included.
const REPLIES: usize = 7;

type Fault = fn(usize) -> Box<Mangle>;

fn insert(at: usize, extra: &'static str) -> Box<Mangle> {
    Box::new(move |replies| {
        let mut said = replies.to_vec();
        if at < said.len() {
            said.insert(at, extra.as_bytes().to_vec());
        }
        said.concat()
    })
}

fn replace(at: usize, other: &'static str) -> Box<Mangle> {
    Box::new(move |replies| {
        let mut said = replies.to_vec();
        if let Some(reply) = said.get_mut(at) {
            *reply = other.as_bytes().to_vec();
        }
        said.concat()
    })
}

fn double(at: usize) -> Box<Mangle> {
    Box::new(move |replies| {
        let twice = replies.get(at).cloned().unwrap_or_default();
        let (before, after) = replies.split_at(replies.len().min(at + 1));
        [before.concat(), twice, after.concat()].concat()
    })
}

fn swap(at: usize) -> Box<Mangle> {
    Box::new(move |replies| {
        let mut said = replies.to_vec();
        if at + 1 < said.len() {
            said.swap(at, at + 1);
        } else {
            said.truncate(at);
        }
        said.concat()
    })
}

/// What the server does to one of its replies.
const FAULTS: [(&str, Fault); 9] = [
    ("missing", |at| replace(at, "")),
    ("doubled", double),
    ("changed places with the next", swap),
    ("an unasked 250 before it", |at| insert(at, "250 hm\r\n")),
    ("an unasked 550 before it", |at| insert(at, "550-hm\r\n550 hm\r\n")),
    ("a 421 before it", |at| insert(at, "421 soon\r\n")),
    ("a line without a code before it", |at| insert(at, "* hello\r\n")),
    ("without a code", |at| replace(at, "OK\r\n")),
    ("of another length: 2500", |at| replace(at, "2500 x\r\n")),
];

/// How a client speaks: line by line, in groups, or without listening.
const CLIENTS: [(&str, Speak); 3] =
    [("line by line", by_line), ("in groups", in_groups), ("at once", at_once)];

type Speak = fn(&mut Session);

fn by_line(session: &mut Session) {
    for line in LINES {
        session.say(line);
    }
    body(session);
    session.say("QUIT\r\n");
}

fn in_groups(session: &mut Session) {
    session.say(LINES[0]);
    session.say(&LINES[1..].concat());
    body(session);
}

/// Text is sent where the server seems to have asked for it.
fn body(session: &mut Session) {
    if session.client_got().contains("354 ") {
        session.say_pieces(&[BODY.as_bytes(), b"QUIT\r\n"]);
    }
}

fn at_once(session: &mut Session) {
    session.queue(&[LINES.concat().as_bytes(), BODY.as_bytes(), b"QUIT\r\n"]);
    session.settle();
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Outcome {
    is_delivered: bool,
    has_alarm: bool,
}

/// The server's replies come whole, or byte by byte to a client that repeats itself meanwhile.
fn outcome(profile: &str, mangle: Box<Mangle>, client: fn(&mut Session), cut: bool) -> Outcome {
    let mut session = Session::silent(settings(profile), Esmtp::new("220 mx.example\r\n"));
    session.mangle = mangle;
    session.is_eager = cut;
    session.reply_cuts = if cut { (1..400).collect() } else { Vec::new() };
    session.settle();
    client(&mut session);
    session.hang_up();
    assert!(!session.has_run(&["EXPN"]), "a command as text: {:?}", session.server.commands);
    for message in &session.server.messages {
        assert_eq!(message.as_slice(), BODY.as_bytes(), "text as a command");
    }
    let is_delivered = session.server.messages.len() == 1;
    Outcome { is_delivered, has_alarm: !session.alarms().is_empty() }
}

#[test]
fn faulty_replies_let_nothing_through() {
    let mut text = String::from(
        "# Replies out of step\n\n\
         What the server does to one of its replies, each of the seven of a dialogue in turn; how\n\
         many of those seven messages are delivered, and how many raise an alarm. No case lets a\n\
         command through as text or takes text for a command; what is not delivered starves or \
         is reset,\nand its sender tries again. Made by `tests/core/desync.rs`.\n",
    );
    for profile in ["mailguard", "esmtp", "asa"] {
        let mut rows = Vec::new();
        for (name, fault) in FAULTS {
            let mut row = vec![name.to_owned()];
            for (_, client) in CLIENTS {
                let found: Vec<_> = (0..REPLIES)
                    .map(|at| {
                        let whole = outcome(profile, fault(at), client, false);
                        let split = outcome(profile, fault(at), client, true);
                        assert_eq!(whole.has_alarm, split.has_alarm, "{profile}, {name}, {at}");
                        whole
                    })
                    .collect();
                let delivered = found.iter().filter(|outcome| outcome.is_delivered).count();
                let alarms = found.iter().filter(|outcome| outcome.has_alarm).count();
                let is_legal = name.contains("421") || name.contains("places");
                // Who leaves with a 221 may say it once or twice, or for two.
                let leaves = name == "missing" || name == "doubled";
                let alarms_min = REPLIES - usize::from(leaves);
                assert!(is_legal || alarms >= alarms_min, "{profile}, {name}: {found:?}");
                row.push(format!("{delivered} delivered, {alarms} alarms"));
            }
            rows.push(row);
        }
        text += &format!("\n## {profile}\n\n");
        text += &markdown(&["a reply is", CLIENTS[0].0, CLIENTS[1].0, CLIENTS[2].0], &rows);
    }
    compare("desync.md", &text);
}

/// A session in the middle of its message.
fn in_body(profile: &str) -> Session {
    let mut session = Session::greeted(settings(profile), Esmtp::new("220 mx.example\r\n"));
    for line in LINES {
        session.say(line);
    }
    session.say("Subject: x\r\n\r\nhalf a li");
    assert_eq!(session.server.mode, Mode::Data);
    session
}

fn tell(session: &mut Session, reply: &str) {
    session.server.replies.push(reply.as_bytes().to_vec());
    session.settle();
}

#[test]
fn a_final_reply_in_the_body_disowns_the_rest() {
    for profile in ["mailguard", "esmtp", "pix-6.3", "asa"] {
        for reply in ["250 taken\r\n", "552 too big\r\n", "421 bye\r\n", "451-a\r\n451 b\r\n"] {
            let may_leave = reply.starts_with("421") || reply.starts_with("451");
            let told = if may_leave { &[][..] } else { &["reply-inside-data"] };
            // The server reads commands again.
            let mut session = in_body(profile);
            session.server.mode = Mode::Command;
            tell(&mut session, reply);
            assert_eq!(session.alarms(), told, "{profile} {reply:?}");
            session.say("ne\r\nEXPN a\r\nEXPN b\r\n.\r\nEXPN c\r\n");
            assert_eq!(session.alarms()[0], "reply-inside-data", "who stays has said so inside");
            assert!(!session.has_run(&["EXPN"]), "{profile}: {:?}", session.server.commands);
            // It does not: what was text is masked, and the end is still the end.
            let mut session = in_body(profile);
            tell(&mut session, reply);
            session.say("ne\r\nEXPN a\r\n.\r\nQUIT\r\n");
            let masked = b"Subject: x\r\n\r\nhalf a liXX\r\nXXXXXX\r\n.\r\n";
            assert_eq!(session.server.messages, [masked], "{profile}");
            // That it is masked was told as an alarm; how many bytes were is no news.
            let is_number = |what: &What| matches!(what, What::Unshown { .. });
            assert!(!session.rig.has_told(is_number), "{profile} {reply:?}");
            assert!(session.has_run(&["QUIT"]), "{profile}");
        }
    }
}

#[test]
fn a_354_in_the_body_changes_nothing() {
    let mut session = in_body("esmtp");
    tell(&mut session, "354 go\r\n");
    assert_eq!(session.alarms(), ["unexpected-reply"]);
    session.say("ne\r\nEXPN a\r\n.\r\n");
    assert_eq!(session.server.messages, [b"Subject: x\r\n\r\nhalf a line\r\nEXPN a\r\n.\r\n"]);
    session.say("EXPN b\r\n");
    assert!(!session.has_run(&["EXPN"]));
}

#[test]
fn a_354_out_of_the_blue_resets() {
    for (before, behind) in [("", ""), ("MAIL FROM:<a>\r\n", ""), ("NO", "OP\r\n")] {
        let mut session = Session::greeted(settings("esmtp"), Esmtp::new("220 mx.example\r\n"));
        session.say(before);
        tell(&mut session, "354 go\r\n");
        assert_eq!(session.alarms(), ["unasked-data"], "{before:?}");
        assert!(session.rig.resets > 0, "{before:?}");
        session.say(&format!("{behind}EXPN a\r\n.\r\n"));
        assert!(!session.server_got().contains("EXPN"), "{before:?}");
        assert!(!session.client_got().contains("354"), "{before:?}");
    }
}

#[test]
fn a_reply_that_began_before_its_sender_had_the_line_opens_nothing() {
    for (line, reply, fault) in [
        ("DATA\r\n", "354 go\r\n", "unasked-data"),
        ("AUTH LOGIN\r\n", "334 go\r\n", "unexpected-reply"),
        ("STARTTLS\r\n", "220 go\r\n", "unexpected-reply"),
    ] {
        // The line is lost; or it arrives, and its ACK overtakes the reply that was on its way.
        for is_lost in [true, false] {
            let mut session = Session::greeted(settings("esmtp"), Esmtp::new("220 mx.example\r\n"));
            let start = session.rig.original.received;
            let at = session.rig.reply.received;
            let (seq, ack) = session.rig.numbers(S, at);
            session.rig.is_lost_behind = is_lost;
            let _ = session.rig.send(C, start, line.as_bytes());
            session.rig.is_lost_behind = false;
            let _ = session.rig.ack(S, at);
            let _ = session.rig.packet(S, seq, ack, ACK | PSH, &[], reply.as_bytes());
            assert_eq!(session.alarms(), [fault], "{line:?} {is_lost}");
            let _ = session.rig.send(C, start + line.len() as u64, b"EXPN a\r\n");
            assert!(!session.server_got().contains("EXPN"), "{line:?} {is_lost}");
        }
    }
}

#[test]
fn the_server_may_leave_at_any_time() {
    let steps = [&[][..], &LINES[..1], &LINES[..2], &LINES[..3], &LINES];
    for profile in ["mailguard", "esmtp", "asa"] {
        for lines in steps {
            for word in ["", "421 bye\r\n"] {
                let mut session =
                    Session::greeted(settings(profile), Esmtp::new("220 mx.example\r\n"));
                for line in lines {
                    session.say(line);
                }
                let is_in_body = session.server.mode == Mode::Data;
                session.server.mode = Mode::Command;
                tell(&mut session, word);
                session.hang_up();
                session.say("EXPN a\r\nEXPN b\r\n");
                let is_rude = is_in_body && word.is_empty();
                // Behind a FIN nothing is answered: what was text stays unanswered text.
                assert!(is_rude || !session.has_run(&["EXPN"]), "{profile} {lines:?} {word:?}");
                assert_eq!(!session.alarms().is_empty(), is_rude, "{profile} {lines:?} {word:?}");
            }
        }
    }
}

#[test]
fn the_server_leaves_with_replies_outstanding() {
    let mut session = Session::greeted(settings("esmtp"), Esmtp::new("220 mx.example\r\n"));
    session.mangle = Box::new(|replies| replies[..1].concat());
    session.say("NOOP\r\n");
    session.hang_up();
    assert_eq!(session.alarms(), ["ended-early"]);
}

#[test]
fn a_reply_that_never_ends_keeps_the_client_waiting() {
    for starts in ["250-a\r\n250-", "354-a\r\n354-b\r\n", "354", "354 go\r"] {
        let mut session = Session::greeted(settings("esmtp"), Esmtp::new("220 mx.example\r\n"));
        let told = [b"220 mx.example\r\n", starts.as_bytes()].concat();
        session.mangle = Box::new(move |replies| {
            told[..if replies.len() > 1 { told.len() } else { 16 }].to_vec()
        });
        session.say("DATA\r\n");
        session.say("EXPN a\r\n");
        assert!(!session.server_got().contains("EXPN"), "{starts:?}");
        session.hang_up();
        assert_eq!(session.alarms(), ["ended-early"], "{starts:?}");
    }
}

#[test]
fn replies_without_text_are_replies() {
    let mut session = Session::greeted(settings("esmtp"), Esmtp::new("220\r\n"));
    session.mangle = Box::new(|replies| {
        replies.iter().flat_map(|reply| [&reply[..3], b"\r\n"].concat()).collect()
    });
    for line in LINES {
        session.say(line);
    }
    assert_eq!(session.say(BODY), "250\r\n");
    assert_eq!(session.server.messages, [BODY.as_bytes()]);
    assert!(session.alarms().is_empty());
}

#[test]
fn a_334_that_nobody_asked_for_frees_no_line() {
    let mut session = Session::greeted(settings("esmtp"), Esmtp::new("220 mx.example\r\n"));
    session.mangle = Box::new(|replies| replies.concat().replace_once(b"250 ok", b"334 ok"));
    session.say("NOOP\r\n");
    assert_eq!(session.alarms(), ["unexpected-reply"]);
    session.say("EXPN a\r\n");
    assert!(!session.has_run(&["EXPN"]));
}

/// A server that ends lines at a CR has answered both of what is one line here: one of its replies
/// is under way while the client sends what would be the next line of the exchange.
#[test]
fn a_334_to_what_some_read_as_two_lines_resets() {
    for line in ["AGEA\r\0\n", "AGEA\r\r\n", "AGEA\rYg==\r\n"] {
        let mut server = Esmtp::new("220 mx.example\r\n");
        server.auth = &["334 VXNlcm5hbWU6\r\n", "334 UGFzc3dvcmQ6\r\n", "235 ok\r\n"];
        let mut session = Session::greeted(settings("esmtp"), server);
        session.say("EHLO a\r\n");
        session.say("AUTH LOGIN\r\n");
        session.say(line);
        session.say("EXPN a\r\n");
        assert_eq!(session.alarms(), ["doubtful-exchange"], "{line:?}");
        assert!(session.rig.resets > 0 && !session.server_got().contains("EXPN"), "{line:?}");
    }
}

trait ReplaceOnce {
    fn replace_once(self, from: &[u8; 6], to: &[u8; 6]) -> Vec<u8>;
}

impl ReplaceOnce for Vec<u8> {
    fn replace_once(mut self, from: &[u8; 6], to: &[u8; 6]) -> Vec<u8> {
        if let Some(at) = self.windows(6).position(|window| window == from) {
            self[at..at + 6].copy_from_slice(to);
        }
        self
    }
}
