//! The settings of a profile and their presets. A profile is nothing but values of these; each can
//! be set alone, by the name the configuration uses.

use std::fmt::Write;

use crate::smtp::{Verb, Word};

/// A set of verbs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct VerbSet(u32);

impl VerbSet {
    /// RFC 821 4.5.1's minimum, all that Mailguard ever let through: "the seven".
    pub const SEVEN: Self = Self::of(&[
        Verb::Helo,
        Verb::Mail,
        Verb::Rcpt,
        Verb::Data,
        Verb::Rset,
        Verb::Noop,
        Verb::Quit,
    ]);

    /// The set of these verbs.
    #[must_use]
    pub const fn of(verbs: &[Verb]) -> Self {
        let mut bits = 0;
        let mut rest = verbs;
        while let [verb, tail @ ..] = rest {
            bits |= 1 << (*verb as u32);
            rest = tail;
        }
        Self(bits)
    }

    /// Whether the verb is in it.
    #[must_use]
    pub const fn contains(self, verb: Verb) -> bool {
        self.0 & (1 << (verb as u32)) != 0
    }

    /// Whether the word can still become one of them.
    #[must_use]
    pub fn has_prefix(self, word: &Word) -> bool {
        Verb::ALL.into_iter().any(|verb| self.contains(verb) && word.is_prefix_of(verb))
    }
}

/// What the greeting's text becomes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Banner {
    /// It stays.
    Pass,
    /// PIX 5.1 and later: `*` but for `2`, `0` and a space behind a `0`; every line's code stays.
    Pix51,
}

/// What is done about characters in MAIL and RCPT that define no address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AddressScan {
    /// Nothing.
    Off,
    /// They are logged.
    Log,
    /// They become spaces.
    Replace,
}

/// What is done about false ends of message data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lookalikes {
    /// One byte of each becomes a space.
    Neutralise,
    /// Nothing.
    Pass,
}

/// Whether a CRLF.CRLF cut across segments passes (Cisco bug CSCds90792).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SplitTerminator {
    /// Any cut passes.
    Fixed,
    /// The segment that completes a cut terminator is rejected each time it is sent.
    Bug,
}

/// Which cut counts as split.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SplitScope {
    /// Any cut inside CRLF.CRLF: the words of Microsoft's article 295725.
    CrlfDotCrlf,
    /// A cut inside .CRLF: Postfix's finding, which is why its workaround helps.
    DotCrlf,
}

/// What happens to the segment that completes a split terminator.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SplitAction {
    /// It is dropped: the sender starves and tries again later.
    Drop,
    /// Both ends are reset.
    Reset,
}

/// The settings of a profile.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Verbs that reach the server.
    pub verbs: VerbSet,
    /// What the greeting's text becomes.
    pub banner: Banner,
    /// The address scan of MAIL and RCPT.
    pub address_scan: AddressScan,
    /// False ends of message data.
    pub lookalikes: Lookalikes,
    /// The split terminator.
    pub split_terminator: SplitTerminator,
    /// Which cut counts as split.
    pub split_scope: SplitScope,
    /// What happens to a split terminator.
    pub split_action: SplitAction,
}

impl Settings {
    /// The names of all profiles.
    pub const PROFILES: &'static [&'static str] = &["mailguard"];

    /// The preset of a named profile.
    #[must_use]
    pub fn profile(name: &str) -> Option<Self> {
        (name == "mailguard").then_some(Self {
            verbs: VerbSet::SEVEN,
            banner: Banner::Pix51,
            address_scan: AddressScan::Replace,
            lookalikes: Lookalikes::Neutralise,
            split_terminator: SplitTerminator::Fixed,
            split_scope: SplitScope::CrlfDotCrlf,
            split_action: SplitAction::Drop,
        })
    }

    /// Sets one setting by its name; the error says what was expected.
    ///
    /// # Errors
    /// An unknown key, or a value the key does not take.
    pub fn set(&mut self, key: &str, value: &str) -> Result<(), String> {
        match key {
            "verbs" => self.verbs = parse_verbs(value)?,
            "banner" => {
                self.banner =
                    choose(key, value, &[("pass", Banner::Pass), ("pix-5.1", Banner::Pix51)])?;
            }
            "address_scan" => {
                let choices = [
                    ("off", AddressScan::Off),
                    ("log", AddressScan::Log),
                    ("replace", AddressScan::Replace),
                ];
                self.address_scan = choose(key, value, &choices)?;
            }
            "lookalikes" => {
                let choices = [("neutralise", Lookalikes::Neutralise), ("pass", Lookalikes::Pass)];
                self.lookalikes = choose(key, value, &choices)?;
            }
            "split_terminator" => {
                let choices = [("fixed", SplitTerminator::Fixed), ("bug", SplitTerminator::Bug)];
                self.split_terminator = choose(key, value, &choices)?;
            }
            "split_scope" => {
                let choices =
                    [("crlf-dot-crlf", SplitScope::CrlfDotCrlf), ("dot-crlf", SplitScope::DotCrlf)];
                self.split_scope = choose(key, value, &choices)?;
            }
            "split_action" => {
                let choices = [("drop", SplitAction::Drop), ("reset", SplitAction::Reset)];
                self.split_action = choose(key, value, &choices)?;
            }
            _ => {
                return Err(format!(
                    "unknown setting `{key}`: expected one of {}",
                    KEYS.join(", ")
                ));
            }
        }
        Ok(())
    }
}

const KEYS: [&str; 7] = [
    "verbs",
    "banner",
    "address_scan",
    "lookalikes",
    "split_terminator",
    "split_scope",
    "split_action",
];

fn choose<T: Copy>(key: &str, value: &str, choices: &[(&str, T)]) -> Result<T, String> {
    choices.iter().find(|(name, _)| *name == value).map(|&(_, choice)| choice).ok_or_else(|| {
        let mut message = format!("{key} = `{value}`: expected ");
        for (index, (name, _)) in choices.iter().enumerate() {
            // Writing to a string cannot fail.
            let _ = write!(message, "{}{name}", if index == 0 { "" } else { " or " });
        }
        message
    })
}

fn parse_verbs(value: &str) -> Result<VerbSet, String> {
    let mut verbs = Vec::new();
    for name in value.split([',', ' ']).filter(|name| !name.is_empty()) {
        let verb = Verb::of(name).ok_or_else(|| {
            let known: Vec<_> = Verb::ALL.iter().map(|verb| verb.name()).collect();
            format!("verbs: `{name}`: expected verbs out of {}", known.join(", "))
        })?;
        verbs.push(verb);
    }
    if verbs.is_empty() {
        return Err("verbs: expected at least one verb".into());
    }
    Ok(VerbSet::of(&verbs))
}
