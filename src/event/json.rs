//! The json format: one object a line, keys always in the same order, absent where they say
//! nothing.
//!
//! `time` is RFC 3339 in UTC with microseconds; `length` beside a line or an edit says that it was
//! cut, and how long it was. `line`, `before` and `after` hold bytes escaped by
//! [`escape`](super::escape) before json's own escaping: whoever reads the string undoes both.

use itoa::Buffer;
use jiff::Zoned;
use serde::Serialize;

use crate::engine::{Record, TlsEvent, What};
use crate::flow::Direction;
use crate::speaker::Speaker;
use crate::tls::{ClientOffer, ServerHello};

use super::tls::{alert_word, group, groups, protocols, suite};
use super::{escaped, shown, side};

/// What an entry says beside its event and whose it is, in the order of its keys.
#[derive(Default)]
struct Entry {
    side: Option<&'static str>,
    offset: Option<u64>,
    rule: Option<&'static str>,
    patches: Vec<String>,
    before: Option<String>,
    after: Option<String>,
    length: Option<u64>,
    reason: Option<&'static str>,
    fault: Option<&'static str>,
    line: Option<String>,
    entries: Option<u64>,
    count: Option<u32>,
    limit: Option<u32>,
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

/// Appends one line. Serde would take three times as long to say it: what it is made of needs no
/// escapes but in what others have sent.
pub(super) fn write(record: &Record, time: &str, out: &mut Vec<u8>) {
    let entry = describe(&record.what);
    let mut object = Object::begin(time, out);
    object.number("flow", record.flow);
    object.word("client", &shown(record.originator));
    object.word("server", &shown(record.responder));
    object.word("event", record.what.name());
    object.word_if("side", entry.side);
    object.number_if("offset", entry.offset);
    object.word_if("rule", entry.rule);
    if !entry.patches.is_empty() {
        object.value("patches", &entry.patches);
    }
    object.text_if("before", entry.before.as_deref());
    object.text_if("after", entry.after.as_deref());
    object.number_if("length", entry.length);
    object.word_if("reason", entry.reason);
    object.word_if("fault", entry.fault);
    object.text_if("line", entry.line.as_deref());
    object.number_if("entries", entry.entries);
    object.number_if("count", entry.count.map(u64::from));
    object.number_if("limit", entry.limit.map(u64::from));
    if let Some(tls) = &entry.tls {
        object.members(tls);
    }
    object.end();
}

/// An object under way, each member straight into the line.
struct Object<'o>(&'o mut Vec<u8>);

impl<'o> Object<'o> {
    fn begin(time: &str, out: &'o mut Vec<u8>) -> Self {
        out.extend_from_slice(b"{\"time\":\"");
        out.extend_from_slice(time.as_bytes());
        out.push(b'"');
        Self(out)
    }

    fn end(self) {
        self.0.extend_from_slice(b"}\n");
    }

    fn key(&mut self, key: &str) {
        self.0.extend_from_slice(b",\"");
        self.0.extend_from_slice(key.as_bytes());
        self.0.extend_from_slice(b"\":");
    }

    fn number(&mut self, key: &str, number: u64) {
        self.key(key);
        self.0.extend_from_slice(Buffer::new().format(number).as_bytes());
    }

    fn number_if(&mut self, key: &str, number: Option<u64>) {
        if let Some(number) = number {
            self.number(key, number);
        }
    }

    /// A word of ours, or an address: nothing in it has to be escaped.
    fn word(&mut self, key: &str, word: &str) {
        self.key(key);
        self.0.push(b'"');
        self.0.extend_from_slice(word.as_bytes());
        self.0.push(b'"');
    }

    fn word_if(&mut self, key: &str, word: Option<&str>) {
        if let Some(word) = word {
            self.word(key, word);
        }
    }

    /// What others have said, in which few bytes have to be escaped.
    fn text_if(&mut self, key: &str, text: Option<&str>) {
        let Some(text) = text else { return };
        let is_odd = |byte: u8| byte < b' ' || byte == b'"' || byte == b'\\';
        if text.bytes().any(is_odd) {
            self.value(key, text);
        } else {
            self.word(key, text);
        }
    }

    /// Anything.
    fn value(&mut self, key: &str, value: &(impl Serialize + ?Sized)) {
        let start = self.0.len();
        self.key(key);
        self.append(start, value);
    }

    /// The members of an object.
    fn members(&mut self, object: &impl Serialize) {
        let start = self.0.len();
        self.append(start, object);
        // Its braces are not wanted, and a comma takes the place of the first.
        if self.0.len() > start + 2 {
            self.0.pop();
            self.0.iter_mut().skip(start).take(1).for_each(|brace| *brace = b',');
        } else {
            self.0.truncate(start);
        }
    }

    fn append(&mut self, start: usize, value: &(impl Serialize + ?Sized)) {
        // Strings and numbers into memory: this cannot fail, and half a member must never be left.
        if serde_json::to_writer(&mut *self.0, value).is_err() {
            self.0.truncate(start);
        }
    }
}

