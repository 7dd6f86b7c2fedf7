//! Message texts of honest clients: full of what could be taken for commands and for ends.

use super::choice::Choice;
use super::verbs::VERBS;

/// Stands in every line of a text that looks like a command, and in no command.
pub const MARK: &[u8] = b"q7z";

/// Lines and pieces of lines. Dots behind CRLF are doubled, as RFC 5321 4.5.2 wants; those behind
/// other line ends are not, since no client sees a line there.
const PIECES: [&[u8]; 22] = [
    b"Subject: hello\r\n",
    b"\r\n",
    b"plain text\r\n",
    b"..\r\n",
    b"..dotted\r\n",
    b"a line\nwith a bare LF\r\n",
    b"LF\n.\nLF\r\n",
    b"LF\n.\r\nCRLF\r\n",
    b"LF\n.profile\r\n",
    b"CR\r.\rCR\r\n",
    b"CR\r.rc\r\n",
    b"CR\r.\nLF\r\n",
    b"CR\r.\r\nCRLF\r\n",
    b"CRCRLF\r\r\n..\r\r\n",
    b"bare CR\rx\r\n",
    b"NUL\0inside\r\n",
    b"LF NUL\n\0.\nLF\r\n",
    b"8 bit \xe4\xf6\xfc\r\n",
    b"-- \r\n",
    b"354 go ahead\r\n",
    b"250 2.0.0 queued\r\n",
    b"\n\n\n",
];

/// Lengths of lines that are longer than what one may be long.
const LONG: [usize; 5] = [510, 998, 1_460, 2_046, 4_000];

/// A text that ends with CRLF, without the dot that ends it.
pub fn message(choice: &mut Choice<'_>) -> Vec<u8> {
    let mut text = Vec::new();
    for _ in 0..1 + choice.below(12) {
        match choice.below(8) {
            0..4 => text.extend_from_slice(PIECES[choice.below(PIECES.len())]),
            7 if choice.one_in(8) => {
                text.extend(std::iter::repeat_n(b'a', choice.pick(&LONG)));
                text.extend_from_slice(b"\r\n");
            }
            _ => text.extend(command_like(choice)),
        }
    }
    text.extend_from_slice(b"\r\n");
    // A dot that the pieces have put behind a CRLF without a doubled one would end it.
    debug_assert!(!text.windows(5).any(|window| window == b"\r\n.\r\n"));
    text
}

/// A line that some server would run, if it came to read it.
fn command_like(choice: &mut Choice<'_>) -> Vec<u8> {
    let verb = choice.pick(&VERBS);
    let mark = String::from_utf8_lossy(MARK);
    let line = match verb {
        "MAIL" => format!("MAIL FROM:<{mark}@x>"),
        "RCPT" => format!("RCPT TO:<{mark}@x>"),
        "BDAT" => format!("BDAT 9 LAST {mark}"),
        _ => format!("{verb} {mark}"),
    };
    let end = choice.pick(&["\r\n", "\r\n", "\n"]);
    format!("{line}{end}").into_bytes()
}

/// Whether the filter may have changed this byte of a text: a byte of what only looks like an end,
/// that is a dot with line ends of some kind on both sides, and blanks or one byte behind it or
/// none, or a NUL that could hide one; or a LF behind such a byte.
pub fn may_differ(text: &[u8], at: usize) -> bool {
    let from = at.saturating_sub(4);
    let to = text.len().min(at + 5);
    let is_lf = text[at] == b'\n';
    (from..to).any(|dot| text[dot] == b'.' && is_false_end(text, dot, at))
        || is_hiding(text, at)
        || (is_lf && at >= 2 && text[at - 2] == b'.' && begins_line(text, at - 2))
        || (is_lf && at >= 1 && text[at - 1] != b'\n' && may_differ(text, at - 1))
}

fn begins_line(text: &[u8], at: usize) -> bool {
    let before = text[..at].iter().rposition(|&byte| byte != 0);
    before.is_none_or(|place| matches!(text[place], b'\r' | b'\n'))
}

/// Whether the dot, with what stands around it, makes a false end that the byte is part of.
fn is_false_end(text: &[u8], dot: usize, at: usize) -> bool {
    let is_end = |byte: &u8| matches!(byte, b'\r' | b'\n');
    let before = text[..dot].iter().rposition(|&byte| byte != 0);
    let is_gap = |byte: u8| !is_end(&byte) && (byte <= b' ' || is_of_blank(byte));
    let after = text[dot + 1..].iter().position(|&byte| !is_gap(byte)).map(|skip| dot + 1 + skip);
    // A text begins behind a line end.
    let has_before = begins_line(text, dot);
    let Some(after) = after.filter(|&place| is_end(&text[place]) && has_before) else {
        return false;
    };
    let is_true_end = text[after..].starts_with(b"\r\n")
        && after == dot + 1
        && (dot == 0 || text[..dot].ends_with(b"\r\n"));
    let start = before.unwrap_or(0).saturating_sub(1);
    !is_true_end && (start..=after + 2).contains(&at)
}

/// Whether one of Unicode's blanks has this byte.
fn is_of_blank(byte: u8) -> bool {
    let blanks = "\u{85}\u{a0}\u{180e}\u{1680}\u{205f}\u{3000}\u{feff}\u{2000}\u{200b}";
    let others = matches!(byte, 0x80..=0x8b | 0xa8 | 0xa9 | 0xaf);
    others || blanks.as_bytes().contains(&byte)
}

fn is_hiding(text: &[u8], at: usize) -> bool {
    let before = text[..at].iter().rposition(|&byte| !matches!(byte, 0 | b'.'));
    let start = before.map_or(0, |place| place + 1);
    let is_at_start = before.is_none_or(|place| matches!(text[place], b'\r' | b'\n'));
    text[at] == 0 && is_at_start && text[start..at].contains(&b'.')
}
