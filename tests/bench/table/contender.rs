//! Who takes part: nothing at all, loops that accept everything, Mailguard in several shapes, and
//! Suricata. Each has queues of its own, and all are up at the same time.
//!
//! All of them stand behind the same rules, Mailguard's own, swung from queue to queue. So what
//! differs is the program alone.

use std::env;
use std::fs;
use std::process::Command;

use crate::batched;
use crate::lab::{
    ACCEPT_ALL, Background, Because, DIRECTORY, Outcome, PATIENCE, Side, Usage, mailguard, run,
    wait_until,
};
use crate::suricata::Suricata;

/// One that takes part.
#[derive(Debug)]
pub(crate) struct Contender {
    pub(crate) name: &'static str,
    program: Program,
    /// How many queues it serves, a thread each.
    queues: u16,
    /// Connections that stand open through it, whatever else it does.
    pub(crate) crowd: u32,
}

#[derive(Debug)]
enum Program {
    /// Plain forwarding.
    Nothing,
    /// A loop over the nfq crate: GSO, a verdict each.
    AcceptAll,
    /// A loop over the kernel's messages: GSO, several packets and verdicts a system call.
    Batched,
    /// Over this back end, with these arguments.
    Mailguard(&'static str, &'static [&'static str]),
    /// The same with an event log in JSON, of everything, to a file.
    Logged(&'static str),
    Suricata,
}

/// All of them.
const ALL: [Contender; 20] = [
    one(NONE, Program::Nothing),
    one(EACH, Program::AcceptAll),
    one(BATCHED, Program::Batched),
    one(NFQ, Program::Mailguard("nfq", &[])),
    one(NETLINK, Program::Mailguard("netlink", &[])),
    one(ESMTP_NFQ, Program::Mailguard("nfq", &["--profile", "esmtp"])),
    one(ESMTP_NETLINK, Program::Mailguard("netlink", &["--profile", "esmtp"])),
    one(SURICATA, Program::Suricata),
    one(NFQ_LOG, Program::Logged("nfq")),
    one(NETLINK_LOG, Program::Logged("netlink")),
    one(HANDED_OVER, Program::Mailguard("netlink", &["--config", HANDS_OFF_FILE])),
    one(BATCHED_TWO, Program::Batched).on_two_queues(),
    one(NFQ_TWO, Program::Mailguard("nfq", &[])).on_two_queues(),
    one(NETLINK_TWO, Program::Mailguard("netlink", &[])).on_two_queues(),
    one(SURICATA_TWO, Program::Suricata).on_two_queues(),
    one(NFQ_1_000, Program::Mailguard("nfq", &[])).with_crowd(1_000),
    one(NFQ_100_000, Program::Mailguard("nfq", &[])).with_crowd(100_000),
    one(NETLINK_1_000, Program::Mailguard("netlink", &[])).with_crowd(1_000),
    one(NETLINK_100_000, Program::Mailguard("netlink", &[])).with_crowd(100_000),
    one(SURICATA_100_000, Program::Suricata).with_crowd(100_000),
];

pub(crate) const NONE: &str = "no queue";
pub(crate) const EACH: &str = "accept-all, a verdict each";
pub(crate) const BATCHED: &str = "accept-all, batched";
pub(crate) const NFQ: &str = "mailguard, nfq";
pub(crate) const NETLINK: &str = "mailguard, netlink";
pub(crate) const ESMTP_NFQ: &str = "esmtp, nfq";
pub(crate) const ESMTP_NETLINK: &str = "esmtp, netlink";
pub(crate) const SURICATA: &str = "suricata";
pub(crate) const NFQ_LOG: &str = "mailguard, nfq, log";
pub(crate) const NETLINK_LOG: &str = "mailguard, netlink, log";
pub(crate) const HANDED_OVER: &str = "mailguard, handed over";
pub(crate) const BATCHED_TWO: &str = "accept-all, batched, 2";
pub(crate) const NFQ_TWO: &str = "mailguard, nfq, 2";
pub(crate) const NETLINK_TWO: &str = "mailguard, netlink, 2";
pub(crate) const SURICATA_TWO: &str = "suricata, 2";
pub(crate) const NFQ_1_000: &str = "mailguard, nfq, 1000";
pub(crate) const NFQ_100_000: &str = "mailguard, nfq, 100000";
pub(crate) const NETLINK_1_000: &str = "mailguard, netlink, 1000";
pub(crate) const NETLINK_100_000: &str = "mailguard, netlink, 100000";
pub(crate) const SURICATA_100_000: &str = "suricata, 100000";

const fn one(name: &'static str, program: Program) -> Contender {
    Contender { name, program, queues: 1, crowd: 0 }
}

/// A contender that is up.
pub(crate) struct Running {
    contender: &'static Contender,
    daemon: Option<Background>,
}

/// What a contender had used at some moment.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Spent {
    pub(crate) usage: Usage,
    /// Packets that came to its queues, and those of them that were lost there.
    pub(crate) packets: u64,
    pub(crate) dropped: u64,
}

impl Contender {
    const fn on_two_queues(self) -> Self {
        Self { queues: 2, ..self }
    }

    const fn with_crowd(self, crowd: u32) -> Self {
        Self { crowd, ..self }
    }

    pub(crate) fn named(name: &str) -> Outcome<&'static Self> {
        const { &ALL }.iter().find(|contender| contender.name == name).because(name)
    }

    /// The numbers of its first queue and of its last.
    fn queues(&self) -> (u16, u16) {
        let place = ALL.iter().position(|contender| contender.name == self.name).unwrap_or(0);
        let first = 2 * u16::try_from(place).unwrap_or(0);
        (first, first + self.queues - 1)
    }

    /// Leads mail to its queues, or past all of them.
    pub(crate) fn lead_mail_here(&self) -> Outcome {
        let mut command = mailguard()?;
        if matches!(self.program, Program::Nothing) {
            command.args(["rules", "down"]);
        } else {
            let (first, last) = self.queues();
            command.args(["rules", "up", "--queue", &format!("{first}:{last}")]);
        }
        run(&mut command, PATIENCE).map(|_| ())
    }

    /// Starts it, and waits until it serves its queues.
    pub(crate) fn start(&'static self, suricata: &mut Suricata) -> Outcome<Running> {
        let daemon = match self.command(suricata)? {
            Some(mut command) => Some(Background::start(self.name, &mut command)?),
            None => None,
        };
        let running = Running { contender: self, daemon };
        let (first, last) = self.queues();
        let waited = wait_until("its queues are served", PATIENCE, || {
            let mut queues = first..=last;
            let all = queues.all(|queue| listed(queue).is_ok_and(|row| row.is_some()));
            Ok((all || running.daemon.is_none()).then_some(()))
        });
        waited.because(running.log())?;
        Ok(running)
    }

    /// The program with all its arguments, if it is one.
    pub(crate) fn command(&self, suricata: &mut Suricata) -> Outcome<Option<Command>> {
        let (first, last) = self.queues();
        let range = format!("{first}:{last}");
        let here = env::current_exe()?;
        let ourselves =
            |flag, words: &str| Side::Gateway.command(&here.to_string_lossy(), &[flag, words]);
        Ok(Some(match self.program {
            Program::Nothing => return Ok(None),
            Program::AcceptAll => ourselves(ACCEPT_ALL, &first.to_string()),
            Program::Batched => ourselves(batched::FLAG, &range),
            Program::Mailguard(backend, arguments) => {
                fs::write(HANDS_OFF_FILE, HANDS_OFF)?;
                let mut command = guarding(backend, &range)?;
                command.args(arguments);
                command
            }
            Program::Logged(backend) => {
                let mut command = guarding(backend, &range)?;
                command.args(LOG_EVERYTHING).arg("--events");
                command.arg(format!("{DIRECTORY}/{backend}.events"));
                command
            }
            Program::Suricata => {
                let mut command = suricata.command(false)?;
                command.args(["--runmode", "workers"]);
                for queue in first..=last {
                    command.args(["-q", &queue.to_string()]);
                }
                command
            }
        }))
    }
}

impl Running {
    /// What it and its queues have used so far.
    pub(crate) fn spent(&self) -> Outcome<Spent> {
        let Some(daemon) = &self.daemon else { return Ok(Spent::default()) };
        let mut spent = Spent { usage: daemon.usage()?, ..Spent::default() };
        let (first, last) = self.contender.queues();
        for queue in first..=last {
            let row = listed(queue)?.because(daemon.log())?;
            let at = |index: usize| row.get(index).copied().unwrap_or(0);
            spent.packets += at(7);
            spent.dropped += at(5) + at(6);
        }
        Ok(spent)
    }

