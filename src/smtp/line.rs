//! A command line, run by run.
//!
//! ```text
//!   Word ──SP,TAB──► Argument, Chunk ──CR──► Cr ──LF──► (line end)
//!     └──────CR─────────────────────────────►┘└─other─► Stray, until the line end
//! ```
//! Most servers end a line at a bare LF, and none at a bare CR: so a LF ends the line here, with or
//! without a CR, and what stands behind a bare CR or a NUL is stray. A server that does not says
//! nothing to a line that ends so, and nothing more passes until it does. A word comes byte by byte
//! as long as a verb can come of it, since each byte decides; everything else comes in runs, and a
//! stray one goes on over CRs, which stay.
//!
//! A line of an AUTH exchange is read here too: base64, or `*` alone (RFC 4954 4). There are
//! servers that look for commands in it first (Haraka), so from any other byte on it is stray.

use memchr::{memchr, memchr3};
use serde::{Deserialize, Serialize};

use super::chunk::ChunkSize;
use super::span::{is_blank, is_gap, is_of_base64, rspan, span, span_of_base64};
use super::{Event, Fault, Verb, Word};

/// What a BDAT would mean, by what the server has said.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum ChunkRule {
    /// Octets follow, and the server counts them.
    Pass,
    /// The server refuses it, and may read the octets as lines: they leave as one that is none.
    Disown,
    /// Nobody knows how the server would read the octets.
    Refuse,
    /// What follows are lines for everybody: as the originals read a masked BDAT.
    Lines,
    /// An answer that decides is outstanding.
    Wait,
}

/// What a BDAT means whose line the guard masks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MaskedChunk {
    /// The end of the connection, where octets follow.
    Barred,
    /// A line like any other, and its octets are lines, as the originals read them.
    Lines,
}

impl MaskedChunk {
    pub(super) const fn rule(self) -> ChunkRule {
        match self {
            Self::Barred => ChunkRule::Refuse,
            Self::Lines => ChunkRule::Lines,
        }
    }
}

/// Where in a command line the next byte stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Place {
    Word,
    Argument,
    /// The argument of BDAT, which says how many bytes behind the line are no lines.
    Chunk(ChunkSize),
    /// The argument of a BDAT that may not pass, before a digit that is no 0.
    BarredChunk,
    Stray,
    /// Behind a response to AUTH and a blank.
    Behind,
    /// In a word behind which nothing else may come.
    WordAlone,
}

/// What the server reads of a line that the guard changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "u8", into = "u8")]
struct Refused {
    /// No verb but so many letters, which had left already.
    letters: u8,
    /// Another path than the client wrote.
    is_path: bool,
}

const _: () = assert!(size_of::<Option<Refused>>() == 2, "each flow has one");

impl Refused {
    const fn behind(letters: u8) -> Self {
        Self { letters, is_path: false }
    }
}

/// As an image holds it.
impl From<u8> for Refused {
    fn from(packed: u8) -> Self {
        Self { letters: packed & !IN_PATH, is_path: packed & IN_PATH != 0 }
    }
}

impl From<Refused> for u8 {
    fn from(refused: Refused) -> Self {
        refused.letters + if refused.is_path { IN_PATH } else { 0 }
    }
}

/// The line under way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct CommandLine {
    word: Word,
    place: Place,
    is_after_cr: bool,
    /// A CR stands in it that no LF follows: some servers would read two lines.
    has_bare_cr: bool,
    /// The guard changes the rest of the line.
    refused: Option<Refused>,
    /// Digits of a chunk size have left, and something that servers read differently behind them.
    is_doubtful: bool,
    /// The line may not be one for the server: nothing in it is a command.
    is_unproved: bool,
}

impl CommandLine {
    pub(super) fn new() -> Self {
        Self {
            word: Word::default(),
            place: Place::Word,
            is_after_cr: false,
            has_bare_cr: false,
            refused: None,
            is_doubtful: false,
            is_unproved: false,
        }
    }

    /// A line that has come whole: this word, and a gap behind it or not.
    pub(super) fn whole(word: Word, has_gap: bool) -> Self {
        let place = if has_gap { Place::Argument } else { Place::Word };
        Self { word, place, ..Self::new() }
    }

    /// A line whose beginning was not read as one: nothing in it is a verb.
    pub(super) fn stray() -> Self {
        Self { place: Place::Stray, refused: Some(Refused::behind(0)), ..Self::new() }
    }

    pub(super) fn is_at_start(&self) -> bool {
        *self == Self::new()
    }

    /// The first word as the client wrote it.
    pub(super) const fn word(&self) -> &Word {
        &self.word
    }

    /// The first word that the server reads.
    pub(super) fn word_sent(&self) -> Word {
        self.refused.map_or(self.word, |refused| self.word.cut(refused.letters))
    }

    pub(super) const fn is_refused(&self) -> bool {
        self.refused.is_some()
    }

    /// Whether the server reads another path than the client wrote.
    pub(super) fn has_masked_path(&self) -> bool {
        self.refused.is_some_and(|refused| refused.is_path)
    }

