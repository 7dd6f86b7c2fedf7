//! The grammar of what stands behind a verb, byte by byte: paths and parameters of MAIL and RCPT,
//! the arguments of VRFY, EXPN, ETRN, HELP and AUTH, the names of HELO and EHLO.
//!
//! ```text
//!   Key ──► Start ──<──► Open ──► Local ──@──► Domain ──>──► End ──► Gap ──► Keyword ──=──► Value
//!             │           ├─"──► Quoted ──"──► Behind ─┘        ▲       ▲ └────────────┘
//!             │           └─@──► Route ──:──► Open              │       └── space
//!             └─ a path without brackets, which a space ends ───┘
//! ```
//! A byte is taken, or replaced by one that harms nobody, or it refuses the line: then it and what
//! follows become what every server refuses there ([`Envelope::cure`]). Measured with Postfix,
//! Exim, OpenSMTPD and sendmail: no line of MAIL or RCPT that all four accept is refused by the
//! lenient rules, but one whose xtext holds a control character (CVE-2020-28021).

mod parameter;
mod plain;

use serde::{Deserialize, Serialize};

use super::extension::{BODY, Parameters};
use super::mask::{MASK, Mask};
use super::utf8::Utf8;
use super::value::{Bytes, Mechanisms};
use crate::smtp::{Verb, is_wsp};

/// By what an argument is judged.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rules<'a> {
    pub(super) is_strict: bool,
    /// UTF-8 may stand in addresses.
    pub(super) has_utf8: bool,
    /// Parameters that may come.
    pub(super) permitted: Parameters,
    /// Bytes refused in local parts.
    pub(super) refused: &'a Bytes,
    pub(super) mechanisms: &'a Mechanisms,
}

/// What is done about a byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Finding {
    /// It passes.
    Take,
    /// It leaves as this one.
    Replace(u8),
    /// The line is refused from here on.
    Refuse(Mask),
    /// The same, for a parameter that was not offered.
    Unoffered,
}

/// Where in the argument the next byte stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
enum Place {
    /// Nothing is judged.
    #[default]
    Free,
    /// In `FROM:` or `TO:`.
    Key,
    /// Before the path.
    Start,
    /// Behind `<`.
    Open,
    /// In a route, up to its colon.
    Route,
    Local,
    Quoted,
    /// Behind a backslash in a quoted string.
    Pair,
    /// Behind a quoted string.
    Behind,
    Domain,
    /// Behind `[`.
    Literal,
    /// Behind the `]`.
    LiteralEnd,
    /// Behind `>`.
    End,
    /// Before a parameter.
    Gap,
    Keyword,
    Value,
    /// Before and in the mechanism of AUTH.
    Mechanism,
    /// The argument of ETRN.
    Node,
    /// The argument of HELP.
    Atom,
    /// The name of HELO or EHLO.
    Name,
    /// The argument of NOOP.
    Word,
}

/// The argument under way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Envelope {
    place: Place,
    /// A `<` waits for its `>`.
    is_open: bool,
    /// A local part can still become `postmaster`.
    is_postmaster: bool,
    /// SMTPUTF8 was among the parameters.
    pub(super) says_utf8: bool,
    /// The byte before, or the first digit behind a `+` in xtext.
    last: u8,
    /// Bytes of the keyword, the value, or the mechanism so far; digits of xtext are counted apart.
    at: u8,
    /// These, or blanks before the path or the parameter.
    digits: u8,
    utf8: Utf8,
    /// Bytes of the local part, and of the path, brackets not counted.
    pub(super) local: u16,
    pub(super) path: u16,
    /// Parameters or mechanisms that the word can still become, or the one whose value it is.
    open: u32,
}

