//! What is wrong about several values together: contradictions, and mixes that are dangerous though
//! each value is right by itself.

use super::report::Fault;
use super::tree::{Node, Place};
use super::{Config, Fail};
use crate::engine::{self, Exception, Treatment};
use crate::flow::Network;
use crate::guard::{EnvelopeRules, ProxyProtocol, Settings, StartTls, Tls, Unit};
use crate::smtp::{DataBegins, Verb};

/// Faults, each to be placed where the first of its keys was given.
struct Faults<'r> {
    root: &'r Node,
    found: Vec<Fault>,
}

impl Faults<'_> {
    fn add(&mut self, paths: &[&[&str]], message: String) {
        let given = paths.iter().find_map(|path| self.root.at(path));
        let place = given.map_or(Place::Nowhere, |node| node.place.clone());
        self.found.push(Fault { place, message });
    }
}

/// What is wrong about a configuration whose values are right by themselves; `root` says where they
/// were given.
pub(super) fn examine(config: &Config, root: &Node) -> Vec<Fault> {
    let mut faults = Faults { root, found: Vec::new() };
    queue(config, &mut faults);
    rules(config, &mut faults);
    limits(config, &mut faults);
    guard(&config.engine.guard, &["settings"], &mut faults);
    proxies(&config.engine, &mut faults);
    exceptions(&config.engine.exceptions, &mut faults);
    hands_off_in_blocks(&config.engine.exceptions, &mut faults);
    faults.found
}

fn queue(config: &Config, faults: &mut Faults<'_>) {
    let queue = &config.queue;
    if queue.last < queue.first || queue.last - queue.first >= QUEUES_MAX {
        let highest = queue.first.saturating_add(QUEUES_MAX - 1);
        let (first, last) = (queue.first, queue.last);
        let message = format!("queue.last: {last} found, expected {first} to {highest}");
        faults.add(&[&["queue", "last"], &["queue", "first"]], message);
    }
    if queue.gso && config.rules.local {
        let message = "queue.gso: true found beside rules.local = true, expected false: the queue \
                       cannot show the super-packets of loopback";
        faults.add(&[&["queue", "gso"]], message.to_owned());
    }
    if config.engine.monitor && queue.fail == Fail::Closed && config.engine.ports.is_empty() {
        let message = "monitor: true found, but no ports: expected one or the other";
        faults.add(&[&["monitor"], &["ports"]], message.to_owned());
    }
}

fn rules(config: &Config, faults: &mut Faults<'_>) {
    let rules = &config.rules;
    let (mark, offload_mark) = (rules.mark, rules.offload_mark);
    if mark & offload_mark != 0 {
        let message = format!(
            "rules.offload_mark: {offload_mark:#x} found, expected bits that rules.mark \
             ({mark:#x}) does not use"
        );
        faults.add(&[&["rules", "offload_mark"], &["rules", "mark"]], message);
    }
    for (number, host) in rules.mail_hosts.iter().enumerate().filter(|(_, host)| is_all(**host)) {
        let number = number.to_string();
        let message = format!(
            "rules.mail_hosts: {host} found, expected hosts: of all the world only mail would be \
             reachable"
        );
        faults.add(&[&["rules", "mail_hosts", &number]], message);
    }
    if rules.mail_hosts.iter().any(|host| is_all(*host)) {
        return;
    }
    for (is_ipv6, family) in [(false, "IPv4"), (true, "IPv6")] {
        let hosts = rules.mail_hosts.iter().filter(|host| host.is_ipv6() == is_ipv6);
        if Network::are_all(hosts) {
            let message = format!(
                "rules.mail_hosts: all of {family} found, in several blocks, expected hosts: of \
                 all the world only mail would be reachable"
            );
            faults.add(&[&["rules", "mail_hosts"]], message);
        }
    }
}

fn limits(config: &Config, faults: &mut Faults<'_>) {
    let limits = &config.engine.limits;
    if limits.store_bytes_max < limits.bytes_per_flow_max {
        let message = format!(
            "limits.store_bytes_max: {} found, expected at least limits.bytes_per_flow_max, {}",
            limits.store_bytes_max, limits.bytes_per_flow_max
        );
        let paths: [&[&str]; 2] =
            [&["limits", "store_bytes_max"], &["limits", "bytes_per_flow_max"]];
        faults.add(&paths, message);
    }
}

