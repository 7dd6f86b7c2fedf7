//! The event log of a running filter: a bounded channel and the thread that writes from it.
//!
//! Whoever handles packets only ever tries to hand a record over; what does not fit, or cannot be
//! written, is counted. Nothing here makes a packet wait for a disk or a reader.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;
use std::time::Duration;

use crate::engine::Record;
use crate::event::{self, Format, Zone};
use crate::front::FrontError;

/// The end of the channel that takes records.
#[derive(Debug)]
pub(super) struct Events {
    /// None where no log is wanted.
    sender: Option<SyncSender<Entry>>,
    is_reopening: AtomicBool,
    lost: AtomicU64,
}

/// The end of the channel that writes them.
#[derive(Debug)]
pub(super) struct Writer {
    receiver: Receiver<Entry>,
    target: Target,
    format: Format,
    /// What is to be written at once.
    text: Vec<u8>,
    /// How many records that is.
    records: u64,
}

#[derive(Debug)]
enum Entry {
    Record(Record),
    /// Wakes the writer up, nothing else.
    Wake,
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
            return Ok((Self::to(None), None));
        };
        let target = Target::open(path)
            .map_err(|error| FrontError::io(format!("cannot write events to {path}"), error))?;
        let (sender, receiver) = sync_channel(PENDING_MAX);
        let writer = Writer { receiver, target, format, text: Vec::new(), records: 0 };
        Ok((Self::to(Some(sender)), Some(writer)))
    }

    fn to(sender: Option<SyncSender<Entry>>) -> Self {
        Self { sender, is_reopening: AtomicBool::new(false), lost: AtomicU64::new(0) }
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
        self.is_reopening.store(true, Ordering::Relaxed);
        if let Some(sender) = &self.sender {
            // A full channel has its writer awake.
            let _ = sender.try_send(Entry::Wake);
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
        while let Ok(first) = self.receiver.recv() {
            // Whoever sends to a channel that nobody waits at need not wake anybody.
            thread::sleep(GATHERING);
            let mut next = Some(first);
            while let Some(entry) = next {
                match entry {
                    Entry::Record(record) => self.write(&record, events),
                    Entry::Wake => {}
                    Entry::End => return self.flush(events),
                }
                next = self.receiver.try_recv().ok();
            }
            self.flush(events);
        }
    }

    fn write(&mut self, record: &Record, events: &Events) {
        event::write(record, self.format, Zone::Local, &mut self.text);
        self.records += 1;
        if self.text.len() >= WRITE_BYTES {
            self.flush(events);
        }
    }

    fn flush(&mut self, events: &Events) {
        if let Err(error) = self.target.write(&self.text) {
            // A reader that went away has said enough.
            if events.lost.fetch_add(self.records, Ordering::Relaxed) == 0 {
                log::warn!("cannot write events: {error}");
            }
        }
        self.text.clear();
        self.records = 0;
        if events.is_reopening.swap(false, Ordering::Relaxed) {
            self.reopen();
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

/// How long the first record of a batch waits for others. Longer saves little; at this, the channel
/// takes three million a second.
const GATHERING: Duration = Duration::from_millis(5);

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
        thread::scope(|scope| {
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
