//! What becomes of a line's argument: the grammar of the envelope, and what the old releases
//! scanned addresses for.

use super::envelope::{Envelope, Finding, Rules};
use super::extension::{Offers, Parameters};
use super::line::LineWatch;
use super::mask::Mask;
use super::settings::{AddressScan, EnvelopeRules, ParameterRules, Settings};
use super::{Bytes, Draft, Excess, Rule, Ruling};
use crate::smtp::Verb;

/// What decides about arguments beside the settings.
#[derive(Clone, Copy, Debug)]
pub(super) struct Context<'a> {
    pub(super) settings: &'a Settings,
    /// Extensions of the server.
    pub(super) offers: Offers,
    /// The MAIL of this transaction has said SMTPUTF8.
    pub(super) has_utf8_mail: bool,
}

impl Context<'_> {
    /// Whether arguments are of any interest.
    pub(super) fn has_grammar(&self) -> bool {
        self.settings.envelope != EnvelopeRules::Off
            || self.settings.path_max.is_set()
            || self.settings.local_part_max.is_set()
    }

    /// Bytes that local parts may not have.
    fn refused(&self, verb: Option<Verb>) -> &Bytes {
        match verb {
            Some(Verb::Rcpt) => &self.settings.recipient_refuse,
            _ => &self.settings.sender_refuse,
        }
    }

    fn rules(&self, verb: Option<Verb>, has_odd_parameter: bool) -> Rules<'_> {
        let is_strict = self.settings.envelope == EnvelopeRules::Strict;
        let is_recipient = verb == Some(Verb::Rcpt);
        let has_utf8 = self.offers.has_utf8();
        let is_any = self.settings.parameters == ParameterRules::Any || has_odd_parameter;
        Rules {
            is_strict,
            has_utf8: has_utf8 && (self.has_utf8_mail || !is_strict || !is_recipient),
            permitted: if is_any { Parameters::ALL } else { self.offers.permits() },
            refused: self.refused(verb),
            mechanisms: &self.settings.auth_mechanisms,
        }
    }
}

impl Settings {
    /// Whether the argument of MAIL is read whatever is scanned for.
    pub(super) const fn minds_sender(&self) -> bool {
        self.sender_max.is_set() || self.minds_declared()
    }
}

impl LineWatch {
    /// Rules on more of an argument that is not masked.
    pub(super) fn judge_argument(
        &mut self,
        context: Context<'_>,
        run: &[u8],
        draft: &mut Draft,
    ) -> Ruling {
        let settings = context.settings;
        let (mut ruling, end) = self.scan(settings, run, draft);
        if !self.envelope.is_free() && context.has_grammar() {
            // What stands before the byte at which the scan has decided is the grammar's.
            let scanned = (self.mask.take(), self.refused.take());
            let judged = self.read_argument(context, run.get(..end).unwrap_or(run), draft);
            if judged.ends_flow() || matches!(judged, Ruling::Refuse(_)) {
                return judged;
            }
            (self.mask, self.refused) = scanned;
            let is_decided = ruling.ends_flow() || matches!(ruling, Ruling::Refuse(_));
            if judged != Ruling::Pass && !is_decided {
                ruling = judged;
            }
        }
        let is_refused = matches!(ruling, Ruling::Refuse(_));
        draft.masked_from = is_refused.then_some(end);
        let excess = is_refused.then(|| self.excess_of_masked(settings, run.len() - end));
        excess.flatten().unwrap_or(ruling)
    }

    /// What is ruled for the address in an argument, and how many bytes stand before the one at
    /// which that is decided.
    pub(super) fn scan(
        &mut self,
        settings: &Settings,
        run: &[u8],
        draft: &mut Draft,
    ) -> (Ruling, usize) {
        let has_address = matches!(self.verb, Some(Verb::Mail | Verb::Rcpt));
        let has_limit = self.verb == Some(Verb::Mail) && settings.minds_sender();
        let scan = if has_address { settings.address_scan } else { AddressScan::Off };
        if scan == AddressScan::Off && !has_limit {
            return (Ruling::Pass, run.len());
        }
        self.scan_address(settings, scan, run, draft)
    }

