//! All we know of one established flow.

mod state;

pub(super) use state::ConversationState;

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::bypass::Bypass;
use super::cookie::Presence;
use super::image::Slot;
use super::journal::{Journal, Measure, Talk};
use super::policy::Terms;
use super::record::written;
use super::tls::Records;
use super::{Deeds, Effects, LOGGED_BYTES_MAX, Limits, Message, Reason, Record, Turn, What};
use crate::flow::{Direction, Ends, Flow, Handshake, Keyed, PerDirection, Way};
use crate::guard::{Mode, Watch};
use crate::offset::Offset;
use crate::smtp::{Dialogue, Word};
use crate::tcp::{Memory, Stream, Window};
use crate::time::Instant;
use crate::wire::{Packet, Reset, Seq};

/// Seconds an offloaded flow is remembered after its last packet: those that were in the queue
/// when the kernel learnt of it still come.
const OFFLOADED_SECONDS: u64 = 5;

/// Seconds for which a sender may be silent before it repeats itself (RFC 6298 2.5 has 60 at the
/// least for a bound, Linux 120): a server that has said its FIN still has its last word to say.
const LAST_WORD_SECONDS: u64 = 130;

/// So far below the text that is fresh a segment may begin: the largest there is. And so much older
/// than the newest one an ACK of the client's may be that leaves.
pub(super) const REACH: u32 = 65_536;

/// Whose packet is handled, and when.
#[derive(Clone, Copy, Debug)]
pub(super) struct Scene<'f> {
    pub(super) now: Instant,
    flow: &'f Flow<Conversation>,
}

impl<'f> Scene<'f> {
    pub(super) const fn of(flow: &'f Flow<Conversation>, now: Instant) -> Self {
        Self { now, flow }
    }

    pub(super) const fn ends(&self) -> Ends {
        self.flow.ends()
    }

    fn record(&self, what: What, terms: &Terms) -> Record {
        let Ends { originator, responder } = self.flow.ends();
        let message = Message::of(&what, terms.guard.settings());
        Record { at: self.now, flow: self.flow.id(), originator, responder, what, message }
    }
}

/// How far a flow has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Phase {
    /// Bytes may flow.
    Open,
    /// FINs of both sides have passed, or, where nothing is enforced, a RST; anything but a RST
    /// opens it again.
    Closing,
    /// We have reset it: nothing passes any more.
    Reset,
    /// A RST has passed that ends it, or the client has spoken behind the server's FIN: nothing
    /// passes any more but another RST.
    Aborted,
}

/// What became of the client's line under way: two bits, since an idle flow pays for each byte.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct LineFate(u8);

impl LineFate {
    const REFUSED: u8 = 1;
    const PASSED_MASKED: u8 = 2;

    pub(super) const fn refuse(&mut self) {
        self.0 |= Self::REFUSED;
    }

    pub(super) const fn is_refused(self) -> bool {
        self.0 & Self::REFUSED != 0
    }

    /// Monitoring has let it go on with a verb to be masked.
    pub(super) const fn pass_masked(&mut self) {
        self.0 |= Self::PASSED_MASKED;
    }

    pub(super) const fn has_passed_masked(self) -> bool {
        self.0 & Self::PASSED_MASKED != 0
    }
}

