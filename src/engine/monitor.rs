//! Monitoring: everything is judged as if it mattered, and nothing is changed.
//!
//! All that the engine does otherwise than where it enforces stands here; where the guard rules
//! otherwise, it asks whether it changes nothing. A monitored flow takes the way of every other one
//! up to the verdict, so its log is that of the filter until the filter would have interfered. Then
//! the packet goes on as it came, and so its receiver gets it: what the filter would have held back
//! is read as soon as it may be, and what never came by is passed over.

use super::conversation::{Conversation, LineFate, Phase, Scene};
use super::passage::Passage;
use super::{Effects, Reason, Verdict, What};
use crate::flow::Direction;
use crate::guard::{Mode, Rule};
use crate::offset::Offset;
use crate::smtp::Expect;
use crate::tcp::{Place, Violation};

/// Bytes that waited are read so many at a time. A packet pays for no more of them than these
/// beside those that are read.
const READ_AT_ONCE: usize = 4_096;

impl Mode {
    /// Whether a packet may be answered with RSTs. What its operator resets is reset either way.
    pub(super) const fn may_send_resets(self) -> bool {
        matches!(self, Self::Enforce)
    }

    /// What becomes of a packet on which this verdict was given.
    pub(super) fn carry_out(self, verdict: Verdict, effects: &mut Effects) -> Verdict {
        match self {
            Self::Enforce => verdict,
            Self::Monitor => {
                effects.rewritten.clear();
                effects.withheld = None;
                Verdict::Accept
            }
        }
    }
}

impl Conversation {
    /// Resets both ends. Monitoring only says so, and once: both ends go on.
    pub(super) fn reset(&mut self, scene: &Scene<'_>, reason: Reason, effects: &mut Effects) {
        match self.mode() {
            Mode::Enforce => self.reset_both_ends(scene, reason, effects),
            Mode::Monitor if self.has_told_reset => {}
            Mode::Monitor => {
                self.has_told_reset = true;
                self.tell(scene, What::Reset { reason }, effects);
            }
        }
    }

    /// Ends it as a server does that is spoken to when it has closed. Where monitoring, both ends
    /// go on.
    pub(super) fn abort(&mut self, scene: &Scene<'_>, effects: &mut Effects) {
        match self.mode() {
            Mode::Enforce => self.abort_both_ends(scene, effects),
            Mode::Monitor => {}
        }
    }

    /// Its phase behind a RST that its receiver takes. Monitoring reads what else comes.
    pub(super) fn phase_behind_reset(&self) -> Phase {
        match self.mode() {
            Mode::Enforce => Phase::Aborted,
            Mode::Monitor => Phase::Closing,
        }
    }

    /// Whether a segment may leave with another ACK than it came with, and what a server answers
    /// to that be kept from the client. Under TLS the client may say to the server whatever it
    /// likes as it is.
    pub(super) fn may_alter_ack(&self) -> bool {
        !self.is_monitored() && !matches!(self.dialogue.expect(), Expect::Tls(_))
    }

    /// Whether little that is wrong with these bytes matters: they are of a line in which the
    /// server would have read no verb.
    pub(super) fn is_excused(&self, direction: Direction) -> bool {
        self.line.has_passed_masked() && direction == Direction::Original
    }

    pub(super) fn is_monitored(&self) -> bool {
        matches!(self.mode(), Mode::Monitor)
    }
}

impl Passage<'_, '_> {
    /// The guard masks the client's line. Where monitoring, the server reads what the client wrote.
    pub(super) fn refuse_line(&mut self, rule: Rule) {
        if self.conversation.is_monitored() {
            if rule == Rule::Verb {
                self.conversation.line.pass_masked();
            }
        } else {
            let is_path = self.conversation.watch.is_path_masked();
            self.conversation.dialogue.refuse(is_path);
        }
    }

    /// What was read up to `end` is what the flow has to be reset for. Where monitoring it stays
    /// read, and the rest of what was appended waits.
    pub(super) fn stay(&mut self, end: Offset) {
        if self.conversation.is_monitored() {
            let stream = &mut self.conversation.streams[self.direction];
            let waiting = stream.tail(end).to_vec();
            self.commit(end);
            self.keep_for_later(0, &waiting);
        }
    }

    /// What enforcing holds back goes on where monitoring, and is read unless an operator has reset
    /// the flow.
    pub(super) fn go_on_all_the_same(&mut self, verdict: Verdict) {
        let is_read = self.conversation.is_monitored() && !self.conversation.is_dead();
        if !is_read || self.turn.packet.flags.rst {
            return;
        }
        if let Verdict::Drop(reason) = verdict
            && !self.take_all_the_same(reason)
        {
            return;
        }
        let had_fin = self.conversation.has_fin();
        self.keep_rest();
        self.read_what_waited(self.direction);
        // A reply may have ended the wait of the other side.
        self.read_what_waited(self.direction.other());
        self.note_fin();
        let has_early = |way| self.conversation.streams[way].has_early();
        self.conversation.has_unread &= Direction::BOTH.into_iter().any(has_early);
        self.conclude(had_fin);
    }

    /// Takes a packet that enforcing drops for this reason. False where its receiver does not: one
    /// whose ACK is not to be believed is none to it, either (RFC 9293 3.10.7.4).
    fn take_all_the_same(&mut self, reason: Reason) -> bool {
        if reason != Violation::AckOfUnsent.into() {
            return reason != Reason::WrongInterface && reason != Violation::OldAck.into();
        }
        let acknowledged = &self.conversation.streams[self.direction.other()];
        if !acknowledged.is_offered(self.turn.packet.ack) || !self.is_heeded() {
            return false;
        }
        self.skip_unseen();
        if let Verdict::Drop(reason) = self.carry() {
            self.tell_drop(reason);
        }
        true
    }

