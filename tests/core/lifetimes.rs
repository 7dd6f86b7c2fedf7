//! How a flow begins, what keeps it, and how it ends, packet by packet.

use std::ops::ControlFlow;

use mailguard::engine::{
    Effects, Exception, Gaps, Handling, Path, Reason, Record, Seen, Settings, Stage, Treatment,
    UnknownFlow, Verdict, What,
};
use mailguard::flow::Direction::{Original as C, Reply as S};
use mailguard::tcp::Violation;
use mailguard::time::Instant;
use mailguard::wire::{Packet, Parsed, Seq};

use crate::bounds::{ATTACKER, limited, text};
use crate::support::crowd::{Crowd, Line};
use crate::support::packet::{ACK, FIN, PSH, RST, SYN, fill_checksums, tcp_packet};
use crate::support::rig::{Rig, limits, settings, settings_with};

const ISN: [u32; 2] = [1_000, 5_000];
const HANDSHAKE: Verdict = Verdict::Drop(Reason::Violation(Violation::Handshake));
const STRAY: Verdict = Verdict::Drop(Reason::Violation(Violation::StrayReset));
const SECOND: u64 = 1_000_000;

/// An option that says how long segments may be.
const fn mss(size: u16) -> [u8; 4] {
    let [high, low] = size.to_be_bytes();
    [2, 4, high, low]
}

fn unopened() -> Rig {
    Rig::new(settings("mailguard"), ISN)
}

fn syn(rig: &mut Rig) -> Verdict {
    rig.packet(C, ISN[0], 0, SYN, &mss(1_460), b"")
}

fn syn_ack(rig: &mut Rig) -> Verdict {
    rig.packet(S, ISN[1], ISN[0] + 1, SYN | ACK, &mss(1_460), b"")
}

fn third(rig: &mut Rig) -> Verdict {
    rig.packet(C, ISN[0] + 1, ISN[1] + 1, ACK, &[], b"")
}

fn seen(rig: &Rig) -> Vec<Seen> {
    let mut all = Vec::new();
    rig.engine.flows(Instant::from_micros(rig.micros), |seen| {
        all.push(seen);
        ControlFlow::Continue(())
    });
    all
}

#[test]
fn a_handshake_is_remembered_from_its_last_packet_on() {
    let wait = |rig: &mut Rig, seconds| rig.micros += seconds * SECOND;
    let mut rig = unopened();
    assert_eq!(syn(&mut rig), Verdict::Accept);
    wait(&mut rig, 20);
    assert_eq!(syn_ack(&mut rig), Verdict::Accept);
    wait(&mut rig, 20);
    assert_eq!(third(&mut rig), Verdict::Accept, "behind the answer");
    let mut rig = unopened();
    assert_eq!((syn(&mut rig), syn_ack(&mut rig)), (Verdict::Accept, Verdict::Accept));
    wait(&mut rig, 20);
    assert_eq!(syn(&mut rig), Verdict::Accept);
    wait(&mut rig, 20);
    assert_eq!(third(&mut rig), Verdict::Accept, "behind the SYN come again");
    let mut rig = unopened();
    assert_eq!((syn(&mut rig), syn_ack(&mut rig)), (Verdict::Accept, Verdict::Accept));
    wait(&mut rig, limits().handshake_seconds + 1);
    assert_eq!(third(&mut rig), Verdict::Drop(Reason::UnknownFlow));
}

#[test]
fn a_syn_come_again_takes_nothing_back_and_another_is_another() {
    let mut rig = unopened();
    for step in [syn, syn_ack, syn, third] {
        assert_eq!(step(&mut rig), Verdict::Accept);
    }
    assert_eq!(rig.engine.stats().flows, 1);
    let mut rig = unopened();
    assert_eq!(syn(&mut rig), Verdict::Accept);
    assert_eq!(rig.packet(C, 500, 0, SYN, &mss(1_460), b""), Verdict::Accept);
    assert_eq!(rig.packet(S, 9, 501, SYN | ACK, &mss(1_460), b""), Verdict::Accept);
    assert_eq!(rig.packet(C, 501, 10, ACK, &[], b""), Verdict::Accept);
}

#[test]
fn only_the_servers_answer_to_the_syn_is_one() {
    let mut rig = unopened();
    assert_eq!(syn(&mut rig), Verdict::Accept);
    for ack in [1_000, 1_002] {
        assert_eq!(rig.packet(S, ISN[1], ack, SYN | ACK, &[], b""), HANDSHAKE, "{ack}");
    }
    assert_eq!(rig.packet(C, ISN[1], 1_001, SYN | ACK, &[], b""), HANDSHAKE);
    assert_eq!((syn_ack(&mut rig), third(&mut rig)), (Verdict::Accept, Verdict::Accept));
    // Behind the third packet the server may say it again, since that may be lost.
    assert_eq!(syn_ack(&mut rig), Verdict::Accept);
    assert_eq!(rig.packet(S, ISN[1] + 1, 1_001, SYN | ACK, &[], b""), HANDSHAKE);
    assert_eq!(rig.packet(S, ISN[1], 1_002, SYN | ACK, &[], b""), HANDSHAKE);
    assert_eq!(rig.packet(C, ISN[1], 1_001, SYN | ACK, &[], b""), HANDSHAKE);
    let answer = rig.build(S, ISN[1], 1_001, SYN | ACK, &[], b"");
    assert_eq!(rig.raw_from(C, S, &answer), HANDSHAKE);
    assert_eq!(rig.engine.stats().flows, 1);
}

#[test]
fn a_server_may_ask_back_and_opens_nothing_by_it() {
    for is_answered in [false, true] {
        let mut rig = unopened();
        assert_eq!(syn(&mut rig), Verdict::Accept);
        if is_answered {
            assert_eq!(syn_ack(&mut rig), Verdict::Accept);
        }
        for ack in [77, ISN[1] + 1] {
            assert_eq!(rig.packet(S, 99, ack, ACK, &[], b""), Verdict::Accept, "{ack}");
        }
        assert_eq!(rig.packet(S, 99, 77, ACK, &[], b"x"), HANDSHAKE);
        assert_eq!(rig.packet(S, 99, 77, ACK | FIN, &[], b""), HANDSHAKE);
        assert_eq!(rig.packet(C, 99, 77, ACK, &[], b""), HANDSHAKE);
        let elsewhere = rig.build(S, 99, 77, ACK, &[], b"");
        assert_eq!(rig.raw_from(C, S, &elsewhere), HANDSHAKE);
        // What nobody has answered has no third packet.
        let ack = if is_answered { ISN[1] + 2 } else { ISN[0] + 1 };
        assert_eq!(rig.packet(C, ISN[0] + 1, ack, ACK, &[], b""), HANDSHAKE);
        assert_eq!(rig.engine.stats().flows, 0);
    }
}

