//! `explain` says nothing that is not true of the bytes: each line that it draws and each sentence
//! is held against the streams that came and the streams that left, as another reader has them.

mod claims;
mod report;
mod witness;

use std::fs;
use std::path::{Path, PathBuf};

use crate::replay::{files, settings_beside};
use mailguard::engine::Settings;
use mailguard::event::{Format, Scribe, Zone};
use mailguard::front::explain::{self, CAUSES, Options, cause};
use mailguard::front::replay::{Checksums, Session, Step};

use claims::Told;
use witness::Witness;

/// Captures of others, where the machine has them.
const SHARED: [&str; 2] = ["../shared/pcaps", "../../shared/pcaps"];

fn captures() -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut all = files(&root.join("pcaps"));
    assert!(all.len() > 30, "{} captures", all.len());
    all.extend(SHARED.iter().flat_map(|folder| files(&root.join(folder))));
    all
}

/// The packets as they would have left.
fn written(capture: &[u8], settings: &Settings, checksums: Checksums) -> Vec<u8> {
    let mut session = Session::new(capture, settings.clone(), checksums);
    let (mut step, mut written) = (Step::default(), Vec::new());
    while let Ok(true) = session.step(&mut step) {
        written.extend_from_slice(&step.written);
    }
    written
}

/// What is told of each flow of a capture; nothing of a file that is no capture.
fn told(capture: &[u8], settings: &Settings, checksums: Checksums) -> Vec<Told> {
    let tell = |flow| explain::capture(capture, settings, checksums, flow);
    let Ok(text) = tell(None) else { return Vec::new() };
    if text.starts_with("No flow of mail") {
        return Vec::new();
    }
    if text.starts_with("Flow ") {
        return vec![Told::read(&text)];
    }
    let lines = text.lines().take_while(|line| !line.is_empty());
    lines
        .map(|line| {
            let (number, short) = line.trim_start().split_once("  ").unwrap();
            let told = Told::read(&tell(Some(number.parse().unwrap())).unwrap());
            told.expect_short(short);
            told
        })
        .collect()
}

#[test]
fn no_sentence_is_untrue_of_the_bytes() {
    let (mut flows, mut rows, mut sentences) = (0, 0, 0);
    for path in captures() {
        let capture = fs::read(&path).unwrap();
        let (settings, checksums) = settings_beside(&path);
        let monitored = Settings { monitor: true, ..settings.clone() };
        for (settings, checksums) in
            [(&settings, checksums), (&settings, Checksums::Mend), (&monitored, Checksums::Mend)]
        {
            let is_mended = checksums != Checksums::Verify;
            let came = Witness::read(&capture, is_mended);
            let left = Witness::read(&written(&capture, settings, checksums), is_mended);
            for told in told(&capture, settings, checksums) {
                if let Err(why) = told.hold_against(&came, &left, settings) {
                    panic!("{}: {why}\n{}", path.display(), told.text);
                }
                flows += 1;
                rows += told.rows.len();
                sentences += told.notes.len();
            }
        }
    }
    println!("{flows} flows, {rows} rows and {sentences} sentences are true");
    assert!(flows >= 100 && rows > 1_000 && sentences > 200);
}

#[test]
fn an_untrue_sentence_would_be_seen() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("pcaps/refused-commands.pcap");
    let capture = fs::read(&path).unwrap();
    let (settings, checksums) = settings_beside(&path);
    let text = explain::capture(&capture[..], &settings, checksums, None).unwrap();
    let came = Witness::read(&capture, false);
    let left = Witness::read(&written(&capture, &settings, checksums), false);
    let hold = |text: &str| Told::read(text).hold_against(&came, &left, &settings);
    assert_eq!(hold(&text), Ok(()));
    for (from, to) in [
        ("bytes 13 to 21", "bytes 14 to 22"),
        ("left as \"XXXXXXXXX\"", "left as \"XXXXXXXXY\""),
        ("\"goodmorning\", left", "\"goodevening\", left"),
        ("(as it came)", "(did not leave)"),
        ("C       13  VRFY root ", "C       13  VRFY toor "),
        (
            "EXPN all                                  XXXXXXXX",
            "EXPN all                                  (as it came)",
        ),
        ("Why: verb", "Why: banner"),
        ("starttls = strip", "starttls = allow"),
        ("[5] The client's byte 37", "[5] The server's byte 37"),
        ("198.51.100.2:25", "198.51.100.3:25"),
    ] {
        assert!(text.contains(from), "{from}\n{text}");
        hold(&text.replacen(from, to, 1)).expect_err(from);
    }
}

#[test]
fn every_word_of_the_log_is_explained_and_every_setting_is_one() {
    let mut faults = Vec::new();
    for (kind, variant, word) in crate::tidy::all_causes() {
        if cause(&word).is_none() {
            faults.push(format!("{kind}::{variant} (`{word}`) is not explained"));
        }
    }
    let of_guard = mailguard::guard::Settings::TABLE.iter().map(|setting| setting.name.to_owned());
    let of_file = mailguard::config::KEYS.iter().map(mailguard::config::Key::path);
    let known: Vec<String> = of_guard.chain(of_file).collect();
    for cause in &CAUSES {
        if CAUSES.iter().filter(|other| other.name == cause.name).count() > 1 {
            faults.push(format!("`{}` is explained twice", cause.name));
        }
        for setting in cause.settings.iter().filter(|name| !known.iter().any(|one| one == *name)) {
            faults.push(format!("`{}` names `{setting}`, which is no setting", cause.name));
        }
    }
    assert!(faults.is_empty(), "\n{}", faults.join("\n"));
}

#[test]
fn an_entry_means_the_same_in_words_as_in_fields() {
    let mut explained = 0;
    for path in captures() {
        let capture = fs::read(&path).unwrap();
        let (settings, checksums) = settings_beside(&path);
        let settings = Settings { exceptions: Vec::new(), ..settings };
        let mut session = Session::new(&capture[..], settings.clone(), checksums);
        let mut step = Step::default();
        while let Ok(true) = session.step(&mut step) {
            for record in &step.records {
                let meaning = |format| {
                    let mut entry = Vec::new();
                    Scribe::new(format, Zone::Utc).write(record, &mut entry);
                    let entry = String::from_utf8(entry).unwrap();
                    let options = Options { subject: &entry, flow: None, checksums };
                    let meaning = explain::run(options, &settings).ok();
                    // Not each of both names a place.
                    let words = meaning.map(|text| match text.split_once("\n\n") {
                        Some((place, words)) if place.starts_with("It is ") => words.to_owned(),
                        _ => text,
                    });
                    (words, entry)
                };
                let (text, json) = (meaning(Format::Text), meaning(Format::Json));
                assert_eq!(text.0, json.0, "{}\n{}", text.1, json.1);
                explained += usize::from(text.0.is_some());
            }
        }
    }
    assert!(explained > 200, "{explained} entries are explained");
}
