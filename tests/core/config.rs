//! The configuration file: what is said about a wrong one, and the file that is shipped.
//!
//! `tests/golden/bad-config.txt` holds wrong files (and options, as `--set` lines before them) with
//! what is said of each; `BLESS=1` writes the second part anew.

use std::collections::BTreeSet;
use std::fmt::Write;
use std::fs;
use std::path::Path;

use mailguard::config::{Config, EXCEPTION_KEYS, Error, KEYS, Key, Override, Preset, Source};
use mailguard::guard::{Kind, Setting, Settings};

use crate::support::golden;

const BAD: &str = "tests/golden/bad-config.txt";

fn build(given: &str) -> Result<Config, Error> {
    let sets = given.lines().map_while(|line| line.strip_prefix("--set "));
    let overrides: Vec<_> = sets.map(|set| Override::parse(set).unwrap()).collect();
    let skipped = given.split_inclusive('\n').take(overrides.len()).map(str::len).sum();
    Config::build(Some(Source { name: "m.toml", text: &given[skipped..] }), &overrides)
}

#[test]
fn more_than_a_hundred_wrong_files_are_refused_with_place_and_expectation() {
    let file = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(BAD)).unwrap();
    let (mut said, mut count) = (String::new(), 0);
    for case in file.split("=== ").skip(1) {
        let (name, rest) = case.split_once('\n').unwrap();
        let (given, _) = rest.split_once("--- refused\n").unwrap();
        let error = build(given).expect_err(name);
        let is_placed = |line: &str| line.starts_with("m.toml:") || line.starts_with("--set ");
        assert!(error.lines().all(is_placed), "{name}: {error}");
        let lines: BTreeSet<&str> = error.lines().collect();
        assert_eq!(lines.len(), error.lines().count(), "{name}: something is said twice");
        // What is drawn is the file's own line, and nothing of it drives a terminal.
        assert!(!error.to_string().contains(|c: char| c.is_control() && c != '\n'), "{name}");
        writeln!(said, "=== {name}\n{given}--- refused\n{error}").unwrap();
        count += 1;
    }
    assert!(count > 100, "{count}");
    golden::compare("bad-config.txt", &said);
}

#[test]
fn no_more_than_a_hundred_faults_are_told() {
    let text =
        "[settings]\n".to_owned() + &(0..1_000).map(|n| format!("x{n} = 1\n")).collect::<String>();
    let error = build(&text).unwrap_err();
    assert_eq!(error.lines().count(), 100);
    assert!(error.to_string().ends_with("\nand 900 more"), "{error}");
}

/// The file that is shipped: every key with what it is for, what is expected and its default, all
/// of it behind `#`, so that a release may change a default.
fn shipped() -> String {
    let mut text = HEAD.to_owned();
    let mut section = "";
    for key in KEYS {
        if key.section != section {
            section = key.section;
            if section == "queue" {
                text.push_str(&settings());
            }
            let _ = write!(text, "\n[{section}]\n");
        }
        text.push_str(&documented(key));
    }
    text.push_str(&exceptions());
    text
}

fn documented(key: &Key) -> String {
    let (kind, value) = match key.preset {
        Preset::Default(value) => ("Default", value),
        Preset::Example(value) => ("Example", value),
    };
    let about = wrapped(key.about);
    let expected = wrapped(&format!("Expected: {}. {kind}:", key.expected()));
    format!("\n{about}{expected}#{} = {value}\n", key.name)
}

fn settings() -> String {
    let preset = Settings::profile("mailguard").unwrap();
    let mut text = SETTINGS.to_owned();
    for setting in Settings::TABLE {
        let about = wrapped(setting.about);
        let expected = wrapped(&format!("Expected: {}.", setting.expected()));
        let value = value(setting, &preset);
        let _ = write!(text, "\n{about}{expected}#{} = {value}\n", setting.name);
    }
    text
}

