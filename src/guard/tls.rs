//! What the settings say about TLS: about hellos, about an offer that is missing, and about what is
//! said in clear.

use serde::{Deserialize, Serialize};

use super::choice::{Cure, TlsMinimum, TlsWatch};
use super::settings::Settings;
use super::value::{Kind, Value, words_of};
use super::{Guard, Rule, Watch};
use crate::smtp::{Reply, Verb};
use crate::tls::{ClientHello, ServerHello, ServerName, Version};

/// A keyword shorter than this may be anybody's that only looks masked.
const MASKED_MIN: usize = 4;

/// What is to be done about something seen in a hello.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TlsRuling {
    /// It passes.
    Pass,
    /// It passes, but is worth a line in the log.
    Note(Rule),
    /// The flow ends here.
    Reset(Rule),
}

/// What a server's answer to EHLO says of STARTTLS.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Offer {
    /// It is offered.
    Made,
    /// It is not, but a keyword is there that somebody has masked.
    Masked,
    /// It is not.
    Missing,
}

/// What a client has said in clear.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Plain {
    /// MAIL.
    Mail {
        /// TLS was offered.
        is_offered: bool,
        /// It is the first of its flow.
        is_first: bool,
    },
    /// AUTH, for the first time in its flow, where that is to be told.
    Auth,
}

/// What a flow has shown of TLS as long as it is in clear.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Clear(u8);

impl Clear {
    const OFFERED: u8 = 1;
    const MASKED: u8 = 2;
    const HAD_MAIL: u8 = 4;
    const HAD_AUTH: u8 = 8;
    const MAIL_DUE: u8 = 16;
    const AUTH_DUE: u8 = 32;
    const OFFER_OWED: u8 = 64;

    const fn has(self, bit: u8) -> bool {
        self.0 & bit != 0
    }

    /// A line of the answer to EHLO, as the server sent it.
    pub(super) fn hear_offer(&mut self, reply: &Reply) {
        if !reply.is_later_line {
            self.0 &= !(Self::OFFERED | Self::MASKED | Self::OFFER_OWED);
            if reply.is_last {
                self.0 |= Self::OFFER_OWED;
            }
        }
        let keyword = reply.keyword.as_bytes();
        let is_x = |bytes: &[u8]| bytes.iter().all(|&byte| byte == b'X');
        let is_masked = keyword.split_last().is_some_and(|(last, head)| {
            keyword.len() >= MASKED_MIN && is_x(head) && last.is_ascii_uppercase()
        });
        if reply.is_later_line && keyword == Verb::StartTls.name().as_bytes() {
            self.0 |= Self::OFFERED;
        } else if reply.is_later_line && is_masked {
            self.0 |= Self::MASKED;
        }
    }

    /// A line of the client has passed.
    pub(super) fn hear_command(&mut self, verb: Option<Verb>) {
        match verb {
            Some(Verb::Mail) => self.0 |= Self::MAIL_DUE,
            Some(Verb::Auth) => self.0 |= Self::AUTH_DUE,
            _ => {}
        }
    }

    /// Whether the last answer to EHLO was one line, so that the offer may come later: a server
    /// that answered something before it twice, and late, is one reply behind.
    pub(super) const fn is_offer_owed(self) -> bool {
        self.has(Self::OFFER_OWED)
    }

    fn take(&mut self, bit: u8) -> bool {
        let had = self.has(bit);
        self.0 &= !bit;
        had
    }
}

impl Watch {
    /// What the last answer to EHLO said of STARTTLS, as the server sent it.
    #[must_use]
    pub const fn offer(&self) -> Offer {
        if self.reply.clear.has(Clear::OFFERED) {
            Offer::Made
        } else if self.reply.clear.has(Clear::MASKED) {
            Offer::Masked
        } else {
            Offer::Missing
        }
    }

