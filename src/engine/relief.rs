//! What happens when the memory for bytes in flight is full: whoever holds the most of it loses it,
//! and nobody else has to wait.

use std::sync::atomic::Ordering;

use super::conversation::Scene;
use super::{Effects, Engine, Reason};
use crate::time::Instant;

impl Engine {
    /// There was no room. The flow in hand is locked, and no two ever are at once: the next packet
    /// makes room before its own flow is looked for.
    pub(super) fn ask_for_relief(&self) {
        self.is_pressed.store(true, Ordering::Relaxed);
    }

    /// Resets the flows that hold the most, of the clients that hold the most, until an eighth of
    /// the memory is free: one look at all flows frees many packets' worth.
    pub(super) fn relieve(&self, now: Instant, effects: &mut Effects) {
        if !self.is_pressed.load(Ordering::Relaxed)
            || !self.is_pressed.swap(false, Ordering::Relaxed)
        {
            return;
        }
        let target = self.memory.bytes_max() / 8 * 7;
        let excess = self.memory.held().saturating_sub(target);
        if excess == 0 {
            return;
        }
        for flow in self.flows.heaviest(excess) {
            let Some(mut conversation) = flow.lock_if_present() else { continue };
            conversation.reset(&Scene::of(&flow, now), Reason::StorePressure, effects);
            conversation.discard();
            self.account(&flow, &conversation);
            self.write_anew(&flow, &mut conversation);
        }
    }
}
