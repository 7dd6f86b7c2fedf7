//! The arrangement every case runs in, and the table that runs them.
//!
//! Opened on the gateway's own thread: a TUN device with crafted clients behind it, the wire
//! towards the server under watch, the recording server, and Mailguard between.

use std::env;
use std::net::{IpAddr, SocketAddr, TcpStream};
use std::thread;
use std::time::Duration;

use super::{Peer, Wire, canonical};
use crate::lab::{
    Family, Filter, Guard, Network, Outcome, PATIENCE, Recorder, Side, Sniffer, Tun, Visit, ensure,
    now, run, wrong,
};
use crate::support::packet::{ACK, RST};
use crate::support::segment::Segment;

/// The arrangement.
pub(crate) struct Stand {
    pub(crate) family: Family,
    pub(crate) tun: Tun,
    sniffer: Sniffer,
    pub(crate) wire: Wire,
    pub(crate) network: Network,
    recorders: [Recorder; 2],
    pub(crate) guard: Guard,
    peers: u16,
}

/// One attack.
pub(crate) struct Case {
    pub(crate) id: &'static str,
    pub(crate) name: &'static str,
    /// Does it; answers with what became of it.
    pub(crate) run: fn(&mut Stand) -> Outcome<String>,
    /// Whether it says something of its own over IPv6.
    pub(crate) families: &'static [Family],
}

/// Over IPv4 alone.
pub(crate) const V4: &[Family] = &[Family::V4];
/// Over IPv6 alone.
pub(crate) const V6: &[Family] = &[Family::V6];
/// Over both.
pub(crate) const BOTH: &[Family] = &Family::ALL;

/// Runs every case of a table in one arrangement, whatever becomes of the others, and answers with
/// the matrix of ids and outcomes. `CASE=B04` picks those whose id starts so.
pub(crate) fn matrix(filter: Filter<'_>, cases: &[Case]) -> Outcome<String> {
    let wanted = env::var("CASE").unwrap_or_default();
    on_a_stand(filter, |stand| {
        let (mut rows, mut failed) = (Vec::new(), 0);
        for case in cases.iter().filter(|case| case.id.starts_with(&wanted)) {
            for &family in case.families {
                let (row, is_good) = stand.one(case, family);
                failed += usize::from(!is_good);
                rows.push(row);
            }
        }
        let errors = Side::Server.tcp_counter("InCsumErrors")?;
        let rows = rows.join("\n");
        ensure(failed == 0, || format!("{failed} cases failed\n{rows}\n{}", stand.guard.log()))?;
        ensure(errors == 0, || format!("{errors} checksum errors at the server\n{rows}"))?;
        Ok(format!("{rows}\nchecksum errors at the server 0"))
    })
}

/// The filter, which here takes commands in any order: a case speaks of packets, and has DATA where
/// a transaction would only be in its way.
fn start(filter: Filter<'_>) -> Outcome<Guard> {
    let Filter::Mailguard { queue, arguments } = filter else { return Guard::start(filter) };
    let arguments = [arguments, &["--set", "order=off"]].concat();
    Guard::start(Filter::Mailguard { queue, arguments: &arguments })
}

/// Does something with an arrangement of its own.
pub(crate) fn on_a_stand(
    filter: Filter<'_>,
    act: impl FnOnce(&mut Stand) -> Outcome<String> + Send,
) -> Outcome<String> {
    let network = Network::build()?;
    // Every server socket takes Fast Open.
    Side::Server.set("ipv4/tcp_fastopen", "1027")?;
    // A forged packet makes the gateway redirect the true sender, which must not fall for it.
    Side::Server.set("ipv6/conf/s0/accept_redirects", "0")?;
    let recorders = Family::ALL.map(|family| Recorder::start(family.server()));
    let guard = start(filter)?;
    Side::Gateway.within(|| {
        let tun = Tun::open(Side::Gateway, "t0", &["203.0.113.1/24", "2001:db8:3::1/64"])?;
        let [v4, v6] = recorders;
        for family in Family::ALL {
            // The hosts must know each other's addresses, or first packets come late.
            drop(TcpStream::connect(family.server())?);
        }
        act(&mut Stand {
            family: Family::V4,
            tun,
            sniffer: Sniffer::open("gs")?,
            wire: Wire::default(),
            network,
            recorders: [v4?, v6?],
            guard,
            peers: 0,
        })
    })
}

