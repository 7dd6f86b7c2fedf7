//! What the filter does not promise, in one place: servers that are left out, and what is not
//! asked of some dialogues, each with its reason.

use super::dialogue::{Client, Dialogue};
use super::honest::Honest;
use super::server::{Mode, Server};
use super::variant::{Breach, Chunks, Greeting, Overflow, Variant};

/// Readings that no variant has, and why.
pub const BEYOND: [(&str, &str); 4] = [
    (
        "CRLF-dot-CR ends data",
        "the README's Limits: such an end is already out when it shows (Sun's smtp_cr, Cisco's \
         Clean)",
    ),
    (
        "plain text is read behind the 220 to STARTTLS",
        "the README's Limits: after STARTTLS nothing is read",
    ),
    (
        "a buffer below 2,048 bytes that splits lines",
        "MAIL and RCPT may have 2,000 bytes, as the offered extensions allow; every server that \
         splits reads more at once",
    ),
    (
        "a buffer below 12,287 bytes that splits the lines of AUTH",
        "RFC 4954 4 allows 12,288; sendmail's is the smallest that splits",
    ),
];

/// The smallest buffers that split.
const SPLIT_LINE_MIN: usize = 2_048;
const SPLIT_AUTH_MIN: usize = 12_287;

/// Takes back what is beyond.
pub fn restrain(variant: &mut Variant) {
    if variant.overflow == Overflow::Split {
        variant.line_max = variant.line_max.max(SPLIT_LINE_MIN);
        variant.auth_line_max = variant.auth_line_max.max(SPLIT_AUTH_MIN);
    }
}

/// Whether what an honest session has said may never arrive.
///
/// Where both programs have ended it, only their kernels repeat what nobody waits for. And silence
/// in place of a reply opens nothing, for neither end of a connection can tell the filter more: in
/// place of one to DATA, AUTH or STARTTLS the client waits as well, and in a group the replies that
/// come answer the lines before those they were meant for. A line without a code is silence to the
/// lines of a group, of which it could answer any. Who ends lines at a CR answers them before they
/// have ended, and that answers nothing (law 4); and who has begun TLS, in a text or behind a reply
/// that said otherwise, is silent. A chunk waits until every line before it is answered, so with a
/// server that leaves one out it waits for good. A client that takes something else for the answer
/// to AUTH goes on while the server reads its lines as an exchange, and answers only the last of
/// them. A server that reads octets as lines answers each of them.
pub fn may_starve(dialogue: &Dialogue, client: &Honest) -> bool {
    let [ours, theirs] = &dialogue.wire.ends;
    if ours.is_eof && theirs.is_closing {
        return true;
    }
    let server = &dialogue.server;
    if server.variant.cr_ends || (server.mode == Mode::Tls && !client.is_tls()) {
        return true;
    }
    let asks = matches!(&*server.breached_verb, "DATA" | "AUTH" | "STARTTLS");
    // Whoever took the second greeting for the reply to EHLO is one line ahead ever after.
    let in_groups = client.manner.pipelines || server.variant.greeting == Greeting::Twice;
    let has_chunks = client.has_sent_chunks();
    match server.variant.breach {
        Breach::Missing | Breach::Swapped => asks || in_groups || has_chunks,
        Breach::WithoutCode => has_chunks || (!asks && in_groups),
        Breach::Unasked if has_chunks && is_vouched(server) => true,
        Breach::Doubled | Breach::Unasked | Breach::Noise => server.breached_verb == "AUTH",
        Breach::None
        | Breach::Leaves
        | Breach::Vanishes
        | Breach::InsideData
        | Breach::DropsData
        | Breach::Forgets => false,
    }
}

/// Whether a permitted line may be masked for its order: a DATA that was sent behind its recipients
/// without waiting, and comes when all of them have been refused (503 or 554, RFC 5321 3.3).
pub fn may_bar(server: &Server, verb: &str, at: u64) -> bool {
    verb == "DATA" && server.hopeless.contains(&at)
}

/// Whether an honest session with a server that keeps to the protocol may be reset or masked: the
/// octets behind a BDAT that is not taken are at a place that nobody knows, and so is the line
/// that follows them.
pub fn may_lose_place(dialogue: &Dialogue, client: &Honest) -> bool {
    let variant = &dialogue.server.variant;
    let is_taken = variant.chunks != Chunks::Unknown
        && !variant.wants_tls
        && !variant.refuses_recipients
        && variant.greeting != Greeting::Refusal
        && variant.knows_ehlo
        && dialogue.policy.profile == "esmtp";
    client.has_sent_chunks() && !is_taken
}

/// Whether a line that the server ran may be anything: where it ends data in the middle, what was
/// under way before its reply came by is its own to read. And no server is known that has accepted
/// a recipient and does not count the octets of a BDAT; one that refuses it in words without a code
/// has said nothing that would show it.
pub fn may_run(dialogue: &Dialogue, at: u64) -> bool {
    let variant = &dialogue.server.variant;
    let is_mute = variant.breach == Breach::WithoutCode && variant.chunks.reads_refused();
    if is_mute && dialogue.server.breached_verb == "BDAT" {
        return true;
    }
    let has_chunk = || dialogue.server.ran.iter().any(|ran| ran.verb == "BDAT" && ran.at < at);
    if is_vouched(&dialogue.server) && has_chunk() {
        return true;
    }
    let is_dropping = dialogue.server.variant.breach == Breach::DropsData
        && dialogue.server.breached_at.is_some();
    is_dropping && dialogue.wire.crossed.is_none_or(|crossed| at < crossed)
}

/// Whether a recipient may have been refused that to the filter, as to the client, is accepted: in
/// its group there was a success too many. The octets that pass then the server reads as lines.
fn is_vouched(server: &Server) -> bool {
    let variant = &server.variant;
    let refuses = variant.wants_tls || variant.refuses_recipients;
    let has_vouched = variant.breach == Breach::Unasked && server.breached_at.is_some();
    refuses && has_vouched && variant.chunks.reads_refused()
}

/// Whether a message may be stored otherwise than it was sent: where a final reply stands in the
/// middle of it, the rest of the text leaves as X.
pub const fn may_store_otherwise(variant: &Variant) -> bool {
    matches!(variant.breach, Breach::DropsData | Breach::Swapped)
}

/// Whether an answer to EHLO can be told from other replies: not where a reply is one too many or
/// too few and the line behind it had been received already.
pub fn may_mistake_offers(dialogue: &Dialogue) -> bool {
    dialogue.is_ambiguous || matches!(dialogue.client, Client::Adversary(_))
}
