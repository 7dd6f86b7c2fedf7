//! The places of a client's line, and of a message's header, that a rule can look at.

use super::header::Field;
use super::keyword::Keyword;

/// A place in the client's line, or in a message's header. Those of MAIL are those of SAML, SEND
/// and SOML too.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Zone {
    /// The first word.
    Verb,
    /// The argument of any command.
    Command,
    /// The argument of HELO and EHLO.
    Helo,
    /// The whole argument of MAIL.
    Mail,
    /// Its path, between the brackets if it has them.
    MailPath,
    /// The path's local part.
    MailLocal,
    /// The path's domain, or route.
    MailDomain,
    /// The value of any of its parameters, or of this one.
    MailParameter(Option<Keyword>),
    /// The whole argument of RCPT.
    Rcpt,
    /// Its path.
    RcptPath,
    /// The path's local part.
    RcptLocal,
    /// The path's domain, or route.
    RcptDomain,
    /// The value of any of its parameters, or of this one.
    RcptParameter(Option<Keyword>),
    /// The argument of VRFY.
    Vrfy,
    /// The argument of EXPN.
    Expn,
    /// The argument of ETRN.
    Etrn,
    /// The argument of NOOP.
    Noop,
    /// The argument of HELP.
    Help,
    /// The argument of BDAT.
    Bdat,
    /// The first word of AUTH's argument.
    AuthMechanism,
    /// What stands behind it, and the client's lines in the exchange.
    AuthResponse,
    /// The value of any field of a message's header, or of this one.
    Header(Option<Field>),
}

/// Zones of one name each.
const NAMES: [(Zone, &str); 19] = [
    (Zone::Verb, "verb"),
    (Zone::Command, "command"),
    (Zone::Helo, "helo"),
    (Zone::Mail, "mail"),
    (Zone::MailPath, "mail.path"),
    (Zone::MailLocal, "mail.local"),
    (Zone::MailDomain, "mail.domain"),
    (Zone::Rcpt, "rcpt"),
    (Zone::RcptPath, "rcpt.path"),
    (Zone::RcptLocal, "rcpt.local"),
    (Zone::RcptDomain, "rcpt.domain"),
    (Zone::Vrfy, "vrfy"),
    (Zone::Expn, "expn"),
    (Zone::Etrn, "etrn"),
    (Zone::Noop, "noop"),
    (Zone::Help, "help"),
    (Zone::Bdat, "bdat"),
    (Zone::AuthMechanism, "auth.mechanism"),
    (Zone::AuthResponse, "auth.response"),
];

impl Zone {
    /// The zone of this name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        let parameter = |start| -> Option<Option<Keyword>> {
            match name.strip_prefix(start)?.strip_prefix('.') {
                Some(keyword) => Keyword::named(keyword).map(Some),
                None => name.strip_prefix(start)?.is_empty().then_some(None),
            }
        };
        let known = NAMES.into_iter().find(|(_, known)| *known == name).map(|(zone, _)| zone);
        known
            .or_else(|| parameter("mail.parameter").map(Self::MailParameter))
            .or_else(|| parameter("rcpt.parameter").map(Self::RcptParameter))
            .or_else(|| (name == "header").then_some(Self::Header(None)))
            .or_else(|| Some(Self::Header(Some(Field::named(name.strip_prefix("header.")?)?))))
    }

    /// Its name.
    #[expect(clippy::wildcard_enum_match_arm, reason = "all others stand in the table")]
    #[must_use]
    pub fn name(self) -> String {
        let (start, keyword) = match self {
            Self::MailParameter(keyword) => ("mail.parameter", keyword),
            Self::RcptParameter(keyword) => ("rcpt.parameter", keyword),
            Self::Header(None) => ("header", None),
            Self::Header(Some(field)) => return format!("header.{}", field.name()),
            known => {
                let named = NAMES.into_iter().find(|(zone, _)| *zone == known);
                (named.map_or("", |(_, name)| name), None)
            }
        };
        keyword.map_or_else(|| start.to_owned(), |known| format!("{start}.{}", known.name()))
    }

    /// What may be written, to stand behind "expected".
    pub(super) fn expected() -> String {
        let names: Vec<_> = NAMES.iter().map(|(_, name)| *name).collect();
        let fields: Vec<_> = Field::ALL.map(|field| format!("header.{}", field.name())).into();
        format!(
            "one of {}, mail.parameter[.NAME], rcpt.parameter[.NAME], header, {}",
            names.join(", "),
            fields.join(", ")
        )
    }

    /// Its bit among all zones; that of any parameter stands for each.
    pub(super) const fn bit(self) -> ZoneSet {
        ZoneSet(
            1 << match self {
                Self::Verb => 0,
                Self::Command => 1,
                Self::Helo => 2,
                Self::Mail => 3,
                Self::Rcpt => 4,
                Self::Vrfy => 5,
                Self::Expn => 6,
                Self::Etrn => 7,
                Self::Noop => 8,
                Self::Help => 9,
                Self::Bdat => 10,
                Self::MailPath => 11,
                Self::RcptPath => 12,
                Self::AuthMechanism => 13,
                Self::AuthResponse => 14,
                Self::MailLocal => 15,
                Self::RcptLocal => 16,
                Self::MailDomain => 17,
                Self::RcptDomain => 18,
                Self::MailParameter(None) => 19,
                Self::RcptParameter(None) => 20,
                Self::MailParameter(Some(keyword)) => MAIL_KEYWORD + keyword as u32,
                Self::RcptParameter(Some(keyword)) => RCPT_KEYWORD + keyword as u32,
                Self::Header(None) => HEADER,
                Self::Header(Some(field)) => HEADER + 1 + field as u32,
            },
        )
    }
}

