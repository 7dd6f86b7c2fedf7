//! Changes that cannot be switched: a build for each.

use std::error::Error;
use std::time::Duration;

use crate::mutant::{Fate, Mutant};
use crate::run;
use crate::tree::{TESTS, Tree};

/// Where one change stands at a time.
const PLAIN: Tree = Tree { name: "plain", level: 1, flags: LENIENT };
/// A constant that takes the compiler for ever to compute does not compile.
const LENIENT: &str = "-Awarnings -Aarithmetic_overflow -Aunconditional_panic";
/// How long each of the two programs may take.
const PATIENCE: Duration = Duration::from_secs(300);

/// What becomes of one change.
pub fn try_out(mutant: &Mutant) -> Result<Fate, Box<dyn Error>> {
    PLAIN.write(|file, source| {
        Ok(if file == mutant.file { mutant.apply(&source) } else { source })
    })?;
    for tests in TESTS {
        let Some(program) = PLAIN.build(tests)? else { return Ok(Fate::Unviable) };
        let fate = run::all_of(&program, &PLAIN, PATIENCE);
        if fate != Fate::Missed {
            return Ok(fate);
        }
    }
    Ok(Fate::Missed)
}
