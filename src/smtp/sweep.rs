//! Message bytes in blocks: what is plain text is passed over by vectors, and everything else takes
//! one step of a machine a byte.
//!
//! The machine is made from the tables of [`MailData`], which say what each state and byte lead to.
//! What all states lead to with one byte stands in one number, six bits each, and a state is known
//! by where its bits begin there: so a step is one shift, whatever the bytes are. What each byte
//! led to is written down, and what has to change is then changed by vectors.

use std::ops::Range;

use memchr::{memchr, memchr_iter, memchr2};
use pulp::{Simd, WithSimd};

use super::MailData;
use super::span::mask;

/// Bytes that take the machine's steps before what they led to is looked at.
pub(super) const BLOCK: usize = 64;

/// Bits of a state.
const BITS: u8 = 6;

/// Behind a byte that leaves changed.
const CHANGED: u8 = 8 * BITS;

/// Behind the true end.
const END: u8 = 9 * BITS;

/// Bytes looked at in one vectorised step; a block with anything unusual takes the machine's.
const PLAIN: usize = 1_024;

/// Bytes taken together in that step: as many as a register has, so that sums stay in registers.
const LANES: usize = 32;

/// Lines of so much text are passed over one by one; shorter ones are stepped through.
const SPARSE: usize = 32;

/// So many bytes of a block that stand elsewhere than inside a line make it worth stepping on.
const DENSE: u8 = 8;

/// The tables that machines are made from.
#[derive(Clone, Copy)]
enum Table {
    Data,
    Kept,
    Disowned,
}

/// For each byte, what each state leads to.
pub(super) struct Machine([u64; 256]);

/// What one step leads to.
#[derive(Clone, Copy)]
pub(super) enum Next {
    To(MailData),
    /// What the byte is changed to stands as [`MailData::DotByte`] says.
    Changed,
    End,
}

impl Next {
    const fn place(self) -> u8 {
        match self {
            Self::To(state) => state as u8 * BITS,
            Self::Changed => CHANGED,
            Self::End => END,
        }
    }
}

/// What a sweep found and changed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Swept {
    /// Bytes read: all, or up to and including the true end.
    pub used: usize,
    /// Whether the true end is among them.
    pub is_end: bool,
    /// Bytes that have another value now.
    pub changed: u64,
    /// From the first to behind the last of these.
    pub edited: Range<usize>,
    /// The longest run of plain text among the bytes that was met, none of it changed.
    pub plain: Plain,
}

/// Bytes of message data of which the first stands inside a line: no CR or LF is among them but in
/// a CRLF, and no dot behind one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Plain {
    /// The first of them.
    pub start: usize,
    /// Behind the last.
    pub end: usize,
    /// CRLFs among them.
    pub line_ends: usize,
}

impl Plain {
    /// No bytes.
    pub const NONE: Self = Self { start: 0, end: 0, line_ends: 0 };

    /// How many they are.
    #[must_use]
    pub const fn length(&self) -> usize {
        self.end - self.start
    }
}

impl Machine {
    /// The machine of message data.
    pub(super) const DATA: Self = Self::new(Table::Data);

    /// The machine of message data of which nothing is changed.
    pub(super) const KEPT: Self = Self::new(Table::Kept);

    /// The machine of message data that may be read as commands.
    pub(super) const DISOWNED: Self = Self::new(Table::Disowned);

    #[expect(clippy::indexing_slicing, reason = "a constant that is wrong does not compile")]
    const fn new(table: Table) -> Self {
        let mut steps = [0; 256];
        let mut byte = u8::MAX;
        loop {
            steps[byte as usize] = Self::step(byte, table);
            if byte == 0 {
                return Self(steps);
            }
            byte -= 1;
        }
    }

    const fn step(byte: u8, table: Table) -> u64 {
        let mut step = (END as u64) << END;
        let mut rest: &[MailData] = &MailData::ALL;
        while let [state, tail @ ..] = rest {
            let next = state.leads(byte, table).place() as u64;
            step |= next << (*state as u8 * BITS);
            rest = tail;
        }
        step | (MailData::DotByte.leads(byte, table).place() as u64) << CHANGED
    }

