//! Whether a line can be anything to the patches at all: most cannot, and cost one look into a
//! small table for each byte.
//!
//! Of each text that is looked for stands here one byte, or one pair of neighbours, that no line
//! with that text lacks. Pairs are kept in seven buckets, so that bytes of different pairs seldom
//! look like one. What the sieve lets through harms no one; what it keeps back is read by the
//! machine, which alone decides.

use super::line::Line;
use super::zone::ZoneSet;
use super::{Catalogue, Deed, Sign};
use crate::smtp::Verb;

/// What arguments cannot lack, for each verb's argument.
#[derive(Clone, Debug)]
pub(super) struct Sieve {
    tables: Vec<Table>,
    /// By verb: its table.
    by_verb: [u8; Verb::ALL.len()],
}

/// A kind of arguments: what decides which rules may mind them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Kind {
    zones: ZoneSet,
    /// What nearly every such argument begins with.
    key: &'static [u8],
    /// Whether it is a path, or may be one.
    has_path: bool,
}

/// What arguments of one kind cannot lack.
#[derive(Clone, Debug)]
struct Table {
    /// By byte: the buckets in which it is a pair's second, and 8 bits higher those in which it is
    /// a first. Every byte is a first of [`ALONE`].
    pairs: Box<[u16; 256]>,
    /// No rule minds an argument that is no longer.
    longest: u16,
    /// What nearly every such argument begins with, and no rule minds.
    key: &'static [u8],
    /// Pairs that have a bucket beside the first.
    common: Vec<[u8; 2]>,
}

/// The bucket of bytes that are enough alone.
const ALONE: u16 = 1 << 7;

/// The bucket of pairs of rare bytes: whatever two of them are taken together is rare too.
const RARE: u16 = 1;

/// What stands ahead of a local part's first byte, but for a backslash, a quote, and what a quoted
/// string begins with: separators, what closes, blanks.
const BEFORE_FIRST: &[u8] = b"<>:,;)= ";

/// Buckets of all other pairs.
const OTHERS: usize = 6;

impl Sieve {
    /// The sieve for a catalogue's rules, of which those without a deed are off.
    pub(super) fn new(catalogue: &Catalogue, deeds: &[Option<Deed>]) -> Self {
        let mut kinds: Vec<Kind> = Vec::new();
        let by_verb = Verb::ALL.map(|verb| {
            let kind = Kind::of(verb);
            let known = kinds.iter().position(|known| *known == kind);
            let at = known.unwrap_or_else(|| {
                kinds.push(kind);
                kinds.len() - 1
            });
            u8::try_from(at).unwrap_or(u8::MAX)
        });
        Self {
            tables: kinds.iter().map(|kind| Table::new(kind, catalogue, deeds)).collect(),
            by_verb,
        }
    }

    /// Whether a rule may mind this argument, which is whole.
    pub(super) fn keeps(&self, verb: Verb, argument: &[u8]) -> bool {
        let table =
            self.by_verb.get(verb as usize).and_then(|at| self.tables.get(usize::from(*at)));
        table.is_none_or(|table| table.keeps(argument))
    }
}

impl Kind {
    fn of(verb: Verb) -> Self {
        let zones = Line::zones_of(verb);
        let is_mail = zones.meets(ZoneSet::PATHS);
        let key: &[u8] = match is_mail {
            true if verb == Verb::Rcpt => b"TO:<",
            true => b"FROM:<",
            false => b"",
        };
        Self { zones, key, has_path: is_mail || matches!(verb, Verb::Vrfy | Verb::Expn) }
    }
}

