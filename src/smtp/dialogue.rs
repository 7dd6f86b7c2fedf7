//! Both sides together: what each run of bytes is, and which reply answers which line.
//!
//! What comes next is [`Expect`]'s table; which line a reply answers is
//! [`Outstanding`](super::outstanding)'s; what a BDAT means is the transaction's. Here the runs are
//! read, and each piece is told of what happened.

mod astray;
mod outlook;
mod quick;

pub use quick::{Fillers, WholeLine, WholeReply};

use serde::{Deserialize, Serialize};

use super::expect::{Cue, DataBegins, Expect};
use super::line::{ChunkRule, CommandLine, MaskedChunk};
use super::mail_data::{FalseEnds, MailData, Rest, Run};
use super::outstanding::{Due, Outstanding, Pairing};
use super::prefix::Prefix;
use super::reply::{LastWord, Part, ReplyLine, ReplyReader, is_success};
use super::secret::{Hiding, Secrecy};
use super::transaction::Transaction;
use super::{Answers, Change, Event, Fault, Offset, Reply, Speaker, Standing, Step, Verb};

/// A dialogue between one client and one server.
#[derive(Debug, Serialize, Deserialize)]
pub struct Dialogue {
    data_begins: DataBegins,
    /// What a BDAT means whose line the guard masks.
    masked_chunk: ChunkRule,
    expect: Expect,
    /// A verb that is not known here may be the site's own.
    has_own_verbs: bool,
    /// A header of the PROXY protocol may come, or is under way.
    pub(super) prefix: Option<Prefix>,
    line: CommandLine,
    /// The reply under way; costs one pointer while there is none.
    reply: Option<Box<ReplyReader>>,
    outstanding: Outstanding,
    transaction: Transaction,
    secrecy: Secrecy,
    /// The last answer refused a DATA.
    has_refused_data: bool,
    last_word: LastWord,
    /// What a reply that a server leaves with is an alarm for if it stays.
    if_it_stays: Option<Fault>,
    /// Where the message data under way begins.
    data_start: Offset,
    /// Lines of the server since the last that answered something.
    #[serde(skip)]
    babble: u8,
}

impl Dialogue {
    /// A connection just opened: the server's greeting is outstanding.
    #[must_use]
    pub fn new(data_begins: DataBegins) -> Self {
        let mut outstanding = Outstanding::default();
        outstanding.push(Due::new(Answers::Connection, Offset::ZERO));
        Self {
            data_begins,
            masked_chunk: ChunkRule::Refuse,
            expect: Expect::Command,
            has_own_verbs: false,
            prefix: None,
            line: CommandLine::new(),
            reply: None,
            outstanding,
            transaction: Transaction::default(),
            secrecy: Secrecy::default(),
            has_refused_data: false,
            last_word: LastWord::Other,
            if_it_stays: None,
            data_start: Offset::ZERO,
            babble: 0,
        }
    }

    /// The same dialogue, in which a masked BDAT is this.
    #[must_use]
    pub const fn with_masked_chunks(mut self, meaning: MaskedChunk) -> Self {
        self.masked_chunk = meaning.rule();
        self
    }

    pub(super) fn reads_as_originals(&self) -> bool {
        self.masked_chunk == ChunkRule::Lines
    }

    /// The same dialogue, in which lines that nobody refuses have a verb, known here or not.
    #[must_use]
    pub const fn with_own_verbs(mut self) -> Self {
        self.has_own_verbs = true;
        self
    }

    /// The same dialogue, which the client may begin with a header of the PROXY protocol.
    #[must_use]
    pub const fn with_prefix(mut self) -> Self {
        self.prefix = Some(Prefix::Start);
        self
    }

