//! The file, key by key: what was given becomes a [`Config`], and every fault on the way is told.

use super::exceptions;
use super::keys::{Given, KEYS, LimitsKeys, QueueKeys, SOCKET_BUFFER_MIN};
use super::report::Fault;
use super::tree::{Entry, Node, Place, Value};
use super::value::Number;
use super::{Config, Control, Log, Metrics, Queue, Rules};
use crate::engine::{self, Gaps, Limits};
use crate::guard;
use crate::patch::State;

/// Reads all of it: the configuration, which holds only if there are no faults.
pub(super) fn read(root: &Node) -> (Config, Vec<Fault>) {
    let mut faults = Vec::new();
    let mut given = Given::nothing();
    let (mut settings, mut exceptions, mut patches) = (None, None, Vec::new());
    for entry in root.entries().unwrap_or_default() {
        match entry.key.as_str() {
            "settings" => settings = Some(&entry.node),
            "exceptions" => exceptions = Some(&entry.node),
            "patches" => {
                for inner in table_of(entry, &mut faults) {
                    match inner.key.as_str() {
                        "directory" => read_key(&mut given, "patches", inner, &mut faults),
                        _ => read_patch(&mut patches, inner, &mut faults),
                    }
                }
            }
            _ if is_section(&entry.key) => {
                for inner in table_of(entry, &mut faults) {
                    read_key(&mut given, &entry.key, inner, &mut faults);
                }
            }
            _ => read_key(&mut given, "", entry, &mut faults),
        }
    }
    let mut guard = preset(&given.general.profile.0);
    if let Some(node) = settings {
        read_settings(&mut guard, node, "settings", &mut faults);
    }
    for (id, state) in patches {
        guard.patches.choose(&id, state);
    }
    let exceptions =
        exceptions.map(|node| exceptions::read(node, &guard, &mut faults)).unwrap_or_default();
    (finish(given, guard, exceptions), faults)
}

/// The settings of a profile.
pub(super) fn preset(name: &str) -> guard::Settings {
    let Some(settings) = guard::Settings::profile(name) else { unreachable!("{name} is one") };
    settings
}

/// Whether a section has this name.
fn is_section(name: &str) -> bool {
    !name.is_empty() && KEYS.iter().any(|key| key.section == name)
}

/// The keys of a table; none, and a fault, if it is something else.
pub(super) fn table_of<'n>(entry: &'n Entry, faults: &mut Vec<Fault>) -> &'n [Entry] {
    if let Some(entries) = entry.node.entries() {
        return entries;
    }
    let message = format!("{}: {} found, expected a table", entry.key, entry.node.found());
    faults.push(Fault { place: entry.node.place.clone(), message });
    &[]
}

fn read_key(given: &mut Given, section: &str, entry: &Entry, faults: &mut Vec<Fault>) {
    let own = || KEYS.iter().filter(|key| key.section == section);
    let Some(key) = own().find(|key| key.name == entry.key) else {
        let mut names: Vec<&str> = own().map(|key| key.name).collect();
        if section.is_empty() {
            names.extend([
                "[settings]",
                "[[exceptions]]",
                "[queue]",
                "[rules]",
                "[limits]",
                "[control]",
                "[metrics]",
                "[pix]",
                "[log]",
                "[patches]",
            ]);
        }
        faults.push(unknown_key(section, entry, &names));
        return;
    };
    if let Err(wrong) = (key.read)(given, &entry.node) {
        let path = key.path();
        faults.extend(wrong.into_iter().map(|wrong| Fault {
            place: wrong.place,
            message: format!("{path}: {}", wrong.message),
        }));
    }
}

/// What is done about one patch; whether there is such a patch is known when all are read.
fn read_patch(patches: &mut Vec<(String, State)>, entry: &Entry, faults: &mut Vec<Fault>) {
    let state = words(&entry.node).as_deref().and_then(State::named);
    if let Some(state) = state {
        return patches.push((entry.key.clone(), state));
    }
    let (id, found) = (&entry.key, entry.node.found());
    let message = format!("patches.{id}: {found} found, expected off, log or on");
    faults.push(Fault { place: entry.node.place.clone(), message });
}

/// A key that is none.
pub(super) fn unknown_key(section: &str, entry: &Entry, names: &[&str]) -> Fault {
    let place = match section {
        "" => String::new(),
        section => format!(" in [{section}]"),
    };
    let message =
        format!("unknown key `{}`{place}, expected one of {}", entry.key, names.join(", "));
    Fault { place: entry.place.clone(), message }
}

