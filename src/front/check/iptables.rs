//! Other people's iptables rules that lead mail past the filter, or take from it what it needs.
//!
//! Reads the text of `iptables-save`, in which every rule has one form whatever way it was given.

use std::collections::BTreeSet;

use super::ours::{self, Change, End, Ours, number, port_behind};
use crate::config::Fail;
use crate::front::rules::{self, Keeper, Printer};

/// One rule of the listing.
struct Rule<'a> {
    table: &'a str,
    chain: &'a str,
    text: &'a str,
    words: Vec<&'a str>,
}

/// A chain by its table and name.
type Chain<'a> = (&'a str, &'a str);

/// What is wrong, one sentence each.
pub(super) fn findings(listing: &str, ours: &Ours) -> Vec<String> {
    let rules = rules_of(listing);
    let hooked = rules.iter().filter(|rule| BUILT_IN.contains(&rule.chain));
    let hooked = hooked.map(|rule| (rule.table, rule.chain));
    let behind = hooked.clone().filter(|(table, chain)| is_behind(table, chain, ours));
    let jumps = rules.iter().filter(|rule| rule.concerns_mail(ours)).filter_map(Rule::jump);
    let (behind, reached) = (reached(behind, jumps.clone()), reached(hooked, jumps));
    let said = |rule: &Rule<'_>| {
        let Rule { table, chain, text, .. } = *rule;
        let harm = if rules::is_own(table, chain) {
            rule.harm_of_ours(ours)
        } else {
            let is_behind = behind.contains(&(table, chain));
            rule.harm(ours, is_behind).filter(|_| reached.contains(&(table, chain)))
        };
        harm.map(|what| format!("{table} {chain}: `{text}` {what}"))
    };
    rules.iter().filter_map(said).collect()
}

fn rules_of(listing: &str) -> Vec<Rule<'_>> {
    let (mut table, mut rules) = ("", Vec::new());
    for line in listing.lines() {
        table = line.strip_prefix('*').unwrap_or(table);
        let rule = line.strip_prefix("-A ").and_then(|rest| rest.split_once(' '));
        rules.extend(rule.map(|(chain, text)| {
            let words = rules::words(text, Printer::Iptables);
            Rule { table, chain, text, words }
        }));
    }
    rules
}

/// The chains that mail can come to: those that hooks call, and where it is sent on from these.
pub(super) fn reached<C: Copy + Ord>(
    hooked: impl Iterator<Item = C>,
    jumps: impl Iterator<Item = (C, C)>,
) -> BTreeSet<C> {
    let mut reached: BTreeSet<C> = hooked.collect();
    let mut jumps: Vec<(C, C)> = jumps.collect();
    loop {
        let before = jumps.len();
        jumps.retain(|(from, to)| {
            let is_reached = reached.contains(from);
            if is_reached {
                reached.insert(*to);
            }
            !is_reached
        });
        if jumps.len() == before {
            return reached;
        }
    }
}

/// The chains that hooks call.
const BUILT_IN: [&str; 5] = ["PREROUTING", "INPUT", "FORWARD", "OUTPUT", "POSTROUTING"];

/// Whether a packet comes through a chain behind the filter's verdict, and before our rules have
/// read from its mark what that says of the connection. Where iptables keeps ours they come first
/// in mangle and in filter INPUT. Those of nft have the priorities of these tables, and of two
/// with one priority nobody knows which is the first.
fn is_behind(table: &str, chain: &str, ours: &Ours) -> bool {
    let may_be_first = ours.keeper == Keeper::Nft;
    match (table, chain) {
        ("mangle", "POSTROUTING") => may_be_first,
        ("filter", "INPUT") => may_be_first && ours.local,
        ("mangle" | "filter" | "security", "FORWARD") => true,
        ("mangle", "INPUT") | ("mangle" | "nat" | "filter" | "security", "OUTPUT") => ours.local,
        _ => false,
    }
}

/// Whether a rule drops every packet whose source address belongs elsewhere, as the kernel's own
/// check of IPv4 does where it is strict; or the end of a chain that has returned all others.
pub(super) fn has_source_check(listing: &str, ours: &Ours) -> bool {
    let mut rules = rules_of(listing);
    let mut ended = BTreeSet::new();
    // What stands behind the end of its chain is never come to.
    rules.retain(|rule| {
        let chain = (rule.table, rule.chain);
        !ended.contains(&chain) && {
            ended.extend(rule.is_end().then_some(chain));
            true
        }
    });
    rules.retain(|rule| rule.concerns_mail(ours) && !rule.is_for_some());
    let is_hooked =
        |rule: &&Rule<'_>| matches!(rule.table, "raw" | "mangle") && rule.chain == "PREROUTING";
    let hooked = rules.iter().filter(is_hooked).map(|rule| (rule.table, rule.chain));
    let reached = reached(hooked, rules.iter().filter_map(Rule::jump));
    let mut reached =
        rules.iter().enumerate().filter(|(_, rule)| reached.contains(&(rule.table, rule.chain)));
    reached.any(|(at, rule)| {
        let behind = rules.get(at + 1..).unwrap_or_default();
        rule.drops_strangers() || rule.returns_others() && rule.is_end_dropped(behind)
    })
}

