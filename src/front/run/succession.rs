//! `run --take-over`: a new process asks the running one for its queues and its flows.
//!
//! ```text
//!   successor                                   predecessor
//!   "hand over" ───────────────────────────────►  stops reading, answers what it has read
//!        ◄───────────────── image, queue sockets
//!   adopts them; "adopted" ─────────────────────►
//!        ◄──────────────────────────────── "go"   ends, and unbinds nothing
//! ```
//! Until `go` the predecessor can go on, and does if `adopted` does not come in time; a successor
//! that is not told to go ends. So there is never more than one that reads. Packets wait in the
//! kernel meanwhile.
//!
//! The two meet at a socket beside the control socket, in a folder where strangers make nothing,
//! and each makes sure whose process the other is. Strangers are heard by neither.

use std::fs::{self, File, Permissions};
use std::io::{self, ErrorKind, IoSlice, IoSliceMut, Read, Write};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::net::sockopt::socket_peercred;
use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, recvmsg, sendmsg,
};
use rustix::process::{Pid, Uid, geteuid};
use socket2::{Domain, SockAddr, Socket, Type};

use crate::config::Config;
use crate::front::FrontError;
use crate::front::control::Listener;

/// Where a running filter waits for its successor.
#[derive(Debug)]
pub(super) struct Door(Option<Listener>);

/// A successor at the door.
#[derive(Debug)]
pub(super) struct Successor(UnixStream);

/// A predecessor that waits to hear that its queues are in good hands.
#[derive(Debug)]
pub(super) struct Predecessor {
    door: UnixStream,
    process: Pid,
}

/// What was handed over.
#[derive(Debug)]
pub(super) struct Handed {
    pub(super) image: File,
    pub(super) queues: Vec<(u16, OwnedFd)>,
}

impl Door {
    /// Opens it, in the place of a predecessor's. Without one the filter runs as well.
    pub(super) fn open(config: &Config, predecessor: Option<Pid>) -> Self {
        let opened = listen(&place(config), predecessor);
        let opened =
            opened.inspect_err(|error| log::warn!("no other process can take over: {error}"));
        Self(opened.ok())
    }

    /// Its place is the successor's.
    pub(super) fn leave_place(&mut self) {
        if let Some(door) = &mut self.0 {
            door.leave_place();
        }
    }

    /// What to poll for somebody at it.
    pub(super) fn readiness(&self) -> Option<BorrowedFd<'_>> {
        self.0.as_ref().map(AsFd::as_fd)
    }

    /// Who stands there and may come in.
    pub(super) fn answer(&self) -> Option<Successor> {
        for _ in 0..STRANGERS_MAX {
            let stream = self.0.as_ref()?.accept().ok()?;
            // Who may not come in may knock as often as they like: a line for each would fill the
            // log.
            if trust(&stream).is_ok() {
                let greeted = greet(stream);
                let greeted = greeted.inspect_err(|error| log::warn!("{NOTHING}: {error}"));
                return greeted.ok();
            }
        }
        None
    }
}

impl Successor {
    /// Hands everything over, and waits until it has been adopted. An error: go on serving.
    pub(super) fn receive(
        &mut self,
        image: BorrowedFd<'_>,
        queues: &[(u16, OwnedFd)],
    ) -> io::Result<()> {
        let numbers: Vec<_> = queues.iter().map(|(number, _)| number.to_string()).collect();
        let text = numbers.join(" ") + "\n";
        let descriptors: Vec<_> =
            [image].into_iter().chain(queues.iter().map(|(_, socket)| socket.as_fd())).collect();
        let mut space =
            vec![MaybeUninit::uninit(); SendAncillaryMessage::ScmRights(&descriptors).size()];
        let mut ancillary = SendAncillaryBuffer::new(&mut space);
        ancillary.push(SendAncillaryMessage::ScmRights(&descriptors));
        sendmsg(&self.0, &[IoSlice::new(text.as_bytes())], &mut ancillary, SendFlags::NOSIGNAL)?;
        expect(&mut self.0, ADOPTED)
    }

    /// From here on it serves the queues, and we do not.
    pub(super) fn go(&mut self) -> io::Result<()> {
        self.0.write_all(GO)
    }
}

impl Predecessor {
    /// Asks the filter that runs for everything.
    pub(super) fn ask(config: &Config) -> Result<(Self, Handed), FrontError> {
        let queue = config.queue.first;
        let mut asked = None;
        let handed = knock(&place(config)).and_then(|mut stream| {
            let process = trust(&stream)?;
            asked = Some(process.as_raw_nonzero());
            log::info!("asking process {} for queue {queue}", process.as_raw_nonzero());
            stream.set_nonblocking(false)?;
            stream.set_read_timeout(Some(PREDECESSOR_PATIENCE))?;
            stream.write_all(HAND_OVER)?;
            let handed = take(&stream)?;
            Ok((Self { door: stream, process }, handed))
        });
        handed.map_err(|error| {
            if matches!(error.kind(), ErrorKind::ConnectionRefused | ErrorKind::NotFound) {
                let sentence = format!("no filter of queue {queue} runs that could be taken over");
                return FrontError::new(sentence);
            }
            let context = format!("cannot take over queue {queue}");
            if error.kind() == ErrorKind::WouldBlock {
                let process = asked.map(|process| format!(" {process}")).unwrap_or_default();
                return FrontError::new(format!(
                    "{context}: its filter does not answer: expected one that runs (`kill \
                     -KILL{process}` ends it; then start without --take-over)"
                ));
            }
            FrontError::io(context, error)
        })
    }

