//! L: floods, bounds and faults, as far as one process shows them.

use mailguard::engine::{Arrival, Effects, Engine, Path, Reason, Settings, Verdict, What};
use mailguard::flow::Direction::{Original as C, Reply as S};
use mailguard::tcp::Violation;
use mailguard::time::Instant;
use mailguard::wire::{Checksum, Malformed};

use super::{BANNER, Case, EVIL, STD, Suite, case, elsewhere, pieces};
use crate::support::mailserver::MailServer;
use crate::support::packet::{ACK, SYN, arrival, tcp_packet};
use crate::support::random::Random;
use crate::support::rig::Rig;
use crate::support::schedule::{self, Kind};
use crate::support::talk::{End, Talk};

pub const CASES: &[Case] = &[
    case("L01", "SYN flood of a million random sources", |suite| {
        let mut talk = suite.talk(EVIL);
        let mut random = Random::new(1);
        let mut effects = Effects::default();
        for count in 0..1_000_000 {
            let address = std::net::Ipv4Addr::from(random.below(1 << 31) as u32);
            let source = std::net::SocketAddr::from((address, random.below(65_536) as u16));
            // Building the packet costs more than judging it.
            let packet = tcp_packet(source, talk.rig.server, 1, 0, SYN, &[], &[]);
            let verdict = handle(&talk.rig.engine, talk.rig.micros, &packet, &mut effects);
            assert!(!matches!(verdict, Verdict::Drop(_)), "SYNs pass");
            if count % 50_000 == 0 {
                let start = count / 50_000 * 5;
                let end = (start + 5).min(EVIL.len());
                let _ = talk.send_text(start.min(end)..end);
            }
        }
        assert_eq!(talk.rig.engine.stats().flows_now, 1);
        talk.end(End::Whole);
    }),
    case("L02", "flow table full", |suite| {
        let mut settings = suite.settings();
        settings.limits.flows_max = 3;
        let mut talk = Talk::unopened(EVIL, settings, MailServer::new(BANNER), [7, 9]);
        let first = talk.rig.client.port();
        for port in first + 1..first + 4 {
            talk.rig.client.set_port(port);
            talk.rig.shake_hands();
        }
        talk.rig.client.set_port(first);
        talk.rig.shake_hands();
        let displaced = What::Reset { reason: Reason::FlowsFull };
        assert!(talk.rig.records.iter().any(|record| record.flow == 1 && record.what == displaced));
        assert_eq!(talk.rig.engine.stats().flows_now, 3);
        assert!(std::mem::take(&mut talk.rig.resets) > 0, "its ends are told");
        talk.end(End::Whole);
    }),
    case("L03", "bombs behind gaps", bombs),
    elsewhere("L04", "queue overflow", "needs the kernel's queue: live tests"),
    elsewhere("L05", "killed under load", "needs the kernel's queue: live tests"),
    case("L06", "configuration reload under load", |suite| {
        let own = suite.settings();
        let other = Settings { monitor: true, ..suite.settings() };
        let mut talk = suite.talk(EVIL);
        for (round, part) in pieces(EVIL.len(), 3).into_iter().enumerate() {
            talk.rig.engine.reload(if round % 2 == 0 { &other } else { &own });
            let _ = talk.send_text(part);
            talk.answer();
        }
        talk.end(End::Whole);
        for (begin, then, expected) in
            [(&own, &other, &b"XXXXXXXXX\r\n"[..]), (&other, &own, b"VRFY root\r\n")]
        {
            let mut rig = Rig::new(suite.settings(), [7, 9]);
            rig.engine.reload(begin);
            rig.shake_hands();
            rig.engine.reload(then);
            let _ = rig.send(C, 0, b"VRFY root\r\n");
            assert_eq!(rig.original.bytes(), expected, "a flow keeps what it began with");
        }
        let elsewhere = Settings { ports: vec![587], ..suite.settings() };
        let mut rig = Rig::new(suite.settings(), [7, 9]);
        rig.shake_hands();
        rig.engine.reload(&elsewhere);
        let _ = rig.send(C, 0, b"VRFY root\r\n");
        assert_eq!(rig.original.bytes(), b"XXXXXXXXX\r\n", "a flow outlives its port");
        let mut rig = Rig::new(suite.settings(), [7, 9]);
        rig.engine.reload(&elsewhere);
        rig.shake_hands();
        let _ = rig.send(C, 0, b"VRFY root\r\n");
        assert_eq!(rig.original.bytes(), b"VRFY root\r\n", "a port that is not mail's any more");
        assert_eq!(rig.engine.stats().flows, 0);
    }),
    elsewhere("L07", "netlink ENOBUFS", "needs the kernel's queue: live tests"),
    case("L08", "truncated packets", |suite| {
        let mut talk = suite.talk(EVIL);
        let (seq, ack) = talk.rig.numbers(C, 0);
        let packet = talk.rig.build(C, seq, ack, ACK, &[], EVIL);
        let arrival =
            Arrival { checksum: Checksum::Complete, is_truncated: true, ..arrival(&packet[..60]) };
        let now = Instant::from_micros(talk.rig.micros);
        let verdict = talk.rig.engine.handle(now, &arrival, &mut Effects::default());
        assert_eq!(verdict, Verdict::Drop(Reason::Malformed(Malformed::Truncated)));
        for length in 0..packet.len() {
            let verdict = talk.rig.raw(C, &packet[..length]);
            assert!(matches!(verdict, Verdict::Drop(_)), "{length} bytes of it");
        }
        talk.end(End::Whole);
    }),
    elsewhere("L09", "allocation failure", "ends the process: live tests"),
    case("L10", "clock jump", |suite| {
        for jump in [-3_600_000_000_i64, 600_000_000] {
            let mut talk = suite.talk(EVIL);
            for part in pieces(EVIL.len(), 20) {
                let _ = talk.send_text(part);
                talk.answer();
                talk.rig.micros = talk.rig.micros.saturating_add_signed(jump).max(1);
            }
            talk.end(End::Whole);
        }
    }),
    case("L11", "mutated packets", |suite| {
        let mut talk = suite.talk(STD);
        let mut random = Random::new(11);
        let mut effects = Effects::default();
        for round in 0..100_000 {
            let direction = if round % 2 == 0 { C } else { S };
            let from = random.below(STD.len());
            let (seq, ack) = talk.rig.numbers(direction, from as u64);
            let mut packet = talk.rig.build(direction, seq, ack, ACK, &[1; 12], &STD[from..]);
            random.mutate(&mut packet);
            let _ = handle(&talk.rig.engine, talk.rig.micros, &packet, &mut effects);
        }
        talk.rig.micros += 1;
        talk.check_memory();
    }),
    case("L12", "soak: all kinds of schedules", |_| {
        for kind in [Kind::Honest, Kind::Conflict, Kind::War] {
            schedule::run_seeds(kind, 500_000..500_100).unwrap();
        }
    }),
];