    /// Steps through bytes, and writes down in the low bits of `places` what each led to.
    #[inline(always)]
    fn walk(&self, start: u8, bytes: &[u8], places: &mut [u8]) -> Walked {
        let mut state = u64::from(start);
        let mut step = |byte: u8, place: &mut u8| {
            let steps = self.0.get(usize::from(byte)).copied().unwrap_or_default();
            state = steps >> (state & 63);
            [*place, ..] = state.to_le_bytes();
        };
        // Eight at a time: a loop's own instructions would be a third of all.
        let (eights, left) = bytes.as_chunks::<8>();
        let steps = places.get_mut(..bytes.len()).unwrap_or_default();
        let (step_eights, steps_left) = steps.as_chunks_mut::<8>();
        for (bytes, places) in eights.iter().zip(step_eights) {
            bytes.iter().zip(places).for_each(|(&byte, place)| step(byte, place));
        }
        left.iter().zip(steps_left).for_each(|(&byte, place)| step(byte, place));
        let [last, ..] = state.to_le_bytes();
        let mut highest = 0;
        for place in places {
            *place &= 63;
            highest = (*place).max(highest);
        }
        Walked { place: last & 63, is_stopped: highest >= CHANGED }
    }
}

/// Steps through a block.
struct Walk<'a> {
    machine: &'a Machine,
    place: u8,
    block: &'a [u8; BLOCK],
    places: &'a mut [u8],
}

impl WithSimd for Walk<'_> {
    type Output = Walked;

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) -> Walked {
        self.machine.walk(self.place, self.block, self.places)
    }
}

/// Does so block after block, as long as much of it is no text, and up to a byte that changes or
/// ends anything: how many bytes those are, whether there is one, and what the last of them led to.
struct Read<'a> {
    machine: &'a Machine,
    place: u8,
    blocks: &'a [[u8; BLOCK]],
}

impl WithSimd for Read<'_> {
    type Output = (usize, bool, u8);

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) -> (usize, bool, u8) {
        let (mut used, mut place, mut places) = (0, self.place, [0; BLOCK]);
        for block in self.blocks {
            let walked = self.machine.walk(place, block, &mut places);
            let (read, last) = walked.before_stop(place, block, &places);
            (used, place) = (used + read, last);
            if walked.is_stopped {
                return (used, true, place);
            }
            if !is_dense(&places) {
                break;
            }
        }
        (used, false, place)
    }
}

/// Does so block after block, and writes `value` over what changes, as long as much of it is no
/// text. What the last byte led to.
struct Change<'a> {
    machine: &'a Machine,
    place: u8,
    blocks: &'a mut [[u8; BLOCK]],
    value: Option<u8>,
    swept: &'a mut Swept,
}

impl WithSimd for Change<'_> {
    type Output = u8;

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) -> u8 {
        let (mut place, mut places) = (self.place, [0; BLOCK]);
        for block in self.blocks {
            let walked = self.machine.walk(place, block, &mut places);
            place = walked.place;
            self.swept.take(&walked, block, &places, self.value);
            if self.swept.is_end || !is_dense(&places) {
                break;
            }
        }
        place
    }
}

/// What some steps led to.
struct Walked {
    place: u8,
    /// Whether any byte changes or ends anything.
    is_stopped: bool,
}

impl Walked {
    /// How many of these bytes stand before the first that does, and what the last of them led to.
    fn before_stop(&self, start: u8, bytes: &[u8], places: &[u8]) -> (usize, u8) {
        if !self.is_stopped {
            return (bytes.len(), self.place);
        }
        let used = places.iter().position(|&place| place >= CHANGED).unwrap_or(bytes.len());
        let before = used.checked_sub(1).and_then(|last| places.get(last));
        (used, before.copied().unwrap_or(start))
    }
}

/// Whether many bytes of a block stand elsewhere than inside a line.
#[inline(always)]
fn is_dense(places: &[u8; BLOCK]) -> bool {
    let odd = places.iter().map(|&place| mask(place != 0 && place != CHANGED) & 1);
    odd.sum::<u8>() >= DENSE
}