/// One flow: its two streams, the dialogue they carry, and what the guard remembers.
#[derive(Debug)]
pub(super) struct Conversation {
    /// Its place in the diary, once it has one: given up before the terms that are named there.
    pub(super) slot: Option<Box<Slot>>,
    pub(super) terms: Arc<Terms>,
    /// The way of the SYN.
    way: Way,
    /// No segment of this flow carries more; 0 where no MSS was offered.
    pub(super) segment_size: u16,
    pub(super) phase: Phase,
    /// Whether its end was logged: once, and for good.
    pub(super) has_closed: bool,
    /// Whether monitoring has said that it would be reset.
    pub(super) has_told_reset: bool,
    /// Whether monitoring has let something go on that waits here to be read.
    pub(super) has_unread: bool,
    /// Whether the server is still there.
    pub(super) presence: Presence,
    /// What became of the client's line under way.
    pub(super) line: LineFate,
    /// False ends in the message under way that the log has told of.
    pub(super) lookalikes: u8,
    /// Whether it gets any further.
    pub(super) bypass: Bypass,
    pub(super) streams: PerDirection<Stream>,
    pub(super) dialogue: Dialogue,
    pub(super) watch: Watch,
    /// The first word of the last command line, for who looks.
    pub(super) last: Word,
    /// What was done to it, for who looks.
    pub(super) deeds: Deeds,
    pub(super) journal: PerDirection<Journal>,
    /// What is known of TLS where that is followed.
    pub(super) records: Option<Box<Records>>,
    talk: Talk,
}

impl Conversation {
    pub(super) fn new(terms: &Arc<Terms>, handshake: &Handshake, memory: &Arc<Memory>) -> Self {
        // What one end offers to take bounds what the other sends.
        let scales = handshake.window_scales();
        let window = |receiver| Window::new(handshake.windows[receiver], scales[receiver]);
        Self {
            terms: Arc::clone(terms),
            way: handshake.way,
            segment_size: handshake.segment_size,
            phase: Phase::Open,
            has_closed: false,
            has_told_reset: false,
            has_unread: false,
            presence: Presence::NEW,
            line: LineFate::default(),
            lookalikes: 0,
            bypass: Bypass::default(),
            streams: PerDirection::new(
                Stream::new(handshake.isn, window(Direction::Reply), memory),
                Stream::new(handshake.answer, window(Direction::Original), memory),
            ),
            dialogue: terms.guard.dialogue(),
            watch: Watch::default(),
            last: Word::default(),
            deeds: Deeds::default(),
            journal: PerDirection::default(),
            records: None,
            talk: Talk::new(terms.chatter),
            slot: None,
        }
    }

    /// How far judging goes in this flow.
    pub(super) fn mode(&self) -> Mode {
        self.terms.guard.mode()
    }

    /// Both sides have said their FIN and got it acknowledged: it closes.
    pub(super) fn finish(&mut self, scene: &Scene<'_>, effects: &mut Effects) {
        let is_finished = Direction::BOTH.into_iter().all(|d| self.streams[d].is_finished());
        if is_finished && self.phase == Phase::Open {
            self.phase = Phase::Closing;
            self.close(scene, effects);
        }
    }

    /// A RST of one end passes.
    pub(super) fn hear_reset(
        &mut self,
        scene: &Scene<'_>,
        direction: Direction,
        seq: Seq,
        effects: &mut Effects,
    ) {
        self.presence.hear_reset(scene.now);
        if self.streams[direction].reset_seqs().any(|exact| exact == seq) {
            self.phase = self.phase_behind_reset();
            self.close(scene, effects);
        }
    }

    /// Whether it was reset: nothing of it passes any more.
    pub(super) fn is_dead(&self) -> bool {
        self.phase == Phase::Reset
    }

    /// Whether it is remembered only for what may still be on its way.
    pub(super) fn is_over(&self) -> bool {
        let has_server_left = self.streams[Direction::Reply].fin().is_some();
        self.phase != Phase::Open || has_server_left || self.is_offloaded()
    }

    /// Whether its packets bypass us, as far as the kernel knows.
    pub(super) fn is_offloaded(&self) -> bool {
        Direction::BOTH.into_iter().all(|direction| self.streams[direction].is_opaque())
    }

    /// Whether one of its ends has said its FIN, and all before it was judged.
    pub(super) fn has_fin(&self) -> bool {
        Direction::BOTH.into_iter().any(|direction| self.streams[direction].has_ended())
    }

