//! Entries as datagrams for this machine's own log daemons, which date and keep them.
//!
//! * syslog: what `syslog(3)` sends, `<20>Feb  7 17:01:20 mailguard[7]: MESSAGE` (RFC 3164 4.1).
//!   The facility is mail.
//! * journal: systemd's native protocol, a field a line, with the words of an entry in fields of
//!   their own: whoever looks for a rule or a flow need not read messages.
//!
//! The message is the entry in any of the formats, undated. What a daemon might cut without a word
//! is cut here, and marked.

use std::borrow::Cow;

use super::severity::{WARNING, severity};
use super::{Format, Zone, date, json, shown, write, write_left_out, zoned};
use crate::engine::{Record, What};
use crate::time::Instant;

/// Who takes datagrams.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Daemon {
    /// systemd-journald, by its native protocol.
    Journal,
    /// Whoever listens at /dev/log.
    Syslog,
}

/// How entries become datagrams.
#[derive(Clone, Copy, Debug)]
pub struct Datagram {
    /// For whom.
    pub daemon: Daemon,
    /// The form of the message.
    pub format: Format,
    /// Which clock dates those for syslog.
    pub zone: Zone,
    /// The number of the process that sends them.
    pub sender: u32,
}

impl Datagram {
    /// Appends an entry; nothing if the format has no words for it.
    pub fn write(&self, record: &Record, out: &mut Vec<u8>) {
        let mut line = Vec::new();
        write(record, self.format, Zone::Undated, &mut line);
        let start = out.len();
        self.begin(record.at, severity(record), &line, out);
        if self.daemon == Daemon::Journal && out.len() > start {
            for (name, value) in fields(record) {
                append_field(name, &value, out);
            }
        }
    }

    /// Appends the entry that so many others are missing here.
    pub fn write_left_out(&self, at: Instant, entries: u64, out: &mut Vec<u8>) {
        let mut line = Vec::new();
        write_left_out(at, entries, self.format, Zone::Undated, &mut line);
        self.begin(at, WARNING, &line, out);
        if self.daemon == Daemon::Journal {
            append_field("EVENT", What::LEFT_OUT, out);
        }
    }

    /// Appends what every datagram has.
    fn begin(&self, at: Instant, severity: u8, line: &[u8], out: &mut Vec<u8>) {
        // Whatever others have sent is escaped in it, so it is one line.
        let line = String::from_utf8_lossy(line.trim_ascii_end());
        if line.is_empty() {
            return;
        }
        let message = bounded(&line);
        let text = match self.daemon {
            Daemon::Journal => format!(
                "MESSAGE={message}\nPRIORITY={severity}\nSYSLOG_FACILITY={MAIL}\n\
                 SYSLOG_IDENTIFIER=mailguard\n"
            ),
            Daemon::Syslog => {
                let date = zoned(date(at), self.zone).strftime("%b %e %H:%M:%S");
                let (priority, sender) = (MAIL * 8 + severity, self.sender);
                format!("<{priority}>{date} mailguard[{sender}]: {message}")
            }
        };
        out.extend_from_slice(text.as_bytes());
    }
}

/// A message that every daemon takes whole, marked where it was cut.
fn bounded(line: &str) -> Cow<'_, str> {
    if line.len() <= MESSAGE_MAX {
        return Cow::Borrowed(line);
    }
    let mark = format!("\\...[{} bytes]", line.len());
    let end = line.floor_char_boundary(MESSAGE_MAX - mark.len());
    Cow::Owned(line.get(..end).unwrap_or_default().to_owned() + &mark)
}

/// What an entry is found by: the keys that it has in json.
fn fields(record: &Record) -> impl Iterator<Item = (&'static str, Cow<'static, str>)> {
    let words = json::words(&record.what);
    let patches = (!words.patches.is_empty()).then(|| words.patches.join(" "));
    let borrowed = |name, word: Option<&'static str>| Some((name, Cow::Borrowed(word?)));
    let owned = |name, text: Option<String>| Some((name, Cow::Owned(text?)));
    [
        borrowed("EVENT", Some(words.event)),
        owned("FLOW", Some(record.flow.to_string())),
        owned("CLIENT", Some(shown(record.originator))),
        owned("SERVER", Some(shown(record.responder))),
        borrowed("SIDE", words.side),
        owned("OFFSET", words.offset.map(|offset| offset.to_string())),
        borrowed("RULE", words.rule),
        borrowed("REASON", words.reason),
        borrowed("FAULT", words.fault),
        owned("PATCHES", patches),
    ]
    .into_iter()
    .flatten()
}

fn append_field(name: &str, value: &str, out: &mut Vec<u8>) {
    out.extend_from_slice(format!("MAILGUARD_{name}={value}\n").as_bytes());
}

/// The facility of mail systems.
const MAIL: u8 = 2;

