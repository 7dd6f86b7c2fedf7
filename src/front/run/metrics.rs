//! Metrics for Prometheus: numbers that others count, gathered when somebody asks.
//!
//! Labels are words of a fixed list: no addresses, no names, no numbers of flows. What hellos say
//! is counted apart for so many values and no more (`engine::Heard`).

use std::ops::ControlFlow;

use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

use super::clock::Dates;
use super::counters::COUNTERS;
use super::running::Reloads;
use super::show;
use super::worker::Shared;
use crate::config::{Config, Words};
use crate::engine::{Heard, Stage, Stats};
use crate::front::nfqueue::listing;
use crate::time::Instant;

type Labels = Vec<(&'static str, String)>;

/// All metrics as they are now.
pub(super) fn text(shared: &Shared<'_>, config: &Config) -> String {
    let mut registry = Registry::default();
    let mut ours = Registered(registry.sub_registry_with_prefix("mailguard"));
    let stats = shared.engine.stats();
    about(&mut ours, shared, config);
    packets(&mut ours, &stats);
    mail(&mut ours, &stats);
    tls(&mut ours, &stats);
    flows(&mut ours, shared, &stats);
    queues(&mut ours, config);
    faults(&mut ours, shared);
    let (started, dates) = (shared.started, Dates::new(shared.clock));
    times(&mut ours, started, &shared.reloads, dates);
    process(&mut Registered(&mut registry));
    let mut text = String::new();
    // Numbers into memory: this cannot fail.
    let _ = encode(&mut text, &registry);
    text
}

/// The same in Prometheus's older text form, in which a counter's type and help bear the name that
/// its samples have: node_exporter's textfile directory and promtool read no other.
pub(super) fn classic(text: &str) -> String {
    let counters: Vec<&str> = text
        .lines()
        .filter_map(|line| line.strip_prefix("# TYPE ")?.strip_suffix(" counter"))
        .collect();
    let mut out = String::with_capacity(text.len());
    for line in text.lines().filter(|line| *line != "# EOF") {
        let mut words = line.splitn(4, ' ');
        let head = (words.next(), words.next(), words.next(), words.next());
        match head {
            (Some("#"), Some(what), Some(name), Some(rest)) if counters.contains(&name) => {
                out.push_str(&format!("# {what} {name}_total {rest}\n"));
            }
            _ => {
                out.push_str(line);
                out.push('\n');
            }
        }
    }
    out
}

/// Where metrics are put, each with the value it has.
struct Registered<'r>(&'r mut Registry);

impl Registered<'_> {
    fn counts(&mut self, name: &str, help: &str, values: impl IntoIterator<Item = (Labels, u64)>) {
        let family = Family::<Labels, Counter>::default();
        for (labels, value) in values {
            family.get_or_create(&labels).inc_by(value);
        }
        self.0.register(name, help, family);
    }

    fn count(&mut self, name: &str, help: &str, value: u64) {
        self.counts(name, help, [(Labels::new(), value)]);
    }

    fn gauges(&mut self, name: &str, help: &str, values: impl IntoIterator<Item = (Labels, u64)>) {
        let family = Family::<Labels, Gauge>::default();
        for (labels, value) in values {
            family.get_or_create(&labels).set(i64::try_from(value).unwrap_or(i64::MAX));
        }
        self.0.register(name, help, family);
    }

    fn gauge(&mut self, name: &str, help: &str, value: u64) {
        self.gauges(name, help, [(Labels::new(), value)]);
    }
}

fn one(name: &'static str, value: impl ToString) -> Labels {
    vec![(name, value.to_string())]
}

fn about(ours: &mut Registered<'_>, shared: &Shared<'_>, config: &Config) {
    let version = one("version", env!("CARGO_PKG_VERSION"));
    ours.gauges("build_info", "The program that runs", [(version, 1)]);
    let mode = vec![
        ("profile", config.profile.clone()),
        ("monitor", config.engine.monitor.to_string()),
        ("fail", config.queue.fail.word().to_owned()),
        ("backend", shared.backend().word().to_owned()),
    ];
    ours.gauges("mode_info", "How it is configured", [(mode, 1)]);
}

