//! How a running filter is shown: the texts and objects of the control socket.

use std::fmt::Write;
use std::net::IpAddr;
use std::ops::ControlFlow;

use serde_json::json;

use super::counters::COUNTERS;
use super::running::Running;
use super::worker::Shared;
use crate::config::{Config, Words};
use crate::engine::{Seen, Stage};
use crate::flow::{Direction, FlowId, Network};
use crate::front::control::ANSWER_MAX;
use crate::front::nfqueue::listing;
use crate::front::{Form, duration};
use crate::smtp::Verb;

/// How it is, in a few lines.
pub(super) fn status(shared: &Shared<'_>, running: &Running<'_>, form: Form) -> String {
    let (config, waiting) = (&running.config().clone(), running.waiting());
    let trouble = shared.events.trouble();
    let stats = shared.engine.stats();
    let since = shared.clock.now().seconds().saturating_sub(shared.started.seconds());
    let (flows_max, store_max) = (shared.engine.flows_max(), shared.engine.store_bytes_max());
    let ports: Vec<String> = config.engine.ports.iter().map(ToString::to_string).collect();
    let ports = if ports.is_empty() { "none".to_owned() } else { ports.join(", ") };
    let version = env!("CARGO_PKG_VERSION");
    if form == Form::Json {
        return json!({
            "version": version, "profile": config.profile, "ports": config.engine.ports,
            "monitor": config.engine.monitor, "seconds": since, "flows": stats.flows_now,
            "flows_max": flows_max, "store_bytes": stats.store_bytes_now,
            "store_bytes_max": store_max, "reloads": shared.reloads.done(),
            "reloads_failed": shared.reloads.failed(), "settings": config.digest(),
            "pending": waiting, "events": config.log.events, "events_trouble": trouble,
        })
        .to_string();
    }
    let mut text = format!("mailguard {version}, up {}\n", duration(since));
    let mode = if config.engine.monitor { ", monitoring only" } else { "" };
    let fail = config.queue.fail.word();
    let _ = writeln!(text, "profile {}, ports {ports}, fail {fail}{mode}", config.profile);
    for entry in queues(config) {
        let listing::Entry { number, waiting, queue_dropped, user_dropped, .. } = entry;
        let dropped = queue_dropped + user_dropped;
        let length = config.queue.length;
        let _ = writeln!(
            text,
            "queue {number}: {waiting} of {length} packets waiting, {dropped} dropped by the kernel"
        );
    }
    let _ = writeln!(text, "connections: {} of {flows_max}", stats.flows_now);
    let held = stats.store_bytes_now;
    let _ = writeln!(text, "unacknowledged bytes: {held} of {store_max}");
    let _ = writeln!(text, "messages: {}", stats.messages);
    let _ = writeln!(
        text,
        "commands: {} passed, {} refused",
        stats.commands_passed, stats.commands_refused
    );
    let _ =
        writeln!(text, "reloads: {}, {} failed", shared.reloads.done(), shared.reloads.failed());
    let events = config.log.events.as_deref().unwrap_or("nowhere");
    let (lost, left_out) = (shared.events.lost(), shared.events.left_out());
    let _ = writeln!(text, "events: written to {events}, {lost} lost, {left_out} left out");
    let trouble = trouble.map(|what| format!("event log: {what}"));
    for line in trouble.into_iter().chain(waiting) {
        let _ = writeln!(text, "{line}");
    }
    text
}

/// The kernel's queues that are ours; none where it does not tell.
pub(super) fn queues(config: &Config) -> Vec<listing::Entry> {
    let served = config.queue.first..=config.queue.last;
    let entries = listing::read().unwrap_or_default();
    entries.into_iter().filter(|entry| served.contains(&entry.number)).collect()
}

/// Every counter.
pub(super) fn stats(shared: &Shared<'_>, form: Form) -> String {
    let stats = shared.engine.stats();
    let mut rows: Vec<(String, u64, String)> = Vec::new();
    for counter in stats.counters() {
        rows.push((counter.name.to_owned(), counter.value, counter.help.to_owned()));
    }
    for counter in COUNTERS {
        rows.push((counter.name.to_owned(), (counter.value)(shared), counter.help.to_owned()));
    }
    for (reason, count) in &stats.drops {
        rows.push((format!("dropped:{reason}"), *count, "Packets dropped for this".to_owned()));
    }
    for (reason, count) in &stats.withheld {
        rows.push((
            format!("held-back:{reason}"),
            *count,
            "Payloads held back for this".to_owned(),
        ));
    }
    for (rule, count) in &stats.rules {
        rows.push((format!("rule:{rule}"), *count, "Times this rule had its way".to_owned()));
    }
    for ((patch, deed), count) in &stats.patches {
        let help = "Times this patch did so".to_owned();
        rows.push((format!("patch:{patch}:{}", deed.name()), *count, help));
    }
    for (heard, count) in &stats.tls {
        let name = format!("{}:{}", heard.family(), heard.label());
        rows.push((name, *count, heard.help().to_owned()));
    }
    let mut text = String::new();
    for (name, value, help) in rows {
        let _ = match form {
            Form::Text => writeln!(text, "{name:28} {value:>12}  {help}"),
            Form::Json => writeln!(text, "{}", json!({ "name": name, "value": value })),
        };
    }
    text
}

