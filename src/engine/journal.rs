//! What the event log will say about the line under way, in one direction, and how much of a flow
//! it says at all.
//!
//! Lines and edits are logged whole, though they may come a byte at a time: they are gathered here
//! until the line ends. What is kept is bounded by [`LOGGED_BYTES_MAX`] for the line, as much for
//! its edits, and [`EDITS_MAX`] of those. Of a message's edits that are not logged the number is.

use serde::{Deserialize, Serialize};

use super::{LOGGED_BYTES_MAX, Limits, Reason, What};
use crate::flow::Direction;
use crate::guard::{Draft, MASK, Rule, Ruling};
use crate::offset::Offset;
use crate::patch::Id;
use crate::smtp::{Event, Step, rspan};
use crate::time::Instant;

/// Separate edits of one line that are logged.
const EDITS_MAX: usize = 16;

/// One direction's line under way; costs one pointer while there is none.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Journal(Option<Box<Line>>);

#[derive(Debug, Default, Serialize, Deserialize)]
struct Line {
    offset: Offset,
    bytes: Vec<u8>,
    /// Bytes of the line so far, whether kept or not.
    length: u64,
    /// Of those, how many at the end may be its line end.
    line_end: u64,
    /// Those that are logged, and at most one behind them that stands for all others.
    edits: Vec<Edit>,
    /// Bytes kept of all edits together.
    edited: usize,
}

#[derive(Debug, Serialize, Deserialize)]
struct Edit {
    offset: Offset,
    rule: Rule,
    before: Vec<u8>,
    after: Vec<u8>,
    length: u64,
    patches: Vec<Id>,
}

impl Edit {
    /// Whether it stands for all edits of which nothing was kept but how many bytes they ruled on.
    const fn is_rest(&self) -> bool {
        self.before.is_empty()
    }
}

impl Journal {
    /// A run as it came, and what was ruled on it.
    pub(super) fn note(
        &mut self,
        at: Offset,
        step: Step,
        given: &[u8],
        ruling: Ruling,
        draft: &Draft,
    ) {
        let hidden;
        let run = if step.is_secret {
            let stars = given.iter().take(LOGGED_BYTES_MAX).map(|&byte| star(byte));
            hidden = stars.collect::<Vec<u8>>();
            &hidden
        } else {
            given
        };
        let length = step.used as u64;
        if is_line(step.event) {
            self.read(at, run, length);
        }
        if let Some((rule, start, shown)) = draft.noted(run) {
            self.edit(at.after(start as u64), rule, shown, shown, shown.len() as u64);
        }
        // A limit that only logs is told of beside the patch that it hides.
        let is_hidden = matches!(ruling, Ruling::Exceed(excess) if !excess.is_end);
        let is_struck = is_hidden && !draft.strikes().is_empty();
        let ruling = if is_struck { Ruling::Note(Rule::Patch) } else { ruling };
        match ruling {
            Ruling::Pass | Ruling::Exceed(_) => {}
            Ruling::Note(rule) | Ruling::Reset(rule) => match draft.shown(run) {
                (0, _) => self.edit(at, rule, run, run, length),
                (start, near) => {
                    self.edit(at.after(start as u64), rule, near, near, near.len() as u64);
                }
            },
            Ruling::Edit(rule) | Ruling::Refuse(rule) if step.is_secret => {
                let after = veiled(draft.as_bytes(), given, self.room_for_edits());
                self.edit(at, rule, run, &after, length);
            }
            Ruling::Edit(rule) | Ruling::Refuse(rule) => {
                self.edit(at, rule, run, draft.as_bytes(), length);
            }
        }
    }

    /// How many bytes more of edits are kept.
    fn room_for_edits(&self) -> usize {
        let edited = self.0.as_ref().map_or(0, |line| line.edited);
        LOGGED_BYTES_MAX.saturating_sub(edited)
    }

    fn line(&mut self, offset: Offset) -> &mut Line {
        self.0.get_or_insert_with(|| Box::new(Line { offset, ..Line::default() }))
    }

    /// A run of the line, as it came.
    fn read(&mut self, offset: Offset, run: &[u8], length: u64) {
        let line = self.line(offset);
        let room = LOGGED_BYTES_MAX.saturating_sub(line.bytes.len());
        line.bytes.extend_from_slice(run.get(..room).unwrap_or(run));
        line.length += length;
        let tail = rspan(run, |byte| byte == b'\r' || byte == b'\n') as u64;
        line.line_end = if tail == length { line.line_end + tail } else { tail };
    }

