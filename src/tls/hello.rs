//! The insides of ClientHello and ServerHello (RFC 8446 4.1, RFC 5246 7.4.1).
//!
//! Strict: every byte has its place, and no extension comes twice. What is read are the offers that
//! rules, logs and fingerprints ask for; an extension that is not known is only counted.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::cursor::Cursor;

/// A protocol version as it stands on the wire.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
pub struct Version(pub u16);

impl Version {
    /// SSL 3.0.
    pub const SSL3: Self = Self(0x0300);
    /// TLS 1.0.
    pub const TLS10: Self = Self(0x0301);
    /// TLS 1.1.
    pub const TLS11: Self = Self(0x0302);
    /// TLS 1.2.
    pub const TLS12: Self = Self(0x0303);
    /// TLS 1.3.
    pub const TLS13: Self = Self(0x0304);

    /// Its usual name, if it has one.
    #[must_use]
    pub const fn name(self) -> Option<&'static str> {
        match self {
            Self::SSL3 => Some("SSL3.0"),
            Self::TLS10 => Some("TLS1.0"),
            Self::TLS11 => Some("TLS1.1"),
            Self::TLS12 => Some("TLS1.2"),
            Self::TLS13 => Some("TLS1.3"),
            _ => None,
        }
    }

    /// Whether it is TLS 1.3, or what follows it.
    pub(super) const fn is_13(self) -> bool {
        self.0 >= Self::TLS13.0
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name() {
            Some(name) => f.write_str(name),
            None => write!(f, "{:#06x}", self.0),
        }
    }
}

/// What the server_name extension says (RFC 6066 3).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum ServerName {
    /// There is none.
    #[default]
    Absent,
    /// One host name, of letters, digits and the signs that stand in names and addresses.
    Host(String),
    /// Anything else.
    Odd,
}

/// What a client offers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ClientHello {
    /// Bytes of the message.
    pub length: usize,
    /// The version field of old.
    pub legacy_version: Version,
    /// legacy_session_id: of a session to resume, or made up (RFC 8446 D.4).
    pub session_id: Vec<u8>,
    /// Cipher suites, in the client's order.
    pub cipher_suites: Vec<u16>,
    /// The types of all extensions, in the client's order.
    pub extensions: Vec<u16>,
    /// The name it asks for.
    pub server_name: ServerName,
    /// supported_versions.
    pub versions: Vec<u16>,
    /// supported_groups.
    pub groups: Vec<u16>,
    /// Groups for which it sends a key.
    pub key_shares: Vec<u16>,
    /// signature_algorithms.
    pub signature_algorithms: Vec<u16>,
    /// application_layer_protocol_negotiation, the first of them: a hello has room for thousands.
    pub protocols: Vec<Vec<u8>>,
    /// Whether it may send data before the server's hello.
    pub has_early_data: bool,
    /// Whether the name above may be another than the real one (RFC 9849).
    pub has_encrypted_hello: bool,
}

/// What a server chooses.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ServerHello {
    /// The version agreed on.
    pub version: Version,
    /// The cipher suite.
    pub cipher_suite: u16,
    /// The group of its key, where that stands in the hello (TLS 1.3).
    pub group: Option<u16>,
    /// The session that it answers with.
    pub session_id: Vec<u8>,
    /// Whether it resumes a session: by a key of before (TLS 1.3), or by the client's session id.
    pub is_resumed: bool,
    /// Whether it had asked for another hello first.
    pub is_retried: bool,
    /// The protocol, where that stands in the hello (up to TLS 1.2).
    pub protocol: Option<Vec<u8>>,
    /// Whether this is a HelloRetryRequest.
    pub is_retry: bool,
}

/// Extension types (RFC 8446 4.2, RFC 6066, RFC 7301, RFC 9849).
pub(super) const SERVER_NAME: u16 = 0;
const SUPPORTED_GROUPS: u16 = 10;
const SIGNATURE_ALGORITHMS: u16 = 13;
pub(super) const ALPN: u16 = 16;
const PRE_SHARED_KEY: u16 = 41;
const EARLY_DATA: u16 = 42;
const SUPPORTED_VERSIONS: u16 = 43;
const KEY_SHARE: u16 = 51;
const ENCRYPTED_CLIENT_HELLO: u16 = 0xfe0d;

/// NameType host_name.
const HOST_NAME: u8 = 0;

/// The random of a HelloRetryRequest (RFC 8446 4.1.3).
const RETRY: [u8; 32] = [
    0xcf, 0x21, 0xad, 0x74, 0xe5, 0x9a, 0x61, 0x11, 0xbe, 0x1d, 0x8c, 0x02, 0x1e, 0x65, 0xb8, 0x91,
    0xc2, 0xa2, 0x11, 0x16, 0x7a, 0xbb, 0x8c, 0x5e, 0x07, 0x9e, 0x09, 0xe2, 0xc8, 0xa8, 0x33, 0x9c,
];

/// Longest name of a host in the extension that is a name (RFC 6066 3, RFC 1035 2.3.4).
const NAME_MAX: usize = 255;

/// Names of protocols that are kept.
const PROTOCOLS_MAX: usize = 16;

/// Whether this value stands for nothing (RFC 8701).
pub(super) const fn is_grease(value: u16) -> bool {
    let [high, low] = value.to_be_bytes();
    high == low && low & 0x0f == 0x0a
}

