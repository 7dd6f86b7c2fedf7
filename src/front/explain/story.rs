//! What happened in each flow of a replay, gathered while it runs: the entries of its log, and
//! which bytes of its streams went on.
//!
//! Bounded: of what goes beyond [`BYTES_MAX`] nothing is kept, and the story says so.

use std::collections::HashMap;
use std::ops::Range;

use crate::engine::{Record, Settings, Treatment, What};
use crate::flow::{Direction, Endpoint, FlowKey, PerDirection};
use crate::front::replay::{Left, Step};
use crate::guard;
use crate::time::Instant;

/// Bytes of entries that are kept: a million lines of ordinary length.
const BYTES_MAX: usize = 256 << 20;

/// What an entry counts for beside the bytes it shows.
const ENTRY_BYTES: usize = size_of::<What>();

/// What counts for each handshake, and later for the places in which its flow is looked up.
const BEGUN_BYTES: usize = size_of::<(FlowKey, Endpoint, PerDirection<u32>)>();
const _: () = assert!(BEGUN_BYTES < size_of::<Tale<'_>>());

/// All flows of a replay.
#[derive(Debug)]
pub(super) struct Story<'s> {
    settings: &'s Settings,
    /// The flows, in the order in which they were opened.
    pub(super) flows: Vec<Tale<'s>>,
    by_number: HashMap<u64, usize>,
    /// The last flow between each two ends.
    by_ends: HashMap<FlowKey, usize>,
    /// Where the streams begin that the last SYN/ACK between two ends opened.
    begun: HashMap<FlowKey, (Endpoint, PerDirection<u32>)>,
    left_bytes: usize,
    /// Whether some entries found no room.
    is_cut: bool,
    /// Flows that found none at all.
    absent: u64,
}

/// One flow.
#[derive(Debug)]
pub(super) struct Tale<'s> {
    /// Its number.
    pub(super) number: u64,
    /// The end that opened it.
    pub(super) client: Endpoint,
    /// The other end.
    pub(super) server: Endpoint,
    /// When it was opened.
    pub(super) at: Instant,
    /// What it is judged by.
    pub(super) terms: Terms<'s>,
    /// What was said of it, in order.
    pub(super) entries: Vec<What>,
    /// What of its streams went on.
    pub(super) lanes: PerDirection<Lane>,
}

/// What a flow is judged by.
#[derive(Clone, Copy, Debug)]
pub(super) struct Terms<'s> {
    /// The settings of the guard.
    pub(super) guard: &'s guard::Settings,
    /// Which exception it is under, counted from 1.
    pub(super) exception: Option<usize>,
    /// Whether it is only watched.
    pub(super) is_monitored: bool,
}

/// Which bytes of one direction went on.
#[derive(Debug, Default)]
pub(super) struct Lane {
    /// The number of its first byte; nothing is known of a stream without it.
    base: Option<u32>,
    /// The highest offset that went on.
    end: u64,
    /// Separate, in order.
    left: Vec<Range<u64>>,
}

/// How much of some bytes went on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Share {
    /// All.
    Whole,
    /// Some.
    Part,
    /// None.
    Nothing,
}

impl<'s> Story<'s> {
    /// A story of what is judged by these settings.
    pub(super) fn new(settings: &'s Settings) -> Self {
        Self::within(BYTES_MAX, settings)
    }

    /// The same, of so many bytes at the most.
    pub(super) fn within(left_bytes: usize, settings: &'s Settings) -> Self {
        Self {
            settings,
            flows: Vec::new(),
            by_number: HashMap::new(),
            by_ends: HashMap::new(),
            begun: HashMap::new(),
            left_bytes,
            is_cut: false,
            absent: 0,
        }
    }

    /// What it lacks, if it lacks something.
    pub(super) fn remark(&self) -> Option<String> {
        let absent = match self.absent {
            0 => String::new(),
            1 => ", with all of 1 flow".to_owned(),
            more => format!(", with all of {more} flows"),
        };
        self.is_cut.then(|| {
            format!("the story is longer than there was room for: its end is missing{absent}")
        })
    }

