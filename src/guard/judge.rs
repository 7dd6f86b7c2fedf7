//! One run of bytes in, one ruling out.
//!
//! By the stream, client lines are decided byte by byte: what can still become a permitted verb
//! passes at once, and from the first byte that cannot, the rest of the line is masked. So the
//! server gets the same bytes however they were cut, one line in stays one line out, and nothing
//! has to be held. By the packet, as the original decided, each line or part of a line that a
//! packet carries is judged as if it were a whole line.

use super::reply::ReplyWatch;
use super::settings::{
    AddressScan, LongLines, Lookalikes, Refusal, Settings, SplitAction, SplitScope,
    SplitTerminator, Unit, VerbSet,
};
use super::{Rule, limit};
use crate::smtp::{Event, Verb, Word};

/// What refused bytes become: no verb that any server knows has three of them.
pub(super) const MASK: u8 = b'X';

/// What a refused line becomes where it is long enough (Cisco: "converts any such commands into
/// NOOP commands").
const NOOP: &[u8] = b"NOOP";

/// What is to be done about a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ruling {
    /// It passes.
    Pass,
    /// It passes, but is worth a line in the log.
    Note(Rule),
    /// It leaves as drafted.
    Edit(Rule),
    /// It leaves as drafted, and from here on its line is no command any more.
    Refuse(Rule),
    /// The flow ends here.
    Reset(Rule),
}

/// The bytes that leave in place of a run: as many, by construction.
#[derive(Debug, Default)]
pub struct Draft(Vec<u8>);

impl Draft {
    /// The drafted bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    pub(super) fn copy(&mut self, run: &[u8]) -> &mut [u8] {
        self.0.clear();
        self.0.extend_from_slice(run);
        &mut self.0
    }

    /// More of NOOP and spaces, of which so many bytes have left.
    fn fill_noop(&mut self, run: &[u8], left: &mut usize) {
        self.fill(run, b' ');
        for (byte, &letter) in self.0.iter_mut().zip(NOOP.iter().skip(*left)) {
            *byte = letter;
        }
        *left += run.len();
    }

    fn fill(&mut self, run: &[u8], value: u8) {
        self.0.clear();
        self.0.resize(run.len(), value);
    }
}

/// How the part of a line that a packet carries leaves.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Part {
    #[default]
    Pass,
    Mask,
    /// As NOOP and spaces, of which so many bytes have left.
    Noop(usize),
}

/// What the guard remembers of one flow.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Watch {
    /// The rule by which the client's line under way is refused.
    refused: Option<Rule>,
    part: Part,
    /// A `<` of the line under way waits for its `>`.
    is_address_open: bool,
    /// Bytes of the client's line under way.
    line_length: u32,
    pub(super) reply: ReplyWatch,
}

/// The settings at work. Shared by all flows; what it knows of one is in its [`Watch`].
#[derive(Clone, Debug)]
pub struct Guard {
    pub(super) settings: Settings,
    permitted: VerbSet,
}

impl Guard {
    /// A guard with these settings.
    #[must_use]
    pub const fn new(settings: Settings) -> Self {
        Self { permitted: settings.permitted(), settings }
    }

    /// The settings.
    #[must_use]
    pub const fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Rules on a run; for [`Ruling::Edit`] and [`Ruling::Refuse`] the draft holds what leaves.
    pub fn judge(&self, watch: &mut Watch, event: Event, run: &[u8], draft: &mut Draft) -> Ruling {
        match event {
            Event::CommandWord(_)
            | Event::CommandGap(_)
            | Event::CommandArgument(_)
            | Event::CommandStray => {
                let was = watch.line_length;
                let ruling = self.judge_command(watch, event, run, draft);
                watch.line_length = was.saturating_add(length_of(run));
                self.judge_length(watch, event, was, ruling)
            }
            Event::AuthLine => {
                let was = watch.line_length;
                let text = length_of(run.trim_ascii_end());
                watch.line_length = was.saturating_add(text);
                let ruling = self.judge_length(watch, event, was, Ruling::Pass);
                if run.ends_with(b"\n") {
                    watch.end_line();
                }
                ruling
            }
            Event::CommandEnd { .. } => {
                watch.end_line();
                Ruling::Pass
            }
            Event::DataLookalike(before) if self.settings.lookalikes == Lookalikes::Neutralise => {
                before.neutralise(draft.copy(run), b' ');
                Ruling::Edit(Rule::Lookalike)
            }
            Event::Disowned => {
                draft.fill(run, MASK);
                Ruling::Edit(Rule::StrayBytes)
            }
            Event::ReplyCode(reply)
            | Event::ReplySeparator(reply)
            | Event::ReplyKeyword(reply)
            | Event::ReplyText(reply)
            | Event::ReplyEnd(reply) => {
                self.judge_reply(&mut watch.reply, (event, &reply), run, draft)
            }
            Event::CommandCr
            | Event::Data
            | Event::DataLookalike(_)
            | Event::DataEnd
            | Event::Chunk
            | Event::Opaque
            | Event::Wait => Ruling::Pass,
        }
    }

