//! `mailguard rules` by nft: what the table means is held against the rules of iptables, packet by
//! packet; who keeps them, and what others do to them.
//!
//! Kernels that lack nft's queue are the rule where tests run. So the word `queue` alone gives way
//! to another verdict, by an nft in the path that puts it there.

use std::fs::{self, File};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::fd::AsFd;
use std::os::unix::fs::PermissionsExt;
use std::process::{Command, Output};
use std::thread;
use std::time::Duration;

use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};
use socket2::{Domain, Socket, Type};

use crate::rules::{HOSTS, neighbours, shell, state};
use crate::sealed::sealed;

/// Without which nothing here can be tested.
const NEEDS: &[&str] = &["sh", "-c", "nft list tables && iptables-save"];

const LOCAL: &str = "rules.local=true";

/// An nft that loads `accept` where it is given a queue.
fn fake() -> String {
    let real = shell("command -v nft");
    let script = format!(
        "#!/bin/sh\ncase \" $* \" in\n*' -f '*) sed 's/ queue num .*comment/ accept comment/' | {} \
         \"$@\" ;;\n*) exec {} \"$@\" ;;\nesac\n",
        real.trim(),
        real.trim()
    );
    fs::create_dir("/run/fake").unwrap();
    fs::write("/run/fake/nft", script).unwrap();
    fs::set_permissions("/run/fake/nft", fs::Permissions::from_mode(0o755)).unwrap();
    format!("/run/fake:{}", std::env::var("PATH").unwrap())
}

fn mailguard(path: &str, words: &[&str], sets: &[&str]) -> Output {
    let sets = sets.iter().flat_map(|set| ["--set", set]);
    let mut command = Command::new(env!("CARGO_BIN_EXE_mailguard"));
    command.args(words).args(sets).env("PATH", path).output().unwrap()
}

fn succeed(path: &str, action: &str, sets: &[&str]) {
    let output = mailguard(path, &["rules", action], sets);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(output.stdout.is_empty() && output.stderr.is_empty(), "{action} has nothing to say");
}

/// What `check` says of the rules.
fn said(path: &str, sets: &[&str]) -> String {
    let output = mailguard(path, &["check"], sets);
    let text = String::from_utf8(output.stdout).unwrap();
    text.lines().filter(|line| line[7..].starts_with("rules: ")).collect::<Vec<_>>().join("\n")
}

fn own_path() -> String {
    std::env::var("PATH").unwrap()
}

#[test]
fn a_kernel_whose_nft_knows_no_queue_is_named() {
    sealed(NEEDS, || {
        let (real, path) = (shell("command -v nft"), fake());
        let real = real.trim();
        let script = format!(
            "#!/bin/sh\ncase \" $* \" in\n*' -f '*) cat >/run/script; if grep -q 'queue num' \
             /run/script; then echo 'Error: No such file' >&2; exit 1; fi; exec {real} \"$@\" \
             </run/script ;;\n*) exec {real} \"$@\" ;;\nesac\n"
        );
        fs::write("/run/fake/nft", script).unwrap();
        let output = mailguard(&path, &["rules", "up"], &["rules.backend=nft"]);
        let expected = "mailguard: nft of this kernel knows no queue, expected rules.backend = \
                        \"auto\" or \"iptables\": nft refused: Error: No such file\n";
        assert_eq!(String::from_utf8(output.stderr).unwrap(), expected);
        assert_eq!(output.status.code(), Some(2));
    });
}

#[test]
fn where_the_kernel_has_all_it_takes_nft_keeps_the_rules() {
    sealed(NEEDS, || {
        let path = fake();
        shell("nft add table inet mailguardian; nft add chain inet mailguardian c");
        let before = (shell("nft list ruleset"), state());
        for sets in [&[][..], &[HOSTS, LOCAL, "queue.last=3", "queue.fail=open", "ports=[25, 587]"]]
        {
            succeed(&path, "up", sets);
            assert_eq!(said(&path, sets), "ok     rules: as configured, kept by nft");
            assert!(!state().contains("MAILGUARD"), "iptables has some too");
            // What is as it should be is left alone: not even the handles differ.
            let once = shell("nft -a list ruleset");
            assert!(once.contains("table inet mailguard {"), "{once}");
            succeed(&path, "up", sets);
            assert_eq!(shell("nft -a list ruleset"), once);
            let changed = [sets, &["queue.first=1", "queue.last=1"]].concat();
            succeed(&path, "up", &changed);
            assert_eq!(said(&path, &changed), "ok     rules: as configured, kept by nft");
            assert!(said(&path, sets).contains("nft: the rules of mail are not those configured"));
            succeed(&path, "down", &[]);
            assert_eq!((shell("nft list ruleset"), state()), before);
            succeed(&path, "down", &[]);
        }
    });
}