impl Swept {
    /// So many steps were taken: writes `value` over what changes.
    #[inline(always)]
    fn take(&mut self, walked: &Walked, block: &mut [u8], places: &[u8], value: Option<u8>) {
        let start = self.used;
        self.used += block.len();
        if !walked.is_stopped {
            return;
        }
        if walked.place == END {
            self.used = start + end(places);
            self.is_end = true;
        }
        let Some(value) = value else { return };
        let mut changed = 0;
        for (byte, place) in block.iter_mut().zip(places) {
            let is_other = mask(*place == CHANGED) & mask(*byte != value);
            changed += is_other & 1;
            *byte = (*byte & !is_other) | (value & is_other);
        }
        let is_changed = |place: &u8| *place == CHANGED;
        if changed > 0 {
            let first = if self.changed == 0 { places.iter().position(is_changed) } else { None };
            let last = places.iter().rposition(is_changed).unwrap_or_default();
            self.note(changed.into(), start + first.unwrap_or_default()..start + last + 1);
        }
    }

    /// More bytes were changed, within this range.
    fn note(&mut self, changed: u64, range: Range<usize>) {
        let first = if self.changed == 0 { range.start } else { self.edited.start };
        self.edited = first..range.end;
        self.changed += changed;
    }
}

/// Behind the true end, which is among these places.
fn end(places: &[u8]) -> usize {
    1 + places.iter().take_while(|&&place| place != END).count()
}

impl MailData {
    const fn leads(self, byte: u8, table: Table) -> Next {
        match table {
            Table::Data => self.ruled(byte),
            Table::Kept => self.ruled_kept(byte),
            Table::Disowned => self.ruled_disowned(byte),
        }
    }

    /// The state of this place.
    fn at(place: u8) -> Self {
        Self::ALL.get(usize::from(place / BITS)).copied().unwrap_or(Self::DotByte)
    }
}

/// One block of message bytes after the other.
pub(super) struct Sweep {
    machine: &'static Machine,
    processor: pulp::Arch,
    /// Where the next step over whole blocks of plain text is worth a try.
    try_at: usize,
    /// The longest run of text that was passed over.
    pub(super) plain: Plain,
}

impl Sweep {
    pub(super) fn new(machine: &'static Machine) -> Self {
        Self { machine, processor: pulp::Arch::new(), try_at: 0, plain: Plain::NONE }
    }

    /// The same for what ends where anything has to be changed: where that is near, a step over a
    /// whole block is not worth a try.
    pub(super) fn for_runs(machine: &'static Machine) -> Self {
        Self { try_at: BLOCK, ..Self::new(machine) }
    }

    /// From inside a line whose text stays: the place of the next CR or LF that needs a look. Each
    /// byte is looked at by one block at most.
    pub(super) fn pass_text(&mut self, input: &[u8], start: usize) -> usize {
        let mut passed = Plain { start, end: start, line_ends: 0 };
        self.pass(input, &mut passed);
        if passed.length() > self.plain.length() {
            self.plain = passed;
        }
        passed.end
    }

    fn pass(&mut self, input: &[u8], passed: &mut Plain) {
        let Plain { end: at, line_ends, .. } = passed;
        let mut is_first = true;
        loop {
            if *at >= self.try_at
                && let Some(block) = input.get(*at..=*at + PLAIN)
            {
                // Stop before line ends at the block's edge: what comes next carries them over.
                let before_edge = block.iter().rev().skip(1);
                let tail = before_edge.take_while(|&&b| b == b'\r' || b == b'\n').count();
                let in_block = self.processor.dispatch(Crlfs(block));
                if let (Some(in_block), true) = (in_block, tail < PLAIN) {
                    *line_ends += in_block - tail.div_ceil(2);
                    *at += PLAIN - tail;
                    continue;
                }
                self.try_at = *at + PLAIN;
            }
            let rest = input.get(*at..).unwrap_or_default();
            let text = memchr2(b'\r', b'\n', rest).unwrap_or(rest.len());
            *at += text;
            // The first may be the rest of a long one.
            let is_long = text >= SPARSE || std::mem::take(&mut is_first);
            let is_ordinary = is_long
                && matches!(input.get(*at..*at + 3), Some([b'\r', b'\n', next])
                    if !matches!(next, b'.' | b'\r' | b'\n' | 0));
            if !is_ordinary {
                return;
            }
            *line_ends += 1;
            *at += 3;
        }
    }

