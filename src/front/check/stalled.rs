//! Whether those who serve queues answer: where packets wait, some leave before long.
//!
//! What a filter had read when it died waits as well, until its successor gets a packet: that one
//! is well, and has left nothing unread.

use std::collections::BTreeSet;
use std::thread;
use std::time::Duration;

use super::owner;
use crate::front::nfqueue::listing::{self, Entry};

/// Those of these queues in which packets wait and none is answered.
pub(super) fn queues(entries: impl Iterator<Item = Entry>) -> BTreeSet<u16> {
    let mut suspects: Vec<_> = entries.filter(|entry| entry.waiting > 0).collect();
    for _ in 0..LOOKS {
        if suspects.is_empty() {
            return BTreeSet::new();
        }
        thread::sleep(INTERVAL);
        let now = listing::read().unwrap_or_default();
        suspects.retain(|earlier| now.iter().any(|entry| is_stalled(earlier, entry)));
    }
    let unread = owner::unread(suspects.iter().map(|entry| entry.port));
    suspects.iter().filter(|it| unread.contains(&it.port)).map(|it| it.number).collect()
}

/// Whether this is the same queue, and nothing was answered between the two looks.
fn is_stalled(earlier: &Entry, now: &Entry) -> bool {
    let of = |entry: &Entry| (entry.number, entry.port);
    of(earlier) == of(now) && now.waiting > 0 && !now.has_answered_since(earlier)
}

/// A filter that lives answers within milliseconds, and within these two seconds on a machine that
/// is busy.
const LOOKS: usize = 20;

/// How long from one look to the next.
const INTERVAL: Duration = Duration::from_millis(100);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_queue_that_is_still_the_same_and_answers_nothing_is_stalled() {
        let earlier = Entry { number: 3, port: 7, waiting: 2, last: 9, ..Entry::default() };
        for (now, expected) in [
            (earlier, true),
            (Entry { waiting: 4, last: 11, ..earlier }, true),
            (Entry { waiting: 4, last: 12, ..earlier }, false),
            (Entry { waiting: 0, ..earlier }, false),
            (Entry { port: 8, ..earlier }, false),
            (Entry { number: 4, ..earlier }, false),
        ] {
            assert_eq!(is_stalled(&earlier, &now), expected, "{now:?}");
        }
        assert!(queues([Entry { waiting: 0, ..earlier }].into_iter()).is_empty());
    }
}
