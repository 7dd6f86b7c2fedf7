//! What is installed and packed: all of it and no more, and gone again afterwards.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use clap::Parser;
use mailguard::cli::Cli;
use mailguard::config::{Config, Source};

use crate::run::shell;
use crate::sealed::{lacking, sealed};

const DIST: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/dist");
const PROGRAM: &str = env!("CARGO_BIN_EXE_mailguard");

/// A directory that is gone when the test is over.
struct Root(PathBuf);

impl Root {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("mailguard-{}-{name}", std::process::id()));
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn path(&self) -> &str {
        self.0.to_str().unwrap()
    }

    /// The files below it, with paths as they will be.
    fn files(&self) -> BTreeSet<String> {
        let mut found = BTreeSet::new();
        let mut folders = vec![self.0.clone()];
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(folder).unwrap().map(Result::unwrap) {
                if entry.file_type().unwrap().is_dir() {
                    folders.push(entry.path());
                } else {
                    let path = entry.path();
                    found.insert(format!("/{}", path.strip_prefix(&self.0).unwrap().display()));
                }
            }
        }
        found
    }

    fn text(&self, path: &str) -> String {
        fs::read_to_string(format!("{}{path}", self.path())).unwrap()
    }
}

impl Drop for Root {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn script(words: &[&str]) -> Output {
    Command::new(format!("{DIST}/install.sh")).args(words).output().unwrap()
}

fn done(words: &[&str]) -> String {
    let output = script(words);
    let said = [output.stdout, output.stderr].map(|text| String::from_utf8(text).unwrap()).concat();
    assert!(output.status.success(), "{words:?}: {said}");
    said
}

/// The values of a key in a unit.
fn values<'a>(unit: &'a str, key: &str) -> Vec<&'a str> {
    let start = format!("{key}=");
    unit.lines().filter_map(|line| line.strip_prefix(start.as_str())).collect()
}

#[test]
fn what_is_installed_is_gone_again_and_nothing_else() {
    let root = Root::new("install");
    let foreign = root.0.join("usr/local/lib/systemd/system/other.service");
    fs::create_dir_all(foreign.parent().unwrap()).unwrap();
    fs::write(&foreign, "").unwrap();
    let before = root.files();
    done(&["install", PROGRAM, "/usr/local", root.path()]);
    let installed = root.files();
    for path in ["/usr/local/sbin/mailguard", "/etc/mailguard/mailguard.toml"] {
        assert!(installed.contains(path), "{path} of {installed:?}");
    }
    for unit in ["mailguard", "mailguard-rules", "mailguard-check"] {
        let unit = root.text(&format!("/usr/local/lib/systemd/system/{unit}.service"));
        for command in ["ExecStart", "ExecReload"].iter().flat_map(|key| values(&unit, key)) {
            assert!(!command.contains("/usr/sbin"), "{command}");
        }
    }
    done(&["uninstall", "/usr/local", root.path()]);
    assert_eq!(root.files(), before);
    assert!(!root.0.join("etc/mailguard").exists());
    assert_eq!(script(&["uninstall", "/usr/local", root.path()]).status.code(), Some(2));
}

#[test]
fn a_configuration_that_was_changed_outlives_installations() {
    let root = Root::new("config");
    done(&["install", PROGRAM, "/usr", root.path()]);
    let file = root.0.join("etc/mailguard/mailguard.toml");
    fs::write(&file, "ports = [2525]\n").unwrap();
    done(&["install", PROGRAM, "/usr", root.path()]);
    let said = done(&["uninstall", "/usr", root.path()]);
    assert!(said.contains("kept: ") && said.contains("mailguard.toml"), "{said}");
    assert_eq!(fs::read_to_string(file).unwrap(), "ports = [2525]\n");
}

