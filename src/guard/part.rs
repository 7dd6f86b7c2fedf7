//! By the packet, as the original decided: each line or part of a line that a packet carries is
//! judged as if it were a whole line.

use super::judge::Run;
use super::line::LineWatch;
use super::mask::{Mask, NOOP};
use super::settings::Refusal;
use super::{Guard, Rule};
use crate::smtp::{Event, Verb, Word, is_gap};

impl LineWatch {
    /// By the packet: masks a part whose first word is no permitted verb. Whether the run begins
    /// a part.
    pub(super) fn look_at_part(&mut self, guard: &Guard, run: Run<'_>) -> bool {
        let is_new = !std::mem::replace(&mut self.has_part, true) || run.is_first;
        if is_new {
            self.begin_part(guard, run.rest);
        }
        // A BDAT that was not offered, or whose size is odd, passes by no unit of decision: its
        // octets would be read as lines here and not there.
        let is_chunk = run.event == Event::CommandStray && guard.permitted.contains(Verb::Bdat);
        if is_chunk && self.mask.is_none() {
            self.mask = Some((Rule::Verb, Mask::X));
        }
        is_new
    }

    fn begin_part(&mut self, guard: &Guard, packet: &[u8]) {
        // What cures an argument goes on in the next packet.
        if self.mask.is_some_and(|(rule, _)| rule != Rule::Verb) {
            return;
        }
        let end = memchr::memchr2(b'\r', b'\n', packet).unwrap_or(packet.len());
        let text = packet.get(..end).unwrap_or_default();
        let mut word = Word::default();
        let letters = text.iter().take(Word::ROOM).take_while(|byte| !byte.is_ascii_whitespace());
        letters.for_each(|&byte| word.push(byte));
        // A server may drop a NUL, and read the word behind it.
        let behind_blanks = text.iter().find(|&&byte| !is_gap(byte));
        let has_word = !word.is_empty() || behind_blanks.is_some_and(|&byte| byte != 0);
        let settings = &guard.settings;
        let is_own = !settings.wants_tls_for_own_verbs() && settings.verbs.has_own(&word);
        let is_permitted =
            is_own || word.verb().is_some_and(|verb| guard.passable().contains(verb));
        let mask = match guard.settings.refusal {
            _ if is_permitted || text.is_empty() => None,
            Refusal::Noop if text.len() >= NOOP.len() => Some(Mask::Noop(0)),
            Refusal::FirstWord if has_word => Some(Mask::Word),
            Refusal::FirstWord | Refusal::Noop | Refusal::X => Some(Mask::X),
        };
        self.mask = mask.map(|mask| (Rule::Verb, mask));
    }
}