impl Table {
    fn new(kind: &Kind, catalogue: &Catalogue, deeds: &[Option<Deed>]) -> Self {
        let Kind { zones, key, has_path } = *kind;
        let pairs = Box::new([ALONE << 8; 256]);
        let mut table = Self { pairs, longest: u16::MAX, key, common: Vec::new() };
        if has_path {
            // The machine drops the backslash of a pair, and quotes, and joins what is around them.
            table.add(b"\\");
            table.add(b"\"");
            // Each control character is a blank for some server.
            (0..b' ').chain([0x7F]).for_each(|void| table.mark(void, ALONE));
        }
        let rules = catalogue.rules().iter().zip(deeds).filter(|(_, deed)| deed.is_some());
        for (rule, _) in rules {
            let is_there = rule.zones.meets(zones);
            match &rule.sign {
                Sign::Texts(texts) if is_there => {
                    let is_whole = rule.zones.and(zones).meets(ZoneSet::WHOLE);
                    match catalogue.behind(rule) {
                        // First, for some bytes that stand behind others are in every path.
                        _ if rule.quoted == Some(true) => {
                            // A comment may hide that a string is quoted.
                            table.add(b"(");
                        }
                        Some(byte) => table.add_but(key, &[byte]),
                        None if rule.is_first && rule.zones.and(ZoneSet::LOCALS) == rule.zones => {
                            texts.iter().for_each(|text| table.add_behind(BEFORE_FIRST, text));
                        }
                        None => {
                            // What can stand in the key is looked for behind it.
                            let unseen = if is_whole { key } else { b"" };
                            texts.iter().for_each(|text| table.add_but(unseen, text));
                        }
                    }
                }
                Sign::Over(most) if is_there => table.longest = table.longest.min(*most),
                Sign::EmptyLocalPart if has_path => {
                    table.add_behind(BEFORE_FIRST, b"@");
                }
                // No line is read whole that ends in base64.
                Sign::Texts(_)
                | Sign::Over(_)
                | Sign::EmptyLocalPart
                | Sign::OpenQuote
                | Sign::Base64Length
                | Sign::Cause(_) => {}
            }
        }
        table
    }

    /// The text must not be missed.
    fn add(&mut self, text: &[u8]) {
        self.add_but(b"", text);
    }

    /// The same, by a part of it that does not stand in `unseen`.
    fn add_but(&mut self, unseen: &[u8], text: &[u8]) {
        let parts = text.windows(2.min(text.len().max(1))).filter(|part| !is_in(part, unseen));
        match parts.min_by_key(|part| part.iter().map(common).sum::<u32>()) {
            Some(&[first, second]) => {
                let bucket = self.bucket([first, second]);
                self.mark(first, bucket << 8);
                self.mark(second, bucket);
            }
            Some([byte]) => self.mark(*byte, ALONE),
            // Each such argument is the machine's.
            _ => self.longest = 0,
        }
    }

    /// A text that a local part begins with: what can stand ahead of it there is known.
    fn add_behind(&mut self, before: &[u8], text: &[u8]) {
        let Some(first) = text.first() else { return };
        let bucket = self.bucket(*b"< ");
        before.iter().for_each(|byte| self.mark(*byte, bucket << 8));
        self.mark(*first, bucket);
    }

    fn bucket(&mut self, pair: [u8; 2]) -> u16 {
        if pair.iter().all(|byte| common(byte) == 0) {
            return RARE;
        }
        let known = self.common.iter().position(|known| *known == pair);
        let at = known.unwrap_or_else(|| {
            self.common.push(pair);
            self.common.len() - 1
        });
        RARE << (1 + at % OTHERS)
    }

    fn mark(&mut self, byte: u8, bits: u16) {
        for byte in [byte.to_ascii_lowercase(), byte.to_ascii_uppercase()] {
            if let Some(entry) = self.pairs.get_mut(usize::from(byte)) {
                *entry |= bits;
            }
        }
    }

    fn keeps(&self, argument: &[u8]) -> bool {
        let entry_of = |byte: u8| self.pairs.get(usize::from(byte)).copied().unwrap_or(u16::MAX);
        let begun = argument.split_at_checked(self.key.len());
        let rest = begun.filter(|(start, _)| start.eq_ignore_ascii_case(self.key));
        let rest = rest.map_or(argument, |(_, rest)| rest);
        // A text may begin in the key and end behind it.
        let is_begun = rest.len() < argument.len();
        let (mut met, mut before) = (0, if is_begun { entry_of(b'<') } else { ALONE << 8 });
        for &byte in rest {
            let entry = entry_of(byte);
            met |= (before >> 8) & entry;
            before = entry;
        }
        met & 0xFF != 0 || argument.len() > usize::from(self.longest)
    }
}

/// Whether a text stands in another, in any case of letters.
fn is_in(text: &[u8], other: &[u8]) -> bool {
    other.windows(text.len().max(1)).any(|part| part.eq_ignore_ascii_case(text))
}

/// How common a byte is in ordinary lines.
fn common(byte: &u8) -> u32 {
    match byte {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b' ' => 3,
        b'.' | b'-' | b'_' | b'@' | b'<' | b'>' | b'=' | b'+' => 2,
        b':' => 1,
        _ => 0,
    }
}
