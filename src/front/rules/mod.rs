//! `mailguard rules`: the packet filter side, installed, removed, shown, compared.
//!
//! The rules themselves are the files in `iptables/`. A change is made in whole or not at all:
//! each table is one transaction, and when one fails those already made are taken back. Removing
//! leaves nothing of ours; the nf_tables back end keeps a table it once made, with empty chains.

mod saved;
mod template;
mod tool;

use std::fmt::Write;
use std::path::Path;

use self::saved::Saved;
use self::template::{TABLES, expand};
use super::FrontError;
use crate::config::Config;

/// An address family, and with it the programs to call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Family {
    V4,
    V6,
}

impl Family {
    const BOTH: [Self; 2] = [Self::V4, Self::V6];

    /// The families this kernel has.
    fn present() -> impl Iterator<Item = Self> {
        let has_ipv6 = Path::new("/proc/net/if_inet6").exists();
        Self::BOTH.into_iter().filter(move |&family| family == Self::V4 || has_ipv6)
    }

    /// What nf_tables calls it.
    const fn name(self) -> &'static str {
        match self {
            Self::V4 => "ip",
            Self::V6 => "ip6",
        }
    }

    const fn save_program(self) -> &'static str {
        match self {
            Self::V4 => "iptables-save",
            Self::V6 => "ip6tables-save",
        }
    }

    const fn restore_program(self) -> &'static str {
        match self {
            Self::V4 => "iptables-restore",
            Self::V6 => "ip6tables-restore",
        }
    }
}

/// Brings rules that are installed up to date, where this program may. Where there are none, nobody
/// has asked for any.
///
/// # Errors
/// A program of the packet filter fails.
pub fn follow(config: &Config) -> Result<(), FrontError> {
    if !rustix::process::geteuid().is_root() || !are_installed()? {
        return Ok(());
    }
    up(config)?;
    super::print("rules: brought up to date\n")
}

/// Installs the rules, or brings them up to date.
///
/// # Errors
/// A program is missing or refuses; nothing has changed then.
pub fn up(config: &Config) -> Result<(), FrontError> {
    let before = snapshot()?;
    for Part { family, table, saved } in &before {
        let expanded = expand(config, *family);
        let wanted = expanded.iter().find(|one| one.table == *table && one.is_wanted());
        let script = match wanted {
            Some(expanded) => Some(saved.install(expanded)),
            None => saved.remove(table),
        };
        let Some(script) = script else { continue };
        if let Err(error) = tool::restore(*family, &script) {
            return Err(take_back(&before, error));
        }
    }
    Ok(())
}

/// Removes every trace of the rules.
///
/// # Errors
/// A program is missing or refuses; what could be removed is removed all the same.
pub fn down() -> Result<(), FrontError> {
    let mut ended = Ok(());
    for family in Family::present() {
        for table in TABLES {
            let removed = tool::save(family, table).and_then(|saved| {
                saved.remove(table).map_or(Ok(()), |script| tool::restore(family, &script))
            });
            ended = ended.and(removed);
        }
    }
    ended
}

fn are_installed() -> Result<bool, FrontError> {
    Ok(snapshot()?.iter().any(|part| part.saved.remove(part.table).is_some()))
}

/// What [`up`] would install, as text.
#[must_use]
pub fn show(config: &Config) -> String {
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
///
/// # Errors
/// A program is missing or refuses.
pub fn differences(config: &Config) -> Result<Vec<String>, FrontError> {
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
///
/// # Errors
/// A program is missing or refuses.
pub(in crate::front) fn listings() -> Result<Vec<(&'static str, String)>, FrontError> {
    Family::present().map(|family| Ok((family.name(), tool::list(family)?))).collect()
}

/// Whether a chain is one of those we make.
pub(in crate::front) fn is_own(table: &str, chain: &str) -> bool {
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
            parts.push(Part { family, table, saved: tool::save(family, table)? });
        }
    }
    Ok(parts)
}

/// Puts everything back as it was; the error that made it necessary is what the user gets to see.
fn take_back(before: &[Part], error: FrontError) -> FrontError {
    for Part { family, table, saved } in before {
        let undone = tool::save(*family, table).and_then(|now| {
            if now == *saved {
                return Ok(());
            }
            tool::restore(*family, &now.replace(table, saved))
        });
        if let Err(second) = undone {
            return FrontError::new(format!("{error}; and taking back {table} failed: {second}"));
        }
    }
    error
}
