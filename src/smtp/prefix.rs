//! The header of the PROXY protocol, with which a load balancer says whom it speaks for: the first
//! bytes of a connection, before anything of SMTP, and nothing answers them. A server that knows
//! nothing of it refuses it as a line, and each reply behind that seems to answer the next command:
//! so the first that is no greeting must not be a refusal, unless the client had waited for the
//! greeting before it said more: by then such a server has refused the header. Who greets with a
//! refusal (550, as Exim does) refuses the client; a line is refused with 50z (RFC 5321 4.2.1).
//!
//! Version 1 is a line of text of at most 107 bytes, version 2 a signature, a length, and as many
//! bytes. A client that begins otherwise has sent no header.

use serde::{Deserialize, Serialize};

use super::reply::{is_leaving, is_permanent};
use super::{Answers, Dialogue, Event, Fault, Step};

/// How far the header has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Prefix {
    /// Nothing has come.
    Start,
    /// Bytes of version 1 so far.
    Line(u8),
    /// The CR of its end has come.
    LineEnd,
    /// Bytes of version 2 so far, up to its length.
    Binary(u8),
    /// All but the last byte of the length, of which this is the first.
    Length(u8),
    /// Bytes that are yet to come.
    Rest(u16),
    /// It has come whole, and no command was answered since.
    Whole,
    /// The same, and the server has greeted before the client said anything more: what refuses the
    /// header comes before any command does.
    Greeted,
}

/// What a run of bytes was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Found {
    /// The header goes on.
    More(Prefix),
    /// It has come whole.
    End,
    /// No header is there.
    Nothing,
    /// What began like one is none.
    Broken,
}

impl Prefix {
    /// Whether more of it may come.
    pub(super) const fn is_under_way(self) -> bool {
        !matches!(self, Self::Whole | Self::Greeted)
    }

    /// Reads a run of bytes, which is not empty: how many, and what they are.
    pub(super) fn read(self, input: &[u8]) -> (usize, Found) {
        let mut state = self;
        for (at, &byte) in input.iter().enumerate() {
            if let Self::Rest(left) = state {
                let length = input.len() - at;
                let used = length.min(usize::from(left));
                let left = left - u16::try_from(used).unwrap_or(left);
                let found = if left == 0 { Found::End } else { Found::More(Self::Rest(left)) };
                return (at + used, found);
            }
            let found = state.next(byte);
            let Found::More(next) = found else { return (at + 1, found) };
            state = next;
        }
        (input.len(), Found::More(state))
    }

    fn next(self, byte: u8) -> Found {
        match self {
            Self::Start if byte == b'P' => Found::More(Self::Line(1)),
            Self::Start if byte == b'\r' => Found::More(Self::Binary(1)),
            Self::Start => Found::Nothing,
            Self::Line(length) => {
                let is_right = match LINE.get(usize::from(length)) {
                    Some(&expected) => byte == expected,
                    None => matches!(byte, b' '..=b'~' | b'\r'),
                };
                match byte {
                    _ if !is_right || length >= LINE_BYTES_MAX - 1 => Found::Broken,
                    b'\r' => Found::More(Self::LineEnd),
                    _ => Found::More(Self::Line(length + 1)),
                }
            }
            Self::LineEnd => {
                if byte == b'\n' {
                    Found::End
                } else {
                    Found::Broken
                }
            }
            Self::Binary(length) => {
                let is_right = match SIGNATURE.get(usize::from(length)) {
                    Some(&expected) => byte == expected,
                    None if length == COMMAND_AT => matches!(byte, 0x20 | 0x21),
                    None if length == COMMAND_AT + 1 => {
                        matches!(byte, 0x00 | 0x11 | 0x12 | 0x21 | 0x22 | 0x31 | 0x32)
                    }
                    None => return Found::More(Self::Length(byte)),
                };
                if is_right { Found::More(Self::Binary(length + 1)) } else { Found::Broken }
            }
            Self::Length(high) => match u16::from_be_bytes([high, byte]) {
                0 => Found::End,
                length if length <= REST_BYTES_MAX => Found::More(Self::Rest(length)),
                _ => Found::Broken,
            },
            Self::Rest(_) | Self::Whole | Self::Greeted => Found::Broken,
        }
    }
}

impl Dialogue {
    /// A run of the header, if there is one.
    pub(super) fn read_prefix(&mut self, prefix: Prefix, input: &[u8]) -> Option<Step> {
        if !prefix.is_under_way() {
            return None;
        }
        let (used, found) = prefix.read(input);
        self.prefix = match found {
            Found::More(prefix) => Some(prefix),
            Found::End => Some(Prefix::Whole),
            Found::Nothing | Found::Broken => None,
        };
        let fault = (found == Found::Broken).then_some(Fault::BrokenPrefix);
        let event = Event::Prefix { is_end: found == Found::End };
        (found != Found::Nothing).then_some(Step { fault, ..Step::of(used, event) })
    }

    /// A reply with this code has come, which may be the server's to a header it does not know.
    pub(super) fn refuses_prefix(&mut self, code: u16, answers: Answers) -> bool {
        let was_greeted = match self.prefix {
            Some(Prefix::Whole) => false,
            Some(Prefix::Greeted) => true,
            Some(_) | None => return false,
        };
        if answers != Answers::Connection {
            self.prefix = None;
        } else if self.is_last_word() {
            self.prefix = Some(Prefix::Greeted);
        }
        let is_greeting = answers == Answers::Connection && code / 10 != 50;
        let is_due = is_greeting || (was_greeted && answers != Answers::Nothing);
        is_permanent(code) && !is_leaving(code) && !is_due
    }
}

/// How a header of version 1 begins.
const LINE: &[u8] = b"PROXY ";

/// Its longest, CR LF included, by its specification.
const LINE_BYTES_MAX: u8 = 107;

/// How one of version 2 begins.
const SIGNATURE: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";

/// Where the byte with version and command stands.
const COMMAND_AT: u8 = 12;

/// What follows its length at most: two addresses of any family, and what a balancer adds.
const REST_BYTES_MAX: u16 = 4_096;
