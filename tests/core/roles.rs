//! Who is client and who is server: handshakes that had to make room for those of a flood, what
//! brings them back, and clients that speak as a server does.

use crate::bounds::{flood, limited};
use crate::support::crowd::{Crowd, Line};
use crate::support::packet::{ACK, RST, SYN, tcp_packet};
use crate::support::rig::settings;
use mailguard::engine::{Exception, Handling, Path, Reason, Treatment, Verdict};
use mailguard::flow::Direction::Original as C;
use mailguard::flow::Direction::Reply as S;
use mailguard::tcp::Violation;
use mailguard::time::Instant;

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
    // Unless others kept handshakes before, and have left none.
    crowd.engine.begin_behind_others(Instant::from_micros(crowd.micros));
    let mut late = Line::new("192.0.2.2", 1_000);
    assert!((1..3).all(|step| crowd.shake(&late, step)));
    late.received = [0; 2];
    assert!(crowd.begin_data(&mut late));
    crowd.wait(31);
    assert!(!crowd.shake(&Line::new("192.0.2.3", 1_000), 1));
}

/// A server that answers a SYN has given up what it had between the same ends, whether that SYN is
/// known here or not: text of the old flow would be the new one's commands.
#[test]
fn an_answer_to_an_unknown_syn_ends_the_flow_whose_text_could_follow_it() {
    let dropped = Verdict::Drop(Violation::Handshake.into());
    for (is_flooded, [below, ahead], is_ended) in [
        (false, [0, 5_000], true),
        (false, [0, 0], true),
        (false, [60_000, 0], true),
        (true, [0, 5_000], true),
        // Who guesses numbers ends nothing.
        (false, [1 << 30, 5_000], false),
        (false, [1 << 31, 5_000], false),
        (false, [0, 1 << 30], false),
        (false, [0, 1 << 31], false),
        // The server may have said more that was dropped.
        (false, [0_u32.wrapping_sub(65_536), 0], true),
        (false, [0_u32.wrapping_sub(65_537), 0], false),
    ] {
        let mut crowd = Crowd::new(limited(|limits| limits.handshakes_max = 8));
        let mut line = crowd.open("192.0.2.1", 1_000);
        assert!(crowd.begin_data(&mut line));
        if is_flooded {
            flood(&mut crowd, 1);
        }
        let flows = crowd.engine.stats().flows_now;
        let [said, heard] = line.received.map(|bytes| bytes as u32);
        let numbers = [999_u32.wrapping_add(heard).wrapping_sub(below), 100 + said + ahead];
        let verdict = crowd.packet(&line, S, numbers, SYN | ACK, &[], &[]);
        assert_eq!(verdict, if is_flooded { Verdict::Accept } else { dropped });
        let left = flows - u64::from(is_ended);
        assert_eq!(crowd.engine.stats().flows_now, left, "{below} {ahead}");
        let text = crowd.send(&mut line, C, said.into(), b"VRFY root\r\n");
        assert_eq!(text.is_none(), is_ended, "{below} {ahead}");
    }
    // From another side it is nobody's.
    let mut crowd = Crowd::new(limited(|_| {}));
    let mut line = crowd.open("192.0.2.1", 1_000);
    (crowd.way_out, crowd.way_back) = (2, 3);
    assert_eq!(crowd.packet(&line, S, [999, 100], SYN | ACK, &[], &[]), dropped);
    (crowd.way_out, crowd.way_back) = (2, 2);
    assert!(crowd.begin_data(&mut line));
}

/// A server that has spoken says its SYN/ACK no more, but a copy of it may come late: once it was
/// silent for a while it has given up what it had, and its numbers are the same by chance.
#[test]
fn an_answer_with_the_numbers_of_the_first_may_be_anothers() {
    for (is_begun, has_reset, seconds, is_ended) in [
        (false, false, 30, false),
        (true, false, 1, false),
        (true, false, 2, true),
        (true, true, 0, true),
    ] {
        let mut crowd = Crowd::new(limited(|_| {}));
        let mut line = crowd.open("192.0.2.1", 1_000);
        assert!(!is_begun || crowd.begin_data(&mut line));
        if has_reset {
            let _ = crowd.packet(&line, C, [300, 0], RST, &[], b"");
        }
        crowd.wait(seconds);
        assert_eq!(crowd.shake(&line, 1), !is_ended, "{is_begun} {has_reset} {seconds}");
        assert_eq!(crowd.engine.stats().flows_now, u64::from(!is_ended));
    }
}

/// A server that waits for the third packet takes a client's SYN/ACK for it: RFC 9293 3.10.7.4 asks
/// for its ACK alone. Where the client's port is a mail port too, it might be a server's.
#[test]
fn a_client_does_not_become_the_server_by_answering_as_one() {
    for port in [25, 4_000] {
        let mut crowd = Crowd::new(limited(|limits| limits.handshakes_max = 8));
        let line = Line::new("192.0.2.1", port);
        assert!((0..2).all(|step| crowd.shake(&line, step)));
        flood(&mut crowd, 1);
        let own_answer = crowd.packet(&line, C, [99, 1_000], SYN | ACK, &[], &[]);
        assert_eq!(own_answer, Verdict::Drop(Violation::Handshake.into()), "{port}");
        let _ = crowd.packet(&line, S, [1_000, 100], ACK, &[], &[]);
        assert_eq!(crowd.engine.stats().flows, 0, "{port}");
    }
}

/// The mail that a server sends is let alone; what comes to it is not, whatever its sender claims.
#[test]
fn a_client_is_not_let_alone_by_answering_as_its_server() {
    for (port, flags) in [(4_000, SYN | ACK), (25, SYN | ACK), (25, ACK)] {
        let mut settings = settings("mailguard");
        settings.exceptions.push(Exception {
            client: Some("198.51.100.0/24".parse().unwrap()),
            server: None,
            treatment: Treatment::HandsOff,
        });
        let mut crowd = Crowd::new(settings);
        let line = Line::new("192.0.2.1", port);
        assert!((0..2).all(|step| crowd.shake(&line, step)));
        let _ = crowd.packet(&line, C, [100, 1_000], flags, &[], &[]);
        assert_ne!(crowd.effects.handling, Handling::HandedOver, "{port} {flags}");
        let said = crowd.packet(&line, C, [100, 1_000], ACK, &[], b"EXPN root\r\n");
        assert_ne!(said, Verdict::Accept, "{port} {flags}");
    }
}

/// A SYN that claims to be the server's, and its answer, which the server takes for the third
/// packet of a true handshake.
#[test]
fn a_client_does_not_become_the_server_by_a_forged_syn() {
    let mut crowd = Crowd::new(limited(|_| {}));
    let line = Line::new("192.0.2.1", 25);
    assert!((0..2).all(|step| crowd.shake(&line, step)));
    let outside = Path { ingress: 1, egress: 1, link: 0 };
    let server = "198.51.100.2:25".parse().unwrap();
    let forged = tcp_packet(server, line.client, 999, 0, SYN, &[], &[]);
    let _ = crowd.arrive(outside, &forged);
    let answer = crowd.packet(&line, C, [99, 1_000], SYN | ACK, &[], &[]);
    assert_eq!(answer, Verdict::Drop(Reason::WrongInterface));
    let third = tcp_packet(server, line.client, 1_000, 100, ACK, &[], &[]);
    let _ = crowd.arrive(outside, &third);
    assert_eq!(crowd.engine.stats().flows, 0);
}
