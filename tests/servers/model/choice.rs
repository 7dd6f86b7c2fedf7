//! Where a dialogue's choices come from: a seed, or the bytes of a fuzzer.
//!
//! Zero is the calm choice everywhere: no loss, no cut, no quirk. So a fuzzer's short input is a
//! plain dialogue, and one that has run out of bytes ends calmly.

use crate::support::random::Random;

/// A source of choices.
pub enum Choice<'a> {
    Seeded(Random),
    Scripted(&'a [u8]),
}

impl Choice<'_> {
    pub fn seeded(seed: u64) -> Self {
        Choice::Seeded(Random::new(seed))
    }

    /// A number below `bound`.
    pub fn below(&mut self, bound: usize) -> usize {
        match self {
            Choice::Seeded(random) => random.below(bound),
            Choice::Scripted(bytes) => {
                let width = if bound > 256 { 2 } else { 1 };
                let (head, rest) = bytes.split_at(bytes.len().min(width));
                *bytes = rest;
                head.iter().fold(0, |number, &byte| number << 8 | usize::from(byte)) % bound
            }
        }
    }

    /// True once in so many times; false where nothing is chosen.
    pub fn one_in(&mut self, times: usize) -> bool {
        self.below(times) == times - 1
    }

    /// One of these.
    pub fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.below(from.len())]
    }
}
