//! Maps of nf_tables: what a rule looks up, and what it finds there.

use std::collections::BTreeMap;

use super::ours::{Ours, port_behind};

/// The sets and maps that have a name, by family, table and that: their entries.
pub(super) type Maps<'a> = BTreeMap<(&'a str, &'a str, &'a str), Vec<&'a str>>;

/// A map as a rule uses it.
pub(super) struct Map<'m, 'a> {
    /// Its entries, as they are listed.
    words: &'m [&'a str],
    /// Whether what is looked up in it is a port, alone or beside something else.
    has_ports: bool,
}

impl<'m, 'a> Map<'m, 'a> {
    /// A map with these entries, in which a rule looks up what is written before.
    pub(super) fn new(before: &[&str], words: &'m [&'a str]) -> Self {
        let is_beside = |pair: &[&str]| matches!(pair, ["dport" | "sport", "."]);
        let has_ports =
            matches!(before, [.., "dport" | "sport"]) || before.windows(2).any(is_beside);
        let words = words.split(|word| *word == "}").next().unwrap_or_default();
        Self { words, has_ports }
    }

    /// What stands for mail in it.
    pub(super) fn values_of_mail(&self, ours: &Ours) -> Vec<&'m [&'a str]> {
        let split = entries(self.words).filter_map(|entry| {
            let at = entry.iter().position(|word| *word == ":")?;
            Some((entry.get(..at)?, entry.get(at + 1..)?))
        });
        let is_mail = |key: &[&str]| !self.has_ports || any_mail(ours, key.iter());
        split.filter(|(key, _)| is_mail(key)).map(|(_, value)| value).collect()
    }

    /// Whether a port stands for mail in it, beside an address or alone, that is not mail's.
    pub(super) fn leads_elsewhere(&self, ours: &Ours) -> bool {
        let values = self.values_of_mail(ours);
        let mut last = values.iter().filter_map(|value| Some(value.last()?.trim_end_matches(',')));
        last.any(|word| ours.is_other(word) || port_behind(word).is_some_and(|p| ours.is_other(p)))
    }

    /// Whether a port of mail is found in it.
    pub(super) fn leads_to_mail(&self, ours: &Ours) -> bool {
        let mut last = entries(self.words).filter_map(<[_]>::last);
        last.any(|word| is_port(word.trim_end_matches(',')) && any_mail(ours, [word].into_iter()))
    }
}

/// What is listed of a set or a map, one by one.
fn entries<'m, 'a>(words: &'m [&'a str]) -> impl Iterator<Item = &'m [&'a str]> {
    words.split_inclusive(|word| word.ends_with(','))
}

/// What a set has, or what is looked up in a map, but for what is told of it beside.
pub(super) fn keys<'a>(words: &[&'a str]) -> Vec<&'a str> {
    let is_key =
        |word: &&&str| !matches!(**word, ":" | "comment" | "timeout" | "expires" | "counter");
    let keys = entries(words).flat_map(|entry| entry.iter().take_while(is_key));
    keys.map(|word| word.trim_end_matches(',')).collect()
}

/// Whether this is a port or a range.
pub(super) fn is_port(word: &str) -> bool {
    word.split('-').all(|port| port.parse::<u16>().is_ok())
}

/// Whether one of these is a port of mail, or a range with one. Where none is a port, all may be.
fn any_mail<'w>(ours: &Ours, words: impl Iterator<Item = &'w &'w str>) -> bool {
    let ports = words.map(|word| word.trim_end_matches([',', ':']));
    let mut ports = ports.filter(|word| is_port(word)).peekable();
    ports.peek().is_none() || ports.any(|port| ours.has_mail(port, '-'))
}