/// `table` leads to the settings, which begin from the profile beside it.
fn guard(settings: &Settings, table: &[&str], faults: &mut Faults<'_>) {
    let beside = table.split_last().map_or(&[][..], |(_, above)| above);
    let profile = [beside, &["profile"]].concat();
    let path = |name| [table, &[name]].concat();
    // Where only the profile allows it, verbs without it say enough: it is not offered then.
    let root = faults.root;
    let given = |name| root.at(&path(name)).is_some();
    let is_wanted = given("starttls");
    let mut add = |names: [&'static str; 2], message: String| {
        let [first, second] = names.map(path);
        faults.add(&[&first, &second, &profile], message);
    };
    if settings.starttls.is_allowed() && is_wanted {
        let lacking = [Verb::Ehlo, Verb::StartTls].into_iter();
        for verb in lacking.filter(|verb| !settings.verbs.contains(*verb)) {
            let message = format!(
                "starttls: \"allow\" found, but {} is not among the verbs: nobody could begin TLS, \
                 expected \"strip\" or another profile",
                verb.name()
            );
            add(["starttls", "verbs"], message);
        }
    }
    // What a profile says of itself is no wish of anybody's.
    let is_read = settings.envelope != EnvelopeRules::Off;
    for (name, is_idle) in [
        ("recipient_refuse", !is_read && !settings.recipient_refuse.is_empty()),
        ("sender_refuse", !is_read && !settings.sender_refuse.is_empty()),
        ("auth_mechanisms", !settings.enforces_grammar() && !settings.auth_mechanisms.is_any()),
    ] {
        if is_idle && given(name) {
            let (found, why) = if is_read { ("log", "refused") } else { ("off", "looked at") };
            let message = format!(
                "{name}: found beside envelope = \"{found}\", expected envelope = \"lenient\" or \
                 \"strict\": nothing of it would be {why}"
            );
            add([name, "envelope"], message);
        }
    }
    if settings.require_tls == Tls::Required && settings.starttls == StartTls::Strip {
        let message = "require_tls: \"required\" found beside starttls = \"strip\", expected \
                       starttls = \"allow\": nobody could send mail";
        add(["require_tls", "starttls"], message.to_owned());
    }
    if settings.unit == Unit::Packet && settings.verbs.contains(Verb::Bdat) {
        let message = "verbs: BDAT found beside unit = \"packet\", expected unit = \"stream\": the \
                       octets of a chunk would be read as commands";
        add(["verbs", "unit"], message.to_owned());
    }
    if settings.unit == Unit::Stream && settings.data_begins == DataBegins::OnCommand {
        let message = "data_begins: \"on-data\" found beside unit = \"stream\", expected \
                       \"on-354\": behind a refused DATA every command would pass (CVE-2000-1022)";
        add(["data_begins", "unit"], message.to_owned());
    }
}

/// A header of the PROXY protocol names another client, so only clients that are named may send it.
fn proxies(engine: &engine::Settings, faults: &mut Faults<'_>) {
    let message = "proxy_protocol: \"pass\" found, expected it in an exception that names clients: \
                   whoever sends the header speaks in another's name";
    if engine.guard.proxy_protocol == ProxyProtocol::Pass {
        faults.add(&[&["settings", "proxy_protocol"]], message.to_owned());
    }
    for (number, exception) in engine.exceptions.iter().enumerate() {
        let (Treatment::Monitor(settings) | Treatment::Enforce(settings)) = &exception.treatment
        else {
            continue;
        };
        let is_for_all = exception.client.is_none_or(is_all);
        if settings.proxy_protocol == ProxyProtocol::Pass && is_for_all {
            let number = number.to_string();
            let path = ["exceptions", &number, "settings", "proxy_protocol"];
            faults.add(&[&path], message.to_owned());
        }
    }
}

