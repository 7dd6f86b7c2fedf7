//! One entry of the event log in any of its formats, or one word of it: what it means.
//!
//! What a peer said stands in an entry in quotation marks or behind an arrow, and is never read for
//! a word of ours.

use std::net::SocketAddr;

use serde_json::Value;

use crate::engine::Settings;
use crate::flow::Endpoint;
use crate::guard;
use crate::patch::Patch;

use super::cause::cause;
use super::story::terms;
use super::text::decided_by;

/// What an entry says, as far as it matters here.
#[derive(Debug, Default)]
struct Entry {
    /// Where: `client offset 13`.
    place: Option<String>,
    /// Its words, ours alone.
    words: Vec<String>,
    /// The client and the server, where it names both.
    ends: Option<(Endpoint, Endpoint)>,
}

/// What an entry, or a word, means; nothing if it is neither.
pub(super) fn explain(text: &str, settings: &Settings) -> Option<String> {
    let text = undated(text.trim());
    let entry = of_json(text).unwrap_or_else(|| of_text(text));
    let terms = entry.ends.map(|(client, server)| terms(settings, client, server));
    let guard = terms.map_or(&settings.guard, |terms| terms.guard);
    let mut parts = Vec::new();
    if let Some(place) = &entry.place {
        parts.push(format!("It is about the {place}.\n"));
    }
    for word in &entry.words {
        parts.extend(of_word(word, guard, settings));
    }
    if let Some(number) = terms.and_then(|terms| terms.exception) {
        parts.push(format!("The settings are those of exception {number}.\n"));
    }
    let is_said = entry.words.iter().any(|word| of_word(word, guard, settings).is_some());
    is_said.then(|| parts.join("\n"))
}

/// What a word of ours stands for.
fn of_word(word: &str, guard: &guard::Settings, settings: &Settings) -> Option<String> {
    if let Some(cause) = cause(word) {
        let mut text = format!("{word}: {}\n", cause.about);
        for setting in decided_by(cause.settings, guard, settings) {
            text.push_str(&format!("  {setting}\n"));
        }
        return Some(text);
    }
    let patch: &Patch = guard.patches.catalogue.find(word)?;
    let state = guard.patches.state(patch).name();
    Some(format!("{word}: {} (`mailguard patches show {word}`)\n  {word} = {state}\n", patch.title))
}

fn of_json(text: &str) -> Option<Entry> {
    let Value::Object(fields) = serde_json::from_str(text).ok()? else { return None };
    let word = |key: &str| fields.get(key).and_then(Value::as_str);
    let offset = fields.get("offset").and_then(Value::as_u64);
    let place = word("side").zip(offset).and_then(|(side, offset)| at(side, offset));
    // A greeting that passes bears the name of the rule that masks one.
    let event = word("event").filter(|event| *event != "banner");
    let named = event.into_iter().chain(["rule", "reason", "fault"].into_iter().filter_map(word));
    let patches = fields.get("patches").and_then(Value::as_array).into_iter().flatten();
    let words = named.chain(patches.filter_map(Value::as_str)).map(str::to_owned).collect();
    let end = |key| word(key).and_then(|text| text.parse::<SocketAddr>().ok()).map(endpoint);
    Some(Entry { place, words, ends: end("client").zip(end("server")) })
}

/// An entry without what a daemon of syslog, or a reader of the journal, puts in front of it: a
/// date in any form, a host, and our name (`Nov 28 09:00:00 gw mailguard[42]: `).
fn undated(text: &str) -> &str {
    let named = text.match_indices(NAME).find_map(|(at, _)| {
        let (head, named) = text.split_at_checked(at)?;
        let is_apart = head.is_empty() || head.ends_with([' ', '>']);
        let behind = named.strip_prefix(NAME).filter(|_| is_apart && is_head(head))?;
        let Some(sender) = behind.strip_prefix('[') else { return behind.strip_prefix(": ") };
        sender.trim_start_matches(|c: char| c.is_ascii_digit()).strip_prefix("]: ")
    });
    named.unwrap_or(text).trim_start()
}

/// Under which name daemons have our entries.
const NAME: &str = "mailguard";

/// Whether this can stand in front of an entry: what an entry itself begins with, or has of a
/// peer's words, cannot.
fn is_head(text: &str) -> bool {
    !["<<<", ">>>", "***", "\"", "{", "%"].iter().any(|sign| text.contains(sign))
}