fn packets(ours: &mut Registered<'_>, stats: &Stats) {
    let dropped = stats.drops.values().sum();
    let verdicts =
        [("accepted", stats.accepted), ("rewritten", stats.rewritten), ("dropped", dropped)];
    let verdicts = verdicts.map(|(verdict, count)| (one("verdict", verdict), count));
    ours.counts("packets", "Packets judged, by verdict", verdicts);
    let by_reason =
        |(reason, count): (&crate::engine::Reason, &u64)| (one("reason", reason), *count);
    ours.counts("dropped_packets", "Packets dropped, by reason", stats.drops.iter().map(by_reason));
    let withheld = stats.withheld.iter().map(by_reason);
    ours.counts("withheld_packets", "Packets whose payload had to wait, by reason", withheld);
    ours.count("resets", "RSTs made", stats.resets);
    ours.count("resets_spared", "RSTs not sent because too many were due", stats.resets_spared);
}

fn mail(ours: &mut Registered<'_>, stats: &Stats) {
    let results = [("passed", stats.commands_passed), ("refused", stats.commands_refused)];
    let results = results.map(|(result, count)| (one("result", result), count));
    ours.counts("commands", "Command lines, by what became of them", results);
    ours.count("edited_bytes", "Bytes that left changed", stats.bytes_masked);
    ours.count("messages", "Messages whose end was read", stats.messages);
    ours.count("alarms", "Things that must not happen", stats.alarms);
}

fn tls(ours: &mut Registered<'_>, stats: &Stats) {
    let labelled = |name: &'static str, values: &[(&str, u64)]| {
        let label = |&(value, count): &(&str, u64)| (one(name, value), count);
        values.iter().map(label).collect::<Vec<_>>()
    };
    let offers = [
        ("made", stats.starttls_offered),
        ("missing", stats.starttls_not_offered),
        ("refused", stats.starttls_refused),
    ];
    let help = "Answers to EHLO with and without STARTTLS, and STARTTLS that was refused";
    ours.counts("starttls_offers", help, labelled("offer", &offers));
    let clear =
        [("yes", stats.mail_in_clear_unused_offer), ("no", stats.mail_in_clear_without_offer)];
    let help = "MAIL in clear, by whether STARTTLS was offered";
    ours.counts("clear_mail", help, labelled("offered", &clear));
    let versions = [
        ("1.3", stats.tls_agreed_1_3),
        ("1.2", stats.tls_agreed_1_2),
        ("1.1", stats.tls_agreed_1_1),
        ("1.0", stats.tls_agreed_1_0),
        ("other", stats.tls_agreed_other),
    ];
    let help = "Handshakes behind which both sides were under keys";
    ours.counts("tls_agreed", help, labelled("version", &versions));
    ours.count("tls_hellos", "ClientHellos let through, one a session", stats.tls_begun);
    ours.count("tls_failed", "Handshakes that came to nothing", stats.tls_failed);
    ours.count("tls_resumed", "Server hellos that resume a session", stats.tls_resumed);
    ours.count("tls_faults", "Bytes that are no TLS where TLS has to be", stats.tls_faults);
    let names = [
        ("present", stats.tls_names_present),
        ("absent", stats.tls_names_absent),
        ("odd", stats.tls_names_odd),
        ("foreign", stats.tls_names_foreign),
    ];
    ours.counts("tls_names", "ClientHellos, by the name in them", labelled("name", &names));
    let heard = |label: fn(&Heard) -> Option<Labels>| {
        let one = move |(heard, count): (&Heard, &u64)| Some((label(heard)?, *count));
        stats.tls.iter().filter_map(one).collect::<Vec<_>>()
    };
    let suites =
        heard(|heard| matches!(heard, Heard::Suite(_)).then(|| one("suite", heard.label())));
    ours.counts("tls_suites", "Server hellos, by cipher suite", suites);
    let groups =
        heard(|heard| matches!(heard, Heard::Group(_)).then(|| one("group", heard.label())));
    ours.counts("tls_groups", "Server hellos of TLS 1.3, by group", groups);
    let protocols =
        heard(|heard| matches!(heard, Heard::Protocol(_)).then(|| one("alpn", heard.label())));
    ours.counts("tls_protocols", "ClientHellos that offer protocols, by the first", protocols);
    let looks =
        heard(|heard| matches!(heard, Heard::Fingerprint(_)).then(|| one("ja4", heard.label())));
    ours.counts("tls_fingerprints", "ClientHellos, by what they look like", looks);
    let alerts = heard(|heard| {
        let Heard::Alert(side, _) = heard else { return None };
        Some(vec![("side", side.name().to_owned()), ("alert", heard.label())])
    });
    ours.counts("tls_alerts", "Alerts in clear", alerts);
}

