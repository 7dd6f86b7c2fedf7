//! Keys and their hash; in the parts below it the two tables and the way of a connection.

mod handshakes;
mod shares;
mod table;
mod way;

use super::*;

fn end(last: u8, port: u16) -> Endpoint {
    Endpoint { address: IpAddr::from([192, 0, 2, last]), port }
}

fn v6(text: &str, port: u16) -> Endpoint {
    Endpoint { address: text.parse().unwrap(), port }
}

/// As the tables of these tests take it.
fn hashed(key: &FlowKey) -> HashedKey {
    HashedKey::new(*key, &Keyed::new(1))
}

/// A flow that this end opens to that one.
fn opened(originator: Endpoint, responder: Endpoint, seen: u64, due: u64) -> Newcomer {
    let key = hashed(&FlowKey::of(originator, responder));
    Newcomer { key, is_originator_low: key.plain().is_low(originator), since: seen, seen, due }
}

#[test]
fn both_directions_have_one_key() {
    let (a, b) = (end(1, 4_000), end(2, 25));
    assert_eq!(FlowKey::of(a, b), FlowKey::of(b, a));
    assert_ne!(FlowKey::of(a, b), FlowKey::of(end(1, 4_001), b));
}

#[test]
fn ends_are_ordered_as_derived() {
    let ends = [
        end(1, 25),
        end(1, 4_000),
        end(2, 25),
        v6("2001:db8::1", 25),
        v6("2001:db8::1", 4_000),
        v6("2001:db8::2", 25),
    ];
    for a in ends {
        for b in ends {
            assert_eq!(a.is_before(&b), a < b, "{a} {b}");
        }
    }
}

#[test]
fn each_end_sends_in_its_direction() {
    let ends = Ends { originator: end(1, 4_000), responder: end(2, 25) };
    for direction in Direction::BOTH {
        let (sender, receiver) = ends.of(direction);
        assert_eq!(ends.direction(sender), direction);
        assert_eq!(ends.direction(receiver), direction.other());
    }
}

#[test]
fn a_key_is_hashed_whole() {
    let keyed = Keyed::new(1);
    let keys = [
        FlowKey::of(end(1, 4_000), end(2, 25)),
        FlowKey::of(end(1, 4_001), end(2, 25)),
        FlowKey::of(end(1, 4_000), end(3, 25)),
        FlowKey::of(end(1, 25), end(2, 4_000)),
        FlowKey::of(v6("::ffff:192.0.2.1", 4_000), v6("::ffff:192.0.2.2", 25)),
        FlowKey::of(v6("2001:db8::1", 4_000), v6("2001:db8::2", 25)),
        FlowKey::of(v6("2001:db8::1", 4_000), v6("2001:db8:1::2", 25)),
    ];
    for (index, key) in keys.iter().enumerate() {
        for (other, found) in keys.iter().enumerate() {
            let is_same = key.keyed_hash(&keyed) == found.keyed_hash(&keyed);
            assert_eq!(is_same, index == other, "{key:?} {found:?}");
        }
    }
    let [first, ..] = keys;
    assert_eq!(FlowKey::of(end(2, 25), end(1, 4_000)).keyed_hash(&keyed), first.keyed_hash(&keyed));
    assert_ne!(first.keyed_hash(&Keyed::new(2)), first.keyed_hash(&keyed), "no key");
}
