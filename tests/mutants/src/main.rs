//! Changes modules of the core in every small way, and says which changes no test notices:
//! `mailguard-mutants MODULE…`, at the root of the tree. A module may be a part of one, such as
//! `guard/size`.
//!
//! cargo-mutants says what changes there are. All of them are put into one copy of the tree, each
//! behind a switch (`switch.rs`), and built at once. Each is tried by the tests that reach it. What
//! cannot be switched while a program runs is tried last, by all tests, a build for each.
//!
//! A change that no test notices has to stand in `tests/mutants/MODULE.txt` with the reason why
//! none can; any other is a failure.

#![allow(clippy::disallowed_methods, reason = "how long a test takes is what is asked")]

/// The changed tree, without what does not compile.
mod compile;
/// The changes, as cargo-mutants lists them, and what becomes of them.
mod mutant;
/// What cannot be switched.
mod plain;
/// The sources with all changes in them.
mod rewrite;
/// The tests, and what they notice.
mod run;
/// The places in the sources where changes are made.
mod sites;
/// A copy of the tree.
mod tree;

use std::error::Error;
use std::fs;
use std::process::ExitCode;

use mutant::{Fate, Mutant};
use run::Tests;

fn main() -> Result<ExitCode, Box<dyn Error>> {
    let modules: Vec<String> = std::env::args().skip(1).collect();
    let jobs = std::thread::available_parallelism()?.get();
    let mut mutants = mutant::list(&modules)?;
    let tests = Tests::run(&compile::compile(&mut mutants)?, jobs)?;
    let numbered = |module: &str, fate: Fate, mutants: &[Mutant]| -> Vec<usize> {
        let is_wanted = |n: &usize| mutants[*n].is_of(module) && mutants[*n].fate == fate;
        (0..mutants.len()).filter(is_wanted).collect()
    };
    let mut is_good = true;
    for module in &modules {
        let open = numbered(module, Fate::Open, &mutants);
        let fates = run::in_parallel(jobs, open, |_, n| (n, tests.try_out(n)));
        for (number, fate) in fates {
            mutants[number].fate = fate;
        }
        is_good &= report(module, &mutants)?;
    }
    // Last: each takes a build.
    for module in &modules {
        let fixed = numbered(module, Fate::Fixed, &mutants);
        if fixed.is_empty() {
            continue;
        }
        eprintln!("{module}: {} changes of constants, one by one", fixed.len());
        for number in fixed {
            mutants[number].fate = plain::try_out(&mutants[number])?;
        }
        is_good &= report(module, &mutants)?;
    }
    Ok(if is_good { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Prints what became of a module's changes, and writes it below target/mutants. Whether every one
/// that was missed is explained.
fn report(module: &str, mutants: &[Mutant]) -> Result<bool, Box<dyn Error>> {
    let folder = format!("target/mutants/{module}");
    fs::create_dir_all(&folder)?;
    let named = |fate: Fate| mutants.iter().filter(move |m| m.is_of(module) && m.fate == fate);
    let untried = named(Fate::Fixed).count();
    let mut counts = Vec::new();
    for (fate, name) in Fate::FINAL {
        let names: String = named(fate).map(|mutant| mutant.name.clone() + "\n").collect();
        fs::write(format!("{folder}/{name}.txt"), names)?;
        counts.push(named(fate).count());
    }
    let [caught, too_slow, missed, unviable] = counts[..] else { unreachable!("four fates") };
    let noticed = caught + too_slow;
    println!(
        "{module}: {caught} caught, {too_slow} too slow, {missed} missed, {unviable} do not \
         compile, {untried} not tried yet: {:.1} % of {} noticed",
        100.0 * noticed as f64 / (noticed + missed).max(1) as f64,
        noticed + missed
    );
    let list = module.split('/').next().unwrap_or_default();
    let explained = format!("tests/mutants/{list}.txt");
    let text = fs::read_to_string(&explained).unwrap_or_default();
    let is_known = |line: &&str| mutant::is_of(line.split(':').next().unwrap_or_default(), module);
    let mut known: Vec<&str> = text.lines().filter(is_known).collect();
    let mut new = Vec::new();
    for mutant in named(Fate::Missed) {
        match known.iter().position(|name| *name == mutant.placeless()) {
            Some(place) => drop(known.swap_remove(place)),
            None => new.push(&mutant.name),
        }
    }
    new.iter()
        .for_each(|name| println!("noticed by no test, not explained in {explained}: {name}"));
    if untried == 0 {
        known.iter().for_each(|name| println!("explained in {explained}, but noticed: {name}"));
    }
    Ok(new.is_empty())
}
