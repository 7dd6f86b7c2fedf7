//! Other people's iptables rules that lead mail past the filter, or take from it what it needs.
//!
//! Reads the text of `iptables-save`, in which every rule has one form whatever way it was given.

use super::ours::{Change, Ours, number};
use crate::config::Fail;
use crate::front::rules;

/// One rule of the listing.
struct Rule<'a> {
    table: &'a str,
    chain: &'a str,
    text: &'a str,
}

/// What is wrong, one sentence each.
pub(super) fn findings(listing: &str, ours: &Ours) -> Vec<String> {
    let mut table = "";
    let mut found = Vec::new();
    for line in listing.lines() {
        if let Some(name) = line.strip_prefix('*') {
            table = name;
        }
        let rule = line.strip_prefix("-A ").and_then(|rest| rest.split_once(' '));
        let Some((chain, text)) = rule else { continue };
        let rule = Rule { table, chain, text };
        let harm =
            if rules::is_own(table, chain) { rule.harm_of_ours(ours) } else { rule.harm(ours) };
        found.extend(harm.map(|what| format!("{table} {chain}: `{text}` {what}")));
    }
    found
}

/// The tables a listing has.
pub(super) fn tables(listing: &str) -> impl Iterator<Item = &str> {
    listing.lines().filter_map(|line| line.strip_prefix('*'))
}

impl<'a> Rule<'a> {
    fn harm_of_ours(&self, ours: &Ours) -> Option<&'static str> {
        (ours.fail == Fail::Closed && self.has("--queue-bypass")).then_some(BYPASSED)
    }

    fn harm(&self, ours: &Ours) -> Option<&'static str> {
        if !self.concerns_mail(ours) {
            return None;
        }
        match self.value("-j").or_else(|| self.value("-g"))? {
            "CONNMARK" => ours.harm_to_connection(self.change()?),
            "MARK" => ours.harm_to_packet(self.change()?),
            "CT" if self.has("--notrack") => Some(UNTRACKED),
            "NOTRACK" => Some(UNTRACKED),
            "FLOWOFFLOAD" => Some(OFFLOADED),
            "DNAT" => self.redirection(ours, self.value("--to-destination")?),
            "REDIRECT" => self.redirection(ours, self.value("--to-ports")?),
            "NFQUEUE" => self.queue(ours),
            _ => None,
        }
    }

    /// Where mail is sent to another port, of which the filter knows nothing.
    fn redirection(&self, ours: &Ours, to: &str) -> Option<&'static str> {
        let port = to.rsplit([':', ']']).next().unwrap_or_default();
        let port = port.split('-').next().unwrap_or_default();
        let has_port = port.parse::<u16>().is_ok();
        let is_of_mail = self.value("--dport").or_else(|| self.value("--dports")).is_some();
        (has_port && is_of_mail && !ours.is_mail(port)).then_some(REDIRECTED)
    }

    fn queue(&self, ours: &Ours) -> Option<&'static str> {
        let numbers = self.value("--queue-num").or_else(|| self.value("--queue-balance"));
        if ours.has_queue(numbers.unwrap_or("0"), ':') {
            return Some("brings packets to a queue of ours that are not for it");
        }
        // In mangle FORWARD, INPUT and OUTPUT our rule is the first, or that is said elsewhere.
        let is_before = match (self.table, self.chain) {
            ("raw", _) => true,
            ("mangle", chain) => !matches!(chain, "FORWARD" | "INPUT" | "OUTPUT" | "POSTROUTING"),
            _ => false,
        };
        is_before.then_some("brings mail to another program first")
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

    fn concerns_mail(&self, ours: &Ours) -> bool {
        let is_other = self.value("-p").is_some_and(|protocol| !matches!(protocol, "tcp" | "all"));
        let ports = ["--dport", "--sport", "--dports", "--sports", "--ports"];
        let mut named = ports.into_iter().filter_map(|option| {
            let has_mail = ours.has_mail(self.value(option)?, ':');
            let is_inverted = self.text.contains(&format!("! {option} "));
            Some(has_mail || is_inverted)
        });
        !is_other && named.next().is_none_or(|first| first || named.any(|one| one))
    }

    fn has(&self, option: &str) -> bool {
        self.text.split(' ').any(|word| word == option)
    }

    fn value(&self, option: &str) -> Option<&'a str> {
        let mut words = self.text.split(' ');
        words.find(|word| *word == option)?;
        words.next()
    }
}

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
