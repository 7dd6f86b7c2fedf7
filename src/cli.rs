//! The flags of the program, and the configuration overrides they stand for; no side effects.

mod pages;

use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::error::ErrorKind;
use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::config::{self, Override};
use crate::event::Format;
use crate::front::Form;
use crate::front::explain::is_capture;
use crate::front::probe::Target;
use crate::front::replay::Checksums;

pub use self::pages::{Page, pages};

/// Inline SMTP filter for Linux gateways.
#[derive(Debug, Parser)]
#[command(version, max_term_width = 100, arg_required_else_help = true)]
#[command(after_help = "Exit codes: 0 done, 1 found what it was asked to report, \
                        2 usage or input/output.")]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Filter NFQUEUE queues inline, until SIGTERM or SIGINT
    Run(Run),
    /// Run a capture (pcap or pcapng) through the filter
    Replay(Replay),
    /// Say what was done to somebody's mail and why: of a capture, or of an entry of the event log
    Explain(Explain),
    /// Install, remove or print the packet filter rules, IPv4 and IPv6
    Rules(Rules),
    /// Examine the configuration and this machine; exits with 1 if something is wrong
    Check(Check),
    /// Find out whether a Mailguard is in the path to a mail server; exits with 1 if one is
    Probe(Probe),
    /// Print the profiles and their settings
    Profiles(Profiles),
    /// Print the patches for known holes of mail servers, and what is done about each
    Patches(Patches),
    /// Talk to the running filter: one command, or a prompt
    Ctl(Ctl),
    /// Watch the running filter: flows, rates, refusals, drops, queues; q quits
    Top(Top),
    /// Read a saved PIX or ASA configuration: prints ours, and says what does not apply
    Import(Import),
    /// Write the manual pages and the completions of shells below a directory
    #[command(hide = true)]
    Pages(Pages),
}

/// Options of every command that is configured.
#[derive(Debug, Args)]
pub struct Common {
    /// Configuration file (TOML); /etc/mailguard/mailguard.toml if it is there and not a replay
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Profile whose settings to begin with
    #[arg(long, value_name = "NAME")]
    profile: Option<String>,
    /// One key of the configuration; a key without a section is a guard setting (repeatable)
    #[arg(long = "set", value_name = "KEY=VALUE", value_parser = Override::parse)]
    sets: Vec<Override>,
}

/// `mailguard run`.
#[derive(Debug, Args)]
pub struct Run {
    #[command(flatten)]
    common: Common,
    #[command(flatten)]
    queue: Queue,
    /// Judge and log, change nothing
    #[arg(long)]
    monitor: bool,
    /// Go on where the filter stops that runs on these queues, which ends
    #[arg(long)]
    pub take_over: bool,
    /// Write events to FILE, - for standard output
    #[arg(long, value_name = "FILE")]
    events: Option<String>,
    /// Form of the events
    #[arg(long, value_name = "text|json|syslog", value_parser = config::format_named)]
    format: Option<Format>,
}

/// `mailguard replay`.
#[derive(Debug, Args)]
pub struct Replay {
    #[command(flatten)]
    common: Common,
    /// The capture to read
    #[arg(value_name = "IN")]
    pub input: PathBuf,
    /// Write the packets as they would have left
    #[arg(long, value_name = "OUT")]
    pub write: Option<PathBuf>,
    /// Write events to FILE, - for standard output
    #[arg(long, value_name = "FILE")]
    pub events: Option<PathBuf>,
    /// Form of the events
    #[arg(long, value_name = "text|json|syslog", value_parser = config::format_named)]
    format: Option<Format>,
    /// Write a page for a browser: each dialogue, what left beside what came, and why
    #[arg(long, value_name = "FILE.html")]
    pub report: Option<PathBuf>,
    /// What to make of wrong checksums
    #[arg(long, value_enum, default_value_t)]
    pub checksums: Checksums,
    /// Judge and log, change nothing
    #[arg(long)]
    monitor: bool,
}

