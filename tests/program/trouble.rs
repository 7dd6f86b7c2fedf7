//! What goes wrong around a filter: a full disk, a log that nobody reads or that is gone, a filter
//! that hangs, a wall clock that steps. It keeps filtering, says what is lost, and takes up again
//! what it can.

use std::fs::{self, File};
use std::io::Read;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::unix::fs::FileExt;
use std::time::Duration;

use socket2::{Domain, SockAddr, Socket, Type};

use crate::ctl::{Client, serve};
use crate::run::{Filter, NEEDS, is_soon, mailguard, shell, succeed, verify};
use crate::sealed::sealed;

const LOCAL: [&str; 2] = ["--set", "rules.local=true"];

/// A filter of mail on this machine, with its event log.
fn start(events: &str) -> Filter {
    succeed(&["rules", "up", LOCAL[0], LOCAL[1]]);
    Filter::start(&["--events", events, LOCAL[0], LOCAL[1]])
}

/// Whether a refused command is still masked on its way.
fn filters() {
    assert_eq!(verify("127.0.0.1"), "XXXXXXXXX\r\n");
}

/// Whether entries of the log are lost by now; it filters meanwhile.
fn has_lost_some() -> bool {
    filters();
    let stats = String::from_utf8(mailguard(&["ctl", "stats"]).stdout).unwrap();
    let mut rows = stats.lines().map(|line| line.split_whitespace());
    rows.find_map(|mut row| (row.next() == Some("events_lost")).then(|| row.next()))
        .flatten()
        .is_some_and(|count| count.parse::<u64>().unwrap() > 0)
}

/// Whether it says so of its log.
fn tells_of(trouble: &str) -> bool {
    let status = String::from_utf8(mailguard(&["ctl", "status"]).stdout).unwrap();
    status.contains(&format!("\nevent log: {trouble}\n"))
}

/// Whether who looks at all of the machine is told.
fn is_found(trouble: &str) -> bool {
    let said = String::from_utf8(mailguard(&["check", LOCAL[0], LOCAL[1]]).stdout).unwrap();
    said.contains(&format!("\nwrong  running filter: event log: {trouble}\n"))
}

const UNWRITTEN: &str = "it cannot be written, and entries are lost";

const OUTDATED: &str = "it could not be opened anew, and the old one is written to";

#[test]
fn on_a_full_disk_it_filters_and_writes_on_when_there_is_room() {
    sealed(NEEDS, || {
        assert!(shell("mkdir /run/disk && mount -t tmpfs -o size=8k tmpfs /run/disk"));
        let filter = start("/run/disk/events");
        assert!(!shell("cat /dev/zero >/run/disk/full 2>/dev/null"), "the disk is not full");
        assert!(is_soon(has_lost_some), "nothing is lost");
        assert!(is_soon(|| tells_of(UNWRITTEN)) && is_found(UNWRITTEN));
        fs::remove_file("/run/disk/full").unwrap();
        let has_events = || {
            filters();
            fs::metadata("/run/disk/events").unwrap().len() > 0
        };
        assert!(is_soon(has_events), "nothing is written");
        assert!(is_soon(|| !tells_of(UNWRITTEN)) && !is_found(UNWRITTEN));
        let said = filter.end("-TERM");
        for line in ["No space left on device", "events are written again", "events_lost: "] {
            assert!(said.contains(line), "{line} is not in {said}");
        }
    });
}

#[test]
fn a_reader_of_the_log_may_die_and_another_come() {
    sealed(NEEDS, || {
        assert!(shell("mkfifo /run/events"));
        let open = || File::options().read(true).write(true).open("/run/events").unwrap();
        let reader = open();
        let filter = start("/run/events");
        filters();
        drop(reader);
        assert!(is_soon(has_lost_some), "nothing is lost");
        let mut reader = open();
        filters();
        let mut event = [0; 16];
        reader.read_exact(&mut event).unwrap();
        let said = filter.end("-TERM");
        for line in ["Broken pipe", "events are written again"] {
            assert!(said.contains(line), "{line} is not in {said}");
        }
    });
}

