//! What the server's lines become: the greeting's masks and the keywords offered to EHLO.
//!
//! All of them keep line ends and lengths; none needs a whole line, except for the letter that an
//! ASA puts at the end of a masked keyword: there a keyword is what one packet carries of it.

use super::judge::MASK;
use super::limit::Offers;
use super::settings::{Banner, EhloFilter, Settings};
use super::{Draft, Guard, Rule, Ruling};
use crate::smtp::{Answers, LineEnd, Verb};

/// The greeting of a PIX 4.1, padded with underscores.
const CMAP: &[u8] = b"SMTP/cmap ready";

/// What follows the server's domain: the word by which some clients know that EHLO will do.
const ESMTP: &[u8] = b"ESMTP";

/// Longest keyword compared; RFC 5321 4.1.1.1 sets no limit, the registered ones have up to 19.
const KEYWORD_BYTES_MAX: usize = 24;

/// How far the keyword of an EHLO line is decided.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Keyword {
    /// It may still become a permitted one.
    #[default]
    Open,
    Permitted,
    Masked,
}

/// What the guard remembers of the reply under way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct ReplyWatch {
    /// Extensions offered so far that make lines longer.
    pub(super) offers: Offers,
    /// The byte of the greeting before the next one, as the server sent it.
    last: u8,
    /// Bytes of the line's text so far; for [`Banner::Domain`] those behind the first word.
    column: u32,
    /// Lines of the reply before this one, as far as it matters.
    is_later_line: bool,
    /// Keywords masked in this reply.
    masked: u8,
    keyword: Keyword,
    keyword_bytes: [u8; KEYWORD_BYTES_MAX],
    keyword_length: u8,
}

impl ReplyWatch {
    pub(super) fn end_line(&mut self, answers: Answers, line: LineEnd) {
        let is_offer = answers == Answers::Verb(Verb::Ehlo) && self.is_later_line;
        if is_offer && self.keyword != Keyword::Masked {
            self.offers.add(&line.keyword);
        }
        // A line without a code takes no reply's place, nor its first line's.
        let is_later_line = if line.code.is_some() { !line.is_last } else { self.is_later_line };
        let kept = if is_later_line { self.masked } else { 0 };
        *self = Self { offers: self.offers, is_later_line, masked: kept, ..Self::default() };
    }

    fn push(&mut self, byte: u8) {
        if let Some(place) = self.keyword_bytes.get_mut(usize::from(self.keyword_length)) {
            *place = byte.to_ascii_uppercase();
        }
        self.keyword_length = self.keyword_length.saturating_add(1);
    }

    /// The keyword so far; longer ones than we compare are none.
    fn keyword(&self) -> Option<&str> {
        let bytes = self.keyword_bytes.get(..usize::from(self.keyword_length))?;
        std::str::from_utf8(bytes).ok()
    }
}

impl Settings {
    fn permits_keyword_prefix(&self, prefix: &str) -> bool {
        let longer = self.ehlo_keywords.iter().filter(|keyword| keyword.starts_with(prefix));
        longer.into_iter().any(|keyword| self.permits_keyword(keyword))
    }
}

impl Guard {
    pub(super) fn judge_code(
        &self,
        watch: &mut ReplyWatch,
        answers: Answers,
        run: &[u8],
        draft: &mut Draft,
    ) -> Ruling {
        watch.last = run.last().copied().unwrap_or_default();
        let is_greeting = answers == Answers::Connection;
        if is_greeting && watch.is_later_line && self.settings.banner == Banner::Stars {
            draft.copy(run).fill(b'*');
            return Ruling::Edit(Rule::Banner);
        }
        Ruling::Pass
    }

