//! `mailguard rules` against the real iptables, in namespaces of the test's own.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Command, Output, Stdio};

use crate::run;
use crate::sealed::sealed;

/// Without which nothing here can be tested.
const NEEDS: &[&str] = &["iptables-save"];

/// Whatever else this machine has.
const IPTABLES: [&str; 2] = ["--set", "rules.backend=iptables"];

pub(crate) const HOSTS: &str = "rules.mail_hosts=[\"192.0.2.25\", \"2001:db8::/64\"]";

pub(crate) fn shell(script: &str) -> String {
    let output = Command::new("bash").args(["-ec", script]).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{script}: {said}");
    String::from_utf8(output.stdout).unwrap()
}

fn rules(action: &str, sets: &[&str]) -> Output {
    let sets = sets.iter().flat_map(|set| ["--set", set]);
    let program = env!("CARGO_BIN_EXE_mailguard");
    Command::new(program)
        .args(["rules", action, IPTABLES[0], IPTABLES[1]])
        .args(sets)
        .output()
        .unwrap()
}

fn succeed(action: &str, sets: &[&str]) {
    let output = rules(action, sets);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(output.stdout.is_empty() && output.stderr.is_empty(), "{action} has nothing to say");
}

/// Every rule of both families, without the dates iptables-save puts around them.
pub(crate) fn state() -> String {
    shell("iptables-save; echo; ip6tables-save")
        .lines()
        .filter(|line| !line.starts_with('#'))
        .map(|line| format!("{line}\n"))
        .collect()
}

/// Rules an operator may have, among them some that look like ours.
fn operator() {
    for program in ["iptables", "ip6tables"] {
        shell(&format!(
            "{program} -t mangle -A FORWARD -p tcp --dport 80 -j MARK --set-mark 0x1
             {program} -t mangle -N MAILGUARDIAN
             {program} -t mangle -A FORWARD -j MAILGUARDIAN
             {program} -t mangle -A MAILGUARDIAN -p tcp --dport 25 -m comment \
                 --comment 'not -j MAILGUARD' -j RETURN
             {program} -t mangle -A POSTROUTING -j CONNMARK --save-mark
             {program} -P FORWARD DROP
             {program} -N web
             {program} -A FORWARD -p tcp --dport 80 -j web
             {program} -A web -j ACCEPT
             {program} -t nat -A POSTROUTING -o eth9 -j MASQUERADE"
        ));
    }
}

#[test]
fn up_twice_is_up_once() {
    sealed(NEEDS, || {
        for sets in [&[][..], &[HOSTS, "rules.local=true", "queue.last=3", "queue.fail=open"]] {
            succeed("up", sets);
            let once = state();
            succeed("up", sets);
            assert_eq!(state(), once);
            succeed("down", &[]);
        }
    });
}

#[test]
fn down_leaves_no_trace_and_nothing_else_is_touched() {
    sealed(NEEDS, || {
        operator();
        let before = state();
        succeed("up", &[HOSTS, "rules.local=true"]);
        let ours = |line: &&str| {
            line.starts_with(":MAILGUARD ")
                || line.starts_with(":MAILGUARD-")
                || line.starts_with("-A MAILGUARD ")
                || line.starts_with("-A MAILGUARD-")
                || line.ends_with("-j MAILGUARD")
                || line.ends_with("-j MAILGUARD-OFFLOAD")
                || line.ends_with("-j MAILGUARD-HOSTS")
                || line.ends_with("-j MAILGUARD-INPUT")
                || line.ends_with("-j MAILGUARD-OUTPUT")
        };
        let during = state();
        let others: String =
            during.lines().filter(|line| !ours(line)).map(|line| format!("{line}\n")).collect();
        assert_eq!(others, before);
        let (first, _) = during.split_once("-A FORWARD -p tcp").unwrap();
        assert!(first.ends_with("-A FORWARD -j MAILGUARD\n"), "ours is not first: {during}");
        succeed("down", &[]);
        assert_eq!(state(), before);
        let again = Command::new(env!("CARGO_BIN_EXE_mailguard"))
            .args(["rules", "down", "--config", "/nonexistent"])
            .status();
        assert!(again.unwrap().success(), "removing needs no configuration");
        assert_eq!(state(), before);
    });
}

#[test]
fn down_makes_no_tables() {
    sealed(NEEDS, || {
        let before = state();
        succeed("down", &[]);
        assert_eq!(state(), before);
    });
}

