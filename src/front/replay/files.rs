//! The files of a replay: one is read, the others appear whole or not at all.
//!
//! A result is written under another name beside its own and takes its name at the end; what is
//! no regular file (a pipe, a terminal) is written directly.

use std::ffi::OsString;
use std::fs::{self, File, Metadata, OpenOptions, Permissions};
use std::io::{self, BufWriter, Write};
use std::os::fd::AsFd;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt, fchown};
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
        _ => place(path) == place(other),
    };
    if is_same_file {
        let what = format!("expected a file other than {}", other.display());
        return Err(FrontError::file(path, what));
    }
    Ok(())
}

/// Where a file will be that is not there yet, in whichever way its directory is named.
fn place(path: &Path) -> PathBuf {
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
    let parent = fs::canonicalize(parent.unwrap_or_else(|| Path::new(".")));
    match (parent, path.file_name()) {
        (Ok(parent), Some(name)) => parent.join(name),
        _ => path.to_owned(),
    }
}

/// Whether what is written there comes out at the standard output, where somebody reads it.
pub(super) fn is_standard(path: &Path) -> bool {
    if path == Path::new(STANDARD) {
        return true;
    }
    let own = io::stdout().as_fd().try_clone_to_owned().map(File::from);
    let file = |metadata: Metadata| (metadata.dev(), metadata.ino());
    let own = own.and_then(|own| own.metadata()).map(file);
    let null = fs::metadata("/dev/null").map(file);
    let is = |one: io::Result<_>| one.is_ok_and(|one| own.as_ref().is_ok_and(|own| *own == one));
    is(fs::metadata(path).map(file)) && !is(null)
}

/// How a user names the standard output.
const STANDARD: &str = "-";

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
        if path == Path::new(STANDARD) {
            return Err(FrontError::file(path, "expected the name of a file"));
        }
        let sink = match fs::metadata(path) {
            Ok(metadata) if !metadata.is_file() => {
                let file = OpenOptions::new().write(true).open(path).map_err(failed)?;
                Sink::Direct(BufWriter::new(file))
            }
            // Behind a link, the file it leads to is replaced and not the link.
            Ok(old) => Sink::beside(fs::canonicalize(path).map_err(failed)?, Some(&old))?,
            Err(_) => Sink::beside(path.to_owned(), None)?,
        };
        Ok(Self { path: path.to_owned(), sink })
    }

    /// The standard output, under the name a user knows it by.
    pub(super) fn standard() -> Self {
        Self { path: STANDARD.into(), sink: Sink::Standard(BufWriter::new(io::stdout())) }
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
    /// Under a name that nobody uses: another run with our number may have been killed. Who may not
    /// read the file that it replaces may not read it, either.
    fn beside(path: PathBuf, old: Option<&Metadata>) -> Result<Self, FrontError> {
        let named = path.file_name();
        let named = named.ok_or_else(|| FrontError::file(&path, "expected the name of a file"))?;
        let mut attempt = 0;
        loop {
            let mut name = OsString::from(".");
            name.push(named);
            name.push(format!(".{}", std::process::id()));
            if attempt > 0 {
                name.push(format!("-{attempt}"));
            }
            name.push(".partial");
            let partial = path.with_file_name(name);
            let mut new = OpenOptions::new();
            new.write(true).create_new(true).mode(if old.is_some() { 0o600 } else { 0o666 });
            match new.open(&partial) {
                Ok(file) => {
                    let kept = old.map_or(Ok(()), |old| keep_access(&file, old));
                    kept.map_err(|error| FrontError::file(&path, error))?;
                    return Ok(Self::Whole { writer: BufWriter::new(file), partial, path });
                }
                Err(error)
                    if error.kind() == io::ErrorKind::AlreadyExists && attempt < ATTEMPTS_MAX =>
                {
                    attempt += 1;
                }
                Err(error) => return Err(FrontError::file(&partial, error)),
            }
        }
    }
}

/// Names that are tried beside a result's own, after the first.
const ATTEMPTS_MAX: u32 = 1_000;

/// Owner and permissions of another file. Who may not give a file away keeps it.
fn keep_access(file: &File, old: &Metadata) -> io::Result<()> {
    let _ = fchown(file, Some(old.uid()), Some(old.gid()));
    file.set_permissions(Permissions::from_mode(old.mode() & 0o777))
}

impl Drop for Output {
    fn drop(&mut self) {
        if let Sink::Whole { partial, .. } = &self.sink {
            // Renamed already if the result is complete.
            let _ = fs::remove_file(partial);
        }
    }
}
