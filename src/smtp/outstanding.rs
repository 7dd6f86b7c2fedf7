//! What the server has yet to answer, oldest first, and which of it a reply answers.
//!
//! A reply answers only what its sender had received when it began: each entry knows where its line
//! ends, and none behind the reply's ACK is asked. Among the rest replies come in the commands'
//! order (RFC 5321 4.2); a code that only one verb is answered with says where that order is to be
//! taken up again, and one that a verb is never answered with is no answer to it:
//!
//! | code  | answers                                                     |
//! |-------|-------------------------------------------------------------|
//! | 220   | the connection, if it is the oldest; else STARTTLS, or else a site's own verb |
//! | 221   | the oldest QUIT, else the oldest                            |
//! | 334   | the oldest AUTH; else the oldest, if it has no known verb   |
//! | 354   | the oldest DATA                                             |
//! | 2yz   | the oldest but DATA, QUIT and the connection                |
//! | other | the oldest; QUIT if the server leaves with it               |
//!
//! Most flows await one reply or none at any time, and there are many of them: only what a client
//! has pipelined behind its oldest command needs memory of its own.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

use super::reply::is_leaving;
use super::{Answers, Offset, Verb};

/// One line, message or connection that is to be answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Due {
    pub(super) answers: Answers,
    /// The client's offset behind it: a reply answers it only if this was received.
    pub(super) end: Offset,
    /// It may have been answered, without a code or too early: only a reply that fits nothing else
    /// answers it still.
    pub(super) is_excused: bool,
    /// A BDAT with LAST.
    pub(super) is_last_chunk: bool,
    /// Who ends lines at a CR answers it more than once.
    pub(super) has_bare_cr: bool,
}

impl Due {
    pub(super) const fn new(answers: Answers, end: Offset) -> Self {
        Self { answers, end, is_excused: false, is_last_chunk: false, has_bare_cr: false }
    }
}

/// What a reply answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Pairing {
    pub(super) answers: Answers,
    /// Whether older entries were given up.
    pub(super) has_skipped: bool,
}

/// The queue. `rest` is not empty where it is there, and not there without an `oldest`.
#[derive(Debug, Default, Serialize, Deserialize)]
#[expect(clippy::box_collection, reason = "one pointer where there is none, instead of four")]
pub(super) struct Outstanding {
    oldest: Option<Due>,
    rest: Option<Box<VecDeque<Due>>>,
    /// How many of them may take back that a BDAT may follow.
    enders: u16,
    /// How many RCPT are among them.
    recipients: u16,
}

impl Outstanding {
    pub(super) fn len(&self) -> usize {
        usize::from(self.oldest.is_some()) + self.rest.as_ref().map_or(0, |rest| rest.len())
    }

    pub(super) const fn is_empty(&self) -> bool {
        self.oldest.is_none()
    }

    /// Whether something is unanswered that may end the transaction, or the offer of CHUNKING.
    pub(super) const fn has_ender(&self) -> bool {
        self.enders > 0
    }

    /// Whether a RCPT is unanswered.
    pub(super) const fn has_recipient(&self) -> bool {
        self.recipients > 0
    }

    /// One more is asked.
    pub(super) fn push(&mut self, due: Due) {
        if let Some(count) = self.count(due) {
            *count = count.saturating_add(1);
        }
        if self.oldest.is_none() {
            self.oldest = Some(due);
        } else {
            self.rest.get_or_insert_default().push_back(due);
        }
    }

    /// The oldest.
    pub(super) const fn oldest(&self) -> Option<Due> {
        self.oldest
    }

    /// The youngest.
    pub(super) fn youngest(&mut self) -> Option<&mut Due> {
        match &mut self.rest {
            Some(rest) => rest.back_mut(),
            None => self.oldest.as_mut(),
        }
    }

