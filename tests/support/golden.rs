//! Tables that are documentation and expectation at once: generated on each run and compared with
//! the checked-in copy; `BLESS=1` in the environment writes that anew.

use std::fs;
use std::path::Path;

/// Compares a table with `tests/golden/NAME`.
pub fn compare(name: &str, table: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(name);
    if std::env::var_os("BLESS").is_some() {
        fs::write(&path, table).unwrap();
    }
    let expected = fs::read_to_string(&path).unwrap_or_default();
    for (number, (found, expected)) in table.lines().zip(expected.lines()).enumerate() {
        assert_eq!(found, expected, "{name}:{}: BLESS=1 accepts this", number + 1);
    }
    assert_eq!(table.len(), expected.len(), "{name}: BLESS=1 accepts this");
}

/// A table in Markdown.
pub fn markdown(head: &[&str], rows: &[Vec<String>]) -> String {
    let line = |cells: &[String]| format!("| {} |\n", cells.join(" | "));
    let head: Vec<String> = head.iter().map(|&cell| cell.to_owned()).collect();
    let rule = vec!["---".to_owned(); head.len()];
    let rows = rows.iter().map(|row| line(row));
    [line(&head), line(&rule)].into_iter().chain(rows).collect()
}

/// Bytes of a line as code; spaces at its end show.
pub fn code(line: &str) -> String {
    let text = line.trim_end_matches(' ');
    let spaces = "␠".repeat(line.len() - text.len());
    if line.is_empty() { "nothing".to_owned() } else { format!("`{text}{spaces}`") }
}
