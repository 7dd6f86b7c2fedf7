//! Which bytes may be a credential: what no log may hold, whatever the guard does to them.
//!
//! The argument of AUTH, also mistyped, and of words like it, and what is glued to them, wherever
//! some server may begin to read a line: behind a CR or NUL, or behind a tag; the line behind any
//! 334, whoever was asked; and, behind any of these, every line until a verb is
//! recognised again: a client whose AUTH was refused may have sent the rest of the exchange all the
//! same, and where the filter only watches, replies may be read before the lines that they answer.

use memchr::memchr2;
use serde::{Deserialize, Serialize};

use super::command::CredentialWords;
use super::{Event, Word, is_gap, rspan, span};

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
    /// Commands; within the line under way stands what may be its first word to some server.
    Within(Inner),
}

/// A word within a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Inner {
    /// What it may be; nothing of that behind it.
    words: CredentialWords,
    /// Letters so far.
    length: u8,
    /// It was one of these: the rest of the line may be the credential.
    has_asked: bool,
}

impl Inner {
    /// Before the word.
    const BEGUN: Self = Self { words: CredentialWords::ALL, length: 0, has_asked: false };

    /// Reads a run: how many bytes of it come before what may be a credential.
    fn read(&mut self, run: &[u8]) -> usize {
        let mut at = if self.is_within() { 0 } else { skipped(run) };
        while let Some(&byte) = run.get(at).filter(|_| !self.has_asked) {
            if is_border(byte) {
                *self = Self::BEGUN;
            } else if self.words == CredentialWords::NONE {
                let rest = run.get(at..).unwrap_or_default();
                at += memchr2(0, b'\r', rest).unwrap_or(rest.len());
                continue;
            } else if is_gap(byte) && self.length > 0 {
                self.words = CredentialWords::NONE;
            } else if self.length > 0 || byte.is_ascii_alphanumeric() {
                self.has_asked = self.words.read(self.length, byte);
                self.length += 1;
            }
            at += 1;
        }
        at
    }

    /// Whether some of such a word has come, but not all.
    fn is_within(&self) -> bool {
        self.length > 0 && self.words != CredentialWords::NONE
    }
}

/// Whether another word may begin behind it.
const fn is_border(byte: u8) -> bool {
    (byte == 0) | (byte == b'\r')
}

/// How much of a run comes before the border of the first part that has anything such a word needs.
fn skipped(run: &[u8]) -> usize {
    let first = span(run, |byte| !CredentialWords::need(byte));
    let part = rspan(run.get(..first).unwrap_or_default(), |byte| !is_border(byte));
    first.saturating_sub(part + 1)
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
    /// Bytes were missed: which, nobody knows.
    pub(super) fn lose_place(&mut self) {
        if self.hiding != Hiding::Line {
            self.hiding = Hiding::UntilCommand;
        }
    }

    /// Whether the line that comes next may be one.
    pub(super) const fn awaits_credential(&self) -> bool {
        matches!(self.hiding, Hiding::Line | Hiding::UntilCommand)
    }

    /// A line begins.
    pub(super) fn begin_line(&mut self) {
        self.is_whole = self.hiding == Hiding::Line;
        self.has_hidden = false;
    }

    /// How much of a run of a command line, of which `word` is the first word so far, is one thing:
    /// what may be a credential, or what comes before that.
    pub(super) fn cut(&mut self, event: Event, word: &Word, run: &[u8]) -> (usize, bool) {
        let is_hidden = self.is_credential(event, word);
        let shown = if is_hidden { 0 } else { self.look_into(event, word, run) };
        if shown > 0 || run.is_empty() {
            return (shown, false);
        }
        self.has_hidden = true;
        (run.len(), true)
    }

    /// How much of a run that is none by its first word comes before what may be one.
    #[expect(clippy::wildcard_enum_match_arm, reason = "only command lines come here")]
    fn look_into(&mut self, event: Event, word: &Word, run: &[u8]) -> usize {
        let inner = match self.hiding {
            Hiding::Within(inner) => Some(inner),
            Hiding::No => None,
            Hiding::Line | Hiding::UntilCommand => return run.len(),
        };
        let is_begun = inner.is_some() || run.starts_with(b"\0");
        let is_read = match event {
            Event::CommandCr => true,
            Event::CommandArgument(_) => word.verb().is_none(),
            Event::CommandStray => is_begun,
            _ => false,
        };
        if !is_read {
            return run.len();
        }
        let mut inner = inner.unwrap_or(Inner::BEGUN);
        // CRs show nothing, and behind a word of an authentication end nothing.
        let shown = if event == Event::CommandCr { run.len() } else { inner.read(run) };
        if event == Event::CommandCr && !inner.has_asked {
            inner = Inner::BEGUN;
        }
        self.hiding = Hiding::Within(inner);
        shown
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
        let is_inner = matches!(self.hiding, Hiding::Within(Inner { has_asked: true, .. }));
        let has_asked = is_inner || (word.asks_for_credential() && !word.is_empty());
        // What was hidden whole was not looked into: it may have been such a word.
        if self.is_whole || self.has_hidden || has_asked {
            self.hiding = Hiding::UntilCommand;
        } else if matches!(self.hiding, Hiding::Within(_))
            || (self.hiding == Hiding::UntilCommand && word.verb().is_some())
        {
            self.hiding = Hiding::No;
        }
        self.is_whole = false;
        std::mem::take(&mut self.has_hidden)
    }
}
