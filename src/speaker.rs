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