/// Bytes of a message: what rsyslog takes where nobody told it otherwise. Only edits of long binary
/// lines come near.
const MESSAGE_MAX: usize = 8_192;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::{Message, Reason};
    use crate::flow::{Direction, Endpoint};
    use crate::guard::Rule;

    /// 2001-02-07 17:01:20.5 UTC.
    const AT: Instant = Instant::from_micros(981_565_280_500_000);

    fn datagram(daemon: Daemon, format: Format, what: What) -> String {
        datagram_as(daemon, format, what, None)
    }

    fn datagram_as(daemon: Daemon, format: Format, what: What, message: Option<Message>) -> String {
        let record = Record {
            at: AT,
            flow: 7,
            originator: Endpoint { address: [192, 0, 2, 1].into(), port: 40_000 },
            responder: Endpoint { address: "2001:db8::25".parse().unwrap(), port: 25 },
            what,
            message,
        };
        let form = Datagram { daemon, format, zone: Zone::Utc, sender: 42 };
        let mut out = Vec::new();
        form.write(&record, &mut out);
        String::from_utf8(out).unwrap()
    }

    fn edited(rule: Rule, before: &[u8]) -> What {
        What::Edited {
            direction: Direction::Original,
            offset: 13,
            rule,
            patches: Vec::new(),
            before: before.to_vec(),
            after: b"X".repeat(before.len()),
            length: 600,
        }
    }

    #[test]
    fn syslog_gets_what_syslog_3_sends() {
        let cases = [
            (
                edited(Rule::Verb, b"VRFY a\nb"),
                "<20>Feb  7 17:01:20 mailguard[42]: *** client offset 13: verb: \"VRFY \
                 a\\nb\\...[600 bytes]\" -> \"XXXXXXXX\\...[600 bytes]\"",
            ),
            (
                What::Opened,
                "<22>Feb  7 17:01:20 mailguard[42]: A connection was accepted from 192.0.2.1",
            ),
        ];
        for (what, expected) in cases {
            assert_eq!(datagram(Daemon::Syslog, Format::Text, what), expected);
        }
        let asas = Some(Message::Replaced { is_asa: true });
        let what = || edited(Rule::Address, b"a b");
        let said = datagram_as(Daemon::Syslog, Format::Syslog, what(), asas);
        assert!(said.starts_with("<18>Feb  7 17:01:20 mailguard[42]: %ASA-2-108002: "), "{said}");
        let said = datagram(Daemon::Syslog, Format::Syslog, what());
        assert!(said.starts_with("<20>Feb  7 17:01:20 mailguard[42]: %MAILGUARD-4-address: "));
        assert_eq!(datagram(Daemon::Syslog, Format::Syslog, What::Closed), "");
    }

    #[test]
    fn the_journal_gets_fields() {
        assert_eq!(
            datagram(Daemon::Journal, Format::Text, edited(Rule::Verb, b"VRFY")),
            "MESSAGE=*** client offset 13: verb: \"VRFY\\...[600 bytes]\" -> \"XXXX\\...[600 \
             bytes]\"\nPRIORITY=4\nSYSLOG_FACILITY=2\nSYSLOG_IDENTIFIER=mailguard\n\
             MAILGUARD_EVENT=edited\nMAILGUARD_FLOW=7\nMAILGUARD_CLIENT=192.0.2.1:40000\n\
             MAILGUARD_SERVER=[2001:db8::25]:25\nMAILGUARD_SIDE=client\nMAILGUARD_OFFSET=13\n\
             MAILGUARD_RULE=verb\n"
        );
        let what = What::Reset { reason: Reason::AwaitingReply };
        let said = datagram(Daemon::Journal, Format::Json, what);
        assert!(said.starts_with("MESSAGE={\"time\":\"2001-02-07T17:01:20.5"), "{said}");
        assert!(said.contains("\nMAILGUARD_EVENT=reset\n"), "{said}");
        assert!(said.ends_with("\nMAILGUARD_REASON=awaiting-reply\n"), "{said}");
        // Nothing that somebody has sent makes a field, or another entry.
        let said = datagram(
            Daemon::Journal,
            Format::Text,
            What::Command { offset: 0, line: b"A\nPRIORITY=0\n\nB".to_vec(), length: 14 },
        );
        assert_eq!(said.matches('\n').count(), said.matches("=").count() - 1, "{said}");
        assert_eq!(datagram(Daemon::Journal, Format::Syslog, What::Closed), "");
    }

    #[test]
    fn what_is_left_out_is_said() {
        for (daemon, expected) in [
            (Daemon::Syslog, "<20>Feb  7 17:01:20 mailguard[42]: *** 3 entries left out"),
            (
                Daemon::Journal,
                "MESSAGE=*** 3 entries left out\nPRIORITY=4\nSYSLOG_FACILITY=2\n\
                 SYSLOG_IDENTIFIER=mailguard\nMAILGUARD_EVENT=left-out\n",
            ),
        ] {
            let mut out = Vec::new();
            Datagram { daemon, format: Format::Text, zone: Zone::Utc, sender: 42 }
                .write_left_out(AT, 3, &mut out);
            assert_eq!(String::from_utf8(out).unwrap(), expected);
        }
    }

    #[test]
    fn a_message_that_is_too_long_is_cut_and_says_so() {
        let fits = "é".repeat(4_096);
        assert_eq!(bounded(&fits), fits);
        let long = fits.clone() + "x";
        let cut = bounded(&long);
        let (kept, mark) = cut.split_once("\\...").unwrap();
        assert_eq!(mark, "[8193 bytes]");
        assert!(fits.starts_with(kept) && cut.len() <= 8_192 && cut.len() > 8_189);
        // Both halves of an edit are there whole, whatever was in them.
        let said =
            datagram(Daemon::Syslog, Format::Json, edited(Rule::Verb, &[1; LOGGED_BYTES_MAX]));
        assert!(said.contains("\"before\"") && said.contains("\"after\""), "{said}");
    }

    use crate::engine::LOGGED_BYTES_MAX;
}
