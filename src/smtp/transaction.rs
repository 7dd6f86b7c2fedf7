//! What the server has granted: CHUNKING, a recipient; and the message that comes in chunks.
//!
//! BDAT is a command only for a server that offered CHUNKING and has a recipient for the octets
//! (RFC 3030 2): another reads them as lines, as Postfix does where it wants TLS first. So a BDAT
//! that was sent together with its recipients waits until one of them is accepted. An offer holds
//! until the next answer to HELO or EHLO, and a refused one changes nothing (RFC 5321 4.1.4).

use serde::{Deserialize, Serialize};

use super::chunk::ChunkSize;
use super::line::ChunkRule;
use super::outstanding::{Due, Outstanding, begins_transaction};
use super::{Answers, Change, Offset, Reply, Verb};

/// The state of the transaction, as far as it decides about chunks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Transaction {
    offers_chunking: bool,
    /// CHUNKING stood in the answer to EHLO that is under way.
    is_offering: bool,
    has_recipient: bool,
    /// The chunk under way was announced as the last.
    is_last_chunk: bool,
    /// Chunks of the message so far, and their octets.
    chunks: u32,
    octets: u64,
    /// The client's offset behind the octets of the BDAT that was sent last.
    octets_end: Offset,
}

impl Transaction {
    /// What a BDAT would mean now.
    pub(super) const fn chunk_rule(&self, outstanding: &Outstanding) -> ChunkRule {
        if outstanding.has_ender() {
            ChunkRule::Wait
        } else if self.offers_chunking && self.has_recipient {
            ChunkRule::Pass
        } else if self.offers_chunking && outstanding.has_recipient() {
            ChunkRule::Wait
        } else {
            ChunkRule::Refuse
        }
    }

    /// A line of this verb was sent that is no BDAT.
    pub(super) fn send(&mut self, verb: Option<Verb>) {
        let ends = matches!(verb, Some(Verb::Rset | Verb::Ehlo | Verb::Helo));
        if ends || verb.is_some_and(begins_transaction) {
            (self.chunks, self.octets) = (0, 0);
        }
    }

    /// A BDAT was sent, `at` stands behind its line.
    pub(super) fn begin_chunk(&mut self, size: ChunkSize, at: Offset) -> Option<Change> {
        let octets = size.octets().unwrap_or_default();
        self.is_last_chunk = size.is_last();
        self.chunks = self.chunks.saturating_add(1);
        self.octets = self.octets.saturating_add(u64::from(octets));
        self.octets_end = at.after(u64::from(octets));
        let is_first = self.chunks == 1;
        let begins = is_first.then_some(Change::ChunksBegin { at, octets });
        if octets == 0 { self.end_chunk(at).or(begins) } else { begins }
    }

    /// The octets of the chunk under way have come.
    pub(super) fn end_chunk(&mut self, at: Offset) -> Option<Change> {
        let (octets, chunks) = (self.octets, self.chunks);
        if !self.is_last_chunk {
            return None;
        }
        (self.chunks, self.octets) = (0, 0);
        Some(Change::ChunksEnd { at, octets, chunks })
    }

    /// A refusal came that answers nothing: nobody is known to have a recipient. Says whether the
    /// server may be reading octets as commands.
    pub(super) fn doubt(&mut self, covers: Offset) -> bool {
        self.has_recipient = false;
        covers < self.octets_end
    }

    /// A line of a reply.
    pub(super) fn hear(&mut self, reply: &Reply) {
        if reply.answers == Answers::Verb(Verb::Ehlo) && reply.code == Some(250) {
            let is_keyword = reply.is_later_line && reply.keyword.as_bytes() == b"CHUNKING";
            self.is_offering |= is_keyword;
        }
    }

    /// The last line of the reply to this, whose sender had received what lies below `covers`. Says
    /// whether the server may be reading octets as commands: who refuses a chunk before it has come
    /// whole may not be counting.
    pub(super) fn answer(&mut self, due: Due, code: u16, covers: Offset) -> bool {
        let is_offering = std::mem::take(&mut self.is_offering);
        let is_success = code / 100 == 2;
        let Answers::Verb(verb) = due.answers else {
            // A server that greets again has forgotten what it offered (Postfix behind XCLIENT).
            let is_new = due.answers == Answers::Own && code == 220;
            self.offers_chunking &= !is_new;
            self.has_recipient &= due.answers != Answers::Message && !is_new;
            return false;
        };
        let is_refused = verb == Verb::Bdat && !is_success && covers < self.octets_end;
        if matches!(verb, Verb::Ehlo | Verb::Helo) && code == 250 {
            (self.offers_chunking, self.has_recipient) = (is_offering, false);
        } else if verb == Verb::Rcpt {
            self.has_recipient |= is_success;
        } else {
            let begins_anew = (verb == Verb::Rset || begins_transaction(verb)) && is_success;
            self.has_recipient &= !begins_anew && !due.is_last_chunk;
        }
        is_refused
    }
}
