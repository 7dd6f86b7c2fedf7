//! Records and hellos of both sides: read whole and in pieces.
//!
//! Input: the size of the pieces, then turns: two bytes (bit 15: the server's, the rest a length)
//! and so many bytes. Whatever the cut, the same is kept and seen, and a fault stands at the same
//! byte; what is held is bounded; and a hello that is taken can be read by tls-parser, too.

use mailguard::speaker::Speaker;
use mailguard::tls::{ClientHello, Fault, Seen, Watch, fingerprint};
use tls_parser::{TlsMessage, TlsMessageHandshake, parse_tls_plaintext};

use super::input::Input;

/// Two hellos under way, with what a growing buffer has to spare.
const HELD_MAX: usize = 4 * ((1 << 14) + 4);

#[derive(Default)]
struct Reader {
    watch: Watch,
    /// Bytes of each side that are yet to be skipped.
    ahead: [usize; 2],
    /// Bytes of each side that have come.
    come: [usize; 2],
    seen: Vec<Seen>,
    /// An alert that is not kept is read as far as its segment has it, so cuts matter from there.
    has_alert: bool,
    kept: usize,
}

impl Reader {
    fn read(&mut self, side: Speaker, mut piece: &[u8]) -> Result<(), (usize, Fault)> {
        let index = side as usize;
        while !piece.is_empty() && !self.has_alert {
            let skipped = self.ahead[index].min(piece.len());
            if skipped > 0 {
                self.ahead[index] -= skipped;
                self.come[index] += skipped;
                piece = &piece[skipped..];
                continue;
            }
            let step = self.watch.read(side, piece);
            assert!(0 < step.used && step.used <= piece.len());
            assert!(self.watch.held() <= HELD_MAX);
            self.kept += step.used;
            self.come[index] += step.used;
            self.ahead[index] = step.skipped as usize;
            piece = &piece[step.used..];
            if let Some(fault) = step.fault {
                return Err((self.come[index], fault));
            }
            self.has_alert = matches!(step.seen, Some(Seen::Alert(_)));
            self.seen.extend(step.seen.filter(|_| !self.has_alert));
        }
        Ok(())
    }
}

pub fn run(data: &[u8]) {
    let mut input = Input::new(data);
    let size = 1 + input.number();
    let (mut whole, mut cut) = (Reader::default(), Reader::default());
    while !input.is_empty() {
        let head = input.number() << 8 | input.number();
        let side = if head >> 15 == 0 { Speaker::Client } else { Speaker::Server };
        let turn = input.bytes(head & 0x7fff);
        let is_first = whole.come == [0, 0];
        let read = whole.read(side, turn);
        let same = turn.chunks(size).try_for_each(|piece| cut.read(side, piece));
        if whole.has_alert || cut.has_alert {
            return;
        }
        assert_eq!(read, same);
        assert_eq!((&whole.seen, whole.kept), (&cut.seen, cut.kept));
        let volumes =
            |reader: &Reader| [Speaker::Client, Speaker::Server].map(|s| reader.watch.volume(s));
        assert_eq!(volumes(&whole), volumes(&cut));
        if read.is_err() {
            return;
        }
        // Later turns may hold what looks like another, under keys.
        if let (Some(Seen::ClientHello(hello)), true) = (whole.seen.first(), is_first) {
            compare(hello, turn);
        }
    }
}

/// Where the first turn is a record with a whole hello, the other parser finds it there.
fn compare(hello: &ClientHello, turn: &[u8]) {
    assert_eq!(fingerprint(hello).len(), 36);
    let Ok((_, record)) = parse_tls_plaintext(turn) else { return };
    if let [TlsMessage::Handshake(TlsMessageHandshake::ClientHello(other))] = &record.msg[..] {
        let suites: Vec<u16> = other.ciphers.iter().map(|suite| suite.0).collect();
        assert_eq!((hello.legacy_version.0, &hello.cipher_suites), (other.version.0, &suites));
        let session_id = other.session_id.unwrap_or_default();
        assert_eq!(hello.session_id, session_id);
    }
}
