//! What a client says in clear behind the hellos (RFC 5246 7.3), as far as it decides whether there
//! can be keys: its messages may lie in records as they like.

use serde::{Deserialize, Serialize};

/// The message that keys are made of (RFC 5246 7.4.7).
const CLIENT_KEY_EXCHANGE: u8 = 16;

/// Bytes of a message before its body: its type, and a length of three.
const HEAD: u8 = 4;

/// The messages so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "Form", into = "Form")]
pub(super) struct Flight {
    /// The type of the message under way.
    kind: u8,
    /// Bytes of its head so far.
    head: u8,
    /// Its length as far as that is known, and of its body what is yet to come.
    left: u32,
    has_key_exchange: bool,
}

/// The same in an image. In format 9 it said whether anything had come, which is what the
/// first two are written as.
#[derive(Serialize, Deserialize)]
enum Form {
    Nothing,
    Keys,
    Within { kind: u8, head: u8, left: u32, has_key_exchange: bool },
}

impl From<Form> for Flight {
    fn from(form: Form) -> Self {
        match form {
            Form::Nothing => Self::default(),
            Form::Keys => Self { has_key_exchange: true, ..Self::default() },
            Form::Within { kind, head, left, has_key_exchange } => {
                Self { kind, head, left, has_key_exchange }
            }
        }
    }
}

impl From<Flight> for Form {
    fn from(flight: Flight) -> Self {
        let Flight { kind, head, left, has_key_exchange } = flight;
        match (head, has_key_exchange) {
            (0, false) => Self::Nothing,
            (0, true) => Self::Keys,
            _ => Self::Within { kind, head, left, has_key_exchange },
        }
    }
}

impl Flight {
    /// Whether there can be keys: the message they are made of is whole, and none has begun since.
    pub(super) const fn may_have_keys(self) -> bool {
        self.has_key_exchange && self.head == 0
    }

    /// More of it.
    pub(super) fn read(&mut self, bytes: &[u8]) {
        let mut rest = bytes;
        while let Some((&byte, behind)) = rest.split_first() {
            if self.head < HEAD {
                match self.head {
                    0 => self.kind = byte,
                    _ => self.left = self.left << 8 | u32::from(byte),
                }
                self.head += 1;
                rest = behind;
            } else {
                let left = usize::try_from(self.left).unwrap_or(usize::MAX);
                let body = left.min(rest.len());
                self.left -= u32::try_from(body).unwrap_or(self.left);
                rest = rest.get(body..).unwrap_or_default();
            }
            if self.head == HEAD && self.left == 0 {
                self.has_key_exchange |= self.kind == CLIENT_KEY_EXCHANGE;
                self.head = 0;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_need_a_whole_message_whatever_the_records() {
        for (text, may_have) in [
            (&b""[..], false),
            (b"\x10", false),
            (b"\x10\0\0\x02a", false),
            (b"\x10\0\0\x02ab", true),
            (b"\x10\0\0\0", true),
            (b"\x0b\0\0\x02ab", false),
            (b"\x0b\0\0\x02\x10\0\x10\0\0\x01a", true),
            (b"\x10\0\0\x02ab\x0f\0\0\x02a", false),
            (b"\x10\0\0\x02ab\x0f\0\0\x02ab", true),
            (b"\x10\0\x01\0a", false),
            (b"\0\0\0\0\0\0\0\0", false),
        ] {
            for size in 1..=text.len().max(1) {
                let mut flight = Flight::default();
                text.chunks(size).for_each(|piece| flight.read(piece));
                assert_eq!(flight.may_have_keys(), may_have, "{text:x?} by {size}");
            }
        }
    }
}
