//! The event log of a running filter: a bounded channel and the thread that writes from it.
//!
//! Whoever handles packets only ever tries to hand a record over; what does not fit, or cannot be
//! written, is counted. Nothing here makes a packet wait for a disk or a reader.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

use super::super::FrontError;
use crate::engine::Record;
use crate::event::{self, Format, Zone};

/// The end of the channel that takes records.
#[derive(Debug)]
pub(super) struct Events {
    /// None where no log is wanted.
    sender: Option<SyncSender<Entry>>,
    lost: AtomicU64,
}

/// The end of the channel that writes them.
#[derive(Debug)]
pub(super) struct Writer {
    receiver: Receiver<Entry>,
    target: Target,
    format: Format,
}

#[derive(Debug)]
enum Entry {
    Record(Record),
    Reopen,
    End,
}

#[derive(Debug)]
enum Target {
    StandardOutput,
    File { path: String, file: File },
}

impl Events {
    /// A channel to a log at `path` (`-`: standard output), and its writer, which wants a thread.
    pub(super) fn open(
        path: Option<&str>,
        format: Format,
    ) -> Result<(Self, Option<Writer>), FrontError> {
        let Some(path) = path else {
            return Ok((Self { sender: None, lost: AtomicU64::new(0) }, None));
        };
        let target = Target::open(path)
            .map_err(|error| FrontError::io(format!("cannot write events to {path}"), error))?;
        let (sender, receiver) = sync_channel(PENDING_MAX);
        let events = Self { sender: Some(sender), lost: AtomicU64::new(0) };
        Ok((events, Some(Writer { receiver, target, format })))
    }

    /// Hands records over; never waits.
    pub(super) fn push(&self, records: impl Iterator<Item = Record>) {
        let Some(sender) = &self.sender else { return };
        for record in records {
            if sender.try_send(Entry::Record(record)).is_err() {
                self.lost.fetch_add(1, Ordering::Relaxed);
            }
        }
    }

    /// Asks the writer to open its file anew, for whoever rotates it.
    pub(super) fn reopen(&self) {
        if let Some(sender) = &self.sender {
            let _ = sender.try_send(Entry::Reopen);
        }
    }

    /// Tells the writer that nothing more will come; waits for room.
    pub(super) fn end(&self) {
        if let Some(sender) = &self.sender {
            let _ = sender.send(Entry::End);
        }
    }

    /// Records that were not written.
    pub(super) fn lost(&self) -> u64 {
        self.lost.load(Ordering::Relaxed)
    }
}

impl Writer {
    /// Writes until [`Events::end`].
    pub(super) fn write_all(mut self, events: &Events) {
        let mut text = Vec::new();
        while let Ok(first) = self.receiver.recv() {
            let mut records = 0;
            let mut next = Some(first);
            let mut after = None;
            while let Some(entry) = next {
                match entry {
                    Entry::Record(record) => {
                        event::write(&record, self.format, Zone::Local, &mut text);
                        records += 1;
                    }
                    Entry::Reopen | Entry::End => {
                        after = Some(entry);
                        break;
                    }
                }
                next = if text.len() < WRITE_BYTES { self.receiver.try_recv().ok() } else { None };
            }
            if let Err(error) = self.target.write(&text) {
                // A reader that went away has said enough.
                if events.lost.fetch_add(records, Ordering::Relaxed) == 0 {
                    log::warn!("cannot write events: {error}");
                }
            }
            text.clear();
            match after {
                Some(Entry::End) => break,
                Some(Entry::Reopen) => self.reopen(),
                Some(Entry::Record(_)) | None => {}
            }
        }
    }

    fn reopen(&mut self) {
        let Target::File { path, .. } = &self.target else { return };
        match Target::open(path) {
            Ok(target) => self.target = target,
            Err(error) => log::warn!("cannot reopen {path}, writing to the old file: {error}"),
        }
    }
}

impl Target {
    fn open(path: &str) -> io::Result<Self> {
        if path == "-" {
            return Ok(Self::StandardOutput);
        }
        let file = OpenOptions::new().create(true).append(true).open(path)?;
        Ok(Self::File { path: path.to_owned(), file })
    }

    fn write(&mut self, text: &[u8]) -> io::Result<()> {
        match self {
            Self::StandardOutput => {
                let mut out = io::stdout().lock();
                out.write_all(text).and_then(|()| out.flush())
            }
            Self::File { file, .. } => file.write_all(text),
        }
    }
}

/// Records that may wait for the writer: at most 16 MiB with the longest lines on both sides.
const PENDING_MAX: usize = 16_384;

/// Bytes gathered for one write.
const WRITE_BYTES: usize = 64 << 10;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::What;
    use crate::flow::Endpoint;
    use crate::time::Instant;

    fn record(flow: u64) -> Record {
        let end = Endpoint { address: [192, 0, 2, 1].into(), port: 25 };
        let (originator, responder) = (end, end);
        Record { at: Instant::from_micros(0), flow, originator, responder, what: What::Opened }
    }

    #[test]
    fn every_record_is_written_before_the_end() {
        let path = std::env::temp_dir().join(format!("mailguard-events-{}", std::process::id()));
        let name = path.to_str().unwrap();
        let (events, writer) = Events::open(Some(name), Format::Json).unwrap();
        std::thread::scope(|scope| {
            scope.spawn(|| writer.unwrap().write_all(&events));
            events.push((0..1_000).map(record));
            events.reopen();
            events.push((0..1_000).map(record));
            events.end();
        });
        let written = std::fs::read_to_string(&path).unwrap();
        std::fs::remove_file(&path).unwrap();
        assert_eq!((written.lines().count(), events.lost()), (2_000, 0));
    }

    #[test]
    fn what_does_not_fit_is_counted_and_nothing_waits() {
        let (events, writer) = Events::open(Some("/dev/null"), Format::Text).unwrap();
        events.push((0..20_000).map(record));
        assert_eq!(events.lost(), 20_000 - 16_384);
        drop(writer);
    }

    #[test]
    fn without_a_log_nothing_is_lost() {
        let (events, writer) = Events::open(None, Format::Text).unwrap();
        events.push((0..9).map(record));
        assert_eq!((events.lost(), writer.is_none()), (0, true));
    }
}
