//! What others may see of flows, and the one thing they may ask for: that some be reset.
//!
//! Each flow is locked for as long as it takes to copy some numbers, one at a time, and none while
//! anybody is told of it.

use std::ops::ControlFlow;
use std::sync::Arc;

use super::conversation::{Conversation, Phase, Scene};
use super::policy::Policy;
use super::{Effects, Engine, Reason};
use crate::flow::{Direction, Endpoint, Ends, Flow, FlowId, PerDirection};
use crate::smtp::{Expect, Verb};
use crate::time::Instant;

/// A flow as it was at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Seen {
    /// Its number.
    pub id: FlowId,
    /// The end that opened it.
    pub client: Endpoint,
    /// The other end.
    pub server: Endpoint,
    /// How far it is.
    pub stage: Stage,
    /// Seconds since it was opened.
    pub age_seconds: u64,
    /// Seconds since it last spoke.
    pub idle_seconds: u64,
    /// Bytes let through, by direction.
    pub bytes: PerDirection<u64>,
    /// Bytes of memory it holds.
    pub held: usize,
    /// The verb of its last command line, if it is one that is known.
    pub last: Option<Verb>,
    /// What was done to it.
    pub deeds: Deeds,
    /// Whether it is judged without being changed.
    pub is_monitored: bool,
}

/// How far a flow is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// Commands and replies.
    Commands,
    /// A message, as DATA or as chunks.
    Message,
    /// An AUTH exchange.
    Auth,
    /// TLS: only its records are read, and in clear the hellos.
    Tls,
    /// Its ends have said goodbye.
    Closing,
    /// It was reset.
    Reset,
}

impl Stage {
    /// All of them.
    pub const ALL: [Self; 6] =
        [Self::Commands, Self::Message, Self::Auth, Self::Tls, Self::Closing, Self::Reset];

    /// The word used in answers and labels.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Commands => "commands",
            Self::Message => "message",
            Self::Auth => "auth",
            Self::Tls => "tls",
            Self::Closing => "closing",
            Self::Reset => "reset",
        }
    }
}

/// What was done to a flow, each counted to a bound and no further.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Deeds {
    /// Command lines refused.
    pub refused: u16,
    /// Runs of bytes that left changed.
    pub edited: u16,
}

/// What became of the wish that a flow be reset.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Killed {
    /// It was.
    Done,
    /// It had ended.
    Over,
    /// Its packets do not come here any more, so nobody here knows its numbers.
    HandedOver,
    /// There is none.
    Unknown,
}

impl Engine {
    /// Shows every flow, the oldest first, until whoever looks has seen enough.
    pub fn flows(&self, now: Instant, mut look: impl FnMut(Seen) -> ControlFlow<()>) {
        let mut is_enough = false;
        self.flows.for_each(|flow| {
            if is_enough {
                return;
            }
            // Out of the lock before anybody is told.
            let seen = flow.lock_if_present().map(|conversation| seen(flow, &conversation, now));
            is_enough = seen.is_some_and(|seen| look(seen).is_break());
        });
    }

    /// Flows at once, at most; handshakes under way are none yet.
    #[must_use]
    pub fn flows_max(&self) -> usize {
        self.limits.flows_max
    }

    /// The most flows there were at once since the filter began.
    #[must_use]
    pub fn flows_most(&self) -> usize {
        self.flows.most()
    }

    /// Bytes that all flows together may hold.
    #[must_use]
    pub fn store_bytes_max(&self) -> usize {
        self.limits.store_bytes_max
    }

    /// Resets the flows that began under settings that are in force no more; how many.
    pub fn reset_outdated(&self, now: Instant, effects: &mut Effects) -> usize {
        effects.clear();
        let policies = self.policies.load();
        let mut count = 0;
        self.flows.for_each(|flow| {
            let Some(mut conversation) = flow.lock_if_present() else { return };
            let Ends { originator, responder } = flow.ends();
            let is_ours =
                policies.is_mail_port(originator.port) || policies.is_mail_port(responder.port);
            let is_same =
                is_ours && is_under(&conversation, policies.choose(originator, responder));
            if !is_same && conversation.phase == Phase::Open && !conversation.is_offloaded() {
                self.clear(flow, &mut conversation, now, effects);
                count += 1;
            }
        });
        self.tally(effects);
        count
    }

    /// Resets both ends of one flow.
    pub fn kill(&self, id: FlowId, now: Instant, effects: &mut Effects) -> Killed {
        effects.clear();
        let mut killed = Killed::Unknown;
        self.flows.for_each(|flow| {
            if flow.id() != id {
                return;
            }
            let Some(mut conversation) = flow.lock_if_present() else { return };
            killed = match conversation.phase {
                Phase::Open if conversation.is_offloaded() => Killed::HandedOver,
                Phase::Open => {
                    self.clear(flow, &mut conversation, now, effects);
                    Killed::Done
                }
                Phase::Closing | Phase::Aborted | Phase::Reset => Killed::Over,
            };
        });
        self.tally(effects);
        killed
    }

    /// Resets a flow as its operator asks.
    fn clear(
        &self,
        flow: &Arc<Flow<Conversation>>,
        conversation: &mut Conversation,
        now: Instant,
        effects: &mut Effects,
    ) {
        conversation.reset_both_ends(&Scene::of(flow, now), Reason::Cleared, effects);
        self.account(flow, conversation);
        self.write_anew(flow, conversation);
    }
}

/// Whether a flow is judged as this policy says.
fn is_under(conversation: &Conversation, policy: &Policy) -> bool {
    let terms = &conversation.terms;
    match policy {
        Policy::HandsOff => false,
        Policy::Judge(now) => Arc::ptr_eq(terms, now) || terms.guard.is_like(&now.guard),
    }
}

fn seen(flow: &Flow<Conversation>, conversation: &Conversation, now: Instant) -> Seen {
    let Ends { originator, responder } = flow.ends();
    let bytes = |direction: Direction| conversation.streams[direction].judged().value();
    let second = now.seconds();
    Seen {
        id: flow.id(),
        client: originator,
        server: responder,
        stage: stage(conversation),
        age_seconds: second.saturating_sub(flow.since()),
        idle_seconds: second.saturating_sub(flow.seen()),
        bytes: PerDirection::new(bytes(Direction::Original), bytes(Direction::Reply)),
        held: flow.held(),
        last: conversation.last.verb(),
        deeds: conversation.deeds,
        is_monitored: conversation.is_monitored(),
    }
}

fn stage(conversation: &Conversation) -> Stage {
    let expect = conversation.dialogue.expect();
    match conversation.phase {
        Phase::Reset => Stage::Reset,
        Phase::Closing | Phase::Aborted => Stage::Closing,
        Phase::Open if expect.is_message() => Stage::Message,
        Phase::Open if expect == Expect::AuthLine => Stage::Auth,
        Phase::Open if matches!(expect, Expect::Tls(_)) => Stage::Tls,
        Phase::Open => Stage::Commands,
    }
}
