//! How an argument of MAIL, RCPT, VRFY or EXPN is read: as a path, and as the parameters behind it.
//!
//! The two readings go on side by side, for what ends a path in one server is a part of it in
//! another: a blank where there are no brackets, a `>` behind a backslash. See `line.rs`.

use serde::{Deserialize, Serialize};

use super::keyword::Spelt;
use super::line::{Flags, Line, Place};
use crate::smtp::is_blank;

/// What a byte is in the reading as a path.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Share {
    /// Nothing of it.
    Nothing,
    /// Between its parts.
    Path,
    Local,
    Domain,
    /// In a local part, but between parts for some servers.
    Border,
    /// More of it for some servers.
    Phrase,
}

/// Where the next byte stands in the reading as parameters.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Parameters {
    /// In a path in brackets, or before any: there are none.
    #[default]
    Shut,
    /// A blank begins one.
    Ready,
    /// In a keyword.
    Keyword,
    /// In its value.
    Value,
}

/// The bit of [`Line::open_values`] for keywords that no rule can name.
const OTHER: u8 = 1 << 7;

/// What some server reads as a blank in a path: Postfix takes every control character for one.
const fn is_void(byte: u8) -> bool {
    byte == b' ' || is_control(byte)
}

/// Whether it is a control character of ASCII.
pub(super) const fn is_control(byte: u8) -> bool {
    byte.is_ascii_control()
}

/// Whether it is read as a letter is wherever it stands: none of them ends, opens, parts or quotes
/// anything to any server.
#[inline]
pub(super) fn is_plain(byte: u8) -> bool {
    PLAIN.get(usize::from(byte)).is_some_and(|is_plain| *is_plain)
}

/// The same by byte.
#[expect(clippy::indexing_slicing, reason = "a constant that is wrong does not compile")]
const PLAIN: [bool; 256] = {
    let mut plain = [true; 256];
    let mut at = 0;
    while at <= b' ' as usize {
        plain[at] = false;
        at += 1;
    }
    let mut marks: &[u8] = b"\"(),.:<=>@[\\]\x7f";
    while let [mark, rest @ ..] = marks {
        plain[*mark as usize] = false;
        marks = rest;
    }
    plain
};

impl Line {
    /// Whether the next byte may be of a path.
    pub(super) const fn is_in_path(&self) -> bool {
        self.is_in_part() || matches!(self.place, Place::Phrase | Place::Tail)
    }

    const fn is_in_part(&self) -> bool {
        matches!(
            self.place,
            Place::Local
                | Place::Escape
                | Place::Quoted
                | Place::Opened
                | Place::Route
                | Place::Aside
                | Place::Domain
                | Place::Literal
        )
    }

    /// Whether what is counted is the value, where there is one.
    pub(super) const fn counts_value(&self) -> bool {
        self.flags.has(Flags::COUNTS_VALUE) || !self.is_in_part()
    }

    /// Moves on in the path.
    pub(super) fn read_path(&mut self, byte: u8) -> Share {
        let is_open = self.flags.has(Flags::OPEN);
        // Only these are a blank for every server, and end what has no brackets and has begun.
        let is_end = matches!(byte, b' ' | b'\t') && !is_open && self.comments == 0;
        let is_end = is_end && (self.place != Place::Local || !self.is_fresh());
        match (self.place, byte) {
            (Place::Key, b':') => self.enter(Place::Start, Share::Nothing),
            (Place::Start, b' ' | b'\t') => {
                self.start = self.argument;
                Share::Nothing
            }
            (Place::Start, b'<') => {
                self.flags.set(Flags::OPEN, true);
                self.enter(Place::Local, Share::Nothing)
            }
            (Place::Local | Place::Domain | Place::Literal, b'>')
                if is_open && self.comments == 0 =>
            {
                self.close()
            }
            (Place::Local | Place::Domain | Place::Literal, _) if is_end => {
                let is_local = self.place == Place::Local;
                self.place = if is_local { Place::Phrase } else { Place::Tail };
                Share::Nothing
            }
            (Place::Start | Place::Local | Place::Domain, b'@') if self.comments == 0 => {
                let is_bare = self.place == Place::Domain && self.flags.has(Flags::AFTER_DOT);
                let is_bare =
                    is_bare || (self.place != Place::Domain && self.part == 0 && self.is_fresh());
                let share = self.enter(Place::Domain, Share::Path);
                self.flags.set(Flags::AFTER_DOT, is_bare);
                share
            }
            (Place::Start | Place::Local, _) => self.read_local(byte),
            (Place::Escape, _) => {
                self.flags.set(Flags::AFTER_DOT, byte == b'.');
                self.place = Place::Local;
                if self.is_in_comment() && self.is_fresh() {
                    self.start = self.argument;
                }
                self.doubt(byte)
            }
            (Place::Quoted | Place::Opened | Place::Route | Place::Aside, _) => {
                self.read_quoted(byte)
            }
            (Place::Domain, b'<') => {
                self.flags.set(Flags::DOMAIN_TOO, true);
                self.begin_again();
                Share::Local
            }
            (Place::Domain, b':') => self.enter(Place::Local, Share::Path),
            (Place::Domain | Place::Literal, _) => {
                match byte {
                    b'(' => self.flags.set(Flags::UNSURE, true),
                    b'[' => self.place = Place::Literal,
                    b']' => self.place = Place::Domain,
                    _ => {}
                }
                Share::Domain
            }
            (Place::Phrase | Place::Tail, _) => self.read_phrase(byte),
            // Postfix drops empty brackets.
            (Place::Behind, _) if self.flags.has(Flags::AFTER_DOT) && !is_blank(byte) => {
                self.flags.set(Flags::AFTER_DOT, false);
                self.read_local(byte)
            }
            (Place::Behind, _) => {
                self.flags.set(Flags::AFTER_DOT, false);
                Share::Nothing
            }
            _ => Share::Nothing,
        }
    }

