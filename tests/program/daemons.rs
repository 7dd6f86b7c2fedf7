//! The event log where this machine's own daemons keep it: the real journal, by its own protocol
//! and by /dev/log.

use std::fs;
use std::path::Path;
use std::process::{Child, Command};

use crate::run::{Filter, is_soon, mailguard, shell, succeed, verify};
use crate::sealed::sealed;

const SOCKET: &str = "/run/systemd/journal/socket";

const JOURNALD: &str = "/lib/systemd/systemd-journald";

/// What it takes: the kernel's queues, and the daemon.
const NEEDS: &[&str] = &[
    "sh",
    "-c",
    "cat /proc/net/netfilter/nfnetlink_queue && test -x /lib/systemd/systemd-journald",
];

/// A journal of the test's own, in memory.
struct Journal(Child);

impl Journal {
    fn start() -> Self {
        assert!(shell(
            "mkdir -p /run/systemd/journal && mount -t tmpfs tmpfs /etc/systemd && \
             printf '[Journal]\\nStorage=volatile\\nReadKMsg=no\\nAudit=no\\n\
             ForwardToSyslog=no\\nForwardToWall=no\\nRateLimitBurst=0\\n' \
             >/etc/systemd/journald.conf"
        ));
        let daemon = Command::new(JOURNALD).spawn().unwrap();
        assert!(is_soon(|| Path::new(SOCKET).exists()), "no journal");
        Self(daemon)
    }

    /// The entries that have these fields, an object a line.
    fn found(fields: &[&str]) -> String {
        let mut journalctl = Command::new("journalctl");
        // The machine's own journals are elsewhere.
        journalctl.args(["-q", "-o", "json", "-D", "/run/log/journal"]);
        let output = journalctl.args(fields).output().unwrap();
        String::from_utf8(output.stdout).unwrap()
    }

    fn await_found(fields: &[&str]) -> String {
        assert!(is_soon(|| !Self::found(fields).is_empty()), "{fields:?} is not in the journal");
        Self::found(fields)
    }
}

impl Drop for Journal {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
        // What stays behind would look like the next one.
        let _ = fs::remove_file(SOCKET);
    }
}

const LOCAL: [&str; 2] = ["--set", "rules.local=true"];

fn start(events: &str) -> Filter {
    Filter::start(&["--events", events, LOCAL[0], LOCAL[1]])
}

#[test]
fn the_journal_has_entries_by_rule_and_flow_from_within_the_sandbox() {
    sealed(NEEDS, || {
        let refused = mailguard(&["run", "--events", "journald", LOCAL[0], LOCAL[1]]);
        assert_eq!(refused.status.code(), Some(2));
        let said = String::from_utf8(refused.stderr).unwrap();
        let expected = "mailguard: cannot send events to /run/systemd/journal/socket: No such file";
        assert!(said.lines().last().unwrap().starts_with(expected), "{said}");

        let journal = Journal::start();
        succeed(&["rules", "up", LOCAL[0], LOCAL[1]]);
        let filter = start("journald");
        assert_eq!(verify("127.0.0.1"), "XXXXXXXXX\r\n");
        let entry = Journal::await_found(&["MAILGUARD_RULE=verb", "MAILGUARD_FLOW=1"]);
        for part in [
            "\"MESSAGE\":\"*** client offset 0: verb: \\\"VRFY root\\\" -> \\\"XXXXXXXXX\\\"\"",
            "\"PRIORITY\":\"4\"",
            "\"SYSLOG_IDENTIFIER\":\"mailguard\"",
            "\"MAILGUARD_EVENT\":\"edited\"",
            "\"MAILGUARD_SERVER\":\"127.0.0.1:25\"",
            "\"_TRANSPORT\":\"journal\"",
        ] {
            assert!(entry.contains(part), "{part} is not in {entry}");
        }
        // Whoever asks at the control socket has it too.
        let said = String::from_utf8(mailguard(&["ctl", "events"]).stdout).unwrap();
        assert!(said.contains(" : *** client offset 0: verb: \"VRFY root\""), "{said}");
        // It restarts, and is found again by a filter that can connect to nothing any more.
        drop(journal);
        let _journal = Journal::start();
        assert_eq!(verify("127.0.0.1"), "XXXXXXXXX\r\n");
        Journal::await_found(&["MAILGUARD_FLOW=2", "MAILGUARD_RULE=verb"]);
        let said = filter.end("-TERM");
        assert!(said.contains("sandbox: system calls"), "{said}");

        // The same by the socket that every other program logs to.
        let filter = start("syslog:/run/systemd/journal/dev-log");
        assert_eq!(verify("127.0.0.1"), "XXXXXXXXX\r\n");
        let entries = Journal::await_found(&[
            "SYSLOG_IDENTIFIER=mailguard",
            "_TRANSPORT=syslog",
            "PRIORITY=4",
        ]);
        assert!(entries.contains("verb: \\\"VRFY root\\\""), "{entries}");
        assert!(entries.contains("\"SYSLOG_FACILITY\":\"2\""), "{entries}");
        filter.end("-TERM");
        fs::remove_dir_all("/run/log").unwrap();
    });
}
