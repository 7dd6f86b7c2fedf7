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
    let named = ours.split_once("%MAILGUARD-4-").map_or(ours.as_str(), |(_, named)| named);
    let mut words = named.split(|c: char| !c.is_alphanumeric() && c != '-');
    let place = || {
        let mut words = ours.trim_start_matches("*** ").split([' ', ':']);
        let (side, word, offset) = (words.next()?, words.next()?, words.next()?.parse().ok()?);
        if word == "offset" { at(side, offset) } else { None }
    };
    let words = match ours.as_str() {
        asa if asa.contains("%ASA-2-108002") || asa.contains("%ASA-6-108005") => {
            vec!["address".to_owned()]
        }
        asa if asa.contains("%ASA-6-108007") => vec!["tls-begin".to_owned()],
        _ if named.len() < ours.len() => words.next().map(str::to_owned).into_iter().collect(),
        _ => words.map(str::to_owned).collect(),
    };
    Some(Entry { place: place(), words, ends: None })
}

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
        let asa =
            "Feb 07 2001 17:01:20: %ASA-2-108002: SMTP replaced string: out 1 in 2 data: verb";
        assert!(told(asa).unwrap().starts_with("address: "));
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
