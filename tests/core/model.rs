//! Random operations on the structures that law 2 rests on, held against models too simple to be
//! wrong: a stream against a map from offset to byte, the table of flows against a list.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use crate::support::random::Random;
use mailguard::flow::{Endpoint, Ends, FlowKey, FlowTable, HashedKey, Keyed, Newcomer};
use mailguard::offset::Offset;
use mailguard::tcp::{Place, Spares, Stream, Violation, Window};
use mailguard::wire::Seq;

const RUNS: u64 = 2_000;

/// Every byte that has a value, and how far the stream has come.
#[derive(Default)]
struct Model {
    values: BTreeMap<u64, u8>,
    judged: u64,
    acknowledged: u64,
    fin: Option<u64>,
}

impl Model {
    /// A fresh segment at the edge: known bytes keep their value, the rest get theirs; what
    /// follows without a gap is joined.
    fn fill(&mut self, bytes: &[u8]) {
        for (offset, &byte) in (self.judged..).zip(bytes) {
            self.values.entry(offset).or_insert(byte);
        }
        self.judged += bytes.len() as u64;
        while self.values.contains_key(&self.judged) {
            self.judged += 1;
        }
    }

    fn value_of(&self, offset: u64, byte: u8) -> u8 {
        *self.values.get(&offset).unwrap_or(&byte)
    }
}

#[test]
fn a_stream_gives_each_offset_one_value() {
    // Memory that one stream gives back another one takes.
    let mut spares = Spares::default();
    for seed in 0..RUNS {
        let mut random = Random::new(seed);
        let isn = Seq(0_u32.wrapping_sub(random.below(300) as u32));
        let (mut stream, mut model) =
            (Stream::new(isn, Window::unknown(), &Arc::default()), Model::default());
        for step in 0..200 {
            let bytes: Vec<u8> = (0..=random.below(30)).map(|_| random.below(256) as u8).collect();
            operate(&mut random, (&mut stream, &mut spares), &mut model, &bytes);
            check(&stream, &model, &format!("seed {seed}, step {step}"));
        }
    }
}

fn operate(
    random: &mut Random,
    (stream, spares): (&mut Stream, &mut Spares),
    model: &mut Model,
    bytes: &[u8],
) {
    match random.below(8) {
        0..3 => {
            if model.fin.is_none() {
                stream.append(bytes, spares);
                stream.commit(stream.appended(), spares);
                while stream.append_early(spares) > 0 {
                    stream.commit(stream.appended(), spares);
                }
                model.fill(bytes);
            }
        }
        3 => {
            // What has to wait is taken back and leaves no trace.
            stream.append(bytes, spares);
            stream.commit(Offset::new(model.judged), spares);
        }
        4 => {
            let distance = 1 + random.below(80);
            let left = stream.overlay(distance, bytes).unwrap_or_else(|| bytes.to_vec());
            let start = model.judged + distance as u64;
            let expected: Vec<u8> =
                (start..).zip(bytes).map(|(at, &byte)| model.value_of(at, byte)).collect();
            assert_eq!(left, expected);
            if model.fin.is_none() && stream.admit_early(distance, &left).is_ok() {
                model.values.extend((start..).zip(left));
            }
        }
        5 => {
            let ack = model.acknowledged + random.below(60) as u64;
            let end = model.judged + u64::from(model.fin.is_some());
            let taken = stream.acknowledge(stream.seq(Offset::new(ack)), 60_000, spares);
            if ack > end {
                assert_eq!(taken, Err(Violation::AckOfUnsent));
            } else {
                model.acknowledged = model.acknowledged.max(ack.min(model.judged));
            }
        }
        6 if random.below(40) == 0 => {
            let offset = model.judged + random.below(2) as u64;
            let is_admitted = stream.admit_fin(stream.seq(Offset::new(offset)));
            assert_eq!(is_admitted, offset == model.fin.unwrap_or(model.judged));
            if is_admitted {
                model.fin = Some(offset);
            }
        }
        _ => {
            let start = (model.acknowledged + random.below(50) as u64).saturating_sub(20);
            let place = stream.place(stream.seq(Offset::new(start)), bytes.len());
            let end = start + bytes.len() as u64;
            let clamp = |to: u64| to.saturating_sub(start).min(bytes.len() as u64) as usize;
            let expected = if start > model.judged {
                Place::Beyond { distance: (start - model.judged) as usize }
            } else if end <= model.acknowledged {
                Place::Below
            } else {
                Place::At { stale: clamp(model.acknowledged), known: clamp(model.judged) }
            };
            assert_eq!(place, expected);
        }
    }
}

