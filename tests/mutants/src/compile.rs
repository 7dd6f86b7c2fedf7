//! A copy of the tree with the changes in it, and its tests built. What does not compile is taken
//! out, until the rest does.

use std::collections::HashSet;
use std::error::Error;
use std::fs;
use std::path::PathBuf;

use serde_json::Value;

use crate::mutant::{Fate, Mutant};
use crate::rewrite;
use crate::sites::Function;
use crate::tree::{TESTS, Tree};

/// Where all changes stand.
pub const SWITCHED: Tree = Tree { name: "switched", level: 2, flags: "--cap-lints=allow" };

/// The functions that had to stay constant the last time: a round of the compiler finds few.
const CONSTS: &str = "target/mutants/consts.json";

/// The test programs of a tree that has all changes in it which compile.
pub fn compile(mutants: &mut [Mutant]) -> Result<Vec<PathBuf>, Box<dyn Error>> {
    SWITCHED.clear()?;
    let known = fs::read(CONSTS).ok();
    let mut consts: HashSet<Function> =
        known.and_then(|bytes| serde_json::from_slice(&bytes).ok()).unwrap_or_default();
    loop {
        write_tree(mutants, &consts)?;
        let open = mutants.iter().filter(|mutant| mutant.fate == Fate::Open).count();
        eprintln!("checking {open} changes, {} functions stay constant", consts.len());
        let messages =
            SWITCHED.cargo(&["check", "--profile", "test", "--keep-going"], &TESTS.concat())?;
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
    let programs: Option<Vec<PathBuf>> =
        TESTS.iter().map(|tests| SWITCHED.build(tests)).collect::<Result<_, _>>()?;
    programs.ok_or_else(|| "the changed tree cannot be linked".into())
}

fn write_tree(mutants: &mut [Mutant], consts: &HashSet<Function>) -> Result<(), Box<dyn Error>> {
    SWITCHED.write(|file, source| {
        let mut text = rewrite::rewrite(&source, file, mutants, consts)?;
        if file == "src/lib.rs" {
            text += "\nmod mutants;\n";
        }
        Ok(text)
    })?;
    SWITCHED.put("src/mutants.rs", include_bytes!("../switch.rs"))?;
    Ok(())
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
        let text = fs::read_to_string(SWITCHED.path().join(file))?;
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
