//! A copy of the tree with the changes in it, and its tests built. What does not compile is taken
//! out, until the rest does.

use std::collections::HashSet;
use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use crate::mutant::{Fate, Mutant};
use crate::rewrite;
use crate::sites::Function;

/// Where the copy lies, and what is built of it.
pub const TREE: &str = "target/mutants/tree";
const BUILD: &str = "target/mutants/build";

/// The functions that had to stay constant the last time: a round of the compiler finds few.
const CONSTS: &str = "target/mutants/consts.json";

/// The test programs of a tree that has all changes in it which compile.
pub fn compile(mutants: &mut [Mutant]) -> Result<Vec<PathBuf>, Box<dyn Error>> {
    if Path::new(TREE).exists() {
        fs::remove_dir_all(TREE)?;
    }
    let known = fs::read(CONSTS).ok();
    let mut consts: HashSet<Function> =
        known.and_then(|bytes| serde_json::from_slice(&bytes).ok()).unwrap_or_default();
    loop {
        write_tree(mutants, &consts)?;
        let open = mutants.iter().filter(|mutant| mutant.fate == Fate::Open).count();
        eprintln!("checking {open} changes, {} functions stay constant", consts.len());
        let messages = cargo(&["check", "--profile", "test", "--keep-going"])?;
        let errors: Vec<&Value> =
            messages.iter().map(|m| &m["message"]).filter(|m| m["level"] == "error").collect();
        if errors.is_empty() {
            break;
        }
        let mut blamed = false;
        for error in &errors {
            blamed |= blame(error, mutants, &mut consts)?;
        }
        if !blamed {
            let texts = errors.iter().filter_map(|error| error["rendered"].as_str());
            return Err(texts.collect::<String>().into());
        }
    }
    fs::write(CONSTS, serde_json::to_vec(&consts)?)?;
    eprintln!("building");
    let messages = cargo(&["test", "--no-run"])?;
    let programs = messages.iter().filter(|m| m["profile"]["test"] == true);
    let paths: Vec<PathBuf> =
        programs.filter_map(|m| m["executable"].as_str()).map(PathBuf::from).collect();
    if paths.len() == 2 { Ok(paths) } else { Err("the changed tree cannot be linked".into()) }
}

/// Writes the tree, but not what is there already: nothing is to be built in vain.
fn write_tree(mutants: &mut [Mutant], consts: &HashSet<Function>) -> Result<(), Box<dyn Error>> {
    let files = Command::new("git").args(["ls-files", "-z"]).output()?.stdout;
    for file in String::from_utf8(files)?.split_terminator('\0') {
        let mut bytes = match fs::read(file) {
            Ok(bytes) => bytes,
            // Removed, but not yet for git.
            Err(_) => continue,
        };
        if file.starts_with("src/") && file.ends_with(".rs") {
            let source = String::from_utf8(bytes)?;
            let mut text = rewrite::rewrite(&source, file, mutants, consts)?;
            if file == "src/lib.rs" {
                text += "\nmod mutants;\n";
            }
            bytes = text.into_bytes();
        }
        write(&Path::new(TREE).join(file), &bytes)?;
    }
    write(&Path::new(TREE).join("src/mutants.rs"), include_bytes!("../switch.rs"))?;
    Ok(())
}

fn write(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    if fs::read(path).is_ok_and(|old| old == bytes) {
        return Ok(());
    }
    fs::create_dir_all(path.parent().unwrap_or(path))?;
    fs::write(path, bytes)
}

/// What cargo says about the tests that run in process.
fn cargo(command: &[&str]) -> Result<Vec<Value>, Box<dyn Error>> {
    let output = Command::new("cargo")
        .args(command)
        .args(["--lib", "--test", "core", "--locked", "--message-format", "json", "--target-dir"])
        .arg(fs::canonicalize(".")?.join(BUILD))
        .current_dir(TREE)
        .env("RUSTFLAGS", "--cap-lints=allow")
        .env("CARGO_PROFILE_TEST_OPT_LEVEL", "2")
        .env("CARGO_PROFILE_TEST_DEBUG", "none")
        .env("CARGO_PROFILE_DEV_DEBUG", "none")
        .output()?;
    let lines = output.stdout.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
    let messages: Vec<Value> = lines.map(serde_json::from_slice).collect::<Result<_, _>>()?;
    if !output.status.success() && !messages.iter().any(|m| m["message"]["level"] == "error") {
        return Err(String::from_utf8_lossy(&output.stderr).into());
    }
    Ok(messages)
}

/// Takes out the change that an error is in, or keeps a function constant that has to be. Whether
/// there is one.
fn blame(
    error: &Value,
    mutants: &mut [Mutant],
    consts: &mut HashSet<Function>,
) -> Result<bool, Box<dyn Error>> {
    let mut blamed = false;
    if error["code"]["code"] == "E0015" {
        for function in error["message"].as_str().map(functions).into_iter().flatten() {
            blamed |= consts.insert(function);
        }
    }
    let spans = error["spans"].as_array().into_iter().flatten();
    for span in spans.filter(|span| span["is_primary"] == true) {
        let (Some(file), Some(at)) = (span["file_name"].as_str(), span["byte_start"].as_u64())
        else {
            continue;
        };
        let text = fs::read_to_string(Path::new(TREE).join(file))?;
        let Some((fate, numbers)) = change_at(&text, usize::try_from(at)?) else { continue };
        for number in numbers {
            blamed |= std::mem::replace(&mut mutants[number].fate, fate) != fate;
        }
    }
    Ok(blamed)
}

/// The function in "cannot call non-const method `sweep::<impl MailData>::leads` in constants": it
/// may belong to each type that stands there.
fn functions(message: &str) -> Vec<Function> {
    let path = message.split('`').nth(1).unwrap_or_default();
    let mut words: Vec<&str> = path.split(|c: char| !c.is_alphanumeric() && c != '_').collect();
    let name = words.pop().unwrap_or_default();
    let owners = words.into_iter().filter(|word| word.starts_with(char::is_uppercase));
    let owners = owners.map(|owner| Some(owner.to_owned())).chain([None]);
    owners.map(|owner| (owner, name.to_owned())).collect()
}

/// The innermost changes around a byte of a rewritten source, and what becomes of them.
fn change_at(text: &str, at: usize) -> Option<(Fate, Vec<usize>)> {
    let mut open = Vec::new();
    for (start, _) in text[..at].match_indices("/*") {
        let comment = text[start + 2..].split("*/").next()?;
        if comment == ">" {
            open.pop();
        } else if let Some(change) = comment.strip_prefix('<') {
            open.push(change);
        }
    }
    let (fate, numbers) = match open.pop()?.split_at_checked(1)? {
        ("m", number) => (Fate::Unviable, number),
        (_, numbers) => (Fate::Fixed, numbers),
    };
    Some((fate, numbers.split(',').filter_map(|number| number.parse().ok()).collect()))
}
