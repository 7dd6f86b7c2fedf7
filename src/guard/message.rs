//! A message as it comes: where its header ends, and how much there is of both.
//!
//! | before the byte | CR          | LF         | other |
//! |-----------------|-------------|------------|-------|
//! | Start of line   | + CR        | empty line | Text  |
//! | Dot             | + CR        | line end   | Text  |
//! | Text            | + CR        | line end   | Text  |
//! | any, + CR       | + CR, one was text | as without | Text, the CR was text |
//!
//! A header ends at its first empty line and nowhere else: about a line without a colon servers
//! differ. A line ends at LF, with or without CR before it. Where the header's first line ended in
//! CRLF, none is empty behind a lone LF: to Exim that folds, and its header goes on where another's
//! ends. Counted is what the receiver gets: a dot that was added before a line's first is
//! not, and a line does not count its end. Among the bytes of a header all count, and a CR or LF
//! that stands alone twice: no server has more of them.

use serde::{Deserialize, Serialize};

use super::settings::Settings;
use super::value::{Excess, Limit};
use super::{Draft, Guard, Rule, Ruling, Watch};
use crate::patch::{ByByte, Header, Marks, Met, Plan, Strike};
use crate::smtp::is_wsp;

/// The message under way, as far as it has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Message {
    place: Place,
    ends: LineEnds,
    /// Limits that were passed and only logged: each is told of once, a bit each. Above them
    /// [`BODY`] and [`CR`].
    told: u8,
    /// Fields of the header so far.
    fields: u16,
    /// Bytes of the line under way.
    line: u16,
    /// Bytes of the header, or of the body.
    bytes: u32,
    /// Bytes of all of it, with its line ends and without the dots that were added.
    received: u32,
    /// Where patches look.
    header: Header,
}

/// What an image of format 9 says of it.
#[derive(Debug, Deserialize)]
pub(super) struct MessageBefore {
    place: Place,
    told: u8,
    fields: u16,
    line: u16,
    bytes: u32,
    received: u32,
    header: Header,
}

impl From<MessageBefore> for Message {
    fn from(before: MessageBefore) -> Self {
        let MessageBefore { place, told, fields, line, bytes, received, header } = before;
        // As lines nearly always end, and particular about the header's end.
        let ends = if received > 0 { LineEnds::Crlf } else { LineEnds::None };
        Self { place, ends, told, fields, line, bytes, received, header }
    }
}

/// How lines of the header have ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
enum LineEnds {
    /// None has.
    #[default]
    None,
    /// The first in a lone LF: each LF ends a line.
    Lf,
    /// The first in CRLF, and so did the last.
    Crlf,
    /// The first in CRLF, and the last in a lone LF: the next one is not empty.
    Folded,
}

impl LineEnds {
    const fn end(&mut self, is_crlf: bool) {
        *self = match (*self, is_crlf) {
            (Self::Lf, _) | (Self::None, false) => Self::Lf,
            (Self::None | Self::Crlf | Self::Folded, true) => Self::Crlf,
            (Self::Crlf | Self::Folded, false) => Self::Folded,
        };
    }

    /// Whether an empty line behind them ends the header.
    const fn ends_header(self) -> bool {
        !matches!(self, Self::Folded)
    }
}

/// What patches look for in a run, and what they found.
struct Look<'a> {
    plan: Option<&'a Plan>,
    strikes: &'a mut Vec<Strike>,
    /// Bytes of the run that were read before those that are read now.
    before: usize,
    /// Bytes of the run that are header.
    header: usize,
    met: Option<Met>,
}

/// What stands before the next byte of a line.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
enum Place {
    /// Nothing.
    #[default]
    Start,
    /// A dot that was added.
    Dot,
    Text,
}

impl Message {
    const fn has(&self, flag: u8) -> bool {
        self.told & flag != 0
    }

    /// What comes is read by another catalogue of patches.
    pub(super) const fn change_catalogue(&mut self) {
        self.header.change_catalogue();
    }

