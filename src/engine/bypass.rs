//! Flows that get no further: bytes of theirs have passed around the filter, as when its rules were
//! gone for a moment, or an end of theirs is reached another way now.
//!
//! An ACK of what was never let through is refused, and no sender says again what was acknowledged;
//! and what comes by another interface than an end's is not that end's. So each end waits for
//! minutes. A RST tells both in seconds: for connections older than the filter it is the same.

use super::conversation::Phase;
use super::passage::Passage;
use super::{Reason, Verdict};
use crate::tcp::{Place, Violation};

/// Segments that show it, since any fresh bytes came: how many in two bits, and above them the
/// second of the first, which wraps after four hours. An idle flow pays for each byte.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Bypass(u16);

impl Bypass {
    /// One more, in this second: whether that is proof. No segment that was merely delayed comes so
    /// often, and who guesses numbers has to guess as often.
    fn hear(&mut self, second: u64) -> bool {
        let [low, high, ..] = second.to_le_bytes();
        let now = u16::from_le_bytes([low, high]) << 2;
        let elapsed = now.wrapping_sub(self.0 & !COUNT) >> 2;
        if self.0 & COUNT == 0 || elapsed > SECONDS_MAX {
            self.0 = now | 1;
            return false;
        }
        let count = (self.0 & COUNT) + 1;
        self.0 = (self.0 & !COUNT) | count.min(COUNT);
        count >= COUNT && elapsed >= SECONDS
    }
}

impl Passage<'_, '_> {
    /// What becomes of a segment whose ACK is not taken.
    pub(super) fn refuse_ack(&mut self, violation: Violation) -> Verdict {
        if violation == Violation::AckOfUnsent && self.note_unseen_ack() {
            // The numbers that we know are from before; what an end states is exact.
            self.turn.reset_both_ends(self.effects);
            return self.reset(violation.into());
        }
        Verdict::Drop(violation.into())
    }

    /// What becomes of a segment that came by another interface than its sender's.
    pub(super) fn refuse_way(&mut self) -> Verdict {
        if !self.note_other_way() {
            return Verdict::Drop(Reason::WrongInterface);
        }
        match self.conversation.phase {
            Phase::Reset | Phase::Aborted => self.answer_dead(),
            Phase::Open | Phase::Closing => self.reset(Reason::WrongInterface),
        }
    }

    /// Notes a payload by another way that has just the numbers which its sender would give it:
    /// whether it proves that no more of that end's comes by the old way.
    fn note_other_way(&mut self) -> bool {
        let packet = self.turn.packet;
        let payload = packet.payload();
        let said = &self.conversation.streams[self.direction];
        let heard = &self.conversation.streams[self.direction.other()];
        let is_next = matches!(said.place(packet.seq, payload.len()), Place::At { .. });
        let is_covered = heard.offset(packet.ack).is_some_and(|ack| ack >= heard.acknowledged());
        let is_exact = is_next && is_covered && !heard.is_unsent(packet.ack);
        !payload.is_empty() && is_exact && self.note_stuck()
    }

    /// Notes an ACK of bytes that were never let through, unless it is from far off: whether it
    /// proves that they have passed.
    fn note_unseen_ack(&mut self) -> bool {
        let stream = &self.conversation.streams[self.direction.other()];
        let beyond = stream.offset(self.turn.packet.ack).map(|ack| ack.since(stream.judged()));
        let is_near = beyond.is_some_and(|beyond| beyond < BYTES_MAX);
        is_near && self.is_heeded() && self.note_stuck()
    }

    /// One segment more shows that the flow gets no further: whether that is proof, on which
    /// something may be done.
    fn note_stuck(&mut self) -> bool {
        self.conversation.mode().may_send_resets()
            && self.conversation.bypass.hear(self.turn.now.seconds())
    }
}

/// So many segments over so many seconds at least, and at most.
const COUNT: u16 = 3;
const SECONDS: u16 = 3;
const SECONDS_MAX: u16 = 32;

/// Further off are ACKs of who guesses. Whoever was let past the filter for more waits as before.
const BYTES_MAX: u64 = 4 << 20;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_over_three_seconds_are_proof() {
        for (seconds, is_proof) in [
            (&[7, 8, 9][..], false),
            (&[7, 8, 10], true),
            (&[7, 10], false),
            (&[7, 7, 7, 7, 9, 10], true),
            (&[62, 63, 65], true),
            (&[254, 255, 256, 257], true),
            (&[7, 8, 40], false),
            (&[7, 8, 75], false),
            (&[16_382, 16_383, 16_385], true),
            (&[7, 8, 40, 41, 43], true),
        ] {
            let mut bypass = Bypass::default();
            let mut found = seconds.iter().map(|&second| bypass.hear(second));
            let before = found.by_ref().take(seconds.len() - 1).any(|is_proof| is_proof);
            assert_eq!((before, found.next()), (false, Some(is_proof)), "{seconds:?}");
        }
    }
}
