//! The diary: each flow is written down before its packets go on, so that it outlives a process
//! that dies at whatever instant.
//!
//! What a record holds is at least what the kernel was told: every byte that may have left and was
//! not acknowledged as far as was written. To both ends the death then looks like packets lost
//! behind the filter. An ACK alone is not written down: an older one only keeps bytes longer. A
//! flow whose record is too long has none until it is shorter: bulk costs nothing, and its flow is
//! unknown to a successor.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::fmt;
use std::sync::{Arc, Weak};

use parking_lot::Mutex;

use super::super::conversation::Conversation;
use super::super::policy::Terms;
use super::super::{Engine, Turn};
use super::write::{Records, preamble};
use super::{FORMAT, FlowState, Preamble, TermsState};
use crate::flow::{Flow, PerDirection};
use crate::time::Instant;

/// Where a diary is kept.
pub trait Diary: fmt::Debug + Send + Sync {
    /// Keeps what is said once for all flows, in place of what was kept of it before; false, and
    /// that still stands, where there is no room.
    #[must_use]
    fn keep_preamble(&self, preamble: &[u8]) -> bool;

    /// Keeps a flow's record in this slot, in place of the one there; an empty one is none.
    fn keep(&self, slot: u32, record: &[u8]);
}

/// Bytes of a record at most: a page holds four.
pub const RECORD_BYTES_MAX: usize = 1_020;

/// Memory held by a flow whose record is surely too long.
const HELD_MAX: usize = 4 * RECORD_BYTES_MAX;

/// Who writes a diary.
#[derive(Debug)]
pub(in super::super) struct Diarist {
    diary: Box<dyn Diary>,
    slots: Mutex<Slots>,
    /// What flows are judged by, in the order of the preamble.
    terms: Mutex<Vec<Place>>,
    now: Instant,
    clock: u64,
    seed: u64,
}

/// A place in the preamble.
#[derive(Debug, Default)]
struct Place {
    /// Terms that are alike: the preamble says one of them. Without any it is free.
    alike: Vec<Arc<Terms>>,
    /// Whether the preamble that is kept says them.
    is_said: bool,
}

/// Slots are given out lowest first, so that few flows need few pages.
#[derive(Debug, Default)]
struct Slots {
    free: BinaryHeap<Reverse<u32>>,
    used: u32,
}

/// A flow's place in the diary, which is empty again when the flow is gone; unless it goes with its
/// engine, of which the diarist goes first: then the diary stays as it is.
#[derive(Debug)]
pub(in super::super) struct Slot {
    number: u32,
    is_empty: bool,
    /// Where the client had offered least, as it is written.
    least_offered: u16,
    diarist: Weak<Diarist>,
}

impl Engine {
    /// Keeps a diary from here on; `clock` is what the front says of its own clock.
    pub fn keep_diary(&mut self, diary: Box<dyn Diary>, now: Instant, clock: u64) {
        let diarist = Arc::new(Diarist {
            diary,
            slots: Mutex::default(),
            terms: Mutex::default(),
            now,
            clock,
            seed: self.seed,
        });
        self.flows.for_each(|flow| {
            if let Some(mut conversation) = flow.lock_if_present() {
                diarist.write(flow, &mut conversation);
            }
        });
        self.diarist = Some(diarist);
    }

    /// Writes down what a packet has made of its flow.
    pub(in super::super) fn write_down(
        &self,
        turn: &Turn<'_>,
        flow: &Flow<Conversation>,
        conversation: &mut Conversation,
    ) {
        if self.diarist.is_none() {
            return;
        }
        let flags = turn.packet.flags;
        let is_ack = turn.packet.payload().is_empty() && !flags.fin && !flags.rst;
        let least_offered = conversation.presence.least_offered();
        let is_written = |slot: &Slot| !slot.is_empty && slot.least_offered == least_offered;
        if !is_ack || !conversation.slot.as_deref().is_some_and(is_written) {
            self.write_anew(flow, conversation);
        }
    }

    /// Writes down what a flow has become without a packet of its own.
    pub(in super::super) fn write_anew(
        &self,
        flow: &Flow<Conversation>,
        conversation: &mut Conversation,
    ) {
        if let Some(diarist) = &self.diarist {
            diarist.write(flow, conversation);
        }
    }
}

impl Diarist {
    fn write(self: &Arc<Self>, flow: &Flow<Conversation>, conversation: &mut Conversation) {
        let mut bytes = [0; RECORD_BYTES_MAX];
        let record = self.record(flow, conversation, &mut bytes);
        let slot = conversation.slot.get_or_insert_with(|| Box::new(Slot::new(self)));
        if !record.is_empty() || !slot.is_empty {
            slot.is_empty = record.is_empty();
            slot.least_offered = conversation.presence.least_offered();
            self.diary.keep(slot.number, record);
        }
    }

