//! What a line of configuration makes of the one in force: another whole one, or nothing.

use std::collections::BTreeSet;

use super::SMTP_PORT;
use super::gather::{Addresses, Gathered, gather};
use super::line::port_named;
use super::table::Edit;
use super::terminal::fixups;
use super::words::Typed;
use crate::config::Config;
use crate::flow::Network;

/// A configuration that was changed, and what is said of it.
#[derive(Clone, Debug)]
pub struct Changed {
    /// The new one.
    pub config: Config,
    /// Lines that are printed.
    pub said: Vec<String>,
}

/// What a typed line makes of the configuration.
///
/// # Errors
/// What is wrong about its values, or what does not hold together with them: nothing is changed
/// then.
pub fn change(config: &Config, edit: Edit, typed: &Typed) -> Result<Changed, String> {
    let value = typed.values.first().map_or("", String::as_str);
    let mut new = config.clone();
    let mut said = Vec::new();
    match edit {
        Edit::Fixup => guard(&mut new, range(value)?),
        Edit::NoFixup if value.is_empty() => {
            reset(&mut new);
            said = fixups(&new);
        }
        Edit::NoFixup => unguard(&mut new, range(value)?),
        Edit::ClearFixup => reset(&mut new),
        Edit::OtherFixup => {
            said.push("WARNING: only the protocol smtp is guarded here: ignored".to_owned());
        }
        Edit::Names => {}
        Edit::Line => add(&mut new, value, typed)?,
        Edit::NoLine => remove(&mut new, value, typed)?,
        Edit::ClearMailhost => clear(&mut new, "mailhost"),
        Edit::ClearConduit => clear(&mut new, "conduit"),
        Edit::ClearStatic => clear(&mut new, "static"),
    }
    // It would be written back, and a file like that is refused at the next start.
    new.examine().map_err(|refused| format!("ERROR: {}", refused.in_a_line()))?;
    Ok(Changed { config: new, said })
}

/// `P` or `P-Q`; nothing is 25.
pub(super) fn range(text: &str) -> Result<Vec<u16>, String> {
    if text.is_empty() {
        return Ok(vec![SMTP_PORT]);
    }
    let (low, high) = text.split_once('-').unwrap_or((text, text));
    let (low, high) = (port(low)?, port(high)?);
    if low > high {
        return Err(format!("ERROR: port range {text} is empty"));
    }
    if high - low >= PORTS_MAX {
        return Err(format!("ERROR: port range {text} has more than {PORTS_MAX} ports"));
    }
    Ok((low..=high).collect())
}

fn port(text: &str) -> Result<u16, String> {
    let number = port_named(text).or_else(|| text.parse().ok()).filter(|port| *port > 0);
    number.ok_or_else(|| format!("ERROR: invalid port {text}: expected 1 to 65535"))
}

fn guard(config: &mut Config, ports: Vec<u16>) {
    config.pix.retain(|line| !ports.iter().any(|port| *line == unguarded(*port)));
    set_ports(config, |all| all.extend(ports));
}

fn unguard(config: &mut Config, ports: Vec<u16>) {
    for port in &ports {
        let line = unguarded(*port);
        if !config.pix.contains(&line) {
            config.pix.push(line);
        }
    }
    set_ports(config, |all| all.retain(|port| !ports.contains(port)));
}

fn reset(config: &mut Config) {
    config.pix.retain(|line| !line.starts_with("no fixup "));
    config.engine.ports = vec![SMTP_PORT];
}

/// A port that is guarded no more is kept, and shown, as this line.
pub(super) fn unguarded(port: u16) -> String {
    format!("no fixup protocol smtp {port}")
}

fn set_ports(config: &mut Config, change: impl FnOnce(&mut BTreeSet<u16>)) {
    let mut all: BTreeSet<u16> = config.engine.ports.iter().copied().collect();
    change(&mut all);
    config.engine.ports = all.into_iter().collect();
}

/// The lines that name mail hosts, typed anew.
fn add(config: &mut Config, value: &str, typed: &Typed) -> Result<(), String> {
    let line = format!("{} {}", typed.head, plain(value));
    let before = gathered(&config.pix);
    if !config.pix.contains(&line) {
        if config.pix.len() >= LINES_MAX {
            return Err(format!("ERROR: more than {LINES_MAX} lines are not kept"));
        }
        config.pix.push(line);
    }
    let after = gathered(&config.pix);
    if let Some((_, why)) = after.unclear.iter().find(|one| !before.unclear.contains(one)) {
        return Err(format!("ERROR: {why}"));
    }
    follow(config, &before, &after);
    Ok(())
}

fn remove(config: &mut Config, value: &str, typed: &Typed) -> Result<(), String> {
    let before = gathered(&config.pix);
    let line = format!("{} {}", typed.head, plain(value));
    let count = config.pix.len();
    config.pix.retain(|known| *known != line);
    if config.pix.len() == count {
        return Err("ERROR: there is no such line".to_owned());
    }
    let after = gathered(&config.pix);
    follow(config, &before, &after);
    Ok(())
}

fn clear(config: &mut Config, word: &str) {
    let before = gathered(&config.pix);
    config.pix.retain(|line| line.split(' ').next() != Some(word));
    let after = gathered(&config.pix);
    follow(config, &before, &after);
}

fn gathered(lines: &[String]) -> Gathered {
    gather(lines.iter().map(String::as_str).enumerate(), Addresses::Outer)
}

/// Brings hosts and ports to what the lines say now; those that no line ever named stay.
fn follow(config: &mut Config, before: &Gathered, after: &Gathered) {
    let (old, new) = (before.networks(), after.networks());
    let hosts = &mut config.rules.mail_hosts;
    hosts.retain(|host| !old.contains(host) || new.contains(host));
    hosts.extend(new.into_iter().filter(|host| !old.contains(host)));
    let mut seen = Vec::new();
    hosts.retain(|host| {
        !seen.contains(host) && {
            seen.push(*host);
            true
        }
    });
    set_ports(config, |all| {
        all.retain(|port| !before.ports.contains(port));
        all.extend(&after.ports);
    });
}

impl Gathered {
    /// The hosts whose other ports may be closed, as the configuration has them.
    pub(super) fn networks(&self) -> Vec<Network> {
        let closed = self.hosts.keys().filter(|host| !self.open.contains_key(host));
        closed.filter_map(|host| host.network()).collect()
    }
}

/// A line with one space between words.
pub(super) fn plain(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Ports of one `fixup`: each of them is a rule of the packet filter.
const PORTS_MAX: u16 = 64;

/// Lines that are kept: more than any PIX had statics.
const LINES_MAX: usize = 1_000;
