//! The receiving end of one direction, naively: which bytes its application reads.
//!
//! Stacks disagree about which of two overlapping copies wins, so there are three of them: Linux
//! as measured, and the two extremes. What the filter lets through must read the same to all.

use std::collections::BTreeMap;

/// Who wins where a segment overlaps queued ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Overlap {
    /// What came first, even over a copy in order.
    First,
    /// What came last.
    Last,
    /// Linux: the queued run that starts further left, and a copy in order over all queued ones.
    Linux,
}

struct Run {
    start: u64,
    bytes: Vec<u8>,
    has_fin: bool,
}

impl Run {
    fn end(&self) -> u64 {
        self.start + self.bytes.len() as u64
    }

    /// The end in sequence numbers, of which a FIN takes one.
    fn seq_end(&self) -> u64 {
        self.end() + u64::from(self.has_fin)
    }
}

/// One receiver.
pub struct Receiver {
    overlap: Overlap,
    /// What its application has read.
    pub read: Vec<u8>,
    /// Whether the application was told that nothing follows.
    pub is_finished: bool,
    /// Linux: runs behind a gap, by start.
    runs: Vec<Run>,
    /// The extremes: bytes behind a gap.
    bytes: BTreeMap<u64, u8>,
    fin: Option<u64>,
}

impl Receiver {
    pub fn new(overlap: Overlap) -> Self {
        Self {
            overlap,
            read: Vec::new(),
            is_finished: false,
            runs: Vec::new(),
            bytes: BTreeMap::new(),
            fin: None,
        }
    }

    /// The next offset it expects.
    pub fn next(&self) -> u64 {
        self.read.len() as u64
    }

    /// Takes a segment that starts at this offset (negative: before the stream).
    pub fn take(&mut self, start: i64, payload: &[u8], has_fin: bool) {
        if self.is_finished {
            return;
        }
        let old = (self.next() as i64 - start).max(0) as usize;
        if old > payload.len() {
            return;
        }
        let (start, bytes) = ((start + old as i64) as u64, payload[old..].to_vec());
        let run = Run { start, bytes, has_fin };
        match self.overlap {
            Overlap::Linux if run.start == self.next() => self.deliver(run),
            Overlap::Linux => self.queue(run),
            Overlap::First | Overlap::Last => self.merge(&run),
        }
    }

    fn deliver(&mut self, run: Run) {
        self.read.extend_from_slice(&run.bytes);
        self.is_finished = run.has_fin;
        while let Some(run) = self.runs.first()
            && run.start <= self.next()
            && !self.is_finished
        {
            let run = self.runs.remove(0);
            let old = (self.next() - run.start) as usize;
            if old <= run.bytes.len() && (old < run.bytes.len() || run.has_fin) {
                // A FIN that the bytes in order have covered is gone.
                self.is_finished = run.has_fin;
                self.read.extend_from_slice(&run.bytes[old..]);
            }
        }
    }

    /// As `tcp_data_queue_ofo` does it.
    fn queue(&mut self, run: Run) {
        if run.bytes.is_empty() && !run.has_fin {
            return;
        }
        let covers = |old: &Run| old.start <= run.start && run.seq_end() <= old.seq_end();
        if self.runs.iter().any(covers) {
            return;
        }
        self.runs.retain(|old| !(run.start <= old.start && old.seq_end() <= run.seq_end()));
        let place = self.runs.partition_point(|old| old.start < run.start);
        self.runs.insert(place, run);
    }

    fn merge(&mut self, run: &Run) {
        if self.bytes.is_empty() && self.fin.is_none() && run.start == self.next() {
            self.read.extend_from_slice(&run.bytes);
            self.is_finished = run.has_fin;
            return;
        }
        for (offset, &byte) in (run.start..).zip(&run.bytes) {
            let place = self.bytes.entry(offset).or_insert(byte);
            if self.overlap == Overlap::Last {
                *place = byte;
            }
        }
        if run.has_fin && (self.fin.is_none() || self.overlap == Overlap::Last) {
            self.fin = Some(run.end());
        }
        while self.fin != Some(self.next())
            && let Some(byte) = self.bytes.remove(&self.next())
        {
            self.read.push(byte);
        }
        self.is_finished = self.fin == Some(self.next());
    }
}
