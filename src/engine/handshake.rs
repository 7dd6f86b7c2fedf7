//! Handshakes: SYN, SYN/ACK, and the third packet that opens a flow.
//!
//! The stream bases come from the pair of numbers the server itself answered with, so neither a
//! second SYN nor a forged one can move them. An old flow between the same ends lives until the
//! server accepts the new one; so does whatever mark the kernel remembers of them. SYNs carry no
//! data on: what they carried comes again in order.

use std::sync::Arc;

use super::conversation::Scene;
use super::policy::{Policy, Terms};
use super::{Conversation, Effects, Engine, Handling, Reason, Turn, UnknownFlow, Verdict, What};
use crate::flow::{Direction, Flow, Handshake, HandshakeTable, Hop, Newcomer, PerDirection, Way};
use crate::guard::Mode;
use crate::tcp::Violation;
use crate::time::Instant;
use crate::wire::{Packet, SCALE_MAX, Seq, WINDOW_MAX, maximum_segment_size, window_scale};

impl Engine {
    /// A packet with SYN.
    pub(super) fn handle_syn(&self, turn: &Turn<'_>, effects: &mut Effects) -> Verdict {
        if turn.packet.flags.ack {
            return self.handle_answer(turn, effects);
        }
        if !self.is_server(turn) {
            return Verdict::Drop(Violation::ServerSyn.into());
        }
        let fresh = Handshake {
            key: *turn.key.plain(),
            isn: turn.packet.seq,
            answer: turn.packet.seq,
            seconds: turn.seconds(),
            way: Way::of_syn(turn.hop(), turn.arrival.path.egress, &self.keyed),
            segment_size: maximum_segment_size(turn.packet.options()).unwrap_or(0),
            windows: PerDirection::new(turn.packet.window, 0),
            offered_scales: PerDirection::new(window_scale(turn.packet.options()), None),
            is_answered: false,
            is_originator_low: turn.key.plain().is_low(turn.source),
        };
        // A SYN come again takes nothing back that the server has said to it.
        let repeated = self.handshakes.find(&turn.key, turn.seconds(), |known| {
            known.isn == fresh.isn && known.is_originator_low == fresh.is_originator_low
        });
        let record = repeated.map_or(fresh, |known| Handshake { seconds: fresh.seconds, ..known });
        let evicted = self.handshakes.put(&turn.key, &record);
        effects.counted.handshakes_evicted += u64::from(evicted);
        turn.pass_bare(effects)
    }

    /// Whether a SYN asks a server of mail, or one of a flow that was begun when its port was.
    fn is_server(&self, turn: &Turn<'_>) -> bool {
        let is_responder = || {
            let flow = self.flows.find(&turn.key);
            flow.is_some_and(|flow| flow.ends().responder == turn.destination)
        };
        turn.policies().is_mail_port(turn.destination.port) || is_responder()
    }

    /// A SYN/ACK.
    fn handle_answer(&self, turn: &Turn<'_>, effects: &mut Effects) -> Verdict {
        if let Some(flow) = self.flows.find(&turn.key)
            && turn.source == flow.ends().responder
            && let Some(conversation) = flow.lock_if_present()
            && conversation.has_right_side(turn, Direction::Reply, &self.keyed)
        {
            if conversation.has_answer(turn) {
                return turn.pass_bare(effects);
            }
            // Whatever is known here of its SYN: the server would read the old flow's text as the
            // new one's.
            if conversation.is_within_reach(turn.packet.ack, turn.packet.seq.after(1)) {
                drop(conversation);
                self.retire(turn, effects);
            }
        }
        let answers = |handshake: &Handshake| {
            turn.source == handshake.responder() && turn.packet.ack == handshake.isn.after(1)
        };
        let known = self.handshakes.find(&turn.key, turn.seconds(), answers);
        let Some(handshake) = known.or_else(|| self.recall(turn)) else {
            return Verdict::Drop(Violation::Handshake.into());
        };
        let way = handshake.way;
        if !way.has(Direction::Reply, turn.hop(), &self.keyed)
            || !way.is_answered_by(turn.arrival.path.egress)
        {
            return Verdict::Drop(Reason::WrongInterface);
        }
        let offered = maximum_segment_size(turn.packet.options()).unwrap_or(0);
        let (mut windows, mut offered_scales) = (handshake.windows, handshake.offered_scales);
        windows[Direction::Reply] = turn.packet.window;
        offered_scales[Direction::Reply] = window_scale(turn.packet.options());
        let answered = Handshake {
            answer: turn.packet.seq,
            seconds: turn.seconds(),
            way: way.answered(turn.hop(), &self.keyed),
            windows,
            offered_scales,
            segment_size: handshake.segment_size.min(offered),
            is_answered: true,
            ..handshake
        };
        self.handshakes.put(&turn.key, &answered);
        // The server has accepted a new connection between these ends: the old one is history, and
        // so is the trust that somebody earned in it.
        effects.handling = Handling::TakenBack;
        self.retire(turn, effects);
        turn.pass_bare(effects)
    }

