//! The json format: one object a line, keys always in the same order, absent where they say
//! nothing.
//!
//! `time` is RFC 3339 in UTC with microseconds; `length` beside a line or an edit says that it was
//! cut, and how long it was. `line`, `before` and `after` hold bytes escaped by
//! [`escape`](super::escape) before json's own escaping: whoever reads the string undoes both.

use jiff::Zoned;
use serde::Serialize;

use crate::engine::{Record, TlsEvent, What};
use crate::flow::Direction;
use crate::tcp::Violation;
use crate::tls::{ClientHello, ServerHello, fingerprint};

use super::tls::{alert_word, group, groups, protocols, server_name, suite};
use super::{escaped, shown, side};

/// One line of the log, in the order of its keys.
#[derive(Default, Serialize)]
struct Entry<'a> {
    time: &'a str,
    flow: u64,
    client: String,
    server: String,
    event: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    side: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    offset: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    rule: Option<&'static str>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    patches: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    before: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    after: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    length: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    fault: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    line: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    entries: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    count: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    limit: Option<u32>,
    #[serde(flatten)]
    tls: Option<Tls>,
}

/// What an entry says of TLS.
#[derive(Default, Serialize)]
struct Tls {
    #[serde(skip_serializing_if = "Option::is_none")]
    version: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cipher: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    group: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    sni: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    alpn: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    groups: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    shares: Vec<String>,
    #[serde(skip_serializing_if = "is_false")]
    ech: bool,
    #[serde(skip_serializing_if = "is_false")]
    early_data: bool,
    #[serde(skip_serializing_if = "is_false")]
    retried: bool,
    #[serde(skip_serializing_if = "is_false")]
    resumed: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    ja4: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    alert: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    after: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    client_records: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    client_bytes: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    server_records: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    server_bytes: Option<u64>,
    #[serde(skip_serializing_if = "is_false")]
    truncated: bool,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks so")]
const fn is_false(value: &bool) -> bool {
    !*value
}

/// Appends one line.
pub(super) fn write(record: &Record, time: &str, out: &mut Vec<u8>) {
    let entry = Entry {
        time,
        flow: record.flow,
        client: shown(record.originator),
        server: shown(record.responder),
        ..describe(&record.what)
    };
    append(&entry, out);
}

/// A line that belongs to no flow.
#[derive(Serialize)]
struct Notice<'a> {
    time: &'a str,
    event: &'static str,
    entries: u64,
}

/// Appends a line about entries that are missing.
pub(super) fn write_left_out(entries: u64, time: &str, out: &mut Vec<u8>) {
    append(&Notice { time, event: "left-out", entries }, out);
}

/// The date of a second, in UTC.
pub(super) fn date(at: &Zoned) -> String {
    at.strftime("%Y-%m-%dT%H:%M:%S").to_string()
}

/// The date of these microseconds of the second whose date it is, or of others of it.
pub(super) fn date_within(date: &mut String, micros: i32) {
    date.truncate(DATE_BYTES);
    date.push('.');
    let digit = |place: u32| char::from_digit((micros.unsigned_abs() / place) % 10, 10);
    date.extend([100_000, 10_000, 1_000, 100, 10, 1].into_iter().filter_map(digit));
    date.push('Z');
}

/// The date of a second.
const DATE_BYTES: usize = "2001-02-07T17:01:20".len();

fn append(line: &impl Serialize, out: &mut Vec<u8>) {
    let start = out.len();
    // Strings and numbers into memory: this cannot fail, and half a line must never be left.
    if serde_json::to_writer(&mut *out, line).is_err() {
        out.truncate(start);
        return;
    }
    out.push(b'\n');
}

/// What an entry is found by.
pub(super) struct Words {
    pub(super) event: &'static str,
    pub(super) side: Option<&'static str>,
    pub(super) offset: Option<u64>,
    pub(super) rule: Option<&'static str>,
    pub(super) reason: Option<&'static str>,
    pub(super) fault: Option<&'static str>,
    pub(super) patches: Vec<String>,
}

/// The same words that stand in its object.
pub(super) fn words(what: &What) -> Words {
    let Entry { event, side, offset, rule, reason, fault, patches, .. } = describe(what);
    Words { event, side, offset, rule, reason, fault, patches }
}