/// Appends a line about entries that are missing, which belongs to no flow.
pub(super) fn write_left_out(entries: u64, time: &str, out: &mut Vec<u8>) {
    let mut object = Object::begin(time, out);
    object.word("event", What::LEFT_OUT);
    object.number("entries", entries);
    object.end();
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
    let Entry { side, offset, rule, reason, fault, patches, .. } = describe(what);
    Words { event: what.name(), side, offset, rule, reason, fault, patches }
}

fn describe(what: &What) -> Entry {
    match what {
        What::Opened | What::Closed => Entry::default(),
        What::Banner { offset, line, length } => {
            said(placed(Direction::Reply, *offset), line, *length)
        }
        What::Command { offset, line, length } => {
            said(placed(Direction::Original, *offset), line, *length)
        }
        What::Reply { offset, line, length } => {
            said(placed(Direction::Reply, *offset), line, *length)
        }
        What::DataBegin { offset } => placed(Direction::Original, *offset),
        What::DataEnd { offset, length } => {
            Entry { length: Some(*length), ..placed(Direction::Original, *offset) }
        }
        What::Edited { direction, offset, rule, patches, before, after, length } => Entry {
            length: if_cut(before, *length),
            rule: Some(rule.name()),
            patches: patches.iter().map(ToString::to_string).collect(),
            before: Some(escaped(before)),
            after: Some(escaped(after)),
            ..placed(*direction, *offset)
        },
        What::Dropped { direction, offset, length, reason } => Entry {
            length: Some(*length),
            reason: Some(reason.name()),
            ..placed(*direction, *offset)
        },
        What::Cut { direction, offset, length, reason } => Entry {
            length: Some(*length),
            reason: Some(reason.name()),
            ..placed(*direction, *offset)
        },
        What::Missed { direction, length } => {
            Entry { side: Some(side(*direction)), length: Some(*length), ..Entry::default() }
        }
        What::Reset { reason } => Entry { reason: Some(reason.name()), ..Entry::default() },
        What::Alarm { direction, offset, fault } => {
            Entry { fault: Some(fault.name()), ..placed(*direction, *offset) }
        }
        What::Contradiction { direction, offset } => {
            Entry { fault: what.cause(), ..placed(*direction, *offset) }
        }
        What::Exceeded { direction, offset, excess } => Entry {
            rule: Some(excess.rule.name()),
            count: Some(excess.count),
            limit: Some(excess.limit),
            ..placed(*direction, *offset)
        },
        What::Unshown { direction, offset, rule, bytes } => {
            Entry { rule: Some(rule.name()), length: Some(*bytes), ..placed(*direction, *offset) }
        }
        What::LeftOut { entries } => Entry { entries: Some(*entries), ..Entry::default() },
        What::Tls(event) => describe_tls(event),
        What::Noticed { direction, .. } => {
            Entry { side: Some(side(*direction)), ..Entry::default() }
        }
    }
}

fn describe_tls(what: &TlsEvent) -> Entry {
    match what {
        TlsEvent::Begin { offer } => with_tls(Entry::default(), offer.as_deref().map(begun)),
        TlsEvent::Agreed { hello } => with_tls(Entry::default(), Some(agreed(hello))),
        TlsEvent::Failed { by, alert, stage } => {
            let alert = alert.map(alert_word);
            let entry = Entry { side: by.map(side), ..Entry::default() };
            with_tls(entry, Some(Tls { alert, after: Some(stage.name()), ..Tls::default() }))
        }
        TlsEvent::End { volume, is_truncated } => {
            let (client, server) = (volume[Speaker::Client], volume[Speaker::Server]);
            let tls = Tls {
                client_records: Some(client.records),
                client_bytes: Some(client.bytes),
                server_records: Some(server.records),
                server_bytes: Some(server.bytes),
                truncated: *is_truncated,
                ..Tls::default()
            };
            with_tls(Entry::default(), Some(tls))
        }
        TlsEvent::Alarm { direction, offset, fault } => {
            Entry { fault: Some(fault.name()), ..placed(*direction, *offset) }
        }
        TlsEvent::Rule { rule } => Entry { rule: Some(rule.name()), ..Entry::default() },
    }
}

fn with_tls(entry: Entry, tls: Option<Tls>) -> Entry {
    Entry { tls, ..entry }
}

fn begun(offer: &ClientOffer) -> Tls {
    Tls {
        version: Some(offer.version.to_string()),
        sni: offer.host().map(str::to_owned),
        alpn: protocols(offer),
        groups: groups(&offer.groups),
        shares: groups(&offer.key_shares),
        ech: offer.has_encrypted_hello,
        early_data: offer.has_early_data,
        ja4: Some(offer.fingerprint.clone()),
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

fn placed(direction: Direction, offset: u64) -> Entry {
    Entry { side: Some(side(direction)), offset: Some(offset), ..Entry::default() }
}

fn said(entry: Entry, line: &[u8], length: u64) -> Entry {
    Entry { line: Some(escaped(line)), length: if_cut(line, length), ..entry }
}

/// The whole length of what is not there whole.
fn if_cut(bytes: &[u8], length: u64) -> Option<u64> {
    (length > bytes.len() as u64).then_some(length)
}
