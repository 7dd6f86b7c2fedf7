//! Where in the client's line the next byte stands, as servers read it.
//!
//! An argument of MAIL or RCPT is read twice at the same time (`path.rs`): as a path, and as the
//! parameters behind one. A byte can be in both.
//!
//! ```text
//!   path        Key ──:──► Start ──<, other──► Local ◄──"──► Quoted
//!                                               │ ▲ ▲└──\──► Escape ──► Local
//!                                               │ │ └──<── Domain, Phrase, Tail
//!                                               │ └──:──┐
//!                                               ├───@──► Domain ◄──[ ]──► Literal
//!                                               ├──> that ends a < ──► Behind (from Domain too)
//!                                               └──blank without < ──► Phrase (Domain: Tail)
//!
//!   parameters  Shut ──Start without <, or Behind──► Ready ──blank──► Keyword ──=──► Value
//!                                                                        ▲───blank─────┘
//! ```
//!
//! Blanks are SP, HT, VT and FF, as `isspace()` has them. A backslash in a path is dropped. What
//! is `first` in a path stands behind its `<`, and behind blanks, comments and separators there. A
//! quoted string that a path begins with is read once more without its quotes, as Postfix and
//! sendmail do, which looks behind a route, a comment or brackets in it:
//!
//! ```text
//!   "──► Opened ──( < blank──► Aside     ) or > in Aside or Route: what follows is `first` again
//!          │ ▲                   │
//!    other │ └──:── Route ◄──@───┴── Quoted
//! ```
//!
//! Written for attackers, not for conformance: where servers differ, the reading that sees more of
//! the line as a path is taken, and where one sees what the other does not, both are.

use serde::{Deserialize, Serialize};

use super::keyword::{Keyword, Spelt};
use super::path::{Parameters, Share, is_control};
use super::zone::{Zone, ZoneSet};
use crate::smtp::{Verb, is_blank, span};

/// So many bytes of an argument become X one by one: more are an attack, and the rest of the
/// line is masked at once.
const BLANKED_MAX: u16 = 16;

/// What the rest of a line has to become, from a given byte on, so that every server refuses it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cure {
    /// X.
    X,
    /// `<`: behind an address without brackets X would be more of the address.
    Bracket,
    /// A space, then X: a parameter that nobody knows.
    Parameter,
    /// A space, then `<`: the same, behind an address without brackets.
    BareParameter,
    /// Nothing of it may be changed: the flow has to end.
    None,
    /// The byte alone becomes X: the line is not refused.
    Blank,
}

/// Where the next byte stands: in MAIL, RCPT, VRFY and EXPN, in the reading as a path.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Place {
    /// In the first word.
    #[default]
    Verb,
    /// In an argument that has no parts.
    Plain,
    /// In `FROM:` or `TO:`.
    Key,
    /// Behind the colon.
    Start,
    /// In a local part.
    Local,
    /// Behind a backslash in a local part.
    Escape,
    Quoted,
    /// Behind the quote that opens a string, or a route in it: of a local part nothing has come.
    Opened,
    /// In a quoted string behind an `@`, as if in a route.
    Route,
    /// In a quoted string that begins with a comment, with brackets or with blanks.
    Aside,
    Domain,
    Literal,
    /// Behind a blank in a local part without brackets: servers make one word of it, or take it
    /// for the name before a path in brackets.
    Phrase,
    /// Behind a blank in a domain without brackets.
    Tail,
    /// Behind a path's `>`.
    Behind,
    /// In the mechanism of AUTH.
    Mechanism,
    /// In base64.
    Response,
}

/// Whose argument it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Kind {
    #[default]
    Other,
    Auth,
    Bdat,
    Etrn,
    Expn,
    Helo,
    Help,
    Mail,
    Noop,
    Rcpt,
    Vrfy,
}

impl Kind {
    /// All of them, by their numbers.
    pub(super) const ALL: [Self; 11] = [
        Self::Other,
        Self::Auth,
        Self::Bdat,
        Self::Etrn,
        Self::Expn,
        Self::Helo,
        Self::Help,
        Self::Mail,
        Self::Noop,
        Self::Rcpt,
        Self::Vrfy,
    ];
}

