//! Kinds of packets: what is said before them, and the packets.

#![allow(
    clippy::indexing_slicing,
    clippy::unwrap_used,
    clippy::cast_possible_truncation,
    reason = "a bench stops where it is wrong"
)]

use mailguard::engine::Settings;
use mailguard::flow::Direction;
use mailguard::flow::Direction::{Original as C, Reply as S};
use mailguard::guard;

use crate::support::rig::settings;
use crate::support::tls::{hello_of_suites, record, session};

/// Payload of an ordinary packet on Ethernet.
const MTU: usize = 1_448;

/// Payload of a large super-packet.
const BULK: usize = 65_000;

/// What the name of a kind ends with whose lines have no limit.
pub(crate) const UNLIMITED: &str = ", no limits";

/// A segment; its place is counted from where the prelude ended.
#[derive(Clone)]
pub(crate) struct Segment {
    pub from: Direction,
    pub at: u64,
    pub bytes: Vec<u8>,
}

/// Packets of one kind.
#[derive(Clone)]
pub(crate) struct Kind {
    pub name: String,
    profile: &'static str,
    /// Whether lines have no limit.
    is_unlimited: bool,
    /// Whether no patch looks.
    is_unpatched: bool,
    /// What is said and acknowledged before.
    pub prelude: Vec<(Direction, Vec<u8>)>,
    pub segments: Vec<Segment>,
    /// Whether each segment is acknowledged at once.
    pub is_acknowledged: bool,
    /// Whether every packet is counted, from the flow's SYN to its last ACK.
    pub is_whole: bool,
    /// Whether nobody reads the event log.
    pub is_unheard: bool,
    beside: Beside,
}

impl Kind {
    fn new(name: &str, profile: &'static str, prelude: &[(Direction, &str)]) -> Self {
        let owned = |(from, text): &(Direction, &str)| (*from, text.as_bytes().to_vec());
        Self {
            name: name.to_owned(),
            profile,
            is_unlimited: false,
            is_unpatched: false,
            prelude: prelude.iter().map(owned).collect(),
            segments: Vec::new(),
            is_acknowledged: true,
            is_whole: false,
            is_unheard: false,
            beside: Beside::Text,
        }
    }

    /// One more segment, behind those before it.
    fn then(mut self, from: Direction, bytes: &[u8]) -> Self {
        let own = self.segments.iter().filter(|segment| segment.from == from);
        let at = own.map(|segment| segment.at + segment.bytes.len() as u64).max().unwrap_or(0);
        self.segments.push(Segment { from, at, bytes: bytes.to_vec() });
        self
    }

    /// The same bytes one by one.
    fn bytewise(self, from: Direction, bytes: &[u8]) -> Self {
        bytes.iter().fold(self, |kind, byte| kind.then(from, &[*byte]))
    }

    fn at(mut self, at: u64, bytes: &[u8]) -> Self {
        self.segments.push(Segment { from: C, at, bytes: bytes.to_vec() });
        self
    }

    const fn unlimited(mut self) -> Self {
        self.is_unlimited = true;
        self
    }

    const fn whole(mut self) -> Self {
        self.is_whole = true;
        self
    }

    /// The same where no event log is configured.
    fn unheard(mut self, name: &str) -> Self {
        self.name = name.to_owned();
        self.is_unheard = true;
        self
    }

    const fn unacknowledged(mut self) -> Self {
        self.is_acknowledged = false;
        self
    }

    /// Those of the profile as it is installed, unless the kind says otherwise.
    pub(crate) fn settings(&self) -> Settings {
        let limits = ["line_max", "envelope_line_max", "auth_line_max", "auth_response_max"];
        let off = limits.map(|name| (name, "0"));
        let mut changes = if self.is_unlimited { off.to_vec() } else { Vec::new() };
        if self.is_unpatched {
            changes.push(("patches", "off"));
        }
        let mut settings = settings(self.profile);
        let catalogue = std::mem::take(&mut settings.guard.patches.catalogue);
        settings.guard = guard::Settings::profile(self.profile).unwrap();
        for (key, value) in changes {
            settings.guard.set(key, value).unwrap();
        }
        settings.guard.patches.catalogue = catalogue;
        settings.limits.handshakes_max = 1_024;
        settings
    }

