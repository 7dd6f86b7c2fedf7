//! A stored message, and how it compares with what was sent.
//!
//! Servers put headers on top, and a client's mail program adds its own; what counts is that the
//! body has the sender's bytes and that the sender's headers are all there, unchanged, in order.

use crate::lab::outcome::{Because, Outcome};

/// A stored message; lines end in LF.
#[derive(Clone, Debug)]
pub(crate) struct Letter {
    /// Local parts of the recipients this copy is for.
    pub(crate) recipients: Vec<String>,
    /// Header lines, folded ones joined with their LF.
    pub(crate) headers: Vec<Vec<u8>>,
    /// Everything behind the empty line.
    pub(crate) body: Vec<u8>,
}

/// How a stored message compares with what was sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Likeness {
    /// Byte for byte.
    Same,
    /// The client's own mail program wrote 8-bit text in 7 bits, since the server was not said to
    /// take 8; decoded, it is the same byte for byte.
    Recoded,
    /// Something else arrived: what.
    Other(String),
}

impl Letter {
    /// Takes a stored file apart.
    pub(crate) fn parse(file: &[u8]) -> Outcome<Self> {
        let (headers, body) = split(file);
        let mut recipients = Vec::new();
        for header in &headers {
            let named =
                NAMES_RECIPIENT.iter().find_map(|name| header.strip_prefix(name.as_bytes()));
            let text = String::from_utf8_lossy(named.unwrap_or_default()).into_owned();
            let locals = text.split(',').filter_map(|address| address.trim().split('@').next());
            recipients.extend(locals.filter(|local| !local.is_empty()).map(str::to_owned));
            if !recipients.is_empty() {
                break;
            }
        }
        recipients.first().because("a stored message without a recipient")?;
        Ok(Self { recipients, headers, body })
    }

    /// How the last server got it: its own Received header.
    pub(crate) fn received(&self) -> String {
        let first = self.headers.iter().find(|header| header.starts_with(b"Received: "));
        String::from_utf8_lossy(first.map(Vec::as_slice).unwrap_or_default()).into_owned()
    }

    /// Compares with a message as it was sent, LF for CRLF.
    pub(crate) fn compare(&self, sent: &[u8]) -> Likeness {
        let (headers, body) = split(sent);
        let coding = self.headers.iter().find_map(|header| header.strip_prefix(CODING.as_bytes()));
        let decoded = match coding {
            Some(coding) if coding.starts_with(b"quoted-printable") => unquoted(&self.body),
            Some(coding) if coding.starts_with(b"base64") => unbased(&self.body),
            _ => Vec::new(),
        };
        let is_recoded = self.body != body && decoded == body;
        let mut stored = self.headers.iter();
        for header in &headers {
            // Whoever writes 8 bits in 7 says so, in place of what was said before.
            let is_replaced = is_recoded && header.starts_with(CODING.as_bytes());
            if !is_replaced && !stored.any(|candidate| candidate == header) {
                return Likeness::Other(format!("no header {}", header.escape_ascii()));
            }
        }
        if is_recoded {
            return Likeness::Recoded;
        }
        if self.body == body {
            return Likeness::Same;
        }
        let at = self.body.iter().zip(&body).take_while(|(stored, sent)| stored == sent).count();
        let near = |text: &[u8]| {
            let end = text.len().min(at + 40);
            text.get(at..end).unwrap_or_default().escape_ascii().to_string()
        };
        Likeness::Other(format!(
            "body of {} octets stored as {}, differs at {at}: sent \"{}\", stored \"{}\"",
            body.len(),
            self.body.len(),
            near(&body),
            near(&self.body)
        ))
    }
}

fn split(text: &[u8]) -> (Vec<Vec<u8>>, Vec<u8>) {
    let mut headers: Vec<Vec<u8>> = Vec::new();
    let mut rest = text;
    while let Some(at) = memchr::memchr(b'\n', rest) {
        let (line, tail) = rest.split_at(at + 1);
        rest = tail;
        match (line, headers.last_mut()) {
            (b"\n", _) => return (headers, rest.to_vec()),
            ([b' ' | b'\t', ..], Some(last)) => last.extend_from_slice(line),
            _ => headers.push(line.to_vec()),
        }
    }
    (headers, rest.to_vec())
}

/// Undoes quoted-printable (RFC 2045 6.7).
fn unquoted(text: &[u8]) -> Vec<u8> {
    let mut plain = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((&octet, tail)) = rest.split_first() {
        rest = tail;
        if octet != b'=' {
            plain.push(octet);
            continue;
        }
        if let Some(after) = tail.strip_prefix(b"\n") {
            rest = after;
            continue;
        }
        let digits = tail.get(..2).and_then(|digits| str::from_utf8(digits).ok());
        if let Some(value) = digits.and_then(|digits| u8::from_str_radix(digits, 16).ok()) {
            plain.push(value);
            rest = tail.get(2..).unwrap_or_default();
        }
    }
    plain
}

/// Undoes base64 (RFC 2045 6.8); text in it has CRLF.
fn unbased(text: &[u8]) -> Vec<u8> {
    let (mut plain, mut bits, mut count) = (Vec::with_capacity(text.len()), 0_u32, 0);
    for octet in text {
        let Some(value) = ALPHABET.iter().position(|letter| letter == octet) else { continue };
        bits = bits << 6 | u32::try_from(value).unwrap_or(0);
        count += 6;
        if count >= 8 {
            count -= 8;
            let [.., octet] = (bits >> count).to_be_bytes();
            plain.push(octet);
        }
    }
    plain.retain(|octet| *octet != b'\r');
    plain
}

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// Headers in which the servers say whom a copy is for.
const NAMES_RECIPIENT: [&str; 3] = ["X-Original-To: ", "Envelope-to: ", "Delivered-To: "];

const CODING: &str = "Content-Transfer-Encoding: ";
