//! Ports that a rule of nf_tables writes into packets by itself, of which connection tracking knows
//! nothing.
//!
//! What is written by its place nft lists as a field, where it is one. Addresses decide nothing:
//! mail comes to the filter by its port, wherever it goes.

use super::map::Map;
use super::marks;
use super::ours::{Ours, number};

/// What becomes of a port.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Written {
    /// It may be none of mail behind the rule.
    pub(super) may_be_other: bool,
    /// It may be one of mail.
    pub(super) may_be_mail: bool,
}

/// What a rule of this family makes of ports. Maps are asked for by the place of their word.
pub(super) fn written<'m, 'a: 'm>(
    words: &[&'a str],
    family: &str,
    ours: &Ours,
    map: &dyn Fn(usize) -> Option<Map<'m, 'a>>,
) -> Written {
    let mut all = Written::default();
    for at in (1..words.len()).filter(|at| words.get(*at) == Some(&"set")) {
        let field = words.get(at - 1).copied().unwrap_or_default();
        let value = words.get(at + 1..).unwrap_or_default();
        let value = value.get(..marks::extent(value)).unwrap_or_default();
        let literal = value.first().and_then(|word| number(word));
        let of = |port: Option<u32>| match port {
            Some(port) => {
                let is_mail = ours.ports.iter().any(|own| u32::from(*own) == port);
                Written { may_be_other: !is_mail, may_be_mail: is_mail }
            }
            None => Written { may_be_other: true, may_be_mail: false },
        };
        let looked_up = value.iter().position(|word| *word == "map");
        let written = match (field, looked_up.and_then(|found| map(at + 1 + found))) {
            ("dport" | "sport", Some(map)) => vec![Written {
                may_be_other: map.leads_elsewhere(ours),
                may_be_mail: map.leads_to_mail(ours),
            }],
            ("dport" | "sport", None) => vec![of(literal)],
            (field, _) => covered(field, family, literal).into_iter().map(of).collect(),
        };
        for one in written {
            all.may_be_other |= one.may_be_other;
            all.may_be_mail |= one.may_be_mail;
        }
    }
    all
}

/// The ports that lie in a field like `@th,0,32`, as far as it is known what they become.
fn covered(field: &str, family: &str, value: Option<u32>) -> Vec<Option<u32>> {
    let mut parts = field.split(',');
    let ports = match parts.next() {
        Some("@th") => 0,
        Some("@nh") if family == "ip6" => 320,
        Some("@nh") => 160,
        _ => return Vec::new(),
    };
    let mut numbers = parts.filter_map(|part| part.parse::<u32>().ok());
    let (Some(from), Some(length)) = (numbers.next(), numbers.next()) else { return Vec::new() };
    let end = from.saturating_add(length);
    let both = [ports, ports + PORT_BITS].into_iter();
    let touched = both.filter(|port| from < port + PORT_BITS && *port < end);
    touched
        .map(|port| {
            let behind = end.checked_sub(port + PORT_BITS).filter(|_| from <= port)?;
            Some(value?.checked_shr(behind).unwrap_or(0) & PORT_MASK)
        })
        .collect()
}

const PORT_BITS: u32 = 16;
const PORT_MASK: u32 = 0xffff;

/// What becomes of packets that are mail behind the filter alone.
pub(super) const UNREAD: &str = "makes mail of packets that the filter has not read";
