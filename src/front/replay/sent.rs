//! Which of one end's bytes a capture holds: everything up to a number, and runs behind gaps.
//!
//! Numbers are sequence numbers; distances are counted from the first one that did not pass yet.

use std::ops::Range;

use smoltcp::wire::TcpSeqNumber;

use crate::wire::WINDOW_MAX;

/// Runs behind gaps that are remembered, and gaps: more than reordering makes of one window. Beyond
/// them the last gap counts as closed, and the first one as what the capture lacks for good.
const RUNS_MAX: usize = 64;
/// No number lies further ahead.
const AHEAD_MAX: i64 = WINDOW_MAX as i64;

/// What one end was seen to send.
#[derive(Debug, Default)]
pub(super) struct Sent {
    /// The first number that did not pass yet.
    next: Option<TcpSeqNumber>,
    /// What passed behind it, as distances from it; in order, apart from each other.
    runs: Vec<Range<i64>>,
    /// The highest number that a bare ACK named beyond all of it.
    ahead: Option<TcpSeqNumber>,
    /// Bytes that the other end has, and that did not pass before those behind them.
    lacking: u64,
    /// The gaps that those are, as distances.
    gaps: Vec<Range<i64>>,
    /// Bytes that passed behind those that acknowledge them.
    overtaken: u64,
}

impl Sent {
    /// A segment from one number up to another passes.
    pub(super) fn add(&mut self, from: TcpSeqNumber, to: TcpSeqNumber) {
        let next = *self.next.get_or_insert(from);
        let (start, end) = (distance(next, from), distance(next, to));
        if start < 0 && !self.gaps.is_empty() {
            self.fill(&(start..end));
        }
        if end <= 0 || start > AHEAD_MAX {
            return;
        }
        if start <= 0 && self.runs.is_empty() {
            return self.advance(end);
        }
        self.runs.push(start.max(0)..end);
        self.runs.sort_by_key(|run| run.start);
        let mut runs: Vec<Range<i64>> = Vec::with_capacity(self.runs.len());
        for run in self.runs.drain(..) {
            let is_full = runs.len() >= RUNS_MAX;
            match runs.last_mut() {
                Some(last) if run.start <= last.end || is_full => last.end = last.end.max(run.end),
                Some(_) | None => runs.push(run),
            }
        }
        self.runs = runs;
        self.advance(0);
    }

    /// The other end acknowledges everything below a number. Returns what it may say instead, if
    /// that is beyond all that passed and a bare ACK can have been recorded ahead of the data.
    pub(super) fn acknowledge(
        &mut self,
        number: TcpSeqNumber,
        is_bare: bool,
    ) -> Option<TcpSeqNumber> {
        let next = *self.next.get_or_insert(number);
        let end = self.runs.last().map_or(0, |run| run.end);
        let wanted = distance(next, number);
        if wanted <= 0 || wanted > AHEAD_MAX {
            return None;
        }
        let is_ahead = is_bare && wanted > end;
        if is_ahead {
            let is_further = self.ahead.is_none_or(|ahead| distance(ahead, number) > 0);
            self.ahead = if is_further { Some(number) } else { self.ahead };
        }
        let to = if is_ahead { end } else { wanted };
        let mut held = 0;
        for run in self.runs.iter().chain([&(to..to)]) {
            let gap = held..run.start.min(to);
            if !gap.is_empty() {
                self.lacking += (gap.end - gap.start).unsigned_abs();
                self.gaps.push(gap);
            }
            held = held.max(run.end.min(to));
        }
        self.gaps.drain(..self.gaps.len().saturating_sub(RUNS_MAX));
        self.advance(to);
        is_ahead.then_some(()).and(self.next)
    }

    /// Bytes that were recorded behind those that acknowledge them.
    pub(super) const fn overtaken(&self) -> u64 {
        self.overtaken
    }

    /// What seemed to be lacking passes after all.
    fn fill(&mut self, run: &Range<i64>) {
        let mut gaps = Vec::with_capacity(self.gaps.len() + 1);
        for gap in self.gaps.drain(..) {
            let (start, end) = (run.start.max(gap.start), run.end.min(gap.end));
            if start >= end {
                gaps.push(gap);
                continue;
            }
            self.lacking -= (end - start).unsigned_abs();
            self.overtaken += (end - start).unsigned_abs();
            let rest = [gap.start..start, end..gap.end];
            gaps.extend(rest.into_iter().filter(|gap| !gap.is_empty()));
        }
        self.gaps = gaps;
    }

