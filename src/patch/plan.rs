//! Which patches act, which only log, and what they say of a line as it comes.

use std::collections::BTreeMap;

use super::by_byte::ByByte;
use super::catalogue::{Catalogue, Id};
use super::header::{Fields, Header, Marks, Met};
use super::line::{Cure, Line};
use super::sieve::Sieve;
use super::zone::ZoneSet;
use super::{Deed, Patch, Sign, State};
use crate::smtp::{Speaker, Verb};

/// The catalogue, and what each of its rules does.
#[derive(Clone, Debug)]
pub struct Plan {
    catalogue: Catalogue,
    /// By rule; none where its patch is off.
    deeds: Box<[Option<Deed>]>,
    sieve: Sieve,
    /// What is looked for in headers; none if nothing is.
    fields: Option<Fields>,
    /// Verbs whose very word a rule minds.
    words: Vec<Verb>,
    /// The patches that what the filter does by itself strikes: by whose fault it was, if it was
    /// one, and the name the filter has for it.
    caused: BTreeMap<Option<Speaker>, BTreeMap<String, Vec<Strike>>>,
}

/// A rule has met what it looks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Strike {
    patch: u16,
    /// What is done.
    pub deed: Deed,
}

/// What a byte brings about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Act {
    /// It and what follows become this.
    Cure(Cure),
    /// The flow ends.
    Reset,
}

impl Plan {
    /// What the patches of a catalogue do in these states; none if all are off.
    #[must_use]
    pub fn new(catalogue: &Catalogue, state_of: impl Fn(&Patch) -> State) -> Option<Self> {
        let states: Vec<State> = catalogue.patches().iter().map(state_of).collect();
        let deeds = catalogue.rules().iter().map(|rule| {
            let state = states.get(usize::from(rule.patch)).copied().unwrap_or(State::Off);
            match state {
                State::Off => None,
                // What the filter does by itself it does, and a name takes nothing from it.
                State::Log if matches!(rule.sign, Sign::Cause(_)) => Some(rule.deed),
                State::Log => Some(Deed::Log),
                State::On => Some(rule.deed),
            }
        });
        let deeds: Box<[_]> = deeds.collect();
        if deeds.iter().all(Option::is_none) {
            return None;
        }
        let mut caused = BTreeMap::<_, BTreeMap<_, Vec<_>>>::new();
        for (rule, &deed) in catalogue.rules().iter().zip(&deeds) {
            if let (Sign::Cause(cause), Some(deed)) = (&rule.sign, deed) {
                let (speaker, name) = speaker_and_name(cause);
                let strikes = caused.entry(speaker).or_default().entry(name.to_owned());
                strikes.or_default().push(Strike { patch: rule.patch, deed });
            }
        }
        let (sieve, words) = (Sieve::new(catalogue, &deeds), Vec::new());
        let rules = catalogue.rules().iter().zip(&deeds).filter(|(_, deed)| deed.is_some());
        let fields = Fields::new(rules.map(|(rule, _)| rule));
        let mut plan = Self { catalogue: catalogue.clone(), deeds, sieve, fields, words, caused };
        plan.words = Verb::ALL.into_iter().filter(|verb| plan.has_word(*verb)).collect();
        Some(plan)
    }

    fn has_word(&self, verb: Verb) -> bool {
        let mut strikes = Vec::new();
        self.read(&mut Line::default(), verb.name().as_bytes(), &mut strikes);
        !strikes.is_empty()
    }

    /// Whether a rule may mind a line of this verb and, where it has one, this argument: seldom
    /// where none does, and always where one does. Lines of AUTH are not asked about.
    #[must_use]
    pub fn may_mind(&self, verb: Verb, argument: Option<&[u8]>) -> bool {
        self.words.contains(&verb)
            || argument.is_some_and(|argument| self.sieve.keeps(verb, argument))
    }

    /// The name of the patch that struck.
    #[must_use]
    pub fn name(&self, strike: Strike) -> Option<&Id> {
        self.catalogue.patches().get(usize::from(strike.patch)).map(|patch| &patch.id)
    }

    /// Reads more of a line, up to and with the first byte that brings something about: how many
    /// bytes those are, and what. All that struck on the way is added to `strikes`.
    pub fn read(
        &self,
        line: &mut Line,
        bytes: &[u8],
        strikes: &mut Vec<Strike>,
    ) -> Option<(usize, Act)> {
        let mut at = 0;
        loop {
            at += self.catalogue.pass(line, bytes.get(at..).unwrap_or_default());
            let &byte = bytes.get(at)?;
            at += 1;
            let before = *line;
            let (zones, act) = self.read_byte(line, byte, strikes);
            if let Some(act) = act {
                return Some((at, act));
            }
            if !line.is_in_one_place() {
                let rest = bytes.get(at..).unwrap_or_default();
                at += self.catalogue.pass_alike(line, (&before, byte, zones), rest);
            }
        }
    }

