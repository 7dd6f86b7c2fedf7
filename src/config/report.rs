//! Faults of a configuration, told: each with its place, what was found and what was expected, and
//! drawn under the line of the file where it stands.

use std::fmt;
use std::ops::Range;

use annotate_snippets::{AnnotationKind, Level, Renderer, Snippet};

use super::tree::Place;
use super::{Override, Source};

/// Something wrong.
#[derive(Clone, Debug)]
pub(super) struct Fault {
    pub(super) place: Place,
    /// What was found and expected, behind the name of the key.
    pub(super) message: String,
}

/// Why a configuration was refused: everything that was found wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Error {
    faults: Vec<Told>,
    /// Those there was no room for.
    more: usize,
}

/// A fault as it is told.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Told {
    /// In one line.
    line: String,
    /// The same with the line of the file below it, where there is one.
    drawn: String,
}

impl Error {
    /// Tells faults in the order of their places; the same place is spoken of once.
    pub(super) fn new(
        mut faults: Vec<Fault>,
        file: Option<Source<'_>>,
        overrides: &[Override],
    ) -> Self {
        faults.sort_by_key(|fault| match &fault.place {
            Place::File(span) => (0, span.start),
            Place::Option(number) => (1, *number),
            Place::Nowhere => (2, 0),
        });
        faults.dedup_by(|second, first| {
            second.place == first.place && second.message == first.message
        });
        let more = faults.len().saturating_sub(TOLD_MAX);
        faults.truncate(TOLD_MAX);
        let tell = |fault: &Fault| tell(fault, file, overrides);
        Self { faults: faults.iter().map(tell).collect(), more }
    }

    /// A fault a line, without drawings: for a log.
    pub fn lines(&self) -> impl Iterator<Item = &str> {
        self.faults.iter().map(|told| told.line.as_str())
    }

    /// All of them in one line.
    #[must_use]
    pub fn in_a_line(&self) -> String {
        self.lines().collect::<Vec<_>>().join("; ")
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (number, told) in self.faults.iter().enumerate() {
            if number > 0 {
                f.write_str("\n")?;
            }
            f.write_str(&told.drawn)?;
        }
        match self.more {
            0 => Ok(()),
            more => write!(f, "\nand {more} more"),
        }
    }
}

impl std::error::Error for Error {}

fn tell(fault: &Fault, file: Option<Source<'_>>, overrides: &[Override]) -> Told {
    let message = harmless(&fault.message);
    let (line, drawn) = match (&fault.place, file) {
        (Place::File(span), Some(source)) => {
            let at = Position::of(source.text, span);
            let name = harmless(source.name);
            let line = format!("{name}:{}:{}: {message}", at.line, at.column);
            let drawn = at.draw(&line);
            (line, drawn)
        }
        (Place::Option(number), _) => {
            let shown = overrides.get(*number).map_or("", Override::shown);
            let line = format!("{}: {message}", harmless(shown));
            (line.clone(), line)
        }
        (Place::Nowhere, Some(source)) => {
            let line = format!("{}: {message}", harmless(source.name));
            (line.clone(), line)
        }
        (Place::File(_) | Place::Nowhere, None) => (message.clone(), message),
    };
    Told { line, drawn }
}

/// A place in a text as people count.
struct Position<'t> {
    /// From 1.
    line: usize,
    /// In characters, from 1.
    column: usize,
    /// The line itself.
    text: &'t str,
    /// The bytes of it that are meant.
    span: Range<usize>,
}

impl<'t> Position<'t> {
    fn of(text: &'t str, span: &Range<usize>) -> Self {
        let at = text.floor_char_boundary(span.start);
        let (before, behind) = text.split_at(at);
        let start = before.rfind('\n').map_or(0, |end| end + 1);
        let length = behind.find('\n').unwrap_or(behind.len());
        let line = text.get(start..at + length).unwrap_or_default().trim_end_matches('\r');
        let from = (at - start).min(line.len());
        // A value of several lines is drawn to the end of its first.
        let to = text.ceil_char_boundary(span.end).saturating_sub(start).clamp(from, line.len());
        Self {
            line: before.matches('\n').count() + 1,
            column: before.get(start..).unwrap_or_default().chars().count() + 1,
            text: line,
            span: from..to,
        }
    }

    fn draw(&self, title: &str) -> String {
        // Control characters are no more than a column wide, and must not reach a terminal.
        let shown: String = self.text.chars().map(visible).collect();
        let place = |at: usize| {
            let chars = self.text.get(..at).map_or(0, |head| head.chars().count());
            shown.char_indices().nth(chars).map_or(shown.len(), |(at, _)| at)
        };
        let span = place(self.span.start)..place(self.span.end);
        let snippet = Snippet::source(shown.as_str())
            .line_start(self.line)
            .annotation(AnnotationKind::Primary.span(span));
        let group = Level::ERROR.no_name().primary_title(title).element(snippet);
        let lines = Renderer::plain().render(&[group]);
        lines.lines().map(str::trim_end).collect::<Vec<_>>().join("\n")
    }
}

/// What others wrote, in one line and without what drives a terminal.
pub(crate) fn harmless(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { '?' } else { c }).collect()
}

fn visible(character: char) -> char {
    match character {
        '\t' => ' ',
        control if control.is_control() => '?',
        plain => plain,
    }
}

/// Faults that are told; a file of nothing but faults should not fill a screen for hours.
const TOLD_MAX: usize = 100;