#[test]
fn a_reset_ends_a_handshake_by_its_number() {
    for (from, seq, ack, flags, verdict, is_ended) in [
        (S, 0, ISN[0] + 1, RST | ACK, Verdict::Accept, true),
        (S, 0, ISN[0] + 2, RST | ACK, STRAY, false),
        (S, ISN[0] + 1, 0, RST, STRAY, false),
        (C, ISN[0] + 1, 0, RST, Verdict::Accept, true),
        (C, ISN[0] + 500, 0, RST, Verdict::Accept, false),
        (C, 7, ISN[0] + 1, RST | ACK, Verdict::Accept, false),
    ] {
        let mut rig = unopened();
        assert_eq!(syn(&mut rig), Verdict::Accept);
        assert_eq!(rig.packet(from, seq, ack, flags, &[], b""), verdict, "{from:?} {seq} {ack}");
        let expected = if is_ended { HANDSHAKE } else { Verdict::Accept };
        assert_eq!(syn_ack(&mut rig), expected, "{from:?} {seq} {ack}");
        // From another side it is nobody's.
        let mut rig = unopened();
        let _ = syn(&mut rig);
        let forged = rig.build(from, seq, ack, flags, &[], b"");
        let wrong = Verdict::Drop(Reason::WrongInterface);
        assert_eq!(rig.raw_from(from.other(), from, &forged), wrong, "{from:?} {seq} {ack}");
        assert_eq!(syn_ack(&mut rig), Verdict::Accept, "{from:?} {seq} {ack}");
    }
}

#[test]
fn handshakes_that_made_room_are_counted() {
    let mut crowd = Crowd::new(limited(|limits| limits.handshakes_max = 64));
    for port in 1..=500 {
        assert!(crowd.shake(&Line::new("203.0.113.7", port), 0));
    }
    let bytes = crowd.engine.image(Instant::from_micros(crowd.micros), 0);
    let image = mailguard::engine::Image::open(&bytes).unwrap();
    let settings = limited(|limits| limits.handshakes_max = 10_000);
    let now = Instant::from_micros(crowd.micros);
    let (_, restored) =
        mailguard::engine::Engine::restored(settings, &image, now, &mut Effects::default());
    assert!(restored.handshakes >= 64 / 2, "{restored:?}");
    assert_eq!(crowd.engine.stats().handshakes_evicted, 500 - restored.handshakes);
}

/// The kernel loses a super-packet that was cut to one segment or less.
#[test]
fn a_super_packet_that_was_cut_passes_where_more_than_a_segment_is_left() {
    let lines = b"RCPT TO:<somebody.of.that.name@example.org>\r\n".repeat(20);
    let said = [&lines[..], b"DATA\r\n"].concat();
    let passed = u16::try_from(said.len()).unwrap();
    for (offered, answered, is_lost) in [
        (Some(1_460), Some(536), false),
        (Some(536), Some(1_460), false),
        (Some(1_460), Some(1_460), true),
        (Some(1_460), Some(passed), true),
        (Some(1_460), Some(passed - 1), false),
        (None, Some(536), true),
        (Some(536), None, true),
    ] {
        let mut rig = unopened();
        let option = |size: Option<u16>| size.map(mss).into_iter().flatten().collect::<Vec<u8>>();
        let _ = rig.packet(C, ISN[0], 0, SYN, &option(offered), b"");
        let _ = rig.packet(S, ISN[1], ISN[0] + 1, SYN | ACK, &option(answered), b"");
        assert_eq!(third(&mut rig), Verdict::Accept);
        let _ = rig.send(S, 0, b"220 mx\r\n");
        rig.is_super_packet = true;
        let verdict = rig.send(C, 0, &[&said[..], b"waits"].concat());
        if is_lost {
            assert_eq!(verdict, Verdict::Drop(Reason::AwaitingReply), "{offered:?} {answered:?}");
        } else {
            assert_eq!(verdict, Verdict::Rewrite, "{offered:?} {answered:?}");
            assert_eq!(rig.effects.withheld.map(|held| held.passed), Some(said.len()));
        }
    }
}

/// The server's scale is that of the window into which its client sends.
#[test]
fn the_windows_of_both_ends_have_their_scales() {
    let mut crowd = Crowd::new(limited(|_| ()));
    let mut line = crowd.open("192.0.2.1", 1_000);
    assert!(crowd.begin_data(&mut line));
    for _ in 0..3 {
        let at = line.received[0];
        assert_eq!(crowd.send(&mut line, C, at, &[b'a'; 60_000]), Some(60_000));
    }
}

/// Ends behind one interface are told apart by their link addresses.
#[test]
fn nobody_speaks_for_the_other_end_of_one_interface() {
    let mut crowd = Crowd::new(limited(|_| ()));
    let (client, server) = ("192.0.2.1:1000".parse().unwrap(), "198.51.100.2:25".parse().unwrap());
    let mut arrive = |link, is_client, [seq, ack]: [u32; 2], flags, data: &[u8]| {
        let (source, destination) = if is_client { (client, server) } else { (server, client) };
        let bytes = tcp_packet(source, destination, seq, ack, flags, &[], data);
        crowd.arrive(Path { ingress: 3, egress: 3, link }, &bytes)
    };
    for (link, is_client, numbers, flags) in [
        (11, true, [99, 0], SYN),
        (22, false, [999, 100], SYN | ACK),
        (11, true, [100, 1_000], ACK),
    ] {
        assert_eq!(arrive(link, is_client, numbers, flags, b""), Verdict::Accept);
    }
    let wrong = Verdict::Drop(Reason::WrongInterface);
    assert_eq!(arrive(22, true, [100, 1_000], ACK, b"NOOP\r\n"), wrong);
    assert_eq!(arrive(11, false, [1_000, 100], ACK, b"250 ok\r\n"), wrong);
    assert_eq!(arrive(11, true, [100, 1_000], ACK | PSH, b"NOOP\r\n"), Verdict::Accept);
}

