//! Runs a test in network and mount namespaces of its own, so that it never touches the host's.
//!
//! The test binary starts itself again under `unshare`. Where that is not possible the test says
//! so; with CI=true that is a failure.

#![allow(clippy::expect_used, clippy::print_stderr, reason = "a test stops where it is wrong")]

use std::env;
use std::process::Command;

/// Runs `body` sealed, where the command `needs` succeeds; `name` is the test's own name.
pub(crate) fn sealed(name: &str, needs: &[&str], body: fn()) {
    if env::var_os(MARKER).is_some() {
        return body();
    }
    // A temporary /run keeps named namespaces and locks from the host's.
    let script = "mount -t tmpfs tmpfs /run && ip link set lo up && exec \"$@\"";
    let again = env::current_exe().expect("own path");
    let run = |words: &[&str]| {
        let mut command = unshare();
        command.args(["sh", "-c", script, "sh"]).args(words).env(MARKER, "1").output()
    };
    let possible = run(needs).is_ok_and(|output| output.status.success());
    if !possible {
        let message = format!("{name}: needs unshare, ip, and {needs:?} to succeed");
        assert_ne!(env::var("CI").as_deref(), Ok("true"), "{message}");
        eprintln!("not run: {message}");
        return;
    }
    let output = run(&[again.to_str().expect("path"), name, "--exact", "--nocapture"]);
    let output = output.expect("unshare");
    let said = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    assert!(said.contains("1 passed"), "no test is called {name}");
}

fn unshare() -> Command {
    let id = Command::new("id").arg("-u").output().expect("id");
    let mut command = Command::new("unshare");
    command.args(["--net", "--mount"]);
    if id.stdout != b"0\n" {
        command.args(["--user", "--map-root-user"]);
    }
    command
}

const MARKER: &str = "MAILGUARD_SEALED";
