//! What each verb does to a server, and what it is answered with.

use super::server::{Mode, Server, Transaction};
use super::variant::{Auth, Chunks, Greeting, StartTls, Variant};

/// Every verb some server runs.
pub const VERBS: [&str; 21] = [
    "ATRN", "AUTH", "BDAT", "DATA", "EHLO", "ETRN", "EXPN", "HELO", "HELP", "MAIL", "NOOP", "QUIT",
    "RCPT", "RSET", "SAML", "SEND", "SOML", "STARTTLS", "TURN", "VRFY", "XCLIENT",
];

/// Longest size of a chunk that is taken.
const CHUNK_MAX: usize = 1 << 31;

/// Whether this server knows the verb at all.
pub fn is_known(variant: &Variant, verb: &str) -> bool {
    match verb {
        "EHLO" => variant.knows_ehlo,
        "BDAT" => variant.chunks != Chunks::Unknown,
        "AUTH" => variant.auth != Auth::Unknown,
        "STARTTLS" => variant.starttls != StartTls::Unknown,
        _ => true,
    }
}

/// Runs a command.
pub fn run(server: &mut Server, verb: &'static str, arguments: &[u8]) {
    if verb == "BDAT" && !server.transaction.is_lost {
        return begin_chunk(server, arguments);
    }
    if server.refuses_without_code(verb) {
        return server.say(verb, "");
    }
    if server.transaction.is_lost && !matches!(verb, "RSET" | "QUIT") {
        return server.say(verb, "503 5.5.1 only RSET accepted now\r\n");
    }
    let is_refusing = server.variant.greeting == Greeting::Refusal && verb != "QUIT";
    let is_mail = matches!(verb, "MAIL" | "SEND" | "SOML" | "SAML");
    let wants_tls = server.variant.wants_tls && (is_mail || matches!(verb, "RCPT" | "DATA"));
    let reply = match verb {
        _ if is_refusing => "503 5.5.1 no mail here\r\n",
        _ if wants_tls => "530 5.7.0 Must issue a STARTTLS command first\r\n",
        "HELO" | "EHLO" => return hello(server, verb),
        "RCPT" => recipient(&server.variant, &mut server.transaction),
        "DATA" => return data(server),
        "AUTH" => return begin_auth(server, arguments),
        "STARTTLS" => return begin_tls(server),
        "RSET" => {
            server.message.clear();
            server.transaction = Transaction { has_hello: true, ..Transaction::default() };
            "250 2.0.0 flushed\r\n"
        }
        "QUIT" => {
            server.say(verb, "221 2.0.0 bye\r\n");
            server.mode = Mode::Closed;
            return;
        }
        "HELP" => "214 2.0.0 no help\r\n",
        "VRFY" | "EXPN" => "252 2.0.0 perhaps\r\n",
        _ if is_mail => {
            server.message.clear();
            let has_hello = server.transaction.has_hello;
            server.transaction =
                Transaction { has_hello, has_mail: true, ..Transaction::default() };
            "250 2.1.0 sender ok\r\n"
        }
        _ => "250 2.0.0 ok\r\n",
    };
    server.say(verb, reply);
}

fn recipient(variant: &Variant, transaction: &mut Transaction) -> &'static str {
    if !transaction.has_mail {
        return "503 5.5.1 no sender\r\n";
    }
    transaction.asked += 1;
    if variant.refuses_recipients && transaction.asked % 2 == 1 {
        return "550 5.1.1 no such user\r\n";
    }
    transaction.taken += 1;
    "250 2.1.5 recipient ok\r\n"
}

fn hello(server: &mut Server, verb: &str) {
    let is_second = std::mem::replace(&mut server.transaction.has_hello, true);
    if is_second && server.variant.refuses_second_hello {
        return server.say(verb, "503 5.5.1 duplicate\r\n");
    }
    server.transaction = Transaction { has_hello: true, ..Transaction::default() };
    if verb == "HELO" {
        return server.say(verb, "250 mx.example\r\n");
    }
    let variant = &server.variant;
    let mut reply = "250-mx.example greets you\r\n".to_owned();
    for (is_offered, line) in [
        (variant.offers_pipelining, "PIPELINING"),
        (true, "SIZE 1000000"),
        (true, "XCLIENT NAME ADDR"),
        (variant.starttls != StartTls::Unknown, "STARTTLS"),
        (variant.auth != Auth::Unknown, "AUTH PLAIN LOGIN"),
        (variant.chunks != Chunks::Unknown, "CHUNKING"),
    ] {
        if is_offered {
            reply.push_str("250-");
            reply.push_str(line);
            reply.push_str("\r\n");
        }
    }
    reply.push_str("250 8BITMIME\r\n");
    let start = server.said.len();
    server.say(verb, &reply);
    server.offers.push(start..server.said.len());
}