#[test]
fn a_new_connection_that_the_server_accepts_ends_the_old_one() {
    let mut rig = Rig::established(settings("mailguard"), ISN);
    assert_eq!(rig.packet(C, 90_000, 0, SYN, &[], b""), Verdict::Accept);
    assert_eq!(seen(&rig).len(), 1, "it has not, yet");
    rig.records.clear();
    assert_eq!(rig.packet(S, 80_000, 90_001, SYN | ACK, &[], b""), Verdict::Accept);
    assert_eq!((rig.effects.handling, rig.effects.ended.len()), (Handling::TakenBack, 1));
    let told: Vec<_> = rig.records.iter().map(|record| (record.flow, &record.what)).collect();
    assert_eq!(told, [(1, &What::Closed)]);
    assert_eq!(seen(&rig).len(), 0);
    rig.renew([90_000, 80_000]);
    assert_eq!(rig.packet(C, 90_001, 80_001, ACK, &[], b""), Verdict::Accept);
    assert_eq!(seen(&rig)[0].id, 2);
}

/// Where the port is no longer mail's, a flow that was begun is read to its end all the same.
#[test]
fn a_port_that_was_mails_has_its_flows_until_a_server_accepts_new_ones() {
    let mut rig = Rig::established(settings("mailguard"), ISN);
    rig.engine.reload(&Settings { ports: vec![26], ..settings("mailguard") });
    let _ = rig.packet(C, 90_000, 0, SYN, &[], b"");
    assert_eq!(seen(&rig).len(), 1);
    // Nobody else says that: neither the client nor a third party.
    let _ = rig.packet(C, 90_000, 80_001, SYN | ACK, &[], b"");
    let answer = rig.build(S, 80_000, 90_001, SYN | ACK, &[], b"");
    let _ = rig.raw_from(C, S, &answer);
    let of_client = rig.build(C, 90_000, 80_001, SYN | ACK, &[], b"");
    let _ = rig.raw_from(S, C, &of_client);
    // Who asks has accepted nothing.
    let _ = rig.packet(S, 80_000, 0, SYN, &[], b"");
    assert_eq!(seen(&rig).len(), 1);
    // What the server says again, or never was asked, ends nothing.
    assert_eq!(syn_ack(&mut rig), Verdict::Accept);
    assert_eq!(rig.packet(S, 1 << 30, 1 << 31, SYN | ACK, &[], b""), HANDSHAKE);
    assert_eq!(seen(&rig).len(), 1);
    assert_eq!(rig.raw(S, &answer), Verdict::Accept);
    assert_eq!(seen(&rig).len(), 0);
    // The new connection is none of ours.
    assert_eq!(rig.packet(C, 90_001, 80_001, ACK, &[], b""), Verdict::Accept);
    assert_eq!(rig.engine.stats().flows, 1);
}

/// An answer to a SYN that is known no more ends the flow where its text could follow it, and a
/// refusal is heard by it.
#[test]
fn a_port_that_was_mails_has_its_flows_guarded_as_before() {
    let begin = || {
        let rig = in_a_message(100);
        rig.engine.reload(&Settings { ports: vec![26], ..settings("mailguard") });
        rig
    };
    let mut rig = begin();
    let [(_, ack), (seq, _)] = [rig.numbers(C, 100), rig.numbers(C, 200)];
    assert_eq!(rig.packet(S, ack, seq, SYN | ACK, &[], b""), HANDSHAKE);
    assert_eq!(seen(&rig).len(), 0);
    let mut rig = begin();
    let seq = rig.numbers(C, 100).0;
    assert_eq!(rig.packet(C, seq - 1, 0, SYN, &[], b""), Verdict::Accept);
    assert_eq!(rig.packet(S, ack, seq, RST | ACK, &[], b""), Verdict::Accept);
    assert_eq!(rig.send(C, 100, b"more\r\n"), Verdict::Drop(Reason::FlowReset));
}

/// A server that keeps no state may take another first number from it (SYN cookies).
#[test]
fn a_third_packet_has_the_number_behind_the_syns() {
    for beside in [1, 3, 1 << 30, 0_u32.wrapping_sub(1)] {
        let mut rig = unopened();
        let _ = (syn(&mut rig), syn_ack(&mut rig));
        let seq = (ISN[0] + 1).wrapping_add(beside);
        assert_eq!(rig.packet(C, seq, ISN[1] + 1, ACK, &[], b""), HANDSHAKE, "{beside}");
        assert_eq!(seen(&rig).len(), 0, "{beside}");
        assert_eq!(third(&mut rig), Verdict::Accept);
        assert_eq!(seen(&rig).len(), 1, "{beside}");
    }
}

/// Two forged SYNs take the place of a real one: its server's answer brings it back.
#[test]
fn a_syn_that_two_rivals_put_out_is_recalled_by_its_answer() {
    let mut rig = unopened();
    let _ = syn(&mut rig);
    for isn in [77, 78] {
        assert_eq!(rig.packet(C, isn, 0, SYN, &mss(1_460), b""), Verdict::Accept);
    }
    assert_eq!(syn_ack(&mut rig), Verdict::Accept);
    assert_eq!(third(&mut rig), Verdict::Accept);
    assert_eq!(rig.send(S, 0, b"220 a\r\n"), Verdict::Rewrite);
    assert_eq!(rig.send(C, 0, b"NOOP\r\n"), Verdict::Accept);
}

/// Whose SYN it is, nobody has to guess: it is under the policy of its sender as the client.
#[test]
fn a_syn_from_a_mail_port_is_its_clients() {
    let client = Some("192.0.2.0/24".parse().unwrap());
    let treatment = Treatment::HandsOff;
    let exceptions = vec![Exception { client, server: None, treatment }];
    let mut rig =
        Rig::new(Settings { ports: vec![25, 587], exceptions, ..settings("mailguard") }, ISN);
    rig.client.set_port(587);
    assert_eq!(syn(&mut rig), Verdict::Accept);
    assert_eq!(syn_ack(&mut rig), Verdict::Accept, "its server may answer");
    assert_eq!(third(&mut rig), Verdict::Accept);
    assert_eq!(rig.effects.handling, Handling::HandedOver);
    std::mem::swap(&mut rig.client, &mut rig.server);
    assert_eq!(syn(&mut rig), Verdict::Accept);
    assert_eq!(rig.effects.handling, Handling::Unchanged);
    // What is said of a server is said of it as the one who is asked.
    let server = Some("198.51.100.0/24".parse().unwrap());
    let exceptions = vec![Exception { client: None, server, treatment: Treatment::HandsOff }];
    let mut rig = Rig::new(Settings { exceptions, ..settings("mailguard") }, ISN);
    std::mem::swap(&mut rig.client, &mut rig.server);
    assert_eq!(syn(&mut rig), Verdict::Drop(Violation::ServerSyn.into()));
}

