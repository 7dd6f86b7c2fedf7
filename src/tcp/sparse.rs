//! Bytes that are kept of a stream of which most bytes are not: the headers among payload that
//! decides nothing.
//!
//! Each run says where it stands, so what lies between two runs costs nothing. Runs are found by
//! offset: however many there are, a copy of one is made equal in the time of a search.

use std::collections::VecDeque;
use std::sync::Arc;

use super::Memory;
use crate::offset::Offset;

/// Bytes of a run: with its place and its length they fill 16 bytes.
const RUN: usize = 7;

/// Some neighbouring bytes.
#[derive(Clone, Copy, Debug)]
struct Run {
    start: Offset,
    bytes: [u8; RUN],
    count: u8,
}

impl Run {
    #[inline]
    fn of<const COUNT: usize>(start: Offset, piece: [u8; COUNT]) -> Self {
        const { assert!(COUNT <= RUN, "it has to fit") };
        let mut bytes = [0; RUN];
        bytes.iter_mut().zip(piece).for_each(|(place, byte)| *place = byte);
        Self { start, bytes, count: u8::try_from(COUNT).unwrap_or_default() }
    }

    fn end(&self) -> Offset {
        self.start.after(self.count.into())
    }

    fn bytes(&self) -> &[u8] {
        self.bytes.get(..usize::from(self.count)).unwrap_or_default()
    }
}

/// The runs, in order.
#[derive(Debug)]
pub(super) struct Sparse {
    runs: VecDeque<Run>,
    memory: Arc<Memory>,
    held: usize,
}

impl Sparse {
    pub(super) const fn new(memory: Arc<Memory>) -> Self {
        Self { runs: VecDeque::new(), memory, held: 0 }
    }

    /// Bytes of memory it occupies.
    pub(super) const fn held(&self) -> usize {
        self.held
    }

    /// Adds bytes that stand at `at`, which lies behind all others.
    pub(super) fn keep(&mut self, at: Offset, bytes: &[u8]) {
        let open = self.runs.back_mut().filter(|run| run.end() == at);
        let filled = open.map_or(0, |run| run.fill(bytes));
        let mut at = at.after(filled as u64);
        for piece in bytes.get(filled..).unwrap_or_default().chunks(RUN) {
            let mut run = Run { start: at, bytes: [0; RUN], count: 0 };
            run.fill(piece);
            at = run.end();
            self.runs.push_back(run);
        }
        self.count();
    }

    /// Adds pieces of a few bytes, the first at `at`, which lies behind all others, and behind each
    /// so many bytes that are not kept: where the last of those end.
    #[inline]
    pub(super) fn keep_each<const COUNT: usize>(
        &mut self,
        at: Offset,
        pieces: impl Iterator<Item = ([u8; COUNT], u16)>,
    ) -> Offset {
        let mut at = at;
        for (piece, gap) in pieces {
            self.runs.push_back(Run::of(at, piece));
            at = at.after(COUNT as u64 + u64::from(gap));
        }
        self.count();
        at
    }

    /// Forgets what lies below an offset.
    pub(super) fn forget(&mut self, offset: Offset) {
        let gone = self.runs.partition_point(|run| run.end() <= offset);
        if gone == 0 {
            return;
        }
        self.runs.drain(..gone);
        if self.runs.is_empty() {
            // Most flows are idle most of the time.
            self.runs = VecDeque::new();
        }
        self.count();
    }

    /// What is kept of `[from, to)`: where each part of it stands, and its bytes.
    pub(super) fn within(&self, from: Offset, to: Offset) -> impl Iterator<Item = (Offset, &[u8])> {
        let first = self.runs.partition_point(|run| run.end() <= from);
        let runs = self.runs.range(first..).take_while(move |run| run.start < to);
        runs.filter_map(move |run| {
            let at = run.start.max(from);
            let skip = usize::try_from(at.since(run.start)).ok()?;
            let room = usize::try_from(to.since(at)).unwrap_or(usize::MAX);
            let bytes = run.bytes().get(skip..)?;
            Some((at, bytes.get(..room).unwrap_or(bytes)))
        })
    }

    /// All that is kept: where each part of it stands, and its bytes.
    pub(super) fn all(&self) -> impl Iterator<Item = (Offset, &[u8])> {
        self.runs.iter().map(|run| (run.start, run.bytes()))
    }

    /// Accounts for what the queue has grown or shrunk by.
    fn count(&mut self) {
        let held = self.runs.capacity() * size_of::<Run>();
        if held != self.held {
            self.memory.exchange(self.held, held);
            self.held = held;
        }
    }
}

impl Run {
    /// Takes as many bytes as it has room for, and says how many.
    fn fill(&mut self, bytes: &[u8]) -> usize {
        let room = self.bytes.iter_mut().skip(self.count.into());
        let taken = room.zip(bytes).map(|(place, byte)| *place = *byte).count();
        self.count += u8::try_from(taken).unwrap_or_default();
        taken
    }
}

impl Drop for Sparse {
    fn drop(&mut self) {
        self.memory.exchange(self.held, 0);
    }
}

const _: () = assert!(size_of::<Run>() == 16, "a record in flight costs 16 bytes");
