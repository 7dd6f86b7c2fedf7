//! The numbers of a queue's packets: which wait to be let through together, and whether one was
//! left out.
//!
//! The kernel numbers the packets of a queue from 1 and takes one answer for all up to a number.
//! Such an answer is safe only while every one of them was judged: a number left out may be that of
//! a packet which the kernel holds and could not show us, and which would pass unread.

/// What is known of one queue's packets.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    /// The number last received; 0 before the first.
    last: u32,
    accepted: Option<Accepted>,
    /// Whether the kernel may hold a packet that we shall never be asked about again.
    is_suspect: bool,
}

/// Packets to be let through that the kernel was not told of yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Accepted {
    /// The number of the last of them; no other packet before it waits for an answer.
    pub(super) through: u32,
    /// How many they are.
    pub(super) count: u32,
}

impl Ledger {
    /// A packet was received. If any before it may be waiting unseen, the number up to which
    /// packets must be dropped.
    pub(super) fn receive(&mut self, packet: u32) -> Option<u32> {
        let has_gap = packet != self.last.wrapping_add(1);
        self.last = packet;
        (std::mem::take(&mut self.is_suspect) || has_gap).then(|| packet.wrapping_sub(1))
    }

    /// The packet last received may pass, and so may the kernel be told with others. False: it must
    /// be told of this one alone.
    pub(super) fn accept(&mut self) -> bool {
        if !self.is_suspect {
            let count = self.accepted.map_or(0, |accepted| accepted.count) + 1;
            self.accepted = Some(Accepted { through: self.last, count });
        }
        !self.is_suspect
    }

    /// Whether so many wait that the kernel should be told now.
    pub(super) fn is_full(&self) -> bool {
        self.accepted.is_some_and(|accepted| accepted.count >= TOGETHER_MAX)
    }

    /// The packets the kernel is to be told of now.
    pub(super) const fn settle(&mut self) -> Option<Accepted> {
        self.accepted.take()
    }

    /// The number up to which to try once more to drop what is stuck, if anything is.
    pub(super) fn retry(&mut self) -> Option<u32> {
        std::mem::take(&mut self.is_suspect).then_some(self.last)
    }

    /// An answer did not reach the kernel.
    pub(super) const fn suspect(&mut self) {
        self.is_suspect = true;
    }
}

/// Packets let through by one answer: enough to save most of the system calls, and few enough to
/// hold the first of them back for some tens of microseconds only, or, among packets of 64 KiB, a
/// quarter of a millisecond.
const TOGETHER_MAX: u32 = 16;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packets_in_a_row_pass_together() {
        let mut ledger = Ledger::default();
        for packet in 1..=16 {
            assert!(!ledger.is_full());
            assert_eq!((ledger.receive(packet), ledger.accept()), (None, true));
        }
        assert!(ledger.is_full());
        assert_eq!(ledger.settle(), Some(Accepted { through: 16, count: 16 }));
        assert_eq!(ledger.settle(), None);
    }

    #[test]
    fn what_is_still_being_judged_does_not_pass_with_those_before_it() {
        let mut ledger = Ledger::default();
        assert_eq!((ledger.receive(1), ledger.accept()), (None, true));
        assert_eq!(ledger.receive(2), None);
        assert_eq!(ledger.settle(), Some(Accepted { through: 1, count: 1 }));
    }

    #[test]
    fn a_number_left_out_is_dropped_and_said_once() {
        let mut ledger = Ledger::default();
        assert_eq!(ledger.receive(3), Some(2));
        assert_eq!(ledger.receive(4), None);
        assert_eq!(ledger.receive(6), Some(5));
        ledger.last = u32::MAX;
        assert_eq!(ledger.receive(0), None);
        assert_eq!(ledger.receive(2), Some(1));
    }

    #[test]
    fn with_a_packet_stuck_each_is_answered_alone_until_that_one_is_dropped() {
        let mut ledger = Ledger::default();
        assert_eq!(ledger.receive(1), None);
        ledger.suspect();
        assert!(!ledger.accept());
        assert_eq!(ledger.settle(), None);
        assert_eq!(ledger.receive(2), Some(1));
        assert!(ledger.accept());
        ledger.settle();
        ledger.suspect();
        assert_eq!((ledger.retry(), ledger.retry()), (Some(2), None));
        assert_eq!(ledger.receive(3), None);
    }
}
