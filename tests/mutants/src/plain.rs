//! Changes that cannot be switched, tried by cargo-mutants: a build for each.

use std::collections::HashMap;
use std::error::Error;
use std::fs;
use std::process::{Command, Stdio};

use crate::mutant::{self, Fate, Mutant};
use crate::run::ROUNDS;

/// Where cargo-mutants copies the tree to.
const COPIES: &str = "target/mutants/tmp";

/// Tries some changes of a module, and notes what becomes of them.
pub fn try_out(
    module: &str,
    jobs: usize,
    numbers: &[usize],
    mutants: &mut [Mutant],
) -> Result<(), Box<dyn Error>> {
    if numbers.is_empty() {
        return Ok(());
    }
    eprintln!("{module}: {} changes of constants, one by one", numbers.len());
    let folder = format!("target/mutants/{module}");
    fs::create_dir_all(&folder)?;
    fs::create_dir_all(COPIES)?;
    let names = numbers.iter().map(|number| escape(&mutants[*number].name));
    // How many are missed, it says by its exit code as well.
    Command::new("cargo")
        .args(["mutants", "--jobs", &jobs.to_string()])
        .args(["--timeout", "120", "--no-shuffle", "--colors", "never"])
        .args(["--output", &folder])
        .args(mutant::files(module))
        .args(names.flat_map(|name| ["--re".to_owned(), format!("^{name}$")]))
        .args(["--cargo-arg=--locked", "--cargo-arg=--lib", "--cargo-arg=--test=core"])
        // The style of a changed source is not to be judged.
        .args(["--", "--", "--skip", "tidy"])
        .envs(ROUNDS)
        .env("TMPDIR", fs::canonicalize(COPIES)?)
        .env("CARGO_PROFILE_TEST_DEBUG", "none")
        .env("CARGO_PROFILE_DEV_DEBUG", "none")
        .stdout(Stdio::null())
        .status()?;
    let mut fates = HashMap::new();
    for (fate, name) in Fate::FINAL {
        let name = if fate == Fate::TooSlow { "timeout" } else { name };
        let text = fs::read_to_string(format!("{folder}/mutants.out/{name}.txt"))?;
        fates.extend(text.lines().map(|line| (line.to_owned(), fate)));
    }
    for number in numbers {
        let mutant = &mut mutants[*number];
        mutant.fate = *fates.get(&mutant.name).ok_or("cargo-mutants did not finish")?;
    }
    Ok(())
}

/// A regular expression that a text alone matches.
fn escape(text: &str) -> String {
    let mut escaped = String::new();
    for letter in text.chars() {
        if r".+*?()|[]{}^$\".contains(letter) {
            escaped.push('\\');
        }
        escaped.push(letter);
    }
    escaped
}