/// Which flows are asked for.
#[derive(Debug)]
pub(super) struct Wanted {
    client: Option<Network>,
    server: Option<Network>,
    stage: Option<Stage>,
    limit: usize,
}

impl Wanted {
    /// Reads `--client NET`, `--server NET`, `--state STATE`, `--limit N`.
    ///
    /// # Errors
    /// What was found and expected.
    pub(super) fn parse(words: &str) -> Result<Self, String> {
        let mut wanted = Self { client: None, server: None, stage: None, limit: LISTED };
        let mut words = words.split_whitespace();
        while let Some(name) = words.next() {
            let value =
                words.next().ok_or_else(|| format!("{name}: expected a value behind it"))?;
            match name {
                "--client" => wanted.client = Some(value.parse()?),
                "--server" => wanted.server = Some(value.parse()?),
                "--state" => wanted.stage = Some(stage_named(value)?),
                "--limit" => {
                    let number = value.parse().map_err(|_| "--limit: expected a number")?;
                    wanted.limit = number;
                }
                _ => {
                    return Err(format!(
                        "`{name}` found, expected --client, --server, --state or --limit"
                    ));
                }
            }
        }
        Ok(wanted)
    }

    fn is_met_by(&self, seen: &Seen) -> bool {
        let is_in = |network: Option<Network>, address: IpAddr| {
            network.is_none_or(|network| network.contains(address))
        };
        is_in(self.client, seen.client.address)
            && is_in(self.server, seen.server.address)
            && self.stage.is_none_or(|stage| stage == seen.stage)
    }
}

fn stage_named(name: &str) -> Result<Stage, String> {
    let found = Stage::ALL.into_iter().find(|stage| stage.name() == name);
    found.ok_or_else(|| {
        let names = Stage::ALL.map(Stage::name).join(", ");
        format!("--state: `{name}` found, expected one of {names}")
    })
}

/// The flows that are wanted, a line each.
pub(super) fn flows(shared: &Shared<'_>, wanted: &Wanted, form: Form) -> String {
    let mut text = String::new();
    if form == Form::Text {
        let _ = writeln!(
            text,
            "{:<9} {:24} {:24} {:9} {:9} {:9} {:<10} {:<10} {:9} done",
            "id", "client", "server", "state", "age", "idle", "in", "out", "last"
        );
    }
    let (mut shown, mut more) = (0, 0_u64);
    shared.engine.flows(shared.clock.now(), |seen| {
        if !wanted.is_met_by(&seen) {
            return ControlFlow::Continue(());
        }
        if shown < wanted.limit && text.len() <= ANSWER_MAX {
            shown += 1;
            text.push_str(&match form {
                Form::Text => line(&seen),
                Form::Json => object(&seen),
            });
        } else {
            more += 1;
        }
        give_way(shown as u64 + more);
        ControlFlow::Continue(())
    });
    if more > 0 {
        let _ = match form {
            Form::Text => writeln!(text, "and {more} more (--limit)"),
            Form::Json => writeln!(text, "{}", json!({ "more": more })),
        };
    }
    text
}

/// All there is to know of one flow; nothing if there is none of this number.
pub(super) fn flow(shared: &Shared<'_>, id: FlowId, form: Form) -> Option<String> {
    let mut found = None;
    shared.engine.flows(shared.clock.now(), |seen| {
        if seen.id == id {
            found = Some(seen);
            return ControlFlow::Break(());
        }
        ControlFlow::Continue(())
    });
    let seen = found?;
    if form == Form::Json {
        return Some(object(&seen));
    }
    let (age, idle) = (duration(seen.age_seconds), duration(seen.idle_seconds));
    let (sent, answered) = (seen.bytes[Direction::Original], seen.bytes[Direction::Reply]);
    Some(format!(
        "connection {id}: client {}, server {}\nstate {}, open for {age}, silent for {idle}\n\
         bytes: {sent} of the client, {answered} of the server, {} of memory\n\
         last command: {}\ndone: {}\n",
        seen.client,
        seen.server,
        seen.stage.name(),
        seen.held,
        seen.last.map_or("none", Verb::name),
        deeds(&seen)
    ))
}

/// The kernel's queues, a line each.
pub(super) fn queue_table(config: &Config, form: Form) -> String {
    let mut text = String::new();
    if form == Form::Text {
        text.push_str("queue  waiting  of       queue full  buffer full\n");
    }
    for entry in queues(config) {
        let listing::Entry { number, waiting, queue_dropped, user_dropped, .. } = entry;
        let length = config.queue.length;
        let _ = match form {
            Form::Text => writeln!(
                text,
                "{number:<6} {waiting:<8} {length:<8} {queue_dropped:<11} {user_dropped}"
            ),
            Form::Json => {
                let object = json!({
                    "queue": number, "waiting": waiting, "length": length,
                    "dropped_queue_full": queue_dropped, "dropped_buffer_full": user_dropped,
                });
                writeln!(text, "{object}")
            }
        };
    }
    text
}

