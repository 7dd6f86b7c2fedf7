//! What may be asked of a dialogue without reading on: whether it rests, whether it may end here,
//! where the message under way ends. Nothing here changes it.

use super::{
    Answers, ChunkRule, Dialogue, Due, Expect, FalseEnds, Fault, LastWord, Offset, Prefix, Speaker,
    Verb,
};
use crate::smtp::Word;

impl Dialogue {
    /// Whether what the client says next has to wait for an answer, though nobody has asked for
    /// one: it may be something else to a server.
    #[must_use]
    pub fn holds(&self, input: &[u8]) -> bool {
        let is_line = self.bars_arguments() && self.is_before_line();
        let passes = || begins_alone(input) || self.whole_line(input).is_some();
        self.holds_octets() || (is_line && !passes())
    }

    /// Whether the octets of a chunk have to wait until the one before it is answered: a server
    /// that refuses that may not count these (go-smtp, and Exim that offers no PIPELINING). Their
    /// line passes: a client may wait for that answer behind it, as Exim does.
    #[must_use]
    pub fn holds_octets(&self) -> bool {
        matches!(self.expect, Expect::Chunk { .. }) && self.outstanding.len() > 1
    }

    /// Whether of a line that comes next only a verb alone may pass: the rest of one is none.
    ///
    /// By the time it has a message whole Courier throws away what it has received behind that, up
    /// to anywhere in a line, and reads the rest of that as a line. What it has thrown away it does
    /// not answer, and each answer would seem to be an earlier line's: so it is the same until no
    /// answer is due. E-MailRelay answers what comes behind a last chunk before the chunk.
    pub(super) fn bars_arguments(&self) -> bool {
        let is_barring = |due: Due| (due.ends_message() || due.may_be_lost) && !due.is_excused;
        // A last chunk of nothing may stand behind another that is not answered yet.
        let ends = [self.outstanding.oldest(), self.outstanding.newest()];
        !self.reads_as_originals() && ends.into_iter().flatten().any(is_barring)
    }

    /// Whether what the client says next begins a line.
    #[must_use]
    pub fn is_before_line(&self) -> bool {
        let is_in_prefix = self.prefix.is_some_and(Prefix::is_under_way);
        self.expect == Expect::Command && !is_in_prefix && self.line.is_at_start()
    }

    /// Whether the server owes an answer.
    #[must_use]
    pub const fn is_owed(&self) -> bool {
        !self.outstanding.is_empty()
    }

    /// What the client's next byte is part of.
    #[must_use]
    pub const fn expect(&self) -> Expect {
        self.expect
    }

    /// The client's offset of the first byte of the message data under way.
    #[must_use]
    pub const fn data_start(&self) -> Offset {
        self.data_start
    }

    /// Whether no line and no message is under way, and no reply is due.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        self.outstanding.is_empty() && self.expect == Expect::Command && self.line.is_at_start()
    }

    /// One side has ended its stream, before the other: what is wrong about that, if anything. A
    /// client may leave whenever it likes; a server owes its replies, or a word (RFC 5321 3.8).
    #[must_use]
    pub fn end(&self, by: Speaker) -> Option<Fault> {
        let owes_nothing = match self.expect {
            // Whoever was told to leave may, without a word.
            Expect::Command | Expect::Unproved => {
                let oldest = self.outstanding.oldest();
                let is_quit = |due: Due| due.answers == Answers::Verb(Verb::Quit);
                self.outstanding.len() <= 1 && oldest.is_none_or(is_quit)
            }
            Expect::Tls(_) => true,
            Expect::Wait
            | Expect::Data(_)
            | Expect::Disowned(_)
            | Expect::Oversize(_)
            | Expect::Chunk { .. }
            | Expect::RefusedChunk { .. }
            | Expect::AuthLine => false,
        };
        let is_explained = owes_nothing || self.last_word != LastWord::Other;
        (by == Speaker::Server && !is_explained).then_some(Fault::EndedEarly)
    }

    /// If the client's next bytes are message data that ends among them: how many there are up to
    /// and including the end.
    #[must_use]
    pub fn find_data_end(&self, input: &[u8], false_ends: FalseEnds) -> Option<usize> {
        let Expect::Data(data) = self.expect else { return None };
        data.find_end(input, false_ends)
    }

    /// Whether this is wrong with a line even where the server gets it masked: of octets behind a
    /// BDAT nobody knows the place.
    #[must_use]
    pub fn minds_masked(&self, fault: Fault) -> bool {
        fault == Fault::BarredChunk && self.masked_chunk != ChunkRule::Lines
    }
}

/// Whether this is the beginning of a verb that seldom has an argument, and no more: behind a
/// message its letters pass as they come, for they may have left ahead of a gap.
pub(super) fn begins_alone(input: &[u8]) -> bool {
    let is_bare = |verb| matches!(verb, Verb::Noop | Verb::Quit | Verb::Rset);
    let word = input.strip_suffix(b"\r").unwrap_or(input);
    let mut openings = Word::of(word).openings();
    openings.next().is_some_and(is_bare) && openings.all(is_bare)
}
