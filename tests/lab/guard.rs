//! What stands on the gateway: nothing, a queue loop that accepts everything, or Mailguard itself.
//!
//! The first two are the controls of every scenario: what fails with nothing is the lab's fault,
//! what fails with the loop is the kernel queue's.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};
use std::time::Duration;

use rustix::process::Signal;

use super::manager::Manager;
use super::network::Side;
use super::outcome::{Because, Outcome, ensure, lacking};
use super::process::{Background, PATIENCE, run, run_any, wait_until};
use super::root::DIRECTORY;
use super::scenario::ACCEPT_ALL;

/// What filters the mail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Filter<'a> {
    /// Plain forwarding.
    None,
    /// A queue loop that accepts everything.
    AcceptAll,
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
    filter: Option<Running>,
}

/// A daemon and the means to start it again.
struct Running {
    daemon: Background,
    is_mailguard: bool,
    queue: String,
    arguments: Vec<String>,
    /// The event logs of its starts.
    logs: Vec<PathBuf>,
    /// What keeps its descriptors between two starts.
    manager: Option<Manager>,
}

impl<'a> Filter<'a> {
    /// Mailguard with one queue and its defaults.
    pub(crate) const DEFAULT: Self = Filter::Mailguard { queue: "0", arguments: &[] };

    /// The same, its packets coming by the nfq crate.
    pub(crate) const NFQ: Self =
        Filter::Mailguard { queue: "0", arguments: &["--set", "queue.backend=nfq"] };

    /// Mailguard with one queue and these arguments.
    pub(crate) fn with(arguments: &'a [&'a str]) -> Self {
        Filter::Mailguard { queue: "0", arguments }
    }
}

impl Guard {
    /// Puts the filter into the path: the daemon first, the rules when it listens.
    pub(crate) fn start(filter: Filter<'_>) -> Outcome<Self> {
        Self::start_under(None, filter)
    }

    /// The same under a service manager.
    pub(crate) fn start_managed(filter: Filter<'_>) -> Outcome<Self> {
        Self::start_under(Some(Manager::new("guard")?), filter)
    }

    /// The same, and packets with this text in them kill it.
    pub(crate) fn start_deadly(filter: Filter<'_>, text: &str) -> Outcome<Self> {
        let manager = Manager::new("guard")?.with_environment("MAILGUARD_DIES_OF", text);
        Self::start_under(Some(manager), filter)
    }

    fn start_under(manager: Option<Manager>, filter: Filter<'_>) -> Outcome<Self> {
        let (is_mailguard, queue, arguments) = match filter {
            Filter::None => return Ok(Self { filter: None }),
            Filter::AcceptAll => (false, "0", &[][..]),
            Filter::Mailguard { queue, arguments } => (true, queue, arguments),
        };
        let arguments = arguments.iter().map(|&word| word.to_owned()).collect::<Vec<_>>();
        let log = new_log()?;
        let start = command(is_mailguard, queue, manager.as_ref())?;
        let daemon = start_daemon(start, &arguments, &log)?;
        let (queue, logs) = (queue.to_owned(), vec![log]);
        let filter = Running { daemon, is_mailguard, queue, arguments, logs, manager };
        let guard = Self { filter: Some(filter) };
        guard.rules("up")?;
        Ok(guard)
    }

    /// Takes this filter out of the path and puts another one in.
    pub(crate) fn replace(&mut self, filter: Filter<'_>) -> Outcome {
        *self = Self { filter: None };
        *self = Self::start(filter)?;
        Ok(())
    }

    /// `mailguard rules up`, `down` or `show` on the gateway, for our queues; what it prints.
    pub(crate) fn rules(&self, action: &str) -> Outcome<String> {
        match &self.filter {
            None => Ok(String::new()),
            Some(filter) if filter.is_mailguard => {
                let mut command = mailguard()?;
                run(command.args(["rules", action, "--queue", &filter.queue]), PATIENCE)
            }
            Some(_) => bare_rules(action),
        }
    }

    /// Ends the daemon without warning; the rules stay.
    pub(crate) fn kill(&mut self) -> Outcome {
        let Some(filter) = &mut self.filter else { return Ok(()) };
        filter.daemon.signal(Signal::KILL)?;
        filter.daemon.end(PATIENCE)?;
        Ok(())
    }

