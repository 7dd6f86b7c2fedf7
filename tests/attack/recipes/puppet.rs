//! A crafted client: TCP's numbers in our own hands, honest unless a recipe says otherwise.

use std::net::SocketAddr;
use std::thread;
use std::time::Duration;

use super::ether::Ether;
use crate::lab::{self, Outcome, ensure, now};
use crate::support::packet::{ACK, FIN, PSH, RST, SYN, tcp_packet};
use crate::support::segment::Segment;

/// One end of a TCP connection that exists in this test alone.
pub(crate) struct Puppet {
    pub(crate) local: SocketAddr,
    pub(crate) remote: SocketAddr,
    isn: u32,
    answer: Option<u32>,
    /// What the server said, in order.
    pub(crate) heard: Vec<u8>,
    has_fin: bool,
    /// How much of our stream the server has acknowledged.
    pub(crate) acknowledged: u32,
    /// How much of our stream has left.
    pub(crate) sent: u32,
    /// The window the server last offered, in octets.
    pub(crate) window: u32,
    scale: u32,
    pub(crate) is_reset: bool,
    /// What a forged packet holds that is no word of the server's.
    forgery: Option<Forgery>,
    /// How often it has passed on our wire.
    pub(crate) forgeries_seen: u32,
    echo: u32,
}

/// Its sequence number, its ACK and its text.
type Forgery = (u32, u32, Vec<u8>);

impl Puppet {
    pub(crate) fn new(local: SocketAddr, remote: SocketAddr) -> Self {
        Self {
            local,
            remote,
            isn: u32::from(local.port()).wrapping_mul(0x9e37_79b9),
            answer: None,
            heard: Vec::new(),
            has_fin: false,
            acknowledged: 0,
            sent: 0,
            window: 0,
            scale: 0,
            is_reset: false,
            forgery: None,
            forgeries_seen: 0,
            echo: 0,
        }
    }

    /// The sequence number of an offset in our stream.
    pub(crate) fn seq(&self, offset: u32) -> u32 {
        self.isn.wrapping_add(1).wrapping_add(offset)
    }

    /// The next number we expect from the server.
    pub(crate) fn expects(&self) -> u32 {
        let heard = u32::try_from(self.heard.len()).unwrap_or(0) + 1 + u32::from(self.has_fin);
        self.answer.unwrap_or(0).wrapping_add(heard)
    }

    /// A segment of our stream; a stale one is older than the last, so that the server, but no
    /// filter, drops it (RFC 7323 5.3).
    pub(crate) fn segment(&self, offset: u32, payload: &[u8], is_stale: bool) -> Vec<u8> {
        let clock = if is_stale { CLOCK - 100_000 } else { CLOCK };
        let options = [&[1, 1, 8, 10][..], &clock.to_be_bytes(), &self.echo.to_be_bytes()].concat();
        let (seq, ack) = (self.seq(offset), self.expects());
        tcp_packet(self.local, self.remote, seq, ack, ACK | PSH, &options, payload)
    }

    /// The SYN.
    pub(crate) fn syn(&self) -> Vec<u8> {
        let mut options = vec![2, 4, 5, 180, 1, 3, 3, 7, 1, 1, 8, 10];
        options.extend(CLOCK.to_be_bytes());
        options.extend([0; 4]);
        tcp_packet(self.local, self.remote, self.isn, 0, SYN, &options, &[])
    }

    /// Whether the server has answered our SYN.
    pub(crate) fn is_answered(&self) -> bool {
        self.answer.is_some()
    }

    /// A packet that pretends to be the server's, and means nothing to this client.
    pub(crate) fn forged(&mut self, ack: u32, payload: &[u8]) -> Vec<u8> {
        self.forgery = Some((self.expects(), ack, payload.to_vec()));
        tcp_packet(self.remote, self.local, self.expects(), ack, ACK | PSH, &[], payload)
    }

    /// Shakes hands and hears the banner.
    pub(crate) fn connect(&mut self, wire: &mut Ether) -> Outcome {
        self.shake(wire)?;
        self.hear(wire, 0, lab::PATIENCE);
        ensure(!self.heard.is_empty(), || "a crafted client heard no banner".to_owned())
    }

