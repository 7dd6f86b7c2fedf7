//! Monitoring: everything is judged as if it mattered, and nothing is changed.
//!
//! All that differs from enforcing stands here. A packet that enforcing would have dropped, cut or
//! edited goes on as it came, so its receiver gets it: what the filter would have held back is read
//! as soon as it may be, and what it never saw is passed over.

use super::conversation::{Conversation, Scene};
use super::passage::Passage;
use super::{Effects, Reason, Verdict, What};
use crate::flow::Direction;
use crate::tcp::{Place, Violation};

/// How far judging goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// What is ruled is done.
    Enforce,
    /// What is ruled is logged and counted.
    Monitor,
}

impl Mode {
    /// Whether rulings change bytes, states and flows.
    pub(super) const fn is_enforcing(self) -> bool {
        matches!(self, Self::Enforce)
    }

    /// What becomes of a packet on which this verdict was given.
    pub(super) fn carry_out(self, verdict: Verdict, effects: &mut Effects) -> Verdict {
        match self {
            Self::Enforce => verdict,
            Self::Monitor => {
                effects.rewritten.clear();
                effects.resets.clear();
                effects.withheld = None;
                Verdict::Accept
            }
        }
    }
}

impl Conversation {
    /// Says, once, that enforcing would have reset the flow here.
    fn would_reset(&mut self, scene: &Scene, reason: Reason, effects: &mut Effects) -> Verdict {
        if !std::mem::replace(&mut self.has_told_reset, true) {
            self.tell(scene, What::Reset { reason }, effects);
        }
        Verdict::Drop(reason)
    }
}

impl Passage<'_, '_> {
    /// A segment's payload on its way through a monitored flow. The verdict is the one that
    /// enforcing would have given.
    pub(super) fn watch_payload(&mut self, length: usize) -> Verdict {
        let payload = self.turn.packet.payload();
        let stream = &self.conversation.streams[self.direction];
        let within = stream.within_window(self.turn.packet.seq, length);
        let verdict = match stream.place(self.turn.packet.seq, length) {
            Place::Below => return Verdict::Rewrite,
            Place::Beyond { distance } => self.watch_early(distance, length),
            Place::At { known, .. } => self.watch_fresh(known, length),
        };
        self.read_what_waited(self.direction);
        // Nothing but a reply can have ended the wait of the other side.
        self.read_what_waited(self.direction.other());
        if self.turn.packet.flags.fin && length == payload.len() {
            let end = u32::try_from(length).unwrap_or(u32::MAX);
            let position = self.turn.packet.seq.after(end);
            self.conversation.streams[self.direction].admit_fin(position);
        }
        if within < length {
            self.hold_back(within, Violation::BeyondWindow.into())
        } else {
            verdict
        }
    }

    fn watch_early(&mut self, distance: usize, length: usize) -> Verdict {
        let payload = self.turn.packet.payload();
        let bytes = payload.get(..length).unwrap_or(payload);
        let is_free = self.direction == Direction::Original
            && super::early::is_free(&self.conversation.dialogue, distance, bytes);
        self.keep_for_later(distance, bytes);
        if is_free { Verdict::Accept } else { self.hold_back(0, Violation::OutOfOrder.into()) }
    }

    fn watch_fresh(&mut self, known: usize, length: usize) -> Verdict {
        let payload = self.turn.packet.payload();
        let fresh = payload.get(known..length).unwrap_or_default();
        if fresh.is_empty() {
            return Verdict::Accept;
        }
        if !self.has_room(fresh.len()) {
            return self.hold_back(known, Violation::StoreFull.into());
        }
        let stream = &mut self.conversation.streams[self.direction];
        let start = stream.judged();
        stream.append(fresh);
        let reading = self.read(start);
        let judged = usize::try_from(reading.end.since(start)).unwrap_or(usize::MAX);
        self.conversation.streams[self.direction].commit(reading.end);
        if let Some(reason) = reading.fatal {
            return self.conversation.would_reset(&self.scene, reason, self.effects);
        }
        if judged < fresh.len() {
            self.keep_for_later(0, fresh.get(judged..).unwrap_or_default());
            return self.hold_back(known + judged, Reason::AwaitingReply);
        }
        if reading.is_edited { Verdict::Rewrite } else { Verdict::Accept }
    }

    /// What cannot be read yet has gone on all the same.
    fn keep_for_later(&mut self, distance: usize, bytes: &[u8]) {
        if self.has_room(bytes.len()) {
            // Behind too many gaps it is lost to us; the ACK that covers it leads on.
            let stream = &mut self.conversation.streams[self.direction];
            let _ = stream.admit_early(distance, bytes);
        }
    }

    /// Reads on, in one direction, as far as bytes are there and may be read.
    fn read_what_waited(&mut self, direction: Direction) {
        let way = std::mem::replace(&mut self.direction, direction);
        loop {
            let stream = &mut self.conversation.streams[direction];
            let start = stream.judged();
            if stream.append_early() == 0 {
                break;
            }
            let reading = self.read(start);
            let stream = &mut self.conversation.streams[direction];
            let waiting = stream.tail(reading.end).to_vec();
            stream.commit(reading.end);
            if !waiting.is_empty() {
                let _ = stream.admit_early(0, &waiting);
                break;
            }
        }
        self.direction = way;
    }

    /// The receiver acknowledges what was never seen here: reads on behind it. True if something
    /// was passed over.
    pub(super) fn pass_over(&mut self) -> bool {
        let direction = self.direction.other();
        let mut has_missed = false;
        while let Some(missed) = self.conversation.streams[direction].skip_gap(self.turn.packet.ack)
        {
            has_missed = true;
            self.effects.missed += missed;
            self.conversation.dialogue.lose_place(super::reading::speaker_of(direction));
            self.read_what_waited(direction);
        }
        has_missed
    }
}
