//! What the table of handshakes keeps, replaces, forgets and says of what it lost.

use super::*;
use crate::wire::Seq;

fn record(port: u16, seconds: u32) -> Handshake {
    let key = FlowKey::of(end(1, port), end(2, 25));
    Handshake {
        key,
        isn: Seq(7),
        answer: Seq(0),
        seconds,
        way: Way::Through { ingress: 1, egress: 2 },
        segment_size: 1_460,
        windows: PerDirection::new(64_240, 0),
        offered_scales: PerDirection::new(Some(7), None),
        is_answered: false,
        is_originator_low: key.is_low(end(1, port)),
    }
}

#[test]
fn a_handshake_names_its_originator() {
    let record = record(4_000, 0);
    assert_eq!((record.originator(), record.responder()), (end(1, 4_000), end(2, 25)));
}

#[test]
fn a_record_keeps_everything() {
    let addresses = ["192.0.2.1", "255.255.255.255", "2001:db8::1", "::ffff:192.0.2.1", "::"];
    let ways = [
        Way::Through { ingress: u32::MAX, egress: 0 },
        Way::Through { ingress: 3, egress: 0x1234_5678 },
        Way::OneArmed { interface: 9, client_link: u16::MAX, server_link: 0 },
        Way::OneArmed { interface: 0, client_link: 0x1234, server_link: 0x5678 },
    ];
    let table = HandshakeTable::new(64, 30);
    for (index, (low, high)) in
        addresses.iter().flat_map(|a| addresses.map(|b| (*a, b))).enumerate()
    {
        for (scale, way) in [None, Some(0), Some(7), Some(14)].into_iter().zip(ways) {
            let number = u32::try_from(index).unwrap();
            let ends = [(low, 25), (high, u16::MAX)];
            let ends = ends.map(|(text, port)| Endpoint { address: text.parse().unwrap(), port });
            let other = if index % 2 == 0 { Some(14) } else { None };
            let full = Handshake {
                key: FlowKey::of(ends[0], ends[1]),
                isn: Seq(u32::MAX - number),
                answer: Seq(number << 20),
                seconds: u32::MAX - number,
                way,
                segment_size: u16::MAX - 1,
                windows: PerDirection::new(u16::MAX, 1),
                offered_scales: PerDirection::new(scale, other),
                is_answered: index % 3 == 0,
                is_originator_low: index % 5 < 2,
            };
            put(&table, &full);
            assert_eq!(find(&table, &full.key, full.seconds), Some(full));
            remove(&table, &full);
        }
    }
}

#[test]
fn windows_are_scaled_only_if_both_ends_offered_it() {
    for (offered, expected) in [
        ((Some(7), Some(0)), (7, 0)),
        ((Some(14), Some(2)), (14, 2)),
        ((Some(7), None), (0, 0)),
        ((None, Some(7)), (0, 0)),
        ((None, None), (0, 0)),
    ] {
        let offered_scales = PerDirection::new(offered.0, offered.1);
        let scales = Handshake { offered_scales, ..record(1, 0) }.window_scales();
        assert_eq!((scales[Direction::Original], scales[Direction::Reply]), expected);
    }
}

/// The only record of these two ends.
fn find(table: &HandshakeTable, key: &FlowKey, seconds: u32) -> Option<Handshake> {
    table.find(&hashed(key), seconds, |_| true)
}

fn put(table: &HandshakeTable, record: &Handshake) -> bool {
    table.put(&hashed(&record.key), record)
}

fn remove(table: &HandshakeTable, record: &Handshake) {
    table.remove(&hashed(&record.key), record.isn);
}

fn may_have_evicted(table: &HandshakeTable, key: &FlowKey, seconds: u32) -> bool {
    table.may_have_evicted(&hashed(key), seconds)
}

#[test]
fn the_same_ends_have_two_handshakes_and_what_the_server_answered_stays() {
    let with =
        |isn, is_answered, seconds| Handshake { isn: Seq(isn), is_answered, ..record(1, seconds) };
    let table = HandshakeTable::new(64, 30);
    let numbers = || {
        let of = |isn| table.find(&hashed(&record(1, 0).key), 103, |known| known.isn == Seq(isn));
        (0..9).filter(|&isn| of(isn).is_some()).collect::<Vec<_>>()
    };
    assert!(!put(&table, &with(1, false, 100)));
    assert!(!put(&table, &with(2, false, 101)));
    assert!(!put(&table, &with(1, false, 101)), "the same again");
    assert!(!may_have_evicted(&table, &record(1, 0).key, 101));
    assert!(!put(&table, &with(2, false, 101)));
    assert_eq!(numbers(), [1, 2]);
    // Of two that are not answered the older goes.
    put(&table, &with(3, false, 102));
    assert_eq!(numbers(), [2, 3]);
    // What is answered stays, whatever comes.
    put(&table, &with(2, true, 102));
    assert!(may_have_evicted(&table, &record(1, 0).key, 103), "two rivals have put out a third");
    (4..9).for_each(|isn| assert!(put(&table, &with(isn, false, 103))));
    assert_eq!(numbers(), [2, 8]);
    // The server has taken another one now.
    put(&table, &with(8, true, 103));
    assert_eq!(numbers(), [8]);
    put(&table, &with(2, true, 103));
    put(&table, &with(8, false, 103));
    remove(&table, &with(8, false, 0));
    assert_eq!(numbers(), [2]);
    put(&table, &with(8, false, 103));
    table.remove_all(&hashed(&record(1, 0).key));
    assert!(numbers().is_empty());
}

