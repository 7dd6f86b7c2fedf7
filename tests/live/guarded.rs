//! The filter at work: what a client sees of the server through it, and what the server never sees.
//!
//! Each expectation is first met by the unguarded server where that makes sense, so that no test
//! passes because the lab is dull.

use std::time::Duration;

use crate::lab::{
    Answers, Attempt, Because, FALSE_ENDS, Family, Filter, Guard, Message, Network, Outcome,
    PATIENCE, Pace, Recorder, Session, Site, ensure,
};
use crate::smuggling::has_taken_another;

/// The article's own test, without the filter and with it.
pub(crate) fn article() -> Outcome<String> {
    let mut site = Site::open(Filter::None)?;
    for family in Family::ALL {
        let bare = Answers::of(family.server())?;
        ensure(bare.banner.text().contains("ESMTP Postfix"), || bare.banner.to_string())?;
        ensure(bare.ehlo.code == 250 && bare.ehlo.lines.len() > 3, || bare.ehlo.to_string())?;
        site.change_filter(Filter::DEFAULT)?;
        let guarded = Answers::of(family.server()).because(site.guard.log())?;
        let (banner, expected) = (guarded.banner.text(), masked(&bare.banner.text()));
        ensure(banner == expected, || format!("banner {banner}, not {expected}"))?;
        for (word, reply) in [("goodmorning", &guarded.goodmorning), ("EHLO", &guarded.ehlo)] {
            ensure([500, 502].contains(&reply.code), || format!("{word}: {reply}"))?;
        }
        ensure(guarded.helo.code == 250, || guarded.helo.to_string())?;
        site.change_filter(Filter::None)?;
        let again = Answers::of(family.server())?;
        ensure(again == bare, || "the filter is gone, its effect is not".to_owned())?;
    }
    Ok("banner masked, goodmorning and EHLO refused by the server, HELO accepted".to_owned())
}

/// Whatever is not one of the seven commands reaches the server as X, however it is cut.
pub(crate) fn refused_commands() -> Outcome<String> {
    let network = Network::build()?;
    let address = Family::V4.server();
    let recorder = Recorder::start(address)?;
    let _guard = Guard::start(Filter::DEFAULT)?;
    let mut lines = 0;
    for pace in [Pace::Whole, Pace::Pieces(1), Pace::Pieces(2), Pace::Pieces(5)] {
        let before = recorder.received().len();
        let (mut session, _) = Session::open(address, PATIENCE)?;
        for line in REFUSED {
            let reply = session.command(pace, line)?;
            ensure(reply.code == 500, || format!("{line}: {reply}"))?;
            lines += 1;
        }
        for line in PERMITTED {
            session.expect(pace, line, 250)?;
        }
        session.quit()?;
        let all = recorder.received();
        let received = all.get(before).because("a connection")?;
        let lines = REFUSED.iter().map(|line| refused(line)).chain(PERMITTED.map(str::to_owned));
        let expected: String = lines.map(|line| line + "\r\n").collect::<String>() + "QUIT\r\n";
        ensure(received == expected.as_bytes(), || {
            format!("{pace:?}: received {}", received.escape_ascii())
        })?;
    }
    Ok(format!("{lines} lines refused, none seen by the server; {}", network.contented()?))
}

/// `fixed`: every cut of the terminator passes, once.
pub(crate) fn split_fixed() -> Outcome<String> {
    let site = Site::open(Filter::DEFAULT)?;
    let mut sent = Vec::new();
    for cuts in 0..16_u8 {
        let family = if cuts.is_multiple_of(2) { Family::V4 } else { Family::V6 };
        let message = Message::new(&format!("cut{cuts}"), b"body\r\n");
        let pieces = cut_terminator(cuts);
        let pieces: Vec<&[u8]> = pieces.iter().map(Vec::as_slice).collect();
        let attempt = Attempt::cut(family.server(), &message, &pieces, PATIENCE)?;
        ensure(attempt == Attempt::Answered(250), || format!("{pieces:?}: {attempt:?}"))?;
        sent.push(message);
    }
    site.finish(&sent)
}

