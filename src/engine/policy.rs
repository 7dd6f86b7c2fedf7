//! Which settings a flow is judged by: those of the first exception it matches, or the general
//! ones.

use super::{Engine, Exception, Settings, Treatment, Turn};
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

/// The general policy, and the exceptions in their order.
#[derive(Debug)]
pub(super) struct Policies {
    general: Policy,
    exceptions: Vec<(Exception, Policy)>,
}

/// Number of a policy.
pub(super) type PolicyId = u16;

impl Policies {
    pub(super) fn new(settings: &Settings) -> Self {
        let policy = |guard: &crate::guard::Settings, monitor, is_hands_off| Policy {
            guard: Guard::new(guard.clone()),
            monitor: monitor || settings.monitor,
            is_hands_off,
        };
        let exceptions = settings.exceptions.iter().map(|exception| {
            let policy = match &exception.treatment {
                Treatment::HandsOff => policy(&settings.guard, false, true),
                Treatment::Monitor(guard) => policy(guard, true, false),
                Treatment::Enforce(guard) => policy(guard, false, false),
            };
            (exception.clone(), policy)
        });
        Self { general: policy(&settings.guard, false, false), exceptions: exceptions.collect() }
    }

    /// The policy of a flow between these ends.
    pub(super) fn choose(&self, client: Endpoint, server: Endpoint) -> PolicyId {
        let place = self.exceptions.iter().position(|(exception, _)| {
            exception.client.is_none_or(|network| network.contains(client.address))
                && exception.server.is_none_or(|network| network.contains(server.address))
        });
        place.and_then(|place| PolicyId::try_from(place).ok()).unwrap_or(PolicyId::MAX)
    }

    /// The policy with this number.
    pub(super) fn get(&self, id: PolicyId) -> &Policy {
        self.exceptions.get(usize::from(id)).map_or(&self.general, |(_, policy)| policy)
    }
}

impl Engine {
    /// Whether a packet belongs to flows that are not read, whichever of its ends is the server.
    pub(super) fn is_hands_off(&self, turn: &Turn<'_>) -> bool {
        let is_free = |client: Endpoint, server: Endpoint| {
            self.settings.ports.contains(&server.port)
                && self.policies.get(self.policies.choose(client, server)).is_hands_off
        };
        is_free(turn.source, turn.destination) || is_free(turn.destination, turn.source)
    }
}
