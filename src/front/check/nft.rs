//! The same in what the nft tool and its kin made: reads the text of `nft list ruleset`.
//!
//! Tables that iptables keeps are left out: they were read in its own words.

use super::iptables::{BYPASSED, COPIED, ELSEWHERE, OFFLOADED, REDIRECTED, UNTRACKED, reached};
use super::map::{Map, Maps};
use super::marks;
use super::matches::Matches;
use super::ours::{Change, Ours, number, port_behind};
use super::rewriting::{self, UNREAD, Written};
use crate::config::Fail;
use crate::front::rules::{self, Printer};

/// What is wrong, one sentence each. `known` are the tables that iptables keeps, as
/// `(family, table)`.
pub(super) fn findings(listing: &str, known: &[(&str, &str)], ours: &Ours) -> Vec<String> {
    let (rules, maps) = read(listing, known);
    let hooked = rules.iter().map(|rule| rule.place).filter(|place| place.hook.is_some());
    let behind = hooked.clone().filter(|place| place.is_behind(ours));
    let jumps = rules.iter().filter(|rule| rule.concerns_mail(ours, &maps));
    let jumps = jumps.flat_map(|rule| rule.jumps(ours, &maps));
    let behind = reached(behind.map(|place| place.chain()), jumps.clone());
    let before = hooked.clone().filter(|place| place.is_before(ours));
    let before = reached(before.map(|place| place.chain()), jumps.clone());
    let after = hooked.clone().filter(|place| place.is_after(ours));
    // What is no mail yet is sent on as well.
    let all_jumps = rules.iter().flat_map(|rule| rule.jumps(ours, &maps));
    let after = reached(after.map(|place| place.chain()), all_jumps);
    let reached = reached(hooked.map(|place| place.chain()), jumps);
    let said = |rule: &Rule<'_>| {
        let Place { family, table, chain, .. } = rule.place;
        let harm = if rules::is_own_table(family, table) {
            rule.harm_of_ours(ours)
        } else {
            let at = rule.place.chain();
            let harm = rule.harm(ours, &maps, behind.contains(&at));
            let harm = harm.filter(|_| reached.contains(&at));
            match harm {
                None if before.contains(&at) && rule.writes_other(ours, &maps) => Some(REDIRECTED),
                None if after.contains(&at) && rule.writes_mail(ours, &maps) => Some(UNREAD),
                harm => harm,
            }
        };
        let line = rule.words.join(" ");
        harm.map(|what| format!("nft {family} {table} {chain}: `{line}` {what}"))
    };
    rules.iter().filter_map(said).collect()
}

/// Whether a rule drops every packet of IPv6 whose source address belongs elsewhere.
pub(super) fn has_source_check(listing: &str, ours: &Ours) -> bool {
    let (mut rules, maps) = read(listing, &[]);
    rules.retain(|rule| {
        let is_its = matches!(rule.place.family, "ip6" | "inet");
        is_its && rule.concerns_mail(ours, &maps) && !rule.is_for_some()
    });
    let places = rules.iter().map(|rule| rule.place);
    let hooked = places.filter(|place| matches!(place.hook, Some(("prerouting" | "forward", _))));
    let jumps = rules.iter().flat_map(|rule| rule.jumps(ours, &maps));
    let reached = reached(hooked.map(|place| place.chain()), jumps);
    let mut reached = rules.iter().filter(|rule| reached.contains(&rule.place.chain()));
    reached.any(Rule::drops_strangers)
}

/// The rules of a listing that are in force, and the sets and maps that have a name.
fn read<'a>(listing: &'a str, known: &[(&str, &str)]) -> (Vec<Rule<'a>>, Maps<'a>) {
    let (mut place, mut rules, mut maps) = (Place::default(), Vec::new(), Maps::new());
    let mut map = None;
    for line in listing.lines() {
        let words = rules::words(line, Printer::Nft);
        match *words.as_slice() {
            ["table", family, name, "{"] => {
                place = Place { family, table: name, ..Place::default() }
            }
            ["chain", name, "{"] => {
                place.chain = name;
                place.hook = None;
            }
            ["set" | "map", name, "{"] => map = Some((place.family, place.table, name)),
            ["}"] if map.is_some() => map = None,
            ["elements", "=", "{", ref entries @ ..] if let Some(name) = map => {
                maps.insert(name, entries.to_vec());
            }
            _ if let Some(name) = map => {
                maps.get_mut(&name).into_iter().for_each(|entries| entries.extend(&words));
            }
            ["flags", flags] if place.chain.is_empty() => {
                place.is_dormant |= flags.split(',').any(|flag| flag == "dormant");
            }
            ["type", ..] => place.hook = hook(&words),
            _ if place.chain.is_empty() || known.contains(&(place.family, place.table)) => {}
            ["}"] => place.chain = "",
            // The kernel passes it over.
            _ if place.is_dormant => {}
            _ => rules.push(Rule { words, place }),
        }
    }
    (rules, maps)
}

