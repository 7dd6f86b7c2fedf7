//! Which bytes may be a credential: what no log may hold, whatever the guard does to them.
//!
//! The argument of AUTH, also mistyped, and of words like it, and what is glued to them; the line
//! behind any 334, whoever was asked; and, behind any of these, every line until a verb is
//! recognised again: a client whose AUTH was refused may have sent the rest of the exchange all the
//! same, and where the filter only watches, replies may be read before the lines that they answer.

use serde::{Deserialize, Serialize};

use super::{Event, Word};

/// What the client's coming lines may be.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Hiding {
    /// Commands.
    #[default]
    No,
    /// The next one answers a 334.
    Line,
    /// Credentials, until a verb is recognised.
    UntilCommand,
}

/// What is hidden of the line under way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Secrecy {
    /// Lines that begin from here on.
    pub(super) hiding: Hiding,
    /// The line under way answers a 334: all of it.
    is_whole: bool,
    /// Some of it was hidden.
    has_hidden: bool,
}

impl Secrecy {
    /// A line begins.
    pub(super) fn begin_line(&mut self) {
        self.is_whole = self.hiding == Hiding::Line;
        self.has_hidden = false;
    }

    /// Whether a run of a command line may be a credential. `word` is the line's first word so far.
    pub(super) fn hides(&mut self, event: Event, word: &Word) -> bool {
        let is_hidden = self.is_credential(event, word);
        self.has_hidden |= is_hidden;
        is_hidden
    }

    #[expect(clippy::wildcard_enum_match_arm, reason = "only command lines come here")]
    fn is_credential(&mut self, event: Event, word: &Word) -> bool {
        let is_awaited = self.hiding == Hiding::UntilCommand;
        match event {
            Event::CommandCr | Event::CommandEnd { .. } => false,
            _ if self.is_whole => true,
            Event::CommandWord(_) => {
                word.may_hold_credential() || (is_awaited && word.openings().next().is_none())
            }
            Event::CommandGap(_) => {
                if word.verb().is_some() {
                    self.hiding = Hiding::No;
                }
                false
            }
            Event::CommandArgument(_) => is_awaited || word.asks_for_credential(),
            _ => is_awaited || word.may_ask_for_credential(),
        }
    }

    /// The line has ended: whether some of it was hidden.
    pub(super) fn end_line(&mut self, word: &Word) -> bool {
        let has_asked = word.asks_for_credential() && !word.is_empty();
        if self.is_whole || has_asked {
            self.hiding = Hiding::UntilCommand;
        } else if self.hiding == Hiding::UntilCommand && word.verb().is_some() {
            self.hiding = Hiding::No;
        }
        self.is_whole = false;
        std::mem::take(&mut self.has_hidden)
    }
}
