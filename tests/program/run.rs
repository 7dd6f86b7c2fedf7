//! `mailguard run` against the real kernel queue, in namespaces of the test's own.

use std::fs;
use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::os::unix::fs::PermissionsExt;
use std::process::Stdio;
use std::process::{Child, ChildStderr, Command, Output};
use std::thread;
use std::time::Duration;

use socket2::{Domain, SockAddr, Socket, Type};

use crate::sealed::sealed;

/// The kernel's own list of queues.
const LISTING: &str = "/proc/net/netfilter/nfnetlink_queue";

/// Without which nothing here can be tested: in a user namespace nobody may read it.
pub(crate) const NEEDS: &[&str] = &["cat", LISTING];

/// A running filter.
pub(crate) struct Filter {
    child: Child,
    stderr: BufReader<ChildStderr>,
    said: String,
}

impl Filter {
    /// Starts one, and waits until it filters.
    pub(crate) fn start(words: &[&str]) -> Self {
        Self::start_in(&[], words)
    }

    /// The same with these in its environment besides.
    pub(crate) fn start_in(environment: &[(&str, &str)], words: &[&str]) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_mailguard"))
            .arg("run")
            .args(words)
            .envs(environment.iter().copied())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut stderr = BufReader::new(child.stderr.take().unwrap());
        let mut said = String::new();
        while !said.ends_with("ready\n") {
            assert_ne!(stderr.read_line(&mut said).unwrap(), 0, "ended at once: {said}");
        }
        Self { child, stderr, said }
    }

    /// The same, one that reads mail between this machine's own ends and has written entries into a
    /// pipe until nobody takes any more.
    fn start_stalled() -> (Self, fs::File) {
        let _ = fs::remove_file("/run/events");
        assert!(shell("mkfifo /run/events"));
        let reader = fs::OpenOptions::new().read(true).write(true).open("/run/events").unwrap();
        let filter = Self::start(&["--events", "/run/events", "--set", "rules.local=true"]);
        // A pipe holds 64 KiB; each dialogue says more than 500 bytes.
        for _ in 0..200 {
            assert_eq!(verify("127.0.0.1"), "XXXXXXXXX\r\n");
        }
        (filter, reader)
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn signal(&self, name: &str) {
        let id = self.id().to_string();
        assert!(Command::new("kill").args([name, &id]).status().unwrap().success());
    }

    /// Stops it, each of its threads.
    pub(crate) fn stop(&self) {
        self.signal("-STOP");
        let tasks = format!("/proc/{}/task", self.child.id());
        let is_stopped = |task: std::io::Result<fs::DirEntry>| {
            let status = fs::read_to_string(task.unwrap().path().join("status")).unwrap();
            status.contains("State:\tT")
        };
        let are_all = || fs::read_dir(&tasks).unwrap().all(is_stopped);
        assert!(is_soon(are_all), "it goes on");
    }

    /// Ends it with a signal; what it said in all.
    pub(crate) fn end(self, signal: &str) -> String {
        self.signal(signal);
        let (code, said) = self.await_end();
        assert_eq!(code, Some(0), "{said}");
        said
    }

    /// Waits until it has ended; its exit code, and what it said in all.
    fn await_end(mut self) -> (Option<i32>, String) {
        assert!(is_soon(|| self.child.try_wait().unwrap().is_some()), "it goes on");
        self.stderr.read_to_string(&mut self.said).unwrap();
        (self.child.wait().unwrap().code(), std::mem::take(&mut self.said))
    }
}

