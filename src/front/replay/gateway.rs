//! One gateway in one capture: the engine, and around it the parts that a kernel and TCP play.
//!
//! Chooses what would have been queued, keeps the time, carries verdicts out on frames, has lost
//! packets sent again. Judges nothing.

use std::borrow::Cow;
use std::ops::Range;

use crate::engine::{Arrival, Checksum, Effects, Engine, Handling, Path, Verdict, What};
use crate::flow::FlowKey;
use crate::front::capture::{LinkType, Packet, Shape, link};
use crate::time::Instant;

use super::repeat::{Kept, Repeats, Sequel};
use super::step::{Bystander, Fate, Step};
use super::summary::Summary;
use super::traffic::{Mail, Traffic, finish_header};

/// The engine as the network sees it; the tests have one that says what they want to hear.
pub(super) trait Judge {
    fn handle(&self, now: Instant, arrival: &Arrival<'_>, effects: &mut Effects) -> Verdict;
    fn expire(&self, now: Instant, effects: &mut Effects);
}

impl Judge for Engine {
    fn handle(&self, now: Instant, arrival: &Arrival<'_>, effects: &mut Effects) -> Verdict {
        Self::handle(self, now, arrival, effects)
    }

    fn expire(&self, now: Instant, effects: &mut Effects) {
        Self::expire(self, now, effects);
    }
}

/// The engine with the network around it.
#[derive(Debug)]
pub(super) struct Gateway<J> {
    engine: J,
    ports: Vec<u16>,
    tolerate_checksums: bool,
    now: Instant,
    effects: Effects,
    repeats: Repeats,
    summary: Summary,
}

/// A captured IP packet and where it came from.
struct Captured<'a> {
    frame: &'a [u8],
    range: &'a Range<usize>,
    link: LinkType,
    /// The record to write like; its time is the present one.
    shape: Shape,
    checksum: Checksum,
    is_truncated: bool,
}

impl<J> Gateway<J> {
    pub(super) fn new(engine: J, ports: Vec<u16>, tolerate_checksums: bool) -> Self {
        Self {
            engine,
            ports,
            tolerate_checksums,
            now: Instant::default(),
            effects: Effects::default(),
            repeats: Repeats::default(),
            summary: Summary::default(),
        }
    }

    pub(super) const fn summary(&self) -> &Summary {
        &self.summary
    }

    /// What is kept cannot be written into another section of a capture.
    pub(super) fn begin_section(&mut self) {
        self.repeats.clear();
    }

    pub(super) const fn judge(&self) -> &J {
        &self.engine
    }
}

impl<J: Judge> Gateway<J> {
    pub(super) fn receive(&mut self, packet: &Packet<'_>, step: &mut Step) {
        self.summary.packets += 1;
        let Some(located) = link::locate(packet.link, packet.frame) else {
            self.summary.not_ip += 1;
            if !link::is_known(packet.link) {
                self.summary.foreign_links.insert(packet.link);
            }
            return self.pass(packet, Bystander::NotIp, step);
        };
        let bytes = packet.frame.get(located.range.clone()).unwrap_or_default();
        let mail = match Traffic::of(bytes, &self.ports, located.is_whole) {
            Traffic::Mail(mail) => Some(mail),
            Traffic::Unreadable => None,
            Traffic::Other => {
                self.summary.not_smtp += 1;
                return self.pass(packet, Bystander::NotSmtp, step);
            }
        };
        let place = mail.as_ref().and_then(|mail| Some((&mail.key, mail.segment.as_ref()?)));
        let is_unfinished = mail.as_ref().is_some_and(|mail| mail.is_unfinished);
        let is_partial = place.is_some_and(|(_, segment)| segment.is_unfinished());
        let is_tolerated = is_partial && self.tolerate_checksums;
        let is_short = u32::try_from(packet.frame.len()).is_ok_and(|n| n < packet.original_length);
        let frame = match place {
            Some((key, segment)) => {
                self.repeats.acknowledge(key, segment, packet.frame, located.range.start)
            }
            None => Cow::Borrowed(packet.frame),
        };
        let captured = Captured {
            frame: &frame,
            range: &located.range,
            link: packet.link,
            shape: packet.shape,
            checksum: if is_tolerated { Checksum::Unfinished } else { Checksum::Complete },
            // Padding that was not captured is no loss.
            is_truncated: is_short && !located.is_whole,
        };
        self.advance(packet.micros, &captured, step);
        let verdict = self.handle(&captured);
        self.count(verdict, captured.is_truncated, is_unfinished);
        let fate = match self.effects.handling {
            Handling::HandedOver => Fate::HandedOver,
            Handling::Unchanged | Handling::TakenBack => Fate::Judged(verdict),
        };
        step.fates.push((self.summary.packets, fate));
        self.send(packet, &captured, verdict, step);
        let sequel = Sequel::of(verdict, &self.effects);
        let has_ended = self.absorb(&captured, step);
        if let (Some(mail), false) = (mail, has_ended) {
            self.follow(mail, sequel, &captured, step);
        }
    }

