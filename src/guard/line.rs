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
use super::argument::Context;
use super::envelope::Envelope;
use super::extension::Offers;
use super::judge::{Run, Watch};
use super::limit::{LineKind, LineLength};
use super::mask::Mask;
use super::order::{Order, Sent};
use super::pattern::Patterns;
use super::settings::{Cure, HttpWords, LongLines, Refusal, Settings, Unit};
use super::speech::FirstWord;
use super::tally::Ended;
use super::{Draft, Excess, Guard, Rule, Ruling, VerbSet};
use crate::patch;
use crate::smtp::{Event, Verb, WholeLine, is_blank};

/// What the guard remembers of the client's line under way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct LineWatch {
    /// The rule by which it is refused.
    pub(super) refused: Option<Rule>,
    /// The rule and the mask of its rest, or of the rest of the part that a packet carries.
    pub(super) mask: Option<(Rule, Mask)>,
    /// By the packet: whether the part that the packet carries has begun.
    pub(super) has_part: bool,
    /// The verb that its first word is, as far as it has come.
    pub(super) verb: Option<Verb>,
    first_word: FirstWord,
    pub(super) address: Address,
    pub(super) envelope: Envelope,
    /// A parameter was told of that is not offered; an argument that is odd was.
    pub(super) has_odd_parameter: bool,
    pub(super) has_told_argument: bool,
    hello: Hello,
    /// What a BDAT has announced.
    chunk: Chunk,
    kind: LineKind,
    length: LineLength,
    /// Where patches look.
    pub(super) patch: patch::Line,
}

/// The name in HELO or EHLO, as far as it has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Hello {
    state: u16,
    has_begun: bool,
    has_ended: bool,
}

impl Hello {
    fn read(&mut self, patterns: &Patterns, run: &[u8]) {
        for &byte in run.iter().filter(|_| !patterns.is_empty()) {
            // Exim strips blanks of any kind.
            self.has_ended |= self.has_begun && is_blank(byte);
            self.has_begun |= !is_blank(byte);
            if self.has_begun && !self.has_ended {
                self.state = patterns.next(self.state, byte);
            }
        }
    }
}

