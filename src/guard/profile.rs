//! The presets: every generation of Mailguard, and what a server of today wants.
//!
//! What each release of the original did is known with different certainty. Chosen where no source
//! decides: the releases from 4.1 to 5.2.4 answer OK by way of NOOP, those from 6.3 on 500 by way
//! of X; ASA's masked keywords lose their parameters too; its 27th masked keyword begins the
//! alphabet again. Each of these is a setting of its own.

use super::settings::{
    AddressScan, Banner, EhloFilter, LongLines, Lookalikes, Refusal, Settings, SplitAction,
    SplitScope, SplitTerminator, StartTls, Unit, VerbSet,
};
use crate::smtp::{DataBegins, Verb};

/// The names of all profiles.
pub(super) const NAMES: &[&str] =
    &["mailguard", "esmtp", "pix-4.1", "pix-4.4", "pix-5.1", "pix-5.2.4", "pix-6.3", "asa"];

/// RFC 821 4.5.1's minimum, all that Mailguard ever let through: "the seven".
const SEVEN: VerbSet = VerbSet::of(&[
    Verb::Helo,
    Verb::Mail,
    Verb::Rcpt,
    Verb::Data,
    Verb::Rset,
    Verb::Noop,
    Verb::Quit,
]);

/// What `inspect esmtp` lets through.
const FIFTEEN: VerbSet = SEVEN.with(&[
    Verb::Auth,
    Verb::Ehlo,
    Verb::Etrn,
    Verb::Help,
    Verb::Saml,
    Verb::Send,
    Verb::Soml,
    Verb::Vrfy,
]);

/// Keywords seen unmasked behind an ASA; STARTTLS among them where `allow-tls` is set.
const ASA_KEYWORDS: [&str; 10] = [
    "8BITMIME",
    "AUTH",
    "CHECKPOINT",
    "DSN",
    "ENHANCEDSTATUSCODES",
    "ETRN",
    "PIPELINING",
    "SIZE",
    "STARTTLS",
    "VRFY",
];

/// Extensions whose commands and replies are understood here, or need no understanding.
const ESMTP_KEYWORDS: [&str; 16] = [
    "8BITMIME",
    "AUTH",
    "BINARYMIME",
    "CHUNKING",
    "DELIVERBY",
    "DSN",
    "ENHANCEDSTATUSCODES",
    "ETRN",
    "HELP",
    "LIMITS",
    "PIPELINING",
    "REQUIRETLS",
    "SIZE",
    "SMTPUTF8",
    "STARTTLS",
    "VRFY",
];

/// The preset of a profile.
pub(super) fn preset(name: &str) -> Option<Settings> {
    let preset = match name {
        "mailguard" => mailguard(),
        "esmtp" => Settings {
            verbs: FIFTEEN.with(&[Verb::StartTls, Verb::Bdat]),
            banner: Banner::Domain,
            ehlo: EhloFilter::AllowList,
            ehlo_keywords: owned(&ESMTP_KEYWORDS),
            starttls: StartTls::Allow,
            address_scan: AddressScan::Log,
            long_lines: LongLines::Log,
            ..mailguard()
        },
        "pix-4.1" => Settings { banner: Banner::Cmap, ..pix() },
        "pix-4.4" => Settings { banner: Banner::Stars, ..pix() },
        "pix-5.1" => pix(),
        // The release that mended the split terminator opened the data state again (CSCdu47003).
        "pix-5.2.4" => Settings { split_terminator: SplitTerminator::Fixed, ..pix() },
        "pix-6.3" => Settings {
            refusal: Refusal::X,
            data_begins: DataBegins::OnReply,
            split_terminator: SplitTerminator::Fixed,
            ..pix()
        },
        "asa" => Settings {
            // STARTTLS is the sixteenth: `starttls`, which strips it by default, decides alone.
            verbs: FIFTEEN.with(&[Verb::StartTls]),
            refusal: Refusal::X,
            banner: Banner::StarText,
            ehlo: EhloFilter::Letters,
            ehlo_keywords: owned(&ASA_KEYWORDS),
            data_begins: DataBegins::OnReply,
            address_scan: AddressScan::Off,
            split_terminator: SplitTerminator::Fixed,
            ..pix()
        },
        _ => return None,
    };
    Some(preset)
}

fn mailguard() -> Settings {
    Settings {
        verbs: SEVEN,
        refusal: Refusal::X,
        unit: Unit::Stream,
        banner: Banner::Pix51,
        ehlo: EhloFilter::Pass,
        ehlo_keywords: Vec::new(),
        starttls: StartTls::Strip,
        data_begins: DataBegins::OnReply,
        address_scan: AddressScan::Replace,
        long_lines: LongLines::Pass,
        lookalikes: Lookalikes::Neutralise,
        split_terminator: SplitTerminator::Fixed,
        split_scope: SplitScope::CrlfDotCrlf,
        split_action: SplitAction::Drop,
    }
}

/// What the releases before 5.2(4) have in common.
fn pix() -> Settings {
    Settings {
        refusal: Refusal::Noop,
        unit: Unit::Packet,
        data_begins: DataBegins::OnCommand,
        lookalikes: Lookalikes::Pass,
        split_terminator: SplitTerminator::Bug,
        ..mailguard()
    }
}

fn owned(keywords: &[&str]) -> Vec<String> {
    keywords.iter().map(|&keyword| keyword.to_owned()).collect()
}
