//! What hellos said, in words that every format shares.

use std::fmt::Write;

use crate::tls::{ClientHello, ServerName, alert_name, fingerprint, group_name, suite_name};

/// Names of one list that an entry shows: a stranger chooses how many there are.
const SHOWN_MAX: usize = 8;

/// A cipher suite by its name, or its number.
pub(super) fn suite(value: u16) -> String {
    suite_name(value).map_or_else(|| format!("{value:#06x}"), str::to_owned)
}

/// A group by its name, or its number.
pub(super) fn group(value: u16) -> String {
    group_name(value).map_or_else(|| format!("{value:#06x}"), str::to_owned)
}

/// An alert by its name, or its number.
pub(super) fn alert_word(description: u8) -> String {
    alert_name(description).map_or_else(|| description.to_string(), str::to_owned)
}

/// The name asked for, if there is one that may be shown.
pub(super) fn server_name(hello: &ClientHello) -> Option<&str> {
    match &hello.server_name {
        ServerName::Host(name) => Some(name),
        ServerName::Absent | ServerName::Odd => None,
    }
}

/// The first of these groups.
pub(super) fn groups(values: &[u16]) -> Vec<String> {
    values.iter().take(SHOWN_MAX).map(|&value| group(value)).collect()
}

/// The first of the protocols offered.
pub(super) fn protocols(hello: &ClientHello) -> Vec<String> {
    hello.protocols.iter().take(SHOWN_MAX).map(|name| super::escaped(name)).collect()
}

/// What a client offers, for a line of text.
pub(super) fn offered(hello: &ClientHello) -> String {
    let mut text = format!(" up to {}", hello.highest_version());
    // Writing to a String cannot fail.
    let _ = match &hello.server_name {
        ServerName::Host(name) => write!(text, ", for {name}"),
        ServerName::Odd => write!(text, ", for an odd name"),
        ServerName::Absent => Ok(()),
    };
    let shares = groups(&hello.key_shares);
    if !shares.is_empty() {
        let _ = write!(text, ", keys {}", shares.join(" "));
    }
    let protocols = protocols(hello);
    if !protocols.is_empty() {
        // A name may hold any byte, and what ends one in this line, too.
        let sealed = |name: &String| name.replace(' ', "\\x20").replace(',', "\\x2c");
        let names: Vec<_> = protocols.iter().map(sealed).collect();
        let _ = write!(text, ", protocols {}", names.join(" "));
    }
    for (is_there, word) in
        [(hello.has_encrypted_hello, "ech"), (hello.has_early_data, "early data")]
    {
        if is_there {
            let _ = write!(text, ", {word}");
        }
    }
    let _ = write!(text, ", ja4 {}", fingerprint(hello));
    text
}
