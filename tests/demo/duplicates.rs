//! `make demo-duplicates`: what Microsoft's article 295725 is about, as it happens. A message is
//! sent once and arrives again and again, for as long as the sender's queue has patience.
//!
//! The sender is a real Postfix with its workarounds for a PIX taken away and its patience cut to
//! seconds; the server does what old Exchange servers did, see `lab/hasty.rs`.

use std::process::ExitCode;

#[path = "../live/cutting.rs"]
mod cutting;
#[path = "../lab/mod.rs"]
mod lab;
mod stage;
mod untouched;

use cutting::{NO_WORKAROUNDS, Stage};
use lab::{Filter, Guard, Outcome, ensure};
use stage::{act, dialogue, good, note, shown};

fn main() -> ExitCode {
    untouched::run(play)
}

fn play() -> Outcome {
    stage::title(
        "The duplicates of Microsoft's article 295725",
        "198.51.100.10 port 25\n    \
         a real Postfix that                               a server that delivers what it has\n    \
         knows nothing of PIX                              when a connection ends, as old Exchange",
    );
    let stage = Stage::build(NO_WORKAROUNDS)?;
    let mut guard = Guard::start(Filter::with(&["--set", "split_terminator=bug"]))?;
    bug(&stage, &guard)?;
    guard.replace(Filter::DEFAULT)?;
    cure(&stage, &guard)
}

fn bug(stage: &Stage, guard: &Guard) -> Outcome {
    act("1", "One message, behind split_terminator = \"bug\" (CSCds90792)");
    note("A mail server has one message in its queue. Its end is cut over two packets:");
    dialogue('>', "... CR LF .");
    dialogue('>', "CR LF");
    note("Within seconds here, minutes or hours elsewhere, its own log tells of try after try:");
    stage.submit()?;
    for number in 1..=TRIES {
        stage.await_copies(number)?;
        stage.await_tries(number)?;
        show_last_try(stage);
    }
    let delivered = stage.server.delivered();
    note("What lies in the recipient's mailbox by then:");
    for (number, copy) in delivered.iter().enumerate() {
        let subject = String::from_utf8_lossy(&copy.content);
        let subject = subject.lines().find(|line| line.starts_with("Subject")).unwrap_or("");
        shown(&format!("{}. {subject} ({} octets)", number + 1, copy.content.len()));
    }
    let copies = delivered.len();
    ensure(copies >= TRIES && delivered.iter().all(|copy| !copy.is_whole), || {
        format!("{copies} copies, and some of them whole")
    })?;
    good(&format!("Sent once, delivered {copies} times, and the sender still does not know."));
    note("Why: the protocol log of the first try, as the article shows it. The packet with the");
    note("last CR LF is dropped, however often TCP repeats it; the server never sees the end.");
    first_connection(&guard.events()).for_each(shown);
    Ok(())
}

fn cure(stage: &Stage, guard: &Guard) -> Outcome {
    act("2", "The same message, still queued, behind split_terminator = \"fixed\"");
    stage.await_acknowledgement()?;
    show_last_try(stage);
    note("Its protocol log:");
    // The log is written a moment behind the packets.
    guard.await_event("was closed")?;
    first_connection(&guard.events()).for_each(shown);
    let before = stage.server.delivered().len();
    good("The server has acknowledged it; the tries have ended.");
    act("3", "A new message, cut in the same place");
    stage.submit()?;
    stage.await_copies(before + 1)?;
    stage.await_removals(2)?;
    let copies = stage.server.delivered().len() - before;
    ensure(copies == 1, || format!("{copies} copies"))?;
    good("Sent once, delivered once.");
    let kernel = stage.network.contented()?;
    note(&format!("The kernels on the way had no complaint: {kernel}."));
    Ok(())
}

/// What the sender's log says of its last try, without what is the same each time.
fn show_last_try(stage: &Stage) {
    let tries = stage.tries();
    let line = tries.last().map(String::as_str).unwrap_or_default();
    let delay = line.split_once("delay=").and_then(|(_, tail)| tail.split(',').next());
    let status = line.find("status=").and_then(|at| line.get(at..)).unwrap_or(line);
    let (number, seconds) = (tries.len(), delay.unwrap_or("?"));
    shown(&format!("try {number}, after {seconds} s: {status}"));
}

/// The lines of a log up to where another connection begins.
fn first_connection(events: &str) -> impl Iterator<Item = &str> {
    let mut connections = 0;
    events.lines().take_while(move |line| {
        connections += usize::from(line.contains("A connection was accepted"));
        connections < 2
    })
}

const TRIES: usize = 4;