    fn record<'b>(
        &self,
        flow: &Flow<Conversation>,
        conversation: &Conversation,
        bytes: &'b mut [u8],
    ) -> &'b [u8] {
        if conversation.held() > HELD_MAX {
            return &[];
        }
        let Some(terms) = self.place(&conversation.terms) else { return &[] };
        // What the log says of a line under way is lost, and nothing else.
        let journal = PerDirection::default();
        let state = FlowState {
            id: flow.id(),
            ends: flow.ends(),
            since: flow.since(),
            seen: flow.seen(),
            presence: conversation.presence,
            terms,
            conversation: conversation.shape_with(&journal),
        };
        postcard::to_slice(&state, bytes).map_or(&[], |record| record)
    }

    /// Where the preamble says these terms; none where it has no room for them.
    fn place(&self, terms: &Arc<Terms>) -> Option<u32> {
        let mut places = self.terms.lock();
        let has = |place: &Place| place.alike.iter().any(|one| Arc::ptr_eq(one, terms));
        let number = places.iter().position(has);
        let number = number.unwrap_or_else(|| self.find_place(&mut places, terms));
        let is_said = |places: &[Place]| places.get(number).is_some_and(|place| place.is_said);
        if !is_said(&places) && free(&mut places) {
            self.say(&mut places);
        }
        u32::try_from(number).ok().filter(|_| is_said(&places))
    }

    /// A place for terms that have none: that of like ones, or one that is free, which the preamble
    /// is written anew for.
    fn find_place(&self, places: &mut Vec<Place>, terms: &Arc<Terms>) -> usize {
        let is_more = free(places);
        let is_like = |place: &Place| place.alike.first().is_some_and(|one| one.is_like(terms));
        let like = places.iter().position(is_like);
        let number = like.or_else(|| places.iter().position(|place| place.alike.is_empty()));
        let number = number.unwrap_or(places.len());
        if number == places.len() {
            places.push(Place::default());
        }
        if let Some(place) = places.get_mut(number) {
            place.alike.push(Arc::clone(terms));
            place.is_said &= like.is_some();
        }
        // Like ones that had no room may have some now.
        if like.is_none() || is_more {
            self.say(places);
        }
        number
    }

    fn say(&self, places: &mut [Place]) {
        let state = |place: &Place| {
            place.alike.first().map_or_else(TermsState::none, |one| TermsState::of(one))
        };
        let states = places.iter().map(state).collect();
        let said = preamble((self.now, self.clock, self.seed), 0, states);
        if self.diary.keep_preamble(&postcard::to_allocvec(&said).unwrap_or_default()) {
            places.iter_mut().for_each(|place| place.is_said = true);
        }
    }
}

/// Forgets what nobody else has: it judges no flow any more, and no slot names it. Whether there is
/// more room in the preamble now.
fn free(places: &mut [Place]) -> bool {
    let mut is_more = false;
    for place in places {
        let was_free = place.alike.is_empty();
        place.alike.retain(|one| Arc::strong_count(one) > 1);
        is_more |= place.alike.is_empty() && !was_free;
    }
    is_more
}

impl Slot {
    fn new(diarist: &Arc<Diarist>) -> Self {
        let mut slots = diarist.slots.lock();
        let number = slots.free.pop().map_or(slots.used, |Reverse(number)| number);
        slots.used = slots.used.max(number.saturating_add(1));
        Self { number, is_empty: true, least_offered: 0, diarist: Arc::downgrade(diarist) }
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        let Some(diarist) = self.diarist.upgrade() else { return };
        if !self.is_empty {
            diarist.diary.keep(self.number, &[]);
        }
        diarist.slots.lock().free.push(Reverse(self.number));
    }
}

/// A diary as an image, for [`super::Image::open`]: nothing, if it does not say what it is.
#[must_use]
pub fn image_of_diary(preamble: &[u8], records: &[&[u8]]) -> Vec<u8> {
    let Ok(mut said) = postcard::from_bytes::<Preamble>(preamble) else { return Vec::new() };
    let mut flows = Records::default();
    records.iter().for_each(|record| flows.push_bytes(record));
    said.flows = flows.count;
    let mut first = Records::default();
    first.push(&said);
    super::write::seal(FORMAT, &[&first.bytes, &flows.bytes])
}