    fn read_local(&mut self, byte: u8) -> Share {
        let is_fresh = self.is_fresh();
        let was_in_comment = self.is_in_comment();
        // Elsewhere a quote opens nothing for most servers.
        let is_plain = self.part == 0 || self.flags.has(Flags::AFTER_DOT);
        let is_doubtful = self.flags.has(Flags::DOUBTFUL) || self.flags.has(Flags::COUNTS_VALUE);
        if self.place == Place::Start {
            self.parameters = Parameters::Ready;
        }
        self.place = Place::Local;
        match byte {
            b'\\' => {
                self.place = Place::Escape;
                return Share::Local;
            }
            b'"' if !was_in_comment && (is_plain || is_fresh) => {
                let is_doubtful = is_doubtful || !is_plain;
                self.flags.set(Flags::DOUBTFUL, is_doubtful);
                self.flags.set(Flags::UNSURE, is_doubtful || self.flags.has(Flags::UNSURE));
                self.flags.set(Flags::AFTER_DOT, false);
                self.place = if is_fresh { Place::Opened } else { Place::Quoted };
                if is_fresh {
                    self.start = self.argument;
                }
                return Share::Local;
            }
            // Sendmail goes on quoting there.
            b'"' if !was_in_comment => self.flags.set(Flags::UNSURE, true),
            b'(' => {
                self.flags.set(Flags::UNSURE, true);
                self.comments = self.comments.saturating_add(1);
            }
            // What is nested deeper than is counted never ends, but may.
            b')' if self.comments == u8::MAX => self.start = self.argument,
            b')' => self.comments = self.comments.saturating_sub(1),
            b'<' if !was_in_comment => self.begin_again(),
            _ => {}
        }
        let is_skipped = is_blank(byte) || was_in_comment || self.is_in_comment();
        self.flags.set(Flags::DOUBTFUL, is_skipped);
        if !is_skipped {
            self.flags.set(Flags::AFTER_DOT, byte == b'.');
        }
        // Postfix drops separators ahead of an address, and sendmail all up to a colon.
        let is_dropped = is_skipped || is_void(byte) || byte == b',';
        if (is_dropped && is_fresh) || (byte == b':' && self.comments == 0) {
            self.start = self.argument;
        }
        let is_border = self.comments > 0 || byte == b':';
        if is_border { self.doubt(byte) } else { Share::Local }
    }

    /// Moves on in a quoted string. Some servers drop its quotes, and read once more what was in
    /// them: a route, a comment, brackets.
    fn read_quoted(&mut self, byte: u8) -> Share {
        let is_fresh = self.is_fresh();
        let was_pair = self.flags.has(Flags::PAIR);
        self.flags.set(Flags::PAIR, byte == b'\\' && !was_pair);
        match (self.place, byte) {
            (_, b'\\') if !was_pair => {}
            (_, b'"') if !was_pair => {
                self.place = Place::Local;
                if is_fresh {
                    self.start = self.argument;
                }
            }
            (_, b'@') => self.place = Place::Route,
            (Place::Route, b':') => (self.place, self.start) = (Place::Opened, self.argument),
            (Place::Route | Place::Aside, b')' | b'>') => self.start = self.argument,
            (Place::Opened | Place::Aside, b'(') if is_fresh => self.place = Place::Aside,
            (Place::Opened | Place::Aside, _) if is_fresh && (is_void(byte) || byte == b'<') => {
                (self.place, self.start) = (Place::Aside, self.argument);
            }
            (Place::Opened, _) => self.place = Place::Quoted,
            _ => {}
        }
        if self.flags.has(Flags::DOUBTFUL) { self.doubt(byte) } else { Share::Local }
    }

