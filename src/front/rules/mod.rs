//! `mailguard rules`: the packet filter side, installed, removed, shown, compared.
//!
//! The rules themselves are the files in `iptables/`. Either iptables keeps them, in tables that
//! others use too, or nft does, in a table of our own; they mean the same. Where both stand for a
//! moment a packet comes to the queue twice, and is judged the same twice.

mod beside;
mod inputs;
mod iptables;
mod nft;
mod saved;
mod template;
mod tool;
mod undisturbed;
mod words;

use std::io::{self, Write};
use std::path::Path;

pub use inputs::{are_of, inputs};
pub(in crate::front) use tool::command;
pub(in crate::front) use words::{Printer, position, target, value, words};

use self::undisturbed::Undisturbed;
use super::{FrontError, is_there};
use crate::config::{Config, RulesBackend};

/// What keeps the rules.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Keeper {
    /// The programs of iptables.
    Iptables,
    /// A table of our own, by the nft program.
    Nft,
}

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

    const fn program(self) -> &'static str {
        match self {
            Self::V4 => "iptables",
            Self::V6 => "ip6tables",
        }
    }

    /// Where the kernel names the tables that it has of iptables' own rule set.
    const fn legacy_tables(self) -> &'static str {
        match self {
            Self::V4 => "/proc/net/ip_tables_names",
            Self::V6 => "/proc/net/ip6_tables_names",
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

/// Brings rules that are installed up to date, where this program may; they are of the file if it
/// is there, or was before. Where there are none, nobody has asked for any.
///
/// # Errors
/// A program of the packet filter fails.
pub fn follow(config: &Config, file: &Path) -> Result<(), FrontError> {
    if !rustix::process::geteuid().is_root() {
        return Ok(());
    }
    // Who is removing them now has to be done before anybody looks.
    let _undisturbed = Undisturbed::begin()?;
    let holders = holders()?;
    if holders.is_empty() {
        return Ok(());
    }
    renew(config, (is_there(file) || are_of(file)).then_some(file), holders)?;
    super::print("rules: brought up to date, as `mailguard rules up` does\n")
}

/// Installs the rules, or brings them up to date, and keeps what they are made from for
/// [`stand_in`], and of which file that is.
///
/// # Errors
/// A program is missing or refuses, or somebody else changes rules; nothing has changed then.
pub fn up(config: &Config, file: Option<&Path>) -> Result<(), FrontError> {
    let _undisturbed = Undisturbed::begin()?;
    renew(config, file, holders()?)
}

fn renew(config: &Config, file: Option<&Path>, holders: Vec<Keeper>) -> Result<(), FrontError> {
    install(config, holders)?;
    if let Err(error) = inputs::keep(config, file) {
        // They stand, and that is what was asked for; those before are not to come back.
        inputs::forget();
        let _ = writeln!(io::stderr(), "mailguard: {error}");
    }
    Ok(())
}

/// Sees to it that rules stand where the configuration is faulty, or mail would pass unread: those
/// of the last [`up`]. Where none are known, nobody has asked for any since [`down`]. What was
/// done, in a sentence.
///
/// # Errors
/// A program is missing or refuses, or somebody else changes rules; nothing has changed then.
pub fn stand_in() -> Result<&'static str, FrontError> {
    let _undisturbed = Undisturbed::begin()?;
    let holders = holders()?;
    match inputs::kept() {
        Ok(config) => {
            // Some of them may be gone.
            install(&config, holders)?;
            Ok("rules: those of the last `rules up` stand")
        }
        Err(_) if holders.is_empty() => Ok("rules: none stand, and none are known"),
        Err(_) => Ok("rules: those that stand are left as they are"),
    }
}

fn install(config: &Config, holders: Vec<Keeper>) -> Result<(), FrontError> {
    let keeper = keeper(config, &holders)?;
    keeper.up(config)?;
    // Only now, so that there is no moment without rules.
    holders.into_iter().filter(|holder| *holder != keeper).try_for_each(Keeper::down)
}

/// Removes every trace of the rules.
///
/// # Errors
/// A program is missing or refuses; what could be removed is removed all the same. Or somebody else
/// changes rules.
pub fn down() -> Result<(), FrontError> {
    let _undisturbed = Undisturbed::begin()?;
    inputs::forget();
    let there: Vec<_> = Keeper::ALL.into_iter().filter(|keeper| keeper.is_there()).collect();
    if there.is_empty() {
        return Err(none_is_there());
    }
    // One that fails does not spare the other.
    let ended: Vec<_> = there.into_iter().map(Keeper::down).collect();
    ended.into_iter().collect()
}