impl Envelope {
    /// The argument of this verb begins.
    pub(super) fn of(verb: Option<Verb>) -> Self {
        let place = match verb {
            Some(verb) if verb == Verb::Rcpt || verb.begins_transaction() => Place::Key,
            Some(Verb::Vrfy | Verb::Expn) => Place::Start,
            Some(Verb::Etrn) => Place::Node,
            Some(Verb::Help) => Place::Atom,
            Some(Verb::Auth) => Place::Mechanism,
            Some(Verb::Helo | Verb::Ehlo) => Place::Name,
            Some(Verb::Noop) => Place::Word,
            _ => Place::Free,
        };
        Self { place, open: u32::MAX, ..Self::default() }
    }

    /// Whether nothing more of the line is judged.
    pub(super) const fn is_free(&self) -> bool {
        matches!(self.place, Place::Free)
    }

    /// Takes the next byte. One that is not taken changes nothing.
    pub(super) fn push(&mut self, byte: u8, verb: Option<Verb>, rules: &Rules<'_>) -> Finding {
        let before = *self;
        let finding = self.step(byte, verb, rules);
        match finding {
            Finding::Take | Finding::Replace(_) => self.count(byte, before),
            Finding::Refuse(_) | Finding::Unoffered => *self = before,
        }
        finding
    }

    /// So many bytes leave masked, where the line is refused: a path only grows longer by them.
    pub(super) fn take_masked(&mut self, count: usize) {
        let count = u16::try_from(count).unwrap_or(u16::MAX);
        if self.place.is_of_path() {
            self.path = self.path.saturating_add(count);
        }
        if self.place.is_of_local_part() {
            self.local = self.local.saturating_add(count);
        }
    }

    /// Takes a byte that should have been refused: what it could open, it opens.
    pub(super) fn force(&mut self, byte: u8) {
        let before = *self;
        self.utf8 = Utf8::default();
        self.place = match (self.place, byte) {
            (Place::Start, b'<') => self.open_bracket(),
            (place, b'>') if self.is_open && place.is_of_path() => Place::End,
            (place, b' ' | b'\t') if !self.is_open && place.is_of_path() => Place::Gap,
            (Place::Start, _) => Place::Local,
            (Place::End | Place::Keyword | Place::Value, b' ' | b'\t') => Place::Gap,
            (place, _) => place,
        };
        self.count(byte, before);
    }

    fn step(&mut self, byte: u8, verb: Option<Verb>, rules: &Rules<'_>) -> Finding {
        let is_before_path = matches!(self.place, Place::Key | Place::Start);
        if is_before_path && is_wsp(byte) && !self.has_room_for_blank() {
            return Finding::Refuse(self.cure());
        }
        let next = match self.place {
            Place::Free => Some(Place::Free),
            Place::Name | Place::Word => return self.blank(byte, rules),
            Place::Key => self.key(byte, verb, rules),
            Place::Gap | Place::Keyword => return self.keyword(byte, verb, rules),
            Place::Value => self.value(byte, rules),
            Place::Mechanism => self.mechanism(byte, rules),
            Place::Node => self.node(byte),
            Place::Atom => self.atom(byte, rules),
            Place::End if byte == b'\t' && !rules.is_strict => {
                self.place = Place::Gap;
                return Finding::Replace(b' ');
            }
            Place::End => (byte == b' ').then_some(Place::Gap),
            _ if !self.is_open && self.ends_path(byte, rules) => {
                self.place = Place::Gap;
                return if byte == b'\t' { Finding::Replace(b' ') } else { Finding::Take };
            }
            // Some servers read a TAB there as a space, others as part of the address.
            Place::Start if byte == b'\t' && !rules.is_strict => return Finding::Replace(b' '),
            _ if !byte.is_ascii() || self.utf8.is_due() => self.beyond_ascii(byte, rules),
            Place::Start => self.start(byte, rules),
            Place::Open => self.opened(byte, verb, rules),
            Place::Route => self.route(byte, rules),
            Place::Local | Place::Behind => self.local(byte, verb, rules),
            Place::Quoted | Place::Pair => self.quoted(byte),
            Place::Domain | Place::Literal | Place::LiteralEnd => self.domain(byte, rules),
        };
        let is_refused = next.is_some_and(Place::is_of_local_part) && rules.refused.contains(byte);
        match next.filter(|_| !is_refused) {
            Some(place) => {
                self.place = place;
                Finding::Take
            }
            None => Finding::Refuse(self.cure()),
        }
    }

