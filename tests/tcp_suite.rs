//! The adversarial TCP suite: one row for each known way to show a filter another stream, by its
//! id.
//!
//! What must hold for every packet and at the end of every talk is asserted by `support::rig` and
//! `support::talk`; a row adds its schedule and, where there is one, its own expectation. A row
//! that fails does not hide the others. `cargo test --test tcp_suite -- B0 J12` runs some.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    reason = "a test stops where it is wrong"
)]
#![allow(clippy::print_stdout, clippy::exit, reason = "prints a matrix and gives an exit code")]

mod suite;
mod support;

use std::panic::{AssertUnwindSafe, catch_unwind, set_hook};
use std::process::exit;
use std::sync::{Arc, Mutex};

fn main() {
    let filters: Vec<String> = std::env::args().skip(1).filter(|a| !a.starts_with('-')).collect();
    let message = Arc::new(Mutex::new(String::new()));
    let hook_message = Arc::clone(&message);
    set_hook(Box::new(move |info| *hook_message.lock().unwrap() = info.to_string()));
    let (mut passed, mut failed, mut elsewhere) = (0, 0, 0);
    for case in suite::cases() {
        if !filters.is_empty() && !filters.iter().any(|filter| case.id.starts_with(filter)) {
            continue;
        }
        let outcome = match case.run {
            suite::Run::Here(run) => catch_unwind(AssertUnwindSafe(|| run(&suite::Suite::DEFAULT))),
            suite::Run::Elsewhere(place) => {
                println!("{:<4} --    {:<44} {place}", case.id, case.name);
                elsewhere += 1;
                continue;
            }
        };
        if outcome.is_ok() {
            println!("{:<4} ok    {}", case.id, case.name);
            passed += 1;
        } else {
            println!("{:<4} FAIL  {}\n{}", case.id, case.name, message.lock().unwrap());
            failed += 1;
        }
    }
    println!("{passed} passed, {failed} failed, {elsewhere} shown elsewhere");
    if failed > 0 {
        exit(1);
    }
}
