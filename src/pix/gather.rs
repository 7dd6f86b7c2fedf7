//! Which hosts and ports all lines together say are mail's.
//!
//! A mail host is whoever may be reached from outside at port 25: by a `static` for that port, or
//! by a `static` for the host and a conduit, or a list in force outside, that lets mail in. Our
//! rules stand behind the gateway's own translation of addresses: the inner address counts.

use std::collections::{BTreeMap, BTreeSet};

use super::SMTP_PORT;
use super::line::{Block, Hosts, Line, Local, Rule, Static};
use super::names::Names;
use crate::flow::Network;

/// What lines say of mail.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Gathered {
    /// Mail hosts, and the numbers of the lines that make each one.
    pub(super) hosts: BTreeMap<Block, BTreeSet<usize>>,
    /// Those of them that `mailhost` names.
    pub(super) mailhosts: BTreeSet<Block>,
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
    /// Lines `name`.
    named: Vec<(usize, Block)>,
    names: Names,
}

/// Which address of a translated host rules name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Addresses {
    /// The outer one, which a `static` leads in from: PIX, and ASA up to 8.2.
    Outer,
    /// The host's own: ASA from 8.3 on.
    Own,
}

/// Gathers what numbered lines say.
pub(super) fn gather<'l>(
    lines: impl Iterator<Item = (usize, &'l str)> + Clone,
    addresses: Addresses,
) -> Gathered {
    let mut gathered = Gathered::default();
    let names = Names::gather(lines.clone());
    let mut reading = Reading {
        statics: Vec::new(),
        rules: Vec::new(),
        groups: Vec::new(),
        mailhosts: Vec::new(),
        named: Vec::new(),
        names,
    };
    for (number, line) in lines {
        match Line::parse(line, &reading.names) {
            Ok(Line::Name(address)) => reading.named.push((number, Block { address, prefix: 32 })),
            Ok(Line::Static(one)) => reading.statics.push((number, one)),
            Ok(Line::Rule(one)) => reading.rules.push((number, one)),
            Ok(Line::Mailhost(block)) => reading.mailhosts.push((number, block)),
            Ok(Line::Group { list, interface }) if interface != "inside" => {
                reading.groups.push((number, list));
            }
            Ok(Line::Group { .. } | Line::Nothing) => {}
            Err(why) if is_about_mail(line, &reading.names) => gathered.unclear.push((number, why)),
            Err(_) => {}
        }
    }
    if addresses == Addresses::Own {
        reading.weigh_lists(&mut gathered);
    }
    reading.weigh(&mut gathered);
    gathered
}

/// Whether a line that was not understood may concern mail.
fn is_about_mail(line: &str, names: &Names) -> bool {
    let is_of_mail = |word: &str| {
        let known = ["smtp", "25", "mailhost"];
        known.iter().any(|known| known.eq_ignore_ascii_case(word))
            || names.service(word).is_some_and(|ports| ports != Some((0, 0)))
    };
    line.split_whitespace().any(is_of_mail)
}

