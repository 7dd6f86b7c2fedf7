//! What a receiver has offered to take, as its own segments say (RFC 9293 3.8.6, RFC 7323 2).
//!
//! Every ACK on its way to the sender passes here, so the right edge known here is never behind the
//! sender's: nobody who follows the rules sends beyond it, and nothing beyond it needs memory.

use serde::{Deserialize, Serialize};

use crate::offset::Offset;
use crate::wire::{SCALE_MAX, WINDOW_MAX};

/// One receiver's window.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Window {
    /// The first offset that was never offered.
    edge: Offset,
    /// The largest window so far: MAX.SND.WND of RFC 5961 5.2.
    largest: u32,
    scale: u8,
}

impl Window {
    /// The window that a SYN or SYN/ACK offers, which is never scaled, and the shift count of those
    /// that follow: 0 unless both ends sent the option.
    #[must_use]
    pub fn new(first: u16, scale: u8) -> Self {
        let largest = u32::from(first);
        Self { edge: Offset::new(u64::from(first)), largest, scale: scale.min(SCALE_MAX) }
    }

    /// A window without an edge, for streams whose beginning nobody vouches for.
    #[must_use]
    pub const fn unknown() -> Self {
        Self { edge: Offset::new(u64::MAX), largest: WINDOW_MAX, scale: 0 }
    }

    /// The receiver acknowledges everything below `ack` and offers this much more. An edge that
    /// moves back is ignored: its sender may not have heard of it.
    pub fn offer(&mut self, ack: Offset, window: u16) {
        let size = self.size(window);
        self.largest = self.largest.max(size);
        self.edge = self.edge.max(ack.after(size.into()));
    }

    /// The bytes that the field of a header means.
    #[must_use]
    pub fn size(&self, window: u16) -> u32 {
        u32::from(window) << self.scale
    }

    /// The first offset that may not be taken. One byte more than was offered: a probe of a closed
    /// window carries one (RFC 9293 3.8.6.1), and only if it arrives does its answer come.
    #[must_use]
    pub const fn end(&self) -> Offset {
        self.edge.after(1)
    }

    /// How far an ACK may lie behind the newest one (RFC 5961 5.2).
    #[must_use]
    pub const fn largest(&self) -> u32 {
        self.largest
    }
}