#[test]
fn a_changed_configuration_replaces_the_rules() {
    sealed(NEEDS, || {
        operator();
        succeed("up", &["ports=[25, 587]"]);
        let plain = state();
        for program in ["iptables", "ip6tables"] {
            let listed = shell(&format!("{program}-save -t mangle"));
            for port in ["--dport 25", "--sport 25", "--dport 587", "--sport 587"] {
                let rule = format!("-A MAILGUARD -p tcp -m tcp {port} -j NFQUEUE --queue-num 0\n");
                assert!(listed.contains(&rule), "{rule} is not in {listed}");
            }
        }
        let all = [HOSTS, "rules.local=true", "queue.first=4", "queue.last=7", "queue.fail=open"];
        succeed("up", &all);
        for (program, host) in [("iptables", "192.0.2.25/32"), ("ip6tables", "2001:db8::/64")] {
            let listed = shell(&format!("{program}-save"));
            for rule in [
                "-A INPUT -j MAILGUARD\n",
                "-A INPUT -j MAILGUARD-INPUT\n",
                "-A OUTPUT -j MAILGUARD-OUTPUT\n",
                "-A MAILGUARD -i lo -j RETURN\n",
                "--dport 25 -j NFQUEUE --queue-balance 4:7 --queue-bypass\n",
                "--sport 25 -j NFQUEUE --queue-balance 4:7 --queue-bypass\n",
                &format!("-A MAILGUARD-HOSTS -d {host} -p tcp -m tcp --dport 25 -j RETURN\n"),
                &format!("-A MAILGUARD-HOSTS -d {host} -j DROP\n"),
            ] {
                assert!(listed.contains(rule), "{rule} is not in {listed}");
            }
        }
        succeed("up", &["ports=[25, 587]"]);
        assert_eq!(state(), plain);
    });
}

/// `rules up` with a configuration that is none; what it says.
fn up_with_a_faulty_file() -> String {
    fs::write("/run/faulty.toml", "ports = [25\n").unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_mailguard"))
        .args(["rules", "up", "--config", "/run/faulty.toml", IPTABLES[0], IPTABLES[1]])
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(2));
    let said = String::from_utf8(output.stderr).unwrap();
    let (line, faults) = said.split_once('\n').unwrap();
    assert!(faults.contains("/run/faulty.toml:1:"), "{said}");
    line.to_owned()
}

/// As another program does that makes all rules anew.
fn flush() {
    for program in ["iptables", "ip6tables"] {
        for table in ["mangle", "filter", "raw"] {
            shell(&format!("{program} -t {table} -F; {program} -t {table} -X"));
        }
    }
    assert!(!state().contains("MAILGUARD"));
}

#[test]
fn a_faulty_configuration_leaves_no_gateway_open() {
    sealed(NEEDS, || {
        let unknown = "mailguard: rules: none stand, and none are known";
        assert_eq!(up_with_a_faulty_file(), unknown);
        let kept = "mailguard: rules: those of the last `rules up` stand";
        succeed("up", &[HOSTS, "queue.last=3", "ports=[25, 587]"]);
        let configured = state();
        assert!(configured.contains("--queue-balance 0:3"), "{configured}");
        flush();
        assert_eq!(up_with_a_faulty_file(), kept);
        assert_eq!(state(), configured);
        assert_eq!(up_with_a_faulty_file(), kept);
        assert_eq!(state(), configured);
        // Those of one family alone are gone.
        shell("iptables -t mangle -F");
        assert_eq!(up_with_a_faulty_file(), kept);
        assert_eq!(state(), configured);
        succeed("down", &[]);
        assert!(!fs::exists("/run/state").unwrap());
        // Nobody asks for any after that.
        assert_eq!(up_with_a_faulty_file(), unknown);
        assert!(!state().contains("MAILGUARD"));
    });
}

/// A copy of the machine's `/etc`, in which the folder of ours may be made.
fn own_etc() {
    shell("cp -a /etc /run && rm -rf /run/etc/mailguard && mount --bind /run/etc /etc");
}

/// The folder of ours in it, and the usual file there, which is not made.
pub(crate) fn own_folder() -> (&'static str, &'static str) {
    own_etc();
    fs::create_dir("/etc/mailguard").unwrap();
    ("/etc/mailguard", "/etc/mailguard/mailguard.toml")
}

