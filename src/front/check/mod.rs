//! `mailguard check`: is this machine fit to run the configuration, and is it set up to?
//!
//! The configuration has been read before we are called; where it is faulty, only what does not
//! depend on it is looked at. Looks, and changes nothing; one line a finding. That a program below
//! the rules (eBPF, hardware) sees packets first is said; what it does with them is not known.

mod iptables;
mod links;
mod machine;
mod managers;
mod map;
mod marks;
mod matches;
mod nft;
mod ours;
mod outputs;
mod owner;
mod rewriting;
mod running;
mod stalled;
#[cfg(test)]
mod tests;

use std::fmt::Write;
use std::fs;
use std::io::{self, ErrorKind};
use std::path::Path;
use std::process::{Output, Stdio};

use self::managers::Managers;
use self::ours::Ours;
use self::owner::Holder;
use self::running::Status;
use super::control::group_named;
use super::nfqueue::listing;
use super::rules::{self, Keeper};
use super::{FrontError, Outcome};
use crate::config::{Config, RulesBackend};

/// What is to be told.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// Whether the configuration is that of a file.
    pub has_file: bool,
    /// Whether only what is wrong is to be told.
    pub is_brief: bool,
}

/// Prints what it finds.
///
/// # Errors
/// Standard output cannot be written.
pub fn run(config: &Config, options: Options) -> Result<Outcome, FrontError> {
    let Options { has_file, is_brief } = options;
    let mut report = Report { is_brief, ..Report::default() };
    configuration(config, has_file, &mut report);
    let status = Status::asked(config);
    queues(config, matches!(status, Ok(Some(_))), &mut report);
    running::examine(config, status, &mut report);
    let wants_iptables = config.rules.backend == RulesBackend::Iptables;
    let has_iptables = programs(wants_iptables, &mut report);
    let (keeper, has_rules) = installed(config, &mut report);
    reassembly(has_rules, &mut report);
    let ours = Ours::new(config, keeper);
    let has_source_check = foreign(&ours, has_iptables, &mut report);
    let (is_local, hosts) = (Some(config.rules.local), &config.rules.mail_hosts);
    machine::examine(is_local, hosts, Some(has_source_check), &mut report);
    if !config.rules.local {
        machine::local_servers(&config.engine.ports, &mut report);
    }
    machine::own_hosts(&config.rules.mail_hosts, &mut report);
    devices(config, &mut report);
    super::print(&report.text)?;
    Ok(report.outcome())
}

/// Prints what can be said of the machine where the configuration is faulty.
///
/// # Errors
/// Standard output cannot be written.
pub fn machine_alone(is_brief: bool) -> Result<(), FrontError> {
    let mut report = Report { is_brief, ..Report::default() };
    let _ = queue_listing(&mut report);
    programs(false, &mut report);
    machine::examine(None, &[], None, &mut report);
    if !is_brief {
        report.text.push_str(UNSEEN);
    }
    super::print(&report.text)
}

/// Prints that a configuration is right, and that what it names can be used: one that is not right
/// does not come here.
///
/// # Errors
/// The machine has no such group as it names; standard output cannot be written.
pub fn configuration_only(config: &Config, has_file: bool) -> Result<Outcome, FrontError> {
    // The one key whose value the machine has to know.
    config.control.group.as_deref().map(group_named).transpose()?;
    let mut report = Report::default();
    configuration(config, has_file, &mut report);
    super::print(&report.text)?;
    Ok(report.outcome())
}

fn configuration(config: &Config, has_file: bool, report: &mut Report) {
    let ports: Vec<String> = config.engine.ports.iter().map(ToString::to_string).collect();
    let ports =
        if ports.is_empty() { "none: no mail is looked at".to_owned() } else { ports.join(", ") };
    let mode = if config.engine.monitor { ", monitoring only: nothing is filtered" } else { "" };
    let file = if has_file { "" } else { "no file, the defaults: " };
    report.good(format!("configuration: {file}profile {}, ports {ports}{mode}", config.profile));
    if let Some(Err(error)) = config.control.group.as_deref().map(group_named) {
        report.wrong(error.to_string());
    }
    outputs::examine(config, report);
}

/// The findings so far.
#[derive(Default)]
struct Report {
    text: String,
    wrong: usize,
    /// Whether nobody wants to know what is as it should be.
    is_brief: bool,
}

impl Report {
    fn good(&mut self, finding: String) {
        if !self.is_brief {
            let _ = writeln!(self.text, "ok     {finding}");
        }
    }

    fn wrong(&mut self, finding: String) {
        self.wrong += 1;
        let _ = writeln!(self.text, "wrong  {finding}");
    }

    const fn outcome(&self) -> Outcome {
        if self.wrong == 0 { Outcome::Done } else { Outcome::Found }
    }
}