/// What is remembered of the line under way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Line {
    pub(super) place: Place,
    pub(super) kind: Kind,
    pub(super) flags: Flags,
    pub(super) parameters: Parameters,
    /// The keyword so far.
    pub(super) spelt: Spelt,
    /// Bit n: the value of number n of [`Keyword::ALL`] may go on behind a blank; the last bit is
    /// any other's.
    pub(super) open_values: u8,
    /// How deep in comments.
    pub(super) comments: u8,
    /// Which bytes that rules ask for have been seen in this part: a bit each.
    pub(super) seen: u8,
    /// The automaton's state.
    pub(super) state: u16,
    /// Bytes of the argument but for what servers drop, and all of its path, and of the path's part
    /// or the parameter's value; where an argument has no parts, bytes that have become X.
    pub(super) argument: u16,
    pub(super) path: u16,
    pub(super) part: u16,
    /// Bytes of the argument before what may be a path's first.
    pub(super) start: u16,
}

/// What else is known of the line under way, a bit each.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Flags(u8);

impl Flags {
    /// A `<` waits for its `>`.
    pub(super) const OPEN: u8 = 1;
    /// In a local part, behind a dot; in a domain, behind no local part; behind empty brackets.
    pub(super) const AFTER_DOT: u8 = 1 << 1;
    /// In a local part that is a domain for servers without comments, phrases and the like.
    pub(super) const DOMAIN_TOO: u8 = 1 << 2;
    /// A quoted string stands here that only some servers see, or would.
    pub(super) const DOUBTFUL: u8 = 1 << 3;
    /// The part that is counted is the parameter's value, even within another path.
    pub(super) const COUNTS_VALUE: u8 = 1 << 4;
    /// Servers differ in where quoted strings of this path are.
    pub(super) const UNSURE: u8 = 1 << 6;
    /// In a parameter's value, within quotes.
    pub(super) const QUOTED_VALUE: u8 = 1 << 5;
    /// Behind a backslash in a quoted string.
    pub(super) const PAIR: u8 = 1 << 7;

    pub(super) const fn has(self, flag: u8) -> bool {
        self.0 & flag != 0
    }

    pub(super) const fn set(&mut self, flag: u8, is_on: bool) {
        self.0 = if is_on { self.0 | flag } else { self.0 & !flag };
    }
}

/// Bytes that all stand in one place.
#[derive(Clone, Copy, Debug)]
pub(super) struct OnePlace {
    /// How many.
    pub(super) length: usize,
    /// The zones they are in.
    pub(super) zones: ZoneSet,
    /// Whether they are counted as a path, and as a part of one, too.
    pub(super) is_of_path: bool,
    pub(super) is_of_part: bool,
    /// Whether a path's first byte may still come behind them.
    pub(super) is_before: bool,
}

/// What a byte is.
#[derive(Clone, Copy, Debug)]
pub(super) struct Taken {
    /// The zones it is in.
    pub(super) zones: ZoneSet,
    /// Whether it stands in a quoted string; none where servers differ.
    pub(super) is_quoted: Option<bool>,
    /// Whether it is the backslash of a pair, which servers drop.
    pub(super) is_dropped: bool,
    /// It as it is read: to Postfix, a control character in quotes is a blank.
    pub(super) read: u8,
    /// Whether what is around it is one word to some server.
    pub(super) is_skipped: bool,
    /// Whether it shows that the local part is empty.
    pub(super) is_empty: bool,
}

impl Line {
    /// The zones that bytes of this verb's argument can be in.
    pub(super) fn zones_of(verb: Verb) -> ZoneSet {
        let mut line = Self::default();
        line.begin_argument(Some(verb));
        Self::zones_in(line.kind)
    }

    /// The same by its kind.
    pub(super) fn zones_in(kind: Kind) -> ZoneSet {
        let line = Self { kind, place: Place::Plain, ..Self::default() };
        let parts = match kind {
            Kind::Mail => ZoneSet::MAIL_PARTS,
            Kind::Rcpt => ZoneSet::RCPT_PARTS,
            Kind::Auth => Zone::AuthMechanism.bit().with(Zone::AuthResponse.bit()),
            Kind::Other
            | Kind::Bdat
            | Kind::Etrn
            | Kind::Expn
            | Kind::Helo
            | Kind::Help
            | Kind::Noop
            | Kind::Vrfy => ZoneSet::NONE,
        };
        line.whole().with(parts)
    }

