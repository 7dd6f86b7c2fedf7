//! The settings of a profile: one table of all there are.
//!
//! Each row declares a setting once: what it is for, its name, its type, and its preset in each
//! profile. The struct, the presets, what [`Settings::set`] takes, what `mailguard profiles` prints
//! and what is said about a wrong value are all made from the rows.

use super::extension::MANY_REPLIES;
use super::map::PolicyMap;
use super::patches::Patches;
use super::pattern::Patterns;
use super::profile::{ASA_KEYWORDS, ESMTP, ESMTP_KEYWORDS, Profile, SEVEN, SIXTEEN, owned};
use super::tls::Names;
use super::value::{
    ByteLimit, Bytes, CountLimit, Kind, Limit, LineLimit, Mechanisms, Value, VerbSet,
};
use super::verbs::Verbs;
use crate::smtp::{DataBegins, Verb};

pub(super) use super::choice::{
    AddressScan, Banner, BareLastLine, Cure, EhloFilter, EnvelopeRules, HttpWords, LongLines,
    Lookalikes, ParameterRules, ProxyProtocol, Refusal, SplitAction, SplitScope, SplitTerminator,
    StartTls, SyslogNames, Tls, TlsMinimum, TlsWatch, Unit,
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
    /// The highest it takes, if it is a limit.
    pub highest: Option<u32>,
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
                highest: <$type as Value>::HIGHEST,
                expected: <$type as Value>::expected,
                read: |settings, text| {
                    settings.$name = Value::parse(text)?;
                    Ok(())
                },
                print: |settings| settings.$name.print(),
            },)+];

            /// What a profile presets.
            #[must_use]
            pub fn preset(profile: Profile) -> Self {
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
    verbs: Verbs = [SEVEN, ESMTP, SEVEN, SEVEN, SEVEN, SEVEN, SEVEN, SIXTEEN];

    /// What a refused line becomes.
    refusal: Refusal = Refusal::[X, X, Noop, Noop, Noop, Noop, FirstWord, FirstWord];

    /// What is looked at as one: the byte stream, or each packet as the original did.
    unit: Unit = Unit::[Stream, Stream, Packet, Packet, Packet, Packet, Packet, Packet];

    /// What the greeting's text becomes.
    banner: Banner = Banner::[
        Pix51, Domain, Cmap, Stars, Pix51All, Pix51All, Pix51All, StarText
    ];

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

    /// What is done about arguments that are not as the grammar of their verb wants them.
    envelope: EnvelopeRules = EnvelopeRules::[Lenient, Lenient, Off, Off, Off, Off, Off, Off];

    /// What is done about parameters that the server has not offered, where `envelope` is not off.
    parameters: ParameterRules = ParameterRules::[Offered, Log, Any, Any, Any, Any, Any, Any];

    /// Bytes that are refused in a recipient's local part.
    recipient_refuse: Bytes = ["$`|", "", "", "", "", "", "", ""];

    /// Bytes that are refused in a sender's local part.
    sender_refuse: Bytes = ["", "", "", "", "", "", "", ""];

    /// Mechanisms that AUTH may ask for, or any.
    auth_mechanisms: Mechanisms = [any(), any(), any(), any(), any(), any(), any(), any()];

    /// Names that nobody may have in HELO or EHLO: the flow is reset.
    hello_refuse: Patterns = [
        named(), named(), named(), named(), named(), named(), named(), named()
    ];

    /// Whether mail has to wait for TLS: if so, little else than STARTTLS passes in clear text.
    require_tls: Tls = Tls::[
        Optional, Optional, Optional, Optional, Optional, Optional, Optional, Optional
    ];

    /// Whether AUTH has to: if so, it is neither offered nor passed in clear text.
    auth_requires_tls: Tls = Tls::[
        Optional, Optional, Optional, Optional, Optional, Optional, Optional, Optional
    ];

    /// What is done about a header of the PROXY protocol; only an exception with a client has it.
    proxy_protocol: ProxyProtocol = ProxyProtocol::[
        Refuse, Refuse, Refuse, Refuse, Refuse, Refuse, Refuse, Refuse
    ];

    /// What is done about commands out of their order.
    order: Cure = Cure::[Enforce, Enforce, Off, Off, Off, Off, Off, Off];

    /// What is done about a reply of several lines whose last is a code without text.
    bare_last_line: BareLastLine = BareLastLine::[Log, Log, Pass, Pass, Pass, Pass, Pass, Pass];

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

    // RFC 5321 allows 64 and 256; mailing lists and rewritten senders (SRS) have more.

    /// The bytes of a local part beyond which the flow is reset.
    local_part_max: LineLimit = [256, 256, 0, 0, 0, 0, 0, 0];

    /// The same of a path, its brackets not counted.
    path_max: LineLimit = [512, 512, 0, 0, 0, 0, 0, 0];

    // Postfix hangs up behind 20 errors, Exchange behind 5. Here a list with dead addresses would
    // never get through.

    /// The recipients that the server refuses for good, in a connection.
    rejected_recipients_max: CountLimit =
        [log(20), log(20), none(), none(), none(), none(), none(), none()];

    // Exim takes 10 commands that are no mail.

    /// The failed authentications in a connection.
    failed_auth_max: CountLimit = [10, 10, 0, 0, 0, 0, 0, 0];

    // Postfix takes 100, sendmail 20 NOOP, 6 VRFY, 8 ETRN and 3 HELO.

    /// The NOOP, RSET, VRFY, EXPN, ETRN, HELP, HELO and EHLO since the last message.
    idle_commands_max: CountLimit =
        [end(100), log(100), none(), none(), none(), none(), none(), none()];

    // Postfix takes 20, sendmail 25, Exchange 5, Exim 3.

    /// The lines that are refused here, in a connection.
    refused_lines_max: CountLimit = [25, 50, 0, 0, 0, 0, 0, 0];

    // Many of them crash a Dovecot before 2.3.10.1 (CVE-2020-10958).

    /// The empty lines in a row.
    empty_lines_max: CountLimit = [20, 20, 0, 0, 0, 0, 0, 0];

    /// The messages in a connection.
    messages_max: CountLimit = [0, 0, 0, 0, 0, 0, 0, 0];

    // A Postfix from 3.4 on suffers from very many (its history, 20260805).

    /// The chunks below 64 octets in a message.
    chunks_small_max: CountLimit = [1_000, 1_000, 0, 0, 0, 0, 0, 0];

    // Exim takes less than 1 MiB, and loses its place in what is larger; Exchange takes 256 KiB;
    // Postfix keeps 100 KiB, sendmail 32 KiB.

    /// The bytes of a message's header.
    header_bytes_max: ByteLimit = [1_000_000, 1_000_000, 0, 0, 0, 0, 0, 0];

    // RFC 5322 allows 998 in a line of a message. Real mail has longer ones: an ASA's Class 4
    // loses it, and its Class 3 only logs.

    /// The bytes of a line of it.
    header_line_max: LineLimit = [0, 0, 0, 0, 0, 0, 0, 998];

    // Haraka takes 1,000 lines.

    /// Its fields.
    header_fields_max: CountLimit =
        [log(2_000), log(2_000), none(), none(), none(), none(), none(), none()];

    /// The bytes of a message's body.
    body_bytes_max: ByteLimit = [0, 0, 0, 0, 0, 0, 0, 0];

    /// The bytes of a line of it.
    body_line_max: LineLimit =
        [none(), none(), none(), none(), none(), none(), none(), log(998)];

    // Exim takes 50 MiB, and may lose its place in a message that is larger. Where a server says
    // behind SIZE what it takes (RFC 1870), the text beyond that leaves masked, unless this is 0.

    /// The bytes of a message that a server takes which has not said so, CRLF counted as one.
    size_assumed: ByteLimit = [52_428_800, 52_428_800, 0, 0, 0, 0, 0, 0];

    /// What is done about known holes of mail servers.
    patches: Patches = [
        Patches::preset(), Patches::preset(), Patches::off(), Patches::off(), Patches::off(),
        Patches::off(), Patches::off(), Patches::off()
    ];

    /// Whose messages the syslog has for what PIX and ASA had one.
    syslog_names: SyslogNames = SyslogNames::[Own, Own, Pix, Pix, Pix, Pix, Pix, Asa];

    /// The rows of an ASA's policy map, in its order: their places are its message's classes.
    asa_map: PolicyMap = [
        PolicyMap::none(), PolicyMap::none(), PolicyMap::none(), PolicyMap::none(),
        PolicyMap::none(), PolicyMap::none(), PolicyMap::none(), PolicyMap::preset()
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
    /// The preset of a named profile.
    #[must_use]
    pub fn profile(name: &str) -> Option<Self> {
        Profile::named(name).map(Self::preset)
    }

    /// Sets one setting by its name; the error is the part of the two that is wrong.
    ///
    /// # Errors
    /// An unknown key, or a value the key does not take.
    pub fn set<'a>(&mut self, key: &'a str, value: &'a str) -> Result<(), &'a str> {
        let setting = Self::TABLE.iter().find(|setting| setting.name == key).ok_or(key)?;
        setting.read(self, value)
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
            StartTls::Allow | StartTls::AllowLog => self.verbs.known,
            StartTls::Strip => self.verbs.known.without(VerbSet::of(&[Verb::StartTls])),
        }
    }

    /// The verbs of these that have to wait for TLS.
    #[must_use]
    pub fn tls_only(&self) -> VerbSet {
        let is_required =
            |tls, verbs| if tls == Tls::Required { verbs } else { VerbSet::default() };
        let mail = is_required(self.require_tls, NOT_IN_CLEAR);
        is_required(self.auth_requires_tls, VerbSet::of(&[Verb::Auth])).with(mail)
    }

    /// Whether the site's own verbs have to wait for TLS.
    pub(super) fn wants_tls_for_own_verbs(&self) -> bool {
        self.require_tls == Tls::Required
    }

    /// Whether this EHLO keyword may stay.
    #[must_use]
    pub fn permits_keyword(&self, keyword: &str) -> bool {
        self.ehlo_keywords.iter().any(|known| known == keyword)
            && !self.stripped().any(|stripped| stripped == keyword)
    }

    /// Whether an argument that is not as its grammar wants it is refused.
    #[must_use]
    pub const fn enforces_grammar(&self) -> bool {
        matches!(self.envelope, EnvelopeRules::Lenient | EnvelopeRules::Strict)
    }

    /// Whether AUTH may ask for some mechanisms alone.
    pub(super) fn lists_mechanisms(&self) -> bool {
        self.enforces_grammar() && !self.auth_mechanisms.is_any()
    }

    /// What cannot go together: the setting at fault, and what is wrong about it.
    #[must_use]
    pub fn conflict(&self) -> Option<(&'static str, String)> {
        let is_watched = self.tls_watch != TlsWatch::Off;
        let is_wrong = self.unit == Unit::Packet && is_watched && self.starttls.is_allowed();
        is_wrong.then(|| {
            let found = self.tls_watch.print();
            let message =
                format!("tls_watch: `{found}` found, expected off with unit = \"packet\"");
            ("tls_watch", message)
        })
    }

    /// Keywords of a list that nobody is to be offered.
    fn stripped(&self) -> impl Iterator<Item = &'static str> {
        let is_stripped = self.starttls == StartTls::Strip || !self.verbs.contains(Verb::StartTls);
        is_stripped.then_some(Verb::StartTls.name()).into_iter().chain(self.withheld())
    }

    /// Keywords that nobody is to be offered, listed or not.
    pub(super) fn withheld(&self) -> impl Iterator<Item = &'static str> {
        let auth = (self.auth_requires_tls == Tls::Required).then_some(Verb::Auth.name());
        let many = (self.unit == Unit::Stream).then_some(MANY_REPLIES);
        auth.into_iter().chain(many)
    }
}

/// What a server that requires TLS answers with 530 before that (RFC 3207 4).
const NOT_IN_CLEAR: VerbSet = VerbSet::of(&Verb::ALL).without(VerbSet::of(&[
    Verb::Ehlo,
    Verb::Helo,
    Verb::Noop,
    Verb::Quit,
    Verb::Rset,
    Verb::StartTls,
]));

/// A limit beyond which the connection is logged.
const fn log<const HIGHEST: u32>(count: u32) -> Limit<HIGHEST> {
    Limit::logged(count)
}

/// A limit beyond which it is reset.
fn end(count: u32) -> CountLimit {
    CountLimit::from(count)
}

/// No limit.
fn none<const HIGHEST: u32>() -> Limit<HIGHEST> {
    Limit::from(0)
}

/// No name is refused.
fn named() -> Patterns {
    Patterns::default()
}

/// No mechanism is refused.
fn any() -> Mechanisms {
    Mechanisms::default()
}

/// Far above what any server takes (Exim's own highest default is 50,000).
const RECIPIENTS_HIGHEST: u32 = 1_000_000;

#[cfg(test)]
mod tests;
