//! Patches at work: which of them act by these settings, and what they make of the client's line.

use super::judge::{Run, Watch};
use super::line::{LineWatch, masked};
use super::mask::{MASK, Mask};
use super::settings::Unit;
use super::value::{Kind, Value, words_of};
use super::{Draft, Guard, Rule, Ruling};
use crate::patch::{Act, Catalogue, Cure, Deed, Line, Patch, PatchRule, Plan, Sign, State, Zone};
use crate::smtp::{Event, Verb};

/// What is done about patches in general.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum General {
    /// Nothing.
    #[default]
    Off,
    /// All that are not off by default log.
    Log,
    /// Each does what its file says.
    Preset,
    /// All that are not off by default act.
    On,
}

/// The fault of a BDAT that may not pass.
const BARRED: &str = "client:barred-chunk";

/// All patches there are, and what is done about them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Patches {
    /// The patches. None where nobody gave any: a profile has none of its own.
    pub catalogue: Catalogue,
    general: General,
    /// Patches of which something else was said.
    own: Vec<(String, State)>,
}

impl Patches {
    /// Off: the originals knew none.
    pub(super) fn off() -> Self {
        Self::default()
    }

    /// Each as its file says.
    pub(super) fn preset() -> Self {
        Self { general: General::Preset, ..Self::default() }
    }

    /// Says of one patch what is done about it, unless that was said already.
    pub fn choose(&mut self, id: &str, state: State) {
        if !self.own.iter().any(|(own, _)| own == id) {
            self.own.push((id.to_owned(), state));
        }
    }

    /// A patch of which something was said and that is not there.
    #[must_use]
    pub fn unknown(&self) -> Option<&str> {
        let names = self.own.iter().map(|(id, _)| id.as_str());
        names.into_iter().find(|id| self.catalogue.find(id).is_none())
    }

    /// What is done about a patch.
    #[must_use]
    pub fn state(&self, patch: &Patch) -> State {
        let own = self.own.iter().find(|(id, _)| **id == *patch.id).map(|(_, state)| *state);
        own.unwrap_or(match (self.general, patch.default) {
            (General::Off, _) | (_, State::Off) => State::Off,
            (General::Log, _) => State::Log,
            (General::Preset, preset) => preset,
            (General::On, _) => State::On,
        })
    }

    /// Whether one is on that BDAT must not pass for.
    pub(super) fn bar_chunks(&self) -> bool {
        let is_barring =
            |rule: &PatchRule| matches!(&rule.sign, Sign::Cause(cause) if cause == BARRED);
        let bars = |patch: &&Patch| patch.rules.iter().any(is_barring);
        let mut barring = self.catalogue.patches().iter().filter(bars);
        barring.any(|patch| self.state(patch) == State::On)
    }

    /// Whether all that a patch does is to end flows for what an address holds.
    #[must_use]
    pub fn ends_addresses(&self, id: &str) -> bool {
        let is_address = |zone: &Zone| {
            matches!(
                zone,
                Zone::MailPath
                    | Zone::MailLocal
                    | Zone::MailDomain
                    | Zone::RcptPath
                    | Zone::RcptLocal
                    | Zone::RcptDomain
            )
        };
        let is_one = |rule: &PatchRule| {
            let has_pattern = matches!(rule.sign, Sign::Texts(_));
            has_pattern && rule.deed == Deed::Reset && rule.zones.iter().all(is_address)
        };
        let patch = self.catalogue.find(id).filter(|patch| self.state(patch) == State::On);
        patch.is_some_and(|patch| patch.rules.iter().all(is_one))
    }

    /// What they do together; none if all are off.
    pub(super) fn plan(&self) -> Option<Plan> {
        Plan::new(&self.catalogue, |patch| self.state(patch))
    }
}

impl Value for Patches {
    const KIND: Kind = Kind::Word;

    fn parse(text: &str) -> Result<Self, &str> {
        let mut words = words_of(text);
        let general = match words.next() {
            Some("off") => General::Off,
            Some("log") => General::Log,
            Some("preset") => General::Preset,
            Some("on") => General::On,
            _ => return Err(text),
        };
        let mut patches = Self { general, ..Self::default() };
        for word in words {
            let (id, state) = word.split_once('=').ok_or(word)?;
            patches.choose(id, State::named(state).ok_or(word)?);
        }
        Ok(patches)
    }

