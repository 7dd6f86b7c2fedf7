//! Words as they are spelt letter by letter, in either case: which of a set of them, one bit each,
//! these letters may still become.

/// For each place in a word the words that have a letter there, and those that end there.
pub(crate) struct Spelling<const LENGTH: usize>([Place; LENGTH]);

#[derive(Clone, Copy)]
struct Place {
    by_letter: [u32; 256],
    ends: u32,
}

impl<const LENGTH: usize> Spelling<LENGTH> {
    /// Of these words, none of them longer than `LENGTH` ([`longest`]): word n is bit n.
    #[expect(clippy::indexing_slicing, reason = "a constant that is wrong does not compile")]
    pub(crate) const fn of(words: &[&str]) -> Self {
        let mut places = [Place { by_letter: [0; 256], ends: 0 }; LENGTH];
        let mut at = 0;
        while at < words.len() {
            let (word, bit) = (words[at].as_bytes(), 1 << at);
            let mut length = 0;
            while length < word.len() {
                places[length].by_letter[word[length].to_ascii_uppercase() as usize] |= bit;
                places[length].by_letter[word[length].to_ascii_lowercase() as usize] |= bit;
                length += 1;
            }
            places[length - 1].ends |= bit;
            at += 1;
        }
        Self(places)
    }

    /// Those of a set that have this letter behind so many others.
    #[inline]
    pub(crate) fn with_letter(&self, open: u32, at: u8, letter: u8) -> u32 {
        let place = self.0.get(usize::from(at));
        let known = place.and_then(|place| place.by_letter.get(usize::from(letter)));
        open & known.copied().unwrap_or_default()
    }

    /// Those of a set that have so many letters.
    #[inline]
    pub(crate) fn of_length(&self, open: u32, length: u8) -> u32 {
        let place = usize::from(length).checked_sub(1).and_then(|last| self.0.get(last));
        open & place.map_or(0, |place| place.ends)
    }
}

/// How many letters the longest of these words has.
pub(crate) const fn longest(mut words: &[&str]) -> usize {
    let mut longest = 0;
    while let [word, rest @ ..] = words {
        if word.len() > longest {
            longest = word.len();
        }
        words = rest;
    }
    longest
}

#[cfg(test)]
mod tests {
    use super::*;

    const WORDS: [&str; 4] = ["GET", "get-all", "PUT", "X-1"];

    static SPELLING: Spelling<{ longest(&WORDS) }> = Spelling::of(&WORDS);

    fn open(word: &str) -> u32 {
        let letters = word.bytes().zip(0..);
        letters.fold(u32::MAX, |open, (byte, at)| SPELLING.with_letter(open, at, byte))
    }

    #[test]
    fn a_word_is_found_letter_by_letter_in_either_case() {
        for (letters, expected, whole) in [
            ("g", 0b0011, 0),
            ("GeT", 0b0011, 0b0001),
            ("gEt-", 0b0010, 0),
            ("GET-ALL", 0b0010, 0b0010),
            ("get-alls", 0, 0),
            ("Put", 0b0100, 0b0100),
            ("x-1", 0b1000, 0b1000),
            ("x_1", 0, 0),
            ("", u32::MAX, 0),
        ] {
            let open = open(letters);
            assert_eq!(open, expected, "{letters}");
            let length = u8::try_from(letters.len()).unwrap();
            assert_eq!(SPELLING.of_length(open, length), whole, "{letters}");
        }
        assert_eq!(SPELLING.with_letter(u32::MAX, u8::MAX, b'G'), 0);
        assert_eq!(SPELLING.of_length(u32::MAX, u8::MAX), 0);
    }
}