    /// Whether lines are judged as packets carry them: then [`Self::begin_part`] has to be told
    /// where a part begins.
    #[must_use]
    pub fn is_by_packet(&self) -> bool {
        self.settings.unit == Unit::Packet
    }

    /// A packet carries this line, or part of a line, line end included if it has come.
    pub fn begin_part(&self, watch: &mut Watch, part: &[u8]) {
        let end = part.iter().position(|byte| matches!(byte, b'\r' | b'\n'));
        let text = part.get(..end.unwrap_or(part.len())).unwrap_or_default();
        let mut word = Word::default();
        text.iter().take_while(|byte| !byte.is_ascii_whitespace()).for_each(|&b| word.push(b));
        let is_permitted = word.verb().is_some_and(|verb| self.permitted.contains(verb));
        watch.part = match self.settings.refusal {
            _ if is_permitted || text.is_empty() => Part::Pass,
            Refusal::Noop if text.len() >= NOOP.len() => Part::Noop(0),
            Refusal::Noop | Refusal::X => Part::Mask,
        };
    }

    /// What happens to a segment that completes a terminator and carries the last so many of its
    /// bytes. It has five, or, behind an empty message, three.
    #[must_use]
    pub fn judge_terminator(&self, carried: u64, length: u64) -> Option<SplitAction> {
        let whole = match self.settings.split_scope {
            SplitScope::CrlfDotCrlf => 5,
            SplitScope::DotCrlf => 3,
        };
        let is_split = carried < length.min(whole);
        (self.has_split_bug() && is_split).then_some(self.settings.split_action)
    }

    /// Whether split terminators are rejected at all.
    #[must_use]
    pub fn has_split_bug(&self) -> bool {
        self.settings.split_terminator == SplitTerminator::Bug
    }

    fn judge_command(
        &self,
        watch: &mut Watch,
        event: Event,
        run: &[u8],
        draft: &mut Draft,
    ) -> Ruling {
        if self.is_by_packet() {
            return self.judge_part(watch, event, run, draft);
        }
        let ruling = self.judge_bytes(watch, event, run, draft);
        // Whether the line has room for NOOP is not known yet: a shorter one gets what fits. Where
        // letters have left already there can be none.
        if matches!(ruling, Ruling::Refuse(_))
            && watch.line_length == 0
            && self.settings.refusal == Refusal::Noop
        {
            watch.part = Part::Noop(0);
        }
        if watch.refused.is_some()
            && let Part::Noop(left) = &mut watch.part
        {
            draft.fill_noop(run, left);
        }
        ruling
    }

    #[expect(clippy::wildcard_enum_match_arm, reason = "only runs of command lines come here")]
    fn judge_bytes(
        &self,
        watch: &mut Watch,
        event: Event,
        run: &[u8],
        draft: &mut Draft,
    ) -> Ruling {
        match event {
            Event::CommandWord(word) => {
                refuse_unless(self.permitted.has_prefix(&word), Rule::Verb, watch, run, draft)
            }
            Event::CommandGap(word) => self.judge_gap(word, watch, run, draft),
            Event::CommandArgument(_) if watch.refused.is_some() => {
                refuse_unless(false, Rule::Verb, watch, run, draft)
            }
            Event::CommandArgument(word) => self.judge_argument(word, watch, run, draft),
            _ => refuse_unless(false, Rule::StrayBytes, watch, run, draft),
        }
    }

