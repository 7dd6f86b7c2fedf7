//! A flow under TLS: where its records stand, without their bodies.
//!
//! Of both streams the headers are kept, and the hellos; what lies between passes as it comes, in
//! any order. A packet waits for nothing: it is let through, kept for later reading where it lies
//! behind a header that nobody has seen (as bytes ahead of a gap), or ends the flow.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::bypass::Bypass;
use super::conversation::{Conversation, Scene};
use super::passage::Passage;
use super::reading::Reading;
use super::{Effects, Notice, Reason, TlsEvent, TlsStage, Verdict, What};
use crate::flow::{Direction, PerDirection};
use crate::guard::{Cure, Draft, Offer, Plain, Rule, TlsRuling, TlsWatch};
use crate::offset::Offset;
use crate::smtp::{self, Answers, Event, Expect, Step, Verb};
use crate::speaker::{PerSpeaker, Speaker};
use crate::tcp::{Memory, Reserved};
use crate::tls::{ClientHello, ClientOffer, Fault, Seen, ServerHello, Standing, Watch};

/// Memory that a byte may cost at most which is kept: a run of seven has sixteen.
const KEPT_COST: usize = 3;

/// A flow under TLS.
#[derive(Debug)]
pub(super) struct Records {
    known: Known,
    /// What the hello under way occupies.
    hello: Reserved,
}

/// What is known of a flow under TLS: what an image holds of it.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Known {
    watch: Watch,
    /// Behind the last hello of each side: it was received once this was acknowledged.
    hellos: PerDirection<Offset>,
    /// Whether the log has heard that it came to nothing.
    has_failed: bool,
}

impl Records {
    /// What is known, in memory that is counted.
    pub(super) fn new(known: Known, memory: &Arc<Memory>) -> Box<Self> {
        let mut hello = Reserved::new(memory);
        hello.set(known.watch.held());
        Box::new(Self { known, hello })
    }

    /// What is known.
    pub(super) const fn known(&self) -> &Known {
        &self.known
    }

    /// Bytes of memory it occupies beside what its streams keep.
    pub(super) const fn held(&self) -> usize {
        self.hello.held()
    }
}

/// Why reading stops.
enum Stop {
    /// The flow is to be reset.
    Reset(Reason),
    /// Nothing more can be read.
    Blind,
}

impl Passage<'_, '_> {
    /// The 220 to STARTTLS was read: from here on both streams are records, if they are watched.
    pub(super) fn begin_records(&mut self) {
        let is_tls = matches!(self.conversation.dialogue.expect(), Expect::Tls(_));
        let settings = self.conversation.terms.guard.settings();
        if !is_tls || settings.tls_watch == TlsWatch::Off {
            return;
        }
        self.conversation.records = Some(Records::new(Known::default(), &self.engine.memory));
        for direction in Direction::BOTH {
            self.conversation.streams[direction].frame();
        }
    }

    /// A payload that begins at or below the edge of what is known, which lies `known` bytes into
    /// it; `within` of its bytes have a place in the window.
    pub(super) fn pass_records(&mut self, known: usize, within: usize) -> Verdict {
        let (seq, payload) = (self.turn.packet.seq, self.turn.packet.payload());
        let fresh = payload.get(known..within).unwrap_or_default();
        let is_keep_alive = payload.len() == 1 && known == 1;
        let copy = payload.get(..known).unwrap_or_default();
        let stream = &self.conversation.streams[self.direction];
        let mut is_contradicted =
            known > 0 && !is_keep_alive && stream.differs_from_kept(seq, copy);
        // What is fresh and stays as it came needs no restoring.
        let restore = if stream.has_early() { usize::MAX } else { known };
        if !fresh.is_empty() {
            // At most what is left beside bytes ahead of a gap: a segment that could keep more than
            // a flow may hold would else never pass.
            let most = self.engine.limits.bytes_per_flow_max / 2;
            if !self.has_room(fresh.len().saturating_mul(KEPT_COST).min(most)) {
                return self.pass_known(known);
            }
            self.conversation.bypass = Bypass::default();
            let stream = &self.conversation.streams[self.direction];
            let overlaid = stream.overlay(0, fresh);
            is_contradicted |= overlaid.is_some();
            let read = self.read_records(overlaid.as_deref().unwrap_or(fresh));
            if let Err(stop) = read.and_then(|()| self.join_records()) {
                return self.stop(stop);
            }
        }
        if is_contradicted {
            let offset = self.conversation.streams[self.direction].offset(seq).unwrap_or_default();
            self.tell_contradiction(offset);
        }
        self.conversation.streams[self.direction].leave(seq, within);
        let verdict = self.pass_cut(within, restore, within);
        self.hand_over();
        verdict
    }

