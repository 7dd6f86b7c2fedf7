//! A segment of an established flow on its way through: from its numbers to a verdict.
//!
//! ```text
//!   side? reset? RST? ACK ─► place ─┬─ below the ACK: goes on bare
//!                                   ├─ beyond the window, or a gap: goes on bare, or early
//!                                   └─ at the edge: append, read, commit, restore, cut
//! ```
//! What may not pass yet is held back (law 3), but its header goes on: an ACK that it carries, and
//! the answer that an old segment asks for, must not be lost with it.

use super::bypass::Bypass;
use super::conversation::{Conversation, Phase, Scene};
use super::{Effects, Engine, Handling, Reason, Turn, Verdict, What, Withheld, go_on};
use crate::flow::Direction;
use crate::guard::SplitAction;
use crate::offset::Offset;
use crate::smtp::Expect;
use crate::tcp::{Place, Stream, Violation};
use crate::wire::Editor;

/// One segment, the flow it belongs to, and what comes of it.
pub(super) struct Passage<'p, 't> {
    pub(super) engine: &'p Engine,
    pub(super) turn: &'p Turn<'t>,
    pub(super) scene: Scene<'p>,
    pub(super) conversation: &'p mut Conversation,
    /// Which way the packet goes.
    pub(super) sent: Direction,
    /// Which way the bytes go that are read: another one, where they waited for this packet.
    pub(super) direction: Direction,
    pub(super) effects: &'p mut Effects,
}

impl Passage<'_, '_> {
    /// The verdict. In a monitored flow it is the one that enforcing would give.
    pub(super) fn judge(&mut self) -> Verdict {
        let verdict = self.decide();
        match verdict {
            // What comes late for a flow that both ends have given up is worth no line.
            Verdict::Drop(_) if self.conversation.phase == Phase::Aborted => {}
            Verdict::Drop(reason) => self.tell_drop(reason),
            Verdict::Accept | Verdict::Rewrite if self.sent == Direction::Original => {
                self.note_leaving();
            }
            Verdict::Accept | Verdict::Rewrite => {}
        }
        self.go_on_all_the_same(verdict);
        verdict
    }

    fn decide(&mut self) -> Verdict {
        if !self.conversation.has_right_side(self.turn, self.direction, &self.engine.keyed) {
            return self.refuse_way();
        }
        if self.conversation.phase == Phase::Reset {
            return self.answer_dead();
        }
        if self.turn.packet.flags.rst {
            return self.pass_reset();
        }
        if self.conversation.phase == Phase::Aborted {
            return self.answer_dead();
        }
        let before = self.before_ack();
        if let Err(violation) = self.take_ack() {
            return self.refuse_ack(violation);
        }
        self.take_presence(before);
        // What was read behind a gap may have been the flow's end.
        if self.conversation.phase == Phase::Reset {
            return Verdict::Drop(Reason::FlowReset);
        }
        self.carry()
    }

    /// What a segment carries whose ACK was taken.
    pub(super) fn carry(&mut self) -> Verdict {
        if self.conversation.phase == Phase::Closing {
            self.conversation.phase = Phase::Open;
        }
        let had_fin = self.conversation.has_fin();
        let verdict = self.pass_payload();
        self.conclude(had_fin);
        verdict
    }

    /// The flow may have come to its end, or to the first half of it.
    pub(super) fn conclude(&mut self, had_fin: bool) {
        let mut ended =
            Direction::BOTH.into_iter().filter(|way| self.conversation.streams[*way].has_ended());
        if let Some(direction) = ended.next().filter(|_| !had_fin) {
            self.end(direction);
        }
        self.conversation.finish(&self.scene, self.effects);
    }

