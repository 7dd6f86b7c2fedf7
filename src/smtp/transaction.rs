//! What the server has granted: CHUNKING, a recipient; and the message that comes in chunks.
//!
//! BDAT is a command only for a server that offered CHUNKING and has a recipient for the octets
//! (RFC 3030 2): another reads them as lines, as Postfix does where it wants TLS first. So a BDAT
//! waits until every line before it is answered, but for other chunks of its message: where a line
//! is left unanswered, every answer seems to be an earlier one's. An offer holds until the next
//! answer to HELO or EHLO, and a refused one changes nothing in it (RFC 5321 4.1.4).
//!
//! What a server that refuses something does with its recipients is its own business: Exim forgets
//! them for a STARTTLS that it refuses, and for any line between two chunks but BDAT and NOOP, and
//! reads the octets behind it as lines. So whatever may have ended the transaction has ended it
//! here.

use serde::{Deserialize, Serialize};

use super::chunk::ChunkSize;
use super::line::ChunkRule;
use super::outstanding::{Due, Outstanding};
use super::{Answers, Change, Fault, Offset, Reply, Verb, is_success};

/// The state of the transaction, as far as it decides about chunks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Transaction {
    offers_chunking: bool,
    /// CHUNKING stood in the answer to EHLO that is under way.
    is_offering: bool,
    recipients: Recipients,
    chunk: ChunkFlags,
    /// Chunks of the message so far, and their octets.
    chunks: u32,
    octets: u64,
    /// The client's offset behind the octets of the BDAT that was sent last.
    octets_end: Offset,
}

/// What is known of the chunk under way, a bit each.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct ChunkFlags(u8);

impl ChunkFlags {
    /// It was announced as the last.
    const LAST: u8 = 1;
    /// The last octet of the message so far is a CR.
    const AFTER_CR: u8 = 2;
    /// No chunk's own: the server has begun to say more than one reply to a message, so what seems
    /// to accept a recipient may be one of those.
    const MANY_REPLIES: u8 = 4;

    const fn has(self, flag: u8) -> bool {
        self.0 & flag != 0
    }

    const fn set(&mut self, flag: u8, is_on: bool) {
        self.0 = if is_on { self.0 | flag } else { self.0 & !flag };
    }
}

/// What the server has said of sender and recipients. The order is that of the image.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
enum Recipients {
    /// The sender is accepted, no recipient yet.
    NoneYet,
    /// One recipient at least.
    Accepted,
    /// Whatever it says: something came before a chunk of the message that does not belong there,
    /// and none passes any more before the server has begun anew.
    Barred,
    /// No sender either: a recipient that seems to be accepted is not, for the server mixes up its
    /// answers (RFC 5321 3.3).
    #[default]
    Senderless,
    /// The sender is accepted, and a recipient was; whether it still is, nobody knows.
    Doubted,
}

impl Transaction {
    /// What a BDAT would mean now.
    pub(super) const fn chunk_rule(&self, outstanding: &Outstanding) -> ChunkRule {
        if outstanding.has_more_than_chunks() {
            return ChunkRule::Wait;
        }
        if !self.offers_chunking || self.chunk.has(ChunkFlags::MANY_REPLIES) {
            return ChunkRule::Refuse;
        }
        match self.recipients {
            Recipients::Accepted => ChunkRule::Pass,
            // Exim sends the first with its recipients, and may hear by then that all are refused.
            Recipients::NoneYet | Recipients::Senderless if self.chunks == 0 => ChunkRule::Disown,
            Recipients::NoneYet
            | Recipients::Senderless
            | Recipients::Barred
            | Recipients::Doubted => ChunkRule::Refuse,
        }
    }

    /// A line was sent that is no BDAT. `verb`: what the server reads, if it is nothing else.
    pub(super) fn send(&mut self, verb: Option<Verb>) {
        if self.chunks > 0 && !matches!(verb, Some(Verb::Noop | Verb::Rset)) {
            self.recipients = Recipients::Barred;
        }
        if verb.is_some_and(ends_transaction) {
            (self.chunks, self.octets) = (0, 0);
        }
    }

    /// A BDAT was sent, `at` stands behind its line.
    pub(super) fn begin_chunk(&mut self, size: ChunkSize, at: Offset) -> Option<Change> {
        let octets = size.octets().unwrap_or_default();
        self.chunk.set(ChunkFlags::LAST, size.is_last());
        if self.chunks == 0 {
            self.chunk.set(ChunkFlags::AFTER_CR, false);
        }
        self.chunks = self.chunks.saturating_add(1);
        self.octets = self.octets.saturating_add(u64::from(octets));
        self.octets_end = at.after(u64::from(octets));
        let is_first = self.chunks == 1;
        let begins = is_first.then_some(Change::ChunksBegin { at, octets });
        if octets == 0 { self.end_chunk(at).or(begins) } else { begins }
    }

    /// More octets of the message have come.
    pub(super) fn hear_octets(&mut self, octets: &[u8]) {
        if let Some(last) = octets.last() {
            self.chunk.set(ChunkFlags::AFTER_CR, *last == b'\r');
        }
    }