/// The argument of a BDAT, as far as it has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Chunk {
    octets: u16,
    is_last: bool,
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
        let before = self.line.length.count();
        // A longer word is no verb any more: nobody needs to look for one behind each byte of it.
        if let Event::CommandWord(word) = run.event
            && before <= VERB_BYTES_MAX
        {
            self.line.verb = word.verb();
        }
        if matches!(run.event, Event::CommandGap(_)) && self.line.refused.is_none() {
            self.line.kind = LineKind::of(self.line.verb);
            self.line.envelope = Envelope::of(self.line.verb);
            if self.line.verb == Some(Verb::Mail) {
                self.size.declare_nothing();
            }
        }
        let mut ruling = self.count(settings, run);
        if ruling.ends_flow() {
            // A patch that ends the flow for less is named, however the line was cut.
            if self.line.read_by_patches(guard, run, draft) == Ruling::Reset(Rule::Patch) {
                ruling = Ruling::Reset(Rule::Patch);
            }
        } else {
            let judged = self.judge_run(guard, run, before, draft);
            // A note never stands in for an edit.
            if judged != Ruling::Pass {
                ruling = judged;
            }
        }
        if let Event::CommandEnd { verb, .. } = run.event {
            let excess = self.end_line(guard, verb);
            let is_told =
                |excess: &Excess| ruling == Ruling::Pass || (excess.is_end && !ruling.ends_flow());
            if let Some(excess) = excess.filter(is_told) {
                ruling = Ruling::Exceed(excess);
            }
        }
        ruling
    }

    /// Whether a line that is here whole is in its order and by its grammar, with nothing to be
    /// said of it. It counts as judged then.
    pub(super) fn take_whole_line(&mut self, guard: &Guard, line: &WholeLine, text: &[u8]) -> bool {
        let settings = &guard.settings;
        let is_ordered = settings.order != Cure::Off;
        let is_barred =
            is_ordered && (self.order.bars(line.verb).is_some() || self.order.waits(line.verb));
        let is_hello = matches!(line.verb, Verb::Helo | Verb::Ehlo);
        let has_names = is_hello && !settings.hello_refuse.is_empty();
        if is_barred || has_names {
            return false;
        }
        let text = text.get(..line.length).unwrap_or(text);
        let argument = text.get(line.verb.name().len() + 1..).filter(|_| line.has_gap);
        self.line.verb = Some(line.verb);
        self.line.length.add(text);
        let context = self.context(settings);
        if let Some(argument) = argument.filter(|_| context.has_grammar()) {
            self.line.envelope = Envelope::of(self.line.verb);
            if !self.line.takes_argument(context, argument) {
                return false;
            }
        }
        self.end_line(guard, Some(line.verb)).is_none()
    }

    /// What arguments are judged by.
    pub(super) const fn context<'s>(&self, settings: &'s Settings) -> Context<'s> {
        Context { settings, offers: self.reply.offers, has_utf8_mail: self.has_utf8_mail }
    }

    /// The client's line has ended: it counts as what the server gets, which answers `answered`.
    fn end_line(&mut self, guard: &Guard, answered: Option<Verb>) -> Option<Excess> {
        let line = std::mem::take(&mut self.line);
        let is_refused = line.refused.is_some();
        let verb = line.verb.filter(|_| !is_refused);
        self.reply.clear.hear_command(verb);
        if let Some(verb) = verb {
            let is_bare = usize::try_from(line.length.count()) == Ok(verb.name().len());
            self.order.send(Sent { verb, is_bare, is_last: line.chunk.is_last });
            if verb.begins_transaction() {
                self.begin_message();
                self.has_utf8_mail = line.envelope.ends_with_utf8();
            }
        } else if let Some(verb) = answered {
            self.has_utf8_mail &= !verb.begins_transaction();
            let is_path_masked = line.masks_path() && !guard.changes_nothing();
            self.order.send_refused(verb, is_path_masked);
        }
        let is_empty = line.length.count() == 0;
        let is_foreign = line.verb.is_none() && !guard.settings.verbs.has_some_own();
        let ended = Ended {
            verb: answered,
            is_refused: is_refused || is_foreign,
            is_empty,
            octets: line.chunk.octets,
        };
        self.tally.end_line(&guard.settings, ended)
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
        let is_over = length.ends_flow() && patched != Ruling::Reset(Rule::Patch);
        let ruling = if is_over || patched == Ruling::Pass { length } else { patched };
        if run.bytes.ends_with(b"\n") {
            self.line = LineWatch::default();
        }
        let is_masked = run.event == Event::AuthStray && settings.unit == Unit::Stream;
        if is_masked && !ruling.ends_flow() {
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
        let recipient = self.count_recipient(settings, run.event).map(Ruling::Exceed);
        let length = self.line.judge_length(settings, self.reply.offers, before);
        recipient.filter(|ruling| ruling.ends_flow() || !length.ends_flow()).unwrap_or(length)
    }

    /// Counts the recipients of a message, refused ones too, and says if this is one too many.
    fn count_recipient(&mut self, settings: &Settings, event: Event) -> Option<Excess> {
        if self.line.refused.is_some() {
            return None;
        }
        let is_counted =
            matches!(event, Event::CommandGap(_)) && self.line.verb == Some(Verb::Rcpt);
        let counts = is_counted.then(|| self.order.count_recipient())?;
        settings.recipients_max.excess(Rule::Recipients, counts)
    }

    /// Rules on a run before which the line had so many bytes.
    #[expect(clippy::wildcard_enum_match_arm, reason = "most runs pass where nothing masks them")]
    fn judge_run(&mut self, guard: &Guard, run: Run<'_>, before: u32, draft: &mut Draft) -> Ruling {
        let is_new_part = match guard.settings.unit {
            Unit::Packet => self.line.look_at_part(guard, run),
            Unit::Stream => {
                self.line.look_at_bytes(guard, &self.order, run.event, before);
                false
            }
        };
        if matches!(run.event, Event::CommandGap(_)) && !is_new_part {
            self.line.end_masked_word();
        }
        let begun = self.line.patch;
        let patched = self.look_for_patches(guard, run, draft);
        let is_line_end = matches!(run.event, Event::CommandCr | Event::CommandEnd { .. });
        let is_named = is_line_end
            && self.line.hello.has_begun
            && guard.settings.hello_refuse.is_match(self.line.hello.state);
        if is_named && patched == Ruling::Pass {
            return Ruling::Reset(Rule::HelloName);
        }
        if is_line_end || patched.ends_flow() || matches!(patched, Ruling::Refuse(_)) {
            return patched;
        }
        if let Some(ruling) = self.line.go_on_masking(run.bytes, draft) {
            let excess = self.line.excess_of_masked(&guard.settings, masked(run.bytes));
            return excess.unwrap_or(ruling);
        }
        let ruling = match run.event {
            // Postfix takes a TAB for a space, Exim and aiosmtpd do not: all read the same now.
            Event::CommandGap(_) if run.bytes == b"\t" && guard.settings.unit == Unit::Stream => {
                draft.copy(run.bytes).fill(b' ');
                Ruling::Edit(Rule::CommandGap)
            }
            Event::CommandWord(_) => self.note_order(&guard.settings),
            Event::CommandArgument(_) if self.line.verb == Some(Verb::Bdat) => {
                self.line.chunk.read(run.bytes);
                capitals_of_last(run.bytes, draft)
            }
            Event::CommandArgument(_) => {
                self.hear_argument(guard, run.bytes);
                let context = self.context(&guard.settings);
                let ruling = self.line.judge_argument(context, run.bytes, draft);
                let is_masked = matches!(ruling, Ruling::Refuse(_)) && draft.strikes.is_empty();
                if is_masked
                    && let masked @ Ruling::Reset(_) =
                        self.look_behind_the_grammar(guard, begun, run.bytes, draft)
                {
                    return masked;
                }
                ruling
            }
            Event::CommandStray => self.line.scan(&guard.settings, run.bytes, draft).0,
            _ => Ruling::Pass,
        };
        match (patched, ruling) {
            (_, Ruling::Pass) | (Ruling::Edit(_), Ruling::Note(_)) => patched,
            (Ruling::Edit(_), Ruling::Exceed(excess)) if !excess.is_end => patched,
            _ => ruling,
        }
    }

    /// More of an argument that is not masked, for what is known at its end alone.
    pub(super) fn hear_argument(&mut self, guard: &Guard, bytes: &[u8]) {
        if self.line.verb == Some(Verb::Mail) && guard.settings.minds_declared() {
            self.size.hear_declared(self.line.address, bytes);
        }
        if matches!(self.line.verb, Some(Verb::Helo | Verb::Ehlo)) {
            self.line.hello.read(&guard.settings.hello_refuse, bytes);
        }
    }

    /// Where the order is only logged: the verb that may not come is whole.
    fn note_order(&self, settings: &Settings) -> Ruling {
        let verb = self.line.verb.filter(|_| settings.order == Cure::Log);
        verb.and_then(|verb| self.order.bars(verb)).map_or(Ruling::Pass, Ruling::Note)
    }
}

