//! Where the event log goes: a file, a FIFO, standard output, a daemon.
//!
//! The log holds addresses and what people say to mail servers: a new file is for its owner and
//! its group alone, and what stands there keeps the permissions it has. A name that leads elsewhere
//! is refused, since the log is written with the filter's privileges.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{FileTypeExt, OpenOptionsExt};

use rustix::fs::{OFlags, fcntl_setfl};
use rustix::io::Errno;

use super::daemon::Mailbox;
use crate::config::Destination;
use crate::engine::Record;
use crate::event::Format;
use crate::front::{EXPECTED_LOG, FrontError};
use crate::time::Instant;

/// What the log is written to.
#[derive(Debug)]
pub(super) enum Target {
    /// Standard output.
    StandardOutput,
    /// A regular file or a FIFO.
    File {
        /// Its name, by which it is opened anew.
        path: String,
        /// It.
        file: File,
        /// Whether it ends in the middle of a line, by a failure.
        is_torn: bool,
    },
    /// A daemon, which gets datagrams in place of lines.
    Daemon(Mailbox),
}

/// What was not written, and why.
#[derive(Debug)]
pub(super) struct Unwritten {
    /// How many entries; none: all of them.
    pub(super) entries: Option<u64>,
    pub(super) error: io::Error,
}

impl From<io::Error> for Unwritten {
    fn from(error: io::Error) -> Self {
        Self { entries: None, error }
    }
}

impl Target {
    /// Opens the log where it is to go.
    pub(super) fn find(destination: Destination<'_>, format: Format) -> Result<Self, FrontError> {
        match destination {
            Destination::Stream(path) => Self::open(path)
                .map_err(|error| FrontError::io(format!("cannot write events to {path}"), error)),
            Destination::Daemon(daemon, path) => {
                let mailbox = Mailbox::open(daemon, path, format).map_err(|error| {
                    FrontError::io(format!("cannot send events to {}", path.display()), error)
                })?;
                Ok(Self::Daemon(mailbox))
            }
        }
    }

    /// Opens the log at `path`, `-` for standard output; never waits for a reader.
    pub(super) fn open(path: &str) -> io::Result<Self> {
        if path == "-" {
            return Ok(Self::StandardOutput);
        }
        let file = match open(path, false) {
            // A FIFO that nobody reads yet: with a reader of our own it can be opened all the same.
            Err(error) if is(&error, Errno::NXIO) => open(path, true),
            opened => opened,
        };
        let file = file.map_err(|error| match Errno::from_io_error(&error) {
            Some(Errno::LOOP) => io::Error::other(format!("a symbolic link, {EXPECTED_LOG}")),
            Some(Errno::ISDIR) => io::Error::other(format!("a directory, {EXPECTED_LOG}")),
            _ => error,
        })?;
        let kind = file.metadata()?.file_type();
        if !kind.is_file() && !kind.is_fifo() {
            return Err(io::Error::other(EXPECTED_LOG));
        }
        // From here on a write waits, in a thread that may.
        fcntl_setfl(&file, OFlags::APPEND)?;
        Ok(Self::File { path: path.to_owned(), file, is_torn: false })
    }

    /// The same opened anew, where there is a name to open.
    pub(super) fn reopened(&self) -> Option<io::Result<Self>> {
        match self {
            Self::StandardOutput | Self::Daemon(_) => None,
            Self::File { path, .. } => Some(Self::open(path)),
        }
    }

    /// Takes an entry that is about to be written, where lines do not do.
    pub(super) fn take(&mut self, record: &Record) {
        if let Self::Daemon(mailbox) = self {
            mailbox.take(record);
        }
    }

    /// Takes the entry that others are missing.
    pub(super) fn take_left_out(&mut self, at: Instant, entries: u64) {
        if let Self::Daemon(mailbox) = self {
            mailbox.take_left_out(at, entries);
        }
    }

