//! The counters of a replay and how they are shown, and what could not be judged and why.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use crate::engine::{Reason, Stats};
use crate::flow::Endpoint;
use crate::front::capture::LinkType;

use super::offload::Checksums;

/// What a replay did. Packets are counted once, however often they were offered.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    /// Packets in the capture.
    pub packets: u64,
    /// Packets that went on as they came (mail or not).
    pub accepted: u64,
    /// Packets that went on with other bytes or cut short.
    pub rewritten: u64,
    /// Packets dropped when they first came, by reason.
    pub drops: BTreeMap<Reason, u64>,
    /// Packets dropped or cut when they first came, and let through when sent again.
    pub repeated: u64,
    /// Packets that should have been sent again, but never could pass before the end.
    pub stalled: u64,
    /// Packets that no gateway would have queued: another protocol or port.
    pub not_smtp: u64,
    /// Frames that hold no IP packet.
    pub not_ip: u64,
    /// Link types whose frames cannot be read here, and so count as such.
    pub foreign_links: BTreeSet<LinkType>,
    /// Types of Ethernet that are not read here, and whose frames count as such.
    pub foreign_types: BTreeSet<u16>,
    /// Packets of mail.
    pub mail: u64,
    /// Packets of mail of which the capture holds only a part.
    pub truncated: u64,
    /// Fragments of packets of mail, and those of TCP that name no ports.
    pub fragments: u64,
    /// Packets that carry others, by IP protocol.
    pub tunnels: BTreeMap<u8, u64>,
    /// Packets of mail whose checksums are wrong, those left to a network card among them.
    pub wrong_sums: u64,
    /// Packets of mail whose checksums were left to a network card.
    pub unfinished: u64,
    /// What was made of wrong checksums.
    pub checksums: Checksums,
    /// Whether every packet went on as it came.
    pub is_monitored: bool,
    /// Flows of mail whose handshake is not in the capture.
    pub headless_flows: u64,
    /// Their packets.
    pub headless_packets: u64,
    /// Flows of which the capture lacks bytes, in order of appearance.
    pub gaps: Vec<Gap>,
    /// Bytes that were recorded behind those that acknowledge them.
    pub overtaken_bytes: u64,
    /// The flows of which they are.
    pub overtaken_flows: u64,
    /// Flows of which bytes had to be skipped: they are lacking, or could not be read.
    pub skipped_flows: u64,
    /// Edits, drops, resets and alarms behind such bytes.
    pub uncertain: u64,
    /// Packets of mail whose time is earlier, by a second or more, than that of one before them.
    pub late: u64,
    /// By how many seconds at the most.
    pub seconds_late: u64,
    /// Seconds that a flow may be silent.
    pub idle_seconds: u64,
    /// Ports on which SMTP seems to be spoken and that were not judged, with their packets.
    pub other_ports: BTreeMap<u16, u64>,
    /// The ports that were judged.
    pub ports: Vec<u16>,
    /// Whether the capture ended inside a record.
    pub is_cut: bool,
    /// The engine's own counters.
    pub engine: Stats,
}

/// What a capture lacks of a flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Gap {
    /// The end that opened it.
    pub client: Endpoint,
    /// The other end.
    pub server: Endpoint,
    /// Bytes that their receiver has acknowledged, and no packet carries.
    pub bytes: u64,
}

