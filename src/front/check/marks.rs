//! What a rule of nf_tables gives a mark: the expression behind `mark set`.

use super::ours::{Change, number};

/// What `ct mark set …` or `meta mark set …` does: `own` is the word for the mark itself. Where the
/// value is looked up in a map, `found` are all bits of what may be found, and what stands behind.
pub(super) fn change(expression: &[&str], own: &str, found: Option<(u32, &[&str])>) -> Change {
    let words: Vec<&str> = expression.iter().map(|word| word.trim_matches(['(', ')'])).collect();
    let (mut change, rest) = match (found, words.as_slice()) {
        (Some((set, rest)), _) => (Change { touched: u32::MAX, set }, rest),
        (None, [kind @ ("ct" | "meta"), "mark", rest @ ..]) => (copy(*kind == own), rest),
        (None, ["mark", rest @ ..]) => (copy(own == "meta"), rest),
        (None, [first, rest @ ..]) => match number(first) {
            Some(set) => (Change { touched: u32::MAX, set }, rest),
            None => (Change { touched: u32::MAX, set: chosen(&words) }, &[][..]),
        },
        (None, []) => return Change::default(),
    };
    for pair in rest.chunks(2) {
        match *pair {
            ["and" | "&", mask] => {
                let mask = number(mask).unwrap_or(0);
                change = Change { touched: change.touched | !mask, set: change.set & mask };
            }
            ["or" | "|" | "xor" | "^", bits] => {
                change = match number(bits) {
                    Some(bits) => Change { touched: change.touched | bits, set: change.set | bits },
                    // Those of something else, of which we know nothing.
                    None => Change { touched: u32::MAX, ..change },
                };
            }
            ["<<" | ">>" | "lshift" | "rshift", _] => {
                change = Change { touched: u32::MAX, set: 0 };
            }
            _ => break,
        }
    }
    change
}

/// The mark as it was, or the other one, of which we know nothing.
const fn copy(is_own: bool) -> Change {
    Change { touched: if is_own { 0 } else { u32::MAX }, set: 0 }
}

/// The bits of what is counted or hashed, as `numgen inc mod 4 offset 256`. Of anything else we
/// know nothing: as little sets a mark to what the rule means.
fn chosen(words: &[&str]) -> u32 {
    let words = words.get(..extent(words)).unwrap_or_default();
    let value = |word: &str| {
        let at = words.iter().position(|one| *one == word)?;
        number(words.get(at + 1)?)
    };
    let Some(count) = value("mod") else { return 0 };
    let first = value("offset").unwrap_or(0);
    let last = first.saturating_add(count.saturating_sub(1));
    // From the highest bit that differs on, every one occurs.
    last | u32::MAX.checked_shr((first ^ last).leading_zeros()).unwrap_or(0)
}

/// How many of these words belong to the expression, where they go on with something that has one
/// itself.
pub(super) fn extent(words: &[&str]) -> usize {
    words.iter().position(|word| matches!(*word, "set" | "to")).unwrap_or(words.len())
}
