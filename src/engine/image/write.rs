//! Writing an image.

use std::collections::HashMap;
use std::sync::Arc;

use serde::Serialize;

use super::super::Engine;
use super::super::conversation::Conversation;
use super::super::policy::Terms;
use super::counts::Counts;
use super::{COMPLETE, FORMAT, FlowState, HEAD, MAGIC, Preamble, TermsState, hash};
use crate::flow::{Flow, FlowId};
use crate::time::Instant;

/// Records one after the other.
#[derive(Default)]
pub(super) struct Records {
    pub(super) bytes: Vec<u8>,
    pub(super) count: u32,
}

/// The terms that flows are judged by, each once.
#[derive(Default)]
struct TermsTable {
    places: HashMap<*const Terms, u32>,
    states: Vec<TermsState>,
}

impl Engine {
    /// An image of all that is known now; `clock` is what the front says of its own clock. To be
    /// taken while nobody handles packets: each flow is as it stands when it is written.
    #[must_use]
    pub fn image(&self, now: Instant, clock: u64) -> Vec<u8> {
        let (mut handshakes, mut flows) = (Records::default(), Records::default());
        let mut terms = TermsTable::default();
        self.handshakes.for_each(|record| handshakes.push(record));
        self.flows.for_each(|flow| {
            if let Some(conversation) = flow.lock_if_present() {
                flows.push_flow(flow, &conversation, terms.place(&conversation.terms));
            }
        });
        let mut known = Records::default();
        known.push(&Counts::of(self.stats()));
        known.push(&self.servers.entries());
        known.push(&self.handshakes.evicted());
        let mut preamble = preamble((now, clock, self.seed), self.flows.last_id(), terms.states);
        (preamble.handshakes, preamble.flows) = (handshakes.count, flows.count);
        let mut first = Records::default();
        first.push(&preamble);
        seal(FORMAT, &[&first.bytes, &handshakes.bytes, &flows.bytes, &known.bytes])
    }
}

impl Records {
    /// One more that is written already.
    pub(super) fn push_bytes(&mut self, record: &[u8]) {
        self.bytes.extend(u32::try_from(record.len()).unwrap_or(u32::MAX).to_le_bytes());
        self.bytes.extend_from_slice(record);
        self.count += 1;
    }

    /// One more.
    pub(super) fn push<T: Serialize>(&mut self, record: &T) {
        let start = self.bytes.len();
        self.bytes.extend([0; 4]);
        let bytes = std::mem::take(&mut self.bytes);
        // No type of ours refuses to be written, and memory that runs out ends the program.
        self.bytes = postcard::to_extend(record, bytes).unwrap_or_default();
        let length = u32::try_from(self.bytes.len() - start - 4).unwrap_or(u32::MAX);
        if let Some(place) = self.bytes.get_mut(start..start + 4) {
            place.copy_from_slice(&length.to_le_bytes());
        }
        self.count += 1;
    }

    fn push_flow(&mut self, flow: &Flow<Conversation>, conversation: &Conversation, terms: u32) {
        self.push(&FlowState {
            id: flow.id(),
            ends: flow.ends(),
            since: flow.since(),
            seen: flow.seen(),
            presence: conversation.presence,
            terms,
            conversation: conversation.shape(),
        });
    }
}

impl TermsTable {
    fn place(&mut self, terms: &Arc<Terms>) -> u32 {
        let next = u32::try_from(self.states.len()).unwrap_or(u32::MAX);
        *self.places.entry(Arc::as_ptr(terms)).or_insert_with(|| {
            self.states.push(TermsState::of(terms));
            next
        })
    }
}

/// What is said first, without any record behind it.
pub(super) fn preamble(
    (now, clock, seed): (Instant, u64, u64),
    last_flow: FlowId,
    terms: Vec<TermsState>,
) -> Preamble {
    let program = env!("CARGO_PKG_VERSION").to_owned();
    Preamble { program, now, clock, seed, last_flow, terms, handshakes: 0, flows: 0 }
}

/// The whole, in a format.
pub(super) fn seal(format: u32, parts: &[&[u8]]) -> Vec<u8> {
    let length: usize = parts.iter().map(|part| part.len()).sum();
    let mut image = Vec::with_capacity(HEAD + length + 64);
    image.extend(MAGIC);
    image.extend(format.to_le_bytes());
    image.extend((length as u64).to_le_bytes());
    parts.iter().for_each(|part| image.extend_from_slice(part));
    let hash = hash(&image);
    image.extend(hash);
    image.extend(COMPLETE);
    image
}
