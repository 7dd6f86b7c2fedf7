//! The duplicates of Microsoft's article 295725, end to end: a sender that cuts the terminator, a
//! server that delivers what it has got when the connection ends, and a retry interval.

use crate::cutting::{NO_WORKAROUNDS, Stage};
use crate::lab::{Because, Filter, Guard, Outcome, ensure};

/// With the bug each try adds a copy, and only the cure ends it; without, one try, one copy.
pub(crate) fn each_try_a_copy() -> Outcome<String> {
    let stage = Stage::build(NO_WORKAROUNDS)?;
    let bug = ["--profile", "mailguard", "--set", "split_terminator=bug"];
    let mut guard = Guard::start(Filter::with(&bug))?;
    stage.submit()?;
    stage.await_copies(TRIES)?;
    stage.await_tries(TRIES)?;
    let delivered = stage.server.delivered();
    let unacknowledged = delivered.iter().filter(|copy| !copy.is_whole).count();
    ensure(unacknowledged == delivered.len(), || "the server saw an end".to_owned())?;
    let expected = &delivered.first().because("a copy")?.content;
    let is_same = delivered.iter().all(|copy| copy.content == *expected);
    ensure(is_same, || "copies differ".to_owned())?;
    guard.await_event("split")?;
    // The message is still queued: what ends its tries is the cure, with one last copy.
    guard.replace(Filter::DEFAULT)?;
    stage.await_acknowledgement()?;
    let copies = stage.server.delivered();
    let last = copies.last().because("a copy")?;
    ensure(last.is_whole && last.content == *expected, || "the last is not whole".to_owned())?;
    let before = copies.len();
    // A second message, with the cure from the beginning.
    stage.submit()?;
    stage.await_copies(before + 1)?;
    // What has left the queue is not sent again.
    stage.await_removals(2)?;
    let after = stage.server.delivered().len() - before;
    ensure(after == 1, || format!("{after} copies with the cure"))?;
    let tries = stage.tries();
    let deferred = tries.iter().filter(|line| line.contains("status=deferred")).count();
    ensure(deferred + 1 >= before - 1, || format!("{deferred} tries, {before} copies"))?;
    let kernel = stage.network.contented()?;
    Ok(format!("bug: {} copies in as many tries; fixed: 1 copy in 1 try; {kernel}", before - 1))
}

/// How often the test lets it try.
const TRIES: usize = 4;
