//! Runs a test in network, mount and pid namespaces of its own, so that it never touches the host's
//! and nothing that it has started outlives it.
//!
//! The test program starts itself again under `unshare`. Where that is not possible the test says
//! so; with CI=true that is a failure.

#![allow(clippy::print_stderr, reason = "a test that cannot run says so")]

use std::env;
use std::process::Command;

use super::again::{expect_passed, words};

/// Runs the body of a test sealed, where the command `needs` succeeds.
pub(crate) fn sealed<F: Fn()>(needs: &[&str], body: F) {
    if env::var_os(MARKER).is_some() {
        return body();
    }
    // A temporary /run keeps named namespaces and locks from the host's.
    // The shell stays: whoever loses its parent becomes a child of process 1, which buries it.
    let script = "mount -t tmpfs tmpfs /run && ip link set lo up && \"$@\"; exit $?";
    let shell = || {
        let mut command = unshare();
        command.args(["sh", "-c", script, "sh"]).env(MARKER, "1");
        // What rules are made from is kept there.
        command.env("STATE_DIRECTORY", "/run/state");
        command
    };
    let again = words::<F>();
    if !shell().args(needs).output().is_ok_and(|output| output.status.success()) {
        return lacking(&format!("{}: needs unshare, ip, and {needs:?} to succeed", again[1]));
    }
    expect_passed(shell().args(again));
}

/// Says that a test is not run, for want of what `make setup` brings: with CI=true a failure.
pub(crate) fn lacking(what: &str) {
    assert_ne!(env::var("CI").as_deref(), Ok("true"), "{what}");
    eprintln!("not run: {what}");
}

fn unshare() -> Command {
    let id = Command::new("id").arg("-u").output().unwrap();
    let mut command = Command::new("unshare");
    command.args(["--net", "--mount", "--pid", "--fork", "--mount-proc", "--kill-child"]);
    if id.stdout != b"0\n" {
        command.args(["--user", "--map-root-user"]);
    }
    command
}

const MARKER: &str = "MAILGUARD_SEALED";
