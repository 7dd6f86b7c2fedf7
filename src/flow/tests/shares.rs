//! Who has to give way in a full table and under a full store.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::*;

fn v4(number: u32) -> IpAddr {
    IpAddr::from((0x0a00_0000 + number).to_be_bytes())
}

/// An address of a /64 network, by the numbers of both.
fn v6(network: u128, host: u128) -> IpAddr {
    IpAddr::from((0x2001_0db8 << 96 | network << 64 | host).to_be_bytes())
}

/// A table whose flows are opened one after the other.
struct Crowd {
    table: FlowTable<()>,
    port: u16,
}

impl Crowd {
    fn new(flows_max: usize) -> Self {
        Self { table: FlowTable::new(flows_max), port: 0 }
    }

    /// Opens a flow of a client, which speaks in this second.
    fn open(&mut self, client: IpAddr, seen: u64) -> Inserted<()> {
        self.port = self.port.wrapping_add(1);
        let server = if client.is_ipv4() { IpAddr::from([192, 0, 2, 25]) } else { v6(25, 25) };
        let originator = Endpoint { address: client, port: self.port };
        let responder = Endpoint { address: server, port: 25 };
        self.table.insert(opened(originator, responder, seen, 100_000), |_| ())
    }

    /// How many flows each client has.
    fn counts(&self) -> BTreeMap<IpAddr, usize> {
        let mut counts = BTreeMap::new();
        self.table.for_each(|flow| *counts.entry(flow.client()).or_default() += 1);
        counts
    }
}

fn ids(flows: &[Arc<Flow<()>>]) -> Vec<FlowId> {
    flows.iter().map(|flow| flow.id()).collect()
}

/// A hundred clients keep ten flows each, long silent, while one network opens ten tables full.
fn nobody_else_loses(stranger: impl Fn(u32) -> IpAddr, neighbour: impl Fn(u32) -> IpAddr) {
    let mut crowd = Crowd::new(2_000);
    for number in 0..1_000 {
        let inserted = crowd.open(neighbour(number % 100), 0);
        assert!(inserted.displaced.is_empty());
    }
    let mut displaced = 0;
    for number in 0..20_000 {
        let inserted = crowd.open(stranger(number), 1_000 + u64::from(number));
        assert!(inserted.displaced.iter().all(|flow| flow.id() > 1_000), "not the stranger's");
        assert!(!inserted.flow.has_left());
        displaced += inserted.displaced.len();
    }
    assert!(crowd.table.len() <= 2_000 && crowd.table.len() >= 1_980);
    assert_eq!(displaced + crowd.table.len(), 21_000);
    let counts = crowd.counts();
    assert!((0..100).all(|number| counts[&neighbour(number)] == 10));
}

#[test]
fn one_address_displaces_its_own_flows_alone() {
    nobody_else_loses(|_| v4(9_999), v4);
    nobody_else_loses(|_| v4(9_999), |number| v6(u128::from(number), 1));
}

#[test]
fn all_addresses_of_a_64_bit_network_are_one_client() {
    nobody_else_loses(|number| v6(9_999, u128::from(number)), |number| v6(number.into(), 1));
    nobody_else_loses(|number| v6(9_999, u128::from(number) << 48), v4);
}

#[test]
fn the_largest_shares_are_cut_to_one_level_and_their_idlest_go() {
    let mut crowd = Crowd::new(1_000);
    // 600 flows of one client, 300 of another, 100 of a third; later ones spoke earlier.
    for (number, flows) in [(1, 600), (2, 300), (3, 100_u64)] {
        (0..flows).for_each(|flow| drop(crowd.open(v4(number), 1_000 - flow)));
    }
    for _ in 0..31 {
        for number in 4..14 {
            drop(crowd.open(v4(number), 2_000));
        }
    }
    // 310 of newcomers came: the first client paid for all but ten of them, down to the level of
    // the second, and both together for the rest.
    let counts = crowd.counts();
    assert!(crowd.table.len() > 990);
    assert_eq!((counts[&v4(3)], counts[&v4(9)]), (100, 31));
    let (first, second) = (counts[&v4(1)], counts[&v4(2)]);
    assert!(first.abs_diff(second) <= 1 && first + second < 600, "{first} {second}");
    crowd.table.for_each(|flow| {
        if flow.client() == v4(1) {
            assert!(flow.seen() > 1_000 - 301, "an idle one stayed");
        }
    });
}

