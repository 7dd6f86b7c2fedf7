//! One key set on the command line, to be laid over the file.

use toml::{Table, Value};

use super::Error;

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
    /// a word.
    ///
    /// # Errors
    /// What was expected.
    pub fn parse(text: &str) -> Result<Self, String> {
        let wanted = || format!("`{text}` found, expected KEY=VALUE");
        let (key, value) = text.split_once('=').ok_or_else(wanted)?;
        let key = key.trim();
        let path: Vec<&str> = match key.split('.').collect::<Vec<_>>() {
            path if path.contains(&"") => return Err(wanted()),
            path if path.len() > 1 || TOP_LEVEL.contains(&key) => path,
            _ => vec!["settings", key],
        };
        Ok(Self::new(format!("--set {text}"), &path, parse_value(value.trim())))
    }

    /// A table with nothing but this key.
    pub(super) fn table(&self) -> Table {
        let mut value = self.value.clone();
        for name in self.path.iter().skip(1).rev() {
            value = Value::Table(Table::from_iter([(name.clone(), value)]));
        }
        self.path.first().map(|name| (name.clone(), value)).into_iter().collect()
    }

    /// Whether it sets this very key.
    pub(super) fn sets(&self, path: &[String]) -> bool {
        self.path == path
    }

    /// A complaint about it.
    pub(super) fn refuse(&self, message: &str) -> Error {
        Error(format!("{}: {message}", self.shown))
    }
}

fn parse_value(text: &str) -> Value {
    let parsed = format!("value = {text}").parse::<Table>().ok();
    let value = parsed.filter(|table| table.len() == 1).and_then(|mut table| table.remove("value"));
    value.unwrap_or_else(|| Value::String(text.to_owned()))
}

/// Keys of the file that stand in no section.
const TOP_LEVEL: [&str; 4] = ["monitor", "ports", "profile", "unknown_flow"];
