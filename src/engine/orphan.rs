//! Packets of no flow: the third packet of a handshake, or a flow whose beginning was not seen
//! (we were restarted without its state, or its SYN took another way).

use super::{Effects, Engine, Reason, Turn, UnknownFlow, Verdict};
use crate::wire::Reset;

impl Engine {
    /// A packet without SYN between ends that have no flow.
    pub(super) fn handle_orphan(&self, turn: &Turn<'_>, effects: &mut Effects) -> Verdict {
        if let Some(handshake) = self.handshakes.find(&turn.key, turn.seconds()) {
            return self.handle_third(turn, &handshake, effects);
        }
        match turn.policies.unknown_flow {
            UnknownFlow::Pass => return Verdict::Accept,
            UnknownFlow::Drop => {}
            // A RST is never answered, or two guards could talk for ever.
            UnknownFlow::Reset if turn.packet.flags.rst => {}
            UnknownFlow::Reset => {
                // What a segment in order says of both ends' numbers is exact; of one sent again
                // because its ACK was lost, the end is what its receiver expects next.
                let (seq, ack) = (turn.packet.seq, turn.packet.ack);
                let length = turn.packet.payload().len() + usize::from(turn.packet.flags.fin);
                let end = seq.after(u32::try_from(length).unwrap_or(0));
                let (source, destination) = (turn.source.into(), turn.destination.into());
                effects.inject(&Reset {
                    source: destination,
                    destination: source,
                    seq: ack,
                    ack: seq,
                });
                for seq in std::iter::once(seq).chain((end != seq).then_some(end)) {
                    effects.inject(&Reset { source, destination, seq, ack });
                }
            }
        }
        Verdict::Drop(Reason::UnknownFlow)
    }
}
