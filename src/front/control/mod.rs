//! The control socket: who asks, in which words, and how answers go back; the same loop serves the
//! metrics by HTTP.
//!
//! One connection is one request: a line of at most 4,096 bytes within five seconds. The answer is
//! a head (`ok MODE`, `rules MODE`, `confirm MODE QUESTION` or `error MODE`), then the body, to the
//! end of the stream.
//! What the words mean is the business of whoever serves: this knows none of them. Everything is
//! bounded: connections, a request, an answer, the time for each. One thread serves all of them, so
//! no answer costs more than one.

mod backlog;
mod client;
mod http;
mod prompt;
mod server;
mod session;
mod socket;
#[cfg(test)]
mod tests;

pub(in crate::front) use backlog::Backlog;
pub use client::{Options, run};
pub(in crate::front) use client::{ROOT_WRITES, ask};
pub(in crate::front) use server::{Server, Service, Waker};
pub(in crate::front) use session::is_trusted;
pub(in crate::front) use socket::{Listener, group_named};

use crate::front::Form;
use crate::pix::Mode;

/// The words for the modes in requests and answers.
const MODES: [(&str, Mode); 3] =
    [("looking", Mode::Looking), ("exec", Mode::Exec), ("config", Mode::Configuring)];

fn word_of(mode: Mode) -> &'static str {
    MODES.iter().find(|(_, known)| *known == mode).map_or("", |(word, _)| word)
}

fn mode_named(word: &str) -> Option<Mode> {
    MODES.iter().find(|(known, _)| *known == word).map(|(_, mode)| *mode)
}

/// What stands before the words that are typed.
const fn prompt_of(mode: Mode) -> &'static str {
    match mode {
        Mode::Looking => "mailguard> ",
        Mode::Exec => "mailguard# ",
        Mode::Configuring => "mailguard(config)# ",
    }
}

/// What somebody asks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::front) struct Request {
    /// The words.
    pub(in crate::front) words: String,
    /// Which of them may be used.
    pub(in crate::front) mode: Mode,
    /// The form of the answer; objects stand one a line.
    pub(in crate::front) form: Form,
    /// Whether the question that comes before what cannot be undone was answered.
    pub(in crate::front) is_confirmed: bool,
    /// Whether what would be written to a file is written by who asks.
    pub(in crate::front) is_written_there: bool,
    /// Who asks: a user's number.
    pub(in crate::front) user: u32,
}

impl Request {
    /// Reads a line.
    pub(in crate::front) fn parse(line: &str, user: u32) -> Self {
        let mut request = Self {
            words: String::new(),
            mode: Mode::default(),
            form: Form::Text,
            is_confirmed: false,
            is_written_there: false,
            user,
        };
        let mut rest = line.trim();
        loop {
            let (word, behind) = rest.split_once(' ').unwrap_or((rest, ""));
            match word.split_once('=').unwrap_or((word, "")) {
                ("--json", "") => request.form = Form::Json,
                ("--confirmed", "") => request.is_confirmed = true,
                ("--written-there", "") => request.is_written_there = true,
                ("--place", word) => request.mode = mode_named(word).unwrap_or_default(),
                _ => break,
            }
            rest = behind.trim_start();
        }
        rest.clone_into(&mut request.words);
        request
    }
}

/// What is answered.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(in crate::front) struct Answer {
    /// How it went.
    pub(in crate::front) how: How,
    /// The text, or objects, a line each.
    pub(in crate::front) body: String,
    /// The mode of the next words; none: the session is over.
    pub(in crate::front) mode: Option<Mode>,
    /// Whether events follow until somebody hangs up.
    pub(in crate::front) is_followed: bool,
}

/// How a request went.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(in crate::front) enum How {
    /// As it was asked.
    #[default]
    Done,
    /// As it was asked, and now the packet filter's rules have to follow.
    RulesFollow,
    /// It has to be confirmed by an answer to this question.
    Question(String),
    /// Nothing was changed; the body says why.
    Refused,
}

impl Answer {
    /// A text for somebody in this mode.
    pub(in crate::front) fn text(mode: Mode, body: impl Into<String>) -> Self {
        Self { body: body.into(), mode: Some(mode), ..Self::default() }
    }

    /// Nothing was changed, for this reason.
    pub(in crate::front) fn refused(mode: Mode, why: impl Into<String>) -> Self {
        Self { how: How::Refused, ..Self::text(mode, why) }
    }

    /// Head and body as they are sent.
    fn into_bytes(self) -> Vec<u8> {
        let mode = self.mode.map_or("gone", word_of);
        let mut text = match self.how {
            How::Done => format!("ok {mode}\n"),
            How::RulesFollow => format!("rules {mode}\n"),
            How::Question(question) => format!("confirm {mode} {question}\n"),
            How::Refused => format!("error {mode}\n"),
        };
        text.push_str(&self.body);
        if !self.body.is_empty() && !self.body.ends_with('\n') {
            text.push('\n');
        }
        cut(&mut text);
        text.into_bytes()
    }
}

/// Keeps an answer within its bound, whole lines only.
fn cut(text: &mut String) {
    if text.len() > ANSWER_MAX {
        let end = text.floor_char_boundary(ANSWER_MAX - CUT.len());
        let end = text.get(..end).and_then(|kept| kept.rfind('\n')).map_or(0, |at| at + 1);
        text.truncate(end);
        text.push_str(CUT);
    }
}

/// What stands at the end of an answer that is not whole.
const CUT: &str = "(the rest is left out: ask for less, as with --limit)\n";

/// Bytes of an answer: ten thousand lines of a flow each.
pub(in crate::front) const ANSWER_MAX: usize = 1 << 20;
