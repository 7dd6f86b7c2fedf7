//! Servers that read as real ones do, behind the engine: what they run and store is what the
//! policy permits and what was sent, whatever client, server and network do.
//!
//! `SEEDS=1000000` plays more of each kind (`make soak`), `KIND=Honest SEED=17` one again, with
//! all that was said and what became of it; `LIST=1` names every seed that fails.

#![allow(clippy::unwrap_used, reason = "a test stops where it is wrong")]
#![allow(clippy::print_stdout, reason = "what a run has tried")]

#[path = "../support/mod.rs"]
mod support;

/// The model: servers, clients, the network between, and what must hold.
mod model;

use std::panic::set_hook;
use std::thread;

use model::dialogue::Kind;
use model::limits::BEYOND;
use model::seeds::{Failures, list, run_seeds, tell};
use support::random::{asked, environment};

/// Dialogues of each kind, unless `SEEDS` says otherwise.
const SEEDS: u64 = 8_000;

/// Seeds that a worker takes at a time.
const SHARE: u64 = 500;

fn run(kind: Kind) {
    if let Some(seeds) = asked(&[Kind::Adversary, Kind::Honest], &kind) {
        seeds.clone().for_each(|seed| println!("{}", tell(kind, seed)));
        return expect_none(&run_seeds(kind, seeds), kind);
    }
    // A panic is a violation like another: it is told with its seed.
    set_hook(Box::new(|_| ()));
    let seeds = environment("SEEDS", SEEDS);
    if std::env::var_os("LIST").is_some() {
        println!("{}", list(kind, 0..seeds));
        return;
    }
    let workers = thread::available_parallelism().map_or(1, usize::from) as u64;
    let stride = usize::try_from(workers * SHARE).unwrap();
    let play = move |worker: u64| {
        let mut failures = Failures::default();
        for start in (worker * SHARE..seeds).step_by(stride) {
            failures.merge(run_seeds(kind, start..seeds.min(start + SHARE)));
        }
        failures
    };
    let workers: Vec<_> = (0..workers).map(|worker| thread::spawn(move || play(worker))).collect();
    let mut failures = Failures::default();
    for worker in workers {
        failures.merge(worker.join().unwrap());
    }
    println!("{kind:?}: {seeds} dialogues, {} readings left out", BEYOND.len());
    expect_none(&failures, kind);
}

fn expect_none(failures: &Failures, kind: Kind) {
    let lines = failures.lines(kind);
    // The hook keeps the message of the assertion to itself.
    println!("{lines}");
    assert!(failures.is_empty(), "{lines}");
}

#[test]
fn an_adversary_has_nothing_run_that_is_refused() {
    run(Kind::Adversary);
}

#[test]
fn an_honest_client_has_its_mail_stored_and_never_run() {
    run(Kind::Honest);
}
