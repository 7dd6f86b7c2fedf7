//! Bytes ahead of a gap: which may pass before what stands before them is known, and what is done
//! when the gap closes.
//!
//! They may pass only as what they are whatever the gap holds: text of a message without an end,
//! true or false, or octets inside a BDAT chunk. When the gap closes they are read; if they are
//! anything else by then (a reply may have changed the state), the flow is reset.

use std::sync::atomic::Ordering;

use super::reading::{Reading, speaker_of};
use super::{Conversation, Effects, Engine, Reason, Turn, Verdict, go_on};
use crate::flow::Direction;
use crate::smtp::{Dialogue, Expect, MailData};
use crate::tcp::Violation;

impl Engine {
    /// A payload behind a gap.
    pub(super) fn pass_early(
        &self,
        turn: &Turn<'_>,
        conversation: &mut Conversation,
        direction: Direction,
        distance: usize,
        effects: &mut Effects,
    ) -> Verdict {
        if direction == Direction::Reply && !effects.is_monitored {
            return Verdict::Drop(Violation::OutOfOrder.into());
        }
        let payload = turn.packet.payload();
        let length = distance.saturating_add(payload.len());
        // Gaps that nobody closes must not take the room that bytes in order need.
        let all = self.store_bytes.load(Ordering::Relaxed).saturating_add(length);
        let has_room = self.has_room(conversation, direction, length)
            && all <= self.limits.store_bytes_max / 2;
        let stream = &mut conversation.streams[direction];
        let bytes = stream.preview(distance, payload);
        if effects.is_monitored {
            if has_room {
                // Too many gaps to follow: the ACK that covers them leads on.
                let _ = stream.admit_early(distance, &bytes);
            }
            return Verdict::Accept;
        }
        if !is_free(&conversation.dialogue, distance, &bytes) {
            return Verdict::Drop(Violation::OutOfOrder.into());
        }
        if !has_room {
            return Verdict::Drop(Violation::StoreFull.into());
        }
        if let Err(violation) = stream.admit_early(distance, &bytes) {
            return Verdict::Drop(violation.into());
        }
        let mut editor = turn.editor(effects);
        editor.overwrite(0, &bytes);
        editor.clear_fin();
        go_on(editor)
    }

    /// The gap before early bytes may have closed: they left as message data, so they must be read
    /// as just that.
    pub(super) fn join_early(
        &self,
        turn: &Turn<'_>,
        conversation: &mut Conversation,
        direction: Direction,
        filled: usize,
        effects: &mut Effects,
    ) -> Result<(), Reason> {
        let stream = &mut conversation.streams[direction];
        if !effects.is_monitored && !stream.agrees_with_early(filled) {
            return Err(Reason::EarlyBytes);
        }
        let joined = stream.join_early(filled);
        if joined == 0 {
            return Ok(());
        }
        let end = conversation.streams[direction].judged();
        let Reading { end: read, is_edited, fatal } =
            self.read(turn, conversation, direction, end - joined as u64, effects);
        if effects.is_monitored {
            let waiting = conversation.streams[direction].take_back(read);
            self.keep_for_later(turn, conversation, direction, &waiting, effects);
            return Ok(());
        }
        if is_edited || fatal.is_some() || read != end { Err(Reason::EarlyBytes) } else { Ok(()) }
    }

    /// In monitor mode nothing is held back: bytes that would have waited are read later.
    pub(super) fn keep_for_later(
        &self,
        turn: &Turn<'_>,
        conversation: &mut Conversation,
        direction: Direction,
        waiting: &[u8],
        effects: &mut Effects,
    ) {
        if !waiting.is_empty() {
            // Behind too many gaps they are lost to us; the ACK that covers them leads on.
            let _ = conversation.streams[direction].admit_early(0, waiting);
        }
        let other = direction.other();
        if conversation.streams[other].has_early() {
            // Nothing but a reply can have ended the wait.
            let _ = self.join_early(turn, conversation, other, 0, effects);
        }
    }

    /// In monitor mode the receiver may have got what we never saw: read on behind it.
    pub(super) fn miss(
        &self,
        turn: &Turn<'_>,
        conversation: &mut Conversation,
        direction: Direction,
        effects: &mut Effects,
    ) {
        while let Some(missed) = conversation.streams[direction].skip_gap(turn.packet.ack) {
            conversation.dialogue.lose_place(speaker_of(direction));
            // Monitoring, this joins whatever it can.
            let _ = self.join_early(turn, conversation, direction, missed, effects);
        }
    }
}

/// Whether bytes so far behind a gap are message text, or octets of a chunk, whatever it holds.
fn is_free(dialogue: &Dialogue, distance: usize, bytes: &[u8]) -> bool {
    match dialogue.expect() {
        Expect::Data(_) => MailData::is_text_after_anything(bytes),
        Expect::Chunk { left } => distance.saturating_add(bytes.len()) as u64 <= u64::from(left),
        Expect::Command
        | Expect::Wait
        | Expect::Disowned(_)
        | Expect::RefusedChunk { .. }
        | Expect::Unproved
        | Expect::AuthLine
        | Expect::Tls(_) => false,
    }
}
