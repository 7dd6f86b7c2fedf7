//! What is shown of a ClientHello.

use super::{ClientHello, ServerName, Version, fingerprint};

/// Names of one list that are shown: a stranger chooses how many there are.
const SHOWN_MAX: usize = 8;

/// Bytes of all names of protocols that are shown.
const PROTOCOL_BYTES_MAX: usize = 512;

/// What a client offers, as far as it is shown: little, since it may wait for a log.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ClientOffer {
    /// The highest version.
    pub version: Version,
    /// The name it asks for.
    pub server_name: ServerName,
    /// The first protocols.
    pub protocols: Vec<Vec<u8>>,
    /// The first groups.
    pub groups: Vec<u16>,
    /// The first groups for which it sends a key.
    pub key_shares: Vec<u16>,
    /// Whether it may send data before the server's hello.
    pub has_early_data: bool,
    /// Whether the name above may be another than the real one (RFC 9849).
    pub has_encrypted_hello: bool,
    /// What its hello looks like (JA4).
    pub fingerprint: String,
}

impl ClientOffer {
    /// What this hello offers.
    #[must_use]
    pub fn of(hello: &ClientHello) -> Self {
        let first = |values: &[u16]| values.iter().take(SHOWN_MAX).copied().collect();
        let mut bytes = 0;
        let has_room = |name: &&Vec<u8>| {
            bytes += name.len();
            bytes <= PROTOCOL_BYTES_MAX
        };
        let protocols = hello.protocols.iter().take(SHOWN_MAX).take_while(has_room);
        Self {
            version: hello.highest_version(),
            server_name: hello.server_name.clone(),
            protocols: protocols.cloned().collect(),
            groups: first(&hello.groups),
            key_shares: first(&hello.key_shares),
            has_early_data: hello.has_early_data,
            has_encrypted_hello: hello.has_encrypted_hello,
            fingerprint: fingerprint(hello),
        }
    }

    /// The name it asks for, if there is one that may be shown.
    #[must_use]
    pub fn host(&self) -> Option<&str> {
        match &self.server_name {
            ServerName::Host(name) => Some(name),
            ServerName::Absent | ServerName::Odd => None,
        }
    }

    /// Bytes of what its client chose.
    #[must_use]
    pub fn length(&self) -> usize {
        let names: usize = self.protocols.iter().map(Vec::len).sum();
        let numbers = self.groups.len() + self.key_shares.len();
        self.host().map_or(0, str::len) + names + 2 * numbers + self.fingerprint.len()
    }
}