    /// Ordinary mail in segments of the same sizes.
    pub(crate) fn measure(&self) -> Self {
        let (prelude, pattern): (&[(Direction, &str)], _) = match self.beside {
            Beside::Text => (&IN_DATA, TEXT),
            Beside::Commands => (&IN_DATA[..5], RECIPIENT),
            Beside::Replies => (&IN_DATA[..5], ANSWER),
            Beside::Unpatched => return self.unpatched(),
        };
        let mut kind = Self::new(&self.name, self.profile, prelude);
        if self.beside == Beside::Replies {
            kind.prelude.push((C, fill(RECIPIENT, 100 * RECIPIENT.len())));
        }
        let mut at = 0;
        for segment in &self.segments {
            let length = segment.bytes.len();
            let line = pattern.iter().copied().cycle().skip(at % pattern.len());
            kind = kind.then(segment.from, &line.take(length).collect::<Vec<u8>>());
            at += length;
        }
        kind
    }

    /// The same while no patch looks.
    fn unpatched(&self) -> Self {
        let mut kind = Self::new(&self.name, self.profile, &[]);
        kind.prelude.clone_from(&self.prelude);
        kind.is_unpatched = true;
        self.segments.iter().fold(kind, |kind, one| kind.then(one.from, &one.bytes))
    }

    const fn beside(mut self, beside: Beside) -> Self {
        self.beside = beside;
        self
    }
}

/// What a kind is measured by.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Beside {
    /// Message text, which is the cheapest.
    Text,
    /// Recipients, one line behind the other.
    Commands,
    /// Their answers.
    Replies,
    /// The same while no patch looks.
    Unpatched,
}

const RECIPIENT: &[u8] = b"RCPT TO:<someone@example.org>\r\n";

const ANSWER: &[u8] = b"250 2.1.5 Recipient ok\r\n";

const TEXT: &[u8] = b"Some text of a message, as long as most lines of messages are here.\r\n";

const GREETED: [(Direction, &str); 3] =
    [(S, "220 mail.example.org\r\n"), (C, "HELO client\r\n"), (S, "250 mail.example.org\r\n")];

const IN_DATA: [(Direction, &str); 10] = [
    GREETED[0],
    GREETED[1],
    GREETED[2],
    (C, "MAIL FROM:<a@example.net>\r\n"),
    (S, "250 Ok\r\n"),
    (C, "RCPT TO:<b@example.org>\r\n"),
    (S, "250 Ok\r\n"),
    (C, "DATA\r\n"),
    (S, "354 Go ahead\r\n"),
    (C, "Subject: this\r\n\r\n"),
];

const SMALL_MAIL: [(Direction, &str); 13] = [
    (C, "HELO mail.example.net\r\n"),
    (S, "250 mail.example.org\r\n"),
    (C, "MAIL FROM:<sender@example.net>\r\n"),
    (S, "250 2.1.0 Ok\r\n"),
    (C, "RCPT TO:<someone@example.org>\r\n"),
    (S, "250 2.1.5 Ok\r\n"),
    IN_DATA[7],
    (S, "354 End data with <CR><LF>.<CR><LF>\r\n"),
    (
        C,
        "From: sender@example.net\r\nTo: someone@example.org\r\nSubject: small\r\n\r\n\
         Some text of a message, as long as most lines of messages are here.\r\n.\r\n",
    ),
    (S, "250 2.0.0 Ok: queued\r\n"),
    (C, "QUIT\r\n"),
    (S, "221 2.0.0 Bye\r\n"),
    (C, ""),
];

const EXTENDED: [(Direction, &str); 7] = [
    GREETED[0],
    (C, "EHLO client\r\n"),
    (S, "250-mail.example.org\r\n250-PIPELINING\r\n250-AUTH PLAIN\r\n250 CHUNKING\r\n"),
    IN_DATA[3],
    IN_DATA[4],
    IN_DATA[5],
    IN_DATA[6],
];

