//! Every input that a fuzz target was started from or has found, through that target again.
//!
//! `tests/fuzz/corpus/TARGET` is what `make fuzz` starts from; `tests/fuzz/artifacts/TARGET` is
//! where it leaves an input that failed, which makes it a failing test until it is mended.

use std::fs;
use std::path::{Path, PathBuf};

use crate::support::quiet::failure;
use crate::targets;

/// Inputs in all, and their bytes: a corpus is a beginning, not an archive.
const INPUTS_MAX: usize = 240;
const BYTES_MAX: usize = 300_000;

fn fuzz() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fuzz")
}

/// The files in a folder, in order; none if there is no folder.
fn files(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(folder) else { return Vec::new() };
    let mut files: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files
}

#[test]
fn every_known_input_passes() {
    let (mut inputs, mut bytes, mut failed) = (0, 0, Vec::new());
    for (name, target) in targets::ALL {
        let corpus = files(&fuzz().join("corpus").join(name));
        assert!(!corpus.is_empty(), "{name} has no corpus");
        inputs += corpus.len();
        for path in corpus.into_iter().chain(files(&fuzz().join("artifacts").join(name))) {
            let input = fs::read(&path).unwrap();
            bytes += input.len();
            if let Some(said) = failure(|| target(&input)) {
                failed.push((path, said));
            }
        }
    }
    println!("fuzz corpora: {inputs} inputs, {bytes} bytes, {} failed", failed.len());
    assert!(failed.is_empty(), "{failed:#?}");
    assert!(inputs < INPUTS_MAX && bytes < BYTES_MAX, "{inputs} inputs, {bytes} bytes");
}

#[test]
fn every_target_has_its_program() {
    let programs: Vec<_> = files(&fuzz().join("fuzz_targets"))
        .iter()
        .map(|path| path.file_stem().unwrap().to_str().unwrap().to_owned())
        .collect();
    assert_eq!(programs, targets::ALL.map(|(name, _)| name));
}
