//! Mail data (RFC 5321 4.1.1.4): where it ends, and what only looks like its end.
//!
//! The end is exactly CRLF.CRLF, found across any segmentation from one byte of state and never
//! delayed. Everything else that some server takes for an end contains one byte that this machine
//! names a lookalike, so that one byte's change makes it harmless:
//!
//! | state          | CR        | LF        | `.`     | NUL       | blank   | other   |
//! |----------------|-----------|-----------|---------|-----------|---------|---------|
//! | Middle of line | Cr        | Bare      | Middle  | Middle    | Middle  | Middle  |
//! | Cr             | Cr        | Line      | BareDot | Bare      | Middle  | Middle  |
//! | Line start     | Cr        | Bare      | Dot     | Bare      | Middle  | Middle  |
//! | Bare LF        | Cr        | Bare      | BareDot | Bare      | Middle  | Middle  |
//! | Dot            | DotCr     | lookalike | DotByte | lookalike | BareDot | DotByte |
//! | BareDot        | lookalike | lookalike | DotByte | lookalike | BareDot | DotByte |
//! | DotCr          | lookalike | END       | BareDot | lookalike | BareDot | Middle  |
//! | DotByte        | Cr        | lookalike | Middle  | DotByte   | Middle  | Middle  |
//!
//! Behind a lookalike the state is DotByte, where the changed byte stands. Where lookalikes stay
//! ([`FalseEnds::Kept`]) they are text like any other, and may begin the true end. A dot behind a
//! lone CR or LF is the text's own (a line `.profile`); what would make a line of it alone is the
//! lookalike, with blanks of any alphabet behind it too, which some servers strip (slimta), or with
//! any byte and a LF alone (James counts three). A NUL behind a line end is dropped by some servers
//! (sendmail), so a line may still begin behind it, though never the true end; behind a dot that
//! begins a line others stop at it, so there it is a lookalike.

use serde::{Deserialize, Serialize};

use super::sweep::{BLOCK, Machine, Next, Plain, Sweep, Swept};

/// What a run of message bytes is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Run {
    /// Message text, and what of it is plain.
    Text(Plain),
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

/// What becomes of lookalikes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FalseEnds {
    /// They leave as something else.
    Changed,
    /// They leave as they came.
    Kept,
}

impl FalseEnds {
    fn machine(self) -> &'static Machine {
        match self {
            Self::Changed => &Machine::DATA,
            Self::Kept => &Machine::KEPT,
        }
    }
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
    /// LF without CR, or a line end and NULs.
    Bare,
    /// CRLF and a dot.
    Dot,
    /// A dot that begins a line for some server, and blanks or none.
    BareDot,
    /// CRLF, a dot and CR.
    DotCr,
    /// Such a dot and one byte more, or what was changed.
    DotByte,
}

/// Lookalikes with no more bytes of text between them make one run: some twenty steps of the table
/// cost as much as a step of the dialogue.
const CLOSE: usize = 16;

/// Bytes of one such run.
const CROWD: usize = 64;

impl MailData {
    /// Every state, in order.
    pub const ALL: [Self; 8] = [
        Self::Middle,
        Self::Cr,
        Self::Line,
        Self::Bare,
        Self::Dot,
        Self::BareDot,
        Self::DotCr,
        Self::DotByte,
    ];

    /// What a byte leads to.
    pub(super) const fn ruled(self, byte: u8) -> Next {
        match (self, byte) {
            (Self::Dot, b'\r') => Next::To(Self::DotCr),
            (Self::DotCr, b'\n') => Next::End,
            (Self::Dot | Self::DotByte, b'\n') | (Self::DotCr, b'\r') => Next::Changed,
            (Self::BareDot, b'\r' | b'\n') => Next::Changed,
            (Self::Dot | Self::BareDot | Self::DotCr, byte) if is_stripped(byte) => {
                Next::To(Self::BareDot)
            }
            (Self::Middle | Self::DotByte, 0) => Next::To(self),
            (Self::Cr | Self::Line | Self::Bare, 0) => Next::To(Self::Bare),
            (_, 0) => Next::Changed,
            (Self::Cr, b'\n') => Next::To(Self::Line),
            (Self::Line, b'.') => Next::To(Self::Dot),
            (Self::Cr | Self::DotCr | Self::Bare, b'.') => Next::To(Self::BareDot),
            (_, b'\r') => Next::To(Self::Cr),
            (_, b'\n') => Next::To(Self::Bare),
            (Self::Dot | Self::BareDot, _) => Next::To(Self::DotByte),
            _ => Next::To(Self::Middle),
        }
    }

