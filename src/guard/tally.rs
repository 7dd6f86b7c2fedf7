//! What is counted of a connection: lines of a kind, and answers that are refusals.

use serde::{Deserialize, Serialize};

use super::settings::Settings;
use super::{Excess, Rule};
use crate::smtp::Verb;

/// The counts so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Tally {
    /// Recipients that the server has refused for good.
    rejected: u16,
    /// Failed authentications.
    failed: u16,
    /// Lines that were refused.
    refused: u16,
    /// Commands that bring no message on its way, since the last one.
    idle: u16,
    /// Empty lines in a row.
    empty: u16,
    /// Messages whose end was sent.
    messages: u16,
    /// Small chunks of the message under way.
    small_chunks: u16,
}

/// A line of the client, at its end.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ended {
    /// What the server answers it as, whatever was refused of it here.
    pub(super) verb: Option<Verb>,
    /// The server does not get it as it came, or knows no such command.
    pub(super) is_refused: bool,
    pub(super) is_empty: bool,
    /// The octets that a BDAT has announced.
    pub(super) octets: u16,
}

impl Tally {
    /// A line has ended: the limit that it takes the connection over, if any.
    pub(super) fn end_line(&mut self, settings: &Settings, line: Ended) -> Option<Excess> {
        // What no server knows for a command ends no row of empty lines.
        if line.verb.is_some() {
            self.empty = 0;
        }
        // Whoever has failed so often may not try again, nor say it so that it is refused here.
        let one_more_of_its_kind = match line.verb {
            Some(Verb::Auth) => {
                settings.failed_auth_max.excess_of_next(Rule::FailedAuth, self.failed)
            }
            Some(verb) if verb.begins_transaction() => {
                settings.messages_max.excess_of_next(Rule::Messages, self.messages)
            }
            _ => None,
        };
        Excess::graver(one_more_of_its_kind, self.count_line(settings, line))
    }

    fn count_line(&mut self, settings: &Settings, line: Ended) -> Option<Excess> {
        match line.verb {
            _ if line.is_empty => {
                settings.empty_lines_max.excess(Rule::EmptyLines, one_more(&mut self.empty))
            }
            _ if line.is_refused => {
                settings.refused_lines_max.excess(Rule::RefusedLines, one_more(&mut self.refused))
            }
            Some(Verb::Bdat) if line.octets < SMALL => {
                let count = one_more(&mut self.small_chunks);
                settings.chunks_small_max.excess(Rule::SmallChunks, count)
            }
            Some(
                Verb::Noop
                | Verb::Rset
                | Verb::Vrfy
                | Verb::Expn
                | Verb::Etrn
                | Verb::Help
                | Verb::Helo
                | Verb::Ehlo,
            ) => settings.idle_commands_max.excess(Rule::IdleCommands, one_more(&mut self.idle)),
            _ => None,
        }
    }

    /// A message was sent to its end, or what came in chunks was taken.
    pub(super) fn end_message(&mut self) {
        one_more(&mut self.messages);
        (self.idle, self.small_chunks) = (0, 0);
    }

    /// The server's final answer to a line of this verb: the limit that it takes the connection
    /// over, if any.
    pub(super) fn hear(&mut self, settings: &Settings, verb: Verb, code: u16) -> Option<Excess> {
        match (verb, code / 100) {
            // A refusal for now (greylisting) says nothing of the recipient.
            (Verb::Rcpt, 5) => {
                let count = one_more(&mut self.rejected);
                settings.rejected_recipients_max.excess(Rule::RejectedRecipients, count)
            }
            (Verb::Auth, 4 | 5) => {
                one_more(&mut self.failed);
                None
            }
            // A refused MAIL ends no transaction.
            (Verb::Mail, 2) => {
                self.small_chunks = 0;
                None
            }
            _ => None,
        }
    }
}

/// Counts one: before and after.
fn one_more(count: &mut u16) -> (u32, u32) {
    let before = u32::from(*count);
    *count = count.saturating_add(1);
    (before, u32::from(*count))
}

/// A chunk of fewer octets is small.
const SMALL: u16 = 64;

#[cfg(test)]
mod tests;
