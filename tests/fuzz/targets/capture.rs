//! Captures: any file is read to its end or to its fault, and replayed.
//!
//! Input: one byte (the profile's number; 8: mend checksums, 16: ignore them), then the file.

use mailguard::engine::Settings;
use mailguard::front::capture::link;
use mailguard::front::capture::{Entry, Reader};
use mailguard::front::replay::{Checksums, Session, Step};
use mailguard::guard;

use super::input::Input;
use crate::support::rig::settings;

pub fn run(data: &[u8]) {
    let mut input = Input::new(data);
    let options = input.byte();
    let capture = input.rest();
    let read = read(capture);

    let profile = settings(guard::Profile::names()[usize::from(options & 7)]);
    let checksums = match options & 24 {
        8 => Checksums::Mend,
        16 => Checksums::Ignore,
        _ => Checksums::Verify,
    };
    let monitor = Settings { monitor: true, ..profile.clone() };
    assert_eq!(replay(capture, monitor, checksums).0, read, "monitored, it leaves as it came");
    let first = replay(capture, profile.clone(), checksums);
    assert!(first == replay(capture, profile, checksums), "two runs differ");
}

/// Everything the reader hands out, in order.
fn read(capture: &[u8]) -> Vec<u8> {
    let mut reader = Reader::new(capture);
    let mut bytes = Vec::new();
    let mut again = Vec::new();
    while let Ok(Some(entry)) = reader.read() {
        match entry {
            Entry::Other(other) | Entry::Section(other) => bytes.extend_from_slice(other),
            Entry::Packet(packet) => {
                assert!(packet.frame.len() <= packet.record.len());
                if let Some(located) = link::locate(packet.link, packet.frame) {
                    let inside = packet.frame.get(located.range.clone()).expect("in the frame");
                    again.clear();
                    link::replace(packet.frame, &located.range, inside, &mut again);
                    assert_eq!(again, packet.frame);
                }
                again.clear();
                packet.write_with(packet.frame, &mut again);
                assert!(again.len() <= packet.record.len() + 4, "a record has grown");
                bytes.extend_from_slice(packet.record);
            }
        }
    }
    bytes
}

/// What leaves, and the events and counters in their own words.
fn replay(capture: &[u8], settings: Settings, checksums: Checksums) -> (Vec<u8>, String) {
    let mut session = Session::new(capture, settings, checksums);
    let (mut step, mut written, mut said) = (Step::default(), Vec::new(), String::new());
    while let Ok(true) = session.step(&mut step) {
        written.extend_from_slice(&step.written);
        said.push_str(&format!("{:?}{:?}", step.fates, step.records));
    }
    said.push_str(&session.summary().to_string());
    (written, said)
}
