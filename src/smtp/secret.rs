//! Which bytes may be a credential: what no log may hold, whatever the guard does to them.
//!
//! The argument of AUTH, also mistyped, and of words like it, and what is glued to them, wherever
//! some server may begin to read a line: behind a CR or NUL, or behind a tag; the line behind any
//! 334, whoever was asked; and, behind any of these, every line until a verb is
//! recognised again: a client whose AUTH was refused may have sent the rest of the exchange all the
//! same, and where the filter only watches, replies may be read before the lines that they answer.

use memchr::memchr;
use serde::{Deserialize, Serialize};

use super::{Event, Word, is_gap};

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
    /// Whoever takes the flow over has not seen it, and hides what it is asked about.
    #[serde(skip, default = "Inner::unknown")]
    inner: Inner,
}

/// A word within the line under way that may be the first to some server.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Inner {
    word: Word,
    /// It has come.
    is_begun: bool,
    /// Nothing more belongs to it.
    is_over: bool,
    /// It was a word of an authentication: the rest of the line may be the credential.
    has_asked: bool,
}

impl Inner {
    fn unknown() -> Self {
        Self { has_asked: true, ..Self::default() }
    }

    /// Another one may begin.
    fn begin(&mut self) {
        *self = Self { is_begun: true, has_asked: self.has_asked, ..Self::default() };
    }

    /// Reads a run: how many bytes of it come before what may be a credential.
    fn read(&mut self, run: &[u8]) -> usize {
        let mut at = 0;
        while let Some(&byte) = run.get(at).filter(|_| !self.has_asked) {
            if byte == 0 {
                self.begin();
            } else if self.is_over {
                at += memchr(0, run.get(at..).unwrap_or_default()).unwrap_or(run.len() - at);
                continue;
            } else if !is_gap(byte) {
                self.word.push(byte);
                self.has_asked = self.word.begins_with_credential_word();
                self.is_over = self.word.is_full();
            } else if !self.word.is_empty() {
                self.is_over = true;
                self.has_asked = self.word.is_credential_word();
                if self.has_asked {
                    break;
                }
            }
            at += 1;
        }
        at
    }
}

impl Secrecy {
    /// A line begins.
    pub(super) fn begin_line(&mut self) {
        self.is_whole = self.hiding == Hiding::Line;
        self.has_hidden = false;
        self.inner = Inner::default();
    }

    /// How much of a run of a command line, of which `word` is the first word so far, comes before
    /// what may be a credential; nothing of it if its first byte may be one.
    pub(super) fn shows(&mut self, event: Event, word: &Word, run: &[u8]) -> usize {
        let shown =
            if self.is_credential(event, word) { 0 } else { self.look_into(event, word, run) };
        self.has_hidden |= shown < run.len();
        shown
    }

    #[expect(clippy::wildcard_enum_match_arm, reason = "only command lines come here")]
    fn look_into(&mut self, event: Event, word: &Word, run: &[u8]) -> usize {
        match event {
            Event::CommandCr => self.inner.begin(),
            Event::CommandArgument(_) if word.verb().is_none() => return self.inner.read(run),
            Event::CommandStray if self.inner.is_begun || run.starts_with(b"\0") => {
                return self.inner.read(run);
            }
            _ => {}
        }
        run.len()
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
        let has_asked = self.inner.has_asked || (word.asks_for_credential() && !word.is_empty());
        if self.is_whole || has_asked {
            self.hiding = Hiding::UntilCommand;
        } else if self.hiding == Hiding::UntilCommand && word.verb().is_some() {
            self.hiding = Hiding::No;
        }
        self.is_whole = false;
        std::mem::take(&mut self.has_hidden)
    }
}
