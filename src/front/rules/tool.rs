//! Runs the iptables programs and turns their complaints into one line.

use std::io::{self, Write};
use std::process::{Command, Stdio};

use super::super::FrontError;
use super::Family;
use super::saved::Saved;

/// What a table holds of ours.
pub(super) fn save(family: Family, table: &str) -> Result<Saved, FrontError> {
    let program = family.save_program();
    let listing = run(program, &["-t", table], "")?;
    Ok(Saved::parse(table, &listing))
}

/// Every rule of a family.
pub(super) fn list(family: Family) -> Result<String, FrontError> {
    run(family.save_program(), &[], "")
}

/// Applies a script in one transaction, leaving all other rules alone.
pub(super) fn restore(family: Family, script: &str) -> Result<(), FrontError> {
    run(family.restore_program(), &["--noflush", LOCK_WAIT], script).map(|_| ())
}

fn run(program: &str, arguments: &[&str], input: &str) -> Result<String, FrontError> {
    let mut child = Command::new(program)
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|error| {
            if error.kind() == io::ErrorKind::NotFound {
                let hint = "on Debian: apt-get install iptables";
                return FrontError::new(format!("{program} is not installed ({hint})"));
            }
            FrontError::io(format!("cannot start {program}"), error)
        })?;
    if let Some(mut stdin) = child.stdin.take() {
        // A program that stops reading says why on its standard error.
        let _ = stdin.write_all(input.as_bytes());
    }
    let output = child
        .wait_with_output()
        .map_err(|error| FrontError::io(format!("cannot read from {program}"), error))?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    let complaint = String::from_utf8_lossy(&output.stderr);
    let complaint: Vec<&str> = complaint.split_whitespace().collect();
    Err(FrontError::new(format!("{program} refused: {}", complaint.join(" "))))
}

/// Seconds to wait for another program that holds the iptables lock.
const LOCK_WAIT: &str = "--wait=5";