/// The tables of a listing that do anything: they have a rule, or a policy that lets not all pass.
pub(super) fn in_use(listing: &str) -> Vec<&str> {
    let (mut table, mut found) = ("", Vec::new());
    for line in listing.lines() {
        table = line.strip_prefix('*').unwrap_or(table);
        let policy = line.strip_prefix(':').and_then(|chain| chain.split(' ').nth(1));
        let does =
            line.starts_with("-A ") || policy.is_some_and(|it| !matches!(it, "ACCEPT" | "-"));
        if does && found.last() != Some(&table) {
            found.push(table);
        }
    }
    found
}

/// The tables a listing has.
pub(super) fn tables(listing: &str) -> impl Iterator<Item = &str> {
    listing.lines().filter_map(|line| line.strip_prefix('*'))
}

impl<'a> Rule<'a> {
    /// Where it leads packets, and from where.
    fn jump(&self) -> Option<(Chain<'a>, Chain<'a>)> {
        let target = rules::target(&self.words)?;
        Some(((self.table, self.chain), (self.table, target)))
    }

    /// Whether it is for some packets of mail alone: those of a device, of some connections, from
    /// or to some addresses, or so many.
    fn is_for_some(&self) -> bool {
        let is_chosen = |option| self.has(option) && !self.is_inverted(option);
        let mut modules = self.words.windows(2).filter_map(|pair| match pair {
            ["-m", module] => Some(module),
            _ => None,
        });
        ["-i", "-s", "-d"].into_iter().any(is_chosen)
            || modules.any(|module| !OF_ALL.contains(module))
            || ["--tcp-flags", "--syn", "--tcp-option"].into_iter().any(|option| self.has(option))
    }

    /// Whether it drops what comes from where its source address does not belong.
    fn drops_strangers(&self) -> bool {
        self.asks_for_source() && self.has("--invert") && rules::target(&self.words) == Some("DROP")
    }

    /// Whether it takes all others out of its chain.
    fn returns_others(&self) -> bool {
        let target = rules::target(&self.words);
        self.asks_for_source() && !self.has("--invert") && target == Some("RETURN")
    }

    /// Whether where a source address belongs is looked at, and strictly.
    fn asks_for_source(&self) -> bool {
        let is_asked = self.words.windows(2).any(|pair| pair == ["-m", "rpfilter"]);
        is_asked && !self.has("--loose")
    }

    /// Whether what comes to the end of its chain behind it is dropped there.
    fn is_end_dropped(&self, behind: &[Self]) -> bool {
        let is_beside = |rule: &&Self| (rule.table, rule.chain) == (self.table, self.chain);
        let end = behind.iter().filter(is_beside).find(|rule| rule.is_end());
        end.is_some_and(|end| rules::target(&end.words) == Some("DROP"))
    }

    /// Whether no packet comes behind it in its chain.
    fn is_end(&self) -> bool {
        matches!(*self.words, ["-j", "DROP" | "RETURN" | "ACCEPT"])
    }

