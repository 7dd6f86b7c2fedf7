//! What was said, in order, seen from the middle: sequence numbers become 64-bit stream offsets,
//! and each offset gets one value for ever (law 2).
//!
//! Knows nothing of SMTP. The receiver's own acknowledgments are the only thing that lets a byte
//! be forgotten.

mod early;
mod memory;
mod sparse;
mod store;
mod stream;
mod window;

pub use early::Early;
pub use memory::{Memory, Reserved, Spares};
pub use store::Store;
pub use stream::{Place, Stream, StreamState};
pub use window::Window;

use std::fmt;

use serde::{Deserialize, Serialize};

/// How a segment broke what TCP can say here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Violation {
    /// It acknowledges bytes that were never let through.
    AckOfUnsent,
    /// It lies beyond the FIN.
    BeyondFin,
    /// Its receiver has not offered to take it.
    BeyondWindow,
    /// It says something else than an earlier copy of the same bytes.
    Contradiction,
    /// A handshake packet that fits no handshake.
    Handshake,
    /// It acknowledges what no receiver could still acknowledge (RFC 5961 5.2).
    OldAck,
    /// It lies behind a gap, while its bytes cannot yet be judged.
    OutOfOrder,
    /// Everything in it was acknowledged before, and it cannot be cut.
    Repeated,
    /// A SYN from the side of the servers.
    ServerSyn,
    /// A RST outside the window.
    StrayReset,
    /// There is no room to keep its bytes until they are acknowledged.
    StoreFull,
    /// More than 16 separate runs of bytes behind gaps.
    TooManyGaps,
}

impl Violation {
    /// The word used in logs and counters.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::AckOfUnsent => "ack-of-unsent",
            Self::BeyondFin => "beyond-fin",
            Self::BeyondWindow => "beyond-window",
            Self::Contradiction => "contradiction",
            Self::Handshake => "handshake",
            Self::OldAck => "old-ack",
            Self::OutOfOrder => "out-of-order",
            Self::Repeated => "repeated",
            Self::ServerSyn => "server-syn",
            Self::StrayReset => "stray-reset",
            Self::StoreFull => "store-full",
            Self::TooManyGaps => "too-many-gaps",
        }
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests;