    /// Only shakes hands.
    pub(crate) fn shake(&mut self, wire: &mut Ether) -> Outcome {
        for _ in 0..5 {
            wire.send(&self.syn());
            let start = now();
            while self.answer.is_none() && start.elapsed() < REPEAT * 2 {
                self.drain(wire);
            }
            if self.answer.is_some() {
                wire.send(&self.segment(0, &[], false));
                return Ok(());
            }
        }
        ensure(false, || "a crafted client's SYN was not answered".to_owned())
    }

    /// Sends this next and again until the server has it; whether it has.
    pub(crate) fn say(&mut self, wire: &mut Ether, bytes: &[u8]) -> bool {
        let from = self.sent;
        self.sent += u32::try_from(bytes.len()).unwrap_or(0);
        let start = now();
        while self.acknowledged < self.sent && !self.is_reset && start.elapsed() < PATIENCE {
            for (number, piece) in (0..).zip(bytes.chunks(SEGMENT)) {
                wire.send(&self.segment(from + number * SEGMENT_OFFSET, piece, false));
            }
            self.pump(wire, REPEAT, |puppet| puppet.acknowledged >= puppet.sent);
        }
        self.acknowledged >= self.sent
    }

    /// Says a line and hears what is answered, for a while.
    pub(crate) fn ask(&mut self, wire: &mut Ether, line: &str) -> String {
        let before = self.heard.len();
        self.say(wire, format!("{line}\r\n").as_bytes());
        self.hear(wire, before, PATIENCE);
        String::from_utf8_lossy(self.heard.get(before..).unwrap_or_default()).into_owned()
    }

    /// Hears until a line has ended beyond what was heard before.
    pub(crate) fn hear(&mut self, wire: &mut Ether, before: usize, limit: Duration) {
        self.pump(wire, limit, |puppet| {
            puppet.heard.get(before..).is_some_and(|news| news.ends_with(b"\n"))
        });
    }

    /// Takes what comes until the fact holds or the time is over.
    pub(crate) fn pump(&mut self, wire: &mut Ether, limit: Duration, fact: impl Fn(&Self) -> bool) {
        let start = now();
        while !fact(self) && !self.is_reset && start.elapsed() < limit {
            self.drain(wire);
        }
    }

    /// Takes what has come, acknowledging what wants it; rests if it was nothing.
    pub(crate) fn drain(&mut self, wire: &mut Ether) {
        let mut is_quiet = true;
        while let Some(segment) = wire.receive() {
            is_quiet = false;
            if segment.source == self.remote && segment.destination == self.local {
                let wants_answer = self.take(&segment);
                if wants_answer {
                    wire.send(&self.segment(self.sent, &[], false));
                }
            }
        }
        if is_quiet {
            thread::sleep(Duration::from_micros(200));
        }
    }

    fn take(&mut self, segment: &Segment) -> bool {
        if segment.has(RST) {
            self.is_reset = true;
            return false;
        }
        if segment.has(SYN) {
            self.answer = Some(segment.seq);
            let scale = segment.options.windows(3).find(|option| option.starts_with(&[3, 3]));
            self.scale = scale.map_or(0, |option| u32::from(option[2]));
            return false;
        }
        if let Some((seq, ack, payload)) = &self.forgery
            && (*seq, *ack, payload) == (segment.seq, segment.ack, &segment.payload)
        {
            self.forgeries_seen += 1;
            return false;
        }
        if let Some(at) = segment.options.windows(2).position(|option| option == [8, 10])
            && let Some(value) = segment.options.get(at + 2..at + 6)
        {
            self.echo = value.iter().fold(0, |sum, octet| sum << 8 | u32::from(*octet));
        }
        let ahead = segment.ack.wrapping_sub(self.seq(self.acknowledged)).cast_signed();
        self.acknowledged = self.acknowledged.wrapping_add_signed(ahead.max(0));
        self.window = u32::from(segment.window) << self.scale;
        let known = self.expects().wrapping_sub(segment.seq).cast_signed();
        let fresh = usize::try_from(known).ok().and_then(|known| segment.payload.get(known..));
        if let Some(fresh) = fresh {
            self.heard.extend_from_slice(fresh);
            self.has_fin |= segment.has(FIN);
        }
        !segment.payload.is_empty() || segment.has(FIN)
    }
}

const CLOCK: u32 = 1_000_000;

/// Octets in a segment.
const SEGMENT: usize = 1_400;
const SEGMENT_OFFSET: u32 = 1_400;

/// Before something is sent again.
const REPEAT: Duration = Duration::from_millis(150);

/// For anything to be answered.
const PATIENCE: Duration = Duration::from_millis(1500);
