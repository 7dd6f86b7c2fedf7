//! How urgent an entry is (RFC 3164 4.1.1).

use crate::engine::{Message, Record, TlsEvent, What};
use crate::guard::{Action, Row, Rule};

/// The severity of an entry, by its message where a PIX or an ASA had one.
pub(super) fn severity(record: &Record) -> u8 {
    record.message.map_or_else(|| of_ours(&record.what), of_theirs)
}

/// What their messages have in their numbers.
const fn of_theirs(message: Message) -> u8 {
    match message {
        Message::MaliciousAddress | Message::Replaced { .. } => CRITICAL,
        Message::Terminated { is_guide: true, .. } => ERROR,
        Message::Terminated { is_guide: false, .. }
        | Message::Met(Row {
            action: Action::DropConnection | Action::Mask | Action::Reset, ..
        }) => WARNING,
        Message::Met(Row { action: Action::Log, .. })
        | Message::SpecialCharacter
        | Message::TlsStarted => INFORMATIONAL,
        Message::LargerThanDeclared => DEBUG,
    }
}

/// Those of entries for which neither had one.
fn of_ours(what: &What) -> u8 {
    match what {
        What::Edited { rule: Rule::Banner | Rule::EhloKeyword, .. } => INFORMATIONAL,
        What::Dropped { reason, .. } | What::Cut { reason, .. } if reason.is_repeated_by_tcp() => {
            INFORMATIONAL
        }
        What::Edited { .. }
        | What::Dropped { .. }
        | What::Cut { .. }
        | What::Reset { .. }
        | What::Alarm { .. }
        | What::Exceeded { .. }
        | What::Contradiction { .. }
        | What::Unshown { .. }
        | What::LeftOut { .. }
        | What::Tls(TlsEvent::Failed { .. } | TlsEvent::Alarm { .. } | TlsEvent::Rule { .. })
        | What::Noticed { .. } => WARNING,
        What::Opened
        | What::Banner { .. }
        | What::Command { .. }
        | What::Reply { .. }
        | What::DataBegin { .. }
        | What::DataEnd { .. }
        | What::Missed { .. }
        | What::Tls(TlsEvent::Begin { .. } | TlsEvent::Agreed { .. } | TlsEvent::End { .. })
        | What::Closed => INFORMATIONAL,
    }
}

const CRITICAL: u8 = 2;
const ERROR: u8 = 3;
pub(super) const WARNING: u8 = 4;
const INFORMATIONAL: u8 = 6;
const DEBUG: u8 = 7;
