//! The settings of a profile. A profile is nothing but values of these (`profile`); each can be
//! set alone, by the name the configuration uses.

use std::fmt::Write;

use super::profile;
use crate::smtp::{DataBegins, Verb, Word};

/// A set of verbs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct VerbSet(u32);

impl VerbSet {
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

    /// This set and these verbs.
    #[must_use]
    pub const fn with(self, verbs: &[Verb]) -> Self {
        Self(self.0 | Self::of(verbs).0)
    }

    /// This set without the verb.
    #[must_use]
    pub const fn without(self, verb: Verb) -> Self {
        Self(self.0 & !(1 << (verb as u32)))
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

/// Declares a setting with a fixed choice of values: the type, and the words of the configuration.
macro_rules! choices {
    ($(#[$doc:meta])* $name:ident {
        $($(#[$choice_doc:meta])* $choice:ident = $word:literal,)+
    }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum $name {
            $($(#[$choice_doc])* $choice,)+
        }

        impl Choice for $name {
            const ALL: &'static [(&'static str, Self)] = &[$(($word, Self::$choice),)+];
        }
    };
}

/// A setting with a fixed choice of values.
trait Choice: Copy + PartialEq + 'static {
    /// Every value and its word.
    const ALL: &'static [(&'static str, Self)];

    fn parse(key: &str, value: &str) -> Result<Self, String> {
        Self::ALL.iter().find(|(word, _)| *word == value).map(|&(_, choice)| choice).ok_or_else(
            || {
                let mut message = format!("{key} = `{value}`: expected ");
                for (index, (word, _)) in Self::ALL.iter().enumerate() {
                    // Writing to a string cannot fail.
                    let _ = write!(message, "{}{word}", if index == 0 { "" } else { " or " });
                }
                message
            },
        )
    }

    fn word(self) -> String {
        let word = Self::ALL.iter().find(|(_, choice)| *choice == self);
        word.map_or_else(String::new, |(word, _)| (*word).to_owned())
    }
}

impl Choice for DataBegins {
    const ALL: &'static [(&'static str, Self)] =
        &[("on-354", Self::OnReply), ("on-data", Self::OnCommand)];
}

choices! {
    /// What a refused line becomes.
    Refusal {
        /// All X: the server answers 500.
        X = "x",
        /// NOOP and spaces, where there is room: the server answers 250 (PIX 4 and 5).
        Noop = "noop",
    }
}

choices! {
    /// What is looked at as one.
    Unit {
        /// The byte stream: cuts make no difference.
        Stream = "stream",
        /// The packet, as the original did: a line that a packet continues is a new line to it, so
        /// a telnet client in character mode has every byte refused.
        Packet = "packet",
    }
}

choices! {
    /// What the greeting's text becomes. Same length, and the code of the first line, in each.
    Banner {
        /// It stays.
        Pass = "pass",
        /// PIX 4.1: `SMTP/cmap ready` and underscores.
        Cmap = "cmap",
        /// PIX 4.4: `*`, the codes of later lines included: clients hang on a second line.
        Stars = "stars",
        /// PIX 5.1 and later: `*` but for `2`, `0` and a space behind a `0`; every code stays.
        Pix51 = "pix-5.1",
        /// ASA: `*`; every code stays.
        StarText = "star-text",
        /// The first line's first word stays (RFC 5321 4.2 wants the server's domain there), all
        /// else is `ESMTP` and dots: says nothing of the software, and Postfix does not take it
        /// for a PIX.
        Domain = "domain",
    }
}

choices! {
    /// What is done about the keywords in the answer to EHLO.
    EhloFilter {
        /// Nothing.
        Pass = "pass",
        /// Those not listed become X.
        AllowList = "allow-list",
        /// Those not listed become X, but for a last letter that counts them: ASA.
        Letters = "letters",
    }
}

choices! {
    /// What is done about STARTTLS, where its verb is permitted.
    StartTls {
        /// It passes; behind the server's 220 the flow is not read any more.
        Allow = "allow",
        /// Neither the keyword nor the verb passes.
        Strip = "strip",
    }
}

choices! {
    /// What is done about characters in MAIL and RCPT that define no address.
    AddressScan {
        /// Nothing.
        Off = "off",
        /// They are logged.
        Log = "log",
        /// They become spaces.
        Replace = "replace",
    }
}

choices! {
    /// What is done about a command line longer than the offered extensions allow.
    LongLines {
        /// Nothing.
        Pass = "pass",
        /// It is logged.
        Log = "log",
        /// The flow is reset.
        Reset = "reset",
    }
}

choices! {
    /// What is done about false ends of message data.
    Lookalikes {
        /// One byte of each becomes a space.
        Neutralise = "neutralise",
        /// Nothing.
        Pass = "pass",
    }
}

choices! {
    /// Whether a CRLF.CRLF cut across segments passes (Cisco bug CSCds90792).
    SplitTerminator {
        /// Any cut passes.
        Fixed = "fixed",
        /// The segment that completes a cut terminator is rejected each time it is sent.
        Bug = "bug",
    }
}

choices! {
    /// Which cut counts as split.
    SplitScope {
        /// Any cut inside CRLF.CRLF: the words of Microsoft's article 295725.
        CrlfDotCrlf = "crlf-dot-crlf",
        /// A cut inside .CRLF: Postfix's finding, which is why its workaround helps.
        DotCrlf = "dot-crlf",
    }
}

choices! {
    /// What happens to the segment that completes a split terminator.
    SplitAction {
        /// It is dropped: the sender starves and tries again later.
        Drop = "drop",
        /// Both ends are reset.
        Reset = "reset",
    }
}

