//! Every mail program with every other, through the filter: each pair of client and server, each
//! kind of message, both profiles for today. The matrix is printed; every cell must be right.
//!
//! `cargo test --test matrix` runs a cover of it: all pairs with a few kinds, all kinds with a
//! few pairs. `make matrix` runs the full cross, and before it the same without a filter, to show
//! that the programs themselves can do it.

#![expect(clippy::wildcard_enum_match_arm, reason = "each kind is special in one place only")]

use std::env;
use std::process::ExitCode;

#[path = "../lab/mod.rs"]
mod lab;

/// Who sends what to whom, and which of these are run.
mod cell;
/// The programs that only send: swaks, curl, msmtp, smtplib.
mod clients;
/// What became of the messages, and whether that is right.
mod judge;
/// One run of the matrix.
mod play;
/// The matrix as text.
mod print;

use lab::{Outcome, Scenario};
use play::Profile;

fn main() -> ExitCode {
    let control = scenario("the_programs_themselves", || play::matrix(Profile::None));
    let mailguard =
        scenario("every_program_through_mailguard", || play::matrix(Profile::Mailguard));
    let esmtp = scenario("every_program_through_esmtp", || play::matrix(Profile::Esmtp));
    // Inside, a scenario is looked up by its name; outside, the control costs time.
    if is_full() || env::args().any(|word| word == control.name) {
        lab::main(&[control, mailguard, esmtp])
    } else {
        lab::main(&[mailguard, esmtp])
    }
}

/// Whether the full cross was asked for.
fn is_full() -> bool {
    env::var("MATRIX").as_deref() == Ok("full")
}

const fn scenario(name: &'static str, run: fn() -> Outcome<String>) -> Scenario {
    Scenario { name, run }
}
