//! The fronts: the only modules that touch the outside and read a clock.
//!
//! Each brings packets, or the machine's state, to the rest. Here stand what they share: how they
//! end and how they fail.

pub mod capture;
pub mod check;
pub mod control;
pub mod explain;
mod nfqueue;
pub mod patches;
pub mod probe;
pub mod profiles;
pub mod replay;
pub mod rules;
pub mod run;
pub mod saved_config;
pub mod top;

use std::fmt;
use std::fs::{self, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use rustix::fs::OFlags;

use crate::config::{self, harmless};

/// How a front ended, if it did not fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It did what it was asked to do.
    Done,
    /// It found what it was asked to report.
    Found,
}

/// The form of what is told.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Form {
    /// For a person.
    #[default]
    Text,
    /// Json objects.
    Json,
}

/// What went wrong outside the program: one line, with the context that tells where. Of a
/// configuration that is refused, everything that is wrong.
#[derive(Debug)]
pub struct FrontError(Failure);

#[derive(Debug)]
enum Failure {
    /// A sentence, and the failed call it is about, if it is about one.
    Sentence(String, Option<io::Error>),
    /// What is wrong with a configuration.
    Faults(config::Error),
    /// Lines of somebody else's.
    Text(String),
}

impl FrontError {
    /// A failure that its sentence explains.
    #[must_use]
    pub fn new(sentence: impl Into<String>) -> Self {
        Self(Failure::Sentence(sentence.into(), None))
    }

    /// A file, and what is wrong with it.
    #[must_use]
    pub fn file(path: &Path, what: impl fmt::Display) -> Self {
        Self::new(format!("{}: {what}", path.display()))
    }

    /// A failed call, and what it was for.
    #[must_use]
    pub fn io(context: impl Into<String>, cause: impl Into<io::Error>) -> Self {
        Self(Failure::Sentence(context.into(), Some(cause.into())))
    }

    /// What a daemon said, as it stands: lines of text.
    #[must_use]
    pub fn said(text: &str) -> Self {
        let lines = text.trim_end().lines().map(harmless).collect::<Vec<_>>();
        Self(Failure::Text(lines.join("\n")))
    }

    /// What kind of call failed, if one did.
    #[must_use]
    pub fn kind(&self) -> Option<io::ErrorKind> {
        match &self.0 {
            Failure::Sentence(_, cause) => cause.as_ref().map(io::Error::kind),
            Failure::Faults(_) | Failure::Text(_) => None,
        }
    }

    /// A sentence a line, without drawings: for a log.
    #[must_use]
    pub fn lines(&self) -> Vec<String> {
        match &self.0 {
            Failure::Faults(refused) => refused.lines().map(str::to_owned).collect(),
            Failure::Sentence(..) | Failure::Text(_) => vec![self.to_string()],
        }
    }
}

impl From<config::Error> for FrontError {
    fn from(refused: config::Error) -> Self {
        Self(Failure::Faults(refused))
    }
}

impl fmt::Display for FrontError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            // Names and values of others stand in it, and it has to stay one line.
            Failure::Sentence(context, None) => f.write_str(&harmless(context)),
            Failure::Sentence(context, Some(cause)) => write!(f, "{}: {cause}", harmless(context)),
            Failure::Faults(refused) => write!(f, "{refused}"),
            Failure::Text(text) => f.write_str(text),
        }
    }
}

impl std::error::Error for FrontError {}

/// Hours, minutes and seconds.
pub(crate) fn duration(seconds: u64) -> String {
    format!("{}:{:02}:{:02}", seconds / 3_600, seconds / 60 % 60, seconds % 60)
}

/// Whether there is such a file, readable or not.
#[must_use]
pub fn is_there(path: &Path) -> bool {
    let found = path.symlink_metadata();
    !matches!(found, Err(error) if error.kind() == io::ErrorKind::NotFound)
}

/// The text of a configuration file. An empty one, just being written or lost in a crash, is no
/// wish for the defaults.
///
/// # Errors
/// It cannot be read, is no regular file, no text, empty, or longer than 1 MiB.
pub fn read_configuration(path: &Path) -> Result<String, FrontError> {
    let failed = |error| cannot_read(path, error);
    // A FIFO would keep us waiting for its writer.
    let flags = OFlags::NONBLOCK.bits().cast_signed();
    let file = OpenOptions::new().read(true).custom_flags(flags).open(path).map_err(failed)?;
    if !file.metadata().map_err(failed)?.is_file() {
        return Err(FrontError::file(path, "no regular file: expected a configuration file"));
    }
    let mut text = String::new();
    file.take(CONFIGURATION_MAX + 1).read_to_string(&mut text).map_err(failed)?;
    if text.len() as u64 > CONFIGURATION_MAX {
        return Err(FrontError::file(path, "longer than 1 MiB: expected a configuration file"));
    }
    if text.trim().is_empty() {
        return Err(FrontError::file(path, "empty: expected a configuration"));
    }
    Ok(text)
}

/// The patches in a directory: each file's name and text, in order of names.
///
/// # Errors
/// One cannot be read, or they are too many.
pub fn read_patches(directory: &Path) -> Result<Vec<(String, String)>, FrontError> {
    let entries = fs::read_dir(directory).and_then(Iterator::collect::<Result<Vec<_>, _>>);
    let entries = entries.map_err(|error| cannot_read(directory, error))?;
    let mut paths: Vec<_> = entries.into_iter().map(|entry| entry.path()).collect();
    paths.retain(|path| path.extension().is_some_and(|end| end == "toml"));
    paths.sort();
    if paths.len() > PATCH_FILES_MAX {
        let what = format!("{} patches, {PATCH_FILES_MAX} are the most", paths.len());
        return Err(FrontError::file(directory, what));
    }
    let read = |path: &PathBuf| Ok((path.display().to_string(), read_configuration(path)?));
    paths.iter().map(read).collect()
}

fn cannot_read(path: &Path, error: io::Error) -> FrontError {
    FrontError::io(format!("cannot read {}", path.display()), error)
}

/// Files of patches in a directory.
const PATCH_FILES_MAX: usize = 128;

/// Bytes of a configuration file.
const CONFIGURATION_MAX: u64 = 1 << 20;

/// What is said of a name that is none for an event log.
const EXPECTED_LOG: &str = "expected a regular file or a FIFO";

/// Writes to standard output; a reader that has gone away is no failure.
///
/// # Errors
/// Standard output cannot be written.
pub fn print(text: &str) -> Result<(), FrontError> {
    let mut out = io::stdout().lock();
    unless_gone(out.write_all(text.as_bytes()).and_then(|()| out.flush()))
        .map_err(|error| FrontError::io("cannot write to standard output", error))
}

/// Writes files below a directory, each by its path there.
///
/// # Errors
/// One cannot be written.
pub fn write_below(directory: &Path, files: &[(String, Vec<u8>)]) -> Result<(), FrontError> {
    for (path, bytes) in files {
        let path = directory.join(path);
        let made = path.parent().map_or(Ok(()), fs::create_dir_all);
        made.and_then(|()| fs::write(&path, bytes))
            .map_err(|error| FrontError::io(format!("cannot write {}", path.display()), error))?;
    }
    Ok(())
}

/// A reader that has gone away has seen enough: to have written less is no failure.
fn unless_gone(written: io::Result<()>) -> io::Result<()> {
    match written {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        _ => written,
    }
}
