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
    /// EHLO shows neither it nor anything it could have become.
    NotOffered,
    /// There was no answer to tell it from.
    Unknown,
}

impl StartTls {
    /// Judges a conversation.
    #[must_use]
    pub(super) fn of(said: &Transcript) -> Self {
        let Some(ehlo) = said.reply(Command::Ehlo) else { return Self::Unknown };
        if !ehlo.is_ok() || super::findings::is_noop(said, ehlo) {
            return if said.reply(Command::Helo).is_some_and(Reply::is_ok) {
                Self::OutOfReach
            } else {
                Self::Unknown
            };
        }
        if keywords::has(ehlo, "STARTTLS") {
            return Self::Offered;
        }
        let command = said.reply(Command::StartTls);
        if command.is_some_and(Reply::is_ok) {
            // The server knows what it does not show.
            return Self::TakenAway;
        }
        let masked = keywords::masked(ehlo);
        let meanings: Vec<_> = masked.iter().map(|one| one.meanings(ehlo)).collect();
        let suspects = meanings.iter().filter(|names| names.contains(&"STARTTLS"));
        let count = suspects.clone().count();
        // As many masked as there are names left: each is one of them.
        match suspects.into_iter().next() {
            None => Self::NotOffered,
            Some(names) if names.len() <= count => Self::TakenAway,
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
            Self::NotOffered => "not offered, and nothing it could have become",
            Self::Unknown => "not known: no answer to EHLO",
        };
        let command = said.reply(Command::StartTls);
        let echo = command.and_then(|reply| reply.echo(Command::StartTls.word()));
        match (command, echo) {
            (Some(reply), _) if reply.is_ok() => format!("{sentence}; the command itself works"),
            (_, Some(Echo::Masked { .. })) => format!("{sentence}; the command is masked too"),
            _ => sentence.to_owned(),
        }
    }
}
