//! What each generation of Mailguard is called, and sets of them. Each has a profile.

use crate::guard::Profile;

/// What it is.
#[must_use]
pub(super) const fn description(generation: Profile) -> &'static str {
    match generation {
        Profile::Mailguard => "this program, default profile",
        Profile::Esmtp => "this program, esmtp profile",
        Profile::Pix41 => "PIX 4.0 to 4.2, mailhost",
        Profile::Pix44 => "PIX 4.4, fixup protocol smtp",
        Profile::Pix51 => "PIX 5.1 to 5.2(3), fixup protocol smtp",
        Profile::Pix524 => "PIX 5.2(4) to 6.0, fixup protocol smtp",
        Profile::Pix63 => "PIX 6.1 to 6.3, fixup protocol smtp",
        Profile::Asa => "PIX 7, ASA and FTD, inspect esmtp",
    }
}

/// A set of generations.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Generations(u8);

impl Generations {
    /// Every one.
    pub(super) const ALL: Self = Self::of(&Profile::ALL);

    /// Those that answer OK to what they refuse.
    pub(super) const NOOP: Self =
        Self::of(&[Profile::Pix41, Profile::Pix44, Profile::Pix51, Profile::Pix524]);

    /// Those that have the server answer 500 to what they refuse.
    pub(super) const X: Self =
        Self::of(&[Profile::Mailguard, Profile::Esmtp, Profile::Pix63, Profile::Asa]);

    /// Those that let EHLO through.
    pub(super) const ESMTP: Self = Self::of(&[Profile::Esmtp, Profile::Asa]);

    /// Those whose banners follow the rule of 5.1.
    pub(super) const RULE_51: Self =
        Self::of(&[Profile::Mailguard, Profile::Pix51, Profile::Pix524, Profile::Pix63]);

    /// Those that judge the stream, not the packet.
    pub(super) const STREAM: Self = Self::of(&[Profile::Mailguard, Profile::Esmtp]);

    /// The set of these.
    #[must_use]
    pub(super) const fn of(members: &[Profile]) -> Self {
        let mut bits = 0;
        let mut rest = members;
        while let [member, tail @ ..] = rest {
            bits |= 1 << (*member as u8);
            rest = tail;
        }
        Self(bits)
    }

    /// Whether it is in the set.
    #[must_use]
    pub(super) const fn contains(self, generation: Profile) -> bool {
        self.0 & (1 << (generation as u8)) != 0
    }

    /// Those in both.
    #[must_use]
    pub(super) const fn and(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    /// Those in either.
    #[must_use]
    pub(super) const fn or(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// All others.
    #[must_use]
    pub(super) const fn complement(self) -> Self {
        Self(Self::ALL.0 & !self.0)
    }

    /// Its members, in order.
    pub(super) fn iter(self) -> impl Iterator<Item = Profile> {
        Profile::ALL.into_iter().filter(move |one| self.contains(*one))
    }
}