/// A line of the text or syslog format, or a word alone.
fn of_text(text: &str) -> Entry {
    let ours = unquoted(text);
    // In the protocol log a date stands in front, and what the ends said behind an arrow.
    let said = match ours.split_once(" : ") {
        Some((date, said))
            if is_head(date) && ["AM", "PM"].iter().any(|half| date.ends_with(half)) =>
        {
            said
        }
        _ => &ours,
    };
    let told = said.strip_prefix("*** ");
    let (head, message) = said.split_at(said.find('%').unwrap_or(said.len()));
    let message = if is_head(head) { message } else { "" };
    let words = if let Some(told) = told {
        in_frame(told)
    } else if message.starts_with("%ASA-") || message.starts_with("%PIX-") {
        let row = THEIRS.iter().find(|(words, _)| message.contains(words));
        row.map(|(_, word)| *word).into_iter().collect()
    } else if let Some(message) = message.strip_prefix("%MAILGUARD-") {
        let name = message.split_once('-').map_or("", |(_, named)| named);
        words(name).take(1).collect()
    } else {
        // Whatever else has several words may be a peer's.
        let is_alone = said.split_whitespace().nth(1).is_none();
        words(said).filter(|_| is_alone).collect()
    };
    let words = words.into_iter().map(str::to_owned).collect();
    let place = told.and_then(placed).and_then(|(side, offset, _)| at(side, offset));
    Entry { place, words, ends: None }
}

fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c: char| !c.is_alphanumeric() && c != '-').filter(|word| !word.is_empty())
}

/// The words of ours in an entry that has a frame of other words, among them a peer's.
fn in_frame(told: &str) -> Vec<&str> {
    let is_it =
        |(begin, end, _): &&(&str, &str, &str)| told.starts_with(begin) && told.ends_with(end);
    if let Some((_, _, word)) = PHRASES.iter().find(is_it) {
        return vec![word];
    }
    if let Some((_, _, what)) = placed(told) {
        // `dropped 3 bytes: reason`, and `rule patch: "before" -> "after"`.
        let is_behind = ["dropped ", "cut ", "alarm: "].iter().any(|begin| what.starts_with(begin));
        let parts = what.split_once(':').unwrap_or((what, ""));
        return words(if is_behind { parts.1 } else { parts.0 }).collect();
    }
    if let Some(connection) = told.strip_prefix("The connection from ") {
        // `1.2.3.4 was reset: reason`, `1.2.3.4 has passed a limit: rule, 5 of 4`.
        let behind = connection.rsplit_once(" offends ").or_else(|| connection.rsplit_once(": "));
        return behind.and_then(|(_, named)| words(named).next()).into_iter().collect();
    }
    words(told).take(1).collect()
}

/// What an entry says of a place: side, offset, and what is there.
fn placed(told: &str) -> Option<(&str, u64, &str)> {
    let (place, what) = told.split_once(": ")?;
    let (side, offset) = place.split_once(" offset ")?;
    Some((side, offset.parse().ok()?, what))
}

/// How entries begin and end that say with several words what the other formats have one for.
const PHRASES: [(&str, &str, &str); 6] = [
    ("TLS begins on ", "", "tls-begin"),
    ("TLS is agreed on: ", "", "tls-agreed"),
    ("TLS failed on ", "", "tls-failed"),
    ("TLS ends: ", "", "tls-end"),
    ("", " left out", "left-out"),
    ("", " not seen, what follows is uncertain", "missed"),
];

/// What stands in messages of a PIX or an ASA, and our word for what they tell of.
const THEIRS: [(&str, &str); 14] = [
    ("-108002: ", "address"),
    ("-108003: ", "patch"),
    ("-108006: ", "declared-size"),
    ("-108007: ", "tls-begin"),
    ("-507003: ", "inspection"),
    ("; special-character: ", "address"),
    (": body length gt ", "body-bytes"),
    (": body line length gt ", "body-line"),
    (": cmd RCPT count gt ", "recipients"),
    (": cmd line length gt ", "long-line"),
    (": ehlo-reply-parameter others", "ehlo-keyword"),
    (": header length gt ", "header-bytes"),
    (": header line length gt ", "header-line"),
    (": sender-address length gt ", "sender"),
];

fn endpoint(end: SocketAddr) -> Endpoint {
    Endpoint { address: end.ip(), port: end.port() }
}

