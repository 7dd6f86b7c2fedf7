//! Sequence numbers as they stand on the wire.
//!
//! They wrap, so they have no order: the only arithmetic is "so many bytes after" and "how far
//! from". Everything above `tcp` speaks 64-bit stream offsets instead.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A TCP sequence number (RFC 9293 3.4).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Seq(pub u32);

impl Seq {
    /// The number `bytes` further on, modulo 2^32.
    #[must_use]
    pub const fn after(self, bytes: u32) -> Self {
        Self(self.0.wrapping_add(bytes))
    }

    /// The number `bytes` further back, modulo 2^32.
    #[must_use]
    pub const fn before(self, bytes: u32) -> Self {
        Self(self.0.wrapping_sub(bytes))
    }

    /// How many bytes `self` lies behind (positive) or before (negative) `other`, by the shorter
    /// way round.
    #[must_use]
    pub const fn distance_from(self, other: Self) -> i64 {
        self.0.wrapping_sub(other.0).cast_signed() as i64
    }
}

impl fmt::Display for Seq {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}