    /// A payload behind a header that is missing: it passes, and is read when that has come.
    pub(super) fn pass_records_early(&mut self, distance: usize, within: usize) -> Verdict {
        let payload = self.turn.packet.payload();
        let payload = payload.get(..within).unwrap_or(payload);
        let stream = &self.conversation.streams[self.direction];
        let overlaid = stream.overlay(distance, payload);
        if overlaid.is_some() {
            let offset = stream.judged().after(distance as u64);
            self.tell_contradiction(offset);
        }
        self.admit_early(distance, overlaid.as_deref().unwrap_or(payload))
    }

    /// Reads on where bytes were let through ahead of what stands at the edge now. Monitoring reads
    /// here what went on although it had to wait.
    pub(super) fn read_waiting_records(&mut self) {
        if let Err(stop) = self.join_records() {
            let _ = self.stop(stop);
        }
    }

    fn join_records(&mut self) -> Result<(), Stop> {
        while let Some(bytes) = self.conversation.streams[self.direction].take_early() {
            self.read_records(&bytes)?;
        }
        Ok(())
    }

    /// Reads bytes that stand at the edge.
    fn read_records(&mut self, bytes: &[u8]) -> Result<(), Stop> {
        let side = self.direction.speaker();
        let mut rest = bytes;
        while !rest.is_empty() {
            self.engine.inspect_run(rest);
            let Some(records) = &mut self.conversation.records else { return Err(Stop::Blind) };
            let stream = &mut self.conversation.streams[self.direction];
            let start = stream.judged();
            stream.keep_each(records.known.watch.read_data(side, rest));
            let data = usize::try_from(stream.judged().since(start)).unwrap_or(usize::MAX);
            rest = rest.get(data..).unwrap_or_default();
            if rest.is_empty() {
                break;
            }
            let step = records.known.watch.read(side, rest);
            records.hello.set(records.known.watch.held());
            stream.keep(rest.get(..step.used).unwrap_or_default());
            stream.skip(step.skipped.into());
            if let Some(fault) = step.fault {
                return Err(self.refuse_record(fault));
            }
            if let Some(seen) = step.seen {
                self.hear_tls(seen)?;
            }
            let skipped = usize::try_from(step.skipped).unwrap_or(usize::MAX);
            rest = rest.get(step.used.saturating_add(skipped)..).unwrap_or_default();
        }
        Ok(())
    }

    fn refuse_record(&mut self, fault: Fault) -> Stop {
        let direction = self.direction;
        let offset = self.conversation.streams[direction].judged().value();
        let cure = self.conversation.terms.guard.settings().tls_framing;
        if cure != Cure::Off {
            self.blame_patches(fault);
            self.effects.counted.alarms += 1;
            self.effects.counted.tls_faults += 1;
            self.tell(What::Tls(TlsEvent::Alarm { direction, offset, fault }));
        }
        match cure {
            Cure::Enforce => Stop::Reset(fault.into()),
            Cure::Off | Cure::Log => Stop::Blind,
        }
    }

    /// The patches that such a fault belongs to count it.
    fn blame_patches(&mut self, fault: Fault) {
        let (guard, speaker) = (&self.conversation.terms.guard, self.direction.speaker());
        let mut draft = Draft::default();
        guard.blame(fault.name(), speaker, &mut draft);
        let has_begun = |records: &Records| records.known.watch.has_hello(speaker);
        if !self.conversation.records.as_deref().is_some_and(has_begun) {
            // The same fault by the name it has where TLS is not watched.
            guard.blame(smtp::Fault::PlaintextForTls.name(), speaker, &mut draft);
        }
        self.count_strikes(&draft);
    }

    /// Nothing of the packet's faulty part may count; enforcing resets, all else goes on unread.
    fn stop(&mut self, stop: Stop) -> Verdict {
        let verdict = match stop {
            Stop::Reset(reason) => self.reset(reason),
            Stop::Blind => Verdict::Accept,
        };
        if !self.conversation.is_dead() {
            self.conversation.go_blind();
        }
        match stop {
            Stop::Blind if self.direction == self.sent => self.pass_payload(),
            // What waited is read because of a packet that goes the other way, and has its verdict.
            Stop::Reset(_) | Stop::Blind => verdict,
        }
    }

