//! One flow as rows to be drawn, what left beside what came, and a sentence for each thing that was
//! done about it.
//!
//! A sentence says nothing that the bytes do not show: that something left is known from the
//! packets that went on, and not from what was meant to be done.

use crate::engine::{TlsEvent, What};
use crate::event::{self, side};
use crate::flow::Direction;
use crate::patch::Id;
use crate::speaker::Speaker;

use super::story::{Share, Tale};

/// A flow, ready to be drawn.
#[derive(Debug, Default)]
pub(super) struct Account {
    pub(super) rows: Vec<Row>,
    pub(super) notes: Vec<Note>,
}

/// A line of the dialogue, or something else that happened there.
#[derive(Debug)]
pub(super) struct Row {
    /// Whose bytes.
    pub(super) direction: Option<Direction>,
    /// Where they begin in their stream.
    pub(super) offset: Option<u64>,
    pub(super) came: Cell,
    pub(super) left: Cell,
    /// The sentences about it, by their numbers.
    pub(super) notes: Vec<usize>,
}

/// What stands in one column.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Cell {
    /// Bytes of a line, which may be the beginning of so many.
    Bytes(Vec<u8>, u64),
    /// What is said in their place.
    Words(String),
}

/// A sentence about the bytes, and the word of the log that it explains.
#[derive(Debug)]
pub(super) struct Note {
    pub(super) claim: String,
    pub(super) cause: Option<&'static str>,
    pub(super) patches: Vec<Id>,
}

/// An account under way.
struct Teller<'t, 's> {
    tale: &'t Tale<'s>,
    account: Account,
    /// The message under way: its row, and where it begins.
    message: Option<(usize, u64)>,
    /// Whether what is told of that message leaves its text in doubt.
    is_doubtful: bool,
}

impl Account {
    /// What there is to say of a flow.
    pub(super) fn of(tale: &Tale<'_>) -> Self {
        let mut teller =
            Teller { tale, account: Self::default(), message: None, is_doubtful: false };
        let mut entries = tale.entries.as_slice();
        while let [what, rest @ ..] = entries {
            entries = rest;
            if let Some((offset, length)) = line(what) {
                let behind = offset.saturating_add(length).saturating_add(2);
                let own = |next: &&What| is_edit_within(next, direction_of(what), offset..behind);
                let edits = rest.iter().take_while(own).count();
                let (edits, rest) = rest.split_at_checked(edits).unwrap_or((rest, &[]));
                teller.tell_line(what, edits);
                entries = rest;
            } else {
                teller.tell(what);
            }
        }
        teller.account
    }
}

/// Offset and length of an entry's line.
fn line(what: &What) -> Option<(u64, u64)> {
    #[expect(clippy::wildcard_enum_match_arm, reason = "the others show no line")]
    match what {
        What::Banner { offset, length, .. }
        | What::Command { offset, length, .. }
        | What::Reply { offset, length, .. } => Some((*offset, *length)),
        _ => None,
    }
}

fn direction_of(what: &What) -> Direction {
    if matches!(what, What::Command { .. }) { Direction::Original } else { Direction::Reply }
}

fn is_edit_within(what: &What, way: Direction, range: std::ops::Range<u64>) -> bool {
    #[expect(clippy::wildcard_enum_match_arm, reason = "the others change nothing")]
    match what {
        What::Edited { direction, offset, .. } | What::Unshown { direction, offset, .. } => {
            *direction == way && range.contains(offset)
        }
        _ => false,
    }
}

/// Bytes in quotation marks; what is missing behind them is said in a way that none can imitate.
fn quoted(bytes: &[u8], length: u64) -> String {
    format!("\"{}\"", event::quote(bytes, length))
}

/// `byte 7`, or `bytes 7 to 9`.
fn place(offset: u64, length: u64) -> String {
    match length {
        0 | 1 => format!("byte {offset}"),
        more => format!("bytes {offset} to {}", offset.saturating_add(more).saturating_sub(1)),
    }
}

impl Teller<'_, '_> {
    fn is_watched(&self) -> bool {
        self.tale.terms.is_monitored
    }

    fn share(&self, direction: Direction, offset: u64, length: u64) -> Share {
        self.tale.lanes[direction].share(offset, length)
    }