impl Drop for Filter {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A process that ends with the test.
struct Killed(Child);

impl Drop for Killed {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

pub(crate) fn mailguard(words: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_mailguard")).args(words).output().unwrap()
}

pub(crate) fn succeed(words: &[&str]) {
    let output = mailguard(words);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

pub(crate) fn shell(script: &str) -> bool {
    Command::new("sh").args(["-c", script]).status().unwrap().success()
}

/// Queue number and packets waiting, for every queue somebody serves.
fn listed() -> Vec<(u16, u64)> {
    let listing = fs::read_to_string(LISTING).unwrap();
    let columns = |line: &str| -> (u16, u64) {
        let words: Vec<&str> = line.split_whitespace().collect();
        (words[0].parse().unwrap(), words[2].parse().unwrap())
    };
    listing.lines().map(columns).collect()
}

/// Whether the fact comes to hold within a minute.
pub(crate) fn is_soon(mut fact: impl FnMut() -> bool) -> bool {
    (0..3_000).any(|_| {
        thread::sleep(Duration::from_millis(20));
        fact()
    })
}

/// A shortest possible mail dialogue; the replies the client saw.
fn converse(address: &str) -> String {
    let listener = TcpListener::bind((address, 25)).unwrap();
    let port: SocketAddr = listener.local_addr().unwrap();
    let server = thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        stream.write_all(b"220 ready\r\n").unwrap();
        let mut lines = BufReader::new(stream.try_clone().unwrap()).lines();
        assert_eq!(lines.next().unwrap().unwrap(), "NOOP");
        stream.write_all(b"250 ok\r\n").unwrap();
        assert_eq!(lines.next().unwrap().unwrap(), "QUIT");
        stream.write_all(b"221 bye\r\n").unwrap();
    });
    let mut client = TcpStream::connect(port).unwrap();
    client.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    let mut replies = BufReader::new(client.try_clone().unwrap());
    let mut seen = String::new();
    for command in ["NOOP\r\n", "QUIT\r\n"] {
        replies.read_line(&mut seen).unwrap();
        client.write_all(command.as_bytes()).unwrap();
    }
    replies.read_to_string(&mut seen).unwrap();
    server.join().unwrap();
    seen
}

#[test]
fn mail_passes_while_the_filter_runs_and_only_then() {
    sealed(NEEDS, || {
        succeed(&["rules", "up", "--queue", "0:1", "--set", "rules.local=true"]);
        let filter = Filter::start(&["--queue", "0:1", "--set", "queue.length=64"]);
        for line in ["filtering queue 0: profile mailguard, 64 packets, socket", "queue 1: "] {
            assert!(filter.said.contains(line), "{line} is not in {}", filter.said);
        }
        for address in ["127.0.0.1", "::1"] {
            let seen = converse(address);
            assert!(seen.starts_with("220 ") && seen.ends_with("250 ok\r\n221 bye\r\n"), "{seen}");
        }
        assert!(is_soon(|| listed() == [(0, 0), (1, 0)]), "{:?}", listed());
        let said = filter.end("-TERM");
        assert!(said.contains("packets: ") && said.contains("flows: "), "{said}");
        assert!(listed().is_empty());
        let address: SocketAddr = "127.0.0.1:25".parse().unwrap();
        let _listener = TcpListener::bind(address).unwrap();
        assert!(TcpStream::connect_timeout(&address, Duration::from_millis(300)).is_err());
    });
}

/// Sends a message of so many bytes over loopback; how many the server read behind its 354.
fn transfer(address: &str, length: usize) -> usize {
    let listener = TcpListener::bind((address, 25)).unwrap();
    let port: SocketAddr = listener.local_addr().unwrap();
    let server = thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
        stream.write_all(b"220 ready\r\n").unwrap();
        assert_eq!(stream.read(&mut [0; 99]).unwrap(), "DATA\r\n".len());
        stream.write_all(b"354 go on\r\n").unwrap();
        let mut read = Vec::new();
        stream.read_to_end(&mut read).unwrap();
        read.len()
    });
    let mut client = TcpStream::connect(port).unwrap();
    client.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    client.set_write_timeout(Some(Duration::from_secs(60))).unwrap();
    let mut replies = BufReader::new(client.try_clone().unwrap());
    replies.read_line(&mut String::new()).unwrap();
    client.write_all(b"DATA\r\n").unwrap();
    replies.read_line(&mut String::new()).unwrap();
    // All of a message without an empty line is header, and that has a limit.
    let mut message = b"\r\n".to_vec();
    message.resize(length, b'x');
    client.write_all(&message).unwrap();
    drop((client, replies));
    server.join().unwrap()
}

