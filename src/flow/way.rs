//! The way a connection takes through the machine, which tells its two ends apart.
//!
//! Addresses and ports are the sender's claim; the interface a packet came by is not. Where both
//! ends are behind one interface (a one-armed gateway), the link-layer address of who sent the
//! packet to us is the next best: another machine on the link can forge it, an end beyond a router
//! cannot.

use serde::{Deserialize, Serialize};

use super::{Direction, Keyed};

/// Where a packet came from, as far as the machine itself can say.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Hop {
    /// Index of the interface it came in by (0: the machine itself, or unknown).
    pub interface: u32,
    /// Link-layer address of who sent it to us, as a number (0: unknown).
    pub link: u64,
}

/// The way the SYN of a connection took.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Way {
    /// In by one interface, out by another.
    Through {
        /// Index of the interface the SYN came in by (0: the client is this machine).
        ingress: u32,
        /// Index of the interface it left by (0: the server is this machine).
        egress: u32,
    },
    /// In and out by the same interface.
    OneArmed {
        /// Its index (0: unknown, as in a capture).
        interface: u32,
        /// Keyed hash of the link-layer address that the SYN came from (0: unknown).
        client_link: u16,
        /// Keyed hash of the one that the SYN/ACK came from (0: unknown, or not yet seen).
        server_link: u16,
    },
}

impl Way {
    /// The way of a SYN that came so and leaves by the interface with the index `egress`.
    #[must_use]
    pub fn of_syn(hop: Hop, egress: u32, keyed: &Keyed) -> Self {
        let ingress = hop.interface;
        if ingress == egress {
            Self::OneArmed { interface: ingress, client_link: keyed.link(hop.link), server_link: 0 }
        } else {
            Self::Through { ingress, egress }
        }
    }

    /// The same way, now that the SYN/ACK has come so.
    #[must_use]
    pub fn answered(self, hop: Hop, keyed: &Keyed) -> Self {
        match self {
            Self::Through { .. } => self,
            Self::OneArmed { interface, client_link, .. } => {
                Self::OneArmed { interface, client_link, server_link: keyed.link(hop.link) }
            }
        }
    }

    /// Whether a packet that came so can be of the end that sends in this direction: it came by
    /// exactly that end's interface and, where both ends share one, not from the other end's link
    /// address. Two ends behind one router, or of unknown link addresses, cannot be told apart.
    #[must_use]
    pub fn has(&self, direction: Direction, hop: Hop, keyed: &Keyed) -> bool {
        match (*self, direction) {
            (Self::Through { ingress, .. }, Direction::Original) => hop.interface == ingress,
            (Self::Through { egress, .. }, Direction::Reply) => hop.interface == egress,
            (Self::OneArmed { interface, client_link, server_link }, _) => {
                let (own, other) = match direction {
                    Direction::Original => (client_link, server_link),
                    Direction::Reply => (server_link, client_link),
                };
                let can_tell = own != 0 && other != 0 && own != other && hop.link != 0;
                hop.interface == interface && !(can_tell && keyed.link(hop.link) == other)
            }
        }
    }

    /// Whether a packet of the client that leaves by this interface is on its way to the server.
    #[must_use]
    pub const fn leaves_by(&self, interface: u32) -> bool {
        match *self {
            Self::Through { egress, .. } => egress == interface,
            Self::OneArmed { .. } => true,
        }
    }

    /// Whether an answer to the SYN can leave by this interface: where the SYN left by the one it
    /// had come in by, who sent it is there too. A SYN that claims to be from elsewhere would turn
    /// the ends round: its answer is the first packet on its way to the real server.
    #[must_use]
    pub const fn is_answered_by(&self, interface: u32) -> bool {
        match *self {
            Self::Through { .. } => true,
            Self::OneArmed { interface: known, .. } => known == interface,
        }
    }
}
