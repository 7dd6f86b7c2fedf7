//! The engine between two ends, without a kernel. Everything that holds for every packet whatever
//! the schedule is asserted here, on each one that leaves:
//!
//! lengths and checksums right and no header changed but what the design names; every stream
//! position one value for ever, below the receiver's ACK only blanks; three receivers of different
//! tastes read the same; no refused verb on the server's wire; a monitor beside changes nothing.

use std::cell::Cell;
use std::net::SocketAddr;
use std::sync::OnceLock;

use mailguard::config::Config;
use mailguard::engine::{
    Arrival, Effects, Engine, Gaps, Image, Limits, Path, Reason, Record, Settings, Stats,
    UnknownFlow, Verdict, What,
};
use mailguard::flow::Direction;
use mailguard::guard;
use mailguard::patch::Catalogue;
use mailguard::time::Instant;
use mailguard::wire::{Checksum, Packet, Parsed};

use super::oracle;
use super::packet::{ACK, FIN, PSH, SYN, arrival, tcp_packet};
use super::receiver::{Overlap, Receiver};

/// Settings of a profile, but for what it asks of a whole session: most cases speak of a packet or
/// a line, and repeat it as often as they like.
pub fn settings(profile: &str) -> Settings {
    let mut guard = guard::Settings::profile(profile).expect("a known profile");
    for (key, value) in [
        ("order", "off"),
        ("refused_lines_max", "0"),
        ("idle_commands_max", "0"),
        ("empty_lines_max", "0"),
    ] {
        guard.set(key, value).unwrap();
    }
    guard.patches.catalogue = patches();
    Settings {
        ports: vec![25],
        monitor: false,
        unknown_flow: UnknownFlow::Reset,
        guard,
        exceptions: Vec::new(),
        limits: limits(),
        gaps: Gaps::Refuse,
    }
}

/// The same with these guard settings changed.
pub fn settings_with(profile: &str, changes: &[(&str, &str)]) -> Settings {
    let mut settings = settings(profile);
    for (key, value) in changes {
        settings.guard.set(key, value).unwrap();
    }
    settings.guard.patches.catalogue = patches();
    settings
}

/// The limits of a filter that is told nothing.
pub fn limits() -> Limits {
    static LIMITS: OnceLock<Limits> = OnceLock::new();
    *LIMITS.get_or_init(|| Config::build(None, &[]).unwrap().engine.limits)
}

/// The patches built in; read once.
pub fn patches() -> Catalogue {
    static BUILT_IN: OnceLock<Catalogue> = OnceLock::new();
    BUILT_IN.get_or_init(|| Catalogue::with(&[]).expect("the files are good")).clone()
}

/// The same with every rule off: all verbs, no mask, no limit.
pub fn settings_without_rules() -> Settings {
    let verbs: Vec<_> = mailguard::smtp::Verb::ALL.iter().map(|verb| verb.name()).collect();
    let changes = [
        ("verbs", &*verbs.join(",")),
        ("banner", "pass"),
        ("http_words", "pass"),
        ("address_scan", "off"),
        ("envelope", "off"),
        ("local_part_max", "0"),
        ("path_max", "0"),
        ("failed_auth_max", "0"),
        ("chunks_small_max", "0"),
        ("header_bytes_max", "0"),
        ("header_fields_max", "0"),
        ("line_max", "0"),
        ("envelope_line_max", "0"),
        ("auth_line_max", "0"),
        ("auth_response_max", "0"),
        ("recipients_max", "0"),
        ("lookalikes", "pass"),
        ("patches", "off"),
    ];
    settings_with("mailguard", &changes)
}

/// One end's view of one direction.
pub struct Side {
    /// The value each offset left with, 256 where none has.
    wire: Vec<u16>,
    /// What its sender had there in the packet with which it first left.
    sent: Vec<u8>,
    /// How many bytes are there without a gap: the receiver's ACK.
    pub received: u64,
    /// Whether a FIN has arrived.
    pub is_finished: bool,
    receivers: [Receiver; 3],
}

impl Default for Side {
    fn default() -> Self {
        let receivers = [Overlap::Linux, Overlap::First, Overlap::Last].map(Receiver::new);
        Self { wire: Vec::new(), sent: Vec::new(), received: 0, is_finished: false, receivers }
    }
}

impl Side {
    /// The stream as the receiver's application reads it.
    pub fn bytes(&self) -> Vec<u8> {
        self.receivers[0].read.clone()
    }

    /// The stream as it was judged, as far as its receiver has read.
    pub fn judged(&self) -> &[u8] {
        &self.sent[..self.receivers[0].read.len()]
    }

