//! What hellos and alerts say, counted by value: as many values as strangers choose, in bounded
//! memory.

use std::collections::BTreeMap;
use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use crate::speaker::Speaker;
use crate::tls::{alert_name, group_name, suite_name};

/// Values of one family that are counted apart: strangers choose them.
const APART_MAX: usize = 64;

/// Bytes of a protocol's name that are shown.
const PROTOCOL_MAX: usize = 32;

/// A value that a hello or an alert has said; `None` stands for all that are too many.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Heard {
    /// The cipher suite that a server chose.
    Suite(Option<u16>),
    /// The group of a server's key (TLS 1.3).
    Group(Option<u16>),
    /// The first protocol that a client offers (ALPN).
    Protocol(Option<Vec<u8>>),
    /// What a client's hello looks like (JA4).
    Fingerprint(Option<String>),
    /// The name that a client asks for (SNI).
    Name(Option<String>),
    /// The description of an alert in clear, and who said it.
    Alert(Speaker, Option<u8>),
    /// An end between which and another TLS has come to nothing.
    Failed(Speaker, Option<IpAddr>),
}

impl Heard {
    /// What is counted, as a word.
    #[must_use]
    pub const fn family(&self) -> &'static str {
        match self {
            Self::Suite(_) => "tls_suite",
            Self::Group(_) => "tls_group",
            Self::Protocol(_) => "tls_protocol",
            Self::Fingerprint(_) => "tls_fingerprint",
            Self::Name(_) => "tls_name",
            Self::Alert(Speaker::Client, _) => "tls_alert_client",
            Self::Alert(Speaker::Server, _) => "tls_alert_server",
            Self::Failed(Speaker::Client, _) => "tls_failed_client",
            Self::Failed(Speaker::Server, _) => "tls_failed_server",
        }
    }

    /// What is counted, in one sentence without a stop.
    #[must_use]
    pub const fn help(&self) -> &'static str {
        match self {
            Self::Suite(_) => "Server hellos with this cipher suite",
            Self::Group(_) => "Server hellos with a key of this group",
            Self::Protocol(_) => "ClientHellos that offer this protocol first (ALPN)",
            Self::Fingerprint(_) => "ClientHellos that look like this (JA4)",
            Self::Name(_) => "ClientHellos for this name",
            Self::Alert(Speaker::Client, _) => "Alerts of clients in clear",
            Self::Alert(Speaker::Server, _) => "Alerts of servers in clear",
            Self::Failed(Speaker::Client, _) => "TLS of this client that came to nothing",
            Self::Failed(Speaker::Server, _) => "TLS with this server that came to nothing",
        }
    }

    /// Which value.
    #[must_use]
    pub fn label(&self) -> String {
        let label = match self {
            Self::Suite(suite) => suite.map(|suite| named(suite_name(suite), suite)),
            Self::Group(group) => group.map(|group| named(group_name(group), group)),
            Self::Protocol(name) => name.as_deref().map(|name| {
                let shown = name.get(..PROTOCOL_MAX).unwrap_or(name);
                shown.escape_ascii().to_string()
            }),
            Self::Fingerprint(text) | Self::Name(text) => text.clone(),
            Self::Alert(_, alert) => alert
                .map(|alert| alert_name(alert).map_or_else(|| alert.to_string(), str::to_owned)),
            Self::Failed(_, address) => address.map(|address| address.to_string()),
        };
        label.unwrap_or_else(|| "other".to_owned())
    }

    const fn other(&self) -> Self {
        match self {
            Self::Suite(_) => Self::Suite(None),
            Self::Group(_) => Self::Group(None),
            Self::Protocol(_) => Self::Protocol(None),
            Self::Fingerprint(_) => Self::Fingerprint(None),
            Self::Name(_) => Self::Name(None),
            Self::Alert(side, _) => Self::Alert(*side, None),
            Self::Failed(side, _) => Self::Failed(*side, None),
        }
    }
}

/// A number by its name, or as it is.
fn named(name: Option<&str>, value: u16) -> String {
    name.map_or_else(|| format!("{value:#06x}"), str::to_owned)
}