    /// Whether it is one word and no more.
    pub(super) const fn is_word(&self) -> bool {
        matches!(self.place, Place::Word | Place::WordAlone)
    }

    /// The size of the chunk behind the line, if it is a BDAT that the server gets as it is.
    pub(super) const fn chunk(&self) -> Option<ChunkSize> {
        match self.place {
            Place::Chunk(size) if !self.is_refused() && size.octets().is_some() => Some(size),
            Place::Chunk(_)
            | Place::Word
            | Place::Argument
            | Place::BarredChunk
            | Place::Stray
            | Place::Behind
            | Place::WordAlone => None,
        }
    }

    /// Whether some servers would count octets behind the line and others none: Exim takes the
    /// digits of `BDAT 5 LASX` for a size, Postfix hangs up, another answers 501.
    pub(super) fn is_doubtful(&self) -> bool {
        let is_open = match self.place {
            // Behind a chunk of nothing that is not the last Exim counts no octets any more.
            Place::Chunk(size) if size.octets() == Some(0) && !size.is_last() => true,
            Place::Chunk(size) => size.has_digits() && self.chunk().is_none(),
            Place::Word
            | Place::Argument
            | Place::BarredChunk
            | Place::Stray
            | Place::Behind
            | Place::WordAlone => self.is_doubtful,
        };
        is_open && self.word_sent().verb() == Some(Verb::Bdat)
    }

    /// Whether a server that ends lines at a CR would read more than one in it.
    pub(super) const fn has_bare_cr(&self) -> bool {
        self.has_bare_cr
    }

    /// From the byte just read on, the line leaves masked; of its path or not.
    pub(super) fn refuse(&mut self, is_path: bool) {
        let letters = self.word.length();
        let kept = if self.is_word() { letters.saturating_sub(1) } else { letters };
        self.refused.get_or_insert_with(|| Refused::behind(kept)).is_path |= is_path;
    }

    /// Nothing but a word may come.
    pub(super) const fn begin_alone(&mut self) {
        self.place = Place::WordAlone;
    }

    /// From the next byte on, nothing in the line is a command.
    pub(super) fn disown(&mut self) {
        self.is_unproved = true;
        let letters = self.word.length();
        self.refused.get_or_insert_with(|| Refused::behind(letters));
    }

    /// Reads a run of bytes: how many, what they are, and what is wrong with them. The input is
    /// not empty; none of it is used where it has to wait.
    pub(super) fn read(&mut self, input: &[u8], rule: ChunkRule) -> (usize, Event, Option<Fault>) {
        let first = input.first().copied().unwrap_or_default();
        if first == b'\n' {
            let is_bare = !self.is_after_cr;
            // Octets are not counted from there where a bare LF ends no line, nor where one CR more
            // makes it no command.
            let is_odd = is_bare || self.has_bare_cr;
            let is_doubtful = self.is_doubtful() || (is_odd && self.chunk().is_some());
            let fault = is_doubtful.then_some(Fault::DoubtfulChunk);
            let verb = self.word_sent().leading_verb();
            return (1, Event::CommandEnd { is_bare, verb }, fault);
        }
        if first == b'\r' {
            let crs = span(input, |byte| byte == b'\r');
            self.hear_crs(crs);
            return (crs, Event::CommandCr, None);
        }
        self.has_bare_cr |= self.is_after_cr;
        let is_gap = is_gap(first);
        if self.is_after_cr || first == 0 || (is_gap && self.place == Place::WordAlone) {
            self.go_astray();
        }
        let (used, event, fault) = match self.place {
            Place::Word if is_gap => self.end_word(rule),
            Place::Word | Place::WordAlone => self.read_word(input),
            Place::Argument => (run(input), Event::CommandArgument(self.word), None),
            Place::Chunk(size) => self.read_size(size, input),
            Place::BarredChunk if matches!(first, b'1'..=b'9') => {
                (1, Event::CommandStray, Some(Fault::BarredChunk))
            }
            // No octets follow a size of 0.
            Place::BarredChunk => {
                let used = span(input, |byte| (byte == b' ') | (byte == b'0'));
                if used == 0 {
                    self.go_astray();
                }
                (used.max(1), Event::CommandStray, None)
            }
            Place::Stray | Place::Behind => (self.read_stray(input), Event::CommandStray, None),
        };
        self.is_after_cr &= used == 0;
        let is_own = !self.is_unproved || event == Event::Wait;
        (used, if is_own { event } else { Event::CommandStray }, fault)
    }