    /// The oldest is answered.
    pub(super) fn pop(&mut self) -> Option<Due> {
        let next = self.rest.as_mut().and_then(|rest| rest.pop_front());
        if self.rest.as_ref().is_some_and(|rest| rest.is_empty()) {
            self.rest = None;
        }
        let oldest = std::mem::replace(&mut self.oldest, next);
        if let Some(count) = oldest.and_then(|due| self.count(due)) {
            *count = count.saturating_sub(1);
        }
        oldest
    }

    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }

    /// What a reply whose code is not known yet will answer, as far as can be said.
    pub(super) fn guess(&self, covers: Offset) -> Answers {
        self.oldest.filter(|due| due.end <= covers).map_or(Answers::Nothing, |due| due.answers)
    }

    /// What [`Self::pair`] will find.
    pub(super) fn foresee(&self, code: u16, covers: Offset) -> Answers {
        let found = self.place(code, covers).and_then(|place| self.covered(covers).nth(place));
        found.map_or(Answers::Nothing, |due| due.answers)
    }

    /// What a reply with this code answers, whose sender had received what lies below `covers`.
    /// Unless that is nothing, it is the oldest afterwards.
    pub(super) fn pair(&mut self, code: u16, covers: Offset) -> Pairing {
        let Some(place) = self.place(code, covers) else {
            return Pairing { answers: Answers::Nothing, has_skipped: false };
        };
        let mut has_skipped = false;
        for _ in 0..place {
            has_skipped |= self.pop().is_some_and(|due| !due.is_excused);
        }
        let answers = self.oldest.map_or(Answers::Nothing, |due| due.answers);
        Pairing { answers, has_skipped }
    }

    fn place(&self, code: u16, covers: Offset) -> Option<usize> {
        let find = |is_wanted: &dyn Fn(&Due) -> bool| self.covered(covers).position(is_wanted);
        let is = |verb| move |due: &Due| due.answers == Answers::Verb(verb);
        match code {
            220 if self.guess(covers) == Answers::Connection => Some(0),
            // A verb of the site's own may greet again (XCLIENT).
            220 => find(&is(Verb::StartTls)).or_else(|| find(&|due| due.answers == Answers::Own)),
            334 => find(&is(Verb::Auth))
                .or_else(|| (self.guess(covers) == Answers::Other).then_some(0)),
            354 => find(&is(Verb::Data)),
            _ => (code == 221)
                .then(|| find(&is(Verb::Quit)))
                .flatten()
                .or_else(|| find(&|due| !due.is_excused && fits(code, due.answers)))
                .or_else(|| find(&|due| fits(code, due.answers))),
        }
    }

    fn covered(&self, covers: Offset) -> impl Iterator<Item = &Due> {
        let rest = self.rest.iter().flat_map(|rest| rest.iter());
        self.oldest.iter().chain(rest).take_while(move |due| due.end <= covers)
    }

    #[expect(clippy::wildcard_enum_match_arm, reason = "two kinds are counted")]
    fn count(&mut self, due: Due) -> Option<&mut u16> {
        match due.answers {
            Answers::Verb(Verb::Helo | Verb::Ehlo | Verb::Rset) | Answers::Message => {
                Some(&mut self.enders)
            }
            Answers::Verb(verb) if begins_transaction(verb) => Some(&mut self.enders),
            Answers::Verb(Verb::Bdat) if due.is_last_chunk => Some(&mut self.enders),
            Answers::Verb(Verb::Rcpt) => Some(&mut self.recipients),
            _ => None,
        }
    }
}

/// Whether the verb begins a mail transaction (RFC 5321 4.1.1.2, RFC 821 3.4).
pub(super) const fn begins_transaction(verb: Verb) -> bool {
    matches!(verb, Verb::Mail | Verb::Saml | Verb::Send | Verb::Soml)
}

/// Whether an ordinary code may answer this. No success but 220 greets, none answers DATA (RFC 5321
/// 4.3.2), and QUIT is answered with nothing but a farewell.
fn fits(code: u16, answers: Answers) -> bool {
    let is_success = code / 100 == 2 && code != 221;
    match answers {
        Answers::Connection | Answers::Verb(Verb::Data) => !is_success,
        Answers::Verb(Verb::Quit) => is_leaving(code),
        Answers::Verb(_) | Answers::Own | Answers::Other | Answers::Message | Answers::Nothing => {
            true
        }
    }
}
