//! Which policy a flow is under: that of the first exception it matches, or the general one. A flow
//! keeps the one it began with, whatever is told to the engine later.

use std::sync::Arc;

use super::journal::Chatter;
use super::{Limits, Settings, Treatment, UnknownFlow};
use crate::flow::{Endpoint, Network};
use crate::guard::{self, Guard, Mode};

/// What is done with a flow.
#[derive(Clone, Debug)]
pub(super) enum Policy {
    /// It passes unread.
    HandsOff,
    /// It is judged.
    Judge(Arc<Terms>),
}

/// By what a flow is judged.
#[derive(Debug)]
pub(super) struct Terms {
    pub(super) guard: Guard,
    /// How much it may have logged.
    pub(super) chatter: Chatter,
}

impl Terms {
    pub(super) fn new(settings: guard::Settings, mode: Mode, chatter: Chatter) -> Self {
        Self { guard: Guard::new(settings).in_mode(mode), chatter }
    }

    /// Whether no flow could tell whether it is judged by these or by others.
    pub(super) fn is_like(&self, other: &Self) -> bool {
        self.chatter == other.chatter && self.guard.is_like(&other.guard)
    }
}

/// Whom an exception concerns.
#[derive(Debug)]
struct Parties {
    client: Option<Network>,
    server: Option<Network>,
}

/// All that may be told anew to a running engine.
#[derive(Debug)]
pub(super) struct Policies {
    general: Policy,
    exceptions: Vec<(Parties, Policy)>,
    ports: Vec<u16>,
    pub(super) unknown_flow: UnknownFlow,
    /// The mode of what cannot be told whose it is.
    pub(super) general_mode: Mode,
}

impl Policies {
    /// Those of these settings. What is as it was before is the same as before.
    pub(super) fn new(settings: &Settings, limits: &Limits, before: Option<&Self>) -> Self {
        let chatter = Chatter::of(limits);
        let judge = |guard: &guard::Settings, monitor: bool| {
            let mode = if monitor || settings.monitor { Mode::Monitor } else { Mode::Enforce };
            let terms = Terms::new(guard.clone(), mode, chatter);
            let known = before.into_iter().flat_map(Self::terms).find(|one| one.is_like(&terms));
            Policy::Judge(known.map_or_else(|| Arc::new(terms), Arc::clone))
        };
        let exceptions = settings.exceptions.iter().map(|exception| {
            let policy = match &exception.treatment {
                Treatment::HandsOff => Policy::HandsOff,
                Treatment::Monitor(guard) => judge(guard, true),
                Treatment::Enforce(guard) => judge(guard, false),
            };
            (Parties { client: exception.client, server: exception.server }, policy)
        });
        let (general, exceptions) = (judge(&settings.guard, false), exceptions.collect::<Vec<_>>());
        Self {
            general_mode: strictest_mode(&general, &exceptions),
            general,
            exceptions,
            ports: settings.ports.clone(),
            unknown_flow: settings.unknown_flow,
        }
    }

    /// All that flows are judged by.
    fn terms(&self) -> impl Iterator<Item = &Arc<Terms>> {
        let exceptions = self.exceptions.iter().map(|(_, policy)| policy);
        exceptions.chain([&self.general]).filter_map(|policy| match policy {
            Policy::HandsOff => None,
            Policy::Judge(terms) => Some(terms),
        })
    }

    /// Whether this is the port of an SMTP server.
    pub(super) fn is_mail_port(&self, port: u16) -> bool {
        self.ports.contains(&port)
    }

    /// The policy of a flow between these ends.
    pub(super) fn choose(&self, client: Endpoint, server: Endpoint) -> &Policy {
        let exception = self.exceptions.iter().find(|(parties, _)| {
            parties.client.is_none_or(|network| network.contains(client.address))
                && parties.server.is_none_or(|network| network.contains(server.address))
        });
        exception.map_or(&self.general, |(_, policy)| policy)
    }

    /// The policy of a packet whose flow is not known. Where either end may be the server, both
    /// readings have to be hands-off, or monitored, for the packet to be treated so.
    pub(super) fn choose_for(&self, source: Endpoint, destination: Endpoint) -> &Policy {
        let as_client = || self.choose(source, destination);
        let as_server = || self.choose(destination, source);
        match (self.is_mail_port(source.port), self.is_mail_port(destination.port)) {
            (true, true) => stricter(as_client(), as_server()),
            (true, false) => as_server(),
            (false, _) => as_client(),
        }
    }
}

/// The mode of what cannot be told whose it is: the strictest that it may fall under.
fn strictest_mode(general: &Policy, exceptions: &[(Parties, Policy)]) -> Mode {
    let is_for_all = |parties: &Parties| parties.client.is_none() && parties.server.is_none();
    let last = exceptions.iter().position(|(parties, _)| is_for_all(parties));
    let possible = exceptions.iter().map(|(_, policy)| policy).chain([general]);
    let count = last.map_or(usize::MAX, |last| last + 1);
    possible.take(count).fold(&Policy::HandsOff, stricter).mode()
}

impl Policy {
    /// How far judging goes; nothing is judged under [`Policy::HandsOff`], so nothing is changed.
    pub(super) fn mode(&self) -> Mode {
        match self {
            Self::HandsOff => Mode::Monitor,
            Self::Judge(terms) => terms.guard.mode(),
        }
    }

    fn severity(&self) -> u8 {
        match (self, self.mode()) {
            (Self::HandsOff, _) => 0,
            (Self::Judge(_), Mode::Monitor) => 1,
            (Self::Judge(_), Mode::Enforce) => 2,
        }
    }
}

fn stricter<'p>(one: &'p Policy, other: &'p Policy) -> &'p Policy {
    if one.severity() >= other.severity() { one } else { other }
}
