//! All patches there are, and what their rules look for, as one machine.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use siphasher::sip::SipHasher13;

use super::automaton::{Automaton, ByByte, Marks};
use super::file::{self, Fault};
use super::line::{Line, Taken};
use super::zone::{Zone, ZoneSet};
use super::{Deed, Named, Patch, Sign, builtin};

/// The name of a patch. Copies share it.
pub type Id = Arc<str>;

/// Patches there may be: those built in, and as many again of the administrator's.
const PATCHES_MAX: usize = 256;

/// Rules they may have together.
const RULES_MAX: usize = 1_024;

/// Different bytes that rules may ask to have been seen before.
const BEHIND_MAX: usize = 8;

/// All patches, compiled. Cheap to copy.
#[derive(Clone, Debug, Default)]
pub struct Catalogue(Arc<Content>);

#[derive(Debug, Default)]
struct Content {
    patches: Vec<Patch>,
    rules: Vec<Compiled>,
    automaton: Automaton,
    /// By its state: where the rules whose texts end there look.
    zones: Vec<ZoneSet>,
    /// Bytes that rules ask to have been seen: a bit of [`Line::seen`] each.
    behind: Vec<u8>,
    /// The same by byte.
    behind_bits: ByByte,
    /// Rules with a length, each with the first byte beyond it, where it is said, once.
    beyond: Vec<(u16, u16)>,
    /// Rules that mind an empty local part.
    empty: Vec<u16>,
    /// All of those bytes' numbers, as bits: most bytes of a long line pay for no more than this.
    beyond_bits: Vec<u64>,
    /// What the numbers in a [`Line`] and a header mean here.
    fingerprint: u64,
}

/// A rule as the machine has it.
#[derive(Clone, Debug)]
pub(super) struct Compiled {
    /// Its patch.
    pub(super) patch: u16,
    pub(super) deed: Deed,
    pub(super) sign: Sign,
    pub(super) zones: ZoneSet,
    pub(super) is_first: bool,
    pub(super) quoted: Option<bool>,
    pub(super) nth: u8,
    /// Which bytes have to have been seen.
    behind: u8,
}

impl Catalogue {
    /// Those built in, and these files: each with its name and its text.
    ///
    /// # Errors
    /// The first thing that is wrong in a file, or with all of them together.
    pub fn with(files: &[(String, String)]) -> Result<Self, Fault> {
        let own = files.iter().map(|(name, text)| file::read(name, text));
        let built_in = builtin::FILES.iter().map(|(name, text)| file::read(name, text));
        let mut patches = built_in.collect::<Result<Vec<_>, _>>()?;
        for (patch, (name, _)) in own.zip(files) {
            let patch = patch?;
            // A file of the administrator's takes the place of one built in.
            match patches.iter_mut().find(|known| known.id == patch.id) {
                Some(known) => *known = patch,
                None => patches.push(patch),
            }
            if patches.len() > PATCHES_MAX {
                let what = format!("one patch too many: {PATCHES_MAX} are the most");
                return Err(Fault::new(name, None, what));
            }
        }
        Self::of(patches)
    }

