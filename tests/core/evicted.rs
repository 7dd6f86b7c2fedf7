//! Handshakes that had to make room for those of a flood, and what brings them back.

use crate::bounds::{flood, limited};
use crate::support::crowd::{Crowd, Line};
use crate::support::packet::{ACK, SYN};
use mailguard::engine::Verdict;
use mailguard::flow::Direction::Original as C;
use mailguard::flow::Direction::Reply as S;
use mailguard::tcp::Violation;

/// Mail of a client that waits for the greeting of a handshake that had to make room.
#[test]
fn a_repeated_answer_brings_an_evicted_handshake_back() {
    let mut crowd = Crowd::new(limited(|limits| limits.handshakes_max = 8));
    let mut line = Line::new("192.0.2.1", 1_000);
    assert!((0..2).all(|step| crowd.shake(&line, step)));
    flood(&mut crowd, 1);
    assert!(!crowd.shake(&line, 2), "it had to make room");
    assert!(!crowd.begin_data(&mut line), "and nothing opens it");
    assert!((1..3).all(|step| crowd.shake(&line, step)));
    line.received = [0; 2];
    assert!(crowd.begin_data(&mut line));
    assert!(crowd.say(&mut line, C, b"text\r\n.\r\n"));
}

/// Only interfaces tell who answered.
#[test]
fn nobody_else_brings_an_evicted_handshake_back() {
    for (way_out, way_back, steps) in [(2, 3, [true, false]), (2, 1, [false; 2])] {
        let mut crowd = Crowd::new(limited(|limits| limits.handshakes_max = 8));
        let line = Line::new("192.0.2.1", 1_000);
        assert!(crowd.shake(&line, 0));
        flood(&mut crowd, 1);
        (crowd.way_out, crowd.way_back) = (way_out, way_back);
        assert_eq!([1, 2].map(|step| crowd.shake(&line, step)), steps, "{way_back}");
        assert_eq!(crowd.engine.stats().flows, 0);
    }
    // Where nothing had to make room there is nothing to bring back.
    let mut crowd = Crowd::new(limited(|_| {}));
    assert!(!crowd.shake(&Line::new("192.0.2.1", 1_000), 1));
    // Nor does it end a flow that stands.
    let mut crowd = Crowd::new(limited(|limits| limits.handshakes_max = 8));
    let mut line = crowd.open("192.0.2.1", 1_000);
    flood(&mut crowd, 1);
    let other = crowd.packet(&line, S, [7_777, 100], SYN | ACK, &[], &[]);
    assert_eq!(other, Verdict::Drop(Violation::Handshake.into()));
    assert!(crowd.begin_data(&mut line));
}
