//! H: waiting, loss and time. Nothing is held, so nobody can be starved by a hold.

use mailguard::engine::{Reason, Verdict};
use mailguard::flow::Direction::Original as C;

use super::handshake::resets;
use super::{BANNER, Case, EVIL, STD, case, pieces};
use crate::support::mailserver::MailServer;
use crate::support::talk::{End, Talk};

pub const CASES: &[Case] = &[
    case("H01", "Nagle client without tail-loss probes", |suite| {
        let mut talk = suite.talk(b"HELO x\r\n");
        assert_eq!(talk.send_text(0..3), Verdict::Accept, "the half line passes at once");
        talk.acknowledge();
        assert_eq!(talk.send_text(3..8), Verdict::Accept);
        assert_eq!(talk.server_read(), "HELO x\\r\\n");
        talk.end(End::Whole);
    }),
    case("H02", "one character at a time", |suite| {
        let mut talk = suite.talk(EVIL);
        for at in 0..EVIL.len() {
            talk.answer();
            talk.rig.micros += 300_000;
            let _ = talk.send_text(at..at + 1);
            assert_eq!(talk.rig.original.received, at as u64 + 1, "each is acknowledged");
        }
        talk.end(End::Whole);
    }),
    case("H03", "server that acknowledges late", |suite| {
        let mut talk = suite.talk(EVIL);
        for (index, part) in pieces(EVIL.len(), 6).into_iter().enumerate() {
            let _ = talk.send_text(part);
            talk.rig.micros += 200_000;
            if index % 4 == 3 {
                talk.answer();
            }
        }
        talk.end(End::Whole);
    }),
    case("H04", "DATA, then body before the reply", |suite| {
        for reply in ["354 go\r\n", "554 no\r\n"] {
            let mut server = MailServer::new(BANNER);
            server.data_replies.push_back(reply);
            let mut talk = suite.talk_to(server, b"DATA\r\nVRFY root\r\n.\r\nNOOP\r\n");
            talk.rig.refused_words = &[];
            let _ = talk.send_text(0..20);
            assert_eq!(talk.server_read(), "DATA\\r\\n", "cut behind DATA");
            let verdict = talk.send_text(6..20);
            assert_eq!(talk.rig.refusal(verdict), Some(Reason::AwaitingReply));
            talk.end(End::Whole);
        }
    }),
    case("H05", "slow 354", |suite| {
        let mut talk = suite.talk(STD);
        let _ = talk.send_text(0..STD.len());
        talk.acknowledge();
        let kept = talk.rig.engine.stats().store_bytes_now;
        for _ in 0..60 {
            talk.rig.micros += 2_000_000;
            let from = talk.rig.original.received as usize;
            let _ = talk.send_text(from..STD.len());
            assert_eq!(talk.rig.engine.stats().store_bytes_now, kept, "waiting costs nothing");
        }
        talk.end(End::Whole);
    }),
    case("H06", "a thousand half lines", |suite| {
        let mut talk = suite.talk(EVIL);
        let (client, [isn, answer]) = (talk.rig.client, talk.rig.isn);
        let own = (std::mem::take(&mut talk.rig.original), std::mem::take(&mut talk.rig.reply));
        for port in 1_000..2_000 {
            talk.rig.client.set_port(port);
            talk.rig.renew([u32::from(port), 77]);
            talk.rig.shake_hands();
            let _ = talk.send(0, b"MAIL FR");
        }
        let kept = talk.rig.engine.stats().store_bytes_now;
        assert_eq!(kept, 1_000 * 64, "one small block each");
        (talk.rig.client, talk.rig.isn) = (client, [isn, answer]);
        (talk.rig.original, talk.rig.reply) = own;
        talk.end(End::Whole);
    }),
    case("H07", "server's link down for a minute", |suite| {
        let mut talk = suite.talk(EVIL);
        let _ = talk.send_text(0..30);
        talk.answer();
        talk.rig.is_lost_behind = true;
        for second in [1, 2, 4, 8, 16, 32] {
            talk.rig.micros += second * 1_000_000;
            for part in pieces(EVIL.len(), 10 + second as usize) {
                let _ = talk.send_text(part);
            }
        }
        talk.rig.is_lost_behind = false;
        talk.end(End::Whole);
    }),
    case("H08", "reset action", |suite| {
        let changes = [("split_terminator", "bug"), ("split_action", "reset")];
        let settings = suite.settings_with(&changes);
        let text = b"DATA\r\nbody\r\n.\r\n";
        let mut talk = Talk::with(text, settings, MailServer::new(BANNER), [100, 200]);
        for part in [0..6, 6..13] {
            let _ = talk.send_text(part);
            talk.answer();
        }
        assert_eq!(talk.send_text(13..15), Verdict::Drop(Reason::SplitTerminator));
        let said = talk.server.said.len() as u32;
        // One for each end: its own next byte, which alone it takes at once.
        assert_eq!(resets(&mut talk), [(40_000, 114, 201 + said), (25, 201 + said, 114)]);
        assert_eq!(talk.send_text(13..15), Verdict::Drop(Reason::FlowReset));
        assert_eq!(talk.rig.ack(C, 13), Verdict::Drop(Reason::FlowReset));
        talk.end(End::Reset);
    }),
];