/// Only by `rules down` does somebody say that the file is not wanted any more.
#[test]
fn a_configuration_that_is_gone_is_no_wish_for_the_defaults() {
    sealed(NEEDS, || {
        let (folder, file) = own_folder();
        let checked = || {
            let words = ["check", "--config-only"];
            Command::new(env!("CARGO_BIN_EXE_mailguard")).args(words).output().unwrap()
        };
        let none = "ok     configuration: no file, the defaults: profile mailguard, ports 25\n";
        assert_eq!(String::from_utf8(checked().stdout).unwrap(), none);
        fs::write(file, "ports = [25, 587]\n").unwrap();
        succeed("up", &[]);
        let (configured, kept) = (state(), fs::read("/run/state/rules.toml").unwrap());
        let of_file = "ok     configuration: profile mailguard, ports 25, 587\n";
        assert_eq!(String::from_utf8(checked().stdout).unwrap(), of_file);
        for remove in [format!("rm {file}"), format!("rmdir {folder}")] {
            shell(&remove);
            flush();
            let output = rules("up", &[]);
            let said = String::from_utf8(output.stderr).unwrap();
            let expected = format!(
                "mailguard: rules: those of the last `rules up` stand\nmailguard: the rules were \
                 made from {file}, which is gone; `mailguard rules down` forgets it\n"
            );
            assert_eq!((output.status.code(), said), (Some(2), expected));
            assert_eq!(state(), configured);
            assert_eq!(fs::read("/run/state/rules.toml").unwrap(), kept);
            assert_eq!(rules("show", &[]).status.code(), Some(2));
            assert_eq!(checked().status.code(), Some(2));
            // Rules are no matter of its.
            run::succeed(&["patches"]);
        }
        succeed("down", &[]);
        succeed("up", &[]);
        assert!(state().contains("--dport 25 ") && !state().contains("--dport 587 "));
    });
}

#[test]
fn rules_of_a_file_that_was_named_make_no_other_one_missed() {
    sealed(NEEDS, || {
        own_etc();
        let file = "/run/named.toml";
        fs::write(file, "ports = [25, 587]\n").unwrap();
        let up = ["rules", "up", IPTABLES[0], IPTABLES[1], "--config", file];
        run::succeed(&up);
        fs::remove_file(file).unwrap();
        assert_eq!(run::mailguard(&up).status.code(), Some(2));
        run::succeed(&["check", "--config-only"]);
        for action in ["show", "up"] {
            assert!(rules(action, &[]).status.success(), "{action}");
        }
    });
}

#[test]
fn rules_need_no_patches() {
    sealed(NEEDS, || {
        fs::create_dir("/run/patches").unwrap();
        fs::write("/run/patches/faulty.toml", "id = ").unwrap();
        for directory in ["/run/patches", "/nonexistent"] {
            succeed("up", &[&format!("patches.directory={directory}")]);
            assert!(state().contains("MAILGUARD"));
            succeed("down", &[]);
        }
    });
}

/// As when a machine's `iptables` becomes the other one.
#[test]
fn rules_in_the_other_rule_set_of_iptables_go_too() {
    let script = "iptables-legacy-save -t mangle && iptables-nft-save";
    sealed(&["sh", "-c", script], || {
        let path = std::env::var("PATH").unwrap();
        for kind in ["legacy", "nft"] {
            shell(&format!(
                "mkdir /run/{kind}; for p in iptables ip6tables; do for w in save restore; do
                 ln -s $(command -v $p-{kind}-$w) /run/{kind}/$p-$w; done; done"
            ));
        }
        let by = |kind: &str, words: &[&str]| {
            let output = Command::new(env!("CARGO_BIN_EXE_mailguard"))
                .args(words)
                .args(IPTABLES)
                .env("PATH", format!("/run/{kind}:{path}"))
                .output()
                .unwrap();
            (output.status.code(), String::from_utf8(output.stdout).unwrap())
        };
        let has = |kind: &str| {
            ["iptables", "ip6tables"].map(|program| {
                shell(&format!("{program}-{kind}-save -t mangle")).contains("-A MAILGUARD ")
            })
        };
        for [first, second] in [["legacy", "nft"], ["nft", "legacy"]] {
            assert_eq!(by(first, &["rules", "up"]).0, Some(0));
            assert_eq!((has(first), has(second)), ([true; 2], [false; 2]), "{first}");
            let (_, said) = by(second, &["check"]);
            let expected = "wrong  rules: some stand in iptables' other rule set (mailguard rules";
            assert!(said.contains(expected), "{said}");
            assert_eq!(by(second, &["rules", "up"]).0, Some(0));
            assert_eq!((has(first), has(second)), ([false; 2], [true; 2]), "{first}");
            assert_eq!(by(first, &["rules", "down"]).0, Some(0));
            assert_eq!((has(first), has(second)), ([false; 2], [false; 2]), "{first}");
        }
    });
}

