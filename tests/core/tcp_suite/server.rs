//! K: what the server says. Its stream, too, does not depend on how it is cut.

use mailguard::engine::What;
use mailguard::flow::Direction::{Original as C, Reply as S};

use super::{BANNER, Case, EVIL, STD, case};
use crate::support::mailserver::MailServer;
use crate::support::talk::End;

pub const CASES: &[Case] = &[
    case("K01", "banner of several lines, every cut", |suite| {
        let banner = "220-mx2.example 2002\r\n220-no 0 spam\r\n220 ready 0 2\r\n";
        let masked = "220-**2*********2002\r\n220-***0 ****\r\n220 ******0 2\r\n";
        for cut in 1..banner.len() {
            let mut talk = suite.talk_to(MailServer::new(banner), STD);
            talk.reply_cuts = vec![cut];
            talk.finish();
            assert!(talk.rig.reply.bytes().starts_with(masked.as_bytes()));
            talk.end(End::Whole);
        }
    }),
    case("K02", "keywords cut at every byte", |suite| {
        let mut server = MailServer::new(BANNER);
        server.ok_reply = "250-mx\r\n250-SIZE 1000\r\n250-STARTTLS\r\n250 CHUNKING\r\n";
        let text = b"NOOP\r\nQUIT\r\n";
        for cut in 16..80 {
            let mut talk = suite.talk_to(server.clone(), text);
            talk.reply_cuts = vec![cut];
            talk.end(End::Whole);
        }
    }),
    case("K03", "replies without text", |suite| {
        for reply in ["250\r\n", "250 \r\n", "250-\r\n250\r\n", "250-\r\n250-\r\n250 \r\n"] {
            let mut server = MailServer::new(BANNER);
            server.ok_reply = reply;
            let mut talk = suite.talk_to(server, EVIL);
            talk.finish();
            assert_eq!(talk.server.messages.len(), 1, "the pairing is right");
            assert_eq!(alarms(&talk.rig.records), 0);
            talk.end(End::Whole);
        }
    }),
    case("K04", "garbage replies", |suite| {
        let garbage =
            ["hello\r\n", "2500 ok\r\n", "25\r\n", "\r\n", "\n", "250\rok\r\n", "\0\x01\r\n"];
        for reply in garbage {
            let mut server = MailServer::new(BANNER);
            server.ok_reply = reply;
            let text = b"NOOP\r\nVRFY a\r\nMAIL FROM:<a@b>\r\nDATA\r\nx\r\n.\r\nVRFY b\r\n";
            suite.talk_to(server, text).end(End::Whole);
        }
        let mut talk = suite.talk(STD);
        let endless = vec![b'2'; 100_000];
        for start in (0..endless.len()).step_by(1_000) {
            let _ = talk.rig.send(S, start as u64, &endless[start..start + 1_000]);
            let _ = talk.rig.ack(C, 0);
        }
        assert_eq!(talk.rig.reply.received, 100_000);
    }),
    case("K05", "421 at any time", |suite| {
        let mut server = MailServer::new("220 mx2\r\n421 closing\r\n");
        server.ok_reply = "250 ok\r\n421 bye\r\n";
        let mut talk = suite.talk_to(server, b"NOOP\r\nVRFY\r\n");
        talk.finish();
        assert!(talk.rig.reply.bytes().ends_with(b"500 what?\r\n"), "all is delivered");
        talk.end(End::Whole);
    }),
    case("K06", "two replies for one command", |suite| {
        let mut server = MailServer::new(BANNER);
        server.ok_reply = "250 a\r\n250 b\r\n";
        let mut talk = suite.talk_to(server, b"NOOP\r\nDATA\r\nVRFY body\r\n.\r\nVRFY x\r\n");
        talk.rig.refused_words = &[];
        let _ = talk.send_text(0..6);
        talk.answer();
        talk.finish();
        assert!(alarms(&talk.rig.records) > 0, "an alarm is raised");
        assert_eq!(talk.server.messages.len(), 1, "354 still opens the body");
        talk.end(End::Whole);
    }),
];

fn alarms(records: &[mailguard::engine::Record]) -> usize {
    records.iter().filter(|record| matches!(record.what, What::Alarm { .. })).count()
}
