//! What stands on the gateway: nothing, a queue loop that accepts everything, or Mailguard itself.
//!
//! Nothing is the control of every scenario: what fails with it is the lab's fault.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use rustix::process::Signal;

use super::network::Side;
use super::outcome::{Because, Outcome, ensure, lacking};
use super::process::{Background, run, wait_until};
use super::root::{DIRECTORY, target};

/// What filters the mail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Filter<'a> {
    /// Plain forwarding.
    None,
    /// The real program on these queues, with these further arguments.
    Mailguard {
        /// One queue or a range, as `0:3`.
        queue: &'a str,
        /// More arguments of `mailguard run`.
        arguments: &'a [&'a str],
    },
}

/// A filter in the path; gone from it when dropped.
pub(crate) struct Guard {
    running: Option<Running>,
}

struct Running {
    daemon: Background,
    queue: String,
    arguments: Vec<String>,
    starts: u32,
}

impl<'a> Filter<'a> {
    /// Mailguard with one queue and its defaults.
    pub(crate) const DEFAULT: Self = Filter::Mailguard { queue: "0", arguments: &[] };

    /// Mailguard with one queue and these arguments.
    pub(crate) fn with(arguments: &'a [&'a str]) -> Self {
        Filter::Mailguard { queue: "0", arguments }
    }
}

impl Guard {
    /// Puts the filter into the path: the daemon first, the rules when it listens.
    pub(crate) fn start(filter: Filter<'_>) -> Outcome<Self> {
        let Filter::Mailguard { queue, arguments } = filter else {
            return Ok(Self { running: None });
        };
        let arguments: Vec<String> = arguments.iter().map(|&word| word.to_owned()).collect();
        let daemon = daemon(queue, &arguments, 1)?;
        let guard = Self {
            running: Some(Running { daemon, queue: queue.to_owned(), arguments, starts: 1 }),
        };
        guard.rules("up")?;
        Ok(guard)
    }

    /// `mailguard rules up`, `down` or `show` on the gateway, for our queues; what it prints.
    pub(crate) fn rules(&self, action: &str) -> Outcome<String> {
        let Some(running) = &self.running else { return Ok(String::new()) };
        let mut command = program()?;
        command.args(["rules", action, "--queue", &running.queue]);
        run(&mut command, STEP_TIME_MAX)
    }

    /// Ends the daemon without warning; the rules stay.
    pub(crate) fn kill(&mut self) -> Outcome {
        let Some(running) = &mut self.running else { return Ok(()) };
        running.daemon.signal(Signal::KILL)?;
        running.daemon.end(STEP_TIME_MAX)?;
        Ok(())
    }

    /// Asks the daemon to end, insists that it says all is well; the rules stay.
    pub(crate) fn stop(&mut self) -> Outcome {
        let Some(running) = &mut self.running else { return Ok(()) };
        let status = running.daemon.stop(STEP_TIME_MAX)?;
        ensure(status.success(), || format!("mailguard ended: {status}\n{}", running.daemon.log()))
    }

    /// Starts the daemon again, after [`Guard::kill`] or [`Guard::stop`], behind the same rules.
    pub(crate) fn restart(&mut self) -> Outcome {
        let Some(running) = &mut self.running else { return Ok(()) };
        running.starts += 1;
        running.daemon = daemon(&running.queue, &running.arguments, running.starts)?;
        Ok(())
    }

    /// The event log of all starts so far.
    pub(crate) fn events(&self) -> String {
        let starts = self.running.as_ref().map_or(0, |running| running.starts);
        let logs = (1..=starts).map(|start| fs::read(events_file(start)).unwrap_or_default());
        String::from_utf8_lossy(&logs.collect::<Vec<_>>().concat()).into_owned()
    }

    /// Waits until the event log holds the text.
    pub(crate) fn await_event(&self, text: &str) -> Outcome {
        wait_until(&format!("event \"{text}\""), STEP_TIME_MAX, || {
            Ok(self.events().contains(text).then_some(()))
        })
        .because(self.events())
    }

    /// The daemon's own log.
    pub(crate) fn log(&self) -> String {
        self.running.as_ref().map(|running| running.daemon.log()).unwrap_or_default()
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        // A scenario that has failed already must not fail here again.
        let _ = self.rules("down");
    }
}

fn daemon(queue: &str, arguments: &[String], start: u32) -> Outcome<Background> {
    let mut command = program()?;
    command.args(["run", "--queue", queue, "--events"]).arg(events_file(start)).args(arguments);
    command.env("RUST_LOG", "info");
    let mut daemon = Background::start(&format!("mailguard-{start}"), &mut command)?;
    daemon.wait_for("filtering queue", STEP_TIME_MAX)?;
    Ok(daemon)
}

/// The program under test, to be run on the gateway: the one built along with this one.
fn program() -> Outcome<Command> {
    let here = std::env::current_exe()?;
    let profile = here.ancestors().nth(2).because("a build directory")?;
    let path = profile.join("mailguard");
    if !path.starts_with(target()?) || !path.exists() {
        return lacking(format!("{} is not built", path.display()));
    }
    Ok(Side::Gateway.command(&path.to_string_lossy(), &[]))
}

fn events_file(start: u32) -> PathBuf {
    Path::new(DIRECTORY).join("logs").join(format!("events-{start}"))
}

const STEP_TIME_MAX: Duration = Duration::from_secs(20);
