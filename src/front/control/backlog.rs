//! The last lines of the event log, for whoever asks and for those who follow.
//!
//! The log's writer adds what it has written, in one piece; nobody who judges packets comes here.

use std::collections::VecDeque;

use parking_lot::Mutex;

/// The last bytes of the log; whole lines only.
#[derive(Debug, Default)]
pub(in crate::front) struct Backlog(Mutex<Kept>);

#[derive(Debug, Default)]
struct Kept {
    text: VecDeque<u8>,
    /// Place of the first byte that is kept, counted from the beginning of the log.
    start: u64,
}

impl Backlog {
    /// Adds lines.
    pub(in crate::front) fn add(&self, lines: &[u8]) {
        let mut kept = self.0.lock();
        // More than is kept: only its end could ever be asked for.
        kept.text.extend(lines);
        let surplus = kept.text.len().saturating_sub(KEPT_MAX);
        if surplus > 0 {
            let to_line_end = kept.text.iter().skip(surplus).position(|&b| b == b'\n');
            let gone = surplus + to_line_end.map_or(0, |at| at + 1);
            kept.text.drain(..gone);
            kept.start += gone as u64;
        }
    }

    /// All lines from this place on, at most so many bytes; the place behind them, and how many
    /// bytes are gone that were wanted.
    pub(in crate::front) fn from(&self, place: u64, bytes_max: usize) -> (Vec<u8>, u64, u64) {
        let kept = self.0.lock();
        let lost = kept.start.saturating_sub(place);
        let from = place.max(kept.start);
        let skipped = usize::try_from(from - kept.start).unwrap_or(usize::MAX);
        let mut text: Vec<u8> = kept.text.iter().skip(skipped).take(bytes_max).copied().collect();
        let whole = text.iter().rposition(|&b| b == b'\n').map_or(0, |at| at + 1);
        text.truncate(whole);
        let next = from + text.len() as u64;
        (text, next, lost)
    }

    /// The place behind the last line.
    pub(in crate::front) fn end(&self) -> u64 {
        let kept = self.0.lock();
        kept.start + kept.text.len() as u64
    }

    /// The last lines, as many as were asked for and are kept.
    pub(in crate::front) fn last(&self, lines: usize) -> Vec<u8> {
        let kept = self.0.lock();
        let ends = kept.text.iter().enumerate().rev().filter(|(_, b)| **b == b'\n');
        let start = ends.map(|(at, _)| at + 1).nth(lines).unwrap_or(0);
        kept.text.iter().skip(start).copied().collect()
    }
}

/// Bytes kept: some thousand lines.
const KEPT_MAX: usize = 256 << 10;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_lines_are_kept_whole_and_what_is_gone_is_counted() {
        let backlog = Backlog::default();
        for number in 0..100_000 {
            backlog.add(format!("line {number:06}\n").as_bytes());
        }
        let (text, next, lost) = backlog.from(0, usize::MAX);
        assert!(
            text.len() <= KEPT_MAX && text.starts_with(b"line ") && text.ends_with(b"099999\n")
        );
        assert_eq!((next, lost + text.len() as u64), (1_200_000, 1_200_000));
        assert_eq!(backlog.last(2), b"line 099998\nline 099999\n");
        assert_eq!(backlog.from(next - 12, 30), (b"line 099999\n".to_vec(), next, 0));
        assert_eq!(backlog.end(), next);
    }
}
