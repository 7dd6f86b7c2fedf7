//! One run of bytes in, one ruling out.
//!
//! What a client's line may be is decided in `line`, what a server's becomes in `reply`; here each
//! run goes to the one or the other.

use serde::{Deserialize, Serialize};

use super::Rule;
use super::line::LineWatch;
use super::mask::Draft;
use super::message::Message;
use super::order::Order;
use super::reply::ReplyWatch;
use super::settings::{Settings, SplitAction, SplitScope, SplitTerminator};
use super::size::{Size, is_size};
use super::speech::Speech;
use super::tally::Tally;
use super::value::{Excess, VerbSet};
use crate::offset::Offset;
use crate::patch::{Id, Plan, Strike};
use crate::smtp::{Dialogue, Event, Expect, FalseEnds, Fillers, Plain, Speaker, Step, Swept, Verb};

pub(super) use super::mask::MASK;

/// One run of bytes that was read, and where it stands.
#[derive(Clone, Copy, Debug)]
pub struct Run<'a> {
    /// What the bytes are.
    pub event: Event,
    /// The bytes.
    pub bytes: &'a [u8],
    /// The bytes, and what follows them in the same packet.
    pub rest: &'a [u8],
    /// Whether the packet begins with them.
    pub is_first: bool,
    /// What is known to be plain text of them.
    pub plain: Plain,
}

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
    /// A limit was passed: it is logged, and the flow ends here if the limit says so.
    Exceed(Excess),
    /// The flow ends here.
    Reset(Rule),
}

impl Ruling {
    /// Whether the flow ends with it.
    #[must_use]
    pub const fn ends_flow(self) -> bool {
        match self {
            Self::Reset(_) | Self::Exceed(Excess { is_end: true, .. }) => true,
            Self::Exceed(_) | Self::Pass | Self::Note(_) | Self::Edit(_) | Self::Refuse(_) => false,
        }
    }

    /// The rule by which a line, a flow or a false end is stopped here. What only goes on from an
    /// earlier run is none.
    const fn cause(self) -> Option<Rule> {
        match self {
            Self::Refuse(rule)
            | Self::Reset(rule)
            | Self::Exceed(Excess { rule, is_end: true, .. })
            | Self::Edit(rule @ (Rule::Lookalike | Rule::BareLastLine)) => Some(rule),
            Self::Pass | Self::Note(_) | Self::Edit(_) | Self::Exceed(_) => None,
        }
    }
}

/// What the guard remembers of one flow.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Watch {
    /// The client's line under way.
    pub(super) line: LineWatch,
    pub(super) speech: Speech,
    pub(super) order: Order,
    pub(super) tally: Tally,
    /// The MAIL of the transaction under way has said SMTPUTF8.
    pub(super) has_utf8_mail: bool,
    pub(super) message: Message,
    pub(super) size: Size,
    pub(super) reply: ReplyWatch,
}

impl Watch {
    /// Whether what is masked of the client's line is of a path.
    #[must_use]
    pub fn is_path_masked(&self) -> bool {
        self.line.masks_path()
    }

    /// The rest of the client's line was missed: what comes begins another.
    pub fn lose_line(&mut self) {
        self.line = LineWatch::default();
    }

    /// What comes is read by another catalogue of patches.
    pub const fn change_catalogue(&mut self) {
        self.line.patch.change_catalogue();
        self.message.change_catalogue();
    }

    /// Another message may begin. Where the one before came in chunks, it had no end of ours.
    pub(super) fn begin_message(&mut self) {
        self.message = Message::default();
        self.size.begin();
    }

    /// The end of message data was sent.
    fn end_data(&mut self) {
        self.message = Message::default();
        self.size.end();
        self.order.send_end();
        self.tally.end_message();
    }
}

/// How far judging goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Mode {
    /// What is ruled is done.
    Enforce,
    /// What is ruled is logged and counted.
    Monitor,
}