fn exceptions(exceptions: &[Exception], faults: &mut Faults<'_>) {
    for (number, exception) in exceptions.iter().enumerate() {
        let at = number.to_string();
        let at = ["exceptions", at.as_str()];
        let key = |name| [&at[..], &[name]].concat();
        if let (Some(client), Some(server)) = (exception.client, exception.server)
            && client.is_ipv6() != server.is_ipv6()
        {
            let message = "exceptions.server: of another family than client, expected IPv4 or IPv6 \
                           in both";
            faults.add(&[&key("server")], message.to_owned());
        }
        let earlier = exceptions.iter().take(number).position(|first| covers(first, exception));
        if let Some(earlier) = earlier {
            let message = format!(
                "exceptions: the {} of them already takes all that this one is for, expected it \
                 further down",
                ordinal(earlier + 1)
            );
            faults.add(&[&at], message);
        }
        match &exception.treatment {
            Treatment::HandsOff if is_everybody(exception) => {
                let message = "exceptions: hands-off for everybody, expected a block of some \
                               addresses, or ports = [] where nothing is to be filtered";
                faults.add(&[&at], message.to_owned());
            }
            Treatment::HandsOff => {}
            Treatment::Monitor(settings) | Treatment::Enforce(settings) => {
                guard(settings, &key("settings"), faults);
            }
        }
    }
}

/// Several blocks that leave nobody out, as one that is everybody. Where the filter does look at
/// some of a block, by an exception further up, somebody is left.
fn hands_off_in_blocks(exceptions: &[Exception], faults: &mut Faults<'_>) {
    let is_whole = |number: usize, block: &Exception| {
        let earlier = exceptions.iter().take(number);
        let mut others = earlier.filter(|first| first.treatment != Treatment::HandsOff);
        !others.any(|first| takes_some(first, block))
    };
    let idle = || {
        let idle = exceptions.iter().enumerate();
        let idle = idle.filter(|(_, one)| one.treatment == Treatment::HandsOff);
        let idle = idle.filter(move |(number, one)| is_whole(*number, one));
        idle.map(|(_, one)| one).filter(|one| !is_everybody(one))
    };
    let clients = || idle().filter(|one| one.server.is_none_or(is_all)).map(|one| one.client);
    let servers = || idle().filter(|one| one.client.is_none_or(is_all)).map(|one| one.server);
    for (is_ipv6, family) in [(false, "IPv4"), (true, "IPv6")] {
        let is_its = |block: &Network| block.is_ipv6() == is_ipv6;
        for (end, blocks) in [
            ("clients", clients().flatten().filter(is_its).collect::<Vec<_>>()),
            ("servers", servers().flatten().filter(is_its).collect()),
        ] {
            if Network::are_all(blocks.iter()) {
                let message = format!(
                    "exceptions: hands-off for all {end} of {family}, in several blocks, expected \
                     blocks of some addresses, or ports = [] where nothing is to be filtered"
                );
                faults.add(&[&["exceptions"]], message);
            }
        }
    }
}

/// Whether whatever matches the second matches the first.
fn covers(first: &Exception, second: &Exception) -> bool {
    let covers = |first: Option<Network>, second: Option<Network>| match (first, second) {
        (None, _) => true,
        (Some(_), None) => false,
        (Some(first), Some(second)) => first.covers(&second),
    };
    covers(first.client, second.client) && covers(first.server, second.server)
}

/// Whether something that matches the second matches the first.
fn takes_some(first: &Exception, second: &Exception) -> bool {
    let meet = |first: Option<Network>, second: Option<Network>| match (first, second) {
        (None, _) | (_, None) => true,
        (Some(first), Some(second)) => first.covers(&second) || second.covers(&first),
    };
    // One end alone says what the other is too: a connection is of one family.
    let is_ipv6 = |one: &Exception| one.client.or(one.server).map(|block| block.is_ipv6());
    let is_one_family = match (is_ipv6(first), is_ipv6(second)) {
        (Some(first), Some(second)) => first == second,
        (None, _) | (_, None) => true,
    };
    is_one_family && meet(first.client, second.client) && meet(first.server, second.server)
}

fn is_everybody(exception: &Exception) -> bool {
    exception.client.is_none_or(is_all) && exception.server.is_none_or(is_all)
}

fn is_all(network: Network) -> bool {
    network.prefix() == 0
}

fn ordinal(number: usize) -> String {
    match number {
        1 => "first".to_owned(),
        2 => "second".to_owned(),
        3 => "third".to_owned(),
        _ => format!("{number}th"),
    }
}

/// Threads are one a queue; nobody has more processors to give.
const QUEUES_MAX: u16 = 64;
