//! What of the configuration other people's rules can run into, and how their ports and numbers are
//! read.

use std::ops::RangeInclusive;

use crate::config::{Config, Fail};
use crate::front::rules::Keeper;

/// What of the configuration other people's rules can run into.
#[derive(Clone, Debug)]
pub(super) struct Ours {
    /// TCP ports of SMTP servers.
    pub(super) ports: Vec<u16>,
    /// Mark bits of packets.
    pub(super) mark: u32,
    /// Mark bits of connections.
    pub(super) offload_mark: u32,
    /// Queue numbers.
    pub(super) queues: RangeInclusive<u16>,
    /// What becomes of mail while no filter runs.
    pub(super) fail: Fail,
    /// Whether what this machine itself sends and receives comes to the filter too.
    pub(super) local: bool,
    /// What keeps our rules: where other people's stand by them depends on it.
    pub(super) keeper: Keeper,
}

impl Ours {
    pub(super) fn new(config: &Config, keeper: Keeper) -> Self {
        Self {
            ports: config.engine.ports.clone(),
            mark: config.rules.mark,
            offload_mark: config.rules.offload_mark,
            queues: config.queue.first..=config.queue.last,
            fail: config.queue.fail,
            local: config.rules.local,
            keeper,
        }
    }

    /// What a change to the mark of a connection does to ours.
    pub(super) const fn harm_to_connection(&self, change: Change) -> Option<&'static str> {
        if change.set & self.offload_mark != 0 {
            Some("sets the mark of connections that need no filter: mail passes unread")
        } else if change.touched & self.offload_mark != 0 {
            Some("overwrites the mark of connections that need no filter; give it a mask")
        } else {
            None
        }
    }

    /// What a change to the mark of a packet does to ours: behind the verdict, of which the mark is
    /// a part, or elsewhere.
    pub(super) const fn harm_to_packet(
        &self,
        change: Change,
        is_behind: bool,
    ) -> Option<&'static str> {
        let own = self.mark | self.offload_mark;
        if change.set & own != 0 {
            Some("sets mark bits that are the filter's own")
        } else if is_behind && change.touched & own != 0 {
            Some("overwrites what the filter says of a connection by the mark; give it a mask")
        } else {
            None
        }
    }

    /// Whether one of these ports or ranges, with commas between, is mail's.
    pub(super) fn has_mail(&self, ports: &str, between: char) -> bool {
        ports.split(',').any(|one| {
            let (low, high) = one.split_once(between).unwrap_or((one, one));
            match (low.trim().parse::<u16>(), high.trim().parse::<u16>()) {
                (Ok(low), Ok(high)) => self.ports.iter().any(|port| (low..=high).contains(port)),
                // A name, or a set by its name: it may be.
                _ => true,
            }
        })
    }

    /// What a match asks for that has these ports and ranges, with this between their ends.
    pub(super) fn asked(&self, is_inverted: bool, ports: &[&str], between: char) -> Asked {
        let range = |one: &str| {
            let (low, high) = one.split_once(between).unwrap_or((one, one));
            Some(low.trim().parse::<u16>().ok()?..=high.trim().parse().ok()?)
        };
        let is_named =
            |own: &u16| ports.iter().filter_map(|one| range(one)).any(|range| range.contains(own));
        match is_inverted {
            true if self.ports.iter().all(is_named) => Asked::AllButMail,
            false if !ports.iter().any(|one| self.has_mail(one, between)) => Asked::Others,
            true | false => Asked::Mail,
        }
    }

    /// Whether this is a port, or a range by its first one, and packets sent there do not come to
    /// us as mail.
    pub(super) fn is_other(&self, port: &str) -> bool {
        let first = port.split('-').next().unwrap_or_default();
        first.parse().is_ok_and(|port| !self.ports.contains(&port))
    }

    /// Whether one of these queues, `first` or `first` and `last` with this between, is ours.
    pub(super) fn has_queue(&self, numbers: &str, between: char) -> bool {
        let (first, last) = numbers.split_once(between).unwrap_or((numbers, numbers));
        match (first.parse::<u16>(), last.parse::<u16>()) {
            (Ok(first), Ok(last)) => first <= *self.queues.end() && *self.queues.start() <= last,
            _ => false,
        }
    }
}

/// The end of a connection whose ports a rule asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    Destination,
    Source,
    /// One or the other.
    Either,
}

/// What a rule asks of ports.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Asked {
    /// One of mail, perhaps beside others.
    Mail,
    /// None of mail, but some that are named.
    Others,
    /// Any but those of mail.
    AllButMail,
}

/// Whether a packet of mail may be what all of this asks for. One end of it alone has a port of
/// mail, so a rule that leaves this out at one end is still for what the server or the client says.
pub(super) fn may_be_mail(asked: &[(End, Asked)]) -> bool {
    let has = |what| asked.iter().any(|(_, one)| *one == what);
    let leaves_out = |end| {
        let mut of_end = asked.iter().filter(|(at, _)| *at == end || *at == End::Either);
        of_end.any(|(_, one)| *one == Asked::AllButMail)
    };
    let is_spared = leaves_out(End::Destination) && leaves_out(End::Source);
    has(Asked::Mail) || !has(Asked::Others) && !is_spared
}

/// The port or range behind an address; IPv6 addresses have it behind brackets.
pub(super) fn port_behind(address: &str) -> Option<&str> {
    let (address, port) = address.rsplit_once(':')?;
    let is_port = !address.contains(':') || address.ends_with(']');
    is_port.then_some(port)
}

/// Which bits of a mark a rule touches, and which of them it sets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Change {
    pub(super) touched: u32,
    pub(super) set: u32,
}

/// A number as iptables and nft write them.
pub(super) fn number(text: &str) -> Option<u32> {
    match text.strip_prefix("0x") {
        Some(digits) => u32::from_str_radix(digits, 16).ok(),
        None => text.parse().ok(),
    }
}
