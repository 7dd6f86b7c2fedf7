//! Handshakes under way: one small record each, in a table of fixed size.
//!
//! The table is set-associative and keyed by a secret: a flood of SYNs cannot aim at a record and
//! never grows the table. In a full set the oldest goes, so one that is younger than the flood
//! needs to fill the table once has hardly ever gone: at 100,000 SYNs a second and 65,536 records
//! that is 0.65 seconds, more than most handshakes take. A record lost costs a repeated SYN or,
//! behind the server's answer, a repeated SYN/ACK.
//!
//! Two ends may have two records, by the numbers of their SYNs: which of them the server takes, its
//! SYN/ACK says. So a SYN that somebody forged between SYN/ACK and third packet changes nothing,
//! unless the server keeps no state (SYN cookies) and answers that one as well.

use std::sync::atomic::{AtomicU32, Ordering};

use parking_lot::Mutex;
use serde::{Deserialize, Serialize};

use super::record::Packed;
use super::{Endpoint, FlowKey, HashedKey, PerDirection, Way};
use crate::wire::Seq;

/// Records that share a hash.
const WAYS: usize = 8;

/// Records of the same two ends.
const RIVALS_MAX: usize = 2;

/// What is known of a connection before its third packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Handshake {
    /// Its two ends.
    pub key: FlowKey,
    /// Sequence number of the SYN.
    pub isn: Seq,
    /// Sequence number of the server's SYN/ACK.
    pub answer: Seq,
    /// When the last packet of it was seen, whole seconds.
    pub seconds: u32,
    /// The way the SYN took.
    pub way: Way,
    /// The smaller MSS offered so far, in bytes; 0 where none was.
    pub segment_size: u16,
    /// The windows of SYN and SYN/ACK, in bytes: these two are never scaled (RFC 7323 2.2).
    pub windows: PerDirection<u16>,
    /// The window scales that SYN and SYN/ACK offered, in bits, 14 at most.
    pub offered_scales: PerDirection<Option<u8>>,
    /// Whether the server has answered.
    pub is_answered: bool,
    /// Whether the key's lower end is the one that sent the SYN.
    pub is_originator_low: bool,
}

impl Handshake {
    /// The end that sent the SYN.
    #[must_use]
    pub const fn originator(&self) -> Endpoint {
        if self.is_originator_low { self.key.low } else { self.key.high }
    }

    /// The end the SYN was sent to.
    #[must_use]
    pub const fn responder(&self) -> Endpoint {
        if self.is_originator_low { self.key.high } else { self.key.low }
    }

    /// Bits by which the windows that each end sends from now on are shifted: 0 unless both ends
    /// offered to scale (RFC 7323 2.2).
    #[must_use]
    pub fn window_scales(&self) -> PerDirection<u8> {
        match (self.offered_scales.original, self.offered_scales.reply) {
            (Some(original), Some(reply)) => PerDirection::new(original, reply),
            _ => PerDirection::default(),
        }
    }
}

/// The records, spread over sets by a keyed hash.
#[derive(Debug)]
pub struct HandshakeTable {
    sets: Box<[Mutex<Set>]>,
    seconds_max: u32,
    /// Before this second nobody kept records here, and others that did have left none.
    begun: AtomicU32,
}

#[derive(Debug, Default)]
struct Set {
    /// As they were written, the oldest first.
    records: Vec<Packed>,
    /// When a live record last had to go, whole seconds.
    evicted: Option<u32>,
}

impl HandshakeTable {
    /// A table for about `records_max` records that are forgotten after `seconds_max` seconds.
    #[must_use]
    pub fn new(records_max: usize, seconds_max: u64) -> Self {
        let sets = (records_max / WAYS).max(1);
        Self {
            sets: (0..sets).map(|_| Mutex::default()).collect(),
            seconds_max: u32::try_from(seconds_max).unwrap_or(u32::MAX),
            begun: AtomicU32::new(0),
        }
    }

    /// Somebody may have kept records before this second that were lost with it.
    pub fn begin_behind_others(&self, seconds: u32) {
        self.begun.store(seconds, Ordering::Relaxed);
    }

    /// Whether a handshake may be older than the table.
    #[must_use]
    pub fn may_be_older(&self, seconds: u32) -> bool {
        let begun = self.begun.load(Ordering::Relaxed);
        begun != 0 && self.is_alive(begun, seconds)
    }

