//! One run of bytes in, one ruling out.
//!
//! Client lines are decided byte by byte: what can still become a permitted verb passes at once,
//! and from the first byte that cannot, the rest of the line is masked. So the server gets the
//! same bytes however they were cut, one line in stays one line out, and nothing has to be held.

use super::{
    AddressScan, Banner, Lookalikes, Rule, Settings, SplitAction, SplitScope, SplitTerminator,
};
use crate::smtp::{Answers, Event, Verb, Word};

/// What refused bytes become: no verb that any server knows has three of them.
const MASK: u8 = b'X';

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

    fn copy(&mut self, run: &[u8]) -> &mut [u8] {
        self.0.clear();
        self.0.extend_from_slice(run);
        &mut self.0
    }

    fn fill(&mut self, run: &[u8], value: u8) {
        self.0.clear();
        self.0.resize(run.len(), value);
    }
}

/// What the guard remembers of one flow.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Watch {
    /// The rule by which the client's line under way is refused.
    refused: Option<Rule>,
    /// A `<` of the line under way waits for its `>`.
    is_address_open: bool,
    /// The byte of the greeting before the next one, as the server sent it.
    last_of_banner: u8,
}

/// The settings at work. Shared by all flows; what it knows of one is in its [`Watch`].
#[derive(Clone, Debug)]
pub struct Guard {
    settings: Settings,
}

impl Guard {
    /// A guard with these settings.
    #[must_use]
    pub const fn new(settings: Settings) -> Self {
        Self { settings }
    }

    /// Rules on a run; for [`Ruling::Edit`] and [`Ruling::Refuse`] the draft holds what leaves.
    pub fn judge(&self, watch: &mut Watch, event: Event, run: &[u8], draft: &mut Draft) -> Ruling {
        match event {
            Event::CommandWord(word) => {
                let is_viable = self.settings.verbs.has_prefix(&word);
                refuse_unless(is_viable, Rule::Verb, watch, run, draft)
            }
            Event::CommandGap(word) => self.judge_gap(word, watch, run, draft),
            Event::CommandArgument(word) => self.judge_argument(word, watch, run, draft),
            Event::CommandStray => refuse_unless(false, Rule::StrayBytes, watch, run, draft),
            Event::CommandEnd { .. } => {
                watch.refused = None;
                watch.is_address_open = false;
                Ruling::Pass
            }
            Event::DataLookalike if self.settings.lookalikes == Lookalikes::Neutralise => {
                draft.fill(run, b' ');
                Ruling::Edit(Rule::Lookalike)
            }
            Event::ReplyCode(Answers::Connection) => {
                watch.last_of_banner = run.last().copied().unwrap_or_default();
                Ruling::Pass
            }
            Event::ReplyText(Answers::Connection) => self.judge_banner(watch, run, draft),
            Event::CommandCr
            | Event::Data
            | Event::DataLookalike
            | Event::DataEnd
            | Event::AuthLine
            | Event::Chunk
            | Event::ReplyCode(_)
            | Event::ReplyText(_)
            | Event::ReplyEnd { .. }
            | Event::Opaque
            | Event::Wait => Ruling::Pass,
        }
    }

    /// What happens to a segment that completes CRLF.CRLF and carries so many of its five bytes.
    #[must_use]
    pub fn judge_terminator(&self, bytes_in_segment: u64) -> Option<SplitAction> {
        let whole = match self.settings.split_scope {
            SplitScope::CrlfDotCrlf => 5,
            SplitScope::DotCrlf => 3,
        };
        let is_split = bytes_in_segment < whole;
        (self.has_split_bug() && is_split).then_some(self.settings.split_action)
    }

    /// Whether split terminators are rejected at all.
    #[must_use]
    pub fn has_split_bug(&self) -> bool {
        self.settings.split_terminator == SplitTerminator::Bug
    }

    fn judge_gap(&self, word: Word, watch: &mut Watch, run: &[u8], draft: &mut Draft) -> Ruling {
        let is_permitted = word.verb().is_some_and(|verb| self.settings.verbs.contains(verb));
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
        if watch.refused.is_some() {
            return refuse_unless(true, Rule::Verb, watch, run, draft);
        }
        let has_address = matches!(word.verb(), Some(Verb::Mail | Verb::Rcpt));
        if !has_address || self.settings.address_scan == AddressScan::Off {
            return Ruling::Pass;
        }
        let before = *watch;
        if !run.iter().any(|&byte| watch.is_stray_in_address(byte)) {
            return Ruling::Pass;
        }
        *watch = before;
        for byte in draft.copy(run) {
            if watch.is_stray_in_address(*byte) {
                *byte = b' ';
            }
        }
        if self.settings.address_scan == AddressScan::Replace {
            Ruling::Edit(Rule::Address)
        } else {
            Ruling::Note(Rule::Address)
        }
    }

    fn judge_banner(&self, watch: &mut Watch, run: &[u8], draft: &mut Draft) -> Ruling {
        if self.settings.banner == Banner::Pass {
            return Ruling::Pass;
        }
        for byte in draft.copy(run) {
            let last = std::mem::replace(&mut watch.last_of_banner, *byte);
            let stays = matches!(*byte, b'2' | b'0' | b'\r') || (*byte == b' ' && last == b'0');
            if !stays {
                *byte = b'*';
            }
        }
        if draft.as_bytes() == run { Ruling::Pass } else { Ruling::Edit(Rule::Banner) }
    }
}

impl Watch {
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
    let earlier = watch.refused;
    if earlier.is_none() && is_permitted {
        return Ruling::Pass;
    }
    draft.fill(run, MASK);
    if let Some(earlier) = earlier {
        return Ruling::Edit(earlier);
    }
    watch.refused = Some(rule);
    Ruling::Refuse(rule)
}
