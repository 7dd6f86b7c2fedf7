//! A flow between whose ends another SYN was answered.
//!
//! A server that has lost its end answers so, and whoever completes that handshake opens a new flow
//! in the old one's place. But what stands before a server may answer every SYN, a forged one too
//! (SYNPROXY of Linux), and nobody completes that. So the old flow goes on until a third packet has
//! come. Until then nothing leaves as its text that a server could take for one: a server that
//! keeps no state looks at the difference of both numbers alone (see `cookie`).

use super::conversation::{Aside, Conversation};
use super::cookie::{BACK_MAX, SIZES};
use super::{Effects, Engine, Turn, Verdict};
use crate::flow::{Direction, Ends, Flow, FlowKey, Handshake};
use crate::tcp::{Stream, Violation};
use crate::time::Instant;
use crate::wire::Seq;

/// Answers that are remembered of one flow. One more does not go on: who could complete it is not
/// to be told.
const ANSWERS_MAX: usize = 4;

/// For so long a server may take a third packet without having kept anything (two minutes, by the
/// cookies of Linux).
const SECONDS: u32 = 128;

/// The numbers of a SYN and of its answer.
#[derive(Clone, Copy, Debug)]
struct Answer {
    isn: Seq,
    answer: Seq,
    /// When it came, whole seconds.
    seconds: u32,
}

/// The answers to other SYNs between the ends of a flow. Few flows have any.
#[derive(Debug, Default)]
pub(super) struct Answers(Option<Box<[Option<Answer>; ANSWERS_MAX]>>);

/// Whose segment it is, between ends that have a flow and such answers.
pub(super) enum Claim {
    /// The flow's.
    Flow,
    /// A RST of the handshake.
    Handshake,
    /// The third packet: the flow is history.
    Successor,
    /// Neither's: it is no text of anybody.
    Neither(Verdict),
}

impl Answer {
    /// By how many bytes more a client would have received than it had sent before a segment with
    /// these numbers, if this had opened its connection.
    const fn ahead(&self, seq: Seq, ack: Seq) -> i64 {
        ack.before(self.answer.0).distance_from(seq.before(self.isn.0))
    }

    const fn is_alive(&self, seconds: u32) -> bool {
        seconds.saturating_sub(self.seconds) <= SECONDS
    }

    /// Whether who kept nothing could not tell the two apart.
    fn is_like(&self, other: &Self) -> bool {
        self.ahead(other.isn, other.answer).abs() <= SIZES
    }
}

impl Answers {
    /// Whether there is none.
    pub(super) const fn is_empty(&self) -> bool {
        self.0.is_none()
    }

    /// One more; false if there is no room for it.
    pub(super) fn note(&mut self, handshake: &Handshake) -> bool {
        let Handshake { isn, answer, seconds, .. } = *handshake;
        let fresh = Answer { isn, answer, seconds };
        let places = self.0.get_or_insert_default();
        let like = places.iter().position(|known| known.is_some_and(|it| it.is_like(&fresh)));
        let is_free = |known: &Option<Answer>| known.is_none_or(|it| !it.is_alive(seconds));
        let place = like.or_else(|| places.iter().position(is_free));
        let Some(place) = place.and_then(|place| places.get_mut(place)) else { return false };
        *place = Some(fresh);
        true
    }

    fn alive(&self, seconds: u32) -> impl Iterator<Item = &Answer> {
        self.0
            .iter()
            .flat_map(|places| places.iter().flatten())
            .filter(move |it| it.is_alive(seconds))
    }

    /// Whether this segment of a client might open a connection with any of these, as it came or
    /// with an older ACK, or the newest.
    fn fit(&self, turn: &Turn<'_>, reply: &Stream) -> bool {
        let packet = turn.packet;
        let length = i64::try_from(packet.payload().len()).unwrap_or(i64::MAX / 4);
        // The kernel cuts a super-packet into segments, nobody knows where.
        let room = if turn.arrival.is_super_packet { 2 * length } else { 0 };
        let fitting = -SIZES..=SIZES + BACK_MAX as i64 + room;
        let newest = reply.seq(reply.acknowledged());
        self.alive(turn.seconds()).any(|it| {
            packet.ack == it.answer.after(1)
                || [packet.ack, newest]
                    .iter()
                    .any(|ack| fitting.contains(&it.ahead(packet.seq, *ack)))
        })
    }