/// `mailguard explain`.
#[derive(Debug, Args)]
#[command(
    after_help = "A capture is judged by the settings that are given here alone. An entry is \
                        explained by those of the configuration file."
)]
pub struct Explain {
    #[command(flatten)]
    common: Common,
    /// A capture; or an entry of the event log, in quotation marks; or a word of it
    #[arg(value_name = "EVENT|CAPTURE")]
    pub subject: String,
    /// Which flow of the capture, if it holds several: without it they are listed
    #[arg(value_name = "FLOW")]
    pub flow: Option<u64>,
    /// What to make of wrong checksums
    #[arg(long, value_enum, default_value_t)]
    pub checksums: Checksums,
    /// Judge and log, change nothing
    #[arg(long)]
    monitor: bool,
}

/// `mailguard rules`.
#[derive(Debug, Args)]
pub struct Rules {
    /// What to do with the rules
    #[arg(value_enum)]
    pub action: RulesAction,
    #[command(flatten)]
    common: Common,
    #[command(flatten)]
    queue: Queue,
}

/// What to do with the rules.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum RulesAction {
    /// Install them, or bring them up to date
    Up,
    /// Remove every trace of them
    Down,
    /// Print what would be installed
    Show,
}

/// `mailguard check`.
#[derive(Debug, Args)]
pub struct Check {
    /// Examine the configuration alone, not the machine
    #[arg(long)]
    pub config_only: bool,
    /// Print only what is wrong
    #[arg(long)]
    pub brief: bool,
    #[command(flatten)]
    common: Common,
    #[command(flatten)]
    queue: Queue,
}

/// `mailguard probe`.
#[derive(Debug, Args)]
#[command(
    after_help = "The test of Microsoft's article 295725, and a little more. Sends no mail: \
                        only EHLO, HELO, an invalid command or two, NOOP, HELP, STARTTLS where it \
                        is not offered, and QUIT.\n\n\
                        Exit codes: 0 none found, 1 found or suspected, 2 cannot be told: usage, \
                        unreachable, no answer in time."
)]
pub struct Probe {
    /// The server; an IPv6 address stands in brackets before a port
    #[arg(value_name = "HOST[:PORT]")]
    pub target: Target,
    /// Longest wait for a reply; all of it takes no more than six times as long
    #[arg(long, value_name = "SECONDS", default_value_t = 10)]
    #[arg(value_parser = clap::value_parser!(u16).range(1..=600))]
    timeout: u16,
    /// Form of the report
    #[arg(long = "format", value_enum, default_value_t)]
    pub form: Form,
}

impl Probe {
    /// Longest wait for a reply.
    #[must_use]
    pub fn timeout(&self) -> Duration {
        Duration::from_secs(self.timeout.into())
    }
}

/// `mailguard patches`.
#[derive(Debug, Args)]
pub struct Patches {
    #[command(flatten)]
    common: Common,
    /// Only those that a product needs, such as exim-4.96, or whose greeting this is
    #[arg(long = "for", value_name = "PRODUCT-VERSION")]
    pub product: Option<String>,
    /// What to do instead.
    #[command(subcommand)]
    pub action: Option<PatchesAction>,
}

/// What to do with one patch.
#[derive(Debug, Subcommand)]
pub enum PatchesAction {
    /// Print all there is to know of one
    Show {
        /// Its CVE number or name
        id: String,
    },
}

/// `mailguard profiles`.
#[derive(Debug, Args)]
pub struct Profiles {
    /// Print this one alone, as lines for the `[settings]` of a configuration file
    pub name: Option<String>,
}

/// The configuration file that is read without being asked for.
const USUAL_CONFIG: &str = "/etc/mailguard/mailguard.toml";

/// `mailguard ctl`.
#[derive(Debug, Args)]
#[command(
    after_help = "Without COMMAND: a prompt, or the lines of standard input. `help` there lists \
                        what may be typed.\n\n\
                        Exit codes: 0 done, 2 refused, or no filter answers."
)]
pub struct Ctl {
    /// The filter's socket; without it, control.socket of the configuration
    #[arg(long, value_name = "PATH")]
    pub socket: Option<PathBuf>,
    /// Configuration file in which the socket's path stands
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// One object a line
    #[arg(long)]
    pub json: bool,
    /// What to do: `status`, `flows`, `stats`, `events follow`, `reload`, `show fixup` ...
    #[arg(value_name = "COMMAND", trailing_var_arg = true, allow_hyphen_values = true)]
    pub words: Vec<String>,
}