const SIZED: [(Direction, &str); 3] =
    [GREETED[0], HELLO[1], (S, "250-mail.example.org\r\n250 SIZE 10240000\r\n")];

const WITH_DSN: [(Direction, &str); 3] =
    [GREETED[0], HELLO[1], (S, "250-mail.example.org\r\n250 DSN\r\n")];

const HELLO: [(Direction, &str); 2] = [GREETED[0], (C, "EHLO client\r\n")];

const BEFORE_TLS: [(Direction, &str); 5] =
    [HELLO[0], HELLO[1], (S, "250 STARTTLS\r\n"), (C, "STARTTLS\r\n"), (S, "220 go\r\n")];

const IN_AUTH: [(Direction, &str); 5] =
    [EXTENDED[0], EXTENDED[1], EXTENDED[2], (C, "AUTH PLAIN\r\n"), (S, "334 \r\n")];

const DISOWNED: [(Direction, &str); 11] = {
    let d = IN_DATA;
    let refused = [(C, "text\r\n"), (S, "552 Too much\r\n")];
    [d[0], d[1], d[2], d[3], d[4], d[5], d[6], d[7], d[8], refused[0], refused[1]]
};

/// A pattern again and again.
fn fill(pattern: &[u8], length: usize) -> Vec<u8> {
    pattern.iter().copied().cycle().take(length).collect()
}

/// The same behind a head, which counts.
fn begun(head: &[u8], pattern: &[u8], length: usize) -> Vec<u8> {
    [head, &fill(pattern, length - head.len())].concat()
}

pub(crate) fn all() -> Vec<Kind> {
    let mut kinds = ordinary();
    kinds.extend(in_data());
    kinds.extend(in_commands());
    kinds.extend(dense());
    kinds.extend(patched());
    kinds.extend(in_replies());
    kinds.extend(in_tcp());
    kinds.extend(under_tls());
    kinds
}

/// Behind a recorded handshake: records as bulk has them, and the smallest there can be. In its
/// place: a hello of more values than any.
fn under_tls() -> Vec<Kind> {
    let largest = record(23, 16_401, b"");
    let smallest = record(23, 9, b"");
    let mut kinds = Vec::new();
    for (name, one) in [("records of 16 KiB", &largest), ("records of 9 bytes", &smallest)] {
        for length in [MTU, BULK] {
            let name = format!("TLS: {name}, {length} bytes");
            let mut kind = Kind::new(&name, "esmtp", &BEFORE_TLS);
            kind.prelude.extend(session("tls13").into_iter().take(4));
            // Whole records, so that each segment begins elsewhere in one.
            let bytes = fill(one, one.len() * (2 * BULK / one.len()));
            let twice = Kind { name: format!("{}, twice", kind.name), ..kind.clone() };
            kinds.push(bytes.chunks(length).fold(kind, |kind, piece| kind.then(C, piece)));
            let mut repeated = twice.unacknowledged();
            for (place, piece) in bytes.chunks(length).take(2).enumerate() {
                let at = (place * length) as u64;
                repeated = repeated.at(at, piece).at(at, piece);
            }
            kinds.push(repeated);
        }
    }
    for length in [MTU, BULK] {
        let name = format!("TLS: a hello of 8,000 suites, {length} bytes");
        let kind = Kind::new(&name, "esmtp", &BEFORE_TLS);
        kinds.push(hello_of_suites().chunks(length).fold(kind, |kind, piece| kind.then(C, piece)));
    }
    kinds
}