#[test]
fn packages_have_all_that_is_staged() {
    let root = Root::new("stage");
    done(&["stage", PROGRAM, "/usr", root.path()]);
    let staged = root.files();
    let read = |name: &str| fs::read_to_string(format!("{DIST}/{name}")).unwrap();
    let spec = read("rpm/mailguard.spec");
    let (_, listed) = spec.split_once("%files\n").unwrap();
    let lines = listed.lines().take_while(|line| !line.is_empty());
    let listed = lines.filter(|line| !line.starts_with('#'));
    let listed: Vec<_> = listed.map(|line| line.rsplit(' ').next().unwrap()).collect();
    for path in &staged {
        let holds = |at: &&str| at.split(['*', '?']).next().is_some_and(|at| path.starts_with(at));
        assert!(listed.iter().any(holds), "{path} is in no line of the spec");
    }
    for at in listed {
        let start = at.split(['*', '?']).next().unwrap();
        assert!(staged.iter().any(|path| path.starts_with(start)), "{at}: no such file");
    }
    // The scripts know each unit that can be enabled.
    for name in fs::read_dir(format!("{DIST}/systemd")).unwrap() {
        let name = name.unwrap().file_name().into_string().unwrap();
        let can_be_enabled = read(&format!("systemd/{name}")).contains("[Install]");
        for script in ["postinst", "postrm"] {
            let script = read(&format!("debian/{script}"));
            let units = script.lines().find(|line| line.starts_with("UNITS=")).unwrap();
            let is_known = units.split(['"', ' ']).any(|unit| unit == name);
            assert_eq!(is_known, can_be_enabled, "{name}: {units}");
        }
    }
    // Version and date are the commit's.
    assert!(read("debian/changelog").starts_with("mailguard (@VERSION@) "));
    assert!(read("package.sh").contains("s/@VERSION@/$version-$number/; s/@DATE@/$date/"));
}

/// A minute after it is started it fails where anything about a machine is not right yet.
#[test]
fn a_package_starts_nothing_that_looks_each_minute() {
    let script = fs::read_to_string(format!("{DIST}/debian/postinst")).unwrap();
    let started: Vec<_> = script.lines().filter(|line| line.contains("-invoke start")).collect();
    assert!(matches!(*started, [line] if !line.contains("mailguard-check")), "{started:?}");
    let (enabling, _) = script.split_once("    [ -d /run/systemd/system ]").unwrap();
    let root = Root::new("postinst");
    fs::write(root.0.join("postinst"), format!("{enabling}\n;;\nesac\n")).unwrap();
    let helper = root.0.join("deb-systemd-helper");
    // Where the package is new, and where it was there and all of it enabled.
    for (is_known, is_enabled) in [(1, false), (0, true)] {
        let text = format!("#!/bin/sh\necho $*\n[ $1 != debian-installed ] || exit {is_known}\n");
        fs::write(&helper, text).unwrap();
        let run = "cd \"$0\" && chmod +x deb-systemd-helper && \
                   ln -sf /bin/true systemd-sysusers && ln -sf /bin/true systemd-tmpfiles && \
                   PATH=.:$PATH sh -x postinst configure 2>&1";
        let output = Command::new("sh").args(["-c", run, root.path()]).output().unwrap();
        let said = String::from_utf8(output.stdout).unwrap();
        let enables = |unit: &str| said.contains(&format!("deb-systemd-helper enable {unit}\n"));
        assert!(output.status.success() && enables("mailguard.service"), "{said}");
        assert_eq!(enables("mailguard-check.timer"), is_enabled, "{said}");
    }
}

/// Forwarded mail passes no other chain.
#[test]
fn who_is_banned_is_kept_out_where_mail_is_forwarded() {
    let read = |name: &str| fs::read_to_string(format!("{DIST}/{name}")).unwrap();
    let filter = read("fail2ban/mailguard.conf");
    let (_, jail) = filter.split_once("#   [mailguard]\n").unwrap();
    let jail: Vec<_> = jail.lines().map_while(|line| line.strip_prefix("#   ")).collect();
    assert!(jail.contains(&"chain = FORWARD"), "{jail:?}");
    let parser = read("crowdsec/mailguard-logs.yaml");
    for line in ["iptables_chains: [INPUT, FORWARD]", "nftables_hooks: [input, forward]"] {
        assert!(parser.contains(&format!("\n#   {line}\n")), "{line}");
    }
}