/// `mailguard top`.
#[derive(Debug, Args)]
#[command(after_help = "q, Esc and Ctrl-C quit. A filter that ends is waited for.\n\n\
                        Exit codes: 0 done, 2 no filter answers, or no terminal.")]
pub struct Top {
    /// The filter's socket; without it, control.socket of the configuration
    #[arg(long, value_name = "PATH")]
    pub socket: Option<PathBuf>,
    /// Configuration file in which the socket's path stands
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// How often the filter is asked
    #[arg(long, value_name = "SECONDS", default_value_t = 1)]
    #[arg(value_parser = clap::value_parser!(u16).range(1..=600))]
    every: u16,
}

impl Top {
    /// From one look to the next.
    #[must_use]
    pub fn interval(&self) -> Duration {
        Duration::from_secs(self.every.into())
    }
}

/// `mailguard import`.
#[derive(Debug, Args)]
#[command(
    after_help = "The configuration goes to standard output, the report to standard error.\n\n\
                        Exit codes: 0 all about mail was understood, 1 something was not, or the \
                        file guards no mail, 2 it cannot be read."
)]
pub struct Import {
    /// The saved configuration
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
    /// The profile of the release itself, its bugs included
    #[arg(long)]
    pub as_it_was: bool,
    /// Guard port 25 though the file does not
    #[arg(long)]
    pub guard_anyway: bool,
}

/// `mailguard pages`: for whoever installs or packs the program.
#[derive(Debug, Args)]
pub struct Pages {
    /// The prefix they belong to, such as /usr
    #[arg(value_name = "DIRECTORY")]
    pub directory: PathBuf,
}

/// Which queues.
#[derive(Debug, Args)]
struct Queue {
    /// Queue number, or a range of them
    #[arg(long = "queue", value_name = "N[:M]", value_parser = queue_range)]
    range: Option<(u16, u16)>,
}

impl Command {
    /// The options of commands that are configured.
    #[must_use]
    const fn common(&self) -> Option<&Common> {
        match self {
            Self::Run(run) => Some(&run.common),
            Self::Replay(replay) => Some(&replay.common),
            Self::Explain(explain) => Some(&explain.common),
            Self::Rules(rules) => Some(&rules.common),
            Self::Check(check) => Some(&check.common),
            Self::Patches(patches) => Some(&patches.common),
            Self::Probe(_)
            | Self::Profiles(_)
            | Self::Ctl(_)
            | Self::Top(_)
            | Self::Import(_)
            | Self::Pages(_) => None,
        }
    }

    /// The configuration file to read, and whether it was asked for by name: the usual one need not
    /// be there. A replay gives the same on every machine, so it reads none that it was not given.
    #[must_use]
    pub fn config_file(&self) -> Option<(&Path, bool)> {
        let given = if let Self::Ctl(Ctl { config, .. }) | Self::Top(Top { config, .. }) = self {
            config.as_deref()
        } else {
            self.common()?.config.as_deref()
        };
        match (given, self) {
            (Some(given), _) => Some((given, true)),
            (None, Self::Replay(_)) => None,
            (None, Self::Explain(explain)) if is_capture(&explain.subject) => None,
            (None, _) => Some((Path::new(USUAL_CONFIG), false)),
        }
    }

    /// Whether it says itself at which socket the filter is.
    #[must_use]
    pub const fn names_socket(&self) -> bool {
        matches!(
            self,
            Self::Ctl(Ctl { socket: Some(_), .. }) | Self::Top(Top { socket: Some(_), .. })
        )
    }

    /// What the flags set in the configuration; later ones win.
    #[must_use]
    pub fn overrides(&self) -> Vec<Override> {
        let mut all = Vec::new();
        if let Some(common) = self.common() {
            if let Some(profile) = &common.profile {
                let shown = format!("--profile {profile}");
                all.push(Override::new(shown, &["profile"], profile.as_str()));
            }
            all.extend(common.sets.iter().cloned());
        }
        match self {
            Self::Run(run) => {
                run.queue.add_to(&mut all);
                add_monitor(run.monitor, &mut all);
                add_format(run.format, &mut all);
                if let Some(events) = &run.events {
                    let shown = format!("--events {events}");
                    all.push(Override::new(shown, &["log", "events"], events.as_str()));
                }
            }
            Self::Replay(replay) => {
                add_monitor(replay.monitor, &mut all);
                add_format(replay.format, &mut all);
            }
            Self::Explain(explain) => add_monitor(explain.monitor, &mut all),
            Self::Rules(rules) => rules.queue.add_to(&mut all),
            Self::Check(check) => check.queue.add_to(&mut all),
            Self::Patches(_)
            | Self::Probe(_)
            | Self::Profiles(_)
            | Self::Ctl(_)
            | Self::Top(_)
            | Self::Import(_)
            | Self::Pages(_) => {}
        }
        all
    }
}

