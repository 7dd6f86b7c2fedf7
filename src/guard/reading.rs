//! How bytes are read: as how long a run, as what, and whether they have to wait.
//!
//! What becomes of a run that was read is decided in `judge`.

use super::settings::{Cure, Lookalikes, ProxyProtocol, Unit};
use super::{Guard, Watch};
use crate::smtp::{Dialogue, Expect, FalseEnds, MaskedChunk, Speaker, Standing, Step};

impl Guard {
    /// A dialogue that is read as the settings want it.
    #[must_use]
    pub fn dialogue(&self) -> Dialogue {
        let mut dialogue = Dialogue::new(self.settings.data_begins);
        if self.settings.proxy_protocol == ProxyProtocol::Pass {
            dialogue = dialogue.with_prefix();
        }
        if self.settings.verbs.has_some_own() {
            dialogue = dialogue.with_own_verbs();
        }
        self.resume(dialogue)
    }

    /// A dialogue that another filter may have begun, read on as the settings want it: what images
    /// of before format 14 say of a masked BDAT is something else now.
    #[must_use]
    pub(crate) fn resume(&self, dialogue: Dialogue) -> Dialogue {
        dialogue.with_masked_chunks(match self.settings.unit {
            Unit::Stream => MaskedChunk::Barred,
            Unit::Packet => MaskedChunk::Lines,
        })
    }

    /// Reads one run of bytes: of message data no more than the server takes for certain, and
    /// what is beyond that as text that may be read as commands.
    pub fn read(
        &self,
        watch: &mut Watch,
        dialogue: &mut Dialogue,
        from: Speaker,
        bytes: &[u8],
        standing: Standing,
    ) -> Step {
        if from == Speaker::Client && self.has_to_wait(watch, dialogue, bytes) {
            return Step::WAIT;
        }
        let is_data = from == Speaker::Client && matches!(dialogue.expect(), Expect::Data(_));
        let run = match if is_data { self.room(watch) } else { None } {
            Some(0) => {
                dialogue.disown();
                bytes
            }
            Some(room) => bytes.get(..room).unwrap_or(bytes),
            None => bytes,
        };
        if is_data
            && self.false_ends() == FalseEnds::Kept
            && let Some(step) = dialogue.read_as_it_leaves(run, standing.at)
        {
            return step;
        }
        dialogue.read(from, run, standing)
    }

    /// What becomes of what looks like the end of a message.
    #[must_use]
    pub fn false_ends(&self) -> FalseEnds {
        match self.settings.lookalikes {
            Lookalikes::Neutralise => FalseEnds::Changed,
            Lookalikes::Pass => FalseEnds::Kept,
        }
    }

    /// Whether what comes has to wait until more is answered. Where nothing is changed, nothing is
    /// held, and it is read as it comes.
    pub(super) fn has_to_wait(&self, watch: &mut Watch, dialogue: &Dialogue, bytes: &[u8]) -> bool {
        if !self.changes_nothing() && dialogue.holds(bytes) {
            return true;
        }
        if !dialogue.is_before_line() {
            return false;
        }
        if !dialogue.is_owed() {
            watch.order.settle();
        }
        let is_enforced = self.settings.order == Cure::Enforce && !self.changes_nothing();
        is_enforced && bytes.first().is_some_and(|&first| watch.order.waits_before(first))
    }
}
