//! Runs the programs of the packet filter and turns their complaints into one line.

use std::env;
use std::ffi::OsString;
use std::io::{self, Write};
use std::path::PathBuf;
use std::process::{Command, Stdio};

use super::super::FrontError;

/// A program of the administrator's, looked for where those are, too: the PATH of others may lack
/// these folders.
pub(in crate::front) fn command(program: &str) -> Command {
    let mut command = Command::new(program);
    command.env("PATH", with_sbin(env::var_os("PATH").as_ref()));
    command
}

fn with_sbin(path: Option<&OsString>) -> OsString {
    let path = path.filter(|path| !path.is_empty());
    let own: Vec<PathBuf> = path.map_or_else(
        || ["/usr/bin", "/bin"].map(PathBuf::from).to_vec(),
        |path| env::split_paths(path).collect(),
    );
    let more = SBIN.map(PathBuf::from).into_iter().filter(|folder| !own.contains(folder));
    // What was split can be joined.
    env::join_paths(own.iter().cloned().chain(more)).unwrap_or_default()
}

const SBIN: [&str; 3] = ["/usr/local/sbin", "/usr/sbin", "/sbin"];

/// Whether a program can be started.
pub(super) fn is_there(program: &str) -> bool {
    command(program).arg("--version").stdin(Stdio::null()).output().is_ok()
}

/// What a program says that is given this to read.
pub(super) fn run(program: &str, arguments: &[&str], input: &str) -> Result<String, FrontError> {
    let mut child = command(program)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_folders_of_an_administrator_are_looked_in_last() {
        for (own, expected) in [
            (Some("/bin:/usr/bin"), "/bin:/usr/bin:/usr/local/sbin:/usr/sbin:/sbin"),
            (Some("/sbin:/bin"), "/sbin:/bin:/usr/local/sbin:/usr/sbin"),
            (Some(""), "/usr/bin:/bin:/usr/local/sbin:/usr/sbin:/sbin"),
            (None, "/usr/bin:/bin:/usr/local/sbin:/usr/sbin:/sbin"),
        ] {
            assert_eq!(with_sbin(own.map(OsString::from).as_ref()), expected, "{own:?}");
        }
    }
}
