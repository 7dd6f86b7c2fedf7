//! Which servers have offered STARTTLS, and when: one that does not any more has been robbed of it,
//! or whoever reads its replies for us has.
//!
//! A table of fixed size under a secret hash, as that of handshakes: many servers overwrite the
//! oldest of those they share a place with, and nothing grows.

use std::net::IpAddr;
use std::sync::OnceLock;

use parking_lot::Mutex;
use serde::{Deserialize, Serialize};

use super::Notice;
use crate::flow::{Endpoint, Keyed};
use crate::guard::Offer;
use crate::time::Instant;

/// Sets, and entries in each: 65,536 servers.
const SETS: usize = 8_192;
const WAYS: usize = 8;

/// Days an offer is remembered.
const DAYS_MAX: u16 = 30;

const SECONDS_PER_DAY: u64 = 86_400;

/// One server, and the days of what was last seen of it; 0 is never.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(super) struct Entry {
    server: Endpoint,
    offered: u16,
    /// When each alarm was last raised.
    gone: u16,
    masked: u16,
}

const _: () = assert!(size_of::<Entry>() <= 40, "a server costs 40 bytes at most");

/// The table; it takes memory once somebody asks.
#[derive(Debug)]
pub(super) struct Servers {
    sets: OnceLock<Box<[Mutex<Vec<Entry>>]>>,
    keyed: Keyed,
}

impl Servers {
    pub(super) const fn new(seed: u64) -> Self {
        Self { sets: OnceLock::new(), keyed: Keyed::new(seed) }
    }

    /// A server has answered EHLO. Says what is wrong about its offer, and whether that is news
    /// today.
    pub(super) fn hear(
        &self,
        server: Endpoint,
        offer: Offer,
        now: Instant,
    ) -> Option<(Notice, bool)> {
        let day = u16::try_from(now.seconds() / SECONDS_PER_DAY).unwrap_or(u16::MAX).max(1);
        let mut set = self.set(server)?.lock();
        let known = set.iter().position(|entry| entry.server == server);
        // One that never offered it needs no place.
        if known.is_none() && offer == Offer::Missing {
            return None;
        }
        let fresh = Entry { server, offered: 0, gone: 0, masked: 0 };
        let place = known.unwrap_or_else(|| room(&mut set, fresh));
        let entry = set.get_mut(place)?;
        match offer {
            Offer::Made => {
                entry.offered = day;
                None
            }
            Offer::Masked => Some((Notice::OfferMasked, note_news(&mut entry.masked, day))),
            Offer::Missing => {
                let is_known = entry.offered > 0 && day.saturating_sub(entry.offered) <= DAYS_MAX;
                is_known.then(|| (Notice::OfferGone, note_news(&mut entry.gone, day)))
            }
        }
    }
}

impl Servers {
    /// All that is known, for an image.
    pub(super) fn entries(&self) -> Vec<Entry> {
        let sets = self.sets.get().into_iter().flatten();
        sets.flat_map(|set| set.lock().clone()).collect()
    }

    /// Goes on with what another knew.
    pub(super) fn restore(&self, entries: Vec<Entry>) {
        for entry in entries {
            if let Some(set) = self.set(entry.server) {
                room(&mut set.lock(), entry);
            }
        }
    }

    fn set(&self, server: Endpoint) -> Option<&Mutex<Vec<Entry>>> {
        let sets = self.sets.get_or_init(|| (0..SETS).map(|_| Mutex::default()).collect());
        sets.get(usize::try_from(self.hash(server) % SETS as u64).unwrap_or(0))
    }

    fn hash(&self, server: Endpoint) -> u64 {
        let [high, low] = server.port.to_be_bytes();
        match server.address {
            IpAddr::V4(address) => {
                let [a, b, c, d] = address.octets();
                self.keyed.hash(&[a, b, c, d, high, low])
            }
            IpAddr::V6(address) => {
                let bytes = [&address.octets()[..], &[high, low]].concat();
                self.keyed.hash(&bytes)
            }
        }
    }
}