    /// Writes what of a packet goes on.
    fn send(
        &self,
        packet: &Packet<'_>,
        captured: &Captured<'_>,
        verdict: Verdict,
        step: &mut Step,
    ) {
        match verdict {
            Verdict::Accept if captured.frame == packet.frame => {
                step.written.extend_from_slice(packet.record);
            }
            Verdict::Accept => {
                packet.write_with(captured.frame, &mut step.written);
            }
            Verdict::Rewrite => {
                let mut frame = Vec::with_capacity(packet.frame.len());
                let rewritten = &self.effects.rewritten;
                link::replace(packet.frame, captured.range, rewritten, &mut frame);
                packet.write_with(&frame, &mut step.written);
            }
            Verdict::Drop(_) => {}
        }
    }

    fn pass(&mut self, packet: &Packet<'_>, bystander: Bystander, step: &mut Step) {
        self.summary.accepted += 1;
        step.fates.push((self.summary.packets, Fate::Passed(bystander)));
        step.written.extend_from_slice(packet.record);
    }

    /// Record time passes; once in a second of it, the engine forgets.
    fn advance(&mut self, micros: Option<u64>, captured: &Captured<'_>, step: &mut Step) {
        let at = Instant::from_micros(micros.unwrap_or(0)).max(self.now);
        let is_new_second = at.seconds() > self.now.seconds();
        self.now = at;
        if is_new_second {
            self.engine.expire(at, &mut self.effects);
            self.absorb(captured, step);
        }
    }

    fn handle(&mut self, captured: &Captured<'_>) -> Verdict {
        let packet = captured.frame.get(captured.range.clone()).unwrap_or_default();
        // The engine has no word for a header that a card would have finished; it gets it finished.
        let finished = if self.tolerate_checksums { finish_header(packet) } else { None };
        let arrival = Arrival {
            bytes: finished.as_deref().unwrap_or(packet),
            checksum: captured.checksum,
            // No kernel will cut what is written to a file.
            is_super_packet: false,
            is_truncated: captured.is_truncated,
            path: Path::default(),
        };
        self.engine.handle(self.now, &arrival, &mut self.effects)
    }

    fn count(&mut self, verdict: Verdict, is_truncated: bool, is_unfinished: bool) {
        let summary = &mut self.summary;
        summary.truncated += u64::from(is_truncated);
        match verdict {
            Verdict::Accept => summary.accepted += 1,
            Verdict::Rewrite => summary.rewritten += 1,
            Verdict::Drop(reason) => {
                *summary.drops.entry(reason).or_default() += 1;
                summary.unfinished += u64::from(is_unfinished && !self.tolerate_checksums);
            }
        }
    }

    /// Carries out what the engine answered besides a verdict; true if a flow ended.
    fn absorb(&mut self, cause: &Captured<'_>, step: &mut Step) -> bool {
        for reset in self.effects.resets.drain(..) {
            let mut frame = Vec::with_capacity(cause.frame.len());
            link::originate(cause.link, cause.frame, cause.range, &reset, &mut frame);
            write(cause.shape, &frame, step);
            step.resets.push(reset);
        }
        step.records.append(&mut self.effects.records);
        let has_ended = !self.effects.ended.is_empty();
        for key in self.effects.ended.drain(..) {
            self.repeats.take(&key);
        }
        has_ended
    }