/// A server that keeps no state answers each SYN (SYN cookies), and knows the first answer no more
/// than we do: its client is told, and does not wait for a greeting.
#[test]
fn a_third_packet_whose_answer_is_void_is_reset() {
    let play = |unknown_flow| {
        let mut rig = Rig::new(Settings { unknown_flow, ..settings("mailguard") }, ISN);
        let _ = (syn(&mut rig), syn_ack(&mut rig));
        assert_eq!(rig.packet(C, 77, 0, SYN, &mss(1_460), b""), Verdict::Accept);
        assert_eq!(rig.packet(S, 9_000, 78, SYN | ACK, &mss(1_460), b""), Verdict::Accept);
        assert_eq!(third(&mut rig), HANDSHAKE);
        // Nobody else's packet draws one.
        assert_eq!(rig.packet(S, 1, 2, ACK | PSH, &[], b"x"), HANDSHAKE);
        let forged = rig.build(S, 1, 2, ACK | PSH, &[], b"x");
        assert_eq!(rig.raw_from(C, S, &forged), HANDSHAKE);
        rig.reset_packets
    };
    let resets = play(UnknownFlow::Reset);
    let [reset] = &resets[..] else { panic!("{}", resets.len()) };
    let Ok(Parsed::Tcp(packet)) = Packet::parse(reset) else { panic!("{reset:x?}") };
    assert!(packet.flags.rst && packet.source_port == 25);
    assert_eq!(packet.seq, Seq(ISN[1] + 1), "what its client awaits");
    assert!(play(UnknownFlow::Drop).is_empty());
}

/// The same ports again, and nobody listens any more: the client is told so at once.
#[test]
fn a_refusal_is_the_new_connections_while_the_old_one_is_remembered() {
    let mut rig = Rig::established(settings("mailguard"), ISN);
    assert_eq!(rig.packet(C, 90_000, 0, SYN, &[], b""), Verdict::Accept);
    assert_eq!(rig.packet(S, 0, 90_000, RST | ACK, &[], b""), STRAY);
    assert_eq!(rig.packet(C, 90_001, 0, RST, &[], b""), STRAY, "what its client says is the old's");
    let refusal = rig.build(S, 0, 90_001, RST | ACK, &[], b"");
    assert!(matches!(rig.raw_from(C, S, &refusal), Verdict::Drop(_)), "by a third party");
    assert_eq!(rig.raw(S, &refusal), Verdict::Accept);
    assert_eq!(rig.raw(S, &refusal), STRAY, "it was one");
    assert_eq!(seen(&rig).len(), 1);
}

/// A SYN that anybody may have sent takes nothing from a flow whose beginning was not seen.
#[test]
fn a_flow_that_was_not_seen_to_begin_goes_on_behind_a_syn() {
    let unknown_flow = UnknownFlow::Pass;
    let mut crowd = Crowd::new(Settings { unknown_flow, ..settings("mailguard") });
    let line = Line::new(ATTACKER, 1);
    assert!(crowd.shake(&line, 0));
    for from in [C, S] {
        let verdict = crowd.packet(&line, from, [7, 9], ACK | PSH, &[], b"text\r\n");
        assert_eq!(verdict, Verdict::Accept);
    }
}

/// What is refused, a forgery perhaps, keeps no flow alive.
#[test]
fn only_what_passes_keeps_a_flow() {
    let mut rig = Rig::established(settings("mailguard"), ISN);
    rig.micros += 50 * SECOND;
    let unsent = Verdict::Drop(Violation::AckOfUnsent.into());
    assert_eq!(rig.packet(C, ISN[0] + 1, ISN[1] + 2, ACK, &[], b""), unsent);
    assert_eq!(seen(&rig)[0].idle_seconds, 50);
    assert_eq!(rig.send(C, 0, b"NOOP\r\n"), Verdict::Accept);
    assert_eq!(seen(&rig)[0].idle_seconds, 0);
}

#[test]
fn behind_a_reset_that_ends_the_flow_nothing_passes_and_nothing_is_told() {
    let mut rig = Rig::established(settings("mailguard"), ISN);
    let exact = rig.packet(C, ISN[0] + 1, 0, RST, &[], b"");
    assert_eq!((exact, seen(&rig)[0].stage), (Verdict::Accept, Stage::Closing));
    let told = rig.records.len();
    let dead = Verdict::Drop(Reason::FlowReset);
    assert_eq!((rig.send(S, 0, b"220 mx\r\n"), rig.resets), (dead, 1));
    assert_eq!((rig.send(C, 0, b"NOOP\r\n"), rig.resets), (dead, 2));
    assert_eq!(rig.packet(C, ISN[0] + 1, 0, RST, &[], b""), Verdict::Accept, "said again");
    assert_eq!((rig.resets, rig.records.len()), (2, told));
}

#[test]
fn where_monitoring_what_follows_a_reset_opens_the_flow_again() {
    let monitoring = Settings { monitor: true, ..settings("mailguard") };
    let mut rig = Rig::established(monitoring, ISN);
    let exact = rig.packet(C, ISN[0] + 1, 0, RST, &[], b"");
    assert_eq!((exact, seen(&rig)[0].stage), (Verdict::Accept, Stage::Closing));
    assert_eq!(rig.send(S, 0, b"220 mx\r\n"), Verdict::Accept);
    assert_eq!(seen(&rig)[0].stage, Stage::Commands);
}

#[test]
fn a_dead_flow_answers_everything_but_a_reset() {
    let mut rig = Rig::established(settings("mailguard"), ISN);
    let mut effects = Effects::default();
    let _ = rig.engine.kill(1, Instant::from_micros(rig.micros), &mut effects);
    rig.resets = 0;
    let before = rig.engine.stats().resets;
    let dead = Verdict::Drop(Reason::FlowReset);
    assert_eq!((rig.send(C, 0, b"NOOP\r\n"), rig.resets), (dead, 1));
    assert_eq!(rig.packet(C, ISN[0] + 1, 0, RST, &[], b""), dead);
    assert_eq!(rig.resets, 1);
    assert_eq!((rig.ack(S, 0), rig.resets), (dead, 2));
    assert_eq!(rig.engine.stats().resets, before + 2);
}

