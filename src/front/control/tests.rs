//! The server against clients that are honest, slow, endless or many.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use std::{fs, thread};

use rustix::process::{Pid, getpid};

use super::server::has_room;
use super::session::Session;
use super::*;

#[expect(clippy::disallowed_methods, reason = "how long others may keep a place")]
fn now() -> Instant {
    Instant::now()
}

/// A socket's path that is gone when the test is over.
struct Place(PathBuf);

impl Place {
    fn new(name: &str) -> Self {
        Self(std::env::temp_dir().join(format!("mailguard-{name}-{}.socket", std::process::id())))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

/// Serves while the test plays.
fn serving(name: &str, metrics: Option<TcpListener>, play: impl FnOnce(&Path, &Backlog)) {
    let place = Place::new(name);
    let listener = Listener::open(&place.0, None, None).unwrap();
    let backlog = Backlog::default();
    let (mut server, waker) = Server::new(Some(listener), metrics).unwrap();
    server.take_place();
    thread::scope(|scope| {
        scope.spawn(|| {
            server.serve(&Service {
                answer: &|request| match request.words.as_str() {
                    "huge" => Answer::text(Mode::Exec, "a line of the answer\n".repeat(100_000)),
                    "follow" => Answer { is_followed: true, ..Answer::text(Mode::Exec, "") },
                    words => Answer::text(Mode::Exec, format!("{words} {}", request.user)),
                },
                metrics: &|| "# EOF\n".to_owned(),
                backlog: &backlog,
            });
        });
        let _waker = waker;
        play(&place.0, &backlog);
    });
}

fn connect(path: &Path) -> UnixStream {
    let stream = UnixStream::connect(path).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    stream
}

/// Asks; what is answered, or that one was turned away at the door.
fn ask(path: &Path, line: &str) -> String {
    let mut stream = connect(path);
    let mut answer = String::new();
    let asked = stream.write_all(line.as_bytes()).and_then(|()| stream.read_to_string(&mut answer));
    if asked.is_err() { "turned away".to_owned() } else { answer }
}

#[test]
fn who_asks_is_answered_and_known_by_the_kernel() {
    serving("honest", None, |path, _| {
        let user = rustix::process::geteuid().as_raw();
        assert_eq!(ask(path, "status\n"), format!("ok exec\nstatus {user}\n"));
        assert_eq!(ask(path, "--json --place=config a b\n"), format!("ok exec\na b {user}\n"));
        // In pieces, too.
        let mut stream = connect(path);
        for piece in ["st", "at", "us\nmore"] {
            stream.write_all(piece.as_bytes()).unwrap();
        }
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        assert_eq!(answer, format!("ok exec\nstatus {user}\n"));
        let mode = fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode, fs::metadata(path).unwrap().uid()), (0o660, user));
    });
}

#[test]
fn the_endless_the_slow_and_the_many_do_not_keep_others_from_their_answers() {
    serving("rude", None, |path, _| {
        // A request without an end.
        let mut endless = connect(path);
        let _ = endless.write_all(&[b'x'; 8_192]);
        let mut answer = String::new();
        let _ = endless.read_to_string(&mut answer);
        assert!(answer.is_empty() || answer.starts_with("error exec\nexpected a line"), "{answer}");
        assert!(ask(path, "\u{ff}\n").starts_with("ok "));
        // Who says nothing takes one of 16 places, for five seconds.
        let began = now();
        let mut silent: Vec<_> = (0..16).map(|_| connect(path)).collect();
        let refused = (0..100).map(|_| ask(path, "status\n")).find(|one| !one.starts_with("ok "));
        let refused = refused.unwrap();
        let said = "error exec\ntoo many connections: try again\n";
        assert!(refused == said || refused == "turned away", "{refused}");
        silent.drain(..8);
        let is_answered = (0..3_000).any(|_| {
            thread::sleep(Duration::from_millis(20));
            ask(path, "status\n").starts_with("ok ")
        });
        assert!(is_answered, "there is room, and nobody is let in");
        for mut stream in silent {
            assert_eq!(stream.read_to_end(&mut Vec::new()).unwrap(), 0);
        }
        assert!(began.elapsed() > Duration::from_secs(4));
        // Who does not take the answer is left.
        let mut lazy = connect(path);
        lazy.write_all(b"huge\n").unwrap();
        assert!(ask(path, "status\n").starts_with("ok "));
    });
}