    /// Bytes that the capture lacks.
    pub(super) fn lacking(&self) -> u64 {
        let end = self.runs.last().map_or(0, |run| run.end);
        let ahead = self.next.zip(self.ahead).map_or(0, |(next, ahead)| distance(next, ahead));
        // A single number is most likely that of a FIN, and no byte.
        let tail = if ahead > end + 1 { ahead - end } else { 0 };
        self.lacking + tail.unsigned_abs()
    }

    /// Moves on by a distance, and over the run that is reached by it.
    fn advance(&mut self, by: i64) {
        let reached = self.runs.iter().filter(|run| run.start <= by).map(|run| run.end).max();
        let by = reached.unwrap_or(by).max(by);
        self.runs.retain(|run| run.end > by);
        for run in self.runs.iter_mut().chain(&mut self.gaps) {
            *run = run.start - by..run.end - by;
        }
        let steps = usize::try_from(by).unwrap_or(0);
        self.next = self.next.map(|next| next + steps);
    }
}

/// How far a number lies behind another; negative if it lies before it.
fn distance(from: TcpSeqNumber, to: TcpSeqNumber) -> i64 {
    to.0.wrapping_sub(from.0).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    const FIRST: u32 = u32::MAX - 3;

    fn number(offset: u32) -> TcpSeqNumber {
        TcpSeqNumber(FIRST.wrapping_add(offset).cast_signed())
    }

    fn sent(runs: &[Range<u32>]) -> Sent {
        let mut sent = Sent::default();
        for run in runs {
            sent.add(number(run.start), number(run.end));
        }
        sent
    }

    #[test]
    fn what_was_sent_in_any_order_is_not_lacking() {
        let mut sent = sent(&[0..4, 10..14, 4..6, 8..10, 6..8, 2..9]);
        assert_eq!(sent.acknowledge(number(14), false), None);
        assert_eq!(sent.lacking(), 0);
    }

    #[test]
    fn a_gap_is_lacking_once_its_receiver_has_it() {
        let mut sent = sent(&[0..4, 10..14, 20..24]);
        assert_eq!(sent.lacking(), 0);
        assert_eq!(sent.acknowledge(number(12), true), None);
        assert_eq!(sent.lacking(), 6);
        assert_eq!(sent.acknowledge(number(30), false), None);
        assert_eq!(sent.lacking(), 6 + 6 + 6);
    }

    #[test]
    fn what_passes_behind_its_ack_is_not_lacking() {
        let mut sent = sent(&[0..4, 10..14]);
        assert_eq!(sent.acknowledge(number(20), false), None);
        assert_eq!((sent.lacking(), sent.overtaken()), (12, 0));
        // Twice, together with what passed before, and in parts.
        for (run, lacking) in
            [(6..8, 10), (6..8, 10), (0..5, 9), (0..12, 6), (18..24, 4), (14..16, 2), (10..30, 0)]
        {
            sent.add(number(run.start), number(run.end));
            assert_eq!((sent.lacking(), sent.overtaken()), (lacking, 12 - lacking));
        }
        assert_eq!(sent.acknowledge(number(30), false), None);
        assert_eq!((sent.lacking(), sent.gaps.len()), (0, 0));
    }

    #[test]
    fn a_bare_ack_ahead_of_everything_waits_for_the_data() {
        let mut early = sent(&[0..2, 2..4]);
        assert_eq!(early.acknowledge(number(9), true), Some(number(4)));
        assert_eq!(early.lacking(), 5);
        early.add(number(4), number(9));
        assert_eq!(early.lacking(), 0);
        let mut gap = sent(&[0..4, 6..8]);
        assert_eq!(gap.acknowledge(number(9), true), Some(number(8)));
        assert_eq!(gap.lacking(), 2, "the rest may be a FIN");
    }

    #[test]
    fn runs_and_distances_are_bounded() {
        let mut sent = sent(&[0..1, 1..2]);
        for run in 1..1_000 {
            sent.add(number(run * 4), number(run * 4 + 1));
            assert!(sent.runs.len() <= RUNS_MAX);
        }
        assert_eq!(sent.acknowledge(number(1 << 31), false), None);
        assert_eq!(sent.lacking(), 0);
        for gap in 1_000..2_000 {
            assert_eq!(sent.acknowledge(number(gap * 4 + 1), false), None);
            sent.add(number(gap * 4 + 1), number(gap * 4 + 2));
            assert!(sent.gaps.len() <= RUNS_MAX);
        }
    }
}
