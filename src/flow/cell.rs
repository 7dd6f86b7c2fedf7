//! One flow in the table: its state behind a lock, and beside it what can be read without.
//!
//! Scans of the whole table (eviction, the search for what holds the most memory) read the numbers
//! beside the lock, so they wait for no packet and no packet waits for them.

use std::borrow::Borrow;
use std::hash::{Hash, Hasher};
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicUsize, Ordering::Relaxed};

use parking_lot::{Mutex, MutexGuard};

use super::{Direction, Ends, FlowKey, Keyed, Newcomer};

/// Number of a flow, counted from 1.
pub type FlowId = u64;

/// One flow, for as long as anybody holds it: it may have left the table meanwhile.
#[derive(Debug)]
pub struct Flow<T> {
    key: HashedKey,
    id: FlowId,
    is_originator_low: bool,
    is_over: AtomicBool,
    has_left: AtomicBool,
    held: AtomicUsize,
    seen: AtomicU32,
    since: u32,
    pub(super) place: Place,
    state: Mutex<T>,
}

/// Where a flow stands in the expiry queue; read and written only under the queue's lock.
#[derive(Debug, Default)]
pub(super) struct Place {
    /// Its bucket, whole seconds.
    pub(super) second: AtomicU32,
    /// Its index there.
    pub(super) index: AtomicU32,
}

impl<T> Flow<T> {
    pub(super) fn new(newcomer: &Newcomer, id: FlowId, state: T) -> Self {
        Self {
            key: newcomer.key,
            is_originator_low: newcomer.is_originator_low,
            id,
            is_over: AtomicBool::new(false),
            has_left: AtomicBool::new(false),
            held: AtomicUsize::new(0),
            seen: AtomicU32::new(in_32_bits(newcomer.seen)),
            since: in_32_bits(newcomer.since),
            place: Place::default(),
            state: Mutex::new(state),
        }
    }

    /// Its two ends.
    #[must_use]
    pub const fn key(&self) -> &FlowKey {
        &self.key.key
    }

    pub(super) const fn hashed(&self) -> &HashedKey {
        &self.key
    }

    /// Its number.
    #[must_use]
    pub const fn id(&self) -> FlowId {
        self.id
    }

    /// Its two ends, the one that opened it first.
    pub const fn ends(&self) -> Ends {
        let FlowKey { low, high } = self.key.key;
        if self.is_originator_low {
            Ends { originator: low, responder: high }
        } else {
            Ends { originator: high, responder: low }
        }
    }

    /// Which way a packet goes that its first end sent, or its second one.
    #[must_use]
    pub const fn direction(&self, is_low: bool) -> Direction {
        if is_low == self.is_originator_low { Direction::Original } else { Direction::Reply }
    }

    /// Address of the end that opened it.
    #[must_use]
    pub const fn client(&self) -> IpAddr {
        self.ends().originator.address
    }

    /// Its state, for a packet of it or to look at; `None` once it has left the table, when what is
    /// written there would be counted by nobody. Never lock two flows at once.
    #[must_use]
    pub fn lock_if_present(&self) -> Option<MutexGuard<'_, T>> {
        let state = self.state.lock();
        (!self.has_left()).then_some(state)
    }

    /// Its state, whether it is in the table or not: for who took it out.
    pub fn lock(&self) -> MutexGuard<'_, T> {
        self.state.lock()
    }

    /// Bytes of memory it holds, as last told by [`Self::hold`].
    #[must_use]
    pub fn held(&self) -> usize {
        self.held.load(Relaxed)
    }

    /// Says how many bytes of memory it holds. To be called with the flow locked.
    pub fn hold(&self, bytes: usize) {
        self.held.store(bytes, Relaxed);
    }

    /// When it last spoke, whole seconds.
    #[must_use]
    pub fn seen(&self) -> u64 {
        self.seen.load(Relaxed).into()
    }

    /// When it began, whole seconds.
    #[must_use]
    pub fn since(&self) -> u64 {
        self.since.into()
    }

    /// It speaks in this second.
    pub fn touch(&self, second: u64) {
        self.seen.store(in_32_bits(second), Relaxed);
    }

    /// Whether it is over (closed, reset or handed over): such a flow is evicted before any other.
    #[must_use]
    pub fn is_over(&self) -> bool {
        self.is_over.load(Relaxed)
    }

    /// Says whether it is over.
    pub fn set_over(&self, is_over: bool) {
        self.is_over.store(is_over, Relaxed);
    }

    /// Whether it was taken out of the table.
    #[must_use]
    pub fn has_left(&self) -> bool {
        self.has_left.load(Relaxed)
    }

    pub(super) fn leave(&self) {
        self.has_left.store(true, Relaxed);
    }
}

/// A key and its hash, which is made once: both tables take it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HashedKey {
    pub(super) hash: u64,
    key: FlowKey,
}

impl HashedKey {
    /// With the hash under this seed: all keys of a table are to have the same.
    #[must_use]
    pub fn new(key: FlowKey, keyed: &Keyed) -> Self {
        Self { hash: key.keyed_hash(keyed), key }
    }

    /// The key alone.
    #[must_use]
    pub const fn plain(&self) -> &FlowKey {
        &self.key
    }
}

impl Hash for HashedKey {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u64(self.hash);
    }
}

/// A flow in the map, which finds it by its own key: a copy of that would be as large as all else
/// that the map holds of a flow, and is one read further anyway.
#[derive(Debug)]
pub(super) struct ByKey<T>(pub(super) Arc<Flow<T>>);

impl<T> Borrow<HashedKey> for ByKey<T> {
    fn borrow(&self) -> &HashedKey {
        &self.0.key
    }
}

impl<T> Hash for ByKey<T> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.key.hash(state);
    }
}

impl<T> PartialEq for ByKey<T> {
    fn eq(&self, other: &Self) -> bool {
        self.0.key == other.0.key
    }
}

impl<T> Eq for ByKey<T> {}

/// A second as it is kept: 32 bits hold the seconds of the Unix epoch until 2106.
pub(super) fn in_32_bits(second: u64) -> u32 {
    u32::try_from(second).unwrap_or(u32::MAX)
}