/// The kernel's queues, whoever serves them; none if it has none.
fn queue_listing(report: &mut Report) -> Option<Vec<listing::Entry>> {
    match listing::read() {
        Ok(entries) => {
            report.good("NFQUEUE: the kernel has it".to_owned());
            Some(entries)
        }
        Err(error) => {
            let hint = if error.kind() == ErrorKind::NotFound {
                " (modprobe nfnetlink_queue)"
            } else {
                ""
            };
            report.wrong(format!("NFQUEUE: cannot read {}: {error}{hint}", listing::PATH));
            None
        }
    }
}

fn queues(config: &Config, is_answered: bool, report: &mut Report) {
    let Some(entries) = queue_listing(report) else { return };
    let holders = owner::holders(entries.iter().map(|entry| entry.port));
    let numbers = config.queue.first..=config.queue.last;
    let own = entries.iter().filter(|entry| numbers.contains(&entry.number));
    let stalled = stalled::queues(own.copied());
    for number in config.queue_numbers() {
        match entries.iter().find(|entry| entry.number == number) {
            None => report.wrong(format!("queue {number}: nobody serves it")),
            Some(entry) => {
                let holders = holders.get(&entry.port).map_or(&[][..], Vec::as_slice);
                let holder = holder_of(entry.port, holders, is_answered);
                served(entry, holder, stalled.contains(&number), report);
            }
        }
    }
}

/// Who holds what is at this netlink port: the filter, somebody else, or whoever keeps it until a
/// filter comes. Where that cannot be seen, whether a filter has answered tells.
fn holder_of(port: u32, holders: &[Holder], is_answered: bool) -> Option<Holder> {
    let ours = || Holder { process: port, name: OUR_NAME.to_owned() };
    match holders.first() {
        _ if holders.iter().any(|one| one.name == OUR_NAME) => Some(ours()),
        Some(first) => Some(first.clone()),
        // We may not see what others have open.
        None if is_answered => Some(ours()),
        None => owner(port),
    }
}

/// Whether a queue's holder serves it.
fn served(entry: &listing::Entry, holder: Option<Holder>, is_stalled: bool, report: &mut Report) {
    let listing::Entry { number, port, waiting, .. } = *entry;
    match holder {
        None => report.wrong(format!(
            "queue {number}: who holds it cannot be seen, {waiting} packets waiting"
        )),
        Some(Holder { name, .. }) if name == OUR_NAME && is_stalled => report.wrong(format!(
            "queue {number}: its filter answers no packet, {waiting} packets waiting (netlink \
             port id {port})"
        )),
        Some(Holder { name, .. }) if name == OUR_NAME => report.good(format!(
            "queue {number}: served by netlink port id {port}, {waiting} packets waiting"
        )),
        Some(Holder { name, process: MANAGER }) => report.wrong(format!(
            "queue {number}: no filter reads it; {name} keeps it, {waiting} packets waiting"
        )),
        Some(Holder { name, process }) => report.wrong(format!(
            "queue {number}: held by {name} (process {process}), {waiting} packets waiting"
        )),
    }
}

/// The program behind a netlink port id. A process's first socket gets its process id; of any
/// other we know nothing.
fn owner(port: u32) -> Option<Holder> {
    let name = fs::read_to_string(format!("/proc/{port}/comm")).ok()?;
    Some(Holder { process: port, name: name.trim_end().to_owned() })
}

/// Whether iptables is there, by which others may have made rules, and what it does not show.
fn programs(is_wanted: bool, report: &mut Report) -> bool {
    let mut is_there = false;
    for (program, names) in
        [("iptables", "/proc/net/ip_tables_names"), ("ip6tables", "/proc/net/ip6_tables_names")]
    {
        let legacy = fs::read_to_string(names).unwrap_or_default();
        let version = output(&format!("{program}-save"), &["--version"]);
        is_there |= version.is_ok();
        let version = version.map(|output| String::from_utf8_lossy(&output.stdout).into_owned());
        let version = version.unwrap_or_default();
        if version.contains("legacy") || legacy.is_empty() {
            continue;
        }
        let listing = succeeded(&format!("{program}-legacy-save"), &[]);
        let found = two_rule_sets(program, listing.as_deref(), &legacy);
        found.into_iter().for_each(|one| report.wrong(one));
    }
    if is_there {
        report.good("iptables: installed".to_owned());
    } else if is_wanted {
        report.wrong("iptables: cannot be started, and rules.backend asks for it".to_owned());
    }
    is_there
}

/// What iptables made before it came to stand on nf_tables goes on beside it. A table that is there
/// does nothing by that; where nobody can list them, any may.
fn two_rule_sets(program: &str, listing: Option<&str>, names: &str) -> Option<String> {
    let tables = listing.map_or_else(|| names.split_whitespace().collect(), iptables::in_use);
    let tables = tables.join(", ");
    (!tables.is_empty()).then(|| {
        format!(
            "{program}: rules of {program}-legacy are in force too, and not looked at: {tables} \
             ({program}-legacy-save)"
        )
    })
}

