//! The syslog format: the messages that PIX and ASA wrote, dated as with `logging timestamp`.
//!
//! | entry | message |
//! |---|---|
//! | edit of an address, a verb, a command line or a message | 108002, with the bytes that came |
//! | edit of a keyword in the answer to EHLO | 108004, `Masked header flags for` |
//! | edit that changes nothing: a rule that only logs | 108005 |
//! | drop of what the inspection refuses | 108004, `Dropped` |
//! | reset | 108004, `Reset connection for` |
//! | drop in a flow that was reset or never let in | 507003 |
//! | alarm | 108005 |
//! | TLS begins | 108007 |
//!
//! Entries for which the original had no message are not written: connections, lines, data, a
//! masked banner (it was masked in silence), what TCP sends again by itself. Nor is 108003, for
//! no rule ends a connection because of an address. What a setting asks for is an `ESMTP
//! Parameter`, what the traffic itself is, an `ESMTP Classification`. The end that opened the flow
//! is called outside, the other inside.

use crate::engine::{Reason, Record, What};
use crate::flow::{Direction, Endpoint};
use crate::guard::Rule;
use crate::smtp::Fault;

use super::{Zone, escaped, zoned};

/// Appends one line, or nothing.
pub(super) fn write(record: &Record, zone: Zone, out: &mut Vec<u8>) {
    if let Some(message) = describe(record) {
        let at = zoned(record.at, zone);
        let line = format!("{}: %ASA-{message}\n", at.strftime("%b %d %Y %H:%M:%S"));
        out.extend_from_slice(line.as_bytes());
    }
}

/// Severity, number and text.
fn describe(record: &Record) -> Option<String> {
    Some(match &record.what {
        What::Edited { rule: Rule::Banner, .. } => return None,
        What::Edited { direction, rule, before, after, .. } if before == after => {
            matched("6-108005", "Received", &route(record, *direction), rule.name())
        }
        What::Edited { direction, rule: rule @ Rule::EhloKeyword, .. } => {
            let route = route(record, *direction);
            matched("4-108004", "Masked header flags for", &route, rule.name())
        }
        What::Edited { before, .. } => format!(
            "2-108002: SMTP replaced string: out {} in {} data: {}",
            record.originator.address,
            record.responder.address,
            escaped(before)
        ),
        What::Dropped { direction, reason, .. } => match fate(*reason) {
            Fate::Repeated => return None,
            Fate::Terminated => {
                let (client, server) = ends(record);
                format!(
                    "4-507003: tcp flow from {client} to {server} terminated by inspection \
                     engine, reason - inspector disconnected, dropped packet."
                )
            }
            Fate::Dropped => refused("Dropped", &route(record, *direction), *reason),
        },
        What::Reset { reason } => {
            refused("Reset connection for", &route(record, culprit(*reason)), *reason)
        }
        What::Alarm { direction, fault, .. } => {
            matched("6-108005", "Received", &route(record, *direction), fault.name())
        }
        What::TlsBegin => {
            let (client, server) = ends(record);
            format!(
                "6-108007: TLS started on ESMTP session between client {client} and server {server}"
            )
        }
        What::Opened
        | What::Banner { .. }
        | What::Command { .. }
        | What::Reply { .. }
        | What::DataBegin { .. }
        | What::DataEnd { .. }
        | What::Cut { .. }
        | What::Closed => return None,
    })
}

/// What the traffic itself is.
fn matched(number: &str, action: &str, route: &str, class: &str) -> String {
    format!("{number}: ESMTP Classification: {action} {route}; matched {class}")
}

fn refused(action: &str, route: &str, reason: Reason) -> String {
    match reason {
        Reason::SplitTerminator => format!(
            "4-108004: ESMTP Parameter: {action} {route}; {}: End of data in two segments",
            reason.name()
        ),
        Reason::Malformed(_)
        | Reason::Violation(_)
        | Reason::Fault(_)
        | Reason::Rule(_)
        | Reason::AwaitingReply
        | Reason::EarlyBytes
        | Reason::FlowReset
        | Reason::FlowsFull
        | Reason::UnknownFlow
        | Reason::WrongInterface => matched("4-108004", action, route, reason.name()),
    }
}

/// What a drop means for its flow.
enum Fate {
    /// The packet is refused for good, the flow goes on.
    Dropped,
    /// TCP sends it again, and then it may pass.
    Repeated,
    /// The flow is over, or never began.
    Terminated,
}

const fn fate(reason: Reason) -> Fate {
    match reason {
        _ if reason.is_repeated_by_tcp() => Fate::Repeated,
        // A reset comes before these.
        Reason::Fault(_) | Reason::Rule(_) | Reason::EarlyBytes | Reason::FlowReset => {
            Fate::Terminated
        }
        Reason::FlowsFull | Reason::UnknownFlow | Reason::WrongInterface => Fate::Terminated,
        Reason::Malformed(_)
        | Reason::Violation(_)
        | Reason::AwaitingReply
        | Reason::SplitTerminator => Fate::Dropped,
    }
}

/// Whose bytes a flow was reset for.
const fn culprit(reason: Reason) -> Direction {
    match reason {
        Reason::Fault(
            Fault::UnexpectedReply
            | Fault::MalformedReply
            | Fault::ReplyInsideData
            | Fault::SkippedReply
            | Fault::EndedEarly
            | Fault::RefusedChunk
            | Fault::LateData
            | Fault::UnaskedData,
        ) => Direction::Reply,
        Reason::Fault(Fault::PlaintextForTls | Fault::DoubtfulChunk | Fault::BarredChunk)
        | Reason::Rule(_)
        | Reason::Malformed(_)
        | Reason::Violation(_)
        | Reason::AwaitingReply
        | Reason::SplitTerminator
        | Reason::EarlyBytes
        | Reason::FlowReset
        | Reason::FlowsFull
        | Reason::UnknownFlow
        | Reason::WrongInterface => Direction::Original,
    }
}

/// `ESMTP Request from outside:192.0.2.1/40000 to inside:198.51.100.25/25`.
fn route(record: &Record, direction: Direction) -> String {
    let (client, server) = ends(record);
    match direction {
        Direction::Original => format!("ESMTP Request from {client} to {server}"),
        Direction::Reply => format!("ESMTP Response from {server} to {client}"),
    }
}

/// An end behind its interface, as the original wrote it.
fn place(interface: &str, end: Endpoint) -> String {
    format!("{interface}:{}/{}", end.address, end.port)
}

/// The end that opened the flow, and the other.
fn ends(record: &Record) -> (String, String) {
    (place("outside", record.originator), place("inside", record.responder))
}
