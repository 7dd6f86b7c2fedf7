//! What the server says out of turn, lines without a code, replies that answer nothing; and what
//! nobody has seen.

use super::{
    Answers, CommandLine, Cue, Dialogue, Expect, Fault, Hiding, LastWord, MailData, Offset,
    ReplyLine, Speaker, Verb, is_success,
};

/// Lines in a row that may answer nothing. Nobody has that much to say unasked, and who says it to
/// keep a filter busy gets this far in each connection.
const BABBLE_MAX: u8 = 48;

impl Dialogue {
    /// So many bytes before this offset were missed (a capture has a gap). What follows begins a
    /// line, since most packets do, or goes on with the message.
    pub fn lose_place(&mut self, from: Speaker, missed: u64, at: Offset) {
        match (from, &mut self.expect) {
            (
                Speaker::Client,
                Expect::Data(data) | Expect::Disowned(data) | Expect::Oversize(data),
            ) => *data = MailData::Middle,
            (Speaker::Client, Expect::Chunk { left } | Expect::RefusedChunk { left }) => {
                *left = left.saturating_sub(u32::try_from(missed).unwrap_or(u32::MAX));
                let is_out = *left == 0;
                self.read_octets(0, is_out, at);
                if is_out {
                    self.secrecy.lose_place();
                }
            }
            (Speaker::Client, _) => {
                (self.line, self.prefix) = (CommandLine::new(), None);
                // What is missing may have asked for a credential, and this be the rest of it.
                self.secrecy.lose_place();
            }
            (Speaker::Server, _) => self.reply = None,
        }
    }

    /// Clients pass over such a line, or take it for a refusal: it takes no reply's place, and a
    /// line that alone awaits an answer may have got it.
    pub(super) fn end_line_without_code(&mut self, line: &ReplyLine, covers: Offset) {
        self.reply = self.reply.take().filter(|reader| reader.is_later_line);
        if line.is_blank() {
            return;
        }
        self.free_client(covers);
        let is_alone = self.outstanding.len() == 1;
        let due = self.outstanding.oldest_within(covers).filter(|_| is_alone);
        if let Some(due) = due.filter(|due| due.answers != Answers::Connection) {
            self.transaction.excuse(due);
        }
    }

    /// The server has said something that takes no reply's place: where the client waits, what it
    /// does next is read as commands, and what it has asked for stays outstanding.
    fn free_client(&mut self, covers: Offset) {
        let waits = matches!(self.expect, Expect::Wait | Expect::AuthLine);
        let asks = [Verb::Data, Verb::StartTls, Verb::Auth].map(Answers::Verb);
        let asked = self.outstanding.newest_mut();
        let asked = asked.filter(|due| due.end <= covers && asks.contains(&due.answers));
        if let Some(due) = asked.filter(|_| waits) {
            self.transaction.excuse(due);
            self.end_exchange(Cue::NoCode);
        }
    }

    /// The server is not reading data any more, at a place we cannot know: from here on nothing
    /// passes that it could take for a command.
    pub(super) fn reply_inside_data(&mut self, code: u16, covers: Offset) -> Option<Fault> {
        // Nobody takes a message of which he has nothing: that success answers an earlier line.
        let is_late = is_success(code) && code != 221 && covers <= self.data_start;
        if is_late || code == 354 {
            return Some(Fault::UnexpectedReply);
        }
        // What is too large may be refused at any time.
        let is_due = matches!(self.expect, Expect::Oversize(_));
        self.expect = self.expect.next(Cue::FinalInData);
        self.transaction.lose_transaction();
        if is_due { None } else { self.unless_it_leaves(Fault::ReplyInsideData) }
    }

    /// What the client has sent as octets, or sends, the server may be reading as commands.
    pub(super) fn lose_chunk(&mut self) {
        if self.expect == Expect::Command && !self.line.is_at_start() {
            self.line.disown();
        }
        self.expect = self.expect.next(Cue::ChunkRefused);
    }

    /// One more line that answers nothing, and whether the server says nothing else any more, which
    /// is said once. With a code it may answer each line of a text that it took for commands.
    pub(super) fn babble(&mut self, has_code: bool) -> Option<Fault> {
        if has_code && matches!(self.expect, Expect::Disowned(_)) {
            return None;
        }
        self.babble = self.babble.saturating_add(1);
        (self.babble == BABBLE_MAX + 1).then_some(Fault::Babble)
    }

    pub(super) fn unasked(&mut self, code: u16, covers: Offset) -> Option<Fault> {
        if code == 334 {
            self.secrecy.hiding = Hiding::Line;
        }
        self.transaction.note_code(code);
        // Behind a success too many it may be the refusal of what seemed to be accepted.
        if is_success(code) {
            self.transaction.doubt_refusal();
        } else if self.transaction.doubt(covers) {
            self.lose_chunk();
        }
        if code >= 400 && code != 421 {
            self.excuse_message(covers);
        }
        // A greeting may be all that the server says of a message: nothing waits for more.
        let oldest = self.outstanding.oldest_within(covers).filter(|_| code == 220);
        if let Some(due) = oldest.filter(|due| due.ends_message()) {
            self.transaction.excuse(due);
        }
        self.free_client(covers);
        // RFC 5321 3.8: 421 may come at any time. Lines of disowned text may be answered or not.
        let is_allowed = code == 421 || matches!(self.expect, Expect::Disowned(_));
        if is_allowed { None } else { self.unless_it_leaves(Fault::UnexpectedReply) }
    }

    /// A refusal from the middle of message data whose end has passed already: the server may have
    /// nothing more to say of it.
    fn excuse_message(&mut self, covers: Offset) {
        let (start, message) = (self.data_start, self.outstanding.first_beyond(covers));
        if let Some(due) = message.filter(|due| due.answers == Answers::Message && covers > start) {
            self.transaction.excuse(due);
        }
    }

    /// A server that says why it leaves may say it at any time.
    pub(super) fn unless_it_leaves(&mut self, fault: Fault) -> Option<Fault> {
        if self.last_word == LastWord::Leaving {
            self.if_it_stays = Some(fault);
            return None;
        }
        Some(fault)
    }
}