    /// A catalogue of these patches.
    ///
    /// # Errors
    /// They ask for more than the machine has room for.
    pub fn of(mut patches: Vec<Patch>) -> Result<Self, Fault> {
        patches.sort_by(|one, other| one.id.cmp(&other.id));
        let mut content = Content::default();
        let mut texts = Vec::new();
        for (number, patch) in patches.iter().enumerate() {
            for rule in &patch.rules {
                let fault = |what: &str| Fault::new(&patch.id, None, what.to_owned());
                let behind = match rule.behind {
                    Some(byte) => content.behind_bit(byte).ok_or_else(|| {
                        fault("one byte too many to stand `behind`: 8 are the most in all files")
                    })?,
                    None => 0,
                };
                let index = u16::try_from(content.rules.len()).unwrap_or(u16::MAX);
                match &rule.sign {
                    Sign::Texts(own) => texts.extend(own.iter().map(|text| (index, text.clone()))),
                    Sign::Over(count) => {
                        let first = count.saturating_add(1);
                        content.mark_beyond(first);
                        content.beyond.push((index, first));
                    }
                    Sign::EmptyLocalPart => content.empty.push(index),
                    Sign::Cause(_) | Sign::OpenQuote | Sign::Base64Length => {}
                }
                content.rules.push(Compiled {
                    patch: u16::try_from(number).unwrap_or(u16::MAX),
                    deed: rule.deed,
                    sign: rule.sign.clone(),
                    zones: rule.zones.iter().fold(ZoneSet::NONE, |all, zone| all.with(zone.bit())),
                    is_first: rule.is_first,
                    quoted: rule.quoted,
                    nth: rule.nth,
                    behind,
                });
            }
        }
        let automaton = Automaton::new(&texts);
        let Some(mut automaton) = automaton.filter(|_| content.rules.len() <= RULES_MAX) else {
            let what = "too many rules or texts in all files together".to_owned();
            return Err(Fault::new("patches", None, what));
        };
        content.zones = content.zones_of(&automaton);
        automaton.mark(Marks::ORDINARY, |state| content.may_be_met(state, Line::PASSED));
        // Nearly every byte is wrong where a size should begin.
        automaton.mark(Marks::OTHER, |state| content.may_be_met(state, Zone::Bdat.bit()));
        (content.automaton, content.patches) = (automaton, patches);
        content.fingerprint = content.hash();
        Ok(Self(Arc::new(content)))
    }

    /// Another catalogue with this number reads on where this one stopped, in the middle of a line
    /// or of a header.
    #[must_use]
    pub fn fingerprint(&self) -> u64 {
        self.0.fingerprint
    }

    /// The patches, by name.
    #[must_use]
    pub fn patches(&self) -> &[Patch] {
        &self.0.patches
    }

    /// The patch of this name.
    #[must_use]
    pub fn find(&self, id: &str) -> Option<&Patch> {
        let found = self.0.patches.binary_search_by(|patch| (*patch.id).cmp(id));
        found.ok().and_then(|at| self.0.patches.get(at))
    }

    /// The product and the release of which this text speaks, `exim-4.96` or a greeting, and the
    /// patches that it needs. None if it names no product.
    #[must_use]
    pub fn for_product(&self, text: &str) -> Option<(Named<'_>, Vec<&Patch>)> {
        let products = self.0.patches.iter().flat_map(|patch| &patch.products);
        let named = Named::find(text, products.map(|product| product.name.as_str()))?;
        let needs = |patch: &&Patch| {
            patch.products.iter().any(|one| one.has(named.product, named.release.as_ref()))
        };
        let patches = self.0.patches.iter().filter(needs).collect();
        Some((named, patches))
    }

    pub(super) fn rules(&self) -> &[Compiled] {
        &self.0.rules
    }

    /// The byte that has to have been seen before what a rule looks for.
    pub(super) fn behind(&self, rule: &Compiled) -> Option<u8> {
        let bit = usize::try_from(rule.behind.trailing_zeros()).ok()?;
        self.0.behind.get(bit).copied()
    }

    /// Bytes of the machine's tables.
    #[must_use]
    pub fn size(&self) -> usize {
        self.0.automaton.size()
    }

    /// Takes the next byte of a text that has no parts, and calls `met` with each rule that looks
    /// in these zones and of which a text is whole there: the automaton's next state.
    #[inline]
    pub(super) fn step_text(
        &self,
        state: u16,
        byte: u8,
        zones: ZoneSet,
        mut met: impl FnMut(u16, &Compiled),
    ) -> u16 {
        let state = self.0.automaton.step(state, byte);
        if self.0.may_be_met(state, zones) {
            for (index, _) in self.0.automaton.found(state) {
                let rule = self.0.rules.get(usize::from(*index));
                if let Some(rule) = rule.filter(|rule| rule.zones.meets(zones)) {
                    met(*index, rule);
                }
            }
        }
        state
    }

