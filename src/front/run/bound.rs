//! How many bytes a second the event log may grow by, so that whoever can make the filter speak
//! cannot fill a disk, nor crowd out what is to be said of others.
//!
//! Each second has its bytes. A client may have more as long as it had at most so many times what
//! is left: of N clients that want all of it, each gets 3 parts of 3 N + 1, and one part is left to
//! those who want less. Clients share a place where a keyed hash says so. Time is the caller's.

use std::net::IpAddr;
use std::time::Duration;

use crate::flow::{Client, Keyed};

/// The bound, and what of it is left.
#[derive(Debug)]
pub(super) struct Bound {
    bytes_per_second: u64,
    left: u64,
    /// The second that is under way.
    second: u64,
    keyed: Keyed,
    shares: Vec<Share>,
}

/// What the clients of one place had, in one second.
#[derive(Clone, Copy, Debug, Default)]
struct Share {
    second: u64,
    bytes: u64,
}

impl Bound {
    /// Nobody had anything.
    pub(super) fn new(bytes_per_second: u64, keyed: Keyed) -> Self {
        let shares = vec![Share::default(); usize::from(PLACES)];
        Self { bytes_per_second, left: bytes_per_second, second: 0, keyed, shares }
    }

    /// So much time has passed since the beginning.
    pub(super) const fn refill(&mut self, elapsed: Duration) {
        if elapsed.as_secs() > self.second {
            self.second = elapsed.as_secs();
            self.left = self.bytes_per_second;
        }
    }

    /// Takes so many bytes for a client, all of them or none.
    pub(super) fn take(&mut self, client: IpAddr, bytes: usize) -> bool {
        let place = usize::try_from(Client::of(client).hash(self.keyed) % u64::from(PLACES));
        let share = place.ok().and_then(|place| self.shares.get_mut(place));
        let Some(share) = share else { return false };
        if share.second != self.second {
            *share = Share { second: self.second, bytes: 0 };
        }
        let Some(left) = self.left.checked_sub(bytes as u64) else { return false };
        let has_room = share.bytes <= self.left.saturating_mul(TIMES_WHAT_IS_LEFT);
        if has_room {
            self.left = left;
            share.bytes += bytes as u64;
        }
        has_room
    }
}

/// How many times what is left a client may have had.
const TIMES_WHAT_IS_LEFT: u64 = 3;

/// Places for clients: 64 KiB.
const PLACES: u16 = 4_096;

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    fn client(number: u32) -> IpAddr {
        Ipv4Addr::from_bits(number).into()
    }

    #[test]
    fn a_second_holds_so_many_bytes_and_no_more() {
        let mut bound = Bound::new(1_000, Keyed::new(1));
        let taken = (0..1_000).filter(|&number| bound.take(client(number), 3)).count();
        assert_eq!(taken, 333);
        bound.refill(Duration::from_millis(999));
        assert!(!bound.take(client(5_000), 2));
        bound.refill(Duration::from_secs(1));
        assert!(bound.take(client(5_000), 1_000) && !bound.take(client(5_000), 1));
    }

    #[test]
    fn a_crowd_of_many_entries_leaves_room_for_others() {
        for clients in [1, 2, 5, 20_u32] {
            let mut bound = Bound::new(1_000_000, Keyed::new(1));
            let mut had = vec![0; clients as usize];
            for round in 0..1_000_000 {
                let number = round % clients;
                had[number as usize] += usize::from(bound.take(client(number), 100));
            }
            let most = 1_000_000 / 100 * 3 / (3 * clients as usize + 1);
            assert!(had.iter().all(|&had| had <= most + 2), "{clients}: {had:?}");
            // Whoever says little is heard to the end, and where one alone speaks it is most.
            let few = (0..10).filter(|_| bound.take(client(1 << 24), 100)).count();
            assert_eq!(few, 10, "{clients}");
            assert!(clients > 1 || had[0] + 2 >= most);
        }
    }
}
