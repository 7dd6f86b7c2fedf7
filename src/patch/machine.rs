//! What is looked for in texts of one kind, as an automaton of its own: what is looked for in
//! others neither stops it nor makes it larger.

use super::automaton::{Automaton, Ends};
use super::catalogue::Compiled;
use super::zone::ZoneSet;

/// What is looked for in texts of one kind.
#[derive(Debug, Default)]
pub(super) struct Machine {
    pub(super) automaton: Automaton,
    /// By its state: where the rules whose texts end there look.
    zones: Vec<ZoneSet>,
    /// The longest text that has to stand first in the argument, or in the first word.
    pub(super) first_max: u16,
}

impl Machine {
    /// That for texts in these zones.
    pub(super) fn new(
        rules: &[Compiled],
        texts: &[(u16, Vec<u8>)],
        zones: ZoneSet,
    ) -> Option<Self> {
        let rule_of = |index: u16| rules.get(usize::from(index));
        let is_here = |(index, _): &&(u16, Vec<u8>)| {
            rule_of(*index).is_some_and(|rule| rule.zones.meets(zones))
        };
        let texts: Vec<_> = texts.iter().filter(is_here).cloned().collect();
        // Nothing in such a zone becomes the first later on.
        let is_first = |rule: &Compiled| {
            rule.is_first && rule.zones.and(zones).without(ZoneSet::WHOLE) == ZoneSet::NONE
        };
        let automaton = Automaton::new(&texts, |found| {
            let mut rules = found.iter().filter_map(|(index, _)| rule_of(*index));
            match found {
                [] => Ends::Nothing,
                _ if rules.all(is_first) => Ends::Firsts,
                _ => Ends::Others,
            }
        })?;
        let zones_at = |state: u16| {
            let rules = automaton.found(state).iter().filter_map(|(index, _)| rule_of(*index));
            rules.fold(ZoneSet::NONE, |all, rule| all.with(rule.zones))
        };
        let zones = (0..automaton.states()).map(zones_at).collect();
        let firsts = texts.iter().filter(|(index, _)| rule_of(*index).is_some_and(is_first));
        let first_max = firsts.map(|(_, text)| text.len()).max().unwrap_or(0);
        Some(Self { automaton, zones, first_max: u16::try_from(first_max).ok()? })
    }

    /// Whether a text ends at this state that a rule looks for in one of these zones.
    #[inline]
    pub(super) fn may_be_met(&self, state: u16, zones: ZoneSet) -> bool {
        self.zones.get(usize::from(state)).is_some_and(|own| own.meets(zones))
    }
}