#[test]
fn where_it_has_not_iptables_does() {
    sealed(NEEDS, || {
        let has_queue = Command::new("sh")
            .args(["-c", "nft -c 'add table t; add chain t c; add rule t c queue num 0'"])
            .status()
            .unwrap()
            .success();
        succeed(&own_path(), "up", &[]);
        assert_eq!(shell("nft list tables").contains("inet mailguard"), has_queue);
        assert_eq!(state().contains("-A MAILGUARD "), !has_queue);
        if !has_queue {
            // Asked to, it says in one line what the kernel lacks, and the rules there are stay.
            let before = state();
            let output = mailguard(&own_path(), &["rules", "up"], &["rules.backend=nft"]);
            let error = String::from_utf8(output.stderr).unwrap();
            assert!(error.starts_with("mailguard: nft of this kernel knows no queue, "), "{error}");
            assert_eq!((output.status.code(), error.lines().count()), (Some(2), 1), "{error}");
            assert_eq!(state(), before);
        }
        succeed(&own_path(), "down", &[]);
    });
}

#[test]
fn whoever_holds_the_rules_keeps_them_until_told_otherwise() {
    sealed(NEEDS, || {
        let path = fake();
        let kept_by = || {
            let nft = shell("nft list tables").contains("table inet mailguard\n");
            (state().contains("-A MAILGUARD "), nft)
        };
        for (backend, expected) in [
            ("iptables", (true, false)),
            ("auto", (true, false)),
            ("nft", (false, true)),
            ("auto", (false, true)),
            ("iptables", (true, false)),
        ] {
            succeed(&path, "up", &[&format!("rules.backend={backend}")]);
            assert_eq!(kept_by(), expected, "{backend}");
        }
        let show = mailguard(&path, &["rules", "show"], &["rules.backend=nft"]).stdout;
        fs::write("/run/table", show).unwrap();
        shell("PATH=/run/fake:$PATH nft -f - </run/table");
        assert_eq!(kept_by(), (true, true));
        let expected = "wrong  rules: kept twice, by iptables and by nft (mailguard rules up)";
        assert_eq!(said(&path, &[]), expected);
        succeed(&path, "down", &[]);
        assert_eq!(kept_by(), (false, false));
    });
}

#[test]
fn what_others_do_to_the_table_is_found() {
    sealed(NEEDS, || {
        let path = fake();
        for (act, expected) in [
            ("flush ruleset", "nft: table inet mailguard: not installed (mailguard rules up)"),
            ("flush chain inet mailguard mail", "nft: the rules of mail are not those configured"),
            (
                "insert rule inet mailguard mail accept",
                "nft: the rules of mail are not those configured",
            ),
            ("add chain inet mailguard other", "nft: chain other should not exist"),
            (
                "add chain inet mailguard forward { policy drop; }",
                "nft: chain forward does not stand where it should",
            ),
            (
                "add table inet mailguard { flags dormant; }",
                "nft: table inet mailguard: dormant, so it does nothing",
            ),
            ("delete chain inet mailguard postrouting", "nft: chain postrouting is gone"),
        ] {
            succeed(&path, "up", &["rules.backend=nft"]);
            shell(&format!("nft '{act}'"));
            let found = said(&path, &["rules.backend=nft"]);
            assert_eq!(found, format!("wrong  rules: {expected}"), "{act}");
        }
        succeed(&path, "up", &["rules.backend=nft"]);
        assert_eq!(said(&path, &[]), "ok     rules: as configured, kept by nft");
    });
}

/// The file with everything in it, and all that a kernel may have to say against it.
#[test]
fn nothing_but_the_queue_may_be_wanting() {
    sealed(NEEDS, || {
        let sets = ["rules.backend=nft", HOSTS, LOCAL, "queue.last=3", "queue.fail=open"];
        let table = mailguard(&own_path(), &["rules", "show"], &sets).stdout;
        fs::write("/run/table", &table).unwrap();
        let output = Command::new("nft").args(["-c", "-f", "/run/table"]).output().unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        let table = String::from_utf8(table).unwrap();
        for error in said.lines().filter_map(|line| line.strip_prefix("/run/table:")) {
            // LINE:FROM-TO: Error: …
            let mut place = error.split(':');
            let line: usize = place.next().unwrap().parse().unwrap();
            let (from, to) = place.next().unwrap().split_once('-').unwrap();
            let columns = from.parse::<usize>().unwrap() - 1..to.parse().unwrap();
            assert_eq!(&table.lines().nth(line - 1).unwrap()[columns], "queue", "{said}");
        }
        let compiled = shell("nft --debug=netlink -c -f /run/table 2>/dev/null || true");
        assert_eq!(compiled.matches("[ queue num 0-3 bypass ]").count(), 2, "{compiled}");
    });
}

