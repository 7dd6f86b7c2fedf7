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
    let text = text.trim();
    let entry = of_json(text).or_else(|| of_text(text))?;
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
    let named = ["event", "rule", "reason", "fault"].into_iter().filter_map(word);
    let patches = fields.get("patches").and_then(Value::as_array).into_iter().flatten();
    let words = named.chain(patches.filter_map(Value::as_str)).map(str::to_owned).collect();
    let end = |key| word(key).and_then(|text| text.parse::<SocketAddr>().ok()).map(endpoint);
    Some(Entry { place, words, ends: end("client").zip(end("server")) })
}

/// A line of the text or syslog format, or a word alone.
fn of_text(text: &str) -> Option<Entry> {
    // In the protocol log, what the ends said stands behind an arrow.
    let text = match text.split_once(" : ") {
        Some((_, said)) if said.starts_with("<<<") || said.starts_with(">>>") => return None,
        Some((_, said)) => said,
        None => text,
    };
    let ours = unquoted(text);
    let named = ours.split_once("%MAILGUARD-").and_then(|(_, rest)| rest.split_once('-'));
    let named = named.map_or(ours.as_str(), |(_, named)| named);
    let mut words = named.split(|c: char| !c.is_alphanumeric() && c != '-');
    let place = || {
        let mut words = ours.trim_start_matches("*** ").split([' ', ':']);
        let (side, word, offset) = (words.next()?, words.next()?, words.next()?.parse().ok()?);
        if word == "offset" { at(side, offset) } else { None }
    };
    let words = match ours.as_str() {
        theirs if theirs.contains("%ASA-") || theirs.contains("%PIX-") => {
            let row = THEIRS.iter().find(|(words, _)| theirs.contains(words));
            row.map(|(_, word)| (*word).to_owned()).into_iter().collect()
        }
        _ if named.len() < ours.len() => words.next().map(str::to_owned).into_iter().collect(),
        _ => words.map(str::to_owned).collect(),
    };
    Some(Entry { place: place(), words, ends: None })
}

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
    fn a_word_is_explained_and_what_the_ends_said_is_not() {
        assert!(told("refused-lines").unwrap().contains("refused_lines_max = 25"));
        assert!(told("CVE-2019-10149").unwrap().contains("\n  CVE-2019-10149 = on"));
        for nothing in ["", "word", "11/22/26 12:58:39 AM : <<< verb", "\"verb\"", "{}", "[]"] {
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
