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

    /// Looks for bytes that would define no address, and makes spaces of them or not. Whether there
    /// are any. Where the path ends and how long it is, nobody asks of such a line.
    pub(super) fn scan(&mut self, bytes: &mut [u8], is_replaced: bool) -> bool {
        let (mut is_open, mut has_stray) = (self.is_open, false);
        for byte in bytes {
            let (opens, closes) = (*byte == b'<', *byte == b'>');
            let is_stray = (*byte == b'|') | (opens & is_open) | (closes & !is_open);
            is_open = (is_open | opens) & !closes;
            has_stray |= is_stray;
            *byte = if is_stray & is_replaced { b' ' } else { *byte };
        }
        self.is_open = is_open;
        has_stray
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
    pub(super) fn push(&mut self, byte: u8) {
        match byte {
            b'<' => self.is_open = true,
            b'>' => self.is_open = false,
            _ => {}
        }
        self.place = match (self.place, byte) {
            (Place::Key, b':') => Place::Start,
            (Place::Start, b' ' | b'\t') => Place::Start,
            (Place::Start, b'<') => Place::Open,
            (Place::Bare, b' ' | b'\t') | (Place::Open, b'>') => Place::Behind,
            (Place::Open, b'"') => self.longer(Place::Quoted),
            (Place::Quoted, b'"') => self.longer(Place::Open),
            (Place::Quoted, b'\\') => self.longer(Place::Pair),
            (Place::Start | Place::Bare, _) => self.longer(Place::Bare),
            (Place::Open, _) => self.longer(Place::Open),
            (Place::Quoted | Place::Pair, _) => self.longer(Place::Quoted),
            (Place::Key, _) => Place::Key,
            (Place::Behind, _) => Place::Behind,
        };
    }

    fn longer(&mut self, place: Place) -> Place {
        self.length = self.length.saturating_add(1);
        place
    }
}
