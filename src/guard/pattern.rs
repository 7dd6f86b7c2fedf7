//! Names by pattern: letters, and `*` for any number of any bytes. All patterns together become one
//! machine with a row for each state, so a name costs one step a byte and two bytes of memory.

use std::collections::BTreeMap;

use super::value::{Kind, Value, words_of};

/// Patterns, and the machine that finds them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Patterns {
    words: Vec<String>,
    rows: Vec<Row>,
}

/// One state: where each class of bytes leads, and whether a name may end here.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Row {
    next: [u16; CLASSES],
    is_match: bool,
}

/// Places in patterns: the number of the pattern, and that of its next byte.
type Places = Vec<(u8, u8)>;

impl Patterns {
    /// Whether there is none.
    pub(super) const fn is_empty(&self) -> bool {
        self.words.is_empty()
    }

    /// The state behind this byte; 0 is where a name begins.
    pub(super) fn next(&self, state: u16, byte: u8) -> u16 {
        let row = self.rows.get(usize::from(state));
        row.and_then(|row| row.next.get(class(byte))).copied().unwrap_or_default()
    }

    /// Whether a name that ends here is one of them.
    pub(super) fn is_match(&self, state: u16) -> bool {
        self.rows.get(usize::from(state)).is_some_and(|row| row.is_match)
    }

    /// The machine; none if it has too many states.
    fn compile(words: Vec<String>) -> Option<Self> {
        let begin = words.iter().enumerate().map(|(pattern, _)| (number(pattern), 0)).collect();
        let begin = closed(&words, begin);
        let mut numbers = BTreeMap::from([(begin.clone(), 0)]);
        let mut states: Vec<Places> = vec![begin];
        let mut rows = Vec::new();
        while let Some(places) = states.get(rows.len()).cloned() {
            let mut next = [0; CLASSES];
            for (class, next) in next.iter_mut().enumerate() {
                let reached = closed(&words, step(&words, &places, class));
                let count = states.len();
                let state = numbers.entry(reached).or_insert_with_key(|reached| {
                    states.push(reached.clone());
                    count
                });
                *next = u16::try_from(*state).unwrap_or_default();
            }
            let is_end = |&(pattern, at): &(u8, u8)| at_of(&words, pattern, at).is_none();
            rows.push(Row { next, is_match: places.iter().any(is_end) });
            if states.len() > STATES_MAX {
                return None;
            }
        }
        Some(Self { words, rows })
    }
}

/// These places, and those behind a `*` among them.
fn closed(words: &[String], mut places: Places) -> Places {
    let mut at = 0;
    while let Some(&(pattern, place)) = places.get(at) {
        if at_of(words, pattern, place) == Some(b'*') && !places.contains(&(pattern, place + 1)) {
            places.push((pattern, place + 1));
        }
        at += 1;
    }
    places.sort_unstable();
    places
}

/// Where a byte of this class leads from these places.
fn step(words: &[String], places: &Places, class_of_byte: usize) -> Places {
    let step = |&(pattern, place): &(u8, u8)| match at_of(words, pattern, place) {
        // An absolute name ends in a dot, and servers take any number of them.
        None if class_of_byte == class(b'.') => Some((pattern, place)),
        Some(b'*') => Some((pattern, place)),
        Some(byte) if class(byte) == class_of_byte => Some((pattern, place + 1)),
        Some(_) | None => None,
    };
    let mut reached: Places = places.iter().filter_map(step).collect();
    reached.sort_unstable();
    reached.dedup();
    reached
}

fn at_of(words: &[String], pattern: u8, place: u8) -> Option<u8> {
    words.get(usize::from(pattern))?.as_bytes().get(usize::from(place)).copied()
}

fn number(index: usize) -> u8 {
    u8::try_from(index).unwrap_or(u8::MAX)
}

/// Letters in any case, digits, what else names have, and everything else.
fn class(byte: u8) -> usize {
    let offset = |from: u8| usize::from(byte.to_ascii_lowercase() - from);
    match byte {
        b'a'..=b'z' | b'A'..=b'Z' => 1 + offset(b'a'),
        b'0'..=b'9' => 27 + offset(b'0'),
        b'.' => 37,
        b'-' => 38,
        b'_' => 39,
        b':' => 40,
        b'[' => 41,
        b']' => 42,
        _ => 0,
    }
}

