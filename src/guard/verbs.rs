//! The verbs that reach the server: those known here, and a site's own.

use super::VerbSet;
use super::value::{Kind, Value, words_of};
use crate::smtp::{Verb, Word};

/// The verbs that reach the server.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Verbs {
    /// Those known here.
    pub known: VerbSet,
    /// The site's own: each is one line, answered by one reply.
    own: Vec<String>,
}

impl Verbs {
    /// Whether the verb is among them.
    #[must_use]
    pub const fn contains(&self, verb: Verb) -> bool {
        self.known.contains(verb)
    }

    /// Whether the site has any of its own.
    pub(super) const fn has_some_own(&self) -> bool {
        !self.own.is_empty()
    }

    /// Whether the word can still become one of the site's own.
    pub(super) fn has_own_prefix(&self, word: &Word) -> bool {
        self.own.iter().any(|name| name.as_bytes().starts_with(word.as_bytes()))
    }

    /// Whether the word is one of them.
    pub(super) fn has_own(&self, word: &Word) -> bool {
        self.own.iter().any(|name| name.as_bytes() == word.as_bytes())
    }
}

impl From<VerbSet> for Verbs {
    fn from(known: VerbSet) -> Self {
        Self { known, own: Vec::new() }
    }
}

impl Value for Verbs {
    const KIND: Kind = Kind::List;

    fn parse(text: &str) -> Result<Self, &str> {
        let mut verbs = Self::default();
        for name in words_of(text) {
            match Verb::of(name) {
                Some(verb) => verbs.known = verbs.known.with(VerbSet::of(&[verb])),
                None if is_own(name) => verbs.own.push(name.to_ascii_uppercase()),
                None => return Err(name),
            }
        }
        if verbs == Self::default() { Err(text) } else { Ok(verbs) }
    }

    fn print(&self) -> String {
        let known = Verb::ALL.into_iter().filter(|&verb| self.known.contains(verb));
        let mut names: Vec<&str> = known.map(Verb::name).collect();
        names.extend(self.own.iter().map(String::as_str));
        names.join(",")
    }

    fn expected() -> String {
        let known = Verb::ALL.map(Verb::name).join(", ");
        format!("one or more of {known}, or verbs of your own that begin with X, such as XCLIENT")
    }
}

/// Whether this can be a verb that is not known here: RFC 5321 4.1.5 has them begin with X, which
/// tells them from a slip. What is masked begins with three of those.
fn is_own(name: &str) -> bool {
    let name = name.to_ascii_uppercase();
    let is_letter = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
    (OWN_BYTES_MIN..=OWN_BYTES_MAX).contains(&name.len())
        && name.starts_with('X')
        && name.bytes().all(is_letter)
        && !name.starts_with("XXX")
}

/// No verb of SMTP has fewer letters.
const OWN_BYTES_MIN: usize = 4;

/// As many as are kept of a word, less one: so that a longer one equals none.
const OWN_BYTES_MAX: usize = 8;

#[cfg(test)]
mod tests;
