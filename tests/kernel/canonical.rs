//! What the server must read, computed by the most naive means: whole lines of the whole stream.
//!
//! Knows the seven verbs and the server of the lab, which answers every DATA with 354.

/// What the default profile makes of a client's stream.
pub(crate) fn canonical(stream: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(stream.len());
    let mut is_data = false;
    for line in stream.split_inclusive(|&octet| octet == b'\n') {
        if is_data {
            out.extend_from_slice(line);
            is_data = line != b".\r\n";
            continue;
        }
        let text = line.strip_suffix(b"\r\n").unwrap_or(line);
        let passes = permitted(text);
        out.extend_from_slice(&text[..passes]);
        out.resize(out.len() + text.len() - passes, b'X');
        out.extend_from_slice(&line[text.len()..]);
        is_data = passes == text.len() && text.to_ascii_uppercase().starts_with(b"DATA");
    }
    out
}

/// How many octets of a line pass as they are.
fn permitted(text: &[u8]) -> usize {
    let word = text.iter().position(|&octet| octet == b' ').unwrap_or(text.len());
    let verb = text[..word].to_ascii_uppercase();
    if SEVEN.contains(&verb.as_slice()) {
        return text.len();
    }
    let is_open = |&length: &usize| SEVEN.iter().any(|known| known.starts_with(&verb[..length]));
    (0..=verb.len().min(4)).rev().find(is_open).unwrap_or(0)
}

const SEVEN: [&[u8]; 7] = [b"HELO", b"MAIL", b"RCPT", b"DATA", b"RSET", b"NOOP", b"QUIT"];
