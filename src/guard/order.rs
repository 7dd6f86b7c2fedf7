//! The order of commands: what no client says who keeps to RFC 5321, and what servers have fallen
//! over.
//!
//! Known is what the server has answered, line by line. Where an answer is due, the client is given
//! the benefit of it, so a pipeline passes whatever becomes of it. Not so behind a message that the
//! server refused, or chunks, or a greeting within a transaction: there a server may hold on to a
//! transaction that has ended (Postfix, Courier), and what would go on with that waits until it is
//! known to be over. Nor behind a path that is masked: most servers refuse it, and one that does
//! not (qmail) gets no message for it.

use serde::{Deserialize, Serialize};

use super::{Rule, VerbSet};
use crate::smtp::{Answers, Verb, is_odd_grant, is_success};

/// The transaction under way, and whether the client is authenticated.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Order {
    /// By the answers that have come.
    known: State,
    /// If every answer that is due is a success.
    hoped: State,
    /// If none of them is.
    feared: State,
    /// Answers that are due to lines that matter here.
    due: u16,
    /// Those to lines that begin anew.
    anew_due: u16,
    chunks_due: u16,
    /// The BDAT that was sent last was the last of its message.
    is_last_chunk: bool,
    /// Recipients that the server may count in one transaction.
    recipients: u32,
    /// Those of them behind the last line that begins anew.
    recipients_since: u16,
    /// Answers that are due to a MAIL or RCPT whose path is masked. Whoever takes the flow over
    /// does not count them.
    #[serde(skip)]
    masked_due: u16,
    /// Whether one of them is due to the end of a message: then it is the oldest.
    #[serde(skip)]
    is_end_due: bool,
}

/// What a server holds of a client, a bit each.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct State(u8);

impl State {
    /// The transaction's MAIL was accepted.
    const OPEN: u8 = 1;
    /// One was said, and may have been refused: what follows is the server's to refuse then.
    const TRIED: u8 = 1 << 1;
    /// A recipient is accepted.
    const RECIPIENT: u8 = 1 << 2;
    /// A chunk was sent.
    const CHUNK: u8 = 1 << 3;
    /// A message was refused, or its chunks were, or the client has greeted within a transaction:
    /// some servers go on with that.
    const LINGERS: u8 = 1 << 4;
    const AUTHENTICATED: u8 = 1 << 5;
    /// A path that nobody wrote is accepted.
    const MASKED: u8 = 1 << 6;

    const fn has(self, any: u8) -> bool {
        self.0 & any != 0
    }

    const fn set(&mut self, bit: u8) {
        self.0 |= bit;
    }

    const fn clear(&mut self, bits: u8) {
        self.0 &= !bits;
    }
}

/// What an image of format 9 says of it.
#[derive(Debug, Deserialize)]
pub(super) struct OrderBefore {
    has_mail: bool,
    is_open: bool,
    has_recipient: bool,
    has_accepted: bool,
    has_chunk: bool,
    is_authenticated: bool,
    mails_due: u8,
    recipients_due: u16,
}

/// A line that was sent.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sent {
    pub(super) verb: Verb,
    /// It has nothing but its verb.
    pub(super) is_bare: bool,
    /// It is a BDAT with LAST.
    pub(super) is_last: bool,
}

/// What a line means for the transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Meaning {
    Begin,
    AddRecipient,
    SendChunk,
    EndMessage,
    Reset,
    /// It resets, as most servers have it.
    Greet,
}

impl Meaning {
    #[expect(clippy::wildcard_enum_match_arm, reason = "most verbs change nothing")]
    const fn of(verb: Verb, is_last: bool) -> Option<Self> {
        match verb {
            Verb::Rset => Some(Self::Reset),
            Verb::Helo | Verb::Ehlo => Some(Self::Greet),
            Verb::Rcpt => Some(Self::AddRecipient),
            Verb::Bdat if is_last => Some(Self::EndMessage),
            Verb::Bdat => Some(Self::SendChunk),
            _ if verb.begins_transaction() => Some(Self::Begin),
            _ => None,
        }
    }