impl Stand {
    fn one(&mut self, case: &Case, family: Family) -> (String, bool) {
        self.family = family;
        let start = now();
        let done = (case.run)(self).and_then(|found| self.judge().map(|()| found));
        self.clear();
        let millis = start.elapsed().as_millis();
        let Case { id, name, .. } = case;
        match done {
            Ok(found) => (format!("{id} {family:?} ok   {name}: {found} ({millis} ms)"), true),
            Err(failure) => {
                (format!("{id} {family:?} FAIL {name}: {failure} ({millis} ms)"), false)
            }
        }
    }

    /// A client that nobody has seen yet.
    pub(crate) fn peer(&mut self) -> Peer {
        self.peers += 1;
        let number = self.peers;
        let host = 10 + number % 200;
        let address = match self.family {
            Family::V4 => IpAddr::from([203, 0, 113, host as u8]),
            Family::V6 => IpAddr::from([0x2001, 0xdb8, 3, 0, 0, 0, 0, host]),
        };
        let isn = 0x1234_5678_u32.wrapping_mul(u32::from(number));
        Peer::new(SocketAddr::new(address, 20_000 + number), self.family.server(), isn)
    }

    /// A client whose connection stands and who has heard the banner.
    pub(crate) fn connected(&mut self) -> Outcome<Peer> {
        let peer = self.peer();
        self.connect(peer)
    }

    /// The same for a client that is there already.
    pub(crate) fn connect(&mut self, mut peer: Peer) -> Outcome<Peer> {
        let start = now();
        while !peer.heard.ends_with(b"\r\n") {
            ensure(start.elapsed() < PATIENCE, || "no banner came".to_owned())?;
            match peer.answer {
                None => self.tun.send(&peer.syn()),
                Some(_) => self.tun.send(&peer.flagged(0, &[], ACK)),
            }
            let (waiting, answer) = (now(), peer.answer);
            let is_quiet = |peer: &Peer| peer.answer == answer && peer.heard.is_empty();
            while is_quiet(&peer) && waiting.elapsed() < REPEAT {
                self.drain(&mut peer);
                thread::sleep(TICK);
            }
        }
        Ok(peer)
    }

    /// An honest segment.
    pub(crate) fn send(&mut self, peer: &Peer, offset: u64, payload: &[u8]) {
        peer.sent.set(peer.sent.get().max(offset + payload.len() as u64));
        self.tun.send(&peer.segment(offset, payload));
    }

    /// Takes what has passed on the server's wire.
    pub(crate) fn look(&mut self) {
        while let Some(packet) = self.sniffer.receive() {
            if !is_crafted(&packet) {
                continue;
            }
            match Segment::read(&packet) {
                Some(seen) => self.wire.observe(seen),
                None => self.wire.has_fragments = true,
            }
        }
    }

    /// Takes everything that has come, acknowledging what wants it.
    pub(crate) fn drain(&mut self, peer: &mut Peer) {
        self.look();
        while let Some(seen) = self.tun.receive().as_deref().map(Segment::read) {
            if seen.is_some_and(|seen| peer.take(seen)) {
                self.tun.send(&peer.acknowledgment());
            }
        }
    }

    /// Takes what comes for so long.
    pub(crate) fn wait(&mut self, peer: &mut Peer, millis: u64) {
        let start = now();
        while start.elapsed() < Duration::from_millis(millis) {
            self.drain(peer);
            thread::sleep(TICK);
        }
    }