    /// The record of these two ends that is wanted, if there is one that has not expired.
    #[must_use]
    pub fn find(
        &self,
        key: &HashedKey,
        seconds: u32,
        is_wanted: impl Fn(&Handshake) -> bool,
    ) -> Option<Handshake> {
        let set = self.set(key)?.lock();
        let own = set.records.iter().filter(|record| record.is_of(key.plain()));
        let alive = own.filter(|record| self.is_alive(record.seconds(), seconds));
        alive.map(Packed::unpack).find(is_wanted)
    }

    /// Writes a record of these two ends, in place of the one with its SYN or, where its set is
    /// full, of the one written longest ago; true if a live record of another SYN had to go.
    pub fn put(&self, key: &HashedKey, record: &Handshake) -> bool {
        debug_assert_eq!(*key.plain(), record.key, "the record's own key");
        let Some(set) = self.set(key) else { return false };
        let packed = Packed::of(record);
        let mut set = set.lock();
        let records = &mut set.records;
        if record.is_answered {
            // A server has one of them at a time: what it had answered before is over.
            records.retain(|old| {
                !old.is_of(&record.key) || !old.is_answered() || old.isn() == record.isn
            });
        }
        let place = Self::place_of(record, records);
        let place = place.or_else(|| (records.len() >= WAYS).then_some(0));
        let gone = place.map(|place| records.remove(place));
        records.push(packed);
        let is_lost = gone.is_some_and(|gone| {
            let is_same = gone.is_of(&record.key) && gone.isn() == record.isn;
            !is_same && self.is_alive(gone.seconds(), record.seconds)
        });
        if is_lost {
            set.evicted = set.evicted.max(Some(record.seconds));
        }
        is_lost
    }

    /// Where among these a record stands already, or the one that it takes the place of: of two
    /// others of its ends the one that the server has not answered, and of two like ones the older.
    fn place_of(record: &Handshake, records: &[Packed]) -> Option<usize> {
        let own = || records.iter().enumerate().filter(|(_, old)| old.is_of(&record.key));
        let same = own().find(|(_, old)| old.isn() == record.isn);
        let least = || own().min_by_key(|(_, old)| (old.is_answered(), old.seconds()));
        let found = same.or_else(|| least().filter(|_| own().count() >= RIVALS_MAX));
        found.map(|(place, _)| place)
    }

    /// Forgets the record of these two ends with this SYN.
    pub fn remove(&self, key: &HashedKey, isn: Seq) {
        self.retain(key, |old| old.isn() != isn);
    }

    /// Forgets every record of these two ends.
    pub fn remove_all(&self, key: &HashedKey) {
        self.retain(key, |_| false);
    }

    fn retain(&self, key: &HashedKey, is_kept: impl Fn(&Packed) -> bool) {
        if let Some(set) = self.set(key) {
            set.lock().records.retain(|record| !record.is_of(key.plain()) || is_kept(record));
        }
    }

    /// Whether a record of these two ends that would still be alive may have had to go: where it
    /// would stand, one went so lately. What seems to belong to no handshake may then belong to
    /// one, whose SYN or SYN/ACK comes again if nobody answers.
    #[must_use]
    pub fn may_have_evicted(&self, key: &HashedKey, seconds: u32) -> bool {
        let evicted = self.set(key).and_then(|set| set.lock().evicted);
        evicted.is_some_and(|evicted| self.is_alive(evicted, seconds))
    }

    /// When a live record last had to go anywhere, or may have been lost with whoever kept it,
    /// whole seconds.
    #[must_use]
    pub fn evicted(&self) -> Option<u32> {
        let begun = Some(self.begun.load(Ordering::Relaxed)).filter(|begun| *begun != 0);
        self.sets.iter().filter_map(|set| set.lock().evicted).chain(begun).max()
    }

    /// A live record last had to go at this second, and nobody knows any more where: it may have
    /// been anywhere.
    pub fn note_evicted(&self, seconds: u32) {
        for set in &self.sets {
            let mut set = set.lock();
            set.evicted = set.evicted.max(Some(seconds));
        }
    }

    /// Looks at every record, alive or not. Nobody may look back at the table meanwhile.
    pub fn for_each(&self, mut look: impl FnMut(&Handshake)) {
        for set in &self.sets {
            set.lock().records.iter().for_each(|record| look(&record.unpack()));
        }
    }

    const fn is_alive(&self, since: u32, seconds: u32) -> bool {
        seconds.saturating_sub(since) <= self.seconds_max
    }

    fn set(&self, key: &HashedKey) -> Option<&Mutex<Set>> {
        self.sets.get(below(self.sets.len(), key.hash))
    }
}

fn below(bound: usize, hash: u64) -> usize {
    usize::try_from(hash % bound.max(1) as u64).unwrap_or(0)
}
