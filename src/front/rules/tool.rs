//! Runs the programs of the packet filter and turns their complaints into one line.

use std::io::{self, Write};
use std::process::{Command, Stdio};

use super::super::FrontError;

/// Whether a program can be started.
pub(super) fn is_there(program: &str) -> bool {
    let mut command = Command::new(program);
    command.arg("--version").stdin(Stdio::null()).output().is_ok()
}

/// What a program says that is given this to read.
pub(super) fn run(program: &str, arguments: &[&str], input: &str) -> Result<String, FrontError> {
    let mut child = Command::new(program)
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|error| cannot_start(program, error))?;
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

fn cannot_start(program: &str, error: io::Error) -> FrontError {
    if error.kind() != io::ErrorKind::NotFound {
        return FrontError::io(format!("cannot start {program}"), error);
    }
    let package = if program == "nft" { "nftables" } else { "iptables" };
    FrontError::new(format!("{program} is not installed (on Debian: apt-get install {package})"))
}

/// Seconds to wait for another program that holds the iptables lock.
pub(super) const LOCK_WAIT: &str = "--wait=5";
