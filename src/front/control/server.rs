//! The loop that serves everybody who is connected.

use std::io::{ErrorKind, Read, Write};
use std::net::TcpListener;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::time::Instant;

use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::session::Session;
use super::{Answer, Backlog, Listener, Request};
use crate::front::FrontError;

/// What is asked and who answers.
pub(in crate::front) struct Service<'s> {
    /// Answers a request of the control socket.
    pub(in crate::front) answer: &'s dyn Fn(&Request) -> Answer,
    /// The metrics as they are now.
    pub(in crate::front) metrics: &'s dyn Fn() -> String,
    /// The last lines of the event log.
    pub(in crate::front) backlog: &'s Backlog,
}

/// Everything that is listened at.
#[derive(Debug)]
pub(in crate::front) struct Server {
    control: Option<Listener>,
    metrics: Option<TcpListener>,
    end: UnixStream,
}

/// Ends a server when dropped.
#[derive(Debug)]
pub(in crate::front) struct Waker(UnixStream);

impl Drop for Waker {
    fn drop(&mut self) {
        let _ = self.0.write(&[0]);
    }
}

impl Server {
    /// A server, and what ends it.
    pub(in crate::front) fn new(
        control: Option<Listener>,
        metrics: Option<TcpListener>,
    ) -> Result<(Self, Waker), FrontError> {
        let failed = |error| FrontError::io("cannot prepare the control socket", error);
        if let Some(metrics) = &metrics {
            metrics.set_nonblocking(true).map_err(failed)?;
        }
        let (end, waker) = UnixStream::pair().map_err(failed)?;
        end.set_nonblocking(true).map_err(failed)?;
        Ok((Self { control, metrics, end }, Waker(waker)))
    }

    /// From here on the control socket is ours, whoever's it was.
    pub(in crate::front) fn take_place(&mut self) {
        if let Some(Err(error)) = self.control.as_mut().map(Listener::take_place) {
            log::warn!("the control socket is where nobody looks for it: {error}");
        }
    }

    /// The control socket's place is a successor's, or is about to be.
    pub(in crate::front) fn leave_place(&mut self) {
        if let Some(control) = &mut self.control {
            control.leave_place();
        }
    }

    /// Serves until the waker is gone.
    pub(in crate::front) fn serve(&self, service: &Service<'_>) {
        let mut sessions: Vec<Session> = Vec::new();
        loop {
            let ready = self.wait(&sessions);
            if (&self.end).read(&mut [0]).is_ok() {
                return;
            }
            let now = now();
            let mut at = 0;
            sessions.retain_mut(|session| {
                let is_ready = ready.get(at).copied().unwrap_or(false);
                at += 1;
                session.go_on(is_ready, now, service)
            });
            self.accept(&mut sessions, now);
        }
    }

    /// Waits for somebody to say or take something; who of the sessions does.
    fn wait(&self, sessions: &[Session]) -> Vec<bool> {
        // Who waits at the door of as many as are served would be seen at once, again and again.
        let metrics = self.metrics.as_ref().filter(|_| has_place_to_collect(sessions));
        let listeners = [
            Some(self.end.as_fd()),
            self.control.as_ref().map(AsFd::as_fd),
            metrics.map(AsFd::as_fd),
        ];
        let listeners: Vec<BorrowedFd<'_>> = listeners.into_iter().flatten().collect();
        let mut polled: Vec<PollFd<'_>> = listeners
            .iter()
            .map(|listener| PollFd::from_borrowed_fd(*listener, PollFlags::IN))
            .chain(sessions.iter().map(|one| PollFd::from_borrowed_fd(one.as_fd(), one.wanted())))
            .collect();
        let patience = if sessions.iter().any(Session::is_following) {
            Some(FOLLOWING)
        } else {
            // Somebody's time may run out.
            (!sessions.is_empty()).then_some(CONNECTED)
        };
        // An error is an interruption, and everything is looked at anyway.
        let _ = poll(&mut polled, patience.as_ref());
        polled.iter().skip(listeners.len()).map(|one| !one.revents().is_empty()).collect()
    }

    fn accept(&self, sessions: &mut Vec<Session>, now: Instant) {
        // So many at once and no more, so that a crowd at the door does not keep those inside.
        for _ in 0..SESSIONS_MAX {
            match self.control.as_ref().map(Listener::accept) {
                Some(Ok(stream)) => match Session::control(stream, now) {
                    Ok(session) if has_room(sessions, &session) => sessions.push(session),
                    Ok(session) => session.turn_away(),
                    Err(_) => {}
                },
                Some(Err(error)) if error.kind() == ErrorKind::Interrupted => {}
                Some(Err(_)) | None => break,
            }
        }
        for _ in 0..COLLECTORS_MAX {
            if !has_place_to_collect(sessions) {
                break;
            }
            match self.metrics.as_ref().map(TcpListener::accept) {
                Some(Ok((stream, _))) => {
                    make_room_to_collect(sessions);
                    sessions.extend(Session::metrics(stream, now));
                }
                Some(Err(_)) | None => break,
            }
        }
    }
}

/// Whether one more collector of metrics is served.
fn has_place_to_collect(sessions: &[Session]) -> bool {
    !are_all_there(sessions) || sessions.iter().any(Session::is_silent_collector)
}

/// The first who has asked for nothing yet goes, or a few who never ask would keep everybody out.
fn make_room_to_collect(sessions: &mut Vec<Session>) {
    if are_all_there(sessions)
        && let Some(at) = sessions.iter().position(Session::is_silent_collector)
    {
        sessions.remove(at);
    }
}

fn are_all_there(sessions: &[Session]) -> bool {
    sessions.iter().filter(|one| !one.is_control()).count() >= COLLECTORS_MAX
}

/// Whether one more connection to the control socket is served.
pub(super) fn has_room(sessions: &[Session], newcomer: &Session) -> bool {
    let others = sessions.iter().filter(|one| one.is_control());
    let lookers = others.clone().filter(|one| !one.is_trusted());
    others.count() < SESSIONS_MAX && (newcomer.is_trusted() || lookers.count() < LOOKERS_MAX)
}

#[expect(clippy::disallowed_methods, reason = "this front owns the clock")]
fn now() -> Instant {
    Instant::now()
}

/// Connections to the control socket at once.
const SESSIONS_MAX: usize = 16;

/// Those among them of users who may not do everything: so these keep nobody out who may.
const LOOKERS_MAX: usize = 12;

/// Connections of who collects metrics; where all have asked, further ones wait in the kernel.
const COLLECTORS_MAX: usize = 4;

/// How often the log is looked at for those who follow it.
const FOLLOWING: Timespec = millis(100);

/// How often deadlines are looked at.
const CONNECTED: Timespec = millis(250);

const fn millis(count: i64) -> Timespec {
    Timespec { tv_sec: 0, tv_nsec: count * 1_000_000 }
}
