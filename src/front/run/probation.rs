//! After a death: whose packet was it?
//!
//! For a minute after a process has died, its successor notes the ends of the connection before it
//! judges a packet, in the file that outlives it, and strikes them out behind it. So whoever dies
//! again leaves word of whom it was judging. A connection that was being judged at two deaths is
//! reset, and its packets are dropped unread for as long as TCP repeats them. In ordinary times a
//! packet costs a comparison, and nothing is noted.

use std::fs::File;
use std::io;
use std::net::{IpAddr, Ipv4Addr};
use std::os::unix::fs::FileExt;

use crate::flow::Endpoint;
use crate::time::Instant;

/// The two ends of a connection, the lesser one first: 16 bytes of address and two of port each.
type Ends = [u8; ENDS];

/// A connection that was being judged when a process died.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Accused {
    ends: Ends,
    /// When that was last, by the clock that all processes share, in microseconds.
    at: u64,
    deaths: u32,
}

/// What is known of the deaths before.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Docket {
    accused: Vec<Accused>,
    /// Whether the last process died while it was judging.
    pub(super) is_in_judgement: bool,
}

/// The notes of a process on probation.
#[derive(Debug)]
pub(super) struct Probation {
    file: Option<File>,
    /// Connections whose packets are dropped.
    blocked: Vec<Ends>,
    /// Until when notes are taken.
    noting: Instant,
    /// Until when packets are dropped.
    blocking: Instant,
}

impl Docket {
    /// What the head of the file says, after a death at about this time.
    pub(super) fn read(head: &[u8], now: u64) -> Self {
        let mut docket = Self::kept(head, now);
        let marks = head.get(MARKS..MARKS + MARKS_MAX * ENTRY).unwrap_or_default();
        for mark in marks.chunks(ENTRY) {
            let Some(ends) = mark.first_chunk::<ENDS>().filter(|ends| **ends != [0; ENDS]) else {
                continue;
            };
            docket.is_in_judgement = true;
            docket.accuse(*ends, now);
        }
        docket
    }

    /// The same where the last process did not die.
    pub(super) fn kept(head: &[u8], now: u64) -> Self {
        let entries = head.get(DOCKET..DOCKET + ACCUSED_MAX * ENTRY).unwrap_or_default();
        let accused = entries.chunks(ENTRY).filter_map(Accused::read);
        let is_recent = |one: &Accused| now.saturating_sub(one.at) < BLOCKED_MICROS;
        Self { accused: accused.filter(is_recent).collect(), is_in_judgement: false }
    }

    fn accuse(&mut self, ends: Ends, now: u64) {
        let before = self.accused.iter().position(|one| one.ends == ends);
        let before = before.map(|at| self.accused.remove(at));
        let is_again = |one: &Accused| now.saturating_sub(one.at) < AGAIN_MICROS;
        let deaths = before.filter(is_again).map_or(0, |one| one.deaths);
        self.accused.push(Accused { ends, at: now, deaths: deaths + 1 });
        let surplus = self.accused.len().saturating_sub(ACCUSED_MAX);
        self.accused.drain(..surplus);
    }

    /// Writes it down, with nobody being judged.
    pub(super) fn write(&self, file: &File) -> io::Result<()> {
        let mut bytes: Vec<u8> = self.accused.iter().flat_map(Accused::bytes).collect();
        bytes.resize((ACCUSED_MAX + MARKS_MAX) * ENTRY, 0);
        file.write_all_at(&bytes, DOCKET as u64)
    }

    /// What a process has to watch that begins now; `file` where it follows one that died.
    pub(super) fn probation(&self, file: Option<File>, now: Instant) -> Probation {
        let guilty = self.accused.iter().filter(|one| one.deaths >= DEATHS);
        let blocked: Vec<Ends> = guilty.map(|one| one.ends).collect();
        let after = |micros: u64| Instant::from_micros(now.micros().saturating_add(micros));
        let never = Instant::from_micros(0);
        Probation {
            noting: if file.is_some() { after(AGAIN_MICROS) } else { never },
            blocking: if blocked.is_empty() { never } else { after(BLOCKED_MICROS) },
            file,
            blocked,
        }
    }
}

