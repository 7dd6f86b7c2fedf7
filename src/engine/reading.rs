//! Reading a stream's fresh bytes, run by run: step, ruling, apply, advance, tell.
//!
//! Works on the bytes where the stream keeps them, so a byte is judged once and every copy of it
//! that leaves is restored from there. State moves in `advance` alone; `tell` only says what
//! happened, and `count` only counts it.

use super::passage::Passage;
use super::{Reason, What};
use crate::flow::Direction;
use crate::guard::{Draft, Rule, Ruling, Run};
use crate::offset::Offset;
use crate::patch::Id;
use crate::smtp::{Answers, Change, Event, Fault, Speaker, Standing, Step};

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

impl Passage<'_, '_> {
    /// Judges the bytes appended from offset `from` on, in place.
    pub(super) fn read(&mut self, from: Offset) -> Reading {
        let mut draft = Draft::default();
        let mut reading = Reading { end: from, is_edited: false, fatal: None };
        while let Some(ruled) = self.rule(reading.end, reading.end == from, &mut draft) {
            if matches!(ruled.ruling, Ruling::Edit(_) | Ruling::Refuse(_)) {
                reading.is_edited |= self.apply(&ruled, &draft);
            }
            reading.end = ruled.end;
            reading.fatal = reading.fatal.or_else(|| fatal_of(&ruled));
            self.advance(&ruled);
            self.tell_run(&ruled);
            self.count(&ruled);
            let is_reply = matches!(ruled.step.event, Event::ReplyEnd(_));
            if reading.fatal.is_some() || (is_reply && self.hear_reply(&ruled.step, &mut reading)) {
                break;
            }
        }
        reading
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
        let mut step = conversation.dialogue.read(speaker_of(self.direction), bytes, standing);
        if is_excused {
            step.fault = None;
        }
        let run = bytes.get(..step.used).filter(|run| !run.is_empty())?;
        if let Some(inspect) = self.engine.inspect {
            inspect(run);
        }
        let judged = Run { event: step.event, bytes: run, rest: bytes, is_first };
        let ruling = conversation.terms.guard.judge(&mut conversation.watch, judged, draft);
        if self.effects.is_heard() && is_news(step.event, &mut conversation.lookalikes) {
            conversation.journal[self.direction].note(at, step, run, ruling, draft);
        }
        self.note_strikes(step.fault, draft);
        Some(Ruled { at, end: at.after(step.used as u64), step, ruling })
    }

    /// Counts and names the patches that have struck in the run just judged.
    fn note_strikes(&mut self, fault: Option<Fault>, draft: &mut Draft) {
        let guard = &self.conversation.terms.guard;
        if let Some(fault) = fault {
            guard.blame(fault, speaker_of(self.direction), draft);
        }
        for strike in draft.strikes() {
            let Some(id) = guard.patch(*strike) else { continue };
            self.conversation.journal[self.direction].name(Id::clone(&id));
            *self.effects.counted.patches.entry((id, strike.deed)).or_default() += 1;
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
        let changed = changed(run, draft.as_bytes());
        self.effects.counted.bytes_masked += changed;
        if changed > 0 {
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
        let mut ended = Vec::new();
        let journal = &mut self.conversation.journal[direction];
        match ruled.step.event {
            // What ends the flow has no end of its own, and the patch's name stands beside it.
            _ if ruled.ruling == Ruling::Reset(Rule::Patch) => {
                journal.end(direction, What::command, &mut ended);
            }
            Event::CommandEnd { .. } => journal.end(direction, What::command, &mut ended),
            Event::ReplyEnd(reply) if reply.answers == Answers::Connection => {
                journal.end(direction, What::banner, &mut ended);
            }
            Event::ReplyEnd(_) => journal.end(direction, What::reply, &mut ended),
            Event::DataLookalike(_) | Event::AuthLine => journal.end_edits(direction, &mut ended),
            // Masked text is no news by the byte: that it is masked was told as an alarm.
            Event::Disowned(_) | Event::RefusedChunk => journal.forget(),
            Event::CommandWord(_)
            | Event::CommandGap(_)
            | Event::CommandArgument(_)
            | Event::CommandStray
            | Event::CommandCr
            | Event::AuthStray
            | Event::Data
            | Event::DataEnd
            | Event::Chunk
            | Event::ReplyCode(_)
            | Event::ReplySeparator(_)
            | Event::ReplyKeyword(_)
            | Event::ReplyText(_)
            | Event::Opaque
            | Event::Wait => {}
        }
        if let Some(fault) = ruled.step.fault {
            ended.push(What::Alarm { direction, offset: ruled.end.value(), fault });
        }
        ended.extend(ruled.step.change.and_then(told));
        for what in ended {
            self.tell(what);
        }
    }

    fn count(&mut self, ruled: &Ruled) {
        let counted = &mut self.effects.counted;
        let is_line_end = matches!(ruled.step.event, Event::CommandEnd { .. });
        if is_line_end {
            let is_refused = std::mem::take(&mut self.conversation.line).is_refused();
            counted.commands_refused += u64::from(is_refused);
            counted.commands_passed += u64::from(!is_refused);
        } else if matches!(ruled.ruling, Ruling::Refuse(_)) {
            self.conversation.line.refuse();
        }
        let is_message =
            matches!(ruled.step.change, Some(Change::DataEnds { .. } | Change::ChunksEnd { .. }));
        counted.messages += u64::from(is_message);
        counted.alarms += u64::from(ruled.step.fault.is_some());
        if is_line_end {
            self.hear_line();
        }
    }
}

/// Whether the log should hear of this run: false ends come by the thousand in an attack, and the
/// first of each message say enough.
fn is_news(event: Event, told: &mut u8) -> bool {
    if !matches!(event, Event::DataLookalike(_)) {
        return true;
    }
    let is_news = *told < LOOKALIKES_LOGGED_MAX;
    *told = told.saturating_add(1);
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
        Change::TlsBegins => Some(What::TlsBegin { hello: None }),
        Change::TlsAnswered => None,
    }
}

fn fatal_of(ruled: &Ruled) -> Option<Reason> {
    if let Ruling::Reset(rule) = ruled.ruling {
        return Some(Reason::Rule(rule));
    }
    ruled.step.fault.filter(|fault| fault.is_fatal()).map(Reason::from)
}

/// How many bytes differ.
fn changed(before: &[u8], after: &[u8]) -> u64 {
    before.iter().zip(after).filter(|(before, after)| before != after).count() as u64
}

pub(super) const fn speaker_of(direction: Direction) -> Speaker {
    match direction {
        Direction::Original => Speaker::Client,
        Direction::Reply => Speaker::Server,
    }
}
