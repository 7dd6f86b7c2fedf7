//! A flow as an image of it. By what it is judged stands elsewhere in the image, once for all flows
//! that are judged alike.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::super::journal::{Journal, Talk};
use super::super::policy::Terms;
use super::super::tls::Known;
use super::{
    Bypass, Conversation, Deeds, Dialogue, LineFate, Memory, PerDirection, Phase, Presence,
    Records, Stream, Watch, Way, Word,
};
use crate::tcp::StreamState;

/// What an image holds of a flow, in the order of [`ConversationState`].
#[derive(Serialize)]
pub(in super::super) struct Shape<'c> {
    way: Way,
    segment_size: u16,
    phase: Phase,
    has_closed: bool,
    has_told_reset: bool,
    has_unread: bool,
    line: LineFate,
    lookalikes: u8,
    streams: &'c PerDirection<Stream>,
    dialogue: &'c Dialogue,
    watch: &'c Watch,
    records: Option<&'c Known>,
    talk: &'c Talk,
    journal: &'c PerDirection<Journal>,
}

/// A flow that was read from an image. `W` is what its format has for [`Watch`].
#[derive(Debug, Deserialize)]
pub(in super::super) struct ConversationState<W = Watch> {
    way: Way,
    segment_size: u16,
    phase: Phase,
    has_closed: bool,
    has_told_reset: bool,
    has_unread: bool,
    line: LineFate,
    lookalikes: u8,
    streams: PerDirection<StreamState>,
    dialogue: Dialogue,
    watch: W,
    records: Option<Known>,
    talk: Talk,
    journal: PerDirection<Journal>,
}

impl Conversation {
    /// What an image holds of it.
    pub(in super::super) fn shape(&self) -> Shape<'_> {
        self.shape_with(&self.journal)
    }

    /// The same with other lines under way for the log.
    pub(in super::super) fn shape_with<'c>(
        &'c self,
        journal: &'c PerDirection<Journal>,
    ) -> Shape<'c> {
        Shape {
            way: self.way,
            segment_size: self.segment_size,
            phase: self.phase,
            has_closed: self.has_closed,
            has_told_reset: self.has_told_reset,
            has_unread: self.has_unread,
            line: self.line,
            lookalikes: self.lookalikes,
            streams: &self.streams,
            dialogue: &self.dialogue,
            watch: &self.watch,
            records: self.records.as_ref().map(|records| records.known()),
            talk: &self.talk,
            journal,
        }
    }
}

impl<W: Into<Watch>> ConversationState<W> {
    /// The flow, judged by these terms and kept in this memory.
    pub(in super::super) fn restore(
        self,
        terms: &Arc<Terms>,
        presence: Presence,
        memory: &Arc<Memory>,
    ) -> Conversation {
        Conversation {
            terms: Arc::clone(terms),
            way: self.way,
            segment_size: self.segment_size,
            phase: self.phase,
            has_closed: self.has_closed,
            has_told_reset: self.has_told_reset,
            has_unread: self.has_unread,
            presence,
            line: self.line,
            lookalikes: self.lookalikes,
            bypass: Bypass::default(),
            streams: self.streams.map(|stream| stream.restore(memory)),
            dialogue: terms.guard.resume(self.dialogue),
            watch: self.watch.into(),
            // What was done to it before is for who looks, and not worth its place.
            last: Word::default(),
            deeds: Deeds::default(),
            journal: self.journal,
            records: self.records.map(|known| Records::new(known, memory)),
            talk: self.talk,
            slot: None,
        }
    }
}