/// Where in the listing a line stands.
#[derive(Clone, Copy, Default)]
struct Place<'a> {
    family: &'a str,
    table: &'a str,
    chain: &'a str,
    hook: Option<(&'a str, i32)>,
    is_dormant: bool,
}

/// A chain by its family, table and name.
type Chain<'a> = (&'a str, &'a str, &'a str);

impl<'a> Place<'a> {
    const fn chain(&self) -> Chain<'a> {
        (self.family, self.table, self.chain)
    }

    /// Whether a packet comes through this chain behind the filter's verdict, and before our rules
    /// have read from its mark what that says of the connection. Of two chains with one priority
    /// nobody knows which is the first.
    fn is_behind(&self, ours: &Ours) -> bool {
        match self.hook {
            Some(("forward", priority)) => priority >= MANGLE,
            Some(("output", priority)) => priority >= MANGLE && ours.local,
            Some(("input", priority)) => (MANGLE..=FILTER).contains(&priority) && ours.local,
            Some(("postrouting", priority)) => priority <= MANGLE,
            Some(_) | None => false,
        }
    }

    /// Whether a packet comes through this chain, and then to the filter.
    fn is_before(&self, ours: &Ours) -> bool {
        match self.hook {
            Some(("ingress" | "prerouting", _)) => true,
            Some(("forward", priority)) => priority <= MANGLE,
            Some(("input" | "output", priority)) => priority <= MANGLE && ours.local,
            Some(_) | None => false,
        }
    }

    /// Whether a packet comes through this chain where the filter has seen it, if it was for it.
    fn is_after(&self, ours: &Ours) -> bool {
        match self.hook {
            Some(("postrouting" | "egress", _)) => true,
            Some(("forward", priority)) => priority >= MANGLE,
            Some(("input" | "output", priority)) => priority >= MANGLE && ours.local,
            Some(_) | None => false,
        }
    }
}

/// The hook of a base chain, and its priority.
fn hook<'a>(words: &[&'a str]) -> Option<(&'a str, i32)> {
    let at = |word: &str| words.iter().position(|one| *one == word);
    let name = words.get(at("hook")? + 1)?;
    let mut priority =
        words.iter().skip(at("priority")? + 1).map(|word| word.trim_end_matches(';'));
    let named = |word: &str| match word {
        "raw" => Some(-300),
        "mangle" => Some(MANGLE),
        "dstnat" => Some(-100),
        "filter" => Some(FILTER),
        "security" => Some(50),
        "srcnat" => Some(100),
        other => other.parse().ok(),
    };
    let base = named(priority.next()?)?;
    let offset = match (priority.next(), priority.next()) {
        (Some("+"), Some(offset)) => offset.parse().ok()?,
        (Some("-"), Some(offset)) => offset.parse::<i32>().ok()?.checked_neg()?,
        _ => 0,
    };
    Some((name, base.saturating_add(offset)))
}

struct Rule<'a> {
    words: Vec<&'a str>,
    place: Place<'a>,
}

impl<'a> Rule<'a> {
    /// Where it sends mail on to: by a map of verdicts where one entry is of mail.
    fn jumps(&self, ours: &Ours, maps: &Maps<'a>) -> Vec<(Chain<'a>, Chain<'a>)> {
        let Place { family, table, .. } = self.place;
        let lines = match self.map("vmap", maps) {
            Some(map) => map.values_of_mail(ours),
            None => vec![self.words.as_slice()],
        };
        let targets = lines.into_iter().flat_map(|words| {
            words.windows(2).filter_map(|pair| match *pair {
                ["jump" | "goto", target] => Some(target.trim_end_matches(',')),
                _ => None,
            })
        });
        targets.map(|target| (self.place.chain(), (family, table, target))).collect()
    }

