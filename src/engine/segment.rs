//! A segment of an established flow: from its numbers to a verdict.
//!
//! ```text
//!   side? reset? RST? ACK ─► place ─┬─ below the ACK: cut to nothing
//!                                   ├─ beyond a gap: drop, or let through early
//!                                   └─ at the edge: append, read, restore, cut
//! ```

use std::sync::atomic::Ordering;

use super::conversation::Phase;
use super::reading::speaker_of;
use super::{
    Conversation, Effects, Engine, Handling, Reason, Turn, Verdict, What, Withheld, go_on,
};
use crate::flow::Direction;
use crate::guard::SplitAction;
use crate::tcp::{Place, Stream, Violation};
use crate::time::Instant;
use crate::wire::{Editor, Reset};

/// Bytes that a RST may lie ahead of what was let through: the largest window TCP can offer
/// (RFC 7323 2.3).
const WINDOW_MAX: i64 = 1 << 30;

impl Engine {
    /// A packet without SYN of an established flow.
    pub(super) fn handle_segment(
        &self,
        turn: &Turn<'_>,
        conversation: &mut Conversation,
        effects: &mut Effects,
    ) -> Verdict {
        let direction = turn.direction(conversation.originator);
        let kept = conversation.kept();
        let was_closed = conversation.has_closed;
        effects.is_monitored = conversation.policy.monitor;
        let verdict = self.pass_segment(turn, conversation, direction, effects);
        self.account(kept, conversation.kept());
        if conversation.has_closed && !was_closed {
            let due = conversation.deadline(&self.limits);
            self.flows.schedule(turn.key, conversation.id, due);
        }
        if let Verdict::Drop(reason) = verdict {
            conversation.log_drop(turn, direction, reason, effects);
        }
        verdict
    }

    fn pass_segment(
        &self,
        turn: &Turn<'_>,
        conversation: &mut Conversation,
        direction: Direction,
        effects: &mut Effects,
    ) -> Verdict {
        if !conversation.has_right_side(turn) {
            return Verdict::Drop(Reason::WrongInterface);
        }
        if conversation.phase == Phase::Reset && !effects.is_monitored {
            return answer_dead(turn, effects);
        }
        conversation.seconds = turn.now.seconds();
        if turn.packet.flags.rst {
            return pass_reset(turn, conversation, direction, effects);
        }
        if let Err(violation) = conversation.streams[direction.other()].acknowledge(turn.packet.ack)
        {
            if !effects.is_monitored {
                return Verdict::Drop(violation.into());
            }
            self.miss(turn, conversation, direction.other(), effects);
        }
        conversation.phase = Phase::Open;
        let has_fin = |end| conversation.streams[end].fin().is_some();
        let had_fin = Direction::BOTH.into_iter().any(has_fin);
        let verdict = self.pass_payload(turn, conversation, direction, effects);
        if !had_fin && conversation.streams[direction].fin().is_some() {
            conversation.end(turn.now, direction, effects);
        }
        conversation.finish(turn.now, effects);
        verdict
    }

    fn pass_payload(
        &self,
        turn: &Turn<'_>,
        conversation: &mut Conversation,
        direction: Direction,
        effects: &mut Effects,
    ) -> Verdict {
        let stream = &mut conversation.streams[direction];
        let payload = turn.packet.payload();
        let length = stream.before_fin(turn.packet.seq, payload.len());
        if length == 0 && !payload.is_empty() {
            return Verdict::Drop(Violation::BeyondFin.into());
        }
        if stream.is_opaque() {
            stream.pass_opaque(turn.packet.seq, length);
            let verdict = turn.pass_whole(stream, false, effects);
            // The other side may still have to show that it speaks TLS.
            if conversation.streams[direction.other()].is_opaque() {
                effects.handling = Handling::HandedOver;
            }
            return verdict;
        }
        if payload.is_empty() {
            return turn.pass_whole(stream, false, effects);
        }
        match stream.place(turn.packet.seq, length) {
            // Cut to nothing it still draws the ACK that its sender missed.
            Place::Below if turn.arrival.is_super_packet => {
                Verdict::Drop(Violation::Repeated.into())
            }
            Place::Below => turn.pass_bare(effects),
            Place::Beyond { distance } => {
                self.pass_early(turn, conversation, direction, distance, effects)
            }
            Place::At { known, .. } => {
                self.pass_fresh(turn, conversation, direction, known..length, effects)
            }
        }
    }