    /// Whether nothing is left of what was, if the server takes it.
    const fn begins_anew(self) -> bool {
        matches!(self, Self::Begin | Self::Reset | Self::Greet)
    }
}

impl State {
    fn change(&mut self, meaning: Meaning, is_success: bool) {
        match meaning {
            Meaning::Begin | Meaning::Reset | Meaning::Greet if is_success => {
                let has_mail = self.has(Self::OPEN | Self::TRIED | Self::LINGERS);
                self.clear(!Self::AUTHENTICATED);
                if meaning == Meaning::Begin {
                    self.set(Self::OPEN);
                } else if meaning == Meaning::Greet && has_mail {
                    // Courier refuses the next MAIL, and takes the first recipient for the sender.
                    self.set(Self::LINGERS);
                }
            }
            // Where a transaction lingers, what follows a refused MAIL would belong to that.
            Meaning::Begin if !self.has(Self::OPEN | Self::LINGERS) => self.set(Self::TRIED),
            Meaning::AddRecipient if is_success => self.set(Self::RECIPIENT),
            // A server may go on behind a chunk that it has refused.
            Meaning::SendChunk => self.set(Self::CHUNK),
            Meaning::EndMessage => {
                self.clear(Self::OPEN | Self::TRIED | Self::RECIPIENT | Self::MASKED);
                if is_success {
                    self.clear(Self::CHUNK | Self::LINGERS);
                } else {
                    self.set(Self::LINGERS);
                }
            }
            Meaning::Begin | Meaning::Reset | Meaning::Greet | Meaning::AddRecipient => {}
        }
    }

    /// Why a line of this verb may not come, if it may not.
    #[expect(clippy::wildcard_enum_match_arm, reason = "most verbs may come at any time")]
    fn bars(self, verb: Verb) -> Option<Rule> {
        let has_mail = self.has(Self::OPEN | Self::TRIED);
        match verb {
            Verb::Data | Verb::Bdat if self.has(Self::MASKED) => Some(Rule::MaskedPath),
            Verb::Rcpt if !has_mail => Some(Rule::RcptWithoutMail),
            // RFC 3030 2: the two are never mixed.
            Verb::Data if self.has(Self::CHUNK) => Some(Rule::DataAfterBdat),
            Verb::Data | Verb::Bdat if !has_mail => Some(Rule::DataWithoutMail),
            Verb::Data if !self.has(Self::RECIPIENT) => Some(Rule::DataWithoutRcpt),
            // RFC 4954 4.
            Verb::Auth if self.has(Self::AUTHENTICATED | Self::OPEN) => Some(Rule::AuthAgain),
            // RFC 5321 4.1.4.
            _ if self.has(Self::OPEN) && verb.begins_transaction() => Some(Rule::MailTwice),
            _ => None,
        }
    }
}

impl Order {
    /// What was known in an image of format 9, and the recipients that it had counted.
    pub(super) fn remembered(before: OrderBefore, recipients: u32) -> Self {
        let mut known = State::default();
        for (is_so, bit) in [
            (before.has_mail && before.is_open, State::OPEN),
            (before.has_mail && !before.is_open, State::TRIED),
            (before.has_accepted, State::RECIPIENT),
            (before.has_chunk, State::CHUNK),
            (before.is_authenticated, State::AUTHENTICATED),
        ] {
            if is_so {
                known.set(bit);
            }
        }
        let mut order = Self { known, hoped: known, feared: known, recipients, ..Self::default() };
        if before.has_mail && before.mails_due > 0 {
            order.hoped.change(Meaning::Begin, true);
        }
        if before.has_recipient {
            order.hoped.change(Meaning::AddRecipient, before.recipients_due > 0);
        }
        // A transaction with chunks and no sender has ended with its last.
        order.is_last_chunk = before.has_chunk && !before.has_mail;
        order.chunks_due = order.is_last_chunk.into();
        order.anew_due = before.mails_due.into();
        order.due = before.recipients_due.saturating_add(order.anew_due + order.chunks_due);
        order
    }

