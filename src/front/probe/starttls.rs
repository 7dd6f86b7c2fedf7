//! What became of STARTTLS: offered, not offered, or taken away by something on the way.

use serde::Serialize;

use super::dialogue::{Command, Transcript};
use super::keywords;
use super::reply::{Echo, Reply};

/// What became of STARTTLS.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum StartTls {
    /// EHLO shows it.
    Offered,
    /// Masked in the answer to EHLO.
    TakenAway,
    /// A keyword that may have been it is masked.
    PerhapsTakenAway,
    /// EHLO does not get through, so no client learns of any extension.
    OutOfReach,
    /// EHLO shows neither it nor anything it could have become, and the server has it.
    Unlisted,
    /// EHLO shows neither it nor anything it could have become.
    NotOffered,
    /// EHLO was refused, and HELO got no answer but a refusal.
    Refused,
    /// There was no answer to tell it from.
    Unknown,
}

impl StartTls {
    /// Judges a conversation.
    #[must_use]
    pub(super) fn of(said: &Transcript) -> Self {
        let Some(ehlo) = said.reply(Command::Ehlo) else { return Self::Unknown };
        let is_helo_ok = said.reply(Command::Helo).is_some_and(Reply::is_ok);
        if super::findings::is_noop(said, ehlo) || (!ehlo.is_ok() && is_helo_ok) {
            return Self::OutOfReach;
        }
        if !ehlo.is_ok() {
            return Self::Refused;
        }
        if keywords::has(ehlo, "STARTTLS") {
            return Self::Offered;
        }
        let masked = keywords::masked(ehlo);
        let meanings: Vec<_> = masked.iter().map(|one| one.meanings(ehlo)).collect();
        let suspects = meanings.iter().filter(|names| names.contains(&"STARTTLS"));
        let count = suspects.clone().count();
        let is_known = is_known(said);
        // As many masked as there are names left: each is one of them.
        match suspects.into_iter().next() {
            None if is_known => Self::Unlisted,
            None => Self::NotOffered,
            Some(names) if is_known || names.len() <= count => Self::TakenAway,
            Some(_) => Self::PerhapsTakenAway,
        }
    }

    /// What to tell about it.
    #[must_use]
    pub(super) fn sentence(self, said: &Transcript) -> String {
        let sentence = match self {
            Self::Offered => "offered",
            Self::TakenAway => "taken away: its keyword is masked, the server has it",
            Self::PerhapsTakenAway => {
                "probably taken away: a masked keyword has its length (CHUNKING and SMTPUTF8 have \
                 the same)"
            }
            Self::OutOfReach => {
                "out of reach: EHLO does not get through; whether the server has it cannot be told"
            }
            Self::Unlisted => "not offered, and accepted all the same",
            Self::NotOffered => "not offered, and nothing it could have become",
            Self::Refused => "not known: EHLO was refused",
            Self::Unknown => "not known: no answer to EHLO",
        };
        let command = said.reply(Command::StartTls);
        let echo = command.and_then(|reply| reply.echo(Command::StartTls.word()));
        match echo {
            _ if self == Self::Unlisted => sentence.to_owned(),
            _ if is_known(said) => format!("{sentence}; the command itself works"),
            Some(Echo::Masked { .. }) => format!("{sentence}; the command is masked too"),
            Some(Echo::Intact) | None => sentence.to_owned(),
        }
    }
}

/// Whether the server was ready for TLS when it was asked (RFC 3207 4), and is not to everything.
pub(super) fn is_known(said: &Transcript) -> bool {
    let command = said.reply(Command::StartTls);
    command.is_some_and(|reply| reply.code() == Some(220))
        && !super::findings::is_accepting_all(said)
}
