//! Programs started by the lab: run to their end, or kept in the background, never without a bound.
//!
//! Owns the lab's only clock. Does not know which programs there are.

use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Resource, Rlimit, Signal, kill_process, prlimit};

use super::outcome::{Because, Failure, Outcome, wrong};
use super::root::DIRECTORY;

/// For whatever must happen: it never decides, unless the thing never happens. Where others use the
/// processors, all takes many times what it takes on an idle machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// The present moment.
#[expect(clippy::disallowed_methods, reason = "the lab runs in real time")]
pub(crate) fn now() -> Instant {
    Instant::now()
}

/// Asks again and again until there is an answer, for at most `limit`.
pub(crate) fn wait_until<T>(
    what: &str,
    limit: Duration,
    mut ask: impl FnMut() -> Outcome<Option<T>>,
) -> Outcome<T> {
    let start = now();
    loop {
        if let Some(answer) = ask()? {
            return Ok(answer);
        }
        if start.elapsed() > limit {
            return wrong(format!("{what}: not within {} s", limit.as_secs_f32()));
        }
        thread::sleep(Duration::from_millis(5));
    }
}

/// A command with its arguments.
pub(crate) fn tool(program: &str, arguments: &[&str]) -> Command {
    let mut command = Command::new(program);
    command.args(arguments);
    command
}

/// Runs a command to its end and returns its standard output; anything but success is an error
/// that quotes both outputs.
pub(crate) fn run(command: &mut Command, limit: Duration) -> Outcome<String> {
    let (status, stdout, stderr) = run_any(command, limit)?;
    if status.success() {
        return Ok(stdout);
    }
    wrong(format!("{} ({status})\n{stdout}{stderr}", line_of(command)))
}

/// Runs a command to its end, whatever that is: status, standard output, standard error.
pub(crate) fn run_any(
    command: &mut Command,
    limit: Duration,
) -> Outcome<(ExitStatus, String, String)> {
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = match command.spawn() {
        Ok(child) => child,
        Err(error) => return Err(not_started(command, &error)),
    };
    let stdout = child.stdout.take().map(collect);
    let stderr = child.stderr.take().map(collect);
    let status = end_of(&mut child, limit).because(line_of(command))?;
    Ok((status, joined(stdout), joined(stderr)))
}

/// Processor time.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Usage {
    /// All of it, exactly; of threads that have not ended.
    pub(crate) nanos: u64,
    /// Of which the program's own; in hundredths of a second, and a sample.
    pub(crate) user_ticks: u64,
    /// Of which the kernel's for it.
    pub(crate) system_ticks: u64,
}

/// A program that goes on beside us; killed when this is dropped.
pub(crate) struct Background {
    child: Child,
    log: PathBuf,
    name: String,
}

impl Background {
    /// Starts it; both outputs go to a file in the lab, named after it.
    pub(crate) fn start(name: &str, command: &mut Command) -> Outcome<Self> {
        let log = Path::new(DIRECTORY).join("logs").join(name);
        let file = File::create(&log).because(log.display())?;
        command.stdin(Stdio::null()).stdout(file.try_clone()?).stderr(file);
        match command.spawn() {
            Ok(child) => Ok(Self { child, log, name: name.to_owned() }),
            Err(error) => Err(not_started(command, &error)),
        }
    }

    /// What it has written so far.
    pub(crate) fn log(&self) -> String {
        fs::read(&self.log).map(|b| String::from_utf8_lossy(&b).into_owned()).unwrap_or_default()
    }

    /// Waits until it has written the text; an error at once if it ends before.
    pub(crate) fn wait_for(&mut self, text: &str, limit: Duration) -> Outcome {
        let what = format!("{} says \"{text}\"", self.name);
        let waited = wait_until(&what, limit, || {
            if self.log().contains(text) {
                return Ok(Some(()));
            }
            match self.child.try_wait()? {
                Some(status) => wrong(format!("{} ended ({status})", self.name)),
                None => Ok(None),
            }
        });
        waited.because(format!("{} wrote\n{}", self.name, self.log()))
    }

    /// Sends it a signal.
    pub(crate) fn signal(&self, signal: Signal) -> Outcome {
        kill_process(self.pid()?, signal).map_err(std::io::Error::from).because(&self.name)
    }

    /// Waits for its end.
    pub(crate) fn end(&mut self, limit: Duration) -> Outcome<ExitStatus> {
        end_of(&mut self.child, limit).because(format!("{}\n{}", self.name, self.log()))
    }

    /// Asks it to end with SIGTERM and waits for that.
    pub(crate) fn stop(&mut self, limit: Duration) -> Outcome<ExitStatus> {
        self.signal(Signal::TERM)?;
        self.end(limit)
    }

