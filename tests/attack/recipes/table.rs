//! What came of the recipes: one row for each recipe and server, a cell for each filter.
//!
//! A recipe that works behind a filter is wrong, whatever the bare server does. One that can work
//! on a bare server has to, or it shows nothing.

use std::fmt::Write;

use crate::lab::{Outcome, ensure};

/// What came of one recipe in one place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Seen {
    /// Whether the attack worked.
    pub(crate) worked: bool,
    /// What was seen, in few words.
    pub(crate) told: String,
}

/// All rows.
#[derive(Default)]
pub(crate) struct Table {
    columns: Vec<&'static str>,
    rows: Vec<Row>,
}

struct Row {
    id: &'static str,
    name: &'static str,
    place: &'static str,
    /// Whether it must work in the first column.
    must_work: bool,
    cells: Vec<Option<Seen>>,
}

impl Seen {
    /// The attack worked, if `worked`; this was seen.
    pub(crate) fn new(worked: bool, told: impl Into<String>) -> Self {
        Self { worked, told: told.into() }
    }
}

impl Table {
    /// A table with these filters; the first is none at all, or one that holds nothing back.
    pub(crate) fn new(columns: &[&'static str]) -> Self {
        Self { columns: columns.to_vec(), rows: Vec::new() }
    }

    /// Enters what came of a recipe, named by id and sentence, on a server, behind a filter.
    pub(crate) fn enter(
        &mut self,
        recipe: (&'static str, &'static str),
        place: &'static str,
        column: &'static str,
        seen: Seen,
    ) {
        let at = self.columns.iter().position(|known| *known == column).unwrap_or(0);
        if let Some(cell) = self.row(recipe, place).cells.get_mut(at) {
            *cell = Some(seen);
        }
    }

    /// The same of a recipe that must work in the first column.
    pub(crate) fn enter_alive(
        &mut self,
        recipe: (&'static str, &'static str),
        place: &'static str,
        column: &'static str,
        seen: Seen,
    ) {
        self.row(recipe, place).must_work = true;
        self.enter(recipe, place, column, seen);
    }

    fn row(&mut self, (id, name): (&'static str, &'static str), place: &'static str) -> &mut Row {
        let known = self.rows.iter().position(|row| (row.name, row.place) == (name, place));
        let at = known.unwrap_or_else(|| {
            let cells = vec![None; self.columns.len()];
            self.rows.push(Row { id, name, place, must_work: false, cells });
            self.rows.len() - 1
        });
        &mut self.rows[at]
    }

    /// The table as text if each row is as it must be, or the failure that quotes it.
    pub(crate) fn judged(mut self) -> Outcome<String> {
        self.rows.sort_by_key(|row| (number(row.id), row.name, row.place));
        let bad = self.rows.iter().filter(|row| !row.is_good()).count();
        let text = self.to_text();
        ensure(!self.rows.is_empty(), || "no recipe was run".to_owned())?;
        ensure(bad == 0, || {
            format!("{bad} of {} rows are not as they must be\n{text}", self.rows.len())
        })?;
        Ok(text)
    }

    fn to_text(&self) -> String {
        let mut text = String::new();
        let mut line = |id: &str, name: &str, place: &str, cells: &[String], must: &str| {
            let cells: String = cells.iter().map(|cell| format!(" {cell:<30}")).collect();
            let _ = writeln!(text, "{id:<3} {name:<42} {place:<9}{cells} {must}");
        };
        let heads: Vec<String> = self.columns.iter().map(|&column| column.to_owned()).collect();
        line("", "recipe", "server", &heads, "as it must be");
        for row in &self.rows {
            let cells: Vec<String> = row.cells.iter().map(|cell| shown(cell.as_ref())).collect();
            line(row.id, row.name, row.place, &cells, if row.is_good() { "yes" } else { "NO" });
        }
        text
    }
}

impl Row {
    /// Nothing may work behind a filter.
    fn is_good(&self) -> bool {
        let works = |cell: &Option<Seen>| cell.as_ref().is_some_and(|seen| seen.worked);
        let is_alive = !self.must_work || self.cells.first().is_some_and(works);
        is_alive && !self.cells.iter().skip(1).any(works)
    }
}

fn shown(cell: Option<&Seen>) -> String {
    match cell {
        None => "-".to_owned(),
        Some(Seen { worked, told }) => {
            let word = if *worked { "WORKED" } else { "held" };
            format!("{word}: {}", told.chars().take(CELL).collect::<String>())
        }
    }
}

/// The number an id begins with.
fn number(id: &str) -> u32 {
    let end = id.find(|letter: char| !letter.is_ascii_digit()).unwrap_or(id.len());
    id.get(..end).and_then(|digits| digits.parse().ok()).unwrap_or(u32::MAX)
}

/// Letters of what was seen that fit into a cell.
const CELL: usize = 22;