    fn print(&self) -> String {
        let general = match self.general {
            General::Off => "off",
            General::Log => "log",
            General::Preset => "preset",
            General::On => "on",
        };
        let own = self.own.iter().map(|(id, state)| format!(",{id}={}", state.name()));
        own.fold(general.to_owned(), |all, one| all + &one)
    }

    fn expected() -> String {
        "off or log or preset or on, and behind it ID=off or ID=log or ID=on for single patches"
            .to_owned()
    }
}

/// How the patches read a run.
enum Reading {
    /// Not at all.
    Nothing,
    /// As it came.
    Bytes,
    /// As what the mask makes of it.
    Mask,
    /// As the line's end.
    End,
}

impl LineWatch {
    /// What the patches make of a run. A line that is refused already is looked at no further, but
    /// for its verb, which names the attack, and for its length, which arrives all the same.
    pub(super) fn read_by_patches(
        &mut self,
        guard: &Guard,
        run: Run<'_>,
        draft: &mut Draft,
    ) -> Ruling {
        let Some(plan) = &guard.plan else { return Ruling::Pass };
        // By the packet, what follows a part that was masked may leave as it came.
        let is_by_packet = guard.settings.unit == Unit::Packet;
        let is_refused = (self.refused.is_some() && !is_by_packet) || self.mask.is_some();
        match self.reading_of(run.event, is_by_packet, is_refused) {
            Reading::Nothing => Ruling::Pass,
            Reading::Bytes => self.read_bytes(plan, run.bytes, is_refused, draft),
            Reading::Mask => self.count_masked(plan, masked(run.bytes), draft),
            Reading::End => {
                let ruling = self.end_for_patches(plan, draft);
                if is_refused && !ruling.ends_flow() { Ruling::Pass } else { ruling }
            }
        }
    }

    /// How a run is read. The argument begins where the run says so.
    #[expect(clippy::wildcard_enum_match_arm, reason = "only lines of commands are looked at")]
    fn reading_of(&mut self, event: Event, is_by_packet: bool, is_refused: bool) -> Reading {
        match event {
            Event::CommandWord(_) => Reading::Bytes,
            Event::CommandStray if self.verb == Some(Verb::Bdat) => Reading::Bytes,
            Event::CommandStray if is_by_packet && !is_refused => {
                self.begin_for_patches();
                Reading::Bytes
            }
            Event::CommandArgument(_) | Event::CommandStray if is_refused => {
                // Behind a CR the argument may have begun, as Exim sees it.
                if self.refused.is_none() {
                    self.begin_for_patches();
                }
                Reading::Mask
            }
            Event::CommandArgument(_) => Reading::Bytes,
            Event::CommandGap(_) if !is_refused => {
                self.patch.begin_argument(self.verb);
                Reading::Nothing
            }
            // A CR in it is masked, and may stand anywhere.
            Event::CommandEnd { .. } if is_refused && self.verb == Some(Verb::Auth) => Reading::End,
            // What is to be said of its end was said at its CR.
            Event::CommandEnd { is_bare: false, .. } => Reading::Nothing,
            Event::CommandCr | Event::CommandEnd { .. } if !is_refused => Reading::End,
            _ => Reading::Nothing,
        }
    }

    /// Reads a run as it came, up to what is masked from there on.
    fn read_bytes(
        &mut self,
        plan: &Plan,
        bytes: &[u8],
        is_refused: bool,
        draft: &mut Draft,
    ) -> Ruling {
        let mut ruling = Ruling::Pass;
        let mut at = 0;
        while let Some((used, act)) =
            bytes.get(at..).and_then(|rest| plan.read(&mut self.patch, rest, &mut draft.strikes))
        {
            at += used;
            let mask = match act {
                _ if is_refused => continue,
                Act::Reset | Act::Cure(Cure::None) => return Ruling::Reset(Rule::Patch),
                Act::Cure(Cure::Blank) => {
                    draft.copy(bytes).iter_mut().skip(at - 1).take(1).for_each(|b| *b = MASK);
                    ruling = Ruling::Edit(Rule::Patch);
                    continue;
                }
                Act::Cure(Cure::X) => Mask::X,
                Act::Cure(Cure::Bracket) => Mask::Bracket,
                Act::Cure(Cure::Parameter) => Mask::Parameter,
                Act::Cure(Cure::BareParameter) => Mask::BareParameter,
            };
            return self.mask_for_patch(plan, bytes, at - 1, mask, draft);
        }
        let is_noted = ruling == Ruling::Pass && !draft.strikes.is_empty() && !is_refused;
        if is_noted { Ruling::Note(Rule::Patch) } else { ruling }
    }

