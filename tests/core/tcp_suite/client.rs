//! J: what the client says. The server model reads as liberally as any server measured, and
//! remembers every command it ran; the talk asserts that no refused one is among them.

use mailguard::engine::{Arrival, Effects, Path, Verdict};
use mailguard::flow::Direction::Original as C;
use mailguard::time::Instant;

use super::{BANNER, Case, REFUSED, Suite, case, parts, pieces};
use crate::support::mailserver::MailServer;
use crate::support::packet::{ACK, arrival};
use crate::support::random::Random;
use crate::support::talk::{End, Talk};

pub const CASES: &[Case] = &[
    case("J01", "verb prefixes and every byte", verb_prefixes),
    case("J02", "case of letters", |suite| {
        reads(suite, "vRfY a\r\nnOoP\r\nhelo B\r\n", "XXXXXX\r\nnOoP\r\nhelo B\r\n");
    }),
    case("J03", "bare LF", |suite| {
        reads(suite, "NOOP\nVRFY root\r\nNOOP\n", "NOOP\nXXXXXXXXX\r\nNOOP\n");
    }),
    case("J04", "bare CR", |suite| {
        reads(suite, "NOOP\rVRFY root\r\n", "NOOP\rXXXXXXXXX\r\n");
        reads(suite, "NOOP \rVRFY root\r\nVRFY\r\n", "NOOP \rXXXXXXXXX\r\nXXXX\r\n");
    }),
    case("J05", "blanks, VT, NUL, 8 bits", |suite| {
        for (line, left) in [
            (" VRFY a\r\n", "XXXXXXX\r\n"),
            ("\tVRFY a\r\n", "XXXXXXX\r\n"),
            ("\x0bVRFY a\r\n", "XXXXXXX\r\n"),
            ("\0VRFY a\r\n", "XXXXXXX\r\n"),
            ("\"VRFY\" a\r\n", "XXXXXXXX\r\n"),
            ("NOOP\x0bx\r\n", "NOOPXX\r\n"),
            ("\u{80}VRFY\r\n", "XXXXXX\r\n"),
            ("MAIL\tFROM:<a@b>\r\n", "MAIL FROM:<a@b>\r\n"),
        ] {
            reads(suite, line, left);
        }
    }),
    case("J06", "long lines", |suite| {
        for length in [512, 2_048, 65_536, 1 << 20] {
            let text = [b"VRFY ", &vec![b'a'; length][..], b"\r\nNOOP\r\n"].concat();
            let settings = suite.settings_with(&[("line_max", "0")]);
            let mut talk = Talk::with(&text, settings, MailServer::new(BANNER), [7, 9]);
            talk.finish();
            assert_eq!(talk.server.commands.len(), 2, "one reply for each line");
            talk.end(End::Whole);
            let mut talk = suite.talk(&text);
            talk.finish();
            let is_over = talk.rig.resets > 0;
            assert_eq!(is_over, length > 1_000 && suite.settings().guard.line_max.is_set());
        }
    }),
    case("J07", "DATA without RCPT", |suite| {
        with_data_replies(suite, &["503 no\r\n"], "DATA\r\nVRFY root\r\n", "DATA\r\nXXXXXXXXX\r\n");
    }),
    case("J08", "MAIL, DATA and a body in one segment", |suite| {
        let text = "MAIL FROM:<a@b>\r\nDATA\r\nVRFY root\r\n.\r\nNOOP\r\n";
        let left = "MAIL FROM:<a@b>\r\nDATA\r\nXXXXXXXXX\r\nX\r\nNOOP\r\n";
        with_data_replies(suite, &["554 no\r\n"], text, left);
    }),
    case("J09", "DATA refused, DATA accepted", |suite| {
        let text = "DATA\r\nDATA\r\nVRFY body\r\n.\r\nVRFY c\r\n";
        let left = "DATA\r\nDATA\r\nVRFY body\r\n.\r\nXXXXXX\r\n";
        with_data_replies(suite, &["503 no\r\n"], text, left);
    }),
    case("J10", "command behind the end of data", |suite| {
        reads(suite, "DATA\r\nx\r\n.\r\nVRFY root\r\n", "DATA\r\nx\r\n.\r\nXXXXXXXXX\r\n");
    }),
    case("J11", "end of data in every cut", every_terminator_cut),
    case("J12", "what only looks like the end of data", lookalikes),
    case("J13", "dot-stuffing, empty body", |suite| {
        for body in ["..\r\n.\r\n", ".x\r\n.\r\n", "..x\r\n\r\n.\r\n", ".\r\n"] {
            let text = format!("DATA\r\n{body}NOOP\r\n");
            reads(suite, &text, &text);
        }
    }),
    case("J14", "a body of 100 MiB", large_body),
    case("J15", "body that looks like commands", |suite| {
        let text = "DATA\r\nVRFY root\r\nEHLO x\r\n\r\nEXPN\r\n.\r\nNOOP\r\n";
        reads(suite, text, text);
    }),
    case("J16", "pipelined mix, replies cut at random", |suite| {
        let rcpts = "RCPT TO:<r@d>\r\n".repeat(100);
        let text = format!("MAIL FROM:<a@b>\r\n{rcpts}DATA\r\nVRFY body\r\n.\r\nQUIT\r\n");
        let mut random = Random::new(16);
        for _ in 0..20 {
            let mut talk = suite.talk(text.as_bytes());
            talk.rig.refused_words = &[];
            talk.reply_cuts = (0..30).map(|_| 1 + random.below(800)).collect();
            talk.end(End::Whole);
        }
    }),
    case("J17", "RSET and QUIT behind DATA", |suite| {
        let text = "DATA\r\nRSET\r\nQUIT\r\n";
        with_data_replies(suite, &["451 no\r\n"], text, text);
    }),
    case("J18", "BDAT, which this profile masks", |suite| {
        let text = "BDAT 0 LAST\r\nabc\r\nNOOP\r\n";
        reads(suite, text, "XXXXXXXXXXX\r\nXXX\r\nNOOP\r\n");
    }),
    case("J19", "BDAT with octets that were never asked for", |suite| {
        let text = b"BDAT 11\r\nVRFY root\r\n";
        for cut in 0..text.len() {
            let mut talk = suite.talk(text);
            talk.play(&parts(text.len(), &[cut]));
            assert_eq!(talk.server_read().trim_end_matches('X'), "");
            talk.end(End::Reset);
        }
    }),
    case("J20", "AUTH LOGIN, which this profile masks", |suite| {
        reads(suite, "AUTH LOGIN\r\nVRFY\r\nNOOP\r\n", "XXXXXXXXXX\r\nXXXX\r\nNOOP\r\n");
    }),
    case("J21", "AUTH refused", |suite| {
        let mut server = MailServer::new(BANNER);
        server.extension_reply = "504 no\r\n";
        let mut talk = suite.talk_to(server, b"AUTH LOGIN\r\nVRFY\r\n");
        talk.finish();
        assert_eq!(talk.server_read(), "XXXXXXXXXX\\r\\nXXXX\\r\\n");
        talk.end(End::Whole);
    }),
    case("J22", "STARTTLS, which this profile masks", |suite| {
        let mut server = MailServer::new(BANNER);
        server.extension_reply = "220 go\r\n";
        let mut talk = suite.talk_to(server, b"STARTTLS\r\n\x16\x03\x01hello\r\n");
        talk.finish();
        assert_eq!(talk.server_read(), "XXXXXXXX\\r\\nXXXXXXXX\\r\\n", "nothing becomes opaque");
        talk.end(End::Whole);
    }),
    case("J23", "STARTTLS with plaintext behind it", |suite| {
        reads(suite, "STARTTLS\r\nVRFY a\r\nNOOP\r\n", "XXXXXXXX\r\nXXXXXX\r\nNOOP\r\n");
    }),
    case("J24", "STARTTLS refused", |suite| {
        let mut server = MailServer::new(BANNER);
        server.extension_reply = "454 no\r\n";
        let text = [b"STARTTLS\r\n", super::EVIL].concat();
        suite.talk_to(server, &text).end(End::Whole);
    }),
    case("J25", "TLS without STARTTLS", |suite| {
        reads(suite, "\x16\x03\x01\x02\nVRFY\r\nNOOP\r\n", "XXXX\nXXXX\r\nNOOP\r\n");
    }),
];

