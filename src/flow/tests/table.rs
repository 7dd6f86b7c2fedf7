//! The table of flows: bounds, expiry, and what a flow says of itself without its lock.

use std::sync::Arc;

use super::*;

fn key(port: u16) -> FlowKey {
    FlowKey::of(end(1, port), end(2, 25))
}

fn newcomer(port: u16, due: u64) -> Newcomer {
    opened(end(1, port), end(2, 25), 0, due)
}

/// Adds a flow that displaces none.
fn add<T>(table: &FlowTable<T>, newcomer: Newcomer, state: T) -> Arc<Flow<T>> {
    let inserted = table.insert(newcomer, |_| state);
    assert!(inserted.displaced.is_empty());
    inserted.flow
}

#[test]
fn flows_are_bounded_and_expire_once() {
    let table = FlowTable::new(2);
    assert!(table.is_empty());
    add(&table, newcomer(1, 10), 10);
    assert!(!table.is_empty() && !table.is_full());
    add(&table, newcomer(2, 10), 20);
    assert!(table.is_full());
    assert_eq!(table.last_id(), 2);
    let displaced = table.insert(newcomer(3, 30), |_| 30).displaced;
    assert_eq!(displaced.iter().map(|flow| flow.id()).collect::<Vec<_>>(), [1]);
    assert!(displaced[0].has_left() && displaced[0].lock_if_present().is_none());
    let mut ended = Vec::new();
    let mut expire = |second| {
        table.expire(second, 100, |_, until| *until, |flow, _| ended.push(flow.id()));
        (table.len(), ended.clone())
    };
    assert_eq!(expire(9), (2, vec![]));
    assert_eq!(expire(10), (2, vec![]));
    assert_eq!(expire(20), (1, vec![2]));
    assert_eq!(expire(30), (0, vec![2, 3]));
}

#[test]
fn the_most_flows_at_once_are_remembered_when_they_are_gone() {
    let table = FlowTable::new(3);
    assert_eq!(table.most(), 0);
    for port in 1..=3 {
        add(&table, newcomer(port, 10), ());
    }
    table.expire(10, 100, |_, ()| 0, |_, ()| ());
    add(&table, newcomer(4, 20), ());
    assert_eq!((table.len(), table.most()), (1, 3));
    // Who makes room for another is gone before that is there.
    for port in 5..=9 {
        let _ = table.insert(newcomer(port, 20), |_| ());
    }
    assert_eq!((table.len(), table.most()), (3, 3));
}

#[test]
fn a_flow_says_since_when_it_is_there_and_when_it_last_spoke() {
    let table = FlowTable::new(2);
    let flow = add(&table, Newcomer { since: 5, seen: 7, ..newcomer(1, 10) }, ());
    flow.touch(9);
    assert_eq!((flow.since(), flow.seen()), (5, 9));
}

#[test]
fn a_flow_may_be_due_earlier_or_later_than_it_was() {
    let table = FlowTable::new(2);
    let flow = add(&table, newcomer(1, 1_000), 30);
    table.schedule(&flow, 30);
    table.expire(29, 100, |_, until| *until, |_, _| panic!("too early"));
    table.expire(30, 100, |_, until| *until, |_, _| ());
    assert!(table.is_empty() && flow.has_left());
    table.expire(1_000, 100, |_, _| panic!("looked at twice"), |_, _| ());
    let flow = add(&table, newcomer(1, 10), 10);
    table.schedule(&flow, 20);
    table.expire(19, 100, |_, _| panic!("at its old second"), |_, _| ());
    table.expire(20, 100, |_, until| *until, |_, _| ());
    assert!(table.is_empty());
}

#[test]
fn a_successor_with_the_same_key_outlives_the_predecessors_deadline() {
    let table = FlowTable::new(2);
    let old = add(&table, newcomer(1, 10), 10);
    assert!(table.remove(&hashed(&key(1))).is_some_and(|flow| Arc::ptr_eq(&flow, &old)));
    let new = add(&table, newcomer(1, 50), 50);
    assert!(!table.forget(&old), "it is the successor that is there");
    // What has left is scheduled no more.
    table.schedule(&old, 10);
    table.expire(10, 100, |_, until| *until, |_, _| panic!("the successor ended"));
    assert_eq!((table.len(), table.expiry_places() > 0), (1, true));
    assert!(table.forget(&new) && table.is_empty());
    assert_eq!(table.expiry_places(), 0);
}

