//! Values as they were given, each with the place where it stands.
//!
//! A file and the command line's options become one tree: an option's value takes the place of the
//! file's, and keeps its own place for whoever complains of it.

use std::ops::Range;

use toml::de::{DeTable, DeValue};
use toml::{Table, Value as Plain};

/// Where something was given.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) enum Place {
    /// These bytes of the file.
    File(Range<usize>),
    /// The option of this number.
    Option(usize),
    /// Nowhere: it is a default, or it is missing.
    #[default]
    Nowhere,
}

impl Place {
    /// The bytes of the file.
    pub(super) const fn span(&self) -> Option<&Range<usize>> {
        match self {
            Self::File(span) => Some(span),
            Self::Option(_) | Self::Nowhere => None,
        }
    }
}

/// A value.
#[derive(Clone, Debug)]
pub(super) struct Node {
    pub(super) place: Place,
    pub(super) value: Value,
}

/// What a value is.
#[derive(Clone, Debug)]
pub(super) enum Value {
    Text(String),
    Number(i64),
    /// A number with a fraction, as it was written: some words look like one, such as versions.
    Fraction(String),
    Truth(bool),
    List(Vec<Node>),
    Table(Vec<Entry>),
    /// What no key takes: its kind.
    Other(&'static str),
}

/// A key and its value.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    pub(super) key: String,
    /// Where the key itself stands.
    pub(super) place: Place,
    pub(super) node: Node,
}

impl Node {
    /// A tree of nothing.
    pub(super) const fn empty() -> Self {
        Self { place: Place::Nowhere, value: Value::Table(Vec::new()) }
    }

    /// The tree of a file's table.
    pub(super) fn of_file(table: &DeTable<'_>) -> Self {
        let mut entries: Vec<Entry> = table
            .iter()
            .map(|(key, value)| Entry {
                key: key.get_ref().to_string(),
                place: Place::File(key.span()),
                node: Self::of_value(value.get_ref(), value.span()),
            })
            .collect();
        entries.sort_by_key(|entry| entry.place.span().map_or(0, |span| span.start));
        Self { place: Place::Nowhere, value: Value::Table(entries) }
    }

    fn of_value(value: &DeValue<'_>, span: Range<usize>) -> Self {
        let value = match value {
            DeValue::String(text) => Value::Text(text.to_string()),
            DeValue::Integer(number) => i64::from_str_radix(number.as_str(), number.radix())
                .map_or(Value::Other("a number beyond 64 bits"), Value::Number),
            DeValue::Boolean(truth) => Value::Truth(*truth),
            DeValue::Array(list) => Value::List(
                list.iter().map(|node| Self::of_value(node.get_ref(), node.span())).collect(),
            ),
            DeValue::Table(table) => Self::of_file(table).value,
            DeValue::Float(number) => Value::Fraction(number.as_str().to_owned()),
            DeValue::Datetime(_) => Value::Other("a date or a time"),
        };
        Self { place: Place::File(span), value }
    }

    /// The tree of an option's value, all of which stands in that option.
    pub(super) fn of_option(value: &Plain, number: usize) -> Self {
        Self::of_plain(value, &Place::Option(number))
    }

    /// What stands for a value that nobody gave: none if the text is no TOML.
    pub(super) fn of_preset(text: &str) -> Option<Self> {
        let table: Table = format!("preset = {text}").parse().ok()?;
        table.get("preset").map(|value| Self::of_plain(value, &Place::Nowhere))
    }

    fn of_plain(value: &Plain, place: &Place) -> Self {
        let value = match value {
            Plain::String(text) => Value::Text(text.clone()),
            Plain::Integer(number) => Value::Number(*number),
            Plain::Boolean(truth) => Value::Truth(*truth),
            Plain::Array(list) => {
                Value::List(list.iter().map(|node| Self::of_plain(node, place)).collect())
            }
            Plain::Table(table) => Value::Table(
                table
                    .iter()
                    .map(|(key, value)| Entry {
                        key: key.clone(),
                        place: place.clone(),
                        node: Self::of_plain(value, place),
                    })
                    .collect(),
            ),
            Plain::Float(number) => Value::Fraction(format!("{number:?}")),
            Plain::Datetime(_) => Value::Other("a date or a time"),
        };
        Self { place: place.clone(), value }
    }

    /// Lays another tree over this one: where both have a table, key by key.
    pub(super) fn overlay(&mut self, over: Self) {
        match (&mut self.value, over) {
            (Value::Table(below), Self { value: Value::Table(above), .. }) => {
                for entry in above {
                    match below.iter_mut().find(|old| old.key == entry.key) {
                        Some(old) => old.node.overlay(entry.node),
                        None => below.push(entry),
                    }
                }
            }
            (_, over) => *self = over,
        }
    }

    /// What stands behind this name, or at this place of a list.
    fn child(&self, name: &str) -> Option<&Self> {
        if let Value::List(nodes) = &self.value {
            return nodes.get(name.parse::<usize>().ok()?);
        }
        let entry = self.entries()?.iter().find(|entry| entry.key == name)?;
        Some(&entry.node)
    }

    /// What stands behind these names and numbers.
    pub(super) fn at(&self, path: &[&str]) -> Option<&Self> {
        path.iter().try_fold(self, |node, name| node.child(name))
    }

    /// Its keys, if it is a table.
    pub(super) fn entries(&self) -> Option<&[Entry]> {
        let Value::Table(entries) = &self.value else { return None };
        Some(entries)
    }

    /// How it is called where something else was expected.
    pub(super) fn found(&self) -> String {
        match &self.value {
            Value::Text(text) => format!("\"{text}\""),
            Value::Number(number) => number.to_string(),
            Value::Fraction(_) => "a number with a fraction".to_owned(),
            Value::Truth(truth) => truth.to_string(),
            Value::List(_) => "a list".to_owned(),
            Value::Table(_) => "a table".to_owned(),
            Value::Other(kind) => (*kind).to_owned(),
        }
    }
}
