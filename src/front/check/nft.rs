//! The same in what the nft tool and its kin made: reads the text of `nft list ruleset`.
//!
//! Tables that iptables keeps are left out: they were read in its own words.

use super::iptables::{BYPASSED, OFFLOADED, REDIRECTED, UNTRACKED};
use super::ours::{Change, Ours, number};
use crate::config::Fail;
use crate::front::rules;

/// What is wrong, one sentence each. `known` are the tables that iptables keeps, as
/// `(family, table)`.
pub(super) fn findings(listing: &str, known: &[(&str, &str)], ours: &Ours) -> Vec<String> {
    let mut place = Place::default();
    let mut found = Vec::new();
    for line in listing.lines().map(str::trim) {
        let words: Vec<&str> = line.split_whitespace().collect();
        match *words.as_slice() {
            ["table", family, name, "{"] => {
                place = Place { family, table: name, ..Place::default() }
            }
            ["chain", name, "{"] => {
                place.chain = name;
                place.hook = None;
            }
            ["type", ..] => place.hook = hook(&words),
            _ if place.chain.is_empty() || known.contains(&(place.family, place.table)) => {}
            ["}"] => place.chain = "",
            _ => {
                let rule = Rule { words: &words, place };
                let harm = if rules::is_own_table(place.family, place.table) {
                    rule.harm_of_ours(ours)
                } else {
                    rule.harm(ours)
                };
                let Place { family, table, chain, .. } = place;
                let at = format!("nft {family} {table} {chain}");
                found.extend(harm.map(|what| format!("{at}: `{line}` {what}")));
            }
        }
    }
    found
}

/// Where in the listing a line stands.
#[derive(Clone, Copy, Default)]
struct Place<'a> {
    family: &'a str,
    table: &'a str,
    chain: &'a str,
    hook: Option<(&'a str, i32)>,
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
        "filter" => Some(0),
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

#[derive(Clone, Copy)]
struct Rule<'r, 'a> {
    words: &'r [&'a str],
    place: Place<'a>,
}

impl<'a> Rule<'_, 'a> {
    fn harm(self, ours: &Ours) -> Option<&'static str> {
        if !self.concerns_mail(ours) {
            return None;
        }
        self.queue(ours)
            .or_else(|| self.behind(&["notrack"]).map(|_| UNTRACKED))
            .or_else(|| {
                let flow =
                    self.behind(&["flow", "add"]).or_else(|| self.behind(&["flow", "offload"]));
                flow.map(|_| OFFLOADED)
            })
            .or_else(|| self.redirection(ours))
            .or_else(|| ours.harm_to_connection(change(self.behind(&["ct", "mark", "set"])?, "ct")))
            .or_else(|| {
                let rest = self
                    .behind(&["meta", "mark", "set"])
                    .or_else(|| self.behind(&["mark", "set"]))?;
                let is_of_packet = self.behind(&["ct", "mark", "set"]).is_none();
                is_of_packet.then(|| ours.harm_to_packet(change(rest, "meta")))?
            })
    }

    fn harm_of_ours(self, ours: &Ours) -> Option<&'static str> {
        let has_bypass = self.behind(&["queue"]).is_some() && self.words.contains(&"bypass");
        (ours.fail == Fail::Closed && has_bypass).then_some(BYPASSED)
    }

    fn queue(self, ours: &Ours) -> Option<&'static str> {
        let rest = self.behind(&["queue"])?;
        let numbers = rest.iter().rev().find(|word| word.starts_with(|c: char| c.is_ascii_digit()));
        if ours.has_queue(numbers.unwrap_or(&"0"), '-') {
            return Some("brings packets to a queue of ours that are not for it");
        }
        let is_before = match self.place.hook {
            Some(("prerouting" | "ingress", _)) | None => true,
            Some((_, priority)) => priority <= MANGLE,
        };
        is_before.then_some("brings mail to another program first")
    }

    fn redirection(self, ours: &Ours) -> Option<&'static str> {
        let rest = self.behind(&["dnat"]).or_else(|| self.behind(&["redirect"]))?;
        let port = rest.iter().find_map(|word| word.rsplit_once(':').map(|(_, port)| port))?;
        let port = port.split('-').next().unwrap_or_default();
        let is_of_mail = self.behind(&["dport"]).is_some();
        (port.parse::<u16>().is_ok() && is_of_mail && !ours.is_mail(port)).then_some(REDIRECTED)
    }

    fn concerns_mail(self, ours: &Ours) -> bool {
        let mut named = ["dport", "sport"].into_iter().filter_map(|word| {
            let rest = self.behind(&[word])?;
            let (is_inverted, rest) = match rest {
                ["!=", rest @ ..] => (true, rest),
                rest => (false, rest),
            };
            let ports = match rest {
                ["{", set @ ..] => {
                    set.iter().take_while(|word| **word != "}").copied().collect::<String>()
                }
                [one, ..] => (*one).to_owned(),
                [] => return None,
            };
            Some(is_inverted || ours.has_mail(&ports, '-'))
        });
        let has = |word| self.words.contains(&word);
        let is_other = !has("tcp") && (has("udp") || has("icmp") || has("icmpv6"));
        !is_other && named.next().is_none_or(|first| first || named.any(|one| one))
    }

    /// What stands behind these words in a row.
    fn behind(&self, words: &[&str]) -> Option<&[&'a str]> {
        let at = self.words.windows(words.len()).position(|window| window == words)?;
        self.words.get(at + words.len()..)
    }
}

/// What `ct mark set …` or `meta mark set …` does: `own` is the word for the mark itself.
fn change(expression: &[&str], own: &str) -> Change {
    let words: Vec<&str> = expression.iter().map(|word| word.trim_matches(['(', ')'])).collect();
    let (mut change, rest) = match words.as_slice() {
        [kind @ ("ct" | "meta"), "mark", rest @ ..] => (copy(*kind == own), rest),
        ["mark", rest @ ..] => (copy(own == "meta"), rest),
        [first, rest @ ..] => {
            let set = number(first).unwrap_or(u32::MAX);
            (Change { touched: u32::MAX, set }, rest)
        }
        [] => return Change::default(),
    };
    for pair in rest.chunks(2) {
        match *pair {
            ["and" | "&", mask] => {
                let mask = number(mask).unwrap_or(0);
                change = Change { touched: change.touched | !mask, set: change.set & mask };
            }
            ["or" | "|" | "xor" | "^", bits] => {
                let bits = number(bits).unwrap_or(u32::MAX);
                change = Change { touched: change.touched | bits, set: change.set | bits };
            }
            _ => break,
        }
    }
    change
}

/// The mark as it was, or the other one, of which we know nothing.
const fn copy(is_own: bool) -> Change {
    Change { touched: if is_own { 0 } else { u32::MAX }, set: 0 }
}

/// The priority of our own rules (`NF_IP_PRI_MANGLE`).
const MANGLE: i32 = -150;
