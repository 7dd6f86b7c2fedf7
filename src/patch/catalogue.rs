//! All patches there are, and what their rules look for, as one machine.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use siphasher::sip::SipHasher13;

use super::automaton::{Automaton, Ends};
use super::by_byte::ByByte;
use super::file::{self, Fault};
use super::line::{Kind, Line, OnePlace, Taken};
use super::machine::Machine;
use super::path::is_plain;
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
    /// One for each kind of texts: by [`Line::kind_of_text`], and last of all that of headers.
    machines: [Machine; Line::KINDS_OF_TEXT + 1],
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
        let machines = content.machines_for(&texts);
        let Some(machines) = machines.filter(|_| content.rules.len() <= RULES_MAX) else {
            let what = "too many rules or texts in all files together".to_owned();
            return Err(Fault::new("patches", None, what));
        };
        (content.machines, content.patches) = (machines, patches);
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
        self.0.machines.iter().map(|machine| machine.automaton.size()).sum()
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
        let [.., machine] = &self.0.machines;
        let state = machine.automaton.step(state, byte);
        if machine.may_be_met(state, zones) {
            for (index, _) in machine.automaton.found(state) {
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
    #[inline]
    pub(super) fn pass(&self, line: &mut Line, bytes: &[u8]) -> usize {
        line.one_place(bytes).map_or(0, |place| self.0.pass(line, bytes, place))
    }

    /// The same for bytes that are all read as the byte before them was, when the line was like
    /// this before it. It was in these zones.
    #[inline]
    pub(super) fn pass_alike(
        &self,
        line: &mut Line,
        (before, byte, zones): (&Line, u8, ZoneSet),
        bytes: &[u8],
    ) -> usize {
        if !is_plain(byte) || !bytes.first().is_some_and(|next| is_plain(*next)) {
            return 0;
        }
        let Some(place) = line.repeats(before, zones) else { return 0 };
        // Nothing is looked at twice because a length ends what is passed.
        let most = self.0.length_in(line, OnePlace { length: bytes.len(), ..place });
        let bytes = bytes.get(..most).unwrap_or_default();
        let length = bytes.iter().position(|byte| !is_plain(*byte)).unwrap_or(bytes.len());
        self.0.pass(line, bytes, OnePlace { length, ..place })
    }

    /// Takes the byte before once more, and again, up to so often, if that changes nothing but
    /// counts: how often.
    pub(super) fn repeat(
        &self,
        line: &mut Line,
        (before, byte, zones): (&Line, u8, ZoneSet),
        count: usize,
    ) -> usize {
        let is_stop = self.0.machine(line).may_be_met(line.state, zones);
        if !is_plain(byte) || is_stop || line.state != before.state {
            return 0;
        }
        let Some(place) = line.repeats(before, zones) else { return 0 };
        let length = self.0.length_in(line, OnePlace { length: count, ..place });
        line.count(place, length);
        length
    }

    /// Takes the next byte of a line, and calls `met` with each rule whose sign it completes: the
    /// zones that it is in.
    #[inline]
    pub(super) fn step(&self, line: &mut Line, byte: u8, met: impl FnMut(u16)) -> ZoneSet {
        let content = &*self.0;
        let machine = content.machine(line);
        let taken = line.take(byte);
        let before = line.state;
        line.state = machine.automaton.step(before, taken.read);
        let is_long = content.may_be_beyond(line);
        if is_long || taken.is_empty || machine.may_be_met(line.state, taken.zones) {
            content.look(&machine.automaton, line, taken, is_long, met);
        }
        if taken.is_dropped || taken.is_skipped {
            line.state = before;
        }
        line.seen |= content.behind_bits.of(byte);
        taken.zones
    }
}

impl Content {
    /// A hash of all that gives the numbers a meaning which one byte hands on to the next.
    fn hash(&self) -> u64 {
        let mut hasher = SipHasher13::new();
        self.machines.iter().for_each(|machine| machine.automaton.hash(&mut hasher));
        self.behind.hash(&mut hasher);
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

    /// The bits of those among these bytes that something is looked for behind, but for these.
    fn behind_bits_in(&self, bytes: &[u8], seen: u8) -> u8 {
        if bytes.len() < FEW {
            return bytes.iter().fold(0, |bits, byte| bits | self.behind_bits.of(*byte));
        }
        let mut unseen =
            self.behind.iter().copied().filter(|byte| self.behind_bits.of(*byte) & !seen != 0);
        let mut bits = 0;
        while let Some(one) = unseen.next() {
            // Most bytes that come are none of them: three are looked for at once.
            let other = unseen.next().unwrap_or(one);
            let third = unseen.next().unwrap_or(one);
            let Some(first) = memchr::memchr3(one, other, third, bytes) else { continue };
            let rest = bytes.get(first..).unwrap_or_default();
            let met = [one, other, third]
                .into_iter()
                .filter(|byte| memchr::memchr(*byte, rest).is_some());
            bits = met.fold(bits, |bits, byte| bits | self.behind_bits.of(byte));
        }
        bits
    }

    /// A machine for each kind of texts; none if there are too many.
    fn machines_for(&self, texts: &[(u16, Vec<u8>)]) -> Option<[Machine; Line::KINDS_OF_TEXT + 1]> {
        // What one for all would have no room for is refused: each of these is no larger.
        Automaton::new(texts, |_| Ends::Others)?;
        let mut machines = <[Machine; Line::KINDS_OF_TEXT + 1]>::default();
        let arguments = Kind::ALL.into_iter().map(Line::zones_in);
        let all = std::iter::once(Zone::Verb.bit()).chain(arguments).chain([ZoneSet::HEADERS]);
        for (machine, zones) in machines.iter_mut().zip(all) {
            *machine = Machine::new(&self.rules, texts, zones)?;
        }
        Some(machines)
    }

    /// The one for a line.
    #[inline]
    fn machine(&self, line: &Line) -> &Machine {
        let [verbs, ..] = &self.machines;
        self.machines.get(line.kind_of_text()).unwrap_or(verbs)
    }

    /// How many bytes that stand in one place reach no length that a rule has.
    fn length_in(&self, line: &Line, place: OnePlace) -> usize {
        let mut length = place.length.min(self.length_within(line.argument));
        if place.is_of_path {
            length = length.min(self.length_within(line.path));
        }
        if place.is_of_part {
            length = length.min(self.length_within(line.part));
        }
        length
    }

    /// Takes bytes of one place that complete no rule's sign: how many.
    fn pass(&self, line: &mut Line, bytes: &[u8], place: OnePlace) -> usize {
        let bytes = bytes.get(..self.length_in(line, place)).unwrap_or_default();
        let machine = self.machine(line);
        let is_late = line.argument >= machine.first_max;
        let most = if is_late { Ends::Firsts } else { Ends::Nothing };
        let is_stop = |state: u16| machine.may_be_met(state, place.zones);
        let (taken, state) = machine.automaton.pass(line.state, bytes, most, is_stop);
        line.state = state;
        let taken_bytes = bytes.get(..taken).unwrap_or_default();
        line.seen |= self.behind_bits_in(taken_bytes, line.seen);
        line.count(place, taken);
        taken
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
    fn look(
        &self,
        automaton: &Automaton,
        line: &Line,
        taken: Taken,
        is_long: bool,
        mut met: impl FnMut(u16),
    ) {
        // In quotes a pair's backslash is none; elsewhere a rule may look for the very byte.
        let is_text = !taken.is_dropped || taken.is_quoted == Some(false);
        for (index, length) in automaton.found(line.state).iter().filter(|_| is_text) {
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

/// So many bytes are looked at one by one in less time than a search takes.
const FEW: usize = 16;

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
