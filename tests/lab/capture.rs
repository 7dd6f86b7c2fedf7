//! Captures on the gateway, by tcpdump: what the guard was given and what it let out.
//!
//! `-i any -Q in` sees each forwarded packet before the queue, in the order of arrival, both
//! directions in one file: exactly a guard's input. `-Q out` sees what left.

use std::fs;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use super::network::Side;
use super::outcome::{Outcome, ensure};
use super::process::Background;
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
        tcpdump.wait_for("listening on", Duration::from_secs(10))?;
        Ok(Self { tcpdump, file })
    }

    /// Ends it; the file is complete then. On a busy machine the recorder is behind its traffic,
    /// and what it has not written when it is ended is lost: it gets time until it writes no more.
    pub(crate) fn stop(mut self) -> Outcome<PathBuf> {
        let mut size = 0;
        for _ in 0..QUIET_LOOKS_MAX {
            thread::sleep(QUIET);
            let now = fs::metadata(&self.file)?.len();
            if now == size {
                break;
            }
            size = now;
        }
        self.tcpdump.stop(Duration::from_secs(10))?;
        let log = self.tcpdump.log();
        ensure(log.contains("\n0 packets dropped by kernel"), || format!("incomplete: {log}"))?;
        Ok(self.file)
    }
}

/// A recorder that writes nothing for so long has written all.
const QUIET: Duration = Duration::from_millis(400);

/// Looks at what it writes, at most.
const QUIET_LOOKS_MAX: u32 = 20;
