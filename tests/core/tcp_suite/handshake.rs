//! C: who talks to whom. Only the pair of numbers the server itself answered with opens a flow.

use mailguard::engine::{Reason, UnknownFlow, Verdict};
use mailguard::flow::Direction::{Original as C, Reply as S};
use mailguard::tcp::Violation;
use mailguard::wire::{Checksum, Packet, Parsed};

use super::{Case, EVIL, STD, Suite, case, pieces};
use crate::support::packet::{ACK, FIN, PSH, RST, SYN, URG};
use crate::support::talk::{End, Talk};

const HANDSHAKE: Verdict = Verdict::Drop(Reason::Violation(Violation::Handshake));
const ISN: [u32; 2] = [1_000, 5_000];

pub const CASES: &[Case] = &[
    case("C01", "data on SYN", |suite| {
        let mut talk = suite.unopened(b"VRFY r\r\nNOOP\r\n");
        let options = [2, 4, 5, 180, 34, 2, 1, 1];
        let _ = talk.rig.packet(C, ISN[0], 0, SYN, &options, b"VRFY r\r\n");
        assert_eq!(talk.rig.last_left.len(), 48, "no data");
        assert_eq!(options_of(&talk), [2, 4, 5, 180, 1, 1, 1, 1]);
        answer_and_third(&mut talk, ISN);
        talk.end(End::Whole);
    }),
    case("C02", "Fast Open cookie", |suite| {
        let mut talk = suite.unopened(EVIL);
        let cookie = [34, 10, 1, 2, 3, 4, 5, 6, 7, 8, 1, 1];
        let _ = talk.rig.packet(C, ISN[0], 0, SYN, &cookie, b"EXPN\r\n");
        assert_eq!(options_of(&talk), [1; 12]);
        let _ = talk.rig.packet(S, ISN[1], ISN[0] + 1, SYN | ACK, &cookie, &[]);
        assert_eq!(options_of(&talk), [1; 12]);
        let experimental = [254, 6, 0xf9, 0x89, 1, 1, 1, 1];
        let _ = talk.rig.packet(C, ISN[0], 0, SYN, &experimental, &[]);
        assert_eq!(options_of(&talk), [1; 8]);
        third(&mut talk, ISN);
        talk.end(End::Whole);
    }),
    case("C03", "flags no TCP sends", |suite| {
        let mut talk = suite.unopened(EVIL);
        let all = FIN | SYN | RST | PSH | ACK | URG;
        for flags in [SYN | FIN, SYN | RST, 0, FIN | PSH | URG, all] {
            let verdict = talk.rig.packet(C, ISN[0], 0, flags, &[], b"VRFY r\r\n");
            assert!(matches!(verdict, Verdict::Drop(_)), "{flags:#x}");
        }
        assert_eq!(talk.rig.engine.stats().flows, 0);
        assert_eq!(talk.rig.packet(S, 5_000, 1_001, SYN | ACK, &[], &[]), HANDSHAKE);
        talk.rig.shake_hands();
        talk.end(End::Whole);
    }),
    case("C04", "SYN|ACK from the client first", |suite| {
        let mut talk = suite.unopened(EVIL);
        assert_eq!(talk.rig.packet(C, 1, 2, SYN | ACK, &[], &[]), HANDSHAKE);
        let verdict = talk.rig.packet(S, 2, 2, ACK, &[], b"220 x\r\n");
        assert_eq!(verdict, Verdict::Drop(Reason::UnknownFlow));
        assert_eq!(std::mem::take(&mut talk.rig.resets), 3);
        talk.rig.shake_hands();
        talk.end(End::Whole);
    }),
    case("C05", "data in the third packet", |suite| {
        let mut talk = suite.unopened(EVIL);
        syn(&mut talk, ISN[0]);
        syn_ack(&mut talk, ISN);
        let _ = talk.send_text(0..20);
        assert_eq!(talk.rig.original.received, 20);
        talk.end(End::Whole);
    }),
    case("C06", "third packet out of order", |suite| {
        let mut talk = suite.unopened(EVIL);
        syn(&mut talk, ISN[0]);
        syn_ack(&mut talk, ISN);
        for part in [2..5, 0..2, 2..5] {
            let _ = talk.send_text(part);
        }
        assert_eq!(talk.server_read(), "XXXXX");
        talk.end(End::Whole);
    }),
    case("C07", "data before SYN/ACK", |suite| {
        let mut talk = suite.unopened(EVIL);
        syn(&mut talk, ISN[0]);
        assert_eq!(talk.send(0, b"NOOP\r\n"), HANDSHAKE);
        answer_and_third(&mut talk, ISN);
        talk.end(End::Whole);
    }),
    case("C08", "wrong third ACK", |suite| {
        let mut talk = suite.unopened(EVIL);
        syn(&mut talk, ISN[0]);
        syn_ack(&mut talk, ISN);
        let wrong = talk.rig.packet(C, ISN[0] + 1, ISN[1] + 6, ACK, &[], b"NOOP\r\n");
        assert_eq!(wrong, HANDSHAKE);
        third(&mut talk, ISN);
        talk.end(End::Whole);
    }),
    case("C09", "SYN and its answer repeated", |suite| {
        let mut talk = suite.unopened(EVIL);
        for _ in 0..3 {
            syn(&mut talk, ISN[0]);
        }
        syn_ack(&mut talk, ISN);
        syn(&mut talk, ISN[0]);
        third(&mut talk, ISN);
        syn_ack(&mut talk, ISN);
        assert_eq!(talk.rig.engine.stats().flows, 1);
        talk.end(End::Whole);
    }),
    case("C10", "two SYNs, both answered", |suite| {
        let mut talk = suite.unopened(EVIL);
        syn(&mut talk, 500);
        syn(&mut talk, ISN[0]);
        // Whichever it has answered last is the connection.
        syn_ack(&mut talk, [500, 9]);
        answer_and_third(&mut talk, ISN);
        talk.end(End::Whole);
    }),
    case("C11", "half-open reuse", |suite| {
        let mut talk = suite.talk(EVIL);
        let _ = talk.send(0, b"NOOP\r\n");
        let _ = talk.rig.packet(C, 90_000, 0, SYN, &[], &[]);
        // Until the server has accepted the new connection, the old one is still read.
        let _ = talk.send(6, b"VRFY x\r\n");
        assert_eq!(talk.server_read(), "NOOP\\r\\nXXXXXX\\r\\n");
        let _ = talk.rig.ack(S, 0);
        let (_, challenge) = talk.rig.numbers(S, 0);
        let _ = talk.rig.packet(C, challenge, 0, RST, &[], &[]);
        reopened(suite, talk);
    }),
    case("C12", "TIME_WAIT reuse", |suite| {
        let mut talk = suite.talk(STD);
        talk.finish();
        let (mine, theirs) = (STD.len() as u64, talk.server.said.len() as u64);
        let _ = talk.rig.send_fin(C, mine, &[]);
        let _ = talk.rig.send_fin(S, theirs, &[]);
        let _ = talk.rig.ack(C, mine + 1);
        assert!(talk.rig.original.is_finished && talk.rig.reply.is_finished);
        reopened(suite, talk);
    }),
    case("C13", "in the middle of a flow after a restart", |suite| {
        for unknown_flow in [UnknownFlow::Reset, UnknownFlow::Drop] {
            let (mut talk, base) = suite.in_data(b"body\r\n.\r\n");
            let mut settings = suite.settings();
            settings.unknown_flow = unknown_flow;
            let known = talk.rig.original.received;
            talk.rig.restart(settings);
            for payload in [&b"VRFY root\r\n"[..], b"", b"x\r\n.\r\n"] {
                let (seq, ack) = talk.rig.numbers(C, base as u64);
                let verdict = talk.send(base as u64, payload);
                assert_eq!(verdict, Verdict::Drop(Reason::UnknownFlow));
                if unknown_flow == UnknownFlow::Reset {
                    let end = seq + payload.len() as u32;
                    let mut expected = vec![(25, ack, seq), (40_000, seq, ack), (40_000, end, ack)];
                    expected.dedup();
                    assert_eq!(resets(&mut talk), expected);
                }
            }
            assert_eq!((talk.rig.original.received, talk.rig.engine.stats().flows), (known, 0));
            assert_eq!(resets(&mut talk), []);
        }
    }),
    case("C14", "one-way route", |suite| {
        let mut talk = suite.unopened(EVIL);
        syn(&mut talk, ISN[0]);
        third(&mut talk, ISN);
        assert_eq!(talk.send(0, b"EHLO c\r\n"), HANDSHAKE);
        assert_eq!(talk.rig.original.received, 0);
        let drops = talk.rig.engine.stats().drops;
        assert_eq!(drops.get(&Reason::Violation(Violation::Handshake)), Some(&2));
    }),
    case("C15", "SYN from the server's port", |suite| {
        let mut talk = suite.unopened(EVIL);
        syn(&mut talk, ISN[0]);
        let verdict = talk.rig.packet(S, ISN[1], 0, SYN, &[], &[]);
        assert_eq!(verdict, Verdict::Drop(Reason::Violation(Violation::ServerSyn)));
        assert_eq!(talk.rig.packet(C, ISN[0], ISN[1] + 1, SYN | ACK, &[], &[]), HANDSHAKE);
        answer_and_third(&mut talk, ISN);
        talk.end(End::Whole);
    }),
    case("C16", "initial sequence numbers near 2^32", |suite| {
        for isn in (0xffff_ff00_u32..=u32::MAX).chain(0x7fff_ff80..0x8000_0010) {
            let mut talk = suite.unopened(EVIL);
            talk.rig.isn = [isn, isn.wrapping_sub(20)];
            talk.rig.shake_hands();
            talk.play(&pieces(EVIL.len(), 7));
            talk.end(End::Whole);
        }
    }),
    case("C17", "Multipath TCP", |suite| {
        let mut talk = suite.unopened(EVIL);
        let capable = [30, 12, 1, 0, 1, 2, 3, 4, 5, 6, 7, 8];
        let join = [30, 12, 0x10, 0, 1, 2, 3, 4, 5, 6, 7, 8];
        for option in [join, capable] {
            let _ = talk.rig.packet(C, ISN[0], 0, SYN, &option, &[]);
            assert_eq!(options_of(&talk), [1; 12], "a plain SYN");
        }
        answer_and_third(&mut talk, ISN);
        let (seq, ack) = talk.rig.numbers(C, 0);
        let _ = talk.rig.packet(C, seq, ack, ACK, &capable, b"VRFY");
        assert_eq!(options_of(&talk), [1; 12]);
        talk.end(End::Whole);
    }),
    case("C18", "window scale on one side only", |suite| {
        let body = [b"DATA\r\n", &b"line of the body\r\n".repeat(20_000)[..], b".\r\n"].concat();
        let mut talk = suite.unopened(&body);
        let _ = talk.rig.packet(C, ISN[0], 0, SYN, &[3, 3, 14, 1], &[]);
        assert_eq!(options_of(&talk), [3, 3, 14, 1]);
        answer_and_third(&mut talk, ISN);
        talk.end(End::Whole);
    }),
    case("C19", "spoofed server side", spoofed),
    case("C20", "a blind SYN at any moment of a handshake", |suite| {
        for moment in 0..3 {
            let mut talk = suite.unopened(EVIL);
            let forge = |talk: &mut Talk, at| {
                for isn in if moment == at { 77..80_u32 } else { 0..0 } {
                    assert_eq!(talk.rig.packet(C, isn, 0, SYN, &[], &[]), Verdict::Accept);
                }
            };
            forge(&mut talk, 0);
            syn(&mut talk, ISN[0]);
            // One of them: the server's own handshake is this short.
            let _ = (moment == 1).then(|| talk.rig.packet(C, 77, 0, SYN, &[], &[]));
            syn_ack(&mut talk, ISN);
            forge(&mut talk, 2);
            syn_ack(&mut talk, ISN);
            third(&mut talk, ISN);
            assert_eq!(talk.rig.engine.stats().flows, 1, "{moment}");
            talk.end(End::Whole);
        }
    }),
    case("C21", "a client that begins again before its third packet", |suite| {
        let mut talk = suite.unopened(EVIL);
        syn(&mut talk, 77);
        syn_ack(&mut talk, [77, 88]);
        syn(&mut talk, ISN[0]);
        syn_ack(&mut talk, ISN);
        third(&mut talk, ISN);
        assert_eq!(talk.rig.engine.stats().flows, 1);
        talk.end(End::Whole);
    }),
];

