//! Our rules in the tables of iptables: installed, removed, compared.
//!
//! A change is made in whole or not at all: each table is one transaction, and when one fails those
//! already made are taken back. Removing leaves nothing of ours; where iptables stands on nf_tables
//! it keeps a table it once made, with empty chains.

use std::fmt::Write;

use super::super::FrontError;
use super::Family;
use super::saved::Saved;
use super::template::{self, TABLES, expand};
use super::tool::{LOCK_WAIT, run};
use crate::config::Config;

/// Installs the rules, or brings them up to date; if a program refuses, nothing has changed.
pub(super) fn up(config: &Config) -> Result<(), FrontError> {
    let before = snapshot()?;
    for Part { family, table, saved } in &before {
        let expanded = expand(config, *family);
        let wanted = expanded.iter().find(|one| one.table == *table && one.is_wanted());
        let script = match wanted {
            Some(expanded) => Some(saved.install(expanded)),
            None => saved.remove(table),
        };
        let Some(script) = script else { continue };
        if let Err(error) = restore(*family, &script) {
            return Err(take_back(&before, error));
        }
    }
    Ok(())
}

/// Removes every trace of the rules; if a program refuses, what could be removed is.
pub(super) fn down() -> Result<(), FrontError> {
    let mut ended = Ok(());
    for family in Family::present() {
        for table in TABLES {
            let removed = save(family, table).and_then(|saved| {
                saved.remove(table).map_or(Ok(()), |script| restore(family, &script))
            });
            ended = ended.and(removed);
        }
    }
    ended
}

/// Whether there is anything of ours.
pub(super) fn are_installed() -> Result<bool, FrontError> {
    Ok(snapshot()?.iter().any(|part| part.saved.remove(part.table).is_some()))
}

/// What [`up`] would install, as text.
pub(super) fn show(config: &Config) -> String {
    let mut text = String::new();
    for family in Family::BOTH {
        let _ = writeln!(text, "# {} --noflush", family.restore_program());
        for expanded in expand(config, family).iter().filter(|one| one.is_wanted()) {
            for line in &expanded.lines {
                let _ = writeln!(text, "{line}");
            }
        }
    }
    text
}

/// How the machine's rules differ from those configured, one sentence each.
pub(super) fn differences(config: &Config) -> Result<Vec<String>, FrontError> {
    let mut found = Vec::new();
    for Part { family, table, saved } in snapshot()? {
        let expanded = expand(config, family);
        for one in expanded.iter().filter(|one| one.table == table) {
            let program = family.save_program();
            found.extend(saved.differences(one).into_iter().map(|d| format!("{program}: {d}")));
        }
    }
    Ok(found)
}

/// Every rule there is, as `iptables-save` prints them, by the nf_tables word for the family.
pub(super) fn listings() -> Result<Vec<(&'static str, String)>, FrontError> {
    Family::present().map(|family| Ok((family.name(), list(family)?))).collect()
}

/// Whether a chain is one of those we make.
pub(super) fn is_own(table: &str, chain: &str) -> bool {
    template::own_chains(table).contains(&chain)
}

/// What one table of one family holds of ours.
struct Part {
    family: Family,
    table: &'static str,
    saved: Saved,
}

fn snapshot() -> Result<Vec<Part>, FrontError> {
    let mut parts = Vec::new();
    for family in Family::present() {
        for table in TABLES {
            parts.push(Part { family, table, saved: save(family, table)? });
        }
    }
    Ok(parts)
}

/// Puts everything back as it was; the error that made it necessary is what the user gets to see.
fn take_back(before: &[Part], error: FrontError) -> FrontError {
    for Part { family, table, saved } in before {
        let undone = save(*family, table).and_then(|now| {
            if now == *saved {
                return Ok(());
            }
            restore(*family, &now.replace(table, saved))
        });
        if let Err(second) = undone {
            return FrontError::new(format!("{error}; and taking back {table} failed: {second}"));
        }
    }
    error
}

/// What a table holds of ours.
fn save(family: Family, table: &str) -> Result<Saved, FrontError> {
    let listing = run(family.save_program(), &["-t", table], "")?;
    Ok(Saved::parse(table, &listing))
}

/// Every rule of a family.
fn list(family: Family) -> Result<String, FrontError> {
    run(family.save_program(), &[], "")
}

/// Applies a script in one transaction, leaving all other rules alone.
fn restore(family: Family, script: &str) -> Result<(), FrontError> {
    run(family.restore_program(), &["--noflush", LOCK_WAIT], script).map(|_| ())
}