#[test]
fn what_a_capture_lacks_is_counted() {
    let mut rig = Rig::established(Settings { gaps: Gaps::Skip, ..settings("mailguard") }, ISN);
    assert_eq!(rig.packet(S, ISN[1] + 1, ISN[0] + 21, ACK, &[], b""), Verdict::Accept);
    assert_eq!((rig.effects.missed, rig.engine.stats().bytes_missed), (20, 20));
}

/// What was said before a gap is no part of the line behind it, nor is that judged by it.
#[test]
fn behind_what_a_capture_lacks_a_line_begins() {
    let mut rig = Rig::established(Settings { gaps: Gaps::Skip, ..settings("mailguard") }, ISN);
    let (client, server) = (ISN[0] + 1, ISN[1] + 1);
    let _ = (rig.send(S, 0, b"220 mx\r\n"), rig.send(C, 0, b"VRFY ro"));
    assert_eq!(rig.packet(S, server + 8, client + 17, ACK, &[], b""), Verdict::Accept);
    assert_eq!(rig.send(C, 17, b"NOOP\r\n"), Verdict::Accept);
    let _ = rig.packet(S, server + 8, client + 23, ACK, &[], b"250 o");
    assert_eq!(rig.packet(C, client + 23, server + 23, ACK, &[], b""), Verdict::Accept);
    let _ = rig.packet(S, server + 23, client + 23, ACK, &[], b"250 ok\r\n");
    let said = |what: &What| {
        let (What::Command { line, .. } | What::Reply { line, .. }) = what else { return None };
        Some(String::from_utf8_lossy(line).into_owned())
    };
    let lines: Vec<_> = rig.records.iter().filter_map(|record| said(&record.what)).collect();
    assert_eq!(lines, ["VRFY ro", "NOOP", "250 o", "250 ok"]);
    let stats = rig.engine.stats();
    assert_eq!((stats.commands_passed, stats.commands_refused), (1, 0));
}

/// Some servers run what they have when their client goes.
#[test]
fn a_line_that_is_cut_off_is_told_by_its_end_but_not_by_a_reset() {
    let is_line = |what: &What| matches!(what, What::Command { line, .. } if line == b"RSE");
    let mut rig = Rig::established(settings("mailguard"), ISN);
    let _ = rig.send_fin(C, 0, b"RSE");
    assert!(rig.has_told(is_line));
    let mut rig = Rig::established(settings("mailguard"), ISN);
    let _ = rig.send(C, 0, b"RSE");
    let (seq, _) = rig.numbers(C, 3);
    let _ = rig.packet(C, seq, 0, RST, &[], b"");
    assert!(rig.has_told(is_line), "its client has reset it");
    let mut rig = Rig::established(settings("mailguard"), ISN);
    let _ = rig.send(C, 0, b"RSE");
    let mut effects = Effects::default();
    let _ = rig.engine.kill(1, Instant::from_micros(rig.micros), &mut effects);
    assert!(!effects.records.iter().any(|record| is_line(&record.what)), "we have");
    // A reply as well.
    let mut rig = Rig::established(settings("mailguard"), ISN);
    let _ = (rig.send(S, 0, b"220 mx\r\n"), rig.send_fin(S, 8, b"421 b"));
    let is_reply = |what: &What| matches!(what, What::Reply { line, .. } if line == b"421 b");
    assert!(rig.has_told(is_reply));
}

/// Packets of no flow: (sequence number, length and FIN) of what is answered.
#[test]
fn what_belongs_to_no_flow_is_answered_with_its_own_numbers() {
    let numbers = |rig: &mut Rig| {
        let packets = std::mem::take(&mut rig.reset_packets);
        let numbers = |bytes: &Vec<u8>| {
            let Ok(Parsed::Tcp(packet)) = Packet::parse(bytes) else { panic!("a RST") };
            (packet.destination_port, packet.seq.0)
        };
        packets.iter().map(numbers).collect::<Vec<_>>()
    };
    let mut rig = unopened();
    for (flags, payload, end) in [
        (ACK, &b"NOOP\r\n"[..], 1_007),
        (ACK | FIN, b"NOOP\r\n", 1_008),
        (ACK | FIN, b"", 1_002),
        (ACK, b"", 1_001),
    ] {
        let unknown = Verdict::Drop(Reason::UnknownFlow);
        assert_eq!(rig.packet(C, 1_001, 5_000, flags, &[], payload), unknown);
        let mut expected = vec![(40_000, 5_000), (25, 1_001), (25, end)];
        expected.dedup();
        assert_eq!(numbers(&mut rig), expected, "each as its sender and its receiver expect it");
    }
    // A RST is never answered, nor anything where nothing is to be.
    assert_eq!(rig.packet(C, 1_001, 5_000, RST, &[], b""), Verdict::Drop(Reason::UnknownFlow));
    assert_eq!(numbers(&mut rig), []);
    for (unknown_flow, verdict) in [
        (UnknownFlow::Drop, Verdict::Drop(Reason::UnknownFlow)),
        (UnknownFlow::Pass, Verdict::Accept),
    ] {
        let mut rig = Rig::new(Settings { unknown_flow, ..settings("mailguard") }, ISN);
        assert_eq!(rig.packet(C, 1_001, 5_000, ACK, &[], b"NOOP\r\n"), verdict);
        assert_eq!(numbers(&mut rig), []);
    }
}

/// Both ends of what had to make room are told, also where a monitored packet made that so.
#[test]
fn what_makes_room_for_monitored_flows_is_reset_all_the_same() {
    let exception = Exception {
        client: Some("203.0.113.0/24".parse().unwrap()),
        server: None,
        treatment: Treatment::Monitor(settings("mailguard").guard),
    };
    let few = limited(|limits| limits.flows_max = 3);
    let mut crowd = Crowd::new(Settings { exceptions: vec![exception], ..few });
    for port in 1..=3 {
        let mut line = crowd.open("192.0.2.1", port);
        assert!(crowd.say(&mut line, S, b"220 a\r\n"));
    }
    assert_eq!(crowd.resets_max, 0);
    let _ = crowd.open("203.0.113.7", 1);
    assert!(crowd.resets_max >= 2, "each end has its RST");
    assert_eq!(crowd.engine.stats().resets, crowd.resets_max as u64);
}