    fn judge_part(&self, watch: &mut Watch, event: Event, run: &[u8], draft: &mut Draft) -> Ruling {
        // A BDAT that was not offered, or whose size is odd, passes by no unit of decision: its
        // octets would be read as lines here and not there.
        let is_passing = watch.part == Part::Pass;
        if is_passing && event == Event::CommandStray && self.permitted.contains(Verb::Bdat) {
            watch.part = Part::Mask;
        }
        match &mut watch.part {
            Part::Pass => {
                return if let Event::CommandArgument(word) = event {
                    self.judge_argument(word, watch, run, draft)
                } else {
                    Ruling::Pass
                };
            }
            Part::Mask => draft.fill(run, MASK),
            Part::Noop(left) => draft.fill_noop(run, left),
        }
        match watch.refused.replace(Rule::Verb) {
            Some(_) => Ruling::Edit(Rule::Verb),
            None => Ruling::Refuse(Rule::Verb),
        }
    }

    fn judge_gap(&self, word: Word, watch: &mut Watch, run: &[u8], draft: &mut Draft) -> Ruling {
        let is_permitted = word.verb().is_some_and(|verb| self.permitted.contains(verb));
        let ruling = refuse_unless(is_permitted, Rule::Verb, watch, run, draft);
        // Postfix takes a TAB for a space, Exim and aiosmtpd do not: all read the same now.
        if ruling == Ruling::Pass && run == b"\t" {
            draft.fill(run, b' ');
            return Ruling::Edit(Rule::CommandGap);
        }
        ruling
    }

    fn judge_argument(
        &self,
        word: Word,
        watch: &mut Watch,
        run: &[u8],
        draft: &mut Draft,
    ) -> Ruling {
        let has_address = matches!(word.verb(), Some(Verb::Mail | Verb::Rcpt));
        if !has_address || self.settings.address_scan == AddressScan::Off {
            return Ruling::Pass;
        }
        let mut is_clean = true;
        for byte in draft.copy(run) {
            if watch.is_stray_in_address(*byte) {
                is_clean = false;
                *byte = b' ';
            }
        }
        match self.settings.address_scan {
            _ if is_clean => Ruling::Pass,
            AddressScan::Replace => Ruling::Edit(Rule::Address),
            AddressScan::Log | AddressScan::Off => Ruling::Note(Rule::Address),
        }
    }

    /// The run that takes a line over its limit. A note never stands in for an edit.
    #[expect(clippy::wildcard_enum_match_arm, reason = "only runs of the client's lines come here")]
    fn judge_length(&self, watch: &Watch, event: Event, was: u32, ruling: Ruling) -> Ruling {
        let verb = match event {
            Event::CommandWord(word) | Event::CommandGap(word) | Event::CommandArgument(word) => {
                word.verb()
            }
            Event::AuthLine => Some(Verb::Auth),
            _ => None,
        };
        let limit = limit::command_line_max(verb, watch.reply.offers);
        if was > limit || watch.line_length <= limit {
            return ruling;
        }
        match (self.settings.long_lines, ruling) {
            (LongLines::Reset, _) => Ruling::Reset(Rule::LongLine),
            (LongLines::Log, Ruling::Pass) => Ruling::Note(Rule::LongLine),
            (LongLines::Log | LongLines::Pass, ruling) => ruling,
        }
    }
}

impl Watch {
    fn end_line(&mut self) {
        *self = Self { reply: self.reply, ..Self::default() };
    }

    /// Whether this byte of an address argument defines no address: `|` never does, `<` does not
    /// inside `<`, `>` does not without `<` (ASA 5500 guide, ESMTP inspection).
    const fn is_stray_in_address(&mut self, byte: u8) -> bool {
        match byte {
            b'|' => true,
            b'<' => std::mem::replace(&mut self.is_address_open, true),
            b'>' => !std::mem::replace(&mut self.is_address_open, false),
            _ => false,
        }
    }
}

fn refuse_unless(
    is_permitted: bool,
    rule: Rule,
    watch: &mut Watch,
    run: &[u8],
    draft: &mut Draft,
) -> Ruling {
    if watch.refused.is_none() && is_permitted {
        return Ruling::Pass;
    }
    draft.fill(run, MASK);
    match watch.refused {
        Some(earlier) => Ruling::Edit(earlier),
        None => {
            watch.refused = Some(rule);
            Ruling::Refuse(rule)
        }
    }
}

fn length_of(run: &[u8]) -> u32 {
    u32::try_from(run.len()).unwrap_or(u32::MAX)
}