impl Chunk {
    fn read(&mut self, run: &[u8]) {
        for &byte in run {
            match byte {
                b'0'..=b'9' => {
                    let digit = u16::from(byte - b'0');
                    self.octets = self.octets.saturating_mul(10).saturating_add(digit);
                }
                // What else may come is a space, or LAST.
                _ => self.is_last |= byte != b' ',
            }
        }
    }
}

impl LineWatch {
    /// Whether the bytes just added take the line over a limit.
    fn judge_length(&self, settings: &Settings, offers: Offers, before: u32) -> Ruling {
        let length = (before, self.length.count());
        let excess = self.kind.limit(settings).excess(Rule::LongLine, length);
        let standard = match settings.long_lines {
            LongLines::Pass => None,
            LongLines::Log | LongLines::Reset => {
                self.kind.standard(offers).excess(Rule::LongLine, length)
            }
        };
        let is_end = settings.long_lines == LongLines::Reset;
        let standard = standard.map(|excess| Excess { is_end, ..excess });
        Excess::graver(excess, standard).map_or(Ruling::Pass, Ruling::Exceed)
    }

    /// A blank that begins no part stands behind the word.
    const fn end_masked_word(&mut self) {
        if let Some((_, mask @ Mask::Word)) = &mut self.mask {
            *mask = Mask::Rest;
        }
    }

    /// More of a line that is masked, if it is.
    fn go_on_masking(&mut self, run: &[u8], draft: &mut Draft) -> Option<Ruling> {
        let (rule, mask) = self.mask.as_mut()?;
        let rule = *rule;
        let is_masked = mask.apply_to_lines(draft.copy(run));
        Some(match self.refused.replace(rule) {
            None => Ruling::Refuse(rule),
            Some(_) if is_masked => Ruling::Edit(rule),
            Some(_) => Ruling::Pass,
        })
    }

