//! A flow, and a list of flows, as text for a terminal.

use std::collections::BTreeSet;
use std::fmt::Write;

use crate::engine::{Settings, What};
use crate::event;
use crate::flow::Direction;
use crate::guard;

use super::account::{Account, Cell, Note, Row};
use super::cause::cause;
use super::story::{Story, Tale};

/// Columns of what came, and of what left.
const WIDTH: usize = 40;

/// All flows, a line for each.
pub(super) fn list(story: &Story<'_>) -> String {
    let mut text = String::new();
    for tale in &story.flows {
        // Writing to a string cannot fail.
        let (number, client, server) = (tale.number, tale.client, tale.server);
        let _ = writeln!(text, "{number:>6}  {client} to {server}: {}", in_short(tale));
    }
    text
}

/// What a flow came to.
pub(super) fn in_short(tale: &Tale<'_>) -> String {
    let count = |is_one: fn(&What) -> bool| tale.entries.iter().filter(|what| is_one(what)).count();
    let mut parts = Vec::new();
    for (one, many, is_one) in KINDS {
        match count(is_one) {
            0 => {}
            1 => parts.push(format!("1 {one}")),
            more => parts.push(format!("{more} {many}")),
        }
    }
    let resets = tale.entries.iter().filter_map(|what| {
        if let What::Reset { reason } = what { Some(reason.name()) } else { None }
    });
    parts.extend(resets.take(1).map(|name| format!("reset: {name}")));
    if parts.is_empty() { "nothing was said".to_owned() } else { parts.join(", ") }
}

/// What is counted of a flow: one, several, and whether an entry is one.
type Kind = (&'static str, &'static str, fn(&What) -> bool);

const KINDS: [Kind; 5] = [
    ("command line", "command lines", |what| matches!(what, What::Command { .. })),
    ("message", "messages", |what| matches!(what, What::DataEnd { .. })),
    ("edit", "edits", |what| matches!(what, What::Edited { before, after, .. } if before != after)),
    // What is held back again and again is told once a second.
    ("entry of packets held back", "entries of packets held back", |what| {
        matches!(what, What::Dropped { .. } | What::Cut { .. })
    }),
    ("alarm", "alarms", |what| matches!(what, What::Alarm { .. } | What::Contradiction { .. })),
];

/// One flow: its dialogue, the sentences about it, and what decides.
pub(super) fn flow(tale: &Tale<'_>, settings: &Settings) -> String {
    let account = Account::of(tale);
    let mut text = head(tale);
    let _ = writeln!(text, "\n      byte  {:WIDTH$}  left", "came");
    for row in &account.rows {
        draw(row, &mut text);
    }
    if !account.notes.is_empty() {
        text.push('\n');
    }
    for (index, note) in account.notes.iter().enumerate() {
        let _ = writeln!(text, "[{}] {}", index.saturating_add(1), sentence(note));
    }
    for name in names(&account) {
        text.push_str(&reason(name, tale, settings));
    }
    text
}

/// Who spoke with whom, when, and by what it was judged.
pub(super) fn head(tale: &Tale<'_>) -> String {
    let at = jiff::Timestamp::from_microsecond(tale.at.micros().try_into().unwrap_or(i64::MAX));
    let at = at.unwrap_or(jiff::Timestamp::MAX).strftime("%Y-%m-%d %H:%M:%S UTC");
    let terms = match tale.terms.exception {
        Some(number) => format!("exception {number}"),
        None => "the general settings".to_owned(),
    };
    let mode = if tale.terms.is_monitored { ", only watched" } else { "" };
    format!(
        "Flow {}: client {}, server {}, opened {at}.\nJudged by {terms}{mode}.\n",
        tale.number, tale.client, tale.server
    )
}

/// A claim, and the word under which it is explained.
pub(super) fn sentence(note: &Note) -> String {
    let mut text = note.claim.clone();
    let Some(cause) = note.cause.and_then(cause) else { return text };
    let _ = write!(text, " Why: {}", cause.name);
    for id in &note.patches {
        let _ = write!(text, ", {id}");
    }
    if let Some(setting) = cause.settings.first() {
        let _ = write!(text, "; the setting `{setting}` decides");
    }
    text.push('.');
    text
}

/// The words that want explaining, in the order in which they come.
pub(super) fn names(account: &Account) -> Vec<&'static str> {
    let mut seen = BTreeSet::new();
    let named = account.notes.iter().filter_map(|note| note.cause);
    named.filter(|name| seen.insert(*name)).collect()
}

