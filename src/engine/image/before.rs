//! What images of the formats before say once for all, made what is said now.
//!
//! Up to format 10 they did not say by which patches their flows were read: by others than
//! today's, perhaps. Up to format 11 they did not say when a flow began, no later than it spoke,
//! nor whether a RST had passed; up to format 12 not what else tells whether a server is there.

use serde::Deserialize;

use super::super::cookie::Presence;
use super::super::journal::Chatter;
use super::{FlowState, Preamble, TermsState};
use crate::flow::{Ends, FlowId};
use crate::guard::Mode;

/// What some flows are judged by.
#[derive(Debug, Deserialize)]
pub(super) struct TermsBefore {
    settings: Vec<(String, String)>,
    mode: Mode,
    chatter: Chatter,
}

impl From<TermsBefore> for TermsState {
    fn from(before: TermsBefore) -> Self {
        let TermsBefore { settings, mode, chatter } = before;
        Self { settings, mode, chatter, catalogue: 0 }
    }
}

impl From<Preamble<TermsBefore>> for Preamble {
    fn from(before: Preamble<TermsBefore>) -> Self {
        let Preamble { program, now, clock, seed, last_flow, terms, handshakes, flows } = before;
        let terms = terms.into_iter().map(TermsState::from).collect();
        Self { program, now, clock, seed, last_flow, terms, handshakes, flows }
    }
}

/// One flow.
#[derive(Debug, Deserialize)]
pub(super) struct FlowBefore<C> {
    id: FlowId,
    ends: Ends,
    seen: u64,
    terms: u32,
    conversation: C,
}

impl<C> From<FlowBefore<C>> for FlowState<C> {
    fn from(before: FlowBefore<C>) -> Self {
        let FlowBefore { id, ends, seen, terms, conversation } = before;
        let (since, may_be_gone) = (seen, true);
        FlowWithoutPresence { id, ends, since, seen, may_be_gone, terms, conversation }.into()
    }
}

/// The same in format 12.
#[derive(Debug, Deserialize)]
pub(super) struct FlowWithoutPresence<C> {
    id: FlowId,
    ends: Ends,
    since: u64,
    seen: u64,
    may_be_gone: bool,
    terms: u32,
    conversation: C,
}

impl<C> From<FlowWithoutPresence<C>> for FlowState<C> {
    fn from(before: FlowWithoutPresence<C>) -> Self {
        let FlowWithoutPresence { id, ends, since, seen, may_be_gone, terms, conversation } =
            before;
        let presence = Presence::of_before(may_be_gone);
        Self { id, ends, since, seen, presence, terms, conversation }
    }
}
