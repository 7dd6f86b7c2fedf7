//! One connection: a request that comes in pieces, an answer that goes out in pieces, and a time
//! for each.

use std::io::{self, ErrorKind, Read, Write};
use std::net::TcpStream;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use rustix::event::PollFlags;
use rustix::net::sockopt::socket_peercred;

use super::server::Service;
use super::{Answer, Request};
use crate::pix::Mode;

/// A connection, and how far it is.
#[derive(Debug)]
pub(super) struct Session {
    stream: Stream,
    /// Whose it is.
    user: u32,
    state: State,
    /// When it has to have got on.
    deadline: Instant,
}

#[derive(Debug)]
enum Stream {
    Control(UnixStream),
    Metrics(TcpStream),
}

#[derive(Debug)]
enum State {
    /// So much of the request has come.
    Reading(Vec<u8>),
    /// So much of the answer has gone. Behind it come events from this place on, or the end.
    Writing {
        text: Vec<u8>,
        gone: usize,
        follow: Option<u64>,
    },
    /// Everything has gone; the next event is behind this place of the log.
    Following(u64),
    Over,
}

impl Session {
    /// A connection to the control socket.
    pub(super) fn control(stream: UnixStream, now: Instant) -> io::Result<Self> {
        stream.set_nonblocking(true)?;
        let user = user_of(&stream);
        Ok(Self { user, ..Self::new(Stream::Control(stream), now, REQUEST_TIME) })
    }

    /// A connection of whoever collects metrics.
    pub(super) fn metrics(stream: TcpStream, now: Instant) -> io::Result<Self> {
        stream.set_nonblocking(true)?;
        Ok(Self::new(Stream::Metrics(stream), now, HTTP_TIME))
    }

    fn new(stream: Stream, now: Instant, time: Duration) -> Self {
        let state = State::Reading(Vec::new());
        Self { stream, user: NOBODY, state, deadline: now + time }
    }

    /// The same connection, as if this user had made it.
    #[cfg(test)]
    pub(super) fn of(self, user: u32) -> Self {
        Self { user, ..self }
    }

    /// There is no room for it: it is told so if that takes no time.
    pub(super) fn turn_away(self) {
        let answer = Answer::refused(Mode::default(), "too many connections: try again");
        let _ = self.stream.write(&answer.into_bytes());
    }

    /// Whether it is one of the control socket's.
    pub(super) const fn is_control(&self) -> bool {
        matches!(self.stream, Stream::Control(_))
    }

    /// Whether it is of a collector of metrics who has not asked yet.
    pub(super) const fn is_silent_collector(&self) -> bool {
        matches!((&self.stream, &self.state), (Stream::Metrics(_), State::Reading(_)))
    }

    /// Whether whoever it is of may change things.
    pub(super) fn is_trusted(&self) -> bool {
        is_trusted(self.user)
    }

    /// Whether it waits for events.
    pub(super) const fn is_following(&self) -> bool {
        matches!(self.state, State::Following(_))
    }

    /// What to wait for.
    pub(super) const fn wanted(&self) -> PollFlags {
        match self.state {
            State::Writing { .. } => PollFlags::OUT,
            State::Reading(_) | State::Following(_) | State::Over => PollFlags::IN,
        }
    }

    /// Does what can be done; false: it is over.
    pub(super) fn go_on(&mut self, is_ready: bool, now: Instant, service: &Service<'_>) -> bool {
        let was_writing = matches!(self.state, State::Writing { .. });
        let state = std::mem::replace(&mut self.state, State::Over);
        self.state = match state {
            State::Reading(text) if is_ready => self.read(text, service),
            State::Following(_) if is_ready && self.has_hung_up() => State::Over,
            State::Following(place) => self.follow(place, service),
            state @ (State::Reading(_) | State::Writing { .. } | State::Over) => state,
        };
        if let State::Writing { .. } = self.state {
            if !was_writing {
                self.deadline = now + ANSWER_TIME;
            }
            self.write(now, service);
        }
        let is_late = now >= self.deadline && !self.is_following();
        !is_late && !matches!(self.state, State::Over)
    }

    fn read(&self, mut text: Vec<u8>, service: &Service<'_>) -> State {
        let mut piece = [0; 1_024];
        loop {
            match self.stream.read(&mut piece) {
                Ok(0) => return State::Over,
                Ok(count) => text.extend(piece.get(..count).unwrap_or_default()),
                Err(error) if error.kind() == ErrorKind::WouldBlock => return State::Reading(text),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(_) => return State::Over,
            }
            if let Some(state) = self.answer(&text, service) {
                return state;
            }
        }
    }