#[test]
fn the_largest_segments_of_loopback_pass() {
    sealed(NEEDS, || {
        succeed(&["rules", "up", "--set", "rules.local=true"]);
        for (setting, length, warning) in [
            ("rules.local=true", 3_000_000, None),
            ("rules.local=false", 300_000, Some("set queue.gso = false")),
        ] {
            // No order: the dialogue is as short as can be.
            let filter = Filter::start(&["--set", setting, "--set", "order=off"]);
            for address in ["127.0.0.1", "::1"] {
                assert_eq!(transfer(address, length), length, "{address} {setting}");
            }
            let said = filter.end("-TERM");
            let is_dropped = said.contains(": truncated");
            assert_eq!(is_dropped, warning.is_some(), "{said}");
            assert!(warning.is_none_or(|warning| said.contains(warning)), "{said}");
        }
    });
}

#[test]
fn a_flow_not_seen_from_its_beginning_is_reset_at_both_ends() {
    sealed(NEEDS, || {
        succeed(&["rules", "up", "--set", "rules.local=true"]);
        for address in ["127.0.0.1", "::1"] {
            let filter = Filter::start(&[]);
            let listener = TcpListener::bind((address, 25)).unwrap();
            let mut client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
            let (mut server, _) = listener.accept().unwrap();
            filter.end("-TERM");
            let filter = Filter::start(&[]);
            server.write_all(b"220 ready\r\n").unwrap();
            for stream in [&mut client, &mut server] {
                stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
                let error = stream.read(&mut [0; 99]).unwrap_err();
                assert_eq!(error.kind(), ErrorKind::ConnectionReset, "{address}");
            }
            filter.end("-TERM");
        }
    });
}

#[test]
fn a_queue_of_another_process_is_named() {
    sealed(NEEDS, || {
        let filter = Filter::start(&["--queue", "5"]);
        let second = mailguard(&["run", "--queue", "4:5"]);
        let said = String::from_utf8(second.stderr).unwrap();
        let expected = "mailguard: queue 5 is owned by another process (netlink port id ";
        assert!(said.starts_with(expected) && said.lines().count() == 1, "{said}");
        assert_eq!(second.status.code(), Some(2));
        assert!(!filter.end("-INT").contains("flows: "));
    });
}

/// A crowd before a name that anybody may take, as long as these live.
fn crowd_before(name: &str) -> Vec<Socket> {
    let stream = || Socket::new(Domain::UNIX, Type::STREAM, None).unwrap();
    let address = SockAddr::unix(name).unwrap();
    let door = stream();
    door.bind(&address).unwrap();
    door.listen(0).unwrap();
    let mut crowd = vec![door];
    loop {
        let one = stream();
        one.set_nonblocking(true).unwrap();
        if one.connect(&address).is_err() {
            return crowd;
        }
        crowd.push(one);
    }
}

#[test]
fn strangers_keep_nobody_from_starting_or_from_taking_over() {
    sealed(NEEDS, || {
        let _crowd = crowd_before("\0mailguard/queue-0");
        let filter = Filter::start(&["--set", "queue.backend=nfq"]);
        assert!(!filter.said.contains("can take over"), "{}", filter.said);
        let backend = |name: &str| {
            let metrics = mailguard(&["ctl", "metrics"]).stdout;
            let mode = format!(
                "mailguard_mode_info{{profile=\"mailguard\",monitor=\"false\",\
                                fail=\"closed\",backend=\"{name}\"}} 1\n"
            );
            String::from_utf8(metrics).unwrap().contains(&mode)
        };
        assert!(is_soon(|| backend("nfq")));
        let successor = Filter::start(&["--take-over", "--set", "queue.backend=nfq"]);
        // What was taken over is served by our own messages.
        assert!(is_soon(|| backend("netlink")));
        let said = filter.end("-0");
        assert!(said.contains("another process goes on"), "{said}");
        let door = "/run/mailguard/control.queue-0";
        assert_eq!(fs::metadata(door).unwrap().permissions().mode() & 0o777, 0o600);
        successor.end("-TERM");
        assert!(!fs::exists(door).unwrap());
    });
}

