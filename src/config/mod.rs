//! The configuration: a TOML file and the command line's overrides become one [`Config`].
//!
//! Owns the names, defaults and bounds of every key, and says where a wrong one stands and what
//! was expected. It opens no file: the caller passes the text. What a guard setting may be is the
//! business of `guard`.

mod digest;
mod document;
mod exceptions;
mod keys;
mod log;
mod mixes;
mod overrides;
mod report;
mod rewrite;
mod tree;
mod value;

#[cfg(test)]
mod tests;

pub use exceptions::EXCEPTION_KEYS;
pub use keys::{KEYS, Key, Preset};
pub use log::{Destination, Log};
pub use overrides::Override;
pub use report::Error;
pub(crate) use report::harmless;
pub use rewrite::rewrite;

use std::net::SocketAddr;

use toml::de::DeTable;

use self::report::Fault;
use self::tree::{Node, Place, Value};
pub(crate) use self::value::Words;
use crate::engine::{self, Treatment};
use crate::event::Format;
use crate::flow::Network;
use crate::patch::Catalogue;

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
    /// Where patches of the administrator's own are.
    pub patch_directory: Option<String>,
    /// Whether a running filter gives up what it does not need.
    pub sandbox: bool,
    /// The control socket.
    pub control: Control,
    /// Where metrics are collected.
    pub metrics: Metrics,
    /// Lines of a PIX that name mail hosts, as they were typed.
    pub pix: Vec<String>,
    /// The event log.
    pub log: Log,
}

/// The control socket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Control {
    /// Its path.
    pub socket: String,
    /// Whether somebody asked for it by name.
    pub is_wanted: bool,
    /// Whose members may connect besides the filter's own group.
    pub group: Option<String>,
    /// Whether they may change things.
    pub group_may_change: bool,
}

/// Where metrics are collected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Metrics {
    /// A loopback address; none: nowhere but at the control socket.
    pub listen: Option<SocketAddr>,
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
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Backend {
    /// Our own messages: several packets and answers a system call.
    Netlink,
    /// The nfq crate: one of each.
    Nfq,
}

/// What the kernel does with packets that the filter is not there to judge.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fail {
    /// They are dropped.
    Closed,
    /// They pass unfiltered.
    Open,
}

/// What keeps the packet filter rules.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RulesBackend {
    /// What holds them now; else nft, where it can; else iptables.
    Auto,
    /// Tables of iptables.
    Iptables,
    /// A table of our own, by nft.
    Nft,
}

/// The packet filter rules that bring packets to the queues.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rules {
    /// What keeps them.
    pub backend: RulesBackend,
    /// Hosts to which connections may be opened only on the SMTP ports.
    pub mail_hosts: Vec<Network>,
    /// Whether a mail server on the gateway itself is guarded too.
    pub local: bool,
    /// Mark bits of the packets we originate, and of those by which we speak of their connection.
    pub mark: u32,
    /// Mark bits of connections that need no more filtering.
    pub offload_mark: u32,
}

/// A configuration file's text, and the name to call it by in errors.
#[derive(Clone, Copy, Debug)]
pub struct Source<'a> {
    /// The file's name.
    pub name: &'a str,
    /// Its content.
    pub text: &'a str,
}

impl Config {
    /// Reads a file's text, if there is one, lays the overrides over it and fills in the rest.
    ///
    /// # Errors
    /// Everything found wrong: where it stands, what was found, what was expected.
    pub fn build(file: Option<Source<'_>>, overrides: &[Override]) -> Result<Self, Error> {
        let refused = |faults| Err(Error::new(faults, file, overrides));
        let (mut root, unread) = file.map_or_else(|| (Node::empty(), Vec::new()), parse);
        let (_, mut faults) = document::read(&root);
        if let Some(first) = unread.iter().map(|fault| start_of(&fault.place)).min() {
            // Behind a place that cannot be read nothing is certain.
            faults.retain(|fault| end_of(&fault.place) <= first);
            faults.extend(unread);
            return refused(faults);
        }
        for (number, one) in overrides.iter().enumerate() {
            root.overlay(Node::of_option(&one.table().into(), number));
        }
        // A wrong value of the file is wrong though an option may take its place.
        let (config, found) = document::read(&root);
        faults.extend(found);
        if faults.is_empty() {
            // What does not hold together may be caused by an option, or cured.
            faults = mixes::examine(&config, &root);
        }
        if faults.is_empty() { Ok(config) } else { refused(faults) }
    }

    /// The control socket that a file names, however faulty it is: the filter that runs may have
    /// begun with it. None if that cannot be read.
    #[must_use]
    pub fn control_in(text: &str) -> Option<Control> {
        let (root, unread) = parse(Source { name: "", text });
        let is_known = match root.at(&["control", "socket"]).map(|node| &node.value) {
            Some(value) => matches!(value, Value::Text(_)),
            None => unread.is_empty(),
        };
        is_known.then(|| document::read(&root).0.control)
    }

    /// What does not hold together of a configuration that was changed since it was read.
    ///
    /// # Errors
    /// Everything found wrong: what was found, what was expected.
    pub fn examine(&self) -> Result<(), Error> {
        let faults = mixes::examine(self, &Node::empty());
        if faults.is_empty() { Ok(()) } else { Err(Error::new(faults, None, &[])) }
    }

    /// The same with the patches built in and those of these files: each with its name and text.
    ///
    /// # Errors
    /// The first thing that is wrong in a file, or a patch that was named and is not there.
    pub fn with_patches(mut self, files: &[(String, String)]) -> Result<Self, String> {
        let catalogue = Catalogue::with(files).map_err(|fault| fault.to_string())?;
        let exceptions = self.engine.exceptions.iter_mut();
        let other = exceptions.filter_map(|exception| match &mut exception.treatment {
            Treatment::Enforce(guard) | Treatment::Monitor(guard) => Some(guard),
            Treatment::HandsOff => None,
        });
        for guard in other.chain([&mut self.engine.guard]) {
            guard.patches.catalogue = catalogue.clone();
            if let Some(id) = guard.patches.unknown() {
                let listed = "expected a patch that `mailguard patches` lists";
                return Err(format!("patches: `{id}` found, {listed}"));
            }
        }
        Ok(self)
    }

    /// The queue numbers to serve.
    pub fn queue_numbers(&self) -> impl Iterator<Item = u16> + use<> {
        self.queue.first..=self.queue.last
    }
}

/// A file's values, and where it is no TOML.
fn parse(source: Source<'_>) -> (Node, Vec<Fault>) {
    let (table, errors) = DeTable::parse_recoverable(source.text);
    let unread = errors.iter().map(|error| Fault {
        place: Place::File(error.span().unwrap_or_default()),
        message: error.message().split_whitespace().collect::<Vec<_>>().join(" "),
    });
    (Node::of_file(table.get_ref()), unread.collect())
}

fn start_of(place: &Place) -> usize {
    place.span().map_or(usize::MAX, |span| span.start)
}

fn end_of(place: &Place) -> usize {
    place.span().map_or(usize::MAX, |span| span.end)
}

/// Reads a format by its name.
///
/// # Errors
/// What was expected.
pub fn format_named(name: &str) -> Result<Format, String> {
    Format::named(name).ok_or_else(|| format!("expected {}", Format::choices()))
}
