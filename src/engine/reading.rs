//! Reading a stream's fresh bytes: dialogue, guard, edit, journal, run by run.
//!
//! Works on the bytes where the stream keeps them, so a byte is judged once and every copy of it
//! that leaves is restored from there.

use super::record::What;
use super::{Conversation, Effects, Engine, Reason, Turn};
use crate::flow::Direction;
use crate::guard::{Draft, Ruling};
use crate::offset::Offset;
use crate::smtp::{Answers, Change, Event, Expect, Speaker, Standing, Step};
use crate::time::Instant;

/// False ends of one message that the log tells of.
const LOOKALIKES_LOGGED_MAX: u8 = 16;

/// How far the reading came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Reading {
    /// The first offset that may not pass yet.
    pub(super) end: u64,
    /// Whether any byte was edited.
    pub(super) is_edited: bool,
    /// Why the flow must be reset, if it must.
    pub(super) fatal: Option<Reason>,
}

impl Engine {
    /// Judges the bytes kept from offset `from` on, in place.
    pub(super) fn read(
        &self,
        turn: &Turn<'_>,
        conversation: &mut Conversation,
        direction: Direction,
        from: u64,
        effects: &mut Effects,
    ) -> Reading {
        let speaker = speaker_of(direction);
        let covers = conversation.covered(turn, direction);
        let mut is_part_start = true;
        let mut draft = Draft::default();
        let mut reading = Reading { end: from, is_edited: false, fatal: None };
        loop {
            let bytes = conversation.streams[direction].tail(reading.end);
            if bytes.is_empty() {
                break;
            }
            let guard = &conversation.policy.guard;
            let expected = conversation.dialogue.expect();
            if is_part_start && guard.is_by_packet() && speaker == Speaker::Client {
                guard.begin_part(&mut conversation.watch, bytes);
            }
            let standing = Standing { at: Offset::new(reading.end), covers };
            let step = conversation.dialogue.read(speaker, bytes, standing);
            let Some(run) = bytes.get_mut(..step.used).filter(|run| !run.is_empty()) else { break };
            let ruling = guard.judge(&mut conversation.watch, step.event, run, &mut draft);
            if is_news(&mut conversation.lookalikes, step.event) {
                conversation.journal[direction].note(reading.end, step, run, ruling, &draft);
            }
            let leaves = match ruling {
                Ruling::Pass | Ruling::Note(_) | Ruling::Reset(_) => None,
                Ruling::Edit(_) | Ruling::Refuse(_) => Some(draft.as_bytes()),
            };
            if let Some(leaves) = leaves {
                effects.counted.bytes_masked += changed(run, leaves);
                reading.is_edited |= run != leaves;
                if !effects.is_monitored {
                    run.copy_from_slice(leaves);
                }
            }
            if matches!(ruling, Ruling::Refuse(_)) && !effects.is_monitored {
                conversation.dialogue.refuse();
            }
            reading.end += step.used as u64;
            is_part_start = matches!(step.event, Event::CommandEnd { .. })
                || (expected != Expect::Command
                    && conversation.dialogue.expect() == Expect::Command);
            if let Ruling::Reset(rule) = ruling {
                reading.fatal = Some(Reason::Rule(rule));
            } else if let Some(fault) = step.fault.filter(|fault| fault.is_fatal()) {
                reading.fatal = Some(fault.into());
            }
            conversation.report(turn.now, direction, reading.end, step, effects);
        }
        reading
    }
}