    /// A run that leaves otherwise than it came.
    fn edit(&mut self, offset: Offset, rule: Rule, before: &[u8], after: &[u8], length: u64) {
        let room = self.room_for_edits().min(before.len());
        let line = self.line(offset);
        let before = before.get(..room).unwrap_or_default();
        let after = after.get(..room).unwrap_or_default();
        line.edited += room;
        if let Some(rest) = line.edits.last_mut().filter(|last| last.is_rest()) {
            rest.length += length;
        } else if let Some(last) = line.edits.last_mut()
            && last.rule == rule
            && last.offset.after(last.length) == offset
        {
            last.before.extend_from_slice(before);
            last.after.extend_from_slice(after);
            last.length += length;
        } else {
            let is_shown = line.edits.len() < EDITS_MAX;
            let kept = |bytes: &[u8]| if is_shown { bytes.to_vec() } else { Vec::new() };
            let (before, after, patches) = (kept(before), kept(after), Vec::new());
            line.edits.push(Edit { offset, rule, before, after, length, patches });
        }
    }

    /// So many bytes of a message were changed of which the log shows nothing but the number.
    pub(super) fn count_unshown(&mut self, offset: Offset, rule: Rule, bytes: u64) {
        if bytes == 0 {
            return;
        }
        let edits = &mut self.line(offset).edits;
        match edits.last_mut().filter(|last| last.is_rest() && last.rule == rule) {
            Some(rest) => rest.length += bytes,
            None => edits.push(Edit {
                offset,
                rule,
                before: Vec::new(),
                after: Vec::new(),
                length: bytes,
                patches: Vec::new(),
            }),
        }
    }

    /// Whether the number is all there is to log.
    pub(super) fn is_unshown(&self) -> bool {
        self.first_edit().is_some_and(Edit::is_rest)
    }

    /// The flow ends within it: what there is to log, the line first if it is one.
    pub(super) fn end_at(&mut self, event: Event, direction: Direction, log: &mut Vec<What>) {
        if is_line(event) {
            self.end(direction, What::command, log)
        } else {
            self.end_edits(direction, log)
        }
    }

    /// Whether anything is kept of it but a number.
    pub(super) fn has_edits(&self) -> bool {
        self.first_edit().is_some_and(|edit| !edit.is_rest())
    }

    fn first_edit(&self) -> Option<&Edit> {
        self.0.as_ref()?.edits.first()
    }

    /// A patch has struck in the run just noted.
    pub(super) fn name(&mut self, id: &Id) {
        let edit = self.0.as_mut().and_then(|line| line.edits.last_mut());
        if let Some(edit) = edit
            && !edit.patches.contains(id)
        {
            edit.patches.push(Id::clone(id));
        }
    }

    /// Whether no line is under way.
    pub(super) const fn is_empty(&self) -> bool {
        self.0.is_none()
    }

    /// The line has ended: what to log, the line itself (made by `entry` of its offset, its bytes
    /// and its length, without the line end) first.
    pub(super) fn end(
        &mut self,
        direction: Direction,
        entry: impl FnOnce(u64, Vec<u8>, u64) -> What,
        log: &mut Vec<What>,
    ) {
        let Some(mut line) = self.0.take() else { return };
        let length = line.length.saturating_sub(line.line_end);
        line.bytes.truncate(usize::try_from(length).unwrap_or(usize::MAX));
        log.push(entry(line.offset.value(), line.bytes, length));
        log_edits(direction, line.edits, log);
    }

    /// The line has not ended, and nothing more of it will come: some servers run what they have.
    pub(super) fn end_unfinished(
        &mut self,
        direction: Direction,
        entry: impl FnOnce(u64, Vec<u8>, u64) -> What,
        log: &mut Vec<What>,
    ) {
        match &self.0 {
            Some(line) if line.length > 0 => self.end(direction, entry, log),
            Some(_) | None => self.end_edits(direction, log),
        }
    }

    /// Logs the edits alone: they belong to no line.
    pub(super) fn end_edits(&mut self, direction: Direction, log: &mut Vec<What>) {
        if let Some(line) = self.0.take() {
            log_edits(direction, line.edits, log);
        }
    }
}

