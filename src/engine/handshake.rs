//! Handshakes: SYN, SYN/ACK, and the third packet that opens a flow.
//!
//! The stream bases come from the pair of numbers the server itself answered with, so neither a
//! second SYN nor a forged one can move them. An old flow between the same ends lives until the
//! server accepts the new one. SYNs carry no data on: what they carried comes again in order.

use super::{Conversation, Effects, Engine, Handling, Path, Reason, Turn, Verdict, go_on};
use crate::flow::{Direction, Handshake};
use crate::tcp::Violation;
use crate::wire::{Editor, maximum_segment_size};

impl Engine {
    /// A packet with SYN.
    pub(super) fn handle_syn(&self, turn: &Turn<'_>, effects: &mut Effects) -> Verdict {
        if turn.packet.flags.ack {
            return self.handle_answer(turn, effects);
        }
        if !turn.policies.ports.contains(&turn.destination.port) {
            return Verdict::Drop(Violation::ServerSyn.into());
        }
        if self.flows.is_full() && self.flows.find(&turn.key).is_none() {
            return Verdict::Drop(Reason::FlowsFull);
        }
        let fresh = Handshake {
            key: turn.key,
            isn: turn.packet.seq,
            answer: turn.packet.seq,
            seconds: turn.seconds(),
            ingress: turn.arrival.path.ingress,
            egress: turn.arrival.path.egress,
            segment_size: maximum_segment_size(turn.packet.options()).unwrap_or(0),
            is_answered: false,
            low_is_originator: turn.key.is_low(turn.source),
        };
        let known = self.handshakes.find(&turn.key, turn.seconds());
        // A SYN come again takes nothing back that the server has said to it.
        let repeated = known.filter(|known| {
            known.isn == fresh.isn && known.low_is_originator == fresh.low_is_originator
        });
        let record = repeated.map_or(fresh, |known| Handshake { seconds: fresh.seconds, ..known });
        let evicted = self.handshakes.put(record);
        effects.counted.handshakes_evicted += u64::from(evicted);
        turn.pass_bare(effects)
    }

    /// A SYN/ACK.
    fn handle_answer(&self, turn: &Turn<'_>, effects: &mut Effects) -> Verdict {
        if let Some(conversation) = self.flows.find(&turn.key)
            && conversation.lock().has_answer(turn)
        {
            return turn.pass_bare(effects);
        }
        let Some(handshake) = self.handshakes.find(&turn.key, turn.seconds()) else {
            return Verdict::Drop(Violation::Handshake.into());
        };
        let answers =
            turn.source == handshake.responder() && turn.packet.ack == handshake.isn.after(1);
        if !answers {
            return Verdict::Drop(Violation::Handshake.into());
        }
        if !turn.is_on_side(Direction::Reply, Path::of(&handshake)) {
            return Verdict::Drop(Reason::WrongInterface);
        }
        let offered = maximum_segment_size(turn.packet.options()).unwrap_or(0);
        self.handshakes.put(Handshake {
            answer: turn.packet.seq,
            seconds: turn.seconds(),
            segment_size: handshake.segment_size.min(offered),
            is_answered: true,
            ..handshake
        });
        // The server has accepted a new connection between these ends: the old one is history, and
        // so is whatever the kernel remembers of it.
        self.retire(turn, effects);
        effects.handling = Handling::TakenBack;
        turn.pass_bare(effects)
    }

    /// Ends the old flow between the packet's ends, if there is one.
    pub(super) fn retire(&self, turn: &Turn<'_>, effects: &mut Effects) {
        if let Some(old) = self.flows.remove(&turn.key) {
            let mut old = old.lock();
            self.account(old.kept(), 0);
            old.close(turn.now, effects);
        }
    }

    /// A packet without SYN between ends that have a handshake under way.
    pub(super) fn handle_third(
        &self,
        turn: &Turn<'_>,
        handshake: &Handshake,
        effects: &mut Effects,
    ) -> Verdict {
        if turn.packet.flags.rst {
            return self.handle_refusal(turn, handshake, effects);
        }
        let completes = handshake.is_answered
            && turn.source == handshake.originator()
            && turn.packet.ack == handshake.answer.after(1);
        let way = Path::of(handshake);
        if !completes {
            // A server that knows an earlier SYN of these ends asks back with an ACK, and its
            // client must answer that with a RST (RFC 9293 3.10.7.3) or wait until it gives up.
            let asks_back = turn.source == handshake.responder()
                && turn.is_on_side(Direction::Reply, way)
                && turn.packet.payload().is_empty()
                && !turn.packet.flags.fin;
            if asks_back {
                return turn.pass_bare(effects);
            }
            return Verdict::Drop(Violation::Handshake.into());
        }
        if !turn.is_on_side(Direction::Original, way) {
            return Verdict::Drop(Reason::WrongInterface);
        }
        let due = turn.now.seconds() + self.limits.idle_seconds;
        let policy = turn.policies.choose(handshake.originator(), handshake.responder());
        let conversation = self.flows.insert(turn.key, due, |id| {
            Conversation::new(id, policy, handshake, &self.spares, turn.now)
        });
        let Some(conversation) = conversation else {
            return Verdict::Drop(Reason::FlowsFull);
        };
        self.handshakes.remove(&turn.key);
        effects.counted.flows += 1;
        let mut conversation = conversation.lock();
        conversation.open(turn.now, effects);
        self.handle_segment(turn, &mut conversation, effects)
    }

    /// A RST before the connection stands: the server refuses, or the client gives up.
    fn handle_refusal(
        &self,
        turn: &Turn<'_>,
        handshake: &Handshake,
        effects: &mut Effects,
    ) -> Verdict {
        let is_refusal = turn.source == handshake.responder();
        let is_exact = if is_refusal {
            turn.packet.flags.ack && turn.packet.ack == handshake.isn.after(1)
        } else {
            turn.packet.seq == handshake.isn.after(1)
        };
        if is_exact {
            self.handshakes.remove(&turn.key);
        } else if is_refusal {
            return Verdict::Drop(Violation::StrayReset.into());
        }
        // A client's RST at another number ends what the server remembers of an earlier SYN, if
        // the server finds it exact; this handshake goes on.
        turn.pass_bare(effects)
    }
}

impl Path {
    /// The way the SYN of a handshake took.
    pub(super) const fn of(handshake: &Handshake) -> Self {
        Self { ingress: handshake.ingress, egress: handshake.egress, link: 0 }
    }
}

impl Turn<'_> {
    pub(super) fn seconds(&self) -> u32 {
        u32::try_from(self.now.seconds()).unwrap_or(u32::MAX)
    }

    /// Lets the packet go on without data, urgent pointer and unknown options.
    pub(super) fn pass_bare(&self, effects: &mut Effects) -> Verdict {
        let mut editor = Editor::new(self.packet, &mut effects.rewritten);
        editor.restrict_options();
        editor.clear_urgent();
        editor.cut(0);
        go_on(editor)
    }

    /// Whether the packet can have come from the end that sends in this direction, if the SYN went
    /// this way: nothing but a forgery comes by the interface of the other end, unless both are
    /// behind one.
    pub(super) fn is_on_side(&self, direction: Direction, way: Path) -> bool {
        let opposite = match direction {
            Direction::Original => way.egress,
            Direction::Reply => way.ingress,
        };
        way.ingress == way.egress || self.arrival.path.ingress != opposite
    }

    /// The direction of the packet, if `originator` opened the flow.
    pub(super) fn direction(&self, originator: crate::flow::Endpoint) -> Direction {
        if self.source == originator { Direction::Original } else { Direction::Reply }
    }
}
