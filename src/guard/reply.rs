//! What the server's lines become: the greeting's masks and the keywords offered to EHLO.
//!
//! `smtp` reads the lines; here their runs are judged. A greeting is masked where it greets (2yz)
//! and offers where they are made (250): a refusal says why. All masks keep line ends and lengths;
//! none needs a whole line, except for the letter that an ASA puts at the end of a masked keyword:
//! there a keyword is what one packet carries of it.

use serde::{Deserialize, Serialize};

use super::extension::Offers;
use super::judge::{MASK, Watch};
use super::order::Order;
use super::settings::{Banner, BareLastLine, EhloFilter, Unit};
use super::tls::Clear;
use super::{Draft, Guard, Rule, Ruling};
use crate::smtp::{Answers, Event, Reply, Verb, is_success};

/// The greeting of a PIX 4.1, padded with underscores.
const CMAP: &[u8] = b"SMTP/cmap ready";

/// What follows the server's domain: the word by which some clients know that EHLO will do. They
/// look for it as a word (Postfix with `smtp_always_send_ehlo = no`, probes of Prometheus).
const ESMTP: &[u8] = b"ESMTP ";

/// What some servers say instead of a last keyword (Exchange, Amazon): nothing is offered by it.
const NO_KEYWORD: &[u8] = b"OK";

/// How far the keyword of an EHLO line is decided.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
enum Decision {
    /// It may still become a permitted one.
    #[default]
    Open,
    Permitted,
    Masked,
}

/// What the guard remembers of the reply under way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct ReplyWatch {
    /// Extensions offered so far that make lines longer.
    pub(super) offers: Offers,
    /// What was said of TLS, in clear.
    pub(super) clear: Clear,
    /// The byte of the greeting before the next one, as the server sent it; behind the keyword AUTH
    /// letters of the mechanism so far.
    last: u8,
    /// Bytes of the line's text so far; for [`Banner::Domain`] those behind the first word; behind
    /// the keyword AUTH the mechanisms that a word can still become, a bit each.
    column: u16,
    /// The line has a space or `-` behind its code.
    has_separator: bool,
    /// The greeting under way has greeted.
    has_greeted: bool,
    /// Keywords masked in this reply.
    masked: u8,
    keyword: Decision,
}

impl ReplyWatch {
    /// Whether the greeting under way has greeted.
    pub(super) const fn has_greeted(&self) -> bool {
        self.has_greeted
    }

    /// Whether the line offers (RFC 5321 4.1.1.1): behind the first, which greets. Where a server
    /// leaves a line unanswered, its offer seems to answer that line: so whatever has no answer of
    /// several lines may be followed by an offer, and so may what answers nothing that was asked.
    /// Where an offer is owed, it may seem to answer anything. By the packet, as the original did,
    /// EHLO alone is answered by an offer.
    pub(super) fn is_offer(&self, unit: Unit, reply: &Reply) -> bool {
        let is_answer = match reply.answers {
            Answers::Verb(Verb::Ehlo) => true,
            _ if unit == Unit::Packet => false,
            Answers::Verb(Verb::Helo | Verb::Noop | Verb::Rset)
            | Answers::Own
            | Answers::Other
            | Answers::Nothing => true,
            Answers::Verb(_) | Answers::MaskedPath(_) | Answers::Message => {
                self.clear.is_offer_owed()
            }
            Answers::Connection => false,
        };
        is_answer && reply.is_later_line && reply.code == Some(250)
    }

    pub(super) fn end_line(&mut self, reply: &Reply) {
        let is_hello = matches!(reply.answers, Answers::Verb(Verb::Ehlo | Verb::Helo));
        if is_hello && !reply.is_later_line && reply.code == Some(250) {
            self.offers = Offers::default();
        }
        if accepts_ehlo(reply) && reply.is_later_line && self.keyword != Decision::Masked {
            self.offers.add(reply.keyword.as_bytes());
        }
        // A line without a code takes no reply's place, nor its first line's.
        let goes_on = if reply.code.is_some() { !reply.is_last } else { reply.is_later_line };
        let has_greeted = goes_on && (self.has_greeted || is_greeting(reply));
        let masked = if goes_on { self.masked } else { 0 };
        *self =
            Self { offers: self.offers, clear: self.clear, has_greeted, masked, ..Self::default() };
    }
}

