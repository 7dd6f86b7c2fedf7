//! Time as the core sees it: microseconds since a zero the front chooses.
//!
//! The core never reads a clock; every entry point takes `now`. Fronts choose the Unix epoch as
//! zero, so that the same number also dates the event log, and keep it monotonic.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Microseconds since the front's zero (the Unix epoch in every front of ours).
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
pub struct Instant(u64);

impl Instant {
    /// The instant this many microseconds after zero.
    #[must_use]
    pub const fn from_micros(micros: u64) -> Self {
        Self(micros)
    }

    /// The instant this many whole seconds after zero.
    #[must_use]
    pub const fn from_seconds(seconds: u64) -> Self {
        Self(seconds.saturating_mul(1_000_000))
    }

    /// Microseconds since zero.
    #[must_use]
    pub const fn micros(self) -> u64 {
        self.0
    }

    /// Whole seconds since zero.
    #[must_use]
    pub const fn seconds(self) -> u64 {
        self.0 / 1_000_000
    }

    /// The same as they are kept: 32 bits hold the seconds of the Unix epoch until 2106.
    #[must_use]
    pub fn seconds_32(self) -> u32 {
        u32::try_from(self.seconds()).unwrap_or(u32::MAX)
    }
}

impl fmt::Display for Instant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{:06}", self.seconds(), self.0 % 1_000_000)
    }
}
