//! The header of a record (RFC 8446 5.1), byte by byte.

use serde::{Deserialize, Serialize};

/// Bytes of a header.
pub(super) const HEADER: usize = 5;

/// The major version of SSL 3.0 and of all TLS, and the largest minor one (RFC 8446 D).
pub(super) const MAJOR: u8 = 3;
pub(super) const MINOR_MAX: u8 = 4;

/// TLSPlaintext.length: 2^14.
pub(super) const CLEAR_MAX: u16 = 1 << 14;

/// TLSCiphertext.length of TLS 1.3 (RFC 8446 5.2) and before (RFC 5246 6.2.3).
const SEALED_MAX: u16 = CLEAR_MAX + 256;
const SEALED_OLD_MAX: u16 = CLEAR_MAX + 2_048;

/// One byte of content type or padding, and the shortest tag (RFC 6655: CCM_8).
const SEALED_MIN: u16 = 9;

/// The content types that may come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum ContentType {
    ChangeCipherSpec,
    Alert,
    Handshake,
    ApplicationData,
}

impl ContentType {
    pub(super) const fn of(byte: u8) -> Option<Self> {
        match byte {
            20 => Some(Self::ChangeCipherSpec),
            21 => Some(Self::Alert),
            22 => Some(Self::Handshake),
            APPLICATION_DATA => Some(Self::ApplicationData),
            _ => None,
        }
    }
}

/// The type of data under keys.
pub(super) const APPLICATION_DATA: u8 = 23;

/// The type that carried Heartbleed (RFC 6520, CVE-2014-0160).
pub(super) const HEARTBEAT: u8 = 24;

/// Which lengths a record may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Lengths {
    /// In clear.
    Clear,
    /// In clear, of exactly so many bytes.
    Exactly(u16),
    /// Under the keys of TLS 1.3.
    Sealed,
    /// Under older keys.
    SealedOld,
}

impl Lengths {
    pub(super) const fn admit(self, length: u16) -> bool {
        match self {
            Self::Clear => length >= 1 && length <= CLEAR_MAX,
            Self::Exactly(count) => length == count,
            Self::Sealed => length >= SEALED_MIN && length <= SEALED_MAX,
            Self::SealedOld => length >= SEALED_MIN && length <= SEALED_OLD_MAX,
        }
    }
}

/// A header under way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Header {
    bytes: [u8; HEADER],
    count: u8,
}

impl Header {
    /// How many bytes are there.
    pub(super) const fn count(self) -> u8 {
        self.count
    }

    /// Takes the next byte; false if it says a version that no TLS has.
    pub(super) fn push(&mut self, byte: u8) -> bool {
        if let Some(place) = self.bytes.get_mut(usize::from(self.count)) {
            *place = byte;
            self.count += 1;
        }
        match self.count {
            2 => byte == MAJOR,
            3 => byte <= MINOR_MAX,
            _ => true,
        }
    }

    pub(super) const fn length(self) -> u16 {
        let [_, _, _, high, low] = self.bytes;
        u16::from_be_bytes([high, low])
    }

    pub(super) const fn content_type(self) -> Option<ContentType> {
        let [first, ..] = self.bytes;
        ContentType::of(first)
    }
}
