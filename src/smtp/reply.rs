//! Replies of the server, read once: code, separator, keyword, text and line end of each line
//! (RFC 5321 4.2), and which lines make one reply.
//!
//! What follows the three digits shows that they are a code, so a code is known before the first
//! byte of its text. The keyword is the text's first word; a space, a `=` (old servers write
//! AUTH=LOGIN) or a CR ends it.

use memchr::memchr;
use serde::{Deserialize, Serialize};

use super::outstanding::{Due, Pairing};
use super::secret::Secrecy;
use super::{Answers, Offset, Verb};

/// Longest keyword kept; RFC 5321 4.1.1.1 sets no limit, the registered ones have up to 19.
const KEYWORD_BYTES_MAX: u8 = 24;

/// Lines of fewer bytes say a word or two: `250-PIPELINING` and its line end are as long.
const TINY: u8 = 16;

/// What is known of a reply line by the end of a run of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reply {
    /// What the reply answers; certain once its code is known.
    pub answers: Answers,
    /// The line's code, once it is known; `None` at its end if it began with none.
    pub code: Option<u16>,
    /// Whether lines of the same reply came before.
    pub is_later_line: bool,
    /// Whether it is the last line of its reply: no `-` behind the code.
    pub is_last: bool,
    /// The first word of its text, as far as it has come.
    pub keyword: Keyword,
}

impl Reply {
    /// Whether it refuses what may have been a credential, and may quote it. A line without a code
    /// may be any reply's, and what seems to answer nothing a line's that has not been read yet.
    pub(super) fn may_quote_secret(&self, due: Option<Due>, secrecy: &Secrecy) -> bool {
        let is_secret = |due: Due| due.is_secret || due.answers == Answers::Verb(Verb::Auth);
        let is_asked = due.is_some_and(is_secret) || secrecy.awaits_credential();
        is_asked && self.code.is_none_or(|code| code >= 400)
    }
}

/// The first word of a reply line's text, in upper case.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Keyword {
    bytes: [u8; KEYWORD_BYTES_MAX as usize],
    /// One more than there is room for, if it is longer.
    length: u8,
}

impl Keyword {
    /// Takes what of the text belongs to the first word, and says how much that is.
    fn read(&mut self, text: &[u8]) -> usize {
        let is_end = |byte: &u8| matches!(byte, b' ' | b'=' | b'\r' | b'\n');
        let length = text.iter().position(is_end).unwrap_or(text.len());
        let room = usize::from(KEYWORD_BYTES_MAX) + 1;
        text.iter().take(length.min(room)).for_each(|&byte| self.push(byte));
        length
    }

    fn push(&mut self, byte: u8) {
        if let Some(place) = self.bytes.get_mut(usize::from(self.length)) {
            *place = byte.to_ascii_uppercase();
        }
        self.length = self.length.saturating_add(1).min(KEYWORD_BYTES_MAX + 1);
    }

    /// Its bytes; none if it is longer than we compare.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        self.bytes.get(..usize::from(self.length)).unwrap_or_default()
    }

    /// Its bytes as far as there is room for them.
    #[must_use]
    pub fn head(&self) -> &[u8] {
        self.bytes.get(..usize::from(self.length.min(KEYWORD_BYTES_MAX))).unwrap_or_default()
    }

    /// Whether it is longer than we compare.
    #[must_use]
    pub const fn is_too_long(&self) -> bool {
        self.length > KEYWORD_BYTES_MAX
    }
}

/// Whether such a reply says that what was asked for is done (RFC 5321 4.2.1, 2yz).
pub(crate) const fn is_success(code: u16) -> bool {
    code / 100 == 2
}

/// Whether it refuses that for good (5yz).
pub(crate) const fn is_permanent(code: u16) -> bool {
    code / 100 == 5
}

/// What the last final reply of a server was. The builds before kept a boolean here, which images
/// have in the same byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum LastWord {
    /// Nothing that explains its leaving.
    Other,
    /// One that it leaves with.
    Leaving,
    /// A refusal for good by the mail system (RFC 5321 4.2.1, 55z): whoever goes behind it has said
    /// why.
    Refusal,
}

impl LastWord {
    pub(super) const fn of(code: u16) -> Self {
        match code {
            _ if is_leaving(code) => Self::Leaving,
            550..560 => Self::Refusal,
            _ => Self::Other,
        }
    }
}

/// Whether a server leaves with such a reply (RFC 5321 3.8 and 4.2.3, RFC 7504 2; 451 and 554 as
/// servers use them): it may say it at any time.
pub(super) const fn is_leaving(code: u16) -> bool {
    matches!(code, 221 | 421 | 451 | 521 | 554)
}