fn ordinary() -> Vec<Kind> {
    let data = |name| Kind::new(name, "mailguard", &IN_DATA);
    let greeted = |name| Kind::new(name, "mailguard", &GREETED);
    let recipients = |count: usize| fill(RECIPIENT, RECIPIENT.len() * count);
    // Who answers acknowledges by that.
    let mut mail = Kind::new("ordinary: a small mail, SYN to last ACK", "mailguard", &GREETED[..1])
        .whole()
        .unacknowledged();
    for (from, line) in &SMALL_MAIL {
        mail = mail.then(*from, line.as_bytes());
    }
    let unheard = mail.clone().unheard("ordinary: a small mail, no event log");
    vec![
        mail,
        unheard,
        data("ordinary: bare ACK").then(S, b"").then(C, b""),
        data("ordinary: text, 1,448 bytes").then(C, &fill(TEXT, MTU)),
        data("ordinary: text, 65,000 bytes").then(C, &fill(TEXT, BULK)),
        greeted("ordinary: command line")
            .then(C, b"MAIL FROM:<somebody@example.net>\r\n")
            .beside(Beside::Commands),
        greeted("ordinary: command and reply")
            .then(C, b"MAIL FROM:<somebody@example.net>\r\n")
            .then(S, b"250 2.1.0 Sender ok, go on please\r\n"),
        greeted("ordinary: 46 recipients at once")
            .then(C, IN_DATA[3].1.as_bytes())
            .then(C, &recipients(46))
            .beside(Beside::Commands),
        Kind::new("ordinary: answer to EHLO", "esmtp", &HELLO)
            .then(
                S,
                b"250-mail.example.org\r\n250-PIPELINING\r\n250-SIZE 10240000\r\n250-ETRN\r\n\
              250-AUTH PLAIN LOGIN\r\n250-ENHANCEDSTATUSCODES\r\n250-8BITMIME\r\n250 DSN\r\n",
            )
            .beside(Beside::Replies),
    ]
}

fn in_data() -> Vec<Kind> {
    let mut kinds = Vec::new();
    let patterns: [(&str, &[u8]); 11] = [
        ("bare LFs", b"\n"),
        ("CRs", b"\r"),
        ("CRLFs", b"\r\n"),
        ("dots behind LF", b"\n."),
        ("dots behind CRLF", b"\r\n.a"),
        ("lines of a dot, LF alone", b"\n.\n"),
        ("lines of a dot, CR alone", b"\r\n.\r"),
        ("NULs", b"\0"),
        ("NULs behind CRLF", b"\r\n\0"),
        ("dot lines too far apart to be one run", b"\r\n.\naaaaaaaaaaaaaaaaa"),
        ("CRs and LFs and dots", b"\r.\n.\r\r\n..\n"),
    ];
    for (name, pattern) in patterns {
        for length in [MTU, BULK] {
            let name = format!("text of {name}, {length} bytes");
            kinds.push(Kind::new(&name, "mailguard", &IN_DATA).then(C, &fill(pattern, length)));
            let name = format!("disowned: {name}");
            kinds.push(Kind::new(&name, "mailguard", &DISOWNED).then(C, &fill(pattern, length)));
        }
    }
    // What stands before the first empty line is read line by line.
    let header = fill(b"Received: from a.example.org by b.example.net\r\n\tfor <c@d>\r\n", MTU);
    let folded = begun(b"a: b\r\nc\n", b"\n", MTU);
    for (name, bytes) in [
        ("a header", header),
        ("a header of short lines", fill(b"a\n", MTU)),
        ("a header of CRs", fill(b"a\r", MTU)),
        ("a header of empty lines, folded", folded),
        ("a header of CRs between letters", fill(b"a\ra\n", MTU)),
        ("a header of lines of a CR", fill(b"\ra\n", MTU)),
        ("a header of lines of a letter, CRLF", fill(b"a\r\n", MTU)),
        ("a header of lines of a blank", fill(b" \n", MTU)),
        ("a header of lines of two dots", fill(b"..\n", MTU)),
        ("a header of names", fill(b"a:\n", MTU)),
        ("a header of names that rules mind", fill(b"To:\n", MTU)),
        ("a header of names with blanks", fill(b"t :\n", MTU)),
        ("a header of brackets", fill(b"To:<\n", MTU)),
        ("a header of texts begun", fill(b" (\n", MTU)),
        ("a header of needles", fill(b" {\n", MTU)),
        ("a header of needles, one line", fill(b"a:{}", MTU)),
        ("a header of texts that are logged", fill(b" () {\n", MTU)),
        (
            "a header of lines of 41 bytes",
            fill(b"a:345678901234567890123456789012345678901\n", MTU),
        ),
        (
            "a header of lines of 41 bytes, needles",
            fill(b" {345678901234567890123456789012345678901\n", MTU),
        ),
    ] {
        kinds.push(Kind::new(name, "mailguard", &IN_DATA[..9]).then(C, &bytes));
    }
    kinds.push(Kind::new("disowned: text", "mailguard", &DISOWNED).then(C, &fill(TEXT, MTU)));
    kinds.push(Kind::new("text by bytes", "mailguard", &IN_DATA).bytewise(C, &fill(TEXT, 200)));
    let octets = fill(b"BDAT 1\r\na", MTU);
    kinds.push(
        Kind::new("chunks of an octet", "esmtp", &EXTENDED)
            .then(C, &octets)
            .beside(Beside::Commands),
    );
    let empty = fill(b"BDAT 0\r\n", MTU);
    kinds.push(
        Kind::new("chunks of nothing", "esmtp", &EXTENDED).then(C, &empty).beside(Beside::Commands),
    );
    kinds
}

