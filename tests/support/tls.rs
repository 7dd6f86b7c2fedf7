//! TLS sessions as they were recorded (`tls/record.py`), and records made up.

use mailguard::flow::Direction::{self, Original as C, Reply as S};

/// The recorded sessions, by what they are.
pub const SESSIONS: [(&str, &str); 11] = [
    ("tls10", include_str!("tls/tls10.txt")),
    ("tls11", include_str!("tls/tls11.txt")),
    ("tls12", include_str!("tls/tls12.txt")),
    ("tls12-client-cert", include_str!("tls/tls12-client-cert.txt")),
    ("tls12-resumed", include_str!("tls/tls12-resumed.txt")),
    ("tls13", include_str!("tls/tls13.txt")),
    ("tls13-client-cert", include_str!("tls/tls13-client-cert.txt")),
    ("tls13-early", include_str!("tls/tls13-early.txt")),
    ("tls13-hybrid", include_str!("tls/tls13-hybrid.txt")),
    ("tls13-resumed", include_str!("tls/tls13-resumed.txt")),
    ("tls13-retried", include_str!("tls/tls13-retried.txt")),
];

/// One that says a second handshake under the keys of the first, which few permit.
pub const RENEGOTIATED: (&str, &str) =
    ("tls12-renegotiated", include_str!("tls/tls12-renegotiated.txt"));

/// What the ends of a session say, flight by flight.
pub fn session(name: &str) -> Vec<(Direction, Vec<u8>)> {
    let mut known = SESSIONS.into_iter().chain([RENEGOTIATED]);
    let (_, text) = known.find(|(known, _)| *known == name).unwrap();
    let flight = |line: &str| {
        let digits = line.as_bytes()[2..].chunks(2);
        let byte = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16);
        let bytes = digits.map(|pair| byte(pair).unwrap()).collect();
        (if line.starts_with('C') { C } else { S }, bytes)
    };
    text.lines().map(flight).collect()
}

/// A record of so many bytes, zeros but for a beginning.
pub fn record(kind: u8, length: u16, beginning: &[u8]) -> Vec<u8> {
    let mut record = [&[kind, 3, 3][..], &length.to_be_bytes(), beginning].concat();
    record.resize(usize::from(length) + 5, 0);
    record
}

/// A ClientHello in one record, with these extensions.
pub fn client_hello(extensions: &[(u16, &[u8])]) -> Vec<u8> {
    client_hello_of(&[0x1301], extensions)
}

/// The same with these cipher suites.
pub fn client_hello_of(suites: &[u16], extensions: &[(u16, &[u8])]) -> Vec<u8> {
    let mut list = Vec::new();
    for (kind, content) in extensions {
        list.extend(kind.to_be_bytes());
        list.extend((content.len() as u16).to_be_bytes());
        list.extend(*content);
    }
    let length = |bytes: usize| (bytes as u16).to_be_bytes();
    let suites: Vec<u8> = suites.iter().flat_map(|suite| suite.to_be_bytes()).collect();
    let head = [&[3, 3][..], &[7; 32], b"\0", &length(suites.len())].concat();
    let body = [&head[..], &suites, b"\x01\0", &length(list.len()), &list].concat();
    let head = (1 << 24 | body.len() as u32).to_be_bytes();
    record(22, body.len() as u16 + 4, &[&head[..], &body].concat())
}

/// One with as many cipher suites as there is room for, in no order.
pub fn hello_of_suites() -> Vec<u8> {
    let suites: Vec<u16> = (0..8_000_u16).map(|number| number.wrapping_mul(40_503)).collect();
    client_hello_of(&suites, &[])
}

/// The content of server_name with this name.
pub fn server_name(name: &[u8]) -> Vec<u8> {
    let length = |more: usize| ((name.len() + more) as u16).to_be_bytes();
    [&length(3)[..], &[0], &length(0), name].concat()
}

/// A hello of today's size: TLS 1.3 with a key of X25519MLKEM768 (1,216 bytes) and one of X25519.
pub fn large_hello() -> Vec<u8> {
    let shares = [
        &[0x04, 0xe8, 0x11, 0xec, 0x04, 0xc0][..],
        &[1; 1_216],
        &[0x00, 0x1d, 0x00, 0x20],
        &[2; 32],
    ]
    .concat();
    client_hello(&[
        (0, &server_name(b"mx.example")),
        (10, b"\0\x04\x11\xec\0\x1d"),
        (43, b"\x02\x03\x04"),
        (51, &shares),
        (21, &[0; 200]),
    ])
}
