//! Exact lines for every kind of entry, in every format.

use crate::engine::{Message, Reason, Record, TlsEvent, What};
use crate::flow::{Direction, Endpoint};
use crate::guard::{Action, Excess, Row, Rule};
use crate::smtp::Fault;
use crate::tcp::Violation;
use crate::time::Instant;

use super::{Format, Scribe, Zone, escape, shown, write, write_left_out};

/// 2001-02-07 17:01:20.5 UTC: the article's own minute.
const AT: u64 = 981_565_280_500_000;

fn record(micros: u64, what: What) -> Record {
    Record {
        at: Instant::from_micros(micros),
        flow: 7,
        originator: Endpoint { address: [192, 0, 2, 1].into(), port: 40_000 },
        responder: Endpoint { address: "2001:db8::25".parse().unwrap(), port: 25 },
        what,
        message: None,
    }
}

fn text_at(micros: u64, what: What) -> String {
    let mut out = Vec::new();
    write(&record(micros, what), Format::Text, Zone::Utc, &mut out);
    String::from_utf8(out).unwrap()
}

fn text(what: What) -> String {
    let line = text_at(AT, what);
    line.strip_prefix("2/7/01 5:01:20 PM : ").unwrap().strip_suffix('\n').unwrap().to_owned()
}

fn json(what: What) -> String {
    let mut out = Vec::new();
    write(&record(AT, what), Format::Json, Zone::Local, &mut out);
    let line = String::from_utf8(out).unwrap();
    let head = "{\"time\":\"2001-02-07T17:01:20.500000Z\",\"flow\":7,\
                \"client\":\"192.0.2.1:40000\",\"server\":\"[2001:db8::25]:25\",";
    line.strip_prefix(head).unwrap().strip_suffix("}\n").unwrap().to_owned()
}

fn syslog(what: What) -> Option<String> {
    syslog_as(what, None)
}

/// The same where the flow has the messages of a PIX or an ASA.
fn syslog_as(what: What, message: Option<Message>) -> Option<String> {
    let mut out = Vec::new();
    write(&Record { message, ..record(AT, what) }, Format::Syslog, Zone::Utc, &mut out);
    let line = String::from_utf8(out).unwrap();
    let message = line.strip_prefix("Feb 07 2001 17:01:20: ")?;
    Some(message.strip_suffix('\n').unwrap().to_owned())
}

fn command(line: &[u8]) -> What {
    What::Command { offset: 3, line: line.to_vec(), length: line.len() as u64 }
}

fn reply(offset: u64, line: &[u8]) -> What {
    What::Reply { offset, line: line.to_vec(), length: line.len() as u64 }
}

fn banner(line: &[u8]) -> What {
    What::Banner { offset: 0, line: line.to_vec(), length: line.len() as u64 }
}

fn edited(direction: Direction, offset: u64, rule: Rule, before: &[u8], after: &[u8]) -> What {
    let (before, after, length) = (before.to_vec(), after.to_vec(), before.len() as u64);
    What::Edited { direction, offset, rule, patches: Vec::new(), before, after, length }
}

#[test]
fn text_is_the_articles_protocol_log() {
    assert_eq!(
        text_at(AT, What::Opened),
        "2/7/01 5:01:20 PM : A connection was accepted from 192.0.2.1\n"
    );
    assert_eq!(text(command(b"HELO mail.domain1.com")), "<<< HELO mail.domain1.com");
    assert_eq!(text(reply(0, b"250 OK")), ">>> 250 OK");
    assert_eq!(text(banner(b"220 hi")), ">>> 220 hi");
}

#[test]
fn twelve_oclock_is_twelve() {
    let midnight = AT - 61_280_500_000;
    assert!(text_at(midnight, What::Opened).starts_with("2/7/01 12:00:00 AM : "));
    assert!(text_at(midnight + 43_200_000_000, What::Opened).starts_with("2/7/01 12:00:00 PM : "));
    assert!(text_at(midnight - 1, What::Opened).starts_with("2/6/01 11:59:59 PM : "));
}