    /// A line was sent as it came.
    pub(super) fn send(&mut self, line: Sent) {
        let Some(meaning) = Meaning::of(line.verb, line.is_last) else { return };
        if line.verb == Verb::Bdat {
            self.chunks_due = self.chunks_due.saturating_add(1);
            self.is_last_chunk = line.is_last;
            self.expect(Meaning::SendChunk);
        } else if meaning.begins_anew() {
            self.recipients_since = 0;
        }
        self.expect(meaning);
        if line.verb == Verb::Rset && line.is_bare {
            // No server refuses it (RFC 5321 4.1.1.5).
            self.feared.change(meaning, true);
            self.recipients = 0;
        }
        self.owe(meaning);
    }

    /// A line was sent that the server refuses, and answers as one of this verb.
    pub(super) fn send_refused(&mut self, verb: Verb, is_path_masked: bool) {
        self.masked_due = self.masked_due.saturating_add(u16::from(is_path_masked));
        if let Some(meaning) = Meaning::of(verb, false) {
            if meaning == Meaning::Greet {
                // Servers take a greeting whose name is masked.
                self.fear(meaning);
            }
            self.owe(meaning);
        }
    }

    /// One answer more is due.
    fn owe(&mut self, meaning: Meaning) {
        if meaning.begins_anew() {
            self.anew_due = self.anew_due.saturating_add(1);
        }
        self.due = self.due.saturating_add(1);
    }

    /// The end of message data was sent.
    pub(super) fn send_end(&mut self) {
        self.expect(Meaning::EndMessage);
        self.due = self.due.saturating_add(1);
        self.is_end_due = true;
        (self.recipients, self.recipients_since) = (0, 0);
    }

    fn expect(&mut self, meaning: Meaning) {
        self.hoped.change(meaning, true);
        self.fear(meaning);
    }

    /// A line may come to nothing; what is to be feared of a greeting is that it does not.
    fn fear(&mut self, meaning: Meaning) {
        self.feared.change(meaning, meaning == Meaning::Greet);
    }

    /// One recipient more is named: how many there were, and are.
    pub(super) fn count_recipient(&mut self) -> (u32, u32) {
        let before = self.recipients;
        self.recipients = before.saturating_add(1);
        self.recipients_since = self.recipients_since.saturating_add(1);
        (before, self.recipients)
    }

    /// The server's final answer.
    pub(super) fn hear(&mut self, answers: Answers, code: u16) {
        if answers == Answers::Message {
            self.is_end_due = false;
        } else if answers != Answers::Nothing && self.lose_end() {
            self.due = self.due.saturating_sub(1);
        }
        let meaning = match answers {
            Answers::Verb(Verb::Auth) if code == 235 => {
                for state in [&mut self.known, &mut self.hoped, &mut self.feared] {
                    state.set(State::AUTHENTICATED);
                }
                None
            }
            // What it has run it has not said: nothing is known to be open any more, and what
            // lingers lingers.
            Answers::Verb(verb) if is_odd_grant(verb, code) => {
                for state in [&mut self.known, &mut self.hoped, &mut self.feared] {
                    state.clear(State::OPEN | State::TRIED | State::RECIPIENT);
                }
                None
            }
            Answers::Verb(Verb::Bdat) => {
                let is_last = self.is_of_last_chunk(answers);
                self.chunks_due = self.chunks_due.saturating_sub(1);
                self.known.change(Meaning::SendChunk, true);
                Meaning::of(Verb::Bdat, is_last)
            }
            Answers::Verb(verb) | Answers::MaskedPath(verb) => Meaning::of(verb, false),
            Answers::Message => Some(Meaning::EndMessage),
            Answers::Connection | Answers::Own | Answers::Other | Answers::Nothing => None,
        };
        let Some(meaning) = meaning else { return };
        let is_success = is_success(code);
        self.known.change(meaning, is_success);
        if meaning.begins_anew() {
            self.anew_due = self.anew_due.saturating_sub(1);
            // Recipients behind a later such line may be one transaction's with those before it.
            if is_success && self.anew_due == 0 {
                self.recipients = u32::from(self.recipients_since);
            }
        }
        if matches!(answers, Answers::MaskedPath(_)) {
            self.hear_of_masked(is_success);
        }
        self.due = self.due.saturating_sub(1);
        if self.due == 0 {
            self.settle();
        }
    }