    /// Whether a server asks back here that has answered one of these.
    fn ask_back(&self, turn: &Turn<'_>) -> bool {
        let (seq, ack) = (turn.packet.seq, turn.packet.ack);
        self.alive(turn.seconds()).any(|it| seq == it.answer.after(1) && ack == it.isn.after(1))
    }
}

impl Engine {
    /// The server, or what stands before it, answers a SYN between its ends: what that means to the
    /// flow that they have. False if the answer may not go on.
    pub(super) fn admit_answer(
        &self,
        turn: &Turn<'_>,
        handshake: &Handshake,
        effects: &mut Effects,
    ) -> bool {
        let Some(flow) = self.flows.find(&turn.key) else { return true };
        let Some(mut conversation) = flow.lock_if_present() else { return true };
        if turn.source != flow.ends().responder || conversation.is_over() {
            drop(conversation);
            self.retire(turn, effects);
            return true;
        }
        if !conversation.aside.get_or_insert_default().answers.note(handshake) {
            return false;
        }
        // It may have lost its end, as behind a RST.
        conversation.presence.hear_reset(turn.now);
        self.write_anew(&flow, &mut conversation);
        true
    }

    /// What a flow that was read from an image has beside, as its handshake tells.
    pub(super) fn note_answer(&self, ends: Ends, conversation: &mut Conversation, now: Instant) {
        let key = FlowKey::of(ends.originator, ends.responder);
        let seconds = u32::try_from(now.seconds()).unwrap_or(u32::MAX);
        let is_rival = |known: &Handshake| known.is_answered && known.responder() == ends.responder;
        if let Some(handshake) = self.handshakes.find(&key, seconds, is_rival) {
            conversation.aside.get_or_insert_default().answers.note(&handshake);
        }
    }

    /// Whose segment this is.
    pub(super) fn claim(
        &self,
        turn: &Turn<'_>,
        flow: &Flow<Conversation>,
        conversation: &mut Conversation,
        effects: &mut Effects,
    ) -> Claim {
        let Some(aside) = conversation.aside.as_mut() else { return Claim::Flow };
        if aside.answers.alive(turn.seconds()).next().is_none() {
            aside.answers = Answers::default();
            return Claim::Flow;
        }
        let packet = turn.packet;
        let direction = flow.direction(turn.key.is_low(turn.source));
        // A capture may lack the third packet: what follows that is as good, if it is not the
        // flow's own.
        let is_strange =
            !conversation.streams[direction].is_acceptable(packet.seq, packet.payload().len());
        let has_gaps = self.skips_gaps && is_strange;
        if let Some(handshake) = turn.handshake(&self.handshakes, has_gaps)
            && handshake.is_answered
            && turn.speaks_of(&handshake, has_gaps)
            && turn.has_way_of(&handshake, &self.keyed)
        {
            return if packet.flags.rst { Claim::Handshake } else { Claim::Successor };
        }
        if packet.flags.rst || !conversation.has_right_side(turn, direction, &self.keyed) {
            return Claim::Flow;
        }
        let Some(Aside { answers, .. }) = conversation.aside.as_deref() else { return Claim::Flow };
        let is_void = match direction {
            Direction::Original => answers.fit(turn, &conversation.streams[Direction::Reply]),
            Direction::Reply => answers.ask_back(turn),
        };
        if !is_void {
            return Claim::Flow;
        }
        let is_bare = packet.payload().is_empty() && !packet.flags.fin;
        Claim::Neither(if direction == Direction::Reply && is_bare {
            turn.pass_bare(effects)
        } else {
            Verdict::Drop(Violation::Handshake.into())
        })
    }
}
