//! The cells of the matrix: who sends what to whom, and which of them are run.

use crate::lab::{Program, Random, Way};

/// Who sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Client {
    /// A mail server that has the message in its queue.
    Mta(Program),
    /// curl.
    Curl,
    /// msmtp.
    Msmtp,
    /// Python's smtplib.
    Smtplib,
    /// swaks.
    Swaks,
}

/// What is sent, or how.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A few lines.
    Plain,
    /// Text in 8 bits, and declared so.
    EightBit,
    /// Lines as long as a line may be.
    LongLines,
    /// Lines that begin with dots, and a dot by itself.
    Dots,
    /// A header and nothing else.
    Empty,
    /// 25 MB.
    Attachment,
    /// One message for a hundred mailboxes.
    Recipients,
    /// Over TLS, where it is offered.
    StartTls,
    /// With a login, where it is offered.
    Auth,
    /// Commands in one go, where that is offered.
    Pipelined,
    /// With BDAT, where it is offered.
    Chunks,
}

/// One message from one program to another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Cell {
    /// Who sends.
    pub(crate) client: Client,
    /// Who stores.
    pub(crate) server: Program,
    /// What.
    pub(crate) kind: Kind,
}

impl Client {
    /// All of them.
    pub(crate) const ALL: [Self; 8] = [
        Self::Mta(Program::Postfix),
        Self::Mta(Program::Exim),
        Self::Mta(Program::OpenSmtpd),
        Self::Mta(Program::Sendmail),
        Self::Swaks,
        Self::Curl,
        Self::Msmtp,
        Self::Smtplib,
    ];

    /// As people call it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Mta(program) => program.name(),
            Self::Curl => "curl",
            Self::Msmtp => "msmtp",
            Self::Smtplib => "smtplib",
            Self::Swaks => "swaks",
        }
    }
}

impl Kind {
    /// All of them, with the heading of their column.
    pub(crate) const ALL: [(Self, &'static str); 11] = [
        (Self::Plain, "plain"),
        (Self::EightBit, "8-bit"),
        (Self::LongLines, "long"),
        (Self::Dots, "dots"),
        (Self::Empty, "empty"),
        (Self::Attachment, "25 MB"),
        (Self::Recipients, "100 rcpt"),
        (Self::StartTls, "tls"),
        (Self::Auth, "auth"),
        (Self::Pipelined, "pipe"),
        (Self::Chunks, "bdat"),
    ];

    /// What the sender is told to make of the server's offers.
    pub(crate) fn way(self) -> Way {
        match self {
            Self::StartTls => Way::Tls,
            Self::Auth => Way::Auth,
            Self::Chunks => Way::Chunks,
            _ => Way::Plain,
        }
    }

    /// How many mailboxes a message of this kind is for.
    pub(crate) fn recipients(self) -> usize {
        match self {
            Self::Recipients => 100,
            // Some wait for the reply to MAIL, whatever follows.
            Self::Pipelined => 3,
            _ => 1,
        }
    }

    /// The message, lines ending in LF.
    pub(crate) fn content(self, name: &str) -> Vec<u8> {
        let body: Vec<u8> = match self {
            Self::EightBit => "Grüße aus Århus, señor.\n\nПривет.\n".into(),
            Self::LongLines => {
                [b"x".repeat(998), b"\n.".to_vec(), b"y".repeat(996), b"\n".to_vec()].concat()
            }
            Self::Dots => b".\n..\n.dot\n\n...\nQUIT\n.\n. \n".to_vec(),
            Self::Empty => Vec::new(),
            Self::Attachment => {
                [b"QUJD".repeat(19), b"\n".to_vec()].concat().repeat(25_000_000 / 77)
            }
            Self::Chunks => chunky(),
            _ => b"Dear reader,\n\nthis is all.\n".to_vec(),
        };
        let coding = if self == Self::EightBit { "8bit" } else { "7bit" };
        let header = format!(
            "From: sender@domain1.com\nTo: {name}@domain2.com\nSubject: {name}\n\
             X-Lab:  two  spaces\nDate: Wed, 7 Feb 2001 17:01:20 +0000\n\
             Message-ID: <{name}@domain1.com>\nMIME-Version: 1.0\n\
             Content-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: {coding}\n\n"
        );
        [header.into_bytes(), body].concat()
    }
}

/// Several buffers full, with lines that would be commands or ends of data if anybody read them so.
fn chunky() -> Vec<u8> {
    let mut random = Random::new(5);
    let mut text = Vec::new();
    while text.len() < 100_000 {
        let line: &[u8] = match random.below(5) {
            0 => b".",
            1 => b"VRFY root",
            2 => b"BDAT 10 LAST",
            3 => b"",
            _ => b"All work and no play makes Jack a dull boy.",
        };
        text.extend_from_slice(line);
        text.push(b'\n');
    }
    text
}

impl Cell {
    /// Whether both programs can do it at all.
    pub(crate) fn is_possible(&self) -> bool {
        use Program::{Exim, OpenSmtpd, Postfix};
        let Self { client, server, kind } = *self;
        match kind {
            // Offered within TLS only; and two of the senders are not set up for it here.
            Kind::Auth => {
                let is_mta = matches!(client, Client::Mta(_));
                server != OpenSmtpd
                    && (!is_mta || [Client::Mta(Postfix), Client::Mta(Exim)].contains(&client))
            }
            Kind::Chunks => client == Client::Mta(Exim) && [Postfix, Exim].contains(&server),
            // The others wait for each reply whatever is offered.
            Kind::Pipelined => {
                let clients =
                    [Client::Mta(Postfix), Client::Mta(Exim), Client::Mta(Program::Sendmail)];
                server != OpenSmtpd && (client == Client::Swaks || clients.contains(&client))
            }
            // Debian 12's OpenSMTPD fails in every handshake, as a server (its issue 1171).
            Kind::StartTls => server != OpenSmtpd,
            // It would take Perl minutes; and it ends every message with a line end of its own.
            Kind::Attachment | Kind::Empty => client != Client::Swaks,
            _ => true,
        }
    }

    /// The cells to run: all that are possible, or a cover.
    pub(crate) fn all(is_full: bool) -> Vec<Self> {
        let mut cells = Vec::new();
        for (row, client) in Client::ALL.into_iter().enumerate() {
            for (column, server) in Program::ALL.into_iter().enumerate() {
                for (kind, _) in Kind::ALL {
                    let cell = Self { client, server, kind };
                    let is_covered = match kind {
                        Kind::Plain | Kind::EightBit | Kind::Dots => true,
                        // Each client once, each server twice.
                        Kind::Attachment => (row + column) % 4 == 1 && row % 2 == 0,
                        Kind::LongLines | Kind::Empty | Kind::Recipients => (row + column) % 4 == 2,
                        Kind::StartTls | Kind::Auth | Kind::Pipelined | Kind::Chunks => {
                            (row + column) % 2 == 1 || kind == Kind::Chunks
                        }
                    };
                    if cell.is_possible() && (is_full || is_covered) {
                        cells.push(cell);
                    }
                }
            }
        }
        cells
    }

    /// CRLF for LF, as clients that speak SMTP themselves want it.
    pub(crate) fn with_crlf(content: &[u8]) -> Vec<u8> {
        content
            .split_inclusive(|octet| *octet == b'\n')
            .flat_map(|line| match line.strip_suffix(b"\n") {
                Some(text) => [text, b"\r\n"].concat(),
                None => line.to_vec(),
            })
            .collect()
    }
}