    /// Steps through the next bytes as far as is worth it, or up to one that changes or ends
    /// anything: how many those are, whether such a one stands behind them, and the state there.
    pub(super) fn read(&self, state: MailData, input: &[u8]) -> (usize, bool, MailData) {
        let (machine, place) = (self.machine, Next::To(state).place());
        let (blocks, tail) = input.as_chunks();
        let (used, is_stopped, place) = if blocks.is_empty() {
            let mut places = [0; BLOCK];
            let walked = machine.walk(place, tail, &mut places);
            let (used, place) = walked.before_stop(place, tail, &places);
            (used, walked.is_stopped, place)
        } else {
            self.processor.dispatch(Read { machine, place, blocks })
        };
        (used, is_stopped, MailData::at(place))
    }

    /// Steps through the next bytes as far as is worth it, or up to the true end, and writes
    /// `value` over those that change. What stands behind them.
    pub(super) fn change(
        &self,
        state: MailData,
        input: &mut [u8],
        value: Option<u8>,
        swept: &mut Swept,
    ) -> MailData {
        let (machine, place) = (self.machine, Next::To(state).place());
        let (blocks, tail) = input.as_chunks_mut();
        let place = if blocks.is_empty() {
            let mut places = [0; BLOCK];
            let walked = machine.walk(place, tail, &mut places);
            swept.take(&walked, tail, &places, value);
            walked.place
        } else {
            self.processor.dispatch(Change { machine, place, blocks, value, swept })
        };
        MailData::at(place)
    }

    /// From inside a line whose text is masked: masks it, if that is worth a step of its own.
    pub(super) fn fill_text(&self, input: &mut [u8], value: u8, swept: &mut Swept) -> bool {
        let is_text = |head: &[u8; SPARSE]| !head.iter().fold(false, |cr, &b| cr | (b == b'\r'));
        if !input.first_chunk().is_some_and(is_text) {
            return false;
        }
        let text = memchr(b'\r', input).unwrap_or(input.len());
        let text = input.get_mut(..text).unwrap_or_default();
        let changed = text.len() - memchr_iter(value, text).count();
        if changed > 0 {
            swept.note(changed as u64, swept.used..swept.used + text.len());
        }
        text.fill(value);
        swept.used += text.len();
        true
    }

    /// Steps through the next bytes, at most a block of them: where the true end is, if there.
    pub(super) fn find_end(&self, state: &mut MailData, input: &[u8]) -> Option<usize> {
        let mut places = [0; BLOCK];
        let walked = self.walk(*state, input, &mut places);
        *state = MailData::at(walked.place);
        (walked.place == END).then(|| end(&places))
    }

    fn walk(&self, state: MailData, input: &[u8], places: &mut [u8; BLOCK]) -> Walked {
        let (machine, place) = (self.machine, Next::To(state).place());
        match input.first_chunk::<BLOCK>() {
            None => machine.walk(place, input, places),
            Some(block) => self.processor.dispatch(Walk { machine, place, block, places }),
        }
    }
}

/// How many CRLFs begin in a block, given with the byte behind it. `None` if a CR or LF stands
/// elsewhere, or a dot or NUL behind one. Written in lanes and without an early exit, so that the
/// compiler makes vectors of it.
struct Crlfs<'a>(&'a [u8]);

impl WithSimd for Crlfs<'_> {
    type Output = Option<usize>;

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) -> Option<usize> {
        let Self(block) = self;
        let (bytes, _) = block.as_chunks::<LANES>();
        let (nexts, _) = block.get(1..).unwrap_or_default().as_chunks::<LANES>();
        let [mut odd, mut counts] = [[0_u8; LANES]; 2];
        for (bytes, nexts) in bytes.iter().zip(nexts) {
            let lanes = bytes.iter().zip(nexts).zip(odd.iter_mut().zip(&mut counts));
            for ((&byte, &next), (odd, count)) in lanes {
                let is_end = mask(next == b'\n');
                let is_split = mask(byte == b'\r') ^ is_end;
                let is_start = mask(byte == b'\n') & mask(next == b'.' || next == 0);
                *odd |= is_split | is_start;
                // What compares equal is all bits: to subtract it counts one.
                *count = count.wrapping_sub(is_end);
            }
        }
        let is_ordinary = block.first() != Some(&b'\n') && odd == [0; LANES];
        is_ordinary.then(|| counts.iter().map(|&count| usize::from(count)).sum())
    }
}
