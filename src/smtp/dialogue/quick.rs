//! What is read in one step where [`Dialogue::read`] takes several, to the same end: message data,
//! read and changed in one pass, or read as it leaves, and lines that are here whole.
//!
//! A line is looked at first and taken then: whoever cannot rule on it as a whole has it read run
//! by run. Only ordinary lines are read so; [`Dialogue::read`] is the general case.

use memchr::{memchr, memchr2};

use super::{
    Answers, CommandLine, Dialogue, Event, Expect, Hiding, Offset, Reply, ReplyLine, Standing,
    Step, Verb,
};
use crate::smtp::{FalseEnds, Swept, Word};

/// What message bytes become that may not leave as they came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fillers {
    /// Instead of a lookalike, unless it stays.
    pub lookalike: Option<u8>,
    /// Instead of text that may be read as commands.
    pub disowned: u8,
}

impl Dialogue {
    /// Reads the client's message data up to its end, or that of the input, and changes it in
    /// place; `None` where what comes is no message data. The step says nothing of what changed.
    pub fn sweep(
        &mut self,
        input: &mut [u8],
        at: Offset,
        fillers: Fillers,
    ) -> Option<(Step, Swept)> {
        #[expect(clippy::wildcard_enum_match_arm, reason = "all else is read in runs")]
        let swept = match &mut self.expect {
            Expect::Data(data) => data.sweep(input, fillers.lookalike),
            Expect::Disowned(data) | Expect::Oversize(data) => {
                data.sweep_disowned(input, fillers.disowned)
            }
            _ => return None,
        };
        let step = if swept.is_end {
            self.end_data(swept.used, at)
        } else {
            Step { plain: swept.plain, ..Step::of(swept.used, Event::Data) }
        };
        Some((step, swept))
    }

    /// Reads one run of the client's message data where false ends leave as they came; `None` where
    /// what comes is none. The input is not empty.
    pub fn read_as_it_leaves(&mut self, input: &[u8], at: Offset) -> Option<Step> {
        let Expect::Data(data) = &mut self.expect else { return None };
        let before = *data;
        let read = data.read(input, FalseEnds::Kept);
        Some(self.take_data(before, read, at))
    }
}

/// A command line that has come whole: a verb, its argument behind one space or none at all, and
/// nothing odd about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WholeLine {
    /// Its first word.
    pub word: Word,
    /// The verb.
    pub verb: Verb,
    /// Whether a space stands behind it.
    pub has_gap: bool,
    /// Its bytes, the line end not counted.
    pub length: usize,
    /// Whether the server still owes an answer to an earlier line.
    pub is_pipelined: bool,
    is_bare: bool,
}

impl WholeLine {
    /// Its bytes, the line end among them.
    #[must_use]
    pub const fn used(&self) -> usize {
        self.length + if self.is_bare { 1 } else { 2 }
    }
}

/// A reply line that has come whole and begins with a code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WholeReply {
    /// What is known of it; its keyword only where it may offer something.
    pub reply: Reply,
    /// Its bytes, the line end not counted.
    pub length: usize,
    /// The line end among them.
    pub used: usize,
    code: u16,
}

impl WholeReply {
    /// Whether it has nothing but its code.
    #[must_use]
    pub const fn is_bare(&self) -> bool {
        self.length == 3
    }
}

