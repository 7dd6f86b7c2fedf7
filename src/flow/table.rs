//! Established flows: a bounded map from a key to one flow, and the order they expire in.
//!
//! A flow's state is locked only after the map's own guard is gone, and never two at once; what
//! looks at all flows locks none. A full table makes room: whoever has the most flows loses the
//! idlest of them, so a client that opens many displaces its own.

use std::hash::BuildHasherDefault;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};

use dashmap::{DashMap, Entry};
use parking_lot::Mutex;

use super::HashedKey;
use super::cell::{ByKey, Flow, FlowId};
use super::expiry::Expiry;
use super::keyed::Known;
use super::share::{Candidate, Client, take_first, take_largest};

/// Shards of the map: many more than the threads that handle queues, and the same on every machine.
const SHARDS: usize = 64;

/// One part in so many of a full table makes room at once. A look at all flows then costs each new
/// one as much as a look at a hundred.
const BATCHES: usize = 100;

/// A flow about to be added.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Newcomer {
    /// Its two ends.
    pub key: HashedKey,
    /// Whether the key's lower end is the one that opened it.
    pub is_originator_low: bool,
    /// When it began, whole seconds.
    pub since: u64,
    /// When it last spoke, whole seconds.
    pub seen: u64,
    /// When it is to be looked at for expiry, whole seconds.
    pub due: u64,
}

/// A flow that was added, and those that are in the table no more because of it: for the caller to
/// lock (one at a time), account for and close.
#[derive(Debug)]
pub struct Inserted<T> {
    /// The new one.
    pub flow: Arc<Flow<T>>,
    /// An earlier one of the same ends, and whatever had to make room.
    pub displaced: Vec<Arc<Flow<T>>>,
}

/// The flows, at most `flows_max` of them.
#[derive(Debug)]
pub struct FlowTable<T> {
    flows: DashMap<ByKey<T>, (), BuildHasherDefault<Known>>,
    /// Flows in the map, and places taken for those about to be.
    count: AtomicUsize,
    /// The most of them at once.
    most: AtomicUsize,
    flows_max: usize,
    last_id: AtomicU64,
    expiry: Expiry<T>,
    /// One thread makes room, the others wait for it.
    evicting: Mutex<()>,
}

impl<T> FlowTable<T> {
    /// An empty table for at least one flow.
    #[must_use]
    pub fn new(flows_max: usize) -> Self {
        Self {
            flows: DashMap::with_hasher_and_shard_amount(BuildHasherDefault::new(), SHARDS),
            count: AtomicUsize::new(0),
            most: AtomicUsize::new(0),
            flows_max: flows_max.max(1),
            last_id: AtomicU64::new(0),
            expiry: Expiry::new(),
            evicting: Mutex::new(()),
        }
    }