impl Queue {
    fn add_to(&self, all: &mut Vec<Override>) {
        if let Some((first, last)) = self.range {
            let shown = format!("--queue {first}:{last}");
            all.push(Override::new(shown.clone(), &["queue", "first"], i64::from(first)));
            all.push(Override::new(shown, &["queue", "last"], i64::from(last)));
        }
    }
}

fn add_monitor(monitor: bool, all: &mut Vec<Override>) {
    if monitor {
        all.push(Override::new("--monitor", &["monitor"], true));
    }
}

fn add_format(format: Option<Format>, all: &mut Vec<Override>) {
    let name = match format {
        Some(Format::Text) => "text",
        Some(Format::Json) => "json",
        Some(Format::Syslog) => "syslog",
        None => return,
    };
    all.push(Override::new(format!("--format {name}"), &["log", "format"], name));
}

fn queue_range(text: &str) -> Result<(u16, u16), String> {
    let (first, last) = text.split_once(':').unwrap_or((text, text));
    match (first.parse(), last.parse()) {
        (Ok(first), Ok(last)) => Ok((first, last)),
        _ => Err("expected a number from 0 to 65535, or two with a colon between".to_owned()),
    }
}

/// What is wrong with a command line, in one line; nothing if help or the version was asked for, or
/// nothing at all.
#[must_use]
pub fn complaint(error: &clap::Error) -> Option<String> {
    if error.kind() == ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand || !error.use_stderr() {
        return None;
    }
    let text = error.to_string();
    let mut parts = text
        .trim_start_matches("error: ")
        .split("\n\n")
        .map(|part| part.split_whitespace().collect::<Vec<_>>().join(" "));
    let what = parts.next().unwrap_or_default();
    let tips: String =
        parts.filter(|part| part.starts_with("tip: ")).map(|tip| format!(" ({tip})")).collect();
    Some(what + &tips)
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;
    use crate::config::Config;

    fn config(words: &[&str]) -> Config {
        let cli = Cli::try_parse_from(words).unwrap();
        Config::build(None, &cli.command.overrides()).unwrap()
    }

    #[test]
    fn the_flags_are_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn flags_become_configuration() {
        let words = ["mailguard", "run", "--queue", "2:4", "--monitor", "--events", "-"];
        let run = config(&[&words[..], &["--format", "json", "--set", "log.format=text"]].concat());
        assert_eq!((run.queue.first, run.queue.last), (2, 4));
        assert!(run.engine.monitor);
        assert_eq!(run.log.events.as_deref(), Some("-"));
        assert_eq!(run.log.format, Format::Json);
        let replay = config(&["mailguard", "replay", "in", "--format", "syslog"]);
        assert_eq!(replay.log.format, Format::Syslog);
        let one = config(&["mailguard", "rules", "show", "--queue", "7"]);
        assert_eq!((one.queue.first, one.queue.last), (7, 7));
    }

    #[test]
    fn wrong_flags_are_refused() {
        for words in [
            &["mailguard", "run", "--queue", "x"][..],
            &["mailguard", "run", "--queue", "0:99999"],
            &["mailguard", "run", "--format", "xml"],
            &["mailguard", "run", "--set", "x"],
            &["mailguard", "replay"],
            &["mailguard", "rules"],
            &["mailguard", "probe"],
            &["mailguard", "probe", "::1:x"],
            &["mailguard", "probe", "mail.example.com", "--timeout", "0"],
            &["mailguard", "top", "--every", "0"],
        ] {
            assert!(Cli::try_parse_from(words).is_err(), "{words:?}");
        }
    }
}