    /// Bytes of it so far, as far as bodies are read.
    pub(super) const fn received(&self) -> u32 {
        self.received
    }

    /// Takes more of it, up to what ends the flow: the limit that was passed, if one was.
    fn read(
        &mut self,
        settings: &Settings,
        bytes: &[u8],
        has_dots: bool,
        look: &mut Look<'_>,
    ) -> Option<Excess> {
        let minds_body = settings.minds_body();
        let length = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
        self.received = self.received.saturating_add(length);
        let mut noted = None;
        let mut rest = bytes;
        look.header = if self.has(BODY) { 0 } else { bytes.len() };
        while let Some((&byte, tail)) = rest.split_first() {
            if self.has(BODY) && look.header == bytes.len() {
                look.header -= rest.len();
            }
            if (self.has(BODY) && !minds_body) || look.is_end() {
                break;
            }
            look.before = bytes.len() - rest.len();
            let lines = self.take_lines(settings, rest, has_dots, look);
            if lines > 0 {
                rest = rest.get(lines..).unwrap_or_default();
                continue;
            }
            let text =
                if self.place == Place::Text && !self.has(CR) { text_length(rest) } else { 0 };
            let excess = if text > 0 {
                let (piece, behind) = rest.split_at_checked(text).unwrap_or((rest, &[]));
                rest = behind;
                self.look(look, piece);
                let taken = self.add(settings, text);
                // Each CR in it stands alone.
                let lone =
                    if self.has(BODY) { 0 } else { memchr::memchr_iter(b'\r', piece).count() };
                if lone > 0 { Excess::graver(taken, self.add_bytes(settings, lone)) } else { taken }
            } else {
                rest = tail;
                self.step(settings, byte, has_dots, look)
            };
            match excess {
                Some(excess) if excess.is_end => return Some(excess),
                excess => noted = noted.or(excess),
            }
        }
        noted
    }

    /// Takes whole lines of a header, as long as byte by byte there would be nothing to say of
    /// their counts and none ends it: how many bytes they have. By itself, since it needs all
    /// registers.
    #[inline(never)]
    fn take_lines(
        &mut self,
        settings: &Settings,
        bytes: &[u8],
        has_dots: bool,
        look: &mut Look<'_>,
    ) -> usize {
        if self.has(BODY | CR) || self.place != Place::Start {
            return 0;
        }
        let marks = look.plan.map_or(ByByte::PLAIN, Plan::header_marks);
        let room = |bytes: u32| usize::try_from(bytes).unwrap_or(usize::MAX);
        let line_room = room(settings.header_line_max.room(0));
        let fields_room = room(settings.header_fields_max.room(self.fields.into()));
        let bytes_room = room(settings.header_bytes_max.room(self.bytes));
        let mut rest = bytes;
        let (mut fields, mut size, mut dots) = (0, 0, 0);
        loop {
            // Behind a fold an attack has nothing else by the thousand.
            if self.ends == LineEnds::Folded {
                // No further than there is room: what is beyond would be counted again each time.
                let most = bytes_room.saturating_sub(size) / 2;
                let empty = rest.iter().take(most).take_while(|&&byte| byte == b'\n').count();
                size += 2 * empty;
                rest = rest.get(empty..).unwrap_or_default();
            }
            let Some(line) = Line::first(rest, has_dots, marks) else { break };
            let is_end = line.is_empty() && self.ends.ends_header();
            let more_fields = fields + usize::from(line.begins_field());
            let more_bytes = size + line.size();
            let is_beyond =
                line.text.len() > line_room || more_fields > fields_room || more_bytes > bytes_room;
            if is_end || is_beyond {
                break;
            }
            (fields, size, dots) = (more_fields, more_bytes, dots + u32::from(line.has_dot));
            if let Some(met) = self.look_at_line(look, &line) {
                let before = bytes.len() - rest.len() + usize::from(line.has_dot);
                look.met = Some(Met { at: look.before + before + met.at, ..met });
            }
            self.ends.end(line.is_crlf);
            rest = rest.get(line.whole..).unwrap_or_default();
            if look.is_end() {
                break;
            }
        }
        self.fields = self.fields.saturating_add(u16::try_from(fields).unwrap_or(u16::MAX));
        self.bytes = self.bytes.saturating_add(u32::try_from(size).unwrap_or(u32::MAX));
        self.received = self.received.saturating_sub(dots);
        bytes.len() - rest.len()
    }

