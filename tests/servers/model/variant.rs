//! What servers do differently, as data: servers that are known, and what a seed mixes.

use super::choice::Choice;

/// What a server does with a line longer than its buffer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Overflow {
    /// What fits is a line, what follows is the next (Exim; sendmail within AUTH).
    Split,
    /// What fits is run, the rest is skipped (Postfix).
    Head,
    /// All of it is skipped and answered 500 (aiosmtpd).
    Skip,
    /// The connection ends (OpenSMTPD).
    Close,
}

/// What a server does with a NUL in a command line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Nul {
    Kept,
    Dropped,
    /// The line ends there for whoever reads it as a C string.
    Cuts,
}

/// How a server finds the verb.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Word {
    /// Up to the first space.
    Whole,
    /// Up to the first byte that is no letter.
    Letters,
    /// The first letters, whatever follows them.
    Leading,
}

/// What a server skips before the verb.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lead {
    Nothing,
    /// Spaces and tabs (Postfix).
    Blanks,
    /// All that is no letter.
    NoLetters,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Greeting {
    One,
    /// One reply of several lines.
    Lines,
    /// Two replies.
    Twice,
    /// 554, and then only QUIT is taken.
    Refusal,
}

/// How a server answers BDAT.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Chunks {
    /// Not offered; the octets are lines.
    Unknown,
    /// Offered; octets of a refused BDAT are swallowed (Postfix).
    Swallowed,
    /// The same, but behind a chunk of nothing all is lines up to RSET (Exim).
    SwallowedUntilNone,
    /// Offered; octets of a refused BDAT are lines (Postfix where TLS is a must).
    Read,
    /// The same, and refused is every BDAT that is not as RFC 3030 has it (Dovecot).
    Strict,
}

