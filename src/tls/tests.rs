//! Whole sessions in any cut, and what each side may not say.

#![allow(clippy::cast_possible_truncation, reason = "lengths that a test chose")]

use super::hello::ServerName;
use super::*;

const SESSIONS: [(&str, &str); 11] = [
    ("tls10", include_str!("../../tests/support/tls/tls10.txt")),
    ("tls11", include_str!("../../tests/support/tls/tls11.txt")),
    ("tls12", include_str!("../../tests/support/tls/tls12.txt")),
    ("tls12-client-cert", include_str!("../../tests/support/tls/tls12-client-cert.txt")),
    ("tls12-resumed", include_str!("../../tests/support/tls/tls12-resumed.txt")),
    ("tls13", include_str!("../../tests/support/tls/tls13.txt")),
    ("tls13-client-cert", include_str!("../../tests/support/tls/tls13-client-cert.txt")),
    ("tls13-early", include_str!("../../tests/support/tls/tls13-early.txt")),
    ("tls13-hybrid", include_str!("../../tests/support/tls/tls13-hybrid.txt")),
    ("tls13-resumed", include_str!("../../tests/support/tls/tls13-resumed.txt")),
    ("tls13-retried", include_str!("../../tests/support/tls/tls13-retried.txt")),
];

/// What the sides of a session say, flight by flight.
fn session(name: &str) -> Vec<(Speaker, Vec<u8>)> {
    let (_, text) = SESSIONS.into_iter().find(|(known, _)| *known == name).unwrap();
    let flight = |line: &str| {
        let side = if line.starts_with('C') { Speaker::Client } else { Speaker::Server };
        let digits = line.as_bytes()[2..].chunks(2);
        let byte = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16);
        (side, digits.map(|pair| byte(pair).unwrap()).collect())
    };
    text.lines().map(flight).collect()
}

/// One side's reading, as the engine does it: what is skipped may lie beyond the input.
#[derive(Default)]
struct Reader {
    watch: Watch,
    ahead: [usize; 2],
    seen: Vec<(Speaker, Seen)>,
    kept: usize,
}

impl Reader {
    fn read(&mut self, side: Speaker, piece: &[u8]) -> Result<(), Fault> {
        let ahead = &mut self.ahead[side as usize];
        let skipped = piece.len().min(*ahead);
        *ahead -= skipped;
        let mut rest = &piece[skipped..];
        while !rest.is_empty() {
            let data = self.watch.read_data(side, rest);
            let (headers, bytes) = data.fold((0, 0), |(headers, bytes), (header, length)| {
                (headers + header.len(), bytes + header.len() + usize::from(length))
            });
            self.kept += headers;
            self.ahead[side as usize] = bytes.saturating_sub(rest.len());
            rest = rest.get(bytes..).unwrap_or_default();
            if rest.is_empty() {
                break;
            }
            let step = self.watch.read(side, rest);
            assert!(step.used > 0 && step.used <= rest.len());
            self.kept += step.used;
            self.seen.extend(step.seen.map(|seen| (side, seen)));
            if let Some(fault) = step.fault {
                return Err(fault);
            }
            let skipped = (step.skipped as usize).min(rest.len() - step.used);
            self.ahead[side as usize] = step.skipped as usize - skipped;
            rest = &rest[step.used + skipped..];
        }
        Ok(())
    }

    fn play(flights: &[(Speaker, Vec<u8>)], piece: usize) -> Self {
        let mut reader = Self::default();
        for (side, flight) in flights {
            for part in flight.chunks(piece) {
                assert_eq!(reader.read(*side, part), Ok(()));
            }
        }
        reader
    }
}

/// A record in clear or under keys, its payload zeros behind `payload`.
fn record(kind: u8, length: u16, payload: &[u8]) -> Vec<u8> {
    let mut record = [&[kind, 3, 3][..], &length.to_be_bytes(), payload].concat();
    record.resize(usize::from(length) + 5, 0);
    record
}