    fn step(
        &mut self,
        settings: &Settings,
        byte: u8,
        has_dots: bool,
        look: &mut Look<'_>,
    ) -> Option<Excess> {
        let had_cr = self.has(CR);
        self.told = if byte == b'\r' { self.told | CR } else { self.told & !CR };
        match byte {
            b'\n' => self.end_line(settings, had_cr),
            b'\r' if had_cr => self.take_bare_cr(settings, look),
            b'\r' => None,
            b'.' if has_dots && !had_cr && self.place == Place::Start => {
                self.place = Place::Dot;
                self.received = self.received.saturating_sub(1);
                // Behind a fold it is text, to Exim: no header is longer than what is counted.
                if self.has(BODY) { None } else { self.add_bytes(settings, 1) }
            }
            _ if had_cr => {
                let earlier = self.take_bare_cr(settings, look);
                Excess::graver(earlier, self.begin(settings, byte, look))
            }
            _ => self.begin(settings, byte, look),
        }
    }

    /// Takes a CR that ends no line. In a header it counts as two bytes, as a bare LF does: Exim
    /// folds there.
    fn take_bare_cr(&mut self, settings: &Settings, look: &mut Look<'_>) -> Option<Excess> {
        let taken = self.begin(settings, b'\r', look);
        if self.has(BODY) { taken } else { Excess::graver(taken, self.add_bytes(settings, 1)) }
    }

    /// Takes one byte of text, which may be the line's first.
    fn begin(&mut self, settings: &Settings, byte: u8, look: &mut Look<'_>) -> Option<Excess> {
        self.look(look, &[byte]);
        let is_field = self.place != Place::Text && !self.has(BODY) && !is_wsp(byte);
        self.place = Place::Text;
        let fields = u32::from(self.fields);
        self.fields = self.fields.saturating_add(is_field.into());
        let counts = (fields, u32::from(self.fields));
        let excess = self.passes(Rule::HeaderFields, settings.header_fields_max, counts);
        Excess::graver(excess, self.add(settings, 1))
    }

    /// Has patches look into more of a line's text.
    fn look(&mut self, look: &mut Look<'_>, text: &[u8]) {
        let Some(plan) = look.plan.filter(|_| !self.has(BODY)) else { return };
        let mut before = look.before;
        // sendmail drops NULs, and reads as one what stands on their sides.
        for piece in text.split(|byte| *byte == 0) {
            if look.is_end() {
                return;
            }
            if let Some(met) = plan.read_header(&mut self.header, piece, look.strikes) {
                look.met = Some(Met { at: before + met.at, ..met });
            }
            before += piece.len() + 1;
        }
    }

    /// Has patches look into a line that has come whole.
    #[inline]
    fn look_at_line(&mut self, look: &mut Look<'_>, line: &Line<'_>) -> Option<Met> {
        if let Some(plan) = look.plan {
            let text = (line.text, line.marks);
            return plan.read_header_line(&mut self.header, text, look.strikes);
        }
        self.header.end_line();
        None
    }

    /// Takes so many bytes of a line's text.
    fn add(&mut self, settings: &Settings, count: usize) -> Option<Excess> {
        let before = u32::from(self.line);
        let added = u16::try_from(count).unwrap_or(u16::MAX);
        self.line = self.line.saturating_add(added);
        let (rule, limit) = match self.has(BODY) {
            false => (Rule::HeaderLine, settings.header_line_max),
            true => (Rule::BodyLine, settings.body_line_max),
        };
        let excess = self.passes(rule, limit, (before, u32::from(self.line)));
        Excess::graver(excess, self.add_bytes(settings, count))
    }

