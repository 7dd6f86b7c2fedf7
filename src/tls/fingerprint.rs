//! The fingerprint of a ClientHello: JA4 of FoxIO (TLS client), our own code from its description.
//!
//! JA4 is under BSD-3-Clause, and FoxIO has stated that it neither holds nor seeks a patent on it.
//! The others of its family (JA4S, JA4X ...) are under another licence, and are not here.
//!
//! A hello may have thousands of values: they are sorted as numbers, which is the order of their
//! four hexadecimal digits, and written into one text.

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
    let named = |values: &[u16]| -> Vec<u16> {
        values.iter().copied().filter(|&value| !is_grease(value)).collect()
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
    suites.sort_unstable();
    extensions.retain(|kind| ![SERVER_NAME, ALPN].contains(kind));
    extensions.sort_unstable();
    let algorithms = named(&hello.signature_algorithms);
    let mut list = Vec::with_capacity(5 * suites.len());
    append(&suites, &mut list);
    text.push('_');
    append_hash(&list, suites.is_empty(), &mut text);
    list.clear();
    append(&extensions, &mut list);
    if !algorithms.is_empty() {
        list.push(b'_');
        append(&algorithms, &mut list);
    }
    text.push('_');
    append_hash(&list, extensions.is_empty(), &mut text);
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

/// Values by their digits, with commas between them.
fn append(values: &[u16], list: &mut Vec<u8>) {
    for (place, value) in values.iter().enumerate() {
        if place > 0 {
            list.push(b',');
        }
        let [high, low] = value.to_be_bytes();
        list.extend([high >> 4, high & 0xf, low >> 4, low & 0xf].map(digit));
    }
}

const fn digit(value: u8) -> u8 {
    if value < 10 { b'0' + value } else { b'a' + value - 10 }
}

fn append_hash(list: &[u8], is_empty: bool, text: &mut String) {
    if is_empty {
        text.extend(['0'; HASH_SHOWN]);
        return;
    }
    for byte in Sha256::digest(list).iter().take(HASH_SHOWN / 2) {
        // Writing to a String cannot fail.
        let _ = write!(text, "{byte:02x}");
    }
}
