//! What a packet costs in instructions, by kind: ordinary mail, and what an attacker would send.
//!
//! Each kind stands beside ordinary mail in segments of the same sizes (message text, command lines
//! or replies); what costs more than [`RATIO_MAX`] times as much is marked.
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

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    if let Some(code) = counting::play_if_asked(&arguments) {
        return code;
    }
    let wanted = arguments.iter().find(|word| !word.starts_with('-'));
    println!("{:>10} {:>9} {:>7}  kind", "a packet", "a byte", "x mail");
    for row in counting::count(wanted.map_or("", String::as_str)) {
        let is_dear = row.ratio() > RATIO_MAX;
        println!(
            "{:>10.0} {:>9.1} {:>7.2}  {}{}",
            row.a_packet(),
            row.a_byte(),
            row.ratio(),
            row.name,
            if is_dear { "  <- too dear" } else { "" },
        );
    }
    ExitCode::SUCCESS
}