/// The settings at work. Shared by all flows; what it knows of one is in its [`Watch`].
#[derive(Clone, Debug)]
pub struct Guard {
    pub(super) settings: Settings,
    pub(super) permitted: VerbSet,
    /// Verbs that have to wait for TLS.
    pub(super) tls_only: VerbSet,
    /// What patches do; none if all are off.
    pub(super) plan: Option<Plan>,
    mode: Mode,
}

impl Guard {
    /// A guard with these settings.
    #[must_use]
    pub fn new(mut settings: Settings) -> Self {
        if settings.patches.bar_chunks() {
            settings.verbs.known = settings.verbs.known.without(VerbSet::of(&[Verb::Bdat]));
            settings.ehlo_keywords.retain(|keyword| keyword != "CHUNKING");
        }
        let plan = settings.patches.plan();
        let (permitted, tls_only) = (settings.permitted(), settings.tls_only());
        Self { permitted, tls_only, settings, plan, mode: Mode::Enforce }
    }

    /// The same guard in this mode.
    #[must_use]
    pub fn in_mode(self, mode: Mode) -> Self {
        Self { mode, ..self }
    }

    /// The verbs that pass in clear text.
    pub(super) const fn passable(&self) -> VerbSet {
        self.permitted.without(self.tls_only)
    }

    /// How far its judging goes.
    #[must_use]
    pub const fn mode(&self) -> Mode {
        self.mode
    }

    /// Whether the server gets everything as it was written, and answers that.
    pub(super) const fn changes_nothing(&self) -> bool {
        matches!(self.mode, Mode::Monitor)
    }

    /// Whether another guard has the same settings and mode.
    #[must_use]
    pub fn is_like(&self, other: &Self) -> bool {
        self.mode == other.mode && self.settings == other.settings
    }

    /// The settings.
    #[must_use]
    pub const fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Rules on a run; for [`Ruling::Edit`] and [`Ruling::Refuse`] the draft holds what leaves.
    pub fn judge(&self, watch: &mut Watch, run: Run<'_>, draft: &mut Draft) -> Ruling {
        draft.begin();
        let ruling = self.rule(watch, run, draft);
        // Told once, as what it is ruled to be.
        draft.noted = draft.noted.filter(|(_, rule)| ruling != Ruling::Note(*rule));
        if let Some(rule) = ruling.cause() {
            self.blame_rule(rule, draft);
        }
        ruling
    }

    /// The patches that a rule belongs to have struck as well.
    pub fn blame_rule(&self, rule: Rule, draft: &mut Draft) {
        self.strike_cause(None, rule.name(), draft);
    }

    /// The patches that a fault of the dialogue or of its TLS belongs to have struck as well.
    pub fn blame(&self, fault: &str, speaker: Speaker, draft: &mut Draft) {
        self.strike_cause(Some(speaker), fault, draft);
    }

    fn strike_cause(&self, by: Option<Speaker>, cause: &str, draft: &mut Draft) {
        if let Some(plan) = &self.plan {
            plan.strike_cause(by, cause, &mut draft.strikes);
        }
    }

    /// The name of a patch that has struck.
    #[must_use]
    pub fn patch(&self, strike: Strike) -> Option<&Id> {
        self.plan.as_ref().and_then(|plan| plan.name(strike))
    }

