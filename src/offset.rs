//! Where a byte stands in one direction's stream: counted from 0, never wrapping.
//!
//! `wire::Seq` is what stands in headers; everything above `tcp` speaks offsets.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A position in the byte stream of one direction; 0 is the first byte behind the SYN.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
pub struct Offset(u64);

impl Offset {
    /// The first byte.
    pub const ZERO: Self = Self(0);

    /// The offset behind this many bytes.
    #[must_use]
    pub const fn new(bytes: u64) -> Self {
        Self(bytes)
    }

    /// How many bytes stand before it.
    #[must_use]
    pub const fn value(self) -> u64 {
        self.0
    }

    /// The offset `bytes` further on.
    #[must_use]
    pub const fn after(self, bytes: u64) -> Self {
        Self(self.0.saturating_add(bytes))
    }

    /// How many bytes lie between an earlier offset and this one; 0 if that is not earlier.
    #[must_use]
    pub const fn since(self, earlier: Self) -> u64 {
        self.0.saturating_sub(earlier.0)
    }
}

impl fmt::Display for Offset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}
