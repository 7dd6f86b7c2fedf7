//! Both sides together: each header, the hellos, and where each side stands.
//!
//! Payload counts only while a side's hello is due or under way, and where the client's keys are
//! made; behind that a record's length alone says where the next one begins. Headers are judged
//! byte by byte, so that no cut puts it off.

mod data;

use serde::{Deserialize, Serialize};

use super::flight::Flight;
use super::hello::Version;
use super::record::{ContentType, HEADER, HEARTBEAT, Header};
use super::table::{Next, Question, State, next};
use super::{ClientHello, Fault, Seen, ServerHello, Speaker, Step};
use crate::speaker::PerSpeaker;

pub use data::Data;

/// Longest hello that is read, in bytes of its body: what fits in one record.
const HELLO_MAX: usize = 1 << 14;

/// Bytes before the body of a handshake message: type and length (RFC 8446 4).
const MESSAGE_HEAD: usize = 4;

/// HandshakeType (RFC 8446 4).
const CLIENT_HELLO: u8 = 1;
const SERVER_HELLO: u8 = 2;

/// Records of one side that say next to nothing: no program needs more.
const ALERTS_MAX: u8 = 4;
const CHANGES_MAX: u8 = 4;

/// AlertLevel warning, AlertDescription close_notify (RFC 8446 6).
const WARNING: u8 = 1;
const CLOSE_NOTIFY: u8 = 0;

/// A Finished of TLS 1.3 under keys: 4 bytes, the hash, a type and a tag. Less is an alert.
const FINISHED_MIN: u16 = 53;

/// How far one side has come, as others may ask.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// Its hello is not whole.
    Hello,
    /// Its hello is said, its keys are not in use.
    Clear,
    /// Its records are under keys.
    Sealed,
    /// An alert has closed it.
    Closed,
}

/// Records of a side whose header was read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Volume {
    /// How many.
    pub records: u64,
    /// The bytes they announced.
    pub bytes: u64,
}

/// One side.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Half {
    state: State,
    header: Header,
    /// What the payload is that is kept, and how many bytes of it are yet to come.
    payload: Option<(ContentType, u16)>,
    /// The hello under way.
    message: Vec<u8>,
    /// The first byte of the alert under way.
    level: Option<u8>,
    hellos: u8,
    alerts: u8,
    changes: u8,
    sealed_handshakes: u8,
    /// The client's messages in clear behind the hellos.
    flight: Flight,
    /// Length of the first record under keys; or of a longer one, while it is too short for a
    /// Finished: EndOfEarlyData stands before that.
    first_sealed: Option<u16>,
    volume: Volume,
}

/// Both.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Watch {
    sides: PerSpeaker<Half>,
    version: Option<Version>,
    /// The session that the client offers to go on with, until the server has answered.
    session_id: Vec<u8>,
    is_retried: bool,
    offers_early_data: bool,
}

impl Watch {
    /// Reads what stands at the front of the input, which is not empty, and begins behind all that
    /// was used and skipped before.
    pub fn read(&mut self, side: Speaker, input: &[u8]) -> Step {
        let mut step = Step { used: 0, skipped: 0, seen: None, fault: None };
        let read = if self.sides[side].payload.is_some() {
            self.read_payload(side, input, &mut step)
        } else {
            self.read_header(side, input, &mut step)
        };
        step.fault = read.err();
        step
    }

    /// How far a side has come.
    #[must_use]
    pub fn standing(&self, side: Speaker) -> Standing {
        match self.sides[side].state {
            State::Start | State::Hello | State::Retried => Standing::Hello,
            State::Said | State::Clear | State::Clear13 => Standing::Clear,
            State::Sealed => Standing::Sealed,
            State::Closed | State::Shut => Standing::Closed,
        }
    }

    /// Whether both sides have come to be under keys, as far as can be told: a client of TLS 1.3
    /// whose first record under keys is too short for a Finished has refused.
    #[must_use]
    pub fn has_agreed(&self) -> bool {
        let has_server_keys = self.sides[Speaker::Server].first_sealed.is_some() || self.is_13();
        let shortest = if self.is_13() { FINISHED_MIN } else { 0 };
        has_server_keys
            && self.sides[Speaker::Client].first_sealed.is_some_and(|length| length >= shortest)
    }

