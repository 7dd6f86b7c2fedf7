//! The client's line: whether it passes, what becomes of it, and when it ends the flow.
//!
//! By the stream, a line is decided byte by byte: what can still become a permitted verb passes at
//! once, and from the first byte that cannot, the line is masked. So the server gets the same bytes
//! however they were cut, one line in stays one line out, and nothing has to be held. By the
//! packet, as the original decided, each line or part of a line that a packet carries is judged as
//! if it were a whole line.
//!
//! What ends the flow is found first, then what is masked. A line masked at one place is not
//! judged behind it, except for what ends the flow.

use serde::{Deserialize, Serialize};

use super::address::Address;
use super::judge::{Run, Watch};
use super::limit::{LineKind, LineLength, Offers};
use super::mask::{Mask, NOOP};
use super::settings::{AddressScan, HttpWords, LongLines, Refusal, Settings, Unit};
use super::speech::FirstWord;
use super::value::LineLimit;
use super::{Draft, Guard, Rule, Ruling};
use crate::patch;
use crate::smtp::{Event, Verb, Word};

/// What the guard remembers of the client's line under way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct LineWatch {
    /// The rule by which it is refused.
    pub(super) refused: Option<Rule>,
    /// The rule and the mask of its rest, or of the rest of the part that a packet carries.
    pub(super) mask: Option<(Rule, Mask)>,
    /// By the packet: whether the part that the packet carries has begun.
    has_part: bool,
    /// The verb that its first word is, as far as it has come.
    pub(super) verb: Option<Verb>,
    first_word: FirstWord,
    address: Address,
    kind: LineKind,
    length: LineLength,
    /// Where patches look.
    pub(super) patch: patch::Line,
}

impl Watch {
    /// Rules on a run of a command line.
    pub(super) fn judge_command(
        &mut self,
        guard: &Guard,
        run: Run<'_>,
        draft: &mut Draft,
    ) -> Ruling {
        let settings = &guard.settings;
        // A longer word is no verb any more: nobody needs to look for one behind each byte of it.
        if let Event::CommandWord(word) = run.event
            && self.line.length.count() <= VERB_BYTES_MAX
        {
            self.line.verb = word.verb();
        }
        if matches!(run.event, Event::CommandGap(_)) && self.line.refused.is_none() {
            self.line.kind = LineKind::of(self.line.verb);
        }
        let before = self.line.length.count();
        let mut ruling = self.count(settings, run);
        if matches!(ruling, Ruling::Reset(_)) {
            // A patch that ends the flow for less is named, however the line was cut.
            if self.line.look_for_patches(guard, run, draft) == Ruling::Reset(Rule::Patch) {
                ruling = Ruling::Reset(Rule::Patch);
            }
        } else {
            let judged = self.line.judge_run(guard, run, before, draft);
            // A note never stands in for an edit.
            if judged != Ruling::Pass {
                ruling = judged;
            }
        }
        if matches!(run.event, Event::CommandEnd { .. }) {
            self.reply.clear.hear_command(self.line.verb.filter(|_| self.line.refused.is_none()));
            self.line = LineWatch::default();
        }
        ruling
    }

    /// Rules on more of a line in an AUTH exchange.
    pub(super) fn judge_response(
        &mut self,
        guard: &Guard,
        run: Run<'_>,
        draft: &mut Draft,
    ) -> Ruling {
        let settings = &guard.settings;
        let before = self.line.length.count();
        self.line.kind = LineKind::Response;
        self.line.length.add(run.bytes);
        let patched = self.look_into_response(guard, run, draft);
        let length = self.line.judge_length(settings, self.reply.offers, before);
        let is_over = matches!(length, Ruling::Reset(_)) && patched != Ruling::Reset(Rule::Patch);
        let ruling = if is_over || patched == Ruling::Pass { length } else { patched };
        if run.bytes.ends_with(b"\n") {
            self.line = LineWatch::default();
        }
        let is_masked = run.event == Event::AuthStray && settings.unit == Unit::Stream;
        if is_masked && !matches!(ruling, Ruling::Reset(_)) {
            Mask::X.apply_to_lines(draft.copy(run.bytes));
            return Ruling::Edit(Rule::StrayBytes);
        }
        ruling
    }

    /// Counts a run, and says what ends the flow.
    fn count(&mut self, settings: &Settings, run: Run<'_>) -> Ruling {
        let before = self.line.length.count();
        self.line.length.add(run.bytes);
        let is_foreign = settings.http_words == HttpWords::Reset
            && self.speech.hear(&mut self.line.first_word, self.line.verb, run.bytes);
        if is_foreign {
            return Ruling::Reset(Rule::OtherProtocol);
        }
        if self.is_recipient_too_many(settings, run.event) {
            return Ruling::Reset(Rule::Recipients);
        }
        self.line.judge_length(settings, self.reply.offers, before)
    }

