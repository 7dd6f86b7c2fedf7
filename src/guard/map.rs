//! An ASA's policy map, as far as its messages speak of it: a match that acts and logs is named by
//! its place in the map. What its rows do stands in the settings that each of them is here.
//!
//! A row is written as its condition with hyphens, `header-line-length`, with `=reset` behind it
//! where the map says `reset` and not `drop-connection`. `-` keeps the place of a row that writes
//! no message: one that does not log, or has no setting here.

use super::settings::Settings;
use super::value::{Kind, Value, words_of};
use super::{Excess, Rule};

/// The rows of a map, in their order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PolicyMap(Vec<Option<Entry>>);

/// A row that writes messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Entry {
    rule: Rule,
    condition: &'static str,
    is_reset: bool,
}

/// A row that was met.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Row {
    /// Its place among the matches of its map, counted from 1.
    pub class: usize,
    /// What it looks at, in the map's words.
    pub condition: &'static str,
    /// What it does.
    pub action: Action,
}

/// What a row does besides logging.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// `drop-connection`.
    DropConnection,
    /// Nothing.
    Log,
    /// `mask`.
    Mask,
    /// `reset`.
    Reset,
}

impl PolicyMap {
    /// The place of a row that writes no message.
    pub const NO_ROW: &'static str = "-";

    /// No map is followed.
    pub(super) const fn none() -> Self {
        Self(Vec::new())
    }

    /// `_default_esmtp_map`. Its sixth row looks for names of files, its last masks keywords and
    /// does not log.
    pub(super) fn preset() -> Self {
        let rules =
            [Rule::LongLine, Rule::Recipients, Rule::BodyLine, Rule::HeaderLine, Rule::Sender];
        let entry = |rule| {
            let (_, condition) = CONDITIONS.iter().find(|(known, _)| *known == rule)?;
            Some(Entry { rule, condition, is_reset: false })
        };
        Self(rules.map(entry).into_iter().chain([None, None]).collect())
    }

    /// The row whose condition a rule is.
    fn row(&self, rule: Rule) -> Option<Row> {
        let entries = self.0.iter().enumerate().filter_map(|(at, entry)| Some((at, (*entry)?)));
        // Of two rows with one condition the later counts; an import names one.
        let (at, entry) = entries.rev().find(|(_, entry)| entry.rule == rule)?;
        let action = match (rule == Rule::EhloKeyword, entry.is_reset) {
            (true, _) => Action::Mask,
            (false, true) => Action::Reset,
            (false, false) => Action::DropConnection,
        };
        Some(Row { class: at + 1, condition: entry.condition, action })
    }
}

impl Settings {
    /// The row of an ASA's map that a rule is which masks or ends a flow, where an ASA's messages
    /// are written.
    #[must_use]
    pub fn row_of(&self, rule: Rule) -> Option<Row> {
        self.asa_map.row(rule).filter(|_| self.syslog_names.is_asa())
    }

    /// The row that is met where a limit was passed. The standard's limit on lines is in no map.
    #[must_use]
    pub fn row_met(&self, excess: &Excess) -> Option<Row> {
        let lines = [self.line_max, self.envelope_line_max, self.auth_line_max];
        let is_mapped =
            excess.rule != Rule::LongLine || lines.iter().any(|max| max.count() == excess.limit);
        let row = self.row_of(excess.rule).filter(|_| is_mapped)?;
        Some(Row { action: if excess.is_end { row.action } else { Action::Log }, ..row })
    }
}

impl Value for PolicyMap {
    const KIND: Kind = Kind::List;

    fn parse(text: &str) -> Result<Self, &str> {
        let rows = words_of(text).map(|word| {
            let (name, is_reset) = word.strip_suffix("=reset").map_or((word, false), |n| (n, true));
            match CONDITIONS.iter().find(|(_, condition)| is_named(name, condition)) {
                Some((rule, condition)) => Ok(Some(Entry { rule: *rule, condition, is_reset })),
                None if word == Self::NO_ROW => Ok(None),
                None => Err(word),
            }
        });
        rows.collect::<Result<_, _>>().map(Self)
    }

    fn print(&self) -> String {
        let row = |entry: &Option<Entry>| {
            let Some(Entry { condition, is_reset, .. }) = entry else {
                return Self::NO_ROW.to_owned();
            };
            let name = condition.replace(' ', "-");
            if *is_reset { name + "=reset" } else { name }
        };
        self.0.iter().map(row).collect::<Vec<_>>().join(",")
    }

    fn expected() -> String {
        let names = CONDITIONS.map(|(_, condition)| condition.replace(' ', "-"));
        format!("rows of a policy map: {}, each with =reset or not, or -", names.join(", "))
    }
}

/// Whether this is how the condition is written.
fn is_named(name: &str, condition: &str) -> bool {
    name.len() == condition.len()
        && name.bytes().zip(condition.bytes()).all(|(given, known)| {
            given.eq_ignore_ascii_case(if known == b' ' { &b'-' } else { &known })
        })
}

/// The conditions that are rules here, in an ASA's words.
const CONDITIONS: [(Rule, &str); 8] = [
    (Rule::BodyBytes, "body length"),
    (Rule::BodyLine, "body line length"),
    (Rule::LongLine, "cmd line length"),
    (Rule::Recipients, "cmd RCPT count"),
    (Rule::EhloKeyword, "ehlo-reply-parameter others"),
    (Rule::HeaderBytes, "header length"),
    (Rule::HeaderLine, "header line length"),
    (Rule::Sender, "sender-address length"),
];

#[cfg(test)]
mod tests;