    /// How many kinds of texts a line can be.
    pub(super) const KINDS_OF_TEXT: usize = Kind::ALL.len() + 1;

    /// What kind of text it is: a first word, or behind that each kind of argument.
    #[inline]
    pub(super) const fn kind_of_text(&self) -> usize {
        if matches!(self.place, Place::Verb) { 0 } else { self.kind as usize + 1 }
    }

    /// A line of the client in an AUTH exchange.
    #[must_use]
    pub fn response() -> Self {
        Self { place: Place::Response, kind: Kind::Auth, ..Self::default() }
    }

    /// Whether nothing of it has been read.
    #[must_use]
    pub fn is_new(&self) -> bool {
        *self == Self::default()
    }

    /// What comes is read by another catalogue: a text that has begun is forgotten, and the place
    /// is not.
    pub const fn change_catalogue(&mut self) {
        (self.state, self.seen) = (0, 0);
    }

    /// Whether it has come to its argument.
    #[must_use]
    pub fn is_in_argument(&self) -> bool {
        self.place != Place::default()
    }

    /// The first word has ended: this is its argument.
    pub fn begin_argument(&mut self, verb: Option<Verb>) {
        let (kind, place) = match verb {
            Some(Verb::Mail | Verb::Saml | Verb::Send | Verb::Soml) => (Kind::Mail, Place::Key),
            Some(Verb::Rcpt) => (Kind::Rcpt, Place::Key),
            Some(Verb::Vrfy) => (Kind::Vrfy, Place::Start),
            Some(Verb::Expn) => (Kind::Expn, Place::Start),
            Some(Verb::Auth) => (Kind::Auth, Place::Mechanism),
            Some(Verb::Helo | Verb::Ehlo) => (Kind::Helo, Place::Plain),
            Some(Verb::Bdat) => (Kind::Bdat, Place::Plain),
            Some(Verb::Etrn) => (Kind::Etrn, Place::Plain),
            Some(Verb::Help) => (Kind::Help, Place::Plain),
            Some(Verb::Noop) => (Kind::Noop, Place::Plain),
            Some(Verb::Data | Verb::Quit | Verb::Rset | Verb::StartTls | Verb::Turn) | None => {
                (Kind::Other, Place::Plain)
            }
        };
        *self = Self { place, kind, ..Self::default() };
    }

    /// What the next byte and the rest of the line have to become.
    pub(super) fn cure(&self) -> Cure {
        let is_value = matches!(self.parameters, Parameters::Value);
        let is_bare = self.is_in_path() && !self.flags.has(Flags::OPEN);
        match (self.place, self.kind) {
            (Place::Response, _) => Cure::None,
            (Place::Plain, Kind::Helo | Kind::Noop) => self.blank(),
            (Place::Start, _) => Cure::Bracket,
            // For Exim a comment that never ends is one, and takes in all that could be done.
            _ if is_bare && self.flags.has(Flags::UNSURE) => Cure::None,
            _ if is_bare && is_value && self.counts_value() => Cure::BareParameter,
            _ if is_value && self.counts_value() => match self.spelt.keyword() {
                Some(Keyword::Body) => Cure::X,
                _ => Cure::Parameter,
            },
            (Place::Behind, _) if matches!(self.parameters, Parameters::Ready) => Cure::Parameter,
            _ if is_bare => Cure::Bracket,
            _ => Cure::X,
        }
    }

    /// What the next byte has to become, where it alone has to, or the rest with it.
    pub(super) const fn blank(&self) -> Cure {
        let is_whole = matches!(self.place, Place::Plain);
        if is_whole && self.part >= BLANKED_MAX { Cure::X } else { Cure::Blank }
    }

    /// The byte just taken has become X.
    pub(super) const fn count_blanked(&mut self) {
        // Where there are no parts, there is nothing else to count.
        if matches!(self.place, Place::Plain) {
            self.part = self.part.saturating_add(1);
        }
    }

    /// Whether it stands in a place that has no parts.
    #[inline]
    pub(super) const fn is_in_one_place(&self) -> bool {
        matches!(self.place, Place::Verb | Place::Plain | Place::Response)
    }

