//! What a key may be: a word, a number within bounds, a truth, an address, a text, a list of these.

use std::net::SocketAddr;

use super::tree::{Node, Place, Value};
use super::{Backend, Destination, Fail, RulesBackend};
use crate::engine::UnknownFlow;
use crate::event::Format;
use crate::flow::Network;
use crate::guard;

/// What is wrong about one value.
#[derive(Debug)]
pub(super) struct Wrong {
    pub(super) place: Place,
    /// What was found, and what was expected.
    pub(super) message: String,
}

impl Wrong {
    /// This was found, that was expected.
    pub(super) fn new(node: &Node, expected: &str) -> Self {
        let message = format!("{} found, expected {expected}", node.found());
        Self { place: node.place.clone(), message }
    }
}

/// A type that a key may have.
pub(super) trait Read: Sized {
    /// Whether it is a list.
    const IS_LIST: bool = false;

    /// What may be given, to stand behind "expected".
    fn expected() -> String;

    /// Reads it.
    fn read(node: &Node) -> Result<Self, Vec<Wrong>>;

    /// What holds where nothing is given, of what the row says.
    fn preset(text: &str) -> Self {
        let node = Node::of_preset(text);
        let Some(Ok(value)) = node.as_ref().map(Self::read) else {
            unreachable!("{text} is {}", Self::expected());
        };
        value
    }
}

/// A key that may be absent, or that follows others then.
impl<T: Read> Read for Option<T> {
    const IS_LIST: bool = T::IS_LIST;

    fn expected() -> String {
        T::expected()
    }

    fn read(node: &Node) -> Result<Self, Vec<Wrong>> {
        T::read(node).map(Some)
    }

    fn preset(_: &str) -> Self {
        None
    }
}

/// One of a few words.
pub(crate) trait Words: Copy + PartialEq + 'static {
    /// The words.
    const WORDS: &'static [(&'static str, Self)];

    /// The value of a word.
    fn named(name: &str) -> Option<Self> {
        Self::WORDS.iter().find(|(word, _)| *word == name).map(|(_, value)| *value)
    }

    /// The word of a value.
    fn word(self) -> &'static str {
        Self::WORDS.iter().find(|(_, value)| *value == self).map_or("", |(word, _)| word)
    }

    /// The words, with commas and an "or" between.
    fn choices() -> String {
        let words: Vec<String> =
            Self::WORDS.iter().map(|(word, _)| format!("\"{word}\"")).collect();
        match words.split_last() {
            Some((last, rest)) if !rest.is_empty() => format!("{} or {last}", rest.join(", ")),
            _ => words.concat(),
        }
    }
}

impl<T: Words> Read for T {
    fn expected() -> String {
        Self::choices()
    }

    fn read(node: &Node) -> Result<Self, Vec<Wrong>> {
        let Value::Text(text) = &node.value else { return Err(wrong::<Self>(node)) };
        Self::named(text).ok_or_else(|| wrong::<Self>(node))
    }
}

fn wrong<T: Read>(node: &Node) -> Vec<Wrong> {
    vec![Wrong::new(node, &T::expected())]
}

impl Words for Backend {
    const WORDS: &'static [(&'static str, Self)] =
        &[("nfq", Self::Nfq), ("netlink", Self::Netlink)];
}

impl Words for Fail {
    const WORDS: &'static [(&'static str, Self)] =
        &[("closed", Self::Closed), ("open", Self::Open)];
}

impl Words for RulesBackend {
    const WORDS: &'static [(&'static str, Self)] =
        &[("auto", Self::Auto), ("iptables", Self::Iptables), ("nft", Self::Nft)];
}

impl Words for UnknownFlow {
    const WORDS: &'static [(&'static str, Self)] =
        &[("reset", Self::Reset), ("drop", Self::Drop), ("pass", Self::Pass)];
}

impl Words for Format {
    const WORDS: &'static [(&'static str, Self)] =
        &[("text", Self::Text), ("json", Self::Json), ("syslog", Self::Syslog)];
}

impl Read for bool {
    fn expected() -> String {
        "true or false".to_owned()
    }

    fn read(node: &Node) -> Result<Self, Vec<Wrong>> {
        let Value::Truth(truth) = node.value else { return Err(wrong::<Self>(node)) };
        Ok(truth)
    }
}

impl Read for String {
    fn expected() -> String {
        "a text that is not empty".to_owned()
    }

    fn read(node: &Node) -> Result<Self, Vec<Wrong>> {
        let Value::Text(text) = &node.value else { return Err(wrong::<Self>(node)) };
        if text.is_empty() { Err(wrong::<Self>(node)) } else { Ok(text.clone()) }
    }
}

/// The path of a file, whatever folder who reads it is in.
#[derive(Clone, Debug)]
pub(super) struct AbsolutePath {
    pub(super) path: String,
    /// Whether somebody asked for it by name.
    pub(super) is_given: bool,
}

