//! The shape of the configuration file: keys, types, bounds, defaults.
//!
//! Serde checks what can be seen in one value; what concerns several is checked in
//! [`Document::into_config`], whose faults name the key at fault by its path.

use std::collections::BTreeMap;
use std::fmt;

use serde::de::{self, Unexpected};
use serde::{Deserialize, Deserializer};

use super::exceptions::ExceptionTable;
use super::{Backend, Config, Fail, Log, Queue, Rules};
use crate::engine::{self, Gaps, Limits, UnknownFlow};
use crate::event::Format;
use crate::flow::Network;
use crate::guard;

/// The file, key by key.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, expecting = "a table")]
pub(super) struct Document {
    profile: Option<String>,
    #[serde(default)]
    settings: BTreeMap<String, toml::Value>,
    #[serde(default)]
    ports: Option<Vec<Number<1, 65_535>>>,
    #[serde(default)]
    monitor: bool,
    unknown_flow: Option<UnknownFlowWord>,
    #[serde(default)]
    exceptions: Vec<ExceptionTable>,
    #[serde(default)]
    queue: QueueTable,
    #[serde(default)]
    rules: RulesTable,
    #[serde(default)]
    limits: LimitsTable,
    #[serde(default)]
    log: LogTable,
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
enum UnknownFlowWord {
    Reset,
    Drop,
    Pass,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, expecting = "a table")]
struct QueueTable {
    first: Option<Number<0, 65_535>>,
    last: Option<Number<0, 65_535>>,
    #[serde(default)]
    backend: Backend,
    length: Option<Number<1, 1_048_576>>,
    socket_buffer: Option<Number<SOCKET_BUFFER_MIN, SOCKET_BUFFER_MAX>>,
    gso: Option<bool>,
    fail: Option<Fail>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, expecting = "a table")]
struct RulesTable {
    #[serde(default)]
    mail_hosts: Vec<Network>,
    #[serde(default)]
    local: bool,
    mark: Option<Number<1, 0xffff_ffff>>,
    offload_mark: Option<Number<1, 0xffff_ffff>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, expecting = "a table")]
struct LimitsTable {
    flows_max: Option<Number<1, 16_777_216>>,
    handshakes_max: Option<Number<1, 16_777_216>>,
    bytes_per_flow_max: Option<Number<65_536, BYTES_MAX>>,
    store_bytes_max: Option<Number<1_048_576, BYTES_MAX>>,
    handshake_seconds: Option<Number<1, 3_600>>,
    idle_seconds: Option<Number<1, 2_678_400>>,
    closed_seconds: Option<Number<1, 3_600>>,
    orphan_resets_per_second: Option<Number<0, 1_000_000>>,
    log_burst_bytes: Option<Number<1_024, 0xffff_ffff>>,
    log_flow_bytes_per_second: Option<Number<0, 0xffff_ffff>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, expecting = "a table")]
struct LogTable {
    events: Option<String>,
    #[serde(default)]
    format: Format,
    bytes_per_second: Option<Number<1_024, BYTES_MAX>>,
}

/// What is wrong about several values together, or by another module's judgement.
#[derive(Debug)]
pub(super) struct Fault {
    /// The key at fault, section first.
    pub(super) path: Vec<String>,
    /// What was found and expected.
    pub(super) message: String,
}

impl Fault {
    pub(super) fn new(path: &[&str], message: String) -> Self {
        Self { path: path.iter().map(|&name| name.to_owned()).collect(), message }
    }

    /// The same fault in a table of this list.
    pub(super) fn within(self, list: &str, number: usize) -> Self {
        let mut path = vec![list.to_owned(), number.to_string()];
        path.extend(self.path);
        Self { path, message: format!("{list}: {}", self.message) }
    }
}

impl Document {
    /// Fills in defaults and checks what serde could not.
    pub(super) fn into_config(self) -> Result<Config, Fault> {
        let profile = self.profile.unwrap_or_else(|| PROFILE.to_owned());
        let engine = engine::Settings {
            ports: ports(self.ports)?,
            monitor: self.monitor,
            unknown_flow: match self.unknown_flow {
                Some(UnknownFlowWord::Drop) => UnknownFlow::Drop,
                Some(UnknownFlowWord::Pass) => UnknownFlow::Pass,
                Some(UnknownFlowWord::Reset) | None => UnknownFlow::Reset,
            },
            guard: guard_settings(&profile, &self.settings)?,
            exceptions: self
                .exceptions
                .into_iter()
                .enumerate()
                .map(|(number, exception)| {
                    let exception = exception.into_exception(&profile, &self.settings);
                    exception.map_err(|fault| fault.within("exceptions", number))
                })
                .collect::<Result<_, _>>()?,
            limits: self.limits.into_limits()?,
            gaps: Gaps::Refuse,
        };
        let log = Log {
            events: self.log.events,
            format: self.log.format,
            bytes_per_second: self.log.bytes_per_second.map_or(LOG_BYTES_PER_SECOND, |n| n.0),
        };
        let (queue, rules) = (self.queue.into_queue(self.rules.local)?, self.rules.into_rules()?);
        Ok(Config { profile, engine, queue, rules, log })
    }
}

