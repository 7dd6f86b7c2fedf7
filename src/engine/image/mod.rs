//! All that an engine knows, as bytes for its successor, and back.
//!
//! ```text
//!   "mailguard image" format length │ preamble handshakes flows rest │ hash "COMPLETE"
//!                                   └─── each record: length, postcard ┘
//!   rest: counts, servers, when a handshake was last lost
//! ```
//! The hash is over everything before it, so an image of which a byte differs is none: what it held
//! is unknown then, as after a crash. It keeps mistakes out, not liars: who may write an image may
//! write the program. A reader takes its own format and those before whose types it has.
//!
//! A record's form is that of the types as they stand. Whoever changes one of them raises
//! [`FORMAT`], and [`FORMAT_MIN`] as well unless the old type is kept to be read (`before`,
//! `guard/before`). Records of the log that were under way are in it too: what is told does not
//! depend on who tells it.

mod before;
mod counts;
mod diary;
mod read;
mod write;

pub(super) use diary::{Diarist, Slot};
pub use diary::{Diary, RECORD_BYTES_MAX, image_of_diary};
pub use read::{Image, Restored, Unreadable};

use std::hash::Hasher;

use serde::{Deserialize, Serialize};
use siphasher::sip128::{Hasher128, SipHasher13};

use super::cookie::Presence;
use super::journal::Chatter;
use super::policy::Terms;
use crate::flow::{Ends, FlowId};
use crate::guard::Mode;
use crate::time::Instant;

/// The format that is written.
pub const FORMAT: u32 = 16;

/// The oldest format that is read.
pub const FORMAT_MIN: u32 = 9;

/// The last format that says of a flow what `WatchBefore` holds.
const LAST_WITH_WATCH_BEFORE: u32 = 9;

/// The last format that does not say by which patches flows were read.
const LAST_WITHOUT_CATALOGUE: u32 = 10;

/// The last format that does not say when a flow began.
const LAST_WITHOUT_SINCE: u32 = 11;

/// The last format that does not say what tells whether a server is still there.
const LAST_WITHOUT_PRESENCE: u32 = 12;

const MAGIC: [u8; 16] = *b"mailguard image\n";
const COMPLETE: [u8; 8] = *b"COMPLETE";

/// Bytes of the hash.
const HASH: usize = 16;

/// Magic, format, and the length of what stands between this head and the hash.
const HEAD: usize = MAGIC.len() + 4 + 8;

/// What is said once for all.
#[derive(Debug, Serialize, Deserialize)]
struct Preamble<T = TermsState> {
    /// The version of the program that wrote it.
    program: String,
    /// The engine's time.
    now: Instant,
    /// What the front said of its own clock at that time.
    clock: u64,
    seed: u64,
    last_flow: FlowId,
    terms: Vec<T>,
    handshakes: u32,
    flows: u32,
}

/// What some flows are judged by: the settings in the words of the configuration, which outlast a
/// change of their types.
#[derive(Debug, Serialize, Deserialize)]
struct TermsState {
    settings: Vec<(String, String)>,
    mode: Mode,
    chatter: Chatter,
    /// The fingerprint of the patches: what a flow remembers of a line or a header are numbers that
    /// mean nothing to others.
    catalogue: u64,
}

/// One flow. `C` is its conversation, as it is written or as it is read.
#[derive(Debug, Serialize, Deserialize)]
struct FlowState<C> {
    id: FlowId,
    ends: Ends,
    since: u64,
    seen: u64,
    presence: Presence,
    /// Which of the terms it is judged by.
    terms: u32,
    conversation: C,
}

impl TermsState {
    fn of(terms: &Terms) -> Self {
        let words = terms.guard.settings().words();
        let settings = words.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
        let catalogue = terms.guard.settings().patches.catalogue.fingerprint();
        Self { settings, mode: terms.guard.mode(), chatter: terms.chatter, catalogue }
    }

    /// What no flow is judged by, and nobody can read.
    fn none() -> Self {
        let settings = vec![(String::new(), String::new())];
        let chatter = Chatter::of_nobody();
        Self { settings, mode: Mode::Enforce, chatter, catalogue: 0 }
    }
}

fn hash(bytes: &[u8]) -> [u8; HASH] {
    let mut hasher = SipHasher13::new();
    hasher.write(bytes);
    hasher.finish128().as_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_format_is_read_that_is_older_or_newer() {
        for format in [0, FORMAT_MIN - 1, FORMAT + 1, u32::MAX] {
            let image = write::seal(format, &[]);
            assert_eq!(Image::open(&image).err(), Some(Unreadable::Format(format)));
        }
        let sentence = format!("its format is 8, expected {FORMAT_MIN} to {FORMAT}");
        assert_eq!(Unreadable::Format(8).to_string(), sentence);
        // Whole, and yet without a beginning.
        assert_eq!(Image::open(&write::seal(FORMAT, &[])).err(), Some(Unreadable::Damaged));
    }

    /// Flows, handshakes and what stands behind them that nobody can read are counted, each once.
    #[test]
    fn records_that_cannot_be_read_are_counted() {
        let mut said = write::preamble((Instant::from_seconds(1), 0, 1), 0, Vec::new());
        (said.handshakes, said.flows) = (3, 2);
        let mut records = write::Records::default();
        records.push(&said);
        (0..8).for_each(|_| records.push_bytes(b"\xff"));
        let image = write::seal(FORMAT, &[&records.bytes]);
        let image = Image::open(&image).unwrap();
        assert_eq!(image.program(), env!("CARGO_PKG_VERSION"));
        let restored = |image: &Image<'_>| {
            let (now, mut effects) = (Instant::from_seconds(1), super::super::Effects::default());
            super::super::Engine::restored(settings(), image, now, &mut effects).1
        };
        assert_eq!(restored(&image), Restored { flows: 0, handshakes: 0, undecodable: 8 });
        // Nor is one that is not there.
        (said.handshakes, said.flows) = (0, 1);
        let mut records = write::Records::default();
        records.push(&said);
        let image = write::seal(FORMAT, &[&records.bytes]);
        let image = Image::open(&image).unwrap();
        assert_eq!(restored(&image), Restored { flows: 0, handshakes: 0, undecodable: 1 });
    }

    fn settings() -> super::super::Settings {
        super::super::Settings {
            ports: vec![25],
            monitor: false,
            unknown_flow: super::super::UnknownFlow::Drop,
            gaps: super::super::Gaps::Refuse,
            guard: crate::guard::Settings::profile("mailguard").unwrap(),
            exceptions: Vec::new(),
            limits: super::super::Limits {
                flows_max: 16,
                handshakes_max: 16,
                bytes_per_flow_max: 1 << 16,
                store_bytes_max: 1 << 20,
                handshake_seconds: 30,
                idle_seconds: 1_200,
                closed_seconds: 30,
                orphan_resets_per_second: 1_000,
                log_burst_bytes: 1 << 20,
                log_flow_bytes_per_second: 1 << 16,
            },
        }
    }
}
