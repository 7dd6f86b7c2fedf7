//! Settings with a fixed choice of values: each value beside its word and what it does.

use super::value::{Kind, Value};
use crate::smtp::DataBegins;

/// Gives a type its words.
macro_rules! words {
    ($name:ident: $($choice:ident = $word:literal,)+) => {
        impl Value for $name {
            const KIND: Kind = Kind::Word;

            fn parse(text: &str) -> Result<Self, &str> {
                match text {
                    $($word => Ok(Self::$choice),)+
                    _ => Err(text),
                }
            }

            fn print(&self) -> String {
                match self {
                    $(Self::$choice => $word.to_owned(),)+
                }
            }

            fn expected() -> String {
                [$($word),+].join(" or ")
            }
        }
    };
}

/// Declares a setting's type and its words.
macro_rules! choices {
    ($(#[$doc:meta])* $name:ident {
        $($(#[$choice_doc:meta])* $choice:ident = $word:literal,)+
    }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum $name {
            $($(#[$choice_doc])* $choice,)+
        }

        words! { $name: $($choice = $word,)+ }
    };
}

words! { DataBegins: OnReply = "on-354", OnCommand = "on-data", }

choices! {
    /// What a refused line becomes.
    Refusal {
        /// X to its end: the server answers 500.
        X = "x",
        /// X as far as its first word goes, the rest as it came (PIX 6.3, ASA). A line without a
        /// word is X to its end; by the stream, so is one that begins with a space.
        FirstWord = "x-word",
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
        /// The same for all that stands behind the first line's code, so that later lines but the
        /// last lose their `-`.
        Pix51All = "pix-5.1-all",
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
        /// It passes; once both sides have begun TLS, behind the 220, the flow is not read.
        Allow = "allow",
        /// The same, and an ASA's message tells of it (its `allow-tls action log`).
        AllowLog = "allow log",
        /// Neither the keyword nor the verb passes.
        Strip = "strip",
    }
}

impl StartTls {
    /// Whether it passes.
    #[must_use]
    pub const fn is_allowed(self) -> bool {
        matches!(self, Self::Allow | Self::AllowLog)
    }
}

choices! {
    /// Whose messages the syslog has, where a PIX or an ASA had one.
    SyslogNames {
        /// Our own for everything.
        Own = "own",
        /// A PIX's: `%PIX-2-108002`.
        Pix = "pix",
        /// An ASA's: `%ASA-2-108002`, `%ASA-6-108007`, and of its policy map `%ASA-4-108004`.
        Asa = "asa",
        /// The same with the severities of today's guide: `%ASA-3-507003`.
        AsaGuide = "asa-guide",
    }
}

impl SyslogNames {
    /// Whether they are an ASA's.
    #[must_use]
    pub const fn is_asa(self) -> bool {
        matches!(self, Self::Asa | Self::AsaGuide)
    }
}

choices! {
    /// What is done about characters in MAIL and RCPT that define no address.
    AddressScan {
        /// Nothing.
        Off = "off",
        /// What an ASA calls special characters is logged: `|`, a back quote or a NUL in a path.
        Log = "log",
        /// They become spaces, as the originals did: some servers deliver what is left to somebody
        /// else.
        Replace = "replace",
        /// The rest of the line becomes what every server refuses.
        Refuse = "refuse",
    }
}

choices! {
    /// What is done about a command line longer than RFC 5321 and the offered extensions allow.
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
    /// What is done about a client that speaks another protocol.
    HttpWords {
        /// Nothing: its lines are refused as any others.
        Pass = "pass",
        /// The flow is reset.
        Reset = "reset",
    }
}

choices! {
    /// What is done about false ends of message data.
    Lookalikes {
        /// The line end that makes it one becomes X.
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

choices! {
    /// What is done about lines that are not as the grammar of the envelope wants them.
    EnvelopeRules {
        /// Nothing.
        Off = "off",
        /// What the lenient rules find is logged.
        Log = "log",
        /// What no known sender says, or what every server refuses, is refused.
        Lenient = "lenient",
        /// What RFC 5321 does not know is refused: for who knows his senders.
        Strict = "strict",
    }
}

choices! {
    /// What is done about parameters of MAIL and RCPT that the server has not offered.
    ParameterRules {
        /// Nothing.
        Any = "any",
        /// They are logged.
        Log = "log",
        /// They are refused.
        Offered = "offered",
    }
}

choices! {
    /// What is done about something that ought not to be.
    Cure {
        /// Nothing.
        Off = "off",
        /// It is logged and counted.
        Log = "log",
        /// It is also put an end to.
        Enforce = "enforce",
    }
}

choices! {
    /// What is done about a reply of several lines whose last has nothing but its code, at which
    /// some clients read beyond the line's end (CVE-2020-8794).
    BareLastLine {
        /// Nothing.
        Pass = "pass",
        /// It is logged.
        Log = "log",
        /// Its CR becomes a space.
        Space = "space",
    }
}

choices! {
    /// How long TLS is followed, record by record.
    TlsWatch {
        /// Not at all: behind the first three bytes of each side the flow is handed over.
        Off = "off",
        /// Until both sides are under keys; then the flow is handed over.
        Handshake = "handshake",
        /// To its end.
        All = "all",
    }
}

choices! {
    /// Whether something asks for TLS.
    Tls {
        /// It does.
        Required = "required",
        /// It passes in clear text too.
        Optional = "optional",
    }
}

choices! {
    /// What is done about a header of the PROXY protocol, version 1 or 2, at the very beginning.
    ProxyProtocol {
        /// It is a line like any other.
        Refuse = "refuse",
        /// It passes, and nothing answers it.
        Pass = "pass",
    }
}

choices! {
    /// The lowest version of TLS that may be agreed on.
    TlsMinimum {
        /// Any.
        Off = "off",
        /// No SSL.
        Tls10 = "1.0",
        /// TLS 1.1.
        Tls11 = "1.1",
        /// TLS 1.2.
        Tls12 = "1.2",
        /// TLS 1.3.
        Tls13 = "1.3",
    }
}