/// The settings of a profile.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Verbs that reach the server.
    pub verbs: VerbSet,
    /// What a refused line becomes.
    pub refusal: Refusal,
    /// What is looked at as one.
    pub unit: Unit,
    /// What the greeting's text becomes.
    pub banner: Banner,
    /// What is done about EHLO keywords.
    pub ehlo: EhloFilter,
    /// EHLO keywords that stay, in upper case, where they are filtered.
    pub ehlo_keywords: Vec<String>,
    /// STARTTLS.
    pub starttls: StartTls,
    /// What message data begins on.
    pub data_begins: DataBegins,
    /// The address scan of MAIL and RCPT.
    pub address_scan: AddressScan,
    /// Overlong command lines.
    pub long_lines: LongLines,
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
    pub const PROFILES: &'static [&'static str] = profile::NAMES;

    /// The names of all settings.
    pub const KEYS: &'static [&'static str] = &[
        "verbs",
        "refusal",
        "unit",
        "banner",
        "ehlo",
        "ehlo_keywords",
        "starttls",
        "data_begins",
        "address_scan",
        "long_lines",
        "lookalikes",
        "split_terminator",
        "split_scope",
        "split_action",
    ];

    /// The preset of a named profile.
    #[must_use]
    pub fn profile(name: &str) -> Option<Self> {
        profile::preset(name)
    }

    /// Sets one setting by its name; the error says what was expected.
    ///
    /// # Errors
    /// An unknown key, or a value the key does not take.
    pub fn set(&mut self, key: &str, value: &str) -> Result<(), String> {
        match key {
            "verbs" => self.verbs = parse_verbs(value)?,
            "refusal" => self.refusal = Choice::parse(key, value)?,
            "unit" => self.unit = Choice::parse(key, value)?,
            "banner" => self.banner = Choice::parse(key, value)?,
            "ehlo" => self.ehlo = Choice::parse(key, value)?,
            "ehlo_keywords" => self.ehlo_keywords = parse_keywords(value)?,
            "starttls" => self.starttls = Choice::parse(key, value)?,
            "data_begins" => self.data_begins = Choice::parse(key, value)?,
            "address_scan" => self.address_scan = Choice::parse(key, value)?,
            "long_lines" => self.long_lines = Choice::parse(key, value)?,
            "lookalikes" => self.lookalikes = Choice::parse(key, value)?,
            "split_terminator" => self.split_terminator = Choice::parse(key, value)?,
            "split_scope" => self.split_scope = Choice::parse(key, value)?,
            "split_action" => self.split_action = Choice::parse(key, value)?,
            _ => {
                let keys = Self::KEYS.join(", ");
                return Err(format!("unknown setting `{key}`: expected one of {keys}"));
            }
        }
        Ok(())
    }

    /// Every setting and its value, as [`Self::set`] takes them.
    #[must_use]
    pub fn words(&self) -> Vec<(&'static str, String)> {
        let value = |key: &str| match key {
            "verbs" => self.verb_names(),
            "refusal" => self.refusal.word(),
            "unit" => self.unit.word(),
            "banner" => self.banner.word(),
            "ehlo" => self.ehlo.word(),
            "ehlo_keywords" => self.ehlo_keywords.join(","),
            "starttls" => self.starttls.word(),
            "data_begins" => self.data_begins.word(),
            "address_scan" => self.address_scan.word(),
            "long_lines" => self.long_lines.word(),
            "lookalikes" => self.lookalikes.word(),
            "split_terminator" => self.split_terminator.word(),
            "split_scope" => self.split_scope.word(),
            "split_action" => self.split_action.word(),
            _ => String::new(),
        };
        Self::KEYS.iter().map(|&key| (key, value(key))).collect()
    }

    /// The verbs that pass after all settings are applied.
    #[must_use]
    pub const fn permitted(&self) -> VerbSet {
        match self.starttls {
            StartTls::Allow => self.verbs,
            StartTls::Strip => self.verbs.without(Verb::StartTls),
        }
    }

    /// Whether this EHLO keyword may stay.
    #[must_use]
    pub fn permits_keyword(&self, keyword: &str) -> bool {
        let is_stripped = self.starttls == StartTls::Strip && keyword == Verb::StartTls.name();
        self.ehlo_keywords.iter().any(|known| known == keyword) && !is_stripped
    }

    fn verb_names(&self) -> String {
        let verbs = Verb::ALL.into_iter().filter(|&verb| self.verbs.contains(verb));
        verbs.map(Verb::name).collect::<Vec<_>>().join(",")
    }
}

fn words_of(value: &str) -> impl Iterator<Item = &str> {
    value.split([',', ' ']).filter(|word| !word.is_empty())
}

fn parse_verbs(value: &str) -> Result<VerbSet, String> {
    let mut verbs = VerbSet::default();
    for name in words_of(value) {
        let verb = Verb::of(name).ok_or_else(|| {
            let known: Vec<_> = Verb::ALL.iter().map(|verb| verb.name()).collect();
            format!("verbs: `{name}`: expected verbs out of {}", known.join(", "))
        })?;
        verbs = verbs.with(&[verb]);
    }
    if verbs == VerbSet::default() {
        return Err("verbs: expected at least one verb".into());
    }
    Ok(verbs)
}

fn parse_keywords(value: &str) -> Result<Vec<String>, String> {
    let is_keyword = |word: &&str| word.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
    if let Some(wrong) = words_of(value).find(|word| !is_keyword(word)) {
        return Err(format!("ehlo_keywords: `{wrong}`: expected letters, digits and hyphens"));
    }
    Ok(words_of(value).map(str::to_ascii_uppercase).collect())
}
