//! Packets of no flow: the third packet of a handshake, or a flow whose beginning was not seen
//! (we were restarted without its state, it had to make room, or its SYN took another way).

use std::sync::atomic::{AtomicU64, Ordering};

use super::{Effects, Engine, Reason, Turn, UnknownFlow, Verdict};
use crate::guard::Mode;
use crate::wire::Reset;

/// How many RSTs of one second were sent for packets of no flow.
#[derive(Debug, Default)]
pub(super) struct ResetRate {
    /// The second in the upper half, the count in the lower.
    spent: AtomicU64,
}

impl ResetRate {
    /// Whether one more packet may be answered in this second, of which so many may be.
    fn admits(&self, second: u64, packets_max: u32) -> bool {
        let present = second << 32;
        let step = |spent: u64| {
            // A clock that steps back must not silence the filter until it has caught up.
            let spent = if spent >> 32 == present >> 32 { spent } else { present };
            let is_spent = spent & u64::from(u32::MAX) >= u64::from(packets_max);
            (!is_spent).then_some(spent + 1)
        };
        self.spent.fetch_update(Ordering::Relaxed, Ordering::Relaxed, step).is_ok()
    }
}

impl Engine {
    /// A packet without SYN between ends that have no flow.
    pub(super) fn handle_orphan(
        &self,
        turn: &Turn<'_>,
        mode: Mode,
        effects: &mut Effects,
    ) -> (Verdict, Mode) {
        if let Some(handshake) = turn.handshake(&self.handshakes, self.skips_gaps) {
            return self.handle_third(turn, &handshake, mode, effects);
        }
        (self.refuse_orphan(turn, mode, effects), mode)
    }

    fn refuse_orphan(&self, turn: &Turn<'_>, mode: Mode, effects: &mut Effects) -> Verdict {
        if turn.policies().unknown_flow == UnknownFlow::Pass {
            return Verdict::Accept;
        }
        // What may belong to a handshake that had to make room comes again, and its SYN with it.
        let may_be_lost = self.handshakes.may_have_evicted(&turn.key, turn.seconds());
        if !may_be_lost && self.spend_orphan_reset(turn, mode, effects) {
            turn.reset_both_ends(effects);
        }
        Verdict::Drop(Reason::UnknownFlow)
    }

    /// Spends one of the answers that packets of no flow have in this second: whether this one is
    /// answered with RSTs. A RST never is, or two guards could talk for ever.
    pub(super) fn spend_orphan_reset(
        &self,
        turn: &Turn<'_>,
        mode: Mode,
        effects: &mut Effects,
    ) -> bool {
        let is_answered = mode.may_send_resets()
            && turn.policies().unknown_flow == UnknownFlow::Reset
            && !turn.packet.flags.rst;
        let packets_max = self.limits.orphan_resets_per_second;
        let is_admitted = is_answered && self.orphan_resets.admits(turn.now.seconds(), packets_max);
        effects.counted.resets_spared += u64::from(is_answered && !is_admitted);
        is_admitted
    }
}

impl Turn<'_> {
    /// What a segment in order says of both ends' numbers is exact; of one sent again because its
    /// ACK was lost, the end is what its receiver expects next.
    pub(super) fn reset_both_ends(&self, effects: &mut Effects) {
        let (seq, ack) = (self.packet.seq, self.packet.ack);
        let end = self.packet.seq_end().after(self.packet.flags.fin.into());
        let (source, destination) = (self.source.into(), self.destination.into());
        self.reset_source(effects);
        for seq in std::iter::once(seq).chain((end != seq).then_some(end)) {
            effects.inject(&Reset { source, destination, seq, ack });
        }
    }

    /// As a server does that awaits another third packet (RFC 9293 3.10.7.4).
    pub(super) fn reset_source(&self, effects: &mut Effects) {
        let (source, destination) = (self.destination.into(), self.source.into());
        let (seq, ack) = (self.packet.ack, self.packet.seq);
        effects.inject(&Reset { source, destination, seq, ack });
    }
}