    /// Its resident memory in MB, if it is a program.
    pub(crate) fn resident(&self) -> Outcome<Option<f64>> {
        let kilobytes = self.daemon.as_ref().map(Background::resident).transpose()?;
        Ok(kilobytes.map(|kilobytes| kilobytes as f64 / 1e3))
    }

    /// What it has written, to quote in a failure.
    pub(crate) fn log(&self) -> String {
        self.daemon.as_ref().map(Background::log).unwrap_or_default()
    }
}

/// The kernel's row of numbers about a queue, while somebody serves it: number, port id, waiting,
/// copy mode, copy range, dropped by the queue, dropped by the socket, the last packet's number.
fn listed(queue: u16) -> Outcome<Option<Vec<u64>>> {
    let listing = fs::read_to_string("/proc/thread-self/net/netfilter/nfnetlink_queue")?;
    let rows = listing.lines().map(|row| {
        row.split_whitespace().filter_map(|word| word.parse().ok()).collect::<Vec<u64>>()
    });
    Ok(rows.into_iter().find(|row| row.first() == Some(&queue.into())))
}

/// Mailguard over a back end, on a range of queues, with room for all flows that are opened here.
fn guarding(backend: &str, queues: &str) -> Outcome<Command> {
    let mut command = mailguard()?;
    command.args(["run", "--queue", queues, "--set", "limits.flows_max=200000"]);
    command.args(["--set", &format!("queue.backend={backend}")]);
    Ok(command)
}

/// Everything is logged, whatever its volume.
pub(crate) const LOG_EVERYTHING: [&str; 8] = [
    "--format",
    "json",
    "--set",
    "log.bytes_per_second=1000000000",
    "--set",
    "limits.log_burst_bytes=1000000000",
    "--set",
    "limits.log_flow_bytes_per_second=1000000000",
];

const HANDS_OFF_FILE: &str = "/run/lab/hands-off.toml";

const HANDS_OFF: &str = "\
[[exceptions]]
client = \"192.0.2.0/24\"
treatment = \"hands-off\"
";