#[test]
fn what_fails_halfway_is_taken_back() {
    sealed(NEEDS, || {
        let path = std::env::var("PATH").unwrap();
        fs::create_dir("/run/fake").unwrap();
        let fake = "/run/fake/ip6tables-restore";
        fs::write(fake, "#!/bin/sh\ncat >/dev/null\necho 'line 4 failed' >&2\nexit 1\n").unwrap();
        fs::set_permissions(fake, fs::Permissions::from_mode(0o755)).unwrap();
        operator();
        for earlier in [None, Some(&["queue.last=3", "rules.mail_hosts=[\"192.0.2.9\"]"][..])] {
            if let Some(earlier) = earlier {
                succeed("up", earlier);
                // The jump is not always where we put it: it has to go back where it was.
                shell("iptables -t mangle -I FORWARD 1 -j MAILGUARDIAN");
            }
            let before = state();
            let output = Command::new(env!("CARGO_BIN_EXE_mailguard"))
                .args(["rules", "up", IPTABLES[0], IPTABLES[1]])
                .args(["--set", HOSTS, "--set", "rules.local=true"])
                .env("PATH", format!("/run/fake:{path}"))
                .output()
                .unwrap();
            let said = String::from_utf8(output.stderr).unwrap();
            assert_eq!(said, "mailguard: ip6tables-restore refused: line 4 failed\n");
            assert_eq!(output.status.code(), Some(2));
            assert_eq!(state(), before);
        }
    });
}

#[test]
fn a_missing_program_is_named() {
    sealed(NEEDS, || {
        shell("for n in /usr/local/sbin /usr/sbin; do mount -t tmpfs tmpfs $n; done");
        for (backend, expected) in [
            ("iptables", "iptables-save is not installed (on Debian: apt-get install iptables)"),
            ("nft", "nft is not installed (on Debian: apt-get install nftables)"),
            (
                "auto",
                "neither nft nor iptables-save is installed (on Debian: apt-get install nftables, \
                 or iptables)",
            ),
        ] {
            let output = Command::new(env!("CARGO_BIN_EXE_mailguard"))
                .args(["rules", "up", "--set", &format!("rules.backend={backend}")])
                .env("PATH", "/nonexistent")
                .output()
                .unwrap();
            let said = String::from_utf8(output.stderr).unwrap();
            assert_eq!((output.status.code(), said), (Some(2), format!("mailguard: {expected}\n")));
        }
    });
}

#[test]
fn programs_are_found_where_an_administrator_has_them() {
    sealed(NEEDS, || {
        for words in [&["rules", "up"][..], &["check"], &["rules", "down"]] {
            let output = Command::new(env!("CARGO_BIN_EXE_mailguard"))
                .args(words)
                .args(IPTABLES)
                .env("PATH", "/usr/bin:/bin")
                .output()
                .unwrap();
            let said = [output.stdout, output.stderr].concat();
            let said = String::from_utf8(said).unwrap();
            assert!(!said.contains("installed (on Debian"), "{said}");
            assert_eq!(state().contains("MAILGUARD"), words != ["rules", "down"], "{said}");
        }
    });
}

/// A program that does as `ip6tables-restore`, after this.
fn before_ip6tables_restore(script: &str) -> String {
    let path = std::env::var("PATH").unwrap();
    let real = shell("command -v ip6tables-restore");
    fs::create_dir_all("/run/fake").unwrap();
    let fake = "/run/fake/ip6tables-restore";
    fs::write(fake, format!("#!/bin/sh\n{script}\nexec {} \"$@\"\n", real.trim())).unwrap();
    fs::set_permissions(fake, fs::Permissions::from_mode(0o755)).unwrap();
    format!("/run/fake:{path}")
}

#[test]
fn a_signal_leaves_no_family_without_its_rules() {
    sealed(NEEDS, || {
        succeed("up", &[]);
        let both = state();
        succeed("down", &[]);
        let neither = state();
        for signal in ["INT", "TERM", "HUP"] {
            // As a terminal does, to all of them.
            let path = before_ip6tables_restore(&format!("kill -{signal} 0"));
            for (action, expected) in [("up", &both), ("down", &neither)] {
                let output = Command::new(env!("CARGO_BIN_EXE_mailguard"))
                    .args(["rules", action, IPTABLES[0], IPTABLES[1]])
                    .env("PATH", &path)
                    .process_group(0)
                    .output()
                    .unwrap();
                assert_eq!(&state(), expected, "{action} {signal}");
                // It is not forgotten, but some start programs that do not know the others.
                let is_ended = output.status.signal().is_some();
                assert!(is_ended || signal != "TERM", "{action}: {output:?}");
            }
        }
    });
}

