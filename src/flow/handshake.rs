//! Handshakes under way: one small record each, in a table of fixed size.
//!
//! The table is set-associative and keyed by a secret: a flood of SYNs overwrites records at
//! random, cannot aim at one, and never grows the table. A record lost so costs one repeated SYN.

use std::hash::{Hash, Hasher};

use parking_lot::Mutex;
use siphasher::sip::SipHasher13;

use super::{Endpoint, FlowKey};
use crate::wire::Seq;

/// Records that share a hash.
const WAYS: usize = 8;

/// What is known of a connection before its third packet: at most 64 bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Handshake {
    /// Its two ends.
    pub key: FlowKey,
    /// Sequence number of the SYN.
    pub isn: Seq,
    /// Sequence number of the server's SYN/ACK.
    pub answer: Seq,
    /// When the last packet of it was seen, whole seconds.
    pub seconds: u32,
    /// Interface the SYN came by.
    pub ingress: u32,
    /// Interface it left by.
    pub egress: u32,
    /// The smaller MSS offered so far; 0 where none was.
    pub segment_size: u16,
    /// Whether the server has answered.
    pub is_answered: bool,
    /// Whether the key's lower end is the one that sent the SYN.
    pub low_is_originator: bool,
}

const _: () = assert!(size_of::<Handshake>() <= 64, "a handshake record fits in 64 bytes");

impl Handshake {
    /// The end that sent the SYN.
    #[must_use]
    pub const fn originator(&self) -> Endpoint {
        if self.low_is_originator { self.key.low } else { self.key.high }
    }

    /// The end the SYN was sent to.
    #[must_use]
    pub const fn responder(&self) -> Endpoint {
        if self.low_is_originator { self.key.high } else { self.key.low }
    }
}

/// The records, spread over sets by a keyed hash.
#[derive(Debug)]
pub struct HandshakeTable {
    sets: Box<[Mutex<Vec<Handshake>>]>,
    seed: u64,
    seconds_max: u32,
}

impl HandshakeTable {
    /// A table for about `records_max` records that are forgotten after `seconds_max` seconds.
    #[must_use]
    pub fn new(records_max: usize, seconds_max: u64, seed: u64) -> Self {
        let sets = (records_max / WAYS).max(1);
        Self {
            sets: (0..sets).map(|_| Mutex::default()).collect(),
            seed,
            seconds_max: u32::try_from(seconds_max).unwrap_or(u32::MAX),
        }
    }

    /// The record of these two ends, if there is one that has not expired.
    #[must_use]
    pub fn find(&self, key: &FlowKey, seconds: u32) -> Option<Handshake> {
        let set = self.set(key)?.lock();
        set.iter().find(|record| record.key == *key && self.is_alive(record, seconds)).copied()
    }

    /// Writes a record, in place of the one with its key, of an expired one, or of any; true if a
    /// live record of other ends had to go.
    pub fn put(&self, record: Handshake) -> bool {
        let Some(set) = self.set(&record.key) else { return false };
        let mut set = set.lock();
        let place = set
            .iter()
            .position(|old| old.key == record.key)
            .or_else(|| set.iter().position(|old| !self.is_alive(old, record.seconds)));
        if let Some(place) = place.and_then(|place| set.get_mut(place)) {
            *place = record;
            return false;
        }
        if set.len() < WAYS {
            set.push(record);
            return false;
        }
        let victim = self.hash_below(WAYS, &(record.key, record.isn.0, record.seconds));
        if let Some(place) = set.get_mut(victim) {
            *place = record;
        }
        true
    }

    /// Forgets the record of these two ends.
    pub fn remove(&self, key: &FlowKey) {
        if let Some(set) = self.set(key) {
            set.lock().retain(|record| record.key != *key);
        }
    }

    const fn is_alive(&self, record: &Handshake, seconds: u32) -> bool {
        seconds.saturating_sub(record.seconds) <= self.seconds_max
    }

    fn set(&self, key: &FlowKey) -> Option<&Mutex<Vec<Handshake>>> {
        self.sets.get(self.hash_below(self.sets.len(), key))
    }

    fn hash_below(&self, bound: usize, value: &impl Hash) -> usize {
        let mut hasher = SipHasher13::new_with_keys(self.seed, !self.seed);
        value.hash(&mut hasher);
        usize::try_from(hasher.finish() % bound.max(1) as u64).unwrap_or(0)
    }
}
