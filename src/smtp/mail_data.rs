//! Mail data (RFC 5321 4.1.1.4): where it ends, and what only looks like its end.
//!
//! The end is exactly CRLF.CRLF, found across any segmentation from one byte of state and never
//! delayed. Everything else that some server takes for an end contains one byte that this machine
//! names a lookalike, so that one byte's change makes it harmless:
//!
//! | state          | CR    | LF        | `.`       | NUL       | other |
//! |----------------|-------|-----------|-----------|-----------|-------|
//! | Middle of line | Cr    | Bare      | Middle    | Middle    | Middle |
//! | Cr             | Cr    | Line      | BareDot   | lookalike | Middle |
//! | Line start     | Cr    | Bare      | Dot       | lookalike | Middle |
//! | Bare LF        | Cr    | Bare      | BareDot   | lookalike | Middle |
//! | Dot            | DotCr | lookalike | Middle    | lookalike | Middle |
//! | BareDot        | lookalike | lookalike | Middle | lookalike | Middle |
//! | DotCr          | lookalike | END   | Middle    | lookalike | Middle |
//!
//! Behind a lookalike the state is Middle. A dot behind a lone CR or LF is the text's own (a line
//! `.profile`); what would make a line of it alone is the lookalike. A NUL counts only where it
//! could hide a line start from us and not from a server that drops NULs; elsewhere it is the
//! message's own business.

use memchr::memchr2;
use serde::{Deserialize, Serialize};

/// What a run of message bytes is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Run {
    /// Message text.
    Text,
    /// Bytes that make false ends, from the first to the last of them that stand close together:
    /// [`MailData::neutralise`] finds them again.
    Lookalike,
    /// Text up to and including the true end.
    End,
}

/// What a run of mail data is that the server may be reading as commands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Rest {
    /// Text: it leaves masked.
    Text,
    /// Line ends and a dot, up to and including the true end.
    End,
}

/// What stands before the next byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum MailData {
    /// Something inside a line.
    Middle,
    /// CR.
    Cr,
    /// CRLF, or the end of the line that asked for the data.
    Line,
    /// LF without CR.
    Bare,
    /// CRLF and a dot.
    Dot,
    /// A lone CR or LF, and a dot.
    BareDot,
    /// CRLF, a dot and CR.
    DotCr,
}

#[derive(Clone, Copy)]
enum Next {
    To(MailData),
    Lookalike,
    End,
}

/// The table above, written out for every byte: an attack has it walked byte by byte.
#[expect(clippy::indexing_slicing, reason = "a constant that is wrong does not compile")]
const TABLE: [[Next; 256]; MailData::ALL.len()] = {
    let mut table = [[Next::End; 256]; MailData::ALL.len()];
    let mut row = 0;
    while row < MailData::ALL.len() {
        let mut byte = u8::MAX;
        while byte > 0 {
            table[row][byte as usize] = MailData::ALL[row].ruled(byte);
            byte -= 1;
        }
        table[row][0] = MailData::ALL[row].ruled(0);
        row += 1;
    }
    table
};

/// Bytes looked at in one vectorised step; a block with anything unusual is walked instead.
const BLOCK: usize = 16 * LANES;

/// Bytes taken together in that step.
const LANES: usize = 64;

/// Lookalikes with fewer bytes of text between them make one run: some twenty steps of the table
/// cost as much as a step of the dialogue.
const CLOSE: usize = 16;

/// Bytes walked before the first such step.
const WALK: usize = 64;

impl MailData {
    /// Every state, in order.
    pub const ALL: [Self; 7] =
        [Self::Middle, Self::Cr, Self::Line, Self::Bare, Self::Dot, Self::BareDot, Self::DotCr];

    const fn ruled(self, byte: u8) -> Next {
        match (self, byte) {
            (Self::Dot, b'\r') => Next::To(Self::DotCr),
            (Self::DotCr, b'\n') => Next::End,
            (Self::Dot, b'\n') | (Self::DotCr, b'\r') => Next::Lookalike,
            (Self::BareDot, b'\r' | b'\n') => Next::Lookalike,
            (Self::Middle, 0) => Next::To(Self::Middle),
            (_, 0) => Next::Lookalike,
            (Self::Cr, b'\n') => Next::To(Self::Line),
            (Self::Line, b'.') => Next::To(Self::Dot),
            (Self::Cr | Self::Bare, b'.') => Next::To(Self::BareDot),
            (_, b'\r') => Next::To(Self::Cr),
            (_, b'\n') => Next::To(Self::Bare),
            _ => Next::To(Self::Middle),
        }
    }

    /// The same, looked up.
    fn next(self, byte: u8) -> Next {
        let row = TABLE.get(self as usize);
        row.and_then(|row| row.get(usize::from(byte))).copied().unwrap_or(Next::To(Self::Middle))
    }

    /// Reads a run of bytes: how many, and what they are. The input is not empty.
    pub(super) fn read(&mut self, input: &[u8]) -> (usize, Run) {
        let mut at = 0;
        // Short runs are not worth a block, and nor is what a block was refused for.
        let mut walk_to = WALK;
        while let Some(&byte) = input.get(at) {
            if *self == Self::Middle {
                at = skip(input, at, &mut walk_to);
                let Some(&byte) = input.get(at) else { break };
                *self = if byte == b'\r' { Self::Cr } else { Self::Bare };
                at += 1;
                continue;
            }
            match self.next(byte) {
                Next::To(state) => *self = state,
                Next::End => return (at + 1, Run::End),
                Next::Lookalike if at > 0 => break,
                Next::Lookalike => return (self.read_lookalikes(input), Run::Lookalike),
            }
            at += 1;
        }
        (at, Run::Text)
    }