    /// The value this offset left with.
    pub fn left(&self, offset: u64) -> Option<u8> {
        let value = self.wire.get(offset as usize)?;
        u8::try_from(*value).ok()
    }

    /// A payload leaves: one value for each position, and blanks where the receiver reads nothing.
    fn leave(&mut self, start: i64, payload: &[u8], came: &[u8]) {
        for (index, (&byte, &sent)) in payload.iter().zip(came).enumerate() {
            let offset = start + index as i64;
            if offset < self.received as i64 {
                let known = u64::try_from(offset).ok().and_then(|offset| self.left(offset));
                assert!(byte == b'X' || known == Some(byte), "offset {offset} left unjudged");
                continue;
            }
            let place = offset as usize;
            if self.wire.len() <= place {
                self.wire.resize(place + 1, 256);
                self.sent.resize(place + 1, 0);
            }
            if self.wire[place] == 256 {
                self.wire[place] = u16::from(byte);
                self.sent[place] = sent;
            }
            assert_eq!(self.wire[place], u16::from(byte), "offset {offset} left with two values");
        }
    }

    /// A segment arrives.
    fn arrive(&mut self, start: i64, payload: &[u8], has_fin: bool) {
        for receiver in &mut self.receivers {
            receiver.take(start, payload, has_fin);
        }
        let [linux, first, last] = &self.receivers;
        for other in [first, last] {
            assert_eq!(linux.read.len(), other.read.len(), "all receivers read as far");
            let tail = self.received as usize..;
            assert_eq!(linux.read[tail.clone()], other.read[tail], "all receivers read the same");
            assert_eq!(linux.is_finished, other.is_finished, "all receivers agree on the end");
        }
        self.received = linux.next();
        self.is_finished = linux.is_finished;
    }
}

/// A packet as it came.
pub struct Seen {
    pub at: Instant,
    pub path: Path,
    pub bytes: Vec<u8>,
}

/// An engine, one flow, and what left of it.
pub struct Rig {
    pub engine: Engine,
    /// The same engine in monitor mode, which must let everything pass.
    monitor: Engine,
    pub effects: Effects,
    pub records: Vec<Record>,
    /// Every packet so far.
    pub seen: Vec<Seen>,
    pub resets: usize,
    /// The RSTs themselves.
    pub reset_packets: Vec<Vec<u8>>,
    pub original: Side,
    pub reply: Side,
    pub client: SocketAddr,
    pub server: SocketAddr,
    pub isn: [u32; 2],
    pub micros: u64,
    pub is_super_packet: bool,
    /// What leaves is lost before it arrives.
    pub is_lost_behind: bool,
    /// With no rules, what leaves is what came.
    pub has_no_rules: bool,
    /// The words that no packet to the server may contain.
    pub refused_words: &'static [&'static str],
    /// The packet that left last.
    pub last_left: Vec<u8>,
    /// An engine that hands over to a new one before each packet, and must answer the same.
    pub heirs: Option<Heirs>,
}

thread_local! {
    static HANDS_OVER: Cell<bool> = const { Cell::new(false) };
}

/// Does something in which every rig's engine hands over to a new one before each packet.
pub fn handing_over(work: impl FnOnce()) {
    HANDS_OVER.set(true);
    work();
    HANDS_OVER.set(false);
}

/// Engines, each of which begins where the one before stopped.
pub struct Heirs {
    engine: Engine,
    settings: Settings,
    effects: Effects,
}

impl Heirs {
    pub fn new(settings: Settings) -> Self {
        let engine = Engine::new(settings.clone(), 1);
        Self { engine, settings, effects: Effects::default() }
    }

    /// The next one begins.
    pub fn hand_over(&mut self, now: Instant) {
        let bytes = self.engine.image(now, 7);
        let image = Image::open(&bytes).unwrap();
        assert_eq!((image.now(), image.clock()), (now, 7));
        let settings = self.settings.clone();
        let (engine, restored) = Engine::restored(settings, &image, now, &mut self.effects);
        let (before, after) = (self.engine.stats(), engine.stats());
        assert_eq!((restored.flows, restored.undecodable), (before.flows_now, 0));
        assert_eq!(Stats { store_bytes_now: 0, ..before }, Stats { store_bytes_now: 0, ..after });
        self.engine = engine;
    }

