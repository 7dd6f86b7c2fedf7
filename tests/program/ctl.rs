//! `mailguard ctl`: what an operator types on a running filter, with mail flowing.

use std::fs;
use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::process::{Command, Output, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use crate::rules::own_folder;
use crate::run::{Filter, NEEDS, is_soon, mailguard, succeed};
use crate::sealed::sealed;

pub(crate) const FILE: &str = "/run/mailguard.toml";

/// `mailguard ctl` with these lines on its standard input.
fn typed(lines: &str) -> Output {
    let mut child = Command::new(env!("CARGO_BIN_EXE_mailguard"))
        .args(["ctl"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(lines.as_bytes()).unwrap();
    child.wait_with_output().unwrap()
}

fn ctl(words: &str) -> (i32, String, String) {
    let words: Vec<&str> = ["ctl"].into_iter().chain(words.split(' ')).collect();
    let output = mailguard(&words);
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (output.status.code().unwrap(), text(output.stdout), text(output.stderr))
}

/// A server that answers every line, until the test is over.
pub(crate) fn serve() {
    let listener = TcpListener::bind("127.0.0.1:25").unwrap();
    thread::spawn(move || {
        for stream in listener.incoming() {
            thread::spawn(move || {
                let mut stream = stream.unwrap();
                let _ = stream.write_all(b"220 mail.example.com ready\r\n");
                for line in BufReader::new(stream.try_clone().unwrap()).lines() {
                    let Ok(line) = line else { return };
                    let reply = if line.starts_with('X') { "500 what?\r\n" } else { "250 ok\r\n" };
                    let _ = stream.write_all(reply.as_bytes());
                }
            });
        }
    });
}

/// A client's connection.
pub(crate) struct Client {
    stream: TcpStream,
    replies: BufReader<TcpStream>,
}

impl Client {
    /// Connects; the greeting as it came.
    pub(crate) fn connect() -> (Self, String) {
        let stream = TcpStream::connect("127.0.0.1:25").unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
        let replies = BufReader::new(stream.try_clone().unwrap());
        let mut client = Self { stream, replies };
        let greeting = client.reply().unwrap();
        (client, greeting)
    }

    pub(crate) fn say(&mut self, line: &str) -> String {
        self.try_say(line).unwrap()
    }

    pub(crate) fn try_say(&mut self, line: &str) -> std::io::Result<String> {
        self.stream.write_all(format!("{line}\r\n").as_bytes())?;
        self.reply()
    }

    fn reply(&mut self) -> std::io::Result<String> {
        let mut line = String::new();
        self.replies.read_line(&mut line)?;
        Ok(line.trim_end().to_owned())
    }
}

fn greeting() -> String {
    Client::connect().1
}

const OURS: &str = "# ours\n[log]\nevents = \"/run/events\"\n[rules]\nlocal = true\n";

const GIVEN_UP: &str =
    "the rules keep a port while its connections last: `mailguard rules up` takes it out";

const OWN: &str = "220 mail.example.com ready";

#[test]
fn the_seven_steps_of_the_article_work_with_mail_flowing() {
    sealed(NEEDS, || {
        fs::write(FILE, OURS).unwrap();
        succeed(&["rules", "up", "--config", FILE]);
        let start = || Filter::start(&["--config", FILE]);
        let filter = start();
        serve();
        let masked = greeting();
        assert!(masked.starts_with("220 ") && masked.contains("***"), "{masked}");
        let (mut under_way, _) = Client::connect();
        assert_eq!(under_way.say("EHLO a"), "500 what?");
        let is_over = AtomicBool::new(false);
        thread::scope(|scope| {
            // Mail flows all the time, and none of it breaks off.
            let flow = scope.spawn(|| {
                let mut count = 0;
                while !is_over.load(Ordering::Relaxed) {
                    let (mut client, _) = Client::connect();
                    assert_eq!(client.say("NOOP"), "250 ok");
                    count += 1;
                }
                count
            });
            let output = typed(
                "enable\nconfigure terminal\nshow fixup\nno fixup protocol smtp 25\nshow fixup\n\
                 write memory\nexit\nreload\nexit\n",
            );
            let said = String::from_utf8(output.stdout).unwrap();
            assert!(output.status.success(), "{said}{}", String::from_utf8_lossy(&output.stderr));
            let lines: Vec<&str> = said.lines().collect();
            let expected = ["fixup protocol smtp 25", GIVEN_UP, "no fixup protocol smtp 25"];
            assert_eq!(lines[..3], expected, "{said}");
            assert!(said.contains("Building configuration...\nCryptochecksum: "), "{said}");
            assert!(said.contains("\n[OK]\nnew connections: profile mailguard\n"), "{said}");
            assert_eq!(greeting(), OWN);
            is_over.store(true, Ordering::Relaxed);
            assert!(flow.join().unwrap() > 0);
        });
        // What was under way goes on, as it began.
        assert_eq!(under_way.say("NOOP"), "250 ok");
        assert_eq!(under_way.say("EHLO a"), "500 what?");
        let reason = "cleared";
        let (_, said, _) = ctl("clear xlate");
        assert!(said.ends_with(" connections that began under other settings were reset\n"));
        assert!(!said.starts_with("0 "), "{said}");
        assert!(under_way.reply().is_err());
        // The log's writer is not waited for by anybody.
        let line = format!("was reset: {reason}");
        assert!(is_soon(|| ctl("events").1.contains(&line)), "{reason} is not told");
        filter.end("-TERM");
        let written = fs::read_to_string(FILE).unwrap();
        assert!(written.starts_with("ports = []\n# ours\n") || written.contains("ports = []"));
        assert_eq!(fs::read_to_string("/run/mailguard.toml.1").unwrap(), OURS);
        // The file holds it over a restart, and the words take it back.
        let filter = start();
        assert_eq!(greeting(), OWN);
        assert_eq!(ctl("sh fix").1, "no fixup protocol smtp 25\n");
        let (code, _, _) = ctl("fixup protocol smtp 25");
        assert_eq!(code, 0);
        assert_eq!(greeting(), masked);
        filter.end("-TERM");
    });
}

/// As in a container, which starts without a file.
#[test]
fn a_file_that_was_begun_is_missed_when_it_is_gone() {
    sealed(NEEDS, || {
        let (_, file) = own_folder();
        succeed(&["rules", "up"]);
        let filter = Filter::start(&[]);
        assert_eq!(ctl("fixup protocol smtp 587").0, 0);
        let said = ctl("write memory").1;
        assert!(
            said.ends_with("\n[OK]\nrules: brought up to date, as `mailguard rules up` does\n")
        );
        assert!(ctl("write memory").1.ends_with("\n[OK]\n"));
        // What changes while it is away is no reason to forget it.
        fs::remove_file(file).unwrap();
        assert_eq!(ctl("fixup protocol smtp 588").0, 0);
        let (code, _, error) = ctl("reload");
        let expected = format!("in force:\ncannot read {file}: No such file or directory");
        assert!(code == 2 && error.contains(&expected), "{error}");
        let error = mailguard(&["rules", "up"]).stderr;
        let expected = format!("mailguard: the rules were made from {file}, which is gone; ");
        assert!(String::from_utf8(error).unwrap().contains(&expected));
        filter.end("-TERM");
    });
}

/// As for a filter of another user: the folder is root's.
#[test]
fn a_file_that_the_filter_may_not_begin_root_begins_for_it() {
    sealed(NEEDS, || {
        let (folder, file) = own_folder();
        let filter = Filter::start(&[]);
        // The filter has given up what lets root write there all the same.
        fs::set_permissions(folder, fs::Permissions::from_mode(0o555)).unwrap();
        assert_eq!(ctl("fixup protocol smtp 587").0, 0);
        let (code, said, error) = ctl("write memory");
        assert_eq!((code, error.as_str()), (0, ""));
        assert!(said.ends_with("\n[OK]\n"), "{said}");
        assert!(fs::read_to_string(file).unwrap().starts_with("ports = [25, 587]\n# "));
        // Now the filter has one, which is not begun twice.
        fs::remove_file(file).unwrap();
        for words in ["reload", "write memory"] {
            let (code, _, error) = ctl(words);
            assert!(
                code == 2 && error.contains(&format!("cannot read {file}: No such")),
                "{error}"
            );
        }
        filter.end("-TERM");
    });
}

/// One that somebody else has put there counts from when it was read.
#[test]
fn a_file_that_came_later_is_missed_when_it_is_gone() {
    sealed(NEEDS, || {
        let (_, file) = own_folder();
        let filter = Filter::start(&[]);
        for (text, expected) in [("monitor = 1\n", 2), ("", 0), ("monitor = false\n", 0), ("", 2)] {
            if text.is_empty() {
                fs::remove_file(file).unwrap();
            } else {
                fs::write(file, text).unwrap();
            }
            assert_eq!(ctl("reload").0, expected, "{text}");
        }
        filter.end("-TERM");
    });
}

/// As the service manager's unit has it: the folder is root's.
#[test]
fn what_the_filter_may_not_write_root_writes_for_it() {
    sealed(NEEDS, || {
        let (file, old) = ("/run/etc/mailguard.toml", "/run/etc/mailguard.toml.1");
        fs::create_dir("/run/etc").unwrap();
        fs::write(file, OURS).unwrap();
        let filter = Filter::start(&["--config", file]);
        // Another folder than the one that its sandbox leaves to it.
        fs::rename("/run/etc", "/run/etc.before").unwrap();
        fs::create_dir("/run/etc").unwrap();
        fs::write(file, OURS).unwrap();
        fs::set_permissions(file, fs::Permissions::from_mode(0o640)).unwrap();
        let save = |words: &str| ctl(&format!("--config {file} {words}"));
        assert_eq!(save("fixup protocol smtp 587").0, 0);
        let (code, said, error) = save("write memory");
        assert_eq!((code, error.as_str()), (0, ""));
        assert!(said.starts_with("Building configuration...\nCryptochecksum: "), "{said}");
        assert!(said.ends_with("\n[OK]\n"), "{said}");
        assert_eq!(fs::read_to_string(file).unwrap(), format!("ports = [25, 587]\n{OURS}"));
        assert_eq!(fs::metadata(file).unwrap().permissions().mode() & 0o777, 0o640);
        assert_eq!(fs::read_to_string(old).unwrap(), OURS);
        assert_eq!(save("write erase noconfirm").0, 0);
        assert_eq!(fs::read_to_string(file).unwrap(), format!("ports = [25]\n{OURS}"));
        // Never another file than the one that was named to it.
        let (code, _, error) = ctl("write memory");
        let expected = format!("expected --config {file}\n");
        assert!(code == 2 && error.ends_with(&expected), "{error}");
        filter.end("-TERM");
    });
}

#[test]
fn one_connection_is_shown_and_reset_and_others_go_on() {
    sealed(NEEDS, || {
        fs::write(FILE, OURS).unwrap();
        succeed(&["rules", "up", "--config", FILE]);
        let filter = Filter::start(&["--config", FILE]);
        serve();
        let (mut client, _) = Client::connect();
        assert_eq!(client.say("VRFY root"), "500 what?");
        for (words, expected) in [
            ("flow 1", "state commands, open for 0:00:"),
            ("flow 1", "\nlast command: VRFY\ndone: 1 refused, "),
            ("--json flow 1", "\"id\":1,"),
            ("queues", "\n0      "),
            ("--json queues", "{\"dropped_buffer_full\":0,"),
        ] {
            let (code, said, error) = ctl(words);
            assert_eq!((code, error.as_str()), (0, ""), "{words}");
            assert!(said.contains(expected), "{words}: {said}");
        }
        for (words, expected) in [
            ("flow 99", "mailguard: there is no connection 99: `flows` lists them"),
            ("kill all", "mailguard: `all` found, expected the number of a connection"),
            ("kill 99", "mailguard: there is no connection 99"),
        ] {
            let (code, said, error) = ctl(words);
            assert_eq!((code, said.as_str()), (2, ""), "{words}");
            assert!(error.starts_with(expected), "{words}: {error}");
        }
        // Both ends of a connection are reset, others go on, and the log says it once.
        let (mut other, _) = Client::connect();
        let resets = || {
            let stats = ctl("stats").1;
            let line = stats.lines().find(|line| line.starts_with("resets ")).unwrap();
            line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap()
        };
        let before = resets();
        assert_eq!(ctl("kill 1"), (0, "connection 1 was reset\n".to_owned(), String::new()));
        assert!(resets() >= before + 2);
        assert_eq!(client.reply().unwrap_err().kind(), ErrorKind::ConnectionReset);
        assert_eq!(other.say("NOOP"), "250 ok");
        assert_eq!(ctl("kill 1").2, "mailguard: connection 1 is over\n");
        assert!(ctl("flow 1").1.contains("state reset"));
        let is_told = || ctl("events").1.matches("was reset: cleared").count() == 1;
        assert!(is_soon(is_told), "{}", ctl("events").1);
        filter.end("-TERM");
    });
}

#[test]
fn what_is_asked_is_answered_and_what_is_wrong_changes_nothing() {
    sealed(NEEDS, || {
        fs::write(FILE, "[log]\nevents = \"/run/events\"\n[rules]\nlocal = true\n").unwrap();
        succeed(&["rules", "up", "--config", FILE]);
        let filter = Filter::start(&["--config", FILE]);
        serve();
        let (mut client, _) = Client::connect();
        assert_eq!(client.say("VRFY root"), "500 what?");
        let socket = fs::metadata("/run/mailguard/control").unwrap().permissions().mode();
        assert_eq!(socket & 0o777, 0o660);
        for (words, expected) in [
            ("status", "profile mailguard, ports 25, fail closed\n"),
            ("status", "connections: 1 of 100000\n"),
            ("stats", "commands_refused"),
            ("flows", " VRFY "),
            ("flows", "1 refused"),
            ("flows --state commands --client 127.0.0.0/8 --limit 5", "127.0.0.1:25"),
            ("--json flows", "\"last\":\"VRFY\",\"monitored\":false"),
            ("--json status", "\"flows\":1"),
            ("--json status", "\"settings\":\""),
            ("show conn", "1 in use, 1 most used\nTCP outside 127.0.0.1:"),
            ("show conn long", "inside: 127.0.0.1/25 (127.0.0.1/25), flags UIOBM , idle "),
            ("show service-policy", "Inspect: esmtp _default_esmtp_map, packet "),
            ("show fixup | include 25", "fixup protocol smtp 25\n"),
            ("show static", ""),
            ("write terminal", "Cryptochecksum:"),
            ("metrics", "mailguard_commands_total{result=\"refused\"} 1\n"),
            ("metrics", "mailguard_flows{state=\"commands\"} 1\n"),
            ("metrics", "# TYPE mailguard_commands_total counter\n"),
            ("reload", "new connections: profile mailguard\n"),
            ("version", "Mailguard Version "),
            ("help", "fixup protocol smtp PORT\n"),
        ] {
            let (code, said, error) = ctl(words);
            assert_eq!((code, error.as_str()), (0, ""), "{words}");
            assert!(said.contains(expected), "{words}: {said}");
        }
        // The log's writer is not waited for by anybody.
        while !ctl("events").1.contains("VRFY root") {}
        for (words, expected) in [
            ("shwo", "mailguard: Type help or '?' for a list of available commands.\n"),
            ("show fixop", "mailguard: show fixop\n                ^\nERROR: % Invalid input"),
            ("events follow | include a", "mailguard: ERROR: expected no bar behind `events"),
            ("flows --state open", "mailguard: flows: --state: `open` found, expected one of"),
            ("fixup protocol smtp 70000", "mailguard: ERROR: invalid port 70000: expected 1 to"),
            (
                "write erase",
                "mailguard: Erase PIX configuration in flash memory? expected the word",
            ),
            ("--socket /run/none status", "mailguard: no mailguard answers at /run/none: No such"),
        ] {
            let (code, said, error) = ctl(words);
            assert_eq!((code, said.as_str()), (2, ""), "{words}");
            assert!(error.starts_with(expected), "{words}: {error}");
        }
        // The first line that is refused ends what comes by a pipe.
        let output =
            typed("configure terminal\nfixup protocol smtp 70000\nno fixup protocol smtp 25\n");
        assert_eq!(output.status.code(), Some(2));
        assert_eq!(ctl("show fixup").1, "fixup protocol smtp 25\n");
        // A faulty file changes nothing, and is told to who asked.
        fs::write(FILE, "monitor = 1\n").unwrap();
        let (code, _, error) = ctl("reload");
        assert_eq!(code, 2);
        let expected =
            "mailguard: the old configuration stays in force:\n/run/mailguard.toml:1:11: ";
        assert!(error.starts_with(expected), "{error}");
        assert!(ctl("metrics").1.contains("mailguard_config_last_reload_successful 0\n"));
        filter.end("-TERM");
        assert!(!fs::exists("/run/mailguard/control").unwrap());
    });
}

#[test]
fn what_the_next_start_would_refuse_is_refused_while_it_runs() {
    sealed(NEEDS, || {
        fs::write(FILE, OURS).unwrap();
        succeed(&["rules", "up", "--config", FILE]);
        let filter = Filter::start(&["--config", FILE]);
        let refused = |words: &str, expected: &str| {
            let (code, said, error) = ctl(words);
            assert_eq!((code, said.as_str()), (2, ""), "{words}: {error}");
            assert!(error.contains(expected), "{words}: {error}");
        };
        let all = "static (inside,outside) 0.0.0.0 0.0.0.0 netmask 0.0.0.0";
        assert_eq!(ctl(all).0, 0);
        let host = "conduit permit tcp host 192.0.2.25 eq smtp any";
        refused(host, "ERROR: rules.mail_hosts: 0.0.0.0/0 found, expected hosts");
        assert_eq!(ctl("show conduit").1, "");
        assert_eq!(ctl(&format!("no {all}")).0, 0);
        let list = ["access-list 101 remark hi", "access-list 101 permit tcp any any eq smtp"];
        assert_eq!(list.map(|line| ctl(line).0), [0, 0]);
        let shown = format!("{}\n{} (hitcnt=0) \n", list[0], list[1]);
        assert_eq!(ctl("show access-list").1, shown);
        assert_eq!(ctl("show running-config access-list 101 r").1, format!("{}\n", list[0]));
        // What else stood in a file that is gone is not known any more.
        fs::rename(FILE, "/run/away.toml").unwrap();
        refused("write memory", "ERROR: cannot read /run/mailguard.toml: No such file");
        assert!(!fs::exists(FILE).unwrap() && !fs::exists("/run/mailguard.toml.1").unwrap());
        // The file may have become another one since it was read.
        let monitoring = format!("monitor = true\n{OURS}");
        let off = "no fixup protocol smtp 25";
        let why = "monitor: true found, but no ports: expected one or the other";
        fs::write(FILE, &monitoring).unwrap();
        assert_eq!(ctl(off).0, 0);
        refused("write memory", why);
        assert_eq!(fs::read_to_string(FILE).unwrap(), monitoring);
        let (code, said, _) = ctl("reload");
        assert_eq!(code, 0);
        let passes =
            "monitoring only from now on: every packet of new connections passes unchanged";
        let expected = format!("new connections: profile mailguard\n{passes}");
        assert!(said.starts_with(&expected), "{said}");
        refused(off, why);
        assert_eq!(ctl("show fixup").1, "fixup protocol smtp 25\n");
        assert_eq!(ctl("write memory").0, 0);
        succeed(&["check", "--config-only", "--config", FILE]);
        // Who reads the program's log learns as much as who asked.
        fs::write(FILE, "monitor = 1\n").unwrap();
        assert_eq!(ctl("reload").0, 2);
        let told = filter.end("-TERM");
        for line in [passes, "ports changed: ", "the old configuration stays in force: /run/"] {
            assert!(told.contains(line), "{line}: {told}");
        }
    });
}

#[test]
fn a_faulty_file_keeps_nobody_from_talking_and_is_shown_where_none_answers() {
    sealed(NEEDS, || {
        let filter = Filter::start(&["--set", "control.socket=/run/other"]);
        fs::write(FILE, "monitor = 1\n[control]\nsocket = \"/run/other\"\n").unwrap();
        assert_eq!(ctl(&format!("--config {FILE} ping")).1, "pong\n");
        // The filter's own words need none beside them.
        let (code, _, error) = ctl(&format!("--config {FILE} shwo"));
        assert!(code == 2 && !error.contains(FILE), "{error}");
        filter.end("-TERM");
        let (code, _, error) = ctl(&format!("--config {FILE} ping"));
        assert_eq!(code, 2);
        assert!(error.starts_with("mailguard: no mailguard answers at /run/other: "), "{error}");
        assert!(error.contains("\nmailguard: /run/mailguard.toml:1:11: monitor: 1"), "{error}");
        // One whose socket cannot be read leads to no other filter.
        let usual = Filter::start(&[]);
        for text in ["ports = [25\n[control]\nsocket = \"/run/other\"\n", "[control]\nsocket = 1\n"]
        {
            fs::write(FILE, text).unwrap();
            let (code, said, error) = ctl(&format!("--config {FILE} ping"));
            assert!(code == 2 && said.is_empty(), "{said}");
            assert!(error.starts_with("mailguard: /run/mailguard.toml:"), "{error}");
        }
        assert_eq!(ctl("--config /nowhere ping").0, 2);
        assert_eq!(ctl(&format!("--config {FILE} --socket /run/mailguard/control ping")).0, 0);
        usual.end("-TERM");
    });
}

#[test]
fn metrics_are_collected_by_http_where_the_file_says_so() {
    sealed(NEEDS, || {
        let filter = Filter::start(&["--set", "metrics.listen=127.0.0.1:9625"]);
        let mut stream = TcpStream::connect("127.0.0.1:9625").unwrap();
        stream.write_all(b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
        assert!(answer.contains("mailguard_build_info{version="), "{answer}");
        // Every name that an alert or the dashboard asks for is one of these.
        let shipped = ["dist/prometheus/mailguard.rules.yml", "dist/grafana/mailguard.json"];
        let is_part = |c: char| c.is_ascii_lowercase() || c == '_';
        for file in shipped {
            let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join(file);
            let text = fs::read_to_string(path).unwrap();
            let names = text.split(|c| !is_part(c)).filter(|name| name.starts_with("mailguard_"));
            let mut count = 0;
            for name in names {
                let base = name.trim_end_matches("_total");
                // These two have no series until something was dropped.
                let is_rare =
                    base.ends_with("_dropped_packets") || base.ends_with("_withheld_packets");
                let is_there = answer.contains(&format!("# TYPE {base} "));
                assert!(is_there || is_rare, "{file}: {name}");
                count += 1;
            }
            assert!(count > 10, "{file}: {count}");
        }
        filter.end("-TERM");
    });
}
