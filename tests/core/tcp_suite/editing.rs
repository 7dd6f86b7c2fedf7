//! G: edits of the same length, as far as they meet loss and retransmission. The cases about
//! translated sequence numbers have no place here: nothing is translated.

use mailguard::engine::Verdict;
use mailguard::flow::Direction::{Original as C, Reply as S};

use super::{Case, EVIL, case, pieces};
use crate::support::packet::ACK;
use crate::support::talk::End;

pub const CASES: &[Case] = &[
    case("G01", "edit and SACK", |suite| {
        let body =
            b"some text\nof a\r.line\n.\nand text behind it, all in one line of it.\r\n.\r\n";
        let (mut talk, base) = suite.in_data(body);
        let parts: Vec<_> =
            pieces(body.len(), 15).into_iter().map(|p| base + p.start..base + p.end).collect();
        for (index, part) in parts.iter().enumerate() {
            talk.rig.is_lost_behind = index == 1;
            let _ = talk.send_text(part.clone());
            talk.rig.is_lost_behind = false;
            let (seq, ack) = talk.rig.numbers(S, 0);
            let block = [1, 1, 5, 10, 0, 0, 0, 48, 0, 0, 0, 68];
            let verdict = talk.rig.packet(S, seq, ack, ACK, &block, &[]);
            assert_eq!(verdict, Verdict::Accept, "SACK is untouched");
        }
        let _ = talk.send_text(parts[1].clone());
        let received = talk.rig.original.received as usize;
        assert_eq!(received, base + body.len(), "recovered in one round trip");
        talk.end(End::Whole);
    }),
    case("G04", "two edits in flight, an ACK between", |suite| {
        let text = b"VRFY a\r\nEXPN b\r\nNOOP\r\n";
        let mut talk = suite.talk(text);
        let _ = talk.send(0, b"VRFY a\r\n");
        talk.rig.is_lost_behind = true;
        let _ = talk.send(8, b"EXPN b\r\n");
        talk.rig.is_lost_behind = false;
        talk.acknowledge();
        let _ = talk.send(4, b" a\r\nEXPN b\r\nNOOP\r\n");
        assert_eq!(talk.server_read(), "XXXXXX\\r\\nXXXXXX\\r\\nNOOP\\r\\n");
        talk.end(End::Whole);
    }),
    case("G05", "cut inside an edit", |suite| {
        for from in 0..11 {
            let mut talk = suite.talk(b"VRFY root\r\n");
            let _ = talk.send(0, &b"VRFY root\r\n"[..from]);
            talk.rig.is_lost_behind = true;
            let _ = talk.send_text(0..11);
            talk.rig.is_lost_behind = false;
            let _ = talk.send_text(from..11);
            assert_eq!(talk.server_read(), "XXXXXXXXX\\r\\n");
            talk.end(End::Whole);
        }
    }),
    case("G06", "tail-loss probe with other borders", |suite| {
        let text = b"NOOP\r\nEHLO @@\r\nNOOP\r\n";
        for from in 0..text.len() {
            let mut talk = suite.talk(text);
            talk.rig.is_lost_behind = true;
            for part in [0..6, 6..15, 15..21] {
                let _ = talk.send_text(part);
            }
            talk.rig.is_lost_behind = false;
            let _ = talk.send_text(from..text.len());
            let _ = talk.send_text(0..from + 1);
            assert_eq!(talk.rig.original.received as usize, text.len());
            talk.end(End::Whole);
        }
    }),
    case("G07", "twenty edits in a window", |suite| {
        let text = b"VRFY root\r\n".repeat(20);
        let mut talk = suite.talk(&text);
        let _ = talk.send_text(0..text.len());
        assert_eq!(talk.server_read(), "XXXXXXXXX\\r\\n".repeat(20));
        assert_eq!(talk.rig.engine.stats().store_bytes_now, 256, "a block that holds the text");
        talk.end(End::Whole);
    }),
    case("G09", "super-packet cut to one segment or less", |suite| {
        let body = b"0123456789\r\n".repeat(400);
        let text = [b"NOOP\r\nDATA\r\n", &body[..], b".\r\n"].concat();
        let mut talk = suite.talk(&text);
        talk.rig.is_super_packet = true;
        let verdict = talk.send_text(0..4_000);
        assert!(matches!(verdict, Verdict::Drop(_)), "the kernel would lose it");
        talk.rig.is_super_packet = false;
        talk.end(End::Whole);
    }),
    case("G12", "edits towards the client", |suite| {
        let mut talk = suite.talk(EVIL);
        let said = talk.server.said.clone();
        for part in pieces(said.len(), 3).into_iter().rev() {
            let _ = talk.rig.send(S, part.start as u64, &said[part]);
            let (seq, ack) = talk.rig.numbers(C, 0);
            let block = [1, 1, 5, 10, 0, 0, 0, 20, 0, 0, 0, 30];
            // While the server has to say something again, an ACK may leave a little older.
            let verdict = talk.rig.packet(C, seq, ack, ACK, &block, &[]);
            assert!(!matches!(verdict, Verdict::Drop(_)), "{verdict:?}");
        }
        talk.end(End::Whole);
    }),
];