fn ports(numbers: Option<Vec<Number<1, 65_535>>>) -> Result<Vec<u16>, Fault> {
    let Some(numbers) = numbers else { return Ok(vec![SMTP_PORT]) };
    let mut ports: Vec<u16> = numbers.into_iter().map(Number::narrow).collect();
    ports.sort_unstable();
    ports.dedup();
    match ports.len() {
        0 => Err(Fault::new(&["ports"], "ports: none given, expected at least one".to_owned())),
        _ => Ok(ports),
    }
}

pub(super) fn guard_settings(
    profile: &str,
    settings: &BTreeMap<String, toml::Value>,
) -> Result<guard::Settings, Fault> {
    let mut guard = guard::Settings::profile(profile).ok_or_else(|| {
        let known = guard::Settings::PROFILES.join(", ");
        let message = format!("unknown profile `{profile}`, expected one of {known}");
        Fault::new(&["profile"], message)
    })?;
    for (key, value) in settings {
        let path = ["settings", key];
        let word = word(value).ok_or_else(|| {
            let message = format!("{key}: {} found, expected a word or a number", value.type_str());
            Fault::new(&path, message)
        })?;
        guard.set(key, &word).map_err(|message| Fault::new(&path, message))?;
    }
    if let Some((key, message)) = guard.conflict() {
        return Err(Fault::new(&["settings", key], message));
    }
    Ok(guard)
}

/// A setting's value as the guard reads it; a list becomes its words with commas between.
fn word(value: &toml::Value) -> Option<String> {
    match value {
        toml::Value::String(word) => Some(word.clone()),
        toml::Value::Integer(number) => Some(number.to_string()),
        toml::Value::Boolean(truth) => Some(truth.to_string()),
        toml::Value::Array(list) => {
            list.iter().map(word).collect::<Option<Vec<_>>>().map(|words| words.join(","))
        }
        toml::Value::Float(_) | toml::Value::Datetime(_) | toml::Value::Table(_) => None,
    }
}

impl QueueTable {
    fn into_queue(self, is_local: bool) -> Result<Queue, Fault> {
        let first = self.first.map_or(0, Number::narrow);
        let last = self.last.map_or(first, Number::narrow);
        if last < first || last - first >= QUEUES_MAX {
            let highest = first.saturating_add(QUEUES_MAX - 1);
            let message = format!("queue.last: {last} found, expected {first} to {highest}");
            return Err(Fault::new(&["queue", "last"], message));
        }
        let length: u32 = self.length.map_or(QUEUE_LENGTH, Number::narrow);
        let wanted = u64::from(length).saturating_mul(BYTES_PER_QUEUED_PACKET);
        let default = wanted.clamp(SOCKET_BUFFER_MIN, SOCKET_BUFFER_DEFAULT_MAX);
        Ok(Queue {
            first,
            last,
            backend: self.backend,
            length,
            socket_buffer: self.socket_buffer.unwrap_or(Number(default)).narrow(),
            // Linux sends super-packets over loopback that its queue cannot show us.
            gso: self.gso.unwrap_or(!is_local),
            fail: self.fail.unwrap_or(Fail::Closed),
        })
    }
}

impl RulesTable {
    fn into_rules(self) -> Result<Rules, Fault> {
        let mark: u32 = self.mark.map_or(MARK, Number::narrow);
        let offload_mark: u32 = self.offload_mark.map_or(OFFLOAD_MARK, Number::narrow);
        if mark & offload_mark != 0 {
            let message = format!(
                "rules.offload_mark: {offload_mark:#x} found, expected bits that rules.mark \
                 ({mark:#x}) does not use"
            );
            return Err(Fault::new(&["rules", "offload_mark"], message));
        }
        Ok(Rules { mail_hosts: self.mail_hosts, local: self.local, mark, offload_mark })
    }
}