    /// The handshake of a SYN/ACK whose record may have had to make room. Its client may have the
    /// connection open already: it waits for the greeting and never says its SYN again, so the
    /// server's repetition is all that can bring it back.
    ///
    /// Only interfaces and ports can vouch for it. The third packet has to leave by the interface
    /// that this came in by, so nobody elsewhere has spoken for the server. And of two mail ports
    /// either may be the client's: a server takes a client's SYN/ACK for the third packet.
    fn recall(&self, turn: &Turn<'_>) -> Option<Handshake> {
        let path = turn.arrival.path;
        let is_lost = path.ingress != path.egress
            && turn.policies().is_mail_port(turn.source.port)
            && !turn.policies().is_mail_port(turn.destination.port)
            && (self.handshakes.may_have_evicted(&turn.key, turn.seconds())
                || self.handshakes.may_be_older(turn.seconds()))
            && self.flows.find(&turn.key).is_none();
        is_lost.then(|| Handshake {
            key: *turn.key.plain(),
            isn: turn.packet.ack.before(1),
            answer: turn.packet.seq,
            seconds: turn.seconds(),
            way: Way::Through { ingress: path.egress, egress: path.ingress },
            // What only the SYN said may have been anything.
            segment_size: u16::MAX,
            windows: PerDirection::new(u16::MAX, 0),
            offered_scales: PerDirection::new(Some(SCALE_MAX), None),
            is_answered: false,
            is_originator_low: turn.key.plain().is_low(turn.destination),
        })
    }

    /// Ends the old flow between the packet's ends, if there is one.
    pub(super) fn retire(&self, turn: &Turn<'_>, effects: &mut Effects) {
        if let Some(old) = self.flows.remove(&turn.key) {
            self.let_go(&old, turn.now, effects);
        }
    }

    /// A packet without SYN between ends that have a handshake under way.
    pub(super) fn handle_third(
        &self,
        turn: &Turn<'_>,
        handshake: &Handshake,
        mode: Mode,
        effects: &mut Effects,
    ) -> (Verdict, Mode) {
        if turn.packet.flags.rst {
            return (self.handle_refusal(turn, handshake, effects), mode);
        }
        let has_side = |direction| handshake.way.has(direction, turn.hop(), &self.keyed);
        if !turn.completes(handshake, self.skips_gaps) {
            // A server that knows an earlier SYN of these ends asks back with an ACK, and its
            // client must answer that with a RST (RFC 9293 3.10.7.3) or wait until it gives up.
            let asks_back = turn.source == handshake.responder()
                && has_side(Direction::Reply)
                && turn.packet.payload().is_empty()
                && !turn.packet.flags.fin;
            if asks_back {
                return (turn.pass_bare(effects), mode);
            }
            // While no server has answered the SYN, which may be anybody's, it may belong to a flow
            // that was not seen to begin.
            if !handshake.is_answered && turn.policies().unknown_flow == UnknownFlow::Pass {
                return (Verdict::Accept, mode);
            }
            // A server that keeps no state may have answered two SYNs: whose answer is void would
            // wait for a greeting that nobody sends. Where one number is right the other is late.
            let is_void = turn.source == handshake.originator()
                && handshake.is_answered
                && turn.packet.seq != handshake.isn.after(1)
                && turn.packet.ack != handshake.answer.after(1)
                && has_side(Direction::Original);
            if is_void && self.spend_orphan_reset(turn, mode, effects) {
                turn.reset_source(effects);
            }
            return (Verdict::Drop(Violation::Handshake.into()), mode);
        }
        if !has_side(Direction::Original) || !handshake.way.leaves_by(turn.arrival.path.egress) {
            return (Verdict::Drop(Reason::WrongInterface), mode);
        }
        match turn.policies().choose(handshake.originator(), handshake.responder()) {
            // Its SYN came before it was to be let alone.
            Policy::HandsOff => {
                effects.handling = Handling::HandedOver;
                (Verdict::Accept, mode)
            }
            Policy::Judge(terms) => self.open(turn, handshake, terms, effects),
        }
    }

    /// The third packet of a handshake opens a flow, and is its first segment.
    fn open(
        &self,
        turn: &Turn<'_>,
        handshake: &Handshake,
        terms: &Arc<Terms>,
        effects: &mut Effects,
    ) -> (Verdict, Mode) {
        let seen = turn.now.seconds();
        let due = seen.saturating_add(self.limits.idle_seconds);
        let (key, is_originator_low) = (turn.key, handshake.is_originator_low);
        let newcomer = Newcomer { key, is_originator_low, since: seen, seen, due };
        let inserted =
            self.flows.insert(newcomer, |_| Conversation::new(terms, handshake, &self.memory));
        self.displace(&inserted.displaced, turn.now, effects);
        self.handshakes.remove_all(&turn.key);
        effects.counted.flows += 1;
        let scene = Scene::of(&inserted.flow, turn.now);
        inserted.flow.lock().tell(&scene, What::Opened, effects);
        self.handle_segment(turn, &inserted.flow, effects)
    }

