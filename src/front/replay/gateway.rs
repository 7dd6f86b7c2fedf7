//! One gateway in one capture: the engine, and around it the parts that a kernel and TCP play.
//!
//! Chooses what would have been queued, keeps the time, carries verdicts out on frames, has lost
//! packets sent again. Judges nothing.

use std::borrow::Cow;
use std::ops::Range;

use smoltcp::wire::TcpSeqNumber;

use super::repeat::{Kept, Repeats, Segment, Sequel, Stuck};
use crate::engine::{Arrival, Effects, Engine, Handling, Path, Verdict, What};
use crate::flow::FlowKey;
use crate::front::capture::{Packet, link, write_section};
use crate::time::Instant;
use crate::wire::Checksum;

use super::apart::Part;
use super::captured::Captured;
use super::clock::Clock;
use super::flows::Flows;
use super::offload::{self, Checksums, Sums};
use super::ports::Ports;
use super::step::{Bystander, Fate, Left, Step};
use super::summary::Summary;
use super::traffic::{Mail, Traffic};

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
    checksums: Checksums,
    /// Every packet goes on as it came.
    is_monitored: bool,
    clock: Clock,
    effects: Effects,
    repeats: Repeats,
    flows: Flows,
    others: Ports,
    summary: Summary,
}

impl<J> Gateway<J> {
    pub(super) fn new(
        engine: J,
        ports: Vec<u16>,
        checksums: Checksums,
        is_monitored: bool,
    ) -> Self {
        Self {
            engine,
            ports,
            checksums,
            is_monitored,
            clock: Clock::default(),
            effects: Effects::default(),
            repeats: Repeats::default(),
            flows: Flows::default(),
            others: Ports::default(),
            summary: Summary::default(),
        }
    }

    pub(super) fn summary(&self) -> Summary {
        let mut summary = self.summary.clone();
        self.flows.sum_up(&mut summary);
        self.clock.sum_up(&mut summary);
        (summary.checksums, summary.is_monitored) = (self.checksums, self.is_monitored);
        summary.other_ports.clone_from(self.others.found());
        summary.ports.clone_from(&self.ports);
        summary
    }

    /// Another section of the capture begins, and no flow ends for it.
    pub(super) fn begin_section(&mut self, header: &[u8], step: &mut Step) {
        self.repeats.begin_section();
        if self.is_monitored {
            step.written.extend_from_slice(header);
        } else {
            write_section(header, &mut step.written);
        }
    }

    pub(super) const fn judge(&self) -> &J {
        &self.engine
    }
}

impl<J: Judge> Gateway<J> {
    pub(super) fn receive(&mut self, packet: &Packet<'_>, step: &mut Step) {
        self.summary.packets += 1;
        let Packet { link, frame, original_length, .. } = *packet;
        let Some(located) = link::locate_cut(link, frame, original_length) else {
            if !link::is_known(link) {
                self.summary.foreign_links.insert(link);
            }
            self.summary.foreign_types.extend(link::unread_type(link, frame, original_length));
            return self.pass(packet, Bystander::NotIp, step);
        };
        let is_short = u32::try_from(packet.frame.len()).is_ok_and(|n| n < packet.original_length);
        // Padding that was not captured is no loss.
        let is_truncated = is_short && !(located.is_whole && located.is_stated);
        let is_whole = located.is_whole && !is_truncated;
        let stated = (is_whole && !located.is_stated)
            .then(|| offload::state_length(packet.frame, &located.range))
            .flatten();
        let frame = stated.as_deref().unwrap_or(packet.frame);
        let bytes = frame.get(located.range.clone()).unwrap_or_default();
        let mail = match Traffic::of(bytes, &self.ports, is_whole) {
            Traffic::Mail(mail) => Some(mail),
            Traffic::Unreadable => None,
            Traffic::Foreign(segment) => {
                self.others.note(&segment);
                return self.pass(packet, Bystander::NotSmtp, step);
            }
            Traffic::Fragment => return self.pass(packet, Bystander::Fragment, step),
            Traffic::Tunnel(protocol) => {
                *self.summary.tunnels.entry(protocol).or_default() += 1;
                return self.pass(packet, Bystander::NotSmtp, step);
            }
            Traffic::Other => return self.pass(packet, Bystander::NotSmtp, step),
        };
        self.summary.fragments += u64::from(mail.as_ref().is_some_and(|mail| mail.is_fragment));
        let sums = mail.as_ref().map_or(Sums::Right, |mail| mail.sums);
        let mut part = Part { frame: Cow::Borrowed(frame), range: located.range, mail };
        let (mut is_first, mut gravest) = (true, Verdict::Accept);
        loop {
            let is_early = is_whole && self.is_early(part.mail.as_ref());
            let behind = if is_early { part.split(&self.ports) } else { None };
            let (frame, judged) = self.prepare(&part.frame, &part.range, part.mail.as_ref());
            let captured = Captured {
                frame: &frame,
                range: &part.range,
                link: packet.link,
                shape: Some(packet.shape),
                is_truncated,
                is_first,
                judged,
            };
            let verdict = self.judge_first(packet, part.mail, &captured, step);
            gravest = graver(gravest, verdict);
            let Some(next) = behind else { break };
            (part, is_first) = (next, false);
        }
        self.count(gravest, is_truncated, sums);
    }

