//! The join: one packet in, one verdict out.
//!
//! [`Engine::handle`] is the table of contents: parse, sort out, handshake or flow or orphan,
//! answer. Each stage is a function in a module of its own; all state of a flow is in its
//! `Conversation`. Nothing here reads a clock, and equal inputs give equal outputs.

mod bypass;
mod conversation;
mod cookie;
mod early;
mod effects;
mod handshake;
mod heard;
mod image;
mod journal;
mod message;
mod monitor;
mod orphan;
mod passage;
mod policy;
mod reading;
mod reason;
mod record;
mod relief;
mod servers;
mod settings;
mod sight;
mod stats;
mod tls;

pub use effects::{Effects, Handling, Withheld};
pub use heard::Heard;
pub use image::{
    Diary, FORMAT, FORMAT_MIN, Image, RECORD_BYTES_MAX, Restored, Unreadable, image_of_diary,
};
pub use message::Message;
pub use reason::Reason;
pub use record::{LOGGED_BYTES_MAX, Notice, Record, TlsEvent, TlsStage, What};
pub use settings::{Exception, Gaps, Limits, Settings, Treatment, UnknownFlow};
pub use sight::{Deeds, Killed, Seen, Stage};
pub use stats::{Counter, Stats};

use std::cell::OnceCell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use arc_swap::{ArcSwap, Guard};

use crate::flow::{
    Direction, Endpoint, Flow, FlowKey, FlowTable, HandshakeTable, HashedKey, Keyed,
};
use crate::guard::Mode;
use crate::tcp::Memory;
use crate::time::Instant;
use crate::wire::{Checksum, Editor, Malformed, Packet, Parsed};
use conversation::{Conversation, Scene};
use orphan::ResetRate;
use passage::Passage;
use policy::{Policies, Policy};
use servers::Servers;
use stats::Tally;

/// Flows looked at for expiry on each packet: more than one, so that expiry keeps up with any rate
/// at which packets can open flows.
const LOOKS_PER_PACKET: usize = 4;

/// Flows looked at for expiry by [`Engine::expire`].
const LOOKS_PER_SECOND: usize = 10_000;

/// Sets of counters: no two workers share one where there are no more of them than this.
const TALLIES: usize = 16;

/// A packet as the front received it. The engine never changes these bytes: what leaves instead,
/// if anything, is in [`Effects::rewritten`].
#[derive(Clone, Copy, Debug)]
pub struct Arrival<'a> {
    /// The IP packet, from its first header byte.
    pub bytes: &'a [u8],
    /// Whether the TCP checksum field can be verified.
    pub checksum: Checksum,
    /// Whether this is a GSO super-packet, which the kernel will cut on the way out.
    pub is_super_packet: bool,
    /// Whether the front got only a part of the packet (it can then be neither read nor edited).
    pub is_truncated: bool,
    /// Interfaces and link address; 0 where the front knows none.
    pub path: Path,
}

/// The way a packet takes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Path {
    /// Index of the interface it came in by (0: none or unknown).
    pub ingress: u32,
    /// Index of the interface it will go out by (0: none or unknown).
    pub egress: u32,
    /// Link-layer address of who sent it to us, as a number (0: unknown).
    pub link: u64,
}

/// The final fate of one packet.
#[must_use]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Let it go on as it came.
    Accept,
    /// Let [`Effects::rewritten`] go on in its place.
    Rewrite,
    /// Let nothing go on.
    Drop(Reason),
}

/// The filter itself: shared by all queue threads.
#[derive(Debug)]
pub struct Engine {
    limits: Limits,
    /// Whether bytes that were acknowledged and never seen are passed over.
    skips_gaps: bool,
    /// What a test has each run of bytes shown to.
    inspect: Option<fn(&[u8])>,
    policies: ArcSwap<Policies>,
    /// Ahead of the flows, since fields go in this order: theirs stay written down.
    diarist: Option<Arc<image::Diarist>>,
    flows: FlowTable<Conversation>,
    handshakes: HandshakeTable,
    seed: u64,
    keyed: Keyed,
    memory: Arc<Memory>,
    /// Somebody found no room in `memory`.
    is_pressed: AtomicBool,
    orphan_resets: ResetRate,
    servers: Servers,
    tallies: [Tally; TALLIES],
}

/// One packet on its way through the stages.
struct Turn<'t> {
    now: Instant,
    arrival: &'t Arrival<'t>,
    packet: &'t Packet<'t>,
    all_policies: &'t ArcSwap<Policies>,
    policies: OnceCell<Guard<Arc<Policies>>>,
    source: Endpoint,
    destination: Endpoint,
    key: HashedKey,
}