    fn read_phrase(&mut self, byte: u8) -> Share {
        match byte {
            b'<' => {
                self.begin_again();
                Share::Path
            }
            b'@' => {
                self.place = Place::Tail;
                Share::Path
            }
            _ if self.place == Place::Tail => Share::Path,
            _ => Share::Phrase,
        }
    }

    /// A bracket where there is a path already, or a phrase before one.
    fn begin_again(&mut self) {
        self.flags.set(Flags::OPEN, true);
        self.flags.set(Flags::AFTER_DOT, false);
        (self.place, self.comments, self.start) = (Place::Local, 0, self.argument);
    }

    /// The `>` of a path.
    fn close(&mut self) -> Share {
        self.flags.set(Flags::OPEN, false);
        if self.parameters != Parameters::Shut && !self.flags.has(Flags::COUNTS_VALUE) {
            // Not for who takes the first bracket for more of a path without any.
            return if self.place == Place::Local { Share::Local } else { Share::Domain };
        }
        let is_empty = self.place == Place::Local && self.is_fresh();
        let share = self.enter(Place::Behind, Share::Nothing);
        self.flags.set(Flags::AFTER_DOT, is_empty);
        share
    }

    /// A byte that stands for itself in one server, and ends something in another.
    fn doubt(&mut self, byte: u8) -> Share {
        let is_domain = self.flags.has(Flags::DOMAIN_TOO);
        match byte {
            b'@' => self.flags.set(Flags::DOMAIN_TOO, true),
            b':' if is_domain => self.start = self.argument,
            b'>' if self.parameters == Parameters::Shut => {
                self.parameters = Parameters::Ready;
                return Share::Local;
            }
            _ => return Share::Local,
        }
        if !self.is_value_counted() {
            self.part = 0;
        }
        Share::Border
    }

    /// Whether nothing of the path has come but blanks and comments.
    const fn is_fresh(&self) -> bool {
        self.start.saturating_add(1) == self.argument
    }

    /// Whether in comments, as far as they are counted.
    pub(super) const fn is_in_comment(&self) -> bool {
        self.comments > 0 && self.comments < u8::MAX
    }

    fn is_value_counted(&self) -> bool {
        self.flags.has(Flags::COUNTS_VALUE) && self.parameters == Parameters::Value
    }

    /// The next byte begins another part.
    fn enter(&mut self, place: Place, share: Share) -> Share {
        if !self.is_value_counted() {
            (self.part, self.seen) = (0, 0);
        }
        self.flags.set(Flags::AFTER_DOT, false);
        self.flags.set(Flags::DOMAIN_TOO, false);
        self.place = place;
        if place != Place::Domain {
            self.start = self.argument;
        }
        let is_ready = matches!(place, Place::Domain | Place::Behind);
        if is_ready && !self.flags.has(Flags::OPEN) && self.parameters == Parameters::Shut {
            self.parameters = Parameters::Ready;
        }
        share
    }

    /// Moves on in the parameters: whether the byte is of a value.
    pub(super) fn read_parameters(&mut self, byte: u8, was_behind: bool) -> bool {
        let was_value = self.parameters == Parameters::Value || self.open_values != 0;
        match self.parameters {
            Parameters::Shut => return false,
            _ if is_blank(byte) => {
                self.begin_keyword(byte, was_behind);
                // A blank within quotes is more of the value for Exim, and VT for most others.
                return self.open_values != 0;
            }
            Parameters::Ready => return false,
            Parameters::Keyword if byte == b'=' => {
                self.parameters = Parameters::Value;
                if !was_value && self.counts_value() {
                    self.part = 0;
                    // To Exim all of this may be a local part still.
                    if !self.is_in_part() {
                        self.seen = 0;
                    }
                }
                if self.place == Place::Behind {
                    self.start = self.argument;
                }
                return was_value;
            }
            Parameters::Keyword => self.spelt.add(byte),
            Parameters::Value => {}
        }
        if was_value && byte == b'"' {
            self.flags.set(Flags::QUOTED_VALUE, !self.flags.has(Flags::QUOTED_VALUE));
        }
        was_value
    }

    fn begin_keyword(&mut self, byte: u8, was_behind: bool) {
        let is_end = matches!(byte, b' ' | b'\t');
        if is_end && !self.flags.has(Flags::QUOTED_VALUE) {
            self.open_values = 0;
        } else if self.parameters == Parameters::Value {
            self.open_values |= self.spelt.keyword().map_or(OTHER, |keyword| 1 << keyword as u8);
        }
        // Some servers end a path here, so what follows is counted as none.
        if (is_end || was_behind) && (!self.is_in_quotes() || self.flags.has(Flags::DOUBTFUL)) {
            self.flags.set(Flags::COUNTS_VALUE, true);
        }
        (self.spelt, self.parameters) = (Spelt::default(), Parameters::Keyword);
    }
}