fn handle(engine: &Engine, micros: u64, packet: &[u8], effects: &mut Effects) -> Verdict {
    let arrival = Arrival { path: Path { ingress: 1, egress: 2, link: 0 }, ..arrival(packet) };
    engine.handle(Instant::from_micros(micros), &arrival, effects)
}

/// Many flows let bytes through far ahead of a gap that they never close: they may fill what is
/// set aside for that, but a flow that sends in order still goes on.
fn bombs(suite: &Suite) {
    let mut settings = suite.settings();
    settings.limits.store_bytes_max = 16 << 20;
    settings.limits.bytes_per_flow_max = 1 << 20;
    let server = MailServer::new(BANNER);
    let body = b"a line of the message\r\n".repeat(20_000);
    let text = [b"DATA\r\n", &body[..], b".\r\n"].concat();
    let mut talk = Talk::with(&text, settings, server.clone(), [7, 9]);
    let (own_port, own_isn) = (talk.rig.client.port(), talk.rig.isn);
    let own = (std::mem::take(&mut talk.rig.original), std::mem::take(&mut talk.rig.reply));
    let mut refused = 0;
    for port in 1_000..1_200 {
        talk.rig.client.set_port(port);
        talk.rig.renew([u32::from(port), 77]);
        talk.rig.shake_hands();
        let _ = talk.send(0, b"DATA\r\n");
        let _ = talk.rig.send(S, 0, b"220 x\r\n354 go\r\n");
        for run in [1, 3, 10, 100, 300, 900] {
            let verdict = talk.send(6 + run * 1_000, &[b'a'; 1_000]);
            refused += u32::from(matches!(
                talk.rig.refusal(verdict),
                Some(Reason::Violation(
                    Violation::BeyondWindow | Violation::StoreFull | Violation::TooManyGaps
                ))
            ));
        }
    }
    assert!(refused > 0, "the bombs meet a bound");
    let stats = talk.rig.engine.stats();
    assert!(stats.store_bytes_now <= 8 << 20, "{}", stats.store_bytes_now);
    talk.rig.client.set_port(own_port);
    talk.rig.isn = own_isn;
    (talk.rig.original, talk.rig.reply) = own;
    talk.server = server;
    // A window of 64 KiB at a time.
    for _ in 0..10 {
        let from = talk.rig.original.received as usize;
        for part in pieces(text.len() - from, 1_460) {
            let _ = talk.send_text(from + part.start..from + part.end);
        }
        talk.answer();
    }
    assert_eq!(talk.rig.original.received as usize, text.len(), "nothing in order is refused");
    talk.end(End::Whole);
}
