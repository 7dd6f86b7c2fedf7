//! The counters: one table, walked by all who print, log or export them.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::Mutex;

use super::heard::Table;
use super::{Heard, Reason};
use crate::flow::Ends;
use crate::guard::Rule;
use crate::patch::{Deed, Id};
use crate::speaker::Speaker;
use crate::tls::{ClientOffer, ServerHello, ServerName, Version};

/// One counter as others are shown it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Counter {
    /// Its name, as in `Stats`.
    pub name: &'static str,
    /// What it counts, in one sentence without a stop.
    pub help: &'static str,
    /// Its value.
    pub value: u64,
}

/// Declares the counters once: the fields, their help, and what has to go through all of them.
macro_rules! counters {
    (
        often { $(#[doc = $often_help:literal] $often:ident,)+ }
        seldom { $(#[doc = $seldom_help:literal] $seldom:ident,)+ }
    ) => {
        counters! {
            $(#[doc = $often_help] $often,)+
            $(#[doc = $seldom_help] $seldom,)+
        }

        impl Tally {
            /// Adds the counters of one packet, and empties them.
            fn take_counters(&self, counted: &mut Counted) {
                $(if counted.$often > 0 {
                    self.$often.fetch_add(std::mem::take(&mut counted.$often), Ordering::Relaxed);
                })+
                // Nearly every packet counts none of these, which is found out at once.
                if 0 $(| counted.$seldom)+ != 0 {
                    $(if counted.$seldom > 0 {
                        let count = std::mem::take(&mut counted.$seldom);
                        self.$seldom.fetch_add(count, Ordering::Relaxed);
                    })+
                }
            }
        }
    };
    ($(#[doc = $help:literal] $name:ident,)+) => {
        /// Counters since the start, or since that of the first whose work this goes on with, and
        /// two figures of the present.
        #[derive(Clone, Debug, Default, PartialEq, Eq)]
        pub struct Stats {
            $(#[doc = $help] pub $name: u64,)+
            /// Packets dropped, by reason; those that monitoring let pass as well.
            pub drops: BTreeMap<Reason, u64>,
            /// Packets whose payload, or the rest of it, was held back, by reason; those that
            /// monitoring let pass as well.
            pub withheld: BTreeMap<Reason, u64>,
            /// What hellos and alerts in clear have said, and between whom TLS has failed.
            pub tls: BTreeMap<Heard, u64>,
            /// Lines refused, noted or ending their flow, and limits passed, by rule.
            pub rules: BTreeMap<Rule, u64>,
            /// What patches did, by patch and deed.
            pub patches: BTreeMap<(Id, Deed), u64>,
            /// Flows open or remembered now.
            pub flows_now: u64,
            /// Bytes held now until their receivers acknowledge them.
            pub store_bytes_now: u64,
        }

        impl Stats {
            /// The counters in their order; drops and what was withheld stand beside them.
            #[must_use]
            pub fn counters(&self) -> Vec<Counter> {
                vec![$(Counter {
                    name: stringify!($name),
                    help: $help.trim_ascii(),
                    value: self.$name,
                },)+]
            }
        }

        /// What one packet has counted.
        #[derive(Debug, Default)]
        pub(super) struct Counted {
            $(pub(super) $name: u64,)+
            pub(super) drops: BTreeMap<Reason, u64>,
            pub(super) withheld: BTreeMap<Reason, u64>,
            pub(super) tls: BTreeMap<Heard, u64>,
            pub(super) rules: BTreeMap<Rule, u64>,
            pub(super) patches: Struck,
        }

        impl Counted {
            /// Sets the counter of this name, if there is one.
            pub(super) fn set(&mut self, name: &str, value: u64) {
                match name {
                    $(stringify!($name) => self.$name = value,)+
                    _ => {}
                }
            }
        }

        /// The counters of one worker, shared with those who read them.
        #[derive(Debug, Default)]
        pub(super) struct Tally {
            $($name: AtomicU64,)+
            reasons: Mutex<Reasons>,
        }

        impl Tally {
            /// Adds what one packet counted, and empties it.
            pub(super) fn take(&self, counted: &mut Counted) {
                self.take_counters(counted);
                if !counted.tls.is_empty() {
                    self.reasons.lock().tls.take(&mut counted.tls);
                }
                let is_empty = counted.drops.is_empty()
                    && counted.withheld.is_empty()
                    && counted.rules.values().all(|&count| count == 0)
                    && counted.patches.0.is_empty();
                if !is_empty {
                    let mut reasons = self.reasons.lock();
                    counted.patches.add_to(&mut reasons.patches);
                    add(&mut reasons.drops, &counted.drops);
                    add(&mut reasons.withheld, &counted.withheld);
                    add(&mut reasons.rules, &counted.rules);
                    // Their places stay, so that another refused line asks for no memory.
                    counted.rules.values_mut().for_each(|count| *count = 0);
                    counted.drops.clear();
                    counted.withheld.clear();
                }
            }

            /// Adds its counters to a sum.
            pub(super) fn sum(&self, stats: &mut Stats) {
                $(stats.$name += self.$name.load(Ordering::Relaxed);)+
                let reasons = self.reasons.lock();
                add(&mut stats.drops, &reasons.drops);
                add(&mut stats.withheld, &reasons.withheld);
                add(&mut stats.tls, reasons.tls.counts());
                add(&mut stats.rules, &reasons.rules);
                add(&mut stats.patches, &reasons.patches);
            }
        }
    };
}

/// What patches have done, by patch and deed: few of them, and each perhaps many times.
#[derive(Debug, Default)]
pub(super) struct Struck(Vec<(Id, Deed, u64)>);

impl Struck {
    /// One more time.
    pub(super) fn count(&mut self, id: &Id, deed: Deed) {
        let is_it =
            |(known, other, _): &&mut (Id, Deed, u64)| Arc::ptr_eq(known, id) && *other == deed;
        match self.0.iter_mut().find(is_it) {
            Some((.., count)) => *count += 1,
            None => self.0.push((Id::clone(id), deed, 1)),
        }
    }

    /// Adds it to what others did, and empties it.
    fn add_to(&mut self, counts: &mut BTreeMap<(Id, Deed), u64>) {
        for (id, deed, count) in self.0.drain(..) {
            *counts.entry((id, deed)).or_default() += count;
        }
    }
}

impl FromIterator<(Id, Deed, u64)> for Struck {
    fn from_iter<I: IntoIterator<Item = (Id, Deed, u64)>>(counts: I) -> Self {
        Self(counts.into_iter().collect())
    }
}

counters! {
    often {
        /// Packets handled
        packets,
        /// Packets that went on as they came
        accepted,
        /// Packets that went on with other bytes, or with less payload
        rewritten,
        /// Flows opened
        flows,
        /// Flows forgotten to make room for others
        flows_evicted,
        /// Command lines let through
        commands_passed,
        /// Command lines refused
        commands_refused,
        /// Bytes replaced, in both directions
        bytes_masked,
        /// Messages whose end was read
        messages,
    }
    seldom {
        /// RSTs sent
        resets,
        /// RSTs not sent because too many were due for packets of no flow
        resets_spared,
        /// Things that must not happen: faults of the dialogue, contradicting copies
        alarms,
        /// Entries of the event log left out because one flow had too many
        entries_left_out,
        /// Handshake records that had to make room for others
        handshakes_evicted,
        /// Bytes that a capture lacks, passed over
        bytes_missed,
        /// Answers to EHLO that offer STARTTLS
        starttls_offered,
        /// Answers to EHLO that do not
        starttls_not_offered,
        /// STARTTLS that the server refused
        starttls_refused,
        /// MAIL in clear although STARTTLS was offered
        mail_in_clear_unused_offer,
        /// MAIL in clear without an offer of STARTTLS
        mail_in_clear_without_offer,
        /// ClientHellos let through, one a session
        tls_begun,
        /// Of those, hellos above 1,400 bytes: too long for one segment
        tls_large_hellos,
        /// Handshakes behind which both sides were under keys
        tls_agreed,
        /// Of those, under TLS 1.3
        tls_agreed_1_3,
        /// Of those, under TLS 1.2
        tls_agreed_1_2,
        /// Of those, under TLS 1.1
        tls_agreed_1_1,
        /// Of those, under TLS 1.0
        tls_agreed_1_0,
        /// Of those, under another version
        tls_agreed_other,
        /// Server hellos that resume a session
        tls_resumed,
        /// Server hellos behind a HelloRetryRequest
        tls_retried,
        /// Handshakes that came to nothing
        tls_failed,
        /// Flows handed over behind their handshake
        tls_handed_over,
        /// Flows under TLS of which a stream ended inside a record
        tls_truncated,
        /// Bytes that are no TLS where TLS has to be
        tls_faults,
        /// Handshakes under the keys of another
        tls_renegotiations,
        /// ClientHellos with the name of a server
        tls_names_present,
        /// ClientHellos without one
        tls_names_absent,
        /// ClientHellos with a name that is none
        tls_names_odd,
        /// ClientHellos with a name that is not one of `tls_names`
        tls_names_foreign,
    }
}

#[derive(Debug, Default)]
struct Reasons {
    drops: BTreeMap<Reason, u64>,
    withheld: BTreeMap<Reason, u64>,
    tls: Table,
    rules: BTreeMap<Rule, u64>,
    patches: BTreeMap<(Id, Deed), u64>,
}

fn add<K: Clone + Ord>(sum: &mut BTreeMap<K, u64>, more: &BTreeMap<K, u64>) {
    for (cause, count) in more.iter().filter(|(_, count)| **count > 0) {
        *sum.entry(cause.clone()).or_default() += count;
    }
}

/// Bytes of a ClientHello that fit into one segment of most paths.
const SMALL_HELLO_MAX: usize = 1_400;

impl Counted {
    fn hear(&mut self, heard: Heard) {
        *self.tls.entry(heard).or_default() += 1;
    }

    pub(super) fn count_offer(&mut self, offer: &ClientOffer) {
        match &offer.server_name {
            ServerName::Absent => self.tls_names_absent += 1,
            ServerName::Host(name) => {
                self.tls_names_present += 1;
                self.hear(Heard::Name(Some(name.clone())));
            }
            ServerName::Odd => self.tls_names_odd += 1,
        }
        self.hear(Heard::Fingerprint(Some(offer.fingerprint.clone())));
        if let Some(first) = offer.protocols.first() {
            self.hear(Heard::Protocol(Some(first.clone())));
        }
    }

    pub(super) fn count_begun(&mut self, length: usize) {
        self.tls_begun += 1;
        self.tls_large_hellos += u64::from(length > SMALL_HELLO_MAX);
    }

    pub(super) fn count_server_hello(&mut self, hello: &ServerHello) {
        self.hear(Heard::Suite(Some(hello.cipher_suite)));
        if hello.group.is_some() {
            self.hear(Heard::Group(hello.group));
        }
        self.tls_resumed += u64::from(hello.is_resumed);
        self.tls_retried += u64::from(hello.is_retried);
    }

    pub(super) fn count_alert(&mut self, side: Speaker, description: u8) {
        self.hear(Heard::Alert(side, Some(description)));
    }

    pub(super) fn count_failure(&mut self, ends: Ends) {
        self.tls_failed += 1;
        self.hear(Heard::Failed(Speaker::Client, Some(ends.originator.address)));
        self.hear(Heard::Failed(Speaker::Server, Some(ends.responder.address)));
    }

    pub(super) const fn count_agreement(&mut self, version: Version) {
        self.tls_agreed += 1;
        match version {
            Version::TLS13 => self.tls_agreed_1_3 += 1,
            Version::TLS12 => self.tls_agreed_1_2 += 1,
            Version::TLS11 => self.tls_agreed_1_1 += 1,
            Version::TLS10 => self.tls_agreed_1_0 += 1,
            _ => self.tls_agreed_other += 1,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tcp::Violation;

    #[test]
    fn a_hello_is_large_from_1401_bytes_on() {
        let mut counted = Counted::default();
        for (length, count) in [(1_399, 0), (1_400, 0), (1_401, 1), (9_000, 2)] {
            counted.count_begun(length);
            assert_eq!(counted.tls_large_hellos, count, "{length}");
        }
    }

    #[test]
    fn agreements_are_counted_by_version() {
        let mut counted = Counted::default();
        for version in [0x0301, 0x0302, 0x0303, 0x0303, 0x0304, 0x0300, 0x7f1c] {
            counted.count_agreement(Version(version));
        }
        let Counted { tls_agreed_1_0, tls_agreed_1_1, tls_agreed_1_2, tls_agreed_1_3, .. } =
            counted;
        assert_eq!([tls_agreed_1_0, tls_agreed_1_1, tls_agreed_1_2, tls_agreed_1_3], [1, 1, 2, 1]);
        assert_eq!((counted.tls_agreed_other, counted.tls_agreed), (2, 7));
    }

    #[test]
    fn what_a_server_chooses_is_counted() {
        let mut counted = Counted::default();
        let hello = ServerHello { cipher_suite: 0x1301, ..ServerHello::default() };
        counted.count_server_hello(&hello);
        assert_eq!((counted.tls_resumed, counted.tls_retried), (0, 0));
        counted.count_server_hello(&ServerHello { is_resumed: true, group: Some(29), ..hello });
        let hello =
            ServerHello { cipher_suite: 0x1302, is_retried: true, ..ServerHello::default() };
        counted.count_server_hello(&hello);
        assert_eq!((counted.tls_resumed, counted.tls_retried), (1, 1));
        let heard = [
            (Heard::Suite(Some(0x1301)), 2),
            (Heard::Suite(Some(0x1302)), 1),
            (Heard::Group(Some(29)), 1),
        ];
        assert_eq!(counted.tls, BTreeMap::from(heard));
    }

    /// The place of a rule stays in what a worker counts; that is no count.
    #[test]
    fn what_was_not_counted_is_not_there() {
        let mut counted = Counted::default();
        counted.rules.insert(Rule::Verb, 2);
        let (first, second) = (Tally::default(), Tally::default());
        first.take(&mut counted);
        counted.drops.insert(Violation::OldAck.into(), 1);
        second.take(&mut counted);
        let mut stats = Stats::default();
        second.sum(&mut stats);
        assert_eq!((stats.rules.len(), stats.drops.len()), (0, 1));
        first.sum(&mut stats);
        assert_eq!(stats.rules, BTreeMap::from([(Rule::Verb, 2)]));
    }
}