    /// By what all flows are judged that are under no exception.
    pub(super) const fn settings(&self) -> &'s Settings {
        self.settings
    }

    /// Takes one step of the replay in.
    pub(super) fn look(&mut self, step: &Step) {
        // A SYN/ACK opens the flow before its entries come, and they before what it carries.
        for left in &step.left {
            if let (true, Some(acknowledged)) = (left.is_syn, left.acknowledged) {
                let numbers = PerDirection::new(acknowledged, left.sequence.wrapping_add(1));
                self.begin(left.key, (left.source, numbers));
            }
        }
        for record in &step.records {
            self.tell(record);
        }
        for left in &step.left {
            self.note(left);
        }
    }

    /// Nobody may ever open what a SYN/ACK has begun.
    fn begin(&mut self, key: FlowKey, begun: (Endpoint, PerDirection<u32>)) {
        let bytes = if self.begun.contains_key(&key) { 0 } else { BEGUN_BYTES };
        match self.left_bytes.checked_sub(bytes) {
            Some(left_bytes) => {
                self.left_bytes = left_bytes;
                self.begun.insert(key, begun);
            }
            // Then there is none for a flow, either.
            None => self.is_cut = true,
        }
    }

    fn tell(&mut self, record: &Record) {
        let Some(index) = self.find(record) else {
            self.absent += u64::from(record.what == What::Opened);
            return;
        };
        let bytes = ENTRY_BYTES + shown(&record.what);
        let Some(left_bytes) = self.left_bytes.checked_sub(bytes) else {
            self.is_cut = true;
            return;
        };
        self.left_bytes = left_bytes;
        if let Some(tale) = self.flows.get_mut(index) {
            tale.entries.push(record.what.clone());
        }
    }

    fn find(&mut self, record: &Record) -> Option<usize> {
        if let Some(&index) = self.by_number.get(&record.flow) {
            return Some(index);
        }
        let (client, server) = (record.originator, record.responder);
        let Some(left_bytes) = self.left_bytes.checked_sub(size_of::<Tale<'_>>()) else {
            self.is_cut = true;
            return None;
        };
        self.left_bytes = left_bytes;
        let key = FlowKey::of(client, server);
        let begun = self.begun.remove(&key).filter(|(source, _)| *source == server);
        let lane = |base| Lane { base: Some(base), ..Lane::default() };
        let lanes = begun.map(|(_, bases)| bases.map(lane)).unwrap_or_default();
        let index = self.flows.len();
        self.flows.push(Tale {
            number: record.flow,
            client,
            server,
            at: record.at,
            terms: terms(self.settings, client, server),
            entries: Vec::new(),
            lanes,
        });
        self.by_number.insert(record.flow, index);
        self.by_ends.insert(key, index);
        Some(index)
    }

    fn note(&mut self, left: &Left) {
        let index = self.by_ends.get(&left.key);
        let Some(tale) = index.and_then(|&index| self.flows.get_mut(index)) else { return };
        let is_client = left.source == tale.client;
        let direction = if is_client { Direction::Original } else { Direction::Reply };
        if !left.is_syn {
            tale.lanes[direction].note(left.sequence, left.length as u64);
        }
    }
}

/// What a flow between these ends is judged by. One that passes unread leaves no entries.
pub(super) fn terms(settings: &Settings, client: Endpoint, server: Endpoint) -> Terms<'_> {
    let found = settings.exceptions.iter().position(|exception| {
        exception.client.is_none_or(|network| network.contains(client.address))
            && exception.server.is_none_or(|network| network.contains(server.address))
    });
    let treatment = found.and_then(|at| settings.exceptions.get(at)).map(|found| &found.treatment);
    let (guard, is_monitored) = match treatment {
        Some(Treatment::Monitor(guard)) => (guard, true),
        Some(Treatment::Enforce(guard)) => (guard, false),
        Some(Treatment::HandsOff) | None => (&settings.guard, false),
    };
    let is_monitored = is_monitored || settings.monitor;
    Terms { guard, exception: found.map(|at| at.saturating_add(1)), is_monitored }
}

