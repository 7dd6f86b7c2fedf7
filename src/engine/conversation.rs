//! All we know of one established flow.

use std::sync::Arc;

use super::journal::Journal;
use super::policy::Policy;
use super::{Effects, Limits, Path, Reason, Record, Turn, What};
use crate::flow::{Direction, Endpoint, FlowId, FlowKey, Handshake, PerDirection};
use crate::guard::Watch;
use crate::smtp::Dialogue;
use crate::tcp::{Spares, Stream};
use crate::time::Instant;
use crate::wire::{Reset, build_reset};

/// How far a flow has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    /// Bytes may flow.
    Open,
    /// FINs of both sides, or a RST, have passed; anything but a RST opens it again.
    Closing,
    /// We have reset it: nothing passes any more.
    Reset,
}

/// One flow: its two streams, the dialogue they carry, and what the guard remembers.
#[derive(Debug)]
pub(super) struct Conversation {
    pub(super) id: FlowId,
    pub(super) policy: Arc<Policy>,
    pub(super) originator: Endpoint,
    pub(super) responder: Endpoint,
    /// The way of the SYN.
    path: Path,
    /// No segment of this flow carries more; 0 where no MSS was offered.
    pub(super) segment_size: u16,
    pub(super) phase: Phase,
    /// Whether its end was logged: once, and for good.
    pub(super) has_closed: bool,
    /// When it last spoke, whole seconds.
    pub(super) seconds: u64,
    pub(super) streams: PerDirection<Stream>,
    pub(super) dialogue: Dialogue,
    pub(super) watch: Watch,
    pub(super) journal: PerDirection<Journal>,
    /// False ends in the message under way that the log has told of.
    pub(super) lookalikes: u8,
}

impl Conversation {
    pub(super) fn new(
        id: FlowId,
        policy: &Arc<Policy>,
        handshake: &Handshake,
        spares: &Arc<Spares>,
        now: Instant,
    ) -> Self {
        Self {
            id,
            policy: Arc::clone(policy),
            originator: handshake.originator(),
            responder: handshake.responder(),
            path: Path::of(handshake),
            segment_size: handshake.segment_size,
            phase: Phase::Open,
            has_closed: false,
            seconds: now.seconds(),
            streams: PerDirection::new(
                Stream::sharing(handshake.isn, spares),
                Stream::sharing(handshake.answer, spares),
            ),
            dialogue: Dialogue::new(policy.guard.settings().data_begins),
            watch: Watch::default(),
            journal: PerDirection::default(),
            lookalikes: 0,
        }
    }

    /// Both sides have said their FIN and got it acknowledged: it closes.
    pub(super) fn finish(&mut self, now: Instant, effects: &mut Effects) {
        let is_finished = Direction::BOTH.into_iter().all(|d| self.streams[d].is_finished());
        if is_finished && self.phase == Phase::Open {
            self.phase = Phase::Closing;
            self.close(now, effects);
        }
    }

    /// Until which second it is remembered, if it stays silent.
    pub(super) const fn deadline(&self, limits: &Limits) -> u64 {
        self.seconds
            + match self.phase {
                Phase::Open => limits.idle_seconds,
                Phase::Closing | Phase::Reset => limits.closed_seconds,
            }
    }

    /// Bytes of memory its streams keep.
    pub(super) fn kept(&self) -> usize {
        self.streams[Direction::Original].kept() + self.streams[Direction::Reply].kept()
    }

    /// Whether this SYN/ACK is the one that opened the flow, come again.
    pub(super) fn has_answer(&self, turn: &Turn<'_>) -> bool {
        let reply = &self.streams[Direction::Reply];
        let original = &self.streams[Direction::Original];
        turn.source == self.responder
            && turn.packet.seq.after(1) == reply.seq(0)
            && turn.packet.ack == original.seq(0)
            && turn.is_on_side(Direction::Reply, self.path)
    }

    /// Whether the packet came in by an interface of the side it claims to come from.
    pub(super) fn has_right_side(&self, turn: &Turn<'_>) -> bool {
        turn.is_on_side(turn.direction(self.originator), self.path)
    }

    pub(super) fn record(&self, now: Instant, what: What) -> Record {
        Record {
            at: now,
            flow: self.id,
            originator: self.originator,
            responder: self.responder,
            what,
        }
    }

    pub(super) fn open(&self, now: Instant, effects: &mut Effects) {
        effects.records.push(self.record(now, What::Opened));
    }

    /// The flow has ended; said once.
    pub(super) fn close(&mut self, now: Instant, effects: &mut Effects) {
        if !std::mem::replace(&mut self.has_closed, true) {
            effects.records.push(self.record(now, What::Closed));
            effects.ended.push(FlowKey::of(self.originator, self.responder));
        }
    }

    /// Resets both ends: from now on nothing of this flow passes.
    pub(super) fn reset(&mut self, now: Instant, reason: Reason, effects: &mut Effects) {
        self.phase = Phase::Reset;
        for direction in Direction::BOTH {
            let towards = &self.streams[direction];
            let back = &self.streams[direction.other()];
            let (source, destination) = match direction {
                Direction::Original => (self.originator, self.responder),
                Direction::Reply => (self.responder, self.originator),
            };
            for seq in towards.reset_seqs() {
                let reset = Reset {
                    source: source.into(),
                    destination: destination.into(),
                    seq,
                    ack: back.seq(back.judged()),
                };
                effects.inject(&reset);
            }
        }
        effects.records.push(self.record(now, What::Reset { reason }));
        self.close(now, effects);
    }
}

impl Effects {
    pub(super) fn inject(&mut self, reset: &Reset) {
        if let Some(bytes) = build_reset(reset) {
            self.resets.push(bytes);
            self.counted.resets += 1;
        }
    }
}
