//! The hash of this layer: SipHash-1-3, keyed by the engine's seed.
//!
//! Whoever does not know the seed can aim at no place of a table. With a given seed every run is
//! the same, which `RandomState` would not allow.

use std::hash::Hasher;

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

    /// The hash of a few bytes, at once: fed to a hasher they cost twice as much.
    #[must_use]
    pub fn hash(&self, bytes: &[u8]) -> u64 {
        SipHasher13::new_with_keys(self.seed, !self.seed).hash(bytes)
    }

    /// A link-layer address in 16 bits; 0 stands for an unknown one and for nothing else.
    #[must_use]
    pub fn link(&self, address: u64) -> u16 {
        if address == 0 {
            return 0;
        }
        let folded = self.hash(&address.to_be_bytes()) % u64::from(u16::MAX);
        u16::try_from(folded).unwrap_or(0).saturating_add(1)
    }
}

/// What hands on a hash that is known.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Known(u64);

impl Hasher for Known {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write_u64(&mut self, hash: u64) {
        self.0 = hash;
    }

    /// Nothing but a hash is ever written.
    fn write(&mut self, _: &[u8]) {
        debug_assert!(false, "a hash is one number");
    }
}