    /// What a byte leads to where lookalikes stay.
    pub(super) const fn ruled_kept(self, byte: u8) -> Next {
        match (self.ruled(byte), byte) {
            (Next::Changed, b'\r') => Next::To(Self::Cr),
            (Next::Changed, b'\n') => Next::To(Self::Bare),
            (Next::Changed, _) => Next::To(Self::Middle),
            (next, _) => next,
        }
    }

    /// What a byte of text leads to that the server may be reading as commands: line ends stay, and
    /// a dot that may begin the true end, since they are harmless to who reads lines and to who
    /// reads data.
    pub(super) const fn ruled_disowned(self, byte: u8) -> Next {
        match (self, byte) {
            (Self::DotCr, b'\n') => Next::End,
            (Self::Cr, b'\n') => Next::To(Self::Line),
            (Self::Line, b'.') => Next::To(Self::Dot),
            (Self::Dot, b'\r') => Next::To(Self::DotCr),
            (Self::DotCr, b'\r') => Next::Changed,
            (_, b'\r') => Next::To(Self::Cr),
            _ => Next::Changed,
        }
    }

    /// Whether the next byte stands inside a line, which it does behind an ordinary first one: that
    /// is taken.
    fn is_in_line(&mut self, input: &[u8], at: &mut usize) -> bool {
        let next = input.get(*at).map(|&byte| self.ruled(byte));
        if *self != Self::Middle && matches!(next, Some(Next::To(Self::Middle))) {
            (*self, *at) = (Self::Middle, *at + 1);
        }
        *self == Self::Middle
    }

    /// Reads a run of bytes: how many, and what they are. The input is not empty.
    pub(super) fn read(&mut self, input: &[u8], false_ends: FalseEnds) -> (usize, Run) {
        let mut sweep = Sweep::for_runs(false_ends.machine());
        let mut at = 0;
        loop {
            if self.is_in_line(input, &mut at) {
                at = sweep.pass_text(input, at);
            }
            let Some(rest) = input.get(at..).filter(|rest| !rest.is_empty()) else { break };
            let (used, is_stopped);
            (used, is_stopped, *self) = sweep.read(*self, rest);
            at += used;
            if !is_stopped {
                continue;
            }
            let stop = rest.get(used).map_or(Next::Changed, |&byte| self.ruled(byte));
            if matches!(stop, Next::End) {
                return (at + 1, Run::End);
            }
            if at == 0 {
                return (self.read_lookalikes(input), Run::Lookalike);
            }
            break;
        }
        (at, Run::Text(sweep.plain))
    }

    /// From a lookalike to the last one that stands close behind another: an attack has thousands,
    /// and none of them is worth a step of its own.
    fn read_lookalikes(&mut self, input: &[u8]) -> usize {
        let mut used = 0;
        let mut state = *self;
        for (at, &byte) in input.iter().take(CROWD).enumerate() {
            match state.ruled(byte) {
                Next::End => break,
                Next::To(_) if at - used >= CLOSE => break,
                Next::To(next) => state = next,
                Next::Changed => {
                    (used, state) = (at + 1, Self::DotByte);
                    *self = state;
                }
            }
        }
        used
    }

    /// Overwrites every lookalike of a run that begins behind this state.
    pub fn neutralise(mut self, run: &mut [u8], value: u8) {
        for byte in run {
            self = match self.ruled(*byte) {
                Next::To(next) => next,
                Next::End | Next::Changed => {
                    *byte = value;
                    Self::DotByte
                }
            };
        }
    }

    /// Reads bytes up to and including the true end, or all there are, and writes `value`, if there
    /// is one, over every lookalike; else they stay.
    pub(super) fn sweep(&mut self, input: &mut [u8], value: Option<u8>) -> Swept {
        let false_ends = if value.is_some() { FalseEnds::Changed } else { FalseEnds::Kept };
        let mut sweep = Sweep::new(false_ends.machine());
        let mut swept = Swept::default();
        while !swept.is_end {
            if self.is_in_line(input, &mut swept.used) {
                swept.used = sweep.pass_text(input, swept.used);
            }
            let rest = input.get_mut(swept.used..).unwrap_or_default();
            if rest.is_empty() {
                break;
            }
            *self = sweep.change(*self, rest, value, &mut swept);
        }
        swept.plain = sweep.plain;
        swept
    }