    /// The answer, as soon as there is a whole request.
    fn answer(&self, text: &[u8], service: &Service<'_>) -> Option<State> {
        match &self.stream {
            Stream::Metrics(_) => {
                let text = super::http::answer(text, service.metrics)?;
                Some(State::Writing { text, gone: 0, follow: None })
            }
            Stream::Control(_) => {
                let end = text.iter().position(|&b| b == b'\n');
                if end.is_none() && text.len() <= REQUEST_MAX {
                    return None;
                }
                let line = end.filter(|end| *end <= REQUEST_MAX).and_then(|end| text.get(..end));
                let Some(line) = line.and_then(|line| std::str::from_utf8(line).ok()) else {
                    let why = "expected a line of text of at most 4096 bytes";
                    let text = Answer::refused(Mode::default(), why).into_bytes();
                    return Some(State::Writing { text, gone: 0, follow: None });
                };
                let answer = (service.answer)(&Request::parse(line, self.user));
                let follow = answer.is_followed.then(|| service.backlog.end());
                Some(State::Writing { text: answer.into_bytes(), gone: 0, follow })
            }
        }
    }

    fn write(&mut self, now: Instant, service: &Service<'_>) {
        let State::Writing { text, gone, follow } = &mut self.state else { return };
        loop {
            let rest = text.get(*gone..).unwrap_or_default();
            if rest.is_empty() {
                break;
            }
            match self.stream.write(rest) {
                Ok(count) => *gone += count,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(_) => {
                    self.state = State::Over;
                    return;
                }
            }
        }
        // The time is for each piece of the log anew, for all of an answer once.
        self.deadline = now + ANSWER_TIME;
        self.state = match *follow {
            Some(place) => self.follow(place, service),
            None => State::Over,
        };
    }

    /// The events behind this place, if there are any.
    fn follow(&self, place: u64, service: &Service<'_>) -> State {
        let (mut text, next, lost) = service.backlog.from(place, FOLLOWED_AT_ONCE);
        if lost > 0 {
            let note = format!("(left out: {lost} bytes of the log)\n");
            text.splice(..0, note.into_bytes());
        }
        if text.is_empty() {
            return State::Following(next);
        }
        State::Writing { text, gone: 0, follow: Some(next) }
    }

    /// Whoever follows has nothing more to say.
    fn has_hung_up(&self) -> bool {
        match self.stream.read(&mut [0; 64]) {
            Ok(count) => count == 0,
            Err(error) => error.kind() != ErrorKind::WouldBlock,
        }
    }
}

/// Who is at the other end. Whoever cannot be told who they are may only look.
fn user_of(stream: &UnixStream) -> u32 {
    socket_peercred(stream).map_or(NOBODY, |peer| peer.uid.as_raw())
}

/// Whether this user may do all that can be done here: root, and whoever runs the filter.
pub(in crate::front) fn is_trusted(user: u32) -> bool {
    user == 0 || user == rustix::process::geteuid().as_raw()
}

impl AsFd for Session {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match &self.stream {
            Stream::Control(stream) => stream.as_fd(),
            Stream::Metrics(stream) => stream.as_fd(),
        }
    }
}

impl Stream {
    fn read(&self, piece: &mut [u8]) -> io::Result<usize> {
        match &self {
            Self::Control(stream) => (&mut &*stream).read(piece),
            Self::Metrics(stream) => (&mut &*stream).read(piece),
        }
    }

    fn write(&self, text: &[u8]) -> io::Result<usize> {
        match &self {
            Self::Control(stream) => (&mut &*stream).write(text),
            Self::Metrics(stream) => (&mut &*stream).write(text),
        }
    }
}

/// Nobody's number.
const NOBODY: u32 = u32::MAX;

/// Bytes of a request, its line end not counted.
const REQUEST_MAX: usize = 4_096;

/// For a request to come in.
const REQUEST_TIME: Duration = Duration::from_secs(5);

/// For whoever collects metrics to ask.
const HTTP_TIME: Duration = Duration::from_secs(2);

/// For an answer, or a piece of the log, to be taken.
const ANSWER_TIME: Duration = Duration::from_secs(5);

/// Bytes of the log that are copied at once for one who follows.
const FOLLOWED_AT_ONCE: usize = 64 << 10;