/// A flow that was reset to make room is forgotten as soon as any other that was reset.
#[test]
fn what_was_reset_for_want_of_memory_is_soon_forgotten() {
    let mut crowd = Crowd::new(limited(|limits| limits.store_bytes_max = 1 << 20));
    let mut port = 0;
    while crowd.engine.stats().resets == 0 {
        port += 1;
        let mut line = crowd.open(ATTACKER, port);
        let at = if crowd.begin_data(&mut line) { line.received[0] } else { 0 };
        crowd.send(&mut line, C, at, &text(60_000));
        assert!(port < 200);
    }
    let before = crowd.engine.stats().flows_now;
    crowd.micros += 60 * SECOND;
    let now = Instant::from_micros(crowd.micros);
    (0..10).for_each(|_| crowd.engine.expire(now, &mut Effects::default()));
    assert!(crowd.engine.stats().flows_now < before, "{before} all the same");
}

/// Whoever finds no room has an eighth of it made free, and no more; until then nobody loses any.
#[test]
fn an_eighth_of_the_memory_is_made_free_at_once() {
    const STORE: u64 = 4 << 20;
    let mut crowd = Crowd::new(limited(|limits| limits.store_bytes_max = STORE as usize));
    let mut port = 0;
    let mut held = 0;
    let mut relieved = 0;
    let is_reset = |crowd: &Crowd| {
        let reason = Reason::StorePressure;
        crowd.records.iter().any(|record| record.what == What::Reset { reason })
    };
    while relieved < 3 {
        port += 1;
        let mut line = crowd.open(ATTACKER, port);
        let is_begun = crowd.begin_data(&mut line);
        let at = line.received[0];
        if is_begun {
            crowd.send(&mut line, C, at, &text(60_000));
        }
        if is_reset(&crowd) {
            assert!(held > STORE - 2 * 70_000, "{held}: it was full");
            let left = crowd.held();
            assert!((STORE / 8 * 6..=STORE / 8 * 7 + 70_000).contains(&left), "{left}");
            relieved += 1;
            crowd.records.clear();
        }
        held = crowd.held();
        assert!(port < 2_000, "{relieved}");
    }
}

/// The rest of a credential of which the beginning is missing looks like any word.
#[test]
fn behind_what_a_capture_lacks_a_credential_stays_hidden() {
    for asked in ["AUTH PLAIN AGFs", ""] {
        let mut rig = Rig::established(Settings { gaps: Gaps::Skip, ..settings("esmtp") }, ISN);
        let (client, server) = (ISN[0] + 1, ISN[1] + 1);
        let _ = (rig.send(S, 0, b"220 mx\r\n"), rig.send(C, 0, asked.as_bytes()));
        let missing = u32::try_from(asked.len()).unwrap() + 8;
        assert_eq!(rig.packet(S, server + 8, client + missing, ACK, &[], b""), Verdict::Accept);
        let _ = rig.send(C, missing.into(), b"Y3JldHBhc3N3b3Jk\r\nNOOP\r\n");
        let line = |record: &Record| {
            let What::Command { line, .. } = &record.what else { return None };
            Some(String::from_utf8_lossy(line).into_owned())
        };
        let lines: Vec<_> = rig.records.iter().filter_map(line).collect();
        assert_eq!(lines.last().map(String::as_str), Some("NOOP"), "{lines:?}");
        assert!(!lines.iter().any(|line| line.contains("Y3Jl")), "{lines:?}");
    }
}

/// What TCP says again by itself is told once, and no entry is left out with it.
#[test]
fn what_waits_and_comes_again_is_no_entry_left_out() {
    let mut rig = Rig::established(settings("mailguard"), ISN);
    let _ = rig.send(S, 0, b"220 mx\r\n");
    let _ = rig.send(C, 0, b"DATA\r\nab");
    for _ in 0..5 {
        let _ = rig.send(C, 6, b"ab");
    }
    let _ = rig.send(S, 8, b"503 no\r\n");
    let is_cut = |record: &&Record| matches!(record.what, What::Cut { .. });
    assert_eq!(rig.records.iter().filter(is_cut).count(), 1);
    assert!(!rig.has_told(|what| matches!(what, What::LeftOut { .. })));
    assert_eq!(rig.engine.stats().entries_left_out, 0);
}

/// A flow whose client has sent so many bytes, and received and acknowledged 43.
fn in_a_message(sent: u64) -> Rig {
    let mut rig = Rig::established(settings_with("mailguard", &[("order", "off")]), ISN);
    let _ = rig.send(S, 0, b"220 mx.example.com ESMTP ready\r\n");
    assert_eq!(rig.send(C, 0, b"DATA\r\n"), Verdict::Accept);
    assert_eq!(rig.send(S, 32, b"354 go on\r\n"), Verdict::Accept);
    assert_eq!(rig.send(C, 6, &vec![b'x'; sent as usize - 6]), Verdict::Accept);
    assert_eq!(rig.ack(S, 43), Verdict::Accept);
    rig
}

/// A segment of a message with this many bytes; by how much more its client acknowledges than it
/// had sent, as it comes and as it leaves.
fn ahead(rig: &mut Rig, sent: u64, length: usize) -> (i32, i32) {
    let (seq, ack) = rig.numbers(C, sent);
    let text = b"VRFY r\r\n".repeat(length.div_ceil(8));
    let left = match rig.packet(C, seq, ack, ACK | PSH, &[], &text[..length]) {
        Verdict::Rewrite => u32::from_be_bytes(rig.last_left[28..32].try_into().unwrap()),
        Verdict::Accept => ack,
        Verdict::Drop(reason) => panic!("{reason:?}"),
    };
    let beside = |ack: u32| (ack - ISN[1] - 1).cast_signed() - i32::try_from(sent).unwrap();
    (beside(ack), beside(left))
}

/// The client offers to take no more than this.
fn offer(rig: &mut Rig, sent: u64, window: u16) {
    let (seq, ack) = rig.numbers(C, sent);
    let mut bytes = rig.build(C, seq, ack, ACK, &[], b"");
    bytes[34..36].copy_from_slice(&window.to_be_bytes());
    fill_checksums(&mut bytes, 20);
    // It may say so in numbers that fit.
    assert!(!matches!(rig.raw(C, &bytes), Verdict::Drop(_)));
}

