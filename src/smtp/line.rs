//! A command line, byte by byte.
//!
//! ```text
//!   Word ──SP,TAB──► Argument, Chunk ──CR──► Cr ──LF──► (line end)
//!     └──────CR─────────────────────────────►┘└─other─► Stray, until the line end
//! ```
//! Every server tried ends a line at a bare LF, and none at a bare CR (tcp.md 3.2's measurements):
//! so a LF ends the line here, with or without a CR, and what stands behind a bare CR or a NUL is
//! stray.

use memchr::memchr3;

use super::chunk::ChunkSize;
use super::{Event, Verb, Word};

/// Where in a command line the next byte stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    Word,
    Argument,
    /// The argument of BDAT, which says how many bytes behind the line are no lines.
    Chunk(ChunkSize),
    Stray,
}

/// The line under way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct CommandLine {
    word: Word,
    place: Place,
    is_after_cr: bool,
    /// The guard changes the rest of the line: the server will read no verb in it but the letters
    /// that had left already.
    refused_at: Option<Word>,
    /// Digits of a chunk size have left, and something that servers read differently behind them.
    is_doubtful: bool,
}

impl CommandLine {
    pub(super) fn new() -> Self {
        Self {
            word: Word::default(),
            place: Place::Word,
            is_after_cr: false,
            refused_at: None,
            is_doubtful: false,
        }
    }

    /// A line whose beginning was not read as one: nothing in it is a verb.
    pub(super) fn stray() -> Self {
        Self { place: Place::Stray, refused_at: Some(Word::default()), ..Self::new() }
    }

    pub(super) fn is_at_start(&self) -> bool {
        *self == Self::new()
    }

    /// The first word that the server reads.
    pub(super) fn word_sent(&self) -> Word {
        self.refused_at.unwrap_or(self.word)
    }

    pub(super) const fn is_refused(&self) -> bool {
        self.refused_at.is_some()
    }

    /// How many octets follow the line, if it is a BDAT that the server gets as it is.
    pub(super) fn chunk(&self) -> Option<u32> {
        match self.place {
            Place::Chunk(size) if !self.is_refused() => size.octets(),
            Place::Chunk(_) | Place::Word | Place::Argument | Place::Stray => None,
        }
    }

    /// Whether some servers would count octets behind the line and others none: Exim takes the
    /// digits of `BDAT 5 LASX` for a size, Postfix hangs up, another answers 501.
    pub(super) fn is_doubtful(&self) -> bool {
        let is_open = match self.place {
            Place::Chunk(size) => size.has_digits() && self.chunk().is_none(),
            Place::Word | Place::Argument | Place::Stray => self.is_doubtful,
        };
        is_open && self.word_sent().verb() == Some(Verb::Bdat)
    }

    /// From the byte just read on, the line leaves masked.
    pub(super) fn refuse(&mut self) {
        if self.refused_at.is_none() {
            let mut sent = Word::default();
            let length = self.word.as_bytes().len();
            let kept = if self.place == Place::Word { length.saturating_sub(1) } else { length };
            for &byte in self.word.as_bytes().iter().take(kept) {
                sent.push(byte);
            }
            self.refused_at = Some(sent);
        }
    }

    /// Reads a run of bytes: how many, and what they are. The input is not empty.
    pub(super) fn read(&mut self, input: &[u8], offers_chunking: bool) -> (usize, Event) {
        let first = input.first().copied().unwrap_or_default();
        if first == b'\n' {
            let is_bare = !self.is_after_cr;
            return (1, Event::CommandEnd { is_bare });
        }
        let was_after_cr = std::mem::replace(&mut self.is_after_cr, first == b'\r');
        if first == b'\r' {
            return (1, Event::CommandCr);
        }
        if was_after_cr || first == 0 {
            self.go_astray();
        }
        match self.place {
            Place::Word if first == b' ' || first == b'\t' => self.end_word(offers_chunking),
            Place::Word => {
                self.word.push(first);
                (1, Event::CommandWord(self.word))
            }
            Place::Argument => (run(input), Event::CommandArgument(self.word)),
            Place::Chunk(size) => {
                if let Some(next) = size.push(first) {
                    self.place = Place::Chunk(next);
                    return (1, Event::CommandArgument(self.word));
                }
                self.go_astray();
                (1, Event::CommandStray)
            }
            Place::Stray => (run(input), Event::CommandStray),
        }
    }

    fn go_astray(&mut self) {
        self.is_doubtful |= matches!(self.place, Place::Chunk(size) if size.has_digits());
        self.place = Place::Stray;
    }

    /// BDAT is a command only for a server that offers CHUNKING: another would read the octets
    /// behind it as lines.
    fn end_word(&mut self, offers_chunking: bool) -> (usize, Event) {
        let is_chunk = self.word.verb() == Some(Verb::Bdat);
        if is_chunk && !offers_chunking {
            self.place = Place::Stray;
            return (1, Event::CommandStray);
        }
        self.place = if is_chunk { Place::Chunk(ChunkSize::Before) } else { Place::Argument };
        (1, Event::CommandGap(self.word))
    }
}

/// Bytes up to the next CR, LF or NUL; at least one.
fn run(input: &[u8]) -> usize {
    let rest = input.get(1..).unwrap_or_default();
    memchr3(b'\r', b'\n', 0, rest).map_or(input.len(), |at| at + 1)
}