    fn add_bytes(&mut self, settings: &Settings, count: usize) -> Option<Excess> {
        let before = self.bytes;
        self.bytes = before.saturating_add(u32::try_from(count).unwrap_or(u32::MAX));
        let (rule, limit) = match self.has(BODY) {
            false => (Rule::HeaderBytes, settings.header_bytes_max),
            true => (Rule::BodyBytes, settings.body_bytes_max),
        };
        self.passes(rule, limit, (before, self.bytes))
    }

    fn end_line(&mut self, settings: &Settings, is_crlf: bool) -> Option<Excess> {
        let is_empty = self.place == Place::Start;
        (self.place, self.line) = (Place::Start, 0);
        self.header.end_line();
        if !self.has(BODY) {
            if is_empty && self.ends.ends_header() {
                (self.told, self.bytes) = (self.told | BODY, 0);
                return None;
            }
            self.ends.end(is_crlf);
        }
        self.add_bytes(settings, if is_crlf || !self.has(BODY) { 2 } else { 1 })
    }

    /// What there is to say of a count, if it has just gone beyond its limit. Of one that is only
    /// logged it is said once a message.
    fn passes<const HIGHEST: u32>(
        &mut self,
        rule: Rule,
        limit: Limit<HIGHEST>,
        counts: (u32, u32),
    ) -> Option<Excess> {
        let excess = limit.excess(rule, counts)?;
        let bit = TOLD.iter().position(|told| *told == rule).map_or(0, |at| 1 << at);
        let is_told = self.told & bit != 0 && !excess.is_end;
        self.told |= bit;
        // The same number however the bytes were cut.
        (!is_told).then_some(Excess { count: excess.limit.saturating_add(1), ..excess })
    }
}

impl Look<'_> {
    fn is_end(&self) -> bool {
        self.met.is_some_and(|met| met.is_end)
    }
}

impl Settings {
    /// Whether anything is asked of messages' bodies.
    pub(super) const fn minds_body(&self) -> bool {
        self.body_bytes_max.is_set() || self.body_line_max.is_set() || self.minds_declared()
    }

    /// Whether anything is asked of their headers.
    pub(super) const fn minds_header(&self) -> bool {
        self.header_bytes_max.is_set()
            || self.header_line_max.is_set()
            || self.header_fields_max.is_set()
            || self.size_assumed.is_set()
    }
}

impl Guard {
    /// Whether what comes next of a message is looked into, run by run.
    #[must_use]
    pub fn reads_message(&self, watch: &Watch) -> bool {
        let settings = &self.settings;
        let minds_header = || settings.minds_header() || self.header_plan().is_some();
        settings.minds_body() || (!watch.message.has(BODY) && minds_header())
    }

    fn header_plan(&self) -> Option<&Plan> {
        self.plan.as_ref().filter(|plan| plan.minds_headers())
    }

    /// Rules on more of a message, and says how much of it is header. In a message that DATA has
    /// begun dots are added.
    pub(super) fn look_into(
        &self,
        watch: &mut Watch,
        bytes: &[u8],
        has_dots: bool,
        draft: &mut Draft,
    ) -> (Ruling, usize) {
        if !self.reads_message(watch) {
            return (Ruling::Pass, 0);
        }
        let (plan, strikes) = (self.header_plan(), &mut draft.strikes);
        let mut look = Look { plan, strikes, before: 0, header: 0, met: None };
        let excess = watch.message.read(&self.settings, bytes, has_dots, &mut look);
        let (met, header) = (look.met, look.header);
        draft.place = met.map(|met| met.at);
        let ruling = match (excess, met) {
            (_, Some(Met { is_end: true, .. })) => Ruling::Reset(Rule::Patch),
            (Some(excess), _) => Ruling::Exceed(excess),
            (None, Some(_)) => Ruling::Note(Rule::Patch),
            (None, None) => Ruling::Pass,
        };
        (ruling, header)
    }
}

