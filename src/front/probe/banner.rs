//! The greeting: how it was masked, and whether a Postfix sender would take it for a PIX's.
//!
//! The rules of the generations are known byte for byte; each published masked banner is one of
//! these forms. A rule is recognised by what it leaves, so a short text can fit several.

use super::reply::{Reply, code};

/// What the greeting's text looks like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// A domain, or a domain and `ESMTP`: what the `esmtp` profile leaves of a short text.
    Bare,
    /// `SMTP/cmap ready` and underscores: PIX 4.0 and 4.1.
    Cmap,
    /// A domain, `ESMTP` and dots: the `esmtp` profile.
    Domain,
    /// No text at all: nothing can be told from it.
    Empty,
    /// Text.
    Plain,
    /// Stars, but for `2`, `0` and spaces behind a `0`: PIX 5.1 and later.
    Rule51,
    /// Stars only: PIX 4.4, ASA, and the 5.1 rule where the text has no `2` and no `0`.
    Stars,
    /// Stars, `2`, `0` and spaces, by no published rule.
    UnknownStars,
}

/// What became of the codes of a greeting's later lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Codes {
    /// There is one line only.
    Single,
    /// They stayed.
    Kept,
    /// The `-` behind them is masked: the 5.1 rule.
    SeparatorMasked,
    /// They are masked: the 4.4 rule. No client ever sees the end of such a greeting.
    Masked,
}

/// A greeting, taken apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Banner {
    /// Its text.
    pub(super) form: Form,
    /// The codes of its later lines.
    pub(super) codes: Codes,
}

impl Banner {
    /// Takes a greeting apart.
    #[must_use]
    pub(super) fn of(greeting: &Reply) -> Self {
        let mut codes = Codes::Single;
        let mut texts = Vec::new();
        for (index, line) in greeting.lines.iter().enumerate() {
            let (text, kept) = split(line);
            texts.push(text);
            codes = match (codes, kept) {
                (Codes::Single, Codes::Kept) if index == 0 => Codes::Single,
                (Codes::Masked, _) | (_, Codes::Masked) => Codes::Masked,
                (Codes::SeparatorMasked, _) | (_, Codes::SeparatorMasked) => Codes::SeparatorMasked,
                (Codes::Single | Codes::Kept, Codes::Single | Codes::Kept) => Codes::Kept,
            };
        }
        Self { form: Form::of(&texts), codes }
    }
}

impl Form {
    fn of(texts: &[&[u8]]) -> Self {
        let first = texts.first().copied().unwrap_or_default();
        let mut all = texts.iter().flat_map(|text| text.iter().copied());
        if texts.iter().all(|text| text.is_empty()) {
            Self::Empty
        } else if is_cmap(first) {
            Self::Cmap
        } else if all.clone().all(|byte| byte == b'*') {
            Self::Stars
        } else if all.clone().any(|byte| byte == b'*')
            && all.all(|byte| matches!(byte, b'*' | b'2' | b'0' | b' '))
        {
            if texts.iter().all(|text| follows_51(text)) {
                Self::Rule51
            } else {
                Self::UnknownStars
            }
        } else if let Some(dots) = dots_behind_domain(first) {
            // Fewer dots than three could be anyone's.
            if dots < 3 { Self::Bare } else { Self::Domain }
        } else {
            Self::Plain
        }
    }
}

/// Whether Postfix, sending to this server, enables its PIX workarounds: HELO instead of EHLO.
///
/// `smtp_proto.c` since 2001: `resp->str[strspn(resp->str, "20 *\t\n")] == 0`, for a greeting with
/// a 2xx code. `resp->str` is the lines with their codes, joined by LF, what is not printable
/// replaced by `?` (so a TAB never matches, whatever the set says); a NUL ends a line's text.
#[must_use]
pub(super) fn is_pix_to_postfix(greeting: &Reply) -> bool {
    let is_in_set = |line: &Vec<u8>| {
        let mut text = line.split(|&byte| byte == 0).next().unwrap_or_default().iter();
        text.all(|byte| matches!(byte, b'2' | b'0' | b' ' | b'*'))
    };
    greeting.is_ok() && greeting.is_whole() && greeting.lines.iter().all(is_in_set)
}

