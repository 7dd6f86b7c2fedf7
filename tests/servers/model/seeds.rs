//! Dialogues by the thousand, and one again as text.

use std::collections::BTreeMap;
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};

use super::choice::Choice;
use super::dialogue::{Kind, play};
use super::properties::{Violation, check};
use super::trace::Trace;

/// Seeds named for each property that fails.
const NAMED: usize = 8;

/// What failed, by property: how often, the first seeds, and what the first said.
#[derive(Default)]
pub struct Failures(BTreeMap<&'static str, (u64, Vec<u64>, String)>);

impl Failures {
    fn add(&mut self, seed: u64, violation: Violation) {
        let entry = self.0.entry(violation.property);
        let (count, seeds, _) = entry.or_insert_with(|| (0, Vec::new(), violation.what));
        *count += 1;
        if seeds.len() < NAMED {
            seeds.push(seed);
        }
    }

    pub fn merge(&mut self, other: Self) {
        for (property, (count, seeds, what)) in other.0 {
            let entry = self.0.entry(property);
            let (sum, all, _) = entry.or_insert_with(|| (0, Vec::new(), what));
            *sum += count;
            all.extend(seeds);
            all.truncate(NAMED);
        }
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// A line for each property.
    pub fn lines(&self, kind: Kind) -> String {
        let line = |(property, (count, seeds, what)): (&&str, &(u64, Vec<u64>, String))| {
            format!("{property}: {count} times; KIND={kind:?} SEED={seeds:?}\n    {what}\n")
        };
        self.0.iter().map(line).collect()
    }
}

/// Plays one dialogue; a panic is a violation too.
pub fn run_seed(kind: Kind, seed: u64, trace: &Trace) -> Result<(), Violation> {
    let run = || {
        let dialogue = play(kind, &mut Choice::seeded(seed), trace.clone());
        trace.note(|| dialogue.summary());
        check(&dialogue)
    };
    catch_unwind(AssertUnwindSafe(run)).unwrap_or_else(|cause| {
        let text = cause.downcast_ref::<String>().cloned();
        let text = text.or_else(|| cause.downcast_ref::<&str>().map(|&text| text.to_owned()));
        Err(Violation { property: "P4 panic", what: text.unwrap_or_default() })
    })
}

/// Plays these seeds.
pub fn run_seeds(kind: Kind, seeds: Range<u64>) -> Failures {
    let mut failures = Failures::default();
    for seed in seeds {
        if let Err(violation) = run_seed(kind, seed, &Trace::default()) {
            failures.add(seed, violation);
        }
    }
    failures
}

/// The violation in each of these seeds that has one, a line each.
pub fn list(kind: Kind, seeds: Range<u64>) -> String {
    let line = |seed| {
        let violation = run_seed(kind, seed, &Trace::default()).err()?;
        Some(format!("{seed} {}: {}\n", violation.property, violation.what))
    };
    seeds.filter_map(line).collect()
}

/// One dialogue as text.
pub fn tell(kind: Kind, seed: u64) -> String {
    let trace = Trace::on();
    let outcome = run_seed(kind, seed, &trace);
    format!("{}\n{outcome:#?}", trace.text())
}
