//! Reading a stream's fresh bytes, run by run: step, ruling, apply, advance, tell.
//!
//! Works on the bytes where the stream keeps them, so a byte is judged once and every copy of it
//! that leaves is restored from there. State moves in `advance` alone; `tell` only says what
//! happened, and `count` only counts it.

use super::passage::Passage;
use super::{Reason, TlsEvent, What};
use crate::flow::Direction;
use crate::guard::{Draft, Excess, Rule, Ruling, Run};
use crate::offset::Offset;
use crate::smtp::{Answers, Change, Event, Expect, Fault, Standing, Step};

/// False ends of one message that the log tells of.
const LOOKALIKES_LOGGED_MAX: u8 = 16;

/// How far the reading came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Reading {
    /// The first offset that may not pass yet.
    pub(super) end: Offset,
    /// Whether any byte was edited.
    pub(super) is_edited: bool,
    /// Why the flow must be reset, if it must.
    pub(super) fatal: Option<Reason>,
}

/// One run, its place, and what was ruled on it.
struct Ruled {
    at: Offset,
    end: Offset,
    step: Step,
    ruling: Ruling,
}

impl Ruled {
    const fn passed(at: Offset, step: Step) -> Self {
        Self { at, end: at.after(step.used as u64), step, ruling: Ruling::Pass }
    }
}

impl Passage<'_, '_> {
    /// Judges the bytes appended from offset `from` on, in place.
    pub(super) fn read(&mut self, from: Offset) -> Reading {
        let mut draft = Draft::default();
        let mut reading = Reading { end: from, is_edited: false, fatal: None };
        // Behind the 220 to STARTTLS nothing is dialogue.
        while self.conversation.records.is_none() {
            if (self.may_sweep() && self.sweep(&mut reading, &mut draft))
                || self.read_whole_line(&mut reading)
            {
                if reading.fatal.is_some() {
                    break;
                }
                continue;
            }
            let is_first = reading.end == from;
            let Some(ruled) = self.rule(reading.end, is_first, &mut draft) else { break };
            if matches!(ruled.ruling, Ruling::Edit(_) | Ruling::Refuse(_)) {
                reading.is_edited |= self.apply(&ruled, &draft);
            }
            reading.fatal = fatal_of(&ruled);
            self.finish_run(&ruled, &mut reading);
            if reading.fatal.is_some() {
                break;
            }
        }
        reading
    }

    /// Whether message data, if that is what comes, is read in one pass: where the log is told of
    /// no run of it, and nothing in it is asked about.
    fn may_sweep(&self) -> bool {
        let guard = &self.conversation.terms.guard;
        let is_news = match self.conversation.dialogue.expect() {
            Expect::Data(_) if guard.reads_message(&self.conversation.watch) => return false,
            Expect::Data(_) => self.conversation.lookalikes < LOOKALIKES_LOGGED_MAX,
            Expect::Disowned(_) | Expect::Oversize(_) => false,
            Expect::Command
            | Expect::Wait
            | Expect::Chunk { .. }
            | Expect::RefusedChunk { .. }
            | Expect::Unproved
            | Expect::AuthLine
            | Expect::Tls(_) => return false,
        };
        self.direction == Direction::Original && !(is_news && self.effects.is_heard())
    }

    /// Reads message data and makes it what leaves. False if there is none.
    fn sweep(&mut self, reading: &mut Reading, draft: &mut Draft) -> bool {
        let conversation = &mut *self.conversation;
        let at = reading.end;
        let stream = &mut conversation.streams[self.direction];
        let bytes = stream.tail(at);
        let (guard, watch) = (&conversation.terms.guard, &mut conversation.watch);
        // Where the log hears of anything at all, this message has shown it enough false ends.
        let counted = rule_of_unshown(conversation.dialogue.expect());
        let counted = counted.filter(|_| self.effects.is_heard());
        let swept = guard.sweep(watch, &mut conversation.dialogue, &mut *bytes, at, draft);
        let Some((step, swept)) = swept.filter(|(step, _)| step.used > 0) else { return false };
        self.engine.inspect_run(bytes.get(..step.used).unwrap_or_default());
        if swept.changed > 0 {
            let place = |index: usize| at.after(index as u64);
            stream.note_edit(place(swept.edited.start), place(swept.edited.end));
            self.effects.counted.bytes_masked += swept.changed;
            conversation.deeds.edited = conversation.deeds.edited.saturating_add(1);
            reading.is_edited = true;
            if let Some(rule) = counted {
                let first = place(swept.edited.start);
                let journal = &mut conversation.journal[self.direction];
                journal.count_unshown(first, rule, swept.changed);
            }
        }
        for strike in draft.strikes() {
            let Some(id) = guard.patch(*strike) else { continue };
            self.effects.counted.patches.count(id, strike.deed);
        }
        self.finish_run(&Ruled::passed(at, step), reading);
        true
    }