/// How often each value was heard.
#[derive(Debug, Default)]
pub(super) struct Table(BTreeMap<Heard, u64>);

impl Table {
    /// The counts.
    pub(super) const fn counts(&self) -> &BTreeMap<Heard, u64> {
        &self.0
    }

    /// Adds what was heard, and empties it.
    pub(super) fn take(&mut self, heard: &mut BTreeMap<Heard, u64>) {
        for (value, count) in std::mem::take(heard) {
            self.add(value, count);
        }
    }

    /// Where there are too many of its kind, the one that was heard least gives way: its count is
    /// that of all others. So whoever comes often stays, however many come once.
    fn add(&mut self, value: Heard, count: u64) {
        let Self(counts) = self;
        if !counts.contains_key(&value) {
            let other = value.other();
            let is_alike = |known: &Heard| *known != other && known.family() == value.family();
            let alike = counts.iter().filter(|(known, _)| is_alike(known));
            let (number, least) = (alike.clone().count(), alike.min_by_key(|(_, count)| **count));
            let leaving = least.map(|(known, _)| known.clone()).filter(|_| number >= APART_MAX);
            if let Some(count) = leaving.and_then(|leaving| counts.remove(&leaving)) {
                *counts.entry(other).or_default() += count;
            }
        }
        *counts.entry(value).or_default() += count;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strangers_fill_a_bounded_table_and_those_who_come_often_stay() {
        let mut table = Table::default();
        let busy = Heard::Failed(Speaker::Client, Some([192, 0, 2, 1].into()));
        for number in 0_u32..1_000 {
            let stranger = Heard::Failed(Speaker::Client, Some(number.to_be_bytes().into()));
            let name = Heard::Name(Some(format!("{number}.example")));
            let heard = [(busy.clone(), 1), (stranger, 1), (name, 1), (Heard::Suite(Some(1)), 1)];
            table.take(&mut BTreeMap::from(heard));
        }
        let counts = table.counts();
        assert_eq!(
            (counts.get(&busy), counts.get(&Heard::Suite(Some(1)))),
            (Some(&1_000), Some(&1_000))
        );
        // The kinds do not displace each other, and each has one more for all that left.
        assert_eq!(counts.len(), 2 * (APART_MAX + 1) + 1);
        assert_eq!(counts.values().sum::<u64>(), 4_000, "none is lost");
    }

    #[test]
    fn values_have_words() {
        for (heard, family, label) in [
            (Heard::Suite(Some(0x1302)), "tls_suite", "AES_256_GCM_SHA384"),
            (Heard::Suite(Some(0x0a0b)), "tls_suite", "0x0a0b"),
            (Heard::Group(Some(0x11ec)), "tls_group", "X25519MLKEM768"),
            (Heard::Protocol(Some(b"s\"\n".to_vec())), "tls_protocol", "s\\\"\\n"),
            (Heard::Alert(Speaker::Client, Some(48)), "tls_alert_client", "unknown_ca"),
            (Heard::Alert(Speaker::Server, Some(200)), "tls_alert_server", "200"),
            (Heard::Failed(Speaker::Server, None), "tls_failed_server", "other"),
        ] {
            assert_eq!((heard.family(), heard.label().as_str()), (family, label));
        }
    }

    #[test]
    fn each_family_has_one_sentence_of_its_own() {
        let heard = [
            Heard::Suite(None),
            Heard::Group(None),
            Heard::Protocol(None),
            Heard::Fingerprint(None),
            Heard::Name(None),
            Heard::Alert(Speaker::Client, None),
            Heard::Alert(Speaker::Server, None),
            Heard::Failed(Speaker::Client, None),
            Heard::Failed(Speaker::Server, None),
        ];
        let all: BTreeMap<_, _> = heard.iter().map(|one| (one.family(), one.help())).collect();
        let sentences: std::collections::BTreeSet<_> = all.values().collect();
        assert_eq!((all.len(), sentences.len()), (heard.len(), heard.len()));
        assert!(sentences.iter().all(|help| help.contains(' ') && !help.ends_with('.')));
    }
}
