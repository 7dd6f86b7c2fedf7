//! Established flows: a bounded map from a key to one conversation, and the order they expire in.
//!
//! A conversation is locked only after the map's own guard is gone, and never two at once. Every
//! flow stands in a one-second bucket of the expiry queue; it is looked at when the bucket is due
//! and put further back if it has spoken since, so a packet costs no timer work.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use dashmap::DashMap;
use parking_lot::Mutex;

use super::FlowKey;

/// Number of a flow, counted from 1.
pub type FlowId = u64;

#[derive(Debug)]
struct Entry<T> {
    id: FlowId,
    conversation: Arc<Mutex<T>>,
}

/// The flows, at most `flows_max` of them.
#[derive(Debug)]
pub struct FlowTable<T> {
    flows: DashMap<FlowKey, Entry<T>>,
    count: AtomicUsize,
    flows_max: usize,
    last_id: AtomicU64,
    due: Mutex<BTreeMap<u64, Vec<(FlowKey, FlowId)>>>,
    /// The first second in `due`, to be read without its lock.
    next_due: AtomicU64,
}

impl<T> FlowTable<T> {
    /// An empty table.
    #[must_use]
    pub fn new(flows_max: usize) -> Self {
        Self {
            flows: DashMap::new(),
            count: AtomicUsize::new(0),
            flows_max,
            last_id: AtomicU64::new(0),
            due: Mutex::default(),
            next_due: AtomicU64::new(u64::MAX),
        }
    }

    /// How many flows there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.count.load(Ordering::Relaxed)
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether a new flow would be refused.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.len() >= self.flows_max
    }

    /// The conversation of these two ends.
    #[must_use]
    pub fn find(&self, key: &FlowKey) -> Option<Arc<Mutex<T>>> {
        self.flows.get(key).map(|entry| Arc::clone(&entry.conversation))
    }

    /// Adds a flow, to be looked at in the given second; `None` if the table is full.
    pub fn insert(
        &self,
        key: FlowKey,
        due_second: u64,
        conversation: impl FnOnce(FlowId) -> T,
    ) -> Option<Arc<Mutex<T>>> {
        if self.is_full() {
            return None;
        }
        let id = self.last_id.fetch_add(1, Ordering::Relaxed) + 1;
        let conversation = Arc::new(Mutex::new(conversation(id)));
        let entry = Entry { id, conversation: Arc::clone(&conversation) };
        if self.flows.insert(key, entry).is_none() {
            self.count.fetch_add(1, Ordering::Relaxed);
        }
        self.schedule(key, id, due_second);
        Some(conversation)
    }

    /// Takes a flow out.
    pub fn remove(&self, key: &FlowKey) -> Option<Arc<Mutex<T>>> {
        let (_, entry) = self.flows.remove(key)?;
        self.count.fetch_sub(1, Ordering::Relaxed);
        Some(entry.conversation)
    }

    /// Looks at no more than `looks_max` flows whose second has come: `deadline` says until which
    /// second a conversation lives, and `ended` gets those that do not.
    pub fn expire(
        &self,
        second: u64,
        looks_max: usize,
        deadline: impl Fn(&mut T) -> u64,
        mut ended: impl FnMut(&mut T),
    ) {
        for _ in 0..looks_max {
            if self.next_due.load(Ordering::Relaxed) > second {
                return;
            }
            let Some((key, id)) = self.pop_due(second) else { return };
            let Some(conversation) =
                self.flows.get(&key).filter(|e| e.id == id).map(|e| Arc::clone(&e.conversation))
            else {
                continue;
            };
            let mut conversation = conversation.lock();
            let until = deadline(&mut conversation);
            if until > second {
                self.schedule(key, id, until);
            } else if self.flows.remove_if(&key, |_, entry| entry.id == id).is_some() {
                self.count.fetch_sub(1, Ordering::Relaxed);
                ended(&mut conversation);
            }
        }
    }

    /// Has a flow looked at in the given second, besides when it was to be looked at anyway. Its
    /// place in the queue costs memory until then: to be called a bounded number of times a flow.
    pub fn schedule(&self, key: FlowKey, id: FlowId, second: u64) {
        let mut due = self.due.lock();
        due.entry(second).or_default().push((key, id));
        self.next_due.fetch_min(second, Ordering::Relaxed);
    }

    fn pop_due(&self, second: u64) -> Option<(FlowKey, FlowId)> {
        let mut due = self.due.lock();
        let mut bucket = due.first_entry()?;
        if *bucket.key() > second {
            return None;
        }
        let popped = bucket.get_mut().pop();
        if bucket.get().is_empty() {
            bucket.remove();
        }
        let next = due.first_key_value().map_or(u64::MAX, |(&second, _)| second);
        self.next_due.store(next, Ordering::Relaxed);
        popped
    }
}
