//! What was counted, as a record of an image: whoever goes on counts on.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::super::stats::Counted;
use super::super::{Heard, Reason, Stats};
use super::LAST_WITHOUT_CATALOGUE;
use crate::guard::Rule;
use crate::patch::Deed;

/// What is not zero. Counters have their names here, so that a successor that has others loses no
/// more than those.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Counts {
    counters: Vec<(String, u64)>,
    drops: BTreeMap<Reason, u64>,
    withheld: BTreeMap<Reason, u64>,
    rules: BTreeMap<Rule, u64>,
    tls: BTreeMap<Heard, u64>,
    patches: BTreeMap<(String, Deed), u64>,
}

impl Counts {
    pub(super) fn of(stats: Stats) -> Self {
        let counters = stats.counters().into_iter().filter(|counter| counter.value > 0);
        let counters = counters.map(|counter| (counter.name.to_owned(), counter.value)).collect();
        let patches = stats.patches.into_iter();
        let patches = patches.map(|((id, deed), count)| ((id.to_string(), deed), count)).collect();
        let Stats { drops, withheld, rules, tls, .. } = stats;
        Self { counters, drops, withheld, rules, tls, patches }
    }

    /// As if all of it had been counted just now.
    pub(super) fn into_counted(self, format: u32) -> Counted {
        let Self { counters, mut drops, mut withheld, mut rules, tls, patches } = self;
        // Rules had other numbers then.
        if format <= LAST_WITHOUT_CATALOGUE {
            rules.clear();
            for reasons in [&mut drops, &mut withheld] {
                reasons.retain(|reason, _| !matches!(reason, Reason::Rule(_)));
            }
        }
        let patches = patches.into_iter();
        let patches = patches.map(|((id, deed), count)| (id.into(), deed, count)).collect();
        let mut counted = Counted { drops, withheld, rules, tls, patches, ..Counted::default() };
        counters.iter().for_each(|(name, value)| counted.set(name, *value));
        counted
    }
}