    /// Until which second it is remembered, if it has been silent since this one.
    pub(super) fn deadline(&self, seen: u64, limits: &Limits) -> u64 {
        let is_answered = self.phase != Phase::Open || self.streams[Direction::Reply].is_finished();
        let seconds = match self.is_over() {
            _ if self.is_offloaded() => OFFLOADED_SECONDS,
            true if is_answered => limits.closed_seconds,
            true => limits.closed_seconds.max(LAST_WORD_SECONDS).min(limits.idle_seconds),
            false => limits.idle_seconds,
        };
        seen.saturating_add(seconds)
    }

    /// Bytes of memory its streams occupy.
    pub(super) fn held(&self) -> usize {
        let records = self.records.as_ref().map_or(0, |records| records.held());
        records + self.streams[Direction::Original].held() + self.streams[Direction::Reply].held()
    }

    /// Whether this SYN/ACK is the one that opened the flow, come again. A server that has spoken
    /// since says it no more: later than a moment behind that, its numbers are so by chance.
    pub(super) fn has_answer(&self, turn: &Turn<'_>) -> bool {
        let [original, reply] = Direction::BOTH.map(|way| &self.streams[way]);
        let start = (reply.seq(Offset::ZERO), original.seq(Offset::ZERO));
        let has_spoken = (original.acknowledged(), reply.judged()) != (Offset::ZERO, Offset::ZERO);
        (turn.packet.seq.after(1), turn.packet.ack) == start
            && (!has_spoken || self.presence.is_surely_there(turn.now))
    }

    /// Whether a server that expects this number, and comes to that one next, could take text of
    /// this flow: both are among those with which something may still leave, or close to them.
    /// Nobody guesses both.
    pub(super) fn is_within_reach(&self, expected: Seq, next: Seq) -> bool {
        self.streams[Direction::Original].may_begin_at(expected, REACH)
            && self.streams[Direction::Reply].is_near(next, REACH)
    }

    /// Whether the packet came by the way of the side it claims to come from.
    pub(super) fn has_right_side(
        &self,
        turn: &Turn<'_>,
        direction: Direction,
        keyed: &Keyed,
    ) -> bool {
        self.way.has(direction, turn.hop(), keyed)
    }

    /// Adds an entry to the event log, unless this flow has had more than its share.
    pub(super) fn tell(&mut self, scene: &Scene<'_>, what: What, effects: &mut Effects) {
        // An offence is told however much else the client has made the log say.
        let is_offence =
            matches!(&what, What::Exceeded { excess, .. } if self.talk.note_exceeded(excess.rule));
        let is_vital = is_offence || matches!(what, What::Reset { .. } | What::Closed);
        if effects.is_heard()
            && self.admits(scene, Measure { shown: what.carried(), is_vital }, effects)
        {
            effects.records.push(scene.record(what, &self.terms));
        }
    }

    /// The same for a whole line of so many bytes, as it stands in its stream: its entry is made
    /// only where it is written.
    pub(super) fn tell_line(
        &mut self,
        scene: &Scene<'_>,
        (direction, at, length): (Direction, Offset, usize),
        entry: fn(u64, Vec<u8>, u64) -> What,
        effects: &mut Effects,
    ) {
        if !effects.is_heard() {
            return;
        }
        let end = length.min(LOGGED_BYTES_MAX);
        let shown = written(self.streams[direction].tail(at).get(..end).unwrap_or_default());
        if self.admits(scene, Measure { shown, is_vital: false }, effects) {
            let line = self.streams[direction].tail(at);
            let line = line.get(..end).unwrap_or(line).to_vec();
            let what = entry(at.value(), line, length as u64);
            effects.records.push(scene.record(what, &self.terms));
        }
    }

    /// Whether an entry of this measure may be written. Says how many were left out before it.
    fn admits(&mut self, scene: &Scene<'_>, measure: Measure, effects: &mut Effects) -> bool {
        match self.talk.admit(scene.now, measure, self.terms.chatter) {
            Ok(None) => true,
            Ok(Some(entries)) => {
                effects.records.push(scene.record(What::LeftOut { entries }, &self.terms));
                true
            }
            Err(()) => {
                effects.counted.entries_left_out += 1;
                false
            }
        }
    }

