//! Logged bytes made harmless, without loss.
//!
//! A backslash becomes `\\`, CR `\r`, LF `\n`; every other byte of a control character, of a
//! character that is invisible or turns the direction of text, or of what is not UTF-8 becomes
//! `\xNN`. Everything else stays as it is, so reading the escapes back gives the very bytes. (The
//! writers put `\...` where an entry holds only the beginning.)

use std::fmt::Write;

/// Appends `bytes` to `out`, escaped.
pub fn escape(bytes: &[u8], out: &mut String) {
    // Most of what is logged is all plain.
    let is_plain = |byte: &u8| matches!(byte, b' '..=b'[' | b']'..=b'~');
    let plain = bytes.iter().position(|byte| !is_plain(byte)).unwrap_or(bytes.len());
    let (plain, rest) = bytes.split_at(plain);
    out.push_str(std::str::from_utf8(plain).unwrap_or_default());
    for chunk in rest.utf8_chunks() {
        for character in chunk.valid().chars() {
            escape_character(character, out);
        }
        escape_bytes(chunk.invalid(), out);
    }
}

fn escape_character(character: char, out: &mut String) {
    match character {
        '\\' => out.push_str("\\\\"),
        '\r' => out.push_str("\\r"),
        '\n' => out.push_str("\\n"),
        hidden if is_hidden(hidden) => {
            escape_bytes(hidden.encode_utf8(&mut [0; 4]).as_bytes(), out);
        }
        plain => out.push(plain),
    }
}

fn escape_bytes(bytes: &[u8], out: &mut String) {
    for byte in bytes {
        // Writing to a String cannot fail.
        let _ = write!(out, "\\x{byte:02X}");
    }
}

/// Whether a character does something other than being seen: controls, line separators, zero-width
/// and direction marks, tags and the rest of Unicode's format characters that matter to a terminal;
/// and what is no character at all.
fn is_hidden(character: char) -> bool {
    character.is_control()
        || matches!(
            character,
            '\u{ad}'
                | '\u{61c}'
                | '\u{180e}'
                | '\u{200b}'..='\u{200f}'
                | '\u{2028}'..='\u{202e}'
                | '\u{2060}'..='\u{206f}'
                | '\u{feff}'
                | '\u{fff9}'..='\u{fffb}'
                | '\u{fffe}'..='\u{ffff}'
                | '\u{e0000}'..='\u{e007f}'
        )
}