/// Files of the machine that may change are copies here.
#[test]
fn without_systemd_there_are_user_and_directory_as_well() {
    let needs = ["sh", "-c", "useradd --help >/dev/null && chown 1 /run"];
    sealed(&needs, || {
        assert!(shell(
            "mkdir /run/etc && cd /etc && cp -a passwd group shadow gshadow login.defs \
             nsswitch.conf /run/etc && sed -i /^mailguard:/d /run/etc/passwd /run/etc/group \
             /run/etc/shadow /run/etc/gshadow && mount --bind /run/etc /etc && \
             mount -t tmpfs tmpfs /var/log"
        ));
        for _ in 0..2 {
            done(&["install", PROGRAM, "/run/prefix", ""]);
            let words = ["-c", "%U %G %a", "/var/log/mailguard"];
            let said = Command::new("stat").args(words).output().unwrap().stdout;
            assert_eq!(String::from_utf8(said).unwrap(), "mailguard mailguard 750\n");
        }
    });
}

#[test]
fn a_filter_that_no_unit_runs_is_told_that_its_log_was_turned() {
    let turned = fs::read_to_string(format!("{DIST}/logrotate.conf")).unwrap();
    let (_, pattern) = turned.split_once("pkill -USR1 -u mailguard -f '").unwrap();
    let (pattern, _) = pattern.split_once('\'').unwrap();
    let lines = "mailguard run\n/usr/sbin/mailguard run --config /x\n/usr/sbin/mailguard ctl run\n\
                 mailguard top\nvi mailguard run\nmailguard runs\n";
    let output = Command::new("sh")
        .args(["-c", "printf %s \"$1\" | grep -nE \"$2\" | cut -d: -f1", "sh", lines, pattern])
        .output()
        .unwrap();
    assert_eq!(String::from_utf8(output.stdout).unwrap(), "1\n2\n");
}

/// What brings packets, what filters them and what looks at both go by one file, and without it
/// none of them goes by the defaults.
#[test]
fn units_name_one_configuration() {
    for unit in ["mailguard", "mailguard-rules", "mailguard-check"] {
        let text = fs::read_to_string(format!("{DIST}/systemd/{unit}.service")).unwrap();
        for command in ["ExecStart", "ExecReload"].iter().flat_map(|key| values(&text, key)) {
            let Some(words) = command.strip_prefix("/usr/sbin/") else { continue };
            let cli = Cli::try_parse_from(words.split(' ')).unwrap();
            let usual = Path::new("/etc/mailguard/mailguard.toml");
            assert_eq!(cli.command.config_file(), Some((usual, true)), "{unit}: {command}");
        }
    }
}

/// An upgrade starts anew only what the unit will start.
#[test]
fn packages_check_the_configuration_as_the_unit_reads_it() {
    let read = |name: &str| fs::read_to_string(format!("{DIST}/{name}")).unwrap();
    let unit = read("systemd/mailguard.service");
    let (_, options) = values(&unit, "ExecStart")[0].split_once(" run ").unwrap();
    for script in ["debian/postinst", "rpm/mailguard.spec"] {
        let text = read(script).replace("\\\n", " ");
        let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
        let check = format!("mailguard check --config-only {options} >/dev/null");
        assert!(text.contains(&check), "{script} has no `{check}`");
    }
    // A file that is named has to be there.
    let root = Root::new("named");
    let gone = format!("{}/gone.toml", root.path());
    let words = ["check", "--config-only", "--config", &gone];
    let output = Command::new(PROGRAM).args(words).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
}