#[test]
fn a_time_beyond_the_calendar_is_its_end() {
    assert!(text_at(u64::MAX, What::Opened).starts_with("12/30/99 "));
    let mut out = Vec::new();
    write(&record(u64::MAX, What::Opened), Format::Json, Zone::Utc, &mut out);
    assert!(out.starts_with(b"{\"time\":\"9999-12-30T"));
}

#[test]
fn what_the_article_has_no_words_for() {
    let direction = Direction::Original;
    assert_eq!(text(What::DataBegin { offset: 90 }), "*** client offset 90: data begins");
    assert_eq!(
        text(What::DataEnd { offset: 100, length: 10 }),
        "*** client offset 100: data ends, 10 bytes"
    );
    assert_eq!(
        text(edited(direction, 0, Rule::Verb, b"EHLO \"a\"", b"XXXX XXX")),
        r#"*** client offset 0: verb: "EHLO \"a\"" -> "XXXX XXX""#
    );
    assert_eq!(
        text(What::Dropped { direction, offset: 5, length: 1, reason: Reason::AwaitingReply }),
        "*** client offset 5: dropped 1 byte: awaiting-reply"
    );
    assert_eq!(
        text(What::Cut { direction, offset: 6, length: 40, reason: Reason::AwaitingReply }),
        "*** client offset 6: cut 40 bytes: awaiting-reply"
    );
    assert_eq!(
        text(What::Missed { direction, length: 1 }),
        "*** client: 1 byte not seen, what follows is uncertain"
    );
    assert_eq!(
        text(What::Reset { reason: Reason::AwaitingReply }),
        "*** The connection from 192.0.2.1 was reset: awaiting-reply"
    );
    let fault = Fault::UnexpectedReply;
    assert_eq!(
        text(What::Alarm { direction: Direction::Reply, offset: 9, fault }),
        "*** server offset 9: alarm: unexpected-reply"
    );
    assert_eq!(
        text(What::Tls(TlsEvent::Begin { offer: None })),
        "*** TLS begins on the connection from 192.0.2.1"
    );
    assert_eq!(text(What::Closed), "*** The connection from 192.0.2.1 was closed");
}