    /// A line, and the edits that were made in it.
    fn tell_line(&mut self, what: &What, edits: &[What]) {
        let (What::Banner { offset, line, length }
        | What::Command { offset, line, length }
        | What::Reply { offset, line, length }) = what
        else {
            return;
        };
        let direction = direction_of(what);
        let left = self.left(direction, (*offset, line, *length), edits);
        self.account.rows.push(Row {
            direction: Some(direction),
            offset: Some(*offset),
            came: Cell::Bytes(line.clone(), *length),
            left,
            notes: Vec::new(),
        });
        for edit in edits {
            self.note(edit);
        }
    }

    /// What of a line left, and as what. The first byte of its end counts with it: what waits for
    /// that has not been said yet.
    fn left(
        &self,
        direction: Direction,
        (offset, line, length): (u64, &[u8], u64),
        edits: &[What],
    ) -> Cell {
        match self.share(direction, offset, length.saturating_add(1)) {
            Share::Nothing => return Cell::Words("(did not leave)".to_owned()),
            Share::Part => return Cell::Words("(left in part)".to_owned()),
            Share::Whole => {}
        }
        let mut left = line.to_vec();
        let mut known = left.len();
        for edit in edits {
            let at = |place: u64| usize::try_from(place.saturating_sub(offset)).unwrap_or(known);
            #[expect(clippy::wildcard_enum_match_arm, reason = "an edit is one of these")]
            match edit {
                What::Edited { offset, after, length, .. } => {
                    let start = at(*offset);
                    let places = left.iter_mut().skip(start);
                    places.zip(after).for_each(|(place, byte)| *place = *byte);
                    if *length > after.len() as u64 {
                        known = known.min(start.saturating_add(after.len()));
                    }
                }
                What::Unshown { offset, .. } => known = known.min(at(*offset)),
                _ => {}
            }
        }
        left.truncate(known);
        if self.is_watched() || left == line {
            return Cell::Words("(as it came)".to_owned());
        }
        Cell::Bytes(left, length)
    }

    /// Anything but a line.
    fn tell(&mut self, what: &What) {
        #[expect(clippy::wildcard_enum_match_arm, reason = "the others are told alike")]
        match what {
            What::Opened | What::Closed => {}
            What::DataBegin { offset } => {
                self.message = Some((self.account.rows.len(), *offset));
                self.is_doubtful = false;
                let words = "(a message begins)".to_owned();
                self.row(Some(Direction::Original), Some(*offset), Cell::Words(words));
            }
            What::DataEnd { offset, length } => self.end_message(*offset, *length),
            What::Edited { direction, offset, before, after, length, .. } => {
                if !self.is_of_message(*direction, *offset) {
                    let came = Cell::Bytes(before.clone(), *length);
                    self.row(Some(*direction), Some(*offset), came);
                    let is_whole = self.share(*direction, *offset, *length) == Share::Whole;
                    let has_changed = is_whole && !self.is_watched() && before != after;
                    if let (true, Some(row)) = (has_changed, self.account.rows.last_mut()) {
                        row.left = Cell::Bytes(after.clone(), *length);
                    }
                }
                self.note(what);
            }
            _ => {
                self.is_doubtful |= matches!(what, What::Alarm { .. } | What::Missed { .. });
                self.row(None, None, Cell::Words(format!("({})", brief(what))));
                self.note(what);
            }
        }
    }

    fn row(&mut self, direction: Option<Direction>, offset: Option<u64>, came: Cell) {
        let (left, notes) = (Cell::Words(String::new()), Vec::new());
        self.account.rows.push(Row { direction, offset, came, left, notes });
    }

    fn is_of_message(&self, direction: Direction, offset: u64) -> bool {
        direction == Direction::Original && self.message.is_some_and(|(_, begin)| begin <= offset)
    }

    fn end_message(&mut self, end: u64, length: u64) {
        let Some((index, begin)) = self.message.take() else { return };
        let is_watched = self.is_watched();
        let share = self.share(Direction::Original, begin, end.saturating_sub(begin));
        let Some(row) = self.account.rows.get_mut(index) else { return };
        row.came = Cell::Words(format!("(message data, {})", event::bytes(length)));
        let left = match share {
            Share::Nothing => "(did not leave)",
            Share::Part => "(left in part)",
            Share::Whole if is_watched => "(as it came)",
            Share::Whole if self.is_doubtful => "(see what is said of it)",
            Share::Whole if row.notes.is_empty() => "(as it came)",
            Share::Whole => "(left changed)",
        };
        row.left = Cell::Words(left.to_owned());
    }