impl Accused {
    fn read(entry: &[u8]) -> Option<Self> {
        let (ends, rest) = entry.split_first_chunk()?;
        let (at, rest) = rest.split_first_chunk()?;
        let deaths = u32::from_le_bytes(*rest.first_chunk()?);
        (deaths > 0).then(|| Self { ends: *ends, at: u64::from_le_bytes(*at), deaths })
    }

    fn bytes(&self) -> [u8; ENTRY] {
        let mut bytes = [0; ENTRY];
        let parts = [&self.ends[..], &self.at.to_le_bytes(), &self.deaths.to_le_bytes()].concat();
        bytes.iter_mut().zip(parts).for_each(|(place, byte)| *place = byte);
        bytes
    }
}

impl Probation {
    /// Whether packets are to be looked at here before they are judged.
    pub(super) fn is_on(&self, now: Instant) -> bool {
        now < self.noting || now < self.blocking
    }

    /// Notes whose packet is going to be judged by this thread; false: it is not to be.
    pub(super) fn admit(&self, thread: u16, packet: &[u8], now: Instant) -> bool {
        let Some(ends) = ends_of(packet) else { return true };
        if now < self.blocking && self.blocked.contains(&ends) {
            return false;
        }
        self.note(thread, &ends, now);
        true
    }

    /// It was judged, and nobody died.
    pub(super) fn dismiss(&self, thread: u16, now: Instant) {
        self.note(thread, &[0; ENDS], now);
    }

    fn note(&self, thread: u16, ends: &Ends, now: Instant) {
        if let Some(file) = self.file.as_ref().filter(|_| now < self.noting) {
            let place = MARKS + usize::from(thread) % MARKS_MAX * ENTRY;
            // What cannot be noted is not known after another death: all flows are reset then.
            let _ = file.write_all_at(ends, place as u64);
        }
    }

    /// Whether a flow between these is one of those that are dropped.
    pub(super) fn blocks(&self, one: Endpoint, other: Endpoint) -> bool {
        !self.blocked.is_empty() && self.blocked.contains(&ordered(end(one), end(other)))
    }
}

fn end(endpoint: Endpoint) -> [u8; END] {
    let address = match endpoint.address {
        IpAddr::V4(address) => address.to_ipv6_mapped(),
        IpAddr::V6(address) => address,
    };
    joined(&address.octets(), &endpoint.port.to_be_bytes())
}

/// The ends of a TCP packet, read by places alone: what is to kill nobody is not parsed.
fn ends_of(packet: &[u8]) -> Option<Ends> {
    let (addresses, ports) = match packet.first()? >> 4 {
        4 => {
            let header = usize::from(packet.first()? & 15) * 4;
            let mapped = |at: usize| {
                let address: [u8; 4] = *packet.get(at..)?.first_chunk()?;
                Some(Ipv4Addr::from(address).to_ipv6_mapped().octets())
            };
            ([mapped(12)?, mapped(16)?], header)
        }
        6 => {
            let address = |at: usize| packet.get(at..)?.first_chunk::<16>().copied();
            ([address(8)?, address(24)?], 40)
        }
        _ => return None,
    };
    let [source, destination] = addresses;
    let source = joined(&source, packet.get(ports..ports + 2)?);
    let destination = joined(&destination, packet.get(ports + 2..ports + 4)?);
    Some(ordered(source, destination))
}

fn joined(address: &[u8], port: &[u8]) -> [u8; END] {
    let mut end = [0; END];
    end.iter_mut().zip(address.iter().chain(port)).for_each(|(place, byte)| *place = *byte);
    end
}

fn ordered(one: [u8; END], other: [u8; END]) -> Ends {
    let (low, high) = if one <= other { (one, other) } else { (other, one) };
    let mut ends = [0; ENDS];
    ends.iter_mut().zip(low.into_iter().chain(high)).for_each(|(place, byte)| *place = byte);
    ends
}

const END: usize = 18;
const ENDS: usize = 2 * END;