    /// Reads a line that is here whole and passes as it came. False if what comes is none.
    fn read_whole_line(&mut self, reading: &mut Reading) -> bool {
        let at = reading.end;
        let standing = Standing { at, covers: self.covered() };
        let conversation = &mut *self.conversation;
        let bytes = conversation.streams[self.direction].tail(at);
        let (dialogue, watch) = (&mut conversation.dialogue, &mut conversation.watch);
        let guard = &conversation.terms.guard;
        if bytes.is_empty() || !conversation.journal[self.direction].is_empty() {
            return false;
        }
        let (step, length) = match self.direction {
            Direction::Original => match dialogue.whole_line(bytes) {
                Some(line) if guard.pass_line(watch, &line, bytes) => {
                    conversation.last = line.word;
                    (dialogue.take_line(&line, at), line.length)
                }
                Some(_) | None => return false,
            },
            Direction::Reply => match dialogue.whole_reply(bytes, standing) {
                Some(line) if guard.pass_reply(watch, &line) => {
                    (dialogue.take_reply(&line, standing), line.length)
                }
                Some(_) | None => return false,
            },
        };
        self.engine.inspect_run(bytes.get(..step.used).unwrap_or_default());
        let ruled = Ruled::passed(at, step);
        reading.fatal = fatal_of(&ruled);
        self.tell_line(&ruled, length);
        self.finish_run(&ruled, reading);
        true
    }

    /// Reading goes on behind the run: what follows from it is done, said and counted.
    fn finish_run(&mut self, ruled: &Ruled, reading: &mut Reading) {
        reading.end = ruled.end;
        self.advance(ruled);
        self.tell_run(ruled);
        self.count(ruled);
        self.hear_reply(&ruled.step, reading);
        // Where TLS has begun the client's records are read behind the rest of this segment.
        let is_clear = self.conversation.records.is_none();
        if is_clear && matches!(ruled.step.event, Event::ReplyEnd(_)) {
            self.read_what_the_reply_lets_on();
        }
    }

    /// Says what a whole line was.
    fn tell_line(&mut self, ruled: &Ruled, length: usize) {
        #[expect(clippy::wildcard_enum_match_arm, reason = "the other is the client's line end")]
        let entry = match ruled.step.event {
            Event::ReplyEnd(reply) if reply.answers == Answers::Connection => What::banner,
            Event::ReplyEnd(_) => What::reply,
            _ => What::command,
        };
        let line = (self.direction, ruled.at, length);
        self.conversation.tell_line(&self.scene, line, entry, self.effects);
    }

    /// The next run and the ruling on it; none where nothing is left that may be read now.
    fn rule(&mut self, at: Offset, is_first: bool, draft: &mut Draft) -> Option<Ruled> {
        let standing = Standing { at, covers: self.covered() };
        let is_excused = self.conversation.is_excused(self.direction);
        let conversation = &mut *self.conversation;
        let bytes = conversation.streams[self.direction].tail(at);
        if bytes.is_empty() {
            return None;
        }
        let dialogue = &mut conversation.dialogue;
        let visible = bytes.len().min(readable_at_once(self.direction, dialogue.expect()));
        let visible = bytes.get(..visible).unwrap_or_default();
        let (guard, from) = (&conversation.terms.guard, self.direction.speaker());
        let mut step = guard.read(&mut conversation.watch, dialogue, from, visible, standing);
        if is_excused {
            step.fault = step.fault.filter(|fault| dialogue.minds_masked(*fault));
        }
        let run = bytes.get(..step.used).filter(|run| !run.is_empty())?;
        self.engine.inspect_run(run);
        let is_oversize = matches!(dialogue.expect(), Expect::Oversize(_));
        let judged =
            Run { event: step.event, bytes: run, rest: bytes, is_first, plain: step.plain };
        let ruling = conversation.terms.guard.judge(&mut conversation.watch, judged, draft);
        // That disowned text is masked was told as an alarm.
        if self.effects.is_heard() && !matches!(step.event, Event::Disowned(_)) {
            let journal = &mut conversation.journal[self.direction];
            if note_news(step, &mut conversation.lookalikes) {
                journal.note(at, step, run, ruling, draft);
            } else if let Ruling::Edit(rule) = ruling {
                journal.count_unshown(at, rule, draft.changed(run));
            }
        } else if self.effects.is_heard() && is_oversize {
            let journal = &mut conversation.journal[self.direction];
            journal.end_edits(self.direction, &mut self.effects.told);
            journal.count_unshown(at, Rule::MessageBytes, draft.changed(run));
        }
        if let Some((rule, ..)) = draft.noted(run) {
            *self.effects.counted.rules.entry(rule).or_default() += 1;
        }
        self.note_strikes(step.fault, draft);
        Some(Ruled { at, end: at.after(step.used as u64), step, ruling })
    }