impl Chunks {
    /// Whether the octets of a refused BDAT are lines.
    pub const fn reads_refused(self) -> bool {
        matches!(self, Self::Read | Self::Strict)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Auth {
    Unknown,
    /// 235.
    Taken,
    /// 535.
    Refused,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StartTls {
    Unknown,
    Refused,
    Begins,
}

/// A breach of protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Breach {
    None,
    /// The reply is said twice.
    Doubled,
    /// The reply is not said.
    Missing,
    /// The reply is a refusal that begins with no code.
    WithoutCode,
    /// Another reply stands before it.
    Unasked,
    /// A line that begins with no code stands before it.
    Noise,
    /// It changes places with the next.
    Swapped,
    /// 421, and the connection ends.
    Leaves,
    /// The connection ends without a word.
    Vanishes,
    /// A final reply in the middle of message data, which is then read to its end, in silence.
    InsideData,
    /// The same, but what follows is read as commands.
    DropsData,
    /// What has come behind the end of a message by then is never read (Courier).
    Forgets,
}

/// Which reply the breach is in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum On {
    /// So many replies after the greeting.
    Reply(usize),
    /// The first to this verb.
    Verb(&'static str),
    /// Behind so many bytes of message data.
    Data(usize),
}

/// Ends of data beside CRLF.CRLF that some server takes (mail servers of 2023 and before), in the
/// order of the bits of [`Variant::ends`]. What a server sees at a bare CR behind CRLF-dot is not
/// among them: `limits::BEYOND` says why.
pub const ENDS: [&[u8]; 16] = [
    b"\n.\n",
    b"\n.\r\n",
    b"\r\n.\n",
    b"\r\n.\r\r\n",
    b"\r\r\n.\r\r\n",
    b"\r.\r",
    b"\r.\n",
    b"\r.\r\n",
    b"\r\n. \r\n",
    b"\r\n.\x0b\x0c\n",
    b"\n.\t\n",
    b"\r\n.\r \r\n",
    b"\r\n.\r\t\n",
    b"\n.y\n",
    b"\n.X\n",
    b"\r\n.\xc2\xa0\xe2\x80\x8b\x01\r\n",
];

/// A kind of server.
#[derive(Clone, Debug)]
pub struct Variant {
    pub name: &'static str,
    /// Bytes of a line that are read at once, its end included.
    pub line_max: usize,
    /// The same for AUTH and what follows 334; never below RFC 4954's length but for sendmail.
    pub auth_line_max: usize,
    pub overflow: Overflow,
    pub nul: Nul,
    /// NULs in message data are dropped before its end is looked for.
    pub drops_data_nul: bool,
    /// A bare CR ends a command line.
    pub cr_ends: bool,
    /// A line with a bare CR is refused (Dovecot).
    pub refuses_cr: bool,
    /// An empty line is answered.
    pub answers_empty: bool,
    pub word: Word,
    pub lead: Lead,
    /// Which of [`ENDS`] it takes.
    pub ends: u16,
    pub greeting: Greeting,
    pub knows_ehlo: bool,
    /// A second HELO or EHLO is refused, and changes nothing.
    pub refuses_second_hello: bool,
    /// DATA needs a recipient that was accepted.
    pub needs_recipient: bool,
    /// MAIL, RCPT and all that follows are answered 530.
    pub wants_tls: bool,
    /// Of the recipients every other is refused.
    pub refuses_recipients: bool,
    pub chunks: Chunks,
    /// DATA is refused, and then all but RSET (E-MailRelay, where BODY=BINARYMIME was said).
    pub refuses_data: bool,
    pub auth: Auth,
    pub starttls: StartTls,
    pub offers_pipelining: bool,
    /// Hangs up on a first word of HTTP (Postfix, sendmail).
    pub has_http_guard: bool,
    pub breach: Breach,
    pub breach_on: On,
}

/// What the measured servers have in common.
const PLAIN: Variant = Variant {
    name: "strict",
    line_max: 16_384,
    auth_line_max: 16_384,
    overflow: Overflow::Skip,
    nul: Nul::Kept,
    drops_data_nul: false,
    cr_ends: false,
    refuses_cr: false,
    answers_empty: true,
    word: Word::Whole,
    lead: Lead::Nothing,
    ends: 0,
    greeting: Greeting::One,
    knows_ehlo: true,
    refuses_second_hello: false,
    needs_recipient: true,
    wants_tls: false,
    refuses_recipients: false,
    chunks: Chunks::Swallowed,
    refuses_data: false,
    auth: Auth::Taken,
    starttls: StartTls::Begins,
    offers_pipelining: true,
    has_http_guard: false,
    breach: Breach::None,
    breach_on: On::Reply(0),
};

/// The servers that were measured, one by the letter of the RFCs, and Dovecot by its source.
pub const KNOWN: [Variant; 8] = [
    PLAIN,
    Variant {
        name: "postfix",
        line_max: 2_048,
        auth_line_max: 12_288,
        overflow: Overflow::Head,
        lead: Lead::Blanks,
        // Before 3.9, without smtpd_forbid_bare_newline.
        ends: 0b1_1111,
        has_http_guard: true,
        ..PLAIN
    },
    Variant {
        name: "postfix with smtpd_tls_security_level = encrypt",
        line_max: 2_048,
        auth_line_max: 12_288,
        overflow: Overflow::Head,
        lead: Lead::Blanks,
        wants_tls: true,
        chunks: Chunks::Read,
        ends: 0b1_1111,
        has_http_guard: true,
        ..PLAIN
    },
    Variant {
        name: "exim",
        overflow: Overflow::Split,
        ends: 0b111,
        nul: Nul::Cuts,
        chunks: Chunks::SwallowedUntilNone,
        ..PLAIN
    },
    Variant {
        name: "opensmtpd",
        line_max: 65_535,
        auth_line_max: 65_535,
        overflow: Overflow::Close,
        chunks: Chunks::Unknown,
        ends: 0b111,
        ..PLAIN
    },
    Variant {
        name: "sendmail",
        line_max: 2_048,
        auth_line_max: 12_287,
        overflow: Overflow::Split,
        chunks: Chunks::Unknown,
        ends: 0b111,
        word: Word::Letters,
        has_http_guard: true,
        ..PLAIN
    },
    Variant { name: "dovecot", line_max: 4_096, refuses_cr: true, chunks: Chunks::Strict, ..PLAIN },
    Variant {
        name: "aiosmtpd",
        line_max: 512,
        auth_line_max: 12_288,
        chunks: Chunks::Unknown,
        starttls: StartTls::Refused,
        ..PLAIN
    },
];

/// Buffers that servers read lines with.
pub const BUFFERS: [usize; 5] = [512, 1_000, 2_048, 12_287, 16_384];

const BREACHES: [Breach; 11] = [
    Breach::Doubled,
    Breach::Missing,
    Breach::WithoutCode,
    Breach::Unasked,
    Breach::Noise,
    Breach::Swapped,
    Breach::Leaves,
    Breach::Vanishes,
    Breach::InsideData,
    Breach::DropsData,
    Breach::Forgets,
];

const BREACH_VERBS: [&str; 5] = ["EHLO", "STARTTLS", "AUTH", "DATA", "MAIL"];

impl Variant {
    /// A known server, as it is or with habits of others.
    pub fn choose(choice: &mut Choice<'_>) -> Self {
        let mut variant = KNOWN[choice.below(KNOWN.len())].clone();
        if choice.one_in(2) {
            variant.mix(choice);
        }
        if choice.one_in(3) {
            variant.breach = choice.pick(&BREACHES);
            let is_in_data = matches!(variant.breach, Breach::InsideData | Breach::DropsData);
            variant.breach_on = if is_in_data {
                On::Data(1 + choice.below(200))
            } else if choice.one_in(2) {
                On::Verb(choice.pick(&BREACH_VERBS))
            } else {
                On::Reply(choice.below(10))
            };
        }
        variant
    }

    /// Takes over habits.
    fn mix(&mut self, choice: &mut Choice<'_>) {
        for _ in 0..=choice.below(6) {
            match choice.below(22) {
                0 => self.line_max = choice.pick(&BUFFERS),
                1 => self.overflow = choice.pick(&[Overflow::Split, Overflow::Head]),
                2 => self.overflow = choice.pick(&[Overflow::Skip, Overflow::Close]),
                3 => self.nul = choice.pick(&[Nul::Kept, Nul::Dropped, Nul::Cuts]),
                4 => self.cr_ends = true,
                5 => self.answers_empty = false,
                6 => self.word = choice.pick(&[Word::Whole, Word::Letters, Word::Leading]),
                7 => self.lead = choice.pick(&[Lead::Nothing, Lead::Blanks, Lead::NoLetters]),
                8 => self.ends = choice.below(1 << ENDS.len()) as u16,
                9 => self.greeting = choice.pick(&[Greeting::Lines, Greeting::Twice]),
                10 => self.refuses_second_hello = true,
                11 => self.needs_recipient = false,
                12 => self.wants_tls = true,
                13 => self.refuses_recipients = true,
                14 => {
                    self.chunks = choice.pick(&[
                        Chunks::Swallowed,
                        Chunks::SwallowedUntilNone,
                        Chunks::Read,
                        Chunks::Strict,
                    ]);
                }
                15 => self.auth = choice.pick(&[Auth::Taken, Auth::Refused, Auth::Unknown]),
                16 => self.starttls = choice.pick(&[StartTls::Begins, StartTls::Refused]),
                17 => self.offers_pipelining = false,
                18 => self.drops_data_nul = true,
                19 => self.refuses_cr = true,
                20 => self.refuses_data = true,
                _ if choice.one_in(4) => self.greeting = Greeting::Refusal,
                _ if choice.one_in(2) => self.knows_ehlo = false,
                _ => self.has_http_guard = true,
            }
        }
        self.name = "mixed";
        super::limits::restrain(self);
    }

    /// Whether it keeps to the protocol, however lenient it reads. One that ends lines at a CR does
    /// not: it answers before the line has come to its end.
    pub fn is_proper(&self) -> bool {
        self.breach == Breach::None && self.greeting != Greeting::Twice && !self.cr_ends
    }
}