impl Engine {
    /// An engine; `seed` keys its hashes and its random evictions (fronts that face the network
    /// pass a random one, replays a fixed one).
    #[must_use]
    pub fn new(settings: Settings, seed: u64) -> Self {
        let limits = settings.limits;
        Self {
            policies: ArcSwap::from_pointee(Policies::new(&settings, &limits, None)),
            flows: FlowTable::new(limits.flows_max),
            handshakes: HandshakeTable::new(limits.handshakes_max, limits.handshake_seconds),
            seed,
            diarist: None,
            keyed: Keyed::new(seed),
            memory: Arc::new(Memory::new(limits.store_bytes_max)),
            is_pressed: AtomicBool::new(false),
            orphan_resets: ResetRate::default(),
            servers: Servers::new(seed),
            tallies: Default::default(),
            skips_gaps: settings.gaps == Gaps::Skip,
            inspect: None,
            limits,
        }
    }

    /// The same engine, calling this with each run of bytes before it is judged: where a test makes
    /// judging fail half-way.
    #[must_use]
    pub fn inspected_by(mut self, inspect: fn(&[u8])) -> Self {
        self.inspect = Some(inspect);
        self
    }

    fn inspect_run(&self, run: &[u8]) {
        if let Some(inspect) = self.inspect {
            inspect(run);
        }
    }

    /// Tells the engine anew what its settings are. Flows that were begun keep those they began
    /// with, also on a port that is no longer mail's; packets of no flow follow the new ones.
    /// Limits stay what they were.
    pub fn reload(&self, settings: &Settings) {
        let before = self.policies.load();
        self.policies.store(Arc::new(Policies::new(settings, &self.limits, Some(&before))));
    }

    /// One verdict for each packet, at once. A fault of our own costs the packet and its flow.
    pub fn handle(&self, now: Instant, arrival: &Arrival<'_>, effects: &mut Effects) -> Verdict {
        effects.clear();
        let judged = catch_unwind(AssertUnwindSafe(|| {
            self.expire_some(now, LOOKS_PER_PACKET, effects);
            self.relieve(now, effects);
            self.judge(now, arrival, effects)
        }));
        let (verdict, mode) =
            judged.unwrap_or_else(|_| (Verdict::Drop(Reason::OwnFault), self.general_mode()));
        // What monitoring lets go on is counted as well.
        effects.count(verdict);
        self.tally(effects);
        mode.carry_out(verdict, effects)
    }

    /// Forgets what has been silent for too long; `handle` does a bounded part of this on each
    /// packet, a front calls this about once a second.
    pub fn expire(&self, now: Instant, effects: &mut Effects) {
        effects.clear();
        self.expire_some(now, LOOKS_PER_SECOND, effects);
        self.tally(effects);
    }

    /// A copy of the counters.
    #[must_use]
    pub fn stats(&self) -> Stats {
        let mut stats = Stats::default();
        self.tallies.iter().for_each(|tally| tally.sum(&mut stats));
        stats.flows_now = self.flows.len() as u64;
        stats.store_bytes_now = self.memory.held() as u64;
        stats
    }

    fn general_mode(&self) -> Mode {
        self.policies.load().general_mode
    }

    /// Whoever filtered before has left no handshakes: some may be under way.
    pub fn begin_behind_others(&self, now: Instant) {
        self.handshakes.begin_behind_others(now.seconds_32());
    }

    /// Adds what was counted to the worker's counters, and the RSTs that were made.
    fn tally(&self, effects: &mut Effects) {
        effects.counted.resets += effects.resets.len() as u64;
        if let Some(tally) = self.tallies.get(effects.worker % TALLIES) {
            tally.take(&mut effects.counted);
        }
    }

    /// The verdict, and how far it goes.
    fn judge(&self, now: Instant, arrival: &Arrival<'_>, effects: &mut Effects) -> (Verdict, Mode) {
        if arrival.is_truncated {
            return (Verdict::Drop(Malformed::Truncated.into()), self.general_mode());
        }
        let packet = match Packet::parse(arrival.bytes) {
            Ok(Parsed::Tcp(packet)) => packet,
            Ok(Parsed::NotTcp) => return (Verdict::Accept, self.general_mode()),
            Err(malformed) => return (Verdict::Drop(malformed.into()), self.general_mode()),
        };
        let source = Endpoint { address: packet.source, port: packet.source_port };
        let destination = Endpoint { address: packet.destination, port: packet.destination_port };
        let key = HashedKey::new(FlowKey::of(source, destination), &self.keyed);
        let (all_policies, policies) = (&self.policies, OnceCell::new());
        let packet = &packet;
        let turn = Turn { now, arrival, packet, all_policies, policies, source, destination, key };
        // A refusal is the new connection's, whatever is remembered of an old one.
        let is_new = packet.flags.syn || (packet.flags.rst && self.ends_handshake(&turn));
        let known = if is_new { None } else { self.flows.find(&turn.key) };
        if let Some(flow) = known {
            return self.handle_segment(&turn, &flow, effects);
        }
        self.judge_stranger(&turn, effects)
    }