    /// What of the bytes that come stands where this stands, if their place has no parts.
    #[inline]
    pub(super) fn one_place(&self, bytes: &[u8]) -> Option<OnePlace> {
        if !self.is_in_one_place() {
            return None;
        }
        let is_response = self.place == Place::Response;
        let (length, own) = if is_response {
            // Blanks are none of it.
            (span(bytes, |byte| !is_blank(byte)), Zone::AuthResponse.bit())
        } else {
            (bytes.len(), ZoneSet::NONE)
        };
        let zones = self.whole().with(own);
        let is_of_part = is_response;
        Some(OnePlace { length, zones, is_of_path: false, is_of_part, is_before: false })
    }

    /// What a plain byte was to the line, which was like this before it, if it changed nothing but
    /// counts: then all plain bytes that follow are the same. It was in these zones.
    pub(super) fn repeats(&self, before: &Self, zones: ZoneSet) -> Option<OnePlace> {
        let Self { argument, path, part, start, state, seen, .. } = *self;
        let is_before = start != before.start;
        let is_like = *self == Self { argument, path, part, start, state, seen, ..*before };
        // What is counted no further meets a length with each byte.
        let is_full = path == u16::MAX || part == u16::MAX;
        let is_counted = argument != before.argument && (!is_before || start == argument);
        (is_like && is_counted && !is_full).then_some(OnePlace {
            length: 0,
            zones,
            is_of_path: path != before.path,
            is_of_part: part != before.part,
            is_before,
        })
    }

    /// Counts so many bytes of one place.
    pub(super) fn count(&mut self, place: OnePlace, length: usize) {
        let more = u16::try_from(length).unwrap_or(u16::MAX);
        self.argument = self.argument.saturating_add(more);
        if place.is_of_path {
            self.path = self.path.saturating_add(more);
        }
        if place.is_of_part {
            self.part = self.part.saturating_add(more);
        }
        if place.is_before {
            self.start = self.argument;
        }
    }

    /// Whether a quoted string is open.
    pub(super) const fn is_in_quotes(&self) -> bool {
        matches!(self.place, Place::Quoted | Place::Opened | Place::Route | Place::Aside)
    }

    /// Whether it ends in base64 that lacks one character of a group of four.
    pub(super) const fn is_short_base64(&self) -> bool {
        matches!(self.place, Place::Response) && self.part % 4 == 3
    }

    /// The line of an AUTH exchange has ended: what there is to say of that is said once.
    pub const fn end_response(&mut self) {
        self.place = Place::Plain;
    }

    /// Takes the next byte, and says what it is.
    pub(super) fn take(&mut self, byte: u8) -> Taken {
        let before = self.argument;
        self.argument = before.saturating_add(1);
        let was_quoted = self.is_in_quotes();
        let mut zones = self.whole();
        let (mut is_part, mut is_dropped, mut is_empty) = (false, false, false);
        let (mut read, mut is_skipped) = (byte, false);
        match self.place {
            Place::Verb | Place::Plain => {}
            Place::Mechanism | Place::Response => {
                zones = zones.with(self.read_auth(byte));
            }
            Place::Key
            | Place::Start
            | Place::Local
            | Place::Escape
            | Place::Quoted
            | Place::Opened
            | Place::Route
            | Place::Aside
            | Place::Domain
            | Place::Literal
            | Place::Phrase
            | Place::Tail
            | Place::Behind => {
                let was_behind = self.place == Place::Behind;
                let was_pair = self.place == Place::Escape || self.flags.has(Flags::PAIR);
                is_empty = self.ends_empty(byte);
                let share = self.read_path(byte);
                let is_value = self.read_parameters(byte, was_behind);
                let is_control = share != Share::Nothing && is_control(byte);
                if is_control && was_quoted {
                    read = b' ';
                }
                is_skipped = (is_control && !was_quoted)
                    || (byte == b'"' && !was_pair && share != Share::Nothing);
                is_dropped = byte == b'\\' && !was_pair && share != Share::Nothing;
                is_part =
                    is_value || !matches!(share, Share::Nothing | Share::Path | Share::Border);
                let of_path = self.zones_of_share(share);
                self.path = self.path.saturating_add(u16::from(share != Share::Nothing));
                zones = zones.with(of_path);
                if is_value {
                    zones = zones.with(self.zones_of_value());
                }
            }
        }
        self.part = self.part.saturating_add(u16::from(is_part));
        if is_dropped {
            self.argument = before;
            self.start = self.start.min(before);
        }
        let is_quoted = was_quoted && self.is_in_quotes();
        let is_quoted = (!self.flags.has(Flags::UNSURE)).then_some(is_quoted);
        Taken { zones, is_quoted, is_dropped, read, is_skipped, is_empty }
    }