fn data(server: &mut Server) {
    let transaction = server.transaction;
    if server.variant.needs_recipient && transaction.taken == 0 {
        return server.say("DATA", "503 5.5.1 no valid recipients\r\n");
    }
    if server.variant.refuses_data {
        server.transaction.is_lost = true;
        return server.say("DATA", "503 5.5.1 use BDAT\r\n");
    }
    server.begin_data();
    server.say("DATA", "354 go ahead\r\n");
}

fn begin_tls(server: &mut Server) {
    if server.variant.starttls == StartTls::Refused {
        return server.say("STARTTLS", "454 4.7.0 TLS not available\r\n");
    }
    server.mode = Mode::Tls;
    server.say("STARTTLS", "220 2.0.0 go ahead\r\n");
}

fn begin_auth(server: &mut Server, arguments: &[u8]) {
    let mut words = arguments.split(|&byte| byte == b' ').filter(|word| !word.is_empty());
    let mechanism = words.next().unwrap_or_default().to_ascii_uppercase();
    let lines = match &mechanism[..] {
        b"PLAIN" => 1,
        b"LOGIN" => 2,
        _ => return server.say("AUTH", "504 5.5.4 mechanism?\r\n"),
    };
    let left = if words.next().is_some() { lines - 1 } else { lines };
    if left == 0 {
        return end_auth(server);
    }
    server.mode = Mode::Auth(left);
    server.say("AUTH", "334 VXNlcm5hbWU6\r\n");
}

/// A line of an exchange that still wants so many.
pub fn step_auth(server: &mut Server, line: &[u8], left: u8) {
    if line == b"*" {
        server.mode = Mode::Command;
        return server.say("AUTH", "501 5.7.0 cancelled\r\n");
    }
    if left <= 1 {
        return end_auth(server);
    }
    server.mode = Mode::Auth(left - 1);
    server.say("AUTH", "334 UGFzc3dvcmQ6\r\n");
}

fn end_auth(server: &mut Server) {
    server.mode = Mode::Command;
    let is_taken = server.variant.auth == Auth::Taken;
    let reply = if is_taken { "235 2.7.0 ok\r\n" } else { "535 5.7.8 no\r\n" };
    server.say("AUTH", reply);
}

/// The digits count, whatever follows them (Exim).
fn begin_chunk(server: &mut Server, arguments: &[u8]) {
    let text = String::from_utf8_lossy(arguments).to_ascii_uppercase();
    let mut words = text.split_ascii_whitespace();
    let size = words.next().and_then(|word| word.parse::<usize>().ok());
    let is_odd = server.variant.chunks == Chunks::Strict && !is_by_the_letter(arguments);
    let Some(left) = size.filter(|&size| size <= CHUNK_MAX && !is_odd) else {
        return server.say("BDAT", "501 5.5.4 size?\r\n");
    };
    let is_last = words.next() == Some("LAST");
    let is_refused = server.variant.wants_tls
        || server.variant.greeting == Greeting::Refusal
        || server.transaction.taken == 0;
    if is_refused || server.refuses_without_code("BDAT") {
        server.transaction.taken = 0;
        let is_tls = server.variant.wants_tls;
        let reply = if is_tls { "530 5.7.0 STARTTLS first\r\n" } else { "503 5.5.1 whom to?\r\n" };
        if !server.variant.chunks.reads_refused() && left > 0 {
            server.mode = Mode::Chunk { left, is_last, is_taken: false };
        }
        return server.say("BDAT", reply);
    }
    if left == 0 && !is_last && server.variant.chunks == Chunks::SwallowedUntilNone {
        server.transaction.is_lost = true;
        return server.say("BDAT", "504 5.5.4 zero size\r\n");
    }
    server.mode = Mode::Chunk { left, is_last, is_taken: true };
    if left == 0 {
        end_chunk(server, is_last, true);
    }
}

/// Whether it is a size and nothing else, or a size and LAST, each behind one space (RFC 3030 2).
fn is_by_the_letter(arguments: &[u8]) -> bool {
    let Some(rest) = arguments.strip_prefix(b" ") else { return false };
    let digits = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
    digits > 0 && (digits == rest.len() || &rest[digits..] == b" LAST")
}

/// All octets of a chunk are there.
pub fn end_chunk(server: &mut Server, is_last: bool, is_taken: bool) {
    server.mode = Mode::Command;
    match (is_taken, is_last) {
        (true, true) => server.end_message(),
        (true, false) => server.say("BDAT", "250 2.0.0 octets taken\r\n"),
        (false, _) => server.message.clear(),
    }
}