    /// What was seen: rules, log, counters.
    fn hear_tls(&mut self, seen: Seen) -> Result<(), Stop> {
        let direction = self.direction;
        match seen {
            Seen::ClientHello(hello) => self.hear_client_hello(&hello),
            Seen::ServerHello(hello) => self.hear_server_hello(hello),
            Seen::Alert(alert) => {
                self.hear_alert(alert);
                Ok(())
            }
            Seen::Sealed => Ok(()),
            Seen::Renegotiation => {
                self.effects.counted.tls_renegotiations += 1;
                let ruling = self.conversation.terms.guard.judge_renegotiation();
                self.tell(What::Noticed { direction, notice: Notice::Renegotiation });
                self.obey(ruling)
            }
        }
    }

    fn obey(&mut self, ruling: TlsRuling) -> Result<(), Stop> {
        if let TlsRuling::Note(rule) | TlsRuling::Reset(rule) = ruling {
            let mut draft = Draft::default();
            self.conversation.terms.guard.blame_rule(rule, &mut draft);
            self.count_strikes(&draft);
        }
        match ruling {
            TlsRuling::Pass => Ok(()),
            TlsRuling::Note(rule) => {
                self.tell(What::Tls(TlsEvent::Rule { rule }));
                Ok(())
            }
            TlsRuling::Reset(rule) => Err(Stop::Reset(Reason::Rule(rule))),
        }
    }

    fn hear_client_hello(&mut self, hello: &ClientHello) -> Result<(), Stop> {
        let direction = self.direction;
        let end = self.conversation.streams[direction].judged();
        let is_second = self.conversation.records.as_mut().is_some_and(|records| {
            records.known.hellos[direction] = end;
            records.known.watch.has_second_hello(direction.speaker())
        });
        let guard = &self.conversation.terms.guard;
        let (ruling, is_foreign) = (guard.judge_client_hello(hello), guard.is_foreign_name(hello));
        if is_second {
            // It is judged as well; of its session all is told and counted.
            return self.obey(ruling);
        }
        let offer = Box::new(ClientOffer::of(hello));
        self.effects.counted.count_offer(&offer);
        if is_foreign {
            self.effects.counted.tls_names_foreign += 1;
            self.tell(What::Noticed { direction, notice: Notice::ForeignName });
        }
        self.obey(ruling)?;
        self.effects.counted.count_begun(hello.length);
        self.tell(What::Tls(TlsEvent::Begin { offer: Some(offer) }));
        Ok(())
    }

    fn hear_server_hello(&mut self, hello: Box<ServerHello>) -> Result<(), Stop> {
        let end = self.conversation.streams[self.direction].judged();
        if let Some(records) = &mut self.conversation.records {
            records.known.hellos[self.direction] = end;
        }
        if hello.is_retry {
            return Ok(());
        }
        self.effects.counted.count_server_hello(&hello);
        let ruling = self.conversation.terms.guard.judge_server_hello(&hello);
        self.obey(ruling)?;
        self.tell(What::Tls(TlsEvent::Agreed { hello }));
        Ok(())
    }

    fn hear_alert(&mut self, alert: Option<u8>) {
        let (scene, direction) = (self.scene, self.direction);
        let Some(records) = &mut self.conversation.records else { return };
        let side = direction.speaker();
        if let Some(description) = alert {
            self.effects.counted.count_alert(side, description);
        }
        if records.known.watch.standing(side) == Standing::Closed {
            self.conversation.fail(&scene, Some(direction), alert, self.effects);
        }
    }

    /// Both sides are under keys, and nothing is in flight that has to keep its value: the rest is
    /// none of ours, where only the handshake was to be watched.
    fn hand_over(&mut self) {
        let settings = self.conversation.terms.guard.settings();
        if settings.tls_watch != TlsWatch::Handshake {
            return;
        }
        let conversation = &mut *self.conversation;
        let Some(records) = &conversation.records else { return };
        let is_over = Direction::BOTH.into_iter().all(|direction| {
            let stream = &conversation.streams[direction];
            let has_hello = stream.acknowledged() >= records.known.hellos[direction];
            let is_sealed = records.known.watch.standing(direction.speaker()) == Standing::Sealed;
            is_sealed && has_hello && !stream.has_early()
        });
        if is_over && records.known.watch.has_agreed() {
            self.effects.counted.tls_handed_over += 1;
            // A RST whose receiver did not take it was the end of the flow, which counts as well.
            if !conversation.has_closed || records.known.has_failed {
                conversation.count_agreement(self.effects);
            }
            conversation.go_blind();
        }
    }

    /// A capture lacks bytes: where the next record stands nobody knows.
    pub(super) fn lose_records(&mut self, direction: Direction) {
        self.tell(What::Noticed { direction, notice: Notice::LostPlace });
        self.conversation.go_blind();
    }
}

