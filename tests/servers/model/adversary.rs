//! A client that wants a verb run that the filter refuses: every verb, every line end, lengths
//! around the buffers, chunks, exchanges and data, pipelined at will; and, if it likes, other
//! bytes at positions it has sent already.

use super::choice::Choice;
use super::variant::{BUFFERS, Breach, ENDS, Variant};

/// Commands that no profile of those played permits.
const PAYLOADS: [&[u8]; 4] = [b"EXPN root", b"TURN", b"XCLIENT NAME=x", b"expn root"];

/// What may end a line, or seem to.
const LINE_ENDS: [&[u8]; 8] =
    [b"\r\n", b"\n", b"\r", b"\r\r\n", b"\0\r\n", b"\r\0\n", b"\n\r", b"\r\n\r\n"];

/// Plain commands.
const COMMANDS: [&[u8]; 21] = [
    b"NOOP",
    b"NOOP x",
    b"RSET",
    b"EHLO a.example",
    b"HELO a.example",
    b"MAIL FROM:<a@b>",
    b"RCPT TO:<r@d>",
    b"MAIL FROM:<a@b> BODY=8BITMIME",
    b"DATA",
    b"QUIT",
    b"HELP",
    b"VRFY root",
    b"ETRN x",
    b"SOML FROM:<a@b>",
    b"SEND FROM:<a@b>",
    b"SAML FROM:<a@b>",
    b"mail from:<a@b>",
    b"DATAFOO",
    b"NOOP\tx",
    b"",
    b"*",
];

/// What may stand before a verb, or inside it, so that one reader sees it and another does not.
const LEADS: [&[u8]; 10] =
    [b"", b"", b" ", b"\t", b"\0", b"\"", b"\x0b", b"NOOP\0", b"NOOP x\r", b"\x80"];

/// One turn: what it says, and whether it waits for answers behind it.
pub struct Turn {
    pub text: Vec<u8>,
    pub waits: bool,
}

/// What it will say.
pub struct Adversary {
    pub turns: Vec<Turn>,
    /// It contradicts itself.
    pub is_lying: bool,
    next: usize,
    /// All it has said, and what it says instead when it lies.
    pub said: Vec<u8>,
    pub lies: Vec<u8>,
    pub is_closing: bool,
    /// It begins with a request of HTTP.
    pub is_http: bool,
}

impl Adversary {
    pub fn choose(choice: &mut Choice<'_>, variant: &Variant) -> Self {
        let mut turns = Vec::new();
        let is_http = choice.one_in(24);
        if is_http {
            turns.push(Turn { text: http(choice), waits: choice.one_in(2) });
        }
        if choice.one_in(2) {
            let hello = choice.pick(&[&b"EHLO a.example\r\n"[..], b"HELO a.example\r\n"]);
            turns.push(Turn { text: hello.to_vec(), waits: !choice.one_in(4) });
        }
        for _ in 0..2 + choice.below(8) {
            let text = saying(choice, variant);
            turns.push(Turn { text, waits: choice.one_in(3) });
        }
        let is_lying = choice.one_in(6);
        Self {
            turns,
            is_lying,
            next: 0,
            said: Vec::new(),
            lies: Vec::new(),
            is_closing: false,
            is_http,
        }
    }

    /// Says what comes before the next wait, and in the end closes.
    pub fn on_silence(&mut self) {
        loop {
            let Some(turn) = self.turns.get(self.next) else {
                self.is_closing = true;
                return;
            };
            self.next += 1;
            self.said.extend_from_slice(&turn.text);
            if self.is_lying {
                self.lies.extend(lie(&turn.text));
            }
            if turn.waits {
                return;
            }
        }
    }
}

/// The same text with every line a payload, as far as it fits.
fn lie(text: &[u8]) -> Vec<u8> {
    let mut lies = text.to_vec();
    for line in lies.split_inclusive_mut(|&byte| byte == b'\n') {
        let payload = PAYLOADS[0];
        if line.len() >= payload.len() + 2 {
            let end = line.len() - 2;
            line[..end].fill(b'a');
            line[..payload.len()].copy_from_slice(payload);
        }
    }
    lies
}