#[test]
fn a_log_that_cannot_be_opened_anew_is_told() {
    sealed(NEEDS, || {
        let filter = start("/run/events");
        assert!(!tells_of(OUTDATED));
        fs::rename("/run/events", "/run/events.1").unwrap();
        fs::create_dir("/run/events").unwrap();
        filter.signal("-USR1");
        assert!(is_soon(|| tells_of(OUTDATED)) && is_found(OUTDATED));
        fs::remove_dir("/run/events").unwrap();
        filter.signal("-USR1");
        assert!(is_soon(|| !tells_of(OUTDATED)) && !is_found(OUTDATED));
        filter.end("-TERM");
    });
}

#[test]
fn a_folder_that_is_gone_ends_the_log_and_not_the_filter() {
    sealed(NEEDS, || {
        fs::create_dir("/run/log").unwrap();
        let filter = start("/run/log/events");
        fs::remove_dir_all("/run/log").unwrap();
        filter.signal("-HUP");
        for _ in 0..5 {
            filters();
        }
        let said = filter.end("-TERM");
        assert!(said.contains("No such file or directory"), "{said}");
    });
}

/// `--queue-bypass` is for a filter that is not there: one that hangs holds its packets.
#[test]
fn a_filter_that_hangs_lets_nothing_pass_even_if_it_fails_open() {
    sealed(NEEDS, || {
        let open = ["--set", "queue.fail=open"];
        succeed(&["rules", "up", LOCAL[0], LOCAL[1], open[0], open[1]]);
        let filter = Filter::start(&[LOCAL[0], LOCAL[1], open[0], open[1]]);
        filters();
        filter.stop();
        let address: SocketAddr = "127.0.0.2:25".parse().unwrap();
        let listener = TcpListener::bind(address).unwrap();
        let connect = || TcpStream::connect_timeout(&address, Duration::from_millis(300));
        assert!(connect().is_err(), "it passed");
        filter.signal("-CONT");
        assert!(is_soon(|| connect().is_ok()), "nothing passes any more");
        drop(listener);
        filter.end("-TERM");
        // While there is none, mail passes unread.
        assert_eq!(verify("127.0.0.1"), "VRFY root\r\n");
    });
}

/// Connects to the control socket until nobody more may wait there to be served.
fn crowd() {
    let address = SockAddr::unix("/run/mailguard/control").unwrap();
    let connect = || {
        let socket = Socket::new(Domain::UNIX, Type::STREAM, None).unwrap();
        socket.set_nonblocking(true).unwrap();
        socket.connect(&address)
    };
    while connect().is_ok() {}
}

#[test]
fn a_filter_that_hangs_is_named_and_keeps_nobody_waiting() {
    sealed(NEEDS, || {
        fs::write("/proc/sys/net/core/somaxconn", "4").unwrap();
        succeed(&["rules", "up", LOCAL[0], LOCAL[1]]);
        let filter = Filter::start(&LOCAL);
        let silence = "no answer from /run/mailguard/control: the filter says nothing for";
        let found = || {
            let output = mailguard(&["check", "--brief", LOCAL[0], LOCAL[1]]);
            let said = String::from_utf8(output.stdout).unwrap();
            let is_wrong = |what: &str| said.contains(&format!("wrong  {what}"));
            let queue = is_wrong("queue 0: its filter answers no packet, ");
            let control = is_wrong(&format!("running filter: {silence} 5 seconds\n"));
            assert!(output.status.code() == Some(1) || !(queue || control), "{said}");
            (queue, control)
        };
        filters();
        assert_eq!(found(), (false, false));
        filter.stop();
        assert!(found().1);
        let address: SocketAddr = "127.0.0.1:25".parse().unwrap();
        TcpStream::connect_timeout(&address, Duration::from_millis(300)).unwrap_err();
        assert_eq!(found(), (true, true));
        for _ in 0..2 {
            let output = mailguard(&["ctl", "status"]);
            let said = String::from_utf8(output.stderr).unwrap();
            assert_eq!(said, format!("mailguard: {silence} 10 seconds\n"));
            assert_eq!(output.status.code(), Some(2));
            crowd();
        }
        let output = mailguard(&["run", "--take-over", LOCAL[0], LOCAL[1]]);
        assert_eq!(output.status.code(), Some(2));
        let said = String::from_utf8(output.stderr).unwrap();
        let id = filter.id();
        let expected = format!(
            "mailguard: cannot take over queue 0: its filter does not answer: expected one that \
             runs (`kill -KILL {id}` ends it; then start without --take-over)\n"
        );
        assert!(said.ends_with(&expected), "{said}");
        assert!(said.contains(&format!("asking process {id} for queue 0\n")), "{said}");
        filter.signal("-CONT");
        assert!(is_soon(|| found() == (false, false)), "it is named though it goes on");
        filters();
        let said = filter.end("-TERM");
        assert!(said.contains("going on, since nobody has taken over: "), "{said}");
    });
}

