//! The files of a replay: one is read, the others appear whole or not at all.
//!
//! A result takes its name at the end. Until then it has none, so that one that is killed leaves
//! nothing, or, where a file system knows no such files, another one beside its own. What is no
//! regular file (a pipe, a terminal) is written directly.

use std::ffi::OsString;
use std::fs::{self, File, Metadata, OpenOptions, Permissions};
use std::io::{self, BufWriter, Write};
use std::os::fd::{AsFd, AsRawFd};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt, fchown};
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, CWD, Mode, OFlags};

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
    match (fs::canonicalize(folder(path)), path.file_name()) {
        (Ok(parent), Some(name)) => parent.join(name),
        _ => path.to_owned(),
    }
}

/// The folder of a file.
fn folder(path: &Path) -> &Path {
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
    parent.unwrap_or_else(|| Path::new("."))
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
    /// Takes its name when it is complete; until then it has another one or none.
    Whole { writer: BufWriter<File>, partial: Option<PathBuf>, path: PathBuf },
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
                writer.flush().map_err(|error| FrontError::file(&self.path, error))?;
                let partial = match partial {
                    Some(partial) => partial,
                    None => {
                        let give = |name: &Path| give_name(writer.get_ref(), name);
                        partial.insert(under_free_name(path, give)?.1)
                    }
                };
                fs::rename(partial, path)
            }
            Sink::Direct(writer) => writer.flush(),
            Sink::Standard(writer) => unless_gone(writer.flush()),
        };
        finished.map_err(|error| FrontError::file(&self.path, error))
    }
}

impl Sink {
    /// With no name yet, or with another one beside its own. Who may not read the file that it
    /// replaces may not read it, either.
    fn beside(path: PathBuf, old: Option<&Metadata>) -> Result<Self, FrontError> {
        let mode = if old.is_some() { 0o600 } else { 0o666 };
        let (file, partial) = match open_unnamed(&path, mode) {
            Some(file) => (file, None),
            None => {
                let mut new = OpenOptions::new();
                new.write(true).create_new(true).mode(mode);
                let (file, partial) = under_free_name(&path, |name| new.open(name))?;
                (file, Some(partial))
            }
        };
        if let Some(old) = old {
            keep_access(&file, old);
        }
        Ok(Self::Whole { writer: BufWriter::new(file), partial, path })
    }
}

/// A file in the folder of another one that goes with whoever writes it, as long as nobody gives it
/// a name. Not every file system has such.
fn open_unnamed(path: &Path, mode: u32) -> Option<File> {
    if !Path::new(DESCRIPTORS).is_dir() {
        return None;
    }
    let flags = OFlags::TMPFILE | OFlags::WRONLY | OFlags::CLOEXEC;
    rustix::fs::open(folder(path), flags, Mode::from_raw_mode(mode)).ok().map(File::from)
}

/// Gives such a file a name.
fn give_name(file: &File, name: &Path) -> io::Result<()> {
    let own = format!("{DESCRIPTORS}/{}", file.as_raw_fd());
    Ok(rustix::fs::linkat(CWD, own, CWD, name, AtFlags::SYMLINK_FOLLOW)?)
}

/// Where a process finds the files that it holds.
const DESCRIPTORS: &str = "/proc/self/fd";

/// Makes something under a name that nobody uses: another run with our number may have been killed.
fn under_free_name<T>(
    path: &Path,
    make: impl Fn(&Path) -> io::Result<T>,
) -> Result<(T, PathBuf), FrontError> {
    let named = path.file_name();
    let named = named.ok_or_else(|| FrontError::file(path, "expected the name of a file"))?;
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
        match make(&partial) {
            Ok(made) => return Ok((made, partial)),
            Err(error)
                if error.kind() == io::ErrorKind::AlreadyExists && attempt < ATTEMPTS_MAX =>
            {
                attempt += 1;
            }
            Err(error) => return Err(FrontError::file(&partial, error)),
        }
    }
}

/// Names that are tried beside a result's own, after the first.
const ATTEMPTS_MAX: u32 = 1_000;

/// Owner and permissions of another file. Who may not give a file away keeps it, a group that it is
/// not of has no right to it, and not every file system has permissions.
fn keep_access(file: &File, old: &Metadata) {
    let _ = fchown(file, Some(old.uid()), None);
    let has_group = fchown(file, None, Some(old.gid())).is_ok();
    let mode = old.mode() & if has_group { 0o777 } else { 0o707 };
    let _ = file.set_permissions(Permissions::from_mode(mode));
}

impl Drop for Output {
    fn drop(&mut self) {
        if let Sink::Whole { partial: Some(partial), .. } = &self.sink {
            // Renamed already if the result is complete.
            let _ = fs::remove_file(partial);
        }
    }
}
