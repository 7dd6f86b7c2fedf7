//! Captures of what only a crafted client sends: data out of order, and a repetition with other
//! bytes. Each is played against the real server; with `RECORD=1` in the environment what the
//! filter was given is kept in `pcaps/`, and `make bless` takes down its verdicts.

use std::env;
use std::fs;
use std::path::Path;
use std::thread;
use std::time::Duration;

use super::overlap::in_data;
use super::{Stand, on_a_stand};
use crate::lab::{Because, Capture, Filter, Outcome, Tap};

/// A capture's name, and what the client does.
type Behaviour = (&'static str, fn(&mut Stand) -> Outcome<String>);

const BEHAVIOURS: [Behaviour; 2] =
    [("out-of-order", out_of_order), ("repeated-with-other-bytes", other_bytes)];

/// Time for the last packets to be written down.
const SETTLING: Duration = Duration::from_millis(300);

/// Plays both.
pub(crate) fn captures() -> Outcome<String> {
    on_a_stand(Filter::DEFAULT, |stand| {
        // A capture must hold finished checksums to be replayed as it is.
        stand.network.set_offloads(false)?;
        let mut said = Vec::new();
        for (name, act) in BEHAVIOURS {
            let capture = Capture::start(Tap::Input)?;
            let found = act(stand).because(name)?;
            thread::sleep(SETTLING);
            let file = capture.stop()?;
            if env::var_os("RECORD").is_some() {
                let place = Path::new(env!("CARGO_MANIFEST_DIR")).join("pcaps").join(name);
                fs::copy(file, place.with_extension("pcap")).because(name)?;
            }
            said.push(format!("{name}: {found}"));
            stand.clear();
        }
        Ok(said.join("; "))
    })
}

/// Message text passes ahead of a gap, the end of the message does not; a command behind a gap
/// waits.
fn out_of_order(stand: &mut Stand) -> Outcome<String> {
    let (mut peer, mut stream) = in_data(stand, "DATA")?;
    let base = stream.len() as u64;
    let text = b"Subject: x\r\n\r\none\r\ntwo\r\nthree\r\n.\r\n";
    for (start, end) in [(14, 24), (24, text.len()), (0, 14)] {
        stand.send(&peer, base + start as u64, &text[start..end]);
    }
    stream.extend_from_slice(text);
    stand.deliver(&mut peer, &stream)?;
    let base = stream.len() as u64;
    stand.send(&peer, base + 6, b"VRFY root\r\n");
    stand.send(&peer, base, b"NOOP\r\n");
    stream.extend_from_slice(b"NOOP\r\nVRFY root\r\n");
    stand.finish(&mut peer, &stream)
}

/// The first copy of each byte is the only one that leaves, whatever comes behind it.
fn other_bytes(stand: &mut Stand) -> Outcome<String> {
    let mut peer = stand.connected()?;
    for line in [b"NOOP\r\n", b"EXPN\r\n"] {
        stand.send(&peer, 0, line);
    }
    for line in [b"VRFY root\r\n", b"NOOP xxxx\r\n"] {
        stand.send(&peer, 6, line);
    }
    stand.finish(&mut peer, b"NOOP\r\nVRFY root\r\nQUIT\r\n")
}
