//! Saved configurations of PIX and ASA, imported. The files in `tests/golden/pix/` are ours; their
//! lines have the shapes that real ones have. Real ones are other people's: `tests/lab/setup.sh
//! saved` fetches them, and what is to become of them stands in `tests/golden/saved/`.

use std::fs;
use std::path::{Path, PathBuf};

use crate::support::golden;
use mailguard::config::{Config, Source};
use mailguard::engine::{Exception, Treatment};
use mailguard::guard::Settings;
use mailguard::pix::{Options, import};
use mailguard::smtp::Verb;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The files of a folder, in order; none if there is no folder.
fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten();
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files
}

/// What a file becomes, and what is said of it.
fn imported(file: &Path, options: Options) -> String {
    let text = fs::read(file).unwrap();
    let imported = import(&String::from_utf8_lossy(&text), options);
    let source = Source { name: "imported", text: &imported.settings };
    assert!(Config::build(Some(source), &[]).is_ok(), "{}", file.display());
    let code = u8::from(imported.is_doubtful);
    format!("{}\n{}exit code {code}\n", imported.settings, imported.report)
}

#[test]
fn each_file_becomes_what_stands_beside_it_and_every_line_is_accounted_for() {
    let mut all = String::new();
    for file in files(&root().join("tests/golden/pix")) {
        let name = file.file_name().unwrap().to_str().unwrap();
        all += &format!("=== {name}\n{}\n", imported(&file, Options::default()));
    }
    golden::compare("import.txt", &all);
}