/// Whether the line greets. One without a code may be part of a greeting, and says as much.
pub(super) fn is_greeting(reply: &Reply) -> bool {
    let is_first = reply.answers == Answers::Connection;
    is_new_greeting(reply) || (is_first && reply.code.is_none_or(is_success))
}

/// Whether it is of the answer to EHLO that offers.
fn accepts_ehlo(reply: &Reply) -> bool {
    reply.answers == Answers::Verb(Verb::Ehlo) && reply.code == Some(250)
}

/// Whether the server greets again, behind a verb of the site's own.
fn is_new_greeting(reply: &Reply) -> bool {
    reply.answers == Answers::Own && reply.code == Some(220)
}

/// Whether the line offers AUTH.
fn is_auth(reply: &Reply) -> bool {
    reply.keyword.as_bytes() == Verb::Auth.name().as_bytes()
}

/// Whether the line's keyword is none.
fn is_no_keyword(reply: &Reply) -> bool {
    reply.is_last && reply.keyword.as_bytes() == NO_KEYWORD
}

impl Watch {
    /// Rules on the end of a reply line: what it answers is counted.
    pub(super) fn judge_reply_end(&mut self, guard: &Guard, reply: &Reply) -> Ruling {
        let is_offering = accepts_ehlo(reply);
        if is_offering || self.reply.is_offer(guard.settings.unit, reply) {
            self.size.hear_end(reply);
        }
        if is_offering {
            self.reply.clear.hear_offer(reply);
        }
        self.reply.end_line(reply);
        if is_new_greeting(reply) && reply.is_last {
            (self.order, self.has_utf8_mail) = (Order::default(), false);
            self.reply.offers = Offers::default();
        }
        let (Some(code), true) = (reply.code, reply.is_last) else { return Ruling::Pass };
        if is_success(code) && self.order.is_of_last_chunk(reply.answers) {
            self.tally.end_message();
        }
        self.order.hear(reply.answers, code);
        let Some(verb) = reply.answers.verb() else { return Ruling::Pass };
        if verb.begins_transaction() && is_success(code) {
            // A line that was refused here is one that a server may take: its last byte alone may
            // have become a blank.
            self.begin_message();
        }
        let excess = self.tally.hear(&guard.settings, verb, code);
        excess.map_or(Ruling::Pass, Ruling::Exceed)
    }
}

impl Guard {
    /// Whether this is the CR of a last line of several that has nothing but its code.
    fn is_bare(&self, watch: &ReplyWatch, reply: &Reply, run: &[u8]) -> bool {
        self.settings.bare_last_line != BareLastLine::Pass
            && reply.is_later_line
            && reply.code.is_some()
            && !watch.has_separator
            && run.starts_with(b"\r")
    }

    /// Rules on a run that begins with such a CR. What stands behind that, which is no line end
    /// then, is text.
    fn judge_bare(
        &self,
        watch: &mut ReplyWatch,
        reply: &Reply,
        run: &[u8],
        draft: &mut Draft,
    ) -> Ruling {
        watch.has_separator = true;
        let Some((first, rest)) = draft.copy(run).split_first_mut() else { return Ruling::Pass };
        let rule = self.rule_of_text(watch, reply).filter(|_| !rest.is_empty());
        if let Some(rule) = rule {
            self.mask_text(rule, watch, (reply, false), rest);
        }
        if self.settings.bare_last_line == BareLastLine::Space {
            *first = b' ';
            return Ruling::Edit(Rule::BareLastLine);
        }
        match rule {
            Some(rule) if draft.as_bytes() != run => Ruling::Edit(rule),
            Some(_) | None => Ruling::Note(Rule::BareLastLine),
        }
    }

    /// What a line's text is masked by, if by anything.
    fn rule_of_text(&self, watch: &ReplyWatch, reply: &Reply) -> Option<Rule> {
        let is_offer = || watch.is_offer(self.settings.unit, reply);
        let offer = || is_offer().then_some(Rule::EhloKeyword);
        is_greeting(reply).then_some(Rule::Banner).or_else(offer)
    }