/// `bug`: each try to send a cut terminator starves; nothing is stored, the sender never knows.
pub(crate) fn split_bug() -> Outcome<String> {
    let bug = ["--set", "split_terminator=bug"];
    let mut site = Site::open(Filter::with(&bug))?;
    let server = Family::V4.server();
    let starving = Message::new("starving", b"body\r\n");
    for pieces in
        [[&b"\r\n."[..], b"\r\n"], [b"\r\n.\r", b"\n"], [b"\r\n", b".\r\n"], [b"\r", b"\n.\r\n"]]
    {
        let attempt = Attempt::cut(server, &starving, &pieces, STARVATION)?;
        ensure(attempt == Attempt::Starved, || format!("{pieces:?}: {attempt:?}"))?;
    }
    site.guard.await_event("split")?;
    // Postfix's own workaround for a PIX (the final dot and its line end alone) suits one scope...
    site.change_filter(Filter::with(&[&bug[..], &["--set", "split_scope=dot-crlf"]].concat()))?;
    let helped = Message::new("helped", b"body\r\n");
    let attempt = Attempt::cut(server, &helped, &[b"\r\n", b".\r\n"], PATIENCE)?;
    ensure(attempt == Attempt::Answered(250), || format!("dot-crlf: {attempt:?}"))?;
    let attempt = Attempt::cut(server, &starving, &[b"\r\n.", b"\r\n"], STARVATION)?;
    ensure(attempt == Attempt::Starved, || format!("dot-crlf, cut in it: {attempt:?}"))?;
    // ... and another vendor saw resets instead of silence.
    site.change_filter(Filter::with(&[&bug[..], &["--set", "split_action=reset"]].concat()))?;
    let attempt = Attempt::cut(server, &starving, &[b"\r\n.", b"\r\n"], PATIENCE)?;
    ensure(attempt == Attempt::Broken, || format!("reset: {attempt:?}"))?;
    let whole = Message::new("whole", b"body\r\n");
    let attempt = Attempt::cut(server, &whole, &[b"\r\n.\r\n"], PATIENCE)?;
    ensure(attempt == Attempt::Answered(250), || format!("uncut: {attempt:?}"))?;
    let figures = site.postfix.tally(&[helped, whole], PATIENCE)?.perfect()?;
    Ok(format!("5 cut terminators starved, 1 was reset; {figures}"))
}

/// Ends of data that only some servers believe in smuggle nothing past the filter.
pub(crate) fn smuggling() -> Outcome<String> {
    let mut site = Site::open(Filter::None)?;
    let mut believed = Vec::new();
    for (number, end) in FALSE_ENDS.iter().enumerate() {
        if smuggle(end, &format!("bare{number}"))? {
            believed.push(end.escape_ascii().to_string());
        }
        site.postfix.await_stored(believed.len() + number + 1, PATIENCE)?;
    }
    ensure(!believed.is_empty(), || "this Postfix falls for none, so nothing is shown".to_owned())?;
    site.change_filter(Filter::DEFAULT)?;
    let before = site.postfix.stored()?.len();
    for (number, end) in FALSE_ENDS.iter().enumerate() {
        let is_fooled = smuggle(end, &format!("guarded{number}"))?;
        ensure(!is_fooled, || format!("{} smuggled", end.escape_ascii()))?;
        site.postfix.await_stored(before + number + 1, PATIENCE)?;
    }
    let arrived = site.postfix.stored()?.len() - before;
    ensure(arrived == FALSE_ENDS.len(), || format!("{arrived} messages arrived"))?;
    let figure = format!("{} of {} forged ends", believed.len(), FALSE_ENDS.len());
    Ok(format!("without the filter Postfix believed {figure} ({}), with it 0", believed.join(", ")))
}

/// Nothing passes while no filter runs; a new one takes over, and cuts what it did not see begin.
pub(crate) fn restart(filter: Filter<'_>) -> Outcome<String> {
    let mut site = Site::open(filter)?;
    let server = Family::V4.server();
    let (first, second) = (Message::new("first", b"1\r\n"), Message::new("second", b"2\r\n"));
    let mut old = Session::greeted(server, PATIENCE)?;
    old.deliver(Pace::Whole, &first)?;
    site.guard.stop()?;
    let refused = Session::open(server, STARVATION);
    ensure(refused.is_err(), || "stopped, and yet a connection passed".to_owned())?;
    site.guard.restart()?;
    let orphan = old.command(Pace::Whole, "NOOP");
    let is_reset = orphan.as_ref().is_err_and(|failure| failure.to_string().contains("reset"));
    ensure(is_reset, || format!("a flow without a beginning: {orphan:?}, not reset"))?;
    site.guard.kill()?;
    let refused = Session::open(server, STARVATION);
    ensure(refused.is_err(), || "killed, and yet a connection passed".to_owned())?;
    site.guard.restart()?;
    let mut session = Session::greeted(server, PATIENCE)?;
    session.deliver(Pace::Whole, &second)?;
    session.quit()?;
    let figures = site.postfix.tally(&[first, second], PATIENCE)?.perfect()?;
    Ok(format!("closed while stopped and while killed; {figures}"))
}

