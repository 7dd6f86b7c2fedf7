//! TLS as far as it can be read without keys: the framing of records, the hello of either side, and
//! whether what is said there may be said (RFC 8446, RFC 5246).
//!
//! Bytes go in as they come off the two streams, in order; which of them have to keep their value
//! comes out, how many behind them need none, and what was seen. Names no module of ours but that
//! of who speaks: it knows no packets, no offsets, no policy. Names are those of RFC 8446.

mod cursor;
mod fingerprint;
mod flight;
mod hello;
mod names;
mod offer;
mod record;
mod table;
mod watch;

pub use fingerprint::fingerprint;
pub use hello::{ClientHello, ServerHello, ServerName, Version};
pub use names::{alert_name, group_name, suite_name};
pub use offer::ClientOffer;
pub use watch::{Data, Standing, Volume, Watch};

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::speaker::Speaker;

/// What some bytes at the front of the input are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// So many bytes decide something: they have one value, for ever.
    pub used: usize,
    /// So many behind them, in the input or yet to come, decide nothing.
    pub skipped: u32,
    /// What they showed.
    pub seen: Option<Seen>,
    /// What is wrong about them; nothing behind it is to be read.
    pub fault: Option<Fault>,
}

/// What was seen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Seen {
    /// A whole ClientHello.
    ClientHello(Box<ClientHello>),
    /// A whole ServerHello, or the HelloRetryRequest that looks like one.
    ServerHello(Box<ServerHello>),
    /// An alert, and its description where that is in clear.
    Alert(Option<u8>),
    /// From here on this side's records are under keys.
    Sealed,
    /// A second handshake under the keys of the first (TLS 1.2 and before).
    Renegotiation,
}

/// How a side breaks TLS.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Fault {
    /// A record behind the alert that closed its side.
    AfterClose,
    /// More alerts than anybody needs (CVE-2016-8610).
    AlertFlood,
    /// A ChangeCipherSpec of a wrong length or value, or one too many.
    BadCcs,
    /// A ChangeCipherSpec before there can be keys (CVE-2014-0224).
    EarlyCcs,
    /// A hello that cannot be read whole.
    HelloMalformed,
    /// A hello longer than a record.
    HelloTooLong,
    /// The first thing said is no hello.
    NoHello,
    /// No record begins with this byte.
    NotTls,
    /// A record of a length that none can have.
    RecordLength,
    /// A record of a type that cannot come here.
    RecordType,
    /// A version that no TLS has.
    RecordVersion,
    /// The server speaks before it was spoken to.
    ServerFirst,
    /// The hello of SSL 2.
    Sslv2Hello,
    /// Text where records were (CVE-2026-45185).
    TextAfterTls,
}

impl Fault {
    /// The word used in logs and counters.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::AfterClose => "after-close",
            Self::AlertFlood => "alert-flood",
            Self::BadCcs => "bad-ccs",
            Self::EarlyCcs => "early-ccs",
            Self::HelloMalformed => "hello-malformed",
            Self::HelloTooLong => "hello-too-long",
            Self::NoHello => "no-hello",
            Self::NotTls => "not-tls",
            Self::RecordLength => "record-length",
            Self::RecordType => "record-type",
            Self::RecordVersion => "record-version",
            Self::ServerFirst => "server-first",
            Self::Sslv2Hello => "sslv2-hello",
            Self::TextAfterTls => "text-after-tls",
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests;
