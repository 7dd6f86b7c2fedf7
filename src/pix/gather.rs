//! Which hosts and ports all lines together say are mail's.
//!
//! A mail host is whoever may be reached from outside at port 25: by a `static` for that port, or
//! by a `static` for the host and a conduit, or a list in force outside, that lets mail in. Our
//! rules stand behind the gateway's own translation of addresses: the inner address counts.

use std::collections::{BTreeMap, BTreeSet};

use super::line::{Block, Line, Local, Names, Rule, SMTP, Static, port_named};

/// What lines say of mail.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Gathered {
    /// Mail hosts, and the numbers of the lines that make each one.
    pub(super) hosts: BTreeMap<Block, BTreeSet<usize>>,
    /// Ports of mail besides those of `fixup`.
    pub(super) ports: BTreeSet<u16>,
    /// Hosts to which more than mail may go: their other ports must not be closed.
    pub(super) open: BTreeMap<Block, BTreeSet<usize>>,
    /// Lines about mail that are not understood, and why.
    pub(super) unclear: Vec<(usize, String)>,
    /// Lines that a `deny` before them may take the effect of.
    pub(super) denied: BTreeSet<usize>,
    /// Lines that let mail alone pass or not, and why each has no effect here, should it have none.
    pub(super) idle: BTreeMap<usize, &'static str>,
    /// Lines that name a host of mail only for some sources.
    pub(super) limited: BTreeSet<usize>,
}

/// Numbered lines, read.
struct Reading {
    statics: Vec<(usize, Static)>,
    rules: Vec<(usize, Rule)>,
    groups: Vec<(usize, String)>,
    mailhosts: Vec<(usize, Block)>,
    names: Vec<(usize, Block)>,
}

/// Gathers what numbered lines say.
pub(super) fn gather<'l>(lines: impl Iterator<Item = (usize, &'l str)> + Clone) -> Gathered {
    let mut gathered = Gathered::default();
    let mut names = Names { services: services(lines.clone()), ..Names::default() };
    let mut reading = Reading {
        statics: Vec::new(),
        rules: Vec::new(),
        groups: Vec::new(),
        mailhosts: Vec::new(),
        names: Vec::new(),
    };
    for (number, line) in lines {
        match Line::parse(line, &names) {
            Ok(Line::Name(name, address)) => {
                names.addresses.insert(name, address);
                reading.names.push((number, Block { address, prefix: 32 }));
            }
            Ok(Line::Static(one)) => reading.statics.push((number, one)),
            Ok(Line::Rule(one)) => reading.rules.push((number, one)),
            Ok(Line::Mailhost(block)) => reading.mailhosts.push((number, block)),
            Ok(Line::Group { list, interface }) if interface != "inside" => {
                reading.groups.push((number, list));
            }
            Ok(Line::Group { .. } | Line::Nothing) => {}
            Err(why) if is_about_mail(line, &names) => gathered.unclear.push((number, why)),
            Err(_) => {}
        }
    }
    reading.weigh(&mut gathered);
    gathered
}

/// Whether a line that was not understood may concern mail.
fn is_about_mail(line: &str, names: &Names) -> bool {
    let is_of_mail = |word: &str| {
        matches!(word, "smtp" | "25" | "mailhost") || names.services.get(word) == Some(&true)
    };
    line.split_whitespace().any(is_of_mail)
}

/// The groups of ports, and whether mail's is in each; what a group takes from another counts.
fn services<'l>(lines: impl Iterator<Item = (usize, &'l str)>) -> BTreeMap<String, bool> {
    let mut services: BTreeMap<String, bool> = BTreeMap::new();
    let mut current: Option<&str> = None;
    for (_, line) in lines {
        let words: Vec<&str> = line.split_whitespace().collect();
        let port = |word: &str| port_named(word).or_else(|| word.parse().ok()).unwrap_or(0);
        let has_mail = match (words.as_slice(), current) {
            (["object-group", "service", name, ..], _) => {
                current = Some(name);
                false
            }
            (["port-object", "eq", one, ..], Some(_)) => port(one) == SMTP,
            (["port-object", "range", low, high, ..], Some(_)) => {
                // A name that is not known here may be any port.
                let is_above = port(high) >= SMTP || port(high) == 0;
                port(low) <= SMTP && is_above
            }
            (["group-object", other, ..], Some(_)) => services.get(*other) == Some(&true),
            (["description", ..], Some(_)) => false,
            _ => {
                current = None;
                continue;
            }
        };
        if let Some(name) = current {
            *services.entry(name.to_owned()).or_default() |= has_mail;
        }
    }
    services
}

