//! Message data: where it ends, and what only looks like its end.
//!
//! The end is exactly CRLF.CRLF, found across any segmentation from one byte of state and never
//! delayed (RFC 5321 4.1.1.4). Everything else that some server takes for an end contains one byte
//! that this machine names a lookalike, so that one byte's change makes it harmless:
//!
//! | state          | CR    | LF        | `.`       | NUL       | other |
//! |----------------|-------|-----------|-----------|-----------|-------|
//! | Middle of line | Cr    | Bare      | Middle    | Middle    | Middle |
//! | Cr             | Cr    | Line      | lookalike | Middle    | Middle |
//! | Line start     | Cr    | Bare      | Dot       | lookalike | Middle |
//! | Bare LF        | Cr    | Bare      | lookalike | lookalike | Middle |
//! | Dot            | DotCr | lookalike | Middle    | lookalike | Middle |
//! | DotCr          | lookalike | END   | Middle    | lookalike | Middle |
//!
//! Behind a lookalike the state is Middle. A NUL counts only where it could hide a line start from
//! us and not from a server that drops NULs; elsewhere it is the message's own business.

use memchr::memchr2;

/// What a run of message bytes is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Run {
    /// Message text.
    Text,
    /// One byte that makes a false end.
    Lookalike,
    /// Text up to and including the true end.
    End,
}

/// What stands before the next byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Body {
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
    /// CRLF, a dot and CR.
    DotCr,
}

enum Next {
    To(Body),
    Lookalike,
    End,
}

/// Bytes looked at in one vectorised step; a block with anything unusual is walked instead.
const BLOCK: usize = 16 * LANES;

/// Bytes taken together in that step.
const LANES: usize = 64;

/// Bytes walked before the first such step.
const WALK: usize = 64;

impl Body {
    /// Every state, in order.
    pub const ALL: [Self; 6] =
        [Self::Middle, Self::Cr, Self::Line, Self::Bare, Self::Dot, Self::DotCr];

    const fn next(self, byte: u8) -> Next {
        match (self, byte) {
            (Self::Dot, b'\r') => Next::To(Self::DotCr),
            (Self::DotCr, b'\n') => Next::End,
            (Self::Dot, b'\n') | (Self::DotCr, b'\r') => Next::Lookalike,
            (Self::Cr | Self::Bare, b'.') => Next::Lookalike,
            (Self::Line | Self::Bare | Self::Dot | Self::DotCr, 0) => Next::Lookalike,
            (Self::Cr, b'\n') => Next::To(Self::Line),
            (Self::Line, b'.') => Next::To(Self::Dot),
            (_, b'\r') => Next::To(Self::Cr),
            (_, b'\n') => Next::To(Self::Bare),
            _ => Next::To(Self::Middle),
        }
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
                Next::Lookalike => {
                    *self = Self::Middle;
                    return (1, Run::Lookalike);
                }
            }
            at += 1;
        }
        (at, Run::Text)
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
