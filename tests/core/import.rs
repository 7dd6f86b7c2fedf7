//! Saved configurations of PIX and ASA, imported. The files in `tests/golden/pix/` are ours; their lines
//! have the shapes that real ones have.

use std::fs;
use std::path::Path;

use mailguard::config::{Config, Source};
use mailguard::pix::{Wish, import};

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
