//! The parameters of MAIL and RCPT that a rule can look at by name.

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
    /// Every parameter.
    pub(super) const ALL: [Self; 7] =
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