    /// Takes what comes until the fact holds.
    pub(crate) fn until(
        &mut self,
        what: &str,
        peer: &mut Peer,
        fact: impl Fn(&Peer) -> bool,
    ) -> Outcome {
        let start = now();
        while !fact(peer) {
            if start.elapsed() > PATIENCE {
                return wrong(format!("{what}: not within {} s", PATIENCE.as_secs()));
            }
            self.drain(peer);
            thread::sleep(TICK);
        }
        Ok(())
    }

    /// Sends the stream as TCP would over a fair network: what is not acknowledged, again and
    /// again, until it is.
    pub(crate) fn deliver(&mut self, peer: &mut Peer, stream: &[u8]) -> Outcome {
        let (start, mut pause) = (now(), FIRST_PAUSE);
        let length = stream.len() as u64;
        while peer.acknowledged < length {
            ensure(start.elapsed() < PATIENCE, || {
                format!("only {} of {length} bytes acknowledged", peer.acknowledged)
            })?;
            ensure(peer.reset.is_none(), || "reset".to_owned())?;
            let before = peer.acknowledged;
            let rest = &stream[usize::try_from(before).unwrap_or(0)..];
            for (index, piece) in rest.chunks(SEGMENT).take(SEGMENTS).enumerate() {
                self.send(peer, before + (index * SEGMENT) as u64, piece);
            }
            let sent = (rest.len().min(SEGMENT * SEGMENTS)) as u64;
            let waiting = now();
            while peer.acknowledged < before + sent
                && waiting.elapsed() < if peer.acknowledged > before { TURN } else { pause }
            {
                self.drain(peer);
                thread::sleep(TICK);
            }
            pause = if peer.acknowledged > before { FIRST_PAUSE } else { pause.mul_f32(1.5) };
        }
        Ok(())
    }

    /// What the server's application read on this client's newest connection.
    pub(crate) fn read_by_server(&self, peer: &Peer) -> Vec<u8> {
        let [v4, v6] = &self.recorders;
        let recorder = if peer.local.is_ipv4() { v4 } else { v6 };
        recorder.visits(peer.local).pop().map(|visit| visit.received).unwrap_or_default()
    }

    /// The newest connection of this client, and how it ended.
    pub(crate) fn visits(&self, peer: &Peer) -> Vec<Visit> {
        let [v4, v6] = &self.recorders;
        (if peer.local.is_ipv4() { v4 } else { v6 }).visits(peer.local)
    }

    /// Delivers the stream over a fair network; the server must then have read exactly what the
    /// filter makes of it. Ends the connection.
    pub(crate) fn finish(&mut self, peer: &mut Peer, stream: &[u8]) -> Outcome<String> {
        self.deliver(peer, stream)?;
        self.settle(peer, stream)
    }

    /// The server must have read exactly what the filter makes of the stream, in which each copy
    /// of a byte that was let through first has its place.
    pub(crate) fn settle(&mut self, peer: &mut Peer, stream: &[u8]) -> Outcome<String> {
        self.settle_as_one_of(peer, &[stream])
    }

    /// The same where either copy of a byte may have been the first.
    pub(crate) fn settle_as_one_of(
        &mut self,
        peer: &mut Peer,
        streams: &[&[u8]],
    ) -> Outcome<String> {
        let expected: Vec<Vec<u8>> = streams.iter().map(|stream| canonical(stream)).collect();
        self.until_read(peer, expected[0].len())?;
        // For what should not come: another byte.
        self.wait(peer, 10);
        let read = self.read_by_server(peer);
        ensure(expected.contains(&read), || {
            format!("read {}\nnot {}", read.escape_ascii(), expected[0].escape_ascii())
        })?;
        // All of it was on the wire before it was read.
        self.look();
        let wire = self.wire.stream(peer.local);
        // What came in fragments leaves in fragments.
        ensure(wire.starts_with(&read) || self.wire.has_fragments, || {
            format!("on the wire {}", wire.escape_ascii())
        })?;
        self.abort(peer);
        Ok(format!("{} bytes as judged", read.len()))
    }