/// The first bit of MAIL's parameters, and of RCPT's.
const MAIL_KEYWORD: u32 = 21;
const RCPT_KEYWORD: u32 = MAIL_KEYWORD + Keyword::COUNT;

/// The bit of any field of a header, before those of each.
const HEADER: u32 = RCPT_KEYWORD + Keyword::COUNT;

/// A bit for each keyword.
const ALL_KEYWORDS: u64 = (1 << Keyword::COUNT) - 1;

/// A set of zones, or all the zones that a byte is in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct ZoneSet(u64);

impl ZoneSet {
    /// No zone.
    pub(super) const NONE: Self = Self(0);

    /// Zones that are a path: what they hold is counted from its first byte.
    pub(super) const PATHS: Self = Zone::MailPath.bit().with(Zone::RcptPath.bit());

    /// Zones that are no part of another but the command: counted from the argument's first byte.
    pub(super) const WHOLE: Self = Self((1 << 11) - 1);

    /// Zones that are a part of something, or a value: counted from its first byte.
    pub(super) const PARTS: Self = Self(!(Self::WHOLE.0 | Self::PATHS.0));

    /// Zones that can begin later than it seems: behind a comment, or another bracket.
    pub(super) const LATE: Self = Self(
        !(Self::WHOLE.0
            | Zone::MailDomain.bit().0
            | Zone::RcptDomain.bit().0
            | Zone::AuthMechanism.bit().0
            | Zone::AuthResponse.bit().0),
    );

    /// Values of a header's fields.
    pub(super) const HEADERS: Self = Self(!(Zone::Header(None).bit().0 - 1));

    /// Local parts.
    pub(super) const LOCALS: Self = Zone::MailLocal.bit().with(Zone::RcptLocal.bit());

    /// The parts of MAIL's argument.
    pub(super) const MAIL_PARTS: Self = Self(ALL_KEYWORDS << MAIL_KEYWORD)
        .with(Zone::MailPath.bit())
        .with(Zone::MailLocal.bit())
        .with(Zone::MailDomain.bit())
        .with(Zone::MailParameter(None).bit());

    /// The parts of RCPT's argument.
    pub(super) const RCPT_PARTS: Self = Self(ALL_KEYWORDS << RCPT_KEYWORD)
        .with(Zone::RcptPath.bit())
        .with(Zone::RcptLocal.bit())
        .with(Zone::RcptDomain.bit())
        .with(Zone::RcptParameter(None).bit());

    /// The values of parameters: of MAIL, or of RCPT, and of these by their numbers.
    pub(super) const fn values(is_mail: bool, keywords: u8) -> Self {
        let (any, first) = if is_mail {
            (Zone::MailParameter(None), MAIL_KEYWORD)
        } else {
            (Zone::RcptParameter(None), RCPT_KEYWORD)
        };
        Self((keywords as u64 & ALL_KEYWORDS) << first).with(any.bit())
    }

    /// Both together.
    pub(super) const fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Those in this one alone.
    pub(super) const fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    /// Those in both.
    pub(super) const fn and(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    /// Whether any zone is in both.
    pub(super) const fn meets(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }
}
