//! The table: what the filter costs, beside others, in one run.
//!
//! Contenders are up at the same time and take short turns in one lab, in another order in each
//! round, so that a busy machine slows all alike. What counts is the ratio within a round. Source
//! and sink are our own and do nothing but move bytes: any real mail program is so much slower than
//! a queue that all would look alike. Packets of a flow come in on one processor, as cards deliver
//! them: a message's end that overtakes the rest of it is dropped and costs the sender's timer.
//!
//! `make bench`; `ROUNDS=n` sets the rounds, `ONLY=WORD` chooses scenarios (`ONLY=SCENARIO/WORD`
//! contenders too), `SECONDS_A_TURN=x` how long a turn lasts. It fails no test: a row that cannot
//! be had says so.

#![allow(
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    reason = "a bench stops where it is wrong"
)]

use std::env;
use std::process::ExitCode;
use std::time::Duration;

/// The best that a queue's program can do: accept everything, in batches.
mod batched;
/// Who takes part.
mod contender;
#[path = "../counting.rs"]
/// Instructions by kind of packet.
mod counting;
/// Connections that stand open, and the first verdict.
mod crowd;
/// The README's figure.
mod figure;
#[path = "../kinds.rs"]
/// The kinds of packets.
mod kinds;
#[path = "../../lab/mod.rs"]
mod lab;
/// Programs that read captures.
mod replay;
/// The table and its JSON.
mod report;
/// The rounds.
mod rounds;
/// What is measured.
mod scenario;
/// Who sends the mail.
mod sender;
#[path = "../sink.rs"]
/// Who receives it.
mod sink;
#[path = "../../support/mod.rs"]
mod support;
/// Suricata, as near as it comes.
mod suricata;
/// Captures for the replays.
mod tape;

use lab::{sealed, serve_if_asked, settle};

#[expect(clippy::print_stderr, reason = "this is a program's report")]
fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let served = serve_if_asked(&arguments)
        .or_else(|| batched::serve_if_asked(&arguments))
        .or_else(|| counting::play_if_asked(&arguments));
    if let Some(code) = served {
        return code;
    }
    let done = if arguments.iter().any(|word| word == INSIDE) {
        settle().and_then(|()| rounds::run_all()).map(|()| true)
    } else {
        sealed(&[INSIDE], TIME_MAX).map(|status| status.success())
    };
    match done {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(failure) => {
            eprintln!("{failure}");
            ExitCode::FAILURE
        }
    }
}

const INSIDE: &str = "--inside";

/// With the usual number of rounds it takes a quarter of an hour at most.
const TIME_MAX: Duration = Duration::from_secs(7_200);