#[test]
fn ends_in_one_set_lose_nothing_by_what_others_were_answered() {
    let table = HandshakeTable::new(1, 30);
    let answered =
        |port: u16| Handshake { isn: Seq(port.into()), is_answered: true, ..record(port, 100) };
    (1..4).for_each(|port| assert!(!put(&table, &answered(port))));
    for port in 1..4 {
        assert_eq!(find(&table, &record(port, 0).key, 100), Some(answered(port)));
    }
    let other_address_same_ports = FlowKey::of(end(0, 1), end(2, 25));
    assert_eq!(find(&table, &other_address_same_ports, 100), None);
}

#[test]
fn a_window_scale_is_14_at_most() {
    let table = HandshakeTable::new(1, 30);
    let record = record(1, 100);
    put(&table, &Handshake { offered_scales: PerDirection::new(Some(15), Some(255)), ..record });
    let kept = find(&table, &record.key, 100).unwrap();
    assert_eq!(kept.offered_scales, PerDirection::new(Some(14), Some(14)));
}

#[test]
fn handshakes_expire_and_are_replaced() {
    let table = HandshakeTable::new(64, 30);
    assert!(!put(&table, &record(1, 100)));
    assert_eq!(find(&table, &record(1, 0).key, 130), Some(record(1, 100)));
    assert_eq!(find(&table, &record(1, 0).key, 131), None);
    let newer = Handshake { isn: Seq(8), ..record(1, 131) };
    assert!(!put(&table, &newer));
    assert_eq!(find(&table, &newer.key, 131), Some(newer));
    remove(&table, &newer);
    assert_eq!(find(&table, &newer.key, 131), None);
}

#[test]
fn a_flood_evicts_but_never_grows() {
    let table = HandshakeTable::new(64, 30);
    let evicted = (0..10_000).filter(|&port| put(&table, &record(port, 5))).count();
    let kept = (0..10_000).filter(|&port| find(&table, &record(port, 5).key, 5).is_some()).count();
    assert_eq!(evicted + kept, 10_000);
    assert!(kept <= 64, "{kept}");
}

#[test]
fn a_table_that_has_room_loses_nothing() {
    let table = HandshakeTable::new(65_536, 30);
    assert!((0..1_000).all(|port| !put(&table, &record(port, 5))));
    assert!((0..2_000).all(|port| !may_have_evicted(&table, &record(port, 5).key, 5)));
}

#[test]
fn what_may_have_been_lost_is_known_as_long_as_it_would_have_lived() {
    let table = HandshakeTable::new(64, 30);
    (0..10_000).for_each(|port| {
        put(&table, &record(port, 100));
    });
    let lost: Vec<_> = (0..10_000)
        .map(|port| record(port, 0).key)
        .filter(|key| find(&table, key, 100).is_none())
        .collect();
    assert!(lost.len() >= 9_900);
    for (seconds, expected) in [(100, true), (130, true), (131, false), (1_000, false)] {
        assert!(lost.iter().all(|key| may_have_evicted(&table, key, seconds) == expected));
    }
    // A packet that was read late takes back nothing of that.
    put(&table, &record(10_001, 90));
    assert!(lost.iter().all(|key| may_have_evicted(&table, key, 130)));
    // Another table knows the second and no place.
    let heir = HandshakeTable::new(64, 30);
    assert_eq!((table.evicted(), heir.evicted()), (Some(100), None));
    heir.note_evicted(100);
    heir.note_evicted(90);
    for (seconds, expected) in [(100, true), (130, true), (131, false)] {
        assert!(lost.iter().all(|key| may_have_evicted(&heir, key, seconds) == expected));
    }
    // Nor does it know what was kept by others before the first began.
    let first = HandshakeTable::new(64, 30);
    first.begin_behind_others(120);
    assert_eq!(first.evicted(), Some(120));
    // Records that had expired are no loss.
    let table = HandshakeTable::new(8, 30);
    (0..8).for_each(|port| assert!(!put(&table, &record(port, 100))));
    assert!(!put(&table, &record(9, 131)));
    assert!(!may_have_evicted(&table, &record(1, 0).key, 131));
}
