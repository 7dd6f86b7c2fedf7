//! Changes that cannot be switched: a build for each.

use std::error::Error;
use std::time::Duration;

use crate::mutant::{Fate, Mutant};
use crate::run;
use crate::tree::Tree;

/// Where one change stands at a time.
const PLAIN: Tree = Tree { name: "plain", level: 1 };
/// How long each of the two programs may take.
const PATIENCE: Duration = Duration::from_secs(300);

/// What becomes of one change.
pub fn try_out(mutant: &Mutant) -> Result<Fate, Box<dyn Error>> {
    PLAIN.write(|file, source| {
        Ok(if file == mutant.file { mutant.apply(&source) } else { source })
    })?;
    let Some(programs) = PLAIN.build()? else { return Ok(Fate::Unviable) };
    let fates = programs.iter().map(|program| run::all_of(program, &PLAIN, PATIENCE));
    Ok(fates.into_iter().find(|fate| *fate != Fate::Missed).unwrap_or(Fate::Missed))
}
