//! What the event log will say about the line under way, in one direction.
//!
//! Lines and edits are logged whole, though they may come a byte at a time: they are gathered here
//! until the line ends. What is kept is bounded by [`LOGGED_BYTES_MAX`] for the line, as much for
//! its edits, and [`EDITS_MAX`] of those.

use super::{LOGGED_BYTES_MAX, What};
use crate::flow::Direction;
use crate::guard::Rule;

/// Separate edits of one line that are logged.
const EDITS_MAX: usize = 16;

/// One direction's line under way; costs one pointer while there is none.
#[derive(Debug, Default)]
pub(super) struct Journal(Option<Box<Line>>);

#[derive(Debug, Default)]
struct Line {
    offset: u64,
    bytes: Vec<u8>,
    /// Bytes of the whole line so far, and of the line end among them.
    length: u64,
    end_length: u64,
    edits: Vec<Edit>,
    /// Bytes of all edits together.
    edited: usize,
    is_refused: bool,
}

#[derive(Debug)]
struct Edit {
    offset: u64,
    rule: Rule,
    before: Vec<u8>,
    after: Vec<u8>,
    /// Bytes of the whole edit.
    length: u64,
}

impl Journal {
    /// A run of the line, as it came.
    pub(super) fn read(&mut self, offset: u64, run: &[u8]) {
        let line = self.0.get_or_insert_with(|| Box::new(Line { offset, ..Line::default() }));
        let room = LOGGED_BYTES_MAX.saturating_sub(line.bytes.len());
        let text = run.iter().rposition(|b| !is_line_end(*b)).map_or(0, |last| last + 1);
        let tail = (run.len() - text) as u64;
        line.end_length = if text == 0 { line.end_length + tail } else { tail };
        line.length += run.len() as u64;
        line.bytes.extend_from_slice(run.get(..room).unwrap_or(run));
    }

    /// A run that leaves otherwise than it came.
    pub(super) fn edit(&mut self, offset: u64, rule: Rule, before: &[u8], after: &[u8]) {
        let line = self.0.get_or_insert_with(|| Box::new(Line { offset, ..Line::default() }));
        let room = LOGGED_BYTES_MAX.saturating_sub(line.edited).min(before.len());
        let length = before.len() as u64;
        let before = before.get(..room).unwrap_or_default();
        let after = after.get(..room).unwrap_or_default();
        line.edited += room;
        if let Some(last) = line.edits.last_mut()
            && last.rule == rule
            && last.offset + last.length == offset
        {
            last.length += length;
            last.before.extend_from_slice(before);
            last.after.extend_from_slice(after);
        } else if line.edits.len() < EDITS_MAX && room > 0 {
            let (before, after) = (before.to_vec(), after.to_vec());
            line.edits.push(Edit { offset, rule, before, after, length });
        }
    }

    /// The line under way is refused.
    pub(super) fn refuse(&mut self) {
        if let Some(line) = &mut self.0 {
            line.is_refused = true;
        }
    }

    /// The line has ended: what to log, the line itself (made by `entry` of its offset, its bytes
    /// and their whole number, without the line end) first. Says whether the line was refused.
    pub(super) fn end(
        &mut self,
        direction: Direction,
        entry: impl FnOnce(u64, Vec<u8>, u64) -> What,
        mut log: impl FnMut(What),
    ) -> bool {
        let Some(mut line) = self.0.take() else { return false };
        let text = line.bytes.iter().rposition(|b| !is_line_end(*b));
        let text = text.map_or(0, |last| last + 1);
        line.bytes.truncate(text);
        log(entry(line.offset, line.bytes, line.length - line.end_length));
        log_edits(direction, line.edits, log);
        line.is_refused
    }

    /// Logs the edits alone: they belong to no line.
    pub(super) fn end_edits(&mut self, direction: Direction, log: impl FnMut(What)) {
        if let Some(line) = self.0.take() {
            log_edits(direction, line.edits, log);
        }
    }
}

const fn is_line_end(byte: u8) -> bool {
    matches!(byte, b'\r' | b'\n')
}

fn log_edits(direction: Direction, edits: Vec<Edit>, mut log: impl FnMut(What)) {
    for Edit { offset, rule, mut before, mut after, mut length } in edits {
        // The line end stays as it is, and lines are logged without it.
        let is_whole = before.len() as u64 == length;
        if is_whole && before.ends_with(b"\r") && after.ends_with(b"\r") {
            before.pop();
            after.pop();
            length -= 1;
        }
        log(What::Edited { direction, offset, rule, before, after, length });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_that_is_cut_keeps_its_length_without_the_line_end() {
        for (length, runs) in [(9, 1), (512, 3), (513, 2), (5_000, 7)] {
            let text = vec![b'a'; length];
            let mut journal = Journal::default();
            let mut offset = 0;
            for run in text.chunks(length.div_ceil(runs)).chain([&b"\r"[..], b"\n"]) {
                journal.read(offset, run);
                journal.edit(offset, Rule::Verb, run, run);
                offset += run.len() as u64;
            }
            let command = |offset, line, length| What::Command { offset, line, length };
            let mut told = Vec::new();
            journal.end(Direction::Original, command, |what| told.push(what));
            let kept = text.get(..length.min(LOGGED_BYTES_MAX)).unwrap().to_vec();
            assert_eq!(told[0], What::Command { offset: 0, line: kept, length: length as u64 });
            let What::Edited { length: edited, before, .. } = &told[1] else { panic!("{told:?}") };
            assert!(*edited >= length as u64 && before.len() <= LOGGED_BYTES_MAX, "{told:?}");
        }
    }
}
