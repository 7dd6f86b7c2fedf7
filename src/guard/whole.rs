//! Lines that are here whole, and pass as they came: ruled on in one step.
//!
//! What [`Guard::judge`] would rule on each of their runs is known beforehand for ordinary lines. A
//! line that a rule may touch is none of them, and is judged run by run.

use super::limit::LineKind;
use super::line::LineWatch;
use super::reply::is_greeting;
use super::settings::{AddressScan, BareLastLine, HttpWords, LongLines, Unit};
use super::size::is_size;
use super::speech::Speech;
use super::value::LineLimit;
use super::{Guard, Ruling, Watch};
use crate::smtp::{Verb, WholeLine, WholeReply};

impl Guard {
    /// Whether the client's line, whose bytes `text` begins with, passes with nothing to be said of
    /// it. It counts as judged then.
    pub fn pass_line(&self, watch: &mut Watch, line: &WholeLine, text: &[u8]) -> bool {
        let settings = &self.settings;
        let is_permitted = settings.unit == Unit::Stream && self.passable().contains(line.verb);
        let has_address = line.has_gap && matches!(line.verb, Verb::Mail | Verb::Rcpt);
        let is_scanned =
            has_address && (settings.address_scan != AddressScan::Off || settings.minds_declared());
        if !is_permitted || is_scanned || watch.line != LineWatch::default() {
            return false;
        }
        let hears = settings.http_words == HttpWords::Reset;
        if self.may_be_too_long(line) || (hears && watch.speech == Speech::Binary) {
            return false;
        }
        if self.may_be_struck(line, text.get(..line.length).unwrap_or(text)) {
            return false;
        }
        let mut next = *watch;
        if !line.is_pipelined {
            next.order.settle();
        }
        let is_recipient = line.has_gap && line.verb == Verb::Rcpt;
        let is_too_many = is_recipient && {
            let (before, after) = next.order.count_recipient();
            settings.recipients_max.is_passed(before, after)
        };
        if is_too_many || !next.take_whole_line(self, line, text) {
            return false;
        }
        *watch = next;
        if hears {
            watch.speech = Speech::Smtp;
        }
        true
    }

    /// Whether a patch may have anything to say of the line.
    fn may_be_struck(&self, line: &WholeLine, text: &[u8]) -> bool {
        let argument = text.get(line.verb.name().len() + 1..).filter(|_| line.has_gap);
        self.plan.as_ref().is_some_and(|plan| plan.may_mind(line.verb, argument))
    }

    /// Whether a limit may be passed by the line, or on its way.
    fn may_be_too_long(&self, line: &WholeLine) -> bool {
        let settings = &self.settings;
        let length = u32::try_from(line.length).unwrap_or(u32::MAX);
        let is_passed = |limit: LineLimit| limit.is_passed(0, length);
        let kind = LineKind::of(Some(line.verb));
        is_passed(settings.line_max)
            || is_passed(kind.limit(settings))
            || is_passed(settings.sender_max)
            || (settings.long_lines != LongLines::Pass && length > LineKind::SHORTEST)
    }

    /// Whether the server's line passes, with nothing to be said of it. It counts as judged then.
    pub fn pass_reply(&self, watch: &mut Watch, line: &WholeReply) -> bool {
        let reply = &line.reply;
        let is_offer = watch.reply.is_offer(self.settings.unit, reply);
        // The number that SIZE offers is read by its runs.
        let is_read = is_offer && (is_size(reply) || !self.permits_offer(reply));
        let is_news = is_read || is_greeting(reply) || watch.reply.has_greeted();
        let is_bare = reply.is_later_line && line.is_bare();
        let is_told = is_bare && self.settings.bare_last_line != BareLastLine::Pass;
        let mut next = *watch;
        if is_news || is_told || next.judge_reply_end(self, reply) != Ruling::Pass {
            return false;
        }
        *watch = next;
        true
    }
}

#[cfg(test)]
mod tests;