/// What a server reads of a client that says VRFY.
pub(crate) fn verify(address: &str) -> String {
    let listener = TcpListener::bind((address, 25)).unwrap();
    let port: SocketAddr = listener.local_addr().unwrap();
    let server = thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        stream.write_all(b"220 ready\r\n").unwrap();
        let mut line = String::new();
        BufReader::new(stream).read_line(&mut line).unwrap();
        line
    });
    let mut client = TcpStream::connect(port).unwrap();
    client.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    BufReader::new(client.try_clone().unwrap()).read_line(&mut String::new()).unwrap();
    client.write_all(b"VRFY root\r\n").unwrap();
    server.join().unwrap()
}

#[test]
fn what_the_kernel_remembers_of_an_earlier_connection_opens_nothing() {
    sealed(NEEDS, || {
        succeed(&["rules", "up", "--set", "rules.local=true"]);
        let filter = Filter::start(&["--set", "rules.local=true"]);
        for (program, address) in [("iptables", "127.0.0.1"), ("ip6tables", "::1")] {
            // As if the SYN had found the entry of a connection that was handed back.
            let target = "CONNMARK --set-xmark 0x20000000/0x20000000";
            let rule = format!("-t mangle -I OUTPUT -p tcp --dport 25 --syn -j {target}");
            assert!(shell(&format!("{program} {rule}")));
            assert_eq!(verify(address), "XXXXXXXXX\r\n", "{address}");
        }
        filter.end("-TERM");
    });
}

#[test]
fn what_needs_no_filter_is_remembered_by_the_kernel() {
    sealed(NEEDS, || {
        let file = "/run/mailguard.toml";
        let exception = |client| format!("[[exceptions]]\nclient = \"{client}\"\n");
        let treatment = "treatment = \"hands-off\"\n";
        let text = [exception("127.0.0.1"), exception("::1")].map(|one| one + treatment).concat();
        fs::write(file, format!("rules.local = true\n{text}")).unwrap();
        succeed(&["rules", "up", "--config", file]);
        let filter = Filter::start(&["--config", file]);
        for (program, address) in [("iptables", "127.0.0.1"), ("ip6tables", "::1")] {
            assert_eq!(verify(address), "VRFY root\r\n", "{address}");
            let let_by = format!(
                "{program} -t mangle -nvxL MAILGUARD | awk '/connmark match/ {{ exit !($1 > 3) }}'"
            );
            assert!(shell(&let_by), "{address} went through the filter to the end");
        }
        filter.end("-TERM");
    });
}

#[test]
fn a_stalled_reader_of_the_log_does_not_hold_the_end_up() {
    sealed(NEEDS, || {
        succeed(&["rules", "up", "--set", "rules.local=true"]);
        let (filter, _reader) = Filter::start_stalled();
        let said = filter.end("-TERM");
        assert!(said.contains("events_lost: "), "{said}");
    });
}

#[test]
fn a_second_signal_cuts_the_end_short() {
    sealed(NEEDS, || {
        succeed(&["rules", "up", "--set", "rules.local=true"]);
        // A test that is late finds that it has ended by itself; one that is never late is enough.
        let is_cut = ["-TERM", "-INT"].map(|second| {
            (0..5).any(|_| {
                let (filter, _reader) = Filter::start_stalled();
                filter.signal("-TERM");
                assert!(is_soon(|| listed().is_empty()), "it serves its queue");
                filter.signal(second);
                let (code, said) = filter.await_end();
                assert!(!said.contains("panicked"), "{said}");
                code == Some(2)
            })
        });
        assert_eq!(is_cut, [true; 2]);
    });
}