impl Reading {
    fn weigh(&self, gathered: &mut Gathered) {
        for (number, block) in &self.mailhosts {
            gathered.hosts.entry(*block).or_default().insert(*number);
        }
        for (number, one) in &self.statics {
            let Some((local, lines)) = self.local(*number, one) else { continue };
            match one.ports {
                Some((outer, inner)) if outer == SMTP || inner == SMTP => {
                    gathered.hosts.entry(local).or_default().extend(lines);
                    if inner != SMTP {
                        gathered.ports.insert(inner);
                    }
                }
                Some((outer, _)) if outer != 0 || inner_is_other(one) => {
                    gathered.open.entry(local).or_default().extend(lines);
                }
                Some(_) => {}
                None => self.weigh_rules(one, local, &lines, gathered),
            }
        }
        let of_mail = self.rules.iter().filter(|(_, rule)| rule.ports == Some((SMTP, SMTP)));
        gathered.idle = of_mail.map(|(number, rule)| (*number, self.why_idle(rule))).collect();
        let closed: Vec<Block> = gathered.hosts.keys().copied().collect();
        for block in closed {
            let named = self.names.iter().filter(|(_, host)| *host == block);
            let lines: Vec<usize> = named.map(|(number, _)| *number).collect();
            gathered.hosts.entry(block).or_default().extend(lines);
        }
    }

    /// Why a rule has no effect here that makes no host one of mail's.
    fn why_idle(&self, rule: &Rule) -> &'static str {
        let is_in_force = |list: &String| self.groups.iter().any(|(_, in_force)| in_force == list);
        if !rule.is_permit {
            "it keeps somebody from mail, and the rules here let everybody come"
        } else if rule.list.as_ref().is_none_or(is_in_force) {
            "no `static` leads to its host"
        } else {
            "its list is not in force outside"
        }
    }

    /// The host that a `static` leads to, and the lines that say so.
    fn local(&self, number: usize, one: &Static) -> Option<(Block, Vec<usize>)> {
        match &one.local {
            Local::Block(block) => Some((*block, vec![number])),
            Local::List(list) => {
                let first = self.rules.iter().find(|(_, rule)| {
                    rule.list.as_ref() == Some(list) && rule.is_permit && rule.source.is_some()
                });
                first.and_then(|(line, rule)| Some((rule.source?, vec![*line, number])))
            }
        }
    }

    /// What the rules in force let in to the host of a `static`.
    fn weigh_rules(&self, one: &Static, local: Block, lines: &[usize], gathered: &mut Gathered) {
        let Some(global) = one.global else { return };
        let mut is_denied = false;
        for (number, rule) in &self.rules {
            let group = match &rule.list {
                None => None,
                Some(list) => match self.groups.iter().find(|(_, in_force)| in_force == list) {
                    Some((group, _)) => Some(*group),
                    None => continue,
                },
            };
            let is_here = rule.destination.is_some_and(|to| global.has(&to) || to.has(&global));
            if !is_here {
                continue;
            }
            let has_mail = rule.ports.is_none_or(|(low, high)| (low..=high).contains(&SMTP));
            if !rule.is_permit {
                is_denied |= has_mail;
                continue;
            }
            let own = || lines.iter().copied().chain([*number]).chain(group);
            if has_mail && is_denied {
                gathered.denied.insert(*number);
            }
            if has_mail {
                gathered.hosts.entry(local).or_default().extend(own());
            }
            if has_mail && rule.is_limited {
                gathered.limited.insert(*number);
            }
            if rule.ports != Some((SMTP, SMTP)) {
                gathered.open.entry(local).or_default().extend(own());
            }
        }
    }
}

fn inner_is_other(one: &Static) -> bool {
    one.ports.is_some_and(|(_, inner)| inner != SMTP && inner != 0)
}

impl Block {
    /// Whether all of the other lies in this one.
    fn has(&self, other: &Self) -> bool {
        let mask = u32::MAX.checked_shl(u32::from(32 - self.prefix)).unwrap_or(0);
        self.prefix <= other.prefix
            && u32::from(self.address) & mask == u32::from(other.address) & mask
    }
}
