//! What the server has yet to answer, oldest first, and which of it a reply answers.
//!
//! A reply answers only what its sender had received when it began: each entry knows where its line
//! ends, and none behind the reply's ACK is asked. Among the rest replies come in the commands'
//! order (RFC 5321 4.2); a code that only one verb is answered with says where that order is to be
//! taken up again, and one that a verb is never answered with is no answer to it:
//!
//! | code  | answers                                                     |
//! |-------|-------------------------------------------------------------|
//! | 220   | the connection, if it is the oldest; else the oldest STARTTLS or own verb |
//! | 221   | the oldest QUIT, else the oldest                            |
//! | 334   | the oldest AUTH or own verb; else the oldest, if it has no known verb |
//! | 354   | the oldest DATA or own verb                                 |
//! | 2yz   | the oldest but DATA, QUIT and the connection                |
//! | other | the oldest; QUIT if the server leaves with it               |
//!
//! What a verb of a site's own is answered with nobody knows: XCLIENT is answered with 220.
//!
//! Most flows await one reply or none at any time, and there are many of them: only what a client
//! has pipelined behind its oldest command needs memory of its own. A thousand lines may stand
//! there, and two ends that agree could have each reply look through all of them for what is not
//! there: so no entry is looked at twice for the same thing in vain.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

use super::reply::{is_leaving, is_success};
use super::{Answers, Offset, Verb};

/// Commands that may be unanswered at once before the client has to wait. RFC 5321 4.5.3.1.8 asks
/// for 100 recipients, RFC 2920 sets no limit on a group; each costs 16 bytes.
const OUTSTANDING_MAX: usize = 1_024;

/// How many of them may be anything but recipients and chunks. RFC 2920 3.1 lets few commands stand
/// in a group, and most of these only once or last. Whoever says thousands of tiny lines at once
/// would have each read here before the server has seen the first.
const OTHERS_MAX: u16 = 24;

/// One line, message or connection that is to be answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "DueState", into = "DueState")]
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
    /// It held what may be a credential.
    pub(super) is_secret: bool,
    /// It left before a message ahead of it was answered, and may never be read.
    pub(super) may_be_lost: bool,
    /// A BDAT whose octets left masked.
    pub(super) is_disowned: bool,
}

/// The same as an image holds it. `flags` was whether it is secret, and nothing more, before
/// format 15.
#[derive(Serialize, Deserialize)]
struct DueState {
    answers: Answers,
    end: Offset,
    is_excused: bool,
    is_last_chunk: bool,
    has_bare_cr: bool,
    flags: u8,
}

const SECRET: u8 = 1;
const MAY_BE_LOST: u8 = 1 << 1;
const DISOWNED: u8 = 1 << 2;

impl From<Due> for DueState {
    fn from(due: Due) -> Self {
        let flag = |is_set, flag| if is_set { flag } else { 0 };
        Self {
            answers: due.answers,
            end: due.end,
            is_excused: due.is_excused,
            is_last_chunk: due.is_last_chunk,
            has_bare_cr: due.has_bare_cr,
            flags: flag(due.is_secret, SECRET)
                | flag(due.may_be_lost, MAY_BE_LOST)
                | flag(due.is_disowned, DISOWNED),
        }
    }
}

impl From<DueState> for Due {
    fn from(state: DueState) -> Self {
        Self {
            answers: state.answers,
            end: state.end,
            is_excused: state.is_excused,
            is_last_chunk: state.is_last_chunk,
            has_bare_cr: state.has_bare_cr,
            is_secret: state.flags & SECRET != 0,
            may_be_lost: state.flags & MAY_BE_LOST != 0,
            is_disowned: state.flags & DISOWNED != 0,
        }
    }
}

impl Due {
    pub(super) const fn new(answers: Answers, end: Offset) -> Self {
        Self {
            answers,
            end,
            is_excused: false,
            is_last_chunk: false,
            has_bare_cr: false,
            is_secret: false,
            may_be_lost: false,
            is_disowned: false,
        }
    }

    /// Whether its answer is that to a message.
    pub(super) fn ends_message(&self) -> bool {
        self.answers == Answers::Message || self.is_last_chunk
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
pub(super) struct Outstanding {
    oldest: Option<Due>,
    rest: Option<Box<Rest>>,
    /// How many of them are neither RCPT nor a BDAT with more to come.
    others: u16,
    /// How many RCPT are among them.
    recipients: u16,
}

/// What is behind the oldest.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Rest {
    due: VecDeque<Due>,
    /// Entries answered since there has been a rest: the number of the oldest.
    #[serde(skip)]
    answered: usize,
    /// The number below which there is none of what was sought.
    #[serde(skip)]
    sought: [usize; Sought::COUNT],
}

/// What a reply may look for.
#[derive(Clone, Copy, Debug)]
enum Sought {
    /// The verb, or one of the site's own.
    StartTls,
    Auth,
    Data,
    Quit,
    /// What a success may answer: no success but 220 greets, none answers DATA (RFC 5321 4.3.2),
    /// and QUIT is answered with nothing but a farewell.
    Success,
    FreshSuccess,
    /// What the last reply of a server may answer that leaves with it: anything.
    Farewell,
    FreshFarewell,
    Refusal,
    FreshRefusal,
}

impl Sought {
    const COUNT: usize = Self::FreshRefusal as usize + 1;

    /// What an ordinary code may answer, first of all and at the least.
    const fn by(code: u16) -> [Self; 2] {
        match code {
            _ if is_leaving(code) => [Self::FreshFarewell, Self::Farewell],
            _ if is_success(code) => [Self::FreshSuccess, Self::Success],
            _ => [Self::FreshRefusal, Self::Refusal],
        }
    }

