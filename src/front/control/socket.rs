//! The Unix socket in the file system: who may connect is said by its owner and its mode.

use std::fs::{self, Permissions};
use std::io::{self, ErrorKind};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::{DirBuilderExt, FileTypeExt, MetadataExt, PermissionsExt, chown};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};

use rustix::net::sockopt::socket_peercred;
use rustix::process::Pid;

use crate::front::FrontError;

/// A listening socket, gone from the file system when dropped.
#[derive(Debug)]
pub(in crate::front) struct Listener {
    socket: UnixListener,
    /// Where it is to be found.
    path: PathBuf,
    /// Where it is, until somebody else takes the place.
    at: Option<PathBuf>,
    inode: u64,
}

impl Listener {
    /// Listens beside a path that nobody else listens at. The daemon's user and group may connect,
    /// or this group. Whoever takes over takes the place of its predecessor, once it is sure to.
    ///
    /// # Errors
    /// Somebody listens there, or the socket cannot be made.
    pub(in crate::front) fn open(
        path: &Path,
        group: Option<u32>,
        predecessor: Option<Pid>,
    ) -> Result<Self, FrontError> {
        let failed = |error| FrontError::io(format!("cannot listen at {}", path.display()), error);
        if let Some(folder) = path.parent()
            && !folder.exists()
        {
            // Whatever the umask: who may write there may put another socket in this one's place.
            fs::DirBuilder::new().mode(0o755).create(folder).map_err(failed)?;
        }
        let listening = UnixStream::connect(path).ok();
        // Another filter may listen there, of other queues.
        if listening.is_some_and(|one| predecessor.is_none_or(|process| !is_of(&one, process))) {
            return Err(failed(io::Error::from(ErrorKind::AddrInUse)));
        }
        if path.symlink_metadata().is_ok_and(|found| !found.file_type().is_socket()) {
            return Err(failed(io::Error::from(ErrorKind::AlreadyExists)));
        }
        Self::bind(path, group).map_err(failed)
    }

    fn bind(path: &Path, group: Option<u32>) -> io::Result<Self> {
        // A short name: there is not much room for one in an address.
        let at = path.with_file_name(format!(".{}", std::process::id()));
        let is_socket = |found: fs::Metadata| found.file_type().is_socket();
        if at.symlink_metadata().is_ok_and(is_socket) && UnixStream::connect(&at).is_err() {
            // Whoever made it has ended before it served.
            fs::remove_file(&at)?;
        }
        let socket = UnixListener::bind(&at)?;
        // Until here the mode lets nobody in who is not let in later: to connect takes the right to
        // write, which no usual umask gives to a group.
        let made = fs::symlink_metadata(&at)?;
        let listener =
            Self { socket, path: path.to_owned(), at: Some(at.clone()), inode: made.ino() };
        // A unit may refuse the call to everybody, and whose group it is already need not make it.
        if let Some(group) = group.filter(|&group| group != made.gid()) {
            chown(&at, None, Some(group)).map_err(|error| not_given(group, &error))?;
        }
        fs::set_permissions(&at, Permissions::from_mode(MODE))?;
        listener.socket.set_nonblocking(true)?;
        Ok(listener)
    }

    /// Goes where it is to be found, in the place of one that was there.
    pub(in crate::front) fn take_place(&mut self) -> io::Result<()> {
        if let Some(at) = &mut self.at {
            fs::rename(&*at, &self.path)?;
            at.clone_from(&self.path);
        }
        Ok(())
    }

    /// Its place is somebody else's.
    pub(in crate::front) fn leave_place(&mut self) {
        self.at = None;
    }

    /// Who comes next.
    pub(in crate::front) fn accept(&self) -> io::Result<UnixStream> {
        self.socket.accept().map(|(stream, _)| stream)
    }
}

impl AsFd for Listener {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        // A successor may have put its own there.
        let Some(at) = &self.at else { return };
        if fs::symlink_metadata(at).is_ok_and(|found| found.ino() == self.inode) {
            let _ = fs::remove_file(at);
        }
    }
}

/// Whether who listens is that process.
fn is_of(stream: &UnixStream, process: Pid) -> bool {
    socket_peercred(stream).is_ok_and(|credentials| credentials.pid == process)
}

fn not_given(group: u32, error: &io::Error) -> io::Error {
    let what = "expected one that the filter is in, as Group= of its unit";
    let sentence = format!("control.group: cannot give it to group {group} ({error}), {what}");
    io::Error::new(error.kind(), sentence)
}

/// The number of a group.
///
/// # Errors
/// There is none of this name.
pub(in crate::front) fn group_named(name: &str) -> Result<u32, FrontError> {
    match nix::unistd::Group::from_name(name) {
        Ok(Some(group)) => Ok(group.gid.as_raw()),
        Ok(None) => Err(FrontError::new(format!(
            "control.group: `{name}` found, expected a group of this machine"
        ))),
        Err(error) => Err(FrontError::io("cannot read the groups", error)),
    }
}

/// Owner and group may connect.
const MODE: u32 = 0o660;
