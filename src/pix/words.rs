//! How a typed line finds its command: every word may be cut to any beginning that only one word of
//! its place has; an exact word wins. Places are filled from left to right.

use std::collections::BTreeSet;
use std::fmt;

use super::table::{COMMANDS, Command, Row};

/// Which commands may be typed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Mode {
    /// `>`: looking.
    Looking,
    /// `#`: everything but configuration.
    #[default]
    Exec,
    /// `(config)#`: everything.
    Configuring,
}

/// A line that was understood.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Typed {
    /// What it asks for.
    pub command: Command,
    /// Its first word, whole; of what it takes back where that is `no`.
    pub head: &'static str,
    /// What stands for the values, as it was typed.
    pub values: Vec<String>,
}

/// Why a line was not understood.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Mistake {
    /// Its first word begins no command.
    Unknown,
    /// A later word is wrong: the line, and where the word begins.
    Invalid(String, usize),
    /// Several words begin so.
    Ambiguous(String, Vec<&'static str>),
    /// Words are missing: what may be typed.
    Incomplete(Vec<String>),
}

impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unknown => f.write_str("Type help or '?' for a list of available commands."),
            Self::Invalid(line, column) => {
                let space = " ".repeat(*column);
                write!(f, "{line}\n{space}^\nERROR: % Invalid input detected at '^' marker.")
            }
            Self::Ambiguous(word, candidates) => {
                let candidates = candidates.join(" ");
                write!(f, "ERROR: % Ambiguous command:  \"{word}\"\n{candidates}")
            }
            Self::Incomplete(usage) => {
                f.write_str("ERROR: % Incomplete command")?;
                for (number, line) in usage.iter().enumerate() {
                    let lead = if number == 0 { "Usage: " } else { "       " };
                    write!(f, "\n{lead}{line}")?;
                }
                Ok(())
            }
        }
    }
}

/// One element of a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Element {
    Word(&'static str),
    /// One word that is a value.
    Value,
    /// All that follows.
    Rest,
}

fn element(row: &Row, at: usize) -> Option<Element> {
    let word = row.words.split(' ').nth(at)?;
    Some(match word {
        "REST" => Element::Rest,
        value if value.bytes().all(|b| b.is_ascii_uppercase()) => Element::Value,
        keyword => Element::Word(keyword),
    })
}

/// Finds the command of a line.
///
/// # Errors
/// Why there is none, or more than one.
pub fn resolve(line: &str, mode: Mode) -> Result<Typed, Mistake> {
    let mut alive: Vec<&Row> = COMMANDS.iter().filter(|row| row.mode <= mode).collect();
    let mut values = Vec::new();
    let mut place = 0;
    for (start, word) in tokens(line) {
        let elements = || alive.iter().filter_map(|row| Some((*row, element(row, place)?)));
        let meant = keyword(elements(), &word.to_ascii_lowercase()).map_err(|candidates| {
            Mistake::Ambiguous(word.to_owned(), candidates.into_iter().collect())
        })?;
        let next: Vec<&Row> = elements()
            .filter(|(_, one)| match meant {
                Some(keyword) => *one == Element::Word(keyword),
                None => matches!(one, Element::Value | Element::Rest),
            })
            .map(|(row, _)| row)
            .collect();
        let Some(first) = next.first() else {
            let wrong = || Mistake::Invalid(line.to_owned(), line[..start].chars().count());
            return Err(if place == 0 { Mistake::Unknown } else { wrong() });
        };
        if meant.is_none() {
            if element(first, place) == Some(Element::Rest) {
                values.push(line[start..].trim().to_owned());
                return Ok(typed(first, values));
            }
            values.push(word.to_owned());
        }
        alive = next;
        place += 1;
    }
    let ended = alive.iter().find(|row| element(row, place).is_none());
    match ended {
        Some(row) if place > 0 => Ok(typed(row, values)),
        _ => Err(Mistake::Incomplete(usage(&alive))),
    }
}

fn typed(row: &Row, values: Vec<String>) -> Typed {
    let words = row.words.strip_prefix("no ").unwrap_or(row.words);
    let head = words.split(' ').next().unwrap_or_default();
    Typed { command: row.command, head, values }
}

/// The one keyword that begins with a word; an error: several do.
fn keyword<'r>(
    elements: impl Iterator<Item = (&'r Row, Element)>,
    word: &str,
) -> Result<Option<&'static str>, BTreeSet<&'static str>> {
    let keywords: BTreeSet<&'static str> = elements
        .filter_map(|(_, element)| match element {
            Element::Word(keyword) if is_meant(keyword, word) => Some(keyword),
            Element::Word(_) | Element::Value | Element::Rest => None,
        })
        .collect();
    if let Some(exact) = keywords.get(word) {
        return Ok(Some(exact));
    }
    match keywords.len() {
        0 | 1 => Ok(keywords.into_iter().next()),
        _ => Err(keywords),
    }
}

/// Whether a keyword may be what was typed.
fn is_meant(keyword: &str, word: &str) -> bool {
    keyword.starts_with(word) && (word == keyword || !WHOLE.contains(&keyword))
}

/// Words that cannot be cut: a PIX has always taken their beginnings for other words, those of
/// `end` wherever it is not being configured.
const WHOLE: [&str; 3] = ["queues", "end", "names"];

/// What may be typed instead: the family's own usage, or the rows.
fn usage(alive: &[&Row]) -> Vec<String> {
    let is_fixup = alive.iter().any(|row| row.words.contains("fixup"));
    if is_fixup {
        return FIXUP_USAGE.map(str::to_owned).to_vec();
    }
    alive.iter().map(|row| row.shown()).take(USAGE_LINES).collect()
}

const FIXUP_USAGE: [&str; 3] =
    ["[no] fixup protocol smtp [<port>[-<port>]]", "show fixup [protocol smtp]", "clear fixup"];

const USAGE_LINES: usize = 12;

/// The words of a line, each with where it begins.
fn tokens(line: &str) -> impl Iterator<Item = (usize, &str)> {
    line.split_whitespace().map(move |word| (word.as_ptr() as usize - line.as_ptr() as usize, word))
}