    /// The same for what a flow may do again and again: once a second for each reason. What TCP
    /// repeats of its own is no other event each time, and nothing is left out with it.
    pub(super) fn tell_repeatable(
        &mut self,
        scene: &Scene<'_>,
        reason: Reason,
        what: What,
        effects: &mut Effects,
    ) {
        if self.talk.note_repeatable(scene.now, reason) {
            self.tell(scene, what, effects);
        } else if effects.is_heard() && !reason.is_repeated_by_tcp() {
            self.talk.leave_out();
            effects.counted.entries_left_out += 1;
        }
    }

    /// Says that a packet was dropped.
    pub(super) fn tell_drop(
        &mut self,
        scene: &Scene<'_>,
        (packet, direction): (&Packet<'_>, Direction),
        reason: Reason,
        effects: &mut Effects,
    ) {
        let offset = self.streams[direction].offset(packet.seq).unwrap_or_default().value();
        let length = packet.payload().len() as u64;
        let what = What::Dropped { direction, offset, length, reason };
        self.tell_repeatable(scene, reason, what, effects);
    }

    /// Forgets the bytes in flight: no copy of them will be compared or restored any more.
    pub(super) fn discard(&mut self) {
        self.records = None;
        Direction::BOTH.into_iter().for_each(|direction| self.streams[direction].discard());
    }

    /// One side says no more: what it began to say is told.
    pub(super) fn tell_unfinished(
        &mut self,
        scene: &Scene<'_>,
        direction: Direction,
        effects: &mut Effects,
    ) {
        if self.journal[direction].is_empty() {
            return;
        }
        let entry = match direction {
            Direction::Original => What::command,
            Direction::Reply => What::reply,
        };
        let mut unfinished = Vec::new();
        self.journal[direction].end_unfinished(direction, entry, &mut unfinished);
        unfinished.into_iter().for_each(|what| self.tell(scene, what, effects));
    }

    /// The flow has ended; said once.
    pub(super) fn close(&mut self, scene: &Scene<'_>, effects: &mut Effects) {
        if !std::mem::replace(&mut self.has_closed, true) {
            for direction in Direction::BOTH {
                // What a reset cut off is told by its reason.
                if self.phase != Phase::Reset {
                    self.tell_unfinished(scene, direction, effects);
                }
            }
            self.end_records(scene, effects);
            self.tell(scene, What::Closed, effects);
            effects.ended.push(*scene.flow.key());
        }
    }

    /// Resets both ends: from now on nothing of this flow passes.
    pub(super) fn reset_both_ends(
        &mut self,
        scene: &Scene<'_>,
        reason: Reason,
        effects: &mut Effects,
    ) {
        self.phase = Phase::Reset;
        self.send_resets(scene, effects);
        self.tell(scene, What::Reset { reason }, effects);
        self.close(scene, effects);
        // Nothing passes any more, so no copy of anything needs its value.
        self.discard();
    }

    /// Ends it as a server does that is spoken to when it has closed: both ends are told by a RST.
    pub(super) fn abort_both_ends(&mut self, scene: &Scene<'_>, effects: &mut Effects) {
        self.phase = Phase::Aborted;
        self.send_resets(scene, effects);
        self.close(scene, effects);
    }

    fn send_resets(&self, scene: &Scene<'_>, effects: &mut Effects) {
        for direction in Direction::BOTH {
            let towards = &self.streams[direction];
            let back = &self.streams[direction.other()];
            let (source, destination) = scene.flow.ends().of(direction);
            for seq in towards.reset_seqs() {
                let ack = back.seq(back.judged());
                let (source, destination) = (source.into(), destination.into());
                effects.inject(&Reset { source, destination, seq, ack });
            }
        }
    }
}
