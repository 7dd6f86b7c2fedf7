//! `mailguard check`: is this machine fit to run the configuration, and is it set up to?
//!
//! The configuration has been read before we are called. Looks, and changes nothing; one line a
//! finding. Hook order beyond our own jumps, and what the nft tool added by itself, are not
//! examined.

use std::fmt::Write;
use std::fs;
use std::io::ErrorKind;
use std::path::Path;
use std::process::{Command, Stdio};

use super::nfqueue::listing;
use super::{FrontError, Outcome, rules};
use crate::config::Config;

/// Prints what it finds.
///
/// # Errors
/// Standard output cannot be written.
pub fn run(config: &Config) -> Result<Outcome, FrontError> {
    let mut report = Report::default();
    let ports: Vec<String> = config.engine.ports.iter().map(ToString::to_string).collect();
    report.good(format!("configuration: profile {}, ports {}", config.profile, ports.join(", ")));
    queues(config, &mut report);
    let has_rules = programs(&mut report) && installed(config, &mut report);
    reassembly(has_rules, &mut report);
    forwarding(config, &mut report);
    super::print(&report.text)?;
    Ok(if report.wrong == 0 { Outcome::Done } else { Outcome::Found })
}

/// The findings so far.
#[derive(Default)]
struct Report {
    text: String,
    wrong: usize,
}

impl Report {
    fn good(&mut self, finding: String) {
        let _ = writeln!(self.text, "ok     {finding}");
    }

    fn wrong(&mut self, finding: String) {
        self.wrong += 1;
        let _ = writeln!(self.text, "wrong  {finding}");
    }
}

fn queues(config: &Config, report: &mut Report) {
    let entries = match listing::read() {
        Ok(entries) => entries,
        Err(error) => {
            let hint = if error.kind() == ErrorKind::NotFound {
                " (modprobe nfnetlink_queue)"
            } else {
                ""
            };
            report.wrong(format!("NFQUEUE: cannot read {}: {error}{hint}", listing::PATH));
            return;
        }
    };
    report.good("NFQUEUE: the kernel has it".to_owned());
    for number in config.queue_numbers() {
        match entries.iter().find(|entry| entry.number == number) {
            None => report.wrong(format!("queue {number}: nobody serves it")),
            Some(entry) => match owner(entry.port) {
                Some(name) if name != OUR_NAME => report.wrong(format!(
                    "queue {number}: served by {name}, netlink port id {}",
                    entry.port
                )),
                _ => report.good(format!(
                    "queue {number}: served by netlink port id {}, {} packets waiting",
                    entry.port, entry.waiting
                )),
            },
        }
    }
}

/// The program behind a netlink port id. A process's first socket gets its process id; of any
/// other we know nothing.
fn owner(port: u32) -> Option<String> {
    let name = fs::read_to_string(format!("/proc/{port}/comm")).ok()?;
    Some(name.trim_end().to_owned())
}

fn programs(report: &mut Report) -> bool {
    let mut all = true;
    for program in ["iptables-save", "iptables-restore", "ip6tables-save", "ip6tables-restore"] {
        let version = Command::new(program).arg("--version").stdin(Stdio::null()).output();
        if let Err(error) = version {
            report.wrong(format!("{program}: cannot be started: {error}"));
            all = false;
        }
    }
    if all {
        report.good("iptables: installed".to_owned());
    }
    all
}

fn installed(config: &Config, report: &mut Report) -> bool {
    match rules::differences(config) {
        Ok(found) if found.is_empty() => {
            report.good("rules: as configured".to_owned());
            return true;
        }
        Ok(found) => found.into_iter().for_each(|one| report.wrong(format!("rules: {one}"))),
        Err(error) => report.wrong(format!("rules: {error}")),
    }
    false
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

fn forwarding(config: &Config, report: &mut Report) {
    let is_on = |path| fs::read_to_string(path).is_ok_and(|value| value.trim_end() != "0");
    let v4 = is_on("/proc/sys/net/ipv4/ip_forward");
    let v6 = is_on("/proc/sys/net/ipv6/conf/all/forwarding");
    match (v4, v6) {
        (true, true) => report.good("forwarding: on".to_owned()),
        (true, false) => report.good("forwarding: on for IPv4, off for IPv6".to_owned()),
        (false, true) => report.good("forwarding: on for IPv6, off for IPv4".to_owned()),
        (false, false) if config.rules.local => {
            report.good("forwarding: off; only local mail is filtered".to_owned());
        }
        (false, false) => report.wrong("forwarding: off (sysctl net.ipv4.ip_forward)".to_owned()),
    }
}

/// What the kernel calls our processes.
const OUR_NAME: &str = "mailguard";