/// Whether no extension comes twice. To compare each with all before it would cost the square of a
/// hello's length.
fn are_different(mut kinds: Vec<u16>) -> bool {
    kinds.sort_unstable();
    kinds.windows(2).all(|two| two.first() != two.last())
}

impl ClientHello {
    /// Reads the body of the message.
    pub(super) fn parse(body: &[u8]) -> Option<Self> {
        let mut rest = Cursor::new(body);
        let legacy_version = Version(rest.number()?);
        rest.take(RETRY.len())?;
        let session_id = rest.vector8()?.rest().to_vec();
        let cipher_suites = rest.vector16()?.numbers()?;
        rest.vector8()?;
        let length = body.len();
        let mut hello =
            Self { length, legacy_version, session_id, cipher_suites, ..Self::default() };
        each_extension(rest, |kind, content| {
            hello.extensions.push(kind);
            hello.read_extension(kind, content)
        })?;
        are_different(hello.extensions.clone()).then_some(hello)
    }

    fn read_extension(&mut self, kind: u16, mut content: Cursor<'_>) -> Option<()> {
        match kind {
            SERVER_NAME => self.server_name = server_name(content),
            SUPPORTED_GROUPS => self.groups = whole(content.vector16()?.numbers()?, content)?,
            SIGNATURE_ALGORITHMS => {
                self.signature_algorithms = whole(content.vector16()?.numbers()?, content)?;
            }
            SUPPORTED_VERSIONS => self.versions = whole(content.vector8()?.numbers()?, content)?,
            ALPN => {
                let mut names = whole(content.vector16()?, content)?;
                while !names.is_empty() {
                    let name = names.vector8()?.rest();
                    // No name is empty (RFC 7301 3.1).
                    if name.is_empty() {
                        return None;
                    }
                    if self.protocols.len() < PROTOCOLS_MAX {
                        self.protocols.push(name.to_vec());
                    }
                }
            }
            KEY_SHARE => {
                let mut shares = whole(content.vector16()?, content)?;
                while !shares.is_empty() {
                    self.key_shares.push(shares.number()?);
                    shares.vector16()?;
                }
            }
            EARLY_DATA => self.has_early_data = true,
            ENCRYPTED_CLIENT_HELLO => self.has_encrypted_hello = true,
            _ => {}
        }
        Some(())
    }

    /// The highest version it offers: that of the extension, where it is there (RFC 8446 4.2.1).
    #[must_use]
    pub fn highest_version(&self) -> Version {
        let offered = self.versions.iter().copied().filter(|&version| !is_grease(version)).max();
        offered.map_or(self.legacy_version, Version)
    }
}

impl ServerHello {
    /// Reads the body of the message.
    pub(super) fn parse(body: &[u8]) -> Option<Self> {
        let mut rest = Cursor::new(body);
        let version = Version(rest.number()?);
        let is_retry = rest.take(RETRY.len())? == RETRY;
        let session_id = rest.vector8()?.rest().to_vec();
        let cipher_suite = rest.number()?;
        rest.byte()?;
        let mut hello = Self { version, cipher_suite, session_id, is_retry, ..Self::default() };
        let mut seen = Vec::new();
        each_extension(rest, |kind, mut content| {
            seen.push(kind);
            match kind {
                SUPPORTED_VERSIONS => hello.version = Version(whole(content.number()?, content)?),
                // A HelloRetryRequest names the group alone, a ServerHello has the key behind it.
                KEY_SHARE => hello.group = Some(content.number()?),
                PRE_SHARED_KEY => hello.is_resumed = true,
                ALPN => {
                    let mut names = whole(content.vector16()?, content)?;
                    hello.protocol = Some(names.vector8()?.rest().to_vec());
                }
                _ => {}
            }
            Some(())
        })?;
        are_different(seen).then_some(hello)
    }

    /// Whether TLS 1.3 was chosen, or what follows it.
    #[must_use]
    pub const fn is_13(&self) -> bool {
        self.version.is_13()
    }
}

/// Calls this with each extension; a hello of old may have none at all.
fn each_extension<'a>(
    mut rest: Cursor<'a>,
    mut read: impl FnMut(u16, Cursor<'a>) -> Option<()>,
) -> Option<()> {
    if rest.is_empty() {
        return Some(());
    }
    let mut extensions = rest.vector16()?;
    while !extensions.is_empty() {
        let kind = extensions.number()?;
        read(kind, extensions.vector16()?)?;
    }
    rest.is_empty().then_some(())
}

/// What was read, if nothing is left over.
fn whole<T>(read: T, rest: Cursor<'_>) -> Option<T> {
    rest.is_empty().then_some(read)
}

/// The content of server_name. What it may not be is no fault of the hello's form: servers take
/// much of it.
fn server_name(content: Cursor<'_>) -> ServerName {
    let read = |mut content: Cursor<'_>| {
        let mut names = whole(content.vector16()?, content)?;
        let kind = names.byte()?;
        let name = whole(names.vector16()?, names)?.rest();
        let is_name = kind == HOST_NAME && (1..=NAME_MAX).contains(&name.len());
        let is_plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"-._:".contains(byte);
        (is_name && name.iter().all(is_plain)).then(|| String::from_utf8_lossy(name).into_owned())
    };
    read(content).map_or(ServerName::Odd, ServerName::Host)
}
