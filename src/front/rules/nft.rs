//! Our rules as a table of nf_tables: installed, removed, compared.
//!
//! The file is one transaction, which takes the place of whatever there was of our table. Each rule
//! carries a comment made from its words. By that it is known again: nft prints rules otherwise
//! than they were given, and each version in its own way.

use std::collections::BTreeMap;

use sha2::{Digest, Sha256};

use super::super::FrontError;
use super::template::expand_nft;
use super::tool::run;
use crate::config::Config;

/// Installs the table. Where it stands as it should nothing is done: to replace a chain makes the
/// kernel drop all packets that wait in queues.
pub(super) fn up(config: &Config) -> Result<(), FrontError> {
    if is_installed()? && differences(config)?.is_empty() {
        return Ok(());
    }
    let installed = run("nft", &["-f", "-"], &script(config)).map(drop);
    installed.map_err(|error| if lacks_queue() { without_queue(&error) } else { error })
}

/// Whether the kernel takes all but the one thing that brings packets to us.
fn lacks_queue() -> bool {
    let is_taken = |end: &str| run("nft", &["-c", "-f", "-"], &format!("{TRIAL}{end}\n")).is_ok();
    is_taken("accept") && !is_taken("queue num 0")
}

fn without_queue(error: &FrontError) -> FrontError {
    FrontError::new(format!(
        "nft of this kernel knows no queue, expected rules.backend = \"auto\" or \"iptables\": \
         {error}"
    ))
}

/// Removes the table.
pub(super) fn down() -> Result<(), FrontError> {
    if !is_installed()? {
        return Ok(());
    }
    run("nft", &["-f", "-"], REMOVAL).map(|_| ())
}

/// Whether there is one.
pub(super) fn is_installed() -> Result<bool, FrontError> {
    match run("nft", &["list", "tables"], "") {
        Ok(tables) => Ok(tables.lines().any(|line| line.trim_end() == TABLE)),
        // A kernel without nf_tables has no tables of it.
        Err(error) if error.to_string().contains("not supported") => Ok(false),
        Err(error) => Err(error),
    }
}

/// Whether the kernel has all that the table asks for; nothing is changed.
pub(super) fn is_accepted(config: &Config) -> bool {
    run("nft", &["-c", "-f", "-"], &script(config)).is_ok()
}

/// What [`up`] would install, as text.
pub(super) fn show(config: &Config) -> String {
    format!("# nft -f -\n{}", script(config))
}

/// How the machine's table differs from the one configured, one sentence each.
pub(super) fn differences(config: &Config) -> Result<Vec<String>, FrontError> {
    if !is_installed()? {
        return Ok(vec![format!("nft: {TABLE}: not installed (mailguard rules up)")]);
    }
    let listing = run("nft", &["-n", "-s", "list", "table", FAMILY, NAME], "")?;
    let script = script(config);
    Ok(Shape::of_listing(&listing).differences(&Shape::of_script(&script)))
}

/// Whether a table is ours.
pub(super) fn is_own(family: &str, table: &str) -> bool {
    (family, table) == (FAMILY, NAME)
}

fn script(config: &Config) -> String {
    expand_nft(config).into_iter().map(|line| with_comment(line) + "\n").collect()
}

fn with_comment(mut line: String) -> String {
    if line.starts_with(RULE) {
        let hash = Sha256::digest(&line);
        let hash: String = hash.iter().take(6).map(|byte| format!("{byte:02x}")).collect();
        line += &format!(" comment \"mailguard:{hash}\"");
    }
    line
}

/// What a table is, as far as it can be compared.
#[derive(Debug, Default, PartialEq, Eq)]
struct Shape<'a> {
    chains: BTreeMap<&'a str, Chain<'a>>,
    /// Whether the kernel passes it over.
    is_dormant: bool,
}

#[derive(Debug, Default, PartialEq, Eq)]
struct Chain<'a> {
    /// The words of its hook, priority and policy.
    place: Vec<&'a str>,
    /// The comments of its rules; none: a rule that is not ours.
    rules: Vec<Option<&'a str>>,
}

impl<'a> Shape<'a> {
    fn of_script(script: &'a str) -> Self {
        let mut shape = Self::default();
        for line in script.lines() {
            if let Some(chain) = line.strip_prefix(CHAIN) {
                let (name, place) = chain.split_once(' ').unwrap_or((chain, ""));
                let place = words(place.trim_matches(['{', '}', ' ']));
                shape.chains.insert(name, Chain { place, rules: Vec::new() });
            } else if let Some((name, rule)) =
                line.strip_prefix(RULE).and_then(|rule| rule.split_once(' '))
            {
                shape.chains.entry(name).or_default().rules.push(comment(rule));
            }
        }
        shape
    }

    fn of_listing(listing: &'a str) -> Self {
        let mut shape = Self::default();
        let mut name = None;
        for line in listing.lines().map(str::trim) {
            match (line, name) {
                ("}", _) => name = None,
                ("flags dormant", None) => shape.is_dormant = true,
                (line, None) => {
                    name = line.strip_prefix("chain ").and_then(|line| line.strip_suffix(" {"));
                    if let Some(name) = name {
                        shape.chains.insert(name, Chain::default());
                    }
                }
                (line, Some(name)) => {
                    let chain = shape.chains.entry(name).or_default();
                    if line.starts_with("type ") {
                        chain.place = words(line);
                    } else {
                        chain.rules.push(comment(line));
                    }
                }
            }
        }
        shape
    }

    fn differences(&self, wanted: &Self) -> Vec<String> {
        let mut found = Vec::new();
        if self.is_dormant {
            found.push(format!("nft: {TABLE}: dormant, so it does nothing"));
        }
        let surplus = self.chains.keys().filter(|name| !wanted.chains.contains_key(*name));
        found.extend(surplus.map(|name| format!("nft: chain {name} should not exist")));
        for (name, chain) in &wanted.chains {
            match self.chains.get(name) {
                None => found.push(format!("nft: chain {name} is gone")),
                Some(there) if there.place != chain.place => {
                    found.push(format!("nft: chain {name} does not stand where it should"));
                }
                Some(there) if there.rules != chain.rules => {
                    found.push(format!("nft: the rules of {name} are not those configured"));
                }
                Some(_) => {}
            }
        }
        found
    }
}

fn words(place: &str) -> Vec<&str> {
    place.split([' ', ';']).filter(|word| !word.is_empty()).collect()
}

fn comment(rule: &str) -> Option<&str> {
    rule.rsplit_once(" comment \"")?.1.strip_suffix('"')
}

const FAMILY: &str = "inet";
const NAME: &str = "mailguard";
const TABLE: &str = "table inet mailguard";
const CHAIN: &str = "add chain inet mailguard ";
const RULE: &str = "add rule inet mailguard ";

/// A rule of a table that is not made.
const TRIAL: &str = "add table inet mailguard-trial\nadd chain inet mailguard-trial one { type \
                     filter hook forward priority 0; }\nadd rule inet mailguard-trial one ";

/// Nothing of it is left, and it is no error if nothing was there.
const REMOVAL: &str = "add table inet mailguard\ndelete table inet mailguard\n";
