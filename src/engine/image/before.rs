//! What images of the formats before say once for all, made what is said now.
//!
//! They did not say by which patches their flows were read: by others than today's, perhaps.

use serde::Deserialize;

use super::super::Mode;
use super::super::journal::Chatter;
use super::{Preamble, TermsState};

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
