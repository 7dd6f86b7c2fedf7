//! Why a packet was dropped or a flow reset: one countable variant per cause.

use std::fmt;

/// Why a packet was dropped, cut short, or its flow reset.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Reason {
    /// Not a packet we can read: lengths, checksums, fragments (detail in the counters).
    Malformed,
    /// Bytes behind a gap, while commands are awaited.
    OutOfOrder,
    /// Bytes behind DATA, STARTTLS or AUTH, before its reply.
    AwaitingReply,
}

impl Reason {
    /// Every reason, in order.
    pub const ALL: &'static [Self] = &[Self::Malformed, Self::OutOfOrder, Self::AwaitingReply];

    /// The word used in logs and counters.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Malformed => "malformed",
            Self::OutOfOrder => "out-of-order",
            Self::AwaitingReply => "awaiting-reply",
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
