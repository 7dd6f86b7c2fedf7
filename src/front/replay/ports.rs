//! Ports that nobody named and that look like those of mail servers.
//!
//! A capture of submission alone (587, 2525) holds nothing for a filter of port 25; this finds
//! out, so that the user can be told. An FTP server greets like a mail server: what its client
//! answers tells them apart.

use std::collections::{BTreeMap, HashMap};

use crate::flow::{Endpoint, FlowKey};

use super::traffic::Foreign;

/// Flows that are watched: some megabytes of memory.
const FLOWS_MAX: usize = 65_536;

/// What a client of SMTP says first, and what it says when the beginning was not captured.
const HELLOS: [&[u8]; 2] = [b"EHLO ", b"HELO "];
const MAIL: &[u8] = b"MAIL FROM:";
/// What tells nothing: many protocols end so.
const QUIT: &[u8] = b"QUIT";

/// The flows of other ports.
#[derive(Debug, Default)]
pub(super) struct Ports {
    flows: HashMap<FlowKey, Suspect>,
    packets: BTreeMap<u16, u64>,
}

#[derive(Debug, Default)]
struct Suspect {
    packets: u64,
    state: State,
}

/// What is known of a flow.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum State {
    /// Nobody has spoken.
    #[default]
    Silent,
    /// A server has greeted as mail servers do.
    Greeted(Endpoint),
    /// A client speaks SMTP to this server.
    Smtp(Endpoint),
    /// Something else was said.
    Other,
}

impl State {
    fn port(self) -> Option<u16> {
        match self {
            Self::Greeted(server) | Self::Smtp(server) => Some(server.port),
            Self::Silent | Self::Other => None,
        }
    }

    fn behind(self, segment: &Foreign<'_>) -> Self {
        let said = segment.payload;
        let is_client = HELLOS.iter().chain([&MAIL]).any(|word| begins(said, word));
        match self {
            Self::Smtp(_) => self,
            _ if said.is_empty() => self,
            Self::Silent if said.starts_with(b"220 ") || said.starts_with(b"220-") => {
                Self::Greeted(segment.source)
            }
            Self::Silent | Self::Other if is_client => Self::Smtp(segment.destination),
            Self::Silent | Self::Other => Self::Other,
            Self::Greeted(server) if segment.source == server => self,
            Self::Greeted(_) if is_client => Self::Smtp(segment.destination),
            Self::Greeted(_) if begins(said, QUIT) => self,
            // It may be typed byte by byte.
            Self::Greeted(_) if HELLOS.iter().any(|word| begins(word, said)) => self,
            Self::Greeted(_) => Self::Other,
        }
    }
}

/// Whether bytes begin so, in any case.
fn begins(bytes: &[u8], start: &[u8]) -> bool {
    bytes.get(..start.len()).is_some_and(|bytes| bytes.eq_ignore_ascii_case(start))
}

impl Ports {
    /// A segment passes.
    pub(super) fn note(&mut self, segment: &Foreign<'_>) {
        let key = FlowKey::of(segment.source, segment.destination);
        if self.flows.len() >= FLOWS_MAX && !self.flows.contains_key(&key) {
            return;
        }
        let flow = self.flows.entry(key).or_default();
        let before = flow.state.port().map_or(0, |_| flow.packets);
        let port_before = flow.state.port();
        flow.packets += 1;
        flow.state = flow.state.behind(segment);
        let (port, packets) = (flow.state.port(), flow.packets);
        if let Some(count) = port_before.and_then(|port| self.packets.get_mut(&port)) {
            *count = count.saturating_sub(before);
        }
        if let Some(port) = port {
            *self.packets.entry(port).or_default() += packets;
        }
        if let Some(port) = port_before.filter(|port| self.packets.get(port) == Some(&0)) {
            self.packets.remove(&port);
        }
    }

    /// The ports that look like SMTP, and how many packets went from or to each.
    pub(super) const fn found(&self) -> &BTreeMap<u16, u64> {
        &self.packets
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn end(host: u8, port: u16) -> Endpoint {
        Endpoint { address: [10, 0, 0, host].into(), port }
    }

    /// A server on this port says something to one of its clients, or is told something.
    fn greet(ports: &mut Ports, (client, port): (u8, u16), payload: &[u8]) {
        let (source, destination) = (end(99, port), end(client, 40_000));
        ports.note(&Foreign { source, destination, payload });
    }

    fn tell(ports: &mut Ports, (client, port): (u8, u16), payload: &[u8]) {
        let (source, destination) = (end(client, 40_000), end(99, port));
        ports.note(&Foreign { source, destination, payload });
    }

    fn found(ports: &Ports) -> Vec<(u16, u64)> {
        ports.found().iter().map(|(port, packets)| (*port, *packets)).collect()
    }

    #[test]
    fn a_port_is_counted_as_long_as_a_flow_of_it_looks_like_mail() {
        let mut ports = Ports::default();
        greet(&mut ports, (1, 2525), b"");
        assert_eq!(found(&ports), []);
        greet(&mut ports, (1, 2525), b"220 mail\r\n");
        greet(&mut ports, (2, 2525), b"220 mail\r\n");
        greet(&mut ports, (1, 21), b"220 files\r\n");
        assert_eq!(found(&ports), [(21, 1), (2525, 3)]);
        // One of two flows of a port turns out to be none of mail, then the only one of a port.
        tell(&mut ports, (2, 2525), b"USER a\r\n");
        assert_eq!(found(&ports), [(21, 1), (2525, 2)]);
        tell(&mut ports, (1, 21), b"USER a\r\n");
        assert_eq!(found(&ports), [(2525, 2)]);
        tell(&mut ports, (1, 21), b"PASS b\r\n");
        tell(&mut ports, (1, 2525), b"EHLO a\r\n");
        assert_eq!(found(&ports), [(2525, 3)]);
        // With its client's words it is one of mail after all, with all its packets.
        tell(&mut ports, (1, 21), b"EHLO a\r\n");
        assert_eq!(found(&ports), [(21, 4), (2525, 3)]);
    }
}