    /// All was adopted: may we begin?
    pub(super) fn take_leave(mut self) -> Result<(), FrontError> {
        let gone = self.door.write_all(ADOPTED).and_then(|()| expect(&mut self.door, GO));
        gone.map_err(|error| FrontError::io("the filter that runs keeps its queues", error))
    }

    /// Its process.
    pub(super) const fn process(&self) -> Pid {
        self.process
    }
}

fn greet(mut stream: UnixStream) -> io::Result<Successor> {
    stream.set_nonblocking(false)?;
    stream.set_read_timeout(Some(SUCCESSOR_PATIENCE))?;
    stream.set_write_timeout(Some(SUCCESSOR_PATIENCE))?;
    expect(&mut stream, HAND_OVER)?;
    Ok(Successor(stream))
}

/// Nobody but root and our own user is handed anything, or believed. Whose process it is.
fn trust(stream: &UnixStream) -> io::Result<Pid> {
    let other = socket_peercred(stream)?;
    if other.uid == Uid::ROOT || other.uid == geteuid() {
        return Ok(other.pid);
    }
    Err(io::Error::other(format!("user {} is neither root nor ours", other.uid.as_raw())))
}

/// Listens there, for root and our own user alone.
fn listen(place: &Path, predecessor: Option<Pid>) -> Result<Listener, FrontError> {
    let mut door = Listener::open(place, None, predecessor)?;
    let opened = door.take_place();
    let opened = opened.and_then(|()| fs::set_permissions(place, Permissions::from_mode(0o600)));
    let failed = |error| FrontError::io(format!("cannot listen at {}", place.display()), error);
    opened.map(|()| door).map_err(failed)
}

/// Goes to the door of the filter that runs; where a crowd stands before it, nobody waits.
fn knock(place: &Path) -> io::Result<UnixStream> {
    let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
    socket.set_nonblocking(true)?;
    socket.connect(&SockAddr::unix(place)?)?;
    Ok(UnixStream::from(OwnedFd::from(socket)))
}

fn take(stream: &UnixStream) -> io::Result<Handed> {
    let mut text = [0; TEXT_BYTES_MAX];
    let mut space = vec![MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(DESCRIPTORS_MAX))];
    let mut ancillary = RecvAncillaryBuffer::new(&mut space);
    let mut vectors = [IoSliceMut::new(&mut text)];
    let received = recvmsg(stream, &mut vectors, &mut ancillary, RecvFlags::CMSG_CLOEXEC)?;
    let mut descriptors = Vec::new();
    for message in ancillary.drain() {
        if let RecvAncillaryMessage::ScmRights(received) = message {
            descriptors.extend(received);
        }
    }
    let mut descriptors = descriptors.into_iter();
    let nothing = || io::Error::other("what came is not what was expected");
    let image = descriptors.next().map(File::from).ok_or_else(nothing)?;
    let text = text.get(..received.bytes).and_then(|text| str::from_utf8(text).ok());
    let numbers = text.and_then(|text| text.strip_suffix('\n')).ok_or_else(nothing)?;
    let numbers = numbers.split(' ').map(|number| number.parse().map_err(|_| nothing()));
    let numbers = numbers.collect::<io::Result<Vec<u16>>>()?;
    let queues: Vec<_> = numbers.iter().copied().zip(descriptors).collect();
    if queues.len() != numbers.len() {
        return Err(nothing());
    }
    Ok(Handed { image, queues })
}

fn expect(stream: &mut UnixStream, word: &[u8]) -> io::Result<()> {
    let mut heard = vec![0; word.len()];
    stream.read_exact(&mut heard).map_err(|error| {
        if error.kind() == ErrorKind::WouldBlock {
            return io::Error::new(ErrorKind::TimedOut, "no answer in time");
        }
        error
    })?;
    if heard == word { Ok(()) } else { Err(io::Error::other("an unexpected word")) }
}

/// Where the door of a filter is. An abstract name anybody could take; who may put something beside
/// the control socket may steer the filter anyway.
fn place(config: &Config) -> PathBuf {
    PathBuf::from(format!("{}.queue-{}", config.control.socket, config.queue.first))
}

const HAND_OVER: &[u8] = b"mailguard: hand over\n";
const ADOPTED: &[u8] = b"mailguard: adopted\n";
const GO: &[u8] = b"mailguard: go\n";

const NOTHING: &str = "nothing is handed over";

/// Strangers that are sent away before others get their turn.
const STRANGERS_MAX: usize = 64;

/// How long packets wait for a successor before its predecessor goes on.
const SUCCESSOR_PATIENCE: Duration = Duration::from_secs(5);

/// How long a successor waits for what it asked for: the predecessor has to write its image.
const PREDECESSOR_PATIENCE: Duration = Duration::from_secs(15);

/// The image, and as many queues as there may be.
const DESCRIPTORS_MAX: usize = 128;

/// The numbers of as many queues.
const TEXT_BYTES_MAX: usize = 1_024;
