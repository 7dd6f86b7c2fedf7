//! What a daemon answers, as numbers, and how fast they grow between two answers.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Deserialize;

use crate::front::FrontError;

/// The four answers of one look.
#[derive(Clone, Copy, Debug)]
pub(super) struct Answers<'a> {
    pub(super) status: &'a str,
    pub(super) stats: &'a str,
    pub(super) queues: &'a str,
    pub(super) flows: &'a str,
}

/// A filter at one moment.
#[derive(Clone, Debug)]
pub(super) struct Sample {
    /// When that was, on the clock of whoever looks.
    pub(super) at: Duration,
    pub(super) status: Status,
    counters: BTreeMap<String, u64>,
    pub(super) queues: Vec<Queue>,
    pub(super) flows: Vec<Flow>,
}

/// The answer to `status`, as far as it is shown.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct Status {
    pub(super) version: String,
    pub(super) profile: String,
    pub(super) ports: Vec<u16>,
    pub(super) monitor: bool,
    pub(super) seconds: u64,
    pub(super) flows: u64,
    pub(super) flows_max: u64,
    pub(super) store_bytes: u64,
    pub(super) store_bytes_max: u64,
}

/// A line of `queues`.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct Queue {
    pub(super) queue: u16,
    pub(super) waiting: u64,
    pub(super) length: u64,
    pub(super) dropped_queue_full: u64,
    pub(super) dropped_buffer_full: u64,
}

/// A line of `flows`.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct Flow {
    pub(super) id: u64,
    pub(super) client: String,
    pub(super) server: String,
    pub(super) state: String,
    pub(super) age: u64,
    pub(super) idle: u64,
    #[serde(rename = "in")]
    sent: u64,
    #[serde(rename = "out")]
    answered: u64,
    pub(super) last: Option<String>,
    pub(super) refused: u64,
    pub(super) edited: u64,
}

impl Flow {
    /// Bytes in both directions.
    pub(super) const fn bytes(&self) -> u64 {
        self.sent.saturating_add(self.answered)
    }
}

/// A line of `stats`.
#[derive(Deserialize)]
struct Counter {
    name: String,
    value: u64,
}

impl Sample {
    /// Reads what was answered; nothing if it is not what a filter answers.
    pub(super) fn read(at: Duration, answers: &Answers<'_>) -> Option<Self> {
        let counters: Vec<Counter> = objects(answers.stats)?;
        Some(Self {
            at,
            status: serde_json::from_str(answers.status).ok()?,
            counters: counters.into_iter().map(|one| (one.name, one.value)).collect(),
            queues: objects(answers.queues)?,
            flows: objects(answers.flows)?,
        })
    }

    /// A counter; of a family, whose name ends in a colon, the sum.
    fn sum(&self, name: &str) -> u64 {
        if !name.ends_with(':') {
            return self.counters.get(name).copied().unwrap_or(0);
        }
        self.counters.iter().filter(|(one, _)| one.starts_with(name)).map(|(_, value)| value).sum()
    }
}

/// One object a line; a line that is none says that the answer was too long, as a last object does
/// that counts how many more there are.
fn objects<T: for<'de> Deserialize<'de>>(text: &str) -> Option<Vec<T>> {
    let lines = text.lines().filter(|line| line.starts_with('{') && !line.starts_with(MORE));
    lines.map(|line| serde_json::from_str(line).ok()).collect()
}

const MORE: &str = "{\"more\":";

/// All that is to be seen: the last look, the one before it, and what is wrong since.
#[derive(Debug, Default)]
pub(super) struct View {
    last: Option<Sample>,
    before: Option<Sample>,
    trouble: Option<String>,
}

impl View {
    /// Takes what came of another look.
    pub(super) fn take(&mut self, looked: Result<Sample, FrontError>) {
        match looked {
            Ok(sample) => {
                // Counters of another process grow from zero: no difference says anything.
                let is_same = |old: &Sample| old.status.seconds <= sample.status.seconds;
                self.before = self.last.take().filter(is_same);
                self.last = Some(sample);
                self.trouble = None;
            }
            Err(error) => self.trouble = Some(error.to_string()),
        }
    }

    /// What is wrong.
    pub(super) fn trouble(&self) -> Option<&str> {
        self.trouble.as_deref()
    }

    /// The last look.
    pub(super) const fn last(&self) -> Option<&Sample> {
        self.last.as_ref()
    }

    /// A counter, or a family of them.
    pub(super) fn count(&self, name: &str) -> Count {
        let all = self.last.as_ref().map_or(0, |sample| sample.sum(name));
        let before = self.before.as_ref().map(|sample| sample.sum(name));
        Count::of(all, before.zip(self.seconds()))
    }

    /// The members of some families, the fastest first: a family's mark, and what is behind its
    /// name.
    pub(super) fn ranking(&self, families: &[(&str, &str)]) -> Vec<(String, Count)> {
        let names = self.last.iter().flat_map(|sample| sample.counters.keys());
        let mut ranked: Vec<(String, Count)> = names
            .filter_map(|name| {
                let (family, mark) = families.iter().find(|(one, _)| name.starts_with(one))?;
                let short = name.strip_prefix(family)?;
                Some((format!("{mark}{short}"), self.count(name)))
            })
            .collect();
        // Those that stand still keep the order of their names, so that no line jumps.
        ranked.sort_by(|(_, a), (_, b)| b.pace().total_cmp(&a.pace()).then(b.all.cmp(&a.all)));
        ranked
    }

    /// The flows, the busiest first, then those that spoke last.
    pub(super) fn flows(&self) -> Vec<(&Flow, Count)> {
        let flows = self.last.iter().flat_map(|sample| &sample.flows);
        let old: BTreeMap<u64, u64> = self
            .before
            .iter()
            .flat_map(|sample| &sample.flows)
            .map(|flow| (flow.id, flow.bytes()))
            .collect();
        let count = |flow: &Flow| {
            let seconds = self.seconds()?;
            // One that was not looked at before has not grown since, unless it is new.
            #[expect(clippy::cast_precision_loss, reason = "an age is a small number")]
            let is_new = flow.age as f64 <= seconds;
            let before = old.get(&flow.id).copied().or_else(|| is_new.then_some(0))?;
            Some((before, seconds))
        };
        let mut flows: Vec<(&Flow, Count)> =
            flows.map(|flow| (flow, Count::of(flow.bytes(), count(flow)))).collect();
        flows.sort_by(|(a, fast), (b, faster)| {
            let by_pace = faster.pace().total_cmp(&fast.pace());
            by_pace.then(a.idle.cmp(&b.idle)).then(a.id.cmp(&b.id))
        });
        flows
    }

    /// Between the two looks; nothing if they are one.
    fn seconds(&self) -> Option<f64> {
        let (before, last) = (self.before.as_ref()?, self.last.as_ref()?);
        let seconds = last.at.saturating_sub(before.at).as_secs_f64();
        (seconds > 0.0).then_some(seconds)
    }
}

/// What a counter says, and how fast it grows.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Count {
    /// Since the filter began.
    pub(super) all: u64,
    /// A second; unknown until there are two looks.
    pub(super) rate: Option<f64>,
}

impl Count {
    fn of(all: u64, before: Option<(u64, f64)>) -> Self {
        #[expect(clippy::cast_precision_loss, reason = "a rate is read by people")]
        let rate = before.map(|(old, seconds)| all.saturating_sub(old) as f64 / seconds);
        Self { all, rate }
    }

    /// For comparing.
    fn pace(self) -> f64 {
        self.rate.unwrap_or(0.0)
    }
}
