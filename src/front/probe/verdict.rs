//! What a conversation shows: each finding, the generations it fits, and what remains of them.
//!
//! Pure. A generation remains as long as every finding fits it, so what cannot be told apart stays
//! side by side. A *sign* is something no unfiltered server does; a *hint* is something few do.

use super::banner;
use super::dialogue::{Command, Ending, Transcript};
use super::findings;
use super::generation::Generations;
use super::starttls::StartTls;
use crate::guard::Profile;

/// What a finding says about the path, whatever the generation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Weight {
    /// A server without a filter can do the same.
    Neutral,
    /// Few servers without a filter do that.
    Hint,
    /// Something on the way did it.
    Sign,
}

/// One thing the conversation showed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Finding {
    /// What was looked at: one word or two.
    pub(super) topic: &'static str,
    /// What it says about the path.
    pub(super) weight: Weight,
    /// The generations that do so.
    pub(super) fits: Generations,
    /// What was seen, for the reader.
    pub(super) sentence: String,
}

/// Whether something is in the path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Presence {
    /// It left a sign.
    Found,
    /// Nothing but hints.
    Suspected,
    /// Neither.
    NotFound,
    /// The conversation was too short to tell.
    Unknown,
}

/// What a conversation shows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Verdict {
    /// Whether a Mailguard is in the path.
    pub(super) presence: Presence,
    /// The generations that every finding fits. Where nothing was found: those that could still be
    /// there, unseen.
    pub(super) candidates: Vec<Profile>,
    /// What was seen, in the order of the conversation.
    pub(super) findings: Vec<Finding>,
    /// What was seen to be masked.
    pub(super) masked: Vec<String>,
    /// What became of STARTTLS.
    pub(super) starttls: StartTls,
    /// Whether a Postfix sender enables its PIX workarounds for this greeting.
    pub(super) postfix_notices: bool,
    /// What the conversation does not tell.
    pub(super) limits: Vec<&'static str>,
}

impl Verdict {
    /// Judges a conversation.
    #[must_use]
    pub(super) fn of(said: &Transcript) -> Self {
        let seen = findings::all(said);
        let fits = seen.findings.iter().fold(Generations::ALL, |all, one| all.and(one.fits));
        let presence = match seen.findings.iter().map(|one| one.weight).max() {
            Some(Weight::Sign) => Presence::Found,
            Some(Weight::Hint) => Presence::Suspected,
            Some(Weight::Neutral) if is_enough(said) => Presence::NotFound,
            Some(Weight::Neutral) | None => Presence::Unknown,
        };
        let candidates: Vec<_> = fits.iter().collect();
        Self {
            presence,
            limits: limits(said, presence, &candidates),
            candidates,
            findings: seen.findings,
            masked: seen.masked,
            starttls: StartTls::of(said),
            postfix_notices: banner::is_pix_to_postfix(&said.greeting),
        }
    }

    /// The findings that fit a generation, of those that tell generations apart.
    pub(super) fn evidence(&self, generation: Profile) -> impl Iterator<Item = &Finding> {
        self.findings
            .iter()
            .filter(move |one| one.fits != Generations::ALL && one.fits.contains(generation))
    }
}

/// Greeting, EHLO and an invalid command: the article's test.
fn is_enough(said: &Transcript) -> bool {
    said.greeting.is_ok()
        && said.reply(Command::Ehlo).is_some()
        && said.reply(Command::Invalid).is_some()
}

fn limits(said: &Transcript, presence: Presence, candidates: &[Profile]) -> Vec<&'static str> {
    let mut limits = Vec::new();
    match said.ending {
        Ending::Done => {}
        Ending::HungUp => {
            limits.push("The server hung up before the end; the rest was not tested.")
        }
        Ending::Silent => limits.push("The server fell silent; the rest was not tested."),
        Ending::TooMuch => limits.push("The server said too much; the rest was not tested."),
    }
    let has = |generation| candidates.contains(&generation);
    if presence == Presence::NotFound {
        limits.push(
            "A filter is not seen if it only watches, leaves this client alone, or was set to let \
             through all that was sent here.",
        );
        return limits;
    }
    if has(Profile::Pix51) && has(Profile::Pix524) {
        limits
            .push("pix-5.1 and pix-5.2.4 differ only in what they do to a message; none was sent.");
    }
    if has(Profile::Pix44) && has(Profile::Pix51) {
        limits.push(
            "A banner of stars only is pix-4.4's, and the 5.1 rule's where the text has no 2 and \
             no 0.",
        );
    }
    if has(Profile::Pix63) {
        limits.push(
            "The release in which the answer changed from OK to 500 is not known; pix-6.3 stands \
             for those after it.",
        );
    }
    if has(Profile::Mailguard) && has(Profile::Pix63) {
        limits.push("mailguard and pix-6.3 differ in what they do to a verb cut across packets.");
    }
    if presence == Presence::Found && candidates.is_empty() {
        limits.push(
            "No known generation does all of this: single settings were changed, there is more \
             than one filter, or something imitates one (Postfix's `smtp-sink -P` does).",
        );
    }
    limits
}
