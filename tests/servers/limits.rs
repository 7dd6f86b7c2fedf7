//! What the filter does not promise, in one place: servers that are left out, and what is not
//! asked of some dialogues, each with its reason.

use super::dialogue::{Client, Dialogue};
use super::honest::Honest;
use super::variant::{Breach, Chunks, On, Overflow, Variant};

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

/// Whether an honest session may starve with this server. Silence in place of the reply to a line
/// behind which the client has to wait opens nothing: the filter waits as the client does, and
/// neither end of the connection can tell it more.
pub fn may_starve(variant: &Variant) -> bool {
    let is_silent = matches!(variant.breach, Breach::Missing | Breach::Swapped);
    is_silent && !matches!(variant.breach_on, On::Verb("EHLO" | "MAIL"))
}

/// Whether the filter may reset an honest session with a server that keeps to the protocol: octets
/// that follow a BDAT which is not taken are at a place that nobody knows.
pub fn may_reset(dialogue: &Dialogue, client: &Honest) -> bool {
    let variant = &dialogue.server.variant;
    let by_chunks = client.messages.iter().any(|message| message.by_chunks);
    let is_taken = variant.chunks != Chunks::Unknown
        && !variant.wants_tls
        && !variant.refuses_recipients
        && variant.knows_ehlo
        && dialogue.policy.profile == "esmtp";
    by_chunks && !is_taken
}

/// Whether a line that the server ran may be anything: where it ends data in the middle, what was
/// under way before its reply came by is its own to read.
pub fn may_run(dialogue: &Dialogue, at: u64) -> bool {
    let is_dropping = dialogue.server.variant.breach == Breach::DropsData
        && dialogue.server.breached_at.is_some();
    is_dropping && dialogue.wire.crossed.is_none_or(|crossed| at < crossed)
}

/// Whether an answer to EHLO can be told from other replies: not where a reply is one too many or
/// too few and the line behind it had been received already.
pub fn may_mistake_offers(dialogue: &Dialogue) -> bool {
    dialogue.is_ambiguous || matches!(dialogue.client, Client::Adversary(_))
}
