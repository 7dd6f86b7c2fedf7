//! Where Exim may take a dot in the middle of a line for the end of the message because its disk is
//! full.
//!
//! Exim (measured: 4.96) that cannot write a byte of a message reads on as if a line began behind
//! it: a dot there, with a line end behind it, ends the message, and the text that follows is run.
//! It writes where the buffer of its spool file is full, which is each 4,096 octets of the file: a
//! line with the message's name, and the body with LF for CRLF. Whether the disk is full nobody can
//! see, so such a dot alone means nothing. But if one of the next lines of the message is a command
//! of which a server does something, the flow ends; behind many lines that are none, Exim would not
//! read on.
//!
//! Only Exim says 354 in these words. Where the header or a line end is of a kind that Exim may
//! read otherwise, the place of a byte in the file is not known, and every such dot counts.

use pulp::Arch;
use serde::{Deserialize, Serialize};

use super::size::LineEnds;

/// What is known of Exim's file of the message under way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Spool {
    stage: Stage,
    before: Before,
    /// Octets of the body in the file, less whole blocks; [`UNKNOWN`] if that is not known.
    octets: u16,
    /// How much has come of Exim's own words; behind a message, of the line: letters of one of
    /// [`COMMANDS`], and sixteen for each command before that.
    spelt: u8,
    /// Lines since the message may have ended for Exim.
    lines: u8,
}

/// How far a message is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
enum Stage {
    /// There is none, or none for Exim as far as was heard.
    #[default]
    None,
    Header,
    /// In a header that Exim may have seen end.
    OddHeader,
    Body,
    /// In a body, and the place in the file is not known.
    OddBody,
    /// The message may have ended for Exim.
    Over,
}

/// What stands before the next byte.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
enum Before {
    /// A CRLF, or nothing.
    #[default]
    Line,
    Cr,
    /// A dot in the middle of a line, with which Exim may begin one.
    Dot,
    Text,
    /// In a header: the name of a field.
    Name,
    /// In a header: blanks behind that.
    NameGap,
    /// In a header: the CR of an empty line.
    EmptyCr,
}

impl Spool {
    /// More of the text behind a 354.
    pub(super) fn hear(&mut self, text: &[u8]) {
        for byte in text {
            let is_next = EXIM.get(usize::from(self.spelt)) == Some(byte);
            if self.stage == Stage::None {
                self.spelt = if is_next { self.spelt + 1 } else { OTHER };
            }
            if usize::from(self.spelt) == EXIM.len() {
                (self.stage, self.spelt) = (Stage::Header, OTHER);
            }
        }
    }

    /// Whether the message goes to an Exim.
    pub(super) const fn is_exims(&self) -> bool {
        !matches!(self.stage, Stage::None)
    }

    /// The message is over.
    pub(super) fn end(&mut self) {
        *self = Self::default();
    }

    /// Reads more of the message: whether what follows may be run that must not.
    pub(super) fn read(&mut self, bytes: &[u8]) -> bool {
        let mut rest = bytes;
        while let [byte, behind @ ..] = rest {
            if matches!(self.stage, Stage::Header | Stage::OddHeader) {
                self.read_header(*byte);
                rest = behind;
                continue;
            }
            let quiet = self.quiet().min(rest.len());
            if quiet >= QUIET_MIN {
                let (run, behind) = rest.split_at(quiet);
                // One that is odd is stepped through.
                rest = if self.pass(run) { behind } else { rest };
                continue;
            }
            if self.step(*byte) {
                return true;
            }
            rest = behind;
        }
        false
    }

    /// How many bytes surely come before one that could be the dot.
    fn quiet(&self) -> usize {
        let knows = self.stage == Stage::Body && self.before == Before::Text;
        let left = |at: u16| usize::from((at + BLOCK - self.octets % BLOCK) % BLOCK);
        if knows { AT.map(left).into_iter().min().unwrap_or(0) } else { 0 }
    }

    /// Takes bytes of lines that all end in CR LF; others make the place unknown.
    fn pass(&mut self, bytes: &[u8]) -> bool {
        let (pairs, dots) = Arch::new().dispatch(LineEnds(bytes));
        let of = |byte: u8| memchr::memchr_iter(byte, bytes).count();
        let (crs, lfs) = (of(b'\r'), of(b'\n'));
        let is_open = bytes.last() == Some(&b'\r');
        if lfs != pairs || crs != pairs + usize::from(is_open) {
            self.stage = Stage::OddBody;
            return false;
        }
        let count = bytes.len() - pairs - dots;
        self.octets =
            (self.octets + u16::try_from(count % usize::from(BLOCK)).unwrap_or(0)) % BLOCK;
        self.before = match bytes {
            [.., b'\n'] => Before::Line,
            [.., b'\r'] => Before::Cr,
            _ => Before::Text,
        };
        true
    }