    /// Reads one run of bytes. The input is not empty; what is not used has to be read again.
    pub fn read(&mut self, from: Speaker, input: &[u8], standing: Standing) -> Step {
        if let Expect::Tls(start) = &mut self.expect {
            let found = start.read(from, input);
            let mut step = Step::of(input.len(), Event::Opaque);
            (step.change, step.fault) = (found.unwrap_or_default(), found.err());
            return step;
        }
        match from {
            Speaker::Client => self.read_client(input, standing.at),
            Speaker::Server => self.read_server(input, standing.covers),
        }
    }

    /// From the byte just read on, the server gets the client's line masked; of a path or not.
    pub fn refuse(&mut self, is_path: bool) {
        self.line.refuse(is_path);
    }

    /// Whether the client's line under way is refused.
    #[must_use]
    pub const fn is_refused(&self) -> bool {
        self.line.is_refused()
    }

    /// The message under way is more than the server takes: whether it still reads it as one nobody
    /// knows.
    pub fn disown(&mut self) {
        self.expect = self.expect.next(Cue::TooLarge);
    }
}

/// The client's half.
impl Dialogue {
    fn read_client(&mut self, input: &[u8], at: Offset) -> Step {
        if let Some(step) = self.prefix.and_then(|prefix| self.read_prefix(prefix, input)) {
            return step;
        }
        match &mut self.expect {
            Expect::Command | Expect::Unproved => self.read_line(input, at),
            Expect::Wait | Expect::Tls(_) => Step::WAIT,
            Expect::Data(data) => {
                let before = *data;
                let read = data.read(input, FalseEnds::Changed);
                self.take_data(before, read, at)
            }
            Expect::Disowned(data) | Expect::Oversize(data) => {
                let before = *data;
                match data.read_rest(input) {
                    (used, Rest::Text) => Step::of(used, Event::Disowned(before)),
                    (used, Rest::End) => self.end_data(used, at),
                }
            }
            Expect::Chunk { left } | Expect::RefusedChunk { left } => {
                let used = usize::try_from(*left).unwrap_or(usize::MAX).min(input.len());
                *left = left.saturating_sub(u32::try_from(used).unwrap_or(u32::MAX));
                let is_out = *left == 0;
                self.transaction.hear_octets(input.get(..used).unwrap_or_default());
                self.read_octets(used, is_out, at)
            }
            Expect::AuthLine => self.read_auth_line(input, at),
        }
    }

    fn take_data(&mut self, before: MailData, (used, run): (usize, Run), at: Offset) -> Step {
        match run {
            Run::Text(plain) => Step { plain, ..Step::of(used, Event::Data) },
            Run::Lookalike => Step::of(used, Event::DataLookalike(before)),
            Run::End => self.end_data(used, at),
        }
    }

    fn read_line(&mut self, input: &[u8], at: Offset) -> Step {
        if self.line.is_at_start() {
            if !self.outstanding.has_room() {
                return Step::WAIT;
            }
            self.secrecy.begin_line();
            if self.expect == Expect::Unproved {
                self.line.disown();
            } else if self.bars_arguments() && outlook::begins_alone(input) {
                self.line.begin_alone();
            }
        }
        let rule = if self.line.is_refused() {
            self.masked_chunk
        } else {
            self.transaction.chunk_rule(&self.outstanding)
        };
        let (used, event, fault) = self.line.read(input, rule);
        let run = input.get(..used).unwrap_or_default();
        let (used, is_secret) = self.secrecy.cut(event, self.line.word(), run);
        let mut step = Step { fault, is_secret, ..Step::of(used, event) };
        if let Event::CommandEnd { is_bare, verb } = event {
            // A refusal that came within the line has taken the recipients away.
            let is_barred = self.line.chunk().is_some() && rule != ChunkRule::Pass;
            step.change = self.end_line(at.after(used as u64), is_bare, verb);
            step.fault = step.fault.or_else(|| self.transaction.fault_of_end(step.change));
            if is_barred && matches!(self.expect, Expect::Chunk { .. }) {
                self.lose_chunk();
                if rule != ChunkRule::Disown {
                    step.fault = step.fault.or_else(|| self.unless_it_leaves(Fault::RefusedChunk));
                } else if let Some(due) = self.outstanding.newest_mut() {
                    due.is_disowned = true;
                }
            }
        }
        step
    }

