//! UTF-8 as RFC 3629 has it, byte by byte: no overlong form, no surrogate, nothing beyond U+10FFFF.

use serde::{Deserialize, Serialize};

/// What the rest of a character has to be.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Utf8 {
    /// Bytes that are due.
    left: u8,
    /// The next of them is at least this, and at most so much more.
    low: u8,
    room: u8,
}

impl Utf8 {
    /// Whether the rest of a character is due.
    pub(super) const fn is_due(self) -> bool {
        self.left > 0
    }

    /// Takes a byte of a character beyond ASCII, if it may come here.
    pub(super) const fn push(&mut self, byte: u8) -> bool {
        if self.left > 0 {
            let is_next = byte >= self.low && byte - self.low <= self.room;
            *self = Self { left: self.left - 1, low: FIRST, room: ROOM };
            return is_next;
        }
        let (left, low, room) = match byte {
            0xc2..=0xdf => (1, FIRST, ROOM),
            0xe0 => (2, 0xa0, 0x1f),
            0xed => (2, FIRST, 0x1f),
            0xe1..=0xef => (2, FIRST, ROOM),
            0xf0 => (3, 0x90, 0x2f),
            0xf1..=0xf3 => (3, FIRST, ROOM),
            0xf4 => (3, FIRST, 0x0f),
            _ => return false,
        };
        *self = Self { left, low, room };
        true
    }
}

/// Continuation bytes, the first and how many follow it.
const FIRST: u8 = 0x80;
const ROOM: u8 = 0x3f;

#[cfg(test)]
mod tests {
    use super::*;

    /// Every sequence of up to four of the bytes at which a rule begins or ends.
    #[test]
    fn what_is_taken_is_what_the_standard_library_reads() {
        const EDGES: [u8; 19] = [
            0x80, 0x8f, 0x90, 0x9f, 0xa0, 0xbf, 0xc1, 0xc2, 0xdf, 0xe0, 0xe1, 0xec, 0xed, 0xee,
            0xef, 0xf0, 0xf1, 0xf4, 0xf5,
        ];
        let mut all: Vec<Vec<u8>> = vec![Vec::new()];
        for length in 0..4 {
            let longer: Vec<Vec<u8>> = all
                .iter()
                .filter(|bytes| bytes.len() == length)
                .flat_map(|bytes| EDGES.map(|byte| [&bytes[..], &[byte]].concat()))
                .collect();
            all.extend(longer);
        }
        for bytes in all {
            let mut utf8 = Utf8::default();
            let is_taken = bytes.iter().all(|byte| utf8.push(*byte));
            // What is only cut short has no length of what is wrong.
            let read = std::str::from_utf8(&bytes);
            let is_read = read.as_ref().map_or_else(|error| error.error_len().is_none(), |_| true);
            assert_eq!(
                (is_taken, is_taken && !utf8.is_due()),
                (is_read, read.is_ok()),
                "{bytes:x?}"
            );
        }
        for byte in [0xf2, 0xf3] {
            let mut utf8 = Utf8::default();
            assert!([byte, 0x80, 0x80, 0x80].into_iter().all(|byte| utf8.push(byte)));
            assert!(!utf8.is_due());
        }
    }
}
