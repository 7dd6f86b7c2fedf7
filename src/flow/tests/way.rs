//! Which packets can come from which end.

use super::*;

const CLIENT: u64 = 0x0200_0000_0001;
const SERVER: u64 = 0x0200_0000_0002;
const OTHER: u64 = 0x0200_0000_0003;

const KEYED: Keyed = Keyed::new(7);

fn hop(interface: u32, link: u64) -> Hop {
    Hop { interface, link }
}

/// The way of a connection whose SYN and SYN/ACK came so.
fn way(syn: Hop, egress: u32, answer: Hop) -> Way {
    Way::of_syn(syn, egress, &KEYED).answered(answer, &KEYED)
}

/// Whether a packet that came so can be the client's, and whether it can be the server's.
fn sides(way: Way, hop: Hop) -> [bool; 2] {
    Direction::BOTH.map(|direction| way.has(direction, hop, &KEYED))
}

#[test]
fn each_end_has_exactly_its_interface() {
    let way = way(hop(1, CLIENT), 2, hop(2, SERVER));
    assert_eq!(way, Way::Through { ingress: 1, egress: 2 });
    for (interface, expected) in
        [(1, [true, false]), (2, [false, true]), (3, [false; 2]), (0, [false; 2])]
    {
        // Behind different interfaces the link address decides nothing: routers change.
        for link in [0, CLIENT, SERVER, OTHER] {
            assert_eq!(sides(way, hop(interface, link)), expected, "{interface} {link:x}");
        }
    }
}

#[test]
fn an_end_on_this_machine_has_no_interface() {
    let server_here = way(hop(1, CLIENT), 0, hop(0, 0));
    assert_eq!(sides(server_here, hop(1, CLIENT)), [true, false]);
    assert_eq!(sides(server_here, hop(0, 0)), [false, true]);
    assert_eq!(sides(server_here, hop(2, SERVER)), [false; 2]);
    let client_here = way(hop(0, 0), 2, hop(2, SERVER));
    assert_eq!(sides(client_here, hop(0, 0)), [true, false]);
    assert_eq!(sides(client_here, hop(2, SERVER)), [false, true]);
    assert_eq!(sides(client_here, hop(1, CLIENT)), [false; 2]);
}

#[test]
fn on_one_interface_the_link_address_tells_the_ends_apart() {
    let way = way(hop(1, CLIENT), 1, hop(1, SERVER));
    for (link, expected) in [
        (CLIENT, [true, false]),
        (SERVER, [false, true]),
        // A second router of either end, or an address the kernel did not name.
        (OTHER, [true, true]),
        (0, [true, true]),
    ] {
        assert_eq!(sides(way, hop(1, link)), expected, "{link:x}");
        assert_eq!(sides(way, hop(2, link)), [false; 2], "{link:x}, another interface");
    }
}

#[test]
fn ends_behind_one_router_or_of_unknown_address_are_not_told_apart() {
    for (client, server) in [(CLIENT, CLIENT), (0, SERVER), (CLIENT, 0), (0, 0)] {
        let way = way(hop(1, client), 1, hop(1, server));
        for link in [0, CLIENT, SERVER, OTHER] {
            assert_eq!(sides(way, hop(1, link)), [true; 2], "{client:x} {server:x} {link:x}");
        }
    }
    // In a capture nothing is known at all.
    let unknown = way(hop(0, 0), 0, hop(0, 0));
    assert_eq!(sides(unknown, hop(0, 0)), [true; 2]);
    assert_eq!(sides(unknown, hop(1, 0)), [false; 2]);
}

#[test]
fn the_first_answer_may_come_through_the_clients_own_router() {
    let asked = Way::of_syn(hop(1, CLIENT), 1, &KEYED);
    assert!(asked.has(Direction::Reply, hop(1, CLIENT), &KEYED));
    assert!(asked.has(Direction::Reply, hop(1, SERVER), &KEYED));
    // Once another has answered, it may not.
    let answered = asked.answered(hop(1, SERVER), &KEYED);
    assert!(!answered.has(Direction::Reply, hop(1, CLIENT), &KEYED));
}

#[test]
fn a_link_hash_is_0_for_nothing_but_an_unknown_address() {
    assert_eq!(KEYED.link(0), 0);
    let hashes: std::collections::BTreeSet<u16> = (1..=1_000).map(|n| KEYED.link(n)).collect();
    assert!(!hashes.contains(&0) && hashes.len() > 980, "{}", hashes.len());
    assert!((1..=200_000).all(|link| KEYED.link(link) != 0));
    assert!((1..=8).any(|link| KEYED.link(link) != Keyed::new(8).link(link)), "no key");
}
