//! Scenarios, and the way into the lab: this program runs itself again in fresh namespaces, once
//! for each scenario, and waits for it, with a bound.
//!
//! Root makes network, mount and pid namespaces; anybody else makes a user namespace around them.
//! The lab's first process is process 1 of its pid namespace: when it ends, the kernel ends all.

use std::env;
use std::fs;
use std::io::{Read, pipe, stdin};
use std::process::{Child, Command, ExitCode, ExitStatus, Stdio, exit};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use super::accept_all;
use super::outcome::{Because, Failure, Outcome, lacking};
use super::process::{PATIENCE, now, run, run_any, tool, wait_until};
use super::root::{DIRECTORY, target};

/// One thing to be shown on a real kernel.
pub(crate) struct Scenario {
    /// A sentence in snake case.
    pub(crate) name: &'static str,
    /// Does it, inside a lab of its own; answers with the figures it found.
    pub(crate) run: fn() -> Outcome<String>,
}

/// The program's `main`: runs the scenarios whose name contains one of the arguments, or all.
#[expect(clippy::print_stdout, reason = "this is a test program's report")]
pub(crate) fn main(scenarios: &[Scenario]) -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    if let Some(code) = serve_if_asked(&arguments) {
        return code;
    }
    if let [flag, name] = arguments.as_slice()
        && flag == INSIDE
    {
        return inside(scenarios, name);
    }
    let wanted: Vec<&String> = arguments.iter().filter(|word| !word.starts_with('-')).collect();
    let is_wanted =
        |name: &str| wanted.is_empty() || wanted.iter().any(|word| name.contains(*word));
    let wanted: Vec<&Scenario> =
        scenarios.iter().filter(|scenario| is_wanted(scenario.name)).collect();
    if arguments.iter().any(|word| word == "--list") {
        wanted.iter().for_each(|scenario| println!("{}: test", scenario.name));
        return ExitCode::SUCCESS;
    }
    if wanted.is_empty() {
        println!("live: no scenario is named so");
    }
    if run_all(&wanted) { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Runs scenarios side by side, for most of them wait most of the time; true if all ended well.
fn run_all(scenarios: &[&Scenario]) -> bool {
    let next = AtomicUsize::new(0);
    let work = || {
        let mut is_good = true;
        while let Some(scenario) = scenarios.get(next.fetch_add(1, Ordering::Relaxed)) {
            is_good &= report(scenario);
        }
        is_good
    };
    thread::scope(|scope| {
        let workers: Vec<_> = (0..SIDE_BY_SIDE).map(|_| scope.spawn(work)).collect();
        // Each is joined, whatever became of those before it.
        let done: Vec<bool> = workers.into_iter().map(|one| one.join().unwrap_or(false)).collect();
        done.into_iter().all(|is_good| is_good)
    })
}

/// [`super::Filter::AcceptAll`] is this program itself, run on the gateway.
pub(crate) fn serve_if_asked(arguments: &[String]) -> Option<ExitCode> {
    let [flag, number] = arguments else { return None };
    let number = number.parse().ok().filter(|_| flag == ACCEPT_ALL)?;
    Some(accept_all::serve(number).map_or(ExitCode::FAILURE, |()| ExitCode::SUCCESS))
}

/// Runs this program again inside a lab, with these arguments; for at most so long.
pub(crate) fn sealed(arguments: &[&str], limit: Duration) -> Outcome<ExitStatus> {
    sealed_to(arguments, limit, Stdio::inherit())
}

/// The same, what it prints going elsewhere.
fn sealed_to(arguments: &[&str], limit: Duration, output: Stdio) -> Outcome<ExitStatus> {
    let mut probe = unshare(&["true"]);
    let (status, _, stderr) = run_any(&mut probe, PATIENCE)?;
    if !status.success() {
        return lacking(format!("namespaces: {}", stderr.trim()));
    }
    let program = env::current_exe()?;
    let mut command = unshare(&[]);
    // Its standard input stays open exactly as long as we live; see `end_with_our_parent`.
    command.arg(program).args(arguments).stdin(Stdio::piped()).stdout(output);
    let mut child = command.spawn().because("unshare")?;
    let ended = wait_until("the scenario ends", limit, || Ok(child.try_wait()?));
    if ended.is_err() {
        end(&mut child);
    }
    ended
}

/// What the first process inside does before anything else.
pub(crate) fn settle() -> Outcome {
    end_with_our_parent();
    run(&mut tool("mount", &["-t", "tmpfs", "tmpfs", "/run"]), PATIENCE)?;
    for part in ["logs", "roots", "captures"] {
        fs::create_dir_all(format!("{DIRECTORY}/{part}"))?;
    }
    Ok(())
}

#[expect(clippy::print_stdout, reason = "this is a test program's report")]
fn report(scenario: &Scenario) -> bool {
    let start = now();
    let mut said = Vec::new();
    let ended = said_by(scenario, &mut said);
    let seconds = start.elapsed().as_secs_f32();
    let code = ended.as_ref().ok().and_then(ExitStatus::code);
    let is_lacking = code == Some(i32::from(LACKING)) || matches!(ended, Err(Failure::Lacking(_)));
    let (word, is_good) = match code {
        Some(0) => ("ok", true),
        _ if is_lacking && env::var("CI").as_deref() != Ok("true") => ("SKIPPED", true),
        _ => ("FAILED", false),
    };
    let mut report = String::from_utf8_lossy(&said).into_owned();
    if let Err(failure) = ended {
        report += &format!("    {failure}\n");
    }
    // In one piece, for others print at the same time.
    println!("live {} ... {word} ({seconds:.1} s)\n{}", scenario.name, report.trim_end());
    is_good
}

/// Runs a scenario in a lab of its own, and takes down what it prints.
fn said_by(scenario: &Scenario, said: &mut Vec<u8>) -> Outcome<ExitStatus> {
    let (mut reader, writer) = pipe()?;
    let listener = thread::spawn(move || {
        let mut bytes = Vec::new();
        // An error is the end of the output, too.
        let _ = reader.read_to_end(&mut bytes);
        bytes
    });
    let ended = sealed_to(&[INSIDE, scenario.name], SCENARIO_TIME_MAX, writer.into());
    *said = listener.join().unwrap_or_default();
    ended
}

#[expect(clippy::print_stdout, reason = "this is a test program's report")]
fn inside(scenarios: &[Scenario], name: &str) -> ExitCode {
    let found = scenarios.iter().find(|scenario| scenario.name == name).because("no such scenario");
    let done = found.and_then(|scenario| settle().and_then(|()| (scenario.run)()));
    match &done {
        Ok(figures) => figures.lines().for_each(|line| println!("    {line}")),
        Err(failure) => {
            println!("    {}", failure.to_string().replace('\n', "\n    "));
            keep_logs(name);
        }
    }
    match done {
        Ok(_) => ExitCode::SUCCESS,
        Err(Failure::Lacking(_)) => ExitCode::from(LACKING),
        Err(Failure::Wrong(_)) => ExitCode::FAILURE,
    }
}

/// Logs and captures of a scenario that failed, for whoever has to find out why.
#[expect(clippy::print_stdout, reason = "this is a test program's report")]
fn keep_logs(name: &str) {
    let Ok(target) = target() else { return };
    let place = target.join("lab/failed").join(name);
    // Nothing depends on them: a failure here must not hide the scenario's own.
    let _ = fs::remove_dir_all(&place);
    let _ = fs::create_dir_all(&place);
    let sources =
        format!("{DIRECTORY}/logs {DIRECTORY}/captures {DIRECTORY}/roots/*/tree/var/log/*.log");
    let copy = format!("cp -r {sources} {}", place.display());
    let _ = run(&mut tool("sh", &["-c", &copy]), PATIENCE);
    println!("    logs and captures: {}", place.display());
}

fn unshare(program: &[&str]) -> Command {
    let mut command = tool("unshare", &["--net", "--mount", "--pid", "--fork", "--mount-proc"]);
    command.arg("--kill-child");
    if !rustix::process::geteuid().is_root() {
        command.args(["--user", "--map-auto", "--map-root-user"]);
    }
    // Debian's ordinary users do not have the directories of iptables and chroot in their path.
    let path = env::var("PATH").unwrap_or_default();
    command.env("PATH", format!("{path}:/usr/local/sbin:/usr/sbin:/sbin"));
    // What rules are made from is kept there.
    command.env("STATE_DIRECTORY", "/run/state");
    command.args(program);
    command
}

/// Process 1 gets no signal from a terminal, so the lab watches whether its parent is still there.
#[expect(clippy::exit, reason = "process 1 must end at once to end the lab")]
fn end_with_our_parent() {
    thread::spawn(|| {
        let _ = stdin().read(&mut [0]);
        exit(130);
    });
}

fn end(child: &mut Child) {
    // unshare's --kill-child ends process 1, and with it everything in the lab.
    let _ = child.kill();
    let _ = child.wait();
}

/// The flag that makes this program a queue loop.
pub(crate) const ACCEPT_ALL: &str = "--accept-all";

const INSIDE: &str = "--inside";

/// The exit code of a scenario that this machine cannot run.
const LACKING: u8 = 77;

/// Far above what the longest scenario takes on two busy processors (the full matrix: 40 s).
const SCENARIO_TIME_MAX: Duration = Duration::from_secs(600);

/// Labs at a time: they wait for timers of TCP and of mail programs more than they compute.
const SIDE_BY_SIDE: usize = 4;