fn check(stream: &Stream, model: &Model, place: &str) {
    assert_eq!(stream.judged(), Offset::new(model.judged), "{place}");
    assert_eq!(stream.acknowledged(), Offset::new(model.acknowledged), "{place}");
    assert_eq!(stream.fin(), model.fin.map(Offset::new), "{place}");
    let ahead = model.values.last_key_value().map_or(0, |(&last, _)| last + 1);
    assert_eq!(stream.has_early(), ahead > model.judged, "{place}");
    let least = (model.judged - model.acknowledged) as usize;
    let kept = stream.kept_from(stream.acknowledged()).map(<[u8]>::len).sum::<usize>();
    assert!(kept == least && stream.held() >= least, "{place}");
    let seen = vec![0; 40];
    let seen = stream.overlay(1, &seen).unwrap_or(seen);
    let start = model.judged + 1;
    let expected: Vec<u8> = (start..start + 40).map(|offset| model.value_of(offset, 0)).collect();
    assert_eq!(seen, expected, "{place}: what left early");
}

/// A flow as the model knows it.
#[derive(Clone, Copy)]
struct Known {
    id: u64,
    client: usize,
    seen: u64,
    until: u64,
    held: u64,
    is_over: bool,
}

/// The table as a list; keys are ports.
#[derive(Default)]
struct Flows(BTreeMap<usize, Known>);

impl Flows {
    /// Which flow leaves a full table for one of this client.
    fn victim(&self, client: usize) -> u64 {
        let share = |of: usize| self.0.values().filter(|flow| flow.client == of).count();
        let share = |of: usize| share(of) + usize::from(of == client);
        let over: Vec<_> = self.0.values().filter(|flow| flow.is_over).collect();
        let most = self.0.values().map(|flow| share(flow.client)).max();
        let of_largest = self.0.values().filter(|flow| Some(share(flow.client)) == most);
        let choice = if over.is_empty() { of_largest.collect() } else { over };
        choice.iter().min_by_key(|flow| (flow.seen, flow.id)).unwrap().id
    }

    /// The flows that are to give back so many bytes.
    fn heaviest(&self, bytes: u64) -> Vec<u64> {
        let mut left: Vec<Known> = self.0.values().filter(|flow| flow.held > 0).copied().collect();
        let (mut taken, mut sum) = (Vec::new(), 0);
        while sum < bytes {
            let total = |of: usize| -> u64 {
                left.iter().filter(|flow| flow.client == of).map(|flow| flow.held).sum()
            };
            let order = |flow: &&Known| (total(flow.client), flow.held, u64::MAX - flow.id);
            let Some(next) = left.iter().max_by_key(order).copied() else { break };
            left.retain(|flow| flow.id != next.id);
            taken.push(next.id);
            sum += next.held;
        }
        taken
    }

    fn remove(&mut self, id: u64) {
        self.0.retain(|_, flow| flow.id != id);
    }
}

const FLOWS_MAX: usize = 20;

/// The table and its model, kept in step.
struct Both {
    table: FlowTable<u64>,
    model: Flows,
    now: u64,
}

impl Both {
    /// Ports below 10 are of the first client, and so on.
    fn client(port: usize) -> usize {
        port / 10
    }

    fn ends(port: usize) -> (HashedKey, Ends) {
        let end = |last: usize, port| Endpoint { address: [192, 0, 2, last as u8].into(), port };
        let originator = end(Self::client(port) + 1, port as u16);
        let responder = end(200, 25);
        let key = HashedKey::new(FlowKey::of(originator, responder), &Keyed::new(1));
        (key, Ends { originator, responder })
    }

    fn newcomer(port: usize, seen: u64, due: u64) -> Newcomer {
        let (key, ends) = Self::ends(port);
        let is_originator_low = key.plain().is_low(ends.originator);
        Newcomer { key, is_originator_low, since: seen, seen, due }
    }

    fn insert(&mut self, random: &mut Random, port: usize) {
        let until = self.now + 1 + random.below(20) as u64;
        let newcomer = Self::newcomer(port, self.now, until);
        let mut expected = Vec::from_iter(self.model.0.get(&port).map(|flow| flow.id));
        expected.iter().for_each(|&id| self.model.remove(id));
        let client = Self::client(port);
        if self.model.0.len() == FLOWS_MAX {
            expected.push(self.model.victim(client));
        }
        expected.iter().for_each(|&id| self.model.remove(id));
        let inserted = self.table.insert(newcomer, |_| until);
        let displaced: Vec<_> = inserted.displaced.iter().map(|flow| flow.id()).collect();
        assert_eq!(displaced, expected);
        assert!(inserted.displaced.iter().all(|flow| flow.lock_if_present().is_none()));
        let id = inserted.flow.id();
        let known = Known { id, client, seen: self.now, until, held: 0, is_over: false };
        self.model.0.insert(port, known);
    }