#[test]
fn the_event_log_is_opened_anew_on_request() {
    sealed(NEEDS, || {
        let filter = Filter::start(&["--events", "/run/events", "--format", "json"]);
        for signal in ["-USR1", "-HUP"] {
            fs::rename("/run/events", "/run/events.1").unwrap();
            filter.signal(signal);
            assert!(is_soon(|| fs::exists("/run/events").unwrap()), "no new file: {signal}");
        }
        let said = filter.end("-TERM");
        let count = |what| said.matches(what).count();
        let counts = ["opening the event log anew", "reading the configuration"].map(count);
        assert_eq!(counts, [2, 1], "{said}");
    });
}

#[test]
fn the_configuration_is_read_anew_on_request_and_only_if_it_is_right() {
    sealed(NEEDS, || {
        let file = "/run/mailguard.toml";
        fs::write(file, "# Nothing yet.\n").unwrap();
        let mut filter = Filter::start(&["--config", file]);
        for (text, expected) in [
            (
                "monitor = true\n",
                "monitoring only from now on: every packet of new connections passes unchanged, \
                 and those under way go on as they began\n",
            ),
            (
                "",
                "the old configuration stays in force: /run/mailguard.toml: empty: expected a \
                 configuration\n",
            ),
            (
                "monitor = 1\n",
                "the old configuration stays in force: /run/mailguard.toml:1:11: monitor: 1 found, \
                 expected true or false\n",
            ),
            ("[queue]\nlength = 64\n", "[queue] changed: that takes effect at the next start\n"),
            (
                "ports = [25, 587]\n",
                "ports changed: `mailguard rules up` brings the packets here accordingly\n",
            ),
            (
                "[queue]\nfirst = 1\nlast = 1\n",
                "queue.first, queue.last changed: that takes effect at the next start, with \
                 `mailguard rules up` right behind it\n",
            ),
            ("profile = \"pix-4.1\"\n", "new connections: profile pix-4.1\n"),
        ] {
            fs::write(file, text).unwrap();
            filter.signal("-HUP");
            while !filter.said.ends_with(expected) {
                assert_ne!(
                    filter.stderr.read_line(&mut filter.said).unwrap(),
                    0,
                    "{}",
                    filter.said
                );
            }
        }
        filter.end("-TERM");
    });
}

#[test]
fn what_takes_another_start_is_told_until_then() {
    sealed(NEEDS, || {
        let file = "/run/mailguard.toml";
        fs::write(file, "# Nothing yet.\n").unwrap();
        let filter = Filter::start(&["--config", file]);
        let of_filter = || {
            let said = String::from_utf8(mailguard(&["check", "--config", file]).stdout).unwrap();
            let lines = said.lines().filter(|line| line.contains("running filter: "));
            lines.map(str::to_owned).collect::<Vec<_>>()
        };
        let waiting = "[limits] changed: that takes effect at the next start";
        let is_shown = || {
            let status = String::from_utf8(mailguard(&["ctl", "status"]).stdout).unwrap();
            status.lines().any(|line| line == waiting)
        };
        let as_configured = ["ok     running filter: as configured"];
        assert_eq!(of_filter(), as_configured);
        fs::write(file, "[limits]\nflows_max = 9\n").unwrap();
        succeed(&["ctl", "reload"]);
        assert_eq!(of_filter(), [format!("wrong  running filter: {waiting}")]);
        assert!(is_shown());
        // What else is changed meanwhile does not bring it about.
        succeed(&["ctl", "fixup protocol smtp 587"]);
        assert!(is_shown());
        fs::write(file, "# Nothing again.\n").unwrap();
        succeed(&["ctl", "reload"]);
        assert_eq!(of_filter(), as_configured);
        assert!(!is_shown());
        filter.end("-TERM");
    });
}