fn in_commands() -> Vec<Kind> {
    let mut kinds = Vec::new();
    let lines: [(&str, &[u8]); 10] = [
        ("empty lines, LF", b"\n"),
        ("empty lines", b"\r\n"),
        ("lines of a letter", b"a\n"),
        ("lines of a space", b" \n"),
        ("NOOPs", b"NOOP\r\n"),
        ("lines of a verb and a blank", b"NOOP \n"),
        ("RSETs", b"RSET\n"),
        ("CRs between letters", b"a\r"),
        ("NULs between CRs", b"\0\r"),
        ("tabs", b"NOOP\t\t\t\n"),
    ];
    for profile in ["mailguard", "esmtp"] {
        for (name, pattern) in lines {
            let name = format!("{profile}: {name}");
            kinds.push(
                Kind::new(&name, profile, &GREETED)
                    .then(C, &fill(pattern, 900))
                    .beside(Beside::Commands),
            );
        }
    }
    let runs: [(&str, &[u8], &[u8]); 8] = [
        ("a word without a space", b"", b"a"),
        ("a verb without an end", b"NOOP", b"P"),
        ("an argument", b"NOOP ", b"a"),
        ("CRs", b"NOOP a", b"\r"),
        ("CRs between letters", b"NOOP a", b"\ra"),
        ("NULs", b"NOOP a", b"\0"),
        ("blanks before a verb", b"", b" "),
        ("an address", b"MAIL FROM:<", b"a@[],;:|\"\\<>"),
    ];
    for profile in ["mailguard", "esmtp", "pix-6.3"] {
        for (name, head, pattern) in runs {
            for length in [MTU, BULK] {
                let name = format!("{profile}: {name}, {length} bytes");
                let bytes = begun(head, pattern, length);
                kinds.push(Kind::new(&name, profile, &GREETED).then(C, &bytes));
            }
            let name = format!("{profile}: {name}, {BULK} bytes{UNLIMITED}");
            let bytes = begun(head, pattern, BULK);
            kinds.push(Kind::new(&name, profile, &GREETED).unlimited().then(C, &bytes));
        }
    }
    for (name, head, digit) in [
        ("digits of BDAT", &b"BDAT "[..], &b"0"[..]),
        ("blanks of BDAT", b"BDAT ", b" "),
        ("blanks behind BDAT", b"BDAT 5", b" "),
    ] {
        let bytes = begun(head, digit, MTU);
        kinds.push(Kind::new(name, "esmtp", &EXTENDED).then(C, &bytes));
        let name = format!("refused {name}");
        kinds.push(Kind::new(&name, "esmtp", &GREETED).then(C, &bytes));
    }
    kinds.push(Kind::new("a line of AUTH", "esmtp", &IN_AUTH).then(C, &fill(b"a", MTU)));
    kinds.push(Kind::new("CRs in AUTH", "esmtp", &IN_AUTH).then(C, &fill(b"\r", MTU)));
    kinds.push(
        Kind::new("a command by bytes", "mailguard", &GREETED).bytewise(C, b"MAIL FROM:<a@b>\r\n"),
    );
    kinds.push(
        Kind::new("a refused line by bytes", "mailguard", &GREETED).bytewise(C, &fill(b"a", 400)),
    );
    kinds.push(
        Kind::new("an argument by bytes", "mailguard", &GREETED)
            .bytewise(C, b"NOOP aaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"),
    );
    kinds
}

