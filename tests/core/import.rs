//! Saved configurations of PIX and ASA, imported: settings and report as a table. The files in
//! `tests/golden/pix/` are ours; their lines have the shapes that real ones have.

use std::fmt::Write;
use std::fs;
use std::path::Path;

use mailguard::config::{Config, Source};
use mailguard::pix::{Wish, import};

use crate::support::golden;

#[test]
fn every_saved_configuration_gives_its_settings_and_accounts_for_its_lines() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/pix");
    let mut files: Vec<_> =
        fs::read_dir(folder).unwrap().map(|file| file.unwrap().path()).collect();
    files.sort();
    let mut table = String::new();
    for file in &files {
        let text = fs::read_to_string(file).unwrap();
        for wish in [
            Wish::default(),
            Wish { as_it_was: true, ..Wish::default() },
            Wish { guard_anyway: true, ..Wish::default() },
        ] {
            let imported = import(&text, wish);
            // What is printed is a configuration that holds.
            let source = Source { name: "imported", text: &imported.settings };
            let config = Config::build(Some(source), &[]).unwrap();
            let name = file.file_name().unwrap().to_str().unwrap();
            let Wish { as_it_was, guard_anyway } = wish;
            if as_it_was || guard_anyway {
                let ports = &config.engine.ports;
                let profile = &config.profile;
                let what = if as_it_was { "as it was" } else { "guarded anyway" };
                writeln!(table, "--- {what}: {profile}, ports {ports:?}").unwrap();
                continue;
            }
            let code = u8::from(imported.is_doubtful);
            let (settings, report) = (&imported.settings, &imported.report);
            writeln!(table, "=== {name}\n{settings}--- exit code {code}\n{report}").unwrap();
        }
    }
    golden::compare("imports.txt", &table);
}

#[test]
fn no_file_is_too_strange_to_be_read() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/pix");
    for file in fs::read_dir(folder).unwrap() {
        let text = fs::read_to_string(file.unwrap().path()).unwrap();
        // Every word left out once, and every line cut at every place.
        let words: Vec<&str> = text.split_inclusive([' ', '\n']).collect();
        for at in 0..words.len() {
            let without: String = words[..at].iter().chain(&words[at + 1..]).copied().collect();
            let imported = import(&without, Wish::default());
            let source = Source { name: "imported", text: &imported.settings };
            assert!(Config::build(Some(source), &[]).is_ok(), "{without}");
        }
        for at in 0..text.len() {
            let _ = import(&text[..at], Wish { as_it_was: true, guard_anyway: true });
        }
    }
}