    /// Stops the daemon where it is, or lets it go on.
    pub(crate) fn signal(&self, signal: Signal) -> Outcome {
        self.filter.as_ref().map_or(Ok(()), |filter| filter.daemon.signal(signal))
    }

    /// Whether every thread of the daemon has stopped.
    pub(crate) fn is_stopped(&self) -> Outcome<bool> {
        self.filter.as_ref().because("no daemon")?.daemon.is_stopped()
    }

    /// Waits for the daemon to end of itself; how it did.
    pub(crate) fn end(&mut self) -> Outcome<ExitStatus> {
        self.filter.as_mut().because("no daemon")?.daemon.end(PATIENCE)
    }

    /// Refuses the daemon more than this much memory beyond what it has.
    pub(crate) fn starve(&self, room_kilobytes: u64) -> Outcome {
        self.filter.as_ref().because("no daemon")?.daemon.starve(room_kilobytes)
    }

    /// The daemon's resident memory in kB.
    pub(crate) fn resident(&self) -> Outcome<u64> {
        self.filter.as_ref().because("no daemon")?.daemon.resident()
    }

    /// Asks the daemon to end and insists that it says all is well; the rules stay.
    pub(crate) fn stop(&mut self) -> Outcome {
        let Some(filter) = &mut self.filter else { return Ok(()) };
        let status = filter.daemon.stop(PATIENCE)?;
        ensure(status.success(), || format!("the daemon ended: {status}\n{}", filter.daemon.log()))
    }

    /// Starts the daemon again, after [`Guard::kill`] or [`Guard::stop`], behind the same rules.
    pub(crate) fn restart(&mut self) -> Outcome {
        let Some(filter) = &mut self.filter else { return Ok(()) };
        let log = new_log()?;
        let start = command(filter.is_mailguard, &filter.queue, filter.manager.as_ref())?;
        filter.daemon = start_daemon(start, &filter.arguments, &log)?;
        filter.logs.push(log);
        Ok(())
    }

    /// Starts another process with these further words, as the manager would if there is one, that
    /// ends at once; what it says.
    pub(crate) fn refused(&self, words: &[&str]) -> Outcome<String> {
        let filter = self.filter.as_ref().because("no daemon")?;
        let mut start = command(filter.is_mailguard, &filter.queue, filter.manager.as_ref())?;
        start.args(&filter.arguments).args(words).env("RUST_LOG", "info");
        let (status, _, said) = run_any(&mut start, PATIENCE)?;
        ensure(status.code() == Some(2), || format!("{words:?}: {status}\n{said}"))?;
        Ok(said)
    }

    /// Has another process take over from the daemon, which then ends well.
    pub(crate) fn take_over(&mut self) -> Outcome {
        let Some(filter) = &mut self.filter else { return Ok(()) };
        let log = new_log()?;
        let mut start = match filter.manager {
            Some(_) => Manager::by_hand(&program()?.to_string_lossy())?,
            None => mailguard()?,
        };
        start.args(["run", "--queue", &filter.queue, "--take-over"]);
        let successor = start_daemon(start, &filter.arguments, &log)?;
        let mut predecessor = std::mem::replace(&mut filter.daemon, successor);
        filter.logs.push(log);
        let status = predecessor.end(PATIENCE)?;
        ensure(status.success(), || format!("the daemon ended: {status}\n{}", predecessor.log()))
    }

    /// `mailguard ctl` on the gateway with these words; what it prints.
    pub(crate) fn ctl(&self, words: &[&str]) -> Outcome<String> {
        run(mailguard()?.arg("ctl").args(words), PATIENCE)
    }

    /// Packets that the daemon has dropped for a reason; for any, if it is empty.
    pub(crate) fn dropped(&self, reason: &str) -> Outcome<u64> {
        let stats = self.ctl(&["stats"])?;
        let start = format!("dropped:{reason}");
        let rows = stats.lines().filter(|row| row.starts_with(&start));
        let counts = rows.map(|row| row.split_whitespace().nth(1)?.parse::<u64>().ok());
        counts.sum::<Option<u64>>().because(stats)
    }

    /// What keeps the daemon's descriptors.
    pub(crate) fn manager(&self) -> Outcome<&Manager> {
        self.filter.as_ref().and_then(|filter| filter.manager.as_ref()).because("no manager")
    }