    /// What is wrong about a message that has come whole, if this is its end: behind a last CR Exim
    /// looks for the next byte in the command that follows, and answers no line any more until an
    /// empty one.
    pub(super) fn fault_of_end(&self, change: Option<Change>) -> Option<Fault> {
        let is_end = matches!(change, Some(Change::ChunksEnd { .. }));
        (is_end && self.chunk.has(ChunkFlags::AFTER_CR)).then_some(Fault::DoubtfulChunk)
    }

    /// The octets of the chunk under way have come.
    pub(super) fn end_chunk(&mut self, at: Offset) -> Option<Change> {
        let (octets, chunks) = (self.octets, self.chunks);
        if !self.chunk.has(ChunkFlags::LAST) {
            return None;
        }
        (self.chunks, self.octets) = (0, 0);
        Some(Change::ChunksEnd { at, octets, chunks })
    }

    /// A refusal came that answers nothing: nobody is known to have a recipient. Says whether the
    /// server may be reading octets as commands.
    pub(super) fn doubt(&mut self, covers: Offset) -> bool {
        self.doubt_refusal();
        self.lose_recipients();
        covers < self.octets_end
    }

    /// An answer came too many: what seems to be refused may be accepted.
    pub(super) fn doubt_refusal(&mut self) {
        self.recipients = match self.recipients {
            Recipients::NoneYet => Recipients::Doubted,
            Recipients::Senderless => Recipients::Barred,
            same @ (Recipients::Accepted | Recipients::Barred | Recipients::Doubted) => same,
        };
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
        self.note_code(code);
        let is_success = is_success(code);
        let Some(verb) = due.answers.verb() else {
            // A server that greets again has forgotten what it offered (Postfix behind XCLIENT).
            let is_new = due.answers == Answers::Own && code == 220;
            self.offers_chunking &= !is_new;
            if due.answers == Answers::Message || is_new {
                self.lose_transaction();
            } else if code >= 400 {
                self.bar_chunks();
            }
            return false;
        };
        let is_refused = verb == Verb::Bdat && !is_success && covers < self.octets_end;
        if matches!(verb, Verb::Ehlo | Verb::Helo) && code == 250 {
            self.offers_chunking = is_offering;
        }
        if verb.begins_transaction() && is_success {
            self.recipients = Recipients::NoneYet;
        } else if is_success && (ends_transaction(verb) || is_odd_grant(verb, code)) {
            self.recipients = Recipients::Senderless;
        } else if due.is_last_chunk && is_success {
            self.lose_transaction();
        } else if ends_transaction(verb) {
            self.lose_recipients();
        } else if verb == Verb::Bdat && !is_success {
            // Behind a chunk that it refuses Exim may read lines up to RSET, and no octets.
            self.recipients = Recipients::Barred;
        } else if verb == Verb::Rcpt && is_success {
            self.recipients = match self.recipients {
                Recipients::NoneYet | Recipients::Accepted | Recipients::Doubted => {
                    Recipients::Accepted
                }
                Recipients::Senderless | Recipients::Barred => Recipients::Barred,
            };
        } else if code >= 400 && !matches!(verb, Verb::Bdat | Verb::Rcpt) {
            self.bar_chunks();
        }
        is_refused
    }

    /// A reply with this code has come, whatever it answers.
    pub(super) fn note_code(&mut self, code: u16) {
        // Exim, to a PRDR among the parameters of MAIL, offered or not.
        if code == 353 {
            self.chunk.set(ChunkFlags::MANY_REPLIES, true);
        }
    }

    /// What is due may have no answer of its own: a message that it ends is over all the same, and
    /// a DATA may be refused.
    pub(super) fn excuse(&mut self, due: &mut Due) {
        due.is_excused = true;
        if due.ends_message() {
            self.lose_transaction();
        } else if due.answers == Answers::Verb(Verb::Data) {
            self.bar_chunks();
        }
    }

    /// What has no business between a sender and the message was refused: E-MailRelay reads octets
    /// as lines behind a DATA that it has refused to BINARYMIME (RFC 3030 3: only RSET may follow).
    fn bar_chunks(&mut self) {
        if self.recipients != Recipients::Senderless {
            self.recipients = Recipients::Barred;
        }
    }

    fn lose_recipients(&mut self) {
        if self.recipients == Recipients::Accepted {
            self.recipients = Recipients::Doubted;
        }
    }

    pub(super) fn lose_transaction(&mut self) {
        if self.recipients != Recipients::Barred {
            self.recipients = Recipients::Senderless;
        }
    }
}

/// Whether a success answers AUTH that is none of its own (RFC 4954 6): servers that look for
/// commands in an exchange (Haraka) have perhaps run one, RSET for instance.
pub(crate) const fn is_odd_grant(verb: Verb, code: u16) -> bool {
    matches!(verb, Verb::Auth) && is_success(code) && code != 235
}

/// Whether it may end one, whatever is answered to it.
const fn ends_transaction(verb: Verb) -> bool {
    verb.begins_transaction()
        || matches!(verb, Verb::Rset | Verb::Ehlo | Verb::Helo | Verb::StartTls)
}