    /// From a lookalike to the last one that stands close behind another: an attack has thousands,
    /// and none of them is worth a step of its own.
    fn read_lookalikes(&mut self, input: &[u8]) -> usize {
        let mut used = 0;
        let mut state = *self;
        for (at, &byte) in input.iter().enumerate() {
            match state.next(byte) {
                Next::End => break,
                Next::To(_) if at - used >= CLOSE => break,
                Next::To(next) => state = next,
                Next::Lookalike => {
                    (used, state) = (at + 1, Self::Middle);
                    *self = state;
                }
            }
        }
        used
    }

    /// Overwrites every lookalike of a run that begins behind this state.
    pub fn neutralise(mut self, run: &mut [u8], value: u8) {
        for byte in run {
            self = match self.next(*byte) {
                Next::To(next) => next,
                Next::End | Next::Lookalike => {
                    *byte = value;
                    Self::Middle
                }
            };
        }
    }

    /// Reads a run of mail data that the server may be reading as commands instead: text, with what
    /// [`MailData::disown`] leaves of it, or what is harmless to both up to and including the true
    /// end.
    pub(super) fn read_rest(&mut self, input: &[u8]) -> (usize, Rest) {
        // Where what is harmless and came last begins, and what stands before it.
        let mut harmless = (0, *self);
        let mut state = *self;
        for (at, &byte) in input.iter().enumerate() {
            match state.next_disowned(byte) {
                Some(Self::Line) if state == Self::DotCr => {
                    let (start, before) = harmless;
                    *self = if start == 0 { Self::Line } else { before };
                    return if start == 0 { (at + 1, Rest::End) } else { (start, Rest::Text) };
                }
                Some(next) => state = next,
                None => {
                    state = Self::Middle;
                    harmless = (at + 1, state);
                }
            }
        }
        *self = state;
        (input.len(), Rest::Text)
    }

    /// Masks a run of such text that begins behind this state: line ends stay, and a dot that may
    /// begin the true end.
    pub fn disown(mut self, run: &mut [u8], mask: u8) {
        for byte in run {
            let next = self.next_disowned(*byte);
            if next.is_none() {
                *byte = mask;
            }
            self = next.unwrap_or(Self::Middle);
        }
    }

    /// What follows a byte of such text that is harmless to who reads lines and to who reads data.
    const fn next_disowned(self, byte: u8) -> Option<Self> {
        match (self, byte) {
            (Self::Cr | Self::DotCr, b'\n') => Some(Self::Line),
            (Self::Line, b'.') => Some(Self::Dot),
            (Self::Dot, b'\r') => Some(Self::DotCr),
            (Self::DotCr, b'\r') => None,
            (_, b'\r') => Some(Self::Cr),
            _ => None,
        }
    }

    /// Whether these bytes are plain text whatever stands before them in the message: none is part
    /// of an end, true or false.
    #[must_use]
    pub fn is_text_after_anything(bytes: &[u8]) -> bool {
        // Whatever stood before, few bytes lead to one state; the rest is then read once.
        let (head, tail) = bytes.split_at(bytes.len().min(4));
        let mut states = Self::ALL;
        let is_text = |state: &mut Self, run: &[u8]| {
            run.is_empty() || state.read(run) == (run.len(), Run::Text)
        };
        if !states.iter_mut().all(|state| is_text(state, head)) {
            return false;
        }
        let mut seen: Vec<Self> = Vec::with_capacity(states.len());
        states.into_iter().all(|mut state| {
            let is_new = !seen.contains(&state);
            seen.push(state);
            !is_new || is_text(&mut state, tail)
        })
    }
}

/// From inside a line: the place of the next CR or LF that needs a look. Whole blocks of ordinary
/// lines are passed over; each byte is looked at by one block at most.
fn skip(input: &[u8], mut at: usize, walk_to: &mut usize) -> usize {
    let processor = pulp::Arch::new();
    while at >= *walk_to
        && let Some(block) = input.get(at..=at + BLOCK)
    {
        // Stop before a line end at the block's edge: the walk carries it over.
        let before_edge = block.iter().rev().skip(1);
        let tail = before_edge.take_while(|&&b| b == b'\r' || b == b'\n').count();
        let is_ordinary = processor.dispatch(
            #[inline(always)]
            || is_ordinary(block),
        );
        if tail == BLOCK || !is_ordinary {
            *walk_to = at + BLOCK;
            break;
        }
        at += BLOCK - tail;
    }
    let rest = input.get(at..).unwrap_or_default();
    at + memchr2(b'\r', b'\n', rest).unwrap_or(rest.len())
}

/// Whether every CR and LF in a block, given with the byte behind it, stands in a CRLF that no dot
/// and no NUL follows. Written in lanes and without an early exit, so that the compiler makes
/// vectors of it, as wide as the processor of its caller has them.
#[inline(always)]
fn is_ordinary(block: &[u8]) -> bool {
    let (bytes, _) = block.as_chunks::<LANES>();
    let (nexts, _) = block.get(1..).unwrap_or_default().as_chunks::<LANES>();
    let mut odd = [0; LANES];
    for (bytes, nexts) in bytes.iter().zip(nexts) {
        for (odd, (&byte, &next)) in odd.iter_mut().zip(bytes.iter().zip(nexts)) {
            let is_split = mask(byte == b'\r') ^ mask(next == b'\n');
            let is_start = mask(byte == b'\n') & mask(next == b'.' || next == 0);
            *odd |= is_split | is_start;
        }
    }
    block.first() != Some(&b'\n') && odd == [0; LANES]
}

/// What a vector comparison gives.
#[inline(always)]
const fn mask(is_so: bool) -> u8 {
    if is_so { u8::MAX } else { 0 }
}
