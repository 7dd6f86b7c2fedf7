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
use std::sync::Arc;

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
    /// Keeps what is said once for all flows, in place of what was kept of it before.
    fn keep_preamble(&self, preamble: &[u8]);

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
    terms: Mutex<Vec<Arc<Terms>>>,
    now: Instant,
    clock: u64,
    seed: u64,
}

/// Slots are given out lowest first, so that few flows need few pages.
#[derive(Debug, Default)]
struct Slots {
    free: BinaryHeap<Reverse<u32>>,
    used: u32,
}

/// A flow's place in the diary, which is empty again when the flow is gone.
#[derive(Debug)]
pub(in super::super) struct Slot {
    number: u32,
    is_empty: bool,
    diarist: Arc<Diarist>,
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
        if !is_ack || conversation.slot.as_ref().is_none_or(|slot| slot.is_empty) {
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
        // What the log says of a line under way is lost, and nothing else.
        let journal = PerDirection::default();
        let state = FlowState {
            id: flow.id(),
            ends: flow.ends(),
            seen: flow.seen(),
            terms: self.place(&conversation.terms),
            conversation: conversation.shape_with(&journal),
        };
        postcard::to_slice(&state, bytes).map_or(&[], |record| record)
    }

    fn place(&self, terms: &Arc<Terms>) -> u32 {
        let mut known = self.terms.lock();
        let place = known.iter().position(|one| Arc::ptr_eq(one, terms));
        let place = place.unwrap_or_else(|| {
            known.push(Arc::clone(terms));
            let states = known.iter().map(|terms| TermsState::of(terms)).collect();
            let said = preamble((self.now, self.clock, self.seed), 0, states);
            self.diary.keep_preamble(&postcard::to_allocvec(&said).unwrap_or_default());
            known.len() - 1
        });
        u32::try_from(place).unwrap_or(u32::MAX)
    }
}

impl Slot {
    fn new(diarist: &Arc<Diarist>) -> Self {
        let mut slots = diarist.slots.lock();
        let number = slots.free.pop().map_or(slots.used, |Reverse(number)| number);
        slots.used = slots.used.max(number.saturating_add(1));
        Self { number, is_empty: true, diarist: Arc::clone(diarist) }
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        if !self.is_empty {
            self.diarist.diary.keep(self.number, &[]);
        }
        self.diarist.slots.lock().free.push(Reverse(self.number));
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