fn flows(ours: &mut Registered<'_>, shared: &Shared<'_>, stats: &Stats) {
    let mut stages = Stage::ALL.map(|stage| (stage, 0));
    let mut all = 0_u64;
    shared.engine.flows(shared.clock.now(), |seen| {
        all += 1;
        if let Some((_, count)) = stages.iter_mut().find(|(stage, _)| *stage == seen.stage) {
            *count += 1;
        }
        show::give_way(all);
        ControlFlow::Continue(())
    });
    let stages = stages.map(|(stage, count)| (one("state", stage.name()), count));
    ours.gauges("flows", "Connections, by state", stages);
    let (flows_max, store_max) = (shared.engine.flows_max(), shared.engine.store_bytes_max());
    ours.gauge("flows_limit", "Connections there is room for", flows_max as u64);
    ours.count("flows_opened", "Connections opened", stats.flows);
    ours.count("flows_evicted", "Connections that had to make room", stats.flows_evicted);
    ours.count("handshakes_evicted", "Handshakes that had to make room", stats.handshakes_evicted);
    let help = "Bytes kept until they are acknowledged";
    ours.gauge("store_bytes", help, stats.store_bytes_now);
    ours.gauge("store_limit_bytes", "Bytes there is room for", store_max as u64);
}

fn queues(ours: &mut Registered<'_>, config: &Config) {
    let entries = show::queues(config);
    let waiting = entries.iter().map(|entry| (one("queue", entry.number), entry.waiting));
    ours.gauges("queue_waiting_packets", "Packets that wait in the kernel", waiting);
    let limit = u64::from(config.queue.length);
    let limits = config.queue_numbers().map(|number| (one("queue", number), limit));
    ours.gauges("queue_limit_packets", "Packets the kernel keeps", limits);
    let dropped = entries.iter().flat_map(|entry: &listing::Entry| {
        let labels =
            |cause: &str| vec![("queue", entry.number.to_string()), ("cause", cause.to_owned())];
        [(labels("queue-full"), entry.queue_dropped), (labels("buffer-full"), entry.user_dropped)]
    });
    ours.counts("queue_dropped_packets", "Packets the kernel dropped", dropped);
}