    /// The event log of all its starts so far.
    pub(crate) fn events(&self) -> String {
        let logs = self.filter.as_ref().map(|filter| filter.logs.as_slice()).unwrap_or_default();
        let texts = logs.iter().map(|log| fs::read(log).unwrap_or_default());
        String::from_utf8_lossy(&texts.collect::<Vec<_>>().concat()).into_owned()
    }

    /// The last events, to quote in a failure.
    pub(crate) fn events_end(&self) -> String {
        let events = self.events();
        let lines: Vec<&str> = events.lines().collect();
        lines.get(lines.len().saturating_sub(20)..).unwrap_or_default().join("\n")
    }

    /// Waits until the event log holds the text.
    pub(crate) fn await_event(&self, text: &str) -> Outcome {
        wait_until(&format!("event \"{text}\""), PATIENCE, || {
            Ok(self.events().contains(text).then_some(()))
        })
        .because(self.events())
    }

    /// The daemon's own log.
    pub(crate) fn log(&self) -> String {
        self.filter.as_ref().map(|filter| filter.daemon.log()).unwrap_or_default()
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        // A scenario that has failed already must not fail here again.
        let _ = self.rules("down");
    }
}

/// The daemon without its further arguments.
fn command(is_mailguard: bool, queue: &str, manager: Option<&Manager>) -> Outcome<Command> {
    if !is_mailguard {
        let here = env::current_exe()?;
        return Ok(Side::Gateway.command(&here.to_string_lossy(), &[ACCEPT_ALL, queue]));
    }
    let mut command = match manager {
        Some(manager) => manager.command(&program()?.to_string_lossy())?,
        None => mailguard()?,
    };
    command.args(["run", "--queue", queue]);
    Ok(command)
}

fn start_daemon(mut command: Command, arguments: &[String], log: &Path) -> Outcome<Background> {
    let is_mailguard = !command.get_args().any(|word| word == ACCEPT_ALL);
    if is_mailguard {
        command.arg("--events").arg(log);
    }
    command.args(arguments).env("RUST_LOG", "info");
    let name = log.file_stem().because("a name")?.to_string_lossy();
    let mut daemon = Background::start(&name, &mut command)?;
    daemon.wait_for("filtering queue", PATIENCE)?;
    if is_mailguard {
        let unconfined = daemon.unconfined()?;
        ensure(unconfined.is_empty(), || format!("not: {unconfined:?}\n{}", daemon.log()))?;
        // Landlock leaves no trace in /proc.
        daemon.wait_for("sandbox: files: ", PATIENCE)?;
    }
    Ok(daemon)
}

/// A file name that no daemon in this lab has had: `guard-1.events`; beside it, the daemon's own
/// log will be `guard-1`.
fn new_log() -> Outcome<PathBuf> {
    let directory = Path::new(DIRECTORY).join("logs");
    let name = |number: u32| directory.join(format!("guard-{number}.events"));
    let log = (1..).map(name).find(|log| !log.with_extension("").exists());
    log.because("a free name")
}

/// The program under test on the gateway: the one built along with this one.
pub(crate) fn mailguard() -> Outcome<Command> {
    Ok(Side::Gateway.command(&program()?.to_string_lossy(), &[]))
}

fn program() -> Outcome<PathBuf> {
    let here = env::current_exe()?;
    // target/<profile>/{deps,examples}/<this program>
    let path = here.ancestors().nth(2).because("a build directory")?.join("mailguard");
    if !path.exists() {
        return lacking(format!("{} is not built", path.display()));
    }
    Ok(path)
}

/// The same place in the packet's way as Mailguard's own rules.
fn bare_rules(action: &str) -> Outcome<String> {
    let change = match action {
        "up" => "-A",
        "down" => "-D",
        _ => return Ok(String::new()),
    };
    for program in ["iptables", "ip6tables"] {
        for port in ["--dport", "--sport"] {
            let rule = ["-w", "-t", "mangle", change, "FORWARD", "-p", "tcp", port, "25"];
            let mut command = Side::Gateway.command(program, &rule);
            run(command.args(["-j", "NFQUEUE", "--queue-num", "0"]), PATIENCE)?;
        }
    }
    Ok(String::new())
}