/// Whether a run is part of a line that is logged as such.
const fn is_line(event: Event) -> bool {
    match event {
        Event::CommandWord(_)
        | Event::CommandGap(_)
        | Event::CommandArgument(_)
        | Event::CommandStray
        | Event::CommandCr
        | Event::CommandEnd { .. }
        | Event::Prefix { .. }
        | Event::ReplyCode(_)
        | Event::ReplySeparator(_)
        | Event::ReplyKeyword(_)
        | Event::ReplyText(_)
        | Event::ReplyEnd(_) => true,
        Event::Data
        | Event::DataLookalike(_)
        | Event::DataEnd
        | Event::Disowned(_)
        | Event::RefusedChunk
        | Event::AuthLine
        | Event::AuthStray
        | Event::Chunk
        | Event::Opaque
        | Event::Wait => false,
    }
}

/// So many bytes of what leaves of a secret, without what is left of it. Where it is masked to its
/// end, an X is shown as one also where the secret has one: else that would be told.
fn veiled(after: &[u8], before: &[u8], count: usize) -> Vec<u8> {
    let text = after.strip_suffix(b"\r").unwrap_or(after);
    let mask = rspan(text, |byte| byte == MASK);
    let changed = after.iter().zip(before).position(|(to, from)| to != from);
    let is_masked = changed.is_none_or(|changed| changed + mask >= text.len());
    let start = if is_masked { text.len() - mask } else { after.len() };
    let pairs = after.iter().zip(before).take(count).enumerate();
    let shown = pairs.map(|(at, (&to, &from))| {
        let is_mask = at >= start && to == MASK;
        if to == from && !is_mask { star(to) } else { to }
    });
    shown.collect()
}

/// What stands for a byte of a secret. A CR or LF is none: it ends the line, or begins another.
const fn star(byte: u8) -> u8 {
    // Without a branch, of which the compiler makes vectors.
    if (byte == b'\r') | (byte == b'\n') { byte } else { b'*' }
}

fn log_edits(direction: Direction, edits: Vec<Edit>, log: &mut Vec<What>) {
    for edit in edits {
        if edit.is_rest() {
            let offset = edit.offset.value();
            log.push(What::Unshown { direction, offset, rule: edit.rule, bytes: edit.length });
            continue;
        }
        let Edit { offset, rule, mut before, mut after, mut length, patches } = edit;
        // The line end stays as it is, and lines are logged without it.
        let is_whole = before.len() as u64 == length;
        if is_whole && before.ends_with(b"\r") && after.ends_with(b"\r") {
            before.pop();
            after.pop();
            length -= 1;
        }
        let offset = offset.value();
        log.push(What::Edited { direction, offset, rule, patches, before, after, length });
    }
}

/// What decides whether an entry is written.
#[derive(Clone, Copy, Debug)]
pub(super) struct Measure {
    /// Bytes that it shows.
    pub(super) shown: usize,
    /// Whether it is written in any case.
    pub(super) is_vital: bool,
}

/// How much of a flow the log takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Chatter {
    burst_bytes: u32,
    bytes_per_second: u32,
}

impl Chatter {
    pub(super) const fn of(limits: &Limits) -> Self {
        Self {
            burst_bytes: limits.log_burst_bytes,
            bytes_per_second: limits.log_flow_bytes_per_second,
        }
    }

    /// Where there is no flow. Any would do.
    pub(super) const fn of_nobody() -> Self {
        Self { burst_bytes: 1 << 20, bytes_per_second: 1 << 16 }
    }
}

/// Reasons that it may tell of in one second where the same may happen with each packet: who makes
/// one cause follow the other must not be told of twice as often.
const REPEATABLE_MAX: usize = 3;

/// What an entry counts for beside the bytes it shows.
const ENTRY_BYTES: usize = 128;

/// How much of a flow the log has had.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Talk {
    /// Bytes it may still have.
    left: u32,
    /// When that was counted, whole seconds.
    second: u32,
    /// Entries left out since the last one that was not.
    left_out: u32,
    /// Limits whose passing was told: bits, by their place in [`Rule::LIMITS`].
    exceeded: u32,
    /// What was told in the second `told_in` of what may happen again and again.
    told: [Option<Reason>; REPEATABLE_MAX],
    /// The low bits of a second: an idle flow pays for each byte here.
    told_in: u16,
}

