//! Why a packet was dropped or cut, or a flow reset: one countable value per cause.
//!
//! Each layer owns its causes; this joins them.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::guard::Rule;
use crate::smtp::Fault;
use crate::tcp::Violation;
use crate::tls;
use crate::wire::Malformed;

/// Why a packet was dropped or cut short, or its flow reset.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Reason {
    /// Not a packet we can read.
    Malformed(Malformed),
    /// TCP cannot say this here.
    Violation(Violation),
    /// The dialogue cannot go on like this.
    Fault(Fault),
    /// TLS cannot go on like this.
    Tls(tls::Fault),
    /// The profile ends flows that do this.
    Rule(Rule),
    /// Bytes that wait for a reply: behind DATA, STARTTLS or AUTH, or a BDAT that it decides about.
    AwaitingReply,
    /// An operator asked for it, for this flow or for all whose settings are in force no more.
    Cleared,
    /// The split terminator of CSCds90792 (only with `split_terminator = "bug"`).
    SplitTerminator,
    /// Bytes let through ahead of a gap turned out to be no message data.
    EarlyBytes,
    /// The flow was reset before.
    FlowReset,
    /// The flow had to make room for another: the table is full.
    FlowsFull,
    /// The filter met a fault of its own while judging it.
    OwnFault,
    /// Its bytes held more memory than any others' when there was no more.
    StorePressure,
    /// The beginning of the flow was not seen.
    UnknownFlow,
    /// It came in by another interface than its end's, or from the other end's link address.
    WrongInterface,
    /// The client speaks behind the server's FIN.
    ServerLeft,
}

impl Reason {
    /// The word used in logs and counters.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Malformed(malformed) => malformed.name(),
            Self::Violation(violation) => violation.name(),
            Self::Fault(fault) => fault.name(),
            Self::Tls(fault) => fault.name(),
            Self::Rule(rule) => rule.name(),
            Self::AwaitingReply => "awaiting-reply",
            Self::Cleared => "cleared",
            Self::SplitTerminator => "split-terminator",
            Self::EarlyBytes => "early-bytes",
            Self::FlowReset => "flow-reset",
            Self::FlowsFull => "flows-full",
            Self::OwnFault => "own-fault",
            Self::StorePressure => "store-pressure",
            Self::UnknownFlow => "unknown-flow",
            Self::WrongInterface => "wrong-interface",
            Self::ServerLeft => "server-left",
        }
    }

    /// Whether the same bytes may pass later, when their sender repeats them.
    #[must_use]
    pub const fn is_repeated_by_tcp(self) -> bool {
        matches!(
            self,
            Self::AwaitingReply
                | Self::Violation(
                    Violation::BeyondWindow
                        | Violation::OutOfOrder
                        | Violation::StoreFull
                        | Violation::TooManyGaps
                )
        )
    }
}

impl From<Malformed> for Reason {
    fn from(malformed: Malformed) -> Self {
        Self::Malformed(malformed)
    }
}

impl From<Violation> for Reason {
    fn from(violation: Violation) -> Self {
        Self::Violation(violation)
    }
}

impl From<Fault> for Reason {
    fn from(fault: Fault) -> Self {
        Self::Fault(fault)
    }
}

impl From<tls::Fault> for Reason {
    fn from(fault: tls::Fault) -> Self {
        Self::Tls(fault)
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
