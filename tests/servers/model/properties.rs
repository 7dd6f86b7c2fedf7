//! What must hold for every dialogue. What is not asked of some is in `limits`.
//!
//! * P1: the server runs nothing that the policy refuses; what it would hang up on it hangs up on;
//!   the offers it must not make do not arrive.
//! * P2: a message's text never runs, and is stored as it was sent, once.
//! * P3: an honest session ends, and with a server that keeps to the protocol nothing changes.
//! * P4: no panic, one verdict for each packet, memory and counters right: asserted in `wire`.

use super::dialogue::{Client, Dialogue, Policy};
use super::end::{CLIENT, SERVER};
use super::honest::{Honest, Part};
use super::limits;
use super::server::{Ran, Server};
use super::text;
use super::trace::shown;

/// What did not hold.
#[derive(Clone, Debug)]
pub struct Violation {
    pub property: &'static str,
    pub what: String,
}

/// Bytes shown before a line that should not have been run.
const CONTEXT: usize = 120;

/// RFC 821 4.5.1's minimum.
const SEVEN: [&str; 7] = ["HELO", "MAIL", "RCPT", "DATA", "RSET", "NOOP", "QUIT"];

/// What `esmtp` permits beside them.
const MORE: [&str; 10] =
    ["AUTH", "BDAT", "EHLO", "ETRN", "HELP", "SAML", "SEND", "SOML", "STARTTLS", "VRFY"];

fn permits(policy: Policy, verb: &str) -> bool {
    let is_more = policy.profile == "esmtp" && MORE.contains(&verb);
    SEVEN.contains(&verb) || (is_more && !(verb == "STARTTLS" && policy.strips_tls))
}

/// The first property that does not hold.
pub fn check(dialogue: &Dialogue) -> Result<(), Violation> {
    runs_what_is_permitted(dialogue)?;
    keeps_its_guard(dialogue)?;
    if let Client::Honest(client) = &dialogue.client {
        offers_what_is_permitted(dialogue)?;
        text_never_runs(dialogue)?;
        stores_what_was_sent(dialogue, client)?;
        session_ends(dialogue, client)?;
        if dialogue.server.variant.is_proper() {
            if !limits::may_lose_place(dialogue, client) {
                nothing_changes(dialogue, client)?;
            }
            replies_stay(dialogue)?;
        }
    }
    Ok(())
}

fn fail(property: &'static str, what: impl FnOnce() -> String) -> Result<(), Violation> {
    Err(Violation { property, what: what() })
}

fn runs_what_is_permitted(dialogue: &Dialogue) -> Result<(), Violation> {
    let is_wrong = |verb, at| !permits(dialogue.policy, verb) && !limits::may_run(dialogue, at);
    let wrong = dialogue.server.ran.iter().find(|ran| is_wrong(ran.verb, ran.at));
    wrong.map_or(Ok(()), |ran| fail("P1 refused verb", || context(dialogue, ran)))
}

/// A server that hangs up on a word of HTTP runs nothing behind it with the filter in between.
fn keeps_its_guard(dialogue: &Dialogue) -> Result<(), Violation> {
    let Client::Adversary(client) = &dialogue.client else { return Ok(()) };
    if !client.is_http || client.is_lying {
        return Ok(());
    }
    let mut alone = Server::new(dialogue.server.variant.clone());
    alone.hear(&client.said);
    let Some(at) = alone.guarded_at else { return Ok(()) };
    let wrong = dialogue.server.ran.iter().find(|ran| ran.at > at);
    wrong.map_or(Ok(()), |ran| fail("P1 guard", || context(dialogue, ran)))
}

fn offers_what_is_permitted(dialogue: &Dialogue) -> Result<(), Violation> {
    if dialogue.policy.profile != "esmtp" || limits::may_mistake_offers(dialogue) {
        return Ok(());
    }
    let breached_at = dialogue.server.breached_at.unwrap_or(usize::MAX);
    for range in dialogue.server.offers.iter().filter(|range| !range.contains(&breached_at)) {
        let left = left_of(dialogue, SERVER);
        let arrived = left.get(range.start..range.end.min(left.len())).unwrap_or_default();
        let has = |word: &[u8]| arrived.windows(word.len()).any(|window| window == word);
        if has(b"XCLIENT") || (dialogue.policy.strips_tls && has(b"STARTTLS")) {
            return fail("P1 offer", || shown(arrived));
        }
    }
    Ok(())
}

fn text_never_runs(dialogue: &Dialogue) -> Result<(), Violation> {
    let has_mark = |line: &[u8]| line.windows(text::MARK.len()).any(|part| part == text::MARK);
    let mut ran = dialogue.server.ran.iter();
    let wrong = ran.find(|ran| has_mark(&ran.line) && !limits::may_run(dialogue, ran.at));
    wrong.map_or(Ok(()), |ran| fail("P2 text runs", || context(dialogue, ran)))
}

