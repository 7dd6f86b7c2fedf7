//! What bytes become that may not leave as they came.
//!
//! A mask goes on where the last run left it, so the bytes that leave do not depend on the cuts.
//! None of them lets a word be read that stood behind others: what becomes a space stands behind
//! NOOP or behind an address, never before a verb.

use memchr::{memchr, memchr2};
use pulp::{Arch, Simd, WithSimd};
use serde::{Deserialize, Serialize};

use super::Rule;
use crate::patch::Strike;
use crate::smtp::{is_gap, span};

/// The bytes that leave in place of a run: as many, by construction; and the patches that have
/// struck in it.
#[derive(Debug, Default)]
pub struct Draft {
    bytes: Vec<u8>,
    /// The bytes are those of the run under way.
    is_begun: bool,
    /// How far into the run a patch has struck, where the run is more than a line.
    pub(super) place: Option<usize>,
    /// What of the run is worth a line in the log, and at which byte.
    pub(super) noted: Option<(usize, Rule)>,
    /// From which byte of the run on an argument is masked.
    pub(super) masked_from: Option<usize>,
    pub(super) strikes: Vec<Strike>,
}

impl Draft {
    /// The drafted bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// How many of them differ from what came.
    #[must_use]
    pub fn changed(&self, run: &[u8]) -> u64 {
        Arch::new().dispatch(Changed(run, &self.bytes))
    }

    /// The patches that have struck in the run, whatever the ruling on it was.
    #[must_use]
    pub fn strikes(&self) -> &[Strike] {
        &self.strikes
    }

    /// What the log shows of a run that passes: where it begins, and its bytes.
    #[must_use]
    pub fn shown<'r>(&self, run: &'r [u8]) -> (usize, &'r [u8]) {
        let Some(place) = self.place else { return (0, run) };
        let start = place.saturating_sub(SHOWN_MAX);
        (start, run.get(start..place).unwrap_or_default())
    }

    /// What is worth a line in the log beside the ruling on the run: the rule, where what it shows
    /// begins, and that.
    #[must_use]
    pub fn noted<'r>(&self, run: &'r [u8]) -> Option<(Rule, usize, &'r [u8])> {
        let (place, rule) = self.noted?;
        let start = place.saturating_sub(SHOWN_MAX);
        Some((rule, start, run.get(start..=place).unwrap_or_default()))
    }

    /// Asks about the drafted bytes, which stay as they are.
    pub(super) fn ask<R>(&mut self, about: impl FnOnce(&[u8], &mut Self) -> R) -> R {
        let bytes = std::mem::take(&mut self.bytes);
        let answer = about(&bytes, self);
        self.bytes = bytes;
        answer
    }

    /// Another run comes.
    pub(super) fn begin(&mut self) {
        self.is_begun = false;
        (self.place, self.masked_from, self.noted) = (None, None, None);
        self.strikes.clear();
    }

    /// The run as it leaves so far: several judges may edit it.
    pub(super) fn copy(&mut self, run: &[u8]) -> &mut [u8] {
        if !std::mem::replace(&mut self.is_begun, true) {
            self.bytes.clear();
            self.bytes.extend_from_slice(run);
        }
        &mut self.bytes
    }
}

struct Changed<'a>(&'a [u8], &'a [u8]);

impl WithSimd for Changed<'_> {
    type Output = u64;

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) -> u64 {
        // In pieces of which a byte can hold the count.
        let pieces = self.0.chunks(128).zip(self.1.chunks(128));
        let differ = |(before, after): (&[u8], &[u8])| {
            before.iter().zip(after).fold(0_u8, |count, (a, b)| count + u8::from(a != b))
        };
        pieces.map(|piece| u64::from(differ(piece))).sum()
    }
}

/// Bytes that are shown before the place of what is told: where a patch has struck in a message.
const SHOWN_MAX: usize = 64;

/// What the rest of a line, or of the part that a packet carries, becomes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Mask {
    /// X.
    X,
    /// X to the end of the word under way, or of the next one, then what came.
    Word,
    /// What came, behind a masked word.
    Rest,
    /// NOOP and spaces, of which so many bytes have left.
    Noop(u8),
    /// `<`: an address that never begins.
    Bracket,
    /// A space and X: a parameter that nobody knows.
    Parameter,
    /// A space and `<`: the same, behind what Exim makes an address of together with any X.
    BareParameter,
}

impl Mask {
    /// Masks a run in which CRs stay. Whether any byte of it was masked, be it to itself.
    pub(super) fn apply_to_lines(&mut self, run: &mut [u8]) -> bool {
        if *self == Self::X {
            let is_masked = run.iter().any(|byte| *byte != b'\r');
            // One choice for each byte, of which the compiler makes vectors.
            run.iter_mut().for_each(|byte| *byte = if *byte == b'\r' { b'\r' } else { MASK });
            return is_masked;
        }
        let (mut rest, mut is_masked) = (run, false);
        while !rest.is_empty() {
            let crs = rest.iter().take_while(|byte| **byte == b'\r').count();
            let (_, behind) = rest.split_at_mut(crs);
            let length = memchr(b'\r', behind).unwrap_or(behind.len());
            let (part, behind) = behind.split_at_mut(length);
            is_masked |= !part.is_empty() && self.apply(part);
            rest = behind;
        }
        is_masked
    }

    /// Masks a run. Whether any byte of it was masked, be it to itself.
    pub(super) fn apply(&mut self, run: &mut [u8]) -> bool {
        match self {
            Self::X => run.fill(MASK),
            Self::Bracket => run.fill(b'<'),
            Self::Parameter | Self::BareParameter => {
                if let Some((first, rest)) = run.split_first_mut() {
                    *first = b' ';
                    *self = if *self == Self::BareParameter { Self::Bracket } else { Self::X };
                    self.apply(rest);
                }
            }
            Self::Noop(left) => {
                run.fill(b' ');
                let letters = NOOP.iter().skip(usize::from(*left));
                run.iter_mut().zip(letters).for_each(|(byte, letter)| *byte = *letter);
                *left = left.saturating_add(u8::try_from(run.len()).unwrap_or(u8::MAX));
            }
            Self::Word => {
                let (_, word) = run.split_at_mut(span(run, is_gap));
                let end = memchr2(b' ', b'\t', word).unwrap_or(word.len());
                let (word, rest) = word.split_at_mut(end);
                word.fill(MASK);
                if !rest.is_empty() {
                    *self = Self::Rest;
                }
                return !word.is_empty();
            }
            Self::Rest => return false,
        }
        true
    }
}

/// What refused bytes become: no verb that any server knows has three of them.
pub(crate) const MASK: u8 = b'X';

/// What a refused line becomes where it is long enough (Cisco: "converts any such commands into
/// NOOP commands").
pub(super) const NOOP: &[u8] = b"NOOP";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_stands_before_a_strike_is_shown() {
        let run: Vec<u8> = (0..200).collect();
        for (place, expected) in [
            (None, (0, &run[..])),
            (Some(10), (0, &run[..10])),
            (Some(64), (0, &run[..64])),
            (Some(100), (36, &run[36..100])),
            (Some(200), (136, &run[136..])),
        ] {
            let draft = Draft { place, ..Draft::default() };
            assert_eq!(draft.shown(&run), expected);
        }
    }
}