#[test]
fn json_says_the_same_in_a_fixed_order() {
    let direction = Direction::Reply;
    assert_eq!(json(What::Opened), r#""event":"opened""#);
    assert_eq!(
        json(command(b"NOOP")),
        r#""event":"command","side":"client","offset":3,"line":"NOOP""#
    );
    assert_eq!(
        json(banner(b"220 a")),
        r#""event":"banner","side":"server","offset":0,"line":"220 a""#
    );
    assert_eq!(
        json(reply(7, b"250 a")),
        r#""event":"reply","side":"server","offset":7,"line":"250 a""#
    );
    assert_eq!(
        json(What::DataBegin { offset: 9 }),
        r#""event":"data-begin","side":"client","offset":9"#
    );
    assert_eq!(
        json(What::DataEnd { offset: 9, length: 5 }),
        r#""event":"data-end","side":"client","offset":9,"length":5"#
    );
    assert_eq!(
        json(edited(direction, 4, Rule::Banner, b"a", b"*")),
        r#""event":"edited","side":"server","offset":4,"rule":"banner","before":"a","after":"*""#
    );
    assert_eq!(
        json(What::Dropped { direction, offset: 4, length: 2, reason: Reason::AwaitingReply }),
        r#""event":"dropped","side":"server","offset":4,"length":2,"reason":"awaiting-reply""#
    );
    assert_eq!(
        json(What::Cut { direction, offset: 4, length: 2, reason: Reason::AwaitingReply }),
        r#""event":"cut","side":"server","offset":4,"length":2,"reason":"awaiting-reply""#
    );
    assert_eq!(
        json(What::Missed { direction, length: 7 }),
        r#""event":"missed","side":"server","length":7"#
    );
    let reason = Reason::AwaitingReply;
    assert_eq!(json(What::Reset { reason }), r#""event":"reset","reason":"awaiting-reply""#);
    assert_eq!(
        json(What::Alarm { direction, offset: 1, fault: Fault::UnexpectedReply }),
        r#""event":"alarm","side":"server","offset":1,"fault":"unexpected-reply""#
    );
    assert_eq!(json(What::Tls(TlsEvent::Begin { offer: None })), r#""event":"tls-begin""#);
    assert_eq!(json(What::Closed), r#""event":"closed""#);
}

const CLIENT: &str = "outside:192.0.2.1/40000";
const SERVER: &str = "inside:2001:db8::25/25";

#[test]
fn what_is_cut_says_so_and_nobody_can_say_it_instead() {
    let cut = What::Command { offset: 0, line: b"NOOP a".to_vec(), length: 16_385 };
    assert_eq!(text(cut.clone()), r"<<< NOOP a\...[16385 bytes]");
    assert_eq!(
        json(cut),
        r#""event":"command","side":"client","offset":0,"length":16385,"line":"NOOP a""#
    );
    assert_eq!(text(command(br"NOOP a\...[9 bytes]")), r"<<< NOOP a\\...[9 bytes]");
    let (direction, rule) = (Direction::Original, Rule::Verb);
    let (before, after) = (b"VR".to_vec(), b"XX".to_vec());
    let patches = Vec::new();
    let edit = What::Edited { direction, offset: 0, rule, patches, before, after, length: 600 };
    assert_eq!(
        text(edit.clone()),
        r#"*** client offset 0: verb: "VR\...[600 bytes]" -> "XX\...[600 bytes]""#
    );
    assert_eq!(
        syslog(edit),
        Some(format!(
            r#"%MAILGUARD-4-verb: changed "VR\...[600 bytes]" from {CLIENT} to {SERVER}"#
        ))
    );
}

#[test]
fn entries_left_out_are_numbered_in_every_format() {
    let left_out = |format, entries| {
        let mut out = Vec::new();
        write_left_out(Instant::from_micros(AT), entries, format, Zone::Utc, &mut out);
        String::from_utf8(out).unwrap()
    };
    assert_eq!(left_out(Format::Text, 1), "2/7/01 5:01:20 PM : *** 1 entry left out\n");
    assert_eq!(left_out(Format::Text, 7), "2/7/01 5:01:20 PM : *** 7 entries left out\n");
    assert_eq!(
        left_out(Format::Json, 7),
        "{\"time\":\"2001-02-07T17:01:20.500000Z\",\"event\":\"left-out\",\"entries\":7}\n"
    );
    assert_eq!(
        left_out(Format::Syslog, 7),
        "Feb 07 2001 17:01:20: %MAILGUARD-4-left-out: 7 entries are not in this log\n"
    );
}

#[test]
fn edits_that_are_not_shown_are_counted_in_every_format() {
    let (direction, rule) = (Direction::Original, Rule::Lookalike);
    let unshown = || What::Unshown { direction, offset: 38, rule, bytes: 24 };
    assert_eq!(text(unshown()), "*** client offset 38: lookalike: edits of 24 bytes are not shown");
    let object = r#""event":"unshown","side":"client","offset":38,"rule":"lookalike","length":24"#;
    assert_eq!(json(unshown()), object);
    assert_eq!(
        syslog(unshown()),
        Some(format!(
            "%MAILGUARD-4-lookalike: left out the edits of 24 bytes from {CLIENT} to {SERVER}"
        ))
    );
}

#[test]
fn syslog_says_what_the_original_said() {
    let replaced = |is_asa| {
        let what = edited(Direction::Original, 0, Rule::Address, b"TO:<a|b>>", b"TO:<a b> ");
        syslog_as(what, Some(Message::Replaced { is_asa })).unwrap()
    };
    let said = "108002: SMTP replaced |>: out 192.0.2.1 in 2001:db8::25 data: TO:<a|b>>";
    assert_eq!(replaced(false), format!("%PIX-2-{said}"));
    assert_eq!(replaced(true), format!("%ASA-2-{said}"));
    let what = edited(Direction::Original, 0, Rule::Address, b"|", b"|");
    let request = format!("ESMTP Request from {CLIENT} to {SERVER}");
    assert_eq!(
        syslog_as(what, Some(Message::SpecialCharacter)).unwrap(),
        format!(
            "%ASA-6-108005: ESMTP Parameter: Received {request}; special-character: Special \
             character in mail address"
        )
    );
    let what = edited(Direction::Original, 0, Rule::Patch, b"TO:<a`b`>", b"TO:<a`b`>");
    assert_eq!(
        syslog_as(what, Some(Message::MaliciousAddress)).unwrap(),
        format!(
            "%ASA-2-108003: Terminating ESMTP connection; malicious pattern detected in the mail \
             address from {CLIENT} to {SERVER}. Mail Address:<a`b`>"
        )
    );
    let begin = What::Tls(TlsEvent::Begin { offer: None });
    assert_eq!(
        syslog_as(begin, Some(Message::TlsStarted)).unwrap(),
        format!(
            "%ASA-6-108007: TLS started on ESMTP session between client {CLIENT} and server \
             {SERVER}"
        )
    );
    let excess = Excess { rule: Rule::DeclaredSize, count: 1_001, limit: 1_000, is_end: false };
    let what = What::Exceeded { direction: Direction::Original, offset: 87, excess };
    assert_eq!(
        syslog_as(what, Some(Message::LargerThanDeclared)).unwrap(),
        format!(
            "%ASA-7-108006: Detected ESMTP size violation from {CLIENT} to {SERVER}; declared size \
             is: 1000, actual size is 1001"
        )
    );
}

#[test]
fn syslog_names_the_row_of_an_asas_map() {
    let row = |action| Row { class: 4, condition: "header line length", action };
    let excess = Excess { rule: Rule::HeaderLine, count: 999, limit: 998, is_end: true };
    let met = |action| {
        let what = What::Exceeded { direction: Direction::Original, offset: 87, excess };
        syslog_as(what, Some(Message::Met(row(action)))).unwrap()
    };
    let told = format!(
        "ESMTP Request from {CLIENT} to {SERVER}; matched Class 4: header line length gt 998"
    );
    for (action, number, did) in [
        (Action::DropConnection, "4-108004", "Dropped connection for"),
        (Action::Log, "6-108005", "Received"),
        (Action::Reset, "4-108004", "Reset connection for"),
    ] {
        let expected = format!("%ASA-{number}: ESMTP Classification: {did} {told}");
        assert_eq!(met(action), expected);
    }
    let masked = edited(Direction::Reply, 0, Rule::EhloKeyword, b"HELP", b"XXXA");
    let row_of_masks =
        Row { class: 7, condition: "ehlo-reply-parameter others", action: Action::Mask };
    assert_eq!(
        syslog_as(masked, Some(Message::Met(row_of_masks))).unwrap(),
        format!(
            "%ASA-4-108004: ESMTP Classification: Masked header flags for ESMTP Response from \
             {SERVER} to {CLIENT}; matched Class 7: ehlo-reply-parameter others"
        )
    );
    let ended = |action, is_guide| {
        let what = What::Reset { reason: Reason::Rule(Rule::HeaderLine) };
        syslog_as(what, Some(Message::Terminated { row: row(action), is_guide })).unwrap()
    };
    let flow = format!(
        "507003: tcp flow from {CLIENT} to {SERVER} terminated by inspection engine, reason - \
         inspector"
    );
    assert_eq!(
        ended(Action::DropConnection, false),
        format!("%ASA-4-{flow} disconnected, dropped packet.")
    );
    assert_eq!(ended(Action::Reset, true), format!("%ASA-3-{flow} reset unconditionally."));
}

#[test]
fn syslog_lends_no_number_to_what_the_original_had_no_message_for() {
    let (client, server) = (Direction::Original, Direction::Reply);
    let ours = |rest: &str| Some(format!("%MAILGUARD-4-{rest}"));
    for (rule, before, shown) in [
        (Rule::Address, &b"|"[..], "|"),
        (Rule::CommandGap, b"\t", "\\x09"),
        (Rule::Lookalike, b".\n", ".\\n"),
        (Rule::StrayBytes, b"\rVRFY", "\\rVRFY"),
        (Rule::Verb, b"EHLO \"\r\n%ASA-1", "EHLO \\\"\\r\\n%ASA-1"),
    ] {
        let after = vec![b'X'; before.len()];
        let rest = format!("{rule}: changed \"{shown}\" from {CLIENT} to {SERVER}");
        assert_eq!(syslog(edited(client, 0, rule, before, &after)), ours(&rest));
    }
    assert_eq!(
        syslog(What::Tls(TlsEvent::Begin { offer: None })),
        Some(format!("%MAILGUARD-6-tls-begin: saw TLS begin from {CLIENT} to {SERVER}"))
    );
    assert_eq!(
        syslog(edited(client, 0, Rule::LongLine, b"a", b"a")),
        ours(&format!("long-line: saw \"a\" from {CLIENT} to {SERVER}"))
    );
    let fault = Fault::UnexpectedReply;
    assert_eq!(
        syslog(What::Alarm { direction: server, offset: 9, fault }),
        ours(&format!("unexpected-reply: saw bytes from {SERVER} to {CLIENT}"))
    );
    let (offset, length) = (5, 1);
    for reason in [Violation::StrayReset.into(), Reason::FlowReset, Reason::SplitTerminator] {
        assert_eq!(
            syslog(What::Dropped { direction: server, offset, length, reason }),
            ours(&format!("{reason}: dropped {length} bytes from {SERVER} to {CLIENT}"))
        );
        assert_eq!(
            syslog(What::Reset { reason }),
            ours(&format!("{reason}: reset the connection from {CLIENT} to {SERVER}"))
        );
    }
}

#[test]
fn syslog_is_silent_where_the_original_was() {
    let direction = Direction::Original;
    let reason = Reason::AwaitingReply;
    for what in [
        What::Opened,
        banner(b"a"),
        command(b"EHLO a"),
        reply(0, b"a"),
        What::DataBegin { offset: 0 },
        What::DataEnd { offset: 9, length: 9 },
        edited(Direction::Reply, 0, Rule::Banner, b"a", b"*"),
        edited(Direction::Reply, 0, Rule::EhloKeyword, b"CHUNKING", b"XXXXXXXA"),
        What::Dropped { direction, offset: 0, length: 1, reason },
        What::Dropped { direction, offset: 0, length: 1, reason: Violation::OutOfOrder.into() },
        What::Cut { direction, offset: 0, length: 1, reason },
        What::Missed { direction, length: 1 },
        What::Closed,
    ] {
        assert_eq!(syslog(what), None);
    }
}

#[test]
fn no_line_can_be_forged_and_no_terminal_driven() {
    let hostile =
        b"a\\b\r\n2/7/01 \x1b[2J\x00\x7f\xff\xc2\x9b \xe2\x80\xae \xe2\x80\xa8 \xc3\xa9\"";
    let shown = "a\\\\b\\r\\n2/7/01 \\x1B[2J\\x00\\x7F\\xFF\\xC2\\x9B \\xE2\\x80\\xAE \
                 \\xE2\\x80\\xA8 \u{e9}\"";
    assert_eq!(text(command(hostile)), format!("<<< {shown}"));
    let parsed: serde_json::Value =
        serde_json::from_str(&format!("{{{}}}", json(command(hostile)))).unwrap();
    assert_eq!(parsed["line"], shown);
}

#[test]
fn escaping_loses_nothing() {
    let every: Vec<u8> = (0..=255).chain("\u{202e}\u{e9}\u{1f600}\\x41".bytes()).collect();
    let mut escaped = String::new();
    escape(&every, &mut escaped);
    assert!(!escaped.contains(char::is_control));
    assert_eq!(unescape(&escaped), every);
    // No characters, and so nothing that XML has a place for.
    escaped.clear();
    escape("\u{fffe}\u{ffff}".as_bytes(), &mut escaped);
    assert_eq!(escaped, "\\xEF\\xBF\\xBE\\xEF\\xBF\\xBF");
}

/// What a reader of the log does.
fn unescape(text: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut rest = text.as_bytes();
    while let [first, tail @ ..] = rest {
        rest = match (first, tail) {
            (b'\\', [b'r', tail @ ..]) => {
                bytes.push(b'\r');
                tail
            }
            (b'\\', [b'n', tail @ ..]) => {
                bytes.push(b'\n');
                tail
            }
            (b'\\', [b'\\', tail @ ..]) => {
                bytes.push(b'\\');
                tail
            }
            (b'\\', [b'x', high, low, tail @ ..]) => {
                let digits = [*high, *low];
                let digits = std::str::from_utf8(&digits).unwrap();
                bytes.push(u8::from_str_radix(digits, 16).unwrap());
                tail
            }
            (b'\\', _) => panic!("a lone backslash in {text}"),
            (plain, tail) => {
                bytes.push(*plain);
                tail
            }
        };
    }
    bytes
}

#[test]
fn a_limit_that_was_passed_is_told_with_both_numbers() {
    let excess = Excess { rule: Rule::FailedAuth, count: 11, limit: 10, is_end: true };
    let what = What::Exceeded { direction: Direction::Original, offset: 87, excess };
    assert_eq!(
        text(what.clone()),
        "*** The connection from 192.0.2.1 has passed a limit: failed-auth, 11 of 10"
    );
    assert_eq!(
        json(what.clone()),
        "\"event\":\"exceeded\",\"side\":\"client\",\"offset\":87,\"rule\":\"failed-auth\",\
         \"count\":11,\"limit\":10"
    );
    let start =
        "%MAILGUARD-4-failed-auth: counted 11 where 10 is the limit from outside:192.0.2.1/";
    assert!(syslog(what).unwrap().starts_with(start));
    // The server's bytes may show it: it is the client's all the same.
    let what = What::Exceeded { direction: Direction::Reply, offset: 87, excess };
    assert!(syslog(what).unwrap().starts_with(start));
}

#[test]
fn dates_of_one_second_are_made_once_and_are_right() {
    let micros = [AT, AT + 1, AT + 499_999, AT + 500_000, AT, 0, u64::MAX, u64::MAX, AT + 7];
    for format in [Format::Text, Format::Json, Format::Syslog] {
        for zone in [Zone::Utc, Zone::Local, Zone::Undated] {
            let mut scribe = Scribe::new(format, zone);
            let (mut whole, mut single) = (Vec::new(), Vec::new());
            for at in micros {
                let reset = record(at, What::Reset { reason: Reason::FlowReset });
                scribe.write(&reset, &mut whole);
                write(&reset, format, zone, &mut single);
                scribe.write_left_out(reset.at, 3, &mut whole);
                write_left_out(reset.at, 3, format, zone, &mut single);
            }
            assert_eq!(whole.escape_ascii().to_string(), single.escape_ascii().to_string());
            let lines = whole.split(|byte| *byte == b'\n').count() - 1;
            assert_eq!(lines, 2 * micros.len(), "{format:?} {zone:?}");
        }
    }
}

#[test]
fn ends_are_shown_as_anybody_shows_them() {
    for address in ["0.0.0.0", "9.10.99.100", "255.255.255.255", "2001:db8::1", "::ffff:1.2.3.4"] {
        for port in [0, 9, 25, 65_535] {
            let end = Endpoint { address: address.parse().unwrap(), port };
            assert_eq!(shown(end), end.to_string());
        }
    }
}

#[test]
fn whatever_was_said_a_line_is_one_object() {
    for byte in 0..=u8::MAX {
        for said in [&[byte][..], &[b'a', byte, b'"', byte, b'\\'], &[0xc3, byte, 0xe2, 0x80]] {
            let mut out = Vec::new();
            write(&record(AT, command(said)), Format::Json, Zone::Utc, &mut out);
            assert_eq!(out.iter().filter(|byte| **byte == b'\n').count(), 1);
            let object: serde_json::Value = serde_json::from_slice(&out).unwrap();
            let mut expected = String::new();
            escape(said, &mut expected);
            assert_eq!(object["line"], expected.as_str(), "{byte}");
            assert_eq!((&object["flow"], &object["offset"]), (&7.into(), &3.into()));
        }
    }
}