fn describe(what: &What) -> Entry<'static> {
    match what {
        What::Opened => event("opened"),
        What::Banner { offset, line, length } => {
            said(placed("banner", Direction::Reply, *offset), line, *length)
        }
        What::Command { offset, line, length } => {
            said(placed("command", Direction::Original, *offset), line, *length)
        }
        What::Reply { offset, line, length } => {
            said(placed("reply", Direction::Reply, *offset), line, *length)
        }
        What::DataBegin { offset } => placed("data-begin", Direction::Original, *offset),
        What::DataEnd { offset, length } => {
            Entry { length: Some(*length), ..placed("data-end", Direction::Original, *offset) }
        }
        What::Edited { direction, offset, rule, patches, before, after, length } => Entry {
            length: if_cut(before, *length),
            rule: Some(rule.name()),
            patches: patches.iter().map(ToString::to_string).collect(),
            before: Some(escaped(before)),
            after: Some(escaped(after)),
            ..placed("edited", *direction, *offset)
        },
        What::Dropped { direction, offset, length, reason } => Entry {
            length: Some(*length),
            reason: Some(reason.name()),
            ..placed("dropped", *direction, *offset)
        },
        What::Cut { direction, offset, length, reason } => Entry {
            length: Some(*length),
            reason: Some(reason.name()),
            ..placed("cut", *direction, *offset)
        },
        What::Missed { direction, length } => {
            Entry { side: Some(side(*direction)), length: Some(*length), ..event("missed") }
        }
        What::Reset { reason } => Entry { reason: Some(reason.name()), ..event("reset") },
        What::Alarm { direction, offset, fault } => {
            Entry { fault: Some(fault.name()), ..placed("alarm", *direction, *offset) }
        }
        What::Contradiction { direction, offset } => {
            let fault = Some(Violation::Contradiction.name());
            Entry { fault, ..placed("alarm", *direction, *offset) }
        }
        What::Exceeded { direction, offset, excess } => Entry {
            rule: Some(excess.rule.name()),
            count: Some(excess.count),
            limit: Some(excess.limit),
            ..placed("exceeded", *direction, *offset)
        },
        What::Unshown { direction, offset, bytes } => {
            Entry { length: Some(*bytes), ..placed("unshown", *direction, *offset) }
        }
        What::LeftOut { entries } => Entry { entries: Some(*entries), ..event("left-out") },
        What::Tls(event) => describe_tls(event),
        What::Noticed { direction, notice } => {
            Entry { side: Some(side(*direction)), ..event(notice.name()) }
        }
        What::Closed => event("closed"),
    }
}

fn describe_tls(what: &TlsEvent) -> Entry<'static> {
    match what {
        TlsEvent::Begin { hello } => with_tls(event("tls-begin"), hello.as_deref().map(begun)),
        TlsEvent::Agreed { hello } => with_tls(event("tls-agreed"), Some(agreed(hello))),
        TlsEvent::Failed { by, alert, stage } => {
            let alert = alert.map(alert_word);
            let entry = Entry { side: by.map(side), ..event("tls-failed") };
            with_tls(entry, Some(Tls { alert, after: Some(stage), ..Tls::default() }))
        }
        TlsEvent::End { client, server, is_truncated } => with_tls(
            event("tls-end"),
            Some(Tls {
                client_records: Some(client.0),
                client_bytes: Some(client.1),
                server_records: Some(server.0),
                server_bytes: Some(server.1),
                truncated: *is_truncated,
                ..Tls::default()
            }),
        ),
        TlsEvent::Alarm { direction, offset, fault } => {
            Entry { fault: Some(fault.name()), ..placed("alarm", *direction, *offset) }
        }
        TlsEvent::Rule { rule } => Entry { rule: Some(rule.name()), ..event("tls-rule") },
    }
}

fn with_tls(entry: Entry<'static>, tls: Option<Tls>) -> Entry<'static> {
    Entry { tls, ..entry }
}

fn begun(hello: &ClientHello) -> Tls {
    Tls {
        version: Some(hello.highest_version().to_string()),
        sni: server_name(hello).map(str::to_owned),
        alpn: protocols(hello),
        groups: groups(&hello.groups),
        shares: groups(&hello.key_shares),
        ech: hello.has_encrypted_hello,
        early_data: hello.has_early_data,
        ja4: Some(fingerprint(hello)),
        ..Tls::default()
    }
}

fn agreed(hello: &ServerHello) -> Tls {
    Tls {
        version: Some(hello.version.to_string()),
        cipher: Some(suite(hello.cipher_suite)),
        group: hello.group.map(group),
        retried: hello.is_retried,
        resumed: hello.is_resumed,
        ..Tls::default()
    }
}

fn event(event: &'static str) -> Entry<'static> {
    Entry { event, ..Entry::default() }
}

fn placed(name: &'static str, direction: Direction, offset: u64) -> Entry<'static> {
    Entry { side: Some(side(direction)), offset: Some(offset), ..event(name) }
}

fn said(entry: Entry<'static>, line: &[u8], length: u64) -> Entry<'static> {
    Entry { line: Some(escaped(line)), length: if_cut(line, length), ..entry }
}

/// The whole length of what is not there whole.
fn if_cut(bytes: &[u8], length: u64) -> Option<u64> {
    (length > bytes.len() as u64).then_some(length)
}