    /// Masks what by this rule no client may see of a run of text.
    fn mask_text(
        &self,
        rule: Rule,
        watch: &mut ReplyWatch,
        (reply, is_keyword): (&Reply, bool),
        bytes: &mut [u8],
    ) {
        if rule == Rule::Banner {
            self.mask_greeting(watch, reply, bytes);
        } else {
            self.filter(watch, reply, is_keyword, bytes);
        }
    }

    /// Rules on a run of a reply line, its end apart.
    #[expect(clippy::wildcard_enum_match_arm, reason = "only runs of reply lines come here")]
    pub(super) fn judge_reply(
        &self,
        watch: &mut ReplyWatch,
        (event, reply): (Event, &Reply),
        run: &[u8],
        draft: &mut Draft,
    ) -> Ruling {
        let rule = match event {
            Event::ReplyCode(_) | Event::ReplySeparator(_) => {
                watch.has_separator |= matches!(event, Event::ReplySeparator(_));
                let is_text = matches!(self.settings.banner, Banner::Stars | Banner::Pix51All);
                let rule = (watch.has_greeted && is_text).then_some(Rule::Banner);
                if let Some(rule) = rule {
                    self.mask_text(rule, watch, (reply, false), draft.copy(run));
                }
                watch.last = run.last().copied().unwrap_or_default();
                rule
            }
            Event::ReplyText(_) if self.is_bare(watch, reply, run) => {
                return self.judge_bare(watch, reply, run, draft);
            }
            _ => {
                let is_keyword = matches!(event, Event::ReplyKeyword(_));
                let rule = self.rule_of_text(watch, reply);
                if let Some(rule) = rule {
                    self.mask_text(rule, watch, (reply, is_keyword), draft.copy(run));
                }
                rule
            }
        };
        match rule {
            Some(rule) if draft.as_bytes() != run => Ruling::Edit(rule),
            Some(_) | None => Ruling::Pass,
        }
    }

    fn mask_greeting(&self, watch: &mut ReplyWatch, reply: &Reply, bytes: &mut [u8]) {
        for byte in bytes {
            let last = std::mem::replace(&mut watch.last, *byte);
            if *byte == b'\r' {
                continue;
            }
            let column = usize::from(watch.column);
            watch.column = watch.column.saturating_add(1);
            match self.settings.banner {
                Banner::Pass => {}
                Banner::Cmap => *byte = CMAP.get(column).copied().unwrap_or(b'_'),
                Banner::Stars | Banner::StarText => *byte = b'*',
                Banner::Pix51 | Banner::Pix51All => {
                    let stays = matches!(*byte, b'2' | b'0') || (*byte == b' ' && last == b'0');
                    if !stays {
                        *byte = b'*';
                    }
                }
                Banner::Domain if reply.is_later_line => {
                    *byte = ESMTP.get(column).copied().unwrap_or(b'.');
                }
                // The column stands still in the first line's first word.
                Banner::Domain if column == 0 && *byte != b' ' => watch.column = 0,
                Banner::Domain if column == 0 => {}
                Banner::Domain => *byte = ESMTP.get(column - 1).copied().unwrap_or(b'.'),
            }
        }
    }

    /// A run of a line that offers: of its keyword, or what stands behind that.
    fn filter(&self, watch: &mut ReplyWatch, reply: &Reply, is_keyword: bool, bytes: &mut [u8]) {
        let has_list = self.settings.lists_mechanisms();
        if self.permits_all_offers() {
            return;
        }
        if watch.keyword == Decision::Open && is_keyword {
            match self.settings.ehlo {
                EhloFilter::Pass | EhloFilter::AllowList => {
                    self.mask_unlisted(watch, reply, bytes);
                }
                EhloFilter::Letters => self.letter(watch, reply, bytes),
            }
            return;
        }
        if watch.keyword == Decision::Open {
            let is_alone = matches!(bytes, [b'\r', ..]);
            let is_permitted = self.permits(reply) || (is_no_keyword(reply) && is_alone);
            watch.keyword = if is_permitted { Decision::Permitted } else { Decision::Masked };
        }
        if has_list && is_auth(reply) && watch.keyword == Decision::Permitted {
            self.mask_mechanisms(watch, bytes);
        }
        if watch.keyword == Decision::Masked {
            let is_word = |byte: &&mut u8| !matches!(**byte, b' ' | b'\r');
            bytes.iter_mut().filter(is_word).for_each(|byte| *byte = MASK);
        }
    }