/// What the server reads of a text, cut in every way by two.
fn reads(suite: &Suite, text: &str, left: &str) {
    with_data_replies(suite, &[], text, left);
}

fn with_data_replies(suite: &Suite, replies: &[&'static str], text: &str, left: &str) {
    for cut in 0..text.len() {
        let mut server = MailServer::new(BANNER);
        server.data_replies = replies.iter().copied().collect();
        let mut talk = suite.talk_to(server, text.as_bytes());
        talk.rig.refused_words = &[];
        talk.play(&parts(text.len(), &[cut]));
        assert_eq!(talk.server_read(), left.as_bytes().escape_ascii().to_string());
        talk.end(End::Whole);
    }
}

fn verb_prefixes(suite: &Suite) {
    for verb in ["HELO", "MAIL", "RCPT", "DATA", "RSET", "NOOP", "QUIT"] {
        for length in 0..=verb.len() {
            let prefix = &verb.as_bytes()[..length];
            let lines = (0..=255).flat_map(|byte| [prefix, &[byte], b"tail\r\n"].concat());
            let text: Vec<u8> = lines.collect();
            let mut server = MailServer::new(BANNER);
            server.data_replies = ["503 no\r\n"; 600].into();
            // `H:tail` would be a header line.
            let settings = suite.settings_with(&[("http_words", "pass")]);
            let mut talk = Talk::with(&text, settings, server, [7, 9]);
            talk.rig.refused_words = REFUSED;
            // Nobody answers behind a QUIT, and so much waits for good.
            let has_quit = verb == "QUIT" && length == verb.len();
            talk.end(if has_quit { End::Prefix } else { End::Whole });
        }
    }
}

fn every_terminator_cut(suite: &Suite) {
    let text = b"DATA\r\nbody\r\n.\r\nVRFY a\r\n";
    for mask in 0..16_usize {
        let cuts: Vec<_> = (0..4).filter(|bit| mask >> bit & 1 == 1).map(|bit| 11 + bit).collect();
        for order in 0..3 {
            let mut talk = suite.talk(text);
            let mut segments = parts(text.len(), &[&[6], &cuts[..]].concat());
            match order {
                0 => {}
                1 => segments.reverse(),
                _ => {
                    segments =
                        segments.iter().flat_map(|part| [part.clone(), part.clone()]).collect()
                }
            }
            talk.play(&segments);
            assert_eq!(talk.server_read(), "DATA\\r\\nbody\\r\\n.\\r\\nXXXXXX\\r\\n");
            talk.end(End::Whole);
        }
    }
}

fn lookalikes(suite: &Suite) {
    for end in [
        "\n.\n",
        "\n.\r\n",
        "\r\n.\n",
        "\r.\r",
        "\n.\r",
        "\r.\n",
        "\r\n.\r",
        "\r.\r\n",
        "\r\n\0.\r\n",
        "\r\n.\r\r\n",
        "\r\r\n.\r\r\n",
        "\r\n.\0\r\n",
        "\n\0.\r\n",
    ] {
        let text = format!("DATA\r\nbody{end}VRFY root\r\nEXPN x\r\n.\r\nNOOP\r\n");
        for size in [1, 2, 3, text.len()] {
            let mut server = MailServer::new(BANNER);
            server.is_lenient = true;
            let mut talk = suite.talk_to(server, text.as_bytes());
            talk.rig.refused_words = &[];
            talk.play(&pieces(text.len(), size));
            assert_eq!(talk.server.commands, ["DATA", "NOOP"], "{}", end.escape_debug());
            assert_eq!(talk.server.messages.len(), 1);
            talk.end(End::Whole);
        }
    }
}

/// Straight through the engine: models of receivers would take longer than the filter.
fn large_body(suite: &Suite) {
    let (talk, base) = suite.in_data(b"");
    let line = b"Twenty-eight letters a line.\r\n";
    // An empty line ends the header, which would be too long otherwise.
    let payload: Vec<u8> = b"\r\n".iter().chain(line.iter().cycle()).copied().take(1_460).collect();
    let (mut effects, mut sent) = (Effects::default(), 0_u32);
    let [isn, answer] = talk.rig.isn;
    let heard = answer + 1 + talk.rig.reply.received as u32;
    let mut now = talk.rig.micros;
    let mut handle = |packet: &[u8], path: Path| {
        now += 10;
        let arrival = Arrival { path, ..arrival(packet) };
        talk.rig.engine.handle(Instant::from_micros(now), &arrival, &mut effects)
    };
    while sent < 100 << 20 {
        let seq = isn + 1 + base as u32 + sent;
        let data = talk.rig.build(C, seq, heard, ACK, &[], &payload);
        assert_eq!(handle(&data, Path { ingress: 1, egress: 2, link: 0 }), Verdict::Accept);
        sent += payload.len() as u32;
        if sent % (40 * 1_460) == 0 {
            let reply = mailguard::flow::Direction::Reply;
            let ack = talk.rig.build(reply, heard, isn + 1 + base as u32 + sent, ACK, &[], &[]);
            assert_eq!(handle(&ack, Path { ingress: 2, egress: 1, link: 0 }), Verdict::Accept);
        }
    }
}