/// A server that keeps no state takes a segment whose numbers have the right difference for the
/// third packet, wherever it stands.
#[test]
fn once_a_server_may_be_gone_no_segment_fits_a_cookie() {
    type Ending = fn(&mut Rig, u64);
    // Behind it only what says nothing comes through.
    let fin: Ending = |rig, _| assert_eq!(rig.send_fin(S, 43, b""), Verdict::Accept);
    // A server that waits for a window goes without a word in the end.
    let shut: Ending = |rig, sent| offer(rig, sent, 0);
    let filled: Ending = |rig, sent| {
        offer(rig, sent, 10);
        assert_eq!(rig.send(S, 43, b"421 bye.\r\n"), Verdict::Accept);
        // The client has not got it, or says so.
        rig.reply.received = 43;
    };
    // One that is never acknowledged goes so, too.
    let unheard: Ending = |rig, _| {
        rig.is_lost_behind = true;
        assert_eq!(rig.send(S, 43, b"451 sorry\r\n"), Verdict::Accept);
    };
    // What each is behind, and what the server says next.
    let endings: [(Ending, u64, &[usize]); 4] =
        [(fin, 44, &[0]), (shut, 43, &[0, 8]), (filled, 53, &[0, 8]), (unheard, 53, &[0, 8])];
    for (ending, next, lengths) in endings {
        let each = (-5_i32..=5).flat_map(|beside| lengths.iter().map(move |one| (beside, *one)));
        for (beside, length) in each {
            let sent = u64::from((43 - beside).unsigned_abs());
            for seconds in [0, 2] {
                let mut rig = in_a_message(sent);
                rig.micros += 2 * SECOND;
                ending(&mut rig, sent);
                if seconds == 0 {
                    // It says something again, and is there.
                    assert!(!matches!(rig.ack(S, next), Verdict::Drop(_)));
                }
                rig.micros += seconds * SECOND;
                if seconds > 0 && next == 53 {
                    // What looks like an old ACK may be a server's that asks back.
                    assert!(!matches!(rig.ack(S, 43), Verdict::Drop(_)));
                }
                let (came, left) = ahead(&mut rig, sent, length);
                let fits = came.abs() <= 3 && seconds > 0;
                assert_eq!(left, if fits { -4 } else { came }, "{beside} {length}");
            }
        }
    }
    // The kernel cuts a super-packet wherever its sender has.
    let mut rig = in_a_message(14);
    shut(&mut rig, 14);
    rig.micros += 2 * SECOND;
    rig.is_super_packet = true;
    assert_eq!(ahead(&mut rig, 14, 3_000), (29, -4));
    for beside in -5_i32..=5 {
        let sent = u64::from((43 - beside).unsigned_abs());
        let mut rig = in_a_message(sent);
        rig.micros += 2 * SECOND;
        assert_eq!(ahead(&mut rig, sent, 8), (beside, beside), "nothing waits for its ACK");
    }
}

/// Some servers take a RST that is in their window and not exact. One that does not is heard again,
/// and not only by what it had said before.
#[test]
fn behind_a_reset_that_may_be_taken_the_server_has_to_be_heard() {
    for (seconds, left) in [(None, -4), (Some(0), -4), (Some(2), 0)] {
        let mut rig = in_a_message(43);
        let (seq, _) = rig.numbers(C, 52);
        assert_eq!(rig.packet(C, seq, 0, RST, &[], b""), Verdict::Accept);
        if let Some(seconds) = seconds {
            rig.micros += seconds * SECOND;
            assert_eq!(rig.ack(S, 43), Verdict::Accept);
        }
        assert_eq!(ahead(&mut rig, 43, 8), (0, left));
        rig.micros += 10 * SECOND;
        assert_eq!(ahead(&mut rig, 43, 8), (0, left));
    }
}

/// Which ACK a server has heard it alone knows: one that says something again has heard none.
#[test]
fn what_is_said_again_was_not_acknowledged_whatever_has_left() {
    let mut rig = in_a_message(53);
    assert_eq!(rig.send(S, 43, b"451 sorry\r\n"), Verdict::Accept);
    assert_eq!(ahead(&mut rig, 53, 0), (1, 1));
    rig.micros += 2 * SECOND;
    assert_eq!(ahead(&mut rig, 53, 8), (1, 1), "it waits for nothing");
    assert_eq!(
        rig.send(S, 43, b"451 sorry\r\n"),
        Verdict::Rewrite,
        "all is known, it goes on bare"
    );
    assert_eq!(ahead(&mut rig, 53, 0), (1, 1), "it is there");
    rig.micros += 2 * SECOND;
    assert_eq!(ahead(&mut rig, 53, 8), (1, -4));
}

/// The ACK that would show that nothing waits any more is the very one that may begin a connection,
/// and as long as the server does not say that it has it, so are those behind it.
#[test]
fn an_ack_counts_once_the_server_is_there_to_hear_it() {
    let mut rig = in_a_message(53);
    rig.is_lost_behind = true;
    assert_eq!(rig.send(S, 43, b"451 sorry\r\n"), Verdict::Accept);
    rig.is_lost_behind = false;
    rig.reply.received = 54;
    rig.micros += 2 * SECOND;
    for length in [0, 0, 8] {
        assert_eq!(ahead(&mut rig, 53, length), (1, -4));
    }
    // A server without a socket refuses that, at a number that nobody else expects.
    let answered = rig.numbers(S, 49).0;
    let refused = rig.packet(S, answered, 0, RST, &[], b"");
    assert_eq!((refused, rig.resets), (Verdict::Drop(Violation::StrayReset.into()), 3));
    assert!(rig.has_told(|what| *what == What::Closed));
}

/// Where neither end has said anything a segment may be the third of a handshake.
#[test]
fn the_third_packet_says_what_it_said() {
    let mut rig = Rig::established(settings("mailguard"), ISN);
    offer(&mut rig, 0, 0);
    rig.micros += 2 * SECOND;
    let third = |rig: &mut Rig| rig.packet(C, ISN[0] + 1, ISN[1] + 1, ACK, &[], b"");
    assert_eq!(third(&mut rig), Verdict::Accept);
    let _ = rig.send(S, 0, b"220 mx\r\n");
    assert_eq!(third(&mut rig), Verdict::Accept);
    rig.micros += 2 * SECOND;
    assert_eq!(third(&mut rig), Verdict::Rewrite, "its reply shows that it was taken");
}