/// A whole line of a header.
struct Line<'a> {
    /// Without its end and without a dot that was added.
    text: &'a [u8],
    /// Whether a dot was added.
    has_dot: bool,
    is_crlf: bool,
    /// CRs in it that stand alone.
    lone: usize,
    /// All of its bytes.
    whole: usize,
    /// What its bytes may be, where it is short.
    marks: Option<Marks>,
}

impl<'a> Line<'a> {
    /// The first line, if it is whole here and without NULs; of long ones those without a CR that
    /// stands alone.
    #[inline]
    fn first(bytes: &'a [u8], has_dots: bool, marks: &ByByte<Marks>) -> Option<Self> {
        let (end, marks) = match marks.short_line(bytes) {
            Some((end, marks)) => (end, Some(marks)),
            None => (long_line(bytes)?, None),
        };
        if marks.is_some_and(Marks::have_nul) {
            return None;
        }
        let text = bytes.get(..end)?;
        let (text, is_crlf, lone) = if marks.is_some_and(|marks| !marks.have_cr()) {
            (text, false, 0)
        } else {
            let stripped = text.strip_suffix(b"\r");
            let is_crlf = stripped.is_some();
            let text = stripped.unwrap_or(text);
            let crs = text.iter().filter(|&&byte| byte == b'\r');
            let lone = if marks.is_some() { crs.count() } else { 0 };
            (text, is_crlf, lone)
        };
        let undotted = text.strip_prefix(b".").filter(|_| has_dots);
        let (has_dot, text) = (undotted.is_some(), undotted.unwrap_or(text));
        Some(Self { text, has_dot, is_crlf, lone, whole: end + 1, marks })
    }

    const fn is_empty(&self) -> bool {
        self.text.is_empty() && !self.has_dot
    }

    /// Whether a field begins with it.
    fn begins_field(&self) -> bool {
        self.text.first().is_some_and(|first| !is_wsp(*first))
    }

    /// What it counts among the bytes of the header, with its end.
    fn size(&self) -> usize {
        self.text.len() + usize::from(self.has_dot) + self.lone + 2
    }
}

/// Where a line ends that is whole here and holds no NUL, and no CR but at its end.
fn long_line(bytes: &[u8]) -> Option<usize> {
    let count = memchr::memchr3(b'\r', b'\n', 0, bytes)?;
    match bytes.get(count..)? {
        [b'\n', ..] => Some(count),
        [b'\r', b'\n', ..] => Some(count + 1),
        _ => None,
    }
}

/// How many bytes stand before the line's end, to which the last CR may belong. Few, where lines
/// are short: the vectorised search costs more than it saves there.
fn text_length(bytes: &[u8]) -> usize {
    let near = bytes.iter().take(NEAR).position(|&byte| byte == b'\n');
    let end = near.or_else(|| {
        let far = bytes.get(NEAR..)?;
        Some(NEAR + memchr::memchr(b'\n', far).unwrap_or(far.len()))
    });
    let text = bytes.get(..end.unwrap_or(bytes.len())).unwrap_or(bytes);
    text.strip_suffix(b"\r").unwrap_or(text).len()
}

/// Bytes that are looked at one by one first.
const NEAR: usize = 16;

/// In [`Message::told`]: the header has ended.
const BODY: u8 = 1 << 6;

/// In [`Message::told`]: a CR has come, and what it is is not known yet.
const CR: u8 = 1 << 7;

/// The rules whose limits may be only logged: by their place, the bits of [`Message::told`].
const TOLD: [Rule; 5] =
    [Rule::HeaderBytes, Rule::HeaderLine, Rule::HeaderFields, Rule::BodyBytes, Rule::BodyLine];

#[cfg(test)]
mod tests;
