//! Bytes ahead of a gap: which may pass before what stands before them is known, and what is done
//! when the gap closes.
//!
//! They may pass only as what they are whatever the gap holds: text of a message without an end,
//! true or false, or octets inside a BDAT chunk. When the gap closes they are read; if they are
//! anything else by then (a reply may have changed the state), the flow is reset.

use super::passage::Passage;
use super::{Reason, Verdict, Withheld, go_on};
use crate::flow::Direction;
use crate::smtp::{Dialogue, Expect, MailData};
use crate::tcp::Violation;

impl Passage<'_, '_> {
    /// A payload behind a gap, of which so many bytes have a place in the receiver's window.
    pub(super) fn pass_early(&mut self, distance: usize, within: usize) -> Verdict {
        if self.direction == Direction::Reply {
            return self.hold_back(0, Violation::OutOfOrder.into());
        }
        let payload = self.turn.packet.payload();
        let payload = payload.get(..within).unwrap_or(payload);
        let stream = &self.conversation.streams[self.direction];
        let at = stream.judged().after(distance as u64);
        let overlaid = stream.overlay(distance, payload);
        if overlaid.is_some() {
            self.tell_contradiction(at);
            if self.is_contradiction_fatal() {
                return self.reset(Violation::Contradiction.into());
            }
        }
        let bytes = overlaid.as_deref().unwrap_or(payload);
        if !is_free(&self.conversation.dialogue, distance, bytes) {
            return self.hold_back(0, Violation::OutOfOrder.into());
        }
        self.admit_early(distance, bytes)
    }

    /// Lets bytes through ahead of a gap, if there is room to remember them.
    pub(super) fn admit_early(&mut self, distance: usize, bytes: &[u8]) -> Verdict {
        let (payload, within) = (self.turn.packet.payload(), bytes.len());
        // Gaps that nobody closes must not take the room that bytes in order need, and least of all
        // those that close them: nothing of what is ahead is given back before.
        let (memory, limits) = (&self.engine.memory, &self.engine.limits);
        let stream = &self.conversation.streams[self.direction];
        let (held, is_known) = (stream.held_early(), stream.has_early_at(distance, within));
        let is_half_full = memory.held().saturating_add(within) > memory.bytes_max() / 2
            || held.saturating_add(within) > limits.bytes_per_flow_max / 2;
        if !is_known && (is_half_full || !self.has_room(within)) {
            return self.hold_back(0, Violation::StoreFull.into());
        }
        let stream = &mut self.conversation.streams[self.direction];
        if let Err(violation) = stream.admit_early(distance, bytes) {
            return self.hold_back(0, violation.into());
        }
        stream.leave(self.turn.packet.seq, within);
        if within < payload.len() {
            let reason = Violation::BeyondWindow.into();
            return self.cut(within, reason, |_, editor| editor.overwrite(0, bytes));
        }
        let mut editor = self.turn.editor(self.effects);
        editor.overwrite(0, bytes);
        editor.clear_fin();
        let verdict = go_on(editor);
        if self.turn.packet.flags.fin {
            let (passed, reason) = (within, Violation::OutOfOrder.into());
            self.effects.withheld = Some(Withheld { passed, reason });
        }
        verdict
    }

    /// The gap before early bytes may have closed: they left as mail data, so they must be read as
    /// just that.
    pub(super) fn join_early(&mut self) -> Result<(), Reason> {
        // Where bytes wait that never were let through, they are read as what they are.
        while !self.conversation.has_unread {
            let stream = &mut self.conversation.streams[self.direction];
            let start = stream.judged();
            let joined = stream.append_early(&mut self.effects.spares) as u64;
            if joined == 0 {
                return Ok(());
            }
            let reading = self.read(start);
            if reading.is_edited || reading.fatal.is_some() || reading.end != start.after(joined) {
                self.stay(reading.end);
                return Err(Reason::EarlyBytes);
            }
            self.commit(reading.end);
        }
        Ok(())
    }
}

/// Whether bytes so far behind a gap are message text, or octets of a chunk, whatever it holds.
pub(super) fn is_free(dialogue: &Dialogue, distance: usize, bytes: &[u8]) -> bool {
    match dialogue.expect() {
        Expect::Data(_) => MailData::is_text_after_anything(bytes),
        Expect::Chunk { left } => {
            let is_within = distance.saturating_add(bytes.len()) as u64 <= u64::from(left);
            is_within && !dialogue.holds_octets()
        }
        Expect::Command
        | Expect::Wait
        | Expect::Disowned(_)
        | Expect::Oversize(_)
        | Expect::RefusedChunk { .. }
        | Expect::Unproved
        | Expect::AuthLine
        | Expect::Tls(_) => false,
    }
}