    /// Waits until the server's application has read so much.
    pub(crate) fn until_read(&mut self, peer: &mut Peer, length: usize) -> Outcome {
        let start = now();
        while self.read_by_server(peer).len() < length {
            self.drain(peer);
            if start.elapsed() > PATIENCE {
                let read = self.read_by_server(peer);
                return wrong(format!("read only {}", read.escape_ascii()));
            }
            thread::sleep(TICK);
        }
        Ok(())
    }

    /// Waits until this client's newest connection has ended for the server's application; how.
    pub(crate) fn until_ended(&mut self, peer: &mut Peer) -> Outcome<Visit> {
        let start = now();
        loop {
            self.drain(peer);
            if let Some(visit) = self.visits(peer).pop().filter(|visit| visit.end.is_some()) {
                return Ok(visit);
            }
            ensure(start.elapsed() < PATIENCE, || "no end came to the server".to_owned())?;
            thread::sleep(TICK);
        }
    }

    /// Lets a server that holds still behind `DATA held` read on.
    pub(crate) fn release(&self) {
        let [v4, v6] = &self.recorders;
        (if self.family == Family::V4 { v4 } else { v6 }).release();
    }

    /// Lets the server's packets take another road, which the filter does not see, or not.
    pub(crate) fn cut_replies(&self, is_cut: bool) -> Outcome {
        let how = if is_cut { "-A" } else { "-D" };
        let words = ["-w", "-t", "raw", how, "PREROUTING", "-i", "gs", "-j", "DROP"];
        run(&mut Side::Gateway.command("iptables", &words), PATIENCE).map(drop)
    }

    /// Puts a network behind the crafted clients' device.
    pub(crate) fn route_to_crafted(&self, network: &str) -> Outcome {
        let words = ["route", "replace", network, "dev", "t0"];
        run(&mut Side::Gateway.command("ip", &words), PATIENCE).map(drop)
    }

    /// Ends the connection with an exact RST.
    pub(crate) fn abort(&mut self, peer: &mut Peer) {
        self.tun.send(&peer.flagged(peer.acknowledged, &[], RST | ACK));
        self.wait(peer, 2);
    }

    /// Whether every packet that left was sound, in the case so far.
    fn judge(&mut self) -> Outcome {
        let mut nobody = self.peer();
        self.wait(&mut nobody, 2);
        let complaints = &self.wire.complaints;
        ensure(complaints.is_empty(), || complaints.join("; "))
    }

    /// Forgets what the wire has seen.
    pub(crate) fn clear(&mut self) {
        self.wire = Wire::default();
    }

    /// What each IPv4 connection has brought the server's application.
    pub(crate) fn received(&self) -> Vec<Vec<u8>> {
        let [v4, _] = &self.recorders;
        v4.received()
    }
}

/// Whether a packet belongs to a crafted client: only those are judged.
fn is_crafted(packet: &[u8]) -> bool {
    let is_v4 = packet[0] >> 4 == 4;
    let (length, source, destination): (usize, usize, usize) =
        if is_v4 { (3, 12, 16) } else { (6, 8, 24) };
    let net: &[u8] = if is_v4 { &[203, 0, 113] } else { &[0x20, 1, 0x0d, 0xb8, 0, 3] };
    [source, destination].iter().any(|&at| packet.get(at..at + length) == Some(net))
}

/// A dialogue with two verbs that must never be seen behind the filter.
pub(crate) const EVIL: &[u8] = b"HELO c\r\nVRFY root\r\nMAIL FROM:<a@b>\r\nRCPT TO:<r@d>\r\n\
DATA\r\nSubject: x\r\n\r\nhello\r\n.\r\nEXPN list of all that there are\r\nQUIT\r\n";

/// For the answer to what a packet was cut behind.
const TURN: Duration = Duration::from_millis(3);

/// Between two looks at the devices.
const TICK: Duration = Duration::from_micros(100);

/// Before a packet of the handshake is repeated.
const REPEAT: Duration = Duration::from_millis(300);

/// Before the first repetition.
const FIRST_PAUSE: Duration = Duration::from_millis(40);

const SEGMENT: usize = 1000;
const SEGMENTS: usize = 16;