    /// What is sent already and begins anew leaves nothing of it, if the server takes that.
    const fn hear_of_masked(&mut self, is_accepted: bool) {
        self.masked_due = self.masked_due.saturating_sub(1);
        if is_accepted {
            self.known.set(State::MASKED);
            if self.anew_due == 0 {
                self.hoped.set(State::MASKED);
                self.feared.set(State::MASKED);
            }
        }
    }

    /// Whether this, which comes next, is the answer to the last chunk of a message.
    pub(super) fn is_of_last_chunk(&self, answers: Answers) -> bool {
        answers == Answers::Verb(Verb::Bdat) && self.is_last_chunk && self.chunks_due <= 1
    }

    /// A message of DATA that has no answer of its own is over, and refused for all that is known.
    fn lose_end(&mut self) -> bool {
        let is_lost = std::mem::take(&mut self.is_end_due);
        if is_lost {
            self.known.change(Meaning::EndMessage, false);
        }
        is_lost
    }

    /// No answer is due any more. What was not heard of by now has none of its own: the client has
    /// the benefit of it, where nothing lingers that it could go on with.
    pub(super) fn settle(&mut self) {
        if self.due > 0 {
            self.lose_end();
            if self.is_last_chunk && self.chunks_due > 0 {
                self.known.change(Meaning::EndMessage, false);
            }
            self.known.set(self.feared.0 & State::CHUNK);
            if !self.known.has(State::LINGERS | State::CHUNK) {
                if self.hoped.has(State::OPEN | State::TRIED) {
                    self.known.set(State::TRIED);
                }
                self.known.set(self.hoped.0 & State::RECIPIENT);
            }
        }
        (self.hoped, self.feared) = (self.known, self.known);
        (self.due, self.anew_due, self.chunks_due, self.masked_due) = (0, 0, 0, 0);
    }

    /// Why a line of this verb may not come now, if it may not, whatever is still answered.
    pub(super) fn bars(&self, verb: Verb) -> Option<Rule> {
        self.feared.bars(verb).and_then(|_| self.hoped.bars(verb))
    }

    /// All verbs that may not come now.
    pub(super) fn barred(&self) -> VerbSet {
        let barred = ORDERED.into_iter().filter(|&verb| self.bars(verb).is_some());
        barred.fold(VerbSet::default(), |all, verb| all.with(VerbSet::of(&[verb])))
    }

    /// Whether a line of this verb has to wait for what is due: it would go on with what a server
    /// may have kept of an earlier transaction.
    pub(super) fn waits(&self, verb: Verb) -> bool {
        let is_grave = |rule| {
            let rules = [Rule::RcptWithoutMail, Rule::DataWithoutMail, Rule::DataAfterBdat];
            rules.contains(&rule)
        };
        let is_message = matches!(verb, Verb::Data | Verb::Bdat);
        (is_message && self.may_be_masked())
            || (self.feared.bars(verb).is_some_and(is_grave) && self.hoped.bars(verb).is_none())
    }

    /// Whether an answer that is due says if a path that nobody wrote is accepted, or still is.
    const fn may_be_masked(&self) -> bool {
        self.masked_due > 0 || (self.known.has(State::MASKED) && !self.hoped.has(State::MASKED))
    }

    /// The same of a line that begins with this byte.
    pub(super) fn waits_before(&self, first: u8) -> bool {
        (self.feared != self.hoped || self.may_be_masked())
            && ORDERED.into_iter().any(|verb| {
                let initial = verb.name().as_bytes().first();
                initial == Some(&first.to_ascii_uppercase()) && self.waits(verb)
            })
    }
}

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