fn saying(choice: &mut Choice<'_>, variant: &Variant) -> Vec<u8> {
    match choice.below(16) {
        0..8 if variant.breach == Breach::Forgets => {
            [transaction(choice), behind_data(choice)].concat()
        }
        0 => line(choice, b"EHLO a.example"),
        1..4 => {
            let command = choice.pick(&COMMANDS);
            line(choice, command)
        }
        4..6 => disguised(choice),
        6 => transaction(choice),
        7 => [transaction(choice), data(choice)].concat(),
        8 => data(choice),
        9 | 10 => [transaction(choice), chunk(choice)].concat(),
        11 => chunk(choice),
        12 | 13 => auth(choice, variant),
        14 => tls(choice),
        _ if choice.one_in(3) => overlong(choice, variant),
        _ => many(choice),
    }
}

fn payload(choice: &mut Choice<'_>) -> Vec<u8> {
    [choice.pick(&PAYLOADS), b"\r\n"].concat()
}

fn line_end(choice: &mut Choice<'_>) -> &'static [u8] {
    if choice.one_in(4) { choice.pick(&LINE_ENDS) } else { b"\r\n" }
}

fn line(choice: &mut Choice<'_>, command: &[u8]) -> Vec<u8> {
    [command, line_end(choice)].concat()
}

/// A payload that hides behind something.
fn disguised(choice: &mut Choice<'_>) -> Vec<u8> {
    let lead = choice.pick(&LEADS);
    let command = choice.pick(&COMMANDS);
    let end = choice.pick(&LINE_ENDS);
    match choice.below(4) {
        0 => [lead, &payload(choice)].concat(),
        1 => [command, end, lead, &payload(choice)].concat(),
        2 => {
            let payload = payload(choice);
            let cut = 1 + choice.below(3);
            let byte = choice.pick(&[&b"\0"[..], b"\r", b" ", b"\n"]);
            [&payload[..cut], byte, &payload[cut..]].concat()
        }
        _ => [command, b" ", lead, &payload(choice)].concat(),
    }
}

fn transaction(choice: &mut Choice<'_>) -> Vec<u8> {
    [line(choice, b"MAIL FROM:<a@b>"), line(choice, b"RCPT TO:<r@d>")].concat()
}

/// A message, and a command behind it in whose argument a payload stands.
fn behind_data(choice: &mut Choice<'_>) -> Vec<u8> {
    let command = choice.pick(&[&b"NOOP "[..], b"NOOP", b"RSET\r\nNOOP ", b"HELP "]);
    [&b"DATA\r\ntext\r\n.\r\n"[..], command, &payload(choice)].concat()
}

/// DATA and a text that seems to end again and again.
fn data(choice: &mut Choice<'_>) -> Vec<u8> {
    let mut text = line(choice, b"DATA");
    for _ in 0..1 + choice.below(4) {
        text.extend_from_slice(b"text");
        match choice.below(6) {
            0 => text.extend_from_slice(b"\r\n.\r\n"),
            1 => text.extend_from_slice(b"\r\n"),
            2 => {
                // Any mixture of what ends are made of.
                for _ in 0..2 + choice.below(6) {
                    text.extend_from_slice(choice.pick(&[&b"\r"[..], b"\n", b".", b"\0", b"."]));
                }
            }
            3 => {
                // For who drops NULs.
                let mut end = choice.pick(&ENDS).to_vec();
                end.insert(choice.below(end.len()), 0);
                text.extend(end);
            }
            _ => text.extend_from_slice(choice.pick(&ENDS)),
        }
        text.extend(payload(choice));
    }
    text.extend_from_slice(b"\r\n.\r\n");
    text
}

/// BDAT with a size that is right, or wrong, or odd, and octets that are commands.
fn chunk(choice: &mut Choice<'_>) -> Vec<u8> {
    let mut octets = Vec::new();
    for _ in 0..1 + choice.below(3) {
        octets.extend(payload(choice));
    }
    let size = match choice.below(6) {
        0..3 => octets.len(),
        3 => octets.len() / 2,
        4 => 0,
        _ => octets.len() + 7,
    };
    let last = choice.pick(&["", " LAST", " last", " LASX", " LAST x"]);
    let line = match choice.below(12) {
        0 => format!("BDAT +{size}{last}"),
        1 => format!("BDAT 0{size}{last}"),
        2 => format!("BDAT {size}\0{last}"),
        3 => format!("BDAT  {size} {last}"),
        4 => format!("BDAT {size}\r{last}"),
        5 => "BDAT 99999999999999999999".to_owned(),
        6 => "BDAT".to_owned(),
        _ => format!("BDAT {size}{last}"),
    };
    [line.as_bytes(), line_end(choice), &octets].concat()
}

fn auth(choice: &mut Choice<'_>, variant: &Variant) -> Vec<u8> {
    let mut text = match choice.below(4) {
        0 => line(choice, b"AUTH PLAIN AGEAYg=="),
        1 => line(choice, b"AUTH LOGIN"),
        2 => line(choice, b"AUTH X"),
        _ => line(choice, b"AUTH PLAIN"),
    };
    for _ in 0..choice.below(3) {
        match choice.below(5) {
            0 => text.extend(line(choice, b"*")),
            1 => text.extend(payload(choice)),
            2 => {
                text.extend_from_slice(b"AGEA");
                text.extend_from_slice(choice.pick(&LINE_ENDS));
                text.extend(payload(choice));
            }
            3 if choice.one_in(4) => {
                fill(choice, variant.auth_line_max, &mut text, b"");
                text.extend(payload(choice));
            }
            _ => text.extend(line(choice, b"AGEAYg==")),
        }
    }
    text
}

fn tls(choice: &mut Choice<'_>) -> Vec<u8> {
    let mut text = line(choice, b"STARTTLS");
    if choice.one_in(2) {
        text.extend_from_slice(b"\x16\x03\x01\x00\x05hello");
    }
    text.extend(payload(choice));
    text
}

/// A line as long as some server's buffer, and a payload where that ends.
fn overlong(choice: &mut Choice<'_>, variant: &Variant) -> Vec<u8> {
    let verb = choice.pick(&[
        &b"NOOP "[..],
        b"HELO ",
        b"EHLO ",
        b"RCPT TO:<",
        b"MAIL FROM:<",
        b"AUTH PLAIN ",
        b"QUIT ",
        b"XXXX ",
    ]);
    let mut text = Vec::new();
    fill(choice, variant.line_max, &mut text, verb);
    text.extend(payload(choice));
    text
}

/// Fills a line up to the server's buffer, or to another's, or nearly.
fn fill(choice: &mut Choice<'_>, own: usize, text: &mut Vec<u8>, start: &[u8]) {
    let buffer = if choice.one_in(2) { own } else { choice.pick(&BUFFERS) };
    let length = match choice.below(4) {
        0..2 => buffer,
        2 => buffer + choice.below(3),
        _ => buffer - 1 - choice.below(3),
    };
    text.extend_from_slice(start);
    text.extend(std::iter::repeat_n(b'a', length.min(17_000) - start.len()));
}

fn many(choice: &mut Choice<'_>) -> Vec<u8> {
    let mut text = Vec::new();
    for _ in 0..choice.below(12) {
        let command = choice.pick(&COMMANDS);
        text.extend(line(choice, command));
    }
    text
}

/// A request that somebody else's program was talked into, with mail in it.
fn http(choice: &mut Choice<'_>) -> Vec<u8> {
    let request = choice.pick(&[&b"POST / HTTP/1.1"[..], b"GET /", b"CONNECT x:25 HTTP/1.0"]);
    [request, b"\r\nHost: mx\r\nMAIL FROM:<a@b>\r\nRCPT TO:<r@d>\r\nDATA\r\n"].concat()
}