/// What passed while the rules were gone neither end says again: both are told within seconds.
pub(crate) fn let_past() -> Outcome<String> {
    let site = Site::open(Filter::DEFAULT)?;
    let server = Family::V4.server();
    let mut past = Session::greeted(server, PATIENCE)?;
    past.expect(Pace::Whole, "NOOP", 250)?;
    site.guard.rules("down")?;
    past.expect(Pace::Whole, "NOOP", 250)?;
    site.guard.rules("up")?;
    let answer = past.command(Pace::Whole, "NOOP");
    let is_reset = answer.as_ref().is_err_and(|failure| failure.to_string().contains("reset"));
    ensure(is_reset, || format!("a flow that was let past: {answer:?}, not reset"))?;
    let message = Message::new("first", b"1\r\n");
    let mut session = Session::greeted(server, PATIENCE)?;
    session.deliver(Pace::Whole, &message)?;
    session.quit()?;
    let figures = site.finish(&[message])?;
    Ok(format!("reset once it was known; {figures}"))
}

/// `rules up` twice is as once, and `rules down` leaves the tables as they were.
pub(crate) fn rules() -> Outcome<String> {
    let network = Network::build()?;
    let before = network.saved_rules()?;
    let guard = Guard::start(Filter::Mailguard { queue: "0:3", arguments: &[] })?;
    let once = network.saved_rules()?;
    ensure(once != before, || "the rules changed nothing".to_owned())?;
    guard.rules("up")?;
    let twice = network.saved_rules()?;
    ensure(once == twice, || format!("once:\n{once}\ntwice:\n{twice}"))?;
    guard.rules("down")?;
    guard.rules("down")?;
    let after = network.saved_rules()?;
    ensure(after == before, || format!("before:\n{before}\nafter:\n{after}"))?;
    Ok("up twice is up, down twice is gone".to_owned())
}

/// Sends a message with another one's commands behind a forged end; whether the server took both.
fn smuggle(end: &[u8], name: &str) -> Outcome<bool> {
    let mut session = Session::greeted(Family::V4.server(), PATIENCE)?;
    session.begin(Pace::Whole, name)?;
    let hidden = format!(
        "MAIL FROM:<smuggler@domain1.com>\r\nRCPT TO:<{name}-smuggled@domain2.com>\r\nDATA\r\n\
         Subject: smuggled\r\n\r\nsmuggled\r\n.\r\n"
    );
    session.send(&[b"Subject: cover\r\n\r\ncover", end, hidden.as_bytes()].concat())?;
    let codes = session.quit_and_count();
    ensure(codes.first() == Some(&250), || format!("end of data: {codes:?}"))?;
    Ok(has_taken_another(&codes))
}

/// The banner as PIX 5.1 and later let it through: `2`, `0`, and a space behind a `0`.
pub(crate) fn masked(banner: &str) -> String {
    let mut last = ' ';
    let (code, text) = banner.split_at(4);
    let mask = |now: char| {
        let keep = matches!(now, '2' | '0') || (now == ' ' && last == '0');
        last = now;
        if keep { now } else { '*' }
    };
    code.chars().chain(text.chars().map(mask).collect::<Vec<_>>()).collect()
}

/// What becomes of a refused line: X from where it can no longer become a permitted verb.
fn refused(line: &str) -> String {
    let upper = line.to_ascii_uppercase();
    let is_open = |length: &usize| SEVEN.iter().any(|verb| verb.starts_with(&upper[..*length]));
    let kept = (0..=line.len().min(4)).rev().find(is_open).unwrap_or(0);
    line[..kept].to_owned() + &"X".repeat(line.len() - kept)
}

/// The five octets, cut wherever the bits say.
fn cut_terminator(cuts: u8) -> Vec<Vec<u8>> {
    let mut pieces = vec![Vec::new()];
    for (at, octet) in b"\r\n.\r\n".iter().enumerate() {
        if let Some(piece) = pieces.last_mut() {
            piece.push(*octet);
        }
        if at < 4 && cuts & (1 << at) != 0 {
            pieces.push(Vec::new());
        }
    }
    pieces
}

const REFUSED: [&str; 11] = [
    "goodmorning",
    "EHLO mail.domain1.com",
    "VRFY root",
    "vrfy root",
    "EXPN list",
    "HELP",
    "AUTH LOGIN",
    "STARTTLS",
    "XEXCH50 1 2",
    "WIZ",
    "NOOPX",
];

const SEVEN: [&str; 7] = ["HELO", "MAIL", "RCPT", "DATA", "RSET", "NOOP", "QUIT"];

const PERMITTED: [&str; 7] = [
    "HELO mail.domain1.com",
    "noop",
    "MAIL FROM:<a@domain1.com>",
    "RSET",
    "mail from:<a@domain1.com>",
    "RCPT TO:<b@domain2.com>",
    "NOOP",
];

/// Several of TCP's own repetitions fall into this time.
const STARVATION: Duration = Duration::from_secs(3);
