//! The judge of the server's wire: checks each packet on it, whether the server would take it or
//! not.
//!
//! Lengths and checksums right, no urgent data, no data on SYN, no unknown option, no forbidden
//! verb; and every stream position has one value for as long as the server has not acknowledged it.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use crate::support::packet::{ACK, FIN, RST, SYN, URG};
use crate::support::segment::Segment;

/// All that was seen of each client's stream on the server's wire.
#[derive(Default)]
pub(crate) struct Wire {
    streams: BTreeMap<SocketAddr, Stream>,
    /// Whether anything but whole TCP segments passed.
    pub(crate) has_fragments: bool,
    /// What was wrong.
    pub(crate) complaints: Vec<String>,
    /// Every packet of clients, in order.
    pub(crate) leaving: Vec<Segment>,
    /// The newest SYN/ACK towards each client.
    pub(crate) answers: BTreeMap<SocketAddr, Segment>,
}

#[derive(Default)]
struct Stream {
    isn: u32,
    bytes: BTreeMap<u64, u8>,
    /// The server's cumulative ACK.
    acknowledged: u64,
}

impl Wire {
    /// One packet, in the order of the wire. Those of the server only tell what it has got.
    pub(crate) fn observe(&mut self, seen: Segment) {
        if seen.source.port() == 25 {
            self.observe_server(seen);
        } else if seen.destination.port() == 25 {
            self.observe_client(seen);
        }
    }

    /// What left of a client's present stream, as far as there is no gap.
    pub(crate) fn stream(&self, client: SocketAddr) -> Vec<u8> {
        let Some(stream) = self.streams.get(&client) else { return Vec::new() };
        (0..).map_while(|at| stream.bytes.get(&at).copied()).collect()
    }

    /// Packets that left for this client.
    pub(crate) fn of(&self, client: SocketAddr) -> impl Iterator<Item = &Segment> {
        self.leaving.iter().filter(move |seen| seen.source == client)
    }

    fn observe_server(&mut self, seen: Segment) {
        if let Some(stream) = self.streams.get_mut(&seen.destination)
            && seen.has(ACK)
        {
            let ahead = seen.ack.wrapping_sub(stream.isn.wrapping_add(1));
            let ahead = i64::from(ahead.wrapping_sub(stream.acknowledged as u32).cast_signed());
            stream.acknowledged = stream.acknowledged.saturating_add_signed(ahead.max(0));
        }
        if seen.has(SYN) {
            self.answers.insert(seen.destination, seen);
        }
    }

    fn observe_client(&mut self, seen: Segment) {
        let mut wrong = Vec::new();
        if !seen.is_sound {
            wrong.push("wrong checksum".to_owned());
        }
        if seen.length > 1500 {
            wrong.push(format!("{} bytes", seen.length));
        }
        if seen.has(URG) {
            wrong.push("urgent".to_owned());
        }
        if seen.has(SYN) && (seen.has(FIN) || seen.has(RST) || !seen.payload.is_empty()) {
            wrong.push("a SYN with data, FIN or RST".to_owned());
        }
        if let Some(kind) = strange_option(&seen.options) {
            wrong.push(format!("option {kind}"));
        }
        for verb in [&b"VRFY"[..], b"EXPN", b"EHLO"] {
            if memchr::memmem::find(&seen.payload.to_ascii_uppercase(), verb).is_some() {
                wrong.push(format!("forbidden: {}", seen.payload.escape_ascii()));
            }
        }
        let stream = self.streams.entry(seen.source).or_default();
        if seen.has(SYN) && !seen.has(ACK) && seen.seq != stream.isn {
            *stream = Stream { isn: seen.seq, ..Stream::default() };
        }
        if !seen.has(SYN) && !seen.has(RST) {
            wrong.extend(stream.take(&seen));
        }
        let source = seen.source;
        self.complaints.extend(wrong.into_iter().map(|what| format!("{source}: {what}")));
        self.leaving.push(seen);
    }
}

impl Stream {
    fn take(&mut self, seen: &Segment) -> Option<String> {
        let start = i64::from(
            seen.seq
                .wrapping_sub(self.isn.wrapping_add(1).wrapping_add(self.acknowledged as u32))
                .cast_signed(),
        ) + self.acknowledged.cast_signed();
        for (index, &octet) in seen.payload.iter().enumerate() {
            let Ok(offset) = u64::try_from(start + index as i64) else { continue };
            // Below its own ACK a receiver reads nothing.
            if offset < self.acknowledged {
                continue;
            }
            let first = *self.bytes.entry(offset).or_insert(octet);
            if first != octet {
                let (first, octet) = (first.escape_ascii(), octet.escape_ascii());
                return Some(format!("offset {offset} left as {first} and as {octet}"));
            }
        }
        None
    }
}

/// The first option that a server behind the filter should never see.
fn strange_option(mut options: &[u8]) -> Option<u8> {
    while let [kind, rest @ ..] = options {
        options = match (kind, rest) {
            (0, _) => return None,
            (1, _) => rest,
            (2 | 3 | 4 | 5 | 8, [length, ..]) if *length >= 2 => {
                options.get(usize::from(*length)..)?
            }
            _ => return Some(*kind),
        };
    }
    None
}