    /// Whether what comes may be read as of the path: behind one without brackets everything may.
    pub(super) const fn may_be_in_path(&self) -> bool {
        let is_behind =
            matches!(self.place, Place::End | Place::Gap | Place::Keyword | Place::Value);
        !(self.is_open && is_behind)
    }

    /// What the next byte and the rest of the line have to become so that no server takes the line.
    #[expect(clippy::wildcard_enum_match_arm, reason = "an X is the cure in most places")]
    pub(super) const fn cure(&self) -> Mask {
        match self.place {
            // To Exim the words of an address without brackets are one: `a=xxx`.
            Place::Gap | Place::Keyword if !self.is_open => Mask::Bracket,
            Place::Value if !self.is_open => Mask::BareParameter,
            // `a@bXX` would be an address.
            place if place.is_of_path() && !self.is_open => Mask::Bracket,
            // `>XX` alone is accepted by sendmail; a value that ends in X may be one.
            Place::End => Mask::Parameter,
            Place::Value if self.open != BODY => Mask::Parameter,
            _ => Mask::X,
        }
    }

    /// The same where nothing of the argument was refused, but the byte may not stand in a line.
    pub(super) fn stray_cure(&self) -> Mask {
        // Behind a bracket that may itself be the cure of a byte before.
        if self.place == Place::Open { Mask::Bracket } else { self.cure() }
    }

    fn count(&mut self, byte: u8, before: Self) {
        let is_path = before.place.is_of_path() && self.place.is_of_path();
        let is_mark = matches!(byte, b'<' | b'>') && before.place == Place::Start;
        if is_path && !is_mark && !(before.place == Place::Start && is_wsp(byte)) {
            self.path = self.path.saturating_add(1);
        }
        if self.place.is_of_local_part() {
            self.local = self.local.saturating_add(1);
        }
        // A value keeps there what it needs.
        if self.place != Place::Value {
            self.last = byte;
        }
    }

    /// Takes a blank before the path or a parameter. Thousands would have what follows stand where
    /// the buffer of a server ends that splits lines (smtpf at 1,000 bytes, masqmail at 1,024).
    const fn has_room_for_blank(&mut self) -> bool {
        self.digits = self.digits.saturating_add(1);
        self.digits <= BLANKS_MAX
    }

    fn open_bracket(&mut self) -> Place {
        self.is_open = true;
        self.is_postmaster = true;
        Place::Open
    }

    fn key(&mut self, byte: u8, verb: Option<Verb>, rules: &Rules<'_>) -> Option<Place> {
        let key = key_of(verb);
        let at = usize::from(self.at);
        if at == 0 && byte == b' ' && !rules.is_strict {
            return Some(Place::Key);
        }
        self.at = self.at.saturating_add(1);
        let is_next = key.get(at) == Some(&byte.to_ascii_uppercase());
        is_next.then_some(if at + 1 == key.len() { Place::Start } else { Place::Key })
    }

    fn start(&mut self, byte: u8, rules: &Rules<'_>) -> Option<Place> {
        match byte {
            b'<' => Some(self.open_bracket()),
            _ if rules.is_strict => None,
            b' ' => Some(Place::Start),
            b'"' => Some(Place::Quoted),
            b'.' => Some(Place::Local),
            _ => is_atext(byte).then_some(Place::Local),
        }
    }

    fn opened(&mut self, byte: u8, verb: Option<Verb>, rules: &Rules<'_>) -> Option<Place> {
        match byte {
            b'>' => (verb != Some(Verb::Rcpt) && self.local == 0 && self.path == 0)
                .then_some(Place::End),
            b'"' => Some(Place::Quoted),
            b'.' => (!rules.is_strict).then_some(Place::Local),
            // RFC 5321 4.1.1.3: a route is accepted and ignored.
            b'@' => (!rules.is_strict && self.path == 0).then_some(Place::Route),
            _ if is_atext(byte) => {
                self.is_postmaster = is_postmasters(0, byte);
                Some(Place::Local)
            }
            _ => None,
        }
    }

