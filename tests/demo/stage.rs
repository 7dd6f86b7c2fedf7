//! How the demo looks: headings, dialogues, notes; colours only on a terminal.

#![expect(clippy::print_stdout, reason = "this is what the demo prints with")]

use std::io::{IsTerminal, stdout};

/// What one sees first; `server` is what listens.
pub(crate) fn title(heading: &str, server: &str) {
    println!("{}", painted(BOLD, heading));
    println!();
    println!("    client                     gateway                      server");
    println!("    192.0.2.2          ->      Mailguard      ->      {server}");
    println!();
    println!("    {} what the client sends    {} what it receives", arrow('>'), arrow('<'));
}

/// The heading of an act.
pub(crate) fn act(number: &str, heading: &str) {
    println!();
    println!("{}", painted(BOLD, &format!("{number}. {heading}")));
    println!();
}

/// One line of a dialogue, with its direction.
pub(crate) fn dialogue(direction: char, line: &str) {
    println!("    {} {line}", arrow(direction));
}

/// A line that some program wrote.
pub(crate) fn shown(line: &str) {
    println!("    {}", painted(DIM, line));
}

/// An explanation.
pub(crate) fn note(text: &str) {
    println!("  {text}");
}

/// A result to be glad of.
pub(crate) fn good(text: &str) {
    println!("  {}", painted(GREEN, text));
}

fn arrow(direction: char) -> String {
    match direction {
        '>' => painted(CYAN, ">"),
        '<' => painted(YELLOW, "<"),
        other => other.to_string(),
    }
}

fn painted(colour: &str, text: &str) -> String {
    if stdout().is_terminal() { format!("{colour}{text}\x1b[0m") } else { text.to_owned() }
}

const BOLD: &str = "\x1b[1m";
const CYAN: &str = "\x1b[36m";
const DIM: &str = "\x1b[2m";
const GREEN: &str = "\x1b[32m";
const YELLOW: &str = "\x1b[33m";