fn line(seen: &Seen) -> String {
    let Seen { id, client, server, .. } = seen;
    let (age, idle) = (duration(seen.age_seconds), duration(seen.idle_seconds));
    let (sent, answered) = (seen.bytes[Direction::Original], seen.bytes[Direction::Reply]);
    let last = seen.last.map_or("-", Verb::name);
    let stage = seen.stage.name();
    let (client, server) = (client.to_string(), server.to_string());
    format!(
        "{id:<9} {client:24} {server:24} {stage:9} {age:9} {idle:9} {sent:<10} {answered:<10} \
         {last:9} {}\n",
        deeds(seen)
    )
}

/// What was done to a flow, in words.
fn deeds(seen: &Seen) -> String {
    let deeds = seen.deeds;
    let mut done: Vec<String> = Vec::new();
    if deeds.refused > 0 {
        done.push(format!("{} refused", deeds.refused));
    }
    if deeds.edited > 0 {
        done.push(format!("{} edited", deeds.edited));
    }
    if seen.is_monitored {
        done.push("monitored".to_owned());
    }
    if done.is_empty() { "nothing".to_owned() } else { done.join(", ") }
}

fn object(seen: &Seen) -> String {
    let object = json!({
        "id": seen.id, "client": seen.client.to_string(), "server": seen.server.to_string(),
        "state": seen.stage.name(), "age": seen.age_seconds, "idle": seen.idle_seconds,
        "in": seen.bytes[Direction::Original], "out": seen.bytes[Direction::Reply],
        "held": seen.held, "last": seen.last.map(Verb::name), "refused": seen.deeds.refused,
        "edited": seen.deeds.edited, "monitored": seen.is_monitored,
    });
    format!("{object}\n")
}

/// How much is told of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Detail {
    Short,
    Long,
}

/// `show conn`, as an ASA writes it. The client is called outside, as in the log.
pub(super) fn connections(shared: &Shared<'_>, detail: Detail) -> String {
    let mut lines = String::new();
    let mut count = 0;
    shared.engine.flows(shared.clock.now(), |seen| {
        count += 1;
        if count <= LISTED {
            let (client, server) = (seen.client, seen.server);
            let bytes = seen.bytes[Direction::Original] + seen.bytes[Direction::Reply];
            let flags = flags(&seen);
            let _ = match detail {
                Detail::Short => {
                    let idle = duration(seen.idle_seconds);
                    writeln!(
                        lines,
                        "TCP outside {client} inside {server}, idle {idle}, bytes {bytes}, flags \
                         {flags}"
                    )
                }
                Detail::Long => {
                    let end = |end: crate::flow::Endpoint| format!("{}/{}", end.address, end.port);
                    let (client, server) = (end(client), end(server));
                    let (idle, age) = (seen.idle_seconds, seen.age_seconds);
                    writeln!(
                        lines,
                        "TCP outside: {client} ({client}) inside: {server} ({server}), flags \
                         {flags} , idle {idle}s, uptime {age}s, bytes {bytes}"
                    )
                }
            };
        }
        ControlFlow::Continue(())
    });
    let most = shared.engine.flows_most().max(count);
    format!("{count} in use, {most} most used\n{lines}")
}

/// U up, B opened from outside, I and O data inward and outward, M mail; f or R where it ends.
fn flags(seen: &Seen) -> String {
    let mut flags = String::from("U");
    for (flag, is_set) in [
        ('I', seen.bytes[Direction::Original] > 0),
        ('O', seen.bytes[Direction::Reply] > 0),
        ('B', true),
        ('f', seen.stage == Stage::Closing),
        ('R', seen.stage == Stage::Reset),
        ('M', seen.stage != Stage::Tls),
    ] {
        if is_set {
            flags.push(flag);
        }
    }
    flags
}

/// `show service-policy`: every packet of mail is one of the inspection's.
pub(super) fn service_policy(shared: &Shared<'_>) -> String {
    let stats = shared.engine.stats();
    let dropped: u64 = stats.drops.values().sum();
    format!(
        "Global policy: \n  Service-policy: global_policy\n    Class-map: inspection_default\n\
         \u{20}     Inspect: esmtp _default_esmtp_map, packet {}, lock fail 0, drop {dropped}, \
         reset-drop {}\n",
        stats.packets, stats.resets
    )
}

/// Whoever judges packets goes first where there are few processors.
pub(super) fn give_way(flows: u64) {
    if flows.is_multiple_of(SLICE) {
        std::thread::yield_now();
    }
}

/// Flows that are listed where nobody says how many.
const LISTED: usize = 1_000;

/// Flows that are looked at between two pauses.
const SLICE: u64 = 256;
