//! Rules of ours in the other rule set of iptables: one of its own, or one on nf_tables. A kernel
//! may have both, and the usual names of the programs are those of one alone. Whoever changes that
//! leaves in force what stands in the other.

use std::fs;

use super::super::FrontError;
use super::Family;
use super::saved::Saved;
use super::template::TABLES;
use super::tool::{self, LOCK_WAIT};

/// Whether there are any.
pub(super) fn are_there() -> bool {
    !found().is_empty()
}

/// Removes them; if a program refuses, what could be removed is.
pub(super) fn remove() -> Result<(), FrontError> {
    let removed = found().into_iter().map(|Found { restore, script }| {
        tool::run(&restore, &["--noflush", LOCK_WAIT], &script).map(drop)
    });
    removed.fold(Ok(()), Result::and)
}

/// What there is in a table, by what removes it.
struct Found {
    restore: String,
    script: String,
}

fn found() -> Vec<Found> {
    let mut all = Vec::new();
    for family in Family::present() {
        let version = tool::run(family.save_program(), &["--version"], "").unwrap_or_default();
        let other = if version.contains("legacy") { "nft" } else { "legacy" };
        let program = |what| format!("{}-{other}-{what}", family.program());
        let save = program("save");
        if !tool::is_there(&save) {
            continue;
        }
        let legacy = fs::read_to_string(family.legacy_tables()).unwrap_or_default();
        for table in TABLES {
            // To ask for a table of the old kind would make it.
            if other == "legacy" && !legacy.lines().any(|name| name == table) {
                continue;
            }
            // A kernel without that rule set has nothing in it.
            let listing = tool::run(&save, &["-t", table], "").unwrap_or_default();
            let script = Saved::parse(table, &listing).remove(table);
            all.extend(script.map(|script| Found { restore: program("restore"), script }));
        }
    }
    all
}
