//! Replays a capture.
//! To be written.

use std::path::PathBuf;

use super::FrontError;
use crate::engine::Settings;
use crate::event::Format;

/// What to replay, and where results go.
#[derive(Debug)]
pub struct Options {
    /// The capture to read.
    pub input: PathBuf,
    /// Where the packets go as they would have left.
    pub write: Option<PathBuf>,
    /// Where events go.
    pub events: Option<PathBuf>,
    /// Form of the events.
    pub format: Format,
    /// Whether checksums left to a network card are accepted.
    pub tolerate_checksums: bool,
}

/// Replays a capture through the engine.
///
/// # Errors
/// A file cannot be read or written.
pub fn run(options: &Options, settings: Settings) -> Result<(), FrontError> {
    let _ = (options, settings);
    Err(FrontError::new("replay is to be written"))
}
