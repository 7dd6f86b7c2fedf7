//! The files of a replay: one is read, the others appear whole or not at all.
//!
//! A result is written under another name beside its own and takes its name at the end; what is
//! no regular file (a pipe, a terminal) is written directly.

use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::io::{self, BufWriter, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use crate::front::{FrontError, unless_gone};

/// Opens the capture; also its size, if it is known.
pub(super) fn open(path: &Path) -> Result<(File, u64), FrontError> {
    let file = File::open(path).map_err(|error| FrontError::file(path, error))?;
    let metadata = file.metadata().map_err(|error| FrontError::file(path, error))?;
    if metadata.is_dir() {
        return Err(FrontError::file(path, "expected a capture, found a directory"));
    }
    Ok((file, metadata.len()))
}

/// Refuses to write a result over another file of the same run.
pub(super) fn tell_apart(path: &Path, other: &Path) -> Result<(), FrontError> {
    let is_same_file = match (fs::metadata(path), fs::metadata(other)) {
        (Ok(a), Ok(b)) => a.is_file() && (a.dev(), a.ino()) == (b.dev(), b.ino()),
        _ => path == other,
    };
    if is_same_file {
        let what = format!("expected a file other than {}", other.display());
        return Err(FrontError::file(path, what));
    }
    Ok(())
}

/// A result being written.
#[derive(Debug)]
pub struct Output {
    path: PathBuf,
    sink: Sink,
}

#[derive(Debug)]
enum Sink {
    /// Takes its name when it is complete.
    Whole { writer: BufWriter<File>, partial: PathBuf, path: PathBuf },
    /// Is no regular file.
    Direct(BufWriter<File>),
    /// The terminal, or what stands in its place.
    Standard(BufWriter<io::Stdout>),
}

impl Output {
    /// A result under this name.
    pub(super) fn create(path: &Path) -> Result<Self, FrontError> {
        let failed = |error| FrontError::file(path, error);
        if path == Path::new("-") {
            return Err(FrontError::file(path, "expected the name of a file"));
        }
        let sink = match fs::metadata(path) {
            Ok(metadata) if !metadata.is_file() => {
                let file = OpenOptions::new().write(true).open(path).map_err(failed)?;
                Sink::Direct(BufWriter::new(file))
            }
            // Behind a link, the file it leads to is replaced and not the link.
            Ok(_) => Sink::beside(fs::canonicalize(path).map_err(failed)?).map_err(failed)?,
            Err(_) => Sink::beside(path.to_owned()).map_err(failed)?,
        };
        Ok(Self { path: path.to_owned(), sink })
    }

    /// The standard output, under the name a user knows it by.
    pub(super) fn standard() -> Self {
        Self { path: "-".into(), sink: Sink::Standard(BufWriter::new(io::stdout())) }
    }

    /// Writes on.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn write(&mut self, bytes: &[u8]) -> Result<(), FrontError> {
        let written = match &mut self.sink {
            Sink::Whole { writer, .. } | Sink::Direct(writer) => writer.write_all(bytes),
            Sink::Standard(writer) => unless_gone(writer.write_all(bytes)),
        };
        written.map_err(|error| FrontError::file(&self.path, error))
    }

    /// The result is complete.
    ///
    /// # Errors
    /// It cannot be written, or cannot take its name.
    pub fn finish(mut self) -> Result<(), FrontError> {
        let finished = match &mut self.sink {
            Sink::Whole { writer, partial, path } => {
                writer.flush().and_then(|()| fs::rename(partial, path))
            }
            Sink::Direct(writer) => writer.flush(),
            Sink::Standard(writer) => unless_gone(writer.flush()),
        };
        finished.map_err(|error| FrontError::file(&self.path, error))
    }
}

impl Sink {
    fn beside(path: PathBuf) -> io::Result<Self> {
        let mut name = OsString::from(".");
        name.push(path.file_name().ok_or(io::ErrorKind::InvalidFilename)?);
        name.push(format!(".{}.partial", std::process::id()));
        let partial = path.with_file_name(name);
        let file = OpenOptions::new().write(true).create_new(true).open(&partial)?;
        Ok(Self::Whole { writer: BufWriter::new(file), partial, path })
    }
}

impl Drop for Output {
    fn drop(&mut self) {
        if let Sink::Whole { partial, .. } = &self.sink {
            // Renamed already if the result is complete.
            let _ = fs::remove_file(partial);
        }
    }
}