/// What [`up`] would install, as text.
#[must_use]
pub fn show(config: &Config) -> String {
    // Whoever may not look at the rules there are may look at those there would be.
    let holders = holders().unwrap_or_default();
    match keeper(config, &holders).unwrap_or(Keeper::Iptables) {
        Keeper::Iptables => iptables::show(config),
        Keeper::Nft => nft::show(config),
    }
}

/// What keeps the rules, or would, and how the machine's differ from those configured, one sentence
/// each.
///
/// # Errors
/// A program is missing or refuses.
pub fn differences(config: &Config) -> Result<(Keeper, Vec<String>), FrontError> {
    let holders = holders()?;
    let keeper = keeper(config, &holders)?;
    let mut found = match keeper {
        Keeper::Iptables => {
            let mut found = iptables::differences(config)?;
            if beside::are_there() {
                let what = "some stand in iptables' other rule set (mailguard rules up)";
                found.push(what.to_owned());
            }
            found
        }
        Keeper::Nft => nft::differences(config)?,
    };
    if holders.iter().any(|holder| *holder != keeper) {
        found.push("kept twice, by iptables and by nft (mailguard rules up)".to_owned());
    }
    Ok((keeper, found))
}

/// Every rule there is, as `iptables-save` prints them, by the nf_tables word for the family.
///
/// # Errors
/// A program is missing or refuses.
pub(in crate::front) fn listings() -> Result<Vec<(&'static str, String)>, FrontError> {
    iptables::listings()
}

/// Whether a chain of iptables is one of those we make.
pub(in crate::front) fn is_own(table: &str, chain: &str) -> bool {
    iptables::is_own(table, chain)
}

/// Whether a table of nf_tables is the one we make.
pub(in crate::front) fn is_own_table(family: &str, table: &str) -> bool {
    nft::is_own(family, table)
}

/// Who holds rules of ours now.
fn holders() -> Result<Vec<Keeper>, FrontError> {
    let mut holders = Vec::new();
    for keeper in Keeper::ALL.into_iter().filter(|keeper| keeper.is_there()) {
        let holds = match keeper {
            Keeper::Iptables => iptables::are_installed()? || beside::are_there(),
            Keeper::Nft => nft::is_installed()?,
        };
        holders.extend(holds.then_some(keeper));
    }
    Ok(holders)
}

/// Who is to keep them. What holds them now stays; else it is nft, where the kernel has all that
/// our table asks for.
fn keeper(config: &Config, holders: &[Keeper]) -> Result<Keeper, FrontError> {
    match (config.rules.backend, holders) {
        (RulesBackend::Iptables, _) => Ok(Keeper::Iptables),
        (RulesBackend::Nft, _) => Ok(Keeper::Nft),
        (RulesBackend::Auto, [holder, ..]) => Ok(*holder),
        (RulesBackend::Auto, []) if Keeper::Nft.is_there() && nft::is_accepted(config) => {
            Ok(Keeper::Nft)
        }
        (RulesBackend::Auto, []) if Keeper::Iptables.is_there() => Ok(Keeper::Iptables),
        (RulesBackend::Auto, []) => Err(none_is_there()),
    }
}

fn none_is_there() -> FrontError {
    FrontError::new(
        "neither nft nor iptables-save is installed (on Debian: apt-get install nftables, or \
         iptables)",
    )
}

impl Keeper {
    /// The better one first: other people's `iptables-restore` leaves a table of nft's alone.
    const ALL: [Self; 2] = [Self::Nft, Self::Iptables];

    /// What it is called.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Iptables => "iptables",
            Self::Nft => "nft",
        }
    }

    fn is_there(self) -> bool {
        match self {
            Self::Iptables => tool::is_there(Family::V4.save_program()),
            Self::Nft => tool::is_there("nft"),
        }
    }

    fn up(self, config: &Config) -> Result<(), FrontError> {
        match self {
            Self::Iptables => iptables::up(config).and_then(|()| beside::remove()),
            Self::Nft => nft::up(config),
        }
    }

    fn down(self) -> Result<(), FrontError> {
        match self {
            Self::Iptables => {
                let (ended, beside) = (iptables::down(), beside::remove());
                ended.and(beside)
            }
            Self::Nft => nft::down(),
        }
    }
}
