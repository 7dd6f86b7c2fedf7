//! What lines give names to: addresses, networks, and groups of networks and of ports.

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;

use super::SMTP_PORT;
use super::line::{Block, port_named, prefix_of};

/// All names of a file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Names {
    /// By `name`.
    pub(super) addresses: BTreeMap<String, Ipv4Addr>,
    /// By `object-group service` and `object service`.
    services: BTreeMap<String, Ports>,
    /// By `object-group network` and `object network`.
    networks: BTreeMap<String, Network>,
}

/// Hosts and networks of one name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Network {
    /// Each, and the number of the line that says so.
    members: BTreeSet<(usize, Block)>,
    /// Whether there are others: a range, a name of DNS, an IPv6 address.
    has_others: bool,
}

/// What ports of TCP have one name.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Ports {
    has_mail: bool,
    has_others: bool,
}

/// Of which kind the lines below an `object` or `object-group` are.
#[derive(Clone, Copy)]
enum Kind {
    Network,
    Service,
}

impl Names {
    /// Reads all names; what a group takes from another counts.
    pub(super) fn gather<'l>(lines: impl Iterator<Item = (usize, &'l str)>) -> Self {
        let mut names = Self::default();
        let mut current: Option<(Kind, &str)> = None;
        for (number, line) in lines {
            let words: Vec<&str> = line.split_whitespace().collect();
            match (words.as_slice(), current) {
                (["name", address, name, ..], _) => {
                    let address = address.parse().ok();
                    names.addresses.extend(address.map(|address| ((*name).to_owned(), address)));
                    current = None;
                }
                (["object-group" | "object", "network", name, ..], _) => {
                    names.networks.entry((*name).to_owned()).or_default();
                    current = Some((Kind::Network, name));
                }
                (["object-group" | "object", "service", name, ..], _) => {
                    names.services.entry((*name).to_owned()).or_default();
                    current = Some((Kind::Service, name));
                }
                (["description" | "nat", ..], _) => {}
                (words, Some((Kind::Network, name))) => {
                    current = names.add_network(name, number, words).and(current);
                }
                (words, Some((Kind::Service, name))) => {
                    let more = names.ports(words);
                    current = more.and(current);
                    let ports = names.services.entry(name.to_owned()).or_default();
                    let more = more.unwrap_or_default();
                    ports.has_mail |= more.has_mail;
                    ports.has_others |= more.has_others;
                }
                (_, None) => {}
            }
        }
        names
    }

    /// The ports of a name, from the first to the last; within: none if there is no such name, or
    /// if mail's is one among others.
    pub(super) fn service(&self, name: &str) -> Option<Option<(u16, u16)>> {
        self.services.get(name).map(|ports| match ports {
            Ports { has_mail: true, has_others: true } => None,
            Ports { has_mail: true, has_others: false } => Some((SMTP_PORT, SMTP_PORT)),
            Ports { has_mail: false, .. } => Some((0, 0)),
        })
    }

    /// The networks of a name, and the lines that say so; none if there are others too.
    pub(super) fn members(&self, name: &str) -> Option<&BTreeSet<(usize, Block)>> {
        let network = self.networks.get(name).filter(|network| !network.has_others);
        network.map(|network| &network.members)
    }

    /// A line below a network's; none if it is no such line.
    fn add_network(&mut self, name: &str, number: usize, words: &[&str]) -> Option<()> {
        let block = |address: &str, prefix| {
            let named = self.addresses.get(address).copied();
            Some(Block { address: named.or_else(|| address.parse().ok())?, prefix })
        };
        let (mut members, mut has_others) = (BTreeSet::new(), false);
        let one = match words {
            ["host", address] | ["network-object", "host", address] => block(address, 32),
            ["network-object", "object", other] | ["group-object", other] => {
                let other = self.networks.get(*other)?;
                members.extend(&other.members);
                has_others = other.has_others;
                None
            }
            ["subnet", address, mask] | ["network-object", address, mask] => {
                prefix_of(mask).and_then(|prefix| block(address, prefix))
            }
            ["range" | "fqdn" | "host" | "subnet" | "network-object", ..] => None,
            _ => return None,
        };
        let is_of_another = matches!(words, ["network-object", "object", _] | ["group-object", _]);
        has_others |= one.is_none() && !is_of_another;
        members.extend(one.map(|block| (number, block)));
        let network = self.networks.entry(name.to_owned()).or_default();
        network.members.append(&mut members);
        network.has_others |= has_others;
        Some(())
    }

    /// The ports that a line below a service's adds; none if it is no such line.
    fn ports(&self, words: &[&str]) -> Option<Ports> {
        let port = |word: &str| port_named(word).or_else(|| word.parse().ok()).unwrap_or(0);
        let of = |words: &[&str]| match words {
            ["eq", one, ..] => {
                let has_mail = port(one) == SMTP_PORT;
                Ports { has_mail, has_others: !has_mail }
            }
            // A name that is not known here may be any port.
            ["range", low, high, ..] => Ports {
                has_mail: port(low) <= SMTP_PORT && (port(high) >= SMTP_PORT || port(high) == 0),
                has_others: true,
            },
            _ => Ports { has_mail: false, has_others: true },
        };
        match words {
            ["port-object", ports @ ..] => Some(of(ports)),
            ["service" | "service-object", "tcp" | "tcp-udp", "destination", ports @ ..]
            | ["service" | "service-object", "tcp" | "tcp-udp", ports @ ..] => Some(of(ports)),
            ["service-object", "object", other] | ["group-object", other, ..] => {
                Some(self.services.get(*other).copied().unwrap_or_default())
            }
            ["service" | "service-object", ..] => Some(of(&[])),
            _ => None,
        }
    }
}