    /// Masks a run from this byte on.
    fn mask_for_patch(
        &mut self,
        plan: &Plan,
        bytes: &[u8],
        at: usize,
        mut mask: Mask,
        draft: &mut Draft,
    ) -> Ruling {
        mask.apply(draft.copy(bytes).get_mut(at..).unwrap_or_default());
        (self.mask, self.refused) = (Some((Rule::Patch, mask)), Some(Rule::Patch));
        draft.masked_from = Some(at);
        let counted = self.count_masked(plan, bytes.len() - at - 1, draft);
        // How long that makes a path, where there is one, is not known yet.
        if counted.ends_flow() { counted } else { Ruling::Refuse(Rule::Patch) }
    }

    /// The argument has begun by now.
    fn begin_for_patches(&mut self) {
        if !self.patch.is_in_argument() {
            self.patch.begin_argument(self.verb);
        }
    }

    /// So many bytes are masked: what the patches make of them.
    fn count_masked(&mut self, plan: &Plan, count: usize, draft: &mut Draft) -> Ruling {
        let mut left = if self.patch.is_in_argument() { count } else { 0 };
        while left > 0 {
            let before = draft.strikes.len();
            let (used, act) = plan.read_again(&mut self.patch, MASK, left, &mut draft.strikes);
            if act == Some(Act::Reset) {
                // Of what only seems to stand in the mask nothing else is said.
                let struck = draft.strikes.split_off(before);
                let gravest = struck.iter().map(|one| one.deed).max();
                let kept = struck.into_iter().filter(|one| Some(one.deed) == gravest);
                draft.strikes.extend(kept);
                return Ruling::Reset(Rule::Patch);
            }
            left -= used;
            // It is refused; what else could be said of it is said of an attack that never came.
            draft.strikes.truncate(before);
        }
        Ruling::Pass
    }

    /// A patch may have masked the run from a byte on, and ruled so: how long that makes a path.
    fn count_behind_cure(
        &mut self,
        guard: &Guard,
        run: &[u8],
        draft: &Draft,
        ruling: Ruling,
    ) -> Ruling {
        let Some(at) = draft.masked_from.filter(|_| !ruling.ends_flow()) else { return ruling };
        self.excess_of_masked(&guard.settings, run.len() - at - 1).unwrap_or(ruling)
    }

    fn end_for_patches(&self, plan: &Plan, draft: &mut Draft) -> Ruling {
        match plan.end(&self.patch, &mut draft.strikes) {
            Some(_) => Ruling::Reset(Rule::Patch),
            None if draft.strikes.is_empty() => Ruling::Pass,
            None => Ruling::Note(Rule::Patch),
        }
    }
}