/// A place in a stream, if it can be one.
fn at(side: &str, offset: u64) -> Option<String> {
    matches!(side, "client" | "server").then(|| format!("{side}'s byte {offset}"))
}

/// The text without what stands in quotation marks.
fn unquoted(text: &str) -> String {
    let (mut ours, mut is_quoted, mut is_escaped) = (String::new(), false, false);
    for character in text.chars() {
        match character {
            _ if is_escaped => is_escaped = false,
            '\\' => is_escaped = true,
            '"' => is_quoted = !is_quoted,
            _ if is_quoted => {}
            plain => ours.push(plain),
        }
    }
    ours
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;

    fn told(text: &str) -> Option<String> {
        explain(text, &Config::build(None, &[]).unwrap().with_patches(&[]).unwrap().engine)
    }

    #[test]
    fn an_entry_is_explained_in_every_format() {
        for entry in [
            r#"11/22/26 12:58:39 AM : *** client offset 13: verb: "VRFY root" -> "XXXXXXXXX""#,
            r#"*** client offset 13: verb: "VRFY \" lookalike: root" -> "XXXXXXXXX""#,
            r#"{"event":"edited","side":"client","offset":13,"rule":"verb","before":"banner"}"#,
        ] {
            let text = told(entry).unwrap();
            assert!(text.starts_with("It is about the client's byte 13.\n\nverb: "), "{text}");
            assert!(text.contains("\n  verbs = DATA,"), "{text}");
            assert!(!text.contains("banner") && !text.contains("lookalike"), "{text}");
        }
        let syslog = "Feb 07 2001 17:01:20: %MAILGUARD-4-awaiting-reply: dropped 3 bytes from x";
        assert!(told(syslog).unwrap().starts_with("awaiting-reply: "));
        for (theirs, word) in [
            ("%PIX-2-108002: SMTP replaced |: out 1 in 2 data: cmd line length gt", "address"),
            ("%ASA-2-108003: Terminating ESMTP connection; malicious pattern", "patch"),
            ("%ASA-4-108004: a; matched Class 2: cmd RCPT count gt 100", "recipients"),
            ("%ASA-4-108004: a; matched Class 1: cmd line length gt 512", "long-line"),
            ("%ASA-4-108004: a; matched Class 4: header line length gt 998", "header-line"),
            ("%ASA-4-108004: a; matched Class 5: sender-address length gt 320", "sender"),
            ("%ASA-6-108005: a; matched Class 3: body line length gt 998", "body-line"),
            ("%ASA-6-108005: a; special-character: Special character", "address"),
            ("%ASA-7-108006: Detected ESMTP size violation from a", "declared-size"),
            ("%ASA-6-108007: TLS started on ESMTP session between a", "tls-begin"),
            ("%ASA-3-507003: tcp flow from a to b terminated by inspection engine", "inspection"),
            ("%MAILGUARD-6-tls-begin: saw TLS begin from a to b", "tls-begin"),
        ] {
            let text = told(&format!("Feb 07 2001 17:01:20: {theirs}")).unwrap();
            assert!(text.starts_with(&format!("{word}: ")), "{theirs}: {text}");
        }
        let alarm = "2/7/01 5:01:20 PM : *** server offset 9: alarm: unasked-data";
        assert!(told(alarm).unwrap().contains("\nunasked-data: "));
    }

    #[test]
    fn what_a_daemon_puts_in_front_of_an_entry_is_no_part_of_it() {
        for head in [
            "Nov 28 09:00:00 gw mailguard[42]: ",
            "2026-11-28T09:00:00.123456+01:00 mailguard mailguard[42]: ",
            "2026-11-28 09:00:00 UTC gw mailguard: ",
            "<20>Feb  7 17:01:20 mailguard[42]: ",
            "<20>mailguard[42]: ",
            "mailguard[42]: ",
        ] {
            for peers in [
                "<<< NOOP recipients verb path",
                ">>> 250 mailguard[42]: *** client offset 13: verb",
                "<<< NOOP AM : *** client offset 13: verb",
                "<<< NOOP %MAILGUARD-4-verb: x",
                "A connection was accepted from 192.0.2.1",
            ] {
                assert_eq!(told(&format!("{head}{peers}")), None, "{head}{peers}");
            }
            for (entry, alike) in [
                (r#"*** client offset 13: verb: "VRFY path" -> "XXXXXXXXX""#, true),
                (r#"{"event":"edited","side":"client","offset":13,"rule":"verb"}"#, true),
                ("%MAILGUARD-4-awaiting-reply: dropped 3 bytes from x", false),
                ("%ASA-2-108003: Terminating ESMTP connection", false),
                ("verb", false),
            ] {
                let text = told(&format!("{head}{entry}"));
                assert_eq!(text, told(entry), "{head}{entry}");
                assert!(text.is_some_and(|text| text.starts_with("It is about") == alike));
            }
        }
    }

    #[test]
    fn what_an_entry_says_with_several_words_is_explained_by_the_one_that_is_meant() {
        for (entry, word) in [
            ("TLS begins on the connection from 192.0.2.1", "tls-begin"),
            ("TLS begins on the connection from ::1: up to 1.3, for path.example", "tls-begin"),
            ("TLS failed on the connection from 192.0.2.1 behind hellos: path", "tls-failed"),
            ("5 entries left out", "left-out"),
            ("1 entry of the connection from 192.0.2.1 left out", "left-out"),
            ("server: 165 bytes not seen, what follows is uncertain", "missed"),
            ("The connection from 2001:db8:: was reset: refused-lines", "refused-lines"),
            ("The connection from ::1 has passed a limit: messages, 5 of 4", "messages"),
            ("The connection from ::1 offends sni", "sni"),
            ("plain-mail on the connection from 192.0.2.1 to 192.0.2.25:25", "plain-mail"),
        ] {
            for date in ["", "2/7/01 5:01:20 PM : "] {
                let text = told(&format!("{date}*** {entry}")).unwrap();
                assert!(text.starts_with(&format!("{word}: ")), "{entry}: {text}");
                assert_eq!(text.matches("\n\n").count(), 0, "{entry}: {text}");
            }
        }
        for (entry, word) in [
            ("stray-bytes: edits of 24 bytes are not shown", "stray-bytes"),
            (r#"verb: "VRFY : <<< AM : <<< x" -> "X""#, "verb"),
            (r#"patch CVE-2019-10149: "a: path" -> "X""#, "CVE-2019-10149"),
            ("dropped 3 bytes: out-of-order", "out-of-order"),
            ("cut 1 byte: awaiting-reply", "awaiting-reply"),
        ] {
            let text = told(&format!("*** client offset 13: {entry}")).unwrap();
            assert!(text.contains("client's byte 13.\n") && text.contains(&format!("\n{word}: ")));
            assert!(!text.contains("path: "), "{entry}: {text}");
        }
        let end = "*** TLS ends: client 1 byte in 1 record, server 1 byte in 1 record, truncated";
        assert_eq!(told(end), None);
    }

    #[test]
    fn a_word_is_explained_and_what_the_ends_said_is_not() {
        assert!(told("refused-lines").unwrap().contains("refused_lines_max = 25"));
        assert!(told("CVE-2019-10149").unwrap().contains("\n  CVE-2019-10149 = on"));
        for nothing in
            ["", "word", "<<< verb", "11/22/26 12:58:39 AM : <<< verb", "\"verb\"", "{}", "[]"]
                .into_iter()
                .chain([r#"{"event":"banner"}"#])
                .chain(["A connection from verb", "<<< a AM : *** client offset 1: verb"])
                .chain(["<<< NOOP mailguard[1]: verb", "<<< NOOP mailguard: *** a path"])
                .chain(["gw else[1]: <<< NOOP %MAILGUARD-4-verb: x", "<<< %ASA-2-108002: "])
        {
            assert_eq!(told(nothing), None, "{nothing}");
        }
    }

    #[test]
    fn an_exception_decides_for_its_own() {
        let text = "[[exceptions]]\nclient = \"192.0.2.0/24\"\nprofile = \"pix-6.3\"\n";
        let source = crate::config::Source { name: "x", text };
        let settings = Config::build(Some(source), &[]).unwrap().engine;
        let entry = |client: &str| {
            let entry =
                format!(r#"{{"reason":"refused-lines","client":"{client}","server":"[::1]:25"}}"#);
            explain(&entry, &settings).unwrap()
        };
        assert!(entry("192.0.2.7:1025").contains("refused_lines_max = 0\n"));
        assert!(entry("192.0.2.7:1025").contains("exception 1"));
        assert!(entry("198.51.100.7:1025").contains("refused_lines_max = 25\n"));
    }
}