/// A third packet that never came leaves a server that keeps no state, and what comes then opens
/// the connection at another place of both streams, unless it is the very first.
#[test]
fn until_a_server_has_spoken_only_the_first_numbers_open_a_connection() {
    for (at, acknowledged, expected) in
        [(0, 0, 0), (1, 0, -3), (3, 0, -1), (4, 0, 0), (-1, -1, -5), (-3, -1, -7), (0, -2, -4)]
    {
        let mut rig = Rig::established(settings("mailguard"), ISN);
        let seq = ISN[0].wrapping_add(1).wrapping_add_signed(at);
        let ack = ISN[1].wrapping_add(1).wrapping_add_signed(acknowledged);
        let left = match rig.packet(C, seq, ack, ACK, &[], b"") {
            Verdict::Accept => ack,
            Verdict::Rewrite => u32::from_be_bytes(rig.last_left[28..32].try_into().unwrap()),
            Verdict::Drop(reason) => panic!("{reason:?}"),
        };
        assert_eq!(left.wrapping_sub(ISN[1] + 1).cast_signed(), expected, "{at} {acknowledged}");
        // It has taken the connection.
        assert_eq!(rig.ack(S, 0), Verdict::Accept);
        assert_eq!(rig.packet(C, seq, ack, ACK, &[], b""), Verdict::Accept);
    }
}

/// What a server said in vain, for want of memory here, it has not said.
#[test]
fn a_word_that_found_no_room_is_said_again() {
    let mut scarce = settings_with("mailguard", &[("order", "off")]);
    scarce.limits.store_bytes_max = 0;
    let mut rig = Rig::established(scarce, ISN);
    assert!(!matches!(rig.send(S, 0, b"220 mx.example.com ESMTP\r\n"), Verdict::Accept));
    assert_eq!(rig.reply.received, 0);
    rig.micros += 2 * SECOND;
    assert_eq!(rig.packet(C, ISN[0] + 2, ISN[1] + 1, ACK, &[], b""), Verdict::Rewrite);
}

/// A server that has said its FIN repeats it, and what it said before, until it is acknowledged.
#[test]
fn a_last_word_that_is_lost_comes_again() {
    for (is_acknowledged, seconds, is_known) in
        [(true, 25, true), (true, 40, false), (false, 125, true), (false, 140, false)]
    {
        let mut rig = in_a_message(43);
        rig.is_lost_behind = !is_acknowledged;
        assert_eq!(rig.send_fin(S, 43, b"421 bye\r\n"), Verdict::Accept);
        rig.is_lost_behind = false;
        if is_acknowledged {
            assert_eq!(rig.ack(C, 43), Verdict::Accept);
        }
        rig.micros += seconds * SECOND;
        rig.engine.expire(Instant::from_micros(rig.micros), &mut Effects::default());
        assert_eq!(rig.engine.stats().flows_now == 1, is_known, "{seconds}");
    }
}

/// What is refused for its numbers says nothing of the client's window.
#[test]
fn a_forged_window_changes_nothing() {
    let mut rig = in_a_message(43);
    let old = ISN[1].wrapping_sub(1 << 20);
    let mut forged = rig.build(C, 77, old, ACK, &[], b"");
    forged[34..36].fill(0);
    fill_checksums(&mut forged, 20);
    assert!(matches!(rig.raw(C, &forged), Verdict::Drop(_)));
    rig.micros += 2 * SECOND;
    assert_eq!(ahead(&mut rig, 43, 8), (0, 0));
}

/// A cookie of another minute has another difference, which an ACK from long ago may have.
#[test]
fn once_a_server_may_be_gone_an_old_ack_becomes_the_newest() {
    for (is_gone, ack) in [(false, 13), (true, 43)] {
        let mut rig = in_a_message(100);
        if is_gone {
            offer(&mut rig, 100, 0);
        }
        rig.micros += 2 * SECOND;
        rig.reply.received = 13;
        assert_eq!(ahead(&mut rig, 100, 8), (13 - 100, ack - 100));
    }
}

/// What a client says behind the server's FIN is answered as by a server that has closed, once the
/// client has got its last word; where monitoring it goes on.
#[test]
fn nothing_is_said_to_a_server_that_has_left() {
    let reason = Reason::ServerLeft;
    for is_monitored in [false, true] {
        let monitoring = Settings { monitor: is_monitored, ..settings("mailguard") };
        let mut rig = Rig::established(monitoring, ISN);
        rig.is_lost_behind = true;
        assert_eq!(rig.send_fin(S, 0, b"421 mx\r\n"), Verdict::Accept);
        rig.is_lost_behind = false;
        let early = if is_monitored { Verdict::Accept } else { Verdict::Rewrite };
        assert_eq!((rig.send(C, 0, b"QUIT\r\n"), rig.resets), (early, 0));
        assert!(is_monitored || rig.last_left.len() == 40, "bare");
        // One that cannot go on bare tells nobody anything, either.
        rig.is_super_packet = true;
        let _ = rig.send(C, 0, b"QUIT\r\n");
        assert_eq!((rig.resets, rig.has_told(|what| *what == What::Closed)), (0, false));
        rig.is_super_packet = false;
        assert_eq!(rig.send_fin(S, 0, b"421 mx\r\n"), Verdict::Accept, "it comes again");
        let expected = if is_monitored { Verdict::Accept } else { Verdict::Drop(reason) };
        let count = if is_monitored { 0 } else { 2 };
        rig.is_super_packet = true;
        assert_eq!((rig.send(C, 0, b"QUIT\r\n"), rig.resets), (expected, count));
        assert_eq!(rig.has_told(|what| *what == What::Closed), !is_monitored);
        assert!(!rig.has_told(|what| matches!(what, What::Reset { .. })));
    }
}

/// A server's RST may seem to refuse a SYN that its client has chosen for that.
#[test]
fn a_reset_that_refuses_a_syn_is_heard_by_the_flow_of_its_ends() {
    for (number, is_end) in [(43, true), (44, false)] {
        let mut rig = in_a_message(100);
        let (seq, ack) = (rig.numbers(C, 100).0, rig.numbers(S, 0).0 + number);
        assert_eq!(rig.packet(C, seq - 1, 0, SYN, &[], b""), Verdict::Accept);
        assert_eq!(rig.packet(S, ack, seq, RST | ACK, &[], b""), Verdict::Accept);
        assert_eq!(rig.has_told(|what| *what == What::Closed), is_end);
        let verdict = rig.send(C, 100, b"more\r\n");
        let expected = if is_end { Verdict::Drop(Reason::FlowReset) } else { Verdict::Accept };
        assert_eq!(verdict, expected);
    }
}