#[test]
fn whole_sessions_read_the_same_in_any_cut() {
    let mut inputs = 0;
    for (name, _) in SESSIONS {
        let flights = session(name);
        let whole = Reader::play(&flights, usize::MAX);
        assert!(whole.watch.has_agreed(), "{name}");
        // Under TLS 1.3 close_notify cannot be told from data.
        let last = if name.starts_with("tls13") { Standing::Sealed } else { Standing::Closed };
        for side in [Speaker::Client, Speaker::Server] {
            assert_eq!(whole.watch.standing(side), last, "{name}");
        }
        assert_eq!(whole.watch.held(), 0, "{name}");
        for piece in 1..64 {
            let cut = Reader::play(&flights, piece);
            assert_eq!((cut.seen, cut.kept), (whole.seen.clone(), whole.kept), "{name} {piece}");
            for side in [Speaker::Client, Speaker::Server] {
                assert_eq!(cut.watch.volume(side), whole.watch.volume(side), "{name} {piece}");
            }
            inputs += 1;
        }
    }
    assert_eq!(inputs, SESSIONS.len() * 63);
}

#[test]
fn hellos_say_what_they_said() {
    let hellos = |name: &str| {
        let reader = Reader::play(&session(name), usize::MAX);
        let (mut offers, mut answers) = (Vec::new(), Vec::new());
        for (_, seen) in reader.seen {
            match seen {
                Seen::ClientHello(hello) => offers.push(*hello),
                Seen::ServerHello(hello) => answers.push(*hello),
                Seen::Alert(_) | Seen::Sealed | Seen::Renegotiation => {}
            }
        }
        (offers, answers)
    };
    for (name, version) in [
        ("tls10", Version::TLS10),
        ("tls11", Version::TLS11),
        ("tls12", Version::TLS12),
        ("tls13", Version::TLS13),
    ] {
        let (offers, answers) = hellos(name);
        assert_eq!(offers[0].highest_version(), version, "{name}");
        assert_eq!(offers[0].server_name, ServerName::Host("mx.example".to_owned()), "{name}");
        assert_eq!((answers[0].version, answers[0].is_resumed), (version, false), "{name}");
    }
    let (offers, answers) = hellos("tls13");
    assert_eq!(offers[0].key_shares, [0x1d]);
    assert_eq!((answers[0].cipher_suite, answers[0].group), (0x1302, Some(0x1d)));
    let (offers, answers) = hellos("tls13-retried");
    assert_eq!((offers.len(), answers.len()), (2, 2));
    assert!(answers[0].is_retry && answers[1].is_retried);
    assert_eq!((answers[0].group, offers[1].key_shares[0]), (Some(0x18), 0x18));
    for name in ["tls12-resumed", "tls13-resumed"] {
        assert!(hellos(name).1[0].is_resumed, "{name}");
    }
}

#[test]
fn fingerprints_are_those_of_the_description() {
    // The example of FoxIO's description, in the order of no browser.
    let mut hello = ClientHello {
        legacy_version: Version::TLS12,
        versions: vec![0x0a0a, 0x0304, 0x0303],
        server_name: ServerName::Host("example.com".to_owned()),
        protocols: vec![b"h2".to_vec(), b"http/1.1".to_vec()],
        cipher_suites: vec![
            0x3a3a, 0x1301, 0x1302, 0x1303, 0xc02b, 0xc02f, 0xc02c, 0xc030, 0xcca9, 0xcca8, 0xc013,
            0xc014, 0x009c, 0x009d, 0x002f, 0x0035,
        ],
        extensions: vec![
            0x1a1a, 0x001b, 0x0000, 0x0033, 0x0010, 0x4469, 0x0017, 0x002d, 0x000d, 0x0005, 0x0023,
            0x0012, 0x002b, 0xff01, 0x000b, 0x000a, 0x0015,
        ],
        signature_algorithms: vec![0x0403, 0x0804, 0x0401, 0x0503, 0x0805, 0x0501, 0x0806, 0x0601],
        ..ClientHello::default()
    };
    assert_eq!(fingerprint(&hello), "t13d1516h2_8daaf6152771_e5627efa2ab1");
    hello.protocols = vec![b"\xab".to_vec()];
    assert!(fingerprint(&hello).starts_with("t13d1516ab_"));
    assert_eq!(fingerprint(&ClientHello::default()), "t00i000000_000000000000_000000000000");
}