/// What a word means, and the settings that decide.
fn reason(name: &str, tale: &Tale<'_>, settings: &Settings) -> String {
    let Some(cause) = cause(name) else { return String::new() };
    let mut text = format!("\n{name}: {}\n", cause.about);
    for setting in decided_by(cause.settings, tale.terms.guard, settings) {
        let _ = writeln!(text, "  {setting}");
    }
    text
}

/// Settings and their values, as a configuration has them.
pub(super) fn decided_by(
    names: &[&str],
    guard: &guard::Settings,
    settings: &Settings,
) -> Vec<String> {
    let values = names.iter().map(|name| match value(name, guard, settings) {
        Some(value) => format!("{name} = {value}"),
        None => (*name).to_owned(),
    });
    values.collect()
}

fn value(name: &str, guard: &guard::Settings, settings: &Settings) -> Option<String> {
    let limits = &settings.limits;
    let number = match name {
        "limits.flows_max" => limits.flows_max,
        "limits.bytes_per_flow_max" => limits.bytes_per_flow_max,
        "limits.store_bytes_max" => limits.store_bytes_max,
        _ => {
            let table = guard::Settings::TABLE;
            let setting = table.iter().find(|setting| setting.name == name)?;
            return Some(setting.print(guard));
        }
    };
    Some(number.to_string())
}

fn draw(row: &Row, text: &mut String) {
    let who = row.direction.map_or(' ', |direction| match direction {
        Direction::Original => 'C',
        Direction::Reply => 'S',
    });
    let offset = row.offset.map(|offset| offset.to_string()).unwrap_or_default();
    let notes: Vec<_> = row.notes.iter().map(|number| format!("[{number}]")).collect();
    let (came, left) = columns(&row.came, &row.left);
    let mut head = format!("{who}{offset:>9}");
    let mut notes = notes.join(" ");
    for (came, left) in came.iter().zip(&left) {
        let pad = |text: &str| WIDTH.saturating_sub(text.chars().count());
        let line = format!(
            "{head}  {came}{:came_pad$}  {left}{:left_pad$}  {notes}",
            "",
            "",
            came_pad = pad(came),
            left_pad = pad(left)
        );
        text.push_str(line.trim_end());
        text.push('\n');
        head = " ".repeat(10);
        notes.clear();
    }
}

/// Both cells in as many lines; bytes of the same place stand beside each other.
fn columns(came: &Cell, left: &Cell) -> (Vec<String>, Vec<String>) {
    let mut lines = (Vec::new(), Vec::new());
    let bytes = |cell: &Cell| match cell {
        Cell::Bytes(bytes, _) => bytes.clone(),
        Cell::Words(_) => Vec::new(),
    };
    let (one, other) = (&bytes(came), &bytes(left));
    let mut at = 0;
    while at < one.len().max(other.len()) {
        let longest = one.len().max(other.len());
        let fits = |count: &usize| {
            let end = at.saturating_add(*count);
            let mut both = [one, other].into_iter();
            both.all(|bytes| escaped(bytes, at, end).chars().count() <= WIDTH)
        };
        // Nobody sees a space at the end of a column; where one ends the line, it is escaped.
        let is_seen = |count: &usize| {
            let end = at.saturating_add(*count);
            let is_space = |bytes: &Vec<u8>| bytes.get(end.saturating_sub(1)) == Some(&b' ');
            end >= longest || ![one, other].into_iter().any(is_space)
        };
        // An escaped byte is four characters, so this finds one.
        let fitting = || (1..=WIDTH).rev().filter(fits);
        let count = fitting().find(is_seen).or_else(|| fitting().next()).unwrap_or(1);
        let end = at.saturating_add(count);
        lines.0.push(escaped(one, at, end));
        lines.1.push(escaped(other, at, end));
        at = end;
    }
    for (cell, lines) in [(came, &mut lines.0), (left, &mut lines.1)] {
        match cell {
            Cell::Words(words) => {
                lines.resize(lines.len().max(1), String::new());
                lines.splice(..1, [words.clone()]);
            }
            Cell::Bytes(bytes, length) if *length > bytes.len() as u64 => {
                lines.push(format!("\\...[{length} bytes]"));
            }
            Cell::Bytes(..) => {}
        }
    }
    let count = lines.0.len().max(lines.1.len()).max(1);
    lines.0.resize(count, String::new());
    lines.1.resize(count, String::new());
    lines
}

fn escaped(bytes: &[u8], from: usize, to: usize) -> String {
    let mut text = String::new();
    let to = to.min(bytes.len());
    event::escape(bytes.get(from.min(to)..to).unwrap_or_default(), &mut text);
    match text.strip_suffix(' ') {
        Some(before) => format!("{before}\\x20"),
        None => text,
    }
}
