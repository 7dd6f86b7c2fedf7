//! The `[[exceptions]]` of the configuration: flows that are treated otherwise, by who their client
//! or their server is. The first that matches a flow counts.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::document::{Fault, guard_settings};
use crate::engine::{Exception, Treatment};
use crate::flow::Network;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, expecting = "a table")]
pub(super) struct ExceptionTable {
    client: Option<Network>,
    server: Option<Network>,
    profile: Option<String>,
    #[serde(default)]
    settings: BTreeMap<String, toml::Value>,
    #[serde(default)]
    treatment: TreatmentWord,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum TreatmentWord {
    #[default]
    Enforce,
    Monitor,
    HandsOff,
}

impl ExceptionTable {
    /// The exception; what it does not say is as in the general `profile` and `settings`.
    pub(super) fn into_exception(
        self,
        profile: &str,
        settings: &BTreeMap<String, toml::Value>,
    ) -> Result<Exception, Fault> {
        if self.client.is_none() && self.server.is_none() {
            let message = "neither client nor server given, expected one or both";
            return Err(Fault::new(&[], message.to_owned()));
        }
        if let (Some(client), Some(server)) = (self.client, self.server)
            && client.is_ipv6() != server.is_ipv6()
        {
            let message = "server: of another family than client, expected IPv4 or IPv6 in both";
            return Err(Fault::new(&["server"], message.to_owned()));
        }
        // Another profile begins from its own preset, not from the general settings.
        let mut all = if self.profile.is_some() { BTreeMap::new() } else { settings.clone() };
        all.extend(self.settings);
        let guard = guard_settings(self.profile.as_deref().unwrap_or(profile), &all)?;
        let treatment = match self.treatment {
            TreatmentWord::Enforce => Treatment::Enforce(guard),
            TreatmentWord::Monitor => Treatment::Monitor(guard),
            TreatmentWord::HandsOff => Treatment::HandsOff,
        };
        Ok(Exception { client: self.client, server: self.server, treatment })
    }
}