    /// Counts the recipients of a message, refused ones too; whether this is one too many.
    fn is_recipient_too_many(&mut self, settings: &Settings, event: Event) -> bool {
        if self.line.refused.is_some() {
            return false;
        }
        match (event, self.line.verb) {
            (Event::CommandGap(_), Some(Verb::Rcpt)) => {
                let before = self.recipients;
                self.recipients = before.saturating_add(1);
                settings.recipients_max.is_passed(before, self.recipients)
            }
            // A message by BDAT ends with no line of ours: the next one's MAIL tells.
            (Event::CommandEnd { .. }, Some(Verb::Mail | Verb::Rset | Verb::Helo | Verb::Ehlo)) => {
                self.recipients = 0;
                false
            }
            _ => false,
        }
    }
}

impl LineWatch {
    /// Whether the bytes just added take the line over a limit.
    fn judge_length(&self, settings: &Settings, offers: Offers, before: u32) -> Ruling {
        let is_passed = |limit: LineLimit| limit.is_passed(before, self.length.count());
        let is_long =
            settings.long_lines != LongLines::Pass && is_passed(self.kind.standard(offers));
        match settings.long_lines {
            _ if is_passed(self.kind.limit(settings)) => Ruling::Reset(Rule::LongLine),
            LongLines::Reset if is_long => Ruling::Reset(Rule::LongLine),
            LongLines::Log if is_long => Ruling::Note(Rule::LongLine),
            LongLines::Log | LongLines::Pass | LongLines::Reset => Ruling::Pass,
        }
    }

    /// Rules on a run before which the line had so many bytes.
    #[expect(clippy::wildcard_enum_match_arm, reason = "most runs pass where nothing masks them")]
    fn judge_run(&mut self, guard: &Guard, run: Run<'_>, before: u32, draft: &mut Draft) -> Ruling {
        match guard.settings.unit {
            Unit::Packet => self.look_at_part(guard, run),
            Unit::Stream => self.look_at_bytes(guard, run.event, before),
        }
        let patched = self.look_for_patches(guard, run, draft);
        let is_line_end = matches!(run.event, Event::CommandCr | Event::CommandEnd { .. });
        if is_line_end || matches!(patched, Ruling::Refuse(_) | Ruling::Reset(_)) {
            return patched;
        }
        if let Some((rule, mask)) = &mut self.mask {
            let rule = *rule;
            let is_masked = mask.apply_to_lines(draft.copy(run.bytes));
            return match self.refused.replace(rule) {
                None => Ruling::Refuse(rule),
                Some(_) if is_masked => Ruling::Edit(rule),
                Some(_) => Ruling::Pass,
            };
        }
        let ruling = match run.event {
            // Postfix takes a TAB for a space, Exim and aiosmtpd do not: all read the same now.
            Event::CommandGap(_) if run.bytes == b"\t" && guard.settings.unit == Unit::Stream => {
                draft.copy(run.bytes).fill(b' ');
                Ruling::Edit(Rule::CommandGap)
            }
            Event::CommandGap(word) if guard.is_unsafe_in_clear(word.verb()) => {
                Ruling::Note(Rule::RequireTls)
            }
            Event::CommandArgument(word) => {
                self.judge_argument(&guard.settings, word, run.bytes, draft)
            }
            _ => Ruling::Pass,
        };
        if ruling == Ruling::Pass { patched } else { ruling }
    }

    /// By the packet: masks a part whose first word is no permitted verb.
    fn look_at_part(&mut self, guard: &Guard, run: Run<'_>) {
        let had_part = std::mem::replace(&mut self.has_part, true);
        if run.is_first || !had_part {
            self.begin_part(guard, run.rest);
        }
        // A BDAT that was not offered, or whose size is odd, passes by no unit of decision: its
        // octets would be read as lines here and not there.
        let is_chunk = run.event == Event::CommandStray && guard.permitted.contains(Verb::Bdat);
        if is_chunk && self.mask.is_none() {
            self.mask = Some((Rule::Verb, Mask::X));
        }
    }

