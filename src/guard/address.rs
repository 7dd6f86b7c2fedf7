//! The argument of MAIL and RCPT: which of its bytes define no address, how long the address is,
//! and what makes every server refuse the line from a given byte on.
//!
//! ```text
//!   Key ──:──► Start ──<──► Open ◄──"──► Quoted ◄──\──► Pair
//!                │            └─────>──────► Behind
//!                └─other─► Bare ──SP,TAB───────┘
//! ```

use serde::{Deserialize, Serialize};

use super::mask::Mask;

/// Where in the argument the next byte stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
enum Place {
    /// In `FROM:` or `TO:`.
    #[default]
    Key,
    /// Behind the colon.
    Start,
    /// In a path without brackets.
    Bare,
    /// Behind `<`.
    Open,
    /// In a quoted string behind `<`.
    Quoted,
    /// Behind a backslash in one.
    Pair,
    /// Behind the path: parameters.
    Behind,
}

/// The address under way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Address {
    place: Place,
    /// A `<` waits for its `>`.
    is_open: bool,
    /// Bytes of the path, its brackets not counted.
    length: u16,
}

impl Address {
    /// Whether the last byte stands behind the path.
    pub(super) const fn is_over(self) -> bool {
        matches!(self.place, Place::Behind)
    }

    /// Bytes of the path so far.
    pub(super) fn length(self) -> u32 {
        u32::from(self.length)
    }

    /// Whether this byte would define no address: `|` never does, `<` does not inside `<`, `>`
    /// does not without `<` (ASA 5500 guide, ESMTP inspection).
    pub(super) const fn is_stray(self, byte: u8) -> bool {
        match byte {
            b'|' => true,
            b'<' => self.is_open,
            b'>' => !self.is_open,
            _ => false,
        }
    }

    /// Whether this byte is one that an ASA's `special-character` minds, and stands in the path.
    pub(super) const fn is_special(self, byte: u8) -> bool {
        matches!(byte, b'|' | b'`' | 0) && !matches!(self.place, Place::Key | Place::Behind)
    }

    /// Takes bytes, and makes spaces of those that would define no address, or not: whether there
    /// are any.
    pub(super) fn read(&mut self, bytes: &mut [u8], is_replaced: bool) -> bool {
        let mut step = self.place as u8 | if self.is_open { OPEN } else { 0 };
        let (mut met, mut length) = (0, 0_u32);
        for byte in bytes {
            let steps = STEPS.get(usize::from(step & STATE));
            let class = CLASSES.get(usize::from(*byte)).copied().unwrap_or_default();
            step = steps.and_then(|steps| steps.get(usize::from(class))).copied().unwrap_or(step);
            met |= step;
            length += u32::from(step & LONGER) / u32::from(LONGER);
            if step & STRAY != 0 && is_replaced {
                *byte = b' ';
            }
        }
        self.is_open = step & OPEN != 0;
        let place = Place::ALL.get(usize::from(step & (OPEN - 1)));
        self.place = place.copied().unwrap_or_default();
        self.length = self.length.saturating_add(u16::try_from(length).unwrap_or(u16::MAX));
        met & STRAY != 0
    }

    /// What the next byte and the rest of the line have to become so that no server takes the line
    /// for one with another address. Measured with Postfix, Exim, OpenSMTPD and sendmail: all
    /// refuse each of these, and none refuses a space instead.
    pub(super) const fn cure(self) -> Mask {
        match self.place {
            Place::Key | Place::Open | Place::Quoted | Place::Pair => Mask::X,
            // `a@bXX` would be an address.
            Place::Start | Place::Bare => Mask::Bracket,
            // `>XX` alone is accepted by sendmail, a parameter that nobody knows is not.
            Place::Behind => Mask::Parameter,
        }
    }

    /// Takes the next byte.
    pub(super) const fn push(&mut self, byte: u8) {
        match byte {
            b'<' => self.is_open = true,
            b'>' => self.is_open = false,
            _ => {}
        }
        let (place, is_longer) = self.place.behind(byte);
        self.place = place;
        self.length = self.length.saturating_add(if is_longer { 1 } else { 0 });
    }
}

impl Place {
    /// Every place, in order.
    const ALL: [Self; 7] =
        [Self::Key, Self::Start, Self::Bare, Self::Open, Self::Quoted, Self::Pair, Self::Behind];

    /// Where the byte behind this one stands, and whether this one is of the path.
    const fn behind(self, byte: u8) -> (Self, bool) {
        match (self, byte) {
            (Self::Key, b':') => (Self::Start, false),
            (Self::Start, b' ' | b'\t') => (Self::Start, false),
            (Self::Start, b'<') => (Self::Open, false),
            (Self::Bare, b' ' | b'\t') | (Self::Open, b'>') => (Self::Behind, false),
            (Self::Open, b'"') => (Self::Quoted, true),
            (Self::Quoted, b'"') => (Self::Open, true),
            (Self::Quoted, b'\\') => (Self::Pair, true),
            (Self::Start | Self::Bare, _) => (Self::Bare, true),
            (Self::Open, _) => (Self::Open, true),
            (Self::Quoted | Self::Pair, _) => (Self::Quoted, true),
            (Self::Key, _) => (Self::Key, false),
            (Self::Behind, _) => (Self::Behind, false),
        }
    }
}

/// A step of [`Address::read`]: a place, and whether `<` waits for its `>`; above them whether the
/// byte is of the path, and whether it would define no address.
const OPEN: u8 = 1 << 3;
const STATE: u8 = OPEN | (OPEN - 1);
const LONGER: u8 = 1 << 4;
const STRAY: u8 = 1 << 5;

/// The bytes that lead anywhere else than others do.
const SPECIAL: &[u8; OTHERS as usize] = b":<>\"\\| ";

/// The class of all others.
const OTHERS: u8 = 7;

/// By byte: its class, which is its place in that list; a tab is in the space's.
#[expect(clippy::indexing_slicing, reason = "a constant that is wrong does not compile")]
const CLASSES: [u8; 256] = {
    let mut classes = [OTHERS; 256];
    let mut class = 0;
    while class < OTHERS {
        classes[SPECIAL[class as usize] as usize] = class;
        class += 1;
    }
    classes[b'\t' as usize] = classes[b' ' as usize];
    classes
};

/// By state and class: the step.
#[expect(clippy::indexing_slicing, reason = "a constant that is wrong does not compile")]
const STEPS: [[u8; SPECIAL.len() + 1]; STATE as usize + 1] = {
    let mut steps = [[0; SPECIAL.len() + 1]; STATE as usize + 1];
    let mut places: &[Place] = &Place::ALL;
    while let [place, rest @ ..] = places {
        let mut class = 0;
        while class <= SPECIAL.len() {
            let byte = if class < SPECIAL.len() { SPECIAL[class] } else { b'a' };
            let mut open = 0;
            while open <= OPEN {
                let mut address = Address { place: *place, is_open: open > 0, length: 0 };
                let stray = if address.is_stray(byte) { STRAY } else { 0 };
                address.push(byte);
                let longer = if address.length > 0 { LONGER } else { 0 };
                let is_open = if address.is_open { OPEN } else { 0 };
                let state = *place as u8 | open;
                steps[state as usize][class] = address.place as u8 | is_open | longer | stray;
                open += OPEN;
            }
            class += 1;
        }
        places = rest;
    }
    steps
};

#[cfg(test)]
mod tests;