    /// A sentence about this entry, beside the row that it belongs to.
    fn note(&mut self, what: &What) {
        let (cause, patches) = cause_of(what);
        let claim = self.claim(what);
        self.account.notes.push(Note { claim, cause, patches });
        let number = self.account.notes.len();
        let is_of_message = matches!(what,
            What::Edited { direction, offset, .. } | What::Unshown { direction, offset, .. }
            if self.is_of_message(*direction, *offset));
        let message = self.message.filter(|_| is_of_message).map(|(index, _)| index);
        let index = message.unwrap_or_else(|| self.account.rows.len().saturating_sub(1));
        if let Some(row) = self.account.rows.get_mut(index) {
            row.notes.push(number);
        }
    }

    /// What happened, in a sentence.
    fn claim(&self, what: &What) -> String {
        match what {
            What::Edited { .. } => self.claim_edit(what),
            What::Unshown { direction, offset, bytes, .. } => format!(
                "From byte {offset} of the {}'s stream on, edits of {} are not shown.",
                side(*direction),
                event::bytes(*bytes)
            ),
            What::Dropped { .. } | What::Cut { .. } => self.claim_packet(what),
            What::Missed { direction, length } => format!(
                "{} of the {} could not be judged, and what follows is uncertain.",
                event::bytes(*length),
                side(*direction)
            ),
            What::Reset { .. } if self.is_watched() => {
                "Both ends would have been reset.".to_owned()
            }
            What::Reset { .. } => "Both ends were reset.".to_owned(),
            What::Alarm { direction, offset, .. } => {
                format!("At byte {offset} of the {}'s stream: an alarm.", side(*direction))
            }
            What::Contradiction { direction, offset } => format!(
                "Two copies of the {}'s bytes differ, at byte {offset} or behind it.",
                side(*direction)
            ),
            What::Exceeded { direction, offset, excess } => format!(
                "At byte {offset} of the {}'s stream {} was counted where {} is the limit.",
                side(*direction),
                excess.count,
                excess.limit
            ),
            What::LeftOut { entries } => format!(
                "{} about this connection {} missing here.",
                if *entries == 1 { "1 entry".to_owned() } else { format!("{entries} entries") },
                if *entries == 1 { "is" } else { "are" }
            ),
            What::Tls(event) => claim_tls(event),
            What::Noticed { direction, .. } => {
                format!("Something worth knowing in what the {} said.", side(*direction))
            }
            What::Opened
            | What::Banner { .. }
            | What::Command { .. }
            | What::Reply { .. }
            | What::DataBegin { .. }
            | What::DataEnd { .. }
            | What::Closed => String::new(),
        }
    }

