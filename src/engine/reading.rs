//! Reading a stream's fresh bytes: dialogue, guard, edit, journal, run by run.
//!
//! Works on the bytes where the stream keeps them, so a byte is judged once and every copy of it
//! that leaves is restored from there.

use super::record::What;
use super::{Conversation, Effects, Engine, Reason};
use crate::flow::Direction;
use crate::guard::{Draft, Ruling, Run};
use crate::smtp::{Answers, Event, Expect, Speaker, Step, Verb};
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
        now: Instant,
        conversation: &mut Conversation,
        direction: Direction,
        from: u64,
        effects: &mut Effects,
    ) -> Reading {
        let speaker = speaker_of(direction);
        let mut draft = Draft::default();
        let mut reading = Reading { end: from, is_edited: false, fatal: None };
        loop {
            let bytes = conversation.streams[direction].tail(reading.end);
            if bytes.is_empty() {
                break;
            }
            let guard = &conversation.policy.guard;
            let expected = conversation.dialogue.expect();
            let step = conversation.dialogue.read(speaker, bytes);
            let Some(run) = bytes.get(..step.used).filter(|run| !run.is_empty()) else { break };
            let is_first = reading.end == from;
            let run = Run { event: step.event, bytes: run, rest: bytes, is_first };
            let ruling = guard.judge(&mut conversation.watch, run, &mut draft);
            let Some(run) = bytes.get_mut(..step.used) else { break };
            if is_news(&mut conversation.lookalikes, step.event) {
                conversation.journal[direction].note(reading.end, step.event, run, ruling, &draft);
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
            if let Ruling::Reset(rule) = ruling {
                reading.fatal = Some(Reason::Rule(rule));
            } else if let Some(fault) = step.fault.filter(|fault| fault.is_fatal()) {
                reading.fatal = Some(fault.into());
            }
            conversation.report(now, direction, reading.end, step, expected, effects);
        }
        reading
    }
}

/// False ends come by the thousand in an attack: the log gets the first of each message.
fn is_news(told: &mut u8, event: Event) -> bool {
    if event != Event::DataLookalike {
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
    fn note(&mut self, offset: u64, event: Event, run: &[u8], ruling: Ruling, draft: &Draft) {
        let is_line = match event {
            Event::CommandWord(_)
            | Event::CommandGap(_)
            | Event::CommandArgument(_)
            | Event::CommandStray
            | Event::CommandCr
            | Event::CommandEnd { .. }
            | Event::ReplyCode(_)
            | Event::ReplyText(_)
            | Event::ReplyEnd { .. } => true,
            Event::Data
            | Event::DataLookalike
            | Event::DataEnd
            | Event::AuthLine
            | Event::Chunk
            | Event::Opaque
            | Event::Wait => false,
        };
        // What stands behind AUTH is a password or as good as one.
        let is_secret = event == Event::AuthLine
            || matches!(event, Event::CommandArgument(word) if word.verb() == Some(Verb::Auth));
        let hidden = is_secret.then(|| vec![b'*'; run.len()]);
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
    /// Logs and counts what a step has brought to an end.
    fn report(
        &mut self,
        now: Instant,
        direction: Direction,
        end: u64,
        step: Step,
        expected: Expect,
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
            Event::ReplyEnd { answers, .. } => {
                let reply = |offset, line| match answers {
                    Answers::Connection => What::Banner { offset, line },
                    Answers::Verb(_) | Answers::Other | Answers::Message | Answers::Nothing => {
                        What::Reply { offset, line }
                    }
                };
                journal.end(direction, reply, |what| ended.push(what));
            }
            Event::DataLookalike | Event::AuthLine => {
                journal.end_edits(direction, |what| ended.push(what));
            }
            Event::DataEnd => {
                effects.counted.messages += 1;
                let length = end - self.data_start;
                ended.push(What::DataEnd { offset: end, length });
            }
            Event::CommandWord(_)
            | Event::CommandGap(_)
            | Event::CommandArgument(_)
            | Event::CommandStray
            | Event::CommandCr
            | Event::Data
            | Event::Chunk
            | Event::ReplyCode(_)
            | Event::ReplyText(_)
            | Event::Opaque
            | Event::Wait => {}
        }
        if let Some(fault) = step.fault {
            effects.counted.alarms += 1;
            ended.push(What::Alarm { direction, offset: end, fault });
        }
        let expects = self.dialogue.expect();
        if expects != expected {
            if matches!(expects, Expect::Data(_)) && !matches!(expected, Expect::Data(_)) {
                self.data_start = match direction {
                    Direction::Original => end,
                    Direction::Reply => self.streams[Direction::Original].judged(),
                };
                self.lookalikes = 0;
                ended.push(What::DataBegin { offset: self.data_start });
            }
            if matches!(expects, Expect::Opaque { has_begun: true }) {
                ended.push(What::TlsBegin);
                for direction in Direction::BOTH {
                    self.streams[direction].make_opaque();
                }
            }
        }
        effects.records.extend(ended.into_iter().map(|what| self.record(now, what)));
    }
}