    /// Notes the patches that have struck in the run just judged.
    fn note_strikes(&mut self, fault: Option<Fault>, draft: &mut Draft) {
        let guard = &self.conversation.terms.guard;
        if let Some(fault) = fault {
            guard.blame(fault.name(), self.direction.speaker(), draft);
        }
        self.count_strikes(draft);
    }

    /// Counts and names the patches that have struck.
    pub(super) fn count_strikes(&mut self, draft: &Draft) {
        let guard = &self.conversation.terms.guard;
        for strike in draft.strikes() {
            let Some(id) = guard.patch(*strike) else { continue };
            self.conversation.journal[self.direction].name(id);
            self.effects.counted.patches.count(id, strike.deed);
        }
    }

    /// How much of the other direction's stream the sender of this segment had received.
    fn covered(&self) -> Offset {
        let other = &self.conversation.streams[self.direction.other()];
        if self.sent != self.direction {
            // What waited is read now, and its own ACK was no higher than this.
            return other.acknowledged();
        }
        other.offset(self.turn.packet.ack).unwrap_or_default().min(other.judged())
    }

    /// Makes the run what it leaves as. True if a byte of it changed.
    fn apply(&mut self, ruled: &Ruled, draft: &Draft) -> bool {
        let stream = &mut self.conversation.streams[self.direction];
        let Some(run) = stream.tail(ruled.at).get_mut(..ruled.step.used) else { return false };
        let changed = draft.changed(run);
        self.effects.counted.bytes_masked += changed;
        if changed > 0 {
            let deeds = &mut self.conversation.deeds;
            deeds.edited = deeds.edited.saturating_add(1);
            run.copy_from_slice(draft.as_bytes());
            stream.note_edit(ruled.at, ruled.end);
        }
        if let Ruling::Refuse(rule) = ruled.ruling {
            self.refuse_line(rule);
        }
        changed > 0
    }

    /// Moves the state of the flow on.
    fn advance(&mut self, ruled: &Ruled) {
        let conversation = &mut *self.conversation;
        match ruled.step.change {
            Some(Change::DataBegins { .. } | Change::ChunksBegin { .. }) => {
                conversation.lookalikes = 0;
            }
            // Each side has to show for itself that it speaks TLS.
            Some(Change::TlsBegins) => conversation.streams[Direction::Original].make_opaque(),
            Some(Change::TlsAnswered) => conversation.streams[Direction::Reply].make_opaque(),
            Some(Change::DataEnds { .. } | Change::ChunksEnd { .. }) | None => {}
        }
    }

    /// Says what the run has brought to an end.
    fn tell_run(&mut self, ruled: &Ruled) {
        if !self.effects.is_heard() {
            return;
        }
        let direction = self.direction;
        let mut ended = std::mem::take(&mut self.effects.told);
        let journal = &mut self.conversation.journal[direction];
        match ruled.step.event {
            // What was seen in a message belongs to no line that is logged.
            Event::Data | Event::DataEnd | Event::Chunk if journal.has_edits() => {
                journal.end_edits(direction, &mut ended);
            }
            Event::RefusedChunk if self.conversation.dialogue.expect() == Expect::Unproved => {
                journal.end_edits(direction, &mut ended);
            }
            // What ends the flow has no end of its own, and the patch's name stands beside it.
            event if ruled.ruling == Ruling::Reset(Rule::Patch) => {
                journal.end_at(event, direction, &mut ended);
            }
            Event::CommandEnd { .. } | Event::Prefix { is_end: true } => {
                journal.end(direction, What::command, &mut ended);
            }
            Event::ReplyEnd(reply) if reply.answers == Answers::Connection => {
                journal.end(direction, What::banner, &mut ended);
            }
            Event::ReplyEnd(_) => journal.end(direction, What::reply, &mut ended),
            Event::DataEnd => journal.end_edits(direction, &mut ended),
            // What is only counted is told when the message ends, or is one no more.
            Event::DataLookalike(_) | Event::Disowned(_) if journal.is_unshown() => {}
            Event::DataLookalike(_) | Event::Disowned(_) | Event::AuthLine => {
                journal.end_edits(direction, &mut ended);
            }
            Event::CommandWord(_)
            | Event::CommandGap(_)
            | Event::CommandArgument(_)
            | Event::CommandStray
            | Event::CommandCr
            | Event::AuthStray
            | Event::Data
            | Event::Chunk
            | Event::RefusedChunk
            | Event::ReplyCode(_)
            | Event::ReplySeparator(_)
            | Event::ReplyKeyword(_)
            | Event::ReplyText(_)
            | Event::Prefix { is_end: false }
            | Event::Opaque
            | Event::Wait => {}
        }
        if let Ruling::Exceed(excess) = ruled.ruling {
            ended.push(What::Exceeded { direction, offset: ruled.end.value(), excess });
        }
        if let Some(fault) = ruled.step.fault {
            ended.push(What::Alarm { direction, offset: ruled.end.value(), fault });
        }
        ended.extend(ruled.step.change.and_then(told));
        for what in ended.drain(..) {
            self.tell(what);
        }
        self.effects.told = ended;
    }