#[test]
fn what_the_next_start_could_not_open_is_found_before_it() {
    sealed(NEEDS, || {
        let file = "/run/mailguard.toml";
        for (text, expected) in [
            (
                "[log]\nevents = \"/run/none/x.log\"\n",
                "log.events: /run/none/x.log: there is no folder /run/none",
            ),
            (
                "[log]\nevents = \"/etc\"\n",
                "log.events: /etc: a directory, expected a regular file or a FIFO",
            ),
            (
                "[control]\nsocket = \"/etc/passwd\"\n",
                "control.socket: /etc/passwd: expected a socket, or nothing",
            ),
        ] {
            fs::write(file, text).unwrap();
            let output = mailguard(&["check", "--config-only", "--config", file]);
            let said = String::from_utf8(output.stdout).unwrap();
            assert!(said.ends_with(&format!("\nwrong  {expected}\n")), "{said}");
            assert_eq!(output.status.code(), Some(1));
            assert_eq!(mailguard(&["run", "--config", file]).status.code(), Some(2), "{text}");
        }
        fs::write(file, "[log]\nevents = \"/run/x.log\"\n[control]\nsocket = \"/run/c/ctl\"\n")
            .unwrap();
        succeed(&["check", "--config-only", "--config", file]);
        Filter::start(&["--config", file]).end("-TERM");
    });
}

#[test]
fn a_log_that_cannot_be_opened_ends_the_start() {
    sealed(NEEDS, || {
        let output = mailguard(&["run", "--events", "/nonexistent/events"]);
        let said = String::from_utf8(output.stderr).unwrap();
        let expected = "mailguard: cannot write events to /nonexistent/events: No such file or";
        assert!(said.starts_with(expected), "{said}");
        assert_eq!(output.status.code(), Some(2));
    });
}

#[test]
fn a_queue_bound_under_traffic_keeps_no_packet_for_ever() {
    sealed(NEEDS, || {
        let rule = "iptables -A OUTPUT -p udp --dport 9 -j NFQUEUE --queue-num 0";
        assert!(shell(rule));
        for _ in 0..5 {
            let flood = thread::spawn(|| {
                let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
                for _ in 0..60_000 {
                    let _ = socket.send_to(&[0; 100], "127.0.0.1:9");
                }
            });
            let filter = Filter::start(&[]);
            flood.join().unwrap();
            assert!(is_soon(|| listed() == [(0, 0)]), "{:?}", listed());
            filter.end("-TERM");
        }
    });
}

#[test]
fn the_machine_is_examined() {
    sealed(NEEDS, || {
        let examine = || {
            let output = mailguard(&["check", "--set", "rules.backend=iptables"]);
            (output.status.code(), String::from_utf8(output.stdout).unwrap())
        };
        let (code, said) = examine();
        assert_eq!(code, Some(1), "{said}");
        for finding in [
            "ok     NFQUEUE: the kernel has it",
            "wrong  queue 0: nobody serves it",
            "wrong  rules: iptables-save: mangle: not installed",
            "wrong  rules: ip6tables-save: mangle: not installed",
            "wrong  defragmentation: not certain",
            "wrong  forwarding: off",
        ] {
            assert!(said.contains(finding), "{finding} is not in {said}");
        }
        fs::write("/proc/sys/net/ipv4/ip_forward", "1").unwrap();
        succeed(&["rules", "up", "--set", "rules.backend=iptables"]);
        let filter = Filter::start(&[]);
        let (code, said) = examine();
        assert_eq!(code, Some(0), "{said}");
        assert!(!said.contains("wrong"), "{said}");
        filter.end("-TERM");
    });
}

