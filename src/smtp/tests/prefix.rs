//! The header of the PROXY protocol, whatever the cut.

use super::super::{Answers, DataBegins};
use super::super::{Dialogue, Event, Fault, Offset, Speaker, Standing};

/// What comes of these bytes of the client, in pieces of this size: how many are the header's, the
/// first fault, and how many lines were read behind it.
fn read(input: &[u8], size: usize) -> (usize, Option<Fault>, usize) {
    let mut dialogue = Dialogue::new(DataBegins::OnReply).with_prefix();
    let (mut header, mut fault, mut lines) = (0, None, 0);
    for piece in input.chunks(size) {
        let mut rest = piece;
        while !rest.is_empty() && fault.is_none() {
            let step = dialogue.read(Speaker::Client, rest, Standing::default());
            assert!(step.used > 0);
            if matches!(step.event, Event::Prefix { .. }) {
                header += step.used;
            }
            lines += usize::from(matches!(step.event, Event::CommandEnd { .. }));
            fault = step.fault;
            rest = &rest[step.used..];
        }
    }
    if fault.is_none() && lines == 0 {
        // The greeting is still what is asked for.
        let step = dialogue.read(Speaker::Server, b"220 a", Standing::default());
        let Event::ReplyCode(reply) = step.event else { panic!("{:?}", step.event) };
        assert_eq!(reply.answers, Answers::Connection);
    }
    (header, fault, lines)
}

const SIGNATURE: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";

#[test]
fn a_header_is_read_once_and_answers_nothing() {
    let line = b"PROXY TCP4 198.51.100.7 192.0.2.25 51234 25\r\n";
    let binary = [SIGNATURE, b"\x21\x11\0\x0c", b"\r\n.\r\nEXPN x\n"].concat();
    let local = [SIGNATURE, b"\x20\0\0\0"].concat();
    let longest = [&b"PROXY UNKNOWN "[..], &[b'x'; 91], b"\r\n"].concat();
    assert_eq!(longest.len(), 107);
    for header in [&line[..], &binary, &local, &longest] {
        let text = [header, b"EHLO a\r\n", line].concat();
        for size in 1..=text.len() {
            assert_eq!(read(&text, size), (header.len(), None, 2), "in pieces of {size}");
        }
        for end in 1..header.len() {
            assert_eq!(read(&header[..end], 3), (end, None, 0), "it may still come");
        }
    }
}

#[test]
fn a_server_that_refuses_the_header_is_not_read_on() {
    for (replies, fault) in [
        ("220 hi\r\n500 what\r\n", Some(Fault::BrokenPrefix)),
        ("500 what\r\n", Some(Fault::BrokenPrefix)),
        ("220 hi\r\n530 TLS first\r\n", Some(Fault::BrokenPrefix)),
        ("220 hi\r\n250 hello\r\n500 what\r\n", None),
        ("220 hi\r\n421 busy\r\n", None),
        ("554 not you\r\n", None),
        ("550 not you\r\n", None),
        ("502 what\r\n", Some(Fault::BrokenPrefix)),
    ] {
        for size in [1, 4, 99] {
            let mut dialogue = Dialogue::new(DataBegins::OnReply).with_prefix();
            let mut found = None;
            let said = b"PROXY UNKNOWN\r\nEHLO a\r\nNOOP\r\n";
            let covers = Offset::new(said.len() as u64);
            for (from, text) in
                [(Speaker::Client, &said[..]), (Speaker::Server, replies.as_bytes())]
            {
                let mut at = 0;
                while at < text.len() {
                    let piece = &text[at..text.len().min(at + size)];
                    let standing = Standing { at: Offset::new(at as u64), covers };
                    let step = dialogue.read(from, piece, standing);
                    found = found.or(step.fault);
                    at += step.used.max(1);
                }
            }
            assert_eq!(found, fault, "{replies:?} in pieces of {size}");
        }
    }
}

#[test]
fn who_begins_otherwise_has_sent_none() {
    for text in [&b"EHLO a\r\nNOOP\r\n"[..], b"\nEHLO a\r\n"] {
        for size in 1..=text.len() {
            assert_eq!(read(text, size), (0, None, 2));
        }
    }
}

#[test]
fn a_broken_header_is_no_line() {
    let long = [&b"PROXY UNKNOWN "[..], &[b'x'; 92], b"\r\n"].concat();
    let huge = [SIGNATURE, b"\x21\x11\x10\x01"].concat();
    let other = [SIGNATURE, b"\x31\x11\0\0"].concat();
    for text in [
        &b"PIPELINE\r\n"[..],
        b"proxy TCP4\r\n",
        b"PROXY TCP4\nEHLO a\r\n",
        b"PROXY \0\r\n",
        b"PROXY a\rEHLO\r\n",
        b"\r\nEHLO a\r\n",
        &long,
        &huge,
        &other,
    ] {
        for size in 1..=text.len() {
            let (_, fault, lines) = read(text, size);
            let is_other = text.starts_with(b"proxy");
            assert_eq!(fault, (!is_other).then_some(Fault::BrokenPrefix), "{text:?}");
            assert_eq!(lines, usize::from(is_other));
        }
    }
}
