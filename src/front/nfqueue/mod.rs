//! The kernel's queue, and nothing but the queue: its socket, its packets, its listing.
//!
//! What is done with a packet is the caller's business.

mod ledger;
pub(in crate::front) mod listing;
mod netlink;
mod queue;

pub(in crate::front) use queue::{Faults, Held, KernelQueue, Marking, Received};
