//! The real binary: flags, exit codes, messages.

use std::fs;
use std::path::PathBuf;
use std::process::{Command, Output};

fn mailguard(words: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_mailguard")).args(words).output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

/// A file that is gone when the test is over.
struct File(PathBuf);

impl File {
    fn new(name: &str, content: impl AsRef<[u8]>) -> Self {
        let path = std::env::temp_dir().join(format!("mailguard-{}-{name}", std::process::id()));
        fs::write(&path, content).unwrap();
        Self(path)
    }

    fn path(&self) -> &str {
        self.0.to_str().unwrap()
    }
}

impl Drop for File {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

#[test]
fn help_names_every_command_and_ends_well() {
    let output = mailguard(&["--help"]);
    assert_eq!(output.status.code(), Some(0));
    let said = text(&output.stdout);
    for word in
        ["run", "replay", "rules", "check", "probe", "profiles", "Exit codes: 0 done, 1 found"]
    {
        assert!(said.contains(word), "{word} is not in {said}");
    }
    for command in ["run", "replay", "rules", "check"] {
        let said = text(&mailguard(&[command, "--help"]).stdout);
        for option in ["--config", "--profile", "--set"] {
            assert!(said.contains(option), "{option} is not in {said}");
        }
    }
}

#[test]
fn explain_tells_of_a_capture_a_flow_an_entry_and_a_word() {
    let capture = |name: &str| format!("{}/pcaps/{name}.pcap", env!("CARGO_MANIFEST_DIR"));
    let explained = |words: &[&str]| {
        let output = mailguard(&[&["explain"], words].concat());
        (output.status.code(), text(&output.stdout), text(&output.stderr))
    };
    let (code, said, _) = explained(&[&capture("refused-commands")]);
    assert_eq!(code, Some(0));
    assert!(said.contains("\"VRFY root\", left as \"XXXXXXXXX\". Why: verb; "), "{said}");
    // Settings that are given decide.
    let words = [&capture("refused-commands"), "--set", "verbs=QUIT,VRFY"];
    let (_, said, _) = explained(&words);
    assert!(!said.contains("VRFY root\", left") && said.contains("verbs = QUIT,VRFY"), "{said}");
    let several = capture("patch-CVE-2019-10149");
    let (code, list, _) = explained(&[&several]);
    assert_eq!(code, Some(0));
    assert!(list.lines().count() > 1 && list.starts_with("     1  192.0.2.1:"), "{list}");
    assert!(explained(&[&several, "2"]).1.starts_with("Flow 2: "));
    let (code, said, _) = explained(&["*** client offset 13: verb: \"a\" -> \"X\""]);
    assert_eq!(code, Some(0));
    assert!(said.starts_with("It is about the client's byte 13."), "{said}");
    for (words, why) in [
        (&[several.as_str(), "99"][..], several.as_str()),
        (&["no-such-word"], "`no-such-word` found, expected a capture, an entry of"),
        (&["no-such-file", "1"], "no-such-file: no such file, expected a capture"),
        (&["/proc/self/cmdline"], "/proc/self/cmdline: byte 0: expected"),
        (&["/"], "/: Is a directory"),
    ] {
        let (code, said, error) = explained(words);
        assert_eq!((code, said.as_str(), error.lines().count()), (Some(2), "", 1), "{error}");
        assert!(error.starts_with(&format!("mailguard: {why}")), "{error}");
    }
}

#[test]
fn a_report_is_written_whole_or_not_at_all() {
    let capture = format!("{}/pcaps/refused-commands.pcap", env!("CARGO_MANIFEST_DIR"));
    let report = File::new("report.html", "older");
    let output = mailguard(&["replay", &capture, "--report", report.path()]);
    assert_eq!(output.status.code(), Some(0));
    let page = fs::read_to_string(report.path()).unwrap();
    assert!(page.starts_with("<!DOCTYPE html>") && page.ends_with("</body></html>\n"), "{page}");
    let broken = File::new("broken.pcap", "no capture");
    for (input, into) in [(broken.path(), report.path()), (broken.path(), broken.path())] {
        let output = mailguard(&["replay", input, "--report", into]);
        assert_eq!(output.status.code(), Some(2));
        assert_eq!(text(&output.stderr).lines().count(), 1);
    }
    assert_eq!(fs::read_to_string(report.path()).unwrap(), page);
    assert_eq!(fs::read_to_string(broken.path()).unwrap(), "no capture");
}

#[test]
fn wrong_usage_ends_with_2() {
    for words in [
        &[][..],
        &["nothing"],
        &["run", "--queue", "x"],
        &["rules", "sideways"],
        &["replay"],
        &["rules", "show", "--set", "x"],
    ] {
        let output = mailguard(words);
        assert_eq!(output.status.code(), Some(2), "{words:?}");
        assert!(output.stdout.is_empty(), "{words:?}");
    }
}

#[test]
fn a_wrong_configuration_is_told_on_standard_error() {
    let unknown = File::new("unknown.toml", "ports = [25]\n[queue]\nlenght = 5\n");
    let range = File::new("range.toml", "[limits]\n\nflows_max = 0\n");
    let long = File::new("long.toml", "#".repeat((1 << 20) + 1));
    let empty = File::new("empty.toml", "\n");
    let missing = "/nonexistent/mailguard.toml";
    for (words, expected) in [
        (
            &["rules", "show", "--config", unknown.path()][..],
            format!("mailguard: {}:3:1: unknown key `lenght` in [queue], expected", unknown.path()),
        ),
        (
            &["check", "--config", range.path()],
            format!(
                "mailguard: {}:3:13: limits.flows_max: 0 found, expected a whole number from 1",
                range.path()
            ),
        ),
        (
            &["run", "--config", missing],
            format!("mailguard: cannot read {missing}: No such file or directory"),
        ),
        (
            &["run", "--config", long.path()],
            format!("mailguard: {}: longer than 1 MiB: expected a configuration file", long.path()),
        ),
        (
            &["run", "--config", empty.path()],
            format!("mailguard: {}: empty: expected a configuration", empty.path()),
        ),
        (
            &["check", "--config-only", "--config", empty.path()],
            format!("mailguard: {}: empty: expected a configuration", empty.path()),
        ),
        (
            &["run", "--config", "/dev/zero"],
            "mailguard: /dev/zero: no regular file: expected a configuration file".to_owned(),
        ),
        (
            &["rules", "shwo"],
            "mailguard: invalid value 'shwo' for '<ACTION>' [possible values: up, down, show] \
             (tip: a similar value exists: 'show')"
                .to_owned(),
        ),
        (
            &["replay"],
            "mailguard: the following required arguments were not provided: <IN>".to_owned(),
        ),
        (
            &["replay", "pcaps/delivery.pcap", "--write", "-"],
            "mailguard: -: expected the name of a file".to_owned(),
        ),
        (
            &["rules", "show", "--set", "queue.length=0"],
            "mailguard: --set queue.length=0: queue.length: 0 found, expected a whole".to_owned(),
        ),
        (
            &["rules", "show", "--profile", "none"],
            "mailguard: --profile none: profile: \"none\" found, expected one of mailguard"
                .to_owned(),
        ),
    ] {
        let output = mailguard(words);
        let said = text(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{words:?}");
        assert!(said.starts_with(&expected), "{said:?} does not begin with {expected:?}");
        // What stands in a file is drawn below the line that tells of it.
        let lines = if said.contains(".toml:3") { 4 } else { 1 };
        assert_eq!(said.lines().count(), lines, "{said}");
    }
}

#[test]
fn an_error_stays_one_line_whatever_names_it_repeats() {
    for words in [
        &["replay", "no\nsuch\u{1b}[2J"][..],
        &["replay", "x", "--set", "starttls=a\nb"],
        &["profiles", "a\nb"],
        &["check", "--config", "a\nb"],
    ] {
        let output = mailguard(words);
        let error = text(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{words:?}");
        assert_eq!(error.matches(char::is_control).count(), 1, "{error:?}");
        assert!(error.starts_with("mailguard: ") && error.ends_with('\n'), "{error:?}");
    }
}

#[test]
fn a_configuration_that_would_have_to_be_waited_for_is_refused() {
    let path = std::env::temp_dir().join(format!("mailguard-fifo-{}", std::process::id()));
    let path = path.to_str().unwrap();
    assert!(Command::new("mkfifo").arg(path).status().unwrap().success());
    let outputs = [&["check", "--config", path][..], &["import", path]].map(mailguard);
    fs::remove_file(path).unwrap();
    for output in outputs {
        assert_eq!(output.status.code(), Some(2));
        let expected =
            format!("mailguard: {path}: no regular file: expected a configuration file\n");
        assert_eq!(text(&output.stderr), expected);
    }
}

#[test]
fn a_group_that_the_machine_does_not_know_is_refused_before_a_start() {
    let set = ["--set", "control.group=no-such-group"];
    let output = mailguard(&["check", "--config-only", set[0], set[1]]);
    assert_eq!(output.status.code(), Some(2));
    let expected =
        "mailguard: control.group: `no-such-group` found, expected a group of this machine\n";
    assert_eq!(text(&output.stderr), expected);
}

#[test]
fn rules_are_shown_as_they_would_be_installed() {
    let file = File::new(
        "show.toml",
        "ports = [25, 587]\n[queue]\nlast = 3\nfail = \"open\"\n[rules]\nlocal = true\n\
         mail_hosts = [\"192.0.2.25\", \"198.51.100.0/24\", \"2001:db8::25\"]\n",
    );
    for (backend, expected) in [
        ("iptables", include_str!("../golden/rules-show.txt")),
        ("nft", include_str!("../golden/rules-show-nft.txt")),
    ] {
        let backend = format!("rules.backend={backend}");
        let output = mailguard(&["rules", "show", "--config", file.path(), "--set", &backend]);
        assert_eq!(output.status.code(), Some(0));
        assert_eq!(text(&output.stdout), expected);
    }
}

#[test]
fn a_reader_that_goes_away_is_no_failure() {
    let program = env!("CARGO_BIN_EXE_mailguard");
    for words in
        ["rules show", "replay pcaps/delivery.pcap", "replay pcaps/delivery.pcap --events -"]
    {
        let script = format!("set -o pipefail; {program} {words} 2>/dev/null | true");
        let output = Command::new("bash").args(["-c", &script]).output().unwrap();
        assert_eq!(output.status.code(), Some(0), "{words}");
    }
}

#[test]
fn frames_that_cannot_be_read_are_named() {
    let mut capture = fs::read("pcaps/delivery.pcap").unwrap();
    // The link type of every packet: 802.11 with a radiotap header.
    capture[20..24].copy_from_slice(&127_u32.to_le_bytes());
    let file = File::new("radio.pcap", &capture);
    let output = mailguard(&["replay", file.path()]);
    assert_eq!(output.status.code(), Some(0));
    let expected = "link type 127 is not known here: its packets passed unread\n";
    assert!(text(&output.stdout).ends_with(expected), "{}", text(&output.stdout));
}

#[test]
fn a_result_at_the_standard_output_stands_alone_there() {
    let file = File::new("out.pcap", "");
    let replay = |words: &[&str]| mailguard(&[&["replay", "pcaps/delivery.pcap"], words].concat());
    let told = replay(&["--write", file.path()]);
    let written = fs::read(file.path()).unwrap();
    assert!(text(&told.stderr).is_empty() && text(&told.stdout).starts_with("packets "));
    let piped = replay(&["--write", "/dev/stdout"]);
    assert!(piped.stdout == written, "nothing but the capture");
    assert_eq!(piped.stderr, told.stdout);
    let told_of = |words: &[&str]| text(&replay(words).stderr);
    assert_eq!(told_of(&["--write", "/dev/null", "--events", "/dev/null"]), "");
    for words in
        [["--write", "/dev/stdout", "--events", "-"], ["--events", "-", "--report", "/dev/stdout"]]
    {
        let said = told_of(&words);
        assert!(said.contains(": expected one result at most for the standard output"), "{said}");
    }
}

#[test]
fn profiles_are_printed_side_by_side_or_for_a_configuration_file() {
    let output = mailguard(&["profiles"]);
    assert_eq!(output.status.code(), Some(0));
    let table = text(&output.stdout);
    assert!(table.lines().all(|line| line.len() <= 120), "{table}");
    for word in ["mailguard", "pix-5.2.4", "split_terminator", "split_scope = crlf-dot-crlf"] {
        assert!(table.contains(word), "{word} is not in {table}");
    }
    let names = table.lines().next().unwrap().split_whitespace();
    for name in names {
        let lines = text(&mailguard(&["profiles", name]).stdout);
        let file = File::new(name, format!("[settings]\n{lines}"));
        let checked = mailguard(&["rules", "show", "--config", file.path()]);
        assert_eq!(checked.status.code(), Some(0), "{lines}{}", text(&checked.stderr));
    }
}

#[test]
fn an_unknown_profile_is_named() {
    let output = mailguard(&["profiles", "pix-9"]);
    assert_eq!(output.status.code(), Some(2));
    let said = text(&output.stderr);
    assert!(said.starts_with("mailguard: unknown profile `pix-9`, expected one of mailguard"));
    assert_eq!(said.lines().count(), 1);
}
