//! Programs that read a capture of mail, and what that costs them beyond starting.

use std::fs;
use std::path::PathBuf;
use std::process::{Command, ExitStatus, Stdio};

use crate::contender::LOG_EVERYTHING;
use crate::lab::{Because, DIRECTORY, Outcome, PATIENCE, ensure, mailguard, now, tool, wait_until};
use crate::report::Figures;
use crate::suricata::Suricata;
use crate::tape::{Tape, Written};

pub(crate) const TCPDUMP: &str = "tcpdump -r";
pub(crate) const MAILGUARD: &str = "mailguard replay";
pub(crate) const SURICATA: &str = "suricata -r";
pub(crate) const MAILGUARD_EVENTS: &str = "mailguard replay, events";
pub(crate) const SURICATA_EVENTS: &str = "suricata -r, events";

/// The captures that were written, and what reads them.
#[derive(Default)]
pub(crate) struct Replays {
    written: Vec<(&'static str, Written)>,
}

impl Replays {
    /// Has a program read a capture, and one of a single mail for what it costs to start.
    pub(crate) fn once(
        &mut self,
        reader: &str,
        tape: Tape,
        suricata: &mut Suricata,
    ) -> Outcome<Figures> {
        let start = Tape { name: "start", mails: 1, octets: 1 };
        let written = self.write(tape)?;
        self.write(start)?;
        let empty = timed(&mut command(reader, &path_of(start), suricata)?)?;
        let whole = timed(&mut command(reader, &path_of(tape), suricata)?)?;
        // A clock of hundredths of a second may find nothing between two short runs.
        let seconds = (whole.0 - empty.0).max(1e-3);
        let processor = (whole.1 - empty.1).max(1e-3);
        let packets = written.packets as f64;
        Ok(vec![
            ("kpackets/s", packets / seconds / 1e3),
            ("MB/s", written.bytes as f64 / seconds / 1e6),
            ("us/packet", processor / packets * 1e6),
            ("start ms", empty.0 * 1e3),
        ])
    }

    fn write(&mut self, tape: Tape) -> Outcome<Written> {
        if let Some((_, written)) = self.written.iter().find(|(name, _)| *name == tape.name) {
            return Ok(*written);
        }
        let path = path_of(tape);
        let written = tape.write(&path).because(path.display())?;
        self.written.push((tape.name, written));
        Ok(written)
    }
}

fn path_of(tape: Tape) -> PathBuf {
    PathBuf::from(format!("{DIRECTORY}/captures/{}.pcap", tape.name))
}

fn command(reader: &str, capture: &PathBuf, suricata: &mut Suricata) -> Outcome<Command> {
    let events = format!("{DIRECTORY}/replay.events");
    let _ = fs::remove_file(&events);
    let mut command = match reader {
        TCPDUMP => tool("tcpdump", &["-nn", "-r"]),
        SURICATA | SURICATA_EVENTS => return suricata.reading(capture, reader == SURICATA_EVENTS),
        _ => {
            let mut command = mailguard()?;
            command.arg("replay");
            command
        }
    };
    command.arg(capture);
    if reader == MAILGUARD_EVENTS {
        command.args(["--events", &events]).args(LOG_EVERYTHING);
    }
    Ok(command)
}

/// Seconds that a program took, and of processors.
fn timed(command: &mut Command) -> Outcome<(f64, f64)> {
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let (before, start) = (children_seconds()?, now());
    let mut child = command.spawn().because("a reader of captures")?;
    let waited = wait_until("its end", 2 * PATIENCE, || Ok(child.try_wait()?));
    let seconds = start.elapsed().as_secs_f64();
    if waited.is_err() {
        let _ = child.kill();
        let _ = child.wait();
    }
    // 1 is said by those that found something to report.
    let is_good = |status: ExitStatus| status.code().is_some_and(|code| code < 2);
    let status = waited?;
    ensure(is_good(status), || format!("a reader of captures ended: {status}"))?;
    Ok((seconds, children_seconds()? - before))
}

/// Processor time of all programs that were waited for.
fn children_seconds() -> Outcome<f64> {
    let stat = fs::read_to_string("/proc/self/stat")?;
    let (_, fields) = stat.rsplit_once(") ").because(&stat)?;
    let ticks = fields.split(' ').skip(13).take(2).filter_map(|word| word.parse::<f64>().ok());
    Ok(ticks.sum::<f64>() / 100.0)
}