impl Reading {
    fn weigh(&self, gathered: &mut Gathered) {
        for (number, block) in &self.mailhosts {
            gathered.hosts.entry(*block).or_default().insert(*number);
            gathered.mailhosts.insert(*block);
        }
        for (number, one) in &self.statics {
            let Some((local, lines)) = self.local(*number, one) else { continue };
            match one.ports {
                Some((outer, inner)) if outer == SMTP_PORT || inner == SMTP_PORT => {
                    gathered.hosts.entry(local).or_default().extend(lines);
                    if inner != SMTP_PORT {
                        gathered.ports.insert(inner);
                    }
                }
                Some((outer, _)) if outer != 0 || inner_is_other(one) => {
                    gathered.open.entry(local).or_default().extend(lines);
                }
                Some(_) => {}
                None => {
                    let Some(global) = one.global else { continue };
                    self.weigh_rules(global, local, &lines, gathered);
                }
            }
        }
        let of_mail =
            self.rules.iter().filter(|(_, rule)| rule.ports == Some((SMTP_PORT, SMTP_PORT)));
        gathered.idle = of_mail.map(|(number, rule)| (*number, self.why_idle(rule))).collect();
        let closed: Vec<Block> = gathered.hosts.keys().copied().collect();
        for block in closed {
            let named = self.named.iter().filter(|(_, host)| *host == block);
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
                    rule.list.as_ref() == Some(list)
                        && rule.is_permit
                        && rule.source.block().is_some()
                });
                first.and_then(|(line, rule)| Some((rule.source.block()?, vec![*line, number])))
            }
        }
    }

    /// The hosts that lists in force name by their own addresses.
    fn weigh_lists(&self, gathered: &mut Gathered) {
        let mut own: BTreeMap<Block, BTreeSet<usize>> = BTreeMap::new();
        for (_, rule) in self.rules.iter().filter(|(_, rule)| rule.is_permit && rule.has_mail()) {
            for (line, block) in self.blocks(&rule.destination) {
                own.entry(block).or_default().extend(line);
            }
        }
        for (block, lines) in own {
            let lines: Vec<usize> = lines.into_iter().collect();
            self.weigh_rules(block, block, &lines, gathered);
        }
    }

    /// The networks that a rule names, and the lines that say so where it has a name for them.
    fn blocks(&self, hosts: &Hosts) -> Vec<(Option<usize>, Block)> {
        match hosts {
            Hosts::NoBlock => Vec::new(),
            Hosts::Block(block) => vec![(None, *block)],
            Hosts::Named(name) => {
                let members = self.names.members(name).into_iter().flatten();
                members.map(|(line, block)| (Some(*line), *block)).collect()
            }
        }
    }

    /// What the rules in force let in to a host, which they name by one address and which has the
    /// other.
    fn weigh_rules(&self, global: Block, local: Block, lines: &[usize], gathered: &mut Gathered) {
        let mut is_denied = false;
        for (number, rule) in &self.rules {
            let group = match &rule.list {
                None => None,
                Some(list) => match self.groups.iter().find(|(_, in_force)| in_force == list) {
                    Some((group, _)) => Some(*group),
                    None => continue,
                },
            };
            let named = self.blocks(&rule.destination);
            let mut here = named.iter().filter(|(_, to)| global.has(to) || to.has(&global));
            let Some((member, _)) = here.next() else { continue };
            let has_mail = rule.has_mail();
            if !rule.is_permit {
                is_denied |= has_mail;
                continue;
            }
            let own = || lines.iter().copied().chain([*number]).chain(group).chain(*member);
            if has_mail && is_denied {
                gathered.denied.insert(*number);
            }
            if has_mail {
                gathered.hosts.entry(local).or_default().extend(own());
            }
            if has_mail && rule.source != Hosts::NoBlock {
                gathered.limited.insert(*number);
            }
            if rule.ports != Some((SMTP_PORT, SMTP_PORT)) {
                gathered.open.entry(local).or_default().extend(own());
            }
        }
    }
}

fn inner_is_other(one: &Static) -> bool {
    one.ports.is_some_and(|(_, inner)| inner != SMTP_PORT && inner != 0)
}

impl Rule {
    /// Whether mail's port is among its ports.
    fn has_mail(&self) -> bool {
        self.ports.is_none_or(|(low, high)| (low..=high).contains(&SMTP_PORT))
    }
}

impl Block {
    /// The same as we name it: a PIX takes any address in it.
    pub(super) fn network(self) -> Option<Network> {
        Network::around(self.address.into(), self.prefix)
    }

    /// Whether all of the other lies in this one.
    fn has(&self, other: &Self) -> bool {
        let mask = u32::MAX.checked_shl(u32::from(32 - self.prefix)).unwrap_or(0);
        self.prefix <= other.prefix
            && u32::from(self.address) & mask == u32::from(other.address) & mask
    }
}
