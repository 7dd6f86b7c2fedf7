//! ClientHellos, read by our own reader and by tls-parser, the independent second one: what ours
//! takes the other takes as well, and both find the same in it.

use mailguard::speaker::Speaker;
use mailguard::tls::{ClientHello, Seen, ServerName, Watch};
use tls_parser::{
    SNIType, TlsExtension, TlsExtensionType, TlsMessage, TlsMessageHandshake,
    parse_tls_client_hello_extensions, parse_tls_plaintext,
};

use crate::support::random::Random;
use crate::support::tls::{SESSIONS, client_hello, large_hello, server_name, session};

/// Changed hellos of each kind.
const MUTATIONS: u64 = 3_000;

/// A hello in one record, as we read it.
fn ours(record: &[u8]) -> Option<ClientHello> {
    let (mut watch, mut rest) = (Watch::default(), record);
    let mut hello = None;
    while !rest.is_empty() {
        let step = watch.read(Speaker::Client, rest);
        if step.fault.is_some() {
            return None;
        }
        if let Some(Seen::ClientHello(seen)) = step.seen {
            hello = Some(*seen);
        }
        rest = rest.get(step.used + step.skipped as usize..).unwrap_or_default();
    }
    hello
}

/// What both readers tell.
#[derive(Debug, Default, PartialEq)]
struct Told {
    version: u16,
    session_id: Vec<u8>,
    suites: Vec<u16>,
    extensions: Vec<u16>,
    versions: Vec<u16>,
    groups: Vec<u16>,
    algorithms: Vec<u16>,
    protocols: Vec<Vec<u8>>,
    name: Option<Vec<u8>>,
}

impl From<ClientHello> for Told {
    fn from(hello: ClientHello) -> Self {
        let name = match hello.server_name {
            ServerName::Host(name) => Some(name.into_bytes()),
            ServerName::Absent | ServerName::Odd => None,
        };
        Self {
            version: hello.legacy_version.0,
            session_id: hello.session_id,
            suites: hello.cipher_suites,
            extensions: hello.extensions,
            versions: hello.versions,
            groups: hello.groups,
            algorithms: hello.signature_algorithms,
            protocols: hello.protocols,
            name,
        }
    }
}

/// The same by tls-parser; inside, none where it cannot make out every extension.
#[expect(clippy::wildcard_enum_match_arm, reason = "what nobody asks for is not compared")]
fn theirs(record: &[u8]) -> Option<Option<Told>> {
    let (_, record) = parse_tls_plaintext(record).ok()?;
    let [TlsMessage::Handshake(TlsMessageHandshake::ClientHello(hello))] = &record.msg[..] else {
        return None;
    };
    let mut told = Told {
        version: hello.version.0,
        session_id: hello.session_id.unwrap_or_default().to_vec(),
        suites: hello.ciphers.iter().map(|suite| suite.0).collect(),
        ..Told::default()
    };
    let bytes = hello.ext.unwrap_or_default();
    let Ok((rest, extensions)) = parse_tls_client_hello_extensions(bytes) else {
        return Some(None);
    };
    for extension in &extensions {
        let kind = if let TlsExtension::Grease(kind, _) = extension {
            *kind
        } else {
            TlsExtensionType::from(extension).0
        };
        told.extensions.push(kind);
        match extension {
            TlsExtension::SNI(names) => {
                let is_plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"-._:".contains(byte);
                told.name = match names[..] {
                    [(SNIType::HostName, name)] if name.iter().all(is_plain) => Some(name.to_vec()),
                    _ => None,
                };
            }
            TlsExtension::SupportedVersions(versions) => {
                told.versions = versions.iter().map(|version| version.0).collect();
            }
            TlsExtension::EllipticCurves(groups) => {
                told.groups = groups.iter().map(|group| group.0).collect();
            }
            TlsExtension::SignatureAlgorithms(algorithms) => told.algorithms.clone_from(algorithms),
            TlsExtension::ALPN(names) => {
                told.protocols = names.iter().map(|name| name.to_vec()).collect();
            }
            _ => {}
        }
    }
    Some(rest.is_empty().then_some(told))
}

/// Hellos in one record each: recorded ones, and made up ones with all that is read.
fn hellos() -> Vec<Vec<u8>> {
    let recorded = SESSIONS.iter().map(|(name, _)| session(name).remove(0).1);
    let names = server_name(b"mx.example");
    let busy = client_hello(&[
        (0x1a1a, b""),
        (0, &names),
        (10, b"\0\x06\x2a\x2a\x11\xec\0\x1d"),
        (13, b"\0\x04\x04\x03\x08\x04"),
        (16, b"\0\x0c\x02h2\x08http/1.1"),
        (43, b"\x04\x3a\x3a\x03\x04"),
        (0xff01, b"\0"),
    ]);
    recorded.chain([large_hello(), busy, client_hello(&[])]).collect()
}

#[test]
fn two_readers_find_the_same_in_a_hello() {
    for record in hellos() {
        let told = Told::from(ours(&record).unwrap());
        assert_eq!(theirs(&record), Some(Some(told)));
    }
}

#[test]
fn what_ours_takes_of_a_changed_hello_the_other_takes_too() {
    let (mut taken, mut compared) = (0, 0);
    for (kind, hello) in hellos().into_iter().enumerate() {
        for seed in 0..MUTATIONS {
            let mut random = Random::new(seed << 8 | kind as u64);
            let mut record = hello.clone();
            for _ in 0..=random.below(3) {
                // Behind the header, whose faults are judged elsewhere.
                let at = 5 + random.below(record.len() - 5);
                record[at] = match random.below(3) {
                    0 => random.below(256) as u8,
                    1 => record[at].wrapping_add(1),
                    _ => record[at].wrapping_sub(1),
                };
            }
            let Some(read) = ours(&record) else { continue };
            taken += 1;
            let other = theirs(&record);
            assert!(other.is_some(), "{kind} {seed}: taken by ours alone");
            if let Some(Some(mut other)) = other {
                compared += 1;
                let read = Told::from(read);
                // The other takes names that are none to us.
                other.name = other.name.filter(|_| read.name.is_some());
                assert_eq!(read, other, "{kind} {seed}");
            }
        }
    }
    println!("{taken} changed hellos taken, {compared} compared");
    assert!(compared > taken / 2 && taken > 1_000);
}
