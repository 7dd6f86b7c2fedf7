//! Exact lines for every kind of entry, in every format.

use crate::engine::{Reason, Record, What};
use crate::flow::{Direction, Endpoint};
use crate::guard::Rule;
use crate::smtp::Fault;
use crate::tcp::Violation;
use crate::time::Instant;

use super::{Format, Zone, escape, write};

/// 2001-02-07 17:01:20.5 UTC: the article's own minute.
const AT: u64 = 981_565_280_500_000;

fn record(micros: u64, what: What) -> Record {
    Record {
        at: Instant::from_micros(micros),
        flow: 7,
        originator: Endpoint { address: [192, 0, 2, 1].into(), port: 40_000 },
        responder: Endpoint { address: "2001:db8::25".parse().unwrap(), port: 25 },
        what,
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
    let mut out = Vec::new();
    write(&record(AT, what), Format::Syslog, Zone::Utc, &mut out);
    let line = String::from_utf8(out).unwrap();
    let message = line.strip_prefix("Feb 07 2001 17:01:20: ")?;
    Some(message.strip_suffix('\n').unwrap().to_owned())
}

fn command(line: &[u8]) -> What {
    What::Command { offset: 3, line: line.to_vec() }
}

#[test]
fn text_is_the_articles_protocol_log() {
    assert_eq!(
        text_at(AT, What::Opened),
        "2/7/01 5:01:20 PM : A connection was accepted from 192.0.2.1\n"
    );
    assert_eq!(text(command(b"HELO mail.domain1.com")), "<<< HELO mail.domain1.com");
    assert_eq!(text(What::Reply { offset: 0, line: b"250 OK".to_vec() }), ">>> 250 OK");
    assert_eq!(text(What::Banner { offset: 0, line: b"220 hi".to_vec() }), ">>> 220 hi");
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
        text(What::Edited {
            direction,
            offset: 0,
            rule: Rule::Verb,
            before: b"EHLO \"a\"".to_vec(),
            after: b"XXXX XXX".to_vec(),
        }),
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
    assert_eq!(text(What::TlsBegin), "*** TLS begins on the connection from 192.0.2.1");
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
        json(What::Banner { offset: 0, line: b"220 a".to_vec() }),
        r#""event":"banner","side":"server","offset":0,"line":"220 a""#
    );
    assert_eq!(
        json(What::Reply { offset: 7, line: b"250 a".to_vec() }),
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
    let (before, after) = (b"a".to_vec(), b"*".to_vec());
    assert_eq!(
        json(What::Edited { direction, offset: 4, rule: Rule::Banner, before, after }),
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
    assert_eq!(json(What::TlsBegin), r#""event":"tls-begin""#);
    assert_eq!(json(What::Closed), r#""event":"closed""#);
}

const REQUEST: &str = "ESMTP Request from outside:192.0.2.1/40000 to inside:2001:db8::25/25";
const RESPONSE: &str = "ESMTP Response from inside:2001:db8::25/25 to outside:192.0.2.1/40000";
const TERMINATED: &str = "%ASA-4-507003: tcp flow from outside:192.0.2.1/40000 to \
                          inside:2001:db8::25/25 terminated by inspection engine, reason - \
                          inspector disconnected, dropped packet.";

#[test]
fn syslog_says_what_the_original_said() {
    let direction = Direction::Original;
    let edited = |rule, before: &[u8]| What::Edited {
        direction,
        offset: 0,
        rule,
        before: before.to_vec(),
        after: vec![b'X'; before.len()],
    };
    for (rule, before, data) in [
        (Rule::Address, &b"|"[..], "|"),
        (Rule::CommandGap, b"\t", "\\x09"),
        (Rule::Lookalike, b".\n", ".\\n"),
        (Rule::StrayBytes, b"\rVRFY", "\\rVRFY"),
        (Rule::Verb, b"EHLO a\r\n%ASA-1", "EHLO a\\r\\n%ASA-1"),
    ] {
        let message = "%ASA-2-108002: SMTP replaced string: out 192.0.2.1 in 2001:db8::25 data: ";
        assert_eq!(syslog(edited(rule, before)), Some(format!("{message}{data}")));
    }
    let (before, after) = (b"CHUNKING".to_vec(), b"XXXXXXXA".to_vec());
    let (rule, masked) = (Rule::EhloKeyword, Direction::Reply);
    assert_eq!(
        syslog(What::Edited { direction: masked, offset: 0, rule, before, after }),
        Some(format!(
            "%ASA-4-108004: ESMTP Classification: Masked header flags for {RESPONSE}; \
             matched ehlo-keyword"
        ))
    );
    let (rule, before, after) = (Rule::LongLine, b"a".to_vec(), b"a".to_vec());
    assert_eq!(
        syslog(What::Edited { direction, offset: 0, rule, before, after }),
        Some(format!("%ASA-6-108005: ESMTP Classification: Received {REQUEST}; matched long-line"))
    );
    let fault = Fault::UnexpectedReply;
    assert_eq!(
        syslog(What::Alarm { direction: Direction::Reply, offset: 9, fault }),
        Some(format!(
            "%ASA-6-108005: ESMTP Classification: Received {RESPONSE}; matched unexpected-reply"
        ))
    );
    assert_eq!(
        syslog(What::TlsBegin).as_deref(),
        Some(
            "%ASA-6-108007: TLS started on ESMTP session between client \
             outside:192.0.2.1/40000 and server inside:2001:db8::25/25"
        )
    );
}

#[test]
fn syslog_tells_a_dropped_packet_from_a_lost_connection() {
    let dropped = |direction, reason: Reason| {
        syslog(What::Dropped { direction, offset: 5, length: 1, reason })
    };
    let classified = |rest: String| Some(format!("%ASA-4-108004: ESMTP Classification: {rest}"));
    let (client, server) = (Direction::Original, Direction::Reply);
    let stray = Reason::from(Violation::StrayReset);
    assert_eq!(
        dropped(client, stray),
        classified(format!("Dropped {REQUEST}; matched stray-reset"))
    );
    assert_eq!(
        dropped(server, stray),
        classified(format!("Dropped {RESPONSE}; matched stray-reset"))
    );
    let split = format!("{REQUEST}; split-terminator: End of data in two segments");
    let parameter = |action| Some(format!("%ASA-4-108004: ESMTP Parameter: {action} {split}"));
    assert_eq!(dropped(client, Reason::SplitTerminator), parameter("Dropped"));
    let reset = |reason| syslog(What::Reset { reason });
    assert_eq!(reset(Reason::SplitTerminator), parameter("Reset connection for"));
    for (fault, route) in [(Fault::PlaintextForTls, REQUEST), (Fault::SkippedReply, RESPONSE)] {
        let rest = format!("Reset connection for {route}; matched {}", fault.name());
        assert_eq!(reset(fault.into()), classified(rest));
        assert_eq!(dropped(client, fault.into()).as_deref(), Some(TERMINATED));
    }
    let long = Reason::Rule(Rule::LongLine);
    assert_eq!(
        reset(long),
        classified(format!("Reset connection for {REQUEST}; matched long-line"))
    );
    for reason in [long, Reason::EarlyBytes, Reason::FlowReset, Reason::UnknownFlow] {
        assert_eq!(dropped(server, reason).as_deref(), Some(TERMINATED));
    }
}

#[test]
fn syslog_is_silent_where_the_original_was() {
    let (direction, line) = (Direction::Original, b"a".to_vec());
    let reason = Reason::AwaitingReply;
    let rule = Rule::Banner;
    for what in [
        What::Opened,
        What::Banner { offset: 0, line: line.clone() },
        command(b"EHLO a"),
        What::Reply { offset: 0, line: line.clone() },
        What::DataBegin { offset: 0 },
        What::DataEnd { offset: 9, length: 9 },
        What::Edited { direction, offset: 0, rule, before: line.clone(), after: line },
        What::Dropped { direction, offset: 0, length: 1, reason },
        What::Dropped { direction, offset: 0, length: 1, reason: Violation::OutOfOrder.into() },
        What::Cut { direction, offset: 0, length: 1, reason },
        What::Missed { direction, length: 1 },
        What::Closed,
    ] {
        let mut out = Vec::new();
        write(&record(AT, what), Format::Syslog, Zone::Utc, &mut out);
        assert!(out.is_empty());
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
