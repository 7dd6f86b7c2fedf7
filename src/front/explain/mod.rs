//! `mailguard explain`: what the filter did to somebody's mail, and why, in sentences.
//!
//! Of a capture, the dialogue is drawn with what left beside what came. Of an entry of the event
//! log, or one of its words, its meaning is told, and which settings decide.

mod account;
mod cause;
mod event;
mod page;
mod story;
mod text;

use std::fs::File;
use std::io::Read;
use std::path::Path;

use crate::engine::Settings;
use crate::front::FrontError;
use crate::front::capture::Fault;
use crate::front::replay::{Checksums, Output, Session, Step, Summary, create};

use story::Story;

pub use cause::{CAUSES, Cause, cause};

/// What is to be explained.
#[derive(Clone, Copy, Debug)]
pub struct Options<'a> {
    /// A capture's name, or an entry of the event log, or a word of it.
    pub subject: &'a str,
    /// Which flow of the capture.
    pub flow: Option<u64>,
    /// What to make of wrong checksums.
    pub checksums: Checksums,
}

/// What is told of a capture, or of an entry.
///
/// # Errors
/// A capture cannot be read, or has no such flow; or it is nothing of all this.
pub fn run(options: Options<'_>, settings: &Settings) -> Result<String, FrontError> {
    let path = Path::new(options.subject);
    if is_capture(options.subject) {
        let file = File::open(path).map_err(|error| FrontError::file(path, error))?;
        let told = capture(file, settings, options.checksums, options.flow);
        return told.map_err(|what| FrontError::file(path, what));
    }
    if options.flow.is_some() {
        return Err(FrontError::file(path, "no such file, expected a capture before a flow"));
    }
    event::explain(options.subject, settings).ok_or_else(|| {
        FrontError::new(format!(
            "`{}` found, expected a capture, an entry of the event log, or a word of it such as \
             `awaiting-reply`",
            options.subject
        ))
    })
}

/// Whether it is the name of a file.
#[must_use]
pub fn is_capture(subject: &str) -> bool {
    Path::new(subject).exists()
}

/// What is told of a capture: one flow, or all flows in short if there are several and none was
/// named.
///
/// # Errors
/// The capture cannot be read, or has no such flow.
pub fn capture(
    source: impl Read,
    settings: &Settings,
    checksums: Checksums,
    flow: Option<u64>,
) -> Result<String, String> {
    let mut settings = settings.clone();
    // Whoever asks wants to hear all of it.
    settings.limits.log_burst_bytes = u32::MAX;
    let mut story = Story::new(&settings);
    let mut session = Session::new(source, settings.clone(), checksums);
    let mut step = Step::default();
    while session.step(&mut step).map_err(|fault: Fault| fault.to_string())? {
        story.look(&step);
    }
    tell(&story, &session.summary(), flow)
}

/// The same of a replay under way, as one page for a browser.
#[derive(Debug)]
pub struct Report<'s> {
    story: Story<'s>,
    output: Output,
    name: String,
}

impl<'s> Report<'s> {
    /// A page under this name, about a capture that is not replayed yet.
    ///
    /// # Errors
    /// It cannot be written, or would take the capture's place.
    pub fn begin(path: &Path, input: &Path, settings: &'s Settings) -> Result<Self, FrontError> {
        let name = input.file_name().unwrap_or(input.as_os_str()).to_string_lossy().into_owned();
        Ok(Self { story: Story::new(settings), output: create(path, input)?, name })
    }

    /// Takes one step of the replay in.
    pub fn look(&mut self, step: &Step) {
        self.story.look(step);
    }

    /// Writes the page.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn finish(mut self, summary: &Summary) -> Result<(), FrontError> {
        let page = page::page(&self.story, summary, &self.name);
        self.output.write(page.as_bytes())?;
        self.output.finish()
    }
}

/// The text about one flow of a story, or about all.
fn tell(story: &Story<'_>, summary: &Summary, flow: Option<u64>) -> Result<String, String> {
    let mut text = match (flow, story.flows.as_slice()) {
        (None, []) => "No flow of mail was judged.\n".to_owned(),
        (None, [only]) => text::flow(only, story.settings()),
        (None, _) => text::list(story),
        (Some(number), flows) => {
            let tale = flows.iter().find(|tale| tale.number == number);
            let tale = tale.ok_or_else(|| no_such_flow(number, story))?;
            text::flow(tale, story.settings())
        }
    };
    let mut remarks = summary.remarks();
    remarks.extend(story.remark());
    for (index, remark) in remarks.iter().enumerate() {
        let space = if index == 0 { "\n" } else { "" };
        text.push_str(&format!("{space}{remark}\n"));
    }
    Ok(text)
}

fn no_such_flow(number: u64, story: &Story<'_>) -> String {
    match (story.flows.first(), story.flows.last()) {
        (Some(first), Some(last)) => {
            let (first, last) = (first.number, last.number);
            format!("flow {number}: not in this capture, expected one from {first} to {last}")
        }
        _ => format!("flow {number}: the capture has no flow that was judged"),
    }
}

#[cfg(test)]
mod tests;