/// Packets with the server's address that come in by the client's interface.
fn spoofed(suite: &Suite) {
    let wrong = Verdict::Drop(Reason::WrongInterface);
    let mut talk = suite.unopened(b"DATA\r\nVRFY root\r\n");
    syn(&mut talk, ISN[0]);
    let forged = talk.rig.build(S, 1, ISN[0] + 1, SYN | ACK, &[], &[]);
    assert_eq!(talk.rig.raw_from(C, S, &forged), wrong);
    answer_and_third(&mut talk, ISN);
    let _ = talk.send(0, b"DATA\r\n");
    for (ack, payload) in [(6, &b""[..]), (7, b""), (100, b""), (0, b"354 go\r\n")] {
        let forged = talk.rig.build(S, ISN[1] + 1, ISN[0] + 1 + ack, ACK, &[], payload);
        assert_eq!(talk.rig.raw_from(C, S, &forged), wrong);
    }
    let forged = talk.rig.build(S, ISN[1] + 1, 0, RST, &[], &[]);
    assert_eq!(talk.rig.raw_from(C, S, &forged), wrong);
    let verdict = talk.send(6, b"VRFY root\r\n");
    assert_eq!(talk.rig.refusal(verdict), Some(Reason::AwaitingReply));
    let _ = talk.send(0, b"EXPN\r\n");
    assert!(talk.rig.last_left.ends_with(b"DATA\r\n"), "nothing was forgotten");
    talk.rig.refused_words = &[];
    talk.end(End::Whole);
}