/// A run of bytes in a reply line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Part {
    /// Some of the three digits.
    Code,
    /// The space or `-` behind them.
    Separator,
    /// More of the text's first word.
    Keyword,
    /// What follows; also a line that does not begin with a code.
    Text,
    /// The LF.
    End,
}

/// What a line began with.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
enum Head {
    /// So many digits, and nothing else yet.
    #[default]
    Open,
    /// A code.
    Code,
    /// No code.
    Malformed,
}

/// The line under way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct ReplyLine {
    code: u16,
    digits: u8,
    head: Head,
    is_continued: bool,
    has_bytes: bool,
    keyword: Keyword,
    is_behind_keyword: bool,
    /// Its bytes so far. Whoever takes the flow over counts anew.
    #[serde(skip)]
    length: u8,
}

/// The reply under way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct ReplyReader {
    pub(super) line: ReplyLine,
    pub(super) is_later_line: bool,
    /// What its sender had received when it began: it answers nothing that was sent later.
    pub(super) covers: Option<Offset>,
    /// What it answers, once its code is known.
    pub(super) pairing: Option<Pairing>,
}

impl ReplyReader {
    /// What is known by now, if it answers this.
    pub(super) const fn so_far(&self, answers: Answers) -> Reply {
        Reply {
            answers,
            code: self.line.known_code(),
            is_later_line: self.is_later_line,
            is_last: !self.line.is_continued,
            keyword: self.line.keyword,
        }
    }
}

impl ReplyLine {
    /// A line with this code that has come whole, of so many bytes.
    pub(super) fn whole(code: u16, is_last: bool, used: usize) -> Self {
        let (head, length) = (Head::Code, u8::try_from(used).unwrap_or(u8::MAX));
        Self { code, head, is_continued: !is_last, length, ..Self::default() }
    }

    /// The same, of which the text is at hand.
    pub(super) fn with_text(mut self, text: &[u8]) -> Self {
        self.keyword.read(text);
        self
    }

    /// The code, once what follows its digits has come.
    pub(super) const fn known_code(&self) -> Option<u16> {
        match self.head {
            Head::Code => Some(self.code),
            Head::Open | Head::Malformed => None,
        }
    }

    /// Whether nothing but a line end has come.
    pub(super) const fn is_blank(&self) -> bool {
        !self.has_bytes
    }

    /// Whether it has fewer bytes than what a reply says in words.
    pub(super) const fn is_tiny(&self) -> bool {
        self.length < TINY
    }

    /// Reads a run of bytes: how many, and what they are. The input is not empty. At a line's end
    /// it stays as it is, for [`ReplyReader`] to be asked about it. `is_data_due`: it may answer
    /// DATA.
    pub(super) fn read(&mut self, input: &[u8], is_data_due: bool) -> (usize, Part) {
        let (used, part) = self.read_run(input, is_data_due);
        self.length = self.length.saturating_add(u8::try_from(used).unwrap_or(u8::MAX));
        (used, part)
    }

    fn read_run(&mut self, input: &[u8], is_data_due: bool) -> (usize, Part) {
        let first = input.first().copied().unwrap_or_default();
        if self.head == Head::Open {
            if let Some(run) = self.read_head(first, input, is_data_due) {
                return run;
            }
        } else if first == b'\n' {
            return (1, Part::End);
        }
        if self.head == Head::Code && !self.is_behind_keyword {
            let length = self.keyword.read(input);
            if length > 0 {
                return (length, Part::Keyword);
            }
            self.is_behind_keyword = true;
        }
        (memchr(b'\n', input).unwrap_or(input.len()), Part::Text)
    }

    /// Digits, and what follows them; `None` where text begins.
    fn read_head(&mut self, first: u8, input: &[u8], is_data_due: bool) -> Option<(usize, Part)> {
        self.has_bytes |= !matches!(first, b'\r' | b'\n');
        let is_whole = self.digits == 3;
        if !is_whole && first.is_ascii_digit() {
            let room = usize::from(3 - self.digits);
            let digits = input.iter().take(room).take_while(|byte| byte.is_ascii_digit());
            let mut used = 0;
            for digit in digits {
                self.code = self.code * 10 + u16::from(digit - b'0');
                self.digits += 1;
                used += 1;
            }
            return Some((used, Part::Code));
        }
        // Whoever says `354Go` reads message data, and many a client sends it.
        let is_go = is_data_due && self.code == 354 && !first.is_ascii_digit();
        let is_code = is_whole && (is_go || matches!(first, b' ' | b'-' | b'\r' | b'\n'));
        self.head = if is_code { Head::Code } else { Head::Malformed };
        match first {
            b'\n' => Some((1, Part::End)),
            b' ' | b'-' if is_code => {
                self.is_continued = first == b'-';
                Some((1, Part::Separator))
            }
            _ => None,
        }
    }
}
