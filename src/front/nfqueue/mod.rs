//! The kernel's queue, and nothing but the queue: its socket, its packets, its listing.
//!
//! What is done with a packet is the caller's business.

mod backend;
mod inbox;
mod ledger;
pub(in crate::front) mod listing;
mod message;
mod netlink;
mod nfq;
mod open;
mod outbox;
mod packet;
mod queue;

#[cfg(test)]
mod tests;

pub(in crate::front) use open::{OpenQueue, Waker};
pub(in crate::front) use queue::{Faults, Held, KernelQueue, Marking, Received};