    fn scan_address(
        &mut self,
        settings: &Settings,
        scan: AddressScan,
        run: &[u8],
        draft: &mut Draft,
    ) -> (Ruling, usize) {
        let has_limit = self.verb == Some(Verb::Mail) && settings.sender_max.is_set();
        let bytes = draft.copy(run);
        if !has_limit && matches!(scan, AddressScan::Off | AddressScan::Replace) {
            let is_replaced = scan == AddressScan::Replace;
            let has_stray = self.address.read(bytes, is_replaced);
            let is_edited = is_replaced && has_stray;
            let ruling = if is_edited { Ruling::Edit(Rule::Address) } else { Ruling::Pass };
            return (ruling, run.len());
        }
        let mut ruling = Ruling::Pass;
        for (at, &byte) in run.iter().enumerate() {
            let rest = bytes.get_mut(at..).unwrap_or_default();
            match scan {
                AddressScan::Log if self.address.is_special(byte) => {
                    ruling = Ruling::Note(Rule::Address);
                }
                AddressScan::Off | AddressScan::Log => {}
                AddressScan::Replace | AddressScan::Refuse if !self.address.is_stray(byte) => {}
                AddressScan::Replace => {
                    ruling = Ruling::Edit(Rule::Address);
                    rest.iter_mut().take(1).for_each(|byte| *byte = b' ');
                }
                AddressScan::Refuse => {
                    self.mask_from((Rule::Address, self.address.cure()), rest);
                    return (Ruling::Refuse(Rule::Address), at);
                }
            }
            let before = self.address.length();
            self.address.push(byte);
            let length = (before, self.address.length());
            let excess = settings.sender_max.excess(Rule::Sender, length);
            match excess.filter(|_| has_limit) {
                Some(excess) if excess.is_end => return (Ruling::Exceed(excess), at),
                Some(excess) if ruling == Ruling::Pass => ruling = Ruling::Exceed(excess),
                Some(_) | None => {}
            }
        }
        (ruling, run.len())
    }

    /// Whether all of an argument is as the grammar wants it, and no longer than it may be.
    pub(super) fn takes_argument(&mut self, context: Context<'_>, argument: &[u8]) -> bool {
        let (settings, verb) = (context.settings, self.verb);
        let has_path = matches!(verb, Some(Verb::Mail | Verb::Rcpt));
        let mut argument = argument;
        if has_path && settings.envelope != EnvelopeRules::Strict {
            let refused = context.refused(verb);
            let used = self.envelope.skip_plain_path(argument, verb, refused).unwrap_or(0);
            argument = argument.get(used..).unwrap_or_default();
            if self.excess_of_path(settings, Envelope::default()).is_some() {
                return false;
            }
        }
        if argument.is_empty() {
            return true;
        }
        let rules = context.rules(verb, false);
        let mut rest = argument.get(self.envelope.skip_plain(argument)..).unwrap_or_default();
        while let [byte, behind @ ..] = rest {
            let before = self.envelope;
            let is_taken = self.envelope.push(*byte, verb, &rules) == Finding::Take;
            if !is_taken || self.excess_of_path(context.settings, before).is_some() {
                return false;
            }
            rest = behind.get(self.envelope.skip_plain(behind)..).unwrap_or_default();
        }
        true
    }

    /// By the grammar, byte by byte.
    fn read_argument(&mut self, context: Context<'_>, run: &[u8], draft: &mut Draft) -> Ruling {
        let (settings, verb) = (context.settings, self.verb);
        let mut ruling = Ruling::Pass;
        let (mut rules, mut has_odd) = (context.rules(verb, self.has_odd_parameter), false);
        let mut next = self.envelope.skip_plain(run);
        while let Some(&byte) = run.get(next) {
            let (at, before) = (next, self.envelope);
            if self.has_odd_parameter && !has_odd {
                (rules, has_odd) = (context.rules(verb, true), true);
            }
            let finding = self.envelope.push(byte, verb, &rules);
            let heeded = match finding {
                Finding::Take => Heeded::Nothing,
                Finding::Replace(_) | Finding::Refuse(_) | Finding::Unoffered => {
                    self.heed(context, finding, byte)
                }
            };
            match heeded {
                Heeded::Nothing => {}
                Heeded::Note(rule) => {
                    draft.noted = Some((at, rule));
                    if ruling == Ruling::Pass {
                        ruling = Ruling::Note(rule);
                    }
                }
                Heeded::Replace(value) => {
                    let bytes = draft.copy(run);
                    bytes.iter_mut().skip(at).take(1).for_each(|byte| *byte = value);
                    ruling = Ruling::Edit(Rule::Envelope);
                }
                Heeded::Refuse(rule, mask) => {
                    draft.masked_from = Some(at);
                    let bytes = draft.copy(run);
                    let rest = bytes.get_mut(at..).unwrap_or_default();
                    return self.refuse(settings, (rule, mask), rest);
                }
            }
            match self.excess_of_path(settings, before) {
                Some(excess) if excess.is_end => return Ruling::Exceed(excess),
                Some(excess) if ruling == Ruling::Pass => ruling = Ruling::Exceed(excess),
                Some(_) | None => {}
            }
            next += 1;
            next += self.envelope.skip_plain(run.get(next..).unwrap_or_default());
        }
        ruling
    }