    fn route(&self, byte: u8, rules: &Rules<'_>) -> Option<Place> {
        match byte {
            b':' => Some(Place::Open),
            b',' | b'@' | b'.' | b'-' | b'[' | b']' => Some(Place::Route),
            b'_' => (!rules.is_strict).then_some(Place::Route),
            _ => byte.is_ascii_alphanumeric().then_some(Place::Route),
        }
    }

    fn local(&mut self, byte: u8, verb: Option<Verb>, rules: &Rules<'_>) -> Option<Place> {
        let is_quoted = self.place == Place::Behind;
        let is_behind_dot = self.last == b'.';
        match byte {
            b'@' => (!rules.is_strict || !is_behind_dot).then_some(Place::Domain),
            b'.' => {
                self.is_postmaster = false;
                (!rules.is_strict || !(is_behind_dot || is_quoted)).then_some(Place::Local)
            }
            b'>' if self.is_open => {
                let is_postmaster =
                    self.is_postmaster && usize::from(self.local) == POSTMASTER.len();
                let is_named = is_postmaster && verb == Some(Verb::Rcpt);
                (!rules.is_strict || is_named).then_some(Place::End)
            }
            _ if is_quoted => None,
            _ if is_atext(byte) => {
                self.is_postmaster &= is_postmasters(self.local, byte);
                Some(Place::Local)
            }
            _ => None,
        }
    }

    fn quoted(&self, byte: u8) -> Option<Place> {
        match (self.place, byte) {
            (_, 0..=31 | 127) => None,
            (Place::Pair, _) => Some(Place::Quoted),
            (_, b'\\') => Some(Place::Pair),
            // An empty local part crashes a Dovecot before 2.3.10.1 (CVE-2020-10967).
            (_, b'"') if self.local <= 1 => None,
            (_, b'"') => Some(Place::Behind),
            _ => Some(Place::Quoted),
        }
    }

    fn domain(&self, byte: u8, rules: &Rules<'_>) -> Option<Place> {
        let is_first = self.last == b'@';
        let is_behind_name = self.last.is_ascii_alphanumeric() || !self.last.is_ascii();
        match (self.place, byte) {
            (Place::Literal, b']') => Some(Place::LiteralEnd),
            (Place::Literal, b':' | b'.') => Some(Place::Literal),
            (Place::Literal, _) if rules.is_strict => {
                byte.is_ascii_alphanumeric().then_some(Place::Literal)
            }
            (Place::Literal, 33..=90 | 94..=126) => Some(Place::Literal),
            (Place::Literal, _) => None,
            (_, b'>') if self.is_open && !is_first => {
                (!rules.is_strict || self.last != b'.').then_some(Place::End)
            }
            (Place::LiteralEnd, _) => None,
            (_, b'[') if is_first => Some(Place::Literal),
            (_, b'.') => (!rules.is_strict || is_behind_name).then_some(Place::Domain),
            (_, b'_') => (!rules.is_strict).then_some(Place::Domain),
            (_, b'-') => Some(Place::Domain),
            _ => byte.is_ascii_alphanumeric().then_some(Place::Domain),
        }
    }

    /// Whether the byte closes a path that has no brackets.
    #[expect(clippy::wildcard_enum_match_arm, reason = "a path ends in few places")]
    const fn ends_path(&self, byte: u8, rules: &Rules<'_>) -> bool {
        let is_end = match self.place {
            Place::Local | Place::Behind | Place::LiteralEnd => true,
            Place::Domain => self.last != b'@',
            _ => false,
        };
        is_end && !rules.is_strict && !self.utf8.is_due() && is_wsp(byte)
    }

