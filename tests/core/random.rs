//! Random schedules by the thousand: what leaves has one value for each position and does not
//! depend on the schedule, whatever the network and the ends do.
//!
//! `SEEDS=1000000` tries more of each kind (`make soak`), `SEED=17 KIND=War` plays one again. A
//! seed that fails is printed with a list of packets as short as it can be made.

use std::thread;

use crate::support::random::{asked, environment};
use crate::support::schedule::{Kind, run_seeds};

/// Seeds of each kind, unless `SEEDS` says otherwise.
const SEEDS: u64 = 3_000;

fn run(kind: Kind) {
    if let Some(seeds) = asked(&Kind::ALL, &kind) {
        return expect_none(run_seeds(kind, seeds));
    }
    let seeds = environment("SEEDS", SEEDS);
    let workers = thread::available_parallelism().map_or(1, usize::from) as u64;
    let share = seeds.div_ceil(workers);
    let shares = (0..workers).map(|worker| worker * share..seeds.min((worker + 1) * share));
    let workers: Vec<_> =
        shares.map(|seeds| thread::spawn(move || run_seeds(kind, seeds))).collect();
    for worker in workers {
        expect_none(worker.join().unwrap());
    }
    println!("{kind:?}: {seeds} seeds, 0 differences");
}

/// Prints the packets of a failure a line each.
fn expect_none(failure: Result<(), String>) {
    if let Err(text) = failure {
        panic!("{text}");
    }
}

#[test]
fn cut_reordered_repeated_and_lost_gives_the_same_streams() {
    run(Kind::Honest);
}

#[test]
fn without_rules_the_bytes_leave_as_they_came() {
    run(Kind::NoRules);
}

#[test]
fn a_client_that_contradicts_itself_is_read_one_way() {
    run(Kind::Conflict);
}

#[test]
fn two_lying_ends_never_get_two_values_through() {
    run(Kind::War);
}