    fn rule(&self, watch: &mut Watch, run: Run<'_>, draft: &mut Draft) -> Ruling {
        match run.event {
            Event::CommandWord(_)
            | Event::CommandGap(_)
            | Event::CommandArgument(_)
            | Event::CommandStray
            | Event::CommandCr
            | Event::CommandEnd { .. } => watch.judge_command(self, run, draft),
            Event::AuthLine | Event::AuthStray => watch.judge_response(self, run, draft),
            Event::DataLookalike(before) => {
                before.neutralise(draft.copy(run.bytes), MASK);
                let ruling =
                    draft.ask(|bytes, draft| self.look_at_text(watch, bytes, Plain::NONE, draft));
                if ruling.ends_flow() { ruling } else { Ruling::Edit(Rule::Lookalike) }
            }
            Event::Data => self.look_at_text(watch, run.bytes, run.plain, draft),
            Event::Chunk => {
                let (ruling, header) = self.look_into(watch, run.bytes, false, draft);
                let excess = self.measure_chunk(watch, header, run.bytes);
                excess.filter(|_| !ruling.ends_flow()).map_or(ruling, Ruling::Exceed)
            }
            Event::RefusedChunk => {
                draft.copy(run.bytes).fill(MASK);
                Ruling::Edit(Rule::StrayBytes)
            }
            Event::Disowned(before) => {
                before.disown(draft.copy(run.bytes), MASK);
                Ruling::Edit(Rule::StrayBytes)
            }
            Event::DataEnd => {
                // The last line's dot was never anybody's text.
                let text = run.bytes.strip_suffix(b"\n").unwrap_or(run.bytes);
                let ruling = self.look_at_text(watch, text, Plain::NONE, draft);
                let larger = watch.larger_than_declared(&self.settings);
                watch.end_data();
                // As large as the server takes, and not larger.
                let is_full = matches!(
                    ruling,
                    Ruling::Exceed(Excess { rule: Rule::MessageBytes, is_end: false, .. })
                );
                let ruling = if is_full { Ruling::Pass } else { ruling };
                larger.filter(|_| ruling == Ruling::Pass).map_or(ruling, Ruling::Exceed)
            }
            Event::ReplyEnd(reply) => watch.judge_reply_end(self, &reply),
            Event::ReplyCode(reply)
            | Event::ReplySeparator(reply)
            | Event::ReplyKeyword(reply)
            | Event::ReplyText(reply) => {
                let is_text = matches!(run.event, Event::ReplyText(_));
                if is_text && is_size(&reply) && watch.reply.is_offer(self.settings.unit, &reply) {
                    watch.size.hear(run.bytes);
                }
                self.judge_reply(&mut watch.reply, (run.event, &reply), run.bytes, draft)
            }
            Event::Prefix { .. } | Event::Opaque | Event::Wait => Ruling::Pass,
        }
    }

    /// Rules on text of message data, as it leaves.
    fn look_at_text(
        &self,
        watch: &mut Watch,
        text: &[u8],
        plain: Plain,
        draft: &mut Draft,
    ) -> Ruling {
        let (ruling, header) = self.look_into(watch, text, true, draft);
        match self.measure(watch, header, text, plain) {
            Some(excess) if !ruling.ends_flow() => Ruling::Exceed(excess),
            Some(_) | None => ruling,
        }
    }

    /// Reads message data up to its end and makes it what leaves, in one pass: what
    /// [`Self::judge`] rules on each of its runs, all at once. `None` where what comes is none.
    pub fn sweep(
        &self,
        watch: &mut Watch,
        dialogue: &mut Dialogue,
        bytes: &mut [u8],
        at: Offset,
        draft: &mut Draft,
    ) -> Option<(Step, Swept)> {
        let is_changed = self.false_ends() == FalseEnds::Changed;
        let fillers = Fillers { lookalike: is_changed.then_some(MASK), disowned: MASK };
        let is_disowned = matches!(dialogue.expect(), Expect::Disowned(_) | Expect::Oversize(_));
        if !is_disowned && !self.has_room(watch, bytes.len()) {
            return None;
        }
        let (step, swept) = dialogue.sweep(bytes, at, fillers)?;
        draft.begin();
        if swept.changed > 0 {
            self.blame_rule(if is_disowned { Rule::StrayBytes } else { Rule::Lookalike }, draft);
        }
        if step.event == Event::DataEnd {
            watch.end_data();
        } else if let (false, Some(left)) = (is_disowned, bytes.get(..step.used)) {
            // There is room for all of it.
            let _ = self.measure(watch, 0, left, step.plain);
        }
        Some((step, swept))
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
}
