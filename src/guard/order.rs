//! The order of commands: what no client says who keeps to RFC 5321, and what servers have fallen
//! over.
//!
//! Known is what the client has sent, and what the server has answered it. Where an answer is due,
//! the client is given the benefit of it, so a pipeline passes whatever becomes of it.

use serde::{Deserialize, Serialize};

use super::{Rule, VerbSet};
use crate::smtp::Verb;

/// The transaction under way, and whether the client is authenticated.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Order {
    /// A MAIL was sent, and nothing that ends it.
    has_mail: bool,
    /// It was accepted.
    is_open: bool,
    has_recipient: bool,
    /// One of them was accepted.
    has_accepted: bool,
    has_chunk: bool,
    is_authenticated: bool,
    /// Lines of MAIL that are not answered.
    mails_due: u8,
    /// The same of RCPT.
    recipients_due: u16,
}

impl Order {
    /// A line was sent as it came. `is_last`: a BDAT with LAST.
    #[expect(clippy::wildcard_enum_match_arm, reason = "most verbs change nothing")]
    pub(super) fn send(&mut self, verb: Verb, is_last: bool) {
        match verb {
            Verb::Rset | Verb::Helo | Verb::Ehlo => self.end(),
            Verb::Rcpt => {
                self.has_recipient = true;
                self.recipients_due = self.recipients_due.saturating_add(1);
            }
            Verb::Bdat if is_last => {
                self.end();
                self.has_chunk = true;
            }
            Verb::Bdat => self.has_chunk = true,
            _ if BEGINNERS.contains(verb) => {
                self.end();
                self.has_mail = true;
                self.mails_due = self.mails_due.saturating_add(1);
            }
            _ => {}
        }
    }

    /// The transaction has ended: with its message, or without.
    pub(super) fn end(&mut self) {
        *self = Self {
            is_authenticated: self.is_authenticated,
            mails_due: self.mails_due,
            recipients_due: self.recipients_due,
            ..Self::default()
        };
    }

    /// The server's final answer to a line of this verb.
    #[expect(clippy::wildcard_enum_match_arm, reason = "most answers change nothing")]
    pub(super) fn hear(&mut self, verb: Verb, code: u16) {
        let is_success = code / 100 == 2;
        match verb {
            Verb::Rcpt => {
                self.recipients_due = self.recipients_due.saturating_sub(1);
                self.has_accepted |= is_success;
            }
            Verb::Auth => self.is_authenticated |= code == 235,
            _ if BEGINNERS.contains(verb) => {
                // Only the answer to the last one tells of the transaction under way.
                self.is_open = self.has_mail && self.mails_due == 1 && is_success;
                self.mails_due = self.mails_due.saturating_sub(1);
            }
            _ => {}
        }
    }

    /// The server has begun anew.
    /// Why a line of this verb may not come now, if it may not.
    #[expect(clippy::wildcard_enum_match_arm, reason = "most verbs may come at any time")]
    pub(super) fn bars(self, verb: Verb) -> Option<Rule> {
        let has_no_recipient =
            !self.has_recipient || (self.recipients_due == 0 && !self.has_accepted);
        match verb {
            Verb::Rcpt if !self.has_mail => Some(Rule::RcptWithoutMail),
            // RFC 3030 2: the two are never mixed.
            Verb::Data if self.has_chunk => Some(Rule::DataAfterBdat),
            Verb::Data | Verb::Bdat if !self.has_mail => Some(Rule::DataWithoutMail),
            Verb::Data if has_no_recipient => Some(Rule::DataWithoutRcpt),
            // RFC 4954 4.
            Verb::Auth if self.is_authenticated || self.is_open => Some(Rule::AuthAgain),
            // RFC 5321 4.1.4.
            _ if self.is_open && BEGINNERS.contains(verb) => Some(Rule::MailTwice),
            _ => None,
        }
    }

    /// All verbs that may not come now.
    pub(super) fn barred(self) -> VerbSet {
        let barred = ORDERED.into_iter().filter(|&verb| self.bars(verb).is_some());
        barred.fold(VerbSet::default(), |all, verb| all.with(&[verb]))
    }
}

/// Verbs that begin a mail transaction (RFC 5321 4.1.1.2, RFC 821 3.4).
pub(super) const BEGINNERS: VerbSet =
    VerbSet::of(&[Verb::Mail, Verb::Saml, Verb::Send, Verb::Soml]);

/// Verbs that have their place.
const ORDERED: [Verb; 8] = [
    Verb::Auth,
    Verb::Bdat,
    Verb::Data,
    Verb::Mail,
    Verb::Rcpt,
    Verb::Saml,
    Verb::Send,
    Verb::Soml,
];

#[cfg(test)]
mod tests;
