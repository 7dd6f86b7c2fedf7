//! The argument of BDAT: `chunk-size [ SP "LAST" ]` (RFC 3030 2), byte by byte.
//!
//! Servers disagree about signs, huge numbers, trailing words, and a second or a trailing space
//! (Dovecot and Qsmtp refuse the line, and read the octets as lines), and zeros before a number
//! make a line longer than Qsmtp reads. A chunk counted here but not by the server would let
//! commands pass unread. So only what every server counts alike is taken. SubEthaSMTP knows LAST in
//! capitals alone: the guard makes them of other letters.

use serde::{Deserialize, Serialize};

/// Largest chunk announced at once: a larger size is negative where a server counts in 32 bits with
/// a sign.
const OCTETS_MAX: u32 = (1 << 31) - 1;

/// How far the argument has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum ChunkSize {
    /// Before the number.
    Before,
    /// Digits.
    Digits(u32),
    /// Behind the number's space.
    Gap(u32),
    /// Letters of LAST, so many of them.
    Last(u32, u8),
    /// Behind LAST and a space, which was a size to the builds before, whose images may hold it.
    After(u32),
}

impl ChunkSize {
    /// Takes one more byte; `None` if no server could read it alike.
    pub(super) fn push(self, byte: u8) -> Option<Self> {
        match (self, byte) {
            (Self::Before, b'0'..=b'9') => Some(Self::Digits(u32::from(byte - b'0'))),
            (Self::Digits(octets @ 1..), b'0'..=b'9') => {
                let octets = octets.checked_mul(10)?.checked_add(u32::from(byte - b'0'))?;
                (octets <= OCTETS_MAX).then_some(Self::Digits(octets))
            }
            (Self::Digits(octets), b' ') => Some(Self::Gap(octets)),
            (Self::Gap(octets), _) => Self::Last(octets, 0).push(byte),
            (Self::Last(octets, letters), _) => {
                let is_next = b"LAST".get(usize::from(letters)) == Some(&byte.to_ascii_uppercase());
                is_next.then_some(Self::Last(octets, letters + 1))
            }
            (Self::Before | Self::After(_), _) | (Self::Digits(_), _) => None,
        }
    }

    /// Whether part of a number has been read.
    pub(super) const fn has_digits(self) -> bool {
        !matches!(self, Self::Before)
    }

    /// Whether LAST was read, whole.
    pub(super) const fn is_last(self) -> bool {
        matches!(self, Self::Last(_, 4))
    }

    /// The size, if the line may end here.
    pub(super) const fn octets(self) -> Option<u32> {
        match self {
            Self::Digits(octets) | Self::Last(octets, 4) => Some(octets),
            Self::Before | Self::Gap(_) | Self::Last(..) | Self::After(_) => None,
        }
    }
}
