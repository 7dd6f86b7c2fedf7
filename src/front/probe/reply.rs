//! What a server said in one go: a greeting, or the answer to a command.
//!
//! Lines are kept as bytes, without their line ends. A reply ends as it does for Postfix: at three
//! digits with a space or nothing behind them; any other line is one of more to come.

use crate::smtp;

/// The lines of a reply, as far as they came.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Reply {
    /// Without line ends, and cut at 2048 bytes, as Postfix does.
    pub(super) lines: Vec<Vec<u8>>,
}

impl Reply {
    /// The code: of the last line that has one.
    #[must_use]
    pub(super) fn code(&self) -> Option<u16> {
        self.lines.iter().rev().find_map(|line| code(line))
    }

    /// Whether the command was done (2xx).
    #[must_use]
    pub(super) fn is_ok(&self) -> bool {
        self.code().is_some_and(smtp::is_success)
    }

    /// Whether the command was refused for good (5xx).
    #[must_use]
    pub(super) fn is_refusal(&self) -> bool {
        self.code().is_some_and(smtp::is_permanent)
    }

    /// Whether the last line so far is the last of the reply.
    pub(super) fn is_whole(&self) -> bool {
        self.lines
            .last()
            .is_some_and(|line| code(line).is_some() && matches!(line.get(3), None | Some(b' ')))
    }

    /// The extensions in an answer to EHLO, parameters included.
    pub(super) fn extensions(&self) -> impl Iterator<Item = &[u8]> {
        self.lines.iter().skip(1).filter_map(|line| line.get(4..))
    }

    /// What the command became on its way, if the server repeats it.
    #[must_use]
    pub(super) fn echo(&self, word: &str) -> Option<Echo> {
        let words = self.lines.iter().filter_map(|line| line.get(3..)).flat_map(|text| {
            text.split(|byte| !byte.is_ascii_alphanumeric()).filter(|word| !word.is_empty())
        });
        // A hint such as "try HELP" is no echo: what the mask left counts for more.
        words.filter_map(|said| Echo::of(word.as_bytes(), said)).max()
    }
}

/// How a command's word comes back in the reply to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Echo {
    /// As it was sent.
    Intact,
    /// With X in place of all but the first letters.
    Masked {
        /// So many letters were left.
        kept: usize,
    },
}

impl Echo {
    fn of(sent: &[u8], said: &[u8]) -> Option<Self> {
        if said.eq_ignore_ascii_case(sent) {
            return Some(Self::Intact);
        }
        let kept = sent.iter().zip(said).take_while(|(a, b)| a.eq_ignore_ascii_case(b)).count();
        let mask = said.get(kept..)?;
        // A masked gap and argument may have joined the word.
        let is_mask = mask.iter().all(|byte| byte.eq_ignore_ascii_case(&b'X'));
        (is_mask && said.len() >= sent.len().max(3)).then_some(Self::Masked { kept })
    }
}

/// The code a line begins with.
pub(super) fn code(line: &[u8]) -> Option<u16> {
    let digits = line.iter().take_while(|byte| byte.is_ascii_digit()).count();
    if digits != 3 {
        return None;
    }
    std::str::from_utf8(line.get(..3)?).ok()?.parse().ok()
}