    /// Takes bytes that complete no rule's sign, as long as they all stand in one place that has no
    /// parts: how many.
    pub(super) fn pass(&self, line: &mut Line, bytes: &[u8]) -> usize {
        let Some(place) = line.one_place(bytes) else { return 0 };
        let content = &*self.0;
        let mut length = place.length.min(content.length_within(line.argument));
        if place.is_counted {
            length = length.min(content.length_within(line.part));
        }
        let bytes = bytes.get(..length).unwrap_or_default();
        let is_stop = |state: u16| content.may_be_met(state, place.zones);
        let is_size = place.zones.meets(Zone::Bdat.bit());
        let marks = if is_size { Marks::BOTH } else { Marks::ORDINARY };
        let (taken, state) = content.automaton.pass(line.state, bytes, marks, is_stop);
        let count = u16::try_from(taken).unwrap_or(u16::MAX);
        line.state = state;
        line.seen |= content.behind_bits_in(bytes.get(..taken).unwrap_or_default());
        line.argument = line.argument.saturating_add(count);
        if place.is_counted {
            line.part = line.part.saturating_add(count);
        }
        taken
    }

    /// Takes the next byte of a line, and calls `met` with each rule whose sign it completes.
    #[inline]
    pub(super) fn step(&self, line: &mut Line, byte: u8, met: impl FnMut(u16)) {
        let content = &*self.0;
        let taken = line.take(byte);
        let before = line.state;
        line.state = content.automaton.step(before, taken.read);
        let is_long = content.may_be_beyond(line);
        if is_long || taken.is_empty || content.may_be_met(line.state, taken.zones) {
            content.look(line, taken, is_long, met);
        }
        if taken.is_dropped || taken.is_skipped {
            line.state = before;
        }
        line.seen |= content.behind_bits.of(byte);
    }
}

impl Content {
    /// A hash of all that gives the numbers a meaning which one byte hands on to the next.
    fn hash(&self) -> u64 {
        let mut hasher = SipHasher13::new();
        (&self.automaton, &self.behind).hash(&mut hasher);
        self.rules.iter().for_each(|rule| rule.nth.hash(&mut hasher));
        hasher.finish()
    }

    fn behind_bit(&mut self, byte: u8) -> Option<u8> {
        let known = self.behind.iter().position(|known| *known == byte);
        let at = known.unwrap_or_else(|| {
            self.behind.push(byte);
            self.behind.len() - 1
        });
        let bit = (at < BEHIND_MAX).then_some(1 << at)?;
        *self.behind_bits.of_mut(byte)? |= bit;
        Some(bit)
    }

    /// The bits of those among these bytes that something is looked for behind.
    fn behind_bits_in(&self, bytes: &[u8]) -> u8 {
        let met = self.behind.iter().filter(|byte| memchr::memchr(**byte, bytes).is_some());
        met.fold(0, |bits, byte| bits | self.behind_bits.of(*byte))
    }

    fn zones_of(&self, automaton: &Automaton) -> Vec<ZoneSet> {
        let of = |(index, _): &(u16, u16)| self.rules.get(usize::from(*index));
        let zones = |state: u16| {
            let rules = automaton.found(state).iter().filter_map(of);
            rules.fold(ZoneSet::NONE, |all, rule| all.with(rule.zones))
        };
        (0..automaton.states()).map(zones).collect()
    }

    /// Whether a text ends at this state that a rule looks for in one of these zones.
    fn may_be_met(&self, state: u16, zones: ZoneSet) -> bool {
        self.zones.get(usize::from(state)).is_some_and(|own| own.meets(zones))
    }

    fn mark_beyond(&mut self, first: u16) {
        let word = usize::from(first) / 64;
        if self.beyond_bits.len() <= word {
            self.beyond_bits.resize(word + 1, 0);
        }
        self.beyond_bits.iter_mut().skip(word).take(1).for_each(|bits| *bits |= bit(first));
    }