    /// The map it looks something up in, written there or by its name, and whether that is a port.
    fn map<'m>(&'m self, word: &str, maps: &'m Maps<'a>) -> Option<Map<'m, 'a>> {
        self.map_at(self.words.iter().position(|one| *one == word)?, maps)
    }

    fn map_at<'m>(&'m self, at: usize, maps: &'m Maps<'a>) -> Option<Map<'m, 'a>> {
        let (before, behind) = (self.words.get(..at)?, self.words.get(at + 1..)?);
        let Place { family, table, .. } = self.place;
        let words = match behind {
            ["{", words @ ..] => words,
            [name, ..] => maps.get(&(family, table, name.strip_prefix('@')?))?,
            [] => return None,
        };
        Some(Map::new(before, words))
    }

    fn harm(&self, ours: &Ours, maps: &Maps<'a>, is_behind: bool) -> Option<&'static str> {
        if !self.concerns_mail(ours, maps) {
            return None;
        }
        self.queue(ours)
            .or_else(|| {
                // What the machine sends to itself has been tracked on its way out.
                let is_tracked = self.matches(maps).is_loopback_input();
                self.behind(&["notrack"]).filter(|_| !is_tracked).map(|_| UNTRACKED)
            })
            .or_else(|| {
                let flow =
                    self.behind(&["flow", "add"]).or_else(|| self.behind(&["flow", "offload"]));
                flow.map(|_| OFFLOADED)
            })
            .or_else(|| self.behind(&["fwd"]).map(|_| FORWARDED))
            .or_else(|| self.behind(&["tproxy"]).map(|_| ELSEWHERE))
            .or_else(|| self.behind(&["dup"]).map(|_| COPIED))
            .or_else(|| self.redirection(ours, maps))
            .or_else(|| {
                let is_set = |words: &[&str]| words == ["ct", "mark", "set"];
                let at = self.words.windows(3).position(is_set)?;
                ours.harm_to_connection(self.change(at + 3, "ct", ours, maps))
            })
            .or_else(|| self.harm_to_packet(ours, maps, is_behind))
    }

    /// What the expression there makes of a mark.
    fn change(&self, at: usize, own: &str, ours: &Ours, maps: &Maps<'a>) -> Change {
        let expression = self.words.get(at..).unwrap_or_default();
        let own_words = expression.get(..marks::extent(expression)).unwrap_or_default();
        let found = own_words.iter().position(|word| *word == "map").map(|map| {
            let values = self.map_at(at + map, maps).map(|map| map.values_of_mail(ours));
            let values = values.into_iter().flatten().filter_map(|value| value.first());
            let bits = values.filter_map(|word| number(word.trim_end_matches(',')));
            let is_end = |word: &&str| word.starts_with('@') || *word == "}";
            let behind = own_words.iter().skip(map).position(is_end).unwrap_or(0);
            let behind = own_words.get(map + behind + 1..).unwrap_or_default();
            (bits.fold(0, |all, bits| all | bits), behind)
        });
        marks::change(expression, own, found)
    }

    fn harm_to_packet(
        &self,
        ours: &Ours,
        maps: &Maps<'a>,
        is_behind: bool,
    ) -> Option<&'static str> {
        let is_set = |at: &usize| {
            let (before, behind) = self.words.split_at_checked(*at).unwrap_or_default();
            behind.starts_with(&["mark", "set"]) && before.last() != Some(&"ct")
        };
        let at = (0..self.words.len()).find(is_set)?;
        ours.harm_to_packet(self.change(at + 2, "meta", ours, maps), is_behind)
    }

    fn harm_of_ours(&self, ours: &Ours) -> Option<&'static str> {
        let has_bypass = self.behind(&["queue"]).is_some() && self.words.contains(&"bypass");
        (ours.fail == Fail::Closed && has_bypass).then_some(BYPASSED)
    }

    fn queue(&self, ours: &Ours) -> Option<&'static str> {
        let rest = self.behind(&["queue"])?;
        let numbers = rest.iter().rev().find(|word| word.starts_with(|c: char| c.is_ascii_digit()));
        if ours.has_queue(numbers.unwrap_or(&"0"), '-') {
            return Some("brings packets to a queue of ours that are not for it");
        }
        let is_before = match self.place.hook {
            Some(("prerouting" | "ingress", _)) | None => true,
            Some((_, priority)) => priority <= MANGLE,
        };
        is_before.then_some(ELSEWHERE)
    }

    /// To another port than mail's, written behind the address or, in a map, as a number by itself.
    fn redirection(&self, ours: &Ours, maps: &Maps<'a>) -> Option<&'static str> {
        let rest = self.behind(&["dnat"]).or_else(|| self.behind(&["redirect"]))?;
        let mut written = rest.iter().take_while(|word| **word != "map");
        let is_written = written
            .any(|word| port_behind(word.trim_end_matches(',')).is_some_and(|p| ours.is_other(p)));
        let is_looked_up = self.map("map", maps).is_some_and(|map| map.leads_elsewhere(ours));
        (is_written || is_looked_up).then_some(REDIRECTED)
    }

    /// Ports that it writes.
    fn written(&self, ours: &Ours, maps: &Maps<'a>) -> Written {
        let map = |at| self.map_at(at, maps);
        rewriting::written(&self.words, self.place.family, ours, &map)
    }

    /// Whether it makes something else of mail.
    fn writes_other(&self, ours: &Ours, maps: &Maps<'a>) -> bool {
        self.written(ours, maps).may_be_other && self.concerns_mail(ours, maps)
    }

    /// Whether it makes mail of something else.
    fn writes_mail(&self, ours: &Ours, maps: &Maps<'a>) -> bool {
        self.written(ours, maps).may_be_mail && self.matches(maps).may_be_tcp()
    }

    /// Whether it is for what comes by some devices alone, from or to some addresses, or for IPv4.
    fn is_for_some(&self) -> bool {
        let is_positive = |at: usize| self.words.get(at + 1).is_some_and(|next| *next != "!=");
        let mut words = self.words.iter().enumerate();
        words.any(|(at, word)| {
            let before = at.checked_sub(1).and_then(|before| self.words.get(before));
            match (before, *word) {
                // As a part of `fib`.
                (Some(&"."), "iif") => false,
                (_, "oif") => self.words.get(at + 1).is_some_and(|next| next.starts_with('"')),
                (_, "iif" | "iifname" | "iifgroup" | "oifname" | "oifgroup")
                | (Some(&"ip6"), "saddr" | "daddr") => is_positive(at),
                (Some(&"nfproto"), "2" | "ipv4")
                | (_, "ip" | "ct" | "limit" | "numgen" | "ether" | "flags" | "pkttype") => true,
                _ => false,
            }
        })
    }

    /// Whether it drops what comes from where its source address does not belong.
    fn drops_strangers(&self) -> bool {
        // Beside the address may stand what else decides about the route, as `. mark`.
        let Some(rest) = self.behind(&["fib", "saddr"]) else { return false };
        let (asked, found) =
            rest.split_at(rest.iter().position(|word| *word == "oif").unwrap_or(rest.len()));
        let is_none = matches!(found, ["oif", "0" | "missing" | "vmap", ..]);
        let is_dropped = |word: &&str| matches!(word.trim_end_matches(','), "drop" | "reject");
        asked.contains(&"iif") && is_none && found.iter().any(is_dropped)
    }

    fn concerns_mail(&self, ours: &Ours, maps: &Maps<'a>) -> bool {
        self.matches(maps).may_be_mail(ours)
    }

    fn matches<'m>(&'m self, maps: &'m Maps<'a>) -> Matches<'m, 'a> {
        let Place { family, table, .. } = self.place;
        Matches { words: &self.words, family, table, maps }
    }

    /// What stands behind these words in a row.
    fn behind(&self, words: &[&str]) -> Option<&[&'a str]> {
        let at = self.words.windows(words.len()).position(|window| window == words)?;
        self.words.get(at + words.len()..)
    }
}

/// What becomes of packets that a device hands to another before any rule.
const FORWARDED: &str = "sends packets on to another device, past the filter";

/// The priority of our own rules (`NF_IP_PRI_MANGLE`).
const MANGLE: i32 = -150;

/// That of those which read the mark of packets to this machine (`NF_IP_PRI_FILTER`).
const FILTER: i32 = 0;
