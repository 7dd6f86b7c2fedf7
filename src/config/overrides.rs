//! One key set on the command line, to be laid over the file.

use toml::{Table, Value};

use super::KEYS;

/// A key and its value, with the words by which the user gave them.
#[derive(Clone, Debug, PartialEq)]
pub struct Override {
    shown: String,
    path: Vec<String>,
    value: Value,
}

impl Override {
    /// Sets the key at `path` (section first); `shown` is how errors call it.
    pub fn new(shown: impl Into<String>, path: &[&str], value: impl Into<Value>) -> Self {
        let path = path.iter().map(|&name| name.to_owned()).collect();
        Self { shown: shown.into(), path, value: value.into() }
    }

    /// Reads `key=value`. A key with a dot names its section; one without is a key of the file's
    /// top level if there is such a key, and otherwise a guard setting. A value that is not TOML is
    /// a word; where a list is wanted, values with commas between are one.
    ///
    /// # Errors
    /// What was expected.
    pub fn parse(text: &str) -> Result<Self, String> {
        let wanted = || format!("`{text}` found, expected KEY=VALUE");
        let (key, value) = text.split_once('=').ok_or_else(wanted)?;
        let key = key.trim();
        let path: Vec<&str> = match key.split('.').collect::<Vec<_>>() {
            path if path.contains(&"") => return Err(wanted()),
            path if path.len() > 1 || is_top_level(key) => path,
            _ => vec!["settings", key],
        };
        let value = value.trim();
        let value = if is_list(&path) { parse_list } else { parse_value }(value);
        Ok(Self::new(format!("--set {text}"), &path, value))
    }

    /// A table with nothing but this key.
    pub(super) fn table(&self) -> Table {
        let mut value = self.value.clone();
        for name in self.path.iter().skip(1).rev() {
            value = Value::Table(Table::from_iter([(name.clone(), value)]));
        }
        self.path.first().map(|name| (name.clone(), value)).into_iter().collect()
    }

    /// How it is called.
    pub(super) fn shown(&self) -> &str {
        &self.shown
    }
}

fn parse_value(text: &str) -> Value {
    let parsed = format!("value = {text}").parse::<Table>().ok();
    let value = parsed.filter(|table| table.len() == 1).and_then(|mut table| table.remove("value"));
    value.unwrap_or_else(|| Value::String(text.to_owned()))
}

/// A list as TOML has it, or its elements with commas between.
fn parse_list(text: &str) -> Value {
    let value = parse_value(text);
    if value.is_array() {
        return value;
    }
    Value::Array(text.split(',').map(|element| parse_value(element.trim())).collect())
}

/// Whether a key's value is a list.
fn is_list(path: &[&str]) -> bool {
    KEYS.iter().any(|key| key.is_list && key.path() == path.join("."))
}

/// Whether a key stands in no section.
fn is_top_level(name: &str) -> bool {
    KEYS.iter().any(|key| key.section.is_empty() && key.name == name)
}