    /// Takes a byte of the body: whether a command's last letter comes with it.
    fn step(&mut self, byte: u8) -> bool {
        let before = self.before;
        let is_odd = (before == Before::Cr) != (byte == b'\n');
        if is_odd || self.stage == Stage::OddBody {
            self.octets = UNKNOWN;
        }
        if before == Before::Dot && matches!(byte, b'\r' | b'\n') {
            (self.stage, self.lines) = (Stage::Over, 0);
        } else if self.stage == Stage::Body && is_odd {
            self.stage = Stage::OddBody;
        }
        let is_there = self.octets == UNKNOWN || AT.contains(&self.octets);
        let is_stuffing = before == Before::Line && byte == b'.';
        if !is_stuffing && byte != b'\n' && self.octets != UNKNOWN {
            self.octets = (self.octets + 1) % BLOCK;
        }
        self.before = match byte {
            b'\n' => Before::Line,
            b'\r' => Before::Cr,
            b'.' if is_there && !is_stuffing => Before::Dot,
            _ => Before::Text,
        };
        self.stage == Stage::Over && self.spell(byte)
    }

    /// Whether the line is one of the commands with this byte.
    fn spell(&mut self, byte: u8) -> bool {
        if byte == b'\n' {
            self.spelt = 0;
            self.lines += 1;
            if self.lines > LINES_MAX {
                let is_odd = self.octets == UNKNOWN;
                self.stage = if is_odd { Stage::OddBody } else { Stage::Body };
                (self.lines, self.spelt) = (0, OTHER);
            }
            return false;
        }
        let (number, letters) = (usize::from(self.spelt / 16), usize::from(self.spelt % 16));
        let so_far = COMMANDS.get(number).and_then(|command| command.get(..letters));
        let Some(so_far) = so_far else { return false };
        let goes_on = |command: &&[u8]| {
            command.starts_with(so_far) && command.get(letters) == Some(&byte.to_ascii_uppercase())
        };
        let next = COMMANDS.iter().position(goes_on).and_then(|next| u8::try_from(next).ok());
        self.spelt = next.map_or(OTHER, |next| next * 16 + self.spelt % 16 + 1);
        let is_whole = |number: u8| COMMANDS.get(usize::from(number)).map(|whole| whole.len());
        next.and_then(is_whole) == Some(letters + 1)
    }

    /// Takes a byte of the header: what is no field, Exim may take for the body.
    fn read_header(&mut self, byte: u8) {
        let (before, is_blank) = (self.before, matches!(byte, b' ' | b'\t'));
        let is_of_name = matches!(byte, b'!'..=b'~') && byte != b':';
        let is_right = match before {
            Before::Line => is_of_name || is_blank || byte == b'\r',
            Before::Name => is_of_name || is_blank || byte == b':',
            Before::NameGap => is_blank || byte == b':',
            Before::Cr | Before::EmptyCr => byte == b'\n',
            Before::Text | Before::Dot => byte != b'\n',
        };
        self.stage = match (before, self.stage) {
            (_, Stage::Header) if !is_right => Stage::OddHeader,
            (Before::EmptyCr, Stage::Header) => Stage::Body,
            (Before::EmptyCr, Stage::OddHeader) => Stage::OddBody,
            (_, stage) => stage,
        };
        self.before = match (before, byte) {
            (Before::Line, b'\r') => Before::EmptyCr,
            (_, b'\r') => Before::Cr,
            (_, b'\n') => Before::Line,
            (Before::Line, _) if !is_blank => Before::Name,
            (Before::Name | Before::NameGap, _) if is_blank => Before::NameGap,
            (Before::Name, _) if byte != b':' => Before::Name,
            _ => Before::Text,
        };
    }
}

/// With what Exim answers DATA.
const EXIM: &[u8] = b"Enter message, ending with";

/// Nothing of any of these.
const OTHER: u8 = u8::MAX;

/// What is written at once: the size of the C library's buffer.
const BLOCK: u16 = 4_096;

/// So many octets of a body, less whole blocks, stand before the dot: one more than a block has,
/// with the line before them, of 19 octets (26 since Exim 4.97).
const AT: [u16; 2] = [BLOCK + 1 - 19, BLOCK + 1 - 26];

/// No number of octets.
const UNKNOWN: u16 = u16::MAX;

/// Lines that Exim reads at most without one of [`COMMANDS`]: it leaves behind three that it does
/// not know, three that are faulty, and ten that bring no message (its presets).
const LINES_MAX: u8 = 32;

/// So few bytes are stepped through.
const QUIET_MIN: usize = 32;

/// Commands that do something where no transaction is under way, or begin one, as Exim reads them.
const COMMANDS: [&[u8]; 7] =
    [b"MAIL FROM:", b"RCPT TO:", b"EXPN ", b"VRFY ", b"ETRN ", b"AUTH ", b"STARTTLS"];

#[cfg(test)]
mod tests;