impl Value for Patterns {
    const KIND: Kind = Kind::List;

    fn parse(text: &str) -> Result<Self, &str> {
        let is_pattern = |word: &&str| {
            word.len() <= PATTERN_BYTES_MAX
                // Whom nobody can help being called is not refused by his name.
                && word.bytes().any(|byte| byte != b'*')
                && word.bytes().all(|byte| byte == b'*' || class(byte) != 0)
        };
        if let Some(wrong) = words_of(text).find(|word| !is_pattern(word)) {
            return Err(wrong);
        }
        let words: Vec<String> = words_of(text).map(str::to_ascii_lowercase).collect();
        if words.is_empty() {
            return Ok(Self::default());
        }
        Some(words).filter(|words| words.len() <= PATTERNS_MAX).and_then(Self::compile).ok_or(text)
    }

    fn print(&self) -> String {
        self.words.join(",")
    }

    fn expected() -> String {
        format!("up to {PATTERNS_MAX} names such as localhost, with * for anything")
    }
}

const CLASSES: usize = 43;

const PATTERNS_MAX: usize = 64;

/// RFC 1035 2.3.4: a name has 255 bytes at most; a pattern is shorter.
const PATTERN_BYTES_MAX: usize = 100;

/// What one setting may cost in memory: some 180 KB.
const STATES_MAX: usize = 2_048;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_found_by_pattern_in_any_case() {
        let patterns =
            Patterns::parse("localhost,*.dynamic.example,friend*,*-pool-*.example,[127.*").unwrap();
        for (name, is_match) in [
            ("localhost", true),
            ("LocalHost", true),
            ("localhost.", true),
            ("localhost..", true),
            ("a.dynamic.example.", true),
            ("localhost.example", false),
            ("xlocalhost", false),
            ("a.dynamic.example", true),
            ("dynamic.example", false),
            ("a.dynamic.dynamic.example", true),
            ("friend", true),
            ("friends.example", true),
            ("my-pool-7.example", true),
            ("my-pool-7.example.org", false),
            ("[127.0.0.1]", true),
            ("[128.0.0.1]", false),
            ("", false),
        ] {
            let state = name.bytes().fold(0, |state, byte| patterns.next(state, byte));
            assert_eq!(patterns.is_match(state), is_match, "{name}");
        }
        assert_eq!(patterns.print().split(',').count(), 5);
        // Each byte that a name may have is itself, and what it may not have is none of them.
        for byte in b'!'..=b'~' {
            let pattern = char::from(byte).to_string();
            let Ok(patterns) = Patterns::parse(&pattern) else {
                assert!(!byte.is_ascii_alphanumeric() && !b".-_:[]".contains(&byte), "{pattern}");
                continue;
            };
            // A comma stands between two.
            for other in (0..=u8::MAX).filter(|_| byte != b',') {
                let is_match = patterns.is_match(patterns.next(0, other));
                assert_eq!(is_match, byte.eq_ignore_ascii_case(&other), "{pattern} {other}");
            }
        }
        for wrong in ["a b;c", "a,b?", "*", "a,**", &"x".repeat(101)] {
            assert!(Patterns::parse(wrong).is_err(), "{wrong}");
        }
        assert!(Patterns::parse("").unwrap().is_empty());
    }

    /// Where no two begin alike, there is one state for each byte, and two for all of them.
    #[test]
    fn patterns_may_have_so_many_states() {
        let words = |last: usize| -> String {
            let lengths = (0..20).map(|_| 100).chain([last]);
            let words =
                lengths.zip('a'..).map(|(length, c)| format!("{c}{}", "0".repeat(length - 1)));
            words.collect::<Vec<_>>().join(",")
        };
        let patterns = Patterns::parse(&words(46)).unwrap();
        assert_eq!(patterns.rows.len(), STATES_MAX);
        assert!(Patterns::parse(&words(47)).is_err());
        assert!(Patterns::parse(&words(90)).is_err());
    }
}
