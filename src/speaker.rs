//! Who speaks on a connection, in whatever protocol.

/// One of its two ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Speaker {
    /// The end that opened the connection.
    Client,
    /// The other end.
    Server,
}
