//! The configuration: a TOML file and the command line's overrides become one [`Config`].
//!
//! Owns the names, defaults and bounds of every key, and says where a wrong one stands and what
//! was expected. It opens no file: the caller passes the text. What a guard setting may be is the
//! business of `guard`.

mod document;
mod exceptions;
mod overrides;

#[cfg(test)]
mod tests;

pub use overrides::Override;

use std::fmt;

use serde::{Deserialize, de};
use toml::Table;
use toml::de::{DeTable, DeValue};

use self::document::{Document, Fault};
use crate::engine;
use crate::event::Format;
use crate::flow::Network;

/// Everything the program can be told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// The profile the guard's settings began from.
    pub profile: String,
    /// What the engine is told.
    pub engine: engine::Settings,
    /// The kernel queues.
    pub queue: Queue,
    /// The packet filter rules.
    pub rules: Rules,
    /// The event log.
    pub log: Log,
}

/// The kernel queues to serve, and how.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Queue {
    /// Lowest queue number.
    pub first: u16,
    /// Highest queue number.
    pub last: u16,
    /// What talks to the kernel.
    pub backend: Backend,
    /// Packets the kernel keeps for one queue before it drops.
    pub length: u32,
    /// Bytes asked for as the receive buffer of one queue's socket.
    pub socket_buffer: usize,
    /// Whether GSO super-packets come whole.
    pub gso: bool,
    /// What becomes of packets nobody can judge.
    pub fail: Fail,
}

/// What talks to the kernel for a queue.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Backend {
    /// Our own messages: several packets and answers a system call.
    Netlink,
    /// The nfq crate: one of each.
    #[default]
    Nfq,
}

/// What the kernel does with packets that the filter is not there to judge.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Fail {
    /// They are dropped.
    Closed,
    /// They pass unfiltered.
    Open,
}

/// The packet filter rules that bring packets to the queues.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rules {
    /// Hosts to which connections may be opened only on the SMTP ports.
    pub mail_hosts: Vec<Network>,
    /// Whether a mail server on the gateway itself is guarded too.
    pub local: bool,
    /// Mark bits of the packets we originate, and of those by which we speak of their connection.
    pub mark: u32,
    /// Mark bits of connections that need no more filtering.
    pub offload_mark: u32,
}

/// The event log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Log {
    /// Where events are written, `-` for standard output; none: nowhere.
    pub events: Option<String>,
    /// In which form.
    pub format: Format,
    /// Bytes it may grow by in a second; what is more is left out, and counted.
    pub bytes_per_second: u64,
}

/// A configuration file's text, and the name to call it by in errors.
#[derive(Clone, Copy, Debug)]
pub struct Source<'a> {
    /// The file's name.
    pub name: &'a str,
    /// Its content.
    pub text: &'a str,
}

/// Why a configuration was refused: one line, with the place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Error(String);

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Error {}

impl Config {
    /// Reads a file's text, if there is one, lays the overrides over it and fills in the rest.
    ///
    /// # Errors
    /// The first thing found wrong: where it stands, what was found, what was expected.
    pub fn build(file: Option<Source<'_>>, overrides: &[Override]) -> Result<Self, Error> {
        let mut table = match file {
            Some(source) => read(source)?,
            None => Table::new(),
        };
        for one in overrides {
            let alone = one.table();
            // Checked alone first, so that the complaint names the option and not the file.
            shaped(alone.clone()).map_err(|message| one.refuse(&message))?;
            overlay(&mut table, alone);
        }
        let document = shaped(table).map_err(Error)?;
        document.into_config().map_err(|fault| place(fault, file, overrides))
    }

    /// The queue numbers to serve.
    pub fn queue_numbers(&self) -> impl Iterator<Item = u16> + use<> {
        self.queue.first..=self.queue.last
    }
}

fn read(source: Source<'_>) -> Result<Table, Error> {
    let at_span = |error: &toml::de::Error| {
        let line = line_at(source.text, error.span().map_or(0, |span| span.start));
        Error(format!("{}:{line}: {}", source.name, one_line(error.message())))
    };
    toml::from_str::<Document>(source.text).map_err(|error| at_span(&error))?;
    source.text.parse::<Table>().map_err(|error| at_span(&error))
}

fn shaped(table: Table) -> Result<Document, String> {
    Document::deserialize(table).map_err(|error: toml::de::Error| one_line(error.message()))
}

/// Says where the key of a fault was set: by an option, in the file, or nowhere.
fn place(fault: Fault, file: Option<Source<'_>>, overrides: &[Override]) -> Error {
    if let Some(one) = overrides.iter().rev().find(|one| one.sets(&fault.path)) {
        return one.refuse(&fault.message);
    }
    let line = file.and_then(|source| Some((source, line_of(source.text, &fault.path)?)));
    match (line, file) {
        (Some((source, line)), _) => Error(format!("{}:{line}: {}", source.name, fault.message)),
        (None, Some(source)) => Error(format!("{}: {}", source.name, fault.message)),
        (None, None) => Error(fault.message),
    }
}

/// The line of a key, or of what is nearest around it.
fn line_of(text: &str, path: &[String]) -> Option<usize> {
    let document = DeTable::parse(text).ok()?;
    let mut table = document.get_ref();
    let mut start = None;
    let mut names = path.iter();
    while let Some((key, value)) = names.next().and_then(|name| table.get_key_value(name.as_str()))
    {
        start = Some(key.span().start);
        let element = value
            .get_ref()
            .as_array()
            .and_then(|list| list.get(names.next()?.parse::<usize>().ok()?));
        if let Some(element) = element {
            start = Some(element.span().start);
        }
        if let DeValue::Table(inner) = element.unwrap_or(value).get_ref() {
            table = inner;
        }
    }
    start.map(|start| line_at(text, start))
}

fn line_at(text: &str, offset: usize) -> usize {
    let before = text.as_bytes().get(..offset).unwrap_or(text.as_bytes());
    1 + memchr::memchr_iter(b'\n', before).count()
}

fn one_line(message: &str) -> String {
    message.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn overlay(under: &mut Table, over: Table) {
    for (key, value) in over {
        match (under.get_mut(&key), value) {
            (Some(toml::Value::Table(below)), toml::Value::Table(above)) => overlay(below, above),
            (_, value) => {
                under.insert(key, value);
            }
        }
    }
}

/// Reads a format by its name.
///
/// # Errors
/// What was expected.
pub fn format_named(name: &str) -> Result<Format, String> {
    Format::deserialize(de::value::StrDeserializer::<de::value::Error>::new(name))
        .map_err(|error| error.to_string())
}
