//! An engine's image, as it is handed over or recovered: whatever stands in a flow's record, the
//! engine begins, knows the flow or counts it, and writes an image that is read again.
//!
//! Input: an image; and again, as the record of one flow. So an image has to be whole to be read,
//! and a record need not.

use std::sync::OnceLock;

use crate::support::rig::{Rig, limits, settings};
use mailguard::engine::{Effects, Engine, Image, Limits, Settings, image_of_diary};
use mailguard::time::Instant;

pub fn run(data: &[u8]) {
    let _ = begin(data);
    let engine = with_flow(data);
    let again = engine.image(NOW, 0);
    let heir = begin(&again).expect("what was written is read");
    assert_eq!(heir.stats().flows_now, engine.stats().flows_now);
    let mut effects = Effects::default();
    engine.expire(Instant::from_seconds(1_000_000), &mut effects);
}

/// An engine that goes on with one flow, if this is a flow's record.
pub fn with_flow(record: &[u8]) -> Engine {
    static PREAMBLE: OnceLock<Vec<u8>> = OnceLock::new();
    let preamble = PREAMBLE.get_or_init(|| {
        // One flow is enough for what all are judged by to be said.
        let image = Rig::established(few(), [1, 1]).engine.image(NOW, 0);
        let length = u32::from_le_bytes(image[HEAD..HEAD + 4].try_into().unwrap());
        image[HEAD + 4..HEAD + 4 + length as usize].to_vec()
    });
    begin(&image_of_diary(preamble, &[record])).expect("a diary is an image")
}

fn begin(bytes: &[u8]) -> Option<Engine> {
    let image = Image::open(bytes).ok()?;
    let mut effects = Effects::default();
    let (engine, restored) = Engine::restored(few(), &image, NOW, &mut effects);
    assert!(engine.stats().flows_now <= restored.flows);
    Some(engine)
}

fn few() -> Settings {
    let limits = Limits { handshakes_max: 16, ..limits() };
    Settings { limits, ..settings("esmtp") }
}

const NOW: Instant = Instant::from_seconds(1_000);

/// What stands ahead of the first record: magic, format and length.
const HEAD: usize = 28;