    /// A line has left: the server owes a reply, and some lines make the client wait for it. One
    /// that ends in a LF alone does, too: some servers would read on (Courier, Python's), and what
    /// came next would be a part of it for them. Behind an empty one that is no verb. The server
    /// answers `verb`.
    fn end_line(&mut self, end: Offset, is_bare: bool, verb: Option<Verb>) -> Option<Change> {
        let line = std::mem::replace(&mut self.line, CommandLine::new());
        let is_empty = line.is_at_start();
        let is_secret = self.secrecy.end_line(line.word());
        let chunk = line.chunk();
        let is_own = self.has_own_verbs && !line.is_refused() && !line.word().is_empty();
        let otherwise = if is_own { Answers::Own } else { Answers::Other };
        let answers = match verb {
            // Exim and OpenSMTPD refuse a QUIT that says more, and stay.
            Some(Verb::Quit) if !line.is_word() || line.is_refused() || line.has_bare_cr() => {
                Answers::Other
            }
            Some(verb) if line.has_masked_path() => Answers::MaskedPath(verb),
            Some(verb) => Answers::Verb(verb),
            None => otherwise,
        };
        let mut due = Due::new(answers, end);
        due.is_last_chunk = chunk.is_some_and(|size| size.is_last());
        let octets = chunk.and_then(|size| size.octets());
        (due.has_bare_cr, due.is_secret) = (line.has_bare_cr(), is_secret);
        due.may_be_lost = self.bars_arguments();
        self.outstanding.push(due);
        if verb == Some(Verb::Data) && self.data_begins == DataBegins::OnCommand {
            self.expect = Expect::Data(MailData::Line);
            self.data_start = end;
            return Some(Change::DataBegins { at: end });
        }
        let cue = match verb {
            Some(Verb::Data | Verb::StartTls | Verb::Auth) => Cue::Asks,
            _ if is_bare && !is_empty && octets.is_none() && !self.reads_as_originals() => {
                Cue::Asks
            }
            _ => octets.map_or(Cue::Line, Cue::Chunk),
        };
        self.expect = self.expect.next(cue);
        match chunk {
            Some(size) => self.transaction.begin_chunk(size, end),
            None => {
                self.transaction.send(line.word().verb().filter(|_| !line.is_refused()));
                None
            }
        }
    }

    fn end_data(&mut self, used: usize, at: Offset) -> Step {
        let end = at.after(used as u64);
        // Disowned text was answered already, and its end may be or not.
        let is_excused = matches!(self.expect, Expect::Disowned(_));
        self.expect = self.expect.next(Cue::EndOfData);
        self.line = CommandLine::new();
        self.outstanding.push(Due { is_excused, ..Due::new(Answers::Message, end) });
        let change = Change::DataEnds { at: end, length: end.since(self.data_start) };
        Step { change: Some(change), ..Step::of(used, Event::DataEnd) }
    }

    fn read_octets(&mut self, used: usize, is_out: bool, at: Offset) -> Step {
        let is_barred = matches!(self.expect, Expect::RefusedChunk { .. });
        let mut step = Step::of(used, if is_barred { Event::RefusedChunk } else { Event::Chunk });
        if is_out {
            self.expect = self.expect.next(Cue::OctetsOut);
            step.change = self.transaction.end_chunk(at.after(used as u64));
            step.fault = self.transaction.fault_of_end(step.change).filter(|_| !is_barred);
        }
        step
    }