/// The client's hello of a session, in one record.
/// No piece of four bytes has a whole header.
#[test]
fn data_is_read_the_same_in_any_cut() {
    let lengths = [8, 9, 52, 53, 1_000, 16_640, 16_641, 18_432, 18_433];
    let data = lengths.map(|length| record(23, length, b""));
    let others = [[23, 3, 4], [23, 3, 5], [23, 2, 3], [21, 3, 3], [22, 3, 3], [20, 3, 3]];
    let others = others.map(|head| [&head[..], &[0, 20], &[0; 20]].concat());
    let records = [&data[..], &others[..]].concat();
    for (name, flights) in [("tls13", 2), ("tls13", 4), ("tls12", 2), ("tls12", 4)] {
        let pairs = records.iter().flat_map(|one| records.iter().map(move |two| (one, two)));
        for (one, two) in pairs {
            let bytes = [&one[..], &two[..], &two[..]].concat();
            let readings = [bytes.len(), bytes.len() - 1, one.len() + 2, 4].map(|size| {
                let mut reader = behind(name, flights);
                let mut pieces = bytes.chunks(size);
                let fault = pieces.find_map(|piece| reader.read(Speaker::Client, piece).err());
                let volume = reader.watch.volume(Speaker::Client);
                (fault, reader.seen, reader.kept, volume, reader.ahead)
            });
            assert!(readings.iter().all(|reading| *reading == readings[3]), "{name} {readings:?}");
        }
    }
}

fn client_hello() -> Vec<u8> {
    session("tls13").remove(0).1
}

/// A reader that has read the flights of a session before this one.
fn behind(name: &str, flights: usize) -> Reader {
    Reader::play(&session(name)[..flights], usize::MAX)
}

#[test]
fn a_client_begins_with_a_hello() {
    for (bytes, used, fault) in [
        (&b"RSET\r\n"[..], 1, Fault::NotTls),
        (b"\x16RSET\r\n", 2, Fault::RecordVersion),
        (b"\x16\x03\x01\0\x06RSET\r\n", 6, Fault::NoHello),
        (b"\x16\x03\x01\0\x04\x02\0\0\0", 6, Fault::NoHello),
        (b"\x14\x03\x01\0\x01\x01", 1, Fault::NoHello),
        (b"\x15\x03\x01\0\x02\x02\x28", 1, Fault::NoHello),
        (b"\x17\x03\x01\0\x20", 1, Fault::NoHello),
        (b"\x80\x2e\x01\x03\x01", 1, Fault::Sslv2Hello),
        (b"\x18\x03\x01\0\x03", 1, Fault::RecordType),
        (b"\x13\x03\x01", 1, Fault::NotTls),
        (b"\x16\x03\x05", 3, Fault::RecordVersion),
        (b"\x16\xff\xff", 2, Fault::RecordVersion),
        (b"\x16\x02\x03", 2, Fault::RecordVersion),
        (b"\x16\x03\x01\0\0", 5, Fault::RecordLength),
        (b"\x16\x03\x01\x40\x01", 5, Fault::RecordLength),
        (b"\x16\x03\x01\x40\0\x01\0\x40\x01", 9, Fault::HelloTooLong),
        (b"\x16\x03\x01\x40\0\x01\xff\xff\xff", 9, Fault::HelloTooLong),
    ] {
        for piece in 1..=bytes.len() {
            let mut reader = Reader::default();
            let found =
                bytes.chunks(piece).find_map(|part| reader.read(Speaker::Client, part).err());
            assert_eq!(found, Some(fault), "{bytes:x?} in pieces of {piece}");
            assert_eq!(reader.kept, used, "{bytes:x?} in pieces of {piece}");
            assert!(reader.watch.held() < 64, "nothing grows");
        }
    }
}

