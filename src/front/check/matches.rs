//! What a rule of nf_tables asks of packets, and whether mail is among those it is for.
//!
//! Told to print numbers, nft prints those of protocols too.

use super::map::{self, Maps};
use super::ours::{self, Asked, End, Ours};

/// The words of a rule, and the sets it may ask for by their names.
pub(super) struct Matches<'m, 'a> {
    pub(super) words: &'m [&'a str],
    pub(super) family: &'a str,
    pub(super) table: &'a str,
    pub(super) maps: &'m Maps<'a>,
}

/// What a match compares with.
struct Compared<'a> {
    /// Whether it is for anything but that.
    is_inverted: bool,
    /// The words of it; none: nobody knows.
    words: Option<Vec<&'a str>>,
}

impl<'a> Matches<'_, 'a> {
    /// Whether a packet of mail may be what it asks for.
    pub(super) fn may_be_mail(&self, ours: &Ours) -> bool {
        let asked = [(End::Destination, "dport"), (End::Source, "sport")];
        let asked =
            asked.into_iter().filter_map(|(end, word)| Some((end, self.ports(word, ours)?)));
        let is_unseen =
            !ours.local && (self.is_loopback(&INCOMING) || self.is_loopback(&["oif", "oifname"]));
        !is_unseen && self.may_be_tcp() && ours::may_be_mail(&asked.collect::<Vec<_>>())
    }

    /// Whether it is only for what the machine sends to itself, where that is on its way in.
    pub(super) fn is_loopback_input(&self) -> bool {
        self.is_loopback(&INCOMING)
    }

    fn is_loopback(&self, words: &[&str]) -> bool {
        let mut at = (0..self.words.len())
            .filter(|at| self.words.get(*at).is_some_and(|word| words.contains(word)));
        at.any(|at| {
            let compared = self.compared(self.words.get(at + 1..).unwrap_or_default());
            let is_lo = |word: &&str| word.trim_matches('"') == "lo";
            let is_lo = compared.words.is_some_and(|all| !all.is_empty() && all.iter().all(is_lo));
            is_lo && !compared.is_inverted
        })
    }

    /// What it asks of the ports of one end, which may be looked up beside something else.
    fn ports(&self, word: &str, ours: &Ours) -> Option<Asked> {
        // What is written there is not asked for.
        let is_asked =
            |pair: &[&str]| matches!(pair, [one, next] if *one == word && *next != "set");
        let at = self.words.windows(2).position(is_asked)?;
        let (before, rest) = (self.words.get(..at)?, self.words.get(at + 1..)?);
        let is_lookup =
            |word: &&str| matches!(*word, "{" | "vmap" | "map" | "!=") || word.starts_with('@');
        let rest = match rest {
            [] => return None,
            [".", ..] => rest.get(rest.iter().position(is_lookup)?..)?,
            rest => rest,
        };
        let is_beside = matches!(before, [.., ".", _]) || self.words.get(at + 1) == Some(&".");
        let compared = self.compared(rest);
        let ports: Vec<&str> =
            compared.words.into_iter().flatten().filter(|word| map::is_port(word)).collect();
        // Of other things than ports nobody knows what they are; what is looked up beside something
        // else leaves out only what this is too.
        if ports.is_empty() || compared.is_inverted && is_beside {
            return Some(Asked::Mail);
        }
        Some(ours.asked(compared.is_inverted, &ports, '-'))
    }

    /// Whether it is for packets of TCP, perhaps beside others.
    pub(super) fn may_be_tcp(&self) -> bool {
        let has_header = |header: &str| {
            let mut at = (0..self.words.len()).filter(|at| self.words.get(*at) == Some(&header));
            at.any(|at| self.is_header(at))
        };
        let is_other = !has_header("tcp") && OTHER_HEADERS.into_iter().any(has_header);
        let mut behind = (0..self.words.len()).filter_map(|at| {
            let before = at.checked_sub(1).and_then(|before| self.words.get(before));
            match (before, self.words.get(at)?) {
                (_, &"l4proto")
                | (Some(&("ip" | "ct" | "original" | "reply")), &"protocol")
                | (Some(&"ip6"), &"nexthdr") => self.words.get(at + 1..),
                _ => None,
            }
        });
        !is_other && behind.all(|rest| self.compared(rest).may_be_tcp())
    }

    /// Whether this is a header that is asked for, and no name, nor a value of something else.
    fn is_header(&self, at: usize) -> bool {
        let before = at.checked_sub(1).and_then(|before| self.words.get(before));
        before.is_none_or(|before| !before.ends_with(',') && !NAMING.contains(before))
    }

    /// What is compared, by what stands behind the word for it.
    fn compared(&self, behind: &[&'a str]) -> Compared<'a> {
        let (is_inverted, rest) = match behind {
            ["!=", rest @ ..] => (true, rest),
            rest => (false, rest),
        };
        let words = match rest {
            ["vmap" | "map", rest @ ..] | rest => match rest {
                ["{", set @ ..] => set.split(|word| *word == "}").next().map(map::keys),
                [".", ..] | [] => None,
                [one, ..] if one.starts_with('@') => self.named(one),
                [one, ..] => Some(vec![*one]),
            },
        };
        Compared { is_inverted, words }
    }

    /// The entries of a set by its name. Of one that has none now nobody knows what it will have.
    fn named(&self, name: &'a str) -> Option<Vec<&'a str>> {
        let name = name.strip_prefix('@')?;
        self.maps.get(&(self.family, self.table, name)).map(|words| map::keys(words))
    }
}

impl Compared<'_> {
    fn may_be_tcp(&self) -> bool {
        let is_tcp = |word: &&str| {
            let (low, high) = word.split_once('-').unwrap_or((word, word));
            match (low.parse::<u8>(), high.parse::<u8>()) {
                (Ok(low), Ok(high)) => TCP_OR_AHEAD.iter().any(|one| (low..=high).contains(one)),
                _ => *word == "tcp",
            }
        };
        let Some(words) = &self.words else { return true };
        // What is asked for may be one of several, what is left out is TCP alone.
        if self.is_inverted {
            !words.iter().any(|word| matches!(*word, "tcp" | "6"))
        } else {
            words.iter().any(is_tcp)
        }
    }
}

/// Words for the device a packet comes by.
const INCOMING: [&str; 2] = ["iif", "iifname"];

/// TCP, and the headers that IPv6 may have ahead of it.
const TCP_OR_AHEAD: [u8; 5] = [6, 0, 43, 44, 60];

/// Headers that a packet of TCP has not.
const OTHER_HEADERS: [&str; 11] =
    ["udp", "icmp", "icmpv6", "udplite", "sctp", "dccp", "igmp", "ah", "esp", "comp", "gre"];

/// Words behind which the name of a header is that of a chain or a protocol, or says what is sent.
const NAMING: [&str; 8] = ["jump", "goto", "with", "l4proto", "protocol", "nexthdr", "!=", "{"];