    fn harm_of_ours(&self, ours: &Ours) -> Option<&'static str> {
        (ours.fail == Fail::Closed && self.has("--queue-bypass")).then_some(BYPASSED)
    }

    fn harm(&self, ours: &Ours, is_behind: bool) -> Option<&'static str> {
        if !self.concerns_mail(ours) {
            return None;
        }
        match rules::target(&self.words)? {
            "CONNMARK" if self.has("--restore-mark") => {
                ours.harm_to_packet(self.restored()?, is_behind)
            }
            "CONNMARK" => ours.harm_to_connection(self.change()?),
            "MARK" => ours.harm_to_packet(self.change()?, is_behind),
            // What the machine sends to itself has been tracked on its way out.
            "CT" | "NOTRACK" if self.is_loopback("-i") => None,
            "CT" if self.has("--notrack") => Some(UNTRACKED),
            "NOTRACK" => Some(UNTRACKED),
            "FLOWOFFLOAD" => Some(OFFLOADED),
            "DNAT" => redirection(ours, port_behind(self.value("--to-destination")?)?),
            "REDIRECT" => redirection(ours, self.value("--to-ports")?),
            "NFQUEUE" => self.queue(ours),
            "TPROXY" => Some(ELSEWHERE),
            "TEE" => Some(COPIED),
            _ => None,
        }
    }

    fn queue(&self, ours: &Ours) -> Option<&'static str> {
        let numbers = self.value("--queue-num").or_else(|| self.value("--queue-balance"));
        if ours.has_queue(numbers.unwrap_or("0"), ':') {
            return Some("brings packets to a queue of ours that are not for it");
        }
        // In mangle FORWARD, INPUT and OUTPUT our rule is the first, or that is said elsewhere,
        // where iptables keeps it.
        let is_before = match (self.table, self.chain) {
            ("raw", _) => true,
            ("mangle", "POSTROUTING") => false,
            ("mangle", "FORWARD") => ours.keeper == Keeper::Nft,
            ("mangle", "INPUT" | "OUTPUT") => ours.keeper == Keeper::Nft && ours.local,
            ("mangle", _) => true,
            _ => false,
        };
        is_before.then_some(ELSEWHERE)
    }

    fn change(&self) -> Option<Change> {
        if self.has("--save-mark") {
            let mask = self.value("--ctmask").map_or(Some(u32::MAX), number)?;
            return Some(Change { touched: mask, set: 0 });
        }
        let value = self.value("--set-xmark").or_else(|| self.value("--set-mark"))?;
        let (set, mask) = value.split_once('/').unwrap_or((value, "0xffffffff"));
        let (set, mask) = (number(set)?, number(mask)?);
        Some(Change { touched: set | mask, set })
    }

    /// What a connection's mark does to that of a packet.
    fn restored(&self) -> Option<Change> {
        let mask = |option| self.value(option).map_or(Some(u32::MAX), number);
        Some(Change { touched: mask("--nfmask")? | mask("--ctmask")?, set: 0 })
    }

    fn concerns_mail(&self, ours: &Ours) -> bool {
        let is_named = |protocol| matches!(protocol, "tcp" | "all");
        let is_other = self.value("-p").is_some_and(|one| is_named(one) == self.is_inverted("-p"));
        let asked = PORTS.into_iter().filter_map(|(end, option)| {
            let ports: Vec<&str> = self.value(option)?.split(',').collect();
            Some((end, ours.asked(self.is_inverted(option), &ports, ':')))
        });
        let is_unseen = !ours.local && (self.is_loopback("-i") || self.is_loopback("-o"));
        !is_other && !is_unseen && ours::may_be_mail(&asked.collect::<Vec<_>>())
    }

    /// Whether it is only for what the machine sends to itself.
    fn is_loopback(&self, option: &str) -> bool {
        self.value(option) == Some("lo") && !self.is_inverted(option)
    }

    fn has(&self, option: &str) -> bool {
        rules::position(&self.words, option).is_some()
    }

    fn is_inverted(&self, option: &str) -> bool {
        let before = rules::position(&self.words, option).and_then(|at| at.checked_sub(1));
        before.and_then(|before| self.words.get(before)) == Some(&"!")
    }

    fn value(&self, option: &str) -> Option<&'a str> {
        rules::value(&self.words, option)
    }
}

/// Modules that choose by no more than marks and what is asked of a packet of mail anyway.
const OF_ALL: [&str; 6] = ["rpfilter", "tcp", "multiport", "comment", "mark", "connmark"];

/// The options that ask for ports.
const PORTS: [(End, &str); 5] = [
    (End::Destination, "--dport"),
    (End::Source, "--sport"),
    (End::Destination, "--dports"),
    (End::Source, "--sports"),
    (End::Either, "--ports"),
];

/// Where mail is sent to another port, of which the filter knows nothing.
fn redirection(ours: &Ours, port: &str) -> Option<&'static str> {
    ours.is_other(port).then_some(REDIRECTED)
}

/// What becomes of mail that somebody else gets.
pub(super) const ELSEWHERE: &str = "brings mail to another program first";

/// What becomes of mail of which copies are made.
pub(super) const COPIED: &str = "sends copies of mail on, past the filter";

/// What becomes of packets that connection tracking does not see.
pub(super) const UNTRACKED: &str =
    "takes mail from connection tracking: no fragment is joined, and no connection has a mark";

/// What becomes of packets on the kernel's short way.
pub(super) const OFFLOADED: &str =
    "sends established connections past every rule, and past the filter; exempt the mail ports";

/// What becomes of mail while nobody serves the queue.
pub(super) const BYPASSED: &str =
    "lets mail pass while no filter runs, though queue.fail is closed";

/// What becomes of mail at another port.
pub(super) const REDIRECTED: &str =
    "sends mail to a port that is not among `ports`: it passes unread";