#[test]
fn among_equals_the_idlest_of_all_goes() {
    let mut crowd = Crowd::new(50);
    for number in 0..50 {
        drop(crowd.open(v4(number), [30, 10, 20, 40, 50][number as usize % 5] + u64::from(number)));
    }
    for expected in [2, 7, 12] {
        assert_eq!(ids(&crowd.open(v4(1_000 + expected), 500).displaced), [u64::from(expected)]);
    }
    // Who has the largest share with the flow it opens displaces its own, be it the freshest.
    let newest = crowd.open(v4(2_000), 600);
    assert_eq!(ids(&newest.displaced), [3]);
    let own = crowd.open(v4(2_000), 600);
    assert_eq!(ids(&own.displaced), [newest.flow.id()]);
}

#[test]
fn flows_that_are_over_go_before_open_ones() {
    let mut crowd = Crowd::new(10);
    let flows: Vec<_> = (0..10).map(|number| crowd.open(v4(number % 2), 100).flow).collect();
    flows[8].set_over(true);
    flows[3].set_over(true);
    flows[3].touch(200);
    flows[5].set_over(true);
    flows[5].set_over(false);
    assert_eq!(ids(&crowd.open(v4(1), 300).displaced), [9]);
    assert_eq!(ids(&crowd.open(v4(1), 300).displaced), [4]);
    assert_eq!(ids(&crowd.open(v4(1), 300).displaced), [2], "the idlest of the larger share");
}

#[test]
fn making_room_costs_one_look_at_all_for_a_hundredth_of_them() {
    let mut crowd = Crowd::new(1_000);
    let looks = (0..3_000).filter(|_| !crowd.open(v4(1), 1).displaced.is_empty()).count();
    assert_eq!(looks, 200);
}

#[test]
fn equal_histories_displace_the_same_flows() {
    let run = || {
        let mut crowd = Crowd::new(100);
        let mut displaced = Vec::new();
        for number in 0..1_000_u32 {
            let client = v4(number * number % 7);
            displaced.extend(ids(&crowd.open(client, u64::from(number % 13)).displaced));
        }
        displaced
    };
    let first = run();
    assert_eq!(first.len(), 900);
    assert_eq!(first, run());
}

#[test]
fn who_holds_the_most_memory_gives_it_back_first() {
    let mut crowd = Crowd::new(100);
    // Of one client forty flows with 100 bytes each, of another one with 1,000, of a third three.
    let mut hold = |client, bytes| {
        let flow = crowd.open(client, 1).flow;
        flow.hold(bytes);
        flow.id()
    };
    let many: Vec<_> = (0..40).map(|host| hold(v6(1, host), 100)).collect();
    let large = hold(v4(1), 1_000);
    let middle = [hold(v4(2), 300), hold(v4(2), 900), hold(v4(2), 0)];
    let taken = |bytes| ids(&crowd.table.heaviest(bytes));
    assert!(taken(0).is_empty());
    assert_eq!(taken(1), many[..1]);
    assert_eq!(taken(2_750), many[..28]);
    // At 1,200 the third client is level with the first, and gives its heaviest.
    let all = taken(3_800);
    assert_eq!((&all[..28], all[28]), (&many[..28], middle[1]));
    assert_eq!((&all[29..], all.len()), (&many[28..29], 30));
    assert!(!all.contains(&large));
    let everything = taken(usize::MAX);
    assert_eq!(everything.len(), 43);
    assert!(!everything.contains(&middle[2]), "it holds nothing");
}

#[test]
fn an_address_and_a_network_are_never_one_client() {
    use crate::flow::share::Client;
    let clients = [
        IpAddr::from([0, 0, 0, 0]),
        IpAddr::from([192, 0, 2, 1]),
        IpAddr::from([192, 0, 2, 2]),
        "::".parse().unwrap(),
        "2001:db8::".parse().unwrap(),
        "2001:db8:0:1::".parse().unwrap(),
    ];
    for (index, a) in clients.iter().enumerate() {
        for (other, b) in clients.iter().enumerate() {
            assert_eq!(Client::of(*a) == Client::of(*b), index == other, "{a} {b}");
        }
    }
    let mapped = "::ffff:192.0.2.1".parse().unwrap();
    assert!(Client::of(mapped) == Client::of("::1".parse().unwrap()), "hosts of ::/64");
}
