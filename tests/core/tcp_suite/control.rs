//! D: flags and options inside a flow. None of them moves what the server reads away from what
//! was judged.

use mailguard::engine::{Reason, Verdict, What};
use mailguard::flow::Direction::{Original as C, Reply as S};
use mailguard::time::Instant;
use mailguard::wire::Malformed;

use super::{Case, EVIL, STD, case, pieces};
use crate::support::packet::{ACK, FIN, PSH, RST, URG, patched};
use crate::support::talk::{End, Talk};

pub const CASES: &[Case] = &[
    case("D01", "urgent in verb", |suite| {
        for urgent in [0, 2, 3, 100] {
            let mut talk = suite.talk(b"MAXIL FROM:<a@b>\r\nNOOP\r\n");
            let packet = crafted(&mut talk, 0, ACK | URG, &[], b"MAXIL FROM:<a@b>\r\n");
            let packet = patched(&packet, |tcp| tcp[18..20].copy_from_slice(&[0, urgent]));
            let _ = talk.rig.raw(C, &packet);
            assert_eq!(talk.server_read(), "MAXXX XXXXXXXXXX\\r\\n".replace(' ', "X"));
            let empty = crafted(&mut talk, 18, ACK | URG, &[], b"");
            assert_eq!(talk.rig.raw(C, &empty), Verdict::Rewrite);
            talk.end(End::Whole);
        }
    }),
    case("D02", "RST in window", |suite| {
        let mut talk = suite.talk(EVIL);
        for ahead in 1..=1_000 {
            let _ = talk.rig.send_with(C, ahead, &[], RST);
        }
        talk.play(&pieces(EVIL.len(), 5));
        talk.end(End::Whole);
    }),
    case("D03", "RST exact", |suite| {
        let mut talk = suite.talk(EVIL);
        let _ = talk.send(0, b"NOOP\r\n");
        assert_eq!(talk.rig.send_with(C, 6, &[], RST), Verdict::Accept);
        assert!(talk.rig.records.iter().any(|record| record.what == What::Closed));
        assert_eq!(talk.rig.engine.stats().flows_now, 1, "until both are silent");
        let mut effects = mailguard::engine::Effects::default();
        talk.rig.engine.expire(Instant::from_micros(talk.rig.micros + 31_000_000), &mut effects);
        assert_eq!(talk.rig.engine.stats().flows_now, 0);
        assert_eq!(talk.send(6, b"EXPN\r\n"), Verdict::Drop(Reason::UnknownFlow));
    }),
    case("D04", "RST that the server ignores", |suite| {
        let mut talk = suite.talk(EVIL);
        let mut bad = crafted(&mut talk, 0, RST, &[], b"");
        bad[36] ^= 0x55;
        let verdict = talk.rig.raw(C, &bad);
        assert_eq!(verdict, Verdict::Drop(Reason::Malformed(Malformed::TcpChecksum)));
        talk.play(&pieces(EVIL.len(), 5));
        talk.end(End::Whole);
        // These the server might take: it gets nothing any more.
        let mut talk = suite.talk(EVIL);
        let mut low = crafted(&mut talk, 0, RST, &[], b"");
        low[8] = 1;
        let low = patched(&low, |_| ());
        let _ = talk.rig.raw(C, &low);
        let signed = [&[19, 18][..], &[7; 16], &[1, 1]].concat();
        let signed = crafted(&mut talk, 0, RST | ACK, &signed, b"");
        let _ = talk.rig.raw(C, &signed);
        talk.play(&pieces(EVIL.len(), 5));
        assert_eq!(talk.rig.original.received, 0);
        talk.end(End::Reset);
    }),
    case("D05", "RST with data", |suite| {
        let mut talk = suite.talk(EVIL);
        for flags in [RST, RST | ACK | PSH] {
            assert_eq!(talk.rig.send_with(C, 0, b"VRFY root\r\n", flags), Verdict::Rewrite);
            assert_eq!(talk.rig.last_left.len(), 40);
        }
        talk.end(End::Reset);
    }),
    case("D06", "FIN, then data", |suite| {
        let mut talk = suite.talk(b"NOOP\r\n");
        let _ = talk.rig.send_fin(C, 0, b"NOOP\r\n");
        for at in [6, 20] {
            assert_eq!(talk.send(at, b"VRFY root\r\n"), Verdict::Rewrite);
            assert_eq!(talk.rig.last_left.len(), 40, "bare");
        }
        let _ = talk.send(0, b"NOOP\r\nVRFY root\r\n");
        assert!(talk.rig.last_left.ends_with(b"NOOP\r\n"), "cut at the FIN");
        assert!(talk.rig.original.is_finished);
        talk.end(End::Whole);
    }),
    case("D07", "FIN in the future", |suite| {
        let mut talk = suite.talk(EVIL);
        let _ = talk.rig.send_fin(C, 20, &[]);
        let _ = talk.rig.send_fin(C, 12, b"x root\r\n");
        talk.play(&pieces(EVIL.len(), 9));
        assert!(!talk.rig.original.is_finished, "no FIN has left");
        talk.end(End::Whole);
        let (mut talk, base) = suite.in_data(b"body text\r\nmore of it\r\n.\r\n");
        let _ = talk.rig.send_fin(C, base as u64 + 5, b"text\r\n");
        assert_eq!(talk.rig.original.left(base as u64 + 5), Some(b't'), "data, but no FIN");
        talk.end(End::Whole);
    }),
    case("D08", "FIN with a wrong number", |suite| {
        let mut talk = suite.talk(EVIL);
        let _ = talk.send(0, b"NOOP\r\n");
        for offset in [70_006, 1, 5, 7] {
            let verdict = talk.rig.send_fin(C, offset, &[]);
            assert_eq!(verdict, Verdict::Rewrite, "{offset}: its ACK goes on, without the FIN");
            assert!(!talk.rig.original.is_finished, "{offset}");
        }
        talk.end(End::Conflict);
    }),
    case("D09", "no ACK flag", |suite| {
        let mut talk = suite.talk(b"VRFY r\r\n");
        let verdict = talk.rig.send_with(C, 0, b"NOOP\r\n", PSH);
        assert_eq!(verdict, Verdict::Drop(Reason::Malformed(Malformed::TcpFlags)));
        let verdict = talk.rig.send_with(C, 0, b"NOOP\r\n", FIN);
        assert_eq!(verdict, Verdict::Drop(Reason::Malformed(Malformed::TcpFlags)));
        talk.end(End::Whole);
    }),
    case("D10", "ACK out of range", |suite| {
        for away in [1_000_u32, 1, 1_000_u32.wrapping_neg(), 1 << 31] {
            let mut talk = suite.talk(EVIL);
            talk.answer();
            let (seq, ack) = talk.rig.numbers(C, 0);
            let _ = talk.rig.packet(C, seq, ack.wrapping_add(away), ACK, &[], b"EHLO c\r\nVRFY");
            talk.end(End::Whole);
        }
    }),
    case("D11", "old timestamp", |suite| {
        let mut talk = suite.talk(b"NOOP\r\n");
        for (stamp, payload) in [(1, b"NOOP\r\n"), (200, b"EXPN\r\n")] {
            let packet = crafted(&mut talk, 0, ACK, &timestamp(stamp), payload);
            talk.rig.is_lost_behind = stamp == 1;
            let _ = talk.rig.raw(C, &packet);
        }
        assert_eq!(talk.server_read(), "NOOP\\r\\n");
        talk.end(End::Whole);
    }),
    case("D12", "missing timestamp", |suite| {
        let mut talk = suite.talk(EVIL);
        for (index, part) in pieces(EVIL.len(), 8).into_iter().enumerate() {
            let options = if index % 2 == 0 { timestamp(9).to_vec() } else { Vec::new() };
            let packet = crafted(&mut talk, part.start as u64, ACK, &options, &EVIL[part]);
            let _ = talk.rig.raw(C, &packet);
        }
        talk.end(End::Whole);
    }),
    case("D13", "bad checksum", |suite| {
        let mut talk = suite.talk(b"EXPN\r\n");
        let mut bad = crafted(&mut talk, 0, ACK, &[], b"NOOP\r\n");
        bad[37] ^= 1;
        let verdict = talk.rig.raw(C, &bad);
        assert_eq!(verdict, Verdict::Drop(Reason::Malformed(Malformed::TcpChecksum)));
        let _ = talk.send(0, b"EXPN\r\n");
        assert_eq!(talk.server_read(), "XXXX\\r\\n");
        talk.end(End::Whole);
    }),
    case("D14", "data offset games", |suite| {
        let mut talk = suite.talk(EVIL);
        for words in 0..16 {
            let packet = crafted(&mut talk, 0, ACK, &[], &EVIL[..40]);
            let packet = patched(&packet, |tcp| tcp[12] = words << 4);
            let verdict = talk.rig.raw(C, &packet);
            let is_whole = (5..=15).contains(&words);
            assert_eq!(!matches!(verdict, Verdict::Drop(_)), is_whole, "offset {words}");
        }
        talk.end(End::Conflict);
    }),
    case("D15", "malformed options", |suite| {
        let mut talk = suite.talk(EVIL);
        let lists: [&[u8]; 5] =
            [&[5, 0, 1, 1], &[8, 1, 1, 1], &[254, 9, 1, 1], &[8, 10, 1, 1], &[0x41; 40]];
        for (list, part) in lists.iter().zip(pieces(EVIL.len(), 9)) {
            let packet = crafted(&mut talk, part.start as u64, ACK, list, &EVIL[part]);
            let _ = talk.rig.raw(C, &packet);
            let left = &talk.rig.last_left[40..40 + list.len()];
            assert!(left.iter().all(|&byte| byte == 1), "{list:?} became {left:?}");
        }
        talk.end(End::Whole);
    }),
    case("D16", "MD5 and AO on data", |suite| {
        let mut talk = suite.talk(EVIL);
        let md5 = [&[19, 18][..], &[7; 16], &[1, 1]].concat();
        let ao = [&[29, 16][..], &[7; 14]].concat();
        for (list, part) in [md5, ao].iter().zip(pieces(EVIL.len(), 9)) {
            let packet = crafted(&mut talk, part.start as u64, ACK, list, &EVIL[part]);
            assert_eq!(talk.rig.raw(C, &packet), Verdict::Rewrite);
            assert!(talk.rig.last_left[40..40 + list.len()].iter().all(|&byte| byte == 1));
        }
        talk.end(End::Whole);
    }),
    case("D17", "reserved bits, ECN", |suite| {
        let mut talk = suite.talk(EVIL);
        for (index, part) in pieces(EVIL.len(), 4).into_iter().enumerate() {
            let mut packet = crafted(&mut talk, part.start as u64, ACK, &[], &EVIL[part]);
            packet[1] = (index % 4) as u8;
            let packet = patched(&packet, |tcp| {
                tcp[12] |= (index % 16) as u8;
                tcp[13] |= ((index % 4) as u8) << 6;
            });
            // That all of them stay is asserted on every packet.
            let _ = talk.rig.raw(C, &packet);
        }
        talk.end(End::Whole);
    }),
    case("D18", "keep-alive with garbage", |suite| {
        let mut talk = suite.talk(EVIL);
        for part in pieces(EVIL.len(), 3) {
            let end = part.end as u64;
            let _ = talk.send_text(part);
            let _ = talk.send(end - 1, b"Z");
            talk.answer();
            let received = talk.rig.original.received;
            if received > 0 {
                let _ = talk.send(received - 1, b"\n");
            }
        }
        talk.end(End::Whole);
    }),
    case("D19", "simultaneous close", |suite| {
        let mut talk = suite.talk(STD);
        let last = STD.len() - 6;
        for _ in 0..2 {
            let _ = talk.send_text(0..last);
            talk.answer();
        }
        let _ = talk.rig.send_fin(C, STD.len() as u64 - 2, b"\r\n");
        let _ = talk.send(last as u64, b"QUIT");
        let _ = talk.rig.send_fin(C, STD.len() as u64 - 2, b"\r\n");
        talk.answer();
        let said = talk.server.said.len() as u64;
        let _ = talk.rig.send_fin(S, said, &[]);
        let _ = talk.rig.ack(C, STD.len() as u64 + 1);
        let _ = talk.rig.ack(S, said + 1);
        assert!(talk.rig.original.is_finished && talk.rig.reply.is_finished);
        assert!(talk.rig.records.iter().any(|record| record.what == What::Closed));
        talk.end(End::Whole);
    }),
    case("D20", "half close", |suite| {
        let mut talk = suite.talk(STD);
        for _ in 0..2 {
            let _ = talk.send_text(0..STD.len() - 6);
            talk.answer();
        }
        let _ = talk.rig.send_fin(C, STD.len() as u64 - 6, b"QUIT\r\n");
        assert!(talk.rig.original.is_finished);
        talk.rig.micros += 60_000_000;
        talk.answer();
        assert!(talk.rig.reply.bytes().ends_with(b"221 bye\r\n"));
        talk.end(End::Whole);
    }),
];

fn crafted(talk: &mut Talk, offset: u64, flags: u8, options: &[u8], payload: &[u8]) -> Vec<u8> {
    let (seq, ack) = talk.rig.numbers(C, offset);
    talk.rig.build(C, seq, ack, flags, options, payload)
}

const fn timestamp(value: u8) -> [u8; 12] {
    [8, 10, 0, 0, 0, value, 0, 0, 0, 5, 1, 1]
}