fn faults(ours: &mut Registered<'_>, shared: &Shared<'_>) {
    let value = |name: &str| {
        let counter = COUNTERS.iter().find(|counter| counter.name == name);
        counter.map_or(0, |counter| (counter.value)(shared))
    };
    let kinds = [
        ("late", "answers_late"),
        ("unanswered", "answers_refused"),
        ("overrun", "overruns"),
        ("undelivered", "packets_undelivered"),
        ("truncated", "packets_truncated"),
        ("oversized", "packets_oversized"),
    ];
    let kinds = kinds.map(|(kind, name)| (one("kind", kind), value(name)));
    ours.counts("queue_faults", "What went wrong with the kernel's queue", kinds);
    ours.count("resets_sent", "RSTs sent", value("resets_sent"));
    ours.count("rst_failures", "RSTs that could not be sent", value("resets_unsent"));
    ours.count("panics", "How often judging a packet panicked", value("panics"));
    let lost = [("lost", value("events_lost")), ("left-out", value("events_left_out"))];
    let lost = lost.map(|(cause, count)| (one("cause", cause), count));
    ours.counts("events_lost", "Entries that are not in the event log", lost);
}

/// When it was started and when configured, by the wall clock.
fn times(ours: &mut Registered<'_>, started: Instant, reloads: &Reloads, dates: Dates) {
    let results = [("done", reloads.done()), ("failed", reloads.failed())];
    let results = results.map(|(result, count)| (one("result", result), count));
    ours.counts("config_reloads", "How often the configuration was read anew", results);
    let (last, is_good) = reloads.last().unwrap_or((started, true));
    let help = "When it was last read, seconds of the epoch";
    ours.gauge("config_last_reload_timestamp_seconds", help, dates.of(last).seconds());
    let help = "Whether that went well";
    ours.gauge("config_last_reload_successful", help, u64::from(is_good));
    let help = "When it was started, seconds of the epoch";
    ours.gauge("start_timestamp_seconds", help, dates.of(started).seconds());
}

/// What every program tells, under the names that all of them use.
fn process(all: &mut Registered<'_>) {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    let pages = statm.split(' ').nth(1).and_then(|pages| pages.parse::<u64>().ok()).unwrap_or(0);
    let page = rustix::param::page_size() as u64;
    all.gauge("process_resident_memory_bytes", "Resident memory", pages.saturating_mul(page));
    let files = std::fs::read_dir("/proc/self/fd").map_or(0, |files| files.count() as u64);
    all.gauge("process_open_fds", "Open files", files);
}

#[cfg(test)]
mod tests {
    use super::super::clock::Clock;
    use super::*;

    #[test]
    fn times_are_dates_of_the_wall_clock_though_it_was_set_since() {
        let clock = Clock::going_on(Instant::from_seconds(1_000), 0);
        let reloads = Reloads::default();
        let shown = || {
            let mut registry = Registry::default();
            times(&mut Registered(&mut registry), clock.now(), &reloads, Dates::new(clock));
            let mut text = String::new();
            encode(&mut text, &registry).unwrap();
            let of = |name: &str| {
                let line = text.lines().find_map(|line| line.strip_prefix(name)).unwrap();
                line.trim().parse::<u64>().unwrap()
            };
            [of("start_timestamp_seconds "), of("config_last_reload_timestamp_seconds ")]
        };
        let is_date = |seconds: u64| Clock::start().now().seconds().abs_diff(seconds) < 60;
        assert!(shown().into_iter().all(is_date));
        reloads.note(clock.now(), false);
        assert!(shown().into_iter().all(is_date));
    }

    #[test]
    fn the_older_form_names_counters_as_their_samples() {
        let mut registry = Registry::default();
        let mut ours = Registered(registry.sub_registry_with_prefix("mailguard"));
        ours.counts(
            "commands",
            "Command lines, by what became of them",
            [(one("x", "counter"), 3)],
        );
        ours.gauge("commands_limit", "Their bound", 7);
        let mut text = String::new();
        encode(&mut text, &registry).unwrap();
        assert_eq!(
            classic(&text),
            "# HELP mailguard_commands_total Command lines, by what became of them.\n\
             # TYPE mailguard_commands_total counter\n\
             mailguard_commands_total{x=\"counter\"} 3\n\
             # HELP mailguard_commands_limit Their bound.\n\
             # TYPE mailguard_commands_limit gauge\n\
             mailguard_commands_limit 7\n"
        );
    }
}
