//! Captures under the default profiles as they are shipped: each edit and each reset by its name,
//! with the words of the client's lines that it was about, as a table.
//!
//! The captures of `pcaps/` are replayed always; those that others recorded where they are: in
//! `shared/pcaps`, beside the repository or above it. Their rows are kept where they are not.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use mailguard::engine::{Settings, What};
use mailguard::flow::Direction;
use mailguard::front::replay::{Checksums, Session, Step};
use mailguard::guard;

use crate::support::golden;
use crate::support::rig::{patches, settings};

const TABLE: &str = "captures.md";
const PROFILES: [&str; 2] = ["mailguard", "esmtp"];

#[test]
fn each_edit_and_each_reset_has_a_name() {
    let own = Path::new(env!("CARGO_MANIFEST_DIR")).join("pcaps");
    let mut rows = rows(&own, "pcaps");
    match others() {
        Some(others) => rows.extend(self::rows(&others, "others")),
        None => {
            eprintln!("not run: the captures of others are not here");
            rows.extend(known().into_iter().filter(|row| row[0].starts_with("others/")));
        }
    }
    assert!(rows.len() > 40, "only {} captures", rows.len());
    rows.sort();
    golden::compare(TABLE, &golden::markdown(&["capture", "mailguard", "esmtp"], &rows));
}

/// Where the captures of others are, if they are there.
fn others() -> Option<PathBuf> {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.ancestors().skip(1).map(|above| above.join("shared/pcaps")).find(|place| place.is_dir())
}

/// The table as it was.
fn known() -> Vec<Vec<String>> {
    let table = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(TABLE);
    let text = fs::read_to_string(table).unwrap();
    let cells =
        |line: &str| line.trim_matches(['|', ' ']).split(" | ").map(str::to_owned).collect();
    text.lines().skip(2).map(cells).collect()
}

/// A row for each capture below a folder on which anything was done.
fn rows(folder: &Path, name: &str) -> Vec<Vec<String>> {
    let mut rows = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = format!("{name}/{}", path.file_name().unwrap().to_str().unwrap());
        if path.is_dir() {
            rows.extend(self::rows(&path, &name));
        } else if path.extension().is_some_and(|end| end == "pcap" || end == "pcapng") {
            let capture = fs::read(&path).unwrap();
            let cells = PROFILES.map(|profile| done(&capture, profile));
            if cells.iter().any(|cell| cell != NOTHING) {
                rows.push([&[name], &cells[..]].concat());
            }
        }
    }
    rows
}

/// All that was done to a capture.
fn done(capture: &[u8], profile: &str) -> String {
    let mut guard = guard::Settings::profile(profile).unwrap();
    guard.patches.catalogue = patches();
    let settings = Settings { guard, ..settings(profile) };
    // Many were recorded before a card had filled in their checksums.
    let mut session = Session::new(capture, settings, Checksums::Mend);
    let (mut step, mut count) = (Step::default(), BTreeMap::<String, usize>::new());
    while session.step(&mut step).unwrap_or(false) {
        for record in &step.records {
            if let Some(name) = named(&record.what) {
                *count.entry(name).or_default() += 1;
            }
        }
    }
    let cells = count.into_iter().map(|(name, count)| match count {
        1 => name,
        count => format!("{name} ×{count}"),
    });
    let cell = cells.collect::<Vec<_>>().join(", ");
    if cell.is_empty() { NOTHING.to_owned() } else { cell }
}

/// The name of what was done, if anything was: behind it the patch, or the line's first word.
#[expect(clippy::wildcard_enum_match_arm, reason = "nothing else changes a byte or ends a flow")]
fn named(what: &What) -> Option<String> {
    match what {
        What::Edited { rule, patches, before, direction, .. } => {
            let word = before.split(|byte| b" \r\n".contains(byte)).next().unwrap_or_default();
            let about = match (patches.first(), direction) {
                (Some(patch), _) => format!(" {patch}"),
                (None, Direction::Original) if word.is_ascii() && !word.is_empty() => {
                    format!(" `{}`", word.escape_ascii().to_string().replace('|', "\\x7c"))
                }
                (None, _) => String::new(),
            };
            Some(format!("{}{about}", rule.name()))
        }
        What::Reset { reason } => Some(format!("**reset: {}**", reason.name())),
        What::Exceeded { excess, .. } => Some(format!("{} told", excess.rule.name())),
        _ => None,
    }
}

const NOTHING: &str = "nothing";