/// A wall clock for one program alone, which is ahead by as many seconds as a file says.
const CLOCK: &str = "
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>
static volatile long *ahead;
__attribute__((constructor)) static void begin(void) {
    int file = open(getenv(\"AHEAD\"), O_RDONLY);
    ahead = mmap(0, sizeof *ahead, PROT_READ, MAP_SHARED, file, 0);
    close(file);
}
int clock_gettime(clockid_t id, struct timespec *time) {
    int failed = syscall(SYS_clock_gettime, id, time);
    if (!failed && id == CLOCK_REALTIME) time->tv_sec += *ahead;
    return failed;
}
";

#[test]
fn a_wall_clock_that_steps_by_a_day_moves_dates_and_nothing_else() {
    sealed(NEEDS, || {
        fs::write("/run/clock.c", CLOCK).unwrap();
        assert!(shell("cc -shared -fPIC -o /run/clock.so /run/clock.c"), "no C compiler");
        // Never shorter: the filter looks at any moment.
        let clock = File::options().write(true).create(true).truncate(false).open("/run/ahead");
        let clock = clock.unwrap();
        let set = |seconds: i64| clock.write_all_at(&seconds.to_ne_bytes(), 0).unwrap();
        set(0);
        succeed(&["rules", "up", LOCAL[0], LOCAL[1]]);
        let environment = [("LD_PRELOAD", "/run/clock.so"), ("AHEAD", "/run/ahead")];
        let words = ["--events", "/run/events", "--format", "json", LOCAL[0], LOCAL[1]];
        let filter = Filter::start_in(&environment, &words);
        serve();
        let (mut old, _) = Client::connect();
        for (number, ahead) in [0, 86_400, -86_400, 0].into_iter().enumerate() {
            set(ahead);
            let line = format!("VRFY {number}");
            // Who was there before goes on as who comes now does.
            assert_eq!(old.say(&line), "500 what?");
            let (mut new, _) = Client::connect();
            assert_eq!(
                (new.say(&line).as_str(), new.say("NOOP").as_str()),
                ("500 what?", "250 ok")
            );
            let dates = || {
                let log = fs::read_to_string("/run/events").unwrap();
                let entries = log.lines().filter(|entry| entry.contains(&line));
                let dates = entries.map(|entry| {
                    let entry: serde_json::Value = serde_json::from_str(entry).unwrap();
                    entry["time"].as_str().unwrap().parse::<jiff::Timestamp>().unwrap()
                });
                dates.collect::<Vec<_>>()
            };
            // Of each of the two the line, and what became of it.
            assert!(is_soon(|| dates().len() == 4), "{:?}", dates());
            let now = jiff::Timestamp::now().as_second() + ahead;
            for date in dates() {
                assert!(date.as_second().abs_diff(now) < 3_600, "{date}, {ahead} s ahead");
            }
        }
        let flows = String::from_utf8(mailguard(&["ctl", "--json", "flows"]).stdout).unwrap();
        assert!(flows.contains("\"id\":1,"), "{flows}");
        let said = filter.end("-TERM");
        assert!(!said.contains("alarms: ") && !said.contains("resets: "), "{said}");
    });
}