#[test]
fn who_may_only_look_keeps_nobody_out_who_may_do_more() {
    let session = |user: u32| {
        let (stream, _) = UnixStream::pair().unwrap();
        Session::control(stream, now()).unwrap().of(user)
    };
    let (root, looker) = (0, 1_234_567);
    let mut sessions: Vec<_> = (0..12).map(|_| session(looker)).collect();
    assert!(has_room(&sessions[1..], &session(looker)));
    assert!(!has_room(&sessions, &session(looker)));
    for _ in 0..4 {
        assert!(has_room(&sessions, &session(root)));
        sessions.push(session(root));
    }
    assert!(!has_room(&sessions, &session(root)), "16 are the most");
}

#[test]
fn an_answer_is_bounded_and_says_so() {
    serving("huge", None, |path, _| {
        let answer = ask(path, "huge\n");
        assert!(answer.len() <= ANSWER_MAX && answer.len() > ANSWER_MAX - 100, "{}", answer.len());
        assert!(answer.ends_with(CUT), "{:?}", &answer[answer.len() - 100..]);
    });
}

#[test]
fn who_follows_gets_lines_as_they_come() {
    serving("follow", None, |path, backlog| {
        backlog.add(b"before\n");
        let mut stream = connect(path);
        stream.write_all(b"follow\n").unwrap();
        let mut lines = BufReader::new(stream).lines().map(Result::unwrap);
        assert_eq!(lines.next().unwrap(), "ok exec");
        backlog.add(b"one\ntwo\n");
        assert_eq!((lines.next().unwrap(), lines.next().unwrap()), ("one".into(), "two".into()));
        backlog.add(b"three\n");
        assert_eq!(lines.next().unwrap(), "three");
    });
}

#[test]
fn metrics_are_handed_over_by_http() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    serving("http", Some(listener), |_, _| {
        let mut stream = TcpStream::connect(address).unwrap();
        stream.write_all(b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        assert!(answer.starts_with("HTTP/1.1 200 OK\r\n") && answer.ends_with("\r\n\r\n# EOF\n"));
    });
}

/// Anybody may connect, and nobody who is silent keeps the collector out.
#[test]
fn who_asks_for_metrics_has_the_place_of_who_does_not() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    serving("silent", Some(listener), |_, _| {
        let _silent: Vec<_> = (0..40).map(|_| TcpStream::connect(address).unwrap()).collect();
        let mut stream = TcpStream::connect(address).unwrap();
        stream.write_all(b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        assert!(answer.ends_with("\r\n\r\n# EOF\n"), "{answer}");
    });
}

#[test]
fn a_socket_that_was_left_behind_is_replaced_and_one_in_use_is_not() {
    let place = Place::new("stale");
    let left = std::os::unix::net::UnixListener::bind(&place.0).unwrap();
    let error = Listener::open(&place.0, None, None).unwrap_err().to_string();
    assert!(error.contains("cannot listen at /"), "{error}");
    drop(left);
    // A process that another test is starting may hold it for a moment.
    let mut openings = (0..1_000).map(|_| {
        thread::sleep(Duration::from_millis(5));
        Listener::open(&place.0, None, None)
    });
    let mut listener = openings.find_map(Result::ok).expect("nobody listens");
    listener.take_place().unwrap();
    UnixStream::connect(&place.0).unwrap();
    // Another filter, of other queues, is not taken over from.
    let other = Pid::from_raw(1).unwrap();
    Listener::open(&place.0, None, Some(other)).unwrap_err();
    // Who wants to take over and fails leaves it where it is.
    drop(Listener::open(&place.0, None, Some(getpid())).unwrap());
    UnixStream::connect(&place.0).unwrap();
    let mut successor = Listener::open(&place.0, None, Some(getpid())).unwrap();
    successor.take_place().unwrap();
    drop(listener);
    UnixStream::connect(&place.0).unwrap();
    drop(successor);
    assert!(!place.0.exists());
    fs::write(&place.0, "a file").unwrap();
    assert!(Listener::open(&place.0, None, None).is_err());
    assert_eq!(fs::read(&place.0).unwrap(), b"a file");
    let error = group_named("no such group").unwrap_err().to_string();
    let expected = "control.group: `no such group` found, expected a group of this machine";
    assert_eq!(error, expected);
}
