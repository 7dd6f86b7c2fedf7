//! Where in the client's line the next byte stands, as servers read it.
//!
//! ```text
//!   Key ──:──► Start ──<──► Path ◄──"──► Quoted ◄──\──► Pair
//!                │           │ ▲└──@──► Domain ◄──[ ]──► Literal
//!                │           │ └───:──────┘
//!                └─other─► (Path) ──>, or a blank without <──► Keyword ──=──► Value
//! ```
//!
//! Written for attackers, not for conformance: where servers differ, the reading that sees more of
//! the line as a path is taken.

use serde::{Deserialize, Serialize};

use super::zone::{Zone, ZoneSet};
use crate::smtp::Verb;

/// Parameters of MAIL and RCPT that rules tell apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Keyword {
    /// RFC 4954 5.
    Auth,
    /// RFC 6152, RFC 3030.
    Body,
    /// RFC 3461 4.4.
    Envid,
    /// RFC 3461 4.1.
    Notify,
    /// RFC 3461 4.2.
    Orcpt,
    /// RFC 3461 4.3.
    Ret,
    /// RFC 1870.
    Size,
}

impl Keyword {
    const ALL: [Self; 7] =
        [Self::Auth, Self::Body, Self::Envid, Self::Notify, Self::Orcpt, Self::Ret, Self::Size];

    /// How many there are.
    pub(super) const COUNT: u32 = 7;

    /// The word.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Auth => "AUTH",
            Self::Body => "BODY",
            Self::Envid => "ENVID",
            Self::Notify => "NOTIFY",
            Self::Orcpt => "ORCPT",
            Self::Ret => "RET",
            Self::Size => "SIZE",
        }
    }

    pub(super) fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|keyword| keyword.name() == name)
    }
}

/// What the rest of a line has to become, from a given byte on, so that every server refuses it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cure {
    /// X.
    X,
    /// `<`: behind an address without brackets X would be more of the address.
    Bracket,
    /// A space, then X: a parameter that nobody knows.
    Parameter,
    /// Nothing of it may be changed: the flow has to end.
    None,
    /// The byte alone becomes X: the line is not refused.
    Blank,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
enum Place {
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
    Quoted,
    /// Behind a backslash in a quoted string.
    Pair,
    Domain,
    Literal,
    /// Directly behind a path's `>`.
    Behind,
    /// In a parameter's keyword.
    Keyword,
    /// In its value.
    Value,
    /// In the mechanism of AUTH.
    Mechanism,
    /// In base64.
    Response,
}

/// Whose argument it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
enum Kind {
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

/// What is remembered of the line under way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Line {
    place: Place,
    kind: Kind,
    /// A `<` waits for its `>`.
    is_open: bool,
    /// In a local part, directly behind a dot.
    is_after_dot: bool,
    /// Bit n: the keyword is not number n of [`Keyword::ALL`].
    excluded: u8,
    /// Letters of the keyword so far.
    letters: u8,
    /// Which bytes that rules ask for have been seen in this part: a bit each.
    pub(super) seen: u8,
    /// The automaton's state.
    pub(super) state: u16,
    /// Bytes of the argument, of its path, and of the path's part or the parameter's value.
    pub(super) argument: u16,
    pub(super) path: u16,
    pub(super) part: u16,
}

/// What a byte is.
#[derive(Clone, Copy, Debug)]
pub(super) struct Taken {
    /// The zones it is in.
    pub(super) zones: ZoneSet,
    /// Whether it stands in a quoted string.
    pub(super) is_quoted: bool,
    /// Whether it is the backslash of a pair, which servers drop.
    pub(super) is_dropped: bool,
}

/// What a byte is a part of, beside the argument.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Share {
    /// Nothing more: it stands between parts.
    Whole,
    /// The path, between its parts.
    Path,
    /// A part of the path, a value, a mechanism.
    Part,
    /// A part, if servers did not drop it.
    Dropped,
}

