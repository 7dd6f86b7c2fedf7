//! The diary of a running filter: a file in memory that a service manager keeps, with a slot for
//! each flow.
//!
//! ```text
//!   0            8        12        16             56 Ki      64 Ki     65 Ki
//!   │ recovered  │ format │ length  │ preamble ... │ docket ..│ slot 0  │ slot 1 ...
//!                                                              └ length, record
//! ```
//! A slot is written by one call and lies within a page, so whoever is killed leaves the record
//! before or the one after. Who dies twice within a minute, and not of a packet
//! ([`super::probation`]), may die of what is recovered: nothing is then, and nobody is killed for
//! ever.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::sync::atomic::{AtomicBool, Ordering};

use super::probation::{AGAIN_MICROS, DOCKET, Docket};
use crate::engine::{Diary, FORMAT, RECORD_BYTES_MAX, image_of_diary};

/// The file, while it is written.
#[derive(Debug)]
pub(super) struct Table {
    file: File,
    /// Something could not be written: what stands there may be too old.
    is_broken: AtomicBool,
    /// It was said that the preamble has no room.
    has_warned: AtomicBool,
}

impl Table {
    /// Begins anew in this file.
    pub(super) fn begin(file: File, recovered: u64, docket: &Docket) -> io::Result<Self> {
        file.set_len(0)?;
        file.write_all_at(&FORMAT.to_le_bytes(), FORMAT_AT as u64)?;
        record_death(&file, recovered, docket)?;
        Ok(Self { file, is_broken: AtomicBool::new(false), has_warned: AtomicBool::new(false) })
    }

    fn write(&self, bytes: &[u8], at: u64) {
        if self.is_broken.load(Ordering::Relaxed) {
            return;
        }
        if let Err(error) = self.file.write_all_at(bytes, at)
            && !self.is_broken.swap(true, Ordering::Relaxed)
        {
            // A diary that lies is worse than none, and to cut a file needs no memory.
            let _ = self.file.set_len(0);
            log::warn!("no connection will outlive a crash: the diary cannot be written: {error}");
        }
    }
}

impl Diary for Table {
    fn keep_preamble(&self, preamble: &[u8]) -> bool {
        if preamble.len() + PREAMBLE > DOCKET {
            if !self.has_warned.swap(true, Ordering::Relaxed) {
                log::warn!(
                    "the connections judged by the newest settings will not outlive a crash: \
                     those of before, by which others are judged, fill the diary"
                );
            }
            return false;
        }
        let length = u32::try_from(preamble.len()).unwrap_or(0).to_le_bytes();
        self.write(&[&length, preamble].concat(), LENGTH as u64);
        true
    }

    fn keep(&self, slot: u32, record: &[u8]) {
        let mut bytes = [0; SLOT];
        let length = u16::try_from(record.len()).unwrap_or(0).to_le_bytes();
        let end = length.len() + record.len();
        if let Some((head, rest)) = bytes.split_at_mut_checked(length.len())
            && let Some(place) = rest.get_mut(..record.len())
        {
            head.copy_from_slice(&length);
            place.copy_from_slice(record);
        }
        let at = SLOTS as u64 + u64::from(slot) * SLOT as u64;
        self.write(bytes.get(..end).unwrap_or_default(), at);
    }
}

/// Notes when flows are recovered, before they are: to do so may kill as well.
pub(super) fn record_death(file: &File, now: u64, docket: &Docket) -> io::Result<()> {
    file.write_all_at(&now.to_le_bytes(), 0)?;
    docket.write(file)
}

/// What a dead process has left in this file, as an image; nothing, if it died too soon after
/// another and not over a packet.
pub(super) fn recover(bytes: &[u8], now: u64, docket: &Docket) -> Vec<u8> {
    let number = |at: usize| bytes.get(at..at + 4)?.first_chunk().copied().map(u32::from_le_bytes);
    let before = bytes.first_chunk().copied().map_or(0, u64::from_le_bytes);
    let is_again = before != 0 && now.saturating_sub(before) < AGAIN_MICROS;
    if is_again && !docket.is_in_judgement {
        log::warn!("died twice within a minute: the flows before are unknown");
        return Vec::new();
    }
    if number(FORMAT_AT) != Some(FORMAT) {
        log::warn!("the flows of the process before are unknown, its diary is of another format");
        return Vec::new();
    }
    let length = number(LENGTH).and_then(|length| usize::try_from(length).ok()).unwrap_or(0);
    let preamble = bytes.get(PREAMBLE..PREAMBLE + length).unwrap_or_default();
    let slots = bytes.get(SLOTS..).unwrap_or_default().chunks(SLOT);
    let records = slots.filter_map(|slot| {
        let (length, rest) = slot.split_first_chunk()?;
        rest.get(..u16::from_le_bytes(*length).into())
    });
    let records: Vec<_> = records.filter(|record| !record.is_empty()).collect();
    image_of_diary(preamble, &records)
}

const FORMAT_AT: usize = 8;
const LENGTH: usize = 12;
const PREAMBLE: usize = 16;
pub(super) const SLOTS: usize = 64 << 10;
const SLOT: usize = 1 << 10;

const _: () = assert!(RECORD_BYTES_MAX + 2 <= SLOT, "a record and its length fit in a slot");

#[cfg(test)]
mod tests {
    use rustix::fs::{MemfdFlags, memfd_create};

    use super::*;

    #[test]
    fn a_preamble_without_room_leaves_the_one_before() {
        let file = File::from(memfd_create("diary", MemfdFlags::empty()).unwrap());
        let table = Table::begin(file.try_clone().unwrap(), 0, &Docket::default()).unwrap();
        let kept = || {
            let mut bytes = [0; DOCKET - LENGTH];
            let read = file.read_at(&mut bytes, LENGTH as u64).unwrap();
            bytes[..read].to_vec()
        };
        assert!(table.keep_preamble(b"short"));
        let before = kept();
        assert!(!table.keep_preamble(&[1; DOCKET - PREAMBLE + 1]));
        assert!(kept() == before && table.has_warned.load(Ordering::Relaxed));
        assert!(table.keep_preamble(&[1; DOCKET - PREAMBLE]));
        assert!(kept()[4..].iter().all(|&byte| byte == 1));
    }

    #[test]
    fn who_dies_twice_within_a_minute_recovers_nothing() {
        let mut bytes = vec![0; SLOTS];
        bytes[..8].copy_from_slice(&1_000_u64.to_le_bytes());
        let docket = Docket::default();
        assert_eq!(recover(&bytes, 1_001 + AGAIN_MICROS, &docket), b"", "no preamble");
        assert_eq!(recover(&bytes, AGAIN_MICROS, &docket), b"");
        (0..40)
            .for_each(|length| assert_eq!(recover(&bytes[..length], 5, &docket), b"", "{length}"));
    }
}
