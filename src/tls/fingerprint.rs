//! The fingerprint of a ClientHello: JA4 of FoxIO (TLS client), our own code from its description.
//!
//! JA4 is under BSD-3-Clause, and FoxIO has stated that it neither holds nor seeks a patent on it.
//! The others of its family (JA4S, JA4X ...) are under another licence, and are not here.

use std::fmt::Write;

use sha2::{Digest, Sha256};

use super::hello::{ALPN, SERVER_NAME, ServerName, is_grease};
use super::{ClientHello, Version};

/// Characters of a hash that are shown.
const HASH_SHOWN: usize = 12;

/// The largest count that is shown.
const COUNT_MAX: usize = 99;

/// The fingerprint, such as `t13d181100_85036bcba153_d41ae481755e`.
#[must_use]
pub fn fingerprint(hello: &ClientHello) -> String {
    let named = |values: &[u16]| -> Vec<String> {
        values.iter().filter(|&&value| !is_grease(value)).map(|v| format!("{v:04x}")).collect()
    };
    let mut suites = named(&hello.cipher_suites);
    let mut extensions = named(&hello.extensions);
    let mut text = format!(
        "t{}{}{:02}{:02}{}",
        version(hello.highest_version()),
        if hello.server_name == ServerName::Absent { 'i' } else { 'd' },
        suites.len().min(COUNT_MAX),
        extensions.len().min(COUNT_MAX),
        protocol(hello)
    );
    suites.sort();
    extensions
        .retain(|kind| ![SERVER_NAME, ALPN].map(|known| format!("{known:04x}")).contains(kind));
    extensions.sort();
    let mut sorted = extensions.join(",");
    let algorithms = named(&hello.signature_algorithms);
    if !algorithms.is_empty() {
        // Writing to a String cannot fail.
        let _ = write!(sorted, "_{}", algorithms.join(","));
    }
    let is_bare = extensions.is_empty();
    let _ =
        write!(text, "_{}_{}", hash(&suites.join(","), suites.is_empty()), hash(&sorted, is_bare));
    text
}

const fn version(version: Version) -> &'static str {
    match version {
        Version::TLS13 => "13",
        Version::TLS12 => "12",
        Version::TLS11 => "11",
        Version::TLS10 => "10",
        Version::SSL3 => "s3",
        _ => "00",
    }
}

/// The first and the last character of the first protocol, or of its hexadecimal form.
fn protocol(hello: &ClientHello) -> String {
    let Some(name) = hello.protocols.first() else { return "00".to_owned() };
    let (Some(&first), Some(&last)) = (name.first(), name.last()) else { return "00".to_owned() };
    if first.is_ascii_alphanumeric() && last.is_ascii_alphanumeric() {
        return [first, last].map(char::from).iter().collect();
    }
    let (first, last) = (format!("{first:02x}"), format!("{last:02x}"));
    first.chars().take(1).chain(last.chars().skip(1)).collect()
}

fn hash(text: &str, is_empty: bool) -> String {
    if is_empty {
        return "0".repeat(HASH_SHOWN);
    }
    let digest = Sha256::digest(text.as_bytes());
    let shown = digest.iter().take(HASH_SHOWN / 2);
    shown.fold(String::new(), |mut hex, byte| {
        let _ = write!(hex, "{byte:02x}");
        hex
    })
}
