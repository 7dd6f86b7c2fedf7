//! What a packet costs in instructions, by kind: ordinary mail, and what an attacker would send.
//!
//! Each kind stands beside ordinary mail in segments of the same sizes (message text, command lines
//! or replies); what costs more than [`RATIO_MAX`] times as much is marked. Settings are those of
//! the profile as it is installed: what they end early costs no more than that. Where an operator
//! has no limits for lines at all, nothing is promised, and nothing marked.
//! Beside the ordinary ones stands what they cost before all this was looked at.
//! `cargo bench --bench instructions -- [WORD]` counts the kinds that have WORD in their names.

#![allow(clippy::print_stdout, reason = "this is a program's report")]

use std::env;
use std::process::ExitCode;

mod counting;
mod kinds;
#[path = "../support/mod.rs"]
mod support;

/// How much dearer than ordinary mail of the same size a packet may be.
const RATIO_MAX: f64 = 4.0;

/// Instructions a packet at commit cb5f0ac: the same kinds, counted by this program built there.
const BEFORE: [(&str, u64); 7] = [
    ("ordinary: bare ACK", 1_776),
    ("ordinary: text, 1,448 bytes", 4_971),
    ("ordinary: text, 65,000 bytes", 99_612),
    ("ordinary: command line", 11_874),
    ("ordinary: command and reply", 9_461),
    ("ordinary: 46 recipients at once", 242_181),
    ("ordinary: answer to EHLO", 57_831),
];

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    if let Some(code) = counting::play_if_asked(&arguments) {
        return code;
    }
    let wanted = arguments.iter().find(|word| !word.starts_with('-'));
    println!("{:>10} {:>9} {:>7} {:>8}  kind", "a packet", "a byte", "x mail", "cb5f0ac");
    for row in counting::count(wanted.map_or("", String::as_str)) {
        let is_dear = row.ratio() > RATIO_MAX && !row.name.ends_with(kinds::UNLIMITED);
        let before = BEFORE.iter().find(|(name, _)| *name == row.name);
        println!(
            "{:>10.0} {:>9.1} {:>7.2} {:>8}  {}{}",
            row.a_packet(),
            row.a_byte(),
            row.ratio(),
            before.map_or_else(String::new, |(_, count)| count.to_string()),
            row.name,
            if is_dear { "  <- too dear" } else { "" },
        );
    }
    ExitCode::SUCCESS
}
