//! The table: for each scenario a block, for each contender a row, for each round a value of each
//! figure. Printed, and as JSON.

use std::fmt;

use serde_json::{Map, Value, json};

/// Figures of one round, by name with its unit.
pub(crate) type Figures = Vec<(&'static str, f64)>;

/// All that was measured in one scenario.
#[derive(Debug)]
pub(crate) struct Block {
    pub(crate) scenario: &'static str,
    pub(crate) rows: Vec<Row>,
}

/// All rounds of one contender.
#[derive(Clone, Debug)]
pub(crate) struct Row {
    pub(crate) contender: String,
    /// The contender whose figures of the same round are 1.
    pub(crate) base: String,
    pub(crate) rounds: Vec<Figures>,
    /// Why there are no figures, or not all.
    pub(crate) note: Option<String>,
}

impl Row {
    pub(crate) fn new(contender: &str, base: &str) -> Self {
        let (contender, base) = (contender.to_owned(), base.to_owned());
        Self { contender, base, rounds: Vec::new(), note: None }
    }

    /// A figure's values by round.
    fn values(&self, name: &str) -> Vec<f64> {
        let in_round = |round: &Figures| round.iter().find(|figure| figure.0 == name).copied();
        self.rounds.iter().filter_map(in_round).map(|(_, value)| value).collect()
    }

    /// What a figure comes to.
    pub(crate) fn middle(&self, name: &str) -> Option<f64> {
        middle(name, self.values(name))
    }
}

impl Block {
    /// The ratio of a row's figure to that of the row it stands beside, each within its round.
    fn ratio(&self, row: &Row, name: &str) -> Option<f64> {
        let base = self.rows.iter().find(|other| other.contender == row.base)?;
        let pairs = row.values(name).into_iter().zip(base.values(name));
        let ratio = if is_sampled(name) {
            row.middle(name)? / base.middle(name)?
        } else {
            middle(name, pairs.map(|(ours, theirs)| ours / theirs).collect())?
        };
        (row.contender != row.base && ratio.is_finite()).then_some(ratio)
    }

    /// The names of the figures that are printed. What is nothing everywhere, as packets that were
    /// lost, needs no column, nor does what the others tell.
    fn names(&self) -> Vec<&'static str> {
        let mut names = Vec::new();
        for (name, _) in self.rows.iter().filter_map(|row| row.rounds.first()).flatten() {
            let has_some = |row: &Row| row.values(name).iter().any(|value| *value > 0.0);
            let is_told = name.starts_with("system ") || names.contains(name);
            if !is_told && self.rows.iter().any(has_some) {
                names.push(*name);
            }
        }
        names
    }

    fn cell(&self, row: &Row, name: &str) -> String {
        let Some(middle) = row.middle(name) else { return "-".to_owned() };
        let (low, high) = spread(&row.values(name));
        let spread = 50.0 * (high - low) / middle;
        let mut cell = short(middle);
        if row.rounds.len() > 1 && spread.is_finite() && !is_sampled(name) {
            cell += &format!(" ±{spread:.0}%");
        }
        if let Some(ratio) = self.ratio(row, name) {
            cell += &format!(" x{ratio:.2}");
        }
        cell
    }

    /// Everything, as data.
    pub(crate) fn json(&self) -> Value {
        let rows = self.rows.iter().map(|row| {
            let names = row.rounds.first().into_iter().flatten().map(|(name, _)| *name);
            let figures: Map<String, Value> = names
                .map(|name| {
                    let values = row.values(name);
                    let (low, high) = spread(&values);
                    let (value, ratio) = (row.middle(name), self.ratio(row, name));
                    let figure = json!({
                        "value": value, "low": low, "high": high, "ratio": ratio, "rounds": values,
                    });
                    (name.to_owned(), figure)
                })
                .collect();
            json!({
                "contender": row.contender, "beside": row.base, "note": row.note,
                "figures": figures,
            })
        });
        json!({ "scenario": self.scenario, "rows": rows.collect::<Vec<_>>() })
    }
}

impl fmt::Display for Block {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = self.names();
        let first = self.rows.iter().map(|row| row.contender.chars().count() + 4).max();
        let first = first.unwrap_or(0).max(self.scenario.len() + 2);
        write!(f, "{:<first$}", self.scenario)?;
        names.iter().try_for_each(|name| write!(f, "{name:<CELL$}"))?;
        writeln!(f)?;
        for row in &self.rows {
            write!(f, "{:<first$}", format!("  {}", row.contender))?;
            if !row.rounds.is_empty() {
                names.iter().try_for_each(|n| write!(f, "{:<CELL$}", self.cell(row, n)))?;
            }
            writeln!(f, "{}", row.note.as_deref().unwrap_or_default())?;
        }
        Ok(())
    }
}

/// The median, or of what is only sampled the mean.
fn middle(name: &str, mut values: Vec<f64>) -> Option<f64> {
    if is_sampled(name) && !values.is_empty() {
        return Some(values.iter().sum::<f64>() / values.len() as f64);
    }
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied()
}

/// The kernel splits a program's processor time into user's and system's by looking at what runs
/// a few hundred times a second: within a round these are a handful of samples.
fn is_sampled(name: &str) -> bool {
    name.starts_with("user ") || name.starts_with("system ")
}

/// Lowest and highest.
fn spread(values: &[f64]) -> (f64, f64) {
    values
        .iter()
        .fold((f64::INFINITY, 0.0), |(low, high), value| (low.min(*value), high.max(*value)))
}

/// Three digits that count.
fn short(value: f64) -> String {
    match value {
        100.0.. => format!("{value:.0}"),
        10.0.. => format!("{value:.1}"),
        _ => format!("{value:.2}"),
    }
}

const CELL: usize = 18;
