//! A captured IP packet where it stands, and the records that are written for it.

use std::ops::Range;

use crate::engine::Verdict;
use crate::front::capture::{LinkType, Packet, Shape, link};

use super::step::Step;

/// A captured IP packet and where it came from.
pub(super) struct Captured<'a> {
    pub(super) frame: &'a [u8],
    pub(super) range: &'a Range<usize>,
    pub(super) link: LinkType,
    /// The record to write like; its time is the present one. None if it cannot be written.
    pub(super) shape: Option<Shape>,
    pub(super) is_truncated: bool,
    /// Whether it comes as a record of the capture, and not because of another.
    pub(super) is_first: bool,
    /// What the engine gets to read, where that differs.
    pub(super) judged: Option<Vec<u8>>,
}

impl Captured<'_> {
    /// The IP packet that the engine gets to read.
    pub(super) fn read(&self) -> &[u8] {
        let packet = || self.frame.get(self.range.clone()).unwrap_or_default();
        self.judged.as_deref().unwrap_or_else(packet)
    }

    /// Writes what of it goes on, in the place of its own record; `rewritten` is the IP packet that
    /// replaces it.
    pub(super) fn send(
        &self,
        packet: &Packet<'_>,
        verdict: Verdict,
        rewritten: &[u8],
        step: &mut Step,
    ) {
        let is_same = std::ptr::eq(self.frame, packet.frame);
        match verdict {
            Verdict::Accept if is_same || self.frame == packet.frame => {
                step.written.extend_from_slice(packet.record);
            }
            Verdict::Accept => {
                packet.write_with(self.frame, &mut step.written);
            }
            Verdict::Rewrite => {
                let mut frame = Vec::with_capacity(packet.frame.len());
                link::replace(self.frame, self.range, rewritten, &mut frame);
                packet.write_with(&frame, &mut step.written);
            }
            Verdict::Drop(_) => {}
        }
    }

    /// The same where the capture held no record.
    pub(super) fn send_again(&self, verdict: Verdict, rewritten: &[u8], step: &mut Step) {
        match verdict {
            Verdict::Accept => write(self.shape, self.frame, step),
            Verdict::Rewrite => {
                let mut frame = Vec::with_capacity(self.frame.len());
                link::replace(self.frame, self.range, rewritten, &mut frame);
                write(self.shape, &frame, step);
            }
            Verdict::Drop(_) => {}
        }
    }

    /// Writes an IP packet that is sent because of this one.
    pub(super) fn originate(&self, packet: &[u8], step: &mut Step) {
        let mut frame = Vec::with_capacity(self.frame.len());
        link::originate(self.link, self.frame, self.range, packet, &mut frame);
        write(self.shape, &frame, step);
    }
}

/// Writes a frame that the capture did not hold in this place.
fn write(shape: Option<Shape>, frame: &[u8], step: &mut Step) {
    let length = u32::try_from(frame.len()).unwrap_or(u32::MAX);
    if let Some(shape) = shape {
        shape.write(frame, length, &[], &mut step.written);
    }
}
