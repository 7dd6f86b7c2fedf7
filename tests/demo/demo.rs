//! `make demo`: what Mailguard does, shown on a sealed network with a real Postfix behind it.
//!
//! Tells the story of Microsoft's article 295725 in five acts and prints what really happened: each
//! line of the dialogues came over a socket. Leaves this machine as it found it, and says so.

use std::process::ExitCode;
use std::time::Duration;

#[path = "../lab/mod.rs"]
mod lab;
mod stage;
mod untouched;

use lab::{
    Answers, Attempt, Family, Filter, Message, Outcome, PATIENCE, Root, Site, ensure, swaks,
};
use stage::{act, dialogue, good, note, shown};

fn main() -> ExitCode {
    untouched::run(play)
}

fn play() -> Outcome {
    stage::title(
        "Mailguard, shown on a sealed network of three hosts",
        "198.51.100.2 port 25\n    \
         2001:db8:1::2                                     2001:db8:2::2, a real Postfix",
    );
    let mut site = Site::open(Filter::None)?;
    without()?;
    with(&mut site)?;
    deliver(&site)?;
    split_bug(&mut site)?;
    split_fixed(&mut site)?;
    note(
        "Next: `make demo-duplicates` for what the bug did to people, `make test` for the proofs,",
    );
    note("`make bench` for the speed, README.md for a gateway.");
    Ok(())
}

fn without() -> Outcome {
    act("1", "Without Mailguard: the server introduces itself to anybody");
    let answers = Answers::of(Family::V4.server())?;
    show_answers(&answers);
    note("Name and software in the banner, its extensions for the asking, an error of its own.");
    Ok(())
}

fn with(site: &mut Site) -> Outcome {
    act("2", "With Mailguard on the gateway: the same questions");
    site.change_filter(Filter::DEFAULT)?;
    let answers = Answers::of(Family::V4.server())?;
    show_answers(&answers);
    note("The banner is masked as a PIX masks it. `goodmorning` and EHLO reached the server as X,");
    note("byte for byte in the same packets; it is the server itself that refuses them.");
    ensure(answers.ehlo.code >= 500 && answers.helo.code == 250, || answers.ehlo.to_string())
}

fn deliver(site: &Site) -> Outcome {
    act("3", "Mail passes unharmed");
    let body = "Gr\u{fc}\u{df}e, 8-bit and all.\r\n.a line that begins with a dot\r\n\r\nEnd.\r\n";
    let message = Message::new("postmaster", body.as_bytes());
    let root = Root::mount("swaks")?;
    swaks(&root, Family::V6.server(), &message)?.lines().for_each(shown);
    let stored = site.postfix.await_stored(1, PATIENCE)?;
    let octets = message.content.len();
    ensure(stored == [message], || format!("stored differently: {stored:?}"))?;
    good(&format!("swaks sent {octets} octets over IPv6, Postfix stored the same {octets}."));
    note("Mailguard's event log of acts 2 and 3, in the words of the article's protocol log:");
    site.guard.events().lines().for_each(shown);
    Ok(())
}

fn split_bug(site: &mut Site) -> Outcome {
    act("4", "The famous bug: split_terminator = \"bug\" (CSCds90792)");
    note("The end of a message, CR LF . CR LF, leaves in two packets, as TCP is free to do.");
    site.change_filter(Filter::with(&["--set", "split_terminator=bug"]))?;
    for attempt in 1..=3 {
        let end = try_cut(attempt)?;
        ensure(end == Attempt::Starved, || format!("not starved: {end:?}"))?;
        dialogue('>', &format!("try {attempt}: message, CR LF ."));
        dialogue('>', "       CR LF, in its own packet");
        dialogue(' ', &format!("       no answer for {} s, sender gives up", STARVATION.as_secs()));
    }
    let stored = site.postfix.stored()?.len() - 1;
    good(&format!(
        "Sent 3 times, stored {stored} times. A sender that queues repeats this for days."
    ));
    note("The event log of the last try says why; TCP sends the dropped packet again and again:");
    let events = site.guard.events();
    let last = events.rfind("A connection was accepted").unwrap_or(0);
    let line_start =
        events.get(..last).and_then(|before| before.rfind('\n')).map_or(0, |at| at + 1);
    events.get(line_start..).unwrap_or_default().lines().for_each(shown);
    Ok(())
}

fn split_fixed(site: &mut Site) -> Outcome {
    act("5", "The cure, and the default: split_terminator = \"fixed\"");
    site.change_filter(Filter::DEFAULT)?;
    let end = try_cut(4)?;
    ensure(end == Attempt::Answered(250), || format!("not delivered: {end:?}"))?;
    dialogue('>', "message, CR LF .");
    dialogue('>', "CR LF, in its own packet");
    dialogue('<', "250, stored");
    let copies = site.postfix.await_stored(2, PATIENCE)?.len() - 1;
    ensure(copies == 1, || format!("{copies} copies"))?;
    good("Sent once, stored once.");
    Ok(())
}

fn try_cut(attempt: usize) -> Outcome<Attempt> {
    let message = Message::new(&format!("try{attempt}"), b"All work and no play.\r\n");
    Attempt::cut(Family::V4.server(), &message, &[b"\r\n.", b"\r\n"], STARVATION)
}

fn show_answers(answers: &Answers) {
    dialogue('<', &answers.banner.text());
    let asked = [
        ("goodmorning", &answers.goodmorning),
        ("EHLO mail.domain1.com", &answers.ehlo),
        ("HELO mail.domain1.com", &answers.helo),
    ];
    for (line, reply) in asked {
        dialogue('>', line);
        reply.lines.iter().for_each(|line| dialogue('<', &String::from_utf8_lossy(line)));
    }
}

/// Several of TCP's own repetitions fall into this time.
const STARVATION: Duration = Duration::from_secs(3);