    /// Ends flows that made room for others.
    pub(super) fn displace(
        &self,
        displaced: &[Arc<Flow<Conversation>>],
        now: Instant,
        effects: &mut Effects,
    ) {
        for displaced in displaced {
            effects.counted.flows_evicted += 1;
            let (scene, mut conversation) = (Scene::of(displaced, now), displaced.lock());
            // Both ends of a flow that had something to say are told.
            if !displaced.is_over() {
                conversation.reset(&scene, Reason::FlowsFull, effects);
            }
            conversation.close(&scene, effects);
        }
    }

    /// Whether this RST is the server's word on a SYN that is remembered.
    pub(super) fn ends_handshake(&self, turn: &Turn<'_>) -> bool {
        let is_refused = |known: &Handshake| {
            turn.source == known.responder() && !known.is_answered && turn.resets(known)
        };
        self.handshakes.find(&turn.key, turn.seconds(), is_refused).is_some()
    }

    /// A RST before the connection stands: the server refuses, or the client gives up.
    fn handle_refusal(
        &self,
        turn: &Turn<'_>,
        handshake: &Handshake,
        effects: &mut Effects,
    ) -> Verdict {
        let is_refusal = turn.source == handshake.responder();
        let direction = if is_refusal { Direction::Reply } else { Direction::Original };
        if !handshake.way.has(direction, turn.hop(), &self.keyed) {
            return Verdict::Drop(Reason::WrongInterface);
        }
        if turn.resets(handshake) {
            self.handshakes.remove(&turn.key, handshake.isn);
            if is_refusal {
                self.abort_old(turn, effects);
            }
        } else if is_refusal {
            return Verdict::Drop(Violation::StrayReset.into());
        }
        // A client's RST at another number ends what the server remembers of an earlier SYN, if
        // the server finds it exact; this handshake goes on.
        turn.pass_bare(effects)
    }

    /// A server that still knew a flow between these ends would not refuse a SYN, but ask back; or
    /// the RST was never for the SYN. So the flow's client speaks to nobody, perhaps.
    fn abort_old(&self, turn: &Turn<'_>, effects: &mut Effects) {
        let Some(flow) = self.flows.find(&turn.key) else { return };
        let Some(mut conversation) = flow.lock_if_present() else { return };
        if turn.source == flow.ends().responder
            && conversation.has_right_side(turn, Direction::Reply, &self.keyed)
        {
            let scene = Scene::of(&flow, turn.now);
            conversation.hear_reset(&scene, Direction::Reply, turn.packet.seq, effects);
            self.account(&flow, &conversation);
            self.write_anew(&flow, &mut conversation);
        }
    }
}

/// Whether a number is this one, or lies no further behind it than a window reaches.
fn lies_behind(number: Seq, other: Seq) -> bool {
    (0..=i64::from(WINDOW_MAX)).contains(&number.distance_from(other))
}

impl Turn<'_> {
    /// Which of the handshakes between its ends a packet without SYN speaks of.
    pub(super) fn handshake(&self, table: &HandshakeTable, has_gaps: bool) -> Option<Handshake> {
        let is_meant = |known: &Handshake| {
            if self.packet.flags.rst { self.resets(known) } else { self.completes(known, has_gaps) }
        };
        let find = |is_wanted: &dyn Fn(&Handshake) -> bool| {
            table.find(&self.key, self.seconds(), is_wanted)
        };
        find(&is_meant).or_else(|| find(&|_| true))
    }

    /// Whether this is the third packet. A server that keeps no state may take the client's first
    /// number from it, so it must be the SYN's.
    fn completes(&self, handshake: &Handshake, has_gaps: bool) -> bool {
        let is_third = self.source == handshake.originator()
            && self.packet.ack == handshake.answer.after(1)
            && self.packet.seq == handshake.isn.after(1);
        handshake.is_answered && (is_third || (has_gaps && self.follows(handshake)))
    }

    /// Whether this comes of a connection whose third packet its server has, though a capture may
    /// lack it: the client acknowledges the server's answer, or the server has begun to speak.
    fn follows(&self, handshake: &Handshake) -> bool {
        let Packet { flags, seq, ack, .. } = *self.packet;
        let (client, server) = (handshake.isn.after(1), handshake.answer.after(1));
        if self.source == handshake.originator() {
            ack == server || (lies_behind(seq, client) && lies_behind(ack, server))
        } else {
            let speaks = flags.fin || !self.packet.payload().is_empty();
            speaks && lies_behind(seq, server) && lies_behind(ack, client)
        }
    }

    /// Whether a RST bears the number that ends it.
    fn resets(&self, handshake: &Handshake) -> bool {
        if self.source == handshake.responder() {
            self.packet.flags.ack && self.packet.ack == handshake.isn.after(1)
        } else {
            self.packet.seq == handshake.isn.after(1)
        }
    }

    pub(super) fn seconds(&self) -> u32 {
        self.now.seconds_32()
    }

    /// Where the packet came from, as far as the machine can say.
    pub(super) const fn hop(&self) -> Hop {
        Hop { interface: self.arrival.path.ingress, link: self.arrival.path.link }
    }
}