#[test]
fn units_and_files_agree() {
    let root = Root::new("agree");
    done(&["stage", PROGRAM, "/usr", root.path()]);
    let units = root.files();
    let units: Vec<_> = units.iter().filter(|path| path.contains("/systemd/system/")).collect();
    assert_eq!(units.len(), 4, "{units:?}");
    let mut users = BTreeSet::new();
    for path in units {
        let unit = root.text(path);
        for command in ["ExecStart", "ExecReload"].iter().flat_map(|key| values(&unit, key)) {
            let ours = command.strip_prefix("/usr/sbin/").map(|command| command.split(' '));
            assert!(ours.is_none_or(|words| Cli::try_parse_from(words).is_ok()), "{command}");
        }
        // A page that a unit names is there.
        for page in values(&unit, "Documentation").iter().flat_map(|all| all.split(' ')) {
            let (name, section) = page.trim_start_matches("man:").split_once('(').unwrap();
            let section = section.trim_end_matches(')');
            root.text(&format!("/usr/share/man/man{section}/{name}.{section}"));
        }
        users.extend(values(&unit, "User").into_iter().map(str::to_owned));
    }
    // One user, who is made, and who may write what the directory and the log's turning say.
    assert_eq!(users, BTreeSet::from(["mailguard".to_owned()]));
    assert!(root.text("/usr/lib/sysusers.d/mailguard.conf").contains("\nu mailguard - "));
    let made = root.text("/usr/lib/tmpfiles.d/mailguard.conf");
    assert!(made.contains("\nd /var/log/mailguard 0750 mailguard mailguard -"), "{made}");
    let turned = root.text("/etc/logrotate.d/mailguard");
    assert!(turned.contains("\n/var/log/mailguard/*.log {\n\tsu mailguard mailguard\n"));
    let shipped = root.text("/etc/mailguard/mailguard.toml");
    Config::build(Some(Source { name: "shipped", text: &shipped }), &[]).unwrap();
    assert!(Path::new(&format!("{}/usr/share/mailguard/fail2ban", root.path())).is_dir());
}

#[test]
fn pages_can_be_read_by_their_readers() {
    let root = Root::new("pages");
    let made = Command::new(PROGRAM).args(["pages", root.path()]).output().unwrap();
    assert!(made.status.success(), "{made:?}");
    let bash = format!("{}/share/bash-completion/completions/mailguard", root.path());
    // What a shell offers behind `mailguard rules ` and behind `mailguard pro`.
    let asked = "source \"$0\"; COMP_WORDS=(mailguard $1 \"$2\"); COMP_CWORD=$3; \
                 _mailguard mailguard \"$2\" \"$1\"; echo \"${COMPREPLY[*]}\"";
    for (previous, typed, place, offered) in
        [("rules", "", "2", "up down show"), ("", "pro", "1", "probe profiles")]
    {
        let words = ["-c", asked, &bash, previous, typed, place];
        let output = Command::new("bash").args(words).output().unwrap();
        let said = String::from_utf8(output.stdout).unwrap();
        for word in offered.split(' ') {
            assert!(said.split_whitespace().any(|one| one == word), "{word} of {said}");
        }
        assert!(!said.contains("pages"), "{said}");
    }
    let page = format!("{}/share/man/man8/mailguard-run.8", root.path());
    let mut man = Command::new("man");
    man.args(["--warnings", "-l", &page]).env("LC_ALL", "C.UTF-8");
    let Ok(shown) = man.output() else {
        return lacking("there is no man");
    };
    let said = String::from_utf8(shown.stdout).unwrap();
    assert!(shown.stderr.is_empty(), "{}", String::from_utf8_lossy(&shown.stderr));
    for heading in ["NAME", "SYNOPSIS", "OPTIONS", "SIGNALS", "EXIT STATUS", "FILES", "SEE ALSO"] {
        assert!(said.contains(heading), "{heading} of {said}");
    }
}