/// A line's text, and what became of its code.
fn split(line: &[u8]) -> (&[u8], Codes) {
    let behind = line.get(3..).unwrap_or_default();
    match (code(line), behind) {
        (Some(_), [b' ' | b'-', text @ ..]) => (text, Codes::Kept),
        (Some(_), [b'*', ..]) => (behind, Codes::SeparatorMasked),
        (Some(_), text) => (text, Codes::Kept),
        (None, _) if line.first() == Some(&b'*') => (line, Codes::Masked),
        (None, _) => (line, Codes::Kept),
    }
}

/// Whether each space stands behind a `0`; among stars, `2` and `0` that is all the 5.1 rule says.
fn follows_51(text: &[u8]) -> bool {
    let spaces = text.iter().enumerate().filter(|(_, byte)| **byte == b' ');
    spaces.into_iter().all(|(at, _)| text.get(..at).is_some_and(|head| head.ends_with(b"0")))
}

fn is_cmap(text: &[u8]) -> bool {
    text.strip_prefix(b"SMTP/cmap ready").is_some_and(|fill| fill.iter().all(|&byte| byte == b'_'))
}

/// For a domain, `ESMTP` and dots: how many dots. Each part may be cut short.
fn dots_behind_domain(text: &[u8]) -> Option<usize> {
    let mut words = text.splitn(2, |&byte| byte == b' ');
    words.next().filter(|domain| !domain.is_empty())?;
    let rest = words.next().unwrap_or_default();
    let dots = rest.strip_prefix(b"ESMTP").map(|dots| dots.strip_prefix(b" ").unwrap_or(dots));
    match dots {
        Some(dots) => dots.iter().all(|&byte| byte == b'.').then_some(dots.len()),
        None => b"ESMTP".starts_with(rest).then_some(0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reply(text: &str) -> Reply {
        Reply { lines: text.split_terminator("\r\n").map(|line| line.into()).collect() }
    }

    #[test]
    fn published_banners_are_known() {
        let article = format!("220 *********0{}2*************\r\n", "*".repeat(77));
        let nmap = format!("220-{}\r\n220 {}\r\n", "*".repeat(89), "*".repeat(32));
        let cases = [
            (article.as_str(), Form::Rule51, Codes::Single, true),
            (
                "220 ****0******0*********20 ****200**0*********0*00\r\n",
                Form::Rule51,
                Codes::Single,
                true,
            ),
            ("220 *****0*2******0***2002*******2***0*00\r\n", Form::Rule51, Codes::Single, true),
            ("220 ****2*****************\r\n", Form::Rule51, Codes::Single, true),
            (nmap.as_str(), Form::Stars, Codes::Kept, false),
            ("220-****\r\n****\r\n", Form::Stars, Codes::Masked, false),
            ("220-****\r\n220*****\r\n220 ****\r\n", Form::Stars, Codes::SeparatorMasked, false),
            ("220-***2\r\n220*****\r\n220 ****\r\n", Form::Rule51, Codes::SeparatorMasked, false),
            ("220 SMTP/cmap ready_______\r\n", Form::Cmap, Codes::Single, false),
            ("220 *** ***\r\n", Form::UnknownStars, Codes::Single, true),
            ("220 *** Hello ***\r\n", Form::Plain, Codes::Single, false),
            ("220 \r\n", Form::Empty, Codes::Single, true),
            ("220\r\n", Form::Empty, Codes::Single, true),
            ("220 2020\r\n", Form::Bare, Codes::Single, true),
            ("220 mail.example.com E\r\n", Form::Bare, Codes::Single, false),
            ("220 mail.example.com ESMTP ........\r\n", Form::Domain, Codes::Single, false),
            ("220 mail.example.com ESMTP.........\r\n", Form::Domain, Codes::Single, false),
            ("220 mail.example.com ESMTP Postfix\r\n", Form::Plain, Codes::Single, false),
        ];
        for (text, form, codes, postfix_notices) in cases {
            let greeting = reply(text);
            assert_eq!(Banner::of(&greeting), Banner { form, codes }, "{text}");
            assert_eq!(is_pix_to_postfix(&greeting), postfix_notices, "{text}");
        }
    }

    #[test]
    fn postfix_reads_what_it_can_print() {
        for (text, expected) in [
            ("220 **\t**", false),
            ("220 ***\0rest", true),
            ("220 ***\u{e9}", false),
            ("250 ***", false),
            ("220 20 20", true),
            ("420 ***", false),
        ] {
            let greeting = Reply { lines: vec![text.as_bytes().to_vec()] };
            assert_eq!(is_pix_to_postfix(&greeting), expected, "{text:?}");
        }
    }
}
