//! Reply lines of the server, byte by byte: code, separator, text, line end (RFC 5321 4.2).

use memchr::memchr;

use super::Word;

/// A run of bytes in a reply line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Part {
    /// One of the three digits, or the separator behind them.
    Code,
    /// What follows; also a line that does not begin with a code.
    Text,
    /// The LF.
    End(LineEnd),
}

/// What a whole reply line said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LineEnd {
    /// The code; `None` if the line began with none.
    pub code: Option<u16>,
    /// Whether it is the last line of its reply: no `-` behind the code.
    pub is_last: bool,
    /// The first word of its text, as far as a word is kept.
    pub keyword: Word,
}

/// The line under way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct ReplyLine {
    digits: u16,
    /// Bytes of code and separator read; 4 once in the text.
    column: u8,
    is_malformed: bool,
    is_continued: bool,
    /// The first word of the text: in an answer to EHLO, the keyword.
    keyword: Word,
    is_behind_keyword: bool,
}

impl ReplyLine {
    /// Reads a run of bytes: how many, and what they are. The input is not empty.
    pub(super) fn read(&mut self, input: &[u8]) -> (usize, Part) {
        let first = input.first().copied().unwrap_or_default();
        if first == b'\n' {
            let line = std::mem::take(self);
            let code = (!line.is_malformed && line.column >= 3).then_some(line.digits);
            let (is_last, keyword) = (!line.is_continued, line.keyword);
            return (1, Part::End(LineEnd { code, is_last, keyword }));
        }
        if self.column < 3 && first.is_ascii_digit() {
            self.digits = self.digits * 10 + u16::from(first - b'0');
            self.column += 1;
            return (1, Part::Code);
        }
        if self.column == 3 {
            self.column = 4;
            self.is_continued = first == b'-';
            if matches!(first, b' ' | b'-') {
                return (1, Part::Code);
            }
            self.is_malformed |= first != b'\r';
        }
        self.is_malformed |= self.column < 3;
        self.column = 4;
        let length = memchr(b'\n', input).unwrap_or(input.len());
        for &byte in input.iter().take(length) {
            if self.is_behind_keyword {
                break;
            }
            self.is_behind_keyword = matches!(byte, b' ' | b'\r');
            if !self.is_behind_keyword {
                self.keyword.push(byte);
            }
        }
        (length, Part::Text)
    }
}