    /// How many bytes behind so many are no first ones beyond a length.
    fn length_within(&self, count: u16) -> usize {
        // It is counted no further.
        let Some(next) = count.checked_add(1) else { return 0 };
        let words = self.beyond_bits.iter().enumerate().skip(usize::from(next) / 64);
        let marks = words.map(|(at, &word)| {
            let before = if at == usize::from(next) / 64 { bit(next) - 1 } else { 0 };
            (at, word & !before)
        });
        let first = marks.into_iter().find(|(_, word)| *word != 0);
        let last = usize::from(u16::MAX);
        let end = first.map_or(last, |(at, word)| at * 64 + word.trailing_zeros() as usize);
        end - usize::from(next)
    }

    /// Whether one of the line's counts is that of a first byte beyond a length.
    fn may_be_beyond(&self, line: &Line) -> bool {
        let is_marked = |count: u16| {
            let bits = self.beyond_bits.get(usize::from(count) / 64);
            bits.is_some_and(|bits| bits & bit(count) != 0)
        };
        is_marked(line.argument) || is_marked(line.path) || is_marked(line.part)
    }

    /// Which rules' signs the byte just taken completes.
    fn look(&self, line: &Line, taken: Taken, is_long: bool, mut met: impl FnMut(u16)) {
        // In quotes a pair's backslash is none; elsewhere a rule may look for the very byte.
        let is_text = !taken.is_dropped || taken.is_quoted == Some(false);
        for (index, length) in self.automaton.found(line.state).iter().filter(|_| is_text) {
            let Some(rule) = self.rules.get(usize::from(*index)) else { continue };
            let fits = |count: u16| {
                if rule.is_first { count == *length } else { count >= *length }
            };
            let is_late = rule.is_first && line.argument.saturating_sub(line.start) == *length;
            let late = if is_late { ZoneSet::LATE } else { ZoneSet::NONE };
            if rule.is_met(line, taken, late, fits) {
                met(*index);
            }
        }
        self.empty.iter().filter(|_| taken.is_empty).for_each(|&index| met(index));
        if !is_long {
            return;
        }
        let counts = [line.argument, line.path, line.part];
        for &(index, first) in self.beyond.iter().filter(|(_, first)| counts.contains(first)) {
            let rule = self.rules.get(usize::from(index));
            let is_beyond = |count: u16| count == first;
            if rule.is_some_and(|rule| rule.is_met(line, taken, ZoneSet::NONE, is_beyond)) {
                met(index);
            }
        }
    }
}

/// A count's bit in its word of 64.
const fn bit(count: u16) -> u64 {
    1 << (count % 64)
}

impl Compiled {
    /// Whether the byte stands where the rule looks, and so many bytes into that zone that `fits`,
    /// or in one of those that are known to fit.
    fn is_met(
        &self,
        line: &Line,
        taken: Taken,
        fitting: ZoneSet,
        fits: impl Fn(u16) -> bool,
    ) -> bool {
        let zones = self.zones.and(taken.zones);
        let counts = [
            (ZoneSet::WHOLE, line.argument),
            (ZoneSet::PATHS, line.path),
            (ZoneSet::PARTS, line.part),
        ];
        let is_counted = counts.iter().any(|(level, count)| zones.meets(*level) && fits(*count));
        let is_there = is_counted || zones.meets(fitting);
        is_there
            && self
                .quoted
                .is_none_or(|quoted| taken.is_quoted.is_none_or(|is_quoted| is_quoted == quoted))
            && (self.behind == 0 || line.seen & self.behind != 0)
    }
}

impl PartialEq for Catalogue {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0) || self.0.patches == other.0.patches
    }
}

impl Eq for Catalogue {}

impl fmt::Display for Catalogue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} patches", self.0.patches.len())
    }
}