fn stores_what_was_sent(dialogue: &Dialogue, client: &Honest) -> Result<(), Violation> {
    let server = &dialogue.server;
    if limits::may_store_otherwise(&server.variant) {
        return Ok(());
    }
    let mut counts = vec![0; client.messages.len()];
    for stored in server.stored.iter().filter(|stored| *stored != b".\r\n") {
        let is_it = |&index: &usize| {
            let message = &client.messages[index];
            let end: &[u8] = if message.by_chunks { b"" } else { b".\r\n" };
            counts[index] == 0
                && is_same(&[&message.text, end].concat(), stored, !message.by_chunks)
        };
        // Two messages may have one text: it is the one that was taken, if one was.
        let taken = (0..counts.len()).filter(|&index| client.messages[index].is_taken);
        match taken.chain(0..counts.len()).find(is_it) {
            Some(index) => counts[index] += 1,
            None => return fail("P2 stored otherwise", || shown(stored)),
        }
    }
    let is_settled = server.variant.is_proper() && !dialogue.wire.is_reset && client.is_content;
    for (message, count) in client.messages.iter().zip(counts) {
        if is_settled && message.is_taken != (count == 1) {
            let what = if message.is_taken { "taken" } else { "not taken" };
            return fail("P2 stored once", || format!("{what}: {}", shown(&message.text)));
        }
    }
    Ok(())
}

/// Whether one text became the other by no more than the neutralising of false ends.
fn is_same(sent: &[u8], stored: &[u8], is_neutralised: bool) -> bool {
    sent.len() == stored.len()
        && (0..sent.len()).all(|at| {
            sent[at] == stored[at]
                || (is_neutralised && stored[at] == b'X' && text::may_differ(sent, at))
        })
}

fn session_ends(dialogue: &Dialogue, client: &Honest) -> Result<(), Violation> {
    let variant = &dialogue.server.variant;
    if dialogue.has_stalled && !limits::may_starve(dialogue, client) {
        return fail("P3 stalled", || format!("{:?} on {:?}", variant.breach, variant.breach_on));
    }
    if !variant.is_proper() || limits::may_lose_place(dialogue, client) {
        return Ok(());
    }
    if dialogue.wire.is_reset {
        return fail("P3 reset", || format!("{:?}", client.manner));
    }
    if !client.is_tls() && (dialogue.has_waited || !client.is_content) {
        return fail("P3 discontent", || format!("{:?}", client.manner));
    }
    Ok(())
}

/// What the server got is what the client said, but for refused lines and false ends.
fn nothing_changes(dialogue: &Dialogue, client: &Honest) -> Result<(), Violation> {
    let left = left_of(dialogue, CLIENT);
    let ends = client.parts.iter().skip(1).map(|&(at, _)| at).chain([client.said.len()]);
    for (&(start, part), end) in client.parts.iter().zip(ends) {
        let sent = &client.said[start..end];
        let Some(got) = left.get(start..end.min(left.len())) else { break };
        let is_right = match part {
            Part::Command(verb)
                if !permits(dialogue.policy, verb)
                    || limits::may_bar(&dialogue.server, verb, start as u64) =>
            {
                sent.iter().zip(got).all(|(&from, &to)| from == to || (from > b'\r' && to == b'X'))
            }
            Part::Text => is_same(&sent[..got.len()], got, true),
            Part::Command(_) | Part::Secret | Part::Octets | Part::Tls => sent[..got.len()] == *got,
        };
        if !is_right {
            return fail("P3 changed", || format!("{} -> {}", shown(sent), shown(got)));
        }
    }
    Ok(())
}

/// Replies arrive as they were said: of the greeting and of offers the text may change, if they
/// are no refusals.
fn replies_stay(dialogue: &Dialogue) -> Result<(), Violation> {
    let server = &dialogue.server;
    let left = left_of(dialogue, SERVER);
    let mut at = 0;
    for line in server.said.split_inclusive(|&byte| byte == b'\n') {
        let range = at..at + line.len();
        at = range.end;
        let Some(got) = left.get(range.clone()) else { break };
        let is_offer = server.offers.iter().any(|offer| offer.contains(&range.start));
        let is_masked = (range.start < server.greeting_end && line.starts_with(b"220"))
            || (is_offer && line.starts_with(b"250"));
        let text = line.len() - 2;
        let is_same = if is_masked {
            line[..4] == got[..4] && line[text..] == got[text..]
        } else {
            line == got
        };
        if !is_same {
            return fail("P3 reply changed", || format!("{} -> {}", shown(line), shown(got)));
        }
    }
    Ok(())
}

/// A line that was run, with what stood before it.
fn context(dialogue: &Dialogue, ran: &Ran) -> String {
    let left = left_of(dialogue, CLIENT);
    let at = left.len().min(ran.at as usize);
    format!("{} behind {}", shown(&ran.line), shown(&left[at.saturating_sub(CONTEXT)..at]))
}

/// What left without a gap.
fn left_of(dialogue: &Dialogue, from: usize) -> Vec<u8> {
    let left = dialogue.wire.left[from].iter();
    left.map_while(|&value| u8::try_from(value).ok()).collect()
}
