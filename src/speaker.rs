//! Who speaks on a connection, in whatever protocol.

use serde::{Deserialize, Serialize};

/// One of its two ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Speaker {
    /// The end that opened the connection.
    Client,
    /// The other end.
    Server,
}

impl Speaker {
    /// The word used in logs.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Client => "client",
            Self::Server => "server",
        }
    }
}
