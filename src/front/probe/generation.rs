//! The generations of Mailguard, by the names of the profiles, and sets of them.

/// A generation, or a profile of this program that is like none of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Generation {
    /// This program's default.
    Mailguard,
    /// This program's profile for the servers of today.
    Esmtp,
    /// PIX 4.0 to 4.2.
    Pix41,
    /// PIX 4.4.
    Pix44,
    /// PIX 5.1 to 5.2(3).
    Pix51,
    /// PIX 5.2(4) to 6.0.
    Pix524,
    /// PIX 6.1 to 6.3.
    Pix63,
    /// PIX 7, ASA and what followed.
    Asa,
}

impl Generation {
    /// All of them, in order.
    pub(super) const ALL: [Self; 8] = [
        Self::Mailguard,
        Self::Esmtp,
        Self::Pix41,
        Self::Pix44,
        Self::Pix51,
        Self::Pix524,
        Self::Pix63,
        Self::Asa,
    ];

    /// The name of its profile.
    #[must_use]
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Mailguard => "mailguard",
            Self::Esmtp => "esmtp",
            Self::Pix41 => "pix-4.1",
            Self::Pix44 => "pix-4.4",
            Self::Pix51 => "pix-5.1",
            Self::Pix524 => "pix-5.2.4",
            Self::Pix63 => "pix-6.3",
            Self::Asa => "asa",
        }
    }

    /// What it is.
    #[must_use]
    pub(super) const fn description(self) -> &'static str {
        match self {
            Self::Mailguard => "this program, default profile",
            Self::Esmtp => "this program, esmtp profile",
            Self::Pix41 => "PIX 4.0 to 4.2, mailhost",
            Self::Pix44 => "PIX 4.4, fixup protocol smtp",
            Self::Pix51 => "PIX 5.1 to 5.2(3), fixup protocol smtp",
            Self::Pix524 => "PIX 5.2(4) to 6.0, fixup protocol smtp",
            Self::Pix63 => "PIX 6.1 to 6.3, fixup protocol smtp",
            Self::Asa => "PIX 7, ASA and FTD, inspect esmtp",
        }
    }
}

/// A set of generations.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Generations(u8);

impl Generations {
    /// Every one.
    pub(super) const ALL: Self = Self::of(&Generation::ALL);

    /// Those that answer OK to what they refuse.
    pub(super) const NOOP: Self =
        Self::of(&[Generation::Pix41, Generation::Pix44, Generation::Pix51, Generation::Pix524]);

    /// Those that have the server answer 500 to what they refuse.
    pub(super) const X: Self =
        Self::of(&[Generation::Mailguard, Generation::Esmtp, Generation::Pix63, Generation::Asa]);

    /// Those that let EHLO through.
    pub(super) const ESMTP: Self = Self::of(&[Generation::Esmtp, Generation::Asa]);

    /// Those whose banners follow the rule of 5.1.
    pub(super) const RULE_51: Self = Self::of(&[
        Generation::Mailguard,
        Generation::Pix51,
        Generation::Pix524,
        Generation::Pix63,
    ]);

    /// Those that judge the stream, not the packet.
    pub(super) const STREAM: Self = Self::of(&[Generation::Mailguard, Generation::Esmtp]);

    /// The set of these.
    #[must_use]
    pub(super) const fn of(members: &[Generation]) -> Self {
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
    pub(super) const fn contains(self, generation: Generation) -> bool {
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
    pub(super) fn iter(self) -> impl Iterator<Item = Generation> {
        Generation::ALL.into_iter().filter(move |one| self.contains(*one))
    }
}
