//! What is read in one step where [`Dialogue::read`] takes several, to the same end: message data,
//! read and changed in one pass.

use super::{Dialogue, Event, Expect, Offset, Step};
use crate::smtp::Swept;

/// What message bytes become that may not leave as they came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fillers {
    /// Instead of a lookalike, unless it stays.
    pub lookalike: Option<u8>,
    /// Instead of text that may be read as commands.
    pub disowned: u8,
}

impl Dialogue {
    /// Reads the client's message data up to its end, or that of the input, and changes it in
    /// place; `None` where what comes is no message data. The step says nothing of what changed.
    pub fn sweep(
        &mut self,
        input: &mut [u8],
        at: Offset,
        fillers: Fillers,
    ) -> Option<(Step, Swept)> {
        #[expect(clippy::wildcard_enum_match_arm, reason = "all else is read in runs")]
        let swept = match &mut self.expect {
            Expect::Data(data) => data.sweep(input, fillers.lookalike),
            Expect::Disowned(data) => data.sweep_disowned(input, fillers.disowned),
            _ => return None,
        };
        let step = if swept.is_end {
            self.end_data(swept.used, at)
        } else {
            Step::of(swept.used, Event::Data)
        };
        Some((step, swept))
    }
}