    /// Something changes about a flow: what it holds, whether it is over, how long it lives.
    fn change(&mut self, random: &mut Random, port: usize) {
        let (key, ends) = Self::ends(port);
        let Some(flow) = self.table.find(&key) else { return };
        let known = self.model.0.get_mut(&port).unwrap();
        assert_eq!((flow.id(), flow.ends()), (known.id, ends));
        match random.below(4) {
            0 => {
                let held = random.below(5) * 100;
                assert_eq!(flow.held() as u64, known.held);
                flow.hold(held);
                known.held = held as u64;
            }
            1 => {
                known.is_over = random.below(2) == 0;
                flow.set_over(known.is_over);
            }
            2 => {
                known.seen = self.now;
                flow.touch(self.now);
            }
            _ => {
                known.until = self.now + 1 + random.below(20) as u64;
                *flow.lock_if_present().unwrap() = known.until;
                self.table.schedule(&flow, known.until);
            }
        }
    }

    fn expire(&mut self, random: &mut Random) {
        self.now += random.below(4) as u64;
        let now = self.now;
        let mut ended = Vec::new();
        self.table.expire(now, 1_000, |_, until| *until, |flow, _| ended.push(flow.id()));
        ended.sort_unstable();
        let due = self.model.0.values().filter(|flow| flow.until <= now);
        let mut due: Vec<_> = due.map(|flow| flow.id).collect();
        due.sort_unstable();
        assert_eq!(ended, due, "second {now}");
        self.model.0.retain(|_, flow| flow.until > now);
    }

    fn check(&self, random: &mut Random, port: usize) {
        let found = self.table.find(&Self::ends(port).0).map(|flow| flow.id());
        assert_eq!(found, self.model.0.get(&port).map(|flow| flow.id));
        let bytes = random.below(3_000);
        let heaviest: Vec<_> = self.table.heaviest(bytes).iter().map(|flow| flow.id()).collect();
        assert_eq!(heaviest, self.model.heaviest(bytes as u64));
        let (mut all, mut known) = (Vec::new(), Vec::new());
        self.table.for_each(|flow| all.push((flow.id(), flow.seen(), flow.held() as u64)));
        known.extend(self.model.0.values().map(|flow| (flow.id, flow.seen, flow.held)));
        known.sort_unstable();
        assert_eq!(all, known);
        assert_eq!(self.table.len(), all.len());
    }
}

#[test]
fn the_table_of_flows_is_a_bounded_map_with_deadlines_and_shares() {
    for seed in 0..RUNS {
        let mut random = Random::new(seed);
        let table = FlowTable::new(FLOWS_MAX);
        let mut both = Both { table, model: Flows::default(), now: 0 };
        // A failure says what differs, this line which run it was.
        let _run = Said(seed);
        for _ in 0..300 {
            let port = random.below(40);
            match random.below(8) {
                0..4 => both.insert(&mut random, port),
                4 => {
                    let known = both.model.0.remove(&port).map(|flow| flow.id);
                    let removed = both.table.remove(&Both::ends(port).0);
                    assert_eq!(removed.map(|flow| flow.id()), known);
                }
                5 | 6 => both.change(&mut random, port),
                _ => both.expire(&mut random),
            }
            both.check(&mut random, port);
        }
    }
}

/// Says its seed if the run fails.
struct Said(u64);

impl Drop for Said {
    fn drop(&mut self) {
        if std::thread::panicking() {
            println!("seed {}", self.0);
        }
    }
}

#[test]
fn threads_that_add_remove_expire_and_evict_lose_no_flow() {
    let table = FlowTable::new(300);
    let gone = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for thread in 0..4 {
            let (table, gone) = (&table, &gone);
            scope.spawn(move || churn(table, gone, thread));
        }
    });
    let mut left = 0;
    table.for_each(|_| left += 1);
    assert_eq!(table.len(), left);
    assert!(left <= 300);
    assert_eq!(gone.load(Relaxed) + left, 4 * STEPS);
    table.expire(u64::MAX, 1_000, |_, _| 0, |_, _| ());
    assert!(table.is_empty(), "each had its place in the queue");
}

/// Flows that one thread opens.
const STEPS: usize = 5_000;

/// Opens flows between ends that other threads open flows between as well, and counts those that
/// leave the table.
fn churn(table: &FlowTable<u64>, gone: &AtomicUsize, thread: usize) {
    for step in 0..STEPS {
        let port = (step * 7 + thread) % 500;
        let seen = step as u64 / 50;
        let due = seen + step as u64 % 5;
        let inserted = table.insert(Both::newcomer(port, seen, due), |_| due);
        for flow in &inserted.displaced {
            assert!(flow.lock_if_present().is_none());
        }
        gone.fetch_add(inserted.displaced.len(), Relaxed);
        table.schedule(&inserted.flow, due);
        table.expire(
            seen,
            4,
            |_, until| *until,
            |_, _| {
                gone.fetch_add(1, Relaxed);
            },
        );
        let is_removed = step % 9 == 0 && table.remove(&Both::ends(port).0).is_some();
        gone.fetch_add(usize::from(is_removed), Relaxed);
    }
}
