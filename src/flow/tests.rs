//! Keys, and what the two tables keep, replace, forget and refuse.

use super::*;
use crate::wire::Seq;

fn end(last: u8, port: u16) -> Endpoint {
    Endpoint { address: IpAddr::from([192, 0, 2, last]), port }
}

fn record(port: u16, seconds: u32) -> Handshake {
    let key = FlowKey::of(end(1, port), end(2, 25));
    Handshake {
        key,
        isn: Seq(7),
        answer: Seq(0),
        seconds,
        ingress: 1,
        egress: 2,
        segment_size: 1_460,
        is_answered: false,
        low_is_originator: key.is_low(end(1, port)),
    }
}

#[test]
fn both_directions_have_one_key() {
    let (a, b) = (end(1, 4_000), end(2, 25));
    assert_eq!(FlowKey::of(a, b), FlowKey::of(b, a));
    assert_ne!(FlowKey::of(a, b), FlowKey::of(end(1, 4_001), b));
}

#[test]
fn a_handshake_names_its_originator() {
    let record = record(4_000, 0);
    assert_eq!((record.originator(), record.responder()), (end(1, 4_000), end(2, 25)));
}

#[test]
fn handshakes_expire_and_are_replaced() {
    let table = HandshakeTable::new(64, 30, 1);
    assert!(!table.put(record(1, 100)));
    assert_eq!(table.find(&record(1, 0).key, 130), Some(record(1, 100)));
    assert_eq!(table.find(&record(1, 0).key, 131), None);
    let newer = Handshake { isn: Seq(8), ..record(1, 131) };
    assert!(!table.put(newer));
    assert_eq!(table.find(&newer.key, 131), Some(newer));
    table.remove(&newer.key);
    assert_eq!(table.find(&newer.key, 131), None);
}

#[test]
fn a_flood_evicts_but_never_grows() {
    let table = HandshakeTable::new(64, 30, 1);
    let evicted = (0..10_000).filter(|&port| table.put(record(port, 5))).count();
    let kept = (0..10_000).filter(|&port| table.find(&record(port, 5).key, 5).is_some()).count();
    assert_eq!(evicted + kept, 10_000);
    assert!(kept <= 64, "{kept}");
}

#[test]
fn flows_are_bounded_and_expire_once() {
    let table = FlowTable::new(2);
    let keys: Vec<_> = (0..3).map(|port| FlowKey::of(end(1, port), end(2, 25))).collect();
    assert!(table.insert(keys[0], 10, |id| (id, 10)).is_some());
    assert!(table.insert(keys[1], 10, |id| (id, 20)).is_some());
    assert!(table.insert(keys[2], 10, |id| (id, 30)).is_none());
    let mut ended = Vec::new();
    table.expire(9, 100, |flow| flow.1, |flow| ended.push(flow.0));
    assert_eq!((table.len(), ended.as_slice()), (2, [].as_slice()));
    table.expire(10, 100, |flow| flow.1, |flow| ended.push(flow.0));
    assert_eq!((table.len(), ended.as_slice()), (1, [1].as_slice()));
    table.expire(20, 100, |flow| flow.1, |flow| ended.push(flow.0));
    assert_eq!((table.len(), ended.as_slice()), (0, [1, 2].as_slice()));
}

#[test]
fn a_flow_may_be_due_earlier_than_it_was() {
    let table = FlowTable::new(2);
    let key = FlowKey::of(end(1, 1), end(2, 25));
    let mut id = 0;
    table.insert(key, 1_000, |new| id = new);
    table.schedule(key, id, 30);
    table.expire(29, 100, |()| 30, |()| panic!("too early"));
    table.expire(30, 100, |()| 30, |()| ());
    assert!(table.is_empty());
    table.expire(1_000, 100, |()| 30, |()| panic!("ended twice"));
}

#[test]
fn a_successor_with_the_same_key_outlives_the_predecessors_deadline() {
    let table = FlowTable::new(2);
    let key = FlowKey::of(end(1, 1), end(2, 25));
    table.insert(key, 10, |id| (id, 10));
    assert!(table.remove(&key).is_some());
    table.insert(key, 50, |id| (id, 50));
    table.expire(10, 100, |flow| flow.1, |_| panic!("the successor ended"));
    assert_eq!(table.len(), 1);
}

#[test]
fn expiry_work_is_bounded() {
    let table = FlowTable::new(100);
    for port in 0..50 {
        table.insert(FlowKey::of(end(1, port), end(2, 25)), 1, |_| 1_u64);
    }
    table.expire(5, 8, |&mut until| until, |_| ());
    assert_eq!(table.len(), 42);
}