    /// Keeps what of the payload was not read, since it has gone on.
    fn keep_rest(&mut self) {
        let (seq, payload) = (self.turn.packet.seq, self.turn.packet.payload());
        let stream = &self.conversation.streams[self.direction];
        // A capture may lack the ACK that moved the window.
        let offered = if self.engine.skips_gaps {
            payload.len()
        } else {
            stream.within_window(seq, payload.len())
        };
        let length = stream.before_fin(seq, offered);
        if length == 0 || stream.is_opaque() {
            return;
        }
        let (distance, from) = match stream.place(seq, length) {
            Place::Below => return,
            Place::Beyond { distance } => (distance, 0),
            Place::At { known, .. } => (0, known),
        };
        self.keep_for_later(distance, payload.get(from..length).unwrap_or_default());
    }

    /// What cannot be read yet has gone on all the same.
    fn keep_for_later(&mut self, distance: usize, bytes: &[u8]) {
        let stream = &self.conversation.streams[self.direction];
        if stream.has_early_at(distance, bytes.len()) || !self.has_room(bytes.len()) {
            return;
        }
        self.conversation.has_unread = true;
        // Behind too many gaps it is lost to us; the ACK that covers it leads on.
        let stream = &mut self.conversation.streams[self.direction];
        let _ = stream.admit_early(distance, bytes);
    }

    /// A FIN that went on counts where it stands, whatever of the bytes before it was read.
    fn note_fin(&mut self) {
        let packet = self.turn.packet;
        if packet.flags.fin {
            self.conversation.streams[self.direction].note_fin(packet.seq_end());
        }
    }

    /// A reply has ended for which something of the client waits that has gone on: the next one, in
    /// the same segment, may answer that.
    pub(super) fn read_what_the_reply_lets_on(&mut self) {
        if self.conversation.has_unread && self.direction == Direction::Reply {
            self.read_what_waited(Direction::Original);
        }
    }

    /// Reads on, in one direction, as far as bytes are there and may be read.
    fn read_what_waited(&mut self, direction: Direction) {
        let is_waiting = self.conversation.dialogue.expect() == Expect::Wait;
        if direction == Direction::Original && is_waiting {
            return;
        }
        let way = std::mem::replace(&mut self.direction, direction);
        if self.conversation.streams[direction].is_framed() {
            self.read_waiting_records();
            self.direction = way;
            return;
        }
        loop {
            let stream = &mut self.conversation.streams[direction];
            let start = stream.judged();
            let appended = stream.append_waiting(READ_AT_ONCE, &mut self.effects.spares);
            if appended == 0 {
                break;
            }
            let end = self.read_on(start);
            let stream = &mut self.conversation.streams[direction];
            stream.settle(end, &mut self.effects.spares);
            if end < start.after(appended as u64) {
                break;
            }
        }
        self.direction = way;
    }

    /// Reads what was appended from `start` on until all is read or has to wait, whatever of it the
    /// flow would have to be reset for: up to where.
    fn read_on(&mut self, start: Offset) -> Offset {
        let mut reading = self.read(start);
        while let Some(reason) = reading.fatal {
            self.conversation.reset(&self.scene, reason, self.effects);
            reading = self.read(reading.end);
        }
        reading.end
    }

    /// Whether no end can have received what was not let through here: a capture may lack some of
    /// it, and monitoring lets more go on.
    pub(super) fn has_seen_all(&self) -> bool {
        !self.engine.skips_gaps && !self.conversation.is_monitored()
    }

    /// Whether an ACK beyond what was let through is no offence: the capture lacks what it covers,
    /// or monitoring has let it go on unread.
    pub(super) fn may_skip_unseen(&self) -> bool {
        let stream = &self.conversation.streams[self.direction.other()];
        let ack = self.turn.packet.ack;
        let was_let_on = self.conversation.is_monitored()
            && stream.is_offered(ack)
            && (self.conversation.has_unread || !stream.lacks(ack));
        self.engine.skips_gaps || was_let_on
    }

    /// The receiver acknowledges what was never seen here: reads on behind it.
    pub(super) fn skip_unseen(&mut self) {
        let direction = self.direction.other();
        let (ack, window) = (self.turn.packet.ack, self.turn.packet.window);
        if self.conversation.streams[direction].is_framed() {
            self.lose_records(direction);
            let stream = &mut self.conversation.streams[direction];
            let _ = stream.acknowledge(ack, window, &mut self.effects.spares);
            return;
        }
        loop {
            let stream = &mut self.conversation.streams[direction];
            let Some(missed) = stream.skip_gap(ack, &mut self.effects.spares) else { break };
            self.effects.missed += missed;
            let at = self.conversation.streams[direction].judged();
            self.conversation.dialogue.lose_place(direction.speaker(), missed, at);
            self.lose_line(direction);
            self.read_what_waited(direction);
        }
        let stream = &mut self.conversation.streams[direction];
        stream.acknowledge_early(ack, window, &mut self.effects.spares);
    }

    /// What was said before a gap is no part of the line behind it, and nothing that was ruled on
    /// it holds for that.
    fn lose_line(&mut self, direction: Direction) {
        self.conversation.tell_unfinished(&self.scene, direction, self.effects);
        if direction == Direction::Original {
            self.conversation.line = LineFate::default();
            self.conversation.watch.lose_line();
        }
    }
}