    /// The processor time it has used so far.
    pub(crate) fn usage(&self) -> Outcome<Usage> {
        let directory = format!("/proc/{}", self.child.id());
        let mut usage = Usage::default();
        for thread in fs::read_dir(format!("{directory}/task"))? {
            let text = fs::read_to_string(thread?.path().join("schedstat"))?;
            let running = text.split_whitespace().next().and_then(|word| word.parse::<u64>().ok());
            usage.nanos += running.because(&text)?;
        }
        let stat = fs::read_to_string(format!("{directory}/stat"))?;
        // The command's name, which may hold anything, ends with the last bracket.
        let (_, fields) = stat.rsplit_once(") ").because(&stat)?;
        let fields: Vec<u64> =
            fields.split(' ').map(|word| word.trim().parse().unwrap_or(0)).collect();
        usage.user_ticks = fields.get(11).copied().because(&stat)?;
        usage.system_ticks = fields.get(12).copied().because(&stat)?;
        Ok(usage)
    }

    /// Its resident memory in kB.
    pub(crate) fn resident(&self) -> Outcome<u64> {
        self.kilobytes("VmRSS:")
    }

    /// Whether every thread of it has been stopped by a signal.
    pub(crate) fn is_stopped(&self) -> Outcome<bool> {
        for thread in fs::read_dir(format!("/proc/{}/task", self.child.id()))? {
            let status = fs::read_to_string(thread?.path().join("status"))?;
            if !status.contains("\nState:\tT") {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// What each thread of it has not given up of what a running filter does not need.
    pub(crate) fn unconfined(&self) -> Outcome<Vec<String>> {
        let mut found = Vec::new();
        for thread in fs::read_dir(format!("/proc/{}/task", self.child.id()))? {
            let status = fs::read_to_string(thread?.path().join("status"))?;
            let lacking = CONFINED.iter().filter(|line| !status.contains(&format!("\n{line}\n")));
            found.extend(lacking.map(|&line| line.to_owned()));
        }
        Ok(found)
    }

    /// Whether it waits for something, and no processor for it.
    pub(crate) fn is_asleep(&self) -> Outcome<bool> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        Ok(status.contains("\nState:\tS"))
    }

    /// Refuses it more than this much memory beyond what it has.
    pub(crate) fn starve(&self, room_kilobytes: u64) -> Outcome {
        let limit = Some((self.kilobytes("VmData:")? + room_kilobytes) << 10);
        let limits = Rlimit { current: limit, maximum: limit };
        prlimit(Some(self.pid()?), Resource::Data, limits).map_err(std::io::Error::from)?;
        Ok(())
    }

    fn kilobytes(&self, what: &str) -> Outcome<u64> {
        let text = fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        let row = text.lines().find_map(|row| row.strip_prefix(what)).because(&text)?;
        row.trim().trim_end_matches(" kB").parse().ok().because(row)
    }

    fn pid(&self) -> Outcome<Pid> {
        i32::try_from(self.child.id()).ok().and_then(Pid::from_raw).because("a process id")
    }
}

impl Drop for Background {
    fn drop(&mut self) {
        // Both fail only if it has ended already, which is what we want.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn end_of(child: &mut Child, limit: Duration) -> Outcome<ExitStatus> {
    let ended = wait_until("its end", limit, || Ok(child.try_wait()?));
    if ended.is_err() {
        let _ = child.kill();
        let _ = child.wait();
    }
    ended
}

fn collect(mut source: impl Read + Send + 'static) -> thread::JoinHandle<String> {
    thread::spawn(move || {
        let mut bytes = Vec::new();
        // An error is the end of the output, too.
        let _ = source.read_to_end(&mut bytes);
        String::from_utf8_lossy(&bytes).into_owned()
    })
}

fn joined(reader: Option<thread::JoinHandle<String>>) -> String {
    reader.and_then(|reader| reader.join().ok()).unwrap_or_default()
}

fn not_started(command: &Command, error: &std::io::Error) -> Failure {
    let what = format!("{}: {error}", line_of(command));
    if error.kind() == std::io::ErrorKind::NotFound {
        return Failure::Lacking(format!("{what} (run `make setup`)"));
    }
    Failure::Wrong(what)
}

fn line_of(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    words.map(|word| word.to_string_lossy()).collect::<Vec<_>>().join(" ")
}

/// What the kernel says of a thread that has given up what a running filter does not need: a filter
/// of its system calls, and CAP_NET_ADMIN alone.
const CONFINED: [&str; 4] =
    ["Seccomp:\t2", "NoNewPrivs:\t1", "CapPrm:\t0000000000001000", "CapEff:\t0000000000001000"];