    /// A packet that belongs to no flow, or begins one.
    fn judge_stranger(&self, turn: &Turn<'_>, effects: &mut Effects) -> (Verdict, Mode) {
        // The sender of a SYN is the client; of another packet nobody knows yet. Even a SYN/ACK may
        // be a client's: a server that waits for the third packet takes it for that.
        let (flags, policies) = (turn.packet.flags, turn.policies());
        let mut ends = [turn.source, turn.destination].into_iter();
        let has_flow = || self.flows.find(&turn.key).is_some();
        // On a port that was mail's, what a server accepts is none of ours; but there may be a flow
        // until then, which must not judge it.
        if !ends.any(|end| policies.is_mail_port(end.port)) && !has_flow() {
            return (Verdict::Accept, policies.general_mode);
        }
        let policy = match (flags.syn, flags.ack) {
            (true, false) => policies.choose(turn.source, turn.destination),
            _ => policies.choose_for(turn.source, turn.destination),
        };
        let mode = policy.mode();
        // A flow that we began to read is read to its end. Where both ends have a port of mail, and
        // one alone is to be let alone, the SYN's record says which is the client.
        let is_let_alone = || {
            let policy = policies.choose_for(turn.source, turn.destination);
            matches!(policy, Policy::HandsOff) && !has_flow()
        };
        if matches!(policy, Policy::HandsOff) && is_let_alone() {
            effects.handling = Handling::HandedOver;
            return (Verdict::Accept, mode);
        }
        if let Err(malformed) = turn.verify() {
            return (Verdict::Drop(malformed.into()), mode);
        }
        if flags.syn {
            (self.handle_syn(turn, effects), mode)
        } else {
            self.handle_orphan(turn, mode, effects)
        }
    }

    /// A segment of an established flow.
    fn handle_segment(
        &self,
        turn: &Turn<'_>,
        flow: &Arc<Flow<Conversation>>,
        effects: &mut Effects,
    ) -> (Verdict, Mode) {
        let Some(mut conversation) = flow.lock_if_present() else {
            let mode = turn.policies().choose_for(turn.source, turn.destination).mode();
            return (Verdict::Drop(Reason::UnknownFlow), mode);
        };
        let conversation = &mut *conversation;
        let mode = conversation.mode();
        if let Err(malformed) = turn.verify() {
            return (Verdict::Drop(malformed.into()), mode);
        }
        let scene = Scene::of(flow, turn.now);
        let direction = flow.direction(turn.key.plain().is_low(turn.source));
        let was_answered = conversation.streams[Direction::Reply].is_finished();
        let judged = catch_unwind(AssertUnwindSafe(|| {
            let engine = self;
            Passage { engine, turn, scene, conversation, sent: direction, direction, effects }
                .judge()
        }));
        let verdict = judged.unwrap_or_else(|_| {
            // Nothing that was not ruled on counts as judged, and nothing more will be judged.
            conversation.reset(&scene, Reason::OwnFault, effects);
            conversation.discard();
            conversation.tell_drop(&scene, (turn.packet, direction), Reason::OwnFault, effects);
            Verdict::Drop(Reason::OwnFault)
        });
        // What is refused, a forgery perhaps, keeps no flow alive.
        if !matches!(verdict, Verdict::Drop(_)) {
            flow.touch(turn.now.seconds());
        }
        self.account(flow, conversation);
        // The server's last word has come through: that is remembered for a shorter time.
        if conversation.streams[Direction::Reply].is_finished() && !was_answered {
            self.flows.schedule(flow, conversation.deadline(flow.seen(), &self.limits));
        }
        self.write_down(turn, flow, conversation);
        (verdict, mode)
    }

    /// What a flow holds now, and whether it is over: then it is remembered for a shorter time.
    fn account(&self, flow: &Arc<Flow<Conversation>>, conversation: &Conversation) {
        flow.hold(conversation.held());
        let was_over = flow.is_over();
        flow.set_over(conversation.is_over());
        if conversation.is_over() && !was_over {
            self.flows.schedule(flow, conversation.deadline(flow.seen(), &self.limits));
        }
    }

    fn expire_some(&self, now: Instant, looks_max: usize, effects: &mut Effects) {
        let limits = &self.limits;
        self.flows.expire(
            now.seconds(),
            looks_max,
            |flow, conversation| conversation.deadline(flow.seen(), limits),
            |flow, conversation| conversation.close(&Scene::of(flow, now), effects),
        );
    }

    /// A flow has left the table.
    fn let_go(&self, flow: &Flow<Conversation>, now: Instant, effects: &mut Effects) {
        flow.lock().close(&Scene::of(flow, now), effects);
    }
}

impl Turn<'_> {
    /// What a packet of no known flow is under: a flow has what it began with.
    fn policies(&self) -> &Policies {
        self.policies.get_or_init(|| self.all_policies.load())
    }

    fn verify(&self) -> Result<(), Malformed> {
        self.packet.verify(self.arrival.checksum)
    }
}

/// The verdict for a packet that goes on, edited or not.
fn go_on(editor: Editor<'_, '_>) -> Verdict {
    if editor.finish() { Verdict::Rewrite } else { Verdict::Accept }
}