/// What keeps our rules, or would, and whether they are as they should be.
fn installed(config: &Config, report: &mut Report) -> (Keeper, bool) {
    match rules::differences(config) {
        Ok((keeper, found)) if found.is_empty() => {
            report.good(format!("rules: as configured, kept by {}", keeper.name()));
            Managers::look().findings(keeper).into_iter().for_each(|one| report.wrong(one));
            (keeper, true)
        }
        Ok((keeper, found)) => {
            found.into_iter().for_each(|one| report.wrong(format!("rules: {one}")));
            (keeper, false)
        }
        Err(error) => {
            report.wrong(format!("rules: {error}"));
            let keeper = match config.rules.backend {
                RulesBackend::Iptables => Keeper::Iptables,
                RulesBackend::Nft | RulesBackend::Auto => Keeper::Nft,
            };
            (keeper, false)
        }
    }
}

/// Connection tracking reassembles, where some rule asks for it; ours do, by their connmark match.
fn reassembly(has_rules: bool, report: &mut Report) {
    if !Path::new("/proc/sys/net/netfilter/nf_conntrack_max").exists() {
        report.wrong("defragmentation: the kernel has no connection tracking".to_owned());
    } else if has_rules {
        report.good("defragmentation: connection tracking is on, by our rules".to_owned());
    } else {
        report.wrong("defragmentation: not certain until our rules are in place".to_owned());
    }
}

/// What others made that leads mail past us, in all the rule sets there are. Whether some rule
/// drops what has a source address of IPv6 that belongs elsewhere.
fn foreign(ours: &Ours, has_iptables: bool, report: &mut Report) -> bool {
    let mut found = Vec::new();
    let mut listings = Vec::new();
    if has_iptables {
        match rules::listings() {
            Ok(all) => listings = all,
            Err(error) => found.push(error.to_string()),
        }
    }
    let mut has_source_check = false;
    for (family, listing) in &listings {
        found.extend(iptables::findings(listing, ours));
        has_source_check |= *family == "ip6" && iptables::has_source_check(listing, ours);
    }
    match nft_listing() {
        Ok(Some(listing)) => {
            let tables = listings.iter().flat_map(|(family, listing)| {
                iptables::tables(listing).map(|table| (*family, table))
            });
            let known: Vec<_> = tables.collect();
            found.extend(nft::findings(&listing, &known, ours));
            has_source_check |= nft::has_source_check(&listing, ours);
        }
        Ok(None) => {
            report.good("nft: not installed; rules made without iptables are not known".to_owned())
        }
        Err(what) => found.push(format!("nft: {what}")),
    }
    if found.is_empty() {
        report.good("other rules: none leads mail past the filter".to_owned());
    }
    found.into_iter().for_each(|one| report.wrong(one));
    has_source_check
}

/// What devices do with packets ahead of all rules, where there is a tool to list it.
fn devices(config: &Config, report: &mut Report) {
    let Some(listing) = listed("ip", &["-d", "-j", "link"]) else { return };
    let mut found = links::findings(&listing, config.queue.gso);
    let qdiscs = listed("tc", &["qdisc", "show"]).unwrap_or_default();
    for device in links::filtered(&qdiscs) {
        for way in ["ingress", "egress"] {
            let filters = listed("tc", &["filter", "show", "dev", device, way]).unwrap_or_default();
            found.extend(links::ahead(device, &filters));
        }
    }
    found.dedup();
    if found.is_empty() {
        report.good("devices: none is ahead of the filter".to_owned());
    }
    found.into_iter().for_each(|one| report.wrong(one));
}

fn output(program: &str, words: &[&str]) -> io::Result<Output> {
    rules::command(program).args(words).stdin(Stdio::null()).output()
}

fn listed(program: &str, words: &[&str]) -> Option<String> {
    Some(String::from_utf8_lossy(&output(program, words).ok()?.stdout).into_owned())
}

/// The same of a program that says nothing where it fails.
fn succeeded(program: &str, words: &[&str]) -> Option<String> {
    let output = output(program, words).ok().filter(|output| output.status.success())?;
    Some(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Every rule of nf_tables, where there is a tool to list them.
fn nft_listing() -> Result<Option<String>, String> {
    match output("nft", &["-n", "list", "ruleset"]) {
        Ok(output) if output.status.success() => {
            Ok(Some(String::from_utf8_lossy(&output.stdout).into_owned()))
        }
        Ok(output) => {
            let said = String::from_utf8_lossy(&output.stderr);
            Err(said.split_whitespace().collect::<Vec<_>>().join(" "))
        }
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error.to_string()),
    }
}

/// What is said of the rest where the configuration is faulty.
const UNSEEN: &str = "unseen queues, rules, other rules, devices: what is right there depends on \
                      the configuration, and that is faulty\n";

/// The process that keeps what a filter has left.
const MANAGER: u32 = 1;

/// What the kernel calls our processes.
const OUR_NAME: &str = "mailguard";
