//! Bytes of a flow that have passed around the filter, as when its rules were gone for a moment.
//!
//! Their receiver has acknowledged them, so their sender never says them again; and an ACK of what
//! was never let through is refused. So neither end gets any further, and each waits for minutes. A
//! RST tells both in seconds: for connections older than the filter it is the same.

use super::passage::Passage;
use super::{Turn, Verdict};
use crate::tcp::Violation;

/// ACKs of bytes that never came by, since any last came: how many in two bits, and above them the
/// second of the first, which wraps after four hours. An idle flow pays for each byte.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Bypass(u16);

impl Bypass {
    /// One more, in this second: whether that is proof. No ACK that was merely delayed comes so
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

    /// Notes an ACK of bytes that were never let through, unless it is from far off: whether it
    /// proves that they have passed.
    fn note_unseen_ack(&mut self) -> bool {
        let Turn { packet, now, .. } = self.turn;
        let stream = &self.conversation.streams[self.direction.other()];
        let beyond = stream.offset(packet.ack).map(|ack| ack.since(stream.judged()));
        beyond.is_some_and(|beyond| beyond < BYTES_MAX)
            && self.conversation.mode().may_send_resets()
            && self.is_heeded()
            && self.conversation.bypass.hear(now.seconds())
    }
}

/// So many ACKs over so many seconds at least, and at most.
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