/// What a stand-in for the filter does with a packet of the queue, for iptables and for nft.
const VERDICTS: [(&str, &str, &str); 3] = [
    ("passed", "ACCEPT", "accept"),
    (
        "handed over",
        "MARK --set-xmark 0x30000000/0x30000000",
        "meta mark set meta mark | 0x30000000",
    ),
    (
        "taken back",
        "MARK --set-xmark 0x10000000/0x30000000",
        "meta mark set meta mark & 0xdfffffff | 0x10000000",
    ),
];

/// Who else marks packets and connections, and what becomes of them.
const OBSERVER: &str = "table inet observer {
    chain before { type filter hook prerouting priority -160; meta mark set 0x10000001; }
    chain connection {
        type filter hook prerouting priority -155; policy accept;
        ct state new ct mark set CONNECTION
    }
    chain out {
        type filter hook postrouting priority 250; policy accept;
        tcp dport 25 meta mark & 0x30000000 != 0 counter comment \"our bits on leaving packets\"
        tcp dport 25 meta mark & 0x00000001 != 0 counter comment \"their bits on leaving packets\"
        ct mark & 0x20000000 != 0 counter comment \"connections that leave and need no filter\"
        ct mark & 0x00000002 != 0 counter comment \"their bits on connections that leave\"
    }
    chain in {
        type filter hook input priority 250; policy accept;
        ct mark & 0x20000000 != 0 counter comment \"connections that arrive and need no filter\"
        ct mark & 0x00000002 != 0 counter comment \"their bits on connections that arrive\"
    }
}";

/// None, one, or many: how many segments a dialogue takes is TCP's own business.
fn roughly(count: u64) -> &'static str {
    match count {
        0 => "none",
        1 => "one",
        _ => "many",
    }
}

/// Puts the rules up with a stand-in for the filter.
fn up(backend: &str, verdict: &(&str, &str, &str)) {
    let sets = ["ports=[25]", HOSTS, LOCAL, &format!("rules.backend={backend}")];
    let shown = mailguard(&own_path(), &["rules", "show"], &sets).stdout;
    let shown = String::from_utf8(shown).unwrap();
    let (_, iptables, nft) = verdict;
    let stand_in = |line: &str| match line.find("NFQUEUE").or_else(|| line.find("queue num")) {
        Some(at) if backend == "nft" => format!("{}{nft}\n", &line[..at]),
        Some(at) => format!("{}{iptables}\n", &line[..at]),
        None => format!("{line}\n"),
    };
    let text: String = shown.lines().map(stand_in).collect();
    let load = |program: &str, text: &str| {
        fs::write("/run/rules", text).unwrap();
        shell(&format!("{program} </run/rules"));
    };
    if backend == "nft" {
        return load("nft -f -", &text);
    }
    let (v4, v6) = text.split_at(text.find("# ip6tables").unwrap());
    load("iptables-restore --noflush", v4);
    load("ip6tables-restore --noflush", v6);
}

/// What came to the queue, towards the server and back.
fn queued(backend: &str) -> [u64; 2] {
    let listing = if backend == "nft" {
        shell("nft list chain inet mailguard mail")
    } else {
        shell("iptables-save -c -t mangle; ip6tables-save -c -t mangle")
    };
    ["dport 25", "sport 25"].map(|port| {
        let lines = listing.lines().filter(|line| line.contains(port));
        let count = |line: &str| -> u64 {
            let number = match line.split_once("counter packets ") {
                Some((_, rest)) => rest.split(' ').next(),
                None => line[1..].split(':').next(),
            };
            number.unwrap().parse().unwrap()
        };
        lines.map(count).sum()
    })
}

/// Does something in a network namespace, in a thread of its own.
fn within<T: Send + 'static>(name: &'static str, act: impl FnOnce() -> T + Send + 'static) -> T {
    let act = move || {
        if !name.is_empty() {
            let namespace = File::open(format!("/run/netns/{name}")).unwrap();
            let kind = Some(LinkNameSpaceType::Network);
            move_into_link_name_space(namespace.as_fd(), kind).unwrap();
        }
        act()
    };
    thread::spawn(act).join().unwrap()
}

/// Answers whoever comes to port 25, until the test ends.
fn serve(name: &'static str) {
    for address in ["0.0.0.0:25", "[::]:25"] {
        let address: SocketAddr = address.parse().unwrap();
        let listener = within(name, move || {
            let socket = Socket::new(Domain::for_address(address), Type::STREAM, None).unwrap();
            let _ = socket.set_only_v6(true);
            socket.bind(&address.into()).unwrap();
            socket.listen(9).unwrap();
            TcpListener::from(socket)
        });
        thread::spawn(move || {
            for mut client in listener.incoming().flatten() {
                let mut byte = [0];
                client.read_exact(&mut byte).unwrap();
                client.write_all(&byte).unwrap();
            }
        });
    }
}