    /// The same where the server may be reading commands: whatever is no line end, and no part of
    /// the true end, becomes `value`.
    pub(super) fn sweep_disowned(&mut self, input: &mut [u8], value: u8) -> Swept {
        let sweep = Sweep::new(&Machine::DISOWNED);
        let mut swept = Swept::default();
        while !swept.is_end {
            let rest = input.get_mut(swept.used..).unwrap_or_default();
            if rest.is_empty() {
                break;
            }
            let is_text = matches!(self, Self::Middle | Self::DotByte)
                && sweep.fill_text(rest, value, &mut swept);
            if !is_text {
                *self = sweep.change(*self, rest, Some(value), &mut swept);
            }
        }
        swept
    }

    /// Where the message ends, if it does among these bytes: behind its true end.
    pub(super) fn find_end(mut self, input: &[u8], false_ends: FalseEnds) -> Option<usize> {
        let mut sweep = Sweep::new(false_ends.machine());
        let mut at = 0;
        while at < input.len() {
            if self.is_in_line(input, &mut at) {
                at = sweep.pass_text(input, at);
            }
            let rest = input.get(at..).unwrap_or_default();
            if let Some(end) = sweep.find_end(&mut self, rest) {
                return Some(at + end);
            }
            at += rest.len().min(BLOCK);
        }
        None
    }

    /// Reads a run of mail data that the server may be reading as commands instead: text, with what
    /// [`MailData::disown`] leaves of it, or what is harmless to both up to and including the true
    /// end.
    pub(super) fn read_rest(&mut self, input: &[u8]) -> (usize, Rest) {
        // Where what is harmless and came last begins.
        let mut harmless = 0;
        let mut state = *self;
        for (at, &byte) in input.iter().enumerate() {
            match state.ruled_disowned(byte) {
                Next::End if harmless == 0 => {
                    *self = Self::Line;
                    return (at + 1, Rest::End);
                }
                Next::End => {
                    *self = Self::DotByte;
                    return (harmless, Rest::Text);
                }
                Next::To(next) => state = next,
                Next::Changed => (harmless, state) = (at + 1, Self::DotByte),
            }
        }
        *self = state;
        (input.len(), Rest::Text)
    }

    /// Masks a run of such text that begins behind this state.
    pub fn disown(mut self, run: &mut [u8], mask: u8) {
        for byte in run {
            self = match self.ruled_disowned(*byte) {
                Next::To(next) => next,
                Next::End => Self::Line,
                Next::Changed => {
                    *byte = mask;
                    Self::DotByte
                }
            };
        }
    }

    /// Whether these bytes are plain text whatever stands before them in the message: none is part
    /// of an end, true or false.
    #[must_use]
    pub fn is_text_after_anything(bytes: &[u8]) -> bool {
        // Two bytes that are text behind every state lead to few: the rest is read once for each.
        let (head, tail) = bytes.split_at(bytes.len().min(2));
        let is_text = |state: &mut Self, run: &[u8]| {
            let mut read = || state.read(run, FalseEnds::Changed);
            run.is_empty() || matches!(read(), (used, Run::Text(_)) if used == run.len())
        };
        let mut states = Self::ALL;
        let is_head = states.iter_mut().all(|state| is_text(state, head));
        let mut behind = Self::ALL.into_iter().filter(|state| states.contains(state));
        is_head && behind.all(|mut state| is_text(&mut state, tail))
    }
}

/// What who strips lines takes away behind a dot: all up to the blank (Java's `String.trim()`), and
/// what the blanks of Unicode are made of in UTF-8 (Rust's `str::trim_end()`, JavaScript's
/// `trim()`), or are in Latin-1.
const fn is_stripped(byte: u8) -> bool {
    matches!(
        byte,
        1..=b' '
            | 0x80..=0x8b
            | 0x8e
            | 0x9a
            | 0x9f
            | 0xa0
            | 0xa8
            | 0xa9
            | 0xaf
            | 0xbb
            | 0xbf
            | 0xc2
            | 0xe1..=0xe3
            | 0xef
    )
}
