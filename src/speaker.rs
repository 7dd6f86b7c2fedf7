//! Who speaks on a connection, in whatever protocol.

use std::ops::{Index, IndexMut};

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

/// One thing of each end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PerSpeaker<T> {
    client: T,
    server: T,
}

impl<T> PerSpeaker<T> {
    /// The client's and the server's.
    pub const fn new(client: T, server: T) -> Self {
        Self { client, server }
    }
}

impl<T> Index<Speaker> for PerSpeaker<T> {
    type Output = T;

    fn index(&self, speaker: Speaker) -> &T {
        match speaker {
            Speaker::Client => &self.client,
            Speaker::Server => &self.server,
        }
    }
}

impl<T> IndexMut<Speaker> for PerSpeaker<T> {
    fn index_mut(&mut self, speaker: Speaker) -> &mut T {
        match speaker {
            Speaker::Client => &mut self.client,
            Speaker::Server => &mut self.server,
        }
    }
}
