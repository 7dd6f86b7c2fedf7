//! Random operations on the structures that law 2 rests on, held against models too simple to be
//! wrong: a stream against a map from offset to byte, the table of flows against a list.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::support::random::Random;
use mailguard::flow::{Endpoint, FlowKey, FlowTable};
use mailguard::offset::Offset;
use mailguard::tcp::{Place, Stream, Violation, Window};
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
    for seed in 0..RUNS {
        let mut random = Random::new(seed);
        let isn = Seq(0_u32.wrapping_sub(random.below(300) as u32));
        let (mut stream, mut model) = (Stream::new(isn, Window::unknown(), &Arc::default()), Model::default());
        for step in 0..200 {
            let bytes: Vec<u8> = (0..=random.below(30)).map(|_| random.below(256) as u8).collect();
            operate(&mut random, &mut stream, &mut model, &bytes);
            check(&stream, &model, &format!("seed {seed}, step {step}"));
        }
    }
}

fn operate(random: &mut Random, stream: &mut Stream, model: &mut Model, bytes: &[u8]) {
    match random.below(8) {
        0..3 => {
            if model.fin.is_none() {
                stream.append(bytes);
                stream.commit(stream.appended());
                while stream.append_early() > 0 {
                    stream.commit(stream.appended());
                }
                model.fill(bytes);
            }
        }
        3 => {
            // What has to wait is taken back and leaves no trace.
            stream.append(bytes);
            stream.commit(Offset::new(model.judged));
        }
        4 => {
            let distance = 1 + random.below(80);
            let mut left = bytes.to_vec();
            stream.overlay(distance, &mut left);
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
            let taken = stream.acknowledge(stream.seq(Offset::new(ack)), 60_000);
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
            let place = stream.place(stream.seq(start), bytes.len());
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
    let mut seen = vec![0; 40];
    stream.overlay(1, &mut seen);
    let start = model.judged + 1;
    let expected: Vec<u8> = (start..start + 40).map(|offset| model.value_of(offset, 0)).collect();
    assert_eq!(seen, expected, "{place}: what left early");
}

#[test]
fn the_table_of_flows_is_a_bounded_map_with_deadlines() {
    for seed in 0..RUNS {
        let mut random = Random::new(seed);
        let table = FlowTable::new(20);
        let mut model: BTreeMap<usize, (u64, u64)> = BTreeMap::new();
        let key = |port: usize| {
            let end = |last, port| Endpoint { address: [192, 0, 2, last].into(), port };
            FlowKey::of(end(1, port as u16), end(2, 25))
        };
        let mut now = 0;
        for _ in 0..300 {
            let port = random.below(30);
            match random.below(5) {
                0 | 1 if !model.contains_key(&port) => {
                    let until = now + 1 + random.below(20) as u64;
                    let mut id = 0;
                    let added = table.insert(key(port), until, |new| {
                        id = new;
                        (port, until)
                    });
                    assert_eq!(added.is_some(), model.len() < 20);
                    if added.is_some() {
                        model.insert(port, (id, until));
                    }
                }
                2 => assert_eq!(table.remove(&key(port)).is_some(), model.remove(&port).is_some()),
                3 => {
                    // Silence may end sooner than it was to, or later.
                    let until = now + 1 + random.below(20) as u64;
                    if let (Some(flow), Some(entry)) =
                        (table.find(&key(port)), model.get_mut(&port))
                    {
                        flow.lock().1 = until;
                        entry.1 = until;
                        table.schedule(key(port), entry.0, until);
                    }
                }
                _ => {
                    now += random.below(4) as u64;
                    let mut ended = Vec::new();
                    table.expire(now, 1_000, |flow| flow.1, |flow| ended.push(flow.0));
                    ended.sort_unstable();
                    let due: Vec<_> = model
                        .iter()
                        .filter(|(_, flow)| flow.1 <= now)
                        .map(|(&port, _)| port)
                        .collect();
                    assert_eq!(ended, due, "seed {seed}, second {now}");
                    model.retain(|_, flow| flow.1 > now);
                }
            }
            assert_eq!(table.len(), model.len());
            assert_eq!(table.find(&key(port)).is_some(), model.contains_key(&port));
        }
    }
}