    /// Whether it may hold replies to what has not arrived.
    fn is_early(&self, mail: Option<&Mail>) -> bool {
        let Some(Mail { key, segment: Some(segment), sums, .. }) = mail else { return false };
        let is_right = *sums == Sums::Right || self.checksums != Checksums::Verify;
        is_right && segment.is_data() && self.repeats.lacking_for(key, segment).is_some()
    }

    /// What of a frame goes on if nothing changes it, and what of it the engine reads, if that is
    /// something else: acknowledging no more than arrived, with checksums as they are wanted.
    fn prepare<'a>(
        &mut self,
        frame: &'a [u8],
        range: &Range<usize>,
        mail: Option<&Mail>,
    ) -> (Cow<'a, [u8]>, Option<Vec<u8>>) {
        let Some((mail, segment)) = mail.and_then(|mail| Some((mail, mail.segment.as_ref()?)))
        else {
            return (Cow::Borrowed(frame), None);
        };
        let ahead = self.flows.note(mail, &self.ports);
        let mut frame = self.repeats.acknowledge(&mail.key, segment, frame, range.start);
        let mended = match self.checksums {
            Checksums::Verify => None,
            Checksums::Mend | Checksums::Ignore => offload::mend(&frame, range),
        };
        let mut judged = None;
        match mended {
            Some(mended) if self.checksums == Checksums::Mend => frame = Cow::Owned(mended),
            mended => judged = mended,
        }
        if let Some(to) = ahead {
            let shown = segment.lowered(judged.as_deref().unwrap_or(&frame), range.start, to);
            let is_right = self.checksums == Checksums::Verify;
            let mended = if is_right { None } else { offload::mend(&shown, range) };
            judged = Some(mended.unwrap_or(shown));
        }
        let judged = judged.map(|judged| judged.get(range.clone()).unwrap_or_default().to_vec());
        (frame, judged)
    }

    /// Judges a packet when it first comes, or what it says behind its first reply, and lets the
    /// network do with it what follows.
    fn judge_first(
        &mut self,
        packet: &Packet<'_>,
        mail: Option<Mail>,
        captured: &Captured<'_>,
        step: &mut Step,
    ) -> Verdict {
        self.advance(packet.micros, captured, step);
        let verdict = self.handle(captured);
        let sums = mail.as_ref().map_or(Sums::Right, |mail| mail.sums);
        let fate = match self.effects.handling {
            Handling::HandedOver => Fate::HandedOver,
            Handling::Unchanged | Handling::TakenBack if !captured.is_first => {
                Fate::Repeated(verdict)
            }
            Handling::Unchanged | Handling::TakenBack => Fate::Judged(verdict),
        };
        step.fates.push((self.summary.packets, fate));
        if let Some(Mail { key, segment, .. }) = &mail {
            let is_right = sums == Sums::Right || self.checksums != Checksums::Verify;
            self.mark(key, segment.as_ref(), is_right && !captured.is_truncated);
            step.left.extend(self.left(key, segment.as_ref(), verdict));
        }
        if self.is_monitored && verdict == Verdict::Accept {
            step.written.extend_from_slice(packet.record);
        } else {
            captured.send(packet, verdict, &self.effects.rewritten, step);
        }
        let sequel = Sequel::of(verdict, &self.effects);
        let has_ended = self.absorb(captured, step);
        if let (Some(mail), false) = (mail, has_ended) {
            self.follow(mail, sequel, captured, step);
        }
        verdict
    }

    /// Marks in the log where bytes were skipped, for a packet that could be read or not.
    fn mark(&mut self, key: &FlowKey, segment: Option<&Segment>, is_readable: bool) {
        let segment = (segment, is_readable);
        self.flows.judged(key, segment, self.clock.now(), &mut self.effects);
    }

    /// What of a segment goes on.
    fn left(&self, key: &FlowKey, segment: Option<&Segment>, verdict: Verdict) -> Option<Left> {
        let segment = segment.filter(|_| !matches!(verdict, Verdict::Drop(_)))?;
        let number = |number: TcpSeqNumber| number.0.cast_unsigned();
        Some(Left {
            key: *key,
            source: segment.source,
            sequence: number(segment.sequence),
            acknowledged: segment.acknowledged.map(number),
            is_syn: segment.is_syn,
            length: self.effects.withheld.map_or(segment.length, |withheld| withheld.passed),
        })
    }

    fn pass(&mut self, packet: &Packet<'_>, bystander: Bystander, step: &mut Step) {
        self.summary.accepted += 1;
        match bystander {
            Bystander::NotIp => self.summary.not_ip += 1,
            Bystander::NotSmtp => self.summary.not_smtp += 1,
            Bystander::Fragment => self.summary.fragments += 1,
        }
        step.fates.push((self.summary.packets, Fate::Passed(bystander)));
        step.written.extend_from_slice(packet.record);
    }

    /// Record time passes; once in a second of it, the engine forgets.
    fn advance(&mut self, micros: Option<u64>, captured: &Captured<'_>, step: &mut Step) {
        if self.clock.advance(micros) {
            self.engine.expire(self.clock.now(), &mut self.effects);
            self.absorb(captured, step);
        }
    }

    fn handle(&mut self, captured: &Captured<'_>) -> Verdict {
        let arrival = Arrival {
            bytes: captured.read(),
            checksum: Checksum::Complete,
            // No kernel will cut what is written to a file.
            is_super_packet: false,
            is_truncated: captured.is_truncated,
            path: Path::default(),
        };
        self.engine.handle(self.clock.now(), &arrival, &mut self.effects)
    }

    fn count(&mut self, verdict: Verdict, is_truncated: bool, sums: Sums) {
        let summary = &mut self.summary;
        summary.mail += 1;
        summary.truncated += u64::from(is_truncated);
        summary.wrong_sums += u64::from(sums != Sums::Right);
        summary.unfinished += u64::from(sums == Sums::Unfinished);
        match verdict {
            Verdict::Accept => summary.accepted += 1,
            Verdict::Rewrite => summary.rewritten += 1,
            Verdict::Drop(reason) => {
                *summary.drops.entry(reason).or_default() += 1;
            }
        }
    }

    /// Carries out what the engine answered besides a verdict; true if a flow ended.
    fn absorb(&mut self, cause: &Captured<'_>, step: &mut Step) -> bool {
        for reset in self.effects.resets.drain(..) {
            cause.originate(&reset, step);
            step.resets.push(reset);
        }
        step.records.append(&mut self.effects.records);
        let has_ended = !self.effects.ended.is_empty();
        for key in self.effects.ended.drain(..) {
            self.repeats.end(&key);
        }
        has_ended
    }

    /// TCP's part: what was kept is sent again behind a packet that arrived, and what its sender
    /// will repeat is kept.
    fn follow(&mut self, mail: Mail, sequel: Sequel, captured: &Captured<'_>, step: &mut Step) {
        let passed = match sequel {
            Sequel::Refused => return,
            Sequel::Arrived => return self.repeat(&mail, captured, step),
            Sequel::Cut(passed, _) => {
                self.repeat(&mail, captured, step);
                passed
            }
            Sequel::Lost(_) => 0,
        };
        self.summary.stalled += 1;
        let kept = Kept {
            number: self.summary.packets,
            frame: captured.frame.to_vec(),
            range: captured.range.clone(),
            link: captured.link,
            shape: captured.shape,
            segment: mail.segment,
            passed,
        };
        self.repeats.keep(mail.key, kept);
    }

    /// Sends again what waits for a flow behind a packet that moved something of it, until nothing
    /// more gets through. What waits for the reply that another waits for is not judged: that may
    /// be a sender's whole window, and any number of packets may arrive meanwhile.
    fn repeat(&mut self, mail: &Mail, arrived: &Captured<'_>, step: &mut Step) {
        let Some(segment) = &mail.segment else { return };
        let key = mail.key;
        let mut waiting = self.repeats.take_behind(&key, segment, arrived.read());
        let mut has_moved = !waiting.is_empty();
        while has_moved {
            has_moved = false;
            let (mut still, mut stuck) = (Vec::new(), Stuck::default());
            for mut kept in waiting {
                if stuck.holds(&kept) {
                    still.push(kept);
                    continue;
                }
                let (sequel, has_ended) = self.resend(&key, &kept, arrived, step);
                if has_ended {
                    return;
                }
                let reason = match sequel {
                    Sequel::Arrived | Sequel::Refused => {
                        has_moved = true;
                        stuck.clear();
                        continue;
                    }
                    Sequel::Cut(passed, reason) if passed > kept.passed => {
                        has_moved = true;
                        stuck.clear();
                        kept.passed = passed;
                        reason
                    }
                    Sequel::Cut(_, reason) | Sequel::Lost(reason) => reason,
                };
                stuck.note(&kept, reason);
                still.push(kept);
            }
            waiting = still;
        }
        for kept in waiting {
            self.repeats.keep(key, kept);
        }
        self.repeats.settle(&key);
    }

    /// Offers a kept packet to the engine again. If no more of it passes than before, nobody
    /// shall see that it was tried: neither the log nor the capture of what went on.
    fn resend(
        &mut self,
        key: &FlowKey,
        kept: &Kept,
        arrived: &Captured<'_>,
        step: &mut Step,
    ) -> (Sequel, bool) {
        let judged = match self.checksums {
            Checksums::Ignore => offload::mend(&kept.frame, &kept.range),
            Checksums::Verify | Checksums::Mend => None,
        };
        let judged = judged.as_deref().and_then(|frame| frame.get(kept.range.clone()));
        let now = self.clock.now().micros();
        // In another section, only a record of that can be written like.
        let shape = arrived.shape.and_then(|present| match kept.shape {
            Some(shape) => Some(shape.at(present, now)),
            None => (kept.link == arrived.link).then_some(present),
        });
        let captured = Captured {
            frame: &kept.frame,
            range: &kept.range,
            link: kept.link,
            shape,
            is_truncated: false,
            is_first: false,
            judged: judged.map(<[u8]>::to_vec),
        };
        let verdict = self.handle(&captured);
        let sequel = Sequel::of(verdict, &self.effects);
        let is_in_vain = match sequel {
            Sequel::Lost(_) => true,
            Sequel::Cut(passed, _) => passed <= kept.passed,
            Sequel::Arrived | Sequel::Refused => false,
        };
        if is_in_vain {
            self.effects.records.retain(|record| !is_refusal(&record.what));
        } else {
            step.fates.push((kept.number, Fate::Repeated(verdict)));
            step.left.extend(self.left(key, kept.segment.as_ref(), verdict));
            captured.send_again(verdict, &self.effects.rewritten, step);
        }
        self.mark(key, kept.segment.as_ref(), true);
        if sequel == Sequel::Arrived {
            self.summary.stalled = self.summary.stalled.saturating_sub(1);
            self.summary.repeated += 1;
        }
        (sequel, self.absorb(&captured, step))
    }
}

/// Of two verdicts on one packet the one that changes more.
const fn graver(one: Verdict, other: Verdict) -> Verdict {
    match (one, other) {
        (Verdict::Drop(_), _) | (Verdict::Rewrite, Verdict::Accept) => one,
        _ => other,
    }
}

/// Whether an entry only says that a packet may not pass yet.
const fn is_refusal(what: &What) -> bool {
    matches!(what, What::Dropped { .. } | What::Cut { .. })
}