#[test]
fn a_server_waits_for_the_hello() {
    for (client, server, fault) in [
        (&b""[..], &b"250-evil\r\n"[..], Fault::NotTls),
        (b"", b"\x16\x03\x03\0\x04", Fault::ServerFirst),
        (b"", b"\x15\x03\x03\0\x02\x02\x28", Fault::ServerFirst),
        (b"\x16\x03\x01", b"\x16\x03\x03\0\x04", Fault::ServerFirst),
        (b"\x16\x03\x01", b"250 evil\r\n", Fault::NotTls),
        (b"\x16\x03\x01\0\x20\x01\0", b"\x14\x03\x03\0\x01\x01", Fault::ServerFirst),
    ] {
        let mut reader = Reader::default();
        assert_eq!(reader.read(Speaker::Client, client), Ok(()));
        assert_eq!(reader.read(Speaker::Server, server), Err(fault), "{server:x?}");
    }
    let mut reader = Reader::default();
    assert_eq!(reader.read(Speaker::Client, b"\x16\x03\x01\0\x20\x01\0"), Ok(()));
    assert_eq!(reader.read(Speaker::Server, b"\x15\x03\x03\0\x02\x02\x28"), Ok(()));
    assert_eq!(reader.seen, [(Speaker::Server, Seen::Alert(Some(40)))]);
    assert_eq!(reader.watch.standing(Speaker::Server), Standing::Closed);
    for message in [b"\x16\x03\x03\0\x04\0\0\0\0", b"\x16\x03\x03\0\x04\x01\0\0\0"] {
        let mut reader = behind("tls13", 1);
        assert_eq!(reader.read(Speaker::Server, message), Err(Fault::NoHello));
    }
}