/// Arguments of what the machines of lines read most dearly.
fn dense() -> Vec<Kind> {
    let mut kinds = Vec::new();
    let dense: [(&str, &[u8], &[u8]); 8] = [
        ("a word that other places mind", b"", b"'\"{("),
        ("an argument that is minded", b"NOOP ", b"{("),
        ("an address that is refused at once", b"MAIL FROM:<a,", b"a@[],;:\"\\<>"),
        ("an address of letters", b"MAIL FROM:<", b"a"),
        ("a quoted address", b"MAIL FROM:<\"", b"\\a"),
        ("letters of a value", b"MAIL FROM:<a@b> ENVID=", b"a"),
        ("marks of a value", b"MAIL FROM:<a@b> ENVID=", b"\"<@"),
        ("parameters", b"MAIL FROM:<a@b>", b" RET=FULL"),
    ];
    for (profile, prelude) in [("mailguard", &GREETED[..]), ("esmtp", &WITH_DSN[..])] {
        for (name, head, pattern) in dense {
            let bytes = begun(head, pattern, MTU);
            let name = format!("{profile}: {name}");
            kinds.push(Kind::new(&name, profile, prelude).then(C, &bytes));
        }
    }
    kinds
}

/// What patches cost: each kind stands beside itself without them.
fn patched() -> Vec<Kind> {
    let long = b"MAIL FROM:<bounces+12345-6789=example.org@mail.example.net> SIZE=31415\r\n";
    let mut kinds = Vec::new();
    for profile in ["mailguard", "esmtp"] {
        // Only who has said EHLO may state a size.
        let prelude = if profile == "esmtp" { &SIZED[..] } else { &GREETED[..] };
        let greeted =
            |what: &str| Kind::new(&format!("patches: {profile}, {what}"), profile, prelude);
        let line = if profile == "esmtp" { &long[..] } else { RECIPIENT };
        kinds.push(greeted("a command line").then(C, line).beside(Beside::Unpatched));
        kinds.push(
            greeted("a command line in two")
                .then(C, &line[..20])
                .then(C, &line[20..])
                .beside(Beside::Unpatched),
        );
        kinds.push(
            greeted("a minded line").then(C, b"NOOP ${jndi:x}\r\n").beside(Beside::Unpatched),
        );
        let recipients = fill(RECIPIENT, RECIPIENT.len() * 46);
        kinds.push(
            greeted("46 recipients at once")
                .then(C, IN_DATA[3].1.as_bytes())
                .then(C, &recipients)
                .beside(Beside::Unpatched),
        );
        let body = Kind::new(&format!("patches: {profile}, 1 MiB of text"), profile, &IN_DATA);
        let text = fill(TEXT, 1 << 20);
        let body = text.chunks(BULK).fold(body, |kind, piece| kind.then(C, piece));
        kinds.push(body.beside(Beside::Unpatched));
    }
    kinds
}