impl Talk {
    /// Nothing was said yet.
    pub(super) const fn new(chatter: Chatter) -> Self {
        let (left, told) = (chatter.burst_bytes, [None; REPEATABLE_MAX]);
        Self { left, second: 0, left_out: 0, exceeded: 0, told, told_in: 0 }
    }

    /// Whether an entry of this measure may be written (an error: not), and how many were left out
    /// before it.
    pub(super) fn admit(
        &mut self,
        now: Instant,
        measure: Measure,
        chatter: Chatter,
    ) -> Result<Option<u64>, ()> {
        let second = now.seconds_32();
        let passed = second.saturating_sub(self.second);
        self.second = self.second.max(second);
        let grown = self.left.saturating_add(passed.saturating_mul(chatter.bytes_per_second));
        self.left = grown.min(chatter.burst_bytes);
        // How a flow ends is always told: that is where what was left out is counted.
        let cost = u32::try_from(ENTRY_BYTES + measure.shown).unwrap_or(u32::MAX);
        match self.left.checked_sub(cost) {
            Some(left) => self.left = left,
            None if measure.is_vital => {}
            None => {
                self.leave_out();
                return Err(());
            }
        }
        let left_out = std::mem::take(&mut self.left_out);
        Ok((left_out > 0).then_some(left_out.into()))
    }

    /// Notes that this limit is passed: whether that is told for the first time.
    pub(super) fn note_exceeded(&mut self, limit: Rule) -> bool {
        let place = Rule::LIMITS.iter().position(|known| *known == limit);
        let bit = place.map_or(0, |place| 1_u32 << place);
        let is_first = self.exceeded & bit != bit;
        self.exceeded |= bit;
        is_first
    }

    /// Notes that this is told: whether it was not in the present second, nor too much else.
    pub(super) fn note_repeatable(&mut self, now: Instant, reason: Reason) -> bool {
        let second = (now.seconds_32() & 0xffff) as u16;
        if std::mem::replace(&mut self.told_in, second) != second {
            self.told = [None; REPEATABLE_MAX];
        }
        let is_told = self.told.contains(&Some(reason));
        match self.told.iter_mut().find(|told| told.is_none()) {
            Some(free) if !is_told => *free = Some(reason),
            Some(_) | None => return false,
        }
        true
    }