impl LimitsTable {
    fn into_limits(self) -> Result<Limits, Fault> {
        let d = Limits::default();
        let limits = Limits {
            flows_max: self.flows_max.map_or(d.flows_max, Number::narrow),
            handshakes_max: self.handshakes_max.map_or(d.handshakes_max, Number::narrow),
            bytes_per_flow_max: self
                .bytes_per_flow_max
                .map_or(d.bytes_per_flow_max, Number::narrow),
            store_bytes_max: self.store_bytes_max.map_or(d.store_bytes_max, Number::narrow),
            handshake_seconds: self.handshake_seconds.map_or(d.handshake_seconds, Number::narrow),
            idle_seconds: self.idle_seconds.map_or(d.idle_seconds, Number::narrow),
            closed_seconds: self.closed_seconds.map_or(d.closed_seconds, Number::narrow),
            orphan_resets_per_second: self
                .orphan_resets_per_second
                .map_or(d.orphan_resets_per_second, Number::narrow),
            log_burst_bytes: self.log_burst_bytes.map_or(d.log_burst_bytes, Number::narrow),
            log_flow_bytes_per_second: self
                .log_flow_bytes_per_second
                .map_or(d.log_flow_bytes_per_second, Number::narrow),
        };
        if limits.store_bytes_max < limits.bytes_per_flow_max {
            let message = format!(
                "limits.store_bytes_max: {} found, expected at least limits.bytes_per_flow_max, {}",
                limits.store_bytes_max, limits.bytes_per_flow_max
            );
            return Err(Fault::new(&["limits", "store_bytes_max"], message));
        }
        Ok(limits)
    }
}

/// A whole number within bounds.
#[derive(Clone, Copy, Debug)]
struct Number<const LOW: u64, const HIGH: u64>(u64);

impl<const LOW: u64, const HIGH: u64> Number<LOW, HIGH> {
    /// The number in a type that the caller chose to hold `HIGH`.
    fn narrow<T: TryFrom<u64>>(self) -> T {
        let Ok(value) = T::try_from(self.0) else {
            unreachable!("{HIGH} fits the field");
        };
        value
    }
}

impl<'de, const LOW: u64, const HIGH: u64> Deserialize<'de> for Number<LOW, HIGH> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_i64(NumberVisitor)
    }
}

struct NumberVisitor<const LOW: u64, const HIGH: u64>;

impl<const LOW: u64, const HIGH: u64> de::Visitor<'_> for NumberVisitor<LOW, HIGH> {
    type Value = Number<LOW, HIGH>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a whole number from {LOW} to {HIGH}")
    }

    fn visit_i64<E: de::Error>(self, value: i64) -> Result<Self::Value, E> {
        let number = u64::try_from(value).ok().filter(|number| (LOW..=HIGH).contains(number));
        number.map(Number).ok_or_else(|| E::invalid_value(Unexpected::Signed(value), &self))
    }

    fn visit_u64<E: de::Error>(self, value: u64) -> Result<Self::Value, E> {
        let number = Some(value).filter(|number| (LOW..=HIGH).contains(number));
        number.map(Number).ok_or_else(|| E::invalid_value(Unexpected::Unsigned(value), &self))
    }
}

const PROFILE: &str = "mailguard";

/// RFC 5321 2.3.
const SMTP_PORT: u16 = 25;

/// Threads are one a queue; nobody has more processors to give.
const QUEUES_MAX: u16 = 64;

/// Packets; 8,192 of 3 KiB lasted through a burst of 10,000 a second at 300 us each.
const QUEUE_LENGTH: u32 = 8_192;

/// What the kernel charges a socket for one packet of 1,500 bytes.
const BYTES_PER_QUEUED_PACKET: u64 = 3 << 10;

/// Room for one packet; the kernel takes no less than about half of it.
const SOCKET_BUFFER_MIN: u64 = 4_096;

/// Kernel memory we take for one queue without being asked to.
const SOCKET_BUFFER_DEFAULT_MAX: u64 = 32 << 20;

/// The kernel doubles the figure and keeps it in a signed 32-bit number.
const SOCKET_BUFFER_MAX: u64 = 1 << 29;

/// 2,000 messages a second at 20 lines of 100 bytes; a disk of 100 GB lasts seven hours.
const LOG_BYTES_PER_SECOND: u64 = 4 << 20;

/// Memory no gateway has to give.
const BYTES_MAX: u64 = 1 << 40;

/// A bit apart from those that routing and containers are known to use.
const MARK: u32 = 0x1000_0000;

/// The bit beside it.
const OFFLOAD_MARK: u32 = 0x2000_0000;