    /// A payload that touches the edge: its fresh part (given as a range of the payload) is
    /// judged, all of it is restored, what may not pass yet is cut off.
    fn pass_fresh(
        &self,
        turn: &Turn<'_>,
        conversation: &mut Conversation,
        direction: Direction,
        fresh: std::ops::Range<usize>,
        effects: &mut Effects,
    ) -> Verdict {
        let payload = turn.packet.payload();
        let bytes = payload.get(fresh.clone()).unwrap_or_default();
        if !self.has_room(conversation, direction, bytes.len()) {
            return Verdict::Drop(Violation::StoreFull.into());
        }
        let start = conversation.streams[direction].judged();
        if let Some(action) = self.judge_split(turn, conversation, direction, bytes) {
            if action == SplitAction::Reset {
                conversation.reset(turn.now, Reason::SplitTerminator, effects);
            }
            return Verdict::Drop(Reason::SplitTerminator);
        }
        let stream = &mut conversation.streams[direction];
        // What is fresh and stays as it came needs no restoring.
        let is_repeated = fresh.start > 0 || stream.has_early();
        stream.append(bytes);
        let reading = self.read(turn, conversation, direction, start, effects);
        if let Some(reason) = reading.fatal {
            conversation.reset(turn.now, reason, effects);
            return Verdict::Drop(reason);
        }
        let waiting = conversation.streams[direction].take_back(reading.end);
        let judged = usize::try_from(reading.end - start).unwrap_or(usize::MAX);
        if let Err(reason) = self.join_early(turn, conversation, direction, judged, effects) {
            conversation.reset(turn.now, reason, effects);
            return Verdict::Drop(reason);
        }
        if effects.is_monitored {
            self.keep_for_later(turn, conversation, direction, &waiting, effects);
        }
        let keep = fresh.start + judged;
        let restore = is_repeated || reading.is_edited;
        turn.pass_cut(conversation, direction, keep, restore, effects)
    }

    pub(super) fn has_room(
        &self,
        conversation: &Conversation,
        direction: Direction,
        length: usize,
    ) -> bool {
        let limits = &self.limits;
        let kept = conversation.streams[direction].kept();
        let all = self.store_bytes.load(Ordering::Relaxed);
        kept.saturating_add(length) <= limits.bytes_per_flow_max
            && all.saturating_add(length) <= limits.store_bytes_max
    }

    /// What the bug of CSCds90792 does to this segment, if it completes a terminator that an
    /// earlier segment began.
    fn judge_split(
        &self,
        turn: &Turn<'_>,
        conversation: &Conversation,
        direction: Direction,
        fresh: &[u8],
    ) -> Option<SplitAction> {
        let guard = &conversation.policy.guard;
        if direction == Direction::Reply || !guard.has_split_bug() {
            return None;
        }
        let stream = &conversation.streams[direction];
        let end = stream.judged() + conversation.dialogue.find_data_end(fresh)? as u64;
        let segment_start = u64::try_from(stream.offset(turn.packet.seq)).unwrap_or(0);
        let data_start = conversation.dialogue.data_start().value();
        let message = end.saturating_sub(data_start);
        let carried = end.saturating_sub(segment_start.max(data_start));
        // An empty message ends with three bytes: the CRLF before them is DATA's own.
        guard.judge_terminator(carried, message.min(5))
    }
}

/// A RST of one end: it passes without data where its receiver may take it, and relaxes nothing;
/// what follows it is still read, until both ends are silent.
fn pass_reset(
    turn: &Turn<'_>,
    conversation: &mut Conversation,
    direction: Direction,
    effects: &mut Effects,
) -> Verdict {
    let stream = &conversation.streams[direction];
    let offset = stream.offset(turn.packet.seq);
    let next = stream.acknowledged().cast_signed();
    if offset < next || offset > stream.judged().cast_signed().saturating_add(WINDOW_MAX) {
        return Verdict::Drop(Violation::StrayReset.into());
    }
    if stream.reset_seqs().any(|seq| seq == turn.packet.seq) {
        conversation.phase = Phase::Closing;
        conversation.close(turn.now, effects);
    }
    turn.pass_bare(effects)
}