impl Read for AbsolutePath {
    fn expected() -> String {
        "an absolute path".to_owned()
    }

    fn read(node: &Node) -> Result<Self, Vec<Wrong>> {
        let Value::Text(path) = &node.value else { return Err(wrong::<Self>(node)) };
        let is_given = node.place != Place::Nowhere;
        let read = Self { path: path.clone(), is_given };
        if path.starts_with('/') { Ok(read) } else { Err(wrong::<Self>(node)) }
    }
}

/// Where the event log goes.
#[derive(Clone, Debug)]
pub(super) struct LogPlace(pub(super) String);

impl Read for LogPlace {
    fn expected() -> String {
        "an absolute path, \"-\", \"journald\", \"syslog\", or one of these two with a colon and a \
         path behind"
            .to_owned()
    }

    fn read(node: &Node) -> Result<Self, Vec<Wrong>> {
        let Value::Text(text) = &node.value else { return Err(wrong::<Self>(node)) };
        // Who gives an option is in some folder, and means that.
        let is_option = matches!(node.place, Place::Option(_)) && !text.is_empty();
        let is_meant = match Destination::of(text) {
            Destination::Stream(path) => path == "-" || path.starts_with('/') || is_option,
            Destination::Daemon(_, socket) => socket.is_absolute(),
        };
        if is_meant { Ok(Self(text.clone())) } else { Err(wrong::<Self>(node)) }
    }
}

impl Read for Network {
    fn expected() -> String {
        "an address or a block such as \"192.0.2.0/24\"".to_owned()
    }

    fn read(node: &Node) -> Result<Self, Vec<Wrong>> {
        let Value::Text(text) = &node.value else { return Err(wrong::<Self>(node)) };
        text.parse().map_err(|_| match Self::meant_by(text) {
            Some((block, address)) => {
                vec![Wrong::new(node, &format!("\"{block}\" or \"{address}\""))]
            }
            None => wrong::<Self>(node),
        })
    }
}

/// The name of a profile.
#[derive(Clone, Debug)]
pub(super) struct ProfileName(pub(super) String);

impl Read for ProfileName {
    fn expected() -> String {
        format!("one of {}", guard::Profile::names().join(", "))
    }

    fn read(node: &Node) -> Result<Self, Vec<Wrong>> {
        let Value::Text(name) = &node.value else { return Err(wrong::<Self>(node)) };
        if guard::Profile::names().contains(&name.as_str()) {
            Ok(Self(name.clone()))
        } else {
            Err(wrong::<Self>(node))
        }
    }
}

/// Where to listen for others on this machine.
#[derive(Clone, Copy, Debug)]
pub(super) struct Loopback(pub(super) SocketAddr);

impl Read for Loopback {
    fn expected() -> String {
        "a loopback address and a port, such as \"127.0.0.1:9625\"".to_owned()
    }

    fn read(node: &Node) -> Result<Self, Vec<Wrong>> {
        let Value::Text(text) = &node.value else { return Err(wrong::<Self>(node)) };
        let address = text.parse().ok().filter(|to: &SocketAddr| to.ip().is_loopback());
        address.map(Self).ok_or_else(|| wrong::<Self>(node))
    }
}

/// A whole number within bounds.
#[derive(Clone, Copy, Debug)]
pub(super) struct Number<const LOW: u64, const HIGH: u64>(pub(super) u64);

impl<const LOW: u64, const HIGH: u64> Number<LOW, HIGH> {
    /// The number in a type that the caller chose to hold `HIGH`.
    pub(super) fn narrow<T: TryFrom<u64>>(self) -> T {
        let Ok(value) = T::try_from(self.0) else {
            unreachable!("{HIGH} fits the field");
        };
        value
    }
}

impl<const LOW: u64, const HIGH: u64> Read for Number<LOW, HIGH> {
    fn expected() -> String {
        format!("a whole number from {LOW} to {HIGH}")
    }

    fn read(node: &Node) -> Result<Self, Vec<Wrong>> {
        let Value::Number(number) = node.value else { return Err(wrong::<Self>(node)) };
        let number = u64::try_from(number).ok().filter(|number| (LOW..=HIGH).contains(number));
        number.map(Self).ok_or_else(|| wrong::<Self>(node))
    }
}

impl<T: Read> Read for Vec<T> {
    const IS_LIST: bool = true;

    fn expected() -> String {
        format!("a list, each of it {}", T::expected())
    }

    fn read(node: &Node) -> Result<Self, Vec<Wrong>> {
        let Value::List(nodes) = &node.value else { return Err(wrong::<Self>(node)) };
        let (mut values, mut faults) = (Self::new(), Vec::new());
        for node in nodes {
            match T::read(node) {
                Ok(value) => values.push(value),
                Err(wrong) => faults.extend(wrong),
            }
        }
        if faults.is_empty() { Ok(values) } else { Err(faults) }
    }
}
