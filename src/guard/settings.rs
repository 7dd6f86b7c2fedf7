//! The settings of a profile: one table of all there are.
//!
//! Each row declares a setting once: what it is for, its name, its type, and its preset in each
//! profile. The struct, the presets, what [`Settings::set`] takes, what `mailguard profiles` prints
//! and what is said about a wrong value are all made from the rows.

use super::patches::Patches;
use super::profile::{ASA_KEYWORDS, ESMTP, ESMTP_KEYWORDS, NAMES, Profile, SEVEN, SIXTEEN, owned};
use super::tls::Names;
use super::value::{Kind, Limit, LineLimit, Value, VerbSet};
use crate::smtp::{DataBegins, Verb};

pub(super) use super::choice::{
    AddressScan, Banner, Cure, EhloFilter, HttpWords, LongLines, Lookalikes, Refusal, SplitAction,
    SplitScope, SplitTerminator, StartTls, TlsMinimum, TlsWatch, Unit,
};

/// One row of the table.
#[derive(Clone, Copy, Debug)]
pub struct Setting {
    /// What the configuration calls it.
    pub name: &'static str,
    /// What it is for.
    pub about: &'static str,
    /// How its value is written.
    pub kind: Kind,
    expected: fn() -> String,
    read: for<'a> fn(&mut Settings, &'a str) -> Result<(), &'a str>,
    print: fn(&Settings) -> String,
}

impl Setting {
    /// What may be written for it, to stand behind "expected".
    #[must_use]
    pub fn expected(&self) -> String {
        (self.expected)()
    }

    /// Reads it into these settings; the error is the part of the text that is wrong.
    ///
    /// # Errors
    /// A value it does not take.
    pub fn read<'a>(&self, settings: &mut Settings, text: &'a str) -> Result<(), &'a str> {
        (self.read)(settings, text)
    }

    /// Its value in these settings, as [`Settings::set`] takes it.
    #[must_use]
    pub fn print(&self, settings: &Settings) -> String {
        (self.print)(settings)
    }
}

/// A value by profile, in the order of the table's columns.
macro_rules! preset {
    ($profile:expr, [$mailguard:expr, $esmtp:expr, $pix41:expr, $pix44:expr, $pix51:expr,
        $pix524:expr, $pix63:expr, $asa:expr]) => {
        match $profile {
            Profile::Mailguard => $mailguard,
            Profile::Esmtp => $esmtp,
            Profile::Pix41 => $pix41,
            Profile::Pix44 => $pix44,
            Profile::Pix51 => $pix51,
            Profile::Pix524 => $pix524,
            Profile::Pix63 => $pix63,
            Profile::Asa => $asa,
        }
    };
}

/// Declares the settings: `name: Type = presets;`, the presets behind their enum where they are
/// variants of one.
macro_rules! settings {
    ($(#[doc = $about:literal] $name:ident: $type:ty = $($choice:ident ::)?
        [$($preset:expr),+];)+) => {
        /// The settings of a profile.
        #[derive(Clone, Debug, PartialEq, Eq)]
        pub struct Settings {
            $(#[doc = $about] pub $name: $type,)+
        }

        impl Settings {
            /// Every setting there is.
            pub const TABLE: &'static [Setting] = &[$(Setting {
                name: stringify!($name),
                about: $about.trim_ascii(),
                kind: <$type as Value>::KIND,
                expected: <$type as Value>::expected,
                read: |settings, text| {
                    settings.$name = Value::parse(text)?;
                    Ok(())
                },
                print: |settings| settings.$name.print(),
            },)+];

            fn preset(profile: Profile) -> Self {
                Self {
                    $($name: {
                        $(use $choice::*;)?
                        <$type>::from(preset!(profile, [$($preset),+]))
                    },)+
                }
            }
        }
    };
}