    fn count(&mut self, ruled: &Ruled) {
        let counted = &mut self.effects.counted;
        let is_line_end = matches!(ruled.step.event, Event::CommandEnd { .. });
        if is_line_end {
            let is_refused = std::mem::take(&mut self.conversation.line).is_refused();
            let deeds = &mut self.conversation.deeds;
            deeds.refused = deeds.refused.saturating_add(u16::from(is_refused));
            counted.commands_refused += u64::from(is_refused);
            counted.commands_passed += u64::from(!is_refused);
        } else {
            if let Event::CommandWord(word) = ruled.step.event {
                self.conversation.last = word;
            }
            if matches!(ruled.ruling, Ruling::Refuse(_)) {
                self.conversation.line.refuse();
            }
        }
        let is_message =
            matches!(ruled.step.change, Some(Change::DataEnds { .. } | Change::ChunksEnd { .. }));
        counted.messages += u64::from(is_message);
        match ruled.ruling {
            Ruling::Pass | Ruling::Edit(_) => {}
            Ruling::Note(rule)
            | Ruling::Refuse(rule)
            | Ruling::Reset(rule)
            | Ruling::Exceed(Excess { rule, .. }) => *counted.rules.entry(rule).or_default() += 1,
        }
        counted.alarms += u64::from(ruled.step.fault.is_some());
        if is_line_end {
            self.hear_line();
        }
    }
}

/// How many bytes may become one run. A line is read on only where its length so far was ruled on:
/// nobody looks at a thousand bytes more of one that its limit has ended.
const fn readable_at_once(direction: Direction, expect: Expect) -> usize {
    match (direction, expect) {
        (Direction::Original, Expect::Command | Expect::Unproved | Expect::AuthLine) => 1_024,
        _ => usize::MAX,
    }
}

/// What is masked of such text is only counted; of text behind a reply an alarm has told.
#[expect(clippy::wildcard_enum_match_arm, reason = "all else is no text of a message")]
const fn rule_of_unshown(expect: Expect) -> Option<Rule> {
    match expect {
        Expect::Data(_) => Some(Rule::Lookalike),
        Expect::Oversize(_) => Some(Rule::MessageBytes),
        _ => None,
    }
}

/// Notes a run that was read: whether the log should hear of it. False ends come by the thousand in
/// an attack, and the first of each message say enough. A crowd of them counts for more than one.
/// Of a chunk that no server is to read the number does.
fn note_news(step: Step, told: &mut u8) -> bool {
    if step.event == Event::RefusedChunk {
        return false;
    }
    if !matches!(step.event, Event::DataLookalike(_)) {
        return true;
    }
    let is_news = *told < LOOKALIKES_LOGGED_MAX;
    *told = told.saturating_add(u8::try_from(step.used.div_ceil(4)).unwrap_or(u8::MAX));
    is_news
}

/// What the log says of a change.
fn told(change: Change) -> Option<What> {
    match change {
        Change::DataBegins { at } | Change::ChunksBegin { at, .. } => {
            Some(What::DataBegin { offset: at.value() })
        }
        Change::DataEnds { at, length } | Change::ChunksEnd { at, octets: length, .. } => {
            Some(What::DataEnd { offset: at.value(), length })
        }
        Change::TlsBegins => Some(What::Tls(TlsEvent::Begin { offer: None })),
        Change::TlsAnswered => None,
    }
}

fn fatal_of(ruled: &Ruled) -> Option<Reason> {
    match ruled.ruling {
        Ruling::Reset(rule) | Ruling::Exceed(Excess { rule, is_end: true, .. }) => {
            return Some(Reason::Rule(rule));
        }
        Ruling::Exceed(_)
        | Ruling::Pass
        | Ruling::Note(_)
        | Ruling::Edit(_)
        | Ruling::Refuse(_) => {}
    }
    ruled.step.fault.filter(|fault| fault.is_fatal()).map(Reason::from)
}
