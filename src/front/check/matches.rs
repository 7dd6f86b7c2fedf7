//! What a rule of nf_tables asks of packets, and whether mail is among those it is for.
//!
//! Told to print numbers, nft prints those of protocols too.

use std::slice;

use super::map::Maps;

/// The words of a rule, and the sets it may ask for by their names.
pub(super) struct Matches<'m, 'a> {
    pub(super) words: &'m [&'a str],
    pub(super) family: &'a str,
    pub(super) table: &'a str,
    pub(super) maps: &'m Maps<'a>,
}

/// What a match compares with.
struct Compared<'m, 'a> {
    /// Whether it is for anything but that.
    is_inverted: bool,
    /// The words of it; none: nobody knows.
    words: Option<&'m [&'a str]>,
}

impl<'m, 'a> Matches<'m, 'a> {
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
    fn compared(&self, behind: &'m [&'a str]) -> Compared<'m, 'a> {
        let (is_inverted, rest) = match behind {
            ["!=", rest @ ..] => (true, rest),
            rest => (false, rest),
        };
        let words = match rest {
            ["{", set @ ..] => set.split(|word| *word == "}").next(),
            // Beside something else, or to find out what becomes of it.
            ["." | "vmap" | "map", ..] | [] => None,
            [one, ..] if one.starts_with('@') => self.named(one),
            [one, ..] => Some(slice::from_ref(one)),
        };
        Compared { is_inverted, words }
    }

    /// The entries of a set by its name. Of one that has none now nobody knows what it will have.
    fn named(&self, name: &'a str) -> Option<&'m [&'a str]> {
        let name = name.strip_prefix('@')?;
        self.maps.get(&(self.family, self.table, name)).map(Vec::as_slice)
    }
}

impl Compared<'_, '_> {
    fn may_be_tcp(&self) -> bool {
        let is_tcp = |word: &&str| {
            let word = word.trim_end_matches(',');
            let (low, high) = word.split_once('-').unwrap_or((word, word));
            match (low.parse::<u8>(), high.parse::<u8>()) {
                (Ok(low), Ok(high)) => TCP_OR_AHEAD.iter().any(|one| (low..=high).contains(one)),
                _ => word == "tcp",
            }
        };
        let Some(words) = self.words else { return true };
        // What is asked for may be one of several, what is left out is TCP alone.
        if self.is_inverted {
            !words.iter().any(|word| matches!(word.trim_end_matches(','), "tcp" | "6"))
        } else {
            words.iter().any(is_tcp)
        }
    }
}

/// TCP, and the headers that IPv6 may have ahead of it.
const TCP_OR_AHEAD: [u8; 5] = [6, 0, 43, 44, 60];

/// Headers that a packet of TCP has not.
const OTHER_HEADERS: [&str; 11] =
    ["udp", "icmp", "icmpv6", "udplite", "sctp", "dccp", "igmp", "ah", "esp", "comp", "gre"];

/// Words behind which the name of a header is that of a chain or a protocol, or says what is sent.
const NAMING: [&str; 8] = ["jump", "goto", "with", "l4proto", "protocol", "nexthdr", "!=", "{"];
