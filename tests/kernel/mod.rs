//! A crafted TCP end against a real one: raw packets through a TUN device on the gateway, the real
//! program on the real queue, a real server socket behind it.
//!
//! [`Stand`] is the whole arrangement, [`Peer`] the crafted client, [`Wire`] the judge of every
//! packet that leaves towards the server. The cases are tables by the id of each attack.

#![allow(dead_code, reason = "each program uses its own part of it")]
#![allow(
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    reason = "packets are crafted byte by byte, and a test stops where it is wrong"
)]

mod canonical;
pub(crate) mod control;
mod craft;
pub(crate) mod faults;
pub(crate) mod flood;
pub(crate) mod handshake;
pub(crate) mod ip;
pub(crate) mod overlap;
mod peer;
pub(crate) mod segmentation;
mod stand;
pub(crate) mod time;
mod wire;

pub(crate) use canonical::canonical;
pub(crate) use craft::{Seen, craft, fragment6, fragments, insert6, reseal, reseal_ip, tcp_start};
pub(crate) use peer::Peer;
pub(crate) use stand::{BOTH, Case, EVIL, Stand, V4, V6, matrix, on_a_stand};
pub(crate) use wire::Wire;