/// Puts an entry where there is room, or in place of the oldest; says where.
fn room(set: &mut Vec<Entry>, fresh: Entry) -> usize {
    if set.len() < WAYS {
        set.push(fresh);
        return set.len() - 1;
    }
    let age = |entry: &Entry| entry.offered.max(entry.gone).max(entry.masked);
    let oldest = set.iter().enumerate().min_by_key(|(_, entry)| age(entry));
    let place = oldest.map_or(0, |(place, _)| place);
    if let Some(entry) = set.get_mut(place) {
        *entry = fresh;
    }
    place
}

/// Notes the day on which this is told: whether it was not told on it before.
fn note_news(last: &mut u16, day: u16) -> bool {
    std::mem::replace(last, day) != day
}

#[cfg(test)]
mod tests {
    use super::*;

    fn server(number: u32) -> Endpoint {
        let address = std::net::Ipv4Addr::from(0x0a00_0000 + number);
        Endpoint { address: address.into(), port: 25 }
    }

    fn at(day: u64) -> Instant {
        Instant::from_seconds(day * SECONDS_PER_DAY + 5)
    }

    #[test]
    fn an_offer_that_is_gone_is_told_once_a_day() {
        let servers = Servers::new(1);
        let hear = |offer, day| servers.hear(server(1), offer, at(day));
        assert_eq!(hear(Offer::Missing, 100), None, "it never offered any");
        assert_eq!(hear(Offer::Made, 100), None);
        assert_eq!(hear(Offer::Missing, 101), Some((Notice::OfferGone, true)));
        assert_eq!(hear(Offer::Missing, 101), Some((Notice::OfferGone, false)));
        assert_eq!(hear(Offer::Missing, 102), Some((Notice::OfferGone, true)));
        assert_eq!(hear(Offer::Missing, 130), Some((Notice::OfferGone, true)), "30 days later");
        assert_eq!(hear(Offer::Missing, 131), None, "forgotten");
        assert_eq!(hear(Offer::Masked, 131), Some((Notice::OfferMasked, true)));
        assert_eq!(hear(Offer::Masked, 131), Some((Notice::OfferMasked, false)));
    }

    #[test]
    fn a_million_servers_take_no_more_room_than_the_table_has() {
        let servers = Servers::new(1);
        for number in 0..1_000_000 {
            assert_eq!(servers.hear(server(number), Offer::Made, at(100)), None);
        }
        let sets = servers.sets.get().unwrap();
        let entries: usize = sets.iter().map(|set| set.lock().capacity()).sum();
        assert_eq!(entries, SETS * WAYS);
    }

    #[test]
    fn what_was_never_offered_is_not_gone_on_any_day() {
        for day in [1, 5, 100] {
            let servers = Servers::new(1);
            assert!(servers.hear(server(1), Offer::Masked, at(day)).is_some());
            assert_eq!(servers.hear(server(1), Offer::Missing, at(day)), None, "{day}");
        }
    }

    /// As many servers as would fill a set many times stand in sets of their own.
    #[test]
    fn servers_are_spread_over_the_table() {
        let servers = Servers::new(1);
        let v6 = |number: u16| {
            let address = std::net::Ipv6Addr::LOCALHOST;
            Endpoint { address: address.into(), port: 25 + number }
        };
        for number in 0..200 {
            for server in [server(number.into()), v6(number)] {
                assert_eq!(servers.hear(server, Offer::Made, at(100)), None);
            }
        }
        for number in 0..200 {
            for server in [server(number.into()), v6(number)] {
                let gone = Some((Notice::OfferGone, true));
                assert_eq!(servers.hear(server, Offer::Missing, at(101)), gone, "{number}");
            }
        }
    }

    #[test]
    fn a_full_set_loses_its_oldest() {
        let entry = |number| Entry { server: server(number), offered: 100, gone: 0, masked: 0 };
        let mut set = Vec::new();
        for number in 0..8 {
            assert_eq!(room(&mut set, entry(number)), number as usize);
        }
        set[5].offered = 3;
        set[2].offered = 1;
        (set[2].gone, set[3].offered, set[3].masked) = (101, 1, 102);
        assert_eq!((room(&mut set, entry(8)), set.len()), (5, WAYS));
        assert_eq!(set[5].server, server(8));
    }
}
