//! The answer to EHLO: which extensions it offers, and which keywords something on the way masked.

use super::reply::Reply;

/// A keyword that something on the way has masked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Masked<'a> {
    /// As it arrived.
    pub(super) shown: &'a [u8],
    /// Its first letters that were left: they could still have become a permitted keyword.
    pub(super) kept: usize,
    /// Whether its last letter counts the masked keywords, as on an ASA; else it ends in X.
    pub(super) is_lettered: bool,
}

impl Masked<'_> {
    /// Well-known keywords that it can have been, and that the answer does not show.
    #[must_use]
    pub(super) fn meanings(&self, answer: &Reply) -> Vec<&'static str> {
        let start = self.shown.get(..self.kept).unwrap_or_default();
        let is_possible = |name: &&str| {
            let is_like = name.len() == self.shown.len() && name.as_bytes().starts_with(start);
            is_like && !has(answer, name)
        };
        KNOWN.into_iter().filter(is_possible).collect()
    }
}

/// Whether the answer shows the keyword.
#[must_use]
pub(super) fn has(answer: &Reply, name: &str) -> bool {
    answer.extensions().any(|line| keyword(line).eq_ignore_ascii_case(name.as_bytes()))
}

/// The masked keywords, in order.
#[must_use]
pub(super) fn masked(answer: &Reply) -> Vec<Masked<'_>> {
    let mut found: Vec<Masked<'_>> = Vec::new();
    for shown in answer.extensions().map(keyword) {
        let Some((last, head)) = shown.split_last() else { continue };
        let letter = (b'A'..=b'Z').cycle().nth(found.len());
        let is_lettered = letter == Some(*last) && is_mask(head, 0, 2);
        let kept = shown.iter().rev().skip_while(|byte| **byte == b'X').count();
        if is_lettered || is_mask(shown, kept, 3) {
            let kept = if is_lettered { 0 } else { kept };
            found.push(Masked { shown, kept, is_lettered });
        }
    }
    found
}

/// Whether all but the first letters are X, enough of them to be told from a name, and the first
/// ones begin a keyword.
fn is_mask(shown: &[u8], kept: usize, letters_min: usize) -> bool {
    let Some((start, mask)) = shown.split_at_checked(kept) else { return false };
    let is_start = KNOWN.iter().any(|name| name.as_bytes().starts_with(start));
    mask.len() >= letters_min && mask.iter().all(|&byte| byte == b'X') && is_start
}

/// The word an extension begins with; old servers write `AUTH=` for `AUTH `.
fn keyword(line: &[u8]) -> &[u8] {
    line.split(|&byte| byte == b' ' || byte == b'=').next().unwrap_or_default()
}

/// Keywords servers offer to anyone (IANA's registry, and Exchange's own).
const KNOWN: [&str; 26] = [
    "8BITMIME",
    "AUTH",
    "BINARYMIME",
    "BURL",
    "CHECKPOINT",
    "CHUNKING",
    "DELIVERBY",
    "DSN",
    "ENHANCEDSTATUSCODES",
    "ETRN",
    "EXPN",
    "FUTURERELEASE",
    "HELP",
    "LIMITS",
    "MT-PRIORITY",
    "PIPELINING",
    "REQUIRETLS",
    "SIZE",
    "SMTPUTF8",
    "STARTTLS",
    "TURN",
    "VRFY",
    "X-ANONYMOUSTLS",
    "X-LINK2STATE",
    "XCLIENT",
    "XEXCH50",
];
