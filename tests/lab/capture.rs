//! Captures on the gateway, by tcpdump: what the guard was given and what it let out.
//!
//! `-i any -Q in` sees each forwarded packet before the queue, in the order of arrival, both
//! directions in one file: exactly a guard's input. `-Q out` sees what left.

use std::path::{Path, PathBuf};

use super::network::Side;
use super::outcome::{Outcome, ensure};
use super::process::{Background, PATIENCE, wait_until};
use super::root::DIRECTORY;

/// Where on the gateway packets are seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Tap {
    /// All that arrives, from either side: the guard's input (Linux cooked capture).
    Input,
    /// All that leaves, to either side: the guard's output (Linux cooked capture).
    Output,
    /// The wire between client and gateway, both directions (Ethernet).
    Client,
    /// The wire between gateway and server, both directions (Ethernet).
    Server,
}

/// A running capture.
pub(crate) struct Capture {
    tcpdump: Background,
    file: PathBuf,
}

impl Capture {
    /// Starts it and waits until it sees packets.
    pub(crate) fn start(tap: Tap) -> Outcome<Self> {
        let (name, place): (&str, &[&str]) = match tap {
            Tap::Input => ("input", &["-i", "any", "-Q", "in"]),
            Tap::Output => ("output", &["-i", "any", "-Q", "out"]),
            Tap::Client => ("client", &["-i", "gc"]),
            Tap::Server => ("server", &["-i", "gs"]),
        };
        let file = Path::new(DIRECTORY).join("captures").join(format!("{name}.pcap"));
        let mut command = Side::Gateway.command("tcpdump", place);
        // The ring has room for as many packets as snapshots fit into the buffer (in KiB).
        command.args(["--immediate-mode", "-U", "-n", "-s", "66000", "-B", "131072"]);
        command.args(["-Z", "root", "-w"]).arg(&file).arg("tcp port 25");
        let mut tcpdump = Background::start(&format!("tcpdump-{name}"), &mut command)?;
        tcpdump.wait_for("listening on", PATIENCE)?;
        Ok(Self { tcpdump, file })
    }

    /// Ends it; the file is complete then. On a busy machine the recorder is behind its traffic,
    /// and what it has not written when it is ended is lost: it is left alone until it sleeps, as
    /// it does only while nothing waits for it.
    pub(crate) fn stop(mut self) -> Outcome<PathBuf> {
        let mut sleeping = 0;
        wait_until("all is recorded", PATIENCE, || {
            sleeping = if self.tcpdump.is_asleep()? { sleeping + 1 } else { 0 };
            Ok((sleeping == LOOKS).then_some(()))
        })?;
        self.tcpdump.stop(PATIENCE)?;
        let log = self.tcpdump.log();
        ensure(log.contains("\n0 packets dropped by kernel"), || format!("incomplete: {log}"))?;
        Ok(self.file)
    }
}

/// Looks in a row that find the recorder asleep.
const LOOKS: usize = 10;
