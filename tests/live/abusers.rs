//! The shipped fail2ban filter, read by the real fail2ban, on what the filter has logged.

use std::fs;

use crate::lab::{
    Because, Family, Filter, Guard, Network, Outcome, PATIENCE, Pace, Recorder, Root, Session,
    Side, ensure, run, target,
};

/// The formats, and what else the filter is told; the length of the name in the lines that an
/// offender repeats until he is reset, and what tells of that.
const LOGS: [(&str, &[&str], usize, &str); 4] = [
    ("text", &STERN, 1, "has passed a limit"),
    ("json", &STERN, 1, "\"exceeded\""),
    ("syslog", &STERN, 1, "is the limit"),
    ("syslog", &["--profile", "asa"], 600, "%ASA-4-108004"),
];

const STERN: [&str; 2] = ["--set", "refused_lines_max=2"];

/// Whoever goes on with refused lines is found in every format of the log, and nobody else is.
pub(crate) fn known_to_fail2ban() -> Outcome<String> {
    let _network = Network::build()?;
    let _recorders = [Recorder::start(Family::V4.server())?, Recorder::start(Family::V6.server())?];
    let root = Root::mount("fail2ban")?;
    let shipped = target()?.parent().because("a repository")?.join("dist/fail2ban/mailguard.conf");
    root.write("mailguard.conf", fs::read(&shipped).because(shipped.display())?)?;
    for (format, more, length, told) in LOGS {
        let line = format!("EXPN {}", "x".repeat(length));
        let arguments = [&["--format", format], more].concat();
        let guard = Guard::start(Filter::with(&arguments))?;
        for family in Family::ALL {
            let (mut innocent, _) = Session::open(family.server(), PATIENCE)?;
            for line in ["NOOP", "EXPN the connection was reset: other-protocol", "EXPN x"] {
                innocent.command(Pace::Whole, line)?;
            }
            innocent.quit()?;
            let (mut offender, _) = Session::open(family.server(), PATIENCE)?;
            let is_over = (0..3).any(|_| offender.command(Pace::Whole, &line).is_err());
            ensure(is_over, || format!("{family:?}: goes on"))?;
        }
        root.write("events", finished(&guard, told)?)?;
        let arguments = ["--print-all-matched", "/events", "/mailguard.conf"];
        let said = run(&mut root.command(Side::Gateway, "fail2ban-regex", &arguments), PATIENCE)?;
        ensure(said.contains(" 2 matched,"), || format!("{format}:\n{said}"))?;
    }
    Ok(format!("two offenders in each of {} logs", LOGS.len()))
}

/// The log, once it tells of both offenders.
fn finished(guard: &Guard, told: &str) -> Outcome<String> {
    crate::lab::wait_until("both offenders in the log", PATIENCE, || {
        let events = guard.events();
        Ok((events.matches(told).count() == 2).then_some(events))
    })
}