    /// What the settings make of a finding.
    fn heed(&mut self, context: Context<'_>, finding: Finding, byte: u8) -> Heeded {
        let settings = context.settings;
        let is_enforced = settings.enforces_grammar();
        let rule = match finding {
            Finding::Take => return Heeded::Nothing,
            Finding::Replace(value) if is_enforced => return Heeded::Replace(value),
            Finding::Refuse(mask) if is_enforced => return Heeded::Refuse(Rule::Envelope, mask),
            Finding::Unoffered if is_enforced && settings.parameters == ParameterRules::Offered => {
                return Heeded::Refuse(Rule::Parameter, self.envelope.cure());
            }
            // One of them is told of, and the others may come too.
            Finding::Unoffered => {
                self.has_odd_parameter = true;
                let rules = context.rules(self.verb, true);
                let finding = self.envelope.push(byte, self.verb, &rules);
                let heeded = self.heed(context, finding, byte);
                let is_taken = matches!(heeded, Heeded::Nothing);
                return if is_taken {
                    self.note_argument(settings, Rule::Parameter)
                } else {
                    heeded
                };
            }
            Finding::Replace(_) | Finding::Refuse(_) => Rule::Envelope,
        };
        if !matches!(finding, Finding::Replace(_)) {
            self.envelope.force(byte);
        }
        self.note_argument(settings, rule)
    }

    /// What is odd about an argument is said once.
    fn note_argument(&mut self, settings: &Settings, rule: Rule) -> Heeded {
        let is_told = settings.envelope == EnvelopeRules::Off
            || std::mem::replace(&mut self.has_told_argument, true);
        if is_told { Heeded::Nothing } else { Heeded::Note(rule) }
    }

    fn excess_of_path(&self, settings: &Settings, before: Envelope) -> Option<Excess> {
        let now = &self.envelope;
        if now.path == before.path {
            return None;
        }
        let of = |before: u16, now: u16| (u32::from(before), u32::from(now));
        let local = settings.local_part_max.excess(Rule::LocalPart, of(before.local, now.local));
        let path = settings.path_max.excess(Rule::PathLength, of(before.path, now.path));
        Excess::graver(local, path)
    }

    /// The line leaves masked from these bytes on.
    fn refuse(
        &mut self,
        settings: &Settings,
        (rule, mask): (Rule, Mask),
        bytes: &mut [u8],
    ) -> Ruling {
        self.mask_from((rule, mask), bytes);
        self.excess_of_masked(settings, bytes.len()).unwrap_or(Ruling::Refuse(rule))
    }

    fn mask_from(&mut self, (rule, mut mask): (Rule, Mask), bytes: &mut [u8]) {
        mask.apply(bytes);
        self.mask = Some((rule, mask));
        self.refused = Some(rule);
    }

    /// So many bytes of a refused line leave masked: a path that is too long is that all the same.
    pub(super) fn excess_of_masked(&mut self, settings: &Settings, count: usize) -> Option<Ruling> {
        let before = self.envelope;
        self.envelope.take_masked(count);
        let excess = self.excess_of_path(settings, before).filter(|excess| excess.is_end);
        excess.map(Ruling::Exceed)
    }
}

/// What becomes of a byte.
enum Heeded {
    Nothing,
    Note(Rule),
    Replace(u8),
    Refuse(Rule, Mask),
}

#[cfg(test)]
mod tests;
