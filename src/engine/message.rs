//! What of an entry a PIX or an ASA had a message for.
//!
//! It is said here, where the settings of the flow are at hand: only a flow that follows one of
//! them has its messages, and only where it would have written them. Their numbers, severities
//! and words stand with the writers.

use super::{Reason, TlsEvent, What};
use crate::guard::{AddressScan, LongLines, Row, Rule, Settings, StartTls, SyslogNames};
use crate::smtp::Verb;

/// The message of a PIX or an ASA that an entry is written as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Message {
    /// Characters of an address became spaces (108002).
    Replaced {
        /// Whether it is an ASA that says so.
        is_asa: bool,
    },
    /// An address holds a pattern for which the flow ends (108003).
    MaliciousAddress,
    /// A row of the policy map was met (108004, or 108005 where it only logs).
    Met(Row),
    /// An address has a special character, which only logs (108005).
    SpecialCharacter,
    /// A message is larger than its MAIL has said (108006).
    LargerThanDeclared,
    /// TLS has begun, and an ASA would look at nothing from here on (108007).
    TlsStarted,
    /// A row of the policy map has ended the flow (507003).
    Terminated {
        /// Which.
        row: Row,
        /// Whether it is as urgent as today's guide says.
        is_guide: bool,
    },
}

impl Message {
    /// The one for an entry of a flow under these settings.
    #[expect(clippy::wildcard_enum_match_arm, reason = "they had messages for little")]
    pub(super) fn of(what: &What, settings: &Settings) -> Option<Self> {
        let names = settings.syslog_names;
        match what {
            _ if names == SyslogNames::Own => None,
            What::Edited { rule: Rule::Address, .. } => match settings.address_scan {
                AddressScan::Replace => Some(Self::Replaced { is_asa: names.is_asa() }),
                AddressScan::Log => names.is_asa().then_some(Self::SpecialCharacter),
                AddressScan::Off | AddressScan::Refuse => None,
            },
            What::Edited { rule: Rule::Patch, patches, .. } => {
                let ends = patches.iter().any(|id| settings.patches.ends_addresses(id));
                (names.is_asa() && ends).then_some(Self::MaliciousAddress)
            }
            // Whether that one is masked says `allow-tls`, and no row of the map.
            What::Edited { rule: Rule::EhloKeyword, before, .. }
                if before.starts_with(Verb::StartTls.name().as_bytes()) =>
            {
                None
            }
            What::Edited { rule: Rule::EhloKeyword, .. } => {
                settings.row_of(Rule::EhloKeyword).map(Self::Met)
            }
            What::Exceeded { excess, .. } if excess.rule == Rule::DeclaredSize => {
                Some(Self::LargerThanDeclared)
            }
            What::Exceeded { excess, .. } => settings.row_met(excess).map(Self::Met),
            // Which of two limits on lines it was is not known any more.
            What::Reset { reason: Reason::Rule(Rule::LongLine) }
                if settings.long_lines == LongLines::Reset =>
            {
                None
            }
            What::Reset { reason: Reason::Rule(rule) } => {
                let is_guide = names == SyslogNames::AsaGuide;
                settings.row_of(*rule).map(|row| Self::Terminated { row, is_guide })
            }
            What::Tls(TlsEvent::Begin { .. }) if names.is_asa() => {
                (settings.starttls == StartTls::AllowLog).then_some(Self::TlsStarted)
            }
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::flow::Direction;
    use crate::guard::Excess;

    fn settings(names: &str, changes: &[(&str, &str)]) -> Settings {
        let mut settings = Settings::profile("asa").unwrap();
        settings.set("syslog_names", names).unwrap();
        changes.iter().for_each(|(key, value)| settings.set(key, value).unwrap());
        settings
    }

    fn edited(rule: Rule, before: &[u8]) -> What {
        let (before, after, patches) = (before.to_vec(), Vec::new(), Vec::new());
        let direction = Direction::Reply;
        What::Edited { direction, offset: 0, rule, patches, before, after, length: 1 }
    }

    fn exceeded(rule: Rule) -> What {
        let excess = Excess { rule, count: 2, limit: 1, is_end: true };
        What::Exceeded { direction: Direction::Original, offset: 0, excess }
    }

    const fn reset(rule: Rule) -> What {
        What::Reset { reason: Reason::Rule(rule) }
    }

    fn names(message: Option<Message>) -> &'static str {
        match message {
            None => "",
            Some(Message::Replaced { is_asa: false }) => "replaced-pix",
            Some(Message::Replaced { is_asa: true }) => "replaced-asa",
            Some(Message::MaliciousAddress) => "malicious",
            Some(Message::Met(_)) => "met",
            Some(Message::SpecialCharacter) => "special",
            Some(Message::LargerThanDeclared) => "larger",
            Some(Message::TlsStarted) => "tls",
            Some(Message::Terminated { is_guide: true, .. }) => "terminated-3",
            Some(Message::Terminated { .. }) => "terminated-4",
        }
    }

    /// Settings, an entry, and its message by whose it is.
    type Row<'a> = (&'a [(&'a str, &'a str)], What, [&'a str; 4]);

    /// What each kind of names says of an entry: our own, a PIX's, an ASA's, and the guide's.
    #[test]
    fn an_entry_is_the_message_of_whom_it_is_written_for() {
        let begin = What::Tls(TlsEvent::Begin { offer: None });
        let replace = ("address_scan", "replace");
        let asa = |message: &'static str| ["", "", message, message];
        let map = ("asa_map", "ehlo-reply-parameter-others,cmd-rcpt-count,cmd-line-length");
        let ended = ["", "", "terminated-4", "terminated-3"];
        let replaced = ["", "replaced-pix", "replaced-asa", "replaced-asa"];
        let larger = ["", "larger", "larger", "larger"];
        let rows: [Row<'_>; 16] = [
            (&[replace], edited(Rule::Address, b"|"), replaced),
            (&[("address_scan", "log")], edited(Rule::Address, b"|"), asa("special")),
            (&[("address_scan", "refuse")], edited(Rule::Address, b"|"), asa("")),
            (&[replace], edited(Rule::Verb, b"|"), asa("")),
            (&[map], edited(Rule::EhloKeyword, b"STARTTLS"), asa("")),
            (&[map], edited(Rule::EhloKeyword, b"CHUNKING"), asa("met")),
            (&[map], exceeded(Rule::DeclaredSize), larger),
            (&[map], exceeded(Rule::IdleCommands), asa("")),
            (&[map], exceeded(Rule::Recipients), asa("met")),
            (&[map, ("long_lines", "reset")], reset(Rule::LongLine), asa("")),
            (&[map, ("long_lines", "pass")], reset(Rule::LongLine), ended),
            (&[map, ("long_lines", "reset")], reset(Rule::Recipients), ended),
            (&[map], reset(Rule::Patch), asa("")),
            (&[("starttls", "allow log")], begin.clone(), asa("tls")),
            (&[("starttls", "allow")], begin, asa("")),
            (&[map], What::Closed, asa("")),
        ];
        for (changes, what, expected) in rows {
            let found = ["own", "pix", "asa", "asa-guide"]
                .map(|named| names(Message::of(&what, &settings(named, changes))));
            assert_eq!(found, expected, "{changes:?} {what:?}");
        }
    }
}