    /// Writes lines, or what was taken instead of them.
    pub(super) fn write(&mut self, text: &[u8]) -> Result<(), Unwritten> {
        match self {
            Self::Daemon(mailbox) => mailbox.send(),
            Self::StandardOutput => {
                let mut out = io::stdout().lock();
                Ok(out.write_all(text).and_then(|()| out.flush())?)
            }
            Self::File { file, is_torn, .. } => {
                if *is_torn {
                    file.write_all(b"\n")?;
                    *is_torn = false;
                }
                let mut out = Counting { file, written: 0 };
                let written = out.write_all(text);
                *is_torn = written.is_err()
                    && text
                        .get(..out.written)
                        .is_some_and(|part| part.last().is_some_and(|&b| b != b'\n'));
                Ok(written?)
            }
        }
    }
}

/// A file, and how much of a text it has taken.
struct Counting<'f> {
    file: &'f mut File,
    written: usize,
}

impl Write for Counting<'_> {
    fn write(&mut self, text: &[u8]) -> io::Result<usize> {
        let count = self.file.write(text)?;
        self.written += count;
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

fn open(path: &str, is_own_reader: bool) -> io::Result<File> {
    // Without waiting, so that a FIFO nobody reads is an error and not a standstill.
    let flags = (OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY).bits();
    let mut options = OpenOptions::new();
    options.append(true).read(is_own_reader).create(!is_own_reader).mode(PERMISSIONS);
    options.custom_flags(flags.cast_signed()).open(path)
}

fn is(error: &io::Error, what: Errno) -> bool {
    Errno::from_io_error(error) == Some(what)
}

/// The owner writes, the group reads.
const PERMISSIONS: u32 = 0o640;

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::{PermissionsExt, symlink};
    use std::path::PathBuf;
    use std::process::Command;

    use super::*;

    /// A folder that is gone when the test is over.
    struct Folder(PathBuf);

    impl Folder {
        fn new(name: &str) -> Self {
            let name = format!("mailguard-target-{name}-{}", std::process::id());
            let path = std::env::temp_dir().join(name);
            fs::create_dir(&path).unwrap();
            Self(path)
        }

        fn path(&self, name: &str) -> String {
            self.0.join(name).to_str().unwrap().to_owned()
        }
    }

    impl Drop for Folder {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    fn mode(path: &str) -> u32 {
        fs::metadata(path).unwrap().permissions().mode() & 0o777
    }

    #[test]
    fn a_new_file_is_not_for_everybody_and_an_old_one_stays_as_it_is() {
        let folder = Folder::new("mode");
        let (new, old) = (folder.path("new"), folder.path("old"));
        Target::open(&new).unwrap().write(b"a\n").unwrap();
        assert_eq!(mode(&new) & 0o027, 0);
        fs::write(&old, "b\n").unwrap();
        fs::set_permissions(&old, fs::Permissions::from_mode(0o604)).unwrap();
        Target::open(&old).unwrap().write(b"c\n").unwrap();
        assert_eq!((mode(&old), fs::read(&old).unwrap()), (0o604, b"b\nc\n".to_vec()));
    }

    #[test]
    fn only_files_and_fifos_are_written_to() {
        let folder = Folder::new("kind");
        let (file, link, dangling) = (folder.path("f"), folder.path("l"), folder.path("d"));
        fs::write(&file, "").unwrap();
        symlink(&file, &link).unwrap();
        symlink(folder.path("nothing"), &dangling).unwrap();
        for (path, expected) in [
            (link.as_str(), "a symbolic link, expected a regular file or a FIFO"),
            (&dangling, "a symbolic link, expected a regular file or a FIFO"),
            (folder.0.to_str().unwrap(), "a directory, expected a regular file or a FIFO"),
            ("/dev/null", "expected a regular file or a FIFO"),
        ] {
            assert_eq!(Target::open(path).unwrap_err().to_string(), expected, "{path}");
        }
        assert!(!fs::exists(folder.path("nothing")).unwrap());
        let fifo = folder.path("fifo");
        assert!(Command::new("mkfifo").arg(&fifo).status().unwrap().success());
        Target::open(&fifo).unwrap().write(b"nobody reads yet\n").unwrap();
    }
}
