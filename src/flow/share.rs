//! Who has to give way when there is not enough for all: whoever has the most.
//!
//! Flows are grouped by client, and the group with the largest total gives one flow after the
//! other until another has the largest: the totals are cut to one level, as water finds it, and a
//! group below that level loses nothing. So nobody can take by numbers what others need.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::net::IpAddr;
use std::sync::Arc;

use super::Keyed;
use super::cell::{Flow, FlowId};

/// Bits that one holder of an IPv6 network commands at will: RFC 4291 2.5.4 makes the other half
/// of an address the interface's.
const HOST_BITS: u32 = 64;

/// Who counts as one client: an IPv4 address, or a /64 of IPv6.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Client(u128);

impl Client {
    /// Whose address it is.
    #[must_use]
    pub const fn of(address: IpAddr) -> Self {
        match address {
            // Mapped, its lower half is never 0, and that of a /64 always is.
            IpAddr::V4(address) => Self(address.to_ipv6_mapped().to_bits()),
            IpAddr::V6(address) => Self(address.to_bits() >> HOST_BITS << HOST_BITS),
        }
    }

    /// Its hash.
    #[must_use]
    pub fn hash(self, keyed: Keyed) -> u64 {
        keyed.hash(&self.0.to_ne_bytes())
    }
}

/// A flow that may have to go.
pub(super) struct Candidate<T> {
    client: Client,
    /// Its place among its client's: the lowest goes first.
    rank: u64,
    id: FlowId,
    /// What is gained by its going.
    weight: u64,
    flow: Arc<Flow<T>>,
}

impl<T> Candidate<T> {
    /// One flow of many, of which the idlest go first.
    pub(super) fn by_idleness(flow: &Arc<Flow<T>>) -> Self {
        Self::new(flow, flow.seen(), 1)
    }

    /// One flow of those that hold memory, of which the heaviest go first.
    pub(super) fn by_memory(flow: &Arc<Flow<T>>) -> Self {
        let held = flow.held() as u64;
        Self::new(flow, u64::MAX - held, held)
    }

    fn new(flow: &Arc<Flow<T>>, rank: u64, weight: u64) -> Self {
        let client = Client::of(flow.client());
        Self { client, rank, id: flow.id(), weight, flow: Arc::clone(flow) }
    }

    const fn order(&self) -> (u64, FlowId) {
        (self.rank, self.id)
    }
}

/// The first of all candidates in their order, no matter whose they are.
pub(super) fn take_first<T>(mut all: Vec<Candidate<T>>, count: usize) -> Vec<Arc<Flow<T>>> {
    all.sort_unstable_by_key(Candidate::order);
    all.into_iter().take(count).map(|candidate| candidate.flow).collect()
}

/// Candidates that weigh `target` together, from the clients with the largest totals; equal totals
/// give by the order of their next flow. `newcomer` counts as having one flow more.
pub(super) fn take_largest<T>(
    mut all: Vec<Candidate<T>>,
    newcomer: Option<Client>,
    target: u64,
) -> Vec<Arc<Flow<T>>> {
    all.sort_unstable_by_key(|candidate| (candidate.client, candidate.order()));
    let mut groups: Vec<&[Candidate<T>]> = all.chunk_by(|a, b| a.client == b.client).collect();
    let mut largest: BinaryHeap<_> = groups
        .iter()
        .enumerate()
        .filter_map(|(index, group)| {
            let first = group.first()?;
            let own = u64::from(newcomer == Some(first.client));
            let total = group.iter().map(|candidate| candidate.weight).sum::<u64>() + own;
            Some((total, Reverse(first.order()), index))
        })
        .collect();
    let (mut taken, mut weight) = (Vec::new(), 0);
    while weight < target {
        let Some((total, _, index)) = largest.pop() else { break };
        let Some(group) = groups.get_mut(index) else { break };
        let Some((gone, rest)) = group.split_first() else { break };
        *group = rest;
        weight += gone.weight;
        taken.push(Arc::clone(&gone.flow));
        if let Some(next) = rest.first() {
            let total = total.saturating_sub(gone.weight);
            largest.push((total, Reverse(next.order()), index));
        }
    }
    taken
}