    fn read_auth_line(&mut self, input: &[u8], at: Offset) -> Step {
        let (used, event) = self.line.read_response(input);
        if input.get(..used).is_some_and(|run| run.ends_with(b"\n")) {
            let line = std::mem::replace(&mut self.line, CommandLine::new());
            self.expect = self.expect.next(Cue::AuthLine);
            self.secrecy.hiding = Hiding::UntilCommand;
            // What comes now answers this line.
            if let Some(due) = self.outstanding.newest_mut() {
                due.end = at.after(used as u64);
                (due.has_bare_cr, due.is_secret) = (line.has_bare_cr(), true);
            }
        }
        Step { is_secret: true, ..Step::of(used, event) }
    }
}

/// The server's half.
impl Dialogue {
    fn read_server(&mut self, input: &[u8], covers: Offset) -> Step {
        let reader = self.reply.get_or_insert_default();
        let covers = *reader.covers.get_or_insert(covers);
        let is_data_due = self.outstanding.guess(covers) == Answers::Verb(Verb::Data);
        let (used, part) = reader.line.read(input, is_data_due);
        if let (None, Some(code)) = (reader.pairing, reader.line.known_code()) {
            reader.pairing = Some(self.outstanding.pair(code, covers));
        }
        let answers = match reader.pairing {
            Some(pairing) => pairing.answers,
            None => self.outstanding.guess(covers),
        };
        let reply = reader.so_far(answers);
        let event = match part {
            Part::Code => Event::ReplyCode(reply),
            Part::Separator => Event::ReplySeparator(reply),
            Part::Keyword => Event::ReplyKeyword(reply),
            Part::Text => Event::ReplyText(reply),
            Part::End => Event::ReplyEnd(reply),
        };
        let mut step = Step::of(used, event);
        // Servers quote what they cannot decode: sendmail a password that is no base64.
        let is_asked = answers != Answers::Nothing;
        let due = self.outstanding.oldest().filter(|_| is_asked);
        let may_quote = matches!(part, Part::Keyword | Part::Text);
        step.is_secret = may_quote && reply.may_quote_secret(due, &self.secrecy);
        if part == Part::End {
            (step.change, step.fault) = self.end_reply_line(reply, covers);
        }
        step
    }

    /// A reply line has ended; the last line of a reply moves the dialogue on.
    fn end_reply_line(&mut self, reply: Reply, covers: Offset) -> (Option<Change>, Option<Fault>) {
        let Some(reader) = &mut self.reply else { return (None, None) };
        let line = std::mem::take(&mut reader.line);
        let (Some(code), Some(pairing)) = (reply.code, reader.pairing) else {
            self.end_line_without_code(&line, covers);
            return (None, self.babble(false).or(Some(Fault::MalformedReply)));
        };
        self.transaction.hear(&reply);
        if !reply.is_last {
            reader.is_later_line = true;
            return (None, line.is_tiny().then(|| self.babble(true)).flatten());
        }
        self.end_last_line(code, pairing, covers)
    }

    /// The last line of a reply has ended.
    fn end_last_line(
        &mut self,
        code: u16,
        pairing: Pairing,
        covers: Offset,
    ) -> (Option<Change>, Option<Fault>) {
        self.reply = None;
        let owed = self.if_it_stays.take();
        self.last_word = LastWord::of(code);
        if pairing.answers != Answers::Nothing {
            self.babble = 0;
        }
        let (change, fault) = if self.refuses_prefix(code, pairing.answers) {
            (None, Some(Fault::BrokenPrefix))
        } else {
            self.end_reply(code, pairing, covers)
        };
        if matches!(self.expect, Expect::Wait | Expect::AuthLine) && self.outstanding.is_empty() {
            self.end_exchange(Cue::Answered);
        }
        (change, fault.filter(|fault| fault.is_fatal()).or(owed).or(fault))
    }

    /// What the client says next is a command, unless it is the rest of a line that was none.
    fn end_exchange(&mut self, cue: Cue) {
        if !self.line.is_at_start() {
            self.line = CommandLine::stray();
        }
        self.expect = self.expect.next(cue);
    }

