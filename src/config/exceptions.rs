//! The `[[exceptions]]` of the configuration: flows that are treated otherwise, by who their client
//! or their server is. The first that matches a flow counts.

use super::document::{preset, read_settings, unknown_key};
use super::report::Fault;
use super::tree::{Entry, Node, Value};
use super::value::{ProfileName, Read, Words};
use crate::engine::{Exception, Treatment};
use crate::flow::Network;
use crate::guard;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum TreatmentWord {
    Enforce,
    Monitor,
    HandsOff,
}

impl Words for TreatmentWord {
    const WORDS: &'static [(&'static str, Self)] =
        &[("enforce", Self::Enforce), ("monitor", Self::Monitor), ("hands-off", Self::HandsOff)];
}

/// The keys of an exception, what each is for, and what may be written.
pub const EXCEPTION_KEYS: [(&str, &str, &str); 5] = [
    ("client", "Where the client is.", "\"198.51.100.0/24\""),
    ("server", "Where the server is; `client`, `server` or both have to be given.", "\"10.0.0.9\""),
    ("profile", "Its profile. Without one, the settings above hold.", "\"asa\""),
    ("treatment", "Its mail is judged, only watched, or passes unread.", "\"enforce\""),
    ("settings", "Any settings, as above.", "{ banner = \"pass\" }"),
];

/// All exceptions that are right; `general` holds where one names no profile.
pub(super) fn read(
    node: &Node,
    general: &guard::Settings,
    faults: &mut Vec<Fault>,
) -> Vec<Exception> {
    let Value::List(list) = &node.value else {
        let message = format!("exceptions: {} found, expected tables [[exceptions]]", node.found());
        faults.push(Fault { place: node.place.clone(), message });
        return Vec::new();
    };
    let read = |node| read_one(node, general, faults);
    list.iter().filter_map(read).collect()
}

/// What one exception gives.
#[derive(Default)]
struct Given<'n> {
    client: Option<Network>,
    server: Option<Network>,
    profile: Option<String>,
    treatment: Option<TreatmentWord>,
    settings: Option<&'n Node>,
}

fn read_one(node: &Node, general: &guard::Settings, faults: &mut Vec<Fault>) -> Option<Exception> {
    let before = faults.len();
    let given = keys_of(node, faults);
    if given.client.is_none() && given.server.is_none() && faults.len() == before {
        let message = "exceptions: neither client nor server given, expected one or both";
        faults.push(Fault { place: node.place.clone(), message: message.to_owned() });
    }
    // Another profile begins from its own preset, not from the general settings.
    let mut guard = given.profile.as_deref().map_or_else(|| general.clone(), preset);
    if let Some(settings) = given.settings {
        read_settings(&mut guard, settings, "exceptions.settings", faults);
    }
    let treatment = match given.treatment {
        Some(TreatmentWord::Enforce) | None => Treatment::Enforce(guard),
        Some(TreatmentWord::Monitor) => Treatment::Monitor(guard),
        Some(TreatmentWord::HandsOff) => {
            tell_of_what_hands_off_ignores(node, faults);
            Treatment::HandsOff
        }
    };
    let Given { client, server, .. } = given;
    (faults.len() == before).then_some(Exception { client, server, treatment })
}

fn keys_of<'n>(node: &'n Node, faults: &mut Vec<Fault>) -> Given<'n> {
    let mut given = Given::default();
    let Some(entries) = node.entries() else {
        let message = format!("exceptions: {} found, expected a table", node.found());
        faults.push(Fault { place: node.place.clone(), message });
        return given;
    };
    for entry in entries {
        match entry.key.as_str() {
            "client" => given.client = take(entry, faults),
            "server" => given.server = take(entry, faults),
            "profile" => {
                given.profile = take::<ProfileName>(entry, faults).map(|name| name.0);
            }
            "treatment" => given.treatment = take(entry, faults),
            "settings" => given.settings = Some(&entry.node),
            _ => {
                let names = EXCEPTION_KEYS.map(|(name, ..)| name);
                faults.push(unknown_key("exceptions", entry, &names));
            }
        }
    }
    given
}

fn take<T: Read>(entry: &Entry, faults: &mut Vec<Fault>) -> Option<T> {
    let wrong = match T::read(&entry.node) {
        Ok(value) => return Some(value),
        Err(wrong) => wrong,
    };
    faults.extend(wrong.into_iter().map(|wrong| {
        let message = format!("exceptions.{}: {}", entry.key, wrong.message);
        Fault { place: wrong.place, message }
    }));
    None
}

/// Whoever wrote settings beside `hands-off` believes that they hold.
fn tell_of_what_hands_off_ignores(node: &Node, faults: &mut Vec<Fault>) {
    let idle = node.entries().unwrap_or_default().iter();
    for entry in idle.filter(|entry| matches!(entry.key.as_str(), "profile" | "settings")) {
        let message = format!(
            "exceptions.{}: given beside treatment = \"hands-off\", which reads nothing: expected \
             one of the two",
            entry.key
        );
        faults.push(Fault { place: entry.place.clone(), message });
    }
}