    /// The ACK and window that the segment carries for the other direction.
    fn take_ack(&mut self) -> Result<(), Violation> {
        let (ack, window) = (self.turn.packet.ack, self.turn.packet.window);
        let is_heeded = self.is_heeded();
        let is_offloaded = self.conversation.is_offloaded();
        let has_seen_all = self.has_seen_all();
        let stream = &mut self.conversation.streams[self.direction.other()];
        // What a record has announced has not left yet, and of an opaque stream all still comes by
        // while the other is read.
        if stream.is_unsent(ack) && has_seen_all && !is_offloaded {
            return Err(Violation::AckOfUnsent);
        }
        if !is_heeded {
            return stream.check_ack(ack);
        }
        let taken = stream.acknowledge(ack, window, &mut self.effects.spares);
        if taken == Err(Violation::AckOfUnsent) && self.may_skip_unseen() {
            self.skip_unseen();
            return Ok(());
        }
        taken
    }

    /// Whether the segment's number is such that its receiver looks at its ACK. Else an ACK that
    /// was guessed would make us forget what the receiver never got. A capture may lack what has
    /// moved the window.
    pub(super) fn is_heeded(&self) -> bool {
        let packet = self.turn.packet;
        let stream = &self.conversation.streams[self.direction];
        self.engine.skips_gaps || stream.is_acceptable(packet.seq, packet.payload().len())
    }

    pub(super) fn pass_payload(&mut self) -> Verdict {
        let (seq, payload) = (self.turn.packet.seq, self.turn.packet.payload());
        let stream = &mut self.conversation.streams[self.direction];
        let length = stream.before_fin(seq, payload.len());
        // Bare, a keep-alive behind a FIN still draws its ACK.
        if length == 0 && !payload.is_empty() {
            return self.hold_back(0, Violation::BeyondFin.into());
        }
        if stream.is_opaque() {
            stream.pass_opaque(seq, length);
            // The other side may still have to show that it speaks TLS.
            if self.conversation.is_offloaded() {
                self.effects.handling = Handling::HandedOver;
            }
            let stream = &mut self.conversation.streams[self.direction];
            return self.turn.pass_uncut(stream, usize::MAX, self.effects);
        }
        if payload.is_empty() {
            let verdict = self.turn.pass_uncut(stream, 0, self.effects);
            let is_early = self.turn.packet.flags.fin && stream.fin().is_none();
            if is_early && self.direction == Direction::Reply {
                self.conversation.presence.note_passage(false);
            }
            return verdict;
        }
        let within = stream.within_window(seq, length);
        let place = stream.place(seq, length);
        if self.speaks_to_nobody() && !matches!(place, Place::Below) {
            return self.answer_for_server();
        }
        let verdict = self.pass_placed(place, within);
        if self.direction == Direction::Reply {
            let is_news = matches!(place, Place::At { known: 0, .. });
            let is_whole = self.effects.withheld.is_none() && !matches!(verdict, Verdict::Drop(_));
            self.conversation.presence.note_passage(is_news && is_whole);
        }
        verdict
    }

    /// A payload by its place, of which so much lies in its receiver's window.
    fn pass_placed(&mut self, place: Place, within: usize) -> Verdict {
        let stream = &self.conversation.streams[self.direction];
        match place {
            // Bare, it still draws the ACK that its sender missed.
            Place::Below if self.turn.arrival.is_super_packet => {
                Verdict::Drop(Violation::Repeated.into())
            }
            Place::Below => self.pass_below(),
            _ if within == 0 => self.hold_back(0, Violation::BeyondWindow.into()),
            Place::Beyond { distance } if stream.is_framed() => {
                self.pass_records_early(distance, within)
            }
            Place::Beyond { distance } => self.pass_early(distance, within),
            Place::At { known, .. } if stream.is_framed() => {
                self.pass_records(known.min(within), within)
            }
            Place::At { known, .. } => self.pass_fresh(known..within.max(known)),
        }
    }

    /// Whether the server has said its FIN: it reads nothing any more, and once it has forgotten
    /// the connection it might read this as another's. Under TLS each side ends for itself.
    fn speaks_to_nobody(&self) -> bool {
        self.direction == Direction::Original
            && self.conversation.streams[Direction::Reply].fin().is_some()
            && !matches!(self.conversation.dialogue.expect(), Expect::Tls(_))
    }