    /// TCP's part: what was kept is sent again behind a packet that arrived, and what its sender
    /// will repeat is kept.
    fn follow(&mut self, mail: Mail, sequel: Sequel, captured: &Captured<'_>, step: &mut Step) {
        let key = mail.key;
        let passed = match sequel {
            Sequel::Refused => return,
            Sequel::Arrived => return self.repeat(key, captured.shape, step),
            Sequel::Cut(passed) => {
                self.repeat(key, captured.shape, step);
                passed
            }
            Sequel::Lost => 0,
        };
        self.summary.stalled += 1;
        let kept = Kept {
            number: self.summary.packets,
            frame: captured.frame.to_vec(),
            range: captured.range.clone(),
            link: captured.link,
            shape: captured.shape,
            checksum: captured.checksum,
            segment: mail.segment,
            passed,
        };
        self.repeats.keep(key, kept);
    }

    /// Sends again what waits for a flow, until nothing more gets through.
    fn repeat(&mut self, key: FlowKey, present: Shape, step: &mut Step) {
        let mut waiting = self.repeats.take(&key);
        let mut has_moved = !waiting.is_empty();
        while has_moved {
            has_moved = false;
            let mut still = Vec::new();
            for mut kept in waiting {
                let (sequel, has_ended) = self.resend(&kept, present, step);
                if has_ended {
                    return;
                }
                match sequel {
                    Sequel::Arrived | Sequel::Refused => {
                        has_moved = true;
                        continue;
                    }
                    Sequel::Cut(passed) if passed > kept.passed => {
                        has_moved = true;
                        kept.passed = passed;
                    }
                    Sequel::Cut(_) | Sequel::Lost => {}
                }
                still.push(kept);
            }
            waiting = still;
        }
        for kept in waiting {
            self.repeats.keep(key, kept);
        }
    }

    /// Offers a kept packet to the engine again. If no more of it passes than before, nobody
    /// shall see that it was tried: neither the log nor the capture of what went on.
    fn resend(&mut self, kept: &Kept, present: Shape, step: &mut Step) -> (Sequel, bool) {
        let captured = Captured {
            frame: &kept.frame,
            range: &kept.range,
            link: kept.link,
            shape: kept.shape.at(present, self.now.micros()),
            checksum: kept.checksum,
            is_truncated: false,
        };
        let verdict = self.handle(&captured);
        let sequel = Sequel::of(verdict, &self.effects);
        let is_in_vain = match sequel {
            Sequel::Lost => true,
            Sequel::Cut(passed) => passed <= kept.passed,
            Sequel::Arrived | Sequel::Refused => false,
        };
        if is_in_vain {
            self.effects.records.retain(|record| !is_refusal(&record.what));
        } else {
            step.fates.push((kept.number, Fate::Repeated(verdict)));
            match verdict {
                Verdict::Accept => write(captured.shape, &kept.frame, step),
                Verdict::Rewrite => {
                    let mut frame = Vec::with_capacity(kept.frame.len());
                    let packet = &self.effects.rewritten;
                    link::replace(&kept.frame, &kept.range, packet, &mut frame);
                    write(captured.shape, &frame, step);
                }
                Verdict::Drop(_) => {}
            }
        }
        if sequel == Sequel::Arrived {
            self.summary.stalled = self.summary.stalled.saturating_sub(1);
            self.summary.repeated += 1;
        }
        (sequel, self.absorb(&captured, step))
    }
}

/// Writes a frame that the capture did not hold in this place.
fn write(shape: Shape, frame: &[u8], step: &mut Step) {
    let length = u32::try_from(frame.len()).unwrap_or(u32::MAX);
    shape.write(frame, length, &[], &mut step.written);
}

/// Whether an entry only says that a packet may not pass yet.
const fn is_refusal(what: &What) -> bool {
    matches!(what, What::Dropped { .. } | What::Cut { .. })
}
