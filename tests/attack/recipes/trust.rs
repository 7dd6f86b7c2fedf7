//! Trust that outlives its reason or is given to the wrong one: the connection mark, and
//! exceptions read the wrong way round.

use std::fs;
use std::time::Duration;

use super::table::Seen;
use super::talk::Talk;
use super::trial::{Before, Recipe, Trial};
use crate::lab::{Because, Outcome, Program, Side, run, wait_until};

/// The recipes of this file.
pub(crate) const RECIPES: &[Recipe] = &[
    Recipe {
        id: "2",
        name: "the mark outlives its connection",
        programs: &TLS,
        alive: &[Program::Postfix],
        run: mark,
    },
    Recipe {
        id: "5",
        name: "from port 25, with hands off the server",
        programs: &Program::ALL,
        alive: &[],
        run: port_25,
    },
];

/// Readies the hosts: a server forgets early, and a client can vanish without a word.
pub(crate) fn prepare() -> Outcome {
    Side::Server.set("ipv4/tcp_fin_timeout", "1")?;
    let ports = format!("{PORTS}:{}", PORTS + 999);
    let rule = ["-w", "-A", "OUTPUT", "-p", "tcp", "--sport", &ports, "--tcp-flags", "RST", "RST"];
    let mut command = Side::Client.command("iptables", &rule);
    run(command.args(["-j", "DROP"]), Duration::from_secs(10))?;
    Ok(())
}

/// STARTTLS and its 220 hand the connection to the kernel; then the same ports again, in clear.
fn mark(trial: &Trial) -> Outcome<Seen> {
    let port = PORTS + u16::try_from(trial.number % 1000).unwrap_or(0);
    let mut talk = Talk::open_from(trial.address(), port)?;
    talk.ask(trial.hello());
    if !talk.ask("STARTTLS").starts_with("220") {
        return Ok(Seen::new(false, "no TLS"));
    }
    // A record of TLS that no server can like: it closes, the client does not.
    talk.say(b"\x16\x03\x01\x00\x04\x01\x00\x00\x00");
    talk.hear(2);
    let end = talk.told();
    talk.vanish();
    // The server forgets; connection tracking does not.
    if wait_until("the server forgets", FORGETTING_TIME_MAX, || forgotten(port)).is_err() {
        return Ok(Seen::new(false, format!("{end}; kept")));
    }
    let mut again = Talk::open_from(trial.address(), port).because(&end)?;
    again.ask(trial.hello());
    again.ask(&trial.forbidden());
    let seen = trial.judged(&again);
    again.ask("QUIT");
    Ok(Seen::new(seen.worked, format!("{end}; {}", seen.told)))
}

/// Whether the server's host has no connection with this port of the client.
fn forgotten(port: u16) -> Outcome<Option<()>> {
    let table = Side::Server.within(|| Ok(fs::read_to_string("/proc/thread-self/net/tcp")?))?;
    let is_known = table.contains(&format!("020200C0:{port:04X} "));
    Ok((!is_known).then_some(()))
}

/// The filter keeps its hands off what the mail server sends: it is not the client here.
fn port_25(trial: &Trial) -> Outcome<Seen> {
    if trial.before == Before::Nothing {
        return Ok(Seen::new(false, "no exceptions"));
    }
    let mut talk = Talk::open_from(trial.address(), 25)?;
    talk.ask(trial.hello());
    talk.ask(&trial.forbidden());
    let seen = trial.judged(&talk);
    talk.ask("QUIT");
    Ok(seen)
}

/// What the filter is told of the mail servers as clients.
pub(crate) const HANDS_OFF: &str = "\
[[exceptions]]
client = \"198.51.100.0/24\"
treatment = \"hands-off\"
";

/// Source ports whose RSTs the client's host keeps. The kernel chooses higher ones for others:
/// their servers would remember connections that nobody resets, and not let their ports in again.
pub(crate) const PORTS: u16 = 30_000;

/// Servers that keep a connection for longer have not closed it.
const FORGETTING_TIME_MAX: Duration = Duration::from_secs(5);

/// Those that offer STARTTLS and close at once when it fails.
const TLS: [Program; 2] = [Program::Postfix, Program::Sendmail];
