//! The hash of this layer: SipHash-1-3, keyed by the engine's seed.
//!
//! Whoever does not know the seed can aim at no place of a table. With a given seed every run is
//! the same, which `RandomState` would not allow.

use std::hash::BuildHasher;

use siphasher::sip::SipHasher13;

/// A keyed hash.
#[derive(Clone, Copy, Debug)]
pub struct Keyed {
    seed: u64,
}

impl Keyed {
    /// The hash under this seed.
    #[must_use]
    pub const fn new(seed: u64) -> Self {
        Self { seed }
    }

    /// A link-layer address in 16 bits; 0 stands for an unknown one and for nothing else.
    #[must_use]
    pub fn link(&self, address: u64) -> u16 {
        if address == 0 {
            return 0;
        }
        let folded = self.hash_one(address) % u64::from(u16::MAX);
        u16::try_from(folded).unwrap_or(0).saturating_add(1)
    }
}

impl BuildHasher for Keyed {
    type Hasher = SipHasher13;

    fn build_hasher(&self) -> SipHasher13 {
        SipHasher13::new_with_keys(self.seed, !self.seed)
    }
}