    /// The version agreed on, once the server has said its hello.
    #[must_use]
    pub const fn version(&self) -> Option<Version> {
        self.version
    }

    /// Whether a side has said a hello.
    #[must_use]
    pub fn has_hello(&self, side: Speaker) -> bool {
        self.sides[side].hellos > 0
    }

    /// Whether a side has said another hello, as a HelloRetryRequest asks for.
    #[must_use]
    pub fn has_second_hello(&self, side: Speaker) -> bool {
        self.sides[side].hellos > 1
    }

    /// Whether a side has said a byte that TLS can begin with.
    #[must_use]
    pub fn has_begun(&self, side: Speaker) -> bool {
        let half = &self.sides[side];
        let is_begun = half.header.count() > 0 && half.header.content_type().is_some();
        half.state != State::Start || is_begun
    }

    /// Whether a header of this side is under way: its stream may not end here.
    #[must_use]
    pub fn is_inside_header(&self, side: Speaker) -> bool {
        self.sides[side].header.count() > 0
    }

    /// How much a side has sent in records.
    #[must_use]
    pub fn volume(&self, side: Speaker) -> Volume {
        self.sides[side].volume
    }

    /// Bytes of memory that hellos under way occupy.
    #[must_use]
    pub fn held(&self) -> usize {
        let [client, server] = [Speaker::Client, Speaker::Server].map(|side| &self.sides[side]);
        client.message.capacity() + server.message.capacity()
    }

    const fn is_13(&self) -> bool {
        matches!(self.version, Some(version) if version.is_13())
    }

    fn question(&self, side: Speaker) -> Question {
        let (half, client) = (&self.sides[side], &self.sides[Speaker::Client]);
        Question {
            side,
            state: half.state,
            version: self.version,
            is_retried: self.is_retried && client.hellos == 1,
            offers_early_data: self.offers_early_data,
            may_have_keys: client.flight.may_have_keys() || self.sides[Speaker::Server].changes > 0,
            sealed_handshakes: half.sealed_handshakes,
        }
    }