    /// One entry more was left out.
    pub(super) const fn leave_out(&mut self) {
        self.left_out = self.left_out.saturating_add(1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_of_a_secret_is_told_by_its_mask() {
        for (before, after, expected) in [
            ("aGVsbG8X", "XXXXXXXX", "XXXXXXXX"),
            ("XGXsXXG8", "XXXXXXXX", "XXXXXXXX"),
            ("aXVs bG8", "aXVs XXX", "*****XXX"),
            ("aGVsbX\r", "XXXXXX\r", "XXXXXX\r"),
            // One byte of it is changed, and the rest leaves.
            ("aX\0sbG8X", "aXXsbG8X", "**X*****"),
            ("XXXX", "XXXX", "XXXX"),
        ] {
            let shown = veiled(after.as_bytes(), before.as_bytes(), LOGGED_BYTES_MAX);
            assert_eq!(String::from_utf8(shown).unwrap(), expected, "{before}");
        }
    }

    /// What the log says of a line, by its kind.
    fn end(journal: &mut Journal) -> Vec<What> {
        let mut log = Vec::new();
        journal.end(Direction::Original, What::command, &mut log);
        log
    }

    fn edited(
        offset: u64,
        rule: Rule,
        (before, after): (&[u8], &[u8]),
        length: u64,
        patches: &[&str],
    ) -> What {
        let patches = patches.iter().map(|id| Id::from(*id)).collect();
        let (before, after) = (before.to_vec(), after.to_vec());
        What::Edited {
            direction: Direction::Original,
            offset,
            rule,
            patches,
            before,
            after,
            length,
        }
    }

    fn unshown(offset: u64, bytes: u64) -> What {
        let (direction, rule) = (Direction::Original, Rule::Lookalike);
        What::Unshown { direction, offset, rule, bytes }
    }

    #[test]
    fn a_line_is_told_without_its_end_and_edits_that_touch_as_one() {
        let mut journal = Journal::default();
        assert!(journal.is_empty());
        let at = Offset::new;
        journal.read(at(10), b"NOOP\r", 5);
        assert!(!journal.is_empty());
        journal.read(at(15), b"a", 1);
        journal.read(at(16), b"\r", 1);
        journal.read(at(17), b"\n", 1);
        journal.edit(at(12), Rule::Verb, b"O", b"X", 1);
        journal.edit(at(13), Rule::Verb, b"P\r", b"X\r", 2);
        journal.name(&"one".into());
        journal.name(&"one".into());
        journal.name(&"two".into());
        // One beside it under another rule, and one further on under the same.
        journal.edit(at(15), Rule::StrayBytes, b"a", b"X", 1);
        journal.edit(at(17), Rule::StrayBytes, b"\n", b"X", 1);
        let line = What::command(10, b"NOOP\ra".to_vec(), 6);
        let edits = [
            edited(12, Rule::Verb, (b"OP", b"XX"), 2, &["one", "two"]),
            edited(15, Rule::StrayBytes, (b"a", b"X"), 1, &[]),
            edited(17, Rule::StrayBytes, (b"\n", b"X"), 1, &[]),
        ];
        assert_eq!(end(&mut journal), [&[line][..], &edits].concat());
        assert!(journal.is_empty() && end(&mut journal).is_empty());
    }

    #[test]
    fn a_cr_is_left_out_of_an_edit_where_it_is_the_lines_and_shown() {
        for (before, after, length, expected) in [
            (&b"ab\r"[..], &b"XX\r"[..], 3, (&b"ab"[..], &b"XX"[..], 2)),
            (b"ab\r", b"XXX", 3, (b"ab\r", b"XXX", 3)),
            (b"abc", b"XX\r", 3, (b"abc", b"XX\r", 3)),
            // There was more of it than is kept.
            (b"ab\r", b"XX\r", 4, (b"ab\r", b"XX\r", 4)),
        ] {
            let mut journal = Journal::default();
            journal.edit(Offset::ZERO, Rule::Verb, before, after, length);
            let mut log = Vec::new();
            journal.end_edits(Direction::Original, &mut log);
            let (before, after, length) = expected;
            assert_eq!(log, [edited(0, Rule::Verb, (before, after), length, &[])]);
            assert!(journal.is_empty());
        }
    }

    /// Of a secret only its line ends are known, as far as it is kept: how it is cut shows nowhere.
    #[test]
    fn a_secret_is_stars_but_for_its_line_ends() {
        let step = |given: &[u8]| Step { used: given.len(), is_secret: true, ..Step::WAIT };
        let long = [&[b'a'; LOGGED_BYTES_MAX][..], b"\r"].concat();
        for (given, before) in [
            (&b"ab\r"[..], &b"**\r"[..]),
            (b"a\rb\n", b"*\r*\n"),
            (&long, &[b'*'; LOGGED_BYTES_MAX]),
        ] {
            let (mut journal, draft) = (Journal::default(), Draft::default());
            let ruling = Ruling::Edit(Rule::StrayBytes);
            journal.note(Offset::ZERO, step(given), given, ruling, &draft);
            let mut log = Vec::new();
            journal.end_edits(Direction::Original, &mut log);
            let length = given.len() as u64;
            assert_eq!(log, [edited(0, Rule::StrayBytes, (before, b""), length, &[])]);
        }
    }

    #[test]
    fn what_is_kept_of_a_line_and_of_its_edits_is_bounded() {
        let mut journal = Journal::default();
        let half = [b'a'; LOGGED_BYTES_MAX / 2 + 10];
        for place in 0..3 {
            let at = Offset::new(place * 1_000);
            journal.read(at, &half, half.len() as u64);
            journal.edit(at, Rule::Verb, &half, &half, half.len() as u64);
        }
        let log = end(&mut journal);
        let shown = |what: &What| {
            if let What::Command { line, length, .. } = what {
                return (line.len() as u64, *length);
            }
            if let What::Edited { before, after, .. } = what {
                return (before.len() as u64, after.len() as u64);
            }
            if let What::Unshown { bytes, .. } = what { (0, *bytes) } else { (0, 0) }
        };
        let shown: Vec<_> = log.iter().map(shown).collect();
        let (most, first) = (LOGGED_BYTES_MAX as u64, half.len() as u64);
        let second = most - first;
        let edits = [(first, first), (second, second), (0, first)];
        assert_eq!(shown, [&[(most, 3 * first)][..], &edits].concat());
    }

    #[test]
    fn edits_that_are_only_counted_are_one_entry() {
        let mut journal = Journal::default();
        assert!(!journal.is_unshown());
        journal.count_unshown(Offset::new(6), Rule::Lookalike, 0);
        assert!(journal.is_empty(), "what has the mask's value already");
        journal.count_unshown(Offset::new(7), Rule::Lookalike, 3);
        assert!(journal.is_unshown());
        journal.count_unshown(Offset::new(70), Rule::Lookalike, 4);
        journal.edit(Offset::new(700), Rule::Lookalike, b"x", b"y", 5);
        let mut log = Vec::new();
        journal.end_unfinished(Direction::Original, What::command, &mut log);
        assert_eq!(log, [unshown(7, 12)], "no line, of which nothing was read");
        // Behind one that is shown, it is the second.
        journal.edit(Offset::new(1), Rule::Lookalike, b"x", b"y", 1);
        journal.count_unshown(Offset::new(7), Rule::Lookalike, 3);
        assert!(!journal.is_unshown());
        log.clear();
        journal.end_edits(Direction::Original, &mut log);
        assert_eq!(log, [edited(1, Rule::Lookalike, (b"x", b"y"), 1, &[]), unshown(7, 3)]);
        assert!(journal.is_empty());
    }

    #[test]
    fn a_line_that_has_not_ended_is_told_where_a_byte_of_it_came() {
        let mut journal = Journal::default();
        journal.read(Offset::new(4), b"Q", 1);
        let mut log = Vec::new();
        journal.end_unfinished(Direction::Original, What::command, &mut log);
        assert_eq!(log, [What::command(4, b"Q".to_vec(), 1)]);
        assert!(journal.is_empty());
        log.clear();
        journal.end_unfinished(Direction::Original, What::command, &mut log);
        assert!(log.is_empty());
    }

    /// What a flow may have of the log: 300 bytes at once, and so much more in a second.
    const CHATTER: Chatter = Chatter { burst_bytes: 300, bytes_per_second: 100 };

    #[test]
    fn a_flow_has_its_burst_and_its_rate_and_what_is_left_out_is_counted() {
        let mut talk = Talk::new(CHATTER);
        let mut admit = |second, shown, is_vital| {
            talk.admit(Instant::from_seconds(second), Measure { shown, is_vital }, CHATTER)
        };
        assert_eq!(admit(1, 172, false), Ok(None), "all of the burst");
        assert_eq!(admit(1, 0, false), Err(()));
        assert_eq!(admit(2, 0, false), Err(()));
        assert_eq!(admit(2, 0, true), Ok(Some(2)), "vital, and behind two");
        assert_eq!(admit(3, 72, false), Ok(None), "two seconds' worth: 128 beside the 72");
        assert_eq!(admit(5, 73, false), Err(()), "one too many");
        assert_eq!(admit(5, 72, false), Ok(Some(1)));
        // Silence adds no more than the burst.
        assert_eq!(admit(1_000, 173, false), Err(()));
        assert_eq!(admit(1_000, 172, false), Ok(Some(1)));
        // A clock that steps back adds nothing, nor does it when it comes back.
        assert_eq!(admit(10, 0, false), Err(()));
        assert_eq!(admit(1_000, 0, false), Err(()));
    }

    #[test]
    fn each_limit_is_passed_for_the_first_time_once() {
        let mut talk = Talk::new(CHATTER);
        for limit in Rule::LIMITS {
            assert!(talk.note_exceeded(limit), "{limit}");
            assert!(!talk.note_exceeded(limit), "{limit}");
        }
        assert!(Rule::LIMITS.into_iter().all(|limit| !talk.note_exceeded(limit)));
    }

    #[test]
    fn three_reasons_are_told_once_a_second() {
        let mut talk = Talk::new(CHATTER);
        let [a, b, c, d] =
            [Reason::UnknownFlow, Reason::FlowReset, Reason::WrongInterface, Reason::OwnFault];
        for second in [1, 2, 3, 0x1_0003, 0x1_0004] {
            // Of a second only the low bits are kept: one that is 65,536 later looks the same.
            let is_other = second != 0x1_0003;
            let mut is_new = |reason| talk.note_repeatable(Instant::from_seconds(second), reason);
            let told = [a, a, b, a, b, c, d, c].map(&mut is_new);
            let expected = [true, false, true, false, false, true, false, false];
            assert_eq!(told, expected.map(|is_new| is_new && is_other), "{second}");
        }
    }
}
