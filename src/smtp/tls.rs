//! Where TLS begins: the first bytes of a record, from either side (RFC 8446 5.1).
//!
//! Behind the 220 to STARTTLS the client speaks first, with a handshake record; the server's first
//! record is of the handshake too, or an alert. Anything else is plain text.

use serde::{Deserialize, Serialize};

use super::{Change, Fault, Speaker};
use crate::speaker::PerSpeaker;

/// Record types (RFC 8446 B.1).
const ALERT: u8 = 21;
const HANDSHAKE: u8 = 22;

/// The major version that all of SSL 3.0 and TLS have on the wire, and the largest minor one.
const MAJOR: u8 = 3;
const MINOR_MAX: u8 = 4;

/// Bytes of a record that show that it is one: type and version.
const SHOWN: u8 = 3;

/// How many of those bytes each side has shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TlsStart(PerSpeaker<u8>);

impl TlsStart {
    /// Nothing was shown.
    pub(super) const NONE: Self = Self(PerSpeaker::new(0, 0));

    /// Whether the client's first bytes were TLS.
    #[must_use]
    pub fn has_begun(self) -> bool {
        self.0[Speaker::Client] == SHOWN
    }

    /// Whether both sides' were.
    #[must_use]
    pub fn is_answered(self) -> bool {
        self.has_begun() && self.0[Speaker::Server] == SHOWN
    }

    pub(super) fn read(&mut self, from: Speaker, input: &[u8]) -> Result<Option<Change>, Fault> {
        let change = match from {
            Speaker::Client => Change::TlsBegins,
            Speaker::Server if self.has_begun() => Change::TlsAnswered,
            Speaker::Server => return Err(Fault::PlaintextForTls),
        };
        let shown = &mut self.0[from];
        if *shown == SHOWN {
            return Ok(None);
        }
        for &byte in input.iter().take(usize::from(SHOWN - *shown)) {
            let is_record = match (*shown, from) {
                (0, Speaker::Client) => byte == HANDSHAKE,
                (0, Speaker::Server) => byte == HANDSHAKE || byte == ALERT,
                (1, _) => byte == MAJOR,
                _ => byte <= MINOR_MAX,
            };
            if !is_record {
                return Err(Fault::PlaintextForTls);
            }
            *shown += 1;
        }
        Ok((*shown == SHOWN).then_some(change))
    }
}
