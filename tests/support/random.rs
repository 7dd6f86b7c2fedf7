//! Seeded randomness.

use std::env;
use std::fmt::Debug;
use std::ops::Range;

/// The number that this variable of the environment has, if it is set.
pub fn environment(name: &str, otherwise: u64) -> u64 {
    env::var(name).map_or(otherwise, |value| value.parse().unwrap())
}

/// The one seed that `SEED` and `KIND` in the environment ask for, or none of this kind; nothing
/// where they ask for none.
pub fn asked<K: Debug>(kinds: &[K], kind: &K) -> Option<Range<u64>> {
    let seed: u64 = env::var("SEED").ok()?.parse().unwrap();
    let names: Vec<String> = kinds.iter().map(|kind| format!("{kind:?}")).collect();
    let wanted = env::var("KIND").unwrap_or_default();
    assert!(names.contains(&wanted), "KIND is \"{wanted}\", and SEED wants one of {names:?}");
    Some(if wanted == format!("{kind:?}") { seed..seed + 1 } else { 0..0 })
}

/// xorshift64*: the same everywhere, and good enough to break things with.
pub struct Random(pub u64);

impl Random {
    /// Neighbouring seeds start far apart, and none at zero, where it would stay.
    pub fn new(seed: u64) -> Self {
        let mut mixed = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        Self((mixed ^ (mixed >> 31)) | 1)
    }

    /// A number below `bound`.
    pub fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        let bits = self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33;
        usize::try_from(bits).unwrap() % bound
    }

    /// Changes a few bytes.
    pub fn mutate(&mut self, bytes: &mut [u8]) {
        for _ in 0..=self.below(6) {
            let at = self.below(bytes.len());
            bytes[at] = match self.below(4) {
                0 => 0,
                1 => 0xff,
                2 => bytes[at] ^ (1 << self.below(8)),
                _ => u8::try_from(self.below(256)).unwrap(),
            };
        }
    }
}