    /// By the stream: masks from the first byte on that cannot stand in a permitted line.
    #[expect(clippy::wildcard_enum_match_arm, reason = "most runs refuse nothing")]
    fn look_at_bytes(&mut self, guard: &Guard, order: &Order, event: Event, before: u32) {
        let is_enforced = guard.settings.order == Cure::Enforce;
        let is_asked = is_enforced && matches!(event, Event::CommandWord(_) | Event::CommandGap(_));
        let barred = if is_asked { order.barred() } else { VerbSet::default() };
        let permitted = guard.passable().without(barred);
        let own = &guard.settings.verbs;
        let is_own_late = guard.settings.wants_tls_for_own_verbs();
        let is_permitted = |verb| permitted.contains(verb);
        let (rule, has_word) = match event {
            Event::CommandStray => (Rule::StrayBytes, false),
            _ if self.refused.is_some() => return,
            Event::CommandWord(word)
                if !permitted.has_prefix(&word) && (is_own_late || !own.has_own_prefix(&word)) =>
            {
                let barred = word.openings().find(|&verb| guard.permitted.contains(verb));
                (rule_of(guard, order, barred, own.has_own_prefix(&word)), true)
            }
            Event::CommandGap(word)
                if !self.verb.is_some_and(is_permitted) && (is_own_late || !own.has_own(&word)) =>
            {
                let barred = self.verb.filter(|&verb| guard.permitted.contains(verb));
                (rule_of(guard, order, barred, own.has_own(&word)), !word.is_empty())
            }
            _ => return,
        };
        let mask = match (self.mask, guard.settings.refusal) {
            // The rest of a line may pass, what stands behind a CR or a NUL in it may not.
            (Some((_, Mask::Word | Mask::Rest)), _) => Mask::X,
            (Some((_, mask)), _) => mask,
            // An X behind a word without brackets would be an address to Exim.
            (None, _) if rule == Rule::StrayBytes && self.has_path(guard) => {
                self.envelope.stray_cure()
            }
            // Whether the line has room for NOOP is not known yet: a shorter one gets what fits.
            // Where letters have left already there can be none.
            (None, Refusal::Noop) if before == 0 => Mask::Noop(0),
            (None, Refusal::FirstWord) if has_word => Mask::Word,
            (None, Refusal::FirstWord | Refusal::Noop | Refusal::X) => Mask::X,
        };
        self.mask = Some((self.refused.unwrap_or(rule), mask));
    }

    /// Whether what is masked of it, if anything is, may be of the path in MAIL or RCPT.
    pub(super) fn masks_path(&self) -> bool {
        let has_path = |verb: Verb| verb == Verb::Rcpt || verb.begins_transaction();
        self.verb.is_some_and(has_path) && self.envelope.may_be_in_path()
    }

    /// Whether the line has an address that the grammar reads.
    fn has_path(&self, guard: &Guard) -> bool {
        guard.settings.enforces_grammar()
            && matches!(self.verb, Some(Verb::Mail | Verb::Rcpt | Verb::Vrfy | Verb::Expn))
    }
}

/// How many bytes of a run are masked: a CR stays, and may stand alone or within a run.
pub(super) fn masked(run: &[u8]) -> usize {
    run.len() - memchr::memchr_iter(b'\r', run).count()
}

/// Behind BDAT only LAST has letters, and not every server knows them all.
fn capitals_of_last(run: &[u8], draft: &mut Draft) -> Ruling {
    if !run.iter().any(u8::is_ascii_lowercase) {
        return Ruling::Pass;
    }
    draft.copy(run).make_ascii_uppercase();
    Ruling::Edit(Rule::LastChunk)
}

/// Why a word that is this verb, or a site's own, may not come.
fn rule_of(guard: &Guard, order: &Order, verb: Option<Verb>, is_own: bool) -> Rule {
    match verb {
        Some(verb) if guard.tls_only.contains(verb) => Rule::TlsRequired,
        Some(verb) => order.bars(verb).unwrap_or(Rule::Verb),
        None if is_own => Rule::TlsRequired,
        None => Rule::Verb,
    }
}

/// The letters of STARTTLS, the longest verb.
const VERB_BYTES_MAX: u32 = 8;

#[cfg(test)]
mod tests;
