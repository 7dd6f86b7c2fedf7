//! Who is talking: directions, endpoints and the key of a flow.
//!
//! A flow is one TCP connection seen from the middle. Which end opened it (the originator) is
//! learnt from the handshake, never from ports alone, so the key itself is unordered.

mod cell;
mod expiry;
mod handshake;
mod keyed;
mod network;
mod record;
mod share;
mod table;
mod way;

pub use cell::{Flow, FlowId, HashedKey};
pub use handshake::{Handshake, HandshakeTable};
pub use keyed::Keyed;
pub use network::Network;
pub use share::Client;
pub use table::{FlowTable, Inserted, Newcomer};
pub use way::{Hop, Way};

use std::fmt;
use std::hash::{Hash, Hasher};
use std::net::{IpAddr, SocketAddr};
use std::ops::{Index, IndexMut};

use serde::{Deserialize, Serialize};

use crate::speaker::Speaker;

/// Which of the two ends sent a packet (netfilter's `IP_CT_DIR_*`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Direction {
    /// From the sender of the first SYN: the SMTP client.
    Original,
    /// From the other end: the SMTP server.
    Reply,
}

impl Direction {
    /// Both directions, in order.
    pub const BOTH: [Self; 2] = [Self::Original, Self::Reply];

    /// The opposite direction.
    #[must_use]
    pub const fn other(self) -> Self {
        match self {
            Self::Original => Self::Reply,
            Self::Reply => Self::Original,
        }
    }

    /// Who sends in this direction.
    #[must_use]
    pub const fn speaker(self) -> Speaker {
        match self {
            Self::Original => Speaker::Client,
            Self::Reply => Speaker::Server,
        }
    }
}

/// One datum for each direction of a flow, reached only by naming the direction.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PerDirection<T> {
    original: T,
    reply: T,
}

impl<T> PerDirection<T> {
    /// A pair, the originator's first.
    pub const fn new(original: T, reply: T) -> Self {
        Self { original, reply }
    }
}

impl<T> PerDirection<T> {
    /// What becomes of each.
    pub fn map<U>(self, mut change: impl FnMut(T) -> U) -> PerDirection<U> {
        PerDirection { original: change(self.original), reply: change(self.reply) }
    }
}

impl<T> Index<Direction> for PerDirection<T> {
    type Output = T;

    fn index(&self, direction: Direction) -> &T {
        match direction {
            Direction::Original => &self.original,
            Direction::Reply => &self.reply,
        }
    }
}

impl<T> IndexMut<Direction> for PerDirection<T> {
    fn index_mut(&mut self, direction: Direction) -> &mut T {
        match direction {
            Direction::Original => &mut self.original,
            Direction::Reply => &mut self.reply,
        }
    }
}

/// An address and a TCP port.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Endpoint {
    /// The IP address.
    pub address: IpAddr,
    /// The TCP port.
    pub port: u16,
}

impl Endpoint {
    /// Whether it comes before another one, in the derived order: all of it is compared at once.
    fn is_before(&self, other: &Self) -> bool {
        let (own_port, other_port) = (self.port, other.port);
        match (self.address, other.address) {
            (IpAddr::V4(own), IpAddr::V4(other)) => {
                (own.to_bits(), own_port) < (other.to_bits(), other_port)
            }
            (IpAddr::V6(own), IpAddr::V6(other)) => {
                (own.to_bits(), own_port) < (other.to_bits(), other_port)
            }
            (own, _) => own.is_ipv4(),
        }
    }
}

impl From<Endpoint> for SocketAddr {
    fn from(endpoint: Endpoint) -> Self {
        Self::new(endpoint.address, endpoint.port)
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.address {
            IpAddr::V4(address) => write!(f, "{address}:{}", self.port),
            IpAddr::V6(address) => write!(f, "[{address}]:{}", self.port),
        }
    }
}

/// The two endpoints of a flow, in the order in which they spoke first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ends {
    /// The sender of the first SYN: the SMTP client.
    pub originator: Endpoint,
    /// The other end: the SMTP server.
    pub responder: Endpoint,
}

impl Ends {
    /// Which way a packet of this end goes.
    #[must_use]
    pub fn direction(&self, source: Endpoint) -> Direction {
        if source == self.originator { Direction::Original } else { Direction::Reply }
    }

    /// Who sends in a direction, and who receives.
    #[must_use]
    pub const fn of(&self, direction: Direction) -> (Endpoint, Endpoint) {
        match direction {
            Direction::Original => (self.originator, self.responder),
            Direction::Reply => (self.responder, self.originator),
        }
    }
}

/// The two endpoints of a flow, unordered: both directions give the same key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FlowKey {
    low: Endpoint,
    high: Endpoint,
}

impl FlowKey {
    /// The key of a packet between these two ends, whichever of them sent it.
    #[must_use]
    pub fn of(a: Endpoint, b: Endpoint) -> Self {
        if b.is_before(&a) { Self { low: b, high: a } } else { Self { low: a, high: b } }
    }

    /// Whether this is the end that stands first in the key.
    #[must_use]
    pub fn is_low(&self, end: Endpoint) -> bool {
        self.low == end
    }
}

impl Hash for FlowKey {
    /// All at once: fed field by field, a hasher takes several times as long.
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.with_bytes(|bytes| state.write(bytes));
    }
}

impl FlowKey {
    /// Its hash.
    fn keyed_hash(&self, keyed: &Keyed) -> u64 {
        self.with_bytes(|bytes| keyed.hash(bytes))
    }

    /// What is hashed of it. The two families differ in the length of that.
    fn with_bytes<R>(&self, take: impl FnOnce(&[u8]) -> R) -> R {
        let [i, j] = self.low.port.to_be_bytes();
        let [k, l] = self.high.port.to_be_bytes();
        if let (IpAddr::V4(low), IpAddr::V4(high)) = (self.low.address, self.high.address) {
            let ([a, b, c, d], [e, f, g, h]) = (low.octets(), high.octets());
            return take(&[a, b, c, d, e, f, g, h, i, j, k, l]);
        }
        let addresses = [record::mapped(self.low.address), record::mapped(self.high.address)];
        let mut bytes = [0; 36];
        let ports = [i, j, k, l];
        let parts = addresses.as_flattened().iter().chain(&ports);
        bytes.iter_mut().zip(parts).for_each(|(to, from)| *to = *from);
        take(&bytes)
    }
}

#[cfg(test)]
mod tests;