/// A byte to port 25 and back.
fn converse(from: &'static str, to: &str, mark: u32) {
    let address = SocketAddr::new(to.parse().unwrap(), 25);
    within(from, move || {
        let socket = Socket::new(Domain::for_address(address), Type::STREAM, None).unwrap();
        socket.set_mark(mark).unwrap();
        socket.connect_timeout(&address.into(), Duration::from_secs(60)).unwrap();
        let mut stream = TcpStream::from(socket);
        let mut answer = Vec::new();
        stream.write_all(b"x").unwrap();
        stream.read_to_end(&mut answer).unwrap();
        assert_eq!(answer, b"x");
    });
}

/// All that can be seen of the rules, with a stand-in for the filter and a foreigner's marks.
fn observed(backend: &str, verdict: &(&str, &str, &str), connection: &str) -> String {
    shell(&format!("nft -f - <<'end'\n{}\nend\n", OBSERVER.replace("CONNECTION", connection)));
    up(backend, verdict);
    let (mut seen, mut before) = (String::new(), [0, 0]);
    for (what, from, to, mark) in [
        ("through", "out", ["192.0.2.25", "2001:db8::25"], 0),
        ("to", "out", ["198.51.100.1", "2001:db8:1::1"], 0),
        ("from", "", ["192.0.2.25", "2001:db8::25"], 0),
        ("as the filter from", "", ["192.0.2.25", "2001:db8::25"], 0x1000_0000),
    ] {
        for address in to {
            converse(from, address, mark);
            let now = queued(backend);
            let [there, back] = [now[0] - before[0], now[1] - before[1]].map(roughly);
            seen += &format!("{what} {address}: {there} and {back} come\n");
            before = now;
        }
    }
    for line in shell("nft list table inet observer").lines() {
        let Some((_, rest)) = line.split_once("counter packets ") else { continue };
        let (count, rest) = rest.split_once(' ').unwrap();
        let (_, what) = rest.split_once("comment ").unwrap();
        seen += &format!("{what}: {}\n", roughly(count.parse().unwrap()));
    }
    shell("nft delete table inet observer");
    assert!(mailguard(&own_path(), &["rules", "down"], &[]).status.success());
    seen
}

#[test]
fn it_means_what_the_rules_of_iptables_mean() {
    sealed(NEEDS, || {
        neighbours();
        serve("dmz");
        serve("");
        for (verdict, connection, expected) in [
            (0, "0x2", "many and many"),
            (0, "0x20000002", "one and one"),
            (1, "0x2", "one and one"),
            (2, "0x20000002", "many and many"),
        ] {
            let [nft, iptables] = ["nft", "iptables"]
                .map(|backend| observed(backend, &VERDICTS[verdict], connection));
            assert_eq!(nft, iptables, "{}, {connection}", VERDICTS[verdict].0);
            // The comparison is worth something.
            let through = format!("through 192.0.2.25: {expected} come");
            for expected in [
                through.as_str(),
                "as the filter from 2001:db8::25: none and ",
                "our bits on leaving packets\": none",
                "their bits on leaving packets\": many",
                "their bits on connections that arrive\": many",
            ] {
                assert!(nft.contains(expected), "{expected:?} is not in {nft}");
            }
        }
    });
}

#[test]
fn connections_to_a_mail_host_are_for_mail() {
    sealed(NEEDS, || {
        neighbours();
        // Refused: it arrived. Nothing at all: it did not.
        let open = |from: &str, to: &str| {
            let script = format!("exec 3<>/dev/tcp/{to}");
            let words = ["netns", "exec", from, "timeout", "1", "bash", "-c", &script];
            let output = Command::new("ip").args(words).env("LC_ALL", "C").output().unwrap();
            String::from_utf8_lossy(&output.stderr).contains("refused")
        };
        // An address of IPv6 is not used before the kernel has asked whether another has it.
        let opens = |from: &str, to: &str| (0..20).any(|_| open(from, to));
        up("nft", &VERDICTS[0]);
        for (host, outside) in [("192.0.2.25", "198.51.100.2"), ("2001:db8::25", "2001:db8:1::2")] {
            assert!(opens("out", &format!("{host}/25")), "mail to {host} does not pass");
            assert!(!open("out", &format!("{host}/80")), "the web server of {host} is reachable");
            assert!(opens("dmz", &format!("{outside}/80")), "{host} cannot open connections");
        }
    });
}