    /// Hands over, and answers as the engine beside did.
    pub fn answer(&mut self, now: Instant, arrival: &Arrival<'_>, other: (Verdict, &Effects)) {
        self.hand_over(now);
        let verdict = self.engine.handle(now, arrival, &mut self.effects);
        let (expected, effects) = other;
        assert_eq!(verdict, expected);
        assert_eq!(self.effects.rewritten, effects.rewritten);
        assert_eq!(self.effects.resets, effects.resets);
        assert_eq!(self.effects.records, effects.records);
        assert_eq!(self.effects.handling, effects.handling);
        assert_eq!(self.effects.ended, effects.ended);
    }
}

impl Rig {
    /// A flow whose handshake is done.
    pub fn established(settings: Settings, isn: [u32; 2]) -> Self {
        let mut rig = Self::new(settings, isn);
        rig.shake_hands();
        rig
    }

    /// The handshake, packet by packet.
    pub fn shake_hands(&mut self) {
        let options = [2, 4, 5, 180];
        let [c, s] = self.isn;
        for (direction, seq, ack, flags) in [
            (Direction::Original, c, 0, SYN),
            (Direction::Reply, s, c.wrapping_add(1), SYN | ACK),
            (Direction::Original, c.wrapping_add(1), s.wrapping_add(1), ACK),
        ] {
            let options: &[u8] = if flags & SYN != 0 { &options } else { &[] };
            let verdict = self.packet(direction, seq, ack, flags, options, &[]);
            assert_eq!(verdict, Verdict::Accept);
        }
    }

    /// An engine that has seen nothing.
    pub fn new(mut settings: Settings, isn: [u32; 2]) -> Self {
        // Thousands of rigs are built; a table of the usual size takes longer than most tests.
        settings.limits.handshakes_max = settings.limits.handshakes_max.min(256);
        let heirs = HANDS_OVER.get().then(|| Heirs::new(settings.clone()));
        let monitor = Settings { monitor: true, ..settings.clone() };
        Self {
            engine: Engine::new(settings, 1),
            monitor: Engine::new(monitor, 1),
            effects: Effects::default(),
            records: Vec::new(),
            seen: Vec::new(),
            resets: 0,
            reset_packets: Vec::new(),
            original: Side::default(),
            reply: Side::default(),
            client: "192.0.2.1:40000".parse().unwrap(),
            server: "198.51.100.2:25".parse().unwrap(),
            isn,
            micros: 1_000_000_000,
            is_super_packet: false,
            is_lost_behind: false,
            has_no_rules: false,
            refused_words: &[],
            last_left: Vec::new(),
            heirs,
        }
    }

    /// From here on another connection between the same ends, or others.
    pub fn renew(&mut self, isn: [u32; 2]) {
        self.isn = isn;
        self.original = Side::default();
        self.reply = Side::default();
    }

    /// The engine forgets everything, as after a restart.
    pub fn restart(&mut self, settings: Settings) {
        self.engine = Engine::new(settings, 1);
    }

    pub fn side(&mut self, direction: Direction) -> &mut Side {
        match direction {
            Direction::Original => &mut self.original,
            Direction::Reply => &mut self.reply,
        }
    }

    /// Sends payload at an offset, acknowledging what the sender has received.
    pub fn send(&mut self, direction: Direction, offset: u64, payload: &[u8]) -> Verdict {
        self.send_with(direction, offset, payload, ACK | PSH)
    }

    /// Sends what comes next of a direction.
    pub fn send_next(&mut self, direction: Direction, payload: &[u8]) -> Verdict {
        let offset = self.side(direction).received;
        self.send(direction, offset, payload)
    }

    /// Sends payload at an offset, with a FIN behind it.
    pub fn send_fin(&mut self, direction: Direction, offset: u64, payload: &[u8]) -> Verdict {
        self.send_with(direction, offset, payload, ACK | FIN)
    }

    pub fn send_with(
        &mut self,
        direction: Direction,
        offset: u64,
        payload: &[u8],
        flags: u8,
    ) -> Verdict {
        let (seq, ack) = self.numbers(direction, offset);
        self.packet(direction, seq, ack, flags, &[], payload)
    }

    /// Sequence number of an offset, and the sender's ACK.
    pub fn numbers(&mut self, direction: Direction, offset: u64) -> (u32, u32) {
        let other = self.side(direction.other());
        let ack = other.received + u64::from(other.is_finished);
        let (from, to) = match direction {
            Direction::Original => (self.isn[0], self.isn[1]),
            Direction::Reply => (self.isn[1], self.isn[0]),
        };
        let seq = from.wrapping_add(1).wrapping_add(offset as u32);
        (seq, to.wrapping_add(1).wrapping_add(ack as u32))
    }