/// A counter: its name, and where it stands.
type Counter = (&'static str, fn(&Summary) -> u64);

/// Every counter that is shown, in order. Those of the reasons stand behind `  dropped`.
const COUNTERS: [Counter; 16] = [
    ("packets", |s| s.packets),
    ("  accepted", |s| s.accepted),
    ("  rewritten", |s| s.rewritten),
    (DROPPED, |s| s.drops.values().sum()),
    ("repeated", |s| s.repeated),
    ("never let through", |s| s.stalled),
    ("flows", |s| s.engine.flows),
    ("commands passed", |s| s.engine.commands_passed),
    ("commands refused", |s| s.engine.commands_refused),
    ("bytes masked", |s| s.engine.bytes_masked),
    ("messages", |s| s.engine.messages),
    ("resets", |s| s.engine.resets),
    ("alarms", |s| s.engine.alarms),
    ("not SMTP", |s| s.not_smtp),
    ("not IP", |s| s.not_ip),
    ("truncated", |s| s.truncated),
];

const DROPPED: &str = "  dropped";

/// Flows with gaps that are named one by one, and types of Ethernet.
const NAMED_MAX: usize = 16;

impl Summary {
    /// Every counter by its name, in the order in which they are shown.
    #[must_use]
    pub fn counters(&self) -> Vec<(String, u64)> {
        let mut all = Vec::new();
        for (name, value) in COUNTERS {
            all.push((name.to_owned(), value(self)));
            if name == DROPPED {
                let reason = |(reason, count): (&Reason, &u64)| (indented(*reason), *count);
                all.extend(self.drops.iter().map(reason));
            }
        }
        let struck = self.engine.patches.iter();
        all.extend(struck.map(|((id, deed), count)| (format!("{id} {}", deed.done()), *count)));
        all
    }

    /// What could not be judged and why, a line for each cause.
    #[must_use]
    pub fn remarks(&self) -> Vec<String> {
        let links = self
            .foreign_links
            .iter()
            .map(|link| format!("link type {link} is not known here: its packets passed unread"));
        let causes = [
            self.remark_types(),
            self.remark_tunnels(),
            self.remark_checksums(),
            self.remark_truncated(),
            self.remark_fragments(),
            self.remark_handshakes(),
            self.remark_time(),
            self.remark_ports(),
            self.is_cut.then(|| "the capture ends inside a record".to_owned()),
        ];
        let lines = links.chain(causes.into_iter().flatten()).chain(self.remark_gaps());
        lines.chain(self.remark_overtaken()).chain(self.remark_uncertain()).collect()
    }

    fn remark_types(&self) -> Option<String> {
        let named = self.foreign_types.iter().take(NAMED_MAX);
        let mut named: Vec<String> = named.map(|kind| format!("{kind:#06x}")).collect();
        let more = self.foreign_types.len().saturating_sub(NAMED_MAX);
        named.extend((more > 0).then(|| format!("{more} more")));
        let named = named.join(", ");
        (!self.foreign_types.is_empty())
            .then(|| format!("EtherTypes not known here: {named}; their packets passed unread"))
    }

    fn remark_tunnels(&self) -> Option<String> {
        let packets: u64 = self.tunnels.values().sum();
        let named = self.tunnels.keys().map(u8::to_string).collect::<Vec<_>>();
        let word = if named.len() == 1 { "protocol" } else { "protocols" };
        let (named, all) = (named.join(", "), self.packets);
        (packets > 0).then(|| {
            format!("tunnels: {packets} of {all} packets, of IP {word} {named}; passed unread")
        })
    }

    fn remark_checksums(&self) -> Option<String> {
        // A packet that was damaged on its way is rare and comes again; where most are wrong, or
        // any is unfinished, it was the recording.
        let is_of_recording = self.unfinished > 0 || self.wrong_sums > self.mail / 2;
        let end = match self.checksums {
            Checksums::Verify if is_of_recording => "not judged: --checksums=mend reads them",
            Checksums::Verify => "not judged, as a receiver would drop them",
            Checksums::Mend if !self.is_monitored => "judged as if they were right, and mended",
            Checksums::Mend | Checksums::Ignore => "judged as if they were right",
        };
        let (wrong, of) = (self.wrong_sums, self.of_mail());
        let card = match self.unfinished {
            0 => String::new(),
            n if n == wrong => ", left to a network card".to_owned(),
            n => format!(", of {n} left to a network card"),
        };
        (wrong > 0).then(|| format!("wrong checksums: {wrong} {of}{card}; {end}"))
    }

    fn remark_truncated(&self) -> Option<String> {
        let (truncated, of) = (self.truncated, self.of_mail());
        (truncated > 0).then(|| {
            format!("truncated packets: {truncated} {of}; not judged: record with a larger snaplen")
        })
    }

    fn remark_fragments(&self) -> Option<String> {
        let (fragments, all) = (self.fragments, self.packets);
        (fragments > 0)
            .then(|| format!("fragments: {fragments} of {all} packets; not joined, not judged"))
    }

    fn remark_handshakes(&self) -> Option<String> {
        let (flows, of) = (self.headless_flows, self.of_mail());
        let packets = self.headless_packets;
        (flows > 0).then(|| {
            format!("missing handshake: {}, {packets} {of}; not judged", several(flows, "flow"))
        })
    }

    fn remark_time(&self) -> Option<String> {
        let (late, of, seconds) = (self.late, self.of_mail(), several(self.seconds_late, "second"));
        // By so much it goes back only behind a packet that was dated too far ahead.
        let is_far = self.seconds_late > self.idle_seconds;
        let ended = if is_far { ", and flows may have ended too early" } else { "" };
        (late > 0).then(|| {
            format!("time: goes back in {late} {of}, by up to {seconds}; not followed{ended}")
        })
    }

    fn remark_ports(&self) -> Option<String> {
        let packets: u64 = self.other_ports.values().sum();
        if self.mail == 0 && packets == 0 {
            return self.remark_no_mail();
        }
        let mut others = self.other_ports.keys().map(u16::to_string).collect::<Vec<_>>();
        let word = if others.len() == 1 { "port" } else { "ports" };
        let named = others.join(", ");
        if self.mail > 0 {
            others.splice(0..0, self.ports.iter().map(u16::to_string));
        }
        let judged = others.join(",");
        (packets > 0).then(|| {
            format!(
                "other ports: {packets} of {} packets, on {word} {named}, look like SMTP; \
                 not judged: --set ports=[{judged}] reads them",
                self.packets
            )
        })
    }

    fn remark_no_mail(&self) -> Option<String> {
        let ports = self.ports.iter().map(u16::to_string).collect::<Vec<_>>().join(", ");
        (self.not_smtp > 0).then(|| format!("no mail: no packet is from or to port {ports}"))
    }

    fn remark_gaps(&self) -> Vec<String> {
        let total: u64 = self.gaps.iter().map(|gap| gap.bytes).sum();
        let mut lines = Vec::new();
        if total > 0 {
            lines.push(format!(
                "gaps: the capture lacks {} in {}",
                several(total, "byte"),
                several(self.gaps.len() as u64, "flow")
            ));
        }
        for Gap { client, server, bytes: count } in self.gaps.iter().take(NAMED_MAX) {
            lines.push(format!(
                "  {client} to {server}: the capture lacks {}",
                several(*count, "byte")
            ));
        }
        let more = self.gaps.len().saturating_sub(NAMED_MAX);
        if more > 0 {
            lines.push(format!("  and {more} more"));
        }
        lines
    }

    fn remark_overtaken(&self) -> Option<String> {
        let (bytes, flows) = (self.overtaken_bytes, self.overtaken_flows);
        (bytes > 0).then(|| {
            let (bytes, flows) = (several(bytes, "byte"), several(flows, "flow"));
            format!("out of order: {bytes} in {flows}, recorded behind their ACK; not judged")
        })
    }

    fn remark_uncertain(&self) -> Option<String> {
        let (flows, findings) = (self.skipped_flows, self.uncertain);
        (flows > 0).then(|| {
            let (findings, flows) = (several(findings, "finding"), several(flows, "flow"));
            format!("uncertain: {findings} in {flows}, behind bytes not read")
        })
    }

    fn of_mail(&self) -> String {
        format!("of {} packets of mail", self.mail)
    }
}

fn indented(reason: Reason) -> String {
    format!("    {}", reason.name())
}

fn several(count: u64, what: &str) -> String {
    format!("{count} {what}{}", if count == 1 { "" } else { "s" })
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let counters = self.counters();
        let width = counters.iter().map(|(name, _)| name.len()).max().unwrap_or(0);
        for (name, count) in counters {
            writeln!(f, "{name:width$} {count:>12}")?;
        }
        self.remarks().iter().try_for_each(|line| writeln!(f, "{line}"))
    }
}
