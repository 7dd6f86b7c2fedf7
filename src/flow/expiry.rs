//! The order in which flows expire: buckets of one second, each flow in exactly one of them.
//!
//! A flow is looked at when its bucket is due and put further back if it has spoken since, so a
//! packet costs no timer work. A flow knows its own place, so moving and removing it costs nothing
//! that grows with the queue, and what is removed leaves no memory behind.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use parking_lot::Mutex;

use super::cell::{Flow, in_32_bits};

/// Flows for which a bucket may keep its memory in reserve: a smaller one is not worth the copy.
const SPARE_PLACES: usize = 4;

type Buckets<T> = BTreeMap<u32, Vec<Arc<Flow<T>>>>;

/// The queue. Its lock is the innermost: nothing else is locked under it.
#[derive(Debug)]
pub(super) struct Expiry<T> {
    buckets: Mutex<Buckets<T>>,
    /// The first second in it, to be read without the lock.
    first: AtomicU64,
}

impl<T> Expiry<T> {
    pub(super) fn new() -> Self {
        Self { buckets: Mutex::default(), first: AtomicU64::new(u64::MAX) }
    }

    /// Puts a flow into the bucket of a second, out of the one it may be in.
    pub(super) fn schedule(&self, flow: &Arc<Flow<T>>, second: u64) {
        let second = in_32_bits(second);
        let mut buckets = self.buckets.lock();
        if flow.has_left() {
            return;
        }
        let before = take(&mut buckets, flow);
        let bucket = buckets.entry(second).or_default();
        flow.place.second.store(second, Relaxed);
        flow.place.index.store(u32::try_from(bucket.len()).unwrap_or(u32::MAX), Relaxed);
        bucket.push(Arc::clone(flow));
        self.note_first(&buckets);
        drop(buckets);
        drop(before);
    }

    /// Takes a flow out for good.
    pub(super) fn remove(&self, flow: &Arc<Flow<T>>) {
        let mut buckets = self.buckets.lock();
        flow.leave();
        let before = take(&mut buckets, flow);
        self.note_first(&buckets);
        drop(buckets);
        // Not under the lock: this may be the last holder of a large state.
        drop(before);
    }

    /// Takes out a flow whose second has come.
    #[inline]
    pub(super) fn pop(&self, second: u64) -> Option<Arc<Flow<T>>> {
        if self.first.load(Relaxed) > second { None } else { self.pop_first(second) }
    }

    fn pop_first(&self, second: u64) -> Option<Arc<Flow<T>>> {
        let mut buckets = self.buckets.lock();
        let (&first, bucket) = buckets.first_key_value()?;
        if u64::from(first) > second {
            return None;
        }
        let flow = bucket.last().map(Arc::clone)?;
        let flow = take(&mut buckets, &flow);
        self.note_first(&buckets);
        flow
    }

    fn note_first(&self, buckets: &Buckets<T>) {
        let first = buckets.first_key_value().map_or(u64::MAX, |(&second, _)| second.into());
        self.first.store(first, Relaxed);
    }

    /// Places in all buckets, taken or kept in reserve.
    #[cfg(test)]
    pub(super) fn places(&self) -> usize {
        self.buckets.lock().values().map(Vec::capacity).sum()
    }
}

/// Takes a flow out of its bucket, if it is in one; the bucket's last takes its place.
fn take<T>(buckets: &mut Buckets<T>, flow: &Arc<Flow<T>>) -> Option<Arc<Flow<T>>> {
    let Entry::Occupied(mut entry) = buckets.entry(flow.place.second.load(Relaxed)) else {
        return None;
    };
    let bucket = entry.get_mut();
    let index = usize::try_from(flow.place.index.load(Relaxed)).ok()?;
    // A flow that was popped keeps the numbers of the place it had.
    bucket.get(index).filter(|found| Arc::ptr_eq(found, flow))?;
    let taken = bucket.swap_remove(index);
    if let Some(moved) = bucket.get(index) {
        moved.place.index.store(taken.place.index.load(Relaxed), Relaxed);
    }
    if bucket.is_empty() {
        entry.remove();
    } else if bucket.capacity() / 4 > bucket.len() + SPARE_PLACES {
        let places = bucket.len() * 2;
        bucket.shrink_to(places);
    }
    Some(taken)
}