// The columns: mailguard, esmtp, pix-4.1, pix-4.4, pix-5.1, pix-5.2.4, pix-6.3, asa.
settings! {
    /// The verbs that reach the server.
    verbs: VerbSet = [SEVEN, ESMTP, SEVEN, SEVEN, SEVEN, SEVEN, SEVEN, SIXTEEN];

    /// What a refused line becomes.
    refusal: Refusal = Refusal::[X, X, Noop, Noop, Noop, Noop, FirstWord, FirstWord];

    /// What is looked at as one: the byte stream, or each packet as the original did.
    unit: Unit = Unit::[Stream, Stream, Packet, Packet, Packet, Packet, Packet, Packet];

    /// What the greeting's text becomes.
    banner: Banner = Banner::[Pix51, Domain, Cmap, Stars, Pix51, Pix51, Pix51, StarText];

    /// What is done about the keywords in the answer to EHLO that are not listed.
    ehlo: EhloFilter = EhloFilter::[Pass, AllowList, Pass, Pass, Pass, Pass, Pass, Letters];

    /// The EHLO keywords that stay where they are filtered.
    ehlo_keywords: Vec<String> = [
        owned(&[]), owned(&ESMTP_KEYWORDS), owned(&[]), owned(&[]),
        owned(&[]), owned(&[]), owned(&[]), owned(&ASA_KEYWORDS)
    ];

    /// What is done about STARTTLS, where its verb is permitted.
    starttls: StartTls = StartTls::[Strip, Allow, Strip, Strip, Strip, Strip, Strip, Strip];

    /// How long TLS is followed, record by record, before it is handed over.
    tls_watch: TlsWatch = TlsWatch::[All, All, Off, Off, Off, Off, Off, Off];

    /// What is done about bytes that are no TLS where TLS has to be.
    tls_framing: Cure = Cure::[Enforce, Enforce, Off, Off, Off, Off, Off, Off];

    /// The lowest version of TLS that may be agreed on.
    tls_minimum: TlsMinimum = TlsMinimum::[Off, Off, Off, Off, Off, Off, Off, Off];

    /// What is done about a server's name in a hello that is none.
    tls_sni: Cure = Cure::[Enforce, Enforce, Off, Off, Off, Off, Off, Off];

    /// Names that clients may ask for; another is logged. None: any.
    tls_names: Names = [
        Names::default(), Names::default(), Names::default(), Names::default(),
        Names::default(), Names::default(), Names::default(), Names::default()
    ];

    // An MX must take mail in clear (RFC 3207 4), so this is for partners and for submission.

    /// What is done about mail in clear.
    require_tls: Cure = Cure::[Off, Off, Off, Off, Off, Off, Off, Off];

    /// What is done about AUTH in clear.
    auth_requires_tls: Cure = Cure::[Off, Log, Off, Off, Off, Off, Off, Off];

    /// What is done about a server that offers STARTTLS no longer, or masked by somebody.
    tls_downgrade: Cure = Cure::[Off, Log, Off, Off, Off, Off, Off, Off];

    /// What message data begins on: the server's 354, or DATA alone (CVE-2000-1022).
    data_begins: DataBegins = DataBegins::[
        OnReply, OnReply, OnCommand, OnCommand, OnCommand, OnCommand, OnReply, OnReply
    ];

    /// What is done about a first word that belongs to HTTP or another protocol.
    http_words: HttpWords = HttpWords::[Reset, Reset, Pass, Pass, Pass, Pass, Pass, Pass];

    /// What is done about characters in MAIL and RCPT that define no address.
    address_scan: AddressScan = AddressScan::[
        Off, Off, Replace, Replace, Replace, Replace, Replace, Off
    ];

    /// What is done about a command line longer than RFC 5321 and the offered extensions allow.
    long_lines: LongLines = LongLines::[Pass, Log, Pass, Pass, Pass, Pass, Pass, Pass];

    // Behind a server's buffer the rest of a line runs as another line. Postfix and sendmail read
    // commands into 2,048 bytes, Exim into 16,384, OpenSMTPD into 65,535; sendmail reads lines of
    // an AUTH exchange into 12,287. RFC 5321 allows 512 and what extensions add, RFC 4954 12,288.
    // An ASA's map has one limit for all commands (Class 1), and none for an AUTH exchange.

    /// The bytes of a command line, its line end not counted, beyond which the flow is reset.
    line_max: LineLimit = [1_000, 1_000, 0, 0, 0, 0, 0, 512];

    /// The same for MAIL and RCPT.
    envelope_line_max: LineLimit = [2_000, 2_000, 0, 0, 0, 0, 0, 512];

    /// The same for AUTH.
    auth_line_max: LineLimit = [12_280, 12_280, 0, 0, 0, 0, 0, 512];

    /// The same for the client's lines in an AUTH exchange.
    auth_response_max: LineLimit = [12_280, 12_280, 0, 0, 0, 0, 0, 0];

    // Far above any server's own (Postfix 2,000, OpenSMTPD and mox 1,000; RFC 5321 asks for 100):
    // what we refuse is lost, what the server refuses is tried again. An ASA's Class 2.

    /// The recipients of one message beyond which the flow is reset.
    recipients_max: Limit<RECIPIENTS_HIGHEST> = [5_000, 5_000, 0, 0, 0, 0, 0, 100];

    // RFC 5321's largest local part and domain and the @ between them are an ASA's Class 5. Real
    // local parts of mailing lists are longer.

    /// The bytes of a sender's address beyond which the flow is reset.
    sender_max: LineLimit = [0, 0, 0, 0, 0, 0, 0, 320];

    /// What is done about known holes of mail servers.
    patches: Patches = [
        Patches::preset(), Patches::preset(), Patches::off(), Patches::off(), Patches::off(),
        Patches::off(), Patches::off(), Patches::off()
    ];

    /// What is done about false ends of message data.
    lookalikes: Lookalikes = Lookalikes::[
        Neutralise, Neutralise, Pass, Pass, Pass, Pass, Pass, Pass
    ];

    /// Whether a CRLF.CRLF that is cut across segments passes (CSCds90792).
    split_terminator: SplitTerminator = SplitTerminator::[
        Fixed, Fixed, Bug, Bug, Bug, Fixed, Fixed, Fixed
    ];

    /// Which cut counts as split.
    split_scope: SplitScope = SplitScope::[
        CrlfDotCrlf, CrlfDotCrlf, CrlfDotCrlf, CrlfDotCrlf,
        CrlfDotCrlf, CrlfDotCrlf, CrlfDotCrlf, CrlfDotCrlf
    ];

    /// What happens to the segment that completes a split terminator.
    split_action: SplitAction = SplitAction::[Drop, Drop, Drop, Drop, Drop, Drop, Drop, Drop];
}