/// Bytes of an entry: ends, time, count.
const ENTRY: usize = 64;

/// Where the accused stand in the file, and behind them what each thread judges.
pub(super) const DOCKET: usize = 56 << 10;

/// As many as may be judged at one death.
const ACCUSED_MAX: usize = 64;
const MARKS: usize = DOCKET + ACCUSED_MAX * ENTRY;

/// As many as there may be queues.
const MARKS_MAX: usize = 64;

const _: () = assert!(MARKS + MARKS_MAX * ENTRY <= super::diary::SLOTS, "the head has room");

/// Being judged at one death is chance: something else may have killed the process.
const DEATHS: u32 = 2;

/// Deaths that are further apart have nothing to do with each other: a minute.
pub(super) const AGAIN_MICROS: u64 = 60_000_000;

/// Linux repeats a segment for 924.6 seconds (`tcp_retries2`).
const BLOCKED_MICROS: u64 = 930_000_000;

#[cfg(test)]
mod tests {
    use super::*;

    fn packet(bytes: &[u8]) -> Vec<u8> {
        // 192.0.2.1 port 1 to 192.0.2.2 port 25.
        let mut packet = vec![0x45; 20];
        packet[12..20].copy_from_slice(&[192, 0, 2, 1, 192, 0, 2, 2]);
        packet.extend([0, 1, 0, 25]);
        packet.extend_from_slice(bytes);
        packet
    }

    fn head(of: &Docket, mark: Option<Ends>) -> Vec<u8> {
        let name =
            format!("mailguard-docket-{}-{:?}", std::process::id(), std::thread::current().id());
        let path = std::env::temp_dir().join(name);
        let file = File::options().create(true).truncate(true).read(true).write(true).open(&path);
        let file = file.unwrap();
        of.write(&file).unwrap();
        if let Some(ends) = mark {
            file.write_all_at(&ends, MARKS as u64).unwrap();
        }
        let bytes = std::fs::read(&path).unwrap();
        std::fs::remove_file(path).unwrap();
        bytes
    }

    #[test]
    fn who_is_judged_at_two_deaths_is_judged_no_more() {
        let ends = ends_of(&packet(b"x")).unwrap();
        let first = Docket::read(&head(&Docket::default(), Some(ends)), 1_000);
        assert!(first.is_in_judgement);
        let now = Instant::from_micros(5);
        assert!(first.probation(None, now).admit(0, &packet(b"x"), now), "once may be chance");
        let late = Docket::read(&head(&first, Some(ends)), 1_000 + AGAIN_MICROS);
        assert!(!late.probation(None, now).is_on(now), "a minute later it is chance again");
        let second = Docket::read(&head(&first, Some(ends)), 2_000);
        let probation = second.probation(None, now);
        assert!(probation.is_on(now) && !probation.admit(0, &packet(b"y"), now));
        // Either direction, and nobody else.
        let mut back = packet(b"y");
        back[12..24].copy_from_slice(&[192, 0, 2, 2, 192, 0, 2, 1, 0, 25, 0, 1]);
        assert!(!probation.admit(0, &back, now));
        back[23] = 2;
        assert!(probation.admit(0, &back, now));
        let endpoint = |last: u8, port| Endpoint { address: [192, 0, 2, last].into(), port };
        assert!(probation.blocks(endpoint(2, 25), endpoint(1, 1)));
        // A successor keeps it, until TCP has given up.
        let kept = Docket::kept(&head(&second, None), 3_000);
        assert!(!kept.is_in_judgement && !kept.probation(None, now).admit(0, &packet(b""), now));
        assert_eq!(Docket::kept(&head(&second, None), 2_000 + BLOCKED_MICROS), Docket::default());
    }

    #[test]
    fn what_is_no_docket_accuses_nobody() {
        for length in [0, DOCKET, MARKS + 7] {
            assert_eq!(Docket::read(&vec![0; length], 9), Docket::default());
        }
        for bytes in [&b""[..], b"\x45", &[0x65; 41], &[0x10; 60]] {
            assert_eq!(ends_of(bytes), None);
        }
    }
}
