//! The server's half of the dialogue: which reply answers what, and what that opens.
//!
//! Replies answer lines in their order (RFC 5321 4.2). Servers miss some and double others, so what
//! only one verb is answered with (354, 334, 220, 221) puts the two back in step, and every reply
//! out of place is a [`Fault`].

use super::body::Body;
use super::dialogue::{DataBegins, Dialogue, Expect, Refused, Step};
use super::line::CommandLine;
use super::reply::Part;
use super::{Answers, Event, Fault, LineEnd, Verb};

impl Dialogue {
    pub(super) fn read_server(&mut self, input: &[u8]) -> Step {
        if matches!(self.expect, Expect::Opaque { .. }) {
            return Step { used: input.len(), event: Event::Opaque, fault: None, is_secret: false };
        }
        let next = self.next_answered();
        let answers = *self.answering.get_or_insert(next);
        let (used, part) = self.reply.read(input);
        let (event, fault) = match part {
            Part::Code => (Event::ReplyCode(answers), None),
            Part::Text => (Event::ReplyText(answers), None),
            Part::End(line) => {
                let fault = self.end_reply_line(line, answers);
                (Event::ReplyEnd { answers, line }, fault)
            }
        };
        Step { used, event, fault, is_secret: false }
    }

    fn next_answered(&self) -> Answers {
        self.outstanding.oldest().unwrap_or(Answers::Nothing)
    }

    /// A reply line has ended; the last line of a reply moves the dialogue on.
    fn end_reply_line(&mut self, line: LineEnd, answers: Answers) -> Option<Fault> {
        let Some(code) = line.code else {
            // Clients pass over such a line (Postfix does), so it takes no reply's place.
            self.answering = None;
            return Some(Fault::MalformedReply);
        };
        let is_offer = self.is_later_line && answers == Answers::Verb(Verb::Ehlo) && code == 250;
        if is_offer && line.keyword.as_bytes() == b"CHUNKING" && !self.has_later_hello() {
            self.offers_chunking = true;
        }
        self.is_later_line = !line.is_last;
        if !line.is_last {
            return None;
        }
        self.answering = None;
        self.is_leaving = code == 421;
        self.end_reply(code, answers)
    }

    /// Whether another HELO or EHLO was sent behind the one being answered.
    fn has_later_hello(&self) -> bool {
        let is_hello =
            |answers| matches!(answers, Answers::Verb(Verb::Helo) | Answers::Verb(Verb::Ehlo));
        self.outstanding.later().any(is_hello)
    }

    fn end_reply(&mut self, code: u16, answers: Answers) -> Option<Fault> {
        if self.data_begins == DataBegins::OnCommand && code == 354 {
            self.outstanding.pop();
            return None;
        }
        if matches!(self.expect, Expect::Data(_)) && self.data_begins == DataBegins::OnReply {
            if code == 354 {
                return Some(Fault::UnexpectedReply);
            }
            // The server is not reading data any more, at a place we cannot know: from here on
            // nothing passes unread, and the line under way is no command.
            self.expect = Expect::Command;
            self.line = CommandLine::stray();
            return Some(Fault::ReplyInsideData);
        }
        match code {
            354 => self.begin_data(),
            334 => self.begin_auth_line(),
            _ => self.end_command(code, answers),
        }
    }

    fn begin_auth_line(&mut self) -> Option<Fault> {
        let owed = self.outstanding.len();
        if !self.skip_to(Verb::Auth) {
            // It asks for a line that is no command, but of nobody: what comes is still judged.
            self.outstanding.pop();
            return Some(Fault::UnexpectedReply);
        }
        self.expect = Expect::AuthLine;
        (self.outstanding.len() < owed).then_some(Fault::SkippedReply)
    }

    fn begin_data(&mut self) -> Option<Fault> {
        let owed = self.outstanding.len();
        let is_asked = self.skip_to(Verb::Data);
        let is_next = is_asked && self.outstanding.len() == owed;
        if !is_next && self.refused == Refused::DataAndMore {
            // The refusal answered something else, and the server has text we took for commands.
            return Some(Fault::LateData);
        }
        let is_behind_a_line = self.line.is_at_start();
        self.outstanding.clear();
        self.refused = Refused::No;
        self.expect = Expect::Data(if is_behind_a_line { Body::Line } else { Body::Middle });
        self.line = CommandLine::new();
        match (is_asked, is_next) {
            (true, true) => None,
            (true, false) => Some(Fault::SkippedReply),
            (false, _) => Some(Fault::UnexpectedReply),
        }
    }

    /// Drops what stands before the oldest command with this verb; false if there is none.
    fn skip_to(&mut self, verb: Verb) -> bool {
        self.outstanding.skip_to(Answers::Verb(verb))
    }

    /// An ordinary final reply answers the oldest command.
    fn end_command(&mut self, code: u16, answers: Answers) -> Option<Fault> {
        if answers == Answers::Nothing {
            // RFC 5321 3.8: 421 may come at any time.
            return (code != 421).then_some(Fault::UnexpectedReply);
        }
        // No success answers DATA but 354 (RFC 5321 4.3.2): this reply belongs to an earlier line.
        if answers == Answers::Verb(Verb::Data) && code / 100 == 2 && code != 221 {
            return Some(Fault::UnexpectedReply);
        }
        // Codes that answer one verb alone are places to fall into step again (RFC 5321 4.2.3,
        // RFC 3207 4); 220 is the greeting's too.
        let strong = match code {
            220 if answers != Answers::Connection => Some(Verb::StartTls),
            221 => Some(Verb::Quit),
            _ => None,
        };
        let is_astray = |verb| answers != Answers::Verb(verb) && self.skip_to(verb);
        let fault = strong.is_some_and(is_astray).then_some(Fault::SkippedReply);
        match self.outstanding.pop() {
            Some(Answers::Verb(Verb::StartTls)) if code == 220 => {
                self.expect = Expect::Opaque { has_begun: false };
            }
            Some(Answers::Verb(verb @ (Verb::Data | Verb::StartTls | Verb::Auth)))
                if matches!(self.expect, Expect::Wait | Expect::AuthLine) =>
            {
                if verb == Verb::Data {
                    self.refused = Refused::Data;
                }
                self.expect = Expect::Command;
            }
            Some(_) | None => {}
        }
        fault
    }
}