/// A row: the session, how many flights of it came before, who goes on, with what, and the outcome.
type Row = (&'static str, usize, Speaker, Vec<u8>, Result<(), Fault>);

#[test]
fn records_come_in_their_order() {
    use Speaker::{Client as C, Server as S};
    let change = || record(20, 1, b"\x01");
    let rows: Vec<Row> = vec![
        // TLS 1.3: client behind the server's hello, then sealed.
        ("tls13", 2, C, record(22, 40, b""), Err(Fault::RecordType)),
        ("tls13", 2, C, change().repeat(4), Ok(())),
        ("tls13", 2, C, change().repeat(5), Err(Fault::BadCcs)),
        ("tls13", 2, C, record(20, 2, b""), Err(Fault::BadCcs)),
        ("tls13", 1, C, record(20, 1, b"\x02"), Err(Fault::EarlyCcs)),
        ("tls13-retried", 2, C, record(20, 1, b"\x02"), Err(Fault::BadCcs)),
        ("tls13", 3, C, change(), Err(Fault::RecordType)),
        ("tls13", 3, C, record(23, 8, b""), Err(Fault::RecordLength)),
        ("tls13", 3, C, record(23, 9, b""), Ok(())),
        ("tls13", 3, C, record(23, 16_640, b""), Ok(())),
        ("tls13", 3, C, record(23, 16_641, b""), Err(Fault::RecordLength)),
        ("tls13", 3, C, record(22, 40, b""), Err(Fault::RecordType)),
        ("tls13", 3, C, b"\n".to_vec(), Err(Fault::TextAfterTls)),
        ("tls13", 3, C, b"EHLO x\r\n".to_vec(), Err(Fault::TextAfterTls)),
        ("tls13", 3, S, b"421 bye\r\n".to_vec(), Err(Fault::TextAfterTls)),
        ("tls13", 3, S, change(), Ok(())),
        ("tls13", 3, C, record(24, 40, b""), Err(Fault::RecordType)),
        ("tls13", 3, C, vec![25], Err(Fault::NotTls)),
        ("tls13", 3, C, vec![0], Err(Fault::NotTls)),
        // Early data was not offered.
        ("tls13", 1, C, record(23, 100, b""), Err(Fault::RecordType)),
        ("tls13", 1, C, client_hello(), Err(Fault::RecordType)),
        // TLS 1.2.
        ("tls12", 1, C, change(), Err(Fault::EarlyCcs)),
        ("tls12", 2, C, change(), Err(Fault::EarlyCcs)),
        ("tls12", 2, C, [record(22, 40, b"\x10\0\0\x24"), change()].concat(), Ok(())),
        ("tls12", 2, C, [record(22, 1, b"\x10"), change()].concat(), Err(Fault::EarlyCcs)),
        ("tls12", 2, C, [record(22, 40, b"\x10\0\0\x25"), change()].concat(), Err(Fault::EarlyCcs)),
        ("tls12", 2, C, record(23, 100, b""), Err(Fault::RecordType)),
        ("tls12", 2, S, record(23, 100, b""), Err(Fault::RecordType)),
        ("tls12-resumed", 2, C, change(), Ok(())),
        ("tls12", 4, C, record(23, 18_432, b""), Ok(())),
        ("tls12", 4, C, record(23, 18_433, b""), Err(Fault::RecordLength)),
        ("tls12", 4, C, [record(21, 26, b""), b"\n".to_vec()].concat(), Err(Fault::TextAfterTls)),
        ("tls12", 4, C, [record(21, 26, b""), record(23, 9, b"")].concat(), Err(Fault::AfterClose)),
        ("tls12", 4, C, [record(21, 26, b""), b"NOOP".to_vec()].concat(), Err(Fault::TextAfterTls)),
        // Not even an alert behind one under keys, of whatever length, of either side.
        ("tls12", 4, C, record(21, 26, b""), Ok(())),
        ("tls12", 4, C, record(21, 26, b"").repeat(2), Err(Fault::AfterClose)),
        ("tls12", 4, C, [record(21, 26, b""), vec![21]].concat(), Err(Fault::AfterClose)),
        ("tls12", 4, S, record(21, 26, b"").repeat(2), Err(Fault::AfterClose)),
        // In clear two may stand together, and are no longer than they are.
        ("tls12", 2, S, record(21, 2, b"\x02\x28").repeat(2), Ok(())),
        (
            "tls12",
            2,
            S,
            [record(21, 2, b"\x02\x28"), record(21, 26, b"")].concat(),
            Err(Fault::RecordLength),
        ),
        ("tls12", 4, C, record(22, 40, b""), Ok(())),
        ("tls12", 4, C, change(), Err(Fault::RecordType)),
        // A second handshake under keys may change them.
        ("tls12", 4, C, [record(22, 40, b""), record(20, 40, b"")].concat(), Ok(())),
        // Alerts in clear.
        ("tls13", 1, S, record(21, 2, b"\x01\x70").repeat(4), Ok(())),
        ("tls13", 1, S, record(21, 2, b"\x01\x70").repeat(5), Err(Fault::AlertFlood)),
        ("tls13", 1, S, record(21, 3, b"\x01\x70"), Err(Fault::RecordLength)),
        ("tls12", 2, C, record(21, 2, b"\x01\x70").repeat(5), Err(Fault::AlertFlood)),
        ("tls13", 1, C, b"QUIT\r\n".to_vec(), Err(Fault::NotTls)),
    ];
    for (name, flights, side, bytes, expected) in rows {
        let shown = &bytes[..bytes.len().min(12)];
        for piece in [usize::MAX, 1_000, 3, 2] {
            let mut reader = behind(name, flights);
            let found = bytes.chunks(piece).find_map(|part| reader.read(side, part).err());
            assert_eq!(found, expected.err(), "{name} {flights} {side:?} {shown:x?} by {piece}");
        }
    }
}

#[test]
fn alerts_and_second_handshakes_are_seen() {
    let mut reader = behind("tls13", 1);
    let alert = [record(21, 2, b"\x01\x70"), record(21, 2, b"\x02\x28")].concat();
    assert_eq!(reader.read(Speaker::Server, &alert), Ok(()));
    let alerts = [112, 40].map(|what| (Speaker::Server, Seen::Alert(Some(what))));
    assert_eq!(reader.seen[1..], alerts);
    assert_eq!(reader.watch.standing(Speaker::Server), Standing::Closed);
    assert!(!reader.watch.has_agreed());
    // A warning stops nobody.
    let mut reader = behind("tls13", 1);
    let hello = &session("tls13")[1].1;
    let both = [&record(21, 2, b"\x01\x70"), &hello[..]].concat();
    assert_eq!(reader.read(Speaker::Server, &both), Ok(()));
    assert_eq!(reader.watch.standing(Speaker::Server), Standing::Sealed);
    // In clear it is read wherever it is cut.
    for (name, flights) in [("tls12", 2), ("tls13", 2)] {
        let mut reader = behind(name, flights);
        assert_eq!(reader.read(Speaker::Client, &record(21, 2, b"\x01\x70")), Ok(()));
        let clear = reader.watch.standing(Speaker::Client);
        for part in [&b"\x15\x03\x03\0\x02"[..], b"\x01", b"\x5a\x15\x03\x03\0\x02\x02"] {
            assert_eq!(reader.read(Speaker::Client, part), Ok(()));
            assert_eq!(reader.watch.standing(Speaker::Client), clear, "{name}");
        }
        assert_eq!(reader.read(Speaker::Client, b"\x28"), Ok(()));
        assert_eq!(reader.watch.standing(Speaker::Client), Standing::Closed);
    }

    let mut reader = behind("tls12", 4);
    reader.seen.clear();
    assert_eq!(reader.read(Speaker::Client, &record(22, 40, b"")), Ok(()));
    assert_eq!(reader.seen, [(Speaker::Client, Seen::Renegotiation)]);
    // A client of 1.3 that says an alert instead of its Finished has refused.
    let mut reader = behind("tls13", 2);
    assert_eq!(reader.read(Speaker::Client, &record(23, 19, b"")), Ok(()));
    assert!(!reader.watch.has_agreed());
}

#[test]
fn a_side_has_begun_with_a_byte_that_tls_can_begin_with() {
    for (bytes, has_begun) in
        [(&b""[..], false), (b"QUIT\r\n", false), (b"\x80\x2e", false), (b"\x16", true)]
    {
        let mut reader = Reader::default();
        let _ = reader.read(Speaker::Client, bytes);
        assert_eq!(reader.watch.has_begun(Speaker::Client), has_begun, "{bytes:x?}");
    }
    assert!(behind("tls13", 1).watch.has_begun(Speaker::Client));
}

/// A ClientHello with these extensions, in one record.
fn hello_with(extensions: &[(u16, &[u8])]) -> Vec<u8> {
    let mut list = Vec::new();
    for (kind, content) in extensions {
        list.extend(kind.to_be_bytes());
        list.extend((content.len() as u16).to_be_bytes());
        list.extend(*content);
    }
    hello_of(&[&(list.len() as u16).to_be_bytes()[..], &list].concat())
}

/// A ClientHello that ends with these bytes.
fn hello_of(end: &[u8]) -> Vec<u8> {
    let body = [&[3, 3][..], &[7; 32], b"\0\0\x02\x13\x01\x01\0", end].concat();
    let head = (1 << 24 | body.len() as u32).to_be_bytes();
    record(22, body.len() as u16 + 4, &[&head[..], &body].concat())
}

fn name_list(names: &[&[u8]]) -> Vec<u8> {
    let mut list = Vec::new();
    for name in names {
        list.push(0);
        list.extend((name.len() as u16).to_be_bytes());
        list.extend(*name);
    }
    [&(list.len() as u16).to_be_bytes()[..], &list].concat()
}

fn read_hello(bytes: &[u8]) -> Result<ClientHello, Fault> {
    let mut reader = Reader::default();
    reader.read(Speaker::Client, bytes)?;
    match reader.seen.pop() {
        Some((Speaker::Client, Seen::ClientHello(hello))) => Ok(*hello),
        other => panic!("{other:?}"),
    }
}

/// A hello said again in records of so many bytes.
fn in_records(hello: &[u8], size: usize) -> Vec<u8> {
    let pieces = hello[5..].chunks(size).map(|piece| record(22, piece.len() as u16, piece));
    pieces.collect::<Vec<_>>().concat()
}

#[test]
fn a_hello_is_the_same_in_whatever_records() {
    let whole = read_hello(&client_hello()).unwrap();
    // Cut inside the head of the message, too: it is four bytes long.
    for size in [1, 2, 3, 4, 5, 100] {
        let hello = read_hello(&in_records(&client_hello(), size)).unwrap();
        assert_eq!(hello, whole, "{size}");
        assert_eq!(fingerprint(&hello), fingerprint(&whole), "{size}");
    }
    for version in [[3, 0], [3, 4]] {
        let mut hello = client_hello();
        hello[1..3].copy_from_slice(&version);
        assert_eq!(read_hello(&hello), Ok(whole.clone()), "{version:?}");
    }
    // The longest that is read, and one byte more.
    let padded = |length: usize| {
        let bare = hello_with(&[(21, &[])]).len() - 9;
        in_records(&hello_with(&[(21, &vec![0; length - bare])]), 16_384)
    };
    assert_eq!(read_hello(&padded(16_384)).map(|hello| hello.length), Ok(16_384));
    assert_eq!(read_hello(&padded(16_385)), Err(Fault::HelloTooLong));
}

#[test]
fn names_are_plain_or_odd() {
    let name = |names: &[&[u8]]| read_hello(&hello_with(&[(0, &name_list(names))])).unwrap();
    for plain in ["mx.example", "127.0.0.1", "a_b.c.", "::1", "x"] {
        let hello = name(&[plain.as_bytes()]);
        assert_eq!(hello.server_name, ServerName::Host(plain.to_owned()));
    }
    for odd in [&b"a\\"[..], b"a\0b", b"a b", b"$a", b"\"a", b"\xe9", b"", &[b'a'; 256]] {
        assert_eq!(name(&[odd]).server_name, ServerName::Odd, "{odd:?}");
    }
    assert_eq!(name(&[b"a", b"b"]).server_name, ServerName::Odd);
    assert_eq!(name(&[]).server_name, ServerName::Odd);
    assert_eq!(read_hello(&hello_with(&[])).unwrap().server_name, ServerName::Absent);
    assert_eq!(read_hello(&hello_of(b"")).unwrap().server_name, ServerName::Absent);
}

#[test]
fn a_hello_is_read_whole_or_not_at_all() {
    for (what, end) in [
        ("an extension twice", &b"\0\x08\0\x17\0\0\0\x17\0\0"[..]),
        ("an extension longer than the list", b"\0\x04\0\x17\0\x01"),
        ("bytes behind the list", b"\0\x04\0\x17\0\0\0"),
        ("a list longer than the hello", b"\0\x09\0\x17\0\0"),
        ("half a group", b"\0\x07\0\x0a\0\x03\0\x01\0"),
        ("a protocol without a name", b"\0\x07\0\x10\0\x03\0\x01\0"),
        ("bytes behind the groups", b"\0\x09\0\x0a\0\x05\0\x02\0\x1d\0"),
    ] {
        assert_eq!(read_hello(&hello_of(end)), Err(Fault::HelloMalformed), "{what}");
    }
    let names = [&b"\0\x28\0\x10\0\x24\0\x22"[..], &b"\x01x".repeat(17)].concat();
    assert_eq!(read_hello(&hello_of(&names)).unwrap().protocols.len(), 16, "as many as are kept");
    let mut two = client_hello();
    two[4] += 1;
    two.push(0);
    assert_eq!(read_hello(&two), Err(Fault::HelloMalformed), "more in its record");
}

#[test]
fn grease_and_hidden_names_change_nothing_but_what_they_say() {
    let versions: (u16, &[u8]) = (43, b"\x06\x0a\x0a\x03\x04\x03\x03");
    let plain = read_hello(&hello_with(&[(43, b"\x04\x03\x04\x03\x03")])).unwrap();
    let greased = read_hello(&hello_with(&[(0x4a4a, b""), versions, (0xdada, b"\0")])).unwrap();
    assert_eq!(greased.highest_version(), Version::TLS13);
    assert_eq!(fingerprint(&greased), fingerprint(&plain));
    assert!(!greased.has_encrypted_hello);
    let hidden = read_hello(&hello_with(&[versions, (0xfe0d, b"\0")])).unwrap();
    assert!(hidden.has_encrypted_hello);
    let early = hello_with(&[versions, (42, b"")]);
    let mut reader = Reader::default();
    assert_eq!(reader.read(Speaker::Client, &early), Ok(()));
    assert_eq!(reader.read(Speaker::Client, &record(23, 1_000, b"")), Ok(()));
    assert!(reader.kept < 200, "early data is not kept");
}