    fn begin_part(&mut self, guard: &Guard, packet: &[u8]) {
        // What cures an address goes on in the next packet.
        if matches!(self.mask, Some((Rule::Address | Rule::Patch, _))) {
            return;
        }
        let end = memchr::memchr2(b'\r', b'\n', packet).unwrap_or(packet.len());
        let text = packet.get(..end).unwrap_or_default();
        let mut word = Word::default();
        text.iter().take_while(|byte| !byte.is_ascii_whitespace()).for_each(|&b| word.push(b));
        let is_permitted = word.verb().is_some_and(|verb| guard.permitted.contains(verb));
        let mask = match guard.settings.refusal {
            _ if is_permitted || text.is_empty() => None,
            Refusal::Noop if text.len() >= NOOP.len() => Some(Mask::Noop(0)),
            Refusal::FirstWord if !word.is_empty() => Some(Mask::Word),
            Refusal::FirstWord | Refusal::Noop | Refusal::X => Some(Mask::X),
        };
        self.mask = mask.map(|mask| (Rule::Verb, mask));
    }

    /// By the stream: masks from the first byte on that cannot stand in a permitted line.
    #[expect(clippy::wildcard_enum_match_arm, reason = "most runs refuse nothing")]
    fn look_at_bytes(&mut self, guard: &Guard, event: Event, before: u32) {
        let is_permitted = |verb| guard.permitted.contains(verb);
        let (rule, has_word) = match event {
            Event::CommandStray => (Rule::StrayBytes, false),
            _ if self.refused.is_some() => return,
            Event::CommandWord(word) if !guard.permitted.has_prefix(&word) => {
                let is_withheld = guard.withheld.has_prefix(&word);
                (if is_withheld { guard.clear_rule() } else { Rule::Verb }, true)
            }
            Event::CommandGap(word) if !self.verb.is_some_and(is_permitted) => {
                (Rule::Verb, !word.is_empty())
            }
            _ => return,
        };
        let mask = match (self.mask, guard.settings.refusal) {
            // The rest of a line may pass, what stands behind a CR or a NUL in it may not.
            (Some((_, Mask::Word | Mask::Rest)), _) => Mask::X,
            (Some((_, mask)), _) => mask,
            // The 250 to a NOOP would be a lie.
            (None, _) if matches!(rule, Rule::RequireTls | Rule::AuthRequiresTls) => Mask::X,
            // Whether the line has room for NOOP is not known yet: a shorter one gets what fits.
            // Where letters have left already there can be none.
            (None, Refusal::Noop) if before == 0 => Mask::Noop(0),
            (None, Refusal::FirstWord) if has_word => Mask::Word,
            (None, Refusal::FirstWord | Refusal::Noop | Refusal::X) => Mask::X,
        };
        self.mask = Some((self.refused.unwrap_or(rule), mask));
    }

    /// Rules on more of an argument that is not masked.
    fn judge_argument(
        &mut self,
        settings: &Settings,
        word: Word,
        run: &[u8],
        draft: &mut Draft,
    ) -> Ruling {
        let verb = word.verb();
        let sender_max = settings.sender_max;
        let has_limit = verb == Some(Verb::Mail) && sender_max.is_set();
        let has_address = matches!(verb, Some(Verb::Mail | Verb::Rcpt));
        let scan = if has_address { settings.address_scan } else { AddressScan::Off };
        if scan == AddressScan::Off && !has_limit {
            return Ruling::Pass;
        }
        let bytes = draft.copy(run);
        if !has_limit && matches!(scan, AddressScan::Log | AddressScan::Replace) {
            let is_replaced = scan == AddressScan::Replace;
            return match (self.address.scan(bytes, is_replaced), is_replaced) {
                (false, _) => Ruling::Pass,
                (true, false) => Ruling::Note(Rule::Address),
                (true, true) => Ruling::Edit(Rule::Address),
            };
        }
        let mut ruling = Ruling::Pass;
        for (at, &byte) in run.iter().enumerate() {
            let rest = bytes.get_mut(at..).unwrap_or_default();
            match scan {
                AddressScan::Off => {}
                _ if !self.address.is_stray(byte) => {}
                AddressScan::Log => ruling = Ruling::Note(Rule::Address),
                AddressScan::Replace => {
                    ruling = Ruling::Edit(Rule::Address);
                    rest.iter_mut().take(1).for_each(|byte| *byte = b' ');
                }
                AddressScan::Refuse => {
                    let mut mask = self.address.cure();
                    mask.apply(rest);
                    self.mask = Some((Rule::Address, mask));
                    self.refused = Some(Rule::Address);
                    return Ruling::Refuse(Rule::Address);
                }
            }
            let before = self.address.length();
            self.address.push(byte);
            if has_limit && sender_max.is_passed(before, self.address.length()) {
                return Ruling::Reset(Rule::Sender);
            }
        }
        ruling
    }
}

/// The letters of STARTTLS, the longest verb.
const VERB_BYTES_MAX: u32 = 8;

#[cfg(test)]
mod tests;