    /// Whether the byte ends a path that has no local part, or a quoted string in its place that
    /// comes to nothing.
    const fn ends_empty(&self, byte: u8) -> bool {
        match (self.place, byte) {
            (Place::Opened, b'"') => !self.flags.has(Flags::PAIR),
            (Place::Domain, b'>') => {
                self.flags.has(Flags::AFTER_DOT) && self.flags.has(Flags::OPEN)
            }
            _ => false,
        }
    }

    /// Moves on in an argument of AUTH, or in a line of its exchange.
    fn read_auth(&mut self, byte: u8) -> ZoneSet {
        let is_mechanism = self.place == Place::Mechanism;
        // Exim strips blanks of any kind.
        if is_blank(byte) {
            if is_mechanism && self.part > 0 {
                self.place = Place::Response;
                (self.part, self.seen) = (0, 0);
            }
            return ZoneSet::NONE;
        }
        self.part = self.part.saturating_add(1);
        let zone = if is_mechanism { Zone::AuthMechanism } else { Zone::AuthResponse };
        zone.bit()
    }

    /// The zones of every byte of the argument, or of the first word.
    pub(super) const fn whole(&self) -> ZoneSet {
        let own = match self.kind {
            _ if matches!(self.place, Place::Verb) => return Zone::Verb.bit(),
            Kind::Other | Kind::Auth => return Zone::Command.bit(),
            Kind::Bdat => Zone::Bdat,
            Kind::Etrn => Zone::Etrn,
            Kind::Expn => Zone::Expn,
            Kind::Helo => Zone::Helo,
            Kind::Help => Zone::Help,
            Kind::Mail => Zone::Mail,
            Kind::Noop => Zone::Noop,
            Kind::Rcpt => Zone::Rcpt,
            Kind::Vrfy => Zone::Vrfy,
        };
        Zone::Command.bit().with(own.bit())
    }

    /// Whether the argument's path and parameters are those of MAIL; none if it has no zones for
    /// such.
    const fn is_mail(&self) -> Option<bool> {
        match self.kind {
            Kind::Mail => Some(true),
            Kind::Rcpt => Some(false),
            Kind::Other
            | Kind::Auth
            | Kind::Bdat
            | Kind::Etrn
            | Kind::Expn
            | Kind::Helo
            | Kind::Help
            | Kind::Noop
            | Kind::Vrfy => None,
        }
    }

    const fn zones_of_share(&self, share: Share) -> ZoneSet {
        let Some(is_mail) = self.is_mail() else { return ZoneSet::NONE };
        let (path, local, domain) = if is_mail {
            (Zone::MailPath, Zone::MailLocal.bit(), Zone::MailDomain.bit())
        } else {
            (Zone::RcptPath, Zone::RcptLocal.bit(), Zone::RcptDomain.bit())
        };
        let part = match share {
            Share::Nothing => return ZoneSet::NONE,
            Share::Path => ZoneSet::NONE,
            // Exim before 4.97 makes `=` of the blank in a recipient, and goes on.
            Share::Phrase if is_mail => ZoneSet::NONE,
            Share::Domain => domain,
            Share::Local | Share::Border if self.flags.has(Flags::DOMAIN_TOO) => local.with(domain),
            Share::Local | Share::Border | Share::Phrase => local,
        };
        part.with(path.bit())
    }

    fn zones_of_value(&self) -> ZoneSet {
        let Some(is_mail) = self.is_mail() else { return ZoneSet::NONE };
        let own = self.spelt.keyword().filter(|_| self.parameters == Parameters::Value);
        let own = own.map_or(0, |keyword| 1 << keyword as u8);
        ZoneSet::values(is_mail, self.open_values | own)
    }
}
