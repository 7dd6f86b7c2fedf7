//! The prompt of `mailguard ctl`: lines with a history, and words completed by the daemon.

use std::path::PathBuf;

use rustyline::completion::Completer;
use rustyline::error::ReadlineError;
use rustyline::highlight::Highlighter;
use rustyline::hint::Hinter;
use rustyline::history::DefaultHistory;
use rustyline::validate::Validator;
use rustyline::{Context, Editor, Helper};

use super::client::Talk;
use crate::front::{FrontError, Outcome, print};

/// Reads and asks until the end of input or of the session.
pub(super) fn run(talk: &mut Talk<'_>) -> Result<Outcome, FrontError> {
    let failed = |error: ReadlineError| FrontError::new(format!("the terminal: {error}"));
    print("Type help or '?' for a list of available commands.\n")?;
    let history = history();
    let mut editor: Editor<Words, DefaultHistory> = Editor::new().map_err(failed)?;
    if let Some(file) = &history {
        // There is none the first time.
        let _ = editor.load_history(file);
    }
    loop {
        // What may be completed depends on what is there before it, and the daemon knows.
        editor.set_helper(Some(Words(talk.candidates())));
        let line = match editor.readline(talk.prompt()) {
            Ok(line) => line,
            Err(ReadlineError::Interrupted) => continue,
            Err(ReadlineError::Eof) => break,
            Err(error) => return Err(failed(error)),
        };
        if line.trim().is_empty() {
            continue;
        }
        let _ = editor.add_history_entry(line.as_str());
        if let Err(error) = talk.say(&line) {
            print(&format!("{error}\n"))?;
        }
        if talk.is_over() {
            break;
        }
    }
    if let Some(file) = &history {
        let _ = editor.save_history(file);
    }
    print("Logoff\n")?;
    Ok(Outcome::Done)
}

/// Where lines are remembered.
fn history() -> Option<PathBuf> {
    let home = std::env::var_os("HOME").filter(|home| !home.is_empty())?;
    Some(PathBuf::from(home).join(".mailguard_history"))
}

/// All lines that the daemon understands here, for completion.
struct Words(Vec<String>);

impl Completer for Words {
    type Candidate = String;

    fn complete(
        &self,
        line: &str,
        position: usize,
        _: &Context<'_>,
    ) -> rustyline::Result<(usize, Vec<String>)> {
        let typed = line.get(..position).unwrap_or(line);
        let start = typed.rfind(' ').map_or(0, |at| at + 1);
        let (before, begun) = typed.split_at(start);
        let mut words: Vec<String> =
            self.0.iter().filter_map(|line| next(line, before, begun)).collect();
        words.sort();
        words.dedup();
        Ok((start, words))
    }
}

/// The word of a known line that may follow what was typed, each word of it perhaps shortened.
fn next(known: &str, before: &str, begun: &str) -> Option<String> {
    let mut known = known.split_whitespace();
    for word in before.split_whitespace() {
        known.next().filter(|known| known.starts_with(word))?;
    }
    let word = known.next().filter(|word| word.starts_with(begun))?;
    // What stands for a value is not to be typed.
    let is_word = word.bytes().all(|b| b.is_ascii_lowercase() || b == b'-');
    is_word.then(|| format!("{word} "))
}

impl Hinter for Words {
    type Hint = String;
}

impl Highlighter for Words {}

impl Validator for Words {}

impl Helper for Words {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_is_completed_behind_shortened_ones() {
        let known = "no fixup protocol smtp PORT";
        assert_eq!(next(known, "", "n").as_deref(), Some("no "));
        assert_eq!(next(known, "no fix ", "p").as_deref(), Some("protocol "));
        assert_eq!(next(known, "no fix pr sm ", ""), None);
        assert_eq!(next(known, "fix ", ""), None);
    }
}