#[test]
#[allow(clippy::print_stderr, reason = "a test that cannot run says so")]
fn real_files_become_what_they_should() {
    let lab = option_env!("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), PathBuf::from);
    let found = files(&lab.join("lab/saved"));
    if found.is_empty() {
        eprintln!("not run: the real files are fetched by `tests/lab/setup.sh saved`");
    }
    for file in found {
        let name = file.file_name().unwrap().to_str().unwrap();
        let as_it_was = Options { as_it_was: true, guard_anyway: true };
        let both = imported(&file, Options::default()) + "\n" + &imported(&file, as_it_was);
        golden::compare(&format!("saved/{name}.txt"), &both);
    }
}

#[test]
fn no_file_is_too_strange_to_be_read() {
    for file in files(&root().join("tests/golden/pix")) {
        let text = fs::read_to_string(file).unwrap();
        // Every word left out once, and every line cut at every place.
        let words: Vec<&str> = text.split_inclusive([' ', '\n']).collect();
        for at in 0..words.len() {
            let without: String = words[..at].iter().chain(&words[at + 1..]).copied().collect();
            let imported = import(&without, Options::default());
            let source = Source { name: "imported", text: &imported.settings };
            assert!(Config::build(Some(source), &[]).is_ok(), "{without}");
        }
        for at in 0..text.len() {
            let _ = import(&text[..at], Options { as_it_was: true, guard_anyway: true });
        }
    }
}

/// The settings that a file of these lines becomes.
fn settings(text: &str, options: Options) -> Config {
    let imported = import(text, options);
    Config::build(Some(Source { name: "imported", text: &imported.settings }), &[]).unwrap()
}

#[test]
fn the_default_map_printed_is_the_profiles_own_but_for_tls() {
    let text = fs::read_to_string(root().join("tests/golden/pix/asa-printed.cfg")).unwrap();
    for (text, starttls) in [
        (text.clone(), "allow"),
        (text.replace("  allow-tls", "  no allow-tls"), "strip"),
        (text.replace("esmtp _default_esmtp_map\nservice", "esmtp\nservice"), "allow"),
        (text.replace("ASA Version 9.12(4)", "PIX Version 7.2(4)"), "allow"),
    ] {
        let mut expected = Settings::profile("asa").unwrap();
        expected.set("starttls", starttls).unwrap();
        assert_eq!(settings(&text, Options::default()).engine.guard, expected, "{text}");
    }
    for (version, starttls) in [("9.12(4)", "allow"), ("9.4(1)", "allow"), ("9.3(3)", "strip")] {
        let text = format!(
            "ASA Version {version}\npolicy-map p\n class inspection_default\n  \
                            inspect esmtp\nservice-policy p global\n"
        );
        let mut expected = Settings::profile("asa").unwrap();
        expected.set("starttls", starttls).unwrap();
        assert_eq!(settings(&text, Options::default()).engine.guard, expected, "{version}");
    }
}

#[test]
fn what_a_map_masks_is_masked() {
    let masked = |row: &str| {
        let map =
            format!("policy-map type inspect esmtp m\n parameters\n  allow-tls\n {row}\n  mask\n");
        let rest =
            "policy-map p\n class inspection_default\n  inspect esmtp m\nservice-policy p global\n";
        let text = format!("ASA Version 9.1(2)\n{map}{rest}");
        let guard = settings(&text, Options::default()).engine.guard;
        let is_passed = guard.words().contains(&("ehlo", "pass".to_owned()));
        let keywords = ["AUTH", "SIZE", "HELP", "STARTTLS", "XNONE"];
        let keywords =
            keywords.into_iter().filter(|word| !is_passed && !guard.permits_keyword(word));
        let verbs = [Verb::Vrfy, Verb::Etrn, Verb::Mail, Verb::Ehlo, Verb::StartTls];
        let verbs = verbs.into_iter().filter(|verb| !guard.permitted().contains(*verb));
        keywords.chain(verbs.map(Verb::name)).collect::<Vec<_>>().join(" ")
    };
    for (row, expected) in [
        ("match ehlo-reply-parameter others", "HELP XNONE"),
        ("match ehlo-reply-parameter size others", "SIZE HELP XNONE"),
        ("match ehlo-reply-parameter auth", "AUTH XNONE"),
        ("match not ehlo-reply-parameter auth", "SIZE HELP XNONE"),
        ("match cmd verb VRFY ETRN", "VRFY ETRN"),
        ("match not cmd verb helo ehlo mail rcpt data quit starttls", "VRFY ETRN"),
        // Where no row takes it, `allow-tls` alone says what becomes of STARTTLS.
        ("match cmd verb ehlo", "EHLO STARTTLS"),
        ("match cmd verb starttls", "STARTTLS"),
        ("match not cmd verb helo ehlo mail", "VRFY ETRN STARTTLS"),
        ("match cmd verb expn", ""),
    ] {
        assert_eq!(masked(row), expected, "{row}");
    }
}

#[test]
fn the_first_releases_guard_the_hosts_of_mailhost_alone() {
    let lines = "PIX Version 4.1(7)\nmailhost (outside) 192.0.2.25 10.0.0.25\n";
    for (as_it_was, profile) in [(false, "mailguard"), (true, "pix-4.1")] {
        let config = settings(lines, Options { as_it_was, ..Options::default() });
        let preset = Settings::profile(profile).unwrap();
        let chosen = |server: [u8; 4]| {
            let is_it = |one: &&Exception| one.server.unwrap().contains(server.into());
            &config.engine.exceptions.iter().find(is_it).unwrap().treatment
        };
        assert_eq!(*chosen([10, 0, 0, 25]), Treatment::Enforce(preset));
        for other in [[10, 0, 0, 26], [0, 0, 0, 0], [127, 255, 255, 255], [128, 0, 0, 0]] {
            assert_eq!(*chosen(other), Treatment::HandsOff, "{other:?}");
        }
    }
    for guard_anyway in [false, true] {
        let config =
            settings("PIX Version 4.1(7)\n", Options { guard_anyway, ..Options::default() });
        assert_eq!(config.engine.ports, if guard_anyway { vec![25] } else { vec![] });
        assert_eq!(config.engine.exceptions, []);
    }
}

#[test]
fn what_is_no_configuration_of_a_pix_is_doubted() {
    for text in ["hello world\n", "root:x:0:0:root:/root:/bin/bash\n", "", "hostname pix\n"] {
        let imported = import(text, Options::default());
        assert!(imported.is_doubtful, "{text}");
        let warning = "WARNING: no line was used: is it a configuration of a PIX or ASA?\n";
        assert!(imported.report.ends_with(warning), "{}", imported.report);
    }
    assert!(!import("PIX Version 6.3(5)\nhostname pix\n", Options::default()).is_doubtful);
}

#[test]
fn nobody_is_advised_to_say_what_was_said() {
    for text in ["no fixup protocol smtp 25\n", "ASA Version 9.1(2)\n", "PIX Version 4.1(7)\n"] {
        for guard_anyway in [false, true] {
            let imported = import(text, Options { guard_anyway, ..Options::default() });
            assert!(imported.report.contains("not guard"), "{}", imported.report);
            assert_eq!(imported.report.contains("--guard-anyway"), !guard_anyway, "{text}");
        }
    }
}
