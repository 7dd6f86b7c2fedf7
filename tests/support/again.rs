//! A test that runs itself again, in another process: the same program, told to run that test only.

#![allow(dead_code, reason = "each program uses a part of this")]
#![allow(clippy::print_stdout, reason = "what the other process said is said again")]

use std::any::type_name;
use std::env;
use std::process::Command;

/// Runs a test in a process of its own, for what is measured on a whole process.
pub(crate) fn alone<F: Fn()>(body: F) {
    if env::var_os(MARKER).is_some() {
        return body();
    }
    let words = words::<F>();
    let mut command = Command::new(&words[0]);
    expect_passed(command.args(&words[1..]).env(MARKER, "1"));
}

/// How this program is asked to run that test alone whose closure this is.
pub(crate) fn words<F>() -> [String; 4] {
    let path = env::current_exe().unwrap().display().to_string();
    let name = type_name::<F>().trim_end_matches("::{{closure}}");
    let (_, name) = name.split_once("::").unwrap();
    [path, name.to_owned(), "--exact".to_owned(), "--nocapture".to_owned()]
}

/// Runs such a command to its end, and says what it said.
pub(crate) fn expect_passed(command: &mut Command) {
    let output = command.output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    assert!(said.contains("1 passed"), "no such test: {command:?}\n{said}");
    println!("{said}");
}

const MARKER: &str = "MAILGUARD_ALONE";