    /// How many flows there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.count.load(Relaxed)
    }

    /// The most flows there ever were at once.
    #[must_use]
    pub fn most(&self) -> usize {
        self.most.load(Relaxed)
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The number given last.
    #[must_use]
    pub fn last_id(&self) -> FlowId {
        self.last_id.load(Relaxed)
    }

    /// Numbers from here on are higher than this one.
    pub fn count_from(&self, last: FlowId) {
        self.last_id.store(last, Relaxed);
    }

    /// Whether a new flow would displace another.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.len() >= self.flows_max
    }

    /// The flow of these two ends.
    #[must_use]
    pub fn find(&self, key: &HashedKey) -> Option<Arc<Flow<T>>> {
        self.flows.get(key).map(|found| Arc::clone(&found.key().0))
    }

    /// Adds a flow. In a full table about a hundredth of the others make room: first those that are
    /// over, the idlest first; then, from the clients (IPv4 addresses, IPv6 networks of 64 bits)
    /// that have the most, the idlest of each. No flow may be locked by the caller.
    #[must_use = "what was displaced has to be closed"]
    pub fn insert(&self, newcomer: Newcomer, state: impl FnOnce(FlowId) -> T) -> Inserted<T> {
        let id = self.last_id.fetch_add(1, Relaxed) + 1;
        self.restore(id, newcomer, state(id))
    }

    /// The same for a flow that has a number already, of the time before [`Self::count_from`].
    #[must_use = "what was displaced has to be closed"]
    pub fn restore(&self, id: FlowId, newcomer: Newcomer, state: T) -> Inserted<T> {
        let flow = Arc::new(Flow::new(&newcomer, id, state));
        let mut displaced = Vec::from_iter(self.remove(&newcomer.key));
        self.make_room(Client::of(flow.client()), &mut displaced);
        match self.flows.entry(ByKey(Arc::clone(&flow))) {
            Entry::Vacant(place) => drop(place.insert(())),
            // Another thread was faster, between the same ends.
            Entry::Occupied(place) => {
                let (ByKey(old), ()) = place.replace_entry(());
                self.let_go(&old);
                displaced.push(old);
            }
        }
        self.expiry.schedule(&flow, newcomer.due);
        Inserted { flow, displaced }
    }

    /// Takes the flow of these two ends out, for the caller to lock, account for and close.
    pub fn remove(&self, key: &HashedKey) -> Option<Arc<Flow<T>>> {
        let (ByKey(flow), ()) = self.flows.remove(key)?;
        self.let_go(&flow);
        Some(flow)
    }

    /// Takes this very flow out and no successor of the same ends; false if it had left already.
    pub fn forget(&self, flow: &Arc<Flow<T>>) -> bool {
        let is_gone = self.flows.remove_if(flow.hashed(), |found, ()| Arc::ptr_eq(&found.0, flow));
        if is_gone.is_none() {
            return false;
        }
        self.let_go(flow);
        true
    }

    /// Looks at no more than `looks_max` flows whose second has come, each locked: `deadline` says
    /// until which second a flow lives, and `ended` gets those that do not, which have left.
    pub fn expire(
        &self,
        second: u64,
        looks_max: usize,
        deadline: impl Fn(&Flow<T>, &mut T) -> u64,
        mut ended: impl FnMut(&Flow<T>, &mut T),
    ) {
        for _ in 0..looks_max {
            let Some(flow) = self.expiry.pop(second) else { return };
            let mut state = flow.lock();
            let until = deadline(&flow, &mut state);
            if until > second {
                self.expiry.schedule(&flow, until);
            } else if self.forget(&flow) {
                ended(&flow, &mut state);
            }
        }
    }

    /// Has a flow looked at in this second, and not when it was to be: it has one deadline at a
    /// time. One that has left is let be.
    pub fn schedule(&self, flow: &Arc<Flow<T>>, second: u64) {
        self.expiry.schedule(flow, second);
    }

    /// Flows that hold at least so many bytes together (all that hold any, if that is not enough):
    /// from the clients that hold the most in total, the heaviest of each. Locks none of them.
    #[must_use]
    pub fn heaviest(&self, bytes: usize) -> Vec<Arc<Flow<T>>> {
        let holders = self.flows.iter().filter(|found| found.key().0.held() > 0);
        let holders = holders.map(|found| Candidate::by_memory(&found.key().0)).collect();
        take_largest(holders, None, bytes as u64)
    }

    /// Looks at every flow, the oldest first. None is locked, nor any part of the table: `look` may
    /// lock each in turn, and one may have left by then.
    pub fn for_each(&self, look: impl FnMut(&Arc<Flow<T>>)) {
        let mut flows: Vec<_> = self.flows.iter().map(|found| Arc::clone(&found.key().0)).collect();
        flows.sort_unstable_by_key(|flow| flow.id());
        flows.iter().for_each(look);
    }

    /// Takes a place for one more flow.
    fn make_room(&self, client: Client, displaced: &mut Vec<Arc<Flow<T>>>) {
        let take_place = |count| (count < self.flows_max).then_some(count + 1);
        let before = loop {
            if let Ok(before) = self.count.fetch_update(Relaxed, Relaxed, take_place) {
                break before;
            }
            let _evicting = self.evicting.lock();
            if self.is_full() {
                let victims = self.choose(client);
                displaced.extend(victims.into_iter().filter(|flow| self.forget(flow)));
            }
        };
        if before >= self.most() {
            self.most.fetch_max(before + 1, Relaxed);
        }
    }

    /// Who has to make room for a flow of this client.
    fn choose(&self, client: Client) -> Vec<Arc<Flow<T>>> {
        let batch = (self.flows_max / BATCHES).max(1);
        let (mut over, mut open) = (Vec::new(), Vec::new());
        for found in &self.flows {
            let ByKey(flow) = found.key();
            let kind = if flow.is_over() { &mut over } else { &mut open };
            kind.push(Candidate::by_idleness(flow));
        }
        let mut chosen = take_first(over, batch);
        let more = batch - chosen.len();
        chosen.extend(take_largest(open, Some(client), more as u64));
        chosen
    }

    /// The flow is out of the map.
    fn let_go(&self, flow: &Arc<Flow<T>>) {
        self.count.fetch_sub(1, Relaxed);
        self.expiry.remove(flow);
    }

    /// Places in the expiry queue, taken or kept in reserve.
    #[cfg(test)]
    pub(super) fn expiry_places(&self) -> usize {
        self.expiry.places()
    }
}