    fn end_reply(
        &mut self,
        code: u16,
        pairing: Pairing,
        covers: Offset,
    ) -> (Option<Change>, Option<Fault>) {
        let skipped = pairing.has_skipped.then_some(Fault::SkippedReply);
        if self.data_begins == DataBegins::OnReply {
            if matches!(self.expect, Expect::Data(_) | Expect::Oversize(_)) {
                return (None, self.reply_inside_data(code, covers));
            }
            match (code, pairing.answers) {
                (354, Answers::Verb(Verb::Data)) => return self.grant_data(skipped),
                (354, _) => return (None, Some(Fault::UnaskedData)),
                _ => {}
            }
        }
        match (code, pairing.answers) {
            (_, Answers::Nothing) => {
                let fault = self.unasked(code, covers);
                (None, self.babble(true).or(fault))
            }
            (334, answers) => (None, self.grant_auth_line(answers, skipped.is_none())),
            (220, Answers::Verb(Verb::StartTls)) => (None, self.grant_tls(skipped.is_none())),
            _ => (None, self.answer(code, covers).or(skipped)),
        }
    }

    /// Whether nothing was sent behind the oldest line.
    pub(super) fn is_last_word(&self) -> bool {
        let is_behind_a_line = self.line.is_at_start() || self.expect == Expect::AuthLine;
        self.outstanding.len() == 1 && is_behind_a_line
    }

    fn grant_data(&mut self, skipped: Option<Fault>) -> (Option<Change>, Option<Fault>) {
        // Behind a line without a code, or a refusal that answered something else, the server has
        // got as text what was read as commands here.
        let is_late = !self.is_last_word() || (skipped.is_some() && self.has_refused_data);
        let Some(due) = self.outstanding.oldest().filter(|_| !is_late) else {
            return (None, Some(Fault::LateData));
        };
        self.outstanding.clear();
        self.expect = self.expect.next(Cue::Go354);
        self.data_start = due.end;
        (Some(Change::DataBegins { at: due.end }), skipped)
    }

    fn grant_auth_line(&mut self, answers: Answers, is_in_turn: bool) -> Option<Fault> {
        self.secrecy.hiding = Hiding::Line;
        // Whoever read two lines here has answered the second, too, and may await a command by now.
        if !is_in_turn || self.outstanding.oldest().is_some_and(|due| due.has_bare_cr) {
            return Some(Fault::DoubtfulExchange);
        }
        if answers == Answers::Verb(Verb::Auth) && self.is_last_word() {
            self.expect = self.expect.next(Cue::Go334);
            return None;
        }
        // It asks for a line that is no command, but of nobody: what comes is still judged.
        self.outstanding.pop();
        Some(Fault::UnexpectedReply)
    }

    fn grant_tls(&mut self, is_in_turn: bool) -> Option<Fault> {
        let is_last_word = self.is_last_word();
        self.outstanding.pop();
        if !is_last_word || !is_in_turn {
            // Behind a line without a code the server has got commands for TLS; and what answers
            // out of turn may be a second greeting.
            return Some(Fault::PlaintextForTls);
        }
        self.expect = self.expect.next(Cue::Go220);
        None
    }

    /// A final reply to the oldest.
    fn answer(&mut self, code: u16, covers: Offset) -> Option<Fault> {
        let holds_octets = self.holds_octets();
        let due = self.outstanding.pop()?;
        self.has_refused_data = due.answers == Answers::Verb(Verb::Data);
        // What else was sent behind a refused chunk is whole lines, and their answers will show.
        let is_behind = !self.outstanding.is_empty() && !holds_octets;
        let is_refused = self.transaction.answer(due, code, covers);
        if due.is_disowned {
            return is_success(code).then_some(Fault::UnexpectedReply);
        }
        if !is_refused || is_behind {
            return None;
        }
        self.lose_chunk();
        self.unless_it_leaves(Fault::RefusedChunk)
    }
}