    /// A byte above 127, or what comes where the rest of such a character is due.
    #[expect(clippy::wildcard_enum_match_arm, reason = "few places take more than ASCII")]
    fn beyond_ascii(&mut self, byte: u8, rules: &Rules<'_>) -> Option<Place> {
        let to = match self.place {
            // Strictly, a path begins with its bracket.
            Place::Start if !rules.is_strict => Place::Local,
            Place::Open | Place::Local => Place::Local,
            Place::Quoted => Place::Quoted,
            Place::Domain => Place::Domain,
            _ => return None,
        };
        self.is_postmaster = false;
        (rules.has_utf8 && self.utf8.push(byte)).then_some(to)
    }

    fn mechanism(&mut self, byte: u8, rules: &Rules<'_>) -> Option<Place> {
        if byte == b' ' && self.at == 0 {
            return (!rules.is_strict).then_some(Place::Mechanism);
        }
        if byte == b' ' {
            let is_whole = rules.mechanisms.of_length(self.open, self.at) != 0;
            return is_whole.then_some(Place::Free);
        }
        let open = rules.mechanisms.with_letter(self.open, self.at, byte);
        let is_name = byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
        (self.open, self.at) = (open, self.at.saturating_add(1));
        (is_name && open != 0).then_some(Place::Mechanism)
    }

    fn node(&mut self, byte: u8) -> Option<Place> {
        let at = self.at;
        self.at = at.saturating_add(u8::from(byte != b' '));
        let is_name = byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_');
        let is_mark = at == 0 && matches!(byte, b'@' | b'#' | b' ');
        (is_name || is_mark).then_some(Place::Node)
    }

    fn atom(&mut self, byte: u8, rules: &Rules<'_>) -> Option<Place> {
        let is_gap = byte == b' ' && self.at == 0 && !rules.is_strict;
        self.at = self.at.saturating_add(u8::from(!is_gap));
        (is_gap || is_atext(byte)).then_some(Place::Atom)
    }

    /// Names live on where a byte in them does not.
    fn blank(&self, byte: u8, rules: &Rules<'_>) -> Finding {
        let stays = match byte {
            b'.' | b'-' => true,
            b'_' | b' ' => self.place == Place::Word || !rules.is_strict,
            b':' | b'[' | b']' => self.place == Place::Name,
            _ => byte.is_ascii_alphanumeric(),
        };
        if stays { Finding::Take } else { Finding::Replace(MASK) }
    }
}

impl Place {
    const fn is_of_local_part(self) -> bool {
        matches!(self, Self::Local | Self::Quoted | Self::Pair | Self::Behind)
    }

    const fn is_of_path(self) -> bool {
        matches!(
            self,
            Self::Start
                | Self::Open
                | Self::Route
                | Self::Local
                | Self::Quoted
                | Self::Pair
                | Self::Behind
                | Self::Domain
                | Self::Literal
                | Self::LiteralEnd
        )
    }
}

/// What stands before the path of MAIL or RCPT.
fn key_of(verb: Option<Verb>) -> &'static [u8] {
    if verb == Some(Verb::Rcpt) { b"TO:" } else { b"FROM:" }
}

/// Blanks before a path, or a parameter: most clients that write any write one.
const BLANKS_MAX: u8 = 64;

/// RFC 5322 3.2.3.
const fn is_atext(byte: u8) -> bool {
    byte.is_ascii_alphanumeric()
        || matches!(
            byte,
            b'!' | b'#'
                | b'$'
                | b'%'
                | b'&'
                | b'\''
                | b'*'
                | b'+'
                | b'-'
                | b'/'
                | b'='
                | b'?'
                | b'^'
                | b'_'
                | b'`'
                | b'{'
                | b'|'
                | b'}'
                | b'~'
        )
}

/// Whether this is the letter of `postmaster` there.
fn is_postmasters(at: u16, byte: u8) -> bool {
    POSTMASTER.get(usize::from(at)) == Some(&byte.to_ascii_lowercase())
}

/// RFC 5321 4.5.1: the one name that needs no domain.
const POSTMASTER: &[u8] = b"postmaster";

#[cfg(test)]
mod tests;
