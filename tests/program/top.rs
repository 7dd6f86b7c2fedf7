//! `mailguard top` as somebody sees it: in a real terminal (tmux), on a running filter.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use crate::ctl::{Client, FILE, serve};
use crate::run::{Filter, NEEDS, is_soon, mailguard, succeed};
use crate::sealed::sealed;

const SOCKET: &str = "/run/tmux";

fn tmux(words: &[&str]) -> Output {
    // Without the configuration and the sessions of whoever runs the tests.
    Command::new("tmux").args(["-f", "/dev/null", "-S", SOCKET]).args(words).output().unwrap()
}

/// What the terminal shows, its lines without what is blank at their ends.
fn shown() -> String {
    let screen = tmux(&["capture-pane", "-p"]).stdout;
    let screen = String::from_utf8(screen).unwrap();
    screen.lines().map(|line| line.trim_end().to_owned() + "\n").collect()
}

/// Waits until the terminal shows all of these.
fn await_shown(texts: &[&str]) -> String {
    let is_there = || {
        let screen = shown();
        texts.iter().all(|text| screen.contains(text))
    };
    assert!(is_soon(is_there), "expected {texts:?}:\n{}", shown());
    shown()
}

/// Opens a terminal of this size with `top` in it.
fn open(columns: &str, lines: &str) {
    let program = env!("CARGO_BIN_EXE_mailguard");
    let script = format!("{program} top; echo ended with $?; sleep 60");
    let output = tmux(&["new-session", "-d", "-x", columns, "-y", lines, &script]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

/// The words of a picture: its numbers, bars and blanks are of the moment.
fn words(picture: &str) -> Vec<String> {
    let is_word = |c: char| c.is_ascii_alphabetic() || "-~,/()".contains(c);
    let lines = picture.lines().map(|line| {
        let words = line.split(|c| !is_word(c)).filter(|word| word.contains(char::is_alphabetic));
        words.collect::<Vec<_>>().join(" ")
    });
    let mut lines: Vec<String> = lines.filter(|line| !line.is_empty()).collect();
    // Which of several lines grows faster is of the moment as well.
    lines.sort();
    lines
}

/// The picture that the README shows.
fn printed() -> String {
    let readme = Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md");
    let readme = fs::read_to_string(readme).unwrap();
    let begun = &readme[readme.find("    mailguard 0.1.0, profile").unwrap()..];
    let lines = begun.lines().take_while(|line| line.starts_with("    "));
    lines.map(|line| line[4..].to_owned() + "\n").collect()
}

#[test]
fn a_running_filter_is_seen_live_until_somebody_has_seen_enough() {
    sealed(NEEDS, || {
        fs::write(FILE, "profile = \"esmtp\"\n[rules]\nlocal = true\n").unwrap();
        succeed(&["rules", "up", "--config", FILE]);
        let filter = Filter::start(&["--config", FILE]);
        serve();
        let (mut client, _) = Client::connect();
        for line in ["EHLO client.example", "EXPN staff", "NOOP"] {
            client.say(line);
        }
        open("100", "24");
        await_shown(&["connections: 1 of 100000", "│verb"]);
        // Numbers follow what happens, and rates are there from the second look on.
        client.say("EXPN staff");
        let has_followed = |screen: &str| {
            let mut lines = screen.lines();
            lines
                .any(|line| line.contains("│verb") && line.contains(" 0.0") && line.contains(" 2│"))
        };
        assert!(is_soon(|| has_followed(&shown())), "{}", shown());
        let screen = shown();
        if let Some(path) = std::env::var_os("PICTURES") {
            fs::write(Path::new(&path).join("top.txt"), &screen).unwrap();
        }
        assert_eq!(words(&screen), words(&printed()), "README.md has not this picture:\n{screen}");
        // Another size is another picture at once.
        tmux(&["resize-window", "-x", "60", "-y", "20"]);
        let small = await_shown(&["┌connections, the busiest first────────────────────────────┐"]);
        assert!(small.lines().all(|line| line.chars().count() <= 60), "{small}");
        // A filter that goes away is said, and found again.
        filter.end("-TERM");
        await_shown(&["no mailguard answers at /run/mailguard/control: No such file"]);
        let filter = Filter::start(&["--config", FILE]);
        await_shown(&["connections: 0 of 100000"]);
        for key in ["q", "C-c", "Escape"] {
            tmux(&["send-keys", key]);
            await_shown(&["ended with 0"]);
            tmux(&["kill-server"]);
            assert!(is_soon(|| !tmux(&["has-session"]).status.success()));
            open("100", "24");
            await_shown(&["the busiest first"]);
        }
        // Nor does it outlive its terminal.
        let panes = tmux(&["list-panes", "-F", "#{pane_pid}"]);
        let shell = String::from_utf8(panes.stdout).unwrap();
        let children = format!("/proc/{0}/task/{0}/children", shell.trim());
        let top = fs::read_to_string(children).unwrap();
        tmux(&["kill-server"]);
        let place = Path::new("/proc").join(top.trim());
        assert!(!top.trim().is_empty() && is_soon(|| !place.exists()), "{top} goes on");
        filter.end("-TERM");
    });
}

#[test]
fn without_a_filter_or_a_terminal_there_is_one_line() {
    sealed(NEEDS, || {
        let said = |words: &[&str]| {
            let output = mailguard(words);
            assert_eq!((output.status.code(), output.stdout.len()), (Some(2), 0), "{words:?}");
            String::from_utf8(output.stderr).unwrap()
        };
        assert_eq!(
            said(&["top", "--socket", "/run/none"]),
            "mailguard: no mailguard answers at /run/none: No such file or directory (os error 2)\n"
        );
        let filter = Filter::start(&[]);
        assert_eq!(
            said(&["top"]),
            "mailguard: top: standard output is no terminal: `mailguard ctl stats` prints the \
             numbers\n"
        );
        filter.end("-TERM");
    });
}
