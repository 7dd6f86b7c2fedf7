//! What `show` and `write terminal` print.

use std::fmt::Write;
use std::hash::Hasher;

use siphasher::sip128::{Hasher128, SipHasher};

use super::change::unguarded;
use crate::config::Config;

/// The lines of `show fixup`: a port that is guarded, or one that was and is no more.
#[must_use]
pub fn fixups(config: &Config) -> Vec<String> {
    let ports = &config.engine.ports;
    let mut lines: Vec<String> =
        ports.iter().map(|port| format!("fixup protocol smtp {port}")).collect();
    lines.extend(config.pix.iter().filter(|line| line.starts_with("no fixup ")).cloned());
    // It is on where nobody says that it is not.
    if !ports.contains(&25) && !lines.contains(&unguarded(25)) {
        lines.push(unguarded(25));
    }
    lines
}

/// The lines that begin with this word, as they were typed.
#[must_use]
pub fn lines_named(config: &Config, word: &str) -> Vec<String> {
    let is_it = |line: &&String| line.split(' ').next() == Some(word);
    config.pix.iter().filter(is_it).cloned().collect()
}

/// The configuration in the PIX's words.
#[must_use]
pub fn running(config: &Config) -> Vec<String> {
    let mut lines = fixups(config);
    lines.extend(config.pix.iter().filter(|line| !line.starts_with("no fixup ")).cloned());
    lines
}

/// Of that, the lines that begin so, or take back what begins so; `all` has nothing more.
#[must_use]
pub fn running_of(config: &Config, start: &str) -> Vec<String> {
    let words = start.split_whitespace().skip_while(|word| *word == "all");
    let start = words.collect::<Vec<_>>().join(" ");
    let is_it = |line: &String| line.strip_prefix("no ").unwrap_or(line).starts_with(&start);
    running(config).into_iter().filter(is_it).collect()
}

/// What `write terminal` prints.
#[must_use]
pub fn written(config: &Config) -> String {
    let mut text = "Building configuration...\n: Saved\n:\n".to_owned();
    let version = env!("CARGO_PKG_VERSION");
    // Writing to a string cannot fail.
    let _ = writeln!(text, "Mailguard Version {version}\n: profile {}", config.profile);
    for line in running(config) {
        let _ = writeln!(text, "{line}");
    }
    let _ = writeln!(text, "Cryptochecksum:{}\n: end\n[OK]", checksum(config).replace(' ', ""));
    text
}

/// 32 hexadecimal digits in four groups, the same for the same lines.
#[must_use]
pub fn checksum(config: &Config) -> String {
    let mut hasher = SipHasher::new();
    for line in running(config) {
        hasher.write(line.as_bytes());
        hasher.write_u8(b'\n');
    }
    let hash = hasher.finish128();
    let digits = format!("{:016x}{:016x}", hash.h1, hash.h2);
    let groups: Vec<&str> = (0..4).filter_map(|at| digits.get(at * 8..at * 8 + 8)).collect();
    groups.join(" ")
}

/// The configuration without anything that the PIX's words can say.
#[must_use]
pub fn erased(config: &Config) -> Config {
    let mut new = config.clone();
    new.pix.clear();
    new.rules.mail_hosts.clear();
    new.engine.ports = vec![25];
    new
}