impl Settings {
    /// The names of all profiles.
    pub const PROFILES: &'static [&'static str] = &NAMES;

    /// The preset of a named profile.
    #[must_use]
    pub fn profile(name: &str) -> Option<Self> {
        Profile::named(name).map(Self::preset)
    }

    /// Sets one setting by its name; the error says what was expected.
    ///
    /// # Errors
    /// An unknown key, or a value the key does not take.
    pub fn set(&mut self, key: &str, value: &str) -> Result<(), String> {
        let Some(setting) = Self::TABLE.iter().find(|setting| setting.name == key) else {
            let names: Vec<_> = Self::TABLE.iter().map(|setting| setting.name).collect();
            return Err(format!("unknown setting `{key}`: expected one of {}", names.join(", ")));
        };
        (setting.read)(self, value)
            .map_err(|wrong| format!("{key} = `{wrong}`: expected {}", setting.expected()))
    }

    /// Every setting and its value, as [`Self::set`] takes them.
    #[must_use]
    pub fn words(&self) -> Vec<(&'static str, String)> {
        Self::TABLE.iter().map(|setting| (setting.name, setting.print(self))).collect()
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
        let is_withheld = self.auth_requires_tls == Cure::Enforce && keyword == Verb::Auth.name();
        self.ehlo_keywords.iter().any(|known| known == keyword) && !is_stripped && !is_withheld
    }

    /// What cannot go together: the setting at fault, and what is wrong about it.
    #[must_use]
    pub fn conflict(&self) -> Option<(&'static str, String)> {
        let needs_stream = [
            (
                "tls_watch",
                self.tls_watch != TlsWatch::Off && self.permitted().contains(Verb::StartTls),
            ),
            ("require_tls", self.require_tls != Cure::Off),
            ("auth_requires_tls", self.auth_requires_tls == Cure::Enforce),
        ];
        let packet = needs_stream.into_iter().find(|(_, is_set)| *is_set);
        if let (Unit::Packet, Some((name, _))) = (self.unit, packet) {
            let found = self.words().into_iter().find(|(known, _)| *known == name);
            let found = found.map_or_else(String::new, |(_, value)| value);
            let message = format!("{name} = `{found}`: expected off where unit = \"packet\"");
            return Some((name, message));
        }
        let is_unfiltered = self.ehlo == EhloFilter::Pass && self.permitted().contains(Verb::Auth);
        (self.auth_requires_tls == Cure::Enforce && is_unfiltered).then(|| {
            let message = "auth_requires_tls = `enforce`: expected ehlo = \"allow-list\" or \
                           \"letters\" with it";
            ("auth_requires_tls", message.to_owned())
        })
    }
}

/// Far above what any server takes (Exim's own highest default is 50,000).
const RECIPIENTS_HIGHEST: u32 = 1_000_000;

#[cfg(test)]
mod tests;