#[test]
fn with_a_faulty_configuration_the_machine_is_examined_as_far_as_it_can_be() {
    sealed(NEEDS, || {
        fs::write("/run/faulty.toml", "ports = [0]\n").unwrap();
        let examine = |words: &[&str]| {
            let words = [&["check", "--config", "/run/faulty.toml"], words].concat();
            let output = mailguard(&words);
            assert_eq!(output.status.code(), Some(2));
            let error = String::from_utf8(output.stderr).unwrap();
            assert!(
                error.starts_with("mailguard: /run/faulty.toml:1:10: ports: 0 found"),
                "{error}"
            );
            String::from_utf8(output.stdout).unwrap()
        };
        fs::write("/proc/sys/net/ipv4/ip_forward", "1").unwrap();
        let said = examine(&[]);
        for finding in [
            "ok     NFQUEUE: the kernel has it\n",
            "ok     iptables: installed\n",
            "ok     forwarding: on for IPv4",
            "unseen queues, rules, other rules, devices: ",
        ] {
            assert!(said.contains(finding), "{finding} is not in {said}");
        }
        assert!(said.lines().all(|line| !line.contains("queue 0")), "{said}");
        let brief = examine(&["--brief"]);
        assert!(brief.lines().all(|line| line.starts_with("wrong  ")), "{brief}");
        assert_eq!(examine(&["--config-only"]), "");
    });
}

#[test]
fn what_is_ahead_of_the_filter_is_named_in_brief() {
    sealed(NEEDS, || {
        assert!(shell("ip link add big type veth && ip link set big gso_max_size 131072"));
        let said = String::from_utf8(mailguard(&["check", "--brief"]).stdout).unwrap();
        assert!(said.contains("wrong  big: makes packets that the queue cannot show"), "{said}");
        assert!(said.lines().all(|line| line.starts_with("wrong  ")), "{said}");
        let said = mailguard(&["check", "--set", "queue.gso=false"]).stdout;
        let said = String::from_utf8(said).unwrap();
        assert!(said.contains("ok     devices: none is ahead of the filter"), "{said}");
        assert!(shell(
            "tc qdisc add dev big clsact && \
             tc filter add dev big ingress bpf bytecode '1,6 0 0 4294967295' direct-action"
        ));
        let said = String::from_utf8(mailguard(&["check", "--brief"]).stdout).unwrap();
        assert!(said.contains("wrong  big: a BPF program at tc sees packets before"), "{said}");
    });
}

#[test]
fn hosts_of_mail_that_are_this_machine_are_named() {
    sealed(NEEDS, || {
        assert!(shell(
            "ip address add 192.0.2.1/24 dev lo && ip -6 address add 2001:db8::1 dev lo"
        ));
        let hosts = "rules.mail_hosts=192.0.2.1, 192.0.2.25, 192.0.2.0/24, 2001:db8::1";
        let said = String::from_utf8(mailguard(&["check", "--brief", "--set", hosts]).stdout);
        let said = said.unwrap();
        let found: Vec<_> = said.lines().filter(|line| line.contains("mail_hosts")).collect();
        let named = |host| {
            format!(
                "wrong  rules.mail_hosts: {host} is this machine: none of its \
                                    ports is closed"
            )
        };
        assert_eq!(found, [named("192.0.2.1"), named("2001:db8::1")], "{said}");
    });
}

#[test]
fn a_queue_that_another_program_holds_is_named_with_its_process() {
    sealed(NEEDS, || {
        // It reads the queue as we do, and is called otherwise.
        fs::copy(env!("CARGO_BIN_EXE_mailguard"), "/run/another").unwrap();
        let other = Command::new("/run/another").arg("run").stderr(Stdio::null()).spawn();
        let other = Killed(other.unwrap());
        assert!(is_soon(|| !listed().is_empty()), "it serves no queue");
        let said = String::from_utf8(mailguard(&["check"]).stdout).unwrap();
        let line = format!("wrong  queue 0: held by another (process {}), 0 packets", other.0.id());
        drop(other);
        assert!(said.contains(&line), "{line} is not in {said}");
    });
}