    pub(super) fn judge_banner(
        &self,
        watch: &mut ReplyWatch,
        run: &[u8],
        draft: &mut Draft,
    ) -> Ruling {
        for byte in draft.copy(run) {
            let last = std::mem::replace(&mut watch.last, *byte);
            if *byte == b'\r' {
                continue;
            }
            let column = usize::try_from(watch.column).unwrap_or(usize::MAX);
            watch.column = watch.column.saturating_add(1);
            match self.settings.banner {
                Banner::Pass => {}
                Banner::Cmap => *byte = CMAP.get(column).copied().unwrap_or(b'_'),
                Banner::Stars | Banner::StarText => *byte = b'*',
                Banner::Pix51 => {
                    let stays = matches!(*byte, b'2' | b'0') || (*byte == b' ' && last == b'0');
                    if !stays {
                        *byte = b'*';
                    }
                }
                Banner::Domain if watch.is_later_line => {
                    *byte = ESMTP.get(column).copied().unwrap_or(b'.');
                }
                // The column stands still in the first line's first word.
                Banner::Domain if column == 0 && *byte != b' ' => watch.column = 0,
                Banner::Domain if column == 0 => {}
                Banner::Domain => *byte = ESMTP.get(column - 1).copied().unwrap_or(b'.'),
            }
        }
        if draft.as_bytes() == run { Ruling::Pass } else { Ruling::Edit(Rule::Banner) }
    }

    /// More of the answer to EHLO. Its first line greets, the others offer (RFC 5321 4.1.1.1).
    pub(super) fn judge_offer(
        &self,
        watch: &mut ReplyWatch,
        run: &[u8],
        draft: &mut Draft,
    ) -> Ruling {
        if !watch.is_later_line {
            return Ruling::Pass;
        }
        let bytes = draft.copy(run);
        match self.settings.ehlo {
            EhloFilter::Pass => {}
            EhloFilter::AllowList => self.filter(watch, bytes),
            EhloFilter::Letters => self.letter(watch, bytes),
        }
        if draft.as_bytes() == run { Ruling::Pass } else { Ruling::Edit(Rule::EhloKeyword) }
    }

    /// Byte by byte: what can still become a listed keyword passes.
    fn filter(&self, watch: &mut ReplyWatch, bytes: &mut [u8]) {
        for byte in bytes {
            if watch.keyword == Keyword::Open {
                // Old servers write AUTH=LOGIN.
                let is_end = matches!(*byte, b' ' | b'=' | b'\r');
                if !is_end {
                    watch.push(*byte);
                }
                let keyword = watch.keyword();
                watch.keyword = match keyword {
                    Some(keyword) if is_end && self.settings.permits_keyword(keyword) => {
                        Keyword::Permitted
                    }
                    Some(keyword) if !is_end && self.settings.permits_keyword_prefix(keyword) => {
                        Keyword::Open
                    }
                    _ => Keyword::Masked,
                };
            }
            mask_word_byte(watch.keyword, byte);
        }
    }

    /// As an ASA does it: X, but for a last letter that tells masked keywords apart.
    fn letter(&self, watch: &mut ReplyWatch, bytes: &mut [u8]) {
        let mut rest = bytes;
        if watch.keyword == Keyword::Open {
            let end = rest.iter().position(|byte| matches!(byte, b' ' | b'=' | b'\r'));
            let (keyword, tail) = rest.split_at_mut(end.unwrap_or(rest.len()));
            keyword.iter().for_each(|&byte| watch.push(byte));
            let is_permitted =
                watch.keyword().is_some_and(|keyword| self.settings.permits_keyword(keyword));
            watch.keyword = if is_permitted { Keyword::Permitted } else { Keyword::Masked };
            if !is_permitted && let Some((last, head)) = keyword.split_last_mut() {
                head.fill(MASK);
                *last = b'A' + watch.masked % 26;
                watch.masked = watch.masked.wrapping_add(1);
            }
            rest = tail;
        }
        rest.iter_mut().for_each(|byte| mask_word_byte(watch.keyword, byte));
    }
}

/// Masks what is no space and no line end.
const fn mask_word_byte(keyword: Keyword, byte: &mut u8) {
    if matches!(keyword, Keyword::Masked) && !matches!(*byte, b' ' | b'\r') {
        *byte = MASK;
    }
}