    /// Reads a byte that comes so many times, once or more often: how often, and what that brings
    /// about.
    pub fn read_again(
        &self,
        line: &mut Line,
        byte: u8,
        count: usize,
        strikes: &mut Vec<Strike>,
    ) -> (usize, Option<Act>) {
        let before = *line;
        let (zones, act) = self.read_byte(line, byte, strikes);
        let others = count.saturating_sub(1);
        let more = match act {
            Some(_) => 0,
            None => self.catalogue.repeat(line, (&before, byte, zones), others),
        };
        (1 + more, act)
    }

    #[inline]
    fn read_byte(
        &self,
        line: &mut Line,
        byte: u8,
        strikes: &mut Vec<Strike>,
    ) -> (ZoneSet, Option<Act>) {
        let before = *line;
        let mut strongest = Deed::Log;
        let zones = self.catalogue.step(line, byte, |rule| {
            if let Some(strike) = self.strike(rule) {
                strongest = strongest.max(strike.deed);
                strikes.push(strike);
            }
        });
        let act = match strongest {
            Deed::Log => None,
            Deed::Reset => Some(Act::Reset),
            Deed::Blank => Some(Act::Cure(before.blank())),
            // What belongs to no grammar of ours cannot be made what a server refuses.
            Deed::Refuse if before.cure() == Cure::None => Some(Act::Reset),
            Deed::Refuse => Some(Act::Cure(before.cure())),
        };
        if act == Some(Act::Cure(Cure::Blank)) {
            line.count_blanked();
        }
        (zones, act)
    }

    /// Whether anything is looked for in headers of messages.
    #[must_use]
    pub const fn minds_headers(&self) -> bool {
        self.fields.is_some()
    }

    /// Reads more of a line of a header, without its end: where a rule was met last, if one was.
    pub fn read_header(
        &self,
        header: &mut Header,
        bytes: &[u8],
        strikes: &mut Vec<Strike>,
    ) -> Option<Met> {
        let fields = self.fields.as_ref()?;
        header.read((&self.catalogue, fields), bytes, |rule| self.strike(rule), strikes)
    }

    /// What each byte of a header may be.
    #[must_use]
    pub fn header_marks(&self) -> &ByByte<Marks> {
        self.fields.as_ref().map_or(ByByte::PLAIN, Fields::by_byte)
    }

    /// The same for a line that has come whole: its end is read with it. `marks`: what its bytes
    /// may be, where that is known.
    #[inline]
    pub fn read_header_line(
        &self,
        header: &mut Header,
        line: (&[u8], Option<Marks>),
        strikes: &mut Vec<Strike>,
    ) -> Option<Met> {
        let Some(fields) = &self.fields else {
            header.end_line();
            return None;
        };
        header.read_line((&self.catalogue, fields), line, |rule| self.strike(rule), strikes)
    }

    /// The line ends here: whether that ends the flow.
    pub fn end(&self, line: &Line, strikes: &mut Vec<Strike>) -> Option<Act> {
        let mut act = None;
        if !line.is_in_quotes() && !line.is_short_base64() {
            return act;
        }
        for (index, rule) in self.catalogue.rules().iter().enumerate() {
            let is_met = match rule.sign {
                Sign::OpenQuote => line.is_in_quotes(),
                Sign::Base64Length => line.is_short_base64(),
                Sign::Texts(_) | Sign::Over(_) | Sign::EmptyLocalPart | Sign::Cause(_) => false,
            };
            let strike = is_met.then(|| self.strike(u16::try_from(index).ok()?)).flatten();
            if let Some(strike) = strike {
                if strike.deed > Deed::Log {
                    act = Some(Act::Reset);
                }
                strikes.push(strike);
            }
        }
        act
    }

    /// The filter has ruled by itself what the patches with this cause are for. `by`: whose fault
    /// it was, if it was one.
    pub fn strike_cause(&self, by: Option<Speaker>, name: &str, strikes: &mut Vec<Strike>) {
        let struck = self.caused.get(&by).and_then(|causes| causes.get(name));
        strikes.extend(struck.into_iter().flatten());
    }

    fn strike(&self, rule: u16) -> Option<Strike> {
        let deed = self.deeds.get(usize::from(rule)).copied().flatten()?;
        let patch = self.catalogue.rules().get(usize::from(rule))?.patch;
        Some(Strike { patch, deed })
    }
}

/// A cause as a patch's file names it: `verb`, or `server:unexpected-reply`.
fn speaker_and_name(cause: &str) -> (Option<Speaker>, &str) {
    let speakers = [("client:", Speaker::Client), ("server:", Speaker::Server)];
    let found = speakers
        .into_iter()
        .find_map(|(scope, speaker)| cause.strip_prefix(scope).map(|name| (Some(speaker), name)));
    found.unwrap_or((None, cause))
}