    /// Behind AUTH: what can still become a listed mechanism passes, byte by byte.
    fn mask_mechanisms(&self, watch: &mut ReplyWatch, bytes: &mut [u8]) {
        for byte in bytes {
            // Some servers write AUTH=LOGIN besides.
            if matches!(*byte, b' ' | b'\t' | b'=' | b'\r') {
                (watch.last, watch.column) = (0, u16::MAX);
                continue;
            }
            let listed = &self.settings.auth_mechanisms;
            let open = listed.with_letter(watch.column.into(), watch.last, *byte);
            watch.column = u16::try_from(open).unwrap_or_default();
            watch.last = watch.last.saturating_add(1);
            if watch.column == 0 {
                *byte = MASK;
            }
        }
    }

    /// What can still become a listed keyword passes, byte by byte.
    fn mask_unlisted(&self, watch: &mut ReplyWatch, reply: &Reply, bytes: &mut [u8]) {
        let before = usize::from(watch.column);
        watch.column = watch.column.saturating_add(u16::try_from(bytes.len()).unwrap_or(u16::MAX));
        let head = reply.keyword.head();
        // What is listed is shorter than what is kept, and so is what is not to be offered.
        let is_pass = self.settings.ehlo == EhloFilter::Pass;
        let is_open = |length: usize| {
            let prefix = head.get(..if is_pass { length.min(head.len()) } else { length });
            let is_none =
                reply.is_last && prefix.is_some_and(|prefix| NO_KEYWORD.starts_with(prefix));
            is_none || prefix.is_some_and(|prefix| self.permits_prefix(prefix))
        };
        let permitted = (0..bytes.len()).take_while(|at| is_open(before + at + 1)).count();
        let masked = bytes.get_mut(permitted..).unwrap_or_default();
        if !masked.is_empty() {
            watch.keyword = Decision::Masked;
            masked.fill(MASK);
        }
    }

    /// As an ASA does it: X, but for a last letter that tells masked keywords apart.
    fn letter(&self, watch: &mut ReplyWatch, reply: &Reply, bytes: &mut [u8]) {
        if self.permits(reply) || is_no_keyword(reply) {
            watch.keyword = Decision::Permitted;
        } else if let Some((last, head)) = bytes.split_last_mut() {
            watch.keyword = Decision::Masked;
            head.fill(MASK);
            *last = b'A' + watch.masked % 26;
            watch.masked = watch.masked.wrapping_add(1);
        }
    }

    /// Whether an offer passes as it came.
    pub(super) fn permits_offer(&self, reply: &Reply) -> bool {
        let is_listed = is_auth(reply) && self.settings.lists_mechanisms();
        let is_pass = self.settings.ehlo == EhloFilter::Pass;
        let is_known = !is_listed && (is_pass || !reply.keyword.is_too_long());
        self.permits_all_offers() || (is_known && self.permits(reply))
    }

    fn permits_all_offers(&self) -> bool {
        let is_pass = self.settings.ehlo == EhloFilter::Pass;
        let has_list = self.settings.lists_mechanisms();
        is_pass && !has_list && self.settings.withheld().next().is_none()
    }

    fn permits(&self, reply: &Reply) -> bool {
        if self.settings.ehlo == EhloFilter::Pass {
            return self.permits_prefix(reply.keyword.head());
        }
        let keyword = std::str::from_utf8(reply.keyword.as_bytes());
        keyword.is_ok_and(|keyword| self.settings.permits_keyword(keyword))
    }

    fn permits_prefix(&self, prefix: &[u8]) -> bool {
        if self.settings.ehlo == EhloFilter::Pass {
            let begins = |keyword: &str| prefix.starts_with(keyword.as_bytes());
            return !self.settings.withheld().any(begins);
        }
        let is_longer = |keyword: &&String| keyword.as_bytes().starts_with(prefix);
        let mut longer = self.settings.ehlo_keywords.iter().filter(is_longer);
        longer.any(|keyword| self.settings.permits_keyword(keyword))
    }
}
