//! Which settings a flow is judged by: those of the first exception it matches, or the general
//! ones. A flow keeps those it began with, whatever is told to the engine later.

use std::sync::Arc;

use super::{Effects, Engine, Exception, Settings, Treatment, Turn, UnknownFlow};
use crate::flow::Endpoint;
use crate::guard::Guard;

/// A guard, and how far it may go.
#[derive(Debug)]
pub(super) struct Policy {
    pub(super) guard: Guard,
    /// It changes nothing.
    pub(super) monitor: bool,
    /// It does not even look.
    is_hands_off: bool,
}

/// All that may be told anew to a running engine: the general policy, the exceptions in their
/// order, and what concerns packets of no flow.
#[derive(Debug)]
pub(super) struct Policies {
    pub(super) ports: Vec<u16>,
    general: Arc<Policy>,
    exceptions: Vec<(Exception, Arc<Policy>)>,
    pub(super) monitor: bool,
    pub(super) unknown_flow: UnknownFlow,
}

impl Policies {
    pub(super) fn new(settings: &Settings) -> Self {
        let policy = |guard: &crate::guard::Settings, monitor, is_hands_off| {
            let guard = Guard::new(guard.clone());
            Arc::new(Policy { guard, monitor: monitor || settings.monitor, is_hands_off })
        };
        let exceptions = settings.exceptions.iter().map(|exception| {
            let policy = match &exception.treatment {
                Treatment::HandsOff => policy(&settings.guard, false, true),
                Treatment::Monitor(guard) => policy(guard, true, false),
                Treatment::Enforce(guard) => policy(guard, false, false),
            };
            (exception.clone(), policy)
        });
        Self {
            ports: settings.ports.clone(),
            general: policy(&settings.guard, false, false),
            exceptions: exceptions.collect(),
            monitor: settings.monitor,
            unknown_flow: settings.unknown_flow,
        }
    }

    /// The policy of a flow between these ends.
    pub(super) fn choose(&self, client: Endpoint, server: Endpoint) -> &Arc<Policy> {
        let exception = self.exceptions.iter().find(|(exception, _)| {
            exception.client.is_none_or(|network| network.contains(client.address))
                && exception.server.is_none_or(|network| network.contains(server.address))
        });
        exception.map_or(&self.general, |(_, policy)| policy)
    }
}

impl Engine {
    /// Whether a packet is not mail: by its ports, and it belongs to no flow that was begun when
    /// one of them was mail's.
    pub(super) fn is_foreign(&self, turn: &Turn<'_>, effects: &mut Effects) -> bool {
        let is_mail = |end: Endpoint| turn.policies.ports.contains(&end.port);
        if is_mail(turn.source) || is_mail(turn.destination) {
            return false;
        }
        let flags = turn.packet.flags;
        if flags.syn && flags.ack {
            // What the server accepts here now is none of ours, and the old flow must not judge it.
            self.retire(turn, effects);
        }
        flags.syn || self.flows.find(&turn.key).is_none()
    }

    /// Whether a packet belongs to flows that are not read, whichever of its ends is the server.
    /// One that we began to read is read to its end.
    pub(super) fn is_hands_off(&self, turn: &Turn<'_>) -> bool {
        let is_free = |client: Endpoint, server: Endpoint| {
            turn.policies.ports.contains(&server.port)
                && turn.policies.choose(client, server).is_hands_off
        };
        (is_free(turn.source, turn.destination) || is_free(turn.destination, turn.source))
            && self.flows.find(&turn.key).is_none()
    }
}
