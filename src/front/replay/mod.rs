//! `mailguard replay`: a capture file through the engine, as if it came by now.
//!
//! What leaves is written as a capture again, what happened as an event log, and the counters on
//! the terminal. [`Session`] does it record by record without files; this module adds the files.
//! A capture repeats nothing by itself, so a replay plays TCP's part (see `repeat`).

mod apart;
mod captured;
mod clock;
mod files;
mod flows;
mod gateway;
pub mod repeat;
mod offload;
mod ports;
mod sent;
mod session;
mod step;
mod summary;
mod traffic;

use std::io::{self, IsTerminal, Write};
use std::path::{Path, PathBuf};

use indicatif::{ProgressBar, ProgressStyle};

use crate::engine;
use crate::event::{self, Scribe};
use crate::front::{FrontError, unless_gone};

pub use files::Output;
pub use offload::Checksums;
pub use session::Session;
pub use step::{Bystander, Fate, Left, Step};
pub use summary::{Gap, Summary};

/// Files from this size on take long enough to show how far we are.
const PROGRESS_BYTES_MIN: u64 = 8 << 20;
/// Packets between two movements of the progress bar.
const PROGRESS_PACKETS: u64 = 4_096;

/// What to replay, and where the results go.
#[derive(Clone, Debug)]
pub struct Options {
    /// The capture to read.
    pub input: PathBuf,
    /// Where to write the packets as they would have left.
    pub write: Option<PathBuf>,
    /// Where to write the event log; `-` is the standard output, whose reader may go away.
    pub events: Option<PathBuf>,
    /// Where whoever looks at the steps writes a report: nothing else is written there.
    pub report: Option<PathBuf>,
    /// How to write the event log. Its times are in UTC: a replay says the same everywhere.
    pub format: event::Format,
    /// What to make of checksums that are wrong.
    pub checksums: Checksums,
}

impl Options {
    fn outputs(&self) -> impl Iterator<Item = &Path> {
        [&self.write, &self.events, &self.report].into_iter().filter_map(|path| path.as_deref())
    }

    /// Whether a result goes to the standard output. The counters then go to the standard error, so
    /// that whoever reads the result reads nothing else.
    fn is_standard(&self) -> bool {
        self.outputs().any(files::is_standard)
    }

    /// Refuses two results in one file.
    fn tell_apart(&self) -> Result<(), FrontError> {
        let outputs: Vec<_> = self.outputs().collect();
        let mut standard = outputs.iter().filter(|path| files::is_standard(path));
        if let (Some(_), Some(path)) = (standard.next(), standard.next()) {
            let what = "expected one result at most for the standard output";
            return Err(FrontError::file(path, what));
        }
        for (number, path) in outputs.iter().enumerate() {
            let others = outputs.iter().skip(number.saturating_add(1));
            others.into_iter().try_for_each(|other| files::tell_apart(path, other))?;
        }
        Ok(())
    }
}

/// Replays a capture, shows each step of it, and tells the user how it went.
///
/// # Errors
/// See [`watch`]; or there is nobody to tell.
pub fn run(
    options: &Options,
    settings: engine::Settings,
    look: &mut dyn FnMut(&Step),
) -> Result<Summary, FrontError> {
    // Asked first: a result may take the place of the file that the standard output is.
    let is_standard = options.is_standard();
    let summary = watch(options, settings, look)?;
    tell(&options.input, &summary, is_standard)?;
    Ok(summary)
}

/// Replays a capture, and shows each step of it.
///
/// # Errors
/// A file cannot be read or written, or the capture is damaged; no result file is left then. A
/// capture that ends inside a record is no error: its recorder was killed.
pub fn watch(
    options: &Options,
    settings: engine::Settings,
    look: &mut dyn FnMut(&Step),
) -> Result<Summary, FrontError> {
    let (file, size) = files::open(&options.input)?;
    options.tell_apart()?;
    let mut events = match options.events.as_deref() {
        Some(path) if path == Path::new("-") => Some(Output::standard()),
        Some(path) => Some(create(path, &options.input)?),
        None => None,
    };
    let mut capture = match options.write.as_deref() {
        Some(path) => Some(create(path, &options.input)?),
        None => None,
    };
    let mut session = Session::new(file, settings, options.checksums);
    let progress = progress(size);
    let (mut step, mut lines, mut packets) = (Step::default(), Vec::new(), 0_u64);
    let mut scribe = Scribe::new(options.format, event::Zone::Utc);
    loop {
        match session.step(&mut step) {
            Ok(true) => {}
            Ok(false) => break,
            Err(fault) => {
                let what = format!("behind packet {packets}: {fault}");
                return Err(FrontError::file(&options.input, what));
            }
        }
        look(&step);
        packets += u64::from(!step.fates.is_empty());
        if packets.is_multiple_of(PROGRESS_PACKETS) {
            progress.set_position(session.offset());
        }
        if let Some(capture) = &mut capture {
            capture.write(&step.written)?;
        }
        if let Some(events) = &mut events {
            lines.clear();
            for record in &step.records {
                scribe.write(record, &mut lines);
            }
            events.write(&lines)?;
        }
    }
    progress.finish_and_clear();
    for output in [capture, events].into_iter().flatten() {
        output.finish()?;
    }
    Ok(session.summary())
}

/// A result of what is read from a capture: it appears whole or not at all.
///
/// # Errors
/// It cannot be written, or is the capture itself.
pub fn create(path: &Path, input: &Path) -> Result<Output, FrontError> {
    files::tell_apart(path, input)?;
    Output::create(path)
}

/// A progress bar if somebody watches and it takes long enough.
fn progress(size: u64) -> ProgressBar {
    if size < PROGRESS_BYTES_MIN || !io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let bar = ProgressBar::new(size);
    match ProgressStyle::with_template("{bar:40} {bytes}/{total_bytes} {bytes_per_sec} {eta}") {
        Ok(style) => bar.with_style(style),
        Err(_) => bar,
    }
}

/// The counters for the user, and a warning for a log if the capture was cut.
fn tell(input: &Path, summary: &Summary, is_standard: bool) -> Result<(), FrontError> {
    if summary.is_cut {
        let warned = writeln!(
            io::stderr().lock(),
            "mailguard: {}: warning: the capture ends inside a record",
            input.display()
        );
        warned.map_err(|error| FrontError::file(Path::new("standard error"), error))?;
    }
    let told = if is_standard {
        write!(io::stderr().lock(), "{summary}")
    } else {
        write!(io::stdout().lock(), "{summary}")
    };
    unless_gone(told).map_err(|error| FrontError::file(Path::new("standard output"), error))
}

#[cfg(test)]
mod tests;