fn value(setting: &Setting, settings: &Settings) -> String {
    let printed = setting.print(settings);
    match setting.kind {
        Kind::Number if printed.parse::<u32>().is_ok() => printed,
        Kind::Number | Kind::Word | Kind::Bytes => format!("\"{printed}\""),
        Kind::List => {
            let words = printed.split(',').filter(|word| !word.is_empty());
            format!("[{}]", words.map(|word| format!("\"{word}\"")).collect::<Vec<_>>().join(", "))
        }
    }
}

fn exceptions() -> String {
    let mut text = EXCEPTIONS.to_owned();
    for (name, about, example) in EXCEPTION_KEYS {
        let about = wrapped(about);
        let _ = write!(text, "\n{about}#{name} = {example}\n");
    }
    text
}

/// A comment of lines that fit.
fn wrapped(text: &str) -> String {
    let mut lines = vec!["#".to_owned()];
    for word in text.split_whitespace() {
        if lines.last().unwrap().len() + word.len() > 98 {
            lines.push("#".to_owned());
        }
        let line = lines.last_mut().unwrap();
        *line = format!("{line} {word}");
    }
    lines.join("\n") + "\n"
}

/// The shipped file with every `#key = value` of it in force but the example of an exception.
fn uncommented(text: &str) -> String {
    let (keys, _) = text.split_once("#[[exceptions]]").unwrap();
    let is_key = |line: &str| {
        line.strip_prefix('#').is_some_and(|rest| rest.starts_with(|c: char| c.is_alphanumeric()))
    };
    keys.lines()
        .map(|line| if is_key(line) { &line[1..] } else { line }.to_owned() + "\n")
        .collect()
}

#[test]
fn the_shipped_file_documents_every_key_and_says_the_defaults() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("dist/mailguard.toml");
    if std::env::var_os("BLESS").is_some() {
        fs::write(&path, shipped()).unwrap();
    }
    let text = fs::read_to_string(path).unwrap();
    assert_eq!(text, shipped(), "BLESS=1 writes it anew");
    let build = |text: &str| Config::build(Some(Source { name: "mailguard.toml", text }), &[]);
    let defaults = Config::build(None, &[]).unwrap();
    assert_eq!(build(&text).unwrap(), defaults);
    // Every line taken in, the examples apart, says the default too.
    let mut all = build(&uncommented(&text)).unwrap();
    assert_eq!(all.rules.mail_hosts.len(), 2);
    all.rules.mail_hosts.clear();
    assert_eq!(all.log.events.take().as_deref(), Some("/var/log/mailguard/events.log"));
    assert_eq!(all.patch_directory.take().as_deref(), Some("/etc/mailguard/patches"));
    assert_eq!(all.control.group.take().as_deref(), Some("adm"));
    assert!(std::mem::take(&mut all.control.is_wanted));
    assert_eq!(all.metrics.listen.take().map(|address| address.port()), Some(9_625));
    assert_eq!(all, defaults);
}

#[test]
fn the_example_of_an_exception_holds() {
    let (_, example) =
        shipped().split_once("#[[exceptions]]").map(|(a, b)| (a.to_owned(), b.to_owned())).unwrap();
    let lines = example.lines().filter(|line| line.contains(" = ") && !line.starts_with("# "));
    let text: String = lines.map(|line| line[1..].to_owned() + "\n").collect();
    let text = format!("[[exceptions]]\n{text}");
    let config = Config::build(Some(Source { name: "m.toml", text: &text }), &[]).unwrap();
    assert_eq!(config.engine.exceptions.len(), 1);
    assert_eq!(text.lines().count(), 1 + EXCEPTION_KEYS.len());
}

const HEAD: &str = "\
# The configuration of mailguard: /etc/mailguard/mailguard.toml
#
# Every key there is stands here behind a `#`, with what it is for, what may be written and its
# default. Take the `#` away and write another value. `mailguard check` says whether all of it is
# right; `systemctl reload mailguard`, or SIGHUP, puts it in force.
";

const SETTINGS: &str = "
# What is done with mail. Each of these has a preset in each profile (`mailguard profiles`); here
# stand those of the profile `mailguard`.
[settings]
";

const EXCEPTIONS: &str = "
# Connections that are treated otherwise: the first of these tables that matches one counts. There
# may be any number of them, and there is none by default.
#[[exceptions]]
";