    /// The client's end may not have the server's last word yet: until it has acknowledged the FIN
    /// it is told nothing, and then what a server that has closed tells.
    fn answer_for_server(&mut self) -> Verdict {
        let reply = &self.conversation.streams[Direction::Reply];
        let acknowledged = reply.offset(self.turn.packet.ack);
        if reply.fin().is_some_and(|fin| acknowledged.is_some_and(|offset| offset > fin)) {
            self.tell_drop(Reason::ServerLeft);
            self.conversation.abort(&self.scene, self.effects);
            return Verdict::Drop(Reason::ServerLeft);
        }
        self.hold_back(0, Reason::ServerLeft)
    }

    /// Everything in it was acknowledged: nothing of it is sent again, but its FIN may be news.
    fn pass_below(&mut self) -> Verdict {
        let packet = self.turn.packet;
        let stream = &mut self.conversation.streams[self.direction];
        if packet.flags.fin && stream.admit_fin(packet.seq_end()) {
            return self.turn.pass_uncut(stream, usize::MAX, self.effects);
        }
        self.turn.pass_bare(self.effects)
    }

    /// A payload that touches the edge: its fresh part (given as a range of the payload) is
    /// judged, all of it is restored, what may not pass yet is cut off.
    fn pass_fresh(&mut self, fresh: std::ops::Range<usize>) -> Verdict {
        let payload = self.turn.packet.payload();
        let bytes = payload.get(fresh.clone()).unwrap_or_default();
        if !bytes.is_empty() && !self.has_room(bytes.len()) {
            return self.pass_known(fresh.start);
        }
        if let Some(action) = self.judge_split(bytes) {
            return match action {
                SplitAction::Drop => Verdict::Drop(Reason::SplitTerminator),
                SplitAction::Reset => self.reset(Reason::SplitTerminator),
            };
        }
        let stream = &mut self.conversation.streams[self.direction];
        let start = stream.judged();
        let known = payload.get(..fresh.start).unwrap_or_default();
        // A keep-alive repeats the last byte's number with any byte (RFC 9293 3.8.4).
        let is_keep_alive = payload.len() == 1 && known.len() == 1;
        let is_contradicted =
            !is_keep_alive && stream.is_contradicted_by(self.turn.packet.seq, known);
        // What is fresh and stays as it came needs no restoring.
        let is_repeated = fresh.start > 0 || stream.has_early();
        let is_contradicted = stream.append(bytes, &mut self.effects.spares) || is_contradicted;
        if !bytes.is_empty() {
            self.conversation.bypass = Bypass::default();
        }
        if is_contradicted {
            self.tell_contradiction(start);
            if self.is_contradiction_fatal() {
                return self.reset(Violation::Contradiction.into());
            }
        }
        let reading = self.read(start);
        let stream = &self.conversation.streams[self.direction];
        let agrees = self.conversation.has_unread || stream.agrees_with_early(reading.end);
        if let Some(reason) = reading.fatal.or_else(|| (!agrees).then_some(Reason::EarlyBytes)) {
            self.stay(reading.end);
            return self.reset(reason);
        }
        self.commit(reading.end);
        let keep = fresh.start + usize::try_from(reading.end.since(start)).unwrap_or(usize::MAX);
        if self.conversation.records.is_some() {
            return self.pass_records(keep, fresh.end);
        }
        if let Err(reason) = self.join_early() {
            return self.reset(reason);
        }
        let restore = if is_repeated || reading.is_edited { usize::MAX } else { 0 };
        self.pass_cut(keep, restore, fresh.end)
    }

    /// There is no room for what is fresh: what was judged before needs none, and goes on without
    /// it. Else its receiver might wait for that for ever, and nothing be given back.
    pub(super) fn pass_known(&mut self, known: usize) -> Verdict {
        let seq = self.turn.packet.seq;
        self.conversation.streams[self.direction].leave(seq, known);
        self.cut(known, Violation::StoreFull.into(), |stream, editor| {
            stream.restore(seq, known, editor);
        })
    }

    /// Everything below this offset was ruled on.
    pub(super) fn commit(&mut self, end: Offset) {
        self.conversation.streams[self.direction].commit(end, &mut self.effects.spares);
    }

