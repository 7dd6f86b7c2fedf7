//! When TLS begins, and what is none.

use super::*;

fn asked() -> Talk {
    let mut talk = Talk::greeted();
    talk.client("STARTTLS\r\n");
    assert_eq!(talk.expect(), Expect::Wait);
    talk
}

#[test]
fn tls_begins_with_a_record_on_both_sides() {
    for piece in 1..=5 {
        let mut talk = asked();
        assert_eq!(talk.server("220-go\r\n220 on\r\n"), None);
        assert!(talk.changes().is_empty());
        for part in b"\x16\x03\x01\x02\x00\x01".chunks(piece) {
            let steps = talk.read(Speaker::Client, part, 0);
            assert!(steps.iter().all(|(s, _)| s.event == Event::Opaque && s.fault.is_none()));
        }
        assert_eq!(talk.changes(), [Change::TlsBegins], "in pieces of {piece}");
        for part in b"\x16\x03\x03\x02\x00\x01".chunks(piece) {
            talk.read(Speaker::Server, part, 10);
        }
        assert_eq!(talk.changes(), [Change::TlsBegins, Change::TlsAnswered]);
        assert_eq!(talk.dialogue.end(Speaker::Server), None);
    }
    let mut talk = asked();
    let shown = |talk: &Talk| {
        let Expect::Tls(start) = talk.expect() else { panic!("{:?}", talk.expect()) };
        (start.has_begun(), start.is_answered())
    };
    talk.server("220 go\r\n");
    talk.client(b"\x16\x03");
    assert_eq!(shown(&talk), (false, false));
    talk.client(b"\x01");
    assert_eq!(shown(&talk), (true, false));
    talk.read(Speaker::Server, b"\x15\x03\x01\x00\x02\x02\x28", 13);
    assert_eq!(shown(&talk), (true, true));
    assert_eq!(talk.changes().len(), 2, "an alert is an answer");
}

#[test]
fn plain_text_for_tls_is_fatal_from_either_side() {
    let fault = Some(Fault::PlaintextForTls);
    for plain in [
        "QUIT\r\n",
        "EHLO a\r\n",
        "\x15\x03\x01",
        "\x16RSET\r\n",
        "\x16\x02\x01",
        "\x16\x04\x01",
        "\x16\x03\x05",
        "\x17\x03",
    ] {
        for piece in 1..=plain.len() {
            let mut talk = asked();
            talk.server("220 go\r\n");
            let mut found = None;
            for part in plain.as_bytes().chunks(piece) {
                let steps = talk.read(Speaker::Client, part, 0);
                found = found.or_else(|| steps.iter().find_map(|(step, _)| step.fault));
            }
            assert_eq!(found, fault, "{plain:?} in pieces of {piece}");
            assert!(talk.changes().is_empty(), "{plain:?}");
        }
    }
    assert!(Fault::PlaintextForTls.is_fatal());
    // The server has nothing to say before the client's hello, and no plain text behind it.
    for behind in ["250-evil\r\n", "421 timeout\r\n", "\x16\x03\x03"] {
        let mut talk = asked();
        talk.server("220 go\r\n");
        assert_eq!(talk.server(behind), fault, "{behind:?}");
    }
    let mut talk = asked();
    assert_eq!(talk.server("220 go\r\n250 evil\r\n"), fault);
    for behind in ["250 evil\r\n", "\x17\x03\x03", "\x15250"] {
        let mut talk = asked();
        talk.server("220 go\r\n");
        talk.client(b"\x16\x03\x01");
        assert_eq!(talk.server(behind), fault, "{behind:?}");
    }
}

#[test]
fn a_refused_starttls_leaves_commands() {
    for reply in ["454 no\r\n", "502 what\r\n", "250 hm\r\n"] {
        let mut talk = asked();
        assert_eq!(talk.server(reply), None);
        assert_eq!(talk.expect(), Expect::Command);
    }
}
