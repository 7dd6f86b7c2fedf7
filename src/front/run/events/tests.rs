//! The log keeps order, loses nothing without counting it, and holds nobody up.

use std::fs;
use std::os::unix::net::UnixDatagram;
use std::path::PathBuf;
use std::process::Command;

use super::*;
use crate::engine::What;
use crate::event::Format;
use crate::flow::Endpoint;

fn record(flow: u64) -> Record {
    let end = Endpoint { address: [192, 0, 2, 1].into(), port: 25 };
    let (originator, responder) = (end, end);
    let at = crate::time::Instant::from_micros(0);
    Record { at, flow, originator, responder, what: What::Opened, message: None }
}

/// A file that is gone when the test is over.
struct Place(PathBuf);

impl Place {
    fn new(name: &str) -> Self {
        let name = format!("mailguard-events-{name}-{}", std::process::id());
        Self(std::env::temp_dir().join(name))
    }

    fn log(&self, bytes_per_second: u64) -> Log {
        let events = Some(self.0.to_str().unwrap().to_owned());
        Log { events, format: Format::Json, bytes_per_second }
    }

    /// The same for a daemon that listens there.
    fn daemon(&self, word: &str) -> Log {
        let events = Some(format!("{word}:{}", self.0.display()));
        Log { events, format: Format::Text, bytes_per_second: 1 << 30 }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

#[test]
fn every_record_is_written_before_the_end() {
    let place = Place::new("all");
    let (events, writer) = Events::open(&place.log(1 << 30)).unwrap();
    let finished = writer.unwrap().start().unwrap();
    events.push((0..1_000).map(record));
    events.reopen();
    events.push((0..1_000).map(record));
    events.end(&finished);
    let written = fs::read_to_string(&place.0).unwrap();
    assert_eq!((written.lines().count(), events.lost()), (2_000, 0));
}

#[test]
fn what_does_not_fit_is_counted_and_nothing_waits() {
    let place = Place::new("full");
    let (events, writer) = Events::open(&place.log(1 << 30)).unwrap();
    events.push((0..20_000).map(record));
    assert_eq!(events.lost(), 20_000 - 16_384);
    drop(writer);
}

#[test]
fn without_a_log_nothing_is_lost() {
    let log = Log { events: None, format: Format::Text, bytes_per_second: 1 };
    let (events, writer) = Events::open(&log).unwrap();
    events.push((0..9).map(record));
    assert_eq!((events.lost(), writer.is_none()), (0, true));
}

#[test]
fn what_the_bound_leaves_out_is_said_and_every_record_is_counted() {
    let place = Place::new("bound");
    let (events, writer) = Events::open(&place.log(10_000)).unwrap();
    let finished = writer.unwrap().start().unwrap();
    events.push((0..5_000).map(record));
    events.end(&finished);
    let written = fs::read_to_string(&place.0).unwrap();
    let (said, entries): (Vec<_>, Vec<_>) = written.lines().partition(|line| is_left_out(line));
    let count = |line: &&str| -> u64 {
        let (_, count) = line.rsplit_once("\"entries\":").unwrap();
        count.trim_end_matches('}').parse().unwrap()
    };
    assert_eq!(said.iter().map(count).sum::<u64>(), events.left_out());
    assert!(is_left_out(written.lines().last().unwrap()));
    assert_eq!(entries.len() as u64 + events.left_out(), 5_000);
    // A slow machine may take some seconds.
    assert!(written.len() < 120_000, "{} bytes", written.len());
    assert_eq!(events.lost(), 0);
}

fn is_left_out(line: &str) -> bool {
    line.contains("\"event\":\"left-out\"")
}

#[test]
fn entries_that_never_stop_do_not_keep_the_next_second_from_its_bytes() {
    let place = Place::new("flood");
    let (_events, writer) = Events::open(&place.log(1_000)).unwrap();
    let mut writer = writer.unwrap();
    let goes_on = || {
        let written = fs::read_to_string(&place.0).unwrap();
        written.lines().skip_while(|line| !is_left_out(line)).count() > 1
    };
    for number in 0.. {
        writer.write(&record(number));
        if number.is_multiple_of(LEFT_OUT_LOOK) && goes_on() {
            return;
        }
        assert!(writer.start.elapsed() < Duration::from_secs(60), "nothing more is written");
    }
}

#[test]
fn a_reader_that_takes_nothing_does_not_hold_the_end_up() {
    let place = Place::new("stalled");
    assert!(Command::new("mkfifo").arg(&place.0).status().unwrap().success());
    let (events, writer) = Events::open(&place.log(1 << 30)).unwrap();
    let finished = writer.unwrap().start().unwrap();
    events.push((0..10_000).map(record));
    events.end(&finished);
    // The FIFO itself takes 64 KiB; what the writer had in hand is not known to have arrived.
    assert!((8_000..=10_000).contains(&events.lost()), "{} lost", events.lost());
}

#[test]
fn every_kind_of_failure_to_write_is_counted() {
    // A full disk, for whoever writes to it.
    let target = Target::File {
        path: "/dev/full".to_owned(),
        file: fs::OpenOptions::new().write(true).open("/dev/full").unwrap(),
        is_torn: false,
    };
    let place = Place::new("failing");
    let (events, writer) = Events::open(&place.log(1 << 30)).unwrap();
    let finished = Writer { target, ..writer.unwrap() }.start().unwrap();
    events.push((0..100).map(record));
    events.end(&finished);
    assert_eq!(events.lost(), 100);
}

/// What a daemon has been sent by now.
fn received(daemon: &UnixDatagram) -> Vec<String> {
    daemon.set_nonblocking(true).unwrap();
    let mut datagram = [0; 9_000];
    let mut all = Vec::new();
    while let Ok(length) = daemon.recv(&mut datagram) {
        all.push(String::from_utf8(datagram[..length].to_vec()).unwrap());
    }
    all
}

#[test]
fn a_daemon_gets_an_entry_a_datagram_and_the_backlog_has_lines() {
    let sender = std::process::id();
    let tail = format!(" mailguard[{sender}]: A connection was accepted from 192.0.2.1");
    for (word, begin, end) in [
        ("syslog", "<22>", tail.as_str()),
        ("journald", "MESSAGE=A connection was accepted from 192.0.2.1\nPRIORITY=6\n", ":25\n"),
    ] {
        let place = Place::new(word);
        let daemon = UnixDatagram::bind(&place.0).unwrap();
        let (events, writer) = Events::open(&place.daemon(word)).unwrap();
        let finished = writer.unwrap().start().unwrap();
        // As many as wait in a socket where nobody has set another number.
        events.push((0..8).map(record));
        events.end(&finished);
        let got = received(&daemon);
        assert_eq!((got.len(), events.lost()), (8, 0), "{word}");
        for one in &got {
            assert!(one.starts_with(begin) && one.ends_with(end), "{one}");
        }
        let lines = events.backlog().last(100);
        assert_eq!(lines.iter().filter(|&&byte| byte == b'\n').count(), 8, "{word}");
    }
}

#[test]
fn what_a_daemon_does_not_take_in_time_is_lost_and_counted() {
    let place = Place::new("deaf");
    let daemon = UnixDatagram::bind(&place.0).unwrap();
    let (events, writer) = Events::open(&place.daemon("syslog")).unwrap();
    let finished = writer.unwrap().start().unwrap();
    events.push((0..1_000).map(record));
    events.end(&finished);
    let taken = received(&daemon).len() as u64;
    assert!(taken > 0, "nothing was sent");
    assert_eq!(taken + events.lost(), 1_000, "{taken} taken");
    assert!(events.lost() > 0, "the socket takes everything");
}

#[test]
fn a_daemon_that_comes_back_is_found_again() {
    let place = Place::new("again");
    let bind = || UnixDatagram::bind(&place.0).unwrap();
    let daemon = bind();
    let (events, writer) = Events::open(&place.daemon("syslog")).unwrap();
    let finished = writer.unwrap().start().unwrap();
    drop(daemon);
    events.push((0..3).map(record));
    events.settle();
    assert_eq!(events.lost(), 3);
    fs::remove_file(&place.0).unwrap();
    events.push((0..3).map(record));
    events.settle();
    assert_eq!(events.lost(), 6);
    let daemon = bind();
    events.push((0..3).map(record));
    events.end(&finished);
    assert_eq!((events.lost(), received(&daemon).len()), (6, 3));
    // At the start somebody has to be there.
    let refused = Events::open(&Place::new("nobody").daemon("journald")).unwrap_err().to_string();
    assert!(refused.starts_with("cannot send events to /") && refused.contains("No such file"));
}