/// Bytes that an entry shows.
fn shown(what: &What) -> usize {
    #[expect(clippy::wildcard_enum_match_arm, reason = "the others show none")]
    match what {
        What::Banner { line, .. } | What::Command { line, .. } | What::Reply { line, .. } => {
            line.len()
        }
        What::Edited { before, after, .. } => before.len().saturating_add(after.len()),
        _ => 0,
    }
}

impl Lane {
    /// So many bytes from this number on went on.
    fn note(&mut self, number: u32, length: u64) {
        let Some(base) = self.base else { return };
        // The low 32 bits are meant.
        #[expect(clippy::cast_possible_truncation, reason = "numbers count modulo 2^32")]
        let expected = base.wrapping_add(self.end as u32);
        let distance = i64::from(number.wrapping_sub(expected).cast_signed());
        let start = self.end.checked_add_signed(distance);
        let Some(start) = start.filter(|_| length > 0) else { return };
        let mut range = start..start.saturating_add(length);
        self.end = self.end.max(range.end);
        // What it touches becomes one with it; those are the last ones, nearly always.
        let from = self.left.partition_point(|left| left.end < range.start);
        let to = self.left.partition_point(|left| left.start <= range.end);
        if let (Some(first), Some(last)) = (self.left.get(from), self.left.get(to.wrapping_sub(1)))
            && from < to
        {
            range = first.start.min(range.start)..last.end.max(range.end);
        }
        self.left.splice(from..to, [range]);
    }

    /// How much of so many bytes from this offset on went on.
    pub(super) fn share(&self, offset: u64, length: u64) -> Share {
        let wanted = offset..offset.saturating_add(length);
        let within = |left: &Range<u64>| {
            let (start, end) = (left.start.max(wanted.start), left.end.min(wanted.end));
            end.saturating_sub(start)
        };
        match self.met_by(&wanted).iter().map(within).sum::<u64>() {
            0 if length > 0 => Share::Nothing,
            passed if passed < length => Share::Part,
            _ => Share::Whole,
        }
    }

    /// The runs that these bytes meet. Nobody looks at all of them for each line: a capture with
    /// many gaps has as many lines.
    fn met_by(&self, wanted: &Range<u64>) -> &[Range<u64>] {
        let from = self.left.partition_point(|left| left.end <= wanted.start);
        let to = self.left.partition_point(|left| left.start < wanted.end);
        self.left.get(from..to).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lane_knows_what_went_on_across_the_wrap_of_numbers() {
        let mut lane = Lane { base: Some(u32::MAX - 4), ..Lane::default() };
        lane.note(u32::MAX - 4, 3);
        lane.note(5, 10);
        assert_eq!(lane.left, [0..3, 10..20]);
        assert_eq!(lane.share(0, 3), Share::Whole);
        assert_eq!(lane.share(3, 7), Share::Nothing);
        assert_eq!(lane.share(2, 9), Share::Part);
        lane.note(u32::MAX - 2, 9);
        assert_eq!(lane.left.first(), Some(&(0..20)));
        assert_eq!(lane.left.len(), 1);
        // Before the first byte there is nothing.
        lane.note(u32::MAX - 40, 3);
        assert_eq!(lane.left.first(), Some(&(0..20)));
        assert_eq!(lane.left.len(), 1);
        assert_eq!(lane.share(7, 0), Share::Whole);
    }

    #[test]
    fn many_gaps_cost_a_line_nothing() {
        let mut lane = Lane { base: Some(0), ..Lane::default() };
        (0..200_000).for_each(|run| lane.note(run * 4, 2));
        for run in 0..200_000_u64 {
            let at = run * 4;
            for (offset, length, share, met) in [
                (at, 2, Share::Whole, 1),
                (at + 2, 2, Share::Nothing, 0),
                (at + 1, 9, Share::Part, 3.min(200_000 - run)),
            ] {
                assert_eq!(lane.share(offset, length), share);
                assert_eq!(lane.met_by(&(offset..offset + length)).len() as u64, met);
            }
        }
    }
}
