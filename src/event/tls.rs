//! What hellos said, in words that every format shares.

use std::fmt::Write;

use crate::tls::{ClientOffer, ServerName, alert_name, group_name, suite_name};

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

/// These groups.
pub(super) fn groups(values: &[u16]) -> Vec<String> {
    values.iter().map(|&value| group(value)).collect()
}

/// The protocols offered.
pub(super) fn protocols(offer: &ClientOffer) -> Vec<String> {
    offer.protocols.iter().map(|name| super::escaped(name)).collect()
}

/// What a client offers, for a line of text.
pub(super) fn offered(offer: &ClientOffer) -> String {
    let mut text = format!(" up to {}", offer.version);
    // Writing to a String cannot fail.
    let _ = match &offer.server_name {
        ServerName::Host(name) => write!(text, ", for {name}"),
        ServerName::Odd => write!(text, ", for an odd name"),
        ServerName::Absent => Ok(()),
    };
    let shares = groups(&offer.key_shares);
    if !shares.is_empty() {
        let _ = write!(text, ", keys {}", shares.join(" "));
    }
    let protocols = protocols(offer);
    if !protocols.is_empty() {
        // A name may hold any byte, and what ends one in this line, too.
        let sealed = |name: &String| name.replace(' ', "\\x20").replace(',', "\\x2c");
        let names: Vec<_> = protocols.iter().map(sealed).collect();
        let _ = write!(text, ", protocols {}", names.join(" "));
    }
    for (is_there, word) in
        [(offer.has_encrypted_hello, "ech"), (offer.has_early_data, "early data")]
    {
        if is_there {
            let _ = write!(text, ", {word}");
        }
    }
    let _ = write!(text, ", ja4 {}", offer.fingerprint);
    text
}