impl Line {
    /// The zones that bytes of this verb's argument can be in.
    pub(super) fn zones_of(verb: Verb) -> ZoneSet {
        let mut line = Self::default();
        line.begin_argument(Some(verb));
        let parts = match line.kind {
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
    pub(super) const fn cure(&self) -> Cure {
        match (self.place, self.kind) {
            (Place::Response, _) => Cure::None,
            (Place::Plain, Kind::Helo | Kind::Noop) => Cure::Blank,
            (Place::Start, _) => Cure::Bracket,
            (
                Place::Local | Place::Quoted | Place::Pair | Place::Domain | Place::Literal,
                Kind::Mail | Kind::Rcpt | Kind::Vrfy | Kind::Expn,
            ) if !self.is_open => Cure::Bracket,
            (Place::Behind, _) => Cure::Parameter,
            (Place::Value, _) if !matches!(self.keyword(), Some(Keyword::Body)) => Cure::Parameter,
            _ => Cure::X,
        }
    }

    /// Whether what comes stands where this stands, to the end of its word or argument.
    pub(super) const fn is_in_one_place(&self) -> bool {
        matches!(self.place, Place::Verb | Place::Plain)
    }

    /// Whether a quoted string is open.
    pub(super) const fn is_in_quotes(&self) -> bool {
        matches!(self.place, Place::Quoted | Place::Pair)
    }

    /// Whether it ends in base64 that lacks one character of a group of four.
    pub(super) const fn is_short_base64(&self) -> bool {
        matches!(self.place, Place::Response) && self.part % 4 == 3
    }

    /// Takes the next byte, and says what it is.
    pub(super) fn take(&mut self, byte: u8) -> Taken {
        let was_quoted = self.is_in_quotes();
        let (share, place) = self.read(byte);
        let is_dropped = share == Share::Dropped;
        self.argument = self.argument.saturating_add(u16::from(!is_dropped));
        let zones = match share {
            Share::Whole => self.whole(),
            Share::Path => {
                self.path = self.path.saturating_add(1);
                self.whole().with(self.whole_path())
            }
            Share::Part | Share::Dropped => {
                let more = u16::from(!is_dropped);
                self.path = self.path.saturating_add(more);
                self.part = self.part.saturating_add(more);
                self.whole().with(self.part_at(place))
            }
        };
        Taken { zones, is_quoted: was_quoted && self.is_in_quotes(), is_dropped }
    }

    /// Moves on, and says what the byte is a part of, and where it stands.
    fn read(&mut self, byte: u8) -> (Share, Place) {
        let is_blank = matches!(byte, b' ' | b'\t');
        match (self.place, byte) {
            (Place::Verb | Place::Plain, _) => (Share::Whole, self.place),
            (Place::Key, b':') => self.enter(Place::Start, Share::Whole),
            (Place::Key, _) => (Share::Whole, Place::Key),
            (Place::Start, b'<') => {
                self.is_open = true;
                self.enter(Place::Local, Share::Whole)
            }
            (Place::Start, _) if is_blank => (Share::Whole, Place::Start),
            (Place::Local | Place::Domain | Place::Literal, b'>') if self.is_open => {
                self.is_open = false;
                self.enter(Place::Behind, Share::Whole)
            }
            (Place::Local | Place::Domain | Place::Literal, _) if is_blank && !self.is_open => {
                self.begin_keyword()
            }
            (Place::Start | Place::Local | Place::Domain, b'@') => {
                self.enter(Place::Domain, Share::Path)
            }
            (Place::Domain, b':') => self.enter(Place::Local, Share::Path),
            (Place::Start | Place::Local, _) => {
                // Elsewhere a quote opens nothing for most servers.
                let is_opening = byte == b'"' && (self.part == 0 || self.is_after_dot);
                self.is_after_dot = byte == b'.';
                self.place = if is_opening { Place::Quoted } else { Place::Local };
                (Share::Part, Place::Local)
            }
            (Place::Quoted, b'\\') => {
                self.place = Place::Pair;
                (Share::Dropped, Place::Local)
            }
            (Place::Quoted | Place::Pair, _) => {
                let is_closing = self.place == Place::Quoted && byte == b'"';
                self.is_after_dot = false;
                self.place = if is_closing { Place::Local } else { Place::Quoted };
                (Share::Part, Place::Local)
            }
            (Place::Domain | Place::Literal, _) => {
                match byte {
                    b'[' => self.place = Place::Literal,
                    b']' => self.place = Place::Domain,
                    _ => {}
                }
                (Share::Part, Place::Domain)
            }
            (Place::Behind | Place::Keyword | Place::Value, _) if is_blank => self.begin_keyword(),
            (Place::Behind, _) => (Share::Whole, Place::Behind),
            (Place::Keyword, b'=') => self.enter(Place::Value, Share::Whole),
            (Place::Keyword, _) => {
                self.spell(byte);
                (Share::Whole, Place::Keyword)
            }
            (Place::Mechanism, _) if is_blank && self.part > 0 => {
                self.enter(Place::Response, Share::Whole)
            }
            (Place::Mechanism | Place::Response, _) if is_blank => (Share::Whole, self.place),
            (Place::Value | Place::Mechanism | Place::Response, _) => (Share::Part, self.place),
        }
    }

    /// The next byte begins another part.
    fn enter(&mut self, place: Place, share: Share) -> (Share, Place) {
        (self.part, self.seen, self.is_after_dot) = (0, 0, false);
        (share, std::mem::replace(&mut self.place, place))
    }

    fn begin_keyword(&mut self) -> (Share, Place) {
        (self.excluded, self.letters) = (0, 0);
        self.enter(Place::Keyword, Share::Whole)
    }

    fn spell(&mut self, letter: u8) {
        for (index, keyword) in Keyword::ALL.into_iter().enumerate() {
            let known = keyword.name().as_bytes().get(usize::from(self.letters));
            if known != Some(&letter.to_ascii_uppercase()) {
                self.excluded |= 1 << index;
            }
        }
        self.letters = self.letters.saturating_add(1);
    }

    /// The keyword that was spelt, whole.
    const fn keyword(&self) -> Option<Keyword> {
        let mut rest: &[Keyword] = &Keyword::ALL;
        while let [keyword, tail @ ..] = rest {
            let is_this = self.excluded & (1 << *keyword as u8) == 0;
            if is_this && keyword.name().len() == self.letters as usize {
                return Some(*keyword);
            }
            rest = tail;
        }
        None
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

    const fn whole_path(&self) -> ZoneSet {
        if matches!(self.kind, Kind::Mail) {
            Zone::MailPath.bit()
        } else if matches!(self.kind, Kind::Rcpt) {
            Zone::RcptPath.bit()
        } else {
            ZoneSet::NONE
        }
    }

    /// The zones of a part that begins no other.
    const fn part_at(&self, place: Place) -> ZoneSet {
        let is_mail = matches!(self.kind, Kind::Mail);
        let zone = match (place, self.kind) {
            (Place::Mechanism, _) => return Zone::AuthMechanism.bit(),
            (Place::Response, _) => return Zone::AuthResponse.bit(),
            (Place::Value, _) => return self.parameter(is_mail),
            (Place::Domain, Kind::Mail) => Zone::MailDomain,
            (Place::Domain, Kind::Rcpt) => Zone::RcptDomain,
            (_, Kind::Mail) => Zone::MailLocal,
            (_, Kind::Rcpt) => Zone::RcptLocal,
            (_, _) => return ZoneSet::NONE,
        };
        zone.bit().with(self.whole_path())
    }

    const fn parameter(&self, is_mail: bool) -> ZoneSet {
        let keyword = self.keyword();
        let (any, this) = if is_mail {
            (Zone::MailParameter(None), Zone::MailParameter(keyword))
        } else {
            (Zone::RcptParameter(None), Zone::RcptParameter(keyword))
        };
        any.bit().with(this.bit())
    }
}