/// Whole lines of the client.
impl Dialogue {
    /// The client's line, if what comes begins one, it is here whole, and reading it by its runs
    /// could bring no more than its end does. Nothing is read yet.
    #[must_use]
    pub fn whole_line(&self, input: &[u8]) -> Option<WholeLine> {
        let is_command = self.expect == Expect::Command
            && self.secrecy.hiding == Hiding::No
            && self.prefix.is_none();
        if !is_command || !self.outstanding.has_room() || !self.line.is_at_start() {
            return None;
        }
        let line = input.get(..memchr(b'\n', input)?)?;
        let text = line.strip_suffix(b"\r").unwrap_or(line);
        let letters = text.iter().take(Word::ROOM).take_while(|byte| byte.is_ascii_alphabetic());
        let (word, rest) = text.split_at_checked(letters.count())?;
        let word = Word::of(word);
        // What stands behind these is read byte by byte: a secret, and a number of octets.
        let verb = word.verb().filter(|verb| !matches!(verb, Verb::Auth | Verb::Bdat))?;
        let has_gap = match rest {
            [] => false,
            _ if self.bars_arguments() => return None,
            [b' ', argument @ ..] if memchr2(b'\r', 0, argument).is_none() => true,
            _ => return None,
        };
        let is_bare = text.len() == line.len();
        let is_pipelined = !self.outstanding.is_empty();
        Some(WholeLine { word, verb, has_gap, length: text.len(), is_pipelined, is_bare })
    }

    /// Reads such a line.
    pub fn take_line(&mut self, line: &WholeLine, at: Offset) -> Step {
        let used = line.used();
        self.line = CommandLine::whole(line.word, line.has_gap);
        let (is_bare, verb) = (line.is_bare, Some(line.verb));
        let change = self.end_line(at.after(used as u64), is_bare, verb);
        let event = Event::CommandEnd { is_bare, verb };
        Step { change, ..Step::of(used, event) }
    }
}

/// Whole lines of the server.
impl Dialogue {
    /// The server's line, if what comes begins one, it is here whole, and it begins with a code.
    /// Nothing is read yet.
    #[must_use]
    pub fn whole_reply(&mut self, input: &[u8], standing: Standing) -> Option<WholeReply> {
        let mut reader = self.reply.as_deref().copied().unwrap_or_default();
        let is_open = matches!(self.expect, Expect::Tls(_));
        if is_open || reader.line != ReplyLine::default() {
            return None;
        }
        let end = memchr(b'\n', input)?;
        let line = input.get(..end)?;
        let text = line.strip_suffix(b"\r").unwrap_or(line);
        let (digits, rest) = text.split_first_chunk::<3>()?;
        let is_last = match rest {
            [] | [b' ', ..] => true,
            [b'-', ..] => false,
            _ => return None,
        };
        if !digits.iter().all(u8::is_ascii_digit) {
            return None;
        }
        let code = digits.iter().fold(0, |code, digit| code * 10 + u16::from(digit - b'0'));
        reader.line = ReplyLine::whole(code, is_last, end + 1);
        if let (true, 250, [_, text @ ..]) = (reader.is_later_line, code, rest) {
            reader.line = reader.line.with_text(text);
        }
        let covers = reader.covers.unwrap_or(standing.covers);
        // The reply under way answers the oldest, if it answers anything.
        let due = match reader.pairing {
            Some(pairing) if pairing.answers == Answers::Nothing => None,
            Some(_) => self.outstanding.oldest(),
            None => self.outstanding.foresee(code, covers),
        };
        let answers = due.map_or(Answers::Nothing, |due| due.answers);
        let (reply, length) = (reader.so_far(answers), text.len());
        // What of it may be told is decided run by run.
        if reply.may_quote_secret(due, &self.secrecy) {
            return None;
        }
        Some(WholeReply { reply, length, used: end + 1, code })
    }

    /// Reads such a line.
    pub fn take_reply(&mut self, line: &WholeReply, standing: Standing) -> Step {
        let mut step = Step::of(line.used, Event::ReplyEnd(line.reply));
        if self.reply.is_none() && line.reply.is_last {
            let pairing = self.outstanding.pair(line.code, standing.covers);
            self.transaction.hear(&line.reply);
            (step.change, step.fault) = self.end_last_line(line.code, pairing, standing.covers);
            return step;
        }
        let reader = self.reply.get_or_insert_default();
        let covers = *reader.covers.get_or_insert(standing.covers);
        reader.line = ReplyLine::whole(line.code, line.reply.is_last, line.used);
        let outstanding = &mut self.outstanding;
        reader.pairing.get_or_insert_with(|| outstanding.pair(line.code, covers));
        (step.change, step.fault) = self.end_reply_line(line.reply, covers);
        step
    }
}