fn in_replies() -> Vec<Kind> {
    let mut kinds = Vec::new();
    let lines: [(&str, &[u8]); 11] = [
        ("endless reply", b"250-\r\n"),
        ("endless reply with a letter", b"250-A\n"),
        ("replies to nothing", b"250 \n"),
        ("reply lines without a code", b"a\n"),
        ("empty reply lines", b"\n"),
        ("digits", b"2\n"),
        ("421 again and again", b"421 \n"),
        ("keywords with blanks", b"250-A B C\n"),
        ("text without an end", b"a"),
        ("CRs", b"\r"),
        ("spaces", b" "),
    ];
    for (state, profile, prelude) in [
        ("greeting", "mailguard", &[][..]),
        ("greeting", "esmtp", &[][..]),
        ("no question", "mailguard", &GREETED[..]),
        ("EHLO", "esmtp", &HELLO[..]),
        ("EHLO", "asa", &HELLO[..]),
        ("EHLO", "pix-6.3", &HELLO[..]),
    ] {
        for (name, pattern) in lines {
            let name = format!("{profile}, {state}: {name}");
            kinds.push(
                Kind::new(&name, profile, prelude)
                    .then(S, &fill(pattern, MTU))
                    .beside(Beside::Replies),
            );
        }
        let first =
            Kind::new(&format!("{profile}, {state}: a line without an end"), profile, prelude);
        kinds.push(
            first.then(S, b"250-a\r\n250-").then(S, &fill(b"A", MTU)).beside(Beside::Replies),
        );
    }
    for (name, pattern) in [("334", b"334 \n"), ("221", b"221 \n"), ("354", b"354 \n")] {
        let name = format!("1,000 questions: {name} again and again");
        let mut kind = Kind::new(&name, "esmtp", &GREETED);
        // Each line but the first, which may be answered by any code, is one of a known verb.
        kind.prelude.push((C, fill(b"VRFY a\r\n", 1_000 * 8)));
        kinds.push(kind.then(S, &fill(pattern, MTU)).beside(Beside::Replies));
    }
    kinds.push(
        Kind::new("a reply by bytes", "esmtp", &HELLO)
            .bytewise(S, b"250-mail.example.org\r\n250 PIPELINING\r\n"),
    );
    kinds
}

fn in_tcp() -> Vec<Kind> {
    let data = |name| Kind::new(name, "mailguard", &IN_DATA);
    let far = data("one byte far ahead, then bytes one by one").at(1 << 20, b"a").unacknowledged();
    let ahead = (0..200).fold(data("bytes ahead, the last first").unacknowledged(), |kind, at| {
        kind.at(1_000 - at, b"a")
    });
    let apart = (0..200).fold(data("bytes ahead, each apart").unacknowledged(), |kind, at| {
        kind.at(2 + 2 * at, b"a")
    });
    let again = data("unacknowledged text repeated").unacknowledged();
    let again = (0..20).fold(again, |kind, _| kind.at(0, &fill(TEXT, MTU)));
    let below =
        (0..20).fold(data("acknowledged text repeated"), |kind, _| kind.at(0, &fill(TEXT, MTU)));
    let straddling = data("text that straddles what is judged").unacknowledged();
    let straddling = (0..40)
        .fold(straddling, |kind, at| kind.at(at, &fill(TEXT, MTU + at as usize)[at as usize..]));
    let other = data("other text for unacknowledged bytes").unacknowledged();
    let other = (0..20).fold(other.at(0, &fill(TEXT, MTU)), |kind, _| kind.at(0, &fill(b"x", MTU)));
    let kept = data("bytes behind a megabyte in flight").unacknowledged();
    let kept = (0..16).fold(kept, |kind, _| kind.then(C, &fill(TEXT, BULK)));
    let kept = kept.bytewise(C, &fill(TEXT, 100));
    vec![far.bytewise_from(0), ahead, apart, again, below, straddling, other, kept, filled_gaps()]
}

/// Runs ahead of a gap, and the gap closed with all of them behind it.
fn filled_gaps() -> Kind {
    let kind = Kind::new("a gap that closes behind 1,000 early chunks", "mailguard", &IN_DATA)
        .unacknowledged();
    let kind = (0..1_000).rev().fold(kind, |kind, at| kind.at(1 + at, b"a"));
    kind.at(0, b"a")
}

impl Kind {
    fn bytewise_from(self, start: u64) -> Self {
        (start..start + 200).fold(self, |kind, at| kind.at(at, b"a"))
    }
}