    /// What the line that just ended was in clear, if that is worth knowing.
    pub fn take_plain(&mut self, guard: &Guard) -> Option<Plain> {
        if self.reply.clear.take(Clear::MAIL_DUE) {
            let is_first = !self.reply.clear.has(Clear::HAD_MAIL);
            self.reply.clear.0 |= Clear::HAD_MAIL;
            return Some(Plain::Mail {
                is_offered: self.reply.clear.has(Clear::OFFERED),
                is_first,
            });
        }
        let is_auth = self.reply.clear.take(Clear::AUTH_DUE)
            && guard.settings.tls_watch != TlsWatch::Off
            && !self.reply.clear.has(Clear::HAD_AUTH);
        if is_auth {
            self.reply.clear.0 |= Clear::HAD_AUTH;
        }
        is_auth.then_some(Plain::Auth)
    }
}

impl Guard {
    /// Rules on what a client offers.
    #[must_use]
    pub fn judge_client_hello(&self, hello: &ClientHello) -> TlsRuling {
        let settings = &self.settings;
        match (settings.tls_sni, &hello.server_name) {
            (Cure::Enforce, ServerName::Odd) => return TlsRuling::Reset(Rule::Sni),
            (Cure::Log, ServerName::Odd) => return TlsRuling::Note(Rule::Sni),
            _ => {}
        }
        settings.judge_version(hello.highest_version())
    }

    /// Rules on what a server chooses.
    #[must_use]
    pub fn judge_server_hello(&self, hello: &ServerHello) -> TlsRuling {
        self.settings.judge_version(hello.version)
    }

    /// Rules on a handshake under keys: its hello may say what the one in clear may not.
    #[must_use]
    pub const fn judge_renegotiation(&self) -> TlsRuling {
        match self.settings.tls_sni {
            Cure::Enforce => TlsRuling::Reset(Rule::Sni),
            Cure::Off | Cure::Log => TlsRuling::Pass,
        }
    }

    /// Whether the name asked for is none of those expected.
    #[must_use]
    pub fn is_foreign_name(&self, hello: &ClientHello) -> bool {
        match &hello.server_name {
            ServerName::Host(name) => !self.settings.tls_names.admit(name),
            ServerName::Absent | ServerName::Odd => false,
        }
    }
}

impl Settings {
    fn judge_version(&self, version: Version) -> TlsRuling {
        match self.tls_minimum.version() {
            Some(minimum) if version < minimum => TlsRuling::Reset(Rule::TlsMinimum),
            Some(_) | None => TlsRuling::Pass,
        }
    }
}

impl TlsMinimum {
    /// The lowest version that may be agreed on.
    const fn version(self) -> Option<Version> {
        match self {
            Self::Off => None,
            Self::Tls10 => Some(Version::TLS10),
            Self::Tls11 => Some(Version::TLS11),
            Self::Tls12 => Some(Version::TLS12),
            Self::Tls13 => Some(Version::TLS13),
        }
    }
}

/// Names of hosts, in lower case; `*.` stands for any first label.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Names(Vec<String>);

impl Names {
    /// Whether a name is one of them; any is where there are none.
    fn admit(&self, name: &str) -> bool {
        let name = name.trim_end_matches('.').to_ascii_lowercase();
        let behind = name.split_once('.').map(|(_, behind)| behind);
        self.0.is_empty()
            || self.0.iter().any(|known| match known.strip_prefix("*.") {
                Some(domain) => behind == Some(domain),
                None => *known == name,
            })
    }
}

impl Value for Names {
    const KIND: Kind = Kind::List;

    fn parse(text: &str) -> Result<Self, &str> {
        let mut names = Vec::new();
        for name in words_of(text) {
            let plain = name.strip_prefix("*.").unwrap_or(name);
            let is_name = |byte: u8| byte.is_ascii_alphanumeric() || b"-._".contains(&byte);
            if plain.is_empty() || !plain.bytes().all(is_name) {
                return Err(name);
            }
            names.push(name.to_ascii_lowercase());
        }
        Ok(Self(names))
    }

    fn print(&self) -> String {
        self.0.join(",")
    }

    fn expected() -> String {
        "names of hosts, or *. and a domain".to_owned()
    }
}

#[cfg(test)]
mod tests;