impl Passage<'_, '_> {
    /// A reply line was read: TLS may begin behind it, or an offer be missing from it.
    pub(super) fn hear_reply(&mut self, step: &Step, reading: &mut Reading) {
        let Event::ReplyEnd(reply) = step.event else { return };
        match (reply.answers, reply.code) {
            (Answers::Verb(Verb::StartTls), Some(220)) => self.begin_records(),
            (Answers::Verb(Verb::StartTls), Some(_)) => {
                self.effects.counted.starttls_refused += u64::from(reply.is_last);
            }
            (Answers::Verb(Verb::Ehlo), Some(250)) if reply.is_last => {
                reading.fatal = reading.fatal.or_else(|| self.judge_offer());
            }
            _ => {}
        }
    }

    /// The answer to EHLO is whole: whether STARTTLS is missing that used to be there.
    fn judge_offer(&mut self) -> Option<Reason> {
        let offer = self.conversation.watch.offer();
        match offer {
            Offer::Made => self.effects.counted.starttls_offered += 1,
            Offer::Masked | Offer::Missing => self.effects.counted.starttls_not_offered += 1,
        }
        let cure = self.conversation.terms.guard.settings().tls_downgrade;
        if cure == Cure::Off {
            return None;
        }
        let server = self.scene.ends().responder;
        let (notice, is_news) = self.engine.servers.hear(server, offer, self.scene.now)?;
        if is_news {
            self.effects.counted.alarms += 1;
            let direction = self.direction;
            self.tell(What::Noticed { direction, notice });
        }
        (cure == Cure::Enforce).then_some(Reason::Rule(Rule::Downgrade))
    }

    /// A line of the client has ended: mail and credentials in clear are worth knowing.
    pub(super) fn hear_line(&mut self) {
        let conversation = &mut *self.conversation;
        let notice = match conversation.watch.take_plain(&conversation.terms.guard) {
            None => return,
            Some(Plain::Auth) => Notice::PlainAuth,
            Some(Plain::Mail { is_offered: true, is_first }) => {
                self.effects.counted.mail_in_clear_unused_offer += 1;
                if !is_first {
                    return;
                }
                Notice::PlainMail
            }
            Some(Plain::Mail { .. }) => {
                self.effects.counted.mail_in_clear_without_offer += 1;
                return;
            }
        };
        let direction = self.direction;
        self.tell(What::Noticed { direction, notice });
    }
}

impl Conversation {
    /// From here on the flow passes unread.
    fn go_blind(&mut self) {
        self.records = None;
        Direction::BOTH.into_iter().for_each(|direction| self.streams[direction].make_opaque());
    }

    /// TLS has come to nothing: said once.
    fn fail(
        &mut self,
        scene: &Scene<'_>,
        by: Option<Direction>,
        alert: Option<u8>,
        effects: &mut Effects,
    ) {
        let Some(records) = &mut self.records else { return };
        // What never began has not failed: a client may think better of it behind the 220.
        let has_begun = records.known.watch.has_begun(Speaker::Client);
        if !has_begun
            || records.known.watch.has_agreed()
            || std::mem::replace(&mut records.known.has_failed, true)
        {
            return;
        }
        let stage =
            match (records.known.watch.has_hello(Speaker::Client), records.known.watch.version()) {
                (false, _) => TlsStage::StartTls,
                (true, None) => TlsStage::ClientHello,
                (true, Some(_)) => TlsStage::ServerHello,
            };
        effects.counted.count_failure(scene.ends());
        self.tell(scene, What::Tls(TlsEvent::Failed { by, alert, stage }), effects);
    }

    fn count_agreement(&self, effects: &mut Effects) {
        let Some(records) = &self.records else { return };
        if let Some(version) =
            records.known.watch.version().filter(|_| records.known.watch.has_agreed())
        {
            effects.counted.count_agreement(version);
        }
    }

    /// The flow has ended: how TLS went.
    pub(super) fn end_records(&mut self, scene: &Scene<'_>, effects: &mut Effects) {
        self.fail(scene, None, None, effects);
        self.count_agreement(effects);
        let Some(records) = &self.records else { return };
        let is_truncated = Direction::BOTH.into_iter().any(|direction| {
            let stream = &self.streams[direction];
            let is_cut = stream.fin().is_some_and(|fin| fin < stream.judged());
            is_cut
                || (stream.fin().is_some()
                    && records.known.watch.is_inside_header(direction.speaker()))
        });
        effects.counted.tls_truncated += u64::from(is_truncated);
        if !records.known.watch.has_agreed() {
            return;
        }
        let volume = |side| records.known.watch.volume(side);
        let volume = PerSpeaker::new(volume(Speaker::Client), volume(Speaker::Server));
        let ended = TlsEvent::End { volume, is_truncated };
        self.tell(scene, What::Tls(ended), effects);
    }
}