    /// Two copies of the same bytes differ, and the second of them is in this packet.
    pub(super) fn tell_contradiction(&mut self, offset: Offset) {
        let direction = self.direction;
        self.effects.counted.alarms += 1;
        self.tell(What::Contradiction { direction, offset: offset.value() });
    }

    /// In commands the first copy stands; a message of which two versions exist must not be
    /// delivered.
    pub(super) fn is_contradiction_fatal(&self) -> bool {
        self.direction == Direction::Original && self.conversation.dialogue.expect().is_message()
    }

    /// Whether so many bytes more may be kept for this direction. Where the memory of all is the
    /// limit, those who hold most of it will lose it.
    pub(super) fn has_room(&self, length: usize) -> bool {
        let held = self.conversation.streams[self.direction].held();
        let memory = &self.engine.memory;
        if !memory.has_room(length) {
            self.engine.ask_for_relief();
            return false;
        }
        held.saturating_add(length) <= self.engine.limits.bytes_per_flow_max
    }

    /// What the bug of CSCds90792 does to this segment, if it completes a terminator that an
    /// earlier segment began.
    fn judge_split(&self, fresh: &[u8]) -> Option<SplitAction> {
        let guard = &self.conversation.terms.guard;
        if self.direction == Direction::Reply || !guard.has_split_bug() {
            return None;
        }
        let stream = &self.conversation.streams[self.direction];
        let data_end = self.conversation.dialogue.find_data_end(fresh, guard.false_ends())?;
        let end = stream.judged().after(data_end as u64);
        let segment_start = stream.offset(self.turn.packet.seq).unwrap_or_default();
        let data_start = self.conversation.dialogue.data_start();
        let message = end.since(data_start);
        let carried = end.since(segment_start.max(data_start));
        // An empty message ends with three bytes: the CRLF before them is DATA's own.
        guard.judge_terminator(carried, message.min(5))
    }

    /// A RST of one end: it passes without data where its receiver may take it. Where it surely
    /// does (RFC 5961 3.2) nothing follows; else it relaxes nothing, and what follows is read.
    fn pass_reset(&mut self) -> Verdict {
        let stream = &self.conversation.streams[self.direction];
        let seq = self.turn.packet.seq;
        if self.answers_harmless_ack() {
            self.conversation.abort(&self.scene, self.effects);
            return Verdict::Drop(Violation::StrayReset.into());
        }
        let is_within = stream.offset(seq).is_some_and(|offset| offset >= stream.acknowledged());
        if !is_within || stream.within_window(seq, 1) == 0 {
            return Verdict::Drop(Violation::StrayReset.into());
        }
        self.conversation.hear_reset(&self.scene, self.direction, seq, self.effects);
        self.turn.pass_bare(self.effects)
    }

    /// Anything that an end still sends of a flow that was reset is answered with a RST at the very
    /// number its sender expects, which a challenge ACK (RFC 5961 3.2) names.
    pub(super) fn answer_dead(&mut self) -> Verdict {
        if !self.turn.packet.flags.rst && self.conversation.mode().may_send_resets() {
            self.turn.reset_source(self.effects);
        }
        Verdict::Drop(Reason::FlowReset)
    }

    /// Resets both ends.
    pub(super) fn reset(&mut self, reason: Reason) -> Verdict {
        self.conversation.reset(&self.scene, reason, self.effects);
        Verdict::Drop(reason)
    }

    /// Adds an entry to the event log.
    pub(super) fn tell(&mut self, what: What) {
        self.conversation.tell(&self.scene, what, self.effects);
    }

    /// The first FIN of the flow was let through.
    fn end(&mut self, direction: Direction) {
        self.conversation.tell_unfinished(&self.scene, direction, self.effects);
        if let Some(fault) = self.conversation.dialogue.end(direction.speaker()) {
            self.effects.counted.alarms += 1;
            let offset = self.conversation.streams[direction].judged().value();
            self.tell(What::Alarm { direction, offset, fault });
        }
    }

    /// Says that the packet is dropped.
    pub(super) fn tell_drop(&mut self, reason: Reason) {
        let what = (self.turn.packet, self.direction);
        self.conversation.tell_drop(&self.scene, what, reason, self.effects);
    }