    /// What became of a packet.
    fn claim_packet(&self, what: &What) -> String {
        let would = if self.is_watched() { "would have been" } else { "was" };
        #[expect(
            clippy::wildcard_enum_match_arm,
            reason = "only what speaks of packets comes here"
        )]
        match what {
            What::Dropped { direction, offset, length, .. } => {
                let (side, bytes) = (side(*direction), event::bytes(*length));
                match (*length, *offset) {
                    (0, _) => format!("A packet of the {side} without payload {would} dropped."),
                    // Offset 0 also stands for a place that is in no stream.
                    (_, 0) => format!("A packet of the {side} with {bytes} {would} dropped."),
                    (length, offset) => format!(
                        "A packet of the {side} with {}, {bytes} in all, {would} dropped.{}",
                        place(offset, length),
                        self.fate(*direction, offset, length)
                    ),
                }
            }
            What::Cut { direction, offset, length, .. } => format!(
                "The end of a packet of the {}, {}, {would} held back.{}",
                side(*direction),
                place(*offset, *length),
                self.fate(*direction, *offset, *length)
            ),
            _ => String::new(),
        }
    }

    fn claim_edit(&self, what: &What) -> String {
        let What::Edited { direction, offset, before, after, length, .. } = what else {
            return String::new();
        };
        if *length == 0 {
            // Only the line's end showed what was looked for, and the log leaves line ends out.
            let has_left = self.share(*direction, *offset, 1) == Share::Whole;
            let fate = if has_left { "left as it came" } else { "did not leave" };
            let side = side(*direction);
            return format!("The end of the {side}'s line, byte {offset}, was noted, and {fate}.");
        }
        let bytes = place(*offset, *length);
        let came = format!("The {}'s {bytes}, {},", side(*direction), quoted(before, *length));
        let as_what = quoted(after, *length);
        match self.share(*direction, *offset, *length) {
            Share::Whole if before == after => format!("{came} were noted, and left as they came."),
            _ if before == after => format!("{came} were noted, and did not all leave."),
            _ if self.is_watched() => format!("{came} would have left as {as_what}."),
            Share::Whole => format!("{came} left as {as_what}."),
            Share::Part => format!("{came} became {as_what}, of which a part left."),
            Share::Nothing => format!("{came} became {as_what}, of which nothing left."),
        }
    }

    /// What became of bytes that a packet did not bring on.
    fn fate(&self, direction: Direction, offset: u64, length: u64) -> &'static str {
        match self.share(direction, offset, length) {
            _ if self.is_watched() => "",
            Share::Whole => " These bytes left in another packet.",
            Share::Part => " A part of these bytes left in another packet.",
            Share::Nothing => " These bytes never left.",
        }
    }
}

/// What was seen of TLS, in a sentence.
fn claim_tls(event: &TlsEvent) -> String {
    match event {
        TlsEvent::Begin { .. } => "The client began to speak TLS.".to_owned(),
        TlsEvent::Agreed { .. } => "The server answered in TLS.".to_owned(),
        TlsEvent::Failed { .. } => "TLS came to nothing.".to_owned(),
        TlsEvent::End { volume, .. } => format!(
            "TLS ended, behind {} of the client and {} of the server in its records.",
            event::bytes(volume[Speaker::Client].bytes),
            event::bytes(volume[Speaker::Server].bytes)
        ),
        TlsEvent::Alarm { direction, offset, .. } => {
            format!("At byte {offset} of the {}'s stream: an alarm.", side(*direction))
        }
        TlsEvent::Rule { .. } => "A hello of TLS breaks a rule.".to_owned(),
    }
}

/// A few words for the row of an entry.
fn brief(what: &What) -> &'static str {
    match what {
        What::Dropped { .. } => "a packet was dropped",
        What::Cut { .. } => "a packet was cut short",
        What::Missed { .. } => "bytes are missing",
        What::Reset { .. } => "both ends reset",
        What::Alarm { .. } | What::Contradiction { .. } | What::Tls(TlsEvent::Alarm { .. }) => {
            "an alarm"
        }
        What::Exceeded { .. } => "a limit was passed",
        What::LeftOut { .. } => "entries are missing",
        What::Unshown { .. } => "edits are not shown",
        What::Tls(TlsEvent::Begin { .. }) => "TLS begins",
        What::Tls(TlsEvent::Agreed { .. }) => "TLS is agreed on",
        What::Tls(TlsEvent::Failed { .. }) => "TLS failed",
        What::Tls(TlsEvent::End { .. }) => "TLS ends",
        What::Tls(TlsEvent::Rule { .. }) => "a rule was broken",
        What::Noticed { .. } => "a notice",
        What::Opened
        | What::Banner { .. }
        | What::Command { .. }
        | What::Reply { .. }
        | What::DataBegin { .. }
        | What::DataEnd { .. }
        | What::Edited { .. }
        | What::Closed => "",
    }
}

/// The word of the log for it, and the patches that it names.
fn cause_of(what: &What) -> (Option<&'static str>, Vec<Id>) {
    let patches =
        if let What::Edited { patches, .. } = what { patches.clone() } else { Vec::new() };
    let is_its_own = matches!(
        what,
        What::LeftOut { .. }
            | What::Missed { .. }
            | What::Tls(TlsEvent::Begin { .. } | TlsEvent::Failed { .. })
    );
    (what.cause().or_else(|| is_its_own.then(|| what.name())), patches)
}