    /// A bare ACK of everything received.
    pub fn ack(&mut self, direction: Direction, offset: u64) -> Verdict {
        self.send_with(direction, offset, &[], ACK)
    }

    /// Any packet at all.
    pub fn packet(
        &mut self,
        direction: Direction,
        seq: u32,
        ack: u32,
        flags: u8,
        options: &[u8],
        payload: &[u8],
    ) -> Verdict {
        let bytes = self.build(direction, seq, ack, flags, options, payload);
        self.raw(direction, &bytes)
    }

    pub fn build(
        &self,
        direction: Direction,
        seq: u32,
        ack: u32,
        flags: u8,
        options: &[u8],
        payload: &[u8],
    ) -> Vec<u8> {
        let (source, destination) = match direction {
            Direction::Original => (self.client, self.server),
            Direction::Reply => (self.server, self.client),
        };
        tcp_packet(source, destination, seq, ack, flags, options, payload)
    }

    /// Any bytes at all, as sent by one end.
    pub fn raw(&mut self, direction: Direction, bytes: &[u8]) -> Verdict {
        self.raw_from(direction, direction, bytes)
    }

    /// Any bytes at all that claim a direction and come in on the side of another.
    pub fn raw_from(&mut self, side: Direction, direction: Direction, bytes: &[u8]) -> Verdict {
        self.micros += 1_000;
        let path = match side {
            Direction::Original => Path { ingress: 1, egress: 2, link: 0 },
            Direction::Reply => Path { ingress: 2, egress: 1, link: 0 },
        };
        let arrival = Arrival {
            checksum: Checksum::Complete,
            is_super_packet: self.is_super_packet,
            path,
            ..arrival(bytes)
        };
        let now = Instant::from_micros(self.micros);
        self.seen.push(Seen { at: now, path, bytes: bytes.to_vec() });
        let mut effects = std::mem::take(&mut self.effects);
        assert_eq!(self.monitor.handle(now, &arrival, &mut effects), Verdict::Accept);
        assert!(effects.resets.is_empty(), "a monitor resets nothing");
        let verdict = self.engine.handle(now, &arrival, &mut effects);
        if let Some(heirs) = &mut self.heirs {
            heirs.answer(now, &arrival, (verdict, &effects));
        }
        self.records.append(&mut effects.records);
        self.resets += effects.resets.len();
        self.reset_packets.append(&mut effects.resets);
        match verdict {
            Verdict::Accept => self.leave(direction, bytes, bytes),
            Verdict::Rewrite => self.leave(direction, bytes, &effects.rewritten),
            Verdict::Drop(_) => {}
        }
        self.effects = effects;
        verdict
    }

    /// Whether the log has an entry like this.
    pub fn has_told(&self, is_like: impl Fn(&What) -> bool) -> bool {
        self.records.iter().any(|record| is_like(&record.what))
    }

    /// Why the packet judged last did not go on whole, if it did not.
    pub fn refusal(&self, verdict: Verdict) -> Option<Reason> {
        match verdict {
            Verdict::Drop(reason) => Some(reason),
            Verdict::Accept | Verdict::Rewrite => self.effects.withheld.map(|held| held.reason),
        }
    }

    fn leave(&mut self, direction: Direction, came: &[u8], left: &[u8]) {
        let Ok(Parsed::Tcp(packet)) = Packet::parse(left) else { return };
        let Ok(Parsed::Tcp(before)) = Packet::parse(came) else { panic!("unreadable: {came:?}") };
        oracle::check_packet(came, left);
        self.last_left = left.to_vec();
        if direction == Direction::Original {
            oracle::check_words(packet.payload(), self.refused_words);
        }
        if packet.flags.syn || packet.flags.rst {
            assert!(packet.payload().is_empty(), "SYN and RST carry no data on");
            return;
        }
        let isn = match direction {
            Direction::Original => self.isn[0],
            Direction::Reply => self.isn[1],
        };
        let (is_lost_behind, has_no_rules) = (self.is_lost_behind, self.has_no_rules);
        let side = self.side(direction);
        let expected = isn.wrapping_add(1).wrapping_add(side.received as u32);
        let ahead = packet.seq.0.wrapping_sub(expected).cast_signed();
        let start = side.received as i64 + i64::from(ahead);
        side.leave(start, packet.payload(), before.payload());
        if has_no_rules {
            let acknowledged = side.received as i64 - start;
            oracle::check_payload(before.payload(), packet.payload(), acknowledged.max(0) as usize);
        }
        if !is_lost_behind {
            side.arrive(start, packet.payload(), packet.flags.fin);
        }
    }
}
