//! The counters of a replay and how they are shown.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use crate::engine::{Reason, Stats};
use crate::front::capture::LinkType;

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
    /// Packets of which the capture holds only a part.
    pub truncated: u64,
    /// Packets dropped whose checksums were left to a network card.
    pub unfinished: u64,
    /// Whether the capture ended inside a record.
    pub is_cut: bool,
    /// The engine's own counters.
    pub engine: Stats,
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let dropped = self.drops.values().sum();
        let engine = &self.engine;
        let mut lines = vec![
            ("packets", self.packets),
            ("  accepted", self.accepted),
            ("  rewritten", self.rewritten),
            ("  dropped", dropped),
        ];
        let reasons: Vec<_> = self
            .drops
            .iter()
            .map(|(reason, count)| (format!("    {}", reason.name()), *count))
            .collect();
        lines.extend(reasons.iter().map(|(name, count)| (name.as_str(), *count)));
        lines.extend([
            ("repeated", self.repeated),
            ("never let through", self.stalled),
            ("flows", engine.flows),
            ("commands passed", engine.commands_passed),
            ("commands refused", engine.commands_refused),
            ("bytes masked", engine.bytes_masked),
            ("messages", engine.messages),
            ("resets", engine.resets),
            ("alarms", engine.alarms),
            ("not SMTP", self.not_smtp),
            ("not IP", self.not_ip),
            ("truncated", self.truncated),
        ]);
        let width = lines.iter().map(|(name, _)| name.len()).max().unwrap_or(0);
        for (name, count) in lines {
            writeln!(f, "{name:width$} {count:>12}")?;
        }
        for link in &self.foreign_links {
            writeln!(f, "link type {link} is not known here: its packets passed unread")?;
        }
        if self.unfinished > 0 {
            writeln!(
                f,
                "{} packets carry unfinished checksums (recorded on the sending machine); \
                 use --tolerate-checksums",
                self.unfinished
            )?;
        }
        if self.is_cut {
            writeln!(f, "the capture ends inside a record")?;
        }
        Ok(())
    }
}