/// Settings of the guard, one by one.
pub(super) fn read_settings(
    guard: &mut guard::Settings,
    node: &Node,
    table: &str,
    faults: &mut Vec<Fault>,
) {
    let Some(entries) = node.entries() else {
        let message = format!("{table}: {} found, expected a table", node.found());
        return faults.push(Fault { place: node.place.clone(), message });
    };
    for entry in entries {
        let setting = guard::Settings::TABLE.iter().find(|setting| setting.name == entry.key);
        let Some(setting) = setting else {
            let names: Vec<_> = guard::Settings::TABLE.iter().map(|setting| setting.name).collect();
            let names = names.join(", ");
            let message = format!("unknown setting `{}`, expected one of {names}", entry.key);
            faults.push(Fault { place: entry.place.clone(), message });
            continue;
        };
        let expected = || format!("expected {}", setting.expected());
        let is_list = matches!(entry.node.value, Value::List(_));
        if setting.kind == guard::Kind::Bytes && is_list {
            // The commas of a list would be taken for bytes.
            let found = entry.node.found();
            let message =
                format!("{}: {found} found, expected one text: {}", entry.key, setting.expected());
            faults.push(Fault { place: entry.node.place.clone(), message });
            continue;
        }
        let Some(words) = words(&entry.node) else {
            let message = format!("{}: {} found, {}", entry.key, entry.node.found(), expected());
            faults.push(Fault { place: entry.node.place.clone(), message });
            continue;
        };
        if let Err(wrong) = setting.read(guard, &words) {
            let place = place_of(wrong, &entry.node);
            let message = format!("{}: \"{wrong}\" found, {}", entry.key, expected());
            faults.push(Fault { place, message });
        }
    }
    if let Some((key, message)) = guard.conflict() {
        let at = entries.iter().find(|entry| entry.key == key);
        let place = at.map_or(&node.place, |entry| &entry.node.place).clone();
        faults.push(Fault { place, message });
    }
}

/// A setting's value as the guard reads it; a list becomes its words with commas between.
fn words(node: &Node) -> Option<String> {
    match &node.value {
        Value::Text(word) => Some(word.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Fraction(number) => Some(number.clone()),
        Value::Truth(truth) => Some(truth.to_string()),
        Value::List(list) => {
            let each = |node: &Node| words(node).filter(|word| !word.is_empty());
            list.iter().map(each).collect::<Option<Vec<_>>>().map(|words| words.join(","))
        }
        Value::Table(_) | Value::Other(_) => None,
    }
}

/// Where the wrong part of a setting's value stands: in a list, the element.
fn place_of(wrong: &str, node: &Node) -> Place {
    let Value::List(list) = &node.value else { return node.place.clone() };
    let element = list.iter().find(|one| words(one).as_deref() == Some(wrong));
    element.unwrap_or(node).place.clone()
}

/// Puts together what was given, and fills in what follows other keys.
fn finish(given: Given, guard: guard::Settings, exceptions: Vec<engine::Exception>) -> Config {
    let Given { general, queue, rules, limits, control, metrics, pix, log, patches } = given;
    Config {
        profile: general.profile.0,
        engine: engine::Settings {
            ports: ports(general.ports),
            monitor: general.monitor,
            unknown_flow: general.unknown_flow,
            gaps: Gaps::Refuse,
            guard,
            exceptions,
            limits: finish_limits(&limits),
        },
        queue: finish_queue(&queue, rules.local),
        rules: Rules {
            backend: rules.backend,
            mail_hosts: rules.mail_hosts,
            local: rules.local,
            mark: rules.mark.narrow(),
            offload_mark: rules.offload_mark.narrow(),
        },
        patch_directory: patches.directory,
        sandbox: general.sandbox,
        control: Control {
            is_wanted: control.socket.is_given,
            socket: control.socket.path,
            group: control.group,
            group_may_change: control.group_may_change,
        },
        metrics: Metrics { listen: metrics.listen.map(|loopback| loopback.0) },
        pix: pix.lines,
        log: Log {
            events: log.events.map(|place| place.0),
            format: log.format,
            bytes_per_second: log.bytes_per_second.0,
        },
    }
}

fn ports(numbers: Vec<Number<1, 65_535>>) -> Vec<u16> {
    let mut ports: Vec<u16> = numbers.into_iter().map(Number::narrow).collect();
    ports.sort_unstable();
    ports.dedup();
    ports
}

fn finish_queue(given: &QueueKeys, is_local: bool) -> Queue {
    let first = given.first.narrow();
    let length: u32 = given.length.narrow();
    let wanted = u64::from(length).saturating_mul(BYTES_PER_QUEUED_PACKET);
    let usual = wanted.clamp(SOCKET_BUFFER_MIN, SOCKET_BUFFER_USUAL_MAX);
    Queue {
        first,
        last: given.last.map_or(first, Number::narrow),
        backend: given.backend,
        length,
        socket_buffer: given.socket_buffer.unwrap_or(Number(usual)).narrow(),
        // Linux sends super-packets over loopback that its queue cannot show us.
        gso: given.gso.unwrap_or(!is_local),
        fail: given.fail,
    }
}

fn finish_limits(given: &LimitsKeys) -> Limits {
    Limits {
        flows_max: given.flows_max.narrow(),
        handshakes_max: given.handshakes_max.narrow(),
        bytes_per_flow_max: given.bytes_per_flow_max.narrow(),
        store_bytes_max: given.store_bytes_max.narrow(),
        handshake_seconds: given.handshake_seconds.narrow(),
        idle_seconds: given.idle_seconds.narrow(),
        closed_seconds: given.closed_seconds.narrow(),
        orphan_resets_per_second: given.orphan_resets_per_second.narrow(),
        log_burst_bytes: given.log_burst_bytes.narrow(),
        log_flow_bytes_per_second: given.log_flow_bytes_per_second.narrow(),
    }
}

/// What the kernel charges a socket for one packet of 1,500 bytes.
const BYTES_PER_QUEUED_PACKET: u64 = 3 << 10;

/// Kernel memory we take for one queue without being asked to.
const SOCKET_BUFFER_USUAL_MAX: u64 = 32 << 20;