    fn is(self, due: &Due) -> bool {
        let answers = due.answers;
        let is_own_or = |verb| answers == Answers::Own || answers == Answers::Verb(verb);
        match self {
            Self::StartTls => is_own_or(Verb::StartTls),
            Self::Auth => is_own_or(Verb::Auth),
            Self::Data => is_own_or(Verb::Data),
            Self::Quit => answers == Answers::Verb(Verb::Quit),
            Self::Success => {
                !matches!(answers, Answers::Connection | Answers::Verb(Verb::Data | Verb::Quit))
            }
            Self::Farewell => true,
            Self::Refusal => answers != Answers::Verb(Verb::Quit),
            Self::FreshSuccess => !due.is_excused && Self::Success.is(due),
            Self::FreshFarewell => !due.is_excused && Self::Farewell.is(due),
            Self::FreshRefusal => !due.is_excused && Self::Refusal.is(due),
        }
    }
}

impl Outstanding {
    /// Whether one more line may go unanswered.
    pub(super) fn has_room(&self) -> bool {
        self.len() < OUTSTANDING_MAX && self.others() < OTHERS_MAX
    }

    pub(super) fn len(&self) -> usize {
        usize::from(self.oldest.is_some()) + self.rest.as_ref().map_or(0, |rest| rest.due.len())
    }

    pub(super) const fn is_empty(&self) -> bool {
        self.oldest.is_none()
    }

    /// How many are neither recipients nor chunks with more to come.
    pub(super) const fn others(&self) -> u16 {
        self.others
    }

    /// Whether anything is unanswered but chunks of the message under way.
    pub(super) const fn has_more_than_chunks(&self) -> bool {
        self.others > 0 || self.recipients > 0
    }

    /// One more is asked.
    pub(super) fn push(&mut self, due: Due) {
        if let Some(count) = self.count(due) {
            *count = count.saturating_add(1);
        }
        if self.oldest.is_none() {
            self.oldest = Some(due);
        } else {
            self.rest.get_or_insert_default().due.push_back(due);
        }
    }

    /// The oldest.
    pub(super) const fn oldest(&self) -> Option<Due> {
        self.oldest
    }

    /// What was asked last.
    pub(super) fn newest(&self) -> Option<Due> {
        let last = self.rest.as_ref().and_then(|rest| rest.due.back());
        last.copied().or(self.oldest)
    }

    /// The same, to be changed.
    pub(super) fn newest_mut(&mut self) -> Option<&mut Due> {
        match &mut self.rest {
            Some(rest) => rest.due.back_mut(),
            None => self.oldest.as_mut(),
        }
    }

    /// The oldest, if all of it was received.
    pub(super) fn oldest_within(&mut self, covers: Offset) -> Option<&mut Due> {
        self.oldest.as_mut().filter(|due| due.end <= covers)
    }

    /// The oldest of which not all was received.
    pub(super) fn first_beyond(&mut self, covers: Offset) -> Option<&mut Due> {
        let rest = self.rest.iter_mut().flat_map(|rest| &mut rest.due);
        self.oldest.iter_mut().chain(rest).find(|due| due.end > covers)
    }

    /// The oldest is answered.
    pub(super) fn pop(&mut self) -> Option<Due> {
        let next = self.rest.as_mut().and_then(|rest| {
            rest.answered += 1;
            rest.due.pop_front()
        });
        if self.rest.as_ref().is_some_and(|rest| rest.due.is_empty()) {
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
    pub(super) fn foresee(&mut self, code: u16, covers: Offset) -> Option<Due> {
        self.place(code, covers).and_then(|place| self.at(place))
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

    fn place(&mut self, code: u16, covers: Offset) -> Option<usize> {
        let [first, least] = Sought::by(code);
        match code {
            220 if self.guess(covers) == Answers::Connection => Some(0),
            220 => self.find(Sought::StartTls, covers),
            334 => self
                .find(Sought::Auth, covers)
                .or_else(|| (self.guess(covers) == Answers::Other).then_some(0)),
            354 => self.find(Sought::Data, covers),
            _ => (code == 221)
                .then(|| self.find(Sought::Quit, covers))
                .flatten()
                .or_else(|| self.find(first, covers))
                .or_else(|| self.find(least, covers)),
        }
    }

    /// The first of what is sought whose line lies below `covers`.
    fn find(&mut self, sought: Sought, covers: Offset) -> Option<usize> {
        let oldest = self.oldest.filter(|due| due.end <= covers)?;
        if sought.is(&oldest) {
            return Some(0);
        }
        let Rest { due, answered, sought: known } = &mut **self.rest.as_mut()?;
        let known = known.get_mut(sought as usize)?;
        // The oldest has no place in `due`.
        let mut place = known.saturating_sub(*answered).max(1);
        let covered = due.iter().skip(place - 1).take_while(|due| due.end <= covers);
        for due in covered {
            if sought.is(due) {
                return Some(place);
            }
            place += 1;
        }
        *known = *answered + place;
        None
    }

    fn at(&self, place: usize) -> Option<Due> {
        match place.checked_sub(1) {
            None => self.oldest,
            Some(place) => self.rest.as_ref()?.due.get(place).copied(),
        }
    }

    #[expect(clippy::wildcard_enum_match_arm, reason = "all else is one kind")]
    fn count(&mut self, due: Due) -> Option<&mut u16> {
        match due.answers {
            Answers::Verb(Verb::Bdat) if !due.is_last_chunk => None,
            Answers::Verb(Verb::Rcpt) | Answers::MaskedPath(Verb::Rcpt) => {
                Some(&mut self.recipients)
            }
            _ => Some(&mut self.others),
        }
    }
}