impl Watch {
    /// What the patches make of a run, of which they see no more than the grammar takes: bytes
    /// behind one that it refuses would not be looked at, had they come alone.
    pub(super) fn look_for_patches(
        &mut self,
        guard: &Guard,
        run: Run<'_>,
        draft: &mut Draft,
    ) -> Ruling {
        if !matches!(run.event, Event::CommandArgument(_)) {
            let ruling = self.line.read_by_patches(guard, run, draft);
            return self.line.count_behind_cure(guard, run.bytes, draft, ruling);
        }
        let begun = self.line;
        let ruling = self.line.read_by_patches(guard, run, draft);
        // In a line that is refused already only what ends the flow strikes, in either reading.
        if draft.strikes.is_empty() {
            return ruling;
        }
        let (context, mut line) = (self.context(&guard.settings), begun);
        let refused = run.bytes.iter().position(|byte| {
            draft.begin();
            let judged = line.judge_argument(context, std::slice::from_ref(byte), draft);
            matches!(judged, Ruling::Refuse(_)) || judged.ends_flow()
        });
        // Of the run all leaves, also what is behind the part that is read now.
        draft.begin();
        draft.copy(run.bytes);
        self.line = begun;
        let length = refused.map_or(run.bytes.len(), |at| at + 1);
        let bytes = run.bytes.get(..length).unwrap_or_default();
        let mut ruling = self.line.read_by_patches(guard, Run { bytes, ..run }, draft);
        if let Some(before) = draft.masked_from.and_then(|at| run.bytes.get(..at)) {
            self.judge_before_cure(guard, begun, (before, run.bytes), draft);
            ruling = self.line.count_behind_cure(guard, run.bytes, draft, ruling);
        }
        let masked = run.bytes.len() - bytes.len();
        match &guard.plan {
            Some(plan) if masked > 0 && !ruling.ends_flow() => {
                let counted = self.line.count_masked(plan, masked, draft);
                if counted.ends_flow() { counted } else { ruling }
            }
            Some(_) | None => ruling,
        }
    }

    /// The grammar masks the argument from a byte of the run on, in which no patch has struck, and
    /// before which the patches stood here: what they make of the mask.
    pub(super) fn look_behind_the_grammar(
        &mut self,
        guard: &Guard,
        begun: Line,
        run: &[u8],
        draft: &mut Draft,
    ) -> Ruling {
        let (Some(plan), Some(at)) = (&guard.plan, draft.masked_from) else { return Ruling::Pass };
        let (bytes, masked) = run.split_at_checked(at + 1).unwrap_or((run, &[]));
        self.line.patch = begun;
        let _ = plan.read(&mut self.line.patch, bytes, &mut draft.strikes);
        self.line.count_masked(plan, masked.len(), draft)
    }

    /// Rules on what stands before the mask as if it had come alone, however the line was cut: the
    /// line was like this, and these bytes are the first of the run.
    fn judge_before_cure(
        &mut self,
        guard: &Guard,
        mut begun: LineWatch,
        (before, run): (&[u8], &[u8]),
        draft: &mut Draft,
    ) {
        self.hear_argument(guard, before);
        let mut alone = Draft::default();
        let judged = begun.judge_argument(self.context(&guard.settings), before, &mut alone);
        if matches!(judged, Ruling::Edit(_)) {
            // What patches have blanked stays so.
            let changes = before.iter().zip(alone.as_bytes());
            for (byte, (was, is)) in draft.copy(run).iter_mut().zip(changes) {
                if was != is {
                    *byte = *is;
                }
            }
        }
        draft.noted = alone.noted;
        // Where the mask begins the grammar stands, too.
        self.line.envelope = begun.envelope;
    }

    /// What the patches make of more of a line in an AUTH exchange.
    pub(super) fn look_into_response(
        &mut self,
        guard: &Guard,
        run: Run<'_>,
        draft: &mut Draft,
    ) -> Ruling {
        let Some(plan) = &guard.plan else { return Ruling::Pass };
        if self.line.patch.is_new() {
            self.line.patch = Line::response();
        }
        let is_stray = run.event == Event::AuthStray;
        if is_stray && guard.settings.unit == Unit::Stream && !guard.changes_nothing() {
            return self.line.count_masked(plan, run.bytes.len(), draft);
        }
        // A stray one is read over its CRs.
        let end = memchr::memchr2(b'\r', b'\n', run.bytes).filter(|_| !is_stray);
        let text = run.bytes.get(..end.unwrap_or(run.bytes.len())).unwrap_or_default();
        if plan.read(&mut self.line.patch, text, &mut draft.strikes).is_some() {
            return Ruling::Reset(Rule::Patch);
        }
        match end {
            Some(_) => {
                let ruling = self.line.end_for_patches(plan, draft);
                self.line.patch.end_response();
                ruling
            }
            None if draft.strikes.is_empty() => Ruling::Pass,
            None => Ruling::Note(Rule::Patch),
        }
    }
}

#[cfg(test)]
mod tests;
