//! A test that runs itself again, in another process: the same program, told to run that test only.

#![allow(dead_code, reason = "each program uses a part of this")]
#![allow(clippy::print_stdout, reason = "what the other process said is said again")]

use std::any::type_name;
use std::env;
use std::io::Read;
use std::process::{Command, Output, Stdio};
use std::thread::{self, JoinHandle};
use std::time::Duration;

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
    let output = output_within(TEST_TIME_MAX, command);
    let said = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{}: {said}", output.status);
    assert!(said.contains("1 passed"), "no such test: {command:?}\n{said}");
    println!("{said}");
}

/// Runs a command to its end, or kills it when the time is over.
pub(crate) fn output_within(limit: Duration, command: &mut Command) -> Output {
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let said = [child.stdout.take().map(collect), child.stderr.take().map(collect)];
    let looks = limit.as_millis() / LOOK.as_millis();
    let has_ended = (0..looks).any(|_| {
        thread::sleep(LOOK);
        child.try_wait().unwrap().is_some()
    });
    if !has_ended {
        child.kill().unwrap();
    }
    let status = child.wait().unwrap();
    let [stdout, stderr] = said.map(|said| said.unwrap().join().unwrap());
    let output = Output { status, stdout, stderr };
    assert!(has_ended, "not within {limit:?}: {command:?}\n{output:?}");
    output
}

fn collect(mut pipe: impl Read + Send + 'static) -> JoinHandle<Vec<u8>> {
    thread::spawn(move || {
        let mut bytes = Vec::new();
        // An error is the end of it, too.
        let _ = pipe.read_to_end(&mut bytes);
        bytes
    })
}

/// Far above what the longest of them takes on a busy machine.
const TEST_TIME_MAX: Duration = Duration::from_secs(600);

/// Between two looks.
const LOOK: Duration = Duration::from_millis(5);

const MARKER: &str = "MAILGUARD_ALONE";