    /// More of a header. Its bytes are judged one by one, so that no cut puts that off.
    fn read_header(&mut self, side: Speaker, input: &[u8], step: &mut Step) -> Result<(), Fault> {
        for &byte in input {
            step.used += 1;
            let header = &mut self.sides[side].header;
            let is_version = header.push(byte);
            match usize::from(header.count()) {
                1 => self.judge_first(side, byte)?,
                _ if !is_version => return Err(Fault::RecordVersion),
                HEADER => {
                    let header = std::mem::take(header);
                    return self.begin_record(side, header, step);
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// The first byte of a header.
    fn judge_first(&self, side: Speaker, byte: u8) -> Result<(), Fault> {
        let asked = self.question(side);
        let Some(kind) = ContentType::of(byte) else {
            let is_text = matches!(byte, b'\r' | b'\n' | 0x20..=0x7e);
            let is_first = asked.state == State::Start && side == Speaker::Client;
            let was_sealed = matches!(asked.state, State::Sealed | State::Closed | State::Shut);
            return Err(match byte {
                0x80.. if is_first => Fault::Sslv2Hello,
                _ if was_sealed && is_text => Fault::TextAfterTls,
                HEARTBEAT => Fault::RecordType,
                _ => Fault::NotTls,
            });
        };
        if side == Speaker::Server && !self.may_server_say(kind) {
            return Err(Fault::ServerFirst);
        }
        next(asked, kind).map(|_| ())
    }

    /// Before the client's hello is whole the server has nothing to say but alerts, and behind its
    /// HelloRetryRequest the one ChangeCipherSpec of RFC 8446 D.4.
    fn may_server_say(&self, kind: ContentType) -> bool {
        let client = &self.sides[Speaker::Client];
        match (client.state, kind) {
            (State::Start, ContentType::Alert) => client.header.count() > 0,
            (State::Hello, ContentType::ChangeCipherSpec) => self.is_retried,
            (State::Hello, kind) => kind == ContentType::Alert,
            (state, _) => state != State::Start,
        }
    }

    /// A whole header: where its record leads, and what becomes of the payload.
    fn begin_record(
        &mut self,
        side: Speaker,
        header: Header,
        step: &mut Step,
    ) -> Result<(), Fault> {
        let asked = self.question(side);
        let length = header.length();
        let kind = header.content_type().ok_or(Fault::NotTls)?;
        let meaning = next(asked, kind)?;
        if !asked.lengths(kind).admit(length) {
            let is_change = kind == ContentType::ChangeCipherSpec;
            return Err(if is_change { Fault::BadCcs } else { Fault::RecordLength });
        }
        let half = &mut self.sides[side];
        half.count(kind, length)?;
        if asked.keeps_payload(kind) {
            half.payload = Some((kind, length));
        } else {
            step.skipped = u32::from(length);
        }
        step.seen = half.enter(meaning, kind, length);
        Ok(())
    }

    /// More of a payload that is kept.
    fn read_payload(&mut self, side: Speaker, input: &[u8], step: &mut Step) -> Result<(), Fault> {
        let half = &mut self.sides[side];
        let Some((kind, left)) = half.payload else { return Ok(()) };
        let piece = input.get(..usize::from(left)).unwrap_or(input);
        step.used = piece.len();
        let read = match kind {
            ContentType::Handshake if half.state == State::Clear => {
                half.flight.read(piece);
                Ok(false)
            }
            ContentType::Handshake => half.read_message(side, piece, &mut step.used),
            ContentType::Alert => {
                step.seen = half.read_alert(piece);
                Ok(false)
            }
            ContentType::ChangeCipherSpec if piece.iter().any(|&byte| byte != 1) => {
                Err(Fault::BadCcs)
            }
            ContentType::ChangeCipherSpec | ContentType::ApplicationData => Ok(false),
        };
        let left = left.saturating_sub(u16::try_from(step.used).unwrap_or(left));
        half.payload = (left > 0).then_some((kind, left));
        if read? { self.end_hello(side, left, step) } else { Ok(()) }
    }

    /// A hello is whole; `left` bytes of its record stand behind it.
    fn end_hello(&mut self, side: Speaker, left: u16, step: &mut Step) -> Result<(), Fault> {
        let half = &mut self.sides[side];
        half.hellos = half.hellos.saturating_add(1);
        let message = std::mem::take(&mut half.message);
        let body = message.get(MESSAGE_HEAD..).unwrap_or_default();
        let (seen, is_last) = match side {
            Speaker::Client => (self.end_client_hello(body)?, true),
            Speaker::Server => self.end_server_hello(body)?,
        };
        step.seen = Some(seen);
        if left > 0 {
            // Behind a message that keys follow nothing may stand (RFC 8446 5.1).
            if is_last {
                return Err(Fault::HelloMalformed);
            }
            self.sides[side].payload = None;
            step.skipped = u32::from(left);
        }
        Ok(())
    }

    fn end_client_hello(&mut self, body: &[u8]) -> Result<Seen, Fault> {
        let hello = ClientHello::parse(body).ok_or(Fault::HelloMalformed)?;
        self.sides[Speaker::Client].state = State::Said;
        self.offers_early_data = hello.has_early_data;
        self.session_id.clone_from(&hello.session_id);
        Ok(Seen::ClientHello(Box::new(hello)))
    }

    /// What the server's hello makes of both sides, and whether its record has to end with it.
    fn end_server_hello(&mut self, body: &[u8]) -> Result<(Seen, bool), Fault> {
        let mut hello = ServerHello::parse(body).ok_or(Fault::HelloMalformed)?;
        if hello.is_retry {
            if std::mem::replace(&mut self.is_retried, true) {
                return Err(Fault::HelloMalformed);
            }
            self.sides[Speaker::Server].state = State::Retried;
            return Ok((Seen::ServerHello(Box::new(hello)), true));
        }
        self.version = Some(hello.version);
        let session_id = std::mem::take(&mut self.session_id);
        let is_13 = hello.is_13();
        if !is_13 && self.sides[Speaker::Client].changes > 0 {
            return Err(Fault::EarlyCcs);
        }
        hello.is_retried = self.is_retried;
        hello.is_resumed |= !is_13 && !session_id.is_empty() && session_id == hello.session_id;
        let (server, client) =
            if is_13 { (State::Sealed, State::Clear13) } else { (State::Clear, State::Clear) };
        self.sides[Speaker::Server].state = server;
        if self.sides[Speaker::Client].state == State::Said {
            self.sides[Speaker::Client].state = client;
        }
        Ok((Seen::ServerHello(Box::new(hello)), is_13))
    }
}

impl Half {
    /// One record more.
    fn count(&mut self, kind: ContentType, length: u16) -> Result<(), Fault> {
        self.volume.records += 1;
        self.volume.bytes += u64::from(length);
        match kind {
            ContentType::ChangeCipherSpec => {
                self.changes = self.changes.saturating_add(1);
                if self.changes > CHANGES_MAX { Err(Fault::BadCcs) } else { Ok(()) }
            }
            ContentType::Alert => {
                self.alerts = self.alerts.saturating_add(1);
                if self.alerts > ALERTS_MAX { Err(Fault::AlertFlood) } else { Ok(()) }
            }
            ContentType::Handshake | ContentType::ApplicationData => Ok(()),
        }
    }

    /// What a record brings about.
    fn enter(&mut self, meaning: Next, kind: ContentType, length: u16) -> Option<Seen> {
        match meaning {
            Next::Stay => {
                let is_data = kind == ContentType::ApplicationData;
                if let Some(first) = self.first_sealed.as_mut().filter(|_| is_data)
                    && *first < FINISHED_MIN
                {
                    *first = length.max(*first);
                }
                None
            }
            Next::Message => {
                self.state = State::Hello;
                None
            }
            // It is kept, and read as it comes.
            Next::Alert => {
                self.level = None;
                None
            }
            Next::Close | Next::Shut => {
                self.state = if meaning == Next::Shut { State::Shut } else { State::Closed };
                Some(Seen::Alert(None))
            }
            Next::Seal => {
                self.state = State::Sealed;
                self.first_sealed = Some(length);
                Some(Seen::Sealed)
            }
            Next::Finished => {
                self.sealed_handshakes = self.sealed_handshakes.saturating_add(1);
                (self.sealed_handshakes == 2).then_some(Seen::Renegotiation)
            }
        }
    }

    /// An alert closes its side unless it is a warning.
    fn read_alert(&mut self, piece: &[u8]) -> Option<Seen> {
        let mut bytes = piece.iter().copied();
        let level = self.level.or_else(|| bytes.next())?;
        self.level = Some(level);
        let description = bytes.next()?;
        if level != WARNING || description == CLOSE_NOTIFY {
            self.state = State::Closed;
        }
        Some(Seen::Alert(Some(description)))
    }

    /// More of a hello. Says whether it is whole, and how much of the piece it took until then.
    fn read_message(
        &mut self,
        side: Speaker,
        piece: &[u8],
        used: &mut usize,
    ) -> Result<bool, Fault> {
        let wanted = match side {
            Speaker::Client => CLIENT_HELLO,
            Speaker::Server => SERVER_HELLO,
        };
        let mut rest = piece;
        while self.message.len() < MESSAGE_HEAD {
            let Some((&byte, behind)) = rest.split_first() else { return Ok(false) };
            rest = behind;
            self.message.push(byte);
            *used = piece.len() - rest.len();
            if self.message.first() != Some(&wanted) {
                return Err(Fault::NoHello);
            }
        }
        let Some(&[_, a, b, c]) = self.message.first_chunk() else { return Ok(false) };
        let whole = MESSAGE_HEAD + u32::from_be_bytes([0, a, b, c]) as usize;
        if whole > MESSAGE_HEAD + HELLO_MAX {
            return Err(Fault::HelloTooLong);
        }
        let missing = whole.saturating_sub(self.message.len());
        let body = rest.get(..missing).unwrap_or(rest);
        self.message.extend_from_slice(body);
        *used = piece.len() - rest.len() + body.len();
        Ok(self.message.len() == whole)
    }
}