/// Anything that a reset flow still sends is answered with a RST at the very number its sender
/// expects, which a challenge ACK (RFC 5961 3.2) names.
fn answer_dead(turn: &Turn<'_>, effects: &mut Effects) -> Verdict {
    if !turn.packet.flags.rst {
        effects.inject(&Reset {
            source: turn.destination.into(),
            destination: turn.source.into(),
            seq: turn.packet.ack,
            ack: turn.packet.seq,
        });
    }
    Verdict::Drop(Reason::FlowReset)
}

impl Conversation {
    /// The first FIN of the flow was let through.
    fn end(&self, now: Instant, direction: Direction, effects: &mut Effects) {
        if let Some(fault) = self.dialogue.end(speaker_of(direction)) {
            effects.counted.alarms += 1;
            let offset = self.streams[direction].judged();
            effects.records.push(self.record(now, What::Alarm { direction, offset, fault }));
        }
    }

    fn log_drop(
        &self,
        turn: &Turn<'_>,
        direction: Direction,
        reason: Reason,
        effects: &mut Effects,
    ) {
        let offset = self.streams[direction].offset(turn.packet.seq);
        let what = What::Dropped {
            direction,
            offset: u64::try_from(offset).unwrap_or(0),
            length: turn.packet.payload().len() as u64,
            reason,
        };
        effects.records.push(self.record(turn.now, what));
    }
}

impl<'t> Turn<'t> {
    /// An editor that has done what every packet gets.
    pub(super) fn editor<'e>(&'e self, effects: &'e mut Effects) -> Editor<'e, 't> {
        let mut editor = Editor::new(self.packet, &mut effects.rewritten);
        editor.restrict_options();
        editor.clear_urgent();
        editor
    }

    /// Lets the packet go on with its payload restored (if it can differ from what is kept), and
    /// its FIN if that has its place.
    fn pass_whole(&self, stream: &mut Stream, restore: bool, effects: &mut Effects) -> Verdict {
        let payload = self.packet.payload();
        let length = stream.before_fin(self.packet.seq, payload.len());
        let mut editor = self.editor(effects);
        if restore {
            stream.restore(self.packet.seq, length, &mut editor);
        }
        if self.packet.flags.fin && length == payload.len() {
            let position = self.packet.seq.after(u32::try_from(length).unwrap_or(u32::MAX));
            if !stream.admit_fin(position) {
                if payload.is_empty() {
                    return Verdict::Drop(Violation::OutOfOrder.into());
                }
                editor.clear_fin();
            }
        }
        editor.cut(length);
        go_on(editor)
    }

    /// Lets the first `keep` bytes of the payload go on.
    fn pass_cut(
        &self,
        conversation: &mut Conversation,
        direction: Direction,
        keep: usize,
        restore: bool,
        effects: &mut Effects,
    ) -> Verdict {
        let length = self.packet.payload().len();
        let stream = &mut conversation.streams[direction];
        if keep >= stream.before_fin(self.packet.seq, length) {
            return self.pass_whole(stream, restore, effects);
        }
        // The kernel loses a super-packet that was cut to one segment or less.
        let size = conversation.segment_size;
        let is_too_short = self.arrival.is_super_packet && (size == 0 || keep <= usize::from(size));
        if keep == 0 || is_too_short {
            return Verdict::Drop(Reason::AwaitingReply);
        }
        let mut editor = self.editor(effects);
        if restore {
            stream.restore(self.packet.seq, keep, &mut editor);
        }
        editor.cut(keep);
        let verdict = go_on(editor);
        let offset = stream.offset(self.packet.seq).saturating_add_unsigned(keep as u64);
        let what = What::Cut {
            direction,
            offset: u64::try_from(offset).unwrap_or(0),
            length: (length - keep) as u64,
            reason: Reason::AwaitingReply,
        };
        effects.records.push(conversation.record(self.now, what));
        effects.withheld = Some(Withheld { passed: keep, reason: Reason::AwaitingReply });
        verdict
    }
}
