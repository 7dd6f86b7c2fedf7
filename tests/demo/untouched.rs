//! How a demo begins and ends: in a sealed lab, and with a look at whether this machine is as it
//! was.

use std::env;
use std::fs;
use std::process::ExitCode;
use std::time::Duration;

use crate::lab::{Outcome, ensure, sealed, settle};
use crate::stage::good;

/// A demo's `main`.
#[expect(clippy::print_stderr, reason = "this is a program's report")]
pub(crate) fn run(play: fn() -> Outcome) -> ExitCode {
    let done = if env::args().nth(1).as_deref() == Some(INSIDE) {
        settle().and_then(|()| play())
    } else {
        open()
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("demo: {failure}");
            ExitCode::FAILURE
        }
    }
}

/// On the host: notes how it is, plays, and looks again.
fn open() -> Outcome {
    let before = host();
    let status = sealed(&[INSIDE], Duration::from_secs(180))?;
    ensure(status.success(), || "the demo did not come to its end".to_owned())?;
    let after = host();
    ensure(before == after, || format!("this machine changed:\n{before}\nis now\n{after}"))?;
    good("Everything has ended. This machine's mounts, interfaces and routes are as before.");
    Ok(())
}

/// What a careless demo could leave behind.
fn host() -> String {
    let files = ["/proc/self/mounts", "/proc/net/route", "/proc/net/ipv6_route"];
    let texts = files.map(|file| fs::read_to_string(file).unwrap_or_default());
    let mut links: Vec<_> = fs::read_dir("/sys/class/net")
        .map(|entries| entries.flatten().map(|entry| entry.file_name()).collect())
        .unwrap_or_default();
    links.sort();
    format!("{}{links:?}", texts.concat())
}

const INSIDE: &str = "--inside";