    /// Lets the first `passed` bytes of the payload go on as they came, and nothing behind them.
    pub(super) fn hold_back(&mut self, passed: usize, reason: Reason) -> Verdict {
        self.cut(passed, reason, |_, _| ())
    }

    /// Lets the first `passed` bytes of the payload go on as `prepare` makes them.
    pub(super) fn cut(
        &mut self,
        passed: usize,
        reason: Reason,
        prepare: impl FnOnce(&Stream, &mut Editor<'_, '_>),
    ) -> Verdict {
        let size = usize::from(self.conversation.segment_size);
        // The kernel loses a super-packet that was cut to one segment or less.
        let is_lost = self.turn.arrival.is_super_packet && (size == 0 || passed <= size);
        if is_lost {
            return Verdict::Drop(reason);
        }
        let mut editor = self.turn.editor(self.effects);
        prepare(&self.conversation.streams[self.direction], &mut editor);
        editor.cut(passed);
        let verdict = go_on(editor);
        self.tell_withheld(passed, reason);
        verdict
    }

    fn tell_withheld(&mut self, passed: usize, reason: Reason) {
        let length = self.turn.packet.payload().len();
        let stream = &self.conversation.streams[self.direction];
        let offset = stream.offset(self.turn.packet.seq).unwrap_or_default().after(passed as u64);
        self.effects.withheld = Some(Withheld { passed, reason });
        let (offset, length) = (offset.value(), length.saturating_sub(passed) as u64);
        let direction = self.direction;
        let what = What::Cut { direction, offset, length, reason };
        self.conversation.tell_repeatable(&self.scene, reason, what, self.effects);
    }

    /// Lets the first `keep` bytes of the payload go on, of which those from `offered` on had no
    /// place in the receiver's window.
    pub(super) fn pass_cut(&mut self, keep: usize, restore: usize, offered: usize) -> Verdict {
        let packet = self.turn.packet;
        let length = packet.payload().len();
        let stream = &mut self.conversation.streams[self.direction];
        if keep >= stream.before_fin(packet.seq, length) {
            return self.turn.pass_uncut(stream, restore, self.effects);
        }
        let reason =
            if keep == offered { Violation::BeyondWindow.into() } else { Reason::AwaitingReply };
        self.cut(keep, reason, |stream, editor| {
            if restore > 0 {
                stream.restore(packet.seq, keep.min(restore), editor);
            }
        })
    }
}

impl<'t> Turn<'t> {
    /// An editor that has done what every packet gets.
    pub(super) fn editor<'e>(&'e self, effects: &'e mut Effects) -> Editor<'e, 't> {
        let mut editor = Editor::new(self.packet, &mut effects.rewritten);
        editor.restrict_options();
        editor.clear_urgent();
        if let Some(ack) = effects.harmless_ack {
            editor.set_ack(ack);
        }
        editor
    }

    /// Lets the packet go on with so much of its payload restored as can differ from what is kept,
    /// and its FIN if that has its place.
    pub(super) fn pass_uncut(
        &self,
        stream: &mut Stream,
        restore: usize,
        effects: &mut Effects,
    ) -> Verdict {
        let payload = self.packet.payload();
        let length = stream.before_fin(self.packet.seq, payload.len());
        let mut withheld = None;
        let mut editor = self.editor(effects);
        if restore > 0 {
            stream.restore(self.packet.seq, length.min(restore), &mut editor);
        }
        let has_fin = self.packet.flags.fin && length == payload.len();
        if has_fin && !stream.admit_fin(self.packet.seq_end()) {
            editor.clear_fin();
            let (passed, reason) = (length, Violation::OutOfOrder.into());
            withheld = Some(Withheld { passed, reason });
        }
        editor.cut(length);
        let verdict = go_on(editor);
        effects.withheld = withheld;
        verdict
    }

    /// Lets the packet go on without data, urgent pointer and unknown options.
    pub(super) fn pass_bare(&self, effects: &mut Effects) -> Verdict {
        let mut editor = self.editor(effects);
        editor.cut(0);
        go_on(editor)
    }
}