#[test]
fn who_changes_rules_at_once_does_so_one_after_the_other() {
    sealed(NEEDS, || {
        succeed("up", &[]);
        let once = state();
        let path = before_ip6tables_restore("sleep 0.1");
        for _ in 0..2 {
            let start = |action: &&str| {
                Command::new(env!("CARGO_BIN_EXE_mailguard"))
                    .args(["rules", action, IPTABLES[0], IPTABLES[1]])
                    .env("PATH", &path)
                    .stderr(Stdio::piped())
                    .spawn()
                    .unwrap()
            };
            let started: Vec<_> = ["up", "down", "up"].iter().map(start).collect();
            for child in started {
                let output = child.wait_with_output().unwrap();
                assert!(output.status.success(), "{output:?}");
            }
            succeed("up", &[]);
            assert_eq!(state(), once);
        }
        assert_eq!(shell("stat -c %a /run/mailguard-rules.lock"), "600\n");
    });
}

/// Two more namespaces around this one, which forwards: `out` and `dmz` with the mail host.
pub(crate) fn neighbours() {
    shell(
        "for n in out dmz; do
             ip netns add $n
             ip link add $n type veth peer name eth0 netns $n
             ip link set $n up
             ip -n $n link set eth0 up
             ip -n $n link set lo up
         done
         ip addr add 198.51.100.1/24 dev out; ip addr add 192.0.2.1/24 dev dmz
         ip -n out addr add 198.51.100.2/24 dev eth0; ip -n dmz addr add 192.0.2.25/24 dev eth0
         ip -n out route add default via 198.51.100.1; ip -n dmz route add default via 192.0.2.1
         ip addr add 2001:db8:1::1/64 dev out nodad; ip addr add 2001:db8::1/64 dev dmz nodad
         ip -n out addr add 2001:db8:1::2/64 dev eth0 nodad
         ip -n dmz addr add 2001:db8::25/64 dev eth0 nodad
         ip -n out route add default via 2001:db8:1::1
         ip -n dmz route add default via 2001:db8::1
         echo 1 >/proc/sys/net/ipv4/ip_forward
         echo 1 >/proc/sys/net/ipv6/conf/all/forwarding",
    );
}

/// Whether a connection opened from there reaches the other end within so many seconds: nobody
/// listens, so it is refused if it does and hangs if it does not.
fn is_refused(namespace: &str, address: &str, port: u16, seconds: &str) -> bool {
    let open = format!("exec 3<>/dev/tcp/{address}/{port}");
    let output = Command::new("ip")
        .args(["netns", "exec", namespace, "timeout", seconds, "bash", "-c", &open])
        .env("LC_ALL", "C")
        .output()
        .unwrap();
    String::from_utf8_lossy(&output.stderr).contains("refused")
}

fn reaches(namespace: &str, address: &str, port: u16) -> bool {
    is_refused(namespace, address, port, "60")
}

fn hangs(namespace: &str, address: &str, port: u16) -> bool {
    !is_refused(namespace, address, port, "1.5")
}

#[test]
fn only_mail_may_open_connections_to_a_mail_host() {
    sealed(NEEDS, || {
        neighbours();
        for (host, outside) in [("192.0.2.25", "198.51.100.2"), ("2001:db8::25", "2001:db8:1::2")] {
            assert!(reaches("out", host, 80), "the way to {host} is not open");
            succeed("up", &[HOSTS, "queue.fail=open"]);
            assert!(reaches("out", host, 25), "mail to {host} does not pass");
            assert!(hangs("out", host, 80), "the web server of {host} is reachable");
            assert!(reaches("dmz", outside, 80), "{host} cannot open connections");
            // Nothing passes unfiltered where nobody filters.
            succeed("up", &[HOSTS]);
            assert!(hangs("out", host, 25), "mail to {host} passes unfiltered");
            assert!(hangs("dmz", outside, 25), "mail from {host} passes unfiltered");
            succeed("down", &[]);
            assert!(reaches("out", host, 80), "the way to {host} is not open again");
        }
    });
}