/// False ends come by the thousand in an attack: the log gets the first of each message.
fn is_news(told: &mut u8, event: Event) -> bool {
    if !matches!(event, Event::DataLookalike(_)) {
        return true;
    }
    let is_news = *told < LOOKALIKES_LOGGED_MAX;
    *told = told.saturating_add(1);
    is_news
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

impl super::journal::Journal {
    fn note(&mut self, offset: u64, step: Step, run: &[u8], ruling: Ruling, draft: &Draft) {
        let is_line = match step.event {
            Event::CommandWord(_)
            | Event::CommandGap(_)
            | Event::CommandArgument(_)
            | Event::CommandStray
            | Event::CommandCr
            | Event::CommandEnd { .. }
            | Event::ReplyCode(_)
            | Event::ReplySeparator(_)
            | Event::ReplyKeyword(_)
            | Event::ReplyText(_)
            | Event::ReplyEnd(_) => true,
            Event::Data
            | Event::DataLookalike(_)
            | Event::DataEnd
            | Event::Disowned
            | Event::AuthLine
            | Event::Chunk
            | Event::Opaque
            | Event::Wait => false,
        };
        let hidden = step.is_secret.then(|| vec![b'*'; run.len()]);
        let run = hidden.as_deref().unwrap_or(run);
        if is_line {
            self.read(offset, run);
        }
        match ruling {
            Ruling::Pass => {}
            Ruling::Note(rule) | Ruling::Reset(rule) => self.edit(offset, rule, run, run),
            Ruling::Edit(rule) => {
                self.edit(offset, rule, run, draft.as_bytes());
            }
            Ruling::Refuse(rule) => {
                self.edit(offset, rule, run, draft.as_bytes());
                self.refuse();
            }
        }
    }
}

impl Conversation {
    /// How much of the other direction's stream the sender of this segment had received.
    fn covered(&self, turn: &Turn<'_>, direction: Direction) -> Offset {
        let other = &self.streams[direction.other()];
        let covered = u64::try_from(other.offset(turn.packet.ack)).unwrap_or(0);
        Offset::new(covered.min(other.judged()))
    }

    /// Logs and counts what a step has brought to an end.
    fn report(
        &mut self,
        now: Instant,
        direction: Direction,
        end: u64,
        step: Step,
        effects: &mut Effects,
    ) {
        let mut ended = Vec::new();
        let journal = &mut self.journal[direction];
        match step.event {
            Event::CommandEnd { .. } => {
                let command = |offset, line| What::Command { offset, line };
                let is_refused = journal.end(direction, command, |what| ended.push(what));
                effects.counted.commands_refused += u64::from(is_refused);
                effects.counted.commands_passed += u64::from(!is_refused);
            }
            Event::ReplyEnd(reply) => {
                let reply = |offset, line| match reply.answers {
                    Answers::Connection => What::Banner { offset, line },
                    Answers::Verb(_) | Answers::Other | Answers::Message | Answers::Nothing => {
                        What::Reply { offset, line }
                    }
                };
                journal.end(direction, reply, |what| ended.push(what));
            }
            Event::DataLookalike(_) | Event::AuthLine => {
                journal.end_edits(direction, |what| ended.push(what));
            }
            // Masked text is no news by the byte: that it is masked was told as an alarm.
            Event::Disowned => journal.end_edits(direction, drop),
            Event::CommandWord(_)
            | Event::CommandGap(_)
            | Event::CommandArgument(_)
            | Event::CommandStray
            | Event::CommandCr
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
        if let Some(fault) = step.fault {
            effects.counted.alarms += 1;
            ended.push(What::Alarm { direction, offset: end, fault });
        }
        match step.change {
            Some(Change::DataBegins { at } | Change::ChunksBegin { at, .. }) => {
                self.lookalikes = 0;
                ended.push(What::DataBegin { offset: at.value() });
            }
            Some(
                Change::DataEnds { at, length } | Change::ChunksEnd { at, octets: length, .. },
            ) => {
                effects.counted.messages += 1;
                ended.push(What::DataEnd { offset: at.value(), length });
            }
            Some(Change::TlsBegins) => {
                ended.push(What::TlsBegin);
                self.streams[Direction::Original].make_opaque();
            }
            Some(Change::TlsAnswered) => self.streams[Direction::Reply].make_opaque(),
            None => {}
        }
        effects.records.extend(ended.into_iter().map(|what| self.record(now, what)));
    }
}
