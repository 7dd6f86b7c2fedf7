//! The shipped fail2ban filter, read by the real fail2ban, on what the filter has logged.

use std::fs;

use crate::lab::{
    Because, Family, Filter, Guard, Network, Outcome, PATIENCE, Pace, Recorder, Root, Session,
    Side, ensure, run, target, wrong,
};

const FORMATS: [&str; 3] = ["text", "json", "syslog"];

/// Whoever goes on with refused lines is found in every format of the log, and nobody else is.
pub(crate) fn known_to_fail2ban() -> Outcome<String> {
    let _network = Network::build()?;
    let _recorders = [Recorder::start(Family::V4.server())?, Recorder::start(Family::V6.server())?];
    let root = Root::mount("fail2ban")?;
    let shipped = target()?.parent().because("a repository")?.join("dist/fail2ban/mailguard.conf");
    root.write("mailguard.conf", fs::read(&shipped).because(shipped.display())?)?;
    for format in FORMATS {
        let arguments = ["--format", format, "--set", "refused_lines_max=2"];
        let guard = Guard::start(Filter::with(&arguments))?;
        for family in Family::ALL {
            let (mut innocent, _) = Session::open(family.server(), PATIENCE)?;
            for line in ["NOOP", "EXPN the connection was reset: other-protocol", "EXPN x"] {
                innocent.command(Pace::Whole, line)?;
            }
            innocent.quit()?;
            let (mut offender, _) = Session::open(family.server(), PATIENCE)?;
            for _ in 0..2 {
                offender.command(Pace::Whole, "EXPN x")?;
            }
            let answer = offender.command(Pace::Whole, "EXPN x");
            ensure(answer.is_err(), || format!("{family:?}: goes on"))?;
        }
        // Both entries of the last of them are there.
        guard.await_event(if format == "json" { "exceeded" } else { "refused-lines" })?;
        root.write("events", finished(&guard, format)?)?;
        let arguments = ["--print-all-matched", "/events", "/mailguard.conf"];
        let said = run(&mut root.command(Side::Gateway, "fail2ban-regex", &arguments), PATIENCE)?;
        ensure(said.contains(" 2 matched,"), || format!("{format}:\n{said}"))?;
    }
    Ok(format!("two offenders in each of {}", FORMATS.join(", ")))
}

/// The log, once it tells of both offenders.
fn finished(guard: &Guard, format: &str) -> Outcome<String> {
    crate::lab::wait_until("both offenders in the log", PATIENCE, || {
        let events = guard.events();
        let told = match format {
            "text" => "has passed a limit",
            "json" => "\"exceeded\"",
            "syslog" => "is the limit",
            _ => return wrong("no such format"),
        };
        Ok((events.matches(told).count() == 2).then_some(events))
    })
}