#[test]
fn a_flow_of_the_same_ends_is_displaced_even_in_a_full_table() {
    let table = FlowTable::new(2);
    add(&table, newcomer(1, 10), ());
    add(&table, newcomer(2, 10), ());
    let displaced = table.insert(newcomer(2, 10), |_| ()).displaced;
    assert_eq!(displaced.iter().map(|flow| flow.id()).collect::<Vec<_>>(), [2]);
    assert_eq!(table.len(), 2);
}

#[test]
fn expiry_work_is_bounded() {
    let table = FlowTable::new(100);
    (0..50).for_each(|port| {
        add(&table, newcomer(port, 1), 1);
    });
    table.expire(5, 8, |_, until| *until, |_, _| ());
    assert_eq!(table.len(), 42);
}

#[test]
fn the_expiry_queue_holds_no_more_than_the_table() {
    let table = FlowTable::new(2_000);
    let mut open = std::collections::VecDeque::new();
    for number in 0..1_000_000_u32 {
        // A thousand connections a second; one of each hundred stays for long, so no second's
        // bucket is ever empty.
        let second = u64::from(number / 1_000);
        let address = IpAddr::from((0x0a00_0000 + number).to_be_bytes());
        let seen = second;
        let originator = Endpoint { address, port: 4_000 };
        let newcomer = opened(originator, end(2, 25), seen, second + 1_200);
        let flow = table.insert(newcomer, |_| ()).flow;
        match number % 100 {
            0 => {}
            1 => table.schedule(&flow, second + 1),
            2..50 => assert!(table.remove(&newcomer.key).is_some()),
            _ => open.push_back(flow),
        }
        if open.len() > 100 {
            assert!(open.pop_front().is_some_and(|flow| table.forget(&flow)));
        }
        table.expire(second, 4, |flow, ()| flow.seen() + 1, |_, ()| ());
        if number % 10_007 == 0 {
            // A bucket keeps at most four times what it holds and some to spare.
            let most = 4 * (table.len() + 4 * 1_200) + 16;
            assert!(table.expiry_places() <= most, "{} of {most}", table.expiry_places());
        }
    }
    let places = table.expiry_places();
    table.for_each(|flow| assert!(table.forget(flow)));
    assert!(places > 0 && table.is_empty());
    assert_eq!(table.expiry_places(), 0);
}

#[test]
fn a_second_gives_back_half_the_places_that_flows_left_behind() {
    let table = FlowTable::new(2_000);
    let flows: Vec<_> = (0..1_024).map(|port| add(&table, newcomer(port, 10), ())).collect();
    let mut places = table.expiry_places();
    for (flow, left) in flows.iter().zip((1..1_024).rev()) {
        assert!(table.forget(flow));
        let now = table.expiry_places();
        if places >= 4 * (left + 5) {
            assert!((2 * left..=3 * left).contains(&now), "{now} places for {left}");
        } else {
            assert_eq!(now, places, "copied although {left} are left");
        }
        places = now;
    }
}

#[test]
fn a_flow_says_what_it_holds_without_its_lock() {
    let table = FlowTable::new(2);
    let flow = add(&table, newcomer(1, 10), ());
    let state = flow.lock();
    assert_eq!(flow.held(), 0);
    flow.hold(500);
    flow.hold(300);
    assert_eq!(flow.held(), 300);
    flow.touch(7);
    flow.set_over(true);
    assert_eq!((flow.seen(), flow.is_over(), flow.client()), (7, true, end(1, 1).address));
    assert_eq!((flow.key(), flow.id()), (&key(1), 1));
    // Neither search waits for it.
    assert_eq!(table.heaviest(1).len(), 1);
    drop(table.insert(newcomer(2, 10), |_| ()));
    let displaced = table.insert(newcomer(3, 10), |_| ()).displaced;
    assert!(Arc::ptr_eq(&displaced[0], &flow), "it was over");
    drop(state);
    assert!(flow.lock_if_present().is_none());
}

#[test]
fn who_looks_at_every_flow_may_lock_and_remove_each() {
    let table = FlowTable::new(1_000);
    for port in 0..1_000 {
        add(&table, newcomer(port, 10), port);
    }
    let mut seen = Vec::new();
    table.for_each(|flow| {
        seen.push(*flow.lock());
        assert!(table.forget(flow));
    });
    assert!(seen.iter().copied().eq(0..1_000), "the oldest first");
    assert!(table.is_empty());
}