fn syn(talk: &mut Talk, isn: u32) {
    assert_eq!(talk.rig.packet(C, isn, 0, SYN, &[], &[]), Verdict::Accept);
}

fn syn_ack(talk: &mut Talk, isn: [u32; 2]) {
    let verdict = talk.rig.packet(S, isn[1], isn[0].wrapping_add(1), SYN | ACK, &[], &[]);
    assert_eq!(verdict, Verdict::Accept);
}

fn third(talk: &mut Talk, isn: [u32; 2]) {
    let _ = talk.rig.packet(C, isn[0] + 1, isn[1] + 1, ACK, &[], &[]);
}

fn answer_and_third(talk: &mut Talk, isn: [u32; 2]) {
    syn_ack(talk, isn);
    third(talk, isn);
}

/// A second connection between the same ends is read from its first byte.
fn reopened(suite: &Suite, mut talk: Talk) {
    talk.rig.renew([70_000_000, 80_000_000]);
    talk.rig.shake_hands();
    assert_eq!(talk.rig.engine.stats().flows_now, 1);
    let mut second = suite.talk(EVIL);
    std::mem::swap(&mut second.rig, &mut talk.rig);
    second.play(&pieces(EVIL.len(), 11));
    second.end(End::Whole);
}

fn options_of(talk: &Talk) -> &[u8] {
    let Ok(Parsed::Tcp(packet)) = Packet::parse(&talk.rig.last_left) else { panic!("unreadable") };
    packet.options()
}

/// Source port, sequence and acknowledgment number of the RSTs sent since the last look.
pub fn resets(talk: &mut Talk) -> Vec<(u16, u32, u32)> {
    let sent = std::mem::take(&mut talk.rig.reset_packets);
    let read = |bytes: &Vec<u8>| {
        let Ok(Parsed::Tcp(packet)) = Packet::parse(bytes) else { panic!("unreadable") };
        assert_eq!(packet.verify(Checksum::Complete), Ok(()));
        (packet.source_port, packet.seq.0, packet.ack.0)
    };
    sent.iter().map(read).collect()
}