    /// Reads a run of a line in an AUTH exchange, its LF too: how many bytes, and what they are.
    pub(super) fn read_response(&mut self, input: &[u8]) -> (usize, Event) {
        let first = input.first().copied().unwrap_or_default();
        let is_line_end = matches!(first, b'\r' | b'\n');
        let is_cancel = first == b'*' && self.is_at_start();
        let is_response = self.place != Place::Behind && (is_of_base64(first) || is_cancel);
        let is_odd = !is_response && !is_blank(first);
        if !is_line_end && (is_odd || self.is_after_cr || self.place == Place::Stray) {
            self.has_bare_cr |= self.is_after_cr;
            self.go_astray();
            self.is_after_cr = false;
            return (self.read_stray(input), Event::AuthStray);
        }
        let text = match is_response {
            true if is_cancel => 1,
            true => span_of_base64(input),
            false => 0,
        };
        let end = input.get(text..).unwrap_or_default();
        // Exim ignores blanks, and some send one at the end.
        let blanks = span(end, is_blank);
        if self.place != Place::Stray {
            let is_behind = blanks > 0 || self.place == Place::Behind;
            self.place = if is_behind { Place::Behind } else { Place::Argument };
        }
        let (text, end) = (text + blanks, end.get(blanks..).unwrap_or_default());
        let crs = span(end, |byte| byte == b'\r');
        self.hear_crs(crs);
        let has_lf = end.get(crs) == Some(&b'\n');
        (text + crs + usize::from(has_lf), Event::AuthLine)
    }

    /// The rest of a line: a CR with anything behind it ends one for some servers.
    fn read_stray(&mut self, input: &[u8]) -> usize {
        let used = line_rest(input);
        let rest = input.get(..used).unwrap_or_default();
        self.has_bare_cr |= memchr(b'\r', rest).is_some();
        used
    }

    fn hear_crs(&mut self, crs: usize) {
        self.has_bare_cr |= crs > usize::from(!self.is_after_cr);
        self.is_after_cr |= crs > 0;
    }

    fn read_word(&mut self, input: &[u8]) -> (usize, Event, Option<Fault>) {
        // No byte decides any more where the line is refused or the word longer than any verb.
        let is_decided = self.is_refused() || self.word.is_full();
        let is_word = |byte| !(is_gap(byte) | (byte == 0));
        let with = |mut word: Word, count| {
            input.iter().take(count).take(Word::ROOM).for_each(|&byte| word.push(byte));
            word
        };
        let mut used = if is_decided { span(input, is_word) } else { 1 };
        // One of them may be the first that no log may show: then each comes alone.
        let may_change = used > 1 && !self.word.is_full();
        if may_change && with(self.word, used).secrecy() != self.word.secrecy() {
            used = 1;
        }
        self.word = with(self.word, used);
        (used, Event::CommandWord(self.word), None)
    }

    fn read_size(&mut self, mut size: ChunkSize, input: &[u8]) -> (usize, Event, Option<Fault>) {
        let mut used = 0;
        while let Some(&byte) = input.get(used)
            && let Some(next) = size.push(byte)
        {
            // Behind a byte that changed nothing more of its kind change nothing either.
            let rest = input.get(used..).unwrap_or_default();
            used += if next == size { span(rest, |other| other == byte) } else { 1 };
            size = next;
        }
        self.place = Place::Chunk(size);
        if used > 0 {
            return (used, Event::CommandArgument(self.word), None);
        }
        self.go_astray();
        (1, Event::CommandStray, None)
    }

    fn go_astray(&mut self) {
        self.is_doubtful |= matches!(self.place, Place::Chunk(size) if size.has_digits());
        self.place = Place::Stray;
    }

    /// BDAT is a command only where the server counts octets: another would read them as lines.
    fn end_word(&mut self, rule: ChunkRule) -> (usize, Event, Option<Fault>) {
        // Octets follow an unproved line too, whatever it leaves as.
        let rule = if self.is_unproved { ChunkRule::Refuse } else { rule };
        let is_chunk = self.word.verb() == Some(Verb::Bdat) && rule != ChunkRule::Lines;
        match rule {
            ChunkRule::Wait if is_chunk => return (0, Event::Wait, None),
            ChunkRule::Refuse if is_chunk => {
                self.place = Place::BarredChunk;
                return (1, Event::CommandStray, None);
            }
            ChunkRule::Pass
            | ChunkRule::Disown
            | ChunkRule::Refuse
            | ChunkRule::Lines
            | ChunkRule::Wait => {}
        }
        self.place = if is_chunk { Place::Chunk(ChunkSize::Before) } else { Place::Argument };
        (1, Event::CommandGap(self.word), None)
    }
}

/// Far above the letters of a word.
const IN_PATH: u8 = 1 << 7;

/// Bytes up to the next CR, LF or NUL; at least one.
fn run(input: &[u8]) -> usize {
    let rest = input.get(1..).unwrap_or_default();
    memchr3(b'\r', b'\n', 0, rest).map_or(input.len(), |at| at + 1)
}

/// Bytes up to the line's end, CRs among them; at least one, which is neither CR nor LF.
fn line_rest(input: &[u8]) -> usize {
    let end = memchr(b'\n', input).unwrap_or(input.len());
    let line = input.get(..end).unwrap_or_default();
    line.len() - rspan(line, |byte| byte == b'\r').min(line.len().saturating_sub(1))
}
